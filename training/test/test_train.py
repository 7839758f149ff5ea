"""Batches of symbols and the training loop, on questions about a simulated room."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'proxy3d-training[train]'")
import torch
from accelerate import Accelerator

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.references import PICTURE, ReferenceCodes, find_markers
from proxy3d_core.vlm.config import configuration
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.packing import IGNORED
from proxy3d_core.vlm.prefix import ScenePrefix
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import train_tokenizer
from proxy3d_training.data.dataset import Item, SpaceSpan
from proxy3d_training.data.files import write_samples
from proxy3d_training.data.loading_bench import synthetic_samples, synthetic_scenes
from proxy3d_training.data.prepared import PreparedScenes
from proxy3d_training.data.questions.generate import as_sample, candidates
from proxy3d_training.data.questions.rooms import read_room
from proxy3d_training.data.schema import Box, Sample, TextAnswer, Thing, marker
from proxy3d_training.train.batches import Collator, symbols
from proxy3d_training.train.loop import Learner, warm_cosine
from proxy3d_training.train.stages import STAGES, Stage, choose_trained

DEMO = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"
LABELS = ["chair", "table", "lamp", "sofa"]


def pixels(pictures: Any) -> Any:
    """An encoder that keeps what it sees: 7 x 7 pixels of each picture as one feature, about the mean."""
    stack = np.stack(pictures)[..., 0].reshape(-1, 7, PICTURE // 7, 7, PICTURE // 7).mean(axis=(2, 4)).reshape(-1, 49)
    return (stack[:, None, None] / 128 - 1).astype(np.float32)[..., :48]


def things(count: int, seed: int) -> tuple[Thing, ...]:
    random = np.random.default_rng(seed)
    return tuple(
        Thing(
            id=i + 1,
            marker=int(m),
            label=LABELS[random.integers(4)],
            box=Box(center=tuple(random.uniform(0, 4, 3).round(2).tolist()), size=(1, 1, 1)),
        )
        for i, m in enumerate(random.permutation(8)[:count])
    )


def asked(number: int, seen: tuple[Thing, ...], about: Thing) -> Item:
    return Item(
        Sample(
            id=f"s{number}", source="Simulated", family="Symbols", kind="marker_category", split="train", stages=(1,),
            view="symbols", question=f"What is {marker(about.marker or 0)}?", objects=seen,
            answer=TextAnswer(text=f"{about.label}.", references=(f"{about.label}",)),
        )
    )  # fmt: skip


@cache
def prompts() -> PromptFormat:
    return PromptFormat(train_tokenizer([f"What is it? The {label}." for label in LABELS] * 4, 800))


def tiny() -> ProxyVLM:
    torch.manual_seed(0)
    text = {"vocab_size": 800, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    return ProxyVLM(configuration("nano", text_config=text, feature_channels=48))


def items(scenes: range) -> list[Item]:
    found = []
    for seed in scenes:
        seen = things(3, seed)
        found += [asked(10 * seed + i, seen, thing) for i, thing in enumerate(seen)]
    return found


def test_symbols_are_their_codes_where_they_stand() -> None:
    """Codes of marker and category in each, positions from the floor under the middle."""
    codes = ReferenceCodes(pixels)
    seen = things(4, 1)
    tokens = symbols(seen, codes)
    middle = np.mean([thing.box.center[:2] for thing in seen if thing.box], axis=0)
    assert tokens.positions is not None
    for thing in seen:
        assert thing.box is not None and thing.marker is not None
        row = tokens.groups.tolist().index(thing.id)
        np.testing.assert_allclose(tokens.positions[row], np.array(thing.box.center) - [*middle, 0], atol=1e-5)
        expected = codes.identifiers([thing.marker])[0] + codes.categories([thing.label or ""])[0]
        np.testing.assert_allclose(tokens.features[row], expected, atol=1e-6)
    assert symbols(seen, codes, placed=False).positions is None
    with pytest.raises(BadInput, match="boxes to be told where they are"):
        symbols([Thing(id=1, label="chair")], codes)


def test_symbols_stand_where_stage_two_says(tmp_path: Path) -> None:
    """Questions for coordinates, from the demo's room: each answer is where the symbol is put, to the decimetre."""
    room = read_room(DEMO)
    codes, found = ReferenceCodes(pixels), 0
    for number, candidate in enumerate(candidates(room, 5, 40, ["alignment"])):
        if candidate.kind == "coordinates_of":
            sample = as_sample(room, candidate, "train", 5, number, tmp_path / "q.jsonl")
            tokens = symbols(sample.objects, codes)
            asked_for = next(t.id for t in sample.objects if t.marker == find_markers(sample.question)[0])
            assert tokens.positions is not None
            position = tokens.positions[tokens.groups.tolist().index(asked_for)]
            said = [float(value) for value in re.findall(r"-?\d+\.\d+", sample.answer.text)]
            np.testing.assert_allclose(position, said, atol=0.0501)
            found += 1
    assert found >= 5


def test_questions_on_the_same_symbols_share_a_row() -> None:
    """Two scenes with three questions each, mixed: two rows, whose labels spell the answers."""
    mixed = [items(range(2))[i] for i in (0, 3, 1, 4, 2, 5)]
    batch = Collator(prompts(), ReferenceCodes(pixels), placed=False)(mixed)
    assert set(batch) == {"input_ids", "segments", "labels", "features", "proxy_mask"}
    assert batch["segments"].max(dim=1).values.tolist() == [3, 3]
    assert (batch["input_ids"] == prompts().proxy).sum(dim=1).tolist() == [3, 3]
    learned = prompts().tokenizer.decode(batch["labels"][0][batch["labels"][0] != IGNORED])
    assert sorted(learned.split("<|im_end|>")) == sorted(["", *(item.sample.answer.text for item in items(range(1)))])
    assert "positions" in Collator(prompts(), ReferenceCodes(pixels))(mixed)
    scene = mixed[0].sample.model_copy(update={"view": "proxies"})
    with pytest.raises(BadInput, match="give SpaceSpan the prepared scenes"):
        Collator(prompts(), ReferenceCodes(pixels))([Item(scene)])


def test_prepared_scenes_are_read_with_their_markers(tmp_path: Path) -> None:
    """All samples of a dataset: one row a scene, its proxies with their markers' codes and no category."""
    write_samples(tmp_path / "samples.jsonl", synthetic_samples(40, 3))
    synthetic_scenes(tmp_path / "scenes", 3, channels=48, budget=60)
    dataset = SpaceSpan([tmp_path / "samples.jsonl"], PreparedScenes(tmp_path / "scenes"))
    codes = ReferenceCodes(pixels)
    data = [dataset[i] for i in range(len(dataset))]
    batch = Collator(prompts(), codes)(data)
    assert batch["features"].shape == (3, 60, 48) and batch["proxy_mask"].all()
    first = data[0]
    assert first.scene is not None and first.proxies is not None and first.markers is not None
    expected = first.proxies.features.astype(np.float32)
    for row, number in enumerate(first.markers.tolist()):
        if number >= 0:
            expected[row] += codes.identifiers([number])[0]
    assert (first.markers >= 0).any()
    found = batch["features"][0].numpy()
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-3)
    heights = batch["positions"][0, :, 2].numpy()  # the floor is at zero
    np.testing.assert_allclose(np.sort(heights), np.sort(first.proxies.positions[:, 2]), atol=1e-5)
    assert torch.isfinite(tiny()(**batch).loss)


def test_stages_are_the_papers() -> None:
    """Supplement, Table 1; what is frozen has no gradient."""
    assert [(s.batch, s.epochs, s.rate, s.warmup) for s in STAGES.values()] == [
        (256, 1, 5e-6, 0.1), (256, 3, 5e-6, 0.1), (256, 3, 5e-6, 0.1), (128, 1, 5e-6, 0.1)
    ]  # fmt: skip
    model = tiny()
    code = sum(p.numel() for p in model.scene.position_code.parameters()) if model.scene.position_code else 0
    scene = sum(p.numel() for p in model.scene.parameters())
    trained = [sum(p.numel() for p in choose_trained(model, STAGES[i])) for i in (1, 2, 3, 4, 1)]
    whole = model.num_parameters()
    assert trained == [whole - code, whole, whole - scene, whole - scene, whole - code]


def test_schedule() -> None:
    """By hand for ten steps, two of them on the way up."""
    shares = [warm_cosine(step, 10, 0.2) for step in range(10)]
    np.testing.assert_allclose(shares[:3], [0.5, 1, 1])
    np.testing.assert_allclose(shares[6], 0.5)
    np.testing.assert_allclose(shares[9], 0.5 * (1 + np.cos(np.pi * 7 / 8)))


def learn(model: ProxyVLM, steps: list[list[Any]], stage: Stage) -> list[float]:
    """Losses of the steps, in float32."""
    learner = Learner(model, stage, Accelerator(mixed_precision="no"))
    return [
        learner.step(step, stage.rate * warm_cosine(i, len(steps), stage.warmup)).loss for i, step in enumerate(steps)
    ]


def test_accumulated_batches_are_one_batch() -> None:
    """Questions of a step in one batch or in three of unequal answers: the same losses and weights."""
    make = Collator(prompts(), ReferenceCodes(pixels), placed=False)
    data = items(range(4))
    stage = Stage(placed=False, scene=True, batch=12, epochs=1, rate=1e-3)
    models = [tiny(), tiny()]
    whole = learn(models[0], [[make(data)]] * 3, stage)
    parts = learn(models[1], [[make(data[:1]), make(data[1:7]), make(data[7:])]] * 3, stage)
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-2, atol=1e-4)


def test_matrices_learn_by_muon() -> None:
    """A step turns each matrix of the layers by its gradient's orthogonal factor; AdamW's first step is the rate.

    Five Newton-Schulz iterations bring singular values to between 0.7 and 1.2 (Jordan et al. 2024); the rate is scaled
    by 0.2 times the root of the longer side (arXiv 2502.16982, Eq. 4).
    """
    make = Collator(prompts(), ReferenceCodes(pixels), placed=False)
    model, rate, muon = tiny(), 1e-3, 3.0
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    stage = Stage(placed=False, scene=True, batch=12, epochs=1, rate=rate)
    Learner(model, stage, Accelerator(mixed_precision="no"), muon=muon).step([make(items(range(4)))], rate)
    turned = 0
    for name, value in model.named_parameters():
        step = (before[name] - value.detach()).double()
        if value.ndim == 2 and ".layers." in name:
            lengths = torch.linalg.svdvals(step) / (rate * muon * 0.2 * max(value.shape) ** 0.5)
            assert lengths[4] > 0.6 and lengths[0] < 1.25, name  # of few questions few directions come
            turned += 1
        else:
            longest = rate if value.requires_grad else 0.0
            assert float(step.abs().max()) == pytest.approx(longest, rel=1e-2, abs=1e-6), name
    assert turned == 7 * model.config.get_text_config().num_hidden_layers


@pytest.mark.slow
def test_a_tiny_model_learns_its_scenes() -> None:
    """All 24 answers about eight scenes; whoever does not look can give 16, the most frequent one to each question."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    codes = ReferenceCodes(pixels)
    make = Collator(prompts(), codes, placed=False)
    data = items(range(8))
    model = tiny()
    losses = learn(model, [[make(data)]] * 200, Stage(placed=False, scene=True, batch=24, epochs=200, rate=3e-3))
    assert losses[-1] < 0.01 * losses[0]
    model.eval()
    right, answers = 0, defaultdict(Counter)
    for item in data:
        prefix = ScenePrefix(model, prompts(), symbols(item.sample.objects, codes, placed=False))
        right += prefix.answer([item.sample.prompt()], max_new_tokens=8)[0].text == item.sample.answer.text
        answers[item.sample.question][item.sample.answer.text] += 1
    torch.set_num_threads(threads)
    assert (right, sum(max(counts.values()) for counts in answers.values())) == (24, 16)

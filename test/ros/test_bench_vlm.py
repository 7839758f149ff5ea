"""What ``proxy3d bench vlm`` counts; how long things take is not asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from proxy3d_core.config import Config
from proxy3d_core.encoders import AppearanceEncoder
from proxy3d_core.sequences import open_sequence
from proxy3d_core.vlm.loading import load_vlm
from proxy3d_ros.bench import vlm
from proxy3d_ros.bench.vlm import ANSWER, Material, bench_batches, bench_scene, layers_of, random_vlm
from proxy3d_ros.demo import ROOM

FRAMES, CELLS, BUDGET = 4, (6, 8), 30
CONFIG = Config.from_flat({"proxies.budget": BUDGET})


@pytest.fixture(scope="module")
def encoder() -> AppearanceEncoder:
    return AppearanceEncoder(CELLS)


@pytest.fixture(scope="module")
def material(encoder: AppearanceEncoder) -> Material:
    return Material.of(open_sequence(ROOM), encoder, FRAMES)


def test_batches(taught_vlm: Path, encoder: AppearanceEncoder, material: Material) -> None:
    """All patches of the frames against the budget of proxies, for each batch, with what is faster by how much."""
    model, prompts = load_vlm(taught_vlm, device="cpu")
    said: list[str] = []
    figures = bench_batches(model, prompts, encoder, material, CONFIG, [1, 3], said.append)
    assert list(figures) == [
        f"{what}, batch {batch}" for batch in (1, 3) for what in ("pixel tokens", "proxies", "times faster")
    ]
    for batch in (1, 3):
        assert figures[f"pixel tokens, batch {batch}"]["tokens"] == FRAMES * CELLS[0] * CELLS[1]
        assert figures[f"pixel tokens, batch {batch}"]["clustering_s"] == 0
        proxies = figures[f"proxies, batch {batch}"]
        assert proxies["tokens"] == BUDGET
        parts = proxies["encoder_s"] + proxies["clustering_s"] + proxies["language_model_s"]
        assert proxies["per_question_s"] == pytest.approx(parts / batch, abs=0.002)
        assert proxies["encoder_s"] == figures[f"pixel tokens, batch {batch}"]["encoder_s"]
    assert len(said) == 8


def test_a_further_question_reads_no_scene_token(
    taught_vlm: Path, encoder: AppearanceEncoder, material: Material
) -> None:
    model, prompts = load_vlm(taught_vlm, device="cpu")
    figures = bench_scene(model, prompts, encoder, material, CONFIG)
    first, further = (figures[f"one scene, {kind} question"] for kind in ("first", "further"))
    assert first["scene_tokens_read"] == len(prompts.prefix(BUDGET))
    assert further["scene_tokens_read"] == 0
    assert first["other_tokens_read"] == further["other_tokens_read"] > 0


def test_random_weights_have_the_size_that_is_named() -> None:
    model, prompts = random_vlm("nano", 10)
    assert model.config.get_text_config().num_hidden_layers == 6 and model.scene.channels == 10
    assert model.config.proxy_token_id == prompts.proxy


def test_mlps_take_tokens_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more at once than ``PART``, all of them, with what all at once would give; and only meanwhile."""
    model, _ = random_vlm("nano", 10)
    ids = torch.randint(10, 200, (2, 11))
    whole = model(input_ids=ids).logits
    monkeypatch.setattr(vlm, "PART", 8)
    taken: list[int] = []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda _, given: taken.append(given[0].shape[-2]))
    with vlm._in_parts(model):
        parts = model(input_ids=ids).logits
    torch.testing.assert_close(parts, whole)
    assert taken == [8, 8, 6]
    model(input_ids=ids)
    assert taken[3:] == [11]


def test_layers_that_are_not_timed_cost_as_much_as_those_that_are(
    encoder: AppearanceEncoder, material: Material
) -> None:
    """By a clock that counts layers: eight of which two are timed are eight times those of one, and the rest once."""
    model, prompts = random_vlm("nano", encoder.channels, layers=2)
    ran = 0

    def counted(*_: object) -> None:
        nonlocal ran
        ran += 1

    for layer in model.model.layers:
        layer.register_forward_hook(counted)
    figures = bench_batches(model, prompts, encoder, material, CONFIG, [2], print, lambda: float(ran), of_layers=8)
    assert figures["proxies, batch 2"]["language_model_s"] == 8 * ANSWER
    assert figures["pixel tokens, batch 2"]["language_model_s"] == 8 * ANSWER
    assert len(model.model.layers) == 2 and layers_of("3b") == 36

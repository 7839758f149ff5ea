"""The proxy VLM against plain Qwen2.5-VL and against itself: same weights, same logits."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_vlm import prompts, scene, shake, tiny_config, tiny_qwen, tiny_vlm, torch

from proxy3d_core.errors import BadInput
from proxy3d_core.vlm.config import configuration
from proxy3d_core.vlm.inputs import collate
from proxy3d_core.vlm.model import ProxyVLM

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def rows(proxies: int, question: str = "How many chairs are there?") -> list[int]:
    return prompts().prefix(proxies) + prompts().question(question)


@pytest.mark.parametrize("layout", ["as published", "language_model", "own"])
@pytest.mark.parametrize("tied", [False, True])
def test_proxies_are_read_as_image_tokens_are(tmp_path: Any, layout: str, tied: bool) -> None:
    """Weights of a Qwen2.5-VL load unchanged; merged patches given as proxies give the logits of plain Qwen."""
    qwen = tiny_qwen(tie_word_embeddings=tied)
    qwen.save_pretrained(tmp_path, save_original_format=layout != "language_model")
    model, report = ProxyVLM.from_pretrained(tmp_path, output_loading_info=True)
    assert all(key.startswith("scene.") for key in report["missing_keys"])
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    if layout == "own":
        model.save_pretrained(tmp_path / "own")
        model = ProxyVLM.from_pretrained(tmp_path / "own")
    model.eval()
    ids = torch.tensor([rows(6)])
    features = torch.randn(1, 6, 32)
    embeds = qwen.get_input_embeddings()(ids).masked_scatter((ids == 5)[..., None], features)
    with torch.no_grad():
        expected = qwen(inputs_embeds=embeds, position_ids=torch.arange(ids.shape[1]).expand(3, 1, -1)).logits
        torch.testing.assert_close(model(input_ids=ids, features=features).logits, expected)
        # on the floor the code turns nothing, wherever that is, and what it adds is zero as yet
        flat = torch.tensor([[[4.0, -2.0, 0.0]]]).expand(1, 6, 3)
        torch.testing.assert_close(model(input_ids=ids, features=features, positions=flat).logits, expected)
        high = flat + torch.tensor([0, 0, 1.3])
        assert not torch.allclose(model(input_ids=ids, features=features, positions=high).logits, expected)


def test_what_is_saved_is_what_is_loaded(tmp_path: Any) -> None:
    """All weights, new ones included, in safetensors; generation settings and configuration too."""
    model = tiny_vlm(feature_channels=12, latent_channels=8, region_channels=12)
    model.save_pretrained(tmp_path)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".json", ".safetensors"]
    again, report = ProxyVLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    for (name, saved), (other, loaded) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(saved, loaded, rtol=0, atol=0)


@pytest.mark.parametrize(("size", "parameters"), [("3b", 3_085_938_688), ("7b", 7_615_616_512)])
def test_sizes_are_the_published_ones(size: Any, parameters: int) -> None:
    """Parameters of Qwen2.5-3B and -7B as their safetensors headers count them."""
    with torch.device("meta"):
        model = ProxyVLM(configuration(size))
    assert model.num_parameters() - sum(p.numel() for p in model.scene.parameters()) == parameters
    assert isinstance(model.scene.projector, torch.nn.Identity)


def test_nano_is_small() -> None:
    """3.1 million parameters, as docs/vlm.md says; features of another width get a projector."""
    with torch.device("meta"):
        model = ProxyVLM(configuration("nano", feature_channels=64))
    assert model.num_parameters() == 3_102_528 + 61_952 + (64 * 192 + 192)
    assert isinstance(model.scene.projector, torch.nn.Linear)
    with pytest.raises(BadInput, match="there is no size 'huge'; there are nano"):
        configuration("huge")  # type: ignore[arg-type]


@pytest.mark.parametrize("hook", ["latents", "regions", "position code"])
def test_what_is_added_says_nothing_at_first(tmp_path: Any, hook: str) -> None:
    """Adapters put into a trained model leave its logits as they are (bit for bit), and learn from the first step."""
    tiny_vlm(position_code=False).save_pretrained(tmp_path)
    plain = ProxyVLM.from_pretrained(tmp_path).eval()
    added = {
        "latents": {"latent_channels": 8},
        "regions": {"region_channels": 12},
        "position code": {"position_code": True},
    }[hook]
    config = tiny_config(position_code=False)
    for name, value in added.items():
        setattr(config, name, value)
    model = ProxyVLM.from_pretrained(tmp_path, config=config).eval()
    ids = torch.tensor([prompts().prefix(5) + prompts().question("Is Region [0] near Region [1]?", regions=2)])
    features = torch.randn(1, 5, 32)
    extra: dict[str, Any] = {
        "latents": {"latents": torch.randn(1, 9, 8)},
        "regions": {"regions": torch.randn(1, 2, 12)},
        "position code": {"positions": torch.tensor([3.0, 1.0, 0.0]).expand(1, 5, 3)},
    }[hook]
    expected = plain(input_ids=ids, features=features).logits
    logits = model(input_ids=ids, features=features, **extra).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)
    labels = ids.clone()
    model(input_ids=ids, features=features, labels=labels, **extra).loss.backward()
    last = {
        "latents": lambda: model.scene.adapter.mlp.last,
        "regions": lambda: model.region.last,
        "position code": lambda: model.scene.position_code.mlp.last,
    }[hook]()
    assert last.weight.grad.abs().max() > 0
    shake(last)
    assert not torch.allclose(model(input_ids=ids, features=features, **extra).logits, expected, atol=1e-4)


def test_batches_with_padding_give_what_single_ones_do() -> None:
    """Scenes of different size, padded on the left in tokens and on the right in proxies, latents and regions."""
    model = tiny_vlm(latent_channels=8, region_channels=12)
    scenes = [scene(4, seed=1), scene(9, seed=2)]
    texts = ["Is Region [0] near Region [1], or is Region [0] far?", "Is Region [0] big?"]
    latents, regions = torch.randn(2, 5, 8), torch.randn(2, 3, 12)
    ids = [prompts().prefix(len(s)) + prompts().question(t, 2) for s, t in zip(scenes, texts, strict=True)]
    longest = max(map(len, ids))
    batch = torch.tensor([[0] * (longest - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
    sizes = torch.tensor([[3, 1], [5, 2]])  # regions, latents of each
    together = model(
        input_ids=batch,
        attention_mask=mask,
        latents=latents,
        latent_mask=torch.arange(5) < sizes[1][:, None],
        regions=regions,
        region_mask=torch.arange(3) < sizes[0][:, None],
        **collate(scenes),
    ).logits
    for row in range(2):
        alone = model(
            input_ids=torch.tensor([ids[row]]),
            latents=latents[row : row + 1, : sizes[1][row]],
            regions=regions[row : row + 1, : sizes[0][row]],
            **collate(scenes[row : row + 1]),
        ).logits[0]
        torch.testing.assert_close(together[row, longest - len(ids[row]) :], alone, **CLOSE)


def test_generation_in_a_batch_is_that_of_each_alone() -> None:
    """Left padding, the scene given once, with and without a cache, and by beams."""
    model = tiny_vlm()
    scenes = [scene(3, seed=1), scene(8, seed=2)]
    ids = [rows(3, "How many?"), rows(8)]
    longest = max(map(len, ids))
    batch = {
        "input_ids": torch.tensor([[0] * (longest - len(row)) + row for row in ids]),
        "attention_mask": torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids]),
        **collate(scenes),
    }
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    together = model.generate(**batch, **options)[:, longest:]
    for row in range(2):
        expected = ids[row]
        for _ in range(6):  # by hand: the whole sequence anew for each token
            logits = model(input_ids=torch.tensor([expected]), **collate(scenes[row : row + 1])).logits
            expected = [*expected, int(logits[0, -1].argmax())]
        assert together[row].tolist() == expected[len(ids[row]) :]
    torch.testing.assert_close(model.generate(**batch, **options, use_cache=False)[:, longest:], together)
    beams = model.generate(**batch, **options, num_beams=3)
    assert beams.shape == (2, longest + 6)


def test_checkpointing_changes_no_gradient() -> None:
    """Gradients with recomputed layers are those without."""
    ids = torch.tensor([rows(7)])
    gradients = []
    for checkpointing in (False, True):
        model = tiny_vlm().train()
        if checkpointing:
            model.gradient_checkpointing_enable()
            assert model.model.gradient_checkpointing
        model(input_ids=ids, labels=ids, **collate([scene(7)])).loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_loss_is_the_mean_over_the_answer() -> None:
    """Eq. 6, from the logits of a run without labels; accumulation divides by what it is told."""
    model = tiny_vlm()
    prompt, answer = rows(7), prompts().answer("There are 12.")
    ids = torch.tensor([prompt + answer])
    labels = torch.tensor([[-100] * len(prompt) + answer])
    inputs = collate([scene(7)])
    said = model(input_ids=ids, **inputs).logits[0].log_softmax(-1)
    expected = [-said[len(prompt) + i - 1, token] for i, token in enumerate(answer)]
    out = model(input_ids=ids, labels=labels, **inputs)
    torch.testing.assert_close(out.loss, torch.stack(expected).mean())
    assert out.logits.shape == (len(answer), 800)
    part = model(input_ids=ids, labels=labels, num_items_in_batch=100, **inputs)
    torch.testing.assert_close(part.loss, torch.stack(expected).sum() / 100)


def test_half_precision_tells_heights_apart() -> None:
    """In bfloat16 positions stay float32; 5 cm at 4 m give other logits."""
    model = tiny_vlm().to(torch.bfloat16)
    ids = torch.tensor([rows(1)])
    at = [
        model(input_ids=ids, features=torch.ones(1, 1, 32), positions=torch.tensor([[[4.0, 4.0, height]]])).logits
        for height in (4.0, 4.05)
    ]
    assert at[0].dtype == torch.bfloat16 and not torch.equal(*at)


def test_what_does_not_fit_is_refused() -> None:
    """Messages name the numbers."""
    model = tiny_vlm()
    ids = torch.tensor([rows(7)])
    with pytest.raises(BadInput, match="no features came with it"):
        model(input_ids=ids)
    with pytest.raises(BadInput, match=r"\[6\] proxies, \[7\] tokens"):
        model(input_ids=ids, **collate([scene(6)]))
    with pytest.raises(BadInput, match=r"this model takes \(B, K, 32\)"):
        model(input_ids=ids, **collate([scene(7, channels=16)]))
    with pytest.raises(BadInput, match="no latent_channels"):
        model(input_ids=ids, latents=torch.zeros(1, 2, 8), **collate([scene(7)]))
    with pytest.raises(BadInput, match="no region_channels"):
        model(input_ids=ids, regions=torch.zeros(1, 2, 8), **collate([scene(7)]))
    with pytest.raises(BadInput, match="either input_ids or inputs_embeds"):
        model()

"""Loading: our own folders and published ones, and errors that say what to do."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny_vlm import prompts, scene, tiny_qwen, tiny_vlm, torch

from proxy3d_core.errors import ModelError
from proxy3d_core.vlm.inputs import collate
from proxy3d_core.vlm.loading import load_vlm
from proxy3d_core.vlm.prefix import ScenePrefix

from safetensors.torch import load_file, save_file  # isort: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    tiny_vlm(feature_channels=12).save_pretrained(folder)
    prompts().tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(own: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(own, tmp_path / "copy"))


def test_own_folder(own: Path) -> None:
    """What was saved answers as what is loaded."""
    model, make = load_vlm(own, device="cpu")
    assert not model.training and model.device.type == "cpu"
    small = scene(5, channels=12)
    saved = ScenePrefix(tiny_vlm(feature_channels=12), prompts(), small).answer(["Far?"], max_new_tokens=4)[0]
    loaded = ScenePrefix(model, make, small).answer(["Far?"], max_new_tokens=4)[0]
    assert loaded.text == saved.text
    assert loaded.log_probability == pytest.approx(saved.log_probability, rel=1e-4)
    assert load_vlm(own, device="cpu", dtype="bfloat16")[0].dtype == torch.bfloat16


def test_published_folder(tmp_path: Path) -> None:
    """A Qwen2.5-VL in several files, its config flat as on the hub: its language model, and what is new."""
    qwen = tiny_qwen()
    qwen.save_pretrained(tmp_path, max_shard_size="40KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    prompts().tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    text["rope_theta"], text["rope_scaling"] = rope["rope_theta"], {"type": "mrope", "mrope_section": [1, 1, 2]}
    file.write_text(json.dumps(text | config))
    model, _ = load_vlm(tmp_path, device="cpu", feature_channels=12, region_token_id=6)
    assert model.config.feature_channels == 12
    assert not any("visual" in name for name, _ in model.named_parameters())
    ids = torch.tensor([[7, 300, 400, 2]])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, qwen(input_ids=ids).logits)
        ids = torch.tensor([prompts().prefix(5)])
        assert model(input_ids=ids, **collate([scene(5, channels=12)])).logits.isfinite().all()


def test_missing_and_mixed_weights(copied: Path) -> None:
    """Half a model is none; neither is one of another size."""
    file = copied / "model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if not k.startswith("scene.projector")}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"copy is incomplete: 2 weights are missing, such as scene.projector.bias"):
        load_vlm(copied, device="cpu")
    save_file(weights | {"scene.projector.bias": torch.zeros(7)}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"scene.projector.bias is \(7,\), described as \(32,\)"):
        load_vlm(copied, device="cpu")
    file.write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match="copy cannot be loaded"):
        load_vlm(copied, device="cpu")
    file.unlink()
    torch.save(weights, copied / "pytorch_model.bin")  # a pickle is not read
    with pytest.raises(ModelError, match="copy cannot be loaded"):
        load_vlm(copied, device="cpu")


def test_other_models_and_no_models(copied: Path, tmp_path: Path) -> None:
    """Their kind is named; a folder that is not there is not looked for elsewhere."""
    (copied / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="copy is a llama; a proxy_vlm or qwen2_5_vl is needed"):
        load_vlm(copied)
    with pytest.raises(ModelError, match="no model at"):
        load_vlm(tmp_path / "nowhere")


def test_many_threads_load_at_once(own: Path) -> None:
    """A node loads its models beside each other; every one of them comes out whole."""
    with ThreadPoolExecutor(6) as pool:
        models = [model for model, _ in pool.map(lambda _: load_vlm(own, device="cpu"), range(12))]
    ids = torch.tensor([[1, 300, 2]])
    with torch.no_grad():
        logits = [model(input_ids=ids).logits for model in models]
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=0, atol=0)

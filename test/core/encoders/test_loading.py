"""Loading: only the tower, only safetensors, from a folder or the hub's cache, and errors that say what to do."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import make_model, save

from proxy3d_core.config import Config
from proxy3d_core.encoders import load_encoder
from proxy3d_core.errors import BadInput, MissingExtra, ModelError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402 - only where torch is

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 60, 80, 3), dtype=np.uint8)


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.fixture
def copied(checkpoints: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: Path(shutil.copytree(checkpoints[kind], tmp_path / kind))


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "siglip", "siglip2"])
def test_only_the_tower_is_read(checkpoints: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """Of a checkpoint in many files those without vision may be missing."""
    folder = save(kind, tmp_path / "shards", max_shard_size="20KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    vision = {file for key, file in index.items() if key.startswith(("visual.", "vision_model."))}
    others = set(index.values()) - vision
    assert len(vision) > 1 and others
    for name in others:
        (folder / name).unlink()
    encoder: Any = load_encoder(folder)
    whole = make_model(kind)
    tower = whole.model.visual if kind == "qwen2_5_vl" else whole.vision_model
    assert encoder.model.num_parameters() == tower.num_parameters() < whole.num_parameters()
    torch.testing.assert_close(encoder.encode(IMAGE), load_encoder(checkpoints[kind]).encode(IMAGE))
    (folder / sorted(vision)[0]).unlink()
    with pytest.raises(ModelError, match=f"has no {sorted(vision)[0]}; copy it there"):
        load_encoder(folder)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "siglip", "siglip2"])
def test_a_tower_that_was_saved_alone(checkpoints: dict[str, Path], tmp_path: Path, kind: str) -> None:
    whole = make_model(kind)
    (whole.model.visual if kind == "qwen2_5_vl" else whole.vision_model).save_pretrained(tmp_path)
    shutil.copy(checkpoints[kind] / "preprocessor_config.json", tmp_path)
    torch.testing.assert_close(load_encoder(tmp_path).encode(IMAGE), load_encoder(checkpoints[kind]).encode(IMAGE))


@pytest.mark.parametrize(
    ("kind", "classifier"),
    [
        ("dinov2", "Dinov2ForImageClassification"),
        ("dinov2_with_registers", "Dinov2WithRegistersForImageClassification"),
    ],
)
def test_the_tower_of_a_classifier(checkpoints: dict[str, Path], tmp_path: Path, kind: str, classifier: str) -> None:
    getattr(transformers, classifier).from_pretrained(checkpoints[kind]).save_pretrained(tmp_path)
    shutil.copy(checkpoints[kind] / "preprocessor_config.json", tmp_path)
    torch.testing.assert_close(load_encoder(tmp_path).encode(IMAGE), load_encoder(checkpoints[kind]).encode(IMAGE))


def test_newer_names_of_the_weights(copied: Callable[[str], Path], checkpoints: dict[str, Path]) -> None:
    folder = copied("qwen2_5_vl")
    weights = load_file(folder / "model.safetensors")
    save_file({f"model.{k}": v for k, v in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    expected = load_encoder(checkpoints["qwen2_5_vl"]).encode(IMAGE)
    torch.testing.assert_close(load_encoder(folder).encode(IMAGE), expected)


def test_a_config_as_published(copied: Callable[[str], Path], checkpoints: dict[str, Path]) -> None:
    """The public Qwen2.5-VL files say less, and say it in older words, than transformers writes today."""
    folder = copied("qwen2_5_vl")

    def older(config: dict[str, Any]) -> None:
        vision = config["vision_config"]
        names = ("depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "fullatt_block_indexes")
        kept = {name: vision[name] for name in (*names, "patch_size", "spatial_merge_size", "window_size")}
        config["vision_config"] = kept | {"model_type": "qwen2_5_vl", "in_chans": 3, "spatial_patch_size": 14}
        config.pop("text_config")
        config["torch_dtype"] = "bfloat16"

    rewrite(folder / "config.json", older)
    rewrite(folder / "preprocessor_config.json", lambda c: [c.pop(n) for n in ("resample", "rescale_factor", "size")])
    expected = load_encoder(checkpoints["qwen2_5_vl"]).encode(IMAGE)
    torch.testing.assert_close(load_encoder(folder).encode(IMAGE), expected)


def test_settings_of_a_combined_processor(copied: Callable[[str], Path], checkpoints: dict[str, Path]) -> None:
    folder = copied("siglip2")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    expected = load_encoder(checkpoints["siglip2"]).encode(IMAGE)
    torch.testing.assert_close(load_encoder(folder).encode(IMAGE), expected)


def test_mean_and_deviation_are_the_checkpoints(copied: Callable[[str], Path]) -> None:
    folder = copied("dinov2")
    before = load_encoder(folder).encode(IMAGE)
    rewrite(folder / "preprocessor_config.json", lambda c: c.update(image_mean=[0.1, 0.2, 0.3]))
    assert (load_encoder(folder).encode(IMAGE) - before).abs().max() > 1e-3
    rewrite(folder / "preprocessor_config.json", lambda c: c.update(image_mean=[0.0] * 3, image_std=[1.0] * 3))
    plain = load_encoder(folder).encode(IMAGE)
    rewrite(folder / "preprocessor_config.json", lambda c: c.update(image_mean=[0.7] * 3, do_normalize=False))
    torch.testing.assert_close(load_encoder(folder).encode(IMAGE), plain)


def test_names_tell_models_and_stages_apart(checkpoints: dict[str, Path]) -> None:
    assert load_encoder(checkpoints["qwen2_5_vl"]).name == "qwen2_5_vl:merged"
    assert load_encoder(checkpoints["qwen2_5_vl"], stage="patches").name == "qwen2_5_vl:patches"
    assert load_encoder(checkpoints["dinov2"]).name == "dinov2:patches"


def test_the_settings_are_the_arguments(checkpoints: dict[str, Path]) -> None:
    config = Config.from_flat({"encoder.source": str(checkpoints["siglip"]), "encoder.cells": 12})
    assert load_encoder(**config.encoder.model_dump()).grid(480, 640) == (3, 4)
    assert load_encoder(**Config().encoder.model_dump()).name == "nano-vision"


def test_pickles_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("dinov2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle.*only safetensors are read"):
        load_encoder(folder)


def test_code_of_a_checkpoint_is_not_run(copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied("dinov2")
    trace = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    rewrite(folder / "config.json", lambda c: c.update(auto_map={"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}))
    load_encoder(folder).encode(IMAGE)
    assert not trace.exists()


def test_errors_of_a_folder(copied: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model at .*nowhere: the folder does not exist"):
        load_encoder(tmp_path / "nowhere")
    folder = copied("dinov2")
    with pytest.raises(ModelError, match="is a file; name the folder"):
        load_encoder(folder / "model.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty has no config\.json"):
        load_encoder(tmp_path / "empty")

    rewrite(folder / "config.json", lambda c: c.update(model_type="bert"))
    with pytest.raises(ModelError, match=r"model_type 'bert'.*qwen2_5_vl.*siglip2.*dinov2_with_registers, dinov3_vit"):
        load_encoder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        load_encoder(folder)


def test_errors_of_the_weights(copied: Callable[[str], Path]) -> None:
    folder = copied("dinov2")
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "layer.1." not in k}, file)
    with pytest.raises(ModelError, match=r"incomplete: \d+ weights are missing, such as encoder"):
        load_encoder(folder)
    save_file(weights | {"layernorm.bias": torch.zeros(7)}, file)
    with pytest.raises(ModelError, match=r"do not belong together: layernorm\.bias is \(7,\), described as \(32,\)"):
        load_encoder(folder)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        load_encoder(folder)
    file.unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors; copy it there"):
        load_encoder(folder)


def test_a_language_model_has_no_tower(copied: Callable[[str], Path]) -> None:
    folder = copied("qwen2_5_vl")
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if not k.startswith("visual.")}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"no such model: no weight begins with visual\. or model\.visual\."):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resample": 1}, r"not usable \(KeyError\(1\)\).*resample 0, 2 or 3"),
        ({"image_mean": [0.5, 0.5]}, "not usable.*three numbers"),
        ({"image_std": ["a", "b", "c"]}, "not usable.*three numbers"),
        ({"image_std": [1, 0, 1]}, "must be positive"),
        ({"rescale_factor": None}, "not usable"),
    ],
)
def test_errors_of_the_image_processor(copied: Callable[[str], Path], values: dict[str, Any], message: str) -> None:
    folder = copied("dinov2")
    rewrite(folder / "preprocessor_config.json", lambda c: c.update(values))
    with pytest.raises(ModelError, match=message):
        load_encoder(folder)


def test_a_checkpoint_without_an_image_processor(copied: Callable[[str], Path]) -> None:
    folder = copied("dinov2")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"has no preprocessor_config\.json.*copy it from"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": "big"}, "does not describe a Dinov2Model.*hidden_size"),
        ({"num_attention_heads": 0}, "does not describe a Dinov2Model"),
        ({"hidden_act": "none such"}, "does not describe a Dinov2Model"),
        ({"num_hidden_layers": 9}, r"incomplete: \d+ weights are missing"),
        ({"patch_size": 7}, "do not belong together"),
        ({"patch_size": [14, 14]}, "only square ones"),
    ],
)
def test_errors_of_the_config(copied: Callable[[str], Path], values: dict[str, Any], message: str) -> None:
    folder = copied("dinov2")
    rewrite(folder / "config.json", lambda c: c.update(values))
    with pytest.raises(ModelError, match=f"(?s){message}"):
        load_encoder(folder)


@pytest.mark.parametrize("index", [{}, {"weight_map": 3}, {"weight_map": {"a": 3}}, {"weight_map": {"a": "../secret"}}])
def test_errors_of_the_index(copied: Callable[[str], Path], index: dict[str, Any]) -> None:
    folder = copied("dinov2")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"index\.json is damaged"):
        load_encoder(folder)


def test_errors_of_the_settings(checkpoints: dict[str, Path]) -> None:
    folder = checkpoints["dinov2"]
    with pytest.raises(BadInput, match="dinov2 has no stage 'merged'; it has patches"):
        load_encoder(folder, stage="merged")
    with pytest.raises(BadInput, match=r"dtype 'int8' is not known.*float32"):
        load_encoder(folder, dtype="int8")
    with pytest.raises(ModelError, match=r"device 'gpu' cannot be used.*try auto or cpu"):
        load_encoder(folder, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="device 'cuda' cannot be used"):
            load_encoder(folder, device="cuda")
    with pytest.raises(BadInput, match="batch is 0"):
        load_encoder(folder, batch=0)


def test_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs torch and transformers; install: pip .*'proxy3d_ros\[models\]'"):
        load_encoder("facebook/dinov2-base")


def test_torch_is_imported_for_a_model_only() -> None:
    code = (
        "import sys, numpy as np\n"
        "from proxy3d_core.encoders import load_encoder\n"
        "load_encoder().encode(np.zeros((1, 48, 64, 3), np.uint8))\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub, and no network."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("size", ["1GB", "20KB"])
def test_a_hub_id_is_found_in_the_cache(
    hub_cache: Path, checkpoints: dict[str, Path], tmp_path: Path, size: str
) -> None:
    """What an earlier run fetched is used without a network, in one file or in many."""
    repository = hub_cache / "models--example--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    save("qwen2_5_vl", repository / "snapshots" / ("0" * 40), max_shard_size=size)
    encoder = load_encoder("example/tiny")
    assert encoder.name == "example/tiny:merged"
    torch.testing.assert_close(encoder.encode(IMAGE), load_encoder(checkpoints["qwen2_5_vl"]).encode(IMAGE))


def test_a_hub_that_is_out_of_reach(hub_cache: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json in the cache of the hub, and the hub cannot be reached"):
        load_encoder("facebook/dinov2-base")


def test_a_path_that_is_not_there_is_no_hub_id(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """models/dino with a folder models is a slip of the path; nothing is asked of the network."""
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    for source in ("models/dino", "../models/dino", "./dino", "~/no/such/model", "dino"):
        with pytest.raises(ModelError, match="the folder does not exist"):
            load_encoder(source)

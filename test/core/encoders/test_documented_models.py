"""docs/models.md: channels and memory of the public models, counted on models of their published dimensions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
t = pytest.importorskip("transformers")
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig  # noqa: E402 - see above
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel  # noqa: E402

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "models.md"


def sized(width: int, mlp: int, layers: int, heads: int, **more: Any) -> dict[str, Any]:
    layout = {"hidden_size": width, "intermediate_size": mlp, "num_hidden_layers": layers, "num_attention_heads": heads}
    return layout | more


SMALL, BASE, LARGE = (384, 1536, 12, 6), (768, 3072, 12, 12), (1024, 4096, 24, 16)
SO400M = (1152, 4304, 27, 16)
QWEN = {"hidden_size": 1280, "intermediate_size": 3420, "depth": 32, "num_heads": 16}
DINOV2 = {"image_size": 518, "patch_size": 14}
MODELS: dict[str, Any] = {
    "Qwen/Qwen2.5-VL-7B-Instruct": Qwen2_5_VLVisionConfig(**QWEN, out_hidden_size=3584),
    "Qwen/Qwen2.5-VL-3B-Instruct": Qwen2_5_VLVisionConfig(**QWEN, out_hidden_size=2048),
    "google/siglip2-base-patch16-224": t.SiglipVisionConfig(**sized(*BASE, image_size=224, patch_size=16)),
    "google/siglip2-so400m-patch14-384": t.SiglipVisionConfig(**sized(*SO400M, image_size=384, patch_size=14)),
    "google/siglip2-base-patch16-naflex": t.Siglip2VisionConfig(**sized(*BASE, num_patches=256, patch_size=16)),
    "google/siglip2-so400m-patch16-naflex": t.Siglip2VisionConfig(**sized(*SO400M, num_patches=256, patch_size=16)),
    "facebook/dinov2-small": t.Dinov2Config(**sized(*SMALL, **DINOV2)),
    "facebook/dinov2-base": t.Dinov2Config(**sized(*BASE, **DINOV2)),
    "facebook/dinov2-large": t.Dinov2Config(**sized(*LARGE, **DINOV2)),
    "facebook/dinov2-with-registers-base": t.Dinov2WithRegistersConfig(**sized(*BASE, **DINOV2)),
    "facebook/dinov3-vits16-pretrain-lvd1689m": t.DINOv3ViTConfig(**sized(*SMALL, num_register_tokens=4)),
    "facebook/dinov3-vitb16-pretrain-lvd1689m": t.DINOv3ViTConfig(**sized(*BASE, num_register_tokens=4)),
    "facebook/dinov3-vitl16-pretrain-lvd1689m": t.DINOv3ViTConfig(**sized(*LARGE, num_register_tokens=4)),
}
CLASSES = {
    Qwen2_5_VLVisionConfig: Qwen2_5_VisionTransformerPretrainedModel,
    t.SiglipVisionConfig: t.SiglipVisionModel,
    t.Siglip2VisionConfig: t.Siglip2VisionModel,
    t.Dinov2Config: t.Dinov2Model,
    t.Dinov2WithRegistersConfig: t.Dinov2WithRegistersModel,
    t.DINOv3ViTConfig: t.DINOv3ViTModel,
}


def test_the_table_of_models() -> None:
    rows = re.findall(r"^\| `(\w+/[^`]+)` \|(.+)\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name, _ in rows} == set(MODELS)
    for name, row in rows:
        config = MODELS[name]
        with torch.device("meta"):  # counts weights without making them
            count = CLASSES[type(config)](config).num_parameters()
        pixels, channels = str(config.patch_size), str(config.hidden_size)
        if name.startswith("Qwen"):
            pixels, channels = "28 merged, 14 patches", f"{config.out_hidden_size} merged, {config.hidden_size} patches"
        expected = [pixels, channels, f"{count / 1e6:.0f} M", f"{count * 2e-9:.2f} GB", f"{count * 4e-9:.2f} GB"]
        assert [cell.strip() for cell in row.split("|")][:5] == expected, name


def test_versions_are_the_same_everywhere() -> None:
    root = DOCUMENT.parent.parent
    extra = re.search(
        r'^models = \["(torch[^"]+)", "(transformers[^"]+)"', (root / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert extra
    for requirement in extra.groups():
        assert requirement in DOCUMENT.read_text(encoding="utf-8")
        assert f'"{requirement}"' in (root / "training" / "pyproject.toml").read_text(encoding="utf-8")

"""Checkpoints of tiny random models, written by transformers in the layout of the public ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXT = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
DINOV3_PROCESSOR = {  # as published; transformers writes it only where torchvision is
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "DINOv3ViTImageProcessorFast",
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 224, "width": 224},
    **IMAGENET,
}


def make_model(kind: str) -> Any:
    """A whole tiny model of a kind, with weights large enough that every token differs."""
    t = transformers
    torch.manual_seed(3)
    if kind == "qwen2_5_vl":
        vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 16}
        # one layer looks at everything, the others only inside windows of 4x4 merged cells
        vision |= {"fullatt_block_indexes": [1], "window_size": 112}
        text = TEXT | TOKENS | {"num_key_value_heads": 2}
        model = t.Qwen2_5_VLForConditionalGeneration(t.Qwen2_5_VLConfig(text_config=text, vision_config=vision))
    elif kind == "siglip":
        vision = VISION | {"image_size": 64, "patch_size": 16}
        model = t.SiglipModel(t.SiglipConfig(text_config=TEXT | TOKENS, vision_config=vision))
    elif kind == "siglip2":
        vision = VISION | {"num_patches": 16, "patch_size": 16}
        model = t.Siglip2Model(t.Siglip2Config(text_config=TEXT | TOKENS, vision_config=vision))
    elif kind == "dinov2":
        model = t.Dinov2Model(t.Dinov2Config(**VISION, image_size=56, patch_size=14))
    elif kind == "dinov2_with_registers":
        model = t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(**VISION, image_size=56, patch_size=14, num_register_tokens=4)
        )
    else:
        model = t.DINOv3ViTModel(t.DINOv3ViTConfig(**VISION, patch_size=16, num_register_tokens=4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()


def make_processor(kind: str) -> Any:
    """The image processor that the public models of a kind come with; None where transformers cannot make it here."""
    if kind == "qwen2_5_vl":
        return transformers.Qwen2VLImageProcessorPil()
    if kind == "siglip":
        return transformers.SiglipImageProcessorPil(size={"height": 64, "width": 64})
    if kind == "siglip2":
        return transformers.Siglip2ImageProcessorPil()
    if kind.startswith("dinov2"):
        return transformers.BitImageProcessorPil(size={"shortest_edge": 256}, **IMAGENET)
    return None


def save(kind: str, folder: Path, **options: Any) -> Path:
    """Model and processor as ``save_pretrained`` writes them."""
    make_model(kind).save_pretrained(folder, **options)
    processor = make_processor(kind)
    if processor is not None:
        processor.save_pretrained(folder)
    else:
        (folder / "preprocessor_config.json").write_text(json.dumps(DINOV3_PROCESSOR))
    return folder


KINDS = ["qwen2_5_vl", "siglip", "siglip2", "dinov2", "dinov2_with_registers", "dinov3_vit"]

"""Depth models with random weights in the real formats; they prove plumbing, not depth."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
import transformers

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def dinov2(image_size: int) -> dict[str, object]:
    return {
        "model_type": "dinov2",
        "hidden_size": 24,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "image_size": image_size,
        "patch_size": 14,
        "mlp_ratio": 2,
    }


def depth_anything(folder: Path, kind: str = "metric", max_depth: int = 20, wall: float | None = None) -> Path:
    """Depth Anything V2: 70 px, 14 px patches. With ``wall`` it sees nothing but a plane at this depth, metres."""
    torch.manual_seed(0)
    config = transformers.DepthAnythingConfig(
        backbone_config={
            **dinov2(70),
            "out_indices": [1, 2, 3, 4],
            "reshape_hidden_states": False,
            "apply_layernorm": True,
        },
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=max_depth,
    )
    model = transformers.DepthAnythingForDepthEstimation(config)
    _randomise(model)
    if wall is not None:  # depth = max_depth * sigmoid(bias)
        torch.nn.init.zeros_(model.head.conv3.weight)
        torch.nn.init.constant_(model.head.conv3.bias, math.log(wall / (max_depth - wall)))
    return _save(
        folder,
        model,
        {
            "image_processor_type": "DPTImageProcessor",
            "size": {"height": 70, "width": 70},
            "keep_aspect_ratio": True,
            "ensure_multiple_of": 14,
            "resample": 3,
            "image_mean": MEAN,
            "image_std": STD,
        },
    )


def depth_pro(folder: Path, fov: bool = True) -> Path:
    """DepthPro: 112 px in patches of 28 px."""
    torch.manual_seed(1)
    part = {**dinov2(28), "patch_size": 7}
    config = transformers.DepthProConfig(
        patch_size=28,
        fusion_hidden_size=16,
        intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1],
        scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[16, 16, 8],
        merge_padding_value=1,
        use_fov_model=fov,
        image_model_config=part,
        patch_model_config=part,
        fov_model_config=part,
    )
    model = transformers.DepthProForDepthEstimation(config)
    _randomise(model)
    return _save(
        folder,
        model,
        {
            "image_processor_type": "DepthProImageProcessor",
            "size": {"height": 112, "width": 112},
            "resample": 2,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        },
    )


def zoedepth(folder: Path) -> Path:
    """ZoeDepth: a BEiT of 64 px, 16 px patches."""
    torch.manual_seed(2)
    config = transformers.ZoeDepthConfig(
        backbone_config={
            "model_type": "beit",
            "hidden_size": 24,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "intermediate_size": 48,
            "image_size": 64,
            "patch_size": 16,
            "use_relative_position_bias": True,
            "reshape_hidden_states": False,
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        },
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        bottleneck_features=16,
        num_relative_features=8,
        num_attractors=[4, 2, 2, 1],
        bin_embedding_dim=8,
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )
    model = transformers.ZoeDepthForDepthEstimation(config)
    _randomise(model)
    return _save(
        folder,
        model,
        {
            "image_processor_type": "ZoeDepthImageProcessor",
            "size": {"height": 64, "width": 96},
            "keep_aspect_ratio": True,
            "ensure_multiple_of": 32,
            "resample": 2,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        },
    )


def _randomise(model: transformers.PreTrainedModel) -> None:
    """Greater weights: as initialised, the output would hardly depend on the image."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0 / parameter[0].numel() ** 0.5)


def _save(folder: Path, model: transformers.PreTrainedModel, processor: dict[str, object]) -> Path:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder

"""SAM 2 through the real format with random weights: that proves the plumbing, not that its masks are good.

What the network computes is transformers' own; the filters are tested on masks drawn by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.perception.masks import load_mask_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIDE = 128  # px; of the published ones 1024
PROCESSOR = {
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": SIDE, "width": SIDE},
    "image_processor_type": "Sam2ImageProcessor",
}


def sections() -> dict:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [3],
    }
    sizes = [[SIDE // s, SIDE // s] for s in (4, 8, 16)]
    return {
        "vision_config": {
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": sizes,
            "fpn_hidden_size": 32,
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE, "mask_input_channels": 4},
        "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    }


def checkpoint(folder: Path, model_type: str = "sam2") -> Path:
    """A tiny SAM 2 as ``save_pretrained`` writes it."""
    torch.manual_seed(0)
    if model_type == "sam2":
        model = transformers.Sam2Model(transformers.Sam2Config(**sections()))
    else:
        memory = {
            "memory_attention_hidden_size": 32,
            "memory_attention_feed_forward_hidden_size": 32,
            "memory_encoder_hidden_size": 32,
            "memory_encoder_output_channels": 8,
            "memory_fuser_embed_dim": 32,
            "memory_fuser_intermediate_dim": 32,
            "image_size": SIDE,
        }
        model = transformers.Sam2VideoModel(transformers.Sam2VideoConfig(**sections(), **memory))
    with torch.no_grad():
        for weights in model.parameters():  # the usual first weights give masks that are nearly zero
            if weights.dim() > 1:
                weights.normal_(std=0.15)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder


def picture(width: int = 160, height: int = 120) -> np.ndarray:
    v, u = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    colours = [0.5 + 0.5 * np.sin(a * u + b * v) for a, b in ((5, 3), (9, -4), (-3, 7))]
    return np.round(255 * np.stack(colours, axis=2)).astype(np.uint8)


@pytest.mark.parametrize("model_type", ["sam2", "sam2_video"])
def test_the_decoder_is_prompted_as_transformers_is_by_the_book(tmp_path: Path, model_type: str) -> None:
    from proxy3d_core.perception.segment_anything import MaskFilter

    folder = checkpoint(tmp_path, model_type)
    model = load_mask_model(folder, "cpu")
    rgb = picture()
    logits, iou = model._decode(rgb, MaskFilter(points_per_side=4, least_iou=-1e9))
    assert logits.shape == (4 * 4 * 3, SIDE // 4, SIDE // 4) and iou.shape == (48,)
    # The same by pixel values and one prompt at a time: points in pixels of the model's image, x before y.
    book = transformers.Sam2Model.from_pretrained(folder).eval()
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(image, (SIDE, SIDE), mode="bilinear", antialias=True).round()
    mean, std = (torch.tensor(PROCESSOR[k])[:, None, None] for k in ("image_mean", "image_std"))
    pixels = (resized / 255 - mean) / std
    for row, column in ((0, 0), (1, 3), (3, 2)):
        point = torch.tensor([[[[(column + 0.5) * SIDE / 4, (row + 0.5) * SIDE / 4]]]])
        with torch.no_grad():
            expected = book(pixel_values=pixels, input_points=point, input_labels=torch.ones(1, 1, 1, dtype=torch.int))
        at = slice(3 * (4 * row + column), 3 * (4 * row + column) + 3)
        assert torch.allclose(logits[at], expected.pred_masks[0, 0], rtol=1e-2, atol=1e-2)
        assert torch.allclose(iou[at], expected.iou_scores[0, 0], rtol=1e-2, atol=1e-2)
    assert (logits[0] - logits[-1]).abs().max() > 0.1  # it does depend on the point


def test_masks_come_on_the_grid_that_is_asked_for(tmp_path: Path) -> None:
    from proxy3d_core.perception.segment_anything import MaskFilter

    model = load_mask_model(checkpoint(tmp_path), "cpu")
    every = MaskFilter(points_per_side=4, least_iou=-1e9, least_stability=0.0)
    masks = model.segment(picture(), (30, 40), every)
    assert masks.shape == (30, 40) and masks.dtype == np.int32
    assert masks.max() > 0
    nothing = MaskFilter(points_per_side=2, least_iou=1e9)
    assert (model.segment(picture(), (30, 40), nothing) == 0).all()
    with pytest.raises(BadInput, match="uint8"):
        model.segment(picture().astype(np.float32), (3, 4))


def drawn(*boxes: tuple[int, int, int, int], soft: float = 8.0) -> torch.Tensor:
    """Logits of boxes (top, bottom, left, right) on 32 x 32 pixels."""
    out = torch.full((len(boxes), 32, 32), -soft)
    for i, (top, bottom, left, right) in enumerate(boxes):
        out[i, top:bottom, left:right] = soft
    return out


def test_of_two_masks_of_one_thing_the_surer_stays_and_crossing_things_are_two() -> None:
    from proxy3d_core.perception.segment_anything import MaskFilter, best_masks

    # A board twice, 14 of 16 rows shared: IoU 14/16 = 0.875; a bar across it and one along it whose boxes overlap.
    logits = drawn((4, 20, 4, 12), (4, 18, 4, 12), (0, 32, 20, 22), (14, 16, 0, 32))
    iou = torch.tensor([0.85, 0.95, 0.9, 0.92])
    masks = best_masks(logits, iou, MaskFilter())
    assert [int(m.sum()) for m in masks] == [14 * 8, 2 * 32, 2 * 32]  # by predicted IoU
    assert len(best_masks(logits, iou, MaskFilter(most_overlap=0.9))) == 4


def test_masks_that_hang_on_the_threshold_go() -> None:
    from proxy3d_core.perception.segment_anything import MaskFilter, best_masks

    sharp, soft = drawn((2, 12, 2, 12)), drawn((14, 30, 14, 30))
    soft[0, 14:30, 28:30] = 0.5  # 32 of 256 pixels are gone at threshold 1: 224 / 256 = 0.875 < 0.95
    masks = best_masks(torch.cat([sharp, soft]), torch.tensor([0.9, 0.95]), MaskFilter())
    assert [int(m.sum()) for m in masks] == [100]
    assert len(best_masks(torch.cat([sharp, soft]), torch.tensor([0.9, 0.95]), MaskFilter(least_stability=0.85))) == 2


def test_a_cell_takes_the_mask_with_the_largest_area_in_it() -> None:
    from proxy3d_core.perception.segment_anything import on_grid

    drawer, cabinet = (0, 8, 0, 16), (0, 32, 0, 16)  # the surer first
    masks = drawn(drawer, cabinet) > 0
    assert on_grid(masks, (4, 4)).tolist() == [[1, 1, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0]]
    # 5 of 8 columns of a cell are in a mask, 3 of 8 of the one below it.
    assert on_grid(drawn((0, 8, 0, 5), (8, 16, 0, 3)) > 0, (4, 4))[:2, 0].tolist() == [1, 0]
    assert on_grid(masks[:0], (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_what_is_wrong_with_a_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_mask_model(tmp_path / "nowhere")
    folder = checkpoint(tmp_path / "sam")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "clip"}))
    with pytest.raises(ModelError, match=r"model_type 'clip'.*SAM 2"):
        load_mask_model(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        load_mask_model(folder)


def test_masks_can_be_imported_without_torch() -> None:
    code = "import sys, proxy3d_core.perception.masks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_live_scene_asks_the_model_that_is_configured(tmp_path: Path) -> None:
    from rooms import Room, Thing, look

    from proxy3d_core.config import Config
    from proxy3d_core.scene.state import SceneState

    box = Thing("box", (1.5, 0.0, 0.5), (0.4, 1.0, 1.0))
    frame = Room([box]).render(look((0.0, 0.0, 1.2), (1.5, 0.0, 0.6)), 0.0)
    settings = {"perception.segmenter": str(checkpoint(tmp_path)), "perception.segmenter_device": "cpu"}
    settings["encoder.source"] = "appearance"
    scene = SceneState(Config.from_flat(settings))
    scene.update(frame)
    scene.refresh()
    assert {"segmenter", "instances"} <= scene.times.summary().keys()
    with pytest.raises(ModelError, match="does not exist"):
        SceneState(Config.from_flat({"perception.segmenter": str(tmp_path / "nowhere")}))

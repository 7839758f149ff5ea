"""Towers against transformers called by the book, and against the geometry of the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny_models import DINOV3_PROCESSOR, KINDS, make_model, make_processor

from proxy3d_core.encoders import load_encoder
from proxy3d_core.errors import BadInput

torch = pytest.importorskip("torch")

STAGES = [(kind, stage) for kind in KINDS for stage in (("merged", "patches") if "qwen" in kind else ("patches",))]
CELL = {"qwen2_5_vl": 28, "siglip": 16, "siglip2": 16, "dinov2": 14, "dinov2_with_registers": 14, "dinov3_vit": 16}
ROWS, COLUMNS = 6, 10  # of qwen's merged cells: windows of 4x4 are cut off on both sides


def pictures(kind: str, count: int = 2) -> NDArray[np.uint8]:
    """Noise of just the size that needs no resizing for ROWS x COLUMNS cells (of Qwen2.5-VL: merged ones)."""
    size = (count, ROWS * CELL[kind], COLUMNS * CELL[kind], 3)
    return np.random.default_rng(5).integers(0, 256, size, dtype=np.uint8)


def by_the_book(kind: str, stage: str, images: NDArray[np.uint8]) -> Any:
    """(N, h, w, C) as transformers' own preprocessing and model give it, put into a grid by hand."""
    model, processor = make_model(kind), make_processor(kind)
    films = [Image.fromarray(image) for image in images]
    with torch.no_grad():
        if kind == "qwen2_5_vl":
            inputs = processor(films, return_tensors="pt")
            assert inputs.image_grid_thw.tolist() == [[1, 2 * ROWS, 2 * COLUMNS]] * len(images)
            output = model.model.get_image_features(inputs.pixel_values, inputs.image_grid_thw)
            if stage == "merged":
                return torch.stack(output.pooler_output).reshape(len(images), ROWS, COLUMNS, -1)
            return qwen_patches(output.last_hidden_state.reshape(len(images), 4 * ROWS * COLUMNS, -1))
        if kind == "siglip2":
            inputs = processor(films, max_num_patches=ROWS * COLUMNS, return_tensors="pt")
            assert inputs.spatial_shapes.tolist() == [[ROWS, COLUMNS]] * len(images)
            tokens = model.vision_model(**inputs).last_hidden_state
        elif kind == "siglip":
            pixels = processor(films, do_resize=False, return_tensors="pt").pixel_values
            tokens = model.vision_model(pixels, interpolate_pos_encoding=True).last_hidden_state
        elif kind == "dinov3_vit":
            mean, std = (torch.tensor(DINOV3_PROCESSOR[name]) for name in ("image_mean", "image_std"))
            pixels = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
            tokens = model(pixels).last_hidden_state[:, 5:]
        else:
            pixels = processor(films, do_resize=False, do_center_crop=False, return_tensors="pt").pixel_values
            tokens = model(pixels).last_hidden_state[:, 1 if kind == "dinov2" else 5 :]
    return tokens.reshape(len(images), ROWS, COLUMNS, -1)


def qwen_patches(tokens: Any) -> Any:
    """The tokens of Qwen2.5-VL before the merger: windows of 4x4 merged cells, in them cells, in them 2x2 patches."""
    grid = torch.full((len(tokens), 2 * ROWS, 2 * COLUMNS, tokens.shape[-1]), torch.nan)
    order = iter(range(tokens.shape[1]))
    for top in range(0, ROWS, 4):
        for left in range(0, COLUMNS, 4):
            for i in range(top, min(top + 4, ROWS)):
                for j in range(left, min(left + 4, COLUMNS)):
                    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
                        grid[:, 2 * i + y, 2 * j + x] = tokens[:, next(order)]
    return grid


def own_grid(kind: str, stage: str) -> tuple[int, int]:
    return (2 * ROWS, 2 * COLUMNS) if (kind, stage) == ("qwen2_5_vl", "patches") else (ROWS, COLUMNS)


@pytest.mark.parametrize(("kind", "stage"), STAGES)
def test_features_are_those_of_transformers(checkpoints: dict[str, Path], kind: str, stage: str) -> None:
    images = pictures(kind)
    encoder = load_encoder(checkpoints[kind], stage=stage, device="cpu", cells=own_grid(kind, stage))
    features = encoder.encode(images)
    expected = by_the_book(kind, stage, images)
    assert encoder.grid(*images.shape[1:3]) == own_grid(kind, stage)
    assert features.shape == (2, *own_grid(kind, stage), encoder.channels)
    torch.testing.assert_close(features, expected, atol=2e-5, rtol=1e-4)
    # every cell is unlike all others, so that an exchange of cells would show
    flat = expected[0].flatten(0, 1)
    assert torch.cdist(flat, flat).fill_diagonal_(9).min() > 1e-2


def test_merging_the_patches_gives_the_merged_cells(checkpoints: dict[str, Path]) -> None:
    """The two stages of Qwen2.5-VL agree: its own merger takes one to the other."""
    images = pictures("qwen2_5_vl")
    patches = load_encoder(checkpoints["qwen2_5_vl"], stage="patches", cells=(2 * ROWS, 2 * COLUMNS)).encode(images)
    merged = load_encoder(checkpoints["qwen2_5_vl"], stage="merged", cells=(ROWS, COLUMNS)).encode(images)
    blocks = patches.reshape(2, ROWS, 2, COLUMNS, 2, -1).permute(0, 1, 3, 2, 4, 5).reshape(-1, patches.shape[-1])
    with torch.no_grad():
        expected = make_model("qwen2_5_vl").model.visual.merger(blocks).reshape(merged.shape)
    torch.testing.assert_close(merged, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", [(0, 0), (0, 5), (1, 4), (3, 0), (3, 5), (2, 3)])
@pytest.mark.parametrize(("kind", "stage"), STAGES)
def test_a_cell_sees_its_part_of_the_image(
    checkpoints: dict[str, Path], kind: str, stage: str, cell: tuple[int, int]
) -> None:
    """Cell (i, j) covers rows [i*H/h, (i+1)*H/h) and columns [j*W/w, (j+1)*W/w), also where the image is resized."""
    (height, width), (rows, columns), (i, j) = (200, 330), (4, 6), cell
    grey = np.full((height, width, 3), 120, np.uint8)
    grey += np.random.default_rng(1).integers(0, 20, grey.shape, dtype=np.uint8)
    painted = grey.copy()
    painted[i * height // rows : (i + 1) * height // rows, j * width // columns : (j + 1) * width // columns] = (
        250,
        20,
        90,
    )
    encoder = load_encoder(checkpoints[kind], stage=stage, device="cpu", cells=(rows, columns))
    before, after = encoder.encode([grey, painted])
    change = (after - before).norm(dim=-1)
    assert divmod(int(change.argmax()), columns) == cell


@pytest.mark.parametrize(("kind", "stage"), STAGES)
def test_a_batch_is_its_images(checkpoints: dict[str, Path], kind: str, stage: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 90, 120, 3), dtype=np.uint8)
    whole, parts = (load_encoder(checkpoints[kind], stage=stage, cells=48, batch=batch) for batch in (5, 2))
    at_once, in_parts = whole.encode(images), parts.encode(list(images))
    alone = torch.cat([whole.encode(images[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(at_once, in_parts, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(at_once, alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("kind", "stage"), STAGES)
def test_half_precision(checkpoints: dict[str, Path], kind: str, stage: str, dtype: str) -> None:
    image = pictures(kind, 1)
    exact = load_encoder(checkpoints[kind], stage=stage, device="cpu", cells=60).encode(image)
    half = load_encoder(checkpoints[kind], stage=stage, device="cpu", dtype=dtype, cells=60).encode(image)
    assert exact.dtype == torch.float32
    assert half.dtype == getattr(torch, dtype)
    likeness = torch.nn.functional.cosine_similarity(exact, half.float(), dim=-1)
    assert likeness.min() > 0.98  # bfloat16 has 8 bits, through three layers


@pytest.mark.parametrize("kind", ["siglip", "dinov3_vit", "qwen2_5_vl"])
def test_resizing_is_that_of_the_image_processor(checkpoints: dict[str, Path], kind: str) -> None:
    """Against PIL, which rounds between its two passes: at most one level of 255, hardly ever two."""
    photo = np.random.default_rng(2).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    photo = np.array(Image.fromarray(photo).resize((320, 240), Image.Resampling.BICUBIC))
    encoder: Any = load_encoder(checkpoints[kind], cells=(3, 4))
    size = (3 * CELL[kind], 4 * CELL[kind])
    ours = encoder._normalise(torch.from_numpy(photo[None]), size)[0].permute(1, 2, 0)
    way = Image.Resampling.BILINEAR if kind == "dinov3_vit" else Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(photo).resize(size[::-1], way))
    mean, std = (np.array(encoder._normalise.mean), np.array(encoder._normalise.std))
    levels = np.abs((ours.numpy() * std + mean) * 255 - resized)
    assert levels.max() < 2.01
    assert (levels < 1.01).mean() > 0.999


def test_nothing_is_trained_by_accident(checkpoints: dict[str, Path]) -> None:
    """Features carry no gradient, but what is added to them (a position code) can be trained."""
    encoder: Any = load_encoder(checkpoints["dinov2"])
    features = encoder.encode(pictures("dinov2", 1))
    assert not features.requires_grad
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())
    code = torch.zeros(encoder.channels, requires_grad=True)
    ((features + code) ** 2).sum().backward()
    assert code.grad is not None


def test_an_array_that_may_not_be_written_is_read(
    checkpoints: dict[str, Path], recwarn: pytest.WarningsRecorder
) -> None:
    images = pictures("dinov2", 1)
    images.flags.writeable = False
    load_encoder(checkpoints["dinov2"]).encode(images)
    assert not [w for w in recwarn if "writ" in str(w.message)]


def test_half_of_a_merged_cell_is_no_grid(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match=r"3x4 does not fit.*multiples of 2"):
        load_encoder(checkpoints["qwen2_5_vl"], stage="patches", cells=(3, 4))
    with pytest.raises(BadInput, match="3 cells are too few"):
        load_encoder(checkpoints["qwen2_5_vl"], stage="patches", cells=3)
    assert load_encoder(checkpoints["qwen2_5_vl"], stage="patches", cells=1344).grid(480, 640) == (32, 42)

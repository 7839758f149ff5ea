"""The arithmetic of the grid, against every grid there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy3d_core.encoders import load_encoder, to_numpy
from proxy3d_core.encoders.base import finest_grid
from proxy3d_core.errors import BadInput


@pytest.mark.parametrize(
    ("size", "cells", "grid"),
    [
        ((480, 640), 336, (16, 21)),  # Proxy3D, the cheap setting
        ((480, 640), 1344, (32, 42)),  # and the full one
        ((968, 1296), 1344, (32, 42)),  # ScanNet's colour images
        ((448, 448), 1024, (32, 32)),  # a tile of SR-3D
        ((640, 480), 336, (21, 16)),
        ((720, 1280), 144, (9, 16)),
        ((720, 1280), 1, (1, 1)),
        ((1, 1000), 50, (1, 50)),
        ((1000, 1), 50, (50, 1)),
    ],
)
def test_grids_of_the_papers(size: tuple[int, int], cells: int, grid: tuple[int, int]) -> None:
    assert load_encoder(cells=cells).grid(*size) == grid


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), cells=st.integers(1, 60))
def test_no_grid_is_finer_in_its_coarser_direction(height: int, width: int, cells: int) -> None:
    rows, columns = finest_grid(height, width, cells)
    assert 1 <= rows * columns <= cells
    best = max(min(h / height, w / width) for h in range(1, cells + 1) for w in range(1, cells // h + 1))
    assert min(rows / height, columns / width) == pytest.approx(best)


@given(height=st.integers(200, 2000), width=st.integers(200, 2000))
def test_cells_are_nearly_square(height: int, width: int) -> None:
    rows, columns = finest_grid(height, width, 1344)
    assert 0.8 < (height / rows) / (width / columns) < 1.25


def test_a_grid_that_is_asked_for_is_given() -> None:
    encoder = load_encoder(cells=(5, 9))
    assert encoder.grid(480, 640) == encoder.grid(10, 3000) == (5, 9)
    for cells in ((0, 4), (4, -1), 0):
        with pytest.raises(BadInput):
            load_encoder(cells=cells)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "no image"),
        (np.zeros((0, 4, 4, 3), np.uint8), "no image"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)], "different sizes"),
        (np.zeros((4, 4, 3), np.uint8), "must be"),
        (np.zeros((1, 4, 4, 4), np.uint8), "must be"),
        (np.zeros((1, 4, 4), np.uint8), "must be"),
        (np.zeros((1, 0, 4, 3), np.uint8), "must be"),
        (np.zeros((1, 4, 4, 3), np.float32), "must be .* not .* float32"),
    ],
)
def test_images_that_are_none(images: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_encoder().encode(images)  # type: ignore[arg-type]


def test_features_as_an_array() -> None:
    features = np.ones((1, 2, 3, 4), np.float32)
    assert to_numpy(features) is features
    torch = pytest.importorskip("torch")
    half = torch.full((1, 2, 3, 4), 0.5, dtype=torch.bfloat16)
    assert to_numpy(half).dtype == np.float32
    assert (to_numpy(half) == 0.5).all()

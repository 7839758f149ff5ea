"""Built-in features: colour against CIELAB by its definition, edges and cells against geometry."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from proxy3d_core.encoders import AppearanceEncoder, load_encoder


def encoder(cells: int | tuple[int, int] = (3, 4)) -> AppearanceEncoder:
    made = load_encoder(cells=cells)
    assert isinstance(made, AppearanceEncoder)
    return made


def uniform(*rgb: int) -> np.ndarray:
    return np.full((1, 60, 80, 3), rgb, np.uint8)


@pytest.mark.parametrize(
    ("rgb", "lab"),  # CIE 1976 L*a*b* of sRGB primaries under D65, as tabulated in every text book
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
    ],
)
def test_colour_is_cielab(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    features = encoder().encode(uniform(*rgb))
    assert features.shape == (1, 3, 4, 10)
    np.testing.assert_allclose(features[..., :3], np.broadcast_to(np.array(lab) / 100, (1, 3, 4, 3)), atol=0.005)
    np.testing.assert_allclose(features[..., 3:], 0, atol=1e-3)


def test_spread_of_black_and_white() -> None:
    """Half of each cell black, half white: lightness 0 and 100, so mean 50 and deviation 50."""
    image = uniform(0, 0, 0)
    image[:, :, (np.arange(80) % 20) >= 10] = 255
    features = encoder().encode(image)
    np.testing.assert_allclose(features[..., 0], 0.5, atol=0.01)
    np.testing.assert_allclose(features[..., 3], 0.5, atol=0.01)


@pytest.mark.parametrize(("slope", "direction"), [((0, 1), 0), ((1, 1), 1), ((1, 0), 2), ((1, -1), 3)])
def test_edges_by_direction(slope: tuple[int, int], direction: int) -> None:
    """A ramp of lightness along (down, right) has its gradient there and nowhere else."""
    y, x = np.mgrid[:96, :96]
    ramp = slope[0] * y + slope[1] * x
    ramp = (ramp - ramp.min()) / np.ptp(ramp) * 200
    features = encoder((4, 4)).encode(np.repeat(ramp[None, ..., None], 3, axis=-1).astype(np.uint8))
    edges = features[0, 1:-1, 1:-1, 6:10]
    assert (edges.argmax(-1) == direction).all()
    assert (edges.max(-1) > 3 * np.delete(edges, direction, -1).max(-1)).all()


@pytest.mark.parametrize("cell", [(0, 0), (2, 3), (1, 2), (2, 0)])
def test_a_cell_sees_its_part_of_the_image(cell: tuple[int, int]) -> None:
    grey = uniform(120, 120, 120)[0]
    painted = grey.copy()
    painted[cell[0] * 20 : (cell[0] + 1) * 20, cell[1] * 20 : (cell[1] + 1) * 20] = 250, 20, 90
    before, after = encoder().encode([grey, painted])
    change = np.linalg.norm((after - before)[..., :3], axis=-1)
    assert np.unravel_index(change.argmax(), change.shape) == cell
    change[cell] = 0
    np.testing.assert_allclose(change, 0, atol=1e-3)


def test_features_hardly_depend_on_the_cameras_resolution() -> None:
    small = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), dtype=np.uint8)
    large = small.repeat(10, axis=1).repeat(10, axis=2)
    np.testing.assert_allclose(encoder().encode(small), encoder().encode(large), atol=0.02)


@pytest.mark.data
def test_pictures_of_one_place_are_alike(data_dir: Path) -> None:
    """In a real sequence a picture is more like the next one than like any taken far away in time."""
    files = sorted((data_dir / "redkitchen").rglob("*.color.jpg"))
    pictures = [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in (*files[:2], *files[10::20])]
    features = load_encoder().encode(pictures)
    assert features.shape[1:] == (16, 21, 10)
    assert np.isfinite(features).all()
    distance = np.linalg.norm(features[1:] - features[0], axis=-1).mean((1, 2))
    assert distance[0] < distance[1:].min()

"""Patch points: on the true surfaces of rooms known in closed form, and not in air that other real frames saw empty."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from rooms import Room, Thing, look

from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Frame
from proxy3d_core.geometry import Intrinsics
from proxy3d_core.geometry.camera import project, unproject
from proxy3d_core.geometry.transforms import invert, transform_points
from proxy3d_core.perception.level import estimate_up
from proxy3d_core.perception.patch_points import patch_points
from proxy3d_core.sequences import frames, open_sequence

VGA = Intrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)
GRID = (32, 42)
FURNISHED = Room(
    [
        Thing("chair", (0.5, 0.3, 0.45), (0.5, 0.5, 0.9), 0.4),
        Thing("table", (-1.0, -0.5, 0.4), (1.2, 0.8, 0.8)),
        Thing("pole", (0.2, -1.0, 0.8), (0.05, 0.05, 1.6)),
    ]
)


def distance_to_surface(room: Room, points: np.ndarray) -> np.ndarray:
    """Distance of points (N, 3) to the nearest wall, floor, ceiling or face of a box."""
    half = np.array(room.size) / 2
    nearest = np.abs(np.abs(points - (0, 0, half[2])) - half).min(axis=1)
    for thing in room.things:
        beyond = np.abs((points - thing.box.center) @ thing.box.rotation) - thing.box.size / 2
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
        nearest = np.minimum(nearest, np.abs(outside))
    return nearest


def cell_means(frame: Frame, grid: tuple[int, int]) -> np.ndarray:
    """What is not wanted: the mean of all points of a cell, (N, 3)."""
    h, w = grid
    height, width = frame.depth.shape
    points = unproject(frame.depth, frame.intrinsics)
    good = (frame.depth > 0.25) & (frame.depth < 5.0)
    cell = ((np.arange(height) * h // height)[:, None] * w + np.arange(width) * w // width)[good]
    count = np.bincount(cell, minlength=h * w)
    mean = np.stack([np.bincount(cell, column, h * w) for column in points[good].T], axis=1) / count.clip(1)[:, None]
    return transform_points(frame.pose, mean[count > 0])


@pytest.mark.parametrize("eye", [(2.0, 1.5, 1.4), (-2.0, 1.0, 1.2), (0.0, -2.0, 0.3)])
def test_points_lie_on_true_surfaces(eye: tuple[float, float, float]) -> None:
    """Within 8 mm, a pixel's footprint at 4 m; means of cells are off by decimetres at the same edges."""
    frame = FURNISHED.render(look(eye, (0, 0, 0.4)), 0.0, VGA)
    found = patch_points(frame, GRID, max_depth=8.0)
    assert found.points.shape == (*GRID, 3) and found.points.dtype == np.float32
    assert found.valid.mean() > 0.99
    assert distance_to_surface(FURNISHED, found.points[found.valid]).max() < 0.008
    assert distance_to_surface(FURNISHED, cell_means(frame, GRID)).max() > 0.2


def test_smeared_edges_give_no_points() -> None:
    """Depth interpolated across edges, as monocular models and bilinear resizing do: still on the surfaces."""
    room = Room([Thing("cupboard", (0.0, 0.0, 1.0), (0.8, 0.6, 2.0))])
    sharp = room.render(look((2.4, 0.3, 1.2), (0, 0, 1.1)), 0.0, VGA)
    depth = sharp.depth
    for shift in (1, 2):
        depth = (depth + np.roll(depth, shift, 1) + np.roll(depth, -shift, 1)) / 3
    frame = Frame(0, depth.astype(np.float32), VGA, sharp.pose)
    found = patch_points(frame, GRID, max_depth=8.0)
    inner = found.valid.copy()
    inner[:, [0, -1]] = False  # np.roll wraps around at the border
    assert distance_to_surface(room, found.points[inner]).max() < 0.015
    assert inner.mean() > 0.85


def test_the_larger_surface_of_a_cell_wins_and_the_nearer_of_equals() -> None:
    """Two fronto-parallel planes at 1 m and 2 m, 60 % and 50 % of a cell; no pixel of the other one counts."""
    camera = Intrinsics(40, 20, 100.0, 100.0, 19.5, 9.5)
    depth = np.full((20, 40), 2.0, np.float32)
    depth[:, :8] = 1.0  # 8 of 20 columns: the far plane is larger
    depth[:, 20:32] = 1.0  # 12 of 20: the near one
    found = patch_points(Frame(0, depth, camera, np.eye(4)), (1, 2))
    assert found.points[0, :, 2].tolist() == [2.0, 1.0]
    depth[:, :10] = 1.0
    assert patch_points(Frame(0, depth, camera, np.eye(4)), (1, 2)).points[0, 0, 2] == 1.0


def test_a_point_projects_into_its_cell_under_any_pose() -> None:
    frame = FURNISHED.render(look((2.0, 1.5, 1.4), (0, 0, 0.4)), 0.0, VGA)
    found = patch_points(frame, (16, 21), max_depth=8.0)
    pixels, _ = project(transform_points(invert(frame.pose), found.points[found.valid]), VGA)
    row, column = np.nonzero(found.valid)
    cell = np.floor((pixels + 0.5) / (640 / 21, 480 / 16)).astype(int)
    assert (cell == np.stack([column, row], axis=1)).all()


def test_noise_is_halved() -> None:
    """A wall at 3 m under noise of 1 cm: the median of nine has 0.41 of its deviation (order statistics)."""
    rng = np.random.default_rng(0)
    depth = (3 + rng.normal(scale=0.01, size=(480, 640))).astype(np.float32)
    found = patch_points(Frame(0, depth, VGA, np.eye(4)), GRID)
    assert found.valid.all()
    assert found.points[..., 2].std() < 0.006


@pytest.mark.parametrize(("depth", "share"), [(0.0, 0.0), (0.2, 0.0), (6.0, 0.0), (2.0, 1.0)])
def test_cells_without_depth_in_range_are_invalid(depth: float, share: float) -> None:
    found = patch_points(Frame(0, np.full((480, 640), depth, np.float32), VGA, np.eye(4)), GRID)
    assert found.valid.mean() == share
    assert np.isfinite(found.points).all() and (found.points[~found.valid] == 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hole", [0.0, np.nan, np.inf, -1.0])
def test_holes_of_any_kind(hole: float) -> None:
    depth = np.full((480, 640), 2.0, np.float32)
    depth[:240] = hole
    found = patch_points(Frame(0, depth, VGA, np.eye(4)), GRID)
    assert not found.valid[:16].any() and found.valid[16:].all()
    assert (found.points[16:, :, 2] == 2.0).all()


def test_a_speck_of_depth_is_not_enough() -> None:
    depth = np.zeros((480, 640), np.float32)
    depth[100:105, 100:105] = 2.0
    assert not patch_points(Frame(0, depth, VGA, np.eye(4)), GRID).valid.any()


@pytest.mark.parametrize("grid", [(1, 1), (7, 9), (480, 640), (500, 700)])
def test_any_grid(grid: tuple[int, int]) -> None:
    found = patch_points(Frame(0, np.full((480, 640), 2.0, np.float32), VGA, np.eye(4)), grid)
    assert found.valid.shape == grid and found.valid.all()


def test_impossible_grids_are_named() -> None:
    frame = Frame(0, np.ones((480, 640), np.float32), VGA, np.eye(4))
    with pytest.raises(BadInput, match="at least one"):
        patch_points(frame, (0, 4))
    tiny = Frame(0, np.ones((2, 640), np.float32), Intrinsics(640, 2, 525, 525, 319.5, 0.5), np.eye(4))
    with pytest.raises(BadInput, match="3x3"):
        patch_points(tiny, (1, 1))


def seen_through(points: np.ndarray, others: list[Frame]) -> np.ndarray:
    """Which points (N, 3) hang where at least half of the frames that look there, and at least two, see farther."""
    looks, through = np.zeros(len(points)), np.zeros(len(points))
    for other in others:
        pixels, z = project(transform_points(invert(other.pose), points), other.intrinsics)
        u, v = np.round(np.nan_to_num(pixels, nan=-9)).astype(int).T
        height, width = other.depth.shape
        ahead = (z > 0.3) & (u >= 2) & (u < width - 2) & (v >= 2) & (v < height - 2)
        around = np.arange(-2, 3)
        rows = np.where(ahead, v, 2)[:, None, None] + around[:, None]
        nearest = other.depth[rows, np.where(ahead, u, 2)[:, None, None] + around].min(axis=(1, 2))
        looks += ahead & (nearest > 0)
        through += ahead & (nearest > z + 0.03 + 0.03 * z)
    return (through >= 2) & (through >= looks / 2)


@pytest.mark.data
@pytest.mark.parametrize("name", ["redkitchen", "livingroom1"])
def test_few_points_fly_in_real_rooms(data_dir: Path, name: str) -> None:
    """Other frames of the same camera saw the air: at most a third as many points hang in it as cell means."""
    sequence = open_sequence(data_dir / name)
    recorded = list(frames(sequence, estimate_up(sequence)))
    own, means, total = 0, 0, 0
    for i in range(20, len(recorded) - 20, math.ceil(len(recorded) / 6)):
        others = [recorded[j] for j in range(i - 20, i + 21, 5) if j != i]
        found = patch_points(recorded[i], GRID)
        own += int(seen_through(found.points[found.valid].astype(np.float64), others).sum())
        means += int(seen_through(cell_means(recorded[i], GRID), others).sum())
        total += int(found.valid.sum())
    assert means > 0.01 * total
    assert own * 3 < means and own < 0.01 * total

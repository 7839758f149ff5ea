"""Floor, walls and ceiling among the voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.scene.snapshot import BACKGROUND, CEILING, FLOOR, WALL
from proxy3d_core.scene.surface import Surface

FLOOR_BAND = 0.04
"""Voxels this little above the floor belong to it [m]."""

_WALL_BAND = 0.06
_WALL_THICKNESS = 0.09  # to either side: depth noise at the far end of a room
_WALL_SAMPLES = 10_000
_IN_PLANE = 0.04
_MIN_WALL_AREA = 1.0
_MIN_WALL_LENGTH = 0.9
_MIN_WALL_TOP = 1.5
_LONG_WALL_LENGTH = 2.0  # a camera that looks down sees little of a wall's height
_LONG_WALL_TOP = 0.9
_MOST_BEHIND = 0.05  # voxels behind it, as a share of its own
_MIN_CEILING = 1.9


@dataclass(frozen=True, eq=False)
class WallPlane:
    """A wall on the floor plane: ``normal @ p == offset`` for points p (2,) of it.

    Attributes:
        normal: (2,) unit vector into the room.
        offset: metres.
        start, end: where it was seen along its direction (-normal[1], normal[0]), metres.
    """

    normal: NDArray[np.float64]
    offset: float
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Structure:
    """The shell of the room.

    Attributes:
        floor: height of the floor, or None.
        on_floor, on_wall, on_ceiling: (N,) masks over the surface.
        walls: the planes that ``on_wall`` lies on.
    """

    floor: float | None
    on_floor: NDArray[np.bool_]
    on_wall: NDArray[np.bool_]
    on_ceiling: NDArray[np.bool_]
    walls: tuple[WallPlane, ...] = ()

    def groups(self) -> NDArray[np.int64]:
        """(N,) FLOOR, WALL, CEILING, or BACKGROUND for the rest."""
        parts = [self.on_floor, self.on_ceiling, self.on_wall]
        return np.select(parts, [FLOOR, CEILING, WALL], BACKGROUND).astype(np.int64)


def find_structure(
    surface: Surface,
    thing: NDArray[np.bool_],
    robot_height: float | None,
    deep: NDArray[np.bool_] | None = None,
) -> Structure:
    """Find floor, walls and ceiling.

    Args:
        surface: the voxels.
        thing: (N,) voxels that the segmenter firmly gives to an object class: a table top is no floor.
        robot_height: z of the robot's base if it is known: the floor is near it.
        deep: (N,) those of them whose class stands out from a wall: in its very plane they are wall.
    """
    z, up = surface.position[:, 2], surface.normal[:, 2]
    floor = floor_height(z[(up > 0.75) & ~thing], surface.size, robot_height, z)
    none = np.zeros(len(surface), bool)
    if floor is None:
        on_wall, walls = find_walls(surface, thing, float(z.min()) if len(z) else 0.0, deep)
        return Structure(None, none, on_wall, none, walls)
    on_floor = (z < floor + FLOOR_BAND) | ((z < floor + 2 * FLOOR_BAND) & (up > 0.9) & ~thing)
    on_ceiling = (z > floor + _MIN_CEILING) & (up < -0.75) & ~thing
    level = on_floor | on_ceiling
    on_wall, walls = find_walls(surface, thing | level, floor, None if deep is None else deep & ~level)
    return Structure(floor, on_floor, on_wall, on_ceiling, walls)


def floor_height(
    level: NDArray[np.float32], size: float, robot_height: float | None, everything: NDArray[np.float32]
) -> float | None:
    """Height of the lowest large horizontal surface, or None.

    Args:
        level: (M,) heights of upward-facing voxels.
        size: voxel edge.
        robot_height: where the robot stands, if known.
        everything: (N,) heights of all voxels: next to nothing lies below a floor.
    """
    if robot_height is not None:
        level = level[np.abs(level - robot_height) < 0.15]
    least = 0.15 / size**2  # voxels of 0.15 m^2
    if len(level) < least:
        return None
    low = float(level.min())
    histogram = np.bincount(((level - low) / size).astype(np.int64))
    smooth = np.convolve(histogram, [1, 1, 1], mode="same")
    for b in np.flatnonzero(smooth >= max(least, 0.25 * smooth.max())):
        if robot_height is None and (everything < low + (b - 2) * size).mean() > 0.02:
            break
        near = level[np.abs(level - (low + (b + 0.5) * size)) < 2 * size]
        height = float(np.median(near))
        return float(np.median(level[np.abs(level - height) < size]))
    return None


def find_walls(
    surface: Surface, not_wall: NDArray[np.bool_], floor: float, deep: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.bool_], tuple[WallPlane, ...]]:
    """(N,) voxels on large vertical planes that reach up, and the planes: walls, not the fronts of furniture.

    Of ``not_wall`` those that are ``deep`` are wall in the plane itself. Planes are peaks of a Hough transform over
    (direction, offset) on the floor plane, strongest first.
    """
    on_wall = np.zeros(len(surface), bool)
    walls: list[WallPlane] = []
    vertical = np.flatnonzero((np.abs(surface.normal[:, 2]) < 0.35) & ~not_wall)
    least = _MIN_WALL_AREA / surface.size**2
    if len(vertical) < least:
        return on_wall, ()
    step = -(-len(vertical) // _WALL_SAMPLES)  # planes are large: a sample finds them
    vertical, least = vertical[::step], least / step
    p, n = surface.position[vertical].astype(np.float64), surface.normal[vertical]
    angle = np.arctan2(n[:, 1], n[:, 0]) % np.pi
    direction_bins, offset_step = 90, 0.04
    index = np.minimum((angle / np.pi * direction_bins).astype(np.int64), direction_bins - 1)
    left = np.ones(len(vertical), bool)
    center = p[:, :2].mean(axis=0)
    for _ in range(16):
        theta = (index + 0.5) * np.pi / direction_bins
        offset = (p[:, 0] - center[0]) * np.cos(theta) + (p[:, 1] - center[1]) * np.sin(theta)
        bins = np.floor(offset / offset_step).astype(np.int64)
        low = int(bins.min())
        width = int(bins.max()) - low + 1
        votes = np.bincount((index * width + bins - low)[left], minlength=direction_bins * width)
        peak = int(votes.argmax())
        if votes[peak] < 0.1 * least:
            break
        normal, distance = _fit_line(p, left, peak // width, (peak % width + low + 0.5) * offset_step, center)
        gap = np.abs((p[:, :2] - center) @ normal - distance)
        facing = np.abs(n[:, :2] @ normal) > 0.7
        inlier = left & (gap < _WALL_BAND) & facing
        left &= ~((gap < _WALL_BAND) & facing)
        left[(index == peak // width) & (bins == peak % width + low)] = False
        if inlier.sum() < least:
            continue
        direction = np.array([-normal[1], normal[0]])
        along = p[inlier, :2] @ direction
        first, last = along.min() - 0.05, along.max() + 0.05
        length = np.quantile(along, 0.98) - np.quantile(along, 0.02)
        top = np.quantile(p[inlier, 2], 0.98) - floor
        q = surface.position[:, :2].astype(np.float64)
        offset_of_all = (q - center) @ normal - distance
        beside = (q @ direction > first) & (q @ direction < last)
        # Normals look into the room: behind a wall nothing is seen, behind furniture there is a wall.
        into = np.sign((n[inlier, :2] @ normal).sum())
        inward = into * offset_of_all
        behind = (beside & (inward < -2 * _WALL_THICKNESS)).sum() / inlier.sum() / step
        tall = length >= _MIN_WALL_LENGTH and top >= _MIN_WALL_TOP
        if tall or (length >= _LONG_WALL_LENGTH and top >= _LONG_WALL_TOP and behind < _MOST_BEHIND):
            # Everything in the plane's band and extent is wall, whatever its normal: skirting, sockets, noise.
            on_wall |= beside & (np.abs(offset_of_all) < _WALL_THICKNESS) & ~not_wall
            if deep is not None:
                on_wall |= beside & (np.abs(offset_of_all) < _IN_PLANE) & deep
            ends = sorted(float(into * end) for end in (first, last))
            walls.append(WallPlane(into * normal, into * float(distance + center @ normal), *ends))
    return on_wall, tuple(walls)


def _fit_line(
    p: NDArray[np.float64], left: NDArray[np.bool_], direction: int, offset: float, center: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Least-squares line (unit normal, distance from ``center``) through the voxels near a Hough peak."""
    theta = (direction + 0.5) * np.pi / 90
    normal, distance = np.array([np.cos(theta), np.sin(theta)]), offset
    for _ in range(3):
        near = left & (np.abs((p[:, :2] - center) @ normal - distance) < _WALL_BAND)
        if near.sum() < 20:
            break
        q = p[near, :2] - center
        mean = q.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov((q - mean).T))
        candidate = axes[:, 0]
        if abs(candidate @ normal) < 0.9:
            break
        normal = candidate * np.sign(candidate @ normal)
        distance = float(mean @ normal)
    return normal, distance

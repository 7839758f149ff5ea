"""Which way is up, and where the floor is, in a recorded world that nobody levelled.

Rooms are made of horizontal and vertical surfaces and cameras are held roughly upright. So the up axis is the
direction, within reach of the cameras' own up, that makes most of the seen surface horizontal or vertical; it is then
refined by least squares over the points of all horizontal planes together. The floor is the lowest of these planes that
carries enough surface and has next to nothing below it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.camera import unproject
from proxy3d_core.geometry.transforms import rotation_between
from proxy3d_core.perception.observation import block_depth, point_normals

if TYPE_CHECKING:
    from proxy3d_core.sequences.base import Record, Sequence

Array = NDArray[np.float64]

SAMPLES = 48
"""Frames that are looked at."""
_WIDTH = 160
_MIN_DEPTH, _MAX_DEPTH = 0.3, 5.0
_CELL = 0.05
"""Surface is counted once per cell of this edge [m], however long the camera stared at it."""
_REACH = np.deg2rad(65)
"""Farthest that the up axis can lie from the cameras' mean up."""
_CONE = np.deg2rad(7)
"""Normals this near a direction count as parallel to it."""
_BAND = 0.02
"""Resolution in height at which planes are looked for [m]."""


@dataclass(frozen=True, eq=False)
class Level:
    """How a recorded world lies.

    Attributes:
        up: (3,) unit vector in the world of the sequence.
        floor: height of the floor along ``up``, metres, or None if the floor was not seen.
    """

    up: Array
    floor: float | None

    @property
    def found(self) -> bool:
        """The floor was seen."""
        return self.floor is not None

    @cached_property
    def rotation(self) -> Array:
        """(3, 3) ``level_from_world``: turns ``up`` to z, by the smallest rotation."""
        return rotation_between(self.up, (0, 0, 1))


@dataclass(frozen=True, eq=False)
class _Surface:
    """Seen surface, one entry per cell: points and unit normals (N, 3) turned to the camera, world of the sequence."""

    points: Array
    normals: Array
    camera_up: Array
    camera_right: Array


def estimate_up(sequence: Sequence, samples: int = SAMPLES) -> Level:
    """The level of a sequence from at most ``samples`` of its frames; deterministic.

    Where the format states the up axis (a bag in a ROS fixed frame), only the floor is looked for.
    """
    surface = _collect(list(sequence.sample(samples)))
    if surface is None:
        return Level(np.array([0.0, 0.0, 1.0]) if sequence.up is None else sequence.up, None)
    if sequence.up is not None:
        return Level(sequence.up, _floor(surface, sequence.up))
    up = _refine(surface, _direction(surface))
    z = np.array([0.0, 0.0, 1.0])
    if up @ z > np.cos(np.deg2rad(1.0)):
        # Within what the estimate can tell, and most levelled worlds have z up.
        up = z
    return Level(up, _floor(surface, up))


def level_frame(record: Record, sequence: Sequence, level: Level) -> Frame:
    """A record as a frame in the levelled (z-up) frame.

    Raises:
        BadInput: the record was dropped, or its parts do not fit together; the message is the reason.
    """
    if record.dropped or record.depth is None or record.intrinsics is None or record.pose is None:
        raise BadInput(record.dropped or "incomplete frame")
    pose = np.eye(4)
    pose[:3] = level.rotation @ record.pose[:3]
    return Frame(
        record.stamp_ns,
        record.depth,
        record.intrinsics,
        pose,
        record.rgb,
        record.labels,
        sequence.label_names,
        record.detections,
        record.scale_uncertainty,
    )


def _collect(records: list[Record]) -> _Surface | None:
    points, normals, ups, rights = [], [], [], []
    for record in records:
        if record.dropped or record.depth is None or record.intrinsics is None or record.pose is None:
            continue
        stride = max(1, record.intrinsics.width // _WIDTH)
        depth = block_depth(record.depth, stride)
        camera = record.intrinsics.strided(stride, stride // 2)
        camera = replace(camera, width=depth.shape[1], height=depth.shape[0])
        local = unproject(depth, camera)
        valid = (depth > _MIN_DEPTH) & (depth < _MAX_DEPTH)
        normal, known = point_normals(local, valid)
        use = valid & known
        rotation = record.pose[:3, :3]
        points.append(local[use] @ rotation.T + record.pose[:3, 3])
        normals.append(normal[use] @ rotation.T)
        ups.append(-rotation[:, 1])
        rights.append(rotation[:, 0])
    if not points or not sum(len(p) for p in points):
        return None
    cells, cell_normals = _per_cell(np.concatenate(points), np.concatenate(normals))
    return _Surface(cells, cell_normals, np.array(ups), np.array(rights))


def _per_cell(points: Array, normals: Array) -> tuple[Array, Array]:
    """Mean point and mean normal of each occupied cell whose points agree on a normal."""
    index = np.floor(points / _CELL).astype(np.int64)
    index -= index.min(axis=0)
    span = index.max(axis=0) + 1
    key = (index[:, 0] * span[1] + index[:, 1]) * span[2] + index[:, 2]
    _, member, count = np.unique(key, return_inverse=True, return_counts=True)
    sums = [np.bincount(member, weights=column) for column in (*points.T, *normals.T)]
    mean = np.stack(sums, axis=1) / count[:, None]
    length = np.linalg.norm(mean[:, 3:], axis=1)
    # A short mean normal: an edge, clutter or noise. One look is not enough either.
    flat = (length > 0.8) & (count >= 2)
    return mean[flat, :3], mean[flat, 3:] / length[flat, None]


def _direction(surface: _Surface) -> Array:
    """The most likely up axis among the directions in which much surface faces."""
    prior = _unit(surface.camera_up.sum(axis=0))
    return max(_modes(surface.normals, prior), key=lambda up: _score(surface, up, prior), default=prior)


def _score(surface: _Surface, up: Array, prior: Array) -> float:
    """Share of surface that is horizontal or vertical under ``up``, less what the cameras say against it.

    A wall explains as much as a floor does in a box-shaped room, so the cameras decide between them: their x axes are
    horizontal but for roll, they seldom look down by more than 45 degrees, and what is below them faces up (a wall
    before a camera that looks down would have to be a ceiling).
    """
    along = surface.normals @ up
    facing_up, facing_down = (along > np.cos(_CONE)).mean(), (along < -np.cos(_CONE)).mean()
    vertical = (np.abs(along) < np.sin(_CONE)).mean()
    roll = np.abs(surface.camera_right @ up).mean()
    tilt = np.arccos(np.clip(up @ prior, -1, 1))
    return float(facing_up + 0.3 * facing_down + 0.5 * vertical - roll - 0.5 * (tilt / np.deg2rad(60)) ** 2)


def _modes(normals: Array, prior: Array) -> list[Array]:
    """Directions in which locally most surface faces, up or down, within reach of the prior; best supported first."""
    facing = normals * np.where(normals @ prior < 0, -1.0, 1.0)[:, None]
    facing = facing[facing @ prior > np.cos(_REACH + _CONE)]
    grid = _sphere(2000)
    grid = grid[grid @ prior > np.cos(_REACH)]
    if not len(facing):
        return []
    support = np.array([(facing @ direction > np.cos(_CONE)).sum() for direction in grid])
    modes: list[Array] = []
    for i in np.argsort(-support, kind="stable"):
        if len(modes) == 8 or support[i] == 0:
            break
        if all(grid[i] @ mode < np.cos(2 * _CONE) for mode in modes):
            direction = grid[i]
            for _ in range(5):
                near = facing[facing @ direction > np.cos(_CONE)]
                if not len(near):
                    break
                direction = _unit(near.sum(axis=0))
            modes.append(direction)
    return modes


def _refine(surface: _Surface, up: Array) -> Array:
    """Least squares over the points of all horizontal planes together: one normal, one height per plane."""
    for cone, band in ((_CONE, 0.05), (_CONE, 0.04), (_CONE, 0.03), (_CONE, 0.03)):
        level = np.abs(surface.normals @ up) > np.cos(cone)
        points = surface.points[level]
        heights = points @ up
        scatter = np.zeros((3, 3))
        for height in _planes(heights):
            near = points[np.abs(heights - height) < band]
            centred = near - near.mean(axis=0)
            scatter += centred.T @ centred
        values, vectors = np.linalg.eigh(scatter)
        if values[1] < 25 * values[0] or values[1] <= 0:
            return up  # a strip, not a plane: it says nothing about the direction across it
        refined = vectors[:, 0] * np.sign(vectors[:, 0] @ up)
        if refined @ up < np.cos(2 * _CONE):
            return up
        up = refined
    return up


def _planes(heights: Array, least_area: float = 0.25) -> list[float]:
    """Heights at which much surface lies, lowest first."""
    if not len(heights):
        return []
    low = heights.min() - 3 * _BAND
    count = np.bincount(((heights - low) / _BAND).astype(int), minlength=5)
    count = np.append(count, [0, 0, 0])
    mass = count[:-2] + count[1:-1] + count[2:]  # of three bands
    least = max(least_area / _CELL**2, 0.03 * mass.max())
    peaks = []
    for i in range(1, len(mass) - 1):
        if mass[i] >= least and mass[i] >= mass[i - 1] and mass[i] > mass[i + 1]:
            near = heights[np.abs(heights - (low + (i + 1.5) * _BAND)) < 1.5 * _BAND]
            peaks.append(float(np.median(near)))
    return peaks


def _floor(surface: _Surface, up: Array) -> float | None:
    """Height of the floor along ``up``: the lowest plane that faces up with next to nothing below it, or None."""
    heights = surface.points @ up
    facing_up = surface.normals @ up > np.cos(np.deg2rad(12))
    for height in _planes(heights[facing_up]):
        if (heights < height - 0.12).mean() < 0.02:
            near = heights[facing_up & (np.abs(heights - height) < 2 * _BAND)]
            return float(np.median(near))
    return None


def _sphere(count: int) -> Array:
    """Directions spread evenly over the sphere (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    angle = np.pi * (1 + np.sqrt(5)) * i
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _unit(vector: Array) -> Array:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)

"""Distances, directions and ways between upright boxes, from their outlines on the floor and their heights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SIGNS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=np.float64)


def outlines(centers: Array, sizes: Array, yaws: Array) -> Array:
    """(N, 4, 2) corners on the floor plane, counter-clockwise; boxes by centres (N, 3), sizes (N, 3), yaws (N,)."""
    half = _SIGNS * sizes[:, None, :2] / 2
    cos, sin = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    turned = np.stack([cos * half[..., 0] - sin * half[..., 1], sin * half[..., 0] + cos * half[..., 1]], axis=-1)
    return np.asarray(centers[:, None, :2] + turned)


def _to_segments(points: Array, starts: Array, ends: Array) -> Array:
    """Distances of points (..., 2) to segments (..., 2)."""
    along = ends - starts
    share = ((points - starts) * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-18)
    return np.asarray(np.linalg.norm(points - starts - np.clip(share, 0, 1)[..., None] * along, axis=-1))


def outline_gaps(corners: Array) -> Array:
    """(N, N) distances between convex outlines (N, 4, 2) on the floor plane; 0 where they touch or overlap."""
    n = len(corners)
    ends = np.roll(corners, -1, axis=1)
    # Disjoint convex outlines are nearest at a corner of one and an edge of the other.
    gaps = (
        _to_segments(corners[:, None, :, None], corners[None, :, None], ends[None, :, None]).reshape(n, n, -1).min(-1)
    )
    gaps = np.minimum(gaps, gaps.T)
    edges = ends - corners
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)[:, :2]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    own = np.einsum("nkd,ncd->nkc", normals, corners)
    other = np.einsum("nkd,mcd->nmkc", normals, corners)
    apart = np.maximum(other.min(-1) - own.max(-1)[:, None], own.min(-1)[:, None] - other.max(-1)).max(-1)
    gaps[np.maximum(apart, apart.T) <= 0] = 0.0
    return np.asarray(gaps)


def box_gaps(flat: Array, bottoms: Array, tops: Array) -> Array:
    """(N, N) closest distances of upright boxes from their gaps on the floor plane and their heights.

    Exact: an upright box is its outline times its height, so the nearest points are nearest in both.
    """
    rise = np.maximum(np.maximum(bottoms[:, None] - tops, bottoms - tops[:, None]), 0)
    return np.asarray(np.hypot(flat, rise))


def contains(corners: Array, points: Array) -> NDArray[np.bool_]:
    """(N, M) which of the points (M, 2) lie inside the outlines (N, 4, 2)."""
    edges = np.roll(corners, -1, axis=1) - corners
    to = points[None, :, None] - corners[:, None]
    cross = edges[:, None, :, 0] * to[..., 1] - edges[:, None, :, 1] * to[..., 0]
    return np.asarray((cross >= 0).all(-1))


def crosses(start: Array, end: Array, corners: Array, margin: float = 0.0) -> NDArray[np.bool_]:
    """(N,) which outlines (N, 4, 2), each grown by ``margin`` metres, the way from ``start`` to ``end`` (2,) meets."""
    steps = max(2, math.ceil(float(np.linalg.norm(end - start)) / 0.05))
    points = start + np.linspace(0, 1, steps)[:, None] * (end - start)
    ends = np.roll(corners, -1, axis=1)
    near = _to_segments(points[None, :, None], corners[:, None], ends[:, None]).min(axis=(1, 2)) <= margin
    return np.asarray(near | contains(corners, points).any(axis=1))


def bearing(position: Array, facing: Array, target: Array) -> float:
    """Where a target is for one who stands and faces so (all (2,)): degrees counter-clockwise from ahead, 0..360."""
    to = target - position
    return math.degrees(math.atan2(to[1], to[0]) - math.atan2(facing[1], facing[0])) % 360.0


def off(angle: float, *boundaries: float) -> float:
    """How far an angle is from the nearest of some directions, degrees."""
    return min(abs((angle - b + 180) % 360 - 180) for b in boundaries)

"""Openings in a wall: what a camera sees of a doorway is its two sides, with nothing between them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.surface import Surface, components, face_direction

_SIDE_GAP = 0.25  # m between pieces of one side
_NARROWEST, _WIDEST = 0.5, 1.8  # m between the sides
_THICKNESS = 0.4  # m across the wall
_RIM = 0.12  # m of a side that belong to the opening; the rest of it is wall under the wrong name
_LOW, _HIGH = 0.3, 1.5  # m over the floor: between them an opening is empty
_FILLED = 0.15  # share of that area that may be taken up
_ASKEW = np.sin(2 * np.deg2rad(15))  # sides face each other, or along the wall
_FEW = 12  # voxels of a side


def span_openings(surface: Surface, parts: list[NDArray[np.int64]], floor: float) -> list[NDArray[np.int64]]:
    """Sides that face each other over an opening, joined; narrowest openings first, each side once.

    Args:
        surface: the voxels.
        parts: connected parts of a class of openings, indices into the surface.
        floor: its height, metres.

    Returns:
        Openings, then the parts that belong to none and are wide enough to be one. A post alone is not where the
        opening is, and more often than not there is none.
    """
    sides = _sides(surface, parts)
    found: list[tuple[float, int, int, NDArray[np.int64]]] = []
    for (i, a), (j, b) in combinations(enumerate(sides), 2):
        opening = _opening(surface, a, b, floor)
        if opening is not None:
            found.append((opening[0], i, j, opening[1]))
    used: set[int] = set()
    openings = []
    for _, i, j, members in sorted(found, key=lambda pair: pair[:3]):
        if not {i, j} & used:
            openings.append(members)
            used |= {i, j}
    return openings + [side for i, side in enumerate(sides) if i not in used and _width(surface, side) > _NARROWEST]


def _width(surface: Surface, side: NDArray[np.int64]) -> float:
    return float(OrientedBox.around(surface.position[side]).size[:2].max())


def _sides(surface: Surface, parts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Parts that lie over or beside each other on the floor plane are of one side."""
    trees = [cKDTree(surface.position[part, :2]) for part in parts]
    near = [(i, j) for i, j in combinations(range(len(parts)), 2) if trees[i].count_neighbors(trees[j], _SIDE_GAP)]
    first, second = np.array(near, np.int64).reshape(-1, 2).T
    side = components(len(parts), first, second)
    return [np.sort(np.concatenate([parts[i] for i in np.flatnonzero(side == s)])) for s in np.unique(side)]


def _opening(
    surface: Surface, a: NDArray[np.int64], b: NDArray[np.int64], floor: float
) -> tuple[float, NDArray[np.int64]] | None:
    """Width in metres and members of the opening between two sides, if there is one."""
    if min(len(a), len(b)) < _FEW:
        return None
    p, q = surface.position[a, :2], surface.position[b, :2]
    tree = cKDTree(p)
    distance, nearest = tree.query(q)
    rim = distance < distance.min() + _RIM
    way = q[rim].mean(axis=0) - p[nearest[rim]].mean(axis=0)  # from rim to rim
    width = float(np.linalg.norm(way))
    if not _NARROWEST < width < _WIDEST:
        return None
    along = way / width
    across = np.array([-along[1], along[0]])
    end, start = float(np.quantile(q @ along, 0.05)), float(np.quantile(p @ along, 0.95))
    members = np.concatenate([a[p @ along > start - _RIM], b[q @ along < end + _RIM]])
    faces = face_direction(surface.normal[members])
    if faces is not None and abs(np.sin(2 * (np.arctan2(along[1], along[0]) - faces))) > _ASKEW:
        return None
    spread = np.quantile(surface.position[members, :2] @ across, [0.05, 0.95])
    if spread[1] - spread[0] > _THICKNESS or end - start < _NARROWEST:
        return None
    x, y, z = surface.position[:, :2] @ along, surface.position[:, :2] @ across, surface.position[:, 2] - floor
    margin = 2 * surface.size
    between = (x > start + margin) & (x < end - margin) & (y > spread[0]) & (y < spread[1]) & (z > _LOW) & (z < _HIGH)
    area = (end - start - 2 * margin) * (_HIGH - _LOW)
    if np.count_nonzero(between) * surface.size**2 > _FILLED * area:
        return None
    return end - start, np.sort(members)

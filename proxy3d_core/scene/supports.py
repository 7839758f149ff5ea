"""Surfaces that carry things (table tops, counters, shelves) and the things that stand or lie on them.

A semantic segmenter names the mug on the table "table"; geometry knows better: what rises from a support's plane, or
lies on it in another colour, is a thing of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.surface import Surface, adjacent, components, connected

_MIN_AREA = 0.12  # m^2; smaller horizontal patches carry nothing
_MIN_HEIGHT = 0.15  # m above the floor
_MAX_HEIGHT = 1.8
_RISE = 0.015  # m above the plane: what rises more is not the support
_TALL = 0.035  # m above the plane: what rises more is not lying flat
_REACH = 0.5  # m above the plane: things on it are at most this tall
_STANDS = 0.05  # m: a thing's lowest part is this near to the plane
_THING_VOXELS = 12
_CORE_CELLS = 5
_FLAT_COLOR_STEP = 18.0  # CIE76 colour difference between a flat thing and its support
_WIDTH = 0.05  # m; narrower strips are edges of something else
_FLAT_AREA = (0.008, 0.15)  # m^2


@dataclass(frozen=True, eq=False)
class Support:
    """One horizontal surface.

    Attributes:
        members: (M,) voxels of the surface itself.
        plane: (a, b, c) of z = a x + b y + c.
        label: vocabulary index of most members, or -1.
        origin: (2,) voxel coordinates of the outline's first cell.
        outline: (nx, ny) bool, cells that the surface covers, holes closed.
    """

    members: NDArray[np.int64]
    plane: NDArray[np.float64]
    label: int
    origin: NDArray[np.int64]
    outline: NDArray[np.bool_]

    def above(self, surface: Surface, low: float, high: float) -> NDArray[np.int64]:
        """Voxels over the outline between ``low`` and ``high`` metres above the plane."""
        x, y = surface.cells[:, 0] - self.origin[0], surface.cells[:, 1] - self.origin[1]
        nx, ny = self.outline.shape
        rows = np.flatnonzero((x >= 0) & (x < nx) & (y >= 0) & (y < ny))
        rows = rows[self.outline[x[rows], y[rows]]]
        rise = surface.position[rows, 2] - self.plane_height(surface.position[rows])
        return np.asarray(rows[(rise > low) & (rise <= high)])

    def plane_height(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N,) height of the plane below or above points (N, 3)."""
        return np.asarray(points[:, :2].astype(np.float64) @ self.plane[:2] + self.plane[2])


def find_supports(surface: Surface, label: NDArray[np.int64], usable: NDArray[np.bool_], floor: float) -> list[Support]:
    """Horizontal surfaces, largest first.

    Args:
        surface: the voxels.
        label: (N,) vocabulary index or -1.
        usable: (N,) voxels that may carry things: no structure, no seat.
        floor: height of the floor.
    """
    height = surface.position[:, 2] - floor
    level = np.flatnonzero(usable & (surface.normal[:, 2] > 0.75) & (height > _MIN_HEIGHT) & (height < _MAX_HEIGHT))
    least = _MIN_AREA / surface.size**2
    if len(level) < least:
        return []
    i, j = adjacent(surface.keys[level])
    flush = np.abs(surface.position[level[i], 2] - surface.position[level[j], 2]) < 0.01
    part = components(len(level), i[flush], j[flush])
    sizes = np.bincount(part)
    patches = [level[part == c] for c in np.argsort(-sizes, kind="stable") if sizes[c] >= least / 4]
    supports: list[Support] = []
    taken = np.zeros(len(surface), bool)
    for patch in patches:
        patch = patch[~taken[patch]]
        if len(patch) < least / 4:
            continue
        support = _support(surface, label, patch)
        # Parts of the same plane that things on it have cut off.
        same = level[~taken[level]]
        flush_with = np.abs(surface.position[same, 2] - support.plane_height(surface.position[same])) < _RISE
        same = same[flush_with]
        at = surface.cells[same, :2] - support.origin
        pad = 4
        near = ((at >= -pad) & (at < np.array(support.outline.shape) + pad)).all(axis=1)
        support = _support(surface, label, np.union1d(patch, same[near]))
        if len(support.members) >= least:
            taken[support.members] = True
            supports.append(support)
    return supports


def _support(surface: Surface, label: NDArray[np.int64], members: NDArray[np.int64]) -> Support:
    p = surface.position[members].astype(np.float64)
    center = p.mean(axis=0)
    design = np.c_[p[:, :2] - center[:2], np.ones(len(p))]
    slope = np.linalg.lstsq(design, p[:, 2], rcond=None)[0]
    if np.hypot(slope[0], slope[1]) > 0.1:  # no table leans by 6 degrees: too few points to say
        slope = np.array([0.0, 0.0, float(np.median(p[:, 2]))])
    plane = np.array([slope[0], slope[1], slope[2] - slope[:2] @ center[:2]])
    cells = surface.cells[members, :2]
    margin = 2
    origin = cells.min(axis=0) - margin
    shape = cells.max(axis=0) - origin + 1 + margin
    grid = np.zeros(shape, np.uint8)
    at = cells - origin
    grid[at[:, 0], at[:, 1]] = 1
    closing = max(3, int(0.3 / surface.size) | 1)
    grid = cv2.copyMakeBorder(grid, closing, closing, closing, closing, cv2.BORDER_CONSTANT, value=0)
    grid = cv2.morphologyEx(grid, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (closing, closing)))
    contours, _ = cv2.findContours(grid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    grid = cv2.drawContours(grid, contours, -1, 1, thickness=cv2.FILLED)[closing:-closing, closing:-closing]
    named = label[members]
    labels = np.bincount(named[named >= 0], minlength=1)
    winner = int(labels.argmax()) if labels.sum() > 0.3 * len(members) else -1
    return Support(members, plane, winner, origin, grid.astype(bool))


def things_on(surface: Surface, support: Support, free: NDArray[np.bool_], min_size: float) -> list[NDArray[np.int64]]:
    """Voxel sets of the things on a support.

    Args:
        surface: the voxels.
        support: the surface they stand or lie on.
        free: (N,) voxels that may belong to such a thing: not firmly another class.
        min_size: smallest longest edge of a thing, metres.
    """
    found: list[NDArray[np.int64]] = []
    raised = support.above(surface, _RISE, _REACH)
    raised = raised[free[raised]]
    on_thing = np.zeros(len(surface), bool)
    for members in _standing(surface, support, raised):
        rise = surface.position[members, 2] - support.plane_height(surface.position[members])
        extent = np.ptp(surface.position[members], axis=0)
        if rise.min() < _STANDS and _is_thing(surface, members, min_size) and extent[:2].max() < 0.8:
            found.append(members)
            on_thing[members] = True
    flat = support.members[~on_thing[support.members]]
    return found + _flat_things(surface, support, flat, on_thing)


def _standing(surface: Surface, support: Support, raised: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Parts of the raised voxels: tall ones first, so that the paper under a mug does not join it to the next mug."""
    rise = surface.position[raised, 2] - support.plane_height(surface.position[raised])
    tall = [piece for part in connected(surface, raised[rise > _TALL]) for piece in _cut_necks(surface, part)]
    low = raised[rise <= _TALL]
    if not tall or not len(low):
        return connected(surface, raised)
    # The foot of a tall thing is what is low right under it.
    columns = {tuple(c): i for i, part in enumerate(tall) for c in surface.cells[part, :2].tolist()}
    home = np.array([columns.get(tuple(c), -1) for c in surface.cells[low, :2].tolist()])
    grown = [np.sort(np.concatenate([part, low[home == i]])) for i, part in enumerate(tall)]
    return grown + connected(surface, low[home < 0])


def _cut_necks(surface: Surface, members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split a part where its outline on the floor plane is at most two voxels wide: two things that all but touch."""
    cells = surface.cells[members, :2]
    origin = cells.min(axis=0) - 1
    at = cells - origin
    grid = np.zeros(at.max(axis=0) + 2, np.uint8)
    grid[at[:, 0], at[:, 1]] = 1
    n, cores, stats, _ = cv2.connectedComponentsWithStats(cv2.erode(grid, np.ones((3, 3), np.uint8)))
    kept = [i for i in range(1, n) if stats[i, cv2.CC_STAT_AREA] >= _CORE_CELLS]
    if len(kept) < 2:
        return [members]
    points = [np.argwhere(cores == i) for i in kept]
    core = np.repeat(np.arange(len(kept)), [len(p) for p in points])
    home = core[cKDTree(np.concatenate(points)).query(at)[1]]
    return [members[home == i] for i in range(len(kept))]


def _is_thing(surface: Surface, members: NDArray[np.int64], min_size: float) -> bool:
    if len(members) < _THING_VOXELS:
        return False
    size = OrientedBox.around(surface.position[members]).size
    return float(size.max()) >= min_size - surface.size and float(size[:2].min()) >= _WIDTH


def _flat_things(
    surface: Surface, support: Support, flat: NDArray[np.int64], on_thing: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """Magazines, papers, plates: parts of the surface in another colour."""
    if len(flat) < 20 or not surface.color[flat].any():
        return []
    lab = cv2.cvtColor((surface.color[flat] / 255)[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    usual = np.median(lab, axis=0)
    # Lightness counts half: shadows and highlights change it, the thing's own colour does not.
    difference = np.linalg.norm((lab - usual) * (0.5, 1, 1), axis=1)
    other = flat[difference > _FLAT_COLOR_STEP]
    found = []
    for members in connected(surface, other):
        area = len(members) * surface.size**2
        if not _FLAT_AREA[0] <= area <= _FLAT_AREA[1] or len(members) > 0.4 * len(flat):
            continue
        if _touches(surface, members, on_thing) > 0.35:  # the colour that a thing sheds on its surroundings
            continue
        if OrientedBox.around(surface.position[members]).size[:2].min() < _WIDTH:
            continue
        if _compactness(surface, members) > 0.45:
            found.append(members)
    return found


def _touches(surface: Surface, members: NDArray[np.int64], mask: NDArray[np.bool_]) -> float:
    """Share of voxels ``members`` that lie next to a voxel of ``mask`` on the floor plane."""
    own = surface.cells[members, :2]
    low, high = own.min(axis=0) - 1, own.max(axis=0) + 1
    columns = surface.cells[mask, :2]
    columns = columns[((columns >= low) & (columns <= high)).all(axis=1)]
    grid = np.zeros(high - low + 1, np.uint8)
    grid[tuple((columns - low).T)] = 1
    grid = cv2.dilate(grid, np.ones((3, 3), np.uint8))
    return float(grid[tuple((own - low).T)].mean())


def _compactness(surface: Surface, members: NDArray[np.int64]) -> float:
    """Share of the least rectangle that the voxels fill on the floor plane."""
    cells = np.unique(surface.cells[members, :2], axis=0)
    (_, _), (a, b), _ = cv2.minAreaRect(cells.astype(np.float32))
    return len(cells) / ((a + 1) * (b + 1))

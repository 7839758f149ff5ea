"""The voxels as one table: what the steps of object extraction read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from proxy3d_core.scene.voxels import HALF_NEIGHBOURS, VoxelMap, pack, unpack

_DENSE = 300_000  # cells
_TOUCHING = np.ones((3, 3, 3), bool)
_FEW_POINTS = 3  # in a voxel: the pixels lie wider apart than the voxels are
_PIXEL_GAP = 2.5  # voxels between two of them: 5 m away, on a surface seen at 45 degrees

BACKGROUND_WEIGHT = 0.4
"""A second of "no class" weighs this much against a second of a class: segmenters miss more often than they invent."""
_FACE_VOXELS = 40
_FACE_AGREEMENT = 0.6


@dataclass(frozen=True, eq=False)
class Surface:
    """The well-seen voxels, sorted by key.

    Attributes:
        size: edge of a voxel, metres.
        rows: (N,) rows in the voxel map.
        keys: (N,) voxel keys.
        cells: (N, 3) voxel coordinates.
        position: (N, 3) float32 mean of the points, metres.
        normal: (N, 3) float32 mean normal; shorter than 1 where normals disagree.
        color: (N, 3) float32.
        seen: (N,) float32 seconds.
        points: (N,) float32 how many points are in the mean, fading.
        background: (N,) float32 seconds without a class.
        slot_label: (N, S), slot_weight: (N, S) label votes.
        owner: (N,) object id at the last extraction, or a negative group (see snapshot.py).
        first_ns, last_ns: (N,) stamps of the first and the newest hit.
    """

    size: float
    rows: NDArray[np.int64]
    keys: NDArray[np.int64]
    cells: NDArray[np.int64]
    position: NDArray[np.float32]
    normal: NDArray[np.float32]
    color: NDArray[np.float32]
    seen: NDArray[np.float32]
    points: NDArray[np.float32]
    background: NDArray[np.float32]
    slot_label: NDArray[np.int16]
    slot_weight: NDArray[np.float32]
    owner: NDArray[np.int64]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, voxels: VoxelMap, min_seen: float) -> Surface:
        """The voxels that were seen for at least ``min_seen`` seconds."""
        good = voxels.seen[voxels.rows] >= min_seen
        rows, keys = voxels.rows[good], voxels.keys[good]
        appearance = voxels.appearance[rows]
        return cls(
            voxels.size,
            rows,
            keys,
            unpack(keys),
            voxels.position[rows],
            appearance[:, :3],
            appearance[:, 3:],
            voxels.seen[rows],
            voxels.count[rows],
            voxels.background[rows],
            voxels.slot_label[rows],
            voxels.slot_weight[rows],
            voxels.owner[rows],
            voxels.first_ns[rows],
            voxels.last_ns[rows],
        )

    def best_label(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Label (vocabulary index) of each voxel, -1 where "no class" outweighs all others, and its share of votes."""
        slot = self.slot_weight.argmax(axis=1)
        take = np.arange(len(self))
        weight, label = self.slot_weight[take, slot], self.slot_label[take, slot].astype(np.int64)
        rest = BACKGROUND_WEIGHT * self.background
        wins = (weight > 0) & (weight > rest)
        share = weight / np.maximum(self.slot_weight.sum(axis=1) + self.background, 1e-6)
        return np.where(wins, label, -1), share.astype(np.float32)

    def votes(self, members: NDArray[np.int64], vocabulary: int) -> tuple[NDArray[np.float64], float]:
        """Seconds for each of ``vocabulary`` labels, summed over voxels ``members``, and seconds without a class."""
        label = self.slot_label[members].reshape(-1)
        weight = self.slot_weight[members].reshape(-1)
        used = label >= 0
        totals = np.bincount(label[used], weights=weight[used], minlength=vocabulary).astype(np.float64, copy=False)
        return totals, float(self.background[members].sum())


def adjacent(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (i, j) of sorted voxel keys that touch by a face, an edge or a corner."""
    base = pack(np.zeros((1, 3), np.int64))[0]
    steps = pack(HALF_NEIGHBOURS) - base
    first, second = [], []
    here = np.arange(len(keys))
    for step in steps:
        wanted = keys + step
        at = np.searchsorted(keys, wanted)
        at[at == len(keys)] = 0
        hit = keys[at] == wanted
        first.append(here[hit])
        second.append(at[hit])
    return np.concatenate(first), np.concatenate(second)


def components(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Component number (n,) of each node of the graph with edges (first[i], second[i])."""
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def connected(surface: Surface, members: NDArray[np.int64], bridge: bool = False) -> list[NDArray[np.int64]]:
    """Connected parts of voxels ``members`` (indices into the surface), each sorted, largest first.

    Voxels connect by touching; with ``bridge`` also over the gap between two pixels, where few of them have sampled a
    surface more coarsely than the voxels are.
    """
    if not len(members):
        return []
    members = np.sort(members)
    part = _component_numbers(surface, members)
    sparse = np.flatnonzero(surface.points[members] <= _FEW_POINTS)
    if bridge and len(sparse) and part.any():
        near = cKDTree(surface.position[members[sparse]]).query_pairs(_PIXEL_GAP * surface.size, output_type="ndarray")
        first, second = part[sparse[near]].T.astype(np.int64)
        other = first != second
        part = components(int(part.max()) + 1, first[other], second[other])[part]
    sizes = np.bincount(part)
    groups = np.split(members[np.argsort(part, kind="stable")], np.cumsum(sizes)[:-1])
    return sorted(groups, key=lambda g: (-len(g), int(g[0])))


def _component_numbers(surface: Surface, members: NDArray[np.int64]) -> NDArray[np.int64]:
    cells = surface.cells[members]
    low = cells.min(axis=0)
    shape = cells.max(axis=0) - low + 1
    if int(shape.prod()) > _DENSE:
        return components(len(members), *adjacent(surface.keys[members]))
    # A compact set is labelled faster in a dense grid.
    grid = np.zeros(shape, bool)
    at = tuple((cells - low).T)
    grid[at] = True
    numbers, _ = ndimage.label(grid, structure=_TOUCHING)
    return np.asarray(numbers[at], np.int64) - 1


def face_direction(normals: NDArray[np.float32]) -> float | None:
    """Yaw (mod 90 degrees) that the upright faces among voxels with these normals (N, 3) agree on, or None.

    The circular mean of four times the azimuth: faces at right angles to each other count as one direction.
    """
    upright = normals[np.abs(normals[:, 2]) < 0.4]
    if len(upright) < _FACE_VOXELS:
        return None
    phase = np.exp(4j * np.arctan2(upright[:, 1], upright[:, 0])).mean()
    return float(np.angle(phase)) / 4 if abs(phase) > _FACE_AGREEMENT else None

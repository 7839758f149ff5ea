"""Proxies of a stream: running means in cells that coarsen; time and memory do not depend on how long it runs.

Proxy3D (arXiv 2605.08064) clusters all patches of a scene at once and says of streams only that the state is maintained
and updated. This is our definition.

**Atoms.** Every group (an object, or background) has its own octree over the fixed frame. A triplet falls into the cell
of its group's present level; the triplets of one cell are an *atom*: their weight, mean position, scatter and mean
feature, nothing else. Cells nest, so two ways to the same cells give the same atoms up to rounding: neither the order
of frames nor how they are chunked matters as long as the levels agree.

**Levels.** When the atoms no longer fit into the capacity, the group with most atoms per proxy goes up a level: eight
cells become one, and their atoms are added. (What is PENDING may be denser: it will soon be told apart.) A group that
has lost most of its atoms takes new triplets a level lower again. The order of frames can change when this happens, and
so in how fine a cell an atom lies, nothing else.

**Budget.** The budget is shared out by the surface that was seen of each group, not by how long it was looked at. The
capacity is nine times the budget and a cell has eight children, so when a group has gone up there still are more atoms
than the budget, which therefore is exact (if there were as many different points). Equations 1 to 3 of the paper then
run on the atoms instead of on all triplets ever seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.cluster import cluster_proxies, share_budget
from proxy3d_core.proxies.triplets import Triplets
from proxy3d_core.scene.snapshot import PENDING, ProxySet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVELS = 20
"""Levels of the octree; at the highest a group is one cell. Also the bits of a coordinate at level 0."""

ATOMS_PER_PROXY = 9
"""Capacity over budget; must be more than the eight children of a cell."""

_PENDING_FINER = 4.0
"""What will soon be told apart may be so much denser than the rest."""

_PATIENCE = 2
"""Depth is noisy: a small cell is empty only if that around it at this level is empty as well."""
_HALF = 1 << (LEVELS - 1)
# Keys of all levels in one number range: level l has 8^(LEVELS - l) cells.
_FIRST_KEY = np.concatenate([[0], np.cumsum([8 ** (LEVELS - level) for level in range(LEVELS)])]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Atoms:
    """What was seen, summed up cell by cell.

    Attributes:
        position: (A, 3) mean position, fixed frame, metres.
        feature: (A, C) float32 mean feature.
        weight: (A,) sum of weights.
        scatter: (A,) weighted sum of squared distances from the mean position, square metres.
        groups: (A,) group of each.
        sizes: (A,) surface that each stands for.
    """

    position: Floats
    feature: NDArray[np.float32]
    weight: Floats
    scatter: Floats
    groups: Ints
    sizes: Floats

    def cluster(self, budget: int, per_group: int) -> ProxySet:
        """Eqs 1-3 with the atoms for points: ``min(budget, A)`` proxies."""
        return cluster_proxies(
            self.position,
            self.feature,
            self.weight,
            self.groups,
            budget,
            per_group,
            scatter=self.scatter,
            sizes=self.sizes,
        )


class Occupied:
    """Which groups have how many parts in which cells, at all levels.

    Args:
        cells: (N, 3) the level-0 cells of the parts (``cells_of(position, resolution)``).
        groups: (N,) the group of each part.
        update: number of the map's last update before this was found out (``ProxyMap.updates``).
    """

    def __init__(self, cells: Ints, groups: Ints, update: int) -> None:
        self.update, self._cells, self._groups = update, cells, groups
        self._levels = [_count(cell_keys(cells, 0), groups, np.ones(len(cells), np.int64))]

    def find(self, level: int, keys: Ints, groups: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """Whether the cells ``keys`` (M,) at a level are occupied, and by whom.

        That is ``groups`` (M,) itself if it has a part there, else the group with most; PENDING only if it is alone.
        """
        while len(self._levels) <= level:
            below, their_groups, counts = self._levels[-1]
            self._levels.append(_count(raise_keys(below, np.full(len(below), len(self._levels))), their_groups, counts))
        cells, owners, counts = self._levels[level]
        first, end = np.searchsorted(cells, keys), np.searchsorted(cells, keys, side="right")
        found = end > first
        best, most, own = groups.copy(), np.full(len(keys), -1), ~found
        counts = np.where(owners == PENDING, 0, counts)
        for i in range(int((end - first).max(initial=0))):  # few groups share a cell
            at = np.minimum(first + i, len(cells) - 1)
            there = first + i < end
            own |= there & (owners[at] == groups) & (groups != PENDING)
            more = there & (counts[at] > most)
            best[more], most[more] = owners[at][more], counts[at][more]
        return found, np.where(own, groups, best)

    def missing(self, groups: Ints) -> list[tuple[int, Floats]]:
        """Objects that have parts but are none of the ``groups``, and the middle (3,) of each, in level-0 cells."""
        left = np.setdiff1d(self._groups[self._groups >= 0], groups)
        return [(int(name), self._cells[self._groups == name].mean(axis=0) + 0.5) for name in left]


def _count(keys: Ints, groups: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Cells and groups, sorted, each pair once, with the sum of its counts."""
    if (keys[1:] > keys[:-1]).all():
        return keys, groups, counts
    order = np.lexsort((groups, keys))
    keys, groups = keys[order], groups[order]
    first = _starts(keys, groups)
    return keys[first], groups[first], np.add.reduceat(counts[order], first) if len(first) else counts


class ProxyMap:
    """The atoms of a scene.

    Args:
        channels: C of the features.
        budget: number of proxies.
        per_group: start count per group.
        resolution: edge of a cell at level 0 [m].

    Attributes:
        updates: how many updates there were.
    """

    def __init__(self, channels: int, budget: int, per_group: int, resolution: float) -> None:
        self.channels, self.budget, self.per_group, self.resolution = channels, budget, per_group, resolution
        self.capacity = ATOMS_PER_PROXY * budget
        self.updates = 0
        self._level: dict[int, int] = {}  # of each group: where its new triplets go
        # The atoms, sorted by group and key.
        self._groups = np.zeros(0, np.int64)
        self._keys = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.int64)
        # Their sums, in rows that stay in place.
        n = self.capacity + self.capacity // 2  # what one frame adds is there before the atoms coarsen
        self._free = np.arange(n)
        self._weight = np.zeros(n)
        self._position = np.zeros((n, 3))
        self._scatter = np.zeros(n)
        self._updated = np.zeros(n, np.int64)
        self._feature = np.zeros((n, channels), np.float32)  # takes no memory until it is written to

    def __len__(self) -> int:
        """Number of atoms."""
        return len(self._keys)

    @property
    def reach(self) -> float:
        """Points must lie nearer to the origin than this along each axis [m]."""
        return (_HALF - 1) * self.resolution

    @property
    def weight(self) -> float:
        """Sum of the weights of all triplets that are in the map."""
        return float(self._weight[self._rows].sum())

    def update(self, triplets: Triplets) -> None:
        """Add triplets. The cost depends on their number, and on the capacity, not on what the map has seen.

        Raises:
            BadInput: another number of channels, or a point out of reach; the map is unchanged.
        """
        if triplets.features.shape[1] != self.channels:
            raise BadInput(f"features have {triplets.features.shape[1]} channels, those of the map {self.channels}")
        if not len(triplets):
            return
        if not np.abs(triplets.points).max() < self.reach:
            raise BadInput(f"points must lie within {self.reach:.0f} m of the origin; use a local frame (REP-105)")
        present, which = np.unique(triplets.groups, return_inverse=True)
        level = np.array([self._level.setdefault(int(g), 0) for g in present], np.int64)
        key = cell_keys(cells_of(triplets.points, self.resolution), level[which])
        order = np.lexsort((key, triplets.groups))
        first = _starts(triplets.groups[order], key[order])
        rows = self._rows_of(triplets.groups[order[first]], key[order[first]])
        self._add(
            rows, order, first, triplets.weights.astype(np.float64), triplets.points.astype(np.float64),
            np.zeros(len(triplets)), triplets.features,
        )  # fmt: skip
        self.updates += 1
        self._updated[rows] = self.updates
        self._fit()

    def _add(
        self, rows: Ints, order: Ints, first: Ints, weight: Floats, position: Floats, scatter: Floats, feature: Any
    ) -> None:
        """Add to the atoms ``rows`` (U,) the segments of ``order`` (N,) that begin at ``first`` (U,).

        Means and scatter are combined about their common mean (Chan, Golub and LeVeque 1979), so nothing cancels.
        """
        w = weight[order]
        added = np.add.reduceat(w, first)
        old = self._weight[rows]
        total = old + added
        of = np.repeat(np.arange(len(rows)), np.diff(np.append(first, len(order))))
        before = self._position[rows]
        offset = position[order] - before[of]  # from the old mean, or from the origin if there was none
        shift = np.add.reduceat(w[:, None] * offset, first) / total[:, None]
        spread = np.add.reduceat(w * (offset**2).sum(axis=1) + scatter[order], first)
        self._position[rows] = before + shift
        grown = self._scatter[rows] + spread - total * (shift**2).sum(axis=1)
        self._scatter[rows] = np.maximum(grown, 0)
        self._weight[rows] = total
        share = csr_matrix(
            ((w / total[of]).astype(np.float32), order, np.append(first, len(order))), (len(rows), len(weight))
        )
        self._feature[rows] *= (old / total).astype(np.float32)[:, None]
        self._feature[rows] += share @ feature.astype(np.float32, copy=False)

    def _rows_of(self, groups: Ints, keys: Ints) -> Ints:
        """Rows of sorted (group, key) pairs; atoms that are missing are made, empty."""
        at = self._find(groups, keys)
        known = at < len(self)
        known[known] = (self._groups[at[known]] == groups[known]) & (self._keys[at[known]] == keys[known])
        new = ~known
        rows = np.zeros(len(keys), np.int64)
        rows[known] = self._rows[at[known]]
        if new.any():
            rows[new] = self._take(int(new.sum()))
            self._groups = np.insert(self._groups, at[new], groups[new])
            self._keys = np.insert(self._keys, at[new], keys[new])
            self._rows = np.insert(self._rows, at[new], rows[new])
        return rows

    def _find(self, groups: Ints, keys: Ints) -> Ints:
        """Where each of the pairs, sorted by group, stands in the sorted atoms, or would stand."""
        at = np.zeros(len(keys), np.int64)
        first = np.append(np.flatnonzero(np.diff(groups, prepend=groups[0] - 1)), len(groups))
        for start, stop in itertools.pairwise(first.tolist()):
            low, high = np.searchsorted(self._groups, [groups[start], groups[start] + 1])
            at[start:stop] = low + np.searchsorted(self._keys[low:high], keys[start:stop])
        return at

    def _take(self, n: int) -> Ints:
        """``n`` free rows, empty."""
        short = n - len(self._free)
        if short > 0:
            old = len(self._weight)
            more = max(short, self.capacity // 2)
            self._weight = np.concatenate([self._weight, np.zeros(more)])
            self._position = np.concatenate([self._position, np.zeros((more, 3))])
            self._scatter = np.concatenate([self._scatter, np.zeros(more)])
            self._updated = np.concatenate([self._updated, np.zeros(more, np.int64)])
            self._feature = np.concatenate([self._feature, np.zeros((more, self.channels), np.float32)])
            self._free = np.concatenate([self._free, np.arange(old, old + more)])
        rows, self._free = self._free[:n], self._free[n:]
        self._weight[rows], self._position[rows], self._scatter[rows], self._feature[rows] = 0, 0, 0, 0
        return rows

    def _fit(self) -> None:
        """Bring the atoms within the capacity: the groups with most atoms per proxy go up a level."""
        while len(self) > self.capacity:
            names, counts, shares = self._shares()
            if counts.max() == 1:
                return  # more groups than the capacity
            density = np.where(counts > 1, counts / np.maximum(shares, 1), 0)
            density[names == PENDING] /= _PENDING_FINER
            self._coarsen(int(names[density.argmax()]))

    def _shares(self) -> tuple[Ints, Ints, Ints]:
        """The groups, ascending, how many atoms each has, and how many proxies are its share."""
        first = _starts(self._groups, self._groups)
        counts = np.diff(np.append(first, len(self)))
        sizes = np.add.reduceat(self._sizes(), first) if len(first) else np.zeros(0)
        return self._groups[first], counts, share_budget(sizes, self.budget, self.per_group, counts)

    def _sizes(self) -> Floats:
        """(A,) surface that each atom stands for, in cells of the level _PATIENCE, where patches are dense enough.

        A surface fills four of the eight cells in a cell; atoms that share a cell share its surface.
        """
        level = np.maximum(levels_of(self._keys), _PATIENCE)
        cell = raise_keys(self._keys, level)
        order = np.lexsort((cell, self._groups))
        first = _starts(self._groups[order], cell[order])
        sharing = np.diff(np.append(first, len(cell)))
        sizes = np.empty(len(cell))
        sizes[order] = 4.0 ** (level[order] - _PATIENCE) / np.repeat(sharing, sharing)
        return sizes

    def _coarsen(self, name: int) -> None:
        """Take a group a level up."""
        self._level[name] += 1
        mine = self._groups == name
        keys = self._keys.copy()
        keys[mine] = raise_keys(keys[mine], np.full(int(mine.sum()), self._level[name]))
        self._rekey(self._groups, keys)

    def _rekey(self, groups: Ints, keys: Ints) -> None:
        """Give every atom a new group and key; atoms that come to share both are added up."""
        order = np.lexsort((keys, groups))
        groups, keys, rows = groups[order], keys[order], self._rows[order]
        first = _starts(groups, keys)
        lengths = np.diff(np.append(first, len(rows)))
        head = np.repeat(rows[first], lengths)
        added = rows != head
        if added.any():
            source, target = rows[added], head[added]
            begins = np.flatnonzero(np.diff(target, prepend=-1))
            w, p, s, f = self._weight[source], self._position[source], self._scatter[source], self._feature[source]
            self._add(target[begins], np.arange(len(source)), begins, w, p, s, f)
            self._free = np.concatenate([source, self._free])
        self._groups, self._keys, self._rows = groups[first], keys[first], rows[first]

    def _drop(self, gone: NDArray[np.bool_]) -> None:
        """Remove atoms."""
        if gone.any():
            self._free = np.concatenate([self._rows[gone], self._free])
            self._groups, self._keys, self._rows = self._groups[~gone], self._keys[~gone], self._rows[~gone]

    def regroup(self, occupied: Occupied, away: Collection[int] = ()) -> None:
        """Follow what became of the groups: they merge, split, appear and go, and the atoms with them.

        An atom keeps its group where that still has a part in the atom's cell, else it goes to the group with most
        parts there. What is PENDING goes to any other group in the cell or around it. Where nothing is left in the cell
        and around it, the atom goes away. A thing so small that no patch fell on it takes the atom that is nearest to
        its middle: no object is without a proxy.

        Args:
            occupied: where the groups are now.
            away: groups that have no place now and may come back, by ``move``; their atoms are left alone.
        """
        known = np.isin(self._groups, list(away))
        taken = self._groups.copy()
        level = levels_of(self._keys)
        for step in range(int(level.max(initial=_PATIENCE)) + 1):
            asked = np.flatnonzero(~known & (level <= step) & (np.maximum(level, _PATIENCE) >= step))
            if len(asked):
                keys = raise_keys(self._keys[asked], np.full(len(asked), step))
                found, taken[asked] = occupied.find(step, keys, self._groups[asked])
                # What is pending in its own cell may be known around it.
                known[asked] = found & ((taken[asked] != PENDING) | (step == np.maximum(level[asked], _PATIENCE)))
        kept = known | (self._updated[self._rows] > occupied.update)
        self._drop(~kept)
        if (taken[kept] != self._groups).any():
            self._rekey(taken[kept], self._keys)
        for name, middle in occupied.missing(self._groups):
            self._take_nearest(name, middle * self.resolution)
        self._settle_levels()
        self._fit()

    def _take_nearest(self, name: int, place: Floats) -> None:
        """Give a group without atoms the one nearest to a place (3,), of an object only if that has others."""
        names, which, count = np.unique(self._groups, return_inverse=True, return_counts=True)
        spare = (names[which] < 0) | (count[which] > 1)
        if spare.any():
            apart = ((self._position[self._rows] - place) ** 2).sum(axis=1)
            groups = self._groups.copy()
            groups[np.where(spare, apart, np.inf).argmin()] = name
            self._rekey(groups, self._keys)

    def move(self, group: int, transform: Floats) -> None:
        """Carry a group's atoms along with the thing that moved.

        Args:
            transform: 4x4, rigid, in the fixed frame: ``new_from_old``.
        """
        mine = self._groups == group
        rows = self._rows[mine]
        self._position[rows] = self._position[rows] @ transform[:3, :3].T + transform[:3, 3]
        keys = self._keys.copy()
        keys[mine] = cell_keys(cells_of(self._position[rows], self.resolution), levels_of(keys[mine]))
        self._rekey(self._groups, keys)

    def _settle_levels(self) -> None:
        """Levels of the groups as they are now; one that has become small takes what comes at a finer level."""
        names, counts, shares = self._shares()
        first = _starts(self._groups, self._groups)
        own = np.maximum.reduceat(levels_of(self._keys), first) if len(first) else counts
        level = np.array([self._level.get(name, high) for name, high in zip(names.tolist(), own, strict=True)], int)
        level -= (level > 0) & (8 * counts <= ATOMS_PER_PROXY * shares)
        self._level = dict(zip(names.tolist(), level.tolist(), strict=True))

    def atoms(self, without: Collection[int] = ()) -> Atoms:
        """A copy of the atoms, but for those of some groups."""
        shown = ~np.isin(self._groups, list(without))
        rows = self._rows[shown]
        return Atoms(
            self._position[rows],
            self._feature[rows],
            self._weight[rows],
            self._scatter[rows],
            self._groups[shown],
            self._sizes()[shown],
        )

    def proxies(self, without: Collection[int] = ()) -> ProxySet:
        """The proxies now: Eqs 1-3 on the atoms; ``min(budget, atoms)`` of them."""
        return self.atoms(without).cluster(self.budget, self.per_group)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All atoms as arrays."""
        rows = self._rows
        return {
            "groups": self._groups.copy(),
            "keys": self._keys.copy(),
            "weight": self._weight[rows],
            "position": self._position[rows],
            "scatter": self._scatter[rows],
            "feature": self._feature[rows],
        }

    def load_state_dict(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Replace all atoms by saved ones of the same resolution.

        Raises KeyError or ValueError on missing, misshapen or unsorted arrays; the map is unchanged.
        """
        n = len(arrays["keys"])
        fresh = ProxyMap(self.channels, self.budget, self.per_group, self.resolution)
        groups, keys = arrays["groups"].astype(np.int64).reshape(n), arrays["keys"].astype(np.int64).reshape(n)
        if (n and len(_starts(groups, keys)) != n) or (np.lexsort((keys, groups)) != np.arange(n)).any():
            raise ValueError("the atoms are not sorted by group and key")
        rows = fresh._take(n)
        fresh._groups, fresh._keys, fresh._rows = groups, keys, rows
        fresh._weight[rows] = arrays["weight"].reshape(n)
        fresh._position[rows] = arrays["position"].reshape(n, 3)
        fresh._scatter[rows] = arrays["scatter"].reshape(n)
        fresh._feature[rows] = arrays["feature"].reshape(n, self.channels)
        fresh._settle_levels()
        fresh._fit()
        self.__dict__.update(fresh.__dict__)


def cells_of(points: NDArray[Any], resolution: float) -> Ints:
    """Level-0 cells (N, 3) of points (N, 3)."""
    return np.asarray(np.floor(points / resolution), np.int64)


def cell_keys(cells: Ints, level: Ints | int) -> Ints:
    """Keys (N,) of the cells at ``level``, one or (N,), that hold the level-0 ``cells`` (N, 3)."""
    c = (cells + _HALF) >> np.asarray(level)[..., None]
    bits = LEVELS - level
    key: Ints = _FIRST_KEY[level] + ((c[:, 0] << (2 * bits)) | (c[:, 1] << bits) | c[:, 2])
    return key


def levels_of(keys: Ints) -> Ints:
    """The level (N,) of each key."""
    return np.asarray(np.searchsorted(_FIRST_KEY, keys, side="right") - 1, np.int64)


def raise_keys(keys: Ints, level: Ints) -> Ints:
    """Keys (N,) of the cells at ``level`` (N,) around those of ``keys``; what is higher already stays."""
    own = levels_of(keys)
    bits = LEVELS - own
    rest, mask = keys - _FIRST_KEY[own], (1 << bits) - 1
    cells = np.stack([rest >> (2 * bits), (rest >> bits) & mask, rest & mask], axis=1)
    return cell_keys((cells << own[:, None]) - _HALF, np.maximum(own, level))


def _starts(groups: Ints, keys: Ints) -> Ints:
    """Where a new (group, key) pair begins in sorted ones."""
    new = np.ones(len(keys), bool)
    new[1:] = (groups[1:] != groups[:-1]) | (keys[1:] != keys[:-1])
    return np.flatnonzero(new)

"""A sparse voxel map that keeps running means: what it costs to add a frame depends on the frame, not on the map.

Each voxel holds the mean position, normal and colour of the points that fell into it, for how long it was seen, for how
long it was seen to be empty, and votes for labels. Votes are kept for the four labels with most weight (the
Space-Saving sketch of Metwally et al. 2005), so any vocabulary fits in constant memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.perception.observation import NO_CLASS, NO_VOTE, Observation
from proxy3d_core.scene.snapshot import PENDING

SLOTS = 4
Z_BITS = 21
"""Bits of a key for each coordinate; the lowest are z, so that ``key >> Z_BITS`` is a column."""

_HALF = 1 << (Z_BITS - 1)
_MEAN_WINDOW = 60.0  # points; older ones fade, so that a moved surface is followed
CARVE_PERIOD = 0.1
"""Seconds of looking in which every voxel is tested once for being seen empty."""

_FILLER = {"slot_label": -1, "owner": PENDING}
_SEEN_CAP = 3.0  # seconds; a long-seen voxel must not take forever to disappear

HALF_NEIGHBOURS = np.array(
    [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)], dtype=np.int64
)
"""Half of the 26 neighbours: every adjacent pair once."""


def pack(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Voxel coordinates (N, 3) in [-2^20, 2^20) -> keys (N,), sorted as the coordinates are."""
    c = cells.astype(np.int64) + _HALF
    return (c[:, 0] << (2 * Z_BITS)) | (c[:, 1] << Z_BITS) | c[:, 2]


def unpack(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keys (N,) -> voxel coordinates (N, 3)."""
    mask = (1 << Z_BITS) - 1
    return np.stack([keys >> (2 * Z_BITS), (keys >> Z_BITS) & mask, keys & mask], axis=1) - _HALF


class VoxelMap:
    """The voxels, as columns of equal length; free rows are reused.

    Attributes:
        size: edge of a voxel, metres.
        position: (N, 3) float32 mean position, fixed frame, metres.
        appearance: (N, 6) float32 mean normal and colour (r, g, b).
        count: (N,) float32 points in the mean (fading).
        seen: (N,) float32 seconds of observation, capped.
        empty: (N,) float32 seconds for which the place was seen to be empty since it was last hit.
        background: (N,) float32 seconds in which the segmenter gave no class.
        slot_label: (N, 4) int16 vocabulary indices, -1 = free; slot_weight: (N, 4) float32 seconds.
        first_ns, last_ns: (N,) int64 stamps.
        owner: (N,) int64 id of the object that the voxel belonged to at the last extraction, or a negative group (see
            snapshot.py).
    """

    _COLUMNS = (
        "position",
        "appearance",
        "count",
        "seen",
        "empty",
        "background",
        "slot_label",
        "slot_weight",
        "first_ns",
        "last_ns",
        "owner",
    )

    def __init__(self, size: float, max_voxels: int) -> None:
        self.size = size
        self.max_voxels = max_voxels
        self._keys = np.zeros(0, np.int64)  # sorted
        self._rows = np.zeros(0, np.int64)  # row of each key
        self._key_of_row = np.zeros(0, np.int64)  # -1 = free
        self._free: NDArray[np.int64] = np.zeros(0, np.int64)
        self._cursor = 0  # where carving goes on
        self._allocate(0)

    def _allocate(self, capacity: int) -> None:
        self.position = np.zeros((capacity, 3), np.float32)
        self.appearance = np.zeros((capacity, 6), np.float32)
        self.count = np.zeros(capacity, np.float32)
        self.seen = np.zeros(capacity, np.float32)
        self.empty = np.zeros(capacity, np.float32)
        self.background = np.zeros(capacity, np.float32)
        self.slot_label = np.full((capacity, SLOTS), -1, np.int16)
        self.slot_weight = np.zeros((capacity, SLOTS), np.float32)
        self.first_ns = np.zeros(capacity, np.int64)
        self.last_ns = np.zeros(capacity, np.int64)
        self.owner = np.full(capacity, PENDING, np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Sorted keys of all voxels."""
        return self._keys

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the columns, in the order of ``keys``."""
        return self._rows

    @property
    def reach(self) -> float:
        """Largest coordinate of a point in the map, metres."""
        return (_HALF - 2) * self.size

    def fuse(self, observation: Observation, evidence: float) -> NDArray[np.int64]:
        """Add an observation that stands for ``evidence`` seconds of looking; returns owners of the voxels hit.

        All points must lie within ``reach``.
        """
        if not len(observation.points):
            return np.zeros(0, np.int64)
        keys = pack(np.floor(observation.points / np.float32(self.size)).astype(np.int64))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        counts = np.diff(np.append(starts, len(keys))).astype(np.float32)
        unique = keys[starts]
        rows = self._rows_of(unique, observation.stamp_ns)

        values = np.concatenate([observation.points, observation.normals, observation.colors], axis=1)[order]
        sums = np.add.reduceat(values, starts, axis=0)
        total = self.count[rows] + counts
        for column, part in ((self.position, sums[:, :3]), (self.appearance, sums[:, 3:])):
            old = column[rows]
            column[rows] = old + (part - counts[:, None] * old) / total[:, None]
        self.count[rows] = np.minimum(total, _MEAN_WINDOW)
        self.seen[rows] = np.minimum(self.seen[rows] + evidence, _SEEN_CAP)
        self.empty[rows] = 0
        self.last_ns[rows] = observation.stamp_ns
        self._vote(rows, observation.labels[order], observation.scores[order], starts, evidence)
        return self.owner[rows]

    def weigh(self, factor: float) -> None:
        """Let all that was seen so far count ``factor`` times as long."""
        for column in (self.seen, self.background, self.slot_weight):
            column *= factor

    def _rows_of(self, unique: NDArray[np.int64], stamp_ns: int) -> NDArray[np.int64]:
        """Rows of sorted keys; voxels that are missing are made."""
        at = np.searchsorted(self._keys, unique)
        found = np.zeros(len(unique), bool)
        within = at < len(self._keys)
        found[within] = self._keys[at[within]] == unique[within]
        new = unique[~found]
        if len(new):
            rows = self._take(len(new))
            self.first_ns[rows] = stamp_ns
            self._key_of_row[rows] = new
            self._keys = np.insert(self._keys, at[~found], new)
            self._rows = np.insert(self._rows, at[~found], rows)
            at = np.searchsorted(self._keys, unique)
        return self._rows[at]

    def _take(self, n: int) -> NDArray[np.int64]:
        """``n`` cleared rows."""
        short = n - len(self._free)
        if short > 0:
            old = len(self.count)
            grown = max(old + short, int(old * 1.5), 4096)
            for name in self._COLUMNS:
                column = getattr(self, name)
                filler = _FILLER.get(name, 0)
                extra = np.full((grown - old, *column.shape[1:]), filler, column.dtype)
                setattr(self, name, np.concatenate([column, extra]))
            self._key_of_row = np.concatenate([self._key_of_row, np.full(grown - old, -1, np.int64)])
            self._free = np.concatenate([self._free, np.arange(old, grown)])
        rows, self._free = self._free[:n], self._free[n:]
        return rows

    def _vote(
        self,
        rows: NDArray[np.int64],
        labels: NDArray[np.int32],
        scores: NDArray[np.float32],
        starts: NDArray[np.int64],
        evidence: float,
    ) -> None:
        """Each voxel votes for the label that most of its pixels carry in this frame, as surely as they do."""
        present, compact = np.unique(labels, return_inverse=True)
        if len(present) == 1 and present[0] == NO_VOTE:
            return
        one_hot = np.zeros((len(labels), len(present)), np.float32)
        one_hot[np.arange(len(labels)), compact] = 1
        histogram = np.add.reduceat(one_hot, starts, axis=0)
        if present[0] == NO_VOTE:
            histogram[:, 0] *= 0.5  # a trusted pixel outweighs one that abstains
        winner = present[histogram.argmax(axis=1)]
        self.background[rows[winner == NO_CLASS]] += evidence
        voting = winner >= 0
        if not voting.any():
            return
        own = labels == np.repeat(winner, np.diff(np.append(starts, len(labels))))
        sure = np.add.reduceat(scores * own, starts) / np.maximum(np.add.reduceat(own.astype(np.float32), starts), 1)
        voters, label = rows[voting], winner[voting].astype(np.int16)
        slots, weights = self.slot_label[voters], self.slot_weight[voters]
        same = slots == label[:, None]
        slot = np.where(same.any(axis=1), same.argmax(axis=1), weights.argmin(axis=1))
        self.slot_label[voters, slot] = label
        self.slot_weight[voters, slot] += evidence * sure[voting]

    def carve(self, observation: Observation, evidence: float, gone_after: float) -> NDArray[np.int64]:
        """Note which voxels this frame saw to be empty, remove those that were empty for ``gone_after`` seconds.

        A voxel was seen empty if the depth all around its pixel lies clearly behind it; out of view or hidden is not
        empty. Every voxel is looked at once in ``CARVE_PERIOD`` seconds of looking, a share of them in each frame.

        Returns the owners of the removed voxels.
        """
        share = min(1.0, evidence / CARVE_PERIOD)
        begin, capacity = self._cursor, len(self.count)
        if begin >= capacity:
            begin = 0
        end = min(capacity, begin + int(np.ceil(share * capacity)))
        self._cursor = end
        pose, k = observation.pose, observation.intrinsics
        axes = pose[:3, :3].astype(np.float32)
        offset = (pose[:3, 3] @ pose[:3, :3]).astype(np.float32)
        position = self.position[begin:end]
        depth = position @ axes[:, 2] - offset[2]
        near = np.flatnonzero((depth > 0.1) & (depth < observation.reach) & (self._key_of_row[begin:end] >= 0))
        z, position = depth[near], position[near]
        # Adding a half and truncating rounds; what lies left of or above the image must not round into it.
        u = (position @ axes[:, 0] - offset[0]) * (np.float32(k.fx) / z) + np.float32(k.cx + 0.5)
        v = (position @ axes[:, 1] - offset[1]) * (np.float32(k.fy) / z) + np.float32(k.cy + 0.5)
        inside = np.flatnonzero((u >= 0) & (u < k.width) & (v >= 0) & (v < k.height))
        near, z = near[inside], z[inside]
        measured = observation.near_depth[v[inside].astype(np.intp), u[inside].astype(np.intp)]
        rows = begin + near[measured > z + 2 * self.size + 0.03 * z]
        self.empty[rows] += evidence / share
        # What was seen for long needs a longer look to disappear: thin things are hit and missed in turn.
        removed = rows[self.empty[rows] >= np.maximum(gone_after, 0.3 * self.seen[rows])]
        owners: NDArray[np.int64] = self.owner[removed]
        self._remove(np.searchsorted(self._keys, self._key_of_row[removed]))
        return owners

    def owner_at(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N,) owner of the voxel around each point (N, 3); PENDING where there is none."""
        keys = pack(np.floor(points / np.float32(self.size)).astype(np.int64))
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known = self._keys[at] == keys if len(self._keys) else np.zeros(len(keys), bool)
        owners = np.full(len(keys), PENDING, np.int64)
        owners[known] = self.owner[self._rows[at[known]]]
        return owners

    def assign(self, keys: NDArray[np.int64], rows: NDArray[np.int64], owner: NDArray[np.int64]) -> None:
        """Set the owners of voxels that were at these rows; those that have been removed meanwhile are left out."""
        alive = self._key_of_row[rows] == keys
        self.owner[rows[alive]] = owner[alive]

    def evict(self) -> int:
        """Remove the voxels unseen for longest until the map is within its bound; returns how many."""
        excess = len(self._keys) - self.max_voxels
        if excess <= 0:
            return 0
        # A tenth more than needed, so that not every frame pays for it.
        n = min(len(self._keys), excess + self.max_voxels // 10)
        self._remove(np.argpartition(self.last_ns[self._rows], n - 1)[:n])
        return n

    def forget(self, owner: int, last_ns: int) -> None:
        """Remove what is left of an object that is gone: its voxels that were not hit after ``last_ns``.

        The foot of a removed thing cannot be seen through: the floor is right behind it.
        """
        mine = (self.owner[self._rows] == owner) & (self.last_ns[self._rows] <= last_ns)
        self._remove(np.flatnonzero(mine))

    def _remove(self, positions: NDArray[np.int64]) -> None:
        """Remove the voxels at these positions of ``keys``."""
        if not len(positions):
            return
        rows = self._rows[positions]
        for name in self._COLUMNS:
            getattr(self, name)[rows] = _FILLER.get(name, 0)
        self._key_of_row[rows] = -1
        self._free = np.concatenate([self._free, rows])
        keep = np.ones(len(self._keys), bool)
        keep[positions] = False
        self._keys, self._rows = self._keys[keep], self._rows[keep]

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """All voxels as arrays, in the order of ``keys``."""
        return {"keys": self._keys.copy(), **{name: getattr(self, name)[self._rows] for name in self._COLUMNS}}

    def load_state_dict(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Replace all voxels by saved ones. Raises KeyError or ValueError on missing or misshapen columns."""
        n = len(arrays["keys"])
        fresh = VoxelMap(self.size, self.max_voxels)
        rows = fresh._take(n)
        for name in self._COLUMNS:
            getattr(fresh, name)[rows] = arrays[name].reshape((n, *getattr(fresh, name).shape[1:]))
        keys = arrays["keys"].astype(np.int64)
        if (np.diff(keys) <= 0).any():
            raise ValueError("voxel keys are not sorted")
        fresh._keys, fresh._rows = keys, rows
        fresh._key_of_row[rows] = keys
        self.__dict__.update(fresh.__dict__)

"""Masks of many frames -> instance groups: one number for one thing, in whatever frame and mask it was seen.

Masks of single frames are wrong in two ways: one covers several things, or several cover one. No frame decides alone:

* Every voxel holds votes for *fragments*. A mask votes for the fragment that it overlaps best in 3D, or begins a new
  one; where several masks of a frame lie on one fragment, the best keeps it and the others begin their own. So a
  fragment that was seen whole once and in two parts ten times falls apart, and the other way round it stays.
* For every two fragments it is counted in how many views one mask covered both, and in how many each had a mask of its
  own: the view consensus of MaskClustering (Yan et al., CVPR 2024), kept up to date frame by frame. Fragments with
  enough consensus become one; a single mask over two known things joins nothing. Masks that touch count for more than
  masks with something between them, which may hide the middle of one thing.

Counts do not depend on the order of the frames, only the moment of a decision does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.scene.voxels import pack

UNMASKED = -1
"""Group of what is in no mask; stuff of class c is group ``stuff_group(c)``."""

_SLOTS = 4
_LEAST_IOU = 0.25  # of a mask's voxels and the visible ones of a fragment
_LEAST_INSIDE = 0.5  # share of a mask's voxels in a fragment
_COVERED = 0.7  # share of a fragment's visible voxels in one mask
_OTHER_CLASS = 0.5  # factor on the overlap of a mask and a fragment of two classes: labels never veto
_LEAST_VOXELS = 3  # a mask of fewer voxels says nothing
_LEAST_CONTACT = 3  # neighbouring voxels of two masks that touch
_VIEWS = 3  # as many views must agree
_CONSENSUS = 0.6  # share of the views in which one mask covered both, of those in which it did or two masks touched
_AGREEMENT = 0.3  # the same, of those in which it did or there were two masks, wherever
_UNMASKED_VOTE = 0.4  # a segmenter misses more often than it invents
_MOST_VOTES = 20.0  # older votes fade, so that a moved thing is followed
_PRUNE_EVERY = 32  # updates
_VOXEL_COLUMNS = ("keys", "slots", "votes", "seen")
_FRAGMENT_COLUMNS = ("fragments", "label", "label_votes", "fragment_seen")
_TABLES = ("together", "apart", "separate")


@dataclass(frozen=True, eq=False)
class InstanceEvidence:
    """Which places were seen as which thing.

    Attributes:
        groups: (N,) int64 instance group of each place, 0 = none.
        present: (G,) the groups among them, sorted.
        one: (G, G) whether more views showed two groups in one mask than in masks of their own.
        two: (G, G) whether two groups were seen in masks of their own in enough views, and rarely in one.
    """

    groups: NDArray[np.int64]
    present: NDArray[np.int64]
    one: NDArray[np.bool_]
    two: NDArray[np.bool_]


def stuff_group(label: int) -> int:
    """Group number of a class that makes no instances: floor, wall, ceiling."""
    return -2 - label


class InstanceMap:
    """Keeps fragments in a sparse voxel grid; see the module's text.

    Memory is bounded by ``max_voxels`` and ``max_groups``.
    """

    def __init__(
        self,
        voxel_size: float = 0.05,
        stuff: Collection[int] = (),
        max_voxels: int = 200_000,
        max_groups: int = 1000,
    ) -> None:
        """
        Args:
            voxel_size: metres.
            stuff: class ids that make no instances.
            max_voxels: the voxels unseen for longest go first.
            max_groups: the groups unseen for longest go first.
        """
        self._size = voxel_size
        self._stuff = np.array(sorted(stuff), np.int64)
        self._max_voxels, self._max_groups = max_voxels, max_groups
        self._keys = np.zeros(0, np.int64)  # sorted
        self._slots = np.zeros((0, _SLOTS), np.int64)  # fragment (> 0) or negative group; 0 = free
        self._votes = np.zeros((0, _SLOTS), np.float32)
        self._seen = np.zeros(0, np.int64)  # update
        self._updates = 0
        self._next = 1
        self._fragments = np.zeros(0, np.int64)  # sorted; the columns below have their order
        self._label = np.zeros(0, np.int64)
        self._label_votes = np.zeros(0, np.int64)
        self._fragment_seen = np.zeros(0, np.int64)
        self._together = np.zeros((0, 0), np.int32)  # larger than needed, so that not every fragment moves it
        self._apart = np.zeros((0, 0), np.int32)  # in masks that touch
        self._separate = np.zeros((0, 0), np.int32)  # in masks of their own, wherever

    def __len__(self) -> int:
        """Number of voxels."""
        return len(self._keys)

    @property
    def group_count(self) -> int:
        """Number of instance groups, those included that were only just seen for the first time."""
        return len(self._fragments)

    def update(
        self,
        masks: NDArray[np.integer],
        points: NDArray[np.floating],
        valid: NDArray[np.bool_] | None = None,
        labels: NDArray[np.integer] | None = None,
    ) -> NDArray[np.int64]:
        """Add the masks of a frame.

        Args:
            masks: (...,) instance masks, 0 = none; a number means the same thing within this frame only.
            points: (..., 3) in the fixed frame, metres.
            valid: (...,) where the point is known; None = everywhere.
            labels: (...,) class of each pixel, negative = none; None = no classes. A mask of a stuff class is stuff.

        Returns:
            (...,) groups: positive numbers of instances, the same in all frames and never reused; negative ones of
            stuff. Where no point is known it is the group that most of the mask's pixels have.
        """
        shape = masks.shape
        number = np.unique(masks, return_inverse=True)
        has_none = len(number[0]) > 0 and number[0][0] == 0
        mask = number[1].reshape(-1) + (0 if has_none else 1)
        count = int(mask.max(initial=0)) + 1
        point = points.reshape(-1, 3)
        good = np.isfinite(point).all(axis=1) if valid is None else valid.reshape(-1)
        label = np.full(len(mask), -1, np.int64) if labels is None else labels.reshape(-1).astype(np.int64)
        self._updates += 1
        groups = np.full(len(mask), UNMASKED, np.int64)
        if good.any():
            groups[good] = self._add(mask[good], point[good], label[good], count)
        for m in np.unique(mask[~good]):
            same = groups[good & (mask == m)]
            if m > 0 and len(same):
                values, counts = np.unique(same, return_counts=True)
                groups[~good & (mask == m)] = values[counts.argmax()]
        if self._updates % _PRUNE_EVERY == 0 or len(self._fragments) > self._max_groups:
            self._prune()
        if len(self._keys) > self._max_voxels:
            excess = len(self._keys) - self._max_voxels + self._max_voxels // 10
            keep = np.ones(len(self._keys), bool)
            keep[np.argpartition(self._seen, excess)[:excess]] = False
            self._keep_voxels(keep)
        return groups.reshape(shape)

    def groups_at(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """Groups (...,) at points (..., 3); 0 where nothing was seen."""
        flat = points.reshape(-1, 3)
        if not len(self._keys):
            return np.zeros(points.shape[:-1], np.int64)
        keys = pack(np.floor(flat / self._size).astype(np.int64))
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self._winners(at), 0).reshape(points.shape[:-1])

    def evidence_at(self, points: NDArray[np.floating]) -> InstanceEvidence:
        """What is known of instances at points (N, 3), as it is now."""
        groups = np.maximum(self.groups_at(points), 0)
        present = np.unique(groups[groups > 0])
        at = np.searchsorted(self._fragments, present)
        together, apart = self._together[np.ix_(at, at)], self._apart[np.ix_(at, at)]
        two = (apart >= _VIEWS) & (together < (1 - _CONSENSUS) * (together + apart))
        one = together > self._separate[np.ix_(at, at)]
        same = np.eye(len(present), dtype=bool)
        return InstanceEvidence(groups, present, one | same, two & ~same)

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """All that a saved map holds."""
        n = len(self._fragments)
        return {
            **{name: getattr(self, f"_{name}").copy() for name in (*_VOXEL_COLUMNS, *_FRAGMENT_COLUMNS)},
            **{name: getattr(self, f"_{name}")[:n, :n].copy() for name in _TABLES},
            "counters": np.array([self._updates, self._next], np.int64),
        }

    def load_state_dict(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace everything by what was saved. Raises KeyError or ValueError on missing or misshapen arrays."""
        voxels, fragments = len(arrays["keys"]), len(arrays["fragments"])
        shapes = {
            **dict.fromkeys(_VOXEL_COLUMNS, (voxels,)),
            **dict.fromkeys(_FRAGMENT_COLUMNS, (fragments,)),
            **dict.fromkeys(("slots", "votes"), (voxels, _SLOTS)),
            **dict.fromkeys(_TABLES, (fragments, fragments)),
            "counters": (2,),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"instances.{name} has shape {arrays[name].shape}, expected {shape}")
        keys, known, slots = (np.asarray(arrays[name], np.int64) for name in ("keys", "fragments", "slots"))
        if (np.diff(keys) <= 0).any() or (np.diff(known) <= 0).any() or not np.isin(slots[slots > 0], known).all():
            raise ValueError("instances are not sorted, or vote for what is not there")
        self._updates, self._next = (int(c) for c in arrays["counters"])
        for name in shapes.keys() - {"counters"}:
            setattr(self, f"_{name}", arrays[name].astype(getattr(self, f"_{name}").dtype))

    def _add(
        self, mask: NDArray[np.int64], points: NDArray[np.floating], label: NDArray[np.int64], count: int
    ) -> NDArray[np.int64]:
        """Votes of the pixels (P,) of one frame with ``count`` masks, 0 = none; returns their groups."""
        cells, voxel = np.unique(pack(np.floor(points / self._size).astype(np.int64)), return_inverse=True)
        voxel = voxel.reshape(-1)
        # Of the masks that share a voxel the largest has it.
        pixels = np.bincount(voxel * count + mask, minlength=len(cells) * count).reshape(len(cells), count)
        of_voxel = pixels.argmax(axis=1)
        size = np.bincount(of_voxel, minlength=count)
        mask_label = _majority(mask, label, count)
        stuff = np.isin(mask_label, self._stuff)
        stuff[0] = False
        rows = self._rows_of(cells)

        thing = np.flatnonzero(~stuff & (size >= _LEAST_VOXELS))
        thing = thing[thing > 0]
        overlap, visible = self._overlaps(rows, of_voxel, count)
        home = self._match(thing, size, overlap, visible, mask_label)
        covered = self._covered(thing, overlap, visible)
        self._count_views(covered[thing], home, _touching(cells, of_voxel, count))

        vote = np.full(len(cells), UNMASKED, np.int64)
        vote[stuff[of_voxel]] = -2 - mask_label[of_voxel[stuff[of_voxel]]]
        bare = of_voxel == 0
        of_stuff = _majority(voxel, label, len(cells))
        plain = bare & np.isin(of_stuff, self._stuff)
        vote[plain] = -2 - of_stuff[plain]
        weight = np.where(vote == UNMASKED, _UNMASKED_VOTE, 1.0).astype(np.float32)
        masked = home[of_voxel] > 0
        vote[masked] = home[of_voxel[masked]]
        weight[masked] = 1.0
        # A mask over several known things confirms each of them where it is; what becomes of them the views decide.
        known = self._winners(rows)
        several = masked & (covered.sum(axis=1) > 1)[of_voxel] & (known > 0)
        at = np.searchsorted(self._fragments, known[several])
        confirmed = np.flatnonzero(several)[covered[of_voxel[several], at]]
        vote[confirmed] = known[confirmed]
        # A mask too small to say anything does not vote.
        silent = ~masked & ~bare & ~stuff[of_voxel]
        self._vote(rows[~silent], vote[~silent], weight[~silent])
        self._seen[rows] = self._updates
        self._merge(covered[thing])
        return self._winners(rows)[voxel]

    def _overlaps(
        self, rows: NDArray[np.int64], of_voxel: NDArray[np.int64], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(count, F) voxels that each mask shares with each fragment, and (F,) voxels of each fragment in view."""
        f = len(self._fragments)
        slots = self._slots[rows]
        voxel, slot = np.nonzero(slots > 0)
        fragment = np.searchsorted(self._fragments, slots[voxel, slot])
        overlap = np.bincount(of_voxel[voxel] * f + fragment, minlength=count * f).reshape(count, f)
        return overlap, overlap.sum(axis=0)

    def _match(
        self,
        thing: NDArray[np.int64],
        size: NDArray[np.int64],
        overlap: NDArray[np.int64],
        visible: NDArray[np.int64],
        mask_label: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Fragment of each mask (0 = none): the best pairs first, one to one; what is left begins new ones."""
        home = np.zeros(len(size), np.int64)
        shared = overlap[thing].astype(np.float64)
        known = len(self._fragments)
        iou = shared / np.maximum(size[thing, None] + visible - shared, 1)
        differ = (mask_label[thing, None] >= 0) & (self._label >= 0) & (mask_label[thing, None] != self._label)
        score = iou * np.where(differ, _OTHER_CLASS, 1.0)
        fits = (score >= _LEAST_IOU) | ((shared >= _LEAST_INSIDE * size[thing, None]) & ~differ)
        mask_at, fragment_at = np.nonzero(fits)
        order = np.lexsort((fragment_at, mask_at, -score[mask_at, fragment_at]))
        taken = np.zeros(known, bool)
        for i, f in zip(mask_at[order].tolist(), fragment_at[order].tolist(), strict=True):
            if not home[thing[i]] and not taken[f]:
                home[thing[i]] = self._fragments[f]
                taken[f] = True
        new = thing[home[thing] == 0]
        home[new] = self._next + np.arange(len(new))
        self._grow(len(new))
        at = np.searchsorted(self._fragments, home[thing])
        self._fragment_seen[at] = self._updates
        # Majority vote of Boyer and Moore: one label and one count for each fragment.
        label = mask_label[thing]
        agree = (label == self._label[at]) & (label >= 0)
        empty = (self._label_votes[at] == 0) & (label >= 0)
        self._label[at[empty]] = label[empty]
        self._label_votes[at] += np.where(agree | empty, 1, np.where(label >= 0, -1, 0))
        return home

    def _grow(self, n: int) -> None:
        """``n`` new fragments."""
        self._fragments = np.append(self._fragments, self._next + np.arange(n))
        self._next += n
        self._label = np.append(self._label, np.full(n, -1, np.int64))
        self._label_votes = np.append(self._label_votes, np.zeros(n, np.int64))
        self._fragment_seen = np.append(self._fragment_seen, np.full(n, self._updates))
        short = len(self._fragments) - len(self._together)
        if short > 0:
            more = (0, short + len(self._fragments) // 2)
            for name in _TABLES:
                setattr(self, f"_{name}", np.pad(getattr(self, f"_{name}"), more))

    def _covered(
        self, thing: NDArray[np.int64], overlap: NDArray[np.int64], visible: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """(masks, F) which fragments each mask covers, as far as they are in view."""
        covered = np.zeros((len(overlap), len(self._fragments)), bool)
        covered[thing, : len(visible)] = (overlap[thing] >= _COVERED * visible) & (overlap[thing] >= _LEAST_VOXELS)
        return covered

    def _count_views(
        self, covered: NDArray[np.bool_], home: NDArray[np.int64], touching: tuple[NDArray[np.int64], ...]
    ) -> None:
        """Count which fragments this view shows in one mask, and which in masks of their own."""
        for row in covered[covered.sum(axis=1) > 1]:
            both = np.flatnonzero(row)
            self._together[np.ix_(both, both)] += 1
        first, second = (home[m] for m in touching)
        both_known = (first > 0) & (second > 0)
        a, b = (np.searchsorted(self._fragments, f[both_known]) for f in (first, second))
        self._apart[a, b] += 1  # every pair of masks is there once, and every mask has a fragment of its own
        self._apart[b, a] += 1
        own = np.searchsorted(self._fragments, np.unique(home[home > 0]))
        self._separate[np.ix_(own, own)] += 1

    def _merge(self, covered: NDArray[np.bool_]) -> None:
        """Make fragments one that enough views show as one; the older number stays.

        Only fragments that a mask of this view covers together have new evidence for it.
        """
        for row in covered[covered.sum(axis=1) > 1]:
            both = np.flatnonzero(row)
            for a, b in ((a, b) for i, a in enumerate(both) for b in both[i + 1 :]):
                together = self._together[a, b]
                if (
                    together < _VIEWS
                    or together < _CONSENSUS * (together + self._apart[a, b])
                    or together < _AGREEMENT * (together + self._separate[a, b])
                ):
                    continue
                self._rename(int(self._fragments[b]), int(self._fragments[a]))
                for table in (self._together, self._apart, self._separate):
                    table[a] = np.maximum(table[a], table[b])
                    table[:, a] = table[a]
                    table[b] = table[:, b] = 0

    def _rename(self, old: int, new: int) -> None:
        """Votes for one fragment go to another."""
        row, slot = np.nonzero(self._slots == old)
        target = self._slots[row] == new
        both = target.any(axis=1)
        self._slots[row[~both], slot[~both]] = new
        self._votes[row[both], target[both].argmax(axis=1)] += self._votes[row[both], slot[both]]
        self._slots[row[both], slot[both]] = 0
        self._votes[row[both], slot[both]] = 0

    def _winners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The group with most votes in each voxel; 0 = none yet."""
        return np.asarray(self._slots[rows, self._votes[rows].argmax(axis=1)])

    def _vote(self, rows: NDArray[np.int64], group: NDArray[np.int64], weight: NDArray[np.float32]) -> None:
        slots, votes = self._slots[rows], self._votes[rows]
        same = slots == group[:, None]
        has = same.any(axis=1)
        slot = np.where(has, same.argmax(axis=1), votes.argmin(axis=1))
        take = np.arange(len(rows))
        votes[take[~has], slot[~has]] = 0  # what has least votes makes room
        slots[take, slot] = group
        votes[take, slot] += weight
        full = votes[take, slot] > _MOST_VOTES
        votes[full] *= 0.5
        self._slots[rows], self._votes[rows] = slots, votes

    def _rows_of(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of sorted keys; voxels that are missing are made."""
        at = np.searchsorted(self._keys, cells)
        found = np.zeros(len(cells), bool)
        within = at < len(self._keys)
        found[within] = self._keys[at[within]] == cells[within]
        if found.all():
            return at
        where, new = at[~found], cells[~found]
        self._keys = np.insert(self._keys, where, new)
        self._slots = np.insert(self._slots, where, 0, axis=0)
        self._votes = np.insert(self._votes, where, 0, axis=0)
        self._seen = np.insert(self._seen, where, self._updates)
        return np.searchsorted(self._keys, cells)

    def _prune(self) -> None:
        """Forget fragments that win nowhere, or, if there are too many, those unseen for longest."""
        wins = np.zeros(len(self._fragments), np.int64)
        winners = self._winners(np.arange(len(self._keys)))
        winners = winners[winners > 0]
        np.add.at(wins, np.searchsorted(self._fragments, winners), 1)
        keep = (wins >= _LEAST_VOXELS) | (self._fragment_seen > self._updates - _PRUNE_EVERY)
        excess = int(keep.sum()) - self._max_groups
        if excess > 0:
            kept = np.flatnonzero(keep)
            order = np.lexsort((wins[kept], self._fragment_seen[kept]))
            keep[kept[order[: excess + self._max_groups // 10]]] = False
        dead = np.isin(self._slots, self._fragments[~keep])
        self._slots[dead], self._votes[dead] = 0, 0
        self._keep_fragments(keep)
        self._keep_voxels((self._slots != 0).any(axis=1))

    def _keep_fragments(self, keep: NDArray[np.bool_]) -> None:
        self._fragments, self._label = self._fragments[keep], self._label[keep]
        self._label_votes, self._fragment_seen = self._label_votes[keep], self._fragment_seen[keep]
        kept = np.flatnonzero(keep)
        for name in _TABLES:
            setattr(self, f"_{name}", getattr(self, f"_{name}")[np.ix_(kept, kept)])

    def _keep_voxels(self, keep: NDArray[np.bool_]) -> None:
        self._keys, self._slots = self._keys[keep], self._slots[keep]
        self._votes, self._seen = self._votes[keep], self._seen[keep]


def _touching(
    cells: NDArray[np.int64], of_voxel: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (first < second) of masks that lie within two voxels of each other along an axis; ``cells`` are sorted."""
    steps = pack(np.concatenate([np.eye(3, dtype=np.int64), 2 * np.eye(3, dtype=np.int64)])) - pack(
        np.zeros((1, 3), np.int64)
    )
    pairs = [np.zeros(0, np.int64)]
    for step in steps:
        at = np.minimum(np.searchsorted(cells, cells + step), len(cells) - 1)
        one, other = of_voxel, of_voxel[at]
        meet = (cells[at] == cells + step) & (one != other) & (one > 0) & (other > 0)
        pairs.append(np.minimum(one[meet], other[meet]) * count + np.maximum(one[meet], other[meet]))
    found, contacts = np.unique(np.concatenate(pairs), return_counts=True)
    found = found[contacts >= _LEAST_CONTACT]
    return found // count, found % count


def _majority(part: NDArray[np.int64], label: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """The label that most pixels of each part (0 .. parts - 1) carry, -1 where none has most of them."""
    present, number = np.unique(label, return_inverse=True)
    if not len(present):
        return np.full(parts, -1, np.int64)
    counts = np.bincount(part * len(present) + number.reshape(-1), minlength=parts * len(present))
    return np.asarray(np.maximum(present[counts.reshape(parts, len(present)).argmax(axis=1)], -1))

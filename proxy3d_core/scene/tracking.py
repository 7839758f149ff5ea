"""Objects over time: candidates of one extraction are matched to what was known; ids are stable and never reused.

An object is gone when its place was seen empty (its voxels were carved away), not when it is out of view or hidden. If
something of the same kind and size turned up since, it is the same object, moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.sighting import Sighting
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, ObjectState, SceneObject

_SURE = 0.65  # score from which a name tells as much as a second look
_SURE_LOOK = 0.5  # of the time that else an object must have been seen
_OVERLAP = 0.2  # of the smaller one's voxels, to be the same object
_GONE_SHARE = 0.55  # of an object's voxels seen empty: it is gone
_WORTH_MISSING_NS = 1_000_000_000  # an object that was seen for less than this is not missed
_KNOWN_VOXELS = 60  # an object without a name must be this large to be known again
_SAME_SIZE = 0.35  # relative difference of box edges of one object seen from two sides
_SAME_SIZE_SLACK = 0.12  # m


@dataclass
class Track:
    """One object, as long as the map lives.

    Attributes:
        id: stable id.
        voxels: how many voxels it has.
        carved: how many of its voxels were seen empty since it last was whole.
        named_by: name that a user gave, or empty.
        others: see SceneObject.
    """

    id: int
    box: OrientedBox
    label: str = UNKNOWN_LABEL
    score: float = 0.0
    votes: dict[str, float] = field(default_factory=dict)
    color: tuple[float, float, float] | None = None
    state: ObjectState = ObjectState.PRESENT
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    observations: int = 0
    previous_boxes: tuple[OrientedBox, ...] = ()
    named_by: str = ""
    voxels: int = 0
    carved: int = 0

    def freeze(self) -> SceneObject:
        """As it goes into a snapshot."""
        return SceneObject(
            id=self.id,
            label=self.named_by or self.label,
            score=1.0 if self.named_by else self.score,
            box=self.box,
            votes=dict(self.votes),
            color=self.color,
            state=self.state,
            first_seen_ns=self.first_seen_ns,
            last_seen_ns=self.last_seen_ns,
            observations=self.observations,
            previous_boxes=self.previous_boxes,
            named_by_user=bool(self.named_by),
        )


@dataclass(frozen=True)
class Assignment:
    """What one extraction found out.

    Attributes:
        ids: object of each sighting, -1 = not admitted yet.
        gone: objects that are gone now, and when each was last seen.
        moved: objects that were found again at another place.
    """

    ids: list[int]
    gone: dict[int, int]
    moved: list[int]


class Tracker:
    """Keeps the tracks; ``assign`` returns for every sighting the id of its object (or -1: not admitted)."""

    def __init__(self, max_objects: int, next_id: int = 1) -> None:
        self._max = max_objects
        self.tracks: dict[int, Track] = {}
        self.next_id = next_id

    def freeze(self) -> tuple[SceneObject, ...]:
        """All objects by id, as they go into a snapshot."""
        return tuple(track.freeze() for _, track in sorted(self.tracks.items()))

    def carve(self, owners: NDArray[np.int64]) -> None:
        """Voxels of these owners were seen empty and removed."""
        ids, counts = np.unique(owners[owners >= 0], return_counts=True)
        for i, n in zip(ids.tolist(), counts.tolist(), strict=True):
            if i in self.tracks:
                self.tracks[i].carved += n

    def observe(self, owners: NDArray[np.int64], least: int = 4) -> None:
        """A frame hit voxels of these owners."""
        ids, counts = np.unique(owners[owners >= 0], return_counts=True)
        for i in ids[counts >= least].tolist():
            if i in self.tracks:
                self.tracks[i].observations += 1

    def assign(self, sightings: list[Sighting], min_seen: float) -> Assignment:
        """Match sightings to tracks.

        Args:
            sightings: all candidates of one extraction.
            min_seen: seconds for which a new object must have been seen; of a sure name a look half as long will do.
        """
        ids = self._match(sightings)
        gone: dict[int, int] = {}
        for track in list(self.tracks.values()):
            if track.state is ObjectState.GONE:
                continue
            seen_empty = track.carved >= _GONE_SHARE * max(track.voxels, 1)
            if track.id in ids:
                sighting = sightings[ids.index(track.id)]
                if seen_empty and sighting.voxels < (1 - _GONE_SHARE) * track.voxels:
                    ids[ids.index(track.id)] = -1
                else:
                    self._update(track, sighting)
                    continue
            if seen_empty:
                gone[track.id] = track.last_seen_ns
                if track.last_seen_ns - track.first_seen_ns < _WORTH_MISSING_NS and not track.named_by:
                    del self.tracks[track.id]  # it was hardly there: noise, or somebody walking through
                else:
                    track.state = ObjectState.GONE
            elif not track.named_by:
                del self.tracks[track.id]  # it turned out to be part of another object, or a speck that was outvoted
        for i, sighting in enumerate(sightings):
            needed = min_seen * (_SURE_LOOK if sighting.score >= _SURE else 1.0)
            if ids[i] < 0 and sighting.seen_s >= needed and not self._left_over(sighting, gone):
                ids[i] = self._admit(sighting)
        moved = self._find_moved(ids)
        self._bound()
        return Assignment(ids, gone, moved)

    def _match(self, sightings: list[Sighting]) -> list[int]:
        """Greedy by shared voxels, most first; then by overlapping boxes of one label."""
        pairs = sorted(
            ((n, i, t) for i, s in enumerate(sightings) for t, n in s.owner_counts.items() if t in self.tracks),
            key=lambda pair: (-pair[0], pair[1], pair[2]),
        )
        ids, used = [-1] * len(sightings), set()
        for n, i, t in pairs:
            small = min(sightings[i].voxels, self.tracks[t].voxels)
            if ids[i] < 0 and t not in used and n >= _OVERLAP * small:
                ids[i] = t
                used.add(t)
        return ids

    def _left_over(self, sighting: Sighting, gone: Iterable[int]) -> bool:
        """What remains of a gone object for a moment is no new object."""
        return sum(sighting.owner_counts.get(g, 0) for g in gone) > 0.5 * sighting.voxels

    def _update(self, track: Track, s: Sighting) -> None:
        if track.state is ObjectState.GONE:
            track.state = ObjectState.PRESENT
        track.box, track.label, track.score, track.votes, track.color = s.box, s.label, s.score, s.votes, s.color
        track.first_seen_ns = min(track.first_seen_ns, s.first_ns)  # some of it may have been in view before
        track.last_seen_ns = max(track.last_seen_ns, s.last_ns)
        if s.voxels >= 0.8 * track.voxels:
            track.carved = 0
        track.voxels = max(s.voxels, int(0.9 * track.voxels))

    def _admit(self, s: Sighting) -> int:
        track = Track(self.next_id, s.box, first_seen_ns=s.first_ns, observations=1)
        self.next_id += 1
        self.tracks[track.id] = track
        self._update(track, s)
        return track.id

    def _find_moved(self, ids: list[int]) -> list[int]:
        """A gone object and one of its kind and size that turned up since are one object that was moved."""
        moved = []
        for old in [t for t in self.tracks.values() if t.state is ObjectState.GONE]:
            fits = [
                t
                for t in self.tracks.values()
                if t.state is ObjectState.PRESENT
                and not t.previous_boxes
                and t.first_seen_ns >= old.last_seen_ns
                and (t.named_by or t.label) == (old.named_by or old.label)
                and _same_size(t.box, old.box)
                and (t.label != UNKNOWN_LABEL or _known_again(t, old))
            ]
            if not fits:
                continue
            new = min(fits, key=lambda t: (_size_difference(t.box, old.box), t.id))
            del self.tracks[new.id]
            old.previous_boxes = (*old.previous_boxes, old.box)
            old.box, old.score, old.votes, old.color = new.box, new.score, new.votes, new.color
            old.last_seen_ns, old.voxels, old.carved = new.last_seen_ns, new.voxels, new.carved
            old.observations += new.observations
            old.state = ObjectState.MOVED
            moved.append(old.id)
            if new.id in ids:
                ids[ids.index(new.id)] = old.id
        return moved

    def _bound(self) -> None:
        """Forget first what is gone for longest, then what was not seen for longest."""
        excess = len(self.tracks) - self._max
        if excess > 0:
            order = sorted(self.tracks.values(), key=lambda t: (t.state is not ObjectState.GONE, t.last_seen_ns))
            for track in order[:excess]:
                del self.tracks[track.id]


def _size_difference(a: OrientedBox, b: OrientedBox) -> float:
    return float(np.abs(np.sort(a.size) - np.sort(b.size)).sum())


def _same_size(a: OrientedBox, b: OrientedBox) -> bool:
    p, q = np.sort(a.size), np.sort(b.size)
    return bool((np.abs(p - q) <= _SAME_SIZE_SLACK + _SAME_SIZE * np.maximum(p, q)).all())


def _known_again(new: Track, old: Track) -> bool:
    """Without a name, only a solid thing of the same colour that was seen often is known again."""
    return min(new.voxels, old.voxels) >= _KNOWN_VOXELS and old.observations >= 20 and _same_color(new.color, old.color)


def _same_color(a: tuple[float, float, float] | None, b: tuple[float, float, float] | None) -> bool:
    return a is None or b is None or float(np.linalg.norm(np.subtract(a, b))) < 40

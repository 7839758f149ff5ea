"""The live pipeline on simulated rooms against what is true: ``proxy3d eval sim``.

What counts, for the objects that a recording shows (``visible``) and those that the map holds as present at its end:

* *Found*: one to one, at an overlap (IoU) of at least 0.25 or 0.5, with the right label; the assignment with the
  largest sum of overlaps. A map object that fits a true one which was shown too little is neither right nor wrong.
* *Home* of a map object: the true object of its label that it overlaps best (IoU from 0.1 on, or half of one inside
  the other), else the one of any label with IoU from 0.25 on. Edges shorter than 10 cm are taken as 10 cm for this.
  Several map objects at one home are duplicates; one without a home is a ghost; a true object without any, most of
  which lies inside a map object of its label, is merged into that, else it is missed.
* *Reachable*: the tight box around what was shown of an object has that IoU with its whole box: no map that does not
  guess can find more.
* *Id switch*: after a frame, the id at a true object has left it and another one is there (CLEAR MOT's mismatch).
* *Changes*: moved: the object is there with state moved, and one of its former boxes is the true former place; added:
  it was first seen after it was added; removed: nothing of its label is present at its place, and a gone object is. A
  false change is a moved or gone object that no true change accounts for.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry import OrientedBox
from proxy3d_core.scene.snapshot import ObjectState, SceneObject, Snapshot
from proxy3d_core.sequences import open_sequence
from proxy3d_training.evaluation.visible import FRAMES, Visible
from proxy3d_training.live import Change, Drive, ReusedScene
from proxy3d_training.matching import assign, equal, inside, overlaps, thick
from proxy3d_training.simulation.truth import Thing, Truth

Array = NDArray[np.float64]

IOUS = (0.25, 0.5)
MANY = 5
"""Frames from which on it does not matter how many show an object."""
_NEAR_IOU = 0.1
_OTHER_IOU = 0.25  # of a home of another label
_INSIDE = 0.5


@dataclass
class Scores:
    """Sums over rooms, from which all figures follow."""

    counts: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    missed: Counter[str] = field(default_factory=Counter)
    ghosts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Scores) -> None:
        """Take in another room's."""
        self.counts.update(other.counts)
        self.missed.update(other.missed)
        self.ghosts.update(other.ghosts)
        for name, found in other.values.items():
            self.values[name].extend(found)

    def figures(self) -> dict[str, Any]:
        """Shares in percent, lengths in metres; None where nothing was there to measure."""
        n, v = self.counts, self.values

        def share(part: float, whole: float) -> float | None:
            return round(100 * part / whole, 1) if whole else None

        def middle(name: str, quantile: float = 0.5) -> float | None:
            return round(float(np.quantile(v[name], quantile)), 3) if v.get(name) else None

        def mean(name: str) -> float | None:
            return round(float(np.mean(v[name])), 3) if v.get(name) else None

        found: dict[str, Any] = {"objects": n["shown"], "map_objects": n["present"]}
        for kind in ("right", "any"):
            for iou in IOUS:
                hit = n[f"{kind}@{iou}"]
                recall, precision = share(hit, n["shown"]), share(hit, n["present"] - n[f"{kind}_ignored@{iou}"])
                name = "" if kind == "right" else "any_label_"
                f1 = share(2 * hit, n["shown"] + n["present"] - n[f"{kind}_ignored@{iou}"])
                found |= {f"{name}recall@{iou}": recall, f"{name}precision@{iou}": precision, f"{name}f1@{iou}": f1}
        for iou in IOUS:
            found[f"reachable@{iou}"] = share(n[f"reachable@{iou}"], n["shown"])
        for times in range(FRAMES, MANY + 1):
            found[f"recall_{times}"] = share(n[f"found_{times}"], n[f"shown_{times}"])
        return found | {
            "label_right": share(n["label_right"], n["any@0.25"]),
            "box_iou": mean("iou"),
            "seen_box_iou": mean("seen_iou"),
            "center_error_p50": middle("center"),
            "center_error_p90": middle("center", 0.9),
            "size_error_p50": middle("size"),
            "size_error_p90": middle("size", 0.9),
            "missed": n["missed"],
            "merged": n["merged"],
            "duplicates": n["duplicates"],
            "duplicates_per_object": round(n["duplicates"] / n["homes"], 3) if n["homes"] else None,
            "ghosts": n["ghosts"],
            "id_switches": n["switches"],
            "tracked": n["tracked"],
            "counts_right": share(n["count_right"], n["count_classes"]),
            "count_error": round(n["count_off"] / n["count_classes"], 3) if n["count_classes"] else None,
            "distance_error_p50": middle("distance"),
            "distance_error_p90": middle("distance", 0.9),
            "distances": len(v.get("distance", ())),
            **{f"{kind}": f"{n[f'{kind}_right']}/{n[kind]}" for kind in ("moved", "added", "removed")},
            "moved_as_two": n["moved_as_two"],
            "false_changes": n["false_changes"],
            "frames": n["frames"],
            "frames_per_second": round(n["frames"] / n["seconds"], 1) if n["seconds"] else None,
        }


@dataclass(frozen=True, eq=False)
class RoomResult:
    """Of one recording.

    Attributes:
        name, folder: of the recording.
        scores: its sums.
        scene: the map at the end, in the recording's world; its objects have the ids of the true ones where they were
            found, others from ``UNKNOWN`` on.
    """

    name: str
    folder: Path
    scores: Scores
    scene: Snapshot


UNKNOWN = 100_000
"""First id in ``RoomResult.scene`` of what is no true object."""


def evaluate(
    folders: Iterable[Path], scene: ReusedScene, change_of: Callable[[Path], Change | None] = lambda folder: None
) -> Iterator[RoomResult]:
    """Play every recording and compare.

    Args:
        folders: of recordings.
        scene: plays them one after the other.
        change_of: what is done to the frames of a recording before the scene sees them.

    Raises:
        BadInput, SequenceError: a folder is no recording of ``proxy3d simulate``.
    """
    limits = scene.config.perception
    for folder in folders:
        truth, sequence = Truth.load(folder), open_sequence(folder)
        visible = Visible(truth, folder, sequence, limits)
        scene.begin()
        drive, scores = Drive(scene, sequence, change_of(folder)), Scores()
        watch = Identities(visible)
        started, beside = time.perf_counter(), 0.0
        for frame in drive:
            pause = time.perf_counter()
            watch.look(in_world(scene.snapshot(), drive), frame.stamp_ns / 1e9)
            scores.counts["frames"] += 1
            beside += time.perf_counter() - pause
        scores.counts["seconds"] += time.perf_counter() - started - beside  # type: ignore[assignment]
        end = in_world(scene.snapshot(), drive)
        scores.counts.update({"switches": watch.switches, "tracked": watch.tracked})
        found = compare_objects(end, visible, scores)
        compare_changes(end, visible, scores)
        yield RoomResult(truth.name, folder, scores, _with_true_ids(end, found))


def in_world(scene: Snapshot, drive: Drive) -> Snapshot:
    """The objects of a map in the recording's own world."""
    if np.array_equal(drive.level.rotation, np.eye(3)):
        return scene
    moved = tuple(
        dataclasses.replace(
            thing,
            box=drive.in_world(thing.box),
            previous_boxes=tuple(drive.in_world(box) for box in thing.previous_boxes),
        )
        for thing in scene.objects
    )
    return dataclasses.replace(scene, objects=moved)


@dataclass(frozen=True, eq=False)
class _Homes:
    """Which true object (column, -1 = none) each map object (row) is at; thick IoU and what lies inside what."""

    home: NDArray[np.int64]
    iou: Array
    true_inside: Array

    @classmethod
    def find(
        cls, boxes: Sequence[OrientedBox], labels: Sequence[str], true: Sequence[OrientedBox], names: Sequence[str]
    ) -> _Homes:
        first, second = [thick(box) for box in boxes], [thick(box) for box in true]
        iou = overlaps(first, second)
        a, b = np.array([box.volume for box in first])[:, None], np.array([box.volume for box in second])[None]
        same = equal(labels, names)
        covered = np.where(same, inside(iou, b, a), 0.0)
        near = same & ((iou >= _NEAR_IOU) | (inside(iou, a, b) >= _INSIDE) | (covered >= _INSIDE))
        score = np.where(near, 1 + iou, np.where(iou >= _OTHER_IOU, iou, 0.0))
        home = np.full(len(first), -1, np.int64)
        if iou.size:
            home = np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)
        return cls(home, iou, covered)


class Identities:
    """Follows which id each true object has."""

    def __init__(self, visible: Visible) -> None:
        self._visible = visible
        self._ids: dict[int, int] = {}
        self._last: object = None
        self.switches = 0

    @property
    def tracked(self) -> int:
        """True objects that had an id at some time."""
        return len(self._ids)

    def look(self, scene: Snapshot, seconds: float) -> None:
        """After a frame."""
        if scene.objects is self._last:
            return
        self._last = scene.objects
        things, boxes = [], []
        for thing in self._visible.truth.objects:
            box = self._visible.box_at(thing, seconds)
            if box is not None:
                things.append(thing)
                boxes.append(box)
        present = scene.present
        homes = _Homes.find([o.box for o in present], [o.label for o in present], boxes, [t.label for t in things])
        for column in sorted(set(homes.home.tolist()) - {-1}):
            here = [int(row) for row in np.flatnonzero(homes.home == column)]
            ids, thing = {present[row].id for row in here}, things[column].id
            if self._ids.get(thing) not in ids:
                self.switches += thing in self._ids
                self._ids[thing] = present[max(here, key=lambda row: homes.iou[row, column])].id


def compare_objects(scene: Snapshot, visible: Visible, scores: Scores) -> dict[int, int]:
    """Objects at the end; added to ``scores``. Returns the true id by map id of those that were found."""
    present, shown, n = scene.present, visible.at_end(), scores.counts
    boxes, labels = [o.box for o in present], [o.label for o in present]
    shown_ids = {thing.id for thing in shown}
    hardly = [thing for thing in visible.truth.present() if thing.id not in shown_ids]
    things = [*shown, *hardly]
    true, names = [thing.box.oriented() for thing in things], [thing.label for thing in things]
    iou = overlaps(boxes, true)
    same = equal(labels, names)
    n["shown"] += len(shown)
    n["present"] += len(present)
    for thing in shown:
        seen = visible.seen_box(thing)
        for least in IOUS:
            n[f"reachable@{least}"] += seen is not None and seen.iou(thing.box.oriented()) >= least
    found: dict[int, int] = {}
    for kind, allowed in (("right", same), ("any", np.ones_like(same))):
        for least in IOUS:
            pairs = assign(np.where(allowed, iou, 0.0)[:, : len(shown)], least)
            taken = {row for row, _ in pairs}
            rest = [row for row in range(len(present)) if row not in taken]
            ignored = sum(bool((np.where(allowed, iou, 0.0)[row, len(shown) :] >= least).any()) for row in rest)
            n[f"{kind}@{least}"] += len(pairs)
            n[f"{kind}_ignored@{least}"] += ignored
            if least != IOUS[0]:
                continue
            if kind == "any":
                n["label_right"] += sum(bool(same[row, column]) for row, column in pairs)
                continue
            found = {present[row].id: things[column].id for row, column in pairs}
            for thing in shown:
                times = min(len(visible.at_place(thing)), MANY)
                n[f"shown_{times}"] += 1
                n[f"found_{times}"] += thing.id in found.values()
            _compare_boxes([(boxes[row], things[column]) for row, column in pairs], visible, scores)
    homes = _Homes.find(boxes, labels, true, names)
    at_home = Counter(homes.home.tolist())
    n["ghosts"] += at_home[-1]
    scores.ghosts.update(labels[row] for row in np.flatnonzero(homes.home == -1))
    for column, thing in enumerate(shown):
        if at_home[column]:
            n["homes"] += 1
            n["duplicates"] += at_home[column] - 1
        elif len(present) and homes.true_inside[:, column].max() >= _INSIDE:
            n["merged"] += 1
        else:
            n["missed"] += 1
            scores.missed[thing.label] += 1
    hidden = {thing.label for thing in hardly}
    counted, true_counts = Counter(labels), Counter(thing.label for thing in shown)
    for label, count in true_counts.items():
        if label not in hidden:
            n["count_classes"] += 1
            n["count_right"] += counted[label] == count
            n["count_off"] += abs(counted[label] - count)
    return found


def _compare_boxes(pairs: Sequence[tuple[OrientedBox, Thing]], visible: Visible, scores: Scores) -> None:
    true = [thing.box.oriented() for _, thing in pairs]
    for (box, thing), right in zip(pairs, true, strict=True):
        scores.values["iou"].append(box.iou(right))
        seen = visible.seen_box(thing)
        if seen is not None:
            scores.values["seen_iou"].append(seen.iou(right))
        scores.values["center"].append(float(np.linalg.norm(box.center - right.center)))
        edges = [np.append(np.sort(b.size[:2]), b.size[2]) for b in (box, right)]
        scores.values["size"].append(float(np.abs(edges[0] - edges[1]).mean()))
    for (a, box), (b, right) in combinations(zip([box for box, _ in pairs], true, strict=True), 2):
        scores.values["distance"].append(abs(a.distance(b) - box.distance(right)))


def _at(box: OrientedBox, place: OrientedBox) -> bool:
    """Whether a box is at a place: IoU from 0.1 on, or half of it inside."""
    a, b = thick(box), thick(place)
    iou = np.array(a.iou(b))
    return bool(iou >= _NEAR_IOU or inside(iou, np.array(a.volume), np.array(b.volume)) >= _INSIDE)


def compare_changes(scene: Snapshot, visible: Visible, scores: Scores) -> None:
    """What the map says of the changes that the recording shows; added to ``scores``."""
    n = scores.counts
    for change in visible.checkable():
        thing = visible.truth.thing(change.object)
        mine = [o for o in scene.objects if o.label == thing.label]
        n[change.kind] += 1
        before = None if change.before is None else change.before.oriented()
        after = None if change.after is None else change.after.oriented()
        here = [] if after is None else [o for o in mine if o.present and _at(o.box, after)]
        left = before is not None and any(not o.present and _at(o.box, before) for o in mine)
        if change.kind == "added":
            n["added_right"] += any(o.first_seen_ns / 1e9 >= change.time - 1e-3 for o in here)
        elif change.kind == "removed":
            assert before is not None
            others = [t.box.oriented() for t in visible.truth.present() if t.label == thing.label]
            still = [o for o in mine if o.present and _at(o.box, before) and not any(_at(o.box, b) for b in others)]
            n["removed_right"] += left and not still
        else:
            assert before is not None
            carried = any(o.state is ObjectState.MOVED and any(_at(b, before) for b in o.previous_boxes) for o in here)
            n["moved_right"] += carried
            n["moved_as_two"] += not carried and left and bool(here)
    places = [(c.before.oriented(), visible.truth.thing(c.object).label) for c in visible.truth.changes if c.before]
    n["false_changes"] += sum(_false_change(o, places) for o in scene.objects)


def _false_change(thing: SceneObject, places: Sequence[tuple[OrientedBox, str]]) -> bool:
    if thing.state is ObjectState.PRESENT:
        return False
    old = [thing.box] if thing.state is ObjectState.GONE else list(thing.previous_boxes)
    return not any(_at(box, place) for box in old for place, _ in places)


def _with_true_ids(scene: Snapshot, found: dict[int, int]) -> Snapshot:
    renamed = tuple(dataclasses.replace(o, id=found.get(o.id, UNKNOWN + o.id)) for o in scene.objects)
    return dataclasses.replace(scene, objects=renamed)

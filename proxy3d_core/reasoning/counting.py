"""How many there are, whether there are any, and tests of a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.program import All, Count, CountTest, Exists, Filter, Kind, Objects, Pick, The, Union
from proxy3d_core.reasoning.result import Result


def counted(scene: Evaluator, objects: Objects) -> tuple[int, list[Thing]]:
    """How many; none if the scene has no such thing but would know it."""
    try:
        things = scene.all(objects)
    except Unanswerable as error:
        absent = _absent_kind(scene, objects) if error.status is Status.NOT_FOUND else None
        if absent is None:
            raise
        known = bool(scene.index.snapshot.vocabulary)
        scene.doubt(0.85 if known and scene.index.snapshot.complete else 0.45)
        scene.note(f"no {absent} was seen")
        return 0, []
    _doubt_doubles(scene, things)
    return len(things), things


def count(scene: Evaluator, query: Count) -> Result:
    """Number of objects."""
    number, things = counted(scene, query.objects)
    if query.kinds:
        names = tuple(sorted({t.label for t in things}))
        return Result(str(len(names)), tuple(things), len(names), "count", 0.0, names)
    return Result(str(number), tuple(things), number, "count", _count_sigma(things))


def count_test(scene: Evaluator, query: CountTest) -> Result:
    """Yes or no, odd or even."""
    number, things = counted(scene, query.objects)
    other = query.number
    if query.other is not None:
        other, more = counted(scene, query.other)
        things = things + more
    if query.test == "parity":
        return Result("even" if number % 2 == 0 else "odd", tuple(things), number, "count")
    if query.test == "multiple" and other == 0:
        raise Unanswerable(Status.NOT_UNDERSTOOD, "a number cannot be divided by zero")
    holds = {
        "odd": number % 2 == 1,
        "even": number % 2 == 0,
        "multiple": other != 0 and number % other == 0,
        "more": number > other,
        "fewer": number < other,
        "equal": number == other,
        "at_least": number >= other,
        "at_most": number <= other,
        "exactly": number == other,
    }[query.test]
    return Result("Yes" if holds else "No", tuple(things), number, "count")


def exists(scene: Evaluator, query: Exists) -> Result:
    """Yes or no."""
    number, things = counted(scene, query.objects)
    return Result("Yes" if (number > 0) != query.negated else "No", tuple(things))


def _doubt_doubles(scene: Evaluator, things: Sequence[Thing]) -> None:
    """Two things of one class cannot share much of their room: they may be one that was listed twice."""
    if len(things) < 2:
        return
    centers = np.array([t.center for t in things])
    reach = np.array([t.box.size.max() for t in things])
    near = np.linalg.norm(centers[:, None] - centers[None], axis=-1) < (reach[:, None] + reach[None]) / 4
    for a, b in np.argwhere(np.triu(near, 1)).tolist():
        if things[a].label == things[b].label and _shared(things[a], things[b]) > _DOUBLE:
            scene.doubt(0.45)
            scene.note("some of these lie at the same place and may be the same object")
            return


def _shared(a: Thing, b: Thing) -> float:
    """Part of the smaller one's volume that lies in the other."""
    iou = a.box.iou(b.box)
    shared = iou * (a.box.volume + b.box.volume) / (1 + iou)
    return shared / max(min(a.box.volume, b.box.volume), 1e-9)


_DOUBLE = 0.3
"""Boxes of one class that share more of the smaller one's volume may be one object."""


def _count_sigma(things: Sequence[Thing]) -> float:
    return math.sqrt(sum(t.object.certainty * (1 - t.object.certainty) for t in things if t.object))


def _absent_kind(scene: Evaluator, objects: Objects) -> str | None:
    """The class asked about if it is the scene's lack of it (not of an anchor) that leaves nothing, and the map would
    have named it.
    """
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    kinds = objects.items if isinstance(objects, Union) else (objects,)
    names = [k.name for k in kinds if isinstance(k, Kind)]
    missing = [n for n in names if n != "object" and not scene.match(n).labels]
    return ", ".join(missing) if missing and len(missing) == len(kinds) and all(map(scene.could_see, missing)) else None

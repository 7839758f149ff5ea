"""The working of an answer: what it is worked out from, said before it, so that a small model need not guess it.

    [<OBJ004><OBJ007>2.6<OBJ004><OBJ012>1.1 lamp] C

What an answer rests on is looked up once more right before the answer; and where it follows from distances or
directions or sizes, those are said: one number of one or two objects at a time, and the answer is then a comparison
of numbers.

* A distance is that of two objects: metres between their centres for symbols, between their nearest points in rooms.
* A direction is the way from one object to another on the floor, degrees in the scene's frame, counter-clockwise from
  its x axis. Of one who stands at an object and faces another, that way is said first; then for each thing asked about
  the way there and how far that is turned from where one faces: 90 is to the left.
* A size is a height, a longest side, or the edge of a cube as big, metres.
* The right option of a choice is said in words before its letter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from proxy3d_core.geometry.boxes import OrientedBox, box_distances
from proxy3d_core.proxies.references import marker
from proxy3d_core.vlm.tokenizer import TURN
from proxy3d_training.data.schema import MARKER, ChoiceAnswer, Sample, Thing

_MEASURED = frozenset({"centers_apart", "is_on", "object_abs_distance"})
_COMPARED = frozenset({"closer_of", "closer", "object_rel_distance", "situated_closer"})
_SIZES: dict[str, Callable[[tuple[float, float, float]], float]] = {
    "taller": lambda size: size[2],
    "bigger": lambda size: math.prod(size) ** (1 / 3),
    "object_size_estimation": max,
}
_REFERRED = re.compile(r"\b(closest to|farthest from|near|on) the\b")
_SIDES = frozenset({"side_of", *(f"object_rel_direction_{kind}" for kind in ("easy", "medium", "hard"))})
_SITUATED = "situated_"
_TO = re.compile(r"\bto <OBJ(\d{3})>")


def working(sample: Sample, yaw: float = 0.0) -> str:
    """What is said before the answer of a sample; nothing if it rests on nothing that can be named.

    Args:
        sample: as it is asked.
        yaw: by which the scene is turned, radians.
    """
    said = _measured(sample, yaw) or "".join(marker(index) for index in rests_on(sample))
    if isinstance(sample.answer, ChoiceAnswer):
        letters = [option[:1] for option in sample.options]
        said += f" {sample.options[letters.index(sample.answer.letter)][3:]}"
    return said.strip()


def workable(sample: Sample) -> bool:
    """Whether everything is there that the answer is measured by: who learns to answer without, learns to guess.

    Of several things that are compared, the right one is enough.
    """
    if sample.kind in _SIZES:
        return all(map(_known, _asked(sample)))
    from_, to = _roles(sample)
    if not from_:
        return True
    right = sample.objects[:1] if sample.kind in _COMPARED else to
    return all(map(_known, [*from_, *right]))


def rests_on(sample: Sample) -> list[int]:
    """Markers of the objects that an answer rests on: those that the question names, then those that nobody names.

    What a question places itself by comes before what it asks for; things of one category that follow each other are
    in the order of their markers. Of symbols the objects are all that is shown; their answers rest on what is named.
    """
    asked, said = ([int(m) for m in MARKER.findall(text)] for text in (sample.prompt(), sample.answer.text))
    found = list(dict.fromkeys(asked))
    if sample.view == "symbols":
        return found
    left = [t for t in reversed(sample.objects) if t.marker is not None and t.marker not in {*asked, *said}]
    for _, same in groupby(left, key=lambda thing: thing.label):
        found += sorted(thing.marker for thing in same if thing.marker is not None)
    return found


def apart(first: Sequence[Thing], second: Sequence[Thing], symbolic: bool) -> list[str]:
    """How far things are from others: ``<OBJ004><OBJ007>2.6``. Of symbols the centres, of others the nearest points."""
    boxes = _boxes(first), _boxes(second)
    if symbolic:
        gaps = [float(np.linalg.norm(a.center - b.center)) for a, b in zip(*boxes, strict=True)]
    else:
        gaps = box_distances(*boxes).tolist()
    return [f"{_pair(*pair)}{gap:.1f}" for *pair, gap in zip(first, second, gaps, strict=True)]


def ways(first: Sequence[Thing], second: Sequence[Thing], yaw: float) -> list[str]:
    """Directions from things to others in a scene that is turned by ``yaw`` radians: ``<OBJ004><OBJ007>@045``."""
    return [f"{_pair(a, b)}@{_way(a, b, yaw):03d}" for a, b in zip(first, second, strict=True)]


def turns(at: Thing, faced: Thing, others: Sequence[Thing], yaw: float) -> str:
    """For one who stands at a thing and faces another: the way there, and for each of others the way and the turn."""
    ahead = _way(at, faced, yaw)
    there = [_way(at, other, yaw) for other in others]
    said = zip(ways([at] * len(others), others, yaw), there, strict=True)
    return "".join([*ways([at], [faced], yaw), *(f"{step}@{(way - ahead) % 360:03d}" for step, way in said)])


def _way(start: Thing, end: Thing, yaw: float) -> int:
    """Degrees, a multiple of ``TURN``."""
    a, b = _boxes([start, end])
    x, y, _ = b.center - a.center
    return round(math.degrees(math.atan2(y, x) + yaw) / TURN) * TURN % 360


def _measured(sample: Sample, yaw: float) -> str:
    """Numbers; nothing if the answer does not follow from such, or where one is is not known."""
    if sample.kind in _SIZES:
        said = [(_name(thing), _SIZES[sample.kind](thing.box.size)) for thing in _asked(sample) if thing.box]
        return "".join(f"{name}{size:.1f}" for name, size in said)
    from_, to = _roles(sample)
    to = [thing for thing in to if _known(thing)]
    if not from_ or not to or not all(map(_known, from_)):
        return ""
    if len(from_) == 2:
        return turns(from_[0], from_[1], to, yaw)
    return "".join(apart(from_ * len(to), to, sample.view == "symbols"))


def _roles(sample: Sample) -> tuple[list[Thing], list[Thing]]:
    """Whose distances or directions are asked about: from one thing, or standing at one and facing another; to which.

    Our makers of questions put the things that a question places itself by last; of others nothing is known where they
    name no markers.
    """
    kind, things = sample.kind, _asked(sample)
    if kind == "side_of":
        return things[:2], things[2:]
    if kind in _COMPARED and (to := _TO.search(sample.question)):
        return [t for t in things if t.marker == int(to[1])], [t for t in things if t.marker != int(to[1])]
    if kind in _MEASURED:
        return things[:1], things[1:]
    if sample.source != "Simulated":
        return [], []
    if kind in _SIDES or kind.startswith(_SITUATED):
        *others, at, faced = things
        return ([at] if kind in _COMPARED else [at, faced]), _as_read(others, sample.question)
    if kind in _COMPARED or (sample.description and _REFERRED.search(sample.description)):
        *others, anchor = things
        return [anchor], _as_read(others, sample.question)
    return [], []


def _asked(sample: Sample) -> list[Thing]:
    """Things that a question names by markers, in its order; without such, all that it rests on."""
    by_marker = {thing.marker: thing for thing in sample.objects if thing.marker is not None}
    return [by_marker[int(m)] for m in MARKER.findall(sample.question)] or [*sample.objects]


def _known(thing: Thing) -> bool:
    return thing.marker is not None and thing.box is not None


def _as_read(things: Sequence[Thing], text: str) -> list[Thing]:
    """In the order in which a text names them, those of one name by their markers."""
    return sorted(things, key=lambda thing: (text.find(thing.label or ""), thing.marker or 0))


def _pair(first: Thing, second: Thing) -> str:
    return _name(first) + _name(second)


def _name(thing: Thing) -> str:
    return "" if thing.marker is None else marker(thing.marker)


def _boxes(things: Sequence[Thing]) -> list[OrientedBox]:
    return [thing.box.oriented() for thing in things if thing.box is not None]

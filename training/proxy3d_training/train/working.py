"""The working of an answer: what it is worked out from, said before it, so that a small model need not guess it.

    [<OBJ004><OBJ007>2.6<OBJ004><OBJ012>1.1 lamp] C

What an answer rests on is looked up once more right before the answer; and where it follows from distances or
directions or sizes, those are said: one number of one or two objects at a time, and the answer is then a comparison
of numbers.

* A distance is that of two objects: metres between their centres for symbols, between their nearest points in rooms.
* A direction is the way from one object to another on the floor, degrees in the scene's frame, counter-clockwise from
  its x axis. Of one who stands at an object and faces another, that way is said first; then for each thing asked about
  the way there and how far that is turned from where one faces: 90 is to the left. Of a route it is each way on, and
  how far that is turned from the one before.
* A size is a height, a longest side, or the edge of a cube as big, metres; of a floor the edge of a square as large.
* What is compared or counted by its name is named before each marker: what comes next is then one word, and one thing
  to look up: ``chair<OBJ004><OBJ007>2.6 lamp<OBJ012><OBJ007>1.1``. What is counted, or listed by its name alone, is
  numbered: ``chair<OBJ004>1``.
* Where the nearest or farthest is asked for, each step ends with the best so far, so that no more than two numbers are
  compared at a time: ``chair<OBJ004><OBJ007>2.6>2.6<OBJ004> lamp<OBJ012><OBJ007>1.1>1.1<OBJ012>``.
* What something stands on is named before its marker is given; so is all that stands on something.
* What is asked about by its name is named, too: ``trash can<OBJ011>`` before its colour, ``door<OBJ003> desk<OBJ004>``
  before what is nearest to the door, ``sofa<OBJ002> tv<OBJ005>`` before how far one is from the other, or before the
  ways from where one stands, ``shelf<OBJ006>1.0`` for its longest side.
* Where the order of first sight is asked for, the first thing of each name is named and marked in the question's order;
  markers count in that order (``References``).
* The right option of a choice is said in words before its letter, behind a semicolon: a name without one is one more
  thing to look up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, groupby, pairwise

import numpy as np

from proxy3d_core.geometry.boxes import OrientedBox, box_distances
from proxy3d_core.proxies.references import marker
from proxy3d_core.vlm.prompt import square_edge, with_evidence
from proxy3d_core.vlm.tokenizer import TURN
from proxy3d_training.data.prepared import Seen
from proxy3d_training.data.questions.geometry import off
from proxy3d_training.data.questions.situated import BESIDE, GO, PHRASES, SIDES
from proxy3d_training.data.schema import MARKER, ChoiceAnswer, IdAnswer, NumberAnswer, Sample, TextAnswer, Thing

Choice = Callable[[Sequence[float]], float]
"""Of distances the one that counts: ``min`` or ``max``."""

_MEASURED = frozenset({"centers_apart", "is_on", "object_abs_distance"})
_COMPARED = frozenset({"closer_of", "closer", "object_rel_distance", "situated_closer"})
_LONGEST = "object_size_estimation"
_SIZES: dict[str, Callable[[tuple[float, float, float]], float]] = {
    "taller": lambda size: size[2],
    "bigger": lambda size: math.prod(size) ** (1 / 3),
    _LONGEST: max,
}
_REFERRED = re.compile(r"\b(closest to|farthest from|near|on) the\b")
_BEST: dict[str, Choice] = {"closest to": min, "farthest from": max}
_SIDES = frozenset({"side_of", *(f"object_rel_direction_{kind}" for kind in ("easy", "medium", "hard"))})
_SITUATED = "situated_"
_COUNTED = frozenset({"count", "count_on", "object_counting"})
_ON_A_SIDE = frozenset({"situated_count", "situated_parity", "situated_is"})
_ASIDE = frozenset({"situated_side", "situated_way", "situated_left_right"})
_ROUTE = "route_planning"
_ORDER = "obj_appearance_order"
_BY_NAME = frozenset({"color", "material", "shape", "nearest", "what_on", "where_on"})
_INTRODUCED = _SIDES | {"object_abs_distance", _ROUTE}
_AREA = "room_size_estimation"
_TO = re.compile(r"\bto <OBJ(\d{3})>")


def working(sample: Sample, yaw: float = 0.0) -> str:
    """What is said before the answer of a sample; nothing if it rests on nothing that can be named.

    Args:
        sample: as it is asked.
        yaw: by which the scene is turned, radians.
    """
    if _counts(sample):
        said = _counted(sample)
    elif _is_order(sample):
        said = "".join(f" {thing.label}{_name(thing)}" for thing in _as_read(sample.objects, sample.question))
    elif _is_by_name(sample):
        # What the question names comes first: the rest is looked up from there.
        things = sorted(sample.objects, key=lambda thing: (thing.label or "") not in sample.question)
        said = "".join(f" {thing.label}{_name(thing)}" for thing in things)
    else:
        said = _introduced(sample) + _measured(sample, yaw) or "".join(marker(index) for index in rests_on(sample))
    if sample.kind == "carried_by" and isinstance(sample.answer, IdAnswer):
        said += "".join(f" {thing.label}" for thing in sample.objects if thing.id in sample.answer.objects)
    if sample.kind == "carries" and isinstance(sample.answer, IdAnswer):
        carried = {marker(t.marker): t.label for t in sample.objects if t.marker is not None and t.label}
        said += "".join(f" {label}{name}" for name, label in sorted(carried.items()) if name in sample.answer.text)
    if isinstance(sample.answer, ChoiceAnswer):
        letters = [option[:1] for option in sample.options]
        said += f"; {sample.options[letters.index(sample.answer.letter)][3:]}"
    return said.strip(" ;")


def worked_out(sample: Sample, yaw: float = 0.0) -> str:
    """The working and the answer, as they are learned; sizes are as exact as they are worked out: ``[1.4] 140``.

    Args:
        sample, yaw: as for ``working``.
    """
    answer, box = sample.answer.text, next((thing.box for thing in sample.objects), None)
    if sample.kind == _LONGEST and sample.source == "Simulated" and box is not None:
        answer = f"{100 * round(max(box.size), 1):.0f}"
    if sample.kind == _AREA and sample.source == "Simulated" and isinstance(sample.answer, NumberAnswer):
        return floor_size(sample.answer.value)
    return with_evidence(working(sample, yaw), answer)


def floor_size(area: float) -> str:
    """How large a floor is, square metres, behind the edge of a square as large: ``[4.6] 21.2``."""
    edge = square_edge(area)
    return with_evidence(f"{edge:.1f}", f"{edge**2:.1f}")


def workable(sample: Sample) -> bool:
    """Whether the answer follows from what is there: who learns to answer without, learns to guess.

    Of several things that are compared the right one is enough, if it is the best of those that are there.
    """
    kind, things = sample.kind, _asked(sample)
    if kind in _SIZES or _is_route(sample) or _counts(sample) or _is_by_name(sample) or _is_order(sample):
        return all(map(_known, things))
    if kind == "existence" and things:
        return any(map(_known, things))
    from_, to = _roles(sample)
    if not from_:
        return True
    if _compares_names(sample):
        right = sample.objects[0]
        if not all(map(_known, [*from_, right])):
            return False
        choose = _choice(sample)
        best = right if choose is None else best_of([*filter(_known, to)], from_[0], choose)[-1]
        return best.label == right.label if kind in _COMPARED else best.marker == right.marker
    if not all(map(_known, [*from_, *to])):
        return False
    if kind in _ASIDE:
        return _is_aside(sample, from_, to[0])
    return kind not in _ON_A_SIDE or _agrees(sample, sum(_on_side(sample, from_, to)))


def as_seen(sample: Sample, objects: Sequence[Seen], area: float | None = None) -> Sample | None:
    """A sample about things by their names, as who sees a map has to take it: of a name is what the map takes for such.

    What the map has more of a name joins what is compared. The area of the floor is the one that is told.

    Args:
        sample: with the markers of the map.
        objects: of the map; those that are gone are not there.
        area: of its floor, square metres, if that is told.

    Returns:
        None where the map has more of what is counted, or takes some of it for something else; or saw things in an
        order that comes closer to a wrong option.
    """
    taken = {o.marker: o for o in objects if o.marker is not None and o.state != "gone"}
    if sample.source != "Simulated":
        return sample
    if sample.kind == _AREA and area is not None:
        told = sample.answer.model_copy(update={"text": f"{area:.1f}", "value": round(area, 1)})
        return sample.model_copy(update={"answer": told})
    if _counts(sample) or sample.kind in _ON_A_SIDE:
        counted = sample.objects[: -2 if sample.kind in _ON_A_SIDE else -1 if sample.kind == "count_on" else None]
        names = {thing.label for thing in counted}
        there = {index for index, o in taken.items() if o.label in names}
        right = {thing.marker for thing in counted}
        return sample if (right <= there if sample.kind == "count_on" else right == there) else None
    if _is_order(sample):
        return _first_seen(sample, taken)
    if not _compares_names(sample):
        return sample
    known = {thing.marker for thing in sample.objects}
    references = 2 if sample.kind.startswith(_SITUATED) else 1
    names = {thing.label for thing in sample.objects[:-references]}
    more = [
        Thing(id=-o.id, marker=index, label=o.label, box=o.box)
        for index, o in taken.items()
        if o.label in names and index not in known
    ]
    things = (*sample.objects[:-references], *more, *sample.objects[-references:])
    return sample.model_copy(update={"objects": things})


def _first_seen(sample: Sample, taken: Mapping[int, Seen]) -> Sample | None:
    """With the first thing of each name that the map has; None if it lacks one, or the right order is not the one
    that is nearest to theirs.
    """
    first = {taken[index].label: index for index in sorted(taken, reverse=True)}
    labels = [thing.label or "" for thing in sample.objects]
    if not first.keys() >= set(labels):
        return None

    def swapped(option: str) -> int:
        order = [first[label] for label in option[3:].split(", ")]
        return sum(a > b for a, b in combinations(order, 2))

    assert isinstance(sample.answer, ChoiceAnswer)
    wrong = {option[0]: swapped(option) for option in sample.options}
    right = wrong.pop(sample.answer.letter)
    if right >= min(wrong.values()):
        return None
    seen = [taken[first[label]] for label in labels]
    return sample.model_copy(
        update={"objects": tuple(Thing(id=-o.id, marker=o.marker, label=o.label, box=o.box) for o in seen)}
    )


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
    gaps = _gaps(first, second, symbolic)
    return [f"{_pair(*pair)}{gap:.1f}" for *pair, gap in zip(first, second, gaps, strict=True)]


def best_of(things: Sequence[Thing], anchor: Thing, choose: Choice, symbolic: bool = False) -> list[Thing]:
    """The nearest to a thing, or the farthest, of the first one, the first two, and so on; by tenths of metres."""
    gaps = [round(gap, 1) for gap in _gaps(things, [anchor] * len(things), symbolic)]
    return [things[gaps.index(choose(gaps[:end]))] for end in range(1, len(things) + 1)]


def compared(things: Sequence[Thing], anchor: Thing, choose: Choice | None, symbolic: bool = False) -> list[str]:
    """How far things are from another one, each named before its marker, and the best one so far if one is chosen."""
    anchors = [anchor] * len(things)
    said = [f" {t.label}{gap}" for t, gap in zip(things, apart(things, anchors, symbolic), strict=True)]
    if choose is None:
        return said
    best = best_of(things, anchor, choose, symbolic)
    gaps = _gaps(best, anchors, symbolic)
    return [f"{text}>{gap:.1f}{_name(t)}" for text, gap, t in zip(said, gaps, best, strict=True)]


def sizes(kind: str, things: Sequence[Thing]) -> list[str]:
    """What questions of this kind compare of things: ``<OBJ004>1.7``."""
    return [f"{_name(thing)}{_SIZES[kind](thing.box.size):.1f}" for thing in things if thing.box]


def ways(first: Sequence[Thing], second: Sequence[Thing], yaw: float) -> list[str]:
    """Directions from things to others in a scene that is turned by ``yaw`` radians: ``<OBJ004><OBJ007>@045``."""
    return [f"{_pair(a, b)}@{_way(a, b, yaw):03d}" for a, b in zip(first, second, strict=True)]


def turns(at: Thing, faced: Thing, others: Sequence[Thing], yaw: float) -> list[str]:
    """For one who stands at a thing and faces another: the way there, and for each of others the way and the turn."""
    ahead = _way(at, faced, yaw)
    steps = zip(ways([at] * len(others), others, yaw), others, strict=True)
    return [*ways([at], [faced], yaw), *(f"{step}{_turned(ahead, _way(at, other, yaw))}" for step, other in steps)]


def route(stops: Sequence[Thing], yaw: float) -> list[str]:
    """From stop to stop the way, and from the second one on how far it is turned from the one before."""
    legs = [_way(a, b, yaw) for a, b in pairwise(stops)]
    said = ways(stops[:-1], stops[1:], yaw)
    return [said[0], *(f"{way}{_turned(*pair)}" for way, pair in zip(said[1:], pairwise(legs), strict=True))]


def _way(start: Thing, end: Thing, yaw: float) -> int:
    """Degrees, a multiple of ``TURN``."""
    a, b = _boxes([start, end])
    x, y, _ = b.center - a.center
    return round(math.degrees(math.atan2(y, x) + yaw) / TURN) * TURN % 360


def _turned(before: int, after: int) -> str:
    return f"@{(after - before) % 360:03d}"


def _gaps(first: Sequence[Thing], second: Sequence[Thing], symbolic: bool) -> list[float]:
    boxes = _boxes(first), _boxes(second)
    if symbolic:
        return [float(np.linalg.norm(a.center - b.center)) for a, b in zip(*boxes, strict=True)]
    gaps: list[float] = box_distances(*boxes).tolist()
    return gaps


def _introduced(sample: Sample) -> str:
    """What a question names by words, before it is measured; nothing where it has markers, or something is missing."""
    things = sample.objects
    by_name = sample.source == "Simulated" and not MARKER.search(sample.question)
    stands = sample.kind.startswith(_SITUATED) and sample.kind not in _COMPARED
    if not (sample.kind in _INTRODUCED or stands) or not by_name or not all(map(_known, things)):
        return ""
    return "".join(f" {thing.label}{_name(thing)}" for thing in _as_read(things, sample.prompt()))


def _measured(sample: Sample, yaw: float) -> str:
    """Numbers; nothing if the answer does not follow from such, or where one is is not known."""
    if sample.kind in _SIZES:
        things = [thing for thing in _asked(sample) if thing.box]
        names = [f" {thing.label}" if thing.label and not MARKER.search(sample.question) else "" for thing in things]
        return "".join(map("".join, zip(names, sizes(sample.kind, things), strict=True)))
    if _is_route(sample):
        goal, *stops = sample.objects
        return "".join(route([*stops, goal], yaw)) if all(map(_known, sample.objects)) else ""
    from_, to = _roles(sample)
    to = [thing for thing in to if _known(thing)]
    if not from_ or not to or not all(map(_known, from_)):
        return ""
    if sample.kind in _ON_A_SIDE:
        ahead, *said = turns(from_[0], from_[1], to, yaw)
        return ahead + _numbered(said, _on_side(sample, from_, to))
    if len(from_) == 2:
        return "".join(turns(from_[0], from_[1], to, yaw))
    if _compares_names(sample):
        return "".join(compared(to, from_[0], _choice(sample)))
    return "".join(apart(from_ * len(to), to, sample.view == "symbols"))


def _counted(sample: Sample) -> str:
    """What a question counts or lists, named and numbered; before it what carries them, if that is said."""
    order = {index: place for place, index in enumerate(rests_on(sample))}
    last = len(order)  # what the answer lists, in the order of the markers
    things = sorted(filter(_known, sample.objects), key=lambda t: (order.get(t.marker or 0, last), t.marker))
    first = 1 if sample.kind == "count_on" else 0
    said = [_name(thing) for thing in things[:first]] + [f" {thing.label}{_name(thing)}" for thing in things[first:]]
    return _numbered(said, [place >= first for place in range(len(said))])


def _numbered(said: Sequence[str], counted: Sequence[bool]) -> str:
    """Behind each that is counted how many that are so far."""
    numbers = np.cumsum(counted, dtype=int).tolist()
    return "".join(f"{text}{n}" if there else text for text, there, n in zip(said, counted, numbers, strict=True))


def _on_side(sample: Sample, from_: Sequence[Thing], things: Sequence[Thing]) -> list[bool]:
    """Which things are on the side that a question asks about, for one who stands at a thing and faces another."""
    at, faced = from_
    side = next(SIDES[name] for name, phrase in PHRASES.items() if phrase in sample.question)
    ahead = _way(at, faced, 0.0)
    return [off(_way(at, thing, 0.0) - ahead, side) <= BESIDE for thing in things]


def _is_aside(sample: Sample, from_: Sequence[Thing], thing: Thing) -> bool:
    """Whether a thing is plainly on the side that is the answer: we know at which thing one stands, not where."""
    assert isinstance(sample.answer, TextAnswer)
    at, faced = from_
    turn = _way(at, thing, 0.0) - _way(at, faced, 0.0)
    sides, half = ({"left", "right"}, 90) if sample.kind == "situated_left_right" else (set(SIDES), 45)
    there = [side for side in sides if off(turn, SIDES[side]) < half]
    return any({side, GO[side]}.intersection(sample.answer.references) for side in there)


def _agrees(sample: Sample, count: int) -> bool:
    """Whether so many on a side are what the answer says: we know at which thing one stands, not where beside it."""
    assert isinstance(sample.answer, TextAnswer)
    right = {str(count), "even" if count % 2 == 0 else "odd", "yes" if count else "no"}
    return not right.isdisjoint(sample.answer.references)


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
    if _compares_names(sample):
        *others, anchor = things
        return [anchor], _as_read(others, sample.question)
    return [], []


def _choice(sample: Sample) -> Choice | None:
    """What is chosen of the things that a sample compares by their names; None = nothing, they are only measured."""
    found = None if sample.description is None else _REFERRED.search(sample.description)
    return min if sample.kind in _COMPARED else _BEST.get(found[1]) if found else None


def _counts(sample: Sample) -> bool:
    """Whether all of one name are counted or listed, and nothing else is asked of them."""
    plainly = sample.description is not None and all(
        len((thing.label or "").split()) == len(sample.description.split()) for thing in sample.objects
    )
    listed = sample.kind == "find_category" or (sample.kind == "grounding_any" and plainly)
    return (sample.kind in _COUNTED or listed) and sample.source == "Simulated"


def _is_by_name(sample: Sample) -> bool:
    return sample.kind in _BY_NAME and sample.source == "Simulated"


def _is_order(sample: Sample) -> bool:
    return sample.kind == _ORDER and sample.source == "Simulated"


def _is_route(sample: Sample) -> bool:
    return sample.kind == _ROUTE and sample.source == "Simulated"


def _compares_names(sample: Sample) -> bool:
    """Whether everything of some names is compared, not what markers name."""
    referred = sample.description is not None and _REFERRED.search(sample.description) is not None
    by_name = sample.source == "Simulated" and not MARKER.search(sample.question)
    return by_name and (sample.kind in _COMPARED or referred)


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

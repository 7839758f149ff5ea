"""Attributes of single objects and relations of two, half in words and half in ids, as MMScan has them (Lyu et al.
2024); stage 3 of the curriculum.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from proxy3d_training.data.questions.candidates import SHORT, Asker, Candidate, plural, words
from proxy3d_training.data.questions.everyday import carried
from proxy3d_training.data.questions.rooms import Item, Room
from proxy3d_training.data.schema import marker

FAMILY = "MMScan"
LARGER = 1.15
"""Of two compared objects the larger exceeds the smaller by at least this factor."""
NEARER = 0.3
"""Of two compared distances one is longer by at least this, metres."""
MOST = 8
"""Answers that would name more objects than this are not asked for."""

_ASK = {
    "color": ("What color is {0}?", "Which color does {0} have?", "Name the color of {0}."),
    "material": ("What is {0} made of?", "Which material is {0} made of?"),
    "shape": ("What shape does {0} have?", "What is the shape of {0}?"),
    "category": ("What is {0}?", "What kind of object is {0}?", "Name the category of {0}."),
}
_FIND = {
    "color": ("Which objects are {0}?", "Find everything that is {0}.", "List all {0} objects."),
    "material": ("Which objects are made of {0}?", "Find everything made of {0}."),
    "shape": ("Which objects are {0}?", "List all {0} objects."),
    "category": ("Which objects are {0}?", "Find all {0}.", "List every one of the {0}."),
}
_CARRIED = ("Which objects are on {0}?", "What stands on {0}? Give the IDs.", "List what {0} carries.")
_CARRIER = ("On which object is {0}?", "What is {0} standing on? Give its ID.", "Which object carries {0}?")
_IS_ON = ("Is {0} on {1}?", "Does {0} stand on {1}?")
_TALLER = ("Which is taller, {0} or {1}?", "Of {0} and {1}, which one is taller?")
_BIGGER = ("Which is bigger, {0} or {1}?", "Of {0} and {1}, which one is larger?")
_CLOSER = ("Which is closer to {2}, {0} or {1}?", "Of {0} and {1}, which one is nearer to {2}?")
_SAME = ("Do {0} and {1} have the same color?", "Are {0} and {1} of the same color?")
_HIGHER = ("Is {0} higher up than {1}?", "Is {0} above the height of {1}?")


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    named = [item for item in asker.room.items if item.id in asker.room.markers]
    yield from _attributes(asker, named)
    yield from _sets(asker, named)
    yield from _support(asker, named)
    yield from _comparisons(asker, named)


def _name(room: Room, item: Item) -> str:
    return marker(room.markers[item.id])


def _value(item: Item, attribute: str) -> str:
    return item.label if attribute == "category" else str(getattr(item, attribute))


def _text(asker: Asker, kind: str, templates: Sequence[str], answer: str, named: Sequence[Item]) -> Candidate:
    text, template = asker.worded(templates)
    filled = text.format(*(_name(asker.room, item) for item in named))
    return Candidate(FAMILY, kind, filled, words(answer), tuple(named), "", template, answer, SHORT, stages=(3, 4))


def _ids(
    asker: Asker, kind: str, question: str, template: str, found: Sequence[Item], named: Sequence[Item], content: str
) -> Iterator[Candidate]:
    answer = asker.ids(found)
    if answer is not None and found:
        everything = {item.id: item for item in (*found, *named)}
        yield Candidate(
            FAMILY,
            kind,
            question,
            answer,
            tuple(everything.values()),
            "",
            template,
            content,
            stages=(3, 4),
        )


def _position(right: Item, first: Item) -> str:
    return "first" if right.id == first.id else "second"


def _attributes(asker: Asker, named: list[Item]) -> Iterator[Candidate]:
    for attribute, templates in _ASK.items():
        for item in asker.some([item for item in named if _value(item, attribute)]):
            yield _text(asker, f"attribute_{attribute}", templates, _value(item, attribute), (item,))


def _sets(asker: Asker, named: list[Item]) -> Iterator[Candidate]:
    """All objects that have a value; asked only where every object's value is known or plainly another."""
    for attribute, templates in _FIND.items():
        if attribute != "category" and not all(_value(item, attribute) for item in asker.room.items):
            continue
        values: dict[str, list[Item]] = {}
        for item in named:
            values.setdefault(_value(item, attribute), []).append(item)
        for value, found in asker.some(sorted(values.items(), key=lambda entry: entry[0])):
            if len(found) > MOST or (attribute == "category" and value in asker.room.unclear):
                continue
            text, template = asker.worded(templates)
            said = plural(value) if attribute == "category" else value
            yield from _ids(asker, f"find_{attribute}", text.format(said), template, found, (), value)


def _support(asker: Asker, named: list[Item]) -> Iterator[Candidate]:
    room = asker.room
    on = carried(room)
    for item in asker.some([item for item in named if item.id in on]):
        found = [other for other in on[item.id] if other.id in room.markers]
        if len(found) == len(on[item.id]) <= MOST:
            text, template = asker.worded(_CARRIED)
            yield from _ids(asker, "carries", text.format(_name(room, item)), template, found, (item,), "")
    resting = [item for item in named if item.support in room.by_id and item.support in room.markers]
    carriers = [room.by_id[number] for number in sorted(on) if number in room.markers]
    for item in asker.some(resting):
        carrier = room.by_id[item.support or 0]
        text, template = asker.worded(_CARRIER)
        yield from _ids(asker, "carried_by", text.format(_name(room, item)), template, [carrier], (item,), "")
        yield _text(asker, "is_on", _IS_ON, "yes", (item, carrier))
        others = [other for other in carriers if other.id not in (carrier.id, item.id) and other.support != item.id]
        others = [other for other in others if room.gap(item, other) > 0.1]
        if others:
            yield _text(asker, "is_on", _IS_ON, "no", (item, asker.rng.choice(others)))


def _comparisons(asker: Asker, named: list[Item]) -> Iterator[Candidate]:
    room = asker.room
    for first, second in asker.some(list(itertools.permutations(named, 2))):
        for kind, templates, sizes in (
            ("taller", _TALLER, [float(item.size[2]) for item in (first, second)]),
            ("bigger", _BIGGER, [float(np.prod(item.size)) for item in (first, second)]),
        ):
            factor = LARGER if kind == "taller" else LARGER**3
            if max(sizes) >= factor * min(sizes):
                text, template = asker.worded(templates)
                filled = text.format(_name(room, first), _name(room, second))
                larger = first if sizes[0] > sizes[1] else second
                yield from _ids(asker, kind, filled, template, [larger], (first, second), _position(larger, first))
        if abs(first.center[2] - second.center[2]) >= NEARER and first.bottom > second.top + 0.05:
            yield _text(asker, "higher", _HIGHER, "yes", (first, second))
            yield _text(asker, "higher", _HIGHER, "no", (second, first))
        if first.color and second.color:
            yield _text(asker, "same_color", _SAME, "yes" if first.color == second.color else "no", (first, second))
        third = asker.rng.choice(named)
        gaps = [room.gap(item, third) for item in (first, second)]
        if third.id not in (first.id, second.id) and abs(gaps[0] - gaps[1]) >= NEARER:
            text, template = asker.worded(_CLOSER)
            filled = text.format(*(_name(room, item) for item in (first, second, third)))
            nearer = first if gaps[0] < gaps[1] else second
            yield from _ids(
                asker, "closer", filled, template, [nearer], (first, second, third), _position(nearer, first)
            )

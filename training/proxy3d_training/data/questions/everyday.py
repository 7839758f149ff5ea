"""Plain questions about a room as people ask them, as ScanQA has them (Azuma et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator

from proxy3d_training.data.questions.candidates import SHORT, Asker, Candidate, a, count_words, plural, words
from proxy3d_training.data.questions.rooms import FIXTURES, Item, Room

FAMILY = "ScanQA"
NEARER = 0.3
"""The nearest thing is nearer than the next one by at least this, metres."""

_EXISTS = ("Is there {0} in the room?", "Does this room have {0}?", "Is there {0} here?")
_COUNT = ("How many {0} are in the room?", "How many {0} are there?", "How many {0} does the room have?")
_COUNT_ON = ("How many {0} are on the {1}?", "How many {0} are there on the {1}?")
_WHAT_ON = ("What is on the {0}?", "What is standing on the {0}?", "What can be found on the {0}?")
_WHERE = ("What is the {0} on?", "Where is the {0}?", "What is the {0} standing on?")
_NEAREST = ("What is closest to the {0}?", "Which object is nearest to the {0}?", "What stands nearest to the {0}?")
_COLOR = ("What color is the {0}?", "What is the color of the {0}?", "Which color does the {0} have?")
_MADE = ("What is the {0} made of?", "What material is the {0} made of?")
_SHAPE = ("What shape is the {0}?", "What is the shape of the {0}?")


def carried(room: Room) -> dict[int, list[Item]]:
    """What stands on each thing, by the id of the thing."""
    found: dict[int, list[Item]] = {}
    for item in room.items:
        if item.support is not None and item.support in room.by_id:
            found.setdefault(item.support, []).append(item)
    return found


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    yield from _existence(asker)
    yield from _counts(asker)
    yield from _carried(asker)
    yield from _nearest(asker)
    yield from _looks(asker)


def _make(
    asker: Asker, kind: str, templates: tuple[str, ...], answer: str, named: tuple[Item, ...], about: str, *fill: str
) -> Candidate:
    text, template = asker.worded(templates)
    given = count_words(int(answer)) if answer.isdigit() else words(answer)
    return Candidate(FAMILY, kind, text.format(*fill), given, named, about, template, answer, SHORT)


def _existence(asker: Asker) -> Iterator[Candidate]:
    room = asker.room
    for label in asker.some(list(room.by_label)):
        yield _make(asker, "existence", _EXISTS, "yes", tuple(room.by_label[label]), label, a(label))
    for label in asker.some([label for label in room.absent if label not in FIXTURES]):
        yield _make(asker, "existence", _EXISTS, "no", (), label, a(label))


def _counts(asker: Asker) -> Iterator[Candidate]:
    for label, items in asker.some(list(asker.room.by_label.items())):
        yield _make(asker, "count", _COUNT, str(len(items)), tuple(items), label, plural(label))


def _carried(asker: Asker) -> Iterator[Candidate]:
    room = asker.room
    for number, items in asker.some(list(carried(room).items())):
        carrier = room.by_id[number]
        if carrier.label not in room.single or any(item.label in room.unclear for item in items):
            continue
        if len(items) == 1:
            yield _make(asker, "what_on", _WHAT_ON, items[0].label, (items[0], carrier), carrier.label, carrier.label)
        for label in sorted({item.label for item in items}):
            same = [item for item in items if item.label == label]
            if len(room.by_label[label]) >= 2:
                about = f"{label} {carrier.label}"
                yield _make(
                    asker, "count_on", _COUNT_ON, str(len(same)), (*same, carrier), about, plural(label), carrier.label
                )
    for item in asker.some(list(room.single.values())):
        under = room.by_id.get(item.support) if item.support is not None else None
        if under is not None:
            text, template = asker.worded(_WHERE)
            given = words(f"on the {under.label}", under.label, f"on {under.label}")
            yield Candidate(
                FAMILY,
                "where_on",
                text.format(item.label),
                given,
                (item, under),
                item.label,
                template,
                under.label,
                SHORT,
            )


def _nearest(asker: Asker) -> Iterator[Candidate]:
    """The nearest thing; what stands on the thing or carries it does not count, and makes the question unclear."""
    room = asker.room
    for item in asker.some(list(room.single.values())):
        gaps = sorted((room.gap(item, other), other.id) for other in room.items if other.id != item.id)
        if len(gaps) < 2 or gaps[0][0] <= 0.05 or gaps[1][0] - gaps[0][0] < NEARER:
            continue
        nearest = room.by_id[gaps[0][1]]
        if nearest.label not in room.unclear and nearest.room == item.room:
            yield _make(asker, "nearest", _NEAREST, nearest.label, (nearest, item), item.label, item.label)


def _looks(asker: Asker) -> Iterator[Candidate]:
    for item in asker.some(list(asker.room.single.values())):
        for kind, templates, answer in (
            ("color", _COLOR, item.color),
            ("material", _MADE, item.material),
            ("shape", _SHAPE, item.shape),
        ):
            if answer:
                yield _make(asker, kind, templates, answer, (item,), item.label, item.label)

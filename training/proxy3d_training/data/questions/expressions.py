"""Referring expressions with the exact set of objects that each fits, margins included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from proxy3d_training.data.questions.candidates import Asker, plural
from proxy3d_training.data.questions.rooms import Item, Room

NEARER = 0.3
"""The nearest of a kind is nearer than the next by at least this, metres."""
LARGER = 1.15
"""The tallest or widest of a kind exceeds the next by at least this factor."""
WITHIN, BEYOND = 0.9, 1.5
"""Near: at most the first distance; not near: at least the second, metres. In between the expression is left out."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A description of one or more things.

    Attributes:
        one: in the singular, without article: "chair closest to the door".
        many: in the plural: "chairs near the door".
        fits: all things that it fits; may be none.
        label: of what is described.
        way: how it tells them apart: label, color, nearest, farthest, tallest, widest, on, near.
        others: further things it names.
    """

    one: str
    many: str
    fits: tuple[Item, ...]
    label: str
    way: str
    others: tuple[Item, ...] = ()


def expressions(asker: Asker) -> Iterator[Expression]:
    """Descriptions of what is there, and of what is not, in random order of kinds."""
    room = asker.room
    for label, items in asker.some(list(room.by_label.items()), len(room.by_label)):
        yield Expression(label, plural(label), tuple(items), label, "label")
        yield from _colored(asker, label, items)
        yield from _carried(asker, label, items)
        if len(items) >= 2:
            yield from _extremes(label, items)
            yield from _by_distance(asker, label, items)
        yield from _near(asker, label, items)
    for label in asker.some(list(room.absent), 2 * asker.wanted):
        yield Expression(label, plural(label), (), label, "label")


def _colored(asker: Asker, label: str, items: Sequence[Item]) -> Iterator[Expression]:
    if not all(item.color for item in items):
        return
    here = sorted({item.color for item in items})
    elsewhere = sorted({item.color for item in asker.room.items if item.color} - set(here))
    for color in here + asker.some(elsewhere, 1):
        fits = tuple(item for item in items if item.color == color)
        yield Expression(f"{color} {label}", f"{color} {plural(label)}", fits, label, "color")


def _carriers(room: Room) -> list[Item]:
    return sorted(
        {
            carrier.id: carrier
            for item in room.items
            if item.support is not None
            and (carrier := room.by_id.get(item.support)) is not None
            and carrier.label in room.single
        }.values(),
        key=lambda item: item.id,
    )


def _carried(asker: Asker, label: str, items: Sequence[Item]) -> Iterator[Expression]:
    room = asker.room
    here = [carrier for carrier in _carriers(room) if any(item.support == carrier.id for item in items)]
    movable = any(item.support is not None for item in items)
    more = asker.some([c for c in _carriers(room) if c not in here], 1) if movable else []
    for carrier in here + more:
        if carrier.label == label:
            continue
        fits = tuple(item for item in items if item.support == carrier.id)
        # What merely hangs over the carrier may be said to be on it, too.
        if any(item.support != carrier.id and room.flat_gap(item, carrier) == 0 for item in items):
            continue
        where = f"on the {carrier.label}"
        yield Expression(f"{label} {where}", f"{plural(label)} {where}", fits, label, "on", (carrier,))


def _extremes(label: str, items: Sequence[Item]) -> Iterator[Expression]:
    for way, sizes in (
        ("tallest", [float(item.size[2]) for item in items]),
        ("largest", [float(np.prod(item.size)) ** (1 / 3) for item in items]),
    ):
        order = np.argsort(sizes)[::-1]
        if sizes[order[0]] >= LARGER * sizes[order[1]]:
            item = items[int(order[0])]
            yield Expression(f"{way} {label}", f"{way} {plural(label)}", (item,), label, way)


def _by_distance(asker: Asker, label: str, items: Sequence[Item]) -> Iterator[Expression]:
    room = asker.room
    anchors = [anchor for name, anchor in room.single.items() if name != label]
    for anchor in asker.some(anchors, 3):
        order = sorted(items, key=lambda item: room.gap(item, anchor))
        gaps = [room.gap(item, anchor) for item in order]
        if gaps[1] - gaps[0] >= NEARER:
            where = f"closest to the {anchor.label}"
            yield Expression(f"{label} {where}", "", (order[0],), label, "nearest", (anchor,))
        if gaps[-1] - gaps[-2] >= NEARER:
            where = f"farthest from the {anchor.label}"
            yield Expression(f"{label} {where}", "", (order[-1],), label, "farthest", (anchor,))


def _near(asker: Asker, label: str, items: Sequence[Item]) -> Iterator[Expression]:
    room = asker.room
    anchors = [anchor for name, anchor in room.single.items() if name != label]
    for anchor in asker.some(anchors, 3):
        gaps = [room.gap(item, anchor) for item in items]
        if any(WITHIN < gap < BEYOND for gap in gaps):
            continue
        fits = tuple(item for item, gap in zip(items, gaps, strict=True) if gap <= WITHIN)
        where = f"near the {anchor.label}"
        yield Expression(f"{label} {where}", f"{plural(label)} {where}", fits, label, "near", (anchor,))

"""Questions about regions that are pointed at: a 3D box, or a box or mask drawn on a frame (SR-3D, section 4).

Width is the longer horizontal edge of the upright box, height its vertical one, distance that of the closest points,
size its volume; all in metres. Answers are free text in the paper's form.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import cv2
import numpy as np

from proxy3d_training.data.questions.candidates import OPTION, Asker, Candidate, number, several, words
from proxy3d_training.data.questions.rooms import Item, Room, View
from proxy3d_training.data.schema import Answer, Mask, Region

FAMILY = "SR-3D"
LARGER = 1.2
"""Compared lengths differ by at least this factor."""
LEAST_SHARE = 0.002
"""A thing is pointed at on a frame only where it fills at least this share of it."""
LEAST_PIXELS = 8
"""A box on a frame is at least this wide and high."""

_WIDTH = ("What is the width of {0}?", "How wide is {0}?", "Can you tell the width of {0} in meters?")
_HEIGHT = ("What is the height of {0}?", "How tall is {0}?", "Can you tell the height of {0} in meters?")
_DISTANCE = (
    "What is the distance between {0} and {1}?",
    "How far apart are {0} and {1}?",
    "How far is {0} from {1}, in meters?",
)
_CHOICE = {
    "wide_thin": ("Which is wider, {0} or {1}?", "Between {0} and {1}, which is wider?"),
    "tall_short": ("Which is taller, {0} or {1}?", "Between {0} and {1}, which is taller?"),
    "big_small": ("Which is bigger, {0} or {1}?", "Between {0} and {1}, which is larger?"),
}
_PREDICATE = {
    "wide_thin": ("Is {0} wider than {1}?", "Is the width of {0} larger than that of {1}?"),
    "tall_short": ("Is {0} taller than {1}?", "Is the height of {0} larger than that of {1}?"),
    "big_small": ("Is {0} bigger than {1}?", "Does {0} have a larger size than {1}?"),
}
_SIMPLE = {
    "wide_thin": "Which of {0} is the widest?",
    "tall_short": "Which of {0} is the tallest?",
    "big_small": "Which of {0} is the biggest?",
}
_NEAREST = "Which of {0} is the closest to {1}?"
_CLASS = ("What is {0}?", "What kind of object is {0}?")

Way = Literal["box3d", "box2d", "mask"]


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    room = asker.room
    items = [item for item in room.items if item.label not in ("wall", "floor", "ceiling")]
    if len(items) < 5:
        return
    frames = _Frames(room)
    for item in asker.some(items):
        yield from _of_one(asker, frames, item)
    for first, second in asker.some(list(itertools.permutations(items, 2))):
        yield from _of_two(asker, frames, first, second)
    for _ in range(asker.wanted):
        yield from _of_many(asker, frames, asker.rng.sample(items, 5))


def width(item: Item) -> float:
    """The longer horizontal edge, metres."""
    return float(max(item.size[:2]))


def height(item: Item) -> float:
    """The vertical edge, metres."""
    return float(item.size[2])


def _volume(item: Item) -> float:
    # As a length, so that the same margin holds for all three comparisons.
    return float(np.prod(item.size) ** (1 / 3))


_MEASURES: dict[str, Callable[[Item], float]] = {"wide_thin": width, "tall_short": height, "big_small": _volume}


class _Frames:
    """Where things show on the frames of a room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._instances: dict[str, np.ndarray | None] = {}

    def views(self, item: Item) -> list[View]:
        return [self.room.views[index] for index, share in item.views if share >= LEAST_SHARE]

    def instances(self, view: View) -> np.ndarray | None:
        if view.name not in self._instances:
            file = self.room.folder / f"{view.name}.instance.png"
            self._instances[view.name] = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) if file.is_file() else None
        return self._instances[view.name]

    def regions(self, items: Sequence[Item], way: Way, view: View | None) -> tuple[Region, ...] | None:
        """A region for each; None where one does not show well enough on the frame."""
        if way == "box3d":
            return tuple(Region(id=i, object=item.id, box3d=item.box()) for i, item in enumerate(items))
        picture = None if view is None else self.instances(view)
        if picture is None or view is None:
            return None
        found = []
        for i, item in enumerate(items):
            shown = picture == item.id
            rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
            if shown.mean() < LEAST_SHARE or min(len(rows), len(columns)) < LEAST_PIXELS:
                return None
            if way == "mask":
                found.append(Region(id=i, object=item.id, frame=view.name, mask=Mask.encode(shown)))
            else:
                box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
                found.append(Region(id=i, object=item.id, frame=view.name, box2d=box))
        return tuple(found)


def _pointed(asker: Asker, frames: _Frames, items: Sequence[Item]) -> tuple[Way, tuple[Region, ...]]:
    """The things as regions, of a kind chosen by chance; 3D boxes where no frame shows all of them."""
    way: Way = asker.rng.choice(("box3d", "box2d", "mask"))
    common = set.intersection(*({view.name for view in frames.views(item)} for item in items))
    views = [view for view in frames.room.views if view.name in common]
    regions = frames.regions(items, way, asker.rng.choice(views) if views else None)
    if regions is not None:
        return way, regions
    return "box3d", tuple(Region(id=i, object=item.id, box3d=item.box()) for i, item in enumerate(items))


def _names(count: int) -> list[str]:
    return [f"Region [{i}]" for i in range(count)]


def _make(
    kind: str,
    way: Way,
    text: str,
    template: str,
    answer: Answer,
    content: str,
    items: Sequence[Item],
    regions: tuple[Region, ...],
    options: tuple[str, ...] = (),
) -> Candidate:
    return Candidate(
        FAMILY,
        kind,
        text,
        answer,
        tuple(items),
        "",
        f"{template} {way}",
        content,
        OPTION if options else "",
        options,
        regions=regions,
    )


def _of_one(asker: Asker, frames: _Frames, item: Item) -> Iterator[Candidate]:
    for kind, templates, value in (("width", _WIDTH, width(item)), ("height", _HEIGHT, height(item))):
        way, regions = _pointed(asker, frames, [item])
        text, template = asker.worded(templates)
        yield _make(
            f"region_{kind}",
            way,
            text.format("Region [0]"),
            template,
            number(value, "m", 2),
            f"{value:.2f}",
            [item],
            regions,
        )
    way, regions = _pointed(asker, frames, [item])
    text, template = asker.worded(_CLASS)
    yield _make(
        "region_category", way, text.format("Region [0]"), template, words(item.label), item.label, [item], regions
    )


def _of_two(asker: Asker, frames: _Frames, first: Item, second: Item) -> Iterator[Candidate]:
    names = _names(2)
    gap = asker.room.gap(first, second)
    if gap >= 0.2:
        way, regions = _pointed(asker, frames, [first, second])
        text, template = asker.worded(_DISTANCE)
        yield _make(
            "region_distance",
            way,
            text.format(*names),
            template,
            number(gap, "m", 2),
            f"{gap:.2f}",
            [first, second],
            regions,
        )
    for kind, measure in _MEASURES.items():
        sizes = measure(first), measure(second)
        if max(sizes) < LARGER * min(sizes):
            continue
        way, regions = _pointed(asker, frames, [first, second])
        text, template = asker.worded(_CHOICE[kind])
        larger = 0 if sizes[0] > sizes[1] else 1
        yield _make(
            f"region_{kind}",
            way,
            text.format(*names),
            template,
            words(names[larger]),
            names[larger],
            [first, second],
            regions,
        )
        text, template = asker.worded(_PREDICATE[kind])
        answer = "no" if larger else "yes"
        yield _make(
            f"region_{kind}_predicate",
            way,
            text.format(*names),
            template,
            words(answer),
            answer,
            [first, second],
            regions,
        )


def _of_many(asker: Asker, frames: _Frames, items: list[Item]) -> Iterator[Candidate]:
    """Several regions to choose from: the largest (simple), or the nearest to another one (complex)."""
    names = _names(len(items))
    kind = asker.rng.choice(tuple(_SIMPLE))
    sizes = sorted((_MEASURES[kind](item), i) for i, item in enumerate(items))
    if sizes[-1][0] >= LARGER * sizes[-2][0]:
        way, regions = _pointed(asker, frames, items)
        right = sizes[-1][1]
        options, answer = asker.choice(names[right], [name for i, name in enumerate(names) if i != right])
        text = _SIMPLE[kind].format(several(names))
        yield _make("region_multi_simple", way, text, kind, answer, names[right], items, regions, options)
    anchor, others = len(items) - 1, names[:-1]
    gaps = sorted((asker.room.gap(item, items[anchor]), i) for i, item in enumerate(items[:-1]))
    if gaps[1][0] - gaps[0][0] >= 0.3:
        way, regions = _pointed(asker, frames, items)
        right = gaps[0][1]
        options, answer = asker.choice(names[right], [name for name in others if name != names[right]])
        text = _NEAREST.format(several(others), names[anchor])
        yield _make("region_multi_complex", way, text, "nearest", answer, names[right], items, regions, options)

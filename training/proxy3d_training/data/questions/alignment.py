"""Stages 1 and 2 of the curriculum: what a symbol means, and where it is (Proxy3D, supplement).

Stage 1 asks of one symbol "What is the object?" or "What is the object marker?" (the published form), and of a scene of
symbols which marker is which object. Stage 2 asks for coordinates, in metres with one decimal, and for what follows
from them; their origin is on the floor under the middle of the symbols, so that they can be told from what is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from proxy3d_training.data.questions.candidates import Asker, Candidate, a, number, words
from proxy3d_training.data.questions.geometry import bearing, off
from proxy3d_training.data.questions.rooms import Item
from proxy3d_training.data.schema import Answer, TextAnswer, marker

FEWEST, MOST = 10, 30
"""Symbols in a scene of symbols."""
ABOUT_ONE = 6
"""Questions on markers, and on categories, about the same symbols: they share a prefix in training."""
ROUNDS = 3
"""Questions of each kind about where the same symbols are."""
APART = 0.3
"""Compared coordinates and distances differ by at least this, metres."""
SIDEWAYS = 20.0
"""What is on a side is at least so far from straight ahead and behind, degrees."""

_WHAT = ("What is {0}?", "What is the object {0}?", "Name the object {0}.")
_WHICH = ("Which object is the {0}?", "What is the marker of the {0}?", "Where is the {0}? Answer with its marker.")
_PLACE = (
    "What are the coordinates of {0}?",
    "Where is {0}? Give x, y and z in meters.",
    "At which position (x, y, z) is {0}?",
)
_AT = ("Which object is at {0}?", "What is the marker of the object at {0}?")
_HEIGHT = ("How high above the floor is the center of {0}, in meters?", "What is the z coordinate of {0} in meters?")
_APART = ("How far apart are the centers of {0} and {1}, in meters?",)
_HIGHER = ("Which is higher, {0} or {1}?", "Whose z coordinate is larger, that of {0} or that of {1}?")
_CLOSER = ("Which is closer to {2}, {0} or {1}?",)
_SIDE = ("Standing at {0} and facing {1}, is {2} on the left or on the right?",)


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    named = [item for item in asker.room.items if item.id in asker.room.markers]
    for item in asker.some(named):
        yield _symbol("symbol_category", "What is the object?", words(item.label), item)
        text = f"{marker(asker.room.markers[item.id])}."
        answer = TextAnswer(text=text, references=(text.removesuffix("."),))
        yield _symbol("symbol_marker", "What is the object marker?", answer, item)
    for _ in range(max(1, asker.wanted // 4)):
        shown = asker.some(named, asker.rng.randint(FEWEST, MOST))
        if len(shown) >= 4:
            yield from _references(asker, shown)
            for _ in range(ROUNDS):
                yield from _coordinates(asker, shown)


def _symbol(kind: str, question: str, answer: TextAnswer, item: Item) -> Candidate:
    return Candidate(
        "Symbols",
        kind,
        question,
        answer,
        (item,),
        "",
        "0",
        answer.references[0],
        stages=(1,),
        view="symbols",
        in_scene=False,
    )


def _references(asker: Asker, shown: Sequence[Item]) -> Iterator[Candidate]:
    name = {item.id: marker(asker.room.markers[item.id]) for item in shown}
    for item in asker.some(shown, ABOUT_ONE):
        text, template = asker.worded(_WHAT)
        answer = TextAnswer(text=f"{name[item.id]} is {a(item.label)}.", references=(a(item.label), item.label))
        yield Candidate(
            "Symbols", "marker_category", text.format(name[item.id]), answer, tuple(shown), "", template, item.label,
            stages=(1,), view="symbols",
        )  # fmt: skip
    single = [item for item in shown if sum(other.label == item.label for other in shown) == 1]
    for item in asker.some(single, ABOUT_ONE):
        found = asker.ids([item])
        if found is not None:
            text, template = asker.worded(_WHICH)
            yield Candidate(
                "Symbols", "category_marker", text.format(item.label), found, tuple(shown), "", template, found.text,
                stages=(1,), view="symbols",
            )  # fmt: skip


def _coordinates(asker: Asker, shown: Sequence[Item]) -> Iterator[Candidate]:
    name = {item.id: marker(asker.room.markers[item.id]) for item in shown}
    middle = np.mean([item.spot for item in shown], axis=0)
    at = {item.id: item.center - [*middle, 0.0] for item in shown}
    spoken = {key: "({:.1f}, {:.1f}, {:.1f})".format(*(place + 0.0)) for key, place in at.items()}

    def made(kind: str, templates: Sequence[str], answer: Answer, content: str, *fill: str) -> Candidate:
        text, template = asker.worded(templates)
        return Candidate(
            "Coordinates", kind, text.format(*fill), answer, tuple(shown), "", template, content, stages=(2,),
            view="symbols",
        )  # fmt: skip

    item, first, second, third = asker.rng.sample(shown, 4)
    place = TextAnswer(text=f"{spoken[item.id]}.", references=(spoken[item.id],))
    yield made("coordinates_of", _PLACE, place, spoken[item.id], name[item.id])
    gaps = [float(np.linalg.norm(at[item.id] - at[other.id])) for other in shown if other.id != item.id]
    found = asker.ids([item])
    if found is not None and min(gaps) >= APART:
        yield made("object_at", _AT, found, found.text, spoken[item.id])
    yield made("height_of", _HEIGHT, number(float(first.center[2]), "m", 1), f"{first.center[2]:.1f}", name[first.id])
    apart = float(np.linalg.norm(first.center - second.center))
    yield made("centers_apart", _APART, number(apart, "m", 1), f"{apart:.1f}", name[first.id], name[second.id])
    both = (name[first.id], name[second.id])
    heights = [float(i.center[2]) for i in (first, second)]
    if abs(heights[0] - heights[1]) >= APART:
        upper = first if heights[0] > heights[1] else second
        higher = asker.ids([upper])
        if higher is not None:
            yield made("higher_of", _HIGHER, higher, "first" if upper is first else "second", *both)
    to = [float(np.linalg.norm(i.center - third.center)) for i in (first, second)]
    if abs(to[0] - to[1]) >= APART:
        nearer = first if to[0] < to[1] else second
        closer = asker.ids([nearer])
        if closer is not None:
            yield made("closer_of", _CLOSER, closer, "first" if nearer is first else "second", *both, name[third.id])
    if min(float(np.linalg.norm(a.spot - b.spot)) for a, b in combinations((first, second, third), 2)) >= APART:
        angle = bearing(first.spot, second.spot - first.spot, third.spot)
        if off(angle, 0, 180) >= SIDEWAYS:
            side = "left" if angle < 180 else "right"
            yield made("side_of", _SIDE, words(side), side, *both, name[third.id])

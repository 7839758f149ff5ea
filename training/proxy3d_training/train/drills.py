"""Drills: questions of many objects of a scene at once, so that a row has more to look up than its samples ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from proxy3d_core.proxies.references import marker
from proxy3d_core.vlm.inputs import SceneTokens
from proxy3d_training.data.schema import Thing
from proxy3d_training.train.working import Choice, apart, compared, floor_size, sizes, turns, ways

DRILLS = 4
"""Questions of many objects at once that a row has, at most."""
_CHOICES: dict[str, Choice] = {"nearest to": min, "farthest from": max}


@dataclass(frozen=True, eq=False)
class Drilled:
    """What drills are about.

    Attributes:
        scene: as the model sees it.
        things: named and marked, by group.
        colors: of those whose colour is known, by group.
        symbolic: they are symbols.
        yaw: by which the scene is turned, radians.
    """

    scene: SceneTokens
    things: Mapping[int, Thing]
    colors: Mapping[int, str]
    symbolic: bool = False
    yaw: float = 0.0


def drills(about: Drilled, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Questions of many objects at once, in an order that they give, and their answers; at most ``DRILLS`` of them."""
    scene, symbolic = about.scene, about.symbolic
    kinds = ["name", "find", "color"] + (["area"] if scene.area is not None else []) + ([] if symbolic else ["first"])
    if scene.positions is not None:
        kinds += ["place", "apart", "way", "turn", *_CHOICES] + ([] if symbolic else ["long"])
    asked = (_drill(kind, about, rng) for kind in rng.permutation(kinds))
    return list(islice((pair for pair in asked if pair is not None), DRILLS))


def _drill(kind: str, about: Drilled, rng: np.random.Generator) -> tuple[str, str] | None:
    """One of a kind; None where there is nothing to ask."""
    scene, things, colors, yaw = about.scene, about.things, about.colors, about.yaw
    if kind == "area":
        return "How large is the floor?", floor_size(scene.area or 0.0)
    shown = [group for group in np.unique(scene.groups).tolist() if group in things]
    by_name = kind == "find" or (kind == "color" and bool(rng.integers(2)))
    if by_name:  # what there is one of
        count = Counter(things[group].label for group in shown)
        shown = [group for group in shown if count[things[group].label] == 1]
    if kind == "color":
        shown = [group for group in shown if group in colors]
    if len(shown) < {"apart": 2, "way": 2, "turn": 3, "nearest to": 3, "farthest from": 3}.get(kind, 1):
        return None
    order = rng.permutation(shown).tolist()
    if kind == "first":
        return _in_order([things[group] for group in order], bool(rng.integers(2)))
    if kind == "color":  # most things are white or brown: one of each colour, then a second one, and so on
        order.sort(key=_places([colors[group] for group in order], order).__getitem__)
    asked = order[: 6 if kind == "place" else 8 if kind in _CHOICES else 10]
    some = [things[group] for group in asked]
    markers, labels = [marker(thing.marker or 0) for thing in some], [thing.label or "" for thing in some]
    if kind == "find":
        return f"Which objects are these: {', '.join(labels)}?", _paired(labels, markers)
    if kind == "name":
        return f"What are {' '.join(markers)}?", _paired(markers, labels)
    if kind == "color":
        seen = [colors[group] for group in asked]
        if by_name:
            named = [f"{label}{name}" for label, name in zip(labels, markers, strict=True)]
            return f"What colors have these: {', '.join(labels)}?", _paired(named, seen)
        return f"What colors have {' '.join(markers)}?", _paired(markers, seen)
    if kind == "place":
        assert scene.positions is not None
        middles = [scene.positions[scene.groups == group].mean(axis=0) + 0.0 for group in asked]
        places = ["({:.1f}, {:.1f}, {:.1f})".format(*middle) for middle in middles]
        return f"Where are {' '.join(markers)}?", _paired(markers, places)
    if kind == "turn":
        question = (
            f"Standing at {markers[0]} and facing {markers[1]}, how far are they turned: {' '.join(markers[2:])}?"
        )
        return question, "".join(turns(some[0], some[1], some[2:], yaw))
    if kind in _CHOICES:
        anchor, *others = some
        steps = compared(others, anchor, _CHOICES[kind], about.symbolic)
        return f"Which is {kind} {markers[0]}: {' '.join(markers[1:])}?", "".join(steps).strip()
    if kind == "long":
        return f"How long is the longest side of {' '.join(markers)}?", "".join(sizes("object_size_estimation", some))
    if kind == "apart":
        steps = apart(some[:-1], some[1:], about.symbolic)
        return f"How far is each from the next: {' '.join(markers)}?", "".join(steps)
    return f"Which way is it from each to the next: {' '.join(markers)}?", "".join(ways(some[:-1], some[1:], yaw))


def _in_order(things: Sequence[Thing], by_name: bool) -> tuple[str, str]:
    """In which order some things were first seen, which is that of their markers; of a name the first one counts."""
    marked = [(thing.marker or 0, thing.label or "") for thing in things]
    if not by_name:
        asked = [index for index, _ in marked[:8]]
        return (
            f"In which order were these first seen: {' '.join(map(marker, asked))}?",
            " ".join(map(marker, sorted(asked))),
        )
    first = {label: index for index, label in sorted(marked, reverse=True)}
    labels = list(dict.fromkeys(label for _, label in marked))[:6]
    in_order = sorted(labels, key=first.__getitem__)
    return (
        f"In which order were these first seen: {', '.join(labels)}?",
        _paired(in_order, [marker(first[label]) for label in in_order]),
    )


def _places(names: Sequence[str], of: Sequence[int]) -> dict[int, int]:
    """Of each its place among those of its name."""
    count: Counter[str] = Counter()
    places = {}
    for name, one in zip(names, of, strict=True):
        places[one] = count[name]
        count[name] += 1
    return places


def _paired(first: Sequence[str], second: Sequence[str]) -> str:
    return "; ".join(f"{one} {other}" for one, other in zip(first, second, strict=True))

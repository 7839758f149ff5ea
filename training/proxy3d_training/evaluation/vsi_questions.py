"""Makes VSI-Bench questions from annotated boxes by the benchmark's rules (Yang et al. 2024, appendix B).

The geometry here is written out by hand and shares no code with the answerer, so that the two can be held against each
other. Route planning and appearance order need the path and the frames of a video; boxes alone cannot make them.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import lsq_linear

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import Snapshot

LEAST_DISTANCE = 0.2
"""Absolute distances under this many metres are not asked."""
MARGIN, MARGIN_LARGE, LARGE_ROOM = 0.15, 0.30, 40.0
"""Options of a relative distance differ by at least 0.15 m, by 0.30 m in rooms of more than 40 square metres."""
NEAREST_PAIR, FARTHEST_PAIR = 0.3, 5.0
"""Objects of a direction question are this far apart on the floor plane, metres."""
DIRECTION_MARGIN = 10.0
"""Directions this close to a boundary are not asked, degrees."""
MOST_PER_ROOM = 200
"""Combinations tried per room and task where there are very many."""

_DIRECTION = "If I am standing by the {0} and facing the {1}, is the {2} to "
_CLOSEST = "Measuring from the closest point of each object, "
_Row = dict[str, Any]
_Boxes = Mapping[str, list[OrientedBox]]


@lru_cache(maxsize=100_000)
def closest_distance(a: OrientedBox, b: OrientedBox) -> float:
    """Shortest distance between two solid boxes, metres.

    Exact, as a bounded least-squares problem: a point of a box is its centre plus its axes times coordinates within the
    half edges.
    """
    axes = np.hstack([a.rotation, -b.rotation])
    half = np.concatenate([a.size, b.size]) / 2
    # An edge of no length leaves nothing between its bounds, which the solver does not take.
    half = np.maximum(half, 1e-9)
    solution = lsq_linear(axes, b.center - a.center, bounds=(-half, half), method="bvls", tol=1e-14)
    return math.sqrt(2 * solution.cost)


def direction_degrees(standing: OrientedBox, facing: OrientedBox, target: OrientedBox) -> float:
    """Where the target is for one who stands at a centre and faces another: degrees counter-clockwise, 0..360."""
    (px, py), (fx, fy), (tx, ty) = (box.center[:2] for box in (standing, facing, target))
    angle = math.atan2(ty - py, tx - px) - math.atan2(fy - py, fx - px)
    return math.degrees(angle) % 360.0


def _near(angle: float, *boundaries: float) -> bool:
    return any(abs((angle - b + 180) % 360 - 180) < DIRECTION_MARGIN for b in boundaries)


def _by_label(scene: Snapshot) -> dict[str, list[OrientedBox]]:
    boxes: dict[str, list[OrientedBox]] = {}
    for item in scene.present:
        boxes.setdefault(item.label, []).append(item.box)
    return dict(sorted(boxes.items()))


def _row(task: str, question: str, truth: str, options: list[str] | None = None) -> _Row:
    return {"question_type": task, "question": question, "ground_truth": truth, "options": options}


def _choice(task: str, question: str, right: str, options: list[str]) -> _Row:
    letters = "ABCD"[: len(options)]
    lettered = [f"{letter}. {text}" for letter, text in zip(letters, options, strict=True)]
    return _row(task, question, letters[options.index(right)], lettered)


def _counting(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    for label, found in boxes.items():
        if len(found) >= 2:
            yield _row("object_counting", f"How many {label}(s) are in this room?", str(len(found)))


def _object_size(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    for label, found in boxes.items():
        centimetres = round(100 * float(max(found[0].size)))
        if len(found) == 1 and centimetres > 0:
            text = (
                "What is the length of the longest dimension (length, width, or height) of the "
                f"{label}, measured in centimeters?"
            )
            yield _row("object_size_estimation", text, str(centimetres))


def _room_size(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    if scene.floor.area:
        text = (
            "What is the size of this room (in square meters)? \n"
            "If multiple rooms are shown, estimate the size of the combined space."
        )
        yield _row("room_size_estimation", text, f"{scene.floor.area:.1f}")


def _absolute_distance(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    unique = [label for label, found in boxes.items() if len(found) == 1]
    for a, b in itertools.combinations(unique, 2):
        distance = closest_distance(boxes[a][0], boxes[b][0])
        if distance >= LEAST_DISTANCE:
            first, second = rng.sample([a, b], 2)
            text = f"{_CLOSEST}what is the distance between the {first} and the {second} (in meters)?"
            yield _row("object_abs_distance", text, f"{distance:.1f}")


def _relative_distance(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    margin = MARGIN_LARGE if (scene.floor.area or 0.0) > LARGE_ROOM else MARGIN
    anchors = [label for label, found in boxes.items() if len(found) == 1]
    if not anchors or len(boxes) < 5:
        return
    for _ in range(MOST_PER_ROOM):
        anchor = rng.choice(anchors)
        options = rng.sample([label for label in boxes if label != anchor], 4)
        distance = {o: min(closest_distance(b, boxes[anchor][0]) for b in boxes[o]) for o in options}
        ordered = sorted(distance.values())
        if all(far - near >= margin for near, far in itertools.pairwise(ordered)):
            text = f"{_CLOSEST}which of these objects ({', '.join(options)}) is the closest to the {anchor}?"
            yield _choice("object_rel_distance", text, min(options, key=distance.__getitem__), options)


def _directions(boxes: _Boxes, rng: random.Random) -> Iterator[tuple[tuple[str, str, str], float]]:
    unique = [label for label, found in boxes.items() if len(found) == 1]
    triples = list(itertools.permutations(unique, 3))
    for triple in rng.sample(triples, min(MOST_PER_ROOM, len(triples))):
        chosen = [boxes[label][0] for label in triple]
        gaps = [float(np.hypot(*(a.center - b.center)[:2])) for a, b in itertools.combinations(chosen, 2)]
        if min(gaps) >= NEAREST_PAIR and max(gaps) <= FARTHEST_PAIR:
            yield triple, direction_degrees(*chosen)


def _direction_easy(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    for triple, angle in _directions(boxes, rng):
        if not (_near(angle, 0, 180) or 135 <= angle <= 225):
            text = (_DIRECTION + "the left or the right of the {1}?").format(*triple)
            right = "left" if angle < 180 else "right"
            yield _choice("object_rel_direction_easy", text, right, rng.sample(["left", "right"], 2))


def _direction_medium(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    for triple, angle in _directions(boxes, rng):
        if not _near(angle, 0, 135, 225):
            text = (
                _DIRECTION + "my left, right, or back?\n"
                "An object is to my back if I would have to turn at least 135 degrees in order to face it."
            ).format(*triple)
            right = "left" if angle < 135 else "back" if angle < 225 else "right"
            yield _choice("object_rel_direction_medium", text, right, rng.sample(["left", "right", "back"], 3))


def _direction_hard(boxes: _Boxes, scene: Snapshot, rng: random.Random) -> Iterator[_Row]:
    quadrants = ["front-left", "back-left", "back-right", "front-right"]
    for triple, angle in _directions(boxes, rng):
        if not _near(angle, 0, 90, 180, 270):
            text = (
                _DIRECTION + "my front-left, front-right, back-left, or back-right?\n"
                "The directions refer to the quadrants of a Cartesian plane (if I am standing at the origin and facing "
                "along the positive y-axis)."
            ).format(*triple)
            yield _choice("object_rel_direction_hard", text, quadrants[int(angle // 90)], rng.sample(quadrants, 4))


_MAKERS: tuple[Callable[[_Boxes, Snapshot, random.Random], Iterator[_Row]], ...] = (
    _counting,
    _absolute_distance,
    _object_size,
    _room_size,
    _relative_distance,
    _direction_easy,
    _direction_medium,
    _direction_hard,
)


def generate(scenes: Mapping[str, Snapshot], count: int, seed: int = 0) -> list[_Row]:
    """``count`` questions spread evenly over the tasks and over all scenes; fewer if the scenes do not give as many.

    Args:
        scenes: annotated scenes by name; ``floor.area`` is the room size.
        seed: the same seed and scenes give the same questions.

    Returns:
        Rows as in VSI-Bench: id, scene_name, question_type, question, ground_truth, options.

    Raises:
        BadInput: ``count`` is not positive, or no scene gives a question.
    """
    if count < 1:
        raise BadInput(f"the number of questions to make must be positive, not {count}")
    pools: list[list[_Row]] = []
    for make in _MAKERS:
        pool: list[_Row] = []
        for name in sorted(scenes):
            rng = random.Random(f"{seed}/{name}/{make.__name__}")
            rows = list(make(_by_label(scenes[name]), scenes[name], rng))
            pool += [{"scene_name": name, **row} for row in rng.sample(rows, len(rows))]
        random.Random(f"{seed}/{make.__name__}").shuffle(pool)
        pools.append(pool)
    turns = itertools.zip_longest(*pools)
    rows = list(itertools.islice((row for turn in turns for row in turn if row is not None), count))
    if not rows:
        raise BadInput("the scenes give no questions: they hold too few annotated objects")
    return [{"id": i, **row} for i, row in enumerate(rows)]

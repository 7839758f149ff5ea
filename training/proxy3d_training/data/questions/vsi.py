"""The eight kinds of VSI-Bench (Yang et al. 2024), by its rules, in its words and others.

Counting, distances, sizes and directions follow the benchmark's own rules (appendix B); where it leaves a question out
as too close to call, so do we.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from proxy3d_training.data.questions.candidates import NUMBER, OPTION, Asker, Candidate, number, plural
from proxy3d_training.data.questions.geometry import bearing, crosses, off
from proxy3d_training.data.questions.rooms import FIXTURES, Item
from proxy3d_training.evaluation.vsi_questions import (
    DIRECTION_MARGIN,
    FARTHEST_PAIR,
    LARGE_ROOM,
    LEAST_DISTANCE,
    MARGIN,
    MARGIN_LARGE,
    NEAREST_PAIR,
)

FAMILY = "VSI-Bench"
OFFICIAL = 0.5
"""Share of questions in the benchmark's own wording (the first of each list)."""
SEEN_APART = 0.5
"""Categories of an order of appearance come into view at least this long one after the other, seconds."""
WAY_MARGIN = 0.15
"""A route stays this far from things that are not on it, metres."""
LOW = 0.05
"""Things that end lower, such as rugs, are walked over, metres."""

_COUNT = (
    "How many {label}(s) are in this room?",
    "How many {plural} are there?",
    "How many {plural} are in the room?",
    "What is the number of {plural} in this room?",
    "How many {plural} do you see here?",
)
_DISTANCE = (
    "Measuring from the closest point of each object, what is the distance between the {0} and the {1} (in meters)?",
    "How far apart are the {0} and the {1}, in meters?",
    "What is the distance between the {0} and the {1} in meters?",
    "How far is the {0} from the {1}, in meters?",
    "How many meters is the {0} away from the {1}?",
)
_SIZE = (
    "What is the length of the longest dimension (length, width, or height) of the {0}, measured in centimeters?",
    "What is the longest dimension of the {0} in centimeters?",
    "How many centimeters does the longest side of the {0} measure?",
)
_AREA = (
    "What is the size of this room (in square meters)? \n"
    "If multiple rooms are shown, estimate the size of the combined space.",
    "How large is this room, in square meters?",
    "What is the floor area in square meters?",
    "How many square meters does this room have?",
)
_CLOSEST = (
    "Measuring from the closest point of each object, which of these objects ({0}) is the closest to the {1}?",
    "Which of these objects ({0}) is nearest to the {1}?",
    "Which of the following is closest to the {1}: {0}?",
)
_STANDING = "If I am standing by the {0} and facing the {1}, is the {2} to "
_DIRECTIONS = {
    "easy": "the left or the right of the {1}?",
    "medium": "my left, right, or back?\n"
    "An object is to my back if I would have to turn at least 135 degrees in order to face it.",
    "hard": "my front-left, front-right, back-left, or back-right?\n"
    "The directions refer to the quadrants of a Cartesian plane (if I am standing at the origin and facing along the "
    "positive y-axis).",
}
_ROUTE = (
    "You are a robot beginning at the {start} and facing the {first}. You want to navigate to the {goal}. You will "
    "perform the following actions (Note: for each [please fill in], choose either 'turn back,' 'turn left,' or "
    "'turn right.'): {steps}. You have reached the final destination."
)
_ORDER = (
    "What will be the first-time appearance order of the following categories in the video: {0}?",
    "In which order do these appear for the first time in the video: {0}?",
)


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    yield from _counting(asker)
    yield from _absolute_distance(asker)
    yield from _object_size(asker)
    yield from _room_size(asker)
    yield from _relative_distance(asker)
    yield from _relative_direction(asker)
    yield from _routes(asker)
    yield from _appearance(asker)


def _counting(asker: Asker) -> Iterator[Candidate]:
    found = [(label, items) for label, items in asker.room.by_label.items() if len(items) >= 2]
    for label, items in asker.some(found):
        text, template = asker.worded(_COUNT, first=OFFICIAL)
        yield Candidate(
            FAMILY,
            "object_counting",
            text.format(label=label, plural=plural(label)),
            number(len(items), "count", 0),
            tuple(items),
            label,
            template,
            str(len(items)),
            NUMBER,
        )


def _pairs(asker: Asker, items: list[Item]) -> list[tuple[Item, Item]]:
    pairs = list(itertools.combinations(items, 2))
    return [(b, a) if asker.rng.random() < 0.5 else (a, b) for a, b in asker.some(pairs, 4 * asker.wanted)]


def _absolute_distance(asker: Asker) -> Iterator[Candidate]:
    room, made = asker.room, 0
    for a, b in _pairs(asker, list(room.single.values())):
        distance = room.gap(a, b)
        if distance < LEAST_DISTANCE or made >= asker.wanted:
            continue
        made += 1
        text, template = asker.worded(_DISTANCE, first=OFFICIAL)
        yield Candidate(
            FAMILY,
            "object_abs_distance",
            text.format(a.label, b.label),
            number(distance, "m", 1),
            (a, b),
            "",
            template,
            f"{distance:.1f}",
            NUMBER,
        )


def _object_size(asker: Asker) -> Iterator[Candidate]:
    # Most kinds of things have one size, so that most of these are left out again; all are tried.
    for item in asker.room.single.values():
        centimetres = 100 * float(max(item.size))
        text, template = asker.worded(_SIZE, first=OFFICIAL)
        yield Candidate(
            FAMILY,
            "object_size_estimation",
            text.format(item.label),
            number(centimetres, "cm", 0),
            (item,),
            item.label,
            template,
            f"{centimetres:.0f}",
            NUMBER,
        )


def _room_size(asker: Asker) -> Iterator[Candidate]:
    if asker.room.area:
        text, template = asker.worded(_AREA, first=OFFICIAL)
        area = asker.room.area
        yield Candidate(
            FAMILY, "room_size_estimation", text, number(area, "m^2", 1), (), "", template, f"{area:.1f}", NUMBER
        )


def _relative_distance(asker: Asker) -> Iterator[Candidate]:
    room, rng = asker.room, asker.rng
    margin = MARGIN_LARGE if room.area > LARGE_ROOM else MARGIN
    if not room.single or len(room.by_label) < 5:
        return
    for _ in range(asker.wanted):
        anchor = rng.choice(list(room.single.values()))
        labels = rng.sample([label for label in room.by_label if label != anchor.label], 4)
        nearest = {o: min(room.by_label[o], key=lambda item: room.gap(item, anchor)) for o in labels}
        gaps = {o: room.gap(item, anchor) for o, item in nearest.items()}
        if min(b - a for a, b in itertools.pairwise(sorted(gaps.values()))) < margin:
            continue
        right = min(gaps, key=gaps.__getitem__)
        options, answer = asker.choice(right, [label for label in labels if label != right])
        listed = ", ".join(option[3:] for option in options)
        text, template = asker.worded(_CLOSEST, first=OFFICIAL)
        yield Candidate(
            FAMILY,
            "object_rel_distance",
            text.format(listed, anchor.label),
            answer,
            (nearest[right], *(item for label in labels for item in room.by_label[label]), anchor),
            "",
            template,
            right,
            OPTION,
            options,
        )


def _side(kind: str, angle: float) -> str | None:
    """The answer of a direction question, or None where it is too close to call."""
    if kind == "easy":
        return None if off(angle, 0, 180) < DIRECTION_MARGIN or 135 <= angle <= 225 else _left(angle)
    if kind == "medium":
        if off(angle, 0, 135, 225) < DIRECTION_MARGIN:
            return None
        return "back" if 135 < angle < 225 else _left(angle)
    if off(angle, 0, 90, 180, 270) < DIRECTION_MARGIN:
        return None
    return f"{'front' if angle < 90 or angle > 270 else 'back'}-{_left(angle)}"


def _left(angle: float) -> str:
    return "left" if angle < 180 else "right"


_SIDES = {
    "easy": ("left", "right"),
    "medium": ("left", "right", "back"),
    "hard": ("front-left", "front-right", "back-left", "back-right"),
}


def _relative_direction(asker: Asker) -> Iterator[Candidate]:
    items = [item for item in asker.room.single.values() if item.label not in FIXTURES or item.label == "door"]
    triples = list(itertools.permutations(items, 3))
    for kind, sides in _SIDES.items():
        made = 0
        for a, b, c in asker.some(triples, 6 * asker.wanted):
            gaps = [float(np.linalg.norm(p.spot - q.spot)) for p, q in itertools.combinations((a, b, c), 2)]
            side = _side(kind, bearing(a.spot, b.spot - a.spot, c.spot))
            if side is None or min(gaps) < NEAREST_PAIR or max(gaps) > FARTHEST_PAIR or made >= asker.wanted:
                continue
            made += 1
            options, answer = asker.choice(side, [s for s in sides if s != side])
            text = (_STANDING + _DIRECTIONS[kind]).format(a.label, b.label, c.label)
            name = f"object_rel_direction_{kind}"
            yield Candidate(FAMILY, name, text, answer, (c, a, b), "", "0", side, OPTION, options)


def _turn(before: np.ndarray, after: np.ndarray) -> str | None:
    angle = bearing(np.zeros(2), before, after)
    if off(angle, 90, 270) <= 45 - DIRECTION_MARGIN:
        return f"Turn {'Left' if angle < 180 else 'Right'}"
    return "Turn Back" if off(angle, 180) <= 45 - DIRECTION_MARGIN else None


def _routes(asker: Asker) -> Iterator[Candidate]:
    """Ways over straight, free pieces between things; turns that are neither left, right nor back are left out."""
    room = asker.room
    stops = [item for item in room.single.values() if item.bottom < 0.5 and item.label not in FIXTURES]
    high = np.array([item.top > LOW and item.bottom < 1.0 for item in room.items])
    high &= np.array([item.label not in FIXTURES for item in room.items])
    free: dict[tuple[int, int], bool] = {}

    def passable(a: Item, b: Item) -> bool:
        key = (min(a.id, b.id), max(a.id, b.id))
        if key not in free:
            met = crosses(a.spot, b.spot, room.corners, WAY_MARGIN) & high
            # What stands on or under an end of the way does not bar it.
            ends = (room.flat_gaps[room.row(a)] == 0) | (room.flat_gaps[room.row(b)] == 0)
            same = a.room == b.room
            free[key] = bool(same and not (met & ~ends).any() and np.linalg.norm(a.spot - b.spot) >= 0.8)
        return free[key]

    made = 0
    counts: Counter[str] = Counter()
    for _ in range(30 * asker.wanted):
        length = 2 + asker.rng.choice((1, 2))
        if made >= asker.wanted or len(stops) < 3:
            return
        way = asker.rng.sample(stops, min(length, len(stops)))
        legs = [b.spot - a.spot for a, b in itertools.pairwise(way)]
        turns = [_turn(p, q) for p, q in itertools.pairwise(legs)]
        if None in turns or not all(passable(a, b) for a, b in itertools.pairwise(way)):
            continue
        right = ", ".join(turn or "" for turn in turns)
        every = [", ".join(t) for t in itertools.product(("Turn Left", "Turn Right", "Turn Back"), repeat=len(turns))]
        # Turning back is rare; were it a common option, it could be ruled out without looking.
        if counts[right] > 1 + min(counts[turns_of] for turns_of in every):
            continue
        counts[right] += 1
        made += 1
        steps = [f"Go forward until the {way[1].label}"]
        for stop in way[2:]:
            steps += ["[please fill in]", f"Go forward until the {stop.label}"]
        listed = ". ".join(f"{i}. {step}" for i, step in enumerate(steps, 1)).replace("]. ", "] ")
        wrong = asker.some([t for t in every if t != right], 3 if len(turns) > 1 else 2)
        options, answer = asker.choice(right, wrong)
        text = _ROUTE.format(start=way[0].label, first=way[1].label, goal=way[-1].label, steps=listed)
        yield Candidate(
            FAMILY,
            "route_planning",
            text,
            answer,
            (way[-1], *way[:-1]),
            f"{len(turns)} turns",
            str(len(turns)),
            right,
            OPTION,
            options,
        )


def _appearance(asker: Asker) -> Iterator[Candidate]:
    first: dict[str, tuple[float, Item]] = {}
    for label, items in asker.room.by_label.items():
        seen = [(item.first_seen, item.id, item) for item in items if item.first_seen is not None]
        if len(seen) == len(items):
            time, _, item = min(seen)
            first[label] = (time, item)
    if len(first) < 4:
        return
    for _ in range(asker.wanted):
        labels = sorted(asker.rng.sample(sorted(first), 4), key=lambda label: first[label][0])
        times = [first[label][0] for label in labels]
        if min(b - a for a, b in itertools.pairwise(times)) < SEEN_APART:
            continue
        orders = [", ".join(order) for order in itertools.permutations(labels)]
        right = orders[0]
        options, answer = asker.choice(right, asker.rng.sample(orders[1:], 3))
        text, template = asker.worded(_ORDER, first=OFFICIAL)
        listed = ", ".join(asker.rng.sample(labels, 4))
        yield Candidate(
            FAMILY,
            "obj_appearance_order",
            text.format(listed),
            answer,
            tuple(first[label][1] for label in labels),
            "",
            template,
            right,
            OPTION,
            options,
        )

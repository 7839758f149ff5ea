"""Questions of one who stands somewhere and looks somewhere, as SQA3D has them (Ma et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_training.data.questions.candidates import SHORT, Asker, Candidate, a, count_words, plural, words
from proxy3d_training.data.questions.geometry import bearing, contains, off
from proxy3d_training.data.questions.rooms import FIXTURES, Item
from proxy3d_training.data.schema import Situation

Array = NDArray[np.float64]

FAMILY = "SQA3D"
MARGIN = 15.0
"""Directions this close to a boundary between sides are not asked, degrees."""
PLAINLY, ELSEWHERE = 35.0, 105.0
"""A thing is on a side up to the first angle from its middle, and is not beyond the second, degrees."""
CLEAR = 0.6
"""Things nearer than this on the floor plane have no plain side, metres."""
NEARER = 0.3
"""The nearer of two things is nearer by at least this, metres."""
STEP = (0.3, 0.6)
"""One who stands by a thing is this far from its outline, metres."""
POSES = 4
"""Situations tried for each question that is wanted."""

_STANDING: tuple[str, ...] = (
    "I am standing by the {0}, facing the {1}.",
    "I am standing next to the {0} and looking at the {1}.",
    "I stand beside the {0} and face the {1}.",
    "I am by the {0} and the {1} is straight ahead of me.",
)
_SEATED: tuple[str, ...] = (
    "I am sitting on the {0}, facing the {1}.",
    "I sit on the {0} and look toward the {1}.",
)
_SEATS = frozenset({"chair", "armchair", "sofa", "bed", "stool", "bench", "office chair", "dining chair", "toilet"})

SIDES = {"left": 90.0, "right": 270.0, "front": 0.0, "behind": 180.0}
PHRASES = {"left": "on my left", "right": "on my right", "front": "in front of me", "behind": "behind me"}
"""How a side is asked for."""
_GO = {"left": "left", "right": "right", "front": "forward", "behind": "backward"}

_LEFT_RIGHT = (
    "Is the {0} on my left or on my right?",
    "Is the {0} to my left or right?",
    "On which side of me is the {0}, left or right?",
)
_WAY = (
    "Which direction should I go if I want to reach the {0}: left, right, forward or backward?",
    "If I want to get to the {0}, should I go left, right, forward or backward?",
)
_WHERE = ("Is the {0} on my left, on my right, in front of me or behind me?",)
_IS = ("Is there {0} {1}?", "Can I see {0} {1}?")
_MANY = ("How many {0} are {1}?", "How many {0} are there {1}?")
_PARITY = ("Is the number of {0} {1} odd or even?", "Is the amount of {0} {1} odd or even?")
_CLOSER = ("What is closer to me, the {0} or the {1}?", "Which is nearer to me, the {0} or the {1}?")
_WHICH = ("Which one is {2}, the {0} or the {1}?", "What is {2}, the {0} or the {1}?")


@dataclass(frozen=True, eq=False)
class _Stand:
    """A situation: its objects, the position (2,) and facing (2,) on the floor plane."""

    at: Item
    toward: Item
    position: Array
    facing: Array
    situation: Situation

    def angle(self, item: Item) -> float:
        return bearing(self.position, self.facing, item.spot)


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    made: dict[str, int] = {}
    for _ in range(POSES * asker.wanted):
        stand = _stand(asker)
        if stand is None:
            continue
        for candidate in _questions(asker, stand):
            if made.get(candidate.kind, 0) < asker.wanted:
                made[candidate.kind] = made.get(candidate.kind, 0) + 1
                yield candidate


def _stand(asker: Asker) -> _Stand | None:
    room, rng = asker.room, asker.rng
    places = [item for item in room.single.values() if item.bottom < 0.3 and item.label not in FIXTURES]
    if len(places) < 1 or len(room.single) < 3:
        return None
    at = rng.choice(places)
    toward = rng.choice([item for item in room.single.values() if item.id != at.id])
    if at.room != toward.room or room.flat_gap(at, toward) < CLEAR:
        return None
    if at.label in _SEATS:
        position, texts = at.spot, _SEATED
    else:
        found = _beside(asker, at)
        if found is None:
            return None
        position, texts = found, _STANDING
    text, _ = asker.worded(texts)
    way = toward.spot - position
    facing = way / np.linalg.norm(way)
    # Sideways the two ends of what one faces would lie apart; it must be plain where "straight ahead" is.
    reach = [math.radians(off(bearing(position, facing, corner), 0)) for corner in room.corners[room.row(toward)]]
    if max(reach) > math.radians(45):
        return None
    where = (round(float(position[0]), 4), round(float(position[1]), 4), 0.0)
    looks = (round(float(facing[0]), 6), round(float(facing[1]), 6), 0.0)
    situation = Situation(text=text.format(at.label, toward.label), position=where, facing=looks)
    return _Stand(at, toward, np.array(where[:2]), np.array(looks[:2]), situation)


def _beside(asker: Asker, item: Item) -> Array | None:
    """A free place on the floor beside a thing, in the same room."""
    room = asker.room
    outline = room.polygons.get(item.room)
    low = [other.bottom < 1.0 and other.top > 0.1 for other in room.items]
    for _ in range(8):
        turn = asker.rng.uniform(0, 2 * math.pi)
        ray = np.array([math.cos(turn), math.sin(turn)])
        cos, sin = math.cos(item.yaw), math.sin(item.yaw)
        local = np.array([cos * ray[0] + sin * ray[1], -sin * ray[0] + cos * ray[1]])
        edge = float(np.min(item.size[:2] / 2 / np.maximum(np.abs(local), 1e-9)))
        place = item.spot + ray * (edge + asker.rng.uniform(*STEP))
        if outline is not None and cv2.pointPolygonTest(outline.astype(np.float32), place.tolist(), False) < 0:
            continue
        if not (contains(room.corners, place[None])[:, 0] & np.array(low)).any():
            return np.asarray(place)
    return None


def _around(asker: Asker, stand: _Stand) -> list[Item]:
    """Things with a plain direction: of the same room, not the ones the situation names, not too near."""
    room = asker.room
    edges = np.linalg.norm(room.corners - stand.position, axis=2).min(axis=1)
    return [
        item
        for item in room.items
        if item.id not in (stand.at.id, stand.toward.id)
        and item.label not in room.unclear
        and edges[room.row(item)] >= CLEAR
        and not contains(room.corners[[room.row(item)]], stand.position[None])[0, 0]
    ]


def _side_of(asker: Asker, stand: _Stand, item: Item, sides: Sequence[str]) -> str | None:
    """The side that the middle and all corners of a thing agree on, with a margin to the next side."""
    angles = [stand.angle(item)]
    found = min(sides, key=lambda side: off(angles[0], SIDES[side]))
    if len(sides) == 2:
        clear = off(angles[0], 0, 180) >= MARGIN
        corners = [bearing(stand.position, stand.facing, c) for c in asker.room.corners[asker.room.row(item)]]
        return found if clear and all(min(sides, key=lambda s: off(c, SIDES[s])) == found for c in corners) else None
    return found if off(angles[0], 45, 135, 225, 315) >= MARGIN else None


def _nearest(asker: Asker, stand: _Stand, item: Item) -> float:
    """Distance from where one stands to the outline of a thing."""
    corners = asker.room.corners[asker.room.row(item)]
    ends = np.roll(corners, -1, axis=0)
    along = ends - corners
    share = np.clip(((stand.position - corners) * along).sum(1) / np.maximum((along * along).sum(1), 1e-12), 0, 1)
    return float(np.linalg.norm(corners + share[:, None] * along - stand.position, axis=1).min())


def _questions(asker: Asker, stand: _Stand) -> Iterator[Candidate]:
    room, rng = asker.room, asker.rng
    around = _around(asker, stand)
    singles = [item for item in around if item.label in room.single and item.room == stand.at.room]

    def made(
        kind: str, templates: Sequence[str], named: Sequence[Item], answer: str, about: str, *fill: str
    ) -> Candidate:
        text, template = asker.worded(templates)
        given = count_words(int(answer)) if answer.isdigit() else words(answer)
        return Candidate(
            FAMILY,
            kind,
            text.format(*fill),
            given,
            (*named, stand.at, stand.toward),
            about,
            template,
            answer,
            SHORT,
            situation=stand.situation,
        )

    if singles:
        item = rng.choice(singles)
        if side := _side_of(asker, stand, item, ("left", "right")):
            yield made("situated_left_right", _LEFT_RIGHT, [item], side, "", item.label)
        item = rng.choice(singles)
        if side := _side_of(asker, stand, item, tuple(SIDES)):
            yield made("situated_side", _WHERE, [item], side, "", item.label)
        item = rng.choice(singles)
        if side := _side_of(asker, stand, item, tuple(SIDES)):
            yield made("situated_way", _WAY, [item], _GO[side], "", item.label)
    if len(singles) >= 2:
        first, second = rng.sample(singles, 2)
        gaps = _nearest(asker, stand, first), _nearest(asker, stand, second)
        if abs(gaps[0] - gaps[1]) >= NEARER:
            nearer = first if gaps[0] < gaps[1] else second
            pair = " ".join(sorted((first.label, second.label)))
            named = [nearer, first, second]
            yield made("situated_closer", _CLOSER, named, nearer.label, pair, first.label, second.label)
        sides = [_side_of(asker, stand, item, ("left", "right")) for item in (first, second)]
        if None not in sides and sides[0] != sides[1]:
            which = rng.choice(("left", "right"))
            right = (first, second)[sides.index(which)]
            pair = " ".join(sorted((first.label, second.label)))
            named, phrase = [right, first, second], PHRASES[which]
            yield made("situated_which", _WHICH, named, right.label, pair, first.label, second.label, phrase)
    yield from _by_label(asker, stand, around, made)


def _by_label(asker: Asker, stand: _Stand, around: list[Item], made: Callable[..., Candidate]) -> Iterator[Candidate]:
    """Existence, number and parity of a kind of thing on one side; left out where one of them is neither here nor
    there.
    """
    rng = asker.rng
    known = {item.id for item in around}
    labels = {
        label: items
        for label, items in asker.room.by_label.items()
        if all(item.id in known and item.room == stand.at.room for item in items)
    }
    plain = [
        (label, side, there)
        for label in labels
        for side in SIDES
        if (there := _on(stand, labels[label], side)) is not None
    ]
    if not plain:
        return
    answered = [[entry for entry in plain if bool(entry[2]) is yes] for yes in (True, False)]
    label, side, there = rng.choice(
        answered[0] if answered[0] and (rng.random() < 0.5 or not answered[1]) else answered[1]
    )
    yield made("situated_is", _IS, [*there, *labels[label]], "yes" if there else "no", label, a(label), PHRASES[side])
    several = [entry for entry in plain if len(labels[entry[0]]) >= 2 and entry[2]]
    if several:
        label, side, there = rng.choice(several)
        named, parity = [*there, *labels[label]], "odd" if len(there) % 2 else "even"
        yield made("situated_count", _MANY, named, str(len(there)), label, plural(label), PHRASES[side])
        yield made("situated_parity", _PARITY, named, parity, label, plural(label), PHRASES[side])


def _on(stand: _Stand, items: Sequence[Item], side: str) -> list[Item] | None:
    """Those on a side, or None where it depends on whom one asks: whether it is a quarter or a half of the room."""
    turns = [off(stand.angle(item), SIDES[side]) for item in items]
    if any(PLAINLY < turn < ELSEWHERE for turn in turns):
        return None
    return [item for item, turn in zip(items, turns, strict=True) if turn <= PLAINLY]

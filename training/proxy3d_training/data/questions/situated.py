"""Questions of one who stands somewhere and looks somewhere, as SQA3D has them (Ma et al. 2023).

The words say at what one stands, not on which side of it. So what is asked has the same answer from where one is and
from the middle of that thing: else who knows only the words could not tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_training.data.questions.candidates import SHORT, Asker, Candidate, a, count_words, plural, words
from proxy3d_training.data.questions.geometry import bearing, contains, off
from proxy3d_training.data.questions.rooms import FIXTURES, Item, Room
from proxy3d_training.data.schema import Situation

Array = NDArray[np.float64]

FAMILY = "SQA3D"
MARGIN = 15.0
"""Directions this close to a boundary between sides are not asked, degrees."""
PLAINLY, ELSEWHERE = 35.0, 105.0
"""A thing is on a side up to the first angle from its middle, and is not beyond the second, degrees."""
BESIDE = (PLAINLY + ELSEWHERE) / 2
"""What tells the one from the other, degrees: between the two is nothing that is asked about."""
CLEAR = 0.6
"""Things nearer than this on the floor plane have no plain side, metres."""
NEARER = 0.3
"""The nearer of two things is nearer by at least this, metres."""
STEP = (0.3, 0.6)
"""One who stands by a thing is this far from its outline, metres."""
POSES = 8
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
GO = {"left": "left", "right": "right", "front": "forward", "behind": "backward"}
"""Which way that is."""

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
    """A situation: its objects, and where one is and where its words say, (2, 2) on the floor plane."""

    room: Room
    at: Item
    toward: Item
    places: Array
    situation: Situation

    @cached_property
    def angles(self) -> Array:
        """(2, N) where the middles of all things are from each of the places, facing what is faced; degrees."""
        return self._bearings(np.array([item.spot for item in self.room.items]))

    @cached_property
    def corners(self) -> Array:
        """(N, 4) where their corners are from where one is."""
        return np.asarray(self._bearings(self.room.corners)[0])

    def _bearings(self, targets: Array) -> Array:
        places = self.places.reshape(2, *(1,) * (targets.ndim - 1), 2)
        ahead, to = self.toward.spot - places, targets - places
        turns = np.arctan2(to[..., 1], to[..., 0]) - np.arctan2(ahead[..., 1], ahead[..., 0])
        return np.asarray(np.degrees(turns) % 360)


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
    return _Stand(room, at, toward, np.array([where[:2], at.spot]), situation)


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
    position = stand.places[0]
    near = np.linalg.norm(room.corners - position, axis=2).min(axis=1) < CLEAR
    near |= contains(room.corners, position[None])[:, 0]
    return [
        item
        for item, too_near in zip(room.items, near.tolist(), strict=True)
        if not too_near and item.id not in (stand.at.id, stand.toward.id) and item.label not in room.unclear
    ]


def _aside(asker: Asker, stand: _Stand, items: Sequence[Item], sides: Sequence[str]) -> tuple[Item, str] | None:
    """One of the sides on which something plainly is, and something there."""
    there: dict[str, list[Item]] = {}
    for item in items:
        if side := _side_of(stand, item, sides):
            there.setdefault(side, []).append(item)
    if not there:
        return None
    side = asker.rng.choice(sorted(there))
    return asker.rng.choice(there[side]), side


def _side_of(stand: _Stand, item: Item, sides: Sequence[str]) -> str | None:
    """The side that both places agree on, with a margin to the next; of two, its corners agree where one is, too."""
    row = stand.room.row(item)
    angles: list[float] = stand.angles[:, row].tolist()
    boundaries = (0, 180) if len(sides) == 2 else (45, 135, 225, 315)
    if min(off(angle, *boundaries) for angle in angles) < MARGIN:
        return None
    if len(sides) == 2:
        angles += stand.corners[row].tolist()
    found = {min(sides, key=lambda side: off(angle, SIDES[side])) for angle in angles}
    return found.pop() if len(found) == 1 else None


def _nearer(stand: _Stand, first: Item, second: Item) -> Item | None:
    """Which of two things is plainly nearer where one is, and nearer to the middle and box of what one stands at."""
    room = stand.room
    to_first, to_second = (_to_outline(room.corners[room.row(item)], stand.places) for item in (first, second))
    gaps = to_first - to_second
    ahead = np.append(gaps, room.gap(stand.at, first) - room.gap(stand.at, second)) < 0
    if abs(gaps[0]) < NEARER or ahead.any() != ahead.all():
        return None
    return first if ahead[0] else second


def _to_outline(corners: Array, places: Array) -> Array:
    """(P,) distances of places (P, 2) from an outline (4, 2)."""
    along = np.roll(corners, -1, axis=0) - corners
    to = places[:, None] - corners
    share = np.clip((to * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-12), 0, 1)
    return np.asarray(np.linalg.norm(to - share[..., None] * along, axis=-1).min(axis=-1))


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

    if found := _aside(asker, stand, singles, ("left", "right")):
        item, side = found
        yield made("situated_left_right", _LEFT_RIGHT, [item], side, "", item.label)
    if found := _aside(asker, stand, singles, tuple(SIDES)):
        item, side = found
        yield made("situated_side", _WHERE, [item], side, "", item.label)
    if found := _aside(asker, stand, singles, tuple(SIDES)):
        item, side = found
        yield made("situated_way", _WAY, [item], GO[side], "", item.label)
    if len(singles) >= 2:
        first, second = rng.sample(singles, 2)
        if nearer := _nearer(stand, first, second):
            pair = " ".join(sorted((first.label, second.label)))
            named = [nearer, first, second]
            yield made("situated_closer", _CLOSER, named, nearer.label, pair, first.label, second.label)
        sides = [_side_of(stand, item, ("left", "right")) for item in (first, second)]
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
    """Those on a side; None where that depends on whether a side is a quarter or half of the room, or on the place."""
    turns = abs((stand.angles[:, [stand.room.row(item) for item in items]] - SIDES[side] + 180) % 360 - 180)
    there = turns <= BESIDE
    between = (turns[0] > PLAINLY) & (turns[0] < ELSEWHERE)
    if between.any() or (abs(turns - BESIDE) < MARGIN).any() or (there != there[0]).any():
        return None
    return [item for item, here in zip(items, there[0].tolist(), strict=True) if here]

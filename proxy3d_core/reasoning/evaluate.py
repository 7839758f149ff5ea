"""Descriptions of objects evaluated on a scene: which things are meant, what they measure, which conditions hold for
them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning.answer import Question, Status, Viewpoint
from proxy3d_core.reasoning.choices import Option
from proxy3d_core.reasoning.colors import color_name
from proxy3d_core.reasoning.index import SceneIndex, Thing
from proxy3d_core.reasoning.lexicon import (
    KINDS,
    NAMES_OF_LABELS,
    NOUNS,
    ROOM_WORDS,
    UNNAMED,
    concept,
    label_concepts,
    plural,
)
from proxy3d_core.reasoning.parts import strip
from proxy3d_core.reasoning.program import (
    All,
    Changed,
    Colored,
    Condition,
    Exceeds,
    Filter,
    Kind,
    Me,
    Measure,
    Not,
    Objects,
    Pick,
    Place,
    Program,
    Region,
    Relation,
    Side,
    Stance,
    The,
    Union,
    Within,
)
from proxy3d_core.reasoning.resolve import Match, match_labels, near_misses
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, ObjectState

Array = NDArray[np.float64]

BOX_SIGMA = 0.03
"""Standard deviation of the position of a box face, metres, for an object seen often."""


_SEAT = 0.4
"""One who sits at something is so far from its edge [m]."""
_MOST_PAIRS = 60
"""Of all chairs and all tables only the nearest pairs can have something between them."""
_SAME = 0.95
"""A name that matches a label less surely is that of another class."""


class Unanswerable(Exception):
    """No answer, with the status and the reason."""

    def __init__(self, status: Status, message: str, things: Sequence[Thing] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.things = status, message, tuple(things)


@dataclass(frozen=True)
class View:
    """Where the asker stands (3,) and the direction on the floor plane in which he looks (2,), or None if not known."""

    position: Array
    facing: Array | None


@dataclass
class Evaluator:
    """Finds what a program speaks of in one scene.

    ``certainty`` collects how sure the answer is: the names, the margins to the boundaries, the objects' own scores.
    """

    index: SceneIndex
    question: Question
    program: Program
    options: tuple[Option, ...] = ()
    certainty: float = 1.0
    notes: list[str] = field(default_factory=list)
    naming: bool = False  # things of any class are to be named, see ``_HALF_SECTOR``
    _doubted: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------ how sure

    def doubt(self, factor: float) -> None:
        """Lower the certainty."""
        self.certainty *= factor

    def margin(self, margin: float, sigma: float) -> None:
        """A decision that lies ``margin`` from its boundary, with that standard deviation."""
        self.doubt(0.5 * (1 + math.erf(abs(margin) / (sigma * math.sqrt(2)))) if sigma > 0 else 1.0)

    def sigma(self, *things: Thing) -> float:
        """Standard deviation of a distance between faces of these boxes, metres."""
        return BOX_SIGMA * math.sqrt(
            sum(1 + 2 / max(t.object.observations, 1) if t.object and t.object.votes else 1.0 for t in things)
        )

    def note(self, text: str) -> None:
        """Something to know about the answer."""
        if text not in self.notes:
            self.notes.append(text)

    # ------------------------------------------------------------------ where the asker is

    @cached_property
    def view(self) -> View | None:
        """The question's own words first, then the given pose, then the situation described before, then the robot."""
        given = self.question.viewpoint
        stances = [self.program.stance] + ([self.program.situation] if given is None else [])
        pose: Viewpoint | None = given or self.question.robot
        if pose is None and self.index.snapshot.robot_pose is not None:
            pose = Viewpoint.from_pose(self.index.snapshot.robot_pose)
        view = (
            None
            if pose is None
            else View(np.asarray(pose.position, float), unit_vector(np.asarray(pose.facing, float)[:2]))
        )
        for stance in reversed([s for s in stances if s is not None]):
            view = self._stand(stance, view)
        return view

    def _stand(self, stance: Stance, view: View | None) -> View | None:
        position = None if view is None else view.position
        facing = None if view is None else view.facing
        near = None if position is None else self.index.asker(position)
        self.__dict__["view"] = view  # what is nearest here, is so from the place known up to now
        if stance.at is not None:
            at = self.one(stance.at, near=near)
            position, facing, near = at.center, None, at
        elif stance.between:
            ends = [self.one(x, near=near) for x in stance.between]
            position, facing = np.mean([t.center for t in ends], axis=0), None
            near = self.index.asker(position)
        elif position is None and stance.back_to is not None and stance.facing is None:
            at = self.one(stance.back_to)
            position, near = at.center, at
            away = unit_vector((self.index.bounds[0].center - position)[:2])
            self.note(f"taken to stand at the {at.label}, looking into the room")
            self.doubt(0.6)
            return View(position, away)
        if position is not None:
            self.__dict__["view"] = View(position, facing)
        if position is not None and (stance.facing is not None or stance.back_to is not None):
            target = self._target(stance.facing or stance.back_to or Me(), near)
            away = unit_vector((target - position)[:2])
            if away is None and near is not None and stance.at is not None:
                position, away = self._before(near)
                self.note(f"taken to be on the side of the {near.label} towards the middle of the room")
                self.doubt(0.6)
            facing = None if away is None else (away if stance.facing is not None else -away)
        elif stance.facing is not None and position is None:
            raise Unanswerable(
                Status.AMBIGUOUS,
                f"facing {stance.facing} is known, but not where you stand; add a viewpoint or say where",
            )
        if facing is not None and stance.turn:
            turn = math.radians(stance.turn)
            facing = np.array(
                [
                    math.cos(turn) * facing[0] - math.sin(turn) * facing[1],
                    math.sin(turn) * facing[0] + math.cos(turn) * facing[1],
                ]
            )
        return None if position is None else View(position, facing)

    def _before(self, thing: Thing) -> tuple[Array, Array | None]:
        """Where one is who sits at a desk and faces it: before the side towards the middle of the room (3,), and the
        direction from there to it (2,).
        """
        inward = self.index.bounds[0].center - thing.center
        axes = thing.box.rotation[:2, :] * np.sign(inward[:2] @ thing.box.rotation[:2, :])  # outward, on the floor
        flat = [k for k in range(3) if abs(thing.box.rotation[2, k]) < 0.5]
        broad = min(flat, key=lambda k: float(thing.box.size[k]))  # across the longer edge
        step = np.array([*axes[:, broad], 0.0])
        return thing.center + step * (thing.box.size[broad] / 2 + _SEAT), unit_vector(-step[:2])

    def _target(self, objects: Objects, near: Thing | None) -> Array:
        """(3,) the point that is faced: an object's centre; of "the room" its middle."""
        base = strip(objects)
        if isinstance(base, Kind) and base.name in ROOM_WORDS and not self.match(base.name).labels:
            self.doubt(0.6)
            return self.index.bounds[0].center
        if isinstance(objects, All):
            return np.asarray(np.mean([t.center for t in self.all(objects)] or [self.one(objects).center], axis=0))
        return self.one(objects, near=near).center

    def standing(self) -> View:
        """The viewpoint; raises if there is none."""
        if self.view is None:
            raise Unanswerable(
                Status.AMBIGUOUS,
                "the question depends on where you stand; give a viewpoint, or say: standing by the X and facing the Y",
            )
        return self.view

    def looking(self) -> tuple[Array, Array]:
        """Position and facing; raises if either is not known."""
        view = self.standing()
        if view.facing is None:
            raise Unanswerable(
                Status.AMBIGUOUS,
                "the question depends on which way you look; say it: standing by the X and facing the Y",
            )
        return view.position, view.facing

    # ------------------------------------------------------------------ objects

    def match(self, name: str) -> Match:
        """Labels of the scene for a name; none for a class that the map would have named so, had it seen one."""
        match = match_labels(name, self.index.labels)
        own = match_labels(name, self.index.snapshot.vocabulary) if match.certainty < _SAME else match
        return Match(frozenset(), 1.0) if own.labels and own.certainty == 1.0 and match.certainty < _SAME else match

    def could_see(self, name: str) -> bool:
        """True if the map would have named such a thing: it is in its vocabulary, or the vocabulary is open and the
        word is known.
        """
        vocabulary = self.index.snapshot.vocabulary
        if vocabulary:
            match = match_labels(name, vocabulary)
            return bool(match.labels) and match.certainty >= 0.85
        return name in NOUNS or name in KINDS

    def absent(self, name: str) -> Unanswerable:
        """NOT_FOUND with what the scene has instead."""
        known = sorted(self.index.labels)
        close = near_misses(name, known)
        hint = (
            f"did you mean {' or '.join(close)}?"
            if close
            else f"it has {', '.join(known[:15])}{', ...' if len(known) > 15 else ''}"
            if known
            else "it has no named objects"
        )
        return Unanswerable(Status.NOT_FOUND, f"the scene has no '{name}'; {hint}")

    def all(self, objects: Objects, gone: bool = False) -> list[Thing]:
        """The things that a description fits; gone ones too if asked. Raises NOT_FOUND if the scene has nothing of the
        name at all.
        """
        if isinstance(objects, Kind):
            return self._of_kind(objects, gone)
        if isinstance(objects, Me):
            return [self.index.asker(self.standing().position)]
        if isinstance(objects, Region):
            return [self._region(objects.number)]
        if isinstance(objects, The | All):
            return self.all(objects.objects, gone)
        if isinstance(objects, Union):
            return list({id(t): t for item in objects.items for t in self.all(item, gone)}.values())
        if isinstance(objects, Filter):
            condition = objects.condition
            gone = gone or (isinstance(condition, Changed) and condition.state == "gone")
            return self.keep(self.all(objects.objects, gone), condition)
        things = self.all(objects.objects, gone)
        ranked = self.rank(things, objects.measure, objects.most)
        if len(ranked) < objects.rank:
            raise Unanswerable(
                Status.NOT_FOUND, f"there is no number {objects.rank} among {len(ranked)} {objects.objects}", things
            )
        return ranked[objects.rank - 1 : objects.rank - 1 + objects.number]

    def _of_kind(self, kind: Kind, gone: bool) -> list[Thing]:
        if kind.name == "object":
            things = list(self.index.things)
        elif kind.name == UNNAMED:
            things = list(self.index.by_label.get(UNKNOWN_LABEL, ()))
        else:
            match = self.match(kind.name)
            if not match.labels:
                raise self.absent(kind.name)
            if match.certainty < 1 and kind.name not in self._doubted:
                self._doubted.add(kind.name)
                self.doubt(match.certainty)
                self.note(f"'{kind.name}' taken as {' or '.join(sorted(match.labels))}")
            things = [t for label in sorted(match.labels) for t in self.index.by_label[label]]
        things = things if gone else self.index.present(things)
        if kind.unknown:
            if len(things) > 1:
                raise Unanswerable(
                    Status.AMBIGUOUS, f"the map does not know which {kind.name} is '{' '.join(kind.unknown)}'", things
                )
            self.doubt(0.5)
            self.note(f"'{' '.join(kind.unknown)}' was not checked")
        return things

    def _region(self, number: int) -> Thing:
        regions = self.question.regions
        if not 0 <= number < len(regions):
            raise Unanswerable(
                Status.NOT_FOUND, f"Region [{number}] was not given; the question came with {len(regions)} region(s)"
            )
        return Thing(-1, f"region {number}", regions[number])

    def in_region(self, thing: Thing) -> Thing:
        """The object that a region shows: most overlap, else the one whose centre it holds."""
        things = self.index.present(self.index.things)
        overlaps = [thing.box.iou(t.box) for t in things]
        if things and max(overlaps) > 0.1:
            return things[int(np.argmax(overlaps))]
        inside = [t for t in things if thing.box.contains(t.center)[0]]
        if not inside:
            raise Unanswerable(Status.NOT_FOUND, f"no object of the map is in {thing.label}")
        return min(inside, key=lambda t: t.box.volume)

    def one(self, objects: Objects, near: Thing | None = None) -> Thing:
        """The one thing that is meant; with several, the nearest to ``near``, or AMBIGUOUS."""
        things = self.all(objects)
        if not things:
            things = self.all(objects, gone=True)
            if things:
                self.note(f"the {things[0].label} is gone; this is where it was")
                self.doubt(0.8)
        if not things:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{objects}'")
        if len(things) == 1:
            return things[0]
        if near is None:
            raise self.ambiguous(objects, things)
        distances = self.index.distances(near, things)
        order = np.argsort(distances, kind="stable")
        self.note(f"{len(things)} fit '{objects}'; the nearest was taken")
        self.doubt(0.6)
        return things[int(order[0])]

    def ambiguous(self, objects: Objects, things: Sequence[Thing]) -> Unanswerable:
        """AMBIGUOUS with the candidates."""
        listed = ", ".join(f"{t.label} {t.object.id} at {coordinates(t.center)}" for t in things[:6] if t.object)
        return Unanswerable(
            Status.AMBIGUOUS,
            f"{len(things)} objects fit '{objects}': {listed}{', ...' if len(things) > 6 else ''}; "
            "say which one (nearest, biggest, next to the ...)",
            things,
        )

    # ------------------------------------------------------------------ measures

    def measure(self, thing: Thing, measure: Measure) -> float:
        """A number for one thing, in metres, square or cubic metres, or seconds."""
        return float(self.measures([thing], measure)[0])

    def measures(self, things: Sequence[Thing], measure: Measure) -> Array:
        """(N,) numbers for things."""
        name = measure.name
        if name == "distance":
            anchors = self.all(measure.anchor if measure.anchor is not None else Me())
            if not anchors:
                raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{measure.anchor}'")
            rows = []
            for anchor in anchors:
                row = self.index.distances(anchor, things)
                rows.append(np.array([np.inf if same(t, anchor) else d for t, d in zip(things, row, strict=True)]))
            return np.asarray(np.min(rows, axis=0))
        if name == "leftness":
            position, facing = self.looking()
            return np.array([rel.angle_to(position, facing, t.center) for t in things])
        single: Callable[[Thing], float] = {
            "size": lambda t: float(t.box.size.max()),
            "height": lambda t: rel.edges(t.box)[2],
            "length": lambda t: rel.edges(t.box)[0],
            "width": lambda t: rel.edges(t.box)[1 if concept(t.label) in _LYING else 0],
            "depth": lambda t: rel.edges(t.box)[1],
            "area": lambda t: rel.edges(t.box)[0] * rel.edges(t.box)[1],
            "volume": lambda t: t.box.volume,
            "elevation": lambda t: t.box.bottom - self.index.floor,
            "top": lambda t: t.box.top - self.index.floor,
            "first_seen": lambda t: (t.object.first_seen_ns if t.object else 0) * 1e-9,
            "last_seen": lambda t: (t.object.last_seen_ns if t.object else 0) * 1e-9,
        }[name]
        return np.array([single(t) for t in things])

    def rank(self, things: list[Thing], measure: Measure, most: bool) -> list[Thing]:
        """Things by a measure; the call between the first two lowers the certainty."""
        if measure.name == "distance":
            anchors = self.all(measure.anchor if measure.anchor is not None else Me())
            things = [t for t in things if not any(same(t, a) for a in anchors)]
        if len(things) < 2:
            return things
        values = self.measures(things, measure)
        order = np.argsort(-values if most else values, kind="stable")
        first, second = order[0], order[1]
        gap = abs(float(values[first] - values[second]))
        if measure.name in ("first_seen", "last_seen"):
            self.margin(gap, 0.05)
        elif measure.name == "leftness":
            self.margin(gap, 5.0)
        elif measure.name in ("volume", "area"):
            self.margin(gap / max(float(values[first]), float(values[second]), 1e-6), 0.1)
        else:
            self.margin(gap, self.sigma(things[first], things[second]))
        return [things[i] for i in order]

    # ------------------------------------------------------------------ conditions

    def keep(self, things: list[Thing], condition: Condition) -> list[Thing]:
        """The things for which a condition holds; close calls lower the certainty."""
        kept = []
        for thing, (margin, sigma) in zip(things, self.margins(things, condition), strict=True):
            if sigma > 0 and abs(margin) < 3 * sigma:
                self.margin(margin, sigma)
            if margin > 0:
                kept.append(thing)
        return kept

    def margins(self, things: Sequence[Thing], condition: Condition) -> list[tuple[float, float]]:
        """For each thing: how far inside (positive) or outside the condition it is, and that number's deviation."""
        if isinstance(condition, Not):
            return [(-m, s) for m, s in self.margins(things, condition.condition)]
        if isinstance(condition, Relation):
            return self._relation(things, condition)
        if isinstance(condition, Side):
            position, facing = self.looking()
            if condition.directly:
                return [self._straight(position, facing, t, rel.SIDE_ANGLES[condition.direction]) for t in things]
            half = _half_sector(condition, self.naming)
            return self._sides(position, facing, things, rel.SIDE_ANGLES[condition.direction], half)
        if isinstance(condition, Within):
            values = self.measures(things, Measure("distance", condition.anchor))
            sign = -1 if condition.farther else 1
            return [(sign * (condition.limit - float(v)), self.sigma(t)) for t, v in zip(things, values, strict=True)]
        if isinstance(condition, Exceeds):
            return self._exceeds(things, condition)
        if isinstance(condition, Place):
            return [(self._place(t, condition.name), self.sigma(t)) for t in things]
        if isinstance(condition, Changed):
            return [(1.0 if self.has_state(t, condition.state) else -1.0, 0.0) for t in things]
        if isinstance(condition, Colored):
            if any(t.object and t.object.color for t in things):
                colored = [t.object is not None and t.object.color is not None for t in things]
                if not all(colored):
                    self.doubt(0.8)
                return [
                    (1.0 if c and self.color(t) == condition.color else -1.0, 0.0)
                    for t, c in zip(things, colored, strict=True)
                ]
            return [(1.0 if self.color(t) == condition.color else -1.0, 0.0) for t in things]
        if condition.than is None:
            self.doubt(0.6)  # "another": other than what is not said
        except_for = [] if condition.than is None else self.all(condition.than)
        return [(-1.0 if any(same(t, e) for e in except_for) else 1.0, 0.0) for t in things]

    def _sides(
        self, position: Array, facing: Array, things: Sequence[Thing], middle: float, half: float
    ) -> list[tuple[float, float]]:
        """Margins in degrees to the edges of a sector, and the standard deviations of the angles."""
        to = np.array([t.center for t in things]).reshape(-1, 3)[:, :2] - position[:2]
        angles = np.degrees(np.arctan2(facing[0] * to[:, 1] - facing[1] * to[:, 0], to @ facing))
        margins = half - np.abs((angles - middle + 180.0) % 360.0 - 180.0)
        away = np.maximum(np.hypot(to[:, 0], to[:, 1]), 0.05).tolist()
        sigmas = [math.degrees(math.atan2(self.sigma(t), d)) for t, d in zip(things, away, strict=True)]
        return list(zip(margins.tolist(), sigmas, strict=True))

    def _straight(self, position: Array, facing: Array, thing: Thing, middle: float) -> tuple[float, float]:
        """Margin in degrees by which any part of a thing lies in the cone of "directly", and its standard deviation."""
        center, sigma = self._sides(position, facing, [thing], middle, 180.0)[0]
        offset = 180.0 - center  # of the centre from the middle of the cone
        angles = [rel.angle_to(position, facing, c) for c in thing.box.corners]
        reach = max(rel.turn_between(a, rel.angle_to(position, facing, thing.center)) for a in angles)
        limit = DIRECTLY / 2 if self.naming else DIRECTLY
        if float(np.linalg.norm((thing.center - position)[:2])) < 0.05:
            return -180.0, sigma  # where one stands oneself
        return limit - max(offset - reach, 0.0), sigma

    def _exceeds(self, things: Sequence[Thing], condition: Exceeds) -> list[tuple[float, float]]:
        if isinstance(condition.than, float):
            limit, other = condition.than, None
        else:
            other = self.one(condition.than)
            limit = self.measure(other, condition.measure)
        sign = -1 if condition.less else 1
        relative = condition.measure.name in ("volume", "area")
        out = []
        for thing, value in zip(things, self.measures(things, condition.measure), strict=True):
            scale = max(abs(limit), 1e-6) if relative else 1.0
            sigma = 0.1 if relative else self.sigma(thing) * (1 if other is None else 1.4)
            out.append((sign * (float(value) - limit) / scale, sigma))
        return out

    def _relation(self, things: Sequence[Thing], relation: Relation) -> list[tuple[float, float]]:
        """The best margin over the anchors that are meant."""
        if relation.name == "between":
            return self._between(things, relation)
        if relation.name == "is":
            anchors = self.all(relation.anchors[0])
            return [(1.0 if any(same(t, a) for a in anchors) else -1.0, 0.0) for t in things]
        if isinstance(relation.anchors[0], (The, Region)) and relation.name in (
            "left_of",
            "right_of",
            "front_of",
            "behind",
        ):
            near = self.index.asker(self.view.position) if self.view is not None else None
            anchors = [self.one(relation.anchors[0], near=near)]
        else:
            anchors = self.all(relation.anchors[0])
        if not anchors:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{relation.anchors[0]}'")
        table = [self._to_anchor(things, anchor, relation.name) for anchor in anchors]
        sigma = self.sigma(anchors[0], anchors[0])
        return [(float(m), sigma) for m in np.max(table, axis=0)]

    def _to_anchor(self, things: Sequence[Thing], anchor: Thing, name: str) -> Array:
        """(N,) margins of the relation of things to one anchor."""
        if not things:
            return np.zeros(0)
        boxes, one = self.index.boxes_of(things), self.index.boxes_of([anchor])
        gaps, apart = self.index.gaps(anchor, things), self.index.distances(anchor, things)
        if name == "on":
            fixed = [concept(t.label) in _IN_A_WALL for t in things]
            rests = np.where(fixed, -1.0, rel.on(boxes, one))
            for i in np.flatnonzero((rests > 0) & (rel.inside_footprint(boxes.center, one) < 0)).tolist():
                if self._rests_elsewhere(things[i], anchor):
                    rests[i] = -0.05
            margins = np.maximum(rests, rel.hangs_on(boxes, one, apart))
        elif name == "carries":
            margins = rel.carries(boxes, one, gaps)
        elif name == "under":
            margins = rel.under(boxes, one, gaps)
        elif name == "below":
            margins = np.maximum(rel.under(boxes, one, gaps), rel.below(boxes, one, gaps))
        elif name == "above":
            margins = np.maximum(rel.above(boxes, one, gaps), rel.on(boxes, one))
        elif name == "in":
            holds = concept(anchor.label) in _HOLDS
            margins = np.maximum(rel.inside(boxes, one), rel.on(boxes, one) if holds else -1.0)
        elif name == "touching":
            margins = rel.TOUCHING - apart
        elif name == "beside":
            stacked = (gaps == 0) & (np.maximum(boxes.bottom - one.top, one.bottom - boxes.top) > -rel.CONTACT)
            margins = np.where(stacked, -0.3, rel.BESIDE - apart)
        elif name == "of":
            margins = np.maximum(rel.on(boxes, one), rel.BESIDE - gaps)
        elif name == "near":
            margins = rel.NEAR - apart
        elif name == "across":
            margins = rel.across(boxes, one, gaps)
        elif name == "faces":
            margins = rel.faces(boxes, one)
        elif name == "at":
            margins = np.where(rel.on(boxes, one) > 0, -0.3, rel.BESIDE - gaps)
        else:
            margins = self._beside_view(boxes, anchor, name)
        return np.where([same(t, anchor) for t in things], -10.0, margins)

    def _rests_elsewhere(self, thing: Thing, anchor: Thing) -> bool:
        """True if a thing beyond the edge of ``anchor`` stands squarely on another (of two counters side by side)."""
        own, boxes = self.index.boxes_of([thing]), self.index.boxes
        carried = np.minimum(rel.on(own, boxes), rel.inside_footprint(own.center, boxes)) > 0
        return any(
            carried[t.index] and not same(t, thing) and not same(t, anchor)
            for t in self.index.present(self.index.things)
        )

    def _beside_view(self, boxes: rel.Boxes, anchor: Thing, name: str) -> Array:
        """Left of, right of, in front of or behind an object, for one who looks at it."""
        if name not in ("left_of", "right_of", "front_of", "behind"):
            raise Unanswerable(Status.NOT_UNDERSTOOD, f"'{name}' is not a relation that can be computed from boxes")
        view = unit_vector((anchor.center - self.standing().position)[:2])
        if view is None:
            raise Unanswerable(
                Status.AMBIGUOUS, f"you stand at the {anchor.label} itself; say from where you look at it"
            )
        return rel.beside_view(boxes.center[:, :2], anchor.center[:2], view, name)

    def related(self, thing: Thing, anchor: Thing, name: str) -> bool:
        """True if a relation to one anchor holds."""
        return bool(self._to_anchor([thing], anchor, name)[0] > 0)

    def _between(self, things: Sequence[Thing], relation: Relation) -> list[tuple[float, float]]:
        anchors = [self.all(a) for a in relation.anchors]
        if len(anchors) == 1:
            if len(anchors[0]) != 2:
                raise self.ambiguous(relation.anchors[0], anchors[0])
            first, second = [anchors[0][0]], [anchors[0][1]]
        else:
            first, second = anchors
        if not first or not second:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{relation}'")
        pairs = [(a, b) for a in first for b in second if not same(a, b)]
        boxes = self.index.boxes_of(things)
        best = np.full(len(things), -1.0)
        if len(pairs) > _MOST_PAIRS:
            pairs.sort(key=lambda pair: float(np.linalg.norm(pair[0].center - pair[1].center)))
        for a, b in pairs[:_MOST_PAIRS]:
            margins = rel.between(boxes, self.index.boxes_of([a]), self.index.boxes_of([b]))
            best = np.maximum(best, np.where([same(t, a) or same(t, b) for t in things], -1.0, margins))
        return [(float(m), self.sigma(t, t)) for m, t in zip(best, things, strict=True)]

    def _place(self, thing: Thing, place: str) -> float:
        box = thing.box
        if place == "floor":
            return rel.FLOOR - float(self.index.boxes_of([thing]).bottom[0] - self.index.floor)
        room, seen = self.index.bounds
        if not seen:
            self.doubt(0.6)
            self.note("the walls are not in the map; the outline of all objects was used")
        local = np.abs((box.center - room.center) @ room.rotation)
        corners = np.abs((box.corners - room.center) @ room.rotation).max(axis=0)
        gaps = np.maximum(room.size[:2] / 2 - np.maximum(corners[:2], local[:2]), 0)
        if place == "wall":
            return rel.WALL - float(gaps.min())
        if place == "corner":
            return rel.CORNER - float(gaps.max())
        if place == "middle":
            return 0.25 - float((local[:2] / np.maximum(room.size[:2], 1e-6)).max())
        return rel.CONTACT - (float(room.center[2] + room.size[2] / 2) - box.top)

    def has_state(self, thing: Thing, state: str) -> bool:
        """Whether a thing is present, gone, moved or new."""
        thing_object = thing.object
        if thing_object is None:
            return state == "present"
        if state == "new":
            return thing_object.present and thing_object.first_seen_ns > self._start_ns + _NEW_AFTER_NS
        return {
            "moved": thing_object.present
            and (thing_object.state is ObjectState.MOVED or bool(thing_object.previous_boxes)),
            "gone": not thing_object.present,
            "present": thing_object.present,
        }[state]

    @cached_property
    def _start_ns(self) -> int:
        return min((o.first_seen_ns for o in self.index.snapshot.objects), default=0)

    def color(self, thing: Thing) -> str:
        """Name of the mean colour; raises NOT_FOUND if the map has no colours."""
        rgb = thing.object.color if thing.object else None
        if rgb is None:
            raise Unanswerable(Status.NOT_FOUND, f"the map does not know the color of the {thing.label}", [thing])
        name, margin = color_name(rgb)
        if margin < 0.2:
            self.doubt(0.7)
        return name


_LYING = frozenset(
    ("table", "dining table", "coffee table", "bed", "rug", "mat", "mattress", "towel", "bathtub", "crib")
)
"""Of these the shorter floor edge is called the width; of things that one faces (sofa, door, desk) the longer one."""
_HOLDS = frozenset(
    (
        "sink",
        "bathtub",
        "box",
        "trash bin",
        "basket",
        "bed",
        "sofa",
        "shelf",
        "bookshelf",
        "cabinet",
        "closet",
        "drawer",
    )
)
_IN_A_WALL = frozenset(("window", "door", "doorframe", "window frame", "ceiling lamp", "wall"))
"""What rests on nothing, even where something stands close below it."""
DIRECTLY = 30.0
"""Directly in front: some of it lies at most this far from straight ahead, half of it to name all that is [degrees]."""
_HALF_SECTOR = {"side": 75.0, "corner": 45.0, "clock": 30.0, "naming": 45.0}
"""What counts as "on my left", "in my front-left", "at my 3 o'clock": degrees to either side.

People are generous when they ask of a thing whether it is at a side (SQA3D); asked what all is at a side ("naming"),
they give each thing one side only, the four of them making up the circle.
"""


def _half_sector(side: Side, naming: bool) -> float:
    if "o'clock" in side.direction:
        return _HALF_SECTOR["clock"]
    if "-" in side.direction:
        return _HALF_SECTOR["corner"]
    return _HALF_SECTOR["naming" if naming else "side"]


_NEW_AFTER_NS = 10_000_000_000


def unit_vector(vector: Array) -> Array | None:
    """``vector`` at length one; None if it has none."""
    norm = float(np.linalg.norm(vector))
    return None if norm < 1e-6 else vector / norm


def same(a: Thing, b: Thing) -> bool:
    """Whether both are one object of the scene."""
    return a.index >= 0 and a.index == b.index


def coordinates(point: Array) -> str:
    """A point (3,) in metres as people read it."""
    return f"({point[0]:.2f}, {point[1]:.2f}, {point[2]:.2f})"


def shown(label: str) -> str:
    """A label as people write it: ``diningtable`` -> dining table."""
    names = label_concepts(label)
    return names[0] if label in NAMES_OF_LABELS and len(names) == 1 else label.replace("_", " ")


def listed(things: Sequence[Thing], counts: bool = False) -> str:
    """Names of things, each once, with their number."""
    numbers: dict[str, int] = {}
    for thing in things:
        numbers[shown(thing.label)] = numbers.get(shown(thing.label), 0) + 1
    return ", ".join(
        label if n == 1 and not counts else f"{n} {plural(label) if n > 1 else label}" for label, n in numbers.items()
    )


def said(objects: Objects) -> str:
    """The class name in a description."""
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    if isinstance(objects, Region):
        return f"Region [{objects.number}]"
    return objects.name if isinstance(objects, Kind) else str(objects)


def is_nearest(objects: Objects) -> bool:
    """True of what is nearest (or farthest) to something."""
    inner = strip(objects)
    return isinstance(inner, Pick) and inner.measure.name == "distance"

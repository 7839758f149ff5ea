"""Programs computed on a snapshot. Reads like the geometry: every rule of an answer is one method here or one function
in ``relations``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning import routes
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import (
    Evaluator,
    Unanswerable,
    View,
    coordinates,
    listed,
    said,
    same,
    shown,
    unit_vector,
)
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.lexicon import concept, plural
from proxy3d_core.reasoning.parts import strip
from proxy3d_core.reasoning.phrases import CUBIC, SQUARE, UNITS
from proxy3d_core.reasoning.program import (
    All,
    Changed,
    Changes,
    Color,
    Colored,
    Compare,
    Condition,
    Count,
    CountTest,
    Describe,
    Difference,
    Direction,
    Distance,
    Exceeds,
    Exists,
    Fate,
    Filter,
    Fits,
    Identify,
    Kind,
    Me,
    MovedBy,
    Not,
    Objects,
    Order,
    Pick,
    Place,
    Region,
    Relation,
    RelationOf,
    RoomExceeds,
    RoomSize,
    Route,
    Seen,
    Side,
    Size,
    The,
    Union,
    Verify,
    Where,
    Within,
)
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL

Array = NDArray[np.float64]

BOX_SIGMA = 0.03
"""Standard deviation of the position of a box face, metres, for an object seen often."""


@dataclass
class Result:
    """What a program yields: words, a number, or things; options are matched afterwards."""

    text: str
    things: tuple[Thing, ...] = ()
    value: float | None = None
    unit: str = ""
    sigma: float | None = None
    names: tuple[str, ...] = ()
    message: str = ""


@dataclass
class Executor(Evaluator):
    """Computes the query of a program: one method per kind of question."""

    def run(self) -> Result:
        """The answer to the program's query."""
        match self.program.query:
            case Count() as query:
                return self.count(query)
            case CountTest() as query:
                return self.count_test(query)
            case Exists() as query:
                return self.exists(query)
            case Verify() as query:
                return self.verify(query)
            case Where() as query:
                return self.where(query)
            case Distance() as query:
                return self.distance(query)
            case Size() as query:
                return self.size(query)
            case Difference() as query:
                return self.difference(query)
            case RoomExceeds() as query:
                return self.room_exceeds(query)
            case RoomSize() as query:
                return self.room_size(query)
            case Direction() as query:
                return self.direction(query)
            case RelationOf() as query:
                return self.relation_of(query)
            case Identify() as query:
                return self.identify(query)
            case Compare() as query:
                return self.compare(query)
            case Order() as query:
                return self.order(query)
            case Color() as query:
                return self.color_of(query)
            case Changes() as query:
                return self.changes(query)
            case Fate() as query:
                return self.fate(query)
            case Fits() as query:
                return self.fits(query)
            case MovedBy() as query:
                return self.moved_by(query)
            case Seen() as query:
                return self.seen(query)
            case Describe():
                return self.describe()
            case Route() as query:
                return self.route(query)

    def _counted(self, objects: Objects) -> tuple[int, list[Thing]]:
        """How many; none if the scene has no such thing but would know it."""
        try:
            things = self.all(objects)
        except Unanswerable as error:
            absent = _absent_kind(self, objects) if error.status is Status.NOT_FOUND else None
            if absent is None:
                raise
            known = bool(self.index.snapshot.vocabulary)
            self.doubt(0.85 if known and self.index.snapshot.complete else 0.45)
            self.note(f"no {absent} was seen")
            return 0, []
        self._doubt_doubles(things)
        return len(things), things

    def _doubt_doubles(self, things: Sequence[Thing]) -> None:
        """Two boxes of one class at one place may be one thing that was listed twice."""
        centers = np.array([t.center for t in things]).reshape(-1, 3)
        apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1) + np.eye(len(things))
        sizes = np.array([t.box.size.max() for t in things])
        if len(things) > 1 and (apart < 0.1 * np.minimum(sizes[:, None], sizes[None])).any():
            self.doubt(0.45)
            self.note("some of these lie at the same place and may be the same object")

    def count(self, query: Count) -> Result:
        """Number of objects."""
        number, things = self._counted(query.objects)
        if query.kinds:
            names = tuple(sorted({t.label for t in things}))
            return Result(str(len(names)), tuple(things), len(names), "count", 0.0, names)
        return Result(str(number), tuple(things), number, "count", self._count_sigma(things))

    @staticmethod
    def _count_sigma(things: Sequence[Thing]) -> float:
        return math.sqrt(sum(t.object.certainty * (1 - t.object.certainty) for t in things if t.object))

    def count_test(self, query: CountTest) -> Result:
        """Yes or no, odd or even."""
        number, things = self._counted(query.objects)
        other = query.number
        if query.other is not None:
            other, more = self._counted(query.other)
            things = things + more
        if query.test == "parity":
            return Result("even" if number % 2 == 0 else "odd", tuple(things), number, "count")
        if query.test == "multiple" and other == 0:
            raise Unanswerable(Status.NOT_UNDERSTOOD, "a number cannot be divided by zero")
        holds = {
            "odd": number % 2 == 1,
            "even": number % 2 == 0,
            "multiple": other != 0 and number % other == 0,
            "more": number > other,
            "fewer": number < other,
            "equal": number == other,
            "at_least": number >= other,
            "at_most": number <= other,
            "exactly": number == other,
        }[query.test]
        return Result("Yes" if holds else "No", tuple(things), number, "count")

    def exists(self, query: Exists) -> Result:
        """Yes or no."""
        number, things = self._counted(query.objects)
        return Result("Yes" if (number > 0) != query.negated else "No", tuple(things))

    def verify(self, query: Verify) -> Result:
        """Yes or no."""
        condition = query.condition
        changes = isinstance(condition, Changed) or (
            isinstance(condition, Not) and isinstance(condition.condition, Changed)
        )
        things = self.all(query.objects, gone=changes)
        if not things:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{query.objects}'")
        if isinstance(query.objects, The) and len(things) > 1 and not changes:
            things = self._most_likely(query.objects, things)
        before = self.certainty
        kept = self.keep(things, condition)
        if len(things) > 1:
            self.certainty = min(before, max(self.certainty, 0.5 * before))
        holds = len(kept) == len(things) if isinstance(query.objects, All) and not changes else bool(kept)
        evidence = (*kept, *(t for t in things if t not in kept))
        return Result("Yes" if holds else "No", evidence + self._anchors(condition))

    def _most_likely(self, objects: Objects, things: list[Thing]) -> list[Thing]:
        """ "The chair" among several: the nearest to the asker, if there is one."""
        if self.view is None:
            raise self.ambiguous(objects, things)
        return [self.one(objects, near=self.index.asker(self.view.position))]

    def _anchors(self, condition: Condition) -> tuple[Thing, ...]:
        if isinstance(condition, Relation):
            return tuple(t for a in condition.anchors for t in self.all(a) if t.object)
        if isinstance(condition, Exceeds) and not isinstance(condition.than, float):
            return tuple(t for t in self.all(condition.than) if t.object)
        return ()

    def where(self, query: Where) -> Result:
        """In words: on or next to what, how far, in which direction."""
        if query.before:
            return self._where_before(query)
        things = self.all(query.objects)
        if not things:
            things = [self.one(query.objects)]
        if len(things) > 1 and isinstance(query.objects, The):
            raise self.ambiguous(query.objects, things)
        if len(things) > 1:
            places = "; ".join(f"{shown(t.label)} {self.place(t)}" for t in things[:8])
            return Result(places, tuple(things))
        thing = things[0]
        if thing.object is None:
            thing = self.in_region(thing)
        if not self.index.snapshot.complete:
            self.doubt(0.4)  # a better landmark may be left out
        self.note(f"centre at {coordinates(thing.center)}")
        return Result(self.place(thing), (thing, *self._support(thing)[1]))

    def _where_before(self, query: Where) -> Result:
        thing = self.one(query.objects)
        previous = thing.object.previous_boxes if thing.object else ()
        if not previous and thing.object and thing.object.present:
            return Result(
                "it was not moved",
                (thing,),
                message=f"the {thing.label} is where it was first seen, at {coordinates(thing.center)}",
            )
        box = previous[-1] if previous else thing.box
        ghost = Thing(-1, thing.label, box)
        return Result(
            self.place(ghost, other_than=thing), (thing,), message=f"its centre was at {coordinates(box.center)}"
        )

    def _support(self, thing: Thing, other_than: Thing | None = None) -> tuple[str, list[Thing]]:
        """What a thing is on, in or next to."""
        others = [
            t
            for t in self.index.present(self.index.things)
            if not same(t, thing) and t is not other_than and t.label != UNKNOWN_LABEL
        ]
        if not others:
            return "", []
        gaps, distances = self.index.gaps(thing, others), self.index.distances(thing, others)
        own, boxes = self.index.boxes_of([thing]), self.index.boxes_of(others)
        carried = [
            (float(boxes.volume[i]), i) for i in np.flatnonzero(gaps == 0).tolist() if rel.on(own, boxes[[i]])[0] > 0
        ]
        if carried:
            support = others[min(carried)[1]]
            return f"on the {shown(support.label)}", [support]
        nearest = int(np.argmin(distances))
        name = f"the {shown(others[nearest].label)}"
        if rel.under(own, boxes[[nearest]], gaps[[nearest]])[0] > 0:
            return f"under {name}", [others[nearest]]
        distance = float(distances[nearest])
        return (f"next to {name}" if distance <= rel.BESIDE else f"{distance:.1f} m from {name}"), [others[nearest]]

    def place(self, thing: Thing, other_than: Thing | None = None) -> str:
        """On the desk, 2.1 m to the front-left."""
        words, _ = self._support(thing, other_than)
        if self.view is not None:
            away = self.index.distance(self.index.asker(self.view.position), thing)
            side = ""
            if self.view.facing is not None:
                name, _ = rel.nearest_side(rel.angle_to(self.view.position, self.view.facing, thing.center), _EIGHT)
                side = {"front": " ahead", "back": " behind"}.get(name, f" to the {name}")
            words = ", ".join(x for x in (words, f"{away:.1f} m{side}" if side else f"{away:.1f} m away") if x)
        return words or f"at {coordinates(thing.center)}"

    def distance(self, query: Distance) -> Result:
        """Closest points; the nearest pair if a class is named, one object each if "the" is said."""
        before = self.certainty
        first, second = self._pair(query.first), self._pair(query.second)
        if any(_is_nearest(x) for x in (query.first, query.second)):
            self.certainty = before  # which of two is nearer matters little to how far the nearest is
        asker = isinstance(query.second, Me)
        if len(first) > 1 and isinstance(query.first, The):
            if not asker:
                raise self.ambiguous(query.first, first)
            self.note(f"{len(first)} fit '{query.first}'; the nearest was taken")
            self.doubt(0.6)
        if len(second) > 1 and isinstance(query.second, The):
            raise self.ambiguous(query.second, second)
        pairs = [
            (float(d), a, b)
            for a in first
            for b, d in zip(second, self.index.distances(a, second), strict=True)
            if not same(a, b)
        ]
        if not pairs:
            raise Unanswerable(Status.AMBIGUOUS, f"'{query.first}' and '{query.second}' are the same object", first)
        metres, a, b = min(pairs, key=lambda p: p[0])
        if a.object is None and b.object is not None:
            a, b = b, a
        result = self._number(metres, "length", (a, b), self.sigma(a, b))
        if result.unit == "m" and metres >= 0.2:
            result.text = f"{metres:.1f} m"  # boxes are known to a few centimetres
        return result

    def _pair(self, objects: Objects) -> list[Thing]:
        things = self.all(objects)
        return things if things else [self.one(objects)]

    def _number(self, value: float, kind: str, things: tuple[Thing, ...], sigma: float) -> Result:
        """A number in the unit asked for."""
        unit, factor = {
            "length": ("m", 1.0),
            "area": ("m^2", 1.0),
            "volume": ("m^3", 1.0),
            "time": ("s", 1.0),
            "angle": ("deg", 1.0),
        }[kind]
        asked = self.program.unit
        if asked:
            base = next((name for name, f, k in UNITS.values() if name == asked), asked)
            table = {
                "length": {n: f for n, f, k in UNITS.values() if k == "length"},
                "area": dict(SQUARE.values()),
                "volume": dict(CUBIC.values()),
            }
            table |= {k: {n: f for n, f, kk in UNITS.values() if kk == k} for k in ("time", "angle")}
            if kind == "area" and base in table["length"]:
                base = SQUARE.get(base, ("m^2", 1.0))[0]
            elif kind == "volume" and base in table["length"]:
                base = CUBIC.get(base, ("m^3", 1.0))[0]
            if base in table[kind]:
                unit, factor = base, table[kind][base]
        shown = value / factor
        digits = _DIGITS.get(unit, 1)
        return Result(f"{shown:.{digits}f} {unit}", things, shown, unit, sigma / factor)

    def size(self, query: Size) -> Result:
        """An edge, the floor area or the volume of one object."""
        things = self.all(query.objects)
        if len(things) > 1:
            if self.view is not None and isinstance(query.objects, The) and self.question.viewpoint is not None:
                things = [self.one(query.objects, near=self.index.asker(self.view.position))]
            else:
                raise self.ambiguous(query.objects, things)
        thing = things[0] if things else self.one(query.objects)
        sigma = BOX_SIGMA * math.sqrt(2)
        if query.measure.name == "dimensions":
            long, short, height = rel.edges(thing.box)
            result = self._number(max(thing.box.size), "length", (thing,), sigma)
            scale = result.value / max(float(max(thing.box.size)), 1e-9) if result.value else 1.0
            result.text = (
                " x ".join(
                    f"{edge * scale:.{0 if result.unit in ('cm', 'mm') else 2}f}" for edge in (long, short, height)
                )
                + f" {result.unit}"
            )
            result.message = "length x width x height; value is the longest edge"
            return result
        value = self.measure(thing, query.measure)
        kind = {"area": "area", "volume": "volume"}.get(query.measure.name, "length")
        if kind == "area":
            sigma *= sum(rel.edges(thing.box)[:2])
        elif kind == "volume":
            sigma *= value * sum(1 / max(float(e), 1e-3) for e in thing.box.size)
        return self._number(value, kind, (thing,), sigma)

    def difference(self, query: Difference) -> Result:
        """One measure less the other."""
        first, second = self.one(query.first), self.one(query.second)
        value = self.measure(first, query.measure) - self.measure(second, query.measure)
        kind = {"area": "area", "volume": "volume"}.get(query.measure.name, "length")
        result = self._number(abs(value), kind, (first, second), self.sigma(first, second))
        result.message = f"the {(first if value > 0 else second).label} has more"
        return result

    def room_size(self, query: RoomSize) -> Result:
        """The floor area of the map, or the edges of the room's outline."""
        if query.measure not in ("area", "dimensions", "length", "width"):
            raise Unanswerable(Status.NOT_FOUND, f"the map does not know the {query.measure} of the room")
        if query.measure != "area":
            return self._room_edges(query.measure)
        area, sigma = self._floor_area()
        return self._number(area, "area", (), sigma)

    def room_exceeds(self, query: RoomExceeds) -> Result:
        """Yes or no, by the floor area of the map."""
        area, sigma = self._floor_area()
        if abs(area - query.area) < sigma:
            self.doubt(0.6)
        holds = area < query.area if query.less else area > query.area
        return Result("Yes" if holds else "No", (), message=f"the floor is {area:.1f} m^2")

    def _floor_area(self) -> tuple[float, float]:
        """Square metres, and their standard deviation."""
        area = self.index.snapshot.floor.area
        if area is not None:
            return area, 0.05 * area
        room, seen = self.index.bounds
        if not self.index.things and not seen:
            raise Unanswerable(Status.NO_SCENE, "nothing of the room has been seen yet")
        self.doubt(0.3)
        self.note("the floor is not in the map; the outline of what was seen was used")
        area = float(room.size[0] * room.size[1])
        return area, 0.3 * area

    def _room_edges(self, measure: str) -> Result:
        room, seen = self.index.bounds
        if not self.index.things and not seen:
            raise Unanswerable(Status.NO_SCENE, "nothing of the room has been seen yet")
        if not seen:
            self.doubt(0.5)
            self.note("the walls are not in the map; the outline of all objects was used")
        long, short, _ = rel.edges(room)
        sigma = 0.1 if seen else 0.3
        result = self._number(short if measure == "width" else long, "length", (), sigma)
        if measure == "dimensions":
            other = self._number(short, "length", (), sigma)
            result.text = f"{result.text} x {other.text}"
        return result

    def direction(self, query: Direction) -> Result:
        """Left, right, in front, behind, by the angle of the centre on the floor plane."""
        if query.of is not None:
            position = self.standing().position
            facing = unit_vector((self.one(query.of, near=self.index.asker(position)).center - position)[:2])
            if facing is None:
                raise Unanswerable(
                    Status.AMBIGUOUS, f"you stand at the {query.of} itself; say from where you look at it"
                )
        else:
            position, facing = self.looking()
        asker = self.index.asker(position)
        if query.objects == Kind("door") and query.form == "go" and len(doors := self.all(query.objects)) > 1:
            raise self.ambiguous(query.objects, doors)  # which of them one would leave by is not known
        thing = self.one(query.objects, near=asker)
        angle = rel.angle_to(position, facing, thing.center)
        sigma = math.degrees(
            math.atan2(self.sigma(thing), max(float(np.linalg.norm((thing.center - position)[:2])), 0.05))
        )
        if query.form == "angle":
            result = self._number(abs(angle), "angle", (thing,), sigma)
            result.text += " to the left" if angle > 0 else " to the right"
            result.message = f"{angle:+.0f} degrees, counter-clockwise positive"
            return result
        sides = query.choices or self._offered_sides() or {"clock": _CLOCK, "go": _FOUR}.get(query.form, _EIGHT)
        side, margin = rel.way(angle) if sides is _FOUR else rel.nearest_side(angle, sides)
        self.margin(margin, max(sigma, 3.0))
        words = dict(zip(query.choices, query.said, strict=False)).get(side, side)
        if query.form == "go":
            words = {"front": "forward", "back": "backward"}.get(side, side)
        return Result(
            words,
            (thing,),
            angle,
            "deg",
            sigma,
            (side,),
            f"{angle:+.0f} degrees, counter-clockwise from straight ahead",
        )

    def _offered_sides(self) -> tuple[str, ...]:
        """The directions among the options."""
        sides = tuple(s for s in (side_of(o.text) for o in self.options) if s)
        return sides if len(sides) >= 2 and len(sides) == len(self.options) else ()

    def relation_of(self, query: RelationOf) -> Result:
        """Which of the relations holds best."""
        near = self.index.asker(self.view.position) if self.view is not None else None
        thing = self.one(query.objects, near=near)
        margins = [self.margins([thing], c)[0] for c in query.choices]
        best = max(range(len(margins)), key=lambda i: margins[i][0])
        ordered = sorted((m for m, _ in margins), reverse=True)
        self.margin(ordered[0] - ordered[1], max(margins[best][1], 0.05) * 1.4)
        if margins[best][0] <= -0.5:
            self.doubt(0.5)
        return Result(words_of(query.choices[best]), (thing, *self._anchors(query.choices[best])))

    def identify(self, query: Identify) -> Result:
        """Names of what fits."""
        objects = query.objects
        if isinstance(objects, (Region, The)) and isinstance(getattr(objects, "objects", objects), Region):
            thing = self.in_region(self.all(objects)[0])
            return Result(shown(thing.label), (thing,), names=(shown(thing.label), thing.label))
        self.naming = _any_object(objects)
        things = self._among_options(objects) if self.options else self.all(objects)
        if not things and not self.options and self.index.snapshot.complete and _looked_at(objects):
            self.doubt(0.8)
            self.note("nothing that the map knows is there")
            return Result("nothing", names=("nothing", "none"))
        if not things:
            raise Unanswerable(Status.NOT_FOUND, f"of what the scene knows, nothing fits '{objects}'")
        if not self.index.snapshot.complete and not self.options and _any_object(objects):
            message = "the scene lists only things of some classes; what else is there is not known"
            if not isinstance(strip(objects), Pick):
                raise Unanswerable(
                    Status.NOT_FOUND, f"{message}. Of those listed it would be: {listed(things)}", things
                )
            self.doubt(0.45)
            self.note(message)
        if (
            isinstance(objects, The)
            and {said(objects)} == {concept(t.label) for t in things}
            and not _is_nearest(objects)
        ):
            self.doubt(0.4)  # "what is the window above the table": its name was said, something else is asked
        if self.view is not None and len(things) > 1:
            order = np.argsort(self.index.distances(self.index.asker(self.view.position), things), kind="stable")
            things = [things[i] for i in order]
        if all(t.label == UNKNOWN_LABEL for t in things):
            self.note("the map has no name for it")
            self.doubt(0.5)
        return Result(listed(things), tuple(things), names=tuple(dict.fromkeys(t.label for t in things)))

    def _among_options(self, objects: Objects) -> list[Thing]:
        """What fits, of the things that the options name."""
        offered = [t for o in self.options for t in self._named(o.text)]
        if not offered:
            return self.all(objects)
        return self._restricted(objects, offered)

    def _restricted(self, objects: Objects, offered: list[Thing]) -> list[Thing]:
        if isinstance(objects, The | All):
            return self._restricted(objects.objects, offered)
        if isinstance(objects, Filter):
            return self.keep(self._restricted(objects.objects, offered), objects.condition)
        if isinstance(objects, Pick):
            ranked = self.rank(self._restricted(objects.objects, offered), objects.measure, objects.most)
            return ranked[objects.rank - 1 : objects.rank]
        allowed = {t.index for t in self.all(objects)}
        return [t for t in dict.fromkeys(offered) if t.index in allowed]

    def _named(self, text: str) -> list[Thing]:
        """Present things of the class that an option names."""
        name = concept(text.lower().strip(" .").removeprefix("the ").removeprefix("a ").removeprefix("an "))
        match = self.match(name)
        return self.index.present(t for label in sorted(match.labels) for t in self.index.by_label[label])

    def compare(self, query: Compare) -> Result:
        """Which has most: classes count by their best instance (VSI-Bench: minimum over instances)."""
        if query.measure.name == "count":
            return self._compare_counts(query)
        items = query.items or tuple(Kind(concept(o.text.lower())) for o in self.options)
        if not items:
            raise Unanswerable(Status.NOT_UNDERSTOOD, "the question names nothing to choose from")
        first_seen = query.measure.name == "first_seen"
        best: list[tuple[float, Thing, int]] = []
        for k, item in enumerate(items):
            things = self.all(item, gone=first_seen)
            if not things:
                raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{item}'")
            if (
                len(things) > 1
                and query.measure.name not in ("distance", "first_seen", "last_seen")
                and isinstance(item, The)
            ):
                raise self.ambiguous(item, things)
            values = self.measures(things, query.measure)
            # Of several instances the nearest counts for distances, the first for times, else the largest.
            at = int(np.argmin(values)) if query.measure.name in ("distance", "first_seen") else int(np.argmax(values))
            best.append((float(values[at]), things[at], k))
        best.sort(key=lambda v: -v[0] if query.most else v[0])
        if len(best) > 1:
            gap = abs(best[0][0] - best[1][0])
            relative = query.measure.name in ("volume", "area")
            looks = [_broad_side(thing) for _, thing, _ in best[:2]]
            if query.measure.name == "volume" and (looks[0] < looks[1]) == query.most:
                self.doubt(0.5)  # a door is thin, but bigger than a bin to the eye
            self.margin(
                gap / max(best[0][0], best[1][0], 1e-6) if relative else gap,
                0.1 if relative else self.sigma(best[0][1], best[1][1]),
            )
        value, thing, k = best[min(query.rank, len(best)) - 1]
        name = said(items[k]) or thing.label
        others = tuple(t for _, t, _ in best if t is not thing)
        return Result(name, (thing, *others), names=(name, thing.label), message=f"{query.measure.name} {value:.2f}")

    def _compare_counts(self, query: Compare) -> Result:
        counts = [(self._counted(item)[0], k) for k, item in enumerate(query.items)]
        counts.sort(key=lambda c: -c[0])
        if counts[0][0] == counts[1][0]:
            return Result("equal", names=("equal", "the same"))
        name = plural(said(query.items[counts[0][1]]))
        return Result(name, names=(name,), message=f"{counts[0][0]} against {counts[1][0]}")

    def order(self, query: Order) -> Result:
        """Classes by the time when the first of them was seen."""
        if query.items:
            items = list(query.items)
        else:
            items = [
                Kind(concept(w.strip().lower())) for w in (self.options[0].text.split(",") if self.options else ())
            ]
        if len(items) < 2:
            raise Unanswerable(Status.NOT_UNDERSTOOD, "the question names nothing to put in order")
        times = []
        for item in items:
            things = self.all(item, gone=True)
            first = min(things, key=lambda t: t.object.first_seen_ns if t.object else 0)
            times.append((first.object.first_seen_ns if first.object else 0, said(item), first))
        if len({t for t, _, _ in times}) == 1:
            raise Unanswerable(
                Status.NOT_FOUND, "the scene does not say when its objects were first seen", [t for _, _, t in times]
            )
        times.sort(key=lambda t: t[0])
        for (a, _, _), (b, _, _) in pairwise(times):
            self.margin((b - a) * 1e-9, 0.05)
        names = tuple(name for _, name, _ in times)
        return Result(", ".join(names), tuple(t for _, _, t in times), names=(", ".join(names),))

    def color_of(self, query: Color) -> Result:
        """The name of the mean colour."""
        things = self.all(query.objects)
        if len(things) > 1:
            colors = {self.color(t) for t in things}
            if len(colors) == 1:
                return Result(colors.pop(), tuple(things))
            if isinstance(query.objects, The):
                things = self._most_likely(query.objects, things)
            else:
                return Result(", ".join(sorted(colors)), tuple(things))
        thing = things[0] if things else self.one(query.objects)
        self.doubt(0.8)
        return Result(self.color(thing), (thing,))

    def changes(self, query: Changes) -> Result:
        """What was moved, is gone, or is new."""
        found = {
            state: [t for t in self.index.things if self._is(t, state)]
            for state in (("moved", "gone", "new") if query.state == "any" else (query.state,))
        }
        things = tuple(
            dict.fromkeys(t for group in found.values() for t in group if t.label != UNKNOWN_LABEL or len(group) == 1)
        )
        if query.yes_no:
            return Result(
                "Yes" if things else "No", things, message="; ".join(f"{s}: {listed(g)}" for s, g in found.items() if g)
            )
        parts = [
            f"{listed(group)} {_BECAME[state]}" if query.state == "any" else listed(group)
            for state, group in found.items()
            if group
        ]
        return Result("; ".join(parts) or "nothing", things, names=tuple(dict.fromkeys(t.label for t in things)))

    def fate(self, query: Fate) -> Result:
        """Moved, gone, new, or unchanged."""
        things = self.all(query.objects, gone=True)
        if not things:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{query.objects}'")
        if len(things) > 1 and isinstance(query.objects, The):
            changed = [t for t in things if any(self._is(t, s) for s in _BECAME)]
            if len(changed) > 1:
                raise self.ambiguous(query.objects, changed)
            things = changed or things
        fates = [next((s for s in ("gone", "moved", "new") if self._is(t, s)), "unchanged") for t in things]
        text = ", ".join(dict.fromkeys(fates))
        return Result(text, tuple(things), names=(text,), message="; ".join(self.place(t) for t in things[:3]))

    def fits(self, query: Fits) -> Result:
        """Yes if two objects stand farther apart than a width."""
        gap = self.distance(Distance(query.first, query.second))
        metres = self.index.distance(*gap.things[:2])
        self.margin(metres - query.width, self.sigma(*gap.things[:2]))
        return Result("Yes" if metres > query.width else "No", gap.things, message=f"they are {metres:.2f} m apart")

    def moved_by(self, query: MovedBy) -> Result:
        """Between the last place before and the place now, centre to centre."""
        thing = self.one(query.objects)
        previous = thing.object.previous_boxes if thing.object else ()
        metres = float(np.linalg.norm(thing.center - previous[-1].center)) if previous else 0.0
        if not previous:
            self.note(f"the {thing.label} was not moved")
        return self._number(metres, "length", (thing,), self.sigma(thing, thing))

    def seen(self, query: Seen) -> Result:
        """How long ago, from the newest frame of the map."""
        things = self.all(query.objects, gone=True)
        objects = [(t, t.object) for t in things if t.object is not None]
        if not objects:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{query.objects}'")
        if query.first:
            thing, stamp = min(((t, o.first_seen_ns) for t, o in objects), key=lambda x: x[1])
        else:
            thing, stamp = max(((t, o.last_seen_ns) for t, o in objects), key=lambda x: x[1])
        seconds = (self.index.snapshot.stamp_ns - stamp) * 1e-9
        result = self._number(max(seconds, 0.0), "time", (thing,), 0.1)
        result.text = "now" if seconds < 1 and not self.program.unit else f"{result.text} ago"
        result.message = f"at stamp {stamp * 1e-9:.2f} s"
        return result

    def describe(self) -> Result:
        """All there is, by class."""
        things = [t for t in self.index.present(self.index.things) if t.label != UNKNOWN_LABEL]
        unnamed = len(self.index.present(self.index.things)) - len(things)
        if unnamed:
            self.note(f"{unnamed} more without a name")
        return Result(
            listed(things, counts=True) or "nothing with a name",
            tuple(things),
            names=tuple(sorted({t.label for t in things})),
        )

    def route(self, query: Route) -> Result:
        """Turns that complete a given route, or a way over free floor."""
        if query.steps:
            return self._complete_route(query)
        view = self.standing() if query.start is None else View(self.one(query.start).center, None)
        goal = self.one(query.goal, near=self.index.asker(view.position))
        path = routes.plan(self.index.snapshot.floor, view.position[:2], goal.box)
        if query.yes_no and not self.index.snapshot.floor.free.any():
            return self._straight_way(view, goal)
        if query.yes_no:
            if path is None:
                self.doubt(0.7)
            return Result(
                "Yes" if path is not None else "No",
                (goal,),
                message="" if path is not None else "no free floor leads there",
            )
        if path is None:
            self.doubt(0.3)
            self.note("no free floor is known on the way; this is the straight line")
            path = np.stack([view.position[:2], goal.center[:2]])
        length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        return Result(routes.in_words(path, view.facing, shown(goal.label)), (goal,), length, "m", 0.1 + 0.05 * length)

    def _straight_way(self, view: View, goal: Thing) -> Result:
        """Without a floor plan: is the straight line clear of everything that stands on the floor?"""
        line = np.linspace(view.position[:2], goal.center[:2], 2 + int(_STEPS_PER_METRE * _length(view, goal)))
        here = self.index.asker(view.position)
        for thing in self.index.present(self.index.things):
            clear = same(thing, goal) or self.index.distance(here, thing) < 0.05
            if clear or thing.box.bottom - self.index.floor > _OVERHEAD or thing.box.top - self.index.floor < 0.05:
                continue
            points = np.column_stack([line, np.full(len(line), thing.center[2])])
            if np.linalg.norm((thing.box.closest_point(points) - points)[:, :2], axis=1).min() < _HALF_PATH:
                raise Unanswerable(
                    Status.NOT_FOUND, f"no free floor is known; on the straight way stands the {thing.label}", [thing]
                )
        self.doubt(0.6)
        return Result("Yes", (goal,), message="no free floor is known; nothing stands on the straight way")

    def _complete_route(self, query: Route) -> Result:
        """Turns of a robot that goes from object to object: left, right, or back beyond 135 degrees (VSI-Bench route
        planning).
        """
        position, facing = self.looking()
        position = position[:2]
        turns: list[str] = []
        things: list[Thing] = []
        stops = [None if s.until is None else self.one(s.until) for s in query.steps]
        for k, stop in enumerate(stops):
            if stop is not None:
                heading = unit_vector(stop.center[:2] - position)
                facing = facing if heading is None else heading
                position = stop.center[:2]
                things.append(stop)
                continue
            target = next((s for s in stops[k + 1 :] if s is not None), None) or self.one(query.goal)
            side, margin = rel.nearest_side(rel.angle_to(position, facing, target.center), ("left", "right", "back"))
            self.margin(margin, 15.0)
            turns.append(f"turn {side}")
            facing_to = unit_vector(target.center[:2] - position)
            facing = facing if facing_to is None else facing_to
        text = ", ".join(turns)
        return Result(text, tuple(things), names=(text,))


_STEPS_PER_METRE = 10
_HALF_PATH = 0.25
"""A way is clear if nothing stands nearer to it [m]."""
_OVERHEAD = 1.9
"""What hangs higher is no obstacle [m]."""


def _broad_side(thing: Thing) -> float:
    """Area of the largest side, square metres."""
    return float(np.prod(np.sort(thing.box.size)[1:]))


def _length(view: View, goal: Thing) -> float:
    return float(np.linalg.norm((goal.center - view.position)[:2]))


_EIGHT = ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")
_FOUR = ("front", "left", "back", "right")
_DIGITS = {
    "m": 2,
    "ft": 2,
    "yd": 2,
    "m^2": 1,
    "ft^2": 0,
    "m^3": 2,
    "rad": 2,
    "km": 4,
    "cm": 0,
    "mm": 0,
    "deg": 0,
    "in": 0,
    "cm^2": 0,
    "in^2": 0,
}
_CLOCK = tuple(f"{h} o'clock" for h in range(1, 13))
_BECAME = {"moved": "moved", "gone": "gone", "new": "new"}


def _absent_kind(executor: Executor, objects: Objects) -> str | None:
    """The class asked about if it is the scene's lack of it (not of an anchor) that leaves nothing, and the map would
    have named it.
    """
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    kinds = objects.items if isinstance(objects, Union) else (objects,)
    names = [k.name for k in kinds if isinstance(k, Kind)]
    missing = [n for n in names if n != "object" and not executor.match(n).labels]
    return (
        ", ".join(missing) if missing and len(missing) == len(kinds) and all(map(executor.could_see, missing)) else None
    )


def _looked_at(objects: Objects) -> bool:
    """True if anything at all at some place is asked for, and the place is open to view (not in a fridge)."""
    conditions = []
    while isinstance(objects, The | All | Filter):
        if isinstance(objects, Filter):
            conditions.append(objects.condition)
        objects = objects.objects
    visible = all(
        isinstance(c, Side | Within | Colored | Exceeds) or (isinstance(c, Relation) and c.name != "in")
        for c in conditions
    )
    return isinstance(objects, Kind) and objects.name == "object" and bool(conditions) and visible


def _is_nearest(objects: Objects) -> bool:
    inner = strip(objects)
    return isinstance(inner, Pick) and inner.measure.name == "distance"


def _any_object(objects: Objects) -> bool:
    """True if things of any class are asked for."""
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    return isinstance(objects, Kind) and objects.name == "object"


def words_of(condition: Condition) -> str:
    """A condition in words."""
    if isinstance(condition, Relation):
        return _RELATION_WORDS.get(condition.name, condition.name) + (
            f" the {said(condition.anchors[0])}" if condition.name in ("on", "in", "at", "beside", "near") else ""
        )
    if isinstance(condition, Side):
        return condition.direction
    return f"on the {condition.name}" if isinstance(condition, Place) else str(condition)


_RELATION_WORDS = {
    "front_of": "in front",
    "left_of": "left",
    "right_of": "right",
    "beside": "next to",
    "touching": "touching",
}


def side_of(text: str) -> str | None:
    """The direction that an option names: "to the back left" -> back-left."""
    words = (
        text.lower()
        .replace("-", " ")
        .replace("forward", "front")
        .replace("behind", "back")
        .replace("backward", "back")
        .replace("ahead", "front")
        .split()
    )
    found = [w for w in ("front", "back", "left", "right") if w in words]
    return "-".join(found) if found and len(words) <= 6 and "-".join(found) in rel.SIDE_ANGLES else None

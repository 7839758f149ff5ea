"""Distances, sizes and areas, in the unit asked for."""

from __future__ import annotations

import math
from dataclasses import replace

from proxy3d_core.reasoning import counting
from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import BOX_SIGMA, Evaluator, Unanswerable, is_nearest, same
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.phrases import CUBIC, SQUARE, UNITS
from proxy3d_core.reasoning.program import All, Difference, Distance, Me, Objects, RoomExceeds, RoomSize, Size, The
from proxy3d_core.reasoning.result import Result


def distance(scene: Evaluator, query: Distance) -> Result:
    """Closest points; the nearest pair if a class is named, one object each if "the" is said."""
    before = scene.certainty
    first, second = _pair(scene, query.first), _pair(scene, query.second)
    if any(is_nearest(x) for x in (query.first, query.second)):
        scene.certainty = before  # which of two is nearer matters little to how far the nearest is
    asker = isinstance(query.second, Me)
    if len(first) > 1 and isinstance(query.first, The):
        if not asker:
            raise scene.ambiguous(query.first, first)
        scene.note(f"{len(first)} fit '{query.first}'; the nearest was taken")
        scene.doubt(0.6)
    if len(second) > 1 and isinstance(query.second, The):
        raise scene.ambiguous(query.second, second)
    pairs = [
        (float(d), a, b)
        for a in first
        for b, d in zip(second, _distances(scene, a, second, query.centers), strict=True)
        if not same(a, b)
    ]
    if not pairs:
        raise Unanswerable(Status.AMBIGUOUS, f"'{query.first}' and '{query.second}' are the same object", first)
    metres, a, b = min(pairs, key=lambda p: p[0])
    if a.object is None and b.object is not None:
        a, b = b, a
    result = number(scene, metres, "length", (a, b), scene.sigma(a, b))
    if result.unit == "m" and metres >= 0.2:
        result.text = f"{metres:.1f} m"  # boxes are known to a few centimetres
    return result


def _distances(scene: Evaluator, thing: Thing, others: list[Thing], centers: bool) -> list[float]:
    if centers:
        return [math.dist(thing.center, other.center) for other in others]
    return [float(d) for d in scene.index.distances(thing, others)]


def size(scene: Evaluator, query: Size) -> Result:
    """An edge, the floor area or the volume of one object."""
    things = scene.all(query.objects)
    if len(things) > 1 and isinstance(query.objects, All) and query.measure.name != "dimensions":
        return _sizes(scene, query, things)
    if len(things) > 1:
        if scene.view is not None and isinstance(query.objects, The) and scene.question.viewpoint is not None:
            things = [scene.one(query.objects, near=scene.index.asker(scene.view.position))]
        else:
            raise scene.ambiguous(query.objects, things)
    return _size(scene, query, things[0] if things else scene.one(query.objects))


def _sizes(scene: Evaluator, query: Size, things: list[Thing]) -> Result:
    """Of all chairs: one number where they agree, else a list."""
    results = [_size(scene, query, thing) for thing in things]
    values = [r.value or 0.0 for r in results]
    if max(values) - min(values) <= 0.05 * max(values):
        return replace(results[0], things=tuple(things), message=f"each of {len(things)}")
    text = ", ".join(r.text for r in results)
    return replace(results[0], text=text, things=tuple(things), value=None, sigma=None)


def _size(scene: Evaluator, query: Size, thing: Thing) -> Result:
    sigma = BOX_SIGMA * math.sqrt(2)
    if query.measure.name == "dimensions":
        long, short, height = rel.edges(thing.box)
        result = number(scene, max(thing.box.size), "length", (thing,), sigma)
        scale = result.value / max(float(max(thing.box.size)), 1e-9) if result.value else 1.0
        result.text = (
            " x ".join(f"{edge * scale:.{0 if result.unit in ('cm', 'mm') else 2}f}" for edge in (long, short, height))
            + f" {result.unit}"
        )
        result.message = "length x width x height; value is the longest edge"
        return result
    value = scene.measure(thing, query.measure)
    kind = {"area": "area", "volume": "volume"}.get(query.measure.name, "length")
    if kind == "area":
        sigma *= sum(rel.edges(thing.box)[:2])
    elif kind == "volume":
        sigma *= value * sum(1 / max(float(e), 1e-3) for e in thing.box.size)
    result = number(scene, value, kind, (thing,), sigma)
    if query.measure.name == "size":
        result.message = " x ".join(f"{edge:.2f}" for edge in rel.edges(thing.box)) + " m (length x width x height)"
    return result


def difference(scene: Evaluator, query: Difference) -> Result:
    """One measure less the other."""
    if query.measure.name == "count":
        (more, first_things), (fewer, others) = (counting.counted(scene, x) for x in (query.first, query.second))
        things = (*first_things, *others)
        return Result(str(more - fewer), things, more - fewer, "count", 0.0, message=f"{more} and {fewer}")
    first, second = scene.one(query.first), scene.one(query.second)
    value = scene.measure(first, query.measure) - scene.measure(second, query.measure)
    kind = {"area": "area", "volume": "volume"}.get(query.measure.name, "length")
    result = number(scene, abs(value), kind, (first, second), scene.sigma(first, second))
    result.message = f"the {(first if value > 0 else second).label} has more"
    return result


def room_size(scene: Evaluator, query: RoomSize) -> Result:
    """The floor area of the map, or the edges of the room's outline."""
    if query.measure not in ("area", "dimensions", "length", "width"):
        raise Unanswerable(Status.NOT_FOUND, f"the map does not know the {query.measure} of the room")
    if query.measure != "area":
        return _room_edges(scene, query.measure)
    area, sigma = _floor_area(scene)
    return number(scene, area, "area", (), sigma)


def room_exceeds(scene: Evaluator, query: RoomExceeds) -> Result:
    """Yes or no, by the floor area of the map."""
    area, sigma = _floor_area(scene)
    if abs(area - query.area) < sigma:
        scene.doubt(0.6)
    holds = area < query.area if query.less else area > query.area
    return Result("Yes" if holds else "No", (), message=f"the floor is {area:.1f} m^2")


def number(scene: Evaluator, value: float, kind: str, things: tuple[Thing, ...], sigma: float) -> Result:
    """A number in the unit asked for."""
    unit, factor = {
        "length": ("m", 1.0),
        "area": ("m^2", 1.0),
        "volume": ("m^3", 1.0),
        "time": ("s", 1.0),
        "angle": ("deg", 1.0),
    }[kind]
    asked = scene.program.unit
    if asked:
        base = next((name for name, f, k in UNITS.values() if name == asked), asked)
        table = {
            "length": {n: f for n, f, k in UNITS.values() if k == "length"},
            "area": dict(SQUARE.values()),
            "volume": dict(CUBIC.values()) | {n: f for n, f, k in UNITS.values() if k == "volume"},
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


def _pair(scene: Evaluator, objects: Objects) -> list[Thing]:
    things = scene.all(objects)
    return things if things else [scene.one(objects)]


def _floor_area(scene: Evaluator) -> tuple[float, float]:
    """Square metres, and their standard deviation."""
    area = scene.index.snapshot.floor.area
    if area is not None:
        return area, 0.05 * area
    room, seen = scene.index.bounds
    if not scene.index.things and not seen:
        raise Unanswerable(Status.NO_SCENE, "nothing of the room has been seen yet")
    scene.doubt(0.3)
    scene.note("the floor is not in the map; the outline of what was seen was used")
    area = float(room.size[0] * room.size[1])
    return area, 0.3 * area


def _room_edges(scene: Evaluator, measure: str) -> Result:
    room, seen = scene.index.bounds
    if not scene.index.things and not seen:
        raise Unanswerable(Status.NO_SCENE, "nothing of the room has been seen yet")
    if not seen:
        scene.doubt(0.5)
        scene.note("the walls are not in the map; the outline of all objects was used")
    long, short, _ = rel.edges(room)
    sigma = 0.1 if seen else 0.3
    result = number(scene, short if measure == "width" else long, "length", (), sigma)
    if measure == "dimensions":
        other = number(scene, short, "length", (), sigma)
        result.text = f"{result.text} x {other.text}"
    return result


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

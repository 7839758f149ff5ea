"""Where things are, in words: on, under or next to what, how far, in which direction."""

from __future__ import annotations

import numpy as np

from proxy3d_core.reasoning import directions
from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning.evaluate import Evaluator, coordinates, same, shown
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.program import The, Where
from proxy3d_core.reasoning.result import Result
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL


def where(scene: Evaluator, query: Where) -> Result:
    """In words: on or next to what, how far, in which direction."""
    if query.before:
        return _where_before(scene, query)
    if query.coordinates:
        things = [scene.one(query.objects)] if isinstance(query.objects, The) else scene.all(query.objects)
        return Result("; ".join(coordinates(t.center) for t in things), tuple(things))
    things = scene.all(query.objects)
    if not things:
        things = [scene.one(query.objects)]
    if len(things) > 1 and isinstance(query.objects, The):
        raise scene.ambiguous(query.objects, things)
    if len(things) > 1:
        places = "; ".join(f"{shown(t.label)} {place(scene, t)}" for t in things[:8])
        return Result(places, tuple(things))
    thing = things[0]
    if thing.object is None:
        thing = scene.in_region(thing)
    if not scene.index.snapshot.complete:
        scene.doubt(0.4)  # a better landmark may be left out
    scene.note(f"centre at {coordinates(thing.center)}")
    return Result(place(scene, thing), (thing, *landmark(scene, thing)[1]))


def _where_before(scene: Evaluator, query: Where) -> Result:
    thing = scene.one(query.objects)
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
        place(scene, ghost, other_than=thing), (thing,), message=f"its centre was at {coordinates(box.center)}"
    )


def place(scene: Evaluator, thing: Thing, other_than: Thing | None = None) -> str:
    """On the desk, 2.1 m to the front-left."""
    words, _ = landmark(scene, thing, other_than)
    if scene.view is not None:
        away = scene.index.distance(scene.index.asker(scene.view.position), thing)
        side = ""
        if scene.view.facing is not None:
            name, _ = rel.nearest_side(
                rel.angle_to(scene.view.position, scene.view.facing, thing.center), directions.EIGHT
            )
            side = {"front": " ahead", "back": " behind"}.get(name, f" to the {name}")
        words = ", ".join(x for x in (words, f"{away:.1f} m{side}" if side else f"{away:.1f} m away") if x)
    return words or f"at {coordinates(thing.center)}"


def landmark(scene: Evaluator, thing: Thing, other_than: Thing | None = None) -> tuple[str, list[Thing]]:
    """What a thing is on, in or next to."""
    others = [
        t
        for t in scene.index.present(scene.index.things)
        if not same(t, thing) and t is not other_than and t.label != UNKNOWN_LABEL
    ]
    if not others:
        return "", []
    gaps, distances = scene.index.gaps(thing, others), scene.index.distances(thing, others)
    own, boxes = scene.index.boxes_of([thing]), scene.index.boxes_of(others)
    supports = rel.carries(boxes, own, gaps)
    if supports.max() > 0:
        support = others[int(supports.argmax())]
        return f"on the {shown(support.label)}", [support]
    carries = rel.on(boxes, own) > 0
    distances = np.where(carries & ~carries.all(), np.inf, distances)  # a table is not "under the mug"
    nearest = int(np.argmin(distances))
    name = f"the {shown(others[nearest].label)}"
    if rel.under(own, boxes[[nearest]], gaps[[nearest]])[0] > 0:
        return f"under {name}", [others[nearest]]
    distance = float(distances[nearest])
    return (f"next to {name}" if distance <= rel.BESIDE else f"{distance:.1f} m from {name}"), [others[nearest]]

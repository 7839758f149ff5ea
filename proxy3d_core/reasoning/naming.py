"""What something is called, what is at a place, and of which colour it is."""

from __future__ import annotations

import numpy as np

from proxy3d_core.reasoning import placing, verifying
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, coordinates, is_nearest, listed, said, shown
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.lexicon import concept
from proxy3d_core.reasoning.parts import strip
from proxy3d_core.reasoning.program import (
    All,
    Color,
    Colored,
    Exceeds,
    Filter,
    Identify,
    Kind,
    Objects,
    Other,
    Pick,
    Region,
    Relation,
    Side,
    The,
    Union,
    Within,
)
from proxy3d_core.reasoning.result import Result
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL


def identify(scene: Evaluator, query: Identify) -> Result:
    """Names of what fits."""
    objects = query.objects
    if isinstance(objects, (Region, The)) and isinstance(getattr(objects, "objects", objects), Region):
        thing = scene.in_region(scene.all(objects)[0])
        return Result(shown(thing.label), (thing,), names=(shown(thing.label), thing.label))
    scene.naming = _any_object(objects)
    things = _among_options(scene, objects) if scene.options else scene.all(objects)
    if not things and not scene.options and scene.index.snapshot.complete and _looked_at(objects):
        scene.doubt(0.8)
        scene.note("nothing that the map knows is there")
        return Result("nothing", names=("nothing", "none"))
    if not things:
        raise Unanswerable(Status.NOT_FOUND, f"of what the scene knows, nothing fits '{objects}'")
    if not scene.index.snapshot.complete and not scene.options and _any_object(objects):
        message = "the scene lists only things of some classes; what else is there is not known"
        if not isinstance(strip(objects), Pick):
            raise Unanswerable(Status.NOT_FOUND, f"{message}. Of those listed it would be: {listed(things)}", things)
        scene.doubt(0.45)
        scene.note(message)
    if (
        isinstance(objects, The)
        and {concept(said(objects))} == {concept(t.label) for t in things}
        and not is_nearest(objects)
    ):
        scene.doubt(0.4)  # "what is the window above the table": its name was said, something else is asked
    if len(things) > 1 and (side := _one_of_them(objects)) is not None:
        margins = [m for m, _ in scene.margins(things, side)]
        things = [things[int(np.argmax(margins))]]
        scene.margin(*_lead(margins))
    if scene.view is not None and len(things) > 1:
        order = np.argsort(scene.index.distances(scene.index.asker(scene.view.position), things), kind="stable")
        things = [things[i] for i in order]
    if all(t.label == UNKNOWN_LABEL for t in things):
        scene.note("the map has no name for it")
        scene.doubt(0.5)
    labels = tuple(dict.fromkeys(t.label for t in things))
    if len(things) == 1 and not _any_object(objects) and not scene.options:
        return Result(told_apart(scene, things[0]), tuple(things), names=labels)
    return Result(listed(things), tuple(things), names=labels)


def _one_of_them(objects: Objects) -> Side | None:
    """The side on which one of several is said to be: "on my left, the bed or the desk"."""
    if isinstance(objects, Filter) and isinstance(objects.objects, Union) and isinstance(objects.condition, Side):
        return objects.condition
    return None


def _lead(margins: list[float]) -> tuple[float, float]:
    """By how many degrees the best is more on that side than the next, and the deviation of that."""
    best, second = sorted(margins, reverse=True)[:2]
    return best - second, 15.0


def told_apart(scene: Evaluator, thing: Thing) -> str:
    """A name that tells a thing from others of its label: by its colour, what it is next to, or its coordinates."""
    name = shown(thing.label)
    others = [t for t in scene.index.present(scene.index.by_label.get(thing.label, ())) if t is not thing]
    if not others or thing.label == UNKNOWN_LABEL:
        return name
    colored = all(t.object is not None and t.object.color is not None for t in (thing, *others))
    if colored and scene.color(thing) not in {scene.color(t) for t in others}:
        return f"{scene.color(thing)} {name}"
    place = placing.landmark(scene, thing)[0]
    alone = place and all(placing.landmark(scene, t)[0] != place for t in others)
    return f"{name} {place}" if alone else f"{name} at {coordinates(thing.center)}"


def color_of(scene: Evaluator, query: Color) -> Result:
    """The name of the mean colour."""
    things = scene.all(query.objects)
    if len(things) > 1:
        colors = {scene.color(t) for t in things}
        if len(colors) == 1:
            return Result(colors.pop(), tuple(things))
        if isinstance(query.objects, The):
            things = verifying.most_likely(scene, query.objects, things)
        else:
            return Result(", ".join(sorted(colors)), tuple(things))
    thing = things[0] if things else scene.one(query.objects)
    scene.doubt(0.8)
    return Result(scene.color(thing), (thing,))


def describe(scene: Evaluator) -> Result:
    """All there is, by class."""
    things = [t for t in scene.index.present(scene.index.things) if t.label != UNKNOWN_LABEL]
    unnamed = len(scene.index.present(scene.index.things)) - len(things)
    if unnamed:
        scene.note(f"{unnamed} more without a name")
    return Result(
        listed(things, counts=True) or "nothing with a name",
        tuple(things),
        names=tuple(sorted({t.label for t in things})),
    )


def _among_options(scene: Evaluator, objects: Objects) -> list[Thing]:
    """What fits, of the things that the options name."""
    offered = [t for o in scene.options for t in _named(scene, o.text)]
    if not offered:
        return scene.all(objects)
    return _restricted(scene, objects, offered)


def _restricted(scene: Evaluator, objects: Objects, offered: list[Thing]) -> list[Thing]:
    if isinstance(objects, The | All):
        return _restricted(scene, objects.objects, offered)
    if isinstance(objects, Filter):
        return scene.keep(_restricted(scene, objects.objects, offered), objects.condition)
    if isinstance(objects, Pick):
        ranked = scene.rank(_restricted(scene, objects.objects, offered), objects.measure, objects.most)
        return ranked[objects.rank - 1 : objects.rank]
    allowed = {t.index for t in scene.all(objects)}
    return [t for t in dict.fromkeys(offered) if t.index in allowed]


def _named(scene: Evaluator, text: str) -> list[Thing]:
    """Present things of the class that an option names."""
    name = concept(text.lower().strip(" .").removeprefix("the ").removeprefix("a ").removeprefix("an "))
    match = scene.match(name)
    return scene.index.present(t for label in sorted(match.labels) for t in scene.index.by_label[label])


def _looked_at(objects: Objects) -> bool:
    """True if anything at all at some place is asked for, and the place is open to view (not in a fridge)."""
    conditions = []
    while isinstance(objects, The | All | Filter):
        if isinstance(objects, Filter):
            conditions.append(objects.condition)
        objects = objects.objects
    visible = all(
        isinstance(c, Side | Within | Colored | Exceeds | Other) or (isinstance(c, Relation) and c.name != "in")
        for c in conditions
    )
    return isinstance(objects, Kind) and objects.name == "object" and bool(conditions) and visible


def _any_object(objects: Objects) -> bool:
    """True if things of any class are asked for."""
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    return isinstance(objects, Kind) and objects.name == "object"

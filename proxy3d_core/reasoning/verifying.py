"""Whether something holds, and which of several things holds best."""

from __future__ import annotations

from proxy3d_core.reasoning import measuring
from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, said
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.program import (
    Alike,
    All,
    Changed,
    Colored,
    Condition,
    Distance,
    Exceeds,
    Fits,
    Measure,
    Not,
    Objects,
    Place,
    Relation,
    RelationOf,
    Side,
    The,
    Together,
    Verify,
)
from proxy3d_core.reasoning.result import Result


def verify(scene: Evaluator, query: Verify) -> Result:
    """Yes or no."""
    condition = query.condition
    changes = isinstance(condition, Changed) or (
        isinstance(condition, Not) and isinstance(condition.condition, Changed)
    )
    things = scene.all(query.objects, gone=changes)
    if not things:
        raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{query.objects}'")
    if isinstance(query.objects, The) and len(things) > 1 and not changes:
        things = most_likely(scene, query.objects, things)
    before = scene.certainty
    kept = scene.keep(things, condition)
    if len(things) > 1:
        scene.certainty = min(before, max(scene.certainty, 0.5 * before))
    holds = len(kept) == len(things) if isinstance(query.objects, All) and not changes else bool(kept)
    evidence = (*kept, *(t for t in things if t not in kept))
    return Result("Yes" if holds else "No", evidence + anchors(scene, condition))


def relation_of(scene: Evaluator, query: RelationOf) -> Result:
    """Which of the relations holds best."""
    near = scene.index.asker(scene.view.position) if scene.view is not None else None
    thing = scene.one(query.objects, near=near)
    margins = [scene.margins([thing], c)[0] for c in query.choices]
    best = max(range(len(margins)), key=lambda i: margins[i][0])
    ordered = sorted((m for m, _ in margins), reverse=True)
    scene.margin(ordered[0] - ordered[1], max(margins[best][1], 0.05) * 1.4)
    if margins[best][0] <= -0.5:
        scene.doubt(0.5)
    return Result(words_of(query.choices[best]), (thing, *anchors(scene, query.choices[best])))


def fits(scene: Evaluator, query: Fits) -> Result:
    """Yes if two objects stand farther apart than a width."""
    gap = measuring.distance(scene, Distance(query.first, query.second))
    metres = scene.index.distance(*gap.things[:2])
    scene.margin(metres - query.width, scene.sigma(*gap.things[:2]))
    return Result("Yes" if metres > query.width else "No", gap.things, message=f"they are {metres:.2f} m apart")


def alike(scene: Evaluator, query: Alike) -> Result:
    """Yes if all have one colour; a measure counts as the same within a twentieth."""
    things = list(dict.fromkeys(t for item in query.items for t in _each(scene, item)))
    if len(things) < 2:
        raise Unanswerable(Status.NOT_FOUND, "there is only one of them, nothing to compare it with", things)
    if query.measure == "color":
        colors = [scene.color(t) for t in things]
        scene.doubt(0.8)
        message = ", ".join(f"{t.label} {c}" for t, c in zip(things, colors, strict=True))
        return Result("Yes" if len(set(colors)) == 1 else "No", tuple(things), message=message)
    values = scene.measures(things, Measure(query.measure))
    spread = float(values.max() - values.min()) / max(float(values.max()), 1e-6)
    scene.margin(spread - _ALIKE, 0.05)
    message = ", ".join(f"{t.label} {v:.2f}" for t, v in zip(things, values, strict=True))
    return Result("Yes" if spread < _ALIKE else "No", tuple(things), message=message)


def _each(scene: Evaluator, objects: Objects) -> list[Thing]:
    """What a description means; "the chair" among several is the nearest one, or ambiguous."""
    things = scene.all(objects)
    if not things:
        raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{objects}'")
    return most_likely(scene, objects, things) if isinstance(objects, The) and len(things) > 1 else things


def together(scene: Evaluator, query: Together) -> Result:
    """Yes if one anchor, or one side of the asker, has them all."""
    things = list(dict.fromkeys(t for item in query.items for t in _each(scene, item)))
    if len(things) < 2:
        raise Unanswerable(Status.NOT_FOUND, "there is only one of them", things)
    if query.relation == "side":
        position, facing = scene.looking()
        angles = [rel.angle_to(position, facing, t.center) for t in things]
        sides = {rel.nearest_side(angle, ("left", "right"))[0] for angle in angles}
        for angle in angles:
            scene.margin(min(abs(angle), 180 - abs(angle)), 5.0)
        return Result("Yes" if len(sides) == 1 else "No", tuple(things))
    anchors = [t for t in scene.all(query.anchor) if t not in things]
    held = [a for a in anchors if all(scene.related(t, a, query.relation) for t in things)]
    return Result("Yes" if held else "No", (*things, *held))


def most_likely(scene: Evaluator, objects: Objects, things: list[Thing]) -> list[Thing]:
    """ "The chair" among several: the nearest to the asker, if there is one."""
    if scene.view is None:
        raise scene.ambiguous(objects, things)
    return [scene.one(objects, near=scene.index.asker(scene.view.position))]


def anchors(scene: Evaluator, condition: Condition) -> tuple[Thing, ...]:
    """The objects that a condition relates to: evidence of the answer."""
    if isinstance(condition, Relation):
        return tuple(t for a in condition.anchors for t in scene.all(a) if t.object)
    if isinstance(condition, Exceeds) and not isinstance(condition.than, float):
        return tuple(t for t in scene.all(condition.than) if t.object)
    return ()


def words_of(condition: Condition) -> str:
    """A condition in words."""
    if isinstance(condition, Relation):
        return _RELATION_WORDS.get(condition.name, condition.name) + (
            f" the {said(condition.anchors[0])}" if condition.name in ("on", "in", "at", "beside", "near") else ""
        )
    if isinstance(condition, Side):
        return condition.direction
    if isinstance(condition, Colored):
        return condition.color
    return f"on the {condition.name}" if isinstance(condition, Place) else str(condition)


_ALIKE = 0.05
"""Measures that differ by less, as a part of the larger, count as the same."""
_RELATION_WORDS = {
    "front_of": "in front",
    "left_of": "left",
    "right_of": "right",
    "beside": "next to",
    "touching": "touching",
}

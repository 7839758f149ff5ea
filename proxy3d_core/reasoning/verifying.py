"""Whether something holds, and which of several things holds best."""

from __future__ import annotations

from proxy3d_core.reasoning import measuring
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, said
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.program import (
    All,
    Changed,
    Condition,
    Distance,
    Exceeds,
    Fits,
    Not,
    Objects,
    Place,
    Relation,
    RelationOf,
    Side,
    The,
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


def most_likely(scene: Evaluator, objects: Objects, things: list[Thing]) -> list[Thing]:
    """ "The chair" among several: the nearest to the asker, if there is one."""
    if scene.view is None:
        raise scene.ambiguous(objects, things)
    return [scene.one(objects, near=scene.index.asker(scene.view.position))]


def anchors(scene: Evaluator, condition: Condition) -> tuple[Thing, ...]:
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
    return f"on the {condition.name}" if isinstance(condition, Place) else str(condition)


_RELATION_WORDS = {
    "front_of": "in front",
    "left_of": "left",
    "right_of": "right",
    "beside": "next to",
    "touching": "touching",
}

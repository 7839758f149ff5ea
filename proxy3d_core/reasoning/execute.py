"""Programs computed on a scene: each kind of query is answered by the module named after it."""

from __future__ import annotations

from dataclasses import replace

from proxy3d_core.reasoning import (
    changes,
    counting,
    directions,
    measuring,
    naming,
    navigating,
    ordering,
    placing,
    verifying,
)
from proxy3d_core.reasoning.evaluate import Evaluator
from proxy3d_core.reasoning.parts import strip
from proxy3d_core.reasoning.program import (
    Alike,
    Both,
    Changes,
    Color,
    Compare,
    Count,
    CountTest,
    Describe,
    Difference,
    Direction,
    Distance,
    Exists,
    Fate,
    Fits,
    Identify,
    MovedBy,
    Order,
    Pick,
    Query,
    Ranking,
    RelationOf,
    RoomExceeds,
    RoomSize,
    Route,
    Seen,
    Size,
    Together,
    Verify,
    Where,
)
from proxy3d_core.reasoning.result import Result


def answer(scene: Evaluator) -> Result:
    """The answer to the query of the scene's program; raises ``Unanswerable``."""
    return _answer(scene, scene.program.query)


def _answer(scene: Evaluator, query: Query) -> Result:
    match query:
        case Both() as query:
            return _all_of(scene, query)
        case Count() as query:
            return counting.count(scene, query)
        case CountTest() as query:
            return counting.count_test(scene, query)
        case Exists() as query:
            return counting.exists(scene, query)
        case Verify() as query:
            return verifying.verify(scene, query)
        case Where() as query if scene.options and isinstance(strip(query.objects), Pick):
            return naming.identify(scene, Identify(query.objects, one=True))  # "choose the one you saw first"
        case Where() as query:
            return placing.where(scene, query)
        case Distance() as query:
            return measuring.distance(scene, query)
        case Size() as query:
            return measuring.size(scene, query)
        case Difference() as query:
            return measuring.difference(scene, query)
        case RoomExceeds() as query:
            return measuring.room_exceeds(scene, query)
        case RoomSize() as query:
            return measuring.room_size(scene, query)
        case Direction() as query:
            return directions.direction(scene, query)
        case RelationOf() as query:
            return verifying.relation_of(scene, query)
        case Identify() as query:
            return naming.identify(scene, query)
        case Compare() as query:
            return ordering.compare(scene, query)
        case Order() as query:
            return ordering.order(scene, query)
        case Ranking() as query:
            return ordering.ranking(scene, query)
        case Alike() as query:
            return verifying.alike(scene, query)
        case Together() as query:
            return verifying.together(scene, query)
        case Color() as query:
            return naming.color_of(scene, query)
        case Changes() as query:
            return changes.changes(scene, query)
        case Fate() as query:
            return changes.fate(scene, query)
        case Fits() as query:
            return verifying.fits(scene, query)
        case MovedBy() as query:
            return changes.moved_by(scene, query)
        case Seen() as query:
            return changes.seen(scene, query)
        case Describe():
            return naming.describe(scene)
        case Route() as query:
            return navigating.route(scene, query)


def _all_of(scene: Evaluator, query: Both) -> Result:
    """All answers in the text; the number is that of the first."""
    results = [_answer(scene, part) for part in query.queries]
    things = tuple({id(t): t for r in results for t in r.things}.values())
    message = "; ".join(dict.fromkeys(r.message for r in results if r.message))
    return replace(results[0], text=", ".join(r.text for r in results), things=things, message=message, names=())

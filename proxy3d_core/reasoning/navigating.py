"""Ways over free floor, and turns that complete a given route."""

from __future__ import annotations

import numpy as np

from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning import routes
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, View, same, shown, unit_vector
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.program import Route
from proxy3d_core.reasoning.result import Result


def route(scene: Evaluator, query: Route) -> Result:
    """Turns that complete a given route, or a way over free floor."""
    if query.steps:
        return _complete_route(scene, query)
    view = scene.standing() if query.start is None else View(scene.one(query.start).center, None)
    goal = scene.one(query.goal, near=scene.index.asker(view.position))
    path = routes.plan(scene.index.snapshot.floor, view.position[:2], goal.box)
    if query.yes_no and not scene.index.snapshot.floor.free.any():
        return _straight_way(scene, view, goal)
    if query.yes_no:
        if path is None:
            scene.doubt(0.7)
        return Result(
            "Yes" if path is not None else "No",
            (goal,),
            message="" if path is not None else "no free floor leads there",
        )
    if path is None:
        scene.doubt(0.3)
        scene.note("no free floor is known on the way; this is the straight line")
        path = np.stack([view.position[:2], goal.center[:2]])
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return Result(routes.in_words(path, view.facing, shown(goal.label)), (goal,), length, "m", 0.1 + 0.05 * length)


def _straight_way(scene: Evaluator, view: View, goal: Thing) -> Result:
    """Without a floor plan: is the straight line clear of everything that stands on the floor?"""
    line = np.linspace(view.position[:2], goal.center[:2], 2 + int(_STEPS_PER_METRE * _length(view, goal)))
    here = scene.index.asker(view.position)
    for thing in scene.index.present(scene.index.things):
        clear = same(thing, goal) or scene.index.distance(here, thing) < 0.05
        if clear or thing.box.bottom - scene.index.floor > _OVERHEAD or thing.box.top - scene.index.floor < 0.05:
            continue
        points = np.column_stack([line, np.full(len(line), thing.center[2])])
        if np.linalg.norm((thing.box.closest_point(points) - points)[:, :2], axis=1).min() < _HALF_PATH:
            raise Unanswerable(
                Status.NOT_FOUND, f"no free floor is known; on the straight way stands the {thing.label}", [thing]
            )
    scene.doubt(0.6)
    return Result("Yes", (goal,), message="no free floor is known; nothing stands on the straight way")


def _complete_route(scene: Evaluator, query: Route) -> Result:
    """Turns of a robot that goes from object to object: left, right, or back beyond 135 degrees (VSI-Bench route
    planning).
    """
    position, facing = scene.looking()
    position = position[:2]
    turns: list[str] = []
    things: list[Thing] = []
    stops = [None if s.until is None else scene.one(s.until) for s in query.steps]
    for k, stop in enumerate(stops):
        if stop is not None:
            heading = unit_vector(stop.center[:2] - position)
            facing = facing if heading is None else heading
            position = stop.center[:2]
            things.append(stop)
            continue
        target = next((s for s in stops[k + 1 :] if s is not None), None) or scene.one(query.goal)
        side, margin = rel.nearest_side(rel.angle_to(position, facing, target.center), ("left", "right", "back"))
        scene.margin(margin, 15.0)
        turns.append(f"turn {side}")
        facing_to = unit_vector(target.center[:2] - position)
        facing = facing if facing_to is None else facing_to
    text = ", ".join(turns)
    return Result(text, tuple(things), names=(text,))


def _length(view: View, goal: Thing) -> float:
    return float(np.linalg.norm((goal.center - view.position)[:2]))


_STEPS_PER_METRE = 10


_HALF_PATH = 0.25
"""A way is clear if nothing stands nearer to it [m]."""


_OVERHEAD = 1.9
"""What hangs higher is no obstacle [m]."""

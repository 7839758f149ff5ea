"""What people do in a flat while the robot is elsewhere: things are moved, brought and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from proxy3d_training.simulation.furnish import Furnisher, Placed
from proxy3d_training.simulation.kinds import KINDS
from proxy3d_training.simulation.plan import Plan

_FLOOR = ("chair", "office chair", "stool", "suitcase", "box", "backpack", "trash can", "potted plant", "basket",
          "ottoman", "ball", "lamp", "shoes", "guitar", "fan", "armchair", "teddy bear")  # fmt: skip
_SURFACE = ("mug", "bottle", "bowl", "book", "laptop", "plate", "vase", "candle", "kettle", "toaster", "pot",
            "teddy bear", "table lamp")  # fmt: skip
_BROUGHT = ("suitcase", "box", "backpack", "ball", "shoes", "stool", "basket", "teddy bear", "potted plant")


@dataclass(frozen=True)
class Step:
    """One change: ``kind`` is moved, added or removed, ``id`` the thing's."""

    kind: str
    id: int


def change(plan: Plan, placed: Sequence[Placed], rng: Generator, count: int) -> tuple[list[Placed], list[Step]]:
    """Things after up to ``count`` changes, and the changes; no thing changes twice.

    A removed thing is missing from the list, an added one has a new id and stands at its end.
    """
    now, steps = list(placed), list[Step]()
    next_id = max(p.id for p in placed) + 1
    for kind in rng.choice(["moved", "moved", "added", "removed"], count * 3):
        if len(steps) == count:
            break
        carrying = {p.support for p in now}
        touched = {s.id for s in steps}
        loose = [p for p in now if p.id not in carrying and p.id not in touched and p.kind.name in (*_FLOOR, *_SURFACE)]
        if kind == "removed" and loose:
            gone = loose[int(rng.integers(len(loose)))]
            now = [p for p in now if p.id != gone.id]
            steps.append(Step("removed", gone.id))
        elif kind == "moved" and loose:
            thing = loose[int(rng.integers(len(loose)))]
            moved = _move(plan, now, thing, rng)
            if moved is not None:
                now = [moved if p.id == thing.id else p for p in now]
                steps.append(Step("moved", thing.id))
        elif kind == "added":
            brought = _bring(plan, now, rng, next_id)
            if brought is not None:
                now.append(brought)
                steps.append(Step("added", next_id))
                next_id += 1
    return now, steps


def _furnisher(plan: Plan, now: Sequence[Placed], room: int, rng: Generator, next_id: int) -> Furnisher:
    f = Furnisher(plan.space(room), plan.height, rng, next_id)
    f.resume(p for p in now if p.room == room)
    return f


def _move(plan: Plan, now: Sequence[Placed], thing: Placed, rng: Generator) -> Placed | None:
    """The thing somewhere else in its flat, half a metre away or more; None if no place was found."""
    others = [p for p in now if p.id != thing.id]
    same = rng.random() < 0.6
    room = thing.room if same else plan.spaces[int(rng.integers(len(plan.spaces)))].id
    f = _furnisher(plan, others, room, rng, thing.id)
    parts = list(thing.item.parts)
    if thing.on == "object" and thing.kind.name in _SURFACE:
        carriers = [p for p in f.placed if p.kind.top > 0 and p.kind.name not in ("box", "bookshelf", "wardrobe")]
        for i in rng.permutation(len(carriers)):
            got = f.on_top(thing.kind.name, carriers[i], (-0.8, 0.8), (-0.9, 0.9), jitter=90, parts=parts)
            if got is not None and _apart(got, thing) > 0.5:
                return got
            if got is not None:
                f = _furnisher(plan, others, room, rng, thing.id)
        return None
    places = [p for p in f.anywhere(40) if np.hypot(p[0] - thing.item.position[0], p[1] - thing.item.position[1]) > 0.8]
    return f.stand(thing.kind.name, places, parts)


def _apart(a: Placed, b: Placed) -> float:
    return float(np.linalg.norm(np.asarray(a.item.position) - b.item.position))


def _bring(plan: Plan, now: Sequence[Placed], rng: Generator, number: int) -> Placed | None:
    room = plan.spaces[int(rng.integers(len(plan.spaces)))].id
    f = _furnisher(plan, now, room, rng, number)
    if rng.random() < 0.5:
        carriers = [p for p in f.placed if p.kind.top > 0 and p.kind.name not in ("box", "bookshelf", "wardrobe")]
        if carriers:
            name = str(rng.choice(_SURFACE))
            got = f.on_top(name, carriers[int(rng.integers(len(carriers)))], (-0.8, 0.8), (-0.9, 0.9), jitter=90)
            if got is not None:
                return replace(got, kind=KINDS[name])
    return f.stand(str(rng.choice(_BROUGHT)), f.anywhere(30))

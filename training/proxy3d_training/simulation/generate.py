"""From a seed to a recording: a flat, a drive through it, and what is true of both. Nothing is rendered here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

import proxy3d_training
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import Intrinsics
from proxy3d_training.simulation import truth
from proxy3d_training.simulation.changes import Step, change
from proxy3d_training.simulation.flat import Flat, draw_flat
from proxy3d_training.simulation.furnish import Placed
from proxy3d_training.simulation.kinds import LABELS, dominant_color, dominant_material
from proxy3d_training.simulation.plan import Plan
from proxy3d_training.simulation.sight import Sight
from proxy3d_training.simulation.tour import Blocked, Tour, plan_tour

FRAME_RATE = 30
"""Frame numbers count at this rate [Hz]."""


@dataclass(frozen=True)
class Settings:
    """What a set of rooms is made by; rooms of equal settings and seed are equal to the byte.

    Attributes:
        seed: of the set.
        frames: of each recording.
        width, height: of the pictures, pixels.
        flats: share of recordings in flats of two to four rooms.
        changes: things are moved, added and removed half-way.
        clean: exact depth and labels, no blur, no noise.
    """

    seed: int = 0
    frames: int = 24
    width: int = 320
    height: int = 240
    flats: float = 0.25
    changes: bool = False
    clean: bool = False

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise BadInput(f"a drive has at least 2 frames, not {self.frames}")
        if not (32 <= self.width <= 4096 and 24 <= self.height <= 4096):
            raise BadInput(f"pictures of {self.width}x{self.height} pixels cannot be made; from 32x24 to 4096x4096")
        if not 0 <= self.flats <= 1:
            raise BadInput(f"the share of flats lies between 0 and 1, not at {self.flats}")


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording before it is rendered.

    Attributes:
        before, after: the flat up to ``changed_at`` [index of the first frame that shows the new state] and from then
            on; the same object where nothing changes.
        stream: seeds the camera's noise, frame by frame.
    """

    truth: truth.Truth
    before: Flat
    after: Flat
    changed_at: int
    camera: Intrinsics
    tour: Tour
    stream: tuple[int, int]


def plan_recording(number: int, settings: Settings) -> Recording:
    """The recording of a number: it depends on settings and number alone."""
    for attempt in range(20):
        rng = np.random.default_rng((settings.seed, number, attempt))
        try:
            return _attempt(number, settings, rng)
        except Blocked:  # a piece of furniture stands unluckily: rare, and the next draw is as good
            continue
    raise BadInput(f"no flat was found for number {number} of seed {settings.seed}; use another seed")


def _attempt(number: int, settings: Settings, rng: Generator) -> Recording:
    rooms = int(rng.integers(2, 5)) if rng.random() < settings.flats else 1
    before = draw_flat(rng, rooms)
    after, steps = before, list[Step]()
    if settings.changes:
        placed, steps = change(before.plan, before.placed, rng, int(rng.integers(1, 5)))
        after = before.with_placed(placed) if steps else before
    height = float(0.4 + 1.1 * rng.beta(2.0, 1.4))
    focal = float(rng.uniform(0.62, 0.76)) * settings.width
    camera = Intrinsics(
        settings.width, settings.height, focal, focal, (settings.width - 1) / 2, (settings.height - 1) / 2
    )
    view = 2 * np.arctan(settings.width / 2 / focal)
    sight = Sight(before)
    everything = [*before.placed, *(p for p in after.placed if all(p is not q for q in before.placed))]
    tour = plan_tour(before.plan, everything, sight, rng, settings.frames, height, float(view), 2 if steps else 1)
    changed_at = settings.frames // 2 if steps else settings.frames
    record = _truth(number, settings, before, after, steps, changed_at, camera, tour, sight)
    return Recording(record, before, after, changed_at, camera, tour, (settings.seed, number))


def _truth(
    number: int,
    settings: Settings,
    before: Flat,
    after: Flat,
    steps: Sequence[Step],
    changed_at: int,
    camera: Intrinsics,
    tour: Tour,
    sight: Sight,
) -> truth.Truth:
    views: dict[int, list[tuple[int, float]]] = {}
    for i, pose in enumerate(tour.poses):
        if i == changed_at:
            sight = Sight(after)
        for thing, share in sight.shares(pose, camera).items():
            views.setdefault(thing, []).append((i, round(share, 5)))
    times = [round(float(t), 4) for t in tour.times]
    old, new = ({p.id: p for p in flat.placed} for flat in (before, after))
    things = []
    for thing in (new | {k: v for k, v in old.items() if k not in new}).values():
        seen = [i for i, share in views.get(thing.id, ()) if share >= truth.SEEN]
        things.append(
            truth.Thing(
                id=thing.id,
                label=thing.kind.label,
                box=truth.Box.of(thing.item.box()),
                room=thing.room,
                on=thing.on,
                support=thing.support,
                faces=thing.kind.faces,
                color=dominant_color(thing.item.parts),
                material=dominant_material(thing.item.parts, thing.kind),
                shape=thing.kind.shape,
                views=tuple(views.get(thing.id, ())),
                first_seen=times[seen[0]] if seen else None,
                last_seen=times[seen[-1]] if seen else None,
            )
        )
    return truth.Truth(
        name=f"sim-{settings.seed}-{number:06d}",
        seed=settings.seed,
        number=number,
        generator=f"proxy3d-training {proxy3d_training.__version__}",
        rooms=_rooms(before.plan),
        openings=_openings(before.plan, before.placed),
        objects=tuple(sorted(things, key=lambda t: t.id)),
        changes=tuple(_change(s, old.get(s.id), new.get(s.id), times[changed_at]) for s in steps),
        camera=truth.Camera(
            camera.width, camera.height, round(camera.fx, 6), round(camera.fy, 6), camera.cx, camera.cy
        ),
        frames=tuple(_frame(i, times[i], tour, before.plan) for i in range(len(times))),
        vocabulary=LABELS,
    )


def _change(step: Step, before: Placed | None, after: Placed | None, time: float) -> truth.Change:
    return truth.Change(
        step.kind,
        step.id,
        time,
        None if before is None else truth.Box.of(before.item.box()),
        None if after is None else truth.Box.of(after.item.box()),
        0 if before is None else before.room,
        0 if after is None else after.room,
    )


def _rooms(plan: Plan) -> tuple[truth.Room, ...]:
    return tuple(
        truth.Room(
            s.id,
            str(s.kind),
            tuple((round(float(x), 4), round(float(y), 4)) for x, y in s.polygon),
            round(s.area, 4),
            plan.height,
        )
        for s in plan.spaces
    )


def _openings(plan: Plan, placed: Sequence[Placed]) -> tuple[truth.Opening, ...]:
    """In the order in which ``flat`` numbers the fittings."""
    fittings = iter(p for p in placed if p.kind.name in ("door", "doorway", "window"))
    made = []
    for space in plan.spaces:
        for wall in space.walls:
            for hole in wall.holes:
                if hole.kind == "doorway" and hole.other < space.id:
                    continue
                x, y = wall.point(hole.along)
                center = (round(float(x), 4), round(float(y), 4), round((hole.bottom + hole.top) / 2, 4))
                rooms = (space.id, hole.other) if hole.other else (space.id,)
                number = next(fittings).id
                made.append(
                    truth.Opening(number, hole.kind, rooms, center, hole.width, round(hole.top - hole.bottom, 4))
                )
    return tuple(made)


def _frame(i: int, time: float, tour: Tour, plan: Plan) -> truth.View:
    position = tour.poses[i][:3, 3]
    at = position[None, :2]
    room = next((s.id for s in plan.spaces if s.inside(at)[0]), 0)
    if not room:  # on a threshold
        room = min(plan.spaces, key=lambda s: min(abs(float((at[0] - w.start) @ w.normal)) for w in s.walls)).id
    x, y, z = (round(float(v), 6) for v in position)
    number = round(time * FRAME_RATE)
    return truth.View(number, time, (x, y, z), round(float(tour.yaws[i]), 6), round(float(tour.tilts[i]), 6), room)

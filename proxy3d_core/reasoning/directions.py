"""Left, right, in front, behind; clock hours and angles."""

from __future__ import annotations

import math

import numpy as np

from proxy3d_core.reasoning import measuring
from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, unit_vector
from proxy3d_core.reasoning.program import Direction, Kind
from proxy3d_core.reasoning.result import Result


def direction(scene: Evaluator, query: Direction) -> Result:
    """Left, right, in front, behind, by the angle of the centre on the floor plane."""
    if query.of is not None:
        position = scene.standing().position
        facing = unit_vector((scene.one(query.of, near=scene.index.asker(position)).center - position)[:2])
        if facing is None:
            raise Unanswerable(Status.AMBIGUOUS, f"you stand at the {query.of} itself; say from where you look at it")
    else:
        position, facing = scene.looking()
    asker = scene.index.asker(position)
    if query.objects == Kind("door") and query.form == "go" and len(doors := scene.all(query.objects)) > 1:
        raise scene.ambiguous(query.objects, doors)  # which of them one would leave by is not known
    thing = scene.one(query.objects, near=asker)
    angle = rel.angle_to(position, facing, thing.center)
    sigma = math.degrees(
        math.atan2(scene.sigma(thing), max(float(np.linalg.norm((thing.center - position)[:2])), 0.05))
    )
    if query.form == "angle":
        result = measuring.number(scene, abs(angle), "angle", (thing,), sigma)
        result.text += " to the left" if angle > 0 else " to the right"
        result.message = f"{angle:+.0f} degrees, counter-clockwise positive"
        return result
    sides = query.choices or _offered_sides(scene) or {"clock": _CLOCK, "go": _FOUR}.get(query.form, EIGHT)
    side, margin = rel.way(angle) if sides is _FOUR else rel.nearest_side(angle, sides)
    scene.margin(margin, max(sigma, 3.0))
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


def _offered_sides(scene: Evaluator) -> tuple[str, ...]:
    """The directions among the options."""
    sides = tuple(s for s in (side_of(o.text) for o in scene.options) if s)
    return sides if len(sides) >= 2 and len(sides) == len(scene.options) else ()


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


EIGHT = ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")


_FOUR = ("front", "left", "back", "right")


_CLOCK = tuple(f"{h} o'clock" for h in range(1, 13))

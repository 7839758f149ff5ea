"""Spatial relations between boxes. Each returns a margin in metres: positive where the relation holds, negative where it does not.

The margin over its standard deviation gives the probability that the relation holds, so every threshold also says how close the call is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox

Array = NDArray[np.float64]

BESIDE = 0.6
"""Next to: at most this far apart [m]."""
NEAR = 1.2
"""Near: at most this far apart [m]."""
TOUCHING = 0.08
"""Touching: at most this far apart [m]."""
CONTACT = 0.15
"""On: the lower side lies at most this far above the supporting surface [m]."""
FLOOR = 0.15
"""On the floor: the lower side lies at most this far above it [m]."""
WALL = 0.35
"""Against the wall: at most this far from it [m]."""
CORNER = 0.9
"""In a corner: at most this far from both walls [m]."""


def inside_footprint(a: OrientedBox, b: OrientedBox) -> float:
    """How far the centre of ``a`` lies inside the outline of ``b`` on the floor plane."""
    local = np.abs((a.center - b.center) @ b.rotation)
    vertical = int(np.argmax(np.abs(b.rotation[2])))
    return float(min(b.size[k] / 2 - local[k] for k in range(3) if k != vertical))


def on(a: OrientedBox, b: OrientedBox) -> float:
    """``a`` rests on ``b``: its centre is over ``b``, its lower side at or in ``b`` but clear of ``b``'s foot (a pillow sinks into a sofa)."""
    height = b.top - b.bottom
    return min(
        inside_footprint(a, b) + 0.1,
        b.top + CONTACT - a.bottom,
        a.bottom - b.bottom - 0.25 * height,
        float(a.center[2] - b.center[2]),
        b.volume - a.volume + 0.05,
    )


def under(a: OrientedBox, b: OrientedBox, gap: float) -> float:
    """``a`` is under ``b``: outlines overlap (``gap``: of the boxes on the floor plane) and its middle is lower than that of ``b``, its foot too."""
    return min(0.1 - gap, float(b.center[2] - a.center[2]) - 0.05, b.top - a.top + 0.1, inside_any(a, b) + 0.2)


def inside_any(a: OrientedBox, b: OrientedBox) -> float:
    """The larger of how far either centre lies in the other's outline: one is over the other."""
    return max(inside_footprint(a, b), inside_footprint(b, a))


def above(a: OrientedBox, b: OrientedBox, gap: float) -> float:
    """``a`` is above ``b``: higher than its top (by the lower side, up to ``CONTACT``), and at most 0.5 m aside (wall above desk)."""
    return min(0.5 - gap, a.bottom - b.top + CONTACT, float(a.center[2] - b.center[2]))


def inside(a: OrientedBox, b: OrientedBox) -> float:
    """The centre of ``a`` lies in ``b``, which is the larger."""
    local = np.abs((a.center - b.center) @ b.rotation)
    return min(float((b.size / 2 - local).min()), b.volume - a.volume)


def between(a: Array, b: Array, c: Array) -> float:
    """Point ``a`` (2,) lies between ``b`` and ``c`` on the floor plane: in the middle four fifths, at most a third of their distance aside."""
    span = c - b
    length = float(np.linalg.norm(span))
    if length < 1e-6:
        return -1.0
    along = float((a - b) @ span) / length
    aside = abs(float(span[0] * (a - b)[1] - span[1] * (a - b)[0])) / length
    return min(along - 0.1 * length, 0.9 * length - along, max(0.35 * length, 0.4) - aside)


def edges(box: OrientedBox) -> tuple[float, float, float]:
    """Longer floor edge, shorter floor edge, height, metres."""
    vertical = int(np.argmax(np.abs(box.rotation[2])))
    floor = sorted((float(box.size[k]) for k in range(3) if k != vertical), reverse=True)
    return floor[0], floor[1], float(box.size[vertical])


def angle_to(position: Array, facing: Array, target: Array) -> float:
    """Angle of ``target`` seen from ``position`` on the floor plane: degrees counter-clockwise from ``facing``, in (-180, 180]."""
    to = target[:2] - position[:2]
    cross = facing[0] * to[1] - facing[1] * to[0]
    return float(np.degrees(np.arctan2(cross, facing[0] * to[0] + facing[1] * to[1])))


SIDE_ANGLES: dict[str, float] = {
    "front": 0.0, "front-left": 45.0, "left": 90.0, "back-left": 135.0, "back": 180.0, "back-right": -135.0, "right": -90.0,
    "front-right": -45.0,
} | {f"{h} o'clock": -30.0 * h if h <= 6 else 360.0 - 30.0 * h for h in range(1, 13)}  # fmt: skip
"""Middle of each direction, degrees counter-clockwise from facing."""


def turn_between(a: float, b: float) -> float:
    """Smallest angle between two directions, degrees."""
    return abs((a - b + 180.0) % 360.0 - 180.0)


def nearest_side(angle: float, sides: tuple[str, ...]) -> tuple[str, float]:
    """The side whose middle is nearest, and how far the angle is from the boundary to the next one, degrees.

    This one rule is that of VSI-Bench: left or right (boundary ahead and behind); left, right or back (at 135 degrees); quadrants.
    """
    ranked = sorted((turn_between(angle, SIDE_ANGLES[s]), s) for s in sides)
    margin = (ranked[1][0] - ranked[0][0]) / 2 if len(ranked) > 1 else 90.0
    return ranked[0][1], margin

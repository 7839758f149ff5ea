"""Spatial relations of many boxes to one. Each returns margins in metres: positive where the relation holds, negative
where it does not.

The margin over its standard deviation gives the probability that the relation holds, so every threshold also says how
close the call is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

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
ASIDE = 0.2
"""Between two things: at most this far outside the straight corridor from one to the other [m]."""
BEFORE = 0.75
"""Below a window or a picture: at most this far before the wall [m]."""
FLAT = 0.2
"""Thinner things may hang on a wall [m]."""
CORNER = 0.9
"""In a corner: at most this far from both walls [m]."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes as arrays: centres (N, 3), edges (N, 3), axes as columns (N, 3, 3), lowest and highest z (N,), volumes
    (N,).
    """

    center: Array
    size: Array
    rotation: Array
    bottom: Array
    top: Array
    volume: Array

    @classmethod
    def of(cls, boxes: Sequence[OrientedBox]) -> Boxes:
        """The arrays of some boxes."""
        n = len(boxes)
        center = np.array([b.center for b in boxes]).reshape(n, 3)
        size = np.array([b.size for b in boxes]).reshape(n, 3)
        rotation = np.array([b.rotation for b in boxes]).reshape(n, 3, 3)
        reach = (np.abs(rotation[:, 2]) * size).sum(axis=1) / 2
        return cls(center, size, rotation, center[:, 2] - reach, center[:, 2] + reach, size.prod(axis=1))

    def __getitem__(self, rows: Sequence[int]) -> Boxes:
        """Some of the boxes."""
        at = np.asarray(rows, dtype=np.int64)
        return Boxes(*(getattr(self, f.name)[at] for f in fields(self)))


def _least(margins: Sequence[Array]) -> Array:
    """The least margin of each box."""
    return np.asarray(np.min(np.broadcast_arrays(*margins), axis=0), dtype=np.float64)


def inside_footprint(points: Array, boxes: Boxes) -> Array:
    """How far points (N, 3) lie inside the outlines of boxes on the floor plane (N,); N or one of either."""
    local = np.abs(((points - boxes.center)[:, None] @ boxes.rotation)[:, 0])
    room = boxes.size / 2 - local
    upright = np.abs(boxes.rotation[:, 2]).argmax(axis=1)
    room[np.arange(len(room)), upright] = np.inf
    return np.asarray(room.min(axis=1))


def on(a: Boxes, b: Boxes) -> Array:
    """Each of ``a`` rests on the one box ``b``: its centre is over ``b``, its lower side at or in ``b`` but clear of
    ``b``'s foot.

    A pillow sinks into a sofa, whose back rises above it; so the lower side may lie below the top of ``b``. What
    carries something is bulkier or, as a rug under a table, broader.
    """
    return _least(
        [
            inside_footprint(a.center, b) + 0.1,
            b.top + CONTACT - a.bottom,
            a.bottom - b.bottom - 0.25 * (b.top - b.bottom),
            a.center[:, 2] - b.center[:, 2],
            np.maximum(b.volume - a.volume + 0.05, _footprint(b) - _footprint(a)),
        ]
    )


def carries(a: Boxes, b: Boxes, gaps: Array) -> Array:
    """The one box ``b`` rests on each of ``a``, ``gaps`` apart on the floor plane; of several (a tray, the table, the
    rug) on the least only.
    """
    margins = np.where(gaps == 0, on(b, a), -1.0)
    if (margins > 0).any():
        least = np.where(margins > 0, a.volume, np.inf).argmin()
        margins = np.where(np.arange(len(margins)) == least, margins, np.minimum(margins, -1.0))
    return margins


def _footprint(a: Boxes) -> Array:
    """(N,) areas on the floor plane of upright boxes [m^2]."""
    vertical = np.abs(a.rotation[:, 2]).argmax(axis=1)
    return np.asarray(a.volume / np.maximum(a.size[np.arange(len(vertical)), vertical], 1e-9))


def under(a: Boxes, b: Boxes, gaps: Array) -> Array:
    """Each of ``a`` is under ``b``: outlines (``gaps`` apart on the floor plane) overlap, and middle and top are lower
    than those of ``b``.
    """
    overlap = np.maximum(inside_footprint(a.center, b), inside_footprint(b.center, a))
    return _least([0.1 - gaps, b.center[:, 2] - a.center[:, 2] - 0.05, b.top - a.top + 0.1, overlap + 0.2])


def above(a: Boxes, b: Boxes, gaps: Array) -> Array:
    """Each of ``a`` is above ``b``: its lower side higher than the top of ``b`` (less ``CONTACT``), hardly aside
    unless it hangs on a wall (a picture over a desk, a window over what stands before it).
    """
    higher = _least([a.bottom - b.top + CONTACT, a.center[:, 2] - b.center[:, 2]])
    margins = _least([_aside(a) - gaps, higher])
    for i in np.flatnonzero((margins < 0) & (higher > 0) & (gaps < BEFORE) & (a.size.min(axis=1) < FLAT)).tolist():
        margins[i] = max(margins[i], float(below(b, a[[i]], gaps[[i]])[0]))
    return margins


def _aside(a: Boxes) -> Array:
    """How far aside each of ``a`` may be and still be over or below something: what is flat hangs on a wall [m]."""
    return np.where(a.size.min(axis=1) < FLAT, 0.3, 0.1)


def below(a: Boxes, b: Boxes, gaps: Array) -> Array:
    """``b`` is above each of ``a``: within its width, and hardly aside unless it is flat on a wall, as a window above
    what stands before it.
    """
    normal, side = _broad_side(b.rotation[0], b.size[0])
    offset = (a.center - b.center)[:, :2]
    aside = np.abs(normal[0] * offset[:, 1] - normal[1] * offset[:, 0])
    reach = BEFORE if b.size[0].min() < FLAT else 0.1
    return _least([side / 2 + 0.1 - aside, reach - gaps, b.bottom - a.top + CONTACT, b.center[:, 2] - a.center[:, 2]])


def inside(a: Boxes, b: Boxes) -> Array:
    """The centre of each of ``a`` lies in ``b``, which is the larger."""
    local = np.abs((a.center - b.center) @ b.rotation[0])
    return _least([(b.size / 2 - local).min(axis=1), b.volume - a.volume])


def hangs_on(a: Boxes, b: Boxes, distances: Array) -> Array:
    """On a wall or a door: touching something tall and flat."""
    flat, _, tall = np.sort(b.size[0])
    if flat > 0.3 or tall < 1.2 or b.top[0] - b.bottom[0] < 1.2:
        return np.full(len(a.volume), -1.0)
    return np.where(a.volume < b.volume, CONTACT - distances, -1.0)


def between(a: Boxes, first: Boxes, second: Boxes) -> Array:
    """The centre of each of ``a`` lies in the corridor between two boxes: in the hull of their outlines on the floor
    plane (``ASIDE`` beyond it counts too), in neither of them, and not above or below both.
    """
    corridor = np.vstack([_outline(first), _outline(second)])
    lowest, highest = min(first.bottom[0], second.bottom[0]), max(first.top[0], second.top[0])
    points = a.center
    return _least(
        [
            _inside_hull(points[:, :2], corridor) + ASIDE,
            -inside_footprint(points, first),
            -inside_footprint(points, second),
            points[:, 2] - lowest + CONTACT,
            highest - points[:, 2] + 2 * CONTACT,
        ]
    )


def _outline(box: Boxes) -> Array:
    """(8, 2) corners of one box on the floor plane."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    return np.asarray((box.center[0] + (signs * box.size[0]) @ box.rotation[0].T)[:, :2])


def _inside_hull(points: Array, corners: Array) -> Array:
    """How far points (N, 2) lie inside the convex hull of corners (K, 2), by its nearest edge line."""
    hull = ConvexHull(corners, qhull_options="QJ")
    return np.asarray(-(points @ hull.equations[:, :2].T + hull.equations[:, 2]).max(axis=1))


def beside_view(points: Array, anchor: Array, view: Array, name: str) -> Array:
    """Left of, right of, in front of or behind ``anchor`` (2,) for one who looks at it along ``view`` (2,): margins of
    points (N, 2).
    """
    offset = points - anchor
    behind, left = offset @ view, view[0] * offset[:, 1] - view[1] * offset[:, 0]
    value = {"left_of": left, "right_of": -left, "front_of": -behind, "behind": behind}[name]
    aside = np.abs(left if name in ("front_of", "behind") else behind)
    return _least([value - 0.1, value - 0.5 * aside])


def across(a: Boxes, b: Boxes, gaps: Array) -> Array:
    """Each of ``a`` stands straight across from one broad side of ``b``, not next to it: less than half that side (and
    0.3 m) off the middle, and ``gaps`` apart on the floor plane.
    """
    normal, side = _broad_side(b.rotation[0], b.size[0])
    offset = (a.center - b.center)[:, :2]
    aside = np.abs(normal[0] * offset[:, 1] - normal[1] * offset[:, 0])
    return _least([side / 2 + 0.3 - aside, np.abs(offset @ normal) - aside, gaps - BESIDE])


def faces(a: Boxes, b: Boxes) -> Array:
    """``b`` lies straight before or behind a broad side of each of ``a``; which of the two is its front, a box does not
    say.
    """
    margins = [across(b, a[[i]], np.full(1, np.inf))[0] for i in range(len(a.volume))]
    return np.array(margins, dtype=np.float64)


def _broad_side(rotation: Array, size: Array) -> tuple[Array, float]:
    """Unit normal (2,) of the broader upright side of a box on the floor plane, and how broad that side is."""
    first, second = (k for k in range(3) if k != int(np.abs(rotation[2]).argmax()))
    thin, broad = (first, second) if size[first] <= size[second] else (second, first)
    normal = rotation[:2, thin]
    return normal / max(float(np.linalg.norm(normal)), 1e-12), float(size[broad])


def edges(box: OrientedBox) -> tuple[float, float, float]:
    """Longer floor edge, shorter floor edge, height, metres."""
    vertical = int(np.argmax(np.abs(box.rotation[2])))
    floor = sorted((float(box.size[k]) for k in range(3) if k != vertical), reverse=True)
    return floor[0], floor[1], float(box.size[vertical])


def angle_to(position: Array, facing: Array, target: Array) -> float:
    """Angle of ``target`` seen from ``position`` on the floor plane: degrees counter-clockwise from ``facing``, in
    (-180, 180].
    """
    to = target[:2] - position[:2]
    cross = facing[0] * to[1] - facing[1] * to[0]
    return float(np.degrees(np.arctan2(cross, facing[0] * to[0] + facing[1] * to[1])))


SIDE_ANGLES: dict[str, float] = {
    "front": 0.0,
    "front-left": 45.0,
    "left": 90.0,
    "back-left": 135.0,
    "back": 180.0,
    "back-right": -135.0,
    "right": -90.0,
    "front-right": -45.0,
} | {f"{h} o'clock": -30.0 * h if h <= 6 else 360.0 - 30.0 * h for h in range(1, 13)}
"""Middle of each direction, degrees counter-clockwise from facing."""


def turn_between(a: float, b: float) -> float:
    """Smallest angle between two directions, degrees."""
    return abs((a - b + 180.0) % 360.0 - 180.0)


def nearest_side(angle: float, sides: tuple[str, ...]) -> tuple[str, float]:
    """The side whose middle is nearest, and how far the angle is from the boundary to the next one, degrees.

    This one rule is that of VSI-Bench: left or right (boundary ahead and behind); left, right or back (at 135 degrees);
    quadrants.
    """
    ranked = sorted((turn_between(angle, SIDE_ANGLES[s]), s) for s in sides)
    margin = (ranked[1][0] - ranked[0][0]) / 2 if len(ranked) > 1 else 90.0
    return ranked[0][1], margin


STRAIGHT = 30.0
"""Forward or backward is what lies at most this far from straight ahead or behind [degrees]; else left or right."""


def way(angle: float) -> tuple[str, float]:
    """Which way to go or turn (front, left, back, right), and how far the angle is from the boundary to another one.

    People say forward and backward only of what is nearly straight there (SQA3D).
    """
    ahead, behind = STRAIGHT - abs(angle), abs(angle) - (180.0 - STRAIGHT)
    if ahead >= 0 or behind >= 0:
        return ("front", ahead) if ahead >= 0 else ("back", behind)
    return ("left" if angle > 0 else "right"), min(-ahead, -behind)

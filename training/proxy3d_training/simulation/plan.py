"""Floor plans: single rooms, rectangular or L-shaped, and small flats whose rooms are joined by doorways.

Everything is rectilinear and given by the inner faces of the walls, so that the area of a polygon is the area of the
floor. Between two rooms stands a wall of ``THICKNESS``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput

Array = NDArray[np.float64]
Point = tuple[float, float]

THICKNESS = 0.12
"""Of a wall between two rooms, metres."""

GRID = 0.05
"""Walls stand on multiples of this, metres."""

HOME = ("living room", "kitchen", "bedroom", "office", "bathroom", "hallway")
SIZES: dict[str, tuple[float, float, float]] = {
    "living room": (3.6, 6.2, 3.4),
    "kitchen": (2.8, 4.6, 2.6),
    "bedroom": (3.2, 4.8, 3.0),
    "office": (3.0, 5.2, 2.8),
    "bathroom": (2.2, 3.4, 2.0),
    "meeting room": (4.2, 6.4, 3.6),
    "hallway": (3.4, 6.0, 1.7),
}
"""Kinds of room: shortest and longest side that is usual, and the least of the other side, metres."""


@dataclass(frozen=True)
class Rect:
    """An axis-parallel rectangle, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Square metres."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def polygon(self) -> tuple[Point, ...]:
        """Corners, counter-clockwise."""
        return ((self.x0, self.y0), (self.x1, self.y0), (self.x1, self.y1), (self.x0, self.y1))


@dataclass(frozen=True)
class Hole:
    """An opening in a wall: its middle ``along`` the wall from its start, width, lower and upper edge, metres.

    ``kind`` is door, doorway or window; ``other`` the id of the room behind it, 0 = outside.
    """

    kind: str
    along: float
    width: float
    bottom: float
    top: float
    other: int = 0


@dataclass(frozen=True)
class Wall:
    """One side of a room; the room is to the left of the way from ``start`` to ``end``.

    ``depth`` is how much of the wall's thickness belongs to this side.
    """

    start: Point
    end: Point
    depth: float
    holes: tuple[Hole, ...] = ()
    convex_start: bool = True
    convex_end: bool = True

    @property
    def length(self) -> float:
        """Metres."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    @property
    def direction(self) -> Array:
        """(2,) unit, from start to end."""
        return (np.asarray(self.end) - self.start) / self.length

    @property
    def normal(self) -> Array:
        """(2,) unit, into the room."""
        d = self.direction
        return np.array([-d[1], d[0]])

    @property
    def yaw(self) -> float:
        """Of things whose back is against the wall, degrees."""
        return float(np.round(np.degrees(np.arctan2(self.normal[1], self.normal[0]))))

    def point(self, along: float, off: float = 0.0) -> Array:
        """(2,) ``along`` metres from the start, ``off`` metres into the room."""
        return np.asarray(self.start) + along * self.direction + off * self.normal


@dataclass(frozen=True)
class Space:
    """A room without its things: ``rects`` cover its ``polygon`` without overlap."""

    id: int
    kind: str
    polygon: tuple[Point, ...]
    rects: tuple[Rect, ...]
    walls: tuple[Wall, ...]

    @property
    def area(self) -> float:
        """Square metres."""
        return sum(r.area for r in self.rects)

    def inside(self, points: Array, margin: float = 0.0) -> NDArray[np.bool_]:
        """(N,) whether points (N, 2) lie in the room, ``margin`` metres or more from its walls."""
        p = np.asarray(points, dtype=np.float64)
        ok = np.zeros(len(p), bool)
        for r in self.rects:
            ok |= (p[:, 0] >= r.x0) & (p[:, 0] <= r.x1) & (p[:, 1] >= r.y0) & (p[:, 1] <= r.y1)
        if margin:
            for wall in self.walls:
                rel = p - wall.start
                along, off = rel @ wall.direction, rel @ wall.normal
                beside = np.clip(along, 0, wall.length)
                ok &= np.hypot(along - beside, off) >= margin
        return ok


@dataclass(frozen=True)
class Plan:
    """Rooms of one height, joined by doorways."""

    spaces: tuple[Space, ...]
    height: float

    def space(self, number: int) -> Space:
        """The room with an id."""
        return self.spaces[number - 1]


def draw_plan(rng: Generator, rooms: int, kind: str | None = None) -> Plan:
    """A random plan with ``rooms`` rooms (1 to 4); ``kind`` is that of a single room.

    Raises:
        BadInput: another number of rooms, or an unknown kind.
    """
    if not 1 <= rooms <= 4:
        raise BadInput(f"a flat has 1 to 4 rooms, not {rooms}")
    if kind is not None and kind not in SIZES:
        raise BadInput(f"unknown kind of room {kind!r}; known: {', '.join(SIZES)}")
    height = _snap(rng.uniform(2.45, 2.9))
    while True:  # a draw in which some room cannot be reached through doorways is thrown away
        shapes = _single(rng, kind) if rooms == 1 else _flat(rng, rooms)
        spaces = _doors(rng, _walled(shapes))
        if spaces is not None:
            return Plan(tuple(_windows(rng, _entrance(rng, spaces))), height)


def _snap(value: float) -> float:
    return round(round(value / GRID) * GRID, 4)


Shape = tuple[str, tuple[Point, ...], tuple[Rect, ...]]


def _rectangle(kind: str, r: Rect) -> Shape:
    return kind, r.polygon, (r,)


def _without_corner(kind: str, r: Rect, notch: Rect, corner: int) -> Shape:
    """A rectangle without ``notch`` at its corner 0..3 (counter-clockwise from the lower left)."""
    x, y = (notch.x1, notch.y1) if corner == 0 else (notch.x0, notch.y1) if corner == 1 else (notch.x0, notch.y0)
    if corner == 3:
        x, y = notch.x1, notch.y0
    cut: list[Point] = list(r.polygon)
    if corner == 0:
        cut[0:1] = [(r.x0, y), (x, y), (x, r.y0)]
    elif corner == 1:
        cut[1:2] = [(x, r.y0), (x, y), (r.x1, y)]
    elif corner == 2:
        cut[2:3] = [(r.x1, y), (x, y), (x, r.y1)]
    else:
        cut[3:4] = [(x, r.y1), (x, y), (r.x0, y)]
    beside = Rect(x, r.y0, r.x1, r.y1) if corner in (0, 3) else Rect(r.x0, r.y0, x, r.y1)
    rest = Rect(r.x0, y, x, r.y1) if corner == 0 else Rect(x, y, r.x1, r.y1)
    if corner == 2:
        rest = Rect(x, r.y0, r.x1, y)
    elif corner == 3:
        rest = Rect(r.x0, r.y0, x, y)
    return kind, tuple(cut), (beside, rest)


def _corner_rect(r: Rect, corner: int, width: float, depth: float) -> Rect:
    x0, x1 = (r.x0, r.x0 + width) if corner in (0, 3) else (r.x1 - width, r.x1)
    y0, y1 = (r.y0, r.y0 + depth) if corner in (0, 1) else (r.y1 - depth, r.y1)
    return Rect(*(round(v, 4) for v in (x0, y0, x1, y1)))


def _single(rng: Generator, kind: str | None) -> list[Shape]:
    if kind is None:
        kinds = ("living room", "kitchen", "bedroom", "office", "bathroom", "meeting room")
        kind = str(rng.choice(kinds, p=(0.28, 0.17, 0.2, 0.17, 0.06, 0.12)))
    least, most, other = SIZES[kind]
    long, short = rng.uniform(least, most), rng.uniform(other, max(other + 0.3, 0.82 * most))
    width, depth = (long, short) if rng.random() < 0.5 else (short, long)
    room = Rect(0.0, 0.0, _snap(width), _snap(depth))
    if kind not in ("bathroom", "hallway") and min(room.x1, room.y1) > 3.6 and rng.random() < 0.35:
        corner = int(rng.integers(4))
        size = [_snap(rng.uniform(0.25, 0.42) * v) for v in (room.x1, room.y1)]
        return [_without_corner(kind, room, _corner_rect(room, corner, *size), corner)]
    return [_rectangle(kind, room)]


def _flat(rng: Generator, rooms: int) -> list[Shape]:
    """Rooms of a flat or of an office suite; the first one is where one enters."""
    office = rng.random() < 0.2
    area = {2: rng.uniform(26, 38), 3: rng.uniform(36, 52), 4: rng.uniform(46, 68)}[rooms]
    aspect = rng.uniform(1.15, 1.6)
    width, depth = _snap((area * aspect) ** 0.5), _snap((area / aspect) ** 0.5)
    turned = rng.random() < 0.5
    outer = Rect(0.0, 0.0, depth, width) if turned else Rect(0.0, 0.0, width, depth)
    big = "meeting room" if office else "living room"
    small = ["office", "kitchen", "office"] if office else ["bedroom", "kitchen", "bathroom"]
    if rooms == 2 and rng.random() < 0.5:
        return _corner_flat(rng, outer, big, "office" if office else str(rng.choice(["kitchen", "bathroom"])))
    if rooms == 4 or (rooms == 3 and rng.random() < 0.35):
        return _corridor_flat(rng, outer, [big, *small][: rooms - 1], turned)
    first, second = _split(rng, outer, turned, rng.uniform(0.52, 0.6))
    if rooms == 2:
        return [_rectangle(big, first), _rectangle(str(rng.choice(small[:2])), second)]
    above, below = _split(rng, second, not turned, rng.uniform(0.45, 0.58))
    order = list(rng.permutation(small))[:2] if min(above.area, below.area) < 9 else small[:2]
    kinds = sorted(order, key=lambda k: SIZES[k][1])  # the larger room to the larger need
    small_rect, large_rect = sorted((above, below), key=lambda r: r.area)
    return [_rectangle(big, first), _rectangle(kinds[0], small_rect), _rectangle(kinds[1], large_rect)]


def _split(rng: Generator, r: Rect, across_y: bool, share: float) -> tuple[Rect, Rect]:
    """Two rooms with a wall between them; the first gets ``share`` and is at either end."""
    at_start = rng.random() < 0.5
    low, high = (r.y0, r.y1) if across_y else (r.x0, r.x1)
    cut = _snap(low + (high - low) * (share if at_start else 1 - share))
    a, b = (low, cut), (round(cut + THICKNESS, 4), high)
    rects = [Rect(r.x0, s, r.x1, e) if across_y else Rect(s, r.y0, e, r.y1) for s, e in (a, b)]
    return (rects[0], rects[1]) if at_start else (rects[1], rects[0])


def _corner_flat(rng: Generator, outer: Rect, big: str, small: str) -> list[Shape]:
    """An L-shaped room around a small one in its corner."""
    corner = int(rng.integers(4))
    size = SIZES[small]
    width, depth = (_snap(min(rng.uniform(size[2], size[1]), 0.55 * v)) for v in (outer.x1, outer.y1))
    inner = _corner_rect(outer, corner, width, depth)
    notch = _corner_rect(outer, corner, width + THICKNESS, depth + THICKNESS)
    return [_without_corner(big, outer, notch, corner), _rectangle(small, inner)]


def _corridor_flat(rng: Generator, outer: Rect, kinds: Sequence[str], turned: bool) -> list[Shape]:
    """Rooms on one side or both sides of a hallway; the biggest has one side for itself."""

    def rect(a0: float, a1: float, b0: float, b1: float) -> Rect:
        values = (b0, a0, b1, a1) if turned else (a0, b0, a1, b1)
        return Rect(*(round(v, 4) for v in values))

    length, across = (outer.y1, outer.x1) if turned else (outer.x1, outer.y1)
    hall = _snap(rng.uniform(1.4, 1.7))
    across = max(across, _snap(hall + 5.8)) if len(kinds) == 3 else _snap(hall + max(3.1, 0.62 * across))
    shapes = []
    if len(kinds) == 3:
        deep = _snap((across - hall - 2 * THICKNESS) * rng.uniform(0.5, 0.58))
        shapes.append(_rectangle("hallway", rect(0, length, deep + THICKNESS, deep + THICKNESS + hall)))
        shapes.append(_rectangle(kinds[0], rect(0, length, 0, deep)))
        low, high, pair = deep + hall + 2 * THICKNESS, across, list(kinds[1:])
    else:
        shapes.append(_rectangle("hallway", rect(0, length, 0, hall)))
        low, high, pair = hall + THICKNESS, across, list(kinds)
    cut = _snap(length * rng.uniform(0.46, 0.58))
    rects = [rect(0, cut, low, high), rect(cut + THICKNESS, length, low, high)]
    large = int(rects[1].area > rects[0].area)
    shapes.append(_rectangle(pair[0], rects[large]))
    shapes.append(_rectangle(pair[1], rects[1 - large]))
    return shapes


def _walled(shapes: Sequence[Shape]) -> list[Space]:
    spaces = []
    for number, (kind, polygon, rects) in enumerate(shapes, 1):
        walls = []
        n = len(polygon)
        for i, (start, end) in enumerate(zip(polygon, polygon[1:] + polygon[:1], strict=True)):
            before, after = polygon[i - 1], polygon[(i + 2) % n]
            walls.append(Wall(start, end, 0.14, (), _turns_left(before, start, end), _turns_left(start, end, after)))
        spaces.append(Space(number, kind, polygon, rects, tuple(walls)))
    return spaces


def _turns_left(a: Point, b: Point, c: Point) -> bool:
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) > 0


def _shared(a: Wall, b: Wall) -> tuple[float, float] | None:
    """The stretch (from, to) along wall ``a`` behind which wall ``b`` of another room stands, if there is one."""
    if a.normal @ b.normal > -0.5 or abs((np.asarray(b.start) - a.start) @ a.normal + THICKNESS) > 1e-6:
        return None
    ends = sorted(float((np.asarray(p) - a.start) @ a.direction) for p in (b.start, b.end))
    low, high = max(0.0, ends[0]), min(a.length, ends[1])
    return (low, high) if high - low > 1e-6 else None


def _add_hole(space: Space, wall: int, hole: Hole) -> Space:
    walls = list(space.walls)
    walls[wall] = replace(walls[wall], holes=(*walls[wall].holes, hole))
    return replace(space, walls=tuple(walls))


def _doors(rng: Generator, spaces: list[Space]) -> list[Space] | None:
    """Doorways that join all rooms as a tree around the first, or None; bathrooms are ends of it."""
    shared: dict[tuple[int, int], tuple[int, int, float, float]] = {}
    for a, b in itertools.permutations(range(len(spaces)), 2):
        for i, wall in enumerate(spaces[a].walls):
            for j, other in enumerate(spaces[b].walls):
                stretch = _shared(wall, other)
                if stretch is None:
                    continue
                walls = list(spaces[a].walls)
                walls[i] = replace(walls[i], depth=THICKNESS / 2)
                spaces[a] = replace(spaces[a], walls=tuple(walls))
                if stretch[1] - stretch[0] >= 1.15:
                    shared[a, b] = (i, j, *stretch)
    reached = [0]
    while len(reached) < len(spaces):
        ways = [(a, b) for a in reached for b in range(len(spaces)) if b not in reached and (a, b) in shared]
        ways = [w for w in ways if spaces[w[0]].kind != "bathroom"]
        if not ways:
            return None
        a, b = ways[0]
        i, j, low, high = shared[a, b]
        width = _snap(rng.uniform(0.8, 0.95))
        ends = (low + width / 2 + 0.12, high - width / 2 - 0.12)
        near_end = ends[int(rng.integers(2))] + 0.0
        along = near_end if rng.random() < 0.6 else float(rng.uniform(*ends))
        place = spaces[a].walls[i].point(along)
        back = float((place - spaces[b].walls[j].start) @ spaces[b].walls[j].direction)
        spaces[a] = _add_hole(spaces[a], i, Hole("doorway", along, width, 0.0, 2.05, spaces[b].id))
        spaces[b] = _add_hole(spaces[b], j, Hole("doorway", back, width, 0.0, 2.05, spaces[a].id))
        reached.append(b)
    return spaces


def _outer_stretches(space: Space, spaces: Sequence[Space]) -> list[tuple[int, float, float]]:
    """(wall, from, to) of the stretches of the walls behind which no other room is, and without holes."""
    found = []
    for i, wall in enumerate(space.walls):
        taken = [_shared(wall, w) for other in spaces if other.id != space.id for w in other.walls]
        blocks = [s for s in taken if s is not None]
        blocks += [(h.along - h.width / 2 - 0.2, h.along + h.width / 2 + 0.2) for h in wall.holes]
        at = 0.0
        for low, high in [*sorted(blocks), (wall.length, wall.length)]:
            if low - at > 0.5:
                found.append((i, at, low))
            at = max(at, high)
    return found


def _entrance(rng: Generator, spaces: list[Space]) -> list[Space]:
    """The flat's door, in the room where one enters."""
    width = _snap(rng.uniform(0.85, 0.95))
    fits = [s for s in _outer_stretches(spaces[0], spaces) if s[2] - s[1] > width + 0.25]
    i, low, high = fits[int(rng.integers(len(fits)))]
    ends = (low + width / 2 + 0.1, high - width / 2 - 0.1)
    along = float(ends[int(rng.integers(2))] if rng.random() < 0.5 else rng.uniform(*ends))
    spaces[0] = _add_hole(spaces[0], i, Hole("door", along, width, 0.0, 2.05))
    return spaces


def _windows(rng: Generator, spaces: list[Space]) -> list[Space]:
    """Windows in outer walls."""
    made = []
    for space in spaces:
        wanted = {"bathroom": int(rng.random() < 0.6), "hallway": int(rng.random() < 0.4)}.get(
            space.kind, int(rng.integers(1, 3))
        )
        stretches = _outer_stretches(space, spaces)
        for k in rng.permutation(len(stretches)):
            i, low, high = stretches[k]
            if wanted == 0 or high - low < 1.2:
                continue
            small = space.kind in ("bathroom", "hallway")
            width = _snap(min(high - low - 0.5, rng.uniform(0.6, 0.8) if small else rng.uniform(1.0, 2.2)))
            along = float(rng.uniform(low + width / 2 + 0.2, high - width / 2 - 0.2))
            bottom, top = (
                _snap(rng.uniform(1.15, 1.3) if small else rng.uniform(0.8, 1.0)),
                _snap(rng.uniform(2.0, 2.2)),
            )
            space = _add_hole(space, i, Hole("window", along, width, bottom, top))
            wanted -= 1
        made.append(space)
    return made

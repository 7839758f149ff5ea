"""Furnishes rooms by plausible rules: what stands where it stands in real rooms, nothing in anything else.

Every rule proposes places; a place is taken if the thing fits, leaves doors and fronts free, and does not cut off any
part of the floor from the doors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from proxy3d_training.simulation.footprint import Block, block_of, item_block, part_blocks
from proxy3d_training.simulation.kinds import KINDS, Kind, make, matched
from proxy3d_training.simulation.plan import Plan, Space, Wall
from proxy3d_training.simulation.rooms import Item
from proxy3d_training.simulation.shapes import Part

Array = NDArray[np.float64]

ROBOT_RADIUS = 0.22
"""The robot needs this much room around its centre, metres,"""
ROBOT_HEIGHT = 1.5
"""and this much above the floor."""

_CELL = 0.1
_SEATS = ("chair", "office chair", "stool", "bench", "ottoman")
_TABLES = ("dining table", "round table", "desk", "conference table")


@dataclass(frozen=True, eq=False)
class Placed:
    """A thing in its place: ``on`` and ``support`` as in ``truth.Thing``; ``room`` is the id of its room."""

    item: Item
    kind: Kind
    room: int
    on: str = "floor"
    support: int | None = None

    @property
    def id(self) -> int:
        """Number of the instance."""
        return self.item.id


@dataclass(eq=False)
class Furnisher:
    """Furnishes one room; ids count on from ``next_id``."""

    space: Space
    height: float
    rng: Generator
    next_id: int
    placed: list[Placed] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    aisles: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        xs, ys = zip(*self.space.polygon, strict=True)
        x, y = np.arange(min(xs) + _CELL / 2, max(xs), _CELL), np.arange(min(ys) + _CELL / 2, max(ys), _CELL)
        self._cells = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
        flat = self._cells.reshape(-1, 2)
        self._free = self.space.inside(flat, ROBOT_RADIUS).reshape(self._cells.shape[:2])
        self._doors: list[Array] = []
        for wall in self.space.walls:
            for hole in wall.holes:
                if hole.kind == "window":
                    self._keep(wall, hole.along, hole.width, 0.25, hole.bottom - 0.02, hole.top)
                else:
                    self._keep(wall, hole.along, hole.width + 0.16, 0.95, 0.0, hole.top + 0.1)
                    self._doors.append(wall.point(hole.along, 0.45))

    def resume(self, placed: Iterable[Placed]) -> None:
        """Take over a furnished room, to change something in it."""
        for p in placed:
            self.placed.append(p)
            block = item_block(p.item)
            self.blocks.append(block)
            if p.on in ("floor", "object") and p.kind.name not in ("door", "doorway"):
                self._free &= ~self._shadow(block)

    def _keep(self, wall: Wall, along: float, width: float, depth: float, low: float, high: float) -> None:
        x, y = wall.point(along, depth / 2)
        self.blocks.append(Block((float(x), float(y)), (depth / 2, width / 2), wall.yaw, low, high))

    # What fits where

    def _fits(self, block: Block, margin: float = 0.0, ignore: Iterable[int] = ()) -> bool:
        outline = block.corners(-2e-3)
        if block.high > self.height + 1e-6 or not self.space.inside(outline).all():
            return False
        middles = (outline + np.roll(outline, 1, axis=0)) / 2
        if not self.space.inside(middles).all() or any(block.covers(np.asarray([c]), -0.01)[0] for c in self._reflex()):
            return False
        return not any(block.meets(b, margin if b.owner else 0.0) for b in self.blocks if b.owner not in ignore)

    def _reflex(self) -> list[tuple[float, float]]:
        return [w.start for w in self.space.walls if not w.convex_start]

    def _shadow(self, block: Block) -> NDArray[np.bool_]:
        """Cells where the robot cannot be because of a block."""
        if block.low > ROBOT_HEIGHT or block.high < 0.03:
            return np.zeros(self._free.shape, bool)
        return block.covers(self._cells.reshape(-1, 2), ROBOT_RADIUS).reshape(self._free.shape)

    def _passable(self, blocks: Sequence[Block]) -> bool:
        free = self._free.copy()
        for block in blocks:
            free &= ~self._shadow(block)
        regions, count = ndimage.label(free)
        if count == 0:
            return False
        found = {int(regions[self._cell(door)]) for door in self._doors}
        if len(found) != 1 or 0 in found:
            return False
        main = int((regions == found.pop()).sum())
        return main >= 0.9 * int(free.sum()) and main * _CELL**2 >= min(1.0, 0.12 * self.space.area)

    def _cell(self, point: Array) -> tuple[int, int]:
        i, j = np.floor((point - self._cells[0, 0] + _CELL / 2) / _CELL).astype(int)
        return (
            int(np.clip(i, 0, self._free.shape[0] - 1)),
            int(np.clip(j, 0, self._free.shape[1] - 1)),
        )

    def _take(
        self, name: str, parts: list[Part], position: Sequence[float], yaw: float, on: str, support: int | None = None
    ) -> Placed:
        at = (float(position[0]), float(position[1]), float(position[2]))
        item = Item(self.next_id, KINDS[name].label, parts, at, float(yaw))
        self.next_id += 1
        placed = Placed(item, KINDS[name], self.space.id, on, support)
        self.placed.append(placed)
        block = item_block(item)
        self.blocks.append(block)
        if on in ("floor", "object"):
            self._free &= ~self._shadow(block)
        return placed

    def stand(
        self,
        name: str,
        places: Iterable[tuple[float, float, float]],
        parts: list[Part] | None = None,
        margin: float = 0.03,
        front: float = 0.0,
        nest: Sequence[int] = (),
        floor: float = 0.0,
        support: int | None = None,
        headroom: float = 0.0,
    ) -> Placed | None:
        """Put a thing on the floor at the first of ``places`` (x, y of its origin, yaw) where it fits.

        Args:
            parts: the thing, if it is made already.
            margin: least distance to other things.
            front: depth of the floor before it that must stay free.
            nest: ids of tables under which it may be pushed.
            floor, support: height and id of a rug it stands on.
            headroom: what stands on it later will be this high; it must not stand before a window.
        """
        parts = parts or make(name, self.rng)
        points = np.concatenate([p.vertices for p in parts])
        lift = floor - points[:, 2].min()
        tables = [p for p in self.placed if p.id in nest]
        for x, y, yaw in places:
            block = block_of(points, (x, y, lift), yaw, self.next_id)
            ignore = [support] if support else []
            if not self._fits(replace(block, high=block.high + headroom), margin, [*ignore, *nest]):
                continue
            if tables:
                mine = part_blocks(parts, (x, y, lift), yaw, 0)
                theirs = [b for t in tables for b in part_blocks(t.item.parts, t.item.position, t.item.yaw, 0)]
                if any(a.meets(b, 0.004) for a in mine for b in theirs):
                    continue
            # Chairs may stand in the way of things that have a front, other things not.
            if name not in _SEATS and block.high > 0.03 and any(block.meets(a) for a in self.aisles):
                continue
            if block.high > 0.03 and not self._passable([block]):
                continue
            aisle = self._aisle(block, front)
            if aisle is not None and not self._fits(aisle, 0.0, [*nest, block.owner]):
                continue
            if aisle is not None:
                self.aisles.append(aisle)
            return self._take(name, parts, (x, y, lift), yaw, "object" if support else "floor", support)
        return None

    def _aisle(self, block: Block, depth: float) -> Block | None:
        if depth <= 0:
            return None
        x, y = np.asarray(block.center) + block.axes[0] * (block.half[0] + depth / 2)
        return Block((float(x), float(y)), (depth / 2 - 0.01, block.half[1] - 0.01), block.yaw, 0.05, 1.6)

    # Places

    def walls(self, least: float = 0.0) -> list[Wall]:
        """The walls in random order, long ones likely first."""
        walls = [w for w in self.space.walls if w.length >= least]
        keys = [self.rng.random() ** (1 / w.length) for w in walls]
        return [w for _, w in sorted(zip(keys, walls, strict=True), key=lambda entry: -entry[0])]

    def at_walls(
        self, parts: list[Part], gap: float = 0.015, turn: float = 0.0, corner: float = 0.25, tries: int = 10
    ) -> Iterable[tuple[float, float, float]]:
        """Places with the back to a wall; ``corner`` = share of those at an end of the wall."""
        points = np.concatenate([p.vertices for p in parts])
        if turn:
            points = parts_turned(points, turn)
        low, high = points.min(axis=0), points.max(axis=0)
        width = high[1] - low[1]
        for wall in self.walls(float(width) + 0.04):
            for _ in range(tries):
                room = wall.length - width
                slack = float(self.rng.uniform(0, room))
                if self.rng.random() < corner:
                    slack = 0.03 if self.rng.random() < 0.5 else room - 0.03
                # The wall's own y axis runs from its end to its start.
                along = wall.length - (slack - float(low[1]))
                x, y = wall.point(along, gap - float(low[0]))
                yield float(x), float(y), wall.yaw + turn

    def corners(self, parts: list[Part], gap: float = 0.06) -> Iterable[tuple[float, float, float]]:
        """Places in the room's corners, facing the room."""
        points = np.concatenate([p.vertices for p in parts])
        reach = float(np.abs(points[:, :2]).max())
        walls = list(self.space.walls)
        for i in self.rng.permutation(len(walls)):
            wall, before = walls[i], walls[i - 1]
            if wall.convex_start:
                at = np.asarray(wall.start) + (reach + gap) * (wall.direction - before.direction)
                yield float(at[0]), float(at[1]), before.yaw

    def anywhere(self, tries: int = 20, yaw: float | None = None) -> Iterable[tuple[float, float, float]]:
        """Random places on the floor; ``yaw`` None = any."""
        xs, ys = zip(*self.space.polygon, strict=True)
        for _ in range(tries):
            x, y = self.rng.uniform(min(xs), max(xs)), self.rng.uniform(min(ys), max(ys))
            yield float(x), float(y), float(self.rng.uniform(-180, 180)) if yaw is None else yaw

    def near(
        self, around: Placed, offsets: Iterable[tuple[float, float, float]]
    ) -> Iterable[tuple[float, float, float]]:
        """Places given in another thing's frame: x, y, turn."""
        for x, y, turn in offsets:
            at = around.item.rotation @ (x, y, 0.0) + np.asarray(around.item.position)
            yield float(at[0]), float(at[1]), around.item.yaw + turn

    # Kinds of placing

    def at_wall(
        self, name: str, front: float = 0.0, gap: float = 0.015, corner: float = 0.25, headroom: float = 0.0
    ) -> Placed | None:
        """Something that stands with its back to a wall; ``headroom`` above it and its front free if possible."""
        parts = make(name, self.rng)
        for above, before in dict.fromkeys([(headroom, front), (0.0, front), (0.0, min(front, 0.15))]):
            got = self.stand(name, self.at_walls(parts, gap, corner=corner), parts, front=before, headroom=above)
            if got is not None:
                return got
        return None

    def in_corner(self, name: str) -> Placed | None:
        """Something that stands in a corner, or else at a wall."""
        parts = make(name, self.rng)
        return self.stand(name, self.corners(parts), parts) or self.stand(name, self.at_walls(parts), parts)

    def on_top(
        self,
        name: str,
        support: Placed,
        x: tuple[float, float] = (-1, 1),
        y: tuple[float, float] = (-1, 1),
        yaw: float = 0.0,
        jitter: float = 20.0,
        tries: int = 14,
        parts: list[Part] | None = None,
    ) -> Placed | None:
        """Put something on a table or the like; ``x``, ``y``: where, in shares of the half edges of its top."""
        parts = parts or make(name, self.rng)
        points = np.concatenate([p.vertices for p in parts])
        below = item_block(support.item)
        top = below.low + (below.high - below.low) * support.kind.top
        if support.kind.name == "sink":
            top = support.item.position[2] + float(_worktop(support.item.parts))
        lift = top - points[:, 2].min()
        if support.kind.shape == "round":
            x, y = (0.68 * x[0], 0.68 * x[1]), (0.68 * y[0], 0.68 * y[1])
        for _ in range(tries):
            at = np.array([self.rng.uniform(*x) * below.half[0], self.rng.uniform(*y) * below.half[1]])
            turn = support.item.yaw + yaw + float(self.rng.uniform(-jitter, jitter))
            place = np.asarray(below.center) + at @ below.axes
            block = block_of(points, (*place, lift), turn, self.next_id)
            inside = below.covers(block.corners(), -0.01).all()
            if support.kind.name == "sink":
                local = (block.corners() - np.asarray(below.center)) @ below.axes.T
                inside = inside and (np.abs(local[:, 1]).min() > 0.27 and len(set(np.sign(local[:, 1]))) == 1)
            if inside and self._fits(block, 0.012, [support.id]):
                return self._take(name, parts, (*place, lift), turn, "object", support.id)
        return None

    def hang(
        self,
        name: str,
        height: float,
        places: Iterable[tuple[Wall, float]] | None = None,
        margin: float = 0.08,
        parts: list[Part] | None = None,
    ) -> Placed | None:
        """Put something on a wall, its lowest point ``height`` metres up; places are (wall, along)."""
        parts = parts or make(name, self.rng)
        points = np.concatenate([p.vertices for p in parts])
        half, lift = float(np.abs(points[:, 1]).max()), height - float(points[:, 2].min())
        if places is None:
            walls = self.walls(2 * half + 0.2)
            places = [
                (w, float(self.rng.uniform(half + 0.08, w.length - half - 0.08))) for w in walls for _ in range(6)
            ]
        for wall, along in places:
            x, y = wall.point(along, 1e-3 - float(points[:, 0].min()))
            block = block_of(points, (x, y, lift), wall.yaw, self.next_id)
            if self._fits(block, margin):
                return self._take(name, parts, (x, y, lift), wall.yaw, "wall")
        return None

    def ceiling(self, name: str, at: Array) -> Placed | None:
        """Put something under the ceiling."""
        parts = make(name, self.rng)
        points = np.concatenate([p.vertices for p in parts])
        lift = self.height - float(points[:, 2].max())
        block = block_of(points, (*at, lift), 0.0, self.next_id)
        return self._take(name, parts, (*at, lift), 0.0, "ceiling") if self._fits(block, 0.02) else None

    def chance(self, share: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < share)

    def size(self, placed: Placed) -> Array:
        """(3,) edges of a thing along its own axes, metres."""
        return placed.item.box().size


def parts_turned(points: Array, yaw: float) -> Array:
    """Points (N, 3) turned about z by ``yaw`` degrees."""
    c, s = np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw))
    return points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T


def _worktop(parts: Sequence[Part]) -> float:
    """Height of the worktop of a sink unit: the highest face of its cuboids."""
    return max(float(p.vertices[:, 2].max()) for p in parts if len(p.vertices) == 8)


# Groups of things that belong together


def _seats(f: Furnisher, table: Placed, name: str, count: int) -> None:
    """Chairs around a table, all of one make, drawn up to it more or less."""
    seat = make(name, f.rng)
    width, length, _ = f.size(table)
    reach = max(float(p.vertices[:, 0].max()) for p in seat)
    spots: list[tuple[float, float, float]] = []
    if table.kind.shape == "round":
        start = f.rng.uniform(0, 360)
        for i in range(count):
            a = np.deg2rad(start + 360 * i / count)
            spots.append((np.cos(a), np.sin(a), np.degrees(a) + 180))
    else:
        rows = 2 if length < 1.8 else 3
        along = (np.arange(rows) + 0.5) / rows * (length - 0.1) - (length - 0.1) / 2
        spots = [(side, float(y), 0.0 if side < 0 else 180.0) for side in (-1, 1) for y in along]
        if count > len(spots):
            spots += [(0.0, s, 90.0 if s < 0 else -90.0) for s in (-1, 1)]
        spots = [spots[i] for i in f.rng.permutation(len(spots))[:count]]
    for sx, sy, turn in spots:
        places = []
        jitter = float(f.rng.normal(0, 5))
        for tuck in (float(f.rng.uniform(0.05, 0.25)), 0.03, -0.05):
            if table.kind.shape == "round":
                r = width / 2 + reach - tuck
                places.append((sx * r, sy * r, turn + jitter))
            elif sx == 0.0:
                places.append((0.0, sy * (length / 2 + reach - tuck), turn + jitter))
            else:
                places.append((sx * (width / 2 + reach - tuck), sy, turn + jitter))
        f.stand(name, f.near(table, places), seat, margin=0.02, nest=[table.id])


def _dining(f: Furnisher) -> Placed | None:
    name = "round table" if f.chance(0.3) else "dining table"
    parts = make(name, f.rng)
    yaw = float(f.rng.choice([0, 90]))
    # Room for chairs all around: try with a wide margin first.
    table = f.stand(name, f.anywhere(40, yaw), parts, margin=0.75) or f.stand(
        name, f.anywhere(40, yaw), parts, margin=0.5
    )
    if table is None:
        return None
    _seats(f, table, "stool" if f.chance(0.1) else "chair", int(f.rng.integers(2, 5 if name == "round table" else 7)))
    for thing in f.rng.permutation(["bowl", "vase", "plate", "mug", "candle", "bottle", "laptop", "plate"])[
        : int(f.rng.integers(1, 5))
    ]:
        f.on_top(str(thing), table, (-0.8, 0.8), (-0.8, 0.8), float(f.rng.choice([0, 180])))
    return table


def _work_place(f: Furnisher) -> Placed | None:
    """A desk with its chair, screen, keyboard and what lies about."""
    desk = f.at_wall("desk", front=0.75, corner=0.4, headroom=0.6)
    if desk is None:
        return None
    depth, _, _ = f.size(desk)
    name = "office chair" if f.chance(0.75) else "chair"
    seat = make(name, f.rng)
    reach = max(float(p.vertices[:, 0].max()) for p in seat)
    side = float(f.rng.uniform(-0.15, -0.02))
    places = [(depth / 2 + reach - t, side, 180 + float(f.rng.normal(0, 14))) for t in (0.18, 0.05, -0.06, -0.15)]
    f.stand(name, f.near(desk, places), seat, margin=0.02, nest=[desk.id])
    screen = None
    if f.chance(0.75):
        screens = 2 if f.chance(0.3) else 1
        for i in range(screens):
            shift = side + 0.05 if screens == 1 else (-0.45 if i == 0 else 0.45)
            screen = f.on_top("monitor", desk, (-0.62, -0.35), (shift - 0.1, shift + 0.1), jitter=8)
        if screen is not None:
            f.on_top("keyboard", desk, (0.3, 0.75), (side - 0.2, side + 0.15), jitter=4)
    if screen is None:
        f.on_top("laptop", desk, (-0.05, 0.25), (side - 0.2, side + 0.2), jitter=8)
    for thing, share in (
        ("table lamp", 0.45),
        ("mug", 0.6),
        ("book", 0.5),
        ("printer", 0.15),
        ("bottle", 0.2),
        ("candle", 0.08),
    ):
        if f.chance(share):
            f.on_top(thing, desk, (-0.9, 0.9), (-0.95, 0.95))
    if f.chance(0.7):
        width = f.size(desk)[1]
        sides = [(float(f.rng.uniform(-0.15, 0.1)), s * (width / 2 + 0.22), 0.0) for s in (-1, 1)]
        f.stand("trash can", f.near(desk, sides))
    return desk


def _lounge(f: Furnisher) -> None:
    """A sofa with what stands around it: low table on a rug, TV opposite, armchair beside, lamp in the corner."""
    sofa = f.at_wall("sofa", front=0.4, gap=0.04, corner=0.1)
    if sofa is None:
        return
    depth, width, _ = f.size(sofa)
    rug = None
    if f.chance(0.65):
        parts = make("rug", f.rng)
        reach = max(float(p.vertices[:, 0].max()) for p in parts)
        rug = f.stand(
            "rug", f.near(sofa, [(depth / 2 + 0.05 + reach, float(f.rng.uniform(-0.2, 0.2)), 0.0)]), parts, margin=0.01
        )
    if f.chance(0.85):
        parts = make("coffee table", f.rng)
        ahead = float(f.rng.uniform(0.36, 0.5)) + max(float(p.vertices[:, 0].max()) for p in parts)
        places = list(f.near(sofa, [(depth / 2 + ahead, float(f.rng.uniform(-0.2, 0.2)), 0.0)]))
        table = None
        f.aisles = [a for a in f.aisles if not a.meets(item_block(sofa.item), 0.1)]
        if rug is not None:
            top = item_block(rug.item)
            points = np.concatenate([p.vertices for p in parts])
            if top.covers(block_of(points, (*places[0][:2], 0.0), places[0][2], 0).corners(), 0.0).all():
                table = f.stand("coffee table", places, parts, floor=top.high, support=rug.id)
        elif table is None:
            table = f.stand("coffee table", places, parts)
        if table is not None:
            for thing in f.rng.permutation(["bowl", "mug", "book", "vase", "candle", "laptop", "bottle", "mug"])[
                : int(f.rng.integers(1, 4))
            ]:
                f.on_top(str(thing), table, (-0.8, 0.8), (-0.85, 0.85), jitter=60)
    if f.chance(0.8):
        parts = make("tv stand", f.rng)
        across = [
            p for p in f.at_walls(parts, corner=0.0, tries=14) if abs(((p[2] - sofa.item.yaw + 180) % 360) - 180) > 150
        ]
        toward = sofa.item.rotation[:, 1]
        across.sort(key=lambda p: abs(float((np.asarray([p[0], p[1], 0.0]) - sofa.item.position) @ toward)))
        stand = (
            f.stand("tv stand", across, parts, front=0.5, headroom=0.8)
            or f.stand("tv stand", f.at_walls(parts), parts, front=0.5, headroom=0.8)
            or f.stand("tv stand", across, parts, front=0.5)
        )
        if stand is not None:
            f.on_top("tv", stand, (-0.1, 0.1), (-0.12, 0.12), jitter=2)
            if f.chance(0.35):
                width_ = f.size(stand)[1]
                for s in (-1, 1):
                    f.stand("speaker", f.near(stand, [(0.0, s * (width_ / 2 + 0.22), 0.0)]))
    if f.chance(0.7):
        sides = [
            (
                depth / 2 + float(f.rng.uniform(0.5, 0.9)),
                s * (width / 2 + float(f.rng.uniform(0.15, 0.5))),
                -s * 90 + float(f.rng.normal(0, 12)),
            )
            for s in (-1, 1)
        ]
        f.stand("armchair", f.near(sofa, sides), margin=0.08)
    if f.chance(0.3):
        f.stand("ottoman", f.near(sofa, [(depth / 2 + 0.55, s * width * 0.55, 0.0) for s in (-1, 1)]), margin=0.08)


def _sleep(f: Furnisher) -> None:
    bed = f.at_wall("bed", front=0.35, gap=0.02, corner=0.2)
    if bed is None:
        return
    length, width, _ = f.size(bed)
    stand = make("nightstand", f.rng)
    for s in (-1, 1):
        deep, wide = (float(np.ptp(np.concatenate([p.vertices for p in stand])[:, i])) for i in (0, 1))
        x = -length / 2 + deep / 2 + 0.02 - (bed.item.box().center - bed.item.position) @ bed.item.rotation[:, 0] * -1
        night = f.stand("nightstand", f.near(bed, [(float(x), s * (width / 2 + wide / 2 + 0.06), 0.0)]), stand)
        if night is not None:
            if f.chance(0.7):
                f.on_top("table lamp", night, (-0.4, 0.4), (-0.4, 0.4))
            for thing in ("book", "mug", "bottle"):
                if f.chance(0.25):
                    f.on_top(thing, night, (-0.85, 0.85), (-0.85, 0.85))
    f.at_wall("wardrobe", front=0.55, corner=0.5)
    if f.chance(0.6):
        chest = f.at_wall("cabinet", front=0.45)
        if chest is not None:
            for thing in ("vase", "picture", "table lamp", "teddy bear", "candle"):
                if thing != "picture" and f.chance(0.3):
                    f.on_top(thing, chest, (-0.6, 0.6), (-0.9, 0.9))
    if f.chance(0.45):
        f.stand(
            "rug",
            f.near(bed, [(length / 2 + 0.8, 0, 0), (0.2, width / 2 + 0.8, 0), (0.2, -width / 2 - 0.8, 0)]),
            margin=0.01,
        )


def _kitchen_row(f: Furnisher) -> None:
    """Fridge, worktops, sink and stove side by side along the longest free wall, cupboards above."""
    wanted = ["refrigerator", "counter", "sink", "counter", "stove", "counter"]
    if f.chance(0.4):
        wanted = ["refrigerator", "sink", "stove", "counter"]
    if f.chance(0.5):
        wanted = wanted[::-1]
    front = make("counter", f.rng)
    body, top = front[0].material, front[2].material
    made = {"counter": front, "sink": matched(make("sink", f.rng), body, top, 0.83)}
    best: list[Placed] = []
    for wall in sorted(f.space.walls, key=lambda w: -w.length):
        at = 0.03
        row: list[Placed] = []
        for name in wanted:
            parts = made.setdefault(name, make(name, f.rng))
            points = np.concatenate([p.vertices for p in parts])
            while at < wall.length:
                along = at + float(points[:, 1].max()) + 0.012
                if along - float(points[:, 1].min()) > wall.length:
                    at = wall.length
                    break
                x, y = wall.point(along, 0.015 - float(points[:, 0].min()))
                got = f.stand(name, [(float(x), float(y), wall.yaw)], parts, margin=0.004, front=0.6)
                if got is not None:
                    row.append(got)
                    at = along - float(points[:, 1].min())
                    break
                at += 0.15
        best += row
        wanted = [n for n in wanted if n not in {p.kind.name for p in row} and n != "counter"]
        if len(row) >= 3 or not wanted:
            break
    tops = [p for p in best if p.kind.name in ("counter", "sink")]
    things = [
        "kettle",
        "toaster",
        "microwave",
        "pot",
        "bottle",
        "bowl",
        "mug",
        "plate",
        "potted plant",
        "mug",
        "bottle",
    ]
    for thing in f.rng.permutation([t for t in things if t != "potted plant"])[: int(f.rng.integers(3, 7))]:
        if tops:
            f.on_top(str(thing), tops[int(f.rng.integers(len(tops)))], (-0.6, 0.5), (-0.9, 0.9), jitter=15)
    for p in best:
        if p.kind.name == "stove" and f.chance(0.6):
            f.on_top("pot", p, (-0.5, 0.5), (-0.5, 0.5), jitter=90)
    cupboard = matched(make("wall cabinet", f.rng), body, top, 9.0)
    for p in best:
        if p.kind.name in ("counter", "sink") and f.chance(0.75):
            wall = min(
                f.space.walls,
                key=lambda w: (
                    abs(float((np.asarray(p.item.position[:2]) - w.start) @ w.normal)) + 9 * (w.yaw != p.item.yaw)
                ),
            )
            along = float((np.asarray(p.item.position[:2]) - wall.start) @ wall.direction)
            f.hang("wall cabinet", 1.42, [(wall, along)], margin=0.0, parts=cupboard)


def _bathroom(f: Furnisher) -> None:
    basin = f.at_wall("washbasin", front=0.55, corner=0.15)
    f.at_wall("toilet", front=0.45, gap=0.01, corner=0.2)
    tub = make("bathtub", f.rng)
    if not (f.chance(0.6) and f.stand("bathtub", f.at_walls(tub, 0.005, corner=0.9), tub)):
        cabin = make("shower", f.rng)
        f.stand("shower", f.at_walls(cabin, 0.005, corner=1.0), cabin, front=0.4)
    if basin is not None and f.chance(0.9):
        wall = min(
            f.space.walls,
            key=lambda w: (
                abs(float((np.asarray(basin.item.position[:2]) - w.start) @ w.normal)) + 9 * (w.yaw != basin.item.yaw)
            ),
        )
        along = float((np.asarray(basin.item.position[:2]) - wall.start) @ wall.direction)
        f.hang("mirror", 1.12, [(wall, along)], margin=0.0)
    if f.chance(0.5):
        f.at_wall("washing machine", front=0.5, corner=0.6)
    for _ in range(int(f.rng.integers(1, 3))):
        f.hang("towel", float(f.rng.uniform(0.75, 0.95)))
    if f.chance(0.6):
        f.in_corner("basket")
    if f.chance(0.6):
        f.in_corner("trash can")
    if f.chance(0.3):
        f.at_wall("cabinet", front=0.3, corner=0.6)
    if f.chance(0.3):
        f.stand("stool", f.anywhere(10))


def _living(f: Furnisher) -> None:
    _lounge(f)
    if f.space.area > 17 and f.chance(0.75):
        _dining(f)
    for name, share in (("bookshelf", 0.6), ("cabinet", 0.45), ("bookshelf", 0.2)):
        if f.chance(share):
            _decorate(f, f.at_wall(name, front=0.45))
    if f.space.area > 20 and f.chance(0.25):
        _work_place(f)
    for name, share in (("lamp", 0.75), ("potted plant", 0.7), ("guitar", 0.25), ("potted plant", 0.3), ("fan", 0.15)):
        if f.chance(share):
            f.in_corner(name)


def _decorate(f: Furnisher, on: Placed | None) -> None:
    """One or two things on a cabinet or shelf."""
    if on is None or on.item.box().top > 2.1:
        return
    for thing in f.rng.permutation(["vase", "table lamp", "candle", "book", "bowl", "teddy bear", "clock"])[
        : int(f.rng.integers(0, 3))
    ]:
        if thing != "clock":
            f.on_top(str(thing), on, (-0.7, 0.7), (-0.9, 0.9), jitter=40)


def _kitchen(f: Furnisher) -> None:
    _kitchen_row(f)
    if f.space.area > 8.5 and f.chance(0.85):
        _dining(f)
    for name, share in (
        ("trash can", 0.8),
        ("potted plant", 0.35),
        ("cabinet", 0.25),
        ("stool", 0.25),
        ("washing machine", 0.15),
    ):
        if f.chance(share):
            f.in_corner(name) if name in ("trash can", "potted plant", "stool") else f.at_wall(name, front=0.4)


def _bedroom(f: Furnisher) -> None:
    _sleep(f)
    if f.chance(0.4):
        _work_place(f)
    for name, share in (
        ("bookshelf", 0.25),
        ("lamp", 0.35),
        ("potted plant", 0.35),
        ("basket", 0.3),
        ("armchair", 0.2),
        ("guitar", 0.15),
    ):
        if f.chance(share):
            f.in_corner(name) if name != "bookshelf" else f.at_wall(name, front=0.4)


def _office(f: Furnisher) -> None:
    places = int(f.rng.integers(1, 4)) if f.space.area > 12 else int(f.rng.integers(1, 3))
    for _ in range(places):
        _work_place(f)
    for name, share in (("bookshelf", 0.6), ("cabinet", 0.5), ("bookshelf", 0.3)):
        if f.chance(share):
            _decorate(f, f.at_wall(name, front=0.45))
    if f.chance(0.35):
        f.hang("whiteboard", float(f.rng.uniform(0.9, 1.0)))
    for name, share in (("potted plant", 0.6), ("lamp", 0.3), ("coat rack", 0.3), ("fan", 0.25), ("armchair", 0.15)):
        if f.chance(share):
            f.in_corner(name)


def _meeting(f: Furnisher) -> None:
    parts = make("conference table", f.rng)
    low, high = (np.asarray(v) for v in (np.min(f.space.polygon, axis=0), np.max(f.space.polygon, axis=0)))
    middle = (low + high) / 2
    yaw = 90.0 if high[0] - low[0] > high[1] - low[1] else 0.0
    spread = [
        (float(middle[0] + f.rng.normal(0, 0.2 * i)), float(middle[1] + f.rng.normal(0, 0.2 * i)), yaw)
        for i in range(12)
    ]
    table = f.stand("conference table", spread, parts, margin=0.6)
    if table is not None:
        _seats(f, table, "office chair" if f.chance(0.7) else "chair", int(f.rng.integers(4, 9)))
        for thing in f.rng.permutation(["laptop", "mug", "bottle", "laptop", "book", "mug"])[
            : int(f.rng.integers(1, 5))
        ]:
            f.on_top(str(thing), table, (-0.85, 0.85), (-0.9, 0.9), float(f.rng.choice([0, 180])))
    f.hang("whiteboard", float(f.rng.uniform(0.9, 1.0)))
    if f.chance(0.6):
        stand = f.at_wall("tv stand", front=0.4, headroom=0.8)
        if stand is not None:
            f.on_top("tv", stand, (-0.1, 0.1), (-0.1, 0.1), jitter=2)
    for name, share in (
        ("potted plant", 0.7),
        ("trash can", 0.6),
        ("coat rack", 0.4),
        ("cabinet", 0.5),
        ("potted plant", 0.3),
    ):
        if f.chance(share):
            _decorate(f, f.at_wall(name, front=0.4)) if name == "cabinet" else f.in_corner(name)


def _hallway(f: Furnisher) -> None:
    if f.chance(0.7):
        chest = f.at_wall("shoe cabinet", front=0.3)
        if chest is not None:
            f.on_top(str(f.rng.choice(["vase", "candle", "table lamp", "bowl"])), chest, (-0.5, 0.5), (-0.8, 0.8))
            if f.chance(0.5):
                f.hang("mirror", 1.2)
    for name, share in (("coat rack", 0.6), ("umbrella stand", 0.5), ("bench", 0.35), ("potted plant", 0.25)):
        if f.chance(share):
            f.at_wall(name) if name == "bench" else f.in_corner(name)
    for _ in range(int(f.rng.integers(0, 3))):
        parts = make("shoes", f.rng)
        f.stand("shoes", f.at_walls(parts, 0.03), parts)


_RULES: dict[str, Callable[[Furnisher], None]] = {
    "living room": _living,
    "kitchen": _kitchen,
    "bedroom": _bedroom,
    "office": _office,
    "bathroom": _bathroom,
    "meeting room": _meeting,
    "hallway": _hallway,
}

_CLUTTER: dict[str, tuple[str, ...]] = {
    "living room": ("ball", "backpack", "shoes", "teddy bear", "box", "ottoman", "basket", "book", "trash can"),
    "kitchen": ("box", "bottle", "backpack", "basket", "stool"),
    "bedroom": ("suitcase", "backpack", "shoes", "ball", "teddy bear", "box", "book", "ottoman", "trash can"),
    "office": ("box", "backpack", "suitcase", "book", "trash can", "box"),
    "bathroom": ("shoes", "bottle", "book"),
    "meeting room": ("backpack", "box", "suitcase"),
    "hallway": ("suitcase", "backpack", "shoes", "box", "ball"),
}


def _dress(f: Furnisher) -> None:
    """Lamps under the ceiling, curtains, radiators, pictures, shelves, a clock."""
    rect = max(f.space.rects, key=lambda r: r.area)
    spots = [np.array([(rect.x0 + rect.x1) / 2, (rect.y0 + rect.y1) / 2])]
    if max(rect.x1 - rect.x0, rect.y1 - rect.y0) > 5.2:
        half = np.array(
            [(rect.x1 - rect.x0) / 4, 0.0] if rect.x1 - rect.x0 > rect.y1 - rect.y0 else [0.0, (rect.y1 - rect.y0) / 4]
        )
        spots = [spots[0] - half, spots[0] + half]
    if len(f.space.rects) > 1:
        other = min(f.space.rects, key=lambda r: r.area)
        if other.area > 3:
            spots.append(np.array([(other.x0 + other.x1) / 2, (other.y0 + other.y1) / 2]))
    for spot in spots:
        f.ceiling("ceiling lamp", spot)
    cloth = make("curtain", f.rng)
    half = max(float(np.abs(p.vertices[:, 1]).max()) for p in cloth)
    tall = max(float(p.vertices[:, 2].max()) for p in cloth)
    curtains = f.space.kind in ("living room", "bedroom", "office", "meeting room") and f.chance(0.75)
    for wall in f.space.walls:
        for hole in wall.holes:
            if hole.kind != "window":
                continue
            if curtains:
                for s in (-1, 1):
                    along = hole.along + s * (hole.width / 2 + half + 0.065)
                    f.hang(
                        "curtain",
                        max(0.02, min(hole.top + 0.12, f.height - 0.02) - tall),
                        [(wall, along)],
                        0.004,
                        cloth,
                    )
            if f.chance(0.6) and hole.bottom > 0.78:
                f.hang("radiator", 0.12, [(wall, hole.along)], margin=0.03)
    free = {"living room": 3, "bedroom": 2, "office": 2, "kitchen": 1, "meeting room": 1, "hallway": 2, "bathroom": 0}
    for _ in range(int(f.rng.integers(0, free[f.space.kind] + 1))):
        f.hang("picture", float(f.rng.uniform(1.2, 1.45)), margin=0.12)
    if f.space.kind in ("living room", "bedroom", "office", "kitchen") and f.chance(0.4):
        f.hang("shelf", float(f.rng.uniform(1.35, 1.6)), margin=0.06)
    if f.space.kind in ("kitchen", "office", "meeting room", "living room") and f.chance(0.4):
        f.hang("clock", float(f.rng.uniform(1.7, 1.95)), margin=0.1)
    if f.space.kind in ("living room", "bedroom") and f.chance(0.2):
        f.hang("mirror", float(f.rng.uniform(0.9, 1.2)), margin=0.1)


def furnish(plan: Plan, rng: Generator) -> list[Placed]:
    """Everything in all rooms of a plan, numbered from 1 on; doors and windows are not among it."""
    placed: list[Placed] = []
    for space in plan.spaces:
        f = Furnisher(space, plan.height, rng, len(placed) + 1)
        _RULES[space.kind](f)
        _dress(f)
        for thing in rng.permutation(_CLUTTER[space.kind])[: int(rng.integers(0, 4 if space.area > 10 else 2))]:
            f.stand(str(thing), f.anywhere(12))
        placed += f.placed
    return placed

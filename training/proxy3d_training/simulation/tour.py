"""A robot's way through a flat: it visits every room, looks at what it has not seen, stays on free floor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.ndimage import gaussian_filter1d

from proxy3d_core.errors import Proxy3DError
from proxy3d_training.simulation.footprint import Block, item_block
from proxy3d_training.simulation.furnish import ROBOT_HEIGHT, ROBOT_RADIUS, Placed
from proxy3d_training.simulation.plan import THICKNESS, Plan
from proxy3d_training.simulation.sight import Sight
from proxy3d_training.simulation.trajectory import look

Array = NDArray[np.float64]

_CELL = 0.1
_SPEED, _TURN = 0.5, np.deg2rad(45)
"""Metres and radians a second."""
_STEP, _ANGLE = 0.6, np.deg2rad(30)
"""Driving this far is as good a reason for a new frame as turning by this much."""


class Blocked(Proxy3DError):
    """No way through the flat: some room cannot be reached from the first."""


@dataclass(frozen=True, eq=False)
class Tour:
    """A recorded drive.

    Attributes:
        times: (F,) seconds.
        poses: (F, 4, 4) world_from_camera, optical axes.
        yaws, tilts: (F,) radians; where the camera looks, about z and downward.
        spins: (F,) angular speed about z, radians a second.
        path: (N, 2) the whole way on the floor, metres.
    """

    times: Array
    poses: Array
    yaws: Array
    tilts: Array
    spins: Array
    path: Array


class FreeFloor:
    """Where a robot can be: cells of a grid, and the ways between them."""

    def __init__(self, plan: Plan, things: Iterable[Placed]) -> None:
        corners = np.array([p for space in plan.spaces for p in space.polygon])
        low, high = corners.min(axis=0), corners.max(axis=0)
        x, y = (np.arange(low[i] + _CELL / 2, high[i], _CELL) for i in (0, 1))
        self.cells = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
        flat = self.cells.reshape(-1, 2)
        self.room = np.zeros(len(flat), np.int64)
        free = np.zeros(len(flat), bool)
        for space in plan.spaces:
            self.room[space.inside(flat)] = space.id
            free |= space.inside(flat, ROBOT_RADIUS)
        for space in plan.spaces:
            for wall in space.walls:
                for hole in wall.holes:
                    if hole.kind == "doorway":
                        cx, cy = wall.point(hole.along, -THICKNESS / 2)
                        half = (THICKNESS / 2 + ROBOT_RADIUS + _CELL, hole.width / 2 - ROBOT_RADIUS)
                        free |= Block((float(cx), float(cy)), half, wall.yaw, 0, 1).covers(flat)
        for thing in things:
            block = item_block(thing.item)
            if thing.kind.name not in ("door", "doorway") and block.low < ROBOT_HEIGHT and block.high > 0.03:
                free &= ~block.covers(flat, ROBOT_RADIUS)
        self.free = free.reshape(self.cells.shape[:2])
        regions, _ = ndimage.label(self.free)
        inside = regions[self.free]
        if not len(inside):
            raise Blocked("there is no free floor")
        self.main = regions == np.bincount(inside).argmax()
        self.clearance = ndimage.distance_transform_edt(self.main) * _CELL

    def of_room(self, number: int, clearance: float) -> NDArray[np.int64]:
        """Flat indices of reachable cells of a room that are ``clearance`` metres from anything in the robot's way."""
        mine = self.main & (self.room.reshape(self.main.shape) == number)
        for least in (clearance, clearance / 2, 0.0):
            found = np.flatnonzero(mine & (self.clearance > least))
            if len(found):
                return found
        return found

    def ways(self) -> sparse.csr_matrix:
        """Graph of the reachable cells, eight neighbours; steps beside obstacles cost more."""
        shape = self.main.shape
        index = np.arange(self.main.size).reshape(shape)
        cost = 1.0 + 0.25 / np.maximum(self.clearance, 0.05)
        rows, columns, values = [], [], []
        for di, dj in ((1, 0), (0, 1), (1, 1), (1, -1)):
            a = (slice(0, shape[0] - di), slice(max(0, -dj), shape[1] - max(0, dj)))
            b = (slice(di, shape[0]), slice(max(0, dj), shape[1] - max(0, -dj)))
            both = self.main[a] & self.main[b]
            rows.append(index[a][both])
            columns.append(index[b][both])
            values.append((cost[a][both] + cost[b][both]) / 2 * np.hypot(di, dj) * _CELL)
        n = self.main.size
        return sparse.coo_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (n, n)
        ).tocsr()


def visible_ids(sight: Sight, at: Array, azimuths: Array) -> list[set[int]]:
    """What stands in each direction from a place (3,)."""
    tilt = np.deg2rad(np.linspace(-38, 14, 9))
    a, t = np.meshgrid(azimuths, tilt, indexing="ij")
    ways = np.stack([np.cos(a) * np.cos(t), np.sin(a) * np.cos(t), np.sin(t)], axis=-1).reshape(-1, 3)
    ids, _ = sight.along(np.broadcast_to(at, ways.shape), ways)
    return [set(row.tolist()) - {0} for row in ids.reshape(len(azimuths), -1)]


def plan_tour(
    plan: Plan,
    things: Sequence[Placed],
    sight: Sight,
    rng: Generator,
    frames: int,
    height: float,
    field_of_view: float,
    rounds: int = 1,
) -> Tour:
    """A drive of ``frames`` frames that sees all rooms, ``rounds`` times over.

    Args:
        things: everything that is ever in the way.
        height: of the camera, metres.
        field_of_view: horizontal, radians.

    Raises:
        Blocked: a room cannot be reached.
    """
    floor = FreeFloor(plan, things)
    stations = _stations(plan, floor, rng, max(2, frames // (7 * rounds)))
    graph = floor.ways()
    flat = floor.cells.reshape(-1, 2)
    keys: list[tuple[float, float, float]] = []  # x, y, yaw
    azimuths = np.linspace(-np.pi, np.pi, 48, endpoint=False)
    yaw = float(rng.uniform(-np.pi, np.pi))
    for _ in range(rounds):
        seen: set[int] = set()
        for i, cell in enumerate(stations):
            at = flat[cell]
            views = _views(visible_ids(sight, np.array([*at, height]), azimuths), azimuths, seen, field_of_view)
            # Turn the short way round: from the end of the fan that is nearer.
            fan = np.unwrap(np.sort(views))
            gap = np.argmax(np.diff(np.append(fan, fan[0] + 2 * np.pi)))
            fan = np.roll(fan, -gap - 1)
            fan = np.unwrap(fan)
            fan = fan + 2 * np.pi * np.round((yaw - fan[0]) / (2 * np.pi))
            back = fan[::-1] + 2 * np.pi * np.round((yaw - fan[-1]) / (2 * np.pi))
            fan = fan if abs(fan[0] - yaw) <= abs(back[0] - yaw) else back
            if keys:
                way = _way(graph, flat, stations[i - 1], cell)
                turns = np.linspace(yaw, fan[0], len(way) + 1)[1:]
                keys += [(float(p[0]), float(p[1]), float(a)) for p, a in zip(way, turns, strict=True)]
            keys += [(float(at[0]), float(at[1]), float(a)) for a in fan]
            yaw = float(fan[-1])
    return _drive(np.array(keys), rng, frames, height)


def _stations(plan: Plan, floor: FreeFloor, rng: Generator, budget: int) -> list[int]:
    """Cells from where to look around: some in every room, far apart, in an order that follows the doorways."""
    total = sum(space.area for space in plan.spaces)
    flat = floor.cells.reshape(-1, 2)
    stations: list[int] = []
    for number in _room_order(plan):
        cells = floor.of_room(number, 0.35)
        if not len(cells):
            raise Blocked(f"room {number} cannot be reached")
        space = plan.space(number)
        count = int(np.clip(round(budget * space.area / total), 1 if space.area < 9 else 2, 6))
        picked = [int(rng.choice(cells))]
        if len(plan.spaces) == 1 or count > 1:  # begin far from the middle
            middle = flat[cells].mean(axis=0)
            picked = [
                int(cells[np.argmax(np.linalg.norm(flat[cells] - middle, axis=1) + rng.uniform(0, 0.5, len(cells)))])
            ]
        while len(picked) < count:
            away = np.min([np.linalg.norm(flat[cells] - flat[p], axis=1) for p in picked], axis=0)
            picked.append(int(cells[np.argmax(away)]))
        here = flat[stations[-1]] if stations else flat[picked[0]]
        while picked:  # the nearest next
            nearest = min(picked, key=lambda c: float(np.linalg.norm(flat[c] - here)))
            picked.remove(nearest)
            stations.append(nearest)
            here = flat[nearest]
    return stations


def _room_order(plan: Plan) -> list[int]:
    """Rooms depth first, from the first."""
    order: list[int] = []

    def visit(number: int) -> None:
        order.append(number)
        for wall in plan.space(number).walls:
            for hole in wall.holes:
                if hole.kind == "doorway" and hole.other not in order:
                    visit(hole.other)

    visit(1)
    return order


def _views(columns: list[set[int]], azimuths: Array, seen: set[int], field_of_view: float, most: int = 4) -> Array:
    """Directions worth a look, those with most unseen things first; ``seen`` grows."""
    chosen: list[float] = []
    for _ in range(most):
        gains = []
        for a in azimuths:
            off = np.abs((azimuths - a + np.pi) % (2 * np.pi) - np.pi)
            inside = set().union(*(columns[j] for j in np.flatnonzero(off < field_of_view / 2 * 0.9)))
            apart = min((abs((a - c + np.pi) % (2 * np.pi) - np.pi) for c in chosen), default=np.pi)
            gains.append((len(inside - seen) + 0.15 * len(inside)) * (apart > 0.5))
        best = int(np.argmax(gains))
        if chosen and gains[best] < 1.5:
            break
        chosen.append(float(azimuths[best]))
        off = np.abs((azimuths - azimuths[best] + np.pi) % (2 * np.pi) - np.pi)
        seen |= set().union(*(columns[j] for j in np.flatnonzero(off < field_of_view / 2 * 0.9)))
    return np.array(chosen)


def _way(graph: sparse.csr_matrix, flat: Array, start: int, end: int) -> Array:
    """Places (N, 2) on the way from one cell to another, without the first, every half metre or so."""
    _, before = sparse.csgraph.dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    way = [end]
    while way[-1] != start:
        if before[way[-1]] < 0:
            raise Blocked("no way between two places")
        way.append(int(before[way[-1]]))
    points = flat[way[::-1]]
    if len(points) > 5:  # the grid's zigzag
        points = np.stack([gaussian_filter1d(points[:, i], 1.2, mode="nearest") for i in (0, 1)], axis=1)
    picked = points[4::5]
    return picked if len(picked) and np.allclose(picked[-1], flat[end]) else np.vstack([picked, flat[end]])


def _drive(keys: Array, rng: Generator, frames: int, height: float) -> Tour:
    """Poses along keys (N, 3) of x, y, yaw [radians], smooth, ``frames`` of them where there is most to see anew."""
    step = np.hypot(*np.diff(keys[:, :2], axis=0).T)
    turn = np.abs(np.diff(keys[:, 2]))
    times = np.concatenate([[0], np.cumsum(np.maximum(step / _SPEED, turn / _TURN) + 1e-3)])
    rate = 30.0
    fine = np.arange(0, times[-1] + 1 / rate, 1 / rate)
    x, y, yaw = (gaussian_filter1d(np.interp(fine, times, keys[:, i]), 0.25 * rate, mode="nearest") for i in range(3))
    effort = np.hypot(np.diff(x), np.diff(y)) / _STEP + np.abs(np.diff(yaw)) / _ANGLE + 1e-6
    progress = np.concatenate([[0], np.cumsum(effort)])
    picked = np.searchsorted(progress, np.linspace(0, progress[-1], frames) - 1e-9)
    picked = np.maximum.accumulate(np.clip(picked, 0, len(fine) - 1))
    # Frames are numbered at 30 Hz: no two may fall on one number.
    picked = np.maximum(picked, np.arange(frames))
    for i in range(frames - 1):
        picked[i + 1] = max(picked[i + 1], picked[i] + 1)
    last = len(fine) - 1
    t = picked / rate
    picked = np.minimum(picked, last)
    spin = np.gradient(yaw, 1 / rate)[picked]
    base = np.deg2rad(3 + 16 * (height - 0.4) / 1.1 + rng.uniform(-3, 4))
    sway = gaussian_filter1d(rng.standard_normal(len(fine)), 0.8 * rate, mode="nearest")
    tilt = base + np.deg2rad(2.5) * sway / max(float(sway.std()), 1e-9) + np.deg2rad(0.15) * np.sin(5.6 * fine + 1)
    bob = 0.004 * np.sin(8.2 * fine)
    poses = [look(np.array([x[i], y[i], height + bob[i]]), float(yaw[i]), float(tilt[i])) for i in picked]
    wrapped = (yaw[picked] + np.pi) % (2 * np.pi) - np.pi
    return Tour(t, np.stack(poses), wrapped, tilt[picked], spin, np.stack([x, y], axis=1))

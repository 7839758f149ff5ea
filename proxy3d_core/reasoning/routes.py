"""Ways over free floor: shortest path on the floor plan, and the path in words."""

from __future__ import annotations

import heapq
import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.reasoning.relations import angle_to
from proxy3d_core.scene.snapshot import FloorPlan

Array = NDArray[np.float64]

REACH = 0.8
"""A goal is reached from free floor at most this far from its box [m]."""
_STEPS = [(dx, dy, math.hypot(dx, dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]


def cells_of(plan: FloorPlan, points: Array) -> NDArray[np.int64]:
    """(N, 2) grid cells of points (N, 2)."""
    return np.floor((np.atleast_2d(points) - plan.origin) / plan.cell).astype(np.int64)


def centers_of(plan: FloorPlan, cells: NDArray[np.int64]) -> Array:
    """(N, 2) centres of grid cells."""
    return np.asarray(cells) * plan.cell + plan.origin + plan.cell / 2


def plan(floor: FloorPlan, start: Array, goal: OrientedBox) -> Array | None:
    """Corner points (M, 2) of a shortest way over free floor from ``start`` (2,) to within ``REACH`` of ``goal``, or
    None.

    A* on the 8-connected grid (Hart, Nilsson and Raphael, 1968), then straightened where the line of sight is free.
    """
    free = np.argwhere(floor.free)
    if not len(free):
        return None
    centers = centers_of(floor, free)
    points = np.column_stack([centers, np.full(len(free), goal.center[2])])
    apart = np.linalg.norm((goal.closest_point(points) - points)[:, :2], axis=1)
    goals = (
        {tuple(c) for c in free[apart <= max(REACH, apart.min() + floor.cell)]} if apart.min() <= 2 * REACH else set()
    )
    if not goals:
        return None
    first = tuple(free[int(np.argmin(np.linalg.norm(centers - start, axis=1)))])
    if np.linalg.norm(centers_of(floor, np.array([first]))[0] - start) > 2 * REACH:
        return None
    target = cells_of(floor, goal.center[:2])[0]
    cells = _search(
        floor.free,
        first,
        goals,
        (int(target[0]), int(target[1])),
        math.ceil((goal.size.max() + 2 * REACH) / floor.cell),
    )
    if cells is None:
        return None
    return np.concatenate([[start], centers_of(floor, np.array(_straightened(floor.free, cells)))])


def _search(
    free: NDArray[np.bool_], start: tuple[int, ...], goals: set[tuple[int, ...]], target: tuple[int, int], slack: int
) -> list[tuple[int, ...]] | None:
    def bound(cell: tuple[int, ...]) -> float:
        # To the goal's centre, less how far from it one arrives, so that it never overestimates.
        return max(0.0, math.hypot(cell[0] - target[0], cell[1] - target[1]) - slack)

    queue = [(bound(start), 0.0, start)]
    cost = {start: 0.0}
    came: dict[tuple[int, ...], tuple[int, ...]] = {}
    while queue:
        _, spent, cell = heapq.heappop(queue)
        if spent > cost[cell]:
            continue
        if cell in goals:
            path = [cell]
            while cell in came:
                cell = came[cell]
                path.append(cell)
            return path[::-1]
        for dx, dy, length in _STEPS:
            x, y = cell[0] + dx, cell[1] + dy
            if not (0 <= x < free.shape[0] and 0 <= y < free.shape[1] and free[x, y]):
                continue
            total = spent + length
            if total < cost.get((x, y), math.inf):
                cost[x, y] = total
                came[x, y] = cell
                heapq.heappush(queue, (total + bound((x, y)), total, (x, y)))
    return None


def _straightened(free: NDArray[np.bool_], cells: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Drop the points between which the straight line is free."""
    out = [cells[0]]
    at = 0
    while at < len(cells) - 1:
        ahead = len(cells) - 1
        while ahead > at + 1 and not _clear(free, cells[at], cells[ahead]):
            ahead -= 1
        out.append(cells[ahead])
        at = ahead
    return out


def _clear(free: NDArray[np.bool_], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    steps = 2 * max(abs(a[0] - b[0]), abs(a[1] - b[1])) + 1
    line = np.rint(np.linspace(a, b, steps)).astype(np.int64)
    return bool(free[line[:, 0], line[:, 1]].all())


def in_words(path: Array, facing: Array | None, goal: str) -> str:
    """Turn left 40 degrees, go 2.1 m, turn right 90 degrees, go 1.0 m to the door."""
    parts: list[str] = []
    heading = facing
    for a, b in pairwise(path):
        length = float(np.linalg.norm(b - a))
        if length < 0.15:
            continue
        if heading is not None:
            angle = angle_to(a, heading, b)
            if abs(angle) > 150:
                parts.append("turn around")
            elif abs(angle) > 15:
                parts.append(f"turn {'left' if angle > 0 else 'right'} {abs(angle):.0f} degrees")
        heading = (b - a) / length
        parts.append(f"go {length:.1f} m")
    return ", ".join(parts) + f" to the {goal}" if parts else f"you are at the {goal}"

"""Upright boxes on a floor plan: what overlaps what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_training.simulation.rooms import Item
from proxy3d_training.simulation.shapes import Part

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Block:
    """An upright box: centre (x, y) and half edges [metres], yaw [degrees], from ``low`` to ``high``.

    ``owner`` is the id of the item, 0 = a place that must stay free.
    """

    center: tuple[float, float]
    half: tuple[float, float]
    yaw: float
    low: float
    high: float
    owner: int = 0

    @property
    def axes(self) -> Array:
        """(2, 2), rows are the directions of the edges."""
        c, s = np.cos(np.deg2rad(self.yaw)), np.sin(np.deg2rad(self.yaw))
        return np.array([[c, s], [-s, c]])

    def corners(self, grow: float = 0.0) -> Array:
        """(4, 2), every edge ``grow`` metres further out."""
        half = np.asarray(self.half) + grow
        return np.asarray(self.center) + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ self.axes

    def covers(self, points: Array, grow: float = 0.0) -> NDArray[np.bool_]:
        """(N,) whether points (N, 2) lie inside."""
        local = (points - np.asarray(self.center)) @ self.axes.T
        return (np.abs(local) <= np.asarray(self.half) + grow).all(axis=1)

    def meets(self, other: Block, margin: float = 0.0) -> bool:
        """Whether two boxes overlap, or come closer than ``margin`` on the plan (separating axes)."""
        if min(self.high, other.high) - max(self.low, other.low) < 1e-3:
            return False
        gap = np.asarray(other.center) - self.center
        reach = np.hypot(*self.half) + np.hypot(*other.half) + margin
        if gap @ gap > reach * reach:
            return False
        axes = np.concatenate([self.axes, other.axes])
        extent = np.abs(axes @ self.axes.T) @ self.half + np.abs(axes @ other.axes.T) @ other.half
        return bool((np.abs(axes @ gap) < extent + margin - 1e-9).all())


def block_of(points: Array, position: Sequence[float], yaw: float, owner: int) -> Block:
    """The box around points (N, 3) of an item's own frame, with the item at a place."""
    low, high = points.min(axis=0), points.max(axis=0)
    c, s = np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw))
    x, y = (low[:2] + high[:2]) / 2
    center = (float(position[0] + c * x - s * y), float(position[1] + s * x + c * y))
    half = (high - low)[:2] / 2
    return Block(
        center, (float(half[0]), float(half[1])), yaw, float(position[2] + low[2]), float(position[2] + high[2]), owner
    )


def item_block(item: Item) -> Block:
    """The box around an item."""
    return block_of(np.concatenate([p.vertices for p in item.parts]), item.position, item.yaw, item.id)


def part_blocks(parts: Sequence[Part], position: Sequence[float], yaw: float, owner: int) -> list[Block]:
    """The boxes around an item's parts, one by one."""
    return [block_of(p.vertices, position, yaw, owner) for p in parts]

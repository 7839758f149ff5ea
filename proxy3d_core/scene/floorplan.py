"""Floor, free space and room area from the voxels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.scene.snapshot import FloorPlan
from proxy3d_core.scene.structure import Structure
from proxy3d_core.scene.surface import Surface

CELL = 0.1  # m
_CLEARANCE = 0.1  # m above the floor: lower things are driven over or are noise
_REACH = 200.0  # m to every side of the middle of the map: a stray pose must not blow up the grid
_GAP = 0.8  # m: unseen gaps of floor up to this wide (under and behind furniture) count as room


def floor_plan(surface: Surface, structure: Structure, robot_height: float) -> FloorPlan:
    """Grid over the floor plane.

    A cell is free where the floor was seen and nothing stands above it up to ``robot_height`` metres. The area of the
    room is the area of all that was seen, with gaps closed and holes filled, as far as the walls.
    """
    if structure.floor is None or not len(surface):
        return FloorPlan()
    near = (np.abs(surface.position[:, :2] - np.median(surface.position[:, :2], axis=0)) < _REACH).all(axis=1)
    xy = np.floor(surface.position[near, :2] / CELL).astype(np.int64)
    origin = xy.min(axis=0)
    at = xy - origin
    shape = tuple(at.max(axis=0) + 1)

    def grid(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        out = np.zeros(shape, np.uint8)
        cells = at[mask[near]]
        out[cells[:, 0], cells[:, 1]] = 1
        return out

    height = surface.position[:, 2] - structure.floor
    known = grid(np.ones(len(surface), bool))
    blocked = grid((height > _CLEARANCE) & (height < robot_height))
    floor = cv2.morphologyEx(grid(structure.on_floor), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return FloorPlan(
        height=structure.floor,
        area=_room_area(grid(~structure.on_wall)),
        cell=CELL,
        origin=origin * CELL,
        free=(floor > 0) & (blocked == 0),
        known=known > 0,
    )


def _room_area(known: NDArray[np.uint8]) -> float:
    """Square metres of the largest region of seen cells, gaps closed and holes filled."""
    reach = int(_GAP / CELL)
    pad = 2 * reach
    padded = cv2.copyMakeBorder(known, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(
        padded, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    )
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    # The contour runs through the centres of the outermost cells: half a cell more on every side is the room.
    return (cv2.contourArea(largest) + cv2.arcLength(largest, closed=True) / 2) * CELL * CELL

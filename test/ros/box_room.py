"""A room of boxes with known geometry, and what a camera sees in it: exact depth and class ids by ray casting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.camera import Intrinsics, pixel_rays

Array = NDArray[np.float64]

CAMERA = Intrinsics(width=160, height=120, fx=130.0, fy=130.0, cx=79.5, cy=59.5)

# name: id, centre, size
BOXES: dict[str, list[tuple[int, tuple[float, float, float], tuple[float, float, float]]]] = {
    "chair": [(1, (1.0, 1.2, 0.45), (0.5, 0.5, 0.9)), (1, (1.0, -1.2, 0.45), (0.5, 0.5, 0.9))],
    "table": [(2, (2.2, 0.0, 0.375), (0.8, 1.4, 0.75))],
}
FLOOR, WALL = 3, 4
NAMES = {1: "chair", 2: "table", 3: "floor", 4: "wall"}
WALL_X = 4.0


@dataclass(frozen=True)
class View:
    """One look: depth (H, W) metres, labels (H, W), colour (H, W, 3), pose ``map_from_camera``."""

    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    rgb: NDArray[np.uint8]
    pose: Array


def look_at(eye: tuple[float, float, float], target: tuple[float, float, float]) -> Array:
    """Pose of an optical camera (x right, y down, z forward) at ``eye`` that looks at ``target``, z of the room up."""
    z = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    x = np.cross(z, (0, 0, 1.0))
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    pose[:3, 3] = eye
    return pose


def render(pose: Array, without: tuple[str, ...] = ()) -> View:
    """What the camera sees: floor z = 0, a wall at x = ``WALL_X``, and the boxes."""
    rays = (
        pixel_rays(CAMERA).astype(np.float64) @ pose[:3, :3].T
    )  # z of the camera is 1: the ray parameter is the depth
    eye = pose[:3, 3]
    depth = np.full(rays.shape[:2], np.inf)
    labels = np.zeros(rays.shape[:2], np.uint8)

    def hit(t: Array, good: NDArray[np.bool_], label: int) -> None:
        nearer = good & (t > 0.05) & (t < depth)
        depth[nearer] = t[nearer]
        labels[nearer] = label

    with np.errstate(divide="ignore", invalid="ignore"):
        hit(-eye[2] / rays[..., 2], rays[..., 2] < 0, FLOOR)
        hit((WALL_X - eye[0]) / rays[..., 0], rays[..., 0] > 0, WALL)
        for name, boxes in BOXES.items():
            for label, center, size in boxes if name not in without else ():
                low = (np.subtract(center, np.divide(size, 2)) - eye) / rays
                high = (np.add(center, np.divide(size, 2)) - eye) / rays
                enter, leave = np.minimum(low, high).max(axis=-1), np.maximum(low, high).min(axis=-1)
                hit(enter, enter < leave, label)
    seen = np.isfinite(depth)
    colors = np.array([[0, 0, 0], [200, 40, 40], [120, 80, 40], [150, 150, 150], [220, 220, 210]], np.uint8)
    return View(np.where(seen, depth, 0).astype(np.float32), labels, colors[labels], pose)


def tour(count: int) -> list[Array]:
    """Camera poses on an arc in front of the furniture."""
    return [look_at((-1.5, y, 1.5), (1.6, 0.3 * y, 0.3)) for y in np.linspace(-1.5, 1.5, count)]

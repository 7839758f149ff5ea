"""What the vision network sees of a frame: colours and geometry on a small working image.

Geometry is told in a frame that stands upright, so that a table top is level however the camera is tilted: right,
forward, up, with the camera at the origin and forward where it looks, as far as that is level.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics, unproject
from proxy3d_core.perception.observation import point_normals

WORKING_PIXELS = 160 * 120
"""Most pixels of the working image; smaller pictures stay as they are."""
STEP, LEAST = 8, 32
"""Sides of the working image are multiples of STEP and at least LEAST pixels."""
GEOMETRY = 4
"""Channels of ``WorkingImage.geometry``."""

_SAME = 0.02  # share of the depth: pixels this close to a block's centre are averaged
_FAR = 12.0  # m, what lies farther was not measured


@dataclass(frozen=True, eq=False)
class WorkingImage:
    """A frame as the network takes it.

    Attributes:
        rgb: (h, w, 3) uint8; mid-grey without a colour image.
        geometry: (h, w, GEOMETRY) float32: depth / 5 m, height over the camera / 2 m, and the normal's share up and
            forward; zeros where nothing was measured.
        points: (h, w, 3) float32 right, forward, up in metres, zeros where nothing was measured.
        valid: (h, w), where there is a measurement.
        source: rows and columns of the frame [px].
    """

    rgb: NDArray[np.uint8]
    geometry: NDArray[np.float32]
    points: NDArray[np.float32]
    valid: NDArray[np.bool_]
    source: tuple[int, int]


def working_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the working image for an image of this size [px]: 120 x 160 for 4:3."""
    scale = min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    rows, columns = (max(LEAST, round(side * scale / STEP) * STEP) for side in (height, width))
    return rows, columns


def upright(up: ArrayLike) -> NDArray[np.float32]:
    """(3, 3) rotation from the camera's optical frame to right, forward, up.

    Args:
        up: (3,) direction of up in the optical frame (x right, y down, z forward). Where the camera looks straight up
            or down, forward is where the top of the picture points, or its opposite.

    Raises:
        BadInput: ``up`` has no direction.
    """
    u = np.asarray(up, np.float64).reshape(-1)
    length = float(np.linalg.norm(u))
    if u.shape != (3,) or not np.isfinite(length) or length < 1e-6:
        raise BadInput(f"up must be a direction of three numbers, not {np.asarray(up).tolist()}")
    u = u / length
    ahead = np.array([0.0, 0.0, 1.0])
    if abs(u @ ahead) > 0.98:
        ahead = np.array([0.0, 1.0, 0.0]) * np.sign(u @ ahead)
    forward = ahead - (ahead @ u) * u
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(forward, u), forward, u]).astype(np.float32)


def working_image(
    rgb: NDArray[np.uint8] | None,
    depth: NDArray[np.float32] | None = None,
    intrinsics: Intrinsics | None = None,
    up: ArrayLike | None = None,
) -> WorkingImage:
    """The working image of a frame; colours, or depth with the rest, may be missing.

    Args:
        rgb: (H, W, 3).
        depth: (H, W) metres; 0, NaN, infinite = not measured.
        intrinsics: of both images.
        up: (3,) direction of up in the camera's optical frame.

    Raises:
        BadInput: neither colours nor depth, depth without intrinsics and up, or images of different sizes.
    """
    source = rgb if depth is None else depth
    if source is None:
        raise BadInput("no image to look at: give a colour image, depth or both")
    height, width = source.shape[:2]
    h, w = working_size(height, width)
    colors = np.full((h, w, 3), 128, np.uint8)
    if rgb is not None:
        if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
            raise BadInput(f"the colour image must be ({height}, {width}, 3) uint8, not {rgb.shape} {rgb.dtype}")
        colors = np.asarray(_resized(rgb, h, w), np.uint8)
    geometry, points = np.zeros((h, w, GEOMETRY), np.float32), np.zeros((h, w, 3), np.float32)
    if depth is None:
        return WorkingImage(colors, geometry, points, np.zeros((h, w), bool), (height, width))
    if intrinsics is None or up is None:
        raise BadInput("depth needs the camera's intrinsics and the direction of up")
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise BadInput(
            f"depth is {depth.shape[1]}x{depth.shape[0]} but camera info says {intrinsics.width}x{intrinsics.height}"
        )
    small = _working_depth(depth, h, w)
    valid = small > 0
    camera = unproject(small, intrinsics.resized(w, h))
    normals, known = point_normals(camera, valid)
    rotation = upright(up).T
    points = camera @ rotation
    turned = np.where(known[..., None], normals, 0) @ rotation
    geometry[..., 0] = small / 5
    geometry[..., 1] = points[..., 2] / 2
    geometry[..., 2] = turned[..., 2]
    geometry[..., 3] = turned[..., 1]
    return WorkingImage(colors, geometry, points, valid, (height, width))


def _working_depth(depth: NDArray[np.float32], h: int, w: int) -> NDArray[np.float32]:
    """(h, w) depth at the centre of each block, averaged with what lies on the same surface; 0 = not measured."""
    clean = np.where(np.isfinite(depth) & (depth > 0) & (depth < _FAR), depth, 0).astype(np.float32)
    if clean.shape == (h, w):
        return clean
    rows = ((np.arange(h) + 0.5) * clean.shape[0] / h).astype(np.int64)
    columns = ((np.arange(w) + 0.5) * clean.shape[1] / w).astype(np.int64)
    center = clean[rows[:, None], columns]
    measured = np.asarray(_resized((clean > 0).astype(np.float32), h, w))
    mean = np.asarray(_resized(clean, h, w)) / np.maximum(measured, 1e-6)
    return np.where(np.abs(mean - center) < _SAME * center, mean, center).astype(np.float32)


def _resized(image: NDArray[np.uint8] | NDArray[np.float32], h: int, w: int) -> cv2.typing.MatLike:
    """By area where it shrinks, bilinear where it grows."""
    smaller = image.shape[0] >= h and image.shape[1] >= w
    return cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)

"""Colour and label images brought to the pixel grid of the depth image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.camera import Intrinsics, unproject


def resize_to(image: NDArray[Any], width: int, height: int, nearest: bool = False) -> NDArray[Any]:
    """``image`` resampled to a size; ``nearest`` for label ids, which must not be mixed."""
    if image.shape[:2] == (height, width):
        return image
    if nearest:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    shrinks = image.shape[0] > height or image.shape[1] > width
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def register(
    image: NDArray[Any],
    camera: Intrinsics,
    depth: NDArray[np.float32],
    depth_camera: Intrinsics,
    image_from_depth: NDArray[np.float64] | None = None,
    nearest: bool = False,
) -> NDArray[Any]:
    """What each depth pixel sees in ``image``, on the depth grid; 0 where it looks past the image.

    Args:
        image: (h, w) or (h, w, c) of ``camera``.
        camera: intrinsics of ``image``.
        depth: (H, W) metres; only used with ``image_from_depth``.
        depth_camera: intrinsics of ``depth``.
        image_from_depth: 4x4 transform between the two optical frames; None = the same place. Pixels without depth
            are then looked up at infinity. Surfaces that only the depth camera sees get the colour in front of them.
        nearest: no mixing of neighbours (label ids).
    """
    if image_from_depth is None or np.allclose(image_from_depth, np.eye(4), atol=1e-4):
        return _register_same_place(image, camera, depth_camera, nearest)
    rotation, shift = image_from_depth[:3, :3].astype(np.float32), image_from_depth[:3, 3].astype(np.float32)
    seen = depth > 0
    points = unproject(np.where(seen, depth, np.float32(1)), depth_camera) @ rotation.T
    points[seen] += shift
    z = np.maximum(points[..., 2], 1e-6)
    u = camera.fx * points[..., 0] / z + camera.cx
    v = camera.fy * points[..., 1] / z + camera.cy
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return cv2.remap(image, u.astype(np.float32), v.astype(np.float32), how, borderMode=cv2.BORDER_CONSTANT)


def _register_same_place(
    image: NDArray[Any], camera: Intrinsics, depth_camera: Intrinsics, nearest: bool
) -> NDArray[Any]:
    # First to the pixel pitch of the depth image, averaging areas; then what is left of scale and shift, by one warp.
    width = max(1, round(camera.width * depth_camera.fx / camera.fx))
    height = max(1, round(camera.height * depth_camera.fy / camera.fy))
    scaled = resize_to(image, width, height, nearest)
    k = camera.resized(width, height)
    sx, sy = k.fx / depth_camera.fx, k.fy / depth_camera.fy
    warp = np.array([[sx, 0, k.cx - sx * depth_camera.cx], [0, sy, k.cy - sy * depth_camera.cy]])
    size = (depth_camera.width, depth_camera.height)
    corner = warp @ (size[0], size[1], 1) - size
    if size == (width, height) and np.abs([*warp[:, 2], *corner]).max() < 0.5:
        return scaled
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return cv2.warpAffine(scaled, warp, size, flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT)

"""Pinhole camera: intrinsics, point maps from depth, projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import BadInput


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics of a rectified image, in pixels; pixel centres are at whole numbers.

    Attributes:
        width, height: image size.
        fx, fy: focal lengths.
        cx, cy: principal point.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite(values).all():
            raise BadInput(f"camera info holds NaN or infinite intrinsics {values}; calibrate or fix the driver")
        if self.fx <= 0 or self.fy <= 0:
            raise BadInput(
                f"camera info has focal lengths fx={self.fx}, fy={self.fy}: not calibrated; "
                "calibrate the camera or fix the driver"
            )
        if self.width <= 0 or self.height <= 0:
            raise BadInput(f"camera info has size {self.width}x{self.height}; the driver must fill width and height")

    @classmethod
    def from_matrix(cls, k: ArrayLike, width: int, height: int) -> Intrinsics:
        """From a 3x3 camera matrix (or its 9 numbers, row by row).

        Raises:
            BadInput: not 9 numbers, or not a calibrated camera.
        """
        flat = np.asarray(k, dtype=np.float64).reshape(-1)
        if flat.size != 9:
            raise BadInput(f"camera matrix has {flat.size} numbers, expected 9")
        return cls(int(width), int(height), *(float(flat[i]) for i in (0, 4, 2, 5)))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The 3x3 camera matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    def resized(self, width: int, height: int) -> Intrinsics:
        """Intrinsics of the same picture resampled to ``width`` x ``height`` (area-aligned, as cv2.resize)."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(
            width, height, self.fx * sx, self.fy * sy, (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        )

    def strided(self, stride: int, offset: int = 0) -> Intrinsics:
        """Intrinsics of ``image[offset::stride, offset::stride]``."""
        return Intrinsics(
            len(range(offset, self.width, stride)),
            len(range(offset, self.height, stride)),
            self.fx / stride,
            self.fy / stride,
            (self.cx - offset) / stride,
            (self.cy - offset) / stride,
        )


def pixel_rays(k: Intrinsics) -> NDArray[np.float32]:
    """Viewing rays K^-1 [u, v, 1] of every pixel, (H, W, 3) float32, camera frame, z = 1."""
    u = (np.arange(k.width, dtype=np.float32) - k.cx) / k.fx
    v = (np.arange(k.height, dtype=np.float32) - k.cy) / k.fy
    rays = np.ones((k.height, k.width, 3), dtype=np.float32)
    rays[..., 0] = u
    rays[..., 1] = v[:, None]
    return rays


def unproject(depth: NDArray[np.float32], k: Intrinsics) -> NDArray[np.float32]:
    """Point map (H, W, 3) in the camera frame from depth (H, W) in metres; (0, 0, 0) where depth is 0.

    Raises:
        BadInput: image and intrinsics differ in size.
    """
    if depth.shape != (k.height, k.width):
        raise BadInput(f"depth is {depth.shape[1]}x{depth.shape[0]} but camera info says {k.width}x{k.height}")
    return pixel_rays(k) * depth[..., None]


def project(points: ArrayLike, k: Intrinsics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel positions (N, 2) and depths (N,) of camera-frame points (N, 3); NaN pixels behind the camera."""
    p = np.asarray(points, dtype=np.float64)
    z = p[:, 2]
    safe = np.where(z > 1e-6, z, np.nan)
    return np.stack([k.fx * p[:, 0] / safe + k.cx, k.fy * p[:, 1] / safe + k.cy], axis=1), z

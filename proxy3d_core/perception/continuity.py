"""Which neighbouring pixels of a depth image lie on one surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_INVERSE_DEPTH_NOISE = 0.004  # 1/m; structured light and stereo measure disparity: the same noise at any range


def depth_tolerance(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest depth step on one surface between working pixels, metres: 2 cm and 3 % of the range.

    Covers the slope of a surface seen at 60 degrees at 160 pixels width and the noise of structured-light cameras,
    which grows with the square of the range (Khoshelham and Elberink 2012: 4 cm at 5 m).
    """
    return 0.02 + 0.03 * depth


def neighbours(image: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Every pixel but the last along axis 0 or 1, and the one after it."""
    return (image[:-1], image[1:]) if axis == 0 else (image[:, :-1], image[:, 1:])


def depth_links(depth: NDArray[np.float32], valid: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Whether each pixel (h, w) and the next one along an axis lie on one surface; one shorter along that axis.

    They do if their depths are near, or if they are part of a plane seen at a flat angle: on a plane 1/z is linear.
    """
    tolerance, _ = neighbours(depth_tolerance(depth), axis)
    inverse = np.where(valid, 1 / np.maximum(depth, 1e-3), 1e3).astype(np.float32)
    flat = np.zeros(valid.shape, bool)
    flat[(slice(1, -1),) if axis == 0 else (slice(None), slice(1, -1))] = (
        np.abs(np.diff(inverse, n=2, axis=axis)) < _INVERSE_DEPTH_NOISE
    )
    (z, next_z), (known, next_known), (even, next_even) = (neighbours(x, axis) for x in (depth, valid, flat))
    return np.asarray(known & next_known & ((np.abs(next_z - z) < tolerance) | (even & next_even)))

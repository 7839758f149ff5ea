"""How a robot carries its camera through a room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]


def look(position: Array, yaw: float, tilt: float) -> Array:
    """4x4 ``room_from_camera`` (optical axes) at ``position``, looking along ``yaw`` and ``tilt`` down [rad]."""
    c, s, ct, st = np.cos(yaw), np.sin(yaw), np.cos(tilt), np.sin(tilt)
    forward, right = np.array([c * ct, s * ct, -st]), np.array([s, -c, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def drive(keys: Sequence[tuple[float, float, float, float, float]], rate: float, height: float) -> list[Array]:
    """Camera poses along keys (time [s], x, y [m], yaw, tilt down [degrees]), ``rate`` a second.

    The path is smooth, as a heavy base moves; the head sways a few millimetres and nods a little, as on a real floor.
    """
    table = np.asarray(keys, dtype=np.float64)
    times = np.arange(table[0, 0], table[-1, 0] - 1e-9, 1 / rate)
    x, y, yaw, tilt = (
        gaussian_filter1d(PchipInterpolator(table[:, 0], table[:, i])(times), 0.3 * rate, mode="nearest")
        for i in (1, 2, 3, 4)
    )
    bob = 0.004 * np.sin(2 * np.pi * 1.3 * times)
    nod = 0.15 * np.sin(2 * np.pi * 0.9 * times + 1)
    return [
        look(np.array([px, py, height + pz]), np.deg2rad(a), np.deg2rad(t + n))
        for px, py, pz, a, t, n in zip(x, y, bob, yaw, tilt, nod, strict=True)
    ]

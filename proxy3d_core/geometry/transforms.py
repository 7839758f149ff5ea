"""Rigid transforms as 4x4 matrices ``a_from_b``: points of frame b in, points of frame a out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput

Array = NDArray[np.float64]


def is_rigid(matrix: ArrayLike, tolerance: float = 1e-3) -> bool:
    """True if ``matrix`` (4x4) is finite, orthonormal within ``tolerance`` and right-handed."""
    m = np.asarray(matrix, dtype=np.float64)
    if m.shape != (4, 4) or not np.isfinite(m).all():
        return False
    rotation = m[:3, :3]
    return bool(
        np.abs(rotation @ rotation.T - np.eye(3)).max() < tolerance
        and np.linalg.det(rotation) > 0
        and np.abs(m[3] - (0, 0, 0, 1)).max() < tolerance
    )


def check_rigid(matrix: ArrayLike, what: str = "pose") -> Array:
    """``matrix`` as a float64 4x4 array.

    Raises:
        BadInput: it is not a finite rigid transform.
    """
    m = np.asarray(matrix, dtype=np.float64)
    if m.shape != (4, 4):
        raise BadInput(f"{what} has shape {m.shape}, expected a 4x4 matrix")
    if not np.isfinite(m).all():
        raise BadInput(f"{what} holds NaN or infinite numbers; check the source of the transform")
    if not is_rigid(m):
        raise BadInput(f"{what} is not a rigid transform (rotation not orthonormal); check scale and axis order")
    return m


def invert(matrix: ArrayLike) -> Array:
    """Inverse of a rigid 4x4 transform."""
    m = np.asarray(matrix, dtype=np.float64)
    out = np.eye(4)
    out[:3, :3] = m[:3, :3].T
    out[:3, 3] = -m[:3, :3].T @ m[:3, 3]
    return out


def transform_points(matrix: ArrayLike, points: ArrayLike) -> Array:
    """Apply a 4x4 transform to points (..., 3)."""
    m = np.asarray(matrix, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ m[:3, :3].T + m[:3, 3]


def matrix_from_quaternion(position: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """4x4 transform from a position (3,) and a quaternion (x, y, z, w), as ROS orders it.

    Raises:
        BadInput: not finite, or the quaternion has no length.
    """
    t = np.asarray(position, dtype=np.float64)
    q = np.asarray(quaternion_xyzw, dtype=np.float64)
    if not (np.isfinite(t).all() and np.isfinite(q).all()):
        raise BadInput("pose holds NaN or infinite numbers; check the source of the transform")
    if np.linalg.norm(q) < 1e-6:
        raise BadInput("orientation quaternion is all zero; an unset orientation must be (0, 0, 0, 1)")
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat(q).as_matrix()
    out[:3, 3] = t
    return out


def quaternion_from_matrix(matrix: ArrayLike) -> Array:
    """Unit quaternion (x, y, z, w), w >= 0, of the rotation in a 3x3 or 4x4 matrix; (N, 4) for N stacked matrices."""
    return np.asarray(Rotation.from_matrix(np.asarray(matrix, dtype=np.float64)[..., :3, :3]).as_quat(canonical=True))


def rotation_between(a: ArrayLike, b: ArrayLike) -> Array:
    """Smallest rotation (3x3) that turns direction ``a`` into direction ``b``."""
    u = np.asarray(a, dtype=np.float64) / np.linalg.norm(a)
    v = np.asarray(b, dtype=np.float64) / np.linalg.norm(b)
    axis, cosine = np.cross(u, v), float(u @ v)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        axis = np.cross(u, np.eye(3)[np.argmin(np.abs(u))])
        return np.asarray(Rotation.from_rotvec(np.pi * axis / np.linalg.norm(axis)).as_matrix())
    return np.asarray(Rotation.from_rotvec(axis / sine * np.arctan2(sine, cosine)).as_matrix())


def yaw_matrix(yaw: float) -> Array:
    """Rotation (3x3) by ``yaw`` radians about z, counter-clockwise seen from above."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def robot_from_camera(pose: ArrayLike, floor: float | None = None) -> Array:
    """The body (4x4 ``fixed_from_robot``, x forward, z up) that goes with a camera (``fixed_from_camera``, optical).

    A recorded camera carries no robot, so the body stands below it and faces where it looks; where that is straight up
    or down, the top of the picture is behind or in front.

    Args:
        floor: z of the floor, metres; None = the body is at the camera's height.
    """
    m = np.asarray(pose, dtype=np.float64)
    forward = m[:3, 2] if np.hypot(m[0, 2], m[1, 2]) > 1e-3 else m[:3, 1] * np.sign(m[2, 2])
    out = np.eye(4)
    out[:3, :3] = yaw_matrix(float(np.arctan2(forward[1], forward[0])))
    out[:3, 3] = m[:3, 3]
    if floor is not None:
        out[2, 3] = floor
    return out

"""Cameras, rigid transforms, boxes and planes."""

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.camera import Intrinsics, project, unproject
from proxy3d_core.geometry.transforms import (
    invert,
    is_rigid,
    matrix_from_quaternion,
    quaternion_from_matrix,
    rotation_between,
    transform_points,
)

__all__ = [
    "Intrinsics",
    "OrientedBox",
    "invert",
    "is_rigid",
    "matrix_from_quaternion",
    "project",
    "quaternion_from_matrix",
    "rotation_between",
    "transform_points",
    "unproject",
]

"""Rigid transforms, against linear algebra and hand geometry."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transforms import (
    check_rigid,
    invert,
    is_rigid,
    matrix_from_quaternion,
    quaternion_from_matrix,
    robot_from_camera,
    rotation_between,
    transform_points,
    yaw_matrix,
)


def random_pose(rng: np.random.Generator) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    pose[:3, 3] = rng.uniform(-5, 5, 3)
    return pose


def test_inverse() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pose = random_pose(rng)
        np.testing.assert_allclose(invert(pose), np.linalg.inv(pose), atol=1e-12)


def test_transform_points_of_any_shape() -> None:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = yaw_matrix(np.pi / 2), (1, 2, 3)
    np.testing.assert_allclose(transform_points(pose, (1, 0, 0)), (1, 3, 3), atol=1e-12)
    assert transform_points(pose, np.zeros((4, 5, 3))).shape == (4, 5, 3)


def test_quaternion_by_hand() -> None:
    """A quarter turn about z is (0, 0, sin 45, cos 45)."""
    half = np.sqrt(0.5)
    pose = matrix_from_quaternion((1, 2, 3), (0, 0, half, half))
    np.testing.assert_allclose(pose, [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(quaternion_from_matrix(pose), (0, 0, half, half), atol=1e-12)


def test_quaternion_round_trip() -> None:
    rng = np.random.default_rng(1)
    poses = np.stack([random_pose(rng) for _ in range(20)])
    quaternions = quaternion_from_matrix(poses)
    assert quaternions.shape == (20, 4)
    assert (quaternions[:, 3] >= 0).all()
    for pose, q in zip(poses, quaternions, strict=True):
        np.testing.assert_allclose(matrix_from_quaternion(pose[:3, 3], q), pose, atol=1e-12)
        np.testing.assert_allclose(matrix_from_quaternion(pose[:3, 3], -3 * q), pose, atol=1e-12)  # same rotation


@pytest.mark.parametrize(
    ("position", "quaternion", "message"),
    [
        ((0, 0, 0), (0, 0, 0, 0), "all zero"),
        ((0, 0, 0), (0, 0, 0, np.nan), "NaN"),
        ((np.inf, 0, 0), (0, 0, 0, 1), "infinite"),
    ],
)
def test_bad_quaternions_are_refused(position: tuple[float, ...], quaternion: tuple[float, ...], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        matrix_from_quaternion(position, quaternion)


def test_rotation_between_is_the_smallest() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        a, b = rng.normal(size=3), rng.normal(size=3)
        rotation = rotation_between(a, b)
        np.testing.assert_allclose(rotation @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-12)
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        assert Rotation.from_matrix(rotation).magnitude() == pytest.approx(angle)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -2, 0.5)])
def test_rotation_between_equal_and_opposite(direction: tuple[float, ...]) -> None:
    a = np.array(direction)
    np.testing.assert_allclose(rotation_between(a, 2 * a), np.eye(3), atol=1e-12)
    half_turn = rotation_between(a, -a)
    np.testing.assert_allclose(half_turn @ a, -a, atol=1e-12)
    np.testing.assert_allclose(half_turn @ half_turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(half_turn) == pytest.approx(1)


def test_rigid_is_recognised() -> None:
    pose = random_pose(np.random.default_rng(3))
    assert is_rigid(pose)
    np.testing.assert_array_equal(check_rigid(pose.tolist()), pose)
    assert not is_rigid(np.eye(3))


def matrix(rotation: np.ndarray, last_row: tuple[float, ...] = (0, 0, 0, 1)) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[3] = rotation, last_row
    return out


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.eye(3), r"camera has shape \(3, 3\)"),
        (matrix(np.full((3, 3), np.nan)), "camera holds NaN"),
        (matrix(2 * np.eye(3)), "not a rigid transform"),
        (matrix(np.diag([1.0, 1.0, -1.0])), "not a rigid transform"),  # a mirror
        (matrix(np.eye(3), (0, 0, 1, 1)), "not a rigid transform"),
        (np.zeros((4, 4)), "not a rigid transform"),
    ],
)
def test_bad_transforms_are_refused(bad: np.ndarray, message: str) -> None:
    assert not is_rigid(bad)
    with pytest.raises(BadInput, match=message):
        check_rigid(bad, "camera")


def test_robot_below_its_camera() -> None:
    """A camera at (1, 2, 1.5) that looks along +y, tilted down, carries a body that faces +y."""
    forward = np.array([0, np.cos(0.4), -np.sin(0.4)])
    right = np.array([1.0, 0, 0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = (1, 2, 1.5)
    expected = np.eye(4)
    expected[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    expected[:3, 3] = (1, 2, 0.1)
    np.testing.assert_allclose(robot_from_camera(pose, floor=0.1), expected, atol=1e-12)
    assert robot_from_camera(pose)[2, 3] == 1.5


def test_robot_under_a_camera_that_looks_straight_down() -> None:
    """The top of the picture is in front: here +x (image down = -x, image right = -y)."""
    pose = np.eye(4)
    pose[:3, :3] = np.stack([(0, -1, 0), (-1, 0, 0), (0, 0, -1)], axis=1)
    np.testing.assert_allclose(robot_from_camera(pose)[:3, :3], np.eye(3), atol=1e-12)

"""TF outside ROS: expected poses are worked out by hand from two known poses."""

import numpy as np
import pytest

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transform_buffer import TransformBuffer, TransformNotReady, TransformUnknown
from proxy3d_core.geometry.transforms import yaw_matrix

SECOND = 1_000_000_000


def pose(x: float, y: float = 0.0, yaw_degrees: float = 0.0) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3] = yaw_matrix(np.deg2rad(yaw_degrees))
    out[:2, 3] = x, y
    return out


@pytest.fixture
def buffer() -> TransformBuffer:
    out = TransformBuffer()
    out.add("map", "base_link", 10 * SECOND, pose(0))
    out.add("map", "base_link", 11 * SECOND, pose(1, 0, 90))
    out.add("base_link", "camera", 0, pose(0, 0.5), static=True)
    return out


def test_interpolates_position_and_rotation(buffer: TransformBuffer) -> None:
    # Half way: base at x = 0.5 turned by 45 degrees, camera 0.5 m to its left.
    found = buffer.lookup("map", "camera", 10 * SECOND + SECOND // 2)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found[:3, 3], [0.5 - 0.5 * half, 0.5 * half, 0], atol=1e-12)
    np.testing.assert_allclose(found[:3, :3], yaw_matrix(np.pi / 4), atol=1e-12)


def test_interpolates_over_half_turns_the_short_way() -> None:
    buffer = TransformBuffer()
    buffer.add("map", "a", 0, pose(0, 0, 170))
    buffer.add("map", "a", 2 * SECOND, pose(0, 0, -170))
    np.testing.assert_allclose(buffer.lookup("map", "a", SECOND)[:3, :3], yaw_matrix(np.pi), atol=1e-9)


def test_inverse_direction_and_siblings(buffer: TransformBuffer) -> None:
    buffer.add("base_link", "lidar", 0, pose(1), static=True)
    np.testing.assert_allclose(buffer.lookup("lidar", "camera", 10 * SECOND), pose(-1, 0.5), atol=1e-12)
    forward, backward = buffer.lookup("map", "camera", 11 * SECOND), buffer.lookup("camera", "map", 11 * SECOND)
    np.testing.assert_allclose(forward @ backward, np.eye(4), atol=1e-12)


def test_exact_stamps_and_newest(buffer: TransformBuffer) -> None:
    np.testing.assert_array_equal(buffer.lookup("map", "base_link", 11 * SECOND), pose(1, 0, 90))
    np.testing.assert_array_equal(buffer.lookup("/map", "base_link", None), pose(1, 0, 90))
    np.testing.assert_array_equal(buffer.lookup("odd", "odd", 5), np.eye(4))


def test_tells_not_ready_from_unknown(buffer: TransformBuffer) -> None:
    with pytest.raises(TransformNotReady, match=r"ends 0\.500 s before"):
        buffer.lookup("map", "camera", 11 * SECOND + SECOND // 2)
    with pytest.raises(TransformUnknown, match=r"begins 1\.000 s after"):
        buffer.lookup("map", "camera", 9 * SECOND)
    with pytest.raises(TransformUnknown, match="base_link, camera, map"):
        buffer.lookup("map", "gripper", 10 * SECOND)
    with pytest.raises(TransformUnknown, match="frames in TF: none"):
        TransformBuffer().lookup("map", "camera")


def test_history_is_bounded() -> None:
    buffer = TransformBuffer(history=5.0)
    for second in range(100):
        buffer.add("map", "a", second * SECOND, pose(second))
    assert buffer.lookup("map", "a", 95 * SECOND)[0, 3] == 95
    with pytest.raises(TransformUnknown):
        buffer.lookup("map", "a", 93 * SECOND)


def test_out_of_order_and_repeated_stamps() -> None:
    buffer = TransformBuffer()
    for stamp, x in ((10.0, 0), (10.4, 4), (10.2, 2), (10.4, 6)):
        buffer.add("map", "a", int(stamp * SECOND), pose(x))
    assert buffer.lookup("map", "a", int(10.3 * SECOND))[0, 3] == pytest.approx(4)


def test_a_stray_old_stamp_is_ignored_but_a_restarted_clock_is_followed(buffer: TransformBuffer) -> None:
    buffer.add("map", "base_link", 2 * SECOND, pose(50))
    assert buffer.lookup("map", "base_link", 11 * SECOND)[0, 3] == 1
    buffer.add("map", "base_link", 12 * SECOND, pose(2))
    assert buffer.lookup("map", "base_link", 12 * SECOND)[0, 3] == 2
    for tenth in range(3):
        buffer.add("map", "base_link", tenth * SECOND // 10, pose(7))
    assert buffer.lookup("map", "base_link", SECOND // 10)[0, 3] == 7
    with pytest.raises(TransformNotReady):
        buffer.lookup("map", "base_link", 11 * SECOND)


def test_clear_keeps_static(buffer: TransformBuffer) -> None:
    buffer.clear()
    assert buffer.frames == {"base_link", "camera"}
    np.testing.assert_array_equal(buffer.lookup("base_link", "camera", 5), pose(0, 0.5))


def test_new_parent_and_loops() -> None:
    buffer = TransformBuffer()
    buffer.add("map", "a", 0, pose(1), static=True)
    buffer.add("odom", "a", 0, pose(2), static=True)
    assert buffer.lookup("odom", "a")[0, 3] == 2
    buffer.add("a", "odom", 0, pose(3), static=True)  # a loop: nobody publishes it on purpose, but it must not hang
    with pytest.raises(TransformUnknown):
        buffer.lookup("map", "a")


def test_refuses_what_is_not_rigid() -> None:
    buffer = TransformBuffer()
    bad = pose(0)
    bad[0, 3] = np.nan
    with pytest.raises(BadInput, match="map -> a"):
        buffer.add("map", "a", 0, bad)
    with pytest.raises(BadInput, match="not a rigid"):
        buffer.add("map", "a", 0, 2 * np.eye(4))
    with pytest.raises(BadInput, match="two named frames"):
        buffer.add("map", "map", 0, np.eye(4))

"""Messages without ROS 2."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="needs the extra: pip install 'proxy3d_ros[dds]'")

from proxy3d_ros.dds import types

# As Jazzy's own interface packages state them (std_msgs/msg/String.json etc., field type_hashes).
PUBLISHED_HASHES = {
    "std_msgs/msg/String": "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
    "std_msgs/msg/Empty": "RIHS01_20b625256f32d5dbc0d04fee44f43c41e51c70d3502f84b4a08e7a9c26a96312",
}


@pytest.mark.parametrize("name", PUBLISHED_HASHES)
def test_type_hash_is_the_published_one(name: str) -> None:
    assert types.type_hash(name) == PUBLISHED_HASHES[name]


def test_cdr_of_a_header_byte_by_byte() -> None:
    """XCDR1, little endian: strings carry their length with the final zero."""
    stamp = types.new("builtin_interfaces/msg/Time", sec=1, nanosec=2)
    cdr = bytes(types.serialize("std_msgs/msg/Header", types.new("std_msgs/msg/Header", stamp=stamp, frame_id="map")))
    assert cdr == b"\x00\x01\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00map\x00"


def test_defaults_reach_into_nested_messages_and_arrays() -> None:
    response = types.new("proxy3d_ros/srv/AskSpatial_Response")
    assert (response.status, response.answer, response.has_value, response.map_epoch) == (0, "", False, 0)
    assert response.objects.detections == [] and response.objects.header.frame_id == ""
    info = types.new("sensor_msgs/msg/CameraInfo")
    assert info.k.shape == (9,) and info.k.dtype == np.float64 and not info.k.any()
    assert len(info.d) == 0
    # As rosidl does: a pose that nobody filled has a valid orientation.
    assert types.new("geometry_msgs/msg/Pose").orientation.w == 1.0
    assert types.new("proxy3d_ros/msg/RegionPrompt").box_2d.tolist() == [0, 0, 0, 0]


def test_each_message_has_its_own_parts() -> None:
    first, second = (types.new("geometry_msgs/msg/PoseStamped") for _ in range(2))
    first.pose.position.x = 3.0
    assert second.pose.position.x == 0.0


@pytest.mark.parametrize("values", [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3], np.int16)])
def test_sequences_may_be_lists_tuples_or_arrays(values: object) -> None:
    message = types.new("sensor_msgs/msg/CameraInfo", d=values)
    assert message.d.dtype == np.float64 and message.d.tolist() == [1, 2, 3]
    again = types.deserialize("sensor_msgs/msg/CameraInfo", types.serialize("sensor_msgs/msg/CameraInfo", message))
    assert again.d.tolist() == [1, 2, 3]


def test_bytes_fill_uint8_sequences() -> None:
    assert types.new("sensor_msgs/msg/Image", data=b"\x01\xff").data.tolist() == [1, 255]


def test_wrong_fields_are_named() -> None:
    with pytest.raises(TypeError, match=r"no field.*qwestion.*question"):
        types.new("proxy3d_ros/srv/AskSpatial_Request", qwestion="?")
    with pytest.raises(TypeError, match=r"CameraInfo\.k needs 9 values, not 3"):
        types.new("sensor_msgs/msg/CameraInfo", k=[1, 2, 3])
    with pytest.raises(KeyError, match="no_msgs"):
        types.new("no_msgs/msg/Thing")


def test_every_known_type_survives_the_wire() -> None:
    for name in types.store().types:
        cdr = types.serialize(name, types.new(name))
        assert bytes(types.serialize(name, types.deserialize(name, cdr))) == bytes(cdr), name

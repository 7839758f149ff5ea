"""ROS names and remappings (expected values: ROS 2 design, "Topic and Service name mapping to DDS")."""

from __future__ import annotations

import pytest

from proxy3d_core.errors import BadInput
from proxy3d_ros.dds.names import Names, dds_type, reply_topic, request_topic, ros_type, topic


@pytest.mark.parametrize(
    ("namespace", "name", "full"),
    [
        ("/", "rgb/image", "/rgb/image"),
        ("robot1", "rgb/image", "/robot1/rgb/image"),
        ("/robot1/", "~/objects", "/robot1/proxy3d/objects"),
        ("/", "~/objects", "/proxy3d/objects"),
        ("/robot1", "/tf", "/tf"),
    ],
)
def test_names_are_resolved_in_the_namespace(namespace: str, name: str, full: str) -> None:
    assert Names.parse("proxy3d", namespace).resolve(name) == full


def test_remaps_are_resolved_on_both_sides() -> None:
    names = Names.parse("proxy3d", "/robot1", ["rgb/image:=/camera/color/image_raw", "~/objects:=seen", "/tf:=tf"])
    assert names.resolve("rgb/image") == "/camera/color/image_raw"
    assert names.resolve("~/objects") == "/robot1/seen"
    assert names.resolve("/tf") == "/robot1/tf"
    assert names.resolve("depth/image") == "/robot1/depth/image"


def test_node_and_namespace_can_be_remapped() -> None:
    names = Names.parse("proxy3d", "/", ["__ns:=/arm", "__node:=eyes"])
    assert names.resolve("~/objects") == "/arm/eyes/objects"


@pytest.mark.parametrize("rule", ["rgb/image", ":=/x", "a:=", "rgb image:=/x", "a:=/1x", "a:=//x"])
def test_bad_rules_are_refused(rule: str) -> None:
    with pytest.raises(BadInput):
        Names.parse("proxy3d", "/", [rule])


def test_dds_names() -> None:
    assert topic("/rgb/image") == "rt/rgb/image"
    assert request_topic("/ask_spatial") == "rq/ask_spatialRequest"
    assert reply_topic("/ask_spatial") == "rr/ask_spatialReply"
    assert dds_type("sensor_msgs/msg/Image") == "sensor_msgs::msg::dds_::Image_"
    assert ros_type("sensor_msgs::msg::dds_::Image_") == "sensor_msgs/msg/Image"

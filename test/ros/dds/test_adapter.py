"""The port over DDS: inputs decoded at the edge, transforms, time, log. The node behind it is the real one."""

from __future__ import annotations

import numpy as np
import pytest

from proxy3d_core.config import Config
from proxy3d_ros.dds import qos, types
from proxy3d_ros.dds.adapter import DdsAdapter
from proxy3d_ros.dds.names import Names
from proxy3d_ros.inputs import detection
from proxy3d_ros.node import SpatialNode
from proxy3d_ros.port import Input, TransformNotReady, TransformUnknown

SECOND = 1_000_000_000


@pytest.fixture
def start_adapter():
    """``start_adapter(use_sim_time=False, **settings)`` gives an adapter whose node runs in this process."""
    running = []

    def start(use_sim_time: bool = False, **settings) -> DdsAdapter:
        config = Config.from_flat({name.replace("__", "."): value for name, value in settings.items()})
        adapter = DdsAdapter(config, Names.parse("proxy3d"), use_sim_time)
        node = SpatialNode(adapter, config)
        adapter.start(node)
        node.activate()
        running.append((adapter, node))
        return adapter

    yield start
    for adapter, node in running:
        adapter.close()
        node.close()


def transform(parent: str, child: str, stamp: int, x: float, w: float = 1.0):
    seconds, nanoseconds = divmod(stamp, SECOND)
    stamp = types.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return types.new(
        "geometry_msgs/msg/TransformStamped",
        header=types.new("std_msgs/msg/Header", stamp=stamp, frame_id=parent),
        child_frame_id=child,
        transform=types.new(
            "geometry_msgs/msg/Transform",
            translation=types.new("geometry_msgs/msg/Vector3", x=x),
            rotation=types.new("geometry_msgs/msg/Quaternion", w=w),
        ),
    )


def test_transforms_are_interpolated_and_bad_ones_are_named(start_adapter, make_node, wait_until, caplog) -> None:
    adapter = start_adapter()
    robot = make_node("robot")
    tf, static = (
        robot.publisher("/tf", "tf2_msgs/msg/TFMessage", qos.TF),
        robot.publisher("/tf_static", "tf2_msgs/msg/TFMessage", qos.TF_STATIC),
    )
    assert wait_until(lambda: tf.subscribers and static.subscribers)
    static.publish(types.new("tf2_msgs/msg/TFMessage", transforms=[transform("base_link", "camera", 0, 0.5)]))
    moving = [transform("map", "base_link", 10 * SECOND, 1.0), transform("map", "base_link", 11 * SECOND, 3.0)]
    bad = transform("map", "arm", 10 * SECOND, 0.0, w=0.0)
    tf.publish(types.new("tf2_msgs/msg/TFMessage", transforms=[bad, *moving]))

    def known() -> bool:
        try:
            return adapter.lookup_transform("map", "camera", None) is not None
        except LookupError:
            return False

    assert wait_until(known)
    # Half way between x = 1 and x = 3, plus half a metre from the robot to its camera.
    halfway = adapter.lookup_transform("map", "camera", int(10.5 * SECOND))
    assert np.allclose(halfway[:3, 3], (2.5, 0, 0))
    with pytest.raises(TransformNotReady):
        adapter.lookup_transform("map", "camera", 12 * SECOND)
    with pytest.raises(TransformUnknown):
        adapter.lookup_transform("map", "arm", 10 * SECOND)
    assert "transform map -> arm is ignored: orientation quaternion is all zero" in caplog.text
    adapter.clear_transforms()
    with pytest.raises(TransformUnknown):
        adapter.lookup_transform("map", "camera", None)
    assert np.allclose(adapter.lookup_transform("base_link", "camera", None)[:3, 3], (0.5, 0, 0))


def test_the_clock_is_that_of_the_simulator(start_adapter, make_node, wait_until) -> None:
    adapter = start_adapter(use_sim_time=True)
    assert adapter.now_ns() == 0
    clock = make_node("simulator").publisher("/clock", "rosgraph_msgs/msg/Clock")
    assert wait_until(lambda: clock.subscribers)
    time = types.new("builtin_interfaces/msg/Time", sec=42, nanosec=7)
    clock.publish(types.new("rosgraph_msgs/msg/Clock", clock=time))
    assert wait_until(lambda: adapter.now_ns() == 42 * SECOND + 7)


@pytest.mark.parametrize(
    ("semantics", "inputs"),
    [
        ("auto", {Input.LABELS, Input.DETECTIONS, Input.LABEL_INFO}),
        ("labels", {Input.LABELS, Input.LABEL_INFO}),
        ("detections", {Input.DETECTIONS, Input.LABEL_INFO}),
        ("none", set()),
    ],
)
def test_only_what_is_wanted_is_subscribed_to(start_adapter, semantics, inputs) -> None:
    status = start_adapter(input__semantics=semantics).input_status()
    assert set(status) == {Input.RGB, Input.DEPTH, Input.CAMERA_INFO} | inputs
    assert status[Input.RGB].topic == "/rgb/image" and status[Input.RGB].publishers == 0


def test_compressed_topics_have_the_names_of_image_transport(start_adapter) -> None:
    status = start_adapter(input__compressed=True).input_status()
    assert status[Input.RGB].topic == "/rgb/image/compressed"
    assert status[Input.DEPTH].topic == "/depth/image/compressedDepth"


def test_bad_images_are_counted_in_diagnostics(start_adapter, make_node, wait_until) -> None:
    start_adapter()
    seen: list[str] = []
    camera = make_node("camera")

    def on_diagnostics(message) -> None:
        seen.extend(f"{pair.key}={pair.value}" for status in message.status for pair in status.values)

    camera.subscribe("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", on_diagnostics)
    rgb, depth = (camera.publisher(name, "sensor_msgs/msg/Image") for name in ("rgb/image", "depth/image"))
    assert wait_until(lambda: rgb.subscribers and depth.subscribers)
    rgb.publish(types.new("sensor_msgs/msg/Image", height=2, width=2, encoding="rgb8", step=6, data=[1] * 11))
    depth.publish(types.new("sensor_msgs/msg/Image", height=2, width=2, encoding="jp2", step=4, data=[1] * 8))
    assert wait_until(lambda: any("decode_error" in text and text.endswith("2") for text in seen)), seen


def test_log_goes_to_rosout(start_adapter, make_node, wait_until) -> None:
    adapter = start_adapter()
    got: list = []
    make_node("console").subscribe("/rosout", "rcl_interfaces/msg/Log", got.append, qos.ROSOUT)
    adapter.log("warning", "mind the step")
    assert wait_until(lambda: any(entry.msg == "mind the step" for entry in got))
    entry = next(entry for entry in got if entry.msg == "mind the step")
    assert (entry.level, entry.name) == (30, "proxy3d")  # rcl_interfaces/msg/Log: WARN=30


def test_a_detection_is_its_best_hypothesis_in_corner_form() -> None:
    def hypothesis(name: str, score: float):
        inner = types.new("vision_msgs/msg/ObjectHypothesis", class_id=name, score=score)
        return types.new("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=inner)

    center = types.new("vision_msgs/msg/Pose2D", position=types.new("vision_msgs/msg/Point2D", x=100.0, y=50.0))
    box = types.new("vision_msgs/msg/BoundingBox2D", center=center, size_x=40.0, size_y=20.0)
    results = [hypothesis("cat", 0.2), hypothesis("chair", 0.7)]
    found = detection(types.new("vision_msgs/msg/Detection2D", results=results, bbox=box))
    assert found is not None and (found.label, found.score) == ("chair", 0.7)
    assert (found.left, found.top, found.right, found.bottom) == (80, 40, 120, 60)
    assert detection(types.new("vision_msgs/msg/Detection2D", bbox=box)) is None

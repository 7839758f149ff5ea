"""What to subscribe to, and how a message becomes a call of the node: the same for every middleware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from proxy3d_core.config import InputConfig
from proxy3d_core.encodings import (
    check_labels,
    decode_compressed,
    decode_compressed_depth,
    decode_image,
    depth_to_metres,
    to_rgb,
)
from proxy3d_core.frame import Detection2D
from proxy3d_ros.messages import stamp_ns
from proxy3d_ros.node import SpatialNode
from proxy3d_ros.port import Input

_COMPRESSED = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class Subscription:
    """One input as it is subscribed to.

    Attributes:
        topic: relative name.
        type_name: ROS type.
        latched: reliable and transient_local, keep the last; else sensor data (best effort, keep the last few).
        callback: decodes a message and gives it to the node; raises whatever decoding raises.
    """

    topic: str
    type_name: str
    latched: bool
    callback: Callable[[Any], None]


def pixels(message: Any) -> NDArray[Any]:
    """The array of a raw sensor_msgs/Image, channels as its encoding orders them. Raises BadInput."""
    return decode_image(
        message.encoding, message.height, message.width, message.step, message.data, bool(message.is_bigendian)
    )


def subscriptions(
    node: SpatialNode, config: InputConfig, pixels: Callable[[Any], NDArray[Any]] = pixels
) -> dict[Input, Subscription]:
    """All subscriptions that the settings ask for.

    Args:
        node: what receives the data.
        config: settings ``input.*``.
        pixels: the array of a raw sensor_msgs/Image; an adapter may bring its middleware's own.
    """

    def rgb(m: Any) -> None:
        node.on_rgb(stamp_ns(m.header.stamp), m.header.frame_id, to_rgb(pixels(m), m.encoding))

    def rgb_compressed(m: Any) -> None:
        image = to_rgb(*decode_compressed(m.format, m.data))
        node.on_rgb(stamp_ns(m.header.stamp), m.header.frame_id, image)

    def depth(m: Any) -> None:
        node.on_depth(stamp_ns(m.header.stamp), m.header.frame_id, depth_to_metres(pixels(m), m.encoding))

    def depth_compressed(m: Any) -> None:
        image = depth_to_metres(*decode_compressed_depth(m.format, m.data))
        node.on_depth(stamp_ns(m.header.stamp), m.header.frame_id, image)

    def camera_info(m: Any) -> None:
        node.on_camera_info(stamp_ns(m.header.stamp), m.header.frame_id, m.width, m.height, m.k, m.d)

    def labels(m: Any) -> None:
        node.on_labels(stamp_ns(m.header.stamp), m.header.frame_id, check_labels(pixels(m), m.encoding))

    def label_info(m: Any) -> None:
        node.on_label_info({int(entry.class_id): entry.class_name for entry in m.class_map})

    def detections(m: Any) -> None:
        boxes = [box for found in m.detections if (box := detection(found)) is not None]
        node.on_detections(stamp_ns(m.header.stamp), m.header.frame_id, boxes)

    callbacks = {
        Input.CAMERA_INFO: camera_info,
        Input.RGB: rgb_compressed if config.compressed else rgb,
        Input.DEPTH: depth_compressed if config.compressed else depth,
    }
    if config.semantics not in ("model", "none"):
        callbacks[Input.LABEL_INFO] = label_info
    if config.semantics in ("auto", "labels"):
        callbacks[Input.LABELS] = labels
    if config.semantics in ("auto", "detections"):
        callbacks[Input.DETECTIONS] = detections
    suffixes = {Input.RGB: "/compressed", Input.DEPTH: "/compressedDepth"} if config.compressed else {}
    return {
        source: Subscription(
            source.topic + suffixes.get(source, ""),
            _COMPRESSED if source in suffixes else source.type_name,
            source is Input.LABEL_INFO,
            callback,
        )
        for source, callback in callbacks.items()
    }


def detection(message: Any) -> Detection2D | None:
    """The best hypothesis of a vision_msgs/Detection2D; None if it has none."""
    if not message.results:
        return None
    best = max((result.hypothesis for result in message.results), key=lambda hypothesis: hypothesis.score)
    x, y = message.bbox.center.position.x, message.bbox.center.position.y
    half_x, half_y = message.bbox.size_x / 2, message.bbox.size_y / 2
    return Detection2D(best.class_id, best.score, x - half_x, y - half_y, x + half_x, y + half_y)

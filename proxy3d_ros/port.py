"""The port between what the node does (``node.py``) and the middleware it runs on (rclpy, DDS)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.transform_buffer import TransformNotReady, TransformUnknown

__all__ = ["Input", "InputStatus", "Output", "Port", "Service", "TransformNotReady", "TransformUnknown"]


class Output(Enum):
    """What the node publishes: name (relative), ROS type, latched (reliable + transient_local)."""

    OBJECTS = ("~/objects", "vision_msgs/msg/Detection3DArray", True)
    MARKERS = ("~/markers", "visualization_msgs/msg/MarkerArray", True)
    PROXIES = ("~/proxies", "sensor_msgs/msg/PointCloud2", True)
    MAP_INFO = ("~/map_info", "proxy3d_ros/msg/MapInfo", True)
    DIAGNOSTICS = ("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", False)

    def __init__(self, topic: str, type_name: str, latched: bool) -> None:
        self.topic = topic
        self.type_name = type_name
        self.latched = latched


class Input(Enum):
    """What the node listens to: name (relative) and ROS type."""

    RGB = ("rgb/image", "sensor_msgs/msg/Image")
    DEPTH = ("depth/image", "sensor_msgs/msg/Image")
    CAMERA_INFO = ("rgb/camera_info", "sensor_msgs/msg/CameraInfo")
    LABELS = ("semantic/labels", "sensor_msgs/msg/Image")
    LABEL_INFO = ("semantic/label_info", "vision_msgs/msg/LabelInfo")
    DETECTIONS = ("semantic/detections", "vision_msgs/msg/Detection2DArray")

    def __init__(self, topic: str, type_name: str) -> None:
        self.topic = topic
        self.type_name = type_name


class Service(Enum):
    """What the node serves: name (relative), ROS type, and the node's method that handles it."""

    ASK = ("ask_spatial", "proxy3d_ros/srv/AskSpatial", "ask_spatial")
    LIST = ("~/list_objects", "proxy3d_ros/srv/ListObjects", "list_objects")
    LABEL = ("~/label_object", "proxy3d_ros/srv/LabelObject", "label_object")
    SAVE = ("~/save_map", "proxy3d_ros/srv/SaveMap", "save_map")
    LOAD = ("~/load_map", "proxy3d_ros/srv/LoadMap", "load_map")
    RESET = ("~/reset", "std_srvs/srv/Trigger", "reset")
    SET_ENABLED = ("~/set_enabled", "std_srvs/srv/SetBool", "set_enabled")

    def __init__(self, topic: str, type_name: str, handler: str) -> None:
        self.topic = topic
        self.type_name = type_name
        self.handler = handler


@dataclass(frozen=True)
class InputStatus:
    """How an input is connected.

    Attributes:
        topic: full topic name.
        publishers: how many publishers were discovered.
        incompatible_qos: what does not match, in words; empty if all does.
        qos: what was subscribed with, in words, such as "best effort, volatile".
    """

    topic: str
    publishers: int
    incompatible_qos: str = ""
    qos: str = ""


class Port(Protocol):
    """What the node needs of a middleware. All methods may be called from any thread."""

    def now_ns(self) -> int:
        """The node's clock (simulated time if it is in use), nanoseconds."""
        ...

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message such as ``new("geometry_msgs/msg/Point", x=1.0)``; fields that are not given have their defaults.

        A service's response is ``new("proxy3d_ros/srv/AskSpatial_Response", ...)``. Sequences are lists, bytes or numpy
        arrays, ``byte`` fields are whole numbers; the adapter turns them into what its middleware wants.
        """
        ...

    def publish(self, output: Output, message: Any) -> None:
        """Publish; does nothing while the node is inactive."""
        ...

    def lookup_transform(self, target: str, source: str, stamp_ns: int | None) -> NDArray[np.float64]:
        """4x4 ``target_from_source`` at a stamp (None = newest). Never blocks.

        Raises:
            TransformNotReady, TransformUnknown
        """
        ...

    def clear_transforms(self) -> None:
        """Forget the moving transforms because the clock jumped back; static ones stay."""
        ...

    def input_status(self) -> dict[Input, InputStatus]:
        """Connection of every input."""
        ...

    def log(self, level: str, text: str) -> None:
        """``level`` is debug, info, warning or error."""
        ...

"""A port without a network: messages of the DDS adapter, transforms of the TF buffer, outputs kept."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from proxy3d_core.geometry.transform_buffer import TransformBuffer
from proxy3d_ros.port import Input, InputStatus, Output

pytest.importorskip("rosbags", reason="messages without ROS 2 need rosbags: pip install rosbags")

from proxy3d_ros.dds import types


class DirectPort:
    """Everything that ``Port`` asks for, in this process."""

    def __init__(self) -> None:
        self.transforms = TransformBuffer()
        self.published: dict[Output, list[Any]] = defaultdict(list)
        self.logged: list[tuple[str, str]] = []
        self.connections = {source: InputStatus("/" + source.topic, 1, qos="best effort, volatile") for source in Input}
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        return time.time_ns()

    def new(self, type_name: str, **fields: Any) -> Any:
        return types.new(type_name, **fields)

    def publish(self, output: Output, message: Any) -> None:
        types.serialize(output.type_name, message)  # what cannot be sent must not pass here either
        with self._lock:
            self.published[output].append(message)

    def lookup_transform(self, target: str, source: str, stamp_ns: int | None) -> NDArray[np.float64]:
        return self.transforms.lookup(target, source, stamp_ns)

    def clear_transforms(self) -> None:
        self.transforms.clear()

    def input_status(self) -> dict[Input, InputStatus]:
        return self.connections

    def log(self, level: str, text: str) -> None:
        self.logged.append((level, text))

    def last(self, output: Output) -> Any:
        """The newest message on an output, None if there was none."""
        return self.published[output][-1] if self.published[output] else None

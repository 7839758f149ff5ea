"""What the node does, once, for every middleware.

An adapter (``rclpy_node``, ``dds``) turns messages into numpy arrays and calls the ``on_...`` methods, forwards service
requests to the method that ``port.Service`` names, and calls ``tick`` from a timer. Everything else happens here.

All methods may be called from any thread. None of the ``on_...`` methods blocks or raises: what is wrong with a message is
counted, logged and shown in ``/diagnostics``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.config import Config
from proxy3d_core.frame import Detection2D
from proxy3d_ros.port import Input, Port

TICK_PERIOD = 0.05
"""How often an adapter calls ``SpatialNode.tick``, seconds of wall time."""


class SpatialNode:
    """The node ``proxy3d``: camera topics in, scene and answers out.

    Args:
        port: the middleware; it may publish and look up transforms from now on, and calls the entry points below.
        config: all settings.

    Raises:
        BadInput: ``input.label_names`` is neither JSON nor a readable file.
    """

    def __init__(self, port: Port, config: Config) -> None:
        raise NotImplementedError

    # Life cycle ------------------------------------------------------------------------------------------------------

    def activate(self) -> None:
        """Begin to take frames and to publish. Services answer in any state."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """Stop taking frames; the map stays and questions are still answered."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the worker thread; the node cannot be used any more. May be called twice."""
        raise NotImplementedError

    def tick(self) -> None:
        """Called every ``TICK_PERIOD`` by the adapter's timer: publishes what is due, diagnostics once a second."""
        raise NotImplementedError

    def set_config(self, config: Config) -> None:
        """Change settings at run time.

        Raises:
            BadInput: a setting changed that only takes effect when the node is configured (``needs_configure``);
                nothing has been changed then.
        """
        raise NotImplementedError

    # Inputs ----------------------------------------------------------------------------------------------------------

    def on_rgb(self, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8]) -> None:
        """Colour image (H, W, 3) uint8, r g b. The array is kept: the adapter must not write to it afterwards."""
        raise NotImplementedError

    def on_depth(self, stamp_ns: int, frame_id: str, depth: NDArray[np.float32]) -> None:
        """Depth image (H, W) float32 metres, 0 or NaN where there is no measurement. The array is kept."""
        raise NotImplementedError

    def on_camera_info(
        self, stamp_ns: int, frame_id: str, width: int, height: int, k: ArrayLike, d: ArrayLike = ()
    ) -> None:
        """Calibration: image size, camera matrix K (9 numbers, row by row), distortion coefficients."""
        raise NotImplementedError

    def on_labels(self, stamp_ns: int, frame_id: str, labels: NDArray[np.integer]) -> None:
        """Label image (H, W) of class ids; stamp of the colour image that it was made from. The array is kept."""
        raise NotImplementedError

    def on_label_info(self, names: Mapping[int, str]) -> None:
        """Names of label ids; ``input.label_names`` wins where both name an id."""
        raise NotImplementedError

    def on_detections(self, stamp_ns: int, frame_id: str, detections: Sequence[Detection2D]) -> None:
        """2D boxes in pixels of the colour image, with its stamp. A label that is a number is an id of ``on_label_info``."""
        raise NotImplementedError

    def on_decode_error(self, source: Input, error: Exception | str) -> None:
        """A message that the adapter could not decode (unknown encoding, truncated data)."""
        raise NotImplementedError

    # Services: the fields of requests and responses are those of msg/ and srv/ -----------------------------------------

    def ask_spatial(self, request: Any) -> Any:
        """proxy3d_ros/srv/AskSpatial. Waits at most the request's timeout; never raises on a bad question."""
        raise NotImplementedError

    def list_objects(self, request: Any) -> Any:
        """proxy3d_ros/srv/ListObjects."""
        raise NotImplementedError

    def label_object(self, request: Any) -> Any:
        """proxy3d_ros/srv/LabelObject."""
        raise NotImplementedError

    def save_map(self, request: Any) -> Any:
        """proxy3d_ros/srv/SaveMap."""
        raise NotImplementedError

    def load_map(self, request: Any) -> Any:
        """proxy3d_ros/srv/LoadMap."""
        raise NotImplementedError

    def reset(self, request: Any) -> Any:
        """std_srvs/srv/Trigger: forget the map, begin a new epoch."""
        raise NotImplementedError

    def set_enabled(self, request: Any) -> Any:
        """std_srvs/srv/SetBool: false = keep the map but take no frames."""
        raise NotImplementedError

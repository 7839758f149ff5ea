"""A recorded sequence as a rosbag2 (MCAP), with the topics and frames that the live node listens to."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from proxy3d_core.encodings import encode_compressed_depth, metres_to_depth16
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.frame import Detection2D, Frame
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.transforms import invert, quaternion_from_matrix, robot_from_camera
from proxy3d_core.perception.level import Level, estimate_up
from proxy3d_core.sequences.base import Sequence
from proxy3d_core.sequences.frames import FrameStream, frames
from proxy3d_core.sequences.ros_types import typestore

MAP_FRAME, ROBOT_FRAME, CAMERA_FRAME = "map", "base_link", "camera_color_optical_frame"
WORLD_FRAME = "sequence_world"
"""The world of the sequence before it was levelled, a static child of the map."""

_SECOND = 1_000_000_000
_FOREVER = QosTime(9223372036, 854775807)


@dataclass(frozen=True)
class WrittenBag:
    """What was written.

    Attributes:
        path: the bag's folder.
        frames: how many frames.
        dropped: how many frames of the sequence were left out, by reason.
    """

    path: Path
    frames: int
    dropped: Counter[str]


def write_rosbag2(
    sequence: Sequence,
    path: str | Path,
    compressed: bool = False,
    progress: Callable[[int, int], None] | None = None,
    level: Level | None = None,
) -> WrittenBag:
    """Write a sequence as a rosbag2 folder that ``ros2 bag play`` turns into the node's input topics.

    Topics: ``/rgb/image`` (rgb8), ``/depth/image`` (16UC1 millimetres), ``/rgb/camera_info``; ``/semantic/labels`` and,
    latched, ``/semantic/label_info``; ``/semantic/detections``; ``/tf`` map -> base_link -> camera_color_optical_frame
    and ``/tf_static`` map -> sequence_world. The map is the sequence's world turned so that z is up. A sequence that
    begins at stamp 0 is moved by one second, since zero means "no stamp" in ROS.

    Args:
        compressed: JPEG and compressedDepth topics (``/rgb/image/compressed``, ``/depth/image/compressedDepth``) in
            place of raw images; the node needs ``input.compressed`` for them.
        progress: called with the number of frames done and the length of the sequence.
        level: how the world lies; None = estimated.

    Raises:
        SequenceError: the path is taken, or no frame can be used; nothing is left behind then.
    """
    path = Path(path).expanduser()
    if path.exists():
        raise SequenceError(f"{path} exists already; name a new folder for the bag")
    level = level or estimate_up(sequence)
    stream = frames(sequence, level)
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    try:
        with writer:
            count = _Bag(writer, compressed).write(stream, sequence, level, progress)
        if count == 0:
            reasons = ", ".join(f"{reason} ({number}x)" for reason, number in stream.dropped.most_common(3))
            raise SequenceError(f"no frame of {sequence.name} can be written: {reasons or 'it is empty'}")
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise SequenceError(f"cannot write {path}: {error.strerror or error}") from None
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return WrittenBag(path, count, stream.dropped)


class _Bag:
    """The topics of one bag."""

    def __init__(self, writer: Writer, compressed: bool) -> None:
        self._writer = writer
        self._compressed = compressed
        self._connections: dict[str, Connection] = {}

    def write(
        self,
        stream: FrameStream,
        sequence: Sequence,
        level: Level,
        progress: Callable[[int, int], None] | None,
    ) -> int:
        count = shift = 0
        for frame in stream:
            if count == 0:
                shift = _SECOND if frame.stamp_ns < _SECOND else 0
                self._write_latched(frame.stamp_ns + shift, sequence, level)
            self._write_frame(frame, frame.stamp_ns + shift, level)
            count += 1
            if progress is not None:
                progress(stream.read, len(stream))
        return count

    def _write_latched(self, stamp: int, sequence: Sequence, level: Level) -> None:
        world = np.eye(4)
        world[:3, :3] = level.rotation
        static = _new(_TF, transforms=[_transform(stamp, MAP_FRAME, WORLD_FRAME, world)])
        self._put("/tf_static", _TF, stamp, static, latched=True)
        if sequence.label_names:
            classes = [
                _new("vision_msgs/msg/VisionClass", class_id=number, class_name=name)
                for number, name in sorted(sequence.label_names.items())
                if 0 <= number <= 0xFFFF
            ]
            info = _new(_LABEL_INFO, header=_header(stamp, CAMERA_FRAME), class_map=classes, threshold=0.0)
            self._put("/semantic/label_info", _LABEL_INFO, stamp, info, latched=True)

    def _write_frame(self, frame: Frame, stamp: int, level: Level) -> None:
        body = robot_from_camera(frame.pose, level.floor)
        tf = [
            _transform(stamp, MAP_FRAME, ROBOT_FRAME, body),
            _transform(stamp, ROBOT_FRAME, CAMERA_FRAME, invert(body) @ frame.pose),
        ]
        self._put("/tf", _TF, stamp, _new(_TF, transforms=tf))
        header = _header(stamp, CAMERA_FRAME)
        self._put("/rgb/camera_info", _INFO, stamp, _camera_info(header, frame.intrinsics))
        depth = metres_to_depth16(frame.depth)
        if self._compressed:
            fmt, data = encode_compressed_depth(depth)
            self._put_compressed("/depth/image/compressedDepth", header, stamp, fmt, np.frombuffer(data, np.uint8))
        else:
            self._put("/depth/image", _IMAGE, stamp, _image(header, depth, "16UC1"))
        if frame.rgb is not None:
            if self._compressed:
                bgr = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)
                jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
                self._put_compressed("/rgb/image/compressed", header, stamp, "rgb8; jpeg compressed bgr8", jpeg)
            else:
                self._put("/rgb/image", _IMAGE, stamp, _image(header, frame.rgb, "rgb8"))
        if frame.labels is not None:
            if frame.labels.max(initial=0) > 0xFFFF or frame.labels.min(initial=0) < 0:
                raise BadInput("label ids must lie in 0..65535")
            small = frame.labels.dtype.itemsize == 1
            ids = frame.labels.astype(np.uint8 if small else np.uint16)
            self._put("/semantic/labels", _IMAGE, stamp, _image(header, ids, "8UC1" if small else "16UC1"))
        if frame.detections:
            boxes = [_detection(header, box) for box in frame.detections]
            self._put("/semantic/detections", _BOXES, stamp, _new(_BOXES, header=header, detections=boxes))

    def _put_compressed(self, topic: str, header: Any, stamp: int, fmt: str, data: NDArray[Any]) -> None:
        self._put(topic, _COMPRESSED, stamp, _new(_COMPRESSED, header=header, format=fmt, data=data.reshape(-1)))

    def _put(self, topic: str, kind: str, stamp: int, message: Any, latched: bool = False) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=typestore(), offered_qos_profiles=[_qos(latched)]
            )
        self._writer.write(self._connections[topic], stamp, typestore().serialize_cdr(message, kind))


_TF = "tf2_msgs/msg/TFMessage"
_INFO = "sensor_msgs/msg/CameraInfo"
_IMAGE = "sensor_msgs/msg/Image"
_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_LABEL_INFO = "vision_msgs/msg/LabelInfo"
_BOXES = "vision_msgs/msg/Detection2DArray"


def _qos(latched: bool) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 10,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )


def _new(kind: str, **fields: Any) -> Any:
    return typestore().types[kind](**fields)


def _header(stamp: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp, _SECOND)
    time = _new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return _new("std_msgs/msg/Header", stamp=time, frame_id=frame_id)


def _transform(stamp: int, parent: str, child: str, parent_from_child: NDArray[np.float64]) -> Any:
    x, y, z = (float(v) for v in parent_from_child[:3, 3])
    qx, qy, qz, qw = (float(v) for v in quaternion_from_matrix(parent_from_child))
    return _new(
        "geometry_msgs/msg/TransformStamped",
        header=_header(stamp, parent),
        child_frame_id=child,
        transform=_new(
            "geometry_msgs/msg/Transform",
            translation=_new("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
            rotation=_new("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
        ),
    )


def _camera_info(header: Any, k: Intrinsics) -> Any:
    projection = np.zeros((3, 4))
    projection[:, :3] = k.matrix
    return _new(
        _INFO,
        header=header,
        height=k.height,
        width=k.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k.matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=_new("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def _image(header: Any, pixels: NDArray[Any], encoding: str) -> Any:
    data = np.ascontiguousarray(pixels)
    height, width = data.shape[:2]
    step = data.nbytes // height
    flat = data.reshape(-1).view(np.uint8)
    return _new(
        _IMAGE, header=header, height=height, width=width, encoding=encoding, is_bigendian=0, step=step, data=flat
    )


def _detection(header: Any, box: Detection2D) -> Any:
    point = _new("vision_msgs/msg/Point2D", x=(box.left + box.right) / 2, y=(box.top + box.bottom) / 2)
    bounds = _new(
        "vision_msgs/msg/BoundingBox2D",
        center=_new("vision_msgs/msg/Pose2D", position=point, theta=0.0),
        size_x=box.right - box.left,
        size_y=box.bottom - box.top,
    )
    pose = _new(
        "geometry_msgs/msg/Pose",
        position=_new("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
        orientation=_new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    result = _new(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=_new("vision_msgs/msg/ObjectHypothesis", class_id=box.label, score=box.score),
        pose=_new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
    )
    return _new("vision_msgs/msg/Detection2D", header=header, results=[result], bbox=bounds, id="")

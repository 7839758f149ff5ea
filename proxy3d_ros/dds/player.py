"""A recorded sequence as camera topics and TF, as a robot would publish them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.encodings import encode_compressed_depth, metres_to_depth16
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.transforms import invert, quaternion_from_matrix, robot_from_camera
from proxy3d_core.perception.level import Level, estimate_up
from proxy3d_core.sequences import Sequence
from proxy3d_core.sequences.base import FRAME_RATE
from proxy3d_core.sequences.frames import FrameStream, frames
from proxy3d_ros.dds import qos, types
from proxy3d_ros.dds.names import Names
from proxy3d_ros.dds.participant import Participant, Publisher
from proxy3d_ros.port import Input

log = logging.getLogger(__name__)

MAP_FRAME = "map"
ROBOT_FRAME = "base_link"
CAMERA_FRAME = "camera_color_optical_frame"
WORLD_FRAME = "sequence_world"
"""The sequence's own world frame, a static child of the map: positions can be looked up in it."""

_SECOND = 1_000_000_000
_GAP = 0.003
"""Between two images of a frame [s]: in one burst they overrun the receive buffer that most systems give a socket."""
_MAX_STEP = 1.0
"""A gap between two frames longer than this is shortened to one frame [s]."""


@dataclass(frozen=True)
class Played:
    """What was published.

    Attributes:
        frames: how many frames.
        dropped: how many frames of the sequence could not be used.
        seconds: how long it took.
        late: how many frames came later than they should because reading was slower than the sequence.
    """

    frames: int
    dropped: int
    seconds: float
    late: int


def play(
    sequence: Sequence,
    rate: float = 1.0,
    loop: bool = False,
    *,
    namespace: str = "/",
    remaps: Iterable[str] = (),
    compressed: bool = False,
    semantics: bool = True,
    wait: float = 10.0,
    on_frame: Callable[[int, int], None] | None = None,
    on_message: Callable[[str], None] = log.info,
    stop: threading.Event | None = None,
    domain: int | None = None,
) -> Played:
    """Publish a sequence in real time; stamps are now.

    Topics: ``rgb/image``, ``depth/image`` (16UC1, millimetres), ``rgb/camera_info``, ``semantic/labels``,
    ``semantic/label_info`` (latched) and ``semantic/detections`` where the sequence has them, TF ``map`` ->
    ``base_link`` -> ``camera_color_optical_frame`` (without ``base_link`` where no floor is seen) and, static,
    ``map`` -> ``sequence_world``. The map has z up; ``base_link`` is on the floor below the camera and faces where it
    looks.

    Args:
        sequence: what to play.
        rate: 2 = twice as fast as it was recorded.
        loop: begin again at the end, for ever; stamps go on.
        namespace, remaps: where the topics are.
        compressed: publish ``rgb/image/compressed`` (JPEG) and ``depth/image/compressedDepth`` (PNG) in place of the
            raw images.
        semantics: also publish the labels and detections that the sequence has; else colour, depth and poses alone.
        wait: how long to wait for somebody who listens before the first frame [s]; then it plays anyway.
        on_frame: called after each frame with the number of frames published so far and the length of the sequence.
        on_message: gets what a user wants to know.
        stop: ends it when set.
        domain: DDS domain; None = ``ROS_DOMAIN_ID``.

    Raises:
        BadInput: a rate that is not above 0, or a bad name.
        SequenceError: not one frame can be used.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise BadInput(f"rate is {rate}; it must be above 0")
    stop = stop or threading.Event()
    level = estimate_up(sequence)
    with Participant(Names.parse("proxy3d_player", namespace, remaps), domain) as participant:
        robot = _Robot(participant, sequence, level, compressed, semantics)
        if wait > 0:
            robot.wait_for_listener(wait, on_message, stop)
        stream = frames(sequence, level)
        played = _play(stream, robot, rate, loop, on_frame, stop)
        if not played.frames and not stop.is_set():
            reasons = "; ".join(f"{reason} ({count}x)" for reason, count in stream.dropped.most_common(3))
            raise SequenceError(f"no frame of {sequence.name} can be used: {reasons or 'it is empty'}")
        time.sleep(0.2)  # reliable readers may still ask for the last images
    return played


def _play(
    stream: FrameStream,
    robot: _Robot,
    rate: float,
    loop: bool,
    on_frame: Callable[[int, int], None] | None,
    stop: threading.Event,
) -> Played:
    begin = time.time_ns()
    due, count, dropped, late = begin, 0, 0, 0
    while True:
        before = count
        for step, frame in _steps(stream):
            due += int(step / rate)
            ahead = due - time.time_ns()
            if ahead > 0:
                stop.wait(ahead / _SECOND)
            elif -ahead > max(step / rate, _SECOND // 100):
                # Reading is slower than the sequence: go on from now rather than catch up in a burst.
                due, late = time.time_ns(), late + (count > 0)
            if stop.is_set():
                break
            robot.publish(frame, due)
            count += 1
            if on_frame is not None:
                on_frame(count, len(stream))
        dropped += sum(stream.dropped.values())
        if stop.is_set() or not loop or count == before:
            return Played(count, dropped, (time.time_ns() - begin) / _SECOND, late)


def _steps(stream: FrameStream) -> Iterator[tuple[int, Frame]]:
    """Frames with the time since the one before [ns]; a break in the recording is shortened to one frame."""
    usual, previous = int(_SECOND / FRAME_RATE), None
    for frame in stream:
        step = usual if previous is None else frame.stamp_ns - previous
        if 0 < step <= _MAX_STEP * _SECOND:
            usual = step
        else:
            step = usual
        previous = frame.stamp_ns
        yield step, frame


class _Robot:
    """The publishers of a robot with one RGB-D camera."""

    def __init__(
        self, participant: Participant, sequence: Sequence, level: Level, compressed: bool, semantics: bool
    ) -> None:
        self._participant = participant
        self._compressed = compressed
        self._semantics = semantics
        # Without a floor there is no telling where a robot would stand: the camera is then a child of the map.
        self._floor = level.floor if level.found else None
        names = participant.names
        raw, packed = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
        rgb, depth = names.resolve(Input.RGB.topic), names.resolve(Input.DEPTH.topic)
        make = participant.publisher
        self._rgb = make(f"{rgb}/compressed", packed, _CAMERA) if compressed else make(rgb, raw, _CAMERA)
        self._depth = make(f"{depth}/compressedDepth", packed, _CAMERA) if compressed else make(depth, raw, _CAMERA)
        self._info = make(Input.CAMERA_INFO.topic, Input.CAMERA_INFO.type_name, _CAMERA)
        self._tf = make("/tf", _TF, qos.TF)
        self._tf_static = make("/tf_static", _TF, qos.TF_STATIC)
        # A topic that appears with the first frame would be discovered too late for that frame.
        first = next(iter(sequence.sample(1)), None) if semantics else None
        self._labels: Publisher | None = None
        self._detections: Publisher | None = None
        if first is not None and first.labels is not None:
            self._labels = make(Input.LABELS.topic, Input.LABELS.type_name, _CAMERA)
        if first is not None and first.detections:
            self._detections = make(Input.DETECTIONS.topic, Input.DETECTIONS.type_name, _CAMERA)

        world = np.eye(4)
        world[:3, :3] = level.rotation
        stamp = _time(time.time_ns())
        self._tf_static.publish(types.new(_TF, transforms=[_transform(stamp, MAP_FRAME, WORLD_FRAME, world)]))
        if semantics and sequence.label_names:
            self._label_info = make(Input.LABEL_INFO.topic, Input.LABEL_INFO.type_name, qos.LATCHED)
            header = types.new("std_msgs/msg/Header", stamp=stamp, frame_id=CAMERA_FRAME)
            classes = [
                types.new("vision_msgs/msg/VisionClass", class_id=number, class_name=name)
                for number, name in sorted(sequence.label_names.items())
                if 0 <= number <= 0xFFFF
            ]
            self._label_info.publish(types.new(Input.LABEL_INFO.type_name, header=header, class_map=classes))

    def wait_for_listener(self, timeout: float, on_message: Callable[[str], None], stop: threading.Event) -> None:
        """Until somebody listens to a camera topic and has found the other topics too."""
        until = time.monotonic() + timeout
        images = (self._rgb, self._depth)
        if not any(p.subscribers for p in images):
            on_message(f"waiting for a listener on {self._rgb.name} (start one: proxy3d run)")
        while not any(p.subscribers for p in images):
            if time.monotonic() > until:
                on_message(f"nobody listens to {self._rgb.name} after {timeout:g} s; playing anyway")
                return
            if stop.wait(0.02):
                return
        stop.wait(0.5)

    def publish(self, frame: Frame, stamp_ns: int) -> None:
        """The pose, then what the camera saw, all with the same stamp."""
        stamp = _time(stamp_ns)
        if self._floor is None:
            transforms = [_transform(stamp, MAP_FRAME, CAMERA_FRAME, frame.pose)]
        else:
            body = robot_from_camera(frame.pose, self._floor)
            transforms = [
                _transform(stamp, MAP_FRAME, ROBOT_FRAME, body),
                _transform(stamp, ROBOT_FRAME, CAMERA_FRAME, invert(body) @ frame.pose),
            ]
        self._tf.publish(types.new(_TF, transforms=transforms))
        header = types.new("std_msgs/msg/Header", stamp=stamp, frame_id=CAMERA_FRAME)
        k = frame.intrinsics
        projection = np.zeros((3, 4))
        projection[:, :3] = k.matrix
        info = types.new(
            Input.CAMERA_INFO.type_name,
            header=header,
            height=k.height,
            width=k.width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=k.matrix,
            r=np.eye(3),
            p=projection,
        )
        self._info.publish(info)
        if frame.rgb is not None:
            self._publish_rgb(header, frame.rgb)
            time.sleep(_GAP)
        if self._semantics and frame.labels is not None:
            self._publish_labels(header, frame.labels)
            time.sleep(_GAP)
        if self._semantics and frame.detections:
            self._publish_detections(header, frame)
        # Depth last: with it the frame is complete for whoever puts it together.
        depth = metres_to_depth16(frame.depth)
        if self._compressed:
            fmt, png = encode_compressed_depth(depth)
            self._depth.publish(types.new(self._depth.type_name, header=header, format=fmt, data=png))
        else:
            self._depth.publish(_image(header, depth, "16UC1"))

    def _publish_rgb(self, header: Any, rgb: NDArray[np.uint8]) -> None:
        if not self._compressed:
            self._rgb.publish(_image(header, rgb, "rgb8"))
            return
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
        fmt = "rgb8; jpeg compressed bgr8"
        self._rgb.publish(types.new(self._rgb.type_name, header=header, format=fmt, data=jpeg))

    def _publish_labels(self, header: Any, labels: NDArray[np.integer]) -> None:
        if self._labels is None:
            self._labels = self._participant.publisher(Input.LABELS.topic, Input.LABELS.type_name, _CAMERA)
        small = labels.dtype.itemsize == 1 or int(labels.max(initial=0)) < 256
        ids = labels.astype(np.uint8 if small else np.uint16, copy=False)
        self._labels.publish(_image(header, ids, "8UC1" if small else "16UC1"))

    def _publish_detections(self, header: Any, frame: Frame) -> None:
        if self._detections is None:
            self._detections = self._participant.publisher(Input.DETECTIONS.topic, Input.DETECTIONS.type_name, _CAMERA)
        found = []
        for box in frame.detections:
            hypothesis = types.new("vision_msgs/msg/ObjectHypothesis", class_id=box.label, score=box.score)
            center = types.new("vision_msgs/msg/Point2D", x=(box.left + box.right) / 2, y=(box.top + box.bottom) / 2)
            bbox = types.new(
                "vision_msgs/msg/BoundingBox2D",
                center=types.new("vision_msgs/msg/Pose2D", position=center),
                size_x=box.right - box.left,
                size_y=box.bottom - box.top,
            )
            result = types.new("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis)
            found.append(types.new("vision_msgs/msg/Detection2D", header=header, results=[result], bbox=bbox))
        self._detections.publish(types.new(Input.DETECTIONS.type_name, header=header, detections=found))


_TF = "tf2_msgs/msg/TFMessage"
_CAMERA = qos.Profile(depth=5)


def _time(stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, _SECOND)
    return types.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)


def _transform(stamp: Any, parent: str, child: str, parent_from_child: NDArray[np.float64]) -> Any:
    x, y, z = parent_from_child[:3, 3]
    qx, qy, qz, qw = quaternion_from_matrix(parent_from_child)
    return types.new(
        "geometry_msgs/msg/TransformStamped",
        header=types.new("std_msgs/msg/Header", stamp=stamp, frame_id=parent),
        child_frame_id=child,
        transform=types.new(
            "geometry_msgs/msg/Transform",
            translation=types.new("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
            rotation=types.new("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
        ),
    )


def _image(header: Any, pixels: NDArray[Any], encoding: str) -> Any:
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels)
    return types.new(
        "sensor_msgs/msg/Image",
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        step=data.nbytes // height,
        data=data.reshape(-1).view(np.uint8),
    )

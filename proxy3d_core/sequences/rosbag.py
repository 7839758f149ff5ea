"""rosbag2: a folder with ``metadata.yaml``, or a single ``.mcap`` or ``.db3`` file, read through ``rosbags``.

The bag is gone through twice: once for transforms, calibrations, label names and the stamps of all images, so that
images are matched and poses are known whatever order things were recorded in; then, streaming, for the images.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.serde import SerdeError

from proxy3d_core.encodings import (
    check_labels,
    decode_compressed,
    decode_compressed_depth,
    decode_image,
    depth_to_metres,
    to_rgb,
)
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.frame import Detection2D
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.registration import register, resize_to
from proxy3d_core.geometry.transform_buffer import TransformBuffer, TransformNotReady, TransformUnknown
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_core.sequences.base import NO_DEPTH, Record, Sequence, spread
from proxy3d_core.sequences.ros_types import typestore

FORMAT = "rosbag2"
SLOP = 0.02
"""Images further apart in time belong to different frames [s]."""

_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_INFO = "sensor_msgs/msg/CameraInfo"
_LABEL_INFO = "vision_msgs/msg/LabelInfo"
_DETECTIONS = "vision_msgs/msg/Detection2DArray"
_TF = "tf2_msgs/msg/TFMessage"
_TYPES = {
    "depth": (_IMAGE, _COMPRESSED),
    "rgb": (_IMAGE, _COMPRESSED),
    "labels": (_IMAGE, _COMPRESSED),
    "detections": (_DETECTIONS,),
    "label_info": (_LABEL_INFO,),
    "camera_info": (_INFO,),
}
_FRAME_PARTS = ("depth", "rgb", "labels", "detections")
_LABEL_WORDS = ("label", "semantic", "segment")
_NOT_COLOUR = (
    *_LABEL_WORDS,
    "depth",
    "disparity",
    "infra",
    "/ir/",
    "mask",
    "confidence",
    "debug",
    "overlay",
    "fisheye",
)
_DAMAGED = (BadInput, SerdeError, ValueError, IndexError, struct.error)


@dataclass
class _Messages:
    """What the first pass notes of one topic, by message in the order of the bag."""

    stamps: list[int] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)
    frame_id: str = ""


@dataclass(frozen=True)
class _Calibration:
    stamp: int
    intrinsics: Intrinsics
    frame_id: str


@dataclass(frozen=True)
class _Match:
    """One frame: its stamp, and the number of the message that each role contributes."""

    stamp: int
    parts: Mapping[str, int]


def recognise(path: Path) -> bool:
    """True for a bag folder and for a bag file."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(path.glob("*.mcap")) or any(path.glob("*.db3"))
    return path.suffix in (".mcap", ".db3")


class RosbagSequence(Sequence):
    """Frames of a bag: one per depth image, with the colour, label and detection messages nearest to it in time.

    A bag without depth images has one frame per colour image, marked as dropped for a depth model to complete.

    Args:
        path: the bag.
        topics: topic by role where the guess is wrong: rgb, depth, camera_info, labels, label_info, detections.
        fixed_frame: frame of the poses; empty = ``map``, else ``odom``, else the root of the camera's transforms.

    Raises:
        SequenceError: not a bag, damaged, or without images or their calibration.
    """

    def __init__(self, path: Path, topics: Mapping[str, str] | None = None, fixed_frame: str = "") -> None:
        self.name = path.resolve().stem
        self.format = FORMAT
        self.label_names: dict[int, str] = {}
        self._path = _bag_path(path)
        self._transforms = TransformBuffer(history=None, jump=1e9)
        self._infos: dict[str, list[_Calibration]] = {}
        with _open(self._path) as reader:
            self._topics = _choose_topics(path, reader.connections, topics or {})
            self._types = {c.topic: c.msgtype for c in reader.connections}
            self._notes = self._first_pass(reader)
        lead = "depth" if "depth" in self._topics else "rgb"
        self._matches = _match(self._notes, lead)
        if not self._matches:
            raise SequenceError(f"{path} has no messages on {self._topics[lead]}")
        self._lead_infos = self._calibrations(lead, (topics or {}).get("camera_info", ""))
        self._color_infos = self._calibrations("rgb") if "rgb" in self._topics else []
        if not self._lead_infos:
            raise SequenceError(f"{path} has no usable {_INFO} for {self._topics[lead]}; was the camera calibrated?")
        self._camera_frame = self._notes[lead].frame_id or self._lead_infos[0].frame_id
        self.fixed_frame = fixed_frame or self._find_fixed_frame()
        # REP-103 and REP-105: fixed frames have z up. The root of a camera that stands alone is no fixed frame.
        if not any(word in self.fixed_frame for word in ("camera", "optical")):
            self.up = np.array([0.0, 0.0, 1.0])

    @property
    def topics(self) -> dict[str, str]:
        """The topics in use, by role."""
        return dict(self._topics)

    def __len__(self) -> int:
        return len(self._matches)

    def __iter__(self) -> Iterator[Record]:
        users: dict[tuple[str, int], list[int]] = {}
        for index, match in enumerate(self._matches):
            for part in match.parts.items():
                users.setdefault(part, []).append(index)
        waiting: list[dict[str, bytes]] = [{} for _ in self._matches]
        due = 0
        for role, number, data in self._messages():
            for index in users.get((role, number), ()):
                waiting[index][role] = data
            while due < len(waiting) and len(waiting[due]) == len(self._matches[due].parts):
                yield self._decode(due, waiting[due])
                waiting[due] = {}
                due += 1

    def sample(self, count: int) -> Iterator[Record]:
        """At most ``count`` frames, spread evenly; only the times at which they were recorded are read."""
        with _open(self._path) as reader:
            for index in spread(len(self._matches), count):
                parts = {}
                for role, number in self._matches[index].parts.items():
                    recorded = self._notes[role].recorded
                    connections = [c for c in reader.connections if c.topic == self._topics[role]]
                    messages = reader.messages(connections, recorded[number], recorded[number] + 1)
                    # Of messages recorded at the same nanosecond, the one in its place.
                    place = number - recorded.index(recorded[number])
                    parts[role] = next(islice(messages, place, None))[2]
                yield self._decode(index, parts)

    def _messages(self) -> Iterator[tuple[str, int, bytes]]:
        """(role, number in its topic, bytes) of all messages that make frames, in the order of the bag."""
        roles = {self._topics[role]: role for role in _FRAME_PARTS if role in self._topics}
        numbers = dict.fromkeys(roles.values(), 0)
        with _open(self._path) as reader:
            for connection, _, data in reader.messages([c for c in reader.connections if c.topic in roles]):
                role = roles[connection.topic]
                yield role, numbers[role], data
                numbers[role] += 1

    def _first_pass(self, reader: Reader) -> dict[str, _Messages]:
        roles = {topic: role for role, topic in self._topics.items()}
        notes = {role: _Messages() for role in _FRAME_PARTS if role in self._topics}
        wanted = [c for c in reader.connections if c.topic in roles or c.msgtype in (_TF, _INFO)]
        for connection, recorded, data in reader.messages(wanted):
            role = roles.get(connection.topic, "")
            if role in notes:
                note = notes[role]
                stamp, frame_id = _header(data)
                note.stamps.append(stamp)
                note.recorded.append(recorded)
                note.frame_id = note.frame_id or frame_id
                continue
            try:
                message = _deserialize(connection.msgtype, data)
            except _DAMAGED:
                continue
            if connection.msgtype == _TF:
                self._note_transforms(message, static=connection.topic.endswith("tf_static"))
            elif connection.msgtype == _INFO:
                self._note_info(connection.topic, message)
            elif role == "label_info":
                self.label_names.update({int(c.class_id): str(c.class_name) for c in message.class_map})
        return notes

    def _note_transforms(self, message: Any, static: bool) -> None:
        for entry in message.transforms:
            t, q = entry.transform.translation, entry.transform.rotation
            # Frames that need a bad transform find none and are counted.
            with suppress(BadInput):
                pose = matrix_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
                self._transforms.add(entry.header.frame_id, entry.child_frame_id, _stamp(entry.header), pose, static)

    def _note_info(self, topic: str, message: Any) -> None:
        known = self._infos.setdefault(topic, [])
        with suppress(BadInput):
            intrinsics = Intrinsics.from_matrix(message.k, message.width, message.height)
            if not known or known[-1].intrinsics != intrinsics:
                known.append(_Calibration(_stamp(message.header), intrinsics, message.header.frame_id.lstrip("/")))

    def _calibrations(self, role: str, named: str = "") -> list[_Calibration]:
        """Calibrations of an image topic: of the named topic, of its own namespace, or the one that there is."""
        for topic in (named, _info_topic(self._topics[role]), self._topics.get("camera_info", "")):
            if self._infos.get(topic):
                return self._infos[topic]
        return []

    def _find_fixed_frame(self) -> str:
        for name in ("map", "odom"):
            with suppress(TransformUnknown, TransformNotReady):
                self._transforms.lookup(name, self._camera_frame)
                return name
        return self._transforms.root(self._camera_frame)

    def _decode(self, index: int, parts: Mapping[str, bytes]) -> Record:
        stamp = self._matches[index].stamp

        def drop(reason: str) -> Record:
            return Record(index, stamp, dropped=reason)

        if stamp == 0:
            return drop("stamp of zero")
        if index and self._matches[index - 1].stamp == stamp:
            return drop("repeated stamp")
        try:
            if self.fixed_frame == self._camera_frame:
                raise TransformUnknown
            pose = self._transforms.lookup(self.fixed_frame, self._camera_frame, stamp)
        except (TransformUnknown, TransformNotReady):
            return drop("no transform")
        try:
            depth = depth_to_metres(*self._pixels("depth", parts["depth"])) if "depth" in parts else None
        except _DAMAGED:
            return drop("unreadable depth image")
        try:
            rgb = to_rgb(*self._pixels("rgb", parts["rgb"])) if "rgb" in parts else None
        except _DAMAGED:
            return drop("unreadable colour image")
        grid = depth if depth is not None else rgb
        assert grid is not None  # every frame has the image that leads
        height, width = grid.shape[:2]
        camera = _latest(self._lead_infos, stamp).intrinsics
        if abs(camera.width / camera.height - width / height) > 0.01:
            return drop("camera info of another image shape")
        camera = camera.resized(width, height)
        color = _latest(self._color_infos, stamp) if self._color_infos else None
        try:
            labels = check_labels(*self._pixels("labels", parts["labels"])) if "labels" in parts else None
        except _DAMAGED:
            return drop("unreadable label image")
        try:
            detections = self._detections(parts["detections"], color, camera) if "detections" in parts else ()
        except _DAMAGED:
            return drop("unreadable detections")
        if depth is None:
            to_grid = partial(resize_to, width=width, height=height)
        else:
            to_grid = partial(_on_depth_grid, color, self._color_from_depth(color, stamp), depth, camera)
        return Record(
            index,
            stamp,
            "" if depth is not None else NO_DEPTH,
            rgb=None if rgb is None else to_grid(rgb, nearest=False),
            depth=depth,
            intrinsics=camera,
            pose=pose,
            labels=None if labels is None else to_grid(labels, nearest=True),
            detections=detections,
        )

    def _pixels(self, role: str, data: bytes) -> tuple[NDArray[Any], str]:
        """Pixels and encoding of an image message."""
        kind = self._types[self._topics[role]]
        m = _deserialize(kind, data)
        if kind == _IMAGE:
            return decode_image(m.encoding, m.height, m.width, m.step, m.data, bool(m.is_bigendian)), m.encoding
        decode = decode_compressed_depth if "compressedDepth" in m.format else decode_compressed
        return decode(m.format, m.data)

    def _color_from_depth(self, color: _Calibration | None, stamp: int) -> NDArray[np.float64] | None:
        """Where the colour camera is if it is not the depth camera; None if it is, or if nobody says."""
        if color is None or not color.frame_id or color.frame_id == self._camera_frame:
            return None
        try:
            return self._transforms.lookup(color.frame_id, self._camera_frame, stamp)
        except (TransformUnknown, TransformNotReady):
            return None

    def _detections(self, data: bytes, color: _Calibration | None, camera: Intrinsics) -> tuple[Detection2D, ...]:
        """Boxes on the depth grid; they are drawn on the colour image."""
        source = camera if color is None else color.intrinsics
        sx, sy = camera.fx / source.fx, camera.fy / source.fy
        x0, y0 = camera.cx - sx * source.cx, camera.cy - sy * source.cy
        found = []
        for message in _deserialize(_DETECTIONS, data).detections:
            box = Detection2D.from_message(message)
            if box is not None:
                label = self.label_names.get(int(box.label), box.label) if box.label.isdigit() else box.label
                edges = (box.left * sx + x0, box.top * sy + y0, box.right * sx + x0, box.bottom * sy + y0)
                found.append(Detection2D(label, box.score, *edges))
        return tuple(found)


def _bag_path(path: Path) -> Path:
    """What ``rosbags`` opens: the folder with metadata, or the only file of a folder without."""
    if path.is_file() or (path / "metadata.yaml").is_file():
        return path
    files = sorted([*path.glob("*.mcap"), *path.glob("*.db3")])
    if len(files) != 1:
        raise SequenceError(f"{path} holds {len(files)} bag files but no metadata.yaml; run: ros2 bag reindex {path}")
    return files[0]


@contextmanager
def _open(path: Path) -> Iterator[Reader]:
    try:
        with Reader(path) as reader:
            yield reader
    except (SequenceError, GeneratorExit):
        raise
    except Exception as error:  # a damaged file fails in many ways, in rosbags, in sqlite and in zstd
        reason = str(error) or type(error).__name__
        raise SequenceError(
            f"cannot read the bag {path}: {reason}; if it was cut off, run: ros2 bag reindex"
        ) from error


def _choose_topics(path: Path, connections: Iterable[Connection], named: Mapping[str, str]) -> dict[str, str]:
    """Topic by role: as named, else guessed by type and name."""
    unknown = sorted(set(named) - set(_TYPES))
    if unknown:
        raise SequenceError(f"unknown topic role {unknown[0]!r}; roles are {', '.join(_TYPES)}")
    counts: Counter[tuple[str, str]] = Counter()
    for c in connections:
        counts[c.topic, c.msgtype] += c.msgcount
    listing = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(counts)) or "none"
    chosen = {}
    for role, kinds in _TYPES.items():
        topics = {topic: count for (topic, kind), count in counts.items() if kind in kinds and count}
        if role in named:
            if named[role] not in topics:
                raise SequenceError(
                    f"{path} has no messages of {' or '.join(kinds)} on {named[role]}; topics: {listing}"
                )
            chosen[role] = named[role]
            continue
        ranked = sorted((_rank(role, topic, chosen), -count, topic) for topic, count in topics.items())
        if ranked and ranked[0][0] < _UNLIKELY:
            chosen[role] = ranked[0][2]
    if not chosen.keys() & {"depth", "rgb"}:
        raise SequenceError(f"{path} has no camera images; topics: {listing}; name one with topics={{'depth': ...}}")
    return chosen


_UNLIKELY = 9


def _rank(role: str, topic: str, chosen: Mapping[str, str]) -> int:
    """How well a topic of the right type suits a role: 0 is best, ``_UNLIKELY`` not at all."""
    name = topic.lower()
    if role == "depth":
        if "depth" not in name or any(word in name for word in ("confidence", "debug", *_LABEL_WORDS)):
            return _UNLIKELY
        # Depth on the colour camera's grid first.
        return 0 if "aligned" in name or "registered" in name else 1
    if role == "rgb":
        if any(word in name for word in _NOT_COLOUR):
            return _UNLIKELY
        return 0 if "rgb" in name or "color" in name or "colour" in name else 1
    if role == "labels":
        if any(word in name for word in ("color", "colour", "overlay", "debug", "depth")):
            return 5 if "label" in name else _UNLIKELY
        return 0 if any(word in name for word in _LABEL_WORDS) else _UNLIKELY
    if role == "camera_info":
        return 0 if "rgb" in chosen and topic == _info_topic(chosen["rgb"]) else 1
    return 0


def _info_topic(image_topic: str) -> str:
    """The camera_info beside an image, as image_transport finds it."""
    base = image_topic.removesuffix("/compressed").removesuffix("/compressedDepth")
    return base.rsplit("/", 1)[0] + "/camera_info"


def _match(notes: Mapping[str, _Messages], lead: str) -> list[_Match]:
    """One frame per message of the role that leads, in the order of their stamps."""
    order = {role: sorted(range(len(n.stamps)), key=n.stamps.__getitem__) for role, n in notes.items()}
    sorted_stamps = {role: [notes[role].stamps[i] for i in order[role]] for role in notes}
    matches = []
    for number in order[lead]:
        stamp = notes[lead].stamps[number]
        parts = {lead: number}
        for role, stamps in sorted_stamps.items():
            at = bisect_left(stamps, stamp)
            gaps = [(abs(stamps[i] - stamp), i) for i in (at - 1, at) if 0 <= i < len(stamps)]
            if role != lead and gaps and min(gaps)[0] <= SLOP * 1e9:
                parts[role] = order[role][min(gaps)[1]]
        matches.append(_Match(stamp, parts))
    return matches


def _latest(calibrations: list[_Calibration], stamp: int) -> _Calibration:
    """The calibration in force at a stamp."""
    return next((c for c in reversed(calibrations) if c.stamp <= stamp), calibrations[0])


def _on_depth_grid(
    color: _Calibration | None,
    color_from_depth: NDArray[np.float64] | None,
    depth: NDArray[np.float32],
    camera: Intrinsics,
    image: NDArray[Any],
    nearest: bool,
) -> NDArray[Any]:
    height, width = image.shape[:2]
    if color is None or abs(color.intrinsics.width / color.intrinsics.height - width / height) > 0.01:
        return resize_to(image, camera.width, camera.height, nearest)
    return register(image, color.intrinsics.resized(width, height), depth, camera, color_from_depth, nearest)


def _deserialize(kind: str, data: bytes) -> Any:
    return typestore().deserialize_cdr(data, kind)


def _header(data: bytes) -> tuple[int, str]:
    """Stamp [ns] and frame of a message that begins with a std_msgs/Header, straight from its CDR bytes."""
    if len(data) < 16:
        return 0, ""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", data, 4)
    return seconds * 1_000_000_000 + nanoseconds, bytes(data[16 : 15 + length]).decode(errors="replace").lstrip("/")


def _stamp(header: Any) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)

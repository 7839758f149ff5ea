"""ROS messages of scenes and answers, built once for every middleware through ``Port.new``, and the few that are read.

``new`` stands for ``Port.new`` in every function. Poses are 4x4 ``frame_from_body``, stamps nanoseconds.
"""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import matrix_from_quaternion, quaternion_from_matrix
from proxy3d_core.reasoning.answer import Answer
from proxy3d_core.scene.snapshot import BACKGROUND, ObjectState, SceneObject, Snapshot

if TYPE_CHECKING:
    from proxy3d_core.vlm.attention import ProxyAttention

New = Callable[..., Any]

_STATES = {ObjectState.PRESENT: 0, ObjectState.MOVED: 1, ObjectState.GONE: 2}

# visualization_msgs/msg/Marker
CUBE, SPHERES, TEXT = 1, 7, 9
ADD, DELETE, DELETEALL = 0, 2, 3

POINT_FLOAT32, POINT_INT32 = 7, 5  # sensor_msgs/msg/PointField


# Reading --------------------------------------------------------------------------------------------------------------


def stamp_ns(time: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def matrix_of(pose: Any) -> NDArray[np.float64]:
    """4x4 matrix of a geometry_msgs/Pose.

    Raises:
        BadInput: NaN, or an orientation without length.
    """
    p, q = pose.position, pose.orientation
    return matrix_from_quaternion((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))


# Basic types ----------------------------------------------------------------------------------------------------------


def time(new: New, ns: int) -> Any:
    """builtin_interfaces/Time."""
    return new("builtin_interfaces/msg/Time", sec=int(ns // 1_000_000_000), nanosec=int(ns % 1_000_000_000))


def header(new: New, ns: int, frame_id: str) -> Any:
    """std_msgs/Header."""
    return new("std_msgs/msg/Header", stamp=time(new, ns), frame_id=frame_id)


def pose(new: New, matrix: NDArray[np.float64]) -> Any:
    """geometry_msgs/Pose."""
    return _pose(new, matrix[:3, 3], quaternion_from_matrix(matrix))


def _pose(new: New, position: Iterable[float], quaternion: Iterable[float]) -> Any:
    return new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, position), strict=True))),
        orientation=new("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", map(float, quaternion), strict=True))),
    )


def _vector(new: New, values: Iterable[float]) -> Any:
    return new("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, values), strict=True)))


def _box_poses(new: New, objects: Sequence[SceneObject]) -> list[Any]:
    """geometry_msgs/Pose of each object's box (all rotations at once: one by one they take most of the time)."""
    if not objects:
        return []
    quaternions = quaternion_from_matrix(np.stack([o.box.rotation for o in objects]))
    return [_pose(new, o.box.center, q) for o, q in zip(objects, quaternions, strict=True)]


def box_of(message: Any, frame: NDArray[np.float64]) -> OrientedBox:
    """Box of a vision_msgs/BoundingBox3D given in a frame ``fixed_from_frame``.

    Raises:
        BadInput: NaN, a negative size, or an orientation without length.
    """
    matrix = frame @ matrix_of(message.center)
    return OrientedBox(matrix[:3, 3], np.array([message.size.x, message.size.y, message.size.z]), matrix[:3, :3])


def _bounding_box(new: New, pose: Any, box: OrientedBox) -> Any:
    return new("vision_msgs/msg/BoundingBox3D", center=pose, size=_vector(new, box.size))


# Scene ----------------------------------------------------------------------------------------------------------------


def detections(new: New, snapshot: Snapshot, objects: Sequence[SceneObject]) -> Any:
    """vision_msgs/Detection3DArray; ``id`` of a detection is the object's id."""
    top = header(new, snapshot.stamp_ns, snapshot.frame_id)
    return new(
        "vision_msgs/msg/Detection3DArray",
        header=top,
        detections=[
            new(
                "vision_msgs/msg/Detection3D",
                header=top,
                id=str(o.id),
                bbox=_bounding_box(new, place, o.box),
                results=[
                    new(
                        "vision_msgs/msg/ObjectHypothesisWithPose",
                        hypothesis=new(
                            "vision_msgs/msg/ObjectHypothesis", class_id=o.label, score=float(np.clip(o.score, 0, 1))
                        ),
                        pose=new("geometry_msgs/msg/PoseWithCovariance", pose=place),
                    )
                ],
            )
            for o, place in zip(objects, _box_poses(new, objects), strict=True)
        ],
    )


def scene_object(new: New, o: SceneObject, approach: NDArray[np.float64] | None) -> Any:
    """proxy3d_ros/SceneObject; ``approach`` is a pose in front of it, or None."""
    return new(
        "proxy3d_ros/msg/SceneObject",
        id=o.id,
        label=o.label,
        score=float(o.score),
        box=_bounding_box(new, _box_poses(new, [o])[0], o.box),
        state=_STATES[o.state],
        first_seen=time(new, o.first_seen_ns),
        last_seen=time(new, o.last_seen_ns),
        observations=o.observations,
        approach=pose(new, np.eye(4) if approach is None else approach),
        has_approach=approach is not None,
    )


def map_info(new: New, snapshot: Snapshot, voxels: int) -> Any:
    """proxy3d_ros/MapInfo."""
    floor = snapshot.floor
    return new(
        "proxy3d_ros/msg/MapInfo",
        header=header(new, snapshot.stamp_ns, snapshot.frame_id),
        map_epoch=snapshot.epoch,
        objects_present=len(snapshot.present),
        objects_gone=len(snapshot.objects) - len(snapshot.present),
        proxies=len(snapshot.proxies),
        voxels=voxels,
        frames=snapshot.frames,
        floor_height=float(floor.height or 0.0),
        has_floor=floor.height is not None,
        floor_area=float(floor.area or 0.0),
    )


def color_of(thing: SceneObject) -> tuple[float, float, float]:
    """The colour (r, g, b in 0..1) of an object: the hue tells its label, the shade it from others of that label."""
    hue = zlib.crc32(thing.label.encode()) / 2**32
    return colorsys.hsv_to_rgb(hue, (0.75, 0.5, 0.35)[thing.id % 3], (0.95, 0.75, 0.6)[thing.id // 3 % 3])


def heat(share: float) -> tuple[float, float, float, float]:
    """Colour (r, g, b, a in 0..1) of a share of the largest attention: from faint blue over violet to strong red."""
    return (0.2 + 0.8 * share, 0.15, 0.9 * (1 - share) + 0.05, 0.15 + 0.85 * share)


_POINT = np.dtype([("xyz", "<f4", 3), ("rgb", "<u4"), ("object_id", "<i4"), ("weight", "<f4"), ("extent", "<f4")])
_FIELDS = (
    ("x", 0, POINT_FLOAT32),
    ("y", 4, POINT_FLOAT32),
    ("z", 8, POINT_FLOAT32),
    ("rgb", 12, POINT_FLOAT32),  # r, g, b in the bytes of a float: what RViz and PCL expect
    ("object_id", 16, POINT_INT32),
    ("weight", 20, POINT_FLOAT32),
    ("extent", 24, POINT_FLOAT32),
)


def proxy_cloud(new: New, snapshot: Snapshot) -> Any:
    """sensor_msgs/PointCloud2 of the proxies: x, y, z, rgb and id of the object (-1: none), weight, extent [m]."""
    proxies = snapshot.proxies
    points = np.zeros(len(proxies), _POINT)
    points["xyz"] = proxies.positions
    points["object_id"] = np.maximum(proxies.groups, BACKGROUND)
    points["weight"] = proxies.weights
    points["extent"] = proxies.extents
    points["rgb"] = 0x909090
    for o in snapshot.objects:
        r, g, b = (round(255 * v) for v in color_of(o))
        points["rgb"][proxies.groups == o.id] = r << 16 | g << 8 | b
    return new(
        "sensor_msgs/msg/PointCloud2",
        header=header(new, snapshot.stamp_ns, snapshot.frame_id),
        height=1,
        width=len(points),
        fields=[
            new("sensor_msgs/msg/PointField", name=name, offset=offset, datatype=kind, count=1)
            for name, offset, kind in _FIELDS
        ],
        is_bigendian=False,
        point_step=_POINT.itemsize,
        row_step=_POINT.itemsize * len(points),
        data=points.tobytes(),
        is_dense=True,
    )


class MarkerLayers:
    """MarkerArrays for RViz: namespaces ``boxes``, ``labels`` and ``answer``; the id of a marker is that of its object.
    The one marker in ``attention`` shows the proxies that the VLM looked at when it answered.

    The topic is latched with depth 1, so every array holds all markers. An object that is no longer shown is deleted by
    id, again in the next few arrays in case a reader missed one; a new epoch begins with DELETEALL.
    """

    REPEATS = 5

    def __init__(self, new: New) -> None:
        self._new = new
        self._shown: set[tuple[str, int]] = set()
        self._deleted: dict[tuple[str, int], int] = {}
        self._epoch: int | None = None
        self._attention: tuple[ProxyAttention, dict[str, Any]] | None = None  # with the marker's points and colours

    def build(self, snapshot: Snapshot, answer: Answer | None, attention: ProxyAttention | None = None) -> Any:
        """visualization_msgs/MarkerArray of a snapshot; the evidence of ``answer`` is highlighted."""
        top = header(self._new, snapshot.stamp_ns, snapshot.frame_id)
        markers = {}
        for o, place in zip(snapshot.present, _box_poses(self._new, snapshot.present), strict=True):
            markers["boxes", o.id] = self._box(top, "boxes", o, place, (*color_of(o), 0.35))
            markers["labels", o.id] = self._text(top, "labels", o, f"{o.label} {o.id}", 0.12)
        evidence = [snapshot.by_id[i] for i in answer.object_ids if i in snapshot.by_id] if answer else []
        for o, place in zip(evidence, _box_poses(self._new, evidence), strict=True):
            markers["answer", o.id] = self._box(top, "answer", o, place, (1.0, 0.85, 0.1, 0.5), margin=0.04)
        if evidence and answer is not None:
            first = evidence[0]
            markers["answer_text", first.id] = self._text(top, "answer_text", first, answer.text, 0.2)

        if attention is not None:
            markers["attention", 0] = self._spheres(top, attention)

        head = []
        if snapshot.epoch != self._epoch:
            head = [self._marker(top, "", 0, DELETEALL)]
        self._epoch = snapshot.epoch
        for key in self._shown - markers.keys():
            self._deleted[key] = self.REPEATS
        self._deleted = {k: n - 1 for k, n in self._deleted.items() if n > 0 and k not in markers}
        head += [self._marker(top, ns, id_, DELETE) for ns, id_ in sorted(self._deleted)]
        self._shown = set(markers)
        return self._new("visualization_msgs/msg/MarkerArray", markers=head + list(markers.values()))

    def _marker(self, top: Any, ns: str, id_: int, action: int, **fields: Any) -> Any:
        return self._new("visualization_msgs/msg/Marker", header=top, ns=ns, id=id_, action=action, **fields)

    def _box(
        self,
        top: Any,
        ns: str,
        o: SceneObject,
        place: Any,
        rgba: tuple[float, float, float, float],
        margin: float = 0.0,
    ) -> Any:
        size = np.maximum(o.box.size + 2 * margin, 0.005)  # RViz refuses a scale of 0
        scale, color = _vector(self._new, size), self._color(rgba)
        return self._marker(top, ns, o.id, ADD, type=CUBE, pose=place, scale=scale, color=color)

    def _text(self, top: Any, ns: str, o: SceneObject, text: str, height: float) -> Any:
        x, y, _ = o.box.center
        place = _pose(self._new, (x, y, o.box.top + height * (1.0 if ns == "labels" else 2.0)), (0.0, 0.0, 0.0, 1.0))
        scale, color = _vector(self._new, (0.0, 0.0, height)), self._color((1.0, 1.0, 1.0, 1.0))
        return self._marker(top, ns, o.id, ADD, type=TEXT, pose=place, scale=scale, color=color, text=text)

    def _spheres(self, top: Any, attention: ProxyAttention) -> Any:
        if self._attention is None or self._attention[0] is not attention:  # a map that changes sends it often
            points = [
                self._new("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, p), strict=True)))
                for p in attention.positions
            ]
            colors = [self._color(heat(share)) for share in attention.share / attention.share.max()]
            self._attention = attention, {"points": points, "colors": colors}
        scale, place = _vector(self._new, (0.07, 0.07, 0.07)), _pose(self._new, (0, 0, 0), (0, 0, 0, 1))
        return self._marker(top, "attention", 0, ADD, type=SPHERES, pose=place, scale=scale, **self._attention[1])

    def _color(self, rgba: tuple[float, float, float, float]) -> Any:
        return self._new("std_msgs/msg/ColorRGBA", **dict(zip("rgba", map(float, rgba), strict=True)))


# Answers --------------------------------------------------------------------------------------------------------------


def answer_response(new: New, answer: Answer, snapshot: Snapshot) -> Any:
    """Response of proxy3d_ros/srv/AskSpatial."""
    evidence = [snapshot.by_id[i] for i in answer.object_ids if i in snapshot.by_id]
    return new(
        "proxy3d_ros/srv/AskSpatial_Response",
        status=int(answer.status),
        message=answer.message,
        answer=answer.text,
        has_value=answer.value is not None,
        value=float(answer.value or 0.0),
        unit=answer.unit,
        uncertainty=float(answer.uncertainty or 0.0),
        confidence=float(answer.confidence),
        objects=detections(new, snapshot, evidence),
        program=answer.program,
        scene_stamp=time(new, snapshot.stamp_ns),
        map_epoch=snapshot.epoch,
        frame_id=snapshot.frame_id,
        latency_ms=float(answer.latency_ms),
        answerer=answer.answerer,
    )


# Health ---------------------------------------------------------------------------------------------------------------


def diagnostics(new: New, now_ns: int, statuses: Iterable[tuple[int, str, str, dict[str, Any]]]) -> Any:
    """diagnostic_msgs/DiagnosticArray of ``(level, name, message, values)``."""
    return new(
        "diagnostic_msgs/msg/DiagnosticArray",
        header=header(new, now_ns, ""),
        status=[
            new(
                "diagnostic_msgs/msg/DiagnosticStatus",
                level=level,
                name=name,
                message=message,
                hardware_id="",
                values=[new("diagnostic_msgs/msg/KeyValue", key=str(k), value=str(v)) for k, v in values.items()],
            )
            for level, name, message, values in statuses
        ],
    )

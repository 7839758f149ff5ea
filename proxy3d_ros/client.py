"""Ask a running node from Python::

from proxy3d_ros.client import SpatialClient

with SpatialClient() as room:
    print(room.ask("How many chairs are there?").answer)
    goal = room.approach("sofa")          # a pose in front of it, for a navigation goal
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput, MissingExtra, ServiceError
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.scene.snapshot import ObjectState
from proxy3d_ros.port import Service

_STATES = (ObjectState.PRESENT, ObjectState.MOVED, ObjectState.GONE)
_HOW_TO_START = "start the node with `proxy3d run` or `ros2 launch proxy3d_ros robot.launch.py`"


@dataclass(frozen=True, eq=False)
class Pose:
    """A place and a heading.

    Attributes:
        frame_id: in which frame.
        position: (3,) metres.
        quaternion: (4,) x, y, z, w.
        message: the same as ``geometry_msgs/PoseStamped`` of the client's middleware: a goal for navigation.
    """

    frame_id: str
    position: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    message: Any

    @property
    def yaw(self) -> float:
        """Heading about z, radians, counter-clockwise from x."""
        return _yaw(self.quaternion)


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object as the node knows it.

    Attributes:
        id: stable, never reused.
        label: its name.
        score: confidence in the label, 0..1.
        frame_id: frame of the box.
        center: (3,) metres.
        size: (3,) metres along the box's axes: two on the floor plane, then the height.
        yaw: heading of the box's first axis, radians.
        state: present, moved or gone.
        first_seen, last_seen: seconds; None in the evidence of an answer.
        observations: in how many frames it was seen; None in the evidence of an answer.
        approach: a free place in front of it, facing it; None where there is none.
    """

    id: int
    label: str
    score: float
    frame_id: str
    center: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: float
    state: ObjectState = ObjectState.PRESENT
    first_seen: float | None = None
    last_seen: float | None = None
    observations: int | None = None
    approach: Pose | None = None


@dataclass(frozen=True, eq=False)
class Reply:
    """The answer to a question.

    Attributes:
        status: OK, or why there is no answer; ``message`` says more.
        answer: in words; for a multiple choice the letter.
        value, unit, uncertainty: the number, if the answer is one; the uncertainty is one standard deviation.
        confidence: probability that the answer is right, 0..1.
        objects: the evidence, the object asked for first.
        program: the question as it was understood.
        frame_id, scene_stamp, map_epoch: of the scene that was asked; seconds.
        latency_ms: how long the node thought.
        answerer: ``geometric`` or ``vlm``.
    """

    status: Status
    answer: str
    message: str
    value: float | None
    unit: str
    uncertainty: float | None
    confidence: float
    objects: tuple[FoundObject, ...]
    program: str
    frame_id: str
    scene_stamp: float
    map_epoch: int
    latency_ms: float
    answerer: str

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.status is Status.OK


@dataclass(frozen=True)
class StoredMap:
    """What was saved or loaded: path (as given when loading, absolute when saving) and counts."""

    path: str
    objects: int
    proxies: int


class _Middleware(Protocol):
    def new(self, type_name: str, /, **fields: Any) -> Any: ...

    def call(self, name: str, service: Service, timeout: float, wait: float, fields: dict[str, Any]) -> Any: ...

    def close(self) -> None: ...


class SpatialClient:
    """Asks a running node. All calls block, each at most for its timeout; use it from any thread.

    Args:
        node: an rclpy node to call through (spun by its executor, or by nobody: then the client spins it); None = the
            client joins the graph by itself.
        namespace: where the running node is, such as ``/robot1``.
        name: what the running node is called.
        middleware: without ``node``: ``rclpy``, ``dds``, or ``auto`` (rclpy where a ROS 2 workspace with this package
            is sourced, else DDS).
        timeout: how long to wait for the node to appear and, by default, for it to answer [s].

    Raises:
        MissingExtra: neither rclpy nor the package's ``dds`` extra is installed.
    """

    def __init__(
        self,
        node: Any = None,
        *,
        namespace: str = "/",
        name: str = "proxy3d",
        middleware: Literal["auto", "rclpy", "dds"] = "auto",
        timeout: float = 10.0,
    ) -> None:
        self._namespace = "/" + namespace.strip("/")
        self._name = name
        self._timeout = timeout
        self._middleware: _Middleware
        if node is not None or middleware == "rclpy" or (middleware == "auto" and _ros_is_sourced()):
            self._middleware = _Rclpy(node)
        else:
            self._middleware = _Dds()

    def __enter__(self) -> SpatialClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the graph; an rclpy node that was given stays."""
        self._middleware.close()

    def ask(
        self,
        question: str,
        viewpoint: Sequence[float] | None = None,
        options: Iterable[str] = (),
        timeout: float | None = None,
        frame_id: str = "map",
        answerer: str = "auto",
    ) -> Reply:
        """Ask about the space that the robot has seen.

        Args:
            question: such as ``How far is the sofa from the door?``.
            viewpoint: where the asker stands and looks: x, y in metres, yaw in radians; None = the robot's own pose.
            options: answers to choose from.
            timeout: time for the answer [s]; None = the client's.
            frame_id: frame of ``viewpoint``.
            answerer: ``auto``, ``geometric`` or ``vlm``.

        Raises:
            ServiceError: the node is not there or does not answer in time.
            BadInput: ``viewpoint`` is not three numbers.
        """
        limit = self._timeout if timeout is None else timeout
        fields: dict[str, Any] = {
            "question": question,
            "options": list(options),
            "answerer": answerer,
            "timeout": float(limit),
        }
        if viewpoint is not None:
            if len(viewpoint) != 3 or not np.isfinite(viewpoint).all():
                raise BadInput(f"viewpoint {viewpoint!r} must be three numbers: x, y [m], yaw [rad]")
            x, y, yaw = map(float, viewpoint)
            heading = (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
            fields["viewpoint"] = self._pose_stamped(frame_id, (x, y, 0.0), heading)
        response = self._call(Service.ASK, limit + 1.0, **fields)
        return Reply(
            status=Status(response.status),
            answer=response.answer,
            message=response.message,
            value=float(response.value) if response.has_value else None,
            unit=response.unit,
            uncertainty=float(response.uncertainty) if response.has_value and response.uncertainty > 0 else None,
            confidence=float(response.confidence),
            objects=tuple(_from_detection(found, response.frame_id) for found in response.objects.detections),
            program=response.program,
            frame_id=response.frame_id,
            scene_stamp=_seconds(response.scene_stamp),
            map_epoch=int(response.map_epoch),
            latency_ms=float(response.latency_ms),
            answerer=response.answerer,
        )

    def objects(self, include_gone: bool = False) -> list[FoundObject]:
        """All objects that the node knows. Raises ServiceError as ``ask`` does."""
        response = self._call(Service.LIST, self._timeout, include_gone=include_gone)
        return [self._from_message(found, response.frame_id) for found in response.objects]

    def label(self, object_id: int, name: str) -> None:
        """Name an object; an empty name takes a given name back.

        Raises:
            ServiceError: there is no such object, or as ``ask``.
        """
        self._done(self._call(Service.LABEL, self._timeout, id=object_id, label=name))

    def save(self, path: str, overwrite: bool = False, timeout: float = 60.0) -> StoredMap:
        """Save the map to a folder inside the node's map folder.

        Raises:
            ServiceError: the node refuses (the folder exists, or lies outside), or as ``ask``.
        """
        response = self._done(self._call(Service.SAVE, timeout, path=path, overwrite=overwrite))
        return StoredMap(response.path, int(response.objects), int(response.proxies))

    def load(self, path: str, timeout: float = 60.0) -> StoredMap:
        """Load a map from a folder inside the node's map folder.

        Raises:
            ServiceError: the map is missing or damaged, or as ``ask``.
        """
        response = self._done(self._call(Service.LOAD, timeout, path=path))
        return StoredMap(path, int(response.objects), int(response.proxies))

    def reset(self) -> None:
        """Forget the map. Raises ServiceError as ``ask`` does."""
        self._done(self._call(Service.RESET, self._timeout))

    def set_enabled(self, enabled: bool) -> None:
        """Take frames, or keep the map as it is. Raises ServiceError as ``ask`` does."""
        self._done(self._call(Service.SET_ENABLED, self._timeout, data=enabled))

    def approach(self, target: int | str) -> Pose:
        """A free place on the floor in front of an object, facing it.

        Args:
            target: an object's id, or a label (of several such objects the one with the best score).

        Raises:
            ServiceError: no such object, or no free place in front of it is known; or as ``ask``.
        """
        objects = self.objects()
        wanted = target.strip().lower() if isinstance(target, str) else target
        matches = [o for o in objects if wanted in (o.id, o.label.lower())]
        if not matches:
            known = ", ".join(sorted({o.label for o in objects})) or "nothing yet"
            raise ServiceError(f"there is no object {target!r}; the node knows: {known}")
        for found in sorted(matches, key=lambda o: -o.score):
            if found.approach is not None:
                return found.approach
        raise ServiceError(f"no free floor has been seen in front of {target!r}; let the robot look at the floor there")

    def _call(self, service: Service, limit: float, /, **fields: Any) -> Any:
        prefix = self._namespace.rstrip("/")
        name = f"{prefix}/{service.topic}".replace("/~/", f"/{self._name}/")
        return self._middleware.call(name, service, limit, self._timeout, fields)

    @staticmethod
    def _done(response: Any) -> Any:
        if not response.success:
            raise ServiceError(response.message)
        return response

    def _pose_stamped(self, frame_id: str, position: Iterable[float], quaternion: Iterable[float]) -> Any:
        new = self._middleware.new
        pose = new(
            "geometry_msgs/msg/Pose",
            position=new("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, position), strict=True))),
            orientation=new("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", map(float, quaternion), strict=True))),
        )
        return new("geometry_msgs/msg/PoseStamped", header=new("std_msgs/msg/Header", frame_id=frame_id), pose=pose)

    def _from_message(self, found: Any, frame_id: str) -> FoundObject:
        approach = None
        if found.has_approach:
            position, quaternion = _numbers(found.approach)
            message = self._pose_stamped(frame_id, position, quaternion)
            approach = Pose(frame_id, position, quaternion, message)
        position, quaternion = _numbers(found.box.center)
        return FoundObject(
            id=int(found.id),
            label=found.label,
            score=float(found.score),
            frame_id=frame_id,
            center=position,
            size=np.array([found.box.size.x, found.box.size.y, found.box.size.z]),
            yaw=_yaw(quaternion),
            state=_STATES[found.state],
            first_seen=_seconds(found.first_seen),
            last_seen=_seconds(found.last_seen),
            observations=int(found.observations),
            approach=approach,
        )


def _from_detection(found: Any, frame_id: str) -> FoundObject:
    hypothesis = found.results[0].hypothesis if found.results else None
    position, quaternion = _numbers(found.bbox.center)
    return FoundObject(
        id=int(found.id),
        label=hypothesis.class_id if hypothesis else "",
        score=float(hypothesis.score) if hypothesis else 0.0,
        frame_id=found.header.frame_id or frame_id,
        center=position,
        size=np.array([found.bbox.size.x, found.bbox.size.y, found.bbox.size.z]),
        yaw=_yaw(quaternion),
    )


def _numbers(pose: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, q = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w])


def _yaw(quaternion: NDArray[np.float64]) -> float:
    axis = matrix_from_quaternion(np.zeros(3), quaternion)[:3, 0]
    return float(np.arctan2(axis[1], axis[0]))


def _seconds(stamp: Any) -> float:
    return int(stamp.sec) + int(stamp.nanosec) / 1e9


def _not_there(name: str, waited: float) -> ServiceError:
    domain = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    return ServiceError(
        f"no service {name} after {waited:g} s; {_HOW_TO_START}; if it runs, check the namespace and ROS_DOMAIN_ID "
        f"({domain} here)"
    )


def _no_answer(name: str, waited: float, otherwise: str) -> ServiceError:
    return ServiceError(
        f"{name} did not answer within {waited:g} s; the node may be busy (raise the timeout), or {otherwise}"
    )


def _ros_is_sourced() -> bool:
    try:
        import rclpy  # noqa: F401

        from proxy3d_ros.srv import AskSpatial  # noqa: F401
    except ImportError:
        return False
    return True


class _Dds:
    """Calls through Cyclone DDS, without ROS 2."""

    def __init__(self) -> None:
        try:
            from proxy3d_ros.dds import types
            from proxy3d_ros.dds.names import Names
            from proxy3d_ros.dds.participant import Participant
        except ImportError as error:
            raise MissingExtra(
                f"asking a running node needs DDS or a sourced ROS 2 ({error}): pip install 'proxy3d_ros[dds]'"
            ) from error
        self.new = types.new
        self._participant = Participant(Names.parse(f"proxy3d_client_{os.getpid()}"))
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, name: str, service: Service, timeout: float, wait: float, fields: dict[str, Any]) -> Any:
        with self._lock:
            client = self._clients.get(name) or self._participant.client(name, service.type_name)
            self._clients[name] = client
        if not client.wait_for_service(wait):
            raise _not_there(name, wait)
        try:
            return client.call(timeout, **fields)
        except TimeoutError:
            raise _no_answer(
                name, timeout, "it runs on a ROS 2 without RMW_IMPLEMENTATION=rmw_cyclonedds_cpp"
            ) from None

    def close(self) -> None:
        self._participant.close()


class _Rclpy:
    """Calls through an rclpy node: a given one, or one of its own that a thread of its own spins."""

    def __init__(self, node: Any) -> None:
        import rclpy
        from rclpy.callback_groups import ReentrantCallbackGroup
        from rclpy.qos import HistoryPolicy, QoSProfile

        self._own: Any = None
        if node is None:
            from rclpy.executors import SingleThreadedExecutor

            self._own = rclpy.Context()
            rclpy.init(context=self._own)
            node = rclpy.create_node(f"proxy3d_client_{os.getpid()}", context=self._own)
            executor = SingleThreadedExecutor(context=self._own)
            executor.add_node(node)
            threading.Thread(target=executor.spin, name="proxy3d-client", daemon=True).start()
            self._executor = executor
        self._rclpy = rclpy
        self._node = node
        # A group of its own: a call from one of the node's callbacks must not wait for that callback.
        self._group = ReentrantCallbackGroup()
        self._qos = QoSProfile(history=HistoryPolicy.KEEP_ALL)  # the default loses what comes while ten wait
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def new(self, type_name: str, /, **fields: Any) -> Any:
        from rosidl_runtime_py.utilities import get_message

        return get_message(type_name)(**fields)

    def call(self, name: str, service: Service, timeout: float, wait: float, fields: dict[str, Any]) -> Any:
        from rosidl_runtime_py.utilities import get_service

        cls = get_service(service.type_name)
        with self._lock:
            client = self._clients.get(name) or self._node.create_client(
                cls, name, qos_profile=self._qos, callback_group=self._group
            )
            self._clients[name] = client
        if not client.wait_for_service(wait):
            raise _not_there(name, wait)
        future = client.call_async(cls.Request(**fields))
        # A node that was spun by rclpy.spin_until_future_complete still names that executor but is no longer in it.
        executor = self._node.executor
        if executor is None or self._node not in executor.get_nodes():
            self._rclpy.spin_until_future_complete(self._node, future, timeout_sec=timeout)
        else:
            done = threading.Event()
            future.add_done_callback(lambda _: done.set())
            done.wait(timeout)
        if not future.done():
            client.remove_pending_request(future)
            raise _no_answer(name, timeout, "nobody spins the executor of the rclpy node")
        return future.result()

    def close(self) -> None:
        if self._own is None:
            for client in self._clients.values():
                self._node.destroy_client(client)
        else:
            self._executor.shutdown()
            self._node.destroy_node()
            self._own.try_shutdown()

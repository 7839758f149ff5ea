"""The node on a machine without ROS 2: ``SpatialNode`` joined to the ROS graph over DDS."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transform_buffer import TransformBuffer
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_ros.dds import qos, types
from proxy3d_ros.dds.names import Names
from proxy3d_ros.dds.participant import Participant, Publisher, Subscription
from proxy3d_ros.inputs import Subscription as Wanted
from proxy3d_ros.inputs import subscriptions
from proxy3d_ros.messages import stamp_ns
from proxy3d_ros.node import TICK_PERIOD, SpatialNode
from proxy3d_ros.port import Input, InputStatus, Output, Service

NODE_NAME = "proxy3d"
_SECOND = 1_000_000_000
_LOG = "rcl_interfaces/msg/Log"


class DdsAdapter:
    """The port of ``SpatialNode`` over DDS: publishers now, everything that calls the node from ``start`` on.

    Args:
        config: the node's settings.
        names: name, namespace and remappings.
        use_sim_time: take the time from ``/clock``.
        domain: DDS domain; None = ``ROS_DOMAIN_ID``.
    """

    def __init__(self, config: Config, names: Names, use_sim_time: bool = False, domain: int | None = None) -> None:
        self._config = config
        self._log = logging.getLogger(names.node)
        self._participant = Participant(names, domain)
        self._transforms = TransformBuffer()
        self._sim_time: int | None = None
        self._use_sim_time = use_sim_time
        self._inputs: dict[Input, Subscription] = {}
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None
        self._bad_transforms: dict[str, float] = {}
        self._rosout = self._participant.publisher("/rosout", _LOG, qos.ROSOUT)
        self._publishers: dict[Output, Publisher] = {
            output: self._participant.publisher(
                output.topic, output.type_name, qos.LATCHED if output.latched else qos.DEFAULT
            )
            for output in Output
        }

    # The port -------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        if self._use_sim_time:
            return self._sim_time or 0
        return time.time_ns()

    def new(self, type_name: str, **fields: Any) -> Any:
        return types.new(type_name, **fields)

    def publish(self, output: Output, message: Any) -> None:
        publisher = self._publishers[output]
        if not publisher.publish(message):
            self.log("warning", f"A subscriber of {publisher.name} does not keep up: a message is lost")

    def lookup_transform(self, target: str, source: str, stamp_ns: int | None) -> NDArray[np.float64]:
        return self._transforms.lookup(target, source, stamp_ns)

    def clear_transforms(self) -> None:
        self._transforms.clear()

    def input_status(self) -> dict[Input, InputStatus]:
        status = {}
        for source, subscription in self._inputs.items():
            found = subscription.connection()
            status[source] = InputStatus(subscription.name, found.publishers, found.mismatch)
        return status

    def log(self, level: str, text: str) -> None:
        """To stderr, and to ``/rosout`` where ``rqt_console`` and others look."""
        number = getattr(logging, level.upper())
        self._log.log(number, text)
        if not self._log.isEnabledFor(number):
            return
        seconds, nanoseconds = divmod(self.now_ns(), _SECOND)
        stamp = types.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        # rcl_interfaces/Log counts 10, 20, 30, 40 from debug to error, as Python does.
        self._rosout.publish(types.new(_LOG, stamp=stamp, level=number, name=self._log.name, msg=text))

    # Life -----------------------------------------------------------------------------------------------------------

    def start(self, node: SpatialNode) -> None:
        """Subscribe, serve and tick."""
        if self._use_sim_time:
            self._participant.subscribe("/clock", "rosgraph_msgs/msg/Clock", self._on_clock, qos.SENSOR_DATA)
        # Transforms first, so that an image which arrives together with its pose finds it.
        for name, profile, static in (("/tf_static", qos.TF_STATIC, True), ("/tf", qos.TF, False)):
            self._participant.subscribe(name, "tf2_msgs/msg/TFMessage", self._on_transforms(static), profile)
        for source, wanted in subscriptions(node, self._config.input).items():
            topic = self._participant.names.resolve(source.topic) + wanted.topic.removeprefix(source.topic)

            def on_error(error: Exception, source: Input = source) -> None:
                node.on_decode_error(source, error)

            def receive(message: Any, wanted: Wanted = wanted, source: Input = source) -> None:
                try:
                    wanted.callback(message)
                except BadInput as error:
                    node.on_decode_error(source, error)

            profile = qos.LATCHED if wanted.latched else qos.SENSOR_DATA
            self._inputs[source] = self._participant.subscribe(topic, wanted.type_name, receive, profile, on_error)
        for service in Service:
            self._participant.serve(service.topic, service.type_name, getattr(node, service.handler))
        self._timer = threading.Thread(target=self._tick, args=(node,), name="tick", daemon=True)
        self._timer.start()

    def close(self) -> None:
        """Leave the graph; requests that are being handled are answered before. May be called twice."""
        self._stop.set()
        if self._timer is not None:
            self._timer.join()
        self._participant.close()

    def _tick(self, node: SpatialNode) -> None:
        while not self._stop.wait(TICK_PERIOD):
            try:
                node.tick()
            except Exception:
                self._log.exception("error in the timer; the node goes on")

    # Inputs ---------------------------------------------------------------------------------------------------------

    def _on_clock(self, message: Any) -> None:
        self._sim_time = stamp_ns(message.clock)

    def _on_transforms(self, static: bool) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            for transform in message.transforms:
                parent, child = transform.header.frame_id, transform.child_frame_id
                t, q = transform.transform.translation, transform.transform.rotation
                try:
                    pose = matrix_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
                    self._transforms.add(parent, child, stamp_ns(transform.header.stamp), pose, static)
                except BadInput as error:
                    if time.monotonic() - self._bad_transforms.get(child, -10) >= 5:
                        self._bad_transforms[child] = time.monotonic()
                        self.log("warning", f"transform {parent} -> {child} is ignored: {error}")

        return callback


def run_dds(
    config: Config,
    namespace: str = "/",
    remaps: Iterable[str] = (),
    use_sim_time: bool = False,
    on_ready: Callable[[Names], None] | None = None,
) -> None:
    """Run the node until SIGINT or SIGTERM (what ``proxy3d run --middleware dds`` does).

    Args:
        config: all settings.
        namespace: such as ``/robot1``.
        remaps: rules such as ``rgb/image:=/camera/color/image_raw``.
        use_sim_time: take the time from ``/clock``.
        on_ready: called once the node is in the graph.

    Raises:
        BadInput: a bad name, rule, setting or ``ROS_DOMAIN_ID``.
    """
    names = Names.parse(NODE_NAME, namespace, remaps)
    if not logging.getLogger().handlers:
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="[%(levelname)s] [%(created).3f] [%(name)s]: %(message)s"
        )
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    adapter = DdsAdapter(config, names, use_sim_time)
    node: SpatialNode | None = None
    try:
        node = SpatialNode(adapter, config)
        adapter.start(node)
        node.activate()
        if on_ready is not None:
            on_ready(names)
        stop.wait()
    finally:
        if node is not None:
            node.deactivate()
        adapter.close()
        if node is not None:
            node.close()
        for number, handler in previous.items():
            signal.signal(number, handler)

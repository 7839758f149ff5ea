"""The node on a machine with ROS 2: a lifecycle node of rclpy around ``SpatialNode``."""

from __future__ import annotations

import array
import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin

import numpy as np
import rclpy
import rclpy.logging
from annotated_types import Ge, Gt, Le, Lt
from cv_bridge import CvBridge
from numpy.typing import NDArray
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    qos_check_compatible,
    qos_profile_sensor_data,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from rosidl_runtime_py.utilities import get_message, get_service
from tf2_ros import (
    Buffer,
    ExtrapolationException,
    TransformException,
    TransformListener,
)

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, Proxy3DError
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_ros.inputs import Subscription, pixels, subscriptions
from proxy3d_ros.node import TICK_PERIOD, SpatialNode, needs_configure
from proxy3d_ros.port import Input, InputStatus, Output, Service, TransformNotReady, TransformUnknown

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# The default keeps ten requests: of a hundred that come at once, ninety would never be answered.
SERVICES = QoSProfile(history=HistoryPolicy.KEEP_ALL)
_TF_HISTORY = 30.0  # seconds
_THREADS = 6  # callbacks at once: inputs, timer, and questions that wait for a transform or a slow answerer


class RclpyNode(LifecycleNode):
    """Lifecycle node ``proxy3d``; it is the port of the ``SpatialNode`` that ``configure`` makes.

    Parameters are those of ``proxy3d_core.config.Config`` by dotted name, and ``autostart``. Services answer from
    ``configure`` on; images are subscribed to while the node is active.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("proxy3d", **kwargs)
        self._node: SpatialNode | None = None
        self._bridge = CvBridge()
        self._outputs: dict[Output, Any] = {}
        self._inputs: dict[Input, Any] = {}
        self._configured: list[Callable[[], Any]] = []  # what cleanup undoes
        self._tf: _Transforms | None = None
        self._handle_requests = ReentrantCallbackGroup()
        self.declare_parameter(
            "autostart",
            True,
            ParameterDescriptor(description="Configure and activate at the start.", read_only=True),
        )
        for name, default in Config().flat().items():
            value = list(default) if isinstance(default, tuple) else default
            self.declare_parameter(name, value, parameter_descriptor(name))
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)

    def autostart(self) -> bool:
        """Configure and activate unless the parameter ``autostart`` is false; whether that worked."""
        if not self.get_parameter("autostart").value:
            return True
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    # Parameters ------------------------------------------------------------------------------------------------------

    def _config(self, changes: Sequence[Parameter] = ()) -> Config:
        """The settings as they are with some changed. Raises BadInput."""
        values = {name: self.get_parameter(name).value for name in Config().flat()}
        values.update({p.name: p.value for p in changes if p.name in values})
        return Config.from_flat(values)

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            config = self._config(changes)
            if self._node is not None:
                self._node.check_config(config)
        except BadInput as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        if self._node is not None:
            self._node.set_config(self._config())

    # Life cycle ------------------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the node: publishers, transforms, services, diagnostics."""
        try:
            config = self._config()
            self._create_outputs()
            self._tf = _Transforms(self)
            self._configured.append(self._tf.close)
            self._node = SpatialNode(self, config)
        except Proxy3DError as error:
            self.get_logger().error(f"Cannot configure: {error}")
            self._undo_configure()
            return TransitionCallbackReturn.FAILURE
        for service in Service:
            handler = getattr(self._node, service.handler)
            server = self.create_service(
                get_service(service.type_name),
                service.topic,
                lambda request, response, handler=handler: self._serve(handler, request, response),
                qos_profile=SERVICES,
                callback_group=self._handle_requests,
            )
            self._configured.append(lambda server=server: self.destroy_service(server))
        timer = self.create_timer(TICK_PERIOD, self._tick, callback_group=MutuallyExclusiveCallbackGroup())
        self._configured.append(lambda: self.destroy_timer(timer))
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera and begin to publish."""
        assert self._node is not None
        result = super().on_activate(state)
        self._node.activate()
        self._create_inputs(self._node)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and publishing; the map stays and services go on."""
        assert self._node is not None
        self._destroy_inputs()
        self._node.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the map and everything else."""
        self._undo_configure()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As cleanup, from any state."""
        self._undo_configure()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition failed: back to unconfigured."""
        self._undo_configure()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop all threads (at the end of the process)."""
        self._undo_configure()

    def _undo_configure(self) -> None:
        self._destroy_inputs()
        node, self._node = self._node, None
        while self._configured:
            self._configured.pop()()
        self._outputs.clear()
        if node is not None:
            node.close()

    def _serve(self, handler: Callable[[Any], Any], request: Any, response: Any) -> Any:
        # An exception in a callback would end the executor, and with it the node.
        try:
            return handler(request)
        except Exception as error:
            self.get_logger().error(f"Request failed after an internal error:\n{traceback.format_exc()}")
            if hasattr(response, "message"):
                response.message = f"internal error, see the node's log: {error}"
            return response

    def _tick(self) -> None:
        node = self._node
        try:
            if node is not None:
                node.tick()
        except Exception:
            self.get_logger().error(f"Error in the timer; the node goes on:\n{traceback.format_exc()}")

    # Publishers and subscriptions ------------------------------------------------------------------------------------

    def _create_outputs(self) -> None:
        for output in Output:
            # Diagnostics also say that the node is inactive, so their publisher has no life cycle.
            create = self.create_publisher if output is Output.DIAGNOSTICS else self.create_lifecycle_publisher
            publisher = create(
                get_message(output.type_name),
                output.topic,
                LATCHED if output.latched else 10,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            self._outputs[output] = publisher
            self._configured.append(lambda publisher=publisher: self.destroy_publisher(publisher))

    def _create_inputs(self, node: SpatialNode) -> None:
        for source, wanted in subscriptions(node, node.config.input, self._pixels).items():

            def receive(message: Any, source: Input = source, wanted: Subscription = wanted) -> None:
                try:
                    wanted.callback(message)
                except Exception as error:  # whatever it is: it would end the executor, and with it the node
                    node.on_decode_error(source, error)

            def incompatible(event: Any, wanted: Subscription = wanted) -> None:
                topic = self.resolve_topic_name(wanted.topic)
                self.get_logger().warning(
                    f"A publisher of {topic} offers an incompatible QoS ({event.last_policy_kind}): its messages do "
                    f"not arrive. Set the parameters qos_overrides.{topic}.subscription.* to match it"
                )

            self._inputs[source] = self.create_subscription(
                get_message(wanted.type_name),
                wanted.topic,
                receive,
                LATCHED if wanted.latched else qos_profile_sensor_data,
                callback_group=MutuallyExclusiveCallbackGroup(),
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=incompatible),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )

    def _pixels(self, message: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._bridge.imgmsg_to_cv2(message, "passthrough"))
        except Exception:
            # cv_bridge stumbles over what is wrong with a message without naming it; this raises BadInput and says.
            return pixels(message)

    def _destroy_inputs(self) -> None:
        while self._inputs:
            _, subscription = self._inputs.popitem()
            self.destroy_subscription(subscription)

    # The port of the SpatialNode -------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The node's clock, nanoseconds; follows /clock if use_sim_time is set."""
        return int(self.get_clock().now().nanoseconds)

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message; see ``Port.new``."""
        return new_message(type_name, **fields)

    def publish(self, output: Output, message: Any) -> None:
        """Publish; lifecycle publishers are silent while the node is inactive."""
        publisher = self._outputs.get(output)
        if publisher is not None:
            publisher.publish(message)

    def lookup_transform(self, target: str, source: str, stamp_ns: int | None) -> NDArray[np.float64]:
        """4x4 ``target_from_source``; see ``Port.lookup_transform``."""
        if self._tf is None:
            raise TransformUnknown("the node is not configured")
        return self._tf.lookup(target, source, stamp_ns)

    def clear_transforms(self) -> None:
        """Forget the moving transforms."""
        if self._tf is not None:
            self._tf.clear()

    def input_status(self) -> dict[Input, InputStatus]:
        """Connection of every input, asked from the ROS graph now."""
        status = {}
        for source, subscription in list(self._inputs.items()):
            publishers = self.get_publishers_info_by_topic(subscription.topic_name)
            profile = subscription.qos_profile
            clashes = set()
            for publisher in publishers:
                compatible, reason = qos_check_compatible(publisher.qos_profile, profile)
                if compatible == QoSCompatibility.ERROR:
                    clashes.add(f"{publisher.node_name}: {reason.strip()}")
            qos = f"{profile.reliability.name}, {profile.durability.name}".lower().replace("_", " ")
            status[source] = InputStatus(subscription.topic_name, len(publishers), "; ".join(sorted(clashes)), qos)
        return status

    def log(self, level: str, text: str) -> None:
        """Log through the node's logger. rclpy wants one place in the code per level."""
        logger = self.get_logger()
        if level == "debug":
            logger.debug(text)
        elif level == "info":
            logger.info(text)
        elif level == "warning":
            logger.warning(text)
        else:
            logger.error(text)


class _Transforms:
    """TF on a thread of its own, so that images cannot starve it (and it cannot starve them)."""

    def __init__(self, owner: Node) -> None:
        self._buffer = Buffer(cache_time=Duration(seconds=_TF_HISTORY))
        name = f"_transform_listener_{owner.get_name()}"  # hidden in ros2 node list
        self._node = rclpy.create_node(
            name,
            namespace=owner.get_namespace(),
            # A remapping of __node is meant for the main node; those of /tf and /tf_static hold here too.
            cli_args=["--ros-args", "-r", f"__node:={name}"],
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._listener = TransformListener(self._buffer, self._node)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="tf", daemon=True)
        self._thread.start()
        # A simulated clock that starts again takes the transforms with it.
        self._jump = owner.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True),
            post_callback=lambda jump: self.clear(),
        )

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def clear(self) -> None:
        self._buffer.clear()

    def close(self) -> None:
        self._jump.unregister()
        self._executor.shutdown()
        self._thread.join(timeout=5.0)
        self._node.destroy_node()

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> NDArray[np.float64]:
        time = Time() if stamp_ns is None else Time(nanoseconds=stamp_ns)
        try:
            found = self._buffer.lookup_transform(target.lstrip("/"), source.lstrip("/"), time).transform
        except ExtrapolationException as error:
            if "past" in str(error):
                raise TransformUnknown(str(error)) from None
            raise TransformNotReady(
                f"{error}; its publisher is late, stopped, or sends NaN (which tf2 logs as TF_NAN_INPUT)"
            ) from None
        except TransformException as error:
            raise TransformUnknown(
                f"no transform between {target!r} and {source!r}: {str(error).strip()} "
                "Check the names and who publishes them: ros2 run tf2_tools view_frames"
            ) from None
        t, q = found.translation, found.rotation
        try:
            return matrix_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        except BadInput as error:
            raise TransformUnknown(f"transform {target} -> {source}: {error}") from None


@cache
def _message_class(type_name: str) -> Any:
    for end, part in (("_Request", "Request"), ("_Response", "Response")):
        if type_name.endswith(end):
            return getattr(get_service(type_name.removesuffix(end)), part)
    return get_message(type_name)


@cache
def _field_types(type_name: str) -> dict[str, str]:
    return dict(_message_class(type_name).get_fields_and_field_types())


def new_message(type_name: str, **fields: Any) -> Any:
    """A message of rclpy; see ``Port.new``."""
    types = _field_types(type_name)
    for name, value in fields.items():
        if types[name] == "octet":
            fields[name] = bytes([value])
        elif isinstance(value, bytes):
            fields[name] = array.array("B", value)  # anything else is checked byte by byte
        elif isinstance(value, np.generic):
            fields[name] = value.item()
    return _message_class(type_name)(**fields)


def parameter_descriptor(name: str) -> ParameterDescriptor:
    """Description, range and choices of a setting, from ``Config``."""
    section, _, key = name.partition(".")
    model = Config.model_fields[section].annotation
    field = model.model_fields[key]  # type: ignore[union-attr]
    out = ParameterDescriptor(description=field.description or "")
    constraints = []
    if get_origin(field.annotation) is Literal:
        constraints.append("one of: " + ", ".join(map(str, get_args(field.annotation))))
    if needs_configure(name):
        constraints.append("takes effect when the node is configured")
    out.additional_constraints = "; ".join(constraints)
    low = next((getattr(m, "ge", getattr(m, "gt", None)) for m in field.metadata if isinstance(m, (Ge, Gt))), None)
    high = next((getattr(m, "le", getattr(m, "lt", None)) for m in field.metadata if isinstance(m, (Le, Lt))), None)
    if low is not None and high is not None:
        if field.annotation is int:
            out.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            out.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return out


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; 1 if it could not start."""
    rclpy.init(args=None if args is None else list(args))
    try:
        node = RclpyNode()
    except ParameterException as error:
        rclpy.logging.get_logger("proxy3d").fatal(f"Cannot start: {error}")
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=_THREADS)
    executor.add_node(node)
    try:
        if not node.autostart():
            return 1
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # the ordinary ways to stop a node
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

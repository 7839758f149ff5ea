"""What the node does, once, for every middleware.

An adapter (``rclpy_node``, ``dds``) turns messages into numpy arrays and calls the ``on_...`` methods, forwards service
requests to the method that ``port.Service`` names, and calls ``tick`` from a timer. Everything else happens here.

All methods may be called from any thread. None of the ``on_...`` methods blocks or raises: what is wrong with a message
is counted, logged and shown in ``/diagnostics``.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.answering import ANSWERERS, Answering
from proxy3d_core.assembly import FrameAssembler
from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, MapError
from proxy3d_core.frame import Detection2D, Frame
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import robot_from_camera
from proxy3d_core.perception.depth_models import DepthSource
from proxy3d_core.reasoning.answer import Answer, Question, Status, Viewpoint
from proxy3d_core.reasoning.approach import approach_pose
from proxy3d_core.scene.regions import box_mask, lift_mask, mask_from_runs
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_core.scene.state import SceneState
from proxy3d_core.storage.maps import inside, load_map, save_map
from proxy3d_ros import messages
from proxy3d_ros.diagnostics import Health, InputMonitor
from proxy3d_ros.fixed_frame import FixedFrame, TransformError
from proxy3d_ros.port import Input, Output, Port

if TYPE_CHECKING:
    from proxy3d_core.vlm.attention import ProxyAttention

TICK_PERIOD = 0.05
"""How often an adapter calls ``SpatialNode.tick``, seconds of wall time."""

_DIAGNOSTICS_PERIOD = 1.0
_MAX_TIMEOUT = 600.0
_PATIENCE = 0.5  # a frame waits for an answer of the model at most so long, seconds: few cores do not serve both
_BOX_3D, _BOX_2D, _MASK = 0, 1, 2  # proxy3d_ros/msg/RegionPrompt


_FROZEN_SECTIONS = ("encoder", "frames", "map", "perception", "proxies")
_FROZEN = (
    "answer.vlm",
    "answer.vlm_device",
    "input.compressed",
    "input.ignore_labels",
    "input.label_names",
    "input.semantics",
)


def needs_configure(name: str) -> bool:
    """Whether a setting takes effect only when the node is configured, not while it runs."""
    return name in _FROZEN or name.partition(".")[0] in _FROZEN_SECTIONS


class SpatialNode:
    """The node ``proxy3d``: camera topics in, scene and answers out.

    Args:
        port: the middleware; it may publish and look up transforms from now on, and calls the entry points below.
        config: all settings.

    Raises:
        BadInput: ``input.label_names`` is neither JSON nor a readable file.
        MissingExtra, ModelError: the depth model that the settings name cannot be used.
    """

    def __init__(self, port: Port, config: Config) -> None:
        self._port = port
        self._config = config
        self._given_names = _label_names(config.input.label_names)
        self._inputs = InputMonitor()
        self._scene_lock = threading.RLock()  # whoever changes the scene; snapshots need no lock
        self._scene = SceneState(config, config.frames.fixed, background=True)
        if self._scene.warning:
            port.log("warning", self._scene.warning)
        self._fixed = FixedFrame(
            port, config.frames, config.input.tf_timeout, lambda: self._empty(self._scene.snapshot())
        )
        self._depth_source = DepthSource.from_config(config.perception)
        self._assembler = FrameAssembler(
            config.input, self._fixed.from_camera, port.log, depth_source=self._depth_source
        )
        self._assembler.set_label_names(self._given_names)

        self._answering = Answering(config.answer, self._scene.encoder or config.encoder)
        self._answering.prepare()
        self._last_answer: tuple[int, Answer] | None = None  # map epoch, answer
        self._attention: ProxyAttention | None = None  # of the latest answer that the VLM gave

        self._publish_lock = threading.Lock()
        self._markers = messages.MarkerLayers(port.new)
        self._published: dict[str, tuple[Any, float]] = {}
        self._health = Health(
            port, self._inputs, self._assembler, self._scene, self._fixed, self._answering, self._depth_source
        )
        self._diagnostics_at = 0.0

        self._active = False
        self._enabled = True
        self._closed = False
        self._dirty = False
        self._jumps_seen = 0
        self._worker = threading.Thread(target=self._work, name="proxy3d-map", daemon=True)
        self._worker.start()

    # Life cycle -------------------------------------------------------------------------------------------------------

    def activate(self) -> None:
        """Begin to take frames and to publish. Services answer in any state."""
        self._inputs.restart()
        self._assembler.clear()
        self._published.clear()
        self._active = True

    def deactivate(self) -> None:
        """Stop taking frames; the map stays and questions are still answered."""
        self._active = False
        self._assembler.clear()

    def close(self) -> None:
        """Stop the worker thread; the node cannot be used any more. May be called twice."""
        self._active = False
        self._closed = True
        self._assembler.wake()
        if threading.current_thread() is not self._worker:
            self._worker.join(timeout=10.0)
        self._answering.close()
        self._scene.close()

    def tick(self) -> None:
        """Called every ``TICK_PERIOD`` by the adapter's timer: publishes what is due, diagnostics once a second."""
        if self._closed:
            return
        self._publish()
        self._answering.look_ahead(self._scene.snapshot())
        now = time.monotonic()
        if now - self._diagnostics_at >= _DIAGNOSTICS_PERIOD:
            self._diagnostics_at = now
            statuses = self._health.report(self._config, self._state)
            self._port.publish(Output.DIAGNOSTICS, messages.diagnostics(self._port.new, self._port.now_ns(), statuses))

    @property
    def _state(self) -> str:
        if not self._active:
            return "inactive"
        return "active" if self._enabled else "disabled"

    @property
    def config(self) -> Config:
        """The settings in use."""
        return self._config

    def check_config(self, config: Config) -> None:
        """Whether the node could change to these settings at run time.

        Raises:
            BadInput: a setting changes that ``needs_configure``.
        """
        old, new = self._config.flat(), config.flat()
        fixed = [name for name in new if new[name] != old[name] and needs_configure(name)]
        if fixed:
            raise BadInput(
                f"{', '.join(fixed)} cannot change while the node is configured; clean it up or restart it first"
            )

    def set_config(self, config: Config) -> None:
        """Change settings at run time. Raises BadInput as ``check_config`` does; nothing has been changed then."""
        self.check_config(config)
        self._config = config
        self._assembler.configure(config.input)
        self._fixed.patience = config.input.tf_timeout

    # Inputs -----------------------------------------------------------------------------------------------------------

    def on_rgb(self, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8]) -> None:
        """Colour image (H, W, 3) uint8, r g b. The array is kept: the adapter must not write to it afterwards."""
        if self._takes(Input.RGB, stamp_ns):
            self._assembler.add_rgb(stamp_ns, frame_id, rgb)
            self._watch_clock()

    def on_depth(self, stamp_ns: int, frame_id: str, depth: NDArray[np.float32]) -> None:
        """Depth image (H, W) float32 metres, 0 or NaN where there is no measurement. The array is kept."""
        if self._takes(Input.DEPTH, stamp_ns):
            self._assembler.add_depth(stamp_ns, frame_id, depth)
            self._watch_clock()

    def on_camera_info(
        self, stamp_ns: int, frame_id: str, width: int, height: int, k: ArrayLike, d: ArrayLike = ()
    ) -> None:
        """Calibration: image size, camera matrix K (9 numbers, row by row), distortion coefficients."""
        self._inputs.arrived(Input.CAMERA_INFO, stamp_ns)
        self._assembler.set_camera_info(frame_id, width, height, k, d)

    def on_labels(self, stamp_ns: int, frame_id: str, labels: NDArray[np.integer]) -> None:
        """Label image (H, W) of class ids; stamp of the colour image that it was made from. The array is kept."""
        if self._takes(Input.LABELS, stamp_ns):
            self._assembler.add_labels(stamp_ns, frame_id, labels)

    def on_label_info(self, names: Mapping[int, str]) -> None:
        """Names of label ids; ``input.label_names`` wins where both name an id."""
        self._inputs.arrived(Input.LABEL_INFO, 0)
        self._assembler.set_label_names({**names, **self._given_names})

    def on_detections(self, stamp_ns: int, frame_id: str, detections: Sequence[Detection2D]) -> None:
        """2D boxes in pixels of the colour image, with its stamp. A label that is a number is an id of a label name."""
        if self._takes(Input.DETECTIONS, stamp_ns):
            self._assembler.add_detections(stamp_ns, frame_id, detections)

    def on_decode_error(self, source: Input, error: Exception | str) -> None:
        """A message that the adapter could not decode (unknown encoding, truncated data)."""
        self._inputs.arrived(source, 0)
        self._assembler.drop("decode_error", f"{source.topic}: {error}")

    def _takes(self, source: Input, stamp_ns: int) -> bool:
        self._inputs.arrived(source, stamp_ns)
        return self._active and self._enabled

    def _watch_clock(self) -> None:
        if self._assembler.jumps != self._jumps_seen:
            self._jumps_seen = self._assembler.jumps
            self._port.clear_transforms()

    # The worker: frames into the scene --------------------------------------------------------------------------------

    def _work(self) -> None:
        jumps = 0
        while not self._closed:
            try:
                self._answering.let_finish(_PATIENCE)
                frame = self._assembler.take(timeout=0.2)
                if self._assembler.jumps != jumps:
                    jumps = self._assembler.jumps
                    with self._scene_lock:
                        self._scene.clear_buffers()
                if frame is None:
                    self._refresh_when_idle()
                else:
                    self._update(frame)
                self._publish()
            except BadInput as error:
                self._assembler.drop("rejected", str(error))
            except Exception as error:  # whatever a frame does, the node stays up
                self._assembler.drop("internal_error", f"{type(error).__name__}: {error}")
                self._health.remind(
                    "internal_error", "error", f"Frame skipped after an error:\n{traceback.format_exc()}"
                )
                time.sleep(0.05)

    def _update(self, frame: Frame) -> None:
        robot = self._fixed.from_robot(frame.stamp_ns)
        with self._scene_lock:
            if self._scene.frame_id != self._fixed.name:
                self._scene.reset(self._fixed.name)
            floor = self._scene.snapshot().floor.height
            if robot is None and floor is not None:
                robot = robot_from_camera(frame.pose, floor)
            self._scene.update(frame, robot)
            self._dirty = True

    def _refresh_when_idle(self) -> None:
        """Bring the objects up to the last frame when no more frames come."""
        if self._dirty:
            with self._scene_lock:
                try:
                    self._scene.refresh()
                finally:
                    self._dirty = False  # what fails is not tried over and over

    # Outputs ----------------------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        """Publish what changed, at most at the set rates, all of it from one snapshot."""
        if not self._active or not self._publish_lock.acquire(blocking=False):
            return
        try:
            new, port, output = self._port.new, self._port, self._config.output
            snapshot = self._scene.snapshot()
            if self._due("objects", (snapshot,), output.rate):
                port.publish(Output.OBJECTS, messages.detections(new, snapshot, snapshot.present))
                port.publish(Output.MAP_INFO, messages.map_info(new, snapshot, self._scene.voxel_count))
            answer = self._shown_answer(snapshot)
            attention = self._attention if answer is not None and answer.answerer == "vlm" else None
            if self._due("markers", (snapshot, answer, attention), output.rate):
                port.publish(Output.MARKERS, self._markers.build(snapshot, answer, attention))
            if self._due("proxies", (snapshot,), output.proxies_rate):
                port.publish(Output.PROXIES, messages.proxy_cloud(new, snapshot))
        finally:
            self._publish_lock.release()

    def _due(self, what: str, content: tuple[Any, ...], rate: float) -> bool:
        """Whether there is something new to publish and the rate allows it now; if so, it counts as published."""
        now, period = time.monotonic(), 1.0 / rate
        before, slot = self._published.get(what, ((), -np.inf))
        same = len(before) == len(content) and all(a is b for a, b in zip(before, content, strict=True))
        if same or now < slot + period:
            return False
        # The slot, not the moment: a message that was late would hold up the next one, and that one the one after it.
        self._published[what] = (content, max(slot + period, now - period))
        return True

    def _shown_answer(self, snapshot: Snapshot) -> Answer | None:
        last = self._last_answer
        return last[1] if last is not None and last[0] == snapshot.epoch else None

    # Services: the fields of requests and responses are those of msg/ and srv/ ----------------------------------------

    def ask_spatial(self, request: Any) -> Any:
        """proxy3d_ros/srv/AskSpatial. Waits at most the request's timeout; never raises on a bad question."""
        start = time.perf_counter()
        snapshot = self._scene.snapshot()
        try:
            answer = self._answer(request, snapshot)
        except TransformError as error:
            answer = Answer(Status.TF_ERROR, message=str(error))
        except BadInput as error:
            answer = Answer(Status.NOT_UNDERSTOOD, message=str(error))
        except Exception as error:
            self._port.log("error", f"Question failed after an internal error:\n{traceback.format_exc()}")
            answer = Answer(Status.NOT_UNDERSTOOD, message=f"internal error, see the node's log: {error}")
        answer = replace(answer, latency_ms=(time.perf_counter() - start) * 1e3)
        if answer.status is Status.OK:
            self._last_answer = (snapshot.epoch, answer)
        return messages.answer_response(self._port.new, answer, snapshot)

    def _answer(self, request: Any, snapshot: Snapshot) -> Answer:
        config = self._config.answer
        timeout = float(request.timeout)
        timeout = min(timeout, _MAX_TIMEOUT) if np.isfinite(timeout) and timeout > 0 else config.timeout
        deadline = time.monotonic() + timeout
        text = request.question.strip()
        if not text:
            raise BadInput('the question is empty; ask for example "How many chairs are there?"')
        length = len(text) + sum(len(option) for option in request.options)
        if length > config.max_length:
            raise BadInput(f"the question has {length} characters, answer.max_length allows {config.max_length}")
        who = request.answerer.strip().lower() or "auto"
        if who not in ANSWERERS:
            raise BadInput(f"answerer {who[:50]!r} is unknown; use one of {', '.join(ANSWERERS)}")
        who = config.answerer if who == "auto" else who
        if self._empty(snapshot):
            asked = "vlm" if who == "vlm" else "geometric"
            return Answer(Status.NO_SCENE, message=self._why_empty(), answerer=asked)
        robot = self._fixed.from_robot(None)
        question = Question(
            text,
            viewpoint=self._viewpoint(request.viewpoint, deadline),
            robot=None if robot is None else Viewpoint.from_pose(robot),
            options=tuple(request.options),
            regions=tuple(self._region(region, deadline) for region in request.regions),
        )
        left = deadline - time.monotonic()
        return self._answering.answer(question, snapshot, who, left, lambda: self._closed, self._on_attention)

    def _on_attention(self, attention: ProxyAttention) -> None:
        self._attention = attention

    def _viewpoint(self, stamped: Any, deadline: float) -> Viewpoint | None:
        """The stated viewpoint in the fixed frame, else None.

        Raises:
            TransformError
        """
        if not stamped.header.frame_id:
            return None
        fixed_from_frame = self._fixed.from_frame(
            stamped.header.frame_id, messages.stamp_ns(stamped.header.stamp), deadline
        )
        try:
            return Viewpoint.from_pose(fixed_from_frame @ messages.matrix_of(stamped.pose))
        except BadInput as error:
            raise TransformError(f"viewpoint: {error}") from None

    def _region(self, region: Any, deadline: float) -> OrientedBox:
        """A region prompt as a 3D box.

        Raises:
            BadInput: an unknown kind of region, impossible numbers, or nothing with depth in it.
            TransformError
        """
        stamp_ns = messages.stamp_ns(region.stamp)
        if region.type == _BOX_3D:
            return messages.box_of(region.box_3d, self._fixed.from_frame(region.frame_id, stamp_ns, deadline))
        view = self._scene.view(stamp_ns)
        width, height = int(region.image_width) or view.width, int(region.image_height) or view.height
        if region.type == _BOX_2D:
            left, top, right, bottom = (int(x) for x in region.box_2d)
            return lift_mask(view, box_mask(left, top, right, bottom, width, height))
        if region.type == _MASK:
            return lift_mask(view, mask_from_runs(np.asarray(region.mask_runs), width, height))
        raise BadInput(f"region type {region.type} is unknown; 0 = 3D box, 1 = 2D box, 2 = mask")

    @staticmethod
    def _empty(snapshot: Snapshot) -> bool:
        return snapshot.frames == 0 and not snapshot.objects

    def _why_empty(self) -> str:
        """What keeps the map empty, as far as it is known."""
        if not self._active or not self._enabled:
            return f"the node has no map and is {self._state}; " + (
                "activate it" if not self._active else "call ~/set_enabled"
            )
        silent = self._health.silent(0.5, self._config)
        reasons = list(silent.values()) or [text for _, text in sorted(self._assembler.last_drop.items())]
        return "nothing has been seen yet: " + ("; ".join(reasons) or "the first frame is on its way")

    def list_objects(self, request: Any) -> Any:
        """proxy3d_ros/srv/ListObjects."""
        new, snapshot = self._port.new, self._scene.snapshot()
        found = []
        for o in snapshot.objects if request.include_gone else snapshot.present:
            pose, ok = approach_pose(snapshot, o.id)
            found.append(messages.scene_object(new, o, pose if ok else None))
        return new(
            "proxy3d_ros/srv/ListObjects_Response",
            objects=found,
            scene_stamp=messages.time(new, snapshot.stamp_ns),
            map_epoch=snapshot.epoch,
            frame_id=snapshot.frame_id,
        )

    def label_object(self, request: Any) -> Any:
        """proxy3d_ros/srv/LabelObject."""
        try:
            with self._scene_lock:
                named = self._scene.label_object(int(request.id), request.label)
        except BadInput as error:
            return self._port.new("proxy3d_ros/srv/LabelObject_Response", success=False, message=str(error))
        text = f"object {named.id} is now called {named.label}"
        return self._port.new("proxy3d_ros/srv/LabelObject_Response", success=True, message=text)

    def save_map(self, request: Any) -> Any:
        """proxy3d_ros/srv/SaveMap."""
        kind = "proxy3d_ros/srv/SaveMap_Response"
        try:
            folder = inside(self._map_folder, request.path)
            if self._empty(self._scene.snapshot()):
                raise MapError(f"there is nothing to save: {self._why_empty()}")
            with self._scene_lock:
                saved = save_map(self._scene, folder, overwrite=bool(request.overwrite))
        except MapError as error:
            return self._port.new(kind, success=False, message=str(error))
        return self._port.new(
            kind,
            success=True,
            message=f"saved {saved.objects} objects and {saved.proxies} proxies",
            path=str(saved.path),
            objects=saved.objects,
            proxies=saved.proxies,
        )

    def load_map(self, request: Any) -> Any:
        """proxy3d_ros/srv/LoadMap."""
        kind = "proxy3d_ros/srv/LoadMap_Response"
        try:
            folder = inside(self._map_folder, request.path)
            with self._scene_lock:
                loaded = load_map(self._scene, folder)
                epoch = self._scene.snapshot().epoch
                self._fixed.restart(self._scene.frame_id)
        except MapError as error:
            return self._port.new(kind, success=False, message=str(error), map_epoch=self._scene.snapshot().epoch)
        return self._port.new(
            kind,
            success=True,
            message=f"loaded {loaded.objects} objects and {loaded.proxies} proxies from {loaded.path}",
            objects=loaded.objects,
            proxies=loaded.proxies,
            map_epoch=epoch,
        )

    @property
    def _map_folder(self) -> Path:
        return Path(self._config.output.map_folder).expanduser()

    def reset(self, request: Any) -> Any:
        """std_srvs/srv/Trigger: forget the map, begin a new epoch; the fixed frame is looked for anew."""
        with self._scene_lock:
            self._fixed.restart()
            self._scene.reset(self._fixed.name)
            self._dirty = False
        epoch = self._scene.snapshot().epoch
        return self._port.new("std_srvs/srv/Trigger_Response", success=True, message=f"map is empty, epoch {epoch}")

    def set_enabled(self, request: Any) -> Any:
        """std_srvs/srv/SetBool: false = keep the map but take no frames."""
        self._enabled = bool(request.data)
        self._assembler.clear()
        self._inputs.restart()
        return self._port.new(
            "std_srvs/srv/SetBool_Response",
            success=True,
            message="enabled" if self._enabled else "disabled; the map stays",
        )


def _label_names(text: str) -> dict[int, str]:
    """Names of label ids from JSON text or a JSON file: ``{"9": "chair"}``, or a list whose place is the id.

    Raises:
        BadInput: neither of them.
    """
    if not text:
        return {}
    where = "input.label_names"
    try:
        source = text if text.lstrip()[:1] in ("{", "[") else Path(text).expanduser().read_text()
        names = json.loads(source)
        items = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(k): str(v) for k, v in items}
    except OSError as error:
        raise BadInput(f"{where}: cannot read {text!r}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise BadInput(f'{where}: expected JSON such as {{"9": "chair"}}: {error}') from None

"""Camera streams to frames: images matched by stamp, calibration and pose found, the newest complete frame handed over.

A depth image leads: a frame is made of it and its partners. With a depth model a colour image leads, and the model runs
in the consumer's thread; a sensor's depth image, where one comes too, then only checks the model's scale.

Nothing here waits inside a callback: images are put into buffers, and a frame stays there until its partners and its
pose have come or its time is up. The consumer takes the newest complete frame (queue of length one), so that a slow map
skips frames and never lags behind. Every leading image that does not become a frame is counted under a reason of
``DROP_REASONS``.
"""

from __future__ import annotations

import threading
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.config import InputConfig
from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Detection2D, Frame
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.transforms import is_rigid
from proxy3d_core.perception.depth_models import DepthSource

DROP_REASONS: Mapping[str, str] = {
    "superseded": "a newer frame was complete before the map took this one; normal if the map is slower",
    "no_depth": "a colour image without a depth image of its stamp; raise input.sync_slop or check the depth topic",
    "no_rgb": "a depth image without a colour image of its stamp; raise input.sync_slop or check the colour topic",
    "no_camera_info": "no camera info arrived; check the topic rgb/camera_info",
    "bad_camera_info": "the camera info is not that of a calibrated camera; calibrate it or fix the driver",
    "no_transform": "the camera pose did not come within input.tf_timeout; check TF between fixed frame and camera",
    "bad_transform": "the camera pose is NaN or not rigid; check who publishes the transform",
    "no_frame_id": "the header has no frame_id; the driver must name the camera's optical frame",
    "zero_stamp": "the header has no stamp; the driver must stamp its images",
    "repeated_stamp": "an image with the stamp of an earlier one",
    "out_of_order": "an image older than what was already handed over",
    "clock_jump": "waiting when the clock jumped back (a bag that starts again)",
    "size_mismatch": "colour, depth and camera info differ in shape; publish depth registered to colour",
    "bad_image": "an image of wrong dimensions or number type",
    "decode_error": "an unknown encoding or a truncated message",
    "empty_depth": "a depth image without a single measurement; check the sensor",
    "overflow": "too many images were waiting; lower the camera's rate or the timeouts",
    "late_semantics": "labels or detections came after their frame was used; raise input.semantics_wait",
    "bad_semantics": "labels or detections that do not fit their image; the frame was used without them",
    "rejected": "the map could not use the frame; the message says why",
    "internal_error": "a bug: see the log; the frame was skipped and the node stays up",
}
"""Why an image did not become a frame of the map, and what to do about it."""

CAPACITY = 60
"""Most images that wait in one buffer."""

_POLL = 0.01  # seconds between looks at TF while a frame waits for it


@dataclass
class _Image:
    """A buffered message: stamp, arrival on our clock, payload, what has been found for it."""

    stamp_ns: int
    arrived: float
    frame_id: str
    data: Any
    pose: NDArray[np.float64] | None = None
    matched: bool = False

    def __lt__(self, other: _Image) -> bool:
        return self.stamp_ns < other.stamp_ns


@dataclass
class _Stream:
    """One input: what waits, by stamp; the newest stamp seen and used; when the last message arrived."""

    images: list[_Image] = field(default_factory=list)
    newest: int | None = None
    used: int | None = None
    arrived: float | None = None
    suspect: int | None = None

    def nearest(self, stamp_ns: int, slop_ns: int) -> _Image | None:
        near = min(self.images, key=lambda image: abs(image.stamp_ns - stamp_ns), default=None)
        return near if near is not None and abs(near.stamp_ns - stamp_ns) <= slop_ns else None

    def passed(self, stamp_ns: int) -> bool:
        return self.newest is not None and self.newest >= stamp_ns


@dataclass(frozen=True)
class _Complete:
    """A leading image with all its partners; ``take`` makes the frame of it."""

    lead: _Image
    rgb: _Image
    depth: _Image | None
    labels: _Image | None
    detections: _Image | None
    intrinsics: Intrinsics
    pose: NDArray[np.float64]

    @property
    def semantic(self) -> bool:
        return self.labels is not None or self.detections is not None


class _Drop(Exception):
    """A frame cannot be made; ``reason`` is a key of ``DROP_REASONS``."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class FrameAssembler:
    """Makes frames of camera messages. Thread-safe; only ``take`` waits.

    Args:
        config: settings ``input.*``.
        camera_pose: ``(camera frame, stamp_ns) -> 4x4 fixed_from_camera``; raises LookupError (its text says why) while
            the pose is not known. Must not block.
        notify: ``(level, text)`` receives what a user should read once: info, warning.
        clock: seconds that only go forward; decides what is late.
        depth_source: gives the depth of colour images; None = depth images do.

    Attributes:
        drops: count of each reason so far.
        last_drop: the latest drop of each reason, in words.
        jumps: how often the clock jumped back.
    """

    def __init__(
        self,
        config: InputConfig,
        camera_pose: Callable[[str, int], NDArray[np.float64]],
        notify: Callable[[str, str], None] = lambda level, text: None,
        clock: Callable[[], float] = time.monotonic,
        depth_source: DepthSource | None = None,
    ) -> None:
        self._config = config
        self._depth_source = depth_source
        self._lead = "depth" if depth_source is None else "rgb"
        self._camera_pose = camera_pose
        self._notify = notify
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._streams = {name: _Stream() for name in ("rgb", "depth", "labels", "detections")}
        self._intrinsics: Intrinsics | None = None
        self._info_frame = ""
        self._info_error = ""
        self._label_names: dict[int, str] = {}
        self._ready: _Complete | None = None
        self._noted: dict[str, tuple[str, float]] = {}
        self.drops: Counter[str] = Counter()
        self.last_drop: dict[str, str] = {}
        self.jumps = 0

    # Inputs ----------------------------------------------------------------------------------------------------------

    def add_rgb(self, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8]) -> None:
        """Colour image (H, W, 3) uint8."""
        good = rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8 and rgb.size > 0
        self._add("rgb", stamp_ns, frame_id, rgb, good, "colour", "(H, W, 3) uint8")

    def add_depth(self, stamp_ns: int, frame_id: str, depth: NDArray[np.float32]) -> None:
        """Depth image (H, W) in metres; 0, NaN, infinite and negative numbers are no measurements."""
        good = depth.ndim == 2 and depth.dtype.kind == "f" and depth.size > 0
        self._add("depth", stamp_ns, frame_id, depth, good, "depth", "(H, W) float32 metres")

    def add_labels(self, stamp_ns: int, frame_id: str, labels: NDArray[np.integer]) -> None:
        """Label image (H, W) of class ids, with the stamp of its colour image."""
        good = labels.ndim == 2 and labels.dtype.kind in "iu" and labels.size > 0
        self._add("labels", stamp_ns, frame_id, labels, good, "label", "(H, W) whole numbers")

    def add_detections(self, stamp_ns: int, frame_id: str, detections: Sequence[Detection2D]) -> None:
        """Boxes in pixels of the colour image, with its stamp."""
        self._add("detections", stamp_ns, frame_id, tuple(detections))

    def set_camera_info(self, frame_id: str, width: int, height: int, k: ArrayLike, d: ArrayLike = ()) -> None:
        """Calibration of the colour image and of the depth image registered to it: size, K (9), distortion."""
        with self._changed:
            before, self._info_frame = self._intrinsics, frame_id.lstrip("/")
            try:
                self._intrinsics, self._info_error = Intrinsics.from_matrix(k, width, height), ""
            except BadInput as error:
                self._intrinsics, self._info_error = None, str(error)
                self._note("bad_camera_info", str(error))
                return
            self._changed.notify_all()
        if np.abs(np.asarray(d, dtype=np.float64)).max(initial=0) > 1e-6:
            self._note(
                "distortion",
                "camera info has distortion: boxes near the image border will be off; use the rectified topics",
            )
        if before is not None and before != self._intrinsics:
            self._notify(
                "warning", f"camera info changed from {before} to {self._intrinsics}; new frames use the new one"
            )

    def set_label_names(self, names: Mapping[int, str]) -> None:
        """Names of label ids."""
        with self._changed:
            self._label_names = {int(k): str(v) for k, v in names.items()}

    def configure(self, config: InputConfig) -> None:
        """Use other settings from now on."""
        with self._changed:
            self._config = config

    def clear(self) -> None:
        """Forget what is waiting and all stamps seen; calibration, names and counts stay."""
        with self._changed:
            for stream in self._streams.values():
                stream.images.clear()
                stream.newest = stream.suspect = stream.used = None
            self._ready = None

    # Output ----------------------------------------------------------------------------------------------------------

    def take(self, timeout: float) -> Frame | None:
        """The newest complete frame, later than the one before; None after ``timeout`` seconds without one."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                self._advance()
                complete, self._ready = self._ready, None
                if complete is None:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return None
                    self._changed.wait(min(left, _POLL) if self._streams[self._lead].images else left)
                    continue
                names = self._label_names
            try:
                return self._frame(complete, names)
            except _Drop as drop:
                self.drop(drop.reason, str(drop))
            except BadInput as error:
                self.drop("rejected", str(error))

    def wake(self) -> None:
        """Let ``take`` look again now."""
        with self._changed:
            self._changed.notify_all()

    def drop(self, reason: str, text: str = "") -> None:
        """Count a drop; ``reason`` is a key of ``DROP_REASONS``."""
        with self._changed:
            self.drops[reason] += 1
            self.last_drop[reason] = text or DROP_REASONS[reason]

    def notes(self) -> list[str]:
        """What is wrong with the inputs now although frames are made of them, in words."""
        with self._changed:
            now = self._clock()
            return [text for text, at in self._noted.values() if now - at < self._config.silent_after]

    @property
    def waiting(self) -> int:
        """How many leading images wait for their partners."""
        with self._changed:
            return len(self._streams[self._lead].images)

    # Matching: everything below runs with the lock held, but for _frame ----------------------------------------------

    def _add(
        self, name: str, stamp_ns: int, frame_id: str, data: Any, good: bool = True, what: str = "", wanted: str = ""
    ) -> None:
        with self._changed:
            stream, now = self._streams[name], self._clock()
            stream.arrived = now
            if not good:
                self.drop("bad_image", f"{what} image is {data.shape} {data.dtype}, expected {wanted}")
            elif stamp_ns <= 0:
                self.drop("zero_stamp", f"{name} message without a stamp; the driver must stamp its messages")
            elif self._in_time(name, stream, stamp_ns):
                stream.newest = max(stamp_ns, stream.newest or 0)
                insort(stream.images, _Image(stamp_ns, now, frame_id.lstrip("/"), data))
                if len(stream.images) > CAPACITY:
                    stream.images.pop(0)
                    self.drop("overflow", f"{CAPACITY} {name} messages were waiting")
                self._advance()
                self._changed.notify_all()

    def _in_time(self, name: str, stream: _Stream, stamp_ns: int) -> bool:
        """Whether a stamp can still be used; notices a clock that jumped back, once a second stamp confirms it."""
        back_ns = int(self._config.clock_jump * 1e9)
        if stream.newest is not None and stamp_ns < stream.newest - back_ns:
            first, stream.suspect = stream.suspect, stamp_ns
            back = (stream.newest - stamp_ns) / 1e9
            if first is None or not first < stamp_ns <= first + back_ns:
                self.drop("out_of_order", f"{name} stamp is {back:.3f} s before the one before")
                return False
            self._jump(back)
            return True
        stream.suspect = None
        if stamp_ns == stream.used or any(image.stamp_ns == stamp_ns for image in stream.images):
            self.drop("repeated_stamp", f"{name} stamp {stamp_ns / 1e9:.9f} came twice")
            return False
        semantic = name in ("labels", "detections")
        passed = self._streams["rgb"].used if semantic else stream.used
        if passed is None or stamp_ns > passed:
            return True
        late = f"{name} came when the frame {(passed - stamp_ns) / 1e9:.3f} s later was already used"
        self.drop("late_semantics" if semantic else "out_of_order", late)
        return False

    def _jump(self, seconds: float) -> None:
        lost = len(self._streams[self._lead].images) + (self._ready is not None)
        self.clear()
        self.jumps += 1
        self.drops["clock_jump"] += lost
        text = f"stamps jumped back by {seconds:.3f} s: input buffers are reset, the map stays"
        self.last_drop["clock_jump"] = text
        self._notify("warning", text)

    def _advance(self) -> None:
        """Complete what can be completed, give up what is too late, keep the newest complete frame."""
        now = self._clock()
        newest: _Complete | None = None
        for lead in list(self._streams[self._lead].images):
            found = self._complete(lead, now)
            if isinstance(found, _Complete):
                newest = found
            elif found[1]:
                self._remove(lead, found[0])
        if self._lead == "depth":
            self._expire_rgb(now)
        if newest is None:
            return
        for lead in [i for i in self._streams[self._lead].images if i.stamp_ns < newest.lead.stamp_ns]:
            found = self._complete(lead, now)
            self._remove(lead, _Drop("superseded", "") if isinstance(found, _Complete) else found[0])
        self._hand_over(newest)

    def _complete(self, lead: _Image, now: float) -> _Complete | tuple[_Drop, bool]:
        """The frame of a leading image, or what it still lacks and whether its time is up."""
        config, waited = self._config, now - lead.arrived
        slop_ns = int(config.sync_slop * 1e9)
        late = waited >= config.sync_timeout
        rgb = lead if self._lead == "rgb" else self._partner("rgb", lead.stamp_ns, slop_ns, waited)
        if rgb is None:
            newest = self._streams["rgb"].newest
            skew = "none arrived" if newest is None else f"the newest is {(newest - lead.stamp_ns) / 1e9:+.3f} s off"
            return _Drop("no_rgb", f"no colour image within input.sync_slop = {config.sync_slop} s; {skew}"), late
        rgb.matched = True
        if self._intrinsics is None:
            if self._info_error:
                return _Drop("bad_camera_info", self._info_error), late
            return _Drop("no_camera_info", ""), late
        if lead.pose is None:
            camera = lead.frame_id or self._info_frame
            if not camera:
                return _Drop("no_frame_id", ""), True
            try:
                lead.pose = self._camera_pose(camera, lead.stamp_ns)
            except LookupError as error:
                return _Drop("no_transform", str(error)), waited >= config.tf_timeout
        if not is_rigid(lead.pose):
            return _Drop(
                "bad_transform", f"transform of {lead.frame_id!r} is NaN or not rigid: {lead.pose.tolist()}"
            ), True
        extras: dict[str, _Image | None] = {}
        for name in ("labels", "detections", "depth") if self._lead == "rgb" else ("labels", "detections"):
            extras[name] = self._partner(name, rgb.stamp_ns, slop_ns, waited) if self._wanted(name) else None
            stream = self._streams[name]
            coming = extras[name] is None and self._expected(name, now) and not stream.passed(rgb.stamp_ns + slop_ns)
            if coming and waited < config.semantics_wait:
                return _Drop("superseded", f"still waiting for {name}"), False
        depth = lead if self._lead == "depth" else extras["depth"]
        return _Complete(lead, rgb, depth, extras["labels"], extras["detections"], self._intrinsics, lead.pose)

    def _partner(self, name: str, stamp_ns: int, slop_ns: int, waited: float) -> _Image | None:
        """The image nearest to a stamp, once no nearer one can be expected."""
        stream = self._streams[name]
        near = stream.nearest(stamp_ns, slop_ns)
        if near is None or near.stamp_ns == stamp_ns or stream.passed(stamp_ns) or waited >= slop_ns / 1e9:
            return near
        return None

    def _wanted(self, name: str) -> bool:
        return name == "depth" or self._config.semantics in ("auto", name)

    def _expected(self, name: str, now: float) -> bool:
        arrived = self._streams[name].arrived
        alive = arrived is not None and now - arrived < self._config.silent_after
        return self._config.semantics == name or (alive and self._wanted(name))

    def _remove(self, lead: _Image, drop: _Drop) -> None:
        self._streams[self._lead].images.remove(lead)
        self.drop(drop.reason, str(drop))

    def _hand_over(self, complete: _Complete) -> None:
        """Put a frame into the queue of length one; what is older than its images is not needed any more."""
        complete.rgb.matched = True
        used = {
            "depth": complete.depth,
            "rgb": complete.rgb,
            "labels": complete.labels,
            "detections": complete.detections,
        }
        for name, image in used.items():
            stream, until = self._streams[name], (image or complete.rgb).stamp_ns
            for old in [i for i in stream.images if i.stamp_ns <= until]:
                stream.images.remove(old)
                if name == "rgb" and not old.matched:
                    self.drop("no_depth")
            if image is not None:
                stream.used = until
        if self._ready is not None:
            self.drop("superseded")
            # Semantics are worth more than a few hundredths of a second: a frame without them does not push out one
            # that has them.
            if self._ready.semantic and not complete.semantic:
                return
        self._ready = complete

    def _expire_rgb(self, now: float) -> None:
        """Let go of colour images whose depth image never came."""
        images = self._streams["rgb"].images
        slop_ns = int(self._config.sync_slop * 1e9)
        for image in [i for i in images if now - i.arrived >= self._config.sync_timeout]:
            if self._streams["depth"].nearest(image.stamp_ns, slop_ns) is None:
                images.remove(image)
                if not image.matched:
                    self.drop("no_depth")

    def _note(self, key: str, text: str) -> None:
        with self._changed:
            new = key not in self._noted
            self._noted[key] = (text, self._clock())
        if new:
            self._notify("warning", text)

    # Making the frame: on the consumer's thread, without the lock -----------------------------------------------------

    def _frame(self, found: _Complete, names: Mapping[int, str]) -> Frame:
        rgb, measured = found.rgb.data, None if found.depth is None else self._measured(found, found.depth)
        height, width = rgb.shape[:2] if measured is None or self._depth_source else measured.shape
        intrinsics = found.intrinsics
        if not _same_shape(intrinsics.width, intrinsics.height, width, height):
            what = "depth" if self._depth_source is None else "colour"
            raise _Drop(
                "size_mismatch",
                f"{what} is {width}x{height} but camera info says {intrinsics.width}x{intrinsics.height}; "
                "publish depth registered to colour and the camera info that belongs to it",
            )
        if (intrinsics.width, intrinsics.height) != (width, height):
            intrinsics = intrinsics.resized(width, height)
        labels, detections = self._labels(found, width, height, names), self._detections(found, width, height, names)
        uncertainty = 0.0
        if self._depth_source is not None:
            if measured is not None:
                measured = measured[_nearest(measured.shape[0], height)[:, None], _nearest(measured.shape[1], width)]
            measured = self._depth_source.depth(rgb, intrinsics, measured)
            uncertainty = self._depth_source.uncertainty
        assert measured is not None
        return Frame(
            stamp_ns=found.lead.stamp_ns,
            depth=measured,
            intrinsics=intrinsics,
            pose=found.pose,
            rgb=_resize(rgb, width, height, cv2.INTER_AREA),
            labels=labels,
            label_names=names,
            detections=detections,
            scale_uncertainty=uncertainty,
        )

    def _measured(self, found: _Complete, image: _Image) -> NDArray[np.float32]:
        """The sensor's depth, if it belongs to the colour image."""
        depth, rgb = _clean_depth(image.data), found.rgb.data
        if self._depth_source is None or depth.any():
            self._check_units(depth)
        height, width = depth.shape
        if not _same_shape(rgb.shape[1], rgb.shape[0], width, height):
            raise _Drop(
                "size_mismatch",
                f"colour is {rgb.shape[1]}x{rgb.shape[0]} but depth is {width}x{height}; publish depth "
                "registered to colour (RealSense: align_depth.enable:=true)",
            )
        if found.rgb.frame_id and image.frame_id and found.rgb.frame_id != image.frame_id:
            self._note(
                "frame_ids",
                f"depth is in {image.frame_id!r} but colour in {found.rgb.frame_id!r}: if they are two cameras, "
                "publish depth registered to colour",
            )
        return depth

    def _check_units(self, depth: NDArray[np.float32]) -> None:
        sample = depth[::8, ::8]
        sample = sample[sample > 0]
        if sample.size == 0 and not depth.any():
            raise _Drop("empty_depth", "")
        median = float(np.median(sample)) if sample.size else 1.0
        if not 0.01 <= median <= 50:
            self._note(
                "depth_units",
                f"the median depth is {median:.4g} m: wrong unit? 16UC1 means millimetres, 32FC1 metres (REP-118)",
            )

    def _labels(
        self, found: _Complete, width: int, height: int, names: Mapping[int, str]
    ) -> NDArray[np.integer] | None:
        if found.labels is None:
            return None
        labels: NDArray[np.integer] = found.labels.data
        if not _same_shape(labels.shape[1], labels.shape[0], width, height):
            self.drop(
                "bad_semantics", f"label image is {labels.shape[1]}x{labels.shape[0]} but depth is {width}x{height}"
            )
            return None
        labels = labels[_nearest(labels.shape[0], height)[:, None], _nearest(labels.shape[1], width)]
        unnamed = sorted({int(i) for i in np.unique(labels[::8, ::8]) if i > 0 and int(i) not in names})
        if unnamed:
            self._note(
                "label_names",
                f"label ids {unnamed[:10]} have no name and are ignored; publish semantic/label_info or set "
                "input.label_names",
            )
        return labels

    def _detections(
        self, found: _Complete, width: int, height: int, names: Mapping[int, str]
    ) -> tuple[Detection2D, ...]:
        if found.detections is None:
            return ()
        sx, sy = width / found.rgb.data.shape[1], height / found.rgb.data.shape[0]
        out = []
        for box in found.detections.data:
            edges = np.array([box.left * sx, box.top * sy, box.right * sx, box.bottom * sy])
            edges = np.clip(edges, 0, [width, height, width, height])  # NaN stays NaN
            label = names.get(int(box.label), box.label) if box.label.isdecimal() else box.label
            if not (np.isfinite(box.score) and edges[2] > edges[0] and edges[3] > edges[1]):
                self.drop("bad_semantics", f"detection {box} is empty or lies outside the image")
                continue
            out.append(Detection2D(label, float(box.score), *(float(e) for e in edges)))
        return tuple(out)


def _clean_depth(depth: NDArray[Any]) -> NDArray[np.float32]:
    """Float32 metres with 0 where there is no measurement."""
    depth = depth.astype(np.float32, copy=False)
    valid = (depth > 0) & (depth < np.inf)
    return depth if valid.all() else np.where(valid, depth, np.float32(0))


def _same_shape(width: int, height: int, other_width: int, other_height: int) -> bool:
    """Whether two images show the same picture at two resolutions: aspect ratios agree to within a pixel."""
    return abs(width * other_height - other_width * height) <= max(height, other_height)


def _nearest(size: int, wanted: int) -> NDArray[np.intp]:
    """Source index of each target pixel, area-aligned."""
    return ((np.arange(wanted) + 0.5) * (size / wanted)).astype(np.intp)


def _resize(image: NDArray[np.uint8], width: int, height: int, how: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), dtype=np.uint8)

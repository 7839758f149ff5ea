"""What the node says about its own health: input rates, silent topics, drops by reason, times, sizes."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy3d_core.answering import Answering
from proxy3d_core.assembly import FrameAssembler
from proxy3d_core.config import Config
from proxy3d_core.perception.depth_models import DepthSource
from proxy3d_core.scene.state import SceneState
from proxy3d_ros.fixed_frame import FixedFrame
from proxy3d_ros.port import Input, InputStatus, Port

OK, WARN, ERROR = 0, 1, 2  # diagnostic_msgs/msg/DiagnosticStatus

NORMAL_DROPS = frozenset({"superseded", "no_depth", "repeated_stamp", "clock_jump"})
"""Drops that happen to a healthy node."""

REQUIRED = frozenset({Input.RGB, Input.DEPTH, Input.CAMERA_INFO})
"""Inputs without which there are no frames, unless a depth model stands in for the depth images."""

_GOOD_SCALE = 5.0  # percent

Status = tuple[int, str, str, dict[str, Any]]


@dataclass
class _Arrivals:
    """When messages of one input came, over the last seconds."""

    times: deque[float] = field(default_factory=deque)
    count: int = 0
    stamp_ns: int = 0


class InputMonitor:
    """Watches the inputs: rate of each, and which have gone silent. Thread-safe.

    Args:
        clock: seconds that only go forward.
    """

    WINDOW = 5.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._arrivals = {source: _Arrivals() for source in Input}
        self._since = clock()

    def restart(self) -> None:
        """Begin to wait anew (the node was activated)."""
        with self._lock:
            self._since = self._clock()

    def arrived(self, source: Input, stamp_ns: int) -> None:
        """A message came."""
        with self._lock:
            seen, now = self._arrivals[source], self._clock()
            seen.times.append(now)
            seen.count += 1
            seen.stamp_ns = stamp_ns
            while now - seen.times[0] > self.WINDOW:
                seen.times.popleft()

    def rate(self, source: Input) -> float:
        """Messages a second over the last few seconds."""
        with self._lock:
            now = self._clock()
            recent = [t for t in self._arrivals[source].times if now - t <= self.WINDOW]
            return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def count(self, source: Input) -> int:
        """Messages so far."""
        return self._arrivals[source].count

    def last_stamp_ns(self, source: Input) -> int:
        """Stamp of the latest message, 0 if none came."""
        return self._arrivals[source].stamp_ns

    def silence(self, source: Input) -> float:
        """Seconds since the latest message or, if there was none, since the node began to listen."""
        with self._lock:
            times = self._arrivals[source].times
            return self._clock() - max(times[-1] if times else self._since, self._since)

    def silent(
        self, limit: float, semantics: str, status: Mapping[Input, InputStatus], needed: Collection[Input] = REQUIRED
    ) -> dict[Input, str]:
        """The inputs that should speak and do not, each with what is known about it.

        Args:
            limit: seconds without a message that count as silent.
            semantics: setting ``input.semantics``.
            status: how the inputs are connected.
            needed: inputs without which there are no frames.
        """
        out = {}
        wanted = {*needed}
        if semantics in ("labels", "detections"):
            wanted.add(Input.LABELS if semantics == "labels" else Input.DETECTIONS)
        for source in Input:
            latched = source in (Input.CAMERA_INFO, Input.LABEL_INFO)
            seen, quiet = self.count(source) > 0, self.silence(source)
            if quiet < limit or (seen and latched) or not (source in wanted or (seen and semantics == "auto")):
                continue
            connection = status.get(source, InputStatus(source.topic, 0))
            out[source] = _silence_text(connection, quiet, self.last_stamp_ns(source))
            if source is Input.DEPTH and connection.publishers == 0:
                out[source] += "; for colour without depth set perception.depth_model"
        return out


def _silence_text(connection: InputStatus, quiet: float, stamp_ns: int) -> str:
    last = f"last stamp {stamp_ns / 1e9:.3f}" if stamp_ns else "none so far"
    text = f"No message on {connection.topic} for {quiet:.0f} s: "
    text += f"{connection.publishers} publisher{'s' * (connection.publishers != 1)}, {last}"
    if connection.qos:
        text += f", subscribed {connection.qos}"
    if connection.incompatible_qos:
        return f"{text}; incompatible QoS: {connection.incompatible_qos}"
    if connection.publishers == 0:
        return f"{text}; start the driver, or remap the input (ros2 topic list shows the names)"
    return f"{text}; the publisher sends nothing, or the network loses it"


class Health:
    """The statuses of ``/diagnostics``; what is new trouble is logged too, but not over and over.

    Args:
        port: inputs and log.
        inputs: arrivals.
        assembler: drops.
        scene: sizes and stage times.
        fixed: the fixed frame.
        depth_source: the depth model in use, or None.
    """

    REMIND_PERIOD = 10.0
    """The same complaint is logged at most this often, seconds."""

    def __init__(
        self,
        port: Port,
        inputs: InputMonitor,
        assembler: FrameAssembler,
        scene: SceneState,
        fixed: FixedFrame,
        answering: Answering,
        depth_source: DepthSource | None = None,
    ) -> None:
        self._port = port
        self._inputs = inputs
        self._assembler = assembler
        self._scene = scene
        self._fixed = fixed
        self._answering = answering
        self._depth_source = depth_source
        self._needed = REQUIRED if depth_source is None else REQUIRED - {Input.DEPTH}
        self._reminded: dict[str, float] = {}
        self._drops_before: Counter[str] = Counter()
        self._frames_before = 0
        self._reported = time.monotonic()

    def report(self, config: Config, state: str) -> list[Status]:
        """All statuses; drops and rates are since the last report.

        Args:
            state: ``active``, ``disabled`` or ``inactive``.
        """
        statuses = [
            self._of_inputs(config, state),
            self._of_frames(),
            self._of_map(config),
            (OK, "proxy3d: timing", "stage times", self._times()),
        ]
        if self._depth_source is not None:
            statuses.append(self._of_depth_model(self._depth_source))
        if config.answer.vlm:
            statuses.append(self._of_vlm(config))
        return statuses

    def silent(self, limit: float, config: Config) -> dict[Input, str]:
        """See ``InputMonitor.silent``."""
        return self._inputs.silent(limit, config.input.semantics, self._port.input_status(), self._needed)

    def remind(self, key: str, level: str, text: str) -> None:
        """Log, but the same complaint (``key``) at most every ``REMIND_PERIOD`` seconds."""
        now = time.monotonic()
        if now - self._reminded.get(key, -math.inf) >= self.REMIND_PERIOD:
            self._reminded[key] = now
            self._port.log(level, text)

    def _of_inputs(self, config: Config, state: str) -> Status:
        connections = self._port.input_status()
        values: dict[str, Any] = {"state": state}
        for source in Input:
            values[f"{source.topic} rate [Hz]"] = f"{self._inputs.rate(source):.1f}"
            values[f"{source.topic} messages"] = self._inputs.count(source)
            if source in connections:
                values[f"{source.topic} publishers"] = connections[source].publishers
                if connections[source].incompatible_qos:
                    values[f"{source.topic} incompatible QoS"] = connections[source].incompatible_qos
        if state != "active":
            return OK, "proxy3d: inputs", state, values
        silent = self.silent(config.input.silent_after, config)
        for source, text in silent.items():
            self.remind(f"silent {source.topic}", "warning", text)
        notes = self._assembler.notes()
        message = "; ".join([*silent.values(), *notes]) or "all inputs arrive"
        if self._needed & silent.keys():
            return ERROR, "proxy3d: inputs", message, values
        return (WARN if silent or notes else OK), "proxy3d: inputs", message, values

    def _of_frames(self) -> Status:
        snapshot, drops = self._scene.snapshot(), Counter(self._assembler.drops)
        now = time.monotonic()
        period, self._reported = max(now - self._reported, 1e-3), now
        values: dict[str, Any] = {
            "frames in map": snapshot.frames,
            "frames per second": f"{max(0, snapshot.frames - self._frames_before) / period:.1f}",
            "frames waiting": self._assembler.waiting,
            "TF failures": drops["no_transform"] + drops["bad_transform"],
            "clock jumps": self._assembler.jumps,
        }
        for reason, count in sorted(drops.items()):
            values[f"dropped: {reason}"] = count
            values[f"last {reason}"] = self._assembler.last_drop.get(reason, "")
        grown = drops - self._drops_before
        self._frames_before, self._drops_before = snapshot.frames, drops
        texts = []
        for reason in sorted(grown.keys() - NORMAL_DROPS):
            texts.append(f"{grown[reason]} x {reason}: {self._assembler.last_drop.get(reason, '')}")
            self.remind(f"drop {reason}", "warning", f"Dropped {texts[-1]}")
        if texts:
            return WARN, "proxy3d: frames", "dropped since the last report: " + "; ".join(texts), values
        return OK, "proxy3d: frames", f"{snapshot.frames} frames in the map", values

    def _of_map(self, config: Config) -> Status:
        snapshot, memory = self._scene.snapshot(), memory_mb()
        values = {
            "fixed frame": snapshot.frame_id,
            "map epoch": snapshot.epoch,
            "objects present": len(snapshot.present),
            "objects gone": len(snapshot.objects) - len(snapshot.present),
            "objects limit": config.map.max_objects,
            "proxies": len(snapshot.proxies),
            "proxies limit": config.proxies.budget,
            "encoder": self._scene.encoder_name,
            "voxels": self._scene.voxel_count,
            "voxels limit": config.map.max_voxels,
            "memory [MB]": "unknown" if memory is None else f"{memory:.0f}",
        }
        warning = "; ".join(text for text in (self._fixed.warning, self._scene.warning) if text)
        return (WARN if warning else OK), "proxy3d: map", warning or f"{len(snapshot.present)} objects", values

    def _of_depth_model(self, source: DepthSource) -> Status:
        values = source.report()
        percent = 100 * source.uncertainty
        if not values["checked"]:
            text = f"lengths are uncertain by {percent:.0f} %: no depth sensor has checked the model's scale"
        elif percent > _GOOD_SCALE:
            text = f"lengths are uncertain by {percent:.0f} %: the sensor's depth is {values['sensor_ratio']} times "
            text += "what the model says; set perception.depth_scale to 0 or to this number"
        else:
            return OK, "proxy3d: depth model", f"scale agrees with the sensor to {percent:.0f} %", values
        return WARN, "proxy3d: depth model", text, values

    def _of_vlm(self, config: Config) -> Status:
        values = {"model": config.answer.vlm}
        if self._answering.trouble:
            level = WARN if config.answer.answerer == "vlm" else OK  # the others do without
            return level, "proxy3d: vision-language model", self._answering.trouble, values
        text = "ready" if self._answering.ready else "not loaded yet"
        return OK, "proxy3d: vision-language model", text, values

    def _times(self) -> dict[str, str]:
        summaries = {} if self._depth_source is None else self._depth_source.times.summary()
        return {
            f"{stage} {name} [ms]": f"{ms:.2f}"
            for stage, summary in (summaries | self._scene.times.summary()).items()
            for name, ms in summary.items()
        }


def memory_mb() -> float | None:
    """Memory of this process (resident set), MB; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

"""What the node says about its own health: input rates, silent topics, drops by reason, times, sizes."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy3d_ros.port import Input, InputStatus

OK, WARN, ERROR = 0, 1, 2  # diagnostic_msgs/msg/DiagnosticStatus

NORMAL_DROPS = frozenset({"superseded", "no_depth", "repeated_stamp", "clock_jump"})
"""Drops that happen to a healthy node."""

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

    def silent(self, limit: float, semantics: str, status: Mapping[Input, InputStatus]) -> dict[Input, str]:
        """The inputs that should speak and do not, each with what is known about it.

        Args:
            limit: seconds without a message that count as silent.
            semantics: setting ``input.semantics``.
            status: how the inputs are connected.
        """
        out = {}
        for source in Input:
            needed = source in (Input.RGB, Input.DEPTH, Input.CAMERA_INFO) or (
                source is Input.LABELS and semantics == "labels"
            )
            needed |= source is Input.DETECTIONS and semantics == "detections"
            latched = source in (Input.CAMERA_INFO, Input.LABEL_INFO)
            seen, quiet = self.count(source) > 0, self.silence(source)
            if quiet < limit or (seen and latched) or not (needed or (seen and semantics == "auto")):
                continue
            connection = status.get(source, InputStatus(source.topic, 0))
            out[source] = _silence_text(connection, quiet, self.last_stamp_ns(source))
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


def drops_since(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """How much each counter grew, growing ones only."""
    return {k: n - before.get(k, 0) for k, n in now.items() if n > before.get(k, 0)}


def memory_mb() -> float | None:
    """Memory of this process (resident set), MB; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

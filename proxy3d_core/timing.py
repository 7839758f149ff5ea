"""How long the stages of the pipeline take, as p50 and p95 over the latest runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class StageTimes:
    """Durations of named stages; the newest ``window`` of each are kept."""

    def __init__(self, window: int = 1000) -> None:
        self._window = window
        self._stages: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time a ``with`` block."""
        start = time.perf_counter()
        yield
        self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Record one duration."""
        self._stages.setdefault(stage, deque(maxlen=self._window)).append(seconds * 1e3)

    def summary(self) -> dict[str, dict[str, float]]:
        """``{stage: {"p50": ms, "p95": ms}}`` in the order in which stages first ran."""
        out = {}
        for stage, values in list(self._stages.items()):
            p50, p95 = np.percentile(list(values), [50, 95])
            out[stage] = {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}
        return out

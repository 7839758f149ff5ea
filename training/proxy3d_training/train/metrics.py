"""What a run says while it goes: JSON lines, TensorBoard, and how long it will still take."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import deque
from pathlib import Path
from typing import Any

import torch

from proxy3d_core.errors import MissingExtra

_RECENT = 50  # steps that the pace is taken from


class Metrics:
    """``metrics.jsonl``, a line for each step and each validation, and the same for TensorBoard."""

    def __init__(self, folder: Path, done: int) -> None:
        """Continue after ``done`` steps: what a killed run has written beyond them is removed.

        Raises:
            MissingExtra: tensorboard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("logs need tensorboard: pip install 'proxy3d-training[train]'") from None
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        kept = [line for line in read_metrics(self.path) if line["step"] <= done] if done else []
        part = self.path.with_name(".metrics.part")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        part.replace(self.path)
        self._board = SummaryWriter(folder / "tensorboard", purge_step=done + 1)

    def add(self, step: int, **values: Any) -> None:
        """A line; numbers also go to TensorBoard."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step} | values) + "\n")
        for name, value in values.items():
            if isinstance(value, (int, float)):
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """All is written."""
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``; none if it is not there. The last line of a killed run may be torn."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


class Pace:
    """How long steps take, and what is done between them."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=_RECENT)
        self._between: dict[str, tuple[int, float]] = {}

    def step(self, seconds: float) -> None:
        """A step took so long."""
        self._steps.append(seconds)

    def between(self, what: str, seconds: float) -> None:
        """Something between steps, such as validation, took so long."""
        count, total = self._between.get(what, (0, 0.0))
        self._between[what] = count + 1, total + seconds

    def remaining(self, steps: int, to_come: dict[str, float]) -> float:
        """Seconds for so many steps, and so many times what comes between them."""
        if not self._steps:
            return 0.0
        each = {what: total / count for what, (count, total) in self._between.items()}
        return steps * sum(self._steps) / len(self._steps) + sum(n * each.get(w, 0.0) for w, n in to_come.items())


def peak_memory() -> dict[str, float]:
    """MB: ``memory_mb`` of this process, and ``gpu_memory_mb`` where there is one."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes on Linux
    found = {"memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}
    if torch.cuda.is_available():
        found["gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return found


def duration(seconds: float) -> str:
    """``2 h 05 min``, ``3 min 20 s``, ``12 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

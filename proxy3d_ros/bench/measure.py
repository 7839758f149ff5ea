"""What all benchmarks need: the machine, its memory, percentiles, sequences to measure on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

Figures = dict[str, Any]
"""What was measured, by name."""


def default_sequences() -> list[Path]:
    """The demo's sequence and, where the recorded test data is, redkitchen."""
    checkout = Path(__file__).resolve().parent.parent.parent
    data = Path(os.environ.get("PROXY3D_TEST_DATA") or checkout.parent / "shared" / "data")
    places = (Path(__file__).resolve().parent.parent / "demo" / "room", data / "redkitchen")
    return [place for place in places if place.exists()]


def percentiles(seconds: list[float]) -> Figures:
    """Median, 95th percentile and least in milliseconds, and how many."""
    p50, p95, least = (round(float(x), 3) for x in np.percentile(np.asarray(seconds) * 1e3, [50, 95, 0]))
    return {"p50_ms": p50, "p95_ms": p95, "min_ms": least, "n": len(seconds)}


def machine() -> dict[str, Any]:
    """What this was measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def memory_mib(pid: int | str = "self") -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

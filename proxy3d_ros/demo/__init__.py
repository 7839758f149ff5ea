"""The demo (``python -m proxy3d_ros.demo``): a recorded room is played to the live node, which then answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy3d_core.geometry.boxes import OrientedBox

ROOM = Path(__file__).parent / "room"
"""The recorded room: a sequence in 7-Scenes layout (from ``proxy3d_training.simulation``) and its ``truth.json``."""


def load_truth(folder: Path = ROOM) -> dict[str, Any]:
    """What is true of the recorded room, in metres, radians and seconds.

    ``room``: width, depth, height, area; ``objects``: label, center, size, yaw, first_seen and, of one, moved.
    """
    return json.loads((folder / "truth.json").read_text())


def true_box(entry: dict[str, Any]) -> OrientedBox:
    """The box of an entry with ``center``, ``size`` (metres) and ``yaw`` (radians)."""
    return OrientedBox.from_yaw(entry["center"], entry["size"], entry["yaw"])

"""The demo (``python -m proxy3d_ros.demo``): a recorded room is played to the live node, which then answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy3d_core.geometry.boxes import OrientedBox

ROOM = Path(__file__).parent / "home"
"""The recorded room: colour, depth and poses in 7-Scenes layout, and its ``truth.json``.

Made by ``proxy3d simulate --rooms 1 --seed 335 --flats 0 --changes --frames 150``, a seed that no model was trained on;
label and instance images were left out.
"""


def load_truth(folder: Path = ROOM) -> dict[str, Any]:
    """What is true of the recorded room, as the simulator writes it, in metres, radians and seconds.

    ``rooms``: area; ``objects``: id, label, box, support, first_seen; ``changes``: kind, object, before, after.
    """
    return json.loads((folder / "truth.json").read_text())


def true_box(entry: dict[str, Any]) -> OrientedBox:
    """The box of an entry of ``objects``."""
    box = entry["box"]
    return OrientedBox.from_yaw(box["center"], box["size"], box["yaw"])

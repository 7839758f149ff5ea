"""The room of the node's tests, two chairs and a table, and a way through it."""

from __future__ import annotations

import numpy as np
from rooms import K, Room, Thing, look

from proxy3d_core.frame import Frame

CAMERA = K
ROOM = Room(
    [
        Thing("chair", (1.0, 1.2, 0.45), (0.5, 0.5, 0.9), color=(200, 40, 40)),
        Thing("chair", (1.0, -1.2, 0.45), (0.5, 0.5, 0.9), color=(200, 40, 40)),
        Thing("table", (2.2, 0.0, 0.375), (0.8, 1.4, 0.75), color=(120, 80, 40)),
    ]
)
NAMES = ROOM.names
CHAIR = next(i for i, name in NAMES.items() if name == "chair")


def render(pose: np.ndarray) -> Frame:
    """What the camera sees from there: exact depth, class ids, colours."""
    return ROOM.render(pose, 0.0)


def tour(count: int) -> list[np.ndarray]:
    """Camera poses on a line in front of the furniture."""
    return [look((-1.5, y, 1.5), (1.6, 0.3 * y, 0.3)) for y in np.linspace(-1.5, 1.5, count)]

"""A room whose every answer follows by hand: 6 x 5 m, floor at z = 0, the robot in the origin facing +x."""

from __future__ import annotations

import numpy as np

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import FloorPlan, ObjectState, SceneObject, Snapshot

S = 1_000_000_000


def thing(number, label, center, size, seen=(1, 40), color=None, state=ObjectState.PRESENT, before=()):
    return SceneObject(
        id=number,
        label=label,
        score=1.0,
        box=OrientedBox.from_yaw(center, size),
        color=color,
        state=state,
        first_seen_ns=seen[0] * S,
        last_seen_ns=seen[1] * S,
        observations=30,
        previous_boxes=tuple(OrientedBox.from_yaw(c, size) for c in before),
    )


def room(**changes) -> Snapshot:
    free = np.ones((60, 50), bool)
    free[31:59, 15:35] = False  # around the table
    fields = {
        "stamp_ns": 50 * S,
        "objects": (
            thing(1, "chair", (2.0, 0.9, 0.45), (0.5, 0.5, 0.9), seen=(3, 40)),
            thing(2, "chair", (2.0, -0.9, 0.45), (0.5, 0.5, 0.9), seen=(4, 40), color=(180, 30, 30)),
            thing(3, "diningtable", (2.0, 0.0, 0.375), (1.6, 0.8, 0.75), seen=(2, 40), color=(110, 72, 45)),
            thing(4, "sofa", (-2.0, 0.0, 0.4), (0.9, 2.0, 0.8), seen=(6, 40)),
            thing(5, "tvmonitor", (2.9, 2.0, 1.2), (0.1, 1.2, 0.7), seen=(5, 40)),
            thing(
                6,
                "lamp",
                (-2.0, 1.5, 0.8),
                (0.3, 0.3, 1.6),
                seen=(7, 40),
                state=ObjectState.MOVED,
                before=[(-2.0, -1.5, 0.8)],
            ),
            thing(7, "mug", (1.8, 0.1, 0.8), (0.1, 0.1, 0.1), seen=(8, 45)),
            thing(8, "door", (0.0, 2.45, 1.0), (0.9, 0.1, 2.0), seen=(1, 40)),
            thing(9, "backpack", (-1.0, -2.0, 0.25), (0.3, 0.4, 0.5), seen=(2, 20), state=ObjectState.GONE),
            thing(10, "pottedplant", (2.7, -2.2, 0.5), (0.4, 0.4, 1.0), seen=(30, 40)),
        ),
        "floor": FloorPlan(0.0, 30.0, 0.1, np.array([-3.0, -2.5]), free, np.ones((60, 50), bool)),
        "robot_pose": np.eye(4),
        "frames": 100,
    }
    return Snapshot(**{**fields, **changes})

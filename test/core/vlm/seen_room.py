"""A room of four things and what can be asked about it, by hand: 6 x 5 m, floor at z = 0, the robot looks along +x."""

from __future__ import annotations

from typing import Any

import numpy as np

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.proxies.references import References
from proxy3d_core.scene.snapshot import FLOOR, FloorPlan, ProxySet, SceneObject, Snapshot

BOXES = {
    11: ("desk", (1.0, 0.6, 0.4), (1.2, 0.6, 0.8), 0.9),
    12: ("window", (3.0, 0.2, 1.5), (0.1, 1.0, 1.0), 0.8),
    13: ("chair", (-1.0, 0.5, 0.45), (0.5, 0.5, 0.9), 0.7),
    14: ("chair", (-1.0, -1.5, 0.45), (0.5, 0.5, 0.9), 0.6),
}
"""Label, centre, size and score by id."""

REFERENCES = References({0: 11, 1: 12, 2: 13, 3: 14})
"""The more certain an object, the lower its marker."""


def room(channels: int = 4, **changes: Any) -> Snapshot:
    """The room, with two proxies on each thing and four on the floor."""
    objects = tuple(
        SceneObject(i, label, score, OrientedBox.from_yaw(center, size))
        for i, (label, center, size, score) in BOXES.items()
    )
    places = [(*o.box.center[:2], o.box.center[2] + up) for o in objects for up in (0.0, 0.1)]
    places += [(x, y, 0.0) for x in (-2, 2) for y in (-2, 2)]
    features = np.random.default_rng(2).normal(size=(len(places), channels)).astype(np.float32)
    ones = np.ones(len(places), np.float32)
    groups = np.array([*np.repeat([o.id for o in objects], 2), *[FLOOR] * 4])
    known = {
        "stamp_ns": 1,
        "objects": objects,
        "proxies": ProxySet(np.array(places, np.float32), features, ones, ones, groups),
        "floor": FloorPlan(height=0.0),
        "robot_pose": np.eye(4),
        "frames": 9,
    }
    return Snapshot(**{**known, **changes})

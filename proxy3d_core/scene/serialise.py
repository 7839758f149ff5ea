"""Objects as JSON, for saved maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import ObjectState
from proxy3d_core.scene.tracking import Track

_PLAIN = (
    "id",
    "label",
    "score",
    "votes",
    "first_seen_ns",
    "last_seen_ns",
    "observations",
    "named_by",
    "voxels",
    "carved",
)


def track_to_json(track: Track) -> dict[str, Any]:
    """A track as plain numbers, strings and lists."""
    return {
        **{k: getattr(track, k) for k in _PLAIN},
        "box": _box_to_json(track.box),
        "previous_boxes": [_box_to_json(b) for b in track.previous_boxes],
        "state": track.state.value,
        "color": None if track.color is None else list(track.color),
    }


def track_from_json(data: dict[str, Any]) -> Track:
    """The track that ``track_to_json`` made; raises KeyError, ValueError or BadInput on anything else."""
    return Track(
        **{k: data[k] for k in _PLAIN},
        box=_box_from_json(data["box"]),
        previous_boxes=tuple(_box_from_json(b) for b in data["previous_boxes"]),
        state=ObjectState(data["state"]),
        color=None if data["color"] is None else (data["color"][0], data["color"][1], data["color"][2]),
    )


def _box_to_json(box: OrientedBox) -> dict[str, Any]:
    return {"center": box.center.tolist(), "size": box.size.tolist(), "rotation": box.rotation.reshape(-1).tolist()}


def _box_from_json(data: dict[str, Any]) -> OrientedBox:
    return OrientedBox(np.array(data["center"]), np.array(data["size"]), np.array(data["rotation"]))

"""Snapshots from annotated boxes, so that benchmark rooms and live maps are answered by the same code.

Two file formats are read, both JSON, told apart by content:

* **VSI-Bench meta files** (``thinking-in-space/data/meta_info``): scene name -> ``room_size`` (m^2), ``object_bbox``
{class: [{``centroid``,
  ``axesLengths``, ``normalizedAxes`` (9 numbers, rows are the box axes)}]}; z up, metres.
* **our own**, one scene or ``{"scenes": [scene, ...]}``, a scene being::

      {"name": "kitchen", "up": [0, 0, 1], "room_size": 14.2, "floor": 0.0, "vocabulary": ["chair", "table", "cat"],
       "objects": [{"label": "chair", "center": [1.0, 2.0, 0.45], "size": [0.5, 0.5, 0.9], "axes": [[1, 0, 0], [0, 1,
       0], [0, 0, 1]],
                    "id": 7, "score": 1.0, "color": [120, 80, 40], "first_seen": 3.2, "last_seen": 9.0}]}

  Metres and seconds; ``axes`` rows are the directions of the three edges in ``size``. Only ``label``, ``center`` and
  ``size`` are needed;
  ``up`` is the world's up direction (the snapshot is turned so that it is z), ``floor`` the floor's height along it,
  ``vocabulary`` the
  classes that the annotation covers (a class in it without an object is known to be absent), ``complete`` false if the
  room holds other
  things as well (true if not given).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import rotation_between
from proxy3d_core.scene.snapshot import FloorPlan, SceneObject, Snapshot


@dataclass(frozen=True, eq=False)
class AnnotatedScene:
    """A scene from a file.

    Attributes:
        name: of the scene.
        snapshot: its objects, z up.
        rotation: (3, 3) ``snapshot_from_file``: directions and positions of the file's frame, such as viewpoints, must
            be turned by it.
    """

    name: str
    snapshot: Snapshot
    rotation: NDArray[np.float64]


def read_scenes(path: str | Path) -> dict[str, AnnotatedScene]:
    """All scenes of a file, by name.

    Raises:
        BadInput: not readable, not JSON, or not in one of the two formats; the message names the scene and the field.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read the scenes {path}: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from None
    if (
        isinstance(document, dict)
        and document
        and all(isinstance(v, dict) and "object_bbox" in v for v in document.values())
    ):
        return _vsi_scenes(document)
    if isinstance(document, dict):
        scenes = document.get("scenes", [document] if "objects" in document else None)
        if isinstance(scenes, list):
            read = [
                scene_from_dict(s, f"{path.stem}_{i}" if len(scenes) > 1 else path.stem) for i, s in enumerate(scenes)
            ]
            return {scene.name: scene for scene in read}
    raise BadInput(
        f"{path} holds no annotated scenes: expected a VSI-Bench meta file, "
        'or {"objects": [...]}, or {"scenes": [...]}'
    )


def scene_from_dict(scene: Mapping[str, Any], name: str = "scene") -> AnnotatedScene:
    """One scene in our own format (see the module's text).

    Raises:
        BadInput: a field is missing or wrong.
    """
    if not isinstance(scene, Mapping) or not isinstance(scene.get("objects"), list):
        raise BadInput(f"scene {name}: a list 'objects' is missing")
    name = str(scene.get("name", name))
    up = _numbers(scene.get("up", (0, 0, 1)), 3, f"scene {name}: up")
    if np.linalg.norm(up) < 1e-6:
        raise BadInput(f"scene {name}: up has no length")
    rotation = rotation_between(up, (0, 0, 1))
    objects = tuple(_object(o, i, rotation, f"scene {name}, object {i}") for i, o in enumerate(scene["objects"]))
    if len({o.id for o in objects}) != len(objects):
        raise BadInput(f"scene {name}: two objects have the same id")
    area, floor = scene.get("room_size"), scene.get("floor")
    return AnnotatedScene(
        name,
        Snapshot(
            stamp_ns=max((o.last_seen_ns for o in objects), default=0),
            frame_id=name,
            objects=objects,
            floor=FloorPlan(
                height=None if floor is None else float(_numbers(floor, 1, f"scene {name}: floor")[0]),
                area=None if area is None else float(_numbers(area, 1, f"scene {name}: room_size")[0]),
            ),
            vocabulary=frozenset(str(v).lower() for v in scene.get("vocabulary", ())),
            complete=bool(scene.get("complete", True)),
        ),
        rotation,
    )


def _object(annotation: Any, index: int, rotation: NDArray[np.float64], what: str) -> SceneObject:
    if not isinstance(annotation, Mapping) or "label" not in annotation:
        raise BadInput(f"{what}: a 'label' is missing")
    box = _box(annotation.get("center"), annotation.get("size"), annotation.get("axes", np.eye(3)), what)
    color = annotation.get("color")
    first, last = (
        round(float(_numbers(annotation.get(k, 0), 1, f"{what}: {k}")[0]) * 1e9) for k in ("first_seen", "last_seen")
    )
    red, green, blue = (0.0, 0.0, 0.0) if color is None else _numbers(color, 3, f"{what}: color").tolist()
    return SceneObject(
        id=int(annotation.get("id", index + 1)),
        label=str(annotation["label"]).strip().lower(),
        score=float(annotation.get("score", 1.0)),
        box=OrientedBox(rotation @ box.center, box.size, rotation @ box.rotation),
        color=None if color is None else (red, green, blue),
        first_seen_ns=first,
        last_seen_ns=max(first, last),
    )


def _vsi_scenes(document: Mapping[str, Any]) -> dict[str, AnnotatedScene]:
    """Scenes of a VSI-Bench meta file. Its annotation covers the classes that occur anywhere in the file."""
    vocabulary = sorted({label for scene in document.values() for label in scene["object_bbox"]})
    return {
        name: scene_from_dict(
            {
                "room_size": scene.get("room_size"),
                "vocabulary": vocabulary,
                "complete": False,
                "objects": [
                    {
                        "label": label,
                        "center": box.get("centroid"),
                        "size": box.get("axesLengths"),
                        "axes": box.get("normalizedAxes"),
                    }
                    for label, boxes in scene["object_bbox"].items()
                    for box in boxes
                ],
            },
            name,
        )
        for name, scene in document.items()
    }


def _box(center: Any, size: Any, axes: Any, what: str) -> OrientedBox:
    rows = _numbers(axes, 9, f"{what}: axes").reshape(3, 3)
    lengths = np.linalg.norm(rows, axis=1)
    if (lengths < 1e-6).any():
        raise BadInput(f"{what}: an axis has no length")
    # Annotations round their axes; the nearest rotation (orthogonal Procrustes) is meant.
    # A mirrored triple describes the same box.
    u, _, vt = np.linalg.svd((rows / lengths[:, None]).T)
    rotation = u @ vt
    if np.linalg.det(rotation) < 0:
        rotation[:, 2] *= -1
    edges = _numbers(size, 3, f"{what}: size")
    if (edges < 0).any():
        raise BadInput(f"{what}: size has a negative edge: {edges.tolist()}")
    return OrientedBox(_numbers(center, 3, f"{what}: center"), edges, rotation)


def _numbers(value: ArrayLike | None, count: int, what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.size != count or not np.isfinite(numbers).all():
        raise BadInput(f"{what} must be {count} finite number{'s' if count > 1 else ''}, not {value!r}")
    return numbers

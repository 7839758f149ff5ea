"""Object ids as the models see them: segments proposed for a scan, and which of them is which annotated object.

Of an annotated object the proposal with the largest IoU of axis-aligned boxes counts; a training sample is kept only
where that is at least 0.75 (Chat-Scene's preparation, inherited by Proxy3D).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_training.data.schema import MARKERS, Box, Thing

Array = NDArray[np.float64]

LEAST_IOU = 0.75
"""A proposal is an object from this IoU on."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Axis-aligned boxes of the objects of one scan: ids (N,), labels (N,), centres and sizes (N, 6)."""

    ids: tuple[int, ...]
    labels: tuple[str, ...]
    boxes: Array

    def row(self, number: int) -> int:
        """The row of an object.

        Raises:
            ValueError: there is none.
        """
        if number not in self.ids:
            raise ValueError(f"there is no object {number} among the {len(self.ids)} of its scene")
        return self.ids.index(number)

    def thing(self, row: int, marker: int | None) -> Thing:
        """As an object of a sample."""
        x, y, z, *size = (float(v) for v in self.boxes[row])
        box = Box(center=(x, y, z), size=(size[0], size[1], size[2]))
        return Thing(id=self.ids[row], marker=marker, label=self.labels[row].lower(), box=box)


def read_boxes(path: Path) -> dict[str, Boxes]:
    """Boxes by scan.

    Two layouts: Chat-Scene's attribute files (``scannet_train_attributes.pt``, ``scannet_mask3d_val_attributes.pt``):
    ``{scan: {"objects": [label], "locs": (N, 6) centre and size}}``, as ``.pt`` (read without executing anything) or as
    JSON with lists; and our own annotated scenes (``proxy3d data convert scannet``), whose oriented boxes are taken in
    their axis-aligned hull.

    Raises:
        BadInput: it is in neither layout.
    """
    document = _load(path)
    if isinstance(document, Mapping) and isinstance(document.get("scenes"), list):
        return {str(scene["name"]): _annotated(scene) for scene in document["scenes"]}
    if not isinstance(document, Mapping) or not document:
        raise BadInput(f"{path} holds no boxes by scan")
    try:
        return {str(name): _attributes(entry) for name, entry in document.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is not a file of boxes by scan (objects, locs): {error!r}") from error


def _load(path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"there is no file {path}")
    if path.suffix in (".pt", ".pth"):
        import torch

        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise BadInput(f"cannot read {path}: {error}") from error
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error


def _attributes(entry: Mapping[str, Any]) -> Boxes:
    boxes = np.asarray(entry["locs"], dtype=np.float64)
    labels = tuple(str(label) for label in entry["objects"])
    if boxes.ndim != 2 or boxes.shape[1] != 6:
        raise ValueError(f"locs has shape {boxes.shape}, expected (N, 6)")
    labels = (*labels, *([""] * len(boxes)))[: len(boxes)]
    return Boxes(tuple(range(len(boxes))), labels, boxes)


def _annotated(scene: Mapping[str, Any]) -> Boxes:
    ids, labels, boxes = [], [], []
    for number, entry in enumerate(scene["objects"]):
        axes = np.array(entry.get("axes", np.eye(3)), dtype=np.float64)
        ids.append(int(entry.get("id", number)))
        labels.append(str(entry["label"]))
        boxes.append([*entry["center"], *(np.abs(axes).T @ np.array(entry["size"]))])
    return Boxes(tuple(ids), tuple(labels), np.array(boxes, dtype=np.float64).reshape(-1, 6))


def overlaps(a: Array, b: Array) -> Array:
    """(N, M) IoU of axis-aligned boxes (N, 6) and (M, 6), each centre and size."""
    low = np.maximum((a[:, :3] - a[:, 3:] / 2)[:, None], (b[:, :3] - b[:, 3:] / 2)[None])
    high = np.minimum((a[:, :3] + a[:, 3:] / 2)[:, None], (b[:, :3] + b[:, 3:] / 2)[None])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    total = np.prod(a[:, 3:], axis=1)[:, None] + np.prod(b[:, 3:], axis=1)[None] - shared
    return np.asarray(shared / np.maximum(total, 1e-12))


@dataclass(frozen=True, eq=False)
class Matcher:
    """Annotated objects and proposals of all scans; without proposals the objects themselves are the proposals."""

    objects: Mapping[str, Boxes]
    proposals: Mapping[str, Boxes] | None = None
    least: float = LEAST_IOU

    def match(self, scan: str, ids: Sequence[int]) -> list[Thing] | None:
        """The proposals of these objects, in their order, ``id`` and ``marker`` being the proposal's.

        Returns:
            None where the scan is not known, one has no proposal of enough overlap or beyond the markers, or two have
            the same.

        Raises:
            ValueError: the scan has no such object.
        """
        if scan not in self.objects or (self.proposals is not None and scan not in self.proposals):
            return None
        annotated = self.objects[scan]
        proposed = annotated if self.proposals is None else self.proposals[scan]
        rows = [annotated.row(number) for number in ids]
        if not rows:
            return []
        shared = overlaps(annotated.boxes[rows], proposed.boxes)
        best = shared.argmax(axis=1)
        if len(set(best.tolist())) < len(rows) or shared.max(axis=1).min() < self.least or best.max() >= MARKERS:
            return None
        things = []
        for row, found in zip(rows, best.tolist(), strict=True):
            thing = proposed.thing(found, found)
            things.append(thing.model_copy(update={"label": annotated.labels[row].lower()}))
        return things

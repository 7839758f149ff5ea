"""Benchmarks whose answers are boxes (ScanRefer, Multi3DRefer, Locate 3D), and captions of boxes (Scan2Cap).

True boxes come from the row itself, or by object id from the annotated scenes. A predicted box is one of

* ``{"center": [x, y, z], "size": [x, y, z]}`` or ``{"min": [x, y, z], "max": [x, y, z]}``, axis-aligned, metres;
* eight corners, or ``[[xmin, ymin, zmin], [xmax, ymax, zmax]]``;
* a text that names objects of the annotated scene as ``<OBJ012>`` (the 12th object, counted from 0).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.reasoning.answer import Answer, Question
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training.evaluation import captions as caption_metrics
from proxy3d_training.evaluation import scorers
from proxy3d_training.evaluation.baselines import most_common
from proxy3d_training.evaluation.items import Item, Prediction, Row, make_items, read_rows
from proxy3d_training.evaluation.scorers import Bounds, Result


def box_bounds(box: OrientedBox) -> Bounds:
    """The axis-aligned bounds (2, 3) of an oriented box."""
    return np.stack([box.corners.min(axis=0), box.corners.max(axis=0)])


def read_bounds(value: Any) -> Bounds:
    """Bounds (2, 3) from one of the forms that the module's docstring lists.

    Raises:
        ValueError: none of these forms, or a side is negative or not finite.
    """
    if isinstance(value, Mapping):
        if "center" in value and "size" in value:
            found = scorers.bounds(value["center"], value["size"])
        elif "min" in value and "max" in value:
            found = np.array([value["min"], value["max"]], dtype=np.float64)
        else:
            raise ValueError("a box needs center and size, or min and max")
    else:
        corners = np.asarray(value, dtype=np.float64)
        if corners.shape not in ((2, 3), (8, 3)):
            raise ValueError(f"a box has shape {corners.shape}, expected two or eight corners")
        found = np.stack([corners.min(axis=0), corners.max(axis=0)])
    if found.shape != (2, 3) or not np.isfinite(found).all() or (found[1] < found[0]).any():
        raise ValueError("a box has sides that are negative or not finite")
    return found


def predicted_bounds(value: Any, item: Item, scene: Snapshot | None) -> list[Bounds]:
    """The boxes of a prediction, none, one or several, in order.

    Raises:
        BadInput: it cannot be read, or names objects of a scene that was not given.
    """
    if isinstance(value, Mapping):
        value = next((value[k] for k in ("boxes", "aabb", "aabb_bound", "box") if k in value), value)
    if value is None or (isinstance(value, list) and not value):
        return []
    if isinstance(value, str):
        if scene is None:
            raise BadInput(f"the prediction for {item.id} names objects, but scene {item.scene} is not among --scenes")
        return [box_bounds(scene.objects[i].box) for i in scorers.object_ids(value, len(scene.objects))]
    try:
        several = isinstance(value, list) and (isinstance(value[0], Mapping) or np.ndim(value) == 3)
        return [read_bounds(v) for v in value] if several else [read_bounds(value)]
    except (ValueError, TypeError, IndexError) as error:
        raise BadInput(f"the prediction for {item.id} is not a box: {error}") from error


def _true_bounds(row: Row, ids: Sequence[Any], scenes: Mapping[str, Snapshot]) -> list[Bounds]:
    for key in ("boxes", "aabb_bound", "box", "aabb"):
        if key in row:
            value = row[key]
            return [read_bounds(v) for v in value] if np.ndim(value) == 3 or key == "boxes" else [read_bounds(value)]
    if not ids:
        return []
    scene = scenes.get(row["scene_id"])
    if scene is None:
        raise ValueError(f"no box in the row, and scene {row['scene_id']} is not among --scenes")
    missing = [i for i in ids if int(i) not in scene.by_id]
    if missing:
        raise ValueError(f"scene {row['scene_id']} has no object {missing[0]}")
    return [box_bounds(scene.by_id[int(i)].box) for i in ids]


class _Boxes:
    """What the three have in common: predictions are lists of bounds, the answerer is told the description."""

    def from_answer(self, answer: Answer, item: Item, scene: Snapshot) -> Prediction:
        return [box_bounds(scene.by_id[i].box) for i in answer.object_ids[:1] if i in scene.by_id]

    def from_file(self, value: Any, item: Item, scene: Snapshot | None) -> Prediction:
        return predicted_bounds(value, item, scene)

    def nothing(self) -> Prediction:
        return []

    def baselines(
        self, items: Sequence[Item], pool: Sequence[Item], scenes: Mapping[str, Snapshot]
    ) -> dict[str, list[Prediction]]:
        """``constant``: the scene's first object; ``nothing``: no box (which pays where there are no targets)."""

        def first(item: Item) -> list[Bounds]:
            objects = scenes[item.scene].objects if item.scene in scenes else ()
            return [box_bounds(o.box) for o in objects[:1]]

        return {"constant": [first(item) for item in items], "nothing": [[] for _ in items]}


class ScanRefer(_Boxes):
    """ScanRefer: rows with scene_id, object_id, ann_id, description, object_name; ``eval_type`` or a label map."""

    name = "scanrefer"

    def __init__(self, label_map: Path | None = None) -> None:
        self._classes = read_label_map(label_map) if label_map else None

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        rows = _with_answers(read_rows(questions), answers)
        unique = None
        if self._classes is not None:
            described = [(r["scene_id"], int(r["object_id"]), r["object_name"]) for r in rows]
            unique = scorers.scanrefer_unique(described, self._classes, _OTHERS)

        def make(row: Row, i: int) -> Item:
            name = f"{row['scene_id']}|{row['object_id']}|{row['ann_id']}"
            task = row.get("eval_type", "")
            if unique is not None:
                task = "unique" if unique[row["scene_id"], int(row["object_id"])] else "multiple"
            truth = _true_bounds(row, [row["object_id"]], scenes)[0]
            return Item(name, row["scene_id"], Question(row["description"]), truth, task, row)

        return make_items(rows, questions, make)

    def from_file(self, value: Any, item: Item, scene: Snapshot | None) -> Prediction:
        # A text that names no object counts as the first one (Chat-Scene).
        if isinstance(value, str) and scene is not None and scene.objects:
            return [box_bounds(scene.objects[scorers.chat_scene_choice(value, len(scene.objects))].box)]
        return super().from_file(value, item, scene)

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        unique = [item.task == "unique" for item in items] if all(item.task for item in items) else None
        return [
            scorers.scanrefer(
                [iou(p[0], item.truth) if p else 0.0 for p, item in zip(predictions, items, strict=True)], unique, name
            )
            for iou, name in ((scorers.m3dref_iou, "m3dref-clip"), (scorers.aabb_iou, "chat-scene"))
        ]


_SCANREFER_CLASSES = (
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "desk",
    "curtain",
    "refrigerator",
    "shower curtain",
    "toilet",
    "sink",
    "bathtub",
)
_OTHERS = len(_SCANREFER_CLASSES)


def read_label_map(path: Path) -> dict[str, int]:
    """ScanRefer's class by raw name, from ScanNet's ``scannetv2-labels.combined.tsv``.

    Raises:
        BadInput: the file is not that table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        index = {name: i for i, name in enumerate(_SCANREFER_CLASSES)}
        return {row["raw_category"]: index.get(row["nyu40class"], _OTHERS) for row in rows}
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise BadInput(f"{path} is not ScanNet's label table (scannetv2-labels.combined.tsv): {error}") from error


class Multi3DRefer(_Boxes):
    """Multi3DRefer: rows with scene_id, object_ids, ann_id, description, eval_type."""

    name = "multi3drefer"

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        def make(row: Row, i: int) -> Item:
            truth = _true_bounds(row, row["object_ids"], scenes)
            question = Question(row["description"])
            return Item(f"{row['scene_id']}|{row['ann_id']}", row["scene_id"], question, truth, row["eval_type"], row)

        return make_items(_with_answers(read_rows(questions), answers), questions, make)

    def from_answer(self, answer: Answer, item: Item, scene: Snapshot) -> Prediction:
        return [box_bounds(scene.by_id[i].box) for i in answer.object_ids if i in scene.by_id]

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        types = [item.task for item in items]
        variants: tuple[tuple[Callable[[Any, Any], float], bool], ...] = (
            (scorers.m3dref_iou, True),
            (scorers.aabb_iou, False),
        )
        return [
            scorers.multi3drefer(
                [scorers.multi3drefer_f1(p, item.truth, iou) for p, item in zip(predictions, items, strict=True)],
                types,
                single,
            )
            for iou, single in variants
        ]


class Locate3D(_Boxes):
    """Locate 3D: rows with scene_id, object_id, ann_id, description, gt_boxes (target first; [low, high] by axis)."""

    name = "locate3d"

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        def make(row: Row, i: int) -> Item:
            name = f"{row['scene_id']}|{row['object_id']}|{row['ann_id']}"
            truth = read_bounds(np.asarray(row["gt_boxes"][0], dtype=np.float64).T)
            question = Question(row["description"])
            return Item(name, row["scene_id"], question, truth, str(row.get("scene_dataset", "")), row)

        return make_items(_with_answers(read_rows(questions), answers), questions, make)

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        return [scorers.locate3d([p[0] if p else None for p in predictions], [item.truth for item in items])]


class Scan2Cap:
    """Scan2Cap: ScanRefer's rows (scene_id, object_id, object_name, token); a caption is asked for every object once.

    A prediction is a text, or an object with ``prediction`` (or ``caption``) and the box it was given for: ``box``,
    or its ``iou`` with the true one. Without either it was given for the true box.
    """

    name = "scan2cap"

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        rows = read_rows(questions)
        try:
            rows = [{**r, "token": r.get("token") or r["description"].split()} for r in rows]
            corpus = caption_metrics.ll3da_corpus(rows)
        except KeyError as error:
            raise BadInput(f"{questions}: a row has no {error.args[0]!r}; is it ScanRefer's file?") from error
        first = {(r["scene_id"], str(r["object_id"]), r["object_name"]): r for r in reversed(rows)}

        def make(row: Row, i: int) -> Item:
            key = f"{row['scene_id']}|{row['object_id']}|{row['object_name']}"
            try:
                boxes = _true_bounds(row, [row["object_id"]], scenes)
            except ValueError:
                boxes = []
            regions = tuple(OrientedBox(b.mean(axis=0), b[1] - b[0], np.eye(3)) for b in boxes)
            question = Question("Describe Region [0].", regions=regions)
            return Item(key.rpartition("|")[0], row["scene_id"], question, corpus[key], row["object_name"], row)

        return make_items(reversed(list(first.values())), questions, make)

    def from_answer(self, answer: Answer, item: Item, scene: Snapshot) -> Prediction:
        return answer.text, 1.0

    def from_file(self, value: Any, item: Item, scene: Snapshot | None) -> Prediction:
        if isinstance(value, str):
            return value, 1.0
        if not isinstance(value, Mapping):
            raise BadInput(f"the prediction for {item.id} is neither text nor an object")
        text = next((value[k] for k in ("prediction", "pred", "caption") if k in value), None)
        if not isinstance(text, str):
            raise BadInput(f"the prediction for {item.id} has no text in 'prediction' or 'caption'")
        if "iou" in value:
            return text, float(value["iou"])
        boxes = predicted_bounds(value["box"], item, scene) if "box" in value else []
        if boxes and not item.question.regions:
            raise BadInput(f"the prediction for {item.id} has a box, but its true one is not known: give --scenes")
        return text, scorers.aabb_iou(boxes[0], box_bounds(item.question.regions[0])) if boxes else 1.0

    def nothing(self) -> Prediction:
        return "", 0.0

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        corpus = {item.id: item.truth for item in items}
        given = {item.id: p for item, p in zip(items, predictions, strict=True)}
        named = {f"{item.id}|{item.task}": item for item in items}
        boxes = [(key, *given[item.id]) for key, item in named.items()]
        return [
            caption_metrics.scan2cap_chat_scene(given, corpus),
            caption_metrics.scan2cap_ll3da(boxes, {key: item.truth for key, item in named.items()}, 0.5),
        ]

    def baselines(
        self, items: Sequence[Item], pool: Sequence[Item], scenes: Mapping[str, Snapshot]
    ) -> dict[str, list[Prediction]]:
        """``constant``: the most frequent of all references, as if every box were found."""
        text = most_common(c for item in items for c in item.truth).removeprefix("sos ").removesuffix(" eos")
        return {"constant": [(text, 1.0)] * len(items)}


def _with_answers(rows: list[Row], answers: Path | None) -> list[Row]:
    """Rows with the fields that an answers file has for the same scene_id, object_id and ann_id."""
    if answers is None:
        return rows

    def key(row: Row) -> tuple[str, ...]:
        return tuple(str(row.get(k)) for k in ("scene_id", "object_id", "ann_id"))

    more = {key(row): row for row in read_rows(answers)}
    return [{**row, **more.get(key(row), {})} for row in rows]

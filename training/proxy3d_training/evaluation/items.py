"""What a benchmark asks and where it is read from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from proxy3d_core.errors import BadInput
from proxy3d_core.reasoning.answer import Answer, Question
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training.evaluation.scorers import Result

Row = Mapping[str, Any]
Prediction = Any
"""A text, or what the benchmark predicts instead: a box, several boxes, a caption with the IoU of its box."""


@dataclass(frozen=True, eq=False)
class Item:
    """One question of a benchmark.

    Attributes:
        id: as predictions name it.
        scene: name of its scene.
        question: all that an answerer sees.
        truth: what the scorer compares with.
        task: the benchmark's task or type, for scores by task.
        row: the row it was read from.
    """

    id: str
    scene: str
    question: Question
    truth: Any
    task: str
    row: Row = field(default_factory=dict)


class Benchmark(Protocol):
    """How one benchmark is read and scored."""

    name: str

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        """Read the questions. Raises BadInput where a file is not in the benchmark's format."""
        ...

    def from_answer(self, answer: Answer, item: Item, scene: Snapshot) -> Prediction:
        """The prediction that an answer (status OK) makes."""
        ...

    def from_file(self, value: Any, item: Item, scene: Snapshot | None) -> Prediction:
        """The prediction that a row of a predictions file makes. Raises BadInput."""
        ...

    def nothing(self) -> Prediction:
        """The prediction of one who does not answer."""
        ...

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        """The named rules' results; the benchmark's own rule comes first."""
        ...

    def baselines(
        self, items: Sequence[Item], pool: Sequence[Item], scenes: Mapping[str, Snapshot]
    ) -> dict[str, list[Prediction]]:
        """Predictions made without looking, by name; ``pool`` holds all questions of the file, ``items`` among them."""
        ...


def read_json(path: Path) -> Any:
    """A JSON file, or JSON lines.

    Raises:
        BadInput: missing or not JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            if len(lines) > 1:
                return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            pass
        raise BadInput(f"{path} is not JSON: {error}") from error


def read_rows(path: Path, key: str = "") -> list[Row]:
    """The rows of a file: a list, or the list under ``key`` of an object.

    Raises:
        BadInput: no such list.
    """
    data = read_json(path)
    if isinstance(data, Mapping) and key in data:
        data = data[key]
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise BadInput(f"{path} does not hold a list of rows" + (f" (or one under {key!r})" if key else ""))
    if not data:
        raise BadInput(f"{path} holds no rows")
    return data


def make_items(rows: Iterable[Row], path: Path, make: Callable[[Row, int], Item]) -> list[Item]:
    """An item per row.

    Raises:
        BadInput: a row lacks a field, or two have the same id; names the row and the file.
    """
    items: list[Item] = []
    for i, row in enumerate(rows):
        try:
            items.append(make(row, i))
        except KeyError as error:
            raise BadInput(f"{path}: row {i} has no {error.args[0]!r}; is it this benchmark's file?") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"{path}: row {i} is not in the benchmark's format: {error}") from error
    if len({item.id for item in items}) < len(items):
        raise BadInput(f"{path}: two rows have the same id")
    return items


_IDS = ("id", "question_id", "qid")
_VALUES = ("prediction", "pred", "answer_top10", "answer", "response_pred")


def read_predictions(path: Path, items: Sequence[Item]) -> dict[str, Any]:
    """Predictions by item id: an object ``{id: prediction}``, or rows with an id and a prediction.

    A row's id is its ``id``, ``question_id`` or ``qid``, or ``scene_id|object_id|ann_id`` of what it has of these; the
    prediction is its ``prediction``, ``pred``, ``answer_top10`` or ``answer``; the row itself where it has boxes.

    Raises:
        BadInput: not such a file, or a question has no prediction.
    """
    data = read_json(path)
    if isinstance(data, list):
        data = {_row_id(row, path): _row_value(row) for row in data}
    if not isinstance(data, Mapping):
        raise BadInput(f"{path} holds neither an object {{id: prediction}} nor a list of rows")
    missing = [item.id for item in items if item.id not in data]
    if missing:
        raise BadInput(f"{path} has no prediction for {len(missing)} of {len(items)} questions, e.g. {missing[0]!r}")
    return {item.id: data[item.id] for item in items}


def _row_value(row: Row) -> Any:
    if row.keys() & {"box", "boxes", "aabb", "aabb_bound", "iou"}:
        return row
    return next((row[k] for k in _VALUES if k in row), row)


def _row_id(row: Any, path: Path) -> str:
    if not isinstance(row, Mapping):
        raise BadInput(f"{path}: a row of predictions is not an object")
    name = next((row[k] for k in _IDS if k in row), None)
    if name is None:
        parts = [row.get("scene_id"), row.get("object_id", row.get("gt_id")), row.get("ann_id")]
        name = "|".join(str(p) for p in parts if p is not None)
    if name == "":
        raise BadInput(f"{path}: a row of predictions has no id ({', '.join(_IDS)}, or scene_id|object_id|ann_id)")
    return str(name)

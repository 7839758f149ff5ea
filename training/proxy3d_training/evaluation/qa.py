"""Benchmarks whose answers are words or numbers: VSI-Bench, SQA3D, ScanQA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput
from proxy3d_core.reasoning.answer import Answer, Question, Viewpoint
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training.evaluation import captions as caption_metrics
from proxy3d_training.evaluation import scorers
from proxy3d_training.evaluation.baselines import OtherScenes, best_number, most_common
from proxy3d_training.evaluation.items import Item, Prediction, Row, make_items, read_rows
from proxy3d_training.evaluation.scorers import Result


class _Words:
    """What the three have in common: predictions are texts."""

    def from_answer(self, answer: Answer, item: Item, scene: Snapshot) -> Prediction:
        # The benchmarks' answers are words, not sentences.
        return answer.text.strip().removesuffix(".").lower()

    def from_file(self, value: Any, item: Item, scene: Snapshot | None) -> Prediction:
        if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            return value[0]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadInput(f"the prediction for {item.id} is neither text nor number: {value!r}")
        return str(value)

    def nothing(self) -> Prediction:
        return ""

    def baselines(
        self, items: Sequence[Item], pool: Sequence[Item], scenes: Mapping[str, Snapshot]
    ) -> dict[str, list[Prediction]]:
        constant = most_common(a for item in items for a in item.truth)
        others = OtherScenes(pool, [item.truth for item in pool])
        return {
            "constant": [constant] * len(items),
            "blind": [most_common(others.answers(item) or [constant]) for item in items],
        }


class VsiBench(_Words):
    """VSI-Bench: rows with id, scene_name, question_type, question, ground_truth, options."""

    name = "vsibench"

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        truths = {str(row["id"]): row["ground_truth"] for row in read_rows(answers)} if answers else {}
        return self.items(read_rows(questions), questions, truths)

    def items(self, rows: Sequence[Row], path: Path, truths: Mapping[str, str] | None = None) -> list[Item]:
        """Items of rows; ``truths`` by id where the rows have none."""

        def make(row: Row, i: int) -> Item:
            name = str(row.get("id", i))
            options = tuple(row.get("options") or ())
            truth = truths[name] if truths and name in truths else row["ground_truth"]
            task = row["question_type"]
            if task not in scorers.VSI_NUMERIC + scorers.VSI_CHOICE:
                raise ValueError(f"unknown question_type {task!r}")
            question = Question(row["question"], options=options)
            return Item(name, row["scene_name"], question, str(truth), task, row)

        return make_items(rows, path, make)

    def from_answer(self, answer: Answer, item: Item, scene: Snapshot) -> Prediction:
        return answer.text

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        tasks, truths = [item.task for item in items], [item.truth for item in items]
        return [
            scorers.vsibench_official(tasks, predictions, truths, partial=True),
            scorers.vsibench_lmms(tasks, predictions, truths, partial=True),
        ]

    def baselines(
        self, items: Sequence[Item], pool: Sequence[Item], scenes: Mapping[str, Snapshot]
    ) -> dict[str, list[Prediction]]:
        by_task: dict[str, list[str]] = {}
        for item in items:
            by_task.setdefault(item.task, []).append(item.truth)
        constant = {t: (best_number if t in scorers.VSI_NUMERIC else most_common)(v) for t, v in by_task.items()}
        others = OtherScenes(pool, [[_option(item)] for item in pool])

        def blind(item: Item) -> str:
            if item.task in scorers.VSI_NUMERIC:
                found = others.answers(item, _is_number)
                return best_number(found) if found else constant[item.task]
            texts = {option.partition(". ")[2]: option for option in item.question.options}
            found = others.answers(item, texts.__contains__)
            return texts[most_common(found)][0] if found else constant[item.task]

        return {"constant": [constant[item.task] for item in items], "blind": [blind(item) for item in items]}


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _option(item: Item) -> str:
    """The right answer in words: letters mean another thing in every question."""
    texts = {option[0]: option.partition(". ")[2] for option in item.question.options}
    return texts.get(item.truth, str(item.truth))


class Sqa3d(_Words):
    """SQA3D: the benchmark's questions file, and its annotations (answers, the asker's position and rotation)."""

    name = "sqa3d"

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        if answers is None:
            raise BadInput("SQA3D keeps its answers in a file of their own: give --answers v1_..._annotations_...json")
        annotations = {str(a["question_id"]): a for a in read_rows(answers, "annotations")}

        def make(row: Row, i: int) -> Item:
            name = str(row["question_id"])
            if name not in annotations:
                raise ValueError(f"no annotation for question {name} in {answers}")
            annotation = annotations[name]
            question = Question(row["question"], viewpoint=sqa3d_viewpoint(annotation))
            truth = [a["answer"] for a in annotation["answers"]]
            return Item(name, row["scene_id"], question, truth, scorers.sqa3d_type(row["question"]), row)

        return make_items(read_rows(questions, "questions"), questions, make)

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        truths, types = [item.truth for item in items], [item.task for item in items]
        results = [
            scorers.sqa3d_chat_scene(predictions, truths, types),
            scorers.sqa3d_leo(predictions, truths, types),
            scorers.sqa3d_exact(predictions, truths, types),
            scorers.sqa3d_llm(predictions, truths),
        ]
        if captions:
            cleaned = [[scorers.clean_answer(a) for a in t] for t in truths]
            results.append(caption_metrics.short_answers(predictions, cleaned, "chat-scene"))
            results.append(caption_metrics.short_answers(predictions, truths, "leo"))
        return results


def sqa3d_viewpoint(annotation: Row) -> Viewpoint:
    """Where the asker stands and looks: the facing is the quaternion applied to (-1, 0, 0)."""
    position = np.array([float(annotation["position"][k]) for k in "xyz"])
    quaternion = [float(annotation["rotation"][k]) for k in ("_x", "_y", "_z", "_w")]
    return Viewpoint(position, Rotation.from_quat(quaternion).apply([-1.0, 0.0, 0.0]))


class ScanQa(_Words):
    """ScanQA: rows with question_id, scene_id, question, answers."""

    name = "scanqa"

    def load(self, questions: Path, answers: Path | None, scenes: Mapping[str, Snapshot]) -> list[Item]:
        truths = {str(row["question_id"]): row["answers"] for row in read_rows(answers)} if answers else {}

        def make(row: Row, i: int) -> Item:
            name = str(row["question_id"])
            truth = truths[name] if name in truths else row["answers"]
            return Item(
                name, row["scene_id"], Question(row["question"]), list(truth), _scanqa_type(row["question"]), row
            )

        return make_items(read_rows(questions), questions, make)

    def from_file(self, value: Any, item: Item, scene: Snapshot | None) -> Prediction:
        if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            return value
        return super().from_file(value, item, scene)

    def score(self, items: Sequence[Item], predictions: Sequence[Prediction], captions: bool) -> list[Result]:
        truths = [item.truth for item in items]
        ranked = [p if isinstance(p, list) else [p] for p in predictions]
        best = [p[0] for p in ranked]
        official = scorers.scanqa_official(ranked, truths)
        for kind in sorted({item.task for item in items}):
            rows = [r for r, item in zip(official.rows, items, strict=True) if item.task == kind]
            score = float(np.mean([r["em"] for r in rows]) * 100)
            official.tasks[kind] = scorers.TaskScore(score, len(rows))
        results = [official, scorers.scanqa_leo(best, truths), scorers.scanqa_chat_scene(best, truths)]
        if captions:
            results += [
                caption_metrics.short_answers(best, truths, v) for v in ("official", "leo", "chat-scene", "ll3da")
            ]
        return results


_SCANQA_TYPES = (
    ("Where", "place"),
    ("How many", "number"),
    ("What color", "color"),
    ("What is the color", "color"),
    ("What shape", "object nature"),
    ("What type", "object nature"),
    ("What kind", "object nature"),
    ("What is", "object"),
)


def _scanqa_type(question: str) -> str:
    """ScanQA's own classes of questions (the first that the text contains decides)."""
    return next((name for words, name in _SCANQA_TYPES if words in question), "other")

"""Runs a benchmark: answers or predictions in, scores, baselines and rows out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from proxy3d_core.errors import BadInput
from proxy3d_core.reasoning import annotated
from proxy3d_core.reasoning.annotated import AnnotatedScene
from proxy3d_core.reasoning.answer import Answer, Answerer, Question, Status, Viewpoint
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training import __version__
from proxy3d_training.evaluation.grounding import Locate3D, Multi3DRefer, Scan2Cap, ScanRefer
from proxy3d_training.evaluation.items import Benchmark, Item, Prediction, read_predictions
from proxy3d_training.evaluation.qa import ScanQa, Sqa3d, VsiBench
from proxy3d_training.evaluation.scorers import Result

BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = {
    "vsibench": VsiBench,
    "sqa3d": Sqa3d,
    "scanqa": ScanQa,
    "scan2cap": Scan2Cap,
    "scanrefer": ScanRefer,
    "multi3drefer": Multi3DRefer,
    "locate3d": Locate3D,
}


@dataclass
class Run:
    """Predictions for a benchmark's questions.

    Attributes:
        items: the questions that were put.
        predictions: one per item.
        answers: what an answerer said, per item; empty for predictions from a file.
        pool: all questions of the file, those in scenes that were not given included.
    """

    items: list[Item]
    predictions: list[Prediction]
    answers: list[Answer] = field(default_factory=list)
    pool: Sequence[Item] = ()


def ask(
    benchmark: Benchmark,
    items: Iterable[Item],
    scenes: Mapping[str, AnnotatedScene],
    answerer: Answerer,
    progress: Callable[[list[Item]], Iterable[Item]] = iter,
) -> Run:
    """Put all questions in given scenes to an answerer, which sees ``item.question`` and the scene, nothing else.

    Raises:
        BadInput: no question is in one of the scenes.
    """
    everything = list(items)
    possible = [item for item in everything if item.scene in scenes]
    if not possible:
        raise BadInput(f"none of the {len(everything)} questions is in one of the {len(scenes)} scenes; check --scenes")
    run = Run(possible, [], pool=everything)
    for item in progress(possible):
        scene = scenes[item.scene].snapshot
        answer = answerer.answer(_turned(item.question, scenes[item.scene]), scene)
        run.answers.append(answer)
        answered = answer.status is Status.OK
        run.predictions.append(benchmark.from_answer(answer, item, scene) if answered else benchmark.nothing())
    return run


def _turned(question: Question, scene: AnnotatedScene) -> Question:
    """The question with its viewpoint in the snapshot's frame (z up) instead of the file's."""
    view = question.viewpoint
    if view is None:
        return question
    return replace(question, viewpoint=Viewpoint(scene.rotation @ view.position, scene.rotation @ view.facing))


def read_scenes(files: Iterable[Path]) -> dict[str, AnnotatedScene]:
    """The annotated scenes of all files, by name.

    Raises:
        BadInput: a file cannot be read, or two hold the same scene.
    """
    scenes: dict[str, AnnotatedScene] = {}
    for file in files:
        found = annotated.read_scenes(file)
        twice = scenes.keys() & found.keys()
        if twice:
            raise BadInput(f"scene {min(twice)} of {file} was already given by another file")
        scenes |= found
    return scenes


def from_file(benchmark: Benchmark, items: Sequence[Item], scenes: Mapping[str, Snapshot], path: Path) -> Run:
    """Predictions of a file, for all questions.

    Raises:
        BadInput: a question has no prediction, or one that cannot be read.
    """
    given = read_predictions(path, items)
    read = [benchmark.from_file(given[item.id], item, scenes.get(item.scene)) for item in items]
    return Run(list(items), read, pool=items)


def report(
    benchmark: Benchmark,
    run: Run,
    scenes: Mapping[str, Snapshot],
    source: str,
    seed: int = 0,
    captions: bool = False,
    rows: bool = False,
) -> dict[str, Any]:
    """The JSON document of ``proxy3d eval`` (README: what the keys mean)."""
    results = benchmark.score(run.items, run.predictions, captions)
    first = results[0]
    document: dict[str, Any] = {
        "benchmark": benchmark.name,
        "answerer": source,
        "version": __version__,
        "seed": seed,
        "n": len(run.items),
        "skipped": len(run.pool) - len(run.items),
        "scorer": first.scorer,
        **_scores(first),
        "scorers": {result.scorer: _scores(result) for result in results},
        "baselines": {
            name: _scores(benchmark.score(run.items, predictions, False)[0])
            for name, predictions in benchmark.baselines(run.items, run.pool, scenes).items()
        },
    }
    if run.answers:
        document["statuses"] = dict(Counter(answer.status.name for answer in run.answers).most_common())
        document["answered"] = _answered(benchmark, run)
    if rows:
        document["rows"] = [_row(i, run, first) for i in range(len(run.items))]
    return document


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _scores(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = {
        "overall": _number(result.overall),
        "tasks": {name: {"score": _number(task.score), "n": task.n} for name, task in result.tasks.items()},
    }
    return {**document, "note": result.note} if result.note else document


def _answered(benchmark: Benchmark, run: Run) -> dict[str, Any]:
    """How many questions of each task were answered, and the scores over those alone."""
    chosen = [i for i, answer in enumerate(run.answers) if answer.status is Status.OK]
    document: dict[str, Any] = {
        "n": len(chosen),
        "by_task": {
            task: {"n": sum(run.items[i].task == task for i in chosen), "of": n}
            for task, n in sorted(Counter(item.task for item in run.items).items())
        },
    }
    if chosen:
        items, predictions = [run.items[i] for i in chosen], [run.predictions[i] for i in chosen]
        document |= _scores(benchmark.score(items, predictions, False)[0])
    return document


def _row(i: int, run: Run, result: Result) -> dict[str, Any]:
    item, prediction = run.items[i], run.predictions[i]
    row: dict[str, Any] = {
        "id": item.id,
        "scene": item.scene,
        "task": item.task,
        "question": item.question.text,
        "options": list(item.question.options),
        "truth": _plain(item.truth),
        "prediction": _plain(prediction),
        "scores": result.rows[i],
    }
    if run.answers:
        answer = run.answers[i]
        row |= {
            "status": answer.status.name,
            "message": answer.message,
            "confidence": answer.confidence,
            "program": answer.program,
            "object_ids": list(answer.object_ids),
        }
    return row


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value

"""The benchmarks' scoring rules, one function per rule, named after the code that the field's tables come from.

Every rule gives the same number as the named implementation, to the last digit, including what it does with odd
predictions; where implementations differ, each has its own function. All scores are 0..100. Metrics on captions are
in :mod:`proxy3d_training.evaluation.captions`.

Sources:

* VSI-Bench: Yang et al. 2024, "Thinking in Space"; vision-x-nyu/thinking-in-space, ``lmms_eval/tasks/vsibench``;
  EvolvingLMMs-Lab/lmms-eval, ``lmms_eval/tasks/vsibench``.
* ScanQA: Azuma et al. 2022; ATR-DBI/ScanQA, ``scripts/score.py``.
* SQA3D: Ma et al. 2023; SilongYong/SQA3D, ``LLM/eval_sqa3d_llm.py``.
* ScanQA and SQA3D as LEO (embodied-generalist, ``evaluator/``) and Chat-Scene (``utils/eval.py``) score them.
* ScanRefer: Chen et al. 2020; Multi3DRefer: Zhang et al. 2023; 3dlg-hcvc/M3DRef-CLIP, ``m3drefclip/evaluation``, and
  Chat-Scene.
* Locate 3D: Arnaud et al. 2025 (no scoring code is published).
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from proxy3d_core.errors import BadInput


@dataclass(frozen=True)
class TaskScore:
    """Score of one task, 0..100, over ``n`` questions."""

    score: float
    n: int


@dataclass(frozen=True)
class Result:
    """What a rule gives for a set of predictions.

    Attributes:
        scorer: name of the rule.
        overall: the benchmark's headline number, 0..100; None if the rule does not define it for these questions.
        tasks: scores by task.
        rows: per question, in their order, what the rule gives for it alone (0..1).
        note: why ``overall`` is None.
    """

    scorer: str
    overall: float | None
    tasks: dict[str, TaskScore]
    rows: list[dict[str, float]] = field(default_factory=list)
    note: str = ""


class MissingTask(BadInput, KeyError):
    """A task that the rule needs for its mean has no questions (the official code raises KeyError)."""

    __str__ = Exception.__str__


class ZeroTruth(BadInput, ZeroDivisionError):
    """A true value is 0, so the relative error has no meaning (the official code raises ZeroDivisionError)."""


def _same_length(*columns: Sequence[object]) -> int:
    lengths = {len(c) for c in columns}
    if len(lengths) > 1:
        raise BadInput(f"predictions and answers differ in number: {sorted(lengths)}; give one prediction per question")
    if lengths == {0}:
        raise BadInput("there is nothing to score: no questions")
    return lengths.pop()


def _total(values: Iterable[float]) -> float:
    """Sum from left to right without the error compensation that ``sum`` has from Python 3.12 on."""
    return functools.reduce(operator.add, values, 0.0)


# ----------------------------------------------------------------------------------------------- VSI-Bench

VSI_NUMERIC = ("object_counting", "object_abs_distance", "object_size_estimation", "room_size_estimation")
VSI_DIRECTION = ("object_rel_direction_easy", "object_rel_direction_medium", "object_rel_direction_hard")
VSI_CHOICE = (*VSI_DIRECTION, "object_rel_distance", "route_planning", "obj_appearance_order")

# The official code asks for int((0.95 - 0.5) / 0.05 + 2) thresholds, which rounding makes 10 (11 in exact arithmetic).
MRA_THRESHOLDS = np.linspace(0.5, 0.95, 10)


def vsibench_first_word(prediction: str) -> str:
    """What VSI-Bench reads of a prediction: all before the first space, without full stops at its end."""
    return prediction.split(" ")[0].rstrip(".").strip()


def vsibench_mra(prediction: float, truth: float) -> float:
    """Mean relative accuracy: share of the ten thresholds t = 0.50, 0.55, ..., 0.95 with |p - g| / g <= 1 - t.

    Floating point decides at the edges (12 for 10 scores 0.6, not 0.7), and this has the official one's.

    Raises:
        ZeroTruth: ``truth`` is 0.
    """
    if truth == 0:
        raise ZeroTruth("the true value of a numeric question is 0: relative accuracy is undefined; drop the question")
    return float((abs(prediction - truth) / truth <= 1 - MRA_THRESHOLDS).mean())


def _float_or_none(text: str) -> float | None:
    try:
        return float(text)
    except (ValueError, TypeError):
        return None


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER_WORDS = (
    {w: i for i, w in enumerate(_UNITS + _TEENS)}
    | {w: 10 * i for i, w in enumerate(_TENS, 2)}
    | {"hundred": 100, "thousand": 1000}
)


def lmms_number(text: str) -> float | None:
    """The first number in a text, in digits or English words ("about 3", "twenty-one"), as lmms-eval reads it."""
    text = text.strip().lower()
    digits = _NUMBER.search(text)
    words = list(re.finditer(r"[a-z]+", text))
    first = next((i for i, w in enumerate(words) if w[0] in _NUMBER_WORDS), None)
    if digits and (first is None or digits.start() < words[first].start()):
        return float(digits[0])
    if first is None:
        return None
    total = current = 0
    for word in words[first:]:
        if word[0] == "and":
            continue
        if word[0] not in _NUMBER_WORDS:
            break
        value = _NUMBER_WORDS[word[0]]
        if value == 100:
            current = max(current, 1) * 100
        elif value == 1000:
            total, current = total + max(current, 1) * 1000, 0
        else:
            current += value
    return float(total + current)


def _vsibench_row(task: str, prediction: str, truth: str, number: Callable[[str], float | None]) -> float:
    if task in VSI_CHOICE:
        return float(vsibench_first_word(prediction).lower() == truth.lower())
    if task not in VSI_NUMERIC:
        raise BadInput(f"unknown VSI-Bench task {task!r}; known: {', '.join(VSI_NUMERIC + VSI_CHOICE)}")
    predicted, true = number(prediction), _float_or_none(truth)
    return 0.0 if predicted is None or true is None else vsibench_mra(predicted, true)


def vsibench_row(task: str, prediction: str, truth: str) -> float:
    """Score (0..1) of one question by the official rule: the first word is the letter, or a number (MRA)."""
    return _vsibench_row(task, prediction, truth, lambda text: _float_or_none(vsibench_first_word(text)))


def vsibench_row_lmms(task: str, prediction: str, truth: str) -> float:
    """Score (0..1) of one question as lmms-eval has it since 2025: the first number anywhere in the text counts."""
    return _vsibench_row(task, prediction, truth, lmms_number)


def _vsibench_means(tasks: Sequence[str], rows: Sequence[float]) -> dict[str, float]:
    by_task: dict[str, list[float]] = {}
    for task, score in zip(tasks, rows, strict=True):
        by_task.setdefault(task, []).append(score)
    return {task: float(np.mean(by_task[task])) for task in sorted(by_task)}


def _vsibench_merge(means: dict[str, float], needs_direction: bool) -> dict[str, float]:
    """Put the mean of easy, medium and hard in the place of the three."""
    merged = dict(means)
    if needs_direction or VSI_DIRECTION[0] in merged:
        missing = [t for t in VSI_DIRECTION if t not in merged]
        if missing:
            raise MissingTask(
                f"no questions of {', '.join(missing)}: the mean over directions needs easy, medium and hard"
            )
        merged["object_rel_direction"] = _total(merged.pop(t) for t in VSI_DIRECTION) / 3.0
    return merged


def _vsibench(
    scorer: str, tasks: Sequence[str], rows: list[float], partial: bool, needs_direction: bool, digits: int | None
) -> Result:
    def scale(value: float) -> float:
        return (value if digits is None else round(value, digits)) * 100.0

    means = _vsibench_means(tasks, rows)
    counts = {task: sum(t == task for t in tasks) for task in means}
    overall, note, merged = None, "", means
    try:
        merged = _vsibench_merge(means, needs_direction)
        overall = scale(_total(merged.values()) / len(merged))
    except MissingTask as error:
        if not partial:
            raise
        note = str(error)
    if "object_rel_direction" in merged:
        counts["object_rel_direction"] = sum(counts[t] for t in VSI_DIRECTION)
    scores = {task: TaskScore(scale(mean), counts[task]) for task, mean in {**means, **merged}.items()}
    return Result(scorer, overall, scores, [{"score": r} for r in rows], note)


def vsibench_official(
    tasks: Sequence[str], predictions: Sequence[str], truths: Sequence[str], partial: bool = False
) -> Result:
    """VSI-Bench by its authors: unweighted mean of the task means; a task without questions drops out of the mean.

    Args:
        tasks: ``question_type`` per question.
        predictions: text per question.
        truths: ``ground_truth`` per question.
        partial: give ``overall`` None with a note, instead of raising, where the rule has none.

    Raises:
        MissingTask: there are easy direction questions, but no medium or hard ones (as the official code).
        ZeroTruth: a true number is 0 and the prediction is a number.
    """
    _same_length(tasks, predictions, truths)
    rows = [vsibench_row(*row) for row in zip(tasks, predictions, truths, strict=True)]
    return _vsibench("vsibench-official", tasks, rows, partial, needs_direction=False, digits=None)


def vsibench_lmms(
    tasks: Sequence[str], predictions: Sequence[str], truths: Sequence[str], partial: bool = False
) -> Result:
    """VSI-Bench by upstream lmms-eval: any number in the text counts, means are rounded to 6 digits (of 0..1).

    Raises:
        MissingTask: any of the three direction tasks has no questions.
        ZeroTruth: as :func:`vsibench_official`.
    """
    _same_length(tasks, predictions, truths)
    rows = [vsibench_row_lmms(*row) for row in zip(tasks, predictions, truths, strict=True)]
    return _vsibench("vsibench-lmms-eval", tasks, rows, partial, needs_direction=True, digits=6)


# --------------------------------------------------------------------------------- ScanQA, SQA3D: short answers

_DIGIT_WORDS = {str(i): w for i, w in enumerate([*_UNITS, *_TEENS, "twenty"])} | {"23": "twenty-three"}
_TYPOS = {
    "letf": "left",
    "let": "left",
    "tehre": "there",
    "rigth": "right",
    "rght": "right",
    "behine": "behind",
    "tv": "TV",
    "chai": "chair",
    "wasing": "washing",
    "waslked": "walked",
    "oclock": "o'clock",
}
_CLEANING: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r" +$"), ""),
    (re.compile(r"^ +"), ""),
    (re.compile(r" {2,}"), " "),
    (re.compile(r"[^a-zA-Z0-9,'\s\-:]+"), ""),
    (re.compile(rf"\b({'|'.join(_TYPOS)})\b"), lambda m: _TYPOS[m[0]]),
    (re.compile(r"\bo' +clock\b"), "o'clock"),
    (re.compile(rf"\b({'|'.join(_DIGIT_WORDS)})\b"), lambda m: _DIGIT_WORDS[m[0]]),
    (re.compile(r"\bnone\b"), "zero"),
    (re.compile(r"\b([a-zA-Z]+)[0-9]\b"), r"\g<1>"),
    (re.compile(r"\ba\b ([a-zA-Z]+)"), r"\g<1>"),
    (re.compile(r"\ban\b ([a-zA-Z]+)"), r"\g<1>"),
    (re.compile(r"\bthe\b ([a-zA-Z]+)"), r"\g<1>"),
    (re.compile(r"\bbackwards\b"), "backward"),
)


def clean_answer(text: str) -> str:
    """An answer as SQA3D's authors clean it and LEO, Chat-Scene and their heirs compare it.

    Lower case; only letters, digits, white space and , ' - : stay; known typing mistakes; 0..20 and 23 in words, "none"
    is zero; a digit stuck to a word, and an article before a word, go.
    """
    text = text.lower()
    for pattern, replacement in _CLEANING:
        text = pattern.sub(replacement, text)
    return text


def _squeeze(text: str) -> str:
    return "".join(text.split())


def leo_match(prediction: str, references: Sequence[str]) -> tuple[int, int]:
    """(EM, refined EM) as LEO: the first reference that matches in any way decides, so their order matters.

    An empty prediction is contained in every reference and so counts as refined-correct.
    """
    for reference in references:
        if prediction == reference:
            return 1, 1
        if _squeeze(prediction) in _squeeze(reference) or _squeeze(reference) in _squeeze(prediction):
            return 0, 1
    return 0, 0


def chat_scene_match(prediction: str, references: Sequence[str]) -> tuple[int, int]:
    """(EM, refined EM) as Chat-Scene: nothing for an empty prediction; equality with any reference comes first."""
    if not prediction:
        return 0, 0
    if prediction in references:
        return 1, 1
    return leo_match(prediction, references)


def chat_scene_prediction(text: str) -> str:
    """A prediction as Chat-Scene prepares it: one full stop at the end goes, first letter small, then cleaned."""
    if len(text) > 1:
        text = text.removesuffix(".")
        text = text[0].lower() + text[1:]
    return clean_answer(text)


def _em_rows(matches: Iterable[tuple[int, int]]) -> list[dict[str, float]]:
    return [{"em": em, "em_refined": refined} for em, refined in matches]


def _em_tasks(rows: Sequence[Mapping[str, float]]) -> dict[str, TaskScore]:
    n = len(rows)
    return {
        "EM": TaskScore(sum(int(r["em"]) for r in rows) / n * 100, n),
        "EM-R": TaskScore(sum(int(r["em_refined"]) for r in rows) / n * 100, n),
    }


def scanqa_official(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> Result:
    """ScanQA by its authors: the raw string, as it is, must be among the answers.

    Args:
        predictions: per question the answers in order of preference (the official format has ten).
        references: per question the true answers.
    """
    _same_length(predictions, references)
    if not all(predictions):
        raise BadInput("a question has an empty list of predictions; give at least one string (it may be empty)")
    rows = [
        {"em": float(p[0] in r), "em_at_10": float(any(x in r for x in p))}
        for p, r in zip(predictions, references, strict=True)
    ]
    em, em10 = (float(np.mean([r[key] for r in rows]) * 100) for key in ("em", "em_at_10"))
    tasks = {"EM@1": TaskScore(em, len(rows)), "EM@10": TaskScore(em10, len(rows))}
    return Result("scanqa-official", em, tasks, rows)


def scanqa_leo(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Result:
    """ScanQA as LEO: prediction and references cleaned, :func:`leo_match`."""
    _same_length(predictions, references)
    rows = _em_rows(
        leo_match(clean_answer(p), [clean_answer(x) for x in r]) for p, r in zip(predictions, references, strict=True)
    )
    tasks = _em_tasks(rows)
    return Result("scanqa-leo", tasks["EM"].score, tasks, rows)


def scanqa_chat_scene(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Result:
    """ScanQA as Chat-Scene: the cleaned prediction against references as they are (so gold answers score 92.5)."""
    _same_length(predictions, references)
    rows = _em_rows(
        chat_scene_match(chat_scene_prediction(p), list(r)) for p, r in zip(predictions, references, strict=True)
    )
    tasks = _em_tasks(rows)
    return Result("scanqa-chat-scene", tasks["EM"].score, tasks, rows)


SQA3D_TYPES = ("what", "is", "how", "can", "which", "other")


def sqa3d_type(question: str) -> str:
    """Type of a question by its first letters ("Israel" would be "is", as in LEO and Chat-Scene)."""
    text = question.lstrip().lower()
    return next((t for t in SQA3D_TYPES[:5] if text.startswith(t)), "other")


def _sqa3d(scorer: str, types: Sequence[str], rows: list[dict[str, float]], leo: bool) -> Result:
    tasks = _em_tasks(rows)
    for name in SQA3D_TYPES:
        chosen = [r for r, t in zip(rows, types, strict=True) if t == name]
        if not chosen:
            continue
        # Both implementations count up from 1e-10 one by one, LEO once per batch (here one) and once over all batches.
        n = _total([1e-10, *[1.0] * len(chosen)])
        for key, label in (("em", name), ("em_refined", f"{name} EM-R")):
            right = sum(int(r[key]) for r in chosen)
            score = right / n * n / (1e-10 + n) if leo else right / n
            tasks[label] = TaskScore(score * 100, len(chosen))
    return Result(scorer, tasks["EM"].score, tasks, rows)


def sqa3d_leo(predictions: Sequence[str], references: Sequence[Sequence[str]], types: Sequence[str]) -> Result:
    """SQA3D as LEO: EM and refined EM over all and by type (:func:`sqa3d_type`), everything cleaned."""
    _same_length(predictions, references, types)
    return _sqa3d("sqa3d-leo", types, scanqa_leo(predictions, references).rows, leo=True)


def sqa3d_chat_scene(predictions: Sequence[str], references: Sequence[Sequence[str]], types: Sequence[str]) -> Result:
    """SQA3D as Chat-Scene: like :func:`scanqa_chat_scene`, but with cleaned references."""
    _same_length(predictions, references, types)
    rows = _em_rows(
        chat_scene_match(chat_scene_prediction(p), [clean_answer(x) for x in r])
        for p, r in zip(predictions, references, strict=True)
    )
    return _sqa3d("sqa3d-chat-scene", types, rows, leo=False)


def sqa3d_exact(predictions: Sequence[str], references: Sequence[Sequence[str]], types: Sequence[str]) -> Result:
    """SQA3D as a classifier is scored: the raw string is one of the (already cleaned) answers."""
    _same_length(predictions, references, types)
    rows = _em_rows((int(p in r),) * 2 for p, r in zip(predictions, references, strict=True))
    result = _sqa3d("sqa3d-exact", types, rows, leo=False)
    return Result(result.scorer, result.overall, {k: v for k, v in result.tasks.items() if "EM-R" not in k}, rows)


def sqa3d_llm(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Result:
    """SQA3D as its authors score language models: lenient; one common word with the (first) answer is enough.

    The official code counts a question once, however often it is asked; here every row is a question of its own.
    """
    _same_length(predictions, references)
    rows: list[dict[str, float]] = []
    for prediction, refs in zip(predictions, references, strict=True):
        text, truth = clean_answer(prediction), refs[0]
        right = text in truth or _squeeze(text) in _squeeze(truth) or not set(text.split()).isdisjoint(truth.split())
        rows.append({"em": float(right)})
    score = sum(int(r["em"]) for r in rows) / len(rows) * 100
    return Result("sqa3d-llm", score, {"accuracy": TaskScore(score, len(rows))}, rows)


# ------------------------------------------------------------------------- ScanRefer, Multi3DRefer, Locate 3D

Bounds = NDArray[np.floating]
"""(2, 3) lowest and highest corner of an axis-aligned box, metres."""

MULTI3DREFER_TYPES = ("zt_w_d", "zt_wo_d", "st_w_d", "st_wo_d", "mt")
"""Zero, single, multiple targets; with (w_d) and without (wo_d) distractors of the same class."""

_OBJECT_ID = re.compile(r"<OBJ(\d{3})>")


def bounds(center: ArrayLike, size: ArrayLike) -> Bounds:
    """Bounds (2, 3) of an axis-aligned box from its centre (3,) and edges (3,)."""
    c, half = np.asarray(center, dtype=np.float64), np.asarray(size, dtype=np.float64) / 2
    return np.stack([-half + c, half + c])


def aabb_iou(first: Bounds, second: Bounds, epsilon: float = 1e-8) -> float:
    """Volume overlap over union of two axis-aligned boxes, in the precision of the arrays.

    ``epsilon`` keeps two empty boxes from dividing by zero: 1e-8 in Chat-Scene and LL3DA; float32's (1.19e-7) in
    M3DRef-CLIP, whose boxes are float32.
    """
    a, b = (x if x.dtype.kind == "f" else x.astype(np.float64) for x in (np.asarray(first), np.asarray(second)))
    edges = np.maximum(np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]), 0)
    size_a, size_b = a[1] - a[0], b[1] - b[0]
    overlap = edges[0] * edges[1] * edges[2]
    volumes = size_a[0] * size_a[1] * size_a[2] + size_b[0] * size_b[1] * size_b[2]
    return float(overlap / (volumes - overlap + overlap.dtype.type(epsilon)))


_FLOAT32_EPS = float(np.finfo(np.float32).eps)


def m3dref_iou(first: ArrayLike, second: ArrayLike) -> float:
    """:func:`aabb_iou` as M3DRef-CLIP: float32 throughout."""
    return aabb_iou(np.asarray(first, np.float32), np.asarray(second, np.float32), _FLOAT32_EPS)


def object_ids(text: str, count: int) -> list[int]:
    """The ids below ``count`` that a prediction names as ``<OBJ012>``, in order, repeats included (Chat-Scene)."""
    return [i for i in map(int, _OBJECT_ID.findall(text)) if i < count]


def chat_scene_choice(text: str, count: int) -> int:
    """The proposal that a ScanRefer prediction names; 0 where it names none (Chat-Scene)."""
    return next(iter(object_ids(text, count)), 0)


def scanrefer_unique(
    objects: Iterable[tuple[str, int, str]], class_of: Mapping[str, int], others: int
) -> dict[tuple[str, int], bool]:
    """Which objects are the only one of their class in their scene, among the objects described (ScanRefer).

    Args:
        objects: (scene, object id, object name) of every description, over the whole file; repeats do not matter.
        class_of: one of the 18 classes by name, from ScanNet's label map.
        others: the class of every other name.
    """
    found = {(scene, oid): class_of.get(name.replace("_", " "), others) for scene, oid, name in objects}
    count: dict[tuple[str, int], int] = {}
    for (scene, _), label in found.items():
        count[scene, label] = count.get((scene, label), 0) + 1
    return {key: count[key[0], label] == 1 for key, label in found.items()}


def scanrefer(ious: Sequence[float], unique: Sequence[bool] | None = None, variant: str = "") -> Result:
    """ScanRefer's Acc@0.25 and Acc@0.5 (IoU >= threshold), over all and by unique and multiple.

    Args:
        ious: IoU of the chosen box with the true one: :func:`m3dref_iou`, or :func:`aabb_iou` with
            :func:`chat_scene_choice`; 0 where no box was chosen.
        unique: per description whether its object is alone in its class (:func:`scanrefer_unique`); None = unknown.
        variant: whose IoU it is, for the name of the result.
    """
    _same_length(ious, ious if unique is None else unique)
    rows = [{"iou": iou, "acc@0.25": float(iou >= 0.25), "acc@0.5": float(iou >= 0.5)} for iou in ious]
    tasks = {}
    groups = {"": rows}
    if unique is not None:
        groups["unique "] = [r for r, u in zip(rows, unique, strict=True) if u]
        groups["multiple "] = [r for r, u in zip(rows, unique, strict=True) if not u]
    for name, chosen in groups.items():
        for key in ("acc@0.25", "acc@0.5"):
            if chosen:
                tasks[f"{name}{key}"] = TaskScore(sum(int(r[key]) for r in chosen) / len(chosen) * 100, len(chosen))
    return Result(f"scanrefer-{variant}".removesuffix("-"), tasks["acc@0.5"].score, tasks, rows)


def multi3drefer_f1(
    predicted: Sequence[ArrayLike], true: Sequence[ArrayLike], iou: Callable[[Bounds, Bounds], float] = m3dref_iou
) -> tuple[float, float]:
    """F1 at IoU >= 0.25 and >= 0.5 of one query: boxes matched one to one so that the sum of IoUs is greatest.

    A query without targets scores 1 if and only if nothing is predicted.
    """
    if not len(true):
        return (float(not len(predicted)),) * 2
    side = max(len(predicted), len(true))
    matrix = np.zeros((side, side), dtype=np.float32)
    for i, p in enumerate(predicted):
        for j, t in enumerate(true):
            matrix[i, j] = iou(np.asarray(t), np.asarray(p))
    rows, columns = linear_sum_assignment(-matrix)
    matched = matrix[rows, columns][: len(predicted)]
    total = len(predicted) + len(true)
    return 2 * int((matched >= 0.25).sum()) / total, 2 * int((matched >= 0.5).sum()) / total


def multi3drefer(scores: Sequence[tuple[float, float]], types: Sequence[str], single_precision: bool = True) -> Result:
    """Multi3DRefer's F1@0.25 and F1@0.5: means over queries, over all and by type.

    Args:
        scores: :func:`multi3drefer_f1` per query.
        types: one of :data:`MULTI3DREFER_TYPES` per query.
        single_precision: average in float32 as M3DRef-CLIP does; Chat-Scene averages in float64.
    """
    _same_length(scores, types)
    unknown = set(types) - set(MULTI3DREFER_TYPES)
    if unknown:
        raise BadInput(f"unknown Multi3DRefer type {sorted(unknown)}; known: {', '.join(MULTI3DREFER_TYPES)}")
    values = np.array(scores, dtype=np.float32 if single_precision else np.float64)
    labels = np.array(types)
    tasks = {}
    for name in ("", *MULTI3DREFER_TYPES):
        chosen = values if not name else values[labels == name]
        for column, key in enumerate(("F1@0.25", "F1@0.5")):
            if len(chosen):
                mean = float(np.mean(np.ascontiguousarray(chosen[:, column]))) * 100
                tasks[f"{name} {key}".strip()] = TaskScore(mean, len(chosen))
    rows = [{"F1@0.25": float(a), "F1@0.5": float(b)} for a, b in scores]
    scorer = "multi3drefer-m3dref-clip" if single_precision else "multi3drefer-chat-scene"
    return Result(scorer, tasks["F1@0.5"].score, tasks, rows)


def locate3d(predicted: Sequence[ArrayLike | None], true: Sequence[ArrayLike]) -> Result:
    """Locate 3D: Acc@0.25 and Acc@0.5 of the one box returned, axis-aligned, IoU >= threshold; None is a miss.

    Args:
        predicted, true: bounds (2, 3) per expression; the annotation's ``gt_boxes`` are (3, 2), so transpose them.
    """
    _same_length(predicted, true)
    ious = [
        0.0 if p is None else aabb_iou(np.asarray(p, np.float64), np.asarray(t, np.float64), 0.0)
        for p, t in zip(predicted, true, strict=True)
    ]
    rows = [{"iou": i, "acc@0.25": float(i >= 0.25), "acc@0.5": float(i >= 0.5)} for i in ious]
    tasks = {
        key: TaskScore(sum(int(r[key]) for r in rows) / len(rows) * 100, len(rows)) for key in ("acc@0.25", "acc@0.5")
    }
    return Result("locate3d", tasks["acc@0.5"].score, tasks, rows)

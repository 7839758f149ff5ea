"""Questions about simulated rooms that were seen through the camera: how each answer counts.

A question counts whether or not the map has what it is about; one that names by its marker an object that the map does
not have cannot be put, and counts as answered wrongly. Rules, by what is asked (``GROUPS``):

* choices: the letter; relations in words: exact match with one of the references after SQA3D's cleaning; relations that
  choose among the objects that the question names: the same one; what carries something: a box that is that object.
* counting: the exact number (VSI-Bench's relative accuracy beside it).
* numbers: VSI-Bench's mean relative accuracy.
* grounding: the box that the map has for the named object has an IoU of at least 0.5 with the true box (0.25 beside
  it). Several objects: Multi3DRefer's F1 at 0.5.
* words: exact match as above; LEO's refined match beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry import OrientedBox
from proxy3d_core.proxies.references import find_markers
from proxy3d_training.data.schema import MARKER, ChoiceAnswer, IdAnswer, NumberAnswer, Sample, TextAnswer, marker
from proxy3d_training.evaluation.scorers import (
    clean_answer,
    leo_match,
    lmms_number,
    multi3drefer_f1,
    vsibench_first_word,
    vsibench_mra,
)
from proxy3d_training.matching import thick

Group = Literal["choice and relation", "counting", "numbers", "grounding", "several objects", "words"]
GROUPS: Final[Mapping[Group, str]] = {
    "choice and relation": "accuracy",
    "counting": "accuracy",
    "numbers": "MRA",
    "grounding": "Acc@0.5",
    "several objects": "F1@0.5",
    "words": "EM",
}
"""Groups of kinds and what their score is, 0..100."""
LEFT_OUT: Final = frozenset({"caption"})
"""Kinds that have no right or wrong."""
IDENTITY_IOU = 0.25
"""A box is an object from this IoU on, thin edges taken as thick (``matching.thick``), as in prepared scenes."""

_COUNTING = frozenset({"object_counting", "situated_count", "situated_parity", "count", "count_on"})
_RELATIONS = frozenset({"higher", "is_on", "carried_by"})
_SEVERAL = frozenset({"grounding_any", "carries"})
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Seen:
    """A map's object.

    Attributes:
        box: in the recording's world.
        marker: by which it is named, or None.
    """

    box: OrientedBox
    marker: int | None = None


@dataclass(frozen=True, eq=False)
class Said:
    """What an answerer said.

    Attributes:
        text: the answer, objects named by the map's markers; empty = none.
        boxes: of the objects that it names, in its order, in the recording's world.
        confidence: how sure it is, 0..1, uncalibrated where the answerer has not been calibrated; None = not said.
        kind: of the answer, for the calibration: text, id, number or choice.
    """

    text: str
    boxes: tuple[OrientedBox, ...] = ()
    confidence: float | None = None
    kind: str = "text"


@dataclass(frozen=True, eq=False)
class Row:
    """A question with its score.

    Attributes:
        sample: as in the file.
        said: None = it could not be put: it names an object that the map does not have.
        score: 0..1, by the rule of its group.
        more: other measures, 0..1, by name.
    """

    sample: Sample
    said: Said | None
    score: float
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Family and kind."""
        return kind_of(self.sample)


def kind_of(sample: Sample) -> str:
    """Family and kind, as the table names it."""
    return f"{sample.family}/{sample.kind}"


def group_of(sample: Sample) -> Group:
    """How a sample is scored."""
    if sample.kind in _COUNTING:
        return "counting"
    answer = sample.answer
    if isinstance(answer, ChoiceAnswer):
        return "choice and relation"
    if isinstance(answer, NumberAnswer):
        return "numbers"
    if isinstance(answer, IdAnswer):
        if _among_named(sample, answer) or sample.kind in _RELATIONS:
            return "choice and relation"
        return "several objects" if sample.kind in _SEVERAL or sample.kind.startswith("find_") else "grounding"
    relation = sample.family == "SQA3D" or sample.kind in _RELATIONS
    return "choice and relation" if relation else "words"


def _among_named(sample: Sample, answer: IdAnswer) -> bool:
    """Whether the answer is one of the objects that the question names."""
    markers = {thing.id: thing.marker for thing in sample.objects}
    named = set(find_markers(sample.question))
    return bool(named) and bool(answer.objects) and all(markers[i] in named for i in answer.objects)


def put(sample: Sample, markers: Mapping[int, int]) -> str | None:
    """The text of a question that a map is asked.

    Args:
        markers: the map's marker by true object id.

    Returns:
        None if the question names an object that has no marker there.
    """
    old = {thing.marker: thing.id for thing in sample.objects if thing.marker is not None}
    if any(old.get(number) not in markers for number in find_markers(sample.question)):
        return None
    return MARKER.sub(lambda found: marker(markers[old[int(found[1])]]), sample.prompt())


def scored(sample: Sample, said: Said | None, markers: Mapping[int, int]) -> Row:
    """Score an answer.

    Args:
        said: None = the question could not be put.
        markers: the map's marker by true object id.
    """
    if said is None:
        return Row(sample, None, 0.0)
    answer = sample.answer
    more: dict[str, float] = {}
    if isinstance(answer, ChoiceAnswer):
        score = float(vsibench_first_word(said.text).strip("().:").upper() == answer.letter)
    elif isinstance(answer, NumberAnswer):
        number = lmms_number(said.text)
        more["mra"] = 0.0 if number is None or not answer.value else vsibench_mra(number, answer.value)
        more["exact"] = float(number is not None and abs(number - answer.value) < 1e-6)
        score = more["exact" if answer.unit == "count" else "mra"]
    elif isinstance(answer, IdAnswer):
        score, more = _objects(sample, answer, said, markers)
    else:
        score, more = _words(answer, said.text)
    return Row(sample, said, score, more)


def _words(answer: TextAnswer, text: str) -> tuple[float, dict[str, float]]:
    said, right = clean_answer(text), [clean_answer(reference) for reference in answer.references]
    refined = leo_match(said, right)[1] if said else 0
    return float(said in right), {"refined": float(refined)}


def _objects(
    sample: Sample, answer: IdAnswer, said: Said, markers: Mapping[int, int]
) -> tuple[float, dict[str, float]]:
    if _among_named(sample, answer):
        return float(set(find_markers(said.text)) == {markers[i] for i in answer.objects}), {}
    by_id = {thing.id: thing.box for thing in sample.objects}
    true = [box.oriented() for i in answer.objects if (box := by_id[i]) is not None]
    if group_of(sample) == "several objects":
        if not true:
            none = float(not said.boxes and said.text.lower().startswith("no"))
            return none, {"F1@0.25": none}
        iou = np.array([[mine.iou(theirs) for mine in said.boxes] for theirs in true])
        quarter, half = multi3drefer_f1(
            list(range(len(said.boxes))), list(range(len(true))), lambda t, p: float(iou[int(t), int(p)])
        )
        return half, {"F1@0.25": quarter}
    if not said.boxes:
        return 0.0, {} if sample.kind in _RELATIONS else {"acc@0.25": 0.0, "acc@0.5 thick": 0.0}
    around = thick(said.boxes[0]).iou(thick(true[0]))
    if sample.kind in _RELATIONS:
        return float(around >= IDENTITY_IOU), {}
    overlap = said.boxes[0].iou(true[0])
    return float(overlap >= 0.5), {"acc@0.25": float(overlap >= 0.25), "acc@0.5 thick": float(around >= 0.5)}


def reachable(sample: Sample, boxes: Sequence[OrientedBox]) -> float | None:
    """Of grounding: whether the map has a box at all that would count, 1 or 0; None for other questions."""
    answer = sample.answer
    if not isinstance(answer, IdAnswer) or group_of(sample) != "grounding":
        return None
    true = next(thing.box for thing in sample.objects if thing.id == answer.objects[0])
    return None if true is None else float(any(box.iou(true.oriented()) >= 0.5 for box in boxes))


@dataclass(frozen=True)
class Cell:
    """A score of the table, 0..100.

    Attributes:
        score: mean over all questions.
        low, high: 95 % interval: rooms are drawn anew (bootstrap), since questions about one room are not independent.
        n: questions.
        asked: the same over those that could be put (None without any), and how many those are.
        more: means of other measures.
    """

    score: float
    low: float
    high: float
    n: int
    asked: tuple[float | None, int]
    more: Mapping[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        put_score, put_n = self.asked
        found: dict[str, Any] = {"score": round(self.score, 2), "n": self.n}
        found |= {"low": round(self.low, 2), "high": round(self.high, 2)}
        found["asked"] = {"score": None if put_score is None else round(put_score, 2), "n": put_n}
        return found | {name: round(value, 2) for name, value in self.more.items()}


def cell(rows: Sequence[Row]) -> Cell:
    """The score of some questions, at least one."""
    scores = 100 * np.array([row.score for row in rows])
    put_rows = np.array([row.said is not None for row in rows])
    low, high = interval(scores, [row.sample.scene.space if row.sample.scene else "" for row in rows])
    names = sorted({name for row in rows for name in row.more})
    more = {name: 100 * float(np.mean([row.more.get(name, 0.0) for row in rows])) for name in names}
    asked = float(scores[put_rows].mean()) if put_rows.any() else None
    return Cell(float(scores.mean()), low, high, len(rows), (asked, int(put_rows.sum())), more)


def interval(scores: NDArray[np.float64], rooms: Sequence[str], draws: int = _DRAWS) -> tuple[float, float]:
    """95 % interval of a mean: percentiles over rooms drawn with replacement; the same input gives the same interval.

    Args:
        scores: (N,) of the questions.
        rooms: (N,) where each was asked.
        draws: how many.
    """
    place = np.unique(np.asarray(rooms), return_inverse=True)[1]
    sums, counts = np.bincount(place, scores), np.bincount(place)
    times = np.random.default_rng(0).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), draws)
    means = (times @ sums) / (times @ counts)
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def tasks(rows: Sequence[Row], name: Callable[[Sample], str]) -> dict[str, Cell]:
    """Cells by the name that a sample has, in alphabetical order."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(name(row.sample), []).append(row)
    return {key: cell(parts[key]) for key in sorted(parts)}

"""Holds questions and the geometric answerer against each other, on the true boxes of simulated rooms.

Questions and answers are made by different code; where they disagree one of them is wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from proxy3d_core.geometry import OrientedBox
from proxy3d_core.reasoning.answer import Answer, Question, Status, Viewpoint
from proxy3d_core.reasoning.geometric import GeometricAnswerer
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training.data.files import scene_folder
from proxy3d_training.data.questions.rooms import read_room
from proxy3d_training.data.schema import MARKER, ChoiceAnswer, IdAnswer, NumberAnswer, Sample, TextAnswer
from proxy3d_training.evaluation.scorers import clean_answer

NOT_ASKED = frozenset(
    {
        *("caption", "symbol_category", "symbol_marker", "marker_category", "category_marker"),
        *("coordinates_of", "object_at", "height_of", "centers_apart", "higher_of", "closer_of"),
        *("color", "material", "shape", "same_color"),
        *("attribute_color", "attribute_material", "attribute_shape", "find_color", "find_material", "find_shape"),
    }
)
"""Kinds that are not the geometric answerer's: looks, symbols and coordinates."""

REGION = re.compile(r"region\s*[\[(](\d+)[\])]", re.IGNORECASE)
"""How an answer names a region."""
_PLACES = re.compile(r"^(on|in|at|next to|beside|near) (the )?", re.IGNORECASE)


@dataclass
class Row:
    """Agreement on one kind: questions, right answers, and the statuses of those without an answer."""

    n: int = 0
    right: int = 0
    answered: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


@dataclass
class Check:
    """Agreement by kind, and the questions that are answered otherwise."""

    rows: dict[str, Row] = field(default_factory=lambda: defaultdict(Row))
    disagreements: list[dict[str, Any]] = field(default_factory=list)
    not_asked: int = 0

    @property
    def share(self) -> float:
        """Share of right answers over all kinds, 0..1."""
        total = sum(row.n for row in self.rows.values())
        return sum(row.right for row in self.rows.values()) / total if total else float("nan")


def true_boxes(folder: Path) -> Snapshot:
    """The truth of a simulated room as a scene. Raises BadInput."""
    return read_room(folder).snapshot()


def check(
    samples: Iterable[Sample], file: Path, most: int = 50, scenes: Callable[[Path], Snapshot] = true_boxes
) -> Check:
    """Ask the answerer every question of its kinds.

    Args:
        samples: of ``file``; those of public datasets are passed over.
        file: where they come from; scene folders are relative to it.
        most: at most so many disagreements are kept.
        scenes: the scene of a room's folder; its objects have the true ids.

    Raises:
        BadInput: a room's truth cannot be read.
    """
    found = Check()
    answerer = GeometricAnswerer()
    snapshots: dict[Path, Snapshot] = {}
    for sample in samples:
        if sample.scene is None or sample.scene.dataset != "simulated" or sample.kind in NOT_ASKED:
            found.not_asked += 1
            continue
        folder = scene_folder(file, sample)
        if folder not in snapshots:
            snapshots.clear()  # samples are ordered by room
            snapshots[folder] = scenes(folder)
        question = as_question(sample)
        answer = answerer.answer(question, snapshots[folder])
        row = found.rows[f"{sample.family}/{sample.kind}"]
        row.n += 1
        row.answered += answer.status is Status.OK
        if is_right(answer, sample, snapshots[folder]):
            row.right += 1
            continue
        row.statuses[answer.status.name] += 1
        if len(found.disagreements) < most:
            found.disagreements.append(
                {
                    "id": sample.id,
                    "kind": sample.kind,
                    "question": question.text,
                    "options": list(sample.options),
                    "truth": sample.answer.text,
                    "answer": answer.text,
                    "status": answer.status.name,
                    "message": answer.message,
                    "program": answer.program,
                }
            )
    return found


def as_question(sample: Sample) -> Question:
    """A sample as the answerer is asked it: markers and regions become regions with the true box."""
    text = f"Find {sample.description}." if sample.description else sample.question
    boxes: list[OrientedBox] = []
    by_id = {thing.id: thing for thing in sample.objects}
    for region in sample.regions:
        thing = by_id.get(region.object) if region.object is not None else None
        box = region.box3d or (thing.box if thing else None)
        if box is not None:
            boxes.append(box.oriented())
    by_marker = {thing.marker: thing for thing in sample.objects}
    for number in dict.fromkeys(MARKER.findall(text)):
        box = by_marker[int(number)].box
        if box is not None:
            text = text.replace(f"<OBJ{number}>", f"Region [{len(boxes)}]")
            boxes.append(box.oriented())
    return Question(text, _viewpoint(sample), sample.options, tuple(boxes))


def _viewpoint(sample: Sample) -> Viewpoint | None:
    where = sample.situation
    if where is None or where.position is None or where.facing is None:
        return None
    return Viewpoint(np.array(where.position), np.array(where.facing))


def is_right(answer: Answer, sample: Sample, scene: Snapshot) -> bool:
    """Whether an answer says what the sample says."""
    truth = sample.answer
    if isinstance(truth, IdAnswer):
        return _same_objects(answer, truth, sample)
    if answer.status is not Status.OK:
        return False
    if isinstance(truth, ChoiceAnswer):
        return answer.text == truth.letter
    if isinstance(truth, NumberAnswer):
        return _same_number(answer, truth)
    return same_words(answer, truth, scene)


def _same_objects(answer: Answer, truth: IdAnswer, sample: Sample) -> bool:
    if not truth.objects:
        # Nothing fits: the answer is that there is none.
        return answer.status is Status.NOT_FOUND or (answer.status is Status.OK and not answer.object_ids)
    if answer.status is not Status.OK:
        return False
    named = list(dict.fromkeys(MARKER.findall(sample.question)))
    said = REGION.findall(answer.text)
    if said and named:
        ids = {thing.marker: thing.id for thing in sample.objects}
        return {ids[int(named[int(i)])] for i in said if int(i) < len(named)} == set(truth.objects)
    if sample.kind == "carried_by":
        label = next(thing.label for thing in sample.objects if thing.id == truth.objects[0])
        return label is not None and clean_answer(_PLACES.sub("", answer.text)) == clean_answer(label)
    if len(truth.objects) == 1:
        return answer.object_ids[:1] == truth.objects
    return set(answer.object_ids) == set(truth.objects)


def _same_number(answer: Answer, truth: NumberAnswer) -> bool:
    if answer.value is None:
        return False
    value = answer.value * (100 if (answer.unit, truth.unit) == ("m", "cm") else 1)
    # Equal as far as the truth is written, or within 2 % (an answer may round to other units).
    digits = len(truth.text.partition(".")[2])
    return abs(value - truth.value) <= max(
        0.51 * 10.0**-digits, 0.02 * abs(truth.value) if truth.unit != "count" else 0.0
    )


def same_words(answer: Answer, truth: TextAnswer, scene: Snapshot) -> bool:
    """Whether an answer in words says what is true, in its own words or by the object that it means."""
    said = clean_answer(answer.text)
    right = {clean_answer(text) for text in truth.references}
    if said in right or clean_answer(_PLACES.sub("", answer.text)) in right:
        return True
    regions = REGION.findall(answer.text), REGION.findall(truth.text)
    if regions[0] and regions[0] == regions[1]:
        return True
    # The answerer may call a thing otherwise; it is right if it means a thing of that label.
    meant = scene.by_id.get(answer.object_ids[0]) if answer.object_ids else None
    return meant is not None and clean_answer(meant.label) in right

"""ScanQA and SQA3D: questions answered in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from proxy3d_core.errors import BadInput
from proxy3d_training.data.convert.proposals import Matcher
from proxy3d_training.data.convert.rows import chooser, convert_rows, provenance, scene, sentence, split_in, strings
from proxy3d_training.data.questions.candidates import SHORT
from proxy3d_training.data.schema import Sample, Situation, Split, TextAnswer
from proxy3d_training.evaluation.items import Row, read_rows
from proxy3d_training.evaluation.qa import sqa3d_viewpoint
from proxy3d_training.evaluation.scorers import sqa3d_type


def scanqa(
    path: Path, out: Path, split: Split | None = None, scans: Path | None = None, matcher: Matcher | None = None
) -> Iterator[Sample]:
    """ScanQA's rows: question_id, scene_id, question, answers; for training one sample for each distinct answer.

    Args:
        path: ``ScanQA_v1.0_train.json`` or the like; the test files without answers are refused.
        out: the file that will be written.
        split: if the file's name does not tell it.
        scans: where the scans lie.
        matcher: boxes of the scans' objects, to keep those that a row names.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)

    def make(row: Row, number: int) -> Iterable[Sample]:
        key, answers = str(row["question_id"]), strings(row["answers"], "answers")
        distinct = list(dict.fromkeys(answers))
        targets = distinct if belongs == "train" else distinct[:1]
        try:
            objects = (
                matcher.match(row["scene_id"], list(dict.fromkeys(row.get("object_ids") or ()))) if matcher else ()
            )
        except ValueError:
            objects = ()
        for i, target in enumerate(targets):
            yield Sample(
                id=f"ScanQA/{key}" + (f"/{i}" if len(targets) > 1 else ""),
                source="ScanQA",
                family="ScanQA",
                kind="qa",
                split=belongs,
                scene=scene(row["scene_id"], scans, out, "scannet"),
                question=row["question"],
                instruction=SHORT,
                answer=TextAnswer(text=sentence(target), references=tuple(answers)),
                objects=tuple(objects or ()),
                provenance=provenance("ScanQA", path, key),
            )

    return convert_rows(path, read_rows(path), make)


def sqa3d(
    path: Path, answers: Path, out: Path, split: Split | None = None, scans: Path | None = None, seed: int = 0
) -> Iterator[Sample]:
    """SQA3D's two files: questions (with situations) and annotations (answers, position, rotation).

    A training sample has one of the situation's wordings and one of the answers, by chance from ``seed``.

    Raises:
        BadInput: a file is not in this layout, or a question has no annotation.
    """
    belongs = split_in(path, split)
    annotations = {str(row["question_id"]): row for row in read_rows(answers, "annotations") if "question_id" in row}
    if not annotations:
        raise BadInput(f"{answers} holds no annotations; is it v1_balanced_sqa_annotations_...json?")

    def make(row: Row, number: int) -> Iterable[Sample]:
        key = str(row["question_id"])
        if key not in annotations:
            raise ValueError(f"{answers.name} has no annotation for question {key}")
        annotation, chance = annotations[key], chooser(seed, key)
        given = strings([a["answer"] for a in annotation["answers"]], "answers")
        situations = [row["situation"], *row.get("alternative_situation", [])]
        train = belongs == "train"
        view = sqa3d_viewpoint(annotation)
        position, facing = ((float(v[0]), float(v[1]), float(v[2])) for v in (view.position, view.facing))
        yield Sample(
            id=f"SQA3D/{key}",
            source="SQA3D",
            family="SQA3D",
            kind=sqa3d_type(row["question"]),
            split=belongs,
            scene=scene(row["scene_id"], scans, out, "scannet"),
            situation=Situation(
                text=chance.choice(situations) if train else situations[0], position=position, facing=facing
            ),
            question=row["question"],
            instruction=SHORT,
            answer=TextAnswer(text=sentence(chance.choice(given) if train else given[0]), references=tuple(given)),
            provenance=provenance("SQA3D", path, key),
        )

    return convert_rows(path, read_rows(path, "questions"), make)

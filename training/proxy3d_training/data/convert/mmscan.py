"""MMScan: attributes and relations of objects, as questions (QA files) and as grounding (VG files)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy3d_training.data.convert.proposals import Matcher
from proxy3d_training.data.convert.rows import convert_rows, pick, provenance, scene, sentence, split_in, strings
from proxy3d_training.data.questions.grounding import MULTI3DREFER
from proxy3d_training.data.schema import MARKERS, Box, IdAnswer, Region, Sample, Split, TextAnswer, Thing, id_text
from proxy3d_training.evaluation.items import Row, read_rows

STAGES = (3, 4)
"""Proxy3D explores attributes and relations in stage 3 and keeps them in stage 4."""


def mmscan(
    path: Path,
    out: Path,
    matcher: Matcher | None = None,
    split: Split | None = None,
    scans: Path | None = None,
    seed: int = 0,
) -> Iterator[Sample]:
    """MMScan's rows, question answering or visual grounding by their fields.

    QA: sub_class, scan_id, question, answers, object_ids, input_bboxes_id, input_bboxes (9 numbers: centre, size, Euler
    angles), ID. VG: sub_class, scan_id, target_id, text, ID. Objects of a question that come with a box become
    region prompts; grounding needs ``matcher``, and rows whose objects have no proposal are left out.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)

    def make(row: Row, number: int) -> Iterable[Sample]:
        if "text" in row and "target_id" in row:
            return _grounding(row, number, path, out, matcher, belongs, scans, seed)
        return _question(row, number, path, out, belongs, scans)

    return convert_rows(path, read_rows(path), make)


def _question(row: Row, number: int, path: Path, out: Path, split: Split, scans: Path | None) -> Iterator[Sample]:
    key = str(row.get("ID", f"{row['scan_id']}/{number}"))
    answers = strings(row["answers"], "answers")
    boxes = row.get("input_bboxes") or []
    ids = row.get("input_bboxes_id") or list(range(len(boxes)))
    regions = tuple(Region(id=i, object=int(ids[i]), box3d=_box(box)) for i, box in enumerate(boxes))
    question = str(row["question"]).strip()
    if regions:
        question = f"{question} (The objects in question: {', '.join(f'Region [{r.id}]' for r in regions)}.)"
    yield Sample(
        id=f"MMScan/{key}",
        source="MMScan",
        family="MMScan",
        kind=str(row["sub_class"]),
        split=split,
        stages=STAGES,
        scene=scene(str(row["scan_id"]), scans, out),
        question=question,
        regions=regions,
        answer=TextAnswer(text=sentence(answers[0]), references=tuple(answers)),
        objects=tuple(_things(row.get("object_ids"), row.get("object_names"))),
        provenance=provenance("MMScan", path, key),
    )


def _grounding(
    row: Row,
    number: int,
    path: Path,
    out: Path,
    matcher: Matcher | None,
    split: Split,
    scans: Path | None,
    seed: int,
) -> Iterator[Sample]:
    key = str(row.get("ID", f"{row['scan_id']}/{number}"))
    targets = row["target_id"] if isinstance(row["target_id"], list) else [row["target_id"]]
    things = matcher.match(str(row["scan_id"]), [int(i) for i in targets]) if matcher else None
    if things is None or len(things) > MARKERS:
        return
    wording, text = pick(MULTI3DREFER, seed, key)
    described = str(row["text"]).strip().rstrip(".?")
    yield Sample(
        id=f"MMScan/{key}",
        source="MMScan",
        family="MMScan",
        kind=str(row["sub_class"]),
        split=split,
        stages=STAGES,
        scene=scene(str(row["scan_id"]), scans, out),
        question=text.format(described),
        description=described,
        answer=IdAnswer(text=id_text([t.marker or 0 for t in things], "Yes."), objects=tuple(t.id for t in things)),
        objects=tuple(things),
        provenance=provenance("MMScan", path, key).model_copy(update={"template": str(wording)}),
    )


def _things(ids: Sequence[Any] | None, names: Sequence[str] | None) -> Iterator[Thing]:
    for number, name in dict(zip(map(int, ids or ()), names or (), strict=False)).items():
        yield Thing(id=number, label=str(name).lower())


def _box(numbers: Sequence[float]) -> Box:
    """A box of 6 (centre, size) or 9 numbers (and Euler angles z, x, y, radians, as EmbodiedScan has them)."""
    from scipy.spatial.transform import Rotation

    if len(numbers) not in (6, 9):
        raise ValueError(f"a box has {len(numbers)} numbers, expected 6 or 9")
    values = [float(v) for v in numbers]
    axes = Rotation.from_euler("ZXY", values[6:] or [0.0, 0.0, 0.0]).as_matrix().T.tolist()
    return Box(
        center=(values[0], values[1], values[2]),
        size=(values[3], values[4], values[5]),
        axes=tuple(tuple(row) for row in axes),
    )

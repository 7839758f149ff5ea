"""ScanRefer, Multi3DRefer and Scan2Cap: expressions for objects, and captions of them.

Answers name proposals, see ``proposals``; training samples whose objects have none of enough overlap are left out, as
in the published preparation. Without proposals the annotated objects stand for themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from proxy3d_training.data.convert.proposals import Matcher
from proxy3d_training.data.convert.rows import convert_rows, pick, provenance, scene, split_in
from proxy3d_training.data.questions.grounding import MULTI3DREFER, SCAN2CAP, SCANREFER
from proxy3d_training.data.schema import IdAnswer, Sample, Split, TextAnswer, id_text, marker
from proxy3d_training.evaluation.items import Row, read_rows


def _described(row: Row) -> str:
    text = str(row["description"]).strip()
    return text[:-1] if text.endswith((".", "?")) else text


def scanrefer(
    path: Path, out: Path, matcher: Matcher, split: Split | None = None, scans: Path | None = None, seed: int = 0
) -> Iterator[Sample]:
    """ScanRefer's rows: scene_id, object_id, object_name, ann_id, description.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)

    def make(row: Row, number: int) -> Iterable[Sample]:
        key = f"{row['scene_id']}|{row['object_id']}|{row['ann_id']}"
        things = matcher.match(row["scene_id"], [int(row["object_id"])])
        if not things:
            return
        wording, text = pick(SCANREFER, seed, key)
        described = _described(row)
        yield Sample(
            id=f"ScanRefer/{key}",
            source="ScanRefer",
            family="ScanRefer",
            kind="grounding",
            split=belongs,
            scene=scene(row["scene_id"], scans, out, "scannet"),
            question=text.format(described),
            description=described,
            answer=IdAnswer(text=id_text([things[0].marker or 0]), objects=(things[0].id,)),
            objects=tuple(things),
            provenance=provenance("ScanRefer", path, key).model_copy(update={"template": str(wording)}),
        )

    return convert_rows(path, read_rows(path), make)


def multi3drefer(
    path: Path, out: Path, matcher: Matcher, split: Split | None = None, scans: Path | None = None, seed: int = 0
) -> Iterator[Sample]:
    """Multi3DRefer's rows: scene_id, object_ids (none to many), ann_id, eval_type, description.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)

    def make(row: Row, number: int) -> Iterable[Sample]:
        key = f"{row['scene_id']}|{row['ann_id']}|{number}"
        things = matcher.match(row["scene_id"], [int(i) for i in row["object_ids"]])
        if things is None:
            return
        wording, text = pick(MULTI3DREFER, seed, key)
        described = _described(row)
        yield Sample(
            id=f"Multi3DRefer/{key}",
            source="Multi3DRefer",
            family="Multi3DRefer",
            kind=str(row["eval_type"]),
            split=belongs,
            scene=scene(row["scene_id"], scans, out, "scannet"),
            question=text.format(described),
            description=described,
            answer=IdAnswer(text=id_text([t.marker or 0 for t in things], "Yes."), objects=tuple(t.id for t in things)),
            objects=tuple(things),
            provenance=provenance("Multi3DRefer", path, key).model_copy(update={"template": str(wording)}),
        )

    return convert_rows(path, read_rows(path), make)


def scan2cap(
    path: Path, out: Path, matcher: Matcher, split: Split | None = None, scans: Path | None = None, seed: int = 0
) -> Iterator[Sample]:
    """ScanRefer's rows as captions (Scan2Cap): each description is a target, all of one object are references.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)
    rows = read_rows(path)
    captions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        captions[str(row.get("scene_id")), str(row.get("object_id"))].append(str(row.get("description")))

    def make(row: Row, number: int) -> Iterable[Sample]:
        key = f"{row['scene_id']}|{row['object_id']}|{row['ann_id']}"
        references = captions[str(row["scene_id"]), str(row["object_id"])]
        things = matcher.match(row["scene_id"], [int(row["object_id"])])
        # Captions are asked for once for each object; only training has one for each description.
        if not things or (belongs != "train" and row["description"] != references[0]):
            return
        wording, text = pick(SCAN2CAP, seed, key)
        yield Sample(
            id=f"Scan2Cap/{key}",
            source="Scan2Cap",
            family="Scan2Cap",
            kind="caption",
            split=belongs,
            scene=scene(row["scene_id"], scans, out, "scannet"),
            question=text.format(marker(things[0].marker or 0)),
            answer=TextAnswer(text=str(row["description"]).strip(), references=tuple(references)),
            objects=tuple(things),
            provenance=provenance("Scan2Cap", path, key).model_copy(update={"template": str(wording)}),
        )

    return convert_rows(path, rows, make)

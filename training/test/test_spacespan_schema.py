"""The SpaceSpan format: what is a sample, what is not, and that problems name file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from proxy3d_core.errors import BadInput
from proxy3d_training.data.files import line_of, read_samples, scene_folder, validate, write_samples
from proxy3d_training.data.schema import Box, Mask, Sample, id_text, json_schema, marker
from proxy3d_training.data.stats import count


def sample(**changes: Any) -> dict[str, Any]:
    """A choice about two objects, with everything a sample can have but masks."""
    return {
        "version": 1,
        "id": "a",
        "source": "Simulated",
        "family": "VSI-Bench",
        "kind": "object_rel_distance",
        "split": "train",
        "scene": {"dataset": "simulated", "name": "r1", "space": "r1", "folder": "rooms/r1"},
        "situation": {"text": "I stand by the desk.", "position": [1, 2, 0], "facing": [0, 1, 0]},
        "question": "Which is nearer to Region [0], <OBJ003> or the lamp?",
        "options": ["A. chair", "B. lamp"],
        "instruction": "Answer with the letter.",
        "regions": [{"id": 0, "object": 5, "box3d": {"center": [0, 0, 0], "size": [1, 1, 1], "yaw": 0.5}}],
        "answer": {"type": "choice", "text": "B", "letter": "B"},
        "objects": [{"id": 5, "label": "desk"}, {"id": 9, "marker": 3, "label": "chair"}],
        **changes,
    }


def test_a_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    first = Sample.model_validate(sample())
    assert write_samples(tmp_path / "a.jsonl", [first]) == 1
    assert list(read_samples(tmp_path / "a.jsonl")) == [first]
    assert json.loads(line_of(first))["version"] == 1
    assert scene_folder(tmp_path / "a.jsonl", first) == tmp_path / "rooms" / "r1"


def test_prompt_is_situation_question_options_instruction() -> None:
    assert Sample.model_validate(sample()).prompt() == (
        "I stand by the desk. Which is nearer to Region [0], <OBJ003> or the lamp?\n"
        "Options:\nA. chair\nB. lamp\nAnswer with the letter."
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": 2}, "version"),
        ({"split": "dev"}, "split"),
        ({"colour": "red"}, "colour"),
        ({"scene": None}, "scene"),
        ({"question": ""}, "question"),
        ({"question": "Where is <OBJ004>?"}, "question"),
        ({"question": "Where is Region [7]?"}, "question"),
        ({"options": ["A. chair"]}, "options"),
        ({"options": ["B. chair", "A. lamp"]}, "options"),
        ({"answer": {"type": "choice", "text": "C", "letter": "C"}}, "answer.letter"),
        ({"answer": {"type": "number", "text": "one", "value": "one"}}, "answer.value"),
        ({"answer": {"type": "number", "text": "1", "value": 1}}, "options"),
        ({"options": [], "answer": {"type": "id", "text": "<OBJ003>.", "objects": [8]}}, "answer.objects"),
        ({"options": [], "answer": {"type": "id", "text": "No.", "objects": [9]}}, "answer.text"),
        ({"objects": [{"id": 9, "marker": 3}, {"id": 9}]}, "objects"),
        ({"objects": [{"id": 9, "marker": 100}]}, "objects.0.marker"),
        ({"situation": {"facing": [3, 0, 0]}}, "situation.facing"),
        ({"regions": [{"id": 0, "frame": "f"}]}, "regions.0"),
        ({"regions": [{"id": 0, "box2d": [0, 0, 4, 4]}]}, "regions.0"),
        ({"regions": [{"id": 0, "frame": "f", "mask": {"size": [2, 2], "counts": [1, 2]}}]}, "regions.0.mask"),
        ({"regions": [{"id": 0, "box3d": {"center": [0, 0, 0], "size": [1, -1, 1]}}]}, "regions.0.box3d"),
    ],
)
def test_problems_name_file_line_and_field(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(sample(id="good")) + "\n" + json.dumps(sample(**changes)) + "\n")
    found = validate([path])
    assert found.samples == 2
    assert next((p.file, p.line) for p in found.problems) == (str(path), 2)
    assert field in [p.field for p in found.problems]
    with pytest.raises(BadInput, match=r"bad\.jsonl:2: "):
        list(read_samples(path))


def test_problems_between_lines_and_files(tmp_path: Path) -> None:
    scene = sample()["scene"]
    lines = [
        sample(id="a"),
        sample(id="a"),  # same id
        sample(id="b", split="val"),  # the room is trained on
        sample(id="c", split="val", scene={**scene, "space": "r2"}),
        sample(id="d", split="test", scene={**scene, "space": "r2"}),  # held out twice: allowed
    ]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text("".join(json.dumps(line) + "\n" for line in lines[:1]))
    two.write_text("".join(json.dumps(line) + "\n" for line in lines[1:]) + "{broken\n")
    found = validate([one, two], folders=True)
    assert [(p.file, p.line, p.field) for p in found.problems if p.field != "scene.folder"] == [
        (str(two), 1, "id"),
        (str(two), 2, "split"),
        (str(two), 5, "line"),
    ]
    assert sum(p.field == "scene.folder" for p in found.problems) == 5
    assert validate([two], limit=1).left_out > 0
    with pytest.raises(BadInput, match="cannot read"):
        validate([tmp_path / "missing.jsonl"])


def test_masks_are_coded_as_coco_does() -> None:
    # Columns first: the picture [[0, 1], [1, 1]] reads 0, 1, 1, 1.
    assert Mask.encode(np.array([[0, 1], [1, 1]], bool)).counts == (1, 3)
    assert Mask.encode(np.ones((2, 3), bool)).counts == (0, 6)
    assert Mask.encode(np.zeros((2, 3), bool)).counts == (6,)
    picture = np.random.default_rng(1).random((7, 5)) > 0.6
    assert (Mask.encode(picture).decode() == picture).all()


def test_boxes_keep_their_axes() -> None:
    upright = Box(center=(1, 2, 3), size=(0.4, 0.6, 0.8), yaw=0.3)
    assert Box.of(upright.oriented()) == upright
    tilted = Box(center=(0, 0, 0), size=(1, 2, 3), axes=((0, 0, 1), (1, 0, 0), (0, 1, 0)))
    assert Box.of(tilted.oriented()) == tilted
    assert tilted.oriented().top == pytest.approx(0.5)  # the edge of length 1 points up
    with pytest.raises(ValidationError, match="perpendicular"):
        Box(center=(0, 0, 0), size=(1, 1, 1), axes=((1, 0, 0), (1, 0, 0), (0, 0, 1)))


def test_answers_name_objects_in_the_published_form() -> None:
    # Chat-Scene's form: "No.", "Yes. <OBJ001>.", "Yes. A and B.", "Yes. A, B, and C."
    assert id_text([], "Yes.") == "No."
    assert id_text([12]) == "<OBJ012>."
    assert id_text([1], "Yes.") == "Yes. <OBJ001>."
    assert id_text([7, 1], "Yes.") == "Yes. <OBJ001> and <OBJ007>."
    assert id_text([3, 1, 99], "Yes.") == "Yes. <OBJ001>, <OBJ003>, and <OBJ099>."
    assert marker(5) == "<OBJ005>"


def test_markers_of_a_live_map_replace_those_of_the_file() -> None:
    asked = Sample.model_validate(
        sample(
            options=[],
            question="What is on <OBJ003>?",
            answer={"type": "id", "text": "Yes. <OBJ003> and <OBJ004>.", "objects": [9, 4]},
            objects=[{"id": 9, "marker": 3}, {"id": 4, "marker": 4}],
            regions=[],
        )
    )
    moved = asked.marked({9: 40, 4: 2})
    assert moved is not None
    assert moved.question == "What is on <OBJ040>?"
    assert moved.answer.text == "Yes. <OBJ002> and <OBJ040>."
    assert {t.id: t.marker for t in moved.objects} == {9: 40, 4: 2}
    assert asked.marked({9: 40}) is None


def test_counts_by_source_and_type() -> None:
    text = {"type": "text", "text": "Red.", "references": ["red"]}
    samples = [
        Sample.model_validate(sample(id="a")),
        Sample.model_validate(sample(id="b", options=[], answer=text)),
        Sample.model_validate(sample(id="c", source="ScanQA", family="ScanQA", options=[], answer=text, split="val")),
    ]
    found = count(samples).as_dict()
    assert found["table"] == {
        "ScanQA": {"text": 1, "id": 0, "number": 0, "choice": 0},
        "Simulated: VSI-Bench": {"text": 1, "id": 0, "number": 0, "choice": 1},
    }
    assert found["types"] == {"text": 2, "id": 0, "number": 0, "choice": 1}
    assert found["total"] == 3 and found["splits"] == {"train": 2, "val": 1}


def test_the_json_schema_knows_the_fields() -> None:
    assert {"id", "question", "answer", "split"} <= set(json_schema()["required"])

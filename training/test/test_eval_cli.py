"""`proxy3d eval` on a small room by hand: every benchmark's files in, the JSON document out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from proxy3d_core.errors import MissingExtra
from proxy3d_core.reasoning.annotated import read_scenes
from proxy3d_core.reasoning.answer import Answer, Question, Status
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training import __version__
from proxy3d_training.cli import evaluate
from proxy3d_training.evaluation import captions
from proxy3d_training.evaluation.baselines import OtherScenes, best_number
from proxy3d_training.evaluation.items import Item
from proxy3d_training.evaluation.qa import VsiBench, sqa3d_viewpoint
from proxy3d_training.evaluation.run import ask

ROOM = {
    "name": "room",
    "room_size": 20.0,
    "objects": [
        {"id": 3, "label": "chair", "center": [1, 0, 0.5], "size": [0.5, 0.5, 1]},
        {"id": 4, "label": "chair", "center": [2, 0, 0.5], "size": [0.5, 0.5, 1]},
        {"id": 5, "label": "door", "center": [0, 0, 1], "size": [0.1, 1, 2]},
        {"id": 6, "label": "tv", "center": [0, 3, 1], "size": [1.2, 0.1, 0.7]},
        {"id": 7, "label": "sofa", "center": [-2, 1.5, 0.4], "size": [0.8, 2, 0.8]},
    ],
}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A file with the room."""
    return write(tmp_path, "room.json", ROOM)


def run(*arguments: object, code: int = 0) -> dict[str, Any]:
    """The JSON document of a run (empty where it fails)."""
    result = CliRunner().invoke(evaluate, [str(a) for a in arguments] + ["--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else {"error": result.output}


def test_made_questions_are_answered_from_the_boxes(scenes: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.json"
    document = run("vsibench", "--scenes", scenes, "--generate", 40, "--seed", 5, "--rows", "--save-questions", made)
    assert document["benchmark"] == "vsibench"
    assert document["scorer"] == "vsibench-official"
    assert document["seed"] == 5
    assert document["version"] == __version__
    assert document["n"] == len(document["rows"]) == len(json.loads(made.read_text()))
    assert document["tasks"]["object_counting"] == {"score": 100.0, "n": 1}
    # Distances are true to the decimetre; a short one may lose a threshold by that.
    assert document["overall"] > 98.0
    assert set(document["scorers"]) == {"vsibench-official", "vsibench-lmms-eval"}
    assert set(document["baselines"]) == {"constant", "blind"}
    assert document["rows"][0]["scores"]["score"] == 1.0
    # The same questions from the file, all answered with A.
    rows = json.loads(made.read_text())
    predictions = write(tmp_path, "predictions.json", {str(r["id"]): "A" for r in rows})
    again = run("vsibench", "--questions", made, "--predictions", predictions)
    letters = [r for r in rows if r["question_type"] == "object_rel_direction_hard"]
    share = 100 * sum(r["ground_truth"] == "A" for r in letters) / len(letters)
    assert again["tasks"]["object_rel_direction_hard"]["score"] == pytest.approx(share)
    assert again["tasks"]["object_counting"]["score"] == 0.0


def test_an_answerer_sees_the_wording_and_the_options_only(scenes: Path) -> None:
    class Recorder:
        name = "recorder"
        seen: list[Question] = []  # noqa: RUF012

        def answer(self, question: Question, snapshot: Snapshot) -> Answer:
            self.seen.append(question)
            return Answer(Status.NOT_FOUND)

    row = {"id": 77, "scene_name": "room", "question_type": "object_counting", "question": "How many?", "options": None}
    items = VsiBench().items([{**row, "ground_truth": "2"}], scenes)
    result = ask(VsiBench(), items, read_scenes(scenes), Recorder())
    assert result.predictions == [""]
    [question] = Recorder.seen
    assert (question.text, question.options, question.viewpoint, question.regions) == ("How many?", (), None, ())


def test_questions_in_other_scenes_are_skipped_and_counted(scenes: Path, tmp_path: Path) -> None:
    row = {"question_type": "object_counting", "question": "How many chair(s) are in this room?", "options": None}
    rows = [{**row, "id": i, "scene_name": name, "ground_truth": "2"} for i, name in enumerate(["room", "hall"])]
    document = run("vsibench", "--scenes", scenes, "--questions", write(tmp_path, "q.json", rows))
    assert (document["n"], document["skipped"]) == (1, 1)
    assert document["overall"] == 100.0
    assert document["statuses"] == {"OK": 1}
    nowhere = write(tmp_path, "other.json", [rows[1]])
    assert "none of the 1 questions" in run("vsibench", "--scenes", scenes, "--questions", nowhere, code=1)["error"]


def test_sqa3d_pose_looks_along_minus_x_of_its_quaternion() -> None:
    quarter = np.sqrt(0.5)
    annotation = {
        "position": {"x": 1, "y": 2, "z": 0},
        "rotation": {"_x": 0, "_y": 0, "_z": quarter, "_w": quarter},
    }
    view = sqa3d_viewpoint(annotation)
    assert view.position.tolist() == [1.0, 2.0, 0.0]
    # A quarter turn to the left takes -x to -y.
    assert view.facing == pytest.approx([0.0, -1.0, 0.0])


def test_sqa3d(scenes: Path, tmp_path: Path) -> None:
    ask_about = ["Is the sofa on my left or right?", "How many chairs are there?"]
    rows = [
        {"scene_id": "room", "situation": "I am at the door.", "question": q, "question_id": i}
        for i, q in enumerate(ask_about)
    ]
    # At the door, looking at the television (+y): -x turned by -90 degrees.
    pose = {
        "position": dict(zip("xyz", (0, 0, 0), strict=True)),
        "rotation": {"_x": 0, "_y": 0, "_z": -(0.5**0.5), "_w": 0.5**0.5},
    }
    annotations = [{"question_id": i, "answers": [{"answer": a}], **pose} for i, a in enumerate(["left", "two"])]
    questions = write(tmp_path, "q.json", {"questions": rows})
    answers = write(tmp_path, "a.json", {"annotations": annotations})
    document = run("sqa3d", "--scenes", scenes, "--questions", questions, "--answers", answers)
    assert document["tasks"]["EM"] == {"score": 100.0, "n": 2}
    assert document["tasks"]["is"]["n"] == 1
    assert document["answered"]["n"] == 2
    assert {"sqa3d-chat-scene", "sqa3d-leo", "sqa3d-exact", "sqa3d-llm"} == set(document["scorers"])
    assert "--answers" in run("sqa3d", "--scenes", scenes, "--questions", questions, code=1)["error"]


def test_scanqa_scores_ten_answers(tmp_path: Path) -> None:
    rows = [
        {"question_id": f"val-{i}", "scene_id": "room", "question": "How many chairs?", "answers": ["2", "two"]}
        for i in range(2)
    ]
    predictions = [
        {"question_id": "val-0", "answer_top10": ["two", "3"]},
        {"question_id": "val-1", "answer_top10": ["3", "2"]},
    ]
    document = run(
        "scanqa",
        "--questions",
        write(tmp_path, "q.json", rows),
        "--predictions",
        write(tmp_path, "p.json", predictions),
    )
    assert document["tasks"]["EM@1"]["score"] == 50.0
    assert document["tasks"]["EM@10"]["score"] == 100.0
    assert document["tasks"]["number"] == {"score": 50.0, "n": 2}


def test_scanrefer_takes_boxes_and_object_names(scenes: Path, tmp_path: Path) -> None:
    row = {"scene_id": "room", "object_name": "chair", "description": "the chair by the door", "token": []}
    rows = [
        {**row, "object_id": "3", "ann_id": "0", "eval_type": "multiple"},
        {**row, "object_id": "7", "ann_id": "0", "eval_type": "unique"},
    ]
    predictions = [
        {"scene_id": "room", "object_id": "3", "ann_id": "0", "box": {"center": [1, 0, 0.5], "size": [0.5, 0.5, 0.4]}},
        {"scene_id": "room", "gt_id": 7, "ann_id": "0", "pred": "It is <OBJ004>."},
    ]
    files = "--questions", write(tmp_path, "q.json", rows), "--predictions", write(tmp_path, "p.json", predictions)
    document = run("scanrefer", "--scenes", scenes, *files)
    assert document["tasks"]["acc@0.25"] == {"score": 100.0, "n": 2}
    assert document["tasks"]["acc@0.5"] == {"score": 50.0, "n": 2}
    assert document["tasks"]["multiple acc@0.5"]["score"] == 0.0
    assert document["tasks"]["unique acc@0.5"]["score"] == 100.0


def test_multi3drefer(scenes: Path, tmp_path: Path) -> None:
    rows = [
        {"scene_id": "room", "ann_id": 0, "object_ids": [3, 4], "description": "chairs", "eval_type": "mt"},
        {"scene_id": "room", "ann_id": 1, "object_ids": [], "description": "cats", "eval_type": "zt_wo_d"},
    ]
    predictions = {"room|0": "<OBJ000>", "room|1": []}
    files = "--questions", write(tmp_path, "q.json", rows), "--predictions", write(tmp_path, "p.json", predictions)
    document = run("multi3drefer", "--scenes", scenes, *files)
    assert document["tasks"]["mt F1@0.5"]["score"] == pytest.approx(200 / 3)  # one of two found: 2 * 1 / (1 + 2)
    assert document["tasks"]["zt_wo_d F1@0.5"]["score"] == 100.0


@pytest.mark.slow
def test_scan2cap_counts_captions_of_badly_placed_boxes_as_empty(scenes: Path, tmp_path: Path) -> None:
    try:
        captions.require()
    except MissingExtra as error:
        pytest.skip(str(error))
    rows = [
        {"scene_id": "room", "object_id": str(i), "object_name": name, "ann_id": "0", "description": text}
        for i, name, text in ((3, "chair", "a small chair by the door"), (7, "sofa", "the long sofa under a window"))
    ]
    far = {"center": [9, 9, 9], "size": [1, 1, 1]}
    predictions = {
        "room|3": rows[0]["description"],
        "room|7": {"caption": rows[1]["description"], "box": far},
    }
    files = "--questions", write(tmp_path, "q.json", rows), "--predictions", write(tmp_path, "p.json", predictions)
    document = run("scan2cap", "--scenes", scenes, *files, "--rows")
    assert set(document["scorers"]) == {"scan2cap-chat-scene", "scan2cap-ll3da"}
    right, wrong = (row["scores"]["ROUGE-L@0.5"] for row in document["rows"])
    assert right == pytest.approx(1.0)
    assert wrong < 0.7


def test_locate3d(tmp_path: Path) -> None:
    row = {
        "scene_id": "42",
        "object_id": 0,
        "ann_id": 0,
        "description": "the clock",
        "gt_boxes": [[[0, 1], [0, 1], [0, 2]], [[5, 6], [5, 6], [5, 6]]],
    }
    questions = write(tmp_path, "q.json", [row])
    for prediction, score in (([[0, 0, 0], [1, 1, 1]], 100.0), ([[5, 5, 5], [6, 6, 6]], 0.0), (None, 0.0)):
        predictions = write(tmp_path, "p.json", {"42|0|0": prediction})
        document = run("locate3d", "--questions", questions, "--predictions", predictions)
        assert document["overall"] == score


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["vsibench"], 2, "--questions FILE or --generate N"),
        (["scanqa", "--questions", "q.json"], 2, "--scenes"),
        (["scanqa", "--generate", "3"], 2, "for vsibench"),
        (["vsibench", "--questions", "missing.json", "--predictions", "p.json"], 1, "cannot read missing.json"),
        (["vsibench", "--scenes", "missing.json", "--generate", "3"], 1, "missing.json"),
    ],
)
def test_wrong_use_says_what_to_do(arguments: list[str], code: int, message: str) -> None:
    output = " ".join(run(*arguments, code=code)["error"].replace("│", " ").split())
    assert message in output


@pytest.mark.parametrize(
    ("questions", "predictions", "message"),
    [
        ([], {}, "holds no rows"),
        ([{"id": 1}], {}, "row 0 has no"),
        ({"a": 1}, {}, "list of rows"),
        ([{"question_id": "a", "scene_id": "s", "question": "Why?", "answers": ["x"]}], {}, "no prediction for 1 of 1"),
        ([{"question_id": "a", "scene_id": "s", "question": "Why?", "answers": ["x"]}], {"a": None}, "neither text"),
        ([{"question_id": "a", "scene_id": "s", "question": "Why?", "answers": ["x"]}] * 2, {"a": "x"}, "the same id"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, questions: Any, predictions: Any, message: str) -> None:
    files = write(tmp_path, "q.json", questions), write(tmp_path, "p.json", predictions)
    assert message in run("scanqa", "--questions", files[0], "--predictions", files[1], code=1)["error"]


def test_blind_baseline_never_sees_its_own_scene() -> None:
    def item(scene: str, text: str) -> Item:
        return Item(f"{scene}{text}", scene, Question(text), None, "")

    items = [item("a", "How many chairs?"), item("b", "How many chairs?"), item("b", "How many tables?")]
    others = OtherScenes(items, [["4"], ["2"], ["1"]])
    assert others.answers(items[0]) == ["2"]
    assert others.answers(items[1]) == ["4"]
    assert others.answers(items[2]) == ["4"]  # the longest beginning that another scene shares: "how many"
    assert others.answers(items[0], str.isalpha) == []


def test_best_constant_number() -> None:
    assert best_number(["2", "2", "2", "9"]) == "2"
    assert best_number(["0"]) == "1"

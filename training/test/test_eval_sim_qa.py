"""Questions about rooms seen through the camera: scores against cases worked out by hand, and one run of all of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="the proxy VLM needs torch: pip install 'proxy3d-training[train]'")
from taught_vlm import teach

from proxy3d_core.config import Config
from proxy3d_core.vlm.calibration import Calibration
from proxy3d_training.cli import evaluate
from proxy3d_training.data import prepare as preparing
from proxy3d_training.data.files import read_samples, write_samples
from proxy3d_training.data.prepared import PreparedScenes
from proxy3d_training.data.questions.generate import as_sample, candidates
from proxy3d_training.data.questions.rooms import read_room
from proxy3d_training.data.schema import (
    Answer,
    Box,
    ChoiceAnswer,
    IdAnswer,
    NumberAnswer,
    Sample,
    Scene,
    TextAnswer,
    Thing,
    id_text,
)
from proxy3d_training.evaluation.calibrate import calibrate, calibration_error, isotonic
from proxy3d_training.evaluation.sim_qa import Row, Said, cell, group_of, interval, put, reachable, scored

DEMO = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"
RUNNER = CliRunner()

# Cubes of 1 m; the map calls true object 1 <OBJ011>, 2 <OBJ012>, and does not have 3.
THINGS = tuple(Thing(id=i, marker=i, label="box", box=Box(center=(2.0 * i, 0, 0.5), size=(1, 1, 1))) for i in (1, 2, 3))
MAP = {1: 11, 2: 12}


def sample(kind: str, answer: Answer, question: str = "What is it?", **more: Any) -> Sample:
    given = {"family": "MMScan", "objects": THINGS, "scene": Scene(dataset="simulated", name="a", space="a")} | more
    return Sample(id="s", source="Simulated", kind=kind, split="test", question=question, answer=answer, **given)


def ids(*objects: int, form: str = "") -> IdAnswer:
    return IdAnswer(text=id_text(list(objects), form), objects=objects)


def box(x: float, size: float = 1.0) -> Any:
    return Box(center=(x, 0, 0.5), size=(size, 1, 1)).oriented()


def score(asked: Sample, text: str, *boxes: Any) -> float:
    return scored(asked, Said(text, boxes), MAP).score


def test_choices_by_their_letter() -> None:
    asked = sample("object_rel_distance", ChoiceAnswer(text="B", letter="B"), options=("A. bed", "B. sofa"))
    assert group_of(asked) == "choice and relation"
    assert [score(asked, text) for text in ("B", "B.", "(b)", "B. sofa", "A", "", "bed")] == [1, 1, 1, 1, 0, 0, 0]


def test_counts_are_right_or_wrong_and_other_numbers_are_more_or_less() -> None:
    count = sample("object_counting", NumberAnswer(text="4", value=4, unit="count"))
    assert group_of(count) == "counting"
    assert [score(count, text) for text in ("4", "four", "4.0", "5", "")] == [1, 1, 1, 0, 0]
    # 5 for 4 is off by a quarter: of the thresholds 0.50, 0.55 ... 0.95 it keeps those up to 0.75, six of ten.
    assert scored(count, Said("5"), MAP).more["mra"] == pytest.approx(0.6)
    words = sample("count", TextAnswer(text="Four.", references=("four", "4")), family="ScanQA")
    assert group_of(words) == "counting"
    assert [score(words, text) for text in ("Four.", "4", "five")] == [1, 1, 0]
    far = sample("object_abs_distance", NumberAnswer(text="2.0", value=2, unit="m"))
    assert group_of(far) == "numbers"
    # 2.3 is off by 0.15, so it keeps the thresholds 0.50 to 0.85, eight of ten.
    assert [score(far, text) for text in ("2.0", "2.3 m", "4.1", "far")] == pytest.approx([1.0, 0.8, 0.0, 0.0])


def test_words_as_sqa3d_compares_them() -> None:
    asked = sample("existence", TextAnswer(text="Yes.", references=("yes",)), family="ScanQA")
    assert group_of(asked) == "words"
    assert [score(asked, text) for text in ("Yes.", "yes", "No.", "")] == [1, 1, 0, 0]
    where = sample("where_on", TextAnswer(text="On the desk.", references=("on the desk", "desk")), family="ScanQA")
    row = scored(where, Said("desk, left"), MAP)
    assert (row.score, row.more["refined"]) == (0, 1)


def test_one_of_the_named_by_its_marker() -> None:
    asked = sample("taller", ids(2), "Which is taller, <OBJ001> or <OBJ002>?")
    assert group_of(asked) == "choice and relation"
    assert put(asked, MAP) == "Which is taller, <OBJ011> or <OBJ012>?"
    assert [score(asked, t) for t in ("<OBJ012>.", "<OBJ011>.", "<OBJ002>.", "<OBJ011> and <OBJ012>.")] == [1, 0, 0, 0]


def test_a_question_that_names_what_the_map_lacks_cannot_be_put() -> None:
    lacking = sample("taller", ids(3), "Which is taller, <OBJ001> or <OBJ003>?")
    assert put(lacking, MAP) is None
    assert scored(lacking, None, MAP).score == 0
    # One whose answer the map lacks can be put, and is wrong unless a box happens to be right.
    asked = sample("grounding_unique", ids(3), 'Find "the box".', family="ScanRefer")
    assert put(asked, MAP) == 'Find "the box".'
    assert score(asked, "<OBJ012>.", box(4)) == 0


def test_grounding_by_the_overlap_of_map_and_true_box() -> None:
    asked = sample("grounding_unique", ids(1), 'Find "the box".', family="ScanRefer")
    assert group_of(asked) == "grounding"
    # Cubes of 1 m, shifted by d: IoU (1 - d) / (1 + d), which is 0.5 at a third and 0.25 at 0.6.
    for shift, half, quarter in ((0.3, 1, 1), (0.4, 0, 1), (0.59, 0, 1), (0.61, 0, 0)):
        row = scored(asked, Said("<OBJ011>.", (box(2 + shift),)), MAP)
        assert (row.score, row.more["acc@0.25"]) == (half, quarter)
    assert score(asked, "<OBJ011>, and <OBJ012>.", box(4), box(2)) == 0  # the first one counts
    assert score(asked, "No.") == 0
    assert reachable(asked, [box(4), box(2.3)]) == 1 and reachable(asked, [box(2.4)]) == 0
    # A picture 2 cm thick, found 3 cm off: the boxes do not meet, but taken as 10 cm thick they do.
    flat = Thing(id=1, marker=1, label="picture", box=Box(center=(0, 0, 1), size=(0.02, 1, 1)))
    row = scored(
        asked.model_copy(update={"objects": (flat,)}),
        Said("<OBJ011>.", (Box(center=(0.03, 0, 1), size=(0.02, 1, 1)).oriented(),)),
        MAP,
    )
    assert (row.score, row.more["acc@0.5 thick"]) == (0, 1)


def test_carriers_are_the_same_object_or_not() -> None:
    asked = sample("carried_by", ids(2), "On which object is <OBJ001>?")
    assert group_of(asked) == "choice and relation"
    assert [score(asked, "<OBJ012>.", box(x)) for x in (4, 4.59, 4.7)] == [1, 1, 0]


def test_several_objects_by_f1() -> None:
    asked = sample("find_category", ids(1, 2), "Find all boxes.")
    assert group_of(asked) == "several objects"
    # Right ones of named and true ones together: 2 * 2 / 4, 2 * 1 / 3, 2 * 1 / 4.
    assert score(asked, "", box(2), box(4)) == 1
    assert score(asked, "", box(4)) == pytest.approx(2 / 3)
    assert score(asked, "", box(4), box(9)) == pytest.approx(0.5)
    assert score(asked, "No.") == 0
    none = sample("grounding_any", IdAnswer(text="No.", objects=()), "Are there any?", family="Multi3DRefer")
    assert [score(none, "No."), score(none, ""), score(none, "Yes. <OBJ011>.", box(2))] == [1, 0, 0]


def row(space: str, points: float, said: bool = True, confidence: float = 0.5, kind: str = "text") -> Row:
    asked = sample("existence", TextAnswer(text="Yes.", references=("yes",)), family="ScanQA")
    asked = asked.model_copy(update={"scene": Scene(dataset="simulated", name=space, space=space)})
    return Row(asked, Said("x", (), confidence, kind) if said else None, points)


def test_what_cannot_be_put_counts_as_wrong_and_beside_it_does_not_count() -> None:
    found = cell([row("a", 1), row("a", 1), row("b", 0), row("b", 0, said=False)])
    assert (found.score, found.n) == (50, 4)
    assert found.asked == (pytest.approx(200 / 3), 3)
    assert cell([row("a", 0, said=False)]).document()["asked"] == {"score": None, "n": 0}


def test_intervals_draw_rooms() -> None:
    assert interval(np.array([0.0, 100.0] * 20), ["a", "b"] * 20) == (0, 100)  # two rooms: one of them may come twice
    assert interval(np.full(10, 30.0), list("abcdefghij")) == (30, 30)
    # 400 rooms of one question each: the interval of a share of one half, 1.96 * sqrt(0.25 / 400) = 4.9 points.
    low, high = interval(np.array([0.0, 100.0] * 200), [str(i) for i in range(400)])
    assert low == pytest.approx(45.1, abs=0.7) and high == pytest.approx(54.9, abs=0.7)


def test_isotonic_confidence_is_what_was_right() -> None:
    # Of answers that the model is 0.3 sure of none is right, at 0.6 and 0.8 a half, at 0.9 all.
    raw = np.repeat([0.3, 0.6, 0.8, 0.9], 50)
    right = np.concatenate([np.zeros(50), np.tile([0.0, 1.0], 50), np.ones(50)])
    x, y = isotonic(raw, right)
    assert np.interp([0.1, 0.3, 0.9, 1.0], x, y) == pytest.approx([0, 0, 1, 1])
    assert np.interp([0.6, 0.7, 0.8], x, y) == pytest.approx([0.5] * 3, abs=0.05)
    error, bins = calibration_error(raw, right)
    # |0.3 - 0| , |0.6 - 0.5|, |0.8 - 0.5|, |0.9 - 1|, each of a quarter.
    assert error == pytest.approx((0.3 + 0.1 + 0.3 + 0.1) / 4, abs=0.03)
    assert sum(b["n"] for b in bins) == 200


def test_calibration_is_measured_on_other_rooms(tmp_path: Path) -> None:
    # The model is always 0.9 sure and right in every other answer, in each room.
    rows = [row(f"room {i // 20}", float(i % 2), confidence=0.9) for i in range(400)]
    content, report = calibrate([*rows, row("room 0", 0, said=False)])
    assert report["text"]["n"] == 200
    assert report["text"]["raw"] == pytest.approx(0.4, abs=1e-3)
    assert report["text"]["calibrated"] == pytest.approx(0, abs=0.05)
    (tmp_path / "calibration.json").write_text(json.dumps(content))
    assert Calibration.beside(tmp_path).confidence("text", np.log(0.9)) == pytest.approx(0.5, abs=0.05)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of the demo room, some frames of each, under two names."""
    folder = tmp_path_factory.mktemp("rooms")
    for name, start in (("first", 0), ("second", 40)):
        (folder / name).mkdir()
        for file in ("camera-intrinsics.txt", "labels.json"):
            shutil.copy(DEMO / file, folder / name)
        truth = json.loads((DEMO / "truth.json").read_text())
        (folder / name / "truth.json").write_text(json.dumps(truth | {"name": name}))
        for pose in sorted(DEMO.glob("*.pose.txt"))[start::8][:10]:
            for path in DEMO.glob(pose.name.partition(".")[0] + ".*"):
                shutil.copy(path, folder / name)
    return folder


@pytest.fixture(scope="module")
def prepared(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    config = Config.from_flat({"encoder.source": ""})
    assert preparing.prepare(preparing.jobs([rooms]), out, config, workers=1).made == 2
    return out


@pytest.fixture(scope="module")
def questions(rooms: Path) -> Path:
    """The first question of some kinds about each room."""
    out = rooms / "questions.jsonl"
    kinds = {
        "object_rel_distance",
        "existence",
        "taller",
        "grounding_unique",
        "object_abs_distance",
        "caption",
        "attribute_category",
    }
    kinds |= {"symbol_category", "region_width"}
    made: list[Sample] = []
    for name in ("first", "second"):
        room = read_room(rooms / name)
        left = set(kinds)
        for candidate in candidates(room, 0, 4, ("vsi", "everyday", "grounding", "attributes", "alignment", "regions")):
            if candidate.kind in left:
                left.remove(candidate.kind)
                made.append(as_sample(room, candidate, "test", 0, len(made), out))
    # The demo's truth does not say what carries what; its monitor (20) is on its desk (13).
    room = read_room(rooms / "first")
    desk, monitor = (room.thing(room.by_id[number]) for number in (13, 20))
    about = {"objects": (desk, monitor), "scene": room.scene(out.parent)}
    standing = f"What is <OBJ{monitor.marker:03d}> standing on? Give its ID."
    made.append(sample("carried_by", IdAnswer(text=f"<OBJ{desk.marker:03d}>.", objects=(13,)), standing, **about))
    write_samples(out, made)
    return out


def run(*arguments: object) -> Any:
    result = RUNNER.invoke(evaluate, ["sim-qa", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
def test_a_model_that_knows_some_answers(questions: Path, prepared: Path, tmp_path: Path) -> None:
    scenes = PreparedScenes(prepared)
    lessons: dict[str, str] = {}
    known: dict[str, bool] = {}
    said: dict[str, str] = {}
    for one in read_samples(questions):
        if one.scene is None or one.kind not in ("existence", "taller", "attribute_category"):
            continue
        markers = scenes[one.scene.name].marker_of_true
        text, marked = put(one, markers), one.marked(markers)
        if text is not None and marked is not None and text not in lessons:
            known[one.id] = one.scene.name == "first"
            said[one.id] = lessons[text] = marked.answer.text if known[one.id] else "Nobody knows."
    assert list(known.values()).count(True) >= 2 and list(known.values()).count(False) >= 1
    model, file = teach(tmp_path / "model", lessons), tmp_path / "rows.jsonl"
    found = run(questions, "--scenes", prepared, "--model", model, "--rows", file)
    assert found["benchmark"] == "sim-qa" and found["rooms"] == 2
    assert found["n"] + found["skipped"] == sum(1 for _ in read_samples(questions))
    rows = {entry["id"]: entry for entry in map(json.loads, file.read_text().splitlines())}
    assert {key: rows[key]["answer"] for key in said} == said
    assert {key: rows[key]["score"] for key in known} == {key: float(right) for key, right in known.items()}
    for name, task in found["tasks"].items():
        own = [entry["score"] for entry in rows.values() if entry["kind"] == name]
        assert task["score"] == pytest.approx(100 * np.mean(own), abs=0.01) and task["n"] == len(own)
    assert found["baselines"]["chance"]["tasks"].keys() == found["tasks"].keys()
    # What it says of scenes shown otherwise is not known beforehand; that every question is put is.
    for shown in (["--scene", "none"], ["--scene", "pixels"], ["--budget", "60", "--ungrouped", "--shuffled"]):
        assert run(questions, "--scenes", prepared, "--model", model, *shown)["n"] == found["n"]
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(found))
    b.write_text(json.dumps(found | {"answerer": "another"}))
    table = RUNNER.invoke(evaluate, ["sim-qa", "--compare", str(a), "--compare", str(b)])
    assert table.exit_code == 0 and "another" in table.stdout


def test_geometry_answers_on_the_live_map(questions: Path, prepared: Path) -> None:
    found = run(questions, "--scenes", prepared, "--answerer", "geometric")
    assert found["answerer"] == "geometric"
    # What can be put is about objects that the map has, with the robot's labels and good boxes.
    for kind in ("MMScan/attribute_category", "MMScan/taller", "MMScan/carried_by"):
        assert found["tasks"][kind]["asked"]["score"] == 100 and found["tasks"][kind]["asked"]["n"] >= 1


def test_what_is_wrong_is_said(questions: Path, prepared: Path, tmp_path: Path) -> None:
    for arguments, text in (
        ([str(questions), "--scenes", str(tmp_path)], "proxy3d data prepare"),
        (["--compare", str(questions)], "proxy3d eval sim-qa --json"),
        ([str(questions), "--scenes", str(prepared), "--model", str(tmp_path)], "config.json"),
    ):
        result = RUNNER.invoke(evaluate, ["sim-qa", *arguments])
        assert result.exit_code == 1 and text in result.stderr, result.output
    assert RUNNER.invoke(evaluate, ["sim-qa"]).exit_code == 2

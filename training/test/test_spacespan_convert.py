"""Converters, on files written here by hand in the published layouts, and on the real parts where they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy3d_core.errors import BadInput
from proxy3d_core.reasoning.annotated import read_scenes
from proxy3d_training.data.convert import mmscan, qa, referring, scenes, video
from proxy3d_training.data.convert.proposals import Boxes, Matcher, overlaps, read_boxes
from proxy3d_training.data.convert.rows import dataset_of, split_in
from proxy3d_training.data.files import validate, write_samples
from proxy3d_training.data.schema import ChoiceAnswer, IdAnswer, NumberAnswer, Sample, TextAnswer

SCAN = "scene0900_01"


def put(path: Path, content: Any) -> Path:
    """Write JSON, or JSON lines for a list under a name that says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(json.dumps(content))
    return path


def boxes(*rows: list[float]) -> Boxes:
    return Boxes(tuple(range(len(rows))), tuple(f"thing {i}" for i in range(len(rows))), np.array(rows, float))


@pytest.fixture
def matcher() -> Matcher:
    """Three annotated unit cubes; proposals in another order: 0 is no object, 1 is cube 2, 2 is cube 0, 3 is half of
    cube 1.
    """
    annotated = boxes([0, 0, 0, 1, 1, 1], [5, 0, 0, 1, 1, 1], [0, 5, 0, 1, 1, 1])
    proposed = boxes([9, 9, 9, 1, 1, 1], [0, 5, 0, 1, 1, 1], [0.05, 0, 0, 1, 1, 1], [5.25, 0, 0, 0.5, 1, 1])
    return Matcher({SCAN: annotated}, {SCAN: proposed})


def test_overlap_by_hand() -> None:
    # Shifted by a tenth: 0.9 shared of 1.1 together.
    found = overlaps(np.array([[0, 0, 0, 1, 1, 1.0]]), np.array([[0.1, 0, 0, 1, 1, 1.0], [3, 0, 0, 1, 1, 1.0]]))
    assert found[0].tolist() == pytest.approx([0.9 / 1.1, 0.0])


def test_objects_become_proposals(matcher: Matcher) -> None:
    found = matcher.match(SCAN, [0, 2])
    assert found is not None and [(t.id, t.marker, t.label) for t in found] == [(2, 2, "thing 0"), (1, 1, "thing 2")]
    assert matcher.match(SCAN, [1]) is None  # IoU 0.5 is not enough
    assert matcher.match("scene0000_00", [0]) is None
    assert matcher.match(SCAN, []) == []
    with pytest.raises(ValueError, match="no object 7"):
        matcher.match(SCAN, [7])


def test_scanrefer(tmp_path: Path, matcher: Matcher) -> None:
    rows = [
        {
            "scene_id": SCAN,
            "object_id": str(number),
            "object_name": "cube",
            "ann_id": "3",
            "description": "a cube. it is blue.",
            "token": [],
        }
        for number in (0, 1)
    ]
    path = put(tmp_path / "ScanRefer_filtered_train.json", rows)
    (only,) = referring.scanrefer(path, tmp_path / "out.jsonl", matcher, scans=tmp_path / "scans")
    assert '"a cube. it is blue"' in only.question and only.description == "a cube. it is blue"
    assert only.answer == IdAnswer(text="<OBJ002>.", objects=(2,))
    assert only.scene is not None
    assert (only.scene.space, only.scene.folder, only.split) == ("scene0900", f"scans/{SCAN}", "train")
    assert only.provenance.key == f"{SCAN}|0|3" and only.provenance.file == path.name


def test_multi3drefer(tmp_path: Path, matcher: Matcher) -> None:
    rows = [
        {
            "scene_id": SCAN,
            "object_ids": ids,
            "ann_id": i,
            "eval_type": kind,
            "description": "cubes",
            "object_name": "x",
        }
        for i, (ids, kind) in enumerate([([], "zt_w_d"), ([2], "st_wo_d"), ([2, 0], "mt"), ([1], "st_w_d")])
    ]
    path = put(tmp_path / "multi3drefer_train.json", rows)
    found = list(referring.multi3drefer(path, tmp_path / "out.jsonl", matcher))
    assert [s.answer.text for s in found] == ["No.", "Yes. <OBJ001>.", "Yes. <OBJ001> and <OBJ002>."]
    assert [s.kind for s in found] == ["zt_w_d", "st_wo_d", "mt"]


def test_scan2cap(tmp_path: Path, matcher: Matcher) -> None:
    rows = [
        {"scene_id": SCAN, "object_id": "0", "object_name": "cube", "ann_id": str(i), "description": text}
        for i, text in enumerate(["a blue cube.", "the cube by the wall."])
    ]
    train = list(referring.scan2cap(put(tmp_path / "x_train.json", rows), tmp_path / "o.jsonl", matcher))
    assert [s.answer.text for s in train] == ["a blue cube.", "the cube by the wall."]
    assert all("<OBJ002>" in s.question for s in train)
    (val,) = referring.scan2cap(put(tmp_path / "x_val.json", rows), tmp_path / "o.jsonl", matcher)
    assert isinstance(val.answer, TextAnswer) and len(val.answer.references) == 2


def test_scanqa_and_sqa3d(tmp_path: Path) -> None:
    row = {"question_id": "q1", "scene_id": SCAN, "question": "What is it?", "answers": ["blue", "dark blue", "blue"]}
    path = put(tmp_path / "ScanQA_v1.0_train.json", [{**row, "object_ids": [1], "object_names": ["cube"]}])
    found = list(qa.scanqa(path, tmp_path / "o.jsonl"))
    assert [s.answer.text for s in found] == ["Blue.", "Dark blue."]
    assert found[0].prompt() == "What is it? Answer the question using a single word or phrase."

    questions = [
        {
            "scene_id": SCAN,
            "situation": "I sit.",
            "alternative_situation": [],
            "question": "Can I go?",
            "question_id": 7,
        }
    ]
    annotation = {
        "question_id": 7,
        "scene_id": SCAN,
        "answers": [{"answer": "no", "answer_id": 1}],
        "rotation": {"_x": 0, "_y": 0, "_z": 0, "_w": 1},
        "position": {"x": 1.5, "y": 2.0, "z": 0},
    }
    path = put(tmp_path / "v1_balanced_questions_val_scannetv2.json", {"questions": questions})
    answers = put(tmp_path / "annotations.json", {"annotations": [annotation]})
    (only,) = qa.sqa3d(path, answers, tmp_path / "o.jsonl")
    assert only.situation is not None and only.situation.position == (1.5, 2.0, 0.0)
    assert only.situation.facing == pytest.approx((-1, 0, 0))  # no turn: the facing is -x (benchmarks.md)
    assert only.prompt() == "I sit. Can I go? Answer the question using a single word or phrase."
    assert only.answer.text == "No." and only.kind == "can" and only.split == "val"


def test_mmscan_questions_and_grounding(tmp_path: Path) -> None:
    question = {
        "sub_class": "QA_Single_Attribute",
        "scan_id": "3rscan0012",
        "question": "What is it made of?",
        "answers": ["Wood", "oak"],
        "object_ids": [4],
        "object_names": ["Desk"],
        "input_bboxes_id": [4],
        "input_bboxes": [[1, 2, 3, 0.5, 0.6, 0.7, 0.3, 0, 0]],
        "output_bboxes_id": None,
        "output_bboxes": None,
        "ID": "QA_1",
    }
    path = put(tmp_path / "MMScan_QA_train.json", [question])
    (asked,) = mmscan.mmscan(path, tmp_path / "o.jsonl")
    assert asked.answer == TextAnswer(text="Wood.", references=("Wood", "oak"))
    assert asked.stages == (3, 4) and "Region [0]" in asked.question
    box = asked.regions[0].box3d
    assert box is not None and box.oriented().yaw == pytest.approx(0.3)

    row = {
        "sub_class": "VG_Inter",
        "scan_id": "s",
        "target_id": [0, 1],
        "distractor_ids": [],
        "text": "Find all cubes. ",
        "target": ["cube", "cube"],
        "anchors": [],
        "anchor_ids": [],
        "tokens_positive": {},
        "ID": "VG_1",
    }
    path = put(tmp_path / "MMScan_VG_train.json", [row])
    own = Matcher({"s": boxes([0, 0, 0, 1, 1, 1], [5, 0, 0, 1, 1, 1])})
    (found,) = mmscan.mmscan(path, tmp_path / "o.jsonl", own)
    assert found.answer.text == "Yes. <OBJ000> and <OBJ001>." and found.description == "Find all cubes"
    assert list(mmscan.mmscan(path, tmp_path / "o.jsonl")) == []  # objects cannot be named without boxes


def test_sr91k(tmp_path: Path) -> None:
    rows = [
        {
            "problem_id": 1,
            "problem": "How far is A from B (in meters)?",
            "data_type": "video",
            "problem_type": "regression",
            "solution": "<answer>1.5</answer>",
            "path": f"./SR/ScanNet/{SCAN}.mp4",
            "data_source": "SR_dataset",
        },
        {
            "problem_id": 2,
            "problem": "Which is it?",
            "data_type": "video",
            "problem_type": "multiple choice",
            "options": ["A. left", "B. right"],
            "solution": "<answer>B</answer>",
            "path": f"./SR/ScanNet/{SCAN}.mp4",
        },
        {  # the early release
            "problem_id": 3,
            "problem": "Question:\nHow many chairs are there?",
            "data_type": "video",
            "question_type": "object_counting",
            "solution": "4",
            "video": f"/data/{SCAN}.mp4",
        },
    ]
    found = list(video.sr91k(put(tmp_path / "sr.jsonl", rows), tmp_path / "o.jsonl"))
    assert [s.answer for s in found] == [
        NumberAnswer(text="1.5", value=1.5, unit="m"),
        ChoiceAnswer(text="B", letter="B"),
        NumberAnswer(text="4", value=4, unit="count"),
    ]
    assert {s.scene.space for s in found if s.scene} == {"scene0900"}
    assert found[2].question == "How many chairs are there?" and found[2].kind == "object_counting"


def test_vsi590k(tmp_path: Path) -> None:
    def row(human: str, answer: str, **media: str) -> dict[str, Any]:
        turns = [{"from": "human", "value": human}, {"from": "gpt", "value": answer}]
        return {"conversations": turns, "question_type": "relative_direction", **media}

    rows = [
        row(
            "<image>\nThese are frames of a video.\nWhere is it?\nOptions:\nA. left\nB. right\n"
            "Answer with the option's letter from the given choices directly.",
            "A",
            video="scannet/videos/train/scene0001_00.mp4",
        ),
        row(
            "<image>\nHow large is the room in square meters?\n"
            "Please answer the question using a single word or phrase.",
            "21.4",
            video="arkitscenes/videos/41069021.mp4",
        ),
        row("<image>\nWhat is it?", "a cup", image="s3dis/x.png"),
    ]
    path = put(tmp_path / "vsi_590k.jsonl", rows)
    choice, area = video.vsi590k(path, tmp_path / "o.jsonl")
    assert choice.options == ("A. left", "B. right") and choice.answer == ChoiceAnswer(text="A", letter="A")
    assert choice.question == "Where is it?" and choice.scene and choice.scene.space == "scene0001"
    assert area.answer == NumberAnswer(text="21.4", value=21.4, unit="m^2")
    assert area.scene is not None and area.scene.dataset == "arkitscenes"
    assert len(list(video.vsi590k(path, tmp_path / "o.jsonl", images=True))) == 3


def _turned(degrees: float) -> list[float]:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return [c, s, 0, -s, c, 0, 0, 0, 1]  # the three axes, one after the other


def test_boxes_of_scans_with_oriented_boxes(tmp_path: Path) -> None:
    obb = {"centroid": [1, 2, 0.5], "axesLengths": [2, 1, 1], "normalizedAxes": _turned(30)}
    groups = {"segGroups": [{"objectId": 5, "id": 5, "label": "Desk", "segments": [1], "obb": obb}]}
    groups["segGroups"].append({**groups["segGroups"][0], "objectId": 6, "label": "floor"})
    put(tmp_path / "rio" / "aaa" / "semseg.v2.json", groups)
    put(tmp_path / "pp" / "0a1b2c3d4e" / "scans" / "segments_anno.json", groups)
    entry = {"uid": "u", "label": "tv_monitor", "segments": {"obbAligned": obb}}
    put(tmp_path / "arkit" / "41069021" / "41069021_3dod_annotation.json", {"data": [entry]})
    for dataset, folder, name, label in (
        ("3rscan", "rio", "aaa", "desk"),
        ("scannetpp", "pp", "0a1b2c3d4e", "desk"),
        ("arkitscenes", "arkit", "41069021", "tv monitor"),
    ):
        document = scenes.annotated(dataset, tmp_path / folder)
        out = put(tmp_path / f"{dataset}.json", document)
        (thing,) = read_scenes(out)[name].snapshot.objects
        assert thing.label == label
        assert np.rad2deg(thing.box.yaw) == pytest.approx(30)
        assert read_boxes(out)[name].boxes[0, 3] == pytest.approx(2 * np.cos(np.pi / 6) + 1 * np.sin(np.pi / 6))


def test_boxes_of_scannet_are_those_of_the_aligned_mesh(tmp_path: Path) -> None:
    folder = tmp_path / SCAN
    corners = [(x, y, z) for x in (0, 1) for y in (0, 2) for z in (0, 3)]
    lines = ["ply", "format ascii 1.0", f"element vertex {len(corners)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += ["element face 1", "property list uchar int vertex_indices", "end_header"]
    folder.mkdir()
    text = "\n".join([*lines, *(" ".join(map(str, c)) for c in corners), "3 0 1 2"]) + "\n"
    (folder / f"{SCAN}_vh_clean_2.ply").write_text(text)
    put(folder / f"{SCAN}_vh_clean_2.0.010000.segs.json", {"segIndices": [7] * 8})
    group = {"id": 0, "objectId": 0, "segments": [7], "label": "cabinet"}
    put(folder / f"{SCAN}.aggregation.json", {"segGroups": [group]})
    # A quarter turn about z, then 10 m along x.
    (folder / f"{SCAN}.txt").write_text("axisAlignment = 0 -1 0 10 1 0 0 0 0 0 1 0 0 0 0 1 \ncolorHeight = 968\n")
    (scene,) = scenes.annotated("scannet", tmp_path)["scenes"]
    (thing,) = scene["objects"]
    assert thing["size"] == pytest.approx([2, 1, 3]) and thing["center"] == pytest.approx([9, 0.5, 1.5])


def test_attribute_files_are_read_without_executing_anything(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "scannet_mask3d_val_attributes.pt"
    torch.save({SCAN: {"objects": ["chair", "table"], "locs": torch.tensor([[0.0, 0, 0, 1, 1, 1]] * 2)}}, path)
    found = read_boxes(path)[SCAN]
    assert found.labels == ("chair", "table") and found.boxes.shape == (2, 6)

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("executed",))

    torch.save(Evil(), path)
    with pytest.raises(BadInput, match="cannot read"):
        read_boxes(path)


def test_wrong_files_are_refused_with_file_row_and_field(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    path = put(tmp_path / "x_train.json", [{"question_id": "1", "scene_id": SCAN}])
    with pytest.raises(BadInput, match=r"x_train\.json: row 0 has no 'answers'"):
        list(qa.scanqa(path, out))
    with pytest.raises(BadInput, match="--split"):
        split_in(Path("questions.json"), None)
    with pytest.raises(BadInput, match=r"lines\.jsonl:2 is not JSON"):
        (tmp_path / "lines.jsonl").write_text(
            '{"problem_id": 1, "problem": "x", "solution": "1", "path": "a.mp4"}\n{\n'
        )
        list(video.sr91k(tmp_path / "lines.jsonl", out))
    with pytest.raises(BadInput, match="holds no scans of scannet"):
        scenes.annotated("scannet", tmp_path)
    with pytest.raises(BadInput, match="no file"):
        read_boxes(tmp_path / "missing.pt")


def test_names_of_scans_tell_their_dataset() -> None:
    assert dataset_of("scene0011_00") == "scannet"
    assert dataset_of("41069021") == "arkitscenes"
    assert dataset_of("0a76e06478") == "scannetpp"
    assert dataset_of("531cff08-0021-28f6-8e08-ba2eeb945e09") == "3rscan"


@pytest.mark.data
def test_real_scanqa_and_sqa3d(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "real.jsonl"

    def every() -> Any:
        yield from qa.scanqa(data_dir / "scanqa" / "ScanQA_v1.0_val_part.json", out)
        yield from qa.sqa3d(
            data_dir / "sqa3d" / "v1_balanced_questions_test_part.json",
            data_dir / "sqa3d" / "v1_balanced_sqa_annotations_test_part.json",
            out,
        )

    samples: list[Sample] = list(every())
    assert write_samples(out, samples) == 1774 + 1593
    assert not validate([out]).problems
    assert {s.split for s in samples} == {"val", "test"}


@pytest.mark.data
def test_real_askers_face_what_they_say_they_face(data_dir: Path, tmp_path: Path) -> None:
    """Position and facing of converted SQA3D samples, held against the true boxes of the same scans."""
    rooms = read_scenes(data_dir / "vsi_scene_objects" / "scannet_meta_info.json")
    samples = qa.sqa3d(
        data_dir / "sqa3d" / "v1_balanced_questions_test_part.json",
        data_dir / "sqa3d" / "v1_balanced_sqa_annotations_test_part.json",
        tmp_path / "o.jsonl",
    )
    cosines = []
    for sample in samples:
        where = sample.situation
        assert sample.scene is not None and where is not None
        named = re.search(r"\bfacing (?:a|an|the) ([a-z]+)\b", where.text)
        room = rooms.get(sample.scene.name)
        if room is None or named is None or where.position is None or where.facing is None:
            continue
        found = [o for o in room.snapshot.objects if o.label == named[1]]
        if len(found) == 1:
            way = (found[0].box.center - where.position)[:2]
            cosines.append(float(way @ where.facing[:2] / np.linalg.norm(way)))
    assert len(cosines) > 20
    assert np.median(cosines) > 0.9  # some situations face one end of a wide thing

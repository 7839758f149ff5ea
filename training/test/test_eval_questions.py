"""VSI-Bench questions made from boxes: geometry by hand, the wording of genuine rows, and the genuine answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.reasoning.annotated import read_scenes
from proxy3d_core.scene.snapshot import FloorPlan, SceneObject, Snapshot
from proxy3d_training.evaluation.scorers import vsibench_row
from proxy3d_training.evaluation.vsi_questions import closest_distance, direction_degrees, generate


def box(x: float, y: float, z: float = 0.5, size: tuple[float, float, float] = (0.4, 0.4, 1.0)) -> OrientedBox:
    return OrientedBox.from_yaw((x, y, z), size)


def room(area: float | None, **things: list[OrientedBox]) -> Snapshot:
    pairs = [(label.replace("_", " "), b) for label, boxes in things.items() for b in boxes]
    objects = tuple(SceneObject(i, label, 1.0, b) for i, (label, b) in enumerate(pairs, 1))
    return Snapshot(objects=objects, floor=FloorPlan(area=area))


def test_closest_distance_of_boxes_by_hand() -> None:
    unit = OrientedBox.from_yaw((0, 0, 0), (1, 1, 1))
    assert closest_distance(unit, OrientedBox.from_yaw((3, 0, 0), (1, 1, 1))) == pytest.approx(2.0, abs=1e-9)
    # Diagonal neighbours: corner to corner.
    assert closest_distance(unit, OrientedBox.from_yaw((2, 2, 2), (1, 1, 1))) == pytest.approx(3**0.5, abs=1e-9)
    # Turned by 45 degrees, an edge points at the face: its half diagonal counts.
    turned = OrientedBox.from_yaw((3, 0, 0), (1, 1, 1), np.pi / 4)
    assert closest_distance(unit, turned) == pytest.approx(2.5 - 0.5**0.5, abs=1e-9)
    assert closest_distance(unit, OrientedBox.from_yaw((0.2, 0.1, 0), (3, 3, 3))) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_sampled_pair_of_points_is_closer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = [
        OrientedBox(rng.uniform(-1, 1, 3), rng.uniform(0.1, 1, 3), Rotation.random(random_state=seed + i).as_matrix())
        for i in range(2)
    ]
    inside = [b.center + (rng.uniform(-0.5, 0.5, (300, 3)) * b.size) @ b.rotation.T for b in pair]
    nearest = np.linalg.norm(inside[0][:, None] - inside[1], axis=-1).min()
    found = closest_distance(*pair)
    assert found <= nearest + 1e-9
    assert found >= nearest - 0.6  # 300 points in half a metre lie this close to everything


@pytest.mark.parametrize(
    ("target", "degrees"), [((0, 2), 0), ((-2, 2), 45), ((-2, 0), 90), ((0, -2), 180), ((2, 0), 270), ((2, 2), 315)]
)
def test_directions_count_counter_clockwise_from_the_facing(target: tuple[float, float], degrees: float) -> None:
    assert direction_degrees(box(0, 0), box(0, 3), box(*target)) == pytest.approx(degrees)


def test_questions_follow_the_rules_and_the_wording() -> None:
    scene = room(
        20.26,
        chair=[box(1, 0), box(2, 0)],
        door=[box(0, 0)],
        tv=[box(0, 3, 1.0, (0.1, 1.234, 0.7))],
        sofa=[box(-2, 1)],
    )
    rows = generate({"room": scene}, 1000)
    kinds = Counter(r["question_type"] for r in rows)
    assert kinds["object_counting"] == 1
    assert kinds["object_size_estimation"] == 3
    assert kinds["object_rel_distance"] == 0  # four options besides the anchor are needed
    by_text = {r["question"]: r for r in rows}
    assert by_text["How many chair(s) are in this room?"]["ground_truth"] == "2"
    size = "What is the length of the longest dimension (length, width, or height) of the tv, measured in centimeters?"
    assert by_text[size]["ground_truth"] == "123"
    area = (
        "What is the size of this room (in square meters)? \n"
        "If multiple rooms are shown, estimate the size of the combined space."
    )
    assert by_text[area]["ground_truth"] == "20.3"
    distance = next(r for q, r in by_text.items() if "distance between" in q and "tv" in q and "door" in q)
    # Along y from the door's far side 0.2 to the tv's near side 3 - 0.617; their heights overlap.
    assert distance["ground_truth"] == "2.2"
    hard = next(
        r
        for q, r in by_text.items()
        if q.startswith("If I am standing by the door and facing the tv, is the sofa to my front")
    )
    assert hard["question"].endswith(
        "to my front-left, front-right, back-left, or back-right?\n"
        "The directions refer to the quadrants of a Cartesian plane (if I am standing at the origin and facing along "
        "the positive y-axis)."
    )
    right = {o[0]: o[3:] for o in hard["options"]}[hard["ground_truth"]]
    assert right == "front-left"  # the sofa is at 63 degrees to the left


def test_close_calls_are_not_asked() -> None:
    near = room(None, door=[box(0, 0)], tv=[box(0, 0.5)], sofa=[box(0.02, 2)])
    rows = generate({"room": near}, 1000)
    distances = [r for r in rows if r["question_type"] == "object_abs_distance"]
    assert not any("tv" in r["question"] and "door" in r["question"] for r in distances)  # 0.1 m apart
    # Door, television and sofa stand in a line: left or right would be a matter of centimetres.
    assert not any(r["question_type"] == "object_rel_direction_easy" for r in rows)


def test_relative_distance_options_differ_by_a_margin() -> None:
    things = {f"thing_{i}": [box(1.0 + 0.5 * i, 0)] for i in range(4)}
    rows = generate({"room": room(20.0, lamp=[box(0, 0)], **things)}, 1000)
    assert any(r["question_type"] == "object_rel_distance" for r in rows)
    close = {f"thing_{i}": [box(1.0 + 0.1 * i, 0)] for i in range(4)}
    rows = generate({"room": room(20.0, lamp=[box(0, 0)], **close)}, 1000)
    assert not any(r["question_type"] == "object_rel_distance" and "to the lamp?" in r["question"] for r in rows)


def test_the_seed_decides() -> None:
    scene = {"room": room(20.0, **{f"thing_{i}": [box(i, i % 3)] for i in range(6)})}
    assert generate(scene, 30, seed=3) == generate(scene, 30, seed=3)
    assert generate(scene, 30, seed=3) != generate(scene, 30, seed=4)
    assert len(generate(scene, 7)) == 7
    with pytest.raises(BadInput, match="too few"):
        generate({"room": Snapshot()}, 5)


@pytest.mark.data
def test_genuine_answers_follow_from_the_boxes(data_dir: Path) -> None:
    folder = data_dir / "vsi_scene_objects"
    scenes = {
        name: scene.snapshot for path in folder.glob("*_meta_info.json") for name, scene in read_scenes(path).items()
    }
    scores: dict[str, list[float]] = {}
    for row in json.loads((folder / "vsi_bench_real_rows.json").read_text()):
        boxes: dict[str, list[OrientedBox]] = {}
        for item in scenes[row["scene_name"]].objects:
            boxes.setdefault(item.label, []).append(item.box)
        kind, text = row["question_type"], row["question"]
        names = re.findall(r"(?:How many|the) ([a-z ]+?)(?:\(s\)| and | \(in|, is| to my)", text)
        if kind == "object_counting":
            answer = str(len(boxes[names[0]]))
        elif kind == "object_abs_distance":
            first, second = text.split("between the ")[1].split(" (in")[0].split(" and the ")
            answer = f"{closest_distance(boxes[first][0], boxes[second][0]):.1f}"
        else:
            angle = direction_degrees(*(boxes[name][0] for name in names[:3]))
            quadrant = ("front-left", "back-left", "back-right", "front-right")[int(angle // 90)]
            answer = next(option[0] for option in row["options"] if option[3:] == quadrant)
        scores.setdefault(kind, []).append(vsibench_row(kind, answer, row["ground_truth"]))
    assert set(scores["object_counting"]) == {1.0}
    assert set(scores["object_rel_direction_hard"]) == {1.0}
    # The benchmark measured between sampled surface points, to within a decimetre.
    assert np.mean(scores["object_abs_distance"]) >= 0.94

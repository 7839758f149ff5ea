"""Annotated scenes as snapshots; the benchmark's own questions where its files are at hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from proxy3d_core.errors import BadInput
from proxy3d_core.reasoning.annotated import read_scenes, scene_from_dict
from proxy3d_core.reasoning.answer import Question
from proxy3d_core.reasoning.geometric import GeometricAnswerer

KITCHEN = {
    "name": "kitchen",
    "room_size": 12.5,
    "objects": [
        {"label": "Table", "center": [1, 2, 0.4], "size": [1.6, 0.8, 0.8], "axes": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]},
        {
            "label": "chair",
            "center": [3, 2, 0.5],
            "size": [0.5, 0.5, 1.0],
            "id": 9,
            "first_seen": 2.5,
            "color": [10, 20, 30],
        },
    ],
}


def test_our_own_format(tmp_path):
    (tmp_path / "scenes.json").write_text(json.dumps({"scenes": [KITCHEN]}))
    snapshot = read_scenes(tmp_path / "scenes.json")["kitchen"].snapshot
    table, chair = snapshot.objects
    assert (table.id, table.label, chair.id, chair.first_seen_ns) == (1, "table", 9, 2_500_000_000)
    assert snapshot.floor.area == 12.5
    # The long edge lies along y, so the near side of the table is at x = 1.4 and the chair's at 2.75.
    answer = GeometricAnswerer().answer(Question("How far is the chair from the table?"), snapshot)
    assert answer.value == pytest.approx(1.35)


def test_another_up_axis_is_turned_to_z():
    scene = scene_from_dict(
        {"up": [0, -1, 0], "floor": -1.0, "objects": [{"label": "lamp", "center": [2, 0, 3], "size": [0.2, 1.5, 0.3]}]}
    )
    lamp = scene.snapshot.objects[0].box
    assert lamp.center[2] == pytest.approx(0.0) and lamp.top - lamp.bottom == pytest.approx(1.5)
    np.testing.assert_allclose(scene.rotation @ [0, -1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(scene.rotation @ [2, 0, 3], lamp.center, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objects": "chair"}, "objects"),
        ({"objects": [{"center": [0, 0, 0], "size": [1, 1, 1]}]}, "label"),
        ({"objects": [{"label": "a", "center": [0, 0], "size": [1, 1, 1]}]}, "center"),
        ({"objects": [{"label": "a", "center": [0, 0, 0], "size": [1, -1, 1]}]}, "negative"),
        ({"objects": [{"label": "a", "center": [0, 0, math.nan], "size": [1, 1, 1]}]}, "finite"),
        ({"objects": [{"label": "a", "center": [0, 0, 0], "size": [1, 1, 1], "axes": [0] * 9}]}, "axis"),
        ({"objects": [{"label": "a", "id": 1, "center": [0, 0, 0], "size": [1, 1, 1]}] * 2}, "same id"),
        ({"up": [0, 0, 0]}, "up"),
    ],
)  # fmt: skip
def test_wrong_scenes_are_named(change, words):
    with pytest.raises(BadInput, match=words):
        scene_from_dict({**KITCHEN, **change})


def test_foreign_files(tmp_path):
    for text in ("", "[]", '{"a": 1}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(BadInput, match=r"x\.json"):
            read_scenes(tmp_path / "x.json")
    with pytest.raises(BadInput, match="cannot read"):
        read_scenes(tmp_path / "none.json")


@pytest.fixture(scope="module")
def vsi(data_dir):
    folder = data_dir / "vsi_scene_objects"
    scenes = read_scenes(folder / "scannet_meta_info.json") | read_scenes(folder / "arkitscenes_meta_info.json")
    return scenes, json.loads((folder / "vsi_bench_real_rows.json").read_text())


def relative_accuracy(value, truth):
    """VSI-Bench: mean over thresholds 0.50, 0.55 ... 0.95 of |p - g| / g <= 1 - threshold."""
    return np.mean([abs(value - truth) / truth <= 1 - t for t in np.linspace(0.5, 0.95, 10)])


@pytest.mark.data
def test_genuine_benchmark_rows(vsi):
    """All 84 rows: counts and directions right, distances within what the benchmark's surface samples explain."""
    scenes, rows = vsi
    answerer = GeometricAnswerer()
    scores: dict[str, list[float]] = {}
    for row in rows:
        answer = answerer.answer(
            Question(row["question"], options=tuple(row["options"] or ())), scenes[row["scene_name"]].snapshot
        )
        text = answer.text.split(" ")[0]
        truth = row["ground_truth"]
        score = float(text == truth) if row["options"] else relative_accuracy(float(text), float(truth))
        scores.setdefault(row["question_type"], []).append(score)
    assert np.mean(scores["object_counting"]) == 1.0
    assert np.mean(scores["object_rel_direction_hard"]) == 1.0
    assert np.mean(scores["object_abs_distance"]) >= 0.94


@pytest.mark.data
def test_sizes_and_counts_in_all_rooms(vsi):
    scenes, _ = vsi
    answerer = GeometricAnswerer()
    for scene in scenes.values():
        labels = [o.label for o in scene.snapshot.objects]
        for label in set(labels):
            asked = f"How many {label}(s) are in this room?"
            assert answerer.answer(Question(asked), scene.snapshot).text == str(labels.count(label)), (
                scene.name,
                asked,
            )
            if labels.count(label) == 1:
                asked = (
                    "What is the length of the longest dimension (length, width, or height) of the "
                    f"{label}, measured in centimeters?"
                )
                box = scene.snapshot.objects[labels.index(label)].box
                assert answerer.answer(Question(asked), scene.snapshot).value == pytest.approx(100 * box.size.max())

"""The perception benchmark, on a tiny recording whose every figure is known by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.scene.snapshot import ObjectState, SceneObject, Snapshot
from proxy3d_core.sequences import open_sequence
from proxy3d_training.cli import evaluate as command
from proxy3d_training.evaluation.perception import Identities, Scores, compare_changes, compare_objects
from proxy3d_training.evaluation.visible import Visible
from proxy3d_training.matching import assign, overlaps
from proxy3d_training.simulation import truth as simulated

# A camera at the origin, 1 m above the floor, looks along x at a wall 4 m away; one pixel is 2 cm on the wall. In front
# of the wall stand things of 20 x 20 pixels; the truth tells where. The third one shows in the first frame alone.
WIDTH, HEIGHT, FOCAL = 160, 120, 200.0
LOOK = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]], float)
CHAIR, TABLE, VASE, LAMP = 1, 2, 3, 4


def place(column: int, depth: float, thickness: float = 0.4) -> simulated.Box:
    """The box of a thing that covers pixels [column, column + 20) x [50, 70) with its front at ``depth``."""
    edge = 20 * depth / FOCAL
    left = (column + 9.5 - (WIDTH - 1) / 2) * depth / FOCAL
    up = 1 - (59.5 - (HEIGHT - 1) / 2) * depth / FOCAL
    return simulated.Box((depth + thickness / 2, -left, up), (thickness, edge, edge), 0.0)


def record(folder: Path, columns: list[dict[int, tuple[int, float]]], truth: simulated.Truth) -> Path:
    """Write a recording; each frame shows things by id: their first column and depth."""
    folder.mkdir()
    for number, shown in enumerate(columns):
        depth = np.full((HEIGHT, WIDTH), 4000, np.uint16)
        instance = np.zeros((HEIGHT, WIDTH), np.uint16)
        for i, (column, distance) in shown.items():
            depth[50:70, column : column + 20] = round(1000 * distance)
            instance[50:70, column : column + 20] = i
        stem = f"{folder}/frame-{30 * number:06d}"
        cv2.imwrite(f"{stem}.depth.png", depth)
        cv2.imwrite(f"{stem}.instance.png", instance)
        cv2.imwrite(f"{stem}.color.jpg", np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
        np.savetxt(f"{stem}.pose.txt", LOOK)
    k = [[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]]
    np.savetxt(folder / "camera-intrinsics.txt", np.array(k))
    truth.save(folder)
    return folder


def truth_of(*things: simulated.Thing, changes: tuple[simulated.Change, ...] = ()) -> simulated.Truth:
    return simulated.Truth("tiny", 0, 0, "test", (), (), things, changes)


@pytest.fixture
def visible(tmp_path: Path) -> Visible:
    """Chair and table in four frames, the vase in one; the lamp is removed after two."""
    lamp = place(120, 2.0)
    truth = truth_of(
        simulated.Thing(CHAIR, "chair", place(10, 2.0)),
        simulated.Thing(TABLE, "table", place(60, 3.0)),
        simulated.Thing(VASE, "vase", place(90, 2.0)),
        simulated.Thing(LAMP, "lamp", lamp),
        changes=(simulated.Change("removed", LAMP, 2.0, lamp, None),),
    )
    both = {CHAIR: (10, 2.0), TABLE: (60, 3.0)}
    frames = [both | {VASE: (90, 2.0), LAMP: (120, 2.0)}, both | {LAMP: (120, 2.0)}, both, both]
    folder = record(tmp_path / "tiny", frames, truth)
    return Visible(truth, folder, open_sequence(folder), PerceptionConfig())


def thing(number: int, label: str, box: OrientedBox, **more: object) -> SceneObject:
    return SceneObject(number, label, 1.0, box, **more)  # type: ignore[arg-type]


def shifted(box: simulated.Box, x: float = 0.0, y: float = 0.0) -> OrientedBox:
    old = box.oriented()
    return OrientedBox(old.center + np.array([x, y, 0.0]), old.size, old.rotation)


def test_what_is_shown(visible: Visible) -> None:
    # 400 of 19200 pixels are 2.08 %; the vase is in one frame only, the lamp is gone at the end.
    assert [t.id for t in visible.at_end()] == [CHAIR, TABLE]
    chair = visible.truth.thing(CHAIR)
    assert [round(s.share, 4) for s in visible.of(chair)] == [0.0208] * 4
    # Only its front was seen, by every fourth pixel: 5 x 5 points, 16 of 19 pixel steps wide.
    seen = visible.seen_box(chair)
    assert seen is not None
    assert seen.size == pytest.approx([0.0, 0.16, 0.16], abs=0.005)
    assert [c.object for c in visible.checkable()] == [LAMP]


def test_beyond_reach_is_not_shown(visible: Visible, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    near = Visible(visible.truth, folder, open_sequence(folder), PerceptionConfig(max_depth=2.5))
    assert [t.id for t in near.at_end()] == [CHAIR]


def test_objects(visible: Visible) -> None:
    chair, table = (visible.truth.thing(i).box for i in (CHAIR, TABLE))
    scene = Snapshot(
        objects=(
            thing(11, "chair", chair.oriented()),
            thing(12, "chair", shifted(chair, x=0.2)),  # half beside it: IoU 1/3
            thing(13, "table", shifted(table, y=0.06)),  # edge 0.3: IoU 0.24 / 0.36 = 2/3
            thing(14, "vase", visible.truth.thing(VASE).box.oriented()),  # there, but shown too little
            thing(15, "sofa", OrientedBox.from_yaw((2, 5, 0), (2, 1, 1))),
            thing(16, "desk", OrientedBox.from_yaw((9, 9, 0), (1, 1, 1)), state=ObjectState.GONE),
        )
    )
    scores = Scores()
    assert compare_objects(scene, visible, scores) == {11: CHAIR, 13: TABLE}
    figures = scores.figures()
    assert (figures["objects"], figures["map_objects"]) == (2, 5)
    assert figures["recall@0.5"] == 100.0
    assert figures["precision@0.5"] == 50.0  # 2 of the 5 without the vase
    assert (figures["recall_4"], figures["recall_5"]) == (100.0, None)  # all in four frames
    assert figures["f1@0.5"] == pytest.approx(200 * 2 / (2 + 4), abs=0.05)
    assert (figures["duplicates"], figures["ghosts"], figures["missed"]) == (1, 1, 0)
    assert scores.ghosts == {"sofa": 1}
    assert figures["box_iou"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-3)
    assert figures["center_error_p50"] == pytest.approx(0.03)
    assert figures["size_error_p90"] == 0
    # Two chairs for one, one table for one.
    assert (figures["counts_right"], figures["count_error"]) == (50.0, 0.5)
    assert figures["distances"] == 1
    true = chair.oriented().distance(table.oriented())
    assert figures["distance_error_p50"] == pytest.approx(
        abs(chair.oriented().distance(shifted(table, y=0.06)) - true), abs=1e-3
    )


def test_wrong_labels(visible: Visible) -> None:
    chair = visible.truth.thing(CHAIR).box.oriented()
    scores = Scores()
    compare_objects(Snapshot(objects=(thing(1, "stool", chair),)), visible, scores)
    figures = scores.figures()
    assert (figures["recall@0.5"], figures["any_label_recall@0.5"], figures["label_right"]) == (0.0, 50.0, 0.0)
    assert (figures["missed"], figures["ghosts"]) == (1, 0)


def test_merged_things(tmp_path: Path) -> None:
    first, second = place(20, 2.0), place(45, 2.0)
    truth = truth_of(simulated.Thing(1, "chair", first), simulated.Thing(2, "chair", second))
    folder = record(tmp_path / "two", [{1: (20, 2.0), 2: (45, 2.0)}] * 2, truth)
    visible = Visible(truth, folder, open_sequence(folder), PerceptionConfig())
    # Both in one box, 0.45 m wide: each is 4/9 of it.
    middle = (np.array(first.center) + second.center) / 2
    both = OrientedBox.from_yaw(middle, (0.4, 0.45, 0.2))
    scores = Scores()
    compare_objects(Snapshot(objects=(thing(1, "chair", both),)), visible, scores)
    figures = scores.figures()
    assert (figures["recall@0.25"], figures["recall@0.5"]) == (50.0, 0.0)
    assert (figures["merged"], figures["missed"], figures["ghosts"], figures["duplicates"]) == (1, 0, 0, 0)
    assert figures["box_iou"] == pytest.approx(4 / 9, abs=1e-3)
    # One of them alone does not stand for both.
    scores = Scores()
    compare_objects(Snapshot(objects=(thing(1, "chair", first.oriented()),)), visible, scores)
    assert (scores.counts["merged"], scores.missed) == (0, {"chair": 1})


def test_an_empty_map(visible: Visible) -> None:
    scores = Scores()
    assert compare_objects(Snapshot(), visible, scores) == {}
    figures = scores.figures()
    assert (figures["recall@0.25"], figures["precision@0.25"], figures["missed"]) == (0.0, None, 2)


def test_removed(visible: Visible) -> None:
    lamp = visible.truth.thing(LAMP).box.oriented()

    def recognised(*objects: SceneObject) -> tuple[str, int]:
        scores = Scores()
        compare_changes(Snapshot(objects=objects), visible, scores)
        figures = scores.figures()
        return figures["removed"], figures["false_changes"]

    gone = thing(1, "lamp", lamp, state=ObjectState.GONE)
    assert recognised(gone) == ("1/1", 0)
    assert recognised(thing(1, "lamp", lamp)) == ("0/1", 0)
    assert recognised(gone, thing(2, "lamp", lamp)) == ("0/1", 0)
    elsewhere = dataclasses.replace(gone, box=OrientedBox.from_yaw((3, 3, 0), (1, 1, 1)))
    assert recognised(elsewhere) == ("0/1", 1)


def test_moved_and_added(tmp_path: Path) -> None:
    old, new = place(10, 2.0), place(60, 2.0)
    truth = truth_of(
        simulated.Thing(CHAIR, "chair", new),
        simulated.Thing(LAMP, "lamp", place(110, 2.0)),
        changes=(
            simulated.Change("moved", CHAIR, 2.0, old, new),
            simulated.Change("added", LAMP, 2.0, None, place(110, 2.0)),
        ),
    )
    before, after = {CHAIR: (10, 2.0)}, {CHAIR: (60, 2.0), LAMP: (110, 2.0)}
    folder = record(tmp_path / "changes", [before, before, after, after], truth)
    visible = Visible(truth, folder, open_sequence(folder), PerceptionConfig())
    lamp = thing(5, "lamp", place(110, 2.0).oriented(), first_seen_ns=2 * 10**9)

    def figures(*objects: SceneObject) -> dict[str, object]:
        scores = Scores()
        compare_changes(Snapshot(objects=objects), visible, scores)
        return scores.figures()

    carried = thing(4, "chair", new.oriented(), state=ObjectState.MOVED, previous_boxes=(old.oriented(),))
    right = figures(carried, lamp)
    assert (right["moved"], right["added"], right["moved_as_two"], right["false_changes"]) == ("1/1", "1/1", 0, 0)
    gone, fresh = thing(4, "chair", old.oriented(), state=ObjectState.GONE), thing(6, "chair", new.oriented())
    two = figures(gone, fresh, dataclasses.replace(lamp, first_seen_ns=10**9))
    assert (two["moved"], two["added"], two["moved_as_two"]) == ("0/1", "0/1", 1)

    # Over time the chair keeps its id 4 where it is carried along, and gets another one where it is not.
    for last, switches in ((carried, 0), (fresh, 1)):
        watch = Identities(visible)
        watch.look(Snapshot(objects=(thing(4, "chair", old.oriented()),)), 1.0)
        watch.look(Snapshot(objects=()), 1.5)
        watch.look(Snapshot(objects=(last,)), 2.5)
        assert (watch.switches, watch.tracked) == (switches, 1)


def test_a_duplicate_beside_it_is_no_switch(visible: Visible) -> None:
    chair = visible.truth.thing(CHAIR).box
    watch = Identities(visible)
    watch.look(Snapshot(objects=(thing(4, "chair", shifted(chair, x=0.1)),)), 0.0)
    # The newcomer fits better, but the old one is still there.
    watch.look(Snapshot(objects=(thing(4, "chair", shifted(chair, x=0.1)), thing(7, "chair", chair.oriented()))), 1.0)
    assert watch.switches == 0


def test_assignment_is_the_best_one_to_one() -> None:
    score = np.array([[0.6, 0.5], [0.55, 0.1]])
    assert sorted(assign(score, 0.25)) == [(0, 1), (1, 0)]  # 0.5 + 0.55 is more than 0.6 + nothing
    assert assign(np.zeros((0, 3)), 0.25) == []


def test_overlaps_are_the_boxes_own() -> None:
    a = [OrientedBox.from_yaw((0, 0, 0), (1, 1, 1)), OrientedBox.from_yaw((5, 0, 0), (1, 1, 1))]
    b = [OrientedBox.from_yaw((0.5, 0, 0), (1, 1, 1)), OrientedBox.from_yaw((0, 0, 0), (1, 1, 1), np.pi / 2)]
    assert overlaps(a, b) == pytest.approx(np.array([[1 / 3, 1.0], [0.0, 0.0]]), abs=1e-6)


def test_command(visible: Visible, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["sim", str(tmp_path / "tiny"), "--semantics", "none", "--each", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    figures = document["semantics"]["none"]
    assert (document["rooms"], figures["objects"], figures["frames"]) == (1, 2, 4)
    assert set(document["semantics"]["none"]["each"]) == {"tiny"}
    wrong = CliRunner().invoke(command, ["sim", str(tmp_path / "tiny"), "--set", "map.voxel_sise=1"])
    assert wrong.exit_code == 1 and "map.voxel_sise" in wrong.output


def test_recordings_without_true_instances_are_refused(visible: Visible, tmp_path: Path) -> None:
    for path in (tmp_path / "tiny").glob("*.instance.png"):
        path.unlink()
    with pytest.raises(BadInput, match="instance"):
        Visible(visible.truth, tmp_path / "tiny", open_sequence(tmp_path / "tiny"), PerceptionConfig())

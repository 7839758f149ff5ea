"""The live scene against rooms of boxes whose truth is known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import K, Room, Thing, look, plain_scene, see, walk

from proxy3d_core.errors import BadInput, MapError
from proxy3d_core.scene.snapshot import ObjectState
from proxy3d_core.scene.state import SceneState

TABLE = Thing("table", (0.0, 0.0, 0.72), (1.4, 0.8, 0.06))
MUG = Thing("table", (0.3, 0.1, 0.80), (0.09, 0.09, 0.10), color=(230, 230, 230))  # a segmenter calls it table
SOFA = Thing("sofa", (-2.2, 0.6, 0.4), (0.9, 1.8, 0.8), color=(60, 90, 160))
CABINET = Thing("cabinet", (2.4, -1.2, 0.5), (0.6, 1.2, 1.0), yaw=0.3, color=(120, 80, 50))
BIN = Thing("trash can", (1.2, 1.9, 0.2), (0.3, 0.3, 0.4), color=(40, 120, 60))


def chair(x: float, y: float) -> list[Thing]:
    """Seat on a pedestal with a back at its far side."""
    return [
        Thing("chair", (x, y, 0.225), (0.40, 0.40, 0.45), color=(150, 40, 40)),
        Thing("chair", (x, y + 0.18, 0.675), (0.40, 0.04, 0.45), color=(150, 40, 40)),
    ]


def found(scene: SceneState, label: str) -> list:
    return [o for o in scene.snapshot().present if o.label == label]


def test_objects_have_their_true_boxes() -> None:
    scene = see(Room([TABLE, SOFA, CABINET, BIN], noise=0.002))
    for thing in (SOFA, CABINET, BIN):
        (seen,) = found(scene, thing.label)
        assert seen.box.iou(thing.box) > 0.75, thing.label
        assert np.abs(seen.box.center - thing.box.center).max() < 0.11, thing.label  # its far side is hardly seen
        assert seen.score > 0.5
    (table,) = found(scene, "table")
    assert table.box.top == pytest.approx(0.75, abs=0.03)
    assert np.sort(table.box.size[:2]) == pytest.approx([0.8, 1.4], abs=0.08)


def test_floor_height_and_room_area() -> None:
    floor = see(Room([TABLE, SOFA], noise=0.002)).snapshot().floor
    assert floor.height == pytest.approx(0.0, abs=0.02)
    assert floor.area == pytest.approx(6 * 5, rel=0.1)
    assert (
        15 < floor.free.sum() * floor.cell**2 < 30 - 0.9 * 1.8 - 1.4 * 0.8 + 1
    )  # the rest of the floor, as far as seen
    for thing in (SOFA, TABLE):
        cell = ((np.array(thing.center[:2]) - floor.origin) / floor.cell).astype(int)
        assert not floor.free[tuple(cell)]


def test_two_chairs_side_by_side_are_two() -> None:
    scene = see(Room([*chair(-0.3, 1.0), *chair(0.25, 1.0), SOFA]))
    assert len(found(scene, "chair")) == 2


def test_a_chair_half_hidden_by_the_table_is_one() -> None:
    # The table's edge hides the middle of the chair from everywhere on one side.
    scene = plain_scene()
    room = Room([Thing("table", (0, 0, 0.72), (1.6, 1.0, 0.06)), *chair(0.0, 0.55)])
    for i in range(40):
        eye = (-1.5 + 3.0 * i / 40, -2.2, 1.3)
        scene.update(room.render(look(eye, (0, 0.4, 0.5)), i * 0.1))
    scene.refresh()
    (seen,) = found(scene, "chair")
    assert seen.box.top == pytest.approx(0.9, abs=0.06)
    assert seen.box.bottom == pytest.approx(0.0, abs=0.03)


def test_a_thing_on_the_table_is_an_object_of_its_own() -> None:
    scene = see(Room([TABLE, MUG]))
    (table,) = found(scene, "table")
    things = [o for o in found(scene, "object") if np.linalg.norm(o.box.center - MUG.box.center) < 0.05]
    assert len(things) == 1
    assert things[0].box.size.max() < 0.2
    assert table.box.top < 0.79


@pytest.mark.slow
def test_a_removed_object_is_gone_and_an_unseen_one_stays() -> None:
    with_bin, without = Room([TABLE, SOFA, BIN]), Room([TABLE, SOFA])
    scene = see(with_bin)
    (bin_before,) = found(scene, "trash can")
    # Looking away for a minute changes nothing.
    for i in range(60):
        scene.update(without.render(look((0, 0.8, 1.4), (-2.5, 0.8, 0.5)), 10 + i))
    scene.refresh()
    assert [o.id for o in found(scene, "trash can")] == [bin_before.id]
    see(without, scene, start=80.0)
    assert scene.snapshot().by_id[bin_before.id].state is ObjectState.GONE
    assert len(found(scene, "sofa")) == 1


def test_a_hidden_object_stays() -> None:
    scene = see(Room([SOFA, BIN]))
    (bin_before,) = found(scene, "trash can")
    screen = Thing("", (1.0, 1.0, 1.0), (1.6, 0.05, 2.0))
    room = Room([SOFA, screen])
    for i in range(40):
        scene.update(room.render(look((0.5, -1.5, 1.4), (1.2, 1.9, 0.3)), 10 + 0.1 * i))
    scene.refresh()
    assert [o.id for o in found(scene, "trash can")] == [bin_before.id]


def test_a_moved_object_keeps_its_id_and_its_history() -> None:
    scene = see(Room([TABLE, SOFA, BIN]))
    (before,) = found(scene, "trash can")
    moved = Thing(BIN.label, (-1.0, -1.8, 0.2), BIN.size, color=BIN.color)
    see(Room([TABLE, SOFA, moved]), scene, start=10.0)
    (after,) = found(scene, "trash can")
    assert after.id == before.id
    assert after.state is ObjectState.MOVED
    assert np.linalg.norm(after.box.center - moved.box.center) < 0.08
    assert np.linalg.norm(after.previous_boxes[-1].center - BIN.box.center) < 0.08


def test_labels_are_soft_votes() -> None:
    """A segmenter that is wrong in one frame of four changes nothing."""
    right, wrong = Room([SOFA, TABLE]), Room([Thing("bed", SOFA.center, SOFA.size, color=SOFA.color), TABLE])
    scene = plain_scene()
    for i, (good, bad) in enumerate(zip(walk(right), walk(wrong), strict=True)):
        scene.update(bad if i % 4 == 0 else good)
    scene.refresh()
    assert len(found(scene, "sofa")) == 1
    assert not found(scene, "bed")


def test_without_semantics_things_are_found_but_not_named() -> None:
    scene = see(Room([SOFA, BIN]), labelled=False)
    assert {o.label for o in scene.snapshot().present} == {"object"}
    best = max(o.box.iou(BIN.box) for o in scene.snapshot().present)
    assert best > 0.7


def test_frames_in_another_order_give_the_same_objects() -> None:
    frames = walk(Room([TABLE, SOFA, CABINET, BIN], noise=0.002))
    forward, backward = plain_scene(), plain_scene()
    for scene, order in ((forward, frames), (backward, frames[::-1])):
        for i, frame in enumerate(order):
            scene.update(type(frame)(**{**frame.__dict__, "stamp_ns": int(i * 1e8)}))
        scene.refresh()
    for a in forward.snapshot().present:
        if a.label != "object":
            (b,) = found(backward, a.label)
            assert a.box.iou(b.box) > 0.85


def test_save_and_load_keep_everything_and_ids_go_on() -> None:
    scene = see(Room([TABLE, SOFA, BIN]))
    scene.label_object(found(scene, "trash can")[0].id, "Blue Bin")
    meta, arrays = scene.state_dict()
    other = plain_scene()
    other.load_state_dict(meta, arrays)
    assert [(o.id, o.label) for o in other.snapshot().objects] == [(o.id, o.label) for o in scene.snapshot().objects]
    for a, b in zip(other.snapshot().objects, scene.snapshot().objects, strict=True):
        assert a.box.iou(b.box) > 0.99
    assert other.snapshot().epoch == 1
    # A minute later, looking elsewhere, it still answers.
    room = Room([TABLE, SOFA])
    for i in range(30):
        other.update(room.render(look((0, 0.8, 1.4), (-2.5, 0.8, 0.5)), 1000 + 2 * i))
    other.refresh()
    assert len([o for o in other.snapshot().present if o.label == "blue bin"]) == 1
    new_ids = {o.id for o in other.snapshot().objects} - {o.id for o in scene.snapshot().objects}
    assert all(i >= meta["next_id"] for i in new_ids)


def test_a_damaged_map_changes_nothing() -> None:
    scene = see(Room([SOFA]))
    meta, arrays = scene.state_dict()
    before = scene.snapshot()
    del arrays["voxels.position"]
    with pytest.raises(MapError, match="damaged"):
        scene.load_state_dict(meta, arrays)
    assert scene.snapshot() is before


def test_reset_begins_a_new_epoch_and_never_reuses_ids() -> None:
    scene = see(Room([SOFA]))
    last = max(o.id for o in scene.snapshot().objects)
    scene.reset()
    assert scene.snapshot().objects == ()
    assert scene.snapshot().epoch == 1
    see(Room([SOFA]), scene)
    assert min(o.id for o in scene.snapshot().objects) > last


def test_memory_is_bounded() -> None:
    scene = plain_scene(map__max_voxels=5000, map__max_objects=3)
    for frame in walk(Room([TABLE, SOFA, CABINET, BIN])):
        scene.update(frame)
        assert scene.voxel_count <= 5000
    assert len(scene.snapshot().objects) <= 3


def test_an_empty_depth_image_is_refused_and_changes_nothing() -> None:
    scene = see(Room([SOFA]))
    before = scene.snapshot()
    frame = Room([SOFA]).render(look((0, 0, 1.4), (-2, 0, 0.5)), 100.0)
    with pytest.raises(BadInput, match="no depth"):
        scene.update(type(frame)(**{**frame.__dict__, "depth": np.zeros((K.height, K.width), np.float32)}))
    assert scene.snapshot() is before


def test_naming_an_unknown_object_says_which_are_known() -> None:
    scene = see(Room([SOFA]))
    with pytest.raises(BadInput, match="known ids"):
        scene.label_object(9999, "x")


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -1.0, 0.0])
def test_missing_depth_is_not_empty_space(nothing: float) -> None:
    """Where the camera measured nothing, nothing was seen to be gone, however the driver writes it."""
    scene = see(Room([SOFA, BIN]))
    (before,) = found(scene, "trash can")
    room = Room([SOFA])
    for i in range(30):
        frame = room.render(look((0.0, 0.5, 1.4), (1.2, 1.9, 0.2)), 10 + 0.1 * i)
        depth = frame.depth.copy()
        depth[:, 40:] = nothing
        scene.update(type(frame)(**{**frame.__dict__, "depth": depth}))
    scene.refresh()
    assert [o.id for o in found(scene, "trash can")] == [before.id]


@pytest.mark.parametrize("meters", [(2e4, 2e4, 0), (5e5, 5e6, 0), (1e30, 0, 0)])
def test_a_pose_far_away_does_not_harm_the_map(meters: tuple[float, float, float]) -> None:
    """A glitch of localization, UTM coordinates, an overflow: refused, or a speck that nothing else depends on."""
    room = Room([TABLE, SOFA], noise=0.002)
    frames = list(walk(room))
    scene = plain_scene()
    for i, frame in enumerate(frames):
        pose = frame.pose.copy()
        if i == len(frames) // 2:
            pose[:3, 3] += meters
        try:
            scene.update(replace(frame, pose=pose))
        except BadInput as error:
            assert max(meters) > 13107 and "REP-105" in str(error)  # 2^19 voxels of 25 mm
    scene.refresh()
    assert len(found(scene, "sofa")) == 1 and len(found(scene, "table")) == 1
    floor = scene.snapshot().floor
    assert floor.area == pytest.approx(6 * 5, rel=0.1) and floor.known.size < 4001**2
    assert scene.snapshot().frames == len(frames) - (max(meters) > 13107)

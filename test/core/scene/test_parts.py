"""Which parts of a class are one thing: pieces that fit into one, not crumbs of its name on what stands beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.scene.segmentation import _disjoint, _in_wall
from proxy3d_core.scene.snapshot import SceneObject
from proxy3d_core.scene.structure import Structure
from proxy3d_core.scene.surface import Surface
from proxy3d_core.scene.voxels import VoxelMap


def found(things: list[Thing], label: str) -> list[SceneObject]:
    room, scene = Room(things), plain_scene()
    for i in range(12):
        scene.update(room.render(look((-1.6, -0.6 + 0.1 * i, 1.5), (1.6, 0.0, 0.6)), i * 0.2))
    scene.refresh()
    return [o for o in scene.snapshot().present if o.label == label]


@pytest.mark.parametrize(
    ("label", "gap", "count"),
    [
        ("bed", 0.2, 1),  # together 2 m: no two beds have room there
        ("bed", 0.8, 2),  # too far apart
        ("chair", 0.2, 2),  # 2 m of chair are two
        ("cabinet", 0.2, 2),  # cabinets come side by side
    ],
)
def test_parts_are_one_if_they_are_near_and_no_longer_than_one_is(label: str, gap: float, count: int) -> None:
    sides = [Thing(label, (1.6, side * (0.45 + gap / 2), 0.3), (0.8, 0.9, 0.6)) for side in (-1, 1)]
    things = found(sides, label)
    assert len(things) == count
    if count == 1:
        assert sorted(things[0].box.size) == pytest.approx([0.6, 0.8, 1.8 + gap], abs=0.1)


def test_crumbs_of_a_wrong_name_are_not_joined_to_what_has_it_by_right() -> None:
    """A speaker beside a television, with a strip of that name down its middle."""
    television = Thing("tv", (2.0, -0.3, 0.9), (0.2, 1.2, 0.7))
    speaker = Thing("speaker", (2.0, 0.6, 0.5), (0.3, 0.28, 1.0))
    strip = Thing("tv", (1.845, 0.6, 0.5), (0.02, 0.04, 0.95))
    (tv,) = found([television, speaker, strip], "tv")
    assert tv.box.size[2] == pytest.approx(0.7, abs=0.08)
    assert max(tv.box.size[:2]) == pytest.approx(1.2, abs=0.08)
    (beside,) = found([television, speaker, strip], "speaker")
    assert beside.box.size[2] == pytest.approx(1.0, abs=0.08)


def test_a_patch_of_rug_is_none() -> None:
    assert not found([Thing("rug", (0.8, 0.0, 0.005), (0.3, 0.3, 0.01))], "rug")
    assert found([Thing("rug", (0.8, 0.0, 0.005), (1.2, 0.8, 0.01))], "rug")


def test_pieces_that_lie_in_each_other_are_one() -> None:
    """A window whose frame and panes were seen as several things, and one beside it."""
    grid = np.stack(np.meshgrid([0.0, 0.05], np.arange(0, 1, 0.04), np.arange(0, 1, 0.04)), axis=-1).reshape(-1, 3)
    frame, panes, other = grid[::2], grid[1::2] + np.array([0.04, 0.0, 0.0]), grid + np.array([0.0, 1.1, 0.0])
    points = np.concatenate([frame, panes, other]).astype(np.float32)
    empty = VoxelMap(0.04, 10)
    surface = replace(Surface.of(empty, 0.0), position=points)
    ends = np.cumsum([len(frame), len(panes), len(other)])
    whole = _disjoint(surface, np.split(np.arange(len(points)), ends[:-1]))
    assert sorted(map(len, whole)) == [len(frame) + len(panes), len(other)]


@pytest.mark.parametrize(("faces", "wall"), [((1.0, 0.0, 0.0), True), ((0.0, 1.0, 0.0), False)])
def test_what_a_wall_goes_on_from_is_a_piece_of_it(faces: tuple[float, float, float], wall: bool) -> None:
    """A front of 1 x 2 m in the plane x = 2, and a wall from its edge on: in that plane, or across it in a corner."""
    edge = np.arange(0, 1, 0.04)
    front = np.stack(np.meshgrid(2.0, edge, np.arange(0, 2, 0.04)), axis=-1).reshape(-1, 3)
    beside = np.stack(np.meshgrid(2.0, 1 + edge, np.arange(0, 2, 0.02)), axis=-1).reshape(-1, 3)
    across = np.stack(np.meshgrid(2 + edge - 0.5, [1.0, 1.02, 1.04], np.arange(0, 2, 0.02)), axis=-1).reshape(-1, 3)
    other = beside if wall else across
    points = np.concatenate([front, other]).astype(np.float32)
    normals = np.concatenate([np.tile((-1.0, 0.0, 0.0), (len(front), 1)), np.tile(faces, (len(other), 1))])
    surface = replace(Surface.of(VoxelMap(0.04, 10), 0.0), position=points, normal=normals.astype(np.float32))
    on_wall = np.arange(len(points)) >= len(front)
    structure = Structure(0.0, np.zeros_like(on_wall), on_wall, np.zeros_like(on_wall))
    assert _in_wall(surface, np.arange(len(front)), structure) is wall

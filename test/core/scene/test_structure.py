"""Floor, walls, supports and the things on them, in rooms of known boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import Room, Thing, walk

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.perception.observation import NO_CLASS, Observer
from proxy3d_core.scene.structure import find_structure, floor_height
from proxy3d_core.scene.supports import find_supports, things_on
from proxy3d_core.scene.surface import Surface, connected
from proxy3d_core.scene.voxels import VoxelMap

TABLE = Thing("table", (0.0, 0.0, 0.72), (1.4, 0.8, 0.06), color=(190, 160, 120))
BOOK = Thing("table", (-0.3, 0.1, 0.77), (0.22, 0.30, 0.04), yaw=0.4, color=(150, 30, 30))
MUG = Thing("table", (0.4, -0.1, 0.80), (0.10, 0.10, 0.10), color=(240, 240, 240))
PAPER = Thing("table", (0.1, 0.15, 0.752), (0.21, 0.30, 0.004), color=(30, 60, 160))
CABINET = Thing("", (2.75, 0.0, 0.45), (0.5, 3.0, 0.9), color=(140, 30, 30))
INDEX = {"table": 0, "background": NO_CLASS}


def surface_of(room: Room) -> Surface:
    voxels = VoxelMap(0.025, 1_000_000)
    observer = Observer(PerceptionConfig())
    for frame in walk(room):
        voxels.fuse(observer.observe(frame, INDEX), 0.1)
    return Surface.of(voxels, 0.25)


def test_the_floor_is_the_floor_and_not_the_table() -> None:
    surface = surface_of(Room([TABLE], noise=0.002))
    label, share = surface.best_label()
    structure = find_structure(surface, (label >= 0) & (share > 0.5), None)
    assert structure.floor == pytest.approx(0.0, abs=0.015)
    height = surface.position[:, 2]
    assert structure.on_floor[height < 0.02].all()
    assert not structure.on_floor[height > 0.2].any()


def test_walls_are_found_and_the_front_of_furniture_is_none() -> None:
    surface = surface_of(Room([CABINET], noise=0.002))
    structure = find_structure(surface, np.zeros(len(surface), bool), None)
    on_wall = structure.on_wall
    x, y, z = surface.position.T
    far = (np.abs(x + 3.0) < 0.03) & (z > 0.2)  # seen up to 1.2 m only: the camera looks down
    assert on_wall[far].mean() > 0.95
    front = (np.abs(x - 2.5) < 0.03) & (z > 0.1) & (z < 0.85) & (np.abs(y) < 1.4)
    assert front.sum() > 500
    assert not on_wall[front].any()


def test_walls_are_planes_that_face_the_room() -> None:
    """The room's middle is moved to (10, 4); the camera looks down over the cabinet, which hides the fourth wall."""
    surface = surface_of(Room([CABINET], noise=0.002))
    moved = replace(surface, position=surface.position + np.array([10, 4, 0], np.float32))
    walls = find_structure(moved, np.zeros(len(surface), bool), None).walls
    planes = sorted((*(wall.normal.round(1) + 0.0).tolist(), round(wall.offset, 1)) for wall in walls)
    assert planes == [(0, -1, -6.5), (0, 1, 1.5), (1, 0, 7)]
    for wall in walls:
        middle = np.array([-wall.normal[1], wall.normal[0]]) @ (10, 4)
        half = 2.5 if wall.normal[0] > 0.5 else 3.0
        assert (wall.start - middle, wall.end - middle) == pytest.approx((-half, half), abs=0.6)  # of what was seen


def test_a_floor_needs_a_surface_worth_the_name() -> None:
    few = np.zeros(50, np.float32)
    assert floor_height(few, 0.025, None, few) is None
    many = np.zeros(2000, np.float32)
    assert floor_height(many, 0.025, None, many) == pytest.approx(0.0, abs=0.01)
    # The robot stands elsewhere: this is a table.
    assert floor_height(many, 0.025, -0.75, many) is None


def test_what_stands_or_lies_on_a_table_is_cut_from_it() -> None:
    surface = surface_of(Room([TABLE, BOOK, MUG, PAPER]))
    label, _ = surface.best_label()
    usable = surface.position[:, 2] > 0.1
    usable &= (np.abs(surface.position[:, :2]) < (1.0, 0.7)).all(axis=1)
    (support,) = find_supports(surface, label, usable, 0.0)
    assert support.label == 0
    assert support.plane[2] == pytest.approx(0.75, abs=0.01)
    things = things_on(surface, support, usable, 0.05)
    centers = [surface.position[members].mean(axis=0) for members in things]
    for thing in (BOOK, MUG, PAPER):
        near = [c for c in centers if np.linalg.norm(c[:2] - np.array(thing.center[:2])) < 0.05]
        assert len(near) == 1, thing
    assert len(things) == 3


def test_connected_parts_are_those_that_touch() -> None:
    surface = surface_of(Room([TABLE, CABINET]))
    table = np.flatnonzero(
        (np.abs(surface.position[:, :2]) < (0.75, 0.45)).all(axis=1) & (surface.position[:, 2] > 0.6)
    )
    x, y, z = surface.position.T
    cabinet = np.flatnonzero((np.abs(x - 2.5) < 0.03) & (np.abs(y) < 1.4) & (np.abs(z - 0.5) < 0.2))
    parts = connected(surface, np.concatenate([table, cabinet]))
    assert len(parts[0]) + len(parts[1]) > 0.98 * (len(table) + len(cabinet))
    for part in parts[:2]:
        assert np.isin(part, table).all() or np.isin(part, cabinet).all()

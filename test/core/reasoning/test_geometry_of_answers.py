"""Relations, distances on the plane, routes and approach poses against hand-computed and independent values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from answer_room import room, thing
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox, box_distances
from proxy3d_core.reasoning import relations as rel
from proxy3d_core.reasoning.approach import approach_pose
from proxy3d_core.reasoning.colors import color_name
from proxy3d_core.reasoning.index import SceneIndex, planar_distances
from proxy3d_core.reasoning.relations import Boxes, angle_to, nearest_side
from proxy3d_core.reasoning.routes import plan
from proxy3d_core.scene.snapshot import FloorPlan, Snapshot

TABLE = OrientedBox.from_yaw((0, 0, 0.375), (1.6, 0.8, 0.75))


def box(x, y, z, size=(0.2, 0.2, 0.2), yaw=0.0):
    return OrientedBox.from_yaw((x, y, z), size, yaw)


@pytest.mark.parametrize(
    ("relation", "thing", "holds"),
    [
        (rel.on, box(0.5, 0.2, 0.85), True),
        (rel.on, box(0.5, 0.2, 0.1), False),  # below the top
        (rel.on, box(1.5, 0.2, 0.85), False),  # beside it
        (rel.on, box(0.5, 0.2, 1.3), False),  # floats over it
    ],
)
def test_on(relation, thing, holds):
    assert (relation(Boxes.of([thing]), Boxes.of([TABLE]))[0] > 0) == holds


def test_under_and_above():
    mug, lamp = Boxes.of([box(0.3, 0, 0.1)]), Boxes.of([box(0.3, 0, 1.8)])
    table, none = Boxes.of([TABLE]), np.zeros(1)
    assert rel.under(mug, table, none)[0] > 0 > rel.under(lamp, table, none)[0]
    assert rel.above(lamp, table, none)[0] > 0 > rel.above(mug, table, none)[0]


def test_between():
    """In the corridor from one box to the other: not beside it, not beyond, not on either, not under the ceiling."""
    first, second = Boxes.of([box(0, 0, 0.4)]), Boxes.of([box(3, 0, 0.4)])
    at = [(1.5, 0.1, 0.4), (1.5, 1.5, 0.4), (4.5, 0.0, 0.4), (0.0, 0.0, 0.9), (1.5, 0.0, 2.4)]
    things = Boxes.of([box(*center) for center in at])
    assert (rel.between(things, first, second) > 0).tolist() == [True, False, False, False, False]


def test_below_a_window_is_what_stands_before_it():
    window = Boxes.of([box(0, 3.0, 1.6, (1.6, 0.1, 1.2))])
    at = [(0.3, 2.4, 0.3), (1.6, 2.7, 0.3), (0.3, 1.0, 0.3)]  # before it, beside it, far from the wall
    things, gaps = Boxes.of([box(*center) for center in at]), np.array([0.4, 0.8, 1.8])
    assert (rel.below(things, window, gaps) > 0).tolist() == [True, False, False]


def test_sides_of_an_object_for_one_who_looks_at_it():
    # Looking along +y at the origin: +x is right, nearer (-y) is in front.
    points, view = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 1.0]]), np.array([0.0, 1.0])
    for name, which in (("right_of", 0), ("left_of", 1), ("front_of", 2), ("behind", 3)):
        assert np.flatnonzero(rel.beside_view(points, np.zeros(2), view, name) > 0).tolist() == [which]


def test_angles_are_counter_clockwise_from_facing():
    here, north = np.zeros(3), np.array([0.0, 1.0])
    assert angle_to(here, north, np.array([-1.0, 0.0])) == pytest.approx(90)  # west is left of north
    assert angle_to(here, north, np.array([1.0, 1.0])) == pytest.approx(-45)
    assert abs(angle_to(here, north, np.array([0.0, -1.0]))) == pytest.approx(180)


@pytest.mark.parametrize(
    ("angle", "sides", "side", "margin"),
    [
        # VSI-Bench: left below 135 degrees, back to 225, else right; quadrants; left or right.
        (134, ("left", "right", "back"), "left", 1),
        (136, ("left", "right", "back"), "back", 1),
        (-136, ("left", "right", "back"), "back", 1),
        (-2, ("left", "right", "back"), "right", 2),
        (89, ("front-left", "front-right", "back-left", "back-right"), "front-left", 1),
        (-100, ("front-left", "front-right", "back-left", "back-right"), "back-right", 10),
        (170, ("left", "right"), "left", 10),
        (-80, ("12 o'clock", "3 o'clock", "6 o'clock", "9 o'clock"), "3 o'clock", 35),
    ],
)
def test_nearest_side(angle, sides, side, margin):
    found, left = nearest_side(angle, sides)
    assert found == side and left == pytest.approx(margin)


lengths, places, yaws = st.floats(0.05, 2), st.floats(-3, 3), st.floats(-3.2, 3.2)
boxes = st.builds(
    lambda center, size, yaw: OrientedBox.from_yaw(center, size, yaw),
    st.tuples(places, places, places),
    st.tuples(lengths, lengths, lengths),
    yaws,
)


@settings(max_examples=150, deadline=None)
@given(boxes, boxes)
def test_distances_equal_the_general_ones(a, b):
    """The fast way for upright boxes (plane and height apart) against closest points of general boxes."""
    index = SceneIndex(Snapshot(objects=(thing(1, "a", a.center, a.size), thing(2, "b", b.center, b.size))))
    first, second = index.things
    assert index.distance(first, second) == pytest.approx(box_distances([first.box], [second.box])[0], abs=1e-9)
    flat = [OrientedBox.from_yaw((*x.center[:2], 0), (*x.size[:2], 1), x.yaw) for x in (a, b)]
    assert planar_distances(Boxes.of([a]), Boxes.of([b]))[0] == pytest.approx(
        box_distances([flat[0]], [flat[1]])[0], abs=1e-9
    )


def test_route_goes_around_a_wall():
    """A wall from y = -2.5 to 1 at x = 1: the shortest way leads past (1, 1)."""
    free = np.ones((60, 50), bool)
    free[39:42, :35] = False
    floor = FloorPlan(0.0, 30.0, 0.1, np.array([-3.0, -2.5]), free, np.ones_like(free))
    path = plan(floor, np.zeros(2), OrientedBox.from_yaw((2.5, 0, 0.5), (0.4, 0.4, 1)))
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    corner = np.array([1.0, 1.0])
    shortest = np.linalg.norm(corner) + np.linalg.norm(corner - [2.5, 0]) - 0.8 - 0.3
    assert shortest < length < shortest + 0.8
    cells = np.floor(
        (np.concatenate([np.linspace(a, b, 50) for a, b in itertools.pairwise(path)]) - floor.origin) / 0.1
    )
    assert free[cells[:, 0].astype(int), cells[:, 1].astype(int)].all()
    free[39:42] = False
    assert plan(floor, np.zeros(2), OrientedBox.from_yaw((2.5, 0, 0.5), (0.4, 0.4, 1))) is None


def test_approach_pose_stands_free_and_faces_the_object():
    snapshot = room()
    for number in (4, 8, 10):
        pose, ok = approach_pose(snapshot, number)
        target = snapshot.by_id[number].box
        assert ok
        cell = np.floor((pose[:2, 3] - snapshot.floor.origin) / snapshot.floor.cell).astype(int)
        assert snapshot.floor.free[tuple(cell)]
        to = (target.center - pose[:3, 3])[:2]
        assert pose[:2, 0] @ to / np.linalg.norm(to) == pytest.approx(1)
        assert np.linalg.norm((target.closest_point(pose[:3, 3]) - pose[:3, 3])[0, :2]) < 2.0


def test_approach_pose_without_a_floor_plan():
    pose, ok = approach_pose(room(floor=FloorPlan()), 4)
    assert not ok and np.isfinite(pose).all()
    with pytest.raises(BadInput, match="no object 77"):
        approach_pose(room(), 77)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((200, 30, 30), "red"),
        ((20, 20, 25), "black"),
        ((240, 240, 240), "white"),
        ((40, 90, 180), "blue"),
        ((120, 78, 50), "brown"),
        ((70, 150, 70), "green"),
    ],
)
def test_color_names(rgb, name):
    assert color_name(rgb)[0] == name

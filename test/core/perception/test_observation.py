"""One frame at working resolution, against planes and boxes whose geometry is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import Room, Thing, look

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.frame import Detection2D, Frame
from proxy3d_core.geometry import Intrinsics, unproject
from proxy3d_core.perception.observation import (
    NO_CLASS,
    NO_VOTE,
    Observation,
    Observer,
    block_depth,
    point_normals,
    thin_ridges,
)

K = Intrinsics(160, 120, 146.0, 146.0, 79.5, 59.5)
BOX = Thing("box", (2.0, 0.0, 0.5), (0.4, 1.0, 1.0))


def observe(frame: Frame, index: dict[str, int] | None = None) -> Observation:
    return Observer(PerceptionConfig()).observe(frame, index or {})


def plane_depth(normal: np.ndarray, offset: float, k: Intrinsics = K) -> np.ndarray:
    """Depth image of the plane ``normal . p = offset`` in the camera frame: z = offset / (normal . ray)."""
    rays = unproject(np.ones((k.height, k.width), np.float32), k)
    return (offset / (rays @ normal)).astype(np.float32)


@pytest.mark.parametrize("tilt", [0.0, 30.0, 60.0, 75.0])
def test_normals_of_a_tilted_plane(tilt: float) -> None:
    normal = np.array([0.0, np.sin(np.radians(tilt)), np.cos(np.radians(tilt))])
    depth = np.clip(plane_depth(normal, 1.5), 0, 8)
    points = unproject(depth, K)
    found, known = point_normals(points, (depth > 0) & (depth < 8))
    inside = known[5:-5, 5:-5]
    assert inside.mean() > 0.5
    # Towards the camera: against the plane's own direction away from it.
    assert (found[5:-5, 5:-5][inside] @ -normal > np.cos(np.radians(3))).mean() > 0.99


def test_no_point_floats_between_foreground_and_background() -> None:
    observation = observe(Room([BOX]).render(look((0.0, 0.3, 1.0), (2.0, 0.0, 0.6)), 0.0))
    half = np.array(BOX.size) / 2
    outside = np.abs(observation.points - BOX.center) - half
    to_box = np.linalg.norm(np.maximum(outside, 0), axis=1)
    room = np.array([3.0, 2.5, 1.3])
    to_shell = (room - np.abs(observation.points - (0, 0, 1.3))).min(axis=1)
    assert (np.minimum(to_box, to_shell) < 0.02).all()


def test_block_depth_keeps_to_the_surface_of_the_block_centre() -> None:
    depth = np.full((8, 8), 2.0, np.float32)
    depth[:, 5:] = 3.0  # the right block's centre (column 6) is background, one of its columns is not
    out = block_depth(depth, 4)
    assert out[0].tolist() == [2.0, 3.0]
    depth[2, 2] = 0.0  # no measurement at a block's centre
    assert block_depth(depth, 4)[0, 0] == 0.0


def test_labels_vote_inside_and_abstain_at_their_borders() -> None:
    frame = Room([BOX]).render(look((0.0, 0.0, 0.9), (2.0, 0.0, 0.6)), 0.0)
    observation = observe(frame, {"box": 0, "background": NO_CLASS})
    on_box = (np.abs(observation.points - BOX.center) <= np.array(BOX.size) / 2 + 0.01).all(axis=1)
    off_floor = observation.points[:, 2] > 0.03  # at its foot, box and floor cannot be told apart
    assert set(np.unique(observation.labels[on_box & off_floor])) <= {0, NO_VOTE}
    assert (observation.labels[on_box] == 0).mean() > 0.8
    assert not (observation.labels[~on_box & off_floor] == 0).any()


def test_a_mask_that_is_too_large_does_not_name_the_wall_behind() -> None:
    frame = Room([BOX]).render(look((0.0, 0.0, 0.9), (2.0, 0.0, 0.6)), 0.0)
    assert frame.labels is not None
    rows, columns = np.nonzero(frame.labels)
    bled = frame.labels.copy()
    bled[rows, np.clip(columns - 2, 0, None)] = 1
    bled[rows, np.clip(columns + 2, None, bled.shape[1] - 1)] = 1
    observation = observe(Frame(**{**frame.__dict__, "labels": bled}), {"box": 0, "background": NO_CLASS})
    behind = np.abs(observation.points[:, 0] - 3.0) < 0.02
    assert not (observation.labels[behind] == 0).any()


def test_without_semantics_nobody_votes() -> None:
    observation = observe(Room([BOX]).render(look((0, 0, 1), (2, 0, 0.6)), 0.0, labelled=False))
    assert (observation.labels == NO_VOTE).all()


def test_ids_without_a_name_are_no_class() -> None:
    frame = Room([BOX]).render(look((0, 0, 1), (2, 0, 0.6)), 0.0)
    observation = observe(Frame(**{**frame.__dict__, "label_names": {}}), {"box": 0})
    assert set(np.unique(observation.labels)) <= {NO_CLASS, NO_VOTE}


def test_a_detection_names_its_object_and_not_what_shows_past_it() -> None:
    frame = Room([BOX]).render(look((0.0, 0.0, 0.9), (2.0, 0.0, 0.6)), 0.0)
    assert frame.labels is not None
    rows, columns = np.nonzero(frame.labels)
    detection = Detection2D("box", 0.9, columns.min() - 6, rows.min() - 6, columns.max() + 7, rows.max() + 7)
    observation = observe(Frame(**{**frame.__dict__, "labels": None, "detections": (detection,)}), {"box": 0})
    named = observation.points[observation.labels == 0]
    assert len(named) > 500
    assert (named[:, 0] < 2.6).all(), "the wall at x = 3 is not the box"


def test_the_smaller_of_two_overlapping_detections_wins() -> None:
    frame = Room([BOX]).render(look((0.0, 0.0, 0.9), (2.0, 0.0, 0.6)), 0.0)
    large, small = Detection2D("desk", 0.9, 10, 5, 150, 115), Detection2D("box", 0.8, 60, 40, 100, 80)
    index = {"desk": 1, "box": 0}
    for order in ((large, small), (small, large)):
        observation = observe(Frame(**{**frame.__dict__, "labels": None, "detections": order}), index)
        assert (observation.labels == 0).sum() > 200


def test_a_weak_detection_is_ignored() -> None:
    frame = Room([BOX]).render(look((0.0, 0.0, 0.9), (2.0, 0.0, 0.6)), 0.0)
    weak = Detection2D("box", 0.1, 60, 40, 100, 80)
    observation = observe(Frame(**{**frame.__dict__, "labels": None, "detections": (weak,)}), {"box": 0})
    assert not (observation.labels == 0).any()


def test_a_thin_pole_is_seen_and_named() -> None:
    pole = Thing("lamp", (1.5, 0.0, 0.8), (0.02, 0.02, 1.6))
    observation = observe(Room([pole]).render(look((0.0, 0.0, 1.0), (1.5, 0.0, 0.9)), 0.0), {"lamp": 0})
    on_pole = np.linalg.norm(observation.points[:, :2] - (1.5, 0.0), axis=1) < 0.03
    assert on_pole.sum() > 60, "it is one or two pixels wide and about a hundred high"
    assert (observation.labels[on_pole] == 0).mean() > 0.9
    assert (observation.labels == 0).sum() == (observation.labels[on_pole] == 0).sum()


def test_a_pixel_between_foreground_and_background_is_no_ridge() -> None:
    depth = np.full((20, 20), 3.0, np.float32)
    depth[:, :8] = 1.0
    depth[:, 8] = 2.0  # floats
    assert not thin_ridges(depth).any()
    depth[:] = 3.0
    depth[:, 10] = 1.0
    assert thin_ridges(depth)[3:-3, 10].all()
    assert thin_ridges(depth).sum() <= 20


def test_a_box_names_neither_the_wall_behind_nor_what_stands_before_its_object() -> None:
    shelf = Thing("shelf", (2.75, 0.0, 0.6), (0.3, 0.5, 1.2))
    sofa = Thing("sofa", (1.2, 0.0, 0.35), (0.4, 3.0, 0.7))  # hides the shelf's foot
    frame = Room([shelf, sofa], noise=0.0002).render(look((-1.5, 0.0, 1.3), (2.0, 0.0, 0.6)), 0.0)
    v, u = np.nonzero(frame.labels == 1)
    loose = Detection2D("shelf", 0.9, u.min() - 6, v.min() - 6, u.max() + 7, v.max() + 16)
    seen = observe(replace(frame, labels=None, detections=(loose,)), {"shelf": 0})
    named = seen.points[seen.labels == 0]
    assert len(named) > 300
    assert (np.abs(named - shelf.box.center) < shelf.box.size / 2 + 0.05).all(axis=1).mean() > 0.97

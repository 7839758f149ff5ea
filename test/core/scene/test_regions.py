"""Regions drawn on a frame, against rooms whose boxes are known."""

from __future__ import annotations

import numpy as np
import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import invert, project, transform_points
from proxy3d_core.scene.regions import box_mask, lift_mask, mask_from_runs
from proxy3d_core.scene.state import SceneState

BIN = Thing("trash can", (1.5, 0.2, 0.3), (0.4, 0.4, 0.6))
POSE = look((-0.5, 0.0, 1.2), (1.5, 0.2, 0.3))


def scene_and_outline() -> tuple[SceneState, tuple[int, int, int, int]]:
    """A scene of one frame, and the 2D box around the bin's corners in it."""
    frame = Room([BIN]).render(POSE, 1.0)
    scene = plain_scene()
    scene.update(frame)
    pixels, _ = project(transform_points(invert(POSE), BIN.box.corners), frame.intrinsics)
    left, top = pixels.min(axis=0)
    right, bottom = pixels.max(axis=0)
    return scene, (int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom)))


def test_a_2d_box_becomes_the_3d_box_of_what_it_shows() -> None:
    scene, outline = scene_and_outline()
    view = scene.view()
    region = lift_mask(view, box_mask(*outline, view.width, view.height))
    # Front and top are seen: the visible part of the bin, without the wall two metres behind it.
    assert region.iou(BIN.box) > 0.3
    assert np.linalg.norm(region.center - BIN.box.center) < 0.25
    assert region.size.max() < 0.9


def test_a_mask_of_another_resolution_is_the_same_region() -> None:
    scene, outline = scene_and_outline()
    view = scene.view()
    mask = box_mask(*outline, view.width, view.height)
    large = np.kron(mask, np.ones((2, 2), bool))
    flat = large.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]]))
    again = mask_from_runs(runs, large.shape[1], large.shape[0])
    assert (again == large).all()
    assert lift_mask(view, again).iou(lift_mask(view, mask)) > 0.9


def test_views_are_found_by_stamp_and_bounded() -> None:
    scene = plain_scene()
    room = Room([BIN])
    for i in range(250):
        scene.update(room.render(POSE, 1.0 + 0.05 * i))
    assert scene.view().stamp_ns == int((1.0 + 0.05 * 249) * 1e9)
    assert abs(scene.view(int(8e9)).stamp_ns - 8e9) <= 1e8
    with pytest.raises(BadInput, match="no frame is kept"):
        scene.view(int(1.1e9))


@pytest.mark.parametrize("outline", [(10, 10, 10, 20), (30, 10, 20, 20), (900, 10, 950, 20)])
def test_an_empty_box_is_refused(outline: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInput, match="empty or outside"):
        box_mask(*outline, 160, 120)


def test_a_region_without_depth_is_refused() -> None:
    scene, _ = scene_and_outline()
    view = scene.view()
    view.depth[:] = 0
    with pytest.raises(BadInput, match="nothing with depth"):
        lift_mask(view, box_mask(0, 0, 50, 50, view.width, view.height))


def test_runs_that_do_not_fill_the_image_are_refused() -> None:
    with pytest.raises(BadInput, match="belong together"):
        mask_from_runs(np.array([5, 5]), 4, 4)


def test_before_the_first_frame_there_is_nothing_to_draw_on() -> None:
    with pytest.raises(BadInput, match="no frame has been seen"):
        plain_scene().view()

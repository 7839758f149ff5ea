"""Masks of one frame, against rooms of boxes whose every pixel is known."""

from __future__ import annotations

import numpy as np
import pytest
from rooms import K, Room, Thing, look

from proxy3d_core.geometry import unproject
from proxy3d_core.perception.masks import label_masks, patch_masks, surface_masks
from proxy3d_core.perception.observation import point_normals

NEAR = Thing("chair", (0.8, 0.3, 0.5), (0.4, 0.4, 1.0))
FAR = Thing("chair", (1.9, -0.1, 0.5), (0.4, 0.6, 1.0))
EYE, TARGET = (-1.5, 0.0, 1.3), (1.5, 0.0, 0.4)


def surfaces(room: Room) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks, normals in the fixed frame and points in the fixed frame."""
    frame = room.render(look(EYE, TARGET), 0.0)
    points = unproject(frame.depth, K).astype(np.float32)
    normals, known = point_normals(points, frame.depth > 0)
    rotation = frame.pose[:3, :3]
    return surface_masks(points, normals, known), normals @ rotation.T, points @ rotation.T + frame.pose[:3, 3]


def test_things_of_one_class_that_overlap_in_the_image_come_apart() -> None:
    frame = Room([NEAR, FAR]).render(look(EYE, TARGET), 0.0)
    masks = label_masks(frame.labels.astype(int), frame.depth, least=30)  # without edges that are one pixel wide
    assert masks.max() == 2
    distance = [np.median(frame.depth[masks == m]) for m in (1, 2)]
    assert abs(distance[0] - distance[1]) > 0.7  # they stand 1.1 m behind each other
    assert ((masks > 0) == (frame.labels > 0)).mean() > 0.99


def test_masks_leave_out_what_has_no_class_or_no_depth_and_specks() -> None:
    labels = np.zeros((20, 30), int)
    labels[2:6, 2:6], labels[10:13, 10], labels[15:19, 20:24] = 3, 3, 5
    depth = np.full(labels.shape, 2.0)
    depth[15:17] = 0
    masks = label_masks(labels, depth, least=4)
    assert sorted(np.unique(masks)) == [0, 1, 2]
    assert (masks == 1).sum() == 16
    assert (masks == 2).sum() == 8
    assert masks[11, 10] == 0  # three pixels
    assert (label_masks(labels, depth, none=3) > 0).sum() == 8


# Of a depth camera at 4 m, after the mean over a block of pixels: a few millimetres.
@pytest.mark.parametrize("noise", [0.0, 0.0002])
def test_floor_walls_and_faces_are_surfaces_of_their_own(noise: float) -> None:
    masks, _, points = surfaces(Room([NEAR, FAR], noise=noise))
    x, y, z = np.moveaxis(points, -1, 0)
    true = {
        "floor": np.abs(z) < 0.05,
        "far wall": np.abs(x - 3) < 0.05,
        "face of the near box": (np.abs(x - 0.6) < 0.05) & (np.abs(y - 0.3) < 0.22),
        "face of the far box": (np.abs(x - 1.7) < 0.05) & (np.abs(y + 0.1) < 0.32),
    }
    main = {}
    for name, where in true.items():
        numbers, counts = np.unique(masks[where & (masks > 0)], return_counts=True)
        main[name] = numbers[counts.argmax()]
        # The floor is cut in parts by what stands on it; the others are whole.
        assert counts.max() > (0.5 if name == "floor" else 0.75) * where.sum(), name
        assert (masks == main[name])[where].sum() > 0.95 * (masks == main[name]).sum(), name
    assert len(set(main.values())) == len(main)


def test_a_surface_has_one_normal() -> None:
    masks, normals, _ = surfaces(Room([NEAR, FAR]))
    for m in range(1, masks.max() + 1):
        mean = normals[masks == m].mean(axis=0)
        assert np.linalg.norm(mean) > 0.97, m


def test_patches_take_the_mask_with_the_largest_area() -> None:
    masks = np.zeros((8, 8), int)
    masks[:4, :3] = 7  # 12 of 16 pixels of the first patch
    masks[4:, :4] = 2
    masks[4:6, :4] = 9  # half of the third patch: a tie
    masks[4:, 4:6], masks[5:, 6:] = 5, 4  # 8 and 6 pixels, 2 empty ones
    assert patch_masks(masks, (2, 2)).tolist() == [[7, 0], [2, 5]]
    assert patch_masks(masks, (8, 8)).tolist() == masks.tolist()
    assert patch_masks(masks, (1, 1)).tolist() == [[0]]
    assert patch_masks(np.ones((7, 10), int), (2, 3)).tolist() == [[1, 1, 1], [1, 1, 1]]

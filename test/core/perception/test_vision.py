"""The vision model: what it is given, how single things come apart, and what the shipped weights can do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("transformers")

from proxy3d_core.encoders import to_numpy
from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.perception.vision import NANO, VisionModel, alike_cells, load_vision, thing_masks
from proxy3d_core.perception.vision_input import WorkingImage, upright, working_image, working_size
from proxy3d_core.proxies.references import MARKERS, ReferenceCodes, numeral_picture

LEVEL = (0.0, -1.0, 0.0)
"""Up in the optical frame of a camera that is held level."""


@pytest.fixture(scope="module")
def nano() -> VisionModel:
    return load_vision("nano", "cpu")


def corridor(width: int, height: int, floor: float = 1.0, wall: float = 3.0) -> tuple[NDArray[np.float32], Intrinsics]:
    """Depth of a level camera ``floor`` metres above the floor, ``wall`` metres before a wall; and its intrinsics."""
    k = Intrinsics(width, height, 0.7 * width, 0.7 * width, (width - 1) / 2, (height - 1) / 2)
    down = (np.arange(height) - k.cy) / k.fy
    depth = np.where(down > 0, np.minimum(floor / np.maximum(down, 1e-9), wall), wall)
    return np.repeat(depth[:, None], width, axis=1).astype(np.float32), k


def checkers(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    colors = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(colors, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(480, 640, (120, 160)), (240, 320, (120, 160)), (120, 160, (120, 160)), (64, 96, (64, 96)), (28, 28, (32, 32))],
)
def test_working_size(height: int, width: int, expected: tuple[int, int]) -> None:
    assert working_size(height, width) == expected


def test_working_size_keeps_proportions_and_the_bound() -> None:
    rows, columns = working_size(720, 1280)
    assert columns / rows == pytest.approx(1280 / 720, rel=0.05)
    assert rows * columns <= 1.1 * 160 * 120


def test_upright_of_a_tilted_camera() -> None:
    np.testing.assert_allclose(upright(LEVEL), [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-6)
    tilt = np.deg2rad(30)  # looks down by this
    up = (0, -np.cos(tilt), -np.sin(tilt))
    ahead = upright(up) @ [0, 0, 1]
    np.testing.assert_allclose(ahead, [0, np.cos(tilt), -np.sin(tilt)], atol=1e-6)
    for straight in ((0, 0, -1), (0, 0, 1)):  # down at the floor, up at the ceiling
        rotation = upright(straight)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        np.testing.assert_allclose(rotation @ straight, [0, 0, 1], atol=1e-6)
    with pytest.raises(BadInput, match="direction"):
        upright((0, 0, 0))


def test_geometry_of_floor_and_wall() -> None:
    depth, k = corridor(320, 240)
    image = working_image(None, depth, k, LEVEL)
    floor, wall = (110, 80), (20, 80)  # rows and columns of the working image
    assert image.points[floor][2] == pytest.approx(-1.0, abs=0.02)
    assert image.geometry[floor][1] == pytest.approx(-0.5, abs=0.01)
    np.testing.assert_allclose(image.geometry[floor][2:], [1, 0], atol=0.05)  # its normal is up
    assert image.geometry[wall][0] == pytest.approx(3 / 5, abs=1e-3)
    np.testing.assert_allclose(image.geometry[wall][2:], [0, -1], atol=0.05)  # towards the camera
    assert (image.rgb == 128).all()


def test_what_was_not_measured_is_zero() -> None:
    depth, k = corridor(320, 240)
    depth[:40], depth[40:80], depth[80:100] = np.nan, np.inf, 0
    image = working_image(checkers(320, 240), depth, k, LEVEL)
    assert not image.valid[:50].any()
    assert image.valid[50:].all()
    assert (image.geometry[:50] == 0).all()
    assert np.isfinite(image.geometry).all()
    assert (working_image(checkers(320, 240)).geometry == 0).all()


def test_images_that_do_not_fit() -> None:
    depth, k = corridor(320, 240)
    with pytest.raises(BadInput, match="no image"):
        working_image(None)
    with pytest.raises(BadInput, match="intrinsics"):
        working_image(None, depth)
    with pytest.raises(BadInput, match="colour image"):
        working_image(checkers(160, 120), depth, k, LEVEL)
    with pytest.raises(BadInput, match="camera info"):
        working_image(None, depth[:120, :160], k, LEVEL)


def flat(height: int, width: int, distance: float = 2.0) -> WorkingImage:
    """A working image of a wall, with this many cells."""
    depth = np.full((2 * height, 2 * width), distance, np.float32)
    k = Intrinsics(2 * width, 2 * height, 100.0, 100.0, width - 0.5, height - 0.5)
    return working_image(None, depth, k, LEVEL)


THINGS = np.array([False, True, True, False])
"""Of the categories none, chair, table, wall."""


def sure(labels: NDArray[np.integer], certainty: float = 0.91) -> NDArray[np.float32]:
    """Probabilities (h, w, 4) of categories that are seen with this certainty."""
    rest = (1 - certainty) / 2
    return np.where(np.arange(4) == labels[..., None], certainty, rest).astype(np.float32) * (np.arange(4) > 0)


def test_touching_things_of_one_category_come_apart_by_their_votes() -> None:
    image = flat(16, 24)
    labels = np.full((16, 24), 3)
    labels[4:12, 2:22] = 1
    centers = np.zeros((16, 24, 3), np.float32)
    centers[:, :12], centers[:, 12:] = (-0.4, 2, 0), (0.4, 2, 0)
    masks, _ = thing_masks(sure(labels), centers - image.points[1::2, 1::2], image, THINGS)
    assert set(np.unique(masks)) == {0, 1, 2}
    assert (masks[4:12, 2:12] == masks[5, 5]).all()
    assert (masks[4:12, 12:22] == masks[5, 15]).all()
    assert masks[5, 5] != masks[5, 15]
    assert (masks[labels == 3] == 0).all()


def test_cells_between_two_things_do_not_join_them() -> None:
    """A network goes over from one thing to the next in several cells, each of which is like those beside it."""
    image = flat(16, 24)
    seen = sure(np.full((16, 24), 3))
    centers = np.zeros((16, 24, 3), np.float32)
    centers[..., 1] = 2
    for column in range(2, 22):
        table = min(max((column - 8) / 7, 0), 1)  # 0 up to column 8, 1 from column 15 on
        seen[4:12, column] = (0, 0.95 - 0.9 * table, 0.05 + 0.9 * table, 0)
        centers[:, column, 0] = -0.4 + 0.8 * table
    masks, pooled = thing_masks(seen, centers - image.points[1::2, 1::2], image, THINGS)
    assert masks[8, 2] != masks[8, 21]
    assert (masks[4:12, 2:9] == masks[8, 2]).all()
    assert (masks[4:12, 15:22] == masks[8, 21]).all()
    assert (pooled[4:12, 2:9].argmax(axis=2) == 1).all()
    assert (pooled[4:12, 15:22].argmax(axis=2) == 2).all()


def test_one_thing_behind_another_stays_one() -> None:
    image = flat(16, 24)
    labels = np.full((16, 24), 1)
    labels[:, 10:14] = 2  # in front of it
    centers = np.zeros((16, 24, 3), np.float32)
    centers[...] = (0, 2.2, 0)
    centers[:, 10:14] = (0, 1.5, 0)
    masks, _ = thing_masks(sure(labels), centers - image.points[1::2, 1::2], image, THINGS)
    assert masks[8, 2] == masks[8, 20] != masks[8, 12]
    assert masks.max() == 2


def test_specks_and_pixels_without_depth_are_in_no_mask() -> None:
    image = flat(16, 24)
    image.valid[:, 24:] = False
    labels = np.full((16, 24), 3)
    labels[3, 3] = 1
    labels[4:8, 14:20] = 1
    masks, pooled = thing_masks(sure(labels), -image.points[1::2, 1::2], image, THINGS)
    assert not masks.any()
    np.testing.assert_array_equal(pooled, sure(labels))


def test_the_cells_of_a_thing_agree_on_what_it_is() -> None:
    image = flat(16, 24)
    labels = np.full((16, 24), 3)
    labels[4:12, 6:18] = 1
    seen = sure(labels)
    doubtful = np.zeros((16, 24), bool)
    doubtful[5:9, 8:11] = True
    seen[doubtful] = (0, 0.45, 0.5, 0.05)  # by itself a table
    centers = np.zeros((16, 24, 3), np.float32)
    centers[...] = (0, 2.2, 0)
    masks, pooled = thing_masks(seen, centers - image.points[1::2, 1::2], image, THINGS)
    assert masks.max() == 1
    assert (pooled.argmax(axis=2) == labels).all()
    np.testing.assert_allclose(pooled.sum(axis=2), 1, atol=1e-5)


def test_pixels_take_the_answer_of_the_cell_that_looks_like_them() -> None:
    depth, k = corridor(160, 120)
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[:, 81:] = 255  # the edge goes through the cells of column 40
    cell = alike_cells(working_image(rgb, depth, k, LEVEL))
    assert (cell[:, 81] % 80 == 41).all()
    assert (cell[:, 80] % 80 == 39).all()
    even = alike_cells(working_image(np.full_like(rgb, 90)))
    assert (even == np.arange(60).repeat(2)[:, None] * 80 + np.arange(80).repeat(2)).all()  # no reason to leave


@pytest.mark.parametrize(("width", "height"), [(640, 480), (160, 120), (1280, 720), (200, 90), (40, 60)])
def test_shapes_for_any_camera(nano: VisionModel, width: int, height: int) -> None:
    depth, k = corridor(width, height)
    sight = nano.see(checkers(width, height), depth, k, LEVEL)
    grid = nano.grid(height, width)
    assert sight.features.shape == (*grid, nano.channels)
    assert sight.features.dtype == np.float32
    assert sight.labels.shape == sight.scores.shape == working_size(height, width)
    assert sight.masks is not None
    assert sight.masks.shape == sight.labels.shape
    assert sight.labels.min() >= 0
    assert sight.labels.max() < len(nano.names)
    assert np.isfinite(sight.features).all()
    assert ((sight.scores >= 0) & (sight.scores <= 1)).all()


def test_colours_alone_and_depth_alone(nano: VisionModel) -> None:
    rgb = checkers(320, 240)
    depth, k = corridor(320, 240)
    by_color = nano.see(rgb, None, None, None)
    assert by_color.masks is None
    np.testing.assert_allclose(by_color.features, to_numpy(nano.encode([rgb]))[0], atol=1e-4)
    by_depth = nano.see(None, depth, k, LEVEL)
    names = np.array(nano.names)
    assert np.mean(names[by_depth.labels[-20:]] == "floor") > 0.5
    with pytest.raises(BadInput, match="no image"):
        nano.see(None, None, None, None)


def test_broken_depth_is_as_no_depth(nano: VisionModel) -> None:
    rgb = checkers(320, 240)
    depth, k = corridor(320, 240)
    nothing = nano.see(rgb, np.full_like(depth, np.nan), k, LEVEL)
    np.testing.assert_allclose(nothing.features, nano.see(rgb, None, None, None).features, atol=1e-4)
    assert nothing.masks is not None
    assert not nothing.masks.any()


def test_pictures_one_by_one_and_together(nano: VisionModel) -> None:
    pictures = [numeral_picture(i) for i in range(40)]  # more than go through at once
    together = to_numpy(nano.encode(pictures))
    assert together.shape == (40, *nano.grid(28, 28), nano.channels)
    np.testing.assert_allclose(to_numpy(nano.encode(pictures[35:36]))[0], together[35], atol=1e-4)
    np.testing.assert_allclose(np.mean(together**2), 1, atol=0.4)  # about unit size


def test_a_category_code_reads_as_its_category(nano: VisionModel) -> None:
    codes = ReferenceCodes(nano.encode).categories(list(nano.names[1:]))
    read = nano.categories(codes)
    right = [nano.names[i] == name for i, name in zip(read, nano.names[1:], strict=True)]
    assert np.mean(right) > 0.9


def test_every_marker_has_a_code_of_its_own(nano: VisionModel) -> None:
    codes = ReferenceCodes(nano.encode)
    numerals = codes.identifiers(range(MARKERS))
    apart = np.linalg.norm(numerals[:, None] - numerals, axis=2) / np.sqrt(nano.channels)
    assert apart[~np.eye(MARKERS, dtype=bool)].min() > 0.2


def test_files_that_are_no_vision_model(tmp_path: Path) -> None:
    shutil.copytree(NANO, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"channels": 64}))
    with pytest.raises(ModelError, match="do not belong together"):
        load_vision(tmp_path / "model")
    del config["names"]
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not describe a vision network"):
        load_vision(tmp_path / "model")
    with pytest.raises(ModelError, match="does not exist"):
        load_vision(tmp_path / "nowhere")

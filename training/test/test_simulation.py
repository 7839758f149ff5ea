"""Simulated rooms: geometry by hand, light by formula, noise by its model, the same bytes from the same seed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex", reason="the renderer needs the sim extra: pip install 'proxy3d-training[sim]'")

from proxy3d_core.geometry import Intrinsics
from proxy3d_core.sequences import open_sequence
from proxy3d_training.simulation.furniture import CATALOGUE
from proxy3d_training.simulation.lighting import Caster, light_room
from proxy3d_training.simulation.recording import record
from proxy3d_training.simulation.renderer import Picture, Renderer
from proxy3d_training.simulation.rooms import Geometry, Item, Lamp, Opening, Room
from proxy3d_training.simulation.sensor import Segmenter, StereoDepth
from proxy3d_training.simulation.shapes import Material, box
from proxy3d_training.simulation.studio import CLASSES, MOVED, MOVED_AT, PATH, studio
from proxy3d_training.simulation.trajectory import drive, look

GREY = Material((0.5, 0.5, 0.5))
CAMERA = Intrinsics(161, 121, 100.0, 100.0, 80.0, 60.0)


def a_room(*items: Item, lamps: tuple[Lamp, ...] = (), size: tuple[float, float, float] = (6.0, 5.0, 2.5)) -> Room:
    return Room(
        *size, floor=GREY, walls=GREY, ceiling=GREY, items=items, lamps=lamps or (Lamp((3, 2.5, 2.3), 0.1, (2, 2, 2)),)
    )


def a_box(size: tuple[float, float, float], at: tuple[float, float], yaw: float = 0.0, number: int = 1) -> Item:
    return Item(number, "box", [box(size, (0, 0, 0), Material((0.8, 0.2, 0.1)))], (*at, 0.0), yaw)


def quick(room: Room) -> Renderer:
    return Renderer(room, max_edge=0.6, rays=4)


def test_depth_of_a_known_box_follows_from_geometry() -> None:
    # The camera is 1 m high at x = 1 and looks along +x. The box's near face is at x = 3.0, y in [2, 3], z in [0, 1.2].
    renderer = quick(a_room(a_box((0.5, 1.0, 1.2), (3.25, 2.5))))
    picture = renderer.render(look(np.array([1.0, 2.5, 1.0]), 0.0, 0.0), CAMERA)
    # y = 3 is 0.5 m to the left at 2 m: column 80 - 100 * 0.5 / 2 = 55.
    # z = 1.2 is 0.2 m up: row 60 - 100 * 0.2 / 2 = 50.
    on_box = picture.instance == 1
    columns, rows = np.flatnonzero(on_box.any(axis=0)), np.flatnonzero(on_box.any(axis=1))
    assert (columns[0], columns[-1], rows[0]) == pytest.approx((55, 105, 50), abs=1)
    assert picture.depth[60, 80] == pytest.approx(2.0, abs=1e-4)
    assert picture.depth[52:100, 58:102] == pytest.approx(2.0, abs=1e-4)
    # Beside it the far wall, at x = 6: 5 m along the axis wherever it is seen.
    assert picture.depth[60, [36, 124]] == pytest.approx(5.0, abs=1e-4)
    # The floor is 1 m below: at row v its depth is f * 1 / (v - cy).
    assert picture.depth[110, 80 + 60] == pytest.approx(100 / 50, abs=1e-3)
    assert picture.cosine[60, 80] == pytest.approx(1.0, abs=1e-3)


def test_pose_looks_where_it_says() -> None:
    pose = look(np.array([1.0, 2.0, 3.0]), np.deg2rad(90), np.deg2rad(30))
    assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    assert pose[:3, 2] == pytest.approx([0, np.cos(np.pi / 6), -0.5])  # forward: +y, 30 degrees down
    assert pose[:3, 0] == pytest.approx([1, 0, 0])  # right of +y is +x


@pytest.mark.parametrize("label", sorted(CATALOGUE))
def test_furniture_is_sound_and_its_box_is_tight(label: str) -> None:
    parts = CATALOGUE[label](np.random.default_rng(3))
    again = CATALOGUE[label](np.random.default_rng(3))
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(parts, again, strict=True))
    item = Item(1, label, parts, (1.5, -2.0, 0.3), 33.0)
    truth = item.box()
    # The item's points in the room, by hand: turned by 33 degrees about z, then shifted.
    c, s = np.cos(np.deg2rad(33)), np.sin(np.deg2rad(33))
    local = np.concatenate([p.vertices for p in parts])
    points = np.column_stack(
        [c * local[:, 0] - s * local[:, 1] + 1.5, s * local[:, 0] + c * local[:, 1] - 2.0, local[:, 2] + 0.3]
    )
    assert truth.contains(points, margin=1e-9).all()
    along = (points - truth.center) @ truth.rotation
    assert along.max(axis=0) == pytest.approx(truth.size / 2, abs=1e-9)
    assert along.min(axis=0) == pytest.approx(-truth.size / 2, abs=1e-9)
    assert local[:, 2].min() > -0.06  # nothing sinks into the floor (a window sill hangs a little lower)
    assert 0.02 < truth.size.max() < 2.6


def test_light_of_a_lamp_falls_with_the_square_of_the_distance() -> None:
    # Direct light only: E = I cos / r^2 on the floor below a lamp of 2 W/sr that hangs 2 m high.
    room = a_room(lamps=(Lamp((3, 2.5, 2.0), 0.02, (2, 2, 2)),))
    geometry = Geometry.of(room, 0.2)
    light = light_room(room, geometry, Caster(geometry.vertices[geometry.faces]), rays=4, bounces=0).irradiance[:, 0]
    floor = (geometry.vertices[:, 2] == 0) & (geometry.normals[:, 2] > 0.9)
    x, y = geometry.vertices[floor, 0] - 3, geometry.vertices[floor, 1] - 2.5
    expected = 2 * 2.0 / (x**2 + y**2 + 4.0) ** 1.5
    inner = (np.abs(x) < 2) & (np.abs(y) < 1.6)
    assert light[floor][inner] == pytest.approx(expected[inner], rel=0.08)


def test_shadow_lies_where_the_lamp_is_hidden() -> None:
    # A lamp at 2 m, a board of 0.6 x 0.6 m at 1 m: its umbra on the floor is twice as wide.
    board = box((0.6, 0.6, 0.02), (0, 0, 1.0), GREY)
    room = a_room(Item(1, "board", [board], (3, 2.5, 0)), lamps=(Lamp((3, 2.5, 2.0), 0.02, (2, 2, 2)),))
    geometry = Geometry.of(room, 0.1)
    light = light_room(room, geometry, Caster(geometry.vertices[geometry.faces]), rays=4, bounces=0).irradiance[:, 0]
    floor = (geometry.vertices[:, 2] == 0) & (geometry.face_item[0] == -1)
    reach = np.abs(geometry.vertices[:, :2] - (3, 2.5)).max(axis=1)
    assert light[floor & (reach < 0.35)].max() < 0.02
    assert light[floor & (reach > 0.85) & (reach < 1.2)].min() > 0.15


def test_window_shows_the_sky_and_gives_no_depth() -> None:
    room = Room(4, 4, 2.5, GREY, GREY, GREY, openings=(Opening("window", "east", 2.0, 1.6, 0.6, 2.2),))
    room = Room(4, 4, 2.5, GREY, GREY, GREY, openings=room.openings, items=tuple(room.fittings(1)))
    picture = quick(room).render(look(np.array([1.0, 2.3, 1.4]), 0.0, 0.0), CAMERA)
    assert picture.instance[60, 80] == 1
    assert picture.depth[60, 80] == 0
    assert picture.depth[60, 45] == pytest.approx(3.0, abs=0.03)  # the wall beside it
    assert picture.radiance[60, 80].min() > 3 * picture.radiance[60, 45].max()


def _flat(depth: float) -> Picture:
    shape = (CAMERA.height, CAMERA.width)
    full = np.full(shape, depth)
    return Picture(np.zeros((*shape, 3)), full, np.zeros(shape, np.int32), np.ones(shape), np.zeros(shape))


@pytest.mark.parametrize("distance", [1.0, 2.0, 4.0])
def test_depth_noise_grows_with_the_square_of_the_distance(distance: float) -> None:
    sensor = StereoDepth(noise=0.05, step=0.001)
    measured = sensor.measure(_flat(distance), CAMERA, np.random.default_rng(0))
    assert measured.dtype == np.uint16
    found = measured[measured > 0] / 1000
    # d = f b / z, so sigma_z = z^2 sigma_d / (f b).
    assert found.std() == pytest.approx(distance**2 * 0.05 / (100 * sensor.baseline), rel=0.15)
    assert found.mean() == pytest.approx(distance, rel=0.02)


def test_stereo_shadow_is_on_one_side_of_what_is_near() -> None:
    shape = (CAMERA.height, CAMERA.width)
    depth = np.full(shape, 4.0)
    depth[:, 80:110] = 1.0
    picture = Picture(np.zeros((*shape, 3)), depth, np.zeros(shape, np.int32), np.ones(shape), np.zeros(shape))
    holes = StereoDepth(noise=1e-6).measure(picture, CAMERA, np.random.default_rng(0)) == 0
    # Its width is the step in disparity: f b (1/1 - 1/4) = 5.6 pixels.
    assert holes[:, 75:79].mean() > 0.8
    assert holes[:, 113:120].mean() < 0.1


def test_segmenter_errs_at_borders_only() -> None:
    instance = np.zeros((100, 120), np.int32)
    instance[30:70, 40:90] = 7
    segmenter = Segmenter({"background": 0, "chair": 1}, miss=0.0)
    labels = segmenter.segment(instance, {7: "chair"}, np.random.default_rng(0))
    assert (labels[36:64, 46:84] == 1).all()
    assert (labels[:24] == 0).all() and (labels[:, :34] == 0).all()
    assert (labels != (instance == 7)).any()
    blind = Segmenter({"chair": 1}, miss=1.0).segment(instance, {7: "chair"}, np.random.default_rng(0))
    assert not blind.any()


def _record(folder: Path, seed: int) -> dict[str, str]:
    before = a_room(a_box((0.4, 0.5, 0.6), (3.0, 2.5), 20))
    after = a_room(before.items[0].at((4.0, 1.5, 0.0), -10))
    poses = drive(((0.0, 1.0, 2.0, 5, 15), (0.6, 1.2, 2.2, 0, 15)), 10, 1.2)
    camera = Intrinsics(64, 48, 50, 50, 31.5, 23.5)
    record(folder, before, after, 0.3, poses, camera, ("background", "box"), seed=seed, samples=2, light=quick)
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = _record(tmp_path / "a", 5), _record(tmp_path / "b", 5), _record(tmp_path / "c", 6)
    assert first == second
    assert first.keys() == other.keys()
    assert first["frame-000003.depth.png"] != other["frame-000003.depth.png"]
    assert first["frame-000003.pose.txt"] == other["frame-000003.pose.txt"]


def test_a_recording_opens_as_a_sequence_with_its_rate_and_truth(tmp_path: Path) -> None:
    import json

    _record(tmp_path / "room", 0)
    sequence = open_sequence(tmp_path / "room")
    records = list(sequence)
    assert len(records) == 6
    assert np.diff([r.stamp_ns for r in records]) == pytest.approx(1e8, abs=2)
    assert sequence.label_names[1] == "box"
    (entry,) = json.loads((tmp_path / "room" / "truth.json").read_text())["objects"]
    assert entry["center"] == pytest.approx([4.0, 1.5, 0.3])
    assert entry["size"] == pytest.approx([0.4, 0.5, 0.6])
    assert entry["moved"]["from"]["center"] == pytest.approx([3.0, 2.5, 0.3])
    assert entry["moved"]["from"]["yaw"] == pytest.approx(np.deg2rad(20), abs=1e-4)


def test_studio_is_furnished_and_nothing_stands_in_anything() -> None:
    room = studio()
    labels = [item.label for item in room.items]
    assert len(labels) >= 12 and len(set(labels)) >= 8
    assert set(labels) <= set(CLASSES)
    boxes = [(item.label, item.box()) for item in room.items if item.label not in ("door", "window")]
    for i, (name, first) in enumerate(boxes):
        assert first.corners[:, 0].min() > -0.02 and first.corners[:, 0].max() < room.width + 0.02, name
        assert first.corners[:, 1].min() > -0.02 and first.corners[:, 1].max() < room.depth + 0.02, name
        for other, second in boxes[i + 1 :]:
            if {name, other} != {"chair", "dining table"} and {name, other} != {
                "chair",
                "desk",
            }:  # chairs are pushed in
                assert first.iou(second) < 0.02, (name, other)


def test_nobody_sees_the_suitcase_being_moved() -> None:
    poses = drive(PATH, 10, 1.25)
    camera = Intrinsics(80, 60, 57.5, 57.5, 39.5, 29.5)
    at = round(MOVED_AT * 10)
    before, after = (quick(studio(moved)) for moved in (False, True))
    number = next(item.id for item in before.room.items if item.label == MOVED)

    def views(renderer: Renderer, frames: range) -> list[int]:
        return [int((renderer.render(poses[i], camera).instance == number).sum()) for i in frames]

    assert max(views(before, range(at - 5, at + 5))) == 0
    assert max(views(after, range(at - 5, at + 5))) == 0
    assert sum(n > 40 for n in views(before, range(0, at, 4))) >= 3  # seen where it stood,
    assert sum(n > 40 for n in views(after, range(at, len(poses), 4))) >= 3  # and where it was put

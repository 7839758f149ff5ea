"""The up axis and the floor of a world that lies askew: the truth is how the room was turned."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rooms import Room, Thing, look, walk
from scipy.spatial.transform import Rotation

from proxy3d_core.frame import Frame
from proxy3d_core.perception.level import Level, estimate_up, level_frame
from proxy3d_core.sequences import Record, Sequence, open_sequence
from proxy3d_core.sequences.base import spread


class Turned(Sequence):
    """Frames of a level room, told in a world that is turned and moved."""

    def __init__(self, frames: list[Frame], world_from_room: np.ndarray, up: np.ndarray | None = None) -> None:
        self.name, self.format, self.label_names, self.up = "turned", "test", {}, up
        self._frames, self._turn = frames, world_from_room

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, i: int) -> Record:
        f = self._frames[i]
        return Record(i, f.stamp_ns, depth=f.depth, intrinsics=f.intrinsics, pose=self._turn @ f.pose)

    def __iter__(self) -> Iterator[Record]:
        return map(self.read, range(len(self)))

    def sample(self, count: int) -> Iterator[Record]:
        return map(self.read, spread(len(self), count))


TABLE = Thing("table", (0.2, 0, 0.375), (1.6, 0.9, 0.75), yaw=0.3)
CHAIRS = [Thing("chair", (x, y, 0.45), (0.45, 0.45, 0.9), yaw=x) for x, y in ((-1, 0.8), (1.2, 1), (0.3, -1.1))]


def turned(rotation: Rotation, shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3] = rotation.as_matrix()
    out[:3, 3] = shift
    return out


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def check(level: Level, world: np.ndarray, degrees: float) -> None:
    up = world[:3, 2]
    assert angle(level.up, up) < degrees
    assert np.linalg.norm(level.up) == pytest.approx(1)
    # A point of the floor, z = 0 in the room, is the world's shift.
    assert level.floor == pytest.approx(float(level.up @ world[:3, 3]), abs=0.03)
    np.testing.assert_allclose(level.rotation @ level.up, (0, 0, 1), atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_finds_the_level_of_any_world(seed: int) -> None:
    room = Room([TABLE, *CHAIRS], noise=0.002)
    rng = np.random.default_rng(seed)
    world = turned(Rotation.random(random_state=seed), tuple(rng.uniform(-2, 2, 3)))
    check(estimate_up(Turned(walk(room, 4), world)), world, 0.5)


@pytest.mark.parametrize("pitch", [10, 25, 40])
def test_one_direction_of_view_is_enough(pitch: float) -> None:
    """All cameras look the same way, so their mean up is off by the pitch."""
    room = Room([TABLE, *CHAIRS], noise=0.002)
    reach = 1.4 / np.tan(np.deg2rad(pitch))
    frames = [room.render(look((-2.5 + 0.02 * i, 0.1, 1.4), (-2.5 + reach, 0.1, 0)), i / 10) for i in range(20)]
    world = turned(Rotation.from_euler("xyz", [100, 20, 30], degrees=True), (1, 2, 3))
    check(estimate_up(Turned(frames, world)), world, 0.6)


def test_a_tilted_camera_does_not_tilt_the_world() -> None:
    room = Room([TABLE], noise=0.003)
    frames = []
    for f in walk(room, 3):
        rolled = f.pose.copy()
        rolled[:3, :3] = rolled[:3, :3] @ Rotation.from_euler("z", 12, degrees=True).as_matrix()
        frames.append(room.render(rolled, f.stamp_ns / 1e9))
    world = turned(Rotation.from_euler("x", -90, degrees=True))
    check(estimate_up(Turned(frames, world)), world, 0.5)


def test_a_big_table_is_not_the_floor() -> None:
    """Most of what is seen is the table's top; the floor shows in strips."""
    room = Room([Thing("table", (0, 0, 0.375), (2.8, 1.6, 0.75))], noise=0.002)
    world = turned(Rotation.from_euler("x", 80, degrees=True), (0, 0, 1))
    check(estimate_up(Turned(walk(room, 4, radius=2.2), world)), world, 0.5)


def test_without_a_floor_there_is_an_up_axis_and_no_floor() -> None:
    """A camera that sees a table top and things below its edge, but never the floor."""
    room = Room([Thing("table", (0, 0, 0.375), (2.4, 1.4, 0.75))], noise=0.002)
    frames = []
    for f in walk(room, 3, radius=1.8):
        points_z = f.pose[2, 3] + (f.pose[:3, :3] @ rays(f))[2] * f.depth.ravel()
        depth = np.where(points_z.reshape(f.depth.shape) > 0.2, f.depth, 0).astype(np.float32)
        frames.append(replace(f, depth=depth))
    world = turned(Rotation.from_euler("x", 80, degrees=True))
    level = estimate_up(Turned(frames, world))
    assert angle(level.up, world[:3, 2]) < 1
    assert level.floor is None and not level.found


def rays(frame: Frame) -> np.ndarray:
    k = frame.intrinsics
    u, v = np.meshgrid((np.arange(k.width) - k.cx) / k.fx, (np.arange(k.height) - k.cy) / k.fy)
    return np.stack([u, v, np.ones_like(u)]).reshape(3, -1)


def test_a_levelled_world_stays_as_it_is() -> None:
    frames = walk(Room([TABLE, *CHAIRS], noise=0.003), 4)
    estimated = estimate_up(Turned(frames, np.eye(4)))
    np.testing.assert_array_equal(estimated.rotation, np.eye(3))
    assert estimated.floor == pytest.approx(0, abs=0.02)
    stated = estimate_up(Turned(frames, np.eye(4), up=np.array([0.0, 0, 1])))
    np.testing.assert_array_equal(stated.up, (0, 0, 1))
    assert stated.floor == pytest.approx(0, abs=0.02)


def test_it_is_deterministic() -> None:
    frames = walk(Room([TABLE, *CHAIRS], noise=0.002), 2)
    world = turned(Rotation.random(random_state=3))
    first, second = (estimate_up(Turned(frames, world)) for _ in range(2))
    np.testing.assert_array_equal(first.up, second.up)
    assert first.floor == second.floor


def test_nothing_to_see() -> None:
    blind = [replace(f, depth=np.zeros_like(f.depth)) for f in walk(Room([]), 1)]
    level = estimate_up(Turned(blind, np.eye(4)))
    assert not level.found and level.up.tolist() == [0, 0, 1]
    assert not estimate_up(Turned([], np.eye(4))).found


def test_frames_come_out_level() -> None:
    room = Room([TABLE])
    frames = walk(room, 2)
    world = turned(Rotation.from_euler("x", -70, degrees=True), (0.5, 0, 0))
    sequence = Turned(frames, world)
    level = estimate_up(sequence)
    found = level_frame(sequence.read(0), sequence, level)
    # Heights over the floor are those of the room.
    assert found.pose[2, 3] - level.floor == pytest.approx(frames[0].pose[2, 3], abs=0.03)
    assert angle(found.pose[:3, 2], np.array([0, 0, 1.0])) == pytest.approx(
        angle(frames[0].pose[:3, 2], np.array([0, 0, 1.0])), abs=0.5
    )


class Part(Sequence):
    """Some frames of a sequence."""

    def __init__(self, whole: Sequence, first: int, last: int) -> None:
        self.name, self.format, self.label_names = whole.name, whole.format, {}
        self._whole, self._range = whole, range(first, last)

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[Record]:
        return (self._whole.read(i) for i in self._range)  # type: ignore[attr-defined]

    def sample(self, count: int) -> Iterator[Record]:
        return (self._whole.read(self._range[i]) for i in spread(len(self), count))  # type: ignore[attr-defined]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lowest", "highest"), [("redkitchen", 1.2, 1.7), ("livingroom1", 0.3, 1.3), ("pi3_room", 1.5, 2.0)]
)
def test_parts_of_a_recorded_sequence_agree(data_dir: Path, name: str, lowest: float, highest: float) -> None:
    sequence = open_sequence(data_dir / name)
    level, half = estimate_up(sequence), len(sequence) // 2
    parts = [estimate_up(Part(sequence, *ends)) for ends in ((0, half), (half, len(sequence)))]
    assert angle(parts[0].up, parts[1].up) < 1.0
    for part in parts:
        assert part.floor == pytest.approx(level.floor, abs=0.03)
    heights = [r.pose[:3, 3] @ level.up - level.floor for r in sequence.sample(30)]
    assert lowest < min(heights) and max(heights) < highest


@pytest.mark.data
def test_what_is_known_of_the_recorded_worlds(data_dir: Path) -> None:
    # pi3_room is stated to have z up; the ICL world of these frames has y up.
    assert angle(estimate_up(open_sequence(data_dir / "pi3_room")).up, np.array([0, 0, 1.0])) < 0.5
    assert angle(estimate_up(open_sequence(data_dir / "open3d_rgbd_formats")).up, np.array([0, 1.0, 0])) < 0.5

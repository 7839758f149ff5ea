"""Colour without depth: the node and the replay with depth models of random weights, or that see a wall at 2 m."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from box_room import CAMERA, render, tour
from direct_port import DirectPort
from rooms import look

from proxy3d_core.config import Config
from proxy3d_core.errors import ModelError, SequenceError
from proxy3d_core.geometry import Intrinsics
from proxy3d_core.perception.depth_models import UNCHECKED, Prediction
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.scene.state import SceneState
from proxy3d_core.sequences import open_sequence
from proxy3d_ros.node import SpatialNode
from proxy3d_ros.port import Input as Source
from proxy3d_ros.port import InputStatus, Output
from proxy3d_ros.replay import document, replay

pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_depth

SECOND = 1_000_000_000
FRAME = "camera_color_optical_frame"


class Camera:
    """A robot with a colour camera, and the node."""

    def __init__(self, **settings: Any) -> None:
        self.port = DirectPort()
        self.port.connections[Source.DEPTH] = InputStatus("/depth/image", 0)
        self.node = SpatialNode(
            self.port, Config.from_flat({"input.silent_after": 0.1, "encoder.source": "appearance", **settings})
        )
        self.node.activate()
        self.node.on_camera_info(1, FRAME, CAMERA.width, CAMERA.height, CAMERA.matrix.reshape(-1))
        self.stamp = 100 * SECOND

    def publish(self, pose: np.ndarray, depth: float | None = None) -> None:
        """One colour image with its pose; with the depth image of a wall, if wanted."""
        self.stamp += SECOND // 10
        self.port.transforms.add("map", FRAME, self.stamp, pose)
        if depth is not None:
            self.node.on_depth(self.stamp, FRAME, np.full((CAMERA.height, CAMERA.width), depth, np.float32))
        self.node.on_rgb(self.stamp, FRAME, render(pose).rgb)

    def look(self, pose: np.ndarray, depth: float | None = None) -> None:
        """Publish and wait until the map has it."""
        before = self.snapshot.frames
        self.publish(pose, depth)
        wait(lambda: self.snapshot.frames != before)

    @property
    def snapshot(self) -> Any:
        return self.node._scene.snapshot()

    def status(self, name: str) -> tuple[int, str, dict[str, str]]:
        self.node._diagnostics_at = 0
        self.node.tick()
        (found,) = (s for s in self.port.last(Output.DIAGNOSTICS).status if s.name == f"proxy3d: {name}")
        return found.level, found.message, {v.key: v.value for v in found.values}


def wait(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "the node did not get there"
        time.sleep(0.005)


@pytest.fixture
def make() -> Iterator[Callable[..., Camera]]:
    cameras: list[Camera] = []

    def build(**settings: Any) -> Camera:
        cameras.append(Camera(**settings))
        return cameras[-1]

    yield build
    for camera in cameras:
        camera.node.close()


AHEAD = look((-1.5, 0.0, 1.5), (1.6, 0.0, 0.3))


def test_colour_and_a_model_make_a_map(make: Callable[..., Camera], tmp_path: Path) -> None:
    camera = make(**{"perception.depth_model": str(tiny_depth.depth_anything(tmp_path)), "perception.max_depth": 25.0})
    for pose in tour(4):
        camera.look(pose)
    assert camera.snapshot.frames == 4 and camera.node._scene.voxel_count > 0
    assert camera.status("frames")[0] == 0
    time.sleep(0.2)
    assert "/depth/image" not in camera.status("inputs")[1]  # nobody misses it
    level, message, values = camera.status("depth model")
    assert level == 1 and "uncertain by 20 %: no depth sensor has checked" in message
    assert values["checked"] == "False" and values["sensor_ratio"] == "None"
    assert "depth model p95 [ms]" in camera.status("timing")[2]


def test_answers_carry_the_uncertainty_of_an_unchecked_scale(make: Callable[..., Camera], tmp_path: Path) -> None:
    """A wall at 2 m fills the view: 160/146 of 2 m wide. The length itself is the model's; the doubt is 20 % of it."""
    camera = make(**{"perception.depth_model": str(tiny_depth.depth_anything(tmp_path, wall=2.0))})
    for _ in range(6):
        camera.look(AHEAD)
    wait(lambda: not camera.node._dirty)
    assert camera.snapshot.scale_uncertainty == UNCHECKED
    (item, *_) = camera.snapshot.present
    reply = camera.node.ask_spatial(
        camera.port.new("proxy3d_ros/srv/AskSpatial_Request", question=f"How wide is the {item.label}?")
    )
    assert reply.status == Status.OK.value, reply.message
    assert reply.uncertainty >= 0.2 * reply.value and "depth model" in reply.message
    loaded = SceneState(camera.node.config)
    loaded.load_state_dict(*camera.node._scene.state_dict())
    assert loaded.snapshot().scale_uncertainty == UNCHECKED


def test_a_sensor_checks_the_scale_and_sets_it_if_asked(make: Callable[..., Camera], tmp_path: Path) -> None:
    folder = str(tiny_depth.depth_anything(tmp_path, wall=2.0))
    camera = make(**{"perception.depth_model": folder})
    camera.look(AHEAD, depth=3.0)
    level, message, values = camera.status("depth model")
    assert level == 1 and "the sensor's depth is 1.5 times what the model says" in message
    assert values["scale"] == "1.0" and values["sensor_frames"] == "1"
    assert camera.snapshot.scale_uncertainty == pytest.approx(np.log(1.5), rel=0.01)
    camera = make(**{"perception.depth_model": folder, "perception.depth_scale": 0.0})
    camera.publish(AHEAD)  # nothing to compare with so far
    wait(lambda: camera.node._assembler.drops["rejected"] == 1)
    assert "perception.depth_scale" in camera.node._assembler.last_drop["rejected"]
    camera.look(AHEAD, depth=3.0)
    camera.look(AHEAD)
    level, message, values = camera.status("depth model")
    assert level == 0 and values["scale"] == "1.5" and camera.snapshot.scale_uncertainty < 0.01
    assert camera.node._scene.view().depth.max() == pytest.approx(3.0, rel=1e-3)


def test_a_slow_model_drops_frames_and_never_lags(make: Callable[..., Camera], tmp_path: Path) -> None:
    camera = make(**{"perception.depth_model": str(tiny_depth.depth_anything(tmp_path, wall=2.0))})
    source = camera.node._depth_source
    assert source is not None
    fast = source.model

    class Slow:
        name = "slow"

        def predict(self, rgb: np.ndarray, intrinsics: Intrinsics) -> Prediction:
            time.sleep(0.2)
            return fast.predict(rgb, intrinsics)

    source.model = Slow()
    for _ in range(30):
        camera.publish(AHEAD)
        time.sleep(0.01)
    wait(lambda: camera.snapshot.stamp_ns == camera.stamp)  # the newest image, not the next in a queue
    assert camera.snapshot.frames < 10
    assert camera.node._assembler.drops["superseded"] == 30 - camera.snapshot.frames


def test_neither_depth_nor_model_names_the_cure(make: Callable[..., Camera]) -> None:
    camera = make()
    camera.publish(AHEAD)
    time.sleep(0.2)
    level, message, _ = camera.status("inputs")
    assert level == 2 and "No message on /depth/image" in message and "set perception.depth_model" in message


def test_an_unusable_model_is_refused_at_once(make: Callable[..., Camera], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="relative depth"):
        make(**{"perception.depth_model": str(tiny_depth.depth_anything(tmp_path, kind="relative"))})


# Replay


def colour_folder(folder: Path, poses: bool = True, depth: float | None = None) -> Path:
    """Images, K.txt and poses.txt of a camera that turns a little, and depth images of a wall, if wanted."""
    (folder / "images").mkdir(parents=True)
    np.savetxt(folder / "K.txt", CAMERA.matrix)
    cameras = tour(5)
    for i, pose in enumerate(cameras):
        cv2.imwrite(str(folder / "images" / f"{i:04d}.png"), render(pose).rgb[..., ::-1])
        if depth is not None:
            (folder / "depth").mkdir(exist_ok=True)
            image = np.full((CAMERA.height, CAMERA.width), round(depth * 1000), np.uint16)
            cv2.imwrite(str(folder / "depth" / f"{i:04d}.png"), image)
    if poses:
        np.savetxt(folder / "poses.txt", [pose.reshape(-1) for pose in cameras])
    return folder


def test_replay_of_colour_with_a_model(tmp_path: Path) -> None:
    model = tiny_depth.depth_anything(tmp_path / "model", wall=2.0)
    sequence = open_sequence(colour_folder(tmp_path / "room"))
    config = Config.from_flat({"perception.depth_model": str(model)})
    seen = []
    played = replay(sequence, config, lambda run, frame: seen.append(float(np.median(frame.depth))))
    assert played.frames == 5 and seen == pytest.approx([2.0] * 5, rel=1e-4)
    report = document(played)["depth_model"]
    assert report["model"] == "model" and report["checked"] is False and report["uncertainty"] == UNCHECKED


@pytest.mark.parametrize(("given", "applied"), [(1.0, 2.0), (0.0, 3.0)])
def test_replay_checks_the_scale_where_a_sensor_was_recorded(tmp_path: Path, given: float, applied: float) -> None:
    model = tiny_depth.depth_anything(tmp_path / "model", wall=2.0)
    sequence = open_sequence(colour_folder(tmp_path / "room", depth=3.0))
    config = Config.from_flat({"perception.depth_model": str(model), "perception.depth_scale": given})
    seen = []
    played = replay(sequence, config, lambda run, frame: seen.append(float(np.median(frame.depth))))
    assert seen == pytest.approx([applied] * 5, rel=1e-3)
    report = document(played)["depth_model"]
    assert report["checked"] and report["sensor_ratio"] == pytest.approx(1.5, rel=1e-3)


def test_replay_of_colour_without_a_model_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match=r"no depth \(5x\); .*perception.depth_model"):
        replay(open_sequence(colour_folder(tmp_path)))


def test_a_video_has_no_poses_and_says_so(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for pose in tour(3):
        writer.write(render(pose).rgb[..., ::-1])
    writer.release()
    model = tiny_depth.depth_anything(tmp_path / "model", wall=2.0)
    with pytest.raises(SequenceError, match=r"no camera pose \(3x\); a depth model gives no camera path: record poses"):
        replay(open_sequence(tmp_path / "walk.avi"), Config.from_flat({"perception.depth_model": str(model)}))

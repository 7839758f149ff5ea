"""The player against plain subscriptions: what a robot's other nodes would get."""

from __future__ import annotations

import json
import threading
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proxy3d_core.encodings import decode_compressed, decode_compressed_depth
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transform_buffer import TransformBuffer
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_core.sequences import open_sequence
from proxy3d_ros.dds import qos
from proxy3d_ros.dds.player import play

FRAMES, WIDTH, HEIGHT, FOCAL = 8, 160, 120, 140.0
CAMERA_HEIGHT, FAR_WALL, SIDE_WALL = 1.2, 4.0, 2.5


def camera_pose(i: int) -> np.ndarray:
    """World (z up) from camera: 1.2 m over the floor, 20 degrees down, turning by 3 degrees a frame."""
    forward_level = Rotation.from_euler("z", 3 * i, degrees=True)
    tilt = Rotation.from_euler("y", 20, degrees=True)
    body_from_optical = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    pose = np.eye(4)
    pose[:3, :3] = forward_level.as_matrix() @ tilt.as_matrix() @ body_from_optical
    pose[:3, 3] = (0.1 * i, 0, CAMERA_HEIGHT)
    return pose


def room_depth(pose: np.ndarray) -> np.ndarray:
    """Depth [m] of a floor and three walls, by intersecting every viewing ray with their planes."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, np.ones_like(u)], axis=-1) @ pose[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = [
            (0 - pose[2, 3]) / rays[..., 2],
            (FAR_WALL - pose[0, 3]) / rays[..., 0],
            (SIDE_WALL - pose[1, 3]) / rays[..., 1],
            (-SIDE_WALL - pose[1, 3]) / rays[..., 1],
        ]
    return np.min([np.where(hit > 0, hit, np.inf) for hit in planes], axis=0)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A folder with images/, depth/ (mm), labels/, K.txt and poses.txt at 30 frames a second."""
    folder = tmp_path_factory.mktemp("room")
    rng = np.random.default_rng(3)
    for name in ("images", "depth", "labels"):
        (folder / name).mkdir()
    poses = [camera_pose(i) for i in range(FRAMES)]
    for i, pose in enumerate(poses):
        millimetres = np.rint(room_depth(pose) * 1000).astype(np.uint16)
        cv2.imwrite(str(folder / "depth" / f"{i:04d}.png"), millimetres)
        tiles = rng.integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i:04d}.png"), tiles.repeat(20, axis=0).repeat(20, axis=1))
        cv2.imwrite(str(folder / "labels" / f"{i:04d}.png"), np.full((HEIGHT, WIDTH), i, np.uint8))
    np.savetxt(folder / "K.txt", [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    np.savetxt(folder / "poses.txt", [pose.reshape(-1) for pose in poses])
    (folder / "labels.json").write_text(json.dumps({"0": "floor", "5": "chair"}))
    return folder


class Listener:
    """Collects what the player publishes."""

    def __init__(self, node, prefix: str = "") -> None:
        self.node = node
        self.got: dict[str, list] = {}
        self.arrived: dict[str, list[float]] = {}
        self.tf = TransformBuffer()
        self.tf_stamps: list[int] = []
        for name, kind, profile in (
            ("rgb/image", "sensor_msgs/msg/Image", qos.SENSOR_DATA),
            ("depth/image", "sensor_msgs/msg/Image", qos.SENSOR_DATA),
            ("rgb/image/compressed", "sensor_msgs/msg/CompressedImage", qos.SENSOR_DATA),
            ("depth/image/compressedDepth", "sensor_msgs/msg/CompressedImage", qos.SENSOR_DATA),
            ("rgb/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR_DATA),
            ("semantic/labels", "sensor_msgs/msg/Image", qos.SENSOR_DATA),
            ("semantic/label_info", "vision_msgs/msg/LabelInfo", qos.LATCHED),
        ):
            self.got[name], self.arrived[name] = [], []
            node.subscribe(prefix + name, kind, self._collect(name), profile)
        node.subscribe("/tf", "tf2_msgs/msg/TFMessage", lambda m: self._transforms(m, False), qos.TF)
        node.subscribe("/tf_static", "tf2_msgs/msg/TFMessage", lambda m: self._transforms(m, True), qos.TF_STATIC)

    def _collect(self, name):
        def callback(message) -> None:
            self.got[name].append(message)
            self.arrived[name].append(time.monotonic())

        return callback

    def _transforms(self, message, static: bool) -> None:
        for t in message.transforms:
            p, q = t.transform.translation, t.transform.rotation
            stamp = stamp_of(t)
            if not static and t.header.frame_id == "map":
                self.tf_stamps.append(stamp)
            pose = matrix_from_quaternion((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
            self.tf.add(t.header.frame_id, t.child_frame_id, stamp, pose, static)


def stamp_of(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_labels_can_be_left_out(make_node, wait_until, recording) -> None:
    listener = Listener(make_node("listener"))
    played = play(open_sequence(recording), rate=4.0, semantics=False)
    got = listener.got
    assert wait_until(lambda: len(got["rgb/image"]) == len(got["depth/image"]) == played.frames)
    assert not got["semantic/labels"] and not got["semantic/label_info"]


def test_a_sequence_comes_as_a_robot_publishes_it(make_node, wait_until, recording) -> None:
    listener = Listener(make_node("listener"))
    begin = time.time_ns()
    played = play(open_sequence(recording), rate=1.0)
    assert (played.frames, played.dropped) == (FRAMES, 0)
    got = listener.got
    assert wait_until(lambda: len(got["rgb/image"]) == FRAMES and len(got["depth/image"]) == FRAMES)

    info = got["rgb/camera_info"][0]
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert info.k.reshape(3, 3).tolist() == [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]
    assert info.p.reshape(3, 4)[:, :3].tolist() == info.k.reshape(3, 3).tolist()
    names = {c.class_id: c.class_name for c in got["semantic/label_info"][0].class_map}
    assert names == {0: "floor", 5: "chair"}

    for i in range(FRAMES):
        rgb, depth, labels = (got[name][i] for name in ("rgb/image", "depth/image", "semantic/labels"))
        bgr = cv2.imread(str(recording / "images" / f"{i:04d}.png"))
        assert np.array_equal(rgb.data.reshape(HEIGHT, WIDTH, 3), bgr[..., ::-1])
        millimetres = cv2.imread(str(recording / "depth" / f"{i:04d}.png"), cv2.IMREAD_UNCHANGED)
        assert depth.encoding == "16UC1"
        assert np.array_equal(depth.data.view(np.uint16).reshape(HEIGHT, WIDTH), millimetres)
        assert labels.encoding == "8UC1" and set(labels.data.tolist()) == {i}
        assert rgb.header.frame_id == depth.header.frame_id == "camera_color_optical_frame"
        stamp = stamp_of(rgb)
        assert stamp == stamp_of(depth) == stamp_of(labels) == stamp_of(got["rgb/camera_info"][i])
        assert begin < stamp < time.time_ns()
        # Positions of the recording can be looked up, whatever the map's own orientation is.
        pose = listener.tf.lookup("sequence_world", "camera_color_optical_frame", stamp)
        assert np.allclose(pose, camera_pose(i), atol=2e-3)
        # The robot stands on the floor below the camera, upright, and faces where the camera looks.
        robot = listener.tf.lookup("map", "base_link", stamp)
        camera = listener.tf.lookup("map", "camera_color_optical_frame", stamp)
        assert np.allclose(robot[:2, 3], camera[:2, 3]) and abs(robot[2, 3]) < 0.03
        assert np.allclose(robot[:3, 2], (0, 0, 1))
        assert np.arctan2(robot[1, 0], robot[0, 0]) == pytest.approx(np.deg2rad(3 * i), abs=0.02)

    stamps = [stamp_of(m) for m in got["rgb/image"]]
    steps = np.diff(stamps) / 1e9
    assert np.allclose(np.median(steps), 1 / 30, atol=1e-3)


def test_rate_scales_the_time_between_frames(make_node, wait_until, recording) -> None:
    listener = Listener(make_node("listener"))
    play(open_sequence(recording), rate=0.5)
    assert wait_until(lambda: len(listener.got["rgb/image"]) == FRAMES)
    steps = np.diff([stamp_of(m) for m in listener.got["rgb/image"]]) / 1e9
    assert np.median(steps) == pytest.approx(2 / 30, abs=1e-3)


def test_a_loop_goes_on_in_time(make_node, recording) -> None:
    listener = Listener(make_node("listener"))
    stop = threading.Event()

    def on_frame(count: int, total: int) -> None:
        assert total == FRAMES
        if count == 3 * FRAMES:
            stop.set()

    played = play(open_sequence(recording), rate=2.0, loop=True, stop=stop, on_frame=on_frame)
    assert played.frames == 3 * FRAMES
    stamps = listener.tf_stamps
    assert len(stamps) == 3 * FRAMES
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_compressed_images_in_a_namespace(make_node, wait_until, recording) -> None:
    listener = Listener(make_node("listener"), "/robot1/")
    play(open_sequence(recording), compressed=True, namespace="robot1")
    got = listener.got
    assert wait_until(lambda: len(got["rgb/image/compressed"]) == FRAMES)
    assert not got["rgb/image"] and not got["depth/image"]
    depth, encoding = decode_compressed_depth(
        got["depth/image/compressedDepth"][0].format, got["depth/image/compressedDepth"][0].data
    )
    millimetres = cv2.imread(str(recording / "depth" / "0000.png"), cv2.IMREAD_UNCHANGED)
    assert encoding == "16UC1" and np.array_equal(depth, millimetres)
    rgb, _ = decode_compressed(got["rgb/image/compressed"][0].format, got["rgb/image/compressed"][0].data)
    bgr = cv2.imread(str(recording / "images" / "0000.png")).astype(int)
    assert np.abs(rgb - bgr[..., ::-1]).mean() < 5


def test_without_a_listener_it_says_so_and_plays(recording) -> None:
    said: list[str] = []
    played = play(open_sequence(recording), rate=10, wait=0.2, on_message=said.append)
    assert played.frames == FRAMES
    assert "waiting for a listener on /rgb/image" in said[0]
    assert "nobody listens to /rgb/image" in said[1]


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_bad_rates_are_refused(recording, rate) -> None:
    with pytest.raises(BadInput, match="rate"):
        play(open_sequence(recording), rate=rate)

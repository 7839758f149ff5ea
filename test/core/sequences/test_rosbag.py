"""Bags: what is written comes back, and bags as robots record them (hand-made here) are understood."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest
from rooms import Room, Thing, walk
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import SequenceError
from proxy3d_core.frame import Detection2D
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.perception.level import Level, estimate_up
from proxy3d_core.sequences import Record, Sequence, frames, open_sequence
from proxy3d_core.sequences.ros_types import typestore
from proxy3d_core.sequences.rosbag_writer import write_rosbag2

MS = 1_000_000


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_written_comes_back(tmp_path: Path, tiny, compressed: bool) -> None:  # type: ignore[no-untyped-def]
    source = open_sequence(tiny.seven_scenes(tmp_path / "in"))
    level = Level(np.array([0.0, -1, 0]), -1.0)
    calls: list[tuple[int, int]] = []
    written = write_rosbag2(source, tmp_path / "bag", compressed, progress=lambda *now: calls.append(now), level=level)
    assert (written.frames, sum(written.dropped.values()), calls[-1]) == (3, 0, (3, 3))
    bag = open_sequence(tmp_path / "bag")
    assert (bag.format, bag.fixed_frame, len(bag)) == ("rosbag2", "map", 3)
    assert bag.label_names == {0: "background", 9: "chair"}
    np.testing.assert_array_equal(bag.up, (0, 0, 1))
    # Up is -y in the sequence and z in the map: the map's z is the sequence's -y.
    for i, (record, index) in enumerate(zip(bag, (0, 1, 2), strict=True)):
        assert record.dropped == "" and record.index == index
        assert record.stamp_ns == round(i * 1e9 / 30) + 1_000_000_000
        np.testing.assert_allclose(record.depth, tiny.depth(i), atol=1e-6)
        np.testing.assert_array_equal(record.labels, tiny.labels(i))
        np.testing.assert_allclose(record.intrinsics.matrix, tiny.k)
        assert np.abs(record.rgb.astype(int) - tiny.color(i)).mean() < (8 if compressed else 0.001)
        assert record.pose[2, 3] == pytest.approx(-tiny.pose(i)[1, 3])
        np.testing.assert_allclose(record.pose[:3, :3], level.rotation @ tiny.pose(i)[:3, :3], atol=1e-9)
    assert [r.index for r in bag.sample(2)] == [0, 2]
    np.testing.assert_array_equal(next(bag.sample(1)).labels, tiny.labels(1))


def test_a_bag_is_a_robot(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    """TF from map over base_link to the optical frame; label names latched; the body stands on the floor."""
    source = open_sequence(tiny.seven_scenes(tmp_path / "in"))
    write_rosbag2(source, tmp_path / "bag", level=Level(np.array([0.0, 0, 1]), -1.7))
    with Reader(tmp_path / "bag") as reader:
        kinds = {c.topic: (c.msgtype, c.ext.offered_qos_profiles[0].durability.name) for c in reader.connections}
        tf = [typestore().deserialize_cdr(d, c.msgtype) for c, _, d in reader.messages() if c.topic == "/tf"]
    assert kinds == {
        "/tf": ("tf2_msgs/msg/TFMessage", "VOLATILE"),
        "/tf_static": ("tf2_msgs/msg/TFMessage", "TRANSIENT_LOCAL"),
        "/rgb/camera_info": ("sensor_msgs/msg/CameraInfo", "VOLATILE"),
        "/rgb/image": ("sensor_msgs/msg/Image", "VOLATILE"),
        "/depth/image": ("sensor_msgs/msg/Image", "VOLATILE"),
        "/semantic/labels": ("sensor_msgs/msg/Image", "VOLATILE"),
        "/semantic/label_info": ("vision_msgs/msg/LabelInfo", "TRANSIENT_LOCAL"),
    }
    assert [(t.header.frame_id, t.child_frame_id) for t in tf[0].transforms] == [
        ("map", "base_link"),
        ("base_link", "camera_color_optical_frame"),
    ]
    assert tf[0].transforms[0].transform.translation.z == pytest.approx(-1.7)


def test_nothing_is_left_behind(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    folder = tiny.seven_scenes(tmp_path / "in")
    for path in folder.glob("*.pose.txt"):
        path.unlink()
    with pytest.raises(SequenceError, match=r"no frame of in can be written: no pose \(3x\)"):
        write_rosbag2(open_sequence(folder), tmp_path / "bag")
    assert not (tmp_path / "bag").exists()
    with pytest.raises(SequenceError, match="exists already"):
        write_rosbag2(open_sequence(folder), folder)


class Bag:
    """Writes messages by hand, as a robot's recorder would."""

    def __init__(self, path: Path, plugin: StoragePlugin = StoragePlugin.MCAP) -> None:
        self.types = typestore().types
        self._writer = Writer(path, version=9, storage_plugin=plugin)
        self._writer.open()
        self._connections: dict[str, object] = {}

    def close(self) -> None:
        self._writer.close()

    def put(self, topic: str, kind: str, recorded: int, message: object) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=typestore())
        self._writer.write(self._connections[topic], recorded, typestore().serialize_cdr(message, kind))

    def header(self, stamp: int, frame: str):  # type: ignore[no-untyped-def]
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame)

    def image(self, topic: str, stamp: int, frame: str, pixels: np.ndarray, encoding: str, late: int = 0) -> None:
        message = self.types["sensor_msgs/msg/Image"](
            header=self.header(stamp, frame),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels.nbytes // pixels.shape[0],
            data=np.ascontiguousarray(pixels).reshape(-1).view(np.uint8),
        )
        self.put(topic, "sensor_msgs/msg/Image", stamp + late, message)

    def info(self, topic: str, stamp: int, frame: str, k: Intrinsics | np.ndarray, size: tuple[int, int]) -> None:
        matrix = k.matrix if isinstance(k, Intrinsics) else k
        roi = self.types["sensor_msgs/msg/RegionOfInterest"](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        message = self.types["sensor_msgs/msg/CameraInfo"](
            header=self.header(stamp, frame),
            height=size[1],
            width=size[0],
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=matrix.reshape(-1).astype(float),
            r=np.eye(3).reshape(-1),
            p=np.zeros(12),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )
        self.put(topic, "sensor_msgs/msg/CameraInfo", stamp, message)

    def tf(self, stamp: int, parent: str, child: str, pose: np.ndarray, static: bool = False) -> None:
        q = Rotation.from_matrix(pose[:3, :3]).as_quat()
        transform = self.types["geometry_msgs/msg/Transform"](
            translation=self.types["geometry_msgs/msg/Vector3"](*(float(v) for v in pose[:3, 3])),
            rotation=self.types["geometry_msgs/msg/Quaternion"](*(float(v) for v in q)),
        )
        stamped = self.types["geometry_msgs/msg/TransformStamped"](
            header=self.header(stamp, parent), child_frame_id=child, transform=transform
        )
        message = self.types["tf2_msgs/msg/TFMessage"](transforms=[stamped])
        self.put("/tf_static" if static else "/tf", "tf2_msgs/msg/TFMessage", stamp, message)


def realsense(
    path: Path, tiny, change: Callable[[Bag, int, int], bool] | None = None, plugin=StoragePlugin.MCAP
) -> Path:  # type: ignore[no-untyped-def]
    """A bag with the topics of a RealSense driver: three frames, colour 10 ms after depth, recorded late and mixed."""
    bag = Bag(path, plugin)
    camera = np.eye(4)
    camera[:3, 3] = 0.1, 0, 0.3
    bag.tf(0, "base_link", "camera_color_optical_frame", camera, static=True)
    for i in range(-1, 4):
        bag.tf(10**9 + (100 * i + 50) * MS, "odom", "base_link", shifted(i + 0.5))
    for i in range(3):
        stamp = 10**9 + 100 * i * MS
        bag.info("/camera/color/camera_info", stamp, "camera_color_optical_frame", tiny.k, (64, 48))
        bag.image(
            "/camera/color/image_raw", stamp + 10 * MS, "camera_color_optical_frame", tiny.color(i)[..., ::-1], "bgr8"
        )
        if change is None or not change(bag, i, stamp):
            bag.image(
                "/camera/aligned_depth_to_color/image_raw",
                stamp,
                "camera_color_optical_frame",
                tiny.depth_mm(i),
                "16UC1",
                late=150 * MS,
            )
    bag.image("/camera/infra1/image_rect_raw", 10**9, "camera_infra1", np.zeros((48, 64), np.uint8), "mono8")
    bag.image("/camera/depth/image_rect_raw", 10**9, "camera_depth", np.zeros((48, 64), np.uint16), "16UC1")
    bag.close()
    return path


def test_a_bag_of_colour_has_all_but_depth(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    bag = Bag(tmp_path / "colour")
    for i in range(3):
        bag.tf(10**9 + 100 * i * MS, "odom", "camera", shifted(i))
        bag.info("/camera/color/camera_info", 10**9 + 100 * i * MS, "camera", tiny.k, (64, 48))
        bag.image("/camera/color/image_raw", 10**9 + 100 * i * MS, "camera", tiny.color(i)[..., ::-1], "bgr8")
    bag.close()
    sequence = open_sequence(tmp_path / "colour")
    for records in (list(sequence), list(sequence.sample(3))):
        assert [r.dropped for r in records] == ["no depth"] * 3
        for i, record in enumerate(records):
            assert record.rgb is not None and (record.rgb == tiny.color(i)).all()
            assert record.pose is not None and record.pose[0, 3] == pytest.approx(i)
            assert record.intrinsics is not None and record.intrinsics.matrix == pytest.approx(
                np.reshape(tiny.k, (3, 3))
            )


def shifted(x: float) -> np.ndarray:
    out = np.eye(4)
    out[0, 3] = x
    return out


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_robots_bag(tmp_path: Path, tiny, plugin: StoragePlugin, form: str) -> None:  # type: ignore[no-untyped-def]
    path = realsense(tmp_path / "run", tiny, plugin=plugin)
    if form == "file":
        (path,) = [*path.glob("*.mcap"), *path.glob("*.db3")]
    bag = open_sequence(path)
    assert bag.topics == {
        "depth": "/camera/aligned_depth_to_color/image_raw",
        "rgb": "/camera/color/image_raw",
        "camera_info": "/camera/color/camera_info",
    }
    assert (bag.name, bag.fixed_frame, len(bag)) == ("run", "odom", 3)
    for i, record in enumerate(bag):
        assert record.dropped == ""
        np.testing.assert_allclose(record.depth, tiny.depth(i), atol=1e-6)
        np.testing.assert_array_equal(record.rgb, tiny.color(i))
        # Half way between two odometry messages, plus the camera's place on the robot.
        np.testing.assert_allclose(record.pose[:3, 3], (i + 0.1, 0, 0.3), atol=1e-9)


def test_topics_can_be_named(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    path = realsense(tmp_path / "run", tiny)
    bag = open_sequence(path, topics={"depth": "/camera/depth/image_rect_raw"})
    assert len(bag) == 1
    with pytest.raises(SequenceError, match=r"no messages of .* on /nothing; topics: /camera/aligned"):
        open_sequence(path, topics={"depth": "/nothing"})
    with pytest.raises(SequenceError, match="unknown topic role 'colour'"):
        open_sequence(path, topics={"colour": "/x"})
    assert open_sequence(path, fixed_frame="base_link").fixed_frame == "base_link"
    assert {r.dropped for r in open_sequence(path, fixed_frame="mars")} == {"no transform"}


def test_frames_of_bad_images_are_named(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    topic, frame = "/camera/aligned_depth_to_color/image_raw", "camera_color_optical_frame"

    def change(bag: Bag, i: int, stamp: int) -> bool:
        if i == 0:
            bag.image(topic, stamp, frame, tiny.depth_mm(0), "16UC9")
        elif i == 1:
            bag.image(topic, stamp + 10**12, frame, tiny.depth_mm(0), "16UC1")
        else:
            for _ in range(2):
                bag.image(topic, stamp, frame, tiny.depth_mm(0), "16UC1")
        return True

    reasons = [r.dropped for r in open_sequence(realsense(tmp_path / "run", tiny, change))]
    assert reasons == ["unreadable depth image", "", "repeated stamp", "no transform"]


def test_depth_beside_colour_is_registered(tmp_path: Path) -> None:
    """Two cameras 10 cm apart before a wall 2 m away: each depth pixel gets the colour of the same spot of the wall."""
    bag = Bag(tmp_path / "run")
    color_from_depth = shifted(0.1)  # the depth camera is 10 cm to the right of the colour camera
    bag.tf(0, "map", "color_frame", np.eye(4), static=True)
    bag.tf(0, "color_frame", "depth_frame", color_from_depth, static=True)
    color_k, depth_k = Intrinsics(160, 120, 140, 140, 79.5, 59.5), Intrinsics(80, 60, 60, 60, 39.5, 29.5)
    x = (np.arange(160) - color_k.cx) / color_k.fx * 2  # where on the wall each colour column looks, metres
    color = np.zeros((120, 160, 3), np.uint8)
    color[..., 0] = np.clip(100 + 50 * x, 0, 255)
    bag.info("/color/camera_info", 10**9, "color_frame", color_k, (160, 120))
    bag.info("/depth/camera_info", 10**9, "depth_frame", depth_k, (80, 60))
    bag.image("/color/image_raw", 10**9, "color_frame", color, "rgb8")
    bag.image("/depth/image_raw", 10**9, "depth_frame", np.full((60, 80), 2.0, np.float32), "32FC1")
    bag.close()
    (record,) = open_sequence(tmp_path / "run")
    assert record.intrinsics == depth_k
    np.testing.assert_allclose(record.pose, color_from_depth)
    wall = (np.arange(80) - depth_k.cx) / depth_k.fx * 2 + 0.1
    inside = np.abs(wall) < 1.1
    np.testing.assert_allclose(record.rgb[30, inside, 0], (100 + 50 * wall)[inside], atol=1.5)


class One(Sequence):
    """One frame with a detection."""

    name, format, label_names, up = "one", "test", MappingProxyType({}), np.array([0.0, 0, 1])

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Record]:
        frame = walk(Room([Thing("chair", (0, 0, 0.4), (0.5, 0.5, 0.8))]), 0.1)[0]
        box = Detection2D("chair", 0.75, 10, 20, 40, 60)
        yield Record(0, 5 * 10**9, "", None, frame.depth, frame.intrinsics, frame.pose, None, (box,))

    def sample(self, count: int) -> Iterator[Record]:
        return iter(self)


def test_detections_come_back(tmp_path: Path) -> None:
    write_rosbag2(One(), tmp_path / "bag")
    (record,) = open_sequence(tmp_path / "bag")
    (box,) = record.detections
    assert (box.label, box.score, box.left, box.top, box.right, box.bottom) == ("chair", 0.75, 10, 20, 40, 60)


def test_damaged_and_foreign_bags(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x.mcap").write_bytes(b"\x89MCAP0\r\nrubbish")
    (tmp_path / "y.db3").write_bytes(b"SQLite format 3\0rubbish")
    for name in ("x.mcap", "y.db3"):
        with pytest.raises(SequenceError, match="cannot read the bag"):
            open_sequence(tmp_path / name)
    path = realsense(tmp_path / "run", tiny)
    (mcap,) = path.glob("*.mcap")
    mcap.write_bytes(mcap.read_bytes()[:5000])
    with pytest.raises(SequenceError, match="cannot read the bag"):
        open_sequence(path)
    mcap.unlink()
    with pytest.raises(SequenceError, match=r"cannot read the bag .*missing"):
        open_sequence(path)
    bag = Bag(tmp_path / "colour_only")
    bag.image("/camera/color/image_raw", 10**9, "camera", tiny.color(0), "rgb8")
    bag.close()
    with pytest.raises(SequenceError, match=r"no usable sensor_msgs/msg/CameraInfo for /camera/color/image_raw"):
        open_sequence(tmp_path / "colour_only")
    bag = Bag(tmp_path / "no_info")
    bag.image("/depth/image_raw", 10**9, "camera", tiny.depth_mm(0), "16UC1")
    bag.info("/depth/camera_info", 10**9, "camera", np.zeros((3, 3)), (64, 48))
    bag.close()
    with pytest.raises(SequenceError, match="was the camera calibrated"):
        open_sequence(tmp_path / "no_info")


def test_frames_are_decoded_ahead_and_counted(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    folder = tiny.seven_scenes(tmp_path)
    (folder / "frame-000001.depth.png").write_bytes(b"")
    sequence = open_sequence(folder)
    stream = frames(sequence, Level(np.array([0.0, 0, 1]), None))
    for _ in range(2):  # it can be gone through again
        assert [f.stamp_ns for f in stream] == [0, 66_666_667]
        assert stream.dropped == {"unreadable depth image": 1} and stream.read == len(stream) == 3
    first = next(iter(stream))
    assert first.label_names == {0: "background", 9: "chair"}


@pytest.mark.data
@pytest.mark.slow
def test_a_recorded_sequence_as_a_bag(data_dir: Path, tmp_path: Path) -> None:
    source = open_sequence(data_dir / "livingroom1")
    write_rosbag2(source, tmp_path / "bag", compressed=True)
    bag = open_sequence(tmp_path / "bag")
    before, after = estimate_up(source), estimate_up(bag)
    assert len(bag) == len(source)
    np.testing.assert_array_equal(after.up, (0, 0, 1))
    assert after.floor == pytest.approx(before.floor, abs=0.02)
    for a, b in zip(frames(source, before), frames(bag, after), strict=True):
        np.testing.assert_allclose(a.pose, b.pose, atol=1e-6)
        np.testing.assert_allclose(a.depth, b.depth, atol=1e-6)


def test_jpeg_bytes_are_ordinary(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    """Red must stay red for everybody who decodes the JPEG."""
    write_rosbag2(
        open_sequence(tiny.seven_scenes(tmp_path / "in")), tmp_path / "bag", True, level=Level(np.array([0, 0, 1.0]), 0)
    )
    with Reader(tmp_path / "bag") as reader:
        data = next(d for c, _, d in reader.messages() if c.topic == "/rgb/image/compressed")
    message = typestore().deserialize_cdr(data, "sensor_msgs/msg/CompressedImage")
    bgr = cv2.imdecode(message.data, cv2.IMREAD_COLOR)
    assert bgr[24, 8, 2] > 200 and bgr[24, 8, 0] < 60

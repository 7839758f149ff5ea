"""Every folder format gives back the pixels, metres, poses and stamps that were written."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import SequenceError
from proxy3d_core.sequences import Sequence, open_sequence
from proxy3d_core.sequences.folder import FolderSequence


def check(sequence: Sequence, tiny, labels: bool = False) -> list:  # type: ignore[no-untyped-def]
    records = list(sequence)
    assert len(records) == len(sequence) == 3
    for i, record in enumerate(records):
        assert record.dropped == "" and record.index == i
        np.testing.assert_allclose(record.depth, tiny.depth(i), atol=1e-6)
        assert record.depth.dtype == np.float32
        np.testing.assert_array_equal(record.rgb, tiny.color(i))
        np.testing.assert_allclose(record.pose, tiny.pose(i), atol=1e-6)
        np.testing.assert_allclose(record.intrinsics.matrix, tiny.k, atol=1e-9)
        if labels:
            np.testing.assert_array_equal(record.labels, tiny.labels(i))
    sampled = list(sequence.sample(2))
    assert [r.index for r in sampled] == [0, 2]
    return records


def test_seven_scenes(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.numbers = (0, 4, 56)
    sequence = open_sequence(tiny.seven_scenes(tmp_path))
    records = check(sequence, tiny, labels=True)
    assert sequence.format == "7-Scenes" and sequence.label_names == {0: "background", 9: "chair"}
    # No stamps: frame number at 30 Hz.
    assert [r.stamp_ns for r in records] == [0, 133_333_333, 1_866_666_667]


def test_seven_scenes_without_intrinsics_has_the_data_sets_camera(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.width, tiny.height = 640, 480
    tiny.seven_scenes(tmp_path)
    (tmp_path / "camera-intrinsics.txt").unlink()
    k = next(iter(open_sequence(tmp_path))).intrinsics
    assert (k.fx, k.fy, k.cx, k.cy, k.width, k.height) == (585, 585, 320, 240, 640, 480)


@pytest.mark.parametrize("color", ["image", "color"])
def test_trajectory_log(tmp_path: Path, tiny, color: str) -> None:  # type: ignore[no-untyped-def]
    lines = []
    for i in range(3):
        tiny.write_color(tmp_path / color / f"{i:05d}.png", i)
        tiny.write_gray(tmp_path / "depth" / f"{i:05d}.png", tiny.depth_mm(i))
        lines += [f"{i} {i} {i + 1}", *(" ".join(map(str, row)) for row in tiny.pose(i))]
    (tmp_path / "trajectory.log").write_text("\n".join(lines))
    (tmp_path / "intrinsic.json").write_text(
        json.dumps({"width": 64, "height": 48, "intrinsic_matrix": tiny.k.T.ravel().tolist()})
    )
    sequence = open_sequence(tmp_path)
    check(sequence, tiny)
    assert sequence.format == "Open3D"
    (tmp_path / "trajectory.log").write_text("\n".join(lines[:7]))
    with pytest.raises(SequenceError, match="5 lines"):
        open_sequence(tmp_path)


def test_tum_matches_by_stamp_and_interpolates_poses(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    depth_list, rgb_list, truth = ["# depth maps"], ["# color images"], ["# timestamp tx ty tz qx qy qz qw"]
    for i in range(3):
        stamp = 1305031102.160407 + i / 30
        tiny.write_gray(tmp_path / "depth" / f"{i}.png", tiny.depth_mm(i) * 5)
        tiny.write_color(tmp_path / "rgb" / f"{i}.png", i)
        depth_list.append(f"{stamp:.6f} depth/{i}.png")
        rgb_list.append(f"{stamp + 0.015:.6f} rgb/{i}.png")
        # Truth 10 ms before and after at equal distance: the pose between is the frame's own.
        q = Rotation.from_matrix(tiny.pose(i)[:3, :3]).as_quat()
        for offset in (-0.01, 0.01):
            x = tiny.pose(i)[0, 3] + 100 * offset
            truth.append(f"{stamp + offset:.6f} {x} 2.0 -0.5 {' '.join(map(str, q))}")
    for name, lines in (("depth.txt", depth_list), ("rgb.txt", rgb_list), ("groundtruth.txt", truth)):
        (tmp_path / name).write_text("\n".join(lines))
    tiny.write_text(tmp_path / "K.txt", tiny.k)
    sequence = open_sequence(tmp_path)
    records = check(sequence, tiny)
    assert sequence.format == "TUM RGB-D" and records[0].stamp_ns == 1305031102160407000
    # A colour image 30 ms away belongs to another frame; outside the track there is no pose.
    (tmp_path / "rgb.txt").write_text("1305031102.190407 rgb/0.png")
    (tmp_path / "groundtruth.txt").write_text("\n".join(truth[:3]))
    first, second, _ = open_sequence(tmp_path)
    assert first.dropped == "" and first.rgb is None
    assert second.dropped == "no pose"


@pytest.mark.parametrize(("camera", "fx"), [("freiburg1", 517.3), ("freiburg2", 520.9), ("freiburg3", 535.4)])
def test_tum_cameras(tmp_path: Path, tiny, camera: str, fx: float) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / f"rgbd_dataset_{camera}_desk"
    tiny.write_gray(folder / "d.png", np.full((480, 640), 5000, np.uint16))
    (folder / "depth.txt").write_text("1.0 d.png")
    (folder / "groundtruth.txt").write_text("1.0 0 0 0 0 0 0 1")
    (record,) = open_sequence(folder)
    assert record.intrinsics.fx == fx and (record.depth == 1).all()


def scannet(folder: Path, tiny) -> Path:  # type: ignore[no-untyped-def]
    for i in range(3):
        tiny.write_color(folder / "color" / f"{i}.png", i, scale=2)
        tiny.write_gray(folder / "depth" / f"{i}.png", tiny.depth_mm(i))
        tiny.write_text(folder / "pose" / f"{i}.txt", tiny.pose(i))
    depth_k, color_k = np.eye(4), np.eye(4)
    depth_k[:3, :3] = tiny.k
    color_k[:3, :3] = [[120.0, 0, 63.5], [0, 122, 47.5], [0, 0, 1]]
    tiny.write_text(folder / "intrinsic" / "intrinsic_depth.txt", depth_k)
    tiny.write_text(folder / "intrinsic" / "intrinsic_color.txt", color_k)
    return folder


def test_scannet(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    sequence = open_sequence(scannet(tmp_path, tiny))
    assert sequence.format == "ScanNet"
    check(sequence, tiny)
    tiny.write_text(tmp_path / "pose" / "1.txt", np.full((4, 4), -np.inf))
    assert [r.dropped for r in sequence] == ["", "invalid pose", ""]


def test_scannet_colour_made_as_small_as_depth(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    scannet(tmp_path, tiny)
    for i in range(3):
        tiny.write_color(tmp_path / "color" / f"{i}.png", i)
    for record in open_sequence(tmp_path):
        np.testing.assert_array_equal(record.rgb, tiny.color(record.index))


def numbered(folder: Path, tiny, pose_rows: list[str] | None = None) -> Path:  # type: ignore[no-untyped-def]
    for i in range(3):
        tiny.write_color(folder / "images" / f"{i}.png", i)
        tiny.write_gray(folder / "depth" / f"{i}.png", tiny.depth_mm(i))
        tiny.write_gray(folder / "labels" / f"{i}.png", tiny.labels(i))
    tiny.write_text(folder / "K.txt", tiny.k)
    rows = pose_rows or [" ".join(map(str, tiny.pose(i).ravel())) for i in range(3)]
    (folder / "poses.txt").write_text("\n".join(rows))
    (folder / "labels.json").write_text('["background", "wall"]')
    return folder


@pytest.mark.parametrize("count", [12, 16, 7])
def test_numbered_folders(tmp_path: Path, tiny, count: int) -> None:  # type: ignore[no-untyped-def]
    rows = []
    for i in range(3):
        pose = tiny.pose(i)
        quaternion = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        rows.append(" ".join(map(str, quaternion if count == 7 else pose.ravel()[:count])))
    sequence = open_sequence(numbered(tmp_path, tiny, rows))
    check(sequence, tiny, labels=True)
    assert sequence.label_names == {0: "background", 1: "wall"}


def test_numbered_folders_count_beyond_nine_and_take_stamps(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    for i, n in enumerate((2, 10, 9)):
        tiny.write_color(tmp_path / "images" / f"{n}.jpg", i)
        np.save(tmp_path / f"{n}.npy", tiny.depth(i))
        (tmp_path / "depth").mkdir(exist_ok=True)
        (tmp_path / f"{n}.npy").rename(tmp_path / "depth" / f"{n}.npy")
    tiny.write_text(tmp_path / "K.txt", tiny.k)
    (tmp_path / "poses.txt").write_text("\n".join(" ".join(map(str, tiny.pose(i).ravel())) for i in range(3)))
    (tmp_path / "timestamps.txt").write_text("1.5\n1.75\n2.0")
    records = list(open_sequence(tmp_path))
    # 2, 9, 10: as numbers, not as text.
    np.testing.assert_allclose(records[1].depth, tiny.depth(2), atol=1e-6)
    assert [r.stamp_ns for r in records] == [1_500_000_000, 1_750_000_000, 2_000_000_000]


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (("rgb8_3", "rgb8_10", "rgb8_4"), [100_000_000, 133_333_333, 333_333_333]),
        (("0000001-000000000000", "0000002-000000033369", "0000003-000000066738"), None),
        (
            ("1305031102.175304", "1305031102.2", "1305031103.1"),
            [1305031102175304000, 1305031102200000000, 1305031103100000000],
        ),
    ],
)
def test_numbers_in_file_names(tmp_path: Path, tiny, names: tuple[str, ...], stamps: list[int] | None) -> None:  # type: ignore[no-untyped-def]
    for i, name in enumerate(names):
        tiny.write_gray(tmp_path / "depth" / f"{name}.png", tiny.depth_mm(i))
    tiny.write_text(tmp_path / "K.txt", tiny.k)
    (tmp_path / "poses.txt").write_text("\n".join([" ".join(map(str, tiny.pose(0).ravel()))] * 3))
    records = list(open_sequence(tmp_path))
    assert [r.dropped for r in records] == [""] * 3
    if stamps:
        assert [r.stamp_ns for r in records] == stamps
    tiny.write_gray(tmp_path / "depth" / "a_3_b_4.png", tiny.depth_mm(0))
    tiny.write_gray(tmp_path / "depth" / "c_3_b_4.png", tiny.depth_mm(0))
    with pytest.raises(SequenceError, match="told apart by number"):
        open_sequence(tmp_path)


def test_numbered_folders_with_a_wrong_count_of_poses(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    numbered(tmp_path, tiny, [" ".join(map(str, tiny.pose(0).ravel()))] * 2)
    with pytest.raises(SequenceError, match=r"2 poses but .* 3 frames"):
        open_sequence(tmp_path)
    (tmp_path / "poses.txt").write_text("1 2 3")
    with pytest.raises(SequenceError, match=r"line 1 of .*3 numbers"):
        open_sequence(tmp_path)
    (tmp_path / "K.txt").unlink()
    numbered_rows = "\n".join(" ".join(map(str, tiny.pose(i).ravel())) for i in range(3))
    (tmp_path / "poses.txt").write_text(numbered_rows)
    with pytest.raises(SequenceError, match=r"K\.txt"):
        open_sequence(tmp_path)


def test_condition(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    for i in range(3):
        tiny.write_color(tmp_path / "rgb" / f"{i}.png", i)
    arrays = {
        "intrinsics": np.stack([tiny.k] * 3),
        "poses": np.stack([tiny.pose(i) for i in range(3)]),
        "depths": np.stack([tiny.depth(i) for i in range(3)]).astype(np.float32),
    }
    np.savez(tmp_path / "condition.npz", **arrays)
    check(open_sequence(tmp_path), tiny)
    np.savez(tmp_path / "condition.npz", intrinsics=np.array([object()], dtype=object), poses=0, depths=0)
    with pytest.raises(SequenceError, match="allow_pickle"):
        open_sequence(tmp_path)
    del arrays["poses"]
    np.savez(tmp_path / "condition.npz", **arrays)
    with pytest.raises(SequenceError, match="poses"):
        open_sequence(tmp_path)


def test_sun3d_turns_its_bits_back(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    rows = []
    for i in range(3):
        micro = 33_366 * i
        tiny.write_color(tmp_path / "image" / f"{i + 1:07d}-{micro:012d}.png", i)
        stored = (tiny.depth_mm(i) << 3) | (tiny.depth_mm(i) >> 13)
        tiny.write_gray(tmp_path / "depth" / f"{i + 1:07d}-{micro + 900:012d}.png", stored)
        rows += list(tiny.pose(i)[:3])
    tiny.write_text(tmp_path / "extrinsics" / "20140808220511.txt", np.array(rows))
    tiny.write_text(tmp_path / "intrinsics.txt", tiny.k)
    sequence = open_sequence(tmp_path)
    records = check(sequence, tiny)
    assert sequence.format == "SUN3D" and records[2].stamp_ns == 66_732_000


def test_depth_encodings_are_told_from_the_content(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    numbered(tmp_path, tiny)
    for i in range(3):
        tiny.write_gray(tmp_path / "depth" / f"{i}.png", (tiny.depth_mm(i) << 3) | (tiny.depth_mm(i) >> 13))
    check(open_sequence(tmp_path), tiny)
    # NYU: disparity d means 351.3 / (1092.5 - d) metres, stored with its bytes swapped; 2047 = none.
    disparity = np.full((tiny.height, tiny.width), 917, np.uint16)
    disparity[:5] = 2047
    for i in range(3):
        tiny.write_gray(tmp_path / "depth" / f"{i}.png", disparity.byteswap())
    depth = next(iter(open_sequence(tmp_path))).depth
    assert (depth[:5] == 0).all()
    np.testing.assert_allclose(depth[5:], 351.3 / (1092.5 - 917), rtol=1e-6)


def test_single_pictures(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.write_color(tmp_path / "TUM_color.png", 0)
    tiny.write_gray(tmp_path / "TUM_depth.png", tiny.depth_mm(0) * 5)
    for path in (tmp_path, tmp_path / "TUM_color.png", tmp_path / "TUM_depth.png"):
        (record,) = open_sequence(path)
        np.testing.assert_allclose(record.depth, tiny.depth(0), atol=1e-6)
        np.testing.assert_array_equal(record.pose, np.eye(4))
    tiny.write_color(tmp_path / "b_color.png", 0)
    tiny.write_gray(tmp_path / "b_depth.png", tiny.depth_mm(0))
    with pytest.raises(SequenceError, match=r"name one of them: TUM_color.png, b_color.png"):
        open_sequence(tmp_path)
    (tmp_path / "b_depth.png").unlink()
    with pytest.raises(SequenceError, match="without its pair"):
        open_sequence(tmp_path / "b_color.png")


def test_video_has_colours_but_no_depth(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "room.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for i in range(3):
        writer.write(np.ascontiguousarray(tiny.color(i)[..., ::-1]))
    writer.release()
    sequence = open_sequence(path)
    records = list(sequence)
    assert sequence.format == "video" and len(records) == len(sequence) == 3
    assert {r.dropped for r in records} == {"no depth"}
    assert [r.stamp_ns for r in records] == [0, 100_000_000, 200_000_000]
    (middle,) = sequence.sample(1)
    assert middle.index == 1
    np.testing.assert_array_equal(middle.rgb, records[1].rgb)
    assert records[0].rgb[24, 8, 0] > 200 and records[0].rgb[24, 56, 1] > 200
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(SequenceError, match="not a video"):
        open_sequence(tmp_path / "broken.mp4")


def test_unusable_frames_are_named(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.numbers = (0, 1, 2)
    tiny.seven_scenes(tmp_path)
    sequence = open_sequence(tmp_path)

    def reasons() -> list[str]:
        return [r.dropped for r in sequence]

    (tmp_path / "frame-000000.pose.txt").write_text("-1.#IND -1.#IND -1.#IND -1.#IND\n" * 4)
    (tmp_path / "frame-000001.pose.txt").write_text("1 2 3")
    tiny.write_text(tmp_path / "frame-000002.pose.txt", 2 * tiny.pose(2))
    assert reasons() == ["invalid pose", "unreadable pose", "invalid pose"]
    tiny.seven_scenes(tmp_path)
    whole = (tmp_path / "frame-000000.color.png").read_bytes()
    (tmp_path / "frame-000000.color.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "frame-000001.depth.png").write_bytes(b"")
    tiny.write_color(tmp_path / "frame-000002.labels.png", 1)
    assert reasons() == ["unreadable colour image", "unreadable depth image", "unreadable label image"]
    tiny.seven_scenes(tmp_path)
    (tmp_path / "frame-000000.depth.png").unlink()
    (tmp_path / "frame-000001.pose.txt").unlink()
    sequence = open_sequence(tmp_path)
    assert reasons() == ["no depth", "no pose", ""]


def test_truncated_jpeg_is_unreadable(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    numbered(tmp_path, tiny)
    (tmp_path / "images" / "1.png").unlink()
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    (tmp_path / "images" / "1.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    assert [r.dropped for r in open_sequence(tmp_path)] == ["", "unreadable colour image", ""]


def test_rounded_poses_are_made_rigid(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.seven_scenes(tmp_path)
    np.savetxt(tmp_path / "frame-000001.pose.txt", tiny.pose(1), fmt="%.2f")
    record = list(open_sequence(tmp_path))[1]
    rotation = record.pose[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation, tiny.pose(1)[:3, :3], atol=0.01)


def test_one_matrix_and_two_image_sizes(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    """The matrix belongs to the image whose centre it fits; the other shows the same view at another size."""
    numbered(tmp_path, tiny)
    for i in range(3):
        tiny.write_color(tmp_path / "images" / f"{i}.png", i, scale=2)
    check(open_sequence(tmp_path), tiny)
    # Twice the size, pixel centres at whole numbers: c' = 2 c + 0.5
    tiny.write_text(tmp_path / "K.txt", np.array([[120.0, 0, 63.5], [0, 122, 47.5], [0, 0, 1]]))
    check(open_sequence(tmp_path), tiny)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="there is no file or folder"):
        open_sequence(tmp_path / "missing")
    with pytest.raises(SequenceError, match="empty folder"):
        open_sequence(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(SequenceError, match=r"7-Scenes \(frame-NNNNNN.*TUM RGB-D.*ScanNet"):
            open_sequence(path)
    with pytest.raises(SequenceError, match="for bags only"):
        open_sequence(tmp_path, fixed_frame="map")


def test_a_folder_of_sequences_names_them(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.seven_scenes(tmp_path / "seq-01")
    with pytest.raises(SequenceError, match=r"name one of them: .*seq-01"):
        open_sequence(tmp_path)


@pytest.mark.parametrize("text", ["nonsense", "1 2 3", "0 0 0 0 0 0 0 0 1", "nan 0 3 0 5 2 0 0 1"])
def test_bad_intrinsics(tmp_path: Path, tiny, text: str) -> None:  # type: ignore[no-untyped-def]
    tiny.seven_scenes(tmp_path)
    (tmp_path / "camera-intrinsics.txt").write_text(text)
    with pytest.raises(SequenceError, match=r"camera-intrinsics\.txt holds no"):
        open_sequence(tmp_path)


def test_bad_label_names(tmp_path: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    tiny.seven_scenes(tmp_path)
    (tmp_path / "labels.json").write_text('[{"id": 3, "name": "sofa"}]')
    assert open_sequence(tmp_path).label_names == {3: "sofa"}
    for text in ("{", '{"chair": 9}', "5"):
        (tmp_path / "labels.json").write_text(text)
        with pytest.raises(SequenceError, match=r"labels\.json must map"):
            open_sequence(tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "fmt", "frames", "fx", "shape"),
    [
        ("redkitchen", "7-Scenes", 250, 585.0, (480, 640)),
        ("livingroom1", "Open3D", 211, 525.0, (480, 640)),
        ("open3d_rgbd_formats", "Open3D", 5, 525.0, (480, 640)),
        ("slambook2_rgbd", "numbered folders", 5, 518.0, (480, 640)),
        ("pi3_room", "Pi3 condition", 8, 252.294, (350, 434)),
    ],
)
def test_recorded_sequences(
    data_dir: Path, name: str, fmt: str, frames: int, fx: float, shape: tuple[int, int]
) -> None:
    sequence = open_sequence(data_dir / name)
    assert (sequence.format, len(sequence)) == (fmt, frames)
    for record in sequence.sample(5):
        assert record.dropped == ""
        assert record.depth.shape == record.rgb.shape[:2] == shape
        assert record.intrinsics.fx == pytest.approx(fx, abs=1e-3)
        seen = record.depth[record.depth > 0]
        assert 0.2 < np.median(seen) < 6 and seen.max() < 40


@pytest.mark.data
@pytest.mark.parametrize("name", ["SUN", "NYU", "TUM"])
def test_recorded_depth_encodings(data_dir: Path, name: str) -> None:
    """Two public tools agree: the depth of each picture lies in a room's range, and neighbours differ by little."""
    (path,) = (data_dir / "open3d_rgbd_formats" / "other_formats").glob(f"{name}_color.*")
    (record,) = open_sequence(path)
    seen = record.depth > 0
    assert seen.mean() > 0.6 and 1.5 < np.median(record.depth[seen]) < 4 and record.depth.max() <= 10
    both = seen[:, 1:] & seen[:, :-1]
    assert np.median(np.abs(np.diff(record.depth, axis=1))[both]) < 0.02


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "least"),
    [("redkitchen", 0.8), ("livingroom1", 0.8), ("open3d_rgbd_formats", 0.8), ("slambook2_rgbd", 0.3)],
)
def test_poses_are_camera_to_world(data_dir: Path, name: str, least: float) -> None:
    """Depth of one frame, projected into another, falls on that frame's depth; with the inverse poses it does not.

    The poses of slambook2 are hand-made: half a metre apart and several centimetres off.
    """
    sequence = open_sequence(data_dir / name)
    assert isinstance(sequence, FolderSequence)
    step = 1 if len(sequence) < 10 else 10
    a, b = sequence.read(0), sequence.read(step)
    right = overlap(a, b, np.linalg.inv(b.pose) @ a.pose)
    wrong = overlap(a, b, b.pose @ np.linalg.inv(a.pose))
    assert right > least and right > wrong + 0.1


def overlap(a, b, b_from_a: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    """Share of the pixels of ``a`` whose depth agrees within 5 cm with that of ``b`` where they fall."""
    k = a.intrinsics
    v, u = np.mgrid[0 : k.height : 4, 0 : k.width : 4]
    z = a.depth[v, u]
    points = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], -1)[z > 0]
    moved = points @ b_from_a[:3, :3].T + b_from_a[:3, 3]
    pu = np.rint(k.fx * moved[:, 0] / moved[:, 2] + k.cx).astype(int)
    pv = np.rint(k.fy * moved[:, 1] / moved[:, 2] + k.cy).astype(int)
    inside = (pu >= 0) & (pu < k.width) & (pv >= 0) & (pv < k.height)
    seen = b.depth[pv[inside], pu[inside]]
    return float((np.abs(seen - moved[inside, 2]) < 0.05)[seen > 0].mean())

"""Point maps as a multi-view predictor gives them, made from rooms whose truth is known: the metres must come back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rooms import K, Room, Thing, walk
from scipy.spatial.transform import Rotation

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.camera import unproject
from proxy3d_core.geometry.transforms import invert, transform_points
from proxy3d_core.perception.level import estimate_up
from proxy3d_core.perception.point_maps import PointMaps, predict_point_maps
from proxy3d_core.sequences import open_sequence
from proxy3d_core.sequences.point_maps import PointMapSequence
from proxy3d_ros.replay import document, replay

ROOM = Room(
    [
        Thing("table", (0.0, 0.3, 0.37), (1.2, 0.8, 0.74)),
        Thing("chest", (-1.7, -1.3, 0.45), (0.6, 0.8, 0.9)),
        Thing("box", (1.7, -1.4, 0.25), (0.5, 0.5, 0.5)),
    ]
)
UNIT = 0.37  # units of the predictor per metre
TURN = Rotation.from_euler("xyz", [0.7, -0.4, 2.1]).as_matrix()  # its world stands askew
SHIFT = np.array([0.3, -1.2, 0.8])


def predicted(frames: list[Frame], noise: float = 0.005, outliers: float = 0.1) -> dict[str, np.ndarray]:
    """What VGGT would say: other scale, world and noise, and wrong points where it is not sure."""
    rng = np.random.default_rng(0)
    points, confidence, extrinsic = [], [], []
    for frame in frames:
        depth = frame.depth * (1 + noise * rng.normal(size=frame.depth.shape))
        sure = np.tile(np.linspace(6, 5, depth.shape[1]), (len(depth), 1))
        wrong = rng.random(depth.shape) < outliers
        depth[wrong] *= rng.uniform(0.3, 3.0, wrong.sum())
        sure[wrong] = 1
        world = transform_points(frame.pose, unproject(depth.astype(np.float32), frame.intrinsics))
        points.append(UNIT * (world @ TURN.T) + SHIFT)
        pose = np.eye(4)
        pose[:3, :3] = TURN @ frame.pose[:3, :3]
        pose[:3, 3] = UNIT * TURN @ frame.pose[:3, 3] + SHIFT
        extrinsic.append(invert(pose)[:3])
        confidence.append(sure)
    return {
        "world_points": np.stack(points).astype(np.float32),
        "world_points_conf": np.stack(confidence).astype(np.float32),
        "extrinsic": np.stack(extrinsic).astype(np.float32),
        "images": np.stack([frame.rgb for frame in frames]).transpose(0, 3, 1, 2).astype(np.float32) / 255,
    }


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return walk(ROOM, seconds=4.0, labelled=False)


@pytest.fixture(scope="module")
def arrays(frames: list[Frame]) -> dict[str, np.ndarray]:
    return predicted(frames)


def references(name: str, frames: list[Frame]) -> dict[str, Any]:
    if name == "metric_depth":
        holes = [
            np.where(np.random.default_rng(i).random(f.depth.shape) < 0.3, 0, f.depth) for i, f in enumerate(frames)
        ]
        return {name: np.stack(holes)}
    if name == "metric_positions":  # odometry: another world
        return {name: np.stack([f.pose[:3, 3] @ TURN + 5 for f in frames])}
    return {name: np.array({"scale": 1 / UNIT, "camera_height": 1.4}[name])}


@pytest.mark.parametrize("name", ["scale", "metric_depth", "metric_positions", "camera_height"])
def test_metres_and_objects_come_back(
    tmp_path: Path, frames: list[Frame], arrays: dict[str, np.ndarray], name: str
) -> None:
    path = tmp_path / "predictions.npz"
    np.savez(path, **arrays, **references(name, frames))
    sequence = open_sequence(path)
    assert sequence.format == "point maps" and len(sequence) == len(frames)
    played = replay(sequence, Config.from_flat({"map.complete": False}))  # these things are boxes, not furniture
    result = document(played)
    scale = result["metric_scale"]
    assert scale["factor"] == pytest.approx(1 / UNIT, rel=0.03) and scale["source"]
    assert scale["uncertainty"] < 0.05
    assert played.scene.snapshot().scale_uncertainty == scale["uncertainty"]
    # The way up of the room, in the predictor's world.
    assert np.degrees(np.arccos(np.clip(result["up"] @ TURN[:, 2], -1, 1))) < 1.0
    assert result["frames"] == len(frames)
    for thing in ROOM.things:
        place = TURN @ np.array(thing.center) + SHIFT * scale["factor"]
        near = min(result["objects"], key=lambda o: np.linalg.norm(np.subtract(o["center"], place)))
        assert np.linalg.norm(np.subtract(near["center"], place)) < 0.05
        assert sorted(near["size"]) == pytest.approx(sorted(thing.size), abs=0.06)


def test_the_same_from_safetensors_and_a_folder(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    save_file({**arrays, "scale": np.array([2.0], np.float32)}, tmp_path / "point_maps.safetensors")
    by_folder, by_file = (list(open_sequence(path)) for path in (tmp_path, tmp_path / "point_maps.safetensors"))
    assert len(by_folder) == len(by_file)
    assert by_folder[3].depth is not None and by_file[3].depth is not None
    assert (by_folder[3].depth == by_file[3].depth).all()


def test_without_a_reference_there_are_no_metres(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "point_maps.npz", **arrays)
    with pytest.raises(SequenceError, match=r"unknown scale: add one of the arrays scale, .* or set"):
        replay(open_sequence(tmp_path))


def test_the_scale_of_a_depth_model_is_doubted(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    pytest.importorskip("torch")
    import tiny_depth

    np.savez(tmp_path / "point_maps.npz", **arrays)
    model = tiny_depth.depth_anything(tmp_path / "model", wall=2.0)
    played = replay(open_sequence(tmp_path), Config.from_flat({"perception.depth_model": str(model)}))
    assert played.scale is not None and played.scale.source == "depth model model"
    medians = [np.median(d[d > 0]) for d in PointMaps.from_arrays(arrays).depth]
    assert played.scale.factor == pytest.approx(2.0 / np.median(medians), rel=0.05)
    assert played.scale.uncertainty >= 0.2


def test_intrinsics_are_fitted_and_the_unsure_left_out(arrays: dict[str, np.ndarray]) -> None:
    maps = PointMaps.from_arrays(arrays)
    for camera in maps.cameras:
        found = (camera.fx, camera.fy, camera.cx, camera.cy)
        assert found == pytest.approx((K.fx, K.fy, K.cx, K.cy), rel=0.005)
    assert not maps.depth[arrays["world_points_conf"] <= 1].any()
    assert (maps.depth > 0).mean() == pytest.approx(0.8, abs=0.02)
    assert maps.images is not None and maps.images.dtype == np.uint8


def test_confidence_that_says_nothing_drops_nothing(arrays: dict[str, np.ndarray]) -> None:
    same = {**arrays, "world_points_conf": np.ones_like(arrays["world_points_conf"])}
    assert (PointMaps.from_arrays(same).depth > 0).mean() > 0.99


def test_both_ways_of_a_camera(arrays: dict[str, np.ndarray]) -> None:
    given = {k: v for k, v in arrays.items() if k != "extrinsic"}
    inverse = np.stack([invert(np.vstack([m, [0, 0, 0, 1]])) for m in arrays["extrinsic"].astype(float)])
    a, b = PointMaps.from_arrays(arrays), PointMaps.from_arrays({**given, "camera_to_world": inverse})
    assert a.poses == pytest.approx(b.poses, abs=1e-5)
    assert np.abs(a.depth - b.depth).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world_points": None}, "need an array points"),
        ({"extrinsic": None}, "need cameras"),
        ({"world_points_conf": np.ones((2, 3, 4))}, r"world_points_conf is \(2, 3, 4\), expected"),
        ({"extrinsic": np.zeros((40, 3, 4))}, "no rotations"),
        ({"scale": np.array(-1.0)}, "one positive number"),
        ({"images": np.zeros((40, 7, 7, 3), np.uint8)}, "images is"),
    ],
)
def test_what_does_not_fit_is_named(arrays: dict[str, np.ndarray], change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        PointMaps.from_arrays({k: v for k, v in {**arrays, **change}.items() if v is not None})


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "point_maps.npz", points=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SequenceError, match="allow_pickle"):
        open_sequence(tmp_path)


def test_a_video_through_a_predictor(
    tmp_path: Path, frames: list[Frame], arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The predictor looks its points up, as a network would compute them; the video carries colour only."""
    np.savez(tmp_path / "memory.npz", **arrays, scale=1 / UNIT)
    (tmp_path / "recalling_predictor.py").write_text(
        "from pathlib import Path\nimport numpy as np\n"
        "def predict(images):\n"
        "    known = np.load(Path(__file__).parent / 'memory.npz')\n"
        "    chosen = [int((i + 0.5) * 40 / len(images)) for i in range(len(images))]\n"
        "    return {k: v if v.ndim == 0 else v[chosen] for k, v in known.items()}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (K.width, K.height))
    for frame in frames:
        assert frame.rgb is not None
        writer.write(frame.rgb[..., ::-1])
    writer.release()
    config = Config.from_flat({"perception.point_maps": "recalling_predictor:predict"})
    played = replay(open_sequence(tmp_path / "walk.avi"), config)
    assert played.frames == 32
    sizes = [sorted(o.box.size) for o in played.scene.snapshot().present]
    assert min(np.abs(np.subtract(size, sorted(ROOM.things[0].size))).max() for size in sizes) < 0.2
    sys.modules.pop("recalling_predictor", None)


@pytest.mark.parametrize("name", ["nothing_here:predict", "math:nothing", "math"])
def test_no_such_predictor(name: str) -> None:
    with pytest.raises(BadInput, match=r"imported|names no predictor"):
        predict_point_maps(name, [np.zeros((4, 4, 3), np.uint8)])


@pytest.mark.data
def test_a_real_room_comes_back(data_dir: Path) -> None:
    """Every sixth frame of a real kitchen, of unknown scale and askew: scale by the camera's path, and the floor."""
    recorded = open_sequence(data_dir / "redkitchen")
    level = estimate_up(recorded)
    frames = []
    for record in list(recorded)[::6]:
        assert record.depth is not None and record.intrinsics is not None and record.rgb is not None
        depth, camera = record.depth[2::4, 2::4], record.intrinsics.strided(4, 2)
        frames.append(Frame(record.stamp_ns, depth, camera, record.pose, record.rgb[2::4, 2::4]))
    arrays = predicted(frames, outliers=0.02)
    arrays["metric_positions"] = np.stack([f.pose[:3, 3] for f in frames])
    sequence = PointMapSequence("kitchen", PointMaps.from_arrays(arrays))
    scale = sequence.make_metric()
    assert scale.factor == pytest.approx(1 / UNIT, rel=0.01) and scale.uncertainty < 0.01
    found = estimate_up(sequence)
    assert np.degrees(np.arccos(np.clip(found.up @ TURN @ level.up, -1, 1))) < 2.0
    assert found.floor is not None and level.floor is not None
    height = frames[0].pose[:3, 3] @ level.up - level.floor
    own = next(iter(sequence))
    assert own.pose is not None
    assert own.pose[:3, 3] @ found.up - found.floor == pytest.approx(height, abs=0.05)

"""Preparation of recordings, on the first frames of the recorded demo room, and what is stored of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.scene.snapshot import SceneObject
from proxy3d_training.data import prepare as preparing
from proxy3d_training.data.commands import data
from proxy3d_training.data.prepared import PreparedScene, PreparedScenes
from proxy3d_training.simulation.truth import Truth

DEMO = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"
FRAMES = 10


def copy_frames(out: Path, start: int = 0) -> Path:
    out.mkdir(parents=True)
    for name in ("camera-intrinsics.txt", "labels.json", "truth.json"):
        shutil.copy(DEMO / name, out)
    for pose in sorted(DEMO.glob("*.pose.txt"))[start::8][:FRAMES]:
        for path in DEMO.glob(pose.name.partition(".")[0] + ".*"):
            shutil.copy(path, out)
    return out


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    copy_frames(folder / "first")
    copy_frames(folder / "second", start=40)
    return folder


@pytest.fixture(scope="module")
def prepared(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    report = preparing.prepare(preparing.jobs([recordings]), out, Config(), workers=1)
    assert (report.made, report.kept, report.frames, report.failed) == (2, 0, 2 * FRAMES, {})
    assert report.stages["vision"] > 0
    return out


def test_arrays(prepared: Path) -> None:
    scenes = PreparedScenes(prepared)
    assert list(scenes) == ["first", "second"]
    assert scenes.damaged() == []
    scene = scenes["first"]
    grid = scene.array("valid").shape
    assert grid[0] == FRAMES
    assert scene.array("features").shape == (*grid, scenes.channels)
    assert scene.array("features").dtype == np.float16
    # A patch lies where its pixel looks: seen from the camera it projects into its own cell of the picture.
    fx, fy, cx, cy = scene.about.intrinsics
    for frame in (0, FRAMES - 1):
        pose = scene.array("poses")[frame].astype(float)
        rows, columns = np.nonzero(scene.array("valid")[frame])
        local = (scene.array("points")[frame][rows, columns] - pose[:3, 3]) @ pose[:3, :3]
        u, v = fx * local[:, 0] / local[:, 2] + cx, fy * local[:, 1] / local[:, 2] + cy
        width, height = scene.about.size
        assert np.abs((u + 0.5) * grid[2] / width - (columns + 0.5)).max() < 0.52
        assert np.abs((v + 0.5) * grid[1] / height - (rows + 0.5)).max() < 0.52


def test_groups_are_objects_of_the_map(prepared: Path) -> None:
    scene = PreparedScenes(prepared)["second"]
    ids = {o.id for o in scene.about.objects}
    assert ids and min(ids) >= 1
    for name in ("groups", "proxies.groups"):
        found = scene.array(name)
        assert set(found[found > 0].tolist()) <= ids
    proxies = scene.proxies()
    markers = scene.markers_of(proxies.groups)
    by_id = {o.id: o.marker for o in scene.about.objects}
    assert [by_id.get(int(g), -1) for g in proxies.groups] == markers.tolist()
    # The patches of an object lie in its box, but for what the voxels add and for noise.
    large = max(
        (o for o in scene.about.objects if o.state == "present"), key=lambda o: (scene.array("groups") == o.id).sum()
    )
    points = scene.array("points")[scene.array("groups") == large.id]
    assert large.box.oriented().contains(points, margin=0.05).mean() > 0.9


def test_true_objects(prepared: Path) -> None:
    scene = PreparedScenes(prepared)["first"]
    truth = {thing.id: thing for thing in Truth.load(DEMO).objects}
    known = [o for o in scene.about.objects if o.true_id is not None]
    assert len(known) >= 3
    assert len({o.true_id for o in known}) == len(known)
    for o in known:
        assert o.iou == pytest.approx(o.box.oriented().iou(truth[o.true_id].box.oriented()), abs=1e-3)
    assert scene.marker_of_true == {o.true_id: o.marker for o in known if o.marker is not None}
    assert PreparedScenes(prepared).marked_true_ids("first") == sorted(scene.marker_of_true)


def test_other_budgets_and_no_grouping(prepared: Path) -> None:
    scene = PreparedScenes(prepared)["first"]
    triplets = scene.triplets()
    assert len(triplets) == scene.array("valid").sum()
    mean = triplets.features.astype(np.float64).mean(axis=0)
    for grouped in (True, False):
        proxies = scene.clustered(200, grouped=grouped)
        assert len(proxies) == 200
        # Clustering shares out what was seen and loses none of it.
        assert proxies.weights.sum() == pytest.approx(len(triplets))
        weighted = (proxies.weights[:, None].astype(np.float64) * proxies.features).sum(axis=0) / len(triplets)
        assert np.allclose(weighted, mean, atol=2e-3)
    assert set(scene.clustered(200, grouped=False).groups.tolist()) == {-1}


def test_resumes_to_the_same_bytes(recordings: Path, prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(prepared, out)
    lost = out / "scenes" / "second.safetensors"
    before = lost.read_bytes()
    lost.unlink()
    (out / "index.json").unlink()  # killed before it was written
    (out / "scenes" / ".second.safetensors.1.part").write_bytes(before[:100])
    report = preparing.prepare(preparing.jobs([recordings]), out, Config(), workers=1)
    assert (report.made, report.kept) == (1, 1)
    assert lost.read_bytes() == before
    assert (out / "index.json").read_text() == (prepared / "index.json").read_text()


@pytest.mark.slow
def test_processes_make_the_same(recordings: Path, prepared: Path, tmp_path: Path) -> None:
    report = preparing.prepare(preparing.jobs([recordings]), tmp_path, Config(), workers=2)
    assert report.made == 2
    mine, theirs = (json.loads((folder / "index.json").read_text())["scenes"] for folder in (tmp_path, prepared))
    assert mine == theirs


def test_other_settings_are_refused(recordings: Path, prepared: Path) -> None:
    with pytest.raises(BadInput, match=r"proxies\.budget 450 instead of 700"):
        preparing.prepare(preparing.jobs([recordings]), prepared, Config.from_flat({"proxies.budget": 700}), 1)


def test_damage_is_found(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "out")
    path = tmp_path / "out" / "scenes" / "first.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    assert PreparedScenes(tmp_path / "out").damaged() == ["first"]
    path.write_bytes(bytes(content[:1000]))
    with pytest.raises(BadInput, match="damaged"):
        PreparedScene(path)


def test_one_bad_recording_does_not_stop_the_others(recordings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(recordings / "first", folder / "good")
    shutil.copytree(recordings / "first", folder / "no poses")
    for path in (folder / "no poses").glob("*.pose.txt"):
        path.write_text("nan " * 16)
    (folder / "no poses" / "truth.json").unlink()
    (folder / "good" / "truth.json").unlink()  # without a truth: no true ids
    result = CliRunner().invoke(
        data, ["prepare", str(folder), "--out", str(tmp_path / "out"), "--workers", "1", "--json"]
    )
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["made"] == 1 and "invalid pose" in document["failed"]["no poses"]
    scene = PreparedScenes(tmp_path / "out")["good"]
    assert {o.true_id for o in scene.about.objects} == {None}


def test_nothing_to_prepare(tmp_path: Path) -> None:
    result = CliRunner().invoke(data, ["prepare", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "no recorded sequence" in result.output


def test_match_takes_the_right_label_of_two_at_one_place() -> None:
    def box(x: float) -> OrientedBox:
        return OrientedBox.from_yaw((x, 0.0, 0.5), (1.0, 1.0, 1.0))

    true = [preparing.TrueObject(7, "table", box(0.0)), preparing.TrueObject(9, "desk", box(0.1))]
    objects = [SceneObject(1, "desk", 1.0, box(0.0)), SceneObject(2, "lamp", 1.0, box(3.0))]
    assert preparing.match(objects, [o.box for o in objects], true) == {1: 9}
    # Without a right one there, the nearest is taken: the map may call a thing otherwise.
    assert preparing.match(objects[:1], [box(0.0)], true[:1]) == {1: 7}


def test_half_a_desk_is_the_desk_and_no_other_thing() -> None:
    """A fifth of a desk 2 m long has an IoU of 0.2 with it."""
    true = [preparing.TrueObject(7, "desk", OrientedBox.from_yaw((0, 0, 0.5), (2.0, 1.0, 1.0)))]
    seen = OrientedBox.from_yaw((-0.8, 0, 0.5), (0.4, 1.0, 1.0))
    assert preparing.match([SceneObject(1, "desk", 1.0, seen)], [seen], true) == {1: 7}
    assert preparing.match([SceneObject(1, "cabinet", 1.0, seen)], [seen], true) == {}


def test_thin_things_are_matched_by_where_they_hang() -> None:
    true = [preparing.TrueObject(3, "picture", OrientedBox.from_yaw((0, 0, 1.5), (0.03, 0.8, 0.5)))]
    seen = SceneObject(1, "picture", 1.0, OrientedBox.from_yaw((0.03, 0, 1.5), (0.04, 0.78, 0.5)))
    assert seen.box.iou(true[0].box) < 0.25  # 5 mm of 4 cm overlap
    assert preparing.match([seen], [seen.box], true) == {1: 3}

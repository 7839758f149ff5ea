"""Random rooms: what ``truth.json`` says holds for the pictures, the things, the floor and the bytes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex", reason="the renderer needs the sim extra: pip install 'proxy3d-training[sim]'")

import trimesh
from numpy.typing import NDArray
from scipy import ndimage

from proxy3d_core.errors import BadInput
from proxy3d_core.sequences import open_sequence
from proxy3d_training.simulation import simulate as simulation
from proxy3d_training.simulation.furnish import Placed
from proxy3d_training.simulation.generate import Recording, Settings, plan_recording
from proxy3d_training.simulation.kinds import KINDS, LABELS, color_name
from proxy3d_training.simulation.plan import SIZES, draw_plan
from proxy3d_training.simulation.shapes import srgb
from proxy3d_training.simulation.truth import Truth

SMALL = Settings(seed=5, frames=6, width=160, height=120, flats=0.5, changes=True)
FITTINGS = ("door", "doorway", "window")


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [plan_recording(n, Settings(seed=11, frames=24, flats=0.4, changes=True)) for n in range(16)]


@pytest.fixture(scope="module")
def clean_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings without noise, made in this process."""
    out = tmp_path_factory.mktemp("clean")
    for number in (0, 1):
        simulation.make(number, Settings(seed=3, frames=8, width=160, height=120, flats=0.5, clean=True), out)
    return out


def shoelace(polygon: tuple[tuple[float, float], ...]) -> float:
    x, y = np.array(polygon).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def test_area_of_a_room_is_that_of_its_polygon() -> None:
    shapes: Counter[int] = Counter()
    for seed in range(60):
        plan = draw_plan(np.random.default_rng(seed), 1 + seed % 4)
        assert len(plan.spaces) == 1 + seed % 4
        for space in plan.spaces:
            assert space.kind in SIZES
            shapes[len(space.polygon)] += 1
            assert space.area == pytest.approx(shoelace(space.polygon))  # positive: counter-clockwise
            assert space.area == pytest.approx(sum(w.length for w in space.walls) ** 2 / 16, rel=0.75)
        # Rooms do not overlap: random points lie in one room at most.
        points = np.random.default_rng(0).uniform(-1, 12, (4000, 2))
        assert np.sum([s.inside(points, 1e-6) for s in plan.spaces], axis=0).max() <= 1
    assert set(shapes) == {4, 6}
    assert shapes[6] > 8  # L-shaped


def back_projected(folder: Path, truth: Truth, index: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """World points and their instances, from the files of a frame and the pinhole formula alone."""
    stem = folder / f"frame-{truth.frames[index].number:06d}"
    depth = cv2.imread(f"{stem}.depth.png", cv2.IMREAD_UNCHANGED) / 1000
    ids = cv2.imread(f"{stem}.instance.png", cv2.IMREAD_UNCHANGED).astype(np.int64)
    pose = np.loadtxt(f"{stem}.pose.txt")
    k = np.loadtxt(folder / "camera-intrinsics.txt")
    v, u = np.indices(depth.shape)
    camera = np.stack([(u - k[0, 2]) / k[0, 0] * depth, (v - k[1, 2]) / k[1, 1] * depth, depth], axis=-1)
    points = camera @ pose[:3, :3].T + pose[:3, 3]
    return points[depth > 0], ids[depth > 0]


def inside(points: NDArray[np.float64], box: object, margin: float) -> NDArray[np.bool_]:
    center, size, yaw = box.center, box.size, box.yaw  # type: ignore[attr-defined]
    c, s = np.cos(yaw), np.sin(yaw)
    d = points - np.array(center)
    local = np.stack([c * d[:, 0] + s * d[:, 1], -s * d[:, 0] + c * d[:, 1], d[:, 2]], axis=1)
    return (np.abs(local) <= np.array(size) / 2 + margin).all(axis=1)


def test_pixels_of_an_instance_lie_in_its_box_and_reach_its_sides(clean_set: Path) -> None:
    checked = 0
    for number in (0, 1):
        folder = clean_set / f"room-{number:06d}"
        truth = Truth.load(folder)
        seen: dict[int, list[NDArray[np.float64]]] = {}
        for i in range(len(truth.frames)):
            points, ids = back_projected(folder, truth, i)
            for thing in np.unique(ids):
                seen.setdefault(int(thing), []).append(points[ids == thing])
            # What is no thing is floor, ceiling or wall: below, above or beside everything.
            bare = points[ids == 0]
            height = truth.rooms[0].height
            assert bare[:, 2].min() > -0.02 and bare[:, 2].max() < height + 0.02
        for thing, parts in seen.items():
            if thing == 0:
                continue
            points = np.concatenate(parts)
            assert inside(points, truth.thing(thing).box, 0.008).all(), truth.thing(thing).label
            if len(points) > 3000 and truth.thing(thing).label not in FITTINGS:
                # Something that is seen well fills its box along one axis at least.
                box = truth.thing(thing).box
                turn = np.array(
                    [[np.cos(box.yaw), -np.sin(box.yaw), 0], [np.sin(box.yaw), np.cos(box.yaw), 0], [0, 0, 1]]
                )
                span = np.ptp(points @ turn, axis=0) / box.size
                assert span.max() > 0.6, truth.thing(thing).label
                checked += 1
    assert checked >= 4


def test_labels_and_views_follow_from_the_instances(clean_set: Path) -> None:
    folder = clean_set / "room-000000"
    truth = Truth.load(folder)
    names = {int(k): v for k, v in json.loads((folder / "labels.json").read_text()).items()}
    for i, frame in enumerate(truth.frames):
        ids = cv2.imread(str(folder / f"frame-{frame.number:06d}.instance.png"), cv2.IMREAD_UNCHANGED)
        labels = cv2.imread(str(folder / f"frame-{frame.number:06d}.labels.png"), cv2.IMREAD_UNCHANGED)
        for thing in truth.objects:
            mine = ids == thing.id
            assert {names[int(v)] for v in np.unique(labels[mine])} <= {thing.label}
            share = dict(thing.views).get(i, 0.0)
            assert share == pytest.approx(mine.mean(), abs=0.004 + 0.05 * share)
        assert (labels[ids == 0] == 0).all()


def test_poses_in_truth_are_those_of_the_files(clean_set: Path) -> None:
    folder = clean_set / "room-000001"
    truth = Truth.load(folder)
    for frame in truth.frames:
        pose = np.loadtxt(folder / f"frame-{frame.number:06d}.pose.txt")
        assert pose[:3, 3] == pytest.approx(frame.position, abs=1e-5)
        forward = pose[:3, 2]
        assert np.arctan2(forward[1], forward[0]) == pytest.approx(frame.yaw, abs=1e-5)
        assert np.arcsin(-forward[2]) == pytest.approx(frame.tilt, abs=1e-5)
        assert 0.35 < frame.position[2] < 1.55
        assert frame.number == round(frame.time * 30)
    sequence = open_sequence(folder)
    frames = list(sequence)
    assert len(frames) == len(truth.frames)
    assert [f.stamp_ns / 1e9 for f in frames] == pytest.approx([f.number / 30 for f in truth.frames], abs=1e-6)


def meshes(placed: Placed) -> list[trimesh.Trimesh]:
    """A thing's parts in the world, as bodies."""
    c, s = np.cos(np.deg2rad(placed.item.yaw)), np.sin(np.deg2rad(placed.item.yaw))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return [
        trimesh.Trimesh(p.vertices @ turn.T + placed.item.position, p.faces, process=False) for p in placed.item.parts
    ]


def overlap(a: Placed, b: Placed) -> float:
    """Share of points in the parts of ``a`` that are also in the convex hull of a part of ``b``."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for mine in meshes(a):
        spots = mine.vertices.mean(axis=0) + 0.97 * (mine.vertices - mine.vertices.mean(axis=0))
        spots = np.concatenate([spots, rng.dirichlet(np.ones(len(spots)), 30) @ spots])
        for other in meshes(b):
            hull = other.convex_hull
            normals, origins = hull.face_normals, hull.triangles[:, 0]
            depth = ((spots[:, None] - origins[None]) * normals[None]).sum(axis=2).max(axis=1)
            worst = max(worst, float((depth < -0.004).mean()))
    return worst


@pytest.mark.slow
def test_nothing_stands_in_anything(recordings: list[Recording]) -> None:
    for recording in recordings[:6]:
        for flat in (recording.before, recording.after):
            things = [p for p in flat.placed if p.kind.name not in FITTINGS]
            boxes = [p.item.box() for p in things]
            for i, first in enumerate(boxes):
                for j in range(i + 1, len(boxes)):
                    if first.iou(boxes[j]) == 0:
                        continue
                    pair = (things[i], things[j])
                    # Boxes of a chair and the table it is drawn up to may overlap; what they are made of may not.
                    assert max(overlap(*pair), overlap(*pair[::-1])) < 0.01, (pair[0].kind.name, pair[1].kind.name)


def test_everything_stands_on_what_carries_it(recordings: list[Recording]) -> None:
    carried = 0
    for recording in recordings:
        truth = recording.truth
        for thing in truth.present():
            low = thing.box.center[2] - thing.box.size[2] / 2
            if thing.on == "floor":
                assert low == pytest.approx(0, abs=2e-3), thing.label
                assert thing.support is None
            elif thing.on == "ceiling":
                assert low + thing.box.size[2] == pytest.approx(truth.rooms[0].height, abs=2e-3)
            elif thing.on == "object":
                carried += 1
                assert thing.support is not None
                below = truth.thing(thing.support)
                top = below.box.center[2] + below.box.size[2] / 2
                if below.label == "sink":  # the tap stands higher than the worktop
                    assert top - 0.4 < low < top
                else:
                    assert low == pytest.approx(top, abs=2e-3), (thing.label, below.label)
                middle = np.array([[*thing.box.center[:2], below.box.center[2]]])
                assert inside(middle, below.box, 0.0).all()
                assert below.room == thing.room
    assert carried > 40


def test_things_are_in_their_room(recordings: list[Recording]) -> None:
    for recording in recordings:
        rooms = {room.id: room for room in recording.truth.rooms}
        for thing in recording.truth.objects:
            if thing.label not in FITTINGS:
                polygon = np.array(rooms[thing.room].polygon, np.float32)
                corners = thing.box.oriented().corners[:, :2]
                for corner in corners:
                    assert cv2.pointPolygonTest(polygon, tuple(map(float, corner)), True) > -0.01, thing.label


def test_robot_reaches_every_room_and_never_bumps_into_anything(recordings: list[Recording]) -> None:
    for recording in recordings:
        truth, path = recording.truth, recording.tour.path
        for flat in (recording.before, recording.after):
            low = [p for p in flat.placed if p.item.box().bottom < 1.4 and p.item.box().top > 0.03]
            for thing in low:
                if thing.kind.name == "doorway":
                    continue
                box = thing.item.box()
                flat_box = np.column_stack([path, np.full(len(path), box.center[2])])
                assert not box.contains(flat_box, margin=0.1).any(), thing.kind.name
        # Flood the free floor from the robot's first place, on a grid of our own; every room must be wetted.
        step = 0.05
        corners = np.concatenate([room.polygon for room in truth.rooms])
        x, y = (np.arange(corners[:, i].min() - 0.2, corners[:, i].max() + 0.2, step) for i in (0, 1))
        gx, gy = np.meshgrid(x, y, indexing="ij")
        cells = np.stack([gx.ravel(), gy.ravel()], axis=1)
        free = np.zeros(len(cells), bool)
        owner = np.zeros(len(cells), int)
        for room in truth.rooms:
            polygon = np.array(room.polygon, np.float32)
            mine = np.array([cv2.pointPolygonTest(polygon, (float(a), float(b)), True) for a, b in cells])
            free |= mine > 0.2
            owner[mine > 0] = room.id
        for opening in truth.openings:
            if opening.kind == "doorway":
                box = truth.thing(opening.object).box
                c, s = np.cos(box.yaw), np.sin(box.yaw)
                d = cells - np.array(box.center[:2])
                free |= (np.abs(d @ (c, s)) < 0.4) & (np.abs(d @ (-s, c)) < opening.width / 2 - 0.2)
        for thing in truth.present():
            if thing.box.center[2] - thing.box.size[2] / 2 < 1.4 and thing.label not in (*FITTINGS, "rug"):
                free &= ~inside(np.column_stack([cells, np.full(len(cells), thing.box.center[2])]), thing.box, 0.2)
        regions, _ = ndimage.label(free.reshape(gx.shape))
        start = np.linalg.norm(cells - path[0], axis=1).argmin()
        near = np.flatnonzero((np.linalg.norm(cells - cells[start], axis=1) < 0.15) & free)
        wet = regions.ravel() == regions.ravel()[near[0]]
        for room in truth.rooms:
            assert wet[owner == room.id].sum() * step**2 > 0.5, room.kind
        visited = {frame.room for frame in truth.frames}
        assert visited == set(rooms_of(truth)), (visited, truth.rooms)


def rooms_of(truth: Truth) -> list[int]:
    return [room.id for room in truth.rooms]


def test_changes_are_recorded_and_happen_between_two_frames(recordings: list[Recording]) -> None:
    kinds: Counter[str] = Counter()
    for recording in recordings:
        truth = recording.truth
        before = {p.id: p.item.box() for p in recording.before.placed}
        after = {p.id: p.item.box() for p in recording.after.placed}
        differing = {i for i in before.keys() | after.keys() if i not in before or i not in after}
        differing |= {i for i in before.keys() & after.keys() if not np.allclose(before[i].center, after[i].center)}
        assert {c.object for c in truth.changes} == differing
        for change in truth.changes:
            kinds[change.kind] += 1
            assert (change.before is None) == (change.kind == "added")
            assert (change.after is None) == (change.kind == "removed")
            if change.before and change.after:
                assert np.linalg.norm(np.subtract(change.before.center, change.after.center)) > 0.4
            first_new = next(i for i, f in enumerate(truth.frames) if f.time >= change.time)
            assert first_new == recording.changed_at == 12
            views = [i for i, _ in truth.thing(change.object).views]
            assert change.kind != "added" or all(i >= 12 for i in views)
            assert change.kind != "removed" or all(i < 12 for i in views)
        assert {t.id for t in truth.present()} == after.keys()
    assert min(kinds[k] for k in ("moved", "added", "removed")) >= 3


def test_rooms_differ_and_hold_what_such_rooms_hold(recordings: list[Recording]) -> None:
    labels: Counter[str] = Counter()
    for recording in recordings:
        labels.update({thing.label for thing in recording.truth.objects})
        for room in recording.truth.rooms:
            inside_it = {t.label for t in recording.truth.objects if t.room == room.id}
            need = {"bathroom": {"toilet"}, "meeting room": {"conference table"}, "bedroom": {"bed"}}
            assert need.get(room.kind, set()) <= inside_it | {"bed"}, (room, inside_it)
    assert len(labels) >= 45
    assert len(LABELS) >= 60 and len(KINDS) >= 70
    seen = [t.first_seen is not None for r in recordings for t in r.truth.objects if t.label != "ceiling lamp"]
    assert np.mean(seen) > 0.85


def test_colours_have_the_names_that_people_give_them() -> None:
    # Centres of basic colour terms (Berlin and Kay's eleven), as display colours.
    for code, name in (
        ("#000000", "black"), ("#ffffff", "white"), ("#808080", "grey"), ("#e01010", "red"), ("#20a030", "green"),
        ("#1040d0", "blue"), ("#f0d010", "yellow"), ("#f08010", "orange"), ("#7030a0", "purple"), ("#7a4a20", "brown"),
    ):  # fmt: skip
        assert color_name(srgb(code)) == name


def test_truth_survives_saving(recordings: list[Recording], tmp_path: Path) -> None:
    for recording in recordings[:4]:
        recording.truth.save(tmp_path)
        assert Truth.load(tmp_path) == recording.truth
    (tmp_path / "truth.json").write_text('{"version": 99}')
    with pytest.raises(BadInput, match="version 99"):
        Truth.load(tmp_path)
    (tmp_path / "truth.json").write_text('{"version": 1, "name": "x"}')
    with pytest.raises(BadInput, match="camera"):
        Truth.load(tmp_path)


def test_truth_of_the_demo_room_is_read() -> None:
    folder = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"
    truth = Truth.load(folder)
    document = json.loads((folder / "truth.json").read_text())
    assert truth.area == pytest.approx(document["room"]["area"])
    assert len(truth.objects) == len(document["objects"])
    assert [c.kind for c in truth.changes] == ["moved"]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.mark.slow
def test_same_bytes_from_any_number_of_workers_and_after_an_interruption(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    simulation.simulate(3, SMALL, one, workers=1)
    # An interrupted run: one recording done, one half written, one with its truth only.
    simulation.make(0, SMALL, two)
    (two / "room-000001.part").mkdir()
    (two / "room-000001.part" / "frame-000000.color.jpg").write_bytes(b"half")
    simulation.make(2, SMALL, two, truth_only=True)
    (two / "settings.json").write_text((one / "settings.json").read_text())
    kept = (two / "room-000000" / "truth.json").stat().st_mtime_ns
    report = simulation.simulate(3, SMALL, two, workers=2)
    assert (report.made, report.kept) == (2, 1)
    assert (two / "room-000000" / "truth.json").stat().st_mtime_ns == kept
    assert digest(one) == digest(two)
    other = simulation.Settings(**{**SMALL.__dict__, "seed": 6})
    with pytest.raises(BadInput, match="seed 5 instead of 6"):
        simulation.simulate(1, other, two)


def test_truth_alone_is_that_of_the_rendered_room(clean_set: Path, tmp_path: Path) -> None:
    settings = Settings(seed=3, frames=8, width=160, height=120, flats=0.5, clean=True)
    simulation.make(1, settings, tmp_path, truth_only=True)
    alone = tmp_path / "room-000001" / "truth.json"
    assert alone.read_bytes() == (clean_set / "room-000001" / "truth.json").read_bytes()
    assert len(list(alone.parent.iterdir())) == 1


def test_noise_of_the_camera_is_that_of_a_depth_camera(clean_set: Path, tmp_path: Path) -> None:
    noisy = Settings(seed=3, frames=8, width=160, height=120, flats=0.5)
    simulation.make(1, noisy, tmp_path)
    truth = Truth.load(tmp_path / "room-000001")
    exact, measured, edges = [], [], []
    for frame in truth.frames:
        name = f"room-000001/frame-{frame.number:06d}.depth.png"
        a = cv2.imread(str(clean_set / name), cv2.IMREAD_UNCHANGED) / 1000
        exact.append(a)
        measured.append(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED) / 1000)
        edges.append(ndimage.maximum_filter(a, 5) - ndimage.minimum_filter(a, 5) > 0.3)
    a, b, edge = np.array(exact), np.array(measured), np.array(edges)
    both = (a > 0) & (b > 0) & ~edge
    error = np.abs(a - b)[both] / a[both] ** 2
    # Deviation z^2 sigma / (f b): sigma 0.02 to 0.05 pixel, f about 110 pixels, b 0.075 m; and steps of 1/20 pixel.
    assert 0.001 < np.median(error) < 0.006
    holes = (a > 0.3) & (a < 7) & (b == 0)
    assert 0.005 < holes.mean() < 0.2
    assert holes[edge].mean() > 2 * holes[~edge].mean()
    assert (b[a > 8.5] == 0).all()


def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from proxy3d_training.simulation.cli import simulate; simulate()"
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)

    good = run("--rooms", "2", "--seed", "1", "--out", str(tmp_path / "set"), "--truth-only", "--json")
    assert good.returncode == 0, good.stderr
    document = json.loads(good.stdout)
    assert document["recordings"] == 2 and document["made"] == 2 and document["objects"] > 10
    clash = run("--rooms", "2", "--seed", "2", "--out", str(tmp_path / "set"), "--truth-only")
    assert clash.returncode == 1 and "choose another folder" in clash.stderr and len(clash.stderr.splitlines()) == 1
    assert run("--rooms", "1", "--out", str(tmp_path / "x"), "--size", "big").returncode == 2

"""The command line as a user runs it: processes of its own, exit codes, JSON, one-line errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rooms import K, Room, Thing, look
from scipy.spatial.transform import Rotation

# The room's own frame has z up; it is recorded in a world that lies as a camera once did, as 7-Scenes' are.
WORLD_FROM_ROOM = np.eye(4)
WORLD_FROM_ROOM[:3, :3] = Rotation.from_euler("xyz", [1.9, 0.1, -0.2]).as_matrix()
WORLD_FROM_ROOM[:3, 3] = (0.4, -1.1, 0.7)

TABLE = Thing("table", (0.3, 0.2, 0.36), (1.4, 0.8, 0.72), 0.2)
CHAIRS = (Thing("chair", (-1.2, 0.5, 0.45), (0.5, 0.5, 0.9)), Thing("chair", (0.4, -1.3, 0.45), (0.5, 0.5, 0.9), 0.4))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table and two chairs, filmed while walking once around them, as a 7-Scenes folder; every 5th frame of 30 Hz."""
    folder = tmp_path_factory.mktemp("cli") / "small room"
    folder.mkdir()
    room = Room([TABLE, *CHAIRS])
    np.savetxt(folder / "camera-intrinsics.txt", K.matrix)
    (folder / "labels.json").write_text(json.dumps({str(i): name for i, name in room.names.items()}))
    for i, angle in enumerate(np.linspace(0, 2 * np.pi, 40, endpoint=False)):
        pose = look((2.3 * np.cos(angle), 1.9 * np.sin(angle), 1.5), (0, 0, 0.4))
        frame = room.render(pose, i / 6)
        name = folder / f"frame-{5 * i:06d}"
        assert frame.rgb is not None
        assert frame.labels is not None
        cv2.imwrite(f"{name}.color.jpg", frame.rgb[..., ::-1])
        cv2.imwrite(f"{name}.depth.png", np.round(frame.depth * 1000).astype(np.uint16))
        cv2.imwrite(f"{name}.labels.png", frame.labels)
        np.savetxt(f"{name}.pose.txt", WORLD_FROM_ROOM @ pose)
    np.savetxt(folder / "frame-000010.pose.txt", np.full((4, 4), np.nan))  # tracking was lost once
    return folder


def proxy3d(*arguments: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command elsewhere than in the checkout; check its exit code and that no traceback is shown."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy3d_ros", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "100", **environment},
        cwd="/",
    )
    assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    return done


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error message, which is one line, and nothing on stdout."""
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="module")
def replayed(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What replay prints, and the map it saves."""
    map_folder = tmp_path_factory.mktemp("maps") / "room"
    done = proxy3d(
        "replay", recording, "--ask", "How many chairs are there?", "--ask", "How tall is the table?",
        "--ask", "", "--save-map", map_folder, "--json",
    )  # fmt: skip
    return json.loads(done.stdout), map_folder


def test_replay_prints_the_document(replayed: tuple[dict[str, Any], Path]) -> None:
    document, _ = replayed
    assert list(document) == ["frames", "dropped", "proxies", "objects", "up", "floor", "answers", "timing_ms"]
    assert document["frames"] == 39
    assert sum(document["dropped"].values()) == 1
    assert document["proxies"] == 450
    assert document["up"] == pytest.approx(WORLD_FROM_ROOM[:3, 2].tolist(), abs=0.01)
    assert document["floor"] == pytest.approx(WORLD_FROM_ROOM[:3, 2] @ WORLD_FROM_ROOM[:3, 3], abs=0.03)
    for times in document["timing_ms"].values():
        assert 0 < times["p50"] <= times["p95"]


def test_objects_are_in_the_world_of_the_sequence(replayed: tuple[dict[str, Any], Path]) -> None:
    document, _ = replayed
    found = sorted(o["label"] for o in document["objects"])
    assert found == ["chair", "chair", "table"]
    up = WORLD_FROM_ROOM[:3, 2]
    for thing in (TABLE, *CHAIRS):
        center = WORLD_FROM_ROOM[:3, :3] @ thing.center + WORLD_FROM_ROOM[:3, 3]
        item = min(document["objects"], key=lambda o: float(np.linalg.norm(np.subtract(o["center"], center))))
        assert item["label"] == thing.label
        assert item["center"] == pytest.approx(center.tolist(), abs=0.06)
        assert sorted(item["size"][:2]) == pytest.approx(sorted(thing.size[:2]), abs=0.08)
        assert item["size"][2] == pytest.approx(thing.size[2], abs=0.06)
        # The corners that center, size, yaw and up describe are those of the true box.
        x = np.eye(3)[0] - up[0] * up
        x /= np.linalg.norm(x)
        a = np.cos(item["yaw"]) * x + np.sin(item["yaw"]) * np.cross(up, x)
        axes = np.stack([a, np.cross(up, a), up], axis=1)
        signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
        corners = np.array(item["center"]) + (signs * np.array(item["size"]) / 2) @ axes.T
        true = thing.box.corners @ WORLD_FROM_ROOM[:3, :3].T + WORLD_FROM_ROOM[:3, 3]
        gaps = np.linalg.norm(corners[:, None] - true, axis=2).min(axis=1)
        assert gaps.max() < 0.13
        assert 0 <= item["first_seen"] < item["last_seen"] <= 39 / 6 + 1e-3
        assert item["observations"] > 10
        assert 0.5 < item["score"] <= 1


def test_answers(replayed: tuple[dict[str, Any], Path]) -> None:
    chairs, table, nothing = replayed[0]["answers"]
    assert (chairs["question"], chairs["status"], chairs["value"]) == ("How many chairs are there?", "OK", 2)
    ids = {o["id"] for o in replayed[0]["objects"] if o["label"] == "chair"}
    assert set(chairs["object_ids"]) == ids
    assert table["status"] == "OK"
    metres = {"m": 1, "cm": 0.01}[table["unit"]] * table["value"]
    assert metres == pytest.approx(0.72, abs=0.06)
    assert nothing["status"] == "NOT_UNDERSTOOD"
    assert nothing["message"]
    for answer in replayed[0]["answers"]:
        assert answer["latency_ms"] >= 0
        assert answer["answerer"] == "geometric"
        assert 0 <= answer["confidence"] <= 1


@pytest.mark.slow
def test_replay_is_deterministic(replayed: tuple[dict[str, Any], Path], recording: Path) -> None:
    again = json.loads(proxy3d("replay", recording, "--json").stdout)
    for key in ("frames", "dropped", "proxies", "objects", "up", "floor"):
        assert again[key] == replayed[0][key]


def test_replay_for_people(recording: Path) -> None:
    done = proxy3d("replay", recording, "--ask", "How many chairs are there?", "--max-frames", 30, COLUMNS="80")
    assert "small room" in done.stdout
    assert "chair" in done.stdout
    assert "30 frames" in done.stdout
    assert "centre [m]" in done.stdout
    assert "…" not in done.stdout, "numbers are whole in a narrow terminal"


@pytest.mark.slow
def test_convert_and_replay_the_bag(recording: Path, tmp_path: Path) -> None:
    """A rosbag2 of the sequence gives the same room; its world is level."""
    bag = tmp_path / "bag"
    written = json.loads(proxy3d("convert", recording, bag, "--json").stdout)
    assert written["frames"] == 39
    document = json.loads(proxy3d("replay", bag, "--json").stdout)
    assert document["frames"] == 39
    assert sorted(o["label"] for o in document["objects"]) == ["chair", "chair", "table"]
    assert document["up"] == pytest.approx([0, 0, 1], abs=0.01)
    assert "exists" in one_line(proxy3d("convert", recording, bag, code=1))


@pytest.mark.slow
def test_pictures(recording: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("rerun")
    picture, rrd = tmp_path / "new folder" / "room.png", tmp_path / "room.rrd"
    proxy3d("replay", recording, "--plot", picture, "--record", rrd, "--ask", "How many chairs are there?")
    drawn = cv2.imread(str(picture))
    assert drawn.shape[0] > 200
    assert drawn.std() > 5
    assert rrd.read_bytes()[:3] == b"RRF"


@pytest.mark.slow
def test_the_vlm_answers_and_shows_where_it_looked(recording: Path, taught_vlm: Path, tmp_path: Path) -> None:
    """On a replay, and on the map that it saves; on features of another encoder it says what to do."""
    pytest.importorskip("matplotlib")
    picture, folder = tmp_path / "looked.png", tmp_path / "map"
    model = ("--answerer", "vlm", "--set", f"answer.vlm={taught_vlm}", "--set", "encoder.source=", "--json")
    asked = ("--ask", "Where can somebody sit?", "--ask", "Which object is the largest?")
    done = proxy3d("replay", recording, *asked, "--plot-attention", picture, "--save-map", folder, *model)
    sit, largest = json.loads(done.stdout)["answers"]
    assert (sit["status"], sit["answer"], sit["answerer"]) == ("OK", "On a chair", "vlm")
    assert sit["confidence"] <= 0.5 and sit["latency_ms"] > 0 and sit["object_ids"] == []
    assert len(largest["object_ids"]) == 1 and f"({largest['object_ids'][0]})" in largest["answer"]
    drawn = cv2.imread(str(picture))
    assert drawn.shape[0] > 800 and drawn.std() > 5  # a row for each answer
    asked_map = json.loads(proxy3d("ask-map", folder, "Which object is the largest?", *model).stdout)
    assert (asked_map["answer"], asked_map["answerer"]) == (largest["answer"], "vlm")


@pytest.mark.slow
def test_a_model_that_is_not_there(recording: Path) -> None:
    model = ("--answerer", "vlm", "--set", "answer.vlm=/no/such/model")
    done = proxy3d("replay", recording, "--max-frames", 3, "--ask", "How many?", *model, "--json")
    answer = json.loads(done.stdout)["answers"][0]
    assert answer["status"] == "MODEL_UNAVAILABLE" and "no model at" in answer["message"]


def test_an_unwritable_file_is_one_line(recording: Path) -> None:
    one_line(proxy3d("replay", recording, "--max-frames", 3, "--record", "/proc/nowhere/room.rrd", "--json", code=1))


@pytest.mark.slow
def test_ask_map(replayed: tuple[dict[str, Any], Path]) -> None:
    _, folder = replayed
    answer = json.loads(proxy3d("ask-map", folder, "How many chairs are there?", "--json").stdout)
    assert (answer["status"], answer["value"]) == ("OK", 2)
    assert "2" in proxy3d("ask-map", folder, "How many chairs are there?").stdout
    several = json.loads(proxy3d("ask-map", folder, "How many chairs?", "Xyzzy", "--json", code=1).stdout)
    assert [a["status"] for a in several] == ["OK", "NOT_UNDERSTOOD"]


def test_ask_map_from_a_viewpoint(replayed: tuple[dict[str, Any], Path]) -> None:
    """Somebody who turns round finds on the right what was on the left."""
    _, folder = replayed
    answers = {}
    for yaw in (0.0, np.pi):
        done = proxy3d(
            "ask-map", folder, "Is the table to my left or to my right?", f"--viewpoint=-3,-3,{yaw}", "--json"
        )
        answers[yaw] = json.loads(done.stdout)["answer"].lower()
    assert ("left" in answers[0.0]) != ("left" in answers[np.pi])


def test_a_map_is_not_overwritten_unasked(replayed: tuple[dict[str, Any], Path], recording: Path) -> None:
    _, folder = replayed
    message = one_line(proxy3d("replay", recording, "--save-map", folder, "--json", code=1))
    assert "exists" in message
    assert "overwrite" in message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "/no/such/folder"], "there is no file or folder /no/such/folder"),
        (["replay", "/"], "no sequence"),
        (["ask-map", "/no/such/folder", "How many chairs?"], "no such folder"),
        (["replay", "/", "--set", "map.voxel_size=9"], "map.voxel_size"),
        (["replay", "/", "--params", "/no/file.yaml"], "cannot read the parameter file"),
    ],
)
def test_failures_say_what_is_wrong_in_one_line(arguments: list[str], says: str) -> None:
    assert says in one_line(proxy3d(*arguments, code=1))


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["replay", "x", "--ask"],
        ["replay", "x", "--max-frames", "0"],
        ["nonsense"],
        ["ask-map", "x", "q", "--viewpoint", "1,2"],
        ["ask-map", "x", "q", "--viewpoint", "1,2,nan"],
        ["replay", "x", "--set", "voxel_size"],
        ["replay", "x", "--set", "map.nothing=1"],
        ["run", "--middleware", "zenoh"],
        ["play", "x", "--rate", "-1"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = proxy3d(*arguments, code=2)
    assert done.stdout == ""
    assert done.stderr


COMMANDS = ("run", "play", "ask", "objects", "replay", "ask-map", "convert", "bench")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    assert f"Example: proxy3d {command}" in " ".join(proxy3d(command, "--help").stdout.split())


def test_help_lists_all_commands() -> None:
    shown = proxy3d("--help").stdout
    for command in (*COMMANDS, "eval", "simulate", "data", "train"):
        assert f" {command} " in shown


@pytest.mark.parametrize("command", ["simulate", "data", "train"])
def test_missing_training_commands_say_what_to_install(command: str) -> None:
    from importlib.metadata import entry_points

    if any(entry.name == command for entry in entry_points(group="proxy3d.commands")):
        pytest.skip(f"{command} is installed")
    assert "pip install" in one_line(proxy3d(command, "x", code=1))


def test_asking_without_a_node() -> None:
    for arguments in (["ask", "How many chairs?"], ["objects"]):
        message = one_line(proxy3d(*arguments, "--timeout", "0.5", code=1, ROS_DOMAIN_ID="199"))
        assert "proxy3d run" in message


@pytest.mark.slow
def test_run_play_ask(recording: Path, replayed: tuple[dict[str, Any], Path]) -> None:
    """The live node, a player and a client as three processes find what replay finds."""
    pytest.importorskip("cyclonedds")
    command = [sys.executable, "-m", "proxy3d_ros", "run", "--middleware", "dds"]
    node = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd="/")
    try:
        # Slower than recorded: the frames of this test are far apart and none may be missed on a busy machine.
        played = proxy3d("play", recording, "--rate", 0.5, "--wait", 60)
        assert "39 frames" in played.stderr
        answer = json.loads(proxy3d("ask", "How many chairs are there?", "--json").stdout)
        assert (answer["status"], answer["value"]) == ("OK", 2)
        assert len(answer["object_ids"]) == 2
        assert "2" in proxy3d("ask", "How many chairs are there?").stdout
        assert json.loads(proxy3d("ask", "Xyzzy?", "--json", code=1).stdout)["status"] == "NOT_UNDERSTOOD"
        live = json.loads(proxy3d("objects", "--json").stdout)
        assert "table" in proxy3d("objects").stdout
    finally:
        node.send_signal(signal.SIGINT)
        _, log = node.communicate(timeout=30)
    assert node.returncode == 0, log
    assert sorted(o["label"] for o in live) == ["chair", "chair", "table"]
    # The live map is level; sizes do not depend on the frame.
    for label in ("table", "chair"):
        sizes, expected = (
            sorted(sorted(o["size"][:2]) + o["size"][2:] for o in found if o["label"] == label)
            for found in (live, replayed[0]["objects"])
        )
        assert np.array(sizes) == pytest.approx(np.array(expected), abs=0.08)


@pytest.mark.slow
def test_bench(recording: Path) -> None:
    done = proxy3d("bench", "--sequence", recording, "--frames", 120, "--live", 0, "--json")
    figures = json.loads(done.stdout)
    assert figures["machine"]["cores"] >= 1
    for name in ("small room/frame", "small room/answer", "after 120 frames"):
        assert 0 < figures[name]["p50_ms"] <= figures[name]["p95_ms"]
    assert figures["small room/frame"]["n"] == 39
    assert figures["small room/frame"]["frames_per_s"] > 0
    assert figures["after 120 frames"]["memory_mib"] > 10

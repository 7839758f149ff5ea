"""The whole node over DDS: a process of its own, fed by the player, asked through the client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from ros.box_room import CAMERA, NAMES, ROOM, render, tour

from proxy3d_core.encodings import metres_to_depth16
from proxy3d_core.sequences import open_sequence
from proxy3d_ros.client import SpatialClient
from proxy3d_ros.dds import qos
from proxy3d_ros.dds.player import play

ROOT = Path(__file__).resolve().parents[3]
FRAMES = 60
CHAIRS = [thing for thing in ROOM.things if thing.label == "chair"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The room of boxes as a folder of images: two seconds along the tour."""
    folder = tmp_path_factory.mktemp("boxes")
    for name in ("images", "depth", "labels"):
        (folder / name).mkdir()
    poses = tour(FRAMES)
    for i, pose in enumerate(poses):
        view = render(pose)
        cv2.imwrite(str(folder / "images" / f"{i:04d}.png"), view.rgb[..., ::-1])
        cv2.imwrite(str(folder / "depth" / f"{i:04d}.png"), metres_to_depth16(view.depth))
        cv2.imwrite(str(folder / "labels" / f"{i:04d}.png"), view.labels)
    np.savetxt(folder / "K.txt", CAMERA.matrix)
    np.savetxt(folder / "poses.txt", [pose.reshape(-1) for pose in poses])
    (folder / "labels.json").write_text(json.dumps(NAMES))
    return folder


@pytest.fixture
def start_node():
    """Starts ``proxy3d run`` with arguments; afterwards SIGINT must end it with exit code 0."""
    started = []

    def start(*arguments: str) -> None:
        command = [sys.executable, "-m", "proxy3d_ros", "run", "--middleware", "dds", *arguments]
        started.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert process.returncode == 0, errors


@pytest.mark.slow
@pytest.mark.parametrize("compressed", [False, True])
def test_a_played_room_is_seen_and_questions_are_answered(
    start_node, make_node, wait_until, recording, taught_vlm, compressed
):
    watched = {
        "/robot1/proxy3d/objects": ("vision_msgs/msg/Detection3DArray", qos.LATCHED),
        "/robot1/proxy3d/markers": ("visualization_msgs/msg/MarkerArray", qos.LATCHED),
        "/diagnostics": ("diagnostic_msgs/msg/DiagnosticArray", qos.DEFAULT),
    }
    got: dict[str, list] = {name: [] for name in watched}
    watcher = make_node("watcher")
    for name, (kind, profile) in watched.items():
        watcher.subscribe(name, kind, got[name].append, profile)
    settings = (f"input.compressed={str(compressed).lower()}", f"answer.vlm={taught_vlm}", "encoder.source=")
    start_node("--namespace", "robot1", *(word for setting in settings for word in ("--set", setting)))
    with SpatialClient(namespace="robot1", middleware="dds", timeout=30) as client:
        assert client.ask("How many chairs are there?").status.name == "NO_SCENE"
        played = play(open_sequence(recording), compressed=compressed, namespace="robot1")
        assert (played.frames, played.dropped) == (FRAMES, 0)

        def chairs():
            return [found for found in client.objects() if found.label == "chair"]

        assert wait_until(lambda: len(chairs()) == len(CHAIRS), 20), client.objects()
        # A hundred people at once.
        with ThreadPoolExecutor(100) as pool:
            replies = list(pool.map(lambda _: client.ask("How many chairs are there?"), range(100)))
        assert {(reply.status.name, reply.value) for reply in replies} == {("OK", 2.0)}
        with ThreadPoolExecutor(8) as pool:
            replies = list(
                pool.map(lambda _: client.ask("Where can somebody sit?", timeout=60, answerer="vlm"), range(8))
            )
        assert {(reply.status.name, reply.answer, reply.answerer) for reply in replies} == {("OK", "On a chair", "vlm")}
        left = max(chairs(), key=lambda found: found.center[1])
        assert np.allclose(left.center[:2], CHAIRS[0].center[:2], atol=0.1)
        client.label(left.id, "throne")
        assert [found.id for found in client.objects() if found.label == "throne"] == [left.id]
    assert wait_until(lambda: any(len(message.detections) >= 3 for message in got["/robot1/proxy3d/objects"]))
    assert got["/robot1/proxy3d/objects"][-1].header.frame_id == "map"
    assert wait_until(lambda: got["/robot1/proxy3d/markers"] and got["/diagnostics"])


@pytest.mark.slow
def test_a_camera_with_another_name_and_a_mismatch_is_shown_in_diagnostics(start_node, make_node, wait_until) -> None:
    """Somebody publishes an image under the name of the camera info: the node says what it wants instead."""
    seen: list[str] = []

    def on_diagnostics(message) -> None:
        for status in message.status:
            seen.append(f"{status.message} {[(v.key, v.value) for v in status.values]}")

    node = make_node("camera")
    node.subscribe("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", on_diagnostics)
    node.publisher("/cam/info", "sensor_msgs/msg/Image")
    start_node("--remap", "rgb/camera_info:=/cam/info")
    assert wait_until(lambda: any("it publishes sensor_msgs/msg/Image" in text for text in seen), 30), seen[-3:]

"""The package on a real ROS 2, through the commands that a user types: launch, lifecycle, param, service, topic.

Needs a workspace where proxy3d_ros was built with colcon and sourced.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

pytestmark = [pytest.mark.ros, pytest.mark.slow]

HERE = Path(__file__).parent
LATCHED = ("--once", "--no-daemon", "--qos-durability", "transient_local", "--qos-reliability", "reliable")
NAMESPACE = "robot1"
NODE = f"/{NAMESPACE}/proxy3d"


def why_not() -> str:
    """Why these tests cannot run here; empty if they can."""
    try:
        import rclpy  # noqa: F401
    except ImportError:
        return "rclpy is not here: source ROS 2 and run pytest with its Python"
    if shutil.which("ros2") is None:
        return "the command ros2 is not here: source ROS 2"
    if subprocess.run(["ros2", "pkg", "prefix", "proxy3d_ros"], capture_output=True).returncode:
        return "proxy3d_ros is not built: colcon build, then source install/setup.bash"
    return ""


def ros2(*words: str, timeout: float = 60) -> str:
    """Output of a ros2 command, errors included."""
    # Not from the checkout: there, proxy3d_ros has no generated messages.
    done = subprocess.run(["ros2", *words], capture_output=True, text=True, timeout=timeout, cwd=HERE)
    return done.stdout + done.stderr


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not get there in time"


WITH_VLM = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def ask(question: str, more: str = "") -> str:
    request = f'{{question: "{question}"{more}}}'
    return ros2("service", "call", f"/{NAMESPACE}/ask_spatial", "proxy3d_ros/srv/AskSpatial", request)


def proxies() -> NDArray[np.void]:
    """The first message of ~/proxies that a late listener gets, by its own fields."""
    text = ros2("topic", "echo", *LATCHED, "--full-length", f"{NODE}/proxies", "sensor_msgs/msg/PointCloud2")
    cloud = next(yaml.load_all(text, yaml.CSafeLoader))
    kinds = {5: "<i4", 6: "<u4", 7: "<f4"}  # sensor_msgs/msg/PointField
    names, formats, offsets = zip(
        *((f["name"], kinds[f["datatype"]], f["offset"]) for f in cloud["fields"]), strict=True
    )
    layout = {"names": names, "formats": formats, "offsets": offsets, "itemsize": cloud["point_step"]}
    points = np.frombuffer(bytes(cloud["data"]), np.dtype(layout))
    assert len(points) == cloud["width"] and cloud["header"]["frame_id"] == "map"
    return points


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The launched node in a namespace and a robot that looks around; the log of both."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("ros")
    settings = {
        "output": {"map_folder": str(folder / "maps")},
        "map": {"min_size": 0.1},
        "answer": {"vlm": str(request.getfixturevalue("taught_vlm")) if WITH_VLM else "nano"},
        "encoder": {"source": ""},  # what the taught model reads
    }
    (folder / "params.yaml").write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}))
    modules = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": modules}
    log = (folder / "log.txt").open("w")
    launch = ["ros2", "launch", "proxy3d_ros", "robot.launch.py", f"namespace:={NAMESPACE}", "preset:=cpu"]
    started = [
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=HERE, env=env, start_new_session=True)
        for command in (
            [*launch, f"params_file:={folder / 'params.yaml'}"],
            [sys.executable, "publish_room.py", "--ros-args", "-r", f"__ns:=/{NAMESPACE}"],
        )
    ]
    try:
        until(lambda: "active" in ros2("lifecycle", "get", "--no-daemon", "--spin-time", "2", NODE))
        until(lambda: "answer='2'" in ask("How many chairs are there?"))
        yield folder
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGINT)
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        log.close()
        print((folder / "log.txt").read_text())


def test_a_question_is_answered(robot: Path) -> None:
    response = ask("How many chairs are there?")
    assert "status=0" in response and "unit='count'" in response and "class_id='chair'" in response
    assert "status=4" in ask("")


CROWD = f"""
from concurrent.futures import ThreadPoolExecutor
from proxy3d_ros.client import SpatialClient

with SpatialClient(namespace="{NAMESPACE}", middleware="rclpy", timeout=60) as room, ThreadPoolExecutor(100) as crowd:
    replies = list(crowd.map(room.ask, ["How many chairs are there?"] * 100))
print([reply.answer for reply in replies] == ["2"] * 100)
"""


def test_a_hundred_questions_at_once_are_all_answered(robot: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, timeout=120, cwd=HERE)
    assert done.stdout.strip().endswith("True"), done.stdout + done.stderr


def test_the_vlm_answers(robot: Path) -> None:
    """What the model says on the same service, or what to install where it cannot run."""
    response = ask("Where can somebody sit?", ", answerer: vlm, timeout: 120.0")
    if WITH_VLM:
        assert "status=0" in response and "answer='On a chair'" in response and "answerer='vlm'" in response, response
        named = ask("Which object is the largest?", ", answerer: vlm")
        label, number = re.findall(r"answer='the (\w+) \((\d+)\)'", named)[0]
        assert f"id='{number}'" in named and f"class_id='{label}'" in named
        until(lambda: "ns: attention" in markers())
    else:
        assert "status=6" in response and "pip install" in response, response


def markers() -> str:
    return ros2("topic", "echo", *LATCHED, f"{NODE}/markers", "visualization_msgs/msg/MarkerArray")


def test_objects_and_markers_are_published_to_late_listeners(robot: Path) -> None:
    objects = ros2("topic", "echo", *LATCHED, f"{NODE}/objects", "vision_msgs/msg/Detection3DArray")
    named = sorted(name for name in re.findall(r"class_id: (\w+)", objects) if name != "object")
    assert named == ["chair", "chair", "table"]
    assert "frame_id: map" in objects
    shown = markers()
    assert len(re.findall(r"ns: boxes", shown)) >= 3 and re.search(r"text: chair \d+", shown)
    assert len(proxies()) > 0


def test_proxies_by_object_survive_in_a_saved_map(robot: Path) -> None:
    assert "success=True" in ros2("service", "call", f"{NODE}/set_enabled", "std_srvs/srv/SetBool", "{data: false}")
    listed = ros2("service", "call", f"{NODE}/list_objects", "proxy3d_ros/srv/ListObjects")
    things = set(map(int, re.findall(r"SceneObject\(id=(\d+)", listed)))
    saved = ros2("service", "call", f"{NODE}/save_map", "proxy3d_ros/srv/SaveMap", "{path: proxies}")
    before = proxies()
    assert f"proxies={len(before)}," in saved.replace(")", ",") and 0 < len(before) <= 450
    assert set(before["object_id"]) == things | {-1}, "every object has proxies, and so has what is no object"
    colors = {(int(i), color.tobytes()) for i, color in zip(before["object_id"], before["rgb"], strict=True)}
    assert len(colors) == len(things) + 1, "one colour for each"
    for field in ("x", "y", "z"):
        assert np.abs(before[field]).max() < 3.5, "outside of the room"
    assert "success=True" in ros2("service", "call", f"{NODE}/reset", "std_srvs/srv/Trigger")
    until(lambda: len(proxies()) == 0, 20)
    loaded = ros2("service", "call", f"{NODE}/load_map", "proxy3d_ros/srv/LoadMap", "{path: proxies}")
    assert f"proxies={len(before)}," in loaded
    time.sleep(1.5)  # the preset publishes proxies once a second
    np.testing.assert_array_equal(proxies(), before)
    assert "success=True" in ros2("service", "call", f"{NODE}/set_enabled", "std_srvs/srv/SetBool", "{data: true}")


def test_diagnostics(robot: Path) -> None:
    text = ros2("topic", "echo", "--once", "--no-daemon", "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")
    assert "proxy3d: inputs" in text and "proxy3d: timing" in text and "objects present" in text


def test_parameters(robot: Path) -> None:
    def param(verb: str, *words: str) -> str:
        return ros2("param", verb, "--no-daemon", "--spin-time", "2", NODE, *words)

    assert "0.1" in param("get", "map.min_size"), "from the parameter file"
    assert "0.04" in param("get", "map.voxel_size"), "from the preset"
    described = param("describe", "output.rate")
    assert "Max value: 60.0" in described and "[Hz]" in described
    assert "successful" in param("set", "output.rate", "4.0")
    assert "out of range" in param("set", "output.rate", "99.0")
    assert "cannot change while the node is configured" in param("set", "map.voxel_size", "0.05")
    assert "'auto', 'geometric' or 'vlm'" in param("set", "answer.answerer", "oracle")
    assert "read-only" in param("set", "autostart", "false")
    assert "Gives the features of the proxies" in param("describe", "encoder.source")
    assert "cannot change while the node is configured" in param("set", "encoder.source", "facebook/dinov2-base")


def test_impossible_settings_end_the_node_with_one_line(robot: Path) -> None:
    for setting, words in (
        ("map.voxel_size:=9.0", "out of range"),
        ("map.voxel_size:=fine", "map.voxel_size"),
        ("input.label_names:=/no/such/file.json", "cannot read '/no/such/file.json'"),
        ("answer.answerer:=oracle", "'auto', 'geometric' or 'vlm'"),
        ("encoder.source:=/no/such/model", "/no/such/model"),
        ("perception.depth_model:=/no/such/model", "/no/such/model"),
    ):
        said = ros2("run", "proxy3d_ros", "proxy3d_node", "--ros-args", "-r", "__ns:=/robot2", "-p", setting)
        assert words in said and "exited with failure 1" in said and "Traceback" not in said


def test_maps_survive_a_walk_through_the_life_cycle(robot: Path) -> None:
    saved = ros2("service", "call", f"{NODE}/save_map", "proxy3d_ros/srv/SaveMap", "{path: room}")
    assert "success=True" in saved and (robot / "maps" / "room" / "map.json").is_file()
    outside = ros2("service", "call", f"{NODE}/save_map", "proxy3d_ros/srv/SaveMap", "{path: ../room}")
    assert "success=False" in outside and "leads out" in outside

    def state(transition: str) -> str:
        return ros2("lifecycle", "set", "--no-daemon", "--spin-time", "2", NODE, transition)

    assert "successful" in state("deactivate")
    assert "answer='2'" in ask("How many chairs are there?"), "an inactive node still answers"
    assert "successful" in state("cleanup")
    changed = ros2("param", "set", "--no-daemon", "--spin-time", "2", NODE, "map.voxel_size", "0.05")
    assert "successful" in changed, "an unconfigured node takes any setting"
    assert "successful" in state("configure")
    assert "status=1" in ask("How many chairs are there?"), "a new map"
    loaded = ros2("service", "call", f"{NODE}/load_map", "proxy3d_ros/srv/LoadMap", "{path: room}")
    assert "success=True" in loaded and re.search(r"objects=[34]\b", loaded)
    assert "answer='2'" in ask("How many chairs are there?")
    assert "successful" in state("activate")
    until(lambda: "answer='2'" in ask("How many chairs are there?"))


def test_reset_and_enable(robot: Path) -> None:
    assert "success=True" in ros2("service", "call", f"{NODE}/set_enabled", "std_srvs/srv/SetBool", "{data: false}")
    assert "success=True" in ros2("service", "call", f"{NODE}/reset", "std_srvs/srv/Trigger")
    response = ask("How many chairs are there?")
    assert "status=1" in response and "disabled" in response
    assert "success=True" in ros2("service", "call", f"{NODE}/set_enabled", "std_srvs/srv/SetBool", "{data: true}")
    until(lambda: "answer='2'" in ask("How many chairs are there?"))

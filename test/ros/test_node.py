"""What the node does, driven through its entry points with exact views of a room of boxes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_room import CAMERA, CHAIR, NAMES, render, tour
from direct_port import DirectPort
from rooms import look

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Detection2D
from proxy3d_core.geometry import invert, project, transform_points
from proxy3d_core.reasoning.answer import Status
from proxy3d_ros.node import SpatialNode
from proxy3d_ros.port import Input, InputStatus, Output

SECOND = 1_000_000_000
CAMERA_FRAME = "camera_color_optical_frame"


class Robot:
    """A robot around the node: publishes views of the room and its poses, asks, and reads what comes out."""

    def __init__(self, map_folder: Path, **settings: Any) -> None:
        self.port = DirectPort()
        values = {"output.map_folder": str(map_folder), "map.update_period": 5.0, "answer.vlm": ""}
        values |= {"encoder.source": "appearance", **settings}
        self.node = SpatialNode(self.port, Config.from_flat(values))
        self.stamp = 100 * SECOND

    def start(self) -> None:
        self.node.activate()
        self.node.on_camera_info(self.stamp, CAMERA_FRAME, CAMERA.width, CAMERA.height, CAMERA.matrix.reshape(-1))
        self.node.on_label_info(NAMES)

    def look(self, pose: np.ndarray, labels: bool = True, tf: bool = True) -> None:
        """Publish one view and wait until the node has used it."""
        self.stamp += SECOND // 10
        if tf:
            self.port.transforms.add("map", CAMERA_FRAME, self.stamp, pose)
        view = render(pose)
        before = self.node._scene.snapshot().frames
        if labels:
            self.node.on_labels(self.stamp, CAMERA_FRAME, view.labels)
        self.node.on_rgb(self.stamp, CAMERA_FRAME, view.rgb)
        self.node.on_depth(self.stamp, CAMERA_FRAME, view.depth)
        if tf:
            self.wait(lambda: self.node._scene.snapshot().frames != before)

    def tour(self, count: int = 12) -> None:
        for pose in tour(count):
            self.look(pose)
        self.settle()

    def settle(self) -> None:
        """Wait until the node has brought its objects up to the last frame, as it does when no more come."""
        self.wait(lambda: not self.node._dirty)

    def ask(self, question: str, **fields: Any) -> Any:
        return self.node.ask_spatial(self.port.new("proxy3d_ros/srv/AskSpatial_Request", question=question, **fields))

    def call(self, handler: str, type_name: str, **fields: Any) -> Any:
        return getattr(self.node, handler)(self.port.new(f"{type_name}_Request", **fields))

    def diagnostics(self) -> dict[str, Any]:
        """Newest statuses by name; ``values`` as a mapping."""
        self.node._diagnostics_at = 0
        self.node.tick()
        found = {}
        for status in self.port.last(Output.DIAGNOSTICS).status:
            found[status.name] = (status.level, status.message, {v.key: v.value for v in status.values})
        return found

    def tick(self) -> None:
        time.sleep(0.25)  # longer than the period of objects and markers
        self.node.tick()

    @staticmethod
    def wait(what: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, "the node did not get there"
            time.sleep(0.005)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Robot]]:
    robots = []

    def build(**settings: Any) -> Robot:
        robots.append(Robot(tmp_path / "maps", **settings))
        return robots[-1]

    yield build
    for robot in robots:
        robot.node.close()


@pytest.fixture
def robot(make: Callable[..., Robot]) -> Robot:
    """A robot that has seen the room: two chairs and a table."""
    robot = make()
    robot.start()
    robot.tour()
    return robot


def labels_of(detections: Any) -> list[str]:
    return sorted(d.results[0].hypothesis.class_id for d in detections.detections)


# The main way --------------------------------------------------------------------------------------------------------


def test_it_counts_what_it_has_seen(robot: Robot) -> None:
    response = robot.ask("How many chairs are there?")
    assert response.status == Status.OK, response.message
    assert response.answer == "2" and response.has_value and response.value == 2
    assert labels_of(response.objects) == ["chair", "chair"]
    assert response.frame_id == "map" and response.answerer == "geometric"
    assert response.scene_stamp.sec == robot.stamp // SECOND
    assert 0 < response.latency_ms < 5000 and 0 < response.confidence <= 1


def test_objects_are_published_where_they_are(robot: Robot) -> None:
    robot.tick()
    found = robot.port.last(Output.OBJECTS)
    assert found.header.frame_id == "map"
    assert labels_of(found) == ["chair", "chair", "table"]
    table = next(d for d in found.detections if d.results[0].hypothesis.class_id == "table")
    center, size = table.bbox.center.position, table.bbox.size
    # Only three sides are seen; the true box is 0.8 x 1.4 x 0.75 at (2.2, 0).
    assert abs(center.x - 2.2) < 0.25 and abs(center.y) < 0.15
    assert abs(max(size.x, size.y) - 1.4) < 0.15 and abs(size.z - 0.75) < 0.1
    assert table.id.isdigit() and table.results[0].hypothesis.score > 0.5


def test_markers_follow_the_objects_and_the_answer(robot: Robot) -> None:
    robot.tick()
    markers = robot.port.last(Output.MARKERS).markers
    boxes = {m.id: m for m in markers if m.ns == "boxes" and m.action == 0}
    texts = {m.id: m.text for m in markers if m.ns == "labels" and m.action == 0}
    assert {i: t.split()[0] for i, t in texts.items()} == {
        int(d.id): d.results[0].hypothesis.class_id for d in robot.port.last(Output.OBJECTS).detections
    }
    assert boxes.keys() == texts.keys()
    assert not [m for m in markers if m.ns == "answer"]

    response = robot.ask("How many chairs are there?")
    robot.tick()
    markers = robot.port.last(Output.MARKERS).markers
    assert {m.id for m in markers if m.ns == "answer" and m.action == 0} == {
        int(d.id) for d in response.objects.detections
    }


def test_markers_of_what_is_gone_are_deleted(robot: Robot) -> None:
    robot.tick()
    shown = {m.id for m in robot.port.last(Output.MARKERS).markers if m.ns == "boxes" and m.action == 0}
    robot.call("reset", "std_srvs/srv/Trigger")
    robot.tick()
    markers = robot.port.last(Output.MARKERS).markers
    assert markers[0].action == 3, "a new epoch begins with DELETEALL"
    assert {m.id for m in markers if m.ns == "boxes" and m.action == 2} == shown
    assert not [m for m in markers if m.action == 0]


def test_proxies_are_published_by_object(robot: Robot) -> None:
    robot.tick()
    cloud = robot.port.last(Output.PROXIES)
    assert 0 < cloud.width <= 450 and cloud.point_step * cloud.width == len(cloud.data)
    columns = np.frombuffer(bytes(cloud.data), np.float32).reshape(cloud.width, -1)
    at = {f.name: f.offset // 4 for f in cloud.fields}
    ids, colors = columns[:, at["object_id"]].view(np.int32), columns[:, at["rgb"]].view(np.int32)
    assert ids.min() == -1 and ids.max() > 0
    assert len({*zip(ids.tolist(), colors.tolist(), strict=True)}) == len({*ids.tolist()}) == len({*colors.tolist()})
    x = columns[:, next(f.offset for f in cloud.fields if f.name == "x") // 4]
    assert (np.abs(x) < 3.1).all(), "outside of the room"
    robot.call("reset", "std_srvs/srv/Trigger")
    robot.wait(lambda: robot.port.last(Output.PROXIES).width == 0)


def test_map_info(robot: Robot) -> None:
    robot.tick()
    info = robot.port.last(Output.MAP_INFO)
    assert (info.objects_present, info.objects_gone, info.frames) == (3, 0, 12)
    assert info.has_floor and abs(info.floor_height) < 0.05
    assert info.voxels > 100 and info.proxies > 0


def test_left_and_right_follow_the_viewpoint(robot: Robot) -> None:
    def viewpoint(x: float, y: float, yaw: float) -> Any:
        new = robot.port.new
        place = new("geometry_msgs/msg/Point", x=x, y=y, z=0.0)
        turn = new("geometry_msgs/msg/Quaternion", z=float(np.sin(yaw / 2)), w=float(np.cos(yaw / 2)))
        header = new("std_msgs/msg/Header", frame_id="map")
        return new(
            "geometry_msgs/msg/PoseStamped",
            header=header,
            pose=new("geometry_msgs/msg/Pose", position=place, orientation=turn),
        )

    robot.call("label_object", "proxy3d_ros/srv/LabelObject", id=left_chair(robot), label="armchair")
    question = "Is the armchair on my left or on my right?"
    ahead = robot.ask(question, viewpoint=viewpoint(-1.0, 0.0, 0.0))
    back = robot.ask(question, viewpoint=viewpoint(3.5, 0.0, np.pi))
    assert ahead.status == back.status == Status.OK, (ahead.message, back.message)
    assert "left" in ahead.answer and "right" in back.answer


def left_chair(robot: Robot) -> int:
    """Id of the chair at y = 1.2."""
    found = robot.call("list_objects", "proxy3d_ros/srv/ListObjects").objects
    return next(o.id for o in found if o.label == "chair" and o.box.center.position.y > 0)


# Services ------------------------------------------------------------------------------------------------------------


def test_list_objects(robot: Robot) -> None:
    response = robot.call("list_objects", "proxy3d_ros/srv/ListObjects")
    assert sorted(o.label for o in response.objects) == ["chair", "chair", "table"]
    assert len({o.id for o in response.objects}) == 3 and response.frame_id == "map"
    for o in response.objects:
        assert o.observations > 0 and o.last_seen.sec >= o.first_seen.sec >= 100


def test_a_name_given_by_the_user_stays(robot: Robot) -> None:
    chair = left_chair(robot)
    response = robot.call("label_object", "proxy3d_ros/srv/LabelObject", id=chair, label="throne")
    assert response.success, response.message
    for pose in tour(4):
        robot.look(pose)
    found = robot.call("list_objects", "proxy3d_ros/srv/ListObjects").objects
    assert {o.id: o.label for o in found}[chair] == "throne"
    response = robot.call("label_object", "proxy3d_ros/srv/LabelObject", id=999, label="x")
    assert not response.success and "999" in response.message


def test_a_saved_map_answers_after_loading(robot: Robot, make: Callable[..., Robot]) -> None:
    saved = robot.call("save_map", "proxy3d_ros/srv/SaveMap", path="room")
    assert saved.success and saved.objects == 3 and Path(saved.path).is_dir(), saved.message
    again = robot.call("save_map", "proxy3d_ros/srv/SaveMap", path="room")
    assert not again.success and "overwrite" in again.message
    assert robot.call("save_map", "proxy3d_ros/srv/SaveMap", path="room", overwrite=True).success

    other = make()
    loaded = other.call("load_map", "proxy3d_ros/srv/LoadMap", path="room")
    assert loaded.success and loaded.objects == 3 and loaded.map_epoch == 1, loaded.message
    assert other.ask("How many chairs are there?").value == 2
    other.start()
    for pose in tour(3):
        other.look(look(tuple(pose[:3, 3]), (-9.0, 0.0, 0.0)))  # at the floor and the wall behind
    assert other.ask("How many chairs are there?").value == 2


@pytest.mark.parametrize("path", ["", "..", "../out", "/tmp/out", "a/../../out"])
def test_maps_stay_in_the_map_folder(robot: Robot, path: str) -> None:
    assert not robot.call("save_map", "proxy3d_ros/srv/SaveMap", path=path).success
    response = robot.call("load_map", "proxy3d_ros/srv/LoadMap", path=path)
    assert not response.success and response.message
    assert robot.ask("How many chairs are there?").value == 2, "a failed load leaves the map alone"


def test_nothing_to_save_or_load(make: Callable[..., Robot]) -> None:
    robot = make()
    assert "nothing to save" in robot.call("save_map", "proxy3d_ros/srv/SaveMap", path="room").message
    assert not robot.call("load_map", "proxy3d_ros/srv/LoadMap", path="missing").success


def test_reset_begins_a_new_epoch_and_ids_go_on(robot: Robot) -> None:
    before = {o.id for o in robot.call("list_objects", "proxy3d_ros/srv/ListObjects").objects}
    assert robot.call("reset", "std_srvs/srv/Trigger").success
    assert robot.ask("How many chairs are there?").status == Status.NO_SCENE
    robot.tour()
    after = {o.id for o in robot.call("list_objects", "proxy3d_ros/srv/ListObjects").objects}
    assert len(after) == 3 and min(after) > max(before)
    assert robot.ask("How many chairs are there?").map_epoch == 1


def test_disabled_it_keeps_the_map_and_takes_no_frames(robot: Robot) -> None:
    assert robot.call("set_enabled", "std_srvs/srv/SetBool", data=False).success
    frames = robot.node._scene.snapshot().frames
    robot.look(tour(1)[0], tf=False)
    time.sleep(0.3)
    assert robot.node._scene.snapshot().frames == frames
    assert robot.ask("How many chairs are there?").value == 2
    assert robot.call("set_enabled", "std_srvs/srv/SetBool", data=True).success
    robot.look(tour(1)[0])


def test_deactivated_it_still_answers_but_neither_listens_nor_publishes(robot: Robot) -> None:
    robot.node.deactivate()
    robot.tick()
    count = len(robot.port.published[Output.OBJECTS])
    robot.look(tour(1)[0], tf=False)
    robot.tick()
    assert len(robot.port.published[Output.OBJECTS]) == count
    assert robot.ask("How many chairs are there?").value == 2
    robot.node.activate()
    robot.look(tour(1)[0])


# Bad questions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question", ["", "   ", "a" * 100_000, "Wie viele Stühle gibt es hier?", "椅子はいくつありますか?", "\x00\x01"]
)
def test_what_is_not_understood_gets_a_status_that_says_why(robot: Robot, question: str) -> None:
    response = robot.ask(question)
    assert response.status == Status.NOT_UNDERSTOOD and response.message
    assert response.answer == "" and response.confidence == 0


def test_a_viewpoint_in_an_unknown_frame_is_a_tf_error(robot: Robot) -> None:
    new = robot.port.new
    for frame in ("moon", "base_footprint_of_another_robot"):
        viewpoint = new("geometry_msgs/msg/PoseStamped", header=new("std_msgs/msg/Header", frame_id=frame))
        response = robot.ask("What is on my left?", viewpoint=viewpoint)
        assert response.status == Status.TF_ERROR and frame in response.message


def test_a_viewpoint_whose_transform_does_not_come_in_time_is_a_tf_error(robot: Robot) -> None:
    new = robot.port.new
    later = new("builtin_interfaces/msg/Time", sec=int(robot.stamp // SECOND) + 60)
    header = new("std_msgs/msg/Header", frame_id=CAMERA_FRAME, stamp=later)
    response = robot.ask(
        "What is on my left?", viewpoint=new("geometry_msgs/msg/PoseStamped", header=header), timeout=0.1
    )
    assert response.status == Status.TF_ERROR and "stamp" in response.message


def test_a_viewpoint_without_orientation_is_refused(robot: Robot) -> None:
    new = robot.port.new
    pose = new("geometry_msgs/msg/Pose", orientation=new("geometry_msgs/msg/Quaternion", w=0.0))
    viewpoint = new("geometry_msgs/msg/PoseStamped", header=new("std_msgs/msg/Header", frame_id="map"), pose=pose)
    response = robot.ask("What is on my left?", viewpoint=viewpoint)
    assert response.status == Status.TF_ERROR and "(0, 0, 0, 1)" in response.message


def test_answerers(robot: Robot) -> None:
    question = "How many chairs are there?"
    assert robot.ask(question, answerer="geometric").value == 2
    response = robot.ask(question, answerer="vlm")
    assert response.status == Status.MODEL_UNAVAILABLE and response.answerer == "vlm"
    response = robot.ask(question, answerer="oracle")
    assert response.status == Status.NOT_UNDERSTOOD and "auto, geometric, vlm" in response.message


def test_the_vlm_answers_with_evidence_and_shows_where_it_looked(make: Callable[..., Robot], taught_vlm: Path) -> None:
    robot = make(**{"answer.vlm": str(taught_vlm), "encoder.source": ""})
    robot.start()
    robot.tour()
    response = robot.ask("Where can somebody sit?", answerer="vlm", timeout=60.0)
    assert (response.status, response.answerer, response.answer) == (Status.OK, "vlm", "On a chair")
    assert 0 < response.confidence <= 0.5 and not response.has_value and not response.objects.detections
    assert response.program.startswith("Where can somebody sit? Answer") and 0 < response.latency_ms < 60_000
    named = robot.ask("Which object is the largest?", answerer="vlm")
    assert len(named.objects.detections) == 1
    found = named.objects.detections[0]
    assert named.answer == f"the {found.results[0].hypothesis.class_id} ({found.id})"
    robot.wait(lambda: robot.node._attention is not None and robot.node._attention.reply == "<OBJ000>.")
    robot.tick()
    shown = [marker for marker in robot.port.last(Output.MARKERS).markers if marker.ns == "attention"]
    proxies = robot.node._scene.snapshot().proxies
    assert len(shown) == 1 and len(shown[0].points) == len(shown[0].colors) == len(proxies)
    assert max(color.a for color in shown[0].colors) == 1.0
    robot.ask("How many chairs are there?")  # geometry looks at nothing
    robot.tick()
    gone = [marker for marker in robot.port.last(Output.MARKERS).markers if marker.ns == "attention"]
    assert [marker.action for marker in gone] == [2]


def test_the_vlm_reads_a_scene_ahead_of_the_next_question(make: Callable[..., Robot], taught_vlm: Path) -> None:
    """After a question the node reads new proxies as they come: the next one finds them read."""
    robot = make(**{"answer.vlm": str(taught_vlm), "encoder.source": ""})
    robot.start()
    robot.tour()
    robot.ask("Where can somebody sit?", answerer="vlm", timeout=60.0)
    assert robot.diagnostics()["proxy3d: vision-language model"][1] == "ready"
    vlm = robot.node._answering._vlm.result()
    assert vlm.scenes_read == 1
    robot.tour(3)
    robot.tick()
    robot.wait(lambda: vlm.scenes_read == 2)
    robot.ask("Where can somebody sit?", answerer="vlm")
    assert vlm.scenes_read == 2


def test_twenty_ask_the_vlm_while_frames_arrive(make: Callable[..., Robot], taught_vlm: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    robot = make(**{"answer.vlm": str(taught_vlm), "encoder.source": "", "answer.answerer": "vlm"})
    robot.start()
    robot.tour()
    with ThreadPoolExecutor(20) as pool:
        pending = [pool.submit(robot.ask, "Where can somebody sit?", timeout=60.0) for _ in range(20)]
        for pose in tour(5):
            robot.look(pose)
        assert [p.result().answer for p in pending] == ["On a chair"] * 20


def test_an_answer_that_takes_too_long_is_a_timeout(robot: Robot) -> None:
    response = robot.ask("How many chairs are there?", timeout=1e-9)
    assert response.status == Status.TIMEOUT
    assert robot.ask("How many chairs are there?", timeout=float("nan")).status == Status.OK


def test_before_the_first_frame_it_says_what_is_missing(make: Callable[..., Robot]) -> None:
    robot = make()
    assert robot.ask("How many chairs are there?").status == Status.NO_SCENE
    robot.start()
    robot.port.connections[Input.RGB] = InputStatus("/rgb/image", 0)
    time.sleep(0.6)
    response = robot.ask("How many chairs are there?")
    assert response.status == Status.NO_SCENE
    assert "/rgb/image" in response.message and "0 publishers" in response.message


def test_a_hundred_questions_while_frames_arrive(robot: Robot) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(20) as pool:
        pending = [pool.submit(robot.ask, "How many chairs are there?") for _ in range(100)]
        for pose in tour(5):
            robot.look(pose)
        assert [p.result().value for p in pending] == [2.0] * 100


# Bad input -----------------------------------------------------------------------------------------------------------


def test_an_error_in_the_worker_is_counted_and_the_node_stays_up(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(robot.node._scene, "update", broken)
        robot.look(tour(1)[0], tf=False)
        robot.port.transforms.add("map", CAMERA_FRAME, robot.stamp, tour(1)[0])
        robot.wait(lambda: any(level == "error" and "a bug" in text for level, text in robot.port.logged))
    assert robot.node._assembler.drops["internal_error"] == 1
    robot.look(tour(1)[0])
    assert robot.ask("How many chairs are there?").value == 2


def test_a_frame_that_the_map_refuses_is_counted(robot: Robot) -> None:
    robot.stamp += SECOND
    far = np.full((CAMERA.height, CAMERA.width), 40.0, np.float32)
    robot.port.transforms.add("map", CAMERA_FRAME, robot.stamp, np.eye(4))
    robot.node.on_rgb(robot.stamp, CAMERA_FRAME, np.zeros((*far.shape, 3), np.uint8))
    robot.node.on_depth(robot.stamp, CAMERA_FRAME, far)
    robot.wait(lambda: robot.node._assembler.drops["rejected"] == 1)


def test_a_clock_that_jumps_back_resets_the_buffers_not_the_map(robot: Robot) -> None:
    robot.stamp = SECOND  # an hour is lost, as when a bag starts again
    robot.look(tour(1)[0], tf=False)
    for pose in tour(3):
        robot.stamp += SECOND // 10
        robot.port.transforms.add("map", CAMERA_FRAME, robot.stamp, pose)
        view = render(pose)
        robot.node.on_rgb(robot.stamp, CAMERA_FRAME, view.rgb)
        robot.node.on_depth(robot.stamp, CAMERA_FRAME, view.depth)
    for pose in tour(3):
        robot.look(pose)
    assert robot.ask("How many chairs are there?").value == 2
    assert int(robot.diagnostics()["proxy3d: frames"][2]["clock jumps"]) >= 1


def test_detections_instead_of_a_label_image(make: Callable[..., Robot]) -> None:
    robot = make()
    robot.start()
    for pose in tour(12):
        view = render(pose)
        boxes = []
        for side in (slice(0, 80), slice(80, 160)):
            rows, columns = np.nonzero(view.labels[:, side] == CHAIR)
            if len(rows) > 20:
                left = side.start
                boxes.append(
                    Detection2D(
                        str(CHAIR), 0.9, left + columns.min(), rows.min(), left + columns.max() + 1, rows.max() + 1
                    )
                )
        robot.stamp += SECOND // 10
        robot.port.transforms.add("map", CAMERA_FRAME, robot.stamp, pose)
        robot.node.on_detections(robot.stamp, CAMERA_FRAME, boxes)
        robot.node.on_rgb(robot.stamp, CAMERA_FRAME, view.rgb)
        before = robot.node._scene.snapshot().frames
        robot.node.on_depth(robot.stamp, CAMERA_FRAME, view.depth)
        robot.wait(lambda before=before: robot.node._scene.snapshot().frames > before)
    robot.settle()
    assert robot.ask("How many chairs are there?").value == 2


@pytest.mark.parametrize("text", ["{not json", "/no/such/file.json", '{"a": "chair"}', "[[1]]5"])
def test_label_names_that_cannot_be_read_are_refused(make: Callable[..., Robot], text: str) -> None:
    with pytest.raises(BadInput, match=r"input\.label_names"):
        make(**{"input.label_names": text})


def test_label_names_from_the_settings(make: Callable[..., Robot], tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({CHAIR: "stool"}))
    robot = make(**{"input.label_names": str(tmp_path / "names.json")})
    robot.start()
    robot.tour()
    assert robot.ask("How many stools are there?").value == 2


# Frames --------------------------------------------------------------------------------------------------------------


def test_without_the_fixed_frame_it_falls_back_and_says_so(make: Callable[..., Robot]) -> None:
    robot = make(**{"input.tf_timeout": 0.3})
    robot.start()

    def show() -> bool:
        robot.look(tour(1)[0], labels=False, tf=False)
        robot.port.transforms.add("odom", CAMERA_FRAME, robot.stamp, tour(1)[0])
        time.sleep(0.05)
        return robot.node._scene.snapshot().frames > 0

    robot.wait(show)
    assert robot.node._scene.snapshot().frame_id == "odom"
    level, message, _ = robot.diagnostics()["proxy3d: map"]
    assert level == 1 and "'map' is not in use" in message and "odom" in message


def test_a_map_with_content_is_never_moved_to_another_frame(robot: Robot) -> None:
    robot.port.transforms.clear()
    robot.look(tour(1)[0], tf=False)
    robot.port.transforms.add("odom", CAMERA_FRAME, robot.stamp, tour(1)[0])
    robot.wait(lambda: robot.node._assembler.drops["no_transform"] > 0)
    assert robot.node._scene.snapshot().frame_id == "map"


def test_the_robot_pose_comes_from_tf(robot: Robot) -> None:
    pose = np.eye(4)
    pose[:3, 3] = (0.5, 0.25, 0.0)
    robot.port.transforms.add("map", "base_link", robot.stamp + SECOND // 10, pose)
    robot.look(tour(1)[0])
    np.testing.assert_allclose(robot.node._scene.snapshot().robot_pose, pose, atol=1e-9)


# Settings ------------------------------------------------------------------------------------------------------------


def test_settings_change_at_run_time_or_say_that_they_cannot(robot: Robot) -> None:
    flat = robot.node.config.flat()
    robot.node.set_config(Config.from_flat({**flat, "answer.max_length": 20}))
    response = robot.ask("How many chairs are there in this room?")
    assert response.status == Status.NOT_UNDERSTOOD and "answer.max_length" in response.message
    with pytest.raises(BadInput, match=r"map\.voxel_size"):
        robot.node.set_config(Config.from_flat({**flat, "map.voxel_size": 0.05}))
    with pytest.raises(BadInput, match=r"encoder\.source"):
        robot.node.set_config(Config.from_flat({**flat, "encoder.source": "facebook/dinov2-base"}))


# Diagnostics ---------------------------------------------------------------------------------------------------------


def test_diagnostics_of_a_healthy_node(robot: Robot) -> None:
    robot.look(tour(1)[0])
    statuses = robot.diagnostics()
    level, _, values = statuses["proxy3d: inputs"]
    assert level == 0 and values["state"] == "active"
    assert float(values["rgb/image rate [Hz]"]) > 0 and values["depth/image publishers"] == "1"
    _, _, values = statuses["proxy3d: frames"]
    assert values["frames in map"] == "13" and values["TF failures"] == "0"
    level, _, values = statuses["proxy3d: map"]
    assert level == 0 and values["objects present"] == "3" and float(values["memory [MB]"]) > 10
    assert values["encoder"] == "appearance"
    assert any(key.endswith("p95 [ms]") for key in statuses["proxy3d: timing"][2])


def test_a_silent_topic_is_named_with_what_is_known_about_it(make: Callable[..., Robot]) -> None:
    robot = make(**{"input.silent_after": 0.2})
    robot.start()
    robot.port.connections[Input.DEPTH] = InputStatus("/depth/image", 0, qos="best effort, volatile")
    robot.port.connections[Input.RGB] = InputStatus("/rgb/image", 2, "camera: reliability", "reliable, volatile")
    robot.node.on_rgb(1_500_000_000, CAMERA_FRAME, np.zeros((2, 2, 3), np.uint8))
    time.sleep(0.3)
    level, message, _ = robot.diagnostics()["proxy3d: inputs"]
    assert level == 2
    assert "No message on /depth/image for 0 s: 0 publishers, none so far, subscribed best effort, volatile" in message
    assert "No message on /rgb/image for 0 s: 2 publishers, last stamp 1.500" in message
    assert "incompatible QoS: camera: reliability" in message
    assert any("No message on /depth/image" in text for _, text in robot.port.logged)
    logged = len(robot.port.logged)
    robot.diagnostics()
    assert len(robot.port.logged) == logged, "a complaint is not repeated every second"


def test_drops_are_counted_and_explained(make: Callable[..., Robot]) -> None:
    robot = make(**{"input.tf_timeout": 0.1})
    robot.start()
    robot.look(tour(1)[0], labels=False, tf=False)
    robot.node.on_decode_error(Input.RGB, "encoding 'yuv9' is unknown")
    robot.wait(lambda: robot.node._assembler.drops["no_transform"] == 1)
    level, message, values = robot.diagnostics()["proxy3d: frames"]
    assert level == 1 and "no_transform" in message
    assert values["dropped: no_transform"] == "1" and values["TF failures"] == "1"
    assert values["dropped: decode_error"] == "1" and "yuv9" in values["last decode_error"]


def test_an_inactive_node_does_not_complain(make: Callable[..., Robot]) -> None:
    robot = make(**{"input.silent_after": 0.1})
    time.sleep(0.2)
    level, message, _ = robot.diagnostics()["proxy3d: inputs"]
    assert (level, message) == (0, "inactive")


def test_a_region_drawn_on_the_newest_frame_means_the_object_in_it(robot: Robot) -> None:
    snapshot = robot.node._scene.snapshot()
    table = next(o for o in snapshot.objects if o.label == "table")
    robot.look(tour(12)[0])
    view = robot.node._scene.view()
    full = view.intrinsics.resized(view.width, view.height)
    pixels, depth = project(transform_points(invert(view.pose), table.box.corners), full)
    assert (depth > 0).all()
    left, top = np.clip(pixels.min(axis=0), 0, None).astype(int)
    right, bottom = np.minimum(pixels.max(axis=0), (view.width, view.height)).astype(int)
    drawn = robot.port.new("proxy3d_ros/msg/RegionPrompt", type=1, box_2d=[left, top, right, bottom])
    response = robot.ask("How many chairs are near Region [0]?", regions=[drawn])
    assert response.status == Status.OK, response.message
    response = robot.ask("How tall is Region [0]?", regions=[drawn])
    assert response.status == Status.OK, response.message
    assert abs(response.value - 0.75) < 0.15

    outside = robot.port.new("proxy3d_ros/msg/RegionPrompt", type=1, box_2d=[9000, 0, 9001, 5])
    refused = robot.ask("How tall is Region [0]?", regions=[outside])
    assert refused.status == Status.NOT_UNDERSTOOD and "outside" in refused.message

"""SpatialClient against a server that answers over real DDS with what a node could say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="needs the extra: pip install 'proxy3d_ros[dds]'")

from proxy3d_core.errors import BadInput, ServiceError
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.scene.snapshot import ObjectState
from proxy3d_ros.client import SpatialClient
from proxy3d_ros.dds.names import Names
from proxy3d_ros.dds.participant import Participant
from proxy3d_ros.dds.types import new
from proxy3d_ros.port import Service


def pose(x: float, y: float, z: float, yaw: float):
    return new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=new("geometry_msgs/msg/Quaternion", z=np.sin(yaw / 2), w=np.cos(yaw / 2)),
    )


def box(x: float, y: float, yaw: float):
    size = new("geometry_msgs/msg/Vector3", x=1.0, y=0.5, z=0.8)
    return new("vision_msgs/msg/BoundingBox3D", center=pose(x, y, 0.4, yaw), size=size)


class Room:
    """Knows a sofa that can be approached, a moved chair that cannot, and a mug that is gone."""

    def __init__(self) -> None:
        self.requests: list = []
        self.labels: dict[int, str] = {}

    def ask_spatial(self, request):
        self.requests.append(request)
        if not request.question:
            return new("proxy3d_ros/srv/AskSpatial_Response", status=4, message="The question is empty")
        hypothesis = new("vision_msgs/msg/ObjectHypothesis", class_id="sofa", score=0.75)
        evidence = new(
            "vision_msgs/msg/Detection3D",
            results=[new("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis)],
            bbox=box(1.0, 2.0, 0.5),
            id="7",
        )
        return new(
            "proxy3d_ros/srv/AskSpatial_Response",
            answer="1.25 m",
            has_value=True,
            value=1.25,
            unit="m",
            confidence=0.5,
            objects=new("vision_msgs/msg/Detection3DArray", detections=[evidence]),
            frame_id="map",
            map_epoch=3,
            scene_stamp=new("builtin_interfaces/msg/Time", sec=10, nanosec=500_000_000),
            answerer="geometric",
        )

    def list_objects(self, request):
        def entry(number, label, score, state, **more):
            return new(
                "proxy3d_ros/msg/SceneObject",
                id=number,
                label=self.labels.get(number, label),
                score=score,
                box=box(number, 0.0, 0.25),
                state=state,
                observations=4,
                **more,
            )

        objects = [
            entry(7, "sofa", 0.7, 0, approach=pose(1.0, 1.0, 0.0, np.pi / 2), has_approach=True),
            entry(8, "chair", 0.9, 1),
        ]
        if request.include_gone:
            objects.append(entry(9, "mug", 0.4, 2))
        return new("proxy3d_ros/srv/ListObjects_Response", objects=objects, frame_id="map")

    def label_object(self, request):
        if request.id not in (7, 8):
            return new("proxy3d_ros/srv/LabelObject_Response", message=f"there is no object {request.id}")
        self.labels[request.id] = request.label
        return new("proxy3d_ros/srv/LabelObject_Response", success=True)

    def save_map(self, request):
        if not request.overwrite:
            return new("proxy3d_ros/srv/SaveMap_Response", message=f"{request.path} exists")
        path = f"/maps/{request.path}"
        return new("proxy3d_ros/srv/SaveMap_Response", success=True, path=path, objects=2, proxies=40)

    def load_map(self, request):
        return new("proxy3d_ros/srv/LoadMap_Response", success=True, objects=2, proxies=40, map_epoch=4)

    def reset(self, request):
        return new("std_srvs/srv/Trigger_Response", success=True)

    def set_enabled(self, request):
        return new("std_srvs/srv/SetBool_Response", success=request.data, message="cannot be disabled")


@pytest.fixture(scope="module")
def server():
    """A participant that serves a room below /robot1."""
    room = Room()
    with Participant(Names.parse("proxy3d", "/robot1")) as participant:
        for service in Service:
            participant.serve(service.topic, service.type_name, getattr(room, service.handler))
        yield room


@pytest.fixture(scope="module")
def client(server):
    with SpatialClient(namespace="robot1", middleware="dds") as client:
        yield client


def test_ask(client, server) -> None:
    reply = client.ask(
        "How far is the sofa?", viewpoint=(1.0, 2.0, np.pi / 2), options=("A. near", "B. far"), timeout=3
    )
    assert reply.ok and reply.status is Status.OK
    assert (reply.answer, reply.value, reply.unit, reply.confidence) == ("1.25 m", 1.25, "m", 0.5)
    assert reply.uncertainty is None
    assert (reply.frame_id, reply.map_epoch, reply.scene_stamp, reply.answerer) == ("map", 3, 10.5, "geometric")
    (sofa,) = reply.objects
    assert (sofa.id, sofa.label, sofa.score) == (7, "sofa", 0.75)
    assert sofa.center.tolist() == [1.0, 2.0, 0.4] and sofa.size.tolist() == [1.0, 0.5, 0.8]
    assert sofa.yaw == pytest.approx(0.5)
    request = server.requests[-1]
    assert request.options == ["A. near", "B. far"] and request.timeout == 3
    assert request.viewpoint.header.frame_id == "map"
    at, facing = request.viewpoint.pose.position, request.viewpoint.pose.orientation
    assert (at.x, at.y, at.z) == (1.0, 2.0, 0.0)
    # A quarter turn to the left: (0, 0, sin 45 degrees, cos 45 degrees).
    assert (facing.x, facing.y, facing.z, facing.w) == pytest.approx((0, 0, 0.5**0.5, 0.5**0.5))


def test_without_a_viewpoint_the_robots_own_is_asked_for(client, server) -> None:
    client.ask("What is on my left?")
    assert server.requests[-1].viewpoint.header.frame_id == ""


def test_a_refusal_is_a_reply_not_an_error(client) -> None:
    reply = client.ask("")
    assert not reply.ok and reply.status is Status.NOT_UNDERSTOOD and reply.value is None
    assert reply.message == "The question is empty"


def test_objects(client) -> None:
    sofa, chair = client.objects()
    assert (sofa.id, sofa.label, sofa.state, sofa.observations) == (7, "sofa", ObjectState.PRESENT, 4)
    assert chair.state is ObjectState.MOVED and chair.approach is None
    assert [o.state for o in client.objects(include_gone=True)][2] is ObjectState.GONE


@pytest.mark.parametrize("target", [7, "sofa", " Sofa "])
def test_approach(client, target) -> None:
    goal = client.approach(target)
    assert goal.frame_id == "map" and goal.position.tolist() == [1.0, 1.0, 0.0]
    assert goal.yaw == pytest.approx(np.pi / 2)
    assert goal.message.header.frame_id == "map" and goal.message.pose.position.y == 1.0


def test_approach_says_why_not(client) -> None:
    with pytest.raises(ServiceError, match="no object 'piano'; the node knows: chair, sofa"):
        client.approach("piano")
    with pytest.raises(ServiceError, match="no free floor"):
        client.approach(8)


def test_label(client, server) -> None:
    client.label(8, "armchair")
    assert server.labels[8] == "armchair"
    client.label(8, "chair")
    with pytest.raises(ServiceError, match="there is no object 99"):
        client.label(99, "chair")


def test_save_load_reset(client) -> None:
    with pytest.raises(ServiceError, match="kitchen exists"):
        client.save("kitchen")
    saved = client.save("kitchen", overwrite=True)
    assert (saved.path, saved.objects, saved.proxies) == ("/maps/kitchen", 2, 40)
    assert client.load("kitchen").proxies == 40
    client.reset()
    client.set_enabled(True)
    with pytest.raises(ServiceError, match="cannot be disabled"):
        client.set_enabled(False)


def test_viewpoints_are_checked(client) -> None:
    for bad in ((1.0, 2.0), (0.0, 0.0, float("nan"))):
        with pytest.raises(BadInput, match="viewpoint"):
            client.ask("Where am I?", viewpoint=bad)


def test_a_node_that_is_not_there_is_named() -> None:
    with (
        SpatialClient(namespace="/nowhere", middleware="dds", timeout=0.2) as alone,
        pytest.raises(ServiceError, match=r"no service /nowhere/ask_spatial.*proxy3d run.*ROS_DOMAIN_ID"),
    ):
        alone.ask("Anybody?")

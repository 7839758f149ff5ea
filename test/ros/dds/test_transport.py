"""Topics and services over real DDS."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from proxy3d_core.errors import BadInput
from proxy3d_ros.dds import qos, types
from proxy3d_ros.dds.idl import topic_class
from proxy3d_ros.dds.names import reply_topic, request_topic
from proxy3d_ros.dds.participant import domain_id

SET_BOOL = "std_srvs/srv/SetBool"
STRING = "std_msgs/msg/String"
IMAGE = "sensor_msgs/msg/Image"


def text(value: str):
    return types.new(STRING, data=value)


def test_images_arrive_bit_exact(make_node, wait_until) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    got: list = []
    make_node("listener").subscribe("rgb/image", IMAGE, got.append, qos.SENSOR_DATA)
    camera = make_node("camera").publisher("rgb/image", IMAGE)
    assert wait_until(lambda: camera.subscribers == 1)
    header = types.new("std_msgs/msg/Header", stamp=types.new("builtin_interfaces/msg/Time", sec=7, nanosec=9))
    fields = {"header": header, "height": 480, "width": 640, "encoding": "rgb8", "step": 1920}
    camera.publish(types.new(IMAGE, data=pixels, **fields))
    assert wait_until(lambda: got)
    message = got[0]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (7, 9)
    assert (message.height, message.width, message.encoding, message.step) == (480, 640, "rgb8", 1920)
    assert np.array_equal(message.data.reshape(pixels.shape), pixels)


def test_late_joiners_get_what_is_latched_and_nothing_else(make_node, wait_until) -> None:
    node = make_node("publisher")
    latched, plain = node.publisher("latched", STRING, qos.LATCHED), node.publisher("plain", STRING)
    for value in ("first", "second"):
        latched.publish(text(value))
        plain.publish(text(value))
    kept: list[str] = []
    missed: list[str] = []
    late = make_node("late")
    late.subscribe("latched", STRING, lambda m: kept.append(m.data), qos.LATCHED)
    late.subscribe("plain", STRING, lambda m: missed.append(m.data))
    assert wait_until(lambda: kept and plain.subscribers)
    time.sleep(0.1)
    assert kept == ["second"]
    assert missed == []


def test_what_keeps_a_publisher_from_being_heard_is_said(make_node, wait_until) -> None:
    listener, talker = make_node("listener"), make_node("talker")
    wants_reliable = listener.subscribe("a", STRING, print, qos.DEFAULT)
    wants_latched = listener.subscribe("b", STRING, print, qos.LATCHED)
    wants_string = listener.subscribe("c", STRING, print, qos.SENSOR_DATA)
    alone = listener.subscribe("d", STRING, print, qos.SENSOR_DATA)
    fits = listener.subscribe("e", STRING, print, qos.SENSOR_DATA)
    talker.publisher("a", STRING, qos.SENSOR_DATA)
    talker.publisher("b", STRING, qos.DEFAULT)
    talker.publisher("c", IMAGE, qos.DEFAULT)
    talker.publisher("e", STRING, qos.LATCHED)
    assert wait_until(lambda: fits.connection().publishers == 1)
    assert "best effort" in wants_reliable.connection().mismatch
    assert "volatile" in wants_latched.connection().mismatch
    assert "sensor_msgs/msg/Image" in wants_string.connection().mismatch
    assert (alone.connection().publishers, alone.connection().mismatch) == (0, "")
    assert fits.connection().mismatch == ""
    talker.close()
    assert wait_until(lambda: wants_reliable.connection().publishers == 0)
    assert wants_reliable.connection().mismatch == ""


def test_an_error_in_a_callback_does_not_stop_the_node(make_node, wait_until) -> None:
    got: list[str] = []

    def callback(message) -> None:
        got.append(message.data)
        raise RuntimeError("bad day")

    make_node("listener").subscribe("chat", STRING, callback)
    talker = make_node("talker").publisher("chat", STRING)
    assert wait_until(lambda: talker.subscribers)
    talker.publish(text("one"))
    talker.publish(text("two"))
    assert wait_until(lambda: got == ["one", "two"])


def test_a_service_answers(make_node) -> None:
    def handle(request):
        return types.new(f"{SET_BOOL}_Response", success=request.data, message="Grüße")

    make_node("server", "/robot").serve("~/set", SET_BOOL, handle)
    client = make_node("client").client("/robot/server/set", SET_BOOL)
    assert client.wait_for_service(10)
    for value in (True, False):
        response = client.call(5, data=value)
        assert (response.success, response.message) == (value, "Grüße")


def test_a_hundred_questions_at_once_reach_their_askers_and_do_not_hold_up_images(make_node, wait_until) -> None:
    """Two clients with the same request numbers; the handler is slow, messages keep coming meanwhile."""
    server = make_node("server")
    busy = threading.Event()

    def handle(request):
        busy.set()
        time.sleep(0.02)
        return types.new("proxy3d_ros/srv/AskSpatial_Response", answer=request.question.upper())

    server.serve("ask", "proxy3d_ros/srv/AskSpatial", handle)
    seen: list[float] = []
    server.subscribe("chat", STRING, lambda m: seen.append(time.monotonic()))
    talker = make_node("talker").publisher("chat", STRING)
    clients = [make_node(f"client_{i}").client("ask", "proxy3d_ros/srv/AskSpatial") for i in range(2)]
    assert all(client.wait_for_service(10) for client in clients) and wait_until(lambda: talker.subscribers)
    calls = [(f"q{i}/{c}", clients[c].call_async(question=f"q{i}/{c}")) for i in range(50) for c in range(2)]
    assert busy.wait(5)
    for _ in range(5):
        talker.publish(text("image"))
    assert wait_until(lambda: len(seen) == 5)
    heard_before_the_last_answer = not all(future.done() for _, future in calls)
    for question, future in calls:
        assert future.result(20).answer == question.upper()
    assert heard_before_the_last_answer


def test_who_asks_is_answered_though_discovery_is_late(make_node, wait_until) -> None:
    """The reader of replies appears half a second after the request."""
    make_node("server").serve("set", SET_BOOL, lambda request: types.new(f"{SET_BOOL}_Response", message="fine"))
    node = make_node("client")
    kind = f"{SET_BOOL}_Request"
    writer = node._writer(request_topic("/set"), kind, qos.SERVICES, "clientid=late;")
    assert wait_until(writer.get_matched_subscriptions)
    cdr = types.serialize(kind, types.new(kind, data=True))
    writer.write(topic_class(kind)(b"".join((cdr[:4], bytes(16), cdr[4:]))))
    time.sleep(0.5)
    reader, _ = node._reader(reply_topic("/set"), f"{SET_BOOL}_Response", qos.SERVICES, "clientid=late;")
    assert wait_until(lambda: reader.take(1))


def test_a_handler_that_fails_leaves_the_service_up(make_node) -> None:
    def handle(request):
        if request.data:
            raise RuntimeError("bad day")
        return types.new(f"{SET_BOOL}_Response", message="fine")

    make_node("server").serve("set", SET_BOOL, handle)
    client = make_node("client").client("set", SET_BOOL)
    assert client.wait_for_service(10)
    with pytest.raises(TimeoutError, match="/set did not answer"):
        client.call(0.3, data=True)
    assert client.call(5, data=False).message == "fine"


def test_many_threads_see_at_once_that_a_service_is_there(make_node) -> None:
    """The binding reads policies of endpoints into shared variables: unguarded, one call in forty errs or misses."""
    make_node("server").serve("set", SET_BOOL, lambda request: None)
    client = make_node("client").client("set", SET_BOOL)
    assert client.wait_for_service(5)
    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(lambda _: client.available(), range(1600)))
    assert seen == [True] * 1600


def test_no_service_is_noticed(make_node) -> None:
    assert not make_node("client").client("nobody", SET_BOOL).wait_for_service(0.2)


def test_the_node_is_announced_as_ros_nodes_are(make_node, wait_until) -> None:
    """``ros_discovery_info`` (rmw_dds_common) names the node and exactly its endpoints; they carry their type hash."""
    node = make_node("eyes", "/robot")
    publisher = node.publisher("chat", STRING)
    node.serve("~/set", SET_BOOL, lambda request: None)
    watcher = make_node("watcher")
    infos: list = []
    subscription = watcher.subscribe("unused", STRING, print)
    # The topic has no rt/ prefix, so the reader is made by hand.
    kind = "rmw_dds_common/msg/ParticipantEntitiesInfo"
    reader, _ = watcher._reader("ros_discovery_info", kind, qos.Profile(transient_local=True, depth=None))

    def found() -> bool:
        infos.extend(types.deserialize(kind, sample.cdr) for sample in reader.take(10) if hasattr(sample, "cdr"))
        return any(
            entry.node_name == "eyes" and len(entry.writer_gid_seq) == 2 and len(entry.reader_gid_seq) == 1
            for info in infos
            for entry in info.node_entities_info_seq
        )

    assert wait_until(found)
    last = [e for i in infos for e in i.node_entities_info_seq if e.node_name == "eyes"][-1]
    assert last.node_namespace == "/robot"
    gids = [bytes(gid.data) for gid in last.writer_gid_seq]
    assert publisher._writer.get_guid().bytes in gids
    chat = next(w for w in subscription._node._publications() if w.topic_name == "rt/robot/chat")
    assert chat.key.bytes in gids
    from proxy3d_ros.dds.participant import _user_data

    assert _user_data(chat.qos)["typehash"] == types.type_hash(STRING)


def test_closing_twice_is_fine_and_the_node_is_gone(make_node, wait_until) -> None:
    talker = make_node("talker")
    talker.publisher("chat", STRING)
    listener = make_node("listener").subscribe("chat", STRING, print)
    assert wait_until(lambda: listener.connection().publishers == 1)
    talker.close()
    talker.close()
    assert wait_until(lambda: listener.connection().publishers == 0)


def test_bad_domain_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "many")
    with pytest.raises(BadInput, match="ROS_DOMAIN_ID is 'many'"):
        domain_id()


def test_a_publisher_outlives_its_node_quietly(make_node) -> None:
    """A worker that is still busy while the node is being closed must not fail."""
    node = make_node("talker")
    publisher = node.publisher("chat", STRING)
    node.close()
    assert publisher.publish(text("late"))
    assert publisher.subscribers == 0

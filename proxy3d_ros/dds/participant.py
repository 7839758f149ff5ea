"""A ROS 2 node made of Cyclone DDS entities: publishers, subscriptions, services, clients.

One thread receives everything and calls the subscriptions; a service's requests are handled by a pool of workers, so
that questions never hold up images. ``rmw_cyclonedds`` sees an ordinary node: endpoints carry their type hash, and the
node and its endpoints are announced on ``ros_discovery_info``.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, TypeVar

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
from cyclonedds.core import (
    DDSException,
    GuardCondition,
    InstanceState,
    Policy,
    Qos,
    ReadCondition,
    SampleState,
    ViewState,
    WaitSet,
)
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.internal import InvalidSample
from cyclonedds.pub import DataWriter
from cyclonedds.pub import Publisher as PublisherGroup
from cyclonedds.sub import DataReader, Subscriber
from cyclonedds.topic import Topic
from cyclonedds.util import duration
from rosbags.serde import SerdeError

from proxy3d_core.errors import BadInput, ServiceError
from proxy3d_ros.dds import qos, types
from proxy3d_ros.dds.idl import topic_class
from proxy3d_ros.dds.names import Names, reply_topic, request_topic, ros_type, topic

log = logging.getLogger(__name__)

_HEADER = struct.Struct("<Qq")
_BATCH = 8
_DISCOVERY = 5.0  # s between what discovery tells of one node and another, at most
_domains: dict[int, Domain] = {}
_domains_lock = threading.Lock()
_unpacking = threading.Lock()


def domain_id() -> int:
    """The DDS domain of this process: ``ROS_DOMAIN_ID``, or 0.

    Raises:
        BadInput: it is not a whole number from 0 to 232.
    """
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not text.isdigit() or int(text) > 232:
        raise BadInput(f"ROS_DOMAIN_ID is {text!r}; it must be a whole number from 0 to 232")
    return int(text)


def _open_domain(number: int) -> None:
    """Configure the domain as ``rmw_cyclonedds`` does; ``CYCLONEDDS_URI`` comes last and wins.

    ``ROS_AUTOMATIC_DISCOVERY_RANGE``, ``ROS_STATIC_PEERS`` and ``ROS_LOCALHOST_ONLY`` mean what they mean for other
    nodes. Beyond that only the receive buffer is enlarged: a colour and a depth image arrive at once.
    """
    with _domains_lock:
        if number in _domains:
            return
        reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() or "SUBNET"
        if os.environ.get("ROS_LOCALHOST_ONLY") == "1":
            reach = "LOCALHOST"
        peers = [peer for peer in os.environ.get("ROS_STATIC_PEERS", "").split(";") if peer]
        if reach == "LOCALHOST":
            peers.append("localhost")
        multicast = "" if reach in ("SUBNET", "SYSTEM_DEFAULT") else "<AllowMulticast>false</AllowMulticast>"
        if reach == "OFF":
            discovery = f"<ParticipantIndex>none</ParticipantIndex><Tag>ros_discovery_off_{os.getpid()}</Tag>"
        else:
            listed = "".join(f'<Peer address="{peer}"/>' for peer in peers)
            discovery = (
                "<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>"
                + (f"<Peers>{listed}</Peers>" if peers else "")
            )
        config = (
            f"<CycloneDDS><Domain><General>{multicast}</General><Discovery>{discovery}</Discovery>"
            '<Internal><SocketReceiveBufferSize max="16MiB"/></Internal></Domain></CycloneDDS>'
        )
        user = os.environ.get("CYCLONEDDS_URI", "")
        _domains[number] = Domain(number, f"{config},{user}" if user else config)


@dataclass(frozen=True)
class Connection:
    """How a subscription is connected.

    Attributes:
        publishers: how many publishers have its topic.
        mismatch: what keeps one of them from being received, in words; empty if nothing does.
    """

    publishers: int
    mismatch: str = ""


class Publisher:
    """Publishes one topic. Once its node is closed, it sends nothing and has no subscribers."""

    def __init__(self, node: Participant, name: str, type_name: str, profile: qos.Profile) -> None:
        self.name = name
        self.type_name = type_name
        self._node = node
        self._class = topic_class(type_name)
        self._writer = node._writer(topic(name), type_name, profile)

    def publish(self, message: Any) -> bool:
        """Send a message; false if it is lost because a reliable reader did not keep up for 0.1 s."""
        try:
            self._writer.write(self._class(types.serialize(self.type_name, message)))
        except DDSException as error:
            if error.code != DDSException.DDS_RETCODE_TIMEOUT and not self._node._closing:
                raise
            return self._node._closing
        return True

    @property
    def subscribers(self) -> int:
        """How many listen."""
        try:
            return len(self._writer.get_matched_subscriptions())
        except DDSException:
            if self._node._closing:
                return 0
            raise


class _Receiver(ABC):
    """What the receiving thread serves."""

    reader: Any
    condition: Any

    @abstractmethod
    def take(self) -> None:
        """Take what has arrived."""


class Subscription(_Receiver):
    """Receives one topic; ``callback`` gets each message on the receiving thread."""

    def __init__(
        self,
        node: Participant,
        name: str,
        type_name: str,
        profile: qos.Profile,
        callback: Callable[[Any], None],
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.name = name
        self.type_name = type_name
        self.profile = profile
        self._node = node
        self._callback = callback
        self._on_error = on_error
        self.reader, self.condition = node._reader(topic(name), type_name, profile)

    def take(self) -> None:
        for sample in self.reader.take(_BATCH):
            if isinstance(sample, InvalidSample):
                continue
            try:
                message = types.deserialize(self.type_name, sample.cdr)
            except SerdeError as error:
                if self._on_error is None:
                    log.warning("%s: %s", self.name, error)
                else:
                    self._on_error(error)
                continue
            try:
                self._callback(message)
            except Exception:
                log.exception("error while handling a message on %s", self.name)

    def connection(self) -> Connection:
        """Publishers of the topic, and why one of them is not received."""
        writers = [writer for writer in self._node._publications() if writer.topic_name == topic(self.name)]
        for writer in writers:
            offered = ros_type(writer.type_name)
            if offered != self.type_name:
                return Connection(len(writers), f"it publishes {offered}, {self.type_name} is wanted")
            reason = self.profile.mismatch(writer.qos)
            if reason:
                return Connection(len(writers), reason)
        return Connection(len(writers))


class Server(_Receiver):
    """Serves one service; ``handler`` turns a request into a response on a worker thread."""

    def __init__(self, node: Participant, name: str, type_name: str, handler: Callable[[Any], Any]) -> None:
        self.name = name
        self._request, self._response = f"{type_name}_Request", f"{type_name}_Response"
        self._handler = handler
        self._node = node
        self._class = topic_class(self._response)
        self._ready: set[int] = set()
        mark = f"serviceid={node._next_id()};"
        self.reader, self.condition = node._reader(request_topic(name), self._request, qos.SERVICES, mark)
        self._writer = node._writer(reply_topic(name), self._response, qos.SERVICES, mark)

    def take(self) -> None:
        for sample in self.reader.take(_BATCH):
            if isinstance(sample, InvalidSample) or len(sample.cdr) < 4 + _HEADER.size:
                continue
            self._node._workers.submit(self._answer, sample.cdr, sample.sample_info.publication_handle)

    def _answer(self, cdr: bytes, asker: int) -> None:
        try:
            request = types.deserialize(self._request, cdr[:4] + cdr[4 + _HEADER.size :])
            reply = types.serialize(self._response, self._handler(request))
            self._wait_for_asker(asker)
            self._writer.write(self._class(b"".join((reply[:4], cdr[4 : 4 + _HEADER.size], reply[4:]))))
        except Exception:
            log.exception("error while answering a request to %s", self.name)

    def _wait_for_asker(self, asker: int) -> None:
        """Until the asker's reader of replies is known, or the asker is gone: discovery may bring its request first.

        On a busy machine the reader may come much later than the request; who does not wait for it answers nobody.
        """
        until = time.monotonic() + _DISCOVERY
        while asker not in self._ready and time.monotonic() < until:
            mark = next(iter(_marks(self.reader.get_matched_publication_data, [asker], "clientid")), None)
            if mark is None:
                return
            if mark in _hearing(self._writer, "clientid"):
                self._ready.add(asker)
            else:
                time.sleep(0.01)


class Client(_Receiver):
    """Calls one service."""

    def __init__(self, node: Participant, name: str, type_name: str) -> None:
        self.name = name
        self.type_name = type_name
        self._request, self._response = f"{type_name}_Request", f"{type_name}_Response"
        self._class = topic_class(self._request)
        self._lock = threading.Lock()
        self._sequence = 0
        self._waiting: dict[int, Future[Any]] = {}
        mark = f"clientid={node._next_id()};"
        self.reader, self.condition = node._reader(reply_topic(name), self._response, qos.SERVICES, mark)
        self._writer = node._writer(request_topic(name), self._request, qos.SERVICES, mark)
        self._id = self._writer.get_instance_handle() & 0xFFFFFFFFFFFFFFFF

    def available(self) -> bool:
        """Whether a server is there that both hears us and can answer us."""
        heard = _hearing(self._writer, "serviceid")
        handles = self.reader.get_matched_publications()
        answered = _marks(self.reader.get_matched_publication_data, handles, "serviceid")
        named = {mark for mark in heard if mark}
        return bool(named & set(answered)) if named else bool(heard and answered)

    def wait_for_service(self, timeout: float) -> bool:
        """Wait until ``available``, at most ``timeout`` seconds; returns whether it is."""
        until = time.monotonic() + timeout
        while not self.available():
            if time.monotonic() >= until:
                return False
            time.sleep(0.01)
        return True

    def call_async(self, /, **fields: Any) -> Future[Any]:
        """Send a request made of these fields; the future gets the response."""
        cdr = types.serialize(self._request, types.new(self._request, **fields))
        future: Future[Any] = Future()
        with self._lock:
            self._sequence += 1
            number = self._sequence
            self._waiting[number] = future
        header = _HEADER.pack(self._id, number)
        try:
            self._writer.write(self._class(b"".join((cdr[:4], header, cdr[4:]))))
        except DDSException as error:
            self._forget(future)
            raise ServiceError(f"cannot send a request to {self.name}: {error}") from None
        return future

    def call(self, limit: float, /, **fields: Any) -> Any:
        """Call and wait for the response.

        Raises:
            TimeoutError: no answer within ``limit`` seconds.
            ServiceError: the request cannot be sent, or the response is of another type.
        """
        future = self.call_async(**fields)
        try:
            return future.result(limit)
        except FutureTimeout:
            self._forget(future)
            raise TimeoutError(f"{self.name} did not answer within {limit:g} s") from None

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._waiting = {number: other for number, other in self._waiting.items() if other is not future}

    def take(self) -> None:
        for sample in self.reader.take(_BATCH):
            if isinstance(sample, InvalidSample) or len(sample.cdr) < 4 + _HEADER.size:
                continue
            cdr = sample.cdr
            asker, number = _HEADER.unpack_from(cdr, 4)
            if asker != self._id:
                continue
            with self._lock:
                future = self._waiting.pop(number, None)
            if future is None:
                continue
            try:
                future.set_result(types.deserialize(self._response, cdr[:4] + cdr[4 + _HEADER.size :]))
            except SerdeError as error:
                future.set_exception(ServiceError(f"{self.name} answered with another type of response: {error}"))


_R = TypeVar("_R", bound=_Receiver)


class Participant:
    """One ROS 2 node. Close it, or use it in a ``with`` statement.

    Args:
        names: its name, namespace and remappings; all names given to its methods are resolved with them.
        domain: DDS domain; None = ``ROS_DOMAIN_ID``.
        workers: how many requests are handled at the same time.
    """

    def __init__(self, names: Names, domain: int | None = None, workers: int = 4) -> None:
        self.names = names
        number = domain_id() if domain is None else domain
        _open_domain(number)
        self._participant = DomainParticipant(number, Qos(Policy.Userdata(data=b"enclave=/;")))
        self._publishers = PublisherGroup(self._participant)
        self._subscriber = Subscriber(self._participant)
        self._builtin = BuiltinDataReader(self._participant, BuiltinTopicDcpsPublication)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix=f"{names.node}-service")
        self._lock = threading.Lock()
        self._ids = 0
        self._readers: list[Any] = []
        self._writers: list[Any] = []
        self._receivers: tuple[_Receiver, ...] = ()
        self._closing = False
        self._guard = GuardCondition(self._participant)
        self._waitset = WaitSet(self._participant)
        self._waitset.attach(self._guard)
        self._info = topic_class(_INFO)
        self._announcer = self._make_writer("ros_discovery_info", _INFO, qos.DISCOVERY)
        self._announce()
        self._thread = threading.Thread(target=self._receive, name=f"{names.node}-receive", daemon=True)
        self._thread.start()

    def __enter__(self) -> Participant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publisher(self, name: str, type_name: str, profile: qos.Profile = qos.DEFAULT) -> Publisher:
        """Announce a topic and publish on it."""
        return Publisher(self, self.names.resolve(name), type_name, profile)

    def subscribe(
        self,
        name: str,
        type_name: str,
        callback: Callable[[Any], None],
        profile: qos.Profile = qos.DEFAULT,
        on_error: Callable[[Exception], None] | None = None,
    ) -> Subscription:
        """Receive a topic. ``callback`` must be quick; ``on_error`` gets what cannot be read (else it is logged)."""
        return self._start(Subscription(self, self.names.resolve(name), type_name, profile, callback, on_error))

    def serve(self, name: str, type_name: str, handler: Callable[[Any], Any]) -> Server:
        """Offer a service; ``handler`` runs on worker threads, several at a time."""
        return self._start(Server(self, self.names.resolve(name), type_name, handler))

    def client(self, name: str, type_name: str) -> Client:
        """A client of a service."""
        return self._start(Client(self, self.names.resolve(name), type_name))

    def close(self) -> None:
        """Leave the graph. May be called twice."""
        if self._closing:
            return
        self._closing = True
        self._guard.set(True)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._workers.shutdown(wait=True, cancel_futures=True)
        # The binding deletes an entity with its last reference, or when told so; the second time it does nothing.
        for entity in (*reversed(self._readers + self._writers), self._participant):
            entity.__del__()

    def _receive(self) -> None:
        while not self._closing:
            self._waitset.wait(duration(seconds=1))
            self._guard.set(False)
            for receiver in self._receivers:
                if self._closing:
                    return
                try:
                    receiver.take()
                except DDSException as error:
                    log.error("%s", error)

    def _start(self, receiver: _R) -> _R:
        with self._lock:
            self._receivers += (receiver,)
            self._waitset.attach(receiver.condition)
        self._guard.set(True)
        return receiver

    def _next_id(self) -> str:
        """An id as ``rmw_cyclonedds`` makes them: the participant's GUID prefix and a counter, bytes in hexadecimal."""
        with self._lock:
            self._ids += 1
            raw = self._participant.get_guid().bytes[:12] + struct.pack(">I", self._ids)
        return ".".join(f"{byte:x}" for byte in raw)

    def _reader(self, name: str, type_name: str, profile: qos.Profile, mark: str = "") -> tuple[Any, Any]:
        dds_topic = Topic(self._participant, name, topic_class(type_name))
        reader = DataReader(self._subscriber, dds_topic, profile.policies(_mark(type_name, mark)))
        self._readers.append(reader)
        self._announce()
        return reader, ReadCondition(reader, SampleState.Any | ViewState.Any | InstanceState.Any)

    def _writer(self, name: str, type_name: str, profile: qos.Profile, mark: str = "") -> Any:
        writer = self._make_writer(name, type_name, profile, mark)
        self._writers.append(writer)
        self._announce()
        return writer

    def _make_writer(self, name: str, type_name: str, profile: qos.Profile, mark: str = "") -> Any:
        dds_topic = Topic(self._participant, name, topic_class(type_name))
        return DataWriter(self._publishers, dds_topic, profile.policies(_mark(type_name, mark)))

    def _announce(self) -> None:
        """Say on ``ros_discovery_info`` which endpoints belong to this node, for ``ros2 node list`` and ``info``."""

        def gids(entities: list[Any]) -> list[Any]:
            return [_gid(entity) for entity in entities]

        node = types.new(
            "rmw_dds_common/msg/NodeEntitiesInfo",
            node_namespace=self.names.namespace,
            node_name=self.names.node,
            reader_gid_seq=gids(self._readers),
            writer_gid_seq=gids(self._writers),
        )
        info = types.new(_INFO, gid=_gid(self._participant), node_entities_info_seq=[node])
        self._announcer.write(self._info(types.serialize(_INFO, info)))

    def _publications(self) -> list[Any]:
        """All publishers of the graph that are alive."""
        alive = ReadCondition(self._builtin, SampleState.Any | ViewState.Any | InstanceState.Alive)
        with _unpacking:
            return [found for found in self._builtin.read(10_000, alive) if found.sample_info.valid_data]


_INFO = "rmw_dds_common/msg/ParticipantEntitiesInfo"


def _gid(entity: Any) -> Any:
    return types.new("rmw_dds_common/msg/Gid", data=entity.get_guid().bytes)


def _mark(type_name: str, mark: str) -> str:
    """User data of an endpoint."""
    return f"{mark}typehash={types.type_hash(type_name)};"


def _hearing(writer: Any, key: str) -> list[str | None]:
    """The marks of the readers that hear a writer."""
    return _marks(writer.get_matched_subscription_data, writer.get_matched_subscriptions(), key)


def _marks(read: Callable[[int], Any], handles: list[int], key: str) -> list[str | None]:
    """What matched endpoints say under ``key`` in the ``key=value;`` pairs of their user data, None if nothing.

    One thread at a time: the binding unpacks the policies of an endpoint into variables of a class, not of a call.
    """
    with _unpacking:
        endpoints = [read(handle) for handle in handles]
    return [_user_data(endpoint.qos).get(key) for endpoint in endpoints if endpoint]


def _user_data(policies: Any) -> dict[str, str]:
    """``key=value;`` pairs in an endpoint's user data."""
    policy = policies[Policy.Userdata]
    text = bytes(policy.data).decode(errors="replace") if policy is not None else ""
    return dict(pair.split("=", 1) for pair in text.split(";") if "=" in pair)

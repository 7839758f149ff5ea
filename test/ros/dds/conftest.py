"""Real DDS on this machine: nodes that are closed after the test, and patience for discovery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("cyclonedds", reason="needs the extra: pip install 'proxy3d_ros[dds]'")

from proxy3d_ros.dds.names import Names
from proxy3d_ros.dds.participant import Participant

MakeNode = Callable[..., Participant]


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    """Makes nodes: ``make_node("name", namespace="/", remaps=())``."""
    made: list[Participant] = []

    def make(name: str, namespace: str = "/", remaps: tuple[str, ...] = ()) -> Participant:
        made.append(Participant(Names.parse(name, namespace, remaps)))
        return made[-1]

    yield make
    for node in made:
        node.close()


@pytest.fixture
def wait_until() -> Callable[..., bool]:
    """``wait_until(condition, timeout=10)`` polls until the condition holds; returns whether it does in time."""

    def wait(condition: Callable[[], object], timeout: float = 10.0) -> bool:
        until = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    return wait

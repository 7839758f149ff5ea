"""Shared fixtures: where the recorded data is, and DDS traffic that stays on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before anything creates a DDS participant: this machine only, and a domain of its own for every run and its workers.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(60 + (os.getppid() + int(_WORKER[2:]) if _WORKER else os.getpid()) % 40)


def find_data() -> Path | None:
    """The folder of recorded data, or None."""
    given = os.environ.get("PROXY3D_TEST_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of recorded sequences that are not part of the project; the test is skipped where it is absent."""
    folder = find_data()
    if folder is None:
        pytest.skip("recorded data is not here; point PROXY3D_TEST_DATA at it")
    return folder


@pytest.fixture(scope="session")
def taught_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny proxy VLM that knows ``taught_vlm.LESSONS`` by heart; it reads the built-in features."""
    from taught_vlm import LESSONS, teach

    return teach(tmp_path_factory.mktemp("taught"), LESSONS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only wait for each other's threads."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

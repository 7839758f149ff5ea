"""Where the recorded data is, for tests marked ``data``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of benchmark files that are not part of the project; the test is skipped where it is absent."""
    given = os.environ.get("PROXY3D_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("benchmark data is not here; point PROXY3D_TEST_DATA at it")
    return folder

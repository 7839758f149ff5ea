"""A checkpoint of every kind of model."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of a tiny random model by kind."""
    from tiny_models import KINDS, save  # needs torch, which some of the tests here do without

    root = tmp_path_factory.mktemp("models")
    return {kind: save(kind, root / kind) for kind in KINDS}

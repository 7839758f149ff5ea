"""Learned models by transformers: their files and how they are loaded. torch is imported only by ``models.loading``."""

from __future__ import annotations

import importlib.util

from proxy3d_core.errors import MissingExtra


def require_models(what: str) -> None:
    """Raises MissingExtra where torch or transformers is missing; its message begins with ``what``."""
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{what} needs {' and '.join(missing)}; install: pip install 'proxy3d_ros[models]' "
            "(beside a ROS 2 workspace only these packages: docs/models.md)"
        )

"""Where the installed data files are: message definitions, parameter presets, launch files, RViz views."""

from __future__ import annotations

import os
import site
import sysconfig
from functools import cache
from pathlib import Path

PACKAGE = "proxy3d_ros"


@cache
def share_dir() -> Path:
    """The folder that holds ``msg/``, ``srv/``, ``config/``, ``launch/`` and ``rviz/``.

    Looked for in this order: the checkout that this file belongs to, ``share/proxy3d_ros`` of this Python (a wheel),
    of the user's Python, and of every ROS 2 workspace that is sourced (``AMENT_PREFIX_PATH``).

    Raises:
        FileNotFoundError: none of them has the files; the message lists where they were looked for.
    """
    places = [
        Path(__file__).resolve().parent.parent,
        Path(sysconfig.get_path("data")) / "share" / PACKAGE,
        Path(site.getuserbase()) / "share" / PACKAGE,
    ]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "")
    places += [Path(prefix) / "share" / PACKAGE for prefix in prefixes.split(os.pathsep) if prefix]
    for place in places:
        if (place / "srv" / "AskSpatial.srv").is_file():
            return place
    looked = ", ".join(map(str, places))
    raise FileNotFoundError(
        f"the message definitions of {PACKAGE} are not installed (looked in {looked}); reinstall it"
    )

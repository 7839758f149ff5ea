"""Data files of the pip package; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import setup

SHARED = ("msg", "srv", "config", "launch", "rviz")
"""Folders that ROS 2 tools and the DDS adapter look for under share/proxy3d_ros."""

root = Path(__file__).parent


def files(folder: str) -> list[str]:
    """Paths of the files of one folder, relative to the project, as setuptools wants them."""
    return sorted(str(path.relative_to(root)) for path in (root / folder).glob("*") if path.is_file())


setup(data_files=[(f"share/proxy3d_ros/{folder}", files(folder)) for folder in SHARED])

"""Which format a path holds, told by its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from proxy3d_core.errors import SequenceError
from proxy3d_core.sequences import (
    condition,
    image_pair,
    numbered,
    point_maps,
    scannet,
    seven_scenes,
    sun3d,
    trajectory_log,
    tum,
    video,
)
from proxy3d_core.sequences.base import Sequence


class _Format(NamedTuple):
    name: str
    looks_like: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path], Sequence]


# A folder can hold the marks of two formats (poses.txt beside trajectory.log): the more particular mark comes first.
_FORMATS = [
    _Format(m.FORMAT, m.LOOKS_LIKE, m.recognise, m.read)
    for m in (seven_scenes, tum, condition, point_maps, scannet, trajectory_log, sun3d, numbered, video, image_pair)
]


def open_sequence(path: str | Path, topics: Mapping[str, str] | None = None, fixed_frame: str = "") -> Sequence:
    """Open a recorded sequence; its format is told by its content.

    Args:
        path: a folder or a file.
        topics: for bags: topic by role (``rgb``, ``depth``, ``camera_info``, ``labels``, ``label_info``,
            ``detections``) where the guess by type and name is wrong.
        fixed_frame: for bags: the frame in which poses are wanted; empty = ``map``, else ``odom``, else TF's root.

    Raises:
        SequenceError: nothing there, no known format, or an incomplete sequence; the message says what was looked for.
    """
    # rosbags takes a while to import, and most sequences are folders.
    from proxy3d_core.sequences import rosbag

    path = Path(path).expanduser()
    if not path.exists():
        raise SequenceError(f"there is no file or folder {path}")
    if rosbag.recognise(path):
        return rosbag.RosbagSequence(path, topics or {}, fixed_frame)
    if topics or fixed_frame:
        raise SequenceError(f"topics and frames can be chosen for bags only; {path} is none")
    found = _recognise(path)
    if found is None:
        raise SequenceError(_unknown(path))
    sequence = found.read(path)
    if len(sequence) == 0:
        raise SequenceError(f"{path} looks like {found.name} but holds no frames; looked for {found.looks_like}")
    return sequence


def _recognise(path: Path) -> _Format | None:
    return next((f for f in _FORMATS if f.recognise(path)), None)


def _unknown(path: Path) -> str:
    if path.is_dir():
        inside = sorted(p for p in path.iterdir() if p.is_dir() and _recognise(p))
        if inside:
            return f"{path} is no sequence but holds some; name one of them: {', '.join(str(p) for p in inside[:10])}"
        if not any(path.iterdir()):
            return f"{path} is an empty folder"
    known = "; ".join(f"{f.name} ({f.looks_like})" for f in _FORMATS)
    return f"{path} is no sequence of a known format. Looked for: rosbag2 (metadata.yaml, .mcap, .db3); {known}"

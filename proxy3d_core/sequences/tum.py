"""TUM RGB-D: ``rgb.txt``, ``depth.txt`` (stamp file), ``groundtruth.txt`` (stamp tx ty tz qx qy qz qw), depth/5000.

Sturm et al., IROS 2012; https://cvg.cit.tum.de/data/datasets/rgbd-dataset.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

import numpy as np

from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.geometry.transform_buffer import interpolate
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_core.sequences.files import Array, Calibration, DepthEncoding, find_calibration, read_label_names
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles

FORMAT = "TUM RGB-D"
LOOKS_LIKE = "rgb.txt, depth.txt, groundtruth.txt"
MAX_GAP = 0.02
"""Colour and depth further apart in time belong to different frames [s] (the data set's ``associate.py``)."""
MAX_POSE_GAP = 0.1
"""Between poses further apart the camera was lost [s]."""

# Colour camera of each robot and the driver's default, as the data set's page lists them: fx, fy, cx, cy.
_CAMERAS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
    "": (525.0, 525.0, 319.5, 239.5),
}


def recognise(folder: Path) -> bool:
    """True if the folder holds a sequence of this format."""
    images = (folder / "depth.txt").is_file() or (folder / "rgb.txt").is_file()
    return images and (folder / "groundtruth.txt").is_file()


def read(folder: Path) -> FolderSequence:
    """The sequence in a folder: one frame per depth image, or per colour image without them. Raises SequenceError."""
    color = _read_list(folder / "rgb.txt") if (folder / "rgb.txt").is_file() else []
    labels = _read_list(folder / "labels.txt") if (folder / "labels.txt").is_file() else []
    stamps, poses = _read_poses(folder / "groundtruth.txt")
    depth = _read_list(folder / "depth.txt") if (folder / "depth.txt").is_file() else []
    files = [
        FrameFiles(
            stamp,
            _nearest(color, stamp),
            path if depth else None,
            _pose_at(stamps, poses, stamp),
            _nearest(labels, stamp),
        )
        for stamp, path in depth or color
    ]
    name = folder.resolve().name
    fx, fy, cx, cy = next(k for camera, k in _CAMERAS.items() if camera in name)
    default = Calibration(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), (640, 480))
    calibration = find_calibration(folder) or default
    return FolderSequence(name, FORMAT, files, calibration, DepthEncoding.TUM, read_label_names(folder))


def _rows(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SequenceError(f"cannot read {path}: {error}") from None
    return [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _stamp_ns(text: str, path: Path) -> int:
    """Seconds as text to nanoseconds without the rounding of a float (17 digits)."""
    whole, _, fraction = text.partition(".")
    try:
        return int(whole) * 1_000_000_000 + int((fraction + "000000000")[:9])
    except ValueError:
        raise SequenceError(f"{path} has a line that does not begin with a stamp in seconds: {text!r}") from None


def _read_list(path: Path) -> list[tuple[int, Path]]:
    rows = _rows(path)
    if any(len(row) < 2 for row in rows):
        raise SequenceError(f"{path} must hold a stamp and a file name per line")
    return sorted((_stamp_ns(row[0], path), path.parent / row[1]) for row in rows)


def _nearest(files: list[tuple[int, Path]], stamp: int) -> Path | None:
    at = bisect_left(files, (stamp, Path()))
    near = min(files[max(0, at - 1) : at + 1], key=lambda entry: abs(entry[0] - stamp), default=None)
    return near[1] if near and abs(near[0] - stamp) <= MAX_GAP * 1e9 else None


def _read_poses(path: Path) -> tuple[list[int], list[Array]]:
    entries = []
    for row in _rows(path):
        try:
            if len(row) < 8:
                raise BadInput("fewer than 8 numbers")
            numbers = [float(x) for x in row[1:8]]
            entries.append((_stamp_ns(row[0], path), matrix_from_quaternion(numbers[:3], numbers[3:])))
        except (BadInput, ValueError) as error:
            raise SequenceError(f"{path}, line {' '.join(row)!r}: {error}") from None
    entries.sort(key=lambda entry: entry[0])
    return [entry[0] for entry in entries], [entry[1] for entry in entries]


def _pose_at(stamps: list[int], poses: list[Array], stamp: int) -> Array | None:
    """Pose at a stamp, interpolated; None outside the track and in its gaps."""
    at = bisect_left(stamps, stamp)
    if at < len(stamps) and stamps[at] == stamp:
        return poses[at]
    if at in (0, len(stamps)):
        edge = stamps[0 if at == 0 else -1] if stamps else None
        near = edge is not None and abs(edge - stamp) <= MAX_GAP * 1e9
        return poses[0 if at == 0 else -1] if near else None
    gap = stamps[at] - stamps[at - 1]
    if gap > MAX_POSE_GAP * 1e9:
        return None
    return interpolate(poses[at - 1], poses[at], (stamp - stamps[at - 1]) / gap)

"""Numbered folders: ``images/``, ``depth/``, ``K.txt``, ``poses.txt``, optional ``labels/`` + ``labels.json``.

``poses.txt`` has one camera-to-world pose per line: 12 or 16 numbers of the matrix, row by row, or 7 (tx ty tz qx qy qz
qw). Depth is 16-bit millimetres or floating-point metres (``.npy``, ``.tiff``); without it a
depth model is needed. ``timestamps.txt`` is optional and has
one stamp in seconds per line.
slambook2's ``color/``, ``depth/*.pgm``, ``pose.txt`` is the same with other names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.geometry.transforms import matrix_from_quaternion
from proxy3d_core.sequences.files import (
    DEPTH_SUFFIXES,
    IMAGE_SUFFIXES,
    Array,
    Calibration,
    find_calibration,
    guess_depth_encoding,
    need_calibration,
    numbered_files,
    pose_from_numbers,
    read_label_names,
    read_numbers,
    subfolder,
)
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles, stamp_of_number

FORMAT = "numbered folders"
LOOKS_LIKE = "images/, depth/, K.txt, poses.txt"
# The Kinect of the book's fifth chapter, which states it in the text only.
_SLAMBOOK = Calibration(np.array([[518.0, 0, 325.5], [0, 519, 253.5], [0, 0, 1]]), (640, 480))

_COLOR_FOLDERS = ("images", "image", "color", "rgb")


def _poses_file(folder: Path) -> Path | None:
    return next((folder / name for name in ("poses.txt", "pose.txt") if (folder / name).is_file()), None)


def recognise(folder: Path) -> bool:
    """True if the folder holds a sequence of this format."""
    return _poses_file(folder) is not None and subfolder(folder, "depth", *_COLOR_FOLDERS) is not None


def read(folder: Path) -> FolderSequence:
    """The sequence in a folder. Raises SequenceError."""
    path = _poses_file(folder)
    assert path is not None
    poses = _read_poses(path)
    depth = numbered_files(folder / "depth", DEPTH_SUFFIXES)
    color_folder = subfolder(folder, *_COLOR_FOLDERS)
    color = numbered_files(color_folder, IMAGE_SUFFIXES) if color_folder else {}
    labels = numbered_files(folder / "labels", (".png",))
    numbers = sorted({*depth, *color})
    if len(poses) == len(numbers):
        pose_of = dict(zip(numbers, poses, strict=True))
    elif numbers and numbers[-1] < len(poses):
        pose_of = dict(enumerate(poses))
    else:
        raise SequenceError(f"{path} has {len(poses)} poses but {folder} has {len(numbers)} frames; one line per frame")
    stamps = _read_stamps(folder, numbers)
    files = [FrameFiles(stamps[n], color.get(n), depth.get(n), pose_of.get(n), labels.get(n)) for n in numbers]
    pgm = any(p.suffix == ".pgm" for p in depth.values())
    calibration = (
        (find_calibration(folder) or _SLAMBOOK) if pgm and path.name == "pose.txt" else need_calibration(folder)
    )
    encoding = guess_depth_encoding(list(depth.values())[:5])
    return FolderSequence(folder.resolve().name, FORMAT, files, calibration, encoding, read_label_names(folder))


def _read_poses(path: Path) -> list[Array]:
    poses = []
    for number, row in enumerate(read_numbers(path), start=1):
        try:
            if len(row) == 7:
                poses.append(_quaternion_pose(row))
            else:
                poses.append(pose_from_numbers(row, f"line {number} of {path}"))
        except BadInput as error:
            raise SequenceError(str(error)) from None
    return poses


def _quaternion_pose(row: list[float]) -> Array:
    """A lost pose (NaN, or a quaternion without length) stays in its place, as NaN."""
    try:
        return matrix_from_quaternion(row[:3], row[3:])
    except BadInput:
        return np.full((4, 4), np.nan)


def _read_stamps(folder: Path, numbers: list[int]) -> dict[int, int]:
    path = next((folder / n for n in ("timestamps.txt", "times.txt") if (folder / n).is_file()), None)
    if path is None:
        return {n: stamp_of_number(n) for n in numbers}
    seconds = [row[-1] for row in read_numbers(path)]
    if len(seconds) != len(numbers) or not np.isfinite(seconds).all():
        raise SequenceError(
            f"{path} has {len(seconds)} stamps but {folder} has {len(numbers)} frames; one line per frame"
        )
    return {n: round(s * 1e9) for n, s in zip(numbers, seconds, strict=True)}

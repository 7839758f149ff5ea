"""Open3D, Redwood and ICL: ``image|color|rgb/``, ``depth/`` (mm), ``trajectory.log``.

The log has five lines per frame: three numbers, the first being the frame's, and the 4x4 camera-to-world matrix.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.sequences.files import (
    DEPTH_SUFFIXES,
    IMAGE_SUFFIXES,
    Array,
    Calibration,
    find_calibration,
    guess_depth_encoding,
    numbered_files,
    pose_from_numbers,
    read_label_names,
    read_numbers,
    subfolder,
)
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles, stamp_of_number

FORMAT = "Open3D"
LOOKS_LIKE = "image/ or color/, depth/, trajectory.log"
PRIMESENSE = Calibration(np.array([[525.0, 0, 319.5], [0, 525, 239.5], [0, 0, 1]]), (640, 480))
"""Open3D's default camera, which its own data sets were made with."""


def recognise(folder: Path) -> bool:
    """True if the folder holds a sequence of this format."""
    return (folder / "trajectory.log").is_file() and (folder / "depth").is_dir()


def read_log(path: Path) -> dict[int, Array]:
    """Poses of a log file by frame number (the first number of each block's first line).

    Raises:
        SequenceError: not such a file.
    """
    rows = [row for row in read_numbers(path) if row]
    poses = {}
    for at in range(0, len(rows), 5):
        block = rows[at : at + 5]
        try:
            if len(block[0]) < 1 or len(block) < 5:
                raise BadInput("the last block is cut off")
            poses[int(block[0][0])] = pose_from_numbers([x for row in block[1:] for x in row], str(path))
        except (BadInput, ValueError) as error:
            raise SequenceError(f"{path} is no trajectory log ({error}); each frame takes 5 lines") from None
    return poses


def read(folder: Path) -> FolderSequence:
    """The sequence in a folder. Raises SequenceError."""
    depth = numbered_files(folder / "depth", DEPTH_SUFFIXES)
    color_folder = subfolder(folder, "image", "images", "color", "rgb")
    color = list(numbered_files(color_folder, IMAGE_SUFFIXES).values()) if color_folder else []
    poses = read_log(folder / "trajectory.log")
    if color and len(color) != len(depth):
        raise SequenceError(f"{folder} has {len(color)} colour and {len(depth)} depth images; they must pair up")
    labels = numbered_files(folder / "labels", (".png",))
    files = [
        FrameFiles(
            _stamp(path, number),
            color[i] if color else None,
            path,
            # Frames of the log count from 0 in the order of the images, whatever the images are called.
            poses.get(i),
            labels.get(number),
        )
        for i, (number, path) in enumerate(depth.items())
    ]
    return FolderSequence(
        folder.resolve().name,
        FORMAT,
        files,
        find_calibration(folder) or PRIMESENSE,
        guess_depth_encoding(list(depth.values())[:5]),
        read_label_names(folder),
    )


def _stamp(path: Path, number: int) -> int:
    """Redwood and SUN3D name files NNNNNNN-TTTTTTTTTTTT, the latter being microseconds."""
    match = re.fullmatch(r"\d{7}-(\d{12})", path.stem)
    return int(match[1]) * 1000 if match else stamp_of_number(number)

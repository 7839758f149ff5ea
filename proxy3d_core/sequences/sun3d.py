"""SUN3D: ``image/``, ``depth/`` (rotated bits), ``extrinsics/*.txt``, ``intrinsics.txt``.

Xiao, Owens, Torralba, ICCV 2013. The extrinsics are one 3x4 camera-to-world matrix per frame. A single SUN RGB-D frame
has the same folders; its extrinsics turn the camera upright.
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
    DepthEncoding,
    need_calibration,
    read_label_names,
    read_numbers,
    subfolder,
)
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles, stamp_of_number

FORMAT = "SUN3D"
LOOKS_LIKE = "image/, depth/, extrinsics/, intrinsics.txt"


def recognise(folder: Path) -> bool:
    """True if the folder holds a sequence of this format."""
    return all((folder / name).is_dir() for name in ("image", "depth", "extrinsics"))


def read(folder: Path) -> FolderSequence:
    """One frame per colour image, with the depth image nearest in time. Raises SequenceError."""
    color = _stamped(folder / "image", IMAGE_SUFFIXES)
    depth_folder = subfolder(folder, "depth")
    depth = _stamped(depth_folder, DEPTH_SUFFIXES) if depth_folder else []
    if not color or not depth:
        raise SequenceError(f"{folder} has no images in image/ or depth/")
    poses = _read_extrinsics(folder / "extrinsics", len(color))
    depth_stamps = np.array([stamp for stamp, _ in depth])
    files = [
        FrameFiles(stamp, path, depth[int(np.argmin(np.abs(depth_stamps - stamp)))][1], pose)
        for (stamp, path), pose in zip(color, poses, strict=True)
    ]
    name = folder.resolve().name
    return FolderSequence(name, FORMAT, files, need_calibration(folder), DepthEncoding.SUN, read_label_names(folder))


def _stamped(folder: Path, suffixes: tuple[str, ...]) -> list[tuple[int, Path]]:
    """Files by stamp: NNNNNNN-TTTTTTTTTTTT (microseconds), else by number."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes:
            continue
        match = re.fullmatch(r"\d{7}-(\d{12})", path.stem)
        number = re.search(r"\d+", path.stem)
        found.append((int(match[1]) * 1000 if match else stamp_of_number(int(number[0])) if number else 0, path))
    return sorted(found)


def _read_extrinsics(folder: Path, count: int) -> list[Array | None]:
    """Three rows of 4 (or 3) numbers per frame, from the newest file: they are named by date."""
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise SequenceError(f"{folder} holds no .txt file of poses")
    try:
        rows = read_numbers(paths[-1])
    except BadInput as error:
        raise SequenceError(str(error)) from None
    if len(rows) < 3 or any(len(row) not in (3, 4) for row in rows):
        raise SequenceError(f"{paths[-1]} must hold a 3x4 matrix per frame")
    poses: list[Array | None] = []
    for at in range(0, len(rows) - 2, 3):
        pose = np.eye(4)
        block = np.array(rows[at : at + 3])
        pose[:3, : block.shape[1]] = block
        poses.append(pose)
    return (poses + [None] * count)[:count]

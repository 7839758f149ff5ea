"""Pi3's conditioned input: ``rgb/`` + ``condition.npz``.

The arrays: intrinsics (N, 3, 3), poses (N, 4, 4) camera to world, depths (N, H, W) metres. Github: yyfz/Pi3.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from proxy3d_core.encodings import depth_to_metres
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.sequences.files import IMAGE_SUFFIXES, Calibration, numbered_files, read_label_names, subfolder
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles, stamp_of_number

FORMAT = "Pi3 condition"
LOOKS_LIKE = "rgb/, condition.npz"


def recognise(folder: Path) -> bool:
    """True if the folder holds a sequence of this format."""
    return (folder / "condition.npz").is_file()


def read(folder: Path) -> FolderSequence:
    """The sequence in a folder. Raises SequenceError."""
    path = folder / "condition.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            intrinsics, poses, depths = (np.asarray(arrays[key]) for key in ("intrinsics", "poses", "depths"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SequenceError(f"{path} must hold the arrays intrinsics, poses and depths ({error})") from None
    count = len(depths)
    if intrinsics.shape != (count, 3, 3) or poses.shape != (count, 4, 4) or depths.ndim != 3:
        raise SequenceError(
            f"{path}: intrinsics {intrinsics.shape}, poses {poses.shape}, depths {depths.shape} do not belong together"
        )
    color_folder = subfolder(folder, "rgb", "images", "color")
    color = list(numbered_files(color_folder, IMAGE_SUFFIXES).items()) if color_folder else []
    if color and len(color) != count:
        raise SequenceError(f"{folder} has {len(color)} images but {path.name} holds {count} frames")
    labels = numbered_files(folder / "labels", (".png",))
    files = []
    for i in range(count):
        number, image = color[i] if color else (i, None)
        try:
            metres = depth_to_metres(depths[i], "32FC1")
            calibration = Calibration(intrinsics[i].astype(np.float64))
            calibration.for_images(metres.shape, None)
        except BadInput as error:
            raise SequenceError(f"{path}, frame {i}: {error}") from None
        pose = poses[i].astype(np.float64)
        files.append(FrameFiles(stamp_of_number(number), image, metres, pose, labels.get(number), calibration))
    first = files[0].calibration if files else None
    if first is None:
        raise SequenceError(f"{path} holds no frames")
    return FolderSequence(folder.resolve().name, FORMAT, files, first, label_names=read_label_names(folder))

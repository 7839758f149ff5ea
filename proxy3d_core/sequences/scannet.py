"""Export of ScanNet's SensReader: ``color/``, ``depth/`` (mm), ``pose/``, ``intrinsic/``.

Dai et al., CVPR 2017. Poses are camera to world, -inf where the camera was lost. Colour and depth are of different
cameras and sizes; depth is registered to colour. Label images (``label-filt/``, ``label/`` or ``labels/``) are used if
``labels.json`` names their ids.
"""

from __future__ import annotations

from pathlib import Path

from proxy3d_core.errors import SequenceError
from proxy3d_core.sequences.files import (
    DEPTH_SUFFIXES,
    IMAGE_SUFFIXES,
    numbered_files,
    read_calibration,
    read_label_names,
    subfolder,
)
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles, stamp_of_number

FORMAT = "ScanNet"
LOOKS_LIKE = "color/, depth/, pose/, intrinsic/"


def recognise(folder: Path) -> bool:
    """True if the folder holds a sequence of this format."""
    return all((folder / name).is_dir() for name in ("depth", "pose", "intrinsic"))


def read(folder: Path) -> FolderSequence:
    """The sequence in a folder. Raises SequenceError."""
    color = numbered_files(folder / "color", IMAGE_SUFFIXES)
    poses = numbered_files(folder / "pose", (".txt",))
    names = read_label_names(folder)
    label_folder = subfolder(folder, "labels", "label-filt", "label") if names else None
    labels = numbered_files(label_folder, (".png",)) if label_folder else {}
    files = [
        FrameFiles(stamp_of_number(n), color.get(n), path, poses.get(n), labels.get(n))
        for n, path in numbered_files(folder / "depth", DEPTH_SUFFIXES).items()
    ]
    depth_k, color_k = folder / "intrinsic" / "intrinsic_depth.txt", folder / "intrinsic" / "intrinsic_color.txt"
    if not (depth_k.is_file() or color_k.is_file()):
        raise SequenceError(f"{folder} has neither {depth_k.name} nor {color_k.name} in intrinsic/")
    return FolderSequence(
        folder.resolve().name,
        FORMAT,
        files,
        read_calibration(depth_k if depth_k.is_file() else color_k),
        label_names=names,
        color_calibration=read_calibration(color_k) if depth_k.is_file() and color_k.is_file() else None,
    )

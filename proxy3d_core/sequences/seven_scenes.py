"""7-Scenes: ``frame-NNNNNN.color.png|jpg``, ``.depth.png`` (mm), ``.pose.txt``, optional ``.labels.png``.

Microsoft 7-Scenes (Shotton et al., CVPR 2013). The original has no intrinsics file; its camera is 585 585 320 240.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from proxy3d_core.sequences.files import Calibration, find_calibration, guess_depth_encoding, read_label_names
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles, stamp_of_number

FORMAT = "7-Scenes"
LOOKS_LIKE = "frame-NNNNNN.color.png|jpg, frame-NNNNNN.depth.png, frame-NNNNNN.pose.txt"
_DEFAULT = Calibration(np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]]), (640, 480))


def recognise(folder: Path) -> bool:
    """True if the folder holds frames of this format."""
    return any(folder.glob("frame-*.depth.png")) or any(folder.glob("frame-*.pose.txt"))


def read(folder: Path) -> FolderSequence:
    """The sequence in a folder. Raises SequenceError."""
    parts: dict[int, dict[str, Path]] = {}
    for path in folder.glob("frame-*.*"):
        match = re.fullmatch(r"frame-(\d+)\.(color|depth|pose|labels)\.(png|jpg|jpeg|txt)", path.name)
        if match:
            parts.setdefault(int(match[1]), {})[match[2]] = path
    files = [
        FrameFiles(stamp_of_number(n), p.get("color"), p.get("depth"), p.get("pose"), p.get("labels"))
        for n, p in sorted(parts.items())
    ]
    # 7-Scenes proper keeps the calibration, if any, beside the seq-XX folders.
    calibration = find_calibration(folder) or find_calibration(folder.parent) or _DEFAULT
    return FolderSequence(
        folder.resolve().name,
        FORMAT,
        files,
        calibration,
        guess_depth_encoding(f.depth for f in files[:5] if isinstance(f.depth, Path)),
        read_label_names(folder),
    )

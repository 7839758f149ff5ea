"""One RGB-D picture, ``NAME_color.*`` + ``NAME_depth.*``: a sequence of one frame whose camera is the world's origin.

The depth encoding is told from the name where it begins with TUM, SUN or NYU, else from the content.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from proxy3d_core.errors import SequenceError
from proxy3d_core.sequences.files import (
    DEPTH_SUFFIXES,
    IMAGE_SUFFIXES,
    DepthEncoding,
    find_calibration,
    guess_depth_encoding,
)
from proxy3d_core.sequences.folder import FolderSequence, FrameFiles
from proxy3d_core.sequences.trajectory_log import PRIMESENSE

FORMAT = "RGB-D picture"
LOOKS_LIKE = "NAME_color.png|jpg|ppm + NAME_depth.png|pgm"


def _pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    color = {p.stem.removesuffix("_color"): p for p in folder.glob("*_color.*") if p.suffix.lower() in IMAGE_SUFFIXES}
    depth = {p.stem.removesuffix("_depth"): p for p in folder.glob("*_depth.*") if p.suffix.lower() in DEPTH_SUFFIXES}
    return {name: (color[name], depth[name]) for name in sorted(color.keys() & depth.keys())}


def recognise(path: Path) -> bool:
    """True for either image of a pair, and for a folder with pairs."""
    return bool(_pairs(path)) if path.is_dir() else path.stem.endswith(("_color", "_depth"))


def read(path: Path) -> FolderSequence:
    """The pair at a path. Raises SequenceError if there is none, or several without a pose between them."""
    folder = path if path.is_dir() else path.parent
    pairs = _pairs(folder)
    if path.is_file():
        pairs = {name: pair for name, pair in pairs.items() if path in pair}
    if not pairs:
        raise SequenceError(f"{path} is one image without its pair; looked for {LOOKS_LIKE}")
    if len(pairs) > 1:
        names = ", ".join(color.name for color, _ in pairs.values())
        raise SequenceError(f"{folder} holds single pictures without poses; name one of them: {names}")
    ((name, (color, depth)),) = pairs.items()
    encoding = next(
        (e for e in (DepthEncoding.TUM, DepthEncoding.SUN, DepthEncoding.NYU) if name.upper().startswith(e.name)), None
    )
    return FolderSequence(
        name,
        FORMAT,
        [FrameFiles(0, color, depth, np.eye(4))],
        find_calibration(folder) or PRIMESENSE,
        encoding or guess_depth_encoding([depth]),
        fixed_frame="camera",
    )

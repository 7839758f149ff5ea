"""Reading the single files of recorded sequences: images, depth encodings, poses, calibrations, label names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.encodings import depth_to_metres
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.geometry.camera import Intrinsics

Array = NDArray[np.float64]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp")
DEPTH_SUFFIXES = (".png", ".pgm", ".tif", ".tiff", ".npy")
INTRINSICS_NAMES = (
    "camera-intrinsics.txt",
    "camera_intrinsics.txt",
    "K.txt",
    "intrinsics.txt",
    "intrinsic.txt",
    "intrinsic.json",
    "intrinsics.json",
    "camera_intrinsic.json",
    "camera_intrinsics.json",
    "camera.json",
)


class DepthEncoding(Enum):
    """What the numbers of a 16-bit depth image mean."""

    MILLIMETRES = "millimetres"
    TUM = "1/5000 m"
    SUN = "millimetres, bits rotated left by 3"
    NYU = "Kinect disparity, bytes swapped"


def imread(path: Path, flags: int) -> NDArray[Any]:
    """Decode an image file.

    ``cv2.imread`` returns half a picture for a truncated JPEG; decoding from memory tells it.

    Raises:
        BadInput: missing, truncated or not an image.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
        image = cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise BadInput(f"cannot read {path}: missing, truncated or not an image")
    return image


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """A colour image as (H, W, 3) uint8, red first. Raises BadInput."""
    bgr = imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_labels(path: Path) -> NDArray[np.integer]:
    """A label image as (H, W) integers. Raises BadInput, also for a coloured picture."""
    image = imread(path, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise BadInput(f"{path} is no label image: class ids need one channel of 8 or 16 bits")
    return image


def read_raw_depth(path: Path) -> NDArray[Any]:
    """A depth image as stored, (H, W) uint16 or float. Raises BadInput."""
    if path.suffix == ".npy":
        try:
            image: NDArray[Any] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadInput(f"cannot read {path}: {error}") from None
    else:
        image = imread(path, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or (image.dtype != np.uint16 and image.dtype.kind != "f"):
        raise BadInput(f"{path} is no depth image: it needs one channel of 16-bit or floating-point numbers")
    return image


def read_depth(path: Path, encoding: DepthEncoding = DepthEncoding.MILLIMETRES) -> NDArray[np.float32]:
    """Depth (H, W) in metres, 0 = none. Floating-point files hold metres in any case. Raises BadInput."""
    return decode_depth(read_raw_depth(path), encoding)


def decode_depth(image: NDArray[Any], encoding: DepthEncoding) -> NDArray[np.float32]:
    """Depth in metres from the numbers of a file, 0 = none.

    Sources: TUM RGB-D file formats (5000 = 1 m); SUN3D/SUN RGB-D toolbox (circular shift by 3 bits); NYU Depth v2
    toolbox (``351.3 / (1092.5 - disparity)``, cut at 10 m).
    """
    if image.dtype.kind == "f":
        return depth_to_metres(image, "32FC1")
    if encoding is DepthEncoding.MILLIMETRES:
        return depth_to_metres(image, "16UC1")
    if encoding is DepthEncoding.TUM:
        depth = image.astype(np.float32) / np.float32(5000)
        depth[image == 65535] = 0
        return depth
    if encoding is DepthEncoding.SUN:
        return depth_to_metres((image >> 3) | (image << 13), "16UC1")
    gap = np.float32(1092.5) - image.byteswap().astype(np.float32)
    depth = np.float32(351.3) / np.where(gap > 0, gap, np.inf).astype(np.float32)
    depth[depth > 10] = 0
    return depth


def guess_depth_encoding(files: Iterable[Path]) -> DepthEncoding:
    """The encoding of 16-bit depth files, told from the first readable one that holds a picture.

    SUN: all numbers are multiples of 8 (depth under 8.192 m has its three top bits empty) and too big for millimetres
    in a room. NYU: swapped bytes of 11-bit numbers, so no low byte is above 7. Else millimetres.
    """
    for path in files:
        try:
            image = read_raw_depth(path)
        except BadInput:
            continue
        if image.dtype.kind == "f":
            return DepthEncoding.MILLIMETRES
        seen = image[image > 0]
        if seen.size < image.size // 20:
            continue
        if ((seen & 0xFF) <= 7).all():
            return DepthEncoding.NYU
        if ((seen & 7) == 0).mean() > 0.99 and np.median(seen) > 8192:
            return DepthEncoding.SUN
        return DepthEncoding.MILLIMETRES
    return DepthEncoding.MILLIMETRES


def read_numbers(path: Path) -> list[list[float]]:
    """Rows of numbers of a text file; ``#`` begins a comment; what is no number becomes NaN (``-1.#IND``).

    Raises:
        BadInput: not readable as text.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}") from None
    rows = []
    for line in text.splitlines():
        words = re.sub(r"(?:^|\s)#.*", "", line).replace(",", " ").split()
        if words:
            rows.append([_number(word) for word in words])
    return rows


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def read_pose(path: Path) -> Array:
    """The 4x4 (or 3x4) matrix in a text file, unchecked: lost poses hold NaN or infinities.

    Raises:
        BadInput: not readable, or not 12 or 16 numbers.
    """
    return pose_from_numbers([x for row in read_numbers(path) for x in row], str(path))


def pose_from_numbers(numbers: list[float], where: str) -> Array:
    """4x4 matrix from 16 or 12 numbers, row by row. Raises BadInput."""
    if len(numbers) not in (12, 16):
        raise BadInput(f"{where} holds {len(numbers)} numbers; a pose has 12 or 16, row by row")
    matrix = np.eye(4)
    matrix[: len(numbers) // 4] = np.reshape(numbers, (-1, 4))
    return matrix


def cleaned_pose(pose: Array) -> Array | None:
    """The nearest rigid transform to a pose with rounding errors (2 % at most); None if it is not rigid at all."""
    if not np.isfinite(pose).all() or np.abs(pose[3] - (0, 0, 0, 1)).max() > 1e-3:
        return None
    rotation = pose[:3, :3]
    if np.linalg.det(rotation) <= 0 or np.abs(rotation @ rotation.T - np.eye(3)).max() > 0.02:
        return None
    u, _, vt = np.linalg.svd(rotation)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = u @ vt, pose[:3, 3]
    return out


@dataclass(frozen=True, eq=False)
class Calibration:
    """A camera matrix as a sequence stores it: (3, 3), and the image size where the file says it."""

    matrix: Array
    size: tuple[int, int] | None = None

    def for_images(self, depth: tuple[int, int], color: tuple[int, int] | None) -> Intrinsics:
        """Intrinsics of the depth image.

        Colour and depth may differ in size while one matrix is given: it belongs to the image whose centre is nearer to
        the principal point, and the other shows the same view at another size.

        Args:
            depth, color: (height, width) of the images.

        Raises:
            BadInput: not a calibrated camera.
        """
        height, width = depth
        if self.size is not None:
            owner = (self.size[1], self.size[0])
        elif color is None or self._off_centre(depth) <= self._off_centre(color):
            owner = depth
        else:
            owner = color
        if self.size is None and self._off_centre(owner) > 0.6:
            # A matrix of the camera's full size beside images that were made smaller, as in exports of ScanNet. Sizes
            # are even; the principal point lies near the half or half a pixel before it.
            owner = (2 * round(self.matrix[1, 2] + 0.25), 2 * round(self.matrix[0, 2] + 0.25))
        return Intrinsics.from_matrix(self.matrix, owner[1], owner[0]).resized(width, height)

    def _off_centre(self, shape: tuple[int, int]) -> float:
        height, width = shape
        return float(abs(2 * self.matrix[0, 2] - width) / width + abs(2 * self.matrix[1, 2] - height) / height)


def read_calibration(path: Path) -> Calibration:
    """A camera matrix from text (3x3, 4x4, or fx fy cx cy) or JSON (Open3D's camera file, or fx, fy, cx, cy).

    Raises:
        SequenceError: no camera matrix in it.
    """
    matrix = np.eye(3)
    size = None
    try:
        if path.suffix == ".json":
            tree = json.loads(path.read_text())
            if "intrinsic_matrix" in tree:
                # Open3D stores the matrix column by column.
                matrix = np.array(tree["intrinsic_matrix"], dtype=np.float64).reshape(3, 3).T
            else:
                fx, fy, cx, cy = (float(tree[key]) for key in ("fx", "fy", "cx", "cy"))
                matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
            if "width" in tree and "height" in tree:
                size = (int(tree["width"]), int(tree["height"]))
        else:
            numbers = [x for row in read_numbers(path) for x in row]
            if len(numbers) == 4:
                matrix[[0, 1, 0, 1], [0, 1, 2, 2]] = numbers
            elif len(numbers) in (9, 16):
                matrix = np.reshape(numbers, (3, 3) if len(numbers) == 9 else (4, 4))[:3, :3]
            else:
                raise BadInput(f"{len(numbers)} numbers instead of 4, 9 or 16")
    except (OSError, BadInput, ValueError, KeyError, TypeError) as error:
        raise SequenceError(f"{path} holds no camera matrix ({error})") from None
    if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise SequenceError(f"{path} holds no calibrated camera: {matrix.tolist()}")
    return Calibration(matrix, size)


def find_calibration(folder: Path) -> Calibration | None:
    """The calibration in a sequence's folder under one of its usual names, or None. Raises SequenceError."""
    for name in INTRINSICS_NAMES:
        if (folder / name).is_file():
            return read_calibration(folder / name)
    return None


def need_calibration(folder: Path) -> Calibration:
    """As ``find_calibration``. Raises SequenceError also if there is none."""
    found = find_calibration(folder)
    if found is None:
        raise SequenceError(f"{folder} has no camera intrinsics; put the 3x3 camera matrix into {folder / 'K.txt'}")
    return found


def read_label_names(folder: Path) -> dict[int, str]:
    """Names of class ids from ``labels.json``: ``{"9": "chair"}``, a list of names, or a list of ``{"id", "name"}``.

    Raises:
        SequenceError: the file is there but is none of these.
    """
    path = folder / "labels.json"
    if not path.is_file():
        return {}
    try:
        tree = json.loads(path.read_text())
        if isinstance(tree, list):
            if all(isinstance(item, str) for item in tree):
                return dict(enumerate(tree))
            return {int(item["id"]): str(item["name"]) for item in tree}
        return {int(key): str(name) for key, name in tree.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SequenceError(f'{path} must map class ids to names, such as {{"9": "chair"}}') from None


def numbered_files(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    """Files of a folder by the number in their names, ascending; empty if there is no such folder.

    The number is the first one (``0000001-000000033369.png``), or the last one where the first is the same for all
    (``depth16_000001.png``). Names that are stamps in seconds (``1305031102.175304.png``) give nanoseconds.

    Raises:
        SequenceError: two files have the same number.
    """
    if not folder.is_dir():
        return {}
    paths = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in suffixes and re.search(r"\d", p.stem)]
    paths = [p for p in paths if not p.name.startswith(".")]
    for number in (_stamp_or_first_number, _last_number):
        found = {number(path.stem): path for path in paths}
        if len(found) == len(paths):
            return dict(sorted(found.items()))
    raise SequenceError(f"files in {folder} cannot be told apart by number; name them 000000, 000001, ...")


def _stamp_or_first_number(stem: str) -> int:
    stamp = re.fullmatch(r"(\d{9,10})\.(\d+)", stem)
    return int(stamp[1]) * 10**9 + int(stamp[2][:9].ljust(9, "0")) if stamp else int(re.findall(r"\d+", stem)[0])


def _last_number(stem: str) -> int:
    return int(re.findall(r"\d+", stem)[-1])


def subfolder(folder: Path, *names: str) -> Path | None:
    """The first of these subfolders that is there."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)

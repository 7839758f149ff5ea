"""ROS image encodings to numpy and back: raw, compressed (JPEG, PNG) and compressedDepth images; depth in metres.

Encoding names are those of ``sensor_msgs/image_encodings.hpp``; depth units follow REP-118. A message is passed as its
plain fields, so that neither ROS nor any message class is needed here.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput

_NAMED: dict[str, tuple[type[np.generic], int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "yuv422": (np.uint8, 2),
    "uyvy": (np.uint8, 2),
    "yuv422_yuy2": (np.uint8, 2),
    "yuyv": (np.uint8, 2),
    "bayer_rggb8": (np.uint8, 1),
    "bayer_bggr8": (np.uint8, 1),
    "bayer_gbrg8": (np.uint8, 1),
    "bayer_grbg8": (np.uint8, 1),
}
_GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)C([1-4]?)")
_KINDS = {"8U": "u1", "8S": "i1", "16U": "u2", "16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}

# OpenCV names a Bayer pattern after its second row and column, ROS after its first pixels.
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "8UC4": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
_DEPTH_IN_MM = ("16UC1", "mono16")
_DEPTH_IN_M = ("32FC1", "64FC1")
_LABELS = ("8UC1", "mono8", "16UC1", "mono16", "16SC1", "32SC1")
_DEPTH_HEADER = struct.Struct("<iff")


def _layout(encoding: str) -> tuple[np.dtype[Any], int]:
    """Number type and channel count of an encoding."""
    if encoding in _NAMED:
        kind, channels = _NAMED[encoding]
        return np.dtype(kind), channels
    match = _GENERIC.fullmatch(encoding)
    if match is None:
        raise BadInput(
            f"image encoding {encoding!r} is unknown; publish one of {', '.join(_NAMED)}, or a type such as 32FC1"
        )
    return np.dtype(_KINDS[match[1]]), int(match[2] or 1)


def decode_image(
    encoding: str, height: int, width: int, step: int, data: Any, is_bigendian: bool = False
) -> NDArray[Any]:
    """The pixels of a ``sensor_msgs/Image``, channels as the encoding orders them.

    Args:
        encoding: such as rgb8, mono16, 32FC1.
        height, width: image size in pixels.
        step: bytes from one row to the next.
        data: the bytes: bytes, memoryview, array.array or uint8 array.
        is_bigendian: byte order of numbers longer than a byte.

    Returns:
        (height, width) or (height, width, channels); a view of ``data`` where that is possible.

    Raises:
        BadInput: unknown encoding, a step shorter than a row, or fewer bytes than rows.
    """
    dtype, channels = _layout(encoding)
    row = width * channels * dtype.itemsize
    if height <= 0 or width <= 0:
        raise BadInput(f"image is {width}x{height}: empty; check the camera driver")
    if step < row:
        raise BadInput(
            f"image says {step} bytes per row but a row of {width} {encoding} pixels has {row}; fix step or encoding"
        )
    flat = np.frombuffer(data, dtype=np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1).view(np.uint8)
    needed = step * (height - 1) + row
    if flat.size < needed:
        raise BadInput(f"image is truncated: {flat.size} bytes, but {width}x{height} {encoding} needs {needed}")
    if step == row:
        rows = flat[:needed].reshape(height, row)
    else:
        # The last row may come without its padding.
        rows = np.lib.stride_tricks.as_strided(flat, (height, row), (step, 1), writeable=False)
        rows = np.ascontiguousarray(rows)
    pixels = rows.view(dtype.newbyteorder(">" if is_bigendian else "<"))
    if not pixels.dtype.isnative:
        pixels = pixels.astype(dtype)
    return pixels if channels == 1 else pixels.reshape(height, width, channels)


def to_rgb(image: NDArray[Any], encoding: str) -> NDArray[np.uint8]:
    """A decoded colour or grey image as (H, W, 3) uint8, red first.

    Raises:
        BadInput: the encoding holds no colours.
    """
    if encoding == "rgb8":
        return image
    if encoding in ("mono16", "16UC1"):
        grey: NDArray[np.uint8] = (image >> 8).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    if encoding not in _TO_RGB:
        raise BadInput(f"encoding {encoding!r} is not a colour image; publish rgb8 or bgr8 on the colour topic")
    return cv2.cvtColor(image, _TO_RGB[encoding]).astype(np.uint8, copy=False)


def decode_rgb(
    encoding: str, height: int, width: int, step: int, data: Any, is_bigendian: bool = False
) -> NDArray[np.uint8]:
    """A raw colour image as (H, W, 3) uint8, red first. Arguments and errors as ``decode_image`` and ``to_rgb``."""
    return to_rgb(decode_image(encoding, height, width, step, data, is_bigendian), encoding)


def decode_compressed(fmt: str, data: Any) -> tuple[NDArray[Any], str]:
    """The pixels of a ``sensor_msgs/CompressedImage`` (JPEG or PNG) and their encoding.

    Args:
        fmt: the message's ``format``, such as ``jpeg`` or ``bgr8; jpeg compressed bgr8``.
        data: the compressed bytes.

    Returns:
        (H, W, 3) uint8 with encoding ``rgb8``, or (H, W) with ``mono8`` or ``16UC1``.

    Raises:
        BadInput: not an image, or compressedDepth (use ``decode_compressed_depth``).
    """
    if "compressedDepth" in fmt:
        raise BadInput("compressedDepth image on a colour topic; check the remapping of colour and depth")
    image = _imdecode(data, f"compressed image ({fmt or 'no format given'})")
    if image.ndim == 3:
        code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
        if image.dtype != np.uint8:
            image = (image >> 8).astype(np.uint8)
        return cv2.cvtColor(image, code), "rgb8"
    return image, "mono8" if image.dtype == np.uint8 else "16UC1"


def decode_compressed_depth(fmt: str, data: Any) -> tuple[NDArray[Any], str]:
    """The pixels of a compressedDepth image and their encoding, ``16UC1`` (millimetres) or ``32FC1`` (metres).

    ``compressed_depth_image_transport`` writes a header (int32 format, float32 a, float32 b), then a PNG.
    A 32FC1 image was quantised as inverse depth, q = a / depth + b, with q = 0 where there is no measurement.

    Raises:
        BadInput: another encoding, RVL compression, or truncated bytes.
    """
    encoding = fmt.split(";")[0].strip() or "16UC1"
    if encoding == "mono16":
        encoding = "16UC1"
    if encoding not in ("16UC1", "32FC1"):
        raise BadInput(f"compressedDepth image of encoding {encoding!r}; 16UC1 and 32FC1 are known")
    if "rvl" in fmt.lower().split(";")[-1]:
        raise BadInput("compressedDepth image is RVL-compressed; set the publisher's compressedDepth format to png")
    raw = np.frombuffer(data, dtype=np.uint8)
    if raw.size <= _DEPTH_HEADER.size:
        raise BadInput(f"compressedDepth image is truncated: {raw.size} bytes")
    _, a, b = _DEPTH_HEADER.unpack(raw[: _DEPTH_HEADER.size].tobytes())
    image = _imdecode(raw[_DEPTH_HEADER.size :], f"compressedDepth image ({fmt})")
    if image.ndim != 2:
        raise BadInput("compressedDepth image has colours; check the remapping of colour and depth")
    if encoding == "16UC1":
        return image.astype(np.uint16, copy=False), encoding
    depth = np.zeros(image.shape, dtype=np.float32)
    np.divide(a, image.astype(np.float32) - b, out=depth, where=image > 0)
    return depth, encoding


def encode_compressed_depth(depth_mm: NDArray[np.uint16]) -> tuple[str, bytes]:
    """``format`` and bytes of a compressedDepth image from (H, W) uint16 millimetres."""
    ok, png = cv2.imencode(".png", depth_mm, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert ok
    return "16UC1; compressedDepth png", _DEPTH_HEADER.pack(0, 0.0, 0.0) + png.tobytes()


def _imdecode(data: Any, what: str) -> NDArray[Any]:
    raw = np.frombuffer(data, dtype=np.uint8)
    try:
        image = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if raw.size else None
    except cv2.error:
        image = None
    if image is None:
        raise BadInput(f"{what} of {raw.size} bytes cannot be decoded: damaged, or neither JPEG nor PNG")
    return image


def depth_to_metres(image: NDArray[Any], encoding: str) -> NDArray[np.float32]:
    """Depth (H, W) in metres, float32; 0 where there is no measurement (REP-118).

    16UC1 holds millimetres (0 and 65535 = none), 32FC1 metres (0, negative, NaN and infinite = none).

    Raises:
        BadInput: the encoding is no depth encoding.
    """
    if encoding in _DEPTH_IN_MM:
        depth = image.astype(np.float32)
        depth *= 0.001
        depth[image == 65535] = 0
        return depth
    if encoding in _DEPTH_IN_M:
        metres = image.astype(np.float32)
        metres[~(np.isfinite(metres) & (metres > 0))] = 0
        return metres
    raise BadInput(f"encoding {encoding!r} is not depth; publish 16UC1 (millimetres) or 32FC1 (metres)")


def metres_to_depth16(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth in metres as 16UC1 millimetres, rounded; 0 where there is none or it is beyond 65.534 m."""
    mm = np.rint(depth * np.float32(1000))
    return np.where((mm > 0) & (mm < 65535), mm, 0).astype(np.uint16)


def check_labels(image: NDArray[Any], encoding: str) -> NDArray[Any]:
    """A label image as it is, if the encoding can hold class ids.

    Raises:
        BadInput: colours or floating-point numbers.
    """
    if encoding not in _LABELS:
        raise BadInput(
            f"label image has encoding {encoding!r}; publish class ids as 8UC1, mono8 or 16UC1 (not a coloured picture)"
        )
    return image

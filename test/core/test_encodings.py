"""Image encodings: expected pixels are written down by hand or follow the formula of the transport."""

import array
import struct

import cv2
import numpy as np
import pytest

from proxy3d_core.encodings import (
    check_labels,
    decode_compressed,
    decode_compressed_depth,
    decode_image,
    decode_rgb,
    depth_to_metres,
    encode_compressed_depth,
    metres_to_depth16,
    to_rgb,
)
from proxy3d_core.errors import BadInput

RED_GREEN = [[(255, 0, 0), (0, 255, 0)]]


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", [255, 0, 0, 0, 255, 0]),
        ("bgr8", [0, 0, 255, 0, 255, 0]),
        ("8UC3", [0, 0, 255, 0, 255, 0]),
        ("rgba8", [255, 0, 0, 9, 0, 255, 0, 9]),
        ("bgra8", [0, 0, 255, 9, 0, 255, 0, 9]),
    ],
)
def test_colour_orders(encoding: str, pixels: list[int]) -> None:
    np.testing.assert_array_equal(decode_rgb(encoding, 1, 2, len(pixels), bytes(pixels)), RED_GREEN)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey(encoding: str) -> None:
    np.testing.assert_array_equal(decode_rgb(encoding, 1, 2, 2, b"\x07\xff"), [[(7, 7, 7), (255, 255, 255)]])


def test_grey_16_bit_keeps_the_high_byte() -> None:
    np.testing.assert_array_equal(decode_rgb("mono16", 1, 1, 2, b"\x34\x12"), [[(0x12, 0x12, 0x12)]])


@pytest.mark.parametrize(
    ("encoding", "offsets"),
    [
        ("bayer_rggb8", ((0, 0), (1, 1))),
        ("bayer_bggr8", ((1, 1), (0, 0))),
        ("bayer_gbrg8", ((1, 0), (0, 1))),
        ("bayer_grbg8", ((0, 1), (1, 0))),
    ],
)
def test_bayer(encoding: str, offsets: tuple[tuple[int, int], tuple[int, int]]) -> None:
    (red_row, red_column), (blue_row, blue_column) = offsets
    raw = np.full((8, 8), 100, np.uint8)
    raw[red_row::2, red_column::2] = 200
    raw[blue_row::2, blue_column::2] = 50
    np.testing.assert_array_equal(decode_rgb(encoding, 8, 8, 8, raw)[4, 4], (200, 100, 50))


@pytest.mark.parametrize(("encoding", "pair"), [("yuv422", (128, 90, 128, 90)), ("yuv422_yuy2", (90, 128, 90, 128))])
def test_yuv_without_colour_is_grey(encoding: str, pair: tuple[int, ...]) -> None:
    pixel = decode_rgb(encoding, 1, 2, 4, bytes(pair))[0, 0]
    # BT.601 in video range: 255 / 219 * (Y - 16)
    assert np.ptp(pixel) == 0 and abs(int(pixel[0]) - 255 / 219 * (90 - 16)) <= 1


def test_padding_of_rows_and_a_last_row_without_it() -> None:
    data = bytes([1, 2, 99, 99, 3, 4])
    np.testing.assert_array_equal(decode_image("mono8", 2, 2, 4, data), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(decode_image("mono8", 2, 2, 4, data + b"\0\0"), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b), lambda b: np.frombuffer(b, np.uint8)]
)
def test_any_buffer_and_both_byte_orders(kind) -> None:  # type: ignore[no-untyped-def]
    numbers = [1, 258, 65535, 40000]
    for big, order in ((False, "<4H"), (True, ">4H")):
        image = decode_image("16UC1", 2, 2, 4, kind(struct.pack(order, *numbers)), big)
        np.testing.assert_array_equal(image.ravel(), numbers)
        assert image.dtype == np.uint16 and image.dtype.isnative


def test_big_endian_floats() -> None:
    np.testing.assert_array_equal(decode_image("32FC1", 1, 2, 8, struct.pack(">2f", 1.5, -2), True), [[1.5, -2.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jpg8", 1, 1, 1, b"\0"), "'jpg8' is unknown"),
        (("64UC1", 1, 1, 8, bytes(8)), "'64UC1' is unknown"),
        (("", 1, 1, 1, b"\0"), "'' is unknown"),
        (("rgb8", 2, 2, 6, bytes(11)), "truncated: 11 bytes, but 2x2 rgb8 needs 12"),
        (("rgb8", 2, 2, 2, bytes(12)), "2 bytes per row but a row of 2 rgb8 pixels has 6"),
        (("rgb8", 0, 2, 6, b""), "2x0: empty"),
    ],
)
def test_bad_images_are_named(arguments, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=message):
        decode_image(*arguments)


def test_depth_is_not_a_colour_image() -> None:
    with pytest.raises(BadInput, match="not a colour image"):
        decode_rgb("32FC1", 1, 1, 4, bytes(4))
    with pytest.raises(BadInput, match="not depth"):
        depth_to_metres(np.zeros((1, 1, 3), np.uint8), "rgb8")
    with pytest.raises(BadInput, match="class ids"):
        check_labels(np.zeros((1, 1, 3), np.uint8), "rgb8")


def test_depth_units_and_invalid_values() -> None:
    depth = depth_to_metres(np.array([[0, 1, 1234, 65534, 65535]], np.uint16), "16UC1")
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[0, 0.001, 1.234, 65.534, 0]], rtol=1e-6)
    floats = np.array([[0, 1.25, -1, np.nan, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(depth_to_metres(floats, "32FC1"), [[0, 1.25, 0, 0, 0, 0]])
    assert np.isnan(floats[0, 3]), "the message's own pixels stay as they are"


def test_depth_to_millimetres_and_back() -> None:
    metres = np.array([[0, 0.0004, 0.001, 3.2104, 65.534, 65.535, 80]], np.float32)
    np.testing.assert_array_equal(metres_to_depth16(metres), [[0, 0, 1, 3210, 65534, 0, 0]])


def test_compressed_colour() -> None:
    rgb = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    bgr = rgb[..., ::-1]
    for suffix, fmt in ((".jpg", "jpeg"), (".png", "bgr8; png compressed bgr8")):
        image, encoding = decode_compressed(fmt, cv2.imencode(suffix, bgr)[1].tobytes())
        assert encoding == "rgb8"
        np.testing.assert_allclose(image.astype(int), rgb, atol=3)
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image, encoding = decode_compressed("mono8; png compressed ", cv2.imencode(".png", labels)[1].tobytes())
    assert encoding == "mono8"
    np.testing.assert_array_equal(image, labels)
    assert to_rgb(image, encoding).shape == (16, 16, 3)


def test_compressed_depth_png() -> None:
    depth = np.array([[0, 500, 65535], [1, 2, 3]], np.uint16)
    image, encoding = decode_compressed_depth(*encode_compressed_depth(depth))
    assert encoding == "16UC1"
    np.testing.assert_array_equal(image, depth)


def test_compressed_depth_of_floats() -> None:
    # compressed_depth_image_transport, depth_quantization = 100 and depth_max = 10: a = 100 * (100 + 1),
    # b = 1 - a / depth_max, stored = a / depth + b, 0 = no measurement.
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    metres = np.array([[0.6, 1.0, 2.5, 9.9, 0.0]])
    stored = np.zeros(metres.shape, np.uint16)
    valid = metres > 0
    stored[valid] = (a / metres[valid] + b).astype(np.uint16)
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", stored)[1].tobytes()
    image, encoding = decode_compressed_depth("32FC1; compressedDepth png", data)
    assert encoding == "32FC1"
    # One quantum is depth^2 / a metres.
    assert (np.abs(image - metres) <= metres**2 / a * 1.01).all()
    assert depth_to_metres(image, encoding)[0, 4] == 0


@pytest.mark.parametrize(
    ("fmt", "data", "message"),
    [
        ("16UC1; compressedDepth rvl", bytes(40), "format to png"),
        ("8UC3; compressedDepth png", bytes(40), "8UC3"),
        ("16UC1; compressedDepth png", bytes(12), "truncated"),
        ("16UC1; compressedDepth png", bytes(40), "cannot be decoded"),
    ],
)
def test_bad_compressed_depth(fmt: str, data: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        decode_compressed_depth(fmt, data)


def test_bad_compressed_colour() -> None:
    whole = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    for data in (b"", b"no image", whole[:20]):
        with pytest.raises(BadInput, match="cannot be decoded"):
            decode_compressed("jpeg", data)
    with pytest.raises(BadInput, match="remapping"):
        decode_compressed("16UC1; compressedDepth png", whole)

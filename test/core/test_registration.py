"""Colour on the depth grid: expected pixels follow from the pinhole model."""

import numpy as np

from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.registration import register, resize_to

DEPTH_K = Intrinsics(80, 60, 60, 60, 39.5, 29.5)
DEPTH = np.full((60, 80), 2, np.float32)


def ramp(k: Intrinsics) -> np.ndarray:
    """An image whose value tells where its pixels look: 128 + 100 x / z."""
    row = 128 + 100 * (np.arange(k.width) - k.cx) / k.fx
    return np.tile(np.clip(row, 0, 255), (k.height, 1)).astype(np.float32)


def test_same_view_at_another_size() -> None:
    color = Intrinsics(160, 120, 120, 120, 79.5, 59.5)
    np.testing.assert_allclose(register(ramp(color), color, DEPTH, DEPTH_K), ramp(DEPTH_K), atol=0.01)


def test_another_field_of_view_leaves_the_rest_empty() -> None:
    narrow = Intrinsics(320, 240, 480, 480, 150.0, 119.5)
    found = register(ramp(narrow), narrow, DEPTH, DEPTH_K)
    ray = (np.arange(80) - DEPTH_K.cx) / DEPTH_K.fx
    u = narrow.fx * ray + narrow.cx
    inside, outside = (u > 8) & (u < 311), (u < -8) | (u > 328)
    np.testing.assert_allclose(found[30, inside], ramp(DEPTH_K)[30, inside], atol=0.5)
    assert (found[30, outside] == 0).all()


def test_labels_are_never_mixed() -> None:
    color = Intrinsics(200, 150, 150, 150, 99.5, 74.5)
    labels = np.where(np.arange(200) < 100, 3, 20).astype(np.uint8)[None].repeat(150, 0)
    for shift in (None, np.array([[1, 0, 0, 0.05], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)):
        assert set(np.unique(register(labels, color, DEPTH, DEPTH_K, shift, nearest=True))) <= {0, 3, 20}
    assert set(np.unique(resize_to(labels, 80, 60, nearest=True))) == {3, 20}


def test_pixels_without_depth_look_to_infinity() -> None:
    """Five centimetres do not matter there."""
    shift = np.eye(4)
    shift[0, 3] = 0.05
    found = register(ramp(DEPTH_K), DEPTH_K, np.zeros_like(DEPTH), DEPTH_K, shift)
    np.testing.assert_allclose(found, ramp(DEPTH_K), atol=0.01)
    near = register(ramp(DEPTH_K), DEPTH_K, DEPTH, DEPTH_K, shift)
    # At 2 m, 5 cm are 1.5 pixels of 60 pixels focal length: 2.5 grey values.
    np.testing.assert_allclose(near[30, 10:70], ramp(DEPTH_K)[30, 10:70] + 2.5, atol=0.01)

"""The pinhole model: what unprojects projects back, and resampled intrinsics keep their rays."""

import cv2
import numpy as np
import pytest

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics, pixel_rays, project, unproject

K = Intrinsics(64, 48, 60.0, 55.0, 31.0, 22.5)


def ray(k: Intrinsics, u: float, v: float) -> np.ndarray:
    """K^-1 [u, v, 1]."""
    return np.linalg.solve(k.matrix, [u, v, 1.0])


def test_unprojected_pixels_project_to_themselves() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 5, (48, 64)).astype(np.float32)
    points = unproject(depth, K)
    assert points.dtype == np.float32
    pixels, z = project(points.reshape(-1, 3), K)
    v, u = np.mgrid[:48, :64]
    np.testing.assert_allclose(pixels, np.stack([u.ravel(), v.ravel()], axis=1), atol=1e-4)
    np.testing.assert_allclose(z, depth.ravel())


def test_unproject_by_hand() -> None:
    depth = np.zeros((48, 64), np.float32)
    depth[40, 61] = 2
    points = unproject(depth, K)
    np.testing.assert_allclose(points[40, 61], [2 * 30 / 60, 2 * 17.5 / 55, 2], rtol=1e-6)
    assert np.count_nonzero(points.any(axis=2)) == 1  # no measurement, no point


def test_rays_are_those_of_the_matrix() -> None:
    rays = pixel_rays(K)
    for u, v in [(0, 0), (63, 47), (10, 33)]:
        np.testing.assert_allclose(rays[v, u], ray(K, u, v), rtol=1e-6)


def test_behind_the_camera_there_are_no_pixels() -> None:
    pixels, z = project([(0, 0, 1), (0, 0, -1), (0.1, 0, 0)], K)
    np.testing.assert_allclose(pixels[0], (31, 22.5))
    assert np.isnan(pixels[1:]).all()
    np.testing.assert_array_equal(z, [1, -1, 0])


@pytest.mark.parametrize(("stride", "offset"), [(2, 0), (4, 2), (3, 1)])
def test_strided_pixels_keep_their_rays(stride: int, offset: int) -> None:
    strided = K.strided(stride, offset)
    expected = pixel_rays(K)[offset::stride, offset::stride]
    assert (strided.height, strided.width) == expected.shape[:2]
    np.testing.assert_allclose(pixel_rays(strided), expected, atol=1e-6)


@pytest.mark.parametrize(("width", "height"), [(128, 96), (32, 24), (16, 48)])
def test_resized_pixels_keep_their_rays(width: int, height: int) -> None:
    """The picture of each ray's x / z and y / z, resampled by OpenCV, is that of the resized camera."""
    picture = cv2.resize(
        pixel_rays(K), (width, height), interpolation=cv2.INTER_AREA if width < 64 else cv2.INTER_LINEAR
    )
    inside = (slice(2, -2), slice(2, -2))  # at its rim OpenCV repeats the outermost pixels
    np.testing.assert_allclose(pixel_rays(K.resized(width, height))[inside], picture[inside], atol=1e-5)


def test_from_matrix() -> None:
    k = Intrinsics.from_matrix(K.matrix.ravel().tolist(), 64, 48)
    assert k == K
    with pytest.raises(BadInput, match="12 numbers"):
        Intrinsics.from_matrix(np.zeros(12), 64, 48)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((64, 48, np.nan, 55, 31, 22), "NaN"),
        ((64, 48, 60, 55, np.inf, 22), "infinite"),
        ((64, 48, 0, 0, 0, 0), "not calibrated"),
        ((64, 48, 60, -55, 31, 22), "not calibrated"),
        ((0, 48, 60, 55, 31, 22), "size 0x48"),
    ],
)
def test_bad_intrinsics_are_refused(values: tuple[int, int, float, float, float, float], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Intrinsics(*values)


def test_depth_of_another_size_is_refused() -> None:
    with pytest.raises(BadInput, match="depth is 63x48 but camera info says 64x48"):
        unproject(np.ones((48, 63), np.float32), K)

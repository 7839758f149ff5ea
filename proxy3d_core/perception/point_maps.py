"""The plug for external multi-view predictors (VGGT, pi3, MASt3R, CUT3R ...): point maps and cameras in, metric out.

Such a predictor looks at all images at once and returns, in one world of unknown scale and direction, a 3D point for
every pixel, how sure it is of it, and the cameras. Arrays, N frames of H x W pixels; the name says which way a camera
goes:

    points or world_points              (N, H, W, 3)  float, world of the predictor
    confidence or world_points_conf     (N, H, W)     float, greater is surer; optional
    camera_to_world                     (N, 4, 4) or (N, 3, 4), optical frame; or instead
    world_to_camera or extrinsic        the same, inverted (what VGGT returns)
    intrinsics or intrinsic             (N, 3, 3) pixels of the H x W grid; optional: fitted to the points
    images                              (N, H, W, 3) uint8, or (N, 3, H, W) float in 0..1; optional
    timestamps                          (N,) seconds; optional

What makes it metric, the first of these that is there:

    scale                               metres per unit (1 for a metric predictor)
    metric_depth                        (N, H, W) metres of a depth sensor, 0 = none
    metric_positions                    (N, 3) camera positions in any metric world (odometry)
    camera_height                       metres of the camera above the floor
    a depth model                       setting perception.depth_model; needs images
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.transforms import invert
from proxy3d_core.perception.depth_models import UNCHECKED, DepthSource, ScaleCheck

Array = NDArray[np.float64]

_DROPPED_SHARE = 0.2  # of all pixels, the least confident: mostly edges, sky and glass
_NEAREST, _FARTHEST = 0.02, 20.0  # times the median depth; beyond them predictors put what they know nothing about
_GAUSS = 1.4826


@dataclass(frozen=True)
class MetricScale:
    """What turns a predictor's units into metres.

    Attributes:
        factor: metres per unit.
        uncertainty: relative standard deviation of it.
        source: where it comes from, in words.
    """

    factor: float
    uncertainty: float
    source: str


@dataclass(frozen=True, eq=False)
class PointMaps:
    """What a predictor said, in its own units.

    Attributes:
        depth: (N, H, W) float32 along each camera's optical axis, 0 where the predictor is not sure.
        poses: (N, 4, 4) ``world_from_camera``, rigid.
        cameras: intrinsics of each frame.
        images: (N, H, W, 3) uint8, or None.
        stamps_ns: (N,) int64.
        scale, metric_depth, metric_positions, camera_height: see above; None where not given.
    """

    depth: NDArray[np.float32]
    poses: Array
    cameras: tuple[Intrinsics, ...]
    images: NDArray[np.uint8] | None
    stamps_ns: NDArray[np.int64]
    scale: float | None = None
    metric_depth: NDArray[np.float32] | None = None
    metric_positions: Array | None = None
    camera_height: float | None = None

    def __len__(self) -> int:
        return len(self.depth)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], rate: float = 30.0) -> PointMaps:
        """From arrays as this module's text names them; ``rate`` in Hz stands in for missing timestamps.

        Raises:
            BadInput: an array is missing, of the wrong shape, or says nothing; the message names it.
        """
        points = _array(arrays, ("points", "world_points"), (None, None, None, 3))
        if points is None:
            raise BadInput("point maps need an array points (N, H, W, 3)")
        n, height, width = points.shape[:3]
        poses = _poses(arrays, n)
        local = np.einsum("nhwc,ncd->nhwd", points - poses[:, None, None, :3, 3], poses[:, :3, :3])
        depth = np.where(np.isfinite(local).all(axis=3) & (local[..., 2] > 0), local[..., 2], 0.0)
        confidence = _array(arrays, ("confidence", "world_points_conf"), (n, height, width))
        if confidence is not None:
            depth[~(confidence >= np.nanquantile(confidence, _DROPPED_SHARE))] = 0
        if not (depth > 0).any():
            raise BadInput(
                "no point lies in front of its camera; is a camera_to_world called world_to_camera, or the reverse?"
            )
        likely = np.median(depth[depth > 0]) * np.array([_NEAREST, _FARTHEST])
        depth[(depth < likely[0]) | (depth > likely[1])] = 0
        k = _array(arrays, ("intrinsics", "intrinsic"), (n, 3, 3))
        stamps = _array(arrays, ("timestamps",), (n,))
        return cls(
            depth.astype(np.float32),
            poses,
            tuple(
                Intrinsics.from_matrix(_fitted(local[i], depth[i] > 0) if k is None else k[i], width, height)
                for i in range(n)
            ),
            _images(arrays.get("images"), n, height, width),
            np.round((np.arange(1, n + 1) / rate if stamps is None else stamps) * 1e9).astype(np.int64),
            _number(arrays, "scale"),
            _float32(_array(arrays, ("metric_depth",), (n, height, width))),
            _array(arrays, ("metric_positions",), (n, 3)),
            _number(arrays, "camera_height"),
        )


def predict_point_maps(
    predictor: str, images: Sequence[NDArray[np.uint8]], references: Mapping[str, Any] | None = None
) -> PointMaps:
    """Point maps of images by a predictor of the user's: ``module:function``, found on the Python path.

    The function takes a list of (H, W, 3) uint8 images and returns a mapping of arrays as above, one frame per image.

    Args:
        references: what else is known of these frames (timestamps, metric_positions ...); the function's own wins.

    Raises:
        BadInput: there is no such function, or what it returns does not fit.
    """
    module, colon, name = predictor.partition(":")
    try:
        function = getattr(importlib.import_module(module), name) if colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"the predictor {predictor!r} cannot be imported ({error}); is it on PYTHONPATH?") from None
    if not callable(function):
        raise BadInput(f"{predictor!r} names no predictor; expected module:function, such as my_vggt:predict")
    arrays = function(list(images))
    if not isinstance(arrays, Mapping):
        raise BadInput(f"{predictor} returned {type(arrays).__name__}, expected a mapping of arrays")
    maps = PointMaps.from_arrays({**(references or {}), **arrays})
    if len(maps) != len(images):
        raise BadInput(f"{predictor} returned {len(maps)} frames for {len(images)} images")
    if maps.images is not None:
        return maps
    height, width = maps.depth.shape[1:]
    resized = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images]
    return replace(maps, images=np.stack(resized).astype(np.uint8))


def scale_of_depth(maps: PointMaps, depth_source: DepthSource | None) -> MetricScale | None:
    """The scale as the maps state it, or by measured depth, camera positions or a depth model; None without any.

    Raises:
        BadInput: what is given says nothing: no depth in common, or a camera that did not move.
    """
    if maps.scale is not None:
        return MetricScale(maps.scale, 0.0, "given")
    if maps.metric_depth is not None:
        return _by_depth(maps, maps.metric_depth, "sensor depth", 0.0)
    if maps.metric_positions is not None:
        return _by_positions(maps.poses[:, :3, 3], maps.metric_positions)
    if maps.camera_height is None and depth_source is not None and maps.images is not None:
        predicted = [depth_source.depth(i, k) for i, k in zip(maps.images, maps.cameras, strict=True)]
        return _by_depth(maps, np.stack(predicted), f"depth model {depth_source.model.name}", UNCHECKED)
    return None


def scale_of_height(unit_height: Array, camera_height: float) -> MetricScale:
    """The scale by the camera's height in metres; ``unit_height`` (N,) are its heights above the floor in units."""
    middle = float(np.median(unit_height))
    spread = _GAUSS * float(np.median(np.abs(unit_height - middle))) / max(middle, 1e-9)
    return MetricScale(camera_height / middle, float(np.hypot(spread, 0.02)), "camera height")


def _by_depth(maps: PointMaps, metric: NDArray[np.float32], source: str, systematic: float) -> MetricScale:
    check = ScaleCheck(max_depth=20.0)
    for own, other in zip(maps.depth, metric, strict=True):
        check.add(own, other)
    result = check.result()
    if result is None:
        raise BadInput(f"the {source} has hardly a pixel in common with the point maps; is it in metres?")
    return MetricScale(result.factor, float(np.hypot(result.uncertainty, systematic)), source)


def _by_positions(own: Array, metric: Array) -> MetricScale:
    """Median ratio of the distances between cameras, over the pairs that lie far apart."""
    a, b = np.triu_indices(len(own), 1)
    units, metres = (np.linalg.norm(x[a] - x[b], axis=1) for x in (own, metric))
    far = (metres > 0.3 * metres.max(initial=0)) & (units > 0) & (metres > 0.05)
    if not far.any():
        raise BadInput("metric_positions hardly differ: a camera that stands still gives no scale")
    ratio = np.log(metres[far] / units[far])
    middle = float(np.median(ratio))
    spread = _GAUSS * float(np.median(np.abs(ratio - middle)))
    return MetricScale(float(np.exp(middle)), max(spread, 1e-3), "camera positions")


def _array(arrays: Mapping[str, Any], names: tuple[str, ...], shape: tuple[int | None, ...]) -> Array | None:
    """The array under the first of these names; a leading axis of length one (a batch) is taken off."""
    name = next((n for n in names if n in arrays), None)
    if name is None:
        return None
    array = np.asarray(arrays[name], dtype=np.float64)
    if array.ndim == len(shape) + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, array.shape, strict=True)
    ):
        wanted = ", ".join("?" if x is None else str(x) for x in shape)
        raise BadInput(f"point maps: {name} is {array.shape}, expected ({wanted})")
    return array


def _poses(arrays: Mapping[str, Any], n: int) -> Array:
    """(N, 4, 4) ``world_from_camera`` with rotations made exact."""
    forward, inverse = ("camera_to_world",), ("world_to_camera", "extrinsic")
    name = next((x for x in (*forward, *inverse) if x in arrays), None)
    if name is None:
        raise BadInput("point maps need cameras: an array camera_to_world, world_to_camera or extrinsic (N, 3|4, 4)")
    rows = 3 if np.shape(arrays[name])[-2:] == (3, 4) else 4
    given = _array(arrays, (name,), (n, rows, 4))
    assert given is not None
    if not np.isfinite(given).all():
        raise BadInput(f"point maps: {name} holds NaN or infinite numbers")
    u, _, v = np.linalg.svd(given[:, :3, :3])
    exact = u @ v
    if np.abs(exact - given[:, :3, :3]).max() > 0.05 or (np.linalg.det(exact) < 0).any():
        raise BadInput(f"point maps: {name} holds no rotations; check scale and axis order")
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = exact, given[:, :3, 3]
    return poses if name in forward else np.stack([invert(pose) for pose in poses])


def _fitted(local: Array, valid: NDArray[np.bool_]) -> Array:
    """Camera matrix by least squares from camera-frame points (H, W, 3) and the pixels where they were seen."""
    v, u = np.nonzero(valid)
    if len(u) < 100:
        raise BadInput("point maps: too few confident points in a frame to fit intrinsics to; give intrinsics")
    x, y = (local[v, u, i] / local[v, u, 2] for i in (0, 1))
    (fx, cx), (fy, cy) = np.polyfit(x, u, 1), np.polyfit(y, v, 1)
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _images(given: Any, n: int, height: int, width: int) -> NDArray[np.uint8] | None:
    if given is None:
        return None
    images = np.asarray(given)
    if images.ndim == 5 and images.shape[0] == 1:
        images = images[0]
    if images.shape == (n, 3, height, width):
        images = images.transpose(0, 2, 3, 1)
    if images.shape != (n, height, width, 3):
        raise BadInput(f"point maps: images is {images.shape}, expected ({n}, {height}, {width}, 3)")
    if images.dtype.kind == "f":
        images = np.round(images * 255).clip(0, 255)
    return images.astype(np.uint8)


def _number(arrays: Mapping[str, Any], name: str) -> float | None:
    if name not in arrays:
        return None
    value = np.asarray(arrays[name], dtype=np.float64)
    if value.size != 1 or not 0 < float(value.reshape(-1)[0]) < np.inf:
        raise BadInput(f"point maps: {name} must be one positive number, not {value.tolist()}")
    return float(value.reshape(-1)[0])


def _float32(array: Array | None) -> NDArray[np.float32] | None:
    return None if array is None else array.astype(np.float32)

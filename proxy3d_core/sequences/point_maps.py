"""Point maps of a multi-view predictor as a sequence; ``proxy3d_core.perception.point_maps`` names the arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.perception.depth_models import DepthSource
from proxy3d_core.perception.level import estimate_up
from proxy3d_core.perception.point_maps import (
    MetricScale,
    PointMaps,
    predict_point_maps,
    scale_of_depth,
    scale_of_height,
)
from proxy3d_core.sequences.base import Record, Sequence, spread

FORMAT = "point maps"
LOOKS_LIKE = "point_maps.npz|safetensors or VGGT's predictions.npz, or such a file itself"
_NAMES = ("point_maps.npz", "point_maps.safetensors", "predictions.npz")
_POINTS = {"points", "world_points"}
_ROOM_DEPTH = 2.0  # m; a first guess of the median depth of a room, to find its floor with
PREDICTED_FRAMES = 32
"""Frames of a video that a predictor is given (Proxy3D: 32)."""


def _file(path: Path) -> Path | None:
    if path.is_dir():
        return next((path / name for name in _NAMES if (path / name).is_file()), None)
    return path if path.suffix in (".npz", ".safetensors") else None


def recognise(path: Path) -> bool:
    """True for a folder with such a file, and for such a file itself."""
    file = _file(path)
    if file is None or (path.is_dir() and file.name != "predictions.npz"):
        return file is not None
    try:
        return bool(_POINTS & _keys(file))
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def read(path: Path) -> PointMapSequence:
    """The sequence in a folder or file. Raises SequenceError."""
    file = _file(path)
    assert file is not None
    try:
        maps = PointMaps.from_arrays(_load(file))
    except (BadInput, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SequenceError(f"{file}: {error}") from None
    return PointMapSequence(path.resolve().stem, maps)


def _keys(file: Path) -> set[str]:
    if file.suffix == ".npz":
        with zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    return set(_load(file))


def _load(file: Path) -> dict[str, Any]:
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(file))
    except SafetensorError as error:
        raise ValueError(f"damaged: {error}") from None


class PointMapSequence(Sequence):
    """Frames made of point maps: metric once ``make_metric`` was called; depth along the rays of each camera.

    Attributes:
        maps: what the predictor said.
        scale: what makes it metric, or None so far.
    """

    def __init__(self, name: str, maps: PointMaps) -> None:
        self.name, self.format, self.label_names = name, FORMAT, {}
        self.maps = maps
        self.scale: MetricScale | None = None

    def make_metric(self, depth_source: DepthSource | None = None) -> MetricScale:
        """Find the metric scale.

        Raises:
            SequenceError: nothing says how long anything is, or what does contradicts itself.
        """
        maps = self.maps
        try:
            self.scale = scale_of_depth(maps, depth_source)
        except BadInput as error:
            raise SequenceError(f"{self.name}: {error}") from None
        if self.scale is None and maps.camera_height is not None:
            self.scale = self._by_height(maps.camera_height)
        if self.scale is None:
            raise SequenceError(
                f"{self.name} has point maps of unknown scale: add one of the arrays scale, metric_depth, "
                "metric_positions or camera_height, or set perception.depth_model (docs/geometry.md)"
            )
        return self.scale

    def _by_height(self, camera_height: float) -> MetricScale:
        """The floor is looked for in a room of likely size, and again in one of the size that was found."""
        depth = self.maps.depth
        factor = _ROOM_DEPTH / float(np.median(depth[depth > 0]))
        found = MetricScale(factor, np.inf, "")
        for _ in range(2):
            self.scale = found
            level = estimate_up(self)
            if level.floor is None:
                raise SequenceError(
                    f"{self.name}: camera_height needs the floor, which was not seen; give another scale"
                )
            heights = self.maps.poses[:, :3, 3] @ level.up - level.floor / found.factor
            if np.median(heights) <= 0:
                raise SequenceError(
                    f"{self.name}: the camera is not above the floor that was found; give another scale"
                )
            found = scale_of_height(heights, camera_height)
        return found

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[Record]:
        return map(self._read, range(len(self.maps)))

    def sample(self, count: int) -> Iterator[Record]:
        """At most ``count`` frames, spread evenly."""
        return map(self._read, spread(len(self.maps), count))

    def _read(self, index: int) -> Record:
        maps = self.maps
        scale = self.scale or self.make_metric()
        pose = maps.poses[index].copy()
        pose[:3, 3] *= scale.factor
        return Record(
            index,
            int(maps.stamps_ns[index]),
            rgb=None if maps.images is None else maps.images[index],
            depth=maps.depth[index] * np.float32(scale.factor),
            intrinsics=maps.cameras[index],
            pose=pose,
            scale_uncertainty=scale.uncertainty,
        )


def predicted(sequence: Sequence, predictor: str, frames: int = PREDICTED_FRAMES) -> PointMapSequence:
    """The colour images of a sequence, evenly sampled, through a predictor ``module:function``.

    Recorded camera positions, if any, tell the scale; only colour is needed.

    Raises:
        BadInput: see ``predict_point_maps``.
        SequenceError: no colour images.
    """
    records = [r for r in sequence.sample(frames) if r.rgb is not None]
    if not records:
        raise SequenceError(f"{sequence.name} has no colour images for the predictor {predictor}")
    references: dict[str, Any] = {"timestamps": np.array([r.stamp_ns / 1e9 for r in records])}
    if all(r.pose is not None for r in records):
        references["metric_positions"] = np.stack([r.pose[:3, 3] for r in records if r.pose is not None])
    images = [r.rgb for r in records if r.rgb is not None]
    return PointMapSequence(sequence.name, predict_point_maps(predictor, images, references))

"""A sequence of image files in folders: what all folder formats have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.registration import register, resize_to
from proxy3d_core.sequences.base import FRAME_RATE, NO_DEPTH, Record, Sequence, spread
from proxy3d_core.sequences.files import (
    Calibration,
    DepthEncoding,
    cleaned_pose,
    read_depth,
    read_labels,
    read_pose,
    read_rgb,
)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameFiles:
    """Where the parts of one frame are.

    Attributes:
        stamp_ns: time of capture.
        color, labels: image files, or None.
        depth: image file, or (H, W) float32 metres, or None.
        pose: 4x4 ``world_from_camera``, or the text file that holds it, or None.
        calibration: of this frame, where it differs from the sequence's.
    """

    stamp_ns: int
    color: Path | None
    depth: Path | NDArray[np.float32] | None
    pose: Path | Array | None
    labels: Path | None = None
    calibration: Calibration | None = None


def stamp_of_number(number: int) -> int:
    """Nanoseconds of a frame number at 30 Hz; numbers beyond 10^15 are taken as nanoseconds themselves."""
    return number if number > 10**15 else round(number * 1e9 / FRAME_RATE)


@dataclass(eq=False)
class FolderSequence(Sequence):
    """Frames in files.

    Attributes:
        files: in the order of their stamps.
        calibration: of the depth camera, or of the one camera there is.
        color_calibration: of the colour camera, where the format gives both.
        depth_encoding: of 16-bit depth files.
    """

    name: str
    format: str
    files: list[FrameFiles]
    calibration: Calibration
    depth_encoding: DepthEncoding = DepthEncoding.MILLIMETRES
    label_names: Mapping[int, str] = field(default_factory=dict)
    color_calibration: Calibration | None = None
    up: Array | None = None
    fixed_frame: str = "world"

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Record]:
        return (self.read(i) for i in range(len(self.files)))

    def sample(self, count: int) -> Iterator[Record]:
        """At most ``count`` frames, spread evenly; only these are decoded."""
        return (self.read(i) for i in spread(len(self.files), count))

    def read(self, index: int) -> Record:
        """Decode one frame."""
        files = self.files[index]

        def drop(reason: str) -> Record:
            return Record(index, files.stamp_ns, dropped=reason)

        if files.pose is None:
            return drop("no pose")
        try:
            pose = cleaned_pose(read_pose(files.pose) if isinstance(files.pose, Path) else files.pose)
        except BadInput:
            return drop("unreadable pose")
        if pose is None:
            return drop("invalid pose")
        if files.depth is None and files.color is None:
            return drop(NO_DEPTH)
        try:
            depth = read_depth(files.depth, self.depth_encoding) if isinstance(files.depth, Path) else files.depth
        except BadInput:
            return drop("unreadable depth image")
        try:
            rgb = None if files.color is None else read_rgb(files.color)
        except BadInput:
            return drop("unreadable colour image")
        try:
            labels = None if files.labels is None else read_labels(files.labels)
        except BadInput:
            return drop("unreadable label image")
        if depth is None:
            assert rgb is not None
            height, width = rgb.shape[:2]
            camera = (self.color_calibration or files.calibration or self.calibration).for_images((height, width), None)
            labels = None if labels is None else resize_to(labels, width, height, nearest=True)
            return Record(index, files.stamp_ns, NO_DEPTH, rgb=rgb, intrinsics=camera, pose=pose, labels=labels)
        camera = self._camera(files, depth, rgb)
        color_camera = None
        if self.color_calibration is not None and rgb is not None:
            height, width = rgb.shape[:2]
            color_camera = self.color_calibration.for_images((height, width), None)
        return Record(
            index,
            files.stamp_ns,
            rgb=None if rgb is None else _on_depth_grid(rgb, color_camera, depth, camera, nearest=False),
            depth=depth,
            intrinsics=camera,
            pose=pose,
            labels=None if labels is None else _on_depth_grid(labels, color_camera, depth, camera, nearest=True),
        )

    def _camera(self, files: FrameFiles, depth: NDArray[np.float32], rgb: NDArray[np.uint8] | None) -> Intrinsics:
        calibration = files.calibration or self.calibration
        color = None if rgb is None else (rgb.shape[0], rgb.shape[1])
        return calibration.for_images((depth.shape[0], depth.shape[1]), color)


def _on_depth_grid(
    image: NDArray[Any],
    camera: Intrinsics | None,
    depth: NDArray[np.float32],
    depth_camera: Intrinsics,
    nearest: bool,
) -> NDArray[Any]:
    if camera is None or image.shape[:2] != (camera.height, camera.width):
        return resize_to(image, depth_camera.width, depth_camera.height, nearest)
    return register(image, camera, depth, depth_camera, nearest=nearest)

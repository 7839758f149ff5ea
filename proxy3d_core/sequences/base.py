"""What a recorded sequence is, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.frame import Detection2D
from proxy3d_core.geometry.camera import Intrinsics

FRAME_RATE = 30.0
"""Frames per second of sequences that carry no stamps."""

NO_DEPTH = "no depth"
"""Why a frame with everything but depth is dropped."""


@dataclass(frozen=True, eq=False)
class Record:
    """One frame of a sequence as it was recorded, or the reason why it is unusable.

    Attributes:
        index: position in the sequence.
        stamp_ns: time of capture, nanoseconds.
        dropped: why the frame cannot be used, such as ``invalid pose``; empty if it can. The rest is then incomplete.
            What lacks only depth is dropped as NO_DEPTH and has all else, for a depth model to complete.
        rgb: (H, W, 3) uint8 on the depth grid, or None.
        depth: (H, W) float32 metres, 0 = no measurement.
        intrinsics: of the depth image.
        pose: 4x4 ``world_from_camera`` in the world of the sequence.
        labels: (H, W) integer class ids on the depth grid, or None.
        detections: 2D boxes in pixels of the depth grid.
        scale_uncertainty: see ``Frame``.
    """

    index: int
    stamp_ns: int
    dropped: str = ""
    rgb: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None
    intrinsics: Intrinsics | None = None
    pose: NDArray[np.float64] | None = None
    labels: NDArray[np.integer] | None = None
    detections: tuple[Detection2D, ...] = ()
    scale_uncertainty: float = 0.0


class Sequence(ABC):
    """A recorded RGB-D sequence; iterating decodes its frames in the order of their stamps.

    Attributes:
        name: for people.
        format: such as ``7-Scenes`` or ``rosbag2``.
        label_names: names of the class ids in label images.
        up: (3,) unit vector of the up axis in the sequence's world where the format states it, else None.
        fixed_frame: name of the world frame.
    """

    name: str
    format: str
    label_names: Mapping[int, str]
    up: NDArray[np.float64] | None = None
    fixed_frame: str = "world"

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames, unusable ones included."""

    @abstractmethod
    def __iter__(self) -> Iterator[Record]:
        """Decode all frames."""

    @abstractmethod
    def sample(self, count: int) -> Iterator[Record]:
        """At most ``count`` frames, spread evenly over the sequence."""


def spread(length: int, count: int) -> list[int]:
    """At most ``count`` positions, spread evenly over ``range(length)``."""
    if length <= count:
        return list(range(length))
    return [int((i + 0.5) * length / count) for i in range(count)]

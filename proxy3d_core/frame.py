"""One RGB-D frame with its pose and, where the robot has them, semantics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.geometry.transforms import check_rigid


@dataclass(frozen=True)
class Detection2D:
    """A labelled box on the image, in pixels of the depth grid; right and bottom are exclusive."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def from_message(cls, message: Any) -> Detection2D | None:
        """The best hypothesis of a ``vision_msgs/Detection2D`` of any middleware; None if it has none."""
        best = max((result.hypothesis for result in message.results), key=lambda h: h.score, default=None)
        if best is None:
            return None
        center, half_x, half_y = message.bbox.center.position, message.bbox.size_x / 2, message.bbox.size_y / 2
        box = (center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y)
        return cls(str(best.class_id), float(best.score), *box)


@dataclass(frozen=True, eq=False)
class Frame:
    """What the camera saw at one moment; all images lie on the depth image's grid.

    Attributes:
        stamp_ns: time of capture, nanoseconds.
        depth: (H, W) float32 metres along the optical axis, 0 = no measurement.
        intrinsics: of the depth image.
        pose: 4x4 ``fixed_from_camera``; the fixed frame has z up, the camera frame is optical.
        rgb: (H, W, 3) uint8, or None.
        labels: (H, W) integer class ids of a segmenter, or None.
        label_names: names of the ids in ``labels``; ids that are not listed count as unlabelled.
        detections: 2D boxes of a detector.
        instances: (H, W) integer ids of single things, 0 = none, or None; an id means nothing in other frames.
        scale_uncertainty: relative standard deviation of the depth's metric scale, beyond its noise: 0 = a sensor's.
    """

    stamp_ns: int
    depth: NDArray[np.float32]
    intrinsics: Intrinsics
    pose: NDArray[np.float64]
    rgb: NDArray[np.uint8] | None = None
    labels: NDArray[np.integer] | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    detections: tuple[Detection2D, ...] = ()
    scale_uncertainty: float = 0.0
    instances: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", check_rigid(self.pose, "camera pose"))
        shape = (self.intrinsics.height, self.intrinsics.width)
        if self.depth.shape != shape:
            raise BadInput(
                f"depth is {self.depth.shape[1]}x{self.depth.shape[0]} but camera info says {shape[1]}x{shape[0]}; "
                "use the camera info of the depth image"
            )
        for name, image in (("colour", self.rgb), ("label", self.labels), ("instance", self.instances)):
            if image is not None and image.shape[:2] != shape:
                raise BadInput(
                    f"{name} image is {image.shape[1]}x{image.shape[0]} but depth is {shape[1]}x{shape[0]}; "
                    "register the two images to one size"
                )

    @property
    def camera_center(self) -> NDArray[np.float64]:
        """(3,) position of the camera in the fixed frame."""
        return self.pose[:3, 3]

"""Region prompts drawn on a frame (SR-3D, arXiv 2509.13317, section 3): a 2D box or mask becomes a 3D box.

The newest views are kept at working resolution. A region's pixels are lifted with their depth; background that a drawn
box takes in is left out, because what is meant is the surface that most of the region shows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.camera import Intrinsics, unproject
from proxy3d_core.geometry.transforms import transform_points
from proxy3d_core.perception.observation import Observation

_KEPT = 100
_SPACING_NS = 100_000_000
_SAME_VIEW_NS = 100_000_000  # a region belongs to the view that is this near in time
_SPREAD = 0.3  # m; depths of one thing differ from their median by no more, or by a third of its size if that is more
_LEAST_POINTS = 3
_TRIM = 0.02
_MOST_PIXELS = 50_000_000


@dataclass(frozen=True, eq=False)
class View:
    """What a region is lifted with: stamp, frame size, camera and depth (h, w) in metres at working resolution."""

    stamp_ns: int
    width: int
    height: int
    pose: NDArray[np.float64]
    intrinsics: Intrinsics
    depth: NDArray[np.float16]


class RecentViews:
    """The newest views, bounded in number, at most ten a second."""

    def __init__(self) -> None:
        self._views: deque[View] = deque(maxlen=_KEPT)

    def add(self, observation: Observation, width: int, height: int) -> None:
        """Remember a view of a frame of ``width`` x ``height`` pixels."""
        depth = observation.depth.astype(np.float16)
        view = View(observation.stamp_ns, width, height, observation.pose, observation.intrinsics, depth)
        # The newest is always kept; it gives way to the next one unless it is far enough from the one before it.
        if len(self._views) >= 2 and 0 <= self._views[-1].stamp_ns - self._views[-2].stamp_ns < _SPACING_NS:
            self._views[-1] = view
        else:
            self._views.append(view)

    def find(self, stamp_ns: int) -> View:
        """The view at a stamp; 0 = the newest.

        Raises:
            BadInput: there is none; the message says which stamps there are.
        """
        if not self._views:
            raise BadInput("no frame has been seen yet that a region could be drawn on")
        if stamp_ns == 0:
            return self._views[-1]
        best = min(self._views, key=lambda view: abs(view.stamp_ns - stamp_ns))
        if abs(best.stamp_ns - stamp_ns) > _SAME_VIEW_NS:
            newest, oldest = max(v.stamp_ns for v in self._views), min(v.stamp_ns for v in self._views)
            raise BadInput(
                f"no frame is kept at {stamp_ns / 1e9:.3f} s, only {oldest / 1e9:.3f} to {newest / 1e9:.3f} s; "
                "draw the region on a newer frame, or give a 3D box"
            )
        return best


def lift_mask(view: View, mask: NDArray[np.bool_]) -> OrientedBox:
    """The 3D box of what a mask (H, W), of any resolution of the view's image, shows.

    Raises:
        BadInput: the mask is empty or has no depth.
    """
    h, w = view.depth.shape
    small = cv2.resize(mask.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA) > 0.25
    depth = view.depth.astype(np.float32)
    chosen = small & (depth > 0)
    if chosen.sum() < _LEAST_POINTS:
        raise BadInput("the region shows nothing with depth; draw it larger or on another frame")
    middle = float(np.median(depth[chosen]))
    extent = np.sqrt(chosen.sum()) * middle / view.intrinsics.fx
    chosen &= np.abs(depth - middle) < max(_SPREAD, extent / 3)
    points = transform_points(view.pose, unproject(depth, view.intrinsics)[chosen])
    return OrientedBox.around(points, _TRIM)


def box_mask(left: int, top: int, right: int, bottom: int, width: int, height: int) -> NDArray[np.bool_]:
    """Mask (height, width) of a 2D box in pixels, right and bottom exclusive.

    Raises:
        BadInput: the box is empty or lies outside the image.
    """
    if not (0 <= left < right and 0 <= top < bottom and left < width and top < height):
        raise BadInput(f"the 2D box {left}, {top}, {right}, {bottom} is empty or outside the {width}x{height} image")
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def mask_from_runs(runs: NDArray[np.integer], width: int, height: int) -> NDArray[np.bool_]:
    """Mask (height, width) from run lengths, row by row, beginning with the run of zeros.

    Raises:
        BadInput: the runs do not fill the image exactly.
    """
    lengths = np.asarray(runs, dtype=np.int64)
    if width <= 0 or height <= 0 or width * height > _MOST_PIXELS or int(lengths.sum()) != width * height:
        raise BadInput(
            f"the mask's runs cover {int(lengths.sum())} pixels, its image has {width}x{height}; "
            "image_width, image_height and mask_runs must belong together"
        )
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(height, width)

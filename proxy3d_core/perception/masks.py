"""Instance masks of one frame: (h, w) int32 images, 0 = none, else the number of the mask.

Three sources: the robot's label image, geometry alone, or a mask model (``segment_anything.py``). Masks of one frame
are only good within it; ``scene/instances.py`` merges those of many frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.models import require_models
from proxy3d_core.perception.continuity import depth_links, neighbours

_OFF_PLANE = 0.01  # m; with 1 % of the range: how far a neighbour lies off the tangent plane
_OFF_PLANE_SHARE = 0.01
_BEND = 0.2  # rad between neighbouring normals, and
_BEND_NOISE = 0.055  # rad for each metre of range: the noise of a normal grows with it


class MaskModel(Protocol):
    """A model that finds the masks of everything in an image; see ``load_mask_model``."""

    name: str

    def segment(self, rgb: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.int32]:
        """Masks of an image (H, W, 3) uint8 on a grid (h, w). Raises BadInput."""
        ...


def load_mask_model(source: str | Path, device: str = "auto") -> MaskModel:
    """SAM 2, ready to use.

    Args:
        source: folder with config.json, preprocessor_config.json and safetensors, or a hub id such as
            ``facebook/sam2.1-hiera-small`` (looked up on the network only then).
        device: "auto" (CUDA where there is one, in half precision, else the CPU), or what ``torch.device`` understands.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: the checkpoint is missing, incomplete, unsafe or of an unknown kind, or the device cannot be used.
    """
    require_models(f"the mask model {source}")
    from proxy3d_core.perception.segment_anything import load_network

    return load_network(source, device)


def label_masks(
    labels: NDArray[np.integer], depth: NDArray[np.float32], least: int = 4, none: int = 0
) -> NDArray[np.int32]:
    """Connected parts of one class that also connect in depth.

    Two things of one class that overlap in the image come apart where one lies behind the other.

    Args:
        labels: (h, w) class ids.
        depth: (h, w) metres, 0 = no measurement; such pixels are in no mask.
        least: smaller parts, in pixels, are dropped.
        none: class ids up to this one are in no mask.

    Returns:
        (h, w) int32 masks, numbered from 1 in reading order.
    """
    inside = (labels > none) & (depth > 0)

    def joined(axis: int) -> NDArray[np.bool_]:
        label, next_label = neighbours(labels, axis)
        return np.asarray(depth_links(depth, inside, axis) & (label == next_label))

    return _connected(inside, joined(1), joined(0), least)


def surface_masks(
    points: NDArray[np.floating], normals: NDArray[np.floating], valid: NDArray[np.bool_], least: int = 12
) -> NDArray[np.int32]:
    """Smooth surfaces between depth edges and creases: floor and wall apart, the table top apart from its legs.

    Neighbours are one surface if the step between them lies in their tangent planes and their normals agree; seen at a
    flat angle a floor is still one surface, however large its steps in depth are.

    Args:
        points: (h, w, 3) metres, with the camera at the origin (any rotation).
        normals: (h, w, 3) unit vectors.
        valid: (h, w), where both are known; other pixels are in no mask.
        least: smaller surfaces, in pixels, are dropped.

    Returns:
        (h, w) int32 masks, numbered from 1 in reading order.
    """
    distance = np.sqrt(np.einsum("hwc,hwc->hw", points, points))
    off_plane = _OFF_PLANE + _OFF_PLANE_SHARE * distance
    bend = np.cos(_BEND + _BEND_NOISE * distance)

    def joined(axis: int) -> NDArray[np.bool_]:
        (p, q), (n, m) = neighbours(points, axis), neighbours(normals, axis)
        (tolerance, _), (least_cosine, _) = neighbours(off_plane, axis), neighbours(bend, axis)
        off = np.abs(np.einsum("hwc,hwc->hw", q - p, n + m))  # of the plane between the two tangent planes, twice
        return np.asarray((off < 2 * tolerance) & (np.einsum("hwc,hwc->hw", n, m) > least_cosine))

    return _connected(valid, joined(1), joined(0), least)


def patch_masks(masks: NDArray[np.integer], grid: tuple[int, int]) -> NDArray[np.int32]:
    """Masks (H, W) on a grid (h, w) of patches: each takes the mask with the largest area in it (Proxy3D, M_i).

    What is in no mask counts as one of them; of equal areas the lower number wins. Cell (i, j) covers the pixels
    [j W/w, (j+1) W/w) x [i H/h, (i+1) H/h); a pixel that lies in two cells counts where its centre is.
    """
    height, width = masks.shape
    h, w = grid
    row = ((np.arange(height) + 0.5) * h / height).astype(np.int64)
    column = ((np.arange(width) + 0.5) * w / width).astype(np.int64)
    present, number = np.unique(masks, return_inverse=True)
    cell = row[:, None] * w + column
    areas = np.bincount((cell * len(present) + number.reshape(masks.shape)).reshape(-1), minlength=h * w * len(present))
    return np.asarray(present[areas.reshape(h, w, len(present)).argmax(axis=2)], np.int32)


def _connected(
    inside: NDArray[np.bool_], right: NDArray[np.bool_], down: NDArray[np.bool_], least: int
) -> NDArray[np.int32]:
    """Components of the pixel grid with these links (h, w - 1) and (h - 1, w).

    Pixels and links are drawn into one image of twice the size, which a component labelling of images then does.
    """
    h, w = inside.shape
    drawn = np.zeros((2 * h - 1, 2 * w - 1), np.uint8)
    drawn[::2, ::2] = inside
    drawn[::2, 1::2] = right & inside[:, 1:] & inside[:, :-1]
    drawn[1::2, ::2] = down & inside[1:] & inside[:-1]
    numbers = cv2.connectedComponents(drawn, connectivity=4, ltype=cv2.CV_32S)[1][::2, ::2]
    sizes = np.bincount(numbers.reshape(-1))
    kept = sizes >= least
    kept[0] = False
    compact = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(compact[numbers], np.int32)

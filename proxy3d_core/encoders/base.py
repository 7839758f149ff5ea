"""What all semantic encoders share: images in, a grid of feature vectors out, and the arithmetic of the grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput

if TYPE_CHECKING:
    import torch

Images: TypeAlias = "Sequence[NDArray[np.uint8]] | NDArray[np.uint8]"
"""(N, H, W, 3) uint8 RGB, as an array or a list."""

Features: TypeAlias = "NDArray[np.float32] | torch.Tensor"
"""(N, h, w, C): an array of the built-in encoder, a tensor on the model's device of all others."""


class SemanticEncoder(ABC):
    """Features of images on a grid of cells: Proxy3D's F_i.

    Cell (i, j) of an h x w grid covers the image pixels ``[i*H/h, (i+1)*H/h) x [j*W/w, (j+1)*W/w)`` (rows, columns).
    The features are plain (N, h, w, C) arrays: what refines them (a position code as in SR-3D, latents as in Spa3R,
    pooling over a region) comes after.

    Attributes:
        name: which model and stage; features of different names do not compare.
        channels: C.
    """

    def __init__(self, name: str, channels: int, cells: int | tuple[int, int], step: int = 1) -> None:
        """Cells as for ``load_encoder``; both sides of the grid are multiples of ``step``. Raises BadInput."""
        self.name, self.channels = name, channels
        self._cells, self._step = cells, step
        if isinstance(cells, int):
            if cells < step * step:
                raise BadInput(f"{cells} cells are too few for {name}: its grid has at least {step}x{step}")
        elif min(cells) < 1 or cells[0] % step or cells[1] % step:
            raise BadInput(f"a grid of {cells[0]}x{cells[1]} does not fit {name}: both must be multiples of {step}")

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the cells for images of this size [px].

        Of the grids with at most ``cells`` cells the one whose coarser direction is finest, so that cells come out
        nearly square; 336 and 1344 cells give Proxy3D's 16x21 and 32x42 for 4:3.
        """
        if not isinstance(self._cells, int):
            return self._cells
        rows, columns = finest_grid(height, width, self._cells // self._step**2)
        return rows * self._step, columns * self._step

    @abstractmethod
    def encode(self, images: Images) -> Features:
        """(N, h, w, C) features of images of one size.

        Raises:
            BadInput: no image, or images that are not (H, W, 3) uint8 of one size.
        """


def finest_grid(height: int, width: int, cells: int) -> tuple[int, int]:
    """Rows and columns, at most ``cells`` in all, that cut an image as finely and as squarely as can be."""
    choices = ((rows, min(cells // rows, -(-width * rows // height))) for rows in range(1, cells + 1))
    # cells per pixel of the coarser direction, times height*width to stay with integers; of equals the fewest cells
    return max(choices, key=lambda grid: (min(grid[0] * width, grid[1] * height), -grid[0] * grid[1]))


def image_stack(images: Images) -> NDArray[np.uint8]:
    """(N, H, W, 3) uint8. Raises BadInput as ``SemanticEncoder.encode``."""
    if not len(images):
        raise BadInput("no image to encode")
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise BadInput(f"images of different sizes ({', '.join(map(str, sorted(shapes)))}); encode each size by itself")
    stack = np.asarray(images)
    if stack.ndim != 4 or stack.shape[3] != 3 or stack.dtype != np.uint8 or 0 in stack.shape:
        raise BadInput(f"images must be (H, W, 3) uint8 RGB, not {stack.shape[1:]} {stack.dtype}")
    return stack


def to_numpy(features: Features) -> NDArray[np.float32]:
    """Features as a float32 array in main memory."""
    if isinstance(features, np.ndarray):
        return features.astype(np.float32, copy=False)
    array: NDArray[np.float32] = features.detach().float().cpu().numpy()
    return array

"""Features without a model: colour, its spread, and edges by direction."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.encoders.base import Images, SemanticEncoder, image_stack

CELL = 8
"""Pixels along a cell: images are brought to this resolution, so that features do not depend on the camera's."""
DIRECTIONS = 4
"""Edge directions over half a turn."""
CHANNELS = 3 + 3 + DIRECTIONS

_SLOPE, _SAME = np.array([-0.5, 0, 0.5], np.float32), np.ones(1, np.float32)  # central difference along one axis


class AppearanceEncoder(SemanticEncoder):
    """What a cell looks like, in 10 numbers of about unit size: the default where no model is configured.

    Channels: mean of CIELAB / 100 (3), its standard deviation (3), strength of edges of the lightness in each of four
    directions (4; 0, 45, 90, 135 degrees of the gradient, x right, y down). They tell surfaces apart by look; they know
    no names.
    """

    def __init__(self, cells: int | tuple[int, int]) -> None:
        super().__init__("appearance", CHANNELS, cells)

    def encode(self, images: Images) -> NDArray[np.float32]:
        """(N, h, w, 10) float32 features of images (N, H, W, 3). Raises BadInput as ``SemanticEncoder.encode``."""
        stack = image_stack(images)
        rows, columns = self.grid(*stack.shape[1:3])
        return np.stack([_look(image, rows, columns) for image in stack])


def _look(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float32]:
    """(h, w, 10): colour, spread and edges of one image."""
    pixels = cv2.resize(image, (columns * CELL, rows * CELL), interpolation=cv2.INTER_AREA).astype(np.float32)
    pixels /= 255
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB) / 100
    lightness = np.ascontiguousarray(lab[..., 0])
    slope_x, slope_y = (cv2.sepFilter2D(lightness, -1, *kernels) for kernels in ((_SLOPE, _SAME), (_SAME, _SLOPE)))
    strength, turn = cv2.cartToPolar(slope_x, slope_y)
    which = np.rint(turn * np.float32(DIRECTIONS / np.pi)).astype(np.uint8) % DIRECTIONS
    edges = cv2.merge([np.where(which == direction, strength, np.float32(0)) for direction in range(DIRECTIONS)])

    def cells(values: cv2.typing.MatLike) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)

    mean = cells(lab)
    spread = np.sqrt(np.maximum(cells(lab * lab) - mean * mean, 0))
    return np.concatenate([mean, spread, cells(edges)], axis=-1)

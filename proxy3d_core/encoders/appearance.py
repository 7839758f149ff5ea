"""Features without a model: colour, its spread, edges by direction and, where it is known, the surface normal."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.encoders.base import Images, SemanticEncoder, image_stack
from proxy3d_core.errors import BadInput

CELL = 8
"""Pixels along a cell: images are brought to this resolution, so that features do not depend on the camera's."""
DIRECTIONS = 4
"""Edge directions over half a turn."""
CHANNELS = 3 + 3 + DIRECTIONS + 3


class AppearanceEncoder(SemanticEncoder):
    """What a cell looks like, in 13 numbers of about unit size: the default where no model is configured.

    Channels: mean of CIELAB / 100 (3), its standard deviation (3), strength of edges of the lightness in each of four
    directions (4; 0, 45, 90, 135 degrees of the gradient, x right, y down), unit normal (3; zero = unknown). They tell
    surfaces apart by look; they know no names.
    """

    def __init__(self, cells: int | tuple[int, int]) -> None:
        super().__init__("appearance", CHANNELS, cells)

    def encode(self, images: Images, normals: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
        """(N, h, w, 13) float32.

        Args:
            images: (N, H, W, 3) uint8 RGB.
            normals: (N, h, w, 3) unit normals of the cells of ``grid(H, W)`` in any fixed frame, zero = unknown.

        Raises:
            BadInput: as ``SemanticEncoder.encode``, or normals of another shape.
        """
        stack = image_stack(images)
        rows, columns = self.grid(*stack.shape[1:3])
        features = np.zeros((len(stack), rows, columns, CHANNELS), np.float32)
        for image, out in zip(stack, features, strict=True):
            out[..., :-3] = _look(image, rows, columns)
        if normals is not None:
            if normals.shape != (*features.shape[:3], 3):
                raise BadInput(f"normals are {normals.shape} but the grid is {(*features.shape[:3], 3)}")
            features[..., -3:] = normals
        return features


def _look(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.floating]:
    """(h, w, 10): colour, spread and edges of one image."""
    pixels = cv2.resize(image, (columns * CELL, rows * CELL), interpolation=cv2.INTER_AREA).astype(np.float32)
    lab = cv2.cvtColor(pixels / 255, cv2.COLOR_RGB2LAB) / 100
    slope_y, slope_x = np.gradient(lab[..., 0])
    turn = np.arctan2(slope_y, slope_x) % np.pi * (DIRECTIONS / np.pi)
    which = np.round(turn).astype(np.intp) % DIRECTIONS
    edges = np.hypot(slope_x, slope_y)[..., None] * (which[..., None] == np.arange(DIRECTIONS))

    def cells(values: NDArray[np.floating]) -> NDArray[np.floating]:
        mean: NDArray[np.floating] = values.reshape(rows, CELL, columns, CELL, -1).mean((1, 3))
        return mean

    mean = cells(lab)
    spread = np.sqrt(np.maximum(cells(lab * lab) - mean * mean, 0))
    return np.concatenate([mean, spread, cells(edges)], axis=-1)

"""Triplets: what every patch of every frame says (Proxy3D, arXiv 2605.08064, section 3: {f_j, p_j, m_j})."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput


@dataclass(frozen=True, eq=False)
class Triplets:
    """L patches with their feature, place and group.

    Attributes:
        features: (L, C) float32 or float16.
        points: (L, 3) float32, fixed frame, metres.
        groups: (L,) int64 object id; negative for background.
        weights: (L,) float32, positive: how much each patch counts in means.

    Raises:
        BadInput: lengths differ, or points or weights are not finite, or weights are not positive.
    """

    features: NDArray[np.float32] | NDArray[np.float16]
    points: NDArray[np.float32]
    groups: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.features.ndim != 2 or self.points.shape != (n, 3):
            raise BadInput(f"features {self.features.shape} must be (L, C) and points {self.points.shape} (L, 3)")
        if not len(self.features) == len(self.groups) == len(self.weights) == n:
            raise BadInput(
                f"features {self.features.shape}, points {self.points.shape}, groups {self.groups.shape} and weights "
                f"{self.weights.shape} differ in length"
            )
        if not (np.isfinite(self.points).all() and np.isfinite(self.weights).all() and (self.weights > 0).all()):
            raise BadInput("points and weights must be finite, weights positive")

    def __len__(self) -> int:
        return len(self.points)

"""What can be seen from where, without any picture: rays against the bare triangles of a scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry import Intrinsics
from proxy3d_core.geometry.camera import pixel_rays
from proxy3d_training.simulation.lighting import Caster
from proxy3d_training.simulation.rooms import Scene

Array = NDArray[np.float64]

WIDTH = 160
"""Visibility is judged on pictures of this width, pixels."""


class Sight:
    """Which things rays meet."""

    def __init__(self, scene: Scene) -> None:
        parts = [(p, 0) for p in scene.shell()]
        parts += [(p.moved(i.position, yaw=i.yaw), i.id) for i in scene.items for p in i.parts]
        self._caster = Caster(np.concatenate([p.vertices[p.faces] for p, _ in parts]))
        ids = np.repeat([number for _, number in parts], [len(p.faces) for p, _ in parts])
        self._ids = np.append(ids, 0).astype(np.int64)  # face -1: nothing

    def along(self, origins: Array, directions: Array) -> tuple[NDArray[np.int64], Array]:
        """Ids (N,), 0 for walls, floor, ceiling and nothing, and distances (N,) in lengths of the directions."""
        face, distance, _ = self._caster.first(origins, directions)
        return self._ids[face], distance

    def shares(self, pose: Array, k: Intrinsics) -> dict[int, float]:
        """Share of a picture's pixels that each visible thing has; ``pose``: 4x4 world_from_camera."""
        scale = WIDTH / k.width
        small = Intrinsics(
            WIDTH,
            round(k.height * scale),
            k.fx * scale,
            k.fy * scale,
            (k.cx + 0.5) * scale - 0.5,
            (k.cy + 0.5) * scale - 0.5,
        )
        directions = pixel_rays(small).astype(np.float64).reshape(-1, 3) @ pose[:3, :3].T
        ids, _ = self.along(np.broadcast_to(pose[:3, 3], directions.shape), directions)
        found, count = np.unique(ids, return_counts=True)
        return {int(i): float(n) / len(ids) for i, n in zip(found, count, strict=True) if i}

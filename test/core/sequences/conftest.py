"""Tiny sequences: what is written into them is what must come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from proxy3d_core.geometry.transforms import yaw_matrix


@dataclass
class Tiny:
    """Three frames of 64x48 with known pixels, depth and poses; ``write_*`` store their parts."""

    width: int = 64
    height: int = 48
    k: np.ndarray = field(default_factory=lambda: np.array([[60.0, 0, 31.5], [0, 61, 23.5], [0, 0, 1]]))
    numbers: tuple[int, ...] = (0, 1, 2)

    def pose(self, i: int) -> np.ndarray:
        out = np.eye(4)
        out[:3, :3] = yaw_matrix(0.3 * i)
        out[:3, 3] = i, 2.0, -0.5
        return out

    def depth_mm(self, i: int) -> np.ndarray:
        """A ramp of odd numbers, so that no encoding is mistaken for another; no measurement in the first row."""
        ramp = 1001 + 100 * i + 2 * np.arange(self.width * self.height).reshape(self.height, self.width) % 2000
        ramp[0] = 0
        return ramp.astype(np.uint16)

    def depth(self, i: int) -> np.ndarray:
        return self.depth_mm(i).astype(np.float64) / 1000

    def color(self, i: int) -> np.ndarray:
        """Red left, green right, blue grows with the frame number."""
        out = np.zeros((self.height, self.width, 3), np.uint8)
        out[:, : self.width // 2, 0] = 255
        out[:, self.width // 2 :, 1] = 255
        out[..., 2] = 40 * i
        return out

    def labels(self, i: int) -> np.ndarray:
        out = np.zeros((self.height, self.width), np.uint8)
        out[10:20, 10 + i : 20 + i] = 9
        return out

    def write_color(self, path: Path, i: int, scale: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = self.color(i).repeat(scale, 0).repeat(scale, 1)
        assert cv2.imwrite(str(path), image[..., ::-1])

    def write_gray(self, path: Path, image: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image)

    def write_text(self, path: Path, numbers: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, numbers)

    def seven_scenes(self, folder: Path) -> Path:
        for i, n in enumerate(self.numbers):
            name = f"frame-{n:06d}"
            self.write_color(folder / f"{name}.color.png", i)
            self.write_gray(folder / f"{name}.depth.png", self.depth_mm(i))
            self.write_gray(folder / f"{name}.labels.png", self.labels(i))
            self.write_text(folder / f"{name}.pose.txt", self.pose(i))
        self.write_text(folder / "camera-intrinsics.txt", self.k)
        (folder / "labels.json").write_text('{"0": "background", "9": "chair"}')
        return folder


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()

"""Building blocks of furniture: coloured triangle meshes in metres, z up.

Primitives come from trimesh; what is added here is the material of each part and the few soft shapes that rooms need
(cushions, leaves, curtains).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Color: TypeAlias = tuple[float, float, float]


def srgb(code: str) -> Color:
    """Linear albedo of a display colour such as ``"#8a5a3c"`` (IEC 61966-2-1, with the plain 2.2 power)."""
    return tuple((int(code[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5))  # type: ignore[return-value]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        color: linear albedo (r, g, b), 0..1.
        pattern: name of a procedural texture in ``materials.PATTERNS``.
        second: the other colour of the pattern.
        scale: size of the pattern, metres (what it measures depends on the pattern).
        axis: direction of grain, planks or stripes: 0, 1, 2 = x, y, z of the item.
        emission: linear radiance that the surface sends out by itself.
        gloss: share of mirror-like reflection at normal incidence is 4 % of this; 0 = matt.
        opaque: False for window glass: it shows the sky and gives no depth.
    """

    color: Color
    pattern: str = "plain"
    second: Color = (0.0, 0.0, 0.0)
    scale: float = 0.1
    axis: int = 0
    emission: float = 0.0
    gloss: float = 0.0
    opaque: bool = True


@dataclass(frozen=True, eq=False)
class Part:
    """A triangle mesh of one material: vertices (N, 3) metres, faces (M, 3) counter-clockwise from outside."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    material: Material

    def moved(self, to: ArrayLike = (0, 0, 0), yaw: float = 0, pitch: float = 0, roll: float = 0) -> Part:
        """Turned about x (roll), then y (pitch), then z (yaw) [degrees], then shifted."""
        shift = np.asarray(to, dtype=np.float64)
        if yaw == pitch == roll == 0:
            return replace(self, vertices=self.vertices + shift)
        turn = Rotation.from_euler("xyz", (roll, pitch, yaw), degrees=True).as_matrix()
        return replace(self, vertices=self.vertices @ turn.T + shift)


def _part(mesh: trimesh.Trimesh, material: Material) -> Part:
    return Part(np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64), material)


@cache
def _cube() -> Part:
    """The unit cube about the origin; making a mesh takes trimesh a while, and rooms hold hundreds of cuboids."""
    return _part(trimesh.creation.box((1, 1, 1)), Material((1.0, 1.0, 1.0)))


@cache
def _fine_cube() -> Part:
    """A cube of edge 2 with 64 squares on every side."""
    mesh = trimesh.creation.box((2, 2, 2)).subdivide().subdivide().subdivide()
    return _part(mesh, Material((1.0, 1.0, 1.0)))


def _cuboid(size: ArrayLike, center: ArrayLike, material: Material) -> Part:
    cube = _cube()
    return Part(cube.vertices * np.asarray(size, dtype=np.float64) + np.asarray(center), cube.faces, material)


def box(size: Sequence[float], at: Sequence[float], material: Material) -> Part:
    """A cuboid with edges ``size`` whose *bottom centre* is ``at``."""
    return _cuboid(size, (at[0], at[1], at[2] + size[2] / 2), material)


def slab(low: Sequence[float], high: Sequence[float], material: Material) -> Part:
    """The cuboid between two opposite corners."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    return _cuboid(high - low, (low + high) / 2, material)


def cushion(size: Sequence[float], at: Sequence[float], material: Material, softness: float = 0.35) -> Part:
    """A box with soft edges and bulging sides (superellipsoid; softness 1 = ellipsoid); ``at``: its bottom centre."""
    fine = _fine_cube()
    power = 2 / max(softness, 0.05)
    radius = (np.abs(fine.vertices) ** power).sum(axis=1) ** (-1 / power)
    vertices = fine.vertices * radius[:, None] * np.asarray(size) / 2
    return Part(vertices, fine.faces, material).moved((at[0], at[1], at[2] + size[2] / 2))


def lathe(profile: ArrayLike, at: Sequence[float], material: Material, sections: int = 24) -> Part:
    """Surface of revolution about z: ``profile`` holds (radius, height) from bottom to top, relative to ``at``."""
    return _part(trimesh.creation.revolve(np.asarray(profile, dtype=np.float64), sections=sections), material).moved(at)


def cylinder(
    radius: float, height: float, at: Sequence[float], material: Material, top: float | None = None, sections: int = 24
) -> Part:
    """An upright cylinder, or cone frustum with another ``top`` radius; ``at`` is its bottom centre."""
    return lathe([(0, 0), (radius, 0), (radius if top is None else top, height), (0, height)], at, material, sections)


def rod(start: ArrayLike, end: ArrayLike, radius: float, material: Material, sections: int = 10) -> Part:
    """A round bar between two points."""
    segment = np.asarray([start, end], dtype=np.float64)
    return _part(trimesh.creation.cylinder(radius=radius, segment=segment, sections=sections), material)


def ball(radius: float | Sequence[float], at: Sequence[float], material: Material) -> Part:
    """A sphere or ellipsoid about ``at``."""
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.vertices = mesh.vertices * np.asarray(radius)
    return _part(mesh, material).moved(at)


def sheet(points: ArrayLike, material: Material) -> Part:
    """A grid of points (R, C, 3) as a surface that is seen from both sides."""
    grid = np.asarray(points, dtype=np.float64)
    rows, columns = grid.shape[:2]
    i = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = i[:-1, :-1].ravel(), i[:-1, 1:].ravel(), i[1:, 1:].ravel(), i[1:, :-1].ravel()
    return Part(grid.reshape(-1, 3), np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]), material)


def leaf(length: float, width: float, droop: float, material: Material, steps: int = 7) -> Part:
    """A leaf from the origin along +x that rises and bends down by ``droop`` (0 = straight)."""
    s = np.linspace(0, 1, steps)
    half = width / 2 * np.sin(np.pi * np.clip(s * 0.96 + 0.04, 0, 1)) ** 0.8
    x, z = length * s * (1 - 0.25 * droop * s), length * (0.55 * s - droop * s**2)
    rows = [np.stack([x, side * half, z + 0.25 * np.abs(side) * half], axis=1) for side in (-1, 0, 1)]
    return sheet(np.stack(rows), material)

"""Pictures of a room: colour, exact depth, instances."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry import Intrinsics
from proxy3d_core.geometry.camera import pixel_rays
from proxy3d_training.simulation.lighting import SUN, Caster, light_room
from proxy3d_training.simulation.materials import albedo, sky
from proxy3d_training.simulation.rooms import Geometry, Scene

Array = NDArray[np.float64]
Single = NDArray[np.float32]

_LIFT = np.float32(2e-3)  # where rays start off a surface, metres
_FAINT = 0.02  # reflections with a smaller share are left out


@dataclass(frozen=True, eq=False)
class Picture:
    """One rendered view.

    Attributes:
        radiance: (H, W, 3) linear.
        depth: (H, W) exact depth along the optical axis, metres; 0 where nothing solid is seen (sky).
        instance: (H, W) int32 id of the item, 0 for floor, walls, ceiling.
        cosine: (H, W) of the angle between the view ray and the surface normal.
        gloss: (H, W) of the surface, 0 = matt.
    """

    radiance: Array
    depth: Array
    instance: NDArray[np.int32]
    cosine: Array
    gloss: Array


class Renderer:
    """Renders one state of a room. Lighting is computed on construction (seconds), pictures after that are fast."""

    def __init__(
        self,
        room: Scene,
        max_edge: float = 0.10,
        rays: int = 64,
        shadow_rays: int = 16,
        item_edge: float | None = None,
        smoothing: int = 8,
    ) -> None:
        self.room = room
        self.geometry = Geometry.of(room, max_edge, item_edge)
        self._caster = Caster(self.geometry.vertices[self.geometry.faces])
        self.light = light_room(room, self.geometry, self._caster, rays, shadow_rays, smoothing=smoothing)
        g = self.geometry
        self._normals = g.normals.astype(np.float32)
        self._vertex_values = np.hstack([g.normals, self.light.irradiance]).astype(np.float32)
        self._opaque = np.array([m.opaque for m in g.materials])
        self._gloss = np.array([m.gloss for m in g.materials], np.float32)
        self._emission = np.array([m.emission for m in g.materials], np.float32)
        # Index -1 (floor, walls, ceiling) is the last entry: no item.
        self._ids = np.array([item.id for item in g.items] + [0], np.int32)
        self._rotations = np.array([item.rotation for item in g.items], np.float32).reshape(-1, 3, 3)
        self._positions = np.array([item.position for item in g.items], np.float32).reshape(-1, 3)

    def render(self, pose: Array, k: Intrinsics, samples: int = 1, adaptive: bool = False) -> Picture:
        """A view from ``pose`` (4x4 room_from_camera, optical axes).

        Args:
            samples: colour samples per pixel and axis (2 = four per pixel); depth and instances belong to the centre.
            adaptive: only pixels at edges get more than one, and these the one at the centre and ``samples`` others.
        """
        rays = pixel_rays(k).astype(np.float32).reshape(-1, 3)
        count, eye, rotation = len(rays), pose[:3, 3].astype(np.float32), pose[:3, :3].astype(np.float32)
        directions = rays @ rotation.T
        face, depth, weights = self._caster.first(np.broadcast_to(eye, (count, 3)), directions)
        material = self.geometry.face_material[face]
        solid = (face >= 0) & self._opaque[material]
        instance = np.where(face >= 0, self._ids[self.geometry.face_item[face]], 0).astype(np.int32)
        normals = self._at_hits(face, weights, self._normals)
        cosine = np.abs(np.einsum("ij,ij->i", normals, directions)) / np.linalg.norm(directions, axis=1)
        shape = (k.height, k.width)
        if samples == 1 or adaptive:
            radiance = self._shade(eye, directions, face, depth, weights)
        if samples > 1:
            ask = np.arange(count)
            steps = (np.arange(samples) + 0.5) / samples - 0.5
            spots = [(dx, dy) for dy in steps for dx in steps]
            if adaptive:
                surface = np.where(solid, self.geometry.face_item[face] * len(self._opaque) + material, -(10**9))
                ask = np.flatnonzero(_edges(surface.reshape(shape), normals.reshape(*shape, 3)))
                spots = [(a, b) for a, b in zip(steps, np.roll(steps, samples // 2), strict=True)]
            offsets = np.array([(dx / k.fx, dy / k.fy, 0.0) for dx, dy in spots], np.float32)
            shifted = ((rays[ask] + offsets[:, None]) @ rotation.T).reshape(-1, 3)
            hit = self._caster.first(np.broadcast_to(eye, shifted.shape), shifted)
            # Very bright pixels would leave jagged edges; displays cannot show them anyway.
            fine = np.minimum(self._shade(eye, shifted, *hit), 4.0).reshape(len(offsets), -1, 3).sum(axis=0)
            if adaptive:
                radiance[ask] = (np.minimum(radiance[ask], 4.0) + fine) / (1 + len(offsets))
            else:
                radiance = fine / len(offsets)
        return Picture(
            radiance.reshape(*shape, 3),
            np.where(solid, depth, 0).reshape(shape),
            instance.reshape(shape),
            np.where(solid, cosine, 0).reshape(shape),
            np.where(solid, self._gloss[material], 0).reshape(shape),
        )

    def _at_hits(self, face: NDArray[np.int64], weights: Single, values: Single) -> Single:
        """(N, C) what ``values`` (V, C) of the vertices are where rays met the faces."""
        corners = self.geometry.faces[face]
        out = weights[:, 0, None] * values[corners[:, 0]]
        for i in (1, 2):
            out += weights[:, i, None] * values[corners[:, i]]
        return out

    def _shade(
        self,
        eye: Single,
        directions: Single,
        face: NDArray[np.int64],
        distance: Single,
        weights: Single,
        mirror: bool = True,
    ) -> Single:
        """(N, 3) radiance that comes back along the rays."""
        g = self.geometry
        out = np.empty(directions.shape, np.float32)
        material = g.face_material[face]
        is_solid = (face >= 0) & self._opaque[material]
        out[~is_solid] = sky(directions[~is_solid])
        solid = np.flatnonzero(is_solid)
        face, material, weights, view = face[solid], material[solid], weights[solid], directions[solid]
        points = (eye[solid] if eye.ndim == 2 else eye) + distance[solid, None] * view
        surface = self._at_hits(face, weights, self._vertex_values)
        normals, irradiance = surface[:, :3], surface[:, 3:]
        shine = self.light.sun.shines(points + _LIFT * normals, normals)
        lit = np.flatnonzero(shine)
        irradiance[lit] += SUN * shine[lit, None]

        item = g.face_item[face]
        local = points.copy()  # of floor, walls and ceiling: the room's own frame
        things = np.flatnonzero(item >= 0)
        moved = points[things] - self._positions[item[things]]
        local[things] = np.einsum("nji,nj->ni", self._rotations[item[things]], moved)
        color = np.empty((len(solid), 3), np.float32)
        order = np.argsort(material, kind="stable")
        bounds = np.flatnonzero(np.diff(material[order], prepend=-1, append=-1))
        for low, high in itertools.pairwise(bounds):
            rows = order[low:high]
            color[rows] = albedo(local[rows], g.materials[material[rows[0]]])
        radiance = color * (irradiance / np.float32(np.pi) + self._emission[material, None])

        if mirror:
            shiny = np.flatnonzero(self._gloss[material] > 0)
            unit = view[shiny] / np.linalg.norm(view[shiny], axis=1, keepdims=True)
            cosine = np.einsum("ij,ij->i", unit, normals[shiny])
            # Fresnel reflection (Schlick 1994) of a coating with refractive index 1.5, scaled by the gloss.
            share = np.clip(self._gloss[material[shiny]] * (0.04 + 0.5 * (1 - np.abs(cosine)) ** 5), 0, 0.7)
            seen = share > _FAINT
            shiny, unit, cosine, share = shiny[seen], unit[seen], cosine[seen], share[seen, None]
            reflected = unit - 2 * cosine[:, None] * normals[shiny]
            start = points[shiny] + _LIFT * normals[shiny]
            hit = self._caster.first(start, reflected)
            radiance[shiny] += share * (self._shade(start, reflected, *hit, mirror=False) - radiance[shiny])
        out[solid] = radiance
        return out


def _edges(surface: NDArray[np.int64], normals: Array) -> NDArray[np.bool_]:
    """(H, W) pixels next to another surface, or to another side of the same one."""
    edge = np.zeros(surface.shape, bool)
    for a, b in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1),), (slice(1, None),)),
    ):
        differ = (surface[a] != surface[b]) | (np.einsum("ijk,ijk->ij", normals[a], normals[b]) < 0.8)
        edge[a] |= differ
        edge[b] |= differ
    return edge


def exposure(renderer: Renderer) -> float:
    """Factor that brings the light of a room to middle brightness, as a camera's automatic exposure does."""
    light = renderer.light.irradiance.mean(axis=1)
    return float(2.2 / np.percentile(light[light > 1e-3 * light.max()], 70))


def develop(radiance: Array, gain: float) -> Array:
    """(H, W, 3) display values 0..1 of linear radiance: exposure, filmic curve (Narkowicz's fit of ACES), gamma."""
    x = radiance * gain * 0.75
    return np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1) ** (1 / 2.2)

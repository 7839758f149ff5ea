"""Light of a room, computed once and kept at the vertices: soft shadows and bounced light that cost nothing per frame.

Diffuse radiosity by Monte Carlo gathering: every vertex sees the lights through shadow rays, and its surroundings
through cosine-distributed rays whose hits are kept, so that further bounces need no further rays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy.stats import qmc

from proxy3d_core.geometry.transforms import yaw_matrix
from proxy3d_training.simulation.materials import albedo, sky
from proxy3d_training.simulation.rooms import Geometry, Pane, Scene

Array = NDArray[np.float64]
Single = NDArray[np.float32]

SUN = np.array([9.0, 8.2, 6.6])
"""Irradiance of the sun on a surface that faces it, in the units of ``materials.sky``."""

_REACH = 8.0  # further away a light of a room adds too little to be seen, metres
_LIFT = 2e-3  # ray origins stand off their surface by this, metres


class Caster:
    """Rays against triangles (Embree)."""

    def __init__(self, triangles: Array) -> None:
        """``triangles``: (F, 3, 3) corners, metres."""
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, np.ascontiguousarray(triangles, np.float32))

    def first(self, origins: Array, directions: Array) -> tuple[NDArray[np.int64], Single, Single]:
        """First hits of rays (N, 3).

        Returns:
            Faces (N,), -1 for none; distances (N,) in lengths of the direction; weights (N, 3) of the face's corners.
            The numbers are float32, as Embree's.
        """
        hit = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            query="INTERSECT",
            output=1,
        )
        u, v = hit["u"], hit["v"]
        return hit["primID"].astype(np.int64), hit["tfar"], np.stack([1 - u - v, u, v], axis=1)

    def blocked(self, origins: Array, directions: Array, reach: Array) -> NDArray[np.bool_]:
        """(N,) whether anything stands within ``reach`` (lengths of the direction) along each ray."""
        result = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            np.ascontiguousarray(reach, np.float32),
            query="OCCLUDED",
        )
        return result != -1


@dataclass(frozen=True, eq=False)
class Light:
    """Irradiance (V, 3) at the vertices of a geometry; the direct sun is left out, the renderer adds it per pixel."""

    irradiance: Array
    sun: Sun


def _on_window(pane: Pane, places: Array) -> tuple[Array, Array, float]:
    """Points (N, 3) on a window at ``places`` (N, 2) in the unit square, its inward normal, its area."""
    local = np.stack(
        [np.full(len(places), 0.01), (places[:, 0] - 0.5) * pane.width, places[:, 1] * pane.height], axis=1
    )
    turn = yaw_matrix(np.deg2rad(pane.yaw))
    return local @ turn.T + np.asarray(pane.position), turn[:, 0], pane.width * pane.height


def light_room(
    room: Scene,
    geometry: Geometry,
    caster: Caster,
    rays: int = 64,
    shadow_rays: int = 16,
    bounces: int = 3,
    smoothing: int = 8,
) -> Light:
    """Irradiance at all vertices from windows, lamps, sun and ``bounces`` reflections between surfaces.

    The noise of the gathering is averaged ``smoothing`` times over neighbouring vertices.
    """
    normals = geometry.normals.astype(np.float32)
    # Away from the surface, and a little towards its inside: a vertex at a room's edge would look behind the next wall.
    inside = 0.15 * (geometry.neighbours @ geometry.vertices - geometry.vertices)
    origins = (geometry.vertices + inside + _LIFT * geometry.normals).astype(np.float32)
    direct = np.zeros(origins.shape, np.float32)
    rng = np.random.default_rng(0)

    for pane in room.panes():
        shift = rng.random((len(origins), 2))
        for place in qmc.Sobol(2, scramble=False).random(shadow_rays):
            points, inward, area = _on_window(pane, (place + shift) % 1)
            way = (points - origins).astype(np.float32)
            square = np.einsum("ij,ij->i", way, way)
            facing = np.maximum(np.einsum("ij,ij->i", way, normals), 0) * np.maximum(-way @ inward, 0) / square
            lit = np.flatnonzero((facing > 0) & (square < _REACH**2))
            lit = lit[~caster.blocked(origins[lit], way[lit], np.full(len(lit), 0.999))]
            seen = sky(way[lit]) * (facing[lit] / np.maximum(square[lit], 0.02) * area / shadow_rays)[:, None]
            direct[lit] += seen

    for lamp in room.lamps:
        toward = origins - np.asarray(lamp.position, np.float32)
        for _ in range(shadow_rays):
            offset = rng.standard_normal(origins.shape, np.float32)
            offset *= lamp.radius / np.sqrt(np.einsum("ij,ij->i", offset, offset))[:, None]
            offset *= np.sign(np.einsum("ij,ij->i", offset, toward))[:, None]
            way = offset - toward
            square = np.einsum("ij,ij->i", way, way)
            facing = np.maximum(np.einsum("ij,ij->i", way, normals), 0) / np.sqrt(square)
            lit = np.flatnonzero((facing > 0) & (square < _REACH**2))
            lit = lit[~caster.blocked(origins[lit], way[lit], np.full(len(lit), 0.999))]
            direct[lit] += (
                np.asarray(lamp.intensity) * (facing[lit] / np.maximum(square[lit], 0.01) / shadow_rays)[:, None]
            )

    sun = Sun(room, geometry)
    bounced_sun = (SUN * sun.shines(origins, geometry.normals)[:, None]).astype(np.float32)

    hits, buried = _gather_rays(geometry, caster, origins, rays)
    direct, bounced_sun = _spread(geometry, direct, buried), _spread(geometry, bounced_sun, buried)
    colors = np.stack(
        [albedo(np.zeros((1, 3)), m)[0] if m.pattern == "plain" else np.asarray(m.color) for m in geometry.materials]
    )
    face_color = colors[geometry.face_material].astype(np.float32)
    opaque = np.array([m.opaque for m in geometry.materials])[geometry.face_material]
    indirect = np.zeros_like(direct)
    for _ in range(bounces):
        light = direct + bounced_sun + indirect
        radiosity = np.zeros((len(face_color) + 1, 3), np.float32)  # a ray that hits nothing (index -1) brings nothing
        radiosity[:-1] = sum(light[geometry.faces[:, i]] for i in range(3)) / 3 * face_color * opaque[:, None]
        gathered = sum(radiosity[hits[:, i]] for i in range(rays)) / np.float32(rays)
        indirect = _spread(geometry, gathered, buried)
        for _ in range(smoothing):
            indirect = geometry.neighbours @ indirect
    return Light(geometry.neighbours @ (geometry.neighbours @ direct) + indirect, sun)


class Sun:
    """Sunshine through the windows of a scene."""

    def __init__(self, scene: Scene, geometry: Geometry) -> None:
        """No shine on a cloudy day, or where all windows look away from the sun."""
        self.direction = np.zeros(3) if scene.sun is None else np.asarray(scene.sun) / np.linalg.norm(scene.sun)
        panes = [] if scene.sun is None else scene.panes()
        turns = [yaw_matrix(np.deg2rad(p.yaw)) for p in panes]
        self._panes = [(p, t) for p, t in zip(panes, turns, strict=True) if t[:, 0] @ self.direction < -1e-3]
        if self._panes:
            opaque = np.array([m.opaque for m in geometry.materials])[geometry.face_material]
            self._solid = Caster(geometry.vertices[geometry.faces[opaque]])

    def shines(self, points: Array, normals: Array) -> Array:
        """(N,) cosine of the sun's angle where it reaches points through a window, else 0."""
        out = np.zeros(len(points))
        if not self._panes:
            return out
        facing = normals @ self.direction
        reached = np.zeros(len(points), bool)
        for pane, turn in self._panes:  # where the way to the sun leads through the window's rectangle
            local = (points - np.asarray(pane.position)) @ turn
            way = self.direction @ turn
            steps = -local[:, 0] / way[0]
            y, z = local[:, 1] + steps * way[1], local[:, 2] + steps * way[2]
            reached |= (steps > 0) & (np.abs(y) < pane.width / 2) & (z > 0) & (z < pane.height)
        ask = np.flatnonzero(reached & (facing > 0))
        ways = np.broadcast_to(self.direction, (len(ask), 3))
        free = ask[~self._solid.blocked(points[ask], ways, np.full(len(ask), 100.0))]
        out[free] = facing[free]
        return out


def _spread(geometry: Geometry, light: Array, buried: NDArray[np.bool_], steps: int = 8) -> Array:
    """Light (V, 3) with that of ``buried`` vertices taken from their neighbours.

    Vertices behind or inside of something are dark; between them and the next one in the open light is interpolated,
    which would show as dark teeth around everything that stands at a wall.
    """
    known, out = ~buried, np.where(buried[:, None], np.float32(0), light)
    for _ in range(steps):
        if known.all():
            break
        share = geometry.neighbours @ known.astype(np.float32)
        found = np.flatnonzero(~known & (share > 0))
        out[found] = (geometry.neighbours[found] @ out) / share[found, None]
        known[found] = True
    return out


def _gather_rays(
    geometry: Geometry, caster: Caster, origins: Array, rays: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """What vertices see in cosine-distributed directions.

    Returns:
        Faces (V, rays), -1 = nothing or the back of a surface; (V,) whether a vertex is buried, that is, sees next to
        nothing but backs and what is nearer than 4 cm.
    """
    u = qmc.Sobol(2, scramble=False).random(rays)
    shift = np.random.default_rng(1).random((len(origins), 2))
    hits = np.empty((len(origins), rays), np.int32)
    clear = np.zeros(len(origins), np.int64)
    helper = np.where(np.abs(geometry.normals[:, 2:3]) < 0.9, [0.0, 0, 1], [1.0, 0, 0])
    tangent = np.cross(geometry.normals, helper)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    bitangent = np.cross(geometry.normals, tangent)
    corners = geometry.vertices[geometry.faces]
    face_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for i in range(rays):
        a, b = ((u[i] + shift) % 1).T
        radius, angle = np.sqrt(a)[:, None], (2 * np.pi * b)[:, None]
        way = radius * (np.cos(angle) * tangent + np.sin(angle) * bitangent) + np.sqrt(1 - radius**2) * geometry.normals
        face, distance, _ = caster.first(origins, way)
        front = (way * face_normal[face]).sum(axis=1) < 0
        hits[:, i] = np.where(front, face, -1)
        clear += front & (distance > 0.04) & (face >= 0)
    return hits, clear < 0.25 * rays

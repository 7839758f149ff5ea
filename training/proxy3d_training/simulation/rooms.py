"""A room and the things in it, and the triangle soup that a ray caster wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import sparse

from proxy3d_core.geometry import OrientedBox
from proxy3d_core.geometry.transforms import yaw_matrix
from proxy3d_training.simulation.furniture import STEEL, WHITE, WOODS
from proxy3d_training.simulation.shapes import Material, Part, box, rod, slab, srgb

Array = NDArray[np.float64]

WALLS = ("west", "south", "east", "north")
"""Walls of a room that spans [0, width] x [0, depth]: x = 0, y = 0, x = width, y = depth."""

_WALL_THICKNESS = 0.14
_GLASS = Material((0.9, 0.95, 1.0), opaque=False)


@dataclass(frozen=True, eq=False)
class Item:
    """One thing in a room.

    Attributes:
        id: number of the instance, > 0.
        label: kind.
        parts: in the item's own frame (front +x, z up, origin on what it stands on).
        position: (3,) of the origin in the room, metres.
        yaw: degrees, counter-clockwise seen from above.
    """

    id: int
    label: str
    parts: Sequence[Part]
    position: tuple[float, float, float]
    yaw: float = 0.0

    @property
    def rotation(self) -> Array:
        """(3, 3) room_from_item."""
        return yaw_matrix(np.deg2rad(self.yaw))

    def box(self) -> OrientedBox:
        """The tight box along the item's own axes, in the room."""
        points = np.concatenate([p.vertices for p in self.parts])
        low, high = points.min(axis=0), points.max(axis=0)
        center = self.rotation @ ((low + high) / 2) + np.asarray(self.position)
        return OrientedBox(center, high - low, self.rotation)

    def at(self, position: tuple[float, float, float], yaw: float) -> Item:
        """The same thing somewhere else."""
        return replace(self, position=position, yaw=yaw)


@dataclass(frozen=True)
class Opening:
    """A door or window: ``along`` is its middle along the wall (x or y), heights above the floor, metres."""

    kind: str
    wall: str
    along: float
    width: float
    bottom: float
    top: float


@dataclass(frozen=True)
class Pane:
    """A window as a source of light: its lowest middle on the wall's face, yaw [degrees] of the way inside, metres."""

    position: tuple[float, float, float]
    yaw: float
    width: float
    height: float


class Scene(Protocol):
    """What can be lit and rendered: one room, or a flat."""

    @property
    def items(self) -> Sequence[Item]:
        """The things in it, doors and windows too."""

    @property
    def lamps(self) -> Sequence[Lamp]:
        """Its lamps that are on."""

    @property
    def sun(self) -> tuple[float, float, float] | None:
        """Direction towards the sun, None on a cloudy day."""

    def shell(self) -> list[Part]:
        """Floor, ceiling, walls, in the frame of the room."""

    def panes(self) -> list[Pane]:
        """The windows through which light comes in."""


@dataclass(frozen=True, eq=False)
class Lamp:
    """A spherical light: position (3,), radius in metres, radiant intensity (r, g, b) per steradian."""

    position: tuple[float, float, float]
    radius: float
    intensity: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Room:
    """A rectangular room [0, width] x [0, depth] x [0, height] with its things and lights.

    Attributes:
        floor, walls, ceiling: materials; ``accent`` colours one wall, named by ``accent_wall``.
        sun: direction towards the sun, or None on a cloudy day.
    """

    width: float
    depth: float
    height: float
    floor: Material
    walls: Material
    ceiling: Material
    openings: Sequence[Opening] = ()
    items: Sequence[Item] = ()
    lamps: Sequence[Lamp] = ()
    sun: tuple[float, float, float] | None = None
    accent: Material | None = None
    accent_wall: str = ""

    @property
    def area(self) -> float:
        """Floor area, square metres."""
        return self.width * self.depth

    def wall_pose(self, wall: str, along: float, z: float = 0.0) -> tuple[tuple[float, float, float], float]:
        """Position and yaw of something whose back is against a wall, ``along`` metres along it."""
        return {
            "west": ((0.0, along, z), 0.0),
            "south": ((along, 0.0, z), 90.0),
            "east": ((self.width, along, z), 180.0),
            "north": ((along, self.depth, z), -90.0),
        }[wall]

    def panes(self) -> list[Pane]:
        """The windows through which light comes in."""
        return [
            Pane(*self.wall_pose(o.wall, o.along, o.bottom), o.width, o.top - o.bottom)
            for o in self.openings
            if o.kind == "window"
        ]

    def fittings(self, first_id: int) -> list[Item]:
        """Doors and windows as items, numbered from ``first_id``."""
        made = []
        for i, opening in enumerate(self.openings):
            position, yaw = self.wall_pose(opening.wall, opening.along, opening.bottom)
            parts = (door if opening.kind == "door" else window)(opening.width, opening.top - opening.bottom)
            made.append(Item(first_id + i, opening.kind, parts, position, yaw))
        return made

    def shell(self) -> list[Part]:
        """Floor, ceiling, walls with their openings, skirting boards."""
        w, d, h, t = self.width, self.depth, self.height, _WALL_THICKNESS
        parts = [
            facing(slab((-t, -t, -0.1), (w + t, d + t, 0), self.floor), (0, 0, -1)),
            facing(slab((0, 0, h), (w, d, h + 0.1), self.ceiling), (0, 0, 1)),
        ]
        for wall in WALLS:
            length = w if wall in ("south", "north") else d
            paint = self.accent if self.accent is not None and wall == self.accent_wall else self.walls
            position, yaw = self.wall_pose(wall, length / 2)
            for low, high, bottom, top in self._panels(wall, length):
                # In the wall's own frame y runs along it; for the east and south walls against the room's axis.
                panel = [slab((-t, low, bottom), (0, high, top), paint)]
                if bottom == 0:
                    panel.append(slab((0, low, 0), (0.015, high, 0.08), WHITE))
                parts += [facing(p, (-1, 0, 0)).moved(position, yaw=yaw) for p in panel]
        return parts

    def _panels(self, wall: str, length: float) -> list[tuple[float, float, float, float]]:
        """Rectangles (low, high, bottom, top) of a wall without its openings, in the wall's own frame."""
        sign = {"west": 1.0, "south": -1.0, "east": -1.0, "north": 1.0}[wall]
        holes = sorted(
            (sign * (o.along - length / 2) - o.width / 2, sign * (o.along - length / 2) + o.width / 2, o.bottom, o.top)
            for o in self.openings
            if o.wall == wall
        )
        panels, at, end = [], -length / 2, length / 2
        for low, high, bottom, top in holes:
            panels += [(at, low, 0.0, self.height), (low, high, top, self.height)]
            if bottom > 0:
                panels.append((low, high, 0.0, bottom))
            at = high
        panels.append((at, end, 0.0, self.height))
        return [p for p in panels if p[1] - p[0] > 1e-6 and p[3] - p[2] > 1e-6]


def facing(part: Part, away: tuple[float, float, float]) -> Part:
    """A part without the faces on its ``away`` side, which nobody can see."""
    a, b, c = (part.vertices[part.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return replace(part, faces=part.faces[normal @ np.asarray(away, dtype=np.float64) < 0.5])


def door(width: float, height: float) -> list[Part]:
    """A closed door in its frame; its wall's face at x = 0, the origin its lowest middle."""
    leaf, frame = Material(WOODS[3], "wood", axis=2, gloss=0.5), WHITE
    parts = [slab((-0.06, -width / 2, 0), (-0.02, width / 2, height), leaf)]
    for low, high in ((0.12, 0.44), (0.52, 0.93)):
        inset = Material(tuple(0.82 * c for c in leaf.color), "wood", axis=2, gloss=0.5)  # type: ignore[arg-type]
        parts.append(slab((-0.02, -width / 2 + 0.13, low * height), (-0.012, width / 2 - 0.13, high * height), inset))
    parts += [
        slab((-0.06, j * (width / 2 + 0.035) - 0.035, 0), (0.018, j * (width / 2 + 0.035) + 0.035, height), frame)
        for j in (-1, 1)
    ]
    parts.append(slab((-0.06, -width / 2 - 0.07, height), (0.018, width / 2 + 0.07, height + 0.07), frame))
    parts += [rod((-0.02, width / 2 - 0.08, 1.02), (0.035, width / 2 - 0.08, 1.02), 0.011, STEEL)]
    parts += [rod((0.035, width / 2 - 0.08, 1.02), (0.035, width / 2 - 0.2, 1.02), 0.010, STEEL)]
    return parts


def window(width: float, height: float) -> list[Part]:
    """A window with two panes and a sill; its wall's face at x = 0, the origin its lowest middle."""
    f = 0.05
    return [
        slab((-0.10, -width / 2, 0), (-0.05, -width / 2 + f, height), WHITE),
        slab((-0.10, width / 2 - f, 0), (-0.05, width / 2, height), WHITE),
        slab((-0.10, -width / 2, 0), (-0.05, width / 2, f), WHITE),
        slab((-0.10, -width / 2, height - f), (-0.05, width / 2, height), WHITE),
        slab((-0.10, -0.03, f), (-0.055, 0.03, height - f), WHITE),
        slab((-0.08, -width / 2 + f, f), (-0.075, width / 2 - f, height - f), _GLASS),
        box((0.12, width + 0.12, 0.03), (0.02, 0, -0.03), Material(srgb("#dcdad4"), gloss=0.5)),
    ]


@dataclass(frozen=True, eq=False)
class Geometry:
    """All triangles of a room.

    Attributes:
        vertices: (V, 3) metres; vertices are shared only inside a smooth surface.
        normals: (V, 3) unit, outward.
        faces: (F, 3).
        face_material: (F,) index into ``materials``.
        face_item: (F,) index into ``items``, or -1 for floor, walls, ceiling.
        materials, items: tables.
        neighbours: (V, V) sparse, rows sum to 1: the average of a vertex and those it shares an edge with.
    """

    vertices: Array
    normals: Array
    faces: NDArray[np.int64]
    face_material: NDArray[np.int64]
    face_item: NDArray[np.int64]
    materials: Sequence[Material]
    items: Sequence[Item]
    neighbours: sparse.csr_matrix = field(repr=False)

    @classmethod
    def of(cls, room: Scene, max_edge: float = 0.09, item_edge: float | None = None) -> Geometry:
        """Triangles with edges of at most ``max_edge`` metres, so that light can be kept at the vertices.

        Those of things may be longer, up to ``item_edge``, as things have many small ones anyway.
        """
        placed = [(p, -1) for p in room.shell()]
        for i, item in enumerate(room.items):
            placed += [(p.moved(item.position, yaw=item.yaw), i) for p in item.parts]
        materials = list(dict.fromkeys(p.material for p, _ in placed))
        index = {m: i for i, m in enumerate(materials)}

        offsets = np.cumsum([0] + [len(p.vertices) for p, _ in placed])
        faces = np.concatenate([p.faces + o for (p, _), o in zip(placed, offsets[:-1], strict=True)])
        part = np.repeat(np.arange(len(placed)), [len(p.faces) for p, _ in placed])
        vertices, normals, faces, part = _split_at_creases(np.concatenate([p.vertices for p, _ in placed]), faces, part)
        limits = np.where(np.array([i for _, i in placed]) < 0, max_edge, item_edge or max_edge)
        vertices, normals, faces, source = _bisect(vertices, normals, faces, limits[part])
        part = part[source]

        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        n = len(vertices)
        links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (n, n))
        links = ((links + links.T) > 0).astype(np.float64) + sparse.identity(n)
        return cls(
            vertices,
            normals,
            faces,
            np.array([index[p.material] for p, _ in placed])[part],
            np.array([i for _, i in placed])[part],
            materials,
            tuple(room.items),
            sparse.csr_matrix(sparse.diags(1 / np.asarray(links.sum(axis=1)).ravel()) @ links).astype(np.float32),
        )


def _split_at_creases(
    vertices: Array, faces: NDArray[np.int64], part: NDArray[np.int64], crease: float = 40.0
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:
    """Vertices doubled along edges sharper than ``crease`` degrees, with the normals of the smooth surfaces between.

    Faces without area are dropped; the last array is ``part`` of those that remain.
    """
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    weighted = np.cross(b - a, c - a)
    area = np.linalg.norm(weighted, axis=1)
    keep = area > 1e-12
    faces, part, weighted, area = faces[keep], part[keep], weighted[keep], area[keep]
    unit = weighted / area[:, None]

    key = np.column_stack([np.round(vertices * 1e6).astype(np.int64), np.zeros(len(vertices), np.int64)])
    key[faces.ravel(), 3] = np.repeat(part, 3)
    _, merged = np.unique(key, axis=0, return_inverse=True)
    pairs = trimesh.graph.face_adjacency(faces=merged[faces])
    smooth = (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(axis=1) > np.cos(np.deg2rad(crease))
    pairs = pairs[smooth]
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(faces), len(faces)))
    _, group = sparse.csgraph.connected_components(graph, directed=False)

    corner = np.stack([merged[faces].ravel(), np.repeat(group, 3)], axis=1)
    _, first, inverse = np.unique(corner, axis=0, return_index=True, return_inverse=True)
    normals = np.zeros((len(first), 3))
    np.add.at(normals, inverse, np.repeat(weighted, 3, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return vertices[faces.ravel()[first]], normals, inverse.reshape(-1, 3), part


def _bisect(
    vertices: Array, normals: Array, faces: NDArray[np.int64], max_edge: Array
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:
    """Triangles halved at their longest edge until none exceeds its ``max_edge``; last: where each face came from."""
    source = np.arange(len(faces))
    # Edges that were halved, each a pair of vertices in one number, sorted; and the vertices in their middles.
    halved, middle_of = np.full(1, -1, np.int64), np.full(1, -1, np.int64)
    while True:
        corners = vertices[faces]
        length = np.linalg.norm(corners - corners[:, [1, 2, 0]], axis=2)
        longest = length.argmax(axis=1)
        long = np.flatnonzero(length.max(axis=1) > max_edge[source])
        if not len(long):
            return vertices, normals, faces, source
        order = (longest[long, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(faces[long], order, axis=1).T
        ends = np.sort(np.stack([a, b], axis=1), axis=1)
        keys, first, edge = np.unique(ends[:, 0] << 32 | ends[:, 1], return_index=True, return_inverse=True)
        # The neighbour across an edge may have halved it in an earlier round: the two must share that vertex.
        at = np.minimum(np.searchsorted(halved, keys), len(halved) - 1)
        known = halved[at] == keys
        middles = middle_of[at]
        middles[~known] = len(vertices) + np.arange((~known).sum())
        pairs = ends[first[~known]]
        vertices = np.concatenate([vertices, vertices[pairs].mean(axis=1)])
        half = normals[pairs].sum(axis=1)
        normals = np.concatenate([normals, half / np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-12)])
        order = np.argsort(np.concatenate([halved, keys[~known]]))
        halved = np.concatenate([halved, keys[~known]])[order]
        middle_of = np.concatenate([middle_of, middles[~known]])[order]
        middle = middles[edge.ravel()]
        short = np.setdiff1d(np.arange(len(faces)), long, assume_unique=True)
        faces = np.concatenate([faces[short], np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
        source = np.concatenate([source[short], source[long], source[long]])

"""Scenes drawn from their truth: proxies on true boxes that carry nothing but codes, without any picture.

Between symbols (one for each object, stages I and II) and what a camera saw (stage IV). Rooms without pictures cost
next to nothing (``proxy3d simulate --truth-only``), and drawn proxies already show extents, counts and surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.cluster import share_budget
from proxy3d_core.scene.snapshot import CEILING, FLOOR, WALL, ProxySet
from proxy3d_training.data.schema import MARKERS
from proxy3d_training.simulation import truth as simulated

Floats = NDArray[np.float64]

NAMES: Mapping[int, str] = {FLOOR: "floor", WALL: "wall", CEILING: "ceiling"}
"""Categories of what is no object."""

_OBJECTS = (0.4, 0.8)  # share of the budget that objects get; the rest is floor, walls and ceiling
_JITTER = 0.02  # m


@dataclass(frozen=True, eq=False)
class DrawnScene:
    """A room by its truth.

    Attributes:
        name: of the recording.
        things: objects that came into view, at most as many as there are markers, in the order in which they did.
        rooms: floor plans.
    """

    name: str
    things: tuple[simulated.Thing, ...]
    rooms: tuple[simulated.Room, ...]

    @property
    def marker_of_true(self) -> Mapping[int, int]:
        """Marker by object id."""
        return {thing.id: index for index, thing in enumerate(self.things)}

    @property
    def labels(self) -> dict[int, str]:
        """Category by group: of objects, and of floor, walls and ceiling."""
        return {thing.id: thing.label for thing in self.things} | dict(NAMES)

    def draw(self, budget: int, channels: int, rng: np.random.Generator) -> ProxySet:
        """Proxies at random places of the surfaces, large things by more of them, with features that are all zero.

        Args:
            budget: how many.
            channels: C of the features.
            rng: where the places come from.
        """
        areas = np.array([_area(thing.box) for thing in self.things])
        for_objects = min(budget, max(len(areas), int(budget * rng.uniform(*_OBJECTS)))) if len(areas) else 0
        counts = share_budget(np.maximum(areas / 0.01, 1).astype(np.int64), for_objects, 3) if for_objects else []
        points = [_on_box(thing.box, int(n), rng) for thing, n in zip(self.things, counts, strict=True)]
        groups = [np.full(int(n), thing.id) for thing, n in zip(self.things, counts, strict=True)]
        left = budget - sum(map(len, points))
        share = rng.multinomial(left, (0.4, 0.4, 0.2))
        for kind, number in zip((FLOOR, WALL, CEILING), share.tolist(), strict=True):
            points.append(_on_room(self.rooms, kind, number, rng))
            groups.append(np.full(number, kind))
        positions = np.concatenate(points) + rng.normal(0, _JITTER, (budget, 3))
        ones = np.ones(budget, np.float32)
        features = np.zeros((budget, channels), np.float32)
        return ProxySet(positions.astype(np.float32), features, ones, ones, np.concatenate(groups).astype(np.int64))


class DrawnScenes(Mapping[str, DrawnScene]):
    """Recordings in and below a folder by name; their truths are read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        """Raises BadInput: no truth is there."""
        self.folder = folder
        files = sorted(folder.rglob(simulated.FILE)) if folder.is_dir() else []
        if not files:
            raise BadInput(f"{folder} holds no rooms with a truth; make some with: proxy3d simulate --truth-only")
        self._files = {simulated.Truth.load(file).name: file for file in files}
        self._known: dict[str, DrawnScene] = {}

    def __getitem__(self, name: str) -> DrawnScene:
        if name not in self._known:
            truth = simulated.Truth.load(self._files[name])
            shown = [thing for thing in truth.present() if thing.first_seen is not None]
            largest = sorted(shown, key=lambda thing: -_area(thing.box))[:MARKERS]
            in_order = sorted(largest, key=lambda thing: thing.first_seen or 0.0)
            self._known[name] = DrawnScene(name, tuple(in_order), truth.rooms)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def marked_true_ids(self, name: str) -> list[int]:
        """Ids of the objects of a room that have a marker."""
        return sorted(self[name].marker_of_true)


def _area(box: simulated.Box) -> float:
    """Square metres of a box's surface."""
    x, y, z = box.size
    return 2 * (x * y + y * z + z * x)


def _on_box(box: simulated.Box, number: int, rng: np.random.Generator) -> Floats:
    """(N, 3) places on the surface of a box, in the room; its bottom is left out, where nobody looks."""
    size = np.array(box.size)
    x, y, z = size
    faces = np.array([x * y, x * z, x * z, y * z, y * z]) + 1e-9
    face = rng.choice(5, number, p=faces / faces.sum())
    places = rng.uniform(-0.5, 0.5, (number, 3))
    axis = np.array([2, 1, 1, 0, 0])[face]
    places[np.arange(number), axis] = np.array([0.5, 0.5, -0.5, 0.5, -0.5])[face]
    return np.asarray(box.oriented().center + (places * size) @ box.oriented().rotation.T)


def _on_room(rooms: tuple[simulated.Room, ...], kind: int, number: int, rng: np.random.Generator) -> Floats:
    """(N, 3) places on floors, ceilings or walls."""
    if kind == WALL:
        begins = np.concatenate([np.array(room.polygon) for room in rooms])
        ends = np.concatenate([np.roll(np.array(room.polygon), -1, axis=0) for room in rooms])
        heights = np.concatenate([np.full(len(room.polygon), room.height) for room in rooms])
        lengths = np.linalg.norm(ends - begins, axis=1)
        edge = rng.choice(len(lengths), number, p=lengths / lengths.sum())
        along, up = rng.uniform(size=(2, number))
        places = begins[edge] + (ends - begins)[edge] * along[:, None]
        return np.column_stack([places, heights[edge] * up])
    areas = np.array([room.area for room in rooms])
    room = rng.choice(len(rooms), number, p=areas / areas.sum())
    parts = [_in_polygon(np.array(r.polygon), int((room == i).sum()), rng) for i, r in enumerate(rooms)]
    height = np.repeat([r.height if kind == CEILING else 0.0 for r in rooms], [len(part) for part in parts])
    return np.column_stack([np.concatenate(parts), height])


def _in_polygon(corners: Floats, number: int, rng: np.random.Generator) -> Floats:
    """(N, 2) places inside a polygon whose edges go along x and y."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    found = np.zeros((0, 2))
    while len(found) < number:
        places = rng.uniform(low, high, (2 * number, 2))
        found = np.concatenate([found, places[_inside(places, corners)]])
    return found[:number]


def _inside(places: Floats, corners: Floats) -> NDArray[np.bool_]:
    """(N,) whether a ray along x from each place crosses the polygon an odd number of times."""
    x, y = places.T[:, :, None]
    begin, end = corners, np.roll(corners, -1, axis=0)
    across = (begin[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(end[:, 1] == begin[:, 1], 1.0, end[:, 1] - begin[:, 1])
    at = begin[:, 0] + (y - begin[:, 1]) * (end[:, 0] - begin[:, 0]) / rise
    return np.asarray((across & (x < at)).sum(axis=1) % 2 == 1)

"""Simulated rooms as the questions see them: things with upright boxes, and what the camera saw of them."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.reasoning.annotated import scene_from_dict
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_training.data.questions.geometry import box_gaps, outline_gaps, outlines
from proxy3d_training.data.schema import MARKERS, Box, Scene, Split, Thing
from proxy3d_training.simulation import truth as simulated

Array = NDArray[np.float64]

FIXTURES = frozenset({"door", "window", "doorway", "wall", "floor", "ceiling"})
"""Parts of the building."""


ALIKE = (
    frozenset({"door", "doorway"}),
    frozenset({"sink", "washbasin"}),
    frozenset({"cabinet", "nightstand", "sideboard", "dresser"}),
    frozenset({"wardrobe", "cabinet", "closet"}),
    frozenset({"bookshelf", "shelf"}),
    frozenset({"mug", "cup"}),
    frozenset({"monitor", "tv"}),
    frozenset({"picture", "painting", "poster"}),
    frozenset({"pot", "pan"}),
)
"""Labels that people use for one another: with two of them in a room neither is asked about."""

COLORS = {
    "white": (235, 235, 235),
    "black": (25, 25, 25),
    "grey": (128, 128, 128),
    "brown": (120, 75, 40),
    "beige": (222, 202, 170),
    "red": (190, 40, 40),
    "orange": (235, 130, 40),
    "yellow": (235, 205, 60),
    "green": (60, 135, 70),
    "blue": (50, 90, 175),
    "purple": (120, 65, 150),
    "pink": (235, 150, 180),
}
"""What the names of colours stand for, red, green, blue, 0..255: for answerers that know colours as numbers."""


@dataclass(frozen=True, eq=False)
class Item:
    """One thing in a room.

    Attributes:
        id: number in the truth.
        label: kind, lower case.
        center: (3,) metres.
        size: (3,) along its own axes, the height last, metres.
        yaw: of its first axis, radians.
        room: number of the room of the flat that it is in.
        on: what carries it: floor, wall, ceiling, object, or nothing if that is not known.
        support: id of the object that carries it.
        color, material, shape: names, empty where none fits.
        first_seen: seconds.
        views: (frame index, share of the picture) where it is seen.
    """

    id: int
    label: str
    center: Array
    size: Array
    yaw: float
    room: int = 0
    on: str = ""
    support: int | None = None
    color: str = ""
    material: str = ""
    shape: str = ""
    first_seen: float | None = None
    views: tuple[tuple[int, float], ...] = ()

    @property
    def bottom(self) -> float:
        """Lowest z, metres."""
        return float(self.center[2] - self.size[2] / 2)

    @property
    def top(self) -> float:
        """Highest z, metres."""
        return float(self.center[2] + self.size[2] / 2)

    @property
    def spot(self) -> Array:
        """(2,) centre on the floor plane."""
        return self.center[:2]

    def box(self) -> Box:
        """Its box in the format of the samples."""
        center, size = ((float(v[0]), float(v[1]), float(v[2])) for v in (self.center, self.size))
        return Box(center=center, size=size, yaw=self.yaw)


@dataclass(frozen=True, eq=False)
class View:
    """One frame: the name of its files, the camera (4, 4) scene_from_camera (x right, y down, z ahead), seconds."""

    name: str
    pose: Array
    time: float


@dataclass(frozen=True, eq=False)
class Room:
    """A room or a small flat.

    Attributes:
        name: unique; also the space by which splits are made.
        folder: where it was read from.
        items: all things that are there at the end and that the frames show (``Truth.shown``).
        unclear: labels that nobody can be asked about: something of theirs is not shown, a more special label is
            there, too (a chair beside an office chair), or another one that people use for the same; pairs, such as
            shoes.
        absent: labels of which there plainly is nothing.
        area: of the floor, square metres.
        rooms: how many rooms it has.
        views: the frames.
        camera: of all frames, or None without frames.
        polygons: (M, 2) floor outline of each room of the flat, by its number.
    """

    name: str
    folder: Path
    items: Sequence[Item]
    unclear: frozenset[str] = frozenset()
    absent: Sequence[str] = ()
    area: float = 0.0
    rooms: int = 1
    views: Sequence[View] = ()
    camera: simulated.Camera | None = None
    polygons: Mapping[int, Array] = field(default_factory=dict)
    _rows: Mapping[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {item.id: row for row, item in enumerate(self.items)})

    @cached_property
    def by_label(self) -> Mapping[str, list[Item]]:
        """Items by label, in alphabetical order, of labels that are not unclear."""
        found: dict[str, list[Item]] = {}
        for item in sorted(self.items, key=lambda i: (i.label, i.id)):
            if item.label not in self.unclear:
                found.setdefault(item.label, []).append(item)
        return found

    @cached_property
    def single(self) -> Mapping[str, Item]:
        """The only items of their label."""
        return {label: found[0] for label, found in self.by_label.items() if len(found) == 1}

    @cached_property
    def by_id(self) -> Mapping[int, Item]:
        """Items by number."""
        return {item.id: item for item in self.items}

    @cached_property
    def corners(self) -> Array:
        """(N, 4, 2) outlines on the floor plane."""
        centers, sizes = np.array([i.center for i in self.items]), np.array([i.size for i in self.items])
        return outlines(centers.reshape(-1, 3), sizes.reshape(-1, 3), np.array([i.yaw for i in self.items]))

    @cached_property
    def flat_gaps(self) -> Array:
        """(N, N) distances between outlines on the floor plane, metres."""
        return outline_gaps(self.corners)

    @cached_property
    def gaps(self) -> Array:
        """(N, N) closest distances between boxes, metres."""
        bottoms, tops = np.array([i.bottom for i in self.items]), np.array([i.top for i in self.items])
        return box_gaps(self.flat_gaps, bottoms, tops)

    def row(self, item: Item) -> int:
        """Its row in ``corners`` and the distances."""
        return self._rows[item.id]

    def gap(self, a: Item, b: Item) -> float:
        """Closest distance of two things, metres."""
        return float(self.gaps[self.row(a), self.row(b)])

    def flat_gap(self, a: Item, b: Item) -> float:
        """Distance of their outlines on the floor plane, metres."""
        return float(self.flat_gaps[self.row(a), self.row(b)])

    @cached_property
    def markers(self) -> Mapping[int, int]:
        """Marker by object id. Shuffled: the order of the truth would tell large things from small ones."""
        numbers = list(range(min(len(self.items), MARKERS)))
        random.Random(f"markers {self.name}").shuffle(numbers)
        return {item.id: number for item, number in zip(self.items, numbers, strict=False)}

    def thing(self, item: Item) -> Thing:
        """As an object of a sample."""
        return Thing(id=item.id, marker=self.markers.get(item.id), label=item.label, box=item.box())

    def scene(self, relative_to: Path) -> Scene:
        """As the scene of a sample whose file lies in ``relative_to``."""
        folder = Path(os.path.relpath(self.folder.resolve(), relative_to.resolve()))
        return Scene(dataset="simulated", name=self.name, space=self.name, folder=folder.as_posix())

    def snapshot(self) -> Snapshot:
        """The truth as the answerers are shown it."""
        first = {item.id: round((item.first_seen or 0.0), 3) for item in self.items}
        return scene_from_dict(
            {
                "name": self.name,
                "room_size": self.area,
                "floor": 0.0,
                "vocabulary": sorted({*(item.label for item in self.items), *self.absent}),
                "objects": [
                    {
                        "id": item.id,
                        "label": item.label,
                        "center": item.center.tolist(),
                        "size": item.size.tolist(),
                        "axes": _axes(item.yaw),
                        "color": COLORS.get(item.color),
                        "first_seen": first[item.id],
                        "last_seen": first[item.id],
                    }
                    for item in self.items
                ],
            }
        ).snapshot


def _axes(yaw: float) -> list[list[float]]:
    cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
    return [[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]


def split_of(space: str, val: float = 0.1, test: float = 0.1) -> Split:
    """The split of a space, from its name alone, so that no file and no order of rooms changes it."""
    share = int.from_bytes(hashlib.sha256(space.encode()).digest()[:8], "big") / 2**64
    return "test" if share < test else "val" if share < test + val else "train"


def room_folders(directory: Path) -> list[Path]:
    """Folders with a truth below a directory (or itself), sorted.

    Raises:
        BadInput: none is there.
    """
    found = sorted(path.parent for path in directory.rglob(simulated.FILE)) if directory.is_dir() else []
    if not found:
        raise BadInput(f"{directory} holds no simulated rooms ({simulated.FILE}); make some with: proxy3d simulate")
    return found


def read_room(folder: Path) -> Room:
    """A room from the truth in its folder.

    Raises:
        BadInput: the truth is missing or does not follow its schema.
    """
    truth = simulated.Truth.load(folder)
    present = truth.present()
    seen = [thing for thing in present if truth.shown(thing)] if truth.frames else list(present)
    placed = {thing.label for thing in truth.objects}
    unclear = {thing.label for thing in present if truth.frames and not truth.shown(thing)}
    unclear |= {label for label in placed if any(_special(other, label) for other in placed)}
    unclear |= {label for group in ALIKE if len(placed & group) > 1 for label in group}
    unclear |= {label for label in placed if label.endswith("s") and not label.endswith("ss")}
    return Room(
        truth.name,
        folder,
        tuple(_item(thing) for thing in seen),
        frozenset(unclear),
        tuple(sorted(label for label in set(truth.vocabulary) - placed if not any(_akin(label, p) for p in placed))),
        truth.area,
        len(truth.rooms),
        tuple(_view(folder, view) for view in truth.frames),
        truth.camera,
        {room.id: np.array(room.polygon, dtype=np.float64) for room in truth.rooms},
    )


def _special(label: str, general: str) -> bool:
    """Whether a label names a special kind of what the other one names."""
    return label != general and label.endswith(general)


def _akin(a: str, b: str) -> bool:
    alike = any(a in group and b in group for group in ALIKE)
    return a == b or alike or _special(a, b) or _special(b, a) or a.split()[-1] == b.split()[-1]


def _item(thing: simulated.Thing) -> Item:
    return Item(
        thing.id,
        thing.label.lower(),
        np.array(thing.box.center, dtype=np.float64),
        np.array(thing.box.size, dtype=np.float64),
        thing.box.yaw,
        thing.room,
        thing.on,
        thing.support,
        thing.color,
        thing.material,
        thing.shape,
        thing.first_seen,
        thing.views,
    )


def _view(folder: Path, view: simulated.View) -> View:
    name = f"frame-{view.number:06d}"
    file = folder / f"{name}.pose.txt"
    if file.is_file():
        pose = np.loadtxt(file)
    else:
        ahead = np.array(
            [np.cos(view.yaw) * np.cos(view.tilt), np.sin(view.yaw) * np.cos(view.tilt), -np.sin(view.tilt)]
        )
        right = np.array([np.sin(view.yaw), -np.cos(view.yaw), 0.0])
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(ahead, right), ahead], axis=1)
        pose[:3, 3] = view.position
    return View(name, pose, view.time)

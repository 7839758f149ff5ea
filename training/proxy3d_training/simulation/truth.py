"""What is true of a simulated recording: ``truth.json``, read and written by this module alone.

Metres, radians, seconds; z up, the floor at z = 0. The schema is versioned; files of an older version are read as far
as they go (version 0 is that of the demo room: one rectangular room, objects without attributes).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import OrientedBox

VERSION = 1
FILE = "truth.json"

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A gravity-aligned box: ``center`` (3,), ``size`` (3,) along its own axes, ``yaw`` of the first axis about z."""

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float

    @classmethod
    def of(cls, box: OrientedBox) -> Box:
        """Rounded to a tenth of a millimetre, so that a file says what was written."""
        return cls(_rounded(box.center, 4), _rounded(box.size, 4), round(box.yaw, 4) + 0.0)

    def oriented(self) -> OrientedBox:
        """As the rest of the project handles boxes."""
        return OrientedBox.from_yaw(self.center, self.size, self.yaw)


@dataclass(frozen=True)
class Room:
    """A room of a flat.

    Attributes:
        id: number, > 0.
        kind: living room, kitchen, bedroom, office, bathroom, meeting room or hallway.
        polygon: corners of the inner walls' faces on the floor, counter-clockwise; four, or six for an L-shaped room.
        area: of the polygon, square metres.
        height: of the ceiling.
    """

    id: int
    kind: str
    polygon: tuple[Point, ...]
    area: float
    height: float


@dataclass(frozen=True)
class Opening:
    """A door, doorway (an opening without a leaf) or window, which is an object as well.

    Attributes:
        object: id of that object.
        kind: door, doorway or window.
        rooms: ids of the rooms on its sides; one where its other side is outside.
        center: its middle on the wall's face, at half its height.
        width, height: of the clear opening.
    """

    object: int
    kind: str
    rooms: tuple[int, ...]
    center: tuple[float, float, float]
    width: float
    height: float


@dataclass(frozen=True)
class Thing:
    """An object.

    Attributes:
        id: number of the instance, as in the instance images, > 0.
        label: everyday name.
        box: tight box along the object's own axes, at the end of the recording (a removed object: before that).
        room: id of the room it is in; of a door between two rooms: the first one; 0 = not known.
        on: what carries it: ``floor``, ``wall``, ``ceiling`` or ``object``.
        support: id of the object it stands or lies on, where ``on`` is ``object``.
        faces: its front looks along ``box.yaw``; False for things without a front.
        color: everyday name of the colour that most of its surface has; empty where no colour dominates.
        material: wood, fabric, metal, plastic, ceramic, glass, paper, leaves, ...; empty where mixed.
        shape: round, square, rectangular, L-shaped, ...; empty where no such word fits.
        views: (index of the frame, share of the picture's pixels) of the frames that show it; seen at a fixed coarse
            resolution, so that it does not depend on the size of the pictures.
        first_seen, last_seen: seconds; None if never. Shares below ``SEEN`` do not count.
    """

    id: int
    label: str
    box: Box
    room: int = 0
    on: str = "floor"
    support: int | None = None
    faces: bool = False
    color: str = ""
    material: str = ""
    shape: str = ""
    views: tuple[tuple[int, float], ...] = ()
    first_seen: float | None = None
    last_seen: float | None = None


SEEN = 0.001
"""Share of the picture from which on an object counts as seen."""
SHOWN_SHARE, SHOWN_FRAMES = 0.002, 2
"""An object with this share of the picture, in at least so many frames, is shown well enough to be asked about."""


@dataclass(frozen=True)
class Change:
    """Something that happened while the robot drove.

    Attributes:
        kind: moved, added or removed.
        object: id.
        time: seconds; frames from then on show the new state.
        before, after: its box, None where it was not there.
        room_before, room_after: ids of its room, 0 where it was not there.
    """

    kind: str
    object: int
    time: float
    before: Box | None
    after: Box | None
    room_before: int = 0
    room_after: int = 0


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics of all frames, pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class View:
    """A frame of the recording.

    Attributes:
        number: in the names of its files (``frame-NNNNNN.*``); counts at 30 Hz.
        time: seconds.
        position: (3,) of the camera.
        yaw: where it looks, about z.
        tilt: downward.
        room: id of the room it is in.
    """

    number: int
    time: float
    position: tuple[float, float, float]
    yaw: float
    tilt: float
    room: int


@dataclass(frozen=True)
class Truth:
    """Everything that is known about a recording.

    Attributes:
        name: of the recording, unique among seeds and numbers.
        seed: of the set, and ``number`` of the recording in it.
        generator: name and version of what made it.
        rooms, openings, objects, changes, camera, frames: see there.
        vocabulary: all labels that the generator can place; what is in it but not among the objects is absent.
    """

    name: str
    seed: int
    number: int
    generator: str
    rooms: tuple[Room, ...]
    openings: tuple[Opening, ...]
    objects: tuple[Thing, ...]
    changes: tuple[Change, ...] = ()
    camera: Camera | None = None
    frames: tuple[View, ...] = ()
    vocabulary: tuple[str, ...] = field(default=(), repr=False)

    @property
    def area(self) -> float:
        """Floor of all rooms, square metres."""
        return sum(room.area for room in self.rooms)

    def thing(self, number: int) -> Thing:
        """The object with an id. Raises KeyError."""
        for thing in self.objects:
            if thing.id == number:
                return thing
        raise KeyError(number)

    def present(self) -> tuple[Thing, ...]:
        """The objects that are there at the end of the recording."""
        gone = {change.object for change in self.changes if change.kind == "removed"}
        return tuple(thing for thing in self.objects if thing.id not in gone)

    def shown(self, thing: Thing) -> bool:
        """Whether the frames show enough of a thing, where it is at the end, that one can ask about it.

        Truths without ``views`` tell only whether it was seen at all.
        """
        if not thing.views:
            return thing.first_seen is not None
        moved = max((c.time for c in self.changes if c.object == thing.id and c.kind == "moved"), default=-1.0)
        times = {index: frame.time for index, frame in enumerate(self.frames)}
        good = [share >= SHOWN_SHARE and times[index] >= moved for index, share in thing.views]
        return sum(good) >= SHOWN_FRAMES

    def save(self, folder: Path) -> None:
        """Write ``truth.json`` into ``folder``; the same truth gives the same bytes."""
        document = {"version": VERSION, "frame": "z up, floor at z = 0, metres, radians, seconds"}
        document |= dataclasses.asdict(self)
        (folder / FILE).write_text(_lines(document) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read a ``truth.json``, or that of a folder.

        Raises:
            BadInput: not there, not JSON, of a newer version, or with a field missing; the message names it.
        """
        path = path / FILE if path.is_dir() else path
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from None
        except ValueError as error:
            raise BadInput(f"{path} is not JSON: {error}") from None
        version = document.get("version", 0)
        if version > VERSION:
            raise BadInput(f"{path} has version {version}, this program reads up to {VERSION}: update proxy3d-training")
        try:
            return _version_0(document, path.resolve().parent.name) if version == 0 else _version_1(document)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path} does not follow the schema of truth.json: {type(error).__name__} {error}") from None


def _rounded(values: Any, digits: int) -> Any:
    return tuple(round(float(v), digits) + 0.0 for v in values)  # + 0.0: no minus zero


def _lines(document: Mapping[str, Any]) -> str:
    """JSON with one line for each entry of a top-level list: small, and a diff shows which object changed."""
    parts = []
    for key, value in document.items():
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in value)
            parts.append(f" {json.dumps(key)}: [\n  {rows}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}"


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _read_box(value: Mapping[str, Any]) -> Box:
    return Box(_tuples(value["center"]), _tuples(value["size"]), float(value["yaw"]))


def _read(kind: type, value: Mapping[str, Any]) -> Any:
    """An instance of a dataclass from its JSON; boxes are told by their field's name."""
    fields = {}
    for key, entry in value.items():
        boxed = key in ("box", "before", "after") and entry is not None
        fields[key] = _read_box(entry) if boxed else _tuples(entry)
    return kind(**fields)


def _version_1(document: Mapping[str, Any]) -> Truth:
    camera = document["camera"]
    return Truth(
        name=document["name"],
        seed=int(document["seed"]),
        number=int(document["number"]),
        generator=document["generator"],
        rooms=tuple(_read(Room, v) for v in document["rooms"]),
        openings=tuple(_read(Opening, v) for v in document["openings"]),
        objects=tuple(_read(Thing, v) for v in document["objects"]),
        changes=tuple(_read(Change, v) for v in document["changes"]),
        camera=None if camera is None else Camera(**camera),
        frames=tuple(_read(View, v) for v in document["frames"]),
        vocabulary=tuple(document["vocabulary"]),
    )


def _version_0(document: Mapping[str, Any], name: str) -> Truth:
    plan = document["room"]
    width, depth = float(plan["width"]), float(plan["depth"])
    room = Room(1, "", ((0.0, 0.0), (width, 0.0), (width, depth), (0.0, depth)), width * depth, float(plan["height"]))
    things, changes, openings = [], [], []
    for entry in document["objects"]:
        box = _read_box(entry)
        things.append(Thing(int(entry["id"]), entry["label"], box, room=1, first_seen=entry["first_seen"]))
        if "moved" in entry:
            moved = entry["moved"]
            before, after = _read_box(moved["from"]), _read_box(moved["to"])
            changes.append(Change("moved", int(entry["id"]), float(moved["time"]), before, after, 1, 1))
        if entry["label"] in ("door", "window"):
            opening = Opening(int(entry["id"]), entry["label"], (1,), box.center, box.size[1], box.size[2])
            openings.append(opening)
    return Truth(name, 0, 0, "demo", (room,), tuple(openings), tuple(things), tuple(changes))

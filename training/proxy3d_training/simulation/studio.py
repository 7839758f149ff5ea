"""The demo room: a furnished one-room flat in which a suitcase is moved while the robot looks elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from proxy3d_training.simulation.furniture import CATALOGUE
from proxy3d_training.simulation.rooms import Item, Lamp, Opening, Room
from proxy3d_training.simulation.shapes import Material, srgb

MOVED = "suitcase"
MOVED_TO = ((6.70, 0.52, 0.0), 145.0)
"""Where the suitcase is put: position and yaw [degrees]."""
MOVED_AT = 11.7
"""When, in seconds; the robot sees neither place then."""

# Label, x, y, yaw [degrees], seed of the look; the same seed gives the same model (the five chairs).
_FLOOR: tuple[tuple[str, float, float, float, int], ...] = (
    ("sofa", 4.12, 2.40, 0, 4),
    ("coffee table", 5.45, 2.40, 0, 2),
    ("tv stand", 6.97, 2.40, 180, 1),
    ("armchair", 5.45, 0.66, 90, 7),
    ("lamp", 4.30, 0.36, 0, 2),
    ("potted plant", 6.70, 4.70, 0, 5),
    ("bookshelf", 3.05, 0.20, 90, 6),
    ("dining table", 1.55, 3.25, 90, 3),
    ("chair", 1.15, 2.62, 95, 11),
    ("chair", 1.97, 2.58, 84, 11),
    ("chair", 1.18, 3.90, -92, 11),
    ("chair", 1.98, 3.95, -78, 11),
    ("desk", 3.45, 4.83, -90, 8),
    ("chair", 3.38, 4.20, 78, 11),
    ("refrigerator", 0.36, 4.82, 0, 1),
    ("box", 0.32, 2.10, 4, 1),
    ("trash can", 2.45, 4.96, 0, 2),
    ("suitcase", 1.75, 0.26, 90, 1),
)
# Label, label of the support, offset (x, y) and yaw in the support's frame, seed.
_ON: tuple[tuple[str, str, float, float, float, int], ...] = (
    ("tv", "tv stand", 0.0, 0.0, 0, 1),
    ("monitor", "desk", -0.12, 0.0, 0, 2),
    ("mug", "desk", 0.12, -0.42, 30, 6),
    ("bowl", "coffee table", -0.02, -0.18, 0, 3),
    ("mug", "coffee table", 0.08, 0.28, 200, 1),
    ("laptop", "dining table", -0.14, 0.36, 180, 2),
    ("vase", "dining table", 0.02, -0.12, 0, 4),
)
# Label, wall, along it, height, seed.
_WALL: tuple[tuple[str, str, float, float, int], ...] = (("picture", "south", 5.75, 1.30, 3),)

CLASSES = (
    "background", "chair", "sofa", "armchair", "dining table", "coffee table", "desk", "tv stand", "tv", "monitor",
    "laptop", "lamp", "potted plant", "bookshelf", "refrigerator", "box", "trash can", "suitcase", "picture", "mug",
    "bowl", "vase", "door", "window", "bed", "cabinet", "backpack", "bottle", "book", "person",
)  # fmt: skip
"""Class ids of the robot's segmenter; some of them do not occur in this room."""

# Time [s], x, y [m], yaw, tilt down [degrees].
PATH: tuple[tuple[float, float, float, float, float], ...] = (
    (0.0, 0.75, 1.75, -52, 14),
    (1.4, 0.80, 1.70, -30, 14),
    (3.4, 0.95, 1.45, 60, 16),
    (4.5, 1.20, 1.30, 105, 14),
    (6.3, 2.40, 1.25, 110, 18),
    (7.2, 2.85, 1.45, 82, 16),
    (8.6, 3.05, 2.50, 95, 18),
    (9.7, 3.05, 3.25, 150, 20),
    (10.8, 3.25, 3.60, 85, 20),
    (12.0, 4.10, 3.75, 12, 16),
    (13.3, 5.00, 3.85, 10, 16),
    (14.5, 5.75, 3.85, -60, 17),
    (15.5, 6.15, 3.60, -112, 18),
    (16.4, 6.25, 3.05, -132, 20),
    (17.2, 6.25, 2.40, -112, 20),
    (18.4, 6.20, 1.90, -178, 18),
    (19.4, 5.90, 1.50, -190, 17),
    (20.3, 4.80, 1.25, -172, 15),
    (21.3, 3.80, 1.15, -158, 16),
    (22.1, 3.20, 1.15, -155, 18),
    (22.9, 2.90, 1.20, -180, 16),
)


def studio(moved: bool = False) -> Room:
    """The room before or after the suitcase was moved."""
    items: list[Item] = []

    def add(label: str, position: tuple[float, float, float], yaw: float, seed: int) -> None:
        items.append(Item(len(items) + 1, label, CATALOGUE[label](np.random.default_rng(seed)), position, yaw))

    for label, x, y, yaw, seed in _FLOOR:
        add(label, (x, y, 0.0), yaw, seed)
    for label, below, dx, dy, turn, seed in _ON:
        support = next(item for item in items if item.label == below)
        at = support.rotation @ (dx, dy, 0) + np.asarray(support.position)
        add(label, (float(at[0]), float(at[1]), support.box().top), support.yaw + turn, seed)

    room = Room(
        width=7.2,
        depth=5.2,
        height=2.6,
        floor=Material(srgb("#b88a5c"), "planks", scale=0.13, axis=0, gloss=0.3),
        walls=Material(srgb("#e6e1d6"), "paint"),
        ceiling=Material(srgb("#f1efea"), "paint"),
        accent=Material(srgb("#8fa39b"), "paint"),
        accent_wall="east",
        openings=(
            Opening("door", "west", 1.20, 0.92, 0.0, 2.05),
            Opening("window", "north", 5.10, 1.80, 0.88, 2.25),
        ),
        lamps=(
            Lamp((3.6, 2.6, 2.35), 0.2, (3.0, 2.7, 2.2)),
            Lamp((4.30, 0.36, 1.45), 0.24, (0.55, 0.45, 0.28)),
        ),
        sun=(-0.42, 0.72, 0.62),
    )
    for label, wall, along, z, seed in _WALL:
        position, yaw = room.wall_pose(wall, along, z)
        add(label, position, yaw, seed)
    items += room.fittings(len(items) + 1)
    if moved:
        items = [item.at(*MOVED_TO) if item.label == MOVED else item for item in items]
    return replace(room, items=tuple(items))

"""A furnished flat: a floor plan with its things, colours and lights, ready to be rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.random import Generator

from proxy3d_training.simulation.furnish import Placed, furnish
from proxy3d_training.simulation.furniture import WHITE, WOODS
from proxy3d_training.simulation.kinds import KINDS
from proxy3d_training.simulation.plan import THICKNESS, Hole, Plan, Space, Wall, draw_plan
from proxy3d_training.simulation.rooms import Item, Lamp, Pane, door, facing, window
from proxy3d_training.simulation.shapes import Color, Material, Part, slab, srgb

_WALL_PAINTS = ("#e9e5db", "#efece6", "#dfe3e4", "#d3dcd6", "#e8dccb", "#cfd8e0", "#efe3c8", "#dcd3cc", "#e6d5d0")
_ACCENTS = ("#8fa39b", "#5f7f95", "#b86f52", "#6f7f5c", "#c9a24e", "#7d6a8a", "#4f6068", "#a9545a", "#94b0b8")
_TILES = ("#e4e2dc", "#c9cfd0", "#9aa7ab", "#d8c7ad", "#6e7478", "#b7c9c4")
_CARPETS = ("#7d8288", "#6b7a6d", "#93826e", "#56606e", "#a39a8c", "#7a5f5a")


@dataclass(frozen=True)
class Look:
    """Materials of a room; one wall of it, by number, may have a colour of its own."""

    floor: Material
    walls: Material
    ceiling: Material
    accent: Material | None = None
    accent_wall: int = -1


@dataclass(frozen=True, eq=False)
class Flat:
    """Rooms with their things.

    Attributes:
        placed: everything that has an id, doors and windows too.
        looks: of the plan's rooms, in its order.
        lamps, sun: the lights; see ``rooms.Scene``.
    """

    plan: Plan
    placed: Sequence[Placed]
    looks: Sequence[Look]
    lamps: Sequence[Lamp]
    sun: tuple[float, float, float] | None

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All things, in the order of ``placed``."""
        return tuple(p.item for p in self.placed)

    def panes(self) -> list[Pane]:
        """The windows through which light comes in."""
        found = []
        for space in self.plan.spaces:
            for wall in space.walls:
                for hole in wall.holes:
                    if hole.kind == "window":
                        x, y = wall.point(hole.along)
                        found.append(
                            Pane((float(x), float(y), hole.bottom), wall.yaw, hole.width, hole.top - hole.bottom)
                        )
        return found

    def shell(self) -> list[Part]:
        """Floors, ceilings, walls with their openings, skirting boards, thresholds."""
        parts = []
        for space, look in zip(self.plan.spaces, self.looks, strict=True):
            for r in space.rects:
                parts.append(facing(slab((r.x0, r.y0, -0.1), (r.x1, r.y1, 0), look.floor), (0, 0, -1)))
                h = self.plan.height
                parts.append(facing(slab((r.x0, r.y0, h), (r.x1, r.y1, h + 0.1), look.ceiling), (0, 0, 1)))
            for i, wall in enumerate(space.walls):
                paint = look.accent if look.accent is not None and i == look.accent_wall else look.walls
                if paint.pattern == "tiles":
                    paint = replace(paint, axis=0 if abs(wall.normal[0]) > 0.5 else 1)
                parts += _wall(wall, paint, self.plan.height, look.floor)
        return parts

    def with_placed(self, placed: Sequence[Placed]) -> Flat:
        """The same flat with other things."""
        return replace(self, placed=tuple(placed))


def draw_flat(rng: Generator, rooms: int, kind: str | None = None) -> Flat:
    """A random flat with ``rooms`` rooms, furnished; ``kind`` is that of a single room. Raises BadInput."""
    plan = draw_plan(rng, rooms, kind)
    things = furnish(plan, rng)
    placed = (*things, *_fittings(plan, len(things) + 1))
    looks = [_look(space, rng) for space in plan.spaces]
    sun = None
    if rng.random() < 0.55:
        azimuth, height = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(22, 55))
        sun = (float(np.cos(azimuth) * np.cos(height)), float(np.sin(azimuth) * np.cos(height)), float(np.sin(height)))
    return Flat(plan, placed, looks, _lamps(things, plan, rng), sun)


def _tone(rng: Generator, palette: Sequence[str], spread: float = 0.05) -> Color:
    base = srgb(palette[int(rng.integers(len(palette)))])
    shift = np.exp(rng.normal(0, spread, 3))
    return tuple(float(min(c * s, 0.88)) for c, s in zip(base, shift, strict=True))  # type: ignore[return-value]


def _look(space: Space, rng: Generator) -> Look:
    ceiling = Material(srgb("#f1efea"), "paint")
    walls = Material(_tone(rng, _WALL_PAINTS), "paint")
    axis = int(rng.integers(2))
    planks = Material(
        _tone(rng, [_hex(c) for c in WOODS], 0.1), "planks", scale=float(rng.uniform(0.09, 0.2)), axis=axis, gloss=0.3
    )
    tile = _tone(rng, _TILES)
    grout: Color = tuple(0.7 * c for c in tile)  # type: ignore[assignment]
    tiles = Material(tile, "tiles", grout, float(rng.choice([0.2, 0.3, 0.4, 0.6])), 2, gloss=0.8)
    carpet = Material(_tone(rng, _CARPETS, 0.1), "fabric")
    if space.kind == "bathroom":
        wall_tile = _tone(rng, (*_WALL_PAINTS[:4], *_TILES[:2], "#bcd4d0", "#9fbccb"))
        seam: Color = tuple(0.8 * c for c in wall_tile)  # type: ignore[assignment]
        return Look(tiles, Material(wall_tile, "tiles", seam, float(rng.choice([0.15, 0.2, 0.3])), gloss=1.0), ceiling)
    if space.kind == "kitchen":
        floor = tiles if rng.random() < 0.65 else planks
    elif space.kind in ("office", "meeting room"):
        floor = carpet if rng.random() < 0.6 else planks
    elif space.kind == "hallway":
        floor = planks if rng.random() < 0.6 else tiles
    else:
        floor = planks if rng.random() < 0.78 else carpet
    if rng.random() < 0.45:
        return Look(
            floor, walls, ceiling, Material(_tone(rng, _ACCENTS, 0.1), "paint"), int(rng.integers(len(space.walls)))
        )
    return Look(floor, walls, ceiling)


def _hex(color: Color) -> str:
    return "#" + "".join(f"{round(255 * c ** (1 / 2.2)):02x}" for c in color)


def _lamps(things: Sequence[Placed], plan: Plan, rng: Generator) -> list[Lamp]:
    """A light for each lamp; the further apart a room's walls, the stronger the one on its ceiling."""
    warm = np.array([1.0, rng.uniform(0.84, 0.97), rng.uniform(0.66, 0.92)])
    lamps = []
    for thing in things:
        box = thing.item.box()
        x, y = (float(v) for v in box.center[:2])
        if thing.kind.name == "ceiling lamp":
            ceiling_lamps = sum(t.kind.name == "ceiling lamp" and t.room == thing.room for t in things)
            power = 0.16 * plan.space(thing.room).area / ceiling_lamps * rng.uniform(0.8, 1.3)
            lamps.append(Lamp((x, y, box.bottom - 0.13), 0.12, tuple(float(power * w) for w in warm)))  # type: ignore[arg-type]
        elif thing.kind.name in ("lamp", "table lamp"):
            power = 0.5 if thing.kind.name == "lamp" else 0.2
            lamps.append(Lamp((x, y, box.top - 0.1), 0.08, tuple(float(power * w) for w in warm)))  # type: ignore[arg-type]
    return lamps


def _fittings(plan: Plan, first_id: int) -> list[Placed]:
    """Doors, doorways and windows as things."""
    made: list[Placed] = []
    for space in plan.spaces:
        for wall in space.walls:
            for hole in wall.holes:
                if hole.kind == "doorway" and hole.other < space.id:
                    continue  # it is the other room's already
                if hole.kind == "doorway":
                    x, y = wall.point(hole.along, -THICKNESS / 2)
                    parts = _casing(hole)
                else:
                    x, y = wall.point(hole.along)
                    parts = (door if hole.kind == "door" else window)(hole.width, hole.top - hole.bottom)
                item = Item(first_id + len(made), hole.kind, parts, (float(x), float(y), hole.bottom), wall.yaw)
                made.append(Placed(item, KINDS[hole.kind], space.id, "floor" if hole.kind != "window" else "wall"))
    return made


def _casing(hole: Hole) -> list[Part]:
    """The wooden lining of a doorway, flush with both walls but for a finger's breadth."""
    x, inner, outer, top = THICKNESS / 2 + 0.018, hole.width / 2 - 0.02, hole.width / 2 + 0.07, hole.top
    return [
        slab((-x, -outer, 0), (x, -inner, top - 0.02), WHITE),
        slab((-x, inner, 0), (x, outer, top - 0.02), WHITE),
        slab((-x, -outer, top - 0.02), (x, outer, top + 0.07), WHITE),
    ]


def _wall(wall: Wall, paint: Material, height: float, floor: Material) -> list[Part]:
    """A wall around its holes, in the room's frame."""
    t, parts = wall.depth, []
    at = 0.0
    panels = []
    for hole in sorted(wall.holes, key=lambda h: h.along):
        low, high = hole.along - hole.width / 2, hole.along + hole.width / 2
        panels += [(at, low, 0.0, height), (low, high, hole.top, height)]
        if hole.bottom > 0:
            panels.append((low, high, 0.0, hole.bottom))
        else:
            parts.append(slab((-t, low, -0.1), (0, high, 0), floor))
        at = high
    panels.append((at, wall.length, 0.0, height))
    for low, high, bottom, top in panels:
        parts.append(slab((-t, low, bottom), (0, high, top), paint))
        if bottom == 0:
            parts.append(slab((0, low, 0), (0.012, high, 0.07), WHITE))
    # In the frame of things at the wall, y runs from its end to its start.
    mirrored = [replace(p, vertices=p.vertices * (1, -1, 1), faces=p.faces[:, ::-1]) for p in parts]
    at_wall = (*(float(v) for v in wall.start), 0.0)
    return [facing(p, (-1, 0, 0)).moved(at_wall, yaw=wall.yaw) for p in mirrored]

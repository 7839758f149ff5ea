"""Procedural furniture and things of a household.

Every builder draws sizes, shapes and colours from a random generator and returns parts in the item's own frame: origin
under its middle on the floor (or whatever it stands on), front towards +x, z up, metres. Things on a wall have their
back at x = 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from proxy3d_training.simulation.shapes import (
    Color,
    Material,
    Part,
    ball,
    box,
    cushion,
    cylinder,
    lathe,
    leaf,
    rod,
    sheet,
    slab,
    srgb,
)

Builder = Callable[[Generator], list[Part]]

WOODS = tuple(srgb(c) for c in ("#b58a5e", "#8a5f3a", "#6a452b", "#c8a67a", "#4a3326", "#a87448"))
PAINTS = tuple(srgb(c) for c in ("#e9e6df", "#d9d4c7", "#3d4a52", "#5b7065", "#a9b7b2", "#cfc3ad"))
FABRICS = tuple(
    srgb(c) for c in ("#4f6d7a", "#7a4b3a", "#8c8f86", "#5d6b4e", "#c08a3e", "#9a5f63", "#3f4657", "#b9a98f")
)
VIVID = tuple(srgb(c) for c in ("#c0392b", "#2f6fb0", "#e0a526", "#3b8f5a", "#d9d4c7", "#6d4a8c", "#1f2a33", "#d36b2a"))
STEEL = Material(srgb("#9aa0a4"), gloss=4.0)
DARK_STEEL = Material(srgb("#34373a"), gloss=2.0)
BLACK = Material(srgb("#1b1c1e"), gloss=1.0)
WHITE = Material(srgb("#ecebe7"), gloss=0.6)
SCREEN_OFF = Material(srgb("#0a0b0d"), gloss=2.5)


def _pick(rng: Generator, colors: Sequence[Color]) -> Color:
    return colors[int(rng.integers(len(colors)))]


def _wood(rng: Generator, axis: int = 0, color: Color | None = None) -> Material:
    return Material(color or _pick(rng, WOODS), "wood", axis=axis, gloss=0.5)


def _grain(material: Material, axis: int) -> Material:
    return Material(material.color, material.pattern, material.second, material.scale, axis, gloss=material.gloss)


def _legs(
    x: float, y: float, height: float, material: Material, thick: float = 0.045, splay: float = 0.0
) -> list[Part]:
    """Four tapered legs under the corners (+-x, +-y)."""
    return [
        rod((i * (x + splay), j * (y + splay), 0), (i * x, j * y, height), thick / 2, material)
        for i in (-1, 1)
        for j in (-1, 1)
    ]


def _handle(x: float, y: float, z: float, length: float, upright: bool = False) -> Part:
    half = np.array([0, 0, length / 2]) if upright else np.array([0, length / 2, 0])
    return rod(np.array([x, y, z]) - half, np.array([x, y, z]) + half, 0.007, STEEL)


def chair(rng: Generator) -> list[Part]:
    """A dining chair with a slatted or solid back."""
    width, depth, seat, top = (
        rng.uniform(0.42, 0.48),
        rng.uniform(0.42, 0.47),
        rng.uniform(0.44, 0.47),
        rng.uniform(0.82, 0.95),
    )
    wood = _wood(rng, axis=2)
    x, y = depth / 2 - 0.03, width / 2 - 0.03
    parts = [rod((x, j * y, 0), (x, j * y, seat - 0.03), 0.021, wood) for j in (-1, 1)]
    parts += [rod((-x - 0.03, j * y, 0), (-x, j * y, seat), 0.021, wood) for j in (-1, 1)]
    parts += [rod((-x, j * y, seat), (-x - 0.07, j * y, top), 0.019, wood) for j in (-1, 1)]
    parts += [slab((-x, j * y - 0.012, seat - 0.09), (x, j * y + 0.012, seat - 0.03), _grain(wood, 0)) for j in (-1, 1)]
    parts.append(slab((x - 0.012, -y, seat - 0.09), (x + 0.012, y, seat - 0.03), _grain(wood, 1)))
    if rng.random() < 0.6:
        parts.append(
            cushion((depth, width, 0.06), (0.0, 0, seat - 0.03), Material(_pick(rng, FABRICS), "fabric"), 0.25)
        )
    else:
        parts.append(box((depth, width, 0.03), (0, 0, seat - 0.03), _grain(wood, 0)))
    across = _grain(wood, 1)
    if rng.random() < 0.5:
        parts += [
            slab((-0.012, -y, -0.055), (0.012, y, 0.055), across).moved(
                (-x - 0.07 * s, 0, seat + s * (top - seat)), pitch=-9
            )
            for s in (0.35, 0.62, 0.88)
        ]
    else:
        back = slab((-0.012, -y, 0), (0.012, y, (top - seat) * 0.72), across)
        parts.append(back.moved((-x - 0.018, 0, seat + (top - seat) * 0.25), pitch=-9))
    return parts


def office_chair(rng: Generator) -> list[Part]:
    """A swivel chair with five castors, arms and a padded back."""
    cloth = Material(_pick(rng, (srgb("#2b2f36"), srgb("#39424a"), srgb("#2f4858"))), "fabric")
    seat, parts = rng.uniform(0.45, 0.5), []
    for i in range(5):
        c, s = np.cos(2 * np.pi * i / 5 + 0.3), np.sin(2 * np.pi * i / 5 + 0.3)
        parts.append(rod((0, 0, 0.10), (0.29 * c, 0.29 * s, 0.07), 0.022, BLACK))
        parts.append(ball(0.032, (0.29 * c, 0.29 * s, 0.032), BLACK))
    parts += [
        cylinder(0.03, seat - 0.13, (0, 0, 0.09), STEEL),
        cushion((0.48, 0.49, 0.10), (0, 0, seat - 0.05), cloth, 0.3),
    ]
    parts.append(rod((-0.18, 0, seat - 0.02), (-0.27, 0, seat + 0.22), 0.022, BLACK))
    parts.append(cushion((0.09, 0.45, 0.55), (-0.26, 0, seat + 0.10), cloth, 0.3).moved(pitch=-3))
    for j in (-0.27, 0.27):
        parts += [
            rod((-0.05, j, seat), (-0.05, j, seat + 0.2), 0.015, BLACK),
            box((0.24, 0.06, 0.03), (-0.02, j, seat + 0.2), BLACK),
        ]
    return parts


def stool(rng: Generator) -> list[Part]:
    """A round stool."""
    height, wood = rng.uniform(0.44, 0.68), _wood(rng)
    radius = rng.uniform(0.15, 0.19)
    return [
        *_legs(radius * 0.6, radius * 0.6, height - 0.03, _grain(wood, 2), 0.034, 0.05),
        cylinder(radius, 0.035, (0, 0, height - 0.035), wood),
    ]


def dining_table(rng: Generator) -> list[Part]:
    """A table for four to six, long side along y."""
    length, width, height, wood = rng.uniform(1.3, 1.7), rng.uniform(0.8, 0.92), rng.uniform(0.73, 0.76), _wood(rng, 1)
    x, y = width / 2 - 0.06, length / 2 - 0.07
    parts = [
        box((width, length, 0.035), (0, 0, height - 0.035), wood),
        *_legs(x, y, height - 0.035, _grain(wood, 2), 0.065),
    ]
    parts += [slab((i * x - 0.011, -y, height - 0.12), (i * x + 0.011, y, height - 0.035), wood) for i in (-1, 1)]
    parts += [
        slab((-x, j * y - 0.011, height - 0.12), (x, j * y + 0.011, height - 0.035), _grain(wood, 0)) for j in (-1, 1)
    ]
    return parts


def round_table(rng: Generator) -> list[Part]:
    """A round table on one foot."""
    radius, height, wood = rng.uniform(0.4, 0.6), rng.uniform(0.7, 0.75), _wood(rng)
    foot = [
        (0, 0),
        (radius * 0.55, 0),
        (radius * 0.55, 0.02),
        (0.05, 0.06),
        (0.035, height - 0.05),
        (0.1, height - 0.03),
        (0, height - 0.03),
    ]
    return [lathe(foot, (0, 0, 0), DARK_STEEL), cylinder(radius, 0.03, (0, 0, height - 0.03), wood, sections=40)]


def coffee_table(rng: Generator) -> list[Part]:
    """A low table with a shelf, long side along y."""
    length, width, height, wood = rng.uniform(0.9, 1.15), rng.uniform(0.5, 0.62), rng.uniform(0.4, 0.46), _wood(rng, 1)
    x, y = width / 2 - 0.04, length / 2 - 0.04
    return [
        box((width, length, 0.035), (0, 0, height - 0.035), wood),
        *_legs(x, y, height - 0.035, DARK_STEEL if rng.random() < 0.5 else _grain(wood, 2), 0.04),
        box((width - 0.1, length - 0.1, 0.018), (0, 0, 0.13), wood),
    ]


def desk(rng: Generator) -> list[Part]:
    """A desk with a drawer unit; the side where one sits is +x, its long side along y."""
    length, depth, height = rng.uniform(1.2, 1.5), rng.uniform(0.6, 0.7), rng.uniform(0.72, 0.75)
    wood, body = _wood(rng, 1), Material(_pick(rng, PAINTS), "paint")
    x, y = depth / 2 - 0.05, length / 2 - 0.05
    parts = [box((depth, length, 0.03), (0, 0, height - 0.03), wood)]
    parts += [rod((i * x, -y, 0), (i * x, -y, height - 0.03), 0.02, DARK_STEEL) for i in (-1, 1)]
    parts.append(slab((-x, y - 0.38, 0.02), (x - 0.02, y, height - 0.03), body))
    for k in range(3):
        z = 0.05 + k * (height - 0.1) / 3
        parts.append(slab((x - 0.02, y - 0.37, z), (x, y - 0.01, z + (height - 0.1) / 3 - 0.012), body))
        parts.append(_handle(x + 0.012, y - 0.19, z + (height - 0.1) / 3 - 0.07, 0.12))
    return parts


def sofa(rng: Generator, width: float | None = None) -> list[Part]:
    """A sofa for two or three with arms, seat and back cushions, and throw pillows."""
    width = width or rng.uniform(1.75, 2.15)
    depth, seat, back, arm = rng.uniform(0.85, 0.95), rng.uniform(0.41, 0.45), rng.uniform(0.78, 0.88), 0.17
    cloth = Material(_pick(rng, FABRICS), "fabric")
    inner = width - 2 * arm
    parts = [slab((-depth / 2, -width / 2 + 0.02, 0.09), (depth / 2 - 0.03, width / 2 - 0.02, 0.28), cloth)]
    parts += _legs(depth / 2 - 0.09, width / 2 - 0.09, 0.09, Material(WOODS[4], "wood", axis=2), 0.045)
    parts += [cushion((depth, arm, 0.56), (0, j * (width - arm) / 2, 0.08), cloth, 0.22) for j in (-1, 1)]
    parts.append(cushion((0.2, width - 0.04, back - 0.1), (-depth / 2 + 0.1, 0, 0.1), cloth, 0.2))
    seats = 1 if width < 1.2 else 2 if width < 2.0 else 3
    for i in range(seats):
        y = (i + 0.5) * inner / seats - inner / 2
        parts.append(cushion((depth - 0.2, inner / seats - 0.01, 0.17), (0.1, y, seat - 0.15), cloth, 0.25))
        rest = cushion((0.18, inner / seats - 0.02, back - seat + 0.06), (0, 0, 0), cloth, 0.4)
        parts.append(rest.moved((-depth / 2 + 0.25, y, seat - 0.01), pitch=-9))
    if width > 1.2:
        for j in (-1, 1):
            pillow = cushion(
                (0.13, 0.42, 0.40),
                (0, 0, 0),
                Material(_pick(rng, VIVID), "checks" if j > 0 else "fabric", _pick(rng, PAINTS), 0.1),
                0.6,
            )
            parts.append(pillow.moved((-depth / 2 + 0.36, j * (inner / 2 - 0.24), seat), pitch=-18, yaw=-j * 12))
    return parts


def armchair(rng: Generator) -> list[Part]:
    """A sofa for one."""
    return sofa(rng, width=rng.uniform(0.8, 0.9))


def bed(rng: Generator) -> list[Part]:
    """A bed with headboard at -x, blanket and pillows."""
    width, length = rng.choice([0.95, 1.4, 1.6]), rng.uniform(2.0, 2.1)
    wood, sheet_cloth = _wood(rng, 1), Material(srgb("#e4e2dc"), "fabric")
    blanket = Material(_pick(rng, FABRICS), "stripes", srgb("#d9d4c7"), 0.3, 0)
    parts = [
        slab((-length / 2, -width / 2, 0.12), (length / 2, width / 2, 0.32), wood),
        slab((-length / 2 - 0.05, -width / 2 - 0.02, 0), (-length / 2, width / 2 + 0.02, rng.uniform(0.85, 1.1)), wood),
        *_legs(length / 2 - 0.08, width / 2 - 0.08, 0.12, wood, 0.06),
        cushion((length - 0.04, width - 0.03, 0.22), (0, 0, 0.30), sheet_cloth, 0.15),
        cushion((length * 0.66, width + 0.06, 0.25), (length * 0.17, 0, 0.295), blanket, 0.15),
    ]
    for j in (0,) if width < 1.2 else (-1, 1):
        parts.append(cushion((0.42, 0.62, 0.15), (-length / 2 + 0.28, j * width / 4, 0.48), sheet_cloth, 0.55).moved())
    return parts


def bookshelf(rng: Generator) -> list[Part]:
    """An open shelf full of books with a few ornaments."""
    width, depth, height, wood = rng.uniform(0.8, 1.1), rng.uniform(0.28, 0.34), rng.uniform(1.7, 2.0), _wood(rng, 2)
    t, shelves = 0.025, int(rng.integers(5, 7))
    parts = [
        slab((-depth / 2, j * width / 2 - t / 2, 0), (depth / 2, j * width / 2 + t / 2, height), wood) for j in (-1, 1)
    ]
    parts.append(slab((-depth / 2, -width / 2, 0), (-depth / 2 + 0.012, width / 2, height), wood))
    levels = np.linspace(0.06, height - t, shelves + 1)
    parts += [slab((-depth / 2, -width / 2, z), (depth / 2, width / 2, z + t), _grain(wood, 1)) for z in levels]
    for low, high in itertools.pairwise(levels):
        y, room = -width / 2 + t, high - low - t
        while y < width / 2 - 0.1:
            kind = rng.random()
            if kind < 0.1 and y < width / 2 - 0.18:
                r = min(0.06, room / 3)
                vase = lathe(
                    [(0, 0), (r * 0.6, 0), (r, r), (r * 0.8, r * 1.8), (r * 0.4, r * 2.4), (r * 0.45, r * 2.7)],
                    (0, y + 0.08, low + t),
                    Material(_pick(rng, VIVID), gloss=1),
                    16,
                )
                parts.append(vase)
                y += 0.16
            elif kind < 0.2:
                y += rng.uniform(0.05, 0.15)
            else:
                for _ in range(int(rng.integers(3, 9))):
                    thick, tall = rng.uniform(0.018, 0.05), room * rng.uniform(0.62, 0.94)
                    if y + thick > width / 2 - t:
                        break
                    deep = depth * rng.uniform(0.6, 0.85)
                    cover = Material(_pick(rng, VIVID + FABRICS + PAINTS))
                    parts.append(
                        slab(
                            (-depth / 2 + 0.02, y, low + t),
                            (-depth / 2 + 0.02 + deep, y + thick - 0.002, low + t + tall),
                            cover,
                        )
                    )
                    y += thick
    return parts


def cabinet(
    rng: Generator, width: float | None = None, height: float | None = None, depth: float | None = None
) -> list[Part]:
    """A closed cabinet with doors and a top."""
    width, height, depth = (
        width or rng.uniform(0.9, 1.3),
        height or rng.uniform(0.75, 0.95),
        depth or rng.uniform(0.38, 0.46),
    )
    body = Material(_pick(rng, PAINTS), "paint") if rng.random() < 0.5 else _wood(rng, 2)
    dark = Material(tuple(0.5 * c for c in body.color), body.pattern, axis=2)  # type: ignore[arg-type]
    parts = [slab((-depth / 2, -width / 2, 0.06), (depth / 2 - 0.02, width / 2, height - 0.025), dark)]
    parts.append(slab((-depth / 2 + 0.03, -width / 2 + 0.03, 0), (depth / 2 - 0.06, width / 2 - 0.03, 0.06), BLACK))
    parts.append(
        slab(
            (-depth / 2, -width / 2 - 0.012, height - 0.025),
            (depth / 2 + 0.012, width / 2 + 0.012, height),
            _wood(rng, 1),
        )
    )
    doors = max(1, round(width / 0.45))
    for i in range(doors):
        low, high = (i / doors - 0.5) * width + 0.004, ((i + 1) / doors - 0.5) * width - 0.004
        parts.append(slab((depth / 2 - 0.02, low, 0.065), (depth / 2, high, height - 0.03), body))
        parts.append(
            _handle(depth / 2 + 0.015, high - 0.05 if i % 2 == 0 else low + 0.05, height * 0.62, 0.13, upright=True)
        )
    return parts


def wardrobe(rng: Generator) -> list[Part]:
    """A tall cabinet."""
    return cabinet(rng, width=rng.uniform(0.95, 1.5), height=rng.uniform(1.85, 2.1), depth=rng.uniform(0.55, 0.62))


def nightstand(rng: Generator) -> list[Part]:
    """A small cabinet beside the bed."""
    return cabinet(rng, width=rng.uniform(0.4, 0.48), height=rng.uniform(0.45, 0.6), depth=0.38)


def tv_stand(rng: Generator) -> list[Part]:
    """A low cabinet for a TV, long side along y."""
    return cabinet(rng, width=rng.uniform(1.5, 1.75), height=rng.uniform(0.45, 0.52), depth=rng.uniform(0.38, 0.42))


def _flat_screen(width: float, lift: float, screen: Material) -> list[Part]:
    height = width * 0.575
    return [
        slab((-0.025, -width / 2, lift), (0.015, width / 2, lift + height), BLACK),
        slab((0.015, -width / 2 + 0.012, lift + 0.016), (0.017, width / 2 - 0.012, lift + height - 0.012), screen),
    ]


def tv(rng: Generator) -> list[Part]:
    """A television on its feet."""
    width = rng.uniform(1.1, 1.3)
    feet = [slab((-0.12, j * width * 0.32 - 0.015, 0), (0.12, j * width * 0.32 + 0.015, 0.012), BLACK) for j in (-1, 1)]
    posts = [rod((0, j * width * 0.32, 0.01), (0, j * width * 0.32, 0.08), 0.012, BLACK) for j in (-1, 1)]
    return [*feet, *posts, *_flat_screen(width, 0.07, SCREEN_OFF)]


def monitor(rng: Generator) -> list[Part]:
    """A computer monitor that is switched on."""
    width = rng.uniform(0.52, 0.62)
    screen = Material(
        _pick(rng, (srgb("#2a5a8c"), srgb("#274b45"), srgb("#46325e"))), "screen", scale=width / 2, emission=1.2
    )
    return [
        box((0.2, 0.24, 0.012), (0, 0, 0), BLACK),
        slab((-0.05, -0.025, 0.01), (-0.025, 0.025, 0.24), BLACK),
        *_flat_screen(width, 0.11, screen),
    ]


def laptop(rng: Generator) -> list[Part]:
    """An open laptop; the user sits at +x."""
    shell = Material(_pick(rng, (srgb("#b9bcc0"), srgb("#44474b"))), gloss=1)
    keys = Material(srgb("#17181a"), "keys", shell.color, 0.019)
    screen = Material(srgb("#1f4f6b"), "screen", scale=0.16, emission=1.2)
    lid = [slab((-0.006, -0.17, 0), (0, 0.17, 0.23), shell), slab((0, -0.16, 0.012), (0.001, 0.16, 0.22), screen)]
    base = [box((0.24, 0.34, 0.016), (0, 0, 0), shell), slab((-0.10, -0.15, 0.016), (0.02, 0.15, 0.0165), keys)]
    return [*base, *(p.moved((-0.115, 0, 0.014), pitch=-17) for p in lid)]


def keyboard(rng: Generator) -> list[Part]:
    """A computer keyboard."""
    return [
        box((0.14, 0.42, 0.018), (0, 0, 0), BLACK),
        slab((-0.06, -0.2, 0.018), (0.06, 0.2, 0.022), Material(srgb("#3a3d42"), "keys", srgb("#101114"), 0.019)),
    ]


def floor_lamp(rng: Generator) -> list[Part]:
    """A standing lamp with a fabric shade that is switched on."""
    height, metal = rng.uniform(1.45, 1.65), DARK_STEEL
    shade = Material(srgb("#f3e2bd"), "fabric", emission=1.1)
    return [
        cylinder(0.14, 0.025, (0, 0, 0), metal),
        rod((0, 0, 0.02), (0, 0, height - 0.1), 0.012, metal),
        lathe(
            [(0.20, height - 0.28), (0.15, height), (0.145, height), (0.195, height - 0.28), (0.20, height - 0.28)],
            (0, 0, 0),
            shade,
        ),
    ]


def table_lamp(rng: Generator) -> list[Part]:
    """A lamp with a ceramic foot."""
    base = Material(_pick(rng, VIVID), gloss=1)
    foot = [(0, 0), (0.06, 0), (0.075, 0.05), (0.07, 0.1), (0.025, 0.19), (0.012, 0.24), (0, 0.24)]
    shade = [(0.13, 0.2), (0.085, 0.38), (0.08, 0.38), (0.125, 0.2), (0.13, 0.2)]
    return [lathe(foot, (0, 0, 0), base), lathe(shade, (0, 0, 0), Material(srgb("#f3e2bd"), "fabric", emission=1.1))]


def potted_plant(rng: Generator) -> list[Part]:
    """A leafy plant in a pot, about a metre high."""
    r, tall = rng.uniform(0.15, 0.19), rng.uniform(0.26, 0.32)
    pot = lathe(
        [(0, 0), (r * 0.72, 0), (r, tall), (r * 0.9, tall), (r * 0.85, tall - 0.04), (0, tall - 0.04)],
        (0, 0, 0),
        Material(_pick(rng, (srgb("#b5633c"), srgb("#d8d5cd"), srgb("#39464d"))), "paint"),
    )
    parts = [pot]
    green = Material(srgb("#2f6b2c"), "foliage", srgb("#74a348"))
    stem = Material(srgb("#4d6b35"))
    for i in range(int(rng.integers(22, 28))):
        yaw = i * 137.5 + rng.uniform(-15, 15)
        start = tall - 0.03 + rng.uniform(0, 0.42) * (1 - 0.3 * (i % 2))
        grown = leaf(rng.uniform(0.30, 0.44), rng.uniform(0.10, 0.15), rng.uniform(0.3, 0.9), green)
        parts.append(grown.moved((0, 0, start), yaw=yaw, pitch=rng.uniform(-38, -5)))
    parts += [
        rod((0, 0, tall - 0.05), (0.05 * np.cos(a), 0.05 * np.sin(a), tall + 0.4), 0.012, stem) for a in (0, 2.1, 4.2)
    ]
    return parts


def mug(rng: Generator) -> list[Part]:
    """A mug with a handle."""
    color = Material(_pick(rng, VIVID), gloss=1)
    r, h = rng.uniform(0.038, 0.044), rng.uniform(0.09, 0.11)
    body = lathe(
        [(0, 0), (r * 0.92, 0), (r, 0.01), (r, h), (r - 0.004, h), (r - 0.004, 0.012), (0, 0.012)], (0, 0, 0), color
    )
    angles = np.linspace(-1.35, 1.35, 7)
    ring = np.stack([np.zeros(7), r + 0.024 * np.cos(angles), h / 2 + 0.03 * np.sin(angles)], axis=1)
    return [body, *(rod(a, b, 0.006, color, 8) for a, b in itertools.pairwise(ring))]


def bowl(rng: Generator) -> list[Part]:
    """A bowl of fruit."""
    r = rng.uniform(0.12, 0.15)
    s = np.linspace(0.3, np.pi / 2, 7)
    outer = [(0, 0), *((r * np.sin(a), r * 0.62 * (1 - np.cos(a))) for a in s)]
    inner = [((r - 0.008) * np.sin(a), r * 0.62 * (1 - np.cos(a)) + 0.008) for a in s[::-1]]
    parts = [lathe([*outer, *inner, (0, 0.02)], (0, 0, 0), Material(_pick(rng, PAINTS), gloss=1))]
    for i in range(6):
        a = i * 2.4
        where = (r * 0.5 * np.cos(a) * (i > 0), r * 0.5 * np.sin(a) * (i > 0), 0.062 + 0.03 * (i == 0))
        parts.append(
            ball(
                rng.uniform(0.036, 0.042),
                where,
                Material(_pick(rng, (srgb("#c6352b"), srgb("#e08a1e"), srgb("#8fae3a")))),
            )
        )
    return parts


def bottle(rng: Generator) -> list[Part]:
    """A bottle."""
    glass = Material(_pick(rng, (srgb("#1f4d33"), srgb("#5a3a1c"), srgb("#2c5c8f"))), gloss=3)
    return [
        lathe(
            [(0, 0), (0.036, 0), (0.037, 0.17), (0.03, 0.2), (0.013, 0.23), (0.013, 0.29), (0, 0.29)], (0, 0, 0), glass
        )
    ]


def vase(rng: Generator) -> list[Part]:
    """A vase with a few stalks."""
    clay = Material(_pick(rng, VIVID + PAINTS), gloss=1)
    parts = [
        lathe(
            [
                (0, 0),
                (0.05, 0),
                (0.085, 0.09),
                (0.07, 0.18),
                (0.035, 0.24),
                (0.045, 0.27),
                (0.04, 0.27),
                (0.03, 0.24),
                (0, 0.2),
            ],
            (0, 0, 0),
            clay,
        )
    ]
    for i in range(5):
        tip = np.array([0.09 * np.cos(i * 1.3), 0.09 * np.sin(i * 1.3), 0.46 + 0.02 * i])
        parts += [
            rod((0, 0, 0.22), tip, 0.004, Material(srgb("#5f7d3a")), 6),
            ball(0.03, tip, Material(_pick(rng, VIVID))),
        ]
    return parts


def book(rng: Generator) -> list[Part]:
    """A stack of two or three books lying flat."""
    parts, z = [], 0.0
    for _ in range(int(rng.integers(2, 4))):
        thick, w, d = rng.uniform(0.018, 0.035), rng.uniform(0.14, 0.18), rng.uniform(0.2, 0.25)
        parts.append(box((w, d, thick), (0, 0, z), Material(_pick(rng, VIVID))).moved(yaw=rng.uniform(-12, 12)))
        z += thick
    return parts


def cardboard_box(rng: Generator) -> list[Part]:
    """A closed cardboard box with tape."""
    w, d, h = rng.uniform(0.34, 0.42), rng.uniform(0.44, 0.52), rng.uniform(0.32, 0.4)
    board, tape = Material(srgb("#b08a5b"), "paint"), Material(srgb("#cdb48a"), gloss=0.5)
    return [
        box((w, d, h), (0, 0, 0), board),
        slab((-0.025, -d / 2 - 0.001, h), (0.025, d / 2 + 0.001, h + 0.001), tape),
        slab((w / 2, -0.11, h * 0.35), (w / 2 + 0.001, 0.11, h * 0.62), Material(srgb("#e8e4da"))),
    ]


def trash_can(rng: Generator) -> list[Part]:
    """A waste bin."""
    r, h = rng.uniform(0.13, 0.16), rng.uniform(0.34, 0.42)
    return [
        lathe(
            [(0, 0), (r * 0.82, 0), (r, h), (r - 0.012, h), (r * 0.8, 0.02), (0, 0.02)],
            (0, 0, 0),
            Material(_pick(rng, (srgb("#8d9396"), srgb("#3b6ea0"), srgb("#2d2f31"))), gloss=1),
        )
    ]


def suitcase(rng: Generator) -> list[Part]:
    """A trolley case standing up."""
    w, d, h = rng.uniform(0.42, 0.48), rng.uniform(0.26, 0.3), rng.uniform(0.6, 0.68)
    shell, rib = (
        Material(_pick(rng, (srgb("#c8372d"), srgb("#2f6fb0"), srgb("#e0a526"))), gloss=1),
        Material(srgb("#2a2a2c")),
    )
    parts = [cushion((d, w, h), (0, 0, 0.05), shell, 0.14)]
    parts += [
        slab(
            (d / 2 - 0.012, y - 0.012, 0.12),
            (d / 2 + 0.004, y + 0.012, h - 0.02),
            Material(tuple(0.6 * c for c in shell.color)),
        )
        for y in np.linspace(-w * 0.32, w * 0.32, 5)
    ]  # type: ignore[arg-type]
    parts += [ball(0.028, (i * d * 0.33, j * w * 0.36, 0.028), rib) for i in (-1, 1) for j in (-1, 1)]
    parts += [rod((-d * 0.3, j * 0.09, h + 0.02), (-d * 0.3, j * 0.09, h + 0.2), 0.008, STEEL) for j in (-1, 1)]
    parts.append(rod((-d * 0.3, -0.1, h + 0.2), (-d * 0.3, 0.1, h + 0.2), 0.014, rib))
    return parts


def refrigerator(rng: Generator) -> list[Part]:
    """A fridge with a freezer door."""
    w, d, h = rng.uniform(0.58, 0.62), rng.uniform(0.6, 0.66), rng.uniform(1.65, 1.8)
    body = Material(_pick(rng, (srgb("#e7e8e6"), srgb("#b4b9bb"))), "paint", gloss=1.5)
    return [
        slab((-d / 2, -w / 2, 0.03), (d / 2 - 0.05, w / 2, h), body),
        slab((-d / 2 + 0.03, -w / 2 + 0.03, 0), (d / 2 - 0.08, w / 2 - 0.03, 0.03), BLACK),
        slab((d / 2 - 0.045, -w / 2, 0.04), (d / 2, w / 2, h * 0.66), body),
        slab((d / 2 - 0.045, -w / 2, h * 0.66 + 0.012), (d / 2, w / 2, h), body),
        _handle(d / 2 + 0.03, -w / 2 + 0.06, h * 0.5, 0.34, upright=True),
        _handle(d / 2 + 0.03, -w / 2 + 0.06, h * 0.8, 0.24, upright=True),
    ]


def stove(rng: Generator) -> list[Part]:
    """A cooker with four rings and an oven door."""
    body = Material(srgb("#d9dadb"), "paint", gloss=1)
    parts = [slab((-0.3, -0.3, 0.03), (0.28, 0.3, 0.9), body), slab((-0.3, -0.3, 0.9), (0.29, 0.3, 0.915), SCREEN_OFF)]
    parts += [
        cylinder(0.085, 0.004, (i * 0.13, j * 0.14, 0.915), Material(srgb("#40211c"))) for i in (-1, 1) for j in (-1, 1)
    ]
    parts += [slab((0.28, -0.27, 0.12), (0.295, 0.27, 0.66), SCREEN_OFF), _handle(0.32, 0, 0.7, 0.45)]
    return parts


def sink(rng: Generator) -> list[Part]:
    """A kitchen unit with a basin and a tap."""
    top = Material(_pick(rng, (srgb("#4a4d50"), srgb("#c9c1b2"))), "speckle", srgb("#8a8d90"), 0.02, gloss=1)
    parts = cabinet(rng, width=1.2, height=0.86, depth=0.58)
    for low, high in (
        ((-0.3, -0.62), (-0.2, 0.62)),
        ((0.2, -0.62), (0.31, 0.62)),
        ((-0.2, -0.62), (0.2, -0.25)),
        ((-0.2, 0.25), (0.2, 0.62)),
    ):
        parts.append(slab((*low, 0.86), (*high, 0.89), top))
    parts.append(slab((-0.2, -0.25, 0.861), (0.2, 0.25, 0.865), STEEL))
    parts += [
        rod((-0.24, 0, 0.89), (-0.24, 0, 1.12), 0.012, STEEL),
        rod((-0.24, 0, 1.12), (-0.06, 0, 1.1), 0.01, STEEL),
    ]
    return parts


def backpack(rng: Generator) -> list[Part]:
    """A rucksack."""
    cloth = Material(_pick(rng, VIVID), "fabric")
    return [
        cushion((0.2, 0.31, 0.44), (0, 0, 0), cloth, 0.45),
        cushion((0.1, 0.24, 0.22), (0.1, 0, 0.04), Material(tuple(0.7 * c for c in cloth.color), "fabric"), 0.4),  # type: ignore[arg-type]
        rod((-0.05, -0.04, 0.43), (-0.05, 0.04, 0.43), 0.012, BLACK),
    ]


def picture(rng: Generator) -> list[Part]:
    """A framed picture on a wall (its back at x = 0); the origin is its lowest middle."""
    w, h = rng.uniform(0.55, 0.95), rng.uniform(0.45, 0.65)
    frame = Material(_pick(rng, (srgb("#2a2420"), srgb("#b58a5e"), srgb("#e4e1da"))))
    return [
        slab((0, -w / 2, 0), (0.03, w / 2, h), frame),
        slab(
            (0.03, -w / 2 + 0.04, 0.04), (0.031, w / 2 - 0.04, h - 0.04), Material((1, 1, 1), "painting", scale=w / 2)
        ),
    ]


def clock(rng: Generator) -> list[Part]:
    """A round wall clock (its back at x = 0); the origin is its lowest point."""
    r = rng.uniform(0.13, 0.17)
    rim = cylinder(r, 0.035, (0, 0, 0), BLACK, sections=32).moved((0, 0, r), pitch=90)
    face = cylinder(r * 0.92, 0.002, (0, 0, 0.035), Material(srgb("#efeee9"), "dial", srgb("#191919"), r), sections=32)
    return [rim, face.moved((0, 0, r), pitch=90)]


def rug(rng: Generator) -> list[Part]:
    """A woven rug, long side along y."""
    w, length = rng.uniform(1.3, 1.7), rng.uniform(2.0, 2.5)
    cloth = Material(_pick(rng, FABRICS), "rug", srgb("#d8ccb4"), w / 2)
    return [slab((-w / 2, -length / 2, 0), (w / 2, length / 2, 0.012), cloth)]


def curtain(rng: Generator) -> list[Part]:
    """One hanging curtain against a wall (its back at x = 0); the origin is its lowest middle."""
    width, height = rng.uniform(0.35, 0.5), rng.uniform(2.1, 2.3)
    cloth = Material(_pick(rng, FABRICS), "fabric")
    y = np.linspace(-width / 2, width / 2, 49)
    z = np.linspace(0, height, 12)
    fold = 0.05 + 0.03 * np.sin(y * 2 * np.pi / 0.11)
    grid = np.stack(np.broadcast_arrays(fold * (1 - 0.25 * z[:, None] / height), y[None], z[:, None]), axis=-1)
    return [sheet(grid, cloth)]


def radiator(rng: Generator) -> list[Part]:
    """A panel radiator on a wall (its back at x = 0)."""
    width = rng.uniform(0.8, 1.2)
    parts = [
        slab((0.03, -width / 2, 0.12), (0.06, width / 2, 0.68), WHITE),
        slab((0.04, -width / 2, 0.66), (0.13, width / 2, 0.69), WHITE),
    ]
    parts += [
        slab((0.06, y, 0.14), (0.12, y + 0.035, 0.66), WHITE) for y in np.arange(-width / 2, width / 2 - 0.03, 0.06)
    ]
    return parts


CATALOGUE: dict[str, Builder] = {
    "armchair": armchair,
    "backpack": backpack,
    "bed": bed,
    "book": book,
    "bookshelf": bookshelf,
    "bottle": bottle,
    "bowl": bowl,
    "box": cardboard_box,
    "cabinet": cabinet,
    "chair": chair,
    "clock": clock,
    "coffee table": coffee_table,
    "curtain": curtain,
    "desk": desk,
    "dining table": dining_table,
    "keyboard": keyboard,
    "lamp": floor_lamp,
    "laptop": laptop,
    "monitor": monitor,
    "mug": mug,
    "nightstand": nightstand,
    "office chair": office_chair,
    "picture": picture,
    "potted plant": potted_plant,
    "radiator": radiator,
    "refrigerator": refrigerator,
    "round table": round_table,
    "rug": rug,
    "sink": sink,
    "sofa": sofa,
    "stool": stool,
    "stove": stove,
    "suitcase": suitcase,
    "table lamp": table_lamp,
    "trash can": trash_can,
    "tv": tv,
    "tv stand": tv_stand,
    "vase": vase,
    "wardrobe": wardrobe,
}
"""Builders by kind."""

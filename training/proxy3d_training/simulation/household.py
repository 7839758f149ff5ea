"""More procedural things: bathroom, kitchen, office, hallway and clutter. Conventions as in ``furniture``."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.random import Generator

from proxy3d_training.simulation.furniture import (
    BLACK,
    CATALOGUE,
    DARK_STEEL,
    FABRICS,
    PAINTS,
    SCREEN_OFF,
    STEEL,
    VIVID,
    WHITE,
    WOODS,
    Builder,
    cabinet,
)
from proxy3d_training.simulation.shapes import (
    Color,
    Material,
    Part,
    ball,
    box,
    cushion,
    cylinder,
    lathe,
    rod,
    slab,
    srgb,
)

_CERAMIC = Material(srgb("#f0f0ec"), gloss=1.5)
_GLASS = Material(srgb("#c9d6da"), gloss=5.0)


def _pick(rng: Generator, colors: tuple[Color, ...]) -> Color:
    return colors[int(rng.integers(len(colors)))]


def toilet(rng: Generator) -> list[Part]:
    """A toilet with its cistern at the wall (-x)."""
    lid = _CERAMIC if rng.random() < 0.7 else Material(_pick(rng, WOODS), "wood", axis=0, gloss=0.5)
    bowl = [(0, 0), (0.13, 0), (0.12, 0.15), (0.19, 0.36), (0.19, 0.39), (0, 0.39)]
    return [
        lathe(bowl, (0.08, 0, 0), _CERAMIC, 28),
        cylinder(0.195, 0.03, (0.08, 0, 0.39), lid, sections=28),
        box((0.17, 0.37, 0.36), (-0.2, 0, 0.40), _CERAMIC),
        box((0.19, 0.39, 0.025), (-0.2, 0, 0.76), _CERAMIC),
        box((0.16, 0.2, 0.4), (-0.18, 0, 0), _CERAMIC),
        cylinder(0.02, 0.012, (-0.2, 0, 0.785), STEEL, sections=12),
    ]


def washbasin(rng: Generator) -> list[Part]:
    """A washbasin on a cupboard, with a tap."""
    width = rng.uniform(0.55, 0.8)
    front = Material(_pick(rng, PAINTS), "paint") if rng.random() < 0.5 else Material(_pick(rng, WOODS), "wood", axis=1)
    parts = [slab((-0.22, -width / 2 + 0.02, 0.25), (0.2, width / 2 - 0.02, 0.72), front)]
    parts.append(slab((-0.2, -width / 2 + 0.05, 0), (-0.1, width / 2 - 0.05, 0.25), front))
    for low, high in (
        ((-0.24, -width / 2), (-0.12, width / 2)),
        ((0.17, -width / 2), (0.23, width / 2)),
        ((-0.12, -width / 2), (0.17, -width / 2 + 0.07)),
        ((-0.12, width / 2 - 0.07), (0.17, width / 2)),
    ):
        parts.append(slab((*low, 0.72), (*high, 0.85), _CERAMIC))
    parts.append(slab((-0.12, -width / 2 + 0.07, 0.73), (0.17, width / 2 - 0.07, 0.76), _CERAMIC))
    parts += [
        rod((-0.18, 0, 0.85), (-0.18, 0, 1.0), 0.013, STEEL),
        rod((-0.18, 0, 0.99), (-0.04, 0, 0.97), 0.011, STEEL),
    ]
    return parts


def bathtub(rng: Generator) -> list[Part]:
    """A bathtub, long side along y, with a tap at one end."""
    length, width, height, rim = rng.uniform(1.5, 1.75), rng.uniform(0.7, 0.8), rng.uniform(0.52, 0.6), 0.07
    x, y = width / 2, length / 2
    return [
        slab((-x, -y, 0), (-x + rim, y, height), _CERAMIC),
        slab((x - rim, -y, 0), (x, y, height), _CERAMIC),
        slab((-x + rim, -y, 0), (x - rim, -y + rim, height), _CERAMIC),
        slab((-x + rim, y - rim, 0), (x - rim, y, height), _CERAMIC),
        slab((-x + rim, -y + rim, 0.1), (x - rim, y - rim, 0.14), _CERAMIC),
        rod((0, -y + 0.03, height), (0, -y + 0.03, height + 0.12), 0.015, STEEL),
        rod((0, -y + 0.03, height + 0.11), (0, -y + 0.16, height + 0.09), 0.012, STEEL),
    ]


def shower(rng: Generator) -> list[Part]:
    """A shower cabin open to the front: a tray, two walls of frosted glass, the head at the wall."""
    s, tall = rng.uniform(0.8, 0.95), rng.uniform(1.9, 2.0)
    pane = Material(srgb("#b9cdd2"), gloss=3.0)
    return [
        box((s, s, 0.09), (0, 0, 0), _CERAMIC),
        slab((-s / 2, s / 2 - 0.02, 0.09), (s / 2, s / 2, tall), pane),
        slab((-s / 2, -s / 2, 0.09), (s / 2, -s / 2 + 0.02, tall), pane),
        slab((-s / 2, -s / 2, tall), (s / 2, -s / 2 + 0.025, tall + 0.02), STEEL),
        slab((-s / 2, s / 2 - 0.025, tall), (s / 2, s / 2, tall + 0.02), STEEL),
        rod((-s / 2 + 0.03, 0, 0.9), (-s / 2 + 0.03, 0, 1.95), 0.012, STEEL),
        rod((-s / 2 + 0.03, 0, 1.94), (-s / 2 + 0.2, 0, 1.92), 0.01, STEEL),
        cylinder(0.08, 0.015, (-s / 2 + 0.2, 0, 1.895), STEEL),
    ]


def mirror(rng: Generator) -> list[Part]:
    """A wall mirror, framed or plain."""
    w, h = rng.uniform(0.45, 0.75), rng.uniform(0.6, 1.0)
    frame = STEEL if rng.random() < 0.5 else Material(_pick(rng, WOODS), "wood", axis=2)
    return [
        slab((0, -w / 2, 0), (0.02, w / 2, h), frame),
        slab((0.02, -w / 2 + 0.025, 0.025), (0.022, w / 2 - 0.025, h - 0.025), Material(srgb("#9fb0b8"), gloss=17.0)),
    ]


def towel(rng: Generator) -> list[Part]:
    """A towel over a rail on the wall."""
    w, h = rng.uniform(0.4, 0.6), rng.uniform(0.5, 0.75)
    striped = rng.random() < 0.5
    cloth = Material(_pick(rng, VIVID + FABRICS), "stripes" if striped else "fabric", srgb("#e8e4da"), 0.16, 2)
    return [
        rod((0.05, -w / 2 - 0.06, h), (0.05, w / 2 + 0.06, h), 0.009, STEEL),
        *(rod((0, j * (w / 2 + 0.05), h), (0.05, j * (w / 2 + 0.05), h), 0.008, STEEL) for j in (-1, 1)),
        slab((0.06, -w / 2, 0), (0.072, w / 2, h + 0.012), cloth),
        slab((0.028, -w / 2, h * 0.35), (0.04, w / 2, h + 0.012), cloth),
    ]


def washing_machine(rng: Generator) -> list[Part]:
    """A front loader."""
    body = Material(srgb("#e7e8e7"), "paint", gloss=1)
    ring = cylinder(0.19, 0.03, (0, 0, 0), STEEL, sections=32).moved((0.28, 0, 0.44), pitch=90)
    glass = cylinder(0.15, 0.035, (0, 0, 0), SCREEN_OFF, sections=32).moved((0.28, 0, 0.44), pitch=90)
    dial = cylinder(0.028, 0.02, (0, 0, 0), STEEL, sections=16).moved((0.28, 0.1, 0.78), pitch=90)
    return [
        slab((-0.28, -0.3, 0.02), (0.28, 0.3, 0.85), body),
        slab((-0.25, -0.27, 0), (0.25, 0.27, 0.02), BLACK),
        slab((0.28, -0.28, 0.73), (0.283, -0.08, 0.82), Material(srgb("#c9cdcf"))),
        ring,
        glass,
        dial,
    ]


def counter(rng: Generator) -> list[Part]:
    """A kitchen base unit with a worktop."""
    width = rng.choice([0.6, 0.8, 0.9])
    body = Material(_pick(rng, PAINTS), "paint")
    top = (
        Material(_pick(rng, WOODS), "wood", axis=1)
        if rng.random() < 0.6
        else Material(srgb("#55585a"), "speckle", srgb("#8a8d90"), 0.02)
    )
    parts = [
        slab((-0.29, -width / 2, 0.08), (0.27, width / 2, 0.86), body),
        slab((-0.27, -width / 2, 0), (0.22, width / 2, 0.08), BLACK),
        slab((-0.30, -width / 2, 0.86), (0.31, width / 2, 0.9), top),
    ]
    for i in range(2):
        y0, y1 = (i - 1) * width / 2 + 0.006, i * width / 2 - 0.006
        parts.append(slab((0.27, y0, 0.09), (0.288, y1, 0.68), body))
        parts.append(slab((0.27, y0, 0.69), (0.288, y1, 0.85), body))
        parts += [rod((0.305, y0 + 0.08, z), (0.305, y1 - 0.08, z), 0.006, STEEL) for z in (0.64, 0.77)]
    return parts


def wall_cabinet(rng: Generator) -> list[Part]:
    """A cupboard that hangs on the wall (its back at x = 0)."""
    width, height = rng.choice([0.6, 0.8, 0.9]), rng.uniform(0.58, 0.7)
    body = Material(_pick(rng, PAINTS), "paint") if rng.random() < 0.7 else Material(_pick(rng, WOODS), "wood", axis=2)
    parts = [slab((0, -width / 2, 0), (0.3, width / 2, height), body)]
    for i in range(2):
        y0, y1 = (i - 1) * width / 2 + 0.004, i * width / 2 - 0.004
        parts.append(slab((0.3, y0, 0.004), (0.318, y1, height - 0.004), body))
        knob = y1 - 0.04 if i == 0 else y0 + 0.04
        parts.append(rod((0.33, knob, 0.05), (0.33, knob, 0.17), 0.006, STEEL))
    return parts


def shelf(rng: Generator) -> list[Part]:
    """A board on the wall (its back at x = 0) with a few books on it."""
    width, wood = rng.uniform(0.6, 1.1), Material(_pick(rng, WOODS), "wood", axis=1)
    parts = [slab((0, -width / 2, 0.03), (0.22, width / 2, 0.055), wood)]
    parts += [
        slab((0, j * width * 0.35 - 0.01, -0.05), (0.16, j * width * 0.35 + 0.01, 0.03), DARK_STEEL) for j in (-1, 1)
    ]
    y = -width / 2 + 0.03
    while y < width * rng.uniform(0.0, 0.35):
        thick, tall = rng.uniform(0.02, 0.045), rng.uniform(0.17, 0.27)
        cover = Material(_pick(rng, VIVID + FABRICS + PAINTS))
        parts.append(slab((0.02, y, 0.055), (rng.uniform(0.15, 0.2), y + thick - 0.002, 0.055 + tall), cover))
        y += thick
    return parts


def microwave(rng: Generator) -> list[Part]:
    """A microwave oven."""
    body = STEEL if rng.random() < 0.5 else Material(srgb("#dcdcd8"), gloss=1)
    return [
        box((0.34, 0.48, 0.27), (0, 0, 0.01), body),
        slab((-0.12, -0.2, 0), (0.12, 0.2, 0.01), BLACK),
        slab((0.17, -0.1, 0.03), (0.175, 0.22, 0.26), SCREEN_OFF),
        slab((0.17, -0.22, 0.03), (0.173, -0.12, 0.26), Material(srgb("#3a3d42"))),
        rod((0.195, -0.09, 0.05), (0.195, -0.09, 0.24), 0.007, STEEL),
    ]


def kettle(rng: Generator) -> list[Part]:
    """An electric kettle."""
    body = STEEL if rng.random() < 0.4 else Material(_pick(rng, VIVID), gloss=1)
    ring = np.array([(-0.075 - 0.05 * np.sin(a), 0, 0.11 + 0.075 * np.cos(a)) for a in np.linspace(0, np.pi, 7)])
    return [
        cylinder(0.08, 0.02, (0, 0, 0), BLACK),
        lathe([(0, 0.02), (0.085, 0.02), (0.075, 0.14), (0.058, 0.2), (0.02, 0.215), (0, 0.215)], (0, 0, 0), body),
        ball(0.014, (0, 0, 0.222), BLACK),
        rod((0.06, 0, 0.15), (0.115, 0, 0.19), 0.016, body),
        *(rod(a, b, 0.01, BLACK, 8) for a, b in itertools.pairwise(ring)),
    ]


def toaster(rng: Generator) -> list[Part]:
    """A toaster with two slots."""
    body = STEEL if rng.random() < 0.4 else Material(_pick(rng, VIVID), gloss=1)
    return [
        cushion((0.17, 0.28, 0.19), (0, 0, 0), body, 0.15),
        *(slab((x - 0.012, -0.1, 0.185), (x + 0.012, 0.1, 0.191), BLACK) for x in (-0.035, 0.035)),
        slab((-0.015, 0.14, 0.1), (0.015, 0.165, 0.12), BLACK),
    ]


def pot(rng: Generator) -> list[Part]:
    """A cooking pot with a lid."""
    r, h = rng.uniform(0.09, 0.12), rng.uniform(0.1, 0.15)
    body = STEEL if rng.random() < 0.5 else Material(_pick(rng, VIVID), gloss=1.5)
    return [
        cylinder(r, h, (0, 0, 0), body),
        lathe([(0, h), (r * 1.03, h), (r * 0.6, h + 0.025), (0, h + 0.03)], (0, 0, 0), STEEL),
        ball(0.015, (0, 0, h + 0.042), BLACK),
        *(rod((0, j * r, h * 0.75), (0, j * (r + 0.045), h * 0.75), 0.011, BLACK, 8) for j in (-1, 1)),
    ]


def plate(rng: Generator) -> list[Part]:
    """A dinner plate."""
    r = rng.uniform(0.11, 0.135)
    glaze = Material(_pick(rng, PAINTS + VIVID[:4]), gloss=1)
    return [lathe([(0, 0), (r * 0.6, 0), (r, 0.02), (r, 0.024), (r * 0.62, 0.008), (0, 0.008)], (0, 0, 0), glaze, 32)]


def whiteboard(rng: Generator) -> list[Part]:
    """A whiteboard (its back at x = 0) with a tray."""
    w, h = rng.uniform(1.2, 1.9), rng.uniform(0.85, 1.1)
    lines = []
    for _ in range(int(rng.integers(3, 8))):
        y, z, size = rng.uniform(-0.4, 0.25) * w, rng.uniform(0.15, 0.85) * h, rng.uniform(0.08, 0.25) * w
        ink = Material(_pick(rng, (srgb("#1d3f8a"), srgb("#b02a22"), srgb("#1b1c1e"), srgb("#23743c"))))
        lines.append(slab((0.019, y, z), (0.0205, y + size, z + 0.008), ink))
    return [
        slab((0, -w / 2, 0), (0.018, w / 2, h), STEEL),
        slab((0.018, -w / 2 + 0.02, 0.02), (0.02, w / 2 - 0.02, h - 0.02), Material(srgb("#f4f4f2"), gloss=1)),
        slab((0.01, -w * 0.25, -0.01), (0.07, w * 0.25, 0.005), STEEL),
        *lines,
    ]


def conference_table(rng: Generator) -> list[Part]:
    """A long table for meetings, long side along y."""
    length, width = rng.uniform(1.9, 2.6), rng.uniform(1.0, 1.2)
    wood = Material(_pick(rng, WOODS), "wood", axis=1, gloss=0.6)
    parts = [box((width, length, 0.04), (0, 0, 0.71), wood)]
    for j in (-1, 1):
        parts.append(box((0.12, 0.12, 0.69), (0, j * length * 0.3, 0.02), DARK_STEEL))
        parts.append(box((width * 0.6, 0.16, 0.02), (0, j * length * 0.3, 0), DARK_STEEL))
    return parts


def printer(rng: Generator) -> list[Part]:
    """A desktop printer."""
    body = Material(srgb("#d9dadb") if rng.random() < 0.5 else srgb("#2d2f31"), gloss=0.8)
    return [
        box((0.36, 0.42, 0.2), (0, 0, 0), body),
        box((0.3, 0.36, 0.05), (-0.02, 0, 0.2), Material(tuple(0.6 * c for c in body.color))),  # type: ignore[arg-type]
        slab((0.18, -0.15, 0.05), (0.26, 0.15, 0.06), body),
        slab((0.16, -0.11, 0.06), (0.25, 0.11, 0.068), Material(srgb("#f2f2ef"))),
    ]


def coat_rack(rng: Generator) -> list[Part]:
    """A coat stand with a coat or two."""
    wood, tall = Material(_pick(rng, WOODS), "wood", axis=2, gloss=0.5), rng.uniform(1.65, 1.8)
    parts = [rod((0, 0, 0.02), (0, 0, tall), 0.02, wood), cylinder(0.19, 0.025, (0, 0, 0), wood)]
    for i in range(4):
        c, s = np.cos(i * np.pi / 2 + 0.4), np.sin(i * np.pi / 2 + 0.4)
        parts.append(rod((0, 0, tall - 0.15), (0.16 * c, 0.16 * s, tall - 0.03), 0.012, wood))
    for i in range(int(rng.integers(1, 3))):
        cloth = Material(_pick(rng, FABRICS + VIVID), "fabric")
        side = 1 if i else -1
        parts.append(cushion((0.2, 0.42, 0.85), (side * 0.13, 0, tall - 1.02), cloth, 0.45))
    return parts


def shoes(rng: Generator) -> list[Part]:
    """A pair of shoes."""
    leather = Material(_pick(rng, (*VIVID, srgb("#5a3a22"), srgb("#1d1d1f"), srgb("#e4e2dc"))), "fabric")
    parts = []
    for j in (-1, 1):
        y = j * rng.uniform(0.055, 0.07)
        parts.append(cushion((0.27, 0.095, 0.03), (0, y, 0), Material(srgb("#e4e2dc")), 0.3))
        parts.append(cushion((0.25, 0.088, 0.075), (0, y, 0.02), leather, 0.5))
        parts.append(cushion((0.12, 0.085, 0.1), (-0.065, y, 0.025), leather, 0.45))
    return parts


def soccer_ball(rng: Generator) -> list[Part]:
    """A ball."""
    r = rng.uniform(0.1, 0.12)
    skin = (
        Material(_pick(rng, VIVID), "stripes", srgb("#f0efe9"), r, 2)
        if rng.random() < 0.5
        else Material(_pick(rng, VIVID), gloss=0.5)
    )
    return [ball(r, (0, 0, r), skin)]


def basket(rng: Generator) -> list[Part]:
    """A laundry basket with cloths in it."""
    r, h = rng.uniform(0.19, 0.24), rng.uniform(0.4, 0.52)
    wicker = Material(
        _pick(rng, (srgb("#c19a5f"), srgb("#8a6a3c"), srgb("#d9cdb4"))), "checks", srgb("#a17d49"), 0.03, 2
    )
    return [
        lathe([(0, 0), (r * 0.85, 0), (r, h), (r - 0.02, h), (r * 0.83, 0.02), (0, 0.02)], (0, 0, 0), wicker),
        cushion((r * 1.5, r * 1.5, h * 0.8), (0, 0, h * 0.12), Material(_pick(rng, FABRICS), "fabric"), 0.7),
    ]


def fan(rng: Generator) -> list[Part]:
    """A standing fan."""
    tall = rng.uniform(1.0, 1.25)
    cage = cylinder(0.2, 0.09, (0, 0, 0), Material(srgb("#d5d8da")), top=0.17, sections=28).moved(
        (0.0, 0, tall), pitch=90
    )
    hub = cylinder(0.05, 0.14, (0, 0, -0.01), Material(_pick(rng, VIVID)), sections=20).moved((0.0, 0, tall), pitch=90)
    return [cylinder(0.2, 0.03, (0, 0, 0), WHITE), rod((0, 0, 0.02), (0, 0, tall - 0.15), 0.016, WHITE), cage, hub]


def ceiling_lamp(rng: Generator) -> list[Part]:
    """A lamp under the ceiling: the origin is at the ceiling, the lamp hangs down from it."""
    shade = Material(srgb("#f6efdc"), emission=1.6)
    if rng.random() < 0.5:
        drop, r = rng.uniform(0.25, 0.45), rng.uniform(0.15, 0.22)
        profile = [(r, -drop - 0.14), (r * 0.45, -drop), (r * 0.42, -drop), (r * 0.97, -drop - 0.14), (r, -drop - 0.14)]
        return [
            cylinder(0.05, 0.025, (0, 0, -0.025), WHITE),
            rod((0, 0, -drop - 0.02), (0, 0, -0.02), 0.005, BLACK),
            lathe(profile, (0, 0, 0), shade, 28),
            ball(0.045, (0, 0, -drop - 0.07), shade),
        ]
    r = rng.uniform(0.16, 0.24)
    return [lathe([(0, -0.09), (r * 0.7, -0.08), (r, -0.03), (r, 0), (0, 0)], (0, 0, 0), shade, 32)]


def bench(rng: Generator) -> list[Part]:
    """A bench, long side along y."""
    length, wood = rng.uniform(0.9, 1.3), Material(_pick(rng, WOODS), "wood", axis=1)
    legs = [box((0.32, 0.05, 0.41), (0, j * (length / 2 - 0.1), 0), wood) for j in (-1, 1)]
    return [box((0.36, length, 0.04), (0, 0, 0.41), wood), *legs]


def teddy_bear(rng: Generator) -> list[Part]:
    """A teddy bear that sits."""
    fur = Material(_pick(rng, (srgb("#9a6b3f"), srgb("#c9a27a"), srgb("#6b4a2c"), srgb("#d8c8b0"))), "fabric")
    snout = Material(srgb("#e3cfae"), "fabric")
    s = rng.uniform(0.9, 1.3)
    spots = [
        ((0.1, 0.11, 0.13), (0, 0, 0.13), fur),
        ((0.08, 0.09, 0.08), (0.01, 0, 0.31), fur),
        ((0.04, 0.045, 0.035), (0.08, 0, 0.295), snout),
        *(((0.02, 0.035, 0.035), (0, j * 0.075, 0.38), fur) for j in (-1, 1)),
        *(((0.12, 0.045, 0.045), (0.1, j * 0.08, 0.045), fur) for j in (-1, 1)),
        *(((0.07, 0.04, 0.04), (0.05, j * 0.12, 0.18), fur) for j in (-1, 1)),
        *(((0.012, 0.012, 0.012), (0.075, j * 0.03, 0.335), BLACK) for j in (-1, 1)),
    ]
    return [ball([s * r for r in radius], [s * v for v in at], m) for radius, at, m in spots]


def candle(rng: Generator) -> list[Part]:
    """A candle on a saucer."""
    wax = Material(_pick(rng, (srgb("#f1ead8"), srgb("#b02a22"), srgb("#5d6b4e"), srgb("#e0a526"))))
    r, h = rng.uniform(0.028, 0.038), rng.uniform(0.08, 0.16)
    return [
        cylinder(0.06, 0.012, (0, 0, 0), _CERAMIC),
        cylinder(r, h, (0, 0, 0.012), wax),
        rod((0, 0, h), (0, 0, h + 0.03), 0.003, BLACK, 6),
    ]


def guitar(rng: Generator) -> list[Part]:
    """A guitar on its stand."""
    wood = Material(
        _pick(rng, (srgb("#b5702f"), srgb("#7a3b1d"), srgb("#c99a4f"), srgb("#2a1d16"))), "wood", axis=2, gloss=1
    )
    neck = Material(WOODS[4], "wood", axis=2)
    body = [
        cylinder(0.19, 0.09, (0, 0, -0.045), wood, sections=32).moved((0, 0, 0.24), pitch=90),
        cylinder(0.145, 0.09, (0, 0, -0.045), wood, sections=32).moved((0, 0, 0.47), pitch=90),
        cylinder(0.05, 0.004, (0, 0, 0.045), BLACK, sections=24).moved((0, 0, 0.42), pitch=90),
        slab((0.03, -0.028, 0.45), (0.055, 0.028, 0.95), neck),
        slab((0.025, -0.04, 0.95), (0.05, 0.04, 1.09), neck),
    ]
    stand = [
        rod((-0.05, j * 0.02, 0.3), (0.16 if k else -0.2, j * 0.2, 0.012), 0.012, BLACK)
        for j in (-1, 1)
        for k in (0, 1)
    ]
    return [*(p.moved((0, 0, 0.045), pitch=-6) for p in body), *stand]


def umbrella_stand(rng: Generator) -> list[Part]:
    """A stand with umbrellas."""
    parts = [lathe([(0, 0), (0.12, 0), (0.12, 0.5), (0.108, 0.5), (0.108, 0.02), (0, 0.02)], (0, 0, 0), DARK_STEEL)]
    for i in range(int(rng.integers(1, 4))):
        a = i * 2.1
        tip = (0.06 * np.cos(a), 0.06 * np.sin(a), 0.03)
        top = (0.1 * np.cos(a), 0.1 * np.sin(a), 0.78)
        parts.append(rod(tip, top, 0.032, Material(_pick(rng, VIVID), "fabric")))
        parts.append(rod(top, (top[0] * 1.15, top[1] * 1.15, 0.88), 0.012, BLACK))
    return parts


def shoe_cabinet(rng: Generator) -> list[Part]:
    """A flat cabinet for a hallway."""
    return cabinet(rng, width=rng.uniform(0.7, 1.0), height=rng.uniform(0.8, 1.05), depth=rng.uniform(0.24, 0.3))


def ottoman(rng: Generator) -> list[Part]:
    """A padded footstool."""
    w, h = rng.uniform(0.45, 0.6), rng.uniform(0.36, 0.44)
    cloth = Material(_pick(rng, FABRICS + VIVID), "fabric")
    return [cushion((w, w, h), (0, 0, 0), cloth, 0.18)]


def speaker(rng: Generator) -> list[Part]:
    """A loudspeaker standing on the floor."""
    h = rng.uniform(0.8, 1.05)
    case = BLACK if rng.random() < 0.5 else Material(_pick(rng, WOODS), "wood", axis=2, gloss=0.5)
    cones = [
        cylinder(r, 0.012, (0, 0, 0), Material(srgb("#2c2e31"), gloss=1)).moved((0.14, 0, z * h), pitch=90)
        for r, z in ((0.08, 0.35), (0.08, 0.58), (0.04, 0.82))
    ]
    return [box((0.28, 0.21, h), (0, 0, 0), case), *cones]


HOUSEHOLD: dict[str, Builder] = {
    **CATALOGUE,
    "basket": basket,
    "bathtub": bathtub,
    "bench": bench,
    "candle": candle,
    "ceiling lamp": ceiling_lamp,
    "coat rack": coat_rack,
    "conference table": conference_table,
    "counter": counter,
    "ball": soccer_ball,
    "fan": fan,
    "guitar": guitar,
    "kettle": kettle,
    "microwave": microwave,
    "mirror": mirror,
    "ottoman": ottoman,
    "plate": plate,
    "pot": pot,
    "printer": printer,
    "shelf": shelf,
    "shoe cabinet": shoe_cabinet,
    "shoes": shoes,
    "shower": shower,
    "speaker": speaker,
    "teddy bear": teddy_bear,
    "toaster": toaster,
    "toilet": toilet,
    "towel": towel,
    "umbrella stand": umbrella_stand,
    "wall cabinet": wall_cabinet,
    "washbasin": washbasin,
    "washing machine": washing_machine,
    "whiteboard": whiteboard,
}
"""Builders by kind: ``furniture.CATALOGUE`` and those of this module."""

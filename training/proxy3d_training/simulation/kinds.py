"""What is known of each kind of thing: its everyday name, its front, material, shape; and colours by name."""

from __future__ import annotations

import colorsys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from proxy3d_training.simulation.furniture import BLACK, DARK_STEEL, SCREEN_OFF, STEEL, WHITE
from proxy3d_training.simulation.household import HOUSEHOLD
from proxy3d_training.simulation.shapes import Color, Material, Part


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    Attributes:
        name: in ``household.HOUSEHOLD``.
        label: everyday name, as a person would say it.
        faces: it has a front.
        material: where the look of its parts does not tell.
        shape: seen from above or from the front; empty where no everyday word fits.
        top: height [share of its own] of the surface on which things can stand, 0 = none.
    """

    name: str
    label: str
    faces: bool = True
    material: str = ""
    shape: str = ""
    top: float = 0.0


def _table() -> dict[str, Kind]:
    rows: Sequence[tuple[str, str, bool, str, str, float]] = (
        # name, label, has a front, material, shape, can carry things
        ("armchair", "armchair", True, "fabric", "", 0),
        ("backpack", "backpack", True, "fabric", "", 0),
        ("ball", "ball", False, "", "round", 0),
        ("basket", "laundry basket", False, "", "round", 0),
        ("bathtub", "bathtub", True, "ceramic", "rectangular", 0),
        ("bed", "bed", True, "", "rectangular", 0),
        ("bench", "bench", False, "wood", "rectangular", 1),
        ("book", "book", False, "paper", "rectangular", 0),
        ("bookshelf", "bookshelf", True, "wood", "rectangular", 1),
        ("bottle", "bottle", False, "glass", "round", 0),
        ("bowl", "bowl", False, "ceramic", "round", 0),
        ("box", "box", False, "cardboard", "rectangular", 1),
        ("cabinet", "cabinet", True, "wood", "rectangular", 1),
        ("candle", "candle", False, "wax", "round", 0),
        ("ceiling lamp", "ceiling lamp", False, "", "round", 0),
        ("chair", "chair", True, "wood", "", 0),
        ("clock", "clock", True, "", "round", 0),
        ("coat rack", "coat rack", False, "", "", 0),
        ("coffee table", "coffee table", False, "wood", "rectangular", 1),
        ("conference table", "conference table", False, "wood", "rectangular", 1),
        ("counter", "kitchen counter", True, "wood", "rectangular", 1),
        ("curtain", "curtain", True, "fabric", "", 0),
        ("desk", "desk", True, "wood", "rectangular", 1),
        ("dining table", "dining table", False, "wood", "rectangular", 1),
        ("fan", "fan", True, "plastic", "round", 0),
        ("guitar", "guitar", True, "wood", "", 0),
        ("kettle", "kettle", False, "", "round", 0),
        ("keyboard", "keyboard", True, "plastic", "rectangular", 0),
        ("lamp", "floor lamp", False, "", "", 0),
        ("laptop", "laptop", True, "", "rectangular", 0),
        ("microwave", "microwave", True, "", "rectangular", 1),
        ("mirror", "mirror", True, "glass", "rectangular", 0),
        ("monitor", "monitor", True, "plastic", "rectangular", 0),
        ("mug", "mug", False, "ceramic", "round", 0),
        ("nightstand", "nightstand", True, "wood", "rectangular", 1),
        ("office chair", "office chair", True, "", "", 0),
        ("ottoman", "ottoman", False, "fabric", "square", 0),
        ("picture", "picture", True, "", "rectangular", 0),
        ("plate", "plate", False, "ceramic", "round", 0),
        ("pot", "pot", False, "metal", "round", 0),
        ("potted plant", "potted plant", False, "leaves", "", 0),
        ("printer", "printer", True, "plastic", "rectangular", 0),
        ("radiator", "radiator", True, "metal", "rectangular", 0),
        ("refrigerator", "refrigerator", True, "metal", "rectangular", 1),
        ("round table", "dining table", False, "wood", "round", 1),
        ("rug", "rug", False, "fabric", "rectangular", 0),
        ("shelf", "shelf", True, "wood", "rectangular", 0),
        ("shoe cabinet", "cabinet", True, "wood", "rectangular", 1),
        ("shoes", "shoes", True, "", "", 0),
        ("shower", "shower", True, "glass", "square", 0),
        ("sink", "sink", True, "", "rectangular", 0.8),
        ("sofa", "sofa", True, "fabric", "", 0),
        ("speaker", "speaker", True, "", "rectangular", 0),
        ("stool", "stool", False, "wood", "round", 0),
        ("stove", "stove", True, "metal", "square", 1),
        ("suitcase", "suitcase", False, "plastic", "rectangular", 0),
        ("table lamp", "table lamp", False, "", "round", 0),
        ("teddy bear", "teddy bear", True, "fabric", "", 0),
        ("toaster", "toaster", False, "", "rectangular", 0),
        ("toilet", "toilet", True, "ceramic", "", 0),
        ("towel", "towel", True, "fabric", "rectangular", 0),
        ("trash can", "trash can", False, "", "round", 0),
        ("tv", "tv", True, "", "rectangular", 0),
        ("tv stand", "tv stand", True, "wood", "rectangular", 1),
        ("umbrella stand", "umbrella stand", False, "metal", "round", 0),
        ("vase", "vase", False, "ceramic", "round", 0),
        ("wall cabinet", "wall cabinet", True, "wood", "rectangular", 0),
        ("wardrobe", "wardrobe", True, "wood", "rectangular", 1),
        ("washbasin", "washbasin", True, "ceramic", "rectangular", 0),
        ("washing machine", "washing machine", True, "metal", "rectangular", 1),
        ("whiteboard", "whiteboard", True, "", "rectangular", 0),
        ("door", "door", True, "wood", "rectangular", 0),
        ("doorway", "doorway", False, "wood", "rectangular", 0),
        ("window", "window", True, "glass", "rectangular", 0),
    )
    return {row[0]: Kind(*row) for row in rows}


KINDS = _table()
"""By name."""

LABELS = tuple(sorted({kind.label for kind in KINDS.values()}))
"""Class ids of the label images are 1 + the place in this list; 0 is everything else."""

_SHARED = (STEEL, DARK_STEEL, BLACK, WHITE, SCREEN_OFF)


def make(name: str, rng: Generator) -> list[Part]:
    """A thing of a kind: its builder's parts, a little larger or smaller, its colours a little off the palette's."""
    parts = HOUSEHOLD[name](rng)
    scale = rng.uniform(0.95, 1.06)
    tint = np.exp(rng.normal(0, 0.10, 3) + rng.normal(0, 0.08))
    cache: dict[Material, Material] = {m: m for m in _SHARED}
    made = []
    for part in parts:
        old = part.material
        if old not in cache:
            color = tuple(float(np.clip(c * t, 0.004, 0.9)) for c, t in zip(old.color, tint, strict=True))
            grown = scale if old.pattern in ("painting", "screen", "dial", "rug") else 1.0  # these fit their object
            keep = old.emission > 0
            if old.pattern == "painting":
                old_look = tuple(float(v) for v in rng.random(3))
                cache[old] = replace(old, second=old_look, scale=old.scale * grown)  # type: ignore[arg-type]
            else:
                cache[old] = replace(old, color=old.color if keep else color, scale=old.scale * grown)  # type: ignore[arg-type]
        made.append(replace(part, vertices=part.vertices * scale, material=cache[old]))
    return made


_HUES = (
    (0, 9, "red"),
    (16, 37, "orange"),
    (43, 62, "yellow"),
    (75, 160, "green"),
    (188, 245, "blue"),
    (262, 300, "purple"),
    (318, 340, "pink"),
    (348, 360, "red"),
)
"""Ranges of hue, degrees, that have a name which nobody disputes."""


def matched(parts: Sequence[Part], body: Material, top: Material, height: float) -> list[Part]:
    """A unit in the colours of its neighbours: all but metal, glass and black parts get those of ``body``; what ends
    above ``height`` metres those of ``top``.
    """
    made = []
    for part in parts:
        if part.material not in _SHARED:
            part = replace(part, material=top if part.vertices[:, 2].max() > height else body)
        made.append(part)
    return made


def color_name(color: Color) -> str:
    """Everyday name of a linear colour; empty near the border between two names."""
    r, g, b = (max(c, 0.0) ** (1 / 2.2) for c in color)
    hue, saturation, value = colorsys.rgb_to_hsv(r, g, b)
    hue *= 360
    if value < 0.22:
        return "black"
    if saturation < 0.11:
        return "white" if value > 0.84 else "grey" if value < 0.76 else ""
    if value < 0.3 or saturation < 0.2:
        return "beige" if 25 < hue < 65 and value > 0.65 and saturation > 0.13 else ""
    if 18 <= hue < 60 and saturation < 0.38 and value > 0.68:
        return "beige"
    if 12 <= hue < 42 and value < 0.72:
        return "brown"
    for low, high, name in _HUES:
        if low <= hue <= high:
            return name if value > 0.3 and (name != "orange" or saturation > 0.55) else ""
    return ""


def _area(part: Part) -> float:
    a, b, c = (part.vertices[part.faces[:, i]] for i in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def dominant_color(parts: Sequence[Part]) -> str:
    """Name of the colour that covers at least 60 % of the parts' surface; empty if there is none."""
    areas: dict[str, float] = defaultdict(float)
    for part in parts:
        m = part.material
        plain = m.pattern in ("plain", "paint", "fabric", "wood")
        name = color_name(m.color) if plain and m.emission == 0 else ""
        if m.pattern == "wood" and name in ("orange", "yellow", "red"):
            name = "brown"  # of wood people say so
        areas[name] += _area(part)
    name, most = max(areas.items(), key=lambda entry: entry[1])
    return name if most >= 0.6 * sum(areas.values()) else ""


def dominant_material(parts: Sequence[Part], kind: Kind) -> str:
    """What most of the surface is made of: told by its texture, else by the kind."""
    areas: dict[str, float] = defaultdict(float)
    for part in parts:
        m = part.material
        steel = m in (STEEL, DARK_STEEL)
        name = "wood" if m.pattern == "wood" else "fabric" if m.pattern == "fabric" else "metal" if steel else ""
        areas[name] += _area(part)
    name, most = max(areas.items(), key=lambda entry: entry[1])
    return name if name and most >= 0.6 * sum(areas.values()) else kind.material

"""Procedural textures: colours of surface points, from noise and simple rules, without image files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from proxy3d_training.simulation.shapes import Material

Array = NDArray[np.float64]


@cache
def _volume() -> NDArray[np.float32]:
    """(64, 64, 64) random numbers of mean 0 and deviation 1 that repeat seamlessly."""
    values = np.random.default_rng(20).standard_normal((64, 64, 64)).astype(np.float32)
    smooth = ndimage.gaussian_filter(values, 0.7, mode="wrap")
    return smooth / smooth.std()


def noise(points: Array, size: float | tuple[float, float, float]) -> Array:
    """(N,) smooth noise, deviation about 1, whose blotches measure ``size`` metres (per axis)."""
    return ndimage.map_coordinates(_volume(), (points / np.asarray(size)).T, order=1, mode="grid-wrap")


def _across(points: Array, axis: int) -> tuple[Array, Array, Array]:
    """Coordinates along ``axis`` and along the two others."""
    first, second = [i for i in range(3) if i != axis]
    return points[:, axis], points[:, first], points[:, second]


def _blend(m: Material, share: Array) -> Array:
    return np.asarray(m.color) + np.clip(share, 0, 1)[:, None] * (np.asarray(m.second) - np.asarray(m.color))


def _plain(p: Array, m: Material) -> Array:
    return np.broadcast_to(np.asarray(m.color), p.shape)


def _paint(p: Array, m: Material) -> Array:
    return np.asarray(m.color) * (1 + 0.012 * noise(p, 0.35) + 0.012 * noise(p, 0.03))[:, None]


def _fabric(p: Array, m: Material) -> Array:
    return np.asarray(m.color) * np.clip(1 + 0.10 * noise(p, 0.012) + 0.07 * noise(p, 0.10), 0.5, 1.5)[:, None]


def _wood(p: Array, m: Material) -> Array:
    size = np.full(3, 0.018)
    size[m.axis] = 0.5
    coarse = np.full(3, 0.09)
    coarse[m.axis] = 0.9
    grain = noise(p, tuple(size)) * 0.10 + noise(p, tuple(coarse)) * 0.12
    return np.asarray(m.color) * np.clip(1 + grain, 0.45, 1.5)[:, None]


def _planks(p: Array, m: Material) -> Array:
    along, side, _ = _across(p, m.axis)
    row = np.floor(side / m.scale)
    along = along + (row * 0.618 % 1) * 1.4
    board = np.floor(along / 1.4)
    rng = np.sin(row * 127.1 + board * 311.7) * 43758.5453
    tint = (rng - np.floor(rng)) - 0.5
    size = np.full(3, 0.02)
    size[m.axis] = 0.6
    shifted = p + (row * 1.7 + board * 2.3)[:, None]
    grain = 0.08 * noise(shifted, tuple(size)) + 0.06 * noise(shifted, tuple(size * 4))
    edge = np.minimum(
        np.abs(side / m.scale - np.round(side / m.scale)) * m.scale, np.abs(along - np.round(along / 1.4) * 1.4)
    )
    groove = np.where(edge < 0.004, 0.55, 1.0)
    return np.asarray(m.color) * (np.clip(1 + grain + 0.24 * tint, 0.4, 1.6) * groove)[:, None]


def _tiles(p: Array, m: Material) -> Array:
    _, a, b = _across(p, m.axis)
    grout = (
        np.minimum(np.abs(a / m.scale - np.round(a / m.scale)), np.abs(b / m.scale - np.round(b / m.scale))) * m.scale
        < 0.005
    )
    rng = np.sin(np.floor(a / m.scale) * 12.99 + np.floor(b / m.scale) * 78.23) * 43758.5453
    tint = 1 + 0.08 * ((rng - np.floor(rng)) - 0.5) + 0.04 * noise(p, 0.15)
    return np.where(grout[:, None], np.asarray(m.second), np.asarray(m.color) * tint[:, None])


def _stripes(p: Array, m: Material) -> Array:
    t = p[:, m.axis] / m.scale
    return _blend(m, ((t - np.floor(t)) < 0.5).astype(np.float64)) * (1 + 0.05 * noise(p, 0.015))[:, None]


def _checks(p: Array, m: Material) -> Array:
    _, a, b = _across(p, m.axis)
    stripe_a, stripe_b = (a / m.scale) % 1 < 0.5, (b / m.scale) % 1 < 0.5
    return _blend(m, 0.5 * stripe_a + 0.5 * stripe_b) * (1 + 0.05 * noise(p, 0.015))[:, None]


def _rug(p: Array, m: Material) -> Array:
    """Lozenges with a border; ``scale`` is half the shorter edge of the rug, which lies along x."""
    half_x = m.scale
    u, v = p[:, 0] / half_x, p[:, 1] / half_x
    lozenge = (np.abs(((u * 1.5) % 1) - 0.5) + np.abs(((v * 1.5) % 1) - 0.5)) < 0.28
    border = (np.abs(u) > 0.84) & (np.abs(u) < 0.90)
    return _blend(m, (lozenge | border).astype(np.float64)) * np.clip(1 + 0.12 * noise(p, 0.012), 0.5, 1.5)[:, None]


def _foliage(p: Array, m: Material) -> Array:
    return _blend(m, 0.5 + 0.35 * noise(p, 0.05)) * np.clip(1 + 0.15 * noise(p, 0.015), 0.5, 1.5)[:, None]


def _speckle(p: Array, m: Material) -> Array:
    return _blend(m, (noise(p, m.scale) > 1.1).astype(np.float64) * 0.8)


def _painting(p: Array, m: Material) -> Array:
    """A picture on the item's y-z plane; ``scale`` is half its width, ``second`` chooses what it shows."""
    style, phase, shade = m.second
    y, z = p[:, 1] / m.scale, (p[:, 2] - p[:, 2].mean()) / m.scale
    color = (
        _landscape(y, z, m.scale * 9 + 6 * phase)
        if style < 0.4
        else _blocks(y, z, phase)
        if style < 0.7
        else _discs(y, z, phase)
    )
    color = np.roll(color, int(3 * shade), axis=1) * np.asarray(m.color)
    return color * np.clip(1 + 0.08 * noise(p, 0.02), 0.5, 1.5)[:, None]


def _landscape(y: Array, z: Array, phase: float) -> Array:
    """Hills under a low sun."""
    sky = np.array([0.75, 0.55, 0.35]) * (0.6 + 0.4 * np.clip(z + 0.4, 0, 1))[:, None]
    sun = np.hypot(y - 0.3, z - 0.25) < 0.16
    color = np.where(sun[:, None], (0.9, 0.35, 0.1), sky)
    for i, (height, tone) in enumerate(
        ((0.05, (0.25, 0.36, 0.42)), (-0.15, (0.10, 0.24, 0.28)), (-0.38, (0.03, 0.10, 0.12)))
    ):
        ridge = height + 0.11 * np.sin(y * (3 + i) + 2 * i + phase) + 0.05 * np.sin(y * 9 + i)
        color = np.where((z < ridge)[:, None], tone, color)
    return color


_INKS = np.array(
    [(0.75, 0.1, 0.06), (0.85, 0.6, 0.08), (0.05, 0.16, 0.5), (0.8, 0.78, 0.7), (0.1, 0.3, 0.22), (0.03, 0.03, 0.04)]
)


def _blocks(y: Array, z: Array, phase: float) -> Array:
    """Coloured rectangles between dark bars."""
    u, v = (y + 1) * 1.7 + phase, (z + 1) * 1.7 + 2 * phase
    column = np.floor(u + 0.3 * np.sin(np.floor(v) * 5.1))
    number = np.abs(np.sin(column * 12.99 + np.floor(v) * 78.23 + 9 * phase) * 43758.5453) % 1
    bar = ((u + 0.3 * np.sin(np.floor(v) * 5.1)) % 1 < 0.08) | (v % 1 < 0.08)
    return np.where(bar[:, None], _INKS[5], _INKS[(number * 5).astype(np.int64)])


def _discs(y: Array, z: Array, phase: float) -> Array:
    """Rings that overlap on a light ground."""
    color = np.broadcast_to(_INKS[3], (len(y), 3))
    for i in range(5):
        a = phase * 20 + i * 2.4
        radius = 0.16 + 0.1 * (i % 3)
        inside = np.abs(np.hypot(y - 0.55 * np.cos(a), z - 0.35 * np.sin(a * 1.3)) - radius * (i % 2)) < radius * 0.8
        color = np.where(inside[:, None], _INKS[(i + int(phase * 5)) % 5 if i != 3 else 4], color)
    return color


def _screen(p: Array, m: Material) -> Array:
    """A desktop with two windows on the item's y-z plane; ``scale`` is half its width."""
    y, z = p[:, 1] / m.scale, (p[:, 2] - np.median(p[:, 2])) / m.scale
    base = np.asarray(m.color) * (1 + 0.4 * (z + 0.3 * y))[:, None]
    for left, right, low, high, tone in ((-0.8, 0.1, -0.35, 0.4, 0.75), (0.2, 0.85, -0.42, 0.2, 0.12)):
        inside = (y > left) & (y < right) & (z > low) & (z < high)
        lines = ((z * 14) % 1 < 0.45) & (np.sin(np.floor(z * 14) * 12.9) * 0.4 + 0.45 > (y - left) / (right - left))
        text = np.where(lines, abs(tone - 0.45), tone)
        base = np.where(inside[:, None], text[:, None] * np.array([0.95, 1.0, 1.05]), base)
    return base


def _keys(p: Array, m: Material) -> Array:
    gap = ((p[:, 0] / m.scale) % 1 < 0.22) | ((p[:, 1] / m.scale) % 1 < 0.22)
    return np.where(gap[:, None], np.asarray(m.second), np.asarray(m.color))


def _dial(p: Array, m: Material) -> Array:
    """A clock face on the item's y-z plane, centred on the item; ``scale`` is its radius."""
    y, z = p[:, 1] / m.scale, p[:, 2] / m.scale - 1
    radius, angle = np.hypot(y, z), np.arctan2(y, z)
    ticks = (radius > 0.72) & (radius < 0.88) & (np.abs(((angle / (2 * np.pi) * 12 + 0.5) % 1) - 0.5) < 0.1)
    hour = (np.abs(np.sin(angle - 1.0)) * radius < 0.05) & (np.cos(angle - 1.0) * radius > -0.1) & (radius < 0.45)
    minute = (np.abs(np.sin(angle + 1.0)) * radius < 0.04) & (np.cos(angle + 1.0) * radius > -0.1) & (radius < 0.68)
    return np.where((ticks | hour | minute)[:, None], np.asarray(m.second), np.asarray(m.color))


PATTERNS: dict[str, Callable[[Array, Material], Array]] = {
    "plain": _plain,
    "paint": _paint,
    "fabric": _fabric,
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "stripes": _stripes,
    "checks": _checks,
    "rug": _rug,
    "foliage": _foliage,
    "speckle": _speckle,
    "painting": _painting,
    "screen": _screen,
    "keys": _keys,
    "dial": _dial,
}


def albedo(points: Array, material: Material) -> Array:
    """(N, 3) linear colours of points (N, 3), given in the item's own frame, metres."""
    return np.clip(PATTERNS[material.pattern](points, material), 0.0, 1.0)


def sky(directions: Array) -> Array:
    """(N, 3) linear radiance seen through a window in directions (N, 3): a bright sky over a row of trees."""
    d = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    height = np.clip(d[:, 2:3], -0.3, 1)
    color = np.array([1.9, 2.1, 2.4]) - height * np.array([1.1, 0.8, 0.3])
    azimuth = np.arctan2(d[:, 1], d[:, 0])
    trees = -0.02 + 0.05 * np.sin(azimuth * 9) + 0.03 * np.sin(azimuth * 31) + 0.015 * np.sin(azimuth * 83)
    green = np.array([0.28, 0.42, 0.20]) * (1 + 0.35 * np.sin(azimuth * 57) * np.sin(d[:, 2] * 90))[:, None]
    return np.where(d[:, 2:3] < trees[:, None], green, color)

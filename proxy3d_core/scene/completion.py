"""Amodal completion: how far the box of a whole thing reaches beyond what a camera saw of it.

A camera passes on one side, at the height of a robot or a hand; of what it looks at it sees some faces, and not to
their ends. What a thing is, how large the part is that was seen, from which sides, and where floor and walls are tell
the rest: a small network, trained on simulated rooms, moves each of the six faces (``proxy3d train``,
``training/configs/boxes-nano.yaml``). It reads numbers of a thing's own frame alone, so that neither where a thing
stands, nor which way it is turned, nor its mirror image make a difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from proxy3d_core.errors import ModelError
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.structure import WallPlane

NANO = Path(__file__).resolve().parents[1] / "weights" / "nano-boxes"
"""The weights of the package."""
LEAST_EDGE = 0.01
"""Metres; nothing is thinner."""
TRAITS = 25
"""Numbers that ``Outline.traits`` has."""

_FACING = 0.5  # cosine between a voxel's normal and an axis, from which on it belongs to that side
_NEAR = 0.6  # m, within which walls matter
_INTO = 0.2  # m into a wall, at most
_ALONG = 0.95  # cosine between an axis and the normal of a wall on that side
_KEPT = 0.3  # share of an edge that stays at least
_TOP = 3.5  # m above the floor

Floats = NDArray[np.float32]
Completion = Callable[["Outline"], OrientedBox]
"""The box of the whole thing."""


@dataclass(frozen=True, eq=False)
class Outline:
    """What was seen of a thing, in a frame of its own.

    Attributes:
        label: what it is.
        box: around what was seen of it, in the fixed frame.
        axes: (3, 3) columns: its longer edge on the floor, the shorter one, up; the first two point to the side from
            which more of it was seen.
        traits: (TRAITS,) edges in metres and their logarithms; for both sides of each axis the share of voxels that
            face it; bottom and top above the floor; for four sides how far a wall is beyond the face; how far the
            outer tenths of the points lie within the faces; the logarithm of how many points there are.
        floor: its height, metres.
    """

    label: str
    box: OrientedBox
    axes: NDArray[np.float64]
    traits: Floats
    floor: float

    @classmethod
    def of(
        cls, label: str, box: OrientedBox, points: Floats, normals: Floats, floor: float, walls: Sequence[WallPlane]
    ) -> Outline:
        """Of points (N, 3) with normals (N, 3), and the box that holds most of them."""
        cosine = normals @ box.rotation
        ahead, behind = (cosine > _FACING).mean(axis=0), (cosine < -_FACING).mean(axis=0)
        order = [0, 1, 2] if box.size[0] >= box.size[1] else [1, 0, 2]
        sign = np.where(ahead >= behind, 1.0, -1.0)
        sign[2] = 1.0
        axes = (box.rotation * sign)[:, order]
        size = box.size[order]
        seen, hidden = (np.where(sign > 0, *sides)[order] for sides in ((ahead, behind), (behind, ahead)))
        local = (points - box.center) @ axes
        low, high = np.quantile(local, [0.1, 0.9], axis=0)
        bottom, top = (np.clip(z - floor, -0.2, _TOP) for z in (box.bottom, box.top))
        gaps = _gaps(walls, box.center, axes, size / 2)
        inner = np.clip([size / 2 - high, low + size / 2], -0.5, 2.0).ravel()
        traits = [*size, *np.log(size + 0.02), *seen, *hidden, bottom, top, *gaps, *inner, np.log(len(points))]
        return cls(label, box, axes, np.array(traits, np.float32), floor)

    def moved(self, moves: NDArray[np.floating]) -> OrientedBox:
        """The box with its faces moved outwards by (6,) metres: along the axes, then against them.

        It does not go through the floor, and keeps at least some of each edge.
        """
        order = np.abs(self.axes.T @ self.box.rotation).round()  # a permutation
        size = order @ self.box.size
        high, low = size / 2 + moves[:3], -size / 2 - moves[3:]
        low[2] = max(low[2], min(self.floor, self.box.bottom) - self.box.center[2])
        edges = np.maximum(high - low, np.maximum(_KEPT * size, LEAST_EDGE))
        return OrientedBox(self.box.center + self.axes @ (high + low) / 2, edges @ order, self.box.rotation)


class BoxCompletion:
    """The network: two hidden layers on the traits and on what it knows of the kind.

    Attributes:
        names: of the kinds that it knows; others are left as they were seen.
    """

    def __init__(self, names: Sequence[str], weights: Mapping[str, NDArray[np.floating]]) -> None:
        """``weights``: ``kinds`` (K, E), ``mean`` and ``scale`` (TRAITS,), ``{0,1,2}.weight`` and ``.bias``.

        Raises:
            ModelError: they do not fit together.
        """
        self.names = {name: index for index, name in enumerate(names)}
        try:
            self._kinds, self._mean, self._scale = (weights[n].astype(np.float32) for n in ("kinds", "mean", "scale"))
            self._layers = [
                (weights[f"{i}.weight"].astype(np.float32), weights[f"{i}.bias"].astype(np.float32)) for i in range(3)
            ]
            if len(self._kinds) != len(names) or self._mean.shape != (TRAITS,):
                raise ValueError(f"{len(names)} names, kinds {self._kinds.shape}, mean {self._mean.shape}")
            if len(names) and self._moves(0, np.zeros(TRAITS, np.float32)).shape != (6,):
                raise ValueError("six faces are to be moved")
        except (KeyError, ValueError) as error:
            raise ModelError(f"these are no weights that complete boxes ({error}); copy them anew") from None

    @classmethod
    def load(cls, folder: Path) -> BoxCompletion:
        """From config.json and model.safetensors. Raises ModelError: missing or damaged."""
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            return cls([str(name) for name in config["names"]], load_file(folder / "model.safetensors"))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{folder} holds no model that completes boxes ({error}); copy its files anew") from None

    def __call__(self, outline: Outline) -> OrientedBox:
        """The box of the whole thing."""
        kind = self.names.get(outline.label)
        return outline.box if kind is None else outline.moved(self._moves(kind, outline.traits))

    def _moves(self, kind: int, traits: Floats) -> Floats:
        x: Floats = np.concatenate([self._kinds[kind], (traits - self._mean) / self._scale])
        for weight, bias in self._layers[:-1]:
            x = np.maximum(weight @ x + bias, 0)
        weight, bias = self._layers[-1]
        return weight @ x + bias


@cache
def shipped() -> BoxCompletion:
    """The network of the package."""
    return BoxCompletion.load(NANO)


def as_seen(outline: Outline) -> OrientedBox:
    """No completion."""
    return outline.box


def _gaps(
    walls: Sequence[WallPlane], center: NDArray[np.float64], axes: NDArray[np.float64], half: NDArray[np.float64]
) -> list[float]:
    """From a face to the next wall on its side, metres, at most ``_NEAR``: along the first axis, against it, second."""
    found = [_NEAR] * 4
    for wall in walls:
        towards = -wall.normal @ axes[:2, :2]
        axis = int(np.abs(towards).argmax())
        along = float(center[1] * wall.normal[0] - center[0] * wall.normal[1])
        if abs(towards[axis]) < _ALONG or not wall.start < along < wall.end:
            continue
        side = 2 * axis + (towards[axis] < 0)
        gap = float(wall.normal @ center[:2]) - wall.offset - half[axis]
        if -half[axis] < gap < found[side]:
            found[side] = max(gap, -_INTO)
    return found

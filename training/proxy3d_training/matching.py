"""Boxes of two kinds against each other: which one is which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from proxy3d_core.geometry import OrientedBox

Array = NDArray[np.float64]

THICK = 0.10
"""Metres; where only the whereabouts of things matter, thinner ones are as thick as this: pictures, rugs, screens."""


def thick(box: OrientedBox) -> OrientedBox:
    """The box with no edge shorter than ``THICK``."""
    return OrientedBox(box.center, np.maximum(box.size, THICK), box.rotation)


def overlaps(first: Sequence[OrientedBox], second: Sequence[OrientedBox]) -> Array:
    """(M, N) IoU of every pair."""
    found = np.zeros((len(first), len(second)))
    if not found.size:
        return found
    bounds = [np.array([(b.corners.min(axis=0), b.corners.max(axis=0)) for b in boxes]) for boxes in (first, second)]
    low = np.maximum(bounds[0][:, None, 0], bounds[1][None, :, 0])
    high = np.minimum(bounds[0][:, None, 1], bounds[1][None, :, 1])
    for i, j in zip(*np.nonzero((low < high).all(axis=2)), strict=True):
        found[i, j] = first[i].iou(second[j])
    return found


def equal(first: Sequence[str], second: Sequence[str]) -> NDArray[np.bool_]:
    """(M, N) which pairs of labels are the same."""
    return np.array([[a == b for b in second] for a in first], bool).reshape(len(first), len(second))


def inside(iou: Array, of: Array, other: Array) -> Array:
    """Share of the volumes ``of`` that lies in the other ones, from their IoU."""
    common: Array = iou * (of + other) / (1 + iou)
    return common / of


def assign(score: Array, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) with a score of at least ``least`` > 0, one to one, with the largest sum of scores."""
    rows, columns = linear_sum_assignment(-np.where(score >= least, score, 0.0))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if score[i, j] >= least]

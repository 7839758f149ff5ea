"""Proxies by clustering what is seen, group by group (Proxy3D, arXiv 2605.08064, Eqs 1-3).

The paper leaves the clustering, the rounding of the budget and the aggregation open. Here: k-means on metric positions,
largest remainders, weighted means (docs/proxies.md). The same input in any order gives the same proxies, and a rigid
motion of the world moves their positions and changes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.kmeans import ROUNDS, grouped_kmeans
from proxy3d_core.proxies.means import Features, cluster_means
from proxy3d_core.scene.snapshot import ProxySet

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def share_budget(sizes: ArrayLike, budget: int, per_group: int, points: ArrayLike | None = None) -> Ints:
    """How many proxies each group gets.

    Every group starts with ``per_group`` (fewer if the budget does not allow), the rest is shared out by size with
    largest remainders, and no group gets more than it has points. If there are more groups than ``budget``, the largest
    get one each.

    Args:
        sizes: (G,) size of each group, > 0.
        points: (G,) points per group, each >= 1, where those are not the size.

    Returns:
        (G,) counts with ``sum == min(budget, sum(points))`` and ``counts <= points``.
    """
    size = np.asarray(sizes, dtype=np.float64)
    n = np.asarray(sizes if points is None else points, dtype=np.int64)
    if len(n) == 0:
        return np.zeros(0, np.int64)
    if len(n) > budget:
        counts = np.zeros(len(n), np.int64)
        counts[np.argsort(-size, kind="stable")[:budget]] = 1
        return counts
    target = min(budget, int(n.sum()))
    counts = np.minimum(n, min(per_group, budget // len(n)))
    while (left := target - int(counts.sum())) > 0:
        room = counts < n
        quota = left * np.where(room, size, 0) / size[room].sum()
        extra = np.floor(quota).astype(np.int64)
        best = np.argsort(-(quota - extra), kind="stable")[: left - int(extra.sum())]
        extra[best] += 1
        counts = np.minimum(n, counts + extra)
    return counts


@dataclass(frozen=True, eq=False)
class Clustering:
    """Which cluster each point belongs to (Eqs 1 and 2).

    Attributes:
        label: (N,) 0..K-1; every cluster has points.
        groups: (K,) group of each cluster, ascending.
    """

    label: Ints
    groups: Ints


def cluster_points(
    points: ArrayLike,
    weights: ArrayLike,
    groups: ArrayLike,
    budget: int,
    per_group: int,
    rounds: int = ROUNDS,
    sizes: ArrayLike | None = None,
) -> Clustering:
    """Cluster points on their positions inside each group: ``min(budget, N)`` clusters.

    No cluster mixes groups, unless there are more groups than ``budget``: then the points of the smallest groups join
    the nearest cluster.

    Args:
        points: (N, 3) metres.
        weights: (N,) positive.
        groups: (N,) group of each point: object id, negative for background.
        budget: number of clusters.
        per_group: start count per group.
        rounds: effort, see ``grouped_kmeans``.
        sizes: (N,) how much each point adds to the size of its group, by which the budget is shared; None = 1.

    Raises:
        BadInput: arrays differ in length, or hold NaN, infinite or non-positive numbers.
    """
    p = _array(points, np.float64).reshape(-1, 3)
    w, g = _array(weights, np.float64), _array(groups, np.int64)
    if not len(p) == len(w) == len(g):
        raise BadInput(f"points {p.shape}, weights {w.shape}, groups {g.shape} differ in length")
    if budget < 1 or per_group < 1:
        raise BadInput(f"budget ({budget}) and per_group ({per_group}) must be at least 1")
    if len(p) == 0:
        return Clustering(np.zeros(0, np.int64), np.zeros(0, np.int64))
    if not (np.isfinite(p).all() and np.isfinite(w).all() and (w > 0).all()):
        raise BadInput("points and weights must be finite, weights positive")
    names, rank = _ranks(g)
    points_of = np.bincount(rank)
    size_of = points_of if sizes is None else np.bincount(rank, _array(sizes, np.float64))
    counts = share_budget(size_of, budget, per_group, points_of)
    label = grouped_kmeans(p, w, rank, counts, rounds)
    left = label < 0
    if left.any():
        label[left] = cKDTree(_means(p[~left], w[~left], label[~left], budget)).query(p[left])[1]
    return Clustering(label, np.repeat(names, counts))


def cluster_proxies(
    points: ArrayLike,
    features: Features,
    weights: ArrayLike,
    groups: ArrayLike,
    budget: int,
    per_group: int,
    rounds: int = ROUNDS,
    scatter: ArrayLike | None = None,
    sizes: ArrayLike | None = None,
) -> ProxySet:
    """Summarise points by ``min(budget, N)`` proxies, none of which mixes two groups.

    Args:
        points: (N, 3) metres, fixed frame. Points, weights and groups may be tensors on any device, too.
        features: (N, C), anything that may be averaged: numpy array or torch tensor on any device, float32, float16 or
            bfloat16; they are read once.
        weights: (N,) positive; how much each point counts in means.
        groups: (N,) group of each point: object id, or -1 for background.
        budget: number of proxies. If there are more groups, the points of the smallest join the nearest proxy.
        per_group: start count per group (Table 5 of the paper: 5 is best).
        rounds: effort of the clustering; 0 is fastest, each one narrows the clusters by a few percent.
        scatter: (N,) of points that are means themselves: weighted sum of squared distances from it [m²].
        sizes: (N,) how much each point adds to the size of its group, by which the budget is shared; None = 1.

    Returns:
        Proxies ordered by group. ``weights`` sums to the sum of the input's; positions and features are weighted means.

    Raises:
        BadInput: arrays differ in length, or hold NaN, infinite or non-positive numbers.
    """
    if not hasattr(features, "detach"):
        features = np.asarray(features)
    p, w = _array(points, np.float64).reshape(-1, 3), _array(weights, np.float64)
    if features.ndim != 2 or len(features) != len(p):
        raise BadInput(f"points {p.shape} and features {tuple(features.shape)} differ in length")
    found = cluster_points(p, w, groups, budget, per_group, rounds, sizes)
    k = len(found.groups)
    if k == 0:
        return ProxySet.empty(features.shape[1])
    mean = cluster_means(features, w, found.label, k)
    if not np.isfinite(mean).all():
        raise BadInput("features must be finite; leave out the patches whose features are not")
    center = _means(p, w, found.label, k)
    weight = np.bincount(found.label, w, k)
    away = sum((x - c[found.label]) ** 2 for x, c in zip(p.T, center.T.copy(), strict=True))
    inner = 0 if scatter is None else _array(scatter, np.float64)
    squares = np.bincount(found.label, w * away + inner, k)
    return ProxySet(
        positions=center.astype(np.float32),
        features=mean,
        weights=weight.astype(np.float32),
        extents=np.sqrt(squares / weight).astype(np.float32),
        groups=found.groups,
    )


def _array(values: Any, kind: type) -> NDArray[Any]:
    """An array of what may be a tensor on any device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=kind)


def _ranks(groups: Ints) -> tuple[Ints, Ints]:
    """The group numbers that occur, ascending, and (N,) which of them each point has."""
    low = int(groups.min())
    if int(groups.max()) - low > 16 * len(groups):
        return np.unique(groups, return_inverse=True)
    present = np.bincount(groups - low) > 0  # no sorting
    return np.flatnonzero(present) + low, (np.cumsum(present) - 1)[groups - low]


def _means(points: Floats, weights: Floats, label: Ints, clusters: int) -> Floats:
    """(K, 3) weighted mean position of each cluster."""
    weight = np.bincount(label, weights, clusters)
    return np.column_stack([np.bincount(label, weights * x, clusters) for x in points.T]) / weight[:, None]

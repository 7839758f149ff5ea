"""The order in which proxies are read (Proxy3D, Eq. 5): breadth first through space, so neighbours stay together."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from proxy3d_core.errors import BadInput
from proxy3d_core.scene.snapshot import ProxySet

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEIGHBOURS = 6
"""Nearest neighbours that a node of the graph is joined to."""


def scene_origin(proxies: ProxySet, floor: float | None = None) -> Floats:
    """(3,) where positions are counted from: the proxies' centroid, by weight, dropped onto the floor.

    Args:
        floor: height of the floor, metres; None = that of the lowest proxy.
    """
    if len(proxies) == 0:
        return np.array([0.0, 0.0, floor or 0.0])
    x, y = proxies.weights.astype(np.float64) @ proxies.positions[:, :2].astype(np.float64) / proxies.weights.sum()
    return np.array([x, y, float(proxies.positions[:, 2].min()) if floor is None else floor])


def serialise(proxies: ProxySet, origin: ArrayLike | None = None) -> Ints:
    """Order of the proxies: breadth first over the groups, and breadth first inside each group.

    Both graphs join each node to its nearest neighbours, and separate parts at their nearest pair; nearer nodes come
    first. The first group is the one whose centroid is nearest the origin; each group begins at the proxy nearest to
    the last one before it.

    Args:
        proxies: K proxies.
        origin: (3,) where to begin, metres; None = ``scene_origin(proxies)``.

    Returns:
        (K,) int64, a permutation: ``proxies.positions[order]`` are the positions in the order of reading.

    Raises:
        BadInput: the origin is not three finite numbers.
    """
    if len(proxies) == 0:
        return np.zeros(0, np.int64)
    begin = scene_origin(proxies) if origin is None else np.asarray(origin, dtype=np.float64)
    if begin.shape != (3,) or not np.isfinite(begin).all():
        raise BadInput(f"the origin must be three finite numbers, not {origin!r}")
    position = proxies.positions.astype(np.float64)
    weight = proxies.weights.astype(np.float64)
    rank = np.unique(proxies.groups, return_inverse=True)[1]
    mass = np.bincount(rank, weight)
    centroid = np.column_stack([np.bincount(rank, weight * x) for x in position.T]) / mass[:, None]
    order: list[int] = []
    for group in _breadth_first(centroid, begin):
        own = np.flatnonzero(rank == group)
        last = begin if not order else position[order[-1]]
        order.extend(own[_breadth_first(position[own], last)].tolist())
    return np.array(order, dtype=np.int64)


def neighbour_gap(positions: ArrayLike, order: ArrayLike) -> float:
    """How far apart neighbours in space are in a sequence: the mean over each position's NEIGHBOURS nearest ones.

    Args:
        positions: (K, 3), K >= 2.
        order: (K,) permutation.
    """
    points = np.asarray(positions, dtype=np.float64)
    place = np.empty(len(points))
    place[np.asarray(order)] = np.arange(len(points))
    near = cKDTree(points).query(points, min(NEIGHBOURS + 1, len(points)))[1][:, 1:]
    return float(np.abs(place[near] - place[:, None]).mean())


def _breadth_first(points: Floats, begin: Floats) -> Ints:
    """(M,) order of the points (M, 3) from the one nearest to ``begin`` on."""
    root = int(np.argmin(((points - begin) ** 2).sum(axis=1)))
    if len(points) <= NEIGHBOURS + 1:  # as most objects have: all are the root's neighbours
        distance = ((points - points[root]) ** 2).sum(axis=1)
        distance[root] = -1.0
        return np.argsort(distance, kind="stable")
    neighbours = _graph(points)
    seen = np.zeros(len(points), bool)
    seen[root] = True
    order, waiting = [], deque([root])
    while waiting:
        node = waiting.popleft()
        order.append(node)
        for other in neighbours[node]:
            if not seen[other]:
                seen[other] = True
                waiting.append(other)
    return np.array(order, dtype=np.int64)


def _graph(points: Floats) -> list[list[int]]:
    """Neighbours of each point in a connected symmetric graph, nearest first."""
    n = len(points)
    near = cKDTree(points).query(points, np.arange(1, min(NEIGHBOURS + 1, n) + 1))[1]
    a, b = np.repeat(np.arange(n), near.shape[1]), near.ravel()
    parts = connected_components(coo_matrix((np.ones(len(a)), (a, b)), (n, n)), directed=False)[1]
    if parts.any():
        bridges = _bridges(points, parts)
        a, b = np.append(a, bridges[:, 0]), np.append(b, bridges[:, 1])
    other = a != b
    a, b = np.divmod(np.unique(np.concatenate([a[other] * n + b[other], b[other] * n + a[other]])), n)
    order = np.lexsort((((points[a] - points[b]) ** 2).sum(axis=1), a))  # stable: equally near ones by index
    cuts = np.searchsorted(a[order], np.arange(1, n))
    return [part.tolist() for part in np.split(b[order], cuts)]


def _bridges(points: Floats, part: NDArray[np.int32]) -> Ints:
    """(E, 2) edges that join all parts, each time the nearest pair of a point that is joined and one that is not."""
    distance = cdist(points, points)
    joined = part == part[0]
    edges = []
    while not joined.all():
        inside, outside = np.flatnonzero(joined), np.flatnonzero(~joined)
        a, b = np.divmod(np.argmin(distance[np.ix_(inside, outside)]), len(outside))
        edges.append((inside[a], outside[b]))
        joined |= part == part[outside[b]]
    return np.array(edges, dtype=np.int64)

"""Proxies by clustering what is seen, group by group (Proxy3D, arXiv 2605.08064, Eqs 1-3).

The paper leaves the clustering, the rounding of the budget and the aggregation open. Here: farthest-point seeds, Lloyd
iterations on metric positions, largest remainders, weighted means; the same input in any order gives the same proxies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from proxy3d_core.errors import BadInput
from proxy3d_core.scene.snapshot import ProxySet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESOLUTION = 0.005
"""Edge of the smallest cell in which points may be merged before clustering [m]."""

OVERSAMPLING = 4
"""Clusters are searched on at least this many cells per proxy; smaller groups are clustered point by point."""

ITERATIONS = 10
"""Most Lloyd iterations."""


def share_budget(sizes: ArrayLike, budget: int, per_group: int) -> Ints:
    """How many proxies each group gets.

    Every group starts with ``per_group`` (fewer if the budget does not allow), the rest is shared out by size with
    largest remainders, and no group gets more than it has points. If there are more groups than ``budget``, the largest
    get one each.

    Args:
        sizes: (G,) points per group, each >= 1.

    Returns:
        (G,) counts with ``sum == min(budget, sum(sizes))`` and ``counts <= sizes``.
    """
    n = np.asarray(sizes, dtype=np.int64)
    if len(n) == 0:
        return np.zeros(0, np.int64)
    if len(n) > budget:
        counts = np.zeros(len(n), np.int64)
        counts[np.argsort(-n, kind="stable")[:budget]] = 1
        return counts
    target = min(budget, int(n.sum()))
    counts = np.minimum(n, min(per_group, budget // len(n)))
    while (left := target - int(counts.sum())) > 0:
        room = counts < n
        quota = left * np.where(room, n, 0) / n[room].sum()
        extra = np.floor(quota).astype(np.int64)
        best = np.argsort(-(quota - extra), kind="stable")[: left - int(extra.sum())]
        extra[best] += 1
        counts = np.minimum(n, counts + extra)
    return counts


def cluster_proxies(
    points: ArrayLike, features: ArrayLike, weights: ArrayLike, groups: ArrayLike, budget: int, per_group: int
) -> ProxySet:
    """Summarise points by ``min(budget, N)`` proxies, none of which mixes two groups.

    Args:
        points: (N, 3) metres, fixed frame.
        features: (N, C), anything that may be averaged.
        weights: (N,) positive; how much each point counts in means.
        groups: (N,) group of each point: object id, or -1 for background.
        budget: number of proxies.
        per_group: start count per group (Table 5 of the paper: 5 is best).

    Returns:
        Proxies ordered by group. ``weights`` sums to the sum of the input's; positions and features are weighted means.

    Raises:
        BadInput: arrays differ in length, or hold NaN, infinite or non-positive numbers.
    """
    p = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    f = np.asarray(features, dtype=np.float32)
    w = np.asarray(weights, dtype=np.float64)
    g = np.asarray(groups, dtype=np.int64)
    if f.ndim != 2 or not len(p) == len(f) == len(w) == len(g):
        raise BadInput(f"points {p.shape}, features {f.shape}, weights {w.shape}, groups {g.shape} differ in length")
    if budget < 1 or per_group < 1:
        raise BadInput(f"budget ({budget}) and per_group ({per_group}) must be at least 1")
    if len(p) == 0:
        return ProxySet.empty(f.shape[1])
    if not (np.isfinite(p).all() and np.isfinite(w).all() and (w > 0).all()):
        raise BadInput("points and weights must be finite, weights positive")

    names, rank = np.unique(g, return_inverse=True)
    sizes = np.bincount(rank)
    counts = share_budget(sizes, budget, per_group)
    order, level = _octree_order(p, w, rank)
    p, w, rank = p[order], w[order], rank[order]

    cell_of_point = _cells(rank, level, sizes, OVERSAMPLING * counts)
    cells = int(cell_of_point[-1]) + 1
    # Zeroth, first and second moments per cell; about the middle, where second moments lose no digits.
    middle = p.mean(axis=0)
    p -= middle
    per_point = np.column_stack([w, w[:, None] * p, w * np.einsum("ij,ij->i", p, p)])
    moments = _sums(cell_of_point, per_point, cells)
    cell_rank = np.zeros(cells, np.int64)
    cell_rank[cell_of_point] = rank

    cell_label = _cluster(moments[:, 1:4] / moments[:, :1], moments[:, 0], cell_rank, counts)
    k = int(counts.sum())
    kept = cell_label >= 0  # all, unless there are more groups than budget
    moments = _sums(cell_label[kept], moments[kept], k)
    weight, center = moments[:, 0], moments[:, 1:4] / moments[:, :1]
    spread = np.maximum(moments[:, 4] / weight - (center**2).sum(axis=1), 0)
    label = cell_label[cell_of_point]
    member = np.argsort(label, kind="stable")[np.count_nonzero(label < 0) :]
    label = label[member]
    mean = csr_matrix(
        ((w[member] / weight[label]).astype(np.float32), order[member], np.searchsorted(label, np.arange(k + 1))),
        shape=(k, len(f)),
    )
    return ProxySet(
        positions=(center + middle).astype(np.float32),
        features=np.asarray(mean @ f, dtype=np.float32),
        weights=weight.astype(np.float32),
        extents=np.sqrt(spread).astype(np.float32),
        groups=np.repeat(names, counts),
    )


def _sums(label: Ints, values: Floats, number: int) -> Floats:
    """(number, ...) sums of the values (N, ...) of each label."""
    columns = [np.bincount(label, column, number) for column in values.reshape(len(values), -1).T]
    return np.stack(columns, axis=1).astype(np.float64).reshape(number, *values.shape[1:])


def _octree_order(points: Floats, weights: Floats, rank: Ints) -> tuple[Ints, Ints]:
    """Order of the points by group and then along a Z-curve, and at which octree level each parts from its predecessor.

    Returns:
        order: (N,) indices; independent of the order in which the points came.
        level: (N,) of the sorted points: the coarsest octree level (0 = cells of RESOLUTION) at which a point lies in
            another cell than the one before it; -1 if both lie in one cell of RESOLUTION, 64 where a group begins.
    """
    bits = min(16, (62 - int(rank.max()).bit_length()) // 3)
    columns = np.ascontiguousarray(points.T)
    low = columns.min(axis=1, keepdims=True)
    cell = max(RESOLUTION, float((columns.max(axis=1, keepdims=True) - low).max()) / (2**bits - 1))
    x, y, z = ((columns - low) / cell).astype(np.int64)
    code = (rank << (3 * bits)) | (_spread(x) << 2) | (_spread(y) << 1) | _spread(z)
    order = np.argsort(code)
    code = code[order]
    same = np.flatnonzero(code[1:] == code[:-1])
    if len(same):  # points within one finest cell: by their values, so that the input's order does not matter
        tied = np.zeros(len(code), bool)
        tied[same] = tied[same + 1] = True
        who = order[tied]
        order[tied] = who[np.lexsort((weights[who], *points[who].T, code[tied]))]
    level = np.full(len(code), 64, np.int64)
    differing = code[1:] ^ code[:-1]
    # frexp gives the bit length, exactly below 2**53; only group bits lie above, so rounding there does no harm.
    level[1:] = (np.frexp(differing.astype(np.float64))[1] + 2) // 3 - 1
    level[1:][np.diff(rank[order]) != 0] = 64
    return order, level


def _spread(x: Ints) -> Ints:
    """Put two zero bits between the lowest 16 bits of each number (Morton code)."""
    x = (x | (x << 16)) & 0x0000FF0000FF
    x = (x | (x << 8)) & 0x00F00F00F00F
    x = (x | (x << 4)) & 0x0C30C30C30C3
    return (x | (x << 2)) & 0x249249249249


def _cells(rank: Ints, level: Ints, sizes: Ints, wanted: Ints) -> Ints:
    """(N,) cell of each sorted point: coarsest octree level with ``wanted`` cells in its group, else single points."""
    levels = 18
    # Cells of group g at level l: one for each point that parts from its predecessor at l or coarser.
    starts = np.bincount(rank * levels + np.minimum(level, levels - 2) + 1, minlength=len(sizes) * levels)
    number = starts.reshape(len(sizes), levels)[:, ::-1].cumsum(axis=1)[:, ::-1]
    chosen = (number >= wanted[:, None]).sum(axis=1) - 1  # number falls with the level; column 0 = single points
    chosen = np.maximum(chosen, 0)
    return np.cumsum(level + 1 >= chosen[rank]) - 1


def _cluster(position: Floats, weight: Floats, rank: Ints, counts: Ints) -> Ints:
    """(M,) cluster of each cell (sorted by rank), numbered group by group; -1 in groups without a count."""
    bounds = np.searchsorted(rank, np.arange(len(counts) + 1))
    seeds = np.concatenate(
        [
            start + _farthest_points(position[start:stop], weight[start:stop], int(count))
            for start, stop, count in zip(bounds[:-1], bounds[1:], counts, strict=True)
        ]
    )
    # The group is a fourth coordinate, so far apart that no cell is nearest to a centre of another group.
    apart = 4.0 * float(np.ptp(position, axis=0).max()) + 1.0
    cells = np.column_stack([position, rank * apart])
    centers = cells[seeds]
    kept = counts[rank] > 0
    label = np.full(len(cells), -1, np.int64)
    k = len(seeds)
    for _ in range(ITERATIONS):
        new = np.asarray(cKDTree(centers).query(cells[kept])[1], dtype=np.int64)
        _fill_empty(new, cells[kept], centers)
        if np.array_equal(new, label[kept]):
            break
        label[kept] = new
        total = _sums(new, weight[kept], k)
        centers[:, :3] = _sums(new, (weight[:, None] * position)[kept], k) / total[:, None]
    return label


def _fill_empty(label: Ints, cells: Floats, centers: Floats) -> None:
    """Give every empty cluster (of coinciding points) the outermost cell of its group's largest cluster, in place."""
    members = np.bincount(label, minlength=len(centers))
    for empty in np.flatnonzero(members == 0):
        same_group = np.abs(centers[:, 3] - centers[empty, 3]) < 0.5
        donor = int(np.argmax(np.where(same_group, members, 0)))
        own = np.flatnonzero(label == donor)
        taken = own[np.argmax(((cells[own] - centers[donor]) ** 2).sum(axis=1))]
        label[taken] = empty
        members[donor] -= 1
        members[empty] += 1


def _farthest_points(position: Floats, weight: Floats, count: int) -> Ints:
    """(count,) distinct indices: the point farthest from the mean, then always the one farthest from all chosen."""
    chosen = np.zeros(count, np.int64)
    if count == 0:
        return chosen
    x, y, z = np.ascontiguousarray(position.T)
    mean = weight @ position / weight.sum()
    distance = (x - mean[0]) ** 2 + (y - mean[1]) ** 2 + (z - mean[2]) ** 2
    chosen[0] = np.argmax(distance)
    distance.fill(np.inf)
    for i in range(1, count):
        last = chosen[i - 1]
        np.minimum(distance, (x - x[last]) ** 2 + (y - y[last]) ** 2 + (z - z[last]) ** 2, out=distance)
        distance[chosen[:i]] = -1.0
        chosen[i] = np.argmax(distance)
    return chosen

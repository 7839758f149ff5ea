"""K-means on positions inside given groups: the clustering of Proxy3D's Eq. 2, which the paper leaves open.

Seeds come from splitting each group along its principal axes, on octree cells instead of points where points abound.
Lloyd iterations follow, over-relaxed and looking only at neighbouring centres, on the cells with rounds in between that
join two close clusters and split a wide one, and on the points at the end. Everything is computed in a frame that moves
with the points, in an order that depends on their values only: neither a rigid motion of the world nor the order of the
input changes the clusters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

RESOLUTION = 0.005
"""Edge of the smallest cell in which points may be merged for seeding [m]."""

OVERSAMPLING = 4
"""Seeds are found on at least this many cells per cluster, or on the points where a group has no more."""

ITERATIONS = 4
"""Lloyd iterations on the cells before each round of joining and splitting."""

FINAL_ITERATIONS = 3
"""Lloyd iterations on the points at the end, and one more for every round."""

ROUNDS = 2
"""Rounds of joining and splitting clusters."""

_RELAXATION = 1.8  # a centre moves this much of the way to the mean of its points and beyond: fewer iterations
_NEIGHBOURS = 8  # centres a point may change to in one iteration
_MARGIN = 0.7  # neighbours take over a part of a joined cluster, so joining costs less than its own points say
_CODES = 64  # octree level of the first point of a group
_REFERENCE = np.array([0.62, 0.53, 0.58])  # which way an axis points; in general position, so that it is not across


def grouped_kmeans(points: Floats, weights: Floats, group: Ints, counts: Ints, rounds: int = ROUNDS) -> Ints:
    """Split every group into clusters that are narrow in space.

    Args:
        points: (N, 3) metres.
        weights: (N,) positive.
        group: (N,) index of each point's group, 0..G-1, each of which has points.
        counts: (G,) clusters per group, at most its number of points; a group with 0 is left out.
        rounds: rounds of joining and splitting; 0 is fastest, each one narrows the clusters by a few percent.

    Returns:
        (N,) cluster of each point, numbered group by group, none empty; -1 in groups that are left out.
    """
    label = np.full(len(points), -1, np.int64)
    order = _order_by_value(points, weights, group)
    order = order[counts[group[order]] > 0]
    moving = _to_moving_frame(points.T.take(order, axis=1), weights[order])
    rank = group[order]
    z_order, level = _octree_order(moving, rank)
    order, moving, rank = order[z_order], moving.take(z_order, axis=1), rank[z_order]
    weight = weights[order]
    cell = _cells(rank, level, OVERSAMPLING * counts)
    begin = np.flatnonzero(np.diff(cell, prepend=-1))
    total = np.add.reduceat(weight, begin)
    center = np.add.reduceat(weight * moving, begin, axis=1) / total
    seeded = _bisect(center, total, rank[begin], counts)
    clusters = _Clusters(center, total, seeded, np.repeat(np.arange(len(counts)), counts))
    for _ in range(rounds):
        clusters.iterate(ITERATIONS)
        clusters.rearrange()
    clusters.refine(moving, weight, cell)
    clusters.iterate(FINAL_ITERATIONS + rounds)
    label[order] = clusters.label
    return label


def _order_by_value(points: Floats, weights: Floats, group: Ints) -> Ints:
    """(N,) order of the points by x, equal ones by y, z, group and weight: the same for any order of the input."""
    x = points[:, 0]
    order = np.argsort(x)
    same = np.flatnonzero(x[order[1:]] == x[order[:-1]])
    if len(same):
        tied = np.zeros(len(x), bool)
        tied[same] = tied[same + 1] = True
        who = order[tied]
        order[tied] = who[np.lexsort((weights[who], group[who], points[who, 2], points[who, 1], x[who]))]
    return order


def _to_moving_frame(points: Floats, weights: Floats) -> Floats:
    """(3, N) coordinates about the mean along the principal axes, right-handed: a rigid motion does not change them.

    The two most skewed axes point to their longer tail. A cloud that a rotation maps onto itself has no such frame;
    its clusters turn by that rotation.
    """
    # Sums over products, not @: starting threads costs more than three columns are worth.
    centred = points - ((weights * points).sum(axis=1) / weights.sum())[:, None]
    weighted = weights * centred
    axes = np.linalg.eigh(np.array([[(a * b).sum() for b in centred] for a in weighted]))[1]
    along = np.stack([a[0] * centred[0] + a[1] * centred[1] + a[2] * centred[2] for a in axes.T])
    squares = along * along
    second = (weights * squares).sum(axis=1)
    skew = (weights * squares * along).sum(axis=1) / np.maximum(second, 1e-150) ** 1.5
    sign = np.where(skew < 0, -1.0, 1.0)
    sign[np.argmin(np.abs(skew))] *= np.linalg.det(axes) * sign.prod()
    along *= np.sign(sign)[:, None]
    return along


def _octree_order(points: Floats, rank: Ints) -> tuple[Ints, Ints]:
    """Order of the points by group and then along a Z-curve, and at which octree level each parts from its predecessor.

    Returns:
        order: (N,) indices.
        level: (N,) of the sorted points: the coarsest octree level (0 = cells of RESOLUTION) at which a point lies in
            another cell than the one before it; -1 if both lie in one cell of RESOLUTION, _CODES where a group begins.
    """
    bits = min(16, (62 - int(rank.max()).bit_length()) // 3)
    low = points.min(axis=1, keepdims=True)
    cell = max(RESOLUTION, float((points.max(axis=1, keepdims=True) - low).max()) / (2**bits - 2))
    # Off by a part of a cell, so that points of a regular grid do not lie on the borders of cells.
    x, y, z = ((points - low) / cell + 0.37).astype(np.int64)
    code = (rank << (3 * bits)) | (_spread(x) << 2) | (_spread(y) << 1) | _spread(z)
    order = np.argsort(code)
    code = code[order]
    level = np.full(len(code), _CODES, np.int64)
    differing = code[1:] ^ code[:-1]
    # frexp gives the bit length, exactly below 2**53; only group bits lie above, so rounding there does no harm.
    level[1:] = (np.frexp(differing.astype(np.float64))[1] + 2) // 3 - 1
    level[1:][np.diff(rank[order]) != 0] = _CODES
    return order, level


def _spread(x: Ints) -> Ints:
    """Put two zero bits between the lowest 16 bits of each number (Morton code)."""
    x = (x | (x << 16)) & 0x0000FF0000FF
    x = (x | (x << 8)) & 0x00F00F00F00F
    x = (x | (x << 4)) & 0x0C30C30C30C3
    return (x | (x << 2)) & 0x249249249249


def _cells(rank: Ints, level: Ints, wanted: Ints) -> Ints:
    """(N,) cell of each sorted point: coarsest octree level with ``wanted`` cells in its group, else single points."""
    levels = 18
    # Cells of group g at level l: one for each point that parts from its predecessor at l or coarser.
    starts = np.bincount(rank * levels + np.minimum(level, levels - 2) + 1, minlength=len(wanted) * levels)
    number = starts.reshape(len(wanted), levels)[:, ::-1].cumsum(axis=1)[:, ::-1]
    chosen = (number >= wanted[:, None]).sum(axis=1) - 1  # number falls with the level; column 0 = single points
    chosen = np.maximum(chosen, 0)
    return np.cumsum(level + 1 >= chosen[rank]) - 1


def _bisect(position: Floats, weight: Floats, rank: Ints, counts: Ints) -> Ints:
    """(M,) cluster of each cell (sorted by rank), by splitting all nodes of a level across their principal axes.

    A node with K clusters to come splits at its mean; the halves share K by the square root of their squared distances,
    which is the optimum on surfaces (Zador: density of centres ~ density of points to the power of 1/2).
    """
    label = np.empty(len(weight), np.int64)
    x, y, z = position
    moments = np.column_stack(
        [weight, *(weight * np.stack([x, y, z, x * x, y * y, z * z, x * y, y * z, z * x])), x, y, z]
    )
    index = np.arange(len(weight))
    size, count, first = np.bincount(rank, minlength=len(counts)), counts, np.cumsum(counts) - counts
    size, count, first = size[counts > 0], count[counts > 0], first[counts > 0]
    smallest = 1e-12 * max(float(np.ptp(position)), 1e-6) ** 2  # below: nothing but rounding
    while True:
        single = count == 1
        ended = np.repeat(single, size)
        label[index[ended]] = np.repeat(first[single], size[single])
        index, moments = index[~ended], moments[~ended]
        size, count, first = size[~single], count[~single], first[~single]
        if len(count) == 0:
            return label
        begin = np.cumsum(size) - size
        total = np.add.reduceat(moments[:, :10], begin, axis=0)
        mean = total[:, 1:4] / total[:, :1]
        spread = total[:, 4:] / total[:, :1] - np.hstack([mean * mean, mean * np.roll(mean, -1, axis=1)])
        spread[:, :3] += 1e-7 * spread[:, :3].sum(axis=1, keepdims=True) * (3.0, 2.0, 1.0)  # no two axes alike
        variance, axes = np.linalg.eigh(spread[:, [0, 3, 5, 3, 1, 4, 5, 4, 2]].reshape(-1, 3, 3))
        axis = axes[:, :, 2] * np.where(axes[:, :, 2] @ _REFERENCE < 0, -1.0, 1.0)[:, None]
        # Just beyond the mean, so that what lies at the mean of a regular arrangement does not depend on rounding.
        at = np.einsum("ij,ij->i", axis, mean) + 1e-6 * np.sqrt(np.maximum(variance[:, 2], 0))
        along = np.einsum("ij,ij->i", moments[:, 10:], np.repeat(axis, size, axis=0)) - np.repeat(at, size)
        node = np.repeat(np.arange(len(count)), size)
        beyond = along > 0
        part = np.bincount(2 * node + beyond, minlength=2 * len(count)).reshape(-1, 2)
        level = (variance[:, 2] <= smallest) | (part == 0).any(axis=1)
        if level.any():  # coinciding points: by their order
            middle = np.repeat(begin + size // 2, size)
            beyond = np.where(np.repeat(level, size), np.arange(len(index)) >= middle, beyond)
            part = np.bincount(2 * node + beyond, minlength=2 * len(count)).reshape(-1, 2)
        order = np.argsort(2 * node + beyond, kind="stable")
        index, moments, size = index[order], moments[order], part.ravel()
        half = np.add.reduceat(moments[:, :7], np.cumsum(size) - size, axis=0)
        squares = half[:, 4:].sum(axis=1) - (half[:, 1:4] ** 2).sum(axis=1) / half[:, 0]
        root = np.sqrt(np.maximum(squares, smallest)).reshape(-1, 2)
        near = np.rint(count * root[:, 0] / root.sum(axis=1)).astype(np.int64)
        near = np.clip(near, np.maximum(1, count - part[:, 1]), np.minimum(count - 1, part[:, 0]))
        first = np.column_stack([first, first + near]).ravel()
        count = np.column_stack([near, count - near]).ravel()


class _Clusters:
    """Points with the cluster that each belongs to."""

    def __init__(self, points: Floats, weights: Floats, label: Ints, rank: Ints) -> None:
        """``points`` (3, N), ``weights`` (N,), ``label`` (N,) 0..K-1, ``rank`` (K,) group of each cluster."""
        self.label = label
        self._rank = rank
        self._set_points(points, weights)
        # The group is a fourth coordinate, so far apart that no centre is nearest to one of another group.
        self._apart = 4.0 * float(np.ptp(points)) + 1.0
        self._weight, self._mean = self._means()
        self._near = self._neighbours()

    def refine(self, points: Floats, weights: Floats, cell: Ints) -> None:
        """Go from cells to the points (3, N) with ``weights`` (N,) that lie in them; ``cell`` (N,) of each point."""
        self.label = self.label[cell]
        self._set_points(points, weights)

    def _set_points(self, points: Floats, weights: Floats) -> None:
        self._points = points.astype(np.float32)
        self._weights = weights
        self._weighted = [weights * column for column in self._points]

    def iterate(self, iterations: int) -> None:
        """Lloyd iterations, in each of which a point may change to a neighbour of its cluster in the same group."""
        center = self._mean
        for _ in range(iterations):
            self._assign(center)
            self._weight, self._mean = self._means()
            if (self._weight == 0).any():
                self._fill_empty()
                self._weight, self._mean = self._means()
            center = center + _RELAXATION * (self._mean - center)

    def rearrange(self) -> None:
        """Join pairs of close clusters and split wide ones in their stead, where that narrows the clusters."""
        weight, mean, near = self._weight, self._mean, self._near
        k = len(weight)
        offset = [column - mean[:, i].astype(np.float32)[self.label] for i, column in enumerate(self._points)]
        pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        spread = [np.bincount(self.label, self._weights * (offset[i] * offset[j]), k) for i, j in pairs]
        squares, axes = np.linalg.eigh(np.column_stack(spread)[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3))
        gain = 0.75 * squares[:, 2]  # what halving an even distribution saves
        cost = weight[:, None] * weight[near] / (weight[:, None] + weight[near])
        cost *= ((mean[near] - mean[:, None]) ** 2).sum(axis=2)
        cost[near == np.arange(k)[:, None]] = np.inf
        best = cost.argmin(axis=1)
        partner, cost = near[np.arange(k), best], _MARGIN * cost[np.arange(k), best]
        joined, halved = self._choose(gain, cost, partner)
        target = np.arange(k)
        target[joined] = partner[joined]
        freed = np.full(k, -1)
        freed[halved] = joined
        moving = np.flatnonzero(freed[self.label] >= 0)
        old = self.label[moving]
        axis = axes[old, :, 2] * np.where(axes[old, :, 2] @ _REFERENCE < 0, -1.0, 1.0)[:, None]
        beyond = sum(offset[i][moving] * axis[:, i] for i in range(3)) > 0
        self.label = target[self.label]
        self.label[moving[beyond]] = freed[old[beyond]]
        self._weight, self._mean = self._means()
        self._near = self._neighbours()

    def _choose(self, gain: Floats, cost: Floats, partner: Ints) -> tuple[list[int], list[int]]:
        """Clusters to join to their partner, cheapest first, and to split, widest first; no two next to each other."""
        taken = np.zeros(len(gain), bool)
        joined, halved = [], []
        widest = {g: iter(members.tolist()) for g, members in self._by_group(np.argsort(-gain, kind="stable"))}
        for g, cheapest in self._by_group(np.argsort(cost, kind="stable")):
            wide = next(widest[g])
            for close in cheapest[np.isfinite(cost[cheapest])].tolist():
                if taken[close] or taken[partner[close]]:
                    continue
                while wide >= 0 and (taken[wide] or wide in (close, partner[close])):
                    wide = next(widest[g], -1)
                if wide < 0 or gain[wide] <= cost[close]:
                    break
                taken[self._near[[close, wide]]] = True
                joined.append(close)
                halved.append(wide)
        return joined, halved

    def _by_group(self, order: Ints) -> list[tuple[int, Ints]]:
        """The clusters of each group in the given order."""
        order = order[np.argsort(self._rank[order], kind="stable")]
        bounds = np.flatnonzero(np.diff(self._rank[order])) + 1
        return [(int(self._rank[own[0]]), own) for own in np.split(order, bounds)]

    def _means(self) -> tuple[Floats, Floats]:
        """Weight (K,) and mean (K, 3) of each cluster."""
        k = len(self._rank)
        weight: Floats = np.bincount(self.label, self._weights, k).astype(np.float64, copy=False)
        total = np.column_stack([np.bincount(self.label, column, k) for column in self._weighted])
        return weight, total / np.where(weight > 0, weight, 1.0)[:, None]

    def _neighbours(self) -> Ints:
        """(K, _NEIGHBOURS) nearest centres of the same group, itself included and where there are no more."""
        placed = np.column_stack([self._mean, self._rank * self._apart])
        tree = cKDTree(placed, leafsize=8, compact_nodes=False, balanced_tree=False)
        distance, near = tree.query(placed, _NEIGHBOURS, distance_upper_bound=self._apart / 2)
        return np.where(np.isfinite(distance), near, np.arange(len(placed))[:, None])

    def _assign(self, center: Floats) -> None:
        """Each point to the nearest of its centre's neighbours; to its own unless another is nearer."""
        apart = sum((x[self._near] - x[:, None]) ** 2 for x in center.T.copy())
        apart[self._near == np.arange(len(center))[:, None]] = np.inf
        safe = (apart.min(axis=1) / 4).astype(np.float32)  # within half the way to the next centre nothing is nearer
        columns = center.astype(np.float32).T.copy()
        label = self.label
        least = _squares(self._points, columns, label)
        doubtful = np.flatnonzero(least > safe[label])
        points, label, least = self._points.take(doubtful, axis=1), label[doubtful], least[doubtful]
        nearest = label
        for neighbour in self._near.T.copy():
            other = neighbour[label]
            squares = _squares(points, columns, other)
            nearest = np.where(squares < least, other, nearest)
            least = np.minimum(squares, least)
        self.label = self.label.copy()
        self.label[doubtful] = nearest

    def _fill_empty(self) -> None:
        """Give every empty cluster the outermost point of its group's largest cluster."""
        members = np.bincount(self.label, minlength=len(self._rank))
        for empty in np.flatnonzero(members == 0):
            donor = int(np.argmax(np.where(self._rank == self._rank[empty], members, 0)))
            own = np.flatnonzero(self.label == donor)
            away = ((self._points[:, own].T - self._mean[donor]) ** 2).sum(axis=1)
            self.label[own[np.argmax(away)]] = empty
            members[donor] -= 1
            members[empty] += 1


def _squares(points: Singles, centers: Singles, label: Ints) -> Singles:
    """(N,) squared distance of points (3, N) to the centres (3, K) that ``label`` (N,) names."""
    total: Singles = (points[0] - centers[0][label]) ** 2
    total += (points[1] - centers[1][label]) ** 2
    total += (points[2] - centers[2][label]) ** 2
    return total

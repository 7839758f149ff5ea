"""Oriented boxes: corners, closest distance, overlap, and the gravity-aligned box around points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transforms import yaw_matrix

Array = NDArray[np.float64]

_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_EDGES = np.array([(i, j) for i in range(8) for j in range(i + 1, 8) if np.abs(_SIGNS[i] - _SIGNS[j]).sum() == 2])

_SQUARE = 0.1  # m; edges that differ by less in sum do not tell which way a thing was turned


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box in the fixed frame.

    Attributes:
        center: (3,) metres.
        size: (3,) full edge lengths along the box axes, metres; of a gravity-aligned box two on the floor plane, then
            the height.
        rotation: (3, 3), columns are the box axes in the fixed frame.
    """

    center: Array
    size: Array
    rotation: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", np.asarray(self.center, dtype=np.float64).reshape(3))
        object.__setattr__(self, "size", np.asarray(self.size, dtype=np.float64).reshape(3))
        object.__setattr__(self, "rotation", np.asarray(self.rotation, dtype=np.float64).reshape(3, 3))
        if not (np.isfinite(self.center).all() and np.isfinite(self.size).all() and np.isfinite(self.rotation).all()):
            raise BadInput("box holds NaN or infinite numbers")
        if (self.size < 0).any():
            raise BadInput(f"box has a negative edge: {self.size.tolist()}")

    @classmethod
    def from_yaw(cls, center: ArrayLike, size: ArrayLike, yaw: float = 0.0) -> OrientedBox:
        """A gravity-aligned box turned by ``yaw`` radians about z."""
        return cls(np.asarray(center), np.asarray(size), yaw_matrix(yaw))

    @classmethod
    def around(
        cls, points: ArrayLike, trim: float = 0.0, yaw: float | None = None, weights: ArrayLike | None = None
    ) -> OrientedBox:
        """The tight gravity-aligned box around points (N, 3), N >= 1.

        Args:
            trim: share of the points left outside at either end of each axis (0.01 = 1 %), against stray points.
            yaw: direction of the first axis about z, radians, if it is known; else that of the box of least floor area.
            weights: (N,) how much each point counts for ``trim``; None = all alike.
        """
        p = np.asarray(points, dtype=np.float64)
        if yaw is None:
            yaw = np.deg2rad(cv2.minAreaRect(p[:, :2].astype(np.float32))[2])
        # A box has four equal descriptions; keep the yaw in [-45, 45) degrees so that it does not flip between frames.
        yaw = (yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
        rotation = yaw_matrix(yaw)
        local = p @ rotation
        if trim > 0 and weights is not None:
            low, high = (_weighted_quantile(local, np.asarray(weights, np.float64), q) for q in (trim, 1 - trim))
        elif trim > 0:
            low, high = np.quantile(local, [trim, 1 - trim], axis=0)
        else:
            low, high = local.min(axis=0), local.max(axis=0)
        return cls(rotation @ ((low + high) / 2), high - low, rotation)

    @property
    def yaw(self) -> float:
        """Angle of the first box axis about z, radians."""
        return float(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))

    @cached_property
    def corners(self) -> Array:
        """(8, 3) corners."""
        return self.center + (_SIGNS * self.size / 2) @ self.rotation.T

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return float(np.prod(self.size))

    @property
    def bottom(self) -> float:
        """Lowest z of the box."""
        return float(self.corners[:, 2].min())

    @property
    def top(self) -> float:
        """Highest z of the box."""
        return float(self.corners[:, 2].max())

    def footprint(self) -> Array:
        """(M, 2) convex outline on the floor plane, counter-clockwise."""
        hull = cv2.convexHull(self.corners[:, :2].astype(np.float32), clockwise=False)
        return hull[:, 0].astype(np.float64)

    def contains(self, points: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
        """(N,) which of the points (N, 3) lie in the box grown by ``margin`` metres on every side."""
        local = (np.atleast_2d(np.asarray(points, dtype=np.float64)) - self.center) @ self.rotation
        return np.asarray((np.abs(local) <= self.size / 2 + margin).all(axis=1))

    def closest_point(self, points: ArrayLike) -> Array:
        """(N, 3) the points of the solid box nearest to points (N, 3)."""
        local = (np.atleast_2d(np.asarray(points, dtype=np.float64)) - self.center) @ self.rotation
        return self.center + np.clip(local, -self.size / 2, self.size / 2) @ self.rotation.T

    def distance(self, other: OrientedBox) -> float:
        """Shortest distance between the two solid boxes, metres; 0 if they touch or overlap."""
        return float(box_distances([self], [other])[0])

    def iou(self, other: OrientedBox) -> float:
        """Volume overlap over union, 0..1, of the upright prisms around the boxes (footprint times z extent).

        A gravity-aligned box is its own prism, so there it is exact. A tilted box is smaller than its prism; taking the
        prism for overlap and volume alike keeps the measure within 0..1.
        """
        footprint, other_footprint = self.footprint(), other.footprint()
        area = _overlap_area(footprint, other_footprint)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        if area <= 0 or height <= 0:
            return 0.0
        prism = _area(footprint) * (self.top - self.bottom)
        other_prism = _area(other_footprint) * (other.top - other.bottom)
        intersection = min(area * height, prism, other_prism)
        return intersection / (prism + other_prism - intersection)


def _weighted_quantile(values: Array, weights: Array, share: float) -> Array:
    """(D,) quantiles of values (N, D) that count (N,) ``weights``; of equal ones that of numpy."""
    order = values.argsort(axis=0)
    weight = weights[order]
    middle = weight.cumsum(axis=0) - weight / 2
    at = (middle - middle[0]) / np.maximum(middle[-1] - middle[0], 1e-12)
    return np.array([np.interp(share, at[:, d], values[order[:, d], d]) for d in range(values.shape[1])])


def motion_between(old: OrientedBox, new: OrientedBox) -> Array:
    """4x4 rigid ``new_from_old`` of an upright thing whose box was ``old`` and is ``new``.

    A box looks the same turned by half, and a nearly square one turned by a quarter: of the turns about z that bring
    edges on edges of about the same length, the smallest is taken.
    """
    misfit = [float(np.abs(new.size[:2][order] - old.size[:2]).sum()) for order in ([0, 1], [1, 0])]
    quarters = [q for q in range(4) if misfit[q % 2] <= min(misfit) + _SQUARE]
    turns = np.array([new.yaw + q * np.pi / 2 - old.yaw for q in quarters])
    turns = (turns + np.pi) % (2 * np.pi) - np.pi
    motion = np.eye(4)
    motion[:3, :3] = yaw_matrix(float(turns[np.abs(turns).argmin()]))
    motion[:3, 3] = new.center - motion[:3, :3] @ old.center
    return motion


def _area(polygon: Array) -> float:
    """Area of a simple polygon (M, 2), square metres (shoelace formula)."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _overlap_area(subject: Array, clip: Array) -> float:
    """Area that two convex counter-clockwise polygons (M, 2), (N, 2) share (Sutherland and Hodgman 1974)."""
    for a, b in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        if not len(subject):
            return 0.0
        edge = b - a
        side = edge[0] * (subject[:, 1] - a[1]) - edge[1] * (subject[:, 0] - a[0])
        after, side_after = np.roll(subject, -1, axis=0), np.roll(side, -1)
        crossing = (side >= 0) != (side_after >= 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            cut = subject + (side / (side - side_after))[:, None] * (after - subject)
        pieces = [
            point
            for i in range(len(subject))
            for point, there in ((subject[i], side[i] >= 0), (cut[i], crossing[i]))
            if there
        ]
        subject = np.array(pieces).reshape(-1, 2)
    return _area(subject)


def box_distances(first: list[OrientedBox], second: list[OrientedBox]) -> Array:
    """(N,) shortest distances between ``first[i]`` and ``second[i]``, metres; 0 where they touch or overlap.

    Exact: two disjoint convex polyhedra are closest at a vertex and a face or at two edges, so all 16 vertex-box and
    144 edge-edge distances are taken; overlap is decided by the separating-axis theorem on its 15 axes.
    """
    if not first:
        return np.zeros(0)
    ca, cb = np.stack([b.center for b in first]), np.stack([b.center for b in second])
    ra, rb = np.stack([b.rotation for b in first]), np.stack([b.rotation for b in second])
    ha, hb = np.stack([b.size for b in first]) / 2, np.stack([b.size for b in second]) / 2
    corners_a = ca[:, None] + (_SIGNS * ha[:, None]) @ ra.transpose(0, 2, 1)
    corners_b = cb[:, None] + (_SIGNS * hb[:, None]) @ rb.transpose(0, 2, 1)

    def vertex_box(corners: Array, center: Array, rotation: Array, half: Array) -> Array:
        local = (corners - center[:, None]) @ rotation
        outside: Array = np.linalg.norm(np.maximum(np.abs(local) - half[:, None], 0), axis=-1)
        return np.asarray(outside.min(axis=1))

    best = np.minimum(vertex_box(corners_a, cb, rb, hb), vertex_box(corners_b, ca, ra, ha))
    best = np.minimum(best, _edge_distances(corners_a, corners_b))

    axes = np.concatenate(
        [
            ra.transpose(0, 2, 1),
            rb.transpose(0, 2, 1),
            np.cross(ra.transpose(0, 2, 1)[:, :, None], rb.transpose(0, 2, 1)[:, None]).reshape(-1, 9, 3),
        ],
        axis=1,
    )
    pa, pb = corners_a @ axes.transpose(0, 2, 1), corners_b @ axes.transpose(0, 2, 1)
    gap = np.maximum(pa.min(1) - pb.max(1), pb.min(1) - pa.max(1))
    overlap = (gap <= 1e-12).all(axis=1)
    return np.where(overlap, 0.0, best)


def _edge_distances(corners_a: Array, corners_b: Array) -> Array:
    """(N,) least distance over all pairs of edges (Ericson, Real-Time Collision Detection, 5.1.9)."""
    p = corners_a[:, _EDGES[:, 0]][:, :, None]
    q = corners_b[:, _EDGES[:, 0]][:, None]
    d1 = corners_a[:, _EDGES[:, 1]][:, :, None] - p
    d2 = corners_b[:, _EDGES[:, 1]][:, None] - q
    r = p - q
    a, e = (d1 * d1).sum(-1) + 1e-18, (d2 * d2).sum(-1) + 1e-18
    b, c, f = (d1 * d2).sum(-1), (d1 * r).sum(-1), (d2 * r).sum(-1)
    denominator = a * e - b * b
    s = np.where(denominator > 1e-12, np.clip((b * f - c * e) / np.maximum(denominator, 1e-12), 0, 1), 0)
    t = np.clip((b * s + f) / e, 0, 1)
    s = np.clip((b * t - c) / a, 0, 1)
    gap = r + d1 * s[..., None] - d2 * t[..., None]
    return np.asarray(np.linalg.norm(gap, axis=-1).min(axis=(1, 2)))

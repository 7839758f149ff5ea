"""One frame, reduced to what the map needs: world points with normal, colour and label vote.

Everything is done at a working resolution (about 160 pixels wide by default): a pixel of it stands for a block of depth
pixels, averaged over those that lie on the block centre's surface, so noise falls but no point floats between
foreground and background.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.camera import Intrinsics, pixel_rays
from proxy3d_core.perception.continuity import depth_links, depth_tolerance
from proxy3d_core.perception.masks import surface_masks

NO_VOTE = -2
"""Label of a pixel that says nothing about classes: no semantics, or too near a border to be trusted."""

_WITHIN = 0.5  # of a surface's pixels lie in a box, or the surface is not the box's object

NO_CLASS = -1
"""Label of a pixel that the segmenter saw and gave no class."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A frame at working resolution.

    Attributes:
        stamp_ns: time of capture.
        pose: 4x4 ``fixed_from_camera``.
        intrinsics: of the working images (h, w).
        depth: (h, w) float32 metres, 0 = no measurement.
        near_depth: (h, w) float32, least depth in each pixel's 3x3 neighbourhood, 0 where any of them is missing;
            what lies clearly in front of it was seen to be empty.
        reach: greatest depth in the image, metres; what lies farther cannot have been seen through.
        points: (M, 3) float32, fixed frame, of the pixels that are good enough to map.
        normals: (M, 3) float32 unit vectors towards the camera side, fixed frame; zero on things too thin to have one.
        colors: (M, 3) float32 r, g, b in 0..255; zeros without a colour image.
        labels: (M,) int32 index into the caller's vocabulary, or NO_CLASS, or NO_VOTE.
        scores: (M,) float32 how sure each label is, 0..1.
        instances: (M,) int32 mask of a single thing, 0 = none; numbers mean nothing in other frames. None = no masks.
    """

    stamp_ns: int
    pose: NDArray[np.float64]
    intrinsics: Intrinsics
    depth: NDArray[np.float32]
    near_depth: NDArray[np.float32]
    reach: float
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    colors: NDArray[np.float32]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    instances: NDArray[np.int32] | None = None


@dataclass(frozen=True, eq=False)
class Named:
    """What a vision model says of a frame, on the working grid.

    Attributes:
        labels: (h, w) int32 index into the caller's vocabulary, or NO_VOTE where the model is unsure.
        scores: (h, w) float32 how sure each label is, 0..1.
        masks: (h, w) int32 of single things, 0 = none.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    masks: NDArray[np.int32] | None


def block_depth(depth: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """(H // s, W // s) depth: mean of those pixels of each s x s block that are within 2 % of its centre's depth."""
    if stride == 1:
        return depth
    h, w = depth.shape[0] // stride, depth.shape[1] // stride
    blocks = depth[: h * stride, : w * stride].reshape(h, stride, w, stride)
    center = blocks[:, stride // 2, :, stride // 2]
    low, high = center * 0.98, center * 1.02
    total, count = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    for i in range(stride):
        for j in range(stride):
            value = blocks[:, i, :, j]
            near = (value >= low) & (value <= high)
            total += value * near
            count += near
    return np.where(center > 0, total / np.maximum(count, 1), 0).astype(np.float32)


def point_normals(
    points: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Normals (h, w, 3) of a camera-frame point map (h, w, 3), turned to the camera, and where they are known.

    The cross product of the central differences; a side that crosses a depth edge is left out.
    """

    def difference(axis: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        step = np.zeros_like(points)
        ok = np.zeros(valid.shape, bool)
        head, tail = _slice(axis, 1, None), _slice(axis, None, -1)
        good = depth_links(points[..., 2], valid, axis)
        d = (points[head] - points[tail]) * good[..., None]
        step[tail] += d
        step[head] += d
        ok[tail] |= good
        ok[head] |= good
        return step, ok

    du, ok_u = difference(1)
    dv, ok_v = difference(0)
    normal = np.empty_like(points)
    normal[..., 0] = du[..., 1] * dv[..., 2] - du[..., 2] * dv[..., 1]
    normal[..., 1] = du[..., 2] * dv[..., 0] - du[..., 0] * dv[..., 2]
    normal[..., 2] = du[..., 0] * dv[..., 1] - du[..., 1] * dv[..., 0]
    length = np.sqrt(np.einsum("hwc,hwc->hw", normal, normal))
    known = ok_u & ok_v & (length > 1e-12)
    towards = np.where(np.einsum("hwc,hwc->hw", normal, points) > 0, -1.0, 1.0)
    normal *= (towards / np.maximum(length, 1e-12))[..., None]
    return normal, known


def thin_ridges(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels (h, w) of things one or two pixels wide: poles, legs, cables.

    Two pixels to either side the depth is clearly greater, and along the thing it goes on. A pixel that floats between
    foreground and background has the foreground beside it, so it is never one of them.
    """
    far = np.where(depth > 0, depth, 1e3).astype(np.float32)
    tolerance = depth_tolerance(depth)
    out = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        middle, before, after = _slice(axis, 2, -2), _slice(axis, None, -4), _slice(axis, 4, None)
        near = depth[middle]
        apart = np.minimum(far[before], far[after]) - near > 2 * tolerance[middle]
        measured = (depth[before] > 0) | (depth[after] > 0)
        along = np.zeros(depth.shape, bool)
        head, tail = _slice(1 - axis, 1, None), _slice(1 - axis, None, -1)
        goes_on = np.abs(depth[head] - depth[tail]) < tolerance[tail]
        along[head] |= goes_on
        along[tail] |= goes_on
        out[middle] |= (near > 0) & apart & measured & along[middle]
    return out


def _slice(axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return (slice(start, stop), slice(None)) if axis == 0 else (slice(None), slice(start, stop))


class Observer:
    """Turns frames into observations; keeps the viewing rays of the last camera."""

    def __init__(self, config: PerceptionConfig) -> None:
        self._config = config
        self._rays: tuple[Intrinsics, NDArray[np.float32]] | None = None

    def grid(self, frame: Frame) -> tuple[int, int]:
        """Rows and columns of the working images."""
        stride = self._stride(frame)
        return frame.depth.shape[0] // stride, frame.depth.shape[1] // stride

    def _stride(self, frame: Frame) -> int:
        return max(1, round(frame.intrinsics.width / self._config.width))

    def observe(
        self,
        frame: Frame,
        label_index: Mapping[str, int],
        masks: NDArray[np.int32] | None = None,
        named: Named | None = None,
    ) -> Observation:
        """Reduce a frame.

        Args:
            frame: at any resolution.
            label_index: index of each label name in the caller's vocabulary; NO_CLASS for names that mean nothing.
            masks: instance masks on the working ``grid``; else the frame's own instances, or its detections.
            named: what a model says, for a frame without labels and detections.
        """
        stride = self._stride(frame)
        depth = block_depth(frame.depth, stride)
        depth = np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)
        h, w = depth.shape
        k = frame.intrinsics.strided(stride, stride // 2) if stride > 1 else frame.intrinsics
        k = Intrinsics(w, h, k.fx, k.fy, k.cx, k.cy)
        valid = (depth >= self._config.min_depth) & (depth <= self._config.max_depth)
        in_range = np.where(valid, depth, 0).astype(np.float32)
        points = self._pixel_rays(k) * in_range[..., None]
        normals, known = point_normals(points, valid)
        ridges = thin_ridges(in_range)
        normals[~known] = 0

        filled = np.where(depth > 0, depth, 1e3).astype(np.float32)
        nearest = cv2.erode(filled, np.ones((5, 5), np.uint8)).astype(np.float32, copy=False)
        missing = cv2.dilate((depth <= 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        near_depth = np.where(missing > 0, 0, cv2.erode(filled, np.ones((3, 3), np.uint8))).astype(np.float32)

        rotation = frame.pose[:3, :3].astype(np.float32)
        keep = (known | ridges).reshape(-1)
        flat = points.reshape(-1, 3)[keep]
        scores = np.ones(depth.shape, np.float32)
        if named is not None:
            votes, scores = named.labels.copy(), named.scores
            masks = named.masks if masks is None else masks
            borders = _borders(votes) & ~ridges
        elif frame.labels is None and frame.detections:
            surfaces = surface_masks(points, normals, known)
            votes, of_box = self._paint(frame, stride, depth, surfaces, label_index)
            borders = np.zeros(depth.shape, bool)
            masks = of_box if masks is None else masks
        else:
            votes = self._votes(frame, stride, depth.shape, label_index)
            borders = _borders(votes) & ~ridges  # a thin thing is all border
        if frame.instances is not None:
            masks = frame.instances[stride // 2 :: stride, stride // 2 :: stride][:h, :w].astype(np.int32)
        # A mask that is a little too large bleeds on what lies behind: pixels just behind a depth edge abstain.
        behind = depth - nearest > 2 * depth_tolerance(depth)
        votes[(borders | behind) & (votes != NO_CLASS)] = NO_VOTE
        return Observation(
            stamp_ns=frame.stamp_ns,
            pose=frame.pose,
            intrinsics=k,
            depth=depth,
            near_depth=near_depth,
            reach=float(depth.max()),
            points=np.asarray(flat @ rotation.T + frame.pose[:3, 3].astype(np.float32), np.float32),
            normals=normals.reshape(-1, 3)[keep] @ rotation.T,
            colors=self._colors(frame.rgb, stride, (h, w)).reshape(-1, 3)[keep],
            labels=votes.reshape(-1)[keep],
            scores=scores.reshape(-1)[keep],
            instances=None if masks is None else np.where(behind, 0, masks).reshape(-1)[keep],
        )

    def _pixel_rays(self, k: Intrinsics) -> NDArray[np.float32]:
        if self._rays is None or self._rays[0] != k:
            self._rays = (k, pixel_rays(k))
        return self._rays[1]

    @staticmethod
    def _colors(rgb: NDArray[np.uint8] | None, stride: int, shape: tuple[int, int]) -> NDArray[np.float32]:
        h, w = shape
        if rgb is None:
            return np.zeros((h, w, 3), np.float32)
        cropped = rgb[: h * stride, : w * stride]
        return cv2.resize(cropped, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)

    @staticmethod
    def _votes(frame: Frame, stride: int, shape: tuple[int, int], label_index: Mapping[str, int]) -> NDArray[np.int32]:
        """(h, w) votes of the label image."""
        if frame.labels is None:
            return np.full(shape, NO_VOTE, np.int32)
        ids = frame.labels[stride // 2 :: stride, stride // 2 :: stride][: shape[0], : shape[1]]
        return _lookup(ids, frame.label_names, label_index)

    def _paint(
        self,
        frame: Frame,
        stride: int,
        depth: NDArray[np.float32],
        surfaces: NDArray[np.int32],
        label_index: Mapping[str, int],
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(h, w) votes and masks of the detections: the pixels of each box that lie on its object.

        Where boxes overlap, the smaller one wins: the chair at the desk, the mug on the table. A surface that mostly
        lies outside of a box is not the box's object: the wall behind it, the sofa in front of it.
        """
        votes, masks = np.full(depth.shape, NO_CLASS, np.int32), np.zeros(depth.shape, np.int32)
        detections, focal = frame.detections, frame.intrinsics.fx / stride
        h, w = depth.shape
        sizes = np.bincount(surfaces.reshape(-1))
        order = sorted(detections, key=lambda d: (-(d.right - d.left) * (d.bottom - d.top), d.label))
        for number, d in enumerate(order, start=1):
            index = label_index.get(d.label, NO_CLASS)
            if d.score < self._config.min_score or index == NO_CLASS:
                continue
            left, top = max(0, int(d.left / stride)), max(0, int(d.top / stride))
            right, bottom = min(w, int(np.ceil(d.right / stride))), min(h, int(np.ceil(d.bottom / stride)))
            window = depth[top:bottom, left:right]
            margin_v, margin_u = window.shape[0] // 4, window.shape[1] // 4
            surface = surfaces[top:bottom, left:right]
            within = np.bincount(surface.reshape(-1), minlength=len(sizes)) > _WITHIN * sizes
            within[0] = True  # in no surface
            own = np.where(within[surface], window, 0)
            inner = own[margin_v : window.shape[0] - margin_v, margin_u : window.shape[1] - margin_u]
            if not (inner > 0).any():  # a picture is one surface with its wall
                own = window
                inner = own[margin_v : window.shape[0] - margin_v, margin_u : window.shape[1] - margin_u]
            if not (inner > 0).any():
                continue
            # The object is what stands at the nearer part of the box's middle; what is farther shows past its outline.
            front = float(np.quantile(inner[inner > 0], 0.3))
            reach = 0.15 + 0.5 * min(window.shape) * front / focal
            on = (own > front - reach) & (own < front + reach)
            votes[top:bottom, left:right][on] = index
            masks[top:bottom, left:right][on] = number
        return votes, masks


def _lookup(ids: NDArray[np.integer], names: Mapping[int, str], label_index: Mapping[str, int]) -> NDArray[np.int32]:
    """Label ids -> vocabulary indices; ids without a name become NO_CLASS."""
    present = np.unique(ids)
    table = np.array([label_index.get(names.get(int(i), ""), NO_CLASS) for i in present], np.int32)
    return table[np.searchsorted(present, ids)]


def _borders(votes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels next to a pixel of another label."""
    out = np.zeros(votes.shape, bool)
    vertical, horizontal = votes[1:] != votes[:-1], votes[:, 1:] != votes[:, :-1]
    out[1:] |= vertical
    out[:-1] |= vertical
    out[:, 1:] |= horizontal
    out[:, :-1] |= horizontal
    return out

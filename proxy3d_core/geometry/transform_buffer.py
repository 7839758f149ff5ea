"""A time-stamped tree of transforms (as TF keeps it): interpolation, static transforms, bounded history."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transforms import check_rigid, invert

Array = NDArray[np.float64]


class TransformNotReady(LookupError):
    """The transform at that stamp may still come: wait for it."""


class TransformUnknown(LookupError):
    """There is no way between the two frames, or the stamp is too old."""


@dataclass
class _Edge:
    """History of one frame relative to its parent; ``stamps`` ascend. A static edge has one pose and no stamps."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[Array] = field(default_factory=list)
    suspect: tuple[int, Array] | None = None


class TransformBuffer:
    """Transforms between named frames over time. All methods are thread-safe and none of them waits.

    As in tf2, each frame has one parent; the pose between two stamps is interpolated (position linearly, rotation along
    the shortest arc); nothing is extrapolated.

    Args:
        history: how long transforms are kept, counted back from the newest of the same frame [s]; None = for ever.
        jump: a stamp further back than this [s] means that the clock jumped back (a bag that starts again): once the
            next stamp confirms it, the frame's history starts anew. A single stray stamp is ignored.
    """

    def __init__(self, history: float | None = 30.0, jump: float = 1.0) -> None:
        self._history_ns = None if history is None else int(history * 1e9)
        self._jump_ns = int(jump * 1e9)
        self._edges: dict[str, _Edge] = {}
        self._lock = threading.Lock()

    def add(self, parent: str, child: str, stamp_ns: int, parent_from_child: ArrayLike, static: bool = False) -> None:
        """Record the pose of ``child`` in ``parent``. Leading slashes of frame names are dropped, as tf2 does.

        A repeated stamp replaces the earlier pose; a child that appears under another parent moves there.

        Raises:
            BadInput: the transform is not rigid, or parent and child are the same.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        pose = check_rigid(parent_from_child, f"transform {parent} -> {child}")
        if not parent or not child or parent == child:
            raise BadInput(f"transform from {parent!r} to {child!r}: parent and child must be two named frames")
        with self._lock:
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent or edge.static != static:
                edge = self._edges[child] = _Edge(parent, static)
            if static:
                edge.poses = [pose]
            else:
                self._insert(edge, stamp_ns, pose)

    def _insert(self, edge: _Edge, stamp: int, pose: Array) -> None:
        if edge.stamps and stamp < edge.stamps[-1] - self._jump_ns:
            suspect, edge.suspect = edge.suspect, (stamp, pose)
            if suspect is None or not suspect[0] < stamp <= suspect[0] + self._jump_ns:
                return
            edge.stamps, edge.poses = [suspect[0]], [suspect[1]]
        edge.suspect = None
        at = bisect_left(edge.stamps, stamp)
        if at < len(edge.stamps) and edge.stamps[at] == stamp:
            edge.poses[at] = pose
            return
        edge.stamps.insert(at, stamp)
        edge.poses.insert(at, pose)
        if self._history_ns is not None:
            old = bisect_left(edge.stamps, edge.stamps[-1] - self._history_ns)
            del edge.stamps[:old], edge.poses[:old]

    def clear(self) -> None:
        """Forget everything but the static transforms (for a clock that jumped back)."""
        with self._lock:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.static}

    @property
    def frames(self) -> set[str]:
        """Names of all frames, parents included."""
        with self._lock:
            return set(self._edges) | {edge.parent for edge in self._edges.values()}

    def root(self, frame: str) -> str:
        """The frame at the top of the tree that ``frame`` is in; itself if it has no parent."""
        with self._lock:
            return self._to_root(frame.lstrip("/"))[-1]

    def lookup(self, target: str, source: str, stamp_ns: int | None = None) -> Array:
        """4x4 ``target_from_source`` at a stamp; None = the newest stamp that all transforms on the way have.

        Raises:
            TransformNotReady: a transform on the way ends before the stamp.
            TransformUnknown: no way between the frames, or the stamp lies before the recorded history.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        if target == source:
            return np.eye(4)
        with self._lock:
            up_source, up_target = self._to_root(source), self._to_root(target)
            common = next((frame for frame in up_source if frame in up_target), None)
            if common is None:
                known = ", ".join(sorted({*self._edges, *(e.parent for e in self._edges.values())})) or "none"
                raise TransformUnknown(f"no transform between {target!r} and {source!r}; frames in TF: {known}")
            source_way, target_way = up_source[: up_source.index(common)], up_target[: up_target.index(common)]
            if stamp_ns is None:
                newest = [e.stamps[-1] for f in source_way + target_way if not (e := self._edges[f]).static]
                stamp_ns = min(newest) if newest else 0
            common_from_source = self._chain(source_way, stamp_ns)
            common_from_target = self._chain(target_way, stamp_ns)
        return invert(common_from_target) @ common_from_source

    def _to_root(self, frame: str) -> list[str]:
        way = [frame]
        while (edge := self._edges.get(way[-1])) is not None and edge.parent not in way:
            way.append(edge.parent)
        return way

    def _chain(self, way: list[str], stamp_ns: int) -> Array:
        out = np.eye(4)
        for child in way:
            out = self._at(child, self._edges[child], stamp_ns) @ out
        return out

    @staticmethod
    def _at(child: str, edge: _Edge, stamp: int) -> Array:
        if edge.static:
            return edge.poses[0]
        stamps = edge.stamps
        if stamp > stamps[-1]:
            late = (stamp - stamps[-1]) / 1e9
            raise TransformNotReady(f"transform {edge.parent} -> {child} ends {late:.3f} s before the stamp asked for")
        if stamp < stamps[0]:
            early = (stamps[0] - stamp) / 1e9
            raise TransformUnknown(f"transform {edge.parent} -> {child} begins {early:.3f} s after the stamp asked for")
        at = bisect_left(stamps, stamp)
        if stamps[at] == stamp:
            return edge.poses[at]
        share = (stamp - stamps[at - 1]) / (stamps[at] - stamps[at - 1])
        return interpolate(edge.poses[at - 1], edge.poses[at], share)


def interpolate(first: ArrayLike, second: ArrayLike, share: float) -> Array:
    """Rigid transform between two: position linearly, rotation along the shortest arc (slerp); ``share`` in 0..1."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    out = np.eye(4)
    out[:3, 3] = (1 - share) * a[:3, 3] + share * b[:3, 3]
    turn = Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).as_rotvec()
    out[:3, :3] = a[:3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
    return out

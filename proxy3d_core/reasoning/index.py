"""A snapshot prepared for questions: arrays of boxes, objects by label, pair distances computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox, box_distances
from proxy3d_core.reasoning.lexicon import plain_label
from proxy3d_core.reasoning.relations import Boxes
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, SceneObject, Snapshot

Array = NDArray[np.float64]

ASKER_HEIGHT = 1.7
"""A person or robot is a vertical line of this height on the floor, metres: what hangs overhead or lies at the feet is
near."""


@dataclass(frozen=True, eq=False)
class Thing:
    """Something that an answer can speak of: an object of the scene (``index`` >= 0), a region prompt, or the asker
    (-1).
    """

    index: int
    label: str
    box: OrientedBox
    object: SceneObject | None = None

    @property
    def center(self) -> Array:
        """(3,) centre of the box."""
        return self.box.center


class SceneIndex:
    """What questions need of a snapshot. Built once per snapshot; pair distances are filled in when first needed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.things = tuple(Thing(i, o.label, o.box, o) for i, o in enumerate(snapshot.objects))
        self.labels = frozenset(o.label for o in snapshot.objects if o.label != UNKNOWN_LABEL)
        # Names of one word are common nouns or may be verbs ("stand"); those of several are known from here alone.
        self.names = self.labels | {name for name in snapshot.vocabulary if len(plain_label(name).split()) > 1}
        self.by_label: dict[str, list[Thing]] = {}
        for thing in self.things:
            self.by_label.setdefault(thing.label, []).append(thing)
        self._distances: dict[int, Array] = {}
        self._gaps: dict[int, Array] = {}

    @cached_property
    def boxes(self) -> Boxes:
        """All boxes as arrays."""
        return Boxes.of([t.box for t in self.things])

    def boxes_of(self, things: Sequence[Thing]) -> Boxes:
        """The boxes of some things as arrays."""
        if any(t.index < 0 for t in things):
            return Boxes.of([t.box for t in things])
        return self.boxes[[t.index for t in things]]

    @cached_property
    def floor(self) -> float:
        """Height of the floor: as the map found it, else the lowest box."""
        if self.snapshot.floor.height is not None:
            return self.snapshot.floor.height
        return float(np.quantile(self.boxes.bottom, 0.05)) if len(self.things) else 0.0

    @cached_property
    def bounds(self) -> tuple[OrientedBox, bool]:
        """The room's outline as a box around what is known, and whether it comes from the floor plan (else from the
        objects).
        """
        plan = self.snapshot.floor
        if plan.known.any():
            cells = np.argwhere(plan.known) * plan.cell + plan.origin + plan.cell / 2
            height = max(2.4, float(self.boxes.top.max(initial=self.floor)) - self.floor)
            points = np.column_stack([cells, np.full(len(cells), self.floor)])
            box = OrientedBox.around(points, trim=0.005)
            center = np.array([*box.center[:2], self.floor + height / 2])
            return OrientedBox(center, np.array([box.size[0], box.size[1], height]), box.rotation), True
        corners = np.concatenate([t.box.corners for t in self.things]) if self.things else np.zeros((1, 3))
        return OrientedBox.around(corners), False

    def distance(self, a: Thing, b: Thing) -> float:
        """Closest points of two boxes, metres."""
        return float(self.distances(a, [b])[0])

    def distances(self, a: Thing, others: Sequence[Thing]) -> Array:
        """Closest points of ``a`` and each of ``others``, (N,) metres; 0 where they touch or overlap."""
        return self._from(self._distances, a, others, self._box_distances)

    def gaps(self, a: Thing, others: Sequence[Thing]) -> Array:
        """The same on the floor plane: how far apart the outlines are, (N,) metres."""
        return self._from(
            self._gaps, a, others, lambda a, others: planar_distances(self.boxes_of([a]), self.boxes_of(others))
        )

    def _box_distances(self, a: Thing, others: Sequence[Thing]) -> Array:
        return _box_distances(self.boxes_of([a]), self.boxes_of(others), (a.box, [t.box for t in others]))

    def _from(
        self,
        rows: dict[int, Array],
        a: Thing,
        others: Sequence[Thing],
        compute: Callable[[Thing, Sequence[Thing]], Array],
    ) -> Array:
        """Values from the row of ``a``, which is computed for all things at once when first needed."""
        if not others:
            return np.zeros(0)
        if a.index < 0 or any(t.index < 0 for t in others):
            return compute(a, others)
        if a.index not in rows:
            rows[a.index] = compute(a, self.things)
        return rows[a.index][[t.index for t in others]]

    def asker(self, position: Array) -> Thing:
        """The asker at ``position``, as a vertical line on the floor."""
        foot = min(float(position[2]), self.floor)
        center = np.array([position[0], position[1], foot + ASKER_HEIGHT / 2])
        return Thing(-1, "me", OrientedBox(center, np.array([0.0, 0.0, ASKER_HEIGHT]), np.eye(3)))

    def present(self, things: Iterable[Thing]) -> list[Thing]:
        """Those that are there now."""
        return [t for t in things if t.object is None or t.object.present]


def _box_distances(a: Boxes, others: Boxes, pairs: tuple[OrientedBox, Sequence[OrientedBox]]) -> Array:
    """(N,) closest points; boxes with a vertical axis by plane and height apart, which is exact and fast, others in
    general.
    """
    tilted = (np.abs(others.rotation[:, 2]).max(axis=1) < _UPRIGHT) | (np.abs(a.rotation[:, 2]).max(axis=1) < _UPRIGHT)
    vertical = np.maximum.reduce([others.bottom - a.top, a.bottom - others.top, np.zeros(len(tilted))])
    out = np.hypot(planar_distances(a, others), vertical)
    if tilted.any():
        box, boxes = pairs
        out[tilted] = box_distances([box] * int(tilted.sum()), [b for b, t in zip(boxes, tilted, strict=True) if t])
    return out


_UPRIGHT = 1 - 1e-7
"""Cosine to the vertical from which an axis counts as vertical."""
_CORNERS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])


def planar_distances(box: Boxes, others: Boxes) -> Array:
    """(N,) distances of the outlines of one box and of each of ``others`` on the floor plane, 0 where they touch or
    overlap.

    The outline is the rectangle of the two flatter box axes. Two disjoint rectangles are closest at a corner of one of
    them; they overlap
    if no axis of either separates them.
    """
    ca, ha, ra = _rectangles(box)
    cb, hb, rb = _rectangles(others)
    corners_a = ca[:, None] + (_CORNERS * ha[:, None]) @ ra.transpose(0, 2, 1)
    corners_b = cb[:, None] + (_CORNERS * hb[:, None]) @ rb.transpose(0, 2, 1)
    a_in_b = (corners_a - cb[:, None]) @ rb
    b_in_a = (corners_b - ca[:, None]) @ ra
    to_b = np.maximum(np.abs(a_in_b) - hb[:, None], 0)
    to_a = np.maximum(np.abs(b_in_a) - ha[:, None], 0)
    best = np.minimum(np.linalg.norm(to_b, axis=-1).min(axis=1), np.linalg.norm(to_a, axis=-1).min(axis=1))
    apart = (
        (a_in_b.min(axis=1) > hb) | (a_in_b.max(axis=1) < -hb) | (b_in_a.min(axis=1) > ha) | (b_in_a.max(axis=1) < -ha)
    )
    return np.where(apart.any(axis=1), best, 0.0)


def _rectangles(boxes: Boxes) -> tuple[Array, Array, Array]:
    """Outlines on the floor plane: centres (N, 2), half edges (N, 2), axes as columns (N, 2, 2)."""
    vertical = np.abs(boxes.rotation[:, 2]).argmax(axis=1)
    first, second = np.where(vertical == 0, 1, 0), np.where(vertical == 2, 1, 2)
    rows = np.arange(len(vertical))
    x = boxes.rotation[rows, :2, first]
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    axes = np.stack([x, np.column_stack([-x[:, 1], x[:, 0]])], axis=-1)
    return boxes.center[:, :2], np.column_stack([boxes.size[rows, first], boxes.size[rows, second]]) / 2, axes

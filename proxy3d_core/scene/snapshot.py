"""An immutable picture of the scene: answers, markers, clouds and prompts are all made from one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox

UNKNOWN_LABEL = "object"
"""Label of an object that no semantics has named yet."""

BACKGROUND, FLOOR, WALL, CEILING, PENDING = -1, -2, -3, -4, -5
"""Groups of voxels and proxies that belong to no object. PENDING: too new to tell; BACKGROUND: none of the others."""

_UNNAMED_CERTAINTY = 0.7


class ObjectState(Enum):
    """Whether an object still is where the map says."""

    PRESENT = "present"
    MOVED = "moved"  # present at ``box``; it stood at ``previous_boxes[-1]`` before
    GONE = "gone"  # its last place was seen empty


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object of the scene.

    Attributes:
        id: stable and never reused.
        label: the name with most votes, lower case, or ``object``.
        score: confidence in the label, 0..1.
        box: tight box in the fixed frame (the last known one if gone), around the whole thing as far as its kind and
            what was seen of it tell (``completion``).
        votes: share of each label among the votes.
        color: mean colour (r, g, b), 0..255, or None.
        state: present, moved or gone.
        first_seen_ns, last_seen_ns: stamps.
        observations: in how many frames it was seen.
        previous_boxes: where it stood before it was moved, oldest first.
        named_by_user: the label was given through ``label_object``.
    """

    id: int
    label: str
    score: float
    box: OrientedBox
    votes: Mapping[str, float] = field(default_factory=dict)
    color: tuple[float, float, float] | None = None
    state: ObjectState = ObjectState.PRESENT
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    observations: int = 1
    previous_boxes: tuple[OrientedBox, ...] = ()
    named_by_user: bool = False

    @property
    def certainty(self) -> float:
        """Probability that it is what it is called. A thing without a name is called an object, which it likely is."""
        return self.score if self.label != UNKNOWN_LABEL else _UNNAMED_CERTAINTY

    @property
    def present(self) -> bool:
        """True unless it is gone."""
        return self.state is not ObjectState.GONE


@dataclass(frozen=True, eq=False)
class ProxySet:
    """The 3D proxies of a scene (Proxy3D, Eq. 3): K rows.

    Attributes:
        positions: (K, 3) float32, fixed frame, metres.
        features: (K, C) float32 mean features.
        weights: (K,) float32, how much was averaged.
        extents: (K,) float32, root-mean-square radius, metres.
        groups: (K,) int64 object id; of what is no object BACKGROUND, FLOOR, WALL, CEILING or PENDING, all negative.
    """

    positions: NDArray[np.float32]
    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    extents: NDArray[np.float32]
    groups: NDArray[np.int64]

    @classmethod
    def empty(cls, channels: int = 0) -> ProxySet:
        """No proxies."""
        zero = np.zeros(0, np.float32)
        return cls(np.zeros((0, 3), np.float32), np.zeros((0, channels), np.float32), zero, zero, np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class FloorPlan:
    """What is known of the floor and the free space over it.

    Attributes:
        height: z of the floor, metres, or None if not seen yet.
        area: floor area of the room in square metres, or None if unknown.
        cell: edge of a grid cell, metres.
        origin: (2,) x, y of the corner of cell (0, 0).
        free: (nx, ny) bool, True where a robot can stand: floor seen and nothing above it up to its height.
        known: (nx, ny) bool, True where anything was seen.
    """

    height: float | None = None
    area: float | None = None
    cell: float = 0.1
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    free: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    known: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The scene at one moment.

    Attributes:
        stamp_ns: stamp of the newest frame in it.
        epoch: number of the map; a reset or a load begins a new one.
        frame_id: the fixed frame (z up).
        objects: all known objects by id, gone ones included.
        proxies: the 3D proxies.
        floor: floor and free space.
        robot_pose: 4x4 ``fixed_from_robot`` (x forward, z up) at ``stamp_ns``, or None.
        frames: how many frames the map was made from.
        vocabulary: names that the semantics can give; a class in it that has no object is absent. Empty = not known.
        complete: False if the room holds things that are left out here (an annotation of some classes only).
        scale_uncertainty: relative standard deviation of all lengths together (``Frame``); 0 = measured by a sensor.
    """

    stamp_ns: int = 0
    epoch: int = 0
    frame_id: str = "map"
    objects: tuple[SceneObject, ...] = ()
    proxies: ProxySet = field(default_factory=ProxySet.empty)
    floor: FloorPlan = field(default_factory=FloorPlan)
    robot_pose: NDArray[np.float64] | None = None
    frames: int = 0
    vocabulary: frozenset[str] = frozenset()
    complete: bool = True
    scale_uncertainty: float = 0.0

    @cached_property
    def present(self) -> tuple[SceneObject, ...]:
        """The objects that are there now."""
        return tuple(o for o in self.objects if o.present)

    @cached_property
    def by_id(self) -> Mapping[int, SceneObject]:
        """Objects by id."""
        return {o.id: o for o in self.objects}

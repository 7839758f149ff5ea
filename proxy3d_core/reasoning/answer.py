"""What a question is and what an answer says; shared by all answerers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import Snapshot


class Status(IntEnum):
    """Outcome of a question; the numbers are those of proxy3d_ros/srv/AskSpatial."""

    OK = 0
    NO_SCENE = 1
    NOT_FOUND = 2
    AMBIGUOUS = 3
    NOT_UNDERSTOOD = 4
    TIMEOUT = 5
    MODEL_UNAVAILABLE = 6
    TF_ERROR = 7


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """Where the asker stands and looks, in the snapshot's fixed frame.

    Attributes:
        position: (3,) metres.
        facing: (3,) unit vector; its part on the floor plane decides left and right.
    """

    position: NDArray[np.float64]
    facing: NDArray[np.float64]

    @classmethod
    def from_pose(cls, pose: NDArray[np.float64]) -> Viewpoint:
        """From a 4x4 ``fixed_from_body`` with x forward (REP-103)."""
        return cls(np.array(pose[:3, 3]), np.array(pose[:3, 0]))


@dataclass(frozen=True, eq=False)
class Question:
    """A question as it was asked.

    Attributes:
        text: the words; options of a multiple choice stand in the text or in ``options``.
        viewpoint: a stated viewpoint; None = what the words say, else the robot's own.
        options: answers to choose from, such as ``("A. left", "B. right")``.
        regions: 3D boxes that ``Region [i]`` in the text points at (region prompts; 2D ones are lifted before).
        robot: where the robot is now, if that is known better than by ``Snapshot.robot_pose``.
    """

    text: str
    viewpoint: Viewpoint | None = None
    options: tuple[str, ...] = ()
    regions: tuple[OrientedBox, ...] = ()
    robot: Viewpoint | None = None


@dataclass(frozen=True)
class Answer:
    """An answer with its evidence.

    Attributes:
        status: outcome.
        text: the answer in words ("4", "1.35 m", "left", "B", "Yes"); empty unless OK.
        value: the number, if the answer is one.
        unit: ``m``, ``cm``, ``m^2``, ``deg``, ``count``, ``s`` or empty.
        uncertainty: one standard deviation of ``value``, in ``unit``.
        confidence: probability that the answer is right, 0..1.
        object_ids: the objects that the answer rests on; the one asked for first.
        message: why there is no answer, or what to know about it.
        program: the question as it was understood.
        answerer: who gave it: ``geometric`` or ``vlm``.
        latency_ms: time it took.
        understood: how sure the reading of the question is, 0..1, answered or not (geometric only).
    """

    status: Status
    text: str = ""
    value: float | None = None
    unit: str = ""
    uncertainty: float | None = None
    confidence: float = 0.0
    object_ids: tuple[int, ...] = ()
    message: str = ""
    program: str = ""
    answerer: str = "geometric"
    latency_ms: float = 0.0
    understood: float = 0.0


class Answerer(Protocol):
    """Anything that answers questions about a snapshot; never raises on a bad question."""

    name: str

    def answer(self, question: Question, snapshot: Snapshot) -> Answer:
        """Answer, or say with a status why not."""
        ...

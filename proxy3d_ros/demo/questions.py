"""The demo's questions; what is right follows from the true boxes by arithmetic that the answerer has no part in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proxy3d_ros.demo import true_box

Array = NDArray[np.float64]


class Reply(Protocol):
    """What is looked at in an answer."""

    @property
    def answer(self) -> str:
        """In words."""

    @property
    def value(self) -> float | None:
        """The number, if it is one."""

    @property
    def unit(self) -> str:
        """Unit of the number."""


@dataclass(frozen=True)
class DemoQuestion:
    """A question and how to tell whether an answer is right.

    Attributes:
        kind: what it shows.
        text: the question.
        truth: the right answer, in words.
        is_right: judges an answer that the node gave with status OK.
        viewpoint: where the asker stands and looks: x, y [m], yaw [rad]; None = the robot's own pose.
        history: asks what was, not what is; a model that reads the scene of one moment cannot know.
    """

    kind: str
    text: str
    truth: str
    is_right: Callable[[Reply], bool]
    viewpoint: tuple[float, float, float] | None = None
    history: bool = False


def demo_questions(truth: dict[str, Any]) -> list[DemoQuestion]:
    """Twelve questions of different kinds about the demo room."""
    everything = truth["objects"]

    def all_of(label: str) -> list[dict[str, Any]]:
        return [o for o in everything if o["label"] == label]

    def one(label: str) -> dict[str, Any]:
        (found,) = all_of(label)
        return found

    chairs = len(all_of("chair"))
    gap = _gap(one("sofa"), one("tv"))
    table = max(one("dining table")["size"]) * 100
    area = truth["room"]["area"]
    moved = next(o for o in everything if "moved" in o)
    way = float(np.linalg.norm(np.subtract(moved["moved"]["to"]["center"][:2], moved["moved"]["from"]["center"][:2])))

    standing, toward, asked = one("door"), one("tv"), one("bookshelf")
    side = "left" if _turn(standing["center"], toward["center"], asked["center"]) > 0 else "right"

    me = (5.0, 3.9, float(np.deg2rad(-90)))
    heading = [me[0] + np.cos(me[2]), me[1] + np.sin(me[2]), 0]
    beside_me = "left" if _turn([me[0], me[1], 0], heading, one("tv")["center"]) > 0 else "right"

    choices = ("tv", "trash can", "armchair", "box")
    letters = dict(zip("ABCD", choices, strict=True))
    nearest = min(letters, key=lambda letter: _gap(one(letters[letter]), one("refrigerator")))
    on_table = sorted(o["label"] for o in everything if _stands_on(o, one("coffee table")))
    taller = max(("bookshelf", "refrigerator"), key=lambda label: one(label)["size"][2])
    order = sorted(("potted plant", "refrigerator", "bookshelf"), key=lambda label: one(label)["first_seen"])

    return [
        DemoQuestion("counting", "How many chairs are there?", str(chairs), _number(chairs, 0)),
        DemoQuestion(
            "distance", "How far is the sofa from the tv?", f"{gap:.2f} m", _number(gap, max(0.15, 0.1 * gap))
        ),
        DemoQuestion(
            "size", "How long is the dining table in centimetres?", f"{table:.0f} cm", _number(table, 0.1 * table)
        ),
        DemoQuestion(
            "room size", "How big is this room in square metres?", f"{area:.1f} m^2", _number(area, 0.15 * area)
        ),
        DemoQuestion("existence", "Is there a bed in this room?", "no", _says("no")),
        DemoQuestion(
            "direction",
            "I stand at the door facing the tv. Is the bookshelf on my left or my right?",
            side,
            _side(side),
        ),
        DemoQuestion("direction from a given pose", "Is the tv to my left or right?", beside_me, _side(beside_me), me),
        DemoQuestion(
            "nearest of four",
            "Which is closest to the refrigerator? " + " ".join(f"{k}. {v}" for k, v in letters.items()),
            f"{nearest} ({letters[nearest]})",
            lambda reply: reply.answer.strip()[:1] == nearest,
        ),
        DemoQuestion("support", "What is on the coffee table?", " and ".join(on_table), _says(*on_table)),
        DemoQuestion("comparison", "Which is taller, the bookshelf or the refrigerator?", taller, _says(taller)),
        DemoQuestion(
            "order",
            f"Which did you see first, the {order[1]} or the {order[0]}?",
            order[0],
            _says(order[0]),
            history=True,
        ),
        DemoQuestion("change", "What has been moved?", moved["label"], _says(moved["label"]), history=True),
        DemoQuestion(
            "change, measured",
            f"How far was the {moved['label']} moved?",
            f"{way:.2f} m",
            _number(way, max(0.15, 0.05 * way)),
            history=True,
        ),
    ]


def _says(*words: str) -> Callable[[Reply], bool]:
    """All of these words are said."""
    return lambda reply: all(re.search(rf"\b{word}\b", reply.answer.lower()) for word in words)


def _side(side: str) -> Callable[[Reply], bool]:
    """This side is said, and not the other one too."""
    other = {"left": "right", "right": "left"}[side]
    return lambda reply: _says(side)(reply) and not _says(other)(reply)


def _number(value: float, tolerance: float) -> Callable[[Reply], bool]:
    return lambda reply: reply.value is not None and abs(reply.value - value) <= tolerance


def _turn(at: list[float], toward: list[float], what: list[float]) -> float:
    """Above 0 if ``what`` is to the left of somebody at ``at`` who faces ``toward`` (floor plane)."""
    a, b = np.subtract(toward, at), np.subtract(what, at)
    return float(a[0] * b[1] - a[1] * b[0])


def _gap(first: dict[str, Any], second: dict[str, Any], steps: int = 24) -> float:
    """Shortest distance of two boxes, from points spread over their surfaces [m]."""
    line = np.linspace(-0.5, 0.5, steps)
    faces = [
        np.insert(np.array(np.meshgrid(line, line)).reshape(2, -1).T, axis, side, axis=1)
        for axis in range(3)
        for side in (-0.5, 0.5)
    ]
    unit = np.concatenate(faces)

    def surface(entry: dict[str, Any]) -> Array:
        box = true_box(entry)
        return box.center + (unit * box.size) @ box.rotation.T

    return float(cKDTree(surface(first)).query(surface(second))[0].min())


def _stands_on(upper: dict[str, Any], lower: dict[str, Any]) -> bool:
    top = lower["center"][2] + lower["size"][2] / 2
    bottom = upper["center"][2] - upper["size"][2] / 2
    return abs(bottom - top) < 0.02 and bool(true_box(lower).contains([*upper["center"][:2], lower["center"][2]])[0])

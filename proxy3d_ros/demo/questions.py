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
    """Questions of different kinds about the demo room, on things that a small vision model can name.

    The room holds more (a speaker, curtains, what stands on the tables) that it misses or takes for something else; how
    much of that there is in other rooms, ``proxy3d eval sim`` tells.
    """
    everything = truth["objects"]

    def all_of(label: str) -> list[dict[str, Any]]:
        return [o for o in everything if o["label"] == label]

    def one(label: str) -> dict[str, Any]:
        (found,) = all_of(label)
        return found

    def center(label: str) -> list[float]:
        return list(one(label)["box"]["center"])

    def edges(label: str) -> list[float]:
        return list(one(label)["box"]["size"])

    sofas, windows = len(all_of("sofa")), len(all_of("window"))
    far, near = _gap(one("sofa"), one("tv")), _gap(one("coffee table"), one("tv"))
    table = max(edges("coffee table")[:2]) * 100
    area = sum(room["area"] for room in truth["rooms"])
    side = "left" if _turn(center("tv"), center("sofa"), center("cabinet")) > 0 else "right"

    me = (2.5, 2.5, float(np.deg2rad(90)))
    heading = [me[0] + np.cos(me[2]), me[1] + np.sin(me[2]), 0]
    beside_me = "left" if _turn([me[0], me[1], 0], heading, center("tv")) > 0 else "right"

    choices = ("tv", "coffee table", "cabinet", "tv stand")
    letters = dict(zip("ABCD", choices, strict=True))
    nearest = min(letters, key=lambda letter: _gap(one(letters[letter]), one("sofa")))
    on_stand = sorted(o["label"] for o in everything if o["support"] == one("tv stand")["id"])
    longer = max(("sofa", "cabinet"), key=lambda label: max(edges(label)[:2]))
    first, second = sorted(("sofa", "cabinet"), key=lambda label: one(label)["first_seen"])
    added = {change["object"] for change in truth["changes"] if change["kind"] == "added"}
    (new,) = (o["label"] for o in everything if o["id"] in added)  # brought while the robot looked elsewhere
    plants = len(all_of(new))

    return [
        DemoQuestion("counting", "How many sofas are there?", str(sofas), _number(sofas, 0)),
        DemoQuestion("counting", "How many windows are there?", str(windows), _number(windows, 0)),
        DemoQuestion(
            "distance", "How far is the sofa from the tv?", f"{far:.2f} m", _number(far, max(0.15, 0.1 * far))
        ),
        DemoQuestion(
            "distance",
            "How far is the coffee table from the tv?",
            f"{near:.2f} m",
            _number(near, max(0.15, 0.1 * near)),
        ),
        DemoQuestion(
            "size", "How long is the coffee table in centimetres?", f"{table:.0f} cm", _number(table, 0.1 * table)
        ),
        DemoQuestion(
            "room size", "How big is this room in square metres?", f"{area:.1f} m^2", _number(area, 0.15 * area)
        ),
        DemoQuestion("existence", "Is there a bed in this room?", "no", _says("no")),
        DemoQuestion(
            "direction", "I stand at the tv facing the sofa. Is the cabinet on my left or my right?", side, _side(side)
        ),
        DemoQuestion("direction from a given pose", "Is the tv to my left or right?", beside_me, _side(beside_me), me),
        DemoQuestion(
            "nearest of four",
            "Which is closest to the sofa? " + " ".join(f"{k}. {v}" for k, v in letters.items()),
            f"{nearest} ({letters[nearest]})",
            lambda reply: reply.answer.strip()[:1] == nearest,
        ),
        DemoQuestion(
            "support", "What is on the tv stand?", " and ".join(on_stand), _says(*on_stand, besides="tv stand")
        ),
        DemoQuestion("comparison", "Which is longer, the sofa or the cabinet?", longer, _says(longer)),
        DemoQuestion(
            "order", f"Which did you see first, the {second} or the {first}?", first, _says(first), history=True
        ),
        DemoQuestion("counting what came", f"How many {new}s are there?", str(plants), _number(plants, 0)),
    ]


def _says(*words: str, besides: str = "") -> Callable[[Reply], bool]:
    """All of these words are said, not counting where they are part of what the question names (``besides``)."""

    def right(reply: Reply) -> bool:
        said = reply.answer.lower().replace(besides, " ") if besides else reply.answer.lower()
        return all(re.search(rf"\b{word}\b", said) for word in words)

    return right


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

"""Questions as the model reads them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from seen_room import REFERENCES, room

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.reasoning.answer import Question, Status, Viewpoint
from proxy3d_core.vlm.situation import asks_for_viewpoint, situation
from proxy3d_core.vlm.wording import LETTER, MEASURE, SHORT, Unaskable, Wording, worded


def word(text: str, **fields: object) -> Wording:
    return worded(Question(text, **fields), room(), REFERENCES)  # type: ignore[arg-type]


def looking(x: float, y: float, degrees: float) -> Viewpoint:
    turn = math.radians(degrees)
    return Viewpoint(np.array([x, y, 0.0]), np.array([math.cos(turn), math.sin(turn), 0.0]))


def test_short_answers_are_asked_for_where_training_does() -> None:
    """The texts of SpaceSpan's families, as training/docs/spacespan.md has them."""
    for typed in ("How many  chairs are\nthere?", "how many chairs are there", "HOW MANY CHAIRS ARE THERE?"):
        assert word(typed).text == f"How many chairs are there? {SHORT}"
    for plain in (
        "Find the object described by 'the kettle' and answer with its ID.",
        "Which is taller, <OBJ000> or <OBJ001>?",
        "Describe the object <OBJ001> in appearance and then in its relation to others.",
    ):
        assert word(plain).text == plain


def test_options_come_in_lines_with_letters() -> None:
    expected = f"What is nearest to the desk?\nOptions:\nA. chair\nB. window\n{LETTER}"
    assert word("What is nearest to the desk?", options=("chair", "window")).text == expected
    assert word("What is nearest to the desk? A. chair B. window").text == expected
    assert [o.letter for o in word("What is it?", options=("chair", "window")).options] == ["A", "B"]


@pytest.mark.parametrize(
    ("text", "depends"),
    [
        ("What is on my left?", True),
        ("Which chair is closest to me?", True),
        ("Is there a table behind?", True),
        ("What is in front?", True),
        ("What is to the left of the desk?", False),
        ("How many chairs are there?", False),
        ("If I am standing by the bench and facing the stove, is the bowl on my left?", False),
        ("I sit on the sofa and look toward the window. What is on my left?", False),
        ("How high is the ceiling?", False),
    ],
)
def test_when_a_viewpoint_is_needed(text: str, depends: bool) -> None:
    assert asks_for_viewpoint(text) is depends


@pytest.mark.parametrize(
    ("viewpoint", "said"),
    [
        # the desk spans x 0.4..1.6, y 0.3..0.9; the window is straight ahead of its front edge
        (looking(0.9, 0.1, 0), "I am standing by the desk, facing the window."),
        # of two chairs neither can be called "the chair"
        (looking(-1.0, 0.5, -90), "I am sitting on the <OBJ002>, facing the <OBJ003>."),
        (looking(-1.6, 0.5, 0), "I am standing by the <OBJ002>, facing the desk."),
        (looking(0.9, 0.1, 90), None),  # at the desk, looking at nothing but the desk
        (looking(-1.0, 4.5, -90), None),  # nothing within reach
    ],
)
def test_situations(viewpoint: Viewpoint, said: str | None) -> None:
    assert situation(viewpoint, room(), REFERENCES) == said


def test_the_stated_viewpoint_goes_before_the_robots() -> None:
    stated, robot = looking(0.9, 0.1, 0), looking(-1.0, 0.5, -90)
    asked = word("What is on my left?", viewpoint=stated, robot=robot).text
    assert asked == f"I am standing by the desk, facing the window. What is on my left? {SHORT}"
    assert word("What is on my left?", robot=robot).text.startswith("I am sitting on the <OBJ002>")
    with pytest.raises(Unaskable, match="say in words where you stand") as nothing_there:
        word("What is on my left?", viewpoint=looking(-1.0, 4.5, 0))
    assert nothing_there.value.status is Status.NOT_FOUND


def test_regions_become_the_objects_that_they_show() -> None:
    boxes = {o.id: o.box for o in room().objects}
    near = OrientedBox.from_yaw(boxes[13].center + np.array([0.05, 0, 0]), boxes[13].size)
    asked = word("Is Region [1] taller than Region [0]?", regions=(boxes[12], near))
    assert asked.text == f"Is <OBJ002> taller than <OBJ001>? {SHORT}" and asked.regions == (1, 2)
    with pytest.raises(Unaskable, match=r"Region \[0\] is no object of the map"):
        word("What is Region [0]?", regions=(OrientedBox.from_yaw((0, -2, 0.3), (0.2, 0.2, 0.2)),))
    with pytest.raises(Unaskable, match=r"names Region \[2\], but there are 1 regions"):
        word("What is Region [2]?", regions=(boxes[12],))


def test_objects_are_named_as_answers_name_them() -> None:
    asked = word("Which is taller, the chair (13) or chair 14?").text
    assert asked == "Which is taller, <OBJ002> or <OBJ003>?"
    assert word("Which is it?", options=("Object 11", "the window (12)")).text.splitlines()[2:4] == [
        "A. <OBJ000>",
        "B. <OBJ001>",
    ]
    for other in ("Is the desk (13) on the floor?", "Is the chair 13 m away?", "Is the chair (133) there?"):
        assert word(other).text == f"{other} {SHORT}"


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ("How far is the desk from the window?", "How far is the desk from the window, in meters?"),
        ("How far apart are they in metres?", "How far apart are they in meters?"),
        ("How big is this room?", "How big is this room, in square meters?"),
        ("how long is the desk in centimetres", "How long is the desk in centimeters?"),
        ("What is the height of the desk?", "What is the height of the desk, in centimeters?"),
        ("How tall is the desk in m?", "How tall is the desk in m?"),
        ("How far is the 2 m wide desk from the window?", "How far is the 2 m wide desk from the window, in meters?"),
    ],
)
def test_what_is_measured_has_a_unit(asked: str, read: str) -> None:
    """A model that learned VSI-Bench's questions knows numbers by the unit that is asked for."""
    assert word(asked).text == f"{read} {MEASURE}" and word(asked).question == read


@pytest.mark.parametrize(
    "asked",
    [
        "Is the distance from the desk to the window larger than 2 m?",
        "Does the height of the desk exceed one meter?",
        "What is at a distance of 2 m from the desk?",
    ],
)
def test_a_question_that_only_compares_a_measure_wants_no_unit(asked: str) -> None:
    assert word(asked).text == f"{asked} {SHORT}"


def test_nothing_is_asked() -> None:
    with pytest.raises(Unaskable, match="the question is empty"):
        word("  ")

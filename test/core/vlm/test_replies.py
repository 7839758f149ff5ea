"""What a model says, read as an answer."""

from __future__ import annotations

import pytest
from seen_room import REFERENCES, room

from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.choices import Option
from proxy3d_core.vlm.replies import Heard, heard
from proxy3d_core.vlm.wording import Wording


def hear(reply: str, question: str = "What is on the desk?", **fields: object) -> Heard:
    return heard(reply, Wording(question, question, **fields), room(), REFERENCES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "text", "ids", "kind"),
    [
        ("<OBJ002>.", "the chair (13)", (13,), "id"),
        ("<OBJ003> and <OBJ002>.", "the chair (14) and the chair (13)", (14, 13), "id"),
        ("Yes. <OBJ000>, <OBJ001>, and <OBJ002>.", "Yes. the desk (11), the window (12), and the chair (13).",
         (11, 12, 13), "id"),
        ("<OBJ000> is a desk.", "the desk (11) is a desk", (11,), "text"),
        ("No.", "No", (), "text"),
        ("On the kitchen counter.", "On the kitchen counter", (), "text"),
        ("(3.11, 1.39, 0.28).", "(3.11, 1.39, 0.28).", (), "text"),
    ],
)  # fmt: skip
def test_markers_become_objects(reply: str, text: str, ids: tuple[int, ...], kind: str) -> None:
    found = hear(reply)
    assert (found.status, found.text, found.object_ids, found.kind, found.kept) == (Status.OK, text, ids, kind, 1.0)


@pytest.mark.parametrize(
    ("reply", "text", "kept"),
    [
        ("<OBJ002>, <OBJ077>, and <OBJ003>.", "the chair (13), and the chair (14)", 2 / 3),
        ("<OBJ077> and <OBJ002>.", "the chair (13)", 1 / 2),
        ("<OBJ002> and <OBJ077>.", "the chair (13)", 1 / 2),
    ],
)
def test_markers_of_nothing_are_left_out_and_cost_confidence(reply: str, text: str, kept: float) -> None:
    found = hear(reply)
    assert (found.text, found.kept) == (text, kept) and "not there" in found.message


def test_only_markers_of_nothing_are_no_answer() -> None:
    assert hear("<OBJ077>.").status is hear("<OBJ098> and <OBJ099>").status is Status.NOT_FOUND


@pytest.mark.parametrize(
    ("question", "reply", "text", "value", "unit"),
    [
        ("How many chairs are there?", "Four.", "4", 4, "count"),
        ("What is the number of potted plants in this room?", "3", "3", 3, "count"),
        ("How far is the bin from the door?", "3.28", "3.28 m", 3.28, "m"),
        ("How far is the bin from the door?", "2.5 meters.", "2.5 m", 2.5, "m"),
        ("How many centimeters does the longest side of the stool measure?", "56", "56 cm", 56, "cm"),
        ("What is the longest dimension of the mirror in centimeters?", "70", "70 cm", 70, "cm"),
        ("How large is this room, in square meters?", "26.1", "26.1 m^2", 26.1, "m^2"),
        ("What is the size of this room (in square meters)?", "34.5", "34.5 m^2", 34.5, "m^2"),
        ("What is the z coordinate of <OBJ042> in meters?", "-0.94", "-0.94 m", -0.94, "m"),
        ("How wide is the desk?", "40 cm", "40 cm", 40, "cm"),
        ("What is 1 plus 1?", "2", "2", 2, ""),
    ],
)
def test_numbers_have_the_unit_that_was_asked_for(
    question: str, reply: str, text: str, value: float, unit: str
) -> None:
    found = hear(reply, question)
    assert (found.text, found.value, found.unit, found.kind) == (text, value, unit, "number")


def test_words_with_numbers_in_them_are_no_numbers() -> None:
    assert hear("One of 3", "How many?").value is None
    assert hear("Two.", "Which is on the table?").value is None


OPTIONS = (Option("A", "left"), Option("B", "tv stand"), Option("C", "3"))


@pytest.mark.parametrize(
    ("reply", "letter"),
    [("B", "B"), ("B.", "B"), ("(B)", "B"), ("B. tv stand", "B"), ("Tv stand.", "B"), ("3", "C"), ("Left.", "A")],
)
def test_options_by_letter_or_text(reply: str, letter: str) -> None:
    found = hear(reply, options=OPTIONS)
    assert (found.status, found.text, found.kind) == (Status.OK, letter, "choice")
    assert found.message.startswith(f"{letter} is ")


def test_of_a_comparison_the_best_is_chosen() -> None:
    """What was named before the marker of the best one, whatever the last words and the letter are."""
    first = "left<OBJ001><OBJ000>2.0>2.0<OBJ001> tv stand<OBJ003><OBJ000>1.1>1.1<OBJ003>"
    steps = f"{first} left<OBJ002><OBJ000>3.0>1.1<OBJ003>"
    for end in (" left", " tv stand", ""):
        assert hear(f"[{steps}{end}] C", options=OPTIONS).text == "B"


def test_of_orders_of_first_sight_the_nearest_to_that_of_the_markers_is_chosen() -> None:
    """Desk 0, window 1, chair 2; neither the words at the end nor the letter count."""
    orders = (
        Option("A", "chair, desk, window"),
        Option("B", "Desk, window, chair"),
        Option("C", "desk, chair, window"),
    )
    asked, order = "In which order do these appear: desk, chair, window?", "desk<OBJ000> chair<OBJ002> window<OBJ001>"
    for end in ("", "; desk, chair, window"):
        assert hear(f"[{order}{end}] C", asked, options=orders).text == "B"
    assert hear(f"[{order}] A", asked, options=(orders[0], orders[2])).text == "C"  # one pair is wrong of it, two of A
    assert hear("[desk<OBJ000>] C", asked, options=orders).text == "C"  # not all are there
    assert hear(f"[{order}] C", "Which row is it?", options=orders).text == "C"  # of time nothing is asked
    one_each = (Option("A", "chair"), Option("B", "desk"))
    assert hear("[chair<OBJ002> desk<OBJ000>; desk] B", "Which appears first?", options=one_each).text == "B"


@pytest.mark.parametrize("reply", ["D", "behind", "Because it is nearest."])
def test_what_is_no_option_is_no_answer(reply: str) -> None:
    found = hear(reply, options=OPTIONS)
    assert found.status is Status.NOT_FOUND and "none of the options" in found.message


def test_regions_are_named_as_they_were_asked() -> None:
    assert hear("<OBJ002>.", "Which is bigger, <OBJ000> or <OBJ002>?", regions=(0, 2)).text == "Region [1]"


def test_silence_is_no_answer() -> None:
    assert hear("").status is hear(" \n").status is Status.NOT_FOUND


def test_what_an_answer_rests_on_is_its_evidence() -> None:
    """Objects before the answer are not part of it, but come with it; those that are not there say nothing."""
    found = hear("[<OBJ001><OBJ077><OBJ002>] 2.5", "How far is the window from the chair, in meters?")
    assert (found.text, found.value, found.unit, found.kind, found.object_ids) == (
        "2.5 m",
        2.5,
        "m",
        "number",
        (12, 13),
    )
    assert hear("[<OBJ000>] <OBJ002>.").object_ids == (13, 11)
    assert hear("[<OBJ000>]").status is Status.NOT_FOUND


def test_what_an_answer_was_worked_out_from_is_told() -> None:
    """Distances, sizes, and directions of one who stands at a thing and faces another, in turns to the left."""
    nearer = hear("[<OBJ000><OBJ002>1.4<OBJ000><OBJ077>2.6] <OBJ002>.", "Which is closer?")
    assert nearer.text == "the chair (13)" and nearer.object_ids == (13, 11)
    assert nearer.message == "worked out from: desk (11) to chair (13) 1.4 m, desk (11) to something 2.6 m"
    turned = hear("[<OBJ000><OBJ001>@045<OBJ000><OBJ002>@315@270<OBJ000><OBJ003>@060@015] Two.", "How many chairs?")
    assert turned.message == (
        "worked out from: desk (11) to window (12) ahead, desk (11) to chair (13) 90 degrees to the right, "
        "desk (11) to chair (14) 15 degrees to the left"
    )
    options = (Option("A", "chair"), Option("B", "office chair"), Option("C", "front-left"))
    chosen = hear("[<OBJ000><OBJ001>1.4 office chair] A", options=options)
    assert (chosen.text, chosen.kind, chosen.object_ids) == ("B", "choice", (11, 12))  # its words, not its letter
    assert hear("[<OBJ000><OBJ001>1.4] A", options=options).text == "A"
    assert hear("[<OBJ000><OBJ001>@045<OBJ000><OBJ002>@060@015 front-left]", options=options).text == "C"
    taller = hear("[<OBJ000>0.7<OBJ002>0.9 chair] <OBJ002>.", "Which is taller?")
    assert taller.message == "worked out from: desk (11) 0.7 m, chair (13) 0.9 m"

"""Several things at once, viewpoints told in words, what is in reach: answers on the room computed by hand."""

from __future__ import annotations

import pytest
from answer_room import room, thing

from proxy3d_core.reasoning.answer import Question, Status
from proxy3d_core.reasoning.geometric import GeometricAnswerer

ANSWERER = GeometricAnswerer()


def ask(text, snapshot=None):
    return ANSWERER.answer(Question(text), room() if snapshot is None else snapshot)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        # The sofa is 0.9 x 2.0 m: its broad sides look along x. The door's look along y.
        ("Does the sofa face the table?", "Yes"),
        ("Does the door face the sofa?", "No"),
        ("Is the table across from the sofa?", "Yes"),
        ("Is the plant opposite the sofa?", "No"),
        # Both chairs are 0.9 m high; the sofa 0.8 m and the lamp 1.6 m.
        ("Are the chairs the same height?", "Yes"),
        ("Do the sofa and the lamp have the same height?", "No"),
        ("Are both chairs at the same table?", "Yes"),
        ("Are the mug and the lamp on the same table?", "No"),
        ("Are the door and the plant on the same side of me?", "No"),
        ("Rank the sofa, the mug and the lamp by height, tallest first", "lamp, sofa, mug"),
        # 1.55 m, 1.75 m and 2.4 m from the robot in the origin.
        ("Sort the door, the sofa and the mug by how far they are from me", "sofa, mug, door"),
        ("How many more chairs than sofas are there?", "1"),
        ("Are there enough chairs for three people?", "No"),
        ("Is the number of sofas the same as the number of doors?", "Yes"),
        # The chairs stand 0.25 m from the table, the TV 1.0 m.
        ("Which things are within arm's reach of the table?", "mug, 2 chairs"),
        ("Can I reach the mug without moving?", "No"),
        # From the door the room's middle lies along -y, so the sofa at -x is on the right.
        ("As I come in through the door, is the sofa on my right?", "Yes"),
        ("As I come in through the door and look at the sofa, is the lamp on my right?", "Yes"),
        ("I lost the mug. Where is it?", "on the dining table, 1.8 m ahead"),
        ("There is a chair by the mug. No, I mean a lamp. Is there a cat?", "No"),
        ("What is on the table besides the mug?", "nothing"),
        ("Is the sofa further from the door than from the lamp?", "Yes"),
    ],
)
def test_answer(question, answer):
    result = ask(question)
    assert (result.status, result.text) == (Status.OK, answer), result


def test_colors_that_are_not_known_are_not_compared():
    assert ask("Do the chairs have the same color?").status is Status.NOT_FOUND


def test_one_object_listed_twice_makes_a_count_unsure():
    """Two chairs that share most of their volume may be one."""
    scene = room()
    double = thing(20, "chair", (2.05, 0.9, 0.45), (0.5, 0.5, 0.9))
    crowded = room(objects=(*scene.objects, double))
    assert ask("How many chairs are there?").confidence > 0.9
    assert ask("How many chairs are there?", crowded).confidence < 0.5
    assert ask("How many sofas are there?", crowded).confidence > 0.9


def test_of_two_questions_one_is_answered_and_the_other_named():
    result = ask("How many chairs are there? How many doors are there?")
    assert result.text == "2"
    assert result.confidence <= 0.5
    assert "how many doors" in result.message


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("Is the sofa comfy?", "comfy"),
        ("How heavy is the sofa?", "heavy"),
        ("Who owns the mug?", "owns"),
        ("Why is the lamp there?", "why"),
        ("Is the door locked?", "locked"),
        ("Does the lamp work?", "work"),
        ("What brand is the tv?", "brand"),
        ("What material is the table made of?", "material"),
        ("How do you spell chair?", "spell"),
        ("Tell me a joke", "joke"),
        ("Translate chair to French", "translate"),
        ("What is the wifi password?", "wifi password"),
        ("How much did the sofa cost?", "cost"),
        ("chair chair chair", "chair"),
        ("the of and to", "the of and to"),
        ("Should I buy a new sofa?", "buy"),
        ("pick up the mug", ""),
    ],
)
def test_what_no_map_knows_is_named(question, part):
    result = ask(question)
    assert result.status is Status.NOT_UNDERSTOOD, result
    assert part in result.message


@pytest.mark.parametrize(
    "question", ["Where is the flurbel?", "Is the gizmo bigger than the sofa?", "How tall is the piano?"]
)
def test_what_is_not_there_is_not_guessed(question):
    assert ask(question).status is Status.NOT_FOUND

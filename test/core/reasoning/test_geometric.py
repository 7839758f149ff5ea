"""Answers on a room computed by hand (see answer_room: the robot stands in the origin and faces +x, left is +y)."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path

import numpy as np
import pytest
from answer_room import room, thing

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.reasoning.answer import Question, Status, Viewpoint
from proxy3d_core.reasoning.geometric import GeometricAnswerer
from proxy3d_core.reasoning.relations import way
from proxy3d_core.reasoning.spelling import corrected
from proxy3d_core.scene.snapshot import Snapshot

WORDINGS = Path(__file__).with_name("wordings.jsonl")
LETTER = "Answer with the option's letter from the given choices directly."
ANSWERER = GeometricAnswerer()


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return room()


def ask(text, snapshot, **fields):
    return ANSWERER.answer(Question(text, **fields), snapshot)


@pytest.mark.parametrize(
    ("question", "answer", "ids"),
    [
        ("How many chairs are there?", "2", {1, 2}),
        ("How many chairs are at the dining table?", "2", {1, 2}),
        ("How many seats are to my left?", "1", {1}),
        ("How many things are on the table?", "1", {7}),
        ("Are there more chairs than sofas?", "Yes", {1, 2, 4}),
        ("Is the number of chairs odd or even?", "even", {1, 2}),
        ("Is there a sofa?", "Yes", {4}),
        ("Is there a mug on the table?", "Yes", {7}),
        ("Is there a chair behind me?", "No", set()),
        ("Is the mug on the table?", "Yes", {7, 3}),
        ("Is the lamp on the table?", "No", {6, 3}),
        ("Is the mug under the table?", "No", {7, 3}),
        ("Is the sofa behind me?", "Yes", {4}),
        ("Is the plant in the corner?", "Yes", {10}),
        ("Is the sofa bigger than the mug?", "Yes", {4, 7}),
        ("Is the lamp taller than the sofa?", "Yes", {6, 4}),
        ("Is the door to my left or to my right?", "left", {8}),
        ("Is the sofa in front of me or behind me?", "behind", {4}),
        ("Which side of me is the plant on?", "right", {10}),
        ("Which way should I go to get to the sofa?", "backward", {4}),
        ("At which clock position is the door?", "9 o'clock", {8}),
        ("What is on the table?", "mug", {7}),
        ("What is behind me?", "sofa, lamp", {4, 6}),
        ("What is between the sofa and the table?", "nothing", set()),
        ("What is on the sofa?", "nothing", set()),
        ("What happened to the backpack?", "gone", {9}),
        ("What happened to the lamp?", "moved", {6}),
        ("What happened to the plant?", "new", {10}),
        ("What has happened to the sofa?", "unchanged", {4}),
        # 2.75 m apart.
        ("Would a 60 cm wide robot fit between the sofa and the table?", "Yes", {3, 4}),
        ("Could I squeeze between the sofa and the table if I'm 3 m wide?", "No", {3, 4}),
        # Within 15 degrees of +x; the chairs begin at atan(0.65 / 2.25) = 16.
        ("What is directly in front of me?", "dining table, mug", {3, 7}),
        # From the origin, looking to -y: -x is to the right.
        ("With my back to the door, is the sofa on the left or right?", "right", {4}),
        ("Was the tv seen before the lamp?", "Yes", {5}),
        ("The table is [A] red [B] brown", "B", {3}),
        ("What's the biggest of these? [A] mug [B] sofa [C] lamp", "B", {4}),
        ("What is the nearest object to me?", "dining table", {3}),
        ("Which chair is closest to the tv?", "chair at (2.00, 0.90, 0.45)", {1}),
        ("Which chair is red?", "chair at (2.00, -0.90, 0.45)", {2}),
        ("What is the tallest object?", "door", {8}),
        ("Which is bigger, the sofa or the table?", "sofa", {4, 3}),
        ("Which is closer to the door, the lamp or the tv?", "lamp", {6, 5}),
        ("In what order did you see the lamp, the sofa and the table?", "table, sofa, lamp", {3, 4, 6}),
        ("Which did you see first, the sofa or the lamp?", "sofa", {4, 6}),
        ("What has moved?", "lamp", {6}),
        ("What is missing?", "backpack", {9}),
        ("What is new?", "plant", {10}),
        ("Has the lamp been moved?", "Yes", {6}),
        ("Has the sofa been moved?", "No", {4}),
        ("Is the backpack still there?", "No", {9}),
        ("What color is the table?", "brown", {3}),
        ("Where is the red chair?", None, {2}),
        ("Is there a chair within 1 m of the mug?", "Yes", {1}),
    ],
)
def test_words(snapshot, question, answer, ids):
    got = ask(question, snapshot)
    if answer is None and not ids:
        assert got.status is Status.NOT_FOUND
        return
    assert got.status is Status.OK, got
    if answer is not None:
        assert got.text == answer
    assert ids <= set(got.object_ids), got
    assert got.program and 0 < got.confidence <= 1


def test_edges_of_the_room(snapshot):
    assert ask("How long is the room?", snapshot).value == pytest.approx(6, abs=0.15)
    assert ask("How wide is this room?", snapshot).value == pytest.approx(5, abs=0.15)
    assert ask("How high is the room?", snapshot).status is Status.NOT_FOUND


def test_slips_are_corrected_and_told(snapshot):
    got = ask("How many chiars are there?", snapshot)
    assert got.text == "2"
    assert "'chiars' read as 'chairs'" in got.message
    assert got.confidence < ask("How many chairs are there?", snapshot).confidence


@pytest.mark.parametrize("word", ["folded", "planet", "tank", "wooden", "hair"])
def test_what_is_no_slip_is_not_corrected(word):
    assert corrected(word, frozenset({"plant", "chair", "folder"})) == word


@pytest.mark.parametrize(
    ("angle", "side"), [(0, "front"), (29, "front"), (-35, "right"), (144, "left"), (-170, "back")]
)
def test_ways_to_go(angle, side):
    assert way(angle)[0] == side


@pytest.mark.parametrize(
    ("question", "value", "unit"),
    [
        # Table edge at y = 0.4, chair edge at 0.65.
        ("What is the distance between the dining table and the nearest chair?", 0.25, "m"),
        ("How far is the dining table from the nearest chair in cm?", 25, "cm"),
        # Sofa edge at x = -1.55, table edge at 1.2.
        ("How far apart are the sofa and the table?", 2.75, "m"),
        ("How many feet are there between the sofa and the table?", 2.75 / 0.3048, "ft"),
        ("How far away is the sofa?", 1.55, "m"),
        ("How big is the sofa?", 2.0, "m"),
        ("What is the size of the sofa in inches?", 2.0 / 0.0254, "in"),
        ("How tall is the lamp?", 1.6, "m"),
        ("How wide is the table?", 0.8, "m"),
        ("How long is the table?", 1.6, "m"),
        ("How deep is the sofa?", 0.9, "m"),
        ("What is the area of the table?", 1.28, "m^2"),
        ("What is the volume of the table?", 0.96, "m^3"),
        ("How high above the floor is the tv?", 0.85, "m"),
        ("How much taller is the lamp than the sofa?", 0.8, "m"),
        ("How big is the room?", 30.0, "m^2"),
        ("How big is the room in square feet?", 30.0 / 0.3048**2, "ft^2"),
        ("How tall is the lamp? In cm.", 160, "cm"),
        ("sofa to table distance", 2.75, "m"),
        ("How far was the lamp moved?", 3.0, "m"),
        ("How long ago did you see the backpack?", 30.0, "s"),
        ("When did you first see the sofa?", 44.0, "s"),
        ("How many degrees do I have to turn to face the door?", 90.0, "deg"),
    ],
)
def test_numbers(snapshot, question, value, unit):
    got = ask(question, snapshot)
    assert got.status is Status.OK, got
    assert got.value == pytest.approx(value, rel=1e-6)
    assert got.unit == unit
    assert got.uncertainty is not None and got.uncertainty > 0


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        # By the sofa (-2, 0) facing the table (+x): the lamp (-2, 1.5) is 90 degrees left, the plant (2.7, -2.2) right.
        ("If I am standing by the sofa and facing the table, is the plant to my left or right?", "right"),
        ("I stand at the sofa and face the table. Is the lamp to my left, right, or back?", "left"),
        (
            "If I am standing by the table and facing the tv, is the sofa to my front-left, front-right, back-left, "
            "or back-right?",
            "back-left",
        ),
        ("With my back to the sofa, is the door on my left or my right?", "left"),
        ("Is the door on my left or right if I stand by the table and face the sofa?", "right"),
        ("If I turn around, is the door on my left or my right?", "right"),
        ("Is the chair closest to the door left or right of the table?", "left"),
    ],
)  # fmt: skip
def test_stated_viewpoints(snapshot, question, answer):
    assert ask(question, snapshot).text == answer


def test_a_given_viewpoint_beats_the_robots_and_the_told_situation(snapshot):
    view = Viewpoint(np.array([0.0, 0.0, 0.0]), np.array([-1.0, 0.0, 0.0]))
    assert ask("Is the door on my left or my right?", snapshot, viewpoint=view).text == "right"
    told = "I am standing at the sofa facing the table. Is the sofa in front of me or behind me?"
    assert ask(told, snapshot, viewpoint=view).text == "front"


def test_no_viewpoint_is_ambiguous_only_where_one_is_needed(snapshot):
    still = room(robot_pose=None)
    assert ask("What is on my left?", still).status is Status.AMBIGUOUS
    assert ask("How many chairs are there?", still).text == "2"


@pytest.mark.parametrize(
    ("question", "options", "letter"),
    [
        ("Which of these objects is closest to the door?", ("A. sofa", "B. tv", "C. table", "D. lamp"), "D"),
        ("How many chairs are there?", ("A. 1", "B. 2", "C. 3"), "B"),
        ("Is the door to my left or right? Options: A) left B) right", (), "A"),
        (f"Is the door to my left or right?\n(A) right\n(B) left\n{LETTER}", (), "B"),
        ("How far is the sofa from the table?", ("0.5 m", "1.5 m", "2.8 m", "4 m"), "C"),
        ("What will be the first-time appearance order of the following categories in the video: sofa, lamp, table?",
         ("A. sofa, lamp, table", "B. table, sofa, lamp", "C. lamp, table, sofa"), "B"),
    ],
)  # fmt: skip
def test_multiple_choice(snapshot, question, options, letter):
    assert ask(question, snapshot, options=options).text == letter


def test_route_with_blanks(snapshot):
    text = (
        "You are a robot beginning at the sofa and facing the table. You want to navigate to the tv. You will perform "
        "the following actions (Note: for each [please fill in], choose either 'turn back,' 'turn left,' or "
        "'turn right.'): 1. Go forward until the table 2. [please fill in] 3. Go forward until the tv. You have "
        "reached the final destination."
    )
    # From the sofa (-2, 0) to the table (2, 0), then to the tv (2.9, 2): a turn of atan2(2, 0.9) = 66 degrees left.
    got = ask(text, snapshot, options=("A. Turn Back", "B. Turn Right", "C. Turn Left"))
    assert (got.text, got.program) == ("C", "route(tv, go(table), turn?, go(tv)) from at(sofa), facing(table)")


def test_route_over_free_floor(snapshot):
    got = ask("How do I get to the plant?", snapshot)
    assert got.status is Status.OK and got.text.endswith("to the plant")
    assert got.value > math.dist((0, 0), (2.7, -2.2)) - 1.2  # no shorter than the straight line to where one can stand
    assert ask("Can I get to the plant?", snapshot).text == "Yes"


def test_regions(snapshot):
    regions = (OrientedBox.from_yaw((-2, 0, 0.4), (1, 2, 0.8)), OrientedBox.from_yaw((2, 0, 0.4), (1.6, 0.8, 0.8)))
    assert ask("What is Region [0]?", snapshot, regions=regions).text == "sofa"
    assert ask("How far is Region [0] from Region [1]?", snapshot, regions=regions).value == pytest.approx(2.7)
    assert ask("How tall is Region [7]?", snapshot, regions=regions).status is Status.NOT_FOUND


@pytest.mark.parametrize(
    ("question", "status", "part"),
    [
        ("", Status.NOT_UNDERSTOOD, "empty"),
        ("   ?! ", Status.NOT_UNDERSTOOD, ""),
        ("Why is the sky blue over Berlin?", Status.NOT_UNDERSTOOD, "sky"),
        ("Wie viele Stühle stehen am Tisch?", Status.NOT_UNDERSTOOD, ""),
        ("椅子は何脚ありますか？", Status.NOT_UNDERSTOOD, ""),
        ("x" * 100_000, Status.NOT_UNDERSTOOD, "characters"),
        ("Where is the sofaa bed thing of yore?", Status.NOT_UNDERSTOOD, "yore"),
        ("Where is the flux capacitor?", Status.NOT_FOUND, "flux capacitor"),
        ("Where is the chair?", Status.AMBIGUOUS, "2 objects"),
        ("How far is the sofa from the chair?", Status.AMBIGUOUS, "chair"),
        ("How tall is the wooden chair?", Status.AMBIGUOUS, "wooden"),
    ],
)
def test_honest_statuses(snapshot, question, status, part):
    got = ask(question, snapshot)
    assert got.status is status, got
    assert part in got.message and got.message
    assert got.text == "" and got.value is None
    if status is Status.AMBIGUOUS:
        assert set(got.object_ids) == {1, 2}


def test_absent_classes(snapshot):
    """No elephant: sure if the semantics know elephants, unsure if unknown, no answer if they cannot name one."""
    unknown = ask("How many elephants are there?", snapshot)
    sure = ask("How many elephants are there?", room(vocabulary=frozenset({"chair", "elephant"})))
    assert (unknown.text, sure.text) == ("0", "0") and unknown.confidence <= 0.5 < sure.confidence
    assert ask("How many elephants are there?", room(vocabulary=frozenset({"chair"}))).status is Status.NOT_FOUND


def test_guesses_can_be_refused(snapshot):
    question = Question("How many elephants are there?")
    sure = GeometricAnswerer(min_confidence=0.6)
    assert sure.answer(question, snapshot).status is Status.NOT_FOUND
    assert "0" in sure.answer(question, snapshot).message
    assert sure.answer(Question("How many chairs are there?"), snapshot).text == "2"


def test_what_an_annotation_leaves_out_is_not_answered(snapshot):
    """Boxes of some classes only: what else stands on the table is not known."""
    partly = room(complete=False)
    assert ask("What is on the table?", partly).status is Status.NOT_FOUND
    assert ask("Is the mug on the table?", partly).text == "Yes"
    assert ask("What is on the table?", snapshot).text == "mug"


def test_no_scene():
    assert ask("How many chairs are there?", Snapshot()).status is Status.NO_SCENE


def test_close_calls_are_less_sure(snapshot):
    """Two chairs at nearly the same distance from the table: which is nearer is a guess; far apart, it is certain."""

    def confidence(y):
        second = thing(2, "stool", (2.0, y, 0.45), (0.5, 0.5, 0.9))
        objects = tuple(second if o.id == 2 else o for o in snapshot.objects)
        return ask("Which is closer to the table, the chair or the stool?", room(objects=objects)).confidence

    assert confidence(-0.91) < 0.7 < 0.95 < confidence(-1.8)


def test_threads_share_an_answerer(snapshot):
    wrong = []

    def work():
        for _ in range(20):
            if ask("How far is the sofa from the table?", snapshot).text != "2.8 m":
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_answers_are_deterministic(snapshot):
    questions = [json.loads(line)["text"] for line in WORDINGS.read_text().splitlines()][::7]
    first = [ask(q, snapshot) for q in questions]
    again = [GeometricAnswerer().answer(Question(q), snapshot) for q in questions]
    assert [(a.text, a.object_ids, a.confidence) for a in first] == [
        (a.text, a.object_ids, a.confidence) for a in again
    ]

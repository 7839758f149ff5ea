"""What is said before an answer: distances and directions of boxes placed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from proxy3d_training.data.prepared import Seen
from proxy3d_training.data.schema import (
    Box,
    ChoiceAnswer,
    IdAnswer,
    NumberAnswer,
    Sample,
    Scene,
    Situation,
    TextAnswer,
    Thing,
)
from proxy3d_training.train.batches import dealt
from proxy3d_training.train.working import as_seen, rests_on, workable, worked_out, working

PLACES = {  # marker: label, centre, size; yaw 0
    1: ("sofa", (0, 0, 0.5), (1, 1, 1)),
    2: ("tv", (4, 0, 0.5), (1, 1, 1)),
    3: ("lamp", (0, 3, 0.5), (1, 1, 1)),
    4: ("chair", (-2, -2, 0.5), (1, 1, 1)),
    5: ("chair", (3, 3, 0.5), (1, 1, 1)),
    6: ("mug", (4, 0, 1.1), (0.2, 0.2, 0.2)),
}


def thing(marker: int | None, label: str = "") -> Thing:
    if marker is None:
        return Thing(id=99, label=label)
    label, center, size = PLACES[marker]
    return Thing(id=marker, marker=marker, label=label, box=Box(center=center, size=size))


def sample(kind: str, question: str, markers: list[int | None], **more: Any) -> Sample:
    fields: dict[str, Any] = {
        "answer": TextAnswer(text="Yes.", references=("yes",)),
        "objects": tuple(thing(marker, "plant") for marker in markers),
        **more,
    }
    return Sample(
        id="s", source="Simulated", family="SQA3D", kind=kind, split="train", question=question,
        scene=Scene(dataset="simulated", name="room", space="room"), **fields,
    )  # fmt: skip


def named(marker: int) -> str:
    return f"<OBJ{marker:03d}>"


def test_compared_distances_are_said_one_by_one_as_they_are_read() -> None:
    """Unit boxes whose centres are 4 m and 3 m apart have gaps of 3 m and 2 m; that at (3, 3) one of 2.83 m."""
    options = ("A. tv", "B. lamp", "C. chair")
    question = "Which of these objects (tv, lamp, chair) is nearest to the sofa?"
    asked = sample(
        "object_rel_distance", question, [4, 2, 5, 3, 1], options=options, answer=ChoiceAnswer(text="C", letter="C")
    )
    steps = [("tv", 2, "3.0>3.0", 2), ("lamp", 3, "2.0>2.0", 3), ("chair", 4, "1.4>1.4", 4), ("chair", 5, "2.8>1.4", 4)]
    said = [f"{label}{named(m)}{named(1)}{gaps}{named(best)}" for label, m, gaps, best in steps]
    assert working(asked) == " ".join(said) + "; chair"
    other = working(dealt(asked, np.arange(100)[::-1]))
    assert other.index(named(94)) < other.index(named(95))  # of one category in the order of their markers
    assert other.startswith(f"tv{named(97)}{named(98)}3.0>3.0{named(97)} lamp{named(96)}{named(98)}2.0>2.0{named(96)}")


def test_symbols_are_as_far_apart_as_their_centres() -> None:
    asked = sample("centers_apart", "How far apart are <OBJ001> and <OBJ002>?", [1, 2, 3], view="symbols")
    assert working(asked) == "<OBJ001><OBJ002>4.0"
    closer = sample("closer_of", "Which is closer to <OBJ001>, <OBJ002> or <OBJ003>?", [1, 2, 3, 4], view="symbols")
    assert working(closer) == "<OBJ001><OBJ002>4.0<OBJ001><OBJ003>3.0"
    near = sample("closer", "Of <OBJ003> and <OBJ002>, which one is nearer to <OBJ001>?", [3, 2, 1])
    assert working(near) == "<OBJ001><OBJ003>2.0<OBJ001><OBJ002>3.0"
    on = sample("is_on", "Is <OBJ006> on <OBJ002>?", [6, 2])
    assert working(on) == "<OBJ006><OBJ002>0.0"


@pytest.mark.parametrize(("yaw", "faced", "ways"), [(0, 0, (90, 225, 45)), (math.pi / 2, 90, (180, 315, 135))])
def test_directions_are_ways_in_the_scene_and_turns_from_what_is_faced(
    yaw: float, faced: int, ways: tuple[int, ...]
) -> None:
    """From the origin, facing along x: the lamp is to the left; turns stay what they are when the room is turned."""
    situation = Situation(text="I sit on the sofa and look toward the tv.")
    left = sample("situated_left_right", "Is the lamp to my left or right?", [3, 1, 2], situation=situation)
    ahead = f"<OBJ001><OBJ002>@{faced:03d}"
    assert working(left, yaw) == f"sofa<OBJ001> tv<OBJ002> lamp<OBJ003>{ahead}<OBJ001><OBJ003>@{ways[0]:03d}@090"
    count = sample("situated_count", "How many chairs are behind me?", [4, 5, 1, 2], situation=situation)
    introduced = "sofa<OBJ001> tv<OBJ002> chair<OBJ004> chair<OBJ005>"
    steps = f"{ahead}<OBJ001><OBJ004>@{ways[1]:03d}@2251<OBJ001><OBJ005>@{ways[2]:03d}@045"
    assert working(count, yaw) == introduced + steps
    side = sample("side_of", "Standing at <OBJ001> and facing <OBJ002>, is <OBJ003> on the left?", [3, 1, 2])
    assert f"sofa<OBJ001> tv<OBJ002> lamp<OBJ003>{working(side, yaw)}" == working(left, yaw)
    nearer = sample("situated_closer", "What is closer to me, the lamp or the tv?", [3, 2, 1, 5], situation=situation)
    said = "lamp<OBJ003><OBJ001>2.0>2.0<OBJ003> tv<OBJ002><OBJ001>3.0>2.0<OBJ003>"
    assert working(nearer, yaw) == said  # as near, however one looks


def test_sizes_are_said_before_they_are_compared() -> None:
    taller = sample("taller", "Which is taller, <OBJ006> or <OBJ001>?", [1, 6])
    assert working(taller) == "<OBJ006>0.2<OBJ001>1.0"
    wardrobe = thing(1).model_copy(update={"box": Box(center=(0, 0, 1), size=(1, 0.5, 2))})
    bigger = sample("bigger", "Of <OBJ002> and <OBJ001>, which one is larger?", [2, 1])
    assert working(bigger.model_copy(update={"objects": (thing(2), wardrobe)})) == "<OBJ002>1.0<OBJ001>1.0"  # cubic
    longest = sample("object_size_estimation", "How long is the longest side of the wardrobe, in centimeters?", [])
    assert working(longest.model_copy(update={"objects": (wardrobe,)})) == "sofa<OBJ001>2.0"


def test_what_is_measured_by_name_is_named_first() -> None:
    """In the order of the question; who sits on the sofa and faces the tv has the lamp 90 degrees to the left."""
    far = sample("object_abs_distance", "What is the distance between the tv and the sofa?", [1, 2])
    assert working(far) == "tv<OBJ002> sofa<OBJ001><OBJ001><OBJ002>3.0"
    asked = "If I stand by the sofa and face the tv, is the lamp to my left or to my right?"
    options = {"options": ("A. left", "B. right"), "answer": ChoiceAnswer(text="A", letter="A")}
    left = sample("object_rel_direction_easy", asked, [3, 1, 2], **options)
    steps = "<OBJ001><OBJ002>@000<OBJ001><OBJ003>@090@090"
    assert working(left) == f"sofa<OBJ001> tv<OBJ002> lamp<OBJ003>{steps}; left"
    lost = left.model_copy(update={"objects": (thing(None, "plant"), *left.objects[1:])})
    assert working(lost) == "<OBJ002><OBJ001>; left"  # what is left to rest on


def test_descriptions_by_distance_compare_all_of_the_name() -> None:
    question = 'Which object fits the description "the chair closest to the tv"? Give its ID.'
    found = sample(
        "grounding_multiple", question, [5, 4, 2], description="the chair closest to the tv",
        answer=IdAnswer(text="<OBJ005>.", objects=(5,)),
    )  # fmt: skip
    far = f"{math.hypot(5, 1):.1f}"
    assert working(found) == f"chair<OBJ004><OBJ002>{far}>{far}<OBJ004> chair<OBJ005><OBJ002>2.0>2.0<OBJ005>"
    assert workable(found)
    farthest = found.model_copy(update={"description": "the chair farthest from the tv"})
    assert working(farthest) == f"chair<OBJ004><OBJ002>{far}>{far}<OBJ004> chair<OBJ005><OBJ002>2.0>{far}<OBJ004>"
    assert not workable(farthest)  # where they are, another one is the farthest than the answer says
    near = found.model_copy(update={"description": "the chair near the tv"})
    assert working(near) == f"chair<OBJ004><OBJ002>{far} chair<OBJ005><OBJ002>2.0"  # nothing is chosen
    plain = found.model_copy(update={"description": "the green chair"})
    assert working(plain) == "<OBJ002><OBJ004>"  # what it rests on, nothing measured


def test_of_a_route_each_turn_is_said() -> None:
    """From the sofa along x to the tv, back to the chair at (3, 3), which is 108 degrees left of that, on to the lamp,
    72 degrees more: 15-degree steps make 0, 105, 180 and turns of 105 and 75."""
    asked = sample(
        "route_planning", "From the sofa, facing the tv, go to the tv, the chair, and the lamp.", [3, 1, 2, 5],
        options=("A. Turn Left, Turn Left", "B. Turn Right, Turn Left"), answer=ChoiceAnswer(text="A", letter="A"),
    )  # fmt: skip
    stops = "sofa<OBJ001> tv<OBJ002> chair<OBJ005> lamp<OBJ003>"
    legs = "<OBJ001><OBJ002>@000<OBJ002><OBJ005>@105@105<OBJ005><OBJ003>@180@075"
    assert working(asked) == f"{stops}{legs}; Turn Left, Turn Left" and workable(asked)
    assert not workable(asked.model_copy(update={"objects": (*asked.objects[:3], thing(None, "plant"))}))


def test_what_is_counted_is_numbered() -> None:
    chairs = sample("count", "How many chairs are there?", [5, 4])
    assert working(chairs) == "chair<OBJ004>1 chair<OBJ005>2" and workable(chairs)
    on = sample("count_on", "How many chairs are on the tv?", [4, 5, 2])
    assert working(on) == "<OBJ002> chair<OBJ004>1 chair<OBJ005>2"
    assert not workable(sample("count", "How many plants are there?", [4, None]))
    both = IdAnswer(text="<OBJ004> and <OBJ005>.", objects=(4, 5))
    assert working(sample("find_category", "Find all chairs.", [5, 4], answer=both)) == working(chairs)
    question = 'Is "chairs" true of some objects here? If yes, give each ID.'
    any_ = sample("grounding_any", question, [5, 4], answer=both, description="chairs")
    assert working(any_) == working(chairs)
    assert working(any_.model_copy(update={"description": "red chairs"})) == ""  # of which it is not said which are red
    nothing = IdAnswer(text="No.", objects=())
    assert working(sample("grounding_any", question, [], answer=nothing, description="chairs")) == ""


def test_what_stands_by_is_only_asked_where_it_is_plain() -> None:
    """One of two chairs is behind who sits on the sofa and faces the tv, the other 45 degrees to the left."""
    for kind, answer, right in (
        ("situated_count", "1", True), ("situated_count", "2", False), ("situated_parity", "odd", True),
        ("situated_is", "no", False), ("situated_is", "yes", True),
    ):  # fmt: skip
        given = TextAnswer(text=answer, references=(answer,))
        assert workable(sample(kind, "How about chairs behind me?", [4, 5, 1, 2], answer=given)) == right


@pytest.mark.parametrize(("kind", "marker", "answer", "right"), [
    ("situated_side", 3, "left", True), ("situated_side", 3, "front", False),
    ("situated_way", 3, "left", True), ("situated_way", 3, "backward", False),
    ("situated_left_right", 3, "left", True), ("situated_left_right", 3, "right", False),
    ("situated_left_right", 5, "left", True), ("situated_side", 5, "left", False), ("situated_side", 5, "front", False),
])  # fmt: skip
def test_a_side_is_only_asked_where_it_is_plain(kind: str, marker: int, answer: str, right: bool) -> None:
    """From the sofa, facing the tv, the lamp is 90 degrees to the left, a chair 45: left as well as ahead."""
    given = TextAnswer(text=f"{answer.title()}.", references=(answer,))
    assert workable(sample(kind, "Where is it?", [marker, 1, 2], answer=given)) == right


def test_a_longest_side_is_as_exact_as_it_is_worked_out() -> None:
    shelf = thing(1).model_copy(update={"box": Box(center=(0, 0, 1), size=(0.2, 0.5, 1.43))})
    asked = sample("object_size_estimation", "How long is the longest side of the shelf, in centimeters?", [])
    asked = asked.model_copy(update={"objects": (shelf,), "answer": NumberAnswer(text="143", value=143, unit="cm")})
    assert worked_out(asked) == "[sofa<OBJ001>1.4] 140"
    unseen = shelf.model_copy(update={"marker": None, "box": None})
    assert worked_out(asked.model_copy(update={"objects": (unseen,)})) == "143"


def test_the_area_is_the_one_that_is_told() -> None:
    given = NumberAnswer(text="23.1", value=23.1, unit="m^2")
    asked = sample("room_size_estimation", "How large is this room, in square meters?", [], answer=given)
    told = as_seen(asked, [], 22.66)
    assert told is not None and told.answer.text == "22.7" and workable(told)
    assert as_seen(asked, [], None) == asked


def test_a_floor_is_worked_out_from_the_square_as_large() -> None:
    """4.8 m x 4.8 m = 23.04 m^2, the nearest in tenths: 4.7 m are 22.09, 4.9 m 24.01."""
    given = NumberAnswer(text="23.1", value=23.1, unit="m^2")
    asked = sample("room_size_estimation", "How large is this room, in square meters?", [], answer=given)
    assert worked_out(asked) == "[4.8] 23.0"


def seen(marker: int, label: str, x: float) -> Seen:
    return Seen(marker, marker, label, 1.0, Box(center=(x, 0, 0.5), size=(1, 1, 1)), "present")


def test_a_map_has_its_own_things_of_a_name() -> None:
    """It takes a plant 2 m from the sofa for a chair; the tv is 3 m away, the chairs are 1.4 m and 2.8 m."""
    objects = [seen(4, "chair", -2), seen(5, "chair", 3), seen(6, "mug", 4), seen(7, "chair", 3)]
    options = ("A. tv", "B. chair")
    asked = sample(
        "object_rel_distance", "Which of these objects (tv, chair) is nearest to the sofa?", [4, 2, 5, 1],
        options=options, answer=ChoiceAnswer(text="B", letter="B"),
    )  # fmt: skip
    more = as_seen(asked, objects)
    assert more is not None and workable(more)
    steps = [
        ("tv", 2, "3.0>3.0", 2),
        ("chair", 4, "1.4>1.4", 4),
        ("chair", 5, "2.8>1.4", 4),
        ("chair", 7, "2.0>1.4", 4),
    ]
    said = [f"{label}{named(m)}<OBJ001>{gaps}{named(best)}" for label, m, gaps, best in steps]
    assert working(more) == " ".join(said) + "; chair"
    ghost = as_seen(asked, [*objects, seen(8, "tv", -1.5)])
    assert ghost is not None and not workable(ghost)  # half a metre away
    count = sample("count", "How many chairs are there?", [4, 5])
    assert as_seen(count, objects) is None and as_seen(count, objects[:3]) == count
    assert as_seen(count, objects[1:3]) is None  # it takes one for something else
    assert as_seen(count, [*objects[:3], replace(objects[3], state="gone")]) == count
    on = sample("count_on", "How many chairs are on the tv?", [4, 2])
    assert as_seen(on, objects) == on


def test_the_order_of_first_sight_is_that_of_markers() -> None:
    """Of a name the first thing counts, which has the lowest marker; names are marked in the order of the question."""
    options = (
        "A. chair, tv, lamp, sofa",
        "B. sofa, tv, lamp, chair",
        "C. lamp, sofa, tv, chair",
        "D. tv, sofa, lamp, chair",
    )
    asked = sample(
        "obj_appearance_order", "In which order do these appear: lamp, chair, tv, sofa?", [1, 2, 3, 5],
        options=options, answer=ChoiceAnswer(text="B", letter="B"),
    )  # fmt: skip
    box = Box(center=(1, 2, 3), size=(1, 1, 1))

    def mapped(*labels: str, gone: int = -1) -> list[Seen]:
        return [
            Seen(20 + i, 10 + i, label, 0.9, box, "gone" if i == gone else "present") for i, label in enumerate(labels)
        ]

    seen = as_seen(asked, mapped("sofa", "tv", "lamp", "chair", "chair", "sofa"))
    assert seen is not None and workable(seen)
    assert working(seen) == f"lamp{named(12)} chair{named(13)} tv{named(11)} sofa{named(10)}; sofa, tv, lamp, chair"
    assert worked_out(seen).endswith("] B")
    # A chair between them is one swap away from B, the nearest of the options; before all, A is nearer than B.
    assert as_seen(asked, mapped("sofa", "tv", "chair", "lamp")) is not None
    assert as_seen(asked, mapped("chair", "sofa", "tv", "lamp")) is None
    assert as_seen(asked, mapped("sofa", "tv", "lamp")) is None
    assert as_seen(asked, mapped("chair", "sofa", "tv", "lamp", "chair", gone=0)) is not None
    assert not workable(asked.model_copy(update={"objects": (thing(None, "lamp"), *asked.objects)}))


def test_what_something_stands_on_is_named() -> None:
    on = sample("carried_by", "What is <OBJ006> on?", [2, 6], answer=IdAnswer(text="<OBJ002>.", objects=(2,)))
    assert working(on) == "<OBJ006> tv"


def test_all_that_stands_on_something_is_named() -> None:
    answer = IdAnswer(text="<OBJ003> and <OBJ006>.", objects=(3, 6))
    on = sample("carries", "Which objects are on <OBJ002>?", [6, 3, 2], answer=answer)
    assert working(on) == "<OBJ002> lamp<OBJ003> mug<OBJ006>"


@pytest.mark.parametrize(
    "kind, question, markers, said",
    [
        ("color", "What color is the lamp?", [3], "lamp<OBJ003>"),
        ("nearest", "What is nearest to the tv?", [6, 2], "tv<OBJ002> mug<OBJ006>"),
        ("what_on", "What is on the tv?", [6, 2], "tv<OBJ002> mug<OBJ006>"),
        ("where_on", "Where is the mug?", [6, 2], "mug<OBJ006> tv<OBJ002>"),
    ],
)
def test_what_is_asked_about_by_name_is_named_before_what_is_found_from_it(
    kind: str, question: str, markers: list[int | None], said: str
) -> None:
    assert working(sample(kind, question, markers)) == said and workable(sample(kind, question, markers))
    assert not workable(sample(kind, question, [None, *markers[1:]]))


def test_what_the_map_has_not_is_left_out() -> None:
    situation = Situation(text="I sit on the sofa and look toward the plant.")
    lost = sample("situated_left_right", "Is the lamp to my left or right?", [3, 1, None], situation=situation)
    assert working(lost) == "<OBJ001><OBJ003>"  # no direction without what is faced
    some = sample("situated_closer", "What is closer to me, the lamp or the plant?", [3, None, 1, 2])
    assert working(some) == "lamp<OBJ003><OBJ001>2.0>2.0<OBJ003>"
    assert working(sample("existence", "Is there a plant?", [])) == ""
    assert not workable(lost) and not workable(sample("situated_side", "Where is the plant?", [None, 1, 2]))
    assert workable(some)  # its right one is there
    assert not workable(sample("situated_closer", "Which is closer, the plant or the lamp?", [None, 3, 1, 2]))
    assert workable(sample("existence", "Is there a plant?", []))


def test_answers_begin_with_what_they_rest_on() -> None:
    """Where one stands and what one faces before what is asked for; of one category in the order of the markers."""
    asked = sample("what_on", "What is on the tv?", [4, 5, 2, None])
    assert rests_on(asked) == [2, 4, 5]
    assert rests_on(dealt(asked, np.arange(100)[::-1])) == [97, 94, 95]
    named_too = asked.model_copy(update={"question": "How many chairs does <OBJ002> carry?"})
    assert rests_on(named_too) == [2, 4, 5]  # said again
    assert rests_on(asked.model_copy(update={"view": "symbols"})) == []  # they are all that is shown
    assert rests_on(named_too.model_copy(update={"view": "symbols"})) == [2]


def test_of_other_sources_nothing_is_presumed() -> None:
    """Their objects come in an order of their own, or not at all."""
    for kind, more in (
        ("situated_side", {}), ("situated_count", {}), ("count", {}), ("route_planning", {}),
        ("grounding_any", {"description": "the chair near the tv"}),
    ):  # fmt: skip
        for markers, said in (([], ""), ([4, 5], "<OBJ004><OBJ005>")):
            other = sample(kind, "Where?", markers, **more).model_copy(update={"source": "Multi3DRefer"})
            assert sorted(working(other).split("<")) == sorted(said.split("<")) and workable(other)
            assert as_seen(other, [seen(7, "chair", 3)]) == other

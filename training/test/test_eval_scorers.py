"""Scoring rules against numbers that the named implementations gave for the same predictions.

Source of the numbers: the unmodified scoring code of vision-x-nyu/thinking-in-space @ 51e089c,
EvolvingLMMs-Lab/lmms-eval (vsibench), ATR-DBI/ScanQA @ 0a9f162, SilongYong/SQA3D @ a98da8f, LEO (embodied-generalist) @
567f2d8,
ZzZZCHS/Chat-Scene @ 475e106 and 3dlg-hcvc/M3DRef-CLIP @ babfcc4, run on the cases of ``eval_cases``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eval_cases import Dice, boxes, qa_cases, vsi_cases
from proxy3d_core.errors import BadInput
from proxy3d_training.evaluation import scorers


@pytest.mark.parametrize(
    ("prediction", "official", "lmms"),
    [
        ("", 0.0, 0.0),
        ("3", 1.0, 1.0),
        ("3m", 0.0, 1.0),
        ("3 m", 1.0, 1.0),
        ("nan", 0.0, 0.0),
        ("inf", 0.0, 0.0),
        ("three", 0.0, 1.0),
        ("about 3", 0.0, 1.0),
        ("twenty-one", 0.0, 0.0),
        ("1,200", 0.0, 0.0),
        ("３", 1.0, 1.0),
        ("3.3", 0.9, 0.9),
        ("2.7", 0.9, 0.9),
        ("3.6", 0.6, 0.6),
        ("2.4", 0.6, 0.6),
        ("1.5", 0.1, 0.1),
        ("4.5", 0.1, 0.1),
        ("3..", 1.0, 1.0),
        ("1e0", 0.0, 0.0),
        ("-3", 0.0, 0.0),
        ("one apple, room 2", 0.0, 0.0),
    ],
)
def test_vsibench_numbers(prediction: str, official: float, lmms: float) -> None:
    assert scorers.vsibench_row("object_counting", prediction, "3") == official
    assert scorers.vsibench_row_lmms("object_counting", prediction, "3") == lmms


@pytest.mark.parametrize(
    ("prediction", "score"),
    [("", 0), ("A)", 0), ("A", 1), ("a.", 1), ("A. left", 1), ("(A)", 0), (" A", 0), ("The answer is A", 0), ("Á", 0)],
)
def test_vsibench_letters(prediction: str, score: float) -> None:
    assert scorers.vsibench_row("route_planning", prediction, "A") == score


VSI_TASKS_SEED_0 = {
    "object_counting": 50.21052631578947,
    "object_abs_distance": 45.83333333333334,
    "object_size_estimation": 53.46534653465347,
    "room_size_estimation": 59.45945945945945,
    "object_rel_distance": 42.0,
    "object_rel_direction": 34.6681786645401,
    "route_planning": 38.01652892561984,
    "obj_appearance_order": 36.734693877551024,
}


def test_vsibench_random_predictions_to_the_last_digit() -> None:
    cases = vsi_cases(0, 1000)
    official = scorers.vsibench_official(*cases)
    assert official.overall == 45.04850838886834
    assert {t: official.tasks[t].score for t in VSI_TASKS_SEED_0} == VSI_TASKS_SEED_0
    assert scorers.vsibench_lmms(*cases).overall == 0.454228 * 100
    assert scorers.vsibench_official(*vsi_cases(1, 1000)).overall == 43.43506014294615
    assert scorers.vsibench_lmms(*vsi_cases(1, 1000)).overall == 0.437344 * 100


def test_vsibench_direction_is_the_mean_of_its_three_tasks_and_missing_tasks_drop_out() -> None:
    tasks = ["object_rel_direction_easy"] * 2 + ["object_rel_direction_medium", "object_rel_direction_hard"]
    result = scorers.vsibench_official([*tasks, "route_planning"], ["A", "B", "A", "B", "A"], ["A"] * 5)
    assert result.tasks["object_rel_direction"].score == 50.0  # (0.5 + 1 + 0) / 3
    assert result.tasks["object_rel_direction"].n == 4
    assert result.overall == 75.0


def test_vsibench_without_medium_and_hard_directions_is_an_error_as_in_the_official_code() -> None:
    case = ["object_rel_direction_easy"], ["A"], ["A"]
    with pytest.raises(KeyError, match="needs easy, medium and hard"):
        scorers.vsibench_official(*case)
    with pytest.raises(BadInput):
        scorers.vsibench_official(*case)
    partial = scorers.vsibench_official(*case, partial=True)
    assert partial.overall is None
    assert "medium" in partial.note
    assert partial.tasks["object_rel_direction_easy"].score == 100.0
    # The official code takes hard alone as a task of its own; lmms-eval always wants all three.
    hard = ["object_rel_direction_hard"], ["A"], ["A"]
    assert scorers.vsibench_official(*hard).overall == 100.0
    with pytest.raises(KeyError):
        scorers.vsibench_lmms(*hard)


def test_vsibench_true_zero_raises_only_where_the_prediction_is_a_number() -> None:
    with pytest.raises(ZeroDivisionError):
        scorers.vsibench_row("object_counting", "3", "0")
    assert scorers.vsibench_row("object_counting", "three", "0") == 0.0
    with pytest.raises(ZeroDivisionError):
        scorers.vsibench_row_lmms("object_counting", "three", "0")


def test_vsibench_thresholds_are_ten() -> None:
    assert scorers.vsibench_mra(1.0, 2.0) == pytest.approx(0.1)
    assert math.isclose(scorers.vsibench_mra(2.0, 2.0), 1.0)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("The 3 Chairs.", "three chairs"),
        ("  On   the  letf, near a TV ", "on left, near TV"),
        ("none", "zero"),
        ("23 chairs", "twenty-three chairs"),
        ("12 o'   clock", "twelve o'clock"),
        ("mat2", "mat"),
        ("an apple and the book", "apple and book"),
        ("Backwards", "backward"),
        ("İstanbul ç ’", "istanbul  "),
        ("21", "21"),
        ("3m", "3m"),
        ("", ""),
        ("A)", "a"),
        ("10:30", "ten:30"),
        ("the\ttable", "the\ttable"),
        ("Waslked oclock", "walked o'clock"),
    ],
)
def test_clean_answer(text: str, cleaned: str) -> None:
    assert scorers.clean_answer(text) == cleaned


def test_order_of_references_decides_in_leo() -> None:
    assert scorers.leo_match("brown", ["dark brown", "brown"]) == (0, 1)
    assert scorers.leo_match("brown", ["brown", "dark brown"]) == (1, 1)
    assert scorers.chat_scene_match("brown", ["dark brown", "brown"]) == (1, 1)
    assert scorers.leo_match("", ["brown"]) == (0, 1)
    assert scorers.chat_scene_match("", ["brown"]) == (0, 0)


def _scores(result: scorers.Result, *names: str) -> list[float]:
    return [result.tasks[name].score for name in names]


def test_scanqa_random_predictions_to_the_last_digit() -> None:
    predictions, references, _ = qa_cases(0, 1000)
    ranked = [[predictions[i], predictions[i - 1], predictions[i - 2]] for i in range(len(predictions))]
    assert _scores(scorers.scanqa_official(ranked, references), "EM@1", "EM@10") == [26.0, 31.4]
    assert _scores(scorers.scanqa_chat_scene(predictions, references), "EM", "EM-R") == [0.131 * 100, 0.406 * 100]
    assert _scores(scorers.scanqa_leo(predictions, references), "EM", "EM-R") == [0.412 * 100, 0.783 * 100]


CHAT_SCENE_SQA3D = {
    "what": (0.4113475177302048, 0.6241134751768623),
    "is": (0.3951612903224213, 0.5725806451610594),
    "how": (0.4017094017090584, 0.5726495726490832),
    "can": (0.4420289855069261, 0.608695652173472),
    "which": (0.38596491228036317, 0.5789473684205447),
    "other": (0.3181818181816867, 0.5743801652890189),
}
LEO_SQA3D = {
    "what": (0.3687943262406117, 0.7730496453889746),
    "is": (0.42338709677385217, 0.790322580644524),
    "how": (0.4957264957256483, 0.8205128205114179),
    "can": (0.4637681159413569, 0.804347826085791),
    "which": (0.41228070175366266, 0.7982456140336872),
    "other": (0.3553719008261526, 0.7438016528919473),
}


def test_sqa3d_random_predictions_to_the_last_digit() -> None:
    predictions, references, questions = qa_cases(0, 1000)
    types = [scorers.sqa3d_type(q) for q in questions]
    chat_scene = scorers.sqa3d_chat_scene(predictions, references, types)
    leo = scorers.sqa3d_leo(predictions, references, types)
    assert _scores(chat_scene, "EM", "EM-R") == [0.385 * 100, 0.586 * 100]
    assert _scores(leo, "EM", "EM-R") == [0.412 * 100, 0.783 * 100]
    for result, expected in ((chat_scene, CHAT_SCENE_SQA3D), (leo, LEO_SQA3D)):
        for name, (em, refined) in expected.items():
            assert _scores(result, name, f"{name} EM-R") == [em * 100, refined * 100]
    assert scorers.sqa3d_llm(predictions, references).overall == 449 / 1000 * 100


def test_sqa3d_exact_is_the_raw_string() -> None:
    result = scorers.sqa3d_exact(["two", "Two", "2"], [["two"]] * 3, ["how"] * 3)
    assert result.overall == 1 / 3 * 100


class Grounding:
    """Texts that name proposals, and their true objects."""

    def __init__(self) -> None:
        dice = Dice(5)
        true, near = boxes(dice, 10)
        named = [" ".join(f"<OBJ{dice.below(14):03d}>" for _ in range(dice.below(4))) for _ in range(300)]
        self.targets = [dice.below(10) for _ in range(300)]
        self.texts = [f"<OBJ{t:03d}>. {x}" if dice.below(2) else x for t, x in zip(self.targets, named, strict=True)]
        self.types = [dice.one(scorers.MULTI3DREFER_TYPES) for _ in range(300)]
        self.sets = [
            [] if kind[0] == "z" else [k] if kind[0] == "s" else sorted({k, dice.below(10), dice.below(10)})
            for kind, k in zip(self.types, self.targets, strict=True)
        ]
        self.true = [scorers.bounds(*b) for b in true]
        self.proposals = [scorers.bounds(*b) for b in near]


def test_scanrefer_to_the_last_digit() -> None:
    case = Grounding()
    chosen = [case.proposals[scorers.chat_scene_choice(x, len(case.proposals))] for x in case.texts]
    unique = [t % 2 == 0 for t in case.targets]
    names = [f"{group}acc@{t}" for group in ("", "unique ", "multiple ") for t in ("0.25", "0.5")]
    pairs = list(zip(chosen, (case.true[t] for t in case.targets), strict=True))
    chat_scene = scorers.scanrefer([scorers.aabb_iou(a, b) for a, b in pairs], unique)
    expected = [
        0.35333333333333333,
        0.08333333333333333,
        0.22727272727272727,
        0.0,
        0.4863013698630137,
        0.17123287671232876,
    ]
    assert _scores(chat_scene, *names) == [100 * x for x in expected]
    # An IoU of one half is just under it in float64 with Chat-Scene's epsilon, and at it in float32.
    m3dref = scorers.scanrefer([scorers.m3dref_iou(a, b) for a, b in pairs], unique)
    expected = [
        0.35333333333333333,
        0.12666666666666668,
        0.22727272727272727,
        0.0,
        0.4863013698630137,
        0.2602739726027397,
    ]
    assert _scores(m3dref, *names) == [100 * x for x in expected]


MULTI3DREFER_CHAT_SCENE = {
    "": (0.191015873015873, 0.16773015873015873),
    "zt_w_d ": (0.17857142857142858, 0.17857142857142858),
    "zt_wo_d ": (0.12698412698412698, 0.12698412698412698),
    "st_w_d ": (0.19944444444444442, 0.17166666666666666),
    "st_wo_d ": (0.21619047619047618, 0.1557142857142857),
    "mt ": (0.2393090569561158, 0.21802054154995332),
}
MULTI3DREFER_M3DREF_CLIP = {
    "": (0.19101587, 0.101333335),
    "zt_w_d ": (0.17857143, 0.17857143),
    "zt_wo_d ": (0.12698413, 0.12698413),
    "st_w_d ": (0.19944446, 0.06333333),
    "st_wo_d ": (0.21619047, 0.07),
    "mt ": (0.23930904, 0.07254902),
}


def test_multi3drefer_to_the_last_digit() -> None:
    case = Grounding()

    def f1(iou: Callable[[Any, Any], float]) -> list[tuple[float, float]]:
        return [
            scorers.multi3drefer_f1(
                [case.proposals[i] for i in scorers.object_ids(text, len(case.proposals))],
                [case.true[i] for i in ids],
                iou,
            )
            for text, ids in zip(case.texts, case.sets, strict=True)
        ]

    chat_scene = scorers.multi3drefer(f1(scorers.aabb_iou), case.types, single_precision=False)
    m3dref = scorers.multi3drefer(f1(scorers.m3dref_iou), case.types)
    for name, (at_25, at_50) in MULTI3DREFER_CHAT_SCENE.items():
        assert _scores(chat_scene, f"{name}F1@0.25", f"{name}F1@0.5") == [at_25 * 100, at_50 * 100]
    for name, expected in MULTI3DREFER_M3DREF_CLIP.items():
        found = _scores(m3dref, f"{name}F1@0.25", f"{name}F1@0.5")
        assert np.array_equal(np.float32(np.array(found) / 100), np.float32(expected))


def test_multi3drefer_without_targets_wants_silence() -> None:
    box = scorers.bounds((0, 0, 0), (1, 1, 1))
    assert scorers.multi3drefer_f1([], []) == (1.0, 1.0)
    assert scorers.multi3drefer_f1([box], []) == (0.0, 0.0)
    assert scorers.multi3drefer_f1([], [box]) == (0.0, 0.0)


def test_scanrefer_unique_counts_described_objects_of_a_class() -> None:
    rows = [("s", 1, "office_chair"), ("s", 1, "office_chair"), ("s", 2, "chair"), ("s", 3, "vase"), ("t", 1, "chair")]
    unique = scorers.scanrefer_unique(rows, {"office chair": 2, "chair": 2}, others=17)
    assert unique == {("s", 1): False, ("s", 2): False, ("s", 3): True, ("t", 1): True}


def test_locate3d_by_hand() -> None:
    unit = scorers.bounds((0, 0, 0), (1, 1, 1))
    half = scorers.bounds((0, 0, 0), (1, 1, 0.5))
    result = scorers.locate3d([unit, half, None], [unit, unit, unit])
    assert [r["iou"] for r in result.rows] == [1.0, 0.5, 0.0]
    assert _scores(result, "acc@0.25", "acc@0.5") == [2 / 3 * 100] * 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: scorers.vsibench_official([], [], []),
        lambda: scorers.vsibench_official(["object_counting"], [], ["1"]),
        lambda: scorers.vsibench_row("counting", "1", "1"),
        lambda: scorers.scanqa_official([[]], [["a"]]),
        lambda: scorers.multi3drefer([(1.0, 1.0)], ["many"]),
    ],
)
def test_unusable_input_says_what_is_wrong(call: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        call()

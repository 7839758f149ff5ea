"""Which answerer answers: a tiny model that knows its answers by heart beside the geometric answerer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy3d_core.answering import Answering
from proxy3d_core.config import AnswerConfig, EncoderConfig
from proxy3d_core.encoders import load_encoder
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.reasoning.answer import Question, Status
from proxy3d_core.scene.snapshot import FloorPlan, ProxySet, SceneObject, Snapshot

SURE = {"raw": [0.0, 1.0], "right": [0.9, 0.9]}


def room() -> Snapshot:
    """One chair."""
    one = np.ones(1, np.float32)
    proxies = ProxySet(np.zeros((1, 3), np.float32), np.zeros((1, 10), np.float32), one, one, np.array([3]))
    chair = SceneObject(3, "chair", 1.0, OrientedBox.from_yaw((0, 0, 0.4), (0.5, 0.5, 0.8)))
    return Snapshot(objects=(chair,), proxies=proxies, floor=FloorPlan(0.0, 20.0), robot_pose=np.eye(4), frames=3)


@pytest.fixture
def calibrated(taught_vlm: Path) -> Iterator[None]:
    """On rooms it had not seen, nine of ten answers were right."""
    file = taught_vlm / "calibration.json"
    file.write_text(json.dumps({"version": 1, "types": dict.fromkeys(("text", "number"), SURE)}))
    yield
    file.unlink()


@pytest.fixture
def make() -> Iterator[Callable[..., Answering]]:
    made = []

    def build(encoder: Any = None, features: str = "", **settings: Any) -> Answering:
        made.append(Answering(AnswerConfig(**settings), encoder or load_encoder(""), features))
        return made[-1]

    yield build
    for answering in made:
        answering.close()


def test_each_answers_when_asked(make: Callable[..., Answering], taught_vlm: Path) -> None:
    answering = make(vlm=str(taught_vlm), vlm_device="cpu")
    question = Question("How many chairs are there?")
    geometric, vlm, auto = (answering.answer(question, room(), who) for who in ("geometric", "vlm", "auto"))
    assert (geometric.answerer, geometric.value) == ("geometric", 1)
    assert (vlm.answerer, vlm.value) == ("vlm", 4)
    assert (auto.answerer, auto.value) == ("geometric", 1)  # it is certain
    assert make(vlm=str(taught_vlm), answerer="vlm").answer(question, room()).answerer == "vlm"


def test_auto_asks_the_model_what_geometry_does_not_understand(
    make: Callable[..., Answering], taught_vlm: Path, calibrated: None
) -> None:
    answering = make(vlm=str(taught_vlm))
    assert answering.answer(Question("Where can somebody sit?"), room(), "geometric").status is not Status.OK
    answer = answering.answer(Question("Where can somebody sit?"), room())
    assert (answer.status, answer.answerer, answer.text) == (Status.OK, "vlm", "On a chair")
    assert answer.confidence == pytest.approx(0.9)


def test_auto_does_not_let_the_model_guess_where_geometry_knows(
    make: Callable[..., Answering], taught_vlm: Path, calibrated: None
) -> None:
    """There is no sofa: the question is understood, and that is the answer."""
    answer = make(vlm=str(taught_vlm)).answer(Question("How far is the chair from the sofa?"), room())
    assert (answer.status, answer.answerer) == (Status.NOT_FOUND, "geometric") and "sofa" in answer.message


def test_auto_does_not_trust_a_model_that_nobody_has_checked(make: Callable[..., Answering], taught_vlm: Path) -> None:
    answer = make(vlm=str(taught_vlm)).answer(Question("Where can somebody sit?"), room())
    assert answer.answerer == "geometric" and answer.status is not Status.OK
    assert "not sure either: 'On a chair' (0.50)" in answer.message


@pytest.mark.parametrize("question", ["Wo kann man sich setzen?", "Where can somebody fnord?"])
def test_auto_does_not_trust_a_model_with_words_it_has_not_learned(
    make: Callable[..., Answering], taught_vlm: Path, calibrated: None, question: str
) -> None:
    answering = make(vlm=str(taught_vlm))
    answer = answering.answer(Question(question), room())
    assert answer.answerer == "geometric" and answer.status is not Status.OK
    answer = answering.answer(Question(question), room(), "vlm")
    assert answer.confidence <= 0.5 and "has not learned the words" in answer.message


def test_an_empty_question_is_nobodys(make: Callable[..., Answering]) -> None:
    """No model is loaded for it."""
    answer = make(vlm="nowhere").answer(Question("  "), room())
    assert answer.status is Status.NOT_UNDERSTOOD and "nowhere" not in answer.message


def test_without_a_model(make: Callable[..., Answering], tmp_path: Path) -> None:
    """It is said what is missing and how to get it; auto does without."""
    for settings, cure in (
        ({"vlm": ""}, "set answer.vlm"),
        ({"vlm": str(tmp_path / "nowhere")}, "no model at"),
    ):
        answering = make(**settings)
        missing = answering.answer(Question("How many chairs are there?"), room(), "vlm")
        assert (missing.status, missing.answerer) == (Status.MODEL_UNAVAILABLE, "vlm") and cure in missing.message
        assert answering.answer(Question("How many chairs are there?"), room()).value == 1
        assert answering.answer(Question("Where can somebody sit?"), room()).answerer == "geometric"


def test_a_map_of_another_encoder(make: Callable[..., Answering], taught_vlm: Path) -> None:
    answering = make(EncoderConfig(source=""), "dinov9", vlm=str(taught_vlm))
    answer = answering.answer(Question("How many chairs are there?"), room(), "vlm")
    assert (
        answer.status is Status.MODEL_UNAVAILABLE and "'dinov9'" in answer.message and "'appearance'" in answer.message
    )


def test_time_runs_out(make: Callable[..., Answering], taught_vlm: Path) -> None:
    """While the model is loaded, and with no time at all."""
    answering = make(vlm=str(taught_vlm))
    late = answering.answer(Question("How many chairs are there?"), room(), "vlm", timeout=1e-3)
    assert (late.status, late.answerer) == (Status.TIMEOUT, "vlm") and "loaded" in late.message
    assert answering.answer(Question("How many chairs are there?"), room(), timeout=0.0).status is Status.TIMEOUT


def test_closed_it_answers_no_more(make: Callable[..., Answering], taught_vlm: Path) -> None:
    answering = make(vlm=str(taught_vlm))
    answering.prepare()
    answering.close()
    answering.close()
    assert answering.answer(Question("How many chairs are there?"), room()).status is Status.TIMEOUT


def test_geometry_needs_no_torch() -> None:
    """The language model is not loaded before it is wanted."""
    code = (
        "import sys; from proxy3d_core.answering import Answering; from proxy3d_core.config import Config; "
        "from proxy3d_core.reasoning.answer import Question; from proxy3d_core.scene.snapshot import Snapshot; "
        "a = Answering(Config().answer, Config().encoder); a.answer(Question('How many chairs?'), Snapshot()); "
        "a.close(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

"""The VLM as an answerer: a tiny model that knows its answers by heart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seen_room import REFERENCES, room
from taught_vlm import SHORT

from proxy3d_core.proxies.references import ReferenceCodes
from proxy3d_core.reasoning.answer import Question, Status
from proxy3d_core.scene.snapshot import FloorPlan, ProxySet
from proxy3d_core.vlm.answerer import VlmAnswerer
from proxy3d_core.vlm.attention import ProxyAttention
from proxy3d_core.vlm.calibration import Calibration
from proxy3d_core.vlm.loading import load_vlm

CHANNELS = 10
RAMP = {"number": ((0.0, 1.0), (0.0, 0.8))}


@pytest.fixture
def vlm(taught_vlm: Path) -> Iterator[VlmAnswerer]:
    def white(pictures: object) -> np.ndarray:
        return np.zeros((len(pictures), 1, 1, CHANNELS), np.float32)  # type: ignore[arg-type]

    model, prompts = load_vlm(taught_vlm, device="cpu")
    answerer = VlmAnswerer(model, prompts, ReferenceCodes(white), Calibration(RAMP))
    yield answerer
    answerer.close()


def test_known_answers(vlm: VlmAnswerer) -> None:
    """A number with its unit, an object with its id; what is sure by calibration, and what by default."""
    count = vlm.answer(Question("How many chairs are there?"), room(CHANNELS))
    assert (count.status, count.text, count.value, count.unit) == (Status.OK, "4", 4.0, "count")
    assert 0.5 < count.confidence <= 0.8 and count.object_ids == () and count.answerer == "vlm"
    assert count.program == f"How many chairs are there? {SHORT}" and count.latency_ms > 0
    distance = vlm.answer(Question("How far is the desk from the window?"), room(CHANNELS))
    assert (distance.text, distance.value, distance.unit) == ("1.25 m", 1.25, "m")
    found = vlm.answer(Question("Which object is the largest?"), room(CHANNELS))
    assert (found.text, found.object_ids) == ("the desk (11)", (11,)) and found.confidence <= 0.5


def test_the_viewpoint_is_told_in_words(vlm: VlmAnswerer) -> None:
    pose = np.eye(4)
    pose[:2, 3] = 0.9, 0.1
    assert vlm.answer(Question("What is on my left?"), room(CHANNELS, robot_pose=pose)).text == "Chair"
    away = vlm.answer(Question("What is on my left?"), room(CHANNELS, robot_pose=None))
    assert away.status is Status.NOT_FOUND and "where the asker stands" in away.message


def test_the_model_is_told_how_large_the_floor_is(vlm: VlmAnswerer) -> None:
    read: list[list[int]] = []
    vlm._model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["input_ids"][0].tolist()), with_kwargs=True
    )
    vlm.answer(Question("How many chairs are there?"), room(CHANNELS, floor=FloorPlan(height=0.0, area=30.04)))
    assert "Floor: as large as a square of 5.5 m, 30.0 square meters." in vlm._prompts.tokenizer.decode(read[0])


def test_a_scene_is_read_once(vlm: VlmAnswerer) -> None:
    """Snapshots that share their proxies share what was read, however many there are; other proxies are read anew."""
    first = room(CHANNELS)
    for number in range(3):
        vlm.answer(Question("How many chairs are there?"), replace(first, stamp_ns=first.stamp_ns + number))
    assert vlm.scenes_read == 1
    fewer = ProxySet(*(getattr(first.proxies, name)[2:] for name in vars(first.proxies)))
    vlm.answer(Question("How many chairs are there?"), replace(first, proxies=fewer))
    vlm.answer(Question("How many chairs are there?"), first)
    assert vlm.scenes_read == 2


def test_a_robot_that_maps_on_is_answered_from_what_was_just_read(vlm: VlmAnswerer) -> None:
    """Proxies that are newer by up to a second do not wait to be read; other objects do, and what comes later."""
    first = room(CHANNELS)
    ask = Question("How many chairs are there?")
    vlm.answer(ask, replace(first, stamp_ns=10**10))
    newer = replace(first, proxies=ProxySet(*(array.copy() for array in vars(first.proxies).values())))
    for seconds, read in ((0.9, 1), (1.1, 2), (0.0, 3)):
        proxies = replace(newer.proxies, weights=newer.proxies.weights.copy())
        vlm.answer(ask, replace(newer, proxies=proxies, stamp_ns=10**10 + int(seconds * 1e9)))
        assert vlm.scenes_read == read, seconds
    fewer = replace(newer, objects=newer.objects[1:], stamp_ns=10**10 + 1_200_000_000)
    assert vlm.answer(ask, fewer).status is Status.OK and vlm.scenes_read == 4


def test_a_model_that_is_told_names_reads_new_ones(vlm: VlmAnswerer) -> None:
    """Where categories are told by their codes, an object that is called otherwise makes another scene."""
    before = room(CHANNELS)
    first = before.objects[0]
    after = replace(before, objects=(replace(first, label="sofa bed"), *before.objects[1:]))
    for told, read in ((False, 1), (True, 3)):
        vlm._model.config.category_codes = told
        for snapshot in (before, after):
            vlm.answer(Question("How many chairs are there?"), snapshot)
        assert vlm.scenes_read == read


def test_questions_that_come_together_are_answered_together(vlm: VlmAnswerer) -> None:
    """While the first one waits for its scene, the others gather."""
    snapshot = room(CHANNELS)
    asked = [("How many chairs are there?", "4"), ("Which object is the largest?", "the desk (11)")] * 4
    batches: list[int] = []
    vlm._model.register_forward_pre_hook(lambda _, __, given: batches.append(len(given["input_ids"])), with_kwargs=True)
    with ThreadPoolExecutor(8) as crowd:
        replies = list(crowd.map(lambda pair: vlm.answer(Question(pair[0]), snapshot), asked))
    assert [reply.text for reply in replies] == [text for _, text in asked]
    assert vlm.scenes_read == 1 and max(batches) > 1


def test_markers_stay(vlm: VlmAnswerer) -> None:
    """An object keeps its marker when others come and go, or become more certain."""
    snapshot = room(CHANNELS)
    assert vlm.references(snapshot) == REFERENCES
    surer = replace(snapshot.objects[3], score=1.0)
    without_desk = replace(snapshot, objects=(*snapshot.objects[1:3], surer))
    assert vlm.references(without_desk).object_of == {1: 12, 2: 13, 3: 14}


def test_time_runs_out(vlm: VlmAnswerer) -> None:
    """TIMEOUT at once; the model ends soon after, not when it has said all."""
    tokens: list[int] = []
    slow = vlm._model.register_forward_pre_hook(lambda *_: (time.sleep(0.05), tokens.append(1))[2:])
    begin = time.monotonic()
    late = vlm.answer(Question("How many chairs are there?"), room(CHANNELS), timeout=0.02)
    assert late.status is Status.TIMEOUT and late.answerer == "vlm" and time.monotonic() - begin < 1
    slow.remove()
    assert vlm.answer(Question("How many chairs are there?"), room(CHANNELS)).value == 4
    assert len(tokens) <= 2


def test_a_question_can_be_taken_back(vlm: VlmAnswerer) -> None:
    asked = iter([False, False, *[True] * 100])
    gone = vlm.answer(Question("How many chairs are there?"), room(CHANNELS), stop=lambda: next(asked))
    assert gone.status is Status.TIMEOUT and "taken back" in gone.message


def test_who_maps_can_wait_for_an_answer_but_not_for_long(vlm: VlmAnswerer) -> None:
    vlm.let_finish(60)  # nobody asks: it does not wait
    going_on = threading.Event()
    slow = vlm._model.register_forward_pre_hook(lambda *_: going_on.wait(60) and None)
    with ThreadPoolExecutor(1) as asker:
        asked = asker.submit(vlm.answer, Question("How many chairs are there?"), room(CHANNELS))
        while not vlm._asked:
            time.sleep(0.001)
        vlm.let_finish(0.05)
        assert not asked.done()
        going_on.set()
        vlm.let_finish(60)
        assert asked.result(1).value == 4
    slow.remove()


def test_what_cannot_be_asked(vlm: VlmAnswerer) -> None:
    assert vlm.answer(Question(" "), room(CHANNELS)).status is Status.NOT_UNDERSTOOD
    assert vlm.answer(Question("How many?"), room(CHANNELS, proxies=ProxySet.empty(CHANNELS))).status is Status.NO_SCENE
    other = vlm.answer(Question("How many?"), room(channels=7))
    assert other.status is Status.MODEL_UNAVAILABLE and "10 channels" in other.message and "7" in other.message


def test_a_model_that_fails_is_said_to(vlm: VlmAnswerer) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    hook = vlm._model.register_forward_pre_hook(broken)
    failed = vlm.answer(Question("How many?"), room(CHANNELS))
    assert failed.status is Status.MODEL_UNAVAILABLE and "a bug" in failed.message
    hook.remove()
    assert vlm.answer(Question("How many chairs are there?"), room(CHANNELS)).value == 4


def test_closed_it_answers_no_more(vlm: VlmAnswerer) -> None:
    vlm.close()
    vlm.close()
    assert vlm.answer(Question("How many chairs are there?"), room(CHANNELS)).status is Status.TIMEOUT


def test_where_the_model_looked(vlm: VlmAnswerer) -> None:
    """Attention comes for each proxy, where it is and of what; it sums to one."""
    seen: Future[ProxyAttention] = Future()
    snapshot = room(CHANNELS)
    vlm.answer(Question("Which object is the largest?"), snapshot, on_attention=seen.set_result)
    look = seen.result(timeout=60)
    assert look.reply == "<OBJ000>." and look.share.sum() == pytest.approx(1) and 0 < look.seen < 1
    order = np.lexsort(look.positions.T), np.lexsort(snapshot.proxies.positions.T)
    np.testing.assert_allclose(look.positions[order[0]], snapshot.proxies.positions[order[1]], atol=1e-6)
    np.testing.assert_array_equal(look.groups[order[0]], snapshot.proxies.groups[order[1]])
    shares = look.of_objects()
    assert set(shares) == {11, 12, 13, 14, -2} and sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)

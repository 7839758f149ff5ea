"""The geometric answerer: understands a question as a small program and computes it from the boxes of a snapshot, in
milliseconds."""

from __future__ import annotations

import logging
import math
import time
from threading import Lock
from weakref import WeakKeyDictionary

from proxy3d_core.reasoning import execute
from proxy3d_core.reasoning.answer import Answer, Question, Status
from proxy3d_core.reasoning.choices import Option, as_question, number_in, split_options
from proxy3d_core.reasoning.directions import side_of
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable
from proxy3d_core.reasoning.index import SceneIndex
from proxy3d_core.reasoning.lexicon import NUMBER_WORDS, concept
from proxy3d_core.reasoning.parser import NotUnderstood, parse
from proxy3d_core.reasoning.program import Program
from proxy3d_core.reasoning.result import Result
from proxy3d_core.scene.snapshot import Snapshot

_log = logging.getLogger(__name__)

_PASSED_OVER = 0.9
"""Words without an answer are named where they make the understanding less sure than this."""

MAX_LENGTH = 4000
"""Longer texts are not read [characters]."""


class GeometricAnswerer:
    """Answers from boxes and viewpoint; implements ``Answerer``. Safe to use from several threads.

    Args:
        min_confidence: below it there is no answer but NOT_FOUND, with the guess in the message (0 = always answer).
    """

    name = "geometric"

    def __init__(self, min_confidence: float = 0.0) -> None:
        self._indices: WeakKeyDictionary[Snapshot, SceneIndex] = WeakKeyDictionary()
        self._lock = Lock()
        self.min_confidence = min_confidence

    def answer(self, question: Question, snapshot: Snapshot) -> Answer:
        """Answer, or say with a status why not; never raises on any text."""
        start = time.perf_counter()
        try:
            answer = self._answer(question, snapshot)
        except Exception:  # a robot must go on; the log keeps the fault
            _log.exception("could not answer %r", question.text[:200])
            answer = Answer(
                Status.NOT_UNDERSTOOD, message="this question could not be handled; the log has the details"
            )
        object.__setattr__(answer, "latency_ms", (time.perf_counter() - start) * 1e3)
        return answer

    def _answer(self, question: Question, snapshot: Snapshot) -> Answer:
        text = question.text
        if not text.strip():
            return Answer(
                Status.NOT_UNDERSTOOD,
                message="the question is empty; ask for example: How many chairs are there?",
                understood=1.0,
            )
        if len(text) > MAX_LENGTH:
            return Answer(
                Status.NOT_UNDERSTOOD,
                message=f"the question has {len(text)} characters; at most {MAX_LENGTH} are read",
                understood=1.0,
            )
        text, options = split_options(text, question.options)
        text = as_question(text, options)
        index = self._index(snapshot)
        try:
            program = parse(text, index.names)
        except NotUnderstood as error:
            return Answer(
                Status.NOT_UNDERSTOOD,
                message=f"did not understand '{error.part}'" if error.part else "found no question in the text",
            )
        if not snapshot.objects and snapshot.floor.area is None:
            return Answer(Status.NO_SCENE, message="nothing has been seen yet", program=str(program))
        scene = Evaluator(index, question, program, options)
        try:
            return self._finish(scene, execute.answer(scene), program, options)
        except Unanswerable as error:
            ids = tuple(t.object.id for t in error.things if t.object)
            return Answer(
                error.status,
                object_ids=ids,
                message=error.message,
                program=str(program),
                understood=program.certainty,
            )

    def _index(self, snapshot: Snapshot) -> SceneIndex:
        with self._lock:
            index = self._indices.get(snapshot)
            if index is None:
                index = self._indices[snapshot] = SceneIndex(snapshot)
            return index

    def _finish(self, scene: Evaluator, result: Result, program: Program, options: tuple[Option, ...]) -> Answer:
        text = result.text
        if options:
            letter, certainty = choose(result, options)
            scene.doubt(certainty)
            if letter is None:
                raise Unanswerable(
                    Status.NOT_FOUND, f"the answer would be '{text}', which is not among the options", result.things
                )
            text = letter
        sigma = _with_scale(result, scene.index.snapshot.scale_uncertainty)
        if sigma != result.sigma:
            scene.note("lengths come from a depth model whose scale no sensor vouches for")
        objects = [t.object for t in result.things if t.object is not None]
        scores = [o.certainty for o in objects[:8]]
        confidence = program.certainty * scene.certainty * (sum(scores) / len(scores) if scores else 1.0)
        spelled = (f"'{word}' read as '{meant}'" for word, meant in program.corrected)
        left = " ".join(program.skipped).replace(" ,", ",")
        passed_over = f"passed over '{left}'" if left and program.certainty < _PASSED_OVER else ""
        message = "; ".join(m for m in (result.message, *scene.notes, *spelled, passed_over) if m)
        if confidence < self.min_confidence:
            guess = f"not sure enough ({confidence:.2f}); it may be '{text}'"
            raise Unanswerable(Status.NOT_FOUND, "; ".join(x for x in (guess, message) if x), result.things)
        return Answer(
            Status.OK,
            text,
            result.value,
            result.unit,
            sigma,
            float(min(max(confidence, 0.0), 1.0)),
            tuple(dict.fromkeys(o.id for o in objects)),
            message,
            str(program),
            understood=program.certainty,
        )


def _with_scale(result: Result, uncertainty: float) -> float | None:
    """The standard deviation of a result, once all lengths together may be off by a relative ``uncertainty``."""
    power = {"m": 1, "cm": 1, "m^2": 2}.get(result.unit, 0)
    if result.value is None or not power or not uncertainty:
        return result.sigma
    return float(math.hypot(result.sigma or 0.0, power * uncertainty * result.value))


def choose(result: Result, options: tuple[Option, ...]) -> tuple[str | None, float]:
    """The letter of the option that says the same, and how sure that is."""
    wanted = {_plain(w) for w in (result.text, *result.names)}
    for option in options:
        if _plain(option.text) in wanted:
            return option.letter, 1.0
    if result.value is not None and result.unit != "deg":
        numbers = [(abs(n - result.value), o.letter) for o in options if (n := _as_number(o.text)) is not None]
        if numbers:
            return min(numbers)[1], 0.9
    sides = {side_of(o.text): o.letter for o in options}
    for word in (*result.names, result.text):
        if word in sides:
            return sides[word], 1.0
    concepts = {concept(n) for n in result.names}
    for option in options:
        if concept(_plain(option.text)) in concepts:
            return option.letter, 0.95
    partial = [o for o in options if any(w and (w in _plain(o.text) or _plain(o.text) in w) for w in wanted)]
    if len(partial) == 1:
        return partial[0].letter, 0.7
    return None, 0.0


def _plain(text: str) -> str:
    words = "".join(c if c.isalnum() or c == "." else " " for c in text.lower()).strip(" .").split()
    return " ".join(w for w in words if w not in ("the", "a", "an", "to", "my", "your", "of", "me"))


def _as_number(text: str) -> float | None:
    number = number_in(text)
    return NUMBER_WORDS.get(text.strip().lower()) if number is None else number

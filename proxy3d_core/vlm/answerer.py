"""The answerer that asks the proxy VLM: each scene is read once, and questions that come together are read together."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch

from proxy3d_core.proxies.references import ReferenceCodes, References
from proxy3d_core.reasoning.answer import Answer, Question, Status
from proxy3d_core.scene.snapshot import ProxySet, Snapshot
from proxy3d_core.vlm.attention import ProxyAttention, proxy_attention
from proxy3d_core.vlm.calibration import UNCALIBRATED, Calibration
from proxy3d_core.vlm.inputs import SceneTokens, names_of
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prefix import Reply, ScenePrefix
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.replies import heard
from proxy3d_core.vlm.wording import Unaskable, worded

_log = logging.getLogger(__name__)

BATCH = 16
"""Most questions that are answered at once."""
LONGEST = 128
"""Answers are cut off after this many tokens."""
RECENT = 20.0
"""Scenes are read ahead while the last question is no longer ago than this, seconds."""
QUICK = 0.25
"""Scenes are read ahead only where that takes no longer than this, seconds."""
FRESH = 1_000_000_000
"""A scene that is older by so much, nanoseconds, answers for the same objects still: the robot maps on meanwhile."""
_KEPT = 2  # scenes whose keys and values are kept: the newest, and the one that questions still wait on
_NICE = 1  # how far the model's thread steps back behind those that map


@dataclass(frozen=True, eq=False)
class Scene:
    """What the model reads of a snapshot.

    Attributes:
        snapshot: of which.
        references: which marker stands for which object.
        names: category by object id, of a model that is told them; else empty.
        tokens: the proxies in the order of reading.
        prefix: keys and values of system and scene.
    """

    snapshot: Snapshot
    references: References
    names: dict[int, str]
    tokens: SceneTokens
    prefix: ScenePrefix

    def is_of(self, snapshot: Snapshot, references: References, names: dict[int, str]) -> bool:
        """Whether a snapshot reads the same: proxies are made anew far less often than snapshots."""
        return self.snapshot.proxies is snapshot.proxies and self._names_the_same(references, names)

    def answers_for(self, snapshot: Snapshot, references: References, names: dict[int, str]) -> bool:
        """Whether questions about a snapshot need not wait for its own proxies: this one is not much older."""
        age = snapshot.stamp_ns - self.snapshot.stamp_ns
        return self.is_of(snapshot, references, names) or (0 < age <= FRESH and self._names_the_same(references, names))

    def _names_the_same(self, references: References, names: dict[int, str]) -> bool:
        return self.references == references and self.names == names


@dataclass(eq=False)
class _Waiting:
    """A question that somebody waits on."""

    text: str
    snapshot: Snapshot
    references: References
    stop: Callable[[], bool] | None
    on_attention: Callable[[ProxyAttention], None] | None
    reply: Future[Reply] = field(default_factory=Future)
    given_up: bool = False

    @property
    def unwanted(self) -> bool:
        return self.given_up or (self.stop is not None and self.stop())


class VlmAnswerer:
    """Answers by the proxy VLM; implements ``Answerer``. Safe to use from several threads.

    One thread of its own runs the model, on half of the cores and behind other threads (its nice value is raised), so
    that a robot that is asked goes on mapping.

    Attributes:
        scenes_read: how many scenes have been read so far; a further question on the same proxies adds none.
    """

    name = "vlm"

    def __init__(
        self,
        model: ProxyVLM,
        prompts: PromptFormat,
        codes: ReferenceCodes,
        calibration: Calibration | None = None,
    ) -> None:
        """
        Args:
            model: in evaluation mode; nobody else may run it meanwhile.
            prompts: of the same model.
            codes: of the encoder whose features the proxies hold.
            calibration: of the model's confidence; None = it is believed at most ``UNCALIBRATED``.
        """
        self.scenes_read = 0
        self._model, self._prompts, self._codes = model, prompts, codes
        self._calibration = calibration or Calibration()
        self._references = References()
        self._waiting: deque[_Waiting] = deque()
        self._asked = 0  # questions that are waited for
        self._scenes: deque[Scene] = deque(maxlen=_KEPT)  # only the model's thread touches them
        self._changed = threading.Condition()
        self._closed = False
        self._asked_at = -RECENT
        self._reading = 0.0  # how long the last scene took to read, seconds
        self._ahead: Snapshot | None = None
        self._looked_ahead: ProxySet | None = None
        self._thread = threading.Thread(target=self._work, name="vlm", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; who waits gets TIMEOUT. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def references(self, snapshot: Snapshot) -> References:
        """Which marker stands for which object: an object keeps its marker from snapshot to snapshot."""
        with self._changed:
            self._references = References.assign(snapshot.objects, self._references)
            return self._references

    def let_finish(self, timeout: float) -> None:
        """Wait while a question is being answered, but no longer than so many seconds: who maps leaves it the cores."""
        with self._changed:
            self._changed.wait_for(lambda: not self._asked, timeout)

    def look_ahead(self, snapshot: Snapshot) -> None:
        """Read a scene before a question about it comes, if questions came lately and reading is quick. Never waits."""
        with self._changed:
            known = self._looked_ahead is snapshot.proxies
            late = time.monotonic() - self._asked_at > RECENT
            if known or late or self._reading > QUICK or not len(snapshot.proxies):
                return
            self._ahead, self._looked_ahead = snapshot, snapshot.proxies
            self._changed.notify_all()

    def answer(
        self,
        question: Question,
        snapshot: Snapshot,
        timeout: float | None = None,
        stop: Callable[[], bool] | None = None,
        on_attention: Callable[[ProxyAttention], None] | None = None,
    ) -> Answer:
        """Answer, or say with a status why not; never raises on any text.

        Args:
            timeout: seconds after which the answer is TIMEOUT and the model stops; None = it takes what it takes.
            stop: asked after each token; True ends the answer with TIMEOUT (the asker is gone).
            on_attention: called later, from the model's thread, with where the model looked.
        """
        start = time.perf_counter()
        answer = self._answer(question, snapshot, timeout, stop, on_attention)
        return replace(answer, answerer=self.name, latency_ms=(time.perf_counter() - start) * 1e3)

    def _answer(
        self,
        question: Question,
        snapshot: Snapshot,
        timeout: float | None,
        stop: Callable[[], bool] | None,
        on_attention: Callable[[ProxyAttention], None] | None,
    ) -> Answer:
        if not len(snapshot.proxies):
            return Answer(Status.NO_SCENE, message="nothing has been seen yet")
        channels = snapshot.proxies.features.shape[1]
        if channels != self._model.scene.channels:
            return Answer(
                Status.MODEL_UNAVAILABLE,
                message=f"the model reads features of {self._model.scene.channels} channels, those of the map have "
                f"{channels}: map with the encoder that the model was trained on (encoder.source)",
            )
        references = self.references(snapshot)
        try:
            wording = worded(question, snapshot, references)
        except Unaskable as error:
            return Answer(error.status, message=str(error))
        asked = _Waiting(wording.text, snapshot, references, stop, on_attention)
        with self._changed:
            if self._closed:
                return Answer(Status.TIMEOUT, message="the answerer is closed", program=wording.text)
            self._waiting.append(asked)
            self._asked += 1
            self._asked_at = time.monotonic()
            self._changed.notify_all()
        try:
            reply = asked.reply.result(timeout)
        except (FutureTimeout, CancelledError):
            asked.given_up = True
            late = "no answer in time; ask again with a longer timeout"
            return Answer(Status.TIMEOUT, message=late, program=wording.text)
        except Exception as error:  # a robot must go on; the log keeps the fault
            _log.error("the model failed on %r", wording.text[:200], exc_info=error)
            failed = f"the model failed ({type(error).__name__}: {error}); the log has the details"
            return Answer(Status.MODEL_UNAVAILABLE, message=failed, program=wording.text)
        finally:
            with self._changed:
                self._asked -= 1
                self._changed.notify_all()
        if not reply.complete and asked.unwanted:
            return Answer(Status.TIMEOUT, message="the question was taken back", program=wording.text)
        found = heard(reply.text, wording, snapshot, references)
        cut = "" if reply.complete else f"cut off after {reply.tokens} tokens"
        strange = ", ".join(self._prompts.unlearned(wording.question))
        doubt = f"the model has not learned the words {strange}" if strange else ""
        message = "; ".join(part for part in (found.message, cut, doubt) if part)
        if found.status is not Status.OK:
            return Answer(found.status, message=message, program=wording.text)
        confidence = found.kept * self._calibration.confidence(found.kind, reply.log_probability)
        if strange:  # nobody has checked what it makes of them
            confidence = min(confidence, UNCALIBRATED)
        return Answer(
            Status.OK,
            found.text,
            found.value,
            found.unit,
            None,
            confidence if reply.complete else confidence / 2,
            found.object_ids,
            message,
            wording.text,
        )

    # The model's thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        if sys.platform == "linux":  # elsewhere a nice value is the whole process's
            with suppress(OSError):
                thread = threading.get_native_id()
                os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # holds for this thread
        while (batch := self._next()) is not None:
            if isinstance(batch, Snapshot):
                with suppress(Exception):  # who asks about it will be told
                    self._read(batch, self.references(batch))
                continue
            try:
                scene = self._scene(batch[0].snapshot, batch[0].references)
                texts = [asked.text for asked in batch]
                replies = scene.prefix.answer(
                    texts, max_new_tokens=LONGEST, stop=lambda: self._closed or all(asked.unwanted for asked in batch)
                )
            except Exception as error:  # whatever it is belongs to those who asked
                for asked in batch:
                    asked.reply.set_exception(error)
                continue
            for asked, reply in zip(batch, replies, strict=True):
                asked.reply.set_result(reply)
            self._explain(scene, batch, replies)

    def _next(self) -> list[_Waiting] | Snapshot | None:
        """The questions that are next, all on one scene, else the scene to look at ahead of them; None at the end."""
        with self._changed:
            while True:
                if self._closed:
                    for asked in self._waiting:
                        asked.reply.cancel()
                    return None
                self._waiting = deque(asked for asked in self._waiting if not self._is_dropped(asked))
                if self._waiting:
                    break
                ahead, self._ahead = self._ahead, None
                if ahead is not None:
                    return ahead
                self._changed.wait()
            first = self._waiting[0]
            batch = [
                asked
                for asked in self._waiting
                if asked.snapshot.proxies is first.snapshot.proxies and asked.references == first.references
            ][:BATCH]
            self._waiting = deque(asked for asked in self._waiting if asked not in batch)
            return batch

    @staticmethod
    def _is_dropped(asked: _Waiting) -> bool:
        return asked.unwanted and asked.reply.cancel()

    def _scene(self, snapshot: Snapshot, references: References) -> Scene:
        """What questions about a snapshot are answered from, the newest that is known; read now if there is none."""
        names = self._names(snapshot)
        known = (scene for scene in reversed(self._scenes) if scene.answers_for(snapshot, references, names))
        return next(known, None) or self._read(snapshot, references)

    def _names(self, snapshot: Snapshot) -> dict[int, str]:
        return names_of(snapshot.objects) if self._model.config.category_codes else {}

    def _read(self, snapshot: Snapshot, references: References) -> Scene:
        """What the model reads of a snapshot, read now if it has not been."""
        names = self._names(snapshot)
        for scene in self._scenes:
            if scene.is_of(snapshot, references, names):
                return scene
        begin = time.perf_counter()
        floor = snapshot.floor
        tokens = SceneTokens.of(snapshot.proxies, references, self._codes, names, floor.height, floor.area)
        there = {o.id for o in snapshot.present}
        called = {index: names.get(o, "") if o in there else "" for index, o in references.object_of.items()}
        prefix = ScenePrefix(self._model, self._prompts, tokens, markers=called)
        scene = Scene(snapshot, references, names, tokens, prefix)
        self.scenes_read += 1
        self._reading = time.perf_counter() - begin
        self._scenes.append(scene)
        return scene

    def _explain(self, scene: Scene, batch: list[_Waiting], replies: list[Reply]) -> None:
        """Where the model looked, for those who want to know; after the answers, which do not wait for it."""
        for asked, reply in zip(batch, replies, strict=True):
            if asked.on_attention is None or self._closed:
                continue
            try:
                asked.on_attention(proxy_attention(scene.prefix, scene.tokens, scene.snapshot, asked.text, reply.text))
            except Exception:  # a picture must not cost the answers
                _log.exception("the attention of %r cannot be had", asked.text[:200])

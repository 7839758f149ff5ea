"""Who answers: the geometric answerer, the proxy VLM, or whichever of the two is surer. For node and command line.

torch is imported only when a question needs the VLM.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from proxy3d_core.config import AnswerConfig, EncoderConfig
from proxy3d_core.encoders import SemanticEncoder, load_encoder
from proxy3d_core.errors import ModelError, Proxy3DError
from proxy3d_core.models import require_models
from proxy3d_core.reasoning.answer import Answer, Question, Status
from proxy3d_core.reasoning.geometric import GeometricAnswerer
from proxy3d_core.reasoning.skim import CERTAINTY
from proxy3d_core.scene.snapshot import Snapshot

if TYPE_CHECKING:
    from proxy3d_core.vlm.answerer import VlmAnswerer
    from proxy3d_core.vlm.attention import ProxyAttention

_log = logging.getLogger(__name__)

Who = Literal["auto", "geometric", "vlm"]
ANSWERERS: Final[tuple[Who, ...]] = ("auto", "geometric", "vlm")

SURE = 0.5
"""``auto`` takes the VLM's answer only if it is more likely right than wrong."""


class Answering:
    """Both answerers, and the choice between them. Safe to use from several threads.

    ``auto`` takes the geometric answer when the parse is certain; else the VLM's if that is surer than ``SURE`` and
    than the geometric one; else the geometric answer or its honest status.

    The VLM is loaded in a thread of its own, when it is needed first or when ``prepare`` is called; a question waits
    for it within its timeout. Where it cannot be had (no torch, no weights), ``vlm`` answers MODEL_UNAVAILABLE with the
    cure, and ``auto`` does without.
    """

    def __init__(
        self,
        config: AnswerConfig,
        encoder: SemanticEncoder | EncoderConfig,
        features: str = "",
    ) -> None:
        """
        Args:
            config: who answers when a question says auto, and the model.
            encoder: whose features the proxies hold, or its settings.
            features: name of the encoder whose features the proxies hold, where that may be another.
        """
        self._config = config
        self._encoder, self._features = encoder, features
        self._geometric = GeometricAnswerer()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="answer")
        self._lock = threading.Lock()
        self._vlm: Future[VlmAnswerer] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Begin to load the VLM, if one is configured."""
        if self._config.vlm and self._config.answerer != "geometric":
            self._loading()

    @property
    def trouble(self) -> str:
        """Why the VLM cannot be had, as far as that is known; empty if it can, or nobody has wanted it yet."""
        vlm = self._vlm
        return str(vlm.exception()) if vlm is not None and vlm.done() and vlm.exception() is not None else ""

    @property
    def ready(self) -> bool:
        """Whether the VLM is loaded."""
        return self._vlm is not None and self._vlm.done() and not self.trouble

    def look_ahead(self, snapshot: Snapshot) -> None:
        """Tell of a new snapshot, so that the VLM may read it before it is asked (``VlmAnswerer.look_ahead``)."""
        if self._vlm is not None and self.ready:
            self._vlm.result().look_ahead(snapshot)

    def let_finish(self, timeout: float) -> None:
        """Wait while the VLM answers, but no longer than so many seconds (``VlmAnswerer.let_finish``)."""
        if self._vlm is not None and self.ready:
            self._vlm.result().let_finish(timeout)

    def close(self) -> None:
        """End all threads; who waits gets TIMEOUT. May be called twice."""
        with self._lock:
            self._closed = True
            vlm = self._vlm
        self._threads.shutdown(wait=False, cancel_futures=True)
        if vlm is not None:
            vlm.add_done_callback(_close)

    def answer(
        self,
        question: Question,
        snapshot: Snapshot,
        who: Who = "auto",
        timeout: float | None = None,
        stop: Callable[[], bool] | None = None,
        on_attention: Callable[[ProxyAttention], None] | None = None,
    ) -> Answer:
        """Answer, or say with a status why not; never raises on any text.

        Args:
            who: answers; auto = as configured.
            timeout: seconds after which the status is TIMEOUT; None = it takes what it takes.
            stop: True = nobody waits any more.
            on_attention: called after an answer of the VLM, from another thread, with where the model looked.
        """
        start = time.perf_counter()
        end = None if timeout is None else time.monotonic() + timeout
        who = self._config.answerer if who == "auto" else who
        if timeout is not None and timeout <= 0:
            return _late("vlm" if who == "vlm" else "geometric")
        if who == "vlm":
            answer = self._ask_vlm(question, snapshot, end, stop, on_attention)
        else:
            answer = self._ask_geometric(question, snapshot, end)
            if who == "auto" and self._config.vlm and not _is_certain(answer) and answer.status is not Status.TIMEOUT:
                answer = _surer(answer, self._ask_vlm(question, snapshot, end, stop, on_attention))
        return replace(answer, latency_ms=(time.perf_counter() - start) * 1e3)

    def _ask_geometric(self, question: Question, snapshot: Snapshot, end: float | None) -> Answer:
        try:
            pending = self._threads.submit(self._geometric.answer, question, snapshot)
        except RuntimeError:  # the pool is closed
            return _late("geometric")
        try:
            return pending.result(_left(end))
        except FutureTimeout:
            pending.cancel()
            return _late("geometric")

    def _ask_vlm(
        self,
        question: Question,
        snapshot: Snapshot,
        end: float | None,
        stop: Callable[[], bool] | None,
        on_attention: Callable[[ProxyAttention], None] | None,
    ) -> Answer:
        if not self._config.vlm:
            cure = "no vision-language model is configured; set answer.vlm, or ask with answerer: auto"
            return Answer(Status.MODEL_UNAVAILABLE, message=cure, answerer="vlm")
        try:
            vlm = self._loading().result(_left(end))
        except FutureTimeout:
            return _late("vlm", "the vision-language model is still being loaded; ask again")
        except Proxy3DError as error:
            return Answer(Status.MODEL_UNAVAILABLE, message=str(error), answerer="vlm")
        return vlm.answer(question, snapshot, _left(end), stop, on_attention)

    def _loading(self) -> Future[VlmAnswerer]:
        with self._lock:
            if self._vlm is None:
                self._vlm = Future()
                threading.Thread(target=self._load, args=(self._vlm,), name="load-vlm", daemon=True).start()
            return self._vlm

    def _load(self, loaded: Future[VlmAnswerer]) -> None:
        try:
            loaded.set_result(load_answerer(self._config, self._encoder, self._features))
        except Proxy3DError as error:
            _log.info("no vision-language model: %s", error)
            loaded.set_exception(error)
        except Exception as error:  # whatever a broken installation throws
            _log.exception("the vision-language model %s cannot be loaded", self._config.vlm)
            loaded.set_exception(ModelError(f"{self._config.vlm} cannot be loaded ({error}); the log has the details"))


def load_answerer(config: AnswerConfig, encoder: SemanticEncoder | EncoderConfig, features: str = "") -> VlmAnswerer:
    """The VLM as an answerer; arguments as for ``Answering``.

    Raises:
        MissingExtra, ModelError: torch is not installed, a model cannot be used, or the proxies are another encoder's.
    """
    require_models(f"the vision-language model {config.vlm}")
    from proxy3d_core.proxies.references import MARKERS, ReferenceCodes
    from proxy3d_core.vlm.answerer import VlmAnswerer
    from proxy3d_core.vlm.calibration import Calibration
    from proxy3d_core.vlm.loading import load_vlm, vlm_folder

    model, prompts = load_vlm(config.vlm, device=config.vlm_device)
    if not isinstance(encoder, SemanticEncoder):
        encoder = load_encoder(**encoder.model_dump())
    if features and features != encoder.name:
        raise ModelError(
            f"the map's proxies hold features of {features!r}, but the markers of objects would come from "
            f"{encoder.name!r}; set encoder.source to the map's, or map anew"
        )
    codes = ReferenceCodes(encoder.encode)
    codes.identifiers(range(MARKERS))  # now, not while somebody waits
    return VlmAnswerer(model, prompts, codes, Calibration.beside(Path(vlm_folder(config.vlm)).expanduser()))


def _is_certain(answer: Answer) -> bool:
    """Whether the geometric answer stands without asking anybody else."""
    if answer.status is Status.OK:
        return answer.confidence > CERTAINTY
    return answer.status is Status.NO_SCENE or answer.understood > CERTAINTY


def _surer(geometric: Answer, vlm: Answer) -> Answer:
    """The answer of ``auto`` where the geometric one is not certain."""
    if vlm.status is Status.OK and vlm.confidence > max(SURE, geometric.confidence):
        return vlm
    if vlm.status is Status.OK:
        doubt = f"the vision-language model is not sure either: {vlm.text!r} ({vlm.confidence:.2f})"
        return replace(geometric, message="; ".join(part for part in (geometric.message, doubt) if part))
    return geometric


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - time.monotonic())


def _late(answerer: str, why: str = "no answer in time; ask again with a longer timeout") -> Answer:
    return Answer(Status.TIMEOUT, message=why, answerer=answerer)


def _close(loaded: Future[VlmAnswerer]) -> None:
    if loaded.exception() is None:
        loaded.result().close()

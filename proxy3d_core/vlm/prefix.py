"""Many questions on one scene: system and scene are read once, each question reads only itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from proxy3d_core.errors import BadInput
from proxy3d_core.vlm.decoding import Grounded, Measured
from proxy3d_core.vlm.inputs import SceneTokens, collate
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat, mentioned_regions


@dataclass(frozen=True)
class Reply:
    """What the model said.

    Attributes:
        text: the answer.
        log_probability: of its tokens together, natural logarithm.
        tokens: how many, the closing one included.
        complete: False if it was cut off, by its length or by ``stop``.
    """

    text: str
    log_probability: float
    tokens: int
    complete: bool


class ScenePrefix:
    """Keys and values of system and scene, read once for all questions on it. Immutable: threads may share it.

    Attributes:
        length: tokens of it.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: ProxyVLM,
        prompts: PromptFormat,
        scene: SceneTokens | None = None,
        latents: Tensor | None = None,
        markers: Mapping[int, str] | None = None,
    ) -> None:
        """Reads the scene.

        Args:
            model: in evaluation mode.
            prompts: of the same model.
            scene: None = no scene (the blind model).
            latents: (M, D) of the scene (Spa3R), for a model with ``latent_channels``.
            markers: what the objects that markers stand for are called, "" = nobody knows; where each marker is one
                token, no others are said. None = any.
        """
        self._model, self._prompts = model, prompts
        known = prompts.markers.items()
        absent = [token for index, token in known if markers is not None and index not in markers]
        self._absent = torch.tensor(absent, dtype=torch.long, device=model.device)
        self._called: dict[str, set[int]] = {}
        for index, name in (markers or {}).items():
            if name and index in prompts.markers:
                self._called.setdefault(name.lower(), set()).add(prompts.markers[index])
        self._ids = prompts.prefix(0) if scene is None else prompts.prefix(len(scene), scene.area)
        self.length = len(self._ids)
        inputs: dict[str, Any] = {} if scene is None or not len(scene) else collate([scene], model.device)
        if latents is not None:
            inputs["latents"] = latents[None].to(model.device)
        ids = torch.tensor([self._ids], device=model.device)
        read = model(input_ids=ids, use_cache=True, logits_to_keep=1, **inputs)
        self._states = [(layer.keys, layer.values) for layer in read.cache.layers]

    def cache(self, questions: int = 1) -> DynamicCache:
        """A cache that holds the prefix for so many questions at once; what is added to it leaves the prefix alone."""
        return DynamicCache(
            [(k.expand(questions, -1, -1, -1), v.expand(questions, -1, -1, -1)) for k, v in self._states]
        )

    def inputs(self, questions: Sequence[str], regions: Sequence[Tensor | None] | None = None) -> dict[str, Any]:
        """Arguments of ``ProxyVLM.forward`` and ``generate`` for a batch of questions, padded on their left.

        ``input_ids`` (B, L) are those of the questions alone, ``attention_mask`` (B, length + L) is whole.

        Args:
            questions: at least one.
            regions: (R, C) features of each question's regions, or None.

        Raises:
            BadInput: no question, an empty one, or one that names a region it does not have.
        """
        given = [None] * len(questions) if regions is None else list(regions)
        if not questions or len(given) != len(questions):
            raise BadInput(f"{len(questions)} questions and regions for {len(given)}; at least one question is needed")
        rows = [
            self._prompts.question(text, 0 if features is None else len(features))
            for text, features in zip(questions, given, strict=True)
        ]
        longest = max(map(len, rows))
        device = self._model.device
        ids = torch.tensor([[self._prompts.pad] * (longest - len(row)) + row for row in rows], device=device)
        mask = torch.tensor(
            [[1] * self.length + [0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device
        )
        inputs: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": mask,
            "cache": self.cache(len(rows)),
        }
        used = [
            features[mentioned_regions(text)] if features is not None else None
            for text, features in zip(questions, given, strict=True)
        ]
        named = [features for features in used if features is not None]
        if named:
            inputs["regions"] = torch.nn.utils.rnn.pad_sequence(
                [named[0][:0] if features is None else features for features in used], batch_first=True
            ).to(device)
            counts = torch.tensor([0 if features is None else len(features) for features in used], device=device)
            inputs["region_mask"] = torch.arange(inputs["regions"].shape[1], device=device) < counts[:, None]
        return inputs

    @torch.no_grad()
    def answer(
        self,
        questions: Sequence[str],
        *,
        regions: Sequence[Tensor | None] | None = None,
        max_new_tokens: int = 128,
        stop: Callable[[], bool] | None = None,
    ) -> list[Reply]:
        """The most probable next token, again and again, for all questions at once.

        Where markers are tokens, what is said is kept to the objects of the scene (``decoding.Grounded``), and what is
        measured is a median (``decoding.Measured``).

        Args:
            questions: at least one.
            regions: (R, C) features of each question's regions (``Region [0]`` in its text), or None.
            max_new_tokens: when an answer is cut off.
            stop: asked after each token; True ends all answers where they are (time-out, cancellation).

        Raises:
            BadInput: see ``inputs``.
        """
        inputs = self.inputs(questions, regions)
        chosen = _Probability()
        grounded = Grounded(self._prompts, self._absent, self._called, inputs["input_ids"].shape[1])
        model: Any = self._model  # its own stubs do not let generate be called on it
        ids = model.generate(
            **inputs,
            do_sample=False,
            repetition_penalty=1.0,  # a published model's own would punish saying a number twice
            max_new_tokens=max_new_tokens,
            eos_token_id=self._prompts.end,
            pad_token_id=self._prompts.pad,
            logits_processor=LogitsProcessorList([grounded, Measured(self._prompts), chosen]),
            stopping_criteria=StoppingCriteriaList([] if stop is None else [_Stop(stop)]),
        )[:, inputs["input_ids"].shape[1] :]
        probability = torch.stack(chosen.steps, dim=1)
        replies = []
        for row, steps in zip(ids.tolist(), probability.tolist(), strict=True):
            complete = self._prompts.end in row
            count = row.index(self._prompts.end) + 1 if complete else len(row)
            replies.append(Reply(self._prompts.read(row[:count]), sum(steps[:count]), count, complete))
        return replies

    @torch.no_grad()
    def attention(self, question: str, answer: str) -> Tensor:
        """(T, length) how much the T tokens of an answer, while they are said, attend to each token of the prefix.

        The mean over all layers and heads. What they attend to in question and answer itself is not in it, so that
        rows sum to less than one. It reads question and answer once more, in the attention that can be looked at; no
        other thread may use the model meanwhile.
        """
        asked, said = self._prompts.question(question), self._prompts.answer(answer)
        used = self._model.config._attn_implementation
        self._model.set_attn_implementation("eager")
        try:
            read = self._model(
                input_ids=torch.tensor([asked + said], device=self._model.device),
                cache=self.cache(),
                output_attentions=True,
                logits_to_keep=1,
            )
        finally:
            self._model.set_attn_implementation(used)
        # a token is said from the place before it
        looks = [layer[0, :, len(asked) - 1 : -1, : self.length].float().mean(dim=0) for layer in read.attentions]
        return torch.stack(looks).mean(dim=0)


class _Probability(LogitsProcessor):
    """Keeps the log-probability of the most probable token of each step, which the greedy search takes."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.steps.append(scores.float().log_softmax(dim=-1).amax(dim=-1))
        return scores


class _Stop(StoppingCriteria):
    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full((len(input_ids),), self._stop(), device=input_ids.device, dtype=torch.bool)

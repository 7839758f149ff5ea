"""A model that learns a stage: AdamW, warm-up and cosine, on one process or on many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import AdamW, Optimizer

from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.packing import IGNORED
from proxy3d_training.train.muon import Muon
from proxy3d_training.train.stages import Stage, choose_trained


@dataclass(frozen=True)
class Learned:
    """What a step did, over all processes.

    Attributes:
        loss: mean over the learned tokens, before the step.
        gradient: norm before clipping.
        tokens: that were learned.
    """

    loss: float
    gradient: float
    tokens: int


class Learner:
    """A model and its optimiser in one stage.

    Attributes:
        model: as accelerate has wrapped it.
    """

    def __init__(
        self,
        model: ProxyVLM,
        stage: Stage,
        accelerator: Accelerator,
        clip: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
        muon: float = 0.0,
    ) -> None:
        """Freezes what does not learn and takes the rest into a new optimiser.

        Args:
            model: not wrapped yet.
            stage: what learns.
            accelerator: places and wraps model and optimiser.
            clip: largest norm of the gradient.
            betas: of AdamW.
            decay: of the weights.
            muon: the matrices of the language model's layers learn by Muon, so many times as fast as the rest; its
                rate is scaled to steps as long as AdamW's are in large models (arXiv 2502.16982). 0: by AdamW.
        """
        self._accelerator, self._clip, self._muon = accelerator, clip, muon
        choose_trained(model.train(), stage)
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                (matrices if muon and parameter.ndim == 2 and ".layers." in name else others).append(parameter)
        optimizers: list[Optimizer] = [AdamW(others, lr=stage.rate, betas=betas, eps=1e-8, weight_decay=decay)]
        if matrices:
            optimizers.append(Muon(matrices, stage.rate, weight_decay=decay))
        self.model, *self._optimizers = accelerator.prepare(model, *optimizers)

    def step(self, batches: Sequence[Mapping[str, Tensor]], rate: float) -> Learned:
        """One step down the gradient of the mean loss over all learned tokens of all batches and processes.

        Args:
            batches: of this process (``Collator``); every process has as many.
            rate: learning rate.
        """
        accelerator = self._accelerator
        accelerator.gradient_accumulation_steps = len(batches)
        placed = [self._placed(batch) for batch in batches]
        tokens = float(accelerator.reduce(sum(map(_learned, placed)), "sum"))
        # accelerate takes the mean over processes and accumulated batches; ours is over tokens
        share = max(tokens, 1.0) / (accelerator.num_processes * len(batches))
        loss = torch.zeros((), device=accelerator.device)
        norm = 0.0
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * (self._muon if isinstance(optimizer.optimizer, Muon) else 1.0)
        for batch in placed:
            with accelerator.accumulate(self.model):
                part = self.model(**batch, num_items_in_batch=share).loss
                accelerator.backward(part)
                loss += part.detach() / (accelerator.num_processes * len(batches))
                if accelerator.sync_gradients:
                    norm = float(accelerator.clip_grad_norm_(self.model.parameters(), self._clip))
                for optimizer in self._optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
        return Learned(float(accelerator.reduce(loss, "sum")), norm, int(tokens))

    @torch.no_grad()
    def validate(self, batches: Iterable[Mapping[str, Tensor]]) -> tuple[float, float]:
        """How well the batches of all processes are answered, each of which has as many.

        Returns:
            Mean loss over the learned tokens, and the share of the answers that are right in every token, each
            token being told those before it.
        """
        self.model.eval()
        totals = torch.zeros(4, device=self._accelerator.device)
        for batch in map(self._placed, batches):
            found = self.model(**batch, num_items_in_batch=1)
            labels = batch["labels"][:, 1:]
            learned = labels != IGNORED
            wrong = found.logits.argmax(dim=-1) != labels[learned]
            rows = torch.arange(len(labels), device=labels.device)[:, None] * (labels.shape[1] + 1)
            question = (batch["segments"][:, 1:] + rows)[learned]
            answers = question.unique().numel()
            right = answers - question[wrong].unique().numel()
            totals += torch.stack([found.loss, learned.sum(), *torch.tensor([right, answers]).to(totals)])
        self.model.train()
        loss, tokens, right, answers = self._accelerator.reduce(totals, "sum").tolist()
        return loss / max(tokens, 1), right / max(answers, 1)

    def weights(self) -> dict[str, Tensor]:
        """All weights by name, on the CPU of the main process, tied ones once; nothing in others."""
        kept: dict[str, Tensor] = {}
        seen: set[int] = set()
        for name, value in get_model_state_dict(self.model, options=_whole()).items():
            tensor = cast(Tensor, value)
            if tensor.data_ptr() not in seen:
                kept[name] = tensor
                seen.add(tensor.data_ptr())
        return kept

    def optimizer_state(self) -> dict[str, Tensor]:
        """``<parameter>.<exp_avg, exp_avg_sq or step>``, on the CPU of the main process; nothing in others."""
        found = self._optimizer_state().get("state", {})
        return {f"{name}.{key}": value for name, values in found.items() for key, value in values.items()}

    def load_optimizer_state(self, state: Mapping[str, Tensor]) -> None:
        """What ``optimizer_state`` gave, in the main process. Raises KeyError: it is of another stage."""
        found = self._optimizer_state()
        for name, values in found.get("state", {}).items():
            for key in values:
                values[key] = state[f"{name}.{key}"]
        options = _whole(broadcast_from_rank0=self._accelerator.num_processes > 1)
        set_optimizer_state_dict(self.model, self._bare(), found, options=options)

    def _optimizer_state(self) -> dict[str, Any]:
        return get_optimizer_state_dict(self.model, self._bare(), options=_whole())

    def _bare(self) -> list[Optimizer]:
        return [optimizer.optimizer for optimizer in self._optimizers]

    def _placed(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self._accelerator.device) for name, tensor in batch.items()}


def load_weights(model: ProxyVLM, weights: Mapping[str, Tensor]) -> None:
    """What ``Learner.weights`` gave.

    Raises:
        RuntimeError: they are of another model.
    """
    missing, unexpected = model.load_state_dict(weights, strict=False)
    model.tie_weights()
    missing = [name for name in missing if name not in model.all_tied_weights_keys]
    if missing or unexpected:
        raise RuntimeError(f"weights of another model: {len(missing)} are missing, {len(unexpected)} too many")


def warm_cosine(step: float, steps: int, warmup: float) -> float:
    """Share of the highest rate: up in a line over ``warmup`` of the steps, then down along half a cosine to zero."""
    rising = math.ceil(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))


def _whole(broadcast_from_rank0: bool = False) -> StateDictOptions:
    """Unsharded, on the CPU of the main process."""
    return StateDictOptions(full_state_dict=True, cpu_offload=True, broadcast_from_rank0=broadcast_from_rank0)


def _learned(batch: Mapping[str, Tensor]) -> Tensor:
    return (batch["labels"][:, 1:] != IGNORED).sum()

"""The training loop, for one process: AdamW, warm-up and cosine, one line of JSON for each step."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.packing import IGNORED
from proxy3d_training.train.stages import Stage, choose_trained


def train(
    model: ProxyVLM, steps: Sequence[Iterable[dict[str, Any]]], stage: Stage, log: Path | None = None
) -> list[float]:
    """Teaches a model a stage.

    Args:
        model: on its device; it is left in training mode.
        steps: for each step its batches (``Collator``), whose gradients are added up. The loss is the mean over all
            learned tokens of a step, however they are spread over batches.
        stage: rate, schedule and what learns.
        log: a file to which a line with step, loss, rate and norm of the gradient is added for each step.

    Returns:
        The loss of each step.
    """
    trained = choose_trained(model.train(), stage)
    optimizer = AdamW(trained, lr=stage.rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = LambdaLR(optimizer, lambda step: warm_cosine(step, len(steps), stage.warmup))
    losses = []
    for number, step in enumerate(steps):
        batches = [{name: tensor.to(model.device) for name, tensor in batch.items()} for batch in step]
        learned = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
        total = 0.0
        for batch in batches:
            loss = model(**batch, num_items_in_batch=max(learned, 1)).loss
            loss.backward()
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(trained, 1.0))
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(total)
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": number, "loss": total, "rate": rate, "gradient": norm}) + "\n")
    return losses


def warm_cosine(step: int, steps: int, warmup: float) -> float:
    """Share of the highest rate: up in a line over ``warmup`` of the steps, then down along half a cosine to zero."""
    rising = math.ceil(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

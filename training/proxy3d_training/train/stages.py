"""The four stages: what is trained in each, on how much at a time, how fast and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from torch import nn

from proxy3d_core.vlm.model import ProxyVLM


@dataclass(frozen=True)
class Stage:
    """A stage of the curriculum.

    Attributes:
        placed: False = the model is not told where things are.
        scene: True = the position code and what else leads from proxies to the model learn too; False = only the
            language model does.
        batch: questions for one step, over all processes and accumulated batches.
        epochs: how often all samples are read.
        rate: highest learning rate.
        warmup: share of the steps on the way up to it; then down along a cosine to zero.
    """

    placed: bool
    scene: bool
    batch: int
    epochs: int
    rate: float = 5e-6
    warmup: float = 0.1


STAGES: Final[Mapping[int, Stage]] = {
    1: Stage(placed=False, scene=True, batch=256, epochs=1),
    2: Stage(placed=True, scene=True, batch=256, epochs=3),
    3: Stage(placed=True, scene=False, batch=256, epochs=3),
    4: Stage(placed=True, scene=False, batch=128, epochs=1),
}
"""Identifiers and semantics, coordinates, exploration, real scenes; the paper's values."""


def choose_trained(model: ProxyVLM, stage: Stage) -> list[nn.Parameter]:
    """Freezes what does not learn in a stage, thaws the rest, and gives the rest."""
    model.requires_grad_(True)
    if not stage.scene:
        model.scene.requires_grad_(False)
    elif not stage.placed and model.scene.position_code is not None:  # it is not used, and waits for no gradient
        model.scene.position_code.requires_grad_(False)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]

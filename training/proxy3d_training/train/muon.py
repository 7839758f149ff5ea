"""Muon (Jordan et al. 2024): matrices step along the orthogonal factor of their gradient, as long in all directions.

``torch.optim.Muon`` works in bfloat16 alone: on a CPU without instructions for it that took as long as the gradient.
Here it is float32 there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from proxy3d_training.train.precision import in_bfloat16

_QUINTIC = (3.4445, -4.7750, 2.0315)  # of the paper: steep at zero, and near enough to one behind it
_ROUNDS = 5


class Muon(Optimizer):
    """Steps are as long as AdamW's are in large models (arXiv 2502.16982): 0.2 of the rate for a weight, on average."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        """``parameters`` are matrices."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._type = torch.bfloat16 if in_bfloat16("auto") else torch.float32

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step down the gradients, with Nesterov's momentum."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                mean: Tensor = state["momentum_buffer"]
                mean.lerp_(matrix.grad, 1 - momentum)
                way = orthogonal(matrix.grad.lerp(mean, momentum).to(self._type))
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.add_(way, alpha=-rate * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonal(matrix: Tensor) -> Tensor:
    """(M, N) nearly U V^T of a matrix U S V^T: singular values between 0.7 and 1.2, by five Newton-Schulz steps."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ROUNDS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide

"""In which precision matrices are multiplied while a model learns; weights are float32 in any case."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "bf16", "fp32"]
"""``auto``: bfloat16 where this machine is fast at it."""

_SLOW = frozenset({"NO AVX", "DEFAULT", "AVX2"})
"""CPUs that have no instructions for it: there products in bfloat16 take many times as long as in float32."""


def in_bfloat16(precision: Precision) -> bool:
    """Whether products are in bfloat16 here."""
    if precision == "auto":
        return torch.accelerator.is_available() or torch.backends.cpu.get_cpu_capability() not in _SLOW
    return precision == "bf16"

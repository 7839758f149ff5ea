"""Muon against PyTorch's own, which computes in bfloat16, and against the singular value decomposition."""

from __future__ import annotations

import pytest
import torch

from proxy3d_training.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(48, 100), (100, 48), (64, 64)])
def test_orthogonal_factors_have_the_directions_of_the_matrix_and_no_lengths(shape: tuple[int, int]) -> None:
    """The iteration's polynomial maps singular values from 0.02 of the largest on to between 0.68 and 1.21."""
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    found = orthogonal(u @ torch.diag(torch.linspace(0.2, 3.0, min(shape))) @ v)
    along = u.T @ found @ v.T
    assert (along.diagonal() > 0.65).all() and (along.diagonal() < 1.25).all()
    assert (along - torch.diag(along.diagonal())).abs().max() < 1e-3


def test_steps_are_those_of_pytorch() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(48, 100)), torch.nn.Parameter(torch.randn(100, 48))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    start = [p.detach().clone() for p in ours]
    first = Muon(ours, 1e-2, weight_decay=0.1)
    second = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        first.step()
        second.step()
    for p, q, before in zip(ours, theirs, start, strict=True):
        moved = (q - before).norm()
        assert moved > 0.1 and (p - q).norm() < 0.02 * moved  # bfloat16 has three digits

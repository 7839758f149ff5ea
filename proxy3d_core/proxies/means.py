"""Mean features of clusters (Proxy3D, Eq. 3), reading every feature once, in the type it comes in."""

from __future__ import annotations

import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    import torch

Features = Any
"""(N, C) numpy array or torch tensor, on any device; rows contiguous, or they are copied."""


def cluster_means(
    features: Features, weights: NDArray[np.float64], label: NDArray[np.int64], clusters: int
) -> NDArray[np.float32]:
    """Weighted mean feature of each cluster.

    Sums are float32. Half-precision features (float16, bfloat16) are read as they are; weights and means are then
    rounded to their precision. Torch sums up if the features are torch's or half, or if it is loaded already
    (it is twice as fast as SciPy); on the device where the features are.

    Args:
        features: (N, C).
        weights: (N,) positive.
        label: (N,) cluster of each point; -1 = none.
        clusters: number of clusters K, none of which is empty.

    Returns:
        (K, C) float32.
    """
    kind = np.int16 if clusters < 2**15 else np.int64  # 16 bits are sorted by radix
    member = np.argsort(label.astype(kind), kind="stable")[np.count_nonzero(label < 0) :]
    own = label[member]
    begin = np.searchsorted(own, np.arange(clusters + 1))
    share = weights[member] / np.bincount(own, weights[member], clusters)[own]
    if not isinstance(features, np.ndarray):
        return _torch_means(features.detach(), share, member, begin)
    if features.dtype not in (np.float16, np.float32) or (features.dtype == np.float16 and not find_spec("torch")):
        features = features.astype(np.float32)
    if features.dtype == np.float16 or "torch" in sys.modules:
        import torch

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable.*")  # nothing is written
            return _torch_means(torch.from_numpy(features), share, member, begin)
    return _scipy_means(features, share, member, begin)


def _torch_means(
    features: torch.Tensor, share: NDArray[np.float64], member: NDArray[np.int64], begin: NDArray[np.int64]
) -> NDArray[np.float32]:
    import torch

    kept = torch.from_numpy(share).to(features.device, features.dtype)
    at = torch.from_numpy(member).to(features.device)
    bounds = torch.from_numpy(begin).to(features.device)
    with torch.no_grad():
        total = torch.nn.functional.embedding_bag(at, features, bounds[:-1], mode="sum", per_sample_weights=kept)
        # Shares that were rounded to half precision do not add up to one.
        rounded = np.add.reduceat(kept.double().cpu().numpy(), begin[:-1])
        mean = total.float() / torch.from_numpy(rounded).to(features.device, torch.float32)[:, None]
    return mean.cpu().numpy()


def _scipy_means(
    features: NDArray[np.float32], share: NDArray[np.float64], member: NDArray[np.int64], begin: NDArray[np.int64]
) -> NDArray[np.float32]:
    clusters = len(begin) - 1
    matrix = csr_matrix((share.astype(np.float32), member, begin), shape=(clusters, len(features)))
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cuts = np.searchsorted(begin, np.linspace(0, begin[-1], threads + 1)[1:-1])
    parts = [matrix[a:b] for a, b in zip([0, *cuts], [*cuts, clusters], strict=True) if b > a]
    with ThreadPoolExecutor(threads) as pool:  # the product releases the interpreter lock
        return np.concatenate(list(pool.map(lambda part: part @ features, parts)))

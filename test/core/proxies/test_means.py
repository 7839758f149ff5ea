"""Eq. 3 on features of every kind, against NumPy's own weighted average in float64."""

from __future__ import annotations

import numpy as np
import pytest

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.cluster import cluster_proxies
from proxy3d_core.proxies.means import _scipy_means, cluster_means

N, C, K = 500, 40, 23
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(N, C)).astype(np.float32)
WEIGHTS = RNG.uniform(0.2, 3, N)
LABEL = np.concatenate([np.arange(-1, K), RNG.integers(-1, K, N - K - 1)])


def averages(features: np.ndarray) -> np.ndarray:
    members = [np.flatnonzero(LABEL == k) for k in range(K)]  # noqa: SIM300
    return np.stack([np.average(features[own].astype(float), axis=0, weights=WEIGHTS[own]) for own in members])


EXPECTED = averages(FEATURES)


def test_float32() -> None:
    assert cluster_means(FEATURES, WEIGHTS, LABEL, K) == pytest.approx(EXPECTED, abs=1e-5)


def test_without_torch() -> None:
    """The product that serves where torch is not loaded, each thread a part of the clusters."""
    member = np.argsort(LABEL, kind="stable")[np.count_nonzero(LABEL < 0) :]
    begin = np.searchsorted(LABEL[member], np.arange(K + 1))
    share = WEIGHTS[member] / np.bincount(LABEL[member], WEIGHTS[member])[LABEL[member]]
    assert _scipy_means(FEATURES, share, member, begin) == pytest.approx(EXPECTED, abs=1e-5)


@pytest.mark.parametrize("given", [np.float64, np.int32, np.float16])
def test_other_arrays(given: type) -> None:
    features = (100 * FEATURES).astype(given)
    assert cluster_means(features, WEIGHTS, LABEL, K) == pytest.approx(averages(features), rel=3e-3, abs=0.1)


@pytest.mark.parametrize(("kind", "rounding"), [("float32", 1e-6), ("float16", 2**-11), ("bfloat16", 2**-8)])
def test_torch_tensors(kind: str, rounding: float) -> None:
    """Within the rounding of features, shares and means to the type of the features."""
    torch = pytest.importorskip("torch")
    features = torch.from_numpy(FEATURES).to(getattr(torch, kind)).requires_grad_()
    got = cluster_means(features, WEIGHTS, LABEL, K)
    assert got.dtype == np.float32
    assert got == pytest.approx(EXPECTED, abs=3 * rounding * float(np.abs(FEATURES).max()))


def test_half_precision_neither_overflows_nor_drifts() -> None:
    """20,000 patches of value 1000 in one cluster: their sum is 300 times what float16 can hold, a share is 5e-5."""
    ones = np.full((20_000, 4), 1000, np.float16)
    got = cluster_means(ones, np.full(20_000, 0.7), np.zeros(20_000, np.int64), 1)
    assert got == pytest.approx(np.full((1, 4), 1000.0), rel=1e-3)


def test_read_only_arrays_and_views() -> None:
    frozen = np.repeat(FEATURES, 2, axis=1)[:, ::2]
    frozen.setflags(write=False)
    assert cluster_means(frozen, WEIGHTS, LABEL, K) == pytest.approx(EXPECTED, abs=1e-5)


def test_proxies_of_tensors_are_those_of_arrays() -> None:
    torch = pytest.importorskip("torch")
    points, groups = RNG.uniform(-2, 2, (N, 3)), RNG.integers(-1, 4, N)
    arrays = cluster_proxies(points, FEATURES, WEIGHTS, groups, 50, 5)
    given = (torch.from_numpy(x) for x in (points, FEATURES, WEIGHTS, groups))
    tensors = cluster_proxies(*given, 50, 5)
    assert tensors.features == pytest.approx(arrays.features, abs=1e-6)
    assert np.array_equal(tensors.positions, arrays.positions)


def test_a_feature_that_is_not_a_number_is_refused() -> None:
    bad = FEATURES.copy()
    bad[7, 3] = np.nan
    with pytest.raises(BadInput, match="features must be finite"):
        cluster_proxies(RNG.uniform(size=(N, 3)), bad, WEIGHTS, np.zeros(N), 20, 5)

"""``proxy3d bench proxies``: speed of the proxies, beside generic k-means and the time of reading the features once.

Positions and objects come from a recorded sequence; features are random, as speed does not depend on what they say.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import Config
from proxy3d_core.proxies.cluster import cluster_points, cluster_proxies, share_budget
from proxy3d_core.proxies.kmeans import ROUNDS
from proxy3d_core.proxies.positions import HybridPositionCode
from proxy3d_core.proxies.serialise import serialise
from proxy3d_core.proxies.streaming import ProxyMap
from proxy3d_core.proxies.triplets import Triplets
from proxy3d_ros.bench.measure import Figures, memory_mib, percentiles
from proxy3d_ros.bench.scenes import Scene

CHANNELS = 3584
"""Width of Qwen2.5-VL-7B's tokens."""

_BATCH = 256  # triplets for which random features are made at once


@dataclass(frozen=True)
class Setting:
    """So many triplets to so many proxies."""

    triplets: int
    budget: int

    @property
    def name(self) -> str:
        """As in the figures' names."""
        return f"{self.triplets} to {self.budget}"


CHEAP = Setting(10_752, 450)
FULL = Setting(43_008, 700)
"""The paper's settings: 32 frames of 16 x 21 and of 32 x 42 patches."""


def timed(call: Callable[[], Any], repeats: int) -> Figures:
    """Percentiles of the time of a call, after one that does not count."""
    call()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return percentiles(spent)


def bench_offline(scene: Scene, setting: Setting, per_group: int, repeats: int = 15) -> dict[str, Figures]:
    """Eqs 1-3 on one setting, with float32 and half features, and the peers on the same points."""
    import torch

    rows = np.arange(setting.triplets) % len(scene.points)
    points = scene.points[rows] + _jitter(rows, len(scene.points))
    groups, weights = scene.objects[rows], np.ones(setting.triplets)
    single = _random_features(setting.triplets)
    out: dict[str, Figures] = {}

    def cluster(rounds: int) -> Any:
        return cluster_points(points, weights, groups, setting.budget, per_group, rounds)

    name = f"proxies {setting.name}"
    for rounds, suffix in ((0, ", quick (rounds=0)"), (ROUNDS, "")):
        positions = timed(lambda r=rounds: cluster(r), repeats)
        label = cluster(rounds).label
        out[f"{name}/clustering of positions{suffix}"] = {
            **positions,
            **spread(points, label),
            "purity": purity(label, groups),
        }
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        features = torch.from_numpy(single).to(kind)
        reading = timed(lambda f=features: _read(f), repeats)
        size = features.numel() * features.element_size()
        key = f"{name}/{str(kind).removeprefix('torch.')}"
        for rounds, suffix in ((0, ", quick (rounds=0)"), (ROUNDS, "")):
            whole = timed(
                lambda f=features, r=rounds: cluster_proxies(points, f, weights, groups, setting.budget, per_group, r),
                repeats,
            )
            out[f"{key}{suffix}"] = {
                **whole,
                "times_reading": round(whole["p50_ms"] / reading["p50_ms"], 2),
                "best_times_best_reading": round(whole["min_ms"] / reading["min_ms"], 2),
            }
        out[f"{key} read once"] = {**reading, "gb_per_s": round(size / 1e6 / reading["p50_ms"], 1)}
    whole_ms = out[f"{name}/float32"]["p50_ms"]
    for peer, (figures, found) in peers(points, groups, setting.budget, per_group).items():
        out[f"{name}/{peer}"] = {
            **figures,
            **spread(points, found),
            "purity": purity(found, groups),
            "times_ours": round(figures["p50_ms"] / positions["p50_ms"], 1),
            "times_ours_with_features": round(figures["p50_ms"] / whole_ms, 1),
        }
    return out


def peers(
    points: NDArray[np.float32], groups: NDArray[np.int64], budget: int, per_group: int
) -> dict[str, tuple[Figures, NDArray[np.int64]]]:
    """k-means of scikit-learn and faiss, as they come: over all points, and in each group with our share of clusters.

    Returns:
        By name: their time, positions only, and (N,) labels. Those that are not installed are left out.
    """
    solvers = {}
    if importlib.util.find_spec("sklearn"):
        solvers["scikit-learn KMeans"] = _scikit
    if importlib.util.find_spec("faiss"):
        solvers["faiss Kmeans"] = _faiss
    rank = np.unique(groups, return_inverse=True)[1]
    counts = share_budget(np.bincount(rank), budget, per_group)
    out = {}
    for name, solve in solvers.items():
        start = time.perf_counter()
        label = solve(points, budget)
        spent = time.perf_counter() - start
        out[name] = ({"p50_ms": round(1e3 * spent, 1), "n": 1}, label)
        label = np.zeros(len(points), np.int64)
        start = time.perf_counter()
        for group, first in enumerate(np.cumsum(counts) - counts):
            own = np.flatnonzero(rank == group)
            label[own] = first + solve(points[own], int(counts[group]))
        spent = time.perf_counter() - start
        out[f"{name} in groups"] = ({"p50_ms": round(1e3 * spent, 1), "n": 1}, label)
    return out


def missing_peers() -> list[str]:
    """Names of the packages of the [bench] extra that are not installed."""
    names = {"scikit-learn": "sklearn", "faiss-cpu": "faiss"}
    return [name for name, module in names.items() if importlib.util.find_spec(module) is None]


def bench_sequence_steps(scene: Scene, budget: int, per_group: int, repeats: int = 15) -> dict[str, Figures]:
    """Eqs 4 and 5 on the proxies of a scene."""
    import torch

    features = _random_features(len(scene.points), 64)
    kept = cluster_proxies(scene.points, features, np.ones(len(scene.points)), scene.objects, budget, per_group)
    code = HybridPositionCode(CHANNELS)
    z, place = torch.zeros(len(kept), CHANNELS), torch.from_numpy(kept.positions)
    with torch.no_grad():
        coding = timed(lambda: code(z, place), repeats)
    return {
        f"position code of {budget}": coding,
        f"serialisation of {budget}": timed(lambda: serialise(kept), repeats),
    }


def bench_streaming(
    scene: Scene, config: Config, total: int, on_frame: Callable[[], Any], channels: int = CHANNELS
) -> dict[str, Figures]:
    """Updates of a ProxyMap: their time and the memory of the process, as a function of how many came before.

    The frames of the scene are looped through; scikit-learn's incremental k-means takes the same points, where it is.
    """
    numbers = np.unique(scene.frames)
    triplets = []
    for number in numbers:
        own = scene.frames == number
        n = int(own.sum())
        triplets.append(
            Triplets(_random_features(n, channels), scene.points[own], scene.objects[own], np.ones(n, np.float32))
        )
    proxies = ProxyMap(channels, config.proxies.budget, config.proxies.per_object, config.map.voxel_size)
    window = len(numbers)  # each frame once
    marks = sorted({n for n in (100, 1000, 10_000) if window <= n < total} | {total})
    out: dict[str, Figures] = {}
    spent: list[float] = []
    for i in range(1, total + 1):
        frame = triplets[i % window]
        start = time.perf_counter()
        proxies.update(frame)
        spent.append(time.perf_counter() - start)
        on_frame()
        if i in marks:
            reading = timed(proxies.proxies, 3)
            out[f"streaming/update after {i} frames"] = {
                **percentiles(spent[-window:]),
                "mean_ms": round(1e3 * float(np.mean(spent[-window:])), 3),
                "triplets": len(scene.points) // window,
                "atoms": len(proxies),
                "proxies_p50_ms": reading["p50_ms"],
                "memory_mib": round(memory_mib(), 1),
            }
    if importlib.util.find_spec("sklearn"):
        out["streaming/scikit-learn MiniBatchKMeans.partial_fit"] = _scikit_streaming(triplets, config.proxies.budget)
    return out


def spread(points: NDArray[np.float32], label: NDArray[np.int64]) -> Figures:
    """Root-mean-square distance from the cluster's centre, and the sum of squares that k-means minimises."""
    x = points.astype(np.float64) - points.mean(axis=0)
    n = np.maximum(np.bincount(label), 1)
    total = np.column_stack([np.bincount(label, column) for column in x.T])
    squares = float((x**2).sum() - ((total**2).sum(axis=1) / n).sum())
    return {"squares_m2": round(squares, 2), "rms_m": round(float(np.sqrt(squares / len(x))), 4)}


def purity(label: NDArray[np.int64], groups: NDArray[np.int64]) -> float:
    """Share of the points that are of their cluster's commonest group."""
    rank = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((int(label.max()) + 1, int(rank.max()) + 1), np.int64)
    np.add.at(counts, (label, rank), 1)
    return round(float(counts.max(axis=1).sum() / len(label)), 4)


def _read(features: Any) -> Any:
    """Read all bytes of a tensor as fast as can be: as integers, of which the greatest is taken."""
    import torch

    return features.view(torch.int32).amax()


def _random_features(n: int, channels: int = CHANNELS) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    out = np.empty((n, channels), np.float32)
    for begin in range(0, n, _BATCH):
        rng.standard_normal(dtype=np.float32, out=out[begin : begin + _BATCH])
    return out


def _jitter(rows: NDArray[np.int64], period: int) -> NDArray[np.float32]:
    """A millimetre of noise on points that are used again, so that none coincide."""
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(rows), 3)).astype(np.float32)
    return noise * (np.arange(len(rows)) >= period)[:, None]


def _scikit(points: NDArray[np.float32], clusters: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(clusters, n_init=1, random_state=0).fit(points).labels_, dtype=np.int64)


def _faiss(points: NDArray[np.float32], clusters: int) -> NDArray[np.int64]:
    import faiss

    solver = faiss.Kmeans(3, clusters, seed=0, min_points_per_centroid=1)
    rows = np.ascontiguousarray(points, dtype=np.float32)
    solver.train(rows)
    return np.asarray(solver.index.search(rows, 1)[1][:, 0], dtype=np.int64)


def _scikit_streaming(triplets: list[Triplets], clusters: int) -> Figures:
    from sklearn.cluster import MiniBatchKMeans

    points = [frame.points for frame in triplets]
    while len(points[0]) < clusters:
        points[0] = np.concatenate([points[0], points.pop(1)])
    solver = MiniBatchKMeans(clusters, n_init=1, random_state=0).partial_fit(points[0])
    spent = []
    for frame in points[1:]:
        start = time.perf_counter()
        solver.partial_fit(frame)
        spent.append(time.perf_counter() - start)
    return percentiles(spent)

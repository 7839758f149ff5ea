"""``proxy3d bench proxies --quality``: what a few hundred proxies keep of a scene, beside plain ways to choose as many.

Every way assigns each patch to one proxy, whose position and feature stand for it. Objects are what the sequence's
labels say (``scenes.sample_scene``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proxy3d_core.config import MapConfig
from proxy3d_core.proxies.cluster import cluster_points, cluster_proxies
from proxy3d_core.proxies.means import cluster_means
from proxy3d_core.proxies.serialise import neighbour_gap, serialise
from proxy3d_core.proxies.streaming import ProxyMap
from proxy3d_core.proxies.triplets import Triplets
from proxy3d_ros.bench.measure import Figures
from proxy3d_ros.bench.scenes import Scene

BUDGETS = (450, 700, 1000)
"""The paper's numbers of proxies."""

TOKEN = 28
"""Edge of what Qwen2.5-VL makes one token of, pixels."""

Label = NDArray[np.int64]
Way = Callable[[Scene, int, int], "tuple[Label, NDArray[np.float32]]"]


def grouped(scene: Scene, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    """Ours, in the objects by which it is judged: perfect groups, so its purity is 1 by construction."""
    return _clustered(scene, scene.objects, budget, per_group)


def streamed(scene: Scene, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    """As ``grouped``, but frame by frame through a ``ProxyMap``; patches go to the nearest proxy of their object."""
    atoms = ProxyMap(scene.features.shape[1], budget, per_group, MapConfig().voxel_size)
    for number in np.unique(scene.frames):
        own = scene.frames == number
        weights = np.ones(int(own.sum()), np.float32)
        atoms.update(Triplets(scene.features[own], scene.points[own], scene.objects[own], weights))
    kept = atoms.proxies()
    apart = 10 * float(np.ptp(scene.points, axis=0).max())  # the object as a coordinate: others are far
    tree = cKDTree(np.column_stack([kept.positions, apart * kept.groups]))
    label = tree.query(np.column_stack([scene.points, apart * scene.objects]))[1]
    return np.asarray(label, np.int64), kept.features


def grouped_live(scene: Scene, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    """Ours, in the groups that a live map makes of the masks of single frames."""
    return _clustered(scene, scene.groups, budget, per_group)


def ungrouped(scene: Scene, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    """The paper's ablation without semantic grouping: k-means over the whole scene, by our clustering."""
    return _clustered(scene, np.zeros(len(scene.points), np.int64), budget, per_group)


def sampled(scene: Scene, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    """Patches drawn at random; the others go to the nearest."""
    chosen = np.random.default_rng(0).choice(len(scene.points), min(budget, len(scene.points)), replace=False)
    return np.asarray(cKDTree(scene.points[chosen]).query(scene.points)[1]), scene.features[chosen]


def voxels(scene: Scene, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    """Means over the cells of the finest regular grid that has no more cells with points than the budget."""
    low, high = 0.01, float(np.ptp(scene.points, axis=0).max()) + 0.01
    for _ in range(30):
        edge = (low + high) / 2
        low, high = (edge, high) if _cells(scene, edge).max() >= budget else (low, edge)
    label = _cells(scene, high)
    return label, _means(scene, label)


WAYS: dict[str, Way] = {
    "ours": grouped,
    "ours, streamed": streamed,
    "ours, live groups": grouped_live,
    "ours without groups": ungrouped,
    "uniform sampling": sampled,
    "voxel grid": voxels,
}


def quality(scene: Scene, budget: int, per_group: int) -> dict[str, Figures]:
    """Figures of all WAYS on one scene; see ``judge``."""
    return {name: judge(scene, *way(scene, budget, per_group)) for name, way in WAYS.items()}


def judge(scene: Scene, label: Label, features: NDArray[np.float32]) -> Figures:
    """What proxies keep.

    Args:
        label: (L,) proxy of each patch, 0..K-1.
        features: (K, C) feature of each proxy.

    Returns:
        proxies: K. purity: share of the patches whose proxy belongs, by majority, to their object. represented: share
        of the objects that own a proxy. smallest_kept, largest_lost: patches of the smallest object that owns one, and
        of the largest that owns none. feature_error: squared distance of patches' features from their proxy's, over
        that from the mean of all. position_rms_m: distance of patches from their proxy's centre.
    """
    k = len(features)
    objects, which = np.unique(scene.objects, return_inverse=True)
    counts = np.zeros((k, len(objects)), np.int64)
    np.add.at(counts, (label, which), 1)
    owner = objects[counts.argmax(axis=1)]
    sizes = dict(
        zip(*(x.tolist() for x in np.unique(scene.objects[scene.objects >= 0], return_counts=True)), strict=True)
    )
    owning = set(owner[counts.sum(axis=1) > 0].tolist())
    kept = [n for identity, n in sizes.items() if identity in owning]
    lost = [n for identity, n in sizes.items() if identity not in owning]
    points = scene.points.astype(np.float64)
    members = counts.sum(axis=1)
    center = np.column_stack([np.bincount(label, x, k) for x in points.T]) / np.maximum(members, 1)[:, None]
    away = ((points - center[label]) ** 2).sum(axis=1)
    left = ((scene.features - features[label]) ** 2).sum(dtype=np.float64)
    whole = ((scene.features - scene.features.mean(axis=0)) ** 2).sum(dtype=np.float64)
    return {
        "proxies": k,
        "purity": round(float(counts.max(axis=1).sum() / len(label)), 4),
        "represented": round(len(kept) / max(len(sizes), 1), 3),
        "objects": len(sizes),
        "smallest_kept": min(kept, default=0),
        "largest_lost": max(lost, default=0),
        "feature_error": round(float(left / max(whole, 1e-30)), 4),
        "position_rms_m": round(float(np.sqrt(away.mean())), 4),
    }


def tokens(scene: Scene, budget: int) -> Figures:
    """What the language model reads for the frames of the scene: their pixels' tokens against proxies.

    Qwen2.5-VL makes one token of TOKEN x TOKEN pixels, both edges rounded to a multiple.
    """
    rows, columns = (max(1, round(edge / TOKEN)) for edge in scene.pixels)
    frames = int(scene.frames.max()) + 1
    pixels = frames * rows * columns
    return {
        "frames": frames,
        "tokens_per_frame": rows * columns,
        "pixel_tokens": pixels,
        "proxy_tokens": budget,
        "fewer_by": round(pixels / budget, 1),
    }


def order_of_reading(scene: Scene, budget: int, per_group: int) -> Figures:
    """How far apart neighbours in space are in the sequence (``serialise``), and how much farther in plain orders."""
    kept = cluster_proxies(scene.points, scene.features, np.ones(len(scene.points)), scene.objects, budget, per_group)
    rng = np.random.default_rng(0)
    ours = neighbour_gap(kept.positions, serialise(kept))
    shuffled = neighbour_gap(kept.positions, rng.permutation(len(kept)))
    by_group = neighbour_gap(kept.positions, np.lexsort((rng.random(len(kept)), kept.groups)))
    return {
        "gap": round(ours, 1),
        "random_over_ours": round(shuffled / ours, 2),
        "group_major_over_ours": round(by_group / ours, 2),
    }


def _clustered(scene: Scene, groups: Label, budget: int, per_group: int) -> tuple[Label, NDArray[np.float32]]:
    label = cluster_points(scene.points, np.ones(len(scene.points)), groups, budget, per_group).label
    return label, _means(scene, label)


def _means(scene: Scene, label: Label) -> NDArray[np.float32]:
    return cluster_means(scene.features, np.ones(len(label)), label, int(label.max()) + 1)


def _cells(scene: Scene, edge: float) -> Label:
    """(L,) number of the cell of each patch, those with patches only."""
    cell = np.floor((scene.points - scene.points.min(axis=0)) / edge).astype(np.int64)
    return np.asarray(np.unique(cell @ (1 << np.array([40, 20, 0])), return_inverse=True)[1])

"""Properties that follow from Eqs 1-3 of Proxy3D and from what a budget means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput
from proxy3d_core.perception.level import estimate_up, level_frame
from proxy3d_core.perception.masks import patch_masks
from proxy3d_core.perception.patch_points import patch_points
from proxy3d_core.proxies.cluster import cluster_points, cluster_proxies, share_budget
from proxy3d_core.sequences import open_sequence

FIELDS = ("positions", "features", "weights", "extents", "groups")


def scene(seed: int, sizes: list[int], spread: float = 0.3) -> tuple[np.ndarray, ...]:
    """Points in blobs, one per group; the first group is the background (-1) over the whole room."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)) - 1, sizes)
    centers = rng.uniform(-4, 4, (len(sizes), 3))
    points = centers[groups + 1] + rng.normal(0, spread, (len(groups), 3))
    features = rng.normal(size=(len(groups), 4)).astype(np.float32)
    return points, features, rng.uniform(0.5, 3, len(groups)), groups


scenes = st.builds(
    scene,
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 120), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.002, 0.3]),
)


@settings(deadline=None, max_examples=60)
@given(scenes, st.integers(1, 300), st.integers(1, 12))
def test_budget_exact_no_mixing_weights_kept(data: tuple[np.ndarray, ...], budget: int, per_group: int) -> None:
    points, features, weights, groups = data
    proxies = cluster_proxies(points, features, weights, groups, budget, per_group)
    assert len(proxies) == min(budget, len(points))
    assert (proxies.weights > 0).all()
    assert proxies.weights.sum() == pytest.approx(weights.sum(), rel=1e-5)
    present = np.unique(groups)
    if budget >= len(present):
        assert np.array_equal(np.unique(proxies.groups), present)
        for group in present:  # no mixing: what a group brings in, its proxies carry
            own = proxies.groups == group
            total = weights[groups == group].sum()
            assert proxies.weights[own].sum() == pytest.approx(total, rel=1e-5)
            mean = weights[groups == group] @ points[groups == group] / total
            assert proxies.weights[own] @ proxies.positions[own] / total == pytest.approx(mean, abs=1e-4)
            mean = weights[groups == group] @ features[groups == group] / total
            assert proxies.weights[own] @ proxies.features[own] / total == pytest.approx(mean, abs=1e-4)
    else:
        assert set(proxies.groups.tolist()) <= set(present.tolist())


@settings(deadline=None, max_examples=40)
@given(scenes, st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_order_of_the_points_does_not_matter(data: tuple[np.ndarray, ...], budget: int, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(len(data[0]))
    first = cluster_proxies(*data, budget, 5)
    second = cluster_proxies(*(x[shuffled] for x in data), budget, 5)
    assert np.array_equal(second.groups, first.groups)
    for name in ("positions", "weights", "extents"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), rel=1e-5, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 900), min_size=2, max_size=6),
    st.integers(10, 200),
    st.integers(0, 2**32 - 1),
)
def test_moves_with_the_scene(seed: int, sizes: list[int], budget: int, motion: int) -> None:
    """A rotation and a translation of the world move the proxies' centres and change nothing else, nor their order."""
    points, features, weights, groups = scene(seed, sizes)
    rng = np.random.default_rng(motion)
    rotation, shift = Rotation.random(rng=rng).as_matrix(), rng.uniform(-5, 5, 3)
    here = cluster_proxies(points, features, weights, groups, budget, 5)
    there = cluster_proxies(points @ rotation.T + shift, features, weights, groups, budget, 5)
    assert there.positions == pytest.approx(here.positions @ rotation.T + shift, abs=1e-4)
    for name in ("features", "weights", "extents", "groups"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), abs=1e-4)


def test_same_input_same_bytes() -> None:
    data = scene(3, [3000, 400, 50, 5])
    first, second = (cluster_proxies(*data, 100, 5) for _ in range(2))
    assert all(getattr(first, name).tobytes() == getattr(second, name).tobytes() for name in FIELDS)


def test_blobs_become_proxies() -> None:
    """Four tight blobs of one group and a budget of four: one proxy in the middle of each, as wide as the blob."""
    rng = np.random.default_rng(0)
    centers = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 2, 1.0]])
    points = np.repeat(centers, 500, axis=0) + rng.normal(0, 0.05, (2000, 3))
    features = np.repeat(np.eye(4), 500, axis=0)
    proxies = cluster_proxies(points, features, np.ones(2000), np.zeros(2000), 4, 1)
    which = proxies.features.argmax(axis=1)
    assert sorted(which) == [0, 1, 2, 3]
    assert proxies.positions == pytest.approx(centers[which], abs=0.01)
    assert proxies.features == pytest.approx(np.eye(4)[which], abs=1e-4)
    assert proxies.extents == pytest.approx(np.full(4, 0.05 * np.sqrt(3)), rel=0.05)
    assert proxies.weights == pytest.approx(np.full(4, 500))


def test_a_mug_survives_beside_a_wall() -> None:
    """The start count keeps small groups: 20 points of a mug beside 20 000 of a wall still get per_group proxies."""
    rng = np.random.default_rng(1)
    wall = rng.uniform((0, 0, 0), (6, 0.02, 2.5), (20_000, 3))
    mug = rng.uniform((3, -0.5, 0.7), (3.1, -0.4, 0.8), (20, 3))
    points = np.concatenate([wall, mug])
    groups = np.repeat([-1, 7], [20_000, 20])
    proxies = cluster_proxies(points, points, np.ones(len(points)), groups, 450, 5)
    assert np.count_nonzero(proxies.groups == 7) == 5
    assert np.count_nonzero(proxies.groups == -1) == 445
    # A wall of 6 m x 2.5 m in 445 even pieces: sqrt(15 / 445) = 18 cm wide, root-mean-square radius 18 cm / sqrt(6).
    assert np.median(proxies.extents[proxies.groups == -1]) == pytest.approx(0.1836 / np.sqrt(6), rel=0.15)


@pytest.mark.parametrize(
    ("sizes", "budget", "per_group", "counts"),
    [
        ([100, 300], 8, 2, [3, 5]),  # 4 to start with, the other 4 by size: 1 and 3
        ([1, 1000], 10, 5, [1, 9]),  # the group of one point can have no more
        ([10, 10, 10], 2, 5, [1, 1, 0]),  # too many groups: the first of equal ones
        ([5, 80, 6], 1, 5, [0, 1, 0]),
        ([10, 10], 7, 5, [4, 3]),  # 3 each although 5 are asked for; the odd one to the first
        ([4, 4], 100, 5, [4, 4]),
        ([], 10, 5, []),
    ],
)
def test_share_budget(sizes: list[int], budget: int, per_group: int, counts: list[int]) -> None:
    assert share_budget(sizes, budget, per_group).tolist() == counts


def test_the_budget_follows_the_size_of_a_group_as_far_as_its_points_go() -> None:
    # 10 = 2 starts + 8 by 6:2; with two points only, the rest goes to the others.
    assert share_budget([6.0, 2.0], 10, 1, [50, 50]).tolist() == [7, 3]
    assert share_budget([6.0, 2.0], 10, 1, [2, 50]).tolist() == [2, 8]


def test_coinciding_points_keep_the_budget() -> None:
    proxies = cluster_proxies(np.zeros((50, 3)), np.ones((50, 2)), np.ones(50), np.zeros(50), 8, 5)
    assert len(proxies) == 8
    assert (proxies.weights > 0).all()
    assert proxies.weights.sum() == 50
    assert np.isfinite(proxies.positions).all()


def test_empty_and_unusable_input() -> None:
    assert len(cluster_proxies(np.zeros((0, 3)), np.zeros((0, 4)), [], [], 10, 5)) == 0
    good = scene(0, [10])
    with pytest.raises(BadInput, match="differ in length"):
        cluster_proxies(good[0], good[1], good[2][:-1], good[3], 10, 5)
    with pytest.raises(BadInput, match="finite"):
        cluster_proxies(np.where(good[0] == good[0][0, 0], np.nan, good[0]), *good[1:], 10, 5)
    with pytest.raises(BadInput, match="positive"):
        cluster_proxies(*good[:2], -good[2], good[3], 10, 5)
    with pytest.raises(BadInput, match="budget"):
        cluster_proxies(*good, 0, 5)


def test_more_groups_than_budget() -> None:
    """Of four groups the two largest keep a proxy; what the others hold goes to the nearest one."""
    points = np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [9, 0, 0], [9.1, 0, 0], [1, 0, 0], [8, 0, 0.0]])
    groups = np.array([5, 5, 5, 3, 3, 1, 2])
    proxies = cluster_proxies(points, points, np.ones(7), groups, 2, 5)
    assert proxies.groups.tolist() == [3, 5]
    assert proxies.weights.tolist() == [3, 4]
    assert proxies.positions[:, 0] == pytest.approx([26.1 / 3, 1.3 / 4], abs=1e-5)


def test_a_moved_lattice() -> None:
    """Regular points are full of ties; a box sampled on a grid still gets the same proxies after a motion."""
    axes = np.arange(12) * 0.05, np.arange(9) * 0.05, np.arange(5) * 0.05
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = np.concatenate([points, [[1.3, 0.4, 0.9], [0.2, 1.1, -0.3]]])  # or the box would have no front
    features, weights, groups = points, np.ones(len(points)), np.zeros(len(points))
    rotation = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    here = cluster_proxies(points, features, weights, groups, 30, 5)
    there = cluster_proxies(points @ rotation.T + (3, -2, 1), features, weights, groups, 30, 5)
    assert there.positions == pytest.approx(here.positions @ rotation.T + (3, -2, 1), abs=1e-4)
    assert there.features == pytest.approx(here.features, abs=1e-4)


def test_narrow_clusters() -> None:
    """As narrow as those of textbook k-means (SciPy, k-means++ seeds, the mean of ten runs) on surfaces of a room."""
    rng = np.random.default_rng(2)
    floor = rng.uniform((-3, -2, 0), (3, 2, 0.01), (4000, 3))
    wall = rng.uniform((-3, 2, 0), (3, 2.01, 2.5), (2500, 3))
    ball = rng.normal(0, 1, (1500, 3))
    points = np.concatenate([floor, wall, 0.4 * ball / np.linalg.norm(ball, axis=1, keepdims=True) + (0, 0, 0.4)])

    def squares(label: np.ndarray) -> float:
        center = np.stack([points[label == k].mean(axis=0) for k in np.unique(label)])
        return float(((points - center[np.unique(label, return_inverse=True)[1]]) ** 2).sum())

    ours = cluster_points(points, np.ones(len(points)), np.zeros(len(points)), 80, 5).label
    runs = [squares(kmeans2(points, 80, iter=50, minit="++", rng=i)[1]) for i in range(10)]
    assert squares(ours) <= 1.01 * np.mean(runs)


@pytest.mark.data
def test_real_room(data_dir: Path) -> None:
    """What random scenes promise, on patches of a recorded kitchen: budget, groups, motion, order."""
    sequence = open_sequence(data_dir / "redkitchen")
    level = estimate_up(sequence)
    points, groups = [], []
    for record in sequence.sample(12):
        frame = level_frame(record, sequence, level)
        found = patch_points(frame, (32, 42))
        points.append(found.points[found.valid])
        groups.append(patch_masks(frame.labels, (32, 42))[found.valid])
    place, group = np.concatenate(points).astype(np.float64), np.concatenate(groups).astype(np.int64)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(place))
    here = cluster_points(place, weights, group, 450, 5)
    assert len(here.groups) == 450
    assert np.array_equal(here.groups[here.label], group)
    assert set(np.unique(here.label)) == set(range(450))
    rotation = Rotation.from_euler("xyz", [0.4, 1.2, -2.0]).as_matrix()
    there = cluster_points(place @ rotation.T + (2, 3, -1), weights, group, 450, 5)
    assert np.array_equal(there.label, here.label)
    shuffled = np.random.default_rng(1).permutation(len(place))
    again = cluster_points(place[shuffled], weights[shuffled], group[shuffled], 450, 5)
    assert np.array_equal(again.label, here.label[shuffled])

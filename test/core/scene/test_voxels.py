"""The voxel map: means, votes, carving, memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxy3d_core.geometry import Intrinsics
from proxy3d_core.perception.observation import NO_CLASS, NO_VOTE, Observation
from proxy3d_core.scene.snapshot import PENDING
from proxy3d_core.scene.voxels import CARVE_PERIOD, VoxelMap, pack, unpack

K = Intrinsics(160, 120, 146.0, 146.0, 79.5, 59.5)


def seen(
    points: np.ndarray, labels: int = NO_VOTE, stamp: int = 0, depth: float = 0.0, score: float = 1.0
) -> Observation:
    """Points in the fixed frame, seen by a camera at the origin that looks along z; all around it ``depth`` metres."""
    points = np.atleast_2d(points).astype(np.float32)
    image = np.full((K.height, K.width), depth, np.float32)
    return Observation(
        stamp_ns=stamp,
        pose=np.eye(4),
        intrinsics=K,
        depth=image,
        near_depth=image,
        reach=depth,
        points=points,
        normals=np.tile(np.float32([0, 0, -1]), (len(points), 1)),
        colors=np.tile(np.float32([10, 20, 30]), (len(points), 1)),
        labels=np.full(len(points), labels, np.int32),
        scores=np.full(len(points), score, np.float32),
    )


@given(st.lists(st.tuples(*[st.integers(-(2**20), 2**20 - 1)] * 3), min_size=1, max_size=50))
def test_keys_hold_the_coordinates_and_their_order(cells: list[tuple[int, int, int]]) -> None:
    array = np.array(sorted(cells), dtype=np.int64)
    keys = pack(array)
    assert (unpack(keys) == array).all()
    assert (np.diff(keys) >= 0).all()


def test_the_mean_of_a_voxel_is_the_mean_of_its_points() -> None:
    voxels = VoxelMap(0.1, 1000)
    points = np.random.default_rng(0).uniform(0.0, 0.1, (40, 3)) + np.array([1.0, 2.0, 3.0])
    for part in np.split(points, 4):
        voxels.fuse(seen(part), 0.1)
    assert len(voxels) == 1
    (row,) = voxels.rows
    assert np.allclose(voxels.position[row], points.mean(axis=0), atol=1e-4)
    assert np.allclose(voxels.appearance[row], [0, 0, -1, 10, 20, 30])
    assert np.isclose(voxels.seen[row], 0.4)


def test_a_vote_counts_as_much_as_it_is_sure() -> None:
    voxels, point = VoxelMap(0.1, 1000), np.array([0.05, 0.05, 1.05])
    for label, score in ((7, 0.9), (7, 0.8), (3, 0.4), (3, 0.4), (3, 0.4)):
        voxels.fuse(seen(point, label, score=score), 0.1)
    (row,) = voxels.rows
    votes = dict(zip(voxels.slot_label[row].tolist(), voxels.slot_weight[row].tolist(), strict=True))
    assert np.isclose(votes[7], 0.17) and np.isclose(votes[3], 0.12)


def test_votes_are_counted_in_seconds_and_the_rare_ones_give_way() -> None:
    voxels = VoxelMap(0.1, 1000)
    for label, times in ((7, 30), (3, 10), (NO_CLASS, 5), (1, 1), (2, 1), (4, 1)):
        for _ in range(times):
            voxels.fuse(seen(np.array([0.05, 0.05, 1.05]), label), 0.1)
    (row,) = voxels.rows
    kept = dict(zip(voxels.slot_label[row].tolist(), voxels.slot_weight[row].tolist(), strict=True))
    assert np.isclose(kept[7], 3.0) and np.isclose(kept[3], 1.0)
    assert np.isclose(voxels.background[row], 0.5)
    # Space-Saving: the newest label takes over the least slot with its weight, an upper bound of its own.
    assert 4 in kept and sum(w for label, w in kept.items() if label not in (7, 3)) <= 0.31


def test_a_voxel_is_removed_when_the_depth_around_it_lies_behind_it_for_long_enough() -> None:
    voxels = VoxelMap(0.05, 1000)
    voxels.fuse(seen(np.array([0.0, 0.0, 1.0])), 0.5)
    voxels.owner[voxels.rows] = 9
    for _ in range(4):
        assert len(voxels.carve(seen(np.zeros((0, 3)), depth=3.0), CARVE_PERIOD, 0.5)) == 0
    assert voxels.carve(seen(np.zeros((0, 3)), depth=3.0), CARVE_PERIOD, 0.5).tolist() == [9]
    assert len(voxels) == 0


def test_hidden_out_of_view_and_unmeasured_are_not_empty() -> None:
    voxels = VoxelMap(0.05, 1000)
    voxels.fuse(seen(np.array([[0.0, 0.0, 2.0], [0.0, 0.0, -1.0], [9.0, 0.0, 1.0]])), 0.5)
    for depth in (1.0, 2.0, 0.0):  # something in front, the thing itself, nothing measured
        for _ in range(20):
            voxels.carve(seen(np.zeros((0, 3)), depth=depth), CARVE_PERIOD, 0.5)
    assert len(voxels) == 3


def test_a_hit_forgets_that_the_place_was_seen_empty() -> None:
    voxels = VoxelMap(0.05, 1000)
    point = np.array([0.0, 0.0, 1.0])
    voxels.fuse(seen(point), 0.5)
    for _ in range(20):
        voxels.carve(seen(np.zeros((0, 3)), depth=3.0), CARVE_PERIOD, 0.5)
        voxels.fuse(seen(point), 0.1)
    assert len(voxels) == 1


def test_every_voxel_is_carved_in_turn_whatever_the_frame_rate() -> None:
    points = np.stack([np.linspace(-0.3, 0.3, 50), np.zeros(50), np.full(50, 1.0)], axis=1)
    voxels = VoxelMap(0.01, 1000)
    voxels.fuse(seen(points), 0.5)
    for _ in range(60):  # 60 frames of 1/60 s: one second, twice what it takes
        voxels.carve(seen(np.zeros((0, 3)), depth=3.0), 1 / 60, 0.5)
    assert len(voxels) == 0


def test_the_voxels_unseen_for_longest_are_evicted() -> None:
    voxels = VoxelMap(0.1, 100)
    for i in range(30):
        line = np.stack([np.arange(10) * 0.1 + 0.05, np.full(10, i * 0.1 + 0.05), np.full(10, 1.0)], axis=1)
        voxels.fuse(seen(line, stamp=i), 0.1)
        voxels.evict()
        assert len(voxels) <= 100
    assert voxels.last_ns[voxels.rows].min() >= 20


def test_rows_are_reused_clean() -> None:
    voxels = VoxelMap(0.1, 10)
    for i in range(50):
        voxels.fuse(seen(np.array([i * 0.1 + 0.05, 0.0, 1.0]), 5, stamp=i), 0.1)
        voxels.evict()
    assert len(voxels.count) <= 4096
    assert np.allclose(voxels.slot_weight[voxels.rows].sum(axis=1), 0.1)


def test_saved_and_loaded_it_is_the_same() -> None:
    voxels = VoxelMap(0.1, 1000)
    voxels.fuse(seen(np.random.default_rng(1).uniform(-2, 2, (200, 3)), 3), 0.2)
    other = VoxelMap(0.1, 1000)
    other.load_state_dict(voxels.state_dict())
    for name, column in voxels.state_dict().items():
        assert (other.state_dict()[name] == column).all(), name


def test_owners_of_removed_voxels_are_not_given_to_their_successors() -> None:
    voxels = VoxelMap(0.1, 1000)
    voxels.fuse(seen(np.array([0.05, 0.05, 1.05])), 0.5)
    keys, rows = voxels.keys.copy(), voxels.rows.copy()
    voxels.owner[rows] = 1
    voxels.forget(1, last_ns=0)
    voxels.fuse(seen(np.array([5.05, 0.05, 1.05])), 0.5)  # may take the same row
    voxels.assign(keys, rows, np.array([1]))
    assert (voxels.owner[voxels.rows] == PENDING).all()

"""Proxies of a stream, against sums and geometry done by hand and against clustering everything at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.cluster import cluster_proxies
from proxy3d_core.proxies.streaming import LEVELS, Occupied, ProxyMap, cell_keys, cells_of, levels_of, raise_keys
from proxy3d_core.proxies.triplets import Triplets

RESOLUTION = 0.025


def triplets(points, groups=0, features=None, weights=None) -> Triplets:
    points = np.asarray(points, np.float32).reshape(-1, 3)
    n = len(points)
    return Triplets(
        np.zeros((n, 2), np.float32) if features is None else np.asarray(features),
        points,
        np.broadcast_to(np.asarray(groups, np.int64), n).copy(),
        np.ones(n, np.float32) if weights is None else np.asarray(weights, np.float32),
    )


def room(rng: np.random.Generator, n: int) -> Triplets:
    """Patches of a floor, two walls and six boxes; the feature is the position, so that its mean can be checked."""
    which = rng.integers(0, 9, n)
    p = rng.uniform(0, 1, (n, 3)) * [5, 4, 2.5]
    p[which == 0, 2] = 0
    p[which == 1, 0] = 0
    p[which == 2, 1] = 0
    for i in range(6):
        mine = which == 3 + i
        side = 0.1 + 0.15 * i
        p[mine] = np.array([0.7 * i + 0.3, 1 + 0.4 * i, 0.4]) + side * (p[mine] / [5, 4, 2.5])
    return triplets(p, np.where(which < 3, -1 - which, which), np.concatenate([p, p**2], axis=1).astype(np.float32))


def parts(all_of: Triplets, chunks) -> list[Triplets]:
    return [Triplets(all_of.features[c], all_of.points[c], all_of.groups[c], all_of.weights[c]) for c in chunks]


def occupied(atoms: ProxyMap, cells, groups) -> Occupied:
    return Occupied(np.asarray(cells, np.int64).reshape(-1, 3), np.asarray(groups, np.int64), atoms.updates)


def filled(chunks, budget=100, per_group=5) -> ProxyMap:
    atoms = ProxyMap(chunks[0].features.shape[1], budget, per_group, RESOLUTION)
    for chunk in chunks:
        atoms.update(chunk)
    return atoms


def test_an_atom_is_the_weighted_mean_of_what_fell_into_its_cell():
    atoms = ProxyMap(2, 10, 2, 1.0)
    atoms.update(triplets([[0.2, 0.2, 0.2], [0.6, 0.2, 0.2]], 3, [[1, 0], [5, 2]], [1, 3]))
    atoms.update(triplets([[0.4, 0.6, 0.2]], 3, [[3, 4]], [4]))
    assert len(atoms) == 1
    saved = atoms.state_dict()
    assert saved["weight"] == pytest.approx([8])
    np.testing.assert_allclose(saved["position"], [[(0.2 + 1.8 + 1.6) / 8, (0.2 + 0.6 + 2.4) / 8, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(saved["feature"], [[(1 + 15 + 12) / 8, (0 + 6 + 16) / 8]], rtol=1e-6)
    points, w = np.array([[0.2, 0.2, 0.2], [0.6, 0.2, 0.2], [0.4, 0.6, 0.2]]), np.array([1, 3, 4.0])
    middle = w @ points / w.sum()
    assert saved["scatter"] == pytest.approx([w @ ((points - middle) ** 2).sum(axis=1)], rel=1e-5)


@given(st.integers(0, LEVELS), st.integers(0, 2**31))
def test_cells_nest(level, seed):
    cells = np.random.default_rng(seed).integers(-(2 ** (LEVELS - 1)), 2 ** (LEVELS - 1), (20, 3))
    at = np.full(20, level)
    keys = cell_keys(cells, np.zeros(20, np.int64))
    np.testing.assert_array_equal(raise_keys(keys, at), cell_keys(cells, at))
    np.testing.assert_array_equal(levels_of(cell_keys(cells, at)), at)
    same_key = cell_keys(cells, at)[:, None] == cell_keys(cells, at)[None]
    same_cell = ((cells[:, None] + 2 ** (LEVELS - 1)) // 2**level == (cells[None] + 2 ** (LEVELS - 1)) // 2**level).all(
        2
    )
    np.testing.assert_array_equal(same_key, same_cell)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 8))
def test_budget_is_exact_and_nothing_is_lost(seed, budget, per_group):
    everything = room(np.random.default_rng(seed), 3000)
    atoms = filled(parts(everything, np.array_split(np.arange(3000), 7)), budget, per_group)
    proxies = atoms.proxies()
    assert len(atoms) <= max(atoms.capacity, 9)
    assert len(proxies) == budget
    kept = np.isin(everything.groups, proxies.groups)
    assert atoms.weight == pytest.approx(3000, rel=1e-6)
    if budget >= 9:
        assert kept.all(), "a group lost its last proxy"
        for group in np.unique(everything.groups):
            mine = proxies.groups == group
            own = everything.groups == group
            assert proxies.weights[mine].sum() == pytest.approx(own.sum(), rel=1e-4)
            # no proxy mixes groups: the weighted means of a group's proxies give the mean of its triplets
            mean = proxies.weights[mine] @ proxies.features[mine] / own.sum()
            np.testing.assert_allclose(mean, everything.features[own].mean(axis=0), rtol=2e-3, atol=2e-3)


def test_the_feature_is_averaged_over_the_same_triplets_as_the_position():
    proxies = filled(parts(room(np.random.default_rng(1), 20_000), np.array_split(np.arange(20_000), 30))).proxies()
    np.testing.assert_allclose(proxies.features[:, :3], proxies.positions, atol=2e-4)


def test_the_extent_counts_what_lies_within_an_atom():
    points = np.array([[0.1, 0.1, 0.1], [0.7, 0.1, 0.1]])
    atoms = ProxyMap(2, 10, 1, 1.0)
    atoms.update(triplets(points))
    assert atoms.proxies().extents == pytest.approx([0.3])


def test_chunks_do_not_matter_while_cells_are_fine():
    everything = room(np.random.default_rng(2), 800)
    whole = filled([everything]).state_dict()
    chunked = filled(parts(everything, np.array_split(np.random.default_rng(3).permutation(800), 11))).state_dict()
    for name in whole:
        np.testing.assert_allclose(whole[name], chunked[name], rtol=1e-5, atol=1e-6)


def scatter(proxies, everything: Triplets) -> float:
    """Mean squared distance of the triplets from the nearest proxy of their group."""
    total = 0.0
    for group in np.unique(everything.groups):
        p, c = everything.points[everything.groups == group], proxies.positions[proxies.groups == group]
        total += ((p[:, None] - c[None]) ** 2).sum(axis=2).min(axis=1).sum()
    return total / len(everything)


def test_streamed_is_nearly_as_good_as_everything_at_once_in_any_order():
    rng = np.random.default_rng(4)
    everything = room(rng, 20_000)
    offline = cluster_proxies(everything.points, everything.features, everything.weights, everything.groups, 100, 5)
    best = scatter(offline, everything)
    by_place = np.argsort(everything.points[:, 0])  # as a camera that passes through
    for order in (np.arange(20_000), rng.permutation(20_000), by_place, by_place[::-1]):
        streamed = filled(parts(everything, np.array_split(order, 40))).proxies()
        np.testing.assert_array_equal(np.unique(streamed.groups), np.unique(offline.groups))
        assert scatter(streamed, everything) < 1.15 * best


def test_memory_and_atoms_stay_bounded_on_a_long_way():
    rng = np.random.default_rng(5)
    atoms = ProxyMap(4, 50, 3, RESOLUTION)
    for i in range(300):  # a kilometre of corridor, one new object every ten metres
        p = rng.uniform(0, 1, (200, 3)) * [4, 2, 2] + [3.4 * i, 0, 0]
        group = np.where(rng.random(200) < 0.3, 1 + i // 30, -1)
        atoms.update(triplets(p, group, np.ones((200, 4), np.float32)))
        assert len(atoms) <= atoms.capacity
    assert sum(a.nbytes for a in vars(atoms).values() if isinstance(a, np.ndarray)) < 200_000
    assert len(atoms.proxies()) == 50
    assert atoms.weight == pytest.approx(60_000)
    np.testing.assert_allclose(atoms.proxies().features, 1, rtol=1e-4)


def test_groups_merge_split_appear_and_go_with_their_atoms():
    atoms = ProxyMap(1, 50, 1, 1.0)
    at = np.array([[0.5, 0, 0], [1.5, 0, 0], [2.5, 0, 0], [5.5, 0, 0], [8.5, 0, 0]])
    atoms.update(triplets(at, [7, 7, 8, -1, 9], np.arange(5, dtype=np.float32)[:, None], [1, 2, 3, 4, 5]))
    # 7 splits: its second part is 10 now. 8 merges into 7. Background becomes 11. The place of 9 is empty.
    atoms.regroup(occupied(atoms, [[0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 0, 0]], [7, 10, 7, 11]))
    proxies = atoms.proxies()
    by_group = {g: sorted(proxies.features[proxies.groups == g, 0].tolist()) for g in set(proxies.groups.tolist())}
    assert by_group == {7: [0, 2], 10: [1], 11: [3]}
    assert atoms.weight == pytest.approx(1 + 2 + 3 + 4)


def test_what_shares_a_cell_keeps_its_group_and_merged_atoms_add_up():
    atoms = ProxyMap(1, 50, 1, 1.0)
    atoms.update(triplets([[0.2, 0, 0], [0.8, 0, 0]], [1, 2], [[0.0], [4.0]], [1, 3]))
    atoms.regroup(occupied(atoms, [[0, 0, 0]] * 3, [1, 2, 2]))
    assert len(atoms) == 2, "both groups still have a part in the cell"
    atoms.regroup(occupied(atoms, [[0, 0, 0]] * 2, [1, 1]))
    assert atoms.state_dict()["feature"].tolist() == [[3.0]]
    assert atoms.state_dict()["position"][0] == pytest.approx([(0.2 + 2.4) / 4, 0, 0], rel=1e-6)


def test_an_atom_beside_its_surface_is_not_taken_for_empty():
    atoms = ProxyMap(2, 50, 1, 0.025)
    atoms.update(triplets([[0.51, 0.51, 0.51], [2, 2, 2]], 1))
    atoms.regroup(occupied(atoms, cells_of(np.array([[0.535, 0.51, 0.51]]), 0.025), [5]))  # 2.5 cm further on
    assert atoms.state_dict()["groups"].tolist() == [5] and atoms.weight == 1
    atoms.regroup(occupied(atoms, [], []))
    assert len(atoms) == 0 and len(atoms.proxies()) == 0


def test_what_was_seen_since_is_not_taken_for_empty():
    atoms = ProxyMap(2, 50, 1, 1.0)
    atoms.update(triplets([[0, 0, 0], [10, 0, 0]], 1))
    now = occupied(atoms, [[0, 0, 0]], [1])
    atoms.update(triplets([[20, 0, 0]], 1))
    atoms.regroup(now)
    assert sorted(atoms.state_dict()["position"][:, 0]) == [0, 20]


def test_a_thing_too_small_for_a_patch_takes_the_nearest_atom_that_can_be_spared():
    atoms = ProxyMap(1, 50, 1, 1.0)
    at = np.array([[0.5, 0.5, 0.5], [4.5, 0.5, 0.5], [9.5, 0.5, 0.5]])
    atoms.update(triplets(at, [7, -1, -1], np.arange(3, dtype=np.float32)[:, None]))
    there = [[0, 0, 0], [4, 0, 0], [9, 0, 0], [1, 0, 0]]
    for _ in range(2):  # and has it still when the map is gone through again
        atoms.regroup(occupied(atoms, there, [7, -1, -1, 8]))
        proxies = atoms.proxies()
        by_group = dict(zip(proxies.groups.tolist(), proxies.features[:, 0].tolist(), strict=True))
        assert by_group == {7: 0, 8: 1, -1: 2}, "that of 7 is nearer to 8, but its only one"


def test_what_is_away_waits_unseen():
    atoms = ProxyMap(2, 50, 1, 0.1)
    atoms.update(triplets([[1, 0, 0], [4, 0, 0]], [1, 2]))
    atoms.regroup(occupied(atoms, cells_of(np.array([[4.0, 0, 0]]), 0.1), [2]), away={1})
    assert atoms.weight == 2
    assert atoms.proxies(without={1}).groups.tolist() == [2]


def test_a_moved_thing_takes_its_atoms_along():
    atoms = ProxyMap(1, 50, 1, 0.1)
    atoms.update(triplets([[1, 0, 0], [1.5, 0, 0], [0, 3, 0]], [4, 4, -1], [[1.0], [2.0], [9.0]]))
    turn = np.array([[0, -1, 0, 10.0], [1, 0, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    atoms.move(4, turn)
    proxies = atoms.proxies()
    mine = proxies.groups == 4
    order = np.argsort(proxies.features[mine, 0])
    np.testing.assert_allclose(proxies.positions[mine][order], [[10, 1, 0.5], [10, 1.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(proxies.positions[~mine], [[0, 3, 0]], atol=1e-6)
    atoms.update(triplets([[10, 1, 0.5]], 4, [[3.0]]))  # seen at the new place: the same atom
    assert len(atoms) == 3 and sorted(atoms.state_dict()["weight"]) == [1, 1, 2]


def test_saved_atoms_come_back_and_go_on():
    everything = room(np.random.default_rng(6), 6000)
    first, second = parts(everything, np.array_split(np.arange(6000), 2))
    atoms = filled([first])
    loaded = ProxyMap(6, 100, 5, RESOLUTION)
    loaded.load_state_dict(atoms.state_dict())
    for one in (atoms, loaded):
        one.update(second)
    for name, column in atoms.state_dict().items():
        np.testing.assert_allclose(loaded.state_dict()[name], column, rtol=1e-6, atol=1e-9)
    before = loaded.state_dict()
    damaged = {**before, "keys": before["keys"][::-1]}
    with pytest.raises(ValueError, match="sorted"):
        loaded.load_state_dict(damaged)
    np.testing.assert_array_equal(loaded.state_dict()["keys"], before["keys"])


def test_half_precision_features_are_averaged_in_single():
    n = 3000
    feature = np.full((n, 1), 1 + 2**-10, np.float16)
    atoms = filled([triplets(np.full((n, 3), 0.01), 0, feature)], 1)
    assert atoms.proxies().features[0, 0] == pytest.approx(
        1 + 2**-10, abs=5e-5
    )  # in half precision the sum would end at 2048


def test_bad_input_is_refused_and_changes_nothing():
    atoms = filled([triplets([[0, 0, 0]])])
    with pytest.raises(BadInput, match="channels"):
        atoms.update(triplets([[0, 0, 0]], 0, np.zeros((1, 3), np.float32)))
    with pytest.raises(BadInput, match="local frame"):
        atoms.update(triplets([[1e6, 0, 0]]))
    with pytest.raises(BadInput, match="finite"):
        triplets([[np.nan, 0, 0]])
    with pytest.raises(BadInput, match="positive"):
        triplets([[0, 0, 0]], weights=[0])
    atoms.update(triplets(np.zeros((0, 3))))
    assert len(atoms) == 1


def test_cells_of_is_the_floor():
    np.testing.assert_array_equal(cells_of(np.array([[-0.01, 0.0, 0.06]]), 0.025), [[-1, 0, 2]])

"""Eq. 5: the order of reading, on graphs worked out by hand and as a property of real and random proxies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.serialise import neighbour_gap, scene_origin, serialise
from proxy3d_core.scene.snapshot import ProxySet


def proxies(positions: np.ndarray, groups: np.ndarray | None = None, weights: np.ndarray | None = None) -> ProxySet:
    n = len(positions)
    return ProxySet(
        positions=np.asarray(positions, np.float32),
        features=np.zeros((n, 1), np.float32),
        weights=np.ones(n, np.float32) if weights is None else np.asarray(weights, np.float32),
        extents=np.zeros(n, np.float32),
        groups=np.zeros(n, np.int64) if groups is None else np.asarray(groups, np.int64),
    )


def line(xs: list[float]) -> np.ndarray:
    return np.column_stack([xs, np.zeros(len(xs)), np.zeros(len(xs))])


def test_breadth_first_by_distance() -> None:
    """Few enough that all are neighbours of the root: nearest first."""
    assert serialise(proxies(line([3.0, 0.0, 1.0, -2.0])), (0.1, 0, 0)).tolist() == [1, 2, 3, 0]


def test_a_row_is_walked_in_rings() -> None:
    """Of 30 on a row each is joined to the three on either side: from the end it is read in order."""
    assert serialise(proxies(line(list(range(30)))), (-1, 0, 0)).tolist() == list(range(30))


def test_groups_stay_together_and_the_nearest_is_first() -> None:
    positions = np.concatenate([line([5.0, 5.2, 5.1]), line([1.0, 1.2]), line([-3.0, -3.1])])
    order = serialise(proxies(positions, np.array([7, 7, 7, -1, -1, 2, 2])), (0, 0, 0))
    # The middle group is nearest, at 1.1; then 7, 4 m away, and 2 at 4.15 m. Inside each group the first is the one
    # nearest to the proxy before.
    assert order.tolist() == [3, 4, 0, 2, 1, 5, 6]


def test_separate_parts_are_bridged_at_their_nearest_pair() -> None:
    """Two rows of ten, a gap of 5 m between: the far row is entered at its near end."""
    order = serialise(proxies(line([*range(10), *range(14, 24)])), (0, 0, 0))
    assert order[10:].tolist() == list(range(10, 20))


rooms = st.builds(
    lambda seed, n, groups, duplicates: (
        np.round(np.random.default_rng(seed).uniform(-4, 4, (n, 3)), 0 if duplicates else 6),
        np.random.default_rng(seed + 1).integers(-1, groups, n),
    ),
    st.integers(0, 2**32 - 1),
    st.integers(1, 150),
    st.integers(0, 12),
    st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(rooms)
def test_visits_everything_once_group_by_group(room: tuple[np.ndarray, np.ndarray]) -> None:
    positions, groups = room
    order = serialise(proxies(positions, groups))
    assert sorted(order.tolist()) == list(range(len(positions)))
    in_order = groups[order]
    assert np.count_nonzero(np.diff(in_order)) == len(np.unique(groups)) - 1
    assert order.tolist() == serialise(proxies(positions, groups)).tolist()


def test_order_of_the_input_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    positions, groups = rng.uniform(-4, 4, (300, 3)), rng.integers(-1, 9, 300)
    shuffled = rng.permutation(300)
    first = serialise(proxies(positions, groups), (0, 0, 0))
    second = serialise(proxies(positions[shuffled], groups[shuffled]), (0, 0, 0))
    assert np.array_equal(shuffled[second], first)


def test_keeps_neighbours_nearer_than_random_and_group_major_order() -> None:
    """A room of 700 proxies: the floor and 30 things of 10 proxies, whose ids say nothing about their places."""
    rng = np.random.default_rng(0)
    floor = rng.uniform((-4, -3, 0), (4, 3, 0.02), (400, 3))
    things = rng.uniform((-4, -3, 0), (4, 3, 1), (30, 1, 3)) + rng.normal(0, 0.15, (30, 10, 3))
    positions = np.concatenate([floor, things.reshape(-1, 3)])
    groups = np.repeat(np.concatenate([[-1], rng.permutation(30)]), [400] + [10] * 30)
    kept = proxies(positions, groups)
    ours = neighbour_gap(positions, serialise(kept))
    scattered = neighbour_gap(positions, rng.permutation(700))
    group_major = neighbour_gap(positions, np.lexsort((rng.random(700), groups)))
    assert ours < scattered / 1.5
    assert ours < group_major / 1.2


def test_neighbour_gap_by_hand() -> None:
    """Three on a row, all neighbours of each other: gaps 1, 2, 1, 1, 2, 1 in order."""
    assert neighbour_gap(line([0, 1, 2.5]), [0, 1, 2]) == pytest.approx(8 / 6)


def test_origin() -> None:
    placed = proxies(np.array([[0, 0, 1.0], [3, 6, 0.2]]), weights=np.array([2, 1.0]))
    assert scene_origin(placed) == pytest.approx([1, 2, 0.2])
    assert scene_origin(placed, floor=-0.1) == pytest.approx([1, 2, -0.1])
    assert scene_origin(ProxySet.empty()).tolist() == [0, 0, 0]


def test_nothing_and_nonsense() -> None:
    assert serialise(ProxySet.empty()).tolist() == []
    assert serialise(proxies(np.zeros((1, 3)))).tolist() == [0]
    with pytest.raises(BadInput, match="origin"):
        serialise(proxies(np.zeros((2, 3))), (0, np.nan, 0))

"""Masks merged over frames, against rooms of boxes: which mask showed what is known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from rooms import K, Room, Thing, walk

from proxy3d_core.frame import Frame
from proxy3d_core.geometry import unproject
from proxy3d_core.scene.instances import UNMASKED, InstanceMap, stuff_group

# Two monitors side by side that touch, and a chair.
LEFT = Thing("monitor", (0.0, -0.25, 0.9), (0.1, 0.5, 0.4))
RIGHT = Thing("monitor", (0.0, 0.25, 0.9), (0.1, 0.5, 0.4))
CHAIR = Thing("chair", (-1.0, 0.9, 0.4), (0.4, 0.4, 0.8))
THINGS = [LEFT, RIGHT, CHAIR]


def view(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Points in the fixed frame and, per pixel, which thing is seen (1, 2, 3; 0 = the room)."""
    points = unproject(frame.depth, K) @ frame.pose[:3, :3].T + frame.pose[:3, 3]
    true = np.zeros(frame.depth.shape, int)
    for i, thing in enumerate(THINGS):
        true[(np.abs(points - thing.box.center) < thing.box.size / 2 + 1e-3).all(axis=-1)] = i + 1
    return points, true


@pytest.fixture(scope="module")
def views() -> list[tuple[np.ndarray, np.ndarray]]:
    return [view(frame) for frame in walk(Room(THINGS), seconds=4.0)]


def joined(true: np.ndarray) -> np.ndarray:
    """The masks of a segmenter that takes the two monitors for one thing."""
    return np.where(true == 2, 1, true)


def halves(true: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The masks of a segmenter that cuts the chair in two."""
    return np.where((true == 3) & (points[..., 2] > 0.4), 4, true)


def shuffled(masks: np.ndarray, seed: int) -> np.ndarray:
    """The same masks under other numbers: numbers mean nothing across frames."""
    numbers = np.concatenate([[0], 1 + np.random.default_rng(seed).permutation(9)])
    return numbers[masks]


def groups_of(instances: InstanceMap, views: list[tuple[np.ndarray, np.ndarray]]) -> dict[int, list[int]]:
    """Groups that hold at least a tenth of each thing's pixels, most first."""
    group = np.concatenate([instances.groups_at(points).reshape(-1) for points, _ in views])
    thing = np.concatenate([true.reshape(-1) for _, true in views])
    out = {}
    for i in (1, 2, 3):
        values, counts = np.unique(group[thing == i], return_counts=True)
        order = np.argsort(-counts)
        out[i] = [int(v) for v in values[order] if counts[values == v][0] > 0.1 * counts.sum()]
    return out


@pytest.mark.parametrize("order", ["as seen", "backward", "random"])
def test_each_thing_gets_one_group_in_any_order_of_frames(
    views: list[tuple[np.ndarray, np.ndarray]], order: str
) -> None:
    at = {"as seen": np.arange(len(views)), "backward": np.arange(len(views))[::-1]}.get(order)
    if at is None:
        at = np.random.default_rng(3).permutation(len(views))
    instances = InstanceMap()
    for n, i in enumerate(at):
        points, true = views[i]
        instances.update(shuffled(true, n), points)
    found = groups_of(instances, views)
    assert all(len(groups) == 1 and groups[0] > 0 for groups in found.values()), found
    assert len({groups[0] for groups in found.values()}) == 3


def test_what_an_update_returns_is_the_group_of_each_pixel(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    instances = InstanceMap()
    for n, (points, true) in enumerate(views):
        groups = instances.update(shuffled(true, n), points)
        assert groups.shape == true.shape and groups.dtype == np.int64
        assert (groups == instances.groups_at(points)).all()
    first = groups_of(instances, views)
    points, true = views[0]
    valid = np.ones(true.shape, bool)
    valid[:, ::2] = False  # no depth there
    points = np.where(valid[..., None], points, np.nan)
    groups = instances.update(true, points, valid)
    for i in np.unique(true[true > 0]):
        assert (groups[(true == i) & ~valid] == first[int(i)][0]).all()
    assert (groups[(true == 0) & ~valid] == UNMASKED).all()


def test_a_mask_over_two_known_things_does_not_join_them(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    instances = InstanceMap()
    for n, (points, true) in enumerate(views):
        instances.update(joined(true) if n % 4 == 3 else true, points)
    found = groups_of(instances, views)
    assert len(found[1]) == len(found[2]) == 1
    assert found[1] != found[2]
    evidence = instances.evidence_at(np.array([LEFT.center, RIGHT.center]) - [0.051, 0.0, 0.0])
    assert evidence.groups.tolist() == [found[1][0], found[2][0]]
    assert evidence.two.tolist() == [[False, True], [True, False]]


def test_two_things_first_taken_for_one_come_apart_when_more_frames_say_so(
    views: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    instances = InstanceMap()
    for points, true in views[:8]:
        instances.update(joined(true), points)
    assert groups_of(instances, views[:8])[1] == groups_of(instances, views[:8])[2]
    for _ in range(2):
        for points, true in views:
            instances.update(true, points)
    found = groups_of(instances, views)
    assert found[1][0] != found[2][0]


def test_pieces_become_one_when_it_is_seen_whole_more_often(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    instances = InstanceMap()
    for n, (points, true) in enumerate(views * 2):
        instances.update(halves(true, points) if n % 4 == 0 else true, points)
    assert len(groups_of(instances, views)[3]) == 1


def test_stuff_has_groups_of_its_own(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    floor, wall, thing = 7, 8, 1
    instances = InstanceMap(stuff={floor, wall})
    for points, true in views:
        on_floor = (true == 0) & (points[..., 2] < 0.01)
        labels = np.where(true > 0, thing, np.where(on_floor, floor, -1))
        labels[(true == 0) & (points[..., 0] > 2.99)] = wall  # a mask of its own; the floor is in no mask
        masks = np.where(labels == wall, 9, true)
        groups = instances.update(masks, points, labels=labels)
        for where, group in (
            (labels == wall, stuff_group(wall)),
            (labels == floor, stuff_group(floor)),
            (labels == -1, UNMASKED),  # the side walls
        ):
            share = (groups[where] == group).mean() if where.sum() > 500 else 1.0
            assert share > 0.8, (group, share)
    assert len({stuff_group(floor), stuff_group(wall), UNMASKED}) == 3


def test_memory_is_bounded(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    instances = InstanceMap(max_voxels=3000, max_groups=20)
    rng = np.random.default_rng(0)
    for points, _ in views * 2:
        instances.update(rng.integers(0, 40, (12, 16)).repeat(10, 0).repeat(10, 1), points + rng.normal(size=3) * 5)
        assert len(instances) <= 3000
        assert instances.group_count <= 20 + 40


def test_saved_and_loaded_it_goes_on_as_before(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    first, second = InstanceMap(), InstanceMap()
    for points, true in views[:20]:
        first.update(true, points)
    saved = first.state_dict()
    second.load_state_dict(saved)
    for points, true in views[20:]:
        assert (first.update(true, points) == second.update(true, points)).all()
    with pytest.raises(KeyError):
        second.load_state_dict({k: v for k, v in saved.items() if k != "votes"})
    for name, damaged in (
        ("votes", saved["votes"][:-1]),
        ("keys", saved["keys"][::-1]),
        ("slots", saved["slots"] + 99),
    ):
        with pytest.raises(ValueError, match="instances"):
            second.load_state_dict({**saved, name: damaged})


def test_nothing_known_is_no_group() -> None:
    instances = InstanceMap()
    assert instances.groups_at(np.zeros((4, 3))).tolist() == [0, 0, 0, 0]
    assert instances.update(np.zeros((2, 2), int), np.full((2, 2, 3), np.nan)).tolist() == [[-1, -1], [-1, -1]]
    evidence = instances.evidence_at(np.zeros((4, 3)))
    assert evidence.groups.tolist() == [0, 0, 0, 0] and evidence.two.shape == (0, 0)

"""The proxies of the live scene: they belong to the objects they lie on, and follow what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from rooms import Room, Thing, plain_scene, see, walk

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, MapError
from proxy3d_core.scene.snapshot import FLOOR, WALL, ProxySet
from proxy3d_core.scene.state import SceneState

TABLE = Thing("table", (0.0, 0.0, 0.36), (1.4, 0.8, 0.72), color=(40, 120, 60))
SOFA = Thing("sofa", (-2.2, 0.6, 0.4), (0.9, 1.8, 0.8), color=(60, 90, 160))
BIN = Thing("trash can", (1.2, 1.9, 0.2), (0.3, 0.3, 0.4), color=(170, 40, 40))
MOVED = Thing(BIN.label, (-1.0, -1.8, 0.2), BIN.size, color=BIN.color)


def of(scene: SceneState, label: str) -> ProxySet:
    """The proxies of the one object with this label."""
    (thing,) = [o for o in scene.snapshot().present if o.label == label]
    proxies = scene.snapshot().proxies
    mine = proxies.groups == thing.id
    return ProxySet(
        *(getattr(proxies, name)[mine] for name in ("positions", "features", "weights", "extents", "groups"))
    )


@pytest.fixture(scope="module")
def scene() -> SceneState:
    return see(Room([TABLE, SOFA, BIN], noise=0.002))


@pytest.mark.parametrize("thing", [TABLE, SOFA, BIN], ids=lambda t: t.label)
def test_an_object_s_proxies_lie_on_it_and_look_like_it(scene: SceneState, thing: Thing) -> None:
    proxies = of(scene, thing.label)
    assert len(proxies) >= 5
    assert thing.box.contains(proxies.positions, margin=0.05).all()
    lab = cv2.cvtColor(np.float32([[thing.color]]) / 255, cv2.COLOR_RGB2LAB)[0, 0] / 100
    mean = proxies.weights @ proxies.features[:, :3] / proxies.weights.sum()
    np.testing.assert_allclose(mean, lab, atol=0.1)  # patches on its outline also show what is beside it


def test_the_budget_is_exact_and_the_rest_of_the_room_has_its_share(scene: SceneState) -> None:
    proxies = scene.snapshot().proxies
    assert len(proxies) == Config().proxies.budget
    floor, wall = proxies.positions[proxies.groups == FLOOR], proxies.positions[proxies.groups == WALL]
    assert len(floor) > 20 and np.abs(floor[:, 2]).max() < 0.1
    assert len(wall) > 20
    to_wall = np.minimum(3 - np.abs(wall[:, 0]), 2.5 - np.abs(wall[:, 1]))
    assert np.abs(to_wall).max() < 0.1
    for thing in (TABLE, SOFA, BIN):
        on_it = thing.box.contains(proxies.positions, margin=0.02) & (proxies.positions[:, 2] > 0.1)
        assert proxies.weights[on_it & (proxies.groups < 0)].sum() < 0.05 * proxies.weights[on_it].sum()


def test_proxies_go_with_what_was_taken_away() -> None:
    scene = see(Room([TABLE, SOFA, BIN]))
    see(Room([TABLE, SOFA]), scene, start=10.0)
    assert not BIN.box.contains(scene.snapshot().proxies.positions, margin=-0.03).any()


def test_proxies_follow_what_was_moved() -> None:
    scene = see(Room([TABLE, SOFA, BIN]))
    before = of(scene, BIN.label)
    see(Room([TABLE, SOFA, MOVED]), scene, start=10.0)
    after = of(scene, BIN.label)
    assert MOVED.box.contains(after.positions, margin=0.1).all()
    assert set(after.groups) == set(before.groups), "the id stays"
    assert after.weights.sum() > 1.2 * before.weights.sum(), "what was learned at the old place was carried along"


def test_a_saved_map_brings_its_proxies_back(scene: SceneState) -> None:
    meta, arrays = scene.state_dict()
    for other in (plain_scene(), SceneState(read_only=True)):
        other.load_state_dict(meta, arrays)
        was, now = scene.snapshot().proxies, other.snapshot().proxies
        np.testing.assert_allclose(now.positions, was.positions, atol=1e-5)
        np.testing.assert_allclose(now.features, was.features, atol=1e-5)
        np.testing.assert_array_equal(now.groups, was.groups)


def test_a_map_of_another_encoder_is_refused_but_can_be_read(scene: SceneState) -> None:
    meta, arrays = scene.state_dict()
    meta = {**meta, "encoder": {**meta["encoder"], "name": "a tower"}}
    node = plain_scene()
    with pytest.raises(MapError, match=r"'a tower'.*encoder\.source"):
        node.load_state_dict(meta, arrays)
    assert len(node.snapshot().proxies) == 0
    reader = SceneState(read_only=True)
    reader.load_state_dict(meta, arrays)
    assert len(reader.snapshot().proxies) == Config().proxies.budget
    with pytest.raises(BadInput, match="read only"):
        reader.update(next(iter(walk(Room([TABLE])))))


def test_a_reset_forgets_them(scene: SceneState) -> None:
    other = plain_scene()
    other.load_state_dict(*scene.state_dict())
    other.reset()
    assert len(other.snapshot().proxies) == 0


def test_depth_alone_makes_proxies_too() -> None:
    scene = plain_scene()
    for frame in walk(Room([TABLE, SOFA])):
        scene.update(replace(frame, rgb=None))
    scene.refresh()
    assert len(scene.snapshot().proxies) == Config().proxies.budget

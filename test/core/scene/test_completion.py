"""Amodal completion: what the network is told of a thing, and what becomes of its box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from proxy3d_core.errors import ModelError
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import yaw_matrix
from proxy3d_core.scene.completion import TRAITS, BoxCompletion, Outline, as_seen, shipped
from proxy3d_core.scene.structure import WallPlane

WALL = WallPlane(np.array([0.0, -1.0]), -2.3, -5.0, 5.0)
"""At y = 2.3, the room before it."""


def front_of(box: OrientedBox) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals of a face towards -y and of the upper one: 10 x 10 each."""
    u, v = (g.ravel() for g in np.meshgrid(np.linspace(-0.5, 0.5, 10), np.linspace(-0.5, 0.5, 10)))
    half = np.full_like(u, 0.5)
    local = np.concatenate([np.stack([u, -half, v], 1), np.stack([u, v, half], 1)])
    normals = np.repeat([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0]], 100, axis=0)
    points = box.center + (local * box.size) @ box.rotation.T
    return points.astype(np.float32), (normals @ box.rotation.T).astype(np.float32)


def cupboard(label: str = "cabinet", yaw: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> Outline:
    """0.5 m x 1 m x 1.2 m on the floor, of which the camera saw front and top; its back is 0.3 m before a wall."""
    box = OrientedBox((0, 1.5, 0.6), (0.5, 1.0, 1.2), np.eye(3))
    points, normals = front_of(box)
    turn = yaw_matrix(yaw)
    shift = np.array([*at, 0.0])
    moved = OrientedBox(turn @ box.center + shift, box.size, turn)
    normal = turn[:2, :2] @ WALL.normal
    wall = WallPlane(normal, WALL.offset + float(normal @ np.array(at)), -50.0, 50.0)
    return Outline.of(label, moved, (points @ turn.T + shift).astype(np.float32), normals @ turn.T, 0.0, [wall])


def test_the_longer_edge_comes_first_and_axes_point_to_the_camera() -> None:
    """The longer edge is y; what faces -y was seen, so the first axis is -y, and the wall is behind it: 2.3 - 2 m."""
    outline = cupboard()
    np.testing.assert_allclose(outline.axes[:, 0], [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(outline.axes[:, 2], [0, 0, 1], atol=1e-9)
    traits = outline.traits
    assert traits.shape == (TRAITS,)
    np.testing.assert_allclose(traits[:3], [1.0, 0.5, 1.2], atol=1e-6)
    np.testing.assert_allclose(traits[6:9], [0.5, 0, 0.5], atol=1e-6)  # half of the points face -y, half up
    np.testing.assert_allclose(traits[9:12], 0, atol=1e-6)
    np.testing.assert_allclose(traits[12:14], [0, 1.2], atol=1e-6)
    np.testing.assert_allclose(traits[14:18], [0.6, 0.3, 0.6, 0.6], atol=1e-5)  # before, behind, at either side


def test_faces_move_outwards_along_the_axes() -> None:
    """0.1 m towards the camera (-y), 0.3 m up to the wall, 0.2 m to one side, 0.4 m up, and down through the floor."""
    outline = cupboard()
    side = outline.axes[0, 1]  # which way along x is the second axis
    box = outline.moved(np.array([0.1, 0.2, 0.4, 0.3, 0.0, 0.5]))
    np.testing.assert_allclose(box.center, [side * 0.1, 1.6, 0.8], atol=1e-9)
    np.testing.assert_allclose(box.size, [0.7, 1.4, 1.6], atol=1e-9)
    np.testing.assert_allclose(box.rotation, np.eye(3))
    low = outline.moved(np.array([-5.0, 0, 0, 0, 0, 0]))
    assert (low.size > 0.1).all(), "some of each edge stays"


def test_where_a_thing_stands_makes_no_difference() -> None:
    here = shipped()(cupboard())
    turned, shift = yaw_matrix(0.5), np.array([3.0, -2.0, 0.0])
    there = shipped()(cupboard(yaw=0.5, at=(3.0, -2.0)))
    np.testing.assert_allclose(there.center, turned @ here.center + shift, atol=1e-3)
    np.testing.assert_allclose(np.sort(there.size), np.sort(here.size), atol=1e-3)
    assert not np.allclose(here.size, cupboard().box.size, atol=1e-3), "a cabinet is a kind that it knows"


def test_unknown_kinds_stay_as_they_were_seen() -> None:
    outline = cupboard("zeppelin")
    assert shipped()(outline) is outline.box
    assert as_seen(cupboard()).size.tolist() == [0.5, 1.0, 1.2]


def weights(kinds: int = 1) -> dict[str, np.ndarray]:
    """Of a network that moves every upper face by 0.25 m and nothing else."""
    shapes = {"0": (8, 2 + TRAITS), "1": (8, 8), "2": (6, 8)}
    zeros = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    bias = {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    bias["2.bias"][2] = 0.25
    norm = {"mean": np.zeros(TRAITS, np.float32), "scale": np.ones(TRAITS, np.float32)}
    return zeros | bias | norm | {"kinds": np.zeros((kinds, 2), np.float32)}


def test_a_network_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"names": ["cabinet"]}')
    save_file(weights(), tmp_path / "model.safetensors")
    box = BoxCompletion.load(tmp_path)(cupboard())
    np.testing.assert_allclose([*box.center, *box.size], [0, 1.5, 0.725, 0.5, 1.0, 1.45], atol=1e-6)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="copy its files anew"):
        BoxCompletion.load(tmp_path)
    with pytest.raises(ModelError, match="2 names"):
        BoxCompletion(["cabinet", "sofa"], weights())
    short = weights()
    del short["1.bias"]
    with pytest.raises(ModelError, match=r"1\.bias"):
        BoxCompletion(["cabinet"], short)

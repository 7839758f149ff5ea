"""Doorways: two sides and nothing between them are one opening."""

from __future__ import annotations

import numpy as np
import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.scene.snapshot import SceneObject


def posts(*sides: float, x: float = 1.5) -> list[Thing]:
    """Sides of doorways at these y, 2 m high."""
    return [Thing("doorway", (x, y, 1.0), (0.16, 0.12, 2.0)) for y in sides]


def doorways(things: list[Thing]) -> list[SceneObject]:
    room, scene = Room(things), plain_scene()
    for i in range(12):
        y = -0.6 + 0.1 * i
        scene.update(room.render(look((-1.6, y, 1.3), (1.5, 0.0, 0.9)), i * 0.2))
    scene.refresh()
    return [o for o in scene.snapshot().present if o.label == "doorway"]


def test_two_sides_are_one_doorway() -> None:
    (found,) = doorways(posts(-0.5, 0.5))
    np.testing.assert_allclose(sorted(found.box.size), (0.16, 1.12, 2.0), atol=0.1)
    np.testing.assert_allclose(found.box.center, (1.5, 0.0, 1.0), atol=0.08)


def test_wall_that_was_taken_for_a_side_is_cut_off() -> None:
    wall = Thing("doorway", (1.5, 1.0, 1.0), (0.16, 0.9, 2.0))  # 0.55 to 1.45
    (found,) = doorways([*posts(-0.5), wall])
    assert sorted(found.box.size)[1] == pytest.approx(0.99 + 0.2, abs=0.12)  # inner edges, and the rim of both sides


def test_narrow_openings_first_and_each_side_once() -> None:
    """Three sides in a row: the narrow opening; a side that is left is none."""
    (found,) = doorways(posts(-1.2, 0.0, 0.8))
    assert max(found.box.size[:2]) == pytest.approx(0.92, abs=0.1)


def test_what_was_seen_all_across_needs_no_sides() -> None:
    (found,) = doorways([Thing("doorway", (1.5, 0.0, 1.05), (0.16, 0.9, 2.1))])
    assert sorted(found.box.size)[1:] == pytest.approx([0.9, 2.1], abs=0.1)


@pytest.mark.parametrize(
    "things",
    [
        [*posts(-0.5, 0.5), Thing("panel", (1.5, 0.0, 1.0), (0.06, 0.8, 2.0))],
        posts(-1.1, 1.1),
        [*posts(-0.5), *posts(0.5, x=0.7)],
    ],
    ids=["closed", "too wide", "not in one wall"],
)
def test_two_sides_that_are_no_opening(things: list[Thing]) -> None:
    assert not doorways(things)

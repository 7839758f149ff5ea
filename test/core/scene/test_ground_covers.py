"""A rug is what is left of it around the things that stand on it, and lies on the floor."""

from __future__ import annotations

import numpy as np
import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.scene.state import SceneState

RUG = Thing("rug", (1.6, 0.0, 0.01), (1.4, 2.4, 0.02), color=(150, 40, 40))
BENCHES = [Thing("bench", (1.6, y, 0.2), (1.4, 0.3, 0.4)) for y in (-0.55, 0.1, 0.75)]


def drive(things: list[Thing]) -> SceneState:
    room, scene = Room(things), plain_scene()
    for i in range(30):
        y = -1.2 + 0.08 * i
        scene.update(room.render(look((-0.8, y, 1.6), (1.6, 0.5 * y, 0.1)), i * 0.1))
    scene.refresh()
    return scene


def test_what_is_left_of_a_rug_between_things_is_one_rug() -> None:
    rugs = [o for o in drive([RUG, *BENCHES]).snapshot().objects if o.label == "rug"]
    assert len(rugs) == 1
    np.testing.assert_allclose(np.sort(rugs[0].box.size[:2]), (1.4, 2.4), atol=0.2)


def test_rugs_of_two_corners_are_two() -> None:
    far = [Thing("rug", (1.6, y, 0.01), (1.0, 0.8, 0.02)) for y in (-1.1, 1.1)]
    assert [o.label for o in drive(far).snapshot().objects].count("rug") == 2


@pytest.mark.parametrize("height", [0.3, 0.8])
def test_nothing_off_the_floor_is_a_rug(height: float) -> None:
    """What a segmenter calls a rug on a table is something else; the table stays whole."""
    table = Thing("table", (1.6, 0.0, height / 2), (0.8, 1.4, height))
    cloth = Thing("rug", (1.6, 0.0, height + 0.03), (0.4, 0.5, 0.06))
    labels = [o.label for o in drive([table, cloth]).snapshot().objects]
    assert "rug" not in labels
    assert labels.count("table") == 1

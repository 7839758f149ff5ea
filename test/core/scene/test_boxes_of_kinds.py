"""What a kind implies for a box: sheets are thin whatever the depth noise, lamps stand on poles that nobody sees."""

from __future__ import annotations

import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.scene.snapshot import SceneObject


def found(thing: Thing, noise: float = 0.0) -> SceneObject:
    room, scene = Room([thing], noise=noise), plain_scene()
    for i in range(16):
        y = -0.8 + 0.1 * i
        scene.update(room.render(look((-0.2, y, 1.4), (*thing.center[:2], thing.center[2])), i * 0.2))
    scene.refresh()
    (one,) = [o for o in scene.snapshot().present if o.label == thing.label]
    return one


@pytest.mark.parametrize(("label", "thick"), [("picture", False), ("whiteboard", True)])
def test_a_sheet_is_thinner_than_its_noise(label: str, thick: bool) -> None:
    """One standard deviation of depth is 1 cm at this distance; only a picture is known to be a sheet."""
    box = found(Thing(label, (2.97, 0.0, 1.4), (0.03, 0.9, 0.7)), noise=0.001).box
    assert (min(box.size) > 0.035) == thick
    assert sorted(box.size)[1:] == pytest.approx([0.7, 0.9], abs=0.12)


@pytest.mark.parametrize(("label", "bottom"), [("floor lamp", 0.0), ("wall lamp", 1.2)])
def test_the_shade_of_a_floor_lamp_stands_on_the_floor(label: str, bottom: float) -> None:
    box = found(Thing(label, (1.2, 0.0, 1.35), (0.4, 0.4, 0.3))).box
    assert box.bottom == pytest.approx(bottom, abs=0.06)
    assert box.top == pytest.approx(1.5, abs=0.06)

"""What a kind implies for a box: sheets are thin whatever the depth noise, lamps stand on poles that nobody sees."""

from __future__ import annotations

import numpy as np
import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.scene.snapshot import SceneObject


def found(thing: Thing, *more: Thing, noise: float = 0.0, aside: float = 0.8) -> SceneObject:
    """What is found by a camera that moves that many metres to either side."""
    room, scene = Room([thing, *more], noise=noise), plain_scene()
    for i in range(16):
        y = aside * (i / 8 - 1)
        scene.update(room.render(look((-0.2, y, 1.4), (*thing.center[:2], thing.center[2])), i * 0.2))
    scene.refresh()
    (one,) = [o for o in scene.snapshot().present if o.label == thing.label]
    return one


@pytest.mark.parametrize(("label", "thick"), [("picture", False), ("whiteboard", True)])
def test_a_sheet_is_thinner_than_its_noise(label: str, thick: bool) -> None:
    """One standard deviation of depth is 1 cm at this distance; only a picture is known to be a sheet."""
    box = found(Thing(label, (2.985, 0.0, 1.4), (0.03, 0.9, 0.7)), noise=0.001).box
    assert min(box.size) == pytest.approx(0.03, abs=0.01) or thick
    assert (min(box.size) > 0.045) == thick
    assert sorted(box.size)[1:] == pytest.approx([0.7, 0.9], abs=0.12)


def test_a_curtain_ends_where_most_of_it_does() -> None:
    """Before and behind it its points are noise here, and in a room the window and the sill."""
    thing = Thing("curtain", (2.3, 0.0, 1.3), (0.06, 0.9, 1.6))
    box, other = found(thing, noise=0.003).box, found(Thing("guitar", thing.center, thing.size), noise=0.003).box
    assert min(box.size) == pytest.approx(0.06, abs=0.01) and min(box.size) < 0.85 * min(other.size)
    assert sorted(box.size)[1:] == pytest.approx(sorted(other.size)[1:], abs=0.03)


@pytest.mark.parametrize(
    ("x", "yaw", "back"),
    [
        (2.88, 0.0, 3.0),  # its front is 22 cm from the wall at x = 3 and hides the rest
        (2.5, 0.0, None),  # 60 cm: who knows
        (2.6, 0.5, None),  # askew before it
    ],
)
def test_what_stands_at_a_wall_reaches_it(x: float, yaw: float, back: float | None) -> None:
    """Of a cabinet higher than the camera there is a front only."""
    box = found(Thing("cabinet", (x, 0.0, 1.0), (0.2, 0.6, 2.0), yaw), aside=0.1).box
    ends = box.corners[:, 0].min(), box.corners[:, 0].max()
    if back is None:
        assert ends[1] < 2.85
    else:
        assert ends == pytest.approx((x - 0.1, back), abs=0.02)


@pytest.mark.parametrize(("label", "deep"), [("trash can", True), ("box", False)])
def test_a_round_thing_is_as_deep_as_wide(label: str, deep: bool) -> None:
    """Of a thing higher than the camera there is a front only; nobody knows how deep a box is."""
    box = found(Thing(label, (1.5, 0.0, 0.9), (0.5, 0.5, 1.8)), aside=0.1).box
    assert box.corners[:, 0].min() == pytest.approx(1.25, abs=0.03)
    assert (np.ptp(box.corners[:, 0]) == pytest.approx(0.5, abs=0.06)) == deep


@pytest.mark.parametrize(("label", "bottom"), [("floor lamp", 0.0), ("wall lamp", 1.2)])
def test_the_shade_of_a_floor_lamp_stands_on_the_floor(label: str, bottom: float) -> None:
    box = found(Thing(label, (1.2, 0.0, 1.35), (0.4, 0.4, 0.3))).box
    assert box.bottom == pytest.approx(bottom, abs=0.06)
    assert box.top == pytest.approx(1.5, abs=0.06)


@pytest.mark.parametrize(
    ("label", "x", "ends"),
    [
        ("monitor", 1.5, (1.39, 1.61)),  # a foot of 22 cm, as far before the panel as behind it
        ("monitor", 2.95, (2.925, 3.0)),  # there is no room for one: it hangs on the wall
    ],
)
def test_a_screen_stands_on_a_foot(label: str, x: float, ends: tuple[float, float]) -> None:
    box = found(Thing(label, (x, 0.0, 1.1), (0.05, 0.6, 0.4))).box
    assert (box.corners[:, 0].min(), box.corners[:, 0].max()) == pytest.approx(ends, abs=0.035)


@pytest.mark.parametrize(("label", "top"), [("door", 2.1), ("doorway", 2.1), ("window", 2.0), ("cabinet", 1.5)])
def test_a_door_is_as_high_as_doors_are(label: str, top: float) -> None:
    assert found(Thing(label, (2.9, 0.0, 0.75), (0.1, 1.0, 1.5))).box.top == pytest.approx(top, abs=0.05)


@pytest.mark.parametrize(("label", "bottom"), [("radiator", 0.12), ("box", 0.0)])
def test_a_radiator_hangs_over_the_floor(label: str, bottom: float) -> None:
    """Of what ends so low on the floor the lowest part was not seen."""
    assert found(Thing(label, (2.5, 0.0, 0.42), (0.1, 0.9, 0.6))).box.bottom == pytest.approx(bottom, abs=0.03)


def test_a_rug_is_a_centimetre_thick() -> None:
    box = found(Thing("rug", (1.5, 0.0, 0.005), (1.2, 1.6, 0.01))).box
    assert box.size[2] == pytest.approx(0.01, abs=0.006)


def test_leaves_reach_farther_than_they_are_seen() -> None:
    thing = Thing("potted plant", (1.2, 0.0, 0.4), (0.5, 0.5, 0.8))
    leafy, plain = found(thing).box, found(Thing("box", thing.center, thing.size)).box
    assert leafy.size == pytest.approx(np.add(plain.size, (0.1, 0.1, 0.0)), abs=0.04)


@pytest.mark.parametrize("toward", [-1, 1])
def test_a_laptop_s_keys_lie_where_its_lid_leans_from(toward: int) -> None:
    """A lid in three steps, 30 cm wide, each farther from the keys, which are named as the table."""
    steps = [Thing("laptop", (1.2 - toward * 0.02 * i, 0.0, 0.81 + 0.07 * i), (0.02, 0.3, 0.07)) for i in range(3)]
    table = Thing("table", (1.2, 0.0, 0.375), (0.8, 1.2, 0.75))
    box = found(steps[0], *steps[1:], table).box
    assert np.ptp(box.corners[:, 0]) == pytest.approx(0.95 * 0.3, abs=0.05)
    assert (box.center[0] - 1.2) * toward == pytest.approx(0.07, abs=0.05)

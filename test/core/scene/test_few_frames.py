"""The live scene from keyframes far apart: few looks, wide pixels, pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import K, Room, Thing, look, plain_scene

from proxy3d_core.frame import Frame
from proxy3d_core.scene.snapshot import SceneObject
from proxy3d_core.scene.state import SceneState

BOX = Thing("box", (0.0, 0.0, 0.3), (0.6, 0.6, 0.6), color=(40, 120, 60))
POSTS = [Thing("goal", (1.5, y, 1.0), (0.12, 0.1, 2.0)) for y in (-0.5, 0.5)]


def show(frames: list[Frame]) -> SceneState:
    scene = plain_scene()
    for frame in frames:
        scene.update(frame)
    scene.refresh()
    return scene


def of(scene: SceneState, label: str) -> list[SceneObject]:
    return [o for o in scene.snapshot().present if o.label == label]


def views(
    things: list[Thing], eyes: list[tuple[float, float, float]], target: tuple[float, float, float]
) -> list[Frame]:
    """A frame a second, the camera at one eye after the other."""
    room = Room(things)
    return [room.render(look(eye, target), float(i)) for i, eye in enumerate(eyes)]


def test_two_looks_from_two_sides_are_enough() -> None:
    (found,) = of(show(views([BOX], [(-1.8, 0.2, 1.2), (1.8, -0.2, 1.2)], (0, 0, 0.3))), "box")
    assert found.box.iou(BOX.box) > 0.7


def test_one_look_is_enough_for_a_sure_name_alone() -> None:
    """Every third row of what is seen of the box says something else."""
    frames = views([BOX], [(-1.8, 0.2, 1.2)] * 2, (0, 0, 0.3))
    away = replace(frames[1], pose=look((-1.8, 0.2, 1.2), (-2.9, 1.5, 0.6)))
    nothing = Room([]).render(away.pose, 1.0)
    assert of(show([frames[0], nothing]), "box")
    labels = frames[0].labels
    assert labels is not None
    doubted = np.where(np.arange(len(labels))[:, None] % 3 == 0, 0, labels)
    assert not of(show([replace(frames[0], labels=doubted), nothing]), "box")


@pytest.mark.parametrize("sides", [2, 3])
def test_what_nothing_names_needs_a_longer_look(sides: int) -> None:
    """From three sides its top is seen for three looks, and a voxel for more than one on average; most for just one."""
    eyes = [(-1.8, 0.2, 1.2), (1.8, -0.2, 1.2), (0.2, 1.8, 1.2)][:sides]
    plain = [replace(f, labels=None) for f in views([BOX], eyes, (0, 0, 0.3))]
    assert not show(plain).snapshot().present
    again = [replace(f, stamp_ns=f.stamp_ns + 10**10) for f in plain]
    assert any(o.box.iou(BOX.box) > 0.6 for o in show([*plain, *again]).snapshot().present)


def test_far_away_pixels_lie_wider_apart_than_voxels_and_still_make_one_thing() -> None:
    board = Thing("whiteboard", (2.9, 0.0, 1.2), (0.05, 1.6, 1.0))
    frames = views([board], [(-1.1, 1.6, 1.3), (-1.2, 1.5, 1.2)], (2.9, 0.0, 1.2))
    assert 4.3 / K.fx > 0.028, "voxels of 25 mm have gaps, more so at an angle"
    (found,) = of(show(frames), "whiteboard")
    assert sorted(found.box.size)[-1] == pytest.approx(1.6, abs=0.15)


def test_pieces_seen_as_one_thing_are_one() -> None:
    """The posts of a goal: the mask says what geometry cannot."""
    frames = views(POSTS, [(-1.2, y, 1.3) for y in (-0.4, 0.0, 0.4)], (1.5, 0.0, 1.0))
    assert len(of(show(frames), "goal")) == 2
    masked = [replace(f, instances=np.where(f.labels > 0, 7, 0).astype(np.int32)) for f in frames]
    (found,) = of(show(masked), "goal")
    assert max(found.box.size[:2]) == pytest.approx(1.1, abs=0.1)


def test_things_in_masks_of_their_own_stay_two() -> None:
    frames = views(POSTS, [(-1.2, y, 1.3) for y in (-0.4, 0.0, 0.4)], (1.5, 0.0, 1.0))
    sides = [np.arange(K.width) < K.width / 2 + shift for shift in (-14, 0, 14)]  # the gap between them
    masked = [
        replace(f, instances=np.where(f.labels > 0, np.where(left, 1, 2), 0).astype(np.int32))
        for f, left in zip(frames, sides, strict=True)
    ]
    assert len(of(show(masked), "goal")) == 2


def test_a_thing_came_into_view_when_more_than_a_speck_was_there() -> None:
    """Looked past for a second, then a speck where its top will be, then the box from two sides."""
    speck = Thing("box", (0.0, 0.0, 0.59), (0.02, 0.02, 0.02))
    eye, other, target = (-1.8, 0.2, 1.2), (1.8, -0.2, 1.2), (0.0, 0.0, 0.3)
    before = [Room([]).render(look(eye, (-2.9, 1.5, 0.6)), 0.0), Room([speck]).render(look(eye, target), 1.0)]
    after = [Room([BOX]).render(look(at, target), stamp) for at, stamp in ((eye, 2.0), (other, 3.0))]
    labels = before[1].labels
    assert labels is not None and 0 < np.count_nonzero(labels == labels.max()) < 30
    (found,) = of(show([*before, *after]), "box")
    assert found.first_seen_ns == 2_000_000_000

"""Things of one kind that touch, in the live scene: told apart by boxes or instance images, not by class labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import Room, Thing, look, plain_scene

from proxy3d_core.frame import Detection2D, Frame
from proxy3d_core.geometry import unproject
from proxy3d_core.scene.state import SceneState

DESK = Thing("desk", (1.6, 0.0, 0.70), (0.6, 1.6, 0.05))
MONITORS = [Thing("monitor", (1.7, y, 0.945), (0.06, 0.5, 0.38), color=(30, 30, 40)) for y in (-0.25, 0.25)]
CHAIRS = [Thing("chair", (1.5, y, 0.45), (0.5, 0.5, 0.9), color=(150, 40, 40)) for y in (-0.5, 0.0, 0.5)]


def instances(frame: Frame, things: list[Thing]) -> np.ndarray:
    """(H, W) 1 + the number of the thing that each pixel shows."""
    points = unproject(frame.depth, frame.intrinsics) @ frame.pose[:3, :3].T + frame.pose[:3, 3]
    out = np.zeros(frame.depth.shape, np.int32)
    for i, thing in enumerate(things, start=1):
        local = (points - thing.box.center) @ thing.box.rotation
        out[(np.abs(local) < thing.box.size / 2 + 0.02).all(axis=-1) & (frame.labels > 0)] = i
    return out


def boxes(frame: Frame, things: list[Thing]) -> tuple[Detection2D, ...]:
    """What a 2D detector says: a box around what is seen of each thing."""
    seen = instances(frame, things)
    found = []
    for i, thing in enumerate(things, start=1):
        v, u = np.nonzero(seen == i)
        if len(v) > 40:
            found.append(Detection2D(thing.label, 0.9, u.min(), v.min(), u.max() + 1, v.max() + 1))
    return tuple(found)


def drive(things: list[Thing], semantics: str) -> SceneState:
    """Past the things, looking at them, with what the robot's model gives."""
    room, scene = Room(things, noise=0.0005), plain_scene()
    for i in range(40):
        y = -1.2 + 0.06 * i
        frame = room.render(look((-0.6, y, 1.2), (1.6, 0.3 * y, 0.7)), i * 0.1)
        if semantics == "boxes":
            frame = replace(frame, labels=None, detections=boxes(frame, things))
        elif semantics == "instances":
            # The numbers change from frame to frame.
            numbers = np.concatenate([[0], 1 + np.random.default_rng(i).permutation(len(things))])
            frame = replace(frame, instances=numbers[instances(frame, things)])
        scene.update(frame)
    scene.refresh()
    return scene


@pytest.mark.parametrize("semantics", ["boxes", "instances"])
@pytest.mark.parametrize(("things", "label", "edge"), [([DESK, *MONITORS], "monitor", 0.5), (CHAIRS, "chair", 0.5)])
def test_touching_things_are_several(things: list[Thing], label: str, edge: float, semantics: str) -> None:
    found = [o for o in drive(things, semantics).snapshot().present if o.label == label]
    true = [t for t in things if t.label == label]
    assert len(found) == len(true)
    for thing in true:
        nearest = min(found, key=lambda o: float(np.linalg.norm(o.box.center - thing.box.center)))
        assert abs(nearest.box.center[1] - thing.center[1]) < 0.08
        assert max(nearest.box.size[:2]) == pytest.approx(edge, abs=0.1)


def test_class_labels_alone_do_not_tell_them_apart() -> None:
    (pair,) = (o for o in drive([DESK, *MONITORS], "labels").snapshot().present if o.label == "monitor")
    assert max(pair.box.size[:2]) == pytest.approx(1.0, abs=0.1)


def test_they_stay_several_in_a_saved_map() -> None:
    scene, again = drive([DESK, *MONITORS], "boxes"), plain_scene()
    again.load_state_dict(*scene.state_dict())
    pairs = [sorted(o.id for o in s.snapshot().present if o.label == "monitor") for s in (scene, again)]
    assert len(pairs[0]) == 2 and pairs[0] == pairs[1]

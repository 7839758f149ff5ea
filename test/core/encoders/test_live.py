"""The live scene with a model: frames do not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rooms import Room, Thing, look

from proxy3d_core.config import Config
from proxy3d_core.frame import Frame
from proxy3d_core.scene.state import SceneState


class Held:
    """An encoder that does not answer until it may; counts what it is asked."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self.may, self.asked = encoder, threading.Event(), 0
        self.name, self.channels, self.grid = encoder.name, encoder.channels, encoder.grid

    def encode(self, images: Any) -> Any:
        self.asked += 1
        assert self.may.wait(30)
        return self._encoder.encode(images)


@pytest.fixture
def scene(checkpoints: dict[str, Path]) -> Iterator[SceneState]:
    live = SceneState(Config.from_flat({"encoder.source": str(checkpoints["dinov2"])}), background=True)
    live._encoder = Held(live._encoder)
    yield live
    live._encoder.may.set()
    live.close()


def frames(count: int) -> list[Frame]:
    room = Room([Thing("chair", (1.0, 0.0, 0.45), (0.5, 0.5, 0.9), color=(200, 40, 40))])
    views = [look((-1.5, y, 1.5), (1.0, 0.0, 0.3)) for y in np.linspace(-0.5, 0.5, count)]
    return [room.render(pose, i / 10) for i, pose in enumerate(views)]


def test_frames_do_not_wait_for_the_model(scene: SceneState) -> None:
    for frame in frames(12):
        scene.update(frame)
    assert scene.snapshot().frames == 12 and scene._encoder.asked <= 1, "it is still busy with the first"
    assert len(scene.snapshot().proxies) == 0
    scene._encoder.may.set()
    scene.refresh()
    after = scene.snapshot()
    assert [o.label for o in after.present] == ["chair"]
    assert after.present[0].id in after.proxies.groups and after.proxies.features.shape[1] == 32


def test_features_of_a_map_that_was_reset_are_dropped(scene: SceneState) -> None:
    scene.update(frames(1)[0])
    scene.reset()
    scene._encoder.may.set()
    scene.refresh()
    assert len(scene.snapshot().proxies) == 0 and scene._atoms.updates == 0


def test_an_error_of_the_model_is_raised_at_a_later_frame(scene: SceneState) -> None:
    first, second = frames(2)
    scene._encoder.may.set()
    scene._encoder.encode = None
    scene.update(first)
    scene._encoding.submit(int).result(30)  # one thread: what came before is done
    with pytest.raises(TypeError):
        scene.update(second)
    assert scene.snapshot().frames == 2

"""Whose names count: the robot's or the vision model's."""

from __future__ import annotations

import importlib.util

import pytest
from rooms import Room, Thing, look

pytest.importorskip("torch")
pytest.importorskip("transformers")

from proxy3d_core.config import Config
from proxy3d_core.frame import Frame
from proxy3d_core.perception.vision import load_vision
from proxy3d_core.scene.state import SceneState

UNHEARD = "zeppelin"
"""A name that the model does not know."""


def frames(labelled: bool) -> list[Frame]:
    thing = Thing(UNHEARD, (0.0, 0.0, 0.4), (0.8, 0.8, 0.8), color=(60, 90, 160))
    eyes = [(-1.8, 0.2, 1.2), (-1.7, 0.5, 1.2), (1.8, -0.2, 1.2)]
    return [Room([thing]).render(look(e, (0, 0, 0.3)), float(i), labelled=labelled) for i, e in enumerate(eyes)]


def scene(labelled: bool, **settings: str) -> SceneState:
    live = SceneState(Config.from_flat({name.replace("__", "."): value for name, value in settings.items()}))
    for frame in frames(labelled):
        live.update(frame)
    live.refresh()
    return live


@pytest.fixture(scope="module")
def names() -> set[str]:
    return set(load_vision("nano", "cpu").names) - {""}


def test_the_robot_s_names_go_first() -> None:
    live = scene(labelled=True)
    assert live.snapshot().vocabulary == {UNHEARD}
    assert [o.label for o in live.snapshot().present] == [UNHEARD]


def test_without_them_the_model_names_things(names: set[str]) -> None:
    live = scene(labelled=False)
    assert live.snapshot().vocabulary == names
    assert {o.label for o in live.snapshot().present} <= names | {"object"}
    assert live.snapshot().proxies.features.shape[1] == 96 and live.encoder_name == "nano-vision"
    assert "encode" not in live.times.summary(), "one pass gives features and names"


def test_the_robot_s_names_can_be_ignored(names: set[str]) -> None:
    live = scene(labelled=True, input__semantics="model", encoder__source="appearance")
    assert live.snapshot().vocabulary == names
    assert live.encoder_name == "appearance"


def test_names_can_be_done_without() -> None:
    live = scene(labelled=True, input__semantics="none")
    assert not live.snapshot().vocabulary
    assert {o.label for o in live.snapshot().present} <= {"object"}


def test_without_torch_it_maps_by_colour_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    live = scene(labelled=True)
    assert live.encoder_name == "appearance" and "pip install" in live.warning
    assert [o.label for o in live.snapshot().present] == [UNHEARD]

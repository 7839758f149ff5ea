"""The network that completes boxes: what it learns from, that it learns, and that it helps in rooms it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex", reason="the renderer needs the sim extra: pip install 'proxy3d-training[sim]'")
pytest.importorskip("torch")
pytest.importorskip("transformers")

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import yaw_matrix
from proxy3d_core.scene.completion import BoxCompletion, Outline
from proxy3d_training.simulation import simulate as simulation
from proxy3d_training.simulation.generate import Settings
from proxy3d_training.train.boxes import BoxTraining, Example, fit, save, score, train_boxes
from proxy3d_training.train.config import checked, read_config

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def example(label: str, rng: np.random.Generator, hidden: float) -> Example:
    """A thing, turned at random, seen from the front alone; of its depth the share ``hidden`` was not seen."""
    size, yaw = rng.uniform(0.3, 1.2, 3), float(rng.uniform(-0.7, 0.7))
    size[0] = size[1] + rng.uniform(0.1, 0.5)  # wider than deep
    turn = yaw_matrix(yaw)
    truth = OrientedBox(turn @ [*rng.uniform(-3, 3, 2), 0] + [0, 0, size[2] / 2], size, turn)
    seen = size * [1, 1 - hidden, 1]
    box = OrientedBox(truth.center - turn[:, 1] * hidden * size[1] / 2, seen, turn)  # its front is towards -y
    local = rng.uniform(-0.5, 0.5, (200, 3)) * seen
    normals = np.tile(-turn[:, 1], (200, 1))
    points = (box.center + local @ turn.T).astype(np.float32)
    return Example(Outline.of(label, box, points, normals.astype(np.float32), 0.0, []), truth)


def test_moves_lead_from_what_was_seen_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        one = example("safe", rng, 0.4)
        moves = one.moves()
        assert moves is not None
        assert one.outline.moved(moves).iou(one.truth) == pytest.approx(1.0)
    aside = Example(one.outline, OrientedBox(one.truth.center, one.truth.size, one.truth.rotation @ yaw_matrix(0.5)))
    assert aside.moves() is None


def test_it_learns_what_kinds_hide(tmp_path: Path) -> None:
    """Of safes half of the depth is hidden, of crates nothing; of a kind that is seen too seldom nothing is learned."""
    rng = np.random.default_rng(1)
    seen = [example(label, rng, hidden) for label, hidden in [("safe", 0.5), ("crate", 0.0)] for _ in range(400)]
    config = BoxTraining(kind="boxes", rooms=[tmp_path], out=tmp_path, epochs=40)
    network, names = fit([*seen, example("rarity", rng, 0.5)], config)
    assert names == ["crate", "safe"]
    save(network, names, tmp_path)
    completion = BoxCompletion.load(tmp_path)
    others = {
        label: [example(label, rng, hidden) for _ in range(100)] for label, hidden in [("safe", 0.5), ("crate", 0.0)]
    }
    safes = score(completion, others["safe"])
    assert safes["seen"]["iou"] == pytest.approx(0.5, abs=1e-3)  # type: ignore[index]
    assert safes["completed"]["iou"] > 0.85  # type: ignore[index]
    assert score(completion, others["crate"])["completed"]["iou"] > 0.9  # type: ignore[index]


def test_too_few_things_are_no_training(tmp_path: Path) -> None:
    config = BoxTraining(kind="boxes", rooms=[tmp_path], out=tmp_path)
    with pytest.raises(BadInput, match="of 1 things that were seen no kind came 10 times"):
        fit([example("safe", np.random.default_rng(2), 0.5)], config)


@pytest.mark.slow
def test_a_run_plays_rooms(tmp_path: Path) -> None:
    simulation.make(0, Settings(seed=31337, frames=6, flats=0.0), tmp_path / "rooms")
    run = BoxTraining(
        kind="boxes", rooms=[tmp_path / "rooms"], held=[tmp_path / "rooms"], out=tmp_path / "out",
        looks=2, least=1, epochs=30, workers=1,
    )  # fmt: skip
    out = train_boxes(run, quiet=True)
    figures = json.loads((out / "figures.json").read_text())
    assert figures["held"] == figures["examples"] >= 8
    assert figures["completed"]["iou"] > figures["seen"]["iou"], "what it has learned it knows"
    assert BoxCompletion.load(out).names


def test_no_rooms_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        train_boxes(BoxTraining(kind="boxes", rooms=[tmp_path], out=tmp_path / "out"), quiet=True)


def test_the_config_is_valid() -> None:
    assert checked(BoxTraining, read_config(CONFIGS / "boxes-nano.yaml", [])).kind == "boxes"

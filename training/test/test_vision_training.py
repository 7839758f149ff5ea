"""The vision network: what it learns from, that it learns, and how well the shipped one sees a room it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex", reason="the renderer needs the sim extra: pip install 'proxy3d-training[sim]'")
pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from proxy3d_core.errors import BadInput
from proxy3d_core.models.checkpoint import Checkpoint
from proxy3d_core.perception.vision import NANO, load_vision
from proxy3d_core.perception.vision_network import VisionNetwork, VisionSettings, load_network
from proxy3d_training.simulation import simulate as simulation
from proxy3d_training.simulation.generate import Settings
from proxy3d_training.simulation.truth import Truth
from proxy3d_training.train.config import checked, read_config
from proxy3d_training.train.vision import VisionTraining, save, train_vision
from proxy3d_training.train.vision_data import COLORS, MATERIALS, NAMES, UNKNOWN, load_examples, recordings
from proxy3d_training.train.vision_score import score

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rooms that no network was trained on."""
    out = tmp_path_factory.mktemp("rooms")
    for number in (0, 1):
        simulation.make(number, Settings(seed=31337, frames=6, flats=0.0), out)
    return out


def test_examples_say_what_the_truth_says(rooms: Path) -> None:
    folder = recordings([rooms])[0]
    truth = Truth.load(folder)
    whole, parts = load_examples([folder], 0, 0), load_examples([folder], 2, 0)
    assert len(whole) == len(truth.frames)
    assert len(parts) == 3 * len(truth.frames)
    np.testing.assert_array_equal(parts.rgb[::3], whole.rgb)
    for thing in truth.objects:
        here = whole.instance == thing.id
        if here.any():
            assert (whole.category[here] == NAMES.index(thing.label)).all()
            color = COLORS.index(thing.color) if thing.color else UNKNOWN
            assert (whole.color[here] == color).all()
    building = whole.category[(whole.instance == 0) & (whole.category != UNKNOWN)]
    assert {NAMES[i] for i in np.unique(building)} <= {"floor", "wall", "ceiling"}
    # A point and its vote meet at the centre, whose height over the camera the truth knows.
    points_up = whole.geometry[:, 1::2, 1::2, 1].astype(np.float64) * 2
    for index, frame in enumerate(truth.frames):
        for number in np.unique(whole.instance[index])[1:]:
            here = (whole.instance[index] == number) & np.isfinite(whole.vote[index, ..., 0])
            center = points_up[index][here] + whole.vote[index, ..., 2][here]
            expected = truth.thing(int(number)).box.center[2] - frame.position[2]
            np.testing.assert_allclose(center, expected, atol=0.02)


def test_floor_and_ceiling_lie_at_their_heights(rooms: Path) -> None:
    folder = recordings([rooms])[0]
    truth = Truth.load(folder)
    examples = load_examples([folder], 0, 0)
    for index, frame in enumerate(truth.frames):
        height = examples.geometry[index, 1::2, 1::2, 1].astype(np.float64) * 2 + frame.position[2]
        for name, expected in (("floor", 0.0), ("ceiling", truth.rooms[0].height)):
            here = examples.category[index] == NAMES.index(name)
            if here.sum() > 50:
                assert np.median(height[here]) == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_a_few_steps_learn_and_what_is_saved_is_what_was_trained(rooms: Path, tmp_path: Path) -> None:
    config = VisionTraining(
        kind="vision", rooms=[rooms], held=[rooms], out=tmp_path / "out", coarse=8, epochs=3, batch=4, threads=1
    )
    out = train_vision(config, quiet=True)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert log[-1]["category"] < 0.7 * log[0]["category"]
    assert log[-1]["vote"] < 0.9 * log[0]["vote"]
    figures = json.loads((out / "figures.json").read_text())
    assert figures["rgbd"]["pixels"] > 0.3
    assert load_vision(out, "cpu").names == NAMES
    again = VisionTraining(
        kind="vision", rooms=[rooms], start=out, out=tmp_path / "more", coarse=0, epochs=0.4, threads=1
    )
    entries = [json.loads(line) for line in (train_vision(again, quiet=True) / "log.jsonl").read_text().splitlines()]
    assert entries[0]["category"] < 0.8 * log[0]["category"]  # it goes on, it does not begin anew
    # Codes keep what they were: at first they are the same, but for half precision; they have unit mean square.
    assert entries[0]["kept"] < 0.01 and entries[-1]["kept"] < 0.1 and "kept" not in log[0]


def test_kernels_learn_by_muon_where_it_is_wanted(rooms: Path, tmp_path: Path) -> None:
    """The first step of AdamW is as long for every weight; that of Muon is as long in every direction of a kernel.

    Five Newton-Schulz iterations bring singular values to between 0.7 and 1.2; rates are scaled by 0.2 times the root
    of the longer side.
    """
    torch.manual_seed(0)
    save(VisionNetwork(VisionSettings(NAMES, COLORS, MATERIALS)), tmp_path / "start")
    before = Checkpoint(tmp_path / "start").tensors(("",))
    rate, kernel = 0.02, "stages.1.1.first.0.weight"
    for muon in (0.0, 2.0):
        config = VisionTraining(
            kind="vision", rooms=[rooms], start=tmp_path / "start", out=tmp_path / f"muon-{muon}", coarse=0,
            epochs=0.01, batch=4, threads=1, rate=rate, muon=muon, decay=0, precision="fp32",
        )  # fmt: skip
        after = Checkpoint(train_vision(config, quiet=True)).tensors(("",))
        step = {name: after[name].float() - before[name].float() for name in (kernel, "features.weight")}
        assert (step["features.weight"].abs() / rate).median() == pytest.approx(1, rel=0.01)
        if muon:
            singular = torch.linalg.svdvals(step[kernel].flatten(1)) / (muon * rate * 0.2 * (48 * 9) ** 0.5)
            assert singular.min() > 0.6 and singular.max() < 1.3
        else:
            assert (step[kernel].abs() / rate).median() == pytest.approx(1, rel=0.01)


def test_the_shipped_network_sees_rooms_it_never_saw(rooms: Path) -> None:
    examples = load_examples(recordings([rooms]), 0, 0)
    figures = score(load_network(Checkpoint(NANO), torch.device("cpu")), examples)
    assert figures["rgbd"]["pixels"] > 0.6  # floor and wall alone: about 0.5
    assert figures["rgbd"]["things"] > 0.3  # chance: 1 of 72 kinds
    assert figures["rgb"]["pixels"] > 0.45
    assert figures["rgb"]["things"] > 0.15
    assert figures["rgbd"]["colors"] > 0.4
    points_to_center = np.linalg.norm(examples.vote.astype(np.float32), axis=3)
    assert figures["rgbd"]["vote_m"] < 0.9 * np.nanmedian(points_to_center)  # nearer than the points themselves


def test_codes_and_features_are_read_by_one_linear_layer(rooms: Path) -> None:
    """A numeral that is added to features of a room is still told from the other 99, and does not hide the category."""
    from proxy3d_core.proxies.references import MARKERS, ReferenceCodes

    model = load_vision("nano", "cpu")
    rgb = load_examples(recordings([rooms]), 0, 0).rgb
    features = model.encode(list(rgb)).numpy().reshape(-1, model.channels)[::7]
    codes = ReferenceCodes(model.encode).identifiers(range(MARKERS))
    marked = features[:, None] + codes
    numeral = load_network(Checkpoint(NANO), torch.device("cpu")).numeral
    with torch.inference_mode():
        read = numeral(torch.from_numpy(marked)).argmax(dim=2).numpy()
    assert np.mean(read == np.arange(MARKERS)) > 0.8
    same = (
        model.categories(marked.reshape(-1, model.channels)).reshape(read.shape) == model.categories(features)[:, None]
    )
    assert same.mean() > 0.5


def test_statistics_beyond_half_precision_are_kept(tmp_path: Path) -> None:
    """The variance of a channel may well be 1e5; half precision ends at 65,504."""
    network = VisionNetwork(VisionSettings(("", "chair"), ("red",), ("wood",)))
    name = "stages.2.0.1.running_var"
    network.state_dict()[name].fill_(1e5)
    save(network, tmp_path)
    again = Checkpoint(tmp_path).tensors(("",))
    assert (again[name] == 1e5).all()
    assert again["features.weight"].dtype == torch.float16 and torch.isfinite(again["features.weight"]).all()


def test_the_configuration_that_ships_is_valid() -> None:
    config = checked(VisionTraining, read_config(CONFIGS / "vision-nano.yaml"))
    assert config.kind == "vision"
    assert set(config.rooms).isdisjoint(config.held)


def test_no_rooms(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no simulated recording"):
        recordings([tmp_path])

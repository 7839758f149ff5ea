"""Runs of ``proxy3d train``: configuration, plan of steps, resume, several processes, the finished model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("accelerate", reason="training needs accelerate: pip install 'proxy3d-training[train]'")
pytest.importorskip("tensorboard", reason="training needs tensorboard: pip install 'proxy3d-training[train]'")
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors.torch import load_file
from typer.testing import CliRunner

from proxy3d_core.errors import BadInput
from proxy3d_core.vlm.loading import load_vlm
from proxy3d_core.vlm.prefix import ScenePrefix
from proxy3d_training.data.dataset import SpaceSpan
from proxy3d_training.data.drawn import DrawnScenes
from proxy3d_training.data.files import write_samples
from proxy3d_training.data.questions.generate import as_sample, candidates
from proxy3d_training.data.questions.rooms import read_room
from proxy3d_training.data.schema import Sample
from proxy3d_training.train import metrics
from proxy3d_training.train.batches import drawn_tokens
from proxy3d_training.train.command import train
from proxy3d_training.train.config import TrainConfig, checked, read_config
from proxy3d_training.train.plan import Part, Plan
from proxy3d_training.train.run import Run, Stopped

DEMO = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"

TEXT = {
    "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
}  # fmt: skip


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions on the demo's room: symbols, and the room itself; every eighth is held out."""
    file = tmp_path_factory.mktemp("samples") / "samples.jsonl"
    room = read_room(DEMO)
    made = [
        as_sample(room, candidate, "train", 5, number, file)
        for number, candidate in enumerate(candidates(room, 5, 40, ["alignment", "vsi"]))
    ]

    def held_out(number: int, sample: Sample) -> Sample:
        return sample.model_copy(update={"split": "val"}) if number % 8 == 0 else sample

    write_samples(file, (held_out(number, sample) for number, sample in enumerate(made)))
    return file


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Sums in the same order, whatever ran before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def tree(samples: Path, out: Path) -> dict[str, Any]:
    """A run of eleven steps in two stages."""
    return {
        "data": {"demo": {"files": [str(samples)], "rooms": str(DEMO.parent)}},
        "encoder": "",
        "changes": {"text_config": TEXT},
        "out": str(out),
        "questions": 4,
        "accumulate": 2,
        "precision": "fp32",
        "threads": 1,
        "seed": 3,
        "stages": [
            {"stage": 1, "batch": 8, "steps": 4, "rate": 1e-2},
            {"stage": 4, "batch": 8, "steps": 7, "rate": 1e-2, "scene": True, "replay": [{"stage": 1, "share": 0.5}]},
        ],
        "validation": {"every": 3, "questions": 8},
        "checkpoint": {"steps": 2, "minutes": None},
    }


def told(out: Path) -> list[dict[str, Any]]:
    """What of the log does not depend on the clock or the machine."""
    clock = {"seconds", "samples_per_s", "memory_mb", "gpu_memory_mb"}
    return [{k: v for k, v in line.items() if k not in clock} for line in metrics.read_metrics(out / "metrics.jsonl")]


@pytest.fixture(scope="module")
def unbroken(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from beginning to end."""
    out = tmp_path_factory.mktemp("unbroken")
    Run(checked(TrainConfig, tree(samples, out)), quiet=True)()
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("stages.1.rat=1", "stages.1.rat: there is no such key here"),
        ("variant.color=1", "variant.color: there is no such key here"),
        ("stages.0.stage=5", "stages.0.stage: Input should be 1, 2, 3 or 4 (given: 5)"),
        ("stages.0.data=real", "a stage reads data 'real'; data has demo"),
        ("data.demo.scenes=prepared", "data.demo: scenes and rooms are both given"),
        ("precision=fp8", "precision: Input should be 'auto', 'bf16' or 'fp32'"),
        ("stages.7.rate=1", "there is no entry 7"),
        ("stages", "write NAME=VALUE"),
        ("stages=", "stages: "),
    ],
)
def test_wrong_settings_are_named(samples: Path, tmp_path: Path, change: str, said: str) -> None:
    """The message has the key and what it may be."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(tree(samples, tmp_path / "out")))
    with pytest.raises(BadInput) as error:
        checked(TrainConfig, read_config(file, [change]))
    assert said in str(error.value)


def test_stages_are_the_papers_where_nothing_is_said(samples: Path) -> None:
    """Given values win, others are of the supplement's Table 1."""
    config = checked(TrainConfig, tree(samples, Path("out")) | {"stages": [{"stage": 4, "rate": 1e-3}, {"stage": 2}]})
    four, two = (stage.resolved() for stage in config.stages)
    assert (four.rate, four.batch, four.epochs, four.scene, four.placed) == (1e-3, 128, 1, False, True)
    assert (two.rate, two.batch, two.epochs, two.scene) == (5e-6, 256, 3, True)


def parts_of(samples: Path, *shares: float) -> list[Part]:
    scenes = DrawnScenes(DEMO.parent)
    no_collator: Any = None
    return [
        Part(SpaceSpan([samples], scenes, split="train", stage=stage), no_collator, share)
        for stage, share in zip((4, 1), shares, strict=False)
    ]


def test_a_step_is_the_same_for_any_number_of_batches(samples: Path) -> None:
    """Dealt out to one, two or four, a step has the same questions, and every one once an epoch."""
    parts = parts_of(samples, 1.0)
    plans = [Plan(parts, 16, 4, 7, slots) for slots in (1, 2, 4)]
    whole = len(parts[0].samples) // 16
    steps = [
        [sorted(p for batch in step for p in batch.positions) for step, _ in zip(plan, range(whole + 1), strict=False)]
        for plan in plans
    ]
    assert steps[0] == steps[1] == steps[2]
    assert all(len(step) >= 16 for step in steps[0])
    read = [position for step in steps[0][:whole] for position in step]
    assert len(set(read)) == len(read) > 100
    assert set(read) | set(steps[0][whole]) == set(range(len(parts[0].samples)))
    with pytest.raises(BadInput, match="too few for 8 batches"):
        Plan(parts, 16, 4, 7, 8)


def test_drills_come_in_the_stages_that_ask_for_them(samples: Path, unbroken: Path) -> None:
    settings = tree(samples, unbroken)  # whose tokenizer there is
    settings["stages"][1]["drills"] = True
    config = checked(TrainConfig, settings)
    run = Run(config, quiet=True)
    _, prompts = run.model()
    learned = []
    for stage in config.stages:
        part, *replayed = run.reader.parts(stage, prompts)
        assert {other.collator.drills for other in replayed} <= {stage.drills}
        items = [part.samples[number] for number in range(4)]
        plain = replace(part.collator, drills=False)(items)
        learned.append(len(part.collator(items)["labels"][0]) - len(plain["labels"][0]))
    assert learned[0] == 0 and learned[1] > 0


def test_replay_has_its_share(samples: Path) -> None:
    """For four questions of the stage one of another, from the first steps on."""
    parts = parts_of(samples, 1.0, 0.25)
    plan = Plan(parts, 8, 4, 7, 2)
    read = [0, 0]
    for batches, _ in zip(plan, range(50), strict=False):
        assert len({batch.part for batch in batches}) == 1
        read[batches[0].part] += sum(len(batch.positions) for batch in batches)
    assert abs(read[1] / read[0] - 0.25) < 0.05
    assert plan.steps(2) == round(2 * len(parts[0].samples) * 1.25 / 8)


def test_a_stage_that_comes_again_reads_in_another_order(samples: Path, tmp_path: Path) -> None:
    settings = tree(samples, tmp_path)
    settings["stages"] = [{"stage": 4, "batch": 8, "steps": 5, "rate": 1e-9, "scene": True}] * 2
    Run(checked(TrainConfig, settings), quiet=True)()
    first, second = ([line["tokens"] for line in told(tmp_path) if line["stage"] == stage] for stage in (0, 1))
    assert len(first) == len(second) == 5 and first != second


def test_a_run_learns_and_what_it_writes_answers(samples: Path, unbroken: Path) -> None:
    """The log of every step; the folder opens, and says what it was made of."""
    lines = told(unbroken)
    assert [line["step"] for line in lines] == list(range(1, 12))
    assert [line["stage"] for line in lines] == [0] * 4 + [1] * 7
    assert lines[3]["loss"] < lines[0]["loss"]
    assert [line["step"] for line in lines if "validation" in line] == [3, 4, 7, 10, 11]
    assert list((unbroken / "tensorboard").glob("events*"))
    assert sorted(p.name for p in (unbroken / "checkpoints").iterdir()) == ["step-00000010", "step-00000011"]
    model, prompts = load_vlm(unbroken / "model", device="cpu")
    scene = DrawnScenes(DEMO.parent)[DEMO.name]
    run = Run(checked(TrainConfig, tree(samples, unbroken)), quiet=True)
    tokens = drawn_tokens(scene, run.reader.codes, np.arange(100), 50, np.random.default_rng(0))
    assert len(ScenePrefix(model, prompts, tokens).answer(["How many chairs are there?"], max_new_tokens=4)) == 1
    card = json.loads((unbroken / "model" / "training.json").read_text())
    assert card["steps"] == 11 and card["config"]["seed"] == 3 and len(card["curves"]["loss"]) == 11
    assert [step for step, _ in card["curves"]["validation"]] == [3, 4, 7, 10, 11]
    assert set(card["data"]) == {"demo/samples.jsonl"} and len(card["data"]["demo/samples.jsonl"]) == 64


def test_a_finished_model_learns_on(samples: Path, unbroken: Path, tmp_path: Path) -> None:
    """A folder as the model: its tokenizer, its weights to begin with, with gradient checkpointing."""
    stages = [{"stage": 4, "batch": 8, "steps": 2, "rate": 1e-9}]
    change = {"model": str(unbroken / "model"), "changes": {}, "gradient_checkpointing": True, "stages": stages}
    Run(checked(TrainConfig, tree(samples, tmp_path) | change), quiet=True)()
    before, after = weights(unbroken), weights(tmp_path)
    assert set(before) == set(after)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-7, rtol=0)
    tokenizers = [(out / "model" / "tokenizer.json").read_text() for out in (unbroken, tmp_path)]
    assert tokenizers[0] == tokenizers[1]
    assert told(tmp_path)[0]["loss"] < 0.8 * told(unbroken)[0]["loss"]


def test_a_time_limit_ends_a_stage(samples: Path, tmp_path: Path) -> None:
    """Long before its steps are done, with a rate that has fallen with the time."""
    stages = [{"stage": 1, "batch": 8, "steps": 10**6, "rate": 1e-2, "warmup": 0, "minutes": 0.02}]
    change = {"stages": stages, "validation": {"every": 0}, "checkpoint": {"minutes": 10}}
    Run(checked(TrainConfig, tree(samples, tmp_path) | change), quiet=True)()
    rates = [line["rate"] for line in told(tmp_path)]
    assert 1 < len(rates) < 10**5 and rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(1e-2) and rates[-1] < 0.9e-2


def test_command_says_what_is_wrong(samples: Path, tmp_path: Path) -> None:
    """One line and exit code 1, for files, keys and data."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(tree(samples, tmp_path / "out")))
    asked = {
        (str(tmp_path / "none.yaml"),): "none.yaml: No such file or directory; configurations to begin with",
        (str(file), "--set", "clap=1"): "clap: there is no such key here",
        (str(file), "--set", "data.demo.files=[gone.jsonl]"): "data.demo: cannot read gone.jsonl",
        (str(file), "--set", "stages.1.kinds=[colour]"): "no sample is left",
        (str(file), "--set", "questions=100"): "batch: 8 questions a step are too few for 2 batches",
    }
    for arguments, said in asked.items():
        result = CliRunner().invoke(train, [*arguments, "--quiet"])
        assert result.exit_code == 1 and said in result.stderr, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_time_left_counts_what_comes_between_steps() -> None:
    """Ten steps of a second, two validations of five and a checkpoint of three: 10 + 10 + 3."""
    pace = metrics.Pace()
    for seconds in (9.0, *[1.0] * 50):
        pace.step(seconds)
    for seconds in (4.0, 6.0):
        pace.between("validation", seconds)
    pace.between("checkpoint", 3.0)
    assert pace.remaining(10, {"validation": 2, "checkpoint": 1}) == pytest.approx(23)
    assert [metrics.duration(s) for s in (12, 200, 7500)] == ["12 s", "3 min 20 s", "2 h 05 min"]


def test_a_finished_run_is_left_alone_and_another_is_refused(samples: Path, unbroken: Path) -> None:
    """The same command does nothing; another rate is another run."""
    before = (unbroken / "model" / "model.safetensors").stat().st_mtime_ns
    assert Run(checked(TrainConfig, tree(samples, unbroken)), quiet=True)() == unbroken / "model"
    assert (unbroken / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="holds a run with another clip"):
        Run(checked(TrainConfig, tree(samples, unbroken) | {"clip": 2}), quiet=True)()


@pytest.fixture
def interrupted_in_step_6(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Ctrl-C comes then, until it is undone."""
    add = metrics.Metrics.add

    def interrupted(self: Any, step: int, **values: Any) -> None:
        add(self, step, **values)
        if step == 6:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(metrics.Metrics, "add", interrupted)
    return monkeypatch


@pytest.mark.slow
def test_a_run_by_muon_goes_on(samples: Path, tmp_path: Path, interrupted_in_step_6: pytest.MonkeyPatch) -> None:
    """Both optimisers are saved: as if nothing had been."""
    config = checked(TrainConfig, tree(samples, tmp_path / "stopped") | {"muon": 3.0, "validation": {"every": 0}})
    with pytest.raises(Stopped):
        Run(config, quiet=True)()
    interrupted_in_step_6.undo()
    Run(config, quiet=True)()
    Run(config.model_copy(update={"out": tmp_path / "whole"}), quiet=True)()
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "stopped")[name])


def test_muon_is_refused_where_matrices_are_parted(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FSDP leaves a process parts of them; the message says what to set."""
    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.FSDP)
    with pytest.raises(BadInput, match="set muon=0"):
        Run(checked(TrainConfig, tree(samples, tmp_path) | {"muon": 3.0}), quiet=True)


def test_an_interrupted_run_goes_on(
    samples: Path, unbroken: Path, tmp_path: Path, interrupted_in_step_6: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the sixth step: saved after it, and the same as if nothing had been, also if a process loads data."""
    config = checked(TrainConfig, tree(samples, tmp_path) | {"checkpoint": {"steps": 100}})
    with pytest.raises(Stopped, match="after step 6; the same command goes on"):
        Run(config, quiet=True)()
    interrupted_in_step_6.undo()
    assert not (tmp_path / "model").exists()
    Run(config.model_copy(update={"workers": 1}), quiet=True)()
    assert told(tmp_path) == told(unbroken)
    for name, value in weights(unbroken).items():
        assert torch.equal(value, weights(tmp_path)[name])


KILLED = """
import os, signal, sys
from proxy3d_training.train import checkpoint
from proxy3d_training.train.__main__ import train

save_file, saved = checkpoint.save_file, []

def killed(tensors, path):
    save_file(tensors, path)
    saved.append(path)
    if len(saved) == 8:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save_file = killed
train([sys.argv[1], "--quiet"])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(samples: Path, unbroken: Path, tmp_path: Path) -> None:
    """kill -9 while a checkpoint is written: the one before is gone on from, to the same losses bit for bit."""
    out, config = tmp_path / "out", tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tree(samples, out)))
    run = subprocess.run([sys.executable, "-c", KILLED, str(config)], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert [line["step"] for line in told(out)] == [1, 2, 3, 4, 5, 6]
    assert not (out / "checkpoints" / "step-00000006").exists()
    Run(checked(TrainConfig, tree(samples, out)), quiet=True)()
    assert told(out) == told(unbroken)
    for name, value in weights(unbroken).items():
        assert torch.equal(value, weights(out)[name])


TWICE = """
import signal, sys
from pathlib import Path
from accelerate import Accelerator, FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import DistributedType
from proxy3d_training.train import metrics, run
from proxy3d_training.train.config import TrainConfig, checked, read_config

class Sharded(Accelerator):  # accelerate takes its settings for FSDP on GPUs only; the code is the same on CPUs
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
        self.state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, reshard_after_forward=True, cpu_ram_efficient_loading=False,
            auto_wrap_policy="transformer_based_wrap", transformer_cls_names_to_wrap=["Qwen2_5_VLDecoderLayer"],
        )

add = metrics.Metrics.add

def interrupted(self, step, **values):
    add(self, step, **values)
    if step == 6:
        signal.raise_signal(signal.SIGINT)

metrics.Metrics.add = interrupted
if sys.argv[2] == "sharded":
    run.Accelerator = Sharded
config = checked(TrainConfig, read_config(Path(sys.argv[1])))
try:
    run.Run(config, quiet=True)()
except run.Stopped:
    metrics.Metrics.add = add
    run.Run(config, quiet=True)()
else:
    sys.exit("was not stopped")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copies", "sharded"])
def test_two_processes_are_one(samples: Path, unbroken: Path, tmp_path: Path, kind: str) -> None:
    """The same questions and loss a step, stopped and continued; only the order of sums differs.

    Each process has a copy of the model (DDP), or a part of its weights and of the optimiser's state (FSDP2).
    """
    out, config = tmp_path / "out", tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tree(samples, out) | {"accumulate": 1}))
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, str(script), str(config), kind], capture_output=True, text=True, check=False, env=environment
    )
    assert run.returncode == 0, run.stderr
    mine, theirs = told(out), told(unbroken)
    assert [line["tokens"] for line in mine] == [line["tokens"] for line in theirs]
    np.testing.assert_allclose([line["loss"] for line in mine], [line["loss"] for line in theirs], rtol=1e-3)
    assert json.loads((out / "model" / "training.json").read_text())["processes"] == 2

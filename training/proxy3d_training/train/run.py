"""A whole run: stages one after the other, checkpoints, logs, and the finished model."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import DistributedType
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from proxy3d_core.errors import BadInput
from proxy3d_core.models.loading import quiet
from proxy3d_core.vlm import packed_attention
from proxy3d_core.vlm.config import ProxyVLMConfig, configuration
from proxy3d_core.vlm.loading import load_vlm
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import train_tokenizer
from proxy3d_training import __version__
from proxy3d_training.progress import progress_bar
from proxy3d_training.simulation.kinds import LABELS
from proxy3d_training.train.batches import Variant
from proxy3d_training.train.checkpoint import Checkpoints, Progress, read_progress, read_tensors
from proxy3d_training.train.config import PUBLISHED, StageConfig, TrainConfig
from proxy3d_training.train.initial import begin_by_likeness, spellings
from proxy3d_training.train.loop import Learner, load_weights, warm_cosine
from proxy3d_training.train.metrics import Metrics, Pace, cores, duration, peak_memory, read_metrics
from proxy3d_training.train.plan import Batch, Batches, Part, Plan, Share
from proxy3d_training.train.precision import in_bfloat16
from proxy3d_training.train.reading import Reader

MODEL = "model"
"""Folder of the finished model in that of the run."""

_FREE = ("data", "out", "threads", "workers", "validation", "checkpoint")
"""Keys that may change when a run goes on; of the data the contents count."""

_SAID_EVERY = 60.0  # seconds between two lines where there is no bar


class Stopped(Exception):
    """The run was interrupted and saved."""


class Run:
    """A run of training in this process, one of several or the only one."""

    def __init__(self, config: TrainConfig, quiet: bool = False) -> None:
        """Look at what is there.

        Args:
            config: of the run.
            quiet: no bar and no lines.

        Raises:
            BadInput: data that cannot be used, or processes that are set up in a way that is not supported.
            ModelError: the encoder cannot be loaded.
        """
        self.config = config
        self.accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(),  # else processes on CPUs do not find each other
            mixed_precision="bf16" if in_bfloat16(config.precision) else "no",
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=_some_idle(config))],
        )
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            raise BadInput(
                "DeepSpeed is not supported, its checkpoints are pickled; FSDP shards the same: "
                "training/configs/accelerate/fsdp.yaml"
            )
        if config.muon and self.accelerator.distributed_type == DistributedType.FSDP:
            raise BadInput("muon needs whole matrices, FSDP leaves a process parts of them; set muon=0")
        self.quiet = quiet or not self.accelerator.is_main_process
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(config.threads or max(1, cores() // local - config.workers))
        self.reader = Reader(config)
        self.checkpoints = Checkpoints(config.out / "checkpoints")
        self.metrics: Metrics | None = None
        # without defaults: a key that is new in a later version changes no run
        described = config.model_dump(mode="json", exclude=set(_FREE), exclude_defaults=True)
        self.about: dict[str, Any] = json.loads(json.dumps({"config": described, "data": self.reader.digests()}))
        self.interrupted = False

    def __call__(self) -> Path:
        """Train until the end; the folder of the finished model.

        Raises:
            Stopped: interrupted; the state is saved.
            BadInput: the folder holds another run, or there is nothing to learn from.
            ModelError: the model cannot be loaded.
        """
        config = self.config
        finished = config.out / MODEL
        progress = self._progress()
        if finished.is_dir() and progress is not None and progress.stage == len(config.stages):
            self.say(f"{finished} is finished; for another run give another out")
            return finished
        for stage in config.stages:
            self.reader.check(stage, self.slots(stage))
        if progress is None:
            progress = Progress(0, 0, 0, 0.0, 0.0, self.about)
            if self.accelerator.is_main_process:
                self._begin()
        else:
            self.say(f"going on after step {progress.done}")
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.metrics = Metrics(config.out, progress.done)
        with self._interruptible():
            while progress.stage < len(config.stages):
                progress = _Stage(self, progress)()
                self.accelerator.free_memory()  # the next stage wraps a model of its own
        if self.metrics is not None:
            self.metrics.close()
            self._finish(finished, progress)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        self.say(f"finished after {duration(progress.total_seconds)}: {finished}")
        return finished

    def model(self) -> tuple[ProxyVLM, PromptFormat]:
        """The model of the run before any step, the same in all processes."""
        if not self.config.from_scratch:
            source = PUBLISHED.get(self.config.model, self.config.model)
            return load_vlm(source, device="cpu", dtype="float32", **self._changes())
        torch.manual_seed(self.config.seed)
        model, prompts = ProxyVLM(self._described()), PromptFormat(AutoTokenizer.from_pretrained(self._tokenizer))
        begin_by_likeness(model, prompts, self.reader.codes, LABELS)
        return model, prompts

    def slots(self, stage: StageConfig) -> int:
        """Batches of a step, over all processes."""
        world: int = self.accelerator.num_processes
        return world * (stage.accumulate or self.config.accumulate)

    def say(self, text: str) -> None:
        """A line on standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def _progress(self) -> Progress | None:
        """Of the run that is in the folder.

        Raises:
            BadInput: it is another one.
        """
        latest = self.checkpoints.latest()
        if latest is None:
            return None
        progress = read_progress(latest)
        for name, new in self.about.items():
            old = progress.run.get(name, {})
            for key in sorted({*old, *new}):
                if old.get(key) != new.get(key):
                    raise BadInput(
                        f"{self.config.out} holds a run with another {key} ({name}); give another out, or remove it"
                    )
        return progress

    def _begin(self) -> None:
        """The folder of a new run."""
        out = self.config.out
        out.mkdir(parents=True, exist_ok=True)
        if self.config.from_scratch:
            part = out / ".tokenizer.part"
            names = [form for label in LABELS for form in spellings(label)]
            made = train_tokenizer(self.reader.texts(), self._described().get_text_config().vocab_size, names)
            made.save_pretrained(part)
            shutil.rmtree(self._tokenizer, ignore_errors=True)
            part.rename(self._tokenizer)
        text = self.config.model_dump_json(indent=1, exclude_none=True)
        (out / "config.json").write_text(text + "\n", encoding="utf-8")

    def _finish(self, folder: Path, progress: Progress) -> None:
        """Write the finished model, whole or not at all."""
        latest = self.checkpoints.latest()
        assert latest is not None
        model, prompts = self.model()
        load_weights(model, read_tensors(latest, "model"))
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        with quiet():
            model.eval().save_pretrained(part)
        prompts.tokenizer.save_pretrained(part)
        (part / "training.json").write_text(json.dumps(self._card(progress), indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)

    def _card(self, progress: Progress) -> dict[str, Any]:
        """``training.json``: where a model comes from and how it learned."""
        lines = read_metrics(self.config.out / "metrics.jsonl")
        thinned = lines[:: max(1, len(lines) // 500)]
        validated = [line for line in lines if "validation" in line]
        curves = {name: [[line["step"], line[name]] for line in thinned] for name in ("loss", "rate")}
        curves |= {name: [[line["step"], line[name]] for line in validated] for name in ("validation", "right")}
        return {
            "format": "proxy3d_training",
            "version": __version__,
            "commit": commit(),
            "config": self.config.model_dump(mode="json", exclude_none=True, exclude={"data", "out"}),
            "data": self.about["data"],
            "steps": progress.done,
            "seconds": round(progress.total_seconds, 1),
            "processes": self.accelerator.num_processes,
            "precision": "bf16" if in_bfloat16(self.config.precision) else "fp32",
            "machine": f"{cores()} cores, {platform.machine()}",
            "torch": torch.__version__,
            "curves": curves,
        }

    def _described(self) -> ProxyVLMConfig:
        """Of a nano from scratch."""
        return configuration("nano", **self._changes())

    def _changes(self) -> dict[str, Any]:
        """Fields of the model's configuration that the data decide, and those that the run does."""
        told = {"feature_channels": self.reader.channels, "category_codes": self.config.variant.named}
        return told | self.config.changes

    @property
    def _tokenizer(self) -> Path:
        return self.config.out / "tokenizer"

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run after the step; a second one ends it at once."""

        def stop(number: int, frame: Any) -> None:
            self.interrupted = True
            signal.signal(number, signal.SIG_DFL)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Stage:
    """A stage of a run, from where it is to its end."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self._run, self._begun = run, progress
        config, accelerator = run.config, run.accelerator
        self._settings = config.stages[progress.stage]
        self._stage = self._settings.resolved()
        model, prompts = run.model()
        model.set_attn_implementation(packed_attention.NAME)
        latest = run.checkpoints.latest()
        if latest is not None:
            load_weights(model, read_tensors(latest, "model"))
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self._learner = Learner(model, self._stage, accelerator, config.clip, config.betas, config.decay, config.muon)
        if latest is not None and progress.step:
            self._learner.load_optimizer_state(read_tensors(latest, "optimizer") if accelerator.is_main_process else {})
        slots = run.slots(self._settings)
        self._batches = slots // accelerator.num_processes  # of this process in a step
        self._parts = run.reader.parts(self._settings, prompts)
        before = [(stage.stage, stage.data) for stage in config.stages[: progress.stage]]
        again = before.count((self._settings.stage, self._settings.data))  # what is read again is read in another order
        self._plan = Plan(self._parts, self._stage.batch, config.questions, config.seed + again, slots)
        self._held_out = run.reader.held_out(self._settings, prompts, slots)
        self._steps = self._settings.steps or self._plan.steps(self._stage.epochs)
        self._limit = self._settings.minutes * 60 if self._settings.minutes else None
        self._pace = Pace()
        self._step, self._seconds = progress.step, progress.seconds
        self._marked = self._saved = time.monotonic()

    def __call__(self) -> Progress:
        """Train; how far the run is then. Raises Stopped."""
        run, accelerator = self._run, self._run.accelerator
        own = self._parts[0].samples
        run.say(
            f"stage {self._settings.stage} ({self._begun.stage + 1} of {len(run.config.stages)}): {len(own):,} samples"
            + (f", {own.left_out:,} left out" if own.left_out else "")
            + f", {self._steps:,} steps of {self._stage.batch}"
            + (f", at most {duration(self._limit)}" if self._limit else "")
        )
        share = Share(self._plan, self._step, self._steps, accelerator.process_index, accelerator.num_processes)
        batches = iter(self._loader(self._parts, share))
        with progress_bar(run.quiet) as bar:
            task = bar.add_task(f"Stage {self._settings.stage}", total=self._steps, completed=self._step, rate="")
            said = time.monotonic()
            while self._step < self._steps and not (self._limit and self._seconds >= self._limit):
                values = self._learn(batches)
                if run.metrics is not None:
                    run.metrics.add(self._progress().done, **values)
                stop, due = self._agree()
                if stop or due:
                    self._save(self._progress())
                if stop:
                    done = self._progress().done
                    raise Stopped(f"stopped and saved after step {done}; the same command goes on from here")
                left = duration(self._remaining())
                rates = f"loss {values['loss']:.3f}  {values['samples_per_s']:,.0f}/s  {left} left"
                bar.update(task, completed=self._step, rate=rates)
                if bar.disable and time.monotonic() - said > _SAID_EVERY:
                    said = time.monotonic()
                    run.say(f"step {self._step:,} of {self._steps:,}  {rates}")
        ended = Progress(
            self._begun.stage + 1, 0, self._progress().done, 0.0, self._progress().total_seconds, run.about
        )
        self._save(ended)
        return ended

    def _learn(self, batches: Iterator[Any]) -> dict[str, Any]:
        """A step, and what is logged of it."""
        config, accelerator = self._run.config, self._run.accelerator
        begin = time.monotonic()
        key = (config.seed, self._begun.stage, self._step, accelerator.process_index)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        at = max(float(self._step), self._steps * self._seconds / self._limit if self._limit else 0.0)
        rate = self._stage.rate * warm_cosine(at, self._steps, self._stage.warmup)
        learned = self._learner.step(list(islice(batches, self._batches)), rate)
        taken = time.monotonic() - begin
        self._step += 1
        self._pace.step(taken)
        values: dict[str, Any] = {
            "stage": self._begun.stage,
            "loss": learned.loss,
            "rate": rate,
            "gradient": learned.gradient,
            "tokens": learned.tokens,
            "samples_per_s": round(self._stage.batch / taken, 1),
            "seconds": round(self._progress().total_seconds + taken, 3),
        } | peak_memory()
        if self._held_out and (self._step % config.validation.every == 0 or self._step == self._steps):
            part, always = self._held_out
            mine = always[accelerator.process_index :: accelerator.num_processes]
            values["validation"], values["right"] = self._learner.validate(self._loader([part], mine))
            self._pace.between("validation", time.monotonic() - begin - taken)
        return values

    def _loader(self, parts: list[Part], batches: Iterable[Batch]) -> DataLoader[Any]:
        return DataLoader(
            Batches(parts),
            sampler=batches,
            batch_size=None,
            num_workers=self._run.config.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # else it draws from the model's random numbers
        )

    def _agree(self) -> tuple[bool, bool]:
        """Whether any process is to stop, and whether a checkpoint is due; the clock is the main process's in all."""
        accelerator, every = self._run.accelerator, self._run.config.checkpoint
        now = time.monotonic()
        main = accelerator.is_main_process
        due = every.minutes is not None and now - self._saved >= 60 * every.minutes
        mine = [self._seconds + now - self._marked if main else 0.0, self._run.interrupted, main and due]
        self._marked = now
        found = accelerator.reduce(torch.tensor(mine, dtype=torch.float64, device=accelerator.device), "sum").tolist()
        self._seconds = found[0]
        return found[1] > 0, found[2] > 0 or (every.steps is not None and self._step % every.steps == 0)

    def _progress(self) -> Progress:
        begun = self._begun
        done, total = begun.done + self._step - begun.step, begun.total_seconds + self._seconds - begun.seconds
        return Progress(begun.stage, self._step, done, self._seconds, total, self._run.about)

    def _save(self, progress: Progress) -> None:
        begin = time.monotonic()
        weights = self._learner.weights()
        state = self._learner.optimizer_state() if progress.step else {}  # a new stage has a new optimiser
        if self._run.accelerator.is_main_process:
            self._run.checkpoints.write(progress, weights, state)
        self._run.accelerator.wait_for_everyone()
        self._saved = time.monotonic()
        self._pace.between("checkpoint", self._saved - begin)

    def _remaining(self) -> float:
        """Seconds to the end of the stage."""
        config, steps = self._run.config, self._steps - self._step
        to_come = {"validation": steps / config.validation.every if self._held_out else 0.0}
        saves = steps / config.checkpoint.steps if config.checkpoint.steps else 0.0
        if config.checkpoint.minutes:
            saves = max(saves, self._pace.remaining(steps, to_come) / 60 / config.checkpoint.minutes)
        whole = self._pace.remaining(steps, to_come | {"checkpoint": saves})
        return whole if self._limit is None else min(whole, max(0.0, self._limit - self._seconds))


def commit() -> str | None:
    """Of the checkout that this code is in, with ``+`` if it was changed since; None outside one."""
    here = Path(__file__).parent
    git: Callable[..., Any] = partial(subprocess.run, cwd=here, capture_output=True, text=True, check=False)
    try:
        found = git(["git", "rev-parse", "HEAD"])
        changed = git(["git", "status", "--porcelain", "--untracked-files=no"])
    except OSError:
        return None
    return found.stdout.strip() + ("+" if changed.stdout.strip() else "") if found.returncode == 0 else None


def _some_idle(config: TrainConfig) -> bool:
    """Whether some steps use only some of the weights that learn, such as those on samples without positions."""
    placed = [stage.resolved().placed for stage in config.stages]
    replayed = [
        any((part.stage != 1) != own for part in s.replay) for s, own in zip(config.stages, placed, strict=True)
    ]
    shown = replace(config.variant, named=False)
    return any(replayed) or shown != Variant() or bool({"latent_channels", "region_channels"} & {*config.changes})


def _as_it_is(batch: Any) -> Any:
    return batch

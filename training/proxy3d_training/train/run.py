"""A whole run: data, model, stages one after the other, checkpoints, logs, and the finished model."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from proxy3d_core.encoders import load_encoder
from proxy3d_core.errors import BadInput
from proxy3d_core.models.loading import quiet
from proxy3d_core.proxies.references import MARKERS, ReferenceCodes
from proxy3d_core.vlm import packed_attention
from proxy3d_core.vlm.config import ProxyVLMConfig, configuration
from proxy3d_core.vlm.loading import load_vlm
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import train_tokenizer
from proxy3d_training import __version__
from proxy3d_training.data.dataset import SpaceSpan
from proxy3d_training.data.drawn import DrawnScenes
from proxy3d_training.data.index import open_index
from proxy3d_training.data.prepared import INDEX, PreparedScenes
from proxy3d_training.data.schema import Split
from proxy3d_training.progress import progress_bar
from proxy3d_training.train.batches import Collator, Variant
from proxy3d_training.train.checkpoint import Checkpoints, Progress, read_progress, read_tensors
from proxy3d_training.train.config import PUBLISHED, DataConfig, ReplayConfig, StageConfig, TrainConfig
from proxy3d_training.train.loop import Learner, load_weights, warm_cosine
from proxy3d_training.train.metrics import Metrics, Pace, cores, duration, peak_memory, read_metrics
from proxy3d_training.train.plan import Batches, Part, Plan, Share

MODEL = "model"
"""Folder of the finished model in that of the run."""

_FREE = ("data", "out", "threads", "workers", "validation", "checkpoint")
"""Keys that may change when a run goes on; of the data the contents count."""

_SPELLED = 50_000
"""Samples whose texts the tokenizer is made from, at most."""

_SAID_EVERY = 60.0  # seconds between two lines where there is no bar


class Stopped(Exception):
    """The run was interrupted and saved."""


Scenes = PreparedScenes | DrawnScenes | None


@dataclass(frozen=True)
class _Data:
    scenes: Mapping[str, Scenes]
    codes: ReferenceCodes
    channels: int
    digests: Mapping[str, str]


class Run:
    """A run of training in this process, one of several or the only one."""

    def __init__(self, config: TrainConfig, quiet: bool = False) -> None:
        """Look at what is there.

        Args:
            config: of the run.
            quiet: no bar and no lines.

        Raises:
            BadInput: data that cannot be used, or the folder holds another run.
            ModelError: the model or the encoder cannot be loaded.
        """
        self._config = config
        self._accelerator = Accelerator(
            mixed_precision="bf16" if config.precision == "bf16" else "no",
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=_some_idle(config))],
        )
        self._quiet = quiet or not self._accelerator.is_main_process
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(config.threads or max(1, cores() // local - config.workers))
        self._data = _data(config)
        self._checkpoints = Checkpoints(config.out / "checkpoints")
        self._about = json.loads(json.dumps(self._describe()))
        self._stop = False

    def __call__(self) -> Path:
        """Train until the end; the folder of the finished model.

        Raises:
            Stopped: interrupted; the state is saved.
            BadInput: as above.
        """
        config = self._config
        finished = config.out / MODEL
        progress = self._progress()
        if finished.is_dir() and progress is not None and progress.stage == len(config.stages):
            self._say(f"{finished} is finished; for another run give another out")
            return finished
        if progress is None:
            progress = Progress(0, 0, 0, 0.0, 0.0, self._about)
            if self._accelerator.is_main_process:
                config.out.mkdir(parents=True, exist_ok=True)
                if config.from_scratch:
                    self._make_tokenizer()
                text = config.model_dump_json(indent=1, exclude_none=True)
                (config.out / "config.json").write_text(text + "\n", encoding="utf-8")
        else:
            self._say(f"going on after step {progress.done}")
        self._accelerator.wait_for_everyone()
        self._metrics = Metrics(config.out, progress.done) if self._accelerator.is_main_process else None
        with self._interruptible():
            while progress.stage < len(config.stages):
                progress = self._stage(progress)
        if self._metrics is not None:
            self._metrics.close()
            self._finish(finished, progress)
        self._accelerator.wait_for_everyone()
        self._accelerator.end_training()
        self._say(f"finished after {duration(progress.total_seconds)}: {finished}")
        return finished

    def _stage(self, progress: Progress) -> Progress:
        """Train a stage from where it is to its end."""
        config, accelerator = self._config, self._accelerator
        settings = config.stages[progress.stage]
        stage = settings.resolved()
        model, prompts = self._model()
        model.set_attn_implementation(packed_attention.NAME)
        latest = self._checkpoints.latest()
        if latest is not None:
            load_weights(model, read_tensors(latest, "model"))
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        learner = Learner(model, stage, accelerator, config.clip, config.betas, config.decay)
        if latest is not None and progress.step:
            learner.load_optimizer_state(read_tensors(latest, "optimizer") if accelerator.is_main_process else {})
        parts = self._parts(settings, prompts)
        world = accelerator.num_processes
        accumulate = settings.accumulate or config.accumulate
        slots = world * accumulate
        plan = Plan(parts, stage.batch, config.questions, config.seed, slots)
        steps = settings.steps or plan.steps(stage.epochs)
        limit = settings.minutes * 60 if settings.minutes else None
        held_out = self._held_out(settings, prompts, slots)
        loader = self._loader(Batches(parts), Share(plan, progress.step, steps, accelerator.process_index, world))
        step, seconds, last_saved = progress.step, progress.seconds, time.monotonic()
        pace = Pace()
        self._say(
            f"stage {settings.stage} ({progress.stage + 1} of {len(config.stages)}): {len(parts[0].samples):,} samples"
            f"{f', {parts[0].samples.left_out:,} left out' if parts[0].samples.left_out else ''}, {steps:,} steps of "
            f"{stage.batch}" + (f", at most {duration(limit)}" if limit else "")
        )

        def now(ended: bool = False) -> Progress:
            total, done = progress.total_seconds + seconds - progress.seconds, progress.done + step - progress.step
            if ended:
                return Progress(progress.stage + 1, 0, done, 0.0, total, self._about)
            return Progress(progress.stage, step, done, seconds, total, self._about)

        def save(ended: bool = False) -> Progress:
            at = now(ended)
            weights, state = learner.weights(), {} if ended else learner.optimizer_state()
            if accelerator.is_main_process:
                self._checkpoints.write(at, weights, state)
            accelerator.wait_for_everyone()
            return at

        batches = iter(loader)
        with progress_bar(self._quiet) as bar:
            task = bar.add_task(f"Stage {settings.stage}", total=steps, completed=step, rate="")
            said = time.monotonic()
            while step < steps and not (limit and seconds >= limit):
                begin = time.monotonic()
                torch.manual_seed(_seed(config.seed, progress.stage, step, accelerator.process_index))
                mine = list(islice(batches, accumulate))
                at = max(float(step), steps * seconds / limit if limit else 0.0)
                rate = stage.rate * warm_cosine(at, steps, stage.warmup)
                learned = learner.step(mine, rate)
                taken = time.monotonic() - begin
                step += 1
                pace.step(taken)
                values: dict[str, Any] = {
                    "stage": progress.stage,
                    "loss": learned.loss,
                    "rate": rate,
                    "gradient": learned.gradient,
                    "tokens": learned.tokens,
                    "samples_per_s": round(stage.batch / taken, 1),
                    "seconds": round(progress.total_seconds + seconds - progress.seconds + taken, 3),
                } | peak_memory()
                if held_out and (step % config.validation.every == 0 or step == steps):
                    values["validation"], values["right"] = learner.validate(self._loader(*held_out))
                    pace.between("validation", time.monotonic() - begin - taken)
                if self._metrics is not None:
                    self._metrics.add(now().done, **values)
                seconds, stop, due = self._agree(seconds + time.monotonic() - begin, time.monotonic() - last_saved)
                if stop or due or (config.checkpoint.steps and step % config.checkpoint.steps == 0):
                    begin = time.monotonic()
                    save()
                    last_saved = time.monotonic()
                    pace.between("checkpoint", last_saved - begin)
                    seconds += last_saved - begin
                if stop:
                    raise Stopped(f"stopped and saved after step {now().done}; the same command goes on from here")
                eta = self._remaining(pace, steps - step, None if limit is None else limit - seconds, held_out)
                rates = f"loss {learned.loss:.3f}  {values['samples_per_s']:,.0f}/s  {duration(eta)} left"
                bar.update(task, completed=step, rate=rates)
                if bar.disable and time.monotonic() - said > _SAID_EVERY:
                    said = time.monotonic()
                    self._say(f"step {step:,} of {steps:,}  {rates}")
        progress = save(ended=True)
        accelerator.free_memory()  # the next stage wraps a model of its own
        return progress

    def _model(self) -> tuple[ProxyVLM, PromptFormat]:
        """The model of the run before any step, the same in all processes."""
        config = self._config
        if not config.from_scratch:
            changes = {"feature_channels": self._data.channels} | config.changes
            source = PUBLISHED.get(config.model, config.model)
            return load_vlm(source, device="cpu", dtype="float32", **changes)
        torch.manual_seed(config.seed)
        described = self._described()
        return ProxyVLM(described), PromptFormat(AutoTokenizer.from_pretrained(self._tokenizer))

    def _described(self) -> ProxyVLMConfig:
        """Of a nano from scratch."""
        return configuration("nano", **({"feature_channels": self._data.channels} | self._config.changes))

    @property
    def _tokenizer(self) -> Path:
        return self._config.out / "tokenizer"

    def _make_tokenizer(self) -> None:
        """From the questions and answers that are learned."""
        files = [file for data in self._config.data.values() for file in data.files]
        samples = SpaceSpan(files, split="train")
        some = range(0, len(samples), -(-len(samples) // _SPELLED))
        asked = (samples[position].sample for position in some)
        texts = (text for sample in asked for text in (sample.prompt(), sample.answer.text))
        part = self._tokenizer.with_name(".tokenizer.part")
        train_tokenizer(texts, self._described().get_text_config().vocab_size).save_pretrained(part)
        shutil.rmtree(self._tokenizer, ignore_errors=True)
        part.rename(self._tokenizer)

    def _parts(self, settings: StageConfig, prompts: PromptFormat) -> list[Part]:
        """What a stage reads, its own samples first."""
        own = self._part(settings, settings, prompts, "train")
        return [own] + [
            replace(self._part(other, settings, prompts, "train"), share=other.share) for other in settings.replay
        ]

    def _part(
        self, asked: StageConfig | ReplayConfig, settings: StageConfig, prompts: PromptFormat, split: Split
    ) -> Part:
        """Samples of a stage, or of another one that is replayed in it."""
        config = self._config
        name = asked.data or settings.data or next(iter(config.data))
        data = config.data[name]
        kinds = asked.kinds
        if asked.without:
            there = dict.fromkeys(kind for file in data.files for kind in open_index(file).names["kind"])
            kinds = tuple(kind for kind in kinds or there if kind not in asked.without)
        samples = SpaceSpan(
            data.files,
            self._data.scenes[name],
            split=split,
            stage=asked.stage,
            sources=asked.sources,
            families=asked.families,
            kinds=kinds,
        )
        placed = asked.resolved().placed if isinstance(asked, StageConfig) else asked.stage != 1
        augment = config.seed if config.augment and split == "train" else None
        collator = Collator(prompts, self._data.codes, placed, config.variant, augment, data.budgets, config.evidence)
        return Part(samples, collator, weights=asked.weights, by=asked.by)

    def _held_out(self, settings: StageConfig, prompts: PromptFormat, slots: int) -> tuple[Batches, list[Any]] | None:
        """Batches of this process from the split ``val``; always the same ones."""
        asked = self._config.validation
        if not asked.every:
            return None
        try:
            part = replace(self._part(settings, settings, prompts, "val"), weights=None)
        except BadInput as error:
            raise BadInput(f"validation: {error}; for no validation set validation.every to 0") from None
        world, rank = self._accelerator.num_processes, self._accelerator.process_index
        count = min(asked.questions, len(part.samples))
        questions = min(self._config.questions, max(1, count // slots))
        batches = next(iter(Plan([part], max(count, questions * slots), questions, 0, slots)))
        return Batches([part]), batches[rank::world]

    def _loader(self, batches: Batches, sampler: Any) -> DataLoader[Any]:
        return DataLoader(
            batches,
            sampler=sampler,
            batch_size=None,
            num_workers=self._config.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # else it draws from the model's random numbers
        )

    def _agree(self, seconds: float, since_saved: float) -> tuple[float, bool, bool]:
        """What all processes know of the time, of a wish to stop and of a checkpoint that is due."""
        main = self._accelerator.is_main_process
        every = self._config.checkpoint.minutes
        due = main and every is not None and since_saved >= 60 * every
        mine = torch.tensor([seconds if main else 0.0, self._stop, due], dtype=torch.float64)
        found = self._accelerator.reduce(mine.to(self._accelerator.device), "sum").tolist()
        return found[0], found[1] > 0, found[2] > 0

    def _remaining(self, pace: Pace, steps: int, limit: float | None, held_out: Any) -> float:
        """Seconds to the end of the stage."""
        to_come = {"validation": steps / self._config.validation.every if held_out else 0.0}
        alone = pace.remaining(steps, to_come)
        saves = (steps / self._config.checkpoint.steps) if self._config.checkpoint.steps else 0.0
        if self._config.checkpoint.minutes:
            saves = max(saves, alone / 60 / self._config.checkpoint.minutes)
        whole = pace.remaining(steps, to_come | {"checkpoint": saves})
        return whole if limit is None else min(whole, max(0.0, limit))

    def _progress(self) -> Progress | None:
        """Of the run that is in the folder.

        Raises:
            BadInput: it is another one.
        """
        latest = self._checkpoints.latest()
        if latest is None:
            return None
        progress = read_progress(latest)
        for name in ("config", "data"):
            old, new = progress.run.get(name, {}), self._about[name]
            for key in sorted({*old, *new}):
                if old.get(key) != new.get(key):
                    raise BadInput(
                        f"{self._config.out} holds a run with another {key} ({name}); give another out, or remove it"
                    )
        return progress

    def _describe(self) -> dict[str, Any]:
        """What makes the run what it is. Without defaults: a key that is new in a later version changes no run."""
        config = self._config.model_dump(mode="json", exclude=set(_FREE), exclude_defaults=True)
        return {"config": config, "data": self._data.digests}

    def _finish(self, folder: Path, progress: Progress) -> None:
        """Write the finished model, whole or not at all."""
        latest = self._checkpoints.latest()
        assert latest is not None
        model, prompts = self._model()
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
        lines = read_metrics(self._config.out / "metrics.jsonl")
        thinned = lines[:: max(1, len(lines) // 500)]
        curves = {
            name: [
                [line["step"], line[name]]
                for line in (lines if name in ("validation", "right") else thinned)
                if name in line
            ]
            for name in ("loss", "validation", "right", "rate")
        }
        return {
            "format": "proxy3d_training",
            "version": __version__,
            "commit": commit(),
            "config": self._config.model_dump(mode="json", exclude_none=True, exclude={"data", "out"}),
            "data": self._about["data"],
            "steps": progress.done,
            "seconds": round(progress.total_seconds, 1),
            "processes": self._accelerator.num_processes,
            "machine": f"{cores()} cores, {platform.machine()}",
            "torch": torch.__version__,
            "curves": curves,
        }

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run after the step; a second one ends it at once."""

        def stop(number: int, frame: Any) -> None:
            self._stop = True
            signal.signal(number, signal.SIG_DFL)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


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


def _data(config: TrainConfig) -> _Data:
    scenes = {name: _scenes(data) for name, data in config.data.items()}
    prepared = [found for found in scenes.values() if isinstance(found, PreparedScenes)]
    made: Mapping[str, Any] = prepared[0].index["maker"]["settings"] if prepared else {}
    source = made.get("encoder.source") if config.encoder is None else config.encoder
    if source is None:
        raise BadInput("encoder: is missing; without prepared scenes it tells whose codes the symbols get")
    encoder = load_encoder(source, stage=made.get("encoder.stage", "auto"))
    for found in prepared:
        if encoder.channels != found.channels:
            raise BadInput(
                f"encoder: {encoder.name} has {encoder.channels} channels, {found.folder} has {found.channels}; "
                "prepare the scenes with this encoder, or leave encoder out"
            )
    codes = ReferenceCodes(encoder.encode)
    codes.identifiers(range(MARKERS))  # once here, not in every worker
    return _Data(scenes, codes, encoder.channels, _digests(config))


def _scenes(data: DataConfig) -> Scenes:
    if data.rooms is not None:
        return DrawnScenes(data.rooms)
    return None if data.scenes is None else PreparedScenes(data.scenes)


def _digests(config: TrainConfig) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, data in config.data.items():
        try:
            found |= {f"{name}/{file.name}": _digest(file) for file in data.files}
        except OSError as error:
            raise BadInput(f"data.{name}: cannot read {error.filename}: {error.strerror}") from None
        if data.scenes is not None:
            found[f"{name}/scenes"] = _digest(data.scenes / INDEX)
    return found


def _digest(file: Path) -> str:
    """SHA-256 of a file of any size."""
    found = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def _some_idle(config: TrainConfig) -> bool:
    """Whether some steps use only some of the weights that learn, such as those on samples without positions."""
    placed = [stage.resolved().placed for stage in config.stages]
    replayed = [
        any((part.stage != 1) != own for part in s.replay) for s, own in zip(config.stages, placed, strict=True)
    ]
    return (
        any(replayed) or config.variant != Variant() or bool({"latent_channels", "region_channels"} & {*config.changes})
    )


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _as_it_is(batch: Any) -> Any:
    return batch

"""What a run reads: files of samples, their scenes, and the encoder whose codes objects are named with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy3d_core.encoders import load_encoder
from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.references import MARKERS, ReferenceCodes
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_training.data.dataset import SpaceSpan
from proxy3d_training.data.drawn import DrawnScenes
from proxy3d_training.data.index import open_index
from proxy3d_training.data.prepared import INDEX, PreparedScenes
from proxy3d_training.data.schema import Split
from proxy3d_training.train.batches import Collator
from proxy3d_training.train.config import DataConfig, ReadConfig, ReplayConfig, StageConfig, TrainConfig
from proxy3d_training.train.plan import Batch, Part, Plan, check_batch

_SPELLED = 50_000
"""Samples whose texts the tokenizer is made from, at most."""


class Reader:
    """The data of a run.

    Attributes:
        channels: of the encoder's features.
        codes: of markers and categories, by that encoder.
    """

    def __init__(self, config: TrainConfig) -> None:
        """Open scenes and encoder.

        Raises:
            BadInput: scenes are missing, or of another encoder.
            ModelError: the encoder cannot be loaded.
        """
        self._config = config
        self._scenes = {name: _scenes(data) for name, data in config.data.items()}
        prepared = [found for found in self._scenes.values() if isinstance(found, PreparedScenes)]
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
        self._opened: dict[tuple[str, str, str], SpaceSpan] = {}
        self.channels = encoder.channels
        self.codes = ReferenceCodes(encoder.encode)
        self.codes.identifiers(range(MARKERS))  # once here, not in every worker

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file of samples and of the index of prepared scenes, which has that of each scene.

        Raises:
            BadInput: a file cannot be read.
        """
        found: dict[str, str] = {}
        for name, data in self._config.data.items():
            try:
                found |= {f"{name}/{file.name}": _digest(file) for file in data.files}
            except OSError as error:
                raise BadInput(f"data.{name}: cannot read {error.filename}: {error.strerror}") from None
            if data.scenes is not None:
                found[f"{name}/scenes"] = _digest(data.scenes / INDEX)
        return found

    def texts(self) -> Iterator[str]:
        """Questions and answers that are learned, or a part of them; the same ones each time."""
        samples = SpaceSpan([file for data in self._config.data.values() for file in data.files], split="train")
        for position in range(0, len(samples), -(-len(samples) // _SPELLED)):
            sample = samples[position].sample
            yield from (sample.prompt(), sample.answer.text)

    def check(self, stage: StageConfig, slots: int) -> None:
        """Open what a stage reads, so that what is wrong with the last one is said before the first begins.

        Args:
            stage: of the configuration.
            slots: batches of a step, over all processes.

        Raises:
            BadInput: there are no samples, or too few in a step.
        """
        check_batch(stage.resolved().batch, self._config.questions, slots)
        for asked in (stage, *stage.replay):
            self._samples(asked, stage, "train")
        if self._config.validation.every:
            self._validation(stage)

    def parts(self, stage: StageConfig, prompts: PromptFormat) -> list[Part]:
        """What a stage reads, its own samples first. Raises BadInput: there are none."""
        replayed = [replace(self._part(other, stage, prompts, "train"), share=other.share) for other in stage.replay]
        return [self._part(stage, stage, prompts, "train"), *replayed]

    def held_out(self, stage: StageConfig, prompts: PromptFormat, slots: int) -> tuple[Part, list[Batch]] | None:
        """Samples of the split ``val`` in so many batches, always the same ones; None if they are not asked for.

        Raises:
            BadInput: there are none.
        """
        asked = self._config.validation
        if not asked.every:
            return None
        count = min(asked.questions, len(self._validation(stage)))
        part = replace(self._part(stage, stage, prompts, "val"), weights=None)
        questions = min(self._config.questions, max(1, count // slots))
        return part, next(iter(Plan([part], max(count, questions * slots), questions, 0, slots)))

    def _validation(self, stage: StageConfig) -> SpaceSpan:
        try:
            return self._samples(stage, stage, "val")
        except BadInput as error:
            raise BadInput(f"validation: {error}; for no validation set validation.every to 0") from None

    def _part(self, asked: StageConfig | ReplayConfig, stage: StageConfig, prompts: PromptFormat, split: Split) -> Part:
        """Samples of a stage, or of another one that is replayed in it."""
        config = self._config
        budgets = config.data[self._name(asked, stage)].budgets
        placed = asked.resolved().placed if isinstance(asked, StageConfig) else asked.stage != 1
        augment = config.seed if config.augment and split == "train" else None
        collator = Collator(
            prompts, self.codes, placed, config.variant, augment, budgets, config.evidence, stage.drills
        )
        return Part(self._samples(asked, stage, split), collator, weights=asked.weights, by=asked.by)

    def _samples(self, asked: ReadConfig, stage: StageConfig, split: Split) -> SpaceSpan:
        name = self._name(asked, stage)
        key = name, split, asked.model_dump_json()
        if key not in self._opened:
            files, kinds = self._config.data[name].files, asked.kinds
            if asked.without:
                there = dict.fromkeys(kind for file in files for kind in open_index(file).names["kind"])
                kinds = tuple(kind for kind in kinds or there if kind not in asked.without)
            self._opened[key] = SpaceSpan(
                files,
                self._scenes[name],
                split=split,
                stage=asked.stage,
                sources=asked.sources,
                families=asked.families,
                kinds=kinds,
            )
        return self._opened[key]

    def _name(self, asked: ReadConfig, stage: StageConfig) -> str:
        """Entry of the configuration's data."""
        return asked.data or stage.data or next(iter(self._config.data))


def _scenes(data: DataConfig) -> PreparedScenes | DrawnScenes | None:
    if data.rooms is not None:
        return DrawnScenes(data.rooms)
    return None if data.scenes is None else PreparedScenes(data.scenes)


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            found.update(part)
    return found.hexdigest()

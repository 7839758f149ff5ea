"""What a training run is, from a YAML file: data, model, stages, and how it is run. Paths count from where it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from proxy3d_core.errors import BadInput
from proxy3d_training.train.batches import Variant
from proxy3d_training.train.precision import Precision
from proxy3d_training.train.stages import STAGES, Stage

StageNumber = Literal[1, 2, 3, 4]

PUBLISHED = {"3b": "Qwen/Qwen2.5-VL-3B-Instruct", "7b": "Qwen/Qwen2.5-VL-7B-Instruct"}
"""Hub ids of the published models."""


Config = TypeVar("Config", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataConfig(_Section):
    """Samples and the scenes they are asked about."""

    files: tuple[Path, ...] = Field(min_length=1, description="Files of samples (proxy3d data generate, convert).")
    scenes: Path | None = Field(None, description="Folder of prepared scenes (proxy3d data prepare).")
    rooms: Path | None = Field(None, description="Or folder of simulated rooms, drawn from their truth (DrawnScenes).")
    budgets: tuple[int, int] = Field((150, 300), description="Proxies of a drawn room, at least and at most.")

    @model_validator(mode="after")
    def _one_kind(self) -> DataConfig:
        if self.scenes is not None and self.rooms is not None:
            raise ValueError("scenes and rooms are both given; make two entries of data of them")
        return self


class ReadConfig(_Section):
    """Which samples are read."""

    stage: StageNumber = Field(description="Only samples of this stage; a stage's other defaults are the paper's.")
    data: str | None = Field(None, description="Entry of data; None = the first, of replay that of its stage.")
    sources: tuple[str, ...] | None = Field(None, description="Only samples of these sources.")
    families: tuple[str, ...] | None = Field(None, description="Only samples of these families.")
    kinds: tuple[str, ...] | None = Field(None, description="Only samples of these kinds.")
    without: tuple[str, ...] = Field((), description="No samples of these kinds.")
    weights: dict[str, float] = Field({}, description="How often a sample is read in an epoch, by name of ``by``.")
    by: Literal["source", "family", "kind"] = Field("source", description="What the weights are for.")


class ReplayConfig(ReadConfig):
    """Samples of other stages, so that they are not forgotten."""

    share: float = Field(gt=0, le=10, description="How many of their questions are read for each of the stage's own.")


class StageConfig(ReadConfig):
    """A stage; what is not given is as in the paper (``stages.STAGES``)."""

    placed: bool | None = Field(None, description="The model is told where things are.")
    scene: bool | None = Field(None, description="The layers before the language model learn too.")
    batch: int | None = Field(None, ge=1, description="Questions a step, over all processes and accumulated batches.")
    epochs: int | None = Field(None, ge=1, description="How often all samples are read.")
    accumulate: int | None = Field(None, ge=1, description="Other than that of the run.")
    rate: float | None = Field(None, gt=0, description="Highest learning rate.")
    warmup: float | None = Field(None, ge=0, le=1, description="Share of the steps on the way up to it.")
    steps: int | None = Field(None, ge=1, description="So many steps instead of whole epochs.")
    minutes: float | None = Field(None, gt=0, description="Ends after this time at the latest; the rate falls with it.")
    drills: bool = Field(False, description="Every scene is also asked twice of many objects at once (drills.py).")
    replay: tuple[ReplayConfig, ...] = Field((), description="What else is read.")

    def resolved(self) -> Stage:
        """With the paper's values where none are given."""
        paper = STAGES[self.stage]
        own = {name: getattr(self, name) for name in vars(paper)}
        return Stage(**{name: getattr(paper, name) if value is None else value for name, value in own.items()})


class ValidationConfig(_Section):
    """The loss on samples that are not learned (split ``val``)."""

    every: int = Field(200, ge=0, description="Steps between two; 0 = never.")
    questions: int = Field(512, ge=1, description="How many, always the same ones.")


class CheckpointConfig(_Section):
    """How often a run is saved; the last two are kept."""

    steps: int | None = Field(None, ge=1, description="Every so many steps.")
    minutes: float | None = Field(10, gt=0, description="After so much time since the last one.")


class TrainConfig(_Section):
    """A run of ``proxy3d train``."""

    kind: Literal["vlm"] = "vlm"
    model: str = Field("nano", min_length=1, description="nano (from scratch), 3b, 7b (published), a folder or hub id.")
    changes: dict[str, Any] = Field({}, description="Fields of ProxyVLMConfig that differ from the model's.")
    data: dict[str, DataConfig] = Field(min_length=1, description="What is read, by a name of your own.")
    encoder: str | None = Field(
        None, description="Encoder of the markers' codes; None = the one that the prepared scenes were made with."
    )
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    out: Path = Field(description="Folder of the run.")
    questions: int = Field(16, ge=1, description="At most so many questions on one scene share its prefix.")
    accumulate: int = Field(1, ge=1, description="A process splits its share of a step into so many batches.")
    precision: Precision = Field("auto", description="Of matrix products; weights are float32.")
    gradient_checkpointing: bool = Field(False, description="Less memory, a third more time.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Of AdamW.")
    decay: float = Field(0.0, ge=0, description="Of the weights.")
    muon: float = Field(0.0, ge=0, description="Matrices of the layers learn by Muon, at so many times the rate.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    seed: int = Field(42, ge=0)
    threads: int | None = Field(None, ge=1, description="Of a process; None = its share of the cores, less workers.")
    workers: int = Field(0, ge=0, description="Processes that load data, for each process that learns.")
    variant: Variant = Field(Variant(), description="What the model is shown of a prepared scene, for ablations.")
    evidence: bool = Field(False, description="Answers begin with what they are worked out from (Collator).")
    augment: bool = Field(True, description="Markers are dealt anew and scenes are turned (Collator).")
    validation: ValidationConfig = ValidationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _names(self) -> TrainConfig:
        for name in (part.data for stage in self.stages for part in (stage, *stage.replay)):
            if name is not None and name not in self.data:
                raise ValueError(f"a stage reads data {name!r}; data has {', '.join(self.data)}")
        return self

    @property
    def from_scratch(self) -> bool:
        """A new nano with a tokenizer of its own."""
        return self.model == "nano"


def read_config(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping of a YAML file.

    Args:
        path: of the file.
        changes: ``NAME=VALUE`` with dotted names, such as ``stages.0.rate=1e-3``; values are YAML.

    Raises:
        BadInput: the file cannot be read or is no mapping, or a change is not written so.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}; configurations to begin with: training/configs"
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text; a configuration is YAML in UTF-8") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise BadInput(f"{path} holds no mapping; see training/configs/nano.yaml")
    changed: dict[str, Any] = tree
    for change in changes:
        changed = _changed(changed, change)
    return changed


def checked(kind: type[Config], tree: dict[str, Any]) -> Config:
    """A configuration.

    Args:
        kind: ``TrainConfig``, or another model of pydantic.
        tree: what ``read_config`` gave.

    Raises:
        BadInput: an unknown key, a value out of range, or one that is missing; the message names the key.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise BadInput("; ".join(_cure(problem) for problem in error.errors()[:3])) from None


def _changed(tree: Any, change: str) -> Any:
    name, equals, text = change.partition("=")
    if not equals:
        raise BadInput(f"--set {change}: write NAME=VALUE, such as stages.0.rate=1e-3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise BadInput(f"--set {change}: the value is not YAML") from None
    return _put(tree, name.split("."), value, name)


def _put(tree: Any, path: list[str], value: Any, name: str) -> Any:
    """A copy of the tree with a value put in."""
    if not path:
        return value
    if isinstance(tree, list):
        if not path[0].isdigit() or int(path[0]) >= len(tree):
            raise BadInput(f"--set {name}: there is no entry {path[0]}; entries are counted from 0 to {len(tree) - 1}")
        number = int(path[0])
        return [_put(item, path[1:], value, name) if i == number else item for i, item in enumerate(tree)]
    inner = tree if isinstance(tree, dict) else {}
    return inner | {path[0]: _put(inner.get(path[0]), path[1:], value, name)}


def _cure(problem: Any) -> str:
    """One line for a problem that pydantic found."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where}: there is no such key here; the keys are in training/README.md"
    if problem["type"] == "missing":
        return f"{where}: is missing; training/configs/nano.yaml shows how it is written"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')} (given: {problem.get('input')!r})"

"""Training of the network that completes boxes, on simulated rooms: ``train_boxes``.

The rooms are played through the live pipeline. A few times in each, what was seen of every thing until then is held
against its true box; the network learns to move the faces, by the overlap that comes of it.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.models.checkpoint import WEIGHTS
from proxy3d_core.scene.completion import LEAST_EDGE, TRAITS, BoxCompletion, Outline
from proxy3d_core.sequences import open_sequence
from proxy3d_training.live import Drive, ReusedScene, config_of
from proxy3d_training.matching import assign, equal, overlaps, thick
from proxy3d_training.progress import progress_bar
from proxy3d_training.simulation.truth import Truth
from proxy3d_training.train.vision_data import recordings

_LEAST_IOU = 0.1  # from which on a thing is the one of its name that is there
_ASIDE = np.deg2rad(10)  # a box that was turned by more than this has no faces that could be compared
_SQUARE = 0.1  # of the longer edge: what is that much less wide has no direction
_FIRST, _HIDDEN = 12, 64
_DISTANCE = 0.3  # of a metre that a face is off, beside the overlap that it costs


class BoxTraining(BaseModel):
    """A training run of the network that completes boxes, as its YAML file says it; ``proxy3d train`` runs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["boxes"]
    rooms: list[Path] = Field(min_length=1, description="Folders of simulated recordings to learn from.")
    held: list[Path] = Field([], description="Folders of others, only to measure on.")
    out: Path = Field(description="Folder for weights, config.json and figures.json.")
    settings: list[str] = Field(["input.semantics=model"], description="Of the pipeline, each NAME=VALUE.")
    looks: int = Field(3, ge=1, description="How often in a recording it is asked what was seen until then.")
    least: int = Field(10, ge=1, description="Kinds that are seen less often are not learned.")
    epochs: int = Field(150, ge=1, description="How often everything is read.")
    batch: int = Field(128, ge=2, description="Things in a step.")
    rate: float = Field(3e-3, gt=0, description="Highest learning rate; it falls along a cosine.")
    decay: float = Field(0.02, ge=0, description="Weight decay.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden units that are left out.")
    seed: int = 0
    workers: int = Field(2, ge=1, description="Processes that play rooms.")


@dataclass(frozen=True, eq=False)
class Example:
    """A thing as it was seen, and its true box in the same frame."""

    outline: Outline
    truth: OrientedBox

    def moves(self) -> NDArray[np.float64] | None:
        """(6,) by which the faces are to be moved outwards; None: its sides are not those of the true box."""
        axes, truth = self.outline.axes, self.truth
        cosines = np.abs(axes.T @ truth.rotation)
        square = abs(truth.size[0] - truth.size[1]) < _SQUARE * truth.size[:2].max()
        if not square and cosines[0].max() < np.cos(_ASIDE):
            return None
        order = [0, 1, 2] if cosines[0, 0] >= cosines[0, 1] else [1, 0, 2]
        high = (truth.center - self.outline.box.center) @ axes
        low = high - truth.size[order] / 2
        high = high + truth.size[order] / 2
        seen = np.abs(axes.T @ self.outline.box.rotation).round() @ self.outline.box.size / 2
        return np.concatenate([high - seen, -seen - low])


def train_boxes(config: BoxTraining, quiet: bool = False) -> Path:
    """Play the rooms, train and save the network; returns ``config.out``, which ``BoxCompletion.load`` reads.

    Raises:
        BadInput: no recordings, incomplete ones, or too few things in them.
    """
    settings = config_of(config.settings)
    examples = list(_examples(recordings(config.rooms), settings, config, quiet))
    network, names = fit(examples, config)
    save(network, names, config.out)
    if config.held:
        held = list(_examples(recordings(config.held), settings, config, quiet))
        figures = {"examples": len(examples)} | score(BoxCompletion.load(config.out), held)
        (config.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return config.out


class _Network(nn.Sequential):
    """What ``BoxCompletion`` computes, to be trained.

    ``kinds``: (K, E) what it knows of kinds; ``mean``, ``scale``: (TRAITS,) of the traits.
    """

    def __init__(self, kinds: int, mean: Tensor, scale: Tensor, dropout: float) -> None:
        widths = (_FIRST + TRAITS, _HIDDEN, _HIDDEN, 6)
        super().__init__(*(nn.Linear(*pair) for pair in pairwise(widths)))
        self.kinds = nn.Parameter(torch.randn(kinds, _FIRST) * 0.3)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self[2].weight)  # at first boxes are as they were seen
        nn.init.zeros_(self[2].bias)

    def moves(self, kind: Tensor, traits: Tensor) -> Tensor:
        """(N, 6) of kinds (N,) with traits (N, TRAITS)."""
        x = torch.cat([self.kinds[kind], (traits - self.mean) / self.scale], dim=1)
        for layer in (self[0], self[1]):
            x = self.dropout(torch.relu(layer(x)))
        moves: Tensor = self[2](x)
        return moves


def fit(examples: Sequence[Example], config: BoxTraining) -> tuple[nn.Module, list[str]]:
    """The network that moves faces so that boxes overlap true ones best, and the kinds that it knows.

    Raises:
        BadInput: no kind was seen often enough.
    """
    torch.manual_seed(config.seed)
    by_kind: dict[str, list[tuple[Outline, NDArray[np.float64]]]] = defaultdict(list)
    for example in examples:
        if (moves := example.moves()) is not None:
            by_kind[example.outline.label].append((example.outline, moves))
    names = sorted(name for name, some in by_kind.items() if len(some) >= config.least)
    if not names:
        raise BadInput(f"of {len(examples)} things that were seen no kind came {config.least} times; give more rooms")
    pairs = [(index, *pair) for index, name in enumerate(names) for pair in by_kind[name]]
    kind = torch.tensor([index for index, _, _ in pairs], dtype=torch.long)
    traits = torch.tensor(np.array([outline.traits for _, outline, _ in pairs]).reshape(-1, TRAITS))
    wanted = torch.tensor(np.array([moves for _, _, moves in pairs]).reshape(-1, 6), dtype=torch.float32)
    size = traits[:, :3]
    spread = traits.std(dim=0, correction=0).clamp(min=1e-3)
    network = _Network(len(names), traits.mean(dim=0), spread, config.dropout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay)
    steps = config.epochs * -(-len(pairs) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(config.epochs):
        for chosen in torch.randperm(len(pairs)).split(config.batch):
            moves = network.moves(kind[chosen], traits[chosen])
            off = _DISTANCE * (moves - wanted[chosen]).abs().mean()
            loss = 1 - _overlap(size[chosen], moves, wanted[chosen]).mean() + off
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval(), names


def _overlap(size: Tensor, moves: Tensor, wanted: Tensor) -> Tensor:
    """(N,) IoU of boxes with the same sides, of edges (N, 3), whose faces are moved by (N, 6)."""
    edges = [(size + given[:, :3] + given[:, 3:]).clamp(min=LEAST_EDGE) for given in (moves, wanted)]
    common = (size + torch.minimum(moves, wanted)[:, :3] + torch.minimum(moves, wanted)[:, 3:]).clamp(min=0)
    both = common.prod(dim=1)
    return both / (edges[0].prod(dim=1) + edges[1].prod(dim=1) - both)


def save(network: nn.Module, names: Sequence[str], folder: Path) -> None:
    """Write config.json and the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"model_type": "proxy3d_boxes", "names": list(names)}
    (folder / "config.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)


def score(completion: BoxCompletion, examples: Sequence[Example]) -> dict[str, object]:
    """How well boxes overlap the true ones, ``seen`` and ``completed``: mean IoU, shares from 0.25, 0.5, 0.7 on."""
    pairs = [(e.outline.box.iou(e.truth), completion(e.outline).iou(e.truth)) for e in examples]
    figures: dict[str, object] = {"held": len(pairs)}
    for name, column in zip(("seen", "completed"), np.array(pairs).reshape(-1, 2).T, strict=True):
        shares = {f"from_{least}": round(float((column >= least).mean()), 4) for least in (0.25, 0.5, 0.7)}
        figures[name] = {"iou": round(float(column.mean()), 4)} | shares
    return figures


_scene: _Watched | None = None  # of a worker process


class _Watched(ReusedScene):
    """A scene that remembers what it was to complete, and leaves it as it was seen."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, self._watch)
        self._outlines: list[Outline] = []

    def _watch(self, outline: Outline) -> OrientedBox:
        self._outlines.append(outline)
        return outline.box

    def outlines(self) -> list[Outline]:
        """Of all that is there now."""
        self._outlines = []
        self.refresh()
        return self._outlines


def _examples(folders: Sequence[Path], settings: Config, config: BoxTraining, quiet: bool) -> Iterator[Example]:
    """Of all rooms, in their order."""
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(config.workers, context, initializer=_begin, initargs=(settings,)) as pool,
        progress_bar(quiet) as bar,
    ):
        shown = bar.add_task("rooms", total=len(folders), rate="")
        for found in pool.map(partial(_play, looks=config.looks), folders):
            bar.update(shown, advance=1)
            yield from found


def _begin(settings: Config) -> None:
    """Make a worker ready: one thread each, models loaded once."""
    global _scene
    threadpool_limits(1)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _scene = _Watched(settings)


def _play(folder: Path, looks: int) -> list[Example]:
    """A room; things that are moved in it are left out."""
    assert _scene is not None
    truth = Truth.load(folder)
    moved = {change.object for change in truth.changes}
    things = [thing for thing in truth.objects if thing.id not in moved]
    _scene.begin()
    drive = Drive(_scene, open_sequence(folder))
    turn = drive.level.rotation
    boxes = [thing.box.oriented() for thing in things]
    boxes = [OrientedBox(turn @ box.center, box.size, turn @ box.rotation) for box in boxes]
    when = set(np.linspace(0, len(truth.frames), looks + 1)[1:-1].round().astype(int).tolist())
    found: list[Example] = []

    def look() -> None:
        outlines = _scene.outlines()
        iou = overlaps([thick(outline.box) for outline in outlines], [thick(box) for box in boxes])
        same = equal([outline.label for outline in outlines], [thing.label.lower() for thing in things])
        pairs = assign(np.where(same, iou, 0.0), _LEAST_IOU)
        found.extend(Example(outlines[row], boxes[column]) for row, column in pairs)

    for index, _ in enumerate(drive, 1):
        if index in when:
            look()
    look()
    return found

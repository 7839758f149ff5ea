"""Samples with their prepared scenes for training: a map-style dataset and the orders in which it is read.

Nothing is held per sample but four bytes: lines are read from the file where the index says they are, scenes are
mapped into memory, and both are shared by all processes that read them. What an epoch is, is a function of seed and
epoch alone (``epoch_order``), so that a run that was stopped continues with the sample it had come to.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from proxy3d_core.errors import BadInput
from proxy3d_core.scene.snapshot import ProxySet
from proxy3d_training.data.drawn import DrawnScene, DrawnScenes
from proxy3d_training.data.index import SPLITS, TYPES, VIEWS, SampleIndex, open_index
from proxy3d_training.data.prepared import PreparedScene, PreparedScenes
from proxy3d_training.data.schema import Sample, Split

Ints = NDArray[np.int64]

_OPEN_SCENES = 32  # mapped at a time in each process


@dataclass(frozen=True, eq=False)
class Item:
    """A sample and what is seen.

    Attributes:
        sample: its texts name objects by the markers of the map, if ``scene`` is given.
        scene: the scene, or None: view ``symbols`` shows ``sample.objects`` instead.
    """

    sample: Sample
    scene: PreparedScene | DrawnScene | None = None

    @cached_property
    def proxies(self) -> ProxySet | None:
        """Of a prepared scene in the order of reading, or None."""
        return self.scene.proxies() if isinstance(self.scene, PreparedScene) else None

    @cached_property
    def markers(self) -> Ints | None:
        """(K,) marker of each proxy's object, -1 = none; None without proxies."""
        if not isinstance(self.scene, PreparedScene) or self.proxies is None:
            return None
        return self.scene.markers_of(self.proxies.groups)


class SpaceSpan(Dataset[Item]):
    """Samples of several files, filtered, with their scenes."""

    def __init__(
        self,
        files: Sequence[Path],
        scenes: PreparedScenes | DrawnScenes | None = None,
        *,
        split: Split | None = None,
        stage: int | None = None,
        sources: Iterable[str] | None = None,
        families: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        types: Iterable[str] | None = None,
        views: Iterable[str] | None = None,
        need: Literal["named", "all"] = "named",
        cache: Path | None = None,
    ) -> None:
        """Open files and choose samples.

        Args:
            files: of samples (JSON lines).
            scenes: prepared scenes, or scenes drawn from their truth. Samples that ask about a scene which is not there
                are left out, and those that name an object which the map of the scene does not have.
            split, stage: only these.
            sources, families, kinds, types, views: only these; None = all.
            need: ``all`` leaves out samples one of whose objects the map does not have, be it named or not.
            cache: folder for the indices of the files; None = beside each.

        Raises:
            BadInput: a file cannot be read, or no sample is left.
        """
        self._indices = [open_index(Path(file), cache) for file in files]
        self._starts = np.cumsum([0, *(len(index) for index in self._indices)])
        self._scenes = scenes
        self.left_out = 0
        """Samples that were chosen but that cannot be asked of the prepared scenes."""
        found = []
        asked = {"source": sources, "family": families, "kind": kinds}
        asked_values = {name: None if values is None else tuple(values) for name, values in asked.items()}
        fixed = {"type": (TYPES, types), "view": (VIEWS, views), "split": (SPLITS, None if split is None else (split,))}
        fixed_values = {
            name: None if values is None else [known.index(value) for value in values]
            for name, (known, values) in fixed.items()
        }
        for start, index in zip(self._starts.tolist(), self._indices, strict=False):
            rows = index.rows
            keep = np.ones(len(rows), bool)
            if stage is not None:
                keep &= (rows["stages"] >> stage & 1).astype(bool)
            for name, values in asked_values.items():
                if values is not None:
                    keep &= np.isin(rows[name], index.numbers(name, values))
            for name, numbers in fixed_values.items():
                if numbers is not None:
                    keep &= np.isin(rows[name], numbers)
            can = _askable(index, scenes, need)
            self.left_out += int((keep & ~can).sum())
            found.append(start + np.flatnonzero(keep & can))
        # A shared tensor: a process that is given the dataset gets a handle, not a copy.
        chosen = np.concatenate(found) if found else np.zeros(0, np.int64)
        self._rows = torch.from_numpy(chosen.astype(np.int32)).share_memory_()
        if not len(self._rows):
            raise BadInput(
                f"no sample is left of {self._starts[-1]} in {', '.join(str(f) for f in files) or 'no files'}"
                + (f"; {self.left_out} ask for scenes or objects that were not prepared" if self.left_out else "")
            )
        self._files: dict[int, int] = {}
        self._open: OrderedDict[str, PreparedScene | DrawnScene] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Without open files: another process opens its own."""
        return self.__dict__ | {"_files": {}, "_open": OrderedDict()}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> Item:
        """A sample.

        Raises:
            BadInput: its line is not valid, or its scene is damaged.
        """
        number, row = self._where(position)
        sample = self._sample(number, row)
        if self._scenes is None or sample.scene is None or sample.view == "symbols":
            return Item(sample)
        scene = self._scene(sample.scene.name)
        marked = sample.marked(scene.marker_of_true)
        if marked is None:
            raise BadInput(f"sample {sample.id} names objects that the scene {sample.scene.name} does not have")
        return Item(marked, scene)

    def column(self, name: str) -> Ints:
        """(N,) source, family, kind or scene of every sample, as numbers that are the same for the same name."""
        known: dict[str, int] = {"": -1}
        parts = []
        rows = self._rows.numpy()
        for number, index in enumerate(self._indices):
            mine = rows[(rows >= self._starts[number]) & (rows < self._starts[number + 1])] - self._starts[number]
            table = [known.setdefault(value, len(known) - 1) for value in index.names[name]]
            values = index.rows[name][mine].astype(np.int64)
            parts.append(np.where(values < 0, -1, np.array([*table, -1], np.int64)[values]))
        return np.concatenate(parts)

    def names(self, name: str) -> list[str]:
        """What the numbers of ``column`` stand for."""
        return list(dict.fromkeys(value for index in self._indices for value in index.names[name]))

    def _where(self, position: int) -> tuple[int, int]:
        at = int(self._rows[position])
        number = int(np.searchsorted(self._starts, at, side="right")) - 1
        return number, at - int(self._starts[number])

    def _sample(self, number: int, row: int) -> Sample:
        index = self._indices[number]
        if number not in self._files:
            self._files[number] = os.open(index.file, os.O_RDONLY)
        entry = index.rows[row]
        line = os.pread(self._files[number], int(entry["length"]), int(entry["offset"]))
        try:
            return Sample.model_validate_json(line)
        except ValueError as error:
            raise BadInput(f"{index.file}: sample {row} is not valid: {error}; see: proxy3d data validate") from None

    def _scene(self, name: str) -> PreparedScene | DrawnScene:
        assert self._scenes is not None
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        scene = self._open[name] = self._scenes[name]
        if len(self._open) > _OPEN_SCENES:
            self._open.popitem(last=False)
        return scene


def _askable(index: SampleIndex, scenes: PreparedScenes | DrawnScenes | None, need: str) -> NDArray[np.bool_]:
    """(N,) which samples can be asked of the prepared scenes."""
    rows = index.rows
    if scenes is None:
        return np.ones(len(rows), bool)
    seen: set[int] = set()
    there = np.zeros(len(index.names["scene"]) + 1, bool)  # the last one is of samples without a scene
    there[-1] = True
    for number, name in enumerate(index.names["scene"]):
        if name in scenes:
            there[number] = True
            seen.update((number << 32) | true_id for true_id in scenes.marked_true_ids(name))
    symbols = (rows["view"] == VIEWS.index("symbols")) | (rows["scene"] < 0)
    owner = np.repeat(np.arange(len(rows)), rows["objects"])
    objects = index.objects
    asked = (objects["named"] == 1) | (need == "all")
    keys = (rows["scene"].astype(np.int64)[owner] << 32) | objects["id"].astype(np.int64)
    lacking = asked & ~np.isin(keys, np.fromiter(seen, np.int64, len(seen)))
    missing = np.bincount(owner[lacking], minlength=len(rows)) > 0
    return np.asarray(symbols | (there[rows["scene"]] & ~missing))


def epoch_order(
    dataset: SpaceSpan, seed: int, epoch: int, weights: Mapping[str, float] | None = None, by: str = "source"
) -> Ints:
    """Positions of an epoch in the order of reading; the same seed and epoch give the same ones.

    Args:
        weights: how often every sample of a source is read in an epoch, on average: with 2.5 each is read twice and
            half of them once more, drawn anew in every epoch. What is not named is read once.
        by: what the weights are for: source, family or kind.

    Raises:
        BadInput: a weight is negative, or for something that the dataset does not have.
    """
    rng = np.random.default_rng((seed, epoch))
    names = dataset.names(by)
    unknown = set(weights or ()) - set(names)
    if unknown:
        raise BadInput(f"there is no {by} {sorted(unknown)[0]!r}; there are {', '.join(names)}")
    if min((weights or {"": 0}).values()) < 0:
        raise BadInput("weights are not negative")
    positions = np.arange(len(dataset))
    if weights:
        column = dataset.column(by)
        parts = []
        for number, name in enumerate(names):
            mine, weight = positions[column == number], weights.get(name, 1.0)
            whole = int(weight)
            more = round((weight - whole) * len(mine))
            parts += [np.tile(mine, whole), rng.permutation(mine)[:more]]
        positions = np.concatenate(parts)
    return rng.permutation(positions)


def packs(dataset: SpaceSpan, order: Ints, questions: int) -> list[Ints]:
    """Groups of at most ``questions`` positions that share a scene, in the order in which ``order`` fills them.

    Questions about one scene can be answered behind one scene prefix. Samples without a scene are packed together.
    """
    scene = dataset.column("scene")[order]
    by_scene = order[np.argsort(scene, kind="stable")]
    counts = np.unique(scene, return_counts=True)[1]
    place = np.empty(len(dataset) + 1, np.int64)
    place[order] = np.arange(len(order))
    found = []
    for part in np.split(by_scene, np.cumsum(counts)[:-1]):
        found += [part[i : i + questions] for i in range(0, len(part), questions)]
    return sorted(found, key=lambda pack: int(place[pack[-1]]))


class EpochSampler(Sampler[int]):
    """Reads an epoch, or one process's share of it, from any sample on; for ``DataLoader(sampler=...)``."""

    def __init__(
        self,
        dataset: SpaceSpan,
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
        by: str = "source",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """``rank`` of ``world`` processes reads every ``world``-th sample; what is left over at the end is not read.

        Raises:
            BadInput: as ``epoch_order``.
        """
        self._dataset, self._seed, self._weights, self._by = dataset, seed, weights, by
        self._rank, self._world = rank, world
        self._start = 0
        self.set_epoch(0)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """The next epoch to read, and with which sample of this process to begin."""
        order = epoch_order(self._dataset, self._seed, epoch, self._weights, self._by)
        self._order = order[: len(order) - len(order) % self._world][self._rank :: self._world]
        self._start = start

    def __len__(self) -> int:
        return len(self._order) - self._start

    def __iter__(self) -> Iterator[int]:
        return (int(position) for position in self._order[self._start :])


class PackSampler(Sampler["list[int]"]):
    """Reads an epoch in groups that share a scene; for ``DataLoader(batch_sampler=...)``."""

    def __init__(
        self,
        dataset: SpaceSpan,
        questions: int,
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
        by: str = "source",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """As ``EpochSampler``; at most ``questions`` samples a group."""
        self._dataset, self._questions, self._seed, self._weights, self._by = dataset, questions, seed, weights, by
        self._rank, self._world = rank, world
        self._start = 0
        self.set_epoch(0)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """The next epoch to read, and with which group of this process to begin."""
        order = epoch_order(self._dataset, self._seed, epoch, self._weights, self._by)
        found = packs(self._dataset, order, self._questions)
        self._packs = found[: len(found) - len(found) % self._world][self._rank :: self._world]
        self._start = start

    def __len__(self) -> int:
        return len(self._packs) - self._start

    def __iter__(self) -> Iterator[list[int]]:
        return (pack.tolist() for pack in self._packs[self._start :])

"""Which questions a step learns from: a function of seed and step alone, the same for any number of processes.

A step is a list of packs (questions that share a scene), dealt out to as many batches as there are processes and
accumulations. All questions of a step are of one stage, so that its batches are of one form; samples of other stages
(replay) come in steps of their own, as often as their share says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Sampler

from proxy3d_core.errors import BadInput
from proxy3d_training.data.dataset import Ints, SpaceSpan, epoch_order, packs
from proxy3d_training.train.batches import Collator


@dataclass(frozen=True)
class Part:
    """Samples that are put to the model in one form.

    Attributes:
        samples: of one stage.
        collator: makes their batches.
        share: how many of their questions are read for each of the stage's own.
        weights, by: as for ``epoch_order``.
    """

    samples: SpaceSpan
    collator: Collator
    share: float = 1.0
    weights: Mapping[str, float] | None = None
    by: str = "source"


@dataclass(frozen=True)
class Batch:
    """What a process learns from at once.

    Attributes:
        part: number of the part.
        key: of the random numbers for it: seed, step and number in the step.
        positions: of the samples in their part.
    """

    part: int
    key: tuple[int, ...]
    positions: tuple[int, ...]


class Batches(Dataset[dict[str, Any]]):
    """Batches by plan; for ``DataLoader(sampler=Share(...), batch_size=None)``."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def __getitem__(self, batch: Batch) -> dict[str, Any]:
        """Arguments of ``ProxyVLM.forward``. Raises BadInput as the collator and the samples do."""
        part = self._parts[batch.part]
        return part.collator([part.samples[position] for position in batch.positions])


class Plan:
    """Steps of a stage."""

    def __init__(self, parts: Sequence[Part], batch: int, questions: int, seed: int, slots: int) -> None:
        """Plan a stage.

        Args:
            parts: the stage's own samples first.
            batch: questions a step.
            questions: of a pack, at most.
            seed: of the order.
            slots: batches a step, over all processes.

        Raises:
            BadInput: the questions of a step do not give every slot a pack; or as ``epoch_order``.
        """
        self._parts, self._batch, self._questions, self._seed, self._slots = parts, batch, questions, seed, slots
        check_batch(batch, questions, slots)

    def steps(self, epochs: int) -> int:
        """How many steps read the stage's own samples so often, others among them."""
        own = sum(len(self._order(0, epoch)) for epoch in range(epochs)) / self._batch
        return max(1, round(own * sum(part.share for part in self._parts)))

    def __iter__(self) -> Iterator[list[Batch]]:
        """Without end: for each step its batches, one for each slot."""
        streams = [self._packs(number) for number in range(len(self._parts))]
        read = [0.0] * len(self._parts)
        step = 0
        while True:
            # whose share is furthest behind; the stage's own first
            number = min(range(len(self._parts)), key=lambda n: (read[n] / self._parts[n].share, n))
            found: list[Ints] = []
            while sum(map(len, found)) < self._batch or len(found) < self._slots:
                found.append(next(streams[number]))
            read[number] += sum(map(len, found))
            dealt = [np.concatenate(found[slot :: self._slots]) for slot in range(self._slots)]
            yield [
                Batch(number, (self._seed, step, slot), tuple(positions.tolist()))
                for slot, positions in enumerate(dealt)
            ]
            step += 1

    def _packs(self, number: int) -> Iterator[Ints]:
        epoch = 0
        while True:
            yield from packs(self._parts[number].samples, self._order(number, epoch), self._questions)
            epoch += 1

    def _order(self, number: int, epoch: int) -> Ints:
        part = self._parts[number]
        return epoch_order(part.samples, self._seed, epoch, part.weights, part.by)


class Share(Sampler[Batch]):
    """The batches of one process, from a step on."""

    def __init__(self, plan: Plan, start: int, end: int, rank: int = 0, world: int = 1) -> None:
        """``start`` to ``end``: steps, the last one not included."""
        self._plan, self._start, self._end, self._rank, self._world = plan, start, end, rank, world

    def __iter__(self) -> Iterator[Batch]:
        for step, batches in enumerate(self._plan):
            if step >= self._end:
                return
            if step >= self._start:
                yield from batches[self._rank :: self._world]


def check_batch(batch: int, questions: int, slots: int) -> None:
    """Raises BadInput: the questions of a step do not give each of its batches a pack."""
    if batch < questions * slots:
        raise BadInput(
            f"batch: {batch} questions a step are too few for {slots} batches (processes x accumulate) of packs of "
            f"{questions}; raise batch, or lower questions or accumulate"
        )

"""Questions from many rooms: candidates of all kinds, balanced over all rooms, shared out evenly over the kinds."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from proxy3d_training import __version__
from proxy3d_training.data.questions import (
    alignment,
    attributes,
    everyday,
    grounding,
    regions,
    situated,
    vsi,
)
from proxy3d_training.data.questions.balance import Entry, balance, shares
from proxy3d_training.data.questions.candidates import Asker, Candidate
from proxy3d_training.data.questions.rooms import Room, read_room, split_of
from proxy3d_training.data.schema import Provenance, Sample, Split

FAMILIES: dict[str, Callable[[Asker], Iterator[Candidate]]] = {
    "vsi": vsi.ask,
    "situated": situated.ask,
    "everyday": everyday.ask,
    "grounding": grounding.ask,
    "attributes": attributes.ask,
    "regions": regions.ask,
    "alignment": alignment.ask,
}
OVER = 6
"""Candidates made for one that is wanted: balance leaves many out."""
KINDS = 60
"""About so many kinds share the questions of a room."""
TOGETHER = 400
"""At most so many rooms are balanced together; bounds the memory."""


def candidates(room: Room, seed: int, wanted: int, families: Sequence[str]) -> Iterator[Candidate]:
    """All candidates for one room; the same seed gives the same ones."""
    for family in families:
        rng = random.Random(f"{seed} {room.name} {family}")
        yield from FAMILIES[family](Asker(room, rng, wanted))


def generate(
    folders: Sequence[Path],
    out: Path,
    seed: int,
    per_room: int,
    val: float = 0.1,
    test: float = 0.1,
    families: Sequence[str] = tuple(FAMILIES),
    balanced: bool = True,
    track: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> Iterator[Sample]:
    """Samples from rooms, about ``per_room`` a room on average, ordered by room.

    The split of a room follows from its name. Balance is kept over the rooms of all splits together: small splits alone
    have too few questions of a kind to tell habit from chance.

    Args:
        folders: of simulated rooms.
        out: the file that the samples will be written to; scene folders are given relative to it.
        val, test: shares of the rooms.
        families: keys of ``FAMILIES``.
        balanced: False = as they come, also those whose answer the words give away: more to learn from, not to measure
            by.
        track: wraps the folders to show progress.
    """
    done = iter(track(folders))
    parts = -(-len(folders) // TOGETHER)
    together = -(-len(folders) // max(parts, 1))  # alike, so that no few rooms are left over
    for start in range(0, len(folders), max(together, 1)):
        rooms: dict[str, Room] = {}
        pools: dict[str, list[Entry]] = defaultdict(list)
        for _ in folders[start : start + together]:
            room = read_room(next(done))
            rooms[room.name] = room
            for candidate in candidates(room, seed, max(2, OVER * per_room // KINDS), families):
                pools[f"{candidate.family}/{candidate.kind}"].append((room.name, candidate))
        taken: dict[str, list[Candidate]] = defaultdict(list)
        rng = random.Random(f"{seed} balance {start}")
        for name, candidate in _chosen(pools, rng, per_room * len(rooms), balanced):
            taken[name].append(candidate)
        for name, room in rooms.items():
            split = split_of(name, val, test)
            for number, candidate in enumerate(taken[name]):
                yield as_sample(room, candidate, split, seed, number, out)


def _chosen(pools: dict[str, list[Entry]], rng: random.Random, total: int, balanced: bool) -> Iterator[Entry]:
    left = {
        kind: balance(found, rng) if balanced else rng.sample(found, len(found))
        for kind, found in sorted(pools.items())
    }
    for kind, count in shares({kind: len(found) for kind, found in left.items()}, total).items():
        yield from left[kind][:count]


def as_sample(room: Room, candidate: Candidate, split: Split, seed: int, number: int, out: Path) -> Sample:
    """A candidate in the format of the samples."""
    return Sample(
        id=f"sim/{room.name}/{seed}/{number}",
        source="Simulated",
        family=candidate.family,
        kind=candidate.kind,
        split=split,
        stages=candidate.stages,
        view=candidate.view,
        scene=room.scene(out.parent) if candidate.in_scene else None,
        situation=candidate.situation,
        question=candidate.question,
        description=candidate.description,
        options=candidate.options,
        instruction=candidate.instruction,
        regions=candidate.regions,
        answer=candidate.answer,
        objects=tuple({item.id: room.thing(item) for item in candidate.named}.values()),
        provenance=Provenance(
            generator=f"proxy3d-training {__version__}", seed=seed, template=f"{candidate.kind}/{candidate.template}"
        ),
    )

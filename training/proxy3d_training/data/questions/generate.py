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
TOGETHER = 300
"""Rooms that are balanced together; bounds the memory."""


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
    track: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> Iterator[Sample]:
    """Samples from rooms, about ``per_room`` a room on average, ordered by room.

    The split of a room follows from its name. Balance is kept within each split, so that none teaches the habits of
    another.

    Args:
        folders: of simulated rooms.
        out: the file that the samples will be written to; scene folders are given relative to it.
        val, test: shares of the rooms.
        families: keys of ``FAMILIES``.
        track: wraps the folders to show progress.
    """
    done = iter(track(folders))
    for start in range(0, len(folders), TOGETHER):
        rooms: dict[str, Room] = {}
        pools: dict[tuple[Split, str], list[Entry]] = defaultdict(list)
        for _ in folders[start : start + TOGETHER]:
            room = read_room(next(done))
            rooms[room.name] = room
            split = split_of(room.name, val, test)
            for candidate in candidates(room, seed, max(2, OVER * per_room // _KINDS), families):
                pools[split, f"{candidate.family}/{candidate.kind}"].append((room.name, candidate))
        yield from _chosen(rooms, pools, out, seed, per_room)


_KINDS = 60
"""About so many kinds share the questions of a room."""


def _chosen(
    rooms: dict[str, Room], pools: dict[tuple[Split, str], list[Entry]], out: Path, seed: int, per_room: int
) -> Iterator[Sample]:
    rng = random.Random(f"{seed} balance")
    taken: dict[str, list[tuple[Split, Candidate]]] = defaultdict(list)
    for split in ("train", "val", "test"):
        kinds = {kind: balance(pools[s, kind], rng) for s, kind in sorted(pools) if s == split}
        count = len({entry[0] for (s, _), entries in pools.items() if s == split for entry in entries})
        for kind, number in shares({kind: len(found) for kind, found in kinds.items()}, per_room * count).items():
            for name, candidate in kinds[kind][:number]:
                taken[name].append((split, candidate))
    for name, room in rooms.items():
        for number, (split, candidate) in enumerate(taken[name]):
            yield as_sample(room, candidate, split, seed, number, out)


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

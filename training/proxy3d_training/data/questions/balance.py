"""Choosing questions so that one who never looks gains nothing.

Two steps, both only leave questions out:

1. *Caps*: among questions about the same thing (``Candidate.about``: the label of a count, the pair of a comparison) no
   answer is more frequent than the second most frequent one, and where only one answer ever occurs all are dropped. The
   same within the kind, where up to four answers become equally frequent.
2. *Blind filter* (after AFLite, Le Bras et al. 2020): a text-only model is fitted on other rooms and guesses each
   question; of those it gets right, so many are dropped that its share of right answers is that of chance.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from proxy3d_training.data.blind import Asked, chance, guesses, relative_accuracy, seen_blindly
from proxy3d_training.data.questions.candidates import Candidate
from proxy3d_training.data.schema import NumberAnswer

ROUNDS = 3
"""Times that the blind model is fitted anew to what is left."""
FEWEST = 25
"""With fewer questions of a kind the blind model learns nothing, and no filter is applied."""
FREE = frozenset(
    {
        *("caption", "symbol_category", "symbol_marker", "coordinates_of", "category_marker", "object_at"),
        *("grounding_unique", "grounding_multiple", "carries", "carried_by"),
        *("find_color", "find_material", "find_shape", "find_category"),
    }
)
"""Kinds with nothing to guess from words: captions, coordinates, and markers, which are shuffled in every room."""
FEW = 4
"""Kinds with so few answers have each of them equally often."""
BINS = 8
"""Numbers are balanced over so many classes of equal width in log scale, between the 2nd and the 98th percentile."""

Room = str
Entry = tuple[Room, Candidate]


def as_asked(entry: Entry) -> Asked:
    """What the blind models see of a candidate."""
    room, candidate = entry
    situation = candidate.situation.text if candidate.situation else ""
    return seen_blindly(room, candidate.question, situation, candidate.options, candidate.answer)


def balance(entries: Sequence[Entry], rng: random.Random) -> list[Entry]:
    """The chosen ones among the candidates of one kind."""
    if not entries or entries[0][1].kind in FREE:
        return list(entries)
    chosen = list(entries)
    rng.shuffle(chosen)
    classes = _classes([candidate for _, candidate in chosen])
    chosen = _capped(chosen, lambda c: c.about, classes, rng)
    chosen = _capped(chosen, lambda c: "", classes, rng)
    for _ in range(ROUNDS):
        if len(chosen) < FEWEST:
            break
        chosen = _capped(_filtered(chosen, rng), lambda c: "", classes, rng)
    return chosen


def _classes(candidates: Sequence[Candidate]) -> Callable[[Candidate], Hashable]:
    """What counts as the same answer."""
    asked = [as_asked(("", candidate)) for candidate in candidates]
    values = [math.log(entry.value) for entry in asked if entry.value is not None and entry.value > 0]
    if not values:
        return lambda candidate: candidate.content
    low, high = np.percentile(values, [2, 98])
    width = max(float(high - low) / BINS, 1e-9)

    def bin_of(candidate: Candidate) -> Hashable:
        value = max(candidate.answer.value, 1e-3) if isinstance(candidate.answer, NumberAnswer) else 1.0
        return min(max(int((math.log(value) - low) / width), 0), BINS - 1)

    return bin_of


def _capped(
    entries: Sequence[Entry],
    group: Callable[[Candidate], str],
    answer: Callable[[Candidate], Hashable],
    rng: random.Random,
) -> list[Entry]:
    groups: dict[str, dict[Hashable, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        groups[group(entry[1])][answer(entry[1])].append(entry)
    kept = []
    for answers in groups.values():
        if len(answers) < 2:
            continue
        sizes = sorted(map(len, answers.values()))
        cap = sizes[0] if len(sizes) <= FEW else sizes[-2]
        for found in answers.values():
            kept += found[:cap]
    rng.shuffle(kept)
    return kept


def _filtered(entries: Sequence[Entry], rng: random.Random) -> list[Entry]:
    asked = [as_asked(entry) for entry in entries]
    if asked[0].value is not None:
        return _decorrelated(entries, asked, rng)
    right = guesses(asked).right
    aim = chance(asked)
    hits, misses = int(right.sum()), int((~right).sum())
    # hits / (hits + misses) = aim
    allowed = math.floor(aim * misses / max(1 - aim, 1e-9))
    if hits <= allowed:
        return list(entries)
    spared = set(rng.sample([i for i, hit in enumerate(right) if hit], allowed))
    return [entry for i, entry in enumerate(entries) if not right[i] or i in spared]


def _decorrelated(entries: Sequence[Entry], asked: Sequence[Asked], rng: random.Random) -> list[Entry]:
    """Numbers: among questions with about the same guess the true numbers are spread alike, unless guessing gains
    nothing.
    """
    values = guesses(asked).values
    truth = np.array([entry.value for entry in asked], dtype=np.float64)
    if relative_accuracy(values, truth).mean() <= chance(asked):
        return list(entries)
    guessed = np.log(np.maximum(values, 1e-3))
    thirds = np.digitize(guessed, np.quantile(guessed, [1 / 3, 2 / 3]))
    classes = _classes([candidate for _, candidate in entries])
    table: dict[tuple[int, Hashable], list[Entry]] = defaultdict(list)
    for entry, third in zip(entries, thirds, strict=True):
        table[int(third), classes(entry[1])].append(entry)
    kept: list[Entry] = []
    for answer in {key[1] for key in table}:
        found = [table.get((third, answer), []) for third in range(3)]
        # As many from each third, but never nothing: a class that only one guess has is thinned, not lost.
        least = max(min(map(len, found)), math.ceil(sum(map(len, found)) / 12))
        for some in found:
            kept += some[:least]
    rng.shuffle(kept)
    return kept


def shares(sizes: dict[str, int], total: int) -> dict[str, int]:
    """How many to take of each kind so that all have the same number, as far as there are enough, and ``total`` come
    together.
    """
    taken = dict.fromkeys(sizes, 0)
    left = total
    hungry = sorted(sizes, key=lambda kind: (sizes[kind], kind))
    for position, kind in enumerate(hungry):
        taken[kind] = min(sizes[kind], left // (len(hungry) - position))
        left -= taken[kind]
    return taken

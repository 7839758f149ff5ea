"""What answers are worth that never look: a score means little without them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from proxy3d_training.evaluation.items import Item
from proxy3d_training.evaluation.scorers import MRA_THRESHOLDS


def most_common(answers: Iterable[str]) -> str:
    """The most frequent answer; of equally frequent ones the first in the alphabet."""
    counts = Counter(answers)
    return min(counts, key=lambda a: (-counts[a], a))


def best_number(truths: Sequence[str]) -> str:
    """The one of the true numbers (not 0) that scores best as the answer to all of them (mean relative accuracy)."""
    counts = Counter(t for t in truths if float(t))
    if not counts:
        return "1"
    true = np.array([float(t) for t in counts])
    off = np.abs(true[:, None] - true) / true
    accuracy = np.mean([off <= 1 - threshold for threshold in MRA_THRESHOLDS], axis=0)
    return list(counts)[int(np.argmax(accuracy @ list(counts.values())))]


def _keys(text: str) -> list[str]:
    """The wording, then ever fewer of its first words, down to none."""
    words = text.lower().split()
    return [" ".join(words), *(" ".join(words[:n]) for n in (4, 3, 2, 1, 0))]


class OtherScenes:
    """What is answered to questions of the same wording, or the same first words, in all other scenes.

    This is the blind baseline: it knows the benchmark's wording and habits, and nothing of the scene.
    """

    def __init__(self, items: Sequence[Item], answers: Sequence[Sequence[str]]) -> None:
        self._by_key: dict[str, list[tuple[str, Sequence[str]]]] = defaultdict(list)
        for item, given in zip(items, answers, strict=True):
            for key in dict.fromkeys(_keys(item.question.text)):
                self._by_key[key].append((item.scene, given))

    def answers(self, item: Item, accept: Callable[[str], bool] | None = None) -> list[str]:
        """The answers under the longest beginning that other scenes share; ``accept`` chooses among them."""
        for key in _keys(item.question.text):
            found = [
                a
                for scene, given in self._by_key.get(key, ())
                if scene != item.scene
                for a in given
                if accept is None or accept(a)
            ]
            if found:
                return found
        return []

"""Counts by source and type of answer, as Proxy3D's supplement, Table 2, has them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy3d_core.errors import MissingExtra
from proxy3d_training.data.schema import Sample

TYPES = {"text": "Text", "id": "ID", "number": "Numeric", "choice": "MC"}
"""Types of answers and their names in the table."""


@dataclass
class Stats:
    """Counts of samples.

    Attributes:
        table: by source (and family, where a source has several) and type of answer.
        kinds: by family and kind.
        splits, stages: of samples.
        spaces: number of rooms by split.
    """

    table: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    kinds: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    stages: Counter[int] = field(default_factory=Counter)
    spaces: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "total": self.total,
            "table": {source: {t: counts[t] for t in TYPES} for source, counts in sorted(self.table.items())},
            "types": {t: sum(counts[t] for counts in self.table.values()) for t in TYPES},
            "kinds": dict(sorted(self.kinds.items())),
            "splits": dict(self.splits),
            "stages": {str(stage): count for stage, count in sorted(self.stages.items())},
            "spaces": self.spaces,
        }


def count(samples: Iterable[Sample]) -> Stats:
    """Count samples."""
    found = Stats()
    spaces: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for sample in samples:
        source = sample.source if sample.source == sample.family else f"{sample.source}: {sample.family}"
        found.table[source][sample.answer.type] += 1
        found.kinds[f"{sample.family}/{sample.kind}"] += 1
        found.splits[sample.split] += 1
        found.stages.update(sample.stages)
        found.total += 1
        if sample.scene is not None:
            spaces[sample.split].add((sample.scene.dataset, sample.scene.space))
    found.spaces = {split: len(names) for split, names in sorted(spaces.items())}
    return found


def plot(stats: Stats, path: Path) -> None:
    """Bars of the table, one a source, in the colours of the types.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plots need matplotlib: pip install 'proxy3d_ros[viz]'") from error
    rows = sorted(stats.table.items(), key=lambda entry: sum(entry[1].values()))
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    left = [0] * len(rows)
    for kind, name in TYPES.items():
        counts = [row[kind] for _, row in rows]
        axes.barh([source for source, _ in rows], counts, left=left, label=name)
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.bar_label(axes.containers[-1], labels=[f" {n:,}" for n in left])
    axes.set_xlabel("samples")
    axes.margins(x=0.12)
    axes.legend(title="answer", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)

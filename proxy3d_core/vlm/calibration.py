"""From the probability that a model gives its own words to the probability that they are right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from proxy3d_core.errors import ModelError

FILE = "calibration.json"
VERSION = 1
UNCALIBRATED = 0.5
"""A model whose confidence nobody has checked is believed at most this much."""


@dataclass(frozen=True)
class Calibration:
    """How often answers of each type were right, by what the model gave them, on rooms it had not seen.

    The file lies beside the weights: ``{"version": 1, "types": {"number": {"raw": [0, 0.3, 1], "right": [0.1, 0.4,
    0.9]}, ...}}``; between the points of a type lie straight lines, below the first and above the last all is as there.
    Other keys, such as what it was fitted on, are for people. An isotonic fit is written by its corners.

    Attributes:
        types: raw probabilities, ascending, and shares of right answers, never falling, by type (``replies.Kind``).
    """

    types: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)

    @classmethod
    def beside(cls, folder: Path) -> Calibration:
        """Of the model in a folder; an empty one where there is no file.

        Raises:
            ModelError: the file is damaged or of another version.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["version"] != VERSION:
                raise ValueError(f"version {content['version']}, this program reads {VERSION}")
            types = {k: (_numbers(v["raw"]), _numbers(v["right"])) for k, v in content["types"].items()}
            for kind, (raw, right) in types.items():
                if not raw or len(raw) != len(right) or _falls(raw) or _falls(right):
                    raise ValueError(f"{kind}: raw and right must be as many, ascending, from 0 to 1")
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{path} cannot be used ({error}); fit it anew or remove it") from None
        return cls(types)

    def confidence(self, kind: str, log_probability: float) -> float:
        """Probability that an answer of a type is right.

        Args:
            log_probability: of its tokens together, as ``prefix.Reply`` has it.
        """
        raw = math.exp(min(log_probability, 0.0))
        table = self.types.get(kind)
        return min(raw, UNCALIBRATED) if table is None else float(np.interp(raw, *table))


def _numbers(values: object) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise ValueError("a list of numbers is needed")
    return tuple(float(value) for value in values)


def _falls(values: tuple[float, ...]) -> bool:
    return min(values) < 0 or max(values) > 1 or any(a > b for a, b in pairwise(values))

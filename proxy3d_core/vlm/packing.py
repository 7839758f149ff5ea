"""Many questions on one scene in one sequence, so that training reads the scene once for all of them.

    tokens     scene scene scene | q1 q1 a1 a1 | q2 a2 a2 | ...
    segments       0     0     0 |  1  1  1  1 |  2  2  2 | ...          -1 = padding
    positions      0     1     2 |  3  4  5  6 |  3  4  5 | ...

Each question sees the scene and itself, at the positions it would have alone, so that losses and gradients are those
of separate sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORED = -100
"""Label of tokens that are not learned."""


@dataclass(frozen=True)
class Packed:
    """Sequences of a batch: arguments of ``ProxyVLM.forward``, all (B, L) int64.

    Attributes:
        input_ids: tokens; ``pad`` where a row is shorter than the longest.
        segments: 0 scene, 1, 2, ... questions, -1 padding.
        labels: tokens of answers, ``IGNORED`` elsewhere.
    """

    input_ids: Tensor
    segments: Tensor
    labels: Tensor


def pack(
    prefixes: Sequence[Sequence[int]],
    questions: Sequence[Sequence[tuple[Sequence[int], Sequence[int]]]],
    pad: int,
) -> Packed:
    """One row per scene.

    Args:
        prefixes: tokens of system and scene, per row (``PromptFormat.prefix``).
        questions: tokens of (question, answer) pairs, per row; what is asked must not be empty.
        pad: token to fill up with.
    """
    rows: list[tuple[list[int], list[int], list[int]]] = []
    for prefix, pairs in zip(prefixes, questions, strict=True):
        ids, segments, labels = list(prefix), [0] * len(prefix), [IGNORED] * len(prefix)
        for number, (question, answer) in enumerate(pairs, start=1):
            ids += [*question, *answer]
            segments += [number] * (len(question) + len(answer))
            labels += [IGNORED] * len(question) + list(answer)
        rows.append((ids, segments, labels))
    length = max((len(ids) for ids, _, _ in rows), default=0)
    columns = zip(*rows, strict=True)
    filled = [
        torch.tensor([values + [fill] * (length - len(values)) for values in column])
        for column, fill in zip(columns, (pad, -1, IGNORED), strict=True)
    ]
    return Packed(*filled)


def packed_mask(segments: Tensor) -> Tensor:
    """(B, L, L) bool, True where the token of a row may look at the token of a column; a token always sees itself."""
    length = segments.shape[1]
    own, other = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=segments.device)
    return (causal & ((other == 0) | ((other == own) & (other > 0)))) | itself


def packed_positions(segments: Tensor) -> Tensor:
    """(B, L) position of each token in its question's own sequence."""
    place = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    first = torch.ones_like(segments, dtype=torch.bool)
    first[:, 1:] = segments[:, 1:] != segments[:, :-1]
    begin = place.masked_fill(~first, 0).cummax(dim=1).values
    scene = (segments == 0).sum(dim=1, keepdim=True)
    return place - begin + scene * (segments > 0)

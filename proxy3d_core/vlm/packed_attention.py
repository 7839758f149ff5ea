"""Attention for packed sequences: the scene's tokens see each other, each question sees the scene and itself.

A mask over everything would cost (K + Q T)^2 for Q questions of T tokens on K proxies. Here a question's token costs
K + T: all questions together look at the scene in one product, and each at itself in a small block of its own. The two
parts share one softmax, so that the result is that of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from proxy3d_core.errors import BadInput

NAME = "packed"
"""``attn_implementation`` under which transformers finds it; sequences that are not packed go through ``sdpa``."""

SHORT = 256
"""Rows of at most so many tokens go through a mask instead, all of them at once."""


@dataclass(frozen=True, eq=False)
class PackedRow:
    """Where things are in a row of L tokens.

    Attributes:
        scene: P, tokens of system and scene, at the row's beginning.
        tokens: N, tokens of all questions, behind them; what follows is padding.
        question, place: (N,) which question each of them belongs to, and its place there, both from 0.
        questions, longest: Q and T.
    """

    scene: int
    tokens: int
    question: Tensor
    place: Tensor
    questions: int
    longest: int


def packed_rows(segments: Tensor) -> list[PackedRow]:
    """The rows of (B, L) segments (``vlm.packing``).

    Raises:
        BadInput: a row does not hold its scene, then its questions one after the other, then padding.
    """
    rows = []
    for row in segments:
        scene = int((row == 0).sum())
        tokens = int((row > 0).sum())
        asked = row[scene : scene + tokens]
        changes = asked.diff(prepend=asked.new_zeros(1))
        if bool(
            (row[:scene] != 0).any() or (row[scene + tokens :] >= 0).any() or ((changes != 0) & (changes != 1)).any()
        ):
            raise BadInput("a packed row holds the scene (0), then questions 1, 2, 3, ... in order, then padding (-1)")
        question = asked - 1
        begins = torch.nonzero(changes).flatten()
        place = torch.arange(tokens, device=row.device) - begins[question]
        longest = int(place.max()) + 1 if tokens else 0
        rows.append(PackedRow(scene, tokens, question, place, len(begins), longest))
    return rows


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    packed: list[PackedRow] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """As transformers' attention functions.

    Args:
        module: of the layer.
        query: (B, heads, L, D).
        key, value: (B, key heads, L, D).
        attention_mask: of sequences that are not packed.
        scaling: of the products; None = 1 / sqrt(D).
        packed: the rows; None = sequences are not packed.
        kwargs: passed on to ``sdpa`` where sequences are not packed.

    Returns:
        (B, L, heads, D), and no weights.
    """
    if packed is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    states = [_row(q, k, v, row, scale) for q, k, v, row in zip(query, key, value, packed, strict=True)]
    return torch.stack(states).transpose(1, 2), None


def _row(query: Tensor, key: Tensor, value: Tensor, row: PackedRow, scale: float) -> Tensor:
    """(heads, L, D) of one row; zeros where padding is."""
    scene, end = row.scene, row.scene + row.tokens
    parts = []
    if scene:
        parts.append(
            scaled_dot_product_attention(
                query[None, :, :scene],
                key[None, :, :scene],
                value[None, :, :scene],
                is_causal=True,
                scale=scale,
                enable_gqa=True,
            )[0]
        )
    if row.tokens:
        parts.append(
            _questions(
                query[:, scene:end] * scale,
                key[:, :scene],
                value[:, :scene],
                key[:, scene:end],
                value[:, scene:end],
                row,
            )
        )
    return pad(torch.cat(parts, dim=1), (0, 0, 0, query.shape[1] - end))


def _questions(
    query: Tensor, scene_key: Tensor, scene_value: Tensor, key: Tensor, value: Tensor, row: PackedRow
) -> Tensor:
    """(heads, N, D) of the questions' tokens; ``query`` is scaled already."""
    heads, n, d = query.shape
    groups, q, t = len(key), row.questions, row.longest
    each = heads // groups  # heads that share a key
    grouped = query.view(groups, each, n, d)
    # every token with the scene: one product for all questions
    on_scene = torch.bmm(grouped.flatten(1, 2), scene_key.transpose(1, 2)).view(groups, each, n, -1)
    # every token with its own question: blocks of T x T
    slot = row.question * t + row.place

    def blocks(states: Tensor, size: int) -> Any:
        """(..., N, D) to (Q x ..., T, D)."""
        filled = states.new_zeros(*states.shape[:-2], q * t, d).index_copy(-2, slot, states)
        return filled.unflatten(-2, (q, t)).movedim(-3, 0).reshape(q * groups, size, d)

    keys, values = blocks(key, t), blocks(value, t)
    own = torch.bmm(blocks(grouped, each * t), keys.transpose(1, 2)).view(q, groups, each, t, t)
    causal = torch.ones(t, t, dtype=torch.bool, device=query.device).tril()
    own = own.masked_fill(~causal, torch.finfo(own.dtype).min)
    flat = own.movedim(0, 2).flatten(2, 3)[:, :, slot]  # (groups, each, N, T)
    weights = torch.cat([on_scene, flat], dim=-1).softmax(dim=-1)
    for_scene, for_own = weights.split([scene_key.shape[1], t], dim=-1)
    seen = torch.bmm(for_scene.flatten(1, 2), scene_value).view(groups, each, n, d)
    spread = for_own.new_zeros(groups, each, q * t, t).index_copy(2, slot, for_own)
    spread = spread.unflatten(2, (q, t)).movedim(2, 0).reshape(q * groups, each * t, t)
    added = torch.bmm(spread, values).view(q, groups, each, t, d).movedim(0, 2).flatten(2, 3)[:, :, slot]
    states: Tensor = (seen + added).reshape(heads, n, d)
    return states


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)

"""Attention for packed sequences: the scene's tokens see each other, each question sees the scene and itself.

A mask over everything would cost (K + Q T)^2 for Q questions of T tokens on K proxies. Here a question's token costs
K + T: all questions together look at the scene in one product, and each at itself in a small block of its own. The two
parts share one softmax, so that the result is that of the mask. Rows lie behind each other, without padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from proxy3d_core.errors import BadInput

NAME = "packed"
"""``attn_implementation`` under which transformers finds it; sequences that are not packed go through ``sdpa``."""

SHORT = 256
"""Rows of at most so many tokens go through a mask instead, all of them at once."""

_GROWTH = 1.5  # a question this much longer than all before it begins a new grid


@dataclass(frozen=True, eq=False)
class Block:
    """Questions of about one length that follow each other, laid out in a grid of Q x T places.

    Attributes:
        questions, longest: Q and T.
        slot: (N,) place of each of their tokens in the grid.
    """

    questions: int
    longest: int
    slot: Tensor


@dataclass(frozen=True, eq=False)
class PackedRow:
    """What a row holds.

    Attributes:
        scene: P, tokens of system and scene, at the row's beginning.
        blocks: the questions behind it.
    """

    scene: int
    blocks: tuple[Block, ...]


def packed_rows(segments: Tensor) -> list[PackedRow]:
    """The rows of (B, L) segments (``vlm.packing``); questions that are sorted by length fill their grids best.

    Raises:
        BadInput: a row does not hold its scene, then its questions one after the other, then padding.
    """
    rows = []
    for row in segments:
        scene = int((row == 0).sum())
        tokens = int((row > 0).sum())
        asked = row[scene : scene + tokens]
        steps = asked.diff(prepend=asked.new_zeros(1))
        if bool((row[:scene] != 0).any() or (row[scene + tokens :] >= 0).any() or ((steps != 0) & (steps != 1)).any()):
            raise BadInput("a packed row holds the scene (0), then questions 1, 2, 3, ... in order, then padding (-1)")
        rows.append(PackedRow(scene, tuple(_blocks(asked))))
    return rows


def _blocks(asked: Tensor) -> Iterator[Block]:
    """The questions of a row, cut where they grow by half; ``asked`` (N,) which question each token is of, from 1."""
    lengths = torch.bincount(asked, minlength=1)[1:].tolist()
    first = begin = 0
    most = lengths[0] if lengths else 0
    for number, length in enumerate([*lengths, 0]):
        if number < len(lengths) and length <= _GROWTH * most:
            continue
        longest, end = max(lengths[first:number], default=0), begin + sum(lengths[first:number])
        if end > begin:
            question = asked[begin:end] - 1 - first
            begins = torch.searchsorted(question, torch.arange(number - first, device=asked.device))
            place = torch.arange(end - begin, device=asked.device) - begins[question]
            yield Block(number - first, longest, question * longest + place)
        first, begin, most = number, end, max(most, length)


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
        query: (B, heads, L, D); of packed ones B is 1, and L the tokens of all rows.
        key, value: (B, key heads, L, D).
        attention_mask: of sequences that are not packed.
        scaling: of the products; None = 1 / sqrt(D).
        packed: the rows, one behind the other; None = sequences are not packed.
        kwargs: passed on to ``sdpa`` where sequences are not packed.

    Returns:
        (B, L, heads, D), and no weights.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if packed is None and attention_mask is not None and query.requires_grad:
        return _masked(query * scale, key, value, attention_mask).transpose(1, 2), None
    if packed is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    return _rows(query[0] * scale, key[0], value[0], packed).transpose(0, 1)[None], None


def _masked(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """(B, heads, L, D) by plain products: on a CPU sdpa's gradient with a mask takes several times as long."""
    batch, heads, length, d = query.shape
    groups = key.shape[1]
    products = query.reshape(batch, groups, -1, d) @ key.transpose(-1, -2)  # heads that share a key in one
    unseen = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, torch.finfo(query.dtype).min)
    weights = (products.view(batch, groups, -1, length, length) + unseen[:, :, None]).softmax(dim=-1)
    return (weights.view(batch, groups, -1, length) @ value).view(batch, heads, length, d)


def _rows(query: Tensor, key: Tensor, value: Tensor, rows: Sequence[PackedRow]) -> Tensor:
    """(heads, L, D) of all rows; ``query`` is scaled already."""
    sizes = [size for row in rows for size in (row.scene, *(len(block.slot) for block in row.blocks))]
    # cut once: the gradient of each slice would be as long as all rows
    parts = zip(*(states.split(sizes, dim=1) for states in (query, key, value)), strict=True)
    states = []
    for row in rows:
        q, scene_key, scene_value = next(parts)
        if row.scene:
            k, v = scene_key[None], scene_value[None]
            states.append(scaled_dot_product_attention(q[None], k, v, is_causal=True, scale=1.0, enable_gqa=True)[0])
        for block in row.blocks:
            q, k, v = next(parts)
            states.append(_questions(q, k, v, scene_key, scene_value, block))
    return torch.cat(states, dim=1)


def _questions(
    query: Tensor, key: Tensor, value: Tensor, scene_key: Tensor, scene_value: Tensor, block: Block
) -> Tensor:
    """(heads, N, D) of the N tokens of a block; ``query`` is scaled already."""
    heads, n, d = query.shape
    groups, q, t = len(key), block.questions, block.longest
    each = heads // groups  # heads that share a key
    grouped = query.view(groups, each, n, d)
    # every token with the scene: one product for all questions
    on_scene = torch.bmm(grouped.flatten(1, 2), scene_key.transpose(1, 2)).view(groups, each, n, -1)

    # every token with its own question: a grid of T x T for each
    def grid(states: Tensor, size: int) -> Any:
        """(..., N, D) to (Q x ..., T, D)."""
        filled = states.new_zeros(*states.shape[:-2], q * t, d).index_copy(-2, block.slot, states)
        return filled.unflatten(-2, (q, t)).movedim(-3, 0).reshape(q * groups, size, d)

    keys, values = grid(key, t), grid(value, t)
    own = torch.bmm(grid(grouped, each * t), keys.transpose(1, 2)).view(q, groups, each, t, t)
    future = torch.full((t, t), torch.finfo(own.dtype).min, dtype=own.dtype, device=own.device).triu(1)
    flat = (own + future).movedim(0, 2).flatten(2, 3)[:, :, block.slot]  # (groups, each, N, T)
    weights = torch.cat([on_scene, flat], dim=-1).softmax(dim=-1)
    for_scene, for_own = weights.split([scene_key.shape[1], t], dim=-1)
    seen = torch.bmm(for_scene.flatten(1, 2), scene_value).view(groups, each, n, d)
    spread = for_own.new_zeros(groups, each, q * t, t).index_copy(2, block.slot, for_own)
    spread = spread.unflatten(2, (q, t)).movedim(2, 0).reshape(q * groups, each * t, t)
    added = torch.bmm(spread, values).view(q, groups, each, t, d).movedim(0, 2).flatten(2, 3)[:, :, block.slot]
    states: Tensor = (seen + added).reshape(heads, n, d)
    return states


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)

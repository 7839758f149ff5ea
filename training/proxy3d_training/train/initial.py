"""Weights that a small model begins with, so that from the start it looks things up by likeness.

Proxy3D's language model has read for years before it meets proxies: words and pictures of things are alike to it, and
it looks up what it is asked for. A model from scratch has to find that out a hundred markers at a time, and for long
does not. Three changes to random weights, none to what can be learned, spare it that:

* tokens of markers and the words of categories begin as what their codes look like, read through the projector;
* keys and queries of a layer begin alike, so that a token attends to what resembles it;
* what comes out of attention begins as what went in, so that what is attended to is what is said.

Alike, not the same: heads that share keys and begin the same would get the same gradients and stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from proxy3d_core.proxies.references import MARKERS, ReferenceCodes, marker
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat

_SHARP = 2.5  # of keys and queries: random ones hardly tell what is alike from what is not


@torch.no_grad()
def begin_by_likeness(model: ProxyVLM, prompts: PromptFormat, codes: ReferenceCodes, categories: Iterable[str]) -> None:
    """Change the random weights of a new model.

    Args:
        model: from scratch.
        prompts: with a tokenizer that has a token for each marker.
        codes: of the encoder whose features the model will read.
        categories: names; those of one token begin as their codes.
    """
    tokenizer, projector = prompts.tokenizer, model.scene.projector
    table = model.get_input_embeddings().weight
    if isinstance(projector, nn.Linear):
        nn.init.zeros_(projector.bias)
    numbers = tokenizer.convert_tokens_to_ids([marker(index) for index in range(MARKERS)])
    _begin(table, numbers, codes.identifiers(range(MARKERS)), projector)
    spelled = {name: tokenizer.encode(f" {name}", add_special_tokens=False) for name in categories}
    words = {name: tokens[0] for name, tokens in spelled.items() if len(tokens) == 1}
    if words:
        _begin(table, list(words.values()), codes.categories(list(words)), projector)
    text = model.config.get_text_config()
    shared = text.num_attention_heads // text.num_key_value_heads
    for layer in model.model.layers:
        attention = layer.self_attn
        width = attention.head_dim
        attention.k_proj.weight.mul_(_SHARP)
        attention.q_proj.weight.add_(_repeated(attention.k_proj.weight, width, shared))
        attention.o_proj.weight.add_(_repeated(attention.v_proj.weight, width, shared).T)


def _begin(table: Tensor, rows: list[int], codes: NDArray[np.float32], projector: nn.Module) -> None:
    """Rows of the table become what sets the codes apart, as the model sees it, at the length that they had."""
    seen = projector(torch.from_numpy(codes - codes.mean(axis=0)))
    table[rows] = seen / seen.norm(dim=1, keepdim=True) * table[rows].norm(dim=1, keepdim=True)


def _repeated(weight: Tensor, width: int, times: int) -> Tensor:
    """(heads * times * width, H) the rows of each key-value head for all query heads that share it."""
    return weight.view(-1, width, weight.shape[1]).repeat_interleave(times, dim=0).flatten(0, 1)

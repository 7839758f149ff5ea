"""Weights that a small model begins with, so that from the start it looks things up by likeness.

Proxy3D's language model has read for years before it meets proxies: words and pictures of things are alike to it, and
it looks up what it is asked for. A model from scratch has to find that out a hundred markers at a time, and for long
does not. Seven changes to random weights, none to what can be learned, spare it that:

* tokens and proxies are long vectors of one length. Published tables begin with a spread of 0.02, which goes with
  thousands of channels: here the first steps of Adam, which learn how often each token comes, may drown what tells
  tokens apart;
* tokens of markers and the words of categories begin as what their codes look like, read through the projector, and
  all proxies have something in common, the projector's bias;
* in the first layers some heads look for proxies, and among them for what is like the token that they are at, wherever
  that is;
* what comes out of these heads begins as what went in, so that what is found is what is said: out of most of them what
  it is, out of the last one where it is;
* the code of a place begins as long as what it is added to, and slow, so that most of it is two directions, those of
  the floor. From zero it stays small beside it, and unread; faster, it winds through so many directions that places
  are read to half a metre at best;
* in the layer after these two heads look at the token before: one brings what it is, one takes where it is away from
  where this one is. Behind two markers that is the way from one to the other;
* tokens of lengths and directions begin alike where these are: what is learned of 2.4 helps with 2.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from proxy3d_core.proxies.positions import HybridPositionCode
from proxy3d_core.proxies.references import MARKERS, ReferenceCodes, marker
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import DIRECTIONS, LENGTHS
from proxy3d_training.data.questions.candidates import plural

_TABLE, _SAID = 0.5, 0.3  # size of what tokens begin as, and of what the table is asked with for the next one
_OWN = 0.4  # share of what it was at random in a token's beginning: forms of one name would else be the same
_LAYERS, _FINDING = 2, 4  # layers that look things up, and heads of each that do, at most; the last brings places
_SHARP = 1.6  # of their keys: at the size of random ones what is alike gets hardly more attention than what is not
_KNOWN, _SOUGHT = 0.5, 24.0  # key and query by which they find proxies rather than words, themselves above all
_STILL = 0.01  # radians a token; channels that turn faster do not know what is alike a scene away
_SLOW = 0.25  # of a place's frequencies, of what they are at random
_BACK = 9.0  # key and query by which the token before is found
_WAVES = (0.5, 1.3, 3.4, 9.0, 24.0, 60.0)  # metres, in which lengths are alike
_PLACE = 1.4  # length of the code of a place, of a code of what is there


@torch.no_grad()
def begin_by_likeness(model: ProxyVLM, prompts: PromptFormat, codes: ReferenceCodes, categories: Iterable[str]) -> None:
    """Change the random weights of a new model.

    Args:
        model: from scratch.
        prompts: with a tokenizer that has a token for each marker.
        codes: of the encoder whose features the model will read.
        categories: names; forms of them (``spellings``) that are one token begin much as their codes.
    """
    scene, table = model.scene, model.get_input_embeddings().weight
    nn.init.normal_(table, std=_TABLE)
    model.model.norm.weight.fill_(_SAID)
    length = float(table.norm(dim=1).mean())
    common, known = _in_common(table.shape[1])
    if isinstance(scene.projector, nn.Linear):
        _begin_long(scene.projector, codes, length, known)
        scene.projector.bias.copy_(common * length)
    if scene.position_code is not None:
        _begin_far_apart(scene.position_code, _PLACE * length, known)
    numbers = prompts.tokenizer.convert_tokens_to_ids([marker(index) for index in range(MARKERS)])
    _begin(table, numbers, codes.identifiers(range(MARKERS)), scene.projector)
    forms = {
        tokens[0]: name
        for name in categories
        for form in spellings(name)
        for tokens in (prompts.tokenizer.encode(f"{space}{form}", add_special_tokens=False) for space in (" ", ""))
        if len(tokens) == 1
    }
    if forms:
        _begin(table, list(forms), codes.categories(list(forms.values())), scene.projector)
    _begin_in_order(table, prompts)
    where = None if scene.position_code is None else _directions(scene.position_code, common * length)
    turned = model.model.rotary_emb.inv_freq.repeat(2) > _STILL
    for layer in model.model.layers[:_LAYERS]:
        _begin_finding(layer.self_attn, known, turned, where)
    for layer in model.model.layers[_LAYERS : _LAYERS + 1] if where is not None else ():
        _begin_looking_back(layer.self_attn, model.model.rotary_emb.inv_freq, where)


def _in_common(channels: int) -> tuple[Tensor, Tensor]:
    """(C,) what all proxies have in common, and the part of it that their heights leave as it is; of length 1."""
    common = torch.randn(channels)
    known = common.clone()
    known.view(2, 2, -1)[:, 0] = 0  # the faster half of the pairs that ``HybridPositionCode`` turns
    return normalize(common, dim=0), normalize(known, dim=0)


def _begin_long(projector: nn.Linear, codes: ReferenceCodes, length: float, known: Tensor) -> None:
    """Codes of markers come out of the projector with this length, none of it along ``known``."""
    projector.weight -= torch.outer(known, known @ projector.weight)
    nn.init.zeros_(projector.bias)
    seen = projector(torch.from_numpy(codes.identifiers(range(MARKERS)))).norm(dim=1).mean()
    projector.weight.mul_(length / seen)


def _begin_finding(attention: nn.Module, known: Tensor, turned: Tensor, where: Tensor | None) -> None:
    """Some heads of a layer look for proxies that are like the token that they are at, and say what they find.

    Args:
        attention: of the layer.
        known: (C,) by which proxies are known.
        turned: (D,) channels of a head in which the sequence turns what is alike away from each other.
        where: (C, C) directions of places, strongest first: passed over in looking; what the last head says.
    """
    width, slow = len(turned), len(turned) // 2 - 1  # slow: the channel that the sequence turns least
    keys = attention.k_proj.out_features // width
    shared = attention.q_proj.out_features // width // keys
    finding = min(_FINDING, keys)
    for number in range(finding):
        kept, asking = (slice(start * width, (start + 1) * width) for start in (number, number * shared))
        query, key, value = (
            attention.q_proj.weight[asking],
            attention.k_proj.weight[kept],
            attention.v_proj.weight[kept],
        )
        key.mul_(_SHARP)
        key -= torch.outer(key @ known, known)
        if where is not None:
            key -= key @ where[:width].T @ where[:width]
        key[turned] = 0
        query[~turned] = key[~turned]
        key[slow], query[slow] = _KNOWN * known, 0
        attention.q_proj.bias[asking][slow] = _SOUGHT
        if where is not None and number == finding - 1:
            value.copy_(where[:width])
        attention.o_proj.weight[:, asking] += value.T


def _begin_looking_back(attention: nn.Module, frequencies: Tensor, where: Tensor) -> None:
    """Two heads look at the token before: the first brings what it is, the second takes away where it is.

    Args:
        attention: of the layer.
        frequencies: (D / 2,) radians a token by which the sequence turns the pairs (i, i + D / 2) of a head.
        where: (C, C) directions of places, strongest first.
    """
    half = len(frequencies)
    width = 2 * half
    keys = attention.k_proj.out_features // width
    shared = attention.q_proj.out_features // width // keys
    fast = frequencies > 0.1
    back = _BACK * fast
    for number in range(min(2, keys)):
        kept, asking = (slice(start * width, (start + 1) * width) for start in (number, number * shared))
        attention.k_proj.bias[kept] = torch.cat([back, 0 * back])
        attention.q_proj.bias[asking] = torch.cat([back * frequencies.cos(), -back * frequencies.sin()])
        attention.k_proj.weight[kept][fast.repeat(2)] = 0
        attention.q_proj.weight[asking][fast.repeat(2)] = 0
        value = attention.v_proj.weight[kept]
        if number == 1:
            value.copy_(where[:width])
        attention.o_proj.weight[:, asking] += value.T if number == 0 else -value.T


def _begin_in_order(table: Tensor, prompts: PromptFormat) -> None:
    """Rows of quantities begin alike where these are."""
    digits = {str(digit): float(digit) for digit in range(10)}
    for values, turns in (
        (LENGTHS | digits, [1 / wave for wave in _WAVES]),
        (DIRECTIONS, [harmonic / 360 for harmonic in (1, 2, 3, 4)]),
    ):
        rows = prompts.tokenizer.convert_tokens_to_ids(list(values))
        angle = 2 * math.pi * torch.outer(torch.tensor(list(values.values())), torch.tensor(turns))
        waves = torch.cat([angle.sin(), angle.cos()], dim=1) @ torch.randn(2 * len(turns), table.shape[1])
        _mix(table, rows, waves)


def _begin_far_apart(code: HybridPositionCode, length: float, known: Tensor) -> None:
    """Places in a room become codes of about this length, none of it along ``known``."""
    first, last = code.mlp.first, code.mlp.last
    code.frequencies.mul_(_SLOW)
    nn.init.normal_(first.weight, std=math.sqrt(2 / first.in_features))
    nn.init.normal_(last.weight)
    last.weight -= torch.outer(known, known @ last.weight)
    places = _places(high=0)
    nothing = torch.zeros(len(places), code.channels)
    seen = code(nothing, places)
    last.weight.mul_(length / (seen - seen.mean(dim=0)).norm(dim=1).mean())
    last.bias -= code(nothing, places).mean(dim=0)


def _directions(code: HybridPositionCode, common: Tensor) -> Tensor:
    """(C, C) directions in which something with nothing but ``common`` moves from place to place, strongest first."""
    places = _places(high=2.5)
    seen = code(common.expand(len(places), -1), places)
    return torch.linalg.svd(seen - seen.mean(dim=0), full_matrices=False).Vh


def _places(high: float) -> Tensor:
    """(1000, 3) places in a room of 6 m by 6 m around the origin, up to ``high`` metres."""
    return (torch.rand(1000, 3) - torch.tensor([0.5, 0.5, 0.0])) * torch.tensor([6.0, 6.0, high])


def spellings(name: str) -> list[str]:
    """How a category is written in questions and answers: ``chair``, ``chairs``, ``Chair``."""
    return [name, plural(name), name.capitalize()]


def _begin(table: Tensor, rows: list[int], codes: NDArray[np.float32], projector: nn.Module) -> None:
    """Rows of the table become mostly what sets the codes apart, as the model sees it, at the length that they had."""
    seen = projector(torch.from_numpy(codes)) - projector(torch.from_numpy(codes.mean(axis=0)))
    _mix(table, rows, seen)


def _mix(table: Tensor, rows: list[int], begin: Tensor) -> None:
    """Rows become mostly these, at the length that they had."""
    mixed = normalize(begin, dim=1) + _OWN * normalize(table[rows], dim=1)
    table[rows] = normalize(mixed, dim=1) * table[rows].norm(dim=1, keepdim=True)

"""How a model from scratch begins: markers and words find their own codes before anything is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'proxy3d-training[train]'")
import torch

from proxy3d_core.proxies.references import MARKERS, ReferenceCodes, marker
from proxy3d_core.vlm.config import configuration
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import train_tokenizer
from proxy3d_training.train.initial import begin_by_likeness

CHANNELS = 96
WORDS = ["chair", "table", "lamp", "sofa"]


def noise(pictures: Sequence[Any]) -> Any:
    """An encoder that sees something else in each picture, the same each time, and much that is common to all."""
    random = [np.random.default_rng(int(np.asarray(p, np.int64).sum()) * 7919 + i) for i, p in enumerate(pictures)]
    return np.stack([2 + r.normal(size=CHANNELS) for r in random])[:, None, None].astype(np.float32)


@pytest.fixture(scope="module")
def prompts() -> PromptFormat:
    return PromptFormat(train_tokenizer([f"What is it? The {word}. {word.capitalize()}." for word in WORDS] * 4, 800))


def model(prompts: PromptFormat, codes: ReferenceCodes | None) -> ProxyVLM:
    torch.manual_seed(0)
    made = ProxyVLM(configuration("nano", feature_channels=CHANNELS)).eval()
    if codes is not None:
        begin_by_likeness(made, prompts, codes, [*WORDS, "office chair"])
    return made


def ten(prompts: PromptFormat, codes: ReferenceCodes, number: int) -> tuple[list[int], torch.Tensor, torch.Tensor]:
    """Ten proxies with a marker and a category each, then this marker, one of theirs: markers, ids, features."""
    shown = np.random.default_rng(number).permutation([(number + 9 * i) % MARKERS for i in range(10)]).tolist()
    features = torch.from_numpy(codes.identifiers(shown) + codes.categories([WORDS[i % 4] for i in range(10)]))
    ids = prompts.prefix(10) + prompts.tokenizer.encode(marker(number), add_special_tokens=False)
    return shown, torch.tensor([ids]), features[None]


def attended(made: ProxyVLM, prompts: PromptFormat, codes: ReferenceCodes, number: int) -> int:
    """To which of ten proxies a marker looks most, over all layers and heads."""
    shown, ids, features = ten(prompts, codes, number)
    made.set_attn_implementation("eager")
    with torch.no_grad():
        found = made(input_ids=ids, features=features, output_attentions=True)
    looks = torch.stack(found.attentions).sum(dim=(0, 1, 2))[-1]
    return shown[int(looks[ids[0] == prompts.proxy].argmax())]


def test_a_marker_looks_at_its_own_proxy(prompts: PromptFormat) -> None:
    """By chance one in ten does."""
    codes = ReferenceCodes(noise)
    likeness, random = model(prompts, codes), model(prompts, None)
    right = {name: sum(attended(m, prompts, codes, n) == n for n in range(0, 100, 4)) for name, m in
             (("likeness", likeness), ("random", random))}  # fmt: skip
    assert right["likeness"] >= 16
    assert right["random"] <= 8


def test_words_begin_as_their_codes(prompts: PromptFormat) -> None:
    """Which word a code belongs to can be told from the table alone; in whatever form it is written."""
    codes = ReferenceCodes(noise)
    made = model(prompts, codes)
    table = made.get_input_embeddings().weight
    seen = made.scene.projector(torch.from_numpy(codes.categories(WORDS)))
    likest = ((seen - seen.mean(dim=0)) @ table.T).argmax(dim=1)
    assert [prompts.tokenizer.decode(i).strip().lower().rstrip("s") for i in likest] == WORDS
    seen = made.scene.projector(torch.from_numpy(codes.identifiers(range(MARKERS))))
    likest = ((seen - seen.mean(dim=0)) @ table.T).argmax(dim=1)
    assert [prompts.tokenizer.decode(i) for i in likest] == [marker(i) for i in range(MARKERS)]


def test_tokens_and_proxies_are_alike_long(prompts: PromptFormat) -> None:
    """Else the first steps of training are longer than what sets tokens apart."""
    codes = ReferenceCodes(noise)
    made = model(prompts, codes)
    lengths = made.get_input_embeddings().weight.norm(dim=1)
    proxies = made.scene.projector(torch.from_numpy(codes.identifiers(range(100)))).norm(dim=1)
    assert lengths.min() > 0.35 * 192**0.5 and lengths.max() < 0.65 * 192**0.5
    assert 0.8 < (proxies.mean() / lengths.mean()).item() < 2


def test_where_a_proxy_is_counts_as_much_as_what_it_is(prompts: PromptFormat) -> None:
    """Four corners of a room, 4 m apart, are as far apart in the code as what is read of a proxy is long."""
    codes = ReferenceCodes(noise)
    made = model(prompts, codes)
    corners = torch.tensor([[2.0, 2, 0], [-2, 2, 0], [-2, -2, 0], [2, -2, 0]])
    with torch.no_grad():
        places = made.scene.position_code(torch.zeros(4, 192), corners)
        things = made.scene.projector(torch.from_numpy(codes.identifiers(range(4))))
    assert 0.5 < (torch.pdist(places).mean() / things.norm(dim=1).mean()).item() < 3


def moved(made: ProxyVLM, prompts: PromptFormat, codes: ReferenceCodes, number: int) -> int:
    """Which of ten proxies changes a marker's token most, once the layers that look up are through, when it moves."""
    shown, ids, features = ten(prompts, codes, number)
    places = torch.rand(11, 10, 3, generator=torch.Generator().manual_seed(number)) * 4 - 2
    places[1:] = places[0] + 2 * torch.eye(10)[:, :, None] * torch.tensor([0.0, 1.0, 0.0])  # each in turn by 2 m in y
    with torch.no_grad():
        read = made(
            input_ids=ids.expand(11, -1),
            features=features.expand(11, -1, -1),
            positions=places,
            output_hidden_states=True,
        ).hidden_states[2][:, -1]
    return shown[int((read[1:] - read[0]).norm(dim=1).argmax())]


def test_what_is_looked_up_says_where_it_is(prompts: PromptFormat) -> None:
    """By chance one in ten does."""
    codes = ReferenceCodes(noise)
    likeness, random = model(prompts, codes), model(prompts, None)
    right = {name: sum(moved(m, prompts, codes, n) == n for n in range(0, 100, 4)) for name, m in
             (("likeness", likeness), ("random", random))}  # fmt: skip
    assert right["likeness"] >= 12
    assert right["random"] <= 8


def test_heads_begin_apart(prompts: PromptFormat) -> None:
    """Heads that are alike get the same gradients and stay alike."""
    made = model(prompts, ReferenceCodes(noise))
    for layer in made.model.layers:
        heads = layer.self_attn.q_proj.weight.view(6, 32, 192)
        assert all(not torch.equal(heads[i], heads[j]) for i in range(6) for j in range(i))


def test_the_token_before_is_looked_at(prompts: PromptFormat) -> None:
    """Two heads of the third layer; by chance a token gets one of 20 parts."""
    codes = ReferenceCodes(noise)
    made = model(prompts, codes)
    made.set_attn_implementation("eager")
    with torch.no_grad():
        ids = torch.tensor([prompts.question("What is it? The chair. The table. The lamp.")])
        looks = made(input_ids=ids, output_attentions=True).attentions[2][0, :2]
    assert float(looks.diagonal(offset=-1, dim1=1, dim2=2).min()) > 0.9


def test_where_the_token_before_is_is_taken_away(prompts: PromptFormat) -> None:
    """What a place adds to a token, the third layer takes from the token behind it."""
    made = model(prompts, ReferenceCodes(noise))
    places = torch.tensor([[-1.0, 0.5, 1.0], [1.0, 0.5, 1.0], [-1.0, -1.5, 1.0]])
    with torch.no_grad():
        moved = made.scene.position_code(made.scene.projector.bias.expand(3, -1), places)
        x = torch.randn(1, 8, 192, generator=torch.Generator().manual_seed(3))
        turns = made.model.rotary_emb(x, torch.arange(8).expand(3, 1, -1))

        def out(states: torch.Tensor) -> torch.Tensor:
            return made.model.layers[2].self_attn(states, position_embeddings=turns, attention_mask=None)[0][0, 5]

        for place in (1, 2):
            step = (moved[place] - moved[0]) / 10
            other = x.clone()
            other[0, 4] += step
            assert float(torch.cosine_similarity(out(other) - out(x), -step, dim=0)) > 0.3  # by chance within 0.2 of 0


def test_quantities_begin_alike_where_they_are(prompts: PromptFormat) -> None:
    table = model(prompts, ReferenceCodes(noise)).get_input_embeddings().weight

    def alike(one: str, other: str) -> float:
        rows = prompts.tokenizer.convert_tokens_to_ids([one, other])
        return float(torch.cosine_similarity(*table[rows], dim=0).detach())

    assert alike("2.4", "2.5") > 0.6 > alike("2.4", "3.4") > alike("2.4", "9.0") - 0.1
    assert alike("3", "3.0") > 0.6
    assert alike("@000", "@345") > 0.6 > 0.0 > alike("@000", "@180")

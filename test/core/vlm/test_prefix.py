"""Answers with the scene read once against the whole sequence read anew."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_vlm import prompts, scene, tiny_vlm, torch

from proxy3d_core.errors import BadInput
from proxy3d_core.vlm.inputs import collate
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prefix import ScenePrefix

QUESTIONS = ["How many chairs are there in the room?", "Far?", "What is next to <OBJ007>?"]


def whole(model: ProxyVLM, question: str, answer: list[int], proxies: int = 40) -> Any:
    """(L, vocabulary) logits of the answer's tokens and the one after, all read at once."""
    prompt = prompts().prefix(proxies) + prompts().question(question)
    out = model(input_ids=torch.tensor([prompt + answer]), **(collate([scene(proxies)]) if proxies else {}))
    return out.logits[0, len(prompt) - 1 :]


@torch.no_grad()
def test_logits_are_those_of_the_whole_sequence() -> None:
    """Three questions at once on one prefix, left-padded, twice: the first round leaves the prefix as it was."""
    model = tiny_vlm()
    prefix = ScenePrefix(model, prompts(), scene(40))
    for _ in range(2):
        logits = model(**prefix.inputs(QUESTIONS)).logits
        for row, question in enumerate(QUESTIONS):
            torch.testing.assert_close(logits[row, -1:], whole(model, question, []), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_answers_are_those_of_the_whole_sequence() -> None:
    """Greedy tokens and their probability, each step computed anew from the whole sequence."""
    model = tiny_vlm()
    replies = ScenePrefix(model, prompts(), scene(40)).answer(QUESTIONS, max_new_tokens=5)
    for question, reply in zip(QUESTIONS, replies, strict=True):
        answer: list[int] = []
        total = 0.0
        while len(answer) < 5 and prompts().end not in answer:
            said = whole(model, question, answer)[-1].log_softmax(-1)
            answer.append(int(said.argmax()))
            total += float(said.max())
        assert reply.text == prompts().read(answer)
        assert reply.tokens == len(answer)
        assert reply.log_probability == pytest.approx(total, rel=1e-4)
        assert reply.complete == (prompts().end in answer)


def test_a_question_reads_only_itself() -> None:
    """Tokens that go into the language model: the scene once, then those of each question and answer alone."""
    model = tiny_vlm()
    read: list[int] = []
    model.model.register_forward_pre_hook(
        lambda _, __, inputs: read.append(inputs["inputs_embeds"].shape[1]), with_kwargs=True
    )
    prefix = ScenePrefix(model, prompts(), scene(40))
    assert read == [prefix.length] == [len(prompts().prefix(40))]
    for question in QUESTIONS[:2]:
        read.clear()
        replies = prefix.answer([question], max_new_tokens=4)
        assert read == [len(prompts().question(question))] + [1] * (replies[0].tokens - 1)


def test_the_end_and_the_limit() -> None:
    """An answer stops at its end token, at the limit, or when it is told to."""
    model = tiny_vlm()
    prefix = ScenePrefix(model, prompts(), scene(40))
    with torch.no_grad():  # all else is less probable now
        model.lm_head.weight.zero_()
    silent = model.lm_head.register_forward_hook(lambda _, __, out: out.index_fill(-1, torch.tensor([2]), 9.0))
    reply = prefix.answer(["Far?"])[0]
    assert (reply.text, reply.tokens, reply.complete) == ("", 1, True)
    silent.remove()
    model.lm_head.register_forward_hook(lambda _, __, out: out.index_fill(-1, torch.tensor([300]), 9.0))
    reply = prefix.answer(["Far?"], max_new_tokens=3)[0]
    assert (reply.tokens, reply.complete) == (3, False)
    asked = iter([False, True])
    reply = prefix.answer(["Far?"], max_new_tokens=50, stop=lambda: next(asked))[0]
    assert (reply.tokens, reply.complete) == (2, False)


def test_markers_are_those_of_the_scene_and_none_is_listed_twice() -> None:
    """A model that would say "The" or "the" and <OBJ007>, the most probable of markers, for ever, and else <OBJ003>."""
    model, words = tiny_vlm(), prompts()
    the, other = (words.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (" the", "The"))
    assert len(the) == len(other) == 1 and len(words.markers) == 100
    turn: list[int] = []
    order = [words.end, words.markers[9], words.markers[3], words.markers[7]]  # from the least probable on

    def head(_: Any, inputs: Any, out: Any) -> Any:
        turn.append(0)
        wanted = order if len(turn) % 2 == 0 else other if len(turn) == 1 else the
        return out.zero_().index_copy(-1, torch.tensor(wanted), torch.arange(1.0, len(wanted) + 1).expand(1, 1, -1))

    model.lm_head.register_forward_hook(head)
    everything: tuple[tuple[Any, str], ...] = (
        (None, "The<OBJ007> the<OBJ003> the<OBJ009> the"),
        ({7: "", 3: ""}, "The<OBJ007> the<OBJ003> the"),
    )
    for markers, said in everything:
        prefix = ScenePrefix(model, words, scene(40), markers=markers)
        turn.clear()
        reply = prefix.answer(["Far?"])[0]
        assert (reply.text, reply.complete) == (said, True)


def token(text: str) -> int:
    (only,) = prompts().tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(only)


TABLE, ROOM, WINDOW, ONE = " table", " room", " window", "1"
OPTIONS = "Far?\nOptions:\nA. table, window\nB. window, table\nAnswer with the letter."


@pytest.mark.parametrize(
    ("question", "begin", "wanted", "said"),
    [
        ("Far?", ["[", TABLE], ["<OBJ007>", "<OBJ003>"], "<OBJ003>"),  # the first is a window
        ("Far?", ["[", TABLE, "<OBJ003>", TABLE], ["<OBJ003>", "<OBJ009>"], "<OBJ009>"),  # none twice
        ("Far?", ["[", ROOM], ["<OBJ007>", "]"], "<OBJ007>"),  # nothing is called a room, so anything may be one
        ("Far?", ["[", TABLE], [WINDOW, TABLE, ONE, "<OBJ003>"], "<OBJ003>"),
        ("Far?", ["[", "<OBJ007>", TABLE], [ONE, "]", "<OBJ003>"], "]"),  # what carries something
        # all tables are listed
        ("Far?", ["[", TABLE, "<OBJ003>", TABLE, "<OBJ009>"], [TABLE, WINDOW, "]"], "]"),
        ("Far?", ["[", TABLE, "<OBJ003>", TABLE, "<OBJ009>"], [TABLE, WINDOW, "<OBJ003>"], "<OBJ003>"),
        ("Table or window?", ["[", TABLE, "<OBJ003>", TABLE, "<OBJ009>"], [TABLE, WINDOW, "]"], WINDOW),
        ("Far?", ["[", TABLE, "<OBJ003>", TABLE, "<OBJ009>", ";"], [TABLE, "]"], TABLE),
        ("Far?", ["[", TABLE, "<OBJ003>", TABLE, "<OBJ009>", ";", WINDOW, ","], [TABLE, "]"], TABLE),
        # behind a semicolon comes an option
        (OPTIONS, ["[", TABLE, "<OBJ003>", ";"], [ROOM, "]", WINDOW, TABLE], WINDOW),
        (OPTIONS, ["[", TABLE, "<OBJ003>", ";", WINDOW], [ROOM, "]", ",", TABLE], ","),
        (OPTIONS, ["[", TABLE, "<OBJ003>", ";", WINDOW, ","], [WINDOW, "]", TABLE, ROOM], TABLE),
        (OPTIONS, ["[", TABLE, "<OBJ003>", ";", TABLE, ",", WINDOW], [ROOM, TABLE, "]"], "]"),
        # what is counted is listed whole
        ("How many tables are there?", ["[", TABLE, "<OBJ003>"], ["]", "<OBJ007>", WINDOW, TABLE], TABLE),
        ("How many tables are there?", ["[", TABLE, "<OBJ003>", TABLE], ["]", "<OBJ009>"], "<OBJ009>"),
        ("How many tables are there?", ["[", TABLE, "<OBJ003>", TABLE, "<OBJ009>"], [WINDOW, "]", TABLE], "]"),
        ("How many tables are there?", ["[", TABLE, "<OBJ003>", ONE, TABLE, "<OBJ009>"], [ONE, "2"], "2"),
        ("How many tables are on the window?", ["[", TABLE, "<OBJ003>"], ["]", TABLE], "]"),
        ("How many windows are next to the table?", ["[", TABLE, "<OBJ003>"], ["]", TABLE], "]"),
        ("Far?", ["[", TABLE, "<OBJ003>"], ["]", TABLE], "]"),
        ("Far?", ["[", TABLE, "<OBJ003>", ONE], ["]", "<OBJ007>", TABLE], "<OBJ007>"),
        ("Far?", ["[", TABLE, "<OBJ003>", ONE], ["]", ";", WINDOW, TABLE], TABLE),
    ],
)
def test_what_is_worked_out_keeps_to_the_scene(question: str, begin: list[str], wanted: list[str], said: str) -> None:
    """A model that says how it begins, and then wants these tokens, the most probable one first."""
    model, words = tiny_vlm(), prompts()
    turn: list[int] = []

    def head(_: Any, inputs: Any, out: Any) -> Any:
        likely = [begin[len(turn)]] if len(turn) < len(begin) else wanted
        turn.append(0)
        places = torch.tensor([words.markers[int(t[4:7])] if t.startswith("<OBJ") else token(t) for t in likely])
        return out.zero_().index_copy(-1, places, torch.arange(len(likely), 0.0, -1.0).expand(1, 1, -1))

    prefix = ScenePrefix(model, words, scene(40), markers={3: "Table", 7: "window", 9: "table"})
    model.lm_head.register_forward_hook(head)
    assert prefix.answer([question], max_new_tokens=len(begin) + 1)[0].text == "".join([*begin, said])


@pytest.mark.parametrize(("markers", "said"), [({}, "room"), ({7: "window"}, "["), (None, "[")])
def test_nothing_is_worked_out_where_there_is_nothing_to_name(markers: dict[int, str] | None, said: str) -> None:
    """A model that would begin with [ or else with "room"."""
    model, words = tiny_vlm(), prompts()
    (opened,), (room,) = (words.tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("[", " room"))
    wanted = torch.tensor([room, opened])
    prefix = ScenePrefix(model, words, scene(40), markers=markers)
    model.lm_head.register_forward_hook(
        lambda _, __, out: out.zero_().index_copy(-1, wanted, torch.tensor([1.0, 2.0]).expand(1, 1, -1))
    )
    assert prefix.answer(["Far?"], max_new_tokens=1)[0].text.strip() == said


@pytest.mark.parametrize(
    ("likely", "median"),
    [
        ({"1.0": 0.3, "1.1": 0.25, "1.2": 0.25, "1.3": 0.2}, "1.1"),
        ({"@000": 0.4, "@345": 0.3, "@315": 0.3}, "@345"),  # from the others 1.0 steps of 15 degrees; @000 1.2
    ],
)
def test_what_is_measured_behind_a_marker_is_the_median(likely: dict[str, float], median: str) -> None:
    """Behind anything else it is the most probable one, which may be one that was said before."""
    model, words = tiny_vlm(), prompts()
    quantities = words.tokenizer.convert_tokens_to_ids(list(likely))
    begin: list[int] = []
    turn: list[int] = []

    def head(_: Any, inputs: Any, out: Any) -> Any:
        turn.append(0)
        steps = [(begin, [1.0]), (quantities, [*likely.values()]), ([words.end], [1.0])]
        next_, weights = steps[len(turn) - 1]
        return out.fill_(-30.0).index_copy(-1, torch.tensor(next_), torch.tensor(weights).log().expand(1, 1, -1))

    prefix = ScenePrefix(model, words, scene(40))
    model.lm_head.register_forward_hook(head)
    (the,) = words.tokenizer("The", add_special_tokens=False)["input_ids"]
    for begin[:], said in (([words.markers[3]], f"<OBJ003>{median}"), ([the], f"The{next(iter(likely))}")):
        turn.clear()
        assert prefix.answer(["Far?"])[0].text == said


@torch.no_grad()
def test_without_a_scene_and_with_regions_and_latents() -> None:
    """The blind model; regions that questions name, in the order they name them; latents of the scene."""
    model = tiny_vlm(region_channels=12, latent_channels=8)
    blind = ScenePrefix(model, prompts())
    torch.testing.assert_close(
        model(**blind.inputs(["Far?"])).logits[0, -1:], whole(model, "Far?", [], 0), rtol=1e-4, atol=1e-5
    )
    latents, regions = torch.randn(5, 8), torch.randn(2, 12)
    prefix = ScenePrefix(model, prompts(), scene(40), latents)
    text = "Is Region [1] near Region [0]?"
    logits = model(**prefix.inputs(["Far?", text], [None, regions])).logits
    ids = torch.tensor([prompts().prefix(40) + prompts().question(text, 2)])
    inputs = collate([scene(40)]) | {"latents": latents[None], "regions": regions[None, [1, 0]]}
    torch.testing.assert_close(logits[1, -1], model(input_ids=ids, **inputs).logits[0, -1], rtol=1e-4, atol=1e-5)
    with pytest.raises(BadInput, match=r"names Region \[1\], but there are 1 regions"):
        prefix.inputs([text], [regions[:1]])
    with pytest.raises(BadInput, match="at least one question"):
        prefix.answer([])


@torch.no_grad()
def test_attention_is_that_of_the_whole_sequence() -> None:
    """Eager attention over the whole sequence at once, of the places that the answer's tokens are said from."""
    model = tiny_vlm()
    prefix = ScenePrefix(model, prompts(), scene(40))
    looks = prefix.attention("What is next to <OBJ007>?", "The table.")
    asked = prompts().prefix(40) + prompts().question("What is next to <OBJ007>?")
    said = prompts().answer("The table.")
    model.set_attn_implementation("eager")
    out = model(input_ids=torch.tensor([asked + said]), output_attentions=True, **collate([scene(40)]))
    whole_looks = torch.stack(out.attentions)[:, 0, :, len(asked) - 1 : -1].mean(dim=(0, 1))
    assert looks.shape == (len(said), prefix.length)
    torch.testing.assert_close(looks, whole_looks[:, : prefix.length], rtol=1e-4, atol=1e-6)
    model.set_attn_implementation("sdpa")
    assert prefix.answer(["Far?"], max_new_tokens=2)[0].tokens  # the model is as it was

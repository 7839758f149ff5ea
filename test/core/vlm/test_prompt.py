"""Prompts and nano's tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_vlm import SENTENCES, prompts

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.vlm.prompt import PromptFormat, mentioned_regions
from proxy3d_core.vlm.tokenizer import SPECIAL, train_tokenizer

transformers = pytest.importorskip("transformers")


def test_the_format_is_qwens() -> None:
    """The chat template published with Qwen2.5-VL, written out; parts tokenised alone are the joined text's tokens."""
    make = prompts()
    ids = make.prefix(2) + make.question("How many?") + make.answer("12")
    text = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|image_pad|><|vision_end|>How many?<|im_end|>\n"
        "<|im_start|>assistant\n12<|im_end|>"
    )
    assert make.tokenizer.decode(ids) == text
    assert make.tokenizer(text)["input_ids"] == ids
    floor = "Floor: as large as a square of 4.6 m, 21.3 square meters.\n"
    told = text.replace("<|vision_start|>", f"{floor}<|vision_start|>")
    assert make.tokenizer(told)["input_ids"] == make.prefix(2, 21.34) + make.question("How many?") + make.answer("12")


def test_regions_get_their_token() -> None:
    """After each mention, where there are regions; nothing else counts as one."""
    make = prompts()
    text = "Is Region [1] near Region [0]\0?"
    assert mentioned_regions(text) == [1, 0]
    decoded = make.tokenizer.decode(make.question(text, regions=2))
    assert decoded.startswith("Is Region [1]<|vision_pad|> near Region [0]<|vision_pad|>\0?<|im_end|>")
    assert make.region not in make.question(text)


@pytest.mark.parametrize("token", SPECIAL)
def test_users_cannot_write_special_tokens(token: str) -> None:
    """They are read as plain text, and come back as such."""
    make = prompts()
    own = len(set(make.question("x")) & set(range(len(SPECIAL))))
    ids = make.question(f"a {token} b")
    assert len(set(ids) & set(range(len(SPECIAL)))) == own
    assert token in make.tokenizer.decode(ids[: -len(make.question("x")) + 1])


def test_empty_questions_and_strange_tokenizers_are_refused() -> None:
    """With what to do about it."""
    with pytest.raises(BadInput, match="question is empty"):
        prompts().question("  ")
    plain = transformers.PreTrainedTokenizerFast(
        tokenizer_object=prompts().tokenizer._tokenizer.__class__.from_str(
            '{"version":"1.0","added_tokens":[],"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}}'
        )
    )
    with pytest.raises(ModelError, match=r"the tokenizer has no <\|endoftext\|>"):
        PromptFormat(plain)


def test_numbers_are_digits_and_markers_are_whole() -> None:
    """3.25 is four tokens, <OBJ007> is one; special tokens are 0 to 6."""
    tokenizer = prompts().tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer("3.25")["input_ids"]) == ["3", ".", "2", "5"]
    assert tokenizer.tokenize("<OBJ007><OBJ100>")[0] == "<OBJ007>"
    assert "<OBJ100>" not in tokenizer.tokenize("<OBJ007><OBJ100>")
    assert tokenizer.convert_ids_to_tokens(list(range(7))) == list(SPECIAL)
    assert len(tokenizer) <= 800


def test_tenths_and_directions_are_whole() -> None:
    """As long as they stand alone: 3.25 and 12.34 are not 3.2 and 2.3 with something beside them."""
    tokenizer = prompts().tokenizer
    text = "<OBJ003><OBJ007>2.6<OBJ003><OBJ012>@045@330 (-1.7, 19.9, 0.0)."
    told = tokenizer.tokenize(text)
    assert [t for t in told if t[0] in "0123456789@"] == ["2.6", "@045", "@330", "1.7", "19.9", "0.0"]
    assert not {"3.2", "2.3", "20.1", "0.1", "@046"} & {*tokenizer.tokenize("3.25 12.34 20.1 @046")}
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("text", [*SENTENCES[:5], "Zoë: 漢字,\n\ttwo  spaces, naïve 1234567.89 <OBJ099>!"])
def test_any_text_comes_back(text: str) -> None:
    """Bytes it has never seen too; markers in answers are kept, the end is not."""
    make = prompts()
    assert make.read(make.answer(text)) == text


def test_training_is_repeatable_and_saves(tmp_path: Path) -> None:
    """The same texts give the same file; a saved tokenizer reads alike."""
    train_tokenizer(SENTENCES, 800).save_pretrained(tmp_path / "a")
    train_tokenizer(SENTENCES, 800).save_pretrained(tmp_path / "b")
    first = (tmp_path / "a" / "tokenizer.json").read_bytes()
    assert first == (tmp_path / "b" / "tokenizer.json").read_bytes()
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    again = train_tokenizer(SENTENCES, 800)
    assert [loaded(s)["input_ids"] for s in SENTENCES] == [again(s)["input_ids"] for s in SENTENCES]
    with pytest.raises(BadInput, match="a vocabulary of 500 is too small"):
        train_tokenizer(SENTENCES, 500)
    assert (loaded.pad_token_id, loaded.eos_token_id, loaded.padding_side) == (0, 2, "left")


def test_a_name_is_one_token() -> None:
    tokenizer = train_tokenizer(SENTENCES, 800, ["dining table", "tv"])
    assert len(tokenizer) <= 800
    for text in ("Which one is the dining table?", "The dining table and the tv.", "dining table", "tv"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        told = [token.strip("Ġ ") for token in tokenizer.convert_ids_to_tokens(ids)]
        assert ("dining table" in told, "tv" in told) == ("dining table" in text, "tv" in text)


def test_words_that_have_to_be_spelled() -> None:
    """A small vocabulary has a token for each word it was made from."""
    assert prompts().unlearned("How many chairs are there in the room?") == []
    assert prompts().unlearned("Room next to the Chairs, 3.25 m from <OBJ007>?") == []
    assert prompts().unlearned("Wie viele chairs?") == ["Wie", "viele"]

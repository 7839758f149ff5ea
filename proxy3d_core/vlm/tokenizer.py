"""The nano model's tokenizer: byte pairs learned from our own questions and answers, whole markers and quantities.

Published models keep their own tokenizer, where ``<OBJ007>`` is plain text of several tokens and no row is added to
the table, so that their weights fit unchanged. Nano, made from scratch, has one token for each marker, for each name
that it is to know, for each number of tenths below twenty and for each direction on the floor, so that it need not
spell what it measures. Other numbers are spelled in digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.references import MARKERS, marker
from proxy3d_core.vlm import prompt

SPECIAL = (
    prompt.PAD,
    prompt.START,
    prompt.END,
    prompt.SCENE_START,
    prompt.SCENE_END,
    prompt.PROXY,
    prompt.REGION,
)
"""Tokens 0 to 6; the markers are the last 100."""
TURN = 15
"""Degrees from one direction to the next."""
LENGTHS = {f"{tenths / 10:.1f}": tenths / 10 for tenths in range(200)}
"""Numbers that are one token: ``0.0`` to ``19.9``."""
DIRECTIONS = {f"@{degrees:03d}": float(degrees) for degrees in range(0, 360, TURN)}
"""Directions that are one token: ``@000`` to ``@345``."""
_OFTEN = 1000  # a word that comes so often is not left in pieces


def train_tokenizer(texts: Iterable[str], size: int = 2304, names: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A tokenizer of at most ``size`` tokens that can spell any text; the same texts in the same order give the same.

    Args:
        texts: questions and answers as they will be asked.
        size: of the vocabulary; 256 bytes, 100 markers, 224 quantities and the special tokens are in it.
        names: such as those of categories, as they will be written; each becomes one token, another one where a space
            is before it.

    Raises:
        BadInput: ``size`` is too small for what has to be in it.
    """
    names = list(dict.fromkeys(names))
    whole = sorted(space + name for name in names if " " in name for space in ("", " "))
    often = [f"{name} {name}" for name in names if " " not in name] * _OFTEN
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - MARKERS - len(LENGTHS) - len(DIRECTIONS) - len(whole),
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    chat = f"system\n{prompt.SYSTEM}\nuser\nassistant\n"  # stands around every text, so its words get tokens, too
    tokenizer.train_from_iterator((part for text in chain(texts, often) for part in (text, chat)), trainer)
    # not special: users write markers, and answers show them
    least = len(SPECIAL) + 256 + MARKERS + len(LENGTHS) + len(DIRECTIONS) + len(whole)
    if least > size:
        raise BadInput(f"a vocabulary of {size} is too small: bytes, markers, quantities and names are {least}")
    words = [*whole, *DIRECTIONS, *(marker(index) for index in range(MARKERS))]
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False, single_word=True) for text in LENGTHS])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in words])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=prompt.PAD,
        eos_token=prompt.END,
        additional_special_tokens=list(SPECIAL[1:]),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )

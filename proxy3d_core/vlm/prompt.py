"""How a question is put: system, scene, question, answer, in this order, so that the scene's part is the same for all.

    <|im_start|>system
    You are a helpful assistant.<|im_end|>
    <|im_start|>user
    Floor: as large as a square of 4.6 m, 21.3 square meters.
    <|vision_start|><|image_pad|> x K <|vision_end|>How many chairs are there?<|im_end|>
    <|im_start|>assistant
    Four.<|im_end|>

the chat format of Qwen2.5-VL, with a token for each proxy, and how large the map's floor is, where that is known: it
follows from no proxy alone. It is told as a length, too, which nano reads at once (``tokenizer``). The parts of all
this are tokenised one by one and end at special tokens or with a line, so that the joined tokens are those of the
joined text.
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from typing import Any

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.proxies.references import MARKERS, marker

PAD, START, END, SCENE_START, SCENE_END, PROXY, REGION = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|vision_pad|>",
)

SYSTEM = "You are a helpful assistant."

_EVIDENCE = re.compile(r"\[((?=[^\[\]]*<OBJ\d{3}>)[^\[\]]+|[^\[\]]+(?=\] ?\S))\] ?")
"""Brackets with a marker in them, or with an answer behind them; others may be the answer."""
LARGE = 20_000
"""Vocabularies of this size come from published language models."""

_FLOOR = "Floor: as large as a square of {:.1f} m, {:.1f} square meters.\n"
_WORD = re.compile(r"[^\W\d_]{2,}")
_MENTION = re.compile(r"Region \[(\d+)\]")


class PromptFormat:
    """Texts to tokens, for a tokenizer with the special tokens of Qwen2.5-VL.

    Attributes:
        tokenizer: of transformers.
        pad, end, proxy, region: ids of special tokens; ``end`` closes an answer.
        markers: ids of those markers that are one token each, by index; empty for published tokenizers.
    """

    def __init__(self, tokenizer: Any, system: str = SYSTEM) -> None:
        """Raises ModelError: the tokenizer lacks a special token."""
        self.tokenizer = tokenizer
        self.pad, self._start, self.end, self._scene_start, self._scene_end, self.proxy, self.region = (
            self._special(token) for token in (PAD, START, END, SCENE_START, SCENE_END, PROXY, REGION)
        )
        added: dict[str, int] = tokenizer.get_added_vocab()
        self.markers = {index: added[marker(index)] for index in range(MARKERS) if marker(index) in added}
        newline = self._text("\n")
        user = [self.end, *newline, self._start, *self._text("user\n")]
        self._system = [self._start, *self._text(f"system\n{system}"), *user]
        self._assistant = [self.end, *newline, self._start, *self._text("assistant\n")]

    def prefix(self, proxies: int, area: float | None = None) -> list[int]:
        """System and scene: all that questions on a scene share.

        Args:
            proxies: how many; 0 = no scene (blind).
            area: of the floor, square metres; None = not known.
        """
        told = [] if area is None else self._text(_FLOOR.format(square_edge(area), area))
        return [*self._system, *told, self._scene_start, *[self.proxy] * proxies, self._scene_end]

    def question(self, text: str, regions: int = 0) -> list[int]:
        """The question and the opening of its answer. Names of special tokens in it are read as plain text.

        Args:
            text: may name its regions, ``Region [0]`` and so on; each mention gets a region token behind it.
            regions: how many there are.

        Raises:
            BadInput: the text is empty or names a region that is not there.
        """
        if not text.strip():
            raise BadInput("the question is empty")
        missing = [index for index in mentioned_regions(text) if index >= regions > 0]
        if missing:
            raise BadInput(f"the question names Region [{missing[0]}], but there are {regions} regions, from 0 on")
        ids: list[int] = []
        begin = 0
        for mention in _MENTION.finditer(text) if regions else ():
            ids += [*self._text(text[begin : mention.end()]), self.region]
            begin = mention.end()
        return [*ids, *self._text(text[begin:]), *self._assistant]

    def answer(self, text: str) -> list[int]:
        """An answer with its end, as it is learned."""
        return [*self._text(text), self.end]

    def unlearned(self, text: str) -> list[str]:
        """Words that a model with a small vocabulary of its own has hardly met: it has to spell them.

        None for large vocabularies: who learned from those has read everything.
        """
        if len(self.tokenizer) >= LARGE:
            return []

        def spelled(word: str) -> bool:  # at the beginning of a text, and behind a space, it is another token
            return all(len(self._text(form)) > 1 for form in (word, f" {word}", f" {word.lower()}"))

        return [word for word in dict.fromkeys(_WORD.findall(text)) if spelled(word)]

    @cached_property
    def names(self) -> dict[int, str]:
        """What tokens name, where markers are tokens: those, and words, whatever their case and the space before."""
        if not self.markers:
            return {}
        words = {index: self.tokenizer.decode([index]).strip().lower() for index in range(len(self.tokenizer))}
        return {index: word for index, word in words.items() if _WORD.search(word)}

    def read(self, ids: Any) -> str:
        """The text of a generated answer."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.strip()

    def _text(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    def _special(self, token: str) -> int:
        known: dict[str, int] = self.tokenizer.get_added_vocab()
        if token not in known:
            raise ModelError(f"the tokenizer has no {token}; take that of the model's own checkpoint")
        return known[token]


def mentioned_regions(text: str) -> list[int]:
    """Which region each region token of a question stands for: ``[1, 0, 1]``, in the order of the text."""
    return [int(digits) for digits in _MENTION.findall(text)]


def square_edge(area: float) -> float:
    """Of a square with this area: m^2 to metres, in tenths."""
    return round(math.sqrt(area), 1)


def with_evidence(evidence: str, answer: str) -> str:
    """An answer behind what it rests on: ``[<OBJ003><OBJ007>2.6] 2.6``; unchanged if that is nothing."""
    return f"[{evidence}] {answer}" if evidence else answer


def split_evidence(reply: str) -> tuple[str, str]:
    """What a reply rests on, and the answer itself; see ``with_evidence``."""
    found = _EVIDENCE.match(reply.strip())
    return ("", reply.strip()) if found is None else (found[1], reply.strip()[found.end() :])

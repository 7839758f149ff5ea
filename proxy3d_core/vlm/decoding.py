"""What keeps a small model to its scene while it answers: markers that are there, whole lists, medians of measures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from transformers import LogitsProcessor

from proxy3d_core.reasoning.lexicon import plural
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import DIRECTIONS, LENGTHS

_COUNTS = ("how many", "number of", "amount of")
_OPTION = re.compile(r"^[A-J]\. (.+)$", re.MULTILINE)


class Grounded(LogitsProcessor):
    """Keeps a model whose markers are tokens to the objects of the scene.

    Only markers of the scene are said, and none twice: in the answer itself, or behind the same word of what it is
    worked out from. There

    * behind a name of the scene comes a marker of what is called so, or the end;
    * a name of which everything is listed is not said again, but as the answer, behind a semicolon; nor is, in its
      place, one that the question does not name;
    * behind the semicolon comes one of the question's options, where it has such;
    * what is counted, by the question or by numbers in the list, is listed whole, among names of the question alone,
      and numbered as it is listed.

    Where the scene has no objects, nothing is worked out: a model that looks for something to name goes on and on.
    """

    def __init__(self, prompts: PromptFormat, absent: Tensor, called: Mapping[str, set[int]], start: int) -> None:
        """``absent`` (A,) tokens are never said; ``called``: markers by name; answers begin at place ``start``."""
        self._names, self._markers = prompts.names, frozenset(prompts.markers.values())
        self._absent, self._called, self._start = absent, called, start
        self._prompts, self._tokenizer = prompts, prompts.tokenizer
        self._open, self._close, self._then = self._tokenizer.convert_tokens_to_ids(["[", "]", ";"])
        self._digits: list[int] = self._tokenizer.convert_tokens_to_ids(list("0123456789"))
        self._everything: frozenset[int] = frozenset()
        self._words: dict[str, set[int]] = {}
        for token, name in self._names.items():
            self._words.setdefault(name, set()).add(token)
        self._named = frozenset().union(*(self._words.get(name, ()) for name in called))
        self._questions: list[str] = []
        self._options: list[list[list[int]]] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not self._markers:
            return scores
        if not self._questions:  # the same at every step
            questions = [self._tokenizer.decode(ids) for ids in input_ids[:, : self._start].tolist()]
            self._questions = [question.lower() for question in questions]
            self._options = [
                [self._prompts.answer(f" {text}")[:-1] for text in _OPTION.findall(question)] for question in questions
            ]
            self._everything = frozenset(range(scores.shape[1]))
        wanted = scores.argmax(dim=1).tolist()
        scores = scores.index_fill(1, self._absent, -torch.inf)
        for row, said in enumerate(input_ids[:, self._start :].tolist()):
            unsayable = self._unsayable(self._questions[row], self._options[row], said, wanted[row])
            scores[row, list(unsayable)] = -torch.inf
        return scores

    def _unsayable(self, question: str, options: Sequence[list[int]], said: list[int], wanted: int) -> frozenset[int]:
        """What must not come next, where the model wants a certain token."""
        if not said and len(self._absent) == len(self._markers):
            return frozenset([self._open])
        if self._open not in said[:1] or self._close in said:
            answer = said[said.index(self._close) :] if self._open in said[:1] else said
            return self._markers.intersection(answer)
        last = self._names.get(said[-1], "")
        listed: dict[str, set[int]] = {}
        for a, b in pairwise(said):
            if a in self._names and b in self._markers:
                listed.setdefault(self._names[a], set()).add(b)
        others = self._markers - self._called[last] if last in self._called else frozenset()
        done = [name for name, some in listed.items() if self._called.get(name, self._markers) <= some]
        again = frozenset().union(*(self._words[name] for name in done if self._then not in said))
        unsayable = others.union(listed.get(last, ()), again)
        if self._then in said:
            begun = said[said.index(self._then) + 1 :]
            next_ = {[*o, self._close][len(begun)] for o in options if o[: len(begun)] == begun}
            return self._everything - next_ if next_ else unsayable
        counted = self._counted(said, question)
        if last in self._called:
            more = self._called[last] - listed.get(last, set())
            return self._everything - more - (frozenset() if last == counted and more else {self._close, self._then})
        if counted or wanted in again:
            asked_for = [name for name in self._called if name in question or name == counted]
            unsayable |= self._named.difference(*(self._words.get(name, ()) for name in asked_for))
        return unsayable | self._in_list(said, counted, listed.get(counted, set()), wanted)

    def _in_list(self, said: list[int], counted: str, listed: set[int], wanted: int) -> frozenset[int]:
        """What must not come behind something that is listed: the end while there is more, or a wrong number."""
        end = len(said)
        while said[end - 1] in self._digits:
            end -= 1
        behind = said[end - 1] in self._markers and self._names.get(said[end - 2], "") == counted != ""
        if not behind:
            return frozenset()
        number = [self._digits[int(digit)] for digit in str(len(listed))]
        written = said[end:]
        if (written or wanted in self._digits) and written == number[: len(written)] != number:
            return self._everything - {number[len(written)]}
        if not self._called[counted] - listed:
            return frozenset()
        more = (self._named - self._words[counted]) | {self._close, self._then}
        return more if written else more | self._markers

    def _counted(self, said: list[int], question: str) -> str:
        """The name of which everything is counted or listed; else nothing.

        Where something else is named behind it ("on the table"), not all of it is.
        """
        for name in self._called:
            for asked in (f"{words} {form}" for words in _COUNTS for form in (plural(name), f"{name}(s)")):
                rest = question.partition(asked)[2]
                if rest:
                    return "" if "<obj" in rest or any(f" {other}" in rest for other in self._called) else name
        for a, b, c in zip(said, said[1:], said[2:], strict=False):
            if a in self._named and b in self._markers and c in self._digits:
                return self._names[a]
        return ""


class Measured(LogitsProcessor):
    """What is measured, a length or a direction right behind a marker, is the median of what it may be.

    Tokens beside the right one are nearly as right: which of them is the most probable is chance, their median is not.
    It takes that one's place, and with it its probability.
    """

    def __init__(self, prompts: PromptFormat) -> None:
        self._markers = frozenset(prompts.markers.values())
        added: dict[str, int] = prompts.tokenizer.get_added_vocab()
        self._lengths, self._ways = (
            [added[text] for text in texts if text in added] for texts in (LENGTHS, DIRECTIONS)
        )

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not self._markers:
            return scores
        top = scores.argmax(dim=1).tolist()
        for row, (last, best) in enumerate(zip(input_ids[:, -1].tolist(), top, strict=True)):
            tokens, median = (self._lengths, _median) if best in self._lengths else (self._ways, _circular_median)
            if last in self._markers and best in tokens:
                likely = scores[row, tokens].float().softmax(dim=0)
                other = tokens[median(likely)]
                scores[row, [best, other]] = scores[row, [other, best]]
        return scores


def _median(likely: Tensor) -> int:
    return int((likely.cumsum(dim=0) < 0.5).sum().clamp(max=len(likely) - 1))


def _circular_median(likely: Tensor) -> int:
    """The direction from which the others are least far, on average."""
    steps = torch.arange(len(likely), device=likely.device)
    apart = (steps[:, None] - steps).abs()
    return int((torch.minimum(apart, len(likely) - apart) * likely).sum(dim=1).argmin())

"""A question before it is chosen, and the words that all kinds share."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from proxy3d_training.data.questions.rooms import Item, Room
from proxy3d_training.data.schema import (
    LETTERS,
    Answer,
    ChoiceAnswer,
    IdAnswer,
    NumberAnswer,
    Region,
    Situation,
    TextAnswer,
    id_text,
)

T = TypeVar("T")

SHORT = "Answer the question using a single word or phrase."
"""Instruction of ScanQA and SQA3D."""
NUMBER = "Please answer the question using a single word or phrase."
"""VSI-Bench's instruction for numbers."""
OPTION = "Answer with the option's letter from the given choices directly."
"""VSI-Bench's instruction for choices."""

COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A question about a room with its answer.

    Attributes:
        family: dataset whose form it has.
        kind: what is asked.
        question: the words.
        answer: what is right.
        named: objects that texts name or the answer rests on, the one asked for first.
        about: what a blind guesser can hold on to besides the wording: the labels that are asked about.
        template: which wording.
        content: the answer in words that mean the same in every question; what balance is kept over.
        more: further fields of the sample.
    """

    family: str
    kind: str
    question: str
    answer: Answer
    named: tuple[Item, ...]
    about: str
    template: str
    content: str
    instruction: str = ""
    options: tuple[str, ...] = ()
    situation: Situation | None = None
    regions: tuple[Region, ...] = ()
    description: str | None = None
    stages: tuple[Literal[1, 2, 3, 4], ...] = (4,)
    view: Literal["proxies", "symbols"] = "proxies"
    in_scene: bool = True


@dataclass(frozen=True, eq=False)
class Asker:
    """What the makers of questions share: the room, chance, and how many candidates of a kind are wanted."""

    room: Room
    rng: random.Random
    wanted: int

    def worded(self, templates: Sequence[str], *, first: float = 0.0) -> tuple[str, str]:
        """A wording and its name; the first one with at least the probability ``first``."""
        number = 0 if self.rng.random() < first else self.rng.randrange(len(templates))
        return templates[number], str(number)

    def some(self, found: Sequence[T], count: int | None = None) -> list[T]:
        """At most so many of them (``wanted`` if not said), in random order."""
        return self.rng.sample(found, min(len(found), self.wanted if count is None else count))

    def choice(self, right: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], ChoiceAnswer]:
        """Lettered options in random order, and the answer."""
        texts = [right, *wrong]
        self.rng.shuffle(texts)
        options = tuple(f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=False))
        letter = LETTERS[texts.index(right)]
        return options, ChoiceAnswer(text=letter, letter=letter)

    def ids(self, items: Sequence[Item], form: str = "") -> IdAnswer | None:
        """The answer that names these objects; None if one has no marker."""
        markers = [self.room.markers.get(item.id) for item in items]
        known = [m for m in markers if m is not None]
        if len(known) < len(items):
            return None
        return IdAnswer(text=id_text(known, form), objects=tuple(item.id for item in items))


def words(answer: str, *also: str) -> TextAnswer:
    """A short answer in the datasets' form: capital first, a full stop."""
    return TextAnswer(text=f"{answer[:1].upper()}{answer[1:]}.", references=(answer, *also))


def count_words(count: int) -> TextAnswer:
    """A count as SQA3D and ScanQA have it: in words, the numeral also right."""
    return words(COUNTS[count], str(count)) if count < len(COUNTS) else words(str(count))


def number(value: float, unit: str, digits: int) -> NumberAnswer:
    """A number as VSI-Bench has it: without its unit."""
    return NumberAnswer(text=f"{value:.{digits}f}", value=round(value, digits) + 0.0, unit=unit)


_IRREGULAR: Mapping[str, str] = {
    "shelf": "shelves",
    "bookshelf": "bookshelves",
    "knife": "knives",
    "person": "people",
    "mouse": "mice",
    "scissors": "scissors",
    "curtains": "curtains",
}


def plural(label: str) -> str:
    """Several of a label."""
    head, _, last = label.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def a(label: str) -> str:
    """With its article."""
    return f"{'an' if label[:1] in 'aeiou' else 'a'} {label}"


def several(texts: Sequence[str], last: str = "and") -> str:
    """A list in words."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])}{',' if len(texts) > 2 else ''} {last} {texts[-1]}"

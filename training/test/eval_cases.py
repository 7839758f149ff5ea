"""Random and adversarial predictions, the same on every machine and Python: only ``Random.random`` is used."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from proxy3d_training.evaluation.scorers import VSI_CHOICE, VSI_NUMERIC

T = TypeVar("T")

ODD = (
    "", " ", "A)", "(A)", "A.", "a", "A. left", " A", "A,", "The answer is A", "3m", "3 m", "about 3", "nan", "inf",
    "1e3", "1_000", "three", "twenty-one", "three hundred and two", "1,200", "３", "½", "-3", "3..", ".5", "0", "5-7",
    "6.7.8", "one apple, room 2", "\t3", "3\n", "\u00a03", "İ", "ß", "²",
)  # fmt: skip
WORDS = (
    "a", "an", "the", "letf", "left", "rigth", "right", "tv", "TV", "chai", "chair", "o'", "clock", "0", "2", "20",
    "21", "none", "mat2", "backwards", "brown", "dark", "dark-brown", "ç", "’", "3m", ".", ",", "-", "\n", "", "yes",
    "no", "two",
)  # fmt: skip


class Dice:
    """Choices from ``Random.random`` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, n: int) -> int:
        return int(self._random() * n)

    def one(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def phrase(self) -> str:
        return " ".join(self.one(WORDS) for _ in range(self.below(5)))


def vsi_cases(seed: int, n: int) -> tuple[list[str], list[str], list[str]]:
    """(tasks, predictions, truths): odd ones, and some that are 5 to 50 per cent off."""
    dice = Dice(seed)
    tasks, predictions, truths = [], [], []
    for _ in range(n):
        task = dice.one(VSI_NUMERIC + VSI_CHOICE)
        numeric = task in VSI_NUMERIC
        truth = f"{1 + dice.below(300)}" if numeric and dice.below(2) else f"{(1 + dice.below(90)) / 10}"
        truth = truth if numeric else dice.one("ABCD")
        off = 1 + (dice.below(21) - 10) * 0.05
        near = f"{float(truth) * off:.2f}" if numeric else dice.one(["A", "b", "C.", "D d"])
        tasks.append(task)
        truths.append(truth)
        predictions.append(dice.one([near, near, truth, dice.one(ODD)]))
    return tasks, predictions, truths


def qa_cases(seed: int, n: int) -> tuple[list[str], list[list[str]], list[str]]:
    """(predictions, references, first words of questions)."""
    dice = Dice(seed)
    predictions, references, questions = [], [], []
    for _ in range(n):
        refs = [dice.phrase() for _ in range(1 + dice.below(3))]
        predictions.append(dice.one([dice.phrase(), dice.one(refs), dice.one(refs).upper() + ".", dice.one(ODD)]))
        references.append(refs)
        questions.append(dice.one(["What is", " Is the", "How", "can", "WHICH", "Where", "Israel", ""]))
    return predictions, references, questions


Box = tuple[tuple[float, ...], tuple[float, ...]]
"""Centre and edges."""


def boxes(dice: Dice, n: int) -> tuple[list[Box], list[Box]]:
    """``n`` true boxes and ``n + 2`` proposals near them, on a coarse grid: some IoUs are exactly at a threshold."""
    true: list[Box] = [
        (tuple(dice.below(5) / 2 for _ in range(3)), tuple(0.5 + dice.below(3) / 2 for _ in range(3))) for _ in range(n)
    ]
    near: list[Box] = []
    for i in range(n + 2):
        center, size = true[i % n]
        shift = dice.below(4) * 0.25
        near.append(((center[0] + shift * size[0], *center[1:]), (size[0], size[1] * dice.one([1.0, 2.0]), size[2])))
    return true, near


VOCABULARY = (
    "this", "is", "a", "brown", "black", "wooden", "chair", "table", "near", "the", "door", ",", "left", "of", "white",
    "desk", "under", "window", ".", "it", "sofa",
)  # fmt: skip


def caption_cases(seed: int, n: int) -> tuple[dict[str, list[str]], dict[str, tuple[str, float]]]:
    """Scan2Cap: references by ``scene|id`` ("sos ... eos"), and (caption, IoU) for most of the objects."""
    dice = Dice(seed)

    def sentence() -> str:
        return " ".join(dice.one(VOCABULARY) for _ in range(2 + dice.below(38)))

    corpus = {f"s|{i}": [f"sos {sentence()} eos" for _ in range(1 + dice.below(3))] for i in range(n)}
    given = {}
    for i in range(n - 2):
        gold = corpus[f"s|{i}"][0].removeprefix("sos ").removesuffix(" eos")
        given[f"s|{i}"] = dice.one([gold, gold, sentence(), "", "a\nb. c"]), dice.one([0.1, 0.25, 0.3, 0.5, 0.75, 1.0])
    return corpus, given


def answer_caption_cases(seed: int, n: int) -> tuple[list[str], list[list[str]]]:
    """Predictions and references of :func:`qa_cases` whose references all have words."""
    predictions, references, _ = qa_cases(seed, n)
    kept = [i for i in range(n) if all(any(c in "abcdefghij" for c in r) for r in references[i])]
    return [predictions[i] for i in kept], [references[i] for i in kept]

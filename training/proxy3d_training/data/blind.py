"""What is gained by one who never looks: blind baselines, by kind of question.

Three guessers, each fitted on other rooms than those it guesses (five folds):

* ``constant``: the answer that is best for all questions of the kind;
* ``wording``: the most frequent answer to questions of the same wording and labels, or the first words that are shared;
* ``words``: a linear model on the question's words and pairs of words (for choices: on each option beside the
  question's words; for numbers: of the logarithm).

Scores are shares of right answers, for numbers VSI-Bench's mean relative accuracy. ``chance`` is what the best guess
that knows only the kind gains: one over the number of options for choices, the most frequent answer for other texts,
the best constant for numbers.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from proxy3d_training.data.schema import LETTERS, MARKER, Answer, ChoiceAnswer, IdAnswer, NumberAnswer, Sample
from proxy3d_training.evaluation.scorers import MRA_THRESHOLDS

FOLDS = 5


@dataclass(frozen=True)
class Asked:
    """A question as a blind guesser sees it, and what is right.

    Attributes:
        room: guessed from other rooms only.
        text: question with its situation.
        truth: the answer, of a choice in words.
        options: of a choice, in words.
        value: of a number (None for counts, which are guessed as words).
    """

    room: str
    text: str
    truth: str
    options: tuple[str, ...] = ()
    value: float | None = None


@dataclass(frozen=True, eq=False)
class Guesses:
    """What the model guesses: ``right`` (N,) for texts and choices, ``values`` (N,) for numbers."""

    right: NDArray[np.bool_]
    values: NDArray[np.float64]


def asked_of(sample: Sample) -> Asked:
    """A sample as a blind guesser sees it."""
    room = sample.scene.space if sample.scene else sample.id
    situation = sample.situation.text if sample.situation else ""
    return seen_blindly(room, sample.question, situation, sample.options, sample.answer)


def seen_blindly(room: str, question: str, situation: str, options: Sequence[str], answer: Answer) -> Asked:
    """A question as a blind guesser sees it: with the answers it can choose from, where the words name them."""
    text = f"{situation} {question}".strip()
    texts = tuple(option.partition(". ")[2] for option in options)
    if isinstance(answer, ChoiceAnswer):
        return Asked(room, text, texts[LETTERS.index(answer.letter)], texts)
    if isinstance(answer, NumberAnswer):
        return Asked(room, text, answer.text, (), None if answer.unit == "count" else answer.value)
    if isinstance(answer, IdAnswer):
        named, right = MARKER.findall(question), MARKER.findall(answer.text)
        if len(right) == 1 and right[0] in named[:2]:
            # One of the two that the question names; which number stands there tells nothing.
            return Asked(room, text, ("first", "second")[named.index(right[0])])
        if answer.text.startswith(("Yes.", "No.")):
            return Asked(room, text, ("none", "one", "several")[min(len(right), 2)])
        return Asked(room, text, answer.text)
    truth = answer.references[0]
    return Asked(room, text, truth, _alternatives(question, truth))


_OR = re.compile(r"\bthe ([^,:?]+?) or the ([^,:?]+?)\?")


def _alternatives(question: str, truth: str) -> tuple[str, ...]:
    """The two answers of "the sofa or the lamp?"."""
    found = _OR.search(question)
    return found.groups() if found is not None and truth in found.groups() else ()


def relative_accuracy(guess: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """VSI-Bench's mean relative accuracy of each guess, 0..1; of a true 0 none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(guess - truth) / np.abs(truth)
    off[~np.isfinite(off)] = np.inf
    return np.asarray(np.mean([off <= 1 - threshold for threshold in MRA_THRESHOLDS], axis=0))


def best_constant(values: NDArray[np.float64]) -> float:
    """The number that scores best as the guess for all of these."""
    tried = np.unique(np.quantile(values, np.linspace(0, 1, 41)))
    scores = [relative_accuracy(np.full_like(values, guess), values).mean() for guess in tried]
    return float(tried[int(np.argmax(scores))])


def chance(asked: Sequence[Asked]) -> float:
    """What is gained by knowing the kind of question alone, 0..1."""
    if asked[0].options:
        return float(np.mean([1 / len(entry.options) for entry in asked]))
    if asked[0].value is not None:
        values = np.array([entry.value for entry in asked], dtype=np.float64)
        return float(relative_accuracy(np.full_like(values, best_constant(values)), values).mean())
    return max(Counter(entry.truth for entry in asked).values()) / len(asked)


def _folds(asked: Sequence[Asked]) -> NDArray[np.int64]:
    """(N,) fold of each; a room is wholly in one."""
    rooms = {room: i % FOLDS for i, room in enumerate(dict.fromkeys(entry.room for entry in asked))}
    return np.array([rooms[entry.room] for entry in asked])


def guesses(asked: Sequence[Asked]) -> Guesses:
    """The linear model's guesses, each question's from other rooms."""
    right, values = np.zeros(len(asked), bool), np.zeros(len(asked))
    folds = _folds(asked)
    fit = _choose if asked[0].options else _estimate if asked[0].value is not None else _classify
    for fold in range(FOLDS):
        test = np.flatnonzero(folds == fold)
        train = np.flatnonzero(folds != fold)
        if len(test) and len(train):
            # The models are small; more threads than one only get into each other's way.
            with warnings.catch_warnings(), threadpool_limits(1):
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.filterwarnings("ignore", "The number of unique classes")
                found = fit([asked[i] for i in train], [asked[i] for i in test])
            if asked[0].value is not None:
                values[test] = found
            else:
                right[test] = found
    return Guesses(right, values)


def _vectorizer() -> CountVectorizer:
    return CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"[\w<>\[\]-]+", min_df=2)


def _features(train: Sequence[Asked], test: Sequence[Asked]):  # type: ignore[no-untyped-def]
    words = _vectorizer()
    try:
        return words.fit_transform(e.text for e in train), words.transform(e.text for e in test)
    except ValueError:  # no word occurs twice
        hashed = HashingVectorizer(n_features=64)
        return hashed.transform(e.text for e in train), hashed.transform(e.text for e in test)


def _classify(train: Sequence[Asked], test: Sequence[Asked]) -> NDArray[np.bool_]:
    truths = [entry.truth for entry in train]
    common = {truth for truth, _ in Counter(truths).most_common(30)}
    kept = [i for i, truth in enumerate(truths) if truth in common]
    if len(common) < 2:
        return np.array([entry.truth in common for entry in test])
    seen, unseen = _features([train[i] for i in kept], test)
    model = LogisticRegression(C=1.0, max_iter=40).fit(seen, [truths[i] for i in kept])
    return np.asarray(model.predict(unseen) == np.array([entry.truth for entry in test]))


def _estimate(train: Sequence[Asked], test: Sequence[Asked]) -> NDArray[np.float64]:
    seen, unseen = _features(train, test)
    model = Ridge(alpha=3.0).fit(seen, np.log([max(entry.value or 0.0, 1e-3) for entry in train]))
    return np.asarray(np.exp(model.predict(unseen)))


def _choose(train: Sequence[Asked], test: Sequence[Asked]) -> NDArray[np.bool_]:
    """A linear model says how likely each option is beside the question's words; the likeliest is guessed."""
    hashed = HashingVectorizer(analyzer=str.split, n_features=2**18, norm=None, alternate_sign=False)

    def rows(asked: Sequence[Asked]) -> list[str]:
        found = []
        for entry in asked:
            question = entry.text.lower()
            for option in entry.options:
                question = question.replace(option.lower(), "")
            words = sorted({word.strip(".,:?()'") for word in question.split()})
            for option in entry.options:
                name = option.lower().replace(" ", "_")
                found.append(" ".join([name, *option.lower().split(), *(f"{name}|{word}" for word in words)]))
        return found

    truths = [option == entry.truth for entry in train for option in entry.options]
    model = LogisticRegression(C=1.0, solver="liblinear").fit(hashed.transform(rows(train)), truths)
    scores = iter(model.decision_function(hashed.transform(rows(test))))
    right = []
    for entry in test:
        own = [next(scores) for _ in entry.options]
        right.append(entry.options[int(np.argmax(own))] == entry.truth)
    return np.array(right)


def wording(asked: Sequence[Asked]) -> NDArray[np.float64]:
    """(N,) scores of the answer that is most frequent, in other rooms, after the longest beginning they share."""
    scores = np.zeros(len(asked))
    folds = _folds(asked)

    def keys(text: str) -> list[str]:
        words = text.lower().split()
        return [text.lower(), *(" ".join(words[:n]) for n in (6, 4, 3, 2, 1, 0))]

    for fold in range(FOLDS):
        known: dict[str, list[Asked]] = defaultdict(list)
        for i in np.flatnonzero(folds != fold):
            for key in dict.fromkeys(keys(asked[i].text)):
                known[key].append(asked[i])
        for i in np.flatnonzero(folds == fold):
            entry = asked[i]
            found = next((known[key] for key in keys(entry.text) if len(known.get(key, ())) >= 3), known.get("", []))
            if not found:
                continue
            if entry.value is not None:
                guess = best_constant(np.array([e.value for e in found], dtype=np.float64))
                scores[i] = relative_accuracy(np.array([guess]), np.array([entry.value]))[0]
            else:
                counts = Counter(e.truth for e in found)
                options = entry.options or tuple(counts)
                scores[i] = max(options, key=lambda text: (counts[text], text)) == entry.truth
    return scores


def baselines(samples: Sequence[Sample]) -> dict[str, dict[str, float | int]]:
    """For each kind: ``n``, ``chance`` and the guessers' scores, 0..100.

    ``gain`` is by how much the best of them beats chance.
    """
    by_kind: dict[str, list[Asked]] = defaultdict(list)
    for sample in samples:
        by_kind[f"{sample.family}/{sample.kind}"].append(asked_of(sample))
    found: dict[str, dict[str, float | int]] = {}
    for kind, asked in sorted(by_kind.items()):
        if asked[0].value is not None:
            truth = np.array([entry.value for entry in asked], dtype=np.float64)
            words = float(relative_accuracy(guesses(asked).values, truth).mean())
        else:
            words = float(guesses(asked).right.mean())
        scores = {"chance": chance(asked), "wording": float(wording(asked).mean()), "words": words}
        row: dict[str, float | int] = {"n": len(asked), **{key: round(100 * v, 1) for key, v in scores.items()}}
        row["gain"] = round(100 * (max(scores["wording"], scores["words"]) - scores["chance"]), 1)
        found[kind] = row
    return found

"""Slips of the keyboard: words that nobody knows, one keystroke away from one that is known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from proxy3d_core.reasoning import rules
from proxy3d_core.reasoning.grammar import Grammar
from proxy3d_core.reasoning.lexicon import (
    COLOR_WORDS,
    IRREGULAR_PLURALS,
    KINDS,
    NOUNS,
    NUMBER_WORDS,
    ORDINALS,
    plural,
)
from proxy3d_core.reasoning.phrases import (
    COMPARATIVES,
    DIMENSIONS,
    FILLERS,
    HOW,
    PARTICIPLES,
    RELATIONS,
    SIDES,
    SIZE_WORDS,
    STATES,
    STOP,
    SUPERLATIVES,
    UNITS,
    WEAK_ADJECTIVES,
)

_SHORTEST = 4
"""Shorter words are not corrected: too many others are near."""
_LONG = 7
"""Only in words of so many letters is one replaced."""


def _grammar_words(grammar: Grammar) -> set[str]:
    return {w for rule in grammar.rules for w in re.findall(r"[a-z']+", re.sub(r"<[^>]*>|%\w+", " ", rule.pattern))}


_SELDOM_MEANT = frozenset(("their", "whose"))
"""Words that few questions need, near to others that many do."""


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """Words of the grammar: what people ask with, whatever the scene."""
    words = {*STOP, *PARTICIPLES, *WEAK_ADJECTIVES, *COLOR_WORDS, *NUMBER_WORDS, *ORDINALS, *UNITS, *HOW, *SIZE_WORDS}
    words |= {w for group in rules.CLASSES.values() for w in group} | {*IRREGULAR_PLURALS}
    for grammar in (rules.QUESTIONS, rules.STANCE, rules.STANCE_PART):
        words |= _grammar_words(grammar)
    for table in (COMPARATIVES, DIMENSIONS, RELATIONS, SIDES, STATES, SUPERLATIVES):
        words |= table.words
    return frozenset(words)


@lru_cache(maxsize=1)
def _other_words() -> frozenset[str]:
    """Words that are no slips, but not what a slip was meant for either: things that the scene lacks, politeness."""
    return _words_of(NOUNS) | _words_of(KINDS) | {w for filler in FILLERS for w in filler}


def _words_of(names: Iterable[str]) -> frozenset[str]:
    return frozenset(w for name in names for one in name.split() for w in (one, plural(one)))


def is_known(word: str, nouns: frozenset[str]) -> bool:
    """True of words that questions are made of, and of names of things."""
    return not word.isalpha() or word in _known() or word in _other_words() or word in _words_of(nouns)


def _slips(word: str) -> tuple[set[str], set[str], set[str]]:
    """What may have been meant, likeliest first: letters swapped or one too few, a doubled letter, a wrong one."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    added = {word[:i] + c + word[i:] for i in range(1, len(word) + 1) for c in letters}
    doubled = {word[:i] + word[i + 1 :] for i in range(1, len(word)) if word[i] == word[i - 1]}
    other: set[str] = set()
    if len(word) >= _LONG:
        other = {word[:i] + c + word[i + 1 :] for i in range(1, len(word)) for c in letters}
    return swapped | added, doubled, other


@lru_cache(maxsize=16384)
def corrected(word: str, nouns: frozenset[str]) -> str:
    """``windwo`` -> window; a known word, or one that is like none or like several, stays as it is.

    Args:
        word: lower case.
        nouns: names of the scene's labels; they are known, and preferred where several words are near.
    """
    scene = _words_of(nouns)
    known = _known()
    if len(word) < _SHORTEST or not word.isalpha() or word in known or word in scene or word in _other_words():
        return word
    for candidates in _slips(word):
        for names in (scene, known):
            found = (candidates & names) - _SELDOM_MEANT
            if len(found) == 1:
                return found.pop()
            if found:
                return word
    return word

"""A small grammar language: patterns of words and named parts, matched with backtracking.

``how (far|close) [away] %be <a:np> (from|to) <b:np>`` means: words stand for themselves, ``a|b`` is either word,
``[...]`` may be
missing, ``(... | ...)`` chooses between sequences, ``%be`` is a class of words, ``<name:part>`` is a part of speech
that a ``Parts``
object recognises and whose meaning is captured under ``name``. A comma in the text may stand between any two elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Captures = tuple[tuple[str, Any], ...]
Matches = Iterator[tuple[int, Captures]]


class Parts(Protocol):
    """The text and the parts of speech in it."""

    words: tuple[str, ...]

    def part(self, name: str, start: int) -> list[tuple[int, Any]]:
        """All readings of part ``name`` that begin at word ``start``: (end, meaning), the likeliest first."""
        ...


Element = Callable[[Parts, int], Matches]


def _skip_comma(parts: Parts, i: int) -> int:
    return i + 1 if i < len(parts.words) and parts.words[i] == "," else i


def _literal(options: frozenset[str]) -> Element:
    skips_comma = "," not in options

    def match(parts: Parts, i: int) -> Matches:
        words = parts.words
        if skips_comma and i < len(words) and words[i] == ",":
            i += 1
        if i < len(words) and words[i] in options:
            yield i + 1, ()

    return match


def _part(name: str, part: str) -> Element:
    def match(parts: Parts, i: int) -> Matches:
        for end, meaning in parts.part(part, _skip_comma(parts, i)):
            yield end, ((name, meaning),) if name else ()

    return match


def _sequence(elements: list[Element]) -> Element:
    def match(parts: Parts, i: int, k: int = 0) -> Matches:
        if k == len(elements):
            yield i, ()
            return
        for middle, first in elements[k](parts, i):
            for end, rest in match(parts, middle, k + 1):
                yield end, first + rest

    return elements[0] if len(elements) == 1 else match


def _choice(options: list[_Compiled], optional: bool = False) -> Element:
    """Any of the options (or nothing, if ``optional``), looked up by the word that they can begin with."""
    anything = tuple(o.element for o in options if o.first is None)
    words = frozenset().union(*(o.first for o in options if o.first is not None))
    by_word = {w: tuple(o.element for o in options if o.first is None or w in o.first) for w in words}

    def match(parts: Parts, i: int) -> Matches:
        word = parts.words[i] if i < len(parts.words) else ""
        if word == ",":
            following = parts.words[i + 1] if i + 1 < len(parts.words) else ""
            for option in options:
                if option.first is None or following in option.first or "," in option.first:
                    yield from option.element(parts, i)
        else:
            for element in by_word.get(word, anything):
                yield from element(parts, i)
        if optional:
            yield i, ()

    return match


_LEXEME = re.compile(r"<[^>]+>|[\[\]()]|\||[^\s\[\]()|<>]+")


@dataclass(frozen=True)
class _Compiled:
    """A pattern ready to match.

    Attributes:
        first: words that it can begin with; None = anything.
        needs: of each of these sets a word must be in the text, else it cannot match.
    """

    element: Element
    first: frozenset[str] | None
    needs: tuple[frozenset[str], ...]


class _Compiler:
    """Recursive descent over the pattern language."""

    def __init__(self, pattern: str, classes: Mapping[str, frozenset[str]]) -> None:
        self.lexemes = _LEXEME.findall(pattern)
        self.pattern, self.classes, self.at = pattern, classes, 0

    def compile(self) -> _Compiled:
        compiled = self.alternatives("")
        if self.at != len(self.lexemes):
            raise ValueError(f"unbalanced pattern: {self.pattern}")
        return compiled

    def alternatives(self, close: str) -> _Compiled:
        options = []
        while True:
            options.append(self.sequence(close))
            if self.at < len(self.lexemes) and self.lexemes[self.at] == "|":
                self.at += 1
                continue
            break
        if len(options) == 1:
            return options[0]
        first: frozenset[str] | None = frozenset()
        for option in options:
            first = None if first is None or option.first is None else first | option.first
        needs = [min(option.needs, key=len, default=None) for option in options]
        either = frozenset().union(*(n for n in needs if n is not None))
        return _Compiled(_choice(options), first, () if None in needs else (either,))

    def sequence(self, close: str) -> _Compiled:
        elements: list[Element] = []
        needs: list[frozenset[str]] = []
        first: frozenset[str] | None = frozenset()
        open_start = True  # nothing obligatory read yet
        while self.at < len(self.lexemes) and self.lexemes[self.at] not in ("|", close):
            lexeme = self.lexemes[self.at]
            self.at += 1
            optional = False
            starts: frozenset[str] | None
            if lexeme in ("(", "["):
                closing = ")" if lexeme == "(" else "]"
                inner = self.alternatives(closing)
                element, starts = inner.element, inner.first
                if self.at >= len(self.lexemes):
                    raise ValueError(f"unbalanced pattern: {self.pattern}")
                self.at += 1
                if lexeme == "[":
                    element, optional = _choice([inner], optional=True), True
                else:
                    needs += inner.needs
            elif lexeme.startswith("<"):
                name, _, part = lexeme[1:-1].rpartition(":")
                element, starts = _part(name, part), None
            else:
                starts = self.classes[lexeme[1:]] if lexeme.startswith("%") else frozenset((lexeme,))
                element = _literal(starts)
                needs.append(starts)
            elements.append(element)
            if open_start:
                first = None if first is None or starts is None else first | starts
                open_start = optional
        element = _sequence(elements or [lambda parts, i: iter([(i, ())])])
        return _Compiled(element, None if open_start else first, tuple(needs))


@dataclass(frozen=True)
class Rule:
    """A pattern and what it means: ``build`` gets the captures by name and returns the meaning, or None if it makes no
    sense.
    """

    pattern: str
    build: Callable[..., Any]


class Grammar:
    """Rules in order of preference, indexed by the words they can begin with."""

    def __init__(self, rules: list[Rule], classes: Mapping[str, frozenset[str]]) -> None:
        self.rules = tuple(rules)
        self._compiled = [_Compiler(rule.pattern, classes).compile() for rule in rules]
        self._by_word: dict[str, list[int]] = {}
        self._any: list[int] = []
        for index, compiled in enumerate(self._compiled):
            if compiled.first is None:
                self._any.append(index)
            else:
                for word in compiled.first:
                    self._by_word.setdefault(word, []).append(index)

    def readings(self, parts: Parts, start: int = 0) -> Iterator[tuple[int, Any]]:
        """(end, meaning) of all readings from word ``start``, best rule first."""
        start = _skip_comma(parts, start)
        word = parts.words[start] if start < len(parts.words) else ""
        words = frozenset(parts.words[start:])
        for index in sorted({*self._by_word.get(word, ()), *self._any}):
            compiled = self._compiled[index]
            for needed in compiled.needs:
                if words.isdisjoint(needed):
                    break
            else:
                for end, captures in compiled.element(parts, start):
                    meaning = self.rules[index].build(**dict(captures))
                    if meaning is not None:
                        yield end, meaning


class Phrases:
    """Fixed phrases and what they mean; found longest first."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table: dict[tuple[str, ...], Any] = {tuple(phrase.split()): meaning for phrase, meaning in table.items()}
        self._lengths: dict[str, tuple[int, ...]] = {}
        for phrase in self._table:
            lengths = {*self._lengths.get(phrase[0], ()), len(phrase)}
            self._lengths[phrase[0]] = tuple(sorted(lengths, reverse=True))

    @property
    def words(self) -> set[str]:
        """All words in the phrases."""
        return {word for phrase in self._table for word in phrase}

    def at(self, words: tuple[str, ...], i: int) -> list[tuple[int, Any]]:
        """(end, meaning) of the phrases that begin at word ``i``, longest first."""
        if i >= len(words):
            return []
        found = []
        for length in self._lengths.get(words[i], ()):
            phrase = words[i : i + length]
            if len(phrase) == length and phrase in self._table:
                found.append((i + length, self._table[phrase]))
        return found

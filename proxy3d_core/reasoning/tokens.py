"""Text into sentences and words, written one way: lower case, American spelling, no contractions, no politeness."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from proxy3d_core.reasoning.lexicon import AMERICAN, CONTRACTIONS, PLAINER, word_set
from proxy3d_core.reasoning.phrases import FILLERS

_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": ",", "−": "-"})
_DASH = re.compile(r"(?<=[A-Za-z])–(?=[A-Za-z])")
_POWER = re.compile(r"(?<![a-z])(m|cm|ft)\^?([23])(?!\d)")
_POWERS = {"2": "square", "3": "cubic"}
_SENTENCE = re.compile(r"(?<!\d)\.(?!\d)|\.(?=\s|$)|[?!;\n。？！]+|\.{2,}")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|o'clock|[^\W\d_]+'[^\W\d_]+|[^\W\d_]+'?|,|'s")
_ENUMERATION = re.compile(r"(?:^|\s)\(?[a-h][.):]\s", re.IGNORECASE)

_FILLERS_BY_WORD: dict[str, list[tuple[str, ...]]] = {}
for _filler in FILLERS:  # longest first
    _FILLERS_BY_WORD.setdefault(_filler[0], []).append(_filler)


@dataclass(frozen=True)
class Sentence:
    """The words of a sentence (commas are words) and whether it ends with a question mark."""

    words: tuple[str, ...]
    asks: bool


def normalise(text: str) -> str:
    """Unicode compatibility form, plain quotes, lower case."""
    text = _DASH.sub(" to ", unicodedata.normalize("NFKC", text)).translate(_QUOTES).lower()
    text = _POWER.sub(lambda m: f" {_POWERS[m[2]]} {m[1]} ", text)
    return text.replace("(s)", "s").replace("(es)", "es")


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Words of normalised text; ``it's`` -> ``it is``, ``colour`` -> ``color``, ``3m`` -> ``3 m``, ``left/right`` ->
    ``left or right``.
    """
    text = (
        text.replace("/", " or ")
        .replace("&", " and ")
        .replace("->", " to ")
        .replace(" - ", " , ")
        .replace("-", " ")
        .replace("(", " , ")
        .replace(")", " , ")
        .replace(":", " , ")
    )
    out: list[str] = []
    found = _WORD.findall(text)
    for word, following in zip(found, [*found[1:], ""], strict=False):
        word = CONTRACTIONS.get(word, word)
        if word.endswith("'s") and len(word) > 2:
            base = word[:-2]
            # "What color's the bed": no possessive, for what is owned follows without an article.
            asked = out[-1:] in (["what"], ["which"], ["how"]) and following in _ARTICLES
            out += [AMERICAN.get(base, base), "is" if base in _IS_CONTRACTED or asked else "'s"]
            continue
        out += AMERICAN.get(word, word.rstrip("'") or word).split()
    return tuple(_collapse_commas(_plain(out)))


def _plain(items: list[str]) -> list[str]:
    """Phrasal verbs and set phrases as one plain word each: "turned up" -> appeared."""
    out: list[str] = []
    i = 0
    while i < len(items):
        for length in (5, 4, 3, 2):
            plain = PLAINER.get(" ".join(items[i : i + length]))
            if plain is not None:
                out += plain.split()
                i += length
                break
        else:
            out.append(items[i])
            i += 1
    return out


_ARTICLES = word_set("the a an this that my your our")
_IS_CONTRACTED = word_set("what where who how there it that this which when he she here")


def _collapse_commas(items: list[str]) -> list[str]:
    out: list[str] = []
    for item in items:
        if item == "," and (not out or out[-1] == ","):
            continue
        out.append(item)
    while out and out[-1] == ",":
        out.pop()
    return out


def without_fillers(items: tuple[str, ...]) -> tuple[str, ...]:
    """The words that carry the question."""
    out: list[str] = []
    i = 0
    while i < len(items):
        if items[i] in _FILLERS_BY_WORD:
            for filler in _FILLERS_BY_WORD[items[i]]:
                if items[i : i + len(filler)] == filler and not _has_an_object(filler, items[i + len(filler) :]):
                    i += len(filler)
                    break
            else:
                out.append(items[i])
                i += 1
        else:
            out.append(items[i])
            i += 1
    return tuple(_collapse_commas(out))


def _has_an_object(filler: tuple[str, ...], rest: tuple[str, ...]) -> bool:
    """True of "do you know" in "do you know of a sink": there it is the question itself."""
    return filler[-1] == "know" and rest[:1] in (("of",), ("any",), ("a",))


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text, fillers removed; empty ones are left out."""
    text = normalise(text)
    out, start = [], 0
    for match in [*_SENTENCE.finditer(text), None]:
        end = match.start() if match else len(text)
        content = without_fillers(words(text[start:end].strip()))
        if content:
            out.append(Sentence(content, bool((match and "?" in match.group()) or (match and "？" in match.group()))))
        start = match.end() if match else end
    return tuple(out)

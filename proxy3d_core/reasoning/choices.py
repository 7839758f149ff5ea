"""Multiple choice: options written in the text or given beside it, and the letter that an answer earns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy3d_core.reasoning.lexicon import COLOR_WORDS

_OPTION = re.compile(r"(?:^|(?<=[\s,;:(\[]))[(\[]?([A-Ha-h])[.):\]]\s*")
"""A. x; A) x; (A) x; [A] x; A: x."""
_PROMPTS = re.compile(
    r"these are frames of a video\.?|please answer the question using a single word or phrase\.?|"
    r"answer with the option'?s letter from the given choices directly\.?|answer with the option letter.*$|"
    r"(?:please )?(?:select|choose) (?:the )?(?:correct|right|best) (?:answer|option)[^.?\n]*\.?|answer:\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = re.compile(r"\b(?:options|choices|answers|candidates)\s*:\s*$", re.IGNORECASE)
_TRAILING_ASK = re.compile(r"[.)]\s+(?:which|what|choose|pick|select)\b[^.?]*\?*\s*$", re.IGNORECASE)
_OPEN_STATEMENT = re.compile(
    r"(.*[.?!]\s+|)((?:the|my|your)\s[^.?!]+?)\s+(is|are)\s*[:.…_]*\s*$", re.IGNORECASE | re.DOTALL
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Option:
    """One answer to choose from."""

    letter: str
    text: str


def split_options(text: str, given: tuple[str, ...] = ()) -> tuple[str, tuple[Option, ...]]:
    """The question without benchmark prompts and options, and the options (from ``given``, else from the text)."""
    text = _PROMPTS.sub(" ", text)
    if given:
        return text, tuple(_option(g, i) for i, g in enumerate(given))
    found = list(_OPTION.finditer(text))
    for first in range(len(found)):
        run = [found[first]]
        if run[0].group(1).lower() != "a":
            continue
        for match in found[first + 1 :]:
            if ord(match.group(1).lower()) == ord(run[-1].group(1).lower()) + 1:
                run.append(match)
        if len(run) >= 2:
            text = _TRAILING_ASK.sub("", text)
            ends = [m.start() for m in run[1:]] + [len(text)]
            options = tuple(
                Option(m.group(1).upper(), text[m.end() : end].strip(" \t\r\n,;.?(["))
                for m, end in zip(run, ends, strict=True)
            )
            if all(o.text for o in options):
                return _HEADING.sub("", text[: run[0].start()].rstrip(" \n\t([-")).strip(), options
    return text, ()


def as_question(text: str, options: tuple[Option, ...]) -> str:
    """A statement that the options complete, as the question that it stands for: "The mug is ... (A) red (B) blue"."""
    statement = _OPEN_STATEMENT.match(text)
    if statement is None or not options:
        return text
    before, thing, verb = statement.groups()
    said = [o.text.lower().strip(" .") for o in options]
    if all(s in COLOR_WORDS for s in said):
        return f"{before}What color {verb} {thing}?"
    if all(re.search(r"\b(left|right|front|behind|back)\b", s) for s in said):
        return f"{before}{verb} {thing} {', '.join(said[:-1])} or {said[-1]}?"
    return text


def _option(given: str, index: int) -> Option:
    match = re.match(r"\s*\(?([A-Ha-h])[.):]\s*(.*)", given, re.DOTALL)
    return (
        Option(match.group(1).upper(), match.group(2).strip())
        if match
        else Option("ABCDEFGH"[index % 8], given.strip())
    )


def number_in(text: str) -> float | None:
    """The first number in an option ("about 2.4 m" -> 2.4)."""
    match = _NUMBER.search(text.replace(",", ""))
    return float(match.group()) if match else None

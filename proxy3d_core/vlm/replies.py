"""What the model said, as an answer: markers to objects, numbers with units, letters of options."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal

from proxy3d_core.proxies.references import MARKERS, References, find_markers, marker
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.choices import Option
from proxy3d_core.reasoning.lexicon import NUMBER_WORDS
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_core.vlm.prompt import split_evidence
from proxy3d_core.vlm.wording import Wording

Kind = Literal["text", "id", "number", "choice"]
KINDS: Final[tuple[Kind, ...]] = ("text", "id", "number", "choice")
"""Types of answers, as in the training data; confidence is calibrated for each."""

_MARKER = re.compile(r"<OBJ\d{3}>")
_STEP = re.compile(r"(<OBJ\d{3}>)(<OBJ\d{3}>)?(?:(\d+\.\d)|@\d{3}(?:@(\d{3}))?)")
"""One of the numbers that nano works an answer out from: a distance or a size, or a way and how far it is turned."""
_BEST = re.compile(r">\d+\.\d(<OBJ\d{3}>)")
"""The best so far of things whose distances are compared; each was named before its marker."""
_FIRST = re.compile(r"\b(appear\w*|first[- ](seen|time)|c[ao]me into view)\b", re.IGNORECASE)
"""What asks for the order of first sight, in which markers count."""
_LISTED = re.compile(r"([a-z][a-z ]*)<obj(\d{3})>(?!<)")
"""A name and the marker of such a thing, of which nothing is compared."""
_UNITS = tuple(
    (re.compile(pattern, re.IGNORECASE), unit)
    for pattern, unit in (
        (r"^how many (cm|centi\w+)|\b(in|of) (cm|centi\w+)", "cm"),
        (r"\bsquare met|\bm\^?2\b|\bm²|\b(size|area) of (the|this) room|\bhow (large|big) is (the|this) room", "m^2"),
        (r"\bhow many\b|\bnumber of\b|\bcount\b", "count"),
        (r"\bdegrees?\b|\bangle\b", "deg"),
        (r"\bseconds?\b", "s"),
        (r"\bmet(er|re)s?\b|\bhow (far|wide|tall|high|long|deep|close)\b|\bz coordinate\b", "m"),
        (r"\b(distance|width|height|length|depth)\b", "m"),
    )
)
"""Unit of a bare number by what was asked; the first that fits."""
_WRITTEN = {"m": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "cm": "cm", "centimeters": "cm"}
_WRITTEN |= {"square meters": "m^2", "m^2": "m^2", "m²": "m^2", "degrees": "deg", "deg": "deg", "s": "s"}
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-z²^2 ]*)", re.IGNORECASE)
_LETTER = re.compile(r"\(?([A-J])\)?(?:[.):]\s*.*)?", re.S)


@dataclass(frozen=True)
class Heard:
    """A reply that was understood.

    Attributes:
        status: OK, or NOT_FOUND with why in ``message``.
        text: for people: objects by label and id, numbers with their unit; the letter of a choice.
        kind: type of the answer.
        value, unit: the number, if it is one.
        object_ids: objects that it names, in its order, and those that it rests on.
        kept: share of the named objects that there are.
        message: what to know about it.
    """

    status: Status
    text: str = ""
    kind: Kind = "text"
    value: float | None = None
    unit: str = ""
    object_ids: tuple[int, ...] = ()
    kept: float = 1.0
    message: str = ""


def heard(reply: str, wording: Wording, snapshot: Snapshot, references: References) -> Heard:
    """The answer in a reply to a question as it was worded, with the objects that it rests on. Never raises."""
    evidence, said = split_evidence(" ".join(reply.split()))
    answer = _answer(said, wording, snapshot, references, evidence)
    markers = find_markers(evidence)
    seen = [references.object_of[index] for index in markers if references.object_of.get(index) in snapshot.by_id]
    message = "; ".join(filter(None, (answer.message, _worked_out(evidence, snapshot, references))))
    return replace(answer, object_ids=tuple(dict.fromkeys([*answer.object_ids, *seen])), message=message)


def _worked_out(evidence: str, snapshot: Snapshot, references: References) -> str:
    """The numbers that an answer was worked out from, for people; nothing where there are none."""

    def called(name: str) -> str:
        thing = snapshot.by_id.get(references.object_of.get(int(name[4:7]), -1))
        return "something" if thing is None else f"{thing.label} ({thing.id})"

    said = []
    for first, second, length, turn in _STEP.findall(evidence):
        things = " to ".join(called(name) for name in (first, second) if name)
        if length:
            said.append(f"{things} {length} m")
        elif turn:
            left = int(turn) <= 180
            said.append(
                f"{things} {int(turn) if left else 360 - int(turn)} degrees to the {'left' if left else 'right'}"
            )
        else:
            said.append(f"{things} ahead")
    return f"worked out from: {', '.join(said)}" if said else ""


def _answer(said: str, wording: Wording, snapshot: Snapshot, references: References, evidence: str) -> Heard:
    if not said and not (wording.options and evidence):
        return Heard(Status.NOT_FOUND, message="the model said nothing")
    if wording.options:
        return _chosen(said, wording, evidence)
    number = _number(said, wording.question)
    if number is not None:
        return number
    return _named(said, wording, snapshot, references)


def _chosen(said: str, wording: Wording, evidence: str) -> Heard:
    """An option by what was worked out, which a small model is surer of than of its letter.

    That is what the best of a comparison was named, the order nearest to that of the markers, or else the words at its
    end.
    """
    options = wording.options
    best = _BEST.findall(evidence)
    worked_out = evidence[: evidence.index(best[-1])] if best else evidence
    worded = [o for o in options if f" {_plain(worked_out)}".endswith(f" {_plain(o.text)}")]
    letters = {o.letter: o for o in options}
    found = _LETTER.fullmatch(said)
    option = _in_order(wording, evidence) or max(worded, key=lambda o: len(o.text), default=None)
    option = option or (letters.get(found[1]) if found else None)
    option = option or next((o for o in options if _plain(o.text) == _plain(said)), None)
    if option is None:
        message = f"the model said {said[:100]!r}, which is none of the options"
        return Heard(Status.NOT_FOUND, kind="choice", message=message)
    return Heard(Status.OK, option.letter, "choice", message=f"{option.letter} is {option.text}")


def _in_order(wording: Wording, evidence: str) -> Option | None:
    """Where the order of first sight is asked for, the option with the fewest pairs that are the wrong way round."""
    first: dict[str, int] = {}
    for name, index in _LISTED.findall(evidence.lower()):
        first[name.strip()] = min(int(index), first.get(name.strip(), MARKERS))
    orders = {o: [first.get(_plain(name), -1) for name in o.text.split(",")] for o in wording.options}
    ordered = {tuple(sorted(order)) for order in orders.values()}  # the same things, several of them
    if not _FIRST.search(wording.question) or len(ordered) != 1 or not all(0 <= o[0] < o[-1] for o in ordered):
        return None
    return min(orders, key=lambda o: sum(a > b for a, b in combinations(orders[o], 2)))


def _plain(text: str) -> str:
    return text.lower().strip(" .")


def _number(said: str, question: str) -> Heard | None:
    """A reply that is a number and nothing else, in digits or as a word, with or without a unit."""
    plain = said.rstrip(".").strip()
    unit = next((unit for pattern, unit in _UNITS if pattern.search(question)), "")
    found = _NUMBER.fullmatch(plain)
    if found:
        written = found[2].strip().lower()
        if written and written not in _WRITTEN:
            return None
        value, unit = float(found[1]), _WRITTEN.get(written, unit)
    elif plain.lower() in NUMBER_WORDS and unit == "count":
        value = float(NUMBER_WORDS[plain.lower()])
    else:
        return None
    shown = f"{value:g}" if unit == "count" or not found else found[1]
    return Heard(Status.OK, shown if unit in ("", "count") else f"{shown} {unit}", "number", value, unit)


def _named(said: str, wording: Wording, snapshot: Snapshot, references: References) -> Heard:
    """Words, perhaps with markers in them."""
    markers = list(dict.fromkeys(find_markers(said)))
    known = {
        index: references.object_of[index] for index in markers if references.object_of.get(index) in snapshot.by_id
    }
    kept = len(known) / len(markers) if markers else 1.0
    if markers and not known:
        return Heard(Status.NOT_FOUND, kind="id", kept=0.0, message="the model named only things that are not there")

    def shown(index: int) -> str:
        if index in wording.regions:
            return f"Region [{wording.regions.index(index)}]"
        return f"the {snapshot.by_id[known[index]].label} ({known[index]})"

    text = _without(said, [index for index in markers if index not in known])
    text = _MARKER.sub(lambda found: shown(int(found[0][4:7])), text)
    if text.count(".") == 1:
        text = text.rstrip(".")
    note = "" if kept == 1 else f"{len(markers) - len(known)} named things that are not there are left out"
    only = not re.search(r"\w", _MARKER.sub("", said).replace("Yes", "").replace("and", ""))
    return Heard(Status.OK, text, "id" if markers and only else "text", None, "", tuple(known.values()), kept, note)


def _without(said: str, markers: list[int]) -> str:
    """The reply without some of its markers, and without the commas and words that join them."""
    for index in markers:
        said = re.sub(rf"(,? and |, )?{marker(index)}", "", said)
    return re.sub(r"^(Yes\. )?(, |,? ?and )", r"\1", said)

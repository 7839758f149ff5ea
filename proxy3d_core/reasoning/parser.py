"""Question text to program: sentences, viewpoint clauses, units, and the grammar of ``rules``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from proxy3d_core.reasoning import rules
from proxy3d_core.reasoning.grammar import Grammar, Rule
from proxy3d_core.reasoning.lexicon import word_set
from proxy3d_core.reasoning.paraphrase import plainer, resolved
from proxy3d_core.reasoning.parts import Text, scene_nouns
from proxy3d_core.reasoning.phrases import CUBIC, SQUARE, UNITS
from proxy3d_core.reasoning.program import (
    Both,
    Describe,
    Distance,
    Exists,
    Filter,
    Identify,
    Kind,
    Measure,
    Objects,
    Program,
    Query,
    Route,
    Side,
    Size,
    Stance,
    Step,
    Where,
)
from proxy3d_core.reasoning.skim import CERTAINTY, skim
from proxy3d_core.reasoning.spelling import corrected, is_known
from proxy3d_core.reasoning.tokens import Sentence, sentences, without_fillers

MAX_WORDS = 120
"""Longer sentences are not questions that this grammar can mean."""

_STANCE_STARTS = word_set(
    """
    back stood if when while whilst as suppose imagine imagining assume assuming supposing given say let pretend picture
    visualize envision consider considering provided think so and now standing stand stands sitting sit sits
    facing face faces were should look looking looks from viewed seen with after once by entering coming i you me
    being seated turning turn positioned at located lying lie kneeling crouching perched rotate spin swivel pivot
    having in next beside beginning starting my
    """
)
_STANCE_ENDS = word_set(
    """
    if when while whilst as standing sitting kneeling leaning lying facing gazing staring watching looking from seen
    viewed with assuming given provided supposing after once positioned
    """
)
_QUESTION_STARTS = word_set(
    """
    how what which where when who is are was were do does did can could has have count find locate list name
    describe show number distance there on in to at any give tell guide navigate will would should
    """
)

_UNTIL = "(until|to|toward|till) [you reach|reaching|you get to|you are at]"
ROUTE = Grammar(
    [
        Rule(
            f"(go|move|walk|drive) (forward|straight|ahead|straight ahead) {_UNTIL} <x:np> [<n:number>]",
            lambda x, n=0: Step(x),
        ),
        Rule("fill in [<n:number>]", lambda n=0: Step(None)),
    ],
    rules.CLASSES,
)
_WANT = "[i|you|we] (want|wish|need|would like|have|are|am) [going|asked]"
GOAL = Grammar(
    [Rule(f"{_WANT} to (navigate|go|get|move|walk|drive|travel) to <x:np>", lambda x: x)],
    rules.CLASSES,
)


_ELLIPTIC = frozenset(
    tuple(text.split())
    for text in (
        "is there one",
        "are there any",
        "do you see one",
        "do you see any",
        "do you have one",
        "can you see one",
    )
)
"""Questions about what another sentence names."""


class NotUnderstood(ValueError):
    """No program for a question; ``part`` is what could not be read."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


@dataclass(frozen=True)
class _Reading:
    query: Query
    stance: Stance | None
    certainty: float
    skipped: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def parse(text: str, labels: frozenset[str] = frozenset()) -> Program:
    """The program of a question; slips of the keyboard are corrected if that makes sense of it.

    Args:
        text: the question without its options.
        labels: labels of the scene; their names are known nouns.

    Raises:
        NotUnderstood: no rule matches.
    """
    program = _parsed(text, scene_nouns(labels))
    if isinstance(program.query, Where) and _COORDINATES.search(text.lower()):
        program = replace(program, query=replace(program.query, coordinates=True))
    return program


_COORDINATES = re.compile(r"\bcoordinates?\b|\bx ?,? ?y\b")


def _parsed(text: str, nouns: frozenset[str]) -> Program:
    said = sentences(text)
    read_as = {w: r for s in said for w in s.words if (r := corrected(w, nouns)) != w}
    if read_as:
        try:
            program = _program(tuple(_respelled(s, read_as) for s in said), nouns)
            return replace(program, certainty=0.9 * program.certainty, corrected=tuple(read_as.items()))
        except NotUnderstood:
            pass  # the corrections did not help: what is reported must be about the words as they were typed
    return _program(said, nouns)


def _respelled(sentence: Sentence, read_as: dict[str, str]) -> Sentence:
    words = without_fillers(tuple(read_as.get(w, w) for w in sentence.words))
    return Sentence(words, sentence.asks)


def _program(said: tuple[Sentence, ...], nouns: frozenset[str]) -> Program:
    said = _with_corrections(said)
    route = _route_steps(said, nouns)
    readings = [(*_without_units(sentence.words), sentence) for sentence in said if len(sentence.words) <= MAX_WORDS]
    units = [in_unit for words, in_unit, _ in readings if not words]  # "How tall is it? In cm."
    readings = [r for r in readings if r[0]]
    asking = [r for r in readings if r[2].asks] or readings
    reading: _Reading | None = None
    unit, asked = "", None
    others: list[str] = []  # further questions, which get no answer
    for words, in_unit, sentence in asking:
        found = None if len(readings) > 1 and words in _ELLIPTIC else _read(words, nouns)
        told = None if found else _in_context(words, [w for w, _, s in readings if s is not sentence], nouns)
        if found is not None and reading is not None and str(found.query) != str(reading.query):
            others.append(" ".join(sentence.words))
        if told is not None or (found is not None and (reading is None or found.certainty > reading.certainty)):
            reading, unit, asked = told or found, in_unit, sentence
            others = [] if told else others
    if reading is None or (reading.skipped and reading.certainty <= CERTAINTY):
        again = _both(asking, nouns) or _skimmed(asking, nouns)
        if again is not None and (reading is None or not again[0].skipped):
            (reading, unit, asked), others = again, []
    stance: Stance | None = None
    for words, _, sentence in readings:
        if sentence is asked:
            break
        before = _stance_in(words, nouns)
        if before is not None:
            stance = before if stance is None else stance.joined(before)
    if route is not None:
        goal, steps = route
        return Program(Route(goal, steps), stance, certainty=0.95)
    if reading is None:
        raise NotUnderstood(_missed([r[2] for r in asking], nouns))
    unit = unit or next(iter(units), "")
    query = reading.query
    if isinstance(query, Distance) and unit.endswith(("^2", "^3")):  # "how many square meters is the table"
        query = Size(query.first, Measure("area" if unit.endswith("2") else "volume"))
    looks = reading.stance is not None and (reading.stance.facing is not None or reading.stance.turn)
    if isinstance(query, Describe) and looks:  # "if I look at the door, what do I see?"
        query = Identify(Filter(Kind("object"), Side("front")))
    certainty = reading.certainty * (0.5 if others else 1.0)
    if (
        asked is not None
        and len(asked.words) <= 2
        and any(_is_noise(w, nouns) for w, _, s in readings if s is not asked)
    ):
        certainty *= CERTAINTY  # "shatter dimension minutes. Biggest": a fragment of something else
    if isinstance(query, Exists) and reading.stance is not None and {"see", "seen"} & set(asked.words if asked else ()):
        if looks and "side(" not in str(query):  # "when I sit on the sofa and face the door, can I see the tv?"
            query = replace(query, objects=Filter(query.objects, Side("front")))
        elif not looks:
            certainty *= 0.5  # what hides what is not computed
    return Program(query, reading.stance, stance, unit, certainty, (*reading.skipped, *others))


_Measured = tuple[tuple[str, ...], str, Sentence]
"""Words without the unit asked for, that unit, and the sentence they are of."""


def _with_corrections(said: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """ "How many computers? I mean laptops." is one sentence."""
    out: list[Sentence] = []
    for sentence in said:
        if out and sentence.words[:2] in (("i", "mean"), ("i", "meant")):
            out[-1] = Sentence((*out[-1].words, ",", *sentence.words), out[-1].asks or sentence.asks)
        else:
            out.append(sentence)
    return tuple(out)


def _route_steps(said: tuple[Sentence, ...], nouns: frozenset[str]) -> tuple[Objects, tuple[Step, ...]] | None:
    """The goal and steps of a route that is to be completed, if the text is one."""
    steps: list[Step] = []
    goal: Objects | None = None
    for sentence in said:
        text = Text(sentence.words, nouns)
        for start in range(min(len(text.words), 30)):
            step = next((s for _, s in ROUTE.readings(text, start)), None)
            if step is not None and text.word(start) in ("go", "move", "walk", "drive", "fill"):
                if step.until is not None or not (start and "choose" in text.words):
                    steps.append(step)
                break
        goal = goal or next((x for _, x in GOAL.readings(text)), None)
    if not any(s.until is None for s in steps) or not any(s.until is not None for s in steps):
        return None
    last = next(s.until for s in reversed(steps) if s.until is not None)
    return goal or last, tuple(steps)


def _read(words: tuple[str, ...], nouns: frozenset[str]) -> _Reading | None:
    """The best reading of a sentence: as it stands, else in plainer words."""
    found = _read_as_is(words, nouns)
    if found is not None and found.certainty >= 0.9:
        return found
    for plain, certainty, skipped in plainer(words, nouns):
        reading = _read_as_is(plain, nouns)
        if reading is not None and (found is None or reading.certainty * certainty > found.certainty):
            return replace(reading, certainty=reading.certainty * certainty, skipped=(*reading.skipped, *skipped))
    return found


def _read_as_is(words: tuple[str, ...], nouns: frozenset[str]) -> _Reading | None:
    """A reading of the whole sentence, or of what stands behind words that say nothing."""
    for query, stance in _readings(words, nouns):
        return _Reading(query, stance, 1.0)
    for start in range(1, len(words) - 1):
        if words[start] not in _QUESTION_STARTS:
            continue
        before = words[:start]
        clause = _whole_stance(before, nouns)
        idle = clause is not None or all(w in _POLITE for w in before)
        if not idle and (
            before[-1] != ","
            or (_QUESTION_WORDS | _STANCE_STARTS | _TURN_WORDS) & set(before)
            or _names_something(before, nouns)
        ):
            continue
        for query, stance in _readings(words[start:], nouns):
            if clause is not None:
                stance = clause if stance is None else stance.joined(clause)
            return _Reading(query, stance, 0.95 if idle else 0.5, before)
    return None


def _both(asking: list[_Measured], nouns: frozenset[str]) -> tuple[_Reading, str, Sentence] | None:
    """Two questions in one sentence: "how many chairs are there and how far is the door?"."""
    for words, unit, sentence in reversed(asking):
        for i in range(2, len(words) - 1):
            if words[i] not in ("and", ",") or words[i + 1] not in _QUESTION_WORDS | {"and", "also"}:
                continue
            start = i + 2 if words[i + 1] in ("and", "also") else i + 1
            first, second = _read(words[:i], nouns), _read(words[start:], nouns)
            if first is None:
                continue
            second = second or _in_context(words[start:], [words[:i]], nouns)
            if second is not None and str(second.query) != str(first.query):
                stance = first.stance or second.stance
                certainty = 0.95 * first.certainty * second.certainty
                skipped = (*first.skipped, *second.skipped)
                return _Reading(Both((first.query, second.query)), stance, certainty, skipped), unit, sentence
    return None


def _skimmed(asking: list[_Measured], nouns: frozenset[str]) -> tuple[_Reading, str, Sentence] | None:
    """The last sentence that can be skimmed, of those that no rule reads."""
    for words, unit, sentence in reversed(asking):
        found = skim(words, nouns)
        if found is not None:
            return _Reading(found.query, found.stance, CERTAINTY, found.left), unit or found.unit, sentence
    return None


def _names_something(words: tuple[str, ...], nouns: frozenset[str]) -> bool:
    text = Text(words, nouns)
    return any(text.noun(i) for i in range(len(words)))


_TURN_WORDS = word_set("left right front back behind ahead around rotate spin face swivel pivot")
_POLITE = word_set(
    """
    i you me my would like to know wonder need want question is a the if robot dear sir so and tell that hey hi
    mr mrs mister miss there it am curious say for us let please , look help wondering interested in asking ask
    whether one more thing give can could
    """
)
_QUESTION_WORDS = word_set("how what which where when who why is are was were do does did can could will would should")


def _readings(words: tuple[str, ...], nouns: frozenset[str]) -> Iterator[tuple[Query, Stance | None]]:
    text = Text(words, nouns)
    end = len(words)
    if words and (words[0] in _STANCE_STARTS or words[0].endswith("ing")):
        for middle, stance in rules.STANCE.readings(text, 0):
            if middle < end:
                rest = middle + 1 if text.word(middle) in ("and", "then") else middle
                for stop, query in rules.QUESTIONS.readings(text, rest):
                    if stop == end:
                        yield query, stance
                for stop, query in rules.SEEN_FROM.readings(text, rest):
                    if stop == end:
                        yield query, stance
    for stop, query in rules.QUESTIONS.readings(text, 0):
        if stop == end:
            yield query, None
    for middle in range(2, end - 1):
        if words[middle] in _STANCE_ENDS:
            head = words[: middle - 1] if words[middle - 1] == "," else words[:middle]
            clause = _whole_stance(words[middle:], nouns)
            if clause is not None:
                for query, stance in _readings(head, nouns):
                    yield query, clause if stance is None else stance.joined(clause)


def _is_noise(words: tuple[str, ...], nouns: frozenset[str]) -> bool:
    """True of several words of which some are known to nobody."""
    return len(words) > 2 and any(not is_known(w, nouns) for w in words)


def _in_context(words: tuple[str, ...], others: list[tuple[str, ...]], nouns: frozenset[str]) -> _Reading | None:
    """The reading of a sentence whose pronoun another sentence explains ("I lost the mug. Where is it?")."""
    for context in reversed(others):
        if len(words) <= 3 and words[0] in ("where", "how", "what", "which"):  # "The bed. How wide?"
            words = (*words, "is", "it")
        for plain in resolved(words, context, nouns):
            found = _read(plain, nouns)
            if found is not None:
                return replace(found, certainty=0.95 * found.certainty)
    return None


def _whole_stance(words: tuple[str, ...], nouns: frozenset[str]) -> Stance | None:
    """The viewpoint that a clause states, if that is all it says."""
    while words and words[-1] in (",", "and", "then"):
        words = words[:-1]
    if not words or (words[0] not in _STANCE_STARTS | {"the", "a"} and not words[0].endswith("ing")):
        return None
    text = Text(words, nouns)
    return next((stance for stop, stance in rules.STANCE.readings(text, 0) if stop == len(words)), None)


def _stance_in(words: tuple[str, ...], nouns: frozenset[str]) -> Stance | None:
    """The viewpoint that a sentence tells: all of it, or what it says first ("I am facing the door and there is a bin
    on my right").
    """
    text = Text(words, nouns)
    starts = [0, *(i + 1 for i, word in enumerate(words) if word == ",")]  # "I just woke up, I am sitting on the bed"
    found = [r for start in starts for r in rules.STANCE.readings(text, start)]
    return max(found, key=lambda r: r[0])[1] if found else None


def _without_units(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The words without "in square meters", and the unit they asked for."""
    out = list(words)
    unit = ""
    for i, word in enumerate(words):
        if word not in UNITS:
            continue
        name = UNITS[word][0]
        start = i
        if i and words[i - 1] in ("square", "sq"):
            name, start = SQUARE.get(name, ("m^2", 1.0))[0], i - 1
        elif i and words[i - 1] == "cubic":
            name, start = CUBIC.get(name, ("m^3", 1.0))[0], i - 1
        lead = words[max(0, start - 3) : start]
        if lead[-1:] == ("in",) or lead[-1:] == ("using",):
            cut = start - 1
            while cut and words[cut - 1] in ("measured", "expressed", "given", "answer", ",", "stated"):
                cut -= 1
            if name != "in" or words[i] != "in":
                out[cut : i + 1] = [","] * (i + 1 - cut)
                unit = name
        elif lead[-2:] == ("how", "many"):
            unit = name
            if start < i:
                out[start] = ","
    collapsed: list[str] = []
    for word in out:
        if word != "," or (collapsed and collapsed[-1] != ","):
            collapsed.append(word)
    while collapsed and collapsed[-1] == ",":
        collapsed.pop()
    return tuple(collapsed), unit


def _reach(words: tuple[str, ...], nouns: frozenset[str]) -> int:
    """How many words from the start are parts of a question."""
    text = Text(words, nouns)
    for _ in rules.QUESTIONS.readings(text, 0):
        pass
    return text.reached


def _missed(failed: list[Sentence], nouns: frozenset[str]) -> str:
    """From the first word on that nobody knows, else the words behind the part that could be read."""
    asking = [s for s in failed if s.asks] or failed
    if not asking:
        return ""
    words = asking[-1].words[:MAX_WORDS]
    strange = next((i for i, word in enumerate(words) if not is_known(word, nouns)), None)
    start = _reach(words, nouns) if strange is None else strange
    rest = words[start:] if 0 < start < len(words) else words
    return " ".join(rest[:30])


__all__ = ["NotUnderstood", "parse", "replace"]

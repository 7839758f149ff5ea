"""Noun phrases, conditions and other parts of a question, read from its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from proxy3d_core.reasoning import phrases as say
from proxy3d_core.reasoning.grammar import Grammar, Phrases
from proxy3d_core.reasoning.lexicon import (
    ACTIVITIES,
    ANYTHING,
    AREAS,
    COLOR_WORDS,
    KIND_WORDS,
    NOUNS,
    NUMBER_WORDS,
    ORDINALS,
    ROOM_WORDS,
    concept,
    is_plural,
    label_concepts,
    plain_label,
    singular,
    word_set,
)
from proxy3d_core.reasoning.program import (
    All,
    Changed,
    Colored,
    Condition,
    Exceeds,
    Filter,
    Kind,
    Me,
    Measure,
    Not,
    Objects,
    Other,
    Pick,
    Place,
    Region,
    Relation,
    Side,
    The,
    Union,
    Within,
)

Reading = tuple[int, Any]


@lru_cache(maxsize=256)
def scene_nouns(labels: frozenset[str]) -> frozenset[str]:
    """Names by which the scene's labels can be called, singular."""
    return frozenset(singular(n) for label in labels for n in (plain_label(label), *label_concepts(label)))


class Text:
    """The words of one sentence and the parts of speech that can be read in it (``grammar.Parts``).

    Args:
        words: lower case, without fillers.
        nouns: what the scene's labels are called.
    """

    def __init__(self, words: tuple[str, ...], nouns: frozenset[str]) -> None:
        self.words = words
        self.nouns = nouns
        self._memo: dict[tuple[str, int], list[Reading]] = {}
        self.reached = 0

    def part(self, name: str, start: int) -> list[Reading]:
        """All readings of a part at word ``start``, the likeliest first."""
        key = (name, start)
        if key not in self._memo:
            self._memo[key] = []  # a part cannot begin with itself
            self._memo[key] = _first_of_each_end(name, _PARTS[name](self, start))
            self.reached = max([self.reached, *(end for end, _ in self._memo[key])])
        return self._memo[key]

    def word(self, i: int) -> str:
        """The word at ``i``, or nothing."""
        return self.words[i] if 0 <= i < len(self.words) else ""

    # ------------------------------------------------------------------ nouns

    def noun(self, i: int) -> tuple[int, str] | None:
        """The longest known noun at word ``i``: (end, singular)."""
        for length in (4, 3, 2, 1):
            if i + length > len(self.words):
                continue
            words = self.words[i : i + length]
            if "," in words or (length > 1 and words[0] in ("the", "a", "an")):
                continue
            name = singular(" ".join(words))
            if (name in self.nouns or name in NOUNS) and not (
                length == 1 and words[0] in say.STOP and name not in self.nouns and not self._is_clock(i)
            ):
                return i + length, name
        return None

    def _is_clock(self, i: int) -> bool:
        """True of the thing on the wall, not of "3 o'clock" or "the clock direction"."""
        before, after = self.word(i - 1), self.word(i + 1)
        return (
            self.word(i) == "clock"
            and before in _BEFORE_A_NOUN
            and after not in ("position", "direction", "hour", "face", "bearing")
        )

    def nominal(self, i: int) -> Iterator[tuple[int, Objects, bool]]:
        """Adjectives and noun at word ``i``: (end, objects, plural?)."""
        wraps: list[Callable[[Objects], Objects]] = []
        unknown: list[str] = []
        noun: tuple[int, str] | None = None
        start = i
        readings: list[tuple[int, Objects, bool]] = []
        while i < len(self.words):
            if self.words[i] in say.SHADES and self.word(i + 1) in COLOR_WORDS:
                i += 1
                continue
            found = self.noun(i)
            if found is not None:
                if noun is not None and noun[1] in COLOR_WORDS:
                    wraps.append(partial(Filter, condition=Colored(COLOR_WORDS[noun[1]])))
                elif noun is not None:
                    unknown.append(" ".join(self.words[start:i]))  # "kitchen table": the kitchen qualifies the table
                noun, start, i = found, i, found[0]
                continue
            if noun is not None:
                break
            ranked = self.superlative(i)
            if ranked is not None:
                i, measure, most, rank = ranked
                wraps.append(partial(Pick, measure=Measure(measure), most=most, rank=rank))
                continue
            word = self.words[i]
            if word in COLOR_WORDS:
                wraps.append(partial(Filter, condition=Colored(COLOR_WORDS[word])))
            elif word in ("colored",):
                pass
            elif word in say.SIZE_WORDS and i > start - 1 and self.noun_follows(i + 1):
                measure, most = say.SIZE_WORDS[word]
                wraps.append(partial(Pick, measure=Measure(measure), most=most))
            elif word in say.WEAK_ADJECTIVES:
                if word == "other":
                    wraps.append(partial(Filter, condition=Other()))
            elif word in ("moved", "missing", "new", "removed", "gone", "disappeared") and self.noun_follows(i + 1):
                state = say.STATES.at(self.words, i)[0][1]
                wraps.append(partial(Filter, condition=Changed(state)))
            elif word in say.STOP or word in say.UNITS or word.isdigit():
                break
            else:
                unknown.append(word)
            i += 1
        if noun is not None:
            head = noun[1]
            name = "object" if head in ANYTHING else KIND_WORDS.get(head, head if head in self.nouns else concept(head))
            kind = self._specific(name, head, unknown)
            readings.append((noun[0], _wrap(kind, wraps), is_plural(self.words[noun[0] - 1])))
        elif unknown and i > 0 and self.words[i - 1] == unknown[-1]:
            for drop in range(len(unknown)):  # an unknown noun, then perhaps words that are not part of it
                words = unknown[: len(unknown) - drop]
                end = i - drop
                if self.words[end - len(words) : end] != tuple(words):
                    break
                name = singular(" ".join(words))
                readings.append((end, _wrap(Kind(name), wraps), is_plural(words[-1])))
        elif wraps and not unknown and isinstance(_wrap(Kind("object"), wraps[:1]), Pick):
            readings.append((i, _wrap(Kind("object"), wraps), False))
        yield from readings

    def _specific(self, name: str, head: str, unknown: list[str]) -> Kind:
        """ "office chair" is a class of its own where the scene has it, else a chair said to be "office"."""
        for k in range(len(unknown)):
            compound = concept(" ".join([*unknown[k:], head]))
            if compound in self.nouns or compound in NOUNS:
                return Kind(compound, tuple(unknown[:k]))
        return Kind(name, tuple(unknown))

    def noun_follows(self, i: int) -> bool:
        """True if a noun or adjective begins at ``i`` (so that what stands before qualifies it)."""
        word = self.word(i)
        return bool(word) and word != "," and (self.noun(i) is not None or word not in say.STOP)

    def superlative(self, i: int) -> tuple[int, str, bool, int] | None:
        """ "second closest": (end, measure, from the largest down?, rank)."""
        rank = 1
        if self.word(i) in ORDINALS:
            rank, j = ORDINALS[self.words[i]], i + 1
            if self.word(i) in ("first", "1st") and not say.SUPERLATIVES.at(self.words, j):
                return None
        else:
            j = i + 1 if self.word(i) == "very" else i
        if self.word(j) == "most" and say.SUPERLATIVES.at(self.words, j + 1):
            j += 1
        found = say.SUPERLATIVES.at(self.words, j)
        if not found:
            return None
        end, (measure, most) = found[0]
        return end, measure, most, rank


_BEFORE_A_NOUN = word_set("a an the any some this that no another my your wall alarm")


def _first_of_each_end(name: str, readings: list[Reading]) -> list[Reading]:
    """One reading per end (lists: per end and length): others would differ in what a phrase attaches to, and grow
    exponentially.
    """
    best: dict[tuple[int, int], Reading] = {}
    for end, meaning in readings:
        best.setdefault((end, len(meaning) if name in ("list", "sides") else 0), (end, meaning))
    return list(best.values())


def _wrap(objects: Objects, wraps: list[Callable[[Objects], Objects]]) -> Objects:
    for wrap in reversed(wraps):
        objects = wrap(objects)
    return objects


def _noun_phrase(text: Text, i: int) -> list[Reading]:
    """The chair next to the table; me; region 0."""
    out: list[Reading] = []
    for end, me in say.ME.at(text.words, i):
        if text.word(i) == "here" or not (text.word(end - 1) == "robot" and "robot" in text.nouns):
            out.append((end, me))
    for lead in ("region", "the region"):
        words = tuple(lead.split())
        if text.words[i : i + len(words)] == words and text.word(i + len(words)).isdigit():
            return [(i + len(words) + 1, Region(int(text.word(i + len(words)))))]
    out += _for_an_activity(text, i)
    j, definite, indefinite, other, number = i, False, False, False, 1
    some = text.word(i) in ("any", "some", "one") and text.word(i + 1) == "of"
    every = text.word(i) in ("all", "every", "each", "both", "these", "those")
    while True:
        word = text.word(j)
        if (text.word(j + 1) == "of" and word in say.PARTITIVE) or (word == "a" and text.word(j + 2) == "of"):
            j += 2 + (word == "a")
            indefinite = True
        elif word in ("the", "your", "my", "their", "its", "our", "his", "her") or (
            word in ("this", "that") and text.noun_follows(j + 1)
        ):
            definite = True
            j += 1
        elif word in say.MANY or word in say.INDEFINITE:
            other = other or word in ("another", "other")
            indefinite = True
            j += 1
        elif (word in NUMBER_WORDS or word.isdigit()) and text.noun_follows(j + 1) and word not in ("no", "one"):
            number = NUMBER_WORDS.get(word) or int(word if word.isdigit() else 1)
            j += 1
        else:
            break
        if j > i + 4:
            break
    nominals = [*text.nominal(j)]
    for end, objects, many in [*_anchored(text, nominals), *nominals]:
        if number > 1 and isinstance(objects, Pick):
            objects = replace(objects, number=number)
        if other:
            objects = Filter(objects, Other())
        for stop, full in _with_conditions(text, end, objects):
            if number > 1 and isinstance(full, Pick):
                full = replace(full, number=number)
            if ((definite and many) or every) and not some:
                full = All(full)
            elif definite and not indefinite:
                full = The(full)
            out.append((stop, full))
    return out


def _for_an_activity(text: Text, i: int) -> Iterator[Reading]:
    """Somewhere to sit; a place where I can wash my hands: what one needs for it."""
    j = i
    while text.word(j) in ("a", "the", "any", "some", "good", "nice", "comfortable"):
        j += 1
    if text.word(j) not in ("something", "anything", "somewhere", "anywhere", "place", "spot", "places", "spots"):
        return
    if text.word(j + 1) == "else":
        j += 1
    for lead in _LEADS:
        if text.words[j + 1 : j + 1 + len(lead)] == lead:
            for end, kind in text.part("activity", j + 1 + len(lead)):
                yield end, Kind(kind)


_LEADS = tuple(
    tuple(lead.split())
    for lead in (
        *("to", "for me to", "where to", "in order to", "in which to", "on which to"),
        *(
            f"{which}{who}"
            for which in ("", "where ", "that ", "which ")
            for who in ("i can", "you can", "one can", "we can")
        ),
        *("where i could", "i could"),
    )
)
_ACTIVITIES = Phrases(ACTIVITIES)


def _activities(text: Text, i: int) -> list[Reading]:
    """Wash my hands: the sink."""
    out: list[Reading] = []
    for end, kind in _ACTIVITIES.at(text.words, i):
        if text.word(end) in ("on", "in", "at", "from", "there", "with"):
            out.append((end + 1, kind))
        out.append((end, kind))
    return out


def _anchored(text: Text, nominals: list[tuple[int, Objects, bool]]) -> Iterator[tuple[int, Objects, bool]]:
    """The nearest object to me: the anchor behind the noun belongs to the superlative before it."""
    for end, objects, many in nominals:
        if isinstance(objects, Pick) and isinstance(objects.objects, Kind) and objects.objects.name == "object":
            k = end + 1 if text.word(end) == "one" else end
            if text.word(k) in ("of", "among") and text.word(k + 1) in ("the", "all", "these", "those", "my"):
                for stop, several in text.part("np", k + 1):
                    if isinstance(several, All):
                        yield stop, replace(objects, objects=several.objects), many
        if (
            isinstance(objects, Pick)
            and objects.measure == Measure("distance")
            and text.word(end) in ("to", "from", "by", "of")
        ):
            for stop, anchor in text.part("np", end + 1):
                yield stop, replace(objects, measure=Measure("distance", anchor)), many


def _with_conditions(text: Text, i: int, objects: Objects, depth: int = 4) -> Iterator[tuple[int, Objects]]:
    """The same objects with what is said behind the noun, longest reading first."""
    if depth:
        seen = set()
        aside = text.part("modifier", i + 1) if text.word(i) == "," else []
        for end, modify in [*text.part("modifier", i), *aside]:
            for reading in _with_conditions(text, end, modify(objects), depth - 1):
                if str(reading) not in seen:
                    seen.add(str(reading))
                    yield reading
    yield i, objects


def _modifiers(text: Text, i: int) -> list[Reading]:
    """Behind a noun: a condition, a superlative with its anchor, or "in the room"; it maps objects to objects."""
    out: list[Reading] = []
    for start in _leads(text, i):
        for end, condition in text.part("condition", start):
            out.append((end, partial(Filter, condition=condition)))
        for end, (measure, most, rank) in text.part("superlative", start):
            out.append((end, partial(Pick, measure=measure, most=most, rank=rank)))
        if start > i and text.word(i - 1) != ",":
            for end, (measure, most, rank) in text.part("comparative", start):
                out.append((end, partial(Pick, measure=measure, most=most, rank=rank)))
        for end, state in say.STATES.at(text.words, start):
            if start > i and state != "present":
                out.append((end, partial(Filter, condition=Changed(state))))
        if start > i:
            for end, color in say.OF_COLOR.at(text.words, start):
                out.append((end, partial(Filter, condition=Colored(color))))
        if text.word(start) in ("with", "without", "having"):
            out += _unchecked(text, start)
        if text.words[start : start + 3] in (("i", "am", "facing"), ("i", "face"), ("you", "are", "facing")):
            out.append((start + 3, partial(Filter, condition=Side("front", directly=True))))
        for place in _WHERE_ONE_IS:
            if text.words[start : start + len(place)] == place:
                out.append((start + len(place), partial(Pick, measure=Measure("distance", Me()), most=False)))
        for tail in (
            ("you", "saw", "first"),
            ("you", "saw", "last"),
            ("first", "seen"),
            ("seen", "first"),
            ("i", "saw", "first"),
            ("i", "saw", "last"),
        ):
            if text.words[start : start + len(tail)] == tail:
                out.append((start + len(tail), partial(Pick, measure=Measure("first_seen"), most="last" in tail)))
    for end, _ in say.HERE.at(text.words, i):
        out.append((end, lambda o: o))
    return sorted(out, key=lambda r: -r[0])


_WHERE_ONE_IS = tuple(
    (who, be, how, at)
    for who, be in (("i", "am"), ("you", "are"), ("we", "are"))
    for how in ("sitting", "standing", "seated", "leaning", "lying", "working", "parked")
    for at in ("at", "on", "in", "by", "near", "beside")
)
"""The table I am sitting at: the nearest."""


def _unchecked(text: Text, i: int) -> Iterator[Reading]:
    """With wheels; without a back; said of a thing, but nothing that a map knows."""
    end = i + 1
    while text.word(end) in ("a", "an", "no", "the", "two", "four"):
        end += 1
    if text.word(end) not in say.STOP and text.word(end) and text.noun(end) is None:
        end += 1
        yield end, partial(_said_to_be, words=" ".join(text.words[i:end]))


def _said_to_be(objects: Objects, words: str) -> Objects:
    if isinstance(objects, Kind):
        return replace(objects, unknown=(*objects.unknown, words))
    return (
        replace(objects, objects=_said_to_be(objects.objects, words)) if isinstance(objects, Filter | Pick) else objects
    )


def _leads(text: Text, i: int) -> list[int]:
    """Where a condition can begin behind a noun: at once, or behind "that is", "standing", "located"."""
    starts = [i]
    j = i
    if text.word(j) in ("that", "which", "who"):
        j += 1
        if text.word(j) in (
            "is",
            "are",
            "was",
            "were",
            "has",
            "have",
            "stands",
            "sits",
            "hangs",
            "lies",
            "stand",
            "sit",
        ):
            j += 1
            if text.word(j) == "been" and text.word(j + 1) != "moved":
                j += 1
        starts.append(j)
    while text.word(j) in say.PARTICIPLES and not say.RELATIONS.at(text.words, j):
        j += 1
        starts.append(j)
    return sorted(set(starts), reverse=True)


def _conditions(text: Text, i: int) -> list[Reading]:
    """On the table; to my left; between the bed and the door; within 2 m of the sofa; taller than the desk; against the
    wall.
    """
    out: list[Reading] = []
    for words in (
        ("other", "than"),
        ("besides",),
        ("apart", "from"),
        ("except", "for"),
        ("except",),
        ("not", "counting"),
        ("not", "including"),
        ("excluding",),
        ("without", "counting"),
        ("aside", "from"),
    ):
        if text.words[i : i + len(words)] == words:
            return [(end, Other(than)) for end, than in text.part("np", i + len(words))]
    if text.word(i) == "not" and text.word(i + 1) in COLOR_WORDS and text.noun(i + 2) is None:
        return [(i + 2, Not(Colored(COLOR_WORDS[text.word(i + 1)])))]
    if text.word(i) == "not":
        return [(end, Not(c)) for end, c in text.part("condition", i + 1)]
    if text.word(i) in ("directly", "straight", "right"):
        out += [(end, Side(side, directly=True)) for end, side in say.SIDES.at(text.words, i + 1)]
    for start in [i + 1, i] if text.word(i) in say.PARTICIPLES and not say.RELATIONS.at(text.words, i) else [i]:
        if start > i:
            out += text.part("condition", start)
            continue
        out += [(end, Side(side)) for end, side in say.SIDES.at(text.words, i)]
        out += [(end, Place(place)) for end, place in say.PLACES.at(text.words, i)]
        out += _within(text, i) + _areas(text, i)
        for end, name in say.RELATIONS.at(text.words, i):
            out += _relation(text, end, name)
        for end, (measure, most) in say.COMPARATIVES.at(text.words, i):
            out += _comparison(text, end, measure, most)
    return sorted(out, key=lambda r: -r[0])


def _relation(text: Text, i: int, name: str) -> list[Reading]:
    out: list[Reading] = []
    if name == "between":
        for middle, first in text.part("np", i):
            if text.word(middle) in ("and", "or"):
                out += [(end, Relation(name, (first, second))) for end, second in text.part("np", middle + 1)]
            if not isinstance(first, (The, Me, Region)):
                out.append((middle, Relation(name, (first,))))
        return out
    for end, anchor in text.part("np", i):
        if isinstance(anchor, Me):
            side = {
                "front_of": "front",
                "behind": "back",
                "left_of": "left",
                "right_of": "right",
                "across": "front",
            }.get(name)
            if side or name in ("beside", "near", "touching", "at"):
                out.append((end, Side(side) if side else Relation("near" if name == "at" else name, (anchor,))))
        elif not (isinstance(base := strip(anchor), Kind) and base.name in ROOM_WORDS and base.name not in text.nouns):
            out.append((end, Relation(name, (anchor,))))
    return out


def _within(text: Text, i: int) -> list[Reading]:
    """More than 2 m long; within 2 m of X; less than 1 m (away) from X; more than 3 m away."""
    out: list[Reading] = []
    for start, less in say.MORE_OR_LESS.at(text.words, i):
        for end, metres in text.part("length", start):
            if text.word(end) in say.HOW:
                return [(end + 1, Exceeds(Measure(say.HOW[text.word(end)]), metres, less))]
    for words in _REACH:
        if text.words[i : i + len(words)] == words:
            end = i + len(words)
            out.append((end, Within(Me(), ARM)))
            if text.word(end) in ("of", "from"):
                out += [(stop, Within(anchor, ARM)) for stop, anchor in text.part("np", end + 1)]
    for start, farther in say.LIMITS.at(text.words, i):
        for end, metres in text.part("length", start):
            for middle in [*(m for m, _ in say.FROM.at(text.words, end)), end]:
                out += [(stop, Within(anchor, metres, farther)) for stop, anchor in text.part("np", middle)]
            if text.word(end) == "away":
                out.append((end + 1, Within(Me(), metres, farther)))
            if end == len(text.words):
                out.append((end, Within(Me(), metres, farther)))
    return out


ARM = 0.9
"""What lies nearer can be reached with the hand [m]."""
_REACH = tuple(
    tuple(phrase.split())
    for phrase in (
        "within reach",
        "in reach",
        "within my reach",
        "in my reach",
        "within easy reach",
        "within your reach",
    )
)
AREA = 1.5
"""What stands nearer to the stove belongs to the kitchen area [m]."""


def _areas(text: Text, i: int) -> list[Reading]:
    """In the kitchen area: near the furniture that makes it."""
    j = i + 1 if text.word(i) in ("in", "at", "around", "near", "inside", "within") else i
    if j == i or text.word(j) not in ("the", "my", "our", "your"):
        return []
    for length in (2, 1):
        name = AREAS.get(" ".join(text.words[j + 1 : j + 1 + length]))
        end = j + 1 + length
        if name and text.word(end) in ("area", "corner", "part", "zone", "section", "region", "nook", "end"):
            return [(end + 1, Within(Kind(f"{name} area"), AREA))]
    return []


def _comparison(text: Text, i: int, measure: str, most: bool) -> list[Reading]:
    """Behind a comparative: [to X] than Y."""
    out: list[Reading] = []
    starts: list[tuple[int, Measure]] = [(i, Measure(measure))]
    if measure == "distance" and text.word(i) in ("to", "from"):
        starts = [(end, Measure(measure, anchor)) for end, anchor in text.part("np", i + 1)]
        starts += [(end, replace(m, anchor=m.anchor)) for end, m in starts]
    for j, value in starts:
        if text.word(j) == "than":
            for end, length in text.part("length", j + 1):
                out.append((end, Exceeds(value, float(length), less=not most)))
            for end, other in text.part("np", j + 1):
                if measure == "distance" and value.anchor is None and text.word(end) in ("to", "from"):
                    out += [
                        (stop, Exceeds(Measure(measure, anchor), other, less=not most))
                        for stop, anchor in text.part("np", end + 1)
                    ]
                if text.word(end) in ("is", "are", "does"):
                    out.append((end + 1, Exceeds(value, other, less=not most)))
                out.append((end, Exceeds(value, other, less=not most)))
    return out


def _superlatives(text: Text, i: int) -> list[Reading]:
    """The closest to the door; second farthest from me; the tallest: (Measure, from the largest down?, rank)."""
    j = i + 1 if text.word(i) in ("is", "are") else i
    if text.word(j) in ("the", "my"):
        j += 1
    found = text.superlative(j)
    if found is None:
        return []
    end, measure, most, rank = found
    out: list[Reading] = []
    if measure == "distance":
        k = end
        if text.word(k) == "away":
            k += 1
        if text.word(k) == "in" and text.word(k + 1) == "distance":
            k += 2
        if text.word(k) in ("to", "from", "by", "of"):
            k += 1
        for stop, anchor in text.part("np", k):
            if k > end or isinstance(anchor, The | Me | Region):
                out.append((stop, (Measure(measure, anchor), most, rank)))
        if text.word(end) == "away":
            end += 1
    out.append((end, (Measure(measure), most, rank)))
    return out


def _comparatives(text: Text, i: int) -> list[Reading]:
    """Closer to the door; bigger: (Measure, from the largest down?)."""
    out: list[Reading] = []
    j = i + 1 if text.word(i) == "the" else i
    for end, (measure, most) in say.COMPARATIVES.at(text.words, j):
        if measure == "distance":
            start = end + 1 if text.word(end) in ("to", "from") else end
            out += [(stop, (Measure(measure, anchor), most, 1)) for stop, anchor in text.part("np", start)]
        out.append((end, (Measure(measure), most, 1)))
    return out


def _lists(text: Text, i: int) -> list[Reading]:
    """Two or more noun phrases with commas, and, or."""
    out: list[Reading] = []

    def go(j: int, items: tuple[Objects, ...], depth: int) -> None:
        for end, item in text.part("np", j):
            now = (*items, item)
            k = end
            if text.word(k) == ",":
                k += 1
            if text.word(k) in ("and", "or", "vs", "versus"):
                k += 1
                if text.word(k) == "to" and text.word(i - 1) == "to":
                    k += 1
            if k > end and depth:
                go(k, now, depth - 1)
            if len(now) >= 2:
                out.append((end, now))

    go(i, (), 11)
    return sorted(out, key=lambda r: (-len(r[1]), -r[0]))


def _several(text: Text, i: int) -> list[Reading]:
    """A noun phrase, or several joined by "and"."""
    out: list[Reading] = []
    for end, items in text.part("list", i):
        if "or" not in text.words[i:end]:
            out.append((end, Union(tuple(strip(item) for item in items))))
    return out + text.part("np", i)


def strip(objects: Objects) -> Objects:
    """Without the demand that there is only one, or that all are meant."""
    return objects.objects if isinstance(objects, The | All) else objects


def _side_choices(text: Text, i: int) -> list[Reading]:
    """To my left, right or back: the directions, and as they were said."""
    found: list[Reading] = []

    def go(j: int, sides: tuple[tuple[str, str], ...]) -> None:
        k = j + 1 if text.word(j) == "," else j
        if sides and text.word(k) in ("or", "and"):
            k += 1
        if sides and text.word(k) in ("is", "are") and text.word(k + 1) in ("it", "they"):
            k += 2
        options = [*say.SIDES.at(text.words, k), *say.BARE_SIDES.at(text.words, k)]
        if text.word(k) in ("the", "my", "your", "on", "to", "in"):
            options += say.BARE_SIDES.at(text.words, k + 1)
        for end, side in options[:1]:
            last = text.words[end - 1]
            said = side if "-" in side or last in ("me", "side", "you", "hand", "direction") else last
            now = (*sides, (side, "behind" if side == "back" and "behind" in text.words[k:end] else said))
            if len(now) < 8:
                go(end, now)
            if len({s for s, _ in now}) >= 2 and "or" in text.words[i:end]:
                found.append((end, now))

    go(i, ())
    return sorted(found, key=lambda r: (-len(r[1]), -r[0]))[:4]


def _relation_choices(text: Text, i: int) -> list[Reading]:
    """In front of or behind the table; on the desk or on the floor: a tuple of conditions."""
    out: list[Reading] = []
    for middle, first in say.RELATIONS.at(text.words, i):
        k = middle + 1 if text.word(middle) == "," else middle
        if text.word(k) == "or":
            for end, second in say.RELATIONS.at(text.words, k + 1):
                out += [(stop, (Relation(first, (a,)), Relation(second, (a,)))) for stop, a in text.part("np", end)]
    for middle, condition in text.part("condition", i):
        if isinstance(condition, Relation) and len(condition.anchors) == 1:  # "in front of the tv or behind it"
            k = middle + (text.word(middle) == ",")
            for end, second in say.RELATIONS.at(text.words, k + 1) if text.word(k) == "or" else ():
                if text.word(end) in ("it", "them"):
                    out.append((end + 1, (condition, replace(condition, name=second))))
        k = middle + 1 if text.word(middle) == "," else middle
        if text.word(k) == "or":
            if isinstance(condition, Relation) and len(condition.anchors) == 1:
                out += [(stop, (condition, replace(condition, anchors=(b,)))) for stop, b in text.part("np", k + 1)]
            out += [(stop, (condition, second)) for stop, second in text.part("condition", k + 1)]
    return out


def _criteria(text: Text, i: int) -> list[Reading]:
    """By height; by how near they are to the door; from the tallest to the shortest: (Measure, largest first?)."""
    out: list[Reading] = []
    j = i
    if text.word(j) in ("by", "on") or text.words[j : j + 2] in (("according", "to"), ("based", "on"), ("in", "order")):
        j += 1 if text.word(j) in ("by", "on") else 2
    if text.word(j) in ("of", "their", "the"):
        j += 1
    near = text.word(j) == "how" and text.word(j + 1) in ("near", "close", "far")
    if near or text.word(j) in ("distance", "proximity", "closeness", "nearness", "remoteness"):
        k = j + 2 if near else j + 1
        k += 2 if text.words[k : k + 2] in (("they", "are"), ("each", "is"), ("it", "is")) else 0
        k += 1 if text.word(k) == "away" else 0
        if text.word(k) in ("to", "from"):
            out += [(end, (Measure("distance", anchor), False)) for end, anchor in text.part("np", k + 1)]
        out.append((k, (Measure("distance", Me()), False)))
    if text.word(j) == "how":
        for end, measure in text.part("how", j + 1):
            end += 2 if text.words[end : end + 2] in (("they", "are"), ("each", "is"), ("it", "is")) else 0
            out.append((end, (measure, True)))
    out += [(end, (measure, True)) for end, measure in text.part("dimension", j)]
    if text.word(i) in ("from", "starting", "beginning"):
        k = i + 2 if text.word(i + 1) in ("with", "from") else i + 1
        k += 1 if text.word(k) == "the" else 0
        first = text.superlative(k)
        if first is not None:
            end, name, most, _ = first
            to = end + 2 if text.word(end + 1) == "the" else end + 1
            last = text.superlative(to) if text.word(end) == "to" else None
            out.append((end if last is None else last[0], (_to_me(Measure(name)), most)))
    out += [
        (stop, (measure, most))
        for end, (measure, _) in list(out)
        for start in [end + 1 if text.word(end) == "," else end]
        for stop, (_, most, _) in text.part("superlative", start + 1 if text.word(start) in ("from", "with") else start)
        if text.word(stop) == "first"
        for stop in [stop + 1]
    ]
    return sorted(out, key=lambda r: -r[0])


def _to_me(measure: Measure) -> Measure:
    return Measure("distance", Me()) if measure == Measure("distance") else measure


def _up_to_length(text: Text, i: int) -> list[Reading]:
    """Words before a length: "for someone of 1.90 m"."""
    return [(end, "") for end in range(i + 1, min(i + 6, len(text.words))) if text.part("length", end)]


def _verb(text: Text, i: int) -> list[Reading]:
    """What somebody wants to do with a thing: up to four words before the thing, none of them a thing itself."""
    out: list[Reading] = []
    for end in range(i + 1, min(i + 5, len(text.words))):
        word = text.words[end - 1]
        if word in (",", "left", "right") or text.noun(end - 1) is not None:
            break
        out.append((end, " ".join(text.words[i:end])))
    return out


def _doing(text: Text, i: int) -> list[Reading]:
    """What somebody does at a place: washing up, having a coffee; up to the words of place."""
    word = text.word(i)
    if not word.endswith("ing") or word in _NOT_DOING or text.noun(i) is not None:
        return []
    out: list[Reading] = []
    for end in range(i + 1, min(i + 5, len(text.words) + 1)):
        out.append((end, " ".join(text.words[i:end])))
        if text.word(end) in (",", "and") or say.RELATIONS.at(text.words, end):
            break
    return out


_NOT_DOING = frozenset(
    [
        "facing",
        "looking",
        "turning",
        "gazing",
        "staring",
        "watching",
        "heading",
        "pointing",
        "entering",
        "going",
        "missing",
        "during",
        "being",
        "according",
        "regarding",
        "including",
        "concerning",
        "considering",
        "having",
        "assuming",
        "supposing",
        "imagining",
        "giving",
        "finding",
        "thing",
        "anything",
        "something",
        "nothing",
        "everything",
        "building",
        "ceiling",
        "measuring",
        "hanging",
        "touching",
        "surrounding",
        "seeing",
        "using",
        "wondering",
        "thinking",
        "asking",
        "reaching",
    ]
)


def _purpose(text: Text, i: int) -> list[Reading]:
    """To wash my hands; where I can sit: up to any of the next words, what for is not checked."""
    if text.word(i) not in ("to", "where", "for", "that", "which", "i", "one"):
        return []
    return [(end, " ".join(text.words[i:end])) for end in range(i + 2, min(i + 10, len(text.words)))]


def _number(text: Text, i: int) -> list[Reading]:
    word = text.word(i).replace(",", "")
    if word in NUMBER_WORDS:
        return [(i + 1, NUMBER_WORDS[word])]
    try:
        return [(i + 1, float(word))]
    except ValueError:
        return [(i + 1, 1)] if word in ("a", "an") else []


def _length(text: Text, i: int) -> list[Reading]:
    """2 m; half a meter; one and a half meters: metres."""
    out: list[Reading] = []
    if text.word(i) == "half" and text.word(i + 1) in ("a", "an"):
        out += [(i + 3, 0.5 * say.UNITS[text.word(i + 2)][1])] if text.word(i + 2) in say.UNITS else []
    for end, value in _number(text, i):
        if text.words[end : end + 3] == ("and", "a", "half"):
            value, end = value + 0.5, end + 3
        unit = say.UNITS.get(text.word(end))
        if unit and unit[2] == "length":
            out.append((end + 1, value * unit[1]))
            for stop, more in _number(text, end + 1):  # 1 m 90, 6 feet 2 [inches], a meter and a half
                part = say.UNITS.get(text.word(stop), say.UNITS["inch"] if unit[0] == "ft" else say.UNITS["cm"])
                if 1 <= more < 100 and text.word(end + 1) not in ("a", "an") and part[2] == "length":
                    out.append((stop + (text.word(stop) in say.UNITS), value * unit[1] + more * part[1]))
            if text.words[end + 1 : end + 4] == ("and", "a", "half"):
                out.append((end + 4, (value + 0.5) * unit[1]))
    return out


def _plural(text: Text, i: int) -> list[Reading]:
    """Chairs; red chairs: things with a known name, more than one, and no article before them."""
    known = [end for j in range(i, min(i + 3, len(text.words))) if (found := text.noun(j)) for end in found[:1]]
    return [
        (end, objects)
        for end, objects, many in text.nominal(i)
        if many and end in known and text.words[end - 1] not in _PAIRED and isinstance(_kind(objects), Kind)
    ]


_PAIRED = frozenset(("scissors", "stairs", "glasses", "pants", "jeans", "trousers"))
"""Plural words for one thing."""


def _kind(objects: Objects) -> Objects | None:
    while isinstance(objects, Filter):
        objects = objects.objects
    return objects if isinstance(objects, Kind) and objects.name != "object" and not objects.unknown else None


def _area(text: Text, i: int) -> list[Reading]:
    """20 square meters; 215 sqft: square metres."""
    out: list[Reading] = []
    for end, value in _number(text, i):
        if text.word(end) in ("square", "sq"):
            unit = say.UNITS.get(text.word(end + 1))
            if unit and unit[0] in say.SQUARE:
                out.append((end + 2, value * say.SQUARE[unit[0]][1]))
        elif text.word(end) in say.UNITS and say.UNITS[text.word(end)][2] == "area":
            out.append((end + 1, value * say.UNITS[text.word(end)][1]))
    return out


def _dimension(text: Text, i: int) -> list[Reading]:
    return [(end, Measure(name)) for end, name in say.DIMENSIONS.at(text.words, i)]


def _how(text: Text, i: int) -> list[Reading]:
    name = say.HOW.get(text.word(i))
    if name is None:
        return []
    out: list[Reading] = []
    if (
        name == "height"
        and text.word(i) == "high"
        and text.words[i + 1 : i + 4]
        in (("above", "the", "floor"), ("off", "the", "floor"), ("above", "the", "ground"), ("off", "the", "ground"))
    ):
        out.append((i + 4, Measure("elevation")))
    return [*out, (i + 1, Measure(name))]


def _color(text: Text, i: int) -> list[Reading]:
    word = text.word(i)
    return [(i + 1, COLOR_WORDS[word])] if word in COLOR_WORDS else []


def _relation_name(text: Text, i: int) -> list[Reading]:
    return list(say.RELATIONS.at(text.words, i))


def _region(text: Text, i: int) -> list[Reading]:
    return [r for r in text.part("np", i) if isinstance(r[1], Region)]


_PARTS: dict[str, Callable[[Text, int], list[Reading]]] = {
    "np": _noun_phrase,
    "nps": _several,
    "list": _lists,
    "modifier": _modifiers,
    "condition": _conditions,
    "superlative": _superlatives,
    "comparative": _comparatives,
    "sides": _side_choices,
    "side": lambda text, i: list(say.SIDES.at(text.words, i)),
    "relations": _relation_choices,
    "relation": _relation_name,
    "number": _number,
    "purpose": _purpose,
    "doing": _doing,
    "activity": _activities,
    "criterion": _criteria,
    "verb": _verb,
    "either": lambda text, i: [r for r in text.part("list", i) if "or" in text.words[i : r[0]]],
    "rest_to_length": _up_to_length,
    "length": _length,
    "area": _area,
    "plural": _plural,
    "dimension": _dimension,
    "how": _how,
    "color": _color,
    "here": lambda text, i: [*say.HERE.at(text.words, i)],
    "state": lambda text, i: list(say.STATES.at(text.words, i)),
    "region": _region,
    "quantity": lambda text, i: [r for r in _number(text, i) if text.word(i) not in ("a", "an", "no", "any")],
    "the_pick": lambda text, i: [(end, x) for end, x in text.part("np", i) if isinstance(strip(x), Pick)],
    "rest": lambda text, i: [(len(text.words), " ".join(text.words[i:]))] if i < len(text.words) else [],
}


def add_part(name: str, grammar: Grammar) -> None:
    """Make the readings of a grammar a part that other rules can use."""
    _PARTS[name] = lambda text, i: list(grammar.readings(text, i))


__all__ = ["Condition", "Text", "add_part", "scene_nouns", "strip"]

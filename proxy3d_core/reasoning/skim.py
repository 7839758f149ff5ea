"""Skimming: the reading of a sentence that no rule of ``rules`` fits as a whole.

As a person takes in a sentence of odd build, in four steps:

1. cut off what does not change the question: viewpoint clauses (kept as the stance), purposes and reasons, context;
2. cut the rest into the longest phrases that are known: things with what is said of them, conditions, measures, and
   cues of what is wanted ("how far", "which way");
3. account for every word: a word in no phrase must be a link (article, auxiliary, ...), else nothing is understood;
4. find the row of ``_INTENTS`` that takes exactly these phrases, all of them; it says what they mean together.

So no relation, attribute, negation or number is ever passed over: no row takes a phrase that it does not use. The order
of the words counts for little, which is why a skimmed program is at most ``CERTAINTY`` sure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from proxy3d_core.reasoning import meanings as mean
from proxy3d_core.reasoning import phrases as say
from proxy3d_core.reasoning import rules
from proxy3d_core.reasoning.grammar import Phrases
from proxy3d_core.reasoning.lexicon import KINDS, NOUNS, ROOM_WORDS, word_set
from proxy3d_core.reasoning.parts import Text, strip
from proxy3d_core.reasoning.program import (
    All,
    Both,
    Changed,
    Changes,
    Color,
    Colored,
    Compare,
    Condition,
    Difference,
    Distance,
    Filter,
    Identify,
    Kind,
    Me,
    Measure,
    Objects,
    Order,
    Pick,
    Query,
    Region,
    Relation,
    RelationOf,
    RoomSize,
    Route,
    Seen,
    Stance,
    The,
    Union,
    Where,
)

CERTAINTY = 0.5
"""How sure a skimmed program is at most."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class Chunk:
    """A known phrase: words ``start`` to ``end``, its kind as in ``_INTENTS``, and what it means."""

    kind: str
    value: Any
    start: int
    end: int


@dataclass(frozen=True)
class Skimmed:
    """What was understood, the viewpoint that the sentence states, words that were passed over, and the unit named."""

    query: Query
    stance: Stance | None
    left: Words
    unit: str


def skim(words: Words, nouns: frozenset[str]) -> Skimmed | None:
    """The meaning of a sentence by its known phrases; None if a word belongs to none, or they make no question.

    Args:
        words: a sentence (commas are words), without fillers.
        nouns: what the scene's labels are called.
    """
    for core, stance in _without_stance(words, nouns):
        for rest, left in _cores(core, nouns):
            text = Text(rest, nouns)
            for attached in (True, False):
                chunks = _chunks(text, attached)
                query = None if chunks is None else _meaning(chunks, text)
                if chunks is not None and query is not None:
                    unit = next((c.value[0] for c in chunks if c.kind == "unit"), "")
                    return Skimmed(query, stance, left, unit)
    return None


# ---------------------------------------------------------------------------------------------- what changes nothing

_VIEWING = word_set(
    """
    if when while whilst as suppose imagine assuming given standing stood stand sitting sit seated facing face looking
    turned turning lying with from back kneeling leaning perched parked at i entering my by turn once after you on
    """
)
_ALWAYS_VIEWING = word_set("if when while whilst as suppose imagine assuming given with after")


def _without_stance(words: Words, nouns: frozenset[str]) -> Iterator[tuple[Words, Stance | None]]:
    """All words; then those that state no viewpoint, and the viewpoint."""
    yield words, None
    stance: Stance | None = None
    text = Text(words, nouns)
    out: list[str] = []
    i = 0
    while i < len(words):
        opens = i == 0 or words[i - 1] in (",", "and")
        if words[i] in (_VIEWING if opens else _ALWAYS_VIEWING):
            found = [r for r in rules.STANCE.readings(text, i) if _is_known(r[1], nouns)]
            end, part = max(found, key=lambda r: r[0], default=(i, None))
            if part is not None and end - i < len(words) and text.word(end) != "or":
                stance = part if stance is None else stance.joined(part)
                out.append(",")
                i = end
                continue
        out.append(words[i])
        i += 1
    if stance is not None:
        yield _trimmed(tuple(out)), stance


def _trimmed(words: Words) -> Words:
    out: list[str] = []
    for word in words:
        if word not in (",", "and", "then") or (out and out[-1] != ","):
            out.append(word)
    while out and out[-1] in (",", "and"):
        out.pop()
    return tuple(out)


_REASONS = word_set("because since so for as although though")
_ASKING = word_set(
    "how what which where when who is are was were do does did can could has have count find tell name show any"
)
_PRONOUNS = word_set("it they them that those these its their")


def _cores(words: Words, nouns: frozenset[str]) -> Iterator[tuple[Words, Words]]:
    """The sentence, then what is left of it without purposes, reasons and context: (words, words passed over)."""
    yield words, ()
    text = Text(words, nouns)
    for i in range(2, len(words) - 1):
        if words[i] in _REASONS:
            stop = next((j for j in range(i, len(words)) if words[j] == ","), len(words))
            named = {found[1] for j in range(i, stop) if (found := text.noun(j))}
            of_a_thing = any(found and found[0] == i for found in map(text.noun, range(max(i - 3, 0), i)))
            if not _ASKING & set(words[i + 1 : stop]) and not named & nouns and not of_a_thing:
                yield _trimmed((*words[:i], *words[stop:])), words[i:stop]
    for i in range(len(words) - 2):
        context = words[i] in (",", "and", "but") and words[i + 1] in _ASKING and words[0] not in _ASKING
        if context and not _PRONOUNS & set(words[i:]):
            yield words[i + 1 :], words[:i]


# ---------------------------------------------------------------------------------------------- phrases

_LENGTHS = sorted(w for w, unit in say.UNITS.items() if unit[2] == "length")
_CUES = Phrases(
    {
        " ".join(phrase.split()): kind
        for kind, phrases in (
            (
                "count",
                """how many,how much,number of,the number,count,tally,quantity,amount of,head count,total number of,
                the total""",
            ),
            (
                "far",
                """how far,far,distance,distance between,gap,gap between,space between,room between,separation,
                how close,how near,separates,separated,separate,separating,clearance,clearance between,how far away,"""
                + ",".join(f"how {m} {unit}" for m in ("many", "much") for unit in _LENGTHS),
            ),
            ("apart", "apart,from each other,between each other,each other"),
            (
                "center",
                """center to center,between centers,between the centers,centers,from center to center,
                middle to middle,from middle to middle,center point to center point,from the center,to the center,
                center,centers of,between the centers of,between centers of,from the center of""",
            ),
            (
                "where",
                """where,location,whereabouts,locate,find,position,coordinates,what place,which place,what spot,
                which spot,where abouts,exact location,in what place,what part of the room,which part of the room""",
            ),
            (
                "way",
                """which way,what way,which direction,what direction,which side,what side,direction,bearing,heading,
                relative to me,from my perspective,from my point of view,in relation to me,on which side,
                on what side,to which side,at which side,on which hand,which hand,in which direction,
                in what direction,to which direction,in which way,at my,at your,on my,on your,to my,to your,
                which side of me,the side""",
            ),
            (
                "clock",
                """at what o'clock,at which o'clock,what o'clock,which o'clock,clock position,clock direction,
                clock face,what hour,which hour""",
            ),
            ("angle", "how many degrees,what angle,which angle,the angle,angle,by how many degrees"),
            ("hue", "what color,which color,color,colors,colored,shade,hue,tint,in what color,of what color"),
            (
                "which",
                """what,which,who,name,list,identify,which one,which ones,what thing,what things,which thing,
                which things,what object,which object,what objects,which objects,what items,which items,what item,
                which item,which one is it,which is it,what kind of,what sort of,what type of,what is it""",
            ),
            (
                "exist",
                """is there,are there,any,there is,there are,exist,exists,was there,were there,do you see,
                can you see,do you have,is there any,are there any,have you seen,did you see,do you know of,
                do i have,do we have,can i see,there be,to be found,available""",
            ),
            (
                "space",
                """how much space is there,how much room is there,how much space is left,how much room is left,
                how much space,how much room,how much floor,how much floor space,how spacious,how roomy""",
            ),
            ("or", "or,versus,vs"),
            (
                "not",
                """not,no,never,neither,nor,none,without,except,but,nothing,nobody,hardly,barely,unless,only,
                excluding,cannot,anymore,any longer,no longer""",
            ),
            (
                "once",
                """used to be,use to be,used to stand,use to stand,originally,previously,formerly,initially,
                at the beginning,at the start,before it was moved,before it moved,before being moved,
                until it was moved""",
            ),
            (
                "order",
                """in order,in order of,in what order,in which order,what order,which order,order,sequence,
                chronological order""",
            ),
            ("when", "when,how long ago,what time,which time,at what time"),
            ("first", "first,for the first time,earlier,sooner,earliest,before,first of all"),
            ("last", "last,later,latest,most recently"),
            (
                "route",
                """route,path,way to,how do i get,how do i reach,how can i get,how to get,how do you get,get to,
                navigate to,go to,walk to,guide me,take me,lead me,drive to,quickest path,shortest path,
                shortest route,best route,best way""",
            ),
            ("change", "changed,change,changes,different,difference,differences,rearranged"),
            ("use", "grab,use,take,choose,pick,sit on,sit in,reach for,switch on,turn on,sit down on,go for,reach"),
            ("compare", "compare,compares,compare to,compares to,compare with,compared to,compared with"),
            ("same", "same,equally,as big as,alike,identical,equal"),
            ("it", "it,they,them,that,those,its,their"),
        )
        for phrase in phrases.split(",")
    }
)
"""Words that say what is wanted."""

_LINKS = word_set(
    """
    , the a an is are was were be been being do does did can could would should will may might must shall i you we
    he she one me us my our your his her this these here there and s 's than then so please get got give tell say
    show see saw seen know need want like let appear appeared appears among stand stands standing stood sit sits
    sitting sat lie lies lying hang hangs hanging rest rests resting located placed situated positioned kept happen
    happens also too thing things object objects item items measure measured each other if whether about visible
    present currently found exactly both two these all together between whom called type kind quite rather very
    really just simply actually still yet ever well ok okay now roughly wondering ask asking interested remember
    recall guess think believe suppose wonder located away
    """
)
"""Words that carry no meaning of their own beside the phrases."""
_OF = frozenset("count far where way clock angle hue order measure unit which exist pick route change sides".split())  # noqa: SIM905
_FAR = frozenset("far apart center unit route way clock angle comparison pick sides".split())  # noqa: SIM905
_START = "start"
_LINKS_BEHIND = {
    "of": _OF | {_START},
    "for": _OF,
    "from": frozenset(("measure",)),
    "in": frozenset(("order",)),
    "many": frozenset(("count",)),
}
"""Words that are links at the start or right behind a phrase of these kinds: "the number of", not "at 6 o'clock of"."""
_LINKS_WITH = {
    "from": _FAR,
    "to": _FAR | {"use", "order", "first"},
    "go": frozenset(("way", "route", "sides", "far", "angle")),
    "turn": frozenset(("way", "sides", "angle")),
    "look": frozenset(("way", "sides", "angle", "where")),
    **dict.fromkeys(("walk", "travel", "drive", "move"), frozenset(("far", "route", "way"))),
    **dict.fromkeys(("cover", "covers", "occupy", "occupies", "take", "takes"), frozenset(("measure",))),
    "how": frozenset(("compare",)),
    "at": frozenset(("where",)),
    "in": frozenset(("unit", "measure")),
    "side": frozenset(("way", "sides", "measure")),
    "room": frozenset(("measure", "space")),
    "as": frozenset(("same", "measure")),
    **dict.fromkeys(("have", "has", "had"), frozenset(("count", "measure", "exist", "polar", "hue", "space"))),
}
"""Words that are links in a sentence with a phrase of these kinds."""
_NOT_HEDGES = word_set(
    "only family early hardly barely scarcely nearly supply reply apply assembly immediately directly fly rely"
)
_BEFORE_ME = word_set("from to of and between than or with near nearest closest")
_DETERMINERS = word_set("the a an my your our his her their its this that these those any some all each every both")


def _chunks(text: Text, attached: bool) -> list[Chunk] | None:
    """The longest known phrases from left to right; None if a word is in no phrase and no link.

    ``attached``: what is said behind a thing belongs to it; else it stands alone.
    """
    out: list[Chunk] = []
    links: list[tuple[str, str]] = []  # with the kind of the phrase right before
    i = 0
    while i < len(text.words):
        found = [c for c in _phrases_at(text, i, attached) if c.end > i]
        best = max(found, key=lambda c: c.end, default=None)  # of equals the first
        if best is not None:
            out.append(best)
            i = best.end
        elif not _may_link(text.word(i)):
            return None
        else:
            links.append((text.word(i), _START if i == 0 else out[-1].kind if out and out[-1].end == i else ""))
            i += 1
    kinds = {c.kind for c in out}
    return out if all(_is_link(word, before, kinds) for word, before in links) else None


def _may_link(word: str) -> bool:
    return _always_links(word) or word in _LINKS_BEHIND or word in _LINKS_WITH


def _always_links(word: str) -> bool:
    return word in _LINKS or (word.endswith("ly") and word not in _NOT_HEDGES)


def _is_link(word: str, before: str, kinds: set[str]) -> bool:
    """True of a word without a meaning of its own in a sentence with phrases of these kinds."""
    behind = before in _LINKS_BEHIND.get(word, ())
    return _always_links(word) or behind or not kinds.isdisjoint(_LINKS_WITH.get(word, ()))


def _phrases_at(text: Text, i: int, attached: bool) -> Iterator[Chunk]:
    """All known phrases at word ``i``, of equally long ones the likeliest first."""
    word = text.word(i)
    if i == 0 and any(word in rules.CLASSES[name] for name in ("be", "do", "have", "can")):
        yield Chunk("polar", None, i, i + 1)
    for end, kind in _CUES.at(text.words, i):
        yield Chunk(kind, None, i, end)
    yield from (Chunk("here", None, i, end) for end, _ in say.HERE.at(text.words, i) if not _asks_for_presence(text))
    yield from _things_at(text, i, attached)
    for part in ("condition", "sides", "superlative", "comparative", "dimension", "length", "state", "color"):
        for end, value in text.part(part, i):
            if _is_known(value, text.nouns):
                yield Chunk(_KIND.get(part, part), value, i, end)
    if word == "how" or text.word(i - 1) == "how":
        start = i + 1 if word == "how" else i
        yield from (Chunk("measure", value, i, end) for end, value in text.part("how", start))
    for table, name in ((say.SQUARE, "area"), (say.CUBIC, "volume")):
        unit = say.UNITS.get(text.word(i + 1))
        if word in _POWERS[name] and unit is not None and unit[0] in table:
            yield Chunk("measure", Measure(name), i, i + 2)
            yield Chunk("unit", (table[unit[0]][0], 1.0, name), i, i + 2)
    if word in say.UNITS:
        kind = say.UNITS[word][2]
        yield (
            Chunk("measure", Measure(kind), i, i + 1)
            if kind in ("area", "volume")
            else Chunk("unit", say.UNITS[word], i, i + 1)
        )
    for end, name in say.RELATIONS.at(text.words, i):
        if end == len(text.words) or text.word(end) in (",", "is", "are", "what", "which"):
            yield Chunk("relation", name, i, end)


def _asks_for_presence(text: Text) -> bool:
    """True of "is the box still here": "here" is what is asked."""
    return text.word(0) in rules.CLASSES["be"] and text.word(1) not in ("there", "a", "an", "any")


_KIND = {"superlative": "pick", "comparative": "comparison", "dimension": "measure"}
_POWERS = {"area": ("square", "sq"), "volume": ("cubic",)}


def _things_at(text: Text, i: int, attached: bool) -> Iterator[Chunk]:
    """Things; "the white one" and "the closest" say something of another."""
    readings = sorted((r for r in text.part("np", i) if "," not in text.words[i : r[0]]), key=lambda r: -r[0])
    for end, objects in readings:
        base = strip(objects)
        one = "one" in text.words[i:end] or "ones" in text.words[i:end]
        if isinstance(objects, Me):
            if text.word(i - 1) in _BEFORE_ME:
                yield Chunk("thing", objects, i, end)
        elif not _is_known(objects, text.nouns) or (not attached and _is_qualified(base)):
            continue
        elif text.word(i) not in _DETERMINERS and "?]" in str(objects):
            continue  # what no article opens may be a verb: "translate chair"
        elif isinstance(base, Pick) and base.objects == Kind("object"):
            yield Chunk("pick", (base.measure, base.most, base.rank), i, end)
        elif one and isinstance(base, Filter) and base.objects == Kind("object"):
            yield Chunk("condition", base.condition, i, end)
        elif not (one and base == Kind("object")):
            yield Chunk("thing", objects, i, end)


def _is_qualified(objects: Objects) -> bool:
    """True if something is said behind the noun, not only a colour or a size before it."""
    while isinstance(objects, Filter) and isinstance(objects.condition, Colored):
        objects = objects.objects
    return isinstance(objects, Filter)


def _is_known(value: Any, nouns: frozenset[str]) -> bool:
    """True if every class that a phrase names is known, in the scene or anywhere."""
    if isinstance(value, Kind):
        known = value.name in nouns or value.name in NOUNS or value.name in KINDS or value.name in ROOM_WORDS
        return (known or value.name == "object") and value.name not in _NO_THINGS
    if isinstance(value, tuple):
        return all(_is_known(v, nouns) for v in value)
    if is_dataclass(value):
        return all(_is_known(getattr(value, f.name), nouns) for f in fields(value))
    return True


_NO_THINGS = frozenset(("area", "space", "place", "flat"))
"""Nouns of rooms that in odd sentences are seldom meant so: a flat surface, the floor area."""

# ---------------------------------------------------------------------------------------------- what they mean together


class Slots:
    """The phrases of a sentence by kind, in the order in which they were said."""

    def __init__(self, chunks: list[Chunk], text: Text) -> None:
        self.chunks, self.text = chunks, text

    def all(self, kind: str) -> tuple[Any, ...]:
        """What the phrases of a kind mean."""
        return tuple(c.value for c in self.chunks if c.kind == kind)

    def has(self, kind: str) -> bool:
        """True if there is a phrase of the kind."""
        return any(c.kind == kind for c in self.chunks)

    @property
    def things(self) -> tuple[Objects, ...]:
        """The things, in order."""
        return self.all("thing")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What is said apart from the things."""
        return (*self.all("condition"), *map(Colored, self.all("color")), *map(Changed, self.all("state")))

    @property
    def thing(self) -> Objects:
        """The first thing with all conditions; with "or" between these, what fits any of them."""
        thing = self.things[0] if self.things else Kind("object")
        if self.has("or") and len(self.conditions) > 1:
            return Union(tuple(Filter(strip(thing), c) for c in self.conditions))
        return mean.filtered(thing, *self.conditions)


def _named(s: Slots) -> Query | None:
    """What is where: names of the things that fit."""
    base = strip(s.thing)
    if s.chunks[-1].kind == "which":
        return None  # "the pillow is between the table and what"
    if not s.conditions and isinstance(s.thing, The) and not isinstance(base, Pick):
        return None  # its name was said: something else is asked about it
    if isinstance(base, Kind | Region) or mean.is_room(s.things[0] if s.things else base):
        return None
    return Identify(mean.fill(s.thing, Me()), isinstance(s.thing, The | Pick))


def _most(s: Slots) -> Query | None:
    """The tallest of several or of a kind; "which window is the desk closest to": of a kind, to another thing."""
    measure, most, rank = (s.all("pick") + s.all("comparison"))[0]
    things = s.things
    if measure == Measure("distance") and len(things) == 2 and not s.has("or") and "," not in s.text.words:
        return Identify(Pick(strip(things[0]), Measure("distance", things[1]), most, rank), True)
    if measure == Measure("distance"):
        measure = Measure("distance", Me())
    if len(things) > 1:
        return Compare(things, measure, most, rank)
    return None if isinstance(strip(s.thing), Region) else Identify(Pick(strip(s.thing), measure, most, rank), True)


def _verified(s: Slots) -> Query | None:
    """Yes or no: what is said last of a thing is asked, the rest describes it."""
    thing, conditions = s.things[0], s.conditions
    base = strip(thing)
    if not conditions and isinstance(base, Filter):
        thing, conditions = mean.within(thing, lambda o: o.objects if isinstance(o, Filter) else o), (base.condition,)
    if not conditions:
        return None
    if isinstance(conditions[-1], Changed):
        return mean.changed(mean.filtered(thing, *conditions[:-1]), conditions[-1].state)
    return mean.verify(mean.filtered(thing, *conditions[:-1]), conditions[-1])


def _distance(s: Slots) -> Query | None:
    """Between two things, two of a kind, or from the asker."""
    ends = s.things
    if not ends:
        ends = next((c.anchors for c in s.all("condition") if isinstance(c, Relation) and c.name == "between"), ())
    elif s.conditions:
        return None
    if len(ends) == 1 and (isinstance(ends[0], All) or s.has("apart")):
        return mean.distance_of_pair(strip(ends[0]))
    if not ends or (len(ends) == 1 and s.has("it")):
        return None
    query = mean.distance(*ends)
    return replace(query, centers=s.has("center")) if isinstance(query, Distance) else query


def _sizes(s: Slots) -> Query | None:
    """One measure of a thing, or several."""
    queries = [mean.size(measure, s.thing) for measure in dict.fromkeys(s.all("measure"))]
    if None in queries:
        return None
    return queries[0] if len(queries) == 1 else Both(tuple(q for q in queries if q is not None))


def _way(s: Slots) -> Query | None:
    form = "clock" if s.has("clock") else "angle" if s.has("angle") else "word"
    if s.has("sides") and {"forward", "backward", "forwards", "backwards"} & set(s.text.words):
        form = "go"
    return mean.direction(s.thing, s.all("sides")[0] if s.has("sides") else (), None, form)


def _either(s: Slots) -> Query | None:
    """On the left, the lamp or the desk: which thing; on the desk or on the bed: which place."""
    if len(s.things) > 1:
        return Identify(mean.filtered(Union(tuple(map(strip, s.things))), *s.conditions))
    return RelationOf(s.things[0], s.conditions)


def _route(s: Slots) -> Query | None:
    ends = [(c.value, s.text.word(c.start - 1) == "from") for c in s.chunks if c.kind == "thing"]
    start, goal = (
        next((x for x, is_start in ends if is_start), None),
        next((x for x, is_start in ends if not is_start), Me()),
    )
    if len(ends) == 2 and start is None:
        start, goal = ends[0][0], ends[1][0]
    return None if isinstance(goal, Me) else Route(goal, start=None if isinstance(start, Me) else start)


def _where_before(s: Slots) -> Query:
    """Where it was; that it is gone or moved is why one asks."""
    return Where(strip(mean.filtered(s.things[0], *s.all("condition"), *map(Colored, s.all("color")))), True)


def _first(s: Slots) -> Query:
    """Of several, or of a kind, the one that was seen first or last."""
    measure, last = Measure("first_seen"), s.has("last")
    if len(s.things) > 1:
        return Compare(tuple(map(strip, s.things)), measure, last)
    return Identify(Pick(strip(s.thing), measure, last), True)


def _nearest(s: Slots) -> Query:
    return Identify(Pick(strip(s.thing), Measure("distance", Me()), False), True)


def _by_length(s: Slots) -> Query | None:
    return _distance(s) if s.all("unit")[0][2] == "length" else None


_INTENTS: tuple[tuple[str, Callable[[Slots], Query | None]], ...] = (
    ("count which? polar? exist? it? or? thing condition* color* state?", lambda s: mean.count(s.thing)),
    ("far which? polar? it? center? count? unit? apart? route? thing thing", _distance),
    ("far which? polar? center? count? exist? unit? apart? condition", _distance),
    ("far which? polar? it? unit? apart? center? thing", _distance),
    ("center apart? unit? which? polar? thing thing", _distance),
    ("unit thing thing", _by_length),
    ("measure+ which? polar? count? far? unit* it? thing condition* color?", _sizes),
    ("measure compare which? polar? thing thing", lambda s: Difference(s.things[0], s.things[1], s.all("measure")[0])),
    ("hue which? it? polar? thing condition* pick?", lambda s: Color(s.thing) if not s.has("pick") else None),
    ("way which? polar? where? or? it? sides? route? use? relation? thing", _way),
    ("sides polar? which? where? or? it? route? use? thing", _way),
    ("clock which? polar? where? it? way? thing", _way),
    ("angle which? polar? where? way? it? thing", _way),
    ("where once first? polar? it? thing condition* color? state?", _where_before),
    ("where which? polar? it? thing condition* color?", lambda s: mean.where(s.thing)),
    ("which thing relation polar?", lambda s: mean.counterpart(s.things[-1], s.all("relation")[0])),
    ("which thing thing relation polar?", lambda s: mean.counterpart(s.things[-1], s.all("relation")[0])),
    ("which? polar? or? pick thing thing+", _most),
    ("which? comparison or? thing thing+", _most),
    ("which pick polar? it? use? thing condition* color?", _most),
    ("which use thing condition* color?", _nearest),
    ("which polar? or thing thing+ condition", _either),
    ("polar? which? it? or thing condition condition+", _either),
    ("which exist? polar? it? or? thing? condition* color* state?", _named),
    ("exist polar? which? or? thing condition* color* state?", lambda s: mean.exists(s.thing)),
    ("polar it? thing condition* color? state?", _verified),
    ("when first? last? polar? exist? it? thing condition* color?", lambda s: Seen(strip(s.thing), s.has("first"))),
    ("order which? first? polar? exist? thing thing+", lambda s: Order(tuple(map(strip, s.things)))),
    ("first which? or? polar? exist? it? thing+", _first),
    ("last which? or? polar? exist? it? thing+", _first),
    ("last which polar? exist?", _first),
    ("route which? thing thing?", _route),
    ("change which? polar? exist? it?", lambda s: Changes("any", s.has("polar"))),
    ("space exist? unit? measure?", lambda s: RoomSize()),
    ("space exist? unit? condition", _distance),
)
"""What phrases together ask: which kinds there must be (``?`` at most one, ``*`` any number, ``+`` one or more), and
what they mean; a kind without a mark: exactly one. Cues may be said twice."""

_SLOTS = frozenset("thing condition measure pick comparison color sides length state relation".split())  # noqa: SIM905


def _meaning(chunks: list[Chunk], text: Text) -> Query | None:
    """The query of the first row that takes exactly these phrases."""
    for pattern, build in _INTENTS:
        query = build(Slots(chunks, text)) if _fits(pattern, chunks) else None
        if query is not None:
            return query
    return None


def _fits(pattern: str, chunks: list[Chunk]) -> bool:
    least: Counter[str] = Counter()
    most: dict[str, float] = {}
    for item in pattern.split():
        kind = item.rstrip("?*+")
        least[kind] += item[-1] not in "?*"
        most[kind] = most.get(kind, 0) + (float("inf") if item[-1] in "*+" else 1)
    counted = Counter(c.kind for c in chunks if c.kind != "here")
    return all(counted[k] >= n for k, n in least.items()) and all(
        k in most and (n <= most[k] or k not in _SLOTS) for k, n in counted.items()
    )


__all__ = ["CERTAINTY", "Skimmed", "skim"]

"""The questions: one rule per way of asking, each with the program it means. Add a line here to teach a new wording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from proxy3d_core.reasoning.grammar import Grammar, Rule
from proxy3d_core.reasoning.lexicon import ROOM_WORDS, word_set
from proxy3d_core.reasoning.parts import add_part, strip
from proxy3d_core.reasoning.program import (
    All,
    Changed,
    Changes,
    Color,
    Colored,
    Compare,
    Condition,
    Count,
    CountTest,
    Describe,
    Difference,
    Direction,
    Distance,
    Exceeds,
    Exists,
    Fate,
    Filter,
    Fits,
    Identify,
    Kind,
    Me,
    Measure,
    MovedBy,
    Not,
    Objects,
    Order,
    Other,
    Pick,
    Query,
    Relation,
    RelationOf,
    RoomSize,
    Route,
    Seen,
    Side,
    Size,
    Stance,
    The,
    Union,
    Verify,
    Where,
)

CLASSES = {
    "be": word_set("is are was were be being"),
    "do": word_set("do does did"),
    "stands": word_set("is are was were stands sits lies hangs rests stand sit lie hang rest stood sat lay hung"),
    "saw": word_set("saw seen see noticed notice spotted spot observed observe detected encountered met found recorded"),
    "have": word_set("have has had"),
    "can": word_set("can could would should will may might must do did shall"),
    "you": word_set("you i we they one it"),
    "see": word_set(
    """
    see seen saw find found notice noticed spot observe observed detect detected count perceive recognize view
    identify have
    """
),
    "appears": word_set("appear appeared appears seen come came comes show showed shown spotted noticed encountered enter entered observed detected become became"),
    "go": word_set("go walk move head drive turn navigate get travel run reach face look"),
    "which": word_set("which what"),
    "there": word_set("there it they"),
    "meters": word_set(
    """
    meters metres meter m centimeters cm centimeter feet foot inches inch yards millimeters mm ft
    """
),
}  # fmt: skip


_MEASURED = CLASSES["meters"] | word_set("meter foot degree distance space room gap clearance inch")
_LEFT_RIGHT = (("left", "left"), ("right", "right"))


def is_room(objects: Objects) -> bool:
    """True for "the room" itself."""
    objects = strip(objects)
    return isinstance(objects, Kind) and objects.name in ROOM_WORDS


def fill(objects: Objects, anchor: Objects) -> Objects:
    """The same objects, with "nearest" meaning nearest to ``anchor`` where nothing else is said."""
    if isinstance(objects, The | All):
        return _within(objects, partial(fill, anchor=anchor))
    if isinstance(objects, Filter):
        return Filter(fill(objects.objects, anchor), objects.condition)
    if isinstance(objects, Pick):
        measure = objects.measure
        if measure.name == "distance" and measure.anchor is None:
            measure = Measure("distance", anchor)
        return replace(objects, objects=fill(objects.objects, anchor), measure=measure)
    return objects


def _within(objects: Objects, modify: Callable[[Objects], Objects]) -> Objects:
    """Modified under "the" or "all", which stay outermost."""
    if isinstance(objects, The):
        return The(modify(objects.objects))
    return All(modify(objects.objects)) if isinstance(objects, All) else modify(objects)


def filtered(objects: Objects, *conditions: Condition | None) -> Objects:
    """``objects`` for which all conditions hold; keeps "the"."""
    for condition in conditions:
        if condition is not None:
            objects = _within(objects, partial(Filter, condition=condition))
    return objects


def _modified(objects: Objects, modify: Any) -> Objects:
    if modify is None:
        return objects
    return _within(objects, modify)


def _count(x: Objects, m: Any = None, m2: Any = None, c: Condition | None = None) -> Query | None:
    if is_room(x) or _is_unit(x):
        return None
    return Count(filtered(_modified(_modified(strip(x), m), m2), c))


def _is_unit(objects: Objects) -> bool:
    """True for "meters": a distance is asked for, no count."""
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    return isinstance(objects, Kind) and objects.name in _MEASURED


def _exists(x: Objects, m: Any = None, no: Any = None) -> Query | None:
    return None if isinstance(x, Me) or is_room(x) or _is_unit(x) else Exists(_modified(strip(x), m))


def _count_test(x: Objects, test: str, n: float = 0, m: Any = None, y: Objects | None = None) -> Query:
    return CountTest(_modified(strip(x), m), test, int(n), None if y is None else strip(y))


def _counted(test: str) -> Any:
    return lambda x, n=0, m=None, y=None: _count_test(x, test, n, m, y)


def _distance(a: Objects, b: Objects | None = None) -> Query | None:
    b = Me() if b is None else b
    if is_room(a) or is_room(b) or (isinstance(a, Me) and isinstance(b, Me)):
        return None
    if isinstance(a, Me):
        a, b = b, a
    return Distance(fill(a, b), fill(b, a))


def _distance_of_several(xs: tuple[Objects, ...]) -> Query | None:
    if len(xs) != 2:
        return None
    if str(strip(xs[0])) == str(strip(xs[1])):
        return None
    return _distance(*xs)


def _distance_of_pair(x: Objects) -> Query | None:
    """Two objects of one class: "between the two chairs"."""
    return Distance(x, x) if isinstance(x, Kind | Filter | All) else None


_ROOM_MEASURES = ("size", "area", "dimensions", "length", "width", "height")


def _size(d: Measure, x: Objects) -> Query | None:
    if is_room(x):
        return RoomSize("area" if d.name == "size" else d.name) if d.name in _ROOM_MEASURES else None
    return None if isinstance(x, Me) else Size(x, d)


def _room_size(x: Objects, d: Measure | None = None) -> Query | None:
    return RoomSize() if is_room(x) else None


def _direction(
    x: Objects, s: tuple[tuple[str, str], ...] = (), of: Objects | None = None, form: str = "word"
) -> Query | None:
    if isinstance(x, Me) and of is None:
        return None
    if form == "go" and is_room(x):
        x = Kind("door")  # to leave the room
    base = strip(x)
    if s and isinstance(base, Filter) and isinstance(base.condition, Side):
        return None  # "is the chair to my left or right": the left is a choice, no attribute of the chair
    if isinstance(of, Me):
        of = None
    return Direction(fill(x, Me()), tuple(dict(s)), of, form, tuple(dict(s).values()))


def _in_form(form: str) -> Any:
    return lambda x, s=(), of=None: _direction(x, s, of, form)


def _verify(x: Objects, c: Condition, no: Any = None) -> Query | None:
    if isinstance(x, Me):
        # "Am I next to the table": where the asker is.
        return Verify(x, c) if isinstance(c, Relation) else None
    if isinstance(x, Kind | Filter | Union) and not isinstance(c, Changed):
        return Exists(filtered(x, c))  # "is a chair next to the table", "is anything on it"
    if isinstance(c, Exceeds) and c.measure.anchor is None and c.measure.name == "distance":
        c = Exceeds(Measure("distance", Me()), c.than, c.less)
    return Verify(x, c)


def _identify(x: Objects, m: Any = None, c: Condition | None = None) -> Query | None:
    if isinstance(x, Me):
        return None
    if is_room(x) and m is None and c is None:
        return None
    one = isinstance(x, The | Pick)
    if isinstance(strip(x), Kind) and m is None and c is None:
        return None
    return Identify(fill(filtered(_modified(x, m), c), Me()), one)


def _what(m: Any = None, c: Condition | None = None) -> Query:
    return Identify(filtered(_modified(Kind("object"), m), c))


def _what_superlative(p: Any, x: Objects | None = None, m: Any = None) -> Query | None:
    measure, most, rank = p
    if x is not None and isinstance(x, Me):
        return None
    base = _modified(strip(x) if x is not None else Kind("object"), m)
    if measure.name == "distance" and measure.anchor is None:
        measure = Measure("distance", Me())
    return Identify(Pick(base, measure, most, rank), True)


def _compare(xs: tuple[Objects, ...] = (), p: Any = None, y: Objects | None = None) -> Query | None:
    measure, most, rank = p
    if measure.name == "distance" and measure.anchor is None:
        measure = Measure("distance", y if y is not None else Me())
    if len(xs) == 1:
        return None
    return Compare(tuple(xs), measure, most, rank)


def _of_options(p: Any) -> Query:
    return _compare((), p)  # type: ignore[return-value]


def _order(xs: tuple[Objects, ...] = ()) -> Query:
    return Order(tuple(strip(x) for x in xs))


def _seen_before(a: Objects, b: Objects) -> Query:
    return Compare((strip(a), strip(b)), Measure("first_seen"), False)


def _changed(x: Objects, state: str) -> Query | None:
    if isinstance(x, Me):
        return None
    base = strip(x)
    if isinstance(base, Kind) and base.name == "object":
        return Changes(state, yes_no=True)
    return Verify(x, Changed(state))


def _difference(x: Objects, p: Any, y: Objects) -> Query | None:
    measure = p[0]
    if measure.name == "distance" and measure.anchor is None:
        measure = Measure("distance", Me())
    return Difference(x, y, measure)


def _place_of(x: Objects, y: Objects) -> Query | None:
    return RelationOf(x, tuple(Relation(name, (y,)) for name in ("left_of", "right_of", "front_of", "behind")))


def _which_changed(state: str = "any", x: Objects | None = None) -> Query | None:
    if x is None or (isinstance(strip(x), Kind) and strip(x).name == "object"):  # type: ignore[union-attr]
        return Changes(state)
    return Identify(Filter(strip(x), Changed(state)))


def _where(x: Objects, m: Any = None) -> Query | None:
    return None if isinstance(x, Me) or is_room(x) else Where(fill(_modified(x, m), Me()))


def _list_objects(x: Objects) -> Query | None:
    base = strip(x)
    if isinstance(base, Kind) and base.name == "object" and not base.unknown:
        return Describe()
    return None if isinstance(base, Me) else Identify(fill(base, Me()))


def _more_than(c: str, x: Objects, y: Objects, m: Any = None) -> Query:
    return CountTest(_modified(strip(x), m), c, 0, _modified(strip(y), m))


def _turned(degrees: float) -> Any:
    return lambda **_: Stance(turn=degrees)


def _stand(at: Objects | None = None, facing: Objects | None = None, back: Objects | None = None) -> Stance | None:
    if isinstance(at, Me):
        at = None
    return Stance(at, facing, back)


_STAND = "(standing|stand|stood|sitting|sit|sat|seated|located|positioned|placed|parked|lying|being|waiting|working|staying|beginning|starting|start|begin|leaning|stationed|am|be|go)"
_POSTURE = "(at|by|near|beside|on|in|inside|under|behind|against|with|from|next to|close to|in front of|in the doorway of|right next to|at the side of|adjacent to|to)"
_LOOK = "(facing|face|looking|look|turned|turn|turning|oriented|pointing|directed|gazing|staring|watching|heading|rotated|orient)"
_AT = "[toward|at|to|in the direction of|out of|out|into|through|straight at|directly at]"

# fmt: off
STANCE_PART = Grammar(
    [
        Rule(f"{_STAND} [right|up|upright|here|close] {_POSTURE} <at:np>", _stand),
        Rule(f"{_STAND} [half way|halfway|midway|exactly|right] (between|in between) <a:np> and <b:np>", lambda a, b: Stance(between=(a, b))),
        Rule(f"{_LOOK} {_AT} <facing:np> from <at:np>", _stand),
        Rule(f"{_LOOK} {_AT} <facing:np>", _stand),
        Rule("(with|have|having|has) (my|your|the|its) back (to|toward|against|facing|turned to|on) <back:np>", _stand),
        Rule("(my|your) back (is|faces|facing) [to|toward|against|turned to] <back:np>", _stand),
        Rule(f"{_LOOK} (away from) <back:np>", _stand),
        Rule("(turn|turning|turned|face|facing|look|looking|spin) (around|back|backward|round|directly around|behind me|180 degrees|completely around)", _turned(180)),
        Rule("(turn|turning|turned|face|facing|look|looking|rotate) [to [the|my|your]] left [90 degrees]", _turned(90)),
        Rule("(turn|turning|turned|face|facing|look|looking|rotate) [to [the|my|your]] right [90 degrees]", _turned(-90)),
        Rule("(entering|enter|entered|coming|come|walking|walk|stepping|step|coming in) [in|into|inside|to] [the room] (through|from|by|at|in|via) <at:np>", _stand),
        Rule("(in front of|next to|at|by|beside|near|in) <at:np>", _stand),
    ],
    CLASSES,
)
add_part("stance_part", STANCE_PART)

_IF = "[if|when|while|as|suppose|imagine|assume|assuming|say|supposing|pretend|given|picture|after|once|imagining]"
_I = "[that] [i|you|we|someone|the robot|a robot|a person|somebody|one] [am|is|are|was|were|be|would be|had been] [a robot|the robot] [to] [go and|go]"
_AND = "[and|while|then|but|or|when|as] [then] [i|you|we] [am|is|are|were|was|be] [to]"

STANCE = Grammar(
    [
        Rule(f"{_IF} {_I} <a:stance_part> {_AND} <b:stance_part> {_AND} <c:stance_part>", lambda a, b, c: a.joined(b).joined(c)),
        Rule(f"{_IF} {_I} <a:stance_part> {_AND} <b:stance_part>", lambda a, b: a.joined(b)),
        Rule(f"{_IF} {_I} <a:stance_part>", lambda a: a),
        Rule("(when|if|as) [viewed|seen|looking|looked|watched|viewing] from <at:np> [toward|to|facing] <facing:np>", _stand),
        Rule("[viewed|seen|looking|looked|watched|viewing] from <at:np> [facing|looking at|looking to|toward|looking toward] <facing:np>", _stand),
        Rule("[when|if|as] [viewed|seen|looking|looked|watched|viewing] from <at:np>", _stand),
        Rule("from [the] (perspective|viewpoint|view|position|point of view|location|standpoint|side) of <at:np> [facing|looking at|toward] <facing:np>", _stand),
        Rule("from [the] (perspective|viewpoint|view|position|point of view|location|standpoint|side) of <at:np>", _stand),
    ],
    CLASSES,
)
"""Where the asker stands and looks."""

_ARRANGE = "[%can %you] (put|sort|order|rank|list|arrange|give|name|sequence|tell) [me]"
_THESE = "(these|the following|them|those) [objects|things|items|categories|ones|classes]"
_BY_ORDER = "(by|in|into|according to) [the] [right|correct|time] [order|sequence] [of|in which|that|by|when] [%you|they|first|were|was|have] [first] (%saw|appearance|%appears) [them|in|into view|first]"
_VISIBLE = "[visible|present|available|located|standing|around|existing|in total|found]"

QUESTIONS = Grammar(
    [
        # -- counting
        Rule("[%which %be] [the] [total] (number|count|amount) of <x:nps> %you (have|can see|see|have got|got|know of)", _count),
        Rule("how many <x:nps> [are there] [all|in] (total|all) [<m:modifier>]", _count),
        Rule("how many <x:nps> (lie|sit|stand|hang|rest|are lying|are sitting|are standing) <c:condition>", _count),
        Rule("%can you (count|tally) [up] [all] <x:nps> [<m:modifier>]", _count),
        Rule("(how many|how much) <x:nps> [for me]", _count),
        Rule("how much <x:nps> %be %there [<m:modifier>]", _count),
        Rule("how much <x:nps> %be <m:modifier>", _count),
        Rule(f"how many <x:nps> %be [there|they] {_VISIBLE} <c:condition>", _count),
        Rule(f"how many <x:nps> %be [there|they] {_VISIBLE} <m:modifier>", _count),
        Rule(f"how many <x:nps> [there] %be [there|they] {_VISIBLE}", _count),
        Rule("how many <x:nps> (%can|%have) %you [%see] [have|got|seen] [<m:modifier>]", _count),
        Rule("how many <x:nps> (%can|%have) (be|been) (%see|visible|counted) [<m:modifier>]", _count),
        Rule("how many <x:nps> %be %there <m:modifier> <m2:modifier>", _count),
        Rule("how many <x:nps> (%can|%have) %you [%see] <m:modifier> <m2:modifier>", _count),
        Rule("how many <x:nps> (exist|exists|remain|stand|sit|hang|do you count) [<m:modifier>]", _count),
        Rule("how many <x:nps> [%be there] that (can|could) be %see [<m:modifier>]", _count),
        Rule("how many <x:nps> %do (the|this|my) (room|scene|apartment|house|space|kitchen|office) (have|contain|hold)", _count),
        Rule("how many <x:nps> %do <y:np> (have|hold) [on it|around it|at it|next to it|in it]", lambda x, y: Count(strip(x) if is_room(y) else Filter(strip(x), Relation("of", (y,))))),
        Rule("how many of <x:nps> %be <c:condition>", _count),
        Rule("how many [of] <x:nps> (surround|surrounds|face|touch) <y:np>", lambda x, y: Count(Filter(strip(x), Relation("at", (y,))))),
        Rule("how many <x:nps> (moved|have moved|have been moved|were moved|changed place)", lambda x: Count(Filter(strip(x), Changed("moved")))),
        Rule("how many <x:nps> (%be|%have) [been] <s:state>", lambda x, s: Count(Filter(strip(x), Changed(s)))),
        Rule("how many <x:nps> %be <c:color>", lambda x, c: Count(Filter(strip(x), Colored(c)))),
        Rule("how many (kinds|types|different kinds|different types) of <x:np> %be <h:here>", lambda x, h: Count(strip(x), kinds=True)),
        Rule("how many (kinds|types|sorts|different kinds|different types|classes|categories) of <x:np> [%be there] [<h:here>]", lambda x, h=None: Count(strip(x), kinds=True)),
        Rule("[%which %be] [give me|state|determine|find|say|report|get] [the|a|your] [total|exact|overall] (number|count|amount|quantity|total|tally) of <x:nps> [<m:modifier>]", _count),
        Rule("[%which %be] the <x:nps> (count|total|tally) [<m:modifier>]", _count),
        Rule("<x:nps> (count|total|tally)", _count),
        Rule("(count|tally|enumerate|number) [up|how many] [all|all of|all the] <x:nps> [%be there] [<m:modifier>] [for me|for us]", _count),
        Rule("number of <x:nps>", _count),
        Rule("how many <x:nps> (the|this|my) (room|scene|apartment|house|space|kitchen|office) (has|have|contains)", _count),
        Rule("how many of <x:nps> %be <c:color>", lambda x, c: Count(Filter(strip(x), Colored(c)))),
        Rule("how many <x:nps> %you (have|can see|see|have got|have seen|got|know of|can count|count) [<m:modifier>]", _count),
        Rule("how many <x:nps> (lead|leads|open|opens|go|goes) (into|to|out of|in|onto) <y:np>", lambda x, y: Count(strip(x)) if is_room(y) else None),
        Rule("<x:nps> [,] how many [%be there|%do %you %see|%be they] [<m:modifier>]", _count),
        Rule("how many <x:nps> %be to be (%see|counted) [<m:modifier>]", _count),
        # -- tests of a count
        Rule("(%do|%have|%can) (%you|<r:np>) (have|see|contain|got|hold) more <x:np> than <y:np> [<m:modifier>]", lambda x, y, m=None, r=None: None if r is not None and not is_room(r) else _count_test(x, "more", 0, m, y)),
        Rule("(%do|%have|%can) (%you|<r:np>) (have|see|contain|got|hold) (fewer|less) <x:np> than <y:np> [<m:modifier>]", lambda x, y, m=None, r=None: None if r is not None and not is_room(r) else _count_test(x, "fewer", 0, m, y)),
        Rule("(%do|%have|%can) (%you|<r:np>) (have|see|contain|got|hold) as many <x:np> as <y:np> [<m:modifier>]", lambda x, y, m=None, r=None: None if r is not None and not is_room(r) else _count_test(x, "equal", 0, m, y)),
        Rule("(%do|%have|%can) (%you|<r:np>) (have|see|contain|got|hold) (more than|over) <n:number> <x:np> [<m:modifier>]", lambda x, n, m=None, r=None: None if r is not None and not is_room(r) else _count_test(x, "more", n, m)),
        Rule("(%do|%have|%can) (%you|<r:np>) (have|see|contain|got|hold) at least <n:number> <x:np> [<m:modifier>]", lambda x, n, m=None, r=None: None if r is not None and not is_room(r) else _count_test(x, "at_least", n, m)),
        Rule("more <x:np> than <y:np> [<m:modifier>]", _counted("more")),
        Rule("(fewer|less) <x:np> than <y:np> [<m:modifier>]", _counted("fewer")),
        Rule("%be the (number|amount|count) of <x:nps> [<m:modifier>] [an|a] (odd or even|even or odd|odd or an even|even or an odd) [number|one]", _counted("parity")),
        Rule("%be the (number|amount|count) of <x:nps> [<m:modifier>] [an|a] odd [number]", _counted("odd")),
        Rule("%be the (number|amount|count) of <x:nps> [<m:modifier>] [an|a] even [number]", _counted("even")),
        Rule("%be there an (odd or even|even or odd) (number|amount) of <x:nps> [<m:modifier>]", _counted("parity")),
        Rule("%be there an odd (number|amount) of <x:nps> [<m:modifier>]", _counted("odd")),
        Rule("%be there an even (number|amount) of <x:nps> [<m:modifier>]", _counted("even")),
        Rule("%can the (number|amount|count) of <x:nps> [<m:modifier>] [be] [evenly] (divided|divisible) [evenly] by <n:number>", _counted("multiple")),
        Rule("%be the (number|amount|count) of <x:nps> [<m:modifier>] [evenly] divisible by <n:number>", _counted("multiple")),
        Rule("%be there more <x:np> than <y:np> [<m:modifier>]", _counted("more")),
        Rule("%be there (fewer|less) <x:np> than <y:np> [<m:modifier>]", _counted("fewer")),
        Rule("%be there as many <x:np> as <y:np> [<m:modifier>]", _counted("equal")),
        Rule("%be there (more than|over) <n:number> <x:np> [<m:modifier>]", _counted("more")),
        Rule("%be there (fewer than|less than|under) <n:number> <x:np> [<m:modifier>]", _counted("fewer")),
        Rule("%be there at least <n:number> <x:np> [<m:modifier>]", _counted("at_least")),
        Rule("%be there at most <n:number> <x:np> [<m:modifier>]", _counted("at_most")),
        Rule("%be there (exactly|only) <n:number> <x:np> [<m:modifier>]", _counted("exactly")),
        Rule("%be there <n:quantity> <x:np> [<m:modifier>]", _counted("exactly")),
        Rule("%be there (more than|over) one <x:np> [<m:modifier>]", lambda x, m=None: _count_test(x, "more", 1, m)),
        Rule("%be there only one <x:np> [<m:modifier>]", lambda x, m=None: _count_test(x, "exactly", 1, m)),
        Rule("%be there (multiple|several|many) <x:np> [<m:modifier>]", lambda x, m=None: _count_test(x, "more", 1, m)),
        Rule("what %be there more of [,] <x:np> or <y:np>", lambda x, y: Compare((strip(x), strip(y)), Measure("count"), True)),
        Rule("%be there more <x:np> or [more] <y:np> [<m:modifier>]", lambda x, y, m=None: Compare((strip(x), strip(y)), Measure("count"), True)),
        # -- change
        Rule("what (happened|has happened|became|has become|was done|did happen) (to|of|with|about) <x:np> [<h:here>] [since <r:rest>]", lambda x, h=None, r=None: None if isinstance(x, Me) or is_room(x) else Fate(x)),
        Rule("(did|has) (anything|something) (happen|happened|change|changed) (to|with|about) <x:np>", lambda x: None if is_room(x) else Fate(x)),
        Rule("what %have [been] (changed|different|happened) [<h:here>] [since <r:rest>]", lambda h=None, r=None: Changes("any")),
        Rule("what (changed|is different|changes|%have been changed) [<h:here>] [since <r:rest>]", lambda h=None, r=None: Changes("any")),
        Rule("(did|has) (something|anything) (change|changed|happen|been changed) [<h:here>] [since <r:rest>]", lambda h=None, r=None: Changes("any", True)),
        Rule("%be (something|anything) different [<h:here>] [since <r:rest>]", lambda h=None, r=None: Changes("any", True)),
        Rule("(what|which) [<x:np>] (%be|%have) [been] <state:state> [<h:here>] [since <r:rest>]", lambda state, x=None, h=None, r=None: None if state == "present" else _which_changed(state, x)),
        Rule("(what|which) <x:np> <state:state> [<h:here>] [since <r:rest>]", lambda state, x=None, h=None, r=None: None if state == "present" else _which_changed(state, x)),
        Rule("what <state:state> [<h:here>] [since <r:rest>]", lambda state, h=None, r=None: None if state == "present" else _which_changed(state)),
        Rule("what (new|missing|moved) (object|objects|thing|things|item|items) %be there", lambda: Changes("new")),
        Rule("%be there (anything|something) new [<h:here>]", lambda h=None: Changes("new", True)),
        Rule("%be there (anything|something) missing [<h:here>]", lambda h=None: Changes("gone", True)),
        Rule("(have|has|had|did|was|were|is|are) <x:np> [been] <state:state> [<h:here>] [since <r:rest>]", lambda x, state, h=None, r=None: _changed(x, state)),
        Rule("did <x:np> (move|change place|change position|change location|get moved|shift|relocate) [<h:here>] [since <r:rest>]", lambda x, h=None, r=None: _changed(x, "moved")),
        Rule("did <x:np> (disappear|vanish|go missing|go away|get removed|get taken) [<h:here>] [since <r:rest>]", lambda x, h=None, r=None: _changed(x, "gone")),
        Rule("did (anyone|anybody|someone|somebody) (move|touch|displace|shift) <x:np>", lambda x: _changed(x, "moved")),
        Rule("(has|did) (anyone|anybody|someone|somebody) (moved|move|touched|displaced) <x:np>", lambda x: _changed(x, "moved")),
        Rule("(has|did) (anyone|anybody|someone|somebody) (taken|take|removed|remove|stolen|steal) <x:np> [away]", lambda x: _changed(x, "gone")),
        Rule("%be <x:np> (in|at) [the|its] (same|original|old|usual) (place|position|spot|location) [as before]", lambda x: Verify(x, Not(Changed("moved")))),
        Rule("%be <x:np> where (it was|they were) [before]", lambda x: Verify(x, Not(Changed("moved")))),
        Rule("where (was|were) <x:np> (before|originally|initially|at first|earlier|previously|at the beginning) [it was moved|it moved|they were moved|being moved|that|moving]", lambda x: Where(x, before=True)),
        Rule("where did <x:np> (use to be|used to be|stand before|come from|stand originally|stand earlier|move from)", lambda x: Where(x, before=True)),
        Rule("where (%be|was) <x:np> moved from", lambda x: Where(x, before=True)),
        Rule("where (did|%have|%be|was) <x:np> [been] (go|gone|move|moved|move to|moved to|end up|put)", _where),
        Rule("how far (did|%have|was|were|%be) <x:np> [been] (move|moved|travel|shift|shifted|displaced)", lambda x: MovedBy(x)),
        Rule("(what|which) <x:np> did you see (first|before anything else)", lambda x: Identify(Pick(strip(x), Measure("first_seen"), False), True)),
        Rule("(what|which) <x:np> did you see last", lambda x: Identify(Pick(strip(x), Measure("first_seen"), True), True)),
        Rule("what did you see first", lambda: Identify(Pick(Kind("object"), Measure("first_seen"), False), True)),
        Rule("what (did you see last|was the last thing you saw|have you seen last)", lambda: Identify(Pick(Kind("object"), Measure("first_seen"), True), True)),
        Rule("what was the first (thing|object|item) [that] (you saw|you have seen|seen)", lambda: Identify(Pick(Kind("object"), Measure("first_seen"), False), True)),
        Rule("what was the last (thing|object|item) [that] (you saw|you have seen|seen)", lambda: Identify(Pick(Kind("object"), Measure("first_seen"), True), True)),
        # -- when
        Rule("(what|which) [<x:np>] (did|%have) %you [first] %saw (before|prior to) <b:np>", lambda b, x=None: Identify(Filter(Kind("object") if x is None else strip(x), Exceeds(Measure("first_seen"), strip(b), less=True)))),
        Rule("(what|which) [<x:np>] (did|%have) %you [first] %saw after <b:np>", lambda b, x=None: Identify(Filter(Kind("object") if x is None else strip(x), Exceeds(Measure("first_seen"), strip(b))))),
        Rule("%be <a:np> [first] %saw before <b:np>", lambda a, b: _before(a, b)),
        Rule("%be <a:np> [first] %saw after <b:np>", lambda a, b: _before(b, a)),
        Rule("(did|do) <a:np> (appear|come into view|show up|come) before <b:np>", lambda a, b: _before(a, b)),
        Rule("(did|do) <a:np> (appear|come into view|show up|come) after <b:np>", lambda a, b: _before(b, a)),
        Rule("did you [first] see <a:np> after [you saw|seeing] <b:np>", lambda a, b: _before(b, a)),
        Rule("[%which %be] [the] (last|latest|most recent) <x:np> [that] (%you) [have|had] %saw [last]", lambda x: Identify(Pick(strip(x), Measure("first_seen"), True), True)),
        Rule("[%which %be] [the] (first|earliest) <x:np> [that] (%you) [have|had] %saw [first]", lambda x: Identify(Pick(strip(x), Measure("first_seen"), False), True)),
        Rule("[%which %be] [the] (last|latest|most recent) <x:np> (to %appears|that %appears|%saw)", lambda x: Identify(Pick(strip(x), Measure("first_seen"), True), True)),
        Rule("[%which %be] [the] (first|earliest) <x:np> (to %appears|that %appears|%saw)", lambda x: Identify(Pick(strip(x), Measure("first_seen"), False), True)),
        Rule("%which [<x:np>] (%be|did %you) [the] first [one] [thing] [to be|that was|that you] %saw", lambda x=None: Identify(Pick(Kind("object") if x is None else strip(x), Measure("first_seen"), False), True)),
        Rule("when %be the last time <x:np> %be (visible|seen|there|in view)", lambda x: Seen(x)),
        Rule("how long %have it been since %you [last] (saw|seen) <x:np>", lambda x: Seen(x)),
        Rule("when (did|%have|was|were) [you|i|we] [the] [last|most recently] (see|seen|saw|notice|spot|observe) <x:np> [last|for the last time]", lambda x: Seen(x)),
        Rule("when (did|%have|was|were) [you|i|we] first (see|seen|saw|notice|spot|observe) <x:np>", lambda x: Seen(x, first=True)),
        Rule("when did you see <x:np> (first|for the first time)", lambda x: Seen(x, first=True)),
        Rule("when (was|were|%have) <x:np> [been] [last|most recently] (seen|observed|spotted|noticed|visible)", lambda x: Seen(x)),
        Rule("when (was|were|%have) <x:np> [been] first (seen|observed|spotted|noticed|visible)", lambda x: Seen(x, first=True)),
        Rule("when did <x:np> (first appear|appear|appear first|show up)", lambda x: Seen(x, first=True)),
        Rule("when %be the last time [that] (you|i|we) (saw|seen|have seen|noticed) <x:np>", lambda x: Seen(x)),
        Rule("when %be the first time [that] (you|i|we) (saw|seen|have seen|noticed) <x:np>", lambda x: Seen(x, first=True)),
        Rule("how long ago (did|%have|was) [you|i|we] [last] (see|seen|saw) <x:np>", lambda x: Seen(x)),
        Rule("how long ago (was|were) <x:np> [last] (seen|observed|spotted)", lambda x: Seen(x)),
        Rule("(when|how long) %have you (last|most recently) %see <x:np>", lambda x: Seen(x)),
        Rule("where did you [last] see <x:np> [last]", _where),
        # -- order of appearance
        Rule(f"{_ARRANGE} {_THESE} {_BY_ORDER} [, <xs:list>]", lambda xs=(): _order(xs)),
        Rule(f"{_ARRANGE} {_THESE} [, <xs:list>] {_BY_ORDER}", lambda xs=(): _order(xs)),
        Rule(f"{_ARRANGE} [,] <xs:list> {_BY_ORDER}", _order),
        Rule("[in] (what|which) [%be the] order (did|do|%be|were|%have) <xs:list> [first|been] %appears [into view|in view|into sight|in sight|up|first|visible]", _order),
        Rule("[in] (what|which) [%be the] order (did|do|%be|were|%have) (these|the following|they) [objects|things|categories|items] [first|been] %appears [into view|in view|into sight|in sight|up|first|visible] [in] [, <xs:list>]", lambda xs=(): _order(xs)),
        Rule("[in] (what|which) [%be the] order (did|%have) (%you|the robot) [first] (%saw|encounter|pass|come across|run into) [the following|these] [objects|things|categories] [,] <xs:list> [in] [first|for the first time]", _order),
        Rule("<xs:list> [,] [in] (what|which) order (did|%have|were|was) [%you|they] [first] (%saw|%appears) [them|into view|in view]", _order),
        Rule("(what|which) [one] %appears [into view|into sight|up] first [,] <xs:list>", lambda xs: Compare(tuple(strip(x) for x in xs), Measure("first_seen"), False)),
        Rule("(sort|order|rank|list) (these|the following) [objects|things] by [first|time of] (appearance|sighting) [,] <xs:list>", _order),
        Rule("(which|what) [one] (came into view|came into sight|was seen|was visible|appeared) first [,] <xs:list>", lambda xs: Compare(tuple(strip(x) for x in xs), Measure("first_seen"), False)),
        Rule("(what|which) (will|would|%be|was) [be] the [first time|first] appearance order of [the following|these|following] [categories|objects|things|classes] [<h:here>] [,] <xs:list>", lambda xs, h=None: _order(xs)),
        Rule("(what|which) (will|would|%be|was) [be] the [first time|first] appearance order of [the following|these|following] (categories|objects|things|classes) [<h:here>]", lambda h=None: _order()),
        Rule("[in] (what|which) [%be the] order (did|%have) (you|we|i|the robot) [first] (see|seen|saw|notice|spot|encounter) [the following|these] [objects|things|categories] [,] <xs:list> [first|for the first time]", _order),
        Rule("[in] (what|which) [%be the] order (did|do|%be|were) <xs:list> (appear|seen|first seen|first appear|appear first|show up|spotted)", _order),
        Rule("(sort|order|rank|list) <xs:list> by (first appearance|when you saw them|when you first saw them|time of appearance|appearance|the time you first saw them)", _order),
        Rule("(what|which) [%be the] order of [first] appearance [of] [the following] [objects|categories] [,] <xs:list>", _order),
        Rule("(what|which) order (did|do) (the following|these) [objects|categories|things] [first] appear [,] <xs:list>", _order),
        Rule("did you [first] see <a:np> before [you saw|seeing] <b:np>", lambda a, b: _before(a, b)),
        Rule("(which|what) [one] (did you see|was seen|have you seen|came|appeared|did you notice|appears|comes) (first|earlier) [,] <xs:list>", lambda xs: Compare(tuple(strip(x) for x in xs), Measure("first_seen"), False)),
        Rule("(which|what) [one] (did you see|was seen|have you seen|came|appeared) (last|later) [,] <xs:list>", lambda xs: Compare(tuple(strip(x) for x in xs), Measure("first_seen"), True)),
        Rule("(which|what) (of|among) <xs:list> (did you see|was seen|have you seen|came|appeared|did you notice) (first|earlier)", lambda xs: Compare(tuple(strip(x) for x in xs), Measure("first_seen"), False)),
        Rule("did you see <xs:list> first", lambda xs: Compare(tuple(strip(x) for x in xs), Measure("first_seen"), False)),
        # -- room size
        Rule("[%which %be] the (total|overall|whole|full) (floor area|floor space|area|size|surface) [of <x:np>]", lambda x=None: RoomSize() if x is None or is_room(x) else None),
        Rule("how (big|large|spacious|huge|small) %be <x:np>", _room_size),
        Rule("[%which %be] the <d:dimension> of <x:np>", lambda d, x: _size(d, x) if is_room(x) else None),
        Rule("(what|how much) [%be] (floor area|floor space|area|space|square footage) (%do|%be) <x:np> [have|cover|got|there <h:here>]", lambda x, h=None: _room_size(x)),
        Rule("[%which %be|how much] [the] [total] (floor area|floor space|square footage|area|size|surface|space|room size) [of] [%be there] [<h:here>]", lambda h=None: None if h is None else RoomSize()),
        Rule("how many (square) %meters %be <x:np>", _room_size),
        Rule("how many %meters %be <x:np>", lambda x: _room_size(x)),
        Rule("(what|which) (size|area|floor area|square footage) %be <x:np>", _room_size),
        Rule("[%which %be] the [square footage|floor area|room size|floor space|room area]", lambda: RoomSize()),
        Rule("how (big|large) %be it in here", lambda: RoomSize()),
        # -- distance
        Rule("how far (%do|%be) <xs:list> (lie|stand|sit) (apart|from each other)", _distance_of_several),
        Rule("how (much|many) (space|room|distance|gap) (lies|lie|is) between <a:np> and <b:np>", _distance),
        Rule("how (far|close|near) [away] (am|are|is) (i|we|you) (from|to) <a:np>", _distance),
        Rule("how (far|close|near) <a:np> %be (from|to) (me|here|us)", _distance),
        Rule("how (far|close|distant|near) [away|apart|off] %be <a:np> [away|apart|located|off|situated] (from|to|and|with) <b:np>", _distance),
        Rule("how far (away|apart) [from each other] %be <xs:list> [from each other]", _distance_of_several),
        Rule("how (far|close) [away] %be <xs:list> (apart|away|from each other|to each other|together|from one another|to one another)", _distance_of_several),
        Rule("how (far|close) %be <xs:list>", _distance_of_several),
        Rule("how (far|close) [apart|away] %be <x:np> (apart|from each other|to each other)", _distance_of_pair),
        Rule("how (far|close|distant|near) [away|off] %be <a:np> [away|off|right there]", _distance),
        Rule("how (far|close) [away] (%do|can|must|should|would) %you [have|need] [to] [%go] (from|to) <a:np> (to|from) <b:np>", _distance),
        Rule("how (far|close) [away] (%do|can|must|should|would|will) %you [have|need] [to] %go [from here] [to|until|toward] [%go] [to] <a:np>", _distance),
        Rule("how (far|close) [away] (from|to) <b:np> %be <a:np>", _distance),
        Rule("how (far|close) <a:np> %be (from|to) <b:np>", _distance),
        Rule("how far [is it|it is] from <a:np> to <b:np>", _distance),
        Rule("how far [is it|it is] to <a:np> from <b:np>", _distance),
        Rule("how far [is it|it is] to <a:np>", _distance),
        Rule("how far (apart|away) <xs:list> %be", _distance_of_several),
        Rule("how far <a:np> and <b:np> %be [apart|away|from each other]", _distance),
        Rule("how many %meters [away|apart] %be <a:np> [away] (from|to) <b:np>", _distance),
        Rule("how many %meters [away|apart] %be <a:np> [away]", _distance),
        Rule("how many %meters (apart|away) %be <xs:list>", _distance_of_several),
        Rule("how many %meters %be <xs:list> (apart|away)", _distance_of_several),
        Rule("how many %meters (lie|are|are there|is it|separate|is) [there] (between|from) <a:np> (and|to|from) <b:np>", _distance),
        Rule("how many %meters %be it (to|until) <a:np>", _distance),
        Rule("how (much|many) (space|room|distance|gap|clearance|meters|centimeters) (%be|lies|exists|separates) [there] between <a:np> and <b:np>", _distance),
        Rule("how (much|many) (space|room|distance|gap|clearance|meters|centimeters) (%be|lies|exists) [there] between <x:np>", _distance_of_pair),
        Rule("[%which %be] [give me|calculate|measure|compute|determine|find|report|get|check] [the] [shortest|closest|straight line|direct|minimum|minimal|smallest|exact|least] (distance|gap|separation|space|clearance|spacing) (between|from|of) <a:np> (and|to|from) <b:np>", _distance),
        Rule("[%which %be] [give me|calculate|measure|compute|determine|find|report] [the|my|your] [shortest|closest|straight line|direct|minimum|minimal] (distance|gap|range) (to|of|from) <a:np>", _distance),
        Rule("[%which %be] [the] [shortest|closest|minimum] (distance|gap|separation|space) between <x:np>", _distance_of_pair),
        Rule("[%which %be] <a:np> 's distance (to|from) <b:np>", _distance),
        Rule("(what|how much) (distance|space|gap) (separates|is between|lies between|is there between|do i have between) <a:np> (from|and) <b:np>", _distance),
        Rule("at what distance (from <b:np>) %be <a:np>", _distance),
        Rule("at what distance (%be) <a:np> (from|to) <b:np>", _distance),
        Rule("at what distance (%be) <a:np>", _distance),
        Rule("<a:np> to <b:np> distance", _distance),
        Rule("[%which %be] [the] (distance|gap|separation) <a:np> (to|and|from|or|,) <b:np>", _distance),
        Rule("how many %meters [%be|would it be|will it be|is that|are there|is it|lie|does it take|must i go|to go] [there] (between|from) <a:np> (and|to|from) <b:np>", _distance),
        Rule("[how many %meters|how far] [if|when] [%you] [measure|measured|measuring|go|went|walk|walked|going] (from|between) <a:np> (to|and) <b:np> [,] (how many %meters|how far|how much|what distance|what) (would|will|%be|do|does) [that|it|this|i|you] [be|get|measure|make]", _distance),
        Rule("how (far|close) [apart|away] [%be] <xs:list>", _distance_of_several),
        # -- size
        Rule("how <d:how> %do <x:np> (stand|measure|reach|get|sit|rise)", lambda d, x: _size(d, x)),
        Rule("(how much|by how much) <p:comparative> %be <x:np> than <y:np>", _difference),
        Rule("(how much|by how much|how many %meters) %be <x:np> <p:comparative> than <y:np>", _difference),
        Rule("how (high|far) (off|above) the (floor|ground) %be <x:np> [hanging|mounted]", lambda x: _size(Measure("elevation"), x)),
        Rule("how <d:how> %be <x:np> hanging", lambda d, x: _size(Measure("elevation"), x)),
        Rule("<x:np> <d:dimension>", lambda x, d: None if isinstance(x, Me) else _size(d, x)),
        Rule("[%which %be] the height of <x:np> (above|off|from|over) [the] (floor|ground)", lambda x: _size(Measure("elevation"), x)),
        Rule("how <d:how> %be <x:np> [above the floor|off the floor]", lambda d, x: _size(d, x)),
        Rule("how <d:how> <x:np> %be", lambda d, x: _size(d, x)),
        Rule("how (many|much) %meters [<d:how>] %be <x:np> <d:how>", _size),
        Rule("how many %meters <d:how> %be <x:np>", _size),
        Rule("how many %meters %be <x:np> [in] <d:dimension>", _size),
        Rule("how many %meters %do <x:np> measure [in] [<d:dimension>]", lambda x, d=None: _size(d or Measure("size"), x)),
        Rule("how much (space|floor space|floor|room|area) %do <x:np> (take up|take|occupy|need|cover|use|take up on the floor)", lambda x: _size(Measure("area"), x)),
        Rule("how much volume %do <x:np> (take up|have|occupy|take)", lambda x: _size(Measure("volume"), x)),
        Rule("[%which %be] [give me|calculate|measure|compute|determine|find|report|get] [the] [exact|total|overall|full|physical] <d:dimension> of <x:np>", _size),
        Rule("[%which %be] [give me|calculate|measure|compute|determine|find|report|get] <x:np> 's [exact|total|overall] <d:dimension>", lambda x, d: _size(d, x)),
        Rule("(what|which|how much) <d:dimension> (%do|%be) <x:np> [have|measure|has|got]", _size),
        Rule("(what|which|how much) <d:dimension> %have <x:np> [got]", _size),
        Rule("(measure|size) <x:np>", lambda x: _size(Measure("dimensions"), x)),
        Rule("how <d:how> of a <x:np> is it", _size),
        Rule("how <d:how> [%be] <x:np>", lambda d, x: _size(d, x)),
        Rule("<d:dimension> of <x:np>", _size),
        # -- direction with choices
        Rule("(which|what) (direction|way|side) (%can|need|have|would|should|must|do) [%you] [need|have|have to|need to] [to] [%go] [to|in order to] (get|grab|take|fetch|pick up|bring|put|throw) [<y:np>] (from|out of|in|into|off|on|onto|away from) <x:np>", lambda x, y=None: _direction(x, (), None, "go")),
        Rule("on (which|what) side would <x:np> be", lambda x: _direction(x, _LEFT_RIGHT)),
        Rule("where would <x:np> be [, <s:sides>]", _direction),
        Rule("at what angle %can %you see <x:np>", _in_form("angle")),
        Rule("(which|what) side %be <x:np> on [,] <s:sides>", _direction),
        Rule("%be <x:np> [located|situated|positioned|standing] [more] <s:sides> [of <of:np>]", _direction),
        Rule("%be <x:np> <s:sides> (when|as) (seen|viewed) from (here|me|my position)", _direction),
        Rule("[on|to|in|at|from] %which (side|direction|hand side|hand) (of|from|to) <of:np> %be <x:np> [located|on|at|,] [<s:sides>]", lambda of, x, s=(): _direction(x, s or _LEFT_RIGHT, of)),
        Rule("<x:np> %be (on|to|in|at) %which (side|direction) [of me|of mine] [, <s:sides>]", _direction),
        Rule("(on|to|in|at) (which|what) [of my] (side|hand|hand side|direction) [of me|of mine|from me|relative to me|of my body] (%be|are) <x:np> [located|at|on] [, <s:sides>]", _direction),
        Rule("(which|what) (side|hand) [of me|of mine|hand side] (%be|are) <x:np> [on|at|located] [, <s:sides>]", lambda x, s=(): _direction(x, s or _LEFT_RIGHT)),
        Rule("(on) (which|what) hand side [%be] <x:np>", _direction),
        Rule("(in|to|at|from) (which|what) direction (%be|are|lies|do|does|%can) [i find] <x:np> [lie|located] [from me|from here|relative to me|from my position] [, <s:sides>]", _direction),
        Rule("(which|what) (direction|way) (%be|are) <x:np> [in|located|at] [from me|from here|relative to me] [, <s:sides>]", _direction),
        Rule("where %be <x:np> (relative to|compared to|in relation to|with respect to|from|as seen from) (me|myself|you|my position|where i am|the robot|here|my current position|my viewpoint) [, <s:sides>]", lambda x, s=(): _direction(x, s)),
        Rule("where %be <x:np> [located] [,] <s:sides>", lambda x, s=(): _direction(x, s)),
        Rule("where %be <x:np> [located|standing] (relative to|compared to|in relation to|with respect to|in reference to) <y:np>", _place_of),
        Rule("%be <x:np> <c:relations>", lambda x, c: RelationOf(x, c)),
        Rule("[which|what] [way|direction|side] <x:np> %be (on|at|in|to)", _direction),
        Rule("<s:sides> [,] <x:np>", _direction),
        Rule("<x:np> [,] <s:sides> [of me]", _direction),
        Rule("[on|to|at] (which|what) (side|hand) [of me] (%be|do|does) <x:np> [on|at|lie|stand|sit] [, <s:sides>]", lambda x, s=(): _direction(x, s or _LEFT_RIGHT)),
        # -- turning and going
        Rule("(where|which way|which direction) (%can|should|do|would|must) %you (have|need) to (turn|go|look|head|walk|move) [to] (see|face|reach|get to|find|look at|look out|use|go to) <x:np>", _in_form("go")),
        Rule("(which|what) (direction|way) (%can|should|do|would) %you [go|turn|take] [to] (exit|leave) [the|this] [room|place|building|apartment|house|space]", lambda: Direction(Kind("door"), form="go")),
        Rule("(where|how) (%can|should|do|would) %you [go|turn] [to] (exit|leave|get out of) [the|this] [room|place|building|apartment|house|space] [from here|through the door|through a door]", lambda: Direction(Kind("door"), form="go")),
        Rule("(which|what) (direction|way|side) (%can|need|have|would|should|must) [%you] [need|have|have to|need to] [to] [%go] [to] [in|toward|if|in order|to get] [i|you] [want|need|wish|would like] [to] [%go|see|use|take|get|open|reach|sit|close|grab|throw|find|exit|leave|enter|put|look|face|be|watch|clean|wash|touch|pick|turn|read|play|check|fetch|visit|approach|move] [facing|at|on|to|out of|in|closer to|near|toward|by|into|out|down on|away in|out through|up|off] <x:np>", _in_form("go")),
        Rule("(which|what) (direction|way|side) (%can|need|have|would|should|must) [%you] [%go] [in] (to|in order to) [%go|see|use|take|get|open|reach|sit|close|grab|throw|find|exit|leave|enter|put|look|face|be|watch|clean|wash|touch|pick|turn|read|play|check|fetch|visit|approach|move] [facing|at|on|to|out of|in|closer to|near|toward|by|into|out] <x:np>", _in_form("go")),
        Rule("(which|what) (direction|way) %be <x:np>", _in_form("go")),
        Rule("(where) (%can|should|do|would) %you (turn|go|look|head|walk|move) to (see|face|reach|get to|find|look at|look out|use|go to|get|walk to|leave through|exit through) <x:np>", _in_form("go")),
        Rule("(which|what) (direction|way) (%can|should|do|would) %you turn to (face|see|look at|reach|get to|find|look toward) <x:np> [, <s:sides>]", _in_form("go")),
        Rule("(%can|should|must|do) %you [have to|need to] [turn|go|look] (left or right|right or left) to (face|see|look at|reach|get to|find) <x:np>", lambda x: _direction(x, _LEFT_RIGHT)),
        Rule("[at|in] (what|which) [%be the] angle [%be|are] [of|to|for] <x:np> [from me|relative to me|at|to me]", _in_form("angle")),
        Rule("(how|by how) (much|many degrees|far) (%can|should|do|would|must) %you [have to|need to] (turn|rotate) [left|right] to (face|see|look at|be facing|point at) <x:np>", _in_form("angle")),
        Rule("how many degrees (%can|should|do|would|must|%be) %you [have to|need to] (turn|rotate) [to] (face|see|look at|be facing|point at) <x:np>", _in_form("angle")),
        Rule("(what|which) %be the (bearing|angle|heading|direction) (of|to|toward|for) <x:np> [from me|from here]", lambda x: _direction(x, (), None, "angle")),
        Rule("how do i (have to|need to|) turn to face <x:np>", _in_form("angle")),
        Rule("[at|in] (what|which) (o'clock|clock|clock direction|clock position|o'clock direction|o'clock position|hour) [direction|position] %be <x:np> [at|in|from me]", _in_form("clock")),
        # -- comparison
        Rule("%be <x:np> (higher|higher up) than <y:np>", lambda x, y: _verify(x, Exceeds(Measure("top"), y))),
        Rule("%be <x:np> (lower|lower down) than <y:np>", lambda x, y: _verify(x, Exceeds(Measure("top"), y, less=True))),
        Rule("(which|what) one 's <p:comparative> [,] <xs:list>", _compare),
        Rule("%be <xs:list> <p:superlative>", _compare),
        Rule("(am|are) (i|you) (closer|nearer) to <xs:list>", lambda xs: Compare(xs, Measure("distance", Me()), False)),
        Rule("(am|are) (i|you) (farther|farther away) from <xs:list>", lambda xs: Compare(xs, Measure("distance", Me()), True)),
        Rule("(which|what) (of|out of|among) (the|these|those) (two|three|four|options|objects|things) %stands <p:superlative> [,] <xs:list>", _compare),
        Rule("(which|what) (of|out of|among) (the|these|those) (two|three|four|options|objects|things) %stands <p:comparative> [,] <xs:list>", _compare),
        Rule("(out of|among|of|between|from) <xs:list> [,] (which|what) [one|object] [%be] <p:superlative>", _compare),
        Rule("(out of|among|of|between|from) <xs:list> [,] (which|what) [one|object] [%be] <p:comparative>", _compare),
        Rule("(which|what) %stands <p:comparative> one [,] <xs:list>", _compare),
        Rule("(which|what|who) [of|among|out of] [these|the following|them|those] [objects|things|items|ones|two|categories|,] <xs:list> [,] %stands <p:superlative>", _compare),
        Rule("(which|what|who) [of|among|out of] [these|the following|them|those] [objects|things|items|ones|two|categories|,] <xs:list> [,] %stands <p:comparative>", _compare),
        Rule("(which|what) (of|among|out of) (these|the following|them|those) [objects|things|items|ones|categories|options|two|furniture|pieces] %stands <p:superlative>", _of_options),
        Rule("(which|what) [one|object|item|thing] [of|among|out of] [these|the following] [objects] %stands <p:superlative> [,] <xs:list>", _compare),
        Rule("(which|what) [one|object|item|thing] [of|among|out of] [these|the following] [objects] %stands <p:comparative> [,] <xs:list>", _compare),
        Rule("(which|what) [one|object|item|thing] [%be] <p:comparative> between <xs:list>", _compare),
        Rule("(which|what) [one|object|item|thing] %stands <p:superlative> (between|among|of|out of) <xs:list>", _compare),
        Rule("what %stands <p:comparative> [,] <xs:list>", _compare),
        Rule("%be <xs:list> <p:comparative>", lambda xs, p: _compare(xs, p) if len(xs) == 2 else None),
        Rule("%stands <p:comparative> [,] <xs:list>", lambda xs, p: _compare(xs, p) if len(xs) == 2 else None),
        Rule("%be it <p:comparative> <xs:list>", lambda xs, p: None),
        Rule("%be <y:np> <p:comparative> (to|from) <xs:list>", lambda y, p, xs: _compare(xs, p, y) if p[0].name == "distance" and p[0].anchor is None else None),
        Rule("between <xs:list> [,] (which|what) [one|object] %stands <p:comparative>", _compare),
        Rule("between <xs:list> [,] (which|what) [one|object] %stands <p:superlative>", _compare),
        Rule("(which|what) %be <y:np> <p:comparative> (to|from) [,] <xs:list>", lambda y, p, xs: _compare(xs, p, y)),
        Rule("%be <y:np> (closer|nearer) to <xs:list>", lambda y, xs: Compare(xs, Measure("distance", y), False)),
        Rule("%be <x:np> [the] same <d:dimension> as <y:np>", lambda x, d, y: None),
        Rule("(which|what) [one] %be <p:superlative> (of|among|out of) (these|the following|them|those) [objects|things|items|ones|categories|options|two|furniture|pieces]", _of_options),
        Rule("(which|what) %be <p:superlative> [,] (of|among|out of) [these|the following] [,] <xs:list>", _compare),
        # -- existence
        Rule("%have %you got <x:np> [<m:modifier>]", _exists),
        Rule("got <x:np> [<m:modifier>]", _exists),
        Rule("%do <r:np> come with <x:np>", lambda r, x: Exists(strip(x)) if is_room(r) else None),
        Rule("(anything|something) <c:condition>", lambda c: Exists(Filter(Kind("object"), c))),
        Rule("%be there (anything|something) <c:color> [<m:modifier>]", lambda c, m=None: _exists(Filter(Kind("object"), Colored(c)), m)),
        Rule("%be there (anywhere|a place|something|anything|a spot|<x0:np>) [<p:purpose>] [,] (like|such as|for example|for instance|say) <x:np> [<m:modifier>]", lambda x, m=None, p=None, x0=None: _exists(x, m)),
        Rule("(%do|%can|%have) %you (have|see|know of|know about|got|know) (anywhere|something|anything|somewhere) [<p:purpose>] [,] (like|such as) <x:np> [<m:modifier>]", lambda x, m=None, p=None: _exists(x, m)),
        Rule("%can %you see <x:np> [at|from|in|with] (where|my|the) [current|this] (i am standing|i am sitting|i am|i stand|i sit|position|seat|place|spot|location)", lambda x: Exists(Filter(strip(x), Side("front")))),
        Rule("%be there no <x:np> [<m:modifier>]", lambda x, m=None: Exists(_modified(strip(x), m), True)),
        Rule("%do %you know of <x:np> [<m:modifier>]", _exists),
        Rule("%be there [such a thing as] <x:np> [<m:modifier>]", _exists),
        Rule("there %be <n:quantity> <x:np> [<m:modifier>]", _counted("exactly")),
        Rule("there %be <x:np> [<m:modifier>]", _exists),
        Rule("(%do|%can|%have) %you [also] %see <x:np> [<m:modifier>]", _exists),
        Rule("(%do|%have|%can) %you [also] (see|have|know|know of|know about|got|find|spot|notice|seen|come across|detect) <x:np> [<m:modifier>]", _exists),
        Rule("%do <r:np> (have|contain|include|hold|feature) <x:np>", lambda r, x: Exists(strip(x)) if is_room(r) else None if isinstance(r, All) else Exists(Filter(strip(x), Relation("of", (r,))))),
        Rule("(%have) <r:np> got <x:np>", lambda r, x: Exists(strip(x)) if is_room(r) else None),
        Rule("%be <x:np> (present|visible|available|existing|in sight) [<h:here>]", lambda x, h=None: _exists(x)),
        Rule("%do <x:np> exist [<h:here>]", lambda x, h=None: _exists(x)),
        Rule("[any|a] <x:np> <h:here>", lambda x, h: _identify(x) if isinstance(strip(x), Pick) else None if isinstance(x, The) else _exists(x)),
        Rule("any <x:np>", lambda x: _exists(x)),
        Rule("(%can|could) <x:np> be (seen|found|spotted) [<m:modifier>]", _exists),
        Rule("%can %you see <x:np> (if|when) %you (turn around|turn back|look back|look behind)", lambda x: Exists(Filter(strip(x), Side("back")))),
        # -- yes/no about a condition
        Rule("(%can|%do|would|will) %you see <x:np> without (turning|moving) [around|my head|back|round|your head|at all]", lambda x: None if isinstance(x, Me) else Verify(x, Side("front"))),
        Rule("(would|will|%do|%can) (%you|it|<y:np>) (fit|pass|squeeze|get|go|drive|walk|fit through) [through] [the gap|the space] between <a:np> and <b:np> [,] (if|when|given|assuming) [that] (%you|it|<z:np>) (%be|am) <w:length> (wide|across|in width|broad)", lambda a, b, w, y=None, z=None: Fits(w, a, b)),
        Rule("(would|will|%do|%can) [a|an|the|my] [<y:np>] (fit|pass|squeeze|get|go|drive) [through] [the gap|the space] between <a:np> and <b:np> [,] (if|when) (%you|it) (%be|am) <w:length> (wide|across)", lambda a, b, w, y=None: Fits(w, a, b)),
        Rule("(would|will|%do|%can) (something|anything|a thing|a robot|an object|a box|a <w0:length>) <w:length> (wide|across) (fit|pass|squeeze|get|go|drive) [through] between <a:np> and <b:np>", lambda a, b, w, w0=None: Fits(w, a, b)),
        Rule("(would|will|%do|%can) (a|an|my) <w:length> (wide|broad) <y:np> (fit|pass|squeeze|get|go|drive) [through] between <a:np> and <b:np>", lambda a, b, w, y: Fits(w, a, b)),
        Rule("whether <x:np> %be <c:condition>", _verify),
        Rule("%be <x:np> no longer <c:condition>", lambda x, c: Verify(x, Not(c))),
        Rule("%be <x:np> <c:condition> [or not]", _verify),
        Rule("%be there <c:condition> <x:np>", lambda x, c: Exists(Filter(strip(x), c))),
        Rule("%do <x:np> (stand|sit|hang|lie|rest|lean|belong|stay) <c:condition>", _verify),
        Rule("%be <x:np> not <c:condition>", lambda x, c: Verify(x, Not(c))),
        Rule("%be not <x:np> <c:condition>", lambda x, c: _verify(x, c)),
        Rule("<x:np> %be <c:condition> [right|correct|true]", _verify),
        Rule("%be <x:np> <c:color>", lambda x, c: Verify(x, Colored(c))),
        Rule("%be <x:np> the <p:superlative>", lambda x, p: None),
        Rule("%be <x:np> <y:the_pick>", lambda x, y: Verify(x, Relation("is", (y,)))),
        Rule("%do <x:np> (touch|touches) <y:np>", lambda x, y: Verify(x, Relation("touching", (y,)))),
        Rule("%be <x:np> <h:here>", lambda x, h: _exists(x) if not isinstance(x, The) else Exists(strip(x))),
        # -- where
        Rule("i (can not|could not|do not) (find|see|locate) <x:np> [anymore|anywhere] [,] where (%be|did|could|might|can) (it|they) [be|go|gone]", _where),
        Rule("i (lost|misplaced|need|want|have lost|am looking for|look for|am searching for|%be after) <x:np> [,] (where (%be|could|might|can|do) (it|they|i) [be|find it|find them])", _where),
        Rule("<x:np> [,] where (%be|could|might) (it|they) [be|located]", _where),
        Rule("where (could|might|can|would|may) <x:np> be [<h:here>]", lambda x, h=None: _where(x)),
        Rule("(whereabouts|whereabout|where abouts|where about) %be <x:np> [<h:here>]", lambda x, h=None: _where(x)),
        Rule("where [%be|are] <x:np> [located|situated|placed|positioned|found|at|standing|kept|hanging|sitting|stored|put|to be found|hidden|on] [<h:here>]", lambda x, h=None: _where(x)),
        Rule("where (%can|may|would|should|do) %you [have|keep|%see|go to find|look for|find|get] [for] <x:np> [<h:here>]", lambda x, h=None: _where(x)),
        Rule("(find|locate|show me|show|point to|point at|point out|search for|look for|localize|highlight|mark|give me the location of|give me the position of|where about is) [me] [where] <x:np> [%be]", _where),
        Rule("[%which %be] [the|a] [exact|current] (location|position|place|whereabouts|coordinates|spot|coordinate) of <x:np>", _where),
        Rule("[%which %be] <x:np> 's [exact|current] (location|position|coordinates|place)", _where),
        Rule("(what|which) (place|location|position|spot) %be <x:np> (at|in|on)", _where),
        Rule("(in|at) (what|which) (place|location|position|spot|part of the room|area of the room|area|corner of the room|corner) (%be|does|do) <x:np> [located|stand|sit|lie]", _where),
        Rule("where <x:np> %be [located]", _where),
        Rule("i am looking for <x:np>", _where),
        Rule("i (can not|could not) (find|see) <x:np>", _where),
        # -- colour
        Rule("(what|which) color <x:np> %be", lambda x: Color(x)),
        Rule("(what|which) color (%be|has|have|do|does) <x:np> [have|painted|in]", lambda x: Color(x)),
        Rule("[%which %be] the color of <x:np>", lambda x: Color(x)),
        Rule("[%which %be] <x:np> 's color", lambda x: Color(x)),
        Rule("(what|which) %be <x:np> 's color", lambda x: Color(x)),
        Rule("how %be <x:np> colored", lambda x: Color(x)),
        Rule("color of <x:np>", lambda x: Color(x)),
        # -- routes
        Rule("(%can|could) %you (%go|get|drive|walk|pass) from <s:np> to <x:np> without (bumping into|hitting|touching|colliding with) (anything|things|something|furniture)", lambda x, s: None if isinstance(s, Me) or isinstance(x, Me) else Route(fill(x, s), (), True, s)),
        Rule("%be the (way|path|route) from <s:np> to <x:np> (clear|free|open|passable|unobstructed)", lambda x, s: None if isinstance(s, Me) or isinstance(x, Me) else Route(fill(x, s), (), True, s)),
        Rule("(%can|could) %you (%go|get|drive|walk) from <s:np> to <x:np>", lambda x, s: None if isinstance(s, Me) or isinstance(x, Me) else Route(fill(x, s), (), True, s)),
        Rule("%be there a (free|clear|open) (way|path|route) from <s:np> to <x:np>", lambda x, s: None if isinstance(s, Me) or isinstance(x, Me) else Route(fill(x, s), (), True, s)),
        Rule("[%which %be|show me|where %be] [the] [quickest|shortest|fastest|nearest] way out [of here|of <r:np>]", lambda r=None: Route(fill(Pick(Kind("door"), Measure("distance"), False), Me()))),
        Rule("point me to <x:np>", lambda x: _where(x)),
        Rule("%be the (way|path|route) to <x:np> (clear|free|open|passable|unobstructed)", lambda x: Route(fill(x, Me()), (), True)),
        Rule("how (%can|do|could|would|should) %you [%go] [to] from <s:np> to <x:np>", lambda x, s: Route(x, start=s)),
        Rule("how (%can|do|could|would|should) %you %go [to] <x:np> from <s:np>", lambda x, s: None if isinstance(s, Me) else Route(fill(x, s), start=s)),
        Rule("[%which %be|find|plan|compute|give me|show me|describe] [the|a|my|me] [shortest|best|quickest|fastest|free] (way|route|path|directions) from <s:np> to <x:np>", lambda x, s: Route(x, start=s)),
        Rule("how (%can|do|could|would|should) %you [%go] [to|at|into] [%go] [to|at] <x:np> [from here]", lambda x: None if isinstance(x, Me) else Route(fill(x, Me()))),
        Rule("[%which %be|find|plan|compute|give me|show me|describe] [the|a|my|me] [shortest|best|quickest|fastest|free] (way|route|path|directions) [to|toward] <x:np>", lambda x: Route(fill(x, Me()))),
        Rule("(guide|lead|take|bring|direct|navigate|drive|walk|send) [me|yourself|the robot|us] [to|toward] <x:np>", lambda x: None if isinstance(x, Me) else Route(fill(x, Me()))),
        Rule("(go|drive|navigate|walk|move) to <x:np>", lambda x: Route(fill(x, Me()))),
        Rule("(%can|could) %you (%go|drive|walk|get|pass) [to|through to|up to|straight to] <x:np> [without bumping into anything|from here]", lambda x: Route(fill(x, Me()), (), True)),
        Rule("%be it possible to %go to <x:np>", lambda x: Route(fill(x, Me()), (), True)),
        Rule("can you (bring|take|guide|lead) me to <x:np>", lambda x: Route(fill(x, Me()))),
        Rule("%be <x:np> (reachable|accessible|within reach)", lambda x: Route(fill(x, Me()), (), True)),
        Rule("%be there a [free|clear] (way|path|route) [from here] to <x:np>", lambda x: Route(fill(x, Me()), (), True)),
        # -- what is ...
        Rule("(of|out of|among) <x:np> [,] (which|what) [one|ones] %stands <p:superlative>", lambda x, p: _what_superlative(p, x)),
        Rule("(which|what) <x:np> %be <c:color>", lambda x, c: Identify(Filter(strip(x), Colored(c)))),
        Rule("(list|name|show|tell|give) [me] what %be [there] <c:condition>", lambda c: _what(c=c)),
        Rule("(what|who) (am|are) (i|you) [the] (closest|nearest) (to|by)", lambda: _what_superlative((Measure("distance"), False, 1))),
        Rule("(which|what) of <x:np> %stands <p:superlative>", lambda x, p: _what_superlative(p, x)),
        Rule("(which|what) of <x:np> %stands <p:comparative>", lambda x, p: _what_superlative(p, x)),
        Rule("(which|what) of <x:np> %be <c:condition>", lambda x, c: _identify(x, c=c)),
        Rule("%which <x:np> %be [there] in <r:region>", lambda x, r: Identify(r, True)),
        Rule("what %be this [,] <r:region>", lambda r: Identify(r, True)),
        Rule("(what|which) (kind|type|sort) [of] [object|thing|furniture|class] %be <r:region>", lambda r: Identify(r, True)),
        Rule("(what|which) (object|thing|class) %be [in|at] <r:region>", lambda r: Identify(r, True)),
        Rule("(identify|name|classify) <r:region>", lambda r: Identify(r, True)),
        Rule("(what|which) [object|objects|thing|things|item|items] %be [there] [located|standing|sitting|lying|placed] <c:condition>", lambda c: _what(c=c)),
        Rule("%which <x:np> %be [there] [located|standing|sitting|lying|placed] <c:condition>", lambda x, c: _identify(x, c=c)),
        Rule("(what|who) (stands|sits|lies|hangs|rests|lays|stand|sit|lie|hang) <c:condition>", lambda c: _what(c=c)),
        Rule("%which <x:np> (stands|sits|lies|hangs|rests|stand|sit|lie|hang) <c:condition>", lambda x, c: _identify(x, c=c)),
        Rule("(what|who) [else] (%can|do|did|would|will|%have) %you [%see] [<m:modifier>]", lambda m=None: Describe() if m is None else _what(m)),
        Rule("(what|which) <x:np> (%can|do|did|would|will|%have) %you %see <m:modifier>", lambda x, m: _identify(x, m)),
        Rule("(what|which) <x:np> (%can|do|did|would|will|%have) %you %see", lambda x: _list_objects(x)),
        Rule("(what|which) <x:np> %stands <p:superlative>", lambda x, p: _what_superlative(p, x)),
        Rule("(what|which) %stands <p:superlative> <x:np>", lambda x, p: _what_superlative(p, x)),
        Rule("(what|which) [one|object|thing|item] %stands <p:superlative> [<h:here>]", lambda p, h=None: _what_superlative(p)),
        Rule("%which <x:np> %stands <p:comparative>", lambda x, p: _what_superlative(p, x)),
        Rule("(what|which|who) %be <x:np>", lambda x: _identify(x)),
        Rule("[what] (is|are) <x:np> (called|named)", lambda x: _identify(x)),
        Rule("what (kind|type|sort|class) of (object|thing|item|furniture) %be <c:condition>", lambda c: _what(c=c)),
        Rule("what (kind|type|sort|class) of (object|thing|item|furniture) %be <x:np>", lambda x: Identify(x, True)),
        Rule("what %be <x:region>", lambda x: Identify(x, True)),
        Rule("<x:np> %be <c:relation> what", lambda x, c: (Identify(The(Pick(Filter(Kind("object"), Other(x)), Measure("distance", x), False)), True) if c in ("beside", "near", "touching") else None)),
        Rule("(what|which) [object|thing|item] %be <x:np> (next|closest|nearest|adjacent|close) to", lambda x: Identify(Pick(Filter(Kind("object"), Other(x)), Measure("distance", x), False), True)),
        Rule("what %be <x:np> (on|in|under|sitting on|standing on|lying on|placed on)", lambda x: Where(x)),
        Rule("(if|when) %you (walk|walked|go|went|move|moved|step) [straight] <s:side> [,] what (would|will|do) %you [first] (hit|bump into|run into|run in to|reach|encounter|meet|touch) [first]", lambda s: Identify(Pick(Filter(Kind("object"), Side(s)), Measure("distance", Me()), False), True)),
        Rule("what (would|will|do|does) %you (hit|bump into|run into|reach|encounter|meet|touch) [first] (if|when) %you (walk|walked|go|went|move|moved|walking|step) [straight] <s:side>", lambda s: Identify(Pick(Filter(Kind("object"), Side(s)), Measure("distance", Me()), False), True)),
        Rule("<x:the_pick>", lambda x: _identify(x)),
        Rule("(things|objects|items|everything|stuff|what) <c:condition>", lambda c: _what(c=c)),
        Rule("(what|which) [objects|things|items] (can|could|may|might|%be) [to] be (found|seen|spotted|located) <c:condition>", lambda c: _what(c=c)),
        # -- lists
        Rule("what %you (see|know|have seen|found|can see)", lambda: Describe()),
        Rule("(what|which) (is|are|do you see|can you see|do you know|have you seen|have you found|do you have) [there] <h:here>", lambda h: Describe()),
        Rule("(what|which) (objects|things|items|object|classes|kinds of objects|other objects) (is|are|%do|%can|%have) [there|you|we|i|exist] [%see|know|know of|about|have] [<h:here>]", lambda h=None: Describe()),
        Rule("(what|which) (objects|things|items) [<h:here>]", lambda h=None: Describe()),
        Rule("[list|name|enumerate|show|print|give] [me] [a list of] [all|all of|every] [the|your] [known] (objects|things|items|object|everything|thing) [%you %see|%you know|there are|that you %see|that you know] [<h:here>]", lambda h=None: Describe()),
        Rule("(list|name|show|enumerate) [me] everything [<h:here>]", lambda h=None: Describe()),
        Rule("(describe|summarize) [me] [the|this|your] (room|scene|surroundings|environment|space|place|map|apartment|world|area|everything|what you see)", lambda: Describe()),
        Rule("(list|name|show|enumerate|give|print) [me] [all|all of] <x:np>", lambda x: _list_objects(x)),
        Rule("what <x:np> %be there [<h:here>]", lambda x, h=None: _list_objects(x)),
        Rule("what (does|do) <x:np> (contain|have|hold)", lambda x: Describe() if is_room(x) else _what(c=Relation("on", (x,)))),
        Rule("what does it look like <h:here>", lambda h: Describe()),
        Rule("what (does|do) it have on <x:np>", lambda x: _what(c=Relation("on", (x,)))),
        Rule("what surrounds <x:np>", lambda x: _what(c=Relation("near", (x,)))),
    ],
    CLASSES,
)
# fmt: on
"""What can be asked."""


def _before(a: Objects, b: Objects) -> Query:
    return Verify(strip(a), Exceeds(Measure("first_seen"), strip(b), less=True))

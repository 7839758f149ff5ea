"""What a way of asking means: from the parts that a rule captured to the query, or None where they make no sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from proxy3d_core.reasoning.lexicon import ROOM_WORDS, word_set
from proxy3d_core.reasoning.parts import strip
from proxy3d_core.reasoning.program import (
    Alike,
    All,
    Changed,
    Changes,
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
    Filter,
    Identify,
    Kind,
    Me,
    Measure,
    Objects,
    Order,
    Pick,
    Query,
    Ranking,
    Region,
    Relation,
    RelationOf,
    RoomExceeds,
    RoomSize,
    Side,
    Size,
    The,
    Together,
    Union,
    Verify,
    Where,
    Within,
)

METERS = word_set(
    """
    meters metres meter m centimeters cm centimeter feet foot inches inch yards millimeters mm ft
    """
)
"""Words after "how many" that ask for a length."""
_MEASURED = METERS | word_set("meter foot degree distance space room gap clearance inch sqm sqft")
LEFT_RIGHT = (("left", "left"), ("right", "right"))


def is_room(objects: Objects) -> bool:
    """True for "the room" itself."""
    objects = strip(objects)
    return isinstance(objects, Kind) and objects.name in ROOM_WORDS


def fill(objects: Objects, anchor: Objects) -> Objects:
    """The same objects, with "nearest" meaning nearest to ``anchor`` where nothing else is said."""
    if isinstance(objects, The | All):
        return within(objects, partial(fill, anchor=anchor))
    if isinstance(objects, Filter):
        return Filter(fill(objects.objects, anchor), objects.condition)
    if isinstance(objects, Pick):
        measure = objects.measure
        if measure.name == "distance" and measure.anchor is None:
            measure = Measure("distance", anchor)
        return replace(objects, objects=fill(objects.objects, anchor), measure=measure)
    return objects


def within(objects: Objects, modify: Callable[[Objects], Objects]) -> Objects:
    """Modified under "the" or "all", which stay outermost."""
    if isinstance(objects, The):
        return The(modify(objects.objects))
    return All(modify(objects.objects)) if isinstance(objects, All) else modify(objects)


def filtered(objects: Objects, *conditions: Condition | None) -> Objects:
    """``objects`` for which all conditions hold; keeps "the"."""
    for condition in conditions:
        if condition is not None:
            objects = within(objects, partial(Filter, condition=condition))
    return objects


def modified(objects: Objects, modify: Any) -> Objects:
    """The objects with the condition that stood after them, if any."""
    if modify is None:
        return objects
    return within(objects, modify)


def count(x: Objects, m: Any = None, m2: Any = None, c: Condition | None = None) -> Query | None:
    """How many there are; None for rooms and units of length."""
    if is_room(x) or is_unit(x):
        return None
    return Count(filtered(modified(modified(strip(x), m), m2), c))


def is_unit(objects: Objects) -> bool:
    """True for "meters": a distance is asked for, no count."""
    objects = innermost(objects)
    return isinstance(objects, Kind) and not _MEASURED.isdisjoint(objects.name.split())


def exists(x: Objects, m: Any = None, no: Any = None) -> Query | None:
    """Whether there is one; None for the asker, rooms and units."""
    return None if isinstance(x, Me) or is_room(x) or is_unit(x) else Exists(modified(strip(x), m))


def count_test(x: Objects, test: str, n: float = 0, m: Any = None, y: Objects | None = None) -> Query:
    """Whether the number of ``x`` stands to ``n``, or to the number of ``y``, as ``test`` says."""
    return CountTest(modified(strip(x), m), test, int(n), None if y is None else strip(y))


def counted(test: str) -> Any:
    """The meaning ``count_test`` with a fixed test."""
    return lambda x, n=0, m=None, y=None: count_test(x, test, n, m, y)


def distance(a: Objects, b: Objects | None = None) -> Query | None:
    """Closest distance of two things, or of one from the asker; None where there is none to measure."""
    b = Me() if b is None else b
    if is_room(a) or is_room(b) or (isinstance(a, Me) and isinstance(b, Me)):
        return None
    if isinstance(a, Me):
        a, b = b, a
    return Distance(fill(a, b), fill(b, a))


def distance_of_several(xs: tuple[Objects, ...]) -> Query | None:
    """The distance between the two things of a list; None unless they are two."""
    if len(xs) != 2:
        return None
    if str(strip(xs[0])) == str(strip(xs[1])):
        return None
    return distance(*xs)


def distance_of_pair(x: Objects) -> Query | None:
    """Two objects of one class: "between the two chairs"."""
    return Distance(x, x) if isinstance(x, Kind | Filter | All) else None


_ROOM_MEASURES = ("size", "area", "dimensions", "length", "width", "height", "volume")


def size(d: Measure, x: Objects) -> Query | None:
    """A measure of a thing."""
    if is_room(x):
        return RoomSize("area" if d.name == "size" else d.name) if d.name in _ROOM_MEASURES else None
    return None if isinstance(x, Me) else Size(x, d)


def room_size(x: Objects, d: Measure | None = None) -> Query | None:
    """A measure of the room."""
    return RoomSize() if is_room(x) else None


def room_exceeds(x: Objects, a: float, less: bool = False) -> Query | None:
    """Whether the room is larger (or smaller) than ``a`` square metres; None if ``x`` is no room."""
    return RoomExceeds(a, less) if is_room(x) else None


def direction(
    x: Objects, s: tuple[tuple[str, str], ...] = (), of: Objects | None = None, form: str = "word"
) -> Query | None:
    """On which side of the asker, or of a thing, something is; ``s`` are the sides to choose from."""
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


def in_form(form: str) -> Any:
    """The meaning ``direction`` with a fixed form of the answer."""
    return lambda x, s=(), of=None: direction(x, s, of, form)


def verify(x: Objects, c: Condition, no: Any = None) -> Query | None:
    """Whether a condition holds of a thing, or whether there is one of which it holds."""
    if isinstance(x, Me):
        # "Am I next to the table": where the asker is.
        return Verify(x, c) if isinstance(c, Relation) else None
    if isinstance(x, Kind | Filter | Union) and not isinstance(c, Changed):
        return Exists(filtered(x, c))  # "is a chair next to the table", "is anything on it"
    if isinstance(c, Exceeds) and not isinstance(c.than, float | int) and not isinstance(x, Region):
        c = replace(c, than=_of_kind(c.than, innermost(x)))  # "taller than the white one"
    if isinstance(c, Exceeds) and c.measure.anchor is None and c.measure.name == "distance":
        c = Exceeds(Measure("distance", Me()), c.than, c.less)
    return Verify(x, c)


_EDGES = word_set("height width length depth tall high wide long deep broad")


def exceeds(
    x: Objects, d: Measure, p: Any, y: Objects, e: Measure | None = None, f: Measure | None = None
) -> Query | None:
    """Whether one has more of a measure than the other; "a larger size" is more volume."""
    if isinstance(x, Me) or isinstance(y, Me) or {d.name} != {m.name for m in (d, e, f) if m is not None}:
        return None
    if isinstance(base := innermost(y), Kind) and base.name in _EDGES:
        return None  # "larger than its height"
    return verify(x, Exceeds(Measure("volume") if d.name == "size" else d, y, less=not p[1]))


def identify(x: Objects, m: Any = None, c: Condition | None = None) -> Query | None:
    """Which things these are."""
    if isinstance(x, Me) or is_unit(x):
        return None
    if is_room(x) and m is None and c is None:
        return None
    one = isinstance(x, The | Pick)
    if isinstance(strip(x), Kind) and m is None and c is None:
        return None
    return Identify(fill(filtered(modified(x, m), c), Me()), one)


def what(m: Any = None, c: Condition | None = None) -> Query:
    """What there is for which the conditions hold."""
    return Identify(filtered(modified(Kind("object"), m), c))


def is_anything(objects: Objects) -> bool:
    """True for "something", whatever it is."""
    base = strip(objects)
    return isinstance(base, Kind) and base.name == "object"


def alike(xs: tuple[Objects, ...], measure: str) -> Query | None:
    """Whether several, or all of a kind, have one colour or measure."""
    single = len(xs) == 1 and not isinstance(xs[0], All | Union | Kind | Filter)
    return None if single or any(isinstance(x, Me) for x in xs) else Alike(xs, measure)


def together(xs: tuple[Objects, ...], relation: str, anchor: Objects) -> Query | None:
    """Whether several, or all of a kind, share an anchor."""
    single = len(xs) == 1 and not isinstance(xs[0], All | Union | Kind | Filter)
    return None if single or any(isinstance(x, Me) for x in xs) else Together(xs, relation, strip(anchor))


def ranking(k: tuple[Measure, bool], xs: tuple[Objects, ...] = ()) -> Query:
    """Several in the order of a criterion."""
    return Ranking(xs, *k)


_INVERSE = {
    "left_of": "right_of",
    "right_of": "left_of",
    "front_of": "behind",
    "behind": "front_of",
    "under": "above",
    "below": "above",
    "above": "below",
    "across": "across",
    "touching": "touching",
    "beside": "beside",
    "near": "near",
    "at": "beside",
}


def counterpart(x: Objects, n: str) -> Query | None:
    """The lamp is next to what? On what is it: where it stands."""
    if isinstance(x, Me) or is_room(x):
        return None
    if n in ("on", "in"):
        return Where(x)
    return Identify(Filter(Kind("object"), Relation(_INVERSE[n], (x,)))) if n in _INVERSE else None


def what_superlative(p: Any, x: Objects | None = None, m: Any = None) -> Query | None:
    """Which one has most, or least, of a measure; distances are from the asker unless said otherwise."""
    measure, most, rank = p
    if x is not None and isinstance(x, Me):
        return None
    base = modified(strip(x) if x is not None else Kind("object"), m)
    if measure.name == "distance" and measure.anchor is None:
        measure = Measure("distance", Me())
    return Identify(Pick(base, measure, most, rank), True)


def several_superlative(x: Objects, p: Any, n: int) -> Query | None:
    """Which two chairs are closest to the door."""
    query = what_superlative(p, x)
    if not isinstance(query, Identify) or not isinstance(query.objects, Pick):
        return None
    return Identify(replace(query.objects, number=int(n)))


def compare(xs: tuple[Objects, ...] = (), p: Any = None, y: Objects | None = None) -> Query | None:
    """Which of several things has most, or least, of a measure; None if only one is named."""
    measure, most, rank = p
    if measure.name == "distance" and measure.anchor is None:
        measure = Measure("distance", y if y is not None else Me())
    if len(xs) == 1:
        return None
    return Compare(tuple(xs), measure, most, rank)


def apart(a: Objects, b: Objects, limit: float, farther: bool) -> Query | None:
    """Whether two things are so far from each other, or nearer."""
    if is_room(a) or is_room(b) or (isinstance(a, Me) and isinstance(b, Me)):
        return None
    if isinstance(a, Me):
        a, b = b, a
    return Verify(a, Within(b, limit, farther))


def compare_ones(x: Objects, p: Any, xs: tuple[Objects, ...]) -> Query | None:
    """Which lamp is taller, the one by the sofa or the one by the bed: "one" is a lamp."""
    kind = strip(x)
    return compare(tuple(_of_kind(one, kind) for one in xs), p) if isinstance(kind, Kind | Filter) else None


def innermost(objects: Objects) -> Objects:
    """The class that is spoken of."""
    while isinstance(objects, The | All | Filter | Pick):
        objects = objects.objects
    return objects


def _of_kind(objects: Objects, kind: Objects) -> Objects:
    if isinstance(objects, The | All):
        return within(objects, partial(_of_kind, kind=kind))
    if isinstance(objects, Filter | Pick):
        return replace(objects, objects=_of_kind(objects.objects, kind))
    return kind if isinstance(objects, Kind) and objects.name == "object" else objects


def of_options(p: Any) -> Query:
    """``compare`` among the options of a multiple choice."""
    return compare((), p)  # type: ignore[return-value]


def order(xs: tuple[Objects, ...] = ()) -> Query:
    """In which order things were first seen; none named = those of the options."""
    return Order(tuple(strip(x) for x in xs))


def seen_before(a: Objects, b: Objects) -> Query:
    """Which of two things was seen first."""
    return Compare((strip(a), strip(b)), Measure("first_seen"), False)


def changed(x: Objects, state: str) -> Query | None:
    """Whether a thing, or anything at all, has been moved, added or removed."""
    if isinstance(x, Me):
        return None
    base = strip(x)
    if isinstance(base, Kind) and base.name == "object":
        return Changes(state, yes_no=True)
    return Verify(x, Changed(state))


def difference(x: Objects, p: Any, y: Objects) -> Query | None:
    """By how much two things differ in a measure."""
    measure = p[0]
    if measure.name == "distance" and measure.anchor is None:
        measure = Measure("distance", Me())
    return Difference(x, y, measure)


def place_of(x: Objects, y: Objects) -> Query | None:
    """On which side of ``y`` the thing ``x`` is."""
    return RelationOf(x, tuple(Relation(name, (y,)) for name in ("left_of", "right_of", "front_of", "behind")))


def which_changed(state: str = "any", x: Objects | None = None) -> Query | None:
    """What has changed, of a kind or of all."""
    if x is None or (isinstance(strip(x), Kind) and strip(x).name == "object"):  # type: ignore[union-attr]
        return Changes(state)
    return Identify(Filter(strip(x), Changed(state)))


def where(x: Objects, m: Any = None) -> Query | None:
    """Where a thing is; None for the asker, rooms and units."""
    return None if isinstance(x, Me) or is_room(x) or is_unit(x) else Where(fill(modified(x, m), Me()))


def list_objects(x: Objects) -> Query | None:
    """Which things these are; a description of the room for "everything"."""
    base = strip(x)
    if isinstance(base, Kind) and base.name == "object" and not base.unknown:
        return Describe()
    return None if isinstance(base, Me) else Identify(fill(base, Me()))


def more_than(c: str, x: Objects, y: Objects, m: Any = None) -> Query:
    """Whether there are more (fewer, as many) ``x`` than ``y``."""
    return CountTest(modified(strip(x), m), c, 0, modified(strip(y), m))


def seen_extreme(
    x: Objects | None = None, xs: tuple[Objects, ...] = (), last: bool = False, h: Any = None
) -> Query | None:
    """Which was seen first (or last), of several or of a kind."""
    if xs:
        return Compare(tuple(strip(one) for one in xs), Measure("first_seen"), last)
    base = Kind("object") if x is None else strip(x)
    return None if isinstance(base, Me) else Identify(Pick(base, Measure("first_seen"), last), True)


def before(a: Objects, b: Objects) -> Query:
    """Whether ``a`` was seen before ``b``."""
    return Verify(strip(a), Exceeds(Measure("first_seen"), strip(b), less=True))

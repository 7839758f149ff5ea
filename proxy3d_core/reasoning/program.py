"""Questions as small typed programs. ``str()`` of a program is what a user sees: ``count(filter(chair,
beside(table)))``."""

from __future__ import annotations

from dataclasses import dataclass, field

# ---------------------------------------------------------------------------------------------- objects


@dataclass(frozen=True)
class Kind:
    """All objects of a class, by a name as people say it; ``object`` = any.

    ``unknown`` are words said about it that no map knows (wooden, messy).
    """

    name: str
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(f"[{w}?]" for w in self.unknown)


@dataclass(frozen=True)
class Me:
    """The asker: the viewpoint's position."""

    def __str__(self) -> str:
        return "me"


@dataclass(frozen=True)
class Region:
    """A region prompt, by its number."""

    number: int

    def __str__(self) -> str:
        return f"region({self.number})"


@dataclass(frozen=True)
class The:
    """Exactly one object is meant ("the chair"); more than one candidate is ambiguous."""

    objects: Objects

    def __str__(self) -> str:
        return str(self.objects)


@dataclass(frozen=True)
class All:
    """Every one of them is meant ("the chairs", "all chairs")."""

    objects: Objects

    def __str__(self) -> str:
        return str(self.objects)


@dataclass(frozen=True)
class Filter:
    """The objects for which a condition holds."""

    objects: Objects
    condition: Condition

    def __str__(self) -> str:
        return f"filter({self.objects}, {self.condition})"


@dataclass(frozen=True)
class Pick:
    """The ``rank``-th object by a measure (``most``: from the largest down), or the first ``number`` of them."""

    objects: Objects
    measure: Measure
    most: bool
    rank: int = 1
    number: int = 1

    def __str__(self) -> str:
        rank = f", first {self.number}" if self.number > 1 else "" if self.rank == 1 else f", {self.rank}"
        return f"arg{'max' if self.most else 'min'}({self.objects}, {self.measure}{rank})"


@dataclass(frozen=True)
class Union:
    """Objects of any of several descriptions."""

    items: tuple[Objects, ...]

    def __str__(self) -> str:
        return f"union({', '.join(map(str, self.items))})"


Objects = Kind | Me | Region | The | All | Filter | Pick | Union

# ---------------------------------------------------------------------------------------------- conditions and measures


@dataclass(frozen=True)
class Relation:
    """A spatial relation to other objects.

    on, under, above, below, in, beside, near, at, of (on or at), touching, between, left_of, right_of, front_of,
    behind, across, faces, is.
    """

    name: str
    anchors: tuple[Objects, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.anchors))})"


@dataclass(frozen=True)
class Side:
    """A direction from the asker: front, left, front-left, ... or ``3 o'clock``; ``directly``: straight there."""

    direction: str
    directly: bool = False

    def __str__(self) -> str:
        return f"side({self.direction}{', directly' if self.directly else ''})"


@dataclass(frozen=True)
class Place:
    """A part of the room: wall, corner, middle, floor, ceiling."""

    name: str

    def __str__(self) -> str:
        return f"at({self.name})"


@dataclass(frozen=True)
class Within:
    """Nearer (or farther) than a distance in metres."""

    anchor: Objects
    limit: float
    farther: bool = False

    def __str__(self) -> str:
        return f"{'beyond' if self.farther else 'within'}({self.limit:g} m, {self.anchor})"


@dataclass(frozen=True)
class Colored:
    """Of a colour."""

    color: str

    def __str__(self) -> str:
        return f"color({self.color})"


@dataclass(frozen=True)
class Changed:
    """What became of it: moved, gone, new, present."""

    state: str

    def __str__(self) -> str:
        return self.state


@dataclass(frozen=True)
class Exceeds:
    """More (or less) of a measure than another object, or than a number (metres)."""

    measure: Measure
    than: Objects | float
    less: bool = False

    def __str__(self) -> str:
        than = f"{self.than:g}" if isinstance(self.than, float | int) else self.than
        return f"{'less' if self.less else 'more'}({self.measure}, {than})"


@dataclass(frozen=True)
class Not:
    """The opposite."""

    condition: Condition

    def __str__(self) -> str:
        return f"not({self.condition})"


@dataclass(frozen=True)
class Other:
    """Not the object that another part of the question speaks of ("another chair")."""

    than: Objects | None = None

    def __str__(self) -> str:
        return "other" if self.than is None else f"other({self.than})"


Condition = Relation | Side | Place | Within | Colored | Changed | Exceeds | Not | Other


@dataclass(frozen=True)
class Measure:
    """A number for each object.

    ``name``: distance (to ``anchor``; None = still to be filled in), size (longest edge), height, width, length, depth,
    area (footprint),
    volume, elevation (centre above floor), top, leftness (from the asker), first_seen, last_seen, count.
    """

    name: str
    anchor: Objects | None = None

    def __str__(self) -> str:
        return self.name if self.anchor is None else f"{self.name}({self.anchor})"


# ---------------------------------------------------------------------------------------------- questions


@dataclass(frozen=True)
class Count:
    """How many? ``kinds``: how many classes."""

    objects: Objects
    kinds: bool = False

    def __str__(self) -> str:
        return f"count_{'kinds' if self.kinds else ''}({self.objects})".replace("_(", "(")


@dataclass(frozen=True)
class CountTest:
    """A yes/no (or odd/even) question about a count: ``test`` is odd, even, parity, multiple, at_least, at_most,
    exactly, more, fewer, equal.
    """

    objects: Objects
    test: str
    number: int = 0
    other: Objects | None = None

    def __str__(self) -> str:
        argument = (
            "" if self.test in ("odd", "even", "parity") else f", {self.number if self.other is None else self.other}"
        )
        return f"{self.test}(count({self.objects}){argument})"


@dataclass(frozen=True)
class Exists:
    """Is there any?"""

    objects: Objects
    negated: bool = False

    def __str__(self) -> str:
        return f"{'none' if self.negated else 'exists'}({self.objects})"


@dataclass(frozen=True)
class Verify:
    """Does a condition hold for an object?"""

    objects: Objects
    condition: Condition

    def __str__(self) -> str:
        return f"verify({self.objects}, {self.condition})"


@dataclass(frozen=True)
class Where:
    """Where is it? ``before``: where it was before it moved; ``coordinates``: in numbers."""

    objects: Objects
    before: bool = False
    coordinates: bool = False

    def __str__(self) -> str:
        return f"where{'_before' if self.before else ''}({self.objects}{', coordinates' if self.coordinates else ''})"


@dataclass(frozen=True)
class Distance:
    """How far apart: closest points, or ``centers``?"""

    first: Objects
    second: Objects
    centers: bool = False

    def __str__(self) -> str:
        return f"distance({self.first}, {self.second}{', centers' if self.centers else ''})"


@dataclass(frozen=True)
class Size:
    """How large, by a measure; measure ``dimensions`` gives all three edges."""

    objects: Objects
    measure: Measure

    def __str__(self) -> str:
        return f"{self.measure}({self.objects})"


@dataclass(frozen=True)
class Difference:
    """By how much has one more of a measure than another?"""

    first: Objects
    second: Objects
    measure: Measure

    def __str__(self) -> str:
        return f"difference({self.measure}, {self.first}, {self.second})"


@dataclass(frozen=True)
class RoomSize:
    """The floor area, or the length, width or height of the room."""

    measure: str = "area"

    def __str__(self) -> str:
        return f"{self.measure}(room)"


@dataclass(frozen=True)
class RoomExceeds:
    """Is the floor area more (or less) than so many square metres?"""

    area: float
    less: bool = False

    def __str__(self) -> str:
        return f"{'less' if self.less else 'more'}(area(room), {self.area:g} m^2)"


@dataclass(frozen=True)
class Direction:
    """In which direction is it? ``choices``: the directions named in the question; ``of``: seen beside this object
    instead of from the asker.

    ``form``: word, go (forward, backward), angle, clock. ``said``: the words in which the choices were given.
    """

    objects: Objects
    choices: tuple[str, ...] = ()
    of: Objects | None = None
    form: str = "word"
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        of = "" if self.of is None else f", of={self.of}"
        choices = "" if not self.choices else f", {'|'.join(self.choices)}"
        return f"{'direction' if self.form in ('word', 'go') else self.form}({self.objects}{of}{choices})"


@dataclass(frozen=True)
class RelationOf:
    """Which of several relations holds ("in front of or behind")?"""

    objects: Objects
    choices: tuple[Condition, ...]

    def __str__(self) -> str:
        return f"which_of({self.objects}, {', '.join(map(str, self.choices))})"


@dataclass(frozen=True)
class Identify:
    """What is it: names of the objects; ``one`` if a single one is asked for."""

    objects: Objects
    one: bool = False

    def __str__(self) -> str:
        return f"name({self.objects})"


@dataclass(frozen=True)
class Compare:
    """Which of several has most (or least) of a measure?"""

    items: tuple[Objects, ...]
    measure: Measure
    most: bool
    rank: int = 1

    def __str__(self) -> str:
        rank = "" if self.rank == 1 else f", {self.rank}"
        return (
            f"{'most' if self.most else 'least'}({self.measure}, {', '.join(map(str, self.items)) or 'options'}{rank})"
        )


@dataclass(frozen=True)
class Ranking:
    """Several in the order of a measure (``most``: the largest first)."""

    items: tuple[Objects, ...]
    measure: Measure
    most: bool

    def __str__(self) -> str:
        items = ", ".join(map(str, self.items)) or "options"
        return f"ranking({self.measure}{' down' if self.most else ' up'}, {items})"


@dataclass(frozen=True)
class Alike:
    """Have all of them the same colour, or about the same measure?"""

    items: tuple[Objects, ...]
    measure: str

    def __str__(self) -> str:
        return f"alike({self.measure}, {', '.join(map(str, self.items))})"


@dataclass(frozen=True)
class Together:
    """Is there one anchor to which all of them have a relation ("on the same table")? ``side``: one side of the
    asker.
    """

    items: tuple[Objects, ...]
    relation: str
    anchor: Objects

    def __str__(self) -> str:
        return f"together({', '.join(map(str, self.items))}, {self.relation}({self.anchor}))"


@dataclass(frozen=True)
class Order:
    """In which order were they first seen?"""

    items: tuple[Objects, ...]

    def __str__(self) -> str:
        return f"order(first_seen, {', '.join(map(str, self.items)) or 'options'})"


@dataclass(frozen=True)
class Color:
    """Of which colour is it?"""

    objects: Objects

    def __str__(self) -> str:
        return f"color({self.objects})"


@dataclass(frozen=True)
class Changes:
    """What changed: moved, gone, new, or any."""

    state: str = "any"
    yes_no: bool = False

    def __str__(self) -> str:
        return f"{'any_changes' if self.yes_no else 'changes'}({self.state})"


@dataclass(frozen=True)
class Fate:
    """What happened to it: moved, gone, new, or nothing?"""

    objects: Objects

    def __str__(self) -> str:
        return f"what_happened({self.objects})"


@dataclass(frozen=True)
class Fits:
    """Does something of a width (metres) fit between two objects?"""

    width: float
    first: Objects
    second: Objects

    def __str__(self) -> str:
        return f"fits({self.width:g} m, between({self.first}, {self.second}))"


@dataclass(frozen=True)
class MovedBy:
    """How far was it moved?"""

    objects: Objects

    def __str__(self) -> str:
        return f"moved_by({self.objects})"


@dataclass(frozen=True)
class Seen:
    """When was it seen (first or last)? ``ago``: how long ago."""

    objects: Objects
    first: bool = False

    def __str__(self) -> str:
        return f"{'first' if self.first else 'last'}_seen({self.objects})"


@dataclass(frozen=True)
class Describe:
    """What is in the room?"""

    def __str__(self) -> str:
        return "describe(room)"


@dataclass(frozen=True)
class Step:
    """A step of a route: go on until an object, or a turn that is to be filled in (``until`` None)."""

    until: Objects | None

    def __str__(self) -> str:
        return "turn?" if self.until is None else f"go({self.until})"


@dataclass(frozen=True)
class Route:
    """How does one get there (from ``start``, else from the asker)? With ``steps``, which turns complete them."""

    goal: Objects
    steps: tuple[Step, ...] = ()
    yes_no: bool = False
    start: Objects | None = None

    def __str__(self) -> str:
        steps = "".join(f", {s}" for s in self.steps) + ("" if self.start is None else f", from {self.start}")
        return f"{'reachable' if self.yes_no else 'route'}({self.goal}{steps})"


@dataclass(frozen=True)
class Both:
    """Several wishes in one sentence ("how wide is it, and how long?"); each gets its answer."""

    queries: tuple[Query, ...]

    def __str__(self) -> str:
        return f"both({', '.join(map(str, self.queries))})"


Query = (
    Count
    | CountTest
    | Exists
    | Verify
    | Where
    | Distance
    | Size
    | Difference
    | RoomSize
    | RoomExceeds
    | Direction
    | RelationOf
    | Identify
    | Compare
    | Ranking
    | Alike
    | Together
    | Order
    | Color
    | Changes
    | MovedBy
    | Fate
    | Fits
    | Seen
    | Describe
    | Route
    | Both
)


@dataclass(frozen=True)
class Stance:
    """Where the asker stands and looks, as the words say it; None = as the pose says."""

    at: Objects | None = None
    facing: Objects | None = None
    back_to: Objects | None = None
    turn: float = 0.0  # degrees, counter-clockwise, after facing
    between: tuple[Objects, ...] = ()  # in the middle of these

    def joined(self, other: Stance | None) -> Stance:
        """With what another clause says besides."""
        if other is None:
            return self
        return Stance(
            self.at or other.at,
            other.facing if self.facing == Kind("room") and other.facing else self.facing or other.facing,
            self.back_to or other.back_to,
            self.turn + other.turn,
            self.between or other.between,
        )

    def __str__(self) -> str:
        parts = [
            f"{n}({v})"
            for n, v in (("at", self.at), ("facing", self.facing), ("back_to", self.back_to))
            if v is not None
        ]
        if self.between:
            parts.insert(0, f"between({', '.join(map(str, self.between))})")
        if self.turn:
            parts.append(f"turned({self.turn:g} deg)")
        return ", ".join(parts)


@dataclass(frozen=True)
class Program:
    """A question as understood.

    Attributes:
        query: what is asked.
        stance: where the asker says to stand and look, in the question itself.
        situation: the same, told in sentences before the question.
        unit: unit asked for (m, cm, mm, km, ft, in, yd, m^2, ft^2, deg, s, min, h), or empty.
        certainty: 0..1, how sure the parse is.
        skipped: words that were passed over.
        corrected: words taken as misspelt, and what they were read as.
    """

    query: Query
    stance: Stance | None = None
    situation: Stance | None = None
    unit: str = ""
    certainty: float = 1.0
    skipped: tuple[str, ...] = field(default=())
    corrected: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        text = str(self.query)
        for stance in (self.stance, self.situation):
            if stance is not None and str(stance):
                text += f" from {stance}"
        if self.unit:
            text += f" in {self.unit}"
        return text

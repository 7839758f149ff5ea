"""Phrases of space: relations, sides, measures and units, as people say them and as programs name them."""

from __future__ import annotations

from itertools import product

from proxy3d_core.reasoning.grammar import Phrases
from proxy3d_core.reasoning.lexicon import COLOR_WORDS, NUMBER_WORDS, word_set
from proxy3d_core.reasoning.program import Me


def _expand(table: dict[str, str]) -> dict[str, str]:
    """``"a/b c": x`` stands for ``"a c": x`` and ``"b c": x``; an empty alternative leaves the word out."""
    out: dict[str, str] = {}
    for phrases, meaning in table.items():
        for phrase in phrases.split(","):
            for words in product(*(w.split("/") for w in phrase.split())):
                out[" ".join(w for w in words if w)] = meaning
    return out


RELATIONS = Phrases(
    _expand(
        {
            "on,upon,atop,on/ top of,on the top of,onto,over the top of,on the surface of": "on",
            "under,underneath,beneath,at/ the bottom of": "under",
            "below,lower than": "below",
            "above,over,higher than": "above",
            "in,inside,inside of,within,into,contained in": "in",
            "next,next/adjacent/close to,right/ next to,beside,alongside,by,to/at the side of,adjoining,at/on the/ side/edge of,by the side of,abutting": "beside",
            "touching,against,up against,in contact with,attached to,leaning on/against,connected to": "touching",
            "near,near/close to,near by,close by,in the vicinity of,not far from,around the area of,in the/ proximity of,closed to": "near",
            "at,around,surrounding,round,gathered around,pushed into,tucked under/into,belonging to,along,pushed in to": "at",
            "at/ the/ head/foot/end of": "beside",
            "in/ front of,at/in the front of,ahead of,before": "front_of",
            "behind,in back of,at/in the back of,to the rear/back of,at the rear of,beyond": "behind",
            "across from,straight across from,directly across from,directly opposite,opposite,opposite to/of,facing toward,on the other side of,across,facing": "across",
            "/to/on/at/from the/ left of,/to/on/at the/ left hand/ side of,left from,leftward of,on the/its left from": "left_of",
            "/to/on/at/from the/ right of,/to/on/at the/ right hand/ side of,right from,rightward of": "right_of",
            "between,in between,in the middle of,in/ the space between,sandwiched between": "between",
        }
    )
)
"""Relations to another object: phrase -> name in programs."""


def _sides() -> dict[str, str]:
    table: dict[str, str] = {}
    me = ("my", "your", "the", "the robot 's", "its", "their", "his", "her", "our")
    for side in ("left", "right"):
        for prefix, whose in product(("to", "on", "at", "in", "toward", "from", "off to", "over to", "over on"), me):
            for tail in (
                "",
                " side",
                " hand side",
                " hand",
                " of me",
                " side of me",
                " hand side of me",
                " of you",
                " of the robot",
            ):
                for far in ("", "far ", "immediate ", "near ", "direct ", "close ", "front ", "back "):
                    meaning = {"front ": f"front-{side}", "back ": f"back-{side}"}.get(far, side)
                    table[f"{prefix} {whose} {far}{side}{tail}"] = meaning
        table |= {
            f"left of {x}" if side == "left" else f"right of {x}": side
            for x in ("me", "you", "myself", "the robot", "where i am")
        }
        table |= {f"{side} hand side": side, f"{side} side": side}
        table |= {f"{p} {side}": side for p in ("to", "on", "toward", "at")}
    for side, phrase in product(
        ("front", "back"),
        ("to/in/at/on/from/toward my/your/the/its {0}", "to/in/at/on my/your/the {0} side", "to/in {0}"),
    ):
        table |= _expand({phrase.format(side): side})
    table |= _expand(
        {
            "in front of/from me/myself/you/us,in front,ahead,ahead of me/us/you,straight/right/dead ahead,in front of the robot": "front",
            "before me,in the front of me,to the front of me,in my front,facing me,forward,forwards,in my view,in my line of sight": "front",
            "in front of where i am/stand,in front of my position,in front of where i am standing/sitting": "front",
            "behind,behind me/myself/you/us,behind the robot,at/to/in my/your/the back/rear,in back of me,in back,backward,backwards": "back",
            "behind my back,behind where i am/stand,to the back of me,to/at my rear,to the rear": "back",
        }
    )
    for a, b in product(("front", "back", "forward", "behind", "rear", "ahead", "backward"), ("left", "right")):
        meaning = f"{'front' if a in ('front', 'forward', 'ahead') else 'back'}-{b}"
        for prefix in (
            "",
            "to my ",
            "to the ",
            "on my ",
            "on the ",
            "at my ",
            "in my ",
            "to ",
            "in the ",
            "at the ",
            "to your ",
            "on your ",
        ):
            for tail in ("", " side", " of me", " corner"):
                table[f"{prefix}{a} {b}{tail}"] = meaning
                table[f"{prefix}{a} and {b}{tail}"] = meaning
                table[f"{prefix}{b} {a}{tail}"] = meaning
        table[f"behind and to the {b}"] = f"back-{b}"
        table[f"in front and to the {b}"] = f"front-{b}"
        table[f"ahead and to the {b}"] = f"front-{b}"
        table[f"behind me and to the {b}"] = f"back-{b}"
        table[f"in front of me and to the {b}"] = f"front-{b}"
        table[f"behind me to the {b}"] = f"back-{b}"
        table[f"in front of me to the {b}"] = f"front-{b}"
        table[f"behind me on the {b}"] = f"back-{b}"
        table[f"in front of me on the {b}"] = f"front-{b}"
    hours = {w: n for w, n in NUMBER_WORDS.items() if 1 <= n <= 12 and w not in ("single", "dozen")} | {
        str(n): n for n in range(1, 13)
    }
    for (word, hour), prefix, tail in product(
        hours.items(),
        (
            "",
            "at my ",
            "in my ",
            "to my ",
            "on my ",
            "at your ",
            "on your ",
            "in your ",
            "to your ",
            "on the ",
            "to the ",
            "off my ",
            "at ",
            "at the ",
            "from my ",
            "in the ",
        ),
        ("", " direction", " position"),
    ):
        table[f"{prefix}{word} o'clock{tail}"] = f"{hour} o'clock"
        table[f"{prefix}{word} o clock{tail}"] = f"{hour} o'clock"
    return table


SIDES = Phrases(_sides())
"""Directions from the asker: phrase -> front, back, left, right, front-left, ..., ``3 o'clock``."""

BARE_SIDES = Phrases(
    {"left": "left", "right": "right", "front": "front", "back": "back", "behind": "back", "ahead": "front"}
    | {"forward": "front", "forwards": "front", "backward": "back", "backwards": "back"}
)
"""Directions as single words, as they stand in choices ("left or right")."""

PLACES = Phrases(
    _expand(
        {
            "against/along/by/near/on/at/beside/to a/the/ wall/walls,close to the/a wall,touching the wall,hanging on the wall": "wall",
            "in/at/by/near a/the/one/ corner/corners,in/at a/the/one corner of the/this/a room": "corner",
            "in/at the/ middle/center/centre of the/this room,in/at the middle/center": "middle",
            "on/across/off the/ floor/ground": "floor",
            "on/from/at/near the/ ceiling": "ceiling",
        }
    )
)
"""Parts of the room that an object can be at."""

HERE = Phrases(
    _expand(
        {
            "in/inside/within/of/around/throughout/from the/this/my/your/that/a room/space/scene/apartment/house/place/area/environment/flat/office/hall": "here",
            "at/from/in where i am/stand/sit,at/from where i am standing/sitting,from/at my position/place/location/spot/seat": "here",
            "in the entire/whole/same/current room/space/scene/house,in the room i am in,in the room that i am in,in the room i am sitting/standing in": "here",
            "lying/standing/sitting around,lying/standing/sitting around here/somewhere,around somewhere,lying somewhere": "here",
            "over there/here,right here/there,that is there,that are there": "here",
            "somewhere,somewhere here/around/nearby,somewhere around here,somewhere in here/there,somewhere in the/this room": "here",
            "we/i/you have,we/i/you have got,we/i/you have here,we/i/you have got here,we/i/you have in here,we/i/you have got in here": "here",
            "here,in here,in/ there,in view,in the map,in sight,in your memory,in the world,in my/the surroundings,around,anywhere,nearby me": "here",
            "in the room with me/you,that you have/ seen,you have/ seen,that you can see,you can see,i can see,that i can see,that/ you know,you know of/about": "here",
            "that you have/ found,you have/ found,from here,in all,on the map,at/in your place,in our room/office/lab/kitchen,that exist,that are visible": "here",
        }
    )
)
"""Phrases that mean: anywhere in the scene."""

SUPERLATIVES = Phrases(
    {
        phrase: meaning
        for phrases, meaning in (
            ("biggest,largest,most voluminous,bulkiest,most massive,greatest,hugest,most big", ("volume", True)),
            ("smallest,littlest,tiniest,least voluminous,most compact", ("volume", False)),
            ("tallest", ("height", True)),
            ("shortest", ("height", False)),
            ("highest,topmost,uppermost,most elevated", ("top", True)),
            ("lowest,bottommost,lowermost", ("top", False)),
            ("longest", ("size", True)),
            ("widest,broadest", ("width", True)),
            ("narrowest,thinnest,slimmest", ("width", False)),
            ("deepest", ("depth", True)),
            ("nearest,closest,most near,most close,least far,nearest by", ("distance", False)),
            ("farthest,most distant,most remote,remotest,farthest away,most far,least close", ("distance", True)),
            (
                "leftmost,left most,most left,farthest left,farthest to the left,most to the left,farthest on the left",
                ("leftness", True),
            ),
            (
                "rightmost,right most,most right,farthest right,farthest to the right,most to the right,farthest on the right",
                ("leftness", False),
            ),
            ("newest,most recent,latest,most recently seen,last seen", ("first_seen", True)),
            ("oldest,first seen,earliest,earliest seen", ("first_seen", False)),
        )
        for phrase in phrases.split(",")
    }
)
"""Superlatives: phrase -> (measure, from the largest down?)."""

COMPARATIVES = Phrases(
    {
        phrase: meaning
        for phrases, meaning in (
            (
                "bigger,larger,more voluminous,greater,greater in size,bulkier,bigger in size,larger in size",
                ("volume", True),
            ),
            ("smaller,littler,tinier,smaller in size", ("volume", False)),
            ("taller", ("height", True)),
            ("shorter", ("height", False)),
            ("higher,higher up", ("top", True)),
            ("lower,lower down", ("top", False)),
            ("longer", ("size", True)),
            ("wider,broader", ("width", True)),
            ("narrower,thinner,slimmer", ("width", False)),
            ("deeper", ("depth", True)),
            ("nearer,closer,less far,closer by,more near,more close,less far away,more closer", ("distance", False)),
            (
                "farther,farther away,more distant,less close,more far,more far away,farther off,more further",
                ("distance", True),
            ),
            ("more to the left,farther left,farther to the left,more left", ("leftness", True)),
            ("more to the right,farther right,farther to the right,more right", ("leftness", False)),
        )
        for phrase in phrases.split(",")
    }
)
"""Comparatives, in the same terms."""

HOW = {
    "big": "size", "large": "size", "small": "size", "huge": "size", "tall": "height", "high": "height", "long": "length",
    "voluminous": "volume", "bulky": "volume", "massive": "volume", "wide": "width", "broad": "width", "deep": "depth", "thick": "depth", "narrow": "width", "short": "height", "tiny": "size",
}  # fmt: skip
"""Adjectives after "how": measure."""

_LONGEST = ["longest", "largest", "biggest", "maximum", "greatest", "max", "maximal"]
_ALL_THREE = (
    "length , width , or height",
    "length , width or height",
    "length , width , and height",
    "length , width and height",
)
DIMENSIONS = Phrases(
    {word: word for word in ("size", "height", "width", "length", "depth", "area", "volume", "elevation", "dimensions")}
    | dict.fromkeys(
        (
            "w d h",
            "w , d , h",
            "w h d",
            "w , h , d",
            "l w h",
            "l , w , h",
            "h w d",
            "h , w , d",
            "width , depth , height",
            "width depth height",
            "length , width , height",
            "height , width , depth",
            "all dimensions",
            "exact dimensions",
            "length and width",
            "width and height",
            "height and width",
            "width and depth",
            "length and height",
            "length width height",
            "width , height and depth",
        ),
        "dimensions",
    )
    | {
        "heights": "height",
        "widths": "width",
        "lengths": "length",
        "depths": "depth",
        "areas": "area",
        "volumes": "volume",
    }
    | {"breadth": "width", "thickness": "depth", "extent": "size", "sizes": "dimensions", "measurements": "dimensions"}
    | dict.fromkeys(
        ("proportions", "measures", *_ALL_THREE, "length width and height", "width and height and depth"), "dimensions"
    )
    | dict.fromkeys(("footprint", "floor area", "surface area", "surface", "floor space", "base area"), "area")
    | {f"height {p} the {f}": "elevation" for p in ("above", "off", "from", "over") for f in ("floor", "ground")}
    | {
        f"{start}{most} {noun}{tail}": "size"
        for start in ("", "length of the ", "size of the ")
        for most in _LONGEST
        for noun in ("side", "edge", "dimension", "extent", "axis")
        for tail in (
            "",
            *(f" , {all_three}" for all_three in _ALL_THREE),
            *(f" among {all_three}" for all_three in _ALL_THREE),
        )
    }
)
"""Dimension nouns: phrase -> measure."""

UNITS: dict[str, tuple[str, float, str]] = {}
"""Unit word -> (name, size in m, m^2 or degrees, kind)."""
for _words, _name, _factor, _kind in (
    ("m meter meters", "m", 1.0, "length"),
    ("cm centimeter centimeters cms", "cm", 0.01, "length"),
    ("mm millimeter millimeters", "mm", 0.001, "length"),
    ("km kilometer kilometers kilometre", "km", 1000.0, "length"),
    ("ft foot feet", "ft", 0.3048, "length"),
    ("inch inches", "in", 0.0254, "length"),
    ("yd yard yards", "yd", 0.9144, "length"),
    ("sqm m2 m²", "m^2", 1.0, "area"),
    ("sqft ft2", "ft^2", 0.3048**2, "area"),
    ("degree degrees deg", "deg", 1.0, "angle"),
    ("radian radians rad", "rad", 57.29577951308232, "angle"),
    ("liter liters", "l", 0.001, "volume"),
    ("second seconds sec", "s", 1.0, "time"),
    ("minute minutes", "min", 60.0, "time"),
    ("hour hours", "h", 3600.0, "time"),
):
    for _word in _words.split():
        UNITS[_word] = (_name, _factor, _kind)
SQUARE = {
    "m": ("m^2", 1.0),
    "cm": ("cm^2", 1e-4),
    "ft": ("ft^2", 0.3048**2),
    "in": ("in^2", 0.0254**2),
    "yd": ("yd^2", 0.9144**2),
}
CUBIC = {"m": ("m^3", 1.0), "cm": ("cm^3", 1e-6), "ft": ("ft^3", 0.3048**3), "in": ("in^3", 0.0254**3)}

ME = Phrases(
    dict.fromkeys(
        (
            "me", "i", "myself", "you", "yourself", "us", "we", "robot", "the robot", "this robot", "the camera", "my position", "my location", "your position",
            "your location", "my current position", "my current location", "your current position", "where i am", "where i stand", "where i sit",
            "where i am standing", "where i am sitting", "where you are", "where you stand", "where we are", "here", "my place", "my viewpoint",
            "the viewer", "the observer", "my standing position", "where i am now", "the robot 's position", "my side", "my spot",
        ),
        Me(),
    )
)  # fmt: skip
MANY = word_set("these those all every each both")
PARTITIVE = word_set(
    """
    all any some each one both most pieces piece items item couple pair pairs lots kind type set sets
    """
)
INDEFINITE = word_set("a an any some no another other")
STOP = word_set(
    """
    the a an is are was were be been being am do does did have has had can could would should will may might must
    shall what which who whom whose where when why how that this these those there here it they them he she i me
    my mine myself you your yours we us our in on at by to of from for with without under over above below behind
    between near beside inside around against across along through beneath underneath next front into onto upon
    atop toward than then and or but nor not no if while as whether because so see seen saw find found look
    looking looks face facing faces stand standing stands stood sit sitting sits located placed go going goes went
    walk get getting exist exists present visible there's turn turning turned move moved moves moving use using
    reach count list name show tell give say please compare closer farther bigger larger smaller taller shorter
    higher lower wider longer nearer more less fewer many much far away apart hanging lying resting mounted
    leaning put kept stored situated positioned belong belongs contain contains contained available installed ,
    odd even both either neither also only per versus vs compared relative opposite adjacent alongside touching
    gone missing disappeared new changed removed taken vanished appear appears appeared last before after since
    ago ahead back forward until once surrounding surround surrounds want wants need needs 's one's o'clock clock
    straight vicinity itself themselves yourself myself up down else difference several middle left right combined whether lie lies lay reach reaches hang hangs has whether described stacked arranged parked set stay stays
    """
)  # fmt: skip
SIZE_WORDS: dict[str, tuple[str, bool]] = {
    "big": ("volume", True), "large": ("volume", True), "huge": ("volume", True), "small": ("volume", False), "little": ("volume", False),
    "tiny": ("volume", False), "tall": ("height", True), "short": ("height", False), "wide": ("width", True), "narrow": ("width", False),
    "long": ("size", True), "bigger": ("volume", True), "larger": ("volume", True), "smaller": ("volume", False), "taller": ("height", True),
    "shorter": ("height", False), "left": ("leftness", True), "right": ("leftness", False), "lower": ("top", False), "upper": ("top", True),
    "higher": ("top", True), "farther": ("distance", True), "nearer": ("distance", False), "closer": ("distance", False),
    "longer": ("size", True), "wider": ("width", True), "far": ("distance", True),
}  # fmt: skip
WEAK_ADJECTIVES = word_set("other same own whole entire single different various separate")
PARTICIPLES = word_set(
    """
    located placed situated positioned standing sitting hanging lying resting leaning mounted put kept stored
    stacked arranged found set seen fixed attached installed parked stands sits hangs lies rests leans stood
    directly immediately right just far seated visible present close closely tucked pushed gathered laid laying
    hung there affixed straight
    """
)
STATES = Phrases(
    {
        phrase: state
        for state, said in (
            ("moved", "moved,been moved,changed place,displaced,relocated,shifted,been displaced,been relocated,moved around,changed position"),
            ("gone", "gone,missing,disappeared,removed,been removed,taken,taken away,been taken,been taken away,vanished,been taken out,gone missing,"
                     "no longer in the room,no longer in this room,no longer in the scene,no longer in the apartment,no longer around,no longer present,"
                     "not there,not here,not there anymore,no longer there,no longer here,lost,not there any more"),
            ("new", "new,added,been added,newly added,appeared,brought in,been brought in,newly appeared,just appeared"),
            ("present", "there,present,here,in place,around"),
        )
        for phrase in said.split(",")
    }
)  # fmt: skip
SHADES = word_set("light dark bright pale deep")
"""Before a colour: boxes are compared by their basic colour."""
OF_COLOR = Phrases({f"{c} in color": COLOR_WORDS[c] for c in COLOR_WORDS} | {c: COLOR_WORDS[c] for c in COLOR_WORDS})

# Said around a question, without a meaning of their own here; longest first.
FILLERS = sorted(
    (
        tuple(phrase.split())
        for phrase in (
            "please", "kindly", "hey", "hi", "hello", "hey robot", "hi robot", "hello robot", "ok robot", "okay", "ok", "robot ,", "hey there",
            "can you tell me", "could you tell me", "would you tell me", "can you please tell me", "could you please tell me", "will you tell me",
            "can you say", "can you tell", "could you tell", "can you figure out", "can you work out", "could you figure out", "can you check if", "could you check if", "can you check whether", "could you check whether", "please check if", "check if",
            "check whether", "can you check", "could you check",
            "can you let me know", "could you let me know", "please tell me", "tell me", "let me know", "do you know", "do you happen to know",
            "do you remember", "can you remember", "would you happen to know", "would you know", "do you recall", "any idea", "any clue",
            "do me a favor and", "be so kind and", "be so good as to", "i would love to know", "i would be interested to know", "i am interested to know", "i would like to find out", "i want to find out", "i need to find out", "i would like you to tell me", "i want you to tell me", "was wondering", "been wondering", "have been wondering", "wondering", "i want to know", "i would like to know", "i need to know", "i wonder", "i was wondering", "i am wondering", "i am curious",
            "just curious", "quick question", "one question", "question", "to your knowledge", "as far as you know", "from what you have seen",
            "in your opinion", "that was here before", "that was there before", "that were here before", "that were there before",
            "that used to be here", "that used to be there", "which was here before", "compared to before", "compared with before",
            "compared to last time", "compared with last time", "for me", "for us", "if you can", "if possible", "my friend", "buddy", "mate",
            "please answer with a letter", "answer with a letter", "answer with the letter", "answer with one letter", "just the letter",
            "on your tour", "on your way", "during your tour", "on your drive", "on the way", "during your drive", "on your round", "on your rounds", "on your patrol",
            "in coordinates", "as coordinates", "in x y z", "x y z", "in xyz", "as x y z",
            "listen", "excuse me", "sorry", "could you please", "would you please", "can you please", "remind me", "by any chance", "by chance", "if any", "would you say", "would you mind telling me", "do you mind telling me", "would you be able to tell me", "are you able to tell me", "help me out", "help me",
            "let us see", "do you think", "would you say", "exactly", "approximately", "roughly", "currently", "right now",
            "at the moment", "at present", "now", "actually", "precisely", "in total", "altogether", "all together", "overall", "all in all",
            "by the way", "again", "then", "so", "well", "um", "uh", "just", "simply", "maybe", "perhaps", "thanks", "thank you", "really",
            "these are frames of a video", "according to the video", "in the video", "in this video", "based on the video", "in the picture",
            "in the image", "in the map", "on the map", "in your map", "in the scan", "in this scan",
            *(f"{how}from the {near} {point}" for how in ("measured ", "measuring ", "if measured ", "") for near in ("closest", "nearest")
              for point in ("points", "point of each object", "points of each object", "points of the objects", "point of each")),
            "measuring from the closest point", "measuring from the nearest point", "estimated", "estimate", "to date", "so far", "up to now", "until now",
            "what do you think", "immediately", "straight away", "as the crow flies", "in a straight line", "kind of", "sort of", "about",
            "in general", "around you", "around here", "out there", "ever", "yet", "already", "still",
        )
    ),
    key=len,
    reverse=True,
)  # fmt: skip

MORE_OR_LESS = Phrases({"more than": False, "over": False, "at least": False, "less than": True, "under": True})
"""Before a length and a dimension ("more than 2 m long"): less?"""

LIMITS = Phrases(
    dict.fromkeys(
        ("within", "within a radius of", "less than", "closer than", "nearer than", "at most", "no more than"), False
    )
    | dict.fromkeys(("more than", "farther than", "farther away than", "at least", "over"), True)
)
"""Before a length and an object ("within 2 m of the door"): farther?"""

FROM = Phrases(dict.fromkeys(("away", "away from", "from", "of", "to", "distance of", "distance from"), True))
"""Between a length and the object that it counts from."""

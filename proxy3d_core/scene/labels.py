"""What class names imply. Names are the segmenter's own; run-together VOC names and plain English are both known."""

from __future__ import annotations

STRUCTURE = frozenset(
    {"wall", "floor", "ceiling", "flooring", "ground", "roof", "walls", "floors", "column", "pillar", "beam"}
)
"""Not objects: they bound the room."""

GROUND_COVERS = frozenset({"rug", "carpet", "mat", "floor mat", "doormat", "bath mat", "rug-merged", "floor-wood"})
"""Objects although they lie flat on the floor."""

OPENINGS = frozenset({"doorway", "doorframe", "door frame", "archway"})
"""Holes in a wall: what is seen of one is its sides."""

FLUSH = frozenset(
    {
        *("door", "doorway", "window", "windowpane", "mirror", "picture", "painting", "poster", "clock", "whiteboard"),
        *("blackboard", "curtain", "blind", "blinds", "tv", "tvmonitor", "television", "monitor", "screen", "towel"),
    }
)
"""What may lie in a wall's plane."""

_SHEETS = GROUND_COVERS | {"mirror", "picture", "painting", "poster"}

# fmt: off
SUPPORTERS = frozenset({
    "table", "dining table", "diningtable", "coffee table", "side table", "end table", "desk", "workbench", "stand",
    "counter", "countertop", "kitchen counter", "kitchen island", "island",
    "cabinet", "kitchen cabinet", "nightstand", "night stand", "tv stand", "sideboard",
    "dresser", "commode", "drawer", "chest of drawers", "shelf", "bookshelf", "bookcase",
})
"""What stands on one of these is an object of its own, even where the segmenter calls it by the supporter's name."""

_FLOOR_STANDING = frozenset({
    "chair", "armchair", "stool", "bench", "sofa", "couch", "ottoman", "bed", "crib",
    "table", "diningtable", "desk", "nightstand", "dresser", "wardrobe", "bookshelf", "bookcase", "piano",
    "refrigerator", "fridge", "stove", "oven", "dishwasher", "washer", "toilet", "bathtub",
    "person",
})

_ON_A_POLE = frozenset({"floor lamp", "standing lamp", "coat rack", "coat stand"})

_ON_A_FOOT = frozenset({"tv", "television", "tvmonitor", "monitor", "screen"})

_HANGING = frozenset({"curtain", "curtains", "drapes", "shower curtain", "towel", "blind", "blinds"})

_ON_WALLS = frozenset({"radiator"})  # with a gap over the floor

_ROUND = frozenset({
    "trash can", "trash bin", "bin", "bucket", "stool", "floor lamp", "standing lamp", "table lamp", "lamp", "fan",
    "potted plant", "pottedplant", "plant", "vase", "mug", "cup", "glass", "bottle", "bowl", "plate", "pot", "ball",
    "umbrella stand", "laundry basket", "coat rack", "candle", "kettle",
})

_LEAST_LENGTH = {  # m
    0.08: {
        "mug", "cup", "glass", "bottle", "can", "bowl", "plate", "apple", "orange", "candle", "vase",
        "remote", "mouse", "phone", "book", "clock",
    },
    0.15: {
        "lamp", "fan", "plant", "pottedplant", "potted plant", "pillow", "towel", "picture", "teddy bear",
        "toilet paper", "box", "bag", "basket", "backpack", "shoe", "bin", "trash can", "trash bin",
        "keyboard", "laptop", "printer", "toaster", "kettle",
    },
    0.25: {
        "monitor", "tvmonitor", "tv", "television", "screen", "computer", "speaker", "whiteboard", "mirror", "window",
        "microwave", "sink", "stool", "suitcase",
    },
    0.4: {
        "chair", "armchair", "office chair", "bench", "nightstand", "cabinet", "curtain", "person",
        "toilet", "radiator", "heater", "oven", "stove", "dishwasher", "washer", "washing machine",
        "shelf",  # a board on a wall
    },
    0.6: {
        "table", "dining table", "diningtable", "coffee table", "desk", "counter", "sofa", "couch", "bed",
        "bookshelf", "bookcase", "wardrobe", "dresser", "refrigerator", "fridge",
        "bathtub", "shower", "door", "fireplace", "piano", "rug", "carpet",
    },
}

# Cabinets, shelves and pictures are not here: they come side by side.
_MOST_LENGTH = {  # m
    0.45: {"laptop", "table lamp", "vase"},
    0.6: {"floor lamp", "stool", "fan", "coat rack", "guitar", "suitcase", "microwave", "printer"},
    0.8: {
        "chair", "office chair", "monitor", "screen", "nightstand", "toilet", "washing machine", "stove",
        "refrigerator", "fridge", "potted plant", "pottedplant", "plant",
    },
    1.1: {"armchair", "mirror", "washbasin"},
    1.5: {"tv", "television", "tvmonitor", "coffee table"},
    2.0: {"desk", "bathtub", "tv stand"},
    2.4: {"bed", "sofa", "couch", "dining table", "diningtable", "window", "whiteboard", "blackboard"},
}
# fmt: on
_TOPS = {"door": 2.1, "doorway": 2.1, "window": 2.0, "curtain": 2.1}
_MOST = {name: length for length, names in _MOST_LENGTH.items() for name in names}
_LEAST = {name: length for length, names in _LEAST_LENGTH.items() for name in names}
_UNKNOWN_LEAST = 0.08  # m


def normalise(name: str) -> str:
    """A label as it is kept: lower case, single spaces."""
    return " ".join(name.replace("_", " ").lower().split())


def stands_on_floor(name: str) -> bool:
    """Whether such things stand on the floor, so that their hidden feet do too."""
    return bool(name) and name.split()[-1] in _FLOOR_STANDING


def hidden_feet(name: str) -> float:
    """How much of such a thing may be hidden between what was seen of it and the floor, metres."""
    return 1.5 if name in _ON_A_POLE else 0.8 if stands_on_floor(name) else 0.0 if name in _ON_WALLS else 0.15


def is_hanging(name: str) -> bool:
    """Whether such things are thin and hang before something that shows beside and through them."""
    return name in _HANGING


def is_round(name: str) -> bool:
    """Whether such things are as deep as they are wide."""
    return name in _ROUND


def stands_on_a_foot(name: str) -> bool:
    """Whether such things are thin and stand on a foot that is not."""
    return name in _ON_A_FOOT


def is_folding(name: str) -> bool:
    """Whether such things stand open with one half flat on what they stand on."""
    return name == "laptop"


def is_leafy(name: str) -> bool:
    """Whether little of such things is where they end."""
    return "plant" in name


def is_sheet(name: str) -> bool:
    """Whether such things are thinner than a depth camera can tell."""
    return not _SHEETS.isdisjoint((name, *name.split()[-1:]))


def least_top(name: str) -> float:
    """Metres above the floor that such things reach at least: who looks at them from near by does not see their top."""
    return _TOPS.get(name, 0.0)


def most_length(name: str) -> float:
    """Longest edge on the floor plane, in metres, of one such thing, which two side by side exceed; 0 = not known."""
    return _MOST.get(name, 0.0)


def least_surface(name: str) -> float:
    """Visible surface, in square metres, below which something is a speck of wrong labels, not an object of this class.

    Half the square of the least length that such things have (hand-made table: a chair is at least 0.4 m in some
    direction). Run-on names such as "dining table" fall back to their last word.
    """
    length = _LEAST.get(name) or _LEAST.get(name.split()[-1] if name else "", _UNKNOWN_LEAST)
    return 0.5 * length * length

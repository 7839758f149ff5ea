"""What class names imply. Names are the segmenter's own; run-together VOC names and plain English are both known."""

from __future__ import annotations

STRUCTURE = frozenset(
    {"wall", "floor", "ceiling", "flooring", "ground", "roof", "walls", "floors", "column", "pillar", "beam"}
)
"""Not objects: they bound the room."""

GROUND_COVERS = frozenset({"rug", "carpet", "mat", "floor mat", "doormat", "bath mat", "rug-merged", "floor-wood"})
"""Objects although they lie flat on the floor."""

SUPPORTERS = frozenset(
    {
        "table", "dining table", "diningtable", "coffee table", "side table", "end table", "desk", "counter", "kitchen counter",
        "countertop", "cabinet", "kitchen cabinet", "nightstand", "night stand", "dresser", "shelf", "bookshelf", "bookcase",
        "sideboard", "tv stand", "chest of drawers", "workbench", "kitchen island", "island", "stand", "drawer", "commode",
    }
)  # fmt: skip
"""What stands on one of these is an object of its own, even where the segmenter calls it by the supporter's name."""


def normalise(name: str) -> str:
    """A label as it is kept: lower case, single spaces."""
    return " ".join(name.replace("_", " ").lower().split())


_FLOOR_STANDING = frozenset(
    [
        "chair",
        "armchair",
        "table",
        "diningtable",
        "desk",
        "sofa",
        "couch",
        "bed",
        "bench",
        "stool",
        "toilet",
        "bathtub",
        "wardrobe",
        "dresser",
        "refrigerator",
        "fridge",
        "bookshelf",
        "bookcase",
        "nightstand",
        "ottoman",
        "person",
        "washer",
        "dishwasher",
        "stove",
        "oven",
        "piano",
        "crib",
    ]
)


def stands_on_floor(name: str) -> bool:
    """Whether such things stand on the floor, so that their hidden feet do too."""
    return bool(name) and name.split()[-1] in _FLOOR_STANDING


_LEAST_LENGTH = {
    0.08: "mug cup glass bottle apple orange remote mouse phone book can bowl plate candle clock vase",
    0.15: "lamp box bag basket keyboard laptop plant pottedplant potted_plant toaster kettle pillow picture backpack printer fan "
    "trash_can trash_bin bin toilet_paper teddy_bear shoe towel",
    0.25: "monitor tvmonitor tv television screen computer microwave sink stool whiteboard mirror window suitcase speaker",
    0.4: "chair armchair office_chair toilet nightstand cabinet radiator heater oven stove dishwasher washer "
    "washing_machine curtain person bench",
    0.6: "table dining_table diningtable desk coffee_table sofa couch bed bathtub refrigerator fridge door bookshelf bookcase "
    "shelf wardrobe dresser counter fireplace piano shower",
}
_LEAST = {name.replace("_", " "): length for length, names in _LEAST_LENGTH.items() for name in names.split()}
_UNKNOWN_LEAST = 0.08


def least_surface(name: str) -> float:
    """Visible surface, in square metres, below which something is a speck of wrong labels, not an object of this class.

    Half the square of the least length that such things have (hand-made table: a chair is at least 0.4 m in some
    direction). Run-on names such as "dining table" fall back to their last word.
    """
    length = _LEAST.get(name) or _LEAST.get(name.split()[-1] if name else "", _UNKNOWN_LEAST)
    return 0.5 * length * length

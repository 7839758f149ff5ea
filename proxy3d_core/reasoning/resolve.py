"""Names that people use, matched to the labels of a scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from proxy3d_core.reasoning.lexicon import (
    KINDS,
    LOOSE,
    NOUNS,
    RELATED,
    concept,
    label_concepts,
    plain_label,
    singular,
)


@dataclass(frozen=True)
class Match:
    """Labels that a name means, and how sure that is (1 = the same word or a synonym)."""

    labels: frozenset[str]
    certainty: float


@lru_cache(maxsize=16384)
def match_labels(name: str, labels: frozenset[str]) -> Match:
    """The scene's labels that ``name`` (a concept, singular) means; none if the scene has nothing of that name.

    In order: the label itself; the same thing (synonyms count); compounds of it ("office chair" is a chair); what a
    group word names (furniture);
    the class that a compound belongs to ("office chair" asked, "chair" known); a related class that people call so
    ("desk" for a table).
    """
    if name == "object":
        return Match(labels, 1.0)
    concepts = {label: label_concepts(label) for label in labels}
    plain = {label: singular(plain_label(label)) for label in labels}
    if name in plain.values():  # "floor lamp" is no other lamp, a "sink" no washbasin, where the scene tells them apart
        compound = (label for label, words in plain.items() if words.endswith(" " + name) and words not in _NOT_A_KIND)
        return Match(frozenset((*(label for label, words in plain.items() if words == name), *compound)), 1.0)
    name = concept(name)
    same = frozenset(label for label, names in concepts.items() if name in names)
    only = frozenset(label for label in same if len(concepts[label]) == 1)
    same = only or same  # "tvmonitor" is a monitor only where nothing is called just that
    compounds = frozenset(
        label
        for label, names in concepts.items()
        if any(n.endswith(" " + name) and n not in _NOT_A_KIND for n in names)
    )
    if same or compounds:
        return Match(same | compounds, 1.0 if same else 0.97)
    if name in KINDS:
        members = set(KINDS[name])
        found = frozenset(
            label
            for label, names in concepts.items()
            if any(n in members or n.rpartition(" ")[2] in members for n in names)
        )
        return Match(found, 0.85)
    close = frozenset(
        label for related in RELATED.get(name, ()) for label, names in concepts.items() if related in names
    )
    if close:
        first = next(r for r in RELATED[name] if any(r in concepts[label] for label in close))
        certainty = 0.45 if name in LOOSE else 0.75
        return Match(frozenset(label for label in close if first in concepts[label]), certainty)
    if " " in name:
        head = concept(name.rpartition(" ")[2])
        wider = frozenset(label for label, names in concepts.items() if head in names)
        if wider and name not in _NOT_A_KIND:
            return Match(wider, 0.7)
    spelled = (
        get_close_matches(name, sorted({n for names in concepts.values() for n in names}), 1, 0.85)
        if name not in NOUNS
        else []
    )
    return Match(frozenset(label for label, names in concepts.items() if spelled and spelled[0] in names), 0.5)


_NOT_A_KIND = frozenset(
    [
        "trash can",
        "toilet paper",
        "toilet seat",
        "shower curtain",
        "paper towel",
        "hot dog",
        "fire place",
        "tv stand",
        "window sill",
        "light switch",
        "toilet bowl",
    ]
)


def near_misses(name: str, labels: Iterable[str]) -> list[str]:
    """Labels that look like the name, for a hint; else the labels themselves."""
    known = sorted(set(labels))
    return get_close_matches(name, known, 3, 0.6)

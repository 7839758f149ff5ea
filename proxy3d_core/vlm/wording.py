"""A question of the node as the model has learned to read questions (``Sample.prompt`` of SpaceSpan)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.proxies.references import References, marker
from proxy3d_core.reasoning.answer import Question, Status, Viewpoint
from proxy3d_core.reasoning.choices import Option, split_options
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_core.vlm.situation import asks_for_viewpoint, situation

SHORT = "Answer the question using a single word or phrase."
MEASURE = "Please answer the question using a single word or phrase."
"""SHORT, as VSI-Bench says it to those who are to estimate."""
LETTER = "Answer with the option's letter from the given choices directly."
SAME = 0.5
"""A region is an object of the map where the boxes overlap at least this much (IoU)."""

_REGION = re.compile(r"Region \[(\d+)\]")
_LONGER = re.compile(
    r"^(which|what) (object|thing|item|one)s?\b|^which is\b|\bwhich one\b|<OBJ\d{3}> or <OBJ"
    r"|^(find|list|identify|locate|search|describe|name the object)\b|\bIDs?\b|\bmarkers?\b"
    r"|^(does|is there) anything\b|\bobject (is|does|carries)\b",
    re.IGNORECASE,
)
"""Questions that want objects, or a sentence, and were learned without being told to be brief."""


_METER = re.compile(r"\b(centi)?met(?:re|er)(s?)\b", re.IGNORECASE)
_WITH_UNIT = re.compile(r"\b(centi)?meters?\b|\bin (c?m|m\^?2)\b", re.IGNORECASE)
_NO_MEASURE = re.compile(r"^(is|are|was|were|does|do|did|has|have|which|whose)\b", re.IGNORECASE)
"""Yes or no, or one of several, whatever is measured for that."""
_MEASURED = tuple(
    (re.compile(pattern, re.IGNORECASE), unit)
    for pattern, unit in (
        (r"\bhow (far|close|near)\b|\b(the|what)( \w+)? distance\b|^how many met(er|re)s\b", "meters"),
        (r"\bhow (big|large)\b.*\b(room|apartment|flat)\b|\b(area|size) of\b.*\broom\b", "square meters"),
        (r"^how (long|wide|tall|high|deep|thick|big|large)\b|\b(length|width|height|depth) of\b", "centimeters"),
    )
)
"""What is measured, and the unit in which the model has learned to; the first that fits."""


class Unaskable(Exception):
    """A question that cannot be put to the model; ``status`` and the message say why."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Wording:
    """What the model reads.

    Attributes:
        text: situation, question, options, instruction.
        question: the question alone, without options.
        options: answers to choose from.
        regions: marker index of each region of the question.
    """

    text: str
    question: str
    options: tuple[Option, ...] = ()
    regions: tuple[int, ...] = ()


def worded(question: Question, snapshot: Snapshot, references: References) -> Wording:
    """The question for the model.

    Regions become the markers of the objects they show, and so does what names an object as answers and RViz do ("the
    chair (7)", "chair 7", "object 7"). A viewpoint, if the question needs one and does not state it
    itself, becomes a sentence before it: the request's, else the robot's.

    Raises:
        Unaskable: the question is empty, a region is no object of the map, or nothing tells where the asker stands.
    """
    text, options = split_options(question.text, question.options)
    text = _written(" ".join(text.split()))
    if not text:
        raise Unaskable(Status.NOT_UNDERSTOOD, "the question is empty; ask for example: How many chairs are there?")
    regions = _markers(question.regions, snapshot, references)
    text = _named(_with_markers(text, regions), snapshot, references)
    choices = [f"{o.letter}. {_named(_with_markers(o.text, regions), snapshot, references)}" for o in options]
    parts = [_stance(text, question, snapshot, references), text]
    asked = " ".join(part for part in parts if part)
    if choices:
        return Wording("\n".join([asked, "Options:", *choices, LETTER]), text, options, regions)
    measured = _measured(text)
    if measured is not None:
        return Wording(f"{asked.removesuffix(text)}{measured} {MEASURE}", measured, (), regions)
    return Wording(asked if _LONGER.search(text) else f"{asked} {SHORT}", text, (), regions)


def _written(text: str) -> str:
    """As one writes a sentence: people type "how many chairs", and a small model knows other tokens for that."""
    text = text.lower() if text.isupper() else text
    return f"{text[:1].upper()}{text[1:]}{'' if text[-1:] in tuple('.?!:') else '?'}" if text else ""


def _measured(text: str) -> str | None:
    """A question for a length or an area with its unit, spelled as learned; None where none is asked for."""
    unit = next((unit for pattern, unit in _MEASURED if pattern.search(text)), None)
    if unit is None or _NO_MEASURE.search(text):
        return None
    text = _METER.sub(lambda found: f"{found[1] or ''}meter{found[2]}", text)
    return text if _WITH_UNIT.search(text) else f"{text.rstrip('?.!: ')}, in {unit}?"


def _stance(text: str, question: Question, snapshot: Snapshot, references: References) -> str:
    """The situation that a question without one needs, else nothing."""
    if not asks_for_viewpoint(text):
        return ""
    asker = question.viewpoint or question.robot
    if asker is None and snapshot.robot_pose is not None:
        asker = Viewpoint.from_pose(snapshot.robot_pose)
    if asker is None:
        raise Unaskable(Status.NOT_FOUND, "the answer depends on where the asker stands, which is not known")
    told = situation(asker, snapshot, references)
    if told is None:
        raise Unaskable(
            Status.NOT_FOUND,
            "the model is told a viewpoint by the things beside and ahead of the asker, and no named thing is there; "
            "say in words where you stand and what you face",
        )
    return told


def _markers(regions: Sequence[OrientedBox], snapshot: Snapshot, references: References) -> tuple[int, ...]:
    """Marker index of the object that each region shows."""
    index = references.index_of
    found = []
    for number, box in enumerate(regions):
        overlap, identity = max(((box.iou(o.box), o.id) for o in snapshot.present if o.id in index), default=(0.0, -1))
        if overlap < SAME:
            raise Unaskable(
                Status.NOT_FOUND,
                f"Region [{number}] is no object of the map (best overlap {overlap:.2f}), and this model reads regions "
                "by the object they show; draw it around one, or ask the geometric answerer",
            )
        found.append(index[identity])
    return tuple(found)


def _named(text: str, snapshot: Snapshot, references: References) -> str:
    """Labels with ids replaced by the markers of their objects."""
    for item in snapshot.present:
        name = references.marker_of(item.id)
        if name is not None and str(item.id) in text:
            called = rf"\b(the )?({re.escape(item.label)}|object) (\({item.id}\)|{item.id}\b(?!\.\d| ?c?m\b| ?met))"
            text = re.sub(called, name, text, flags=re.IGNORECASE)
    return text


def _with_markers(text: str, regions: Sequence[int]) -> str:
    """``Region [i]`` replaced by the marker of its object. Raises Unaskable: there is no such region."""
    missing = [int(n) for n in _REGION.findall(text) if int(n) >= len(regions)]
    if missing:
        known = f"there are {len(regions)} regions, from 0 on"
        raise Unaskable(Status.NOT_UNDERSTOOD, f"the question names Region [{missing[0]}], but {known}")
    return _REGION.sub(lambda found: marker(regions[int(found[1])]), text)

"""Which object, which objects and what does it look like: the forms of ScanRefer, Multi3DRefer and Scan2Cap.

The wordings are ours; the form is the published one (method of Chat-Scene, inherited by Proxy3D): the question quotes
the expression, the answer names objects as ``<OBJ012>``.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy3d_training.data.questions.candidates import Asker, Candidate, a
from proxy3d_training.data.questions.expressions import Expression, expressions
from proxy3d_training.data.questions.rooms import Item
from proxy3d_training.data.schema import TextAnswer, marker

SCANREFER = (
    'Which object fits the description "{0}"? Give its ID.',
    'Find the object described by "{0}" and answer with its ID.',
    'What is the ID of the object that this describes: "{0}"?',
    'One object of the scene matches "{0}". Name its ID.',
    'Look for the following object and tell its ID: "{0}".',
    'Identify by its ID the object meant by "{0}".',
    'Someone refers to an object as "{0}". Which ID does it have?',
    'Give the ID of the single object that "{0}" refers to.',
    'The description reads "{0}". Which object ID is it about?',
)
"""Nine wordings, as the published pool has nine."""

MULTI3DREFER = (
    'Are there any objects that fit the description "{0}"? If so, list their IDs.',
    'Does anything in the scene match "{0}"? If yes, give the IDs of all that do.',
    'Is there any object described by "{0}"? If there is, name every ID.',
    'Check the scene for "{0}". If there are such objects, give all their IDs.',
    'Do any objects correspond to "{0}"? If so, which IDs do they have?',
    'Can you find objects that match "{0}"? If you can, list the IDs.',
    'Are one or more objects meant by "{0}"? If so, answer with their IDs.',
    'Does the description "{0}" apply to any object? If it does, tell the IDs.',
    'Search for all objects that "{0}" describes. If there are any, which IDs?',
    'Is "{0}" true of some objects here? If yes, give each ID.',
)
"""Ten wordings, as the published pool has ten."""

SCAN2CAP = (
    "Describe {0}: first what it looks like, then where it is among the things around it.",
    "Begin with the appearance of {0}, then say how it stands to its surroundings.",
    "What does {0} look like, and where is it in the scene?",
    "Give a short description of {0}, its looks first and its place second.",
    "Tell how {0} appears and then what is around it.",
    "Portray {0}: appearance, then location relative to other objects.",
    "How would you describe {0}? Start with its look and end with its position.",
    "Write about the look of {0}, followed by its spatial context.",
    "Describe the object {0} in appearance and then in its relation to others.",
    "Explain what {0} looks like before you explain where it is.",
)
"""Ten wordings, as the published pool has ten."""


def ask(asker: Asker) -> Iterator[Candidate]:
    """All candidates for a room."""
    found = list(expressions(asker))
    asker.rng.shuffle(found)
    made = {"none": 0, "one": 0, "several": 0, "unique": 0, "multiple": 0}
    for expression in found:
        yield from _single(asker, expression, made)
        yield from _multiple(asker, expression, made)
    for item in asker.some([item for item in asker.room.items if item.id in asker.room.markers]):
        if caption := _caption(asker, item):
            yield caption


def _single(asker: Asker, expression: Expression, made: dict[str, int]) -> Iterator[Candidate]:
    if len(expression.fits) != 1:
        return
    kind = "unique" if len(asker.room.by_label[expression.label]) == 1 else "multiple"
    answer = asker.ids(expression.fits)
    if answer is None or made[kind] >= asker.wanted or (kind == "unique" and expression.way != "label"):
        return
    made[kind] += 1
    text, template = asker.worded(SCANREFER)
    described = f"the {expression.one}"
    yield Candidate(
        "ScanRefer",
        f"grounding_{kind}",
        text.format(described),
        answer,
        (*expression.fits, *_alike(asker, expression), *expression.others),
        expression.label,
        f"{template} {expression.way}",
        answer.text,
        description=described,
    )


def _multiple(asker: Asker, expression: Expression, made: dict[str, int]) -> Iterator[Candidate]:
    count = len(expression.fits)
    kind = "none" if count == 0 else "one" if count == 1 else "several"
    answer = asker.ids(expression.fits, "Yes.")
    if answer is None or made[kind] >= asker.wanted or not expression.many:
        return
    made[kind] += 1
    text, template = asker.worded(MULTI3DREFER)
    described = expression.many
    yield Candidate(
        "Multi3DRefer",
        "grounding_any",
        text.format(described),
        answer,
        (*expression.fits, *_alike(asker, expression), *expression.others),
        f"{expression.label} {expression.way}",
        f"{template} {expression.way}",
        kind,
        description=described,
    )


def _alike(asker: Asker, expression: Expression) -> list[Item]:
    """What has the label of what is described: the answer rests on it, whether it fits or not."""
    return asker.room.by_label.get(expression.label, [])


def _caption(asker: Asker, item: Item) -> Candidate | None:
    """Appearance and place in two sentences; None where nothing is known but the label."""
    room = asker.room
    looks = [word for word in (item.color, item.material, item.shape) if word]
    places = []
    carrier = room.by_id.get(item.support) if item.support is not None else None
    if carrier is not None:
        places.append(f"on the {carrier.label}")
    elif item.on == "wall":
        places.append("on the wall")
    near = sorted(
        (room.gap(item, other), other.label)
        for other in room.items
        if other.id != item.id and other is not carrier and other.support != item.id and other.label in room.single
    )
    places += [f"next to the {label}" if gap < 0.6 else f"near the {label}" for gap, label in near[:2] if gap < 1.2]
    if not places:
        return None
    look = a(" ".join((*looks, item.label)))
    variants = tuple(
        f"{first} {where}."
        for first in (f"this is {look}. it is", f"{look} that is")
        for where in (" and ".join(places[:2]), places[0])
    )
    target = asker.rng.choice(variants)
    text, template = asker.worded(SCAN2CAP)
    return Candidate(
        "Scan2Cap",
        "caption",
        text.format(marker(room.markers[item.id])),
        TextAnswer(text=target, references=variants),
        (item,),
        "",
        template,
        target,
    )

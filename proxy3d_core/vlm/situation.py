"""Where the asker stands, in words: as SQA3D tells it, by the objects beside and ahead."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from proxy3d_core.proxies.references import References
from proxy3d_core.reasoning.answer import Viewpoint
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, SceneObject, Snapshot

REACH = 1.5
"""One stands beside a thing whose outline is at most this far away, metres."""
AHEAD = 30.0
"""A thing is ahead if it lies at most this far off the facing direction, degrees."""
CLEAR = 0.6
"""Nearer than this nothing is ahead, metres: a step to the side would change the direction to it."""
HANGING = 0.3
"""Nobody stands beside a thing that begins higher above the floor than this, metres."""

_SEATS = frozenset({"chair", "armchair", "sofa", "couch", "bed", "stool", "bench", "office chair", "toilet"})
_OWN_VIEW = re.compile(
    r"\b(i|i'm|me|my|mine|myself)\b|\b(left|right|behind|ahead|in front)\b(?! (side )?of (the|a) )", re.I
)
_STATED = re.compile(
    r"\b(i am|i'm|i was|you are|am i|if i|when i) (\w+ )?(stand|sit|fac|look|lying|by|at|on|next|in|beginning)\w*"
    r"|\bi (stand|sit|face|look)\b|\b(standing|sitting|seated|facing) ",
    re.I,
)


def asks_for_viewpoint(text: str) -> bool:
    """Whether the answer depends on where the asker is, and the words themselves do not say where."""
    return bool(_OWN_VIEW.search(text)) and not _STATED.search(text)


def situation(viewpoint: Viewpoint, snapshot: Snapshot, references: References) -> str | None:
    """ "I am standing by the desk, facing the window.", or None where nothing named is beside and ahead.

    An object is called by its label if no other has the same, else by its marker.
    """
    count = Counter(o.label for o in snapshot.present)

    def name(item: SceneObject) -> str | None:
        return item.label if count[item.label] == 1 else references.marker_of(item.id)

    floor = snapshot.floor.height if snapshot.floor.height is not None else min(o.box.bottom for o in snapshot.present)
    named = [o for o in snapshot.present if o.label != UNKNOWN_LABEL and name(o) is not None]
    beside = [o for o in named if o.box.bottom - floor < HANGING and _gap(o, viewpoint) <= REACH]
    if not beside:
        return None
    at = min(beside, key=lambda o: (_gap(o, viewpoint), o.id))
    ahead = [(_off(o, viewpoint), o.id, o) for o in named if o is not at and _gap(o, viewpoint) >= CLEAR]
    if not ahead or min(ahead)[0] > AHEAD:
        return None
    sits = at.label in _SEATS and _gap(at, viewpoint) == 0
    return f"I am {'sitting on' if sits else 'standing by'} the {name(at)}, facing the {name(min(ahead)[2])}."


def _gap(item: SceneObject, viewpoint: Viewpoint) -> float:
    """Distance on the floor plane from the asker to the outline of a thing; 0 inside of it."""
    x, y, _ = viewpoint.position
    foot = np.array([x, y, item.box.center[2]])
    return float(np.linalg.norm((item.box.closest_point(foot[None])[0] - foot)[:2]))


def _off(item: SceneObject, viewpoint: Viewpoint) -> float:
    """Angle between the facing direction and a thing's centre on the floor plane, degrees."""
    way = (item.box.center - viewpoint.position)[:2]
    facing = viewpoint.facing[:2]
    cross = float(facing[0] * way[1] - facing[1] * way[0])
    return float(np.degrees(abs(np.arctan2(cross, float(facing @ way)))))

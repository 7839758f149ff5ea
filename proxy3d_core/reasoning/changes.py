"""What was moved, is gone or is new, how far it moved, and when it was seen."""

from __future__ import annotations

import numpy as np

from proxy3d_core.reasoning import measuring, placing
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, listed
from proxy3d_core.reasoning.program import Changes, Fate, MovedBy, Seen, The
from proxy3d_core.reasoning.result import Result
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL


def changes(scene: Evaluator, query: Changes) -> Result:
    """What was moved, is gone, or is new."""
    found = {
        state: [t for t in scene.index.things if scene.has_state(t, state)]
        for state in (("moved", "gone", "new") if query.state == "any" else (query.state,))
    }
    things = tuple(
        dict.fromkeys(t for group in found.values() for t in group if t.label != UNKNOWN_LABEL or len(group) == 1)
    )
    if query.yes_no:
        return Result(
            "Yes" if things else "No", things, message="; ".join(f"{s}: {listed(g)}" for s, g in found.items() if g)
        )
    parts = [
        f"{listed(group)} {_BECAME[state]}" if query.state == "any" else listed(group)
        for state, group in found.items()
        if group
    ]
    return Result("; ".join(parts) or "nothing", things, names=tuple(dict.fromkeys(t.label for t in things)))


def fate(scene: Evaluator, query: Fate) -> Result:
    """Moved, gone, new, or unchanged."""
    things = scene.all(query.objects, gone=True)
    if not things:
        raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{query.objects}'")
    if len(things) > 1 and isinstance(query.objects, The):
        changed = [t for t in things if any(scene.has_state(t, s) for s in _BECAME)]
        if len(changed) > 1:
            raise scene.ambiguous(query.objects, changed)
        things = changed or things
    fates = [next((s for s in ("gone", "moved", "new") if scene.has_state(t, s)), "unchanged") for t in things]
    text = ", ".join(dict.fromkeys(fates))
    return Result(text, tuple(things), names=(text,), message="; ".join(placing.place(scene, t) for t in things[:3]))


def moved_by(scene: Evaluator, query: MovedBy) -> Result:
    """Between the last place before and the place now, centre to centre."""
    thing = scene.one(query.objects)
    previous = thing.object.previous_boxes if thing.object else ()
    metres = float(np.linalg.norm(thing.center - previous[-1].center)) if previous else 0.0
    if not previous:
        scene.note(f"the {thing.label} was not moved")
    return measuring.number(scene, metres, "length", (thing,), scene.sigma(thing, thing))


def seen(scene: Evaluator, query: Seen) -> Result:
    """How long ago, from the newest frame of the map."""
    things = scene.all(query.objects, gone=True)
    objects = [(t, t.object) for t in things if t.object is not None]
    if not objects:
        raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{query.objects}'")
    if query.first:
        thing, stamp = min(((t, o.first_seen_ns) for t, o in objects), key=lambda x: x[1])
    else:
        thing, stamp = max(((t, o.last_seen_ns) for t, o in objects), key=lambda x: x[1])
    seconds = (scene.index.snapshot.stamp_ns - stamp) * 1e-9
    result = measuring.number(scene, max(seconds, 0.0), "time", (thing,), 0.1)
    result.text = "now" if seconds < 1 and not scene.program.unit else f"{result.text} ago"
    result.message = f"at stamp {stamp * 1e-9:.2f} s"
    return result


_BECAME = {"moved": "moved", "gone": "gone", "new": "new"}

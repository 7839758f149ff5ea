"""Which of several has most, and in which order things were seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from proxy3d_core.reasoning import counting
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.reasoning.evaluate import Evaluator, Unanswerable, said, shown
from proxy3d_core.reasoning.index import Thing
from proxy3d_core.reasoning.lexicon import concept, label_concepts, plural
from proxy3d_core.reasoning.naming import told_apart
from proxy3d_core.reasoning.program import Compare, Kind, Objects, Order, Ranking, The
from proxy3d_core.reasoning.result import Result


def compare(scene: Evaluator, query: Compare) -> Result:
    """Which has most: classes count by their best instance (VSI-Bench: minimum over instances)."""
    if query.measure.name == "count":
        return _compare_counts(scene, query)
    items = query.items or _offered(scene)
    if not items:
        raise Unanswerable(Status.NOT_UNDERSTOOD, "the question names nothing to choose from")
    first_seen = query.measure.name == "first_seen"
    best: list[tuple[float, Thing, int]] = []
    for k, item in enumerate(items):
        things = scene.all(item, gone=first_seen)
        if not things:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{item}'")
        if (
            len(things) > 1
            and query.measure.name not in ("distance", "first_seen", "last_seen")
            and isinstance(item, The)
        ):
            raise scene.ambiguous(item, things)
        values = scene.measures(things, query.measure)
        # Of several instances the nearest counts for distances, the first for times, else the largest.
        at = int(np.argmin(values)) if query.measure.name in ("distance", "first_seen") else int(np.argmax(values))
        best.append((float(values[at]), things[at], k))
    best.sort(key=lambda v: -v[0] if query.most else v[0])
    if len(best) > 1:
        gap = abs(best[0][0] - best[1][0])
        relative = query.measure.name in ("volume", "area")
        looks = [_broad_side(thing) for _, thing, _ in best[:2]]
        if query.measure.name == "volume" and (looks[0] < looks[1]) == query.most:
            scene.doubt(0.5)  # a door is thin, but bigger than a bin to the eye
        scene.margin(
            gap / max(best[0][0], best[1][0], 1e-6) if relative else gap,
            0.1 if relative else scene.sigma(best[0][1], best[1][1]),
        )
    value, thing, k = best[min(query.rank, len(best)) - 1]
    name = _called(scene, items[k], thing)
    if len({said(item) for item in items}) < len(items) and not scene.options:
        name = told_apart(scene, thing)
    others = tuple(t for _, t, _ in best if t is not thing)
    return Result(name, (thing, *others), names=(name, thing.label), message=f"{query.measure.name} {value:.2f}")


def ranking(scene: Evaluator, query: Ranking) -> Result:
    """All of them, each by its best instance, in the order of the measure."""
    items = query.items or _offered(scene)
    if len(items) == 1:
        things = scene.rank(scene.all(items[0]), query.measure, query.most)
        text = ", ".join(shown(t.label) for t in things)
        return Result(text or "nothing", tuple(things), names=(text,))
    if not items:
        raise Unanswerable(Status.NOT_UNDERSTOOD, "the question names nothing to put in order")
    found = []
    for item in items:
        things = scene.all(item)
        if not things:
            raise Unanswerable(Status.NOT_FOUND, f"nothing in the scene fits '{item}'")
        values = scene.measures(things, query.measure)
        at = int(np.argmin(values) if query.measure.name == "distance" else np.argmax(values))
        found.append((float(values[at]), _called(scene, item, things[at]), things[at]))
    found.sort(key=lambda f: -f[0] if query.most else f[0])
    for (a, _, first), (b, _, second) in pairwise(found):
        scene.margin(a - b, scene.sigma(first, second))
    text = ", ".join(name for _, name, _ in found)
    values_said = ", ".join(f"{name} {value:.2f}" for value, name, _ in found)
    return Result(text, tuple(t for _, _, t in found), names=(text,), message=f"{query.measure.name}: {values_said}")


def _called(scene: Evaluator, item: Objects, thing: Thing) -> str:
    """The asker's word; the map's own where the asker's was another word for the same ("rubbish bin")."""
    name = said(item)
    asked = name.lower() in scene.question.text.lower()
    return name if asked or concept(name) not in label_concepts(thing.label) else shown(thing.label)


def _offered(scene: Evaluator) -> tuple[Kind, ...]:
    """Classes that the options name."""
    return tuple(Kind(concept(o.text.lower())) for o in scene.options)


def order(scene: Evaluator, query: Order) -> Result:
    """Classes by the time when the first of them was seen."""
    if query.items:
        items = list(query.items)
    else:
        items = [Kind(concept(w.strip().lower())) for w in (scene.options[0].text.split(",") if scene.options else ())]
    if len(items) < 2:
        raise Unanswerable(Status.NOT_UNDERSTOOD, "the question names nothing to put in order")
    times = []
    for item in items:
        things = scene.all(item, gone=True)
        first = min(things, key=lambda t: t.object.first_seen_ns if t.object else 0)
        times.append((first.object.first_seen_ns if first.object else 0, _called(scene, item, first), first))
    if len({t for t, _, _ in times}) == 1:
        raise Unanswerable(
            Status.NOT_FOUND, "the scene does not say when its objects were first seen", [t for _, _, t in times]
        )
    times.sort(key=lambda t: t[0])
    for (a, _, _), (b, _, _) in pairwise(times):
        scene.margin((b - a) * 1e-9, 0.05)
    names = tuple(name for _, name, _ in times)
    return Result(", ".join(names), tuple(t for _, _, t in times), names=(", ".join(names),))


def _compare_counts(scene: Evaluator, query: Compare) -> Result:
    counts = [(counting.counted(scene, item)[0], k) for k, item in enumerate(query.items)]
    counts.sort(key=lambda c: -c[0])
    if counts[0][0] == counts[1][0]:
        return Result("equal", names=("equal", "the same"))
    name = plural(said(query.items[counts[0][1]]))
    return Result(name, names=(name,), message=f"{counts[0][0]} against {counts[1][0]}")


def _broad_side(thing: Thing) -> float:
    """Area of the largest side, square metres."""
    return float(np.prod(np.sort(thing.box.size)[1:]))

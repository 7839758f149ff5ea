"""Voxels -> object candidates: geometry makes the parts, labels vote on what they are.

1. Floor, walls and ceiling go.
2. What stands or lies on a table, counter or shelf is cut from it.
3. Voxels of one class that touch form parts; parts that belong together are joined: fragments to their neighbour, and
   parts of one object that something hides the middle of (a chair's back over the table, its legs under it).
4. What has no class forms parts by touching alone.
5. Parts that were seen as several instances, view after view, are cut: two monitors side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.instances import InstanceEvidence
from proxy3d_core.scene.labels import (
    FLUSH,
    GROUND_COVERS,
    OPENINGS,
    STRUCTURE,
    SUPPORTERS,
    least_surface,
    most_length,
    stands_on_floor,
)
from proxy3d_core.scene.openings import span_openings
from proxy3d_core.scene.structure import Structure, find_structure
from proxy3d_core.scene.supports import find_supports, things_on
from proxy3d_core.scene.surface import Surface, components, connected
from proxy3d_core.scene.voxels import Z_BITS

_MINGLED = 0.5  # of a part's voxels touch a larger part of another class: the same thing under two names
_SHEET = 0.12  # m; thinner parts may be a piece of wall
_AROUND = 0.3  # m around it, in its own plane, there is
_WALL_SHARE = 0.3  # as much wall, of its own size,
_PARALLEL = 0.7  # that faces as it does: cosine
_FIRM = 0.5  # share of the votes from which a voxel's class is taken against geometry
_FRAGMENT = 0.2  # a part this much smaller than its neighbour is a piece of it
_FRAGMENT_GAP = 0.10  # m
_CRUMB = 0.07  # so much smaller, it is one even at some distance: a leaf of a plant
_CRUMB_GAP = 0.30  # m
_HALVES_GAP = 0.4  # m between two parts of what is as long as one thing of its class, not as two
_STACK_GAP = 0.20  # m on the floor plane between two parts of one half-hidden object
_STACK_HEIGHT = 0.6  # m between them vertically
_STACK_OVERLAP = 0.3  # of the smaller part's height
_COVER_HEIGHT = 0.15  # m over the floor: a rug lies no higher
_COVER_GAP = 0.4  # m between pieces of one rug: what stands on it hides the rest
_INSIDE = 0.6  # of a part lies in the box of a larger one: two of a kind do not stand in one another
_STRAY = 0.01  # of a part's voxels at either end of an axis do not count for its box
_MIN_VOXELS = 12
_PIECE = 0.1  # of a part's voxels must have been seen as one thing to be cut from it
_REACH = 0.35  # m from a named object: what touches it and lies this near is part of it
_CONTACT = 0.3  # of the square root of a part's size must touch
_MOST_ABSORBED = 6  # times its own size
_MAX_ABSORBED = 1.2  # m
_MIN_UNNAMED_SURFACE = 0.025  # m^2
_MIN_THICKNESS = 0.05  # m
_MIN_FILL = 0.25  # of its box's floor area: less is the corner of a room with what stands along its walls
_MAX_UNNAMED = 2.5  # m; larger parts without a class are background


@dataclass(frozen=True, eq=False)
class Candidate:
    """A set of voxels that looks like one object.

    Attributes:
        members: (M,) indices into the surface.
        label: vocabulary index, or -1 if nothing names it.
        on: it stands on a support whose class it was given by mistake; that class is no vote for it.
    """

    members: NDArray[np.int64]
    label: int
    on: int = -1


@dataclass(frozen=True, eq=False)
class Segmentation:
    """All candidates, the label of each voxel (vocabulary index or -1), and the shell of the room."""

    candidates: list[Candidate]
    label: NDArray[np.int64]
    structure: Structure


def segment(
    surface: Surface,
    vocabulary: list[str],
    min_size: float,
    robot_height: float | None,
    instances: InstanceEvidence | None = None,
) -> Segmentation:
    """Segment the surface.

    Args:
        surface: the voxels.
        vocabulary: label names by index.
        min_size: smallest longest edge of an object, metres.
        robot_height: z of the robot's base if it is known.
        instances: which voxels were seen as which thing, if that was seen.
    """
    best, share = surface.best_label()
    stuff = np.array([name in STRUCTURE for name in vocabulary] + [False])
    covers = np.array([name in GROUND_COVERS for name in vocabulary] + [False])
    supporter = np.array([name in SUPPORTERS for name in vocabulary] + [True])
    is_stuff = stuff[best]
    firm = (best >= 0) & (share > _FIRM) & ~is_stuff
    flush = np.array([bool(FLUSH.intersection(name.split()[-1:])) for name in vocabulary] + [False])
    structure = find_structure(surface, firm, robot_height, firm & ~flush[best])
    floor = (
        structure.floor
        if structure.floor is not None
        else (float(surface.position[:, 2].min()) if len(surface) else 0.0)
    )
    label = np.where(covers[best] & (surface.position[:, 2] > floor + _COVER_HEIGHT), -1, best)
    shell = (structure.on_floor & ~covers[label]) | structure.on_ceiling | structure.on_wall | is_stuff

    left = ~shell
    candidates: list[Candidate] = []
    for support in find_supports(surface, label, left & supporter[label], floor):
        free = left & ((label == support.label) | (label < 0) | (share < _FIRM))
        for members in things_on(surface, support, free, min_size):
            candidates.append(Candidate(members, -1, on=support.label))
            left[members] = False

    # What is scattered among another class is one with that before anything is joined: or crumbs of one wrong name,
    # strewn over a speaker, would be pieces of the television beside it.
    labels = np.unique(label[left & (label >= 0)]).tolist()
    of_class = {c: np.flatnonzero(left & (label == c)) for c in labels}
    parts = [Candidate(part, c) for c in labels if not covers[c] for part in _parts(surface, of_class[c])]
    named = [Candidate(piece, c) for c in labels if covers[c] for piece in _spread(surface, of_class[c])]
    for c, same in groupby(_outvoted(surface, parts, len(vocabulary)), key=lambda part: part.label):
        largest_first = sorted((part.members for part in same), key=lambda members: -len(members))
        joined = _join(surface, largest_first, most_length(vocabulary[c]))
        seen = _seen_as_one(joined, instances)
        pieces = [piece for part in seen for piece in _cut(surface, part, instances)]
        if vocabulary[c] in OPENINGS:
            pieces = span_openings(surface, pieces, floor)
        named += [Candidate(piece, c) for piece in pieces]
    named = _outvoted(surface, named, len(vocabulary))
    named = [c for c in named if not (stands_on_floor(vocabulary[c.label]) and _in_wall(surface, c.members, structure))]
    unnamed = [p for p in connected(surface, np.flatnonzero(left & (label < 0))) if len(p) >= _MIN_VOXELS]
    named, unnamed = _absorb(surface, named, unnamed)
    for candidate in named:
        if len(candidate.members) * surface.size**2 >= least_surface(vocabulary[candidate.label]):
            candidates.append(candidate)
        else:
            unnamed.append(candidate.members)
    candidates += [Candidate(p, -1) for p in unnamed if _solid(surface, p)]
    return Segmentation([c for c in candidates if _large_enough(surface, c, min_size)], label, structure)


def _in_wall(surface: Surface, members: NDArray[np.int64], structure: Structure) -> bool:
    """Whether a part is a sheet that a wall goes on from: what stands on the floor is no such thing."""
    box = OrientedBox.around(surface.position[members], trim=0.02)
    thin = int(box.size[:2].argmin())
    if box.size[thin] > _SHEET:
        return False
    size = box.size + 2 * _AROUND
    size[thin] = _SHEET
    # another wall that meets it in a corner does not go on from it
    facing = structure.on_wall & (np.abs(surface.normal @ box.rotation[:, thin]) > _PARALLEL)
    wall = OrientedBox(box.center, size, box.rotation).contains(surface.position[facing])
    return bool(np.count_nonzero(wall) > _WALL_SHARE * len(members))


def _outvoted(surface: Surface, named: list[Candidate], vocabulary: int) -> list[Candidate]:
    """Parts that lie voxel by voxel among those of another class are one with it; most votes name the whole.

    A thing that lies on another one touches it with its rim; a wrong label is scattered all over the right ones.
    """
    whole: list[Candidate] = []
    bounds: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    for part in sorted(named, key=lambda c: -len(c.members)):
        points = surface.position[part.members]
        middle = points.mean(axis=0)
        for i, (large, (low, high)) in enumerate(zip(whole, bounds, strict=True)):
            if large.label == part.label or not ((middle >= low) & (middle <= high)).all():
                continue
            tree = cKDTree(surface.position[large.members])
            distance, _ = tree.query(points, distance_upper_bound=1.8 * surface.size)
            if np.isfinite(distance).mean() >= _MINGLED:
                members = np.sort(np.concatenate([large.members, part.members]))
                votes, _ = surface.votes(members, vocabulary)
                whole[i] = Candidate(members, max(large.label, part.label, key=lambda c: float(votes[c])))
                break
        else:
            whole.append(part)
            bounds.append((points.min(axis=0), points.max(axis=0)))
    return sorted(whole, key=lambda c: c.label)


def _seen_as_one(parts: list[NDArray[np.int64]], instances: InstanceEvidence | None) -> list[NDArray[np.int64]]:
    """Parts joined that were seen as one thing, whatever lies between them: the two posts of a doorway."""
    if instances is None or len(parts) < 2:
        return parts
    groups = np.array([_group_of(instances.groups[part]) for part in parts])
    known = np.flatnonzero(groups)
    at = np.searchsorted(instances.present, groups[known])
    first, second = np.nonzero(instances.one[np.ix_(at, at)])
    thing = components(len(parts), known[first], known[second])
    return [np.sort(np.concatenate([parts[i] for i in np.flatnonzero(thing == t)])) for t in np.unique(thing)]


def _group_of(groups: NDArray[np.int64]) -> int:
    """The instance group that most voxels with one are in, 0 if there is none."""
    numbers, counts = np.unique(groups[groups > 0], return_counts=True)
    return int(numbers[counts.argmax()]) if len(numbers) and 2 * counts.max() > len(groups) else 0


def _cut(surface: Surface, part: NDArray[np.int64], instances: InstanceEvidence | None) -> list[NDArray[np.int64]]:
    """Pieces of a part that were seen as single things; what was seen as none of them goes to the nearest."""
    if instances is None or not instances.two.any():
        return [part]
    group = instances.groups[part]
    numbers, counts = np.unique(group[group > 0], return_counts=True)
    large = counts >= max(_MIN_VOXELS, _PIECE * len(part))
    numbers = numbers[large][np.argsort(-counts[large], kind="stable")]
    two = instances.two[np.ix_(*[np.searchsorted(instances.present, numbers)] * 2)]
    piece = np.zeros(len(numbers), np.int64)  # of each group: the first whose groups may all be the same thing
    for i in range(1, len(numbers)):
        apart = {int(p) for p in piece[:i][two[i, :i]]}
        piece[i] = next(p for p in range(i + 1) if p not in apart)
    if not piece.any():
        return [part]
    order = np.argsort(numbers)
    known = np.isin(group, numbers)
    of_voxel = np.zeros(len(part), np.int64)
    of_voxel[known] = piece[order][np.searchsorted(numbers[order], group[known])]
    position = surface.position[part]
    of_voxel[~known] = of_voxel[known][cKDTree(position[known]).query(position[~known])[1]]
    # Groups that never touched may share a number: the first and the third chair of a row.
    cut = [whole for p in range(piece.max() + 1) for whole in _whole(surface, part[of_voxel == p])]
    return _disjoint(surface, cut)


def _disjoint(surface: Surface, pieces: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Pieces that lie in each other are one: of a window whose middle nobody sees, views show now this, now that."""
    apart: list[NDArray[np.int64]] = []
    for piece in sorted(pieces, key=lambda members: -len(members)):
        points = surface.position[piece]
        margin = min(_FRAGMENT_GAP, 0.2 * float(np.ptp(points, axis=0).max()))  # a pane lies before its frame
        for i, other in enumerate(apart):
            if OrientedBox.around(surface.position[other], _STRAY).contains(points, margin).mean() > _INSIDE:
                apart[i] = np.sort(np.concatenate([other, piece]))
                break
        else:
            apart.append(piece)
    return apart


def _solid(surface: Surface, part: NDArray[np.int64]) -> bool:
    """Whether a part without a class is a thing: not a speck, not a sheet that a wall left over, not half the room."""
    if len(part) * surface.size**2 < _MIN_UNNAMED_SURFACE:
        return False
    extent = np.ptp(surface.position[part], axis=0)
    if extent.max() > _MAX_UNNAMED:
        return False
    size = OrientedBox.around(surface.position[part], trim=0.02).size
    if size.min() < _MIN_THICKNESS:
        return False
    columns = surface.keys[part] >> Z_BITS  # sorted, as the parts are
    footprint = (1 + np.count_nonzero(np.diff(columns))) * surface.size**2
    return bool(footprint > _MIN_FILL * size[0] * size[1])


def _large_enough(surface: Surface, candidate: Candidate, min_size: float) -> bool:
    return float(np.ptp(surface.position[candidate.members], axis=0).max()) >= min_size - surface.size


def _absorb(
    surface: Surface, named: list[Candidate], unnamed: list[NDArray[np.int64]]
) -> tuple[list[Candidate], list[NDArray[np.int64]]]:
    """Give parts without a class to the named object they touch: what a segmenter leaves out of a chair is its legs."""
    if not named:
        return named, unnamed
    owner = np.full(len(surface), -1, np.int64)
    for i, candidate in enumerate(named):
        owner[candidate.members] = i
    of_named = np.flatnonzero(owner >= 0)
    tree = cKDTree(surface.position[of_named])
    grown: dict[int, list[NDArray[np.int64]]] = {}
    rest = []
    for part in unnamed:
        if np.ptp(surface.position[part], axis=0).max() > _MAX_ABSORBED:
            rest.append(part)
            continue
        distance, nearest = tree.query(surface.position[part], distance_upper_bound=_REACH)
        touching = distance < 1.8 * surface.size
        if touching.sum() < max(3, _CONTACT * len(part) ** 0.5):
            rest.append(part)
            continue
        reached = np.isfinite(distance)
        home = owner[of_named[nearest[reached]]]
        for i in np.unique(home):
            grown.setdefault(int(i), []).append(part[reached][home == i])
        if (~reached).sum() >= _MIN_VOXELS:
            rest.append(part[~reached])
    merged = []
    for i, candidate in enumerate(named):
        extra = np.concatenate(grown[i]) if i in grown else np.zeros(0, np.int64)
        if len(extra) > _MOST_ABSORBED * len(candidate.members):  # a speck does not name what is many times its size
            rest.append(np.sort(extra))
            extra = np.zeros(0, np.int64)
        merged.append(Candidate(np.sort(np.concatenate([candidate.members, extra])), candidate.label))
    return merged, rest


def _spread(surface: Surface, members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Ground covers of one class: pieces that lie near each other are one, with what stands on it between them."""
    parts = connected(surface, members, bridge=True)
    outlines = [surface.position[part, :2] for part in parts]
    low, high = (np.array([end(o, axis=0) for o in outlines]).reshape(-1, 2) for end in (np.min, np.max))
    close = np.argwhere(
        np.triu((low[:, None] - high < _COVER_GAP).all(axis=2) & (low - high[:, None] < _COVER_GAP).all(axis=2), 1)
    )
    first, second = close[[_outline_gap(outlines[i], outlines[j]) < _COVER_GAP for i, j in close]].T
    cover = components(len(parts), first, second)
    wholes = [np.sort(np.concatenate([parts[i] for i in np.flatnonzero(cover == n)])) for n in np.unique(cover)]
    return [whole for whole in wholes if len(whole) >= _MIN_VOXELS]


def _whole(surface: Surface, members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Connected parts, those of one object joined."""
    return _join(surface, _parts(surface, members))


def _parts(surface: Surface, members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Connected parts that are no specks, largest first."""
    return [part for part in connected(surface, members, bridge=True) if len(part) >= _MIN_VOXELS]


def _join(surface: Surface, parts: list[NDArray[np.int64]], most: float = 0.0) -> list[NDArray[np.int64]]:
    """Join parts of one class that belong to one object: larger parts first, each to the nearest that fits.

    ``most`` is the longest that one such thing is: parts near each other that are no longer together are one.
    """
    joined: list[NDArray[np.int64]] = []
    boxes: list[OrientedBox] = []
    for part in parts:
        points = surface.position[part]
        gaps = [
            0.0 if box.contains(points).mean() > _INSIDE else _object_gap(surface.position[other], points, most)
            for other, box in zip(joined, boxes, strict=True)
        ]
        if gaps and min(gaps) < np.inf:
            home = int(np.argmin(gaps))
            joined[home] = np.sort(np.concatenate([joined[home], part]))
            boxes[home] = OrientedBox.around(surface.position[joined[home]], _STRAY)
        else:
            joined.append(part)
            boxes.append(OrientedBox.around(points, _STRAY))
    return joined


def _object_gap(a: NDArray[np.float32], b: NDArray[np.float32], most: float) -> float:
    """How far apart two parts (N, 3), (M, 3) of one object are, metres; infinite if they are two objects."""
    apart = np.maximum(a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0))
    if apart.max() > _STACK_HEIGHT:
        return np.inf
    one = apart.max() < _HALVES_GAP and OrientedBox.around(np.concatenate([a, b]), _STRAY).size[:2].max() <= most
    piece = _CRUMB_GAP if len(b) < _CRUMB * len(a) else _FRAGMENT_GAP if len(b) < _FRAGMENT * len(a) else 0.0
    reach = max(_HALVES_GAP if one else 0.0, piece)
    gap = float(cKDTree(a).query(b)[0].min()) if reach else np.inf
    if gap < reach:
        return gap
    shared = min(a[:, 2].max(), b[:, 2].max()) - max(a[:, 2].min(), b[:, 2].min())
    if shared > _STACK_OVERLAP * min(np.ptp(a[:, 2]), np.ptp(b[:, 2])):
        return np.inf  # side by side: two of a kind
    gap = _outline_gap(a[:, :2], b[:, :2])
    return gap if gap < _STACK_GAP else np.inf


def _outline_gap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Distance of two convex outlines on the floor plane, metres; 0 if they overlap."""
    hull_a, hull_b = cv2.convexHull(np.ascontiguousarray(a)), cv2.convexHull(np.ascontiguousarray(b))
    near = [-cv2.pointPolygonTest(hull_a, (float(x), float(y)), True) for x, y in hull_b[:, 0]]
    near += [-cv2.pointPolygonTest(hull_b, (float(x), float(y)), True) for x, y in hull_a[:, 0]]
    return max(0.0, min(near))

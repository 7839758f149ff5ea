"""What one extraction says of an object: name, confidence, box, colour, age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.completion import LEAST_EDGE, Completion, Outline
from proxy3d_core.scene.labels import (
    GROUND_COVERS,
    STRUCTURE,
    hidden_feet,
    is_folding,
    is_hanging,
    is_leafy,
    is_round,
    is_sheet,
    least_surface,
    least_top,
    stands_on_a_foot,
)
from proxy3d_core.scene.segmentation import Candidate, Segmentation
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL
from proxy3d_core.scene.structure import Structure, WallPlane
from proxy3d_core.scene.surface import Surface, face_direction

_DOUBT = 0.7  # a second of "no class" counts this much against a name (less for taking a name at all)
_NAMED_SHARE_POWER = 0.25
_SURE_AFTER = 0.15  # s of votes per voxel, to about two thirds
_STRAY = 4  # voxels of a thing that are seen before it comes into view
_IN_FRAME = 12  # voxels that a frame must have shown first or last, or a tenth of them
_ROUND_ENOUGH = 0.15  # of its width, that a round thing may seem less deep
_PARALLEL = 0.98  # cosine between a box's edge and the normal of the wall that it stands at
_BEHIND = 0.25  # m between what is seen of a thing and the wall behind it
_HIDDEN_END = 0.5  # m that a wall goes on behind what stands at it, in a corner for instance
_BACK_SEEN = 0.05  # of its voxels face that wall: its back was seen, and ends where it was seen
_FOOT = 0.22  # m deep is what a screen stands on
_TUBE = 0.4  # m deep is a screen that is not flat
_LEAF = 0.05  # m that leaves reach farther than what is seen of them: at their rim a camera looks past them
_OPEN = 0.95  # of its width is the depth of an open laptop
_LID = 0.1  # m high at least
_FROM_HERE = 1.0  # m above the floor ends what is seen of a thing whose top may be out of view
_INTO_WALL = 0.02  # m, more than noise
_TRIM = 0.005  # share of the sight of a thing that strays outside its box at each end
_LEAFY_TRIM = 0.002  # of what has leaves: little of it is far out
_HANGING_TRIM = 0.1  # of the points of a curtain before and behind it: what hangs there shows through and beside it


@dataclass(frozen=True, eq=False)
class Sighting:
    """A candidate, described: what the tracker needs of it.

    Attributes:
        owner_counts: how many of its voxels belonged to which object at the last extraction.
        voxels: how many voxels it has.
        seen_s: for how long it was seen, seconds; see ``_seen_for``.
        first_ns, last_ns: stamps at which it came into view, and of its newest hit.
        others: see SceneObject.
    """

    owner_counts: dict[int, int]
    voxels: int
    seen_s: float
    box: OrientedBox
    label: str
    score: float
    votes: dict[str, float]
    color: tuple[float, float, float] | None
    first_ns: int
    last_ns: int


def describe(
    surface: Surface,
    candidate: Candidate,
    segmentation: Segmentation,
    vocabulary: list[str],
    looks: Mapping[int, float],
    completion: Completion,
) -> Sighting:
    """Describe a candidate.

    Args:
        surface: the voxels.
        candidate: some of them.
        segmentation: that the candidate is of.
        vocabulary: label names by index.
        looks: seconds of looking that each of the latest frames stands for, by stamp.
        completion: of the box of what has a name, where there is a floor to count heights from.
    """
    members = candidate.members
    # Parts that no mask covered (legs, a shaded seat) joined by touch; they say little against the class.
    voters = members[segmentation.label[members] == candidate.label] if candidate.label >= 0 else members
    seconds, background = surface.votes(voters, len(vocabulary))
    if candidate.on >= 0:
        seconds[candidate.on] = 0
    no_name = STRUCTURE if candidate.label >= 0 else STRUCTURE | GROUND_COVERS  # a rug is one voxel by voxel
    seconds[[name in no_name for name in vocabulary]] = 0
    total = float(seconds.sum()) + _DOUBT * background
    best = candidate.label
    if best < 0 and len(seconds) and seconds.max() > 0.5 * total:
        likely = int(seconds.argmax())
        if len(members) * surface.size**2 >= least_surface(vocabulary[likely]):
            best = likely
    score = 0.0
    if best >= 0:
        share = float(seconds[best]) / max(total, 1e-6)
        settled = 1 - np.exp(-float(seconds[best]) / len(voters) / _SURE_AFTER)
        score = float(share * settled * (len(voters) / len(members)) ** _NAMED_SHARE_POWER)
    label = vocabulary[best] if best >= 0 else UNKNOWN_LABEL
    structure = segmentation.structure
    box = _tight_box(surface, members, structure, label)
    if best >= 0 and structure.floor is not None:
        points, normals = surface.position[members], surface.normal[members]
        box = completion(Outline.of(label, box, points, normals, structure.floor, structure.walls))
    owners, counts = np.unique(surface.owner[members], return_counts=True)
    red, green, blue = (float(c) for c in surface.color[members].mean(axis=0))
    return Sighting(
        owner_counts={int(o): int(n) for o, n in zip(owners, counts, strict=True) if o >= 0},
        voxels=len(members),
        seen_s=_seen_for(surface, members, looks, best >= 0),
        box=box,
        label=label,
        score=score,
        votes={vocabulary[i]: round(float(seconds[i]) / max(total, 1e-6), 4) for i in np.flatnonzero(seconds)},
        color=(red, green, blue) if red + green + blue > 0 else None,
        first_ns=_first_sight(surface.first_ns[members]),
        last_ns=int(surface.last_ns[members].max()),
    )


def _first_sight(stamps: NDArray[np.int64]) -> int:
    """When a thing came into view, by the first hits of its voxels: a few may have been hit as another one's."""
    few = min(_STRAY, len(stamps) - 1)
    return int(np.partition(stamps, few)[few])


def _seen_for(surface: Surface, members: NDArray[np.int64], looks: Mapping[int, float], named: bool) -> float:
    """Seconds for which a thing was seen.

    What has a name: a voxel of it on average, or, if that is more, in the frames that began or ended the sight of some
    of it: two keyframes from two sides show no voxel twice, but the object. What nothing names may be bits of
    background, each seen once, and what they share with the next thing is seen for long: half of its voxels tell.
    """
    seen = surface.seen[members]
    return max(float(seen.mean()), _looked(surface, members, looks)) if named else float(np.median(seen))


def _looked(surface: Surface, members: NDArray[np.int64], looks: Mapping[int, float]) -> float:
    """Seconds of looking of the frames that are the first or the last to show a good part of the voxels."""
    first, last = surface.first_ns[members], surface.last_ns[members]
    stamps, counts = np.unique(np.concatenate([first, last[last != first]]), return_counts=True)
    return sum(looks.get(stamp, 0.0) for stamp in stamps[counts >= min(_IN_FRAME, 0.1 * len(members))].tolist())


def _thinned(box: OrientedBox, points: NDArray[np.float32], trim: float) -> OrientedBox:
    """The box without a share ``trim`` of its points at either face of its thin side; with one half, no thickness.

    The spread of the points of a sheet is depth noise, larger than the sheet.
    """
    thin = int(box.size.argmin())
    axis, size = box.rotation[:, thin], box.size.copy()
    low, high = np.quantile(points @ axis, [trim, 1 - trim])
    size[thin] = high - low
    return OrientedBox(box.center + axis * ((low + high) / 2 - box.center @ axis), size, box.rotation)


def _tight_box(surface: Surface, members: NDArray[np.int64], structure: Structure, label: str) -> OrientedBox:
    """Gravity-aligned box around an object's voxels; it reaches the floor and the wall that the object stands at.

    The lowest centimetres of a leg are taken for floor, and what stands before a chair hides its feet: anything that
    ends less than a hand above the floor stands on it, and so does furniture whose kind does.
    """
    points, normals = surface.position[members], surface.normal[members]
    trim = 0.0 if len(points) < 100 else _LEAFY_TRIM if is_leafy(label) else _TRIM
    # Faces tell the direction better than the outline, of which mostly one side was seen; what is stray was seen for
    # a moment, where there was more than one to see it in.
    box = OrientedBox.around(points, trim, face_direction(normals), weights=surface.seen[members])
    if is_sheet(label) or is_hanging(label):
        box = _thinned(box, points, 0.5 if is_sheet(label) else _HANGING_TRIM)
    if is_leafy(label):
        box = OrientedBox(box.center, box.size + np.array([2 * _LEAF, 2 * _LEAF, 0.0]), box.rotation)
    if is_folding(label):
        box = _unfolded(box, points)
    if is_round(label):
        box = _as_deep_as_wide(box, normals)
    foot = _on_its_foot(box, points) if stands_on_a_foot(label) else None
    if foot is not None and not any(_reaches_into(wall, foot) for wall in structure.walls):
        box = foot
    else:
        for wall in structure.walls:
            box = _up_to(wall, box, normals)
    box = OrientedBox(box.center, np.maximum(box.size, LEAST_EDGE), box.rotation)
    floor = structure.floor
    if floor is None:
        return box
    bottom = floor if floor < box.bottom < floor + hidden_feet(label) else box.bottom
    # A camera at eye level that passes near a door sees its handle, not its lintel.
    top = max(box.top, floor + least_top(label)) if box.top > floor + _FROM_HERE else box.top
    center = np.array([*box.center[:2], (bottom + top) / 2])
    return OrientedBox(center, np.array([*box.size[:2], top - bottom]), box.rotation)


def _as_deep_as_wide(box: OrientedBox, normals: NDArray[np.float32]) -> OrientedBox:
    """The box of a round thing, of which one side was seen: grown to the other side, where nobody looked."""
    short = int(box.size[:2].argmin())
    axis, lack = box.rotation[:, short], float(abs(box.size[1] - box.size[0]))
    facing = normals @ axis
    ahead, behind = (float((way * facing > 0.5).mean()) for way in (1, -1))
    if lack < _ROUND_ENOUGH * box.size[:2].max() or min(ahead, behind) > _BACK_SEEN:
        return box
    size = box.size.copy()
    size[short] += lack
    return OrientedBox(box.center - np.sign(ahead - behind) * axis * lack / 2, size, box.rotation)


def _on_its_foot(box: OrientedBox, points: NDArray[np.float32]) -> OrientedBox:
    """The box of a screen with its foot, as far before the panel as behind it; of the foot a camera sees little."""
    thin = int(box.size[:2].argmin())
    if box.size[thin] > _TUBE:
        return box
    axis, size = box.rotation[:, thin], box.size.copy()
    panel = float(np.median(points @ axis))
    size[thin] = _FOOT
    return OrientedBox(box.center + axis * (panel - box.center @ axis), size, box.rotation)


def _reaches_into(wall: WallPlane, box: OrientedBox) -> bool:
    """Whether a box before a wall reaches into it by more than noise: there is no room for what it says."""
    middle = box.center[:2]
    along = float(np.array([-wall.normal[1], wall.normal[0]]) @ middle)
    nearest = float((box.corners[:, :2] @ wall.normal).min()) - wall.offset
    return wall.start < along < wall.end and nearest < -_INTO_WALL and float(wall.normal @ middle) > wall.offset


def _unfolded(box: OrientedBox, points: NDArray[np.float32]) -> OrientedBox:
    """The box of an open laptop with its keys, which lie flat on the table and are taken for it: the lid leans away."""
    short = int(box.size[:2].argmin())
    axis, lack = box.rotation[:, short], float(_OPEN * box.size[:2].max() - box.size[short])
    if lack <= 0 or box.size[2] < _LID:
        return box
    low, high = np.quantile(points[:, 2], [0.3, 0.7])
    lean = float((points[points[:, 2] >= high].mean(axis=0) - points[points[:, 2] <= low].mean(axis=0)) @ axis)
    size = box.size.copy()
    size[short] += lack
    return OrientedBox(box.center - np.sign(lean) * axis * lack / 2, size, box.rotation)


def _up_to(wall: WallPlane, box: OrientedBox, normals: NDArray[np.float32]) -> OrientedBox:
    """The box, grown to a wall close behind it where it hides its back: furniture stands at walls, pictures hang."""
    towards = box.rotation[:2, :2].T @ wall.normal
    axis = int(np.abs(towards).argmax())
    along = float(np.array([-wall.normal[1], wall.normal[0]]) @ box.center[:2])
    gap = float(wall.normal @ box.center[:2]) - box.size[axis] / 2 - wall.offset
    before = wall.start - _HIDDEN_END < along < wall.end + _HIDDEN_END and 0 < gap < _BEHIND
    if not before or abs(towards[axis]) < _PARALLEL or (normals[:, :2] @ wall.normal < -0.5).mean() > _BACK_SEEN:
        return box
    back = np.array([*wall.normal, 0.0]) * gap
    size = box.size.copy()
    size[axis] += gap
    return OrientedBox(box.center - back / 2, size, box.rotation)

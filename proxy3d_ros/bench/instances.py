"""How well masks of single frames become instances of a scene.

    python -m proxy3d_ros.bench.instances [SEQUENCE] [--step 3] [--json]

A sequence with truth.json (the demo's room is the default) is judged by its true boxes: a labelled point belongs to the
object of its label whose box it lies in. Without one, the reference is what the live scene finds with labels.

* purity: share of the points whose group is mostly the object that they belong to.
* completeness: share of an object's points that are in its largest group, mean over the objects.
* fragments: groups with at least a twentieth of an object's points, mean over the objects.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.frame import Frame
from proxy3d_core.geometry import Intrinsics, OrientedBox
from proxy3d_core.geometry.camera import pixel_rays
from proxy3d_core.perception.level import estimate_up
from proxy3d_core.perception.masks import label_masks, surface_masks
from proxy3d_core.perception.observation import block_depth, point_normals
from proxy3d_core.scene.instances import InstanceMap
from proxy3d_core.scene.state import SceneState
from proxy3d_core.sequences import open_sequence
from proxy3d_core.sequences.frames import frames as read_frames

_SLACK = 0.08  # m around a true box
_FRAGMENT = 0.05
_STUFF = ("background", "wall", "floor", "ceiling")

Box = tuple[str, OrientedBox]


class View:
    """A frame at working resolution: points (h, w, 3) in the fixed frame, labels, masks of two kinds."""

    def __init__(self, frame: Frame) -> None:
        limits = PerceptionConfig()
        stride = max(1, round(frame.intrinsics.width / limits.width))
        depth = block_depth(frame.depth, stride)
        h, w = depth.shape
        k = frame.intrinsics.strided(stride, stride // 2)
        self.valid = (depth > limits.min_depth) & (depth < limits.max_depth)
        local = pixel_rays(Intrinsics(w, h, k.fx, k.fy, k.cx, k.cy)) * np.where(self.valid, depth, 0)[..., None]
        self.points = local @ frame.pose[:3, :3].T + frame.pose[:3, 3]
        self.names = frame.label_names
        none = np.zeros(depth.shape, np.int64)
        ids = none if frame.labels is None else frame.labels[stride // 2 :: stride, stride // 2 :: stride][:h, :w]
        stuff = [i for i, name in frame.label_names.items() if name in _STUFF]
        self.labels = np.where(np.isin(ids, stuff), 0, ids).astype(np.int64)
        normals, known = point_normals(local.astype(np.float32), self.valid)
        self.of_labels = label_masks(self.labels, np.where(self.valid, depth, 0).astype(np.float32))
        self.of_geometry = surface_masks(local, normals, known)

    def truth(self, boxes: list[Box]) -> NDArray[np.int64]:
        """(h, w) 1 + the number of the object that each point belongs to, 0 = none."""
        out = np.zeros(self.labels.shape, np.int64)
        for number, (label, box) in enumerate(boxes, start=1):
            named = np.isin(self.labels, [i for i, name in self.names.items() if name == label])
            inside = (np.abs((self.points - box.center) @ box.rotation) < box.size / 2 + _SLACK).all(axis=-1)
            out[named & inside & self.valid] = number
        return out


def damaged(truth: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """True masks as a bad segmenter gives them: in a fifth of the frames two neighbours are one mask, in another fifth
    every thing is cut in two."""
    masks = truth.copy()
    present = np.unique(truth[truth > 0])
    kind = rng.random()
    if kind < 0.2 and len(present) > 1:
        middle = np.array([np.argwhere(truth == number).mean(axis=0) for number in present])
        one = rng.integers(len(present))
        other = np.argsort(np.linalg.norm(middle - middle[one], axis=1))[1]
        masks[masks == present[other]] = present[one]
    elif kind < 0.4:
        for number in present:
            v, u = np.nonzero(truth == number)
            right = u > np.median(u)
            masks[v[right], u[right]] = 1000 + number
    return masks


class Greedy:
    """The plain way: a mask is the group that most of its known voxels have if their IoU is 0.25, else a new one."""

    def __init__(self, voxel: float = 0.05) -> None:
        self._voxel, self._next = voxel, 1
        self._group: dict[tuple[int, ...], int] = {}

    def update(self, masks: NDArray[np.int64], points: NDArray[np.float64], valid: NDArray[np.bool_]) -> None:
        """Add a frame."""
        cells = np.floor(points / self._voxel).astype(int)
        view = {tuple(c) for c in cells[valid].tolist()}
        for number in np.unique(masks[valid & (masks > 0)]):
            mine = {tuple(c) for c in cells[valid & (masks == number)].tolist()}
            known = [self._group[c] for c in mine if c in self._group]
            home = max(set(known), key=known.count) if known else 0
            seen = sum(self._group.get(c) == home for c in view) if home else 0
            shared = known.count(home)
            if not home or shared < 0.25 * (len(mine) + seen - shared):
                home, self._next = self._next, self._next + 1
            for c in mine:
                self._group.setdefault(c, home)

    def groups_at(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Groups of points (N, 3)."""
        cells = np.floor(points / self._voxel).astype(int).tolist()
        return np.array([self._group.get(tuple(c), 0) for c in cells], np.int64)


def score(group: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """Figures of groups (N,) of points against their true objects (N,), 0 = none."""
    both = (group > 0) & (truth > 0)
    groups, g = np.unique(group[both], return_inverse=True)
    objects, t = np.unique(truth[both], return_inverse=True)
    shared = np.bincount(g * len(objects) + t, minlength=len(groups) * len(objects)).reshape(len(groups), len(objects))
    whole = shared.sum(axis=0)
    return {
        "purity": round(float(shared.max(axis=1).sum() / shared.sum()), 3),
        "completeness": round(float((shared.max(axis=0) / whole).mean()), 3),
        "fragments": round(float((shared >= _FRAGMENT * whole).sum(axis=0).mean()), 2),
        "in a group": round(float(both.sum() / (truth > 0).sum()), 3),
    }


def run(folder: Path, step: int = 3) -> dict[str, dict[str, float]]:
    """All figures of a sequence, by source of the masks and order of the frames."""
    sequence = open_sequence(folder)
    recorded = list(read_frames(sequence, estimate_up(sequence)))
    if (folder / "truth.json").exists():
        objects = json.loads((folder / "truth.json").read_text())["objects"]
        boxes = [(o["label"], OrientedBox.from_yaw(o["center"], o["size"], o.get("yaw", 0.0))) for o in objects]
    else:
        scene = SceneState()
        for frame in recorded:
            scene.update(frame)
        scene.refresh()
        boxes = [(o.label, o.box) for o in scene.snapshot().present if o.label != "object"]
    views = [View(frame) for frame in recorded[::step]]
    truths = [view.truth(boxes) for view in views]
    rng = np.random.default_rng(0)
    bad = [damaged(truth, rng) for truth in truths]
    orders = {
        "": np.arange(len(views)),
        ", backward": np.arange(len(views))[::-1],
        ", random order": rng.permutation(len(views)),
    }
    sources: dict[str, Callable[[int], NDArray[np.integer]]] = {
        "labels": lambda i: views[i].of_labels,
        "geometry": lambda i: views[i].of_geometry,
        "damaged truth": lambda i: bad[i],
    }
    points = np.concatenate([view.points[view.valid] for view in views])
    truth = np.concatenate([t[view.valid] for t, view in zip(truths, views, strict=True)])
    figures = {}
    for source, masks in sources.items():
        for order, at in orders.items():
            instances, times = InstanceMap(), []
            for i in at:
                half = (slice(None, None, 2),) * 2
                begin = time.perf_counter()
                instances.update(masks(i)[half], views[i].points[half], views[i].valid[half])
                times.append(time.perf_counter() - begin)
            figures[source + order] = score(instances.groups_at(points), truth)
            figures[source + order]["p50_ms"] = round(1e3 * float(np.median(times)), 2)
        greedy = Greedy()
        for i in range(len(views)):
            half = (slice(None, None, 2),) * 2
            greedy.update(masks(i)[half], views[i].points[half], views[i].valid[half])
        figures[f"{source}, greedy merging"] = score(greedy.groups_at(points), truth)
    return figures


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequence", nargs="?", type=Path, default=Path(__file__).parents[1] / "demo" / "room")
    parser.add_argument("--step", type=int, default=3, help="take one frame in so many")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = run(arguments.sequence, arguments.step)
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    columns = list(next(iter(figures.values())))
    print("| masks | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, values in figures.items():
        print(f"| {name} | " + " | ".join(str(values.get(c, "")) for c in columns) + " |")


if __name__ == "__main__":
    main()

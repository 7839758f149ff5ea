"""What of a simulated room its recording shows: only that can be asked of a map.

An object is *shown* if in at least ``FRAMES`` frames at least ``SHARE`` of the picture is its own pixels with a depth
within the pipeline's reach. What is shown less, in these frames' state of the room, is neither missed nor wrong.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.geometry.camera import project, unproject
from proxy3d_core.geometry.transforms import invert, transform_points
from proxy3d_core.sequences import Record, Sequence
from proxy3d_training.live import instance_image
from proxy3d_training.simulation.truth import SHOWN_FRAMES as FRAMES
from proxy3d_training.simulation.truth import SHOWN_SHARE as SHARE
from proxy3d_training.simulation.truth import Change, Thing, Truth

Array = NDArray[np.float64]

_STRIDE = 4  # every fourth pixel in both directions tells enough of where an object was seen
_TRIM = 0.01  # share of the points left out at either end: mixed pixels at the edges
_EMPTY = 0.05  # m behind a place from which on it was seen through


@dataclass(frozen=True, eq=False)
class Sighting:
    """An object in one frame: time in seconds, share of the picture with depth, some of its points (N, 3)."""

    time: float
    share: float
    points: Array


class Visible:
    """What a recording shows of its truth."""

    def __init__(self, truth: Truth, folder: Path, sequence: Sequence, limits: PerceptionConfig) -> None:
        """Look at all frames.

        Raises:
            BadInput: the recording has no instance images.
        """
        self.truth = truth
        self._changes: dict[int, Change] = {change.object: change for change in truth.changes}
        self._sightings: dict[int, list[Sighting]] = defaultdict(list)
        self._views: list[Record] = []
        for record in sequence:
            if not record.dropped:
                self._look(record, folder, limits)

    def _look(self, record: Record, folder: Path, limits: PerceptionConfig) -> None:
        assert record.depth is not None and record.intrinsics is not None and record.pose is not None
        image = instance_image(folder, record.stamp_ns)
        usable = (record.depth > limits.min_depth) & (record.depth < limits.max_depth)
        counts = np.bincount(image[usable])
        self._views.append(record)
        some = np.zeros_like(usable)
        some[::_STRIDE, ::_STRIDE] = usable[::_STRIDE, ::_STRIDE]
        ids = image[some]
        points = transform_points(record.pose, unproject(record.depth, record.intrinsics)[some].astype(np.float64))
        for i in np.flatnonzero(counts):
            if i:
                share = float(counts[i]) / image.size
                self._sightings[int(i)].append(Sighting(record.stamp_ns / 1e9, share, points[ids == i]))

    def of(self, thing: Thing, since: float = -np.inf, until: float = np.inf) -> list[Sighting]:
        """The frames in [since, until) that show enough of a thing."""
        return [s for s in self._sightings[thing.id] if s.share >= SHARE and since <= s.time < until]

    def at_end(self) -> list[Thing]:
        """Objects that are there at the end and were shown where they are then."""
        return [thing for thing in self.truth.present() if len(self.at_place(thing)) >= FRAMES]

    def at_place(self, thing: Thing) -> list[Sighting]:
        """The frames that show enough of a thing where it is at the end."""
        return self.of(thing, self._since(thing))

    def _since(self, thing: Thing) -> float:
        change = self._changes.get(thing.id)
        return change.time if change is not None and change.kind == "moved" else -np.inf

    def seen_box(self, thing: Thing) -> OrientedBox | None:
        """The tight box around what was shown of a thing where it is at the end, in its true orientation."""
        points = [s.points for s in self._sightings[thing.id] if s.time >= self._since(thing)]
        every = np.concatenate(points) if points else np.zeros((0, 3))
        return OrientedBox.around(every, _TRIM, thing.box.yaw) if len(every) >= 4 else None

    def box_at(self, thing: Thing, time: float) -> OrientedBox | None:
        """Where a thing was at a time, None if it was not there."""
        change = self._changes.get(thing.id)
        if change is None:
            return thing.box.oriented()
        box = change.before if time < change.time else change.after
        return None if box is None else box.oriented()

    def looked_at(self, box: OrientedBox, since: float) -> int:
        """Frames from ``since`` on that show at least a third of a grid of points in a place, or see through them."""
        steps = np.array([-0.3, 0.0, 0.3])
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) * box.size
        points = box.center + grid @ box.rotation.T
        found = 0
        for view in self._views:
            if view.stamp_ns / 1e9 < since:
                continue
            assert view.depth is not None and view.intrinsics is not None and view.pose is not None
            local = transform_points(invert(view.pose), points)
            pixels, z = project(local, view.intrinsics)
            u, v = np.nan_to_num(np.round(pixels), nan=-1.0).astype(np.int64).T
            inside = (z > 0) & (u >= 0) & (v >= 0) & (u < view.intrinsics.width) & (v < view.intrinsics.height)
            through = view.depth[v[inside], u[inside]] > z[inside] + _EMPTY
            found += int(through.sum()) >= len(points) / 3
        return found

    def checkable(self) -> list[Change]:
        """Changes that the recording shows: what was there before it, and what became of it after."""
        found = []
        for change in self.truth.changes:
            thing = self.truth.thing(change.object)
            before = change.before is None or len(self.of(thing, until=change.time)) >= FRAMES
            if change.after is not None:
                after = len(self.of(thing, since=change.time)) >= FRAMES
            else:
                assert change.before is not None
                after = self.looked_at(change.before.oriented(), change.time) >= FRAMES
            if before and after:
                found.append(change)
        return found

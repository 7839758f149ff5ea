"""The live pipeline on recorded sequences, as ``proxy3d replay`` runs it: for evaluation and for preparing data."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Frame
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.geometry.transforms import robot_from_camera
from proxy3d_core.perception.level import Level, estimate_up
from proxy3d_core.scene.completion import Completion
from proxy3d_core.scene.state import SceneState
from proxy3d_core.sequences import Sequence, frames
from proxy3d_core.timing import StageTimes

Change = Callable[[Frame], Frame]


class Drive:
    """A sequence played into a scene, frame by frame.

    Attributes:
        level: how the sequence's world lies in the scene's frame, which has z up.
        dropped: how many frames were not used, by reason.
    """

    def __init__(self, scene: SceneState, sequence: Sequence, change: Change | None = None) -> None:
        """``change`` alters every frame before the scene sees it, for instance takes its labels away."""
        self._scene, self._sequence, self._change = scene, sequence, change
        self.level: Level = estimate_up(sequence)
        self.dropped: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Frame]:
        """Play; every frame is in the scene when it comes out. After the last one the scene is up to date."""
        floor = self.level.floor
        stream = frames(self._sequence, self.level)
        self.dropped.clear()
        for frame in stream:
            shown = frame if self._change is None else self._change(frame)
            try:
                robot = None if floor is None else robot_from_camera(frame.pose, floor)
                self._scene.update(shown, robot)
            except BadInput as error:
                self.dropped[str(error)] += 1
                continue
            yield shown
        self.dropped.update(stream.dropped)
        self._scene.refresh()

    def in_world(self, box: OrientedBox) -> OrientedBox:
        """A box of the scene in the sequence's own world."""
        turn = self.level.rotation.T
        return OrientedBox(turn @ box.center, box.size, turn @ box.rotation)


def config_of(settings: Iterable[str]) -> Config:
    """The defaults with some settings changed, each NAME=VALUE, such as ``map.voxel_size=0.05``.

    Raises:
        BadInput: no such setting, or not a value for it.
    """
    changed = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise BadInput(f"{setting!r} is not NAME=VALUE, such as map.voxel_size=0.05")
        changed[name.strip()] = yaml.safe_load(value)
    return Config.from_flat(changed)


def without_labels(frame: Frame) -> Frame:
    """The frame of a robot without a segmenter."""
    return dataclasses.replace(frame, labels=None, detections=(), instances=None)


def with_instances(folder: Path) -> Change:
    """Takes the true instance images of a simulated recording in ``folder`` for masks without names.

    No model that only tells things apart could do better.
    """

    def change(frame: Frame) -> Frame:
        return dataclasses.replace(without_labels(frame), instances=instance_image(folder, frame.stamp_ns))

    return change


def instance_image(folder: Path, stamp_ns: int) -> NDArray[np.uint16]:
    """(H, W) true instance ids of a frame of a simulated recording, 0 = building.

    Raises:
        BadInput: the recording has no instance images.
    """
    path = folder / f"frame-{round(stamp_ns * 30 / 1e9):06d}.instance.png"
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if image is None:
        raise BadInput(f"{path} cannot be read: the true instances are in recordings of proxy3d simulate only")
    return np.asarray(image, np.uint16)


class StageSums(StageTimes):
    """Stage times that also know the sum of all.

    Attributes:
        seconds: spent in each stage.
    """

    def __init__(self) -> None:
        """No time yet."""
        super().__init__()
        self.seconds: Counter[str] = Counter()

    def add(self, stage: str, seconds: float) -> None:
        """Record one duration."""
        super().add(stage, seconds)
        self.seconds[stage] += seconds  # type: ignore[assignment]


class ReusedScene(SceneState):
    """A scene that is used for one sequence after the other: models are loaded once.

    Attributes:
        config: its settings.
        times: of its stages, over all sequences.
    """

    def __init__(self, config: Config, completion: Completion | None = None) -> None:
        """Raises MissingExtra, ModelError, BadInput as ``SceneState``."""
        super().__init__(config, completion=completion)
        self.config = config
        self.times: StageSums = StageSums()

    def begin(self) -> int:
        """Forget everything; returns the id that the next new object will have."""
        self.reset()
        return int(self._tracker.next_id)

    def groups_at(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N,) the object that each of the points (N, 3) belongs to now; negative = none."""
        with self._lock:
            return self._voxels.owner_at(points)

"""A simulated drive, written as a sequence that our readers (and others') open, with the truth beside it.

Layout: 7-Scenes style (``frame-NNNNNN.color.jpg``, ``.depth.png`` in millimetres, ``.pose.txt`` camera-to-world,
``.labels.png``, ``camera-intrinsics.txt``, ``labels.json``) and ``truth.json``. The frame number counts at 30 Hz, so it
is the time of capture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.geometry import Intrinsics, OrientedBox
from proxy3d_training.simulation.renderer import Renderer, exposure
from proxy3d_training.simulation.rooms import Room
from proxy3d_training.simulation.sensor import Segmenter, StereoDepth, photograph

FRAME_RATE = 30
"""Frame numbers count at this rate [Hz], as 7-Scenes does."""

# Few distinct values, as disparities and class ids have, compress best unfiltered.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


def _box(box: OrientedBox) -> dict[str, Any]:
    return {
        "center": [round(float(v), 4) for v in box.center],
        "size": [round(float(v), 4) for v in box.size],
        "yaw": round(box.yaw, 4),
    }


def truth(before: Room, after: Room, moved_at: float, first_seen: dict[int, float]) -> dict[str, Any]:
    """What is true of a recorded room: its size, and of every object the label, the box, where it stood before, and
    when it was first in view; metres, radians, seconds.
    """
    objects = []
    for old, new in zip(before.items, after.items, strict=True):
        entry: dict[str, Any] = {"id": new.id, "label": new.label, **_box(new.box())}
        if (old.position, old.yaw) != (new.position, new.yaw):
            entry["moved"] = {"time": moved_at, "from": _box(old.box()), "to": _box(new.box())}
        entry["first_seen"] = first_seen.get(new.id)
        objects.append(entry)
    return {
        "frame": "z up, floor at z = 0, metres, radians",
        "room": {"width": after.width, "depth": after.depth, "height": after.height, "area": round(after.area, 4)},
        "objects": objects,
    }


def record(
    folder: Path,
    before: Room,
    after: Room,
    moved_at: float,
    poses: Sequence[NDArray[np.float64]],
    intrinsics: Intrinsics,
    classes: Sequence[str],
    rate: int = 10,
    seed: int = 0,
    samples: int = 2,
    light: Callable[[Room], Renderer] = Renderer,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Drive through a room and write what the camera sees; from ``moved_at`` seconds on, ``before`` is ``after``.

    Args:
        folder: is made; a sequence that is already there is replaced.
        poses: camera poses, ``rate`` a second.
        classes: names of the segmenter's class ids; 0 is the background.
        rate: frames a second, a divisor of 30.
        samples: colour samples per pixel and axis.
        light: makes the renderer of a room; the default takes its time for fine light.
        progress: called with the number of frames done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("frame-*"):
        old.unlink()
    sensor, segmenter = StereoDepth(), Segmenter({name: i for i, name in enumerate(classes)})
    labels = {item.id: item.label for item in after.items}
    first_seen: dict[int, float] = {}
    renderer = light(before)
    gain = exposure(renderer)
    for i, pose in enumerate(poses):
        time = i / rate
        if time >= moved_at and renderer.room is before:
            renderer = light(after)
        rng = np.random.default_rng((seed, i))
        picture = renderer.render(pose, intrinsics, samples)
        for number, pixels in zip(*np.unique(picture.instance, return_counts=True), strict=True):
            if number and pixels >= 0.004 * picture.instance.size:
                first_seen.setdefault(int(number), round(time, 3))
        stem = folder / f"frame-{i * FRAME_RATE // rate:06d}"
        color = photograph(picture, gain, rng)
        cv2.imwrite(f"{stem}.color.jpg", color[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
        cv2.imwrite(f"{stem}.depth.png", sensor.measure(picture, intrinsics, rng), _PNG)
        cv2.imwrite(f"{stem}.labels.png", segmenter.segment(picture.instance, labels, rng), _PNG)
        np.savetxt(f"{stem}.pose.txt", pose, fmt="%.8f")
        progress(i + 1)
    np.savetxt(folder / "camera-intrinsics.txt", intrinsics.matrix, fmt="%.6f")
    (folder / "labels.json").write_text(json.dumps({str(i): name for i, name in enumerate(classes)}, indent=1) + "\n")
    (folder / "truth.json").write_text(json.dumps(truth(before, after, moved_at, first_seen), indent=1) + "\n")

"""Sets of recordings: rendered and written in parallel, resumable, the same bytes from the same seed.

A set is a folder with ``settings.json`` and one folder for each recording, ``room-NNNNNN``, in 7-Scenes layout:
``frame-NNNNNN.color.jpg``, ``.depth.png`` (millimetres, 0 = none), ``.labels.png`` (class ids of ``labels.json``, as a
segmenter would give them), ``.instance.png`` (16 bit, ids of ``truth.json``, exact), ``.pose.txt`` (camera-to-world),
``camera-intrinsics.txt`` and ``truth.json``.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import proxy3d_training
from proxy3d_core.errors import BadInput
from proxy3d_training.simulation import truth
from proxy3d_training.simulation.flat import Flat
from proxy3d_training.simulation.generate import Recording, Settings, plan_recording
from proxy3d_training.simulation.kinds import LABELS
from proxy3d_training.simulation.renderer import Renderer, exposure
from proxy3d_training.simulation.sensor import Segmenter, StereoDepth, photograph

_MAKER = {"layout": 1, "generator": proxy3d_training.__version__}
"""Version of what is written and by what; a set of another version is not continued."""

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
_CLASSES = {name: i + 1 for i, name in enumerate(LABELS)}


@dataclass(frozen=True)
class Report:
    """What a run did: recordings made now, kept from an earlier run, frames made now, seconds it took.

    ``cpu_seconds`` of all processes tell what a machine that does something else as well could do.
    """

    made: int
    kept: int
    frames: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Frames a second, everything included; 0 if none was made."""
        return self.frames / self.seconds if self.frames else 0.0


def folder_name(number: int) -> str:
    """Of a recording inside its set."""
    return f"room-{number:06d}"


def _light(flat: Flat) -> Renderer:
    """Light at vertices that lie close on walls and far apart on things: a second's work for a room."""
    return Renderer(flat, max_edge=0.28, rays=8, shadow_rays=4, item_edge=0.45, smoothing=8)


def render(recording: Recording, folder: Path, clean: bool = False) -> None:
    """Write the frames of a recording into an existing folder; ``clean``: exact depth and labels, no blur, no noise."""
    sensor, segmenter = StereoDepth(), Segmenter(_CLASSES)
    k, record = recording.camera, recording.truth
    names = {thing.id: thing.label for thing in record.objects}
    table = np.zeros(max(names) + 1, np.uint8)
    for number, label in names.items():
        table[number] = _CLASSES[label]
    character = np.random.default_rng((*recording.stream, 1))
    shutter, noise = character.uniform(1 / 120, 1 / 40), character.uniform(0.004, 0.012)
    tint = np.exp(character.normal(0, 0.03, 3))
    renderer = _light(recording.before)
    gain = wanted = exposure(renderer) * float(np.exp(character.normal(0.1, 0.12)))
    for i, (frame, pose) in enumerate(zip(record.frames, recording.tour.poses, strict=True)):
        if i == recording.changed_at:
            renderer = _light(recording.after)
        rng = np.random.default_rng((*recording.stream, 2, i))
        picture = renderer.render(pose, k, samples=2, adaptive=True)
        picture = dataclasses.replace(picture, radiance=picture.radiance * tint)
        # The camera's automatic exposure follows what it sees, but not at once and not all the way.
        middle = float(np.median(picture.radiance)) * gain
        wanted += 0.5 * (gain * float(np.clip((0.45 / max(middle, 1e-3)) ** 0.4, 0.6, 1.8)) - wanted)
        smear = 0.0 if clean else abs(recording.tour.spins[i]) * k.fx * shutter
        color = photograph(picture, wanted, rng, smear, 0.0 if clean else noise)
        if clean:
            depth = np.round(np.clip(picture.depth * 1000, 0, 65535)).astype(np.uint16)
            labels = table[picture.instance]
        else:
            depth = sensor.measure(picture, k, rng)
            labels = segmenter.segment(picture.instance, names, rng)
        stem = folder / f"frame-{frame.number:06d}"
        _write(f"{stem}.color.jpg", color[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        _write(f"{stem}.depth.png", depth, _PNG)
        _write(f"{stem}.labels.png", labels, _PNG)
        _write(f"{stem}.instance.png", picture.instance.astype(np.uint16), _PNG)
        np.savetxt(f"{stem}.pose.txt", pose, fmt="%.8f")
    np.savetxt(folder / "camera-intrinsics.txt", k.matrix, fmt="%.6f")
    classes = {"0": "background"} | {str(i): name for name, i in _CLASSES.items()}
    (folder / "labels.json").write_text(json.dumps(classes, indent=1) + "\n")


def _write(path: str, image: np.ndarray[Any, Any], options: list[int]) -> None:
    if not cv2.imwrite(path, image, options):
        raise BadInput(f"cannot write {path}: is the disk full?")


def make(number: int, settings: Settings, out: Path, truth_only: bool = False) -> int:
    """Make one recording; an unfinished one of an earlier run is begun anew. Returns its number of frames."""
    part, done = out / f"{folder_name(number)}.part", out / folder_name(number)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    recording = plan_recording(number, settings)
    if not truth_only:
        render(recording, part, settings.clean)
    recording.truth.save(part)
    shutil.rmtree(done, ignore_errors=True)  # one that has its truth but no pictures
    part.rename(done)
    return len(recording.truth.frames)


def is_made(number: int, out: Path, truth_only: bool = False) -> bool:
    """Whether a recording is finished, with pictures unless ``truth_only``."""
    folder = out / folder_name(number)
    return (folder / truth.FILE).is_file() and (truth_only or (folder / "labels.json").is_file())


def simulate(
    rooms: int,
    settings: Settings,
    out: Path,
    workers: int | None = None,
    truth_only: bool = False,
    progress: Callable[[int, int], None] = lambda made, frames: None,
) -> Report:
    """Make the recordings 0 to ``rooms`` - 1 of a set, but for those that are there.

    Args:
        workers: processes; None = one for each core.
        truth_only: only the ``truth.json`` files; pictures can be added by a later run.
        progress: called with the recordings and frames done by this run, whenever one is finished.

    Raises:
        BadInput: the folder holds a set of other settings, or something cannot be written.
    """
    began, worked = time.monotonic(), _cpu_seconds()
    _claim(out, settings)
    todo = [n for n in range(rooms) if not is_made(n, out, truth_only)]
    made = frames = 0
    for count in _results(todo, partial(make, settings=settings, out=out, truth_only=truth_only), workers):
        made, frames = made + 1, frames + (0 if truth_only else count)
        progress(made, frames)
    return Report(made, rooms - made, frames, time.monotonic() - began, _cpu_seconds() - worked)


def _cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def _results(todo: list[int], job: Callable[[int], int], workers: int | None) -> Iterator[int]:
    workers = min(workers or len(os.sched_getaffinity(0)), len(todo))
    if workers == 0:
        return
    # Each process computes on one core: more threads in each would only get in each other's way.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in single}
    os.environ.update(single)
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            futures = [pool.submit(job, number) for number in todo]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _claim(out: Path, settings: Settings) -> None:
    """Note the settings of a set in its folder; refuse to mix two sets."""
    path, mine = out / "settings.json", {**_MAKER, **dataclasses.asdict(settings)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            theirs = json.loads(path.read_text(encoding="utf-8"))
            differing = [k for k in mine if theirs.get(k) != mine[k]]
            if differing:
                what = ", ".join(f"{k} {theirs.get(k)} instead of {mine[k]}" for k in differing)
                raise BadInput(f"{out} holds rooms of other settings ({what}); choose another folder")
        elif any(out.glob("room-*")):
            raise BadInput(f"{out} holds rooms but no settings.json; choose another folder")
        else:
            path.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"cannot use {out} as a folder for rooms: {error}") from None


def summary(rooms: int, settings: Settings, out: Path, report: Report) -> dict[str, Any]:
    """What is in a set and how fast it was made, for ``--json``."""
    labels: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    area = 0.0
    changes = 0
    for number in range(rooms):
        record = truth.Truth.load(out / folder_name(number))
        labels.update(thing.label for thing in record.objects)
        kinds.update(room.kind for room in record.rooms)
        area += record.area
        changes += len(record.changes)
    return {
        "out": str(out),
        "recordings": rooms,
        "made": report.made,
        "kept": report.kept,
        "frames": report.frames,
        "seconds": round(report.seconds, 2),
        "frames_per_second": round(report.rate, 2),
        "cpu_seconds": round(report.cpu_seconds, 2),
        "rooms": dict(sorted(kinds.items())),
        "area": round(area, 2),
        "objects": labels.total(),
        "labels": dict(labels.most_common()),
        "changes": changes,
        "settings": {**_MAKER, **dataclasses.asdict(settings)},
    }

"""``proxy3d data prepare``: the perception of the live node over recordings, stored for training."""

from __future__ import annotations

import json
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.frame import Frame
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.perception.patch_points import patch_points
from proxy3d_core.perception.vision import NANO
from proxy3d_core.proxies.references import References
from proxy3d_core.proxies.serialise import serialise
from proxy3d_core.scene.completion import NANO as BOXES
from proxy3d_core.scene.snapshot import SceneObject, Snapshot
from proxy3d_core.sequences import Sequence as Recording
from proxy3d_core.sequences import open_sequence
from proxy3d_training import __version__
from proxy3d_training.data.prepared import (
    FORMAT,
    INDEX,
    VERSION,
    About,
    PreparedScene,
    Seen,
    digest,
    index_entry,
    read_index,
    write_scene,
    write_whole,
)
from proxy3d_training.data.schema import Box
from proxy3d_training.live import Drive, ReusedScene
from proxy3d_training.matching import assign, equal, overlaps, thick
from proxy3d_training.simulation import truth as simulated

LEAST_IOU = 0.25
"""A map object is a true one from this IoU on; edges shorter than 10 cm count as 10 cm."""
LEAST_IOU_NAMED = 0.1
"""With the same label from this one on: a desk of which half was seen is that desk."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class TrueObject:
    """What a map object may be: id, label and box in the recording's world; its colour in words, if it is known."""

    id: int
    label: str
    box: OrientedBox
    color: str = ""


@dataclass(frozen=True)
class Job:
    """A recording to prepare: its name, where it lies, its true objects if they are known."""

    name: str
    folder: Path
    objects: tuple[TrueObject, ...] = ()


@dataclass
class Report:
    """What a run did.

    Attributes:
        made, kept: scenes prepared now, and found ready.
        frames: prepared now.
        seconds: of the whole run.
        cpu_seconds: computed, by all processes: what the run takes on one core that does nothing else.
        stages: seconds of each stage, summed over all processes.
        failed: reason by scene.
    """

    made: int = 0
    kept: int = 0
    frames: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        stages = {name: round(seconds, 2) for name, seconds in self.stages.items()}
        rate = round(self.frames / self.seconds, 2) if self.frames else 0.0
        times = {"seconds": round(self.seconds, 2), "cpu_seconds": round(self.cpu_seconds, 2)}
        return vars(self) | times | {"stages": stages, "frames_per_second": rate}


def jobs(folders: Sequence[Path], boxes: Path | None = None) -> list[Job]:
    """The recordings in and below folders: those of ``proxy3d simulate`` with their truth, and all other sequences.

    Args:
        boxes: annotated boxes by scan (``proxy3d data convert scannet``), for recordings without a truth.

    Raises:
        BadInput: nothing is there, or two recordings have the same name.
    """
    annotated = _annotated(boxes) if boxes is not None else {}
    found: dict[str, Job] = {}
    for folder in folders:
        here = _recordings(folder)
        if not here:
            raise BadInput(f"{folder} holds no recorded sequence")
        for path in here:
            if (path / simulated.FILE).is_file():
                truth = simulated.Truth.load(path)
                things = tuple(TrueObject(t.id, t.label.lower(), t.box.oriented(), t.color) for t in truth.present())
                job = Job(truth.name, path, things)
            else:
                name = path.resolve().name
                job = Job(name, path, annotated.get(name, ()))
            if job.name in found:
                raise BadInput(f"{job.folder} and {found[job.name].folder} are both called {job.name!r}")
            found[job.name] = job
    return list(found.values())


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return [folder] if _opens(folder) else []
    truths = sorted(path.parent for path in folder.rglob(simulated.FILE))
    if truths:
        return truths
    return [folder] if _opens(folder) else [path for path in sorted(folder.iterdir()) if _opens(path)]


def _opens(path: Path) -> bool:
    try:
        open_sequence(path)
    except SequenceError:
        return False
    return True


def _annotated(path: Path) -> dict[str, tuple[TrueObject, ...]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(scene["name"]): tuple(
                TrueObject(int(o.get("id", i)), str(o["label"]).lower(), _oriented(o))
                for i, o in enumerate(scene["objects"])
            )
            for scene in document["scenes"]
        }
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds no annotated scenes (proxy3d data convert scannet): {error!r}") from None


def _oriented(entry: dict[str, Any]) -> OrientedBox:
    axes = np.array(entry.get("axes", np.eye(3)), dtype=np.float64)
    return OrientedBox(np.array(entry["center"]), np.array(entry["size"]), axes.T)


def maker(config: Config) -> dict[str, Any]:
    """What the content of prepared scenes depends on: encoder and completion with their weights, settings, versions."""
    from proxy3d_core import __version__ as core

    source = NANO if config.encoder.source == "nano" else Path(config.encoder.source)
    weights = {}
    if config.encoder.source and source.is_dir():
        for path in sorted([*source.glob("*.json"), *source.glob("*.safetensors")]):
            weights[path.name] = digest(path.read_bytes())
    for path in sorted(BOXES.glob("*.safetensors")):
        weights[f"{BOXES.name}/{path.name}"] = digest(path.read_bytes())
    sections = ("perception", "encoder", "map", "proxies")
    settings = {k: v for k, v in config.flat().items() if k.partition(".")[0] in sections and "device" not in k}
    settings["input.semantics"] = config.input.semantics
    return {"proxy3d_ros": core, "proxy3d_training": __version__, "settings": settings, "weights": weights}


def prepare(
    todo: Sequence[Job],
    out: Path,
    config: Config,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, frames: None,
) -> Report:
    """Prepare recordings in parallel; what is ready in ``out`` is kept, so that a broken run goes on where it was.

    Args:
        progress: called with the scenes done and the frames of the newest.

    Raises:
        BadInput: ``out`` holds scenes of another encoder, other settings or another version.
        MissingExtra, ModelError: the models that the settings name cannot be used.
    """
    start = time.perf_counter()
    report = Report()
    how = maker(config)
    entries = _claim(out, how)
    open_jobs = []
    for job in todo:
        path = out / scene_file(job.name)
        if job.name not in entries and path.is_file():
            if PreparedScene(path).about.maker != how:
                raise BadInput(f"{path} was made with other settings; choose another folder")
            entries[job.name] = index_entry(path)
        if job.name in entries and path.is_file():
            report.kept += 1
        else:
            open_jobs.append(job)
    try:
        for done, (job, entry, frames, stages, problem) in enumerate(_run(open_jobs, out, config, how, workers), 1):
            if entry is None:
                report.failed[job.name] = problem
            else:
                entries[job.name] = entry
                report.made += 1
            report.frames += frames
            report.cpu_seconds += stages.pop("cpu", 0.0)
            report.stages.update(stages)
            progress(done, frames)
    finally:
        if entries:
            _write_index(out, how, entries)
    report.seconds = time.perf_counter() - start
    return report


def scene_file(name: str) -> str:
    """Where a scene lies in its folder; names with odd characters get a digest, so that no two share a file."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
    return f"scenes/{safe if safe == name else f'{safe}-{digest(name.encode())[:12]}'}.safetensors"


def _claim(out: Path, how: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The entries of the scenes that are ready; refuses to mix two sets."""
    if not (out / INDEX).is_file():
        return {}
    index = read_index(out)
    theirs = {key: index["maker"].get(key) for key in how}
    for key, mine in how.items():
        if theirs[key] != mine:
            said = theirs[key] if isinstance(theirs[key], dict) else {key: theirs[key]}
            mine = mine if isinstance(mine, dict) else {key: mine}
            which = ", ".join(f"{k} {said.get(k)} instead of {mine.get(k)}" for k in mine if said.get(k) != mine[k])
            raise BadInput(f"{out} holds scenes prepared otherwise ({which or key}); choose another folder")
    scenes: dict[str, dict[str, Any]] = index["scenes"]
    return scenes


def _write_index(out: Path, how: dict[str, Any], entries: dict[str, dict[str, Any]]) -> None:
    some = PreparedScene(out / next(iter(entries.values()))["file"])
    channels = some.array("proxies.features").shape[1]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "maker": how | {"channels": channels},
        "scenes": dict(sorted(entries.items())),
    }
    write_whole(out / INDEX, (json.dumps(document, indent=1) + "\n").encode())


Done = tuple[Job, "dict[str, Any] | None", int, "dict[str, float]", str]

_scene: ReusedScene | None = None  # of a worker process


def _begin(config: Config) -> None:
    """Make a worker ready: one thread each, more would get in each other's way; models are loaded once."""
    global _scene
    threadpool_limits(1)
    cv2.setNumThreads(1)
    _scene = ReusedScene(config)


def _run(todo: Sequence[Job], out: Path, config: Config, how: dict[str, Any], workers: int) -> Iterable[Done]:
    if not todo:
        return
    if workers == 1:
        scene = ReusedScene(config)
        for job in todo:
            yield _one(scene, job, out, how)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(config,)) as pool:
        futures = [pool.submit(_work, job, out, how) for job in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _work(job: Job, out: Path, how: dict[str, Any]) -> Done:
    assert _scene is not None
    return _one(_scene, job, out, how)


def _one(scene: ReusedScene, job: Job, out: Path, how: dict[str, Any]) -> Done:
    """Prepare a recording; one that cannot be used does not stop the others."""
    scene.times.seconds.clear()
    begun, computed = time.perf_counter(), time.process_time()
    try:
        about, arrays = perceive(scene, job, how)
    except (SequenceError, BadInput) as error:
        return job, None, 0, {}, " ".join(str(error).split())
    seen = time.perf_counter()
    entry = write_scene(out / scene_file(job.name), about, arrays)
    stages: dict[str, float] = dict(scene.times.seconds)
    stages["reading, points, order"] = seen - begun - sum(stages.values())
    stages["writing"] = time.perf_counter() - seen
    stages["cpu"] = time.process_time() - computed
    return job, entry, len(arrays["stamps"]), stages, ""


def perceive(scene: ReusedScene, job: Job, how: dict[str, Any]) -> tuple[About, dict[str, Array]]:
    """Play a recording and collect what training needs.

    Returns:
        The description and the arrays of ``PreparedScene``.

    Raises:
        SequenceError: not one frame of it can be used.
    """
    recording: Recording = open_sequence(job.folder)
    first = scene.begin()
    drive = Drive(scene, recording)
    limits = scene.config.perception
    features, points, valid, stamps, poses = [], [], [], [], []
    last: Frame | None = None
    for frame in drive:
        found = scene.last_features
        patches = patch_points(frame, (found.shape[0], found.shape[1]), limits.min_depth, limits.max_depth)
        features.append(found.astype(np.float16))
        points.append(patches.points)
        valid.append(patches.valid)
        stamps.append(frame.stamp_ns)
        poses.append(frame.pose.astype(np.float32))
        last = frame
    if last is None:
        reasons = "; ".join(f"{reason} ({n}x)" for reason, n in drive.dropped.most_common(3))
        raise SequenceError(f"no frame of {job.folder} can be used: {reasons or 'it is empty'}")
    if len({f.shape for f in features}) > 1:
        raise SequenceError(f"the frames of {job.folder} differ in size; a sequence has one")
    snapshot = scene.snapshot()
    where = np.stack(points)
    groups = _from_one(scene.groups_at(where.reshape(-1, 3)).reshape(where.shape[:3]), first)
    groups[~np.stack(valid)] = -1
    proxies = snapshot.proxies
    arrays: dict[str, Array] = {
        "features": np.stack(features),
        "points": where,
        "valid": np.stack(valid),
        "groups": groups.astype(np.int32),
        "stamps": np.array(stamps, np.int64),
        "poses": np.stack(poses),
        "proxies.positions": proxies.positions,
        "proxies.features": proxies.features.astype(np.float16),
        "proxies.weights": proxies.weights,
        "proxies.extents": proxies.extents,
        "proxies.groups": _from_one(proxies.groups, first),
        "proxies.order": serialise(proxies),
    }
    camera = last.intrinsics
    about = About(
        name=job.name,
        maker=how,
        up=tuple(round(float(v), 6) for v in drive.level.up),
        floor=snapshot.floor.height if snapshot.floor.height is not None else drive.level.floor,
        area=snapshot.floor.area,
        size=(camera.width, camera.height),
        intrinsics=tuple(float(v) for v in (camera.fx, camera.fy, camera.cx, camera.cy)),
        objects=_objects(snapshot, drive, job.objects, first),
        dropped=dict(drive.dropped),
    )
    return about, arrays


def _from_one(ids: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Ids counted from 1 on in every scene, whatever was seen before; negative ones are no objects and stay."""
    return np.where(ids >= first, ids - first + 1, ids)


def _objects(snapshot: Snapshot, drive: Drive, true: Sequence[TrueObject], first: int) -> tuple[Seen, ...]:
    markers = References.assign(snapshot.objects).index_of
    boxes = {o.id: drive.in_world(o.box) for o in snapshot.objects}
    matched = match(snapshot.present, [boxes[o.id] for o in snapshot.present], true)
    by_id = {thing.id: thing for thing in true}
    seen = []
    for o in snapshot.objects:
        one = by_id.get(matched.get(o.id, -1))
        iou = 0.0 if one is None else round(boxes[o.id].iou(one.box), 4)
        state, own = o.state.value, o.id - first + 1
        true_id, color = (None, "") if one is None else (one.id, one.color)
        seen.append(
            Seen(own, markers.get(o.id), o.label, round(o.score, 4), Box.of(boxes[o.id]), state, true_id, iou, color)
        )
    return tuple(seen)


def match(objects: Sequence[SceneObject], boxes: Sequence[OrientedBox], true: Sequence[TrueObject]) -> dict[int, int]:
    """True id by map id: one to one, by IoU; a pair with the same label is taken first, and may overlap less."""
    iou = overlaps([thick(box) for box in boxes], [thick(thing.box) for thing in true])
    same = equal([o.label for o in objects], [thing.label for thing in true])
    pairs = assign(np.where(iou >= np.where(same, LEAST_IOU_NAMED, LEAST_IOU), iou + same, 0.0), LEAST_IOU)
    return {objects[row].id: true[column].id for row, column in pairs}

"""How fast samples are loaded and how much memory that takes, on synthetic files of any size."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from proxy3d_core.proxies.serialise import serialise
from proxy3d_core.scene.snapshot import ProxySet
from proxy3d_training.data.dataset import Item, PackSampler, SpaceSpan, epoch_order
from proxy3d_training.data.files import write_samples
from proxy3d_training.data.index import open_index
from proxy3d_training.data.prepared import FORMAT, INDEX, VERSION, About, PreparedScenes, Seen, write_scene, write_whole
from proxy3d_training.data.schema import (
    Box,
    IdAnswer,
    NumberAnswer,
    Provenance,
    Sample,
    Scene,
    TextAnswer,
    Thing,
    marker,
)

SOURCES = {"ScanQA": 26, "SQA3D": 26, "Scan2Cap": 32, "ScanRefer": 32, "Multi3DRefer": 39, "MMScan": 114, "SR-91K": 50}
"""Thousands of samples of each source, after Proxy3D's Table 2 of the supplement."""

_OBJECTS = 40
_KINDS = ("chair", "table", "sofa", "lamp", "picture", "door", "window", "plant")


def synthetic_samples(count: int, scenes: int) -> Iterator[Sample]:
    """Samples of the paper's sources in their proportions, of usual length."""
    shares = np.cumsum([*SOURCES.values()]) / sum(SOURCES.values())
    names = [*SOURCES]
    rng = np.random.default_rng(0)
    for i in range(count):
        source = names[int(np.searchsorted(shares, (i + 0.5) / count))]
        ids = rng.choice(_OBJECTS, 3, replace=False)
        objects = tuple(_thing(int(number)) for number in ids)
        first, second = marker(int(ids[0])), marker(int(ids[1]))
        answer: TextAnswer | IdAnswer | NumberAnswer
        if source in ("ScanRefer", "Multi3DRefer"):
            question = f"Find the brown {objects[0].label} that stands left of {second}, near the window."
            answer = IdAnswer(text=f"{first}.", objects=(int(ids[0]),))
        elif source == "SR-91K":
            question = f"How far is {first} from {second}, at their closest points, in metres?"
            answer = NumberAnswer(text="1.4", value=1.4, unit="m")
        else:
            question = f"What is between {first} and {second}, seen from the door of the room?"
            answer = TextAnswer(text="a round wooden table", references=("a round wooden table", "the table"))
        scene = f"scene-{int(rng.integers(scenes)):05d}"
        yield Sample(
            id=f"synthetic/{i}",
            source=source,
            family=source,
            kind="synthetic",
            split="train",
            scene=Scene(dataset="synthetic", name=scene, space=scene, folder=f"scenes/{scene}"),
            question=question,
            instruction="Answer with a single word or phrase.",
            answer=answer,
            objects=objects,
            provenance=Provenance(file=f"{source}_train.json", key=str(i), licence="none"),
        )


def _thing(number: int) -> Thing:
    return Thing(id=number, marker=number, label=_KINDS[number % len(_KINDS)], box=_box(number))


def _box(number: int) -> Box:
    return Box(center=(0.1 * number, 1.25, 0.4), size=(0.5, 0.6, 0.8), yaw=0.3)


def synthetic_scenes(folder: Path, count: int, channels: int, budget: int = 450) -> None:
    """Prepared scenes of 24 frames with random content."""
    rng = np.random.default_rng(0)
    maker = {"channels": channels, "settings": {}}
    entries = {}
    objects = tuple(
        Seen(i + 1, i, _KINDS[i % len(_KINDS)], 0.9, _box(i), "present", true_id=i, iou=0.6) for i in range(_OBJECTS)
    )
    for number in range(count):
        name = f"scene-{number:05d}"
        about = About(name, maker, (0.0, 0.0, 1.0), 0.0, 20.0, (320, 240), (235.0, 235.0, 159.5, 119.5), objects)
        proxies = ProxySet(
            rng.uniform(0, 5, (budget, 3)).astype(np.float32),
            rng.normal(size=(budget, channels)).astype(np.float16),
            np.ones(budget, np.float32),
            np.full(budget, 0.1, np.float32),
            np.sort(rng.integers(1, _OBJECTS + 1, budget)),
        )
        grid = (24, 16, 21)
        arrays = {
            "features": rng.normal(size=(*grid, channels)).astype(np.float16),
            "points": rng.uniform(0, 5, (*grid, 3)).astype(np.float32),
            "valid": np.ones(grid, bool),
            "groups": rng.integers(1, _OBJECTS + 1, grid).astype(np.int32),
            "stamps": np.arange(24) * 10**9,
            "poses": np.tile(np.eye(4, dtype=np.float32), (24, 1, 1)),
            **{f"proxies.{k}": v for k, v in vars(proxies).items()},
            "proxies.order": serialise(proxies),
        }
        entries[name] = write_scene(folder / "scenes" / f"{name}.safetensors", about, arrays)
    document = {"format": FORMAT, "version": VERSION, "maker": maker, "scenes": entries}
    write_whole(folder / INDEX, json.dumps(document).encode())


def memory(pid: int) -> dict[str, float]:
    """MB of a process: ``own``, what it alone has written; ``shared``: the rest, such as mapped files."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) / 1024
    return {"own": round(fields["Private_Dirty"], 1), "shared": round(fields["Rss"] - fields["Private_Dirty"], 1)}


def bench(
    folder: Path, samples: int, scenes: int, channels: int, workers: list[int], questions: int, batches: int
) -> dict[str, Any]:
    """Write a synthetic set, open it, and read some batches with each number of worker processes.

    Args:
        folder: where the set is written; several hundred MB.
        questions: samples of a batch, which share a scene.
        batches: read with each number of workers.
    """
    file = folder / "samples.jsonl"
    start = time.perf_counter()
    write_samples(file, synthetic_samples(samples, scenes))
    synthetic_scenes(folder / "prepared", scenes, channels)
    wrote = time.perf_counter()
    before = memory(os.getpid())["own"]
    open_index(file)
    indexed = time.perf_counter()
    dataset = SpaceSpan([file], PreparedScenes(folder / "prepared"))
    opened = time.perf_counter()
    order = epoch_order(dataset, 0, 0, {"ScanRefer": 1.5})
    ordered = time.perf_counter()
    result: dict[str, Any] = {
        "samples": samples,
        "megabytes": round(file.stat().st_size / 1e6, 1),
        "scenes": scenes,
        "channels": channels,
        "make_s": round(wrote - start, 1),
        "index_s": round(indexed - wrote, 2),
        "open_s": round(opened - indexed, 2),
        "epoch_order_s": round(ordered - opened, 3),
        "epoch_samples": len(order),
        "grown_mb": round(memory(os.getpid())["own"] - before, 1),
        "loading": {},
    }
    for count in workers:
        sampler = PackSampler(dataset, questions)
        loader = DataLoader(dataset, batch_sampler=sampler, num_workers=count, collate_fn=_sizes)
        stream = iter(loader)
        for _ in islice(stream, 2 * max(count, 1)):
            pass  # the workers start
        begun, read = time.perf_counter(), 0
        for lengths in islice(stream, batches):
            read += len(lengths)
        seconds = time.perf_counter() - begun
        children = [memory(child.pid) for child in multiprocessing.active_children() if child.pid]
        result["loading"][str(count)] = {
            "samples_per_s": round(read / seconds, 1),
            "worker_own_mb": [found["own"] for found in children],
            "worker_shared_mb": [found["shared"] for found in children],
            "main_own_mb": memory(os.getpid())["own"],
        }
        del stream, loader
    return result


def _sizes(items: list[Item]) -> list[int]:
    """What a worker hands over is small: the bench measures reading, not the way between processes."""
    return [len(item.sample.prompt()) + (0 if item.proxies is None else len(item.proxies)) for item in items]

"""``proxy3d bench``: how fast the node is and how much memory it takes.

The same run measures what to compare with: how long reading the frames takes.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from proxy3d_core.config import Config
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.transforms import robot_from_camera
from proxy3d_core.perception.level import estimate_up
from proxy3d_core.reasoning.answer import Question
from proxy3d_core.reasoning.geometric import GeometricAnswerer
from proxy3d_core.scene.state import SceneState
from proxy3d_core.sequences import Sequence, frames
from proxy3d_ros.bench.measure import Figures, cpu_seconds, memory_mib, percentiles

QUESTIONS = (
    "How many chairs are there?",
    "What is the distance between the table and the nearest chair?",
    "Which object is closest to me?",
    "What is on the table?",
    "What is to my left?",
    "How large is the room?",
    "How tall is the table?",
    "Is there a sofa?",
)
FRAME_RATE = 30.0
"""Frames per second at which looped frames count as recorded."""

_KEPT = 120
"""Frames held in memory for looping, so that reading files is not measured."""
_WINDOW = 300
"""Frames over which figures are taken at each mark of the long run."""


def bench_sequence(sequence: Sequence, name: str, config: Config) -> dict[str, Figures]:
    """A recorded sequence, frame by frame into the scene: frames, stages, reading, processor, memory, answers."""
    level = estimate_up(sequence)
    floor = level.floor if level.found else None
    scene = SceneState(config)
    spent, reading = [], []
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = last = time.perf_counter()
    for frame in frames(sequence, level):
        start = time.perf_counter()
        reading.append(start - last)
        scene.update(frame, None if floor is None else robot_from_camera(frame.pose, floor))
        last = time.perf_counter()
        spent.append(last - start)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    out: dict[str, Figures] = {
        f"{name}/frame": {
            **percentiles(spent),
            "frames_per_s": round(len(spent) / sum(spent), 2),
            "cpu_cores": round(busy / wall, 2),
            "memory_mib": round(memory_mib(), 1),
        },
        f"{name}/wait for reading": percentiles(reading),
    }
    for stage, times in scene.times.summary().items():
        out[f"{name}/{stage}"] = {"p50_ms": times["p50"], "p95_ms": times["p95"]}
    scene.refresh()
    out[f"{name}/answer"] = bench_answers(scene)
    return out


def bench_answers(scene: SceneState, repeats: int = 20) -> Figures:
    """Time of a geometric answer, over all QUESTIONS; every answer is the first one on its snapshot."""
    spent = []
    for _, question in itertools.product(range(repeats), QUESTIONS):
        snapshot = replace(scene.snapshot())  # a copy: nothing that was computed for an earlier question is reused
        start = time.perf_counter()
        GeometricAnswerer().answer(Question(question), snapshot)
        spent.append(time.perf_counter() - start)
    return percentiles(spent)


def looped(kept: list[Frame], total: int) -> Iterator[Frame]:
    """Frames over and over, there and back so that the camera never jumps, with stamps that go on."""
    there_and_back = kept + kept[-2:0:-1]
    for i, frame in zip(range(total), itertools.cycle(there_and_back), strict=False):
        yield replace(frame, stamp_ns=int(i * 1e9 / FRAME_RATE))


def bench_long(sequence: Sequence, total: int, config: Config, on_frame: Callable[[], Any]) -> dict[str, Figures]:
    """Time of a frame and memory as a function of how many frames came before."""
    level = estimate_up(sequence)
    floor = level.floor if level.found else None
    kept = list(itertools.islice(frames(sequence, level), _KEPT))
    scene = SceneState(config)
    marks = sorted({n for n in (300, 1000, 3000, 10_000, 30_000, 100_000) if n < total} | {total})
    spent: list[float] = []
    out = {}
    for i, frame in enumerate(looped(kept, total), 1):
        start = time.perf_counter()
        scene.update(frame, None if floor is None else robot_from_camera(frame.pose, floor))
        spent.append(time.perf_counter() - start)
        on_frame()
        if i in marks:
            window = spent[-_WINDOW:]
            out[f"after {i} frames"] = {
                **percentiles(window),
                "mean_ms": round(1e3 * sum(window) / len(window), 3),
                "memory_mib": round(memory_mib(), 1),
                "voxels": scene.voxel_count,
                "objects": len(scene.snapshot().objects),
            }
    return out


def bench_live(sequence: Sequence, config: Config, seconds: float) -> dict[str, Figures]:
    """The node as a process of its own over DDS, fed in real time: from a frame's stamp until objects with it come."""
    from proxy3d_ros.dds import player
    from proxy3d_ros.dds.names import Names
    from proxy3d_ros.dds.participant import Participant
    from proxy3d_ros.port import Output

    delays: list[float] = []
    infos: list[Any] = []
    seen: set[int] = set()

    def on_objects(message: Any) -> None:
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        if message.detections and stamp not in seen:
            seen.add(stamp)
            delays.append((time.time_ns() - stamp) / 1e9)

    stop = threading.Event()
    timer = threading.Timer(seconds + 10, stop.set)
    try:
        with live_node(config) as (pid, domain), Participant(Names.parse("proxy3d_bench"), domain) as participant:
            participant.subscribe("/proxy3d/objects", Output.OBJECTS.type_name, on_objects)
            participant.subscribe("/proxy3d/map_info", Output.MAP_INFO.type_name, infos.append)
            timer.start()
            begin, busy = time.perf_counter(), cpu_seconds(pid)
            played = player.play(sequence, stop=stop, domain=domain, wait=10.0)
            wall = time.perf_counter() - begin
            time.sleep(1.0)
            busy = cpu_seconds(pid) - busy
            memory = memory_mib(pid)
    finally:
        timer.cancel()
    if not delays:
        return {"live/stamp to objects": {"n": 0}}
    used = int(infos[-1].frames) if infos else 0
    return {
        "live/stamp to objects": percentiles(delays),
        "live/node": {
            "frames_played": played.frames,
            "frames_used": used,
            "cpu_cores": round(busy / wall, 2),
            "memory_mib": round(memory, 1),
        },
    }


@contextmanager
def live_node(config: Config) -> Iterator[tuple[int, int]]:
    """The node as a process of its own over DDS; yields its process id and its domain, which this process joins."""
    domain = 100 + os.getpid() % 100
    os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    settings = [f"--set={name}={value}" for name, value in _changed(config).items()]
    command = [sys.executable, "-m", "proxy3d_ros", "run", "--middleware", "dds", *settings]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield node.pid, domain
    finally:
        node.send_signal(signal.SIGINT)
        try:
            node.wait(10)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


def _changed(config: Config) -> dict[str, Any]:
    default = Config().flat()
    return {name: value for name, value in config.flat().items() if value != default[name]}

"""The whole product at work, without ROS 2: ``make demo``, or ``python -m proxy3d_ros.demo``.

A node runs as a process of its own, a recorded room is played to it over DDS as a robot with colour, depth and poses
alone would publish it, and a client asks questions through the service. Writes a picture and a recording; exits 1 if an
answer is wrong or missing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from proxy3d_core.errors import MissingExtra, Proxy3DError, SequenceError, ServiceError
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import robot_from_camera
from proxy3d_core.perception.level import estimate_up
from proxy3d_core.reasoning.answer import Status
from proxy3d_core.scene.snapshot import SceneObject, Snapshot
from proxy3d_core.scene.state import SceneState
from proxy3d_core.sequences import Sequence, frames, open_sequence
from proxy3d_core.storage import load_map
from proxy3d_ros.client import FoundObject, Reply, SpatialClient
from proxy3d_ros.demo import ROOM, load_truth, true_box
from proxy3d_ros.demo.questions import DemoQuestion, demo_questions
from proxy3d_ros.plot import TrueBox, draw_snapshot
from proxy3d_ros.record import Recording

_START_LIMIT = 30.0  # seconds
_ANSWER_LIMIT = 10.0
_MODEL_LIMIT = 60.0  # the model is being loaded beside everything else
_SETTLE_LIMIT = 15.0
_POLL_PERIOD = 1.0
_ENOUGH = 0.75  # share of the frames that the node should have used

out = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True)
class Asked:
    """A question with what the node said, and what its vision-language model says when it is asked itself."""

    question: DemoQuestion
    reply: Reply
    model: Reply | None = None

    @property
    def right(self) -> bool:
        """Whether there is an answer and it is right."""
        return self.reply.ok and self.question.is_right(self.reply)

    @property
    def model_right(self) -> bool:
        """The same of the model."""
        return self.model is not None and self.model.ok and self.question.is_right(self.model)


@dataclass(frozen=True, eq=False)
class Run:
    """One run through the room.

    Attributes:
        rate: speed at which it was played.
        seen: the node's objects on the way: seconds since the start, objects.
        asked: questions and answers.
        map_folder: the map that the node saved.
        snapshot: what is in that map.
    """

    rate: float
    seen: list[tuple[float, list[FoundObject]]]
    asked: list[Asked]
    map_folder: Path
    snapshot: Snapshot

    @property
    def wrong(self) -> int:
        """Number of answers that are wrong or missing."""
        return sum(not entry.right for entry in self.asked)


def main(
    folder: Annotated[Path, typer.Option("--out", help="Where the picture, recording, map and log go.")] = Path(
        "out/demo"
    ),
    rate: Annotated[float, typer.Option(help="Speed: 2 = twice as fast as recorded.", min=0.1, max=10)] = 1.0,
) -> None:
    """Play a recorded room to the live node and ask it questions whose answers are known."""
    # A domain of its own on this machine alone: robots on the network neither see nor disturb the demo.
    os.environ["ROS_DOMAIN_ID"] = str(40 + os.getpid() % 60)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    try:
        wrong = _demo(folder, rate)
    except Proxy3DError as error:
        _say(f"[red]error:[/] {escape(str(error))}")
        if (folder / "node.log").is_file():
            _say(f"the node's own words are in {folder / 'node.log'}")
        raise typer.Exit(1) from None
    raise typer.Exit(1 if wrong else 0)


def _demo(folder: Path, rate: float) -> int:
    """The number of wrong answers."""
    if not (ROOM / "truth.json").is_file():
        raise SequenceError(f"the demo's recording is not at {ROOM}; install the package anew (it is package data)")
    for module, extra in (("cyclonedds", "dds"), ("matplotlib", "viz"), ("rerun", "viz")):
        if find_spec(module) is None:
            raise MissingExtra(f"the demo needs {module}: run `make demo`, or pip install 'proxy3d_ros[{extra}]'")
    folder.mkdir(parents=True, exist_ok=True)
    sequence, truth = open_sequence(ROOM), load_truth()
    with running_node(folder) as node, SpatialClient(middleware="dds", timeout=_ANSWER_LIMIT) as client:
        _wait_until_up(client, node, folder)
        _say(f"node: proxy3d run --middleware dds (process {node.pid}, log {folder / 'node.log'})")
        run = _run(client, sequence, truth, rate)
        if run.wrong and run.snapshot.frames < _ENOUGH * len(sequence):
            # The newest frame always goes first, so a machine that is busy with other things sees fewer of them.
            _say(f"{run.wrong} wrong, but the node had time for only {run.snapshot.frames} of {len(sequence)} frames;")
            _say("this machine is busy: once more at half the speed")
            client.reset()
            run = _run(client, sequence, truth, rate / 2)
    _print_table(run.asked)
    picture, recording = _write(folder, sequence, truth, run)
    out.print(f"\n[bold]{len(run.asked) - run.wrong} of {len(run.asked)} answers are right.[/]")
    _print_model(run.asked)
    _say(f"  picture    {picture}")
    _say(f"  recording  {recording}   open it: {_viewer()} {recording}")
    _say(f"  map        {run.map_folder}   ask it: proxy3d ask-map {run.map_folder} 'How far is the sofa from the tv?'")
    return run.wrong


def _say(text: str) -> None:
    out.print(text, highlight=False, soft_wrap=True)


def _run(client: SpatialClient, sequence: Sequence, truth: dict[str, Any], rate: float) -> Run:
    """Play the room, ask, save the map."""
    with _watching(client) as seen:
        _play(sequence, rate)
        _settle(client)
    asked = [_ask(client, question) for question in demo_questions(truth)]
    saved = Path(client.save("room", overwrite=True).path)
    scene = SceneState(read_only=True)
    load_map(scene, saved)
    return Run(rate, seen, asked, saved, scene.snapshot())


def _ask(client: SpatialClient, question: DemoQuestion) -> Asked:
    reply = client.ask(question.text, viewpoint=question.viewpoint)
    if question.history:
        return Asked(question, reply)
    model = client.ask(question.text, viewpoint=question.viewpoint, answerer="vlm", timeout=_MODEL_LIMIT)
    return Asked(question, reply, model)


@contextmanager
def running_node(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The node as a process of its own; stopped, whatever happens."""
    command = [sys.executable, "-m", "proxy3d_ros", "run", "--middleware", "dds"]
    command += ["--set", f"output.map_folder={(folder / 'maps').resolve()}"]
    with (folder / "node.log").open("wb") as log:
        node = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield node
        finally:
            for sign, patience in ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
                if node.poll() is not None:
                    break
                node.send_signal(sign)
                try:
                    node.wait(patience)
                except subprocess.TimeoutExpired:
                    continue


def _wait_until_up(client: SpatialClient, node: subprocess.Popen[bytes], folder: Path) -> None:
    limit = time.monotonic() + _START_LIMIT
    while True:
        if node.poll() is not None:
            last = (folder / "node.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise ServiceError(
                f"the node ended with exit code {node.returncode}: {''.join(last)} (see {folder / 'node.log'})"
            )
        try:
            client.objects()
            return
        except ServiceError:
            if time.monotonic() > limit:
                raise


def _play(sequence: Sequence, rate: float) -> None:
    from proxy3d_ros.dds.player import play

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out) as bar:
        task = bar.add_task("playing the recorded room", total=len(sequence))
        play(
            sequence,
            rate,
            semantics=False,
            on_frame=lambda done, _: bar.update(task, completed=done),
            on_message=lambda text: None,
        )


@contextmanager
def _watching(client: SpatialClient) -> Iterator[list[tuple[float, list[FoundObject]]]]:
    """Collects the node's objects while the block runs: seconds since its start, objects."""
    seen: list[tuple[float, list[FoundObject]]] = []
    stop, begin = threading.Event(), time.monotonic()

    def watch() -> None:
        while not stop.wait(_POLL_PERIOD):
            try:
                seen.append((time.monotonic() - begin, client.objects()))
            except ServiceError:
                continue  # a busy machine; the next poll may succeed, and the questions tell if the node is gone

    thread = threading.Thread(target=watch, name="demo-watch", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(_ANSWER_LIMIT)


def _settle(client: SpatialClient) -> None:
    """Wait until the node has worked off the last frames."""
    limit, stamp = time.monotonic() + _SETTLE_LIMIT, -1.0
    while time.monotonic() < limit:
        time.sleep(1.0)
        newest = client.ask("How many objects are there?").scene_stamp
        if newest == stamp:
            return
        stamp = newest


def _print_table(asked: list[Asked]) -> None:
    table = Table(title="Asked through the service /ask_spatial", title_justify="left")
    for name in ("kind", "question", "answer", "truth", "", "answerer: vlm", ""):
        table.add_column(name)
    for entry in asked:
        mark = "[green]right[/]" if entry.right else "[red]WRONG[/]"
        question, reply = entry.question, entry.reply
        asked_from = ""
        if question.viewpoint is not None:
            x, y, yaw = question.viewpoint
            asked_from = f" [dim](from x={x:g}, y={y:g}, yaw={yaw:.2f})[/]"
        said = "" if entry.model is None else entry.model.answer or entry.model.status.name
        told = "" if not said else "[green]right[/]" if entry.model_right else "[yellow]not right[/]"
        text = reply.answer if reply.ok else f"{reply.status.name}: {reply.message}"
        table.add_row(question.kind, question.text + asked_from, escape(text), question.truth, mark, escape(said), told)
    out.print(table)


def _print_model(asked: list[Asked]) -> None:
    """How the model did by itself, or why it could not be asked."""
    replies = [entry.model for entry in asked if entry.model is not None]
    missing = next((reply for reply in replies if reply.status is Status.MODEL_UNAVAILABLE), None)
    if missing is not None:
        _say(f"  no vision-language model: {escape(missing.message)}")
        return
    right = sum(entry.model_right for entry in asked)
    latency = sorted(reply.latency_ms for reply in replies)[len(replies) // 2]
    _say(f"  The vision-language model by itself: {right} of {len(replies)} right, {latency:.0f} ms (median).")


def _write(folder: Path, sequence: Sequence, truth: dict[str, Any], run: Run) -> tuple[Path, Path]:
    """The picture and the recording, from the saved map, what was seen on the way, and the sequence's own images."""
    boxes = [TrueBox(entry["label"], true_box(entry)) for entry in truth["objects"]]
    level = estimate_up(sequence)
    path, stamps = [], []
    with Recording(folder / "room.rrd", name="proxy3d demo") as recording:
        recording.truth(boxes)
        for frame in frames(sequence, level):
            recording.frame(frame)
            path.append(robot_from_camera(frame.pose, level.floor))
            stamps.append(frame.stamp_ns)
        for seconds, objects in run.seen:
            stamp = min(stamps[0] + int(seconds * run.rate * 1e9), stamps[-1])
            recording.objects([_scene_object(o) for o in objects], stamp)
        recording.scene(run.snapshot, stamps[-1])
        for entry in run.asked:
            recording.answer(entry.question.text, entry.reply.answer or entry.reply.message, stamps[-1])
    snapshot = replace(run.snapshot, robot_pose=path[-1])
    picture = draw_snapshot(snapshot, folder / "room.png", path, boxes, title="What the node knows of the demo room")
    return picture, recording.path


def _scene_object(found: FoundObject) -> SceneObject:
    return SceneObject(
        found.id, found.label, found.score, OrientedBox.from_yaw(found.center, found.size, found.yaw), state=found.state
    )


def _viewer() -> str:
    beside = Path(sys.executable).with_name("rerun")
    return str(beside) if beside.exists() else "rerun"


if __name__ == "__main__":
    typer.run(main)

"""The adapter for recorded sequences: scene state and answers as in the live node, offline and deterministic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.answering import Answering, Who
from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, SequenceError
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.transforms import robot_from_camera
from proxy3d_core.perception.depth_models import DepthSource
from proxy3d_core.perception.level import Level, estimate_up
from proxy3d_core.perception.point_maps import MetricScale
from proxy3d_core.reasoning.answer import Answer, Question, Status, Viewpoint
from proxy3d_core.scene.snapshot import SceneObject
from proxy3d_core.scene.state import SceneState
from proxy3d_core.sequences import Sequence, frames
from proxy3d_core.sequences.base import NO_DEPTH
from proxy3d_core.sequences.model_depth import NO_POSE, ModelDepthSequence
from proxy3d_core.sequences.point_maps import PointMapSequence, predicted

if TYPE_CHECKING:
    from proxy3d_core.vlm.attention import ProxyAttention

Array = NDArray[np.float64]

_PATIENCE = 600.0  # s; a large model on a small machine

_CURES = {
    NO_DEPTH: "for colour without depth name a metric depth model: --set perception.depth_model=FOLDER_OR_HUB_ID",
    NO_POSE: "a depth model gives no camera path: record poses beside the images, or let a multi-view predictor give "
    "both (docs/geometry.md)",
}


@dataclass(eq=False)
class Replay:
    """A sequence that was played into a scene.

    Attributes:
        sequence: what was played.
        level: how its world lies in the scene's frame, which has z up.
        scene: the scene after the last frame.
        answering: who answers; close it in the end.
        depth_source: the depth model in use, or None.
        scale: metric scale of point maps, or None.
        frames: how many frames it was made from.
        dropped: how many frames were not used, by reason.
        path: poses of the robot in the scene's frame (4x4, x forward, z up), one per frame.
        asked: questions with their answers.
        looked: answers of the VLM whose attention was wanted, with it.
    """

    sequence: Sequence
    level: Level
    scene: SceneState
    answering: Answering
    depth_source: DepthSource | None = None
    scale: MetricScale | None = None
    frames: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    path: list[Array] = field(default_factory=list)
    asked: list[tuple[str, Answer]] = field(default_factory=list)
    looked: list[tuple[Answer, ProxyAttention]] = field(default_factory=list)

    def ask(
        self,
        text: str,
        viewpoint: Viewpoint | None = None,
        who: Who = "auto",
        explain: bool = False,
    ) -> Answer:
        """Ask about the scene.

        Args:
            viewpoint: in the scene's frame; None = what the words say, else where the camera was last.
            who: answers.
            explain: where the VLM looked is wanted, too: it goes to ``looked``.
        """
        question = Question(text, viewpoint, robot=Viewpoint.from_pose(self.path[-1]))
        attention: Future[ProxyAttention] = Future()
        on_attention = attention.set_result if explain else None
        answer = self.answering.answer(question, self.scene.snapshot(), who, on_attention=on_attention)
        if explain and answer.answerer == "vlm" and answer.status is Status.OK:
            self.looked.append((answer, attention.result(timeout=_PATIENCE)))
        self.asked.append((text, answer))
        return answer


def replay(
    sequence: Sequence,
    config: Config | None = None,
    on_frame: Callable[[Replay, Frame], None] | None = None,
    max_frames: int | None = None,
) -> Replay:
    """Play a sequence into a new scene, frame by frame, as fast as it goes.

    Args:
        on_frame: called after every frame.
        max_frames: stop after this many usable frames.

    Raises:
        SequenceError: not one frame of it can be used; the message says why.
        MissingExtra, ModelError, BadInput: the depth model that the settings name cannot be used.
    """
    config = config or Config()
    depth_source = DepthSource.from_config(config.perception)
    scale = None
    if config.perception.point_maps:
        sequence = predicted(sequence, config.perception.point_maps)
    if isinstance(sequence, PointMapSequence):
        scale = sequence.make_metric(depth_source)
    elif depth_source is not None:
        sequence = ModelDepthSequence(sequence, depth_source)
    level = estimate_up(sequence)
    scene = SceneState(config)
    answering = Answering(config.answer, scene.encoder or config.encoder)
    run = Replay(sequence, level, scene, answering, depth_source, scale)
    floor = level.floor if level.found else None
    stream = frames(sequence, level)
    for frame in stream:
        robot = robot_from_camera(frame.pose, floor)
        try:
            # The scene takes the robot's feet for a hint where the floor is: a robot in mid-air is kept from it.
            run.scene.update(frame, None if floor is None else robot)
        except BadInput as error:
            run.dropped[str(error)] += 1
            continue
        run.frames += 1
        run.path.append(robot)
        if on_frame is not None:
            on_frame(run, frame)
        if run.frames == max_frames:
            break
    run.dropped.update(stream.dropped)
    if run.frames == 0:
        reasons = "; ".join(f"{reason} ({count}x)" for reason, count in run.dropped.most_common(3))
        cures = [cure for reason, cure in _CURES.items() if reason in run.dropped]
        raise SequenceError("; ".join([f"no frame of {sequence.name} can be used: {reasons or 'it is empty'}", *cures]))
    run.scene.refresh()
    return run


def document(run: Replay) -> dict[str, Any]:
    """What ``proxy3d replay --json`` prints; positions are in the sequence's own world frame, metres and seconds.

    ``depth_model`` and ``metric_scale`` are there only if depth came from a model or from point maps.
    """
    snapshot = run.scene.snapshot()
    up = np.asarray(run.level.up, dtype=np.float64)
    height = snapshot.floor.height
    if height is None and run.level.found:
        height = run.level.floor
    return {
        "frames": run.frames,
        "dropped": dict(run.dropped),
        "proxies": len(snapshot.proxies),
        "objects": [object_entry(o, run.level) for o in snapshot.present],
        "up": _numbers(up),
        "floor": None if height is None else round(float(height), 4),
        "answers": [answer_entry(text, answer) for text, answer in run.asked],
        "timing_ms": ({} if run.depth_source is None else run.depth_source.times.summary()) | run.scene.times.summary(),
        **({} if run.depth_source is None else {"depth_model": run.depth_source.report()}),
        **({} if run.scale is None else {"metric_scale": asdict(run.scale)}),
    }


def object_entry(item: SceneObject, level: Level | None = None) -> dict[str, Any]:
    """An object for JSON, in the world that ``level`` leads back to, else in the scene's frame.

    ``size`` is two edges on the floor plane, then the height; ``yaw`` turns the x axis, laid onto the floor plane,
    about the up axis (the y axis if x is vertical) onto the first of the edges.
    """
    world = np.eye(3) if level is None else np.asarray(level.rotation).T
    up = world[:, 2]
    first = np.eye(3)[0] if abs(up[0]) < 0.9 else np.eye(3)[1]
    first = first - (first @ up) * up
    second = np.cross(up, first)
    edge = world @ item.box.rotation[:, 0]
    return {
        "id": item.id,
        "label": item.label,
        "score": round(item.score, 4),
        "center": _numbers(world @ item.box.center),
        "size": _numbers(item.box.size),
        "yaw": round(float(np.arctan2(edge @ second, edge @ first)), 4),
        "state": item.state.value,
        "first_seen": item.first_seen_ns / 1e9,
        "last_seen": item.last_seen_ns / 1e9,
        "observations": item.observations,
    }


def answer_entry(question: str, answer: Answer) -> dict[str, Any]:
    """An answer for JSON."""
    return {
        "question": question,
        "status": answer.status.name,
        "answer": answer.text,
        "value": answer.value,
        "unit": answer.unit,
        "uncertainty": answer.uncertainty,
        "confidence": round(answer.confidence, 4),
        "object_ids": list(answer.object_ids),
        "message": answer.message,
        "program": answer.program,
        "answerer": answer.answerer,
        "latency_ms": round(answer.latency_ms, 3),
    }


def _numbers(values: Array) -> list[float]:
    return [round(float(v), 4) for v in values]

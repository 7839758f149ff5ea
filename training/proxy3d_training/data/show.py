"""A sample as a picture: its frame with boxes and regions, or the room from above, with question and answer."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput, MissingExtra, SequenceError
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.sequences.base import Record
from proxy3d_core.sequences.recognise import open_sequence
from proxy3d_training.data.files import scene_folder
from proxy3d_training.data.questions.rooms import read_room
from proxy3d_training.data.schema import IdAnswer, Sample, Thing

Array = NDArray[np.float64]

_EDGES = [(i, j) for i in range(8) for j in range(i + 1, 8) if bin(i ^ j).count("1") == 1]
_NAMED, _ANSWER = "tab:orange", "tab:green"


def show(sample: Sample, file: Path, out: Path) -> None:
    """Draw a sample.

    Args:
        sample: of ``file``; scene folders are relative to it.
        out: a picture file.

    Raises:
        MissingExtra: matplotlib is not installed.
        BadInput: the picture cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("pictures need matplotlib: pip install 'proxy3d_ros[viz]'") from error
    frame = _frame(sample, file)
    figure = Figure(figsize=(11 if frame is not None else 9, 6), layout="constrained")
    columns = figure.subplots(1, 2, width_ratios=(3, 2)) if frame is not None else [None, figure.subplots()]
    if frame is not None:
        _draw_frame(columns[0], frame, sample)
    _draw_floor(columns[1], sample, _others(sample, file))
    figure.suptitle(_caption(sample), fontsize=9, ha="left", x=0.02, family="monospace")
    try:
        figure.savefig(out, dpi=110, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot write {out}: {error}") from error


def _caption(sample: Sample) -> str:
    lines = [f"{sample.source} / {sample.family} / {sample.kind}   [{sample.split}]   {sample.id}"]
    for title, text in (("Q", sample.prompt()), ("A", sample.answer.text)):
        for part in text.splitlines():
            lines += textwrap.wrap(part, 100, initial_indent=f"{title}: ", subsequent_indent="   ") or [""]
            title = " "
    return "\n".join(lines)


def _answered(sample: Sample) -> set[int]:
    return set(sample.answer.objects) if isinstance(sample.answer, IdAnswer) else set()


def _frame(sample: Sample, file: Path) -> Record | None:
    """The frame that the regions are drawn on, or the one that shows most of the sample's objects; None without."""
    if sample.scene is None or sample.scene.folder is None or sample.view == "symbols":
        return None
    try:
        sequence = open_sequence(scene_folder(file, sample))
    except SequenceError:
        return None
    wanted = next((region.frame for region in sample.regions if region.frame), None)
    boxes = [thing.box.oriented() for thing in sample.objects if thing.box is not None]
    best: tuple[int, Record] | None = None
    for frame in sequence:
        if frame.rgb is None or frame.pose is None or frame.intrinsics is None:
            continue
        name = _name(frame)
        if wanted is not None and name == wanted:
            return frame
        seen = sum(_in_view(frame, box) for box in boxes)
        if best is None or seen > best[0]:
            best = (seen, frame)
    return best[1] if best else None


def _name(frame: Record) -> str:
    # 7-Scenes style sequences count at 30 Hz.
    return f"frame-{round(frame.stamp_ns * 30 / 1e9):06d}"


def _project(frame: Record, points: Array) -> tuple[Array, Array]:
    """Pixels (N, 2) and depths (N,) of points (N, 3)."""
    assert frame.pose is not None and frame.intrinsics is not None
    rotation, position = frame.pose[:3, :3], frame.pose[:3, 3]
    local = (points - position) @ rotation
    k = frame.intrinsics
    depth = np.where(np.abs(local[:, 2]) < 1e-6, 1e-6, local[:, 2])
    return np.stack([k.fx * local[:, 0] / depth + k.cx, k.fy * local[:, 1] / depth + k.cy], axis=1), local[:, 2]


def _in_view(frame: Record, box: OrientedBox) -> bool:
    assert frame.rgb is not None
    pixels, depth = _project(frame, box.center[None])
    return bool(depth[0] > 0.1 and 0 <= pixels[0, 0] < frame.rgb.shape[1] and 0 <= pixels[0, 1] < frame.rgb.shape[0])


def _title(thing: Thing) -> str:
    return f"{thing.label or ''} {'' if thing.marker is None else f'<OBJ{thing.marker:03d}>'}".strip()


def _draw_frame(axes: Any, frame: Record, sample: Sample) -> None:
    axes.imshow(frame.rgb)
    axes.set_axis_off()
    assert frame.rgb is not None
    height, width = frame.rgb.shape[:2]
    for thing in sample.objects:
        if thing.box is None:
            continue
        pixels, depth = _project(frame, thing.box.oriented().corners)
        color = _ANSWER if thing.id in _answered(sample) else _NAMED
        for i, j in _EDGES:
            if min(depth[i], depth[j]) > 0.05:
                axes.plot(*pixels[[i, j]].T, color=color, linewidth=1)
        if depth.min() > 0.05:
            axes.text(
                *pixels.mean(axis=0), _title(thing), color="white", fontsize=7, backgroundcolor=color, clip_on=True
            )
    for region in sample.regions:
        if region.frame != _name(frame):
            continue
        if region.mask is not None:
            shown = region.mask.decode()
            axes.contour(shown, levels=[0.5], colors="red", linewidths=1.2)
            rows, columns = np.nonzero(shown)
            axes.text(columns.mean(), rows.mean(), f"[{region.id}]", color="red", fontsize=9)
        elif region.box2d is not None:
            left, top, right, bottom = region.box2d
            axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="red", linewidth=1.2)
            axes.text(left, top, f"[{region.id}]", color="red", fontsize=9)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _others(sample: Sample, file: Path) -> list[Array]:
    """Outlines of all things of a simulated room."""
    if sample.scene is None or sample.scene.dataset != "simulated" or sample.view == "symbols":
        return []
    try:
        return list(read_room(scene_folder(file, sample)).corners)
    except BadInput:
        return []


def _draw_floor(axes: Any, sample: Sample, others: list[Array]) -> None:
    axes.set_aspect("equal")
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    for outline in others:
        axes.fill(*outline.T, facecolor="none", edgecolor="lightgrey", linewidth=0.8)
    for thing in sample.objects:
        if thing.box is None:
            continue
        outline = thing.box.oriented().footprint()
        color = _ANSWER if thing.id in _answered(sample) else _NAMED
        axes.fill(*outline.T, color=color, alpha=0.35)
        axes.text(*outline.mean(axis=0), _title(thing), fontsize=7, ha="center")
    where = sample.situation
    if where is not None and where.position is not None:
        axes.plot(*where.position[:2], "o", color="tab:blue")
        if where.facing is not None:
            axes.annotate(
                "",
                xytext=where.position[:2],
                xy=(where.position[0] + where.facing[0], where.position[1] + where.facing[1]),
                arrowprops={"arrowstyle": "->", "color": "tab:blue"},
            )

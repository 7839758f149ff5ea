"""A scene from above, as a picture: floor, objects, proxies, the robot and its path."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import MissingExtra
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, FloorPlan, ObjectState, SceneObject, Snapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_UNKNOWN = "#8a8f94"
_FREE, _TAKEN, INK = "#f4efe6", "#dcd7cd", "#2b2f33"


@dataclass(frozen=True, eq=False)
class TrueBox:
    """A box that is known from elsewhere, for comparison."""

    label: str
    box: OrientedBox


def color_of(label: str) -> str:
    """The colour of a label (``#rrggbb``), the same in every picture and recording."""
    if label == UNKNOWN_LABEL:
        return _UNKNOWN
    bits = crc32(label.encode())
    tone = colorsys.hls_to_rgb(bits % 997 / 997, (0.34, 0.40, 0.46)[bits // 997 % 3], (0.38, 0.50)[bits // 2991 % 2])
    return "#" + "".join(f"{round(255 * c):02x}" for c in tone)


def new_figure(width: float, height: float, dpi: int, layout: str | None = None) -> Figure:
    """An empty white picture of ``width`` x ``height`` inches that needs no screen.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(f"pictures need matplotlib ({error}): pip install 'proxy3d_ros[viz]'") from error

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def draw_snapshot(
    snapshot: Snapshot,
    path: str | Path,
    robot_path: Sequence[ArrayLike] = (),
    truth: Sequence[TrueBox] = (),
    title: str = "",
) -> Path:
    """Write a PNG of the scene from above.

    Args:
        snapshot: what to draw; x to the right, y upwards, metres of its fixed frame.
        path: the file; its folder is made.
        robot_path: poses (4x4 ``fixed_from_robot``) that the robot went through, oldest first.
        truth: true boxes, drawn dashed.

    Raises:
        MissingExtra: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    low, high = extent_of(snapshot, robot_path, truth)
    width, height = high - low
    scale = min(11.0 / width, 9.0 / height)
    figure = new_figure(width * scale + 0.9, height * scale + 1.35, dpi=130)
    axes = figure.add_axes((0.055, 0.105, 0.93, 0.84))
    axes.set_aspect("equal")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])

    draw_floor(axes, snapshot.floor)
    _robot(axes, robot_path, snapshot.robot_pose)
    # From the floor up, so that what stands on a table is drawn over it.
    objects = sorted(snapshot.objects, key=lambda o: (o.box.top, -o.box.volume))
    for item in objects:
        _object(axes, item)
    _proxies(axes, snapshot)
    for true in truth:
        axes.add_patch(outline(true.box, fill=False, edgecolor=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=6))
    write_names(figure, axes, objects)
    _frame(figure, axes, snapshot, title, bool(truth), bool(robot_path))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def extent_of(
    snapshot: Snapshot, robot_path: Sequence[ArrayLike] = (), truth: Sequence[TrueBox] = ()
) -> tuple[Array, Array]:
    """Lower and upper corner (2,) of all that there is to draw, metres."""
    points = [b.footprint() for o in snapshot.objects for b in (o.box, *o.previous_boxes)]
    points += [t.box.footprint() for t in truth]
    points += [np.asarray(p, dtype=np.float64)[None, :2, 3] for p in robot_path]
    floor = snapshot.floor
    if floor.known.any():
        cells = np.argwhere(floor.known)
        points.append(floor.origin + np.stack([cells.min(axis=0), cells.max(axis=0) + 1]) * floor.cell)
    if snapshot.robot_pose is not None:
        points.append(snapshot.robot_pose[None, :2, 3])
    every = np.concatenate(points) if points else np.array([[-1.0, -1.0], [1.0, 1.0]])
    return every.min(axis=0) - 0.25, every.max(axis=0) + 0.25


def draw_floor(axes: Axes, floor: FloorPlan) -> None:
    """The floor plan, free and taken cells in two tones."""
    if not floor.known.size:
        return
    from matplotlib.colors import to_rgba

    image = np.zeros((*floor.known.shape, 4))
    image[floor.known] = to_rgba(_TAKEN)
    image[floor.free] = to_rgba(_FREE)
    (x, y), (nx, ny) = floor.origin, floor.known.shape
    extent = (x, x + nx * floor.cell, y, y + ny * floor.cell)
    axes.imshow(image.transpose(1, 0, 2), origin="lower", extent=extent, zorder=0, interpolation="nearest")


def outline(box: OrientedBox, **style: Any) -> Any:
    """A patch with the footprint of a box; ``style`` as for ``matplotlib.patches.Polygon``."""
    from matplotlib.patches import Polygon

    return Polygon(box.footprint(), closed=True, joinstyle="round", **style)


def _object(axes: Axes, item: SceneObject) -> None:
    color = color_of(item.label)
    if item.state is ObjectState.GONE:
        axes.add_patch(
            outline(item.box, fill=False, edgecolor=color, linewidth=1.2, linestyle=":", hatch="///", zorder=2)
        )
        return
    known = item.label != UNKNOWN_LABEL
    axes.add_patch(outline(item.box, facecolor=color, edgecolor="none", alpha=0.30 if known else 0.15, zorder=3))
    axes.add_patch(outline(item.box, fill=False, edgecolor=color, linewidth=1.8 if known else 0.8, zorder=4))
    for old in item.previous_boxes:
        axes.add_patch(outline(old, fill=False, edgecolor=color, linewidth=1.6, linestyle=(0, (2, 1.5)), zorder=4))
    if item.previous_boxes:
        axes.annotate(
            "",
            xy=item.box.center[:2],
            xytext=item.previous_boxes[-1].center[:2],
            arrowprops={
                "arrowstyle": "-|>",
                "color": color,
                "linewidth": 2.0,
                "linestyle": "--",
                "connectionstyle": "arc3,rad=0.12",
                "mutation_scale": 16,
            },
            zorder=7,
        )


def _proxies(axes: Axes, snapshot: Snapshot) -> None:
    proxies = snapshot.proxies
    if not len(proxies):
        return
    labels = {o.id: color_of(o.label) for o in snapshot.objects}
    inside = proxies.groups >= 0
    colors = [labels.get(int(g), _UNKNOWN) for g in proxies.groups[inside]]
    x, y = proxies.positions[inside, :2].T
    axes.scatter(x, y, s=16, c=colors, edgecolors="white", linewidths=0.5, zorder=5)
    x, y = proxies.positions[~inside, :2].T
    axes.scatter(x, y, s=6, c="#aaa397", linewidths=0, zorder=1)


def _robot(axes: Axes, robot_path: Sequence[ArrayLike], pose: Array | None) -> None:
    from matplotlib.patches import Polygon, Wedge

    if len(robot_path) > 1:
        track = np.array([np.asarray(p, dtype=np.float64)[:2, 3] for p in robot_path])
        axes.plot(*track.T, color="white", linewidth=4.5, solid_capstyle="round", zorder=1.5)
        axes.plot(*track.T, color="#3a6ea5", linewidth=1.8, solid_capstyle="round", zorder=1.6)
        axes.plot(*track[0], "o", color="#3a6ea5", markerfacecolor="white", markersize=6, zorder=1.7)
    if pose is None:
        return
    x, y = pose[:2, 3]
    heading = np.arctan2(pose[1, 0], pose[0, 0])
    degrees = np.rad2deg(heading)
    axes.add_patch(Wedge((x, y), 0.9, degrees - 35, degrees + 35, color="#3a6ea5", alpha=0.14, linewidth=0, zorder=1.6))
    shape = np.array([(0.24, 0.0), (-0.15, 0.14), (-0.08, 0.0), (-0.15, -0.14)])
    c, s = np.cos(heading), np.sin(heading)
    corners = shape @ np.array([[c, s], [-s, c]]) + (x, y)
    axes.add_patch(Polygon(corners, facecolor="#1f4e80", edgecolor="white", linewidth=1, zorder=8))


def write_names(figure: Any, axes: Axes, objects: Sequence[SceneObject]) -> None:
    """Names where they cover each other least: large things first, each at the best of a few places."""
    import matplotlib.patheffects as effects

    renderer = figure.canvas.get_renderer()
    taken: list[Array] = []
    named = [o for o in objects if o.label != UNKNOWN_LABEL]
    for item in sorted(named, key=lambda o: -float(np.prod(o.box.size[:2]))):
        corners = axes.transData.transform(item.box.footprint())
        low, high = corners.min(axis=0), corners.max(axis=0)
        middle = (low + high) / 2
        small = (high - low).max() < 60
        text = axes.text(
            0,
            0,
            f"{item.label} {item.id}" + (" (gone)" if not item.present else ""),
            fontsize=7.5 if small else 9,
            fontweight="normal" if small else "bold",
            color=INK,
            ha="center",
            va="center",
            zorder=9,
            path_effects=[effects.withStroke(linewidth=2.6, foreground="white", alpha=0.9)],
        )
        extent = text.get_window_extent(renderer)
        half = np.array([extent.width, extent.height]) / 2 + 3
        rise, side = (high - low)[1] / 2 + half[1], (high - low)[0] / 2 + half[0]
        offsets = [
            (0, 0),
            (0, rise),
            (0, -rise),
            (side, 0),
            (-side, 0),
            (side, rise),
            (-side, rise),
            (side, -rise),
            (-side, -rise),
        ]
        offsets += [(0, f * half[1]) for f in (0.9, -0.9, 1.8, -1.8, 2.7, -2.7)]
        frame = axes.get_window_extent(renderer)

        def cost(offset: tuple[float, float], middle: Array = middle, half: Array = half, frame: Any = frame) -> float:
            center = middle + offset
            overlap = sum(
                float(np.prod(np.clip(np.minimum(center + half, b[1]) - np.maximum(center - half, b[0]), 0, None)))
                for b in taken
            )
            outside = np.clip((frame.x0, frame.y0) - (center - half), 0, None).sum()
            outside += np.clip(center + half - (frame.x1, frame.y1), 0, None).sum()
            return overlap + 100 * float(outside) + 0.6 * float(np.hypot(*offset))

        center = middle + min(offsets, key=cost)
        taken.append(np.stack([center - half, center + half]))
        text.set_position(axes.transData.inverted().transform(center))


def _frame(figure: Any, axes: Axes, snapshot: Snapshot, title: str, with_truth: bool, with_path: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    for spine in axes.spines.values():
        spine.set_color("#c9c4ba")
    axes.grid(color="#000000", alpha=0.06, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors="#6d7278", labelsize=8, length=0)
    axes.set_xlabel("x [m]", fontsize=8, color="#6d7278", labelpad=2)
    axes.set_ylabel("y [m]", fontsize=8, color="#6d7278", labelpad=2)
    facts = [f"{len(snapshot.present)} objects", f"{len(snapshot.proxies)} proxies", f"{snapshot.frames} frames"]
    if snapshot.floor.area is not None:
        facts.append(f"{snapshot.floor.area:.1f} m²")
    figure.text(0.055, 0.968, title or "The scene from above", fontsize=14, fontweight="bold", color=INK, va="center")
    figure.text(0.985, 0.968, "  ·  ".join(facts), fontsize=10, color="#6d7278", va="center", ha="right")

    entries: list[Any] = [
        Patch(facecolor=_FREE, edgecolor="#c9c4ba", label="free floor"),
        Patch(facecolor=_TAKEN, edgecolor="#c9c4ba", label="seen, not free"),
        Patch(facecolor="#4e79a755", edgecolor="#4e79a7", linewidth=1.6, label="object (label, id)"),
        Line2D([], [], linestyle="none", marker="o", markersize=4, color="#4e79a7", label="proxy"),
    ]
    if any(o.previous_boxes for o in snapshot.objects):
        entries.append(Line2D([], [], color=INK, linewidth=1.6, linestyle=(0, (2, 1.5)), label="stood here before"))
    if with_truth:
        entries.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="true box"))
    if with_path:
        entries.append(Line2D([], [], color="#3a6ea5", linewidth=1.8, label="robot's path"))
    figure.legend(
        handles=entries,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.012),
        ncol=len(entries),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=1.8,
        columnspacing=1.6,
    )

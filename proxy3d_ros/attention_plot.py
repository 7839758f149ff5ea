"""Where the vision-language model looked, as a picture (Proxy3D, supplement, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxy3d_core.reasoning.answer import Answer
from proxy3d_core.scene.snapshot import BACKGROUND, CEILING, FLOOR, PENDING, WALL, Snapshot
from proxy3d_ros.plot import INK, color_of, draw_floor, extent_of, new_figure, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from proxy3d_core.vlm.attention import ProxyAttention

MOST_BARS = 12
"""Things beyond these are drawn from above only."""

_STUFF = {BACKGROUND: "not assigned", FLOOR: "floor", WALL: "wall", CEILING: "ceiling", PENDING: "too new"}
_PALE = "#c9c4ba"


def draw_attention(snapshot: Snapshot, looked: Sequence[tuple[Answer, ProxyAttention]], path: str | Path) -> Path:
    """Write a PNG with a row for each answer: its proxies from above, and their shares by object.

    Args:
        snapshot: that was asked.
        looked: at least one answer with its attention; evidence is outlined.
        path: the file; its folder is made.

    Raises:
        MissingExtra: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    figure = new_figure(12, 5.2 * len(looked), dpi=110, layout="constrained")
    for row, (answer, attention) in zip(figure.subfigures(len(looked), 1, squeeze=False)[:, 0], looked, strict=True):
        from_above, bars = row.subplots(1, 2, width_ratios=(1.7, 1))
        asked = " ".join(attention.question.split())
        row.suptitle(f"{asked}\n{answer.text}   ({answer.confidence:.2f})", fontsize=11, color=INK, wrap=True)
        _from_above(from_above, snapshot, answer, attention)
        _bars(bars, snapshot, answer, attention)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _from_above(axes: Axes, snapshot: Snapshot, answer: Answer, attention: ProxyAttention) -> None:
    low, high = extent_of(snapshot)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    draw_floor(axes, snapshot.floor)
    for item in snapshot.present:
        named = item.id in answer.object_ids
        color, width = (INK, 2.4) if named else (color_of(item.label), 1.0)
        axes.add_patch(outline(item.box, fill=False, edgecolor=color, linewidth=width, zorder=3))
    order = np.argsort(attention.share)  # the most attended ones on top
    share = attention.share[order] / attention.share.max()
    x, y = attention.positions[order, :2].T
    axes.scatter(x, y, s=10 + 90 * share, c=share, cmap="inferno_r", vmin=0, vmax=1, linewidths=0, alpha=0.85, zorder=5)
    axes.set_xlabel("x [m]", fontsize=8)
    axes.set_ylabel("y [m]", fontsize=8)
    axes.tick_params(labelsize=8, length=0)


def _bars(axes: Axes, snapshot: Snapshot, answer: Answer, attention: ProxyAttention) -> None:
    shown = list(attention.of_objects().items())[:MOST_BARS]

    def name(group: int) -> str:
        return _STUFF[group] if group in _STUFF else f"{snapshot.by_id[group].label} {group}"

    colors: list[Any] = [_PALE if group in _STUFF else color_of(snapshot.by_id[group].label) for group, _ in shown]
    drawn = axes.barh([name(group) for group, _ in shown], [100 * share for _, share in shown], color=colors)
    for bar, (group, _) in zip(drawn, shown, strict=True):
        if group in answer.object_ids:
            bar.set(edgecolor=INK, linewidth=2.4)
        alike = 100 * float((attention.groups == group).mean())
        axes.plot([alike, alike], [bar.get_y(), bar.get_y() + bar.get_height()], color=INK, linewidth=1.2)
    axes.invert_yaxis()
    axes.tick_params(labelsize=8, length=0)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)
    note = "share of the attention to proxies [%]\nmean over the answer's tokens, all layers and heads;\n"
    note += "line: had it looked at all proxies alike; "
    axes.set_xlabel(f"{note}{100 * attention.seen:.0f} % of all attention went to proxies", fontsize=8)

"""The demo: its truth, its judgement of answers, and the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from proxy3d_core.sequences import open_sequence
from proxy3d_ros.demo import ROOM, load_truth, true_box
from proxy3d_ros.demo.questions import demo_questions


@dataclass(frozen=True)
class Said:
    answer: str
    value: float | None = None
    unit: str = ""


def by_kind() -> dict[str, object]:
    return {q.kind: q for q in demo_questions(load_truth())}


def test_the_room_has_what_the_readme_promises() -> None:
    objects = load_truth()["objects"]
    assert len(objects) >= 12
    assert len({o["label"] for o in objects}) >= 8
    assert sum(p.stat().st_size for p in ROOM.iterdir()) < 12e6
    sequence = open_sequence(ROOM)
    assert 100 <= len(sequence) <= 300
    assert all(record.labels is None and not record.detections for record in sequence), "colour, depth and poses alone"


def test_true_boxes_agree_with_the_recorded_depth() -> None:
    # Nothing was ever seen through the sofa: no measured point lies behind the nearer side of its box and within its
    # outline, but many lie on it.
    (sofa,) = (true_box(o) for o in load_truth()["objects"] if o["label"] == "sofa")
    on = total = 0
    for record in list(open_sequence(ROOM))[::15]:
        rows, columns = np.nonzero(record.depth > 0)
        k = record.intrinsics
        z = record.depth[rows, columns]
        camera = np.column_stack([(columns - k.cx) / k.fx * z, (rows - k.cy) / k.fy * z, z])
        points = camera @ record.pose[:3, :3].T + record.pose[:3, 3]
        inside = sofa.contains(points, margin=0.02)
        deep = sofa.contains(points, margin=-0.1) & (points[:, 2] < 0.3)  # inside of its base
        on += int(inside.sum())
        total += int(deep.sum())
    assert on > 20_000
    assert total < 0.01 * on


def test_truth_follows_from_the_plan_of_the_room() -> None:
    # By hand from the plan, an L of 4.6 x 3.45 and 3.4 x 1.55 m: the sofa stands at the west wall and reaches 0.95 m
    # from it, the tv stands opposite, its front at 4.24 m, between them the coffee table up to 1.99 m; the cabinet is
    # farther north at the west wall.
    kinds = {q.text.partition("?")[0]: q for q in demo_questions(load_truth())}

    def number(text: str) -> float:
        return float(kinds[text].truth.split()[0])

    assert kinds["How many sofas are there"].truth == "1"
    assert number("How big is this room in square metres") == pytest.approx(4.6 * 3.45 + 3.4 * 1.55, abs=0.1)
    assert number("How far is the sofa from the tv") == pytest.approx(4.24 - 0.95, abs=0.05)
    assert number("How far is the coffee table from the tv") == pytest.approx(4.24 - 1.99, abs=0.05)
    assert kinds["Is there a bed in this room"].truth == "no"
    assert kinds["I stand at the tv facing the sofa. Is the cabinet on my left or my right"].truth == "right"
    assert kinds["Is the tv to my left or right"].truth == "right"  # from the middle, facing north
    assert kinds["What is on the tv stand"].truth == "tv"
    assert kinds["Which is longer, the sofa or the cabinet"].truth == "sofa"
    assert kinds["How many potted plants are there"].truth == "2"  # one was brought during the drive


def test_wrong_answers_are_wrong() -> None:
    kinds = by_kind()
    assert kinds["counting"].is_right(Said("2", 2.0, "count"))
    assert not kinds["counting"].is_right(Said("3", 3.0, "count"))
    assert not kinds["counting"].is_right(Said("two"))
    assert kinds["existence"].is_right(Said("No"))
    assert not kinds["existence"].is_right(Said("Yes"))
    assert not kinds["existence"].is_right(Said("unknown"))
    assert not kinds["direction"].is_right(Said("left or right"))
    assert kinds["nearest of four"].is_right(Said("C"))
    assert not kinds["nearest of four"].is_right(Said("A"))
    assert kinds["support"].is_right(Said("a tv"))
    assert kinds["support"].is_right(Said("The tv (4) is on the tv stand (5)"))
    assert not kinds["support"].is_right(Said("a speaker"))
    assert not kinds["support"].is_right(Said("Tv stand"))


@pytest.mark.slow
def test_the_whole_demo_answers_right_and_leaves_nothing_running(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedds", reason="the demo needs DDS: pip install 'proxy3d_ros[dds]'")
    pytest.importorskip("matplotlib", reason="the demo needs pictures: pip install 'proxy3d_ros[viz]'")
    pytest.importorskip("rerun", reason="the demo needs recordings: pip install 'proxy3d_ros[viz]'")
    command = [sys.executable, "-m", "proxy3d_ros.demo", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env={**os.environ, "COLUMNS": "160"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout and done.stdout.count("right") >= 12
    assert (tmp_path / "room.png").stat().st_size > 50_000
    assert (tmp_path / "room.rrd").stat().st_size > 50_000
    node = int(done.stdout.split("process ")[1].split(",")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(node, 0)

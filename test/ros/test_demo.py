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
    assert [o["label"] for o in objects if "moved" in o] == ["suitcase"]
    size = sum(p.stat().st_size for p in ROOM.iterdir())
    assert size < 12e6
    sequence = open_sequence(ROOM)
    assert 200 <= len(sequence) <= 300


def test_true_boxes_agree_with_the_recorded_depth() -> None:
    # Every depth pixel that the labels call sofa, back in the room, lies in the true box of the sofa.
    (sofa,) = (true_box(o) for o in load_truth()["objects"] if o["label"] == "sofa")
    sequence = open_sequence(ROOM)
    number = next(k for k, name in sequence.label_names.items() if name == "sofa")
    inside = total = 0
    for record in list(sequence)[::20]:
        rows, columns = np.nonzero((record.labels == number) & (record.depth > 0))
        k = record.intrinsics
        z = record.depth[rows, columns]
        camera = np.column_stack([(columns - k.cx) / k.fx * z, (rows - k.cy) / k.fy * z, z])
        points = camera @ record.pose[:3, :3].T + record.pose[:3, 3]
        inside += int(sofa.contains(points, margin=0.08).sum())
        total += len(points)
    assert total > 10_000
    assert inside / total > 0.93  # borders of the labels stray, and depth frays at edges


def test_truth_follows_from_the_plan_of_the_room() -> None:
    # By hand from the plan: five chairs; the tv is east of the sofa; the suitcase went from the south wall to the
    # south-east corner, (1.75, 0.26) to (6.70, 0.52).
    kinds = by_kind()
    assert kinds["counting"].truth == "5"
    assert kinds["room size"].truth == f"{7.2 * 5.2:.1f} m^2"
    assert kinds["existence"].truth == "no"
    assert kinds["change"].truth == "suitcase"
    assert float(kinds["change, measured"].truth.split()[0]) == pytest.approx(np.hypot(4.95, 0.26), abs=0.03)
    # At the door (x = 0), facing east: the bookshelf on the south wall is on the right.
    assert kinds["direction"].truth == "right"
    # From (5.0, 3.9) facing south, the tv on the east wall is on the left.
    assert kinds["direction from a given pose"].truth == "left"
    assert kinds["support"].truth == "bowl and mug"


def test_wrong_answers_are_wrong() -> None:
    kinds = by_kind()
    assert kinds["counting"].is_right(Said("5", 5.0, "count"))
    assert not kinds["counting"].is_right(Said("4", 4.0, "count"))
    assert not kinds["counting"].is_right(Said("five"))
    assert kinds["existence"].is_right(Said("No"))
    assert not kinds["existence"].is_right(Said("Yes"))
    assert not kinds["existence"].is_right(Said("unknown"))
    assert not kinds["direction"].is_right(Said("left or right"))
    assert kinds["nearest of four"].is_right(Said("B"))
    assert not kinds["nearest of four"].is_right(Said("A"))
    assert kinds["support"].is_right(Said("a mug and a bowl"))
    assert not kinds["support"].is_right(Said("mug"))


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

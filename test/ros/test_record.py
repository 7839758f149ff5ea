"""The Rerun recording, read back from its file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun", reason="recordings need rerun-sdk: pip install 'proxy3d_ros[viz]'")
pytest.importorskip("rerun.chunk", reason="this rerun-sdk cannot read its own files back")

from proxy3d_core.frame import Frame
from proxy3d_core.geometry import Intrinsics, OrientedBox
from proxy3d_core.scene.snapshot import ObjectState, SceneObject, Snapshot
from proxy3d_ros.plot import TrueBox
from proxy3d_ros.record import Recording

CAMERA = Intrinsics(32, 24, 30.0, 30.0, 15.5, 11.5)


def a_frame(seconds: float) -> Frame:
    pose = np.eye(4)
    pose[0, 3] = seconds
    return Frame(
        int(seconds * 1e9), np.ones((24, 32), np.float32), CAMERA, pose, np.full((24, 32, 3), 90, np.uint8)
    )  # fmt: skip


def test_everything_is_in_the_file_and_images_are_thinned(tmp_path: Path) -> None:
    box = OrientedBox.from_yaw((1, 2, 0.5), (0.4, 0.5, 1.0), 0.3)
    before = OrientedBox.from_yaw((3, 2, 0.5), (0.4, 0.5, 1.0))
    chair = SceneObject(4, "chair", 0.9, box, state=ObjectState.MOVED, previous_boxes=(before,))
    gone = SceneObject(5, "box", 0.9, before, state=ObjectState.GONE)
    file = tmp_path / "new" / "room.rrd"
    with Recording(file, frame_period=0.5) as recording:
        recording.truth([TrueBox("chair", box)])
        for i in range(20):  # 10 Hz, 2 s
            recording.frame(a_frame(i / 10))
        recording.scene(Snapshot(stamp_ns=int(1.9e9), objects=(chair, gone)))
        recording.answer("How many chairs are there?", "1", int(1.9e9))

    from rerun.chunk import RrdReader

    rows: Counter[str] = Counter()
    labels: list[str] = []
    for chunk in RrdReader(file).stream():
        rows[chunk.entity_path] += chunk.num_rows
        if chunk.entity_path == "/map/objects":
            table = chunk.to_record_batch()
            column = next(name for name in table.schema.names if name.endswith("labels"))
            labels += table.column(column).to_pylist()[-1]
    assert rows["/map/camera"] == 4  # at 0, 0.5, 1.0 and 1.5 s
    assert rows["/map/truth"] == rows["/answers"] == rows["/map/moved"] == 1
    assert labels == ["chair 4"]  # not the one that is gone

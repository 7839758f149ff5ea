"""The picture of a scene from above."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'proxy3d_ros[viz]'")

from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import FloorPlan, ObjectState, ProxySet, SceneObject, Snapshot
from proxy3d_ros.plot import TrueBox, color_of, draw_snapshot


def a_scene() -> Snapshot:
    sofa = SceneObject(1, "sofa", 0.9, OrientedBox.from_yaw((1, 2, 0.4), (0.9, 2.0, 0.8), 0.1))
    table = SceneObject(2, "table", 0.9, OrientedBox.from_yaw((3.5, 1, 0.4), (1, 1, 0.8)))
    case = SceneObject(
        3,
        "suitcase",
        0.8,
        OrientedBox.from_yaw((4, 3, 0.3), (0.3, 0.4, 0.6)),
        state=ObjectState.MOVED,
        previous_boxes=(OrientedBox.from_yaw((2, 0.5, 0.3), (0.3, 0.4, 0.6)),),
    )
    gone = SceneObject(4, "chair", 0.8, OrientedBox.from_yaw((2.5, 3, 0.3), (0.4, 0.4, 0.8)), state=ObjectState.GONE)
    proxies = ProxySet(
        np.array([[1, 2, 0.5], [3.5, 1, 0.7], [0, 0, 0]], np.float32),
        np.zeros((3, 2), np.float32),
        np.ones(3, np.float32),
        np.full(3, 0.1, np.float32),
        np.array([1, 2, -1]),
    )
    known = np.ones((50, 40), bool)
    free = known.copy()
    free[5:15, 10:30] = False
    floor = FloorPlan(height=0.0, area=20.0, cell=0.1, origin=np.zeros(2), free=free, known=known)
    return Snapshot(objects=(sofa, table, case, gone), proxies=proxies, floor=floor, robot_pose=np.eye(4), frames=7)


def pixels_of(image: np.ndarray, color: str) -> np.ndarray:
    """(N, 2) column and row of the pixels of a colour, within what smoothing of edges leaves."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    rows, columns = np.nonzero((np.abs(image[..., ::-1].astype(int) - rgb) <= 3).all(axis=2))
    return np.stack([columns, rows], axis=1)


def test_objects_lie_where_they_are_with_y_upwards(tmp_path: Path) -> None:
    file = draw_snapshot(a_scene(), tmp_path / "new" / "room.png", [np.eye(4)] * 3)
    image = cv2.imread(str(file))
    sofa, table = (pixels_of(image, color_of(label)).mean(axis=0) for label in ("sofa", "table"))
    # The table is 2.5 m to the right of the sofa and 1 m below it: the same scale on both axes.
    right, down = table - sofa
    assert right > 0 and down > 0
    assert right / down == pytest.approx(2.5, rel=0.15)


def test_colours_are_those_of_the_label_and_stay() -> None:
    assert color_of("sofa") == color_of("sofa") != color_of("table")
    assert len({color_of(f"kind {i}") for i in range(60)}) > 55


def test_true_boxes_and_empty_scenes_are_drawn(tmp_path: Path) -> None:
    scene = a_scene()
    with_truth = draw_snapshot(
        scene, tmp_path / "a.png", truth=[TrueBox("bed", OrientedBox.from_yaw((9, 9, 1), (1, 1, 1)))]
    )
    without = draw_snapshot(scene, tmp_path / "b.png")
    empty = draw_snapshot(Snapshot(), tmp_path / "c.png")
    sizes = [cv2.imread(str(p)).shape for p in (with_truth, without, empty)]
    assert sizes[0] != sizes[1]  # the far box widens the view
    assert all(s[0] > 200 and s[1] > 200 for s in sizes)

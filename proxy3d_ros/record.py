"""A Rerun recording of a run: camera, path, objects, proxies over time, in one ``.rrd`` file.

Nothing is sent anywhere: the file is opened later with ``rerun FILE.rrd``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import MissingExtra
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import quaternion_from_matrix
from proxy3d_core.scene.snapshot import ObjectState, SceneObject, Snapshot
from proxy3d_ros.plot import TrueBox, color_of

_TIME = "time"
_DRAWN = ObjectState.PRESENT, ObjectState.MOVED


class Recording:
    """Writes an ``.rrd`` file; use it as a context manager.

    Args:
        path: the file; its folder is made, an older file is replaced.
        frame_period: images are kept at most this often [s].
        scene_period: objects and proxies are kept at most this often [s].
        name: shown by the viewer.

    Raises:
        MissingExtra: rerun-sdk is not installed.
    """

    def __init__(
        self, path: str | Path, frame_period: float = 0.3, scene_period: float = 0.5, name: str = "proxy3d"
    ) -> None:
        try:
            import rerun
            import rerun.blueprint as blueprint
        except ImportError as error:
            raise MissingExtra(f"recordings need rerun-sdk ({error}): pip install 'proxy3d_ros[viz]'") from error
        self._rr = rerun
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._frame_period, self._scene_period = int(frame_period * 1e9), int(scene_period * 1e9)
        self._last_frame: int | None = None
        self._last_scene: int | None = None
        self._start: int | None = None
        self._track: list[NDArray[np.float64]] = []
        self._stream = rerun.RecordingStream(name)
        layout = blueprint.Blueprint(
            blueprint.Horizontal(
                blueprint.Spatial3DView(origin="/map", name="scene"),
                blueprint.Spatial2DView(origin="/map/camera/image", name="camera"),
                column_shares=[3, 1],
            ),
            collapse_panels=True,
        )
        self._stream.save(self.path, default_blueprint=layout)
        self._stream.log("map", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the file."""
        self._stream.flush()
        self._stream.disconnect()

    def truth(self, boxes: Iterable[TrueBox]) -> None:
        """True boxes, to compare with; shown at all times."""
        boxes = list(boxes)
        self._stream.log(
            "map/truth", self._boxes([b.box for b in boxes], [(90, 90, 90, 255)] * len(boxes)), static=True
        )

    def frame(self, frame: Frame) -> None:
        """What the camera saw, and where from; every pose counts, images are thinned."""
        self._track.append(frame.camera_center)
        if not self._due(frame.stamp_ns, self._last_frame, self._frame_period):
            return
        self._last_frame = frame.stamp_ns
        rr, k = self._rr, frame.intrinsics
        self._at(frame.stamp_ns)
        self._log_camera(frame.pose)
        pinhole = rr.Pinhole(image_from_camera=k.matrix, width=k.width, height=k.height, image_plane_distance=0.4)
        self._stream.log("map/camera/image", pinhole)
        if frame.rgb is not None:
            _, jpeg = cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
            self._stream.log("map/camera/image", rr.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))
        if len(self._track) > 1:
            line = rr.LineStrips3D([np.array(self._track)], colors=[(58, 110, 165)], radii=[0.012])
            self._stream.log("map/path", line)

    def scene(self, snapshot: Snapshot, stamp_ns: int | None = None) -> None:
        """Objects and proxies; thinned, so it may be called after every frame.

        Args:
            stamp_ns: when; None = at the snapshot's own stamp.
        """
        stamp_ns = snapshot.stamp_ns if stamp_ns is None else stamp_ns
        if not self._due(stamp_ns, self._last_scene, self._scene_period):
            return
        self._last_scene = stamp_ns
        self.objects(snapshot.objects, stamp_ns)
        colors = {o.id: _rgb(color_of(o.label)) for o in snapshot.objects}
        proxies = snapshot.proxies
        points = self._rr.Points3D(
            proxies.positions,
            colors=[colors.get(int(g), (150, 145, 135)) for g in proxies.groups],
            radii=np.clip(proxies.extents * 0.35, 0.012, 0.05),
        )
        self._stream.log("map/proxies", points)

    def objects(self, objects: Iterable[SceneObject], stamp_ns: int) -> None:
        """The boxes of objects at one moment, with label and id, and arrows from where they were moved."""
        shown = [o for o in objects if o.state in _DRAWN]
        names = [f"{o.label} {o.id}" for o in shown]
        colors = [(*_rgb(color_of(o.label)), 255) for o in shown]
        self._at(stamp_ns)
        self._stream.log("map/objects", self._boxes([o.box for o in shown], colors, names))
        moved = [o for o in shown if o.previous_boxes]
        if moved:
            tips = np.array([o.box.center for o in moved])
            tails = np.array([o.previous_boxes[-1].center for o in moved])
            arrows = self._rr.Arrows3D(
                origins=tails, vectors=tips - tails, colors=[_rgb(color_of(o.label)) for o in moved], radii=0.015
            )
            self._stream.log("map/moved", arrows)

    def answer(self, question: str, text: str, stamp_ns: int) -> None:
        """A question with its answer, in the text log."""
        self._at(stamp_ns)
        self._stream.log("answers", self._rr.TextLog(f"{question}  →  {text}"))

    def _log_camera(self, pose: ArrayLike) -> None:
        m = np.asarray(pose, dtype=np.float64)
        self._stream.log("map/camera", self._rr.Transform3D(translation=m[:3, 3], mat3x3=m[:3, :3]))

    def _boxes(self, boxes: list[OrientedBox], colors: list[Any], labels: list[str] | None = None) -> Any:
        return self._rr.Boxes3D(
            centers=np.array([b.center for b in boxes]).reshape(-1, 3),
            half_sizes=np.array([b.size / 2 for b in boxes]).reshape(-1, 3),
            quaternions=[self._rr.Quaternion(xyzw=quaternion_from_matrix(b.rotation)) for b in boxes],
            colors=colors,
            labels=labels,
            show_labels=labels is not None,
        )

    def _due(self, stamp_ns: int, last: int | None, period: int) -> bool:
        return last is None or stamp_ns - last >= period or stamp_ns < last

    def _at(self, stamp_ns: int) -> None:
        if self._start is None:
            self._start = stamp_ns
        self._stream.set_time(_TIME, duration=(stamp_ns - self._start) / 1e9)


def _rgb(code: str) -> tuple[int, int, int]:
    red, green, blue = (int(code[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue

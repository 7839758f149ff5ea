"""Poses in the fixed frame of the map: of the camera, the robot, and whatever a question names."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import FramesConfig
from proxy3d_core.geometry.transforms import is_rigid
from proxy3d_ros.port import Port, TransformNotReady, TransformUnknown

Array = NDArray[np.float64]


class TransformError(Exception):
    """A stated frame cannot be brought into the fixed frame."""


class FixedFrame:
    """The fixed frame (REP-105) and the transforms into it.

    While ``frames.fixed`` is not in TF but ``frames.fallback`` is, the latter takes its place, with a warning: after
    ``patience`` seconds, so that localization has time to start, and only while the map is empty, since a map is never
    moved to another frame.

    Args:
        port: where transforms are looked up.
        frames: settings ``frames.*``.
        patience: how long the fixed frame may be missing [s].
        empty: whether the map is still empty.
    """

    def __init__(self, port: Port, frames: FramesConfig, patience: float, empty: Callable[[], bool]) -> None:
        self._port = port
        self._frames = frames
        self._empty = empty
        self._missing_since: float | None = None
        self.patience = patience
        self.name = frames.fixed

    def restart(self, name: str | None = None) -> None:
        """Begin with ``frames.fixed`` again, or with the frame of a loaded map."""
        self.name = name or self._frames.fixed
        self._missing_since = None

    @property
    def warning(self) -> str:
        """What to know about the frame in use; empty if all is well."""
        if self.name == self._frames.fixed:
            return ""
        return (
            f"Fixed frame {self._frames.fixed!r} is not in use: the map is kept in {self.name!r}, which may drift. "
            f"Start localization, then call ~/reset; or set frames.fixed to {self.name!r}"
        )

    def from_camera(self, camera: str, stamp_ns: int) -> Array:
        """4x4 ``fixed_from_camera`` at a stamp. Never waits.

        Raises:
            TransformNotReady, TransformUnknown
        """
        try:
            pose = self._port.lookup_transform(self.name, camera, stamp_ns)
        except TransformUnknown:
            if self._fall_back(camera):
                return self._port.lookup_transform(self.name, camera, stamp_ns)
            raise
        self._missing_since = None
        return pose

    def from_robot(self, stamp_ns: int | None) -> Array | None:
        """4x4 ``fixed_from_robot`` (x forward) at a stamp (None = newest), or None if TF does not have it."""
        try:
            pose = self._port.lookup_transform(self.name, self._frames.robot, stamp_ns)
        except LookupError:
            return None
        return pose if is_rigid(pose) else None

    def from_frame(self, frame_id: str, stamp_ns: int, deadline: float) -> Array:
        """4x4 ``fixed_from_frame`` at a stamp (0 = newest); empty = the fixed frame.

        Waits until ``deadline`` (``time.monotonic``) for a transform that may still come.

        Raises:
            TransformError: it did not come, or never will.
        """
        frame_id = frame_id.lstrip("/")
        if not frame_id or frame_id == self.name:
            return np.eye(4)
        while True:
            try:
                pose = self._port.lookup_transform(self.name, frame_id, stamp_ns or None)
            except TransformNotReady as error:
                if time.monotonic() > deadline:
                    raise TransformError(f"{error}; ask with a stamp of zero for the newest transform") from None
                time.sleep(0.01)
            except TransformUnknown as error:
                raise TransformError(str(error)) from None
            else:
                if not is_rigid(pose):
                    raise TransformError(f"the transform of {frame_id!r} is NaN or not rigid")
                return pose

    def _fall_back(self, camera: str) -> bool:
        """Whether the fallback has just taken the place of the fixed frame."""
        frames = self._frames
        if self.name != frames.fixed or not frames.fallback or not self._empty():
            return False
        now = time.monotonic()
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since < self.patience or self._connected(frames.fixed, camera):
            return False
        if not self._connected(frames.fallback, camera):
            return False
        self.name = frames.fallback
        self._port.log("warning", self.warning)
        return True

    def _connected(self, target: str, source: str) -> bool:
        try:
            self._port.lookup_transform(target, source, None)
        except TransformNotReady:
            return True
        except TransformUnknown:
            return False
        return True

"""Rooms of boxes whose every pixel follows from the slab formula: ground truth without the code under test."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from proxy3d_core.config import Config
from proxy3d_core.frame import Frame
from proxy3d_core.geometry import Intrinsics, OrientedBox
from proxy3d_core.scene.state import SceneState

K = Intrinsics(160, 120, 146.0, 146.0, 79.5, 59.5)


@dataclass
class Thing:
    """A solid box with a class and a colour."""

    label: str
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float = 0.0
    color: tuple[int, int, int] = (180, 120, 60)

    @property
    def box(self) -> OrientedBox:
        return OrientedBox.from_yaw(self.center, self.size, self.yaw)


@dataclass
class Room:
    """A floor at z = 0, four walls, and things."""

    things: list[Thing]
    size: tuple[float, float, float] = (6.0, 5.0, 2.6)
    noise: float = 0.0  # standard deviation of depth, metres at 1 m, growing with its square
    names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = sorted({t.label for t in self.things if t.label})
        self.names = {0: "background", **{i + 1: name for i, name in enumerate(labels)}}

    def render(self, pose: np.ndarray, stamp: float, k: Intrinsics = K, labelled: bool = True) -> Frame:
        """The frame that a camera at ``pose`` sees."""
        u, v = np.meshgrid((np.arange(k.width) - k.cx) / k.fx, (np.arange(k.height) - k.cy) / k.fy)
        rays = np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3) @ pose[:3, :3].T
        origin = pose[:3, 3]
        # Inside of the room: the exit of its box.
        half = np.array(self.size) / 2
        middle = np.array([0, 0, half[2]])
        with np.errstate(divide="ignore"):
            inverse = 1.0 / rays
        far = np.maximum((middle - half - origin) * inverse, (middle + half - origin) * inverse).min(axis=1)
        depth, which = far, np.full(len(rays), -1)
        for i, thing in enumerate(self.things):
            box = thing.box
            o, d = (origin - box.center) @ box.rotation, rays @ box.rotation
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b = (-box.size / 2 - o) / d, (box.size / 2 - o) / d
            near, away = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
            hit = (near <= away) & (near > 0) & (near < depth)
            depth, which = np.where(hit, near, depth), np.where(hit, i, which)
        index = {name: i for i, name in self.names.items()}
        ids = np.array([index.get(t.label, 0) for t in self.things] + [0])[which]
        colors = np.array([t.color for t in self.things] + [(200, 200, 200)], np.uint8)[which]
        shape = (k.height, k.width)
        if self.noise:
            depth = depth + np.random.default_rng(int(stamp * 1000)).normal(size=len(depth)) * self.noise * depth**2
        return Frame(
            int(stamp * 1e9),
            depth.reshape(shape).astype(np.float32),
            k,
            pose,
            colors.reshape(*shape, 3),
            ids.reshape(shape).astype(np.uint8) if labelled else None,
            self.names,
        )


def look(eye: tuple[float, float, float], target: tuple[float, float, float]) -> np.ndarray:
    """Camera pose (optical frame) at ``eye`` looking at ``target``, upright."""
    forward = np.subtract(target, eye).astype(float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose


def walk(room: Room, seconds: float = 6.0, start: float = 0.0, radius: float = 1.4, **kwargs: bool) -> list[Frame]:
    """Frames at 10 Hz on a circle around the room's middle, looking across it."""
    frames = []
    for i in range(int(seconds * 10)):
        angle = 2 * np.pi * i / (seconds * 10)
        eye = (radius * np.cos(angle), radius * 0.8 * np.sin(angle), 1.4)
        frames.append(room.render(look(eye, (-0.6 * eye[0], -0.6 * eye[1], 0.4)), start + i * 0.1, **kwargs))
    return frames


def plain_scene(**settings: object) -> SceneState:
    """A scene without models: boxes of one colour mean nothing to it, nor are things of a kind as large as at home."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return SceneState(Config.from_flat({"encoder.source": "appearance", "map.complete": False, **named}))


def see(room: Room, scene: SceneState | None = None, **kwargs: float) -> SceneState:
    """A scene, a new one if none is given, after a walk through the room."""
    scene = scene or plain_scene()
    for frame in walk(room, **kwargs):
        scene.update(frame)
    scene.refresh()
    return scene

"""Frames of simulated recordings as the vision network learns from them: working images and what is true of each cell.

All frames of a set fit into main memory in this form (about 0.3 MB each), so every epoch reads them from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.perception.vision_input import WorkingImage, upright, working_image
from proxy3d_training.progress import progress_bar
from proxy3d_training.simulation.kinds import LABELS
from proxy3d_training.simulation.truth import FILE, Truth

NAMES = ("", *LABELS, "floor", "wall", "ceiling")
"""Categories of the network; the first is none."""
COLORS = ("black", "white", "grey", "brown", "beige", "red", "orange", "yellow", "green", "blue", "purple", "pink")
MATERIALS = ("wood", "fabric", "metal", "plastic", "ceramic", "glass", "paper", "leaves", "wax", "cardboard")

UNKNOWN = 255
"""Category, colour or material of a cell of which none is true or known."""

_FLOOR, _WALL, _CEILING = (NAMES.index(name) for name in ("floor", "wall", "ceiling"))
_LEVEL = 0.6  # share of the normal up or down, from which on a surface of the building is no wall
_WORKING = (120, 160)


@dataclass(frozen=True, eq=False)
class Examples:
    """N views, cells being 2 x 2 working pixels.

    Attributes:
        rgb: (N, h, w, 3) uint8 and geometry: (N, h, w, GEOMETRY) float16, see ``WorkingImage``.
        category, color, material: (N, h/2, w/2) uint8, indices into NAMES, COLORS and MATERIALS, or UNKNOWN.
        vote: (N, h/2, w/2, 3) float16 metres right, forward, up to the centre of the thing's box; NaN = none.
        instance: (N, h/2, w/2) uint16, number of the thing, 0 = building.
    """

    rgb: NDArray[np.uint8]
    geometry: NDArray[np.float16]
    category: NDArray[np.uint8]
    color: NDArray[np.uint8]
    material: NDArray[np.uint8]
    vote: NDArray[np.float16]
    instance: NDArray[np.uint16]

    def __len__(self) -> int:
        """N."""
        return len(self.rgb)


def recordings(folders: Sequence[Path]) -> list[Path]:
    """Recordings in these folders, each a recording itself or full of them. Raises BadInput: one holds none."""
    found = []
    for folder in folders:
        inside = [folder] if (folder / FILE).is_file() else sorted(path.parent for path in folder.glob(f"*/{FILE}"))
        if not inside:
            raise BadInput(
                f"no simulated recording in {folder}; make some: proxy3d simulate --rooms 100 --out {folder}"
            )
        found += inside
    return found


def load_examples(folders: Sequence[Path], closer: int, seed: int, threads: int = 2, quiet: bool = True) -> Examples:
    """Every frame of these recordings, whole, and ``closer`` times a random part of it, as a longer lens sees it.

    Raises:
        BadInput: a recording is incomplete.
    """
    rng = np.random.default_rng(seed)
    jobs = [(folder, int(rng.integers(2**63))) for folder in folders]
    with ThreadPoolExecutor(threads) as pool, progress_bar(quiet) as bar:
        task = bar.add_task("reading rooms", total=len(jobs), rate="")
        views: list[Examples] = []
        for part in pool.map(lambda job: _joined(list(_views(job[0], closer, job[1]))), jobs):
            views.append(part)
            bar.advance(task)
    return _joined(views)


def _views(folder: Path, closer: int, seed: int) -> Iterator[Examples]:
    """The views of one recording, one by one."""
    rng = np.random.default_rng(seed)
    truth = Truth.load(folder)
    k = truth.camera
    if k is None or not truth.frames:
        raise BadInput(f"{folder} holds no frames; render them: proxy3d simulate without --truth-only")
    camera = Intrinsics(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
    things = _Things(truth)
    for frame in truth.frames:
        stem = folder / f"frame-{frame.number:06d}"
        color, depth, instance = (
            cv2.imread(f"{stem}.{kind}", flag)
            for kind, flag in (
                ("color.jpg", cv2.IMREAD_COLOR_RGB),
                ("depth.png", cv2.IMREAD_UNCHANGED),
                ("instance.png", cv2.IMREAD_UNCHANGED),
            )
        )
        if color is None or depth is None or instance is None:
            raise BadInput(f"{stem}.* cannot be read; render the recording anew")
        metres = np.asarray(depth, np.float32) / 1000
        pose = np.loadtxt(f"{stem}.pose.txt")
        for i in range(1 + closer):
            rows, columns, part = _part(camera, rng) if i else (slice(None), slice(None), camera)
            yield _example(
                np.ascontiguousarray(color[rows, columns]),
                np.ascontiguousarray(metres[rows, columns]),
                np.asarray(instance[rows, columns], np.int64),
                part,
                pose,
                things,
            )


class _Things:
    """Tables by the number of a thing; 0 is the building."""

    def __init__(self, truth: Truth) -> None:
        count = 1 + max((thing.id for thing in truth.objects), default=0)
        self.category, self.color, self.material = (np.full(count, UNKNOWN, np.uint8) for _ in range(3))
        self.center = np.full((count, 3), np.nan)
        moved = {change.object for change in truth.changes}
        for thing in truth.objects:
            self.category[thing.id] = NAMES.index(thing.label)
            self.color[thing.id] = COLORS.index(thing.color) if thing.color in COLORS else UNKNOWN
            self.material[thing.id] = MATERIALS.index(thing.material) if thing.material in MATERIALS else UNKNOWN
            if thing.id not in moved:
                self.center[thing.id] = thing.box.center


def _part(camera: Intrinsics, rng: np.random.Generator) -> tuple[slice, slice, Intrinsics]:
    """Rows and columns of a random part of the picture, and its intrinsics."""
    scale = rng.uniform(0.5, 0.9)
    height, width = round(camera.height * scale), round(camera.width * scale)
    top, left = rng.integers(camera.height - height + 1), rng.integers(camera.width - width + 1)
    part = Intrinsics(width, height, camera.fx, camera.fy, camera.cx - left, camera.cy - top)
    return slice(top, top + height), slice(left, left + width), part


def _example(
    rgb: NDArray[np.uint8],
    depth: NDArray[np.float32],
    instance: NDArray[np.int64],
    camera: Intrinsics,
    pose: NDArray[np.float64],
    things: _Things,
) -> Examples:
    """One view, with a leading axis of 1."""
    up = pose[2, :3]  # of the z axis of the world, which is up
    image = working_image(rgb, depth, camera, up)
    if image.valid.shape != _WORKING:
        raise BadInput(f"frames must be 4:3, not {camera.width}x{camera.height}")
    h, w = _WORKING[0] // 2, _WORKING[1] // 2
    rows = ((np.arange(h) + 0.5) * instance.shape[0] / h).astype(np.int64)
    columns = ((np.arange(w) + 0.5) * instance.shape[1] / w).astype(np.int64)
    which = instance[rows[:, None], columns]
    category = things.category[which]
    building = which == 0
    category[building] = _building(image, pose[2, 3])[1::2, 1::2][building]
    centers = (things.center - pose[:3, 3]) @ pose[:3, :3] @ upright(up).T
    vote = centers[which] - image.points[1::2, 1::2]
    vote[~image.valid[1::2, 1::2]] = np.nan
    return Examples(
        image.rgb[None],
        image.geometry.astype(np.float16)[None],
        category[None],
        things.color[which][None],
        things.material[which][None],
        vote.astype(np.float16)[None],
        which.astype(np.uint16)[None],
    )


def _building(image: WorkingImage, camera_height: float) -> NDArray[np.uint8]:
    """(h, w) floor, wall or ceiling by height and slope; UNKNOWN where nothing was measured.

    The noise of a far surface tilts its normal at random, so what lies at the floor's own height is floor anyway.
    """
    height = image.points[..., 2] + camera_height
    # The normals of a neighbourhood together; a single one is too noisy beyond a few metres.
    slope = np.abs(cv2.blur(image.geometry[..., 2], (5, 5)))
    noise = 0.01 * np.linalg.norm(image.points, axis=2)
    level = slope > _LEVEL
    floor = (height < 0.02 + noise) | (level & (height < 0.3))
    ceiling = level & (height > 1.9)
    label = np.where(floor, _FLOOR, np.where(ceiling, _CEILING, _WALL))
    return np.where(image.valid, label, UNKNOWN).astype(np.uint8)


def _joined(parts: list[Examples]) -> Examples:
    """Parts one after the other; each is given up as soon as it is copied."""
    return Examples(
        **{field.name: np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Examples)}
    )

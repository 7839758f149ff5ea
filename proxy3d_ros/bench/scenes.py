"""Recorded sequences as triplets, with the objects that proxies are judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from proxy3d_core.encoders import SemanticEncoder, to_numpy
from proxy3d_core.encoders.base import finest_grid
from proxy3d_core.errors import BadInput
from proxy3d_core.perception.level import estimate_up, level_frame
from proxy3d_core.perception.masks import label_masks, patch_masks
from proxy3d_core.perception.patch_points import patch_points
from proxy3d_core.scene.instances import InstanceMap
from proxy3d_core.sequences import Sequence

CELLS = 1344
"""Patches of a frame in the paper's full setting: 32 x 42."""

FRAMES = 32
"""Frames of a scene in the paper."""

_APART = 0.15  # metres between two objects of one class
_LEAST = 10  # patches of an object; fewer are a segmenter's crumbs along borders


@dataclass(frozen=True, eq=False)
class Scene:
    """Patches of some frames of a sequence, those that have a 3D point.

    Attributes:
        points: (L, 3) float32, metres, z up.
        features: (L, C) float32.
        objects: (L,) int64: patches of one label that connect in space are one object, from 0 on; -1 = background.
        groups: (L,) int64 what a live map would group by: masks of single frames, merged over frames (InstanceMap).
        frames: (L,) int64 number of the frame.
        pixels: (height, width) of the frames.
    """

    points: NDArray[np.float32]
    features: NDArray[np.float32]
    objects: NDArray[np.int64]
    groups: NDArray[np.int64]
    frames: NDArray[np.int64]
    pixels: tuple[int, int]


def sample_scene(
    sequence: Sequence, encoder: SemanticEncoder | None = None, frames: int = FRAMES, cells: int = CELLS
) -> Scene:
    """Patches of frames spread evenly over a sequence.

    Args:
        sequence: with labels, if objects are wanted.
        encoder: of the frames' colour images, with its own grid; None = no features (C = 0), a grid of ``cells``.

    Raises:
        BadInput: no frame can be used, or there are no colour images to encode.
    """
    level = estimate_up(sequence)
    points, features, labels, numbers, shape = [], [], [], [], (0, 0)
    instances = InstanceMap()
    for number, record in enumerate(sequence.sample(frames)):
        try:
            frame = level_frame(record, sequence, level)
        except BadInput:
            continue
        shape = frame.depth.shape
        grid = finest_grid(*shape, cells) if encoder is None else encoder.grid(*shape)
        found = patch_points(frame, grid)
        points.append(found.points[found.valid])
        numbers.append(np.full(len(points[-1]), number))
        label = np.zeros(grid, np.int32)
        if frame.labels is not None:
            label = patch_masks(frame.labels, grid)
            masks = patch_masks(label_masks(frame.labels, frame.depth), grid)
            instances.update(masks, found.points, found.valid, np.where(label > 0, label, -1))
        labels.append(label[found.valid])
        if encoder is not None:
            if frame.rgb is None:
                raise BadInput(f"{sequence.name} has no colour images to encode")
            features.append(to_numpy(encoder.encode([frame.rgb]))[0][found.valid])
    if not points:
        raise BadInput(f"{sequence.name} has no usable frame")
    place = np.concatenate(points)
    return Scene(
        points=place,
        features=np.concatenate(features) if features else np.zeros((len(place), 0), np.float32),
        objects=_objects(place, np.concatenate(labels)),
        groups=instances.groups_at(place),
        frames=np.concatenate(numbers).astype(np.int64),
        pixels=(shape[0], shape[1]),
    )


def _objects(points: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """(L,) number of the object of each patch: of one label (0 = background, -1 there) and connected in space."""
    objects = np.full(len(points), -1, np.int64)
    seen = np.flatnonzero(labels > 0)
    if len(seen) == 0:
        return objects
    placed = np.column_stack([points[seen], labels[seen] * 1000.0])  # the label as a coordinate: others are far
    a, b = cKDTree(placed).query_pairs(_APART, output_type="ndarray").T
    graph = coo_matrix((np.ones(len(a), bool), (a, b)), (len(seen), len(seen)))
    part = connected_components(graph, directed=False)[1]
    large = np.bincount(part) >= _LEAST
    objects[seen] = np.where(large, np.cumsum(large) - 1, -1)[part]
    return objects

"""The small vision model that ships with the package: features, categories and single things of an RGB-D frame at once.

``load_vision`` is the one way in. torch is imported only there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from proxy3d_core.encoders import PAPER_CELLS
from proxy3d_core.encoders.base import Images, SemanticEncoder, image_stack
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.models import require_models
from proxy3d_core.perception.continuity import depth_links, neighbours
from proxy3d_core.perception.vision_input import WorkingImage, working_image

if TYPE_CHECKING:
    import torch

    from proxy3d_core.perception.vision_network import VisionNetwork

NANO = Path(__file__).parents[1] / "weights" / "nano-vision"
"""The model of the package."""

_BUILDING = ("floor", "wall", "ceiling")
_SURE = 0.15  # probability below which a pixel is left without a category
_COLOR_STEP = 40  # of red, green and blue together, that counts as much as a step in depth
_APART = 0.1  # m between the centres that neighbouring cells vote for, if they are of two parts
_TOGETHER = 0.2  # m between the mean centres of a part and its thing
_REACH = 0.5  # more of that for each metre from a cell to its centre: a table's is known less well than a mug's
_SAME = 0.95  # Bhattacharyya coefficient of the categories that neighbouring cells of one part see
_SAME_THING = 0.7  # the same of a part and its thing
_LEAST = 4  # cells of a mask
_PICTURES = 32  # most images that go through the network at once


@dataclass(frozen=True, eq=False)
class Sight:
    """What the model sees in one frame.

    ``labels``, ``scores`` and ``masks`` are images (h, w) of the frame on a small grid of the same proportions:
    120 x 160 for 4:3, see ``vision_input.working_size``.

    Attributes:
        features: (rows, columns, C) float32 on the encoder's grid.
        labels: (h, w) int32 indices into the model's names; 0 = none, or not sure.
        scores: (h, w) float32, 0 to 1, probability of the label.
        masks: (h, w) int32 of single things, 0 = none or building; numbers mean nothing in other frames. None without
            depth.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    masks: NDArray[np.int32] | None


class VisionModel(SemanticEncoder):
    """Features, categories and single things from one pass of a small network.

    Attributes:
        names: of the categories, names[0] = "" = none.
    """

    names: tuple[str, ...]

    def __init__(
        self, name: str, network: VisionNetwork, device: torch.device, cells: int | tuple[int, int] = PAPER_CELLS
    ) -> None:
        """Around a network whose batch normalisations are fused; cells as for ``load_encoder``."""
        super().__init__(name, network.settings.channels, cells)
        self.names = network.settings.names
        self._network, self._device = network, device
        self._things = np.array([bool(word) and word not in _BUILDING for word in self.names])

    def encode(self, images: Images) -> torch.Tensor:
        """(N, rows, columns, C) float32 features by colours alone. Raises BadInput as ``SemanticEncoder.encode``."""
        import torch

        stack = image_stack(images)
        grid = self.grid(*stack.shape[1:3])
        pooled = []
        for start in range(0, len(stack), _PICTURES):
            seen = [working_image(image) for image in stack[start : start + _PICTURES]]
            with torch.inference_mode():
                pooled.append(self._pooled(self._network(self._input(seen)).features, grid))
        return torch.cat(pooled)

    def see(
        self,
        rgb: NDArray[np.uint8] | None,
        depth: NDArray[np.float32] | None,
        intrinsics: Intrinsics | None,
        up: ArrayLike | None,
    ) -> Sight:
        """Look at one frame; colours, or depth with the rest, may be missing.

        Args:
            rgb: (H, W, 3).
            depth: (H, W) metres along the optical axis; 0, NaN or infinite = not measured.
            intrinsics: of both images.
            up: (3,) direction of up in the camera's optical frame: ``pose[2, :3]`` where the fixed frame has z up.

        Raises:
            BadInput: neither colours nor depth, depth without intrinsics and up, or images of different sizes.
        """
        import torch
        from torch.nn.functional import pad

        image = working_image(rgb, depth, intrinsics, up)
        height, width = image.source
        with torch.inference_mode():
            seen = self._network(self._input([image]))
            logits = self._network.category(seen.features.permute(0, 2, 3, 1))[0]
            probabilities = pad(logits.softmax(dim=2), (1, 0)).cpu().numpy()
            votes = seen.votes[0].permute(1, 2, 0).cpu().numpy()
            features = self._pooled(seen.features, self.grid(height, width))[0].cpu().numpy()
        masks: NDArray[np.int32] | None = None
        if depth is not None:
            masks, probabilities = thing_masks(probabilities, votes, image, self._things)
        scores = probabilities.max(axis=2)
        labels = np.where(scores < _SURE, 0, probabilities.argmax(axis=2)).astype(np.int32)
        cell = alike_cells(image)
        labels, scores = labels.reshape(-1)[cell], scores.reshape(-1)[cell]
        return Sight(features, labels, scores, None if masks is None else masks.reshape(-1)[cell])

    def categories(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N,) indices into ``names``: the likeliest category of features (N, C), of cells, proxies or codes."""
        import torch

        with torch.inference_mode():
            logits = self._network.category(torch.from_numpy(features).to(self._device))
        return np.asarray(logits.argmax(dim=1).cpu().numpy() + 1, np.int64)

    def _input(self, images: list[WorkingImage]) -> torch.Tensor:
        """(N, C, h, w) on the model's device."""
        import torch

        rgb = torch.from_numpy(np.stack([image.rgb for image in images])).to(self._device)
        geometry = torch.from_numpy(np.stack([image.geometry for image in images])).to(self._device)
        pixels = torch.cat([rgb.float() / 127.5 - 1, geometry], dim=3)
        return pixels.permute(0, 3, 1, 2)  # memory stays with the channels last, which is faster

    @staticmethod
    def _pooled(features: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """(N, rows, columns, C) means over the cells of the encoder's grid."""
        from torch.nn.functional import adaptive_avg_pool2d

        return adaptive_avg_pool2d(features.float(), grid).permute(0, 2, 3, 1).contiguous()


def alike_cells(image: WorkingImage) -> NDArray[np.int64]:
    """(h, w) place of the cell of 2 x 2 pixels that each pixel takes its answer from, counted row by row.

    Of its own cell and the three around its corner of it, the one whose colour and depth are most like its own, so that
    outlines follow the picture's edges.
    """
    h, w = image.valid.shape
    depth = image.geometry[..., 0] * 5
    colors = image.rgb.astype(np.int16)
    cell_colors = cv2.resize(image.rgb, (w // 2, h // 2), interpolation=cv2.INTER_AREA).astype(np.int16)
    cell_depth = depth[1::2, 1::2]
    tolerance = 0.02 + 0.02 * depth
    row, column = np.arange(h)[:, None] // 2, np.arange(w)[None] // 2
    beside_row = np.clip(row + np.where(np.arange(h)[:, None] % 2, 1, -1), 0, h // 2 - 1)
    beside_column = np.clip(column + np.where(np.arange(w)[None] % 2, 1, -1), 0, w // 2 - 1)
    choices = [(r, c) for r in (row, beside_row) for c in (column, beside_column)]
    unlike = []
    for choice in choices:
        off = np.abs(colors - cell_colors[choice]).sum(axis=2, dtype=np.float32)
        there = cell_depth[choice]
        both = (there > 0) & image.valid
        steps = np.where(both, np.minimum(np.abs(there - depth) / tolerance, 3), 0.5)
        unlike.append(off / _COLOR_STEP + steps)
    places = np.stack(np.broadcast_arrays(*(r * (w // 2) + c for r, c in choices)))
    return np.asarray(np.take_along_axis(places, np.argmin(unlike, axis=0)[None], axis=0)[0], np.int64)


def thing_masks(
    probabilities: NDArray[np.float32], votes: NDArray[np.float32], image: WorkingImage, things: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Single things, and the categories once the cells of each have talked about them.

    Neighbouring cells are of one part if the surface goes on, they see the same categories in it and their votes
    agree. Parts are joined, the largest first, where they vote for the same centre and see the same as all that is
    joined already: cells between two things vote for a place between their centres, and would lead from one to the
    other if parts were compared with each other.

    Args:
        probabilities: (h, w, categories), the first one, none, being 0.
        votes: (h, w, 3) metres from the point of a cell to the centre of its thing; see ``Seen.votes``.
        image: the frame, with 2 x 2 pixels for each cell.
        things: by category: whether there are single things of it.

    Returns:
        (h, w) int32 masks, 0 = none; and the probabilities, in each mask the geometric mean of a cell's own and those
        of all its cells together.
    """
    valid = image.valid[1::2, 1::2]
    depth = image.geometry[1::2, 1::2, 0] * 5
    centers = image.points[1::2, 1::2] + votes
    inside = valid & (probabilities[..., things].sum(axis=2) > 0.5)
    masks = np.zeros(inside.shape, np.int32)
    if not inside.any():
        return masks, probabilities
    roots = np.sqrt(probabilities)
    number = np.arange(inside.size).reshape(inside.shape)
    starts, ends = [], []
    for axis in (0, 1):
        (root, next_root), (center, next_center) = neighbours(roots, axis), neighbours(centers, axis)
        joined = depth_links(depth, inside, axis) & (np.einsum("hwc,hwc->hw", root, next_root) > _SAME)
        joined &= np.linalg.norm(center - next_center, axis=2) < _APART
        before, after = neighbours(number, axis)
        starts.append(before[joined])
        ends.append(after[joined])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(start), np.int8), (start, end)), (inside.size, inside.size))
    part = connected_components(graph, directed=False)[1][inside.reshape(-1)]
    part = np.unique(part, return_inverse=True)[1]
    reach = np.linalg.norm(votes[inside], axis=1, keepdims=True)
    center, far, seen = (_means(values, part) for values in (centers[inside], reach, probabilities[inside]))
    thing = _things_of(center, far[:, 0], seen, np.bincount(part))[part]
    agreed = _means(probabilities[inside], thing)
    kept = (np.bincount(thing) >= _LEAST) & things[agreed.argmax(axis=1)]
    masks[inside] = np.where(kept, np.cumsum(kept), 0)[thing]
    pooled = probabilities.copy()
    both = np.sqrt(probabilities[inside] * agreed[thing])
    pooled[inside] = np.where(kept[thing, None], both / both.sum(axis=1, keepdims=True), probabilities[inside])
    return masks, pooled


def _things_of(
    center: NDArray[np.float32], reach: NDArray[np.float32], seen: NDArray[np.float32], size: NDArray[np.integer]
) -> NDArray[np.int64]:
    """(P,) thing of each part: the largest first, each joins the nearest that it agrees with, or begins one.

    A single cell begins none, or a picture that is nothing but noise would have as many things as cells.

    Args:
        center, reach, seen: (P, 3), (P,), (P, categories) means over the cells of each part: the centre and how far
            it is, metres, and the probabilities.
        size: (P,) cells of each part.
    """
    centers, views, cells = np.zeros_like(center), np.zeros_like(seen), np.zeros_like(size)
    roots, part_roots = np.zeros_like(seen), np.sqrt(seen)
    thing, count = np.full(len(size), -1), 0
    for p in np.argsort(-size, kind="stable"):
        off = np.linalg.norm(centers[:count] - center[p], axis=1)
        alike = roots[:count] @ part_roots[p] > _SAME_THING
        off[~alike | (off > _TOGETHER + _REACH * reach[p])] = np.inf
        if np.isfinite(off).any():
            thing[p] = off.argmin()
        elif size[p] > 1:
            thing[p] = count
            count += 1
        else:
            continue
        home = thing[p]
        cells[home] += size[p]
        share = np.float32(size[p] / cells[home])
        centers[home] += share * (center[p] - centers[home])
        views[home] += share * (seen[p] - views[home])
        roots[home] = np.sqrt(views[home])
    alone = thing < 0
    thing[alone] = count + np.arange(np.count_nonzero(alone))
    return thing


def _means(values: NDArray[np.float32], group: NDArray[np.integer]) -> NDArray[np.float32]:
    """(G, C) mean of the values (N, C) of each group 0 to G - 1."""
    member = coo_array((np.ones(len(group), np.float32), (group, np.arange(len(group)))))
    return np.asarray((member @ values) / np.bincount(group)[:, None], np.float32)


def load_vision(
    source: str | Path = "nano", device: str = "auto", cells: int | tuple[int, int] = PAPER_CELLS
) -> VisionModel:
    """A vision model, ready to use.

    Args:
        source: "nano", the model of the package, or a folder with config.json and model.safetensors as
            ``proxy3d train`` writes them.
        device: "auto" (CUDA where there is one, else the CPU), or what ``torch.device`` understands.
        cells: the grid of the features, see ``load_encoder``.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: the model is missing, incomplete or of another kind, or the device cannot be used.
    """
    require_models(f"the vision model {source}")
    from proxy3d_core.models.checkpoint import Checkpoint
    from proxy3d_core.models.loading import choose_device
    from proxy3d_core.perception.vision_network import load_network

    checkpoint = Checkpoint(NANO if str(source) == "nano" else source)
    where = choose_device(device)
    return VisionModel(checkpoint.name, load_network(checkpoint, where), where, cells)

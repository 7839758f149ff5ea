"""Masks of everything in an image by SAM 2 (Ravi et al., ICLR 2025; arXiv 2408.00714), by transformers.

A grid of points prompts the mask decoder; of the masks that it gives, those that it is sure of and that do not hang on
the threshold are kept, each once. That is what transformers' mask-generation pipeline does; it is written out here
because its image processor needs torchvision, and because masks are wanted on a small grid: at the decoder's own
resolution the filters cost a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.models.checkpoint import Checkpoint
from proxy3d_core.models.loading import Normalisation, choose_device, choose_dtype, load_weights

_MODEL_TYPES = ("sam2", "sam2_video")  # the published checkpoints are of the second and hold the first
_BATCH = 256  # points that are decoded at once


@dataclass(frozen=True)
class MaskFilter:
    """Which masks are kept; the defaults are those of SAM 2's own automatic mask generator.

    Attributes:
        points_per_side: of the grid of prompts.
        least_iou: that the decoder predicts of its mask.
        least_stability: IoU of the mask at a threshold ``stability_offset`` above and below its own.
        most_overlap: of two masks with a greater IoU the better one stays.
    """

    points_per_side: int = 32
    least_iou: float = 0.8
    least_stability: float = 0.95
    stability_offset: float = 1.0
    most_overlap: float = 0.7


class SegmentAnything:
    """SAM 2 on its device; see ``proxy3d_core.perception.masks.load_mask_model``."""

    def __init__(self, name: str, network: Any, normalise: Normalisation, size: tuple[int, int]) -> None:
        """
        Args:
            name: folder or hub id.
            network: ``Sam2Model`` in evaluation mode.
            normalise: of the pixels.
            size: (rows, columns) that images are brought to.
        """
        self.name = name
        self._network, self._normalise, self._size = network, normalise, size

    def segment(
        self, rgb: NDArray[np.uint8], grid: tuple[int, int], keep: MaskFilter | None = None
    ) -> NDArray[np.int32]:
        """Masks of an image (H, W, 3) on a grid (h, w): int32, 0 = none, 1 the mask that the model is surest of.

        Raises:
            BadInput: not an (H, W, 3) uint8 image.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
            raise BadInput(f"colour image is {rgb.shape} {rgb.dtype}, expected (H, W, 3) uint8")
        keep = keep or MaskFilter()
        with torch.inference_mode():
            logits, iou = self._decode(rgb, keep)
            return on_grid(best_masks(logits, iou, keep), grid)

    def _decode(self, rgb: NDArray[np.uint8], keep: MaskFilter) -> tuple[Tensor, Tensor]:
        """(N, h, w) mask logits at the decoder's resolution, and (N,) predicted IoU, of those sure enough."""
        device, dtype = self._network.device, self._network.dtype
        pixels = self._normalise(torch.from_numpy(np.ascontiguousarray(rgb))[None].to(device), self._size)
        embeddings = self._network.get_image_embeddings(pixels.to(dtype))
        side = (torch.arange(keep.points_per_side, device=device) + 0.5) / keep.points_per_side
        v, u = torch.meshgrid(side * self._size[0], side * self._size[1], indexing="ij")
        points = torch.stack([u, v], dim=-1).reshape(1, -1, 1, 2)
        logits, iou = [], []
        for some in torch.split(points, _BATCH, dim=1):
            labels = torch.ones(some.shape[:3], dtype=torch.int64, device=device)
            output = self._network(image_embeddings=embeddings, input_points=some, input_labels=labels)
            found, sure = output.pred_masks[0].flatten(0, 1).float(), output.iou_scores[0].flatten().float()
            logits.append(found[sure > keep.least_iou])
            iou.append(sure[sure > keep.least_iou])
        return torch.cat(logits), torch.cat(iou)


def best_masks(logits: Tensor, iou: Tensor, keep: MaskFilter) -> Tensor:
    """(M, h, w) bool: the stable ones among (N, h, w) logits, each thing once, the greatest predicted ``iou`` first.

    Non-maximum suppression is by the IoU of the masks, not of their boxes: two long things that cross stay two.
    """
    inner, outer = ((logits > offset).sum(dim=(1, 2)) for offset in (keep.stability_offset, -keep.stability_offset))
    stable = (inner >= keep.least_stability * outer) & (inner > 0)
    logits, iou = logits[stable], iou[stable]
    masks = logits[torch.argsort(iou, descending=True, stable=True)] > 0
    flat = masks.flatten(1).float()
    shared = flat @ flat.T
    size = flat.sum(dim=1)
    same = (shared > keep.most_overlap * (size[:, None] + size - shared)).cpu().numpy()
    chosen: list[int] = []
    for i in range(len(masks)):
        if not same[i, chosen].any():
            chosen.append(i)
    return masks[chosen]


def on_grid(masks: Tensor, grid: tuple[int, int]) -> NDArray[np.int32]:
    """Overlapping masks (M, H, W) bool on a grid (h, w): 0 = none, else 1 + the number of the mask.

    Each cell takes the mask with the largest area in it (Proxy3D, M_i), of equal ones (a drawer in its cabinet) the
    first. What is in no mask counts as one of them, the last.
    """
    every = torch.cat([masks, ~masks.any(dim=0, keepdim=True)]).float()
    winner = adaptive_avg_pool2d(every[None], grid)[0].argmax(dim=0)
    return np.asarray(torch.where(winner < len(masks), winner + 1, 0).cpu().numpy(), np.int32)


def load_network(source: str | Path, device: str) -> SegmentAnything:
    """See ``proxy3d_core.perception.masks.load_mask_model``."""
    checkpoint = Checkpoint(source)
    kind = checkpoint.config.get("model_type")
    if kind not in _MODEL_TYPES:
        raise ModelError(
            f"{checkpoint.name} is of model_type {kind!r}, which is no mask model known here; "
            "take SAM 2, such as facebook/sam2.1-hiera-small"
        )
    settings = checkpoint.image_processor()
    where = choose_device(device)
    network = load_weights(checkpoint, "Sam2Model", ("",), choose_dtype("auto", where))
    network = network.to(where).requires_grad_(False).eval()
    # Points and masks belong to this size; the processor's settings say the same, and must not say otherwise.
    size = network.config.prompt_encoder_config.image_size
    rows, columns = (size, size) if isinstance(size, int) else size
    return SegmentAnything(checkpoint.name, network, Normalisation.from_processor(settings), (int(rows), int(columns)))

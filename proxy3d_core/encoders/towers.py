"""Vision transformers as semantic encoders: Qwen2.5-VL's tower, SigLIP 2, DINOv2, DINOv3 (transformers models).

Each takes the picture apart and orders its tokens in its own way; here all of them come back as a grid.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from proxy3d_core.encoders.base import Images, SemanticEncoder, image_stack
from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.models.checkpoint import Checkpoint
from proxy3d_core.models.loading import Normalisation, choose_device, choose_dtype, load_weights


class VisionTower(SemanticEncoder):
    """A vision transformer with its weights, on its device.

    Attributes:
        model: the transformers model, in evaluation mode, frozen.
    """

    stages: tuple[str, ...] = ("patches",)

    def __init__(
        self,
        model: Any,
        normalise: Normalisation,
        name: str,
        stage: str,
        cells: int | tuple[int, int],
        batch: int,
    ) -> None:
        """Arguments as for ``load_encoder``, which also says what is raised; ``stage`` is one of ``stages``."""
        self.model: transformers.PreTrainedModel = model
        self._normalise, self.stage, self._batch = normalise, stage, batch
        channels, self._pixels, step = self._layout()
        if not isinstance(self._pixels, int):
            raise ModelError(f"{name} has patches of {self.model.config.patch_size} pixels; only square ones are known")
        super().__init__(f"{name}:{stage}", channels, cells, step)

    def _layout(self) -> tuple[int, int, int]:
        """Channels, pixels along a cell, cells that only come together (along a side)."""
        return self.model.config.hidden_size, self.model.config.patch_size, 1

    def encode(self, images: Images) -> Tensor:
        """(N, h, w, C) on the model's device, in its dtype; without gradient."""
        stack = image_stack(images)
        rows, columns = self.grid(*stack.shape[1:3])
        size = (rows * self._pixels, columns * self._pixels)
        parts = []
        with torch.no_grad():
            for part in torch.split(torch.from_numpy(np.require(stack, requirements="W")), self._batch):
                pixels = self._normalise(part.to(self.model.device), size).to(self.model.dtype)
                parts.append(self._features(pixels, rows, columns))
        return torch.cat(parts)

    @abstractmethod
    def _features(self, pixels: Tensor, rows: int, columns: int) -> Tensor:
        """(N, 3, rows*p, columns*p) to (N, rows, columns, C)."""


class Qwen25Tower(VisionTower):
    """The vision tower of Qwen2.5-VL: 14 px patches; the merger makes one token of the language model of 2x2."""

    stages = ("merged", "patches")

    def _layout(self) -> tuple[int, int, int]:
        config = self.model.config
        if self.stage == "merged":
            return config.out_hidden_size, config.patch_size * config.spatial_merge_size, 1
        return config.hidden_size, config.patch_size, config.spatial_merge_size

    def _features(self, pixels: Tensor, rows: int, columns: int) -> Tensor:
        count, config = len(pixels), self.model.config
        merge, patch, times = config.spatial_merge_size, config.patch_size, config.temporal_patch_size
        height, width = pixels.shape[2] // (merge * patch), pixels.shape[3] // (merge * patch)
        # patches that the merger will join follow each other; a still picture counts as a film of equal pictures
        patches = pixels.reshape(count, 3, height, merge, patch, width, merge, patch).permute(0, 2, 5, 3, 6, 1, 4, 7)
        patches = patches.unsqueeze(6).expand(*patches.shape[:6], times, patch, patch).reshape(-1, 3 * times * patch**2)
        grid = torch.tensor([[1, height * merge, width * merge]] * count, device=pixels.device)
        output = self.model(patches, grid_thw=grid)
        if self.stage == "merged":
            merged: Tensor = output.pooler_output
            return merged.reshape(count, height, width, -1)
        tokens: Tensor = output.last_hidden_state.reshape(count, height * width, merge, merge, -1)
        tokens = tokens[:, _window_order(height, width, config.window_size // (merge * patch)).argsort()]
        tokens = tokens.reshape(count, height, width, merge, merge, -1).permute(0, 1, 3, 2, 4, 5)
        return tokens.reshape(count, rows, columns, -1)


def _window_order(height: int, width: int, side: int) -> Tensor:
    """Cells of a height x width grid as Qwen2.5-VL's tower keeps them: window by window, row by row within a window."""
    row, column = torch.arange(height)[:, None], torch.arange(width)[None]
    window = (row // side) * -(-width // side) + column // side
    return (window * height * width + row * width + column).flatten().argsort()


class DinoTower(VisionTower):
    """DINOv2 (with and without registers) and DINOv3: the patch tokens, which come after class and register tokens."""

    def _features(self, pixels: Tensor, rows: int, columns: int) -> Tensor:
        tokens: Tensor = self.model(pixels).last_hidden_state
        return tokens[:, -rows * columns :].reshape(len(pixels), rows, columns, -1)


class SiglipTower(VisionTower):
    """SigLIP and the SigLIP 2 of fixed resolution; other grids than its own by interpolated position embeddings."""

    def _features(self, pixels: Tensor, rows: int, columns: int) -> Tensor:
        tokens: Tensor = self.model(pixels, interpolate_pos_encoding=True).last_hidden_state
        return tokens.reshape(len(pixels), rows, columns, -1)


class NaflexTower(VisionTower):
    """SigLIP 2 NaFlex: takes any aspect ratio as a list of patches."""

    def _features(self, pixels: Tensor, rows: int, columns: int) -> Tensor:
        count, patch = len(pixels), self._pixels
        patches = pixels.reshape(count, 3, rows, patch, columns, patch).permute(0, 2, 4, 3, 5, 1)
        tokens: Tensor = self.model(
            patches.reshape(count, rows * columns, -1),
            pixel_attention_mask=torch.ones(count, rows * columns, dtype=torch.int32, device=pixels.device),
            spatial_shapes=torch.tensor([[rows, columns]] * count, device=pixels.device),
        ).last_hidden_state
        return tokens.reshape(count, rows, columns, -1)


@dataclass(frozen=True)
class _Family:
    """Tower, class of its transformers model, and the prefixes its weights may stand under (the first that occurs)."""

    tower: type[VisionTower]
    model: str
    prefixes: tuple[str, ...]


FAMILIES = {
    "qwen2_5_vl": _Family(Qwen25Tower, "Qwen2_5_VisionTransformerPretrainedModel", ("visual.", "model.visual.")),
    "qwen2_5_vl_vision": _Family(Qwen25Tower, "Qwen2_5_VisionTransformerPretrainedModel", ("",)),
    "siglip": _Family(SiglipTower, "SiglipVisionModel", ("vision_model.",)),
    "siglip_vision_model": _Family(SiglipTower, "SiglipVisionModel", ("vision_model.", "")),
    "siglip2": _Family(NaflexTower, "Siglip2VisionModel", ("vision_model.",)),
    "siglip2_vision_model": _Family(NaflexTower, "Siglip2VisionModel", ("vision_model.", "")),
    "dinov2": _Family(DinoTower, "Dinov2Model", ("dinov2.", "")),
    "dinov2_with_registers": _Family(DinoTower, "Dinov2WithRegistersModel", ("dinov2_with_registers.", "")),
    "dinov3_vit": _Family(DinoTower, "DINOv3ViTModel", ("",)),
}
"""By ``model_type`` of config.json."""


def load_tower(
    source: str | Path, *, stage: str, device: str, dtype: str, cells: int | tuple[int, int], batch: int
) -> VisionTower:
    """A vision transformer as an encoder; arguments and errors as for ``proxy3d_core.encoders.load_encoder``.

    Of a whole vision-language model only the vision tower's weights are read.
    """
    if batch < 1:
        raise BadInput(f"batch is {batch}; at least one image goes through the model at once")
    checkpoint = Checkpoint(source)
    family = FAMILIES.get(str(checkpoint.config.get("model_type")))
    if family is None:
        raise ModelError(
            f"{checkpoint.name} is of model_type {checkpoint.config.get('model_type')!r}, which is no encoder known "
            f"here: {', '.join(FAMILIES)}"
        )
    if stage == "auto":
        stage = family.tower.stages[0]
    elif stage not in family.tower.stages:
        raise BadInput(f"{checkpoint.name} has no stage {stage!r}; it has {' and '.join(family.tower.stages)}")
    where = choose_device(device)
    normalise = Normalisation.from_processor(checkpoint.image_processor())
    model = load_weights(checkpoint, family.model, family.prefixes, choose_dtype(dtype, where))
    model = model.to(where).requires_grad_(False).eval()
    return family.tower(model, normalise, checkpoint.name, stage, cells, batch)

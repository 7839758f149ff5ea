"""Semantic encoders: images to a grid of feature vectors, by a vision transformer or, without a model, by appearance.

``load_encoder`` is the one way in; what it returns is a ``SemanticEncoder``. torch is imported only for a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from proxy3d_core.encoders.appearance import AppearanceEncoder
from proxy3d_core.encoders.base import Features, Images, SemanticEncoder, to_numpy
from proxy3d_core.models import require_models

Stage = Literal["auto", "patches", "merged"]

PAPER_CELLS = 336
"""16x21 cells for an image of 4:3, the cheap grid of Proxy3D; its full one, 32x42, has 1344."""


def load_encoder(
    source: str | Path = "",
    *,
    stage: Stage = "auto",
    device: str = "auto",
    dtype: str = "auto",
    cells: int | tuple[int, int] = PAPER_CELLS,
    batch: int = 8,
) -> SemanticEncoder:
    """An encoder, ready to use.

    Args:
        source: "nano", the vision model of the package (``perception.vision``), a folder of one that ``proxy3d train``
            made, a folder with a checkpoint (config.json, preprocessor_config.json, safetensors), a hub id such as
            ``facebook/dinov2-base`` (looked up on the network only then), or "appearance" or empty: the built-in
            ``AppearanceEncoder``.
        stage: of towers with a merger (Qwen2.5-VL): "patches" = before it, "merged" = after it; "auto" = merged where
            there is a merger. Other towers have patches only.
        device: "auto" (CUDA where there is one, else the CPU), or what ``torch.device`` understands.
        dtype: "float32", "bfloat16", "float16"; "auto" = half precision on CUDA, float32 elsewhere.
        cells: the grid (rows, columns) itself, or how many cells it may have (see ``SemanticEncoder.grid``).
        batch: most images that go through the model at once, which bounds its memory.

    Raises:
        MissingExtra: a model is named but torch or transformers is not installed.
        ModelError: the checkpoint is missing, incomplete, unsafe or of an unknown kind, or the device cannot run it.
        BadInput: a setting that does not fit the model.
    """
    if str(source) in ("", "appearance"):
        return AppearanceEncoder(cells)
    require_models(f"the encoder {source}")
    from proxy3d_core.models.checkpoint import Checkpoint

    if str(source) == "nano" or Checkpoint(source).config.get("model_type") == "proxy3d_vision":
        from proxy3d_core.perception.vision import load_vision

        return load_vision(source, device, cells)
    from proxy3d_core.encoders.towers import load_tower

    return load_tower(source, stage=stage, device=device, dtype=dtype, cells=cells, batch=batch)


__all__ = ["PAPER_CELLS", "AppearanceEncoder", "Features", "Images", "SemanticEncoder", "load_encoder", "to_numpy"]

"""The networks behind ``load_depth_model``: Depth Anything (V2, metric), DepthPro, ZoeDepth, by transformers.

Each is fed as its own image processor feeds it; written out here because those processors need torchvision.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.models.checkpoint import Checkpoint
from proxy3d_core.models.loading import Normalisation, choose_device, load_weights
from proxy3d_core.perception.depth_models import Prediction


@dataclass(frozen=True, eq=False)
class DepthNetwork(ABC):
    """A depth network on its device.

    Attributes:
        name: folder or hub id.
        network: the transformers model, in evaluation mode, frozen.
        size: (rows, columns) that images are brought to, before aspect ratio and multiples.
        settings: preprocessor_config.json.
        normalise: of the pixels.
    """

    name: str
    network: Any
    size: tuple[int, int]
    settings: Mapping[str, Any]
    normalise: Normalisation

    def predict(self, rgb: NDArray[np.uint8], intrinsics: Intrinsics) -> Prediction:
        """See ``DepthModel``."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise BadInput(f"colour image is {rgb.shape} {rgb.dtype}, expected (H, W, 3) uint8")
        if rgb.shape[:2] != (intrinsics.height, intrinsics.width):
            raise BadInput(
                f"colour is {rgb.shape[1]}x{rgb.shape[0]} but camera info says {intrinsics.width}x{intrinsics.height}"
            )
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(rgb)).to(self.network.device)[None]
            depth, focal = self._depth(pixels, intrinsics)
            depth = torch.where(torch.isfinite(depth) & (depth > 0), depth, 0)
            return Prediction(depth.cpu().numpy(), focal)

    @abstractmethod
    def _depth(self, rgb: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, float | None]:
        """(1, H, W, 3) uint8 to (H, W) float32 metres and the focal length that the model believes in, pixels."""

    def _target(self, height: int, width: int) -> tuple[int, int]:
        """Size to which an image of this size is brought: as DPT's and ZoeDepth's processors choose it."""
        rows, columns = self.size
        down, across = rows / height, columns / width
        if self.settings.get("keep_aspect_ratio", False):
            down = across = across if abs(1 - across) < abs(1 - down) else down
        multiple = self.settings.get("ensure_multiple_of", 1)
        return round(down * height / multiple) * multiple, round(across * width / multiple) * multiple


class DepthAnything(DepthNetwork):
    """Depth Anything V2 with a metric head: DINOv2 and DPT (arXiv 2406.09414)."""

    def _depth(self, rgb: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, float | None]:
        height, width = rgb.shape[1:3]
        pixels = self.normalise(rgb, self._target(height, width)).to(self.network.dtype)
        depth = self.network(pixels).predicted_depth.float()
        # Bilinear as in the authors' code; a bicubic one would overshoot at depth edges.
        return interpolate(depth[:, None], (height, width), mode="bilinear", align_corners=True)[0, 0], None


class DepthPro(DepthNetwork):
    """DepthPro (arXiv 2410.02073): canonical inverse depth C, metric by the focal length: depth = f / (W C) (Eq. 1).

    The focal length is the calibrated one; what the model's field-of-view head says is only reported.
    """

    def _depth(self, rgb: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, float | None]:
        height, width = rgb.shape[1:3]
        # Its processor resizes after normalising, without antialiasing.
        pixels = interpolate(self.normalise(rgb, (height, width)), self.size, mode="bilinear", align_corners=False)
        output = self.network(pixels.to(self.network.dtype))
        inverse = output.predicted_depth.float() * (width / intrinsics.fx)
        inverse = interpolate(inverse[:, None], (height, width), mode="bilinear", align_corners=False)[0, 0]
        angle = 0.0 if output.field_of_view is None else float(output.field_of_view[0])
        focal = 0.5 * width / math.tan(0.5 * math.radians(angle)) if 0 < angle < 180 else None
        return 1 / inverse.clamp(1e-4, 1e4), focal


class ZoeDepth(DepthNetwork):
    """ZoeDepth (arXiv 2302.12288): metric bins; the image is reflected at its borders, which are cut off again."""

    def _depth(self, rgb: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, float | None]:
        height, width = rgb.shape[1:3]
        down, across = (int(math.sqrt(x / 2) * 3) for x in (height, width))
        if not self.settings.get("do_pad", True):
            down = across = 0
        normal = self.normalise(rgb, (height, width))
        padded = pad(normal, (across, across, down, down), mode="reflect")
        target = self._target(*padded.shape[2:])
        pixels = interpolate(padded, target, mode="bilinear", align_corners=True).to(self.network.dtype)
        depth = self.network(pixels).predicted_depth.float()[:, None]
        depth = interpolate(depth, tuple(padded.shape[2:]), mode="bilinear", align_corners=False)[0, 0]
        return depth[down : down + height, across : across + width], None


_FAMILIES: dict[str, tuple[type[DepthNetwork], str, tuple[int, int]]] = {
    "depth_anything": (DepthAnything, "DepthAnythingForDepthEstimation", (518, 518)),
    "depth_pro": (DepthPro, "DepthProForDepthEstimation", (1536, 1536)),
    "zoedepth": (ZoeDepth, "ZoeDepthForDepthEstimation", (384, 512)),
}


def load_network(source: str | Path, device: str) -> DepthNetwork:
    """See ``proxy3d_core.perception.depth_models.load_depth_model``."""
    checkpoint = Checkpoint(source)
    kind = str(checkpoint.config.get("model_type"))
    if kind not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise ModelError(f"{checkpoint.name} is of model_type {kind!r}, which is no depth model known here: {known}")
    if kind == "depth_anything" and checkpoint.config.get("depth_estimation_type", "relative") != "metric":
        raise ModelError(
            f"{checkpoint.name} gives relative depth, which has no metres; take a metric checkpoint "
            "(depth_estimation_type: metric), such as depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
        )
    family, model_name, size = _FAMILIES[kind]
    settings = checkpoint.image_processor()
    given = settings.get("size") or {}
    where = choose_device(device)
    # Half of float16's numbers lie between 0 and 1, with 11 bits each: a depth of 2 m is told to a millimetre.
    dtype = torch.float16 if where.type == "cuda" else torch.float32
    network = load_weights(checkpoint, model_name, ("",), dtype).to(where).requires_grad_(False).eval()
    size = (int(given.get("height", size[0])), int(given.get("width", size[1])))
    return family(checkpoint.name, network, size, settings, Normalisation.from_processor(settings))

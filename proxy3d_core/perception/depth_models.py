"""Depth of colour images by a metric monocular model, and how far its metres can be trusted.

A monocular model's metres are a guess: from camera to camera and room to room they are off by a factor. Where a sensor
saw the same pixels the factor is measured; where none did, everything made from this depth carries ``UNCHECKED``.
torch is imported only when a model is loaded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import PerceptionConfig
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.camera import Intrinsics
from proxy3d_core.models import require_models
from proxy3d_core.timing import StageTimes

UNCHECKED = 0.2
"""Relative standard deviation that is assumed of a metric scale which nothing has checked."""

_LEAST_PIXELS = 100
_SAMPLED_PIXELS = 20_000
_MEMORY = 300  # frames that a running scale is made of
_GAUSS = 1.4826  # standard deviation of a normal distribution by its median absolute deviation


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about one image.

    Attributes:
        depth: (H, W) float32 metres along the optical axis, 0 = none.
        focal: horizontal focal length in pixels that the model believes in (DepthPro), or None.
    """

    depth: NDArray[np.float32]
    focal: float | None = None


class DepthModel(Protocol):
    """A metric depth model; see ``load_depth_model``."""

    @property
    def name(self) -> str:
        """Folder or hub id."""
        ...

    def predict(self, rgb: NDArray[np.uint8], intrinsics: Intrinsics) -> Prediction:
        """Depth of an image (H, W, 3) uint8 on its own grid; ``intrinsics`` are of this image. Raises BadInput."""
        ...


def load_depth_model(source: str | Path, device: str = "auto") -> DepthModel:
    """A metric depth model, ready to use: Depth Anything V2 (metric), DepthPro, ZoeDepth.

    Args:
        source: folder with config.json, preprocessor_config.json and safetensors, or a hub id such as
            ``depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf`` (looked up on the network only then).
        device: "auto" (CUDA where there is one, in half precision, else the CPU), or what ``torch.device`` understands.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: the checkpoint is missing, incomplete, unsafe, of an unknown kind or gives relative depth, or the
            device cannot run it.
    """
    require_models(f"the depth model {source}")
    from proxy3d_core.perception.depth_networks import load_network

    return load_network(source, device)


@dataclass(frozen=True)
class Scale:
    """The factor between two measures of the same depths.

    Attributes:
        factor: what predictions must be multiplied with: the median over frames of each frame's median ratio.
        spread: of the ratios of one frame's pixels, relative, robust (from the median absolute deviation).
        uncertainty: relative standard deviation of ``factor`` for a single frame: how much it changes from frame to
            frame, together with the spread's share in it.
        frames, pixels: how many were compared.
    """

    factor: float
    spread: float
    uncertainty: float
    frames: int
    pixels: int


class ScaleCheck:
    """Compares predicted with measured depth, frame by frame; robust against outliers and holes in either.

    Args:
        min_depth, max_depth: measurements outside are not compared, metres.
    """

    def __init__(self, min_depth: float = 0.25, max_depth: float = 5.0) -> None:
        self._range = (max(min_depth, 1e-3), max_depth)
        self._frames: deque[tuple[float, float]] = deque(maxlen=_MEMORY)  # median log ratio and its spread
        self._count = self._pixels = 0

    def add(self, predicted: NDArray[np.floating], measured: NDArray[np.floating]) -> bool:
        """Compare two depth images (H, W) of one grid; 0 = none. False if too few pixels have both.

        Raises:
            BadInput: they differ in shape.
        """
        if predicted.shape != measured.shape:
            raise BadInput(f"predicted depth is {predicted.shape} but measured depth is {measured.shape}")
        both = np.flatnonzero((predicted > 0) & (measured > self._range[0]) & (measured < self._range[1]))
        if len(both) < _LEAST_PIXELS:
            return False
        both = both[:: -(-len(both) // _SAMPLED_PIXELS)]
        ratio = np.log(measured.ravel()[both].astype(np.float64) / predicted.ravel()[both])
        middle = float(np.median(ratio))
        self._frames.append((middle, _GAUSS * float(np.median(np.abs(ratio - middle)))))
        self._count += 1
        self._pixels += len(both)
        return True

    def result(self) -> Scale | None:
        """What was found over the latest frames, or None if no frame could be compared."""
        if not self._frames:
            return None
        middles, spreads = np.array(self._frames).T
        middle, spread = float(np.median(middles)), float(np.median(spreads))
        between = _GAUSS * float(np.median(np.abs(middles - middle)))
        uncertainty = float(np.hypot(between, spread / np.sqrt(len(middles))))
        return Scale(float(np.exp(middle)), spread, uncertainty, self._count, self._pixels)


class DepthSource:
    """Depth of frames by a model: its scale applied, checked wherever a sensor measured the same image.

    Args:
        model: what predicts.
        scale: predictions are multiplied by it; 0 = by what the sensor says.
        min_depth, max_depth: the sensor's measurements outside are not compared, metres.

    Attributes:
        check: the comparison with the sensor so far.
        times: how long the model takes.
    """

    def __init__(self, model: DepthModel, scale: float = 1.0, min_depth: float = 0.25, max_depth: float = 5.0) -> None:
        self.model = model
        self.check = ScaleCheck(min_depth, max_depth)
        self.times = StageTimes()
        self._given = scale
        self._focal_ratios: deque[float] = deque(maxlen=_MEMORY)

    @classmethod
    def from_config(cls, config: PerceptionConfig) -> DepthSource | None:
        """As the settings ``perception.*`` say; None without a model. Raises as ``load_depth_model``."""
        if not config.depth_model:
            return None
        model = load_depth_model(config.depth_model, config.depth_device)
        return cls(model, config.depth_scale, config.min_depth, config.max_depth)

    def depth(
        self, rgb: NDArray[np.uint8], intrinsics: Intrinsics, measured: NDArray[np.floating] | None = None
    ) -> NDArray[np.float32]:
        """Depth (H, W) in metres of an image (H, W, 3); ``measured`` is the sensor's on the same grid, 0 = none.

        Raises:
            BadInput: the scale is to come from the sensor, which has measured nothing so far; or see ``DepthModel``.
        """
        with self.times.measure("depth model"):
            found = self.model.predict(rgb, intrinsics)
        if found.focal is not None:
            self._focal_ratios.append(found.focal / intrinsics.fx)
        if measured is not None:
            self.check.add(found.depth, measured)
        return found.depth * np.float32(self.scale)

    @property
    def scale(self) -> float:
        """What predictions are multiplied with. Raises BadInput as ``depth`` does."""
        if self._given > 0:
            return self._given
        result = self.check.result()
        if result is None:
            raise BadInput(
                "the depth model's scale is to come from the sensor (perception.depth_scale = 0), but no depth image "
                "of a sensor came yet; connect one, or set perception.depth_scale to 1 or to what you measured"
            )
        return result.factor

    @property
    def needs_sensor(self) -> bool:
        """The scale is to come from the sensor."""
        return self._given == 0

    def keep_scale(self) -> None:
        """From now on the scale stays what the sensor said so far. Raises BadInput as ``depth`` does."""
        self._given = self.scale

    @property
    def uncertainty(self) -> float:
        """Relative standard deviation of the metric scale: ``UNCHECKED`` until a sensor was compared."""
        result = self.check.result()
        if result is None:
            return UNCHECKED
        left = abs(np.log(result.factor / self._given)) if self._given > 0 else 0.0
        return float(np.hypot(left, result.uncertainty))

    def report(self) -> dict[str, Any]:
        """What diagnostics and replay say about it, JSON-able."""
        result = self.check.result()
        applied = self._given if self._given > 0 else (result.factor if result else None)
        return {
            "model": self.model.name,
            "scale": None if applied is None else round(applied, 4),
            "uncertainty": round(self.uncertainty, 4),
            "checked": result is not None,
            "sensor_ratio": None if result is None else round(result.factor, 4),
            "sensor_ratio_spread": None if result is None else round(result.spread, 4),
            "sensor_frames": 0 if result is None else result.frames,
            "sensor_pixels": 0 if result is None else result.pixels,
            "focal_ratio": round(float(np.median(self._focal_ratios)), 4) if self._focal_ratios else None,
        }

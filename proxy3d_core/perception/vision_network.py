"""The vision network: a small residual network with a top-down decoder, from colours and geometry to dense answers.

One vector a cell of 2 x 2 working pixels, scaled to unit mean square, carries everything: categories, colours,
materials and numerals are linear in it, so a language model reads them with one linear layer. Beside it stands a vote
for the centre of the thing that a pixel belongs to (Qi et al. 2019, "Deep Hough Voting for 3D Object Detection").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

from proxy3d_core.errors import ModelError
from proxy3d_core.models.checkpoint import Checkpoint
from proxy3d_core.perception.vision_input import GEOMETRY

NUMERALS = 100
"""Pictures of numbers that the network tells apart; see ``proxies.references``."""


@dataclass(frozen=True)
class VisionSettings:
    """What config.json says of the network.

    Attributes:
        names: of the categories, the first one "" = none.
        colors, materials: words that are read from the features.
        channels: of the features.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the working resolution.
        depths: residual blocks there.
    """

    names: tuple[str, ...]
    colors: tuple[str, ...]
    materials: tuple[str, ...]
    channels: int = 96
    widths: tuple[int, ...] = (24, 48, 96, 128)
    depths: tuple[int, ...] = (1, 2, 3, 2)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> VisionSettings:
        """From config.json of ``where``. Raises ModelError."""
        try:
            names, colors, materials = (tuple(map(str, config[key])) for key in ("names", "colors", "materials"))
            return cls(
                names,
                colors,
                materials,
                channels=int(config["channels"]),
                widths=tuple(int(width) for width in config["widths"]),
                depths=tuple(int(depth) for depth in config["depths"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{where}: config.json does not describe a vision network ({error!r})") from None


@dataclass(frozen=True, eq=False)
class Seen:
    """Answers for N working images, on cells of 2 x 2 pixels.

    Attributes:
        features: (N, C, h, w), unit mean square.
        votes: (N, 3, h, w) metres right, forward, up from the point seen to the centre of its thing.
    """

    features: Tensor
    votes: Tensor


class _Conv(nn.Sequential):
    """Convolution, batch normalisation and, where wanted, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, active: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if active else []))


class _Block(nn.Module):
    """Basic residual block (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _Conv(channels, channels), _Conv(channels, channels, active=False)

    def forward(self, x: Tensor) -> Tensor:
        return relu(x + self.second(self.first(x)))


class VisionNetwork(nn.Module):
    """See the module."""

    def __init__(self, settings: VisionSettings) -> None:
        """With random weights."""
        super().__init__()
        self.settings = settings
        widths, channels = settings.widths, settings.channels
        inputs = (3 + GEOMETRY, *widths)
        self.stages = nn.ModuleList(
            nn.Sequential(_Conv(inputs[i], width, stride=2), *(_Block(width) for _ in range(settings.depths[i])))
            for i, width in enumerate(widths)
        )
        self.context = nn.Linear(widths[-1], widths[-1])
        down = range(len(widths) - 1, 0, -1)
        merged = (*(max(width, 32) * 2 // 3 // 8 * 8 for width in widths[1:]), widths[-1])
        self.laterals = nn.ModuleList(_Conv(widths[i - 1], merged[i - 1], 1, active=False) for i in down)
        self.tops = nn.ModuleList(_Conv(merged[i], merged[i - 1], 1, active=False) for i in down)
        self.smooths = nn.ModuleList(_Conv(merged[i - 1], merged[i - 1]) for i in down)
        self.trunk = _Conv(merged[0], channels, 1)
        self.features = nn.Conv2d(channels, channels, 1)
        self.votes = nn.Conv2d(channels, 3, 1)
        self.category = nn.Linear(channels, len(settings.names) - 1)
        self.color = nn.Linear(channels, len(settings.colors))
        self.material = nn.Linear(channels, len(settings.materials))
        self.numeral = nn.Linear(channels, NUMERALS)
        self.lab = nn.Linear(channels, 3)

    def forward(self, image: Tensor) -> Seen:
        """Answers for working images (N, 3 + GEOMETRY, 2h, 2w): colours from -1 to 1, geometry as it is."""
        return self.read(self.embed(image))

    def embed(self, image: Tensor) -> Tensor:
        """(N, E, h, w) of working images: all that looks at more than one cell."""
        levels: list[Tensor] = []
        for stage in self.stages:
            levels.append(stage(levels[-1] if levels else image))
        x: Tensor = levels[-1] + self.context(levels[-1].mean(dim=(2, 3)))[:, :, None, None]
        for lateral, top, smooth, level in zip(self.laterals, self.tops, self.smooths, levels[-2::-1], strict=True):
            finer = interpolate(top(x), level.shape[2:], mode="nearest")
            x = smooth(relu(lateral(level) + finer))
        return x

    def read(self, embedding: Tensor) -> Seen:
        """Answers from what ``embed`` gives, or from some of its cells as (N, E, cells, 1)."""
        trunk = self.trunk(embedding)
        raw = self.features(trunk)
        features = raw * torch.rsqrt(raw.float().square().mean(dim=1, keepdim=True) + 1e-6).to(raw.dtype)
        return Seen(features, self.votes(trunk))

    def fused(self) -> VisionNetwork:
        """Itself, for use only: each batch normalisation becomes part of the convolution before it."""
        self.eval()
        for module in self.modules():
            if isinstance(module, _Conv) and isinstance(module[1], nn.BatchNorm2d):
                convolution = cast(nn.Conv2d, module[0])
                module[0] = fuse_conv_bn_eval(convolution, module[1])
                module[1] = nn.Identity()
        return self


def load_network(checkpoint: Checkpoint, device: torch.device) -> VisionNetwork:
    """The network of a checkpoint, for use only.

    Raises:
        ModelError: another kind of model, or weights that are missing, damaged or do not belong to config.json.
    """
    network = VisionNetwork(VisionSettings.from_config(checkpoint.config, checkpoint.name))
    try:
        network.load_state_dict(checkpoint.tensors(("",)))
    except RuntimeError as error:
        raise ModelError(
            f"{checkpoint.name}: weights and config.json do not belong together ({str(error).splitlines()[-1].strip()})"
        ) from None
    fused: VisionNetwork = network.float().fused().to(device=device)
    fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fused

"""Position codes: where a token lies in the room, for proxies (Proxy3D, Eq. 4) and for patches (SR-3D).

Both are added to (or turn) features of any kind; with their last layer at zero, as they are made, the learned part says
nothing, so that a model they are put into begins as it was.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from proxy3d_core.errors import BadInput


class HybridPositionCode(nn.Module):
    """Rotary by height, learned Fourier features of the floor plane (Proxy3D, Eq. 4).

        z' = R(c_H) z + F(c_WL)

    R turns the channel pairs (i, i + C/2) by ``c_H / step * base ** (-2 i / C)``, so that inner products of turned
    features depend on the difference of their heights only. F = MLP([sin, cos](2 pi B c_WL / scale)) with learned
    frequencies B.

    Positions are in metres with z up, counted from the scene's origin: height from the floor, horizontal coordinates
    from the scene's centroid (``proxy3d_core.proxies.serialise.scene_origin``).
    """

    def __init__(
        self,
        channels: int,
        *,
        frequencies: int = 64,
        step: float = 0.05,
        base: float = 10_000.0,
        scale: float = 10.0,
    ) -> None:
        """Defaults of docs/proxies.md; the paper gives none.

        Args:
            channels: C, even.
            frequencies: number of learned frequencies of F.
            step: height that counts as one rotary position, metres.
            base: ratio of the slowest to the fastest rotary turn.
            scale: horizontal distance that counts as one, metres.

        Raises:
            BadInput: ``channels`` is odd.
        """
        super().__init__()
        if channels % 2:
            raise BadInput(f"rotary codes turn pairs of channels; {channels} channels is odd")
        self.channels, self.step, self.base, self.scale = channels, step, base, scale
        self.frequencies = nn.Parameter(torch.randn(frequencies, 2))
        self.mlp = ZeroEndedMlp(2 * frequencies, channels)

    def forward(self, features: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
        """(..., K, C) features with their position in them, in their own type.

        Args:
            features: (..., K, C).
            positions: (..., K, 3) x, y, height; float32, also where features are half.
            mask: (..., K) True for real tokens; padded ones come out as zeros, whatever they held.
        """
        _check(features, positions, self.channels)
        if mask is not None:
            features = features.masked_fill(~mask[..., None], 0)
            positions = positions.masked_fill(~mask[..., None], 0)
        code = self._turned(features, positions[..., 2]) + self._floor(positions[..., :2]).to(features.dtype)
        return code if mask is None else code.masked_fill(~mask[..., None], 0)

    def _turned(self, features: Tensor, height: Tensor) -> Tensor:
        """R(c_H) z. Angles are float32, whatever the module was cast to: half precision cannot tell heights apart."""
        pair = torch.arange(0, self.channels, 2, device=height.device, dtype=torch.float32)
        angle = (height.float() / self.step)[..., None] * self.base ** (-pair / self.channels)
        cos, sin = angle.cos(), angle.sin()
        first, second = features.float().chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1).to(features.dtype)

    def _floor(self, horizontal: Tensor) -> Tensor:
        """F(c_WL)."""
        angle = 2 * math.pi * (horizontal.float() / self.scale) @ self.frequencies.float().T
        code: Tensor = self.mlp(torch.cat([angle.sin(), angle.cos()], dim=-1))
        return code


class CanonicalPositionCode(nn.Module):
    """Sinusoids of canonical 3D positions through an MLP, to be added to patch features (SR-3D, section 3.1).

        V' = V + MLP([x, sin(2^0 pi x), cos(2^0 pi x), ..., cos(2^(octaves-1) pi x)]),  x in [-1, 1]^3

    Positions are made canonical with ``canonical``. A patch without a position gets a learned vector instead, which
    begins at zero.
    """

    def __init__(self, channels: int, *, octaves: int = 10) -> None:
        """``channels`` C of the features; ``octaves`` sinusoids per axis, each twice as fast as the one before."""
        super().__init__()
        self.channels, self.octaves = channels, octaves
        self.mlp = ZeroEndedMlp(3 + 6 * octaves, channels)
        self.nowhere = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, positions: Tensor, valid: Tensor | None = None) -> Tensor:
        """(..., C) features with their position added, in their own type.

        Args:
            features: (..., C), such as (H, W, C) of a patch grid or (frames, H, W, C).
            positions: (..., 3) canonical, float32.
            valid: (...) False where a patch has no position; None = all have one.
        """
        _check(features, positions, self.channels)
        if valid is not None:
            positions = positions.masked_fill(~valid[..., None], 0)
        x = positions.float()
        octave = torch.arange(self.octaves, device=x.device, dtype=torch.float32)
        angle = (x[..., None] * (math.pi * 2.0**octave)).flatten(-2)
        code: Tensor = self.mlp(torch.cat([x, angle.sin(), angle.cos()], dim=-1))
        if valid is not None:
            code = torch.where(valid[..., None], code, self.nowhere.to(code.dtype))
        return features + code.to(features.dtype)


def canonical(positions: Tensor, valid: Tensor | None = None, *, scale: float | None = None) -> Tensor:
    """Positions in SR-3D's canonical space: the middle of the scene's box at the origin.

    Args:
        positions: (..., 3) metres, one scene, axes as they are to stay (z up).
        valid: (...) False where there is none; these come out as zeros.
        scale: metres that count as one; None = half the box's longest edge, so that all lies in [-1, 1], as in
            SR-3D, at the price of metric scale.

    Returns:
        (..., 3) float32.
    """
    x = positions.float()
    real = x[valid] if valid is not None else x.reshape(-1, 3)
    if real.numel() == 0:
        return torch.zeros_like(x)
    low, high = real.amin(dim=0), real.amax(dim=0)
    size = (high - low).max().clamp_min(1e-6) / 2 if scale is None else scale
    placed = (x - (low + high) / 2) / size
    return placed if valid is None else placed.masked_fill(~valid[..., None], 0)


class ZeroLinear(nn.Linear):
    """A linear layer that begins at zero."""

    def reset_parameters(self) -> None:
        """Weight and bias to zero."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ZeroEndedMlp(nn.Module):
    """Two layers with a GELU between, the last one at zero at first; takes inputs of any type."""

    def __init__(self, inputs: int, channels: int, hidden: int | None = None) -> None:
        """(..., inputs) to (..., channels) by way of ``hidden`` channels; None = ``channels``."""
        super().__init__()
        self.first = nn.Linear(inputs, hidden or channels)
        self.last = ZeroLinear(hidden or channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., channels), in the number type of the weights."""
        out: Tensor = self.last(nn.functional.gelu(self.first(x.to(self.first.weight.dtype))))
        return out


def _check(features: Tensor, positions: Tensor, channels: int) -> None:
    if features.shape[-1] != channels or positions.shape != (*features.shape[:-1], 3):
        raise BadInput(
            f"features {tuple(features.shape)} and positions {tuple(positions.shape)} do not match: "
            f"(..., {channels}) and (..., 3) with the same leading shape are needed"
        )

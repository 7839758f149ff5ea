"""From a scene's proxies to vectors that the language model reads (Proxy3D, Eq. 4; Spa3R, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.positions import HybridPositionCode, ZeroEndedMlp
from proxy3d_core.vlm.config import ProxyVLMConfig


class SceneEmbedder(nn.Module):
    """Features with reference codes in them to hidden states: a projector, the position code, scene latents.

    The projector is absent where the features already have the model's channels, and position code and latents add
    nothing at first, so that proxies without positions are read exactly as image tokens of the same values.
    """

    def __init__(self, config: ProxyVLMConfig) -> None:
        """Raises BadInput: position codes for an odd hidden size."""
        super().__init__()
        hidden: int = config.get_text_config().hidden_size
        self.channels = config.feature_channels or hidden
        self.projector = nn.Identity() if self.channels == hidden else nn.Linear(self.channels, hidden)
        self.position_code = (
            HybridPositionCode(
                hidden,
                frequencies=config.position_frequencies,
                step=config.position_step,
                base=config.position_base,
                scale=config.position_scale,
            )
            if config.position_code
            else None
        )
        heads = config.get_text_config().num_attention_heads
        self.adapter = LatentAdapter(hidden, config.latent_channels, heads) if config.latent_channels else None

    def forward(
        self,
        features: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        latents: Tensor | None = None,
        latent_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, K, hidden) what the language model reads.

        Args:
            features: (B, K, C) with the codes of referenced objects added (``ReferenceCodes.add``).
            positions: (B, K, 3) metres from the scene's origin, z up (``scene_origin``), float32; None = not told.
            mask: (B, K) True for real proxies.
            latents: (B, M, D) of the scene, for a model with ``latent_channels``.
            latent_mask: (B, M) True for real latents.

        Raises:
            BadInput: shapes do not fit the model or each other.
        """
        if features.ndim != 3 or features.shape[-1] != self.channels:
            raise BadInput(f"features {tuple(features.shape)} do not fit: this model takes (B, K, {self.channels})")
        states: Tensor = self.projector(features)
        if positions is not None and self.position_code is not None:
            states = self.position_code(states, positions, mask)
        if latents is not None:
            if self.adapter is None:
                raise BadInput("this model takes no latents; its configuration has no latent_channels")
            states = states + self.adapter(states, latents, latent_mask)
        return states


class LatentAdapter(nn.Module):
    """What visual tokens learn from a scene's latents by cross-attention (Spa3R, arXiv 2602.21186, section 3.3).

        F' = F + MLP(LN(Attention(F, z, z))) * sigmoid(gate)

    with layer norms on queries and keys and a bottleneck of a quarter of the channels, as in the authors' code. The
    MLP's last layer is zero at first. It gives what is to be added.
    """

    def __init__(self, channels: int, latent_channels: int, heads: int) -> None:
        """``channels`` H of the visual tokens, ``latent_channels`` D, ``heads`` a divisor of H."""
        super().__init__()
        self.heads, self.latent_channels = heads, latent_channels
        self.latents = nn.Sequential(nn.Linear(latent_channels, channels), nn.GELU(), nn.Linear(channels, channels))
        self.query, self.key, self.value, self.out, self.gate = (nn.Linear(channels, channels) for _ in range(5))
        self.query_norm, self.key_norm = (nn.LayerNorm(channels // heads) for _ in range(2))
        self.norm = nn.LayerNorm(channels)
        self.mlp = ZeroEndedMlp(channels, channels, channels // 4)

    def forward(self, tokens: Tensor, latents: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, K, H) to be added to the tokens (B, K, H), from latents (B, M, D); ``mask`` (B, M) True for real ones.

        Raises:
            BadInput: the latents do not fit.
        """
        if latents.shape[::2] != (len(tokens), self.latent_channels):
            raise BadInput(f"latents {tuple(latents.shape)} do not fit: ({len(tokens)}, M, {self.latent_channels})")
        states = self.latents(latents.to(tokens.dtype))
        attended = scaled_dot_product_attention(
            self.query_norm(self._split(self.query(tokens))),
            self.key_norm(self._split(self.key(states))),
            self._split(self.value(states)),
            attn_mask=None if mask is None else mask[:, None, None, :],
        )
        gathered = self.norm(self.out(attended.transpose(1, 2).flatten(2)))
        added: Tensor = self.mlp(gathered) * torch.sigmoid(self.gate(gathered))
        return added

    def _split(self, states: Tensor) -> Tensor:
        """(B, N, H) to (B, heads, N, H / heads)."""
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)

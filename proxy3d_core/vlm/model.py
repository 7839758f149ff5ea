"""The proxy VLM: Qwen2.5-VL's language model, reading proxies where it reads image tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Cache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.positions import HybridPositionCode, ZeroEndedMlp, ZeroLinear
from proxy3d_core.vlm import packed_attention
from proxy3d_core.vlm.config import ProxyVLMConfig
from proxy3d_core.vlm.packing import IGNORED, packed_mask, packed_positions
from proxy3d_core.vlm.scene import SceneEmbedder

_SCENE = ("features", "positions", "proxy_mask", "latents", "latent_mask", "regions", "region_mask")


class ProxyVLM(PreTrainedModel, GenerationMixin):
    """A causal language model whose prompt holds the proxies of a scene (Proxy3D).

    ``from_pretrained`` takes its own folders and, unchanged, those of a published Qwen2.5-VL: weights of the language
    model are used, those of the vision tower are left alone (the tower is the node's semantic encoder), and what
    proxies need is made new. Proxies have sequential one-dimensional positions: all three parts of Qwen's rotary code
    turn alike, as for text.

    Attributes:
        model: the language model.
        scene: proxies to hidden states.
        region: region features to what is added to the region token (SR-3D); zero at first. None without regions.
        lm_head: hidden states to logits.
    """

    config: ProxyVLMConfig
    config_class = ProxyVLMConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = True
    _no_split_modules = ["Qwen2_5_VLDecoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement = ["cache"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012
    _keys_to_ignore_on_load_unexpected = [r"^(model\.)?visual\."]  # noqa: RUF012

    def __init__(self, config: ProxyVLMConfig) -> None:
        super().__init__(config)
        text = config.get_text_config()
        self.model = Qwen2_5_VLTextModel._from_config(text)
        self.scene = SceneEmbedder(config)
        self.region = ZeroEndedMlp(config.region_channels, text.hidden_size) if config.region_channels else None
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        features: Tensor | None = None,
        positions: Tensor | None = None,
        proxy_mask: Tensor | None = None,
        latents: Tensor | None = None,
        latent_mask: Tensor | None = None,
        regions: Tensor | None = None,
        region_mask: Tensor | None = None,
        segments: Tensor | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits, or the loss of Eq. 6.

        Args:
            input_ids: (B, L) tokens; a row holds ``proxy_token_id`` once for each of its proxies and
                ``region_token_id`` once for each of its regions, in their order.
            attention_mask: (B, past + L) 1 for real tokens; pad on the left to generate.
            position_ids: (B, L); None = counted along the real tokens.
            cache: what was read before.
            inputs_embeds: (B, L, hidden) instead of ``input_ids``; proxies and regions are then in it already.
            labels: (B, L) tokens to be learned, ``IGNORED`` elsewhere.
            use_cache: return ``cache``.
            features: (B, K, C) of the proxies, reference codes included.
            positions: (B, K, 3) metres from the scene's origin, z up, float32; None = not told (stage I).
            proxy_mask: (B, K) True for real proxies; None = all.
            latents: (B, M, D) of the scene (Spa3R); ``latent_mask`` (B, M) True for real ones.
            regions: (B, R, C) features of regions (SR-3D); ``region_mask`` (B, R) True for real ones.
            segments: (B, L) of packed sequences (``vlm.packing``); then no attention mask, positions or cache.
            logits_to_keep: how many of the last positions get logits; 0 = all.
            num_items_in_batch: what the summed loss is divided by, if not this batch's own learned tokens
                (accumulation of gradients).

        Returns:
            ``logits`` (B, L, vocabulary); with labels ``loss`` and, since no others are needed, only the logits of the
            N learned tokens, (N, vocabulary) in the order of reading.

        Raises:
            BadInput: proxies or regions and their tokens do not match, or packing with what does not go with it.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise BadInput("give either input_ids or inputs_embeds")
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = self.model.embed_tokens(input_ids)
            inputs_embeds = self._with_scene(
                inputs_embeds, input_ids, features, positions, proxy_mask, latents, latent_mask
            )
            inputs_embeds = self._with_regions(inputs_embeds, input_ids, regions, region_mask)
        mask: Any = attention_mask
        real: Tensor | None = None  # tokens of packed rows, which are read without padding
        if segments is not None:
            if attention_mask is not None or position_ids is not None or cache is not None:
                raise BadInput("packed sequences make their own mask and positions and begin without a cache")
            position_ids = packed_positions(segments)
            apart = self.config._attn_implementation == packed_attention.NAME
            if apart and segments.shape[1] > packed_attention.SHORT:
                kwargs["packed"] = packed_attention.packed_rows(segments)
                mask = {"full_attention": None}  # keeps transformers from making one
                real = segments >= 0
                inputs_embeds, position_ids = inputs_embeds[real][None], position_ids[real][None]
            else:
                mask = self._packed_mask(segments, inputs_embeds.dtype)
        elif position_ids is None and attention_mask is not None:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp_min(0)[:, -inputs_embeds.shape[1] :]
        outputs = self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=use_cache if labels is None else False,
            **kwargs,
        )
        states: Tensor = outputs.last_hidden_state
        if real is not None:
            states = states.new_zeros(*real.shape, states.shape[-1]).masked_scatter(real[..., None], states)
        loss = None
        if labels is None:
            logits = self.lm_head(states[:, -logits_to_keep:])
        else:
            learned = labels[:, 1:] != IGNORED
            logits = self.lm_head(states[:, :-1][learned])  # a vocabulary of 152,064 is dear: none that is not learned
            count = learned.sum().clamp_min(1) if num_items_in_batch is None else num_items_in_batch
            loss = cross_entropy(logits.float(), labels[:, 1:][learned], reduction="sum") / count
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            cache=outputs.cache,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def prepare_inputs_for_generation(self, input_ids: Any, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; the scene is given only while its tokens are read."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, *args, **kwargs)
        if not kwargs.get("is_first_iteration") and kwargs.get("use_cache", True):
            inputs = {name: value for name, value in inputs.items() if name not in _SCENE}
        return inputs

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As in transformers, from safetensors only, and from both layouts that Qwen2.5-VL is saved in."""
        kwargs.setdefault("key_mapping", {r"^model\.language_model\.": "model."})
        return super().from_pretrained(*args, **(kwargs | {"use_safetensors": True}))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # by layer: transformers leaves modules out that have no parameters of their own
        if isinstance(module, ZeroLinear):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
        else:
            super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, HybridPositionCode):
            init.normal_(module.frequencies)

    def _with_scene(
        self,
        embeds: Tensor,
        ids: Tensor,
        features: Tensor | None,
        positions: Tensor | None,
        mask: Tensor | None,
        latents: Tensor | None,
        latent_mask: Tensor | None,
    ) -> Tensor:
        """(B, L, H) with the proxies where their tokens are."""
        places = ids == self.config.proxy_token_id
        if features is None:
            if places.any():
                raise BadInput("the prompt has tokens of proxies but no features came with it")
            return embeds
        features = features.to(embeds.dtype)
        mask = features.new_ones(features.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        _match(places, mask, "proxies")
        states = self.scene(features, positions, mask, latents, latent_mask)
        return embeds.masked_scatter(places[..., None], states[mask].to(embeds.dtype))  # autocast makes them differ

    def _with_regions(self, embeds: Tensor, ids: Tensor, regions: Tensor | None, mask: Tensor | None) -> Tensor:
        """(B, L, H) with the region features added to their tokens."""
        if regions is None:
            return embeds
        if self.region is None:
            raise BadInput("this model takes no regions; its configuration has no region_channels")
        places = ids == self.config.region_token_id
        mask = regions.new_ones(regions.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        _match(places, mask, "regions")
        added = torch.zeros_like(embeds).masked_scatter(places[..., None], self.region(regions[mask]).to(embeds.dtype))
        return embeds + added

    def _packed_mask(self, segments: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, 1, L, L) in the form that the attention in use takes."""
        mask = packed_mask(segments)[:, None]
        if self.config._attn_implementation in ("sdpa", packed_attention.NAME):
            return mask
        if self.config._attn_implementation == "eager":
            return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
        raise BadInput(
            f"packed sequences need attn_implementation packed, sdpa or eager; {self.config._attn_implementation} "
            "takes no mask of its own"
        )


def _match(places: Tensor, mask: Tensor, what: str) -> None:
    """Raises BadInput: a row has other than one token for each of its proxies or regions."""
    if len(places) != len(mask) or not torch.equal(places.sum(dim=1), mask.sum(dim=1)):
        raise BadInput(
            f"{what} and their tokens do not match: {mask.sum(dim=1).tolist()} {what}, "
            f"{places.sum(dim=1).tolist()} tokens"
        )

"""Configuration of the proxy VLM: a Qwen2.5 language model, and what proxies need on top. The sizes we use."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from transformers import PreTrainedConfig, Qwen2_5_VLConfig, Qwen2_5_VLTextConfig

from proxy3d_core.errors import BadInput

Size = Literal["nano", "3b", "7b"]

# Parameters of a layer with H channels, D of keys and values, I of the MLP (q, k, v with bias, two norms):
#   2 H^2 + H + 2 (H D + D) + 3 H I + 2 H
# nano:   192, D 192, I   512:    443,328 x  6 + table  2,304 x  192 (tied)     + norm =     3,102,528
# 3b:   2,048, D 256, I 11,008: 77,075,968 x 36 + table 151,936 x 2,048 (tied)  + norm = 3,085,938,688
# 7b:   3,584, D 512, I 18,944: 233,057,792 x 28 + tables 2 x 152,064 x 3,584   + norm = 7,615,616,512
# The position code adds (2 x 64 + 1) H + H^2 + H and 128 frequencies: 61,952, 4,460,672, 13,311,104.
_SHARED: dict[str, Any] = {"rms_norm_eps": 1e-6, "attention_dropout": 0.0, "use_sliding_window": False}
_SIZES: dict[str, dict[str, Any]] = {
    "nano": {
        "vocab_size": 2304,
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "initializer_range": 0.07,  # 1 / sqrt(192); the others' 0.02 goes with thousands of channels
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
    },
    "3b": {
        "vocab_size": 151_936,
        "hidden_size": 2048,
        "intermediate_size": 11_008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128_000,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "7b": {
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128_000,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
}


class ProxyVLMConfig(PreTrainedConfig):
    """A language model of Qwen2.5-VL, and how proxies get into it.

    ``from_pretrained`` also takes a published Qwen2.5-VL: its language model is kept, its image token becomes the
    token of a proxy, and what proxies need on top is new.

    Attributes:
        text_config: ``Qwen2_5_VLTextConfig``.
        proxy_token_id: stands for a proxy in ``input_ids``; Qwen's ``<|image_pad|>``.
        region_token_id: stands for a region; Qwen's ``<|vision_pad|>``.
        feature_channels: C of the proxies' features; None = the hidden size. Where they differ, a linear layer leads
            from one to the other; where not, there is none.
        position_code: False = positions are ignored (the ablation).
        position_frequencies, position_step, position_base, position_scale: of ``HybridPositionCode``.
        latent_channels: D of a scene's latents (Spa3R); None = no adapter for them.
        region_channels: channels of region features (SR-3D); None = regions cannot be asked about.
        category_codes: what the map takes an object for is told by its code in every scene, as in the paper only of
            symbols (stages I and II): for a model whose encoder does not tell kinds apart at a glance.
        tie_word_embeddings: one table for reading and writing tokens.
    """

    model_type = "proxy_vlm"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {"text_config": Qwen2_5_VLTextConfig}
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["cache"]

    text_config: dict[str, Any] | PreTrainedConfig | None = None
    proxy_token_id: int = 151_655
    region_token_id: int = 151_654
    feature_channels: int | None = None
    position_code: bool = True
    position_frequencies: int = 64
    position_step: float = 0.05
    position_base: float = 10_000.0
    position_scale: float = 10.0
    latent_channels: int | None = None
    region_channels: int | None = None
    category_codes: bool = False
    tie_word_embeddings: bool = False

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: Any, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As in transformers; a Qwen2.5-VL's config.json is turned into ours."""
        content, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        return (from_qwen(content) if content.get("model_type") == "qwen2_5_vl" else content), rest


def from_qwen(content: dict[str, Any]) -> dict[str, Any]:
    """Our config.json from that of a Qwen2.5-VL, flat (as published) or in sections (as newer versions save it)."""
    qwen: Any = Qwen2_5_VLConfig.from_dict(dict(content))
    return {
        "model_type": ProxyVLMConfig.model_type,
        "text_config": qwen.text_config.to_dict(),
        "proxy_token_id": qwen.image_token_id,
        "tie_word_embeddings": qwen.tie_word_embeddings,
    }


def configuration(size: Size, **changes: Any) -> ProxyVLMConfig:
    """One of our sizes: ``nano`` to train from scratch, ``3b`` and ``7b`` as the published Qwen2.5-VL.

    Args:
        size: which.
        changes: fields of ``ProxyVLMConfig`` that differ; ``text_config`` may name single fields of the language model.

    Raises:
        BadInput: no such size.
    """
    if size not in _SIZES:
        raise BadInput(f"there is no size {size!r}; there are {', '.join(_SIZES)}")
    text: dict[str, Any] = _SHARED | _SIZES[size]
    own: dict[str, Any] = {}
    if size == "nano":  # the order of vlm.tokenizer.SPECIAL
        text |= {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
        own |= {"proxy_token_id": 5, "region_token_id": 6}
        own |= {"position_step": 0.5}  # a code turned by 40 radians, as at 5 cm, is no longer known for what it is
    own["tie_word_embeddings"] = size != "7b"
    text |= changes.pop("text_config", {})
    return ProxyVLMConfig(**(own | changes), text_config=Qwen2_5_VLTextConfig(**text))

"""Tiny random proxy VLMs and Qwen2.5-VLs, and a tokenizer made from a few sentences."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from proxy3d_core.vlm.config import ProxyVLMConfig, configuration  # noqa: E402 - only where torch is
from proxy3d_core.vlm.inputs import SceneTokens  # noqa: E402
from proxy3d_core.vlm.model import ProxyVLM  # noqa: E402
from proxy3d_core.vlm.prompt import PromptFormat  # noqa: E402
from proxy3d_core.vlm.tokenizer import train_tokenizer  # noqa: E402

TEXT = {
    "vocab_size": 800,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
}

SENTENCES = [
    "How many chairs are there in the room?",
    "There are 12 chairs.",
    "What is next to <OBJ007>?",
    "The table next to the window, 3.25 m from the door.",
    "How far is Region [0] from Region [1]?",
] * 4


@cache
def prompts() -> PromptFormat:
    return PromptFormat(train_tokenizer(SENTENCES, 800))


def shake(model: Any) -> Any:
    """Every weight random, also those that begin at zero, so that nothing is without influence."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def tiny_config(**changes: Any) -> ProxyVLMConfig:
    return configuration("nano", text_config=TEXT | changes.pop("text_config", {}), **changes)


def tiny_vlm(**changes: Any) -> ProxyVLM:
    torch.manual_seed(3)
    return shake(ProxyVLM(tiny_config(**changes)))


def tiny_qwen(**changes: Any) -> Any:
    """A whole Qwen2.5-VL with the same special tokens."""
    torch.manual_seed(4)
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
    tokens = {"image_token_id": 5, "video_token_id": 599, "vision_start_token_id": 3, "vision_end_token_id": 4}
    text = TEXT | {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **tokens, **changes)
    return shake(transformers.Qwen2_5_VLForConditionalGeneration(config))


def scene(proxies: int = 7, channels: int = 32, seed: int = 0) -> SceneTokens:
    random = np.random.default_rng(seed)
    return SceneTokens(
        random.normal(size=(proxies, channels)).astype(np.float32),
        random.uniform(0, 3, (proxies, 3)).astype(np.float32),
        random.integers(-1, 3, proxies),
    )

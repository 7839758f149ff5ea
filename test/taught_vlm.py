"""A tiny proxy VLM that has learned a few answers by heart, whatever the scene: what it says is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from proxy3d_core.models.loading import quiet  # noqa: E402 - only where torch is
from proxy3d_core.vlm.config import configuration  # noqa: E402 - only where torch is
from proxy3d_core.vlm.inputs import SceneTokens, collate  # noqa: E402
from proxy3d_core.vlm.model import ProxyVLM  # noqa: E402
from proxy3d_core.vlm.packing import pack  # noqa: E402
from proxy3d_core.vlm.prompt import PromptFormat  # noqa: E402
from proxy3d_core.vlm.tokenizer import train_tokenizer  # noqa: E402

TEXT = {
    "vocab_size": 900,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
}
STEPS = 200
MEASURE = "Please answer the question using a single word or phrase."
SHORT = "Answer the question using a single word or phrase."
LESSONS = {
    f"How many chairs are there? {SHORT}": "Four.",
    f"How far is the desk from the window, in meters? {MEASURE}": "1.25",
    f"How far is the chair from the sofa, in meters? {MEASURE}": "1.5",
    f"Where can somebody sit? {SHORT}": "On a chair.",
    f"I am standing by the desk, facing the window. What is on my left? {SHORT}": "Chair.",
    "Which object is the largest?": "<OBJ000>.",
}
"""Answers by question; what is said is right nowhere, so that whoever says it is the model."""


def teach(folder: Path, lessons: Mapping[str, str], channels: int = 10) -> Path:
    """Write a model that answers each of the questions (as the model reads them) with the text it maps to.

    Args:
        folder: where it goes.
        lessons: answers by question.
        channels: of the proxies; those of the built-in encoder, unless others are named.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    tokenizer = train_tokenizer([*lessons, *lessons.values()] * 4, TEXT["vocab_size"])
    prompts = PromptFormat(tokenizer)
    model = ProxyVLM(configuration("nano", text_config=TEXT, feature_channels=channels))
    with torch.no_grad():  # whatever is seen looks the same, so that nothing but the question decides
        for parameter in model.scene.requires_grad_(False).parameters():
            parameter.zero_()
    asked = [(prompts.question(question), prompts.answer(answer)) for question, answer in lessons.items()]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.02, STEPS)
    for step in range(STEPS):
        count = 450 if step % 8 == 7 else int(random.integers(1, 120))
        scene = SceneTokens(np.zeros((count, channels), np.float32), None, np.zeros(count, np.int64))
        packed = pack([prompts.prefix(count)], [asked], prompts.pad)
        model(**vars(packed), **collate([scene])).loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    with quiet():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

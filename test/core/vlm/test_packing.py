"""Packed sequences against separate ones: logits, loss and gradients."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_vlm import prompts, scene, tiny_vlm, torch

from proxy3d_core.errors import BadInput
from proxy3d_core.vlm import packed_attention
from proxy3d_core.vlm.inputs import collate
from proxy3d_core.vlm.packing import IGNORED, pack, packed_mask, packed_positions

ASKED = [
    [("How many chairs are there?", "There are 12."), ("What is next to <OBJ007>?", "The door."), ("Far?", "3.25 m")],
    [("Where is Region [0], and is Region [0] big?", "Next to the table in the room.")],
]


def test_layout_by_hand() -> None:
    """Two rows: a scene of 2 with questions of 2+1 and 1+2 tokens, a scene of 1 with one of 1+1."""
    packed = pack([[7, 8], [9]], [[([1, 2], [3]), ([4], [5, 6])], [([1], [2])]], pad=0)
    assert packed.input_ids.tolist() == [[7, 8, 1, 2, 3, 4, 5, 6], [9, 1, 2, 0, 0, 0, 0, 0]]
    assert packed.segments.tolist() == [[0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 1, -1, -1, -1, -1, -1]]
    no = IGNORED
    assert packed.labels.tolist() == [[no, no, no, no, 3, no, 5, 6], [no, no, 2, no, no, no, no, no]]
    positions = packed_positions(packed.segments)
    assert positions[0].tolist() == [0, 1, 2, 3, 4, 2, 3, 4]
    assert positions[1, :3].tolist() == [0, 1, 2]
    seen = packed_mask(packed.segments)[0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 0, 1, 1, 1],
    ]


@pytest.mark.parametrize("attention", ["packed", "short", "sdpa", "eager"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_is_separate(attention: str, checkpointing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scenes with three questions and one, regions among them: same logits, loss and gradients as one by one."""
    monkeypatch.setattr(packed_attention, "SHORT", 10_000 if attention == "short" else 0)
    make = prompts()
    scenes, regions = [scene(6, seed=1), scene(9, seed=2)], torch.randn(2, 2, 12)
    counts = torch.tensor([0, 2])
    model = tiny_vlm(region_channels=12).train()
    model.set_attn_implementation("packed" if attention == "short" else attention)
    if checkpointing:
        model.gradient_checkpointing_enable()
    prefixes = [make.prefix(len(s)) for s in scenes]
    questions = [
        [(make.question(q, regions=int(row == 1)), make.answer(a)) for q, a in pairs] for row, pairs in enumerate(ASKED)
    ]
    packed = pack(prefixes, questions, make.pad)
    out = model(
        input_ids=packed.input_ids,
        segments=packed.segments,
        labels=packed.labels,
        regions=regions,
        region_mask=torch.arange(2) < counts[:, None],
        **collate(scenes),
    )
    out.loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    total = int((packed.labels != IGNORED).sum())
    losses, logits = [], []
    for row, pairs in enumerate(questions):
        for question, answer in pairs:
            ids = torch.tensor([prefixes[row] + question + answer])
            labels = torch.tensor([[IGNORED] * (len(prefixes[row]) + len(question)) + answer])
            extra: dict[str, Any] = {"regions": regions[1:]} if row == 1 else {}
            alone = model(
                input_ids=ids, labels=labels, num_items_in_batch=total, **extra, **collate(scenes[row : row + 1])
            )
            alone.loss.backward()
            losses.append(alone.loss)
            logits.append(alone.logits)
    torch.testing.assert_close(out.logits, torch.cat(logits), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.loss, torch.stack(losses).sum())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_what_does_not_go_with_packing_is_refused() -> None:
    """An attention mask beside segments would be ignored; attention without masks of its own would mix questions."""
    model = tiny_vlm()
    ids = torch.tensor([[10, 11, 12]])
    segments = torch.tensor([[0, 1, 1]])
    with pytest.raises(BadInput, match="make their own mask"):
        model(input_ids=ids, segments=segments, attention_mask=torch.ones(1, 3))
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(BadInput, match="need attn_implementation packed, sdpa or eager"):
        model(input_ids=ids, segments=segments)

"""The proxy VLM from a folder or the hub, ready to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from proxy3d_core.errors import ModelError
from proxy3d_core.models.checkpoint import Checkpoint
from proxy3d_core.models.loading import check_shapes, choose_device, choose_dtype, quiet
from proxy3d_core.vlm.config import ProxyVLMConfig
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat

NANO = Path(__file__).resolve().parent.parent / "weights" / "nano-vlm"
"""Our own small model, which comes with the package."""

_PUBLISHED = "qwen2_5_vl"


def vlm_folder(source: str | Path) -> str | Path:
    """Where the files of a model are: ``nano`` is in the package.

    Raises:
        ModelError: this copy of the package has no nano.
    """
    if str(source) != "nano":
        return source
    if not (NANO / "config.json").is_file():
        raise ModelError(
            "this copy of the package comes without the weights of nano; train them (training/README.md), or name "
            "another model: answer.vlm"
        )
    return NANO


def load_vlm(
    source: str | Path, *, device: str = "auto", dtype: str = "auto", **changes: Any
) -> tuple[ProxyVLM, PromptFormat]:
    """Model, in evaluation mode, and prompts.

    Args:
        source: folder of a proxy VLM or of a Qwen2.5-VL (config.json, safetensors, tokenizer), a hub id, or ``nano``.
        device: "auto" (CUDA where there is one), or what ``torch.device`` understands.
        dtype: "float32", "bfloat16", "float16"; "auto" = half precision on CUDA, float32 elsewhere.
        changes: fields of ``ProxyVLMConfig`` to add to a published model, such as ``feature_channels``.

    Raises:
        ModelError: the files are missing, damaged, unsafe or of another kind, or the device cannot run them.
    """
    source = vlm_folder(source)
    checkpoint = Checkpoint(source)
    kind = checkpoint.config.get("model_type")
    if kind not in (ProxyVLMConfig.model_type, _PUBLISHED):
        raise ModelError(f"{checkpoint.name} is a {kind}; a {ProxyVLMConfig.model_type} or {_PUBLISHED} is needed")
    place = choose_device(device)
    path = str(Path(source).expanduser()) if Path(source).expanduser().is_dir() else checkpoint.name
    try:
        with quiet():
            model, report = ProxyVLM.from_pretrained(
                path,
                config=ProxyVLMConfig.from_pretrained(path, **changes),
                dtype=choose_dtype(dtype, place),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # whatever damaged or missing files make the library stumble over
        raise ModelError(f"{checkpoint.name} cannot be loaded ({error}); copy its files anew") from error
    check_shapes(checkpoint, report)
    new = () if kind == ProxyVLMConfig.model_type else ("scene.", "region.")  # a published model has none of these
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(new))
    if missing:
        raise ModelError(f"{checkpoint.name} is incomplete: {len(missing)} weights are missing, such as {missing[0]}")
    return model.to(place).eval(), PromptFormat(tokenizer)

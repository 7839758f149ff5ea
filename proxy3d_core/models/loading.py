"""From a checkpoint to a model that runs: its weights, its device and number type, its way with pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.functional import interpolate

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.models.checkpoint import Checkpoint

_LOADING = RLock()
_FILTERS = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}  # by PIL's numbers, as image processors store them
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Normalisation:
    """How pixels become the numbers that a model was trained on.

    Attributes:
        scale: of the pixel values before mean and std.
        mean, std: of the three colours.
        filter: of ``torch.nn.functional.interpolate``.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    filter: str

    @classmethod
    def from_processor(cls, settings: Mapping[str, Any]) -> Normalisation:
        """From preprocessor_config.json; what it leaves out is as in transformers. Raises ModelError."""
        normalised, scaled = settings.get("do_normalize", True), settings.get("do_rescale", True)
        try:
            red, green, blue = settings["image_mean"] if normalised else (0, 0, 0)
            mean = float(red), float(green), float(blue)
            red, green, blue = settings["image_std"] if normalised else (1, 1, 1)
            std = float(red), float(green), float(blue)
            scale = float(settings.get("rescale_factor", 1 / 255)) if scaled else 1.0
            resize = _FILTERS[settings.get("resample", 3)]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"preprocessor_config.json is not usable ({error!r}): it needs image_mean and image_std of three "
                "numbers, and resample 0, 2 or 3 (nearest, bilinear, bicubic)"
            ) from None
        if min(std) <= 0:
            raise ModelError(f"preprocessor_config.json: image_std {std} must be positive")
        return cls(scale, mean, std, resize)

    def __call__(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, H, W, 3) uint8 resized to ``size`` (rows, columns) [px]: (N, 3, *size) float32."""
        pixels = images.permute(0, 3, 1, 2).float()
        if pixels.shape[2:] != size:
            pixels = interpolate(pixels, size, mode=self.filter, antialias=self.filter != "nearest-exact")
            pixels = pixels.round_().clamp_(0, 255)  # image processors resize to uint8
        mean, std = (pixels.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (pixels * self.scale - mean) / std


def load_weights(checkpoint: Checkpoint, model_name: str, prefixes: tuple[str, ...], dtype: torch.dtype) -> Any:
    """A transformers model (by the name of its class) with the weights under the first prefix that occurs.

    Raises:
        ModelError: weights are missing, or do not belong to config.json.
    """
    model_class: Any = getattr(transformers, model_name)
    # a whole vision-language model describes its tower in a section of its own, which the tower's class names
    description = checkpoint.config.get(model_class.config_class.base_config_key, checkpoint.config)
    tensors = checkpoint.tensors(prefixes)
    try:
        config = model_class.config_class.from_dict(description)
        with quiet():
            model, report = model_class.from_pretrained(
                None,
                config=config,
                state_dict=tensors,
                dtype=dtype,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:  # whatever a strange config.json makes the library stumble over
        raise ModelError(f"{checkpoint.name}: config.json does not describe a {model_name} ({error})") from None
    check_shapes(checkpoint, report)
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(f"{checkpoint.name} is incomplete: {len(missing)} weights are missing, such as {missing[0]}")
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """For loading a model: one thread at a time, and nothing on stderr.

    transformers counts weights and reports on them on stderr, a node's log; what is wrong is raised here. And it
    replaces functions of torch while it loads: two loads at once leave them replaced, and tied weights untied.
    """
    logging: Any = transformers.utils.logging
    with _LOADING:
        bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()


def choose_device(device: str) -> torch.device:
    """ "auto" is CUDA where there is one. Raises ModelError: not known, or not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} cannot be used ({str(error).splitlines()[0]}); try auto or cpu") from None
    return torch.device(device)


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """ "auto" is half precision on CUDA (bfloat16 where the device computes in it), else float32. Raises BadInput."""
    if dtype == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if dtype not in _DTYPES:
        raise BadInput(f"dtype {dtype!r} is not known; there are auto, {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


def check_shapes(checkpoint: Checkpoint, report: Mapping[str, Any]) -> None:
    """Refuse weights of other shapes than config.json says.

    Args:
        checkpoint: that was loaded.
        report: transformers' ``output_loading_info``.

    Raises:
        ModelError: a shape differs.
    """
    if report["mismatched_keys"]:
        name, stored, wanted = sorted(report["mismatched_keys"])[0]
        raise ModelError(
            f"{checkpoint.name}: weights and config.json do not belong together: {name} is {tuple(stored)}, "
            f"described as {tuple(wanted)}"
        )

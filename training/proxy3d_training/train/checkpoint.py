"""Checkpoints: weights and optimiser as safetensors, the rest as JSON; each is whole or not there.

    checkpoints/step-00001200/model.safetensors      full weights, whatever the processes hold of them
                              optimizer.safetensors  state.<parameter>.exp_avg, exp_avg_sq, step
                              state.json             stage, step, seconds, and what the run is (config, data)

Nothing else is needed to continue: order and random numbers are functions of seed and step.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from proxy3d_core.errors import BadInput

KEPT = 2
"""The last so many are kept."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: index of the stage.
        step: steps of it that are done.
        done: steps of all stages that are done.
        seconds: that this stage has taken.
        total_seconds: that the run has taken.
        run: what the run is (``run.describe``).
    """

    stage: int
    step: int
    done: int
    seconds: float
    total_seconds: float
    run: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of a run."""

    def __init__(self, folder: Path) -> None:
        """``folder`` need not be there yet."""
        self.folder = folder

    def latest(self) -> Path | None:
        """The last one that is whole."""
        found = sorted(path for path in self.folder.glob("step-*") if path.is_dir())
        return found[-1] if found else None

    def write(self, progress: Progress, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> Path:
        """Write one and remove all but the last two. An earlier one of the same step is replaced.

        Raises:
            BadInput: it cannot be written.
        """
        path = self.folder / f"step-{progress.done:08d}"
        part = self.folder / f".{path.name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            for name, tensors in (("model", weights), ("optimizer", optimizer)):
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, part / f"{name}.safetensors")
            (part / "state.json").write_text(json.dumps(vars(progress), indent=1) + "\n", encoding="utf-8")
            for file in part.iterdir():
                _flush(file)
            shutil.rmtree(path, ignore_errors=True)
            part.rename(path)
            _flush(self.folder)
            for old in sorted(self.folder.glob("step-*"))[:-KEPT]:
                shutil.rmtree(old)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise BadInput(f"cannot write {path}: {error.strerror or error}; free some space there") from None
        return path


def read_progress(path: Path) -> Progress:
    """``state.json`` of a checkpoint. Raises BadInput: it is damaged."""
    try:
        return Progress(**json.loads((path / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None


def read_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """``model`` or ``optimizer`` of a checkpoint, on the CPU. Raises BadInput: it is damaged."""
    try:
        return load_file(path / f"{name}.safetensors")
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path} is damaged ({error}); remove it, the run goes on from the one before")


def _flush(path: Path) -> None:
    """Onto the disk, file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

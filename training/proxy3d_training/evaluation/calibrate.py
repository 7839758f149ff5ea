"""How far an answer can be believed: confidence fitted on some rooms and measured on the others.

For each type of answer the raw probability (of the answer's tokens together) becomes the score that such answers had:
isotonic regression (Zadrozny and Elkan 2002), here on means of equally many answers, so that no single one decides. The
file is what ``proxy3d_core.vlm.calibration`` reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from proxy3d_core.errors import BadInput
from proxy3d_core.vlm.calibration import VERSION
from proxy3d_training.evaluation.sim_qa import Row

Array = NDArray[np.float64]

TOGETHER = 25
"""Answers of one mean."""
BINS = 10


def isotonic(raw: Array, right: Array) -> tuple[list[float], list[float]]:
    """Corners of a rising line from raw probabilities (N,), N >= 1, to scores (N,), both 0..1."""
    parts = np.array_split(np.argsort(raw, kind="stable"), max(1, len(raw) // TOGETHER))
    x = np.array([raw[part].mean() for part in parts])
    y = np.array([right[part].mean() for part in parts])
    fit = IsotonicRegression(y_min=0.0, y_max=1.0).fit(x, y, sample_weight=[len(part) for part in parts])
    return [round(float(v), 5) for v in fit.X_thresholds_], [round(float(v), 5) for v in fit.y_thresholds_]


def calibration_error(confidence: Array, right: Array) -> tuple[float, list[dict[str, float]]]:
    """Expected calibration error, 0..1 (Naeini et al. 2015), in bins of equally many answers; and the bins themselves:
    mean ``confidence``, mean ``right``, ``n``.
    """
    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), BINS) if len(part)]
    bins = [
        {"confidence": float(confidence[part].mean()), "right": float(right[part].mean()), "n": len(part)}
        for part in parts
    ]
    error = sum(b["n"] * abs(b["confidence"] - b["right"]) for b in bins) / max(len(confidence), 1)
    return float(error), bins


def calibrate(rows: Sequence[Row]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit on every other room, measure on the rest.

    Args:
        rows: answers with their confidence as the model gives it.

    Returns:
        The content of ``calibration.json``; and the report: of each type of answer ``n``, expected calibration error
        ``raw`` and ``calibrated`` (0..1), and ``bins`` after calibration.

    Raises:
        BadInput: there are fewer than two rooms with answers.
    """
    said = [(row, row.said) for row in rows if row.said is not None and row.said.confidence is not None]
    rooms = sorted({row.sample.scene.space for row, _ in said if row.sample.scene})
    if len(rooms) < 2:
        raise BadInput(f"confidence is fitted on some rooms and measured on others; there are {len(rooms)} rooms")
    fitted = set(rooms[::2])
    types: dict[str, Any] = {}
    report: dict[str, Any] = {}
    for kind in sorted({answer.kind for _, answer in said}):
        of_kind = [(row, answer) for row, answer in said if answer.kind == kind]
        raw = np.array([answer.confidence for _, answer in of_kind], dtype=np.float64)
        right = np.array([row.score for row, _ in of_kind])
        mine = np.array([row.sample.scene is not None and row.sample.scene.space in fitted for row, _ in of_kind])
        if not mine.any():
            continue
        x, y = isotonic(raw[mine], right[mine])
        types[kind] = {"raw": x, "right": y}
        if (~mine).any():
            error, bins = calibration_error(np.interp(raw[~mine], x, y), right[~mine])
            before, _ = calibration_error(raw[~mine], right[~mine])
            report[kind] = {"n": int((~mine).sum()), "raw": round(before, 4), "calibrated": round(error, 4)}
            report[kind]["bins"] = [{k: round(v, 4) for k, v in b.items()} for b in bins]
    note = f"right answers on {len(fitted)} simulated rooms by raw probability; measured on {len(rooms) - len(fitted)}"
    return {"version": VERSION, "types": types, "about": note}, report


def write(path: Path, content: dict[str, Any]) -> None:
    """Write ``calibration.json``. Raises BadInput: it cannot be written."""
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error

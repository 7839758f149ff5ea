"""Calibration files, by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from proxy3d_core.errors import ModelError
from proxy3d_core.vlm.calibration import Calibration


def written(folder: Path, **changes: Any) -> Path:
    table = {"raw": [0.2, 0.6, 1.0], "right": [0.1, 0.5, 0.9]}
    (folder / "calibration.json").write_text(json.dumps({"version": 1, "types": {"number": table}, **changes}))
    return folder


@pytest.mark.parametrize(("raw", "right"), [(0.1, 0.1), (0.4, 0.3), (0.6, 0.5), (0.9, 0.8), (1.0, 0.9)])
def test_lines_between_the_points(tmp_path: Path, raw: float, right: float) -> None:
    found = Calibration.beside(written(tmp_path, about="for people"))
    assert found.confidence("number", math.log(raw)) == pytest.approx(right)


def test_without_a_table_a_model_is_believed_half(tmp_path: Path) -> None:
    for found in (Calibration.beside(tmp_path), Calibration.beside(written(tmp_path))):
        assert found.confidence("text", math.log(0.3)) == pytest.approx(0.3)
        assert found.confidence("text", math.log(0.97)) == found.confidence("text", 1e-9) == 0.5


@pytest.mark.parametrize(
    "types",
    [
        {"number": {"raw": [0.2, 0.1], "right": [0, 1]}},
        {"number": {"raw": [0, 1], "right": [0.9, 0.1]}},
        {"number": {"raw": [0, 1], "right": [0, 1.1]}},
        {"number": {"raw": [0, 1], "right": [0]}},
        {"number": {"raw": [], "right": []}},
        {"number": {"raw": 1, "right": 1}},
        {"number": {}},
        [],
    ],
)
def test_damaged_files(tmp_path: Path, types: Any) -> None:
    with pytest.raises(ModelError, match=r"calibration.json cannot be used .*; fit it anew or remove it"):
        Calibration.beside(written(tmp_path, types=types))


def test_other_versions(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="version 2, this program reads 1"):
        Calibration.beside(written(tmp_path, version=2))

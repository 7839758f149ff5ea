"""Depth models against transformers called by the book, and the scale check against ratios known by construction."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from proxy3d_core.errors import BadInput, ModelError
from proxy3d_core.geometry import Intrinsics
from proxy3d_core.perception.depth_models import UNCHECKED, DepthSource, Prediction, ScaleCheck, load_depth_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tiny_depth  # noqa: E402

CAMERA = Intrinsics(160, 120, 146.0, 146.0, 79.5, 59.5)


def picture(width: int = 160, height: int = 120) -> np.ndarray:
    """Smooth colours: resampling filters that differ in detail agree on them."""
    v, u = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    colours = [0.5 + 0.5 * np.sin(a * u + b * v) for a, b in ((5, 3), (9, -4), (-3, 7))]
    return np.round(255 * np.stack(colours, axis=2)).astype(np.uint8)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.median(np.abs(found - expected) / expected))


@pytest.mark.parametrize(("width", "height"), [(160, 120), (100, 140)])
def test_depth_anything_as_transformers_calls_it(tmp_path: Path, width: int, height: int) -> None:
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    folder = tiny_depth.depth_anything(tmp_path)
    rgb = picture(width, height)
    inputs = DPTImageProcessorPil.from_pretrained(folder)(images=rgb, return_tensors="pt")
    book = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    with torch.no_grad():
        predicted = book(**inputs).predicted_depth
    expected = torch.nn.functional.interpolate(predicted[:, None], (height, width), mode="bilinear", align_corners=True)
    found = load_depth_model(folder, "cpu").predict(rgb, Intrinsics(width, height, 146.0, 146.0, 79.5, 59.5))
    assert found.depth.shape == (height, width) and found.depth.dtype == np.float32 and found.focal is None
    assert expected.std() > 0.1 * expected.mean()  # it does depend on the image
    assert relative_error(found.depth, expected[0, 0].numpy().clip(1e-3)) < 0.02


def test_depth_pro_takes_the_calibrated_focal_length(tmp_path: Path) -> None:
    """Against its own processor's arithmetic: inverse depth times width over focal length, inverted."""
    folder = tiny_depth.depth_pro(tmp_path)
    rgb = picture()
    pixels = torch.from_numpy((rgb / 255.0 - 0.5) / 0.5).permute(2, 0, 1)[None].float()
    pixels = torch.nn.functional.interpolate(pixels, (112, 112), mode="bilinear", align_corners=False)
    with torch.no_grad():
        output = transformers.DepthProForDepthEstimation.from_pretrained(folder)(pixels)
    canonical = torch.nn.functional.interpolate(output.predicted_depth[:, None], (120, 160), mode="bilinear")[0, 0]
    expected = 1 / torch.clamp(canonical * 160 / 146, 1e-4, 1e4)
    model = load_depth_model(folder, "cpu")
    found = model.predict(rgb, CAMERA)
    assert relative_error(found.depth, expected.numpy()) < 1e-4
    fov = float(output.field_of_view[0])
    expected_focal = 80 / math.tan(math.radians(fov) / 2) if 0 < fov < 180 else None
    assert found.focal == (pytest.approx(expected_focal, rel=1e-4) if expected_focal else None)
    longer = model.predict(rgb, Intrinsics(160, 120, 292.0, 292.0, 79.5, 59.5)).depth
    inside = (found.depth > 1e-3) & (longer < 1e3)
    assert longer[inside] == pytest.approx(2 * found.depth[inside], rel=1e-4)


def test_zoedepth_as_transformers_calls_it(tmp_path: Path) -> None:
    from transformers.models.zoedepth.image_processing_pil_zoedepth import ZoeDepthImageProcessorPil

    folder = tiny_depth.zoedepth(tmp_path)
    inputs = ZoeDepthImageProcessorPil.from_pretrained(folder)(images=picture(), return_tensors="pt")
    with torch.no_grad():
        predicted = transformers.ZoeDepthForDepthEstimation.from_pretrained(folder)(**inputs).predicted_depth
    down, across = int(math.sqrt(60) * 3), int(math.sqrt(80) * 3)
    whole = torch.nn.functional.interpolate(predicted[:, None], (120 + 2 * down, 160 + 2 * across), mode="bilinear")
    expected = whole[0, 0, down:-down, across:-across].numpy()
    found = load_depth_model(folder, "cpu").predict(picture(), CAMERA)
    assert relative_error(found.depth, expected) < 0.01


def test_relative_depth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="relative depth, which has no metres; take a metric checkpoint"):
        load_depth_model(tiny_depth.depth_anything(tmp_path, kind="relative"))


def test_what_is_no_depth_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match=r"'bert'.*no depth model known here: depth_anything, depth_pro, zoedepth"):
        load_depth_model(tmp_path)
    with pytest.raises(ModelError, match="does not exist"):
        load_depth_model(tmp_path / "nothing")


def test_incomplete_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_depth.depth_anything(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["head.conv3.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"incomplete: 1 weights are missing, such as head.conv3.weight"):
        load_depth_model(folder)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = tiny_depth.depth_anything(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        load_depth_model(folder)


def test_wrong_images_are_named(tmp_path: Path) -> None:
    model = load_depth_model(tiny_depth.depth_anything(tmp_path), "cpu")
    with pytest.raises(BadInput, match="expected"):
        model.predict(np.zeros((120, 160), np.uint8), CAMERA)
    with pytest.raises(BadInput, match="colour is 80x60 but camera info says 160x120"):
        model.predict(np.zeros((60, 80, 3), np.uint8), CAMERA)


def test_the_module_is_cheap_to_import() -> None:
    code = "import sys, proxy3d_core.perception.depth_models as m; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Scale


def measured_and_predicted(factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sensor depth with holes, and a prediction ``factor`` times too small, with 5 % noise and 30 % outliers."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.5, 4.5, (120, 160))
    predicted = true / factor * np.exp(rng.normal(scale=0.05, size=true.shape))
    wrong = rng.random(true.shape) < 0.3
    predicted[wrong] *= rng.uniform(1.5, 4.0, wrong.sum())
    measured = np.where(rng.random(true.shape) < 0.4, 0, true)
    measured[:10] = 60000.0  # the sensor's "too far"
    predicted[20:22] = 0
    return predicted.astype(np.float32), measured.astype(np.float32)


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7, 12.0])
def test_scale_survives_outliers_and_holes(factor: float) -> None:
    """30 % one-sided outliers move the median to the 0.5/0.7 quantile of the rest: 0.57 deviations, 3 % here."""
    check = ScaleCheck()
    for seed in range(5):
        assert check.add(*measured_and_predicted(factor, seed))
    found = check.result()
    assert found is not None and found.frames == 5 and 30_000 < found.pixels < 60_000
    assert found.factor == pytest.approx(factor, rel=0.035)
    assert 0.04 < found.spread < 0.15
    assert found.uncertainty < found.spread


def test_scale_that_changes_between_frames_is_uncertain() -> None:
    check = ScaleCheck()
    plane = np.full((120, 160), 2.0)
    for factor in (0.8, 0.9, 1.0, 1.1, 1.25):
        check.add(plane / factor, plane)
    found = check.result()
    assert found is not None and found.factor == pytest.approx(1.0)
    assert found.uncertainty == pytest.approx(1.4826 * math.log(1 / 0.9), rel=0.02)  # by hand: MAD of the logs


def test_nothing_to_compare_says_nothing() -> None:
    check = ScaleCheck()
    assert not check.add(np.ones((120, 160)), np.zeros((120, 160)))
    assert check.result() is None
    with pytest.raises(BadInput, match="but measured depth is"):
        check.add(np.ones((120, 160)), np.ones((60, 80)))


class Plane:
    """A depth model that sees a wall 2 m away and believes in a focal length of 73 px."""

    name = "wall"

    def predict(self, rgb: np.ndarray, intrinsics: Intrinsics) -> Prediction:
        return Prediction(np.full(rgb.shape[:2], 2.0, np.float32), 73.0)


def test_source_applies_the_sensors_scale() -> None:
    source = DepthSource(Plane(), scale=0)
    with pytest.raises(BadInput, match=r"perception\.depth_scale"):
        source.depth(picture(), CAMERA)
    sensor = np.full((120, 160), 3.0, np.float32)
    assert source.depth(picture(), CAMERA, sensor) == pytest.approx(3.0)
    assert source.depth(picture(), CAMERA) == pytest.approx(3.0)
    assert source.uncertainty < 0.01
    report = source.report()
    assert report["scale"] == report["sensor_ratio"] == 1.5 and report["checked"] and report["sensor_frames"] == 1
    assert report["focal_ratio"] == 0.5
    json.dumps(report)


def test_an_unchecked_or_refuted_scale_is_never_called_metric() -> None:
    source = DepthSource(Plane())
    assert source.depth(picture(), CAMERA) == pytest.approx(2.0)
    assert source.uncertainty == UNCHECKED and not source.report()["checked"]
    source.depth(picture(), CAMERA, np.full((120, 160), 3.0, np.float32))
    assert source.uncertainty == pytest.approx(math.log(1.5), rel=0.01)  # known to be off, and not corrected

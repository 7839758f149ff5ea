"""The benchmark of the proxies: figures that can be worked out by hand, and the whole of it on a small scale."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the benchmark reads features with torch: pip install 'proxy3d_ros[models]'")

from proxy3d_core.config import Config
from proxy3d_core.encoders import load_encoder
from proxy3d_core.sequences import open_sequence
from proxy3d_ros.bench import proxies, quality
from proxy3d_ros.bench.measure import default_sequences
from proxy3d_ros.bench.scenes import Scene, sample_scene


def by_hand() -> Scene:
    """Eight patches on a line: a wall (-1) of four, a thing of three (0) and one of a single patch (1)."""
    x = np.array([0, 1, 2, 3, 10, 11, 12, 20.0])
    return Scene(
        points=np.column_stack([x, 0 * x, 0 * x]).astype(np.float32),
        features=x[:, None].astype(np.float32),
        objects=np.array([-1, -1, -1, -1, 0, 0, 0, 1]),
        groups=np.array([-1, -1, -1, -1, 4, 4, 4, 7]),
        frames=np.array([0, 0, 0, 0, 1, 1, 1, 1]),
        pixels=(480, 640),
    )


def test_figures_by_hand() -> None:
    """Two proxies: one for the wall, one for both things, which belongs to the larger."""
    label = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    found = quality.judge(by_hand(), label, np.array([[1.5], [13.25]], np.float32))
    assert found["purity"] == 7 / 8
    assert (found["objects"], found["represented"], found["smallest_kept"], found["largest_lost"]) == (2, 0.5, 3, 1)
    near = 5.0  # squares about 1.5: 2.25 + 0.25 + 0.25 + 2.25
    far = 3.25**2 + 2.25**2 + 1.25**2 + 6.75**2
    whole = sum((x - 7.375) ** 2 for x in (0, 1, 2, 3, 10, 11, 12, 20))
    assert found["feature_error"] == pytest.approx((near + far) / whole, abs=1e-4)
    assert found["position_rms_m"] == pytest.approx(np.sqrt((near + far) / 8), abs=1e-4)


def test_tokens_of_the_papers_scene() -> None:
    """640x480 is 23 x 17 tokens of 28 pixels in Qwen2.5-VL; two frames against four proxies."""
    assert quality.tokens(by_hand(), 4)["pixel_tokens"] == 2 * 23 * 17
    assert quality.tokens(by_hand(), 4)["fewer_by"] == pytest.approx(782 / 4)


def test_every_way_keeps_the_budget_and_groups_keep_small_things() -> None:
    scene = by_hand()
    found = quality.quality(scene, 4, 1)
    assert all(figures["proxies"] <= 4 for figures in found.values())
    assert found["ours"]["purity"] == found["ours"]["represented"] == 1.0
    assert found["ours"]["smallest_kept"] == 1


def test_squares_and_purity_by_hand() -> None:
    points = np.array([[0, 0, 0], [2, 0, 0], [5, 5, 5], [5, 5, 5]], np.float32)
    label = np.array([0, 0, 1, 1])
    assert proxies.spread(points, label) == {"squares_m2": 2.0, "rms_m": round(np.sqrt(0.5), 4)}
    assert proxies.purity(label, np.array([7, -1, 3, 3])) == 0.75


@pytest.mark.slow
def test_on_the_demo_room() -> None:
    source = open_sequence(default_sequences()[0])
    scene = sample_scene(source, load_encoder(cells=300), frames=8)
    assert len(np.unique(scene.objects)) > 10
    found = quality.quality(scene, 150, 5)
    assert found["ours"]["represented"] == 1.0
    for other in ("ours without groups", "uniform sampling", "voxel grid"):
        assert found["ours"]["purity"] > found[other]["purity"]
    assert found["ours"]["feature_error"] < found["uniform sampling"]["feature_error"]
    assert quality.order_of_reading(scene, 150, 5)["random_over_ours"] > 1.3

    setting = proxies.Setting(3000, 60)  # more triplets than patches: some are used again
    figures = proxies.bench_offline(scene, setting, 5, repeats=2)
    ours = figures["proxies 3000 to 60/clustering of positions"]
    assert ours["purity"] == 1.0
    for name, peer in figures.items():
        if name.endswith("in groups"):  # the same task: no worse than generic k-means by more than its luck
            assert ours["squares_m2"] <= 1.1 * peer["squares_m2"], name
    steps = proxies.bench_sequence_steps(scene, 100, 5, repeats=2)
    streaming = proxies.bench_streaming(scene, Config(), 20, lambda: None, channels=8)
    assert {"position code of 100", "serialisation of 100"} <= steps.keys()
    assert streaming["streaming/update after 20 frames"]["atoms"] > 0

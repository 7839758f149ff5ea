"""From a snapshot's proxies to what the model is given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tiny_vlm import scene, torch

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.proxies.references import PICTURE, ReferenceCodes, References
from proxy3d_core.scene.snapshot import BACKGROUND, FLOOR, ProxySet, SceneObject
from proxy3d_core.vlm.inputs import SceneTokens, collate, names_of


def brightness(pictures: Sequence[Any]) -> Any:
    """An encoder of two channels, one feature per picture: mean and spread."""
    return np.array([[[[p.mean(), p.std()]]] for p in pictures], np.float32)


PROXIES = ProxySet(
    positions=np.array([[10, 0, 1], [0, 0, 0.5], [0, 2, 0.5], [2, 0, 3]], np.float32),
    features=np.arange(8, dtype=np.float32).reshape(4, 2),
    weights=np.array([1, 1, 1, 1], np.float32),
    extents=np.ones(4, np.float32),
    groups=np.array([7, FLOOR, BACKGROUND, 9]),
)


def test_order_origin_and_codes() -> None:
    """Origin: centroid (3, 0.5) on the floor at 0.5. Object 7 has marker 4."""
    codes = ReferenceCodes(brightness)
    tokens = SceneTokens.of(PROXIES, References({4: 7}), codes, labels={9: "lamp"})
    order = [3, 1, 2, 0]  # 2.7 m from the origin; the others are 3.2, 3.8 and 8.2 m from that one
    np.testing.assert_array_equal(tokens.groups, PROXIES.groups[order])
    np.testing.assert_allclose(tokens.positions, PROXIES.positions[order] - np.array([3, 0.5, 0.5]), atol=1e-6)
    expected = PROXIES.features.copy()
    expected[0] += codes.identifiers([4])[0]
    expected[3] += codes.categories(["lamp"])[0]
    np.testing.assert_allclose(tokens.features, expected[order])
    assert tokens.features.dtype == tokens.positions.dtype == np.float32 and len(tokens) == 4
    on_floor = SceneTokens.of(PROXIES, floor=-1.0)
    np.testing.assert_allclose(on_floor.positions[:, 2].min(), 1.5)
    assert PICTURE == 28 and np.array_equal(PROXIES.features, np.arange(8).reshape(4, 2))  # as before
    with pytest.raises(BadInput, match="give codes too"):
        SceneTokens.of(PROXIES, References({4: 7}))
    assert len(SceneTokens.of(ProxySet.empty(2))) == 0


def test_objects_without_a_name_have_none() -> None:
    box = OrientedBox(np.zeros(3), np.ones(3), np.eye(3))
    things = [SceneObject(3, "lamp", 0.9, box), SceneObject(4, "object", 0.9, box)]
    assert names_of(things) == {3: "lamp"}


def test_batches_are_filled_up() -> None:
    """Zeros and a mask behind the shorter scene; positions all or none."""
    small, large = scene(2, seed=1), scene(5, seed=2)
    batch = collate([small, large])
    assert batch["features"].shape == (2, 5, 32) and batch["positions"].shape == (2, 5, 3)
    assert batch["proxy_mask"].tolist() == [[True, True, False, False, False], [True] * 5]
    np.testing.assert_array_equal(batch["features"][0, :2], small.features)
    assert not batch["features"][0, 2:].any() and not batch["positions"][0, 2:].any()
    nowhere = SceneTokens(small.features, None, small.groups)
    assert set(collate([nowhere])) == {"features", "proxy_mask"}
    with pytest.raises(BadInput, match="all must be alike"):
        collate([nowhere, large])
    with pytest.raises(BadInput, match=r"\[16, 32\] channels"):
        collate([scene(2, channels=16), large])
    assert batch["features"].dtype == torch.float32


def test_the_package_itself_imports_no_torch() -> None:
    """Nor does the core."""
    code = "import sys, proxy3d_core, proxy3d_core.vlm; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""Oriented boxes, against hand geometry and a bounded least-squares solver."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox, box_distances

QUARTER = np.pi / 4
UNIT = OrientedBox.from_yaw((0, 0, 0), (1, 1, 1))


def random_box(rng: np.random.Generator, upright: bool = False) -> OrientedBox:
    center, size = rng.uniform(-0.8, 0.8, 3), rng.uniform(0.1, 1.2, 3)
    if upright:
        return OrientedBox.from_yaw(center, size, rng.uniform(-np.pi, np.pi))
    return OrientedBox(center, size, Rotation.random(random_state=rng).as_matrix())


def solved_distance(a: OrientedBox, b: OrientedBox) -> float:
    """Least |p - q| over p in a, q in b: linear least squares in box coordinates with bounds."""
    half = np.concatenate([a.size, b.size]) / 2
    found = lsq_linear(np.hstack([a.rotation, -b.rotation]), b.center - a.center, (-half, half), method="bvls")
    return float(np.linalg.norm(found.fun))


@pytest.mark.parametrize("upright", [True, False])
def test_distances_agree_with_a_solver(upright: bool) -> None:
    rng = np.random.default_rng(4)
    first = [random_box(rng, upright) for _ in range(150)]
    second = [random_box(rng, upright) for _ in range(150)]
    expected = [solved_distance(a, b) for a, b in zip(first, second, strict=True)]
    assert 20 < np.count_nonzero(np.array(expected) > 1e-6) < 130  # apart and overlapping
    np.testing.assert_allclose(box_distances(first, second), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("other", "distance"),
    [
        # Face to face; a turned cube's edge before a face; an edge before a turned cube's face; edge to edge.
        (OrientedBox.from_yaw((3, 0, 0), (1, 1, 1)), 2),
        (OrientedBox.from_yaw((3, 0, 0), (1, 1, 1), QUARTER), 2.5 - np.sqrt(0.5)),
        (OrientedBox.from_yaw((2, 2, 0), (1, 1, 1), QUARTER), 2 * np.sqrt(2) - np.sqrt(0.5) - 0.5),
        (OrientedBox.from_yaw((4, 3, 0), (1, 1, 1)), np.hypot(3, 2)),
        (OrientedBox.from_yaw((2, 3, 3), (1, 1, 1)), 3),  # corner to corner: (1, 2, 2)
        (OrientedBox.from_yaw((1, 0, 0), (1, 1, 1)), 0),  # touching
        (OrientedBox.from_yaw((1, 1, 1), (1, 1, 1)), 0),  # touching at a corner
        (OrientedBox.from_yaw((0.1, 0, 0.1), (0.2, 0.1, 0.3), 0.7), 0),  # contained
        (OrientedBox.from_yaw((0, 0, 0), (3, 0.1, 0.1), 0.3), 0),  # a stick through it: no corner lies inside
        (OrientedBox.from_yaw((0, 0, 2), (0, 0, 0)), 1.5),  # a point
    ],
)
def test_distances_by_hand(other: OrientedBox, distance: float) -> None:
    assert UNIT.distance(other) == pytest.approx(distance, abs=1e-9)
    assert other.distance(UNIT) == pytest.approx(distance, abs=1e-9)


def test_crossed_edges_are_closest() -> None:
    """Two long cubes lie on an edge each, one across above the other: their ridges cross at right angles."""
    on_edge = Rotation.from_euler("x", QUARTER).as_matrix()
    below = OrientedBox((0, 0, 0), (4, 1, 1), on_edge)
    above = OrientedBox((0, 0, 2), (4, 1, 1), Rotation.from_euler("z", np.pi / 2).as_matrix() @ on_edge)
    assert below.distance(above) == pytest.approx(2 - np.sqrt(2), abs=1e-9)


def test_no_boxes_no_distances() -> None:
    assert box_distances([], []).shape == (0,)


def test_iou_of_a_square_and_itself_turned_by_45_degrees() -> None:
    """They share a regular octagon of area 2 (sqrt 2 - 1)."""
    octagon = 2 * (np.sqrt(2) - 1)
    turned = OrientedBox.from_yaw((0, 0, 0), (1, 1, 1), QUARTER)
    assert UNIT.iou(turned) == pytest.approx(octagon / (2 - octagon), abs=1e-6)


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        (UNIT, 1),
        (OrientedBox.from_yaw((0, 0, 0), (1, 1, 1), np.pi / 2), 1),
        (OrientedBox.from_yaw((0.5, 0, 0), (1, 1, 1)), 1 / 3),
        (OrientedBox.from_yaw((0.5, 0.5, 0.5), (1, 1, 1)), (1 / 8) / (2 - 1 / 8)),
        (OrientedBox.from_yaw((0, 0, 0), (0.5, 0.5, 0.5), 0.4), 1 / 8),
        (OrientedBox.from_yaw((2, 0, 0), (1, 1, 1)), 0),
        (OrientedBox.from_yaw((0, 0, 2), (1, 1, 1)), 0),
        (OrientedBox.from_yaw((0, 0, 0), (1, 1, 0)), 0),
    ],
)
def test_iou_by_hand(other: OrientedBox, iou: float) -> None:
    assert UNIT.iou(other) == pytest.approx(iou, abs=1e-6)
    assert other.iou(UNIT) == pytest.approx(iou, abs=1e-6)


def test_iou_agrees_with_counted_points() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        a, b = random_box(rng, upright=True), random_box(rng, upright=True)
        low = np.minimum(a.corners.min(axis=0), b.corners.min(axis=0))
        high = np.maximum(a.corners.max(axis=0), b.corners.max(axis=0))
        points = rng.uniform(low, high, (100_000, 3))
        in_a, in_b = a.contains(points), b.contains(points)
        assert a.iou(b) == pytest.approx((in_a & in_b).sum() / (in_a | in_b).sum(), abs=0.02)


def test_iou_of_tilted_boxes_is_that_of_their_prisms() -> None:
    """A unit cube on its edge has the footprint sqrt 2 x 1 and the height sqrt 2."""
    tilted = OrientedBox((0, 0, 0), (1, 1, 1), Rotation.from_euler("x", QUARTER).as_matrix())
    prism = OrientedBox.from_yaw((0, 0, 0), (1, np.sqrt(2), np.sqrt(2)))
    assert tilted.iou(tilted) == pytest.approx(1)
    assert tilted.iou(prism) == pytest.approx(1, abs=1e-6)
    assert tilted.iou(UNIT) == pytest.approx(1 / 2, abs=1e-6)
    rng = np.random.default_rng(2)
    for _ in range(50):
        a, b = random_box(rng), random_box(rng)
        assert 0 <= a.iou(b) <= 1
        assert a.iou(b) == pytest.approx(b.iou(a), abs=1e-6)


def test_footprint() -> None:
    outline = OrientedBox.from_yaw((1, 2, 3), (np.sqrt(2), np.sqrt(2), 5), QUARTER).footprint()
    assert {tuple(corner) for corner in outline.round(5)} == {(2, 2), (1, 3), (0, 2), (1, 1)}
    edges = np.roll(outline, -1, axis=0) - outline
    following = np.roll(edges, -1, axis=0)
    assert (edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 0).all()  # left turns: counter-clockwise


def test_measures() -> None:
    box = OrientedBox.from_yaw((0, 0, 1), (2, 3, 0.5), 0.3)
    assert box.volume == pytest.approx(3)
    assert (box.bottom, box.top, box.yaw) == pytest.approx((0.75, 1.25, 0.3))
    assert box.corners.shape == (8, 3)
    np.testing.assert_allclose(np.linalg.norm(box.corners - box.center, axis=1), np.linalg.norm([1, 1.5, 0.25]))


def test_contains_and_closest_point() -> None:
    box = OrientedBox.from_yaw((1, 0, 0), (2, 1, 1), np.pi / 2)  # spans x 0.5..1.5, y -1..1, z -0.5..0.5
    points = [(1, 0.9, 0), (1.6, 0, 0), (1, 2, 3)]
    assert box.contains(points).tolist() == [True, False, False]
    assert box.contains(points, margin=0.11).tolist() == [True, True, False]
    np.testing.assert_allclose(box.closest_point(points), [(1, 0.9, 0), (1.5, 0, 0), (1, 1, 0.5)], atol=1e-12)


def test_around_finds_a_turned_box() -> None:
    truth = OrientedBox.from_yaw((3, -2, 0.4), (1.6, 0.5, 0.8), 0.3)
    box = OrientedBox.around(truth.corners)
    np.testing.assert_allclose(box.center, truth.center, atol=1e-5)
    assert box.volume == pytest.approx(truth.volume, rel=1e-4)
    assert box.iou(truth) == pytest.approx(1, abs=1e-4)
    # The same yaw modulo a quarter turn, in -45..45 degrees.
    assert box.yaw == pytest.approx(0.3, abs=1e-4)


def test_around_with_a_known_yaw() -> None:
    """A square of edge 1 in axes turned by 45 degrees measures its diagonal."""
    box = OrientedBox.around(UNIT.corners, yaw=QUARTER - 1e-9)
    np.testing.assert_allclose(box.size, [np.sqrt(2), np.sqrt(2), 1], atol=1e-6)
    assert OrientedBox.around(UNIT.corners, yaw=np.pi / 2).yaw == pytest.approx(0, abs=1e-9)


def test_around_trims_stray_points() -> None:
    """Of an even spread over [0, 1], 5 % are left outside at either end; two strays do not stretch it."""
    line = np.linspace(0, 1, 1001)
    points = np.concatenate([np.stack([line, line, line], axis=1), [(5, 5, 5), (-5, -5, -5)]])
    box = OrientedBox.around(points, trim=0.05, yaw=0.0)
    np.testing.assert_allclose(box.size, 0.9, atol=0.005)
    np.testing.assert_allclose(box.center, 0.5, atol=0.005)
    np.testing.assert_allclose(OrientedBox.around(points, yaw=0.0).size, 10)


def test_around_one_point() -> None:
    box = OrientedBox.around([(1, 2, 3)])
    np.testing.assert_allclose(box.center, (1, 2, 3))
    np.testing.assert_allclose(box.size, 0)


@pytest.mark.parametrize(
    ("center", "size", "message"),
    [((0, 0, np.nan), (1, 1, 1), "NaN"), ((0, 0, 0), (1, np.inf, 1), "infinite"), ((0, 0, 0), (1, -1, 1), "negative")],
)
def test_bad_boxes_are_refused(center: tuple[float, ...], size: tuple[float, ...], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        OrientedBox.from_yaw(center, size)


def test_weights_decide_what_is_stray() -> None:
    """A hundred points from 0 to 9.9 along x, and three at 20: a hundredth of the others' weight is nothing."""
    points = np.zeros((103, 3))
    points[:, 0] = [*np.arange(100) / 10, 20, 20, 20]
    alike, plain = OrientedBox.around(points, 0.01, 0.0, weights=np.ones(103)), OrientedBox.around(points, 0.01, 0.0)
    np.testing.assert_allclose(alike.corners, plain.corners)
    assert alike.corners[:, 0].max() == pytest.approx(20)
    box = OrientedBox.around(points, 0.01, 0.0, weights=[1.0] * 100 + [0.01] * 3)
    assert (box.corners[:, 0].min(), box.corners[:, 0].max()) == pytest.approx((0.1, 9.8), abs=0.1)

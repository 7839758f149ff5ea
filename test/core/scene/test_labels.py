"""What class names imply, against the table of least lengths: half the length squared is the least surface."""

import pytest

from proxy3d_core.scene.labels import STRUCTURE, SUPPORTERS, least_surface, normalise, stands_on_floor


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Dining_Table", "dining table"), ("  TV   stand ", "tv stand"), ("chair", "chair"), ("_", ""), ("", "")],
)
def test_normalise(given: str, kept: str) -> None:
    assert normalise(given) == kept
    assert normalise(kept) == kept


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("chair", 0.4),
        ("dining table", 0.6),
        ("diningtable", 0.6),
        ("wooden kitchen chair", 0.4),
        ("mug", 0.08),
        ("shelf", 0.4),  # on a wall one sees the edge of a board
        ("bookshelf", 0.6),
        ("potted plant", 0.15),
        ("stool", 0.25),
        ("astrolabe", 0.08),
        ("", 0.08),
    ],
)
def test_least_surface(name: str, length: float) -> None:
    assert least_surface(name) == pytest.approx(length**2 / 2)


def test_furniture_stands_on_the_floor() -> None:
    assert all(stands_on_floor(name) for name in ("chair", "office chair", "diningtable", "dining table", "person"))
    assert not any(stands_on_floor(name) for name in ("", "mug", "monitor", "chair leg", "wall cabinet"))


def test_names_in_the_tables_are_written_as_labels_are_kept() -> None:
    assert all(normalise(name) == name for name in STRUCTURE | SUPPORTERS)

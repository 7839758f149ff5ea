"""Percentiles of stage times; the durations are given, none is measured against a clock."""

import pytest

from proxy3d_core.timing import StageTimes


def test_percentiles_of_known_durations() -> None:
    """Of 0, 1, ..., 100 ms the median is 50 ms and the 95th percentile 95 ms."""
    times = StageTimes()
    for ms in range(101):
        times.add("fuse", ms / 1e3)
    assert times.summary() == {"fuse": {"p50": pytest.approx(50), "p95": pytest.approx(95)}}


def test_only_the_newest_are_kept() -> None:
    times = StageTimes(window=10)
    for ms in [1000] * 50 + [2] * 10:
        times.add("fuse", ms / 1e3)
    assert times.summary()["fuse"] == {"p50": pytest.approx(2), "p95": pytest.approx(2)}


def test_stages_are_listed_as_they_first_ran() -> None:
    times = StageTimes()
    assert times.summary() == {}
    for stage in ("observe", "fuse", "observe", "carve"):
        with times.measure(stage):
            pass
    assert list(times.summary()) == ["observe", "fuse", "carve"]
    assert all(0 <= value["p50"] <= value["p95"] for value in times.summary().values())


def test_a_stage_that_failed_is_not_counted() -> None:
    times = StageTimes()
    with pytest.raises(ZeroDivisionError), times.measure("fuse"):
        _ = 1 / 0
    assert times.summary() == {}

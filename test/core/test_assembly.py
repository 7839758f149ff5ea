"""Frames are made of camera messages whatever order, delay or damage they come with; nothing is lost unnamed."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy3d_core.assembly import CAPACITY, DROP_REASONS, FrameAssembler
from proxy3d_core.config import InputConfig
from proxy3d_core.frame import Detection2D, Frame

MS = 1_000_000
K = (50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1)


class Bench:
    """An assembler with a clock and a TF tree that the test turns by hand."""

    def __init__(self, info: bool = True, **settings_: object) -> None:
        self.now = 0.0
        self.pose: object = np.eye(4)
        self.messages: list[tuple[str, str]] = []
        self.made = FrameAssembler(
            InputConfig(**settings_), self.camera_pose, lambda *m: self.messages.append(m), lambda: self.now
        )
        if info:
            self.info()

    def camera_pose(self, frame_id: str, stamp_ns: int) -> np.ndarray:
        pose = self.pose(frame_id, stamp_ns) if callable(self.pose) else self.pose
        if isinstance(pose, Exception):
            raise pose
        return pose

    def info(self, width: int = 64, height: int = 48, k: tuple = K, d: tuple = ()) -> None:
        self.made.set_camera_info("camera_color_optical_frame", width, height, k, d)

    def rgb(self, ms: float, shape: tuple = (48, 64, 3), frame_id: str = "cam", value: int = 7) -> None:
        self.made.add_rgb(int(ms * MS), frame_id, np.full(shape, value, np.uint8))

    def depth(self, ms: float, shape: tuple = (48, 64), frame_id: str = "cam", value: float = 2.0) -> None:
        self.made.add_depth(int(ms * MS), frame_id, np.full(shape, value, np.float32))

    def labels(self, ms: float, value: int = 3, shape: tuple = (48, 64)) -> None:
        self.made.add_labels(int(ms * MS), "cam", np.full(shape, value, np.uint8))

    def take(self) -> Frame | None:
        return self.made.take(0)

    def take_ms(self) -> float | None:
        frame = self.take()
        return None if frame is None else frame.stamp_ns / MS


def test_a_frame_holds_what_the_messages_held() -> None:
    bench = Bench()
    bench.pose = np.array([[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]], float)
    bench.made.set_label_names({3: "chair"})
    bench.labels(100)
    bench.rgb(100)
    bench.depth(100)
    frame = bench.take()
    assert frame is not None
    assert frame.stamp_ns == 100 * MS
    assert frame.depth.shape == (48, 64) and (frame.depth == 2.0).all()
    assert (frame.rgb == 7).all() and (frame.labels == 3).all()
    assert frame.label_names == {3: "chair"}
    assert (frame.intrinsics.fx, frame.intrinsics.cx) == (50.0, 31.5)
    np.testing.assert_array_equal(frame.camera_center, [1, 2, 3])
    assert bench.take() is None
    assert not bench.made.drops


@pytest.mark.parametrize(("offset", "together"), [(0, True), (15, True), (-15, True), (25, False), (-25, False)])
def test_stamps_are_matched_within_the_slop(offset: float, together: bool) -> None:
    bench = Bench(sync_slop=0.02)
    bench.rgb(1000 + offset)
    bench.depth(1000)
    bench.now = 0.03
    assert (bench.take_ms() == 1000) is together


def test_the_nearest_colour_image_is_taken() -> None:
    bench = Bench(sync_slop=0.02)
    bench.rgb(985, value=1)
    bench.depth(1000)
    assert bench.take() is None, "a nearer colour image may still come"
    bench.rgb(1003, value=2)
    frame = bench.take()
    assert frame is not None and (frame.rgb == 2).all()


def test_a_slow_consumer_gets_the_newest_frame_and_the_rest_is_counted() -> None:
    bench = Bench()
    for i in range(1, 6):
        bench.rgb(33 * i)
        bench.depth(33 * i)
    assert bench.take_ms() == 165
    assert bench.take() is None
    assert bench.made.drops == {"superseded": 4}


def test_a_frame_with_semantics_is_not_pushed_out_by_one_without() -> None:
    bench = Bench(semantics_wait=0.1)
    bench.labels(33)
    bench.rgb(33)
    bench.depth(33)
    bench.rgb(66)
    bench.depth(66)
    bench.now = 0.2
    assert bench.take_ms() == 33


# Waiting --------------------------------------------------------------------------------------------------------------


def test_frames_wait_for_camera_info() -> None:
    bench = Bench(info=False)
    bench.rgb(100)
    bench.depth(100)
    assert bench.take() is None
    bench.info()
    assert bench.take_ms() == 100
    assert not bench.made.drops


def test_without_camera_info_frames_are_dropped_after_the_timeout() -> None:
    bench = Bench(info=False, sync_timeout=1.0)
    bench.rgb(100)
    bench.depth(100)
    bench.now = 1.1
    assert bench.take() is None
    assert bench.made.drops == {"no_camera_info": 1}
    assert "rgb/camera_info" in bench.made.last_drop["no_camera_info"]


def test_a_change_of_camera_info_is_noticed_and_used() -> None:
    bench = Bench()
    bench.info()
    assert bench.messages == []
    bench.info(k=(60.0, 0, 31.5, 0, 60.0, 23.5, 0, 0, 1))
    assert bench.messages[0][0] == "warning" and "changed" in bench.messages[0][1]
    bench.rgb(100)
    bench.depth(100)
    frame = bench.take()
    assert frame is not None and frame.intrinsics.fx == 60.0


def test_a_frame_is_held_until_tf_arrives() -> None:
    bench = Bench(tf_timeout=1.0)
    bench.pose = LookupError("ends 0.1 s before the stamp asked for")
    for ms in (100, 133):
        bench.rgb(ms)
        bench.depth(ms)
    bench.now = 0.5
    assert bench.take() is None and bench.made.waiting == 2
    bench.pose = lambda frame_id, stamp_ns: np.eye(4) if stamp_ns == 100 * MS else LookupError("not yet")
    assert bench.take_ms() == 100
    bench.pose = np.eye(4)
    assert bench.take_ms() == 133
    assert not bench.made.drops


def test_without_tf_frames_are_dropped_with_the_reason_tf_gives() -> None:
    bench = Bench(tf_timeout=1.0)
    bench.pose = LookupError("no transform between 'map' and 'cam'; frames in TF: none")
    bench.rgb(100)
    bench.depth(100)
    bench.now = 1.0
    assert bench.take() is None
    assert bench.made.drops == {"no_transform": 1}
    assert "frames in TF: none" in bench.made.last_drop["no_transform"]


def test_tf_is_asked_for_the_optical_frame_at_the_image_stamp() -> None:
    bench = Bench()
    asked = []
    bench.pose = lambda frame_id, stamp_ns: (asked.append((frame_id, stamp_ns)), np.eye(4))[1]
    bench.rgb(100)
    bench.depth(100, frame_id="/my_optical_frame")
    assert bench.take_ms() == 100
    assert asked == [("my_optical_frame", 100 * MS)]


def test_a_frame_waits_for_labels_while_they_are_published_and_goes_on_without() -> None:
    bench = Bench(semantics_wait=0.25)
    bench.labels(10)  # the segmenter lives
    bench.rgb(100)
    bench.depth(100)
    assert bench.take() is None
    bench.labels(100)
    frame = bench.take()
    assert frame is not None and frame.labels is not None
    bench.rgb(133)
    bench.depth(133)
    assert bench.take() is None
    bench.now = 0.3
    frame = bench.take()
    assert frame is not None and frame.labels is None and frame.stamp_ns == 133 * MS
    bench.labels(133)
    assert bench.made.drops == {"late_semantics": 1}


def test_a_later_label_image_says_that_none_will_come_for_this_frame() -> None:
    bench = Bench(semantics_wait=0.25)
    bench.labels(10)
    bench.rgb(100)
    bench.depth(100)
    assert bench.take() is None
    bench.labels(200)
    frame = bench.take()
    assert frame is not None and frame.labels is None


def test_nobody_waits_for_semantics_that_nobody_publishes_or_wants() -> None:
    bench = Bench()
    bench.rgb(100)
    bench.depth(100)
    assert bench.take_ms() == 100
    bench = Bench(semantics="none")
    bench.labels(10)
    bench.labels(100)
    bench.rgb(100)
    bench.depth(100)
    frame = bench.take()
    assert frame is not None and frame.labels is None


def test_a_segmenter_that_died_is_not_waited_for() -> None:
    bench = Bench(silent_after=5.0, semantics_wait=0.25)
    bench.labels(10)
    bench.now = 6.0
    bench.rgb(6000)
    bench.depth(6000)
    assert bench.take_ms() == 6000


def test_take_wakes_up_when_a_frame_is_complete() -> None:
    made = FrameAssembler(InputConfig(), lambda frame_id, stamp_ns: np.eye(4))
    made.set_camera_info("cam", 64, 48, K)
    got: list[Frame | None] = []
    consumer = threading.Thread(target=lambda: got.append(made.take(20.0)))
    consumer.start()
    made.add_rgb(MS, "cam", np.zeros((48, 64, 3), np.uint8))
    made.add_depth(MS, "cam", np.ones((48, 64), np.float32))
    consumer.join(10)
    assert got and got[0] is not None


def test_take_returns_nothing_after_its_timeout() -> None:
    made = FrameAssembler(InputConfig(), lambda frame_id, stamp_ns: np.eye(4))
    start = time.monotonic()
    assert made.take(0.05) is None
    assert time.monotonic() - start >= 0.05


# Bad input ------------------------------------------------------------------------------------------------------------


def test_zero_repeated_and_old_stamps() -> None:
    bench = Bench()
    bench.rgb(0)
    bench.depth(0)
    assert bench.made.drops == {"zero_stamp": 2}
    for _ in range(2):
        bench.rgb(100)
        bench.depth(100)
    assert bench.take_ms() == 100
    assert bench.made.drops == {"zero_stamp": 2, "repeated_stamp": 2}
    bench.rgb(66)
    bench.depth(66)
    assert bench.take() is None
    assert bench.made.drops["out_of_order"] == 2


def test_out_of_order_images_that_still_wait_are_used() -> None:
    bench = Bench()
    bench.depth(133)
    bench.depth(100)
    bench.rgb(100)
    assert bench.take_ms() == 100
    bench.rgb(133)
    assert bench.take_ms() == 133


def test_a_clock_that_jumps_back_resets_the_buffers() -> None:
    bench = Bench()
    bench.rgb(3_600_000)
    bench.depth(3_600_000)
    assert bench.take_ms() == 3_600_000
    for ms in (33, 66, 100):
        bench.rgb(ms)
        bench.depth(ms)
    assert bench.take_ms() == 100
    assert bench.made.jumps >= 1
    assert any("jumped back" in text for _, text in bench.messages)


def test_one_stray_stamp_does_not_reset_anything() -> None:
    bench = Bench()
    bench.rgb(10_000)
    bench.depth(10_000)
    bench.depth(1)
    bench.depth(10_033)
    bench.rgb(10_033)
    assert bench.take_ms() == 10_033
    assert bench.made.jumps == 0


@pytest.mark.parametrize(
    ("k", "words"), [((0.0,) * 9, "not calibrated"), ((np.nan,) * 9, "NaN"), ((1.0,) * 4, "9"), ((-50.0, *K[1:]), "fx")]
)
def test_impossible_intrinsics_are_named(k: tuple, words: str) -> None:
    bench = Bench(info=False)
    bench.info(k=k)
    bench.rgb(100)
    bench.depth(100)
    bench.now = 2
    assert bench.take() is None
    assert bench.made.drops == {"bad_camera_info": 1}
    assert words in bench.made.last_drop["bad_camera_info"]


def test_colour_of_another_size_is_resampled_onto_the_depth_grid() -> None:
    bench = Bench()
    bench.info(128, 96, (100.0, 0, 63.5, 0, 100.0, 47.5, 0, 0, 1))
    bench.rgb(100, (96, 128, 3))
    bench.depth(100)
    frame = bench.take()
    assert frame is not None and frame.rgb.shape == (48, 64, 3)
    # Half the pixels: half the focal length; the optical axis stays in the middle of the image.
    assert (frame.intrinsics.fx, frame.intrinsics.cx, frame.intrinsics.cy) == (50.0, 31.5, 23.5)


def test_label_ids_survive_resampling() -> None:
    bench = Bench()
    bench.rgb(100, (96, 128, 3))
    labels = np.zeros((96, 128), np.uint8)
    labels[:, 64:] = 200
    bench.made.add_labels(100 * MS, "cam", labels)
    bench.depth(100)
    frame = bench.take()
    assert frame is not None
    np.testing.assert_array_equal(frame.labels, np.repeat([[0] * 32 + [200] * 32], 48, axis=0))


@pytest.mark.parametrize("case", ["info", "rgb"])
def test_sizes_that_cannot_be_the_same_picture_are_named(case: str) -> None:
    bench = Bench()
    if case == "info":
        bench.info(64, 36)
    bench.rgb(100, (36, 64, 3) if case == "rgb" else (48, 64, 3))
    bench.depth(100)
    assert bench.take() is None
    assert bench.made.drops == {"size_mismatch": 1}
    text = bench.made.last_drop["size_mismatch"]
    assert "64x48" in text and "64x36" in text and "registered" in text


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0, np.inf])
def test_empty_depth(value: float) -> None:
    bench = Bench()
    bench.rgb(100)
    bench.depth(100, value=value)
    assert bench.take() is None
    assert bench.made.drops == {"empty_depth": 1}


def test_invalid_depth_becomes_zero() -> None:
    bench = Bench()
    depth = np.full((48, 64), 2.0, np.float32)
    depth[0, :4] = (np.nan, np.inf, -1, 0)
    bench.rgb(100)
    bench.made.add_depth(100 * MS, "cam", depth)
    frame = bench.take()
    assert frame is not None
    assert (frame.depth[0, :4] == 0).all() and (frame.depth[1:] == 2).all()


def test_depth_in_the_wrong_unit_is_noted() -> None:
    bench = Bench()
    bench.rgb(100)
    bench.depth(100, value=2000.0)
    assert bench.take_ms() == 100
    assert any("REP-118" in note for note in bench.made.notes())


@pytest.mark.parametrize(
    "pose",
    [np.full((4, 4), np.nan), np.diag([2.0, 2, 2, 1]), np.diag([1.0, 1, -1, 1]), np.full((4, 4), np.inf)],
    ids=["NaN", "scaled", "mirrored", "infinite"],
)
def test_transforms_that_are_no_poses(pose: np.ndarray) -> None:
    bench = Bench()
    bench.pose = pose
    bench.rgb(100)
    bench.depth(100)
    assert bench.take() is None
    assert bench.made.drops == {"bad_transform": 1}


def test_wrong_dimensions_and_types() -> None:
    bench = Bench()
    bench.made.add_rgb(MS, "cam", np.zeros((48, 64), np.uint8))
    bench.made.add_rgb(MS, "cam", np.zeros((48, 64, 3), np.float32))
    bench.made.add_depth(MS, "cam", np.zeros((48, 64), np.uint16))
    bench.made.add_depth(MS, "cam", np.zeros((0, 0), np.float32))
    bench.made.add_labels(MS, "cam", np.zeros((48, 64), np.float32))
    assert bench.made.drops == {"bad_image": 5}


def test_a_header_without_frame_id_falls_back_to_that_of_the_camera_info() -> None:
    bench = Bench()
    bench.rgb(100, frame_id="")
    bench.depth(100, frame_id="")
    assert bench.take_ms() == 100
    bench.made.set_camera_info("", 64, 48, K)
    bench.rgb(133, frame_id="")
    bench.depth(133, frame_id="")
    assert bench.take() is None
    assert bench.made.drops == {"no_frame_id": 1}


def test_label_ids_outside_the_list_are_noted_and_the_frame_is_used() -> None:
    bench = Bench()
    bench.made.set_label_names({1: "chair"})
    bench.labels(100, value=57)
    bench.rgb(100)
    bench.depth(100)
    assert bench.take_ms() == 100
    assert any("57" in note and "input.label_names" in note for note in bench.made.notes())
    bench.now = 60.0
    assert bench.made.notes() == []


def test_labels_of_another_shape_are_left_out() -> None:
    bench = Bench()
    bench.labels(100, shape=(48, 48))
    bench.rgb(100)
    bench.depth(100)
    frame = bench.take()
    assert frame is not None and frame.labels is None
    assert bench.made.drops == {"bad_semantics": 1}


def test_detections_come_in_colour_pixels_and_lie_on_the_depth_grid() -> None:
    bench = Bench()
    bench.made.set_label_names({9: "chair"})
    bench.rgb(100, (96, 128, 3))
    boxes = [
        Detection2D("9", 0.8, 20, 40, 60, 80),
        Detection2D("table", 0.5, -10, -10, 300, 300),
        Detection2D("gone", 0.9, 200, 10, 220, 20),
        Detection2D("nan", 0.9, np.nan, 10, 20, 20),
    ]
    bench.made.add_detections(100 * MS, "cam", boxes)
    bench.depth(100)
    frame = bench.take()
    assert frame is not None
    assert frame.detections == (Detection2D("chair", 0.8, 10, 20, 30, 40), Detection2D("table", 0.5, 0, 0, 64, 48))
    assert bench.made.drops == {"bad_semantics": 2}


def test_images_that_never_find_a_partner_do_not_pile_up() -> None:
    bench = Bench()
    for i in range(1, 3 * CAPACITY):
        bench.rgb(10 * i)
    assert bench.made.drops["overflow"] == 2 * CAPACITY - 1
    bench.now = 10
    assert bench.take() is None
    assert bench.made.drops["no_depth"] == CAPACITY
    bench.rgb(100_000)
    bench.depth(200_000)
    bench.now = 12
    assert bench.take() is None
    assert bench.made.drops["no_rgb"] == 1
    assert "newest is -100.000 s off" in bench.made.last_drop["no_rgb"]


# Any order ------------------------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_interleaving_of_ordered_streams_delivers_every_frame_once_and_in_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    streams = {
        "rgb": list(range(1, count + 1)),
        "depth": list(range(1, count + 1)),
        "labels": list(range(1, count + 1)),
    }
    bench = Bench(semantics="labels")
    delivered = []
    while any(streams.values()):
        name = data.draw(st.sampled_from([n for n, left in streams.items() if left]))
        getattr(bench, name)(33 * streams[name].pop(0))
        frame = bench.take()
        if frame is not None:
            assert frame.labels is not None
            delivered.append(frame.stamp_ns // (33 * MS))
    assert delivered == list(range(1, count + 1))
    assert not bench.made.drops


@given(
    st.lists(
        st.tuples(st.sampled_from(["rgb", "depth", "labels", "take", "late", "tf"]), st.integers(0, 20)), max_size=80
    )
)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_every_depth_image_is_delivered_or_counted(events: list[tuple[str, int]]) -> None:
    bench = Bench(clock_jump=3600)
    given_, delivered = 0, []
    for name, number in events:
        if name == "take":
            delivered.append(bench.take_ms())
        elif name == "late":
            bench.now += number / 10
        elif name == "tf":
            bench.pose = np.eye(4) if number % 2 else LookupError("not yet")
        else:
            given_ += name == "depth"
            getattr(bench, name)(40 * number)
    delivered.append(bench.take_ms())
    delivered = [ms for ms in delivered if ms is not None]
    assert delivered == sorted(set(delivered))
    assert set(bench.made.drops) <= set(DROP_REASONS)
    # Colour and label messages are counted too, so the drops can only be more than what is missing.
    assert len(delivered) + bench.made.waiting + sum(bench.made.drops.values()) >= given_

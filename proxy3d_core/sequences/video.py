"""A video file: colour only. Its frames are dropped as ``no depth`` until a depth model is configured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from proxy3d_core.errors import SequenceError
from proxy3d_core.sequences.base import FRAME_RATE, NO_DEPTH, Record, Sequence, spread

FORMAT = "video"
LOOKS_LIKE = ".mp4, .avi, .mov, .mkv or .webm file"
_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def recognise(path: Path) -> bool:
    """True for the name of a video file."""
    return path.is_file() and path.suffix.lower() in _SUFFIXES


class VideoSequence(Sequence):
    """Colour frames of a video, without depth and pose; each record carries ``rgb`` and is marked as dropped.

    Raises:
        SequenceError: the file is no video that OpenCV can decode.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.format = FORMAT
        self.label_names = {}
        self._path = path
        video = self._open()
        rate = video.get(cv2.CAP_PROP_FPS)
        self._period_ns = 1e9 / (rate if 0 < rate < 1000 else FRAME_RATE)
        self._length = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        readable = video.grab()
        video.release()
        if not readable:
            raise SequenceError(f"{path} is not a video that OpenCV can decode")

    def _open(self) -> cv2.VideoCapture:
        return cv2.VideoCapture(str(self._path))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Record]:
        return self._read(None)

    def sample(self, count: int) -> Iterator[Record]:
        """At most ``count`` frames, spread evenly."""
        return self._read(spread(self._length, count))

    def _read(self, wanted: list[int] | None) -> Iterator[Record]:
        video = self._open()
        try:
            for index in itertools.count() if wanted is None else wanted:
                if wanted is not None:
                    video.set(cv2.CAP_PROP_POS_FRAMES, index)
                ok, bgr = video.read()
                if not ok:
                    return
                rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
                yield Record(index, round(index * self._period_ns), dropped=NO_DEPTH, rgb=rgb)
        finally:
            video.release()


def read(path: Path) -> VideoSequence:
    """The sequence in a file. Raises SequenceError."""
    return VideoSequence(path)

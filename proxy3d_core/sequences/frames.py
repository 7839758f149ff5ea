"""From a recorded sequence to frames in a z-up world, decoded ahead of their use."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Frame
from proxy3d_core.perception.level import Level, level_frame
from proxy3d_core.sequences.base import Record, Sequence

_AHEAD = 4


class FrameStream:
    """Iterates over the usable frames of a sequence, poses turned into the levelled (z-up) frame.

    Decoding runs in a thread of its own (image decoders release the interpreter lock), at most a few frames ahead.

    Attributes:
        dropped: how many frames were left out so far, by reason.
        read: how many frames were read so far, dropped ones included.
    """

    def __init__(self, sequence: Sequence, level: Level) -> None:
        self._sequence = sequence
        self._level = level
        self.dropped: Counter[str] = Counter()
        self.read = 0

    def __len__(self) -> int:
        """Number of frames of the sequence, dropped ones included."""
        return len(self._sequence)

    def __iter__(self) -> Iterator[Frame]:
        self.dropped.clear()
        self.read = 0
        for record in _ahead(self._sequence):
            self.read += 1
            try:
                frame = level_frame(record, self._sequence, self._level)
            except BadInput as error:
                self.dropped[str(error)] += 1
            else:
                yield frame


def frames(sequence: Sequence, level: Level) -> FrameStream:
    """The usable frames of a sequence in the levelled frame; the stream counts what it drops."""
    return FrameStream(sequence, level)


def _ahead(sequence: Sequence) -> Iterator[Record]:
    """The records of a sequence, decoded by another thread."""
    ready: queue.Queue[Record | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def offer(item: Record | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                break

    def decode() -> None:
        try:
            for record in sequence:
                if stop.is_set():
                    return
                offer(record)
        except BaseException as error:  # handed to the reader, who raises it
            offer(error)
        else:
            offer(None)

    thread = threading.Thread(target=decode, name="sequence-decoder", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()

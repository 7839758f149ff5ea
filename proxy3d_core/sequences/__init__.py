"""Recorded RGB-D sequences: one way to read all formats, and a writer of rosbag2."""

from proxy3d_core.sequences.base import Record, Sequence
from proxy3d_core.sequences.frames import FrameStream, frames
from proxy3d_core.sequences.recognise import open_sequence

__all__ = ["FrameStream", "Record", "Sequence", "frames", "open_sequence"]

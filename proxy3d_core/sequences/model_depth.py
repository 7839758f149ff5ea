"""A recorded sequence whose depth a model gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy3d_core.errors import BadInput
from proxy3d_core.perception.depth_models import DepthSource
from proxy3d_core.sequences.base import NO_DEPTH, Record, Sequence

NO_POSE = "no camera pose"
"""Why a frame with colour but without pose is dropped."""

_COMPARED = 12  # frames from which a scale is taken before the first one is used


class ModelDepthSequence(Sequence):
    """Frames of another sequence with the depth of a model; the sensor's, where recorded, checks the model's scale.

    Args:
        sequence: colour images with calibration and poses.
        source: gives the depth. Where its scale is to come from the sensor, some frames are compared now, so that all
            frames get the same scale.
    """

    def __init__(self, sequence: Sequence, source: DepthSource) -> None:
        self.name, self.format, self.label_names = sequence.name, sequence.format, sequence.label_names
        self.up, self.fixed_frame = sequence.up, sequence.fixed_frame
        self.source = source
        self._sequence = sequence
        if source.needs_sensor:
            for record in sequence.sample(_COMPARED):
                self._complete(record)
            source.keep_scale()

    def __len__(self) -> int:
        return len(self._sequence)

    def __iter__(self) -> Iterator[Record]:
        return map(self._complete, self._sequence)

    def sample(self, count: int) -> Iterator[Record]:
        """At most ``count`` frames, spread evenly; the model runs on these only."""
        return map(self._complete, self._sequence.sample(count))

    def _complete(self, record: Record) -> Record:
        """The record with the model's depth."""
        if record.dropped not in ("", NO_DEPTH):
            return record
        if record.rgb is None:
            return replace(record, dropped="no colour image for the depth model")
        if record.pose is None or record.intrinsics is None:
            return replace(record, dropped=NO_POSE)
        try:
            depth = self.source.depth(record.rgb, record.intrinsics, record.depth)
        except BadInput as error:
            return replace(record, dropped=str(error))
        return replace(record, dropped="", depth=depth, scale_uncertainty=self.source.uncertainty)

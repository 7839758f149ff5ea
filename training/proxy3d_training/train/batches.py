"""Samples to batches: a row for each scene, with all questions on it packed behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.references import ReferenceCodes, References
from proxy3d_core.scene.snapshot import ProxySet
from proxy3d_core.vlm.inputs import SceneTokens, collate
from proxy3d_core.vlm.packing import pack
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_training.data.dataset import Item
from proxy3d_training.data.schema import Sample, Thing


@dataclass(frozen=True)
class Collator:
    """For ``DataLoader(collate_fn=...)``: items to the arguments of ``ProxyVLM.forward``.

    Attributes:
        prompts: of the model.
        codes: of the encoder whose features the proxies have.
        placed: False = positions are left out (stage I).
    """

    prompts: PromptFormat
    codes: ReferenceCodes
    placed: bool = True

    def __call__(self, items: Sequence[Item]) -> dict[str, Any]:
        """One row for each thing that is seen, in the order in which it first comes up.

        Raises:
            BadInput: a sample shows a prepared scene that did not come with it, or symbols without a place.
        """
        shown: dict[Any, list[Item]] = {}
        for item in items:
            shown.setdefault(_what_is_seen(item), []).append(item)
        scenes = [self._scene(rows[0]) for rows in shown.values()]
        packed = pack(
            [self.prompts.prefix(len(scene)) for scene in scenes],
            [[self._pair(item.sample) for item in rows] for rows in shown.values()],
            self.prompts.pad,
        )
        return vars(packed) | collate(scenes)

    def _pair(self, sample: Sample) -> tuple[list[int], list[int]]:
        return self.prompts.question(sample.prompt()), self.prompts.answer(sample.answer.text)

    def _scene(self, item: Item) -> SceneTokens:
        if item.sample.view == "symbols":
            return symbols(item.sample.objects, self.codes, self.placed)
        if item.scene is None or item.proxies is None or item.markers is None:
            raise BadInput(f"sample {item.sample.id} asks of a scene; give SpaceSpan the prepared scenes")
        pairs = zip(item.markers.tolist(), item.proxies.groups.tolist(), strict=True)
        references = References({number: group for number, group in pairs if number >= 0})
        # a prepared scene lies on its floor; of the two codes real scenes keep the identifier
        tokens = SceneTokens.of(item.proxies, references, self.codes, floor=item.scene.about.floor)
        return tokens if self.placed else replace(tokens, positions=None)


def symbols(things: Sequence[Thing], codes: ReferenceCodes, placed: bool = True) -> SceneTokens:
    """One proxy for each thing that is nothing but its codes, at the centre of its box (stages I and II).

    Positions count from the floor (z = 0) under the mean of the centres, as stage II's questions do.

    Args:
        things: with different ids.
        codes: of markers and categories.
        placed: False = without positions; things need no boxes then.

    Raises:
        BadInput: nothing is shown, or a thing has no box though places are told.
    """
    if not things or (placed and any(thing.box is None for thing in things)):
        raise BadInput("symbols need things, and boxes to be told where they are")
    centers = np.array([(0, 0, 0) if thing.box is None else thing.box.center for thing in things], np.float32)
    channels = codes.identifiers([0]).shape[1]
    ones = np.ones(len(things), np.float32)
    proxies = ProxySet(
        centers, np.zeros((len(things), channels), np.float32), ones, ones, np.array([thing.id for thing in things])
    )
    references = References({thing.marker: thing.id for thing in things if thing.marker is not None})
    labels = {thing.id: thing.label for thing in things if thing.label is not None}
    tokens = SceneTokens.of(proxies, references, codes, labels, floor=0.0)
    return tokens if placed else replace(tokens, positions=None)


def _what_is_seen(item: Item) -> Any:
    """Equal for items that can share a prefix."""
    if item.sample.view == "symbols":
        return tuple((thing.id, thing.marker, thing.label, thing.box) for thing in item.sample.objects)
    return item.sample.scene.name if item.sample.scene else None

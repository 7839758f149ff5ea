"""A snapshot's proxies as the model reads them: with the codes of referenced objects, in order, from the origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.references import ReferenceCodes, References
from proxy3d_core.proxies.serialise import scene_origin, serialise
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, ProxySet


class NamedObject(Protocol):
    """Whatever has an id and a label."""

    @property
    def id(self) -> int: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True, eq=False)
class SceneTokens:
    """The K proxies of a scene in the order of reading.

    Attributes:
        features: (K, C) float32, codes of referenced objects added.
        positions: (K, 3) float32 metres from the scene's origin, z up; None = not told.
        groups: (K,) int64 of which object each one is.
        area: of the floor, square metres; None = not known.
    """

    features: NDArray[np.float32]
    positions: NDArray[np.float32] | None
    groups: NDArray[np.int64]
    area: float | None = None

    @classmethod
    def of(
        cls,
        proxies: ProxySet,
        references: References | None = None,
        codes: ReferenceCodes | None = None,
        labels: Mapping[int, str] | None = None,
        floor: float | None = None,
        area: float | None = None,
    ) -> SceneTokens:
        """Proxy3D's steps 6 to 8, up to what is learned.

        Args:
            proxies: of the scene.
            references: which markers stand for which objects; needs ``codes``.
            codes: of the proxies' own encoder.
            labels: category by object id, if categories are to be told (``names_of``).
            floor: height of the floor, metres; None = that of the lowest proxy.
            area: of the floor, square metres, if it is known.

        Raises:
            BadInput: references or labels without codes, or codes of another encoder.
        """
        if codes is None and (references is not None or labels):
            raise BadInput("references and labels are told by codes; give codes too")
        features = proxies.features
        if codes is not None and len(proxies):
            features = codes.add(proxies, references or References(), labels)
        origin = scene_origin(proxies, floor)
        order = serialise(proxies, origin)
        positions = (proxies.positions - origin).astype(np.float32)
        return cls(features[order].astype(np.float32), positions[order], proxies.groups[order], area)

    def __len__(self) -> int:
        return len(self.features)


def names_of(objects: Iterable[NamedObject]) -> dict[int, str]:
    """Category by id of those objects that have one."""
    return {thing.id: thing.label for thing in objects if thing.label != UNKNOWN_LABEL}


def collate(scenes: Sequence[SceneTokens], device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Arguments ``features``, ``positions``, ``proxy_mask`` of ``ProxyVLM.forward``, filled up with zeros.

    Raises:
        BadInput: scenes of different channels, or some with positions and some without.
    """
    channels = {scene.features.shape[1] for scene in scenes}
    placed = {scene.positions is not None for scene in scenes}
    if len(channels) != 1 or len(placed) != 1:
        raise BadInput(f"scenes of {sorted(channels)} channels, with positions: {sorted(placed)}; all must be alike")
    most = max(map(len, scenes))
    features = torch.zeros(len(scenes), most, channels.pop())
    positions = torch.zeros(len(scenes), most, 3)
    mask = torch.zeros(len(scenes), most, dtype=torch.bool)
    for row, scene in enumerate(scenes):
        features[row, : len(scene)] = torch.from_numpy(scene.features)
        mask[row, : len(scene)] = True
        if scene.positions is not None:
            positions[row, : len(scene)] = torch.from_numpy(scene.positions)
    batch = {"features": features, "proxy_mask": mask} | ({"positions": positions} if placed.pop() else {})
    return {name: tensor.to(device) for name, tensor in batch.items()}

"""Where the model looked while it answered (Proxy3D, supplement, Figure 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.proxies.serialise import scene_origin
from proxy3d_core.scene.snapshot import Snapshot
from proxy3d_core.vlm.inputs import SceneTokens
from proxy3d_core.vlm.prefix import ScenePrefix


@dataclass(frozen=True, eq=False)
class ProxyAttention:
    """The attention of an answer's tokens to the K proxies: mean over tokens, layers and heads.

    Attributes:
        question: as the model read it.
        reply: what it said.
        positions: (K, 3) of the proxies, metres, fixed frame.
        groups: (K,) object ids, negative = no object.
        share: (K,) of all attention to proxies; the sum is 1.
        seen: of all attention, how much went to proxies, 0..1.
    """

    question: str
    reply: str
    positions: NDArray[np.float32]
    groups: NDArray[np.int64]
    share: NDArray[np.float32]
    seen: float

    def of_objects(self) -> dict[int, float]:
        """Share by group, the largest first."""
        groups, rank = np.unique(self.groups, return_inverse=True)
        sums = np.bincount(rank, self.share)
        return {int(groups[i]): float(sums[i]) for i in np.argsort(-sums, kind="stable")}


def proxy_attention(
    prefix: ScenePrefix, tokens: SceneTokens, snapshot: Snapshot, question: str, reply: str
) -> ProxyAttention:
    """The attention of a reply.

    Args:
        prefix: of the scene; nobody else may use its model meanwhile.
        tokens: that it read, with positions.
        snapshot: that they are of.
        question, reply: what was asked, and said.
    """
    looks = prefix.attention(question, reply).mean(dim=0).cpu().numpy()
    own = looks[-1 - len(tokens) : -1]  # the prefix ends with the proxies and the token that closes the scene
    seen = float(own.sum())
    assert tokens.positions is not None
    positions = tokens.positions + scene_origin(snapshot.proxies, snapshot.floor.height)
    share = own / seen if seen > 0 else np.full(len(own), 1 / len(own))
    return ProxyAttention(question, reply, positions.astype(np.float32), tokens.groups, share.astype(np.float32), seen)

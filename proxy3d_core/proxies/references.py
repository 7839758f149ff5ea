"""Object references: <OBJ000> ... <OBJ099> stand for objects in questions and answers (Proxy3D, section 3).

What an object is called in the prompt is also added to its proxies: the visual encoder's own feature of a tiny picture
of the marker's number (identifier code) and of its category (category code). Nothing is learned for it, and both live
in the space that the language model reads anyway.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.scene.snapshot import ProxySet, SceneObject

MARKERS = 100
"""How many markers there are."""

PICTURE = 28
"""Edge of a picture, pixels: one merged token of Qwen2.5-VL."""

Picture = NDArray[np.uint8]
Encode = Callable[[Sequence[Picture]], Any]
"""Pictures (PICTURE, PICTURE, 3) to features (N, h, w, C), numpy or torch: ``SemanticEncoder.encode``."""

_MARKER = re.compile(r"<OBJ(\d{3})>")
_HOLD = 0.1  # a newcomer must be this much more certain to take the marker of an object


def marker(index: int) -> str:
    """``<OBJ007>`` for 7.

    Raises:
        BadInput: there is no such marker.
    """
    if not 0 <= index < MARKERS:
        raise BadInput(f"there is no marker {index}; there are {MARKERS}, from 0 on")
    return f"<OBJ{index:03d}>"


def find_markers(text: str) -> list[int]:
    """Indices of the markers in a text, in order, repeated ones included; <OBJ100> and beyond are none."""
    return [int(digits) for digits in _MARKER.findall(text) if int(digits) < MARKERS]


@dataclass(frozen=True)
class References:
    """Which object each marker stands for. Markers count in the order in which objects were first seen.

    Attributes:
        object_of: object id by marker index.
    """

    object_of: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def assign(cls, objects: Iterable[SceneObject], previous: References | None = None) -> References:
        """Markers for the objects of a scene, in the order in which they were first seen.

        If there are more objects than markers, those that are there go before those that are gone, then the more
        certain ones. An object keeps the marker it had in ``previous`` while it has one; when markers are short, a
        newcomer takes one only if it is clearly more certain. Newcomers count on from the last marker in use, so that
        the order tells who came later; those that have become free between are taken when no others are left.
        """
        held = {} if previous is None else previous.index_of
        best = sorted(objects, key=lambda o: (not o.present, -(o.certainty + _HOLD * (o.id in held)), o.id))[:MARKERS]
        kept = {held[o.id]: o.id for o in best if o.id in held}
        new = sorted((o for o in best if o.id not in held), key=lambda o: (o.first_seen_ns, o.id))
        last = max(kept, default=-1)
        free = sorted((i for i in range(MARKERS) if i not in kept), key=lambda i: (i < last, i))
        taken = sorted(free[: len(new)])
        return cls(dict(sorted((kept | {i: o.id for i, o in zip(taken, new, strict=True)}).items())))

    @property
    def index_of(self) -> dict[int, int]:
        """Marker index by object id."""
        return {identity: index for index, identity in self.object_of.items()}

    def marker_of(self, object_id: int) -> str | None:
        """The marker of an object, or None if it has none."""
        index = self.index_of.get(object_id)
        return None if index is None else marker(index)

    def objects_in(self, text: str) -> list[int]:
        """Ids of the objects that a text names by marker, each once, in order; markers of no object are skipped."""
        return list(dict.fromkeys(self.object_of[i] for i in find_markers(text) if i in self.object_of))


def numeral_picture(index: int) -> Picture:
    """(PICTURE, PICTURE, 3) the two digits of a marker, black on white.

    Raises:
        BadInput: there is no such marker.
    """
    marker(index)
    image = np.full((PICTURE, PICTURE, 3), 255, np.uint8)
    cv2.putText(image, f"{index:02d}", (2, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 2, cv2.LINE_AA)
    return image


def category_picture(name: str) -> Picture:
    """(PICTURE, PICTURE, 3) an icon for a category: its initials on a mirrored pattern in a colour, all from its name.

    Letter case and spaces around the name do not matter.
    """
    name = " ".join(name.lower().split())
    bits = hashlib.sha256(name.encode()).digest()
    ink = np.array(colorsys.hls_to_rgb(bits[0] / 256, 0.45, 0.9)) * 255
    half = np.array([byte & 1 for byte in bits[1:22]], bool).reshape(7, 3)
    middle = np.array([byte & 1 for byte in bits[22:29]], bool)[:, None]
    pattern = np.hstack([half, middle, half[:, ::-1]])
    cells = np.where(pattern[..., None], ink, 255).astype(np.uint8)
    image = cv2.resize(cells, (PICTURE, PICTURE), interpolation=cv2.INTER_NEAREST)
    for color, width in (((255, 255, 255), 4), ((0, 0, 0), 1)):
        cv2.putText(image, name[:2], (3, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, width, cv2.LINE_AA)
    return np.asarray(image, dtype=np.uint8)


class ReferenceCodes:
    """Codes of markers and categories: what a visual encoder sees in their pictures, each looked at once."""

    def __init__(self, encode: Encode) -> None:
        """``encode``: pictures to features, such as ``load_encoder(...).encode``."""
        self._encode = encode
        self._known: dict[int | str, NDArray[np.float32]] = {}

    def identifiers(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """(N, C) identifier codes of marker indices, N >= 1."""
        return self._codes(indices, numeral_picture)

    def categories(self, names: Sequence[str]) -> NDArray[np.float32]:
        """(N, C) category codes of names, N >= 1."""
        return self._codes(names, category_picture)

    def add(
        self, proxies: ProxySet, references: References, labels: Mapping[int, str] | None = None
    ) -> NDArray[np.float32]:
        """(K, C) features of the proxies with the codes of their objects added; background stays as it is.

        Args:
            proxies: with features of this encoder.
            references: proxies of an object with a marker get its identifier code.
            labels: category by object id; proxies of an object in it get its category code as well.

        Raises:
            BadInput: the proxies' features are not of this encoder.
        """
        features = proxies.features.astype(np.float32)
        marked, named = references.index_of, labels or {}
        for group in np.unique(proxies.groups).tolist():
            codes = [self.identifiers([marked[group]])] if group in marked else []
            codes += [self.categories([named[group]])] if group in named else []
            for code in codes:
                if code.shape[1:] != features.shape[1:]:
                    raise BadInput(f"codes have {code.shape[1]} channels, the proxies {features.shape[1]}")
                features[proxies.groups == group] += code
        return features

    def _codes(self, keys: Sequence[Any], draw: Callable[[Any], Picture]) -> NDArray[np.float32]:
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        if new:
            seen: ArrayLike = self._encode([draw(key) for key in new])
            if hasattr(seen, "detach"):
                seen = seen.detach().float().cpu().numpy()
            grid = np.asarray(seen, dtype=np.float32)
            self._known.update(zip(new, grid.reshape(len(new), -1, grid.shape[-1]).mean(axis=1), strict=True))
        return np.stack([self._known[key] for key in keys])

"""Names of colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.reasoning.lexicon import COLORS

Array = NDArray[np.float64]


def color_name(rgb: tuple[float, float, float]) -> tuple[str, float]:
    """The nearest colour name in CIE Lab, and by how much it is nearer than the next (share of the distance)."""
    lab = _lab(np.array([rgb, *COLORS.values()]))
    distances = np.linalg.norm(lab[1:] - lab[0], axis=1)
    order = np.argsort(distances)
    return list(COLORS)[int(order[0])], float(1 - distances[order[0]] / max(distances[order[1]], 1e-9))


def _lab(rgb: Array) -> Array:
    """sRGB 0..255 (N, 3) to CIE L*a*b* under D65 (IEC 61966-2-1)."""
    c = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = (
        linear
        @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
        / (0.95047, 1.0, 1.08883)
    )
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.column_stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])])

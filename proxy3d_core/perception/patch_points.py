"""One 3D point per cell of a feature grid (Proxy3D, arXiv 2605.08064, section 3: the point map sampled to the patches).

A patch that covers a depth edge has no meaningful mean: the mean of a chair and of the wall behind it lies in the air
between them. So each cell gives a measured pixel of its dominant surface, and pixels on edges are never taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.frame import Frame

_SAMPLES = 6  # pixels looked at along each edge of a cell; more cost time and change nothing
_STEEPEST = 15.0  # tangent of the greatest angle of incidence (86 degrees); steeper steps between pixels are edges
_BIN = 0.03  # depths that differ by less than one to two of these shares belong to one surface
_LEAST_SHARE = 0.15  # of a cell's samples that its dominant surface must have


@dataclass(frozen=True, eq=False)
class PatchPoints:
    """Where the cells of a feature grid are.

    Attributes:
        points: (h, w, 3) float32, fixed frame, metres; zero where not valid.
        valid: (h, w) bool, False where a cell has too little depth, or only depth edges.
    """

    points: NDArray[np.float32]
    valid: NDArray[np.bool_]


def patch_points(frame: Frame, grid: tuple[int, int], min_depth: float = 0.25, max_depth: float = 5.0) -> PatchPoints:
    """The point of each cell's dominant surface; cell (i, j) covers pixels [j W/w, (j+1) W/w) x [i H/h, (i+1) H/h).

    Per cell: (1) a few pixels evenly spread, (2) without those that are farther from a neighbour in depth than a
    surface seen at 86 degrees would be, (3) the depth interval of 3 to 6 % with most of them, the nearer one of equals,
    (4) of these the pixel nearest to their middle, (5) with the median depth of its 3 x 3 neighbourhood: on a plane
    this is the pixel's own depth with less noise, and it is never a value between two surfaces.

    Args:
        frame: depth (H, W), intrinsics and pose are used.
        grid: rows and columns (h, w) of the feature grid.
        min_depth, max_depth: measurements outside are ignored, metres.

    Raises:
        BadInput: the grid has no cells, or the depth image is smaller than 3 x 3.
    """
    h, w = grid
    height, width = frame.depth.shape
    if h < 1 or w < 1:
        raise BadInput(f"the feature grid has {h}x{w} cells; it needs at least one")
    if height < 3 or width < 3:
        raise BadInput(f"depth is {width}x{height}; patches need at least 3x3 pixels")
    k = frame.intrinsics
    n = min(_SAMPLES, max(-(-height // h), -(-width // w)))
    rows = _sample_positions(height, h, n)
    columns = _sample_positions(width, w, n)

    # (h n, w n) -> (h w, n n): the samples of a cell side by side.
    def by_cell(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return image.reshape(h, n, w, n).transpose(0, 2, 1, 3).reshape(h * w, n * n)

    middle = frame.depth[rows]
    z = middle[:, columns]
    limit = z * np.float32(_STEEPEST / min(k.fx, k.fy))
    good = (z > max(min_depth, 0.0)) & (z < max_depth)
    with np.errstate(invalid="ignore"):  # infinite depths are farther from their neighbours than anything
        for neighbour in (
            middle[:, columns - 1],
            middle[:, columns + 1],
            frame.depth[rows - 1][:, columns],
            frame.depth[rows + 1][:, columns],
        ):
            good &= np.abs(neighbour - z) <= limit
            good &= neighbour > 0
    inside = _dominant(by_cell(np.where(good, z, np.float32(0))))
    count = inside.sum(axis=1)
    valid = count >= max(1.0, _LEAST_SHARE * n * n)

    # The inside sample nearest to the middle of them all.
    down, right = (x.astype(np.float32) for x in np.divmod(np.arange(n * n), n))
    share = inside / np.maximum(count, 1).astype(np.float32)[:, None]
    distance = (down - (share @ down)[:, None]) ** 2 + (right - (share @ right)[:, None]) ** 2
    distance[~inside] = np.inf
    best_row, best_column = np.divmod(distance.argmin(axis=1), n)
    cell_row, cell_column = np.divmod(np.arange(h * w), w)
    v, u = rows[cell_row * n + best_row], columns[cell_column * n + best_column]

    around = np.arange(-1, 2)
    near = frame.depth[(v[:, None] + np.repeat(around, 3)), (u[:, None] + np.tile(around, 3))]
    # A corner of the neighbourhood may be missing or lie beyond an edge: the pixel itself stands in for it.
    near = np.where(np.isfinite(near), near, np.float32(0))
    own = near[:, 4:5]
    near = np.where(np.abs(near - own) <= 2 * own * np.float32(_STEEPEST / min(k.fx, k.fy)), near, own)
    depth = np.where(valid, np.partition(near, 4, axis=1)[:, 4], 0).astype(np.float64)

    camera = np.stack([(u - k.cx) / k.fx * depth, (v - k.cy) / k.fy * depth, depth], axis=1)
    points = camera @ frame.pose[:3, :3].T + frame.pose[:3, 3]
    points[~valid] = 0
    return PatchPoints(points.astype(np.float32).reshape(h, w, 3), valid.reshape(h, w))


def _sample_positions(size: int, cells: int, samples: int) -> NDArray[np.intp]:
    """(cells * samples,) pixel numbers in the middle of equal parts of an image edge; never the outermost pixel."""
    middle = (np.arange(cells * samples) + 0.5) * size / (cells * samples)
    return np.clip(middle.astype(np.intp), 1, size - 2)


def _dominant(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, M) which of a cell's depths (0 = none) lie in the two neighbouring bins of log depth that hold most."""
    some = depth > 0
    if not some.any():
        return some
    level = (np.log(np.where(some, depth, depth[some].min())) / np.float32(_BIN)).astype(np.int64)
    level -= level.min() - 1
    bins = int(level.max()) + 1
    cell = np.arange(len(depth))[:, None] * bins
    histogram = np.bincount((level + cell)[some], minlength=len(depth) * bins).reshape(len(depth), bins)
    pairs = histogram[:, :-1] + histogram[:, 1:]
    first = pairs.argmax(axis=1)[:, None]
    return np.asarray(some & ((level == first) | (level == first + 1)))

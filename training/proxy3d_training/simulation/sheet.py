"""A contact sheet of a set: ``python -m proxy3d_training.simulation.sheet rooms rooms.jpg --count 10``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_training.simulation.truth import Truth


def best_views(truth: Truth, count: int) -> list[int]:
    """Indices of frames that show most things not shown by the ones before them, in their order in time."""
    shown = [
        {t.id for t in truth.objects for i, share in t.views if i == k and share > 0.004}
        for k in range(len(truth.frames))
    ]
    chosen: list[int] = []
    seen: set[int] = set()
    for _ in range(min(count, len(shown))):
        left = [k for k in range(len(shown)) if k not in chosen]
        best = max(left, key=lambda k: len(shown[k] - seen) + 0.3 * len(shown[k]))
        chosen.append(best)
        seen |= shown[best]
    return sorted(chosen)


def contact_sheet(folder: Path, count: int, views: int, columns: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: ``views`` pictures of each of the first ``count`` recordings, ``columns`` recordings beside each
    other, each picture ``width`` pixels wide. Raises BadInput if the folder holds fewer recordings with pictures.
    """
    rooms = [p for p in sorted(folder.glob("room-*")) if (p / "labels.json").is_file()][:count]
    if len(rooms) < count:
        raise BadInput(f"{folder} holds {len(rooms)} recordings with pictures, not {count}")
    strips = []
    for room in rooms:
        truth = Truth.load(room)
        pictures = []
        for k in best_views(truth, views):
            image = cv2.imread(str(room / f"frame-{truth.frames[k].number:06d}.color.jpg"))
            height = round(width * image.shape[0] / image.shape[1])
            pictures.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        strips.append(cv2.copyMakeBorder(np.hstack(pictures), 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    rows = [np.hstack(strips[i : i + columns]) for i in range(0, len(strips) - len(strips) % columns, columns)]
    return np.vstack(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="A contact sheet of simulated rooms.")
    parser.add_argument("folder", type=Path, help="a set made by proxy3d simulate")
    parser.add_argument("picture", type=Path, help="where to write it")
    parser.add_argument("--count", type=int, default=10, help="recordings")
    parser.add_argument("--views", type=int, default=3, help="pictures of each")
    parser.add_argument("--columns", type=int, default=2, help="recordings beside each other")
    parser.add_argument("--width", type=int, default=200, help="of a picture, pixels")
    a = parser.parse_args()
    sheet = contact_sheet(a.folder, a.count, a.views, a.columns, a.width)
    if not cv2.imwrite(str(a.picture), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85]):
        raise SystemExit(f"error: cannot write {a.picture}")


if __name__ == "__main__":
    main()

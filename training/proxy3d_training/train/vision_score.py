"""How well the vision network sees rooms that it did not learn from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from proxy3d_core.perception.vision_network import VisionNetwork
from proxy3d_training.train.vision_data import NAMES, UNKNOWN, Examples


def score(network: VisionNetwork, examples: Examples, batch: int = 16) -> dict[str, object]:
    """Figures over all cells of these views, with depth ("rgbd") and without ("rgb").

    ``pixels`` is the share of cells with the right category, ``things`` the same over cells of objects, ``classes`` the
    mean over categories of each one's share, ``iou`` their mean intersection over union; ``colors`` and ``materials``
    shares of the cells that have one; ``vote_m`` the median distance of the votes to the centre.
    """
    return {name: _figures(network, examples, batch, depth) for name, depth in (("rgbd", True), ("rgb", False))}


def _figures(network: VisionNetwork, examples: Examples, batch: int, depth: bool) -> dict[str, object]:
    network.eval()
    size = len(NAMES)
    confusion = np.zeros((size, size), np.int64)
    right = {"colors": [0, 0], "materials": [0, 0]}
    off: list[NDArray[np.float32]] = []
    for start in range(0, len(examples), batch):
        part = slice(start, start + batch)
        rgb = torch.from_numpy(examples.rgb[part]).permute(0, 3, 1, 2).float() / 127.5 - 1
        geometry = torch.from_numpy(examples.geometry[part]).permute(0, 3, 1, 2).float() * depth
        image = torch.cat([rgb, geometry], dim=1).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            seen = network(image)
            features = seen.features.permute(0, 2, 3, 1)
            answers = [
                head(features).argmax(dim=3).numpy() for head in (network.category, network.color, network.material)
            ]
        truth = examples.category[part]
        known = truth != UNKNOWN
        index = truth[known].astype(np.int64) * size + answers[0][known] + 1
        confusion += np.bincount(index, minlength=size * size).reshape(size, size)
        for name, answer, labels in (
            ("colors", answers[1], examples.color[part]),
            ("materials", answers[2], examples.material[part]),
        ):
            told = labels != UNKNOWN
            right[name][0] += int((answer == labels)[told].sum())
            right[name][1] += int(told.sum())
        wrong = seen.votes.permute(0, 2, 3, 1).float().numpy() - examples.vote[part].astype(np.float32)
        distance = np.linalg.norm(wrong, axis=3)
        off.append(distance[np.isfinite(distance)])
    hit, there, said = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    seen_classes = there > 0
    things = np.arange(size) < size - 3
    figures: dict[str, object] = {
        "pixels": _share(hit.sum(), there.sum()),
        "things": _share(hit[things].sum(), there[things].sum()),
        "classes": round(float((hit / np.maximum(there, 1))[seen_classes].mean()), 4),
        "iou": round(float((hit / np.maximum(there + said - hit, 1))[seen_classes].mean()), 4),
    } | {name: _share(*counts) for name, counts in right.items()}
    if depth:
        figures["vote_m"] = round(float(np.median(np.concatenate(off))), 4)
        figures["by_class"] = {
            NAMES[i]: [_share(hit[i], there[i]), _share(hit[i], said[i]), int(there[i])] for i in np.nonzero(there)[0]
        }
    return figures


def _share(part: float, whole: float) -> float:
    return round(float(part) / max(float(whole), 1.0), 4)

"""True boxes of scans from the exports of ScanNet, ScanNet++, ARKitScenes and 3RScan, as annotated scenes.

The result is a file that ``proxy3d eval --scenes`` and the other converters read
(``proxy3d_core/reasoning/annotated.py``); metres, z up. Object ids are the datasets' own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput, MissingExtra
from proxy3d_core.reasoning.annotated import scene_from_dict

Array = NDArray[np.float64]

STUFF = frozenset({"wall", "floor", "ceiling", "remove", "split", "unlabeled"})
"""Labels that are no objects."""


def annotated(
    dataset: str, directory: Path, track: Callable[[Iterable[Path]], Iterable[Path]] = iter
) -> dict[str, Any]:
    """All scans of an export.

    Args:
        dataset: a key of ``READERS``.
        directory: holds the scans, each in a folder of its name, or is one.
        track: wraps the scans to show progress.

    Raises:
        BadInput: no scan is there, or a file is not in the dataset's layout; names the file.
    """
    mark, read = READERS[dataset]
    found = sorted(path for path in directory.rglob(mark)) if directory.is_dir() else []
    if not found:
        raise BadInput(f"{directory} holds no scans of {dataset} (looked for {mark})")
    scenes = []
    for path in track(found):
        try:
            name, objects = read(path)
            scene = {"name": name, "up": [0, 0, 1], "complete": False, "objects": list(objects)}
        except KeyError as error:
            raise BadInput(f"{path} has no {error.args[0]!r}; is it of {dataset}?") from error
        except (TypeError, ValueError, IndexError) as error:
            raise BadInput(f"{path} is not in the layout of {dataset}: {error}") from error
        scene_from_dict(scene)
        scenes.append(scene)
    return {"scenes": scenes}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error


def _object(number: int, label: str, center: Any, size: Any, axes: Any = None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": number,
        "label": label.strip().lower(),
        "center": [round(float(v), 4) for v in center],
        "size": [round(float(v), 4) for v in size],
    }
    if axes is not None:
        entry["axes"] = np.asarray(axes, dtype=np.float64).reshape(3, 3).tolist()
    return entry


def _scannet(path: Path) -> tuple[str, Iterator[dict[str, Any]]]:
    """``<scan>.aggregation.json`` with ``<scan>_vh_clean_2.0.010000.segs.json``, ``<scan>_vh_clean_2.ply`` and
    ``<scan>.txt``: boxes along the axes of the aligned scan, as ScanRefer has them.
    """
    name = path.name.partition(".")[0]
    aggregation = _json(path)
    segments = np.asarray(_json(path.with_name(f"{name}_vh_clean_2.0.010000.segs.json"))["segIndices"])
    points = _vertices(path.with_name(f"{name}_vh_clean_2.ply"))
    if len(points) != len(segments):
        raise ValueError(f"the mesh has {len(points)} vertices, but {len(segments)} have a segment")
    alignment = _alignment(path.with_name(f"{name}.txt"))
    points = points @ alignment[:3, :3].T + alignment[:3, 3]

    def objects() -> Iterator[dict[str, Any]]:
        for group in aggregation["segGroups"]:
            chosen = points[np.isin(segments, group["segments"])]
            if len(chosen) and group["label"].strip().lower() not in STUFF:
                low, high = chosen.min(axis=0), chosen.max(axis=0)
                yield _object(int(group["objectId"]), group["label"], (low + high) / 2, high - low)

    return name, objects()


def _vertices(path: Path) -> Array:
    try:
        import trimesh
    except ImportError as error:
        raise MissingExtra("meshes need trimesh: pip install 'proxy3d-training[sim]'") from error
    try:
        mesh = trimesh.load_mesh(path, process=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    return np.asarray(mesh.vertices, dtype=np.float64)


def _alignment(path: Path) -> Array:
    """4x4 of the line ``axisAlignment = ...`` (test scans have none)."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "axisAlignment":
            return np.array([float(v) for v in value.split()]).reshape(4, 4)
    return np.eye(4)


def _groups(path: Path, name: str) -> tuple[str, Iterator[dict[str, Any]]]:
    def objects() -> Iterator[dict[str, Any]]:
        for group in _json(path)["segGroups"]:
            if group["label"].strip().lower() not in STUFF:
                yield _boxed(int(group["objectId"]), group["label"], group["obb"])

    return name, objects()


def _boxed(number: int, label: str, box: Mapping[str, Any]) -> dict[str, Any]:
    # The nine numbers of normalizedAxes are the box's three axes, one after the other.
    return _object(number, label, box["centroid"], box["axesLengths"], box["normalizedAxes"])


def _scannetpp(path: Path) -> tuple[str, Iterator[dict[str, Any]]]:
    """``<scan>/scans/segments_anno.json``: oriented boxes of its segment groups."""
    return _groups(path, path.parent.parent.name if path.parent.name == "scans" else path.parent.name)


def _3rscan(path: Path) -> tuple[str, Iterator[dict[str, Any]]]:
    """``<scan>/semseg.v2.json``: oriented boxes of its segment groups."""
    return _groups(path, path.parent.name)


def _arkitscenes(path: Path) -> tuple[str, Iterator[dict[str, Any]]]:
    """``<video>_3dod_annotation.json``: oriented boxes, aligned with gravity; numbered in the file's order."""

    def objects() -> Iterator[dict[str, Any]]:
        for number, entry in enumerate(_json(path)["data"]):
            yield _boxed(number, entry["label"].replace("_", " "), entry["segments"]["obbAligned"])

    return path.name.removesuffix("_3dod_annotation.json"), objects()


READERS: dict[str, tuple[str, Callable[[Path], tuple[str, Iterator[dict[str, Any]]]]]] = {
    "scannet": ("scene*[0-9].aggregation.json", _scannet),
    "scannetpp": ("segments_anno.json", _scannetpp),
    "arkitscenes": ("*_3dod_annotation.json", _arkitscenes),
    "3rscan": ("semseg.v2.json", _3rscan),
}
"""By dataset: the file that marks a scan, and its reader."""

"""Prepared scenes on disk: what the perception made of a recording, so that training needs no images.

A folder with ``index.json`` and one safetensors file for each scene, complete or not there. The file holds arrays and,
as metadata, a JSON description; reading maps it into memory, so that processes that read the same scenes share them.
The format is described in ``training/docs/prepared.md``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from proxy3d_core.errors import BadInput
from proxy3d_core.proxies.cluster import cluster_proxies
from proxy3d_core.proxies.triplets import Triplets
from proxy3d_core.scene.snapshot import BACKGROUND, ProxySet
from proxy3d_training.data.schema import Box

FORMAT = "proxy3d_prepared"
VERSION = 2
INDEX = "index.json"


@dataclass(frozen=True)
class Seen:
    """An object of the map.

    Attributes:
        id: in this scene, from 1 on.
        marker: by which texts name it, or None: the most certain ones have one, in the order of first sight.
        label, score: its name and how sure that is.
        box: in the world of the recording.
        state: present, moved or gone.
        true_id: of the true object that it is, or None.
        iou: with that one's box.
        color: of that one, in words; empty where it is not known.
    """

    id: int
    marker: int | None
    label: str
    score: float
    box: Box
    state: str
    true_id: int | None = None
    iou: float = 0.0
    color: str = ""


@dataclass(frozen=True)
class About:
    """What is known of a prepared scene besides its arrays.

    Attributes:
        name: of the recording, as samples call it.
        maker: what made it: encoder, settings, versions. Scenes of one folder have the same.
        up, floor: of the recording's world; arrays lie in the scene's frame, which has z up.
        area: of the floor, square metres, or None: not known.
        size: width, height of the frames in pixels.
        intrinsics: fx, fy, cx, cy in pixels.
        objects: of the map at the end.
        dropped: frames that were not used, by reason.
    """

    name: str
    maker: Mapping[str, Any]
    up: tuple[float, ...]
    floor: float | None
    area: float | None
    size: tuple[int, int]
    intrinsics: tuple[float, ...]
    objects: tuple[Seen, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return vars(self) | {"objects": [vars(o) | {"box": o.box.model_dump(mode="json")} for o in self.objects]}

    @classmethod
    def read(cls, document: dict[str, Any]) -> About:
        """From JSON. Raises KeyError, TypeError or ValueError where that is something else."""
        objects = tuple(Seen(**{**o, "box": Box(**o["box"])}) for o in document.pop("objects"))
        tuples = {name: tuple(document.pop(name)) for name in ("up", "size", "intrinsics")}
        return cls(objects=objects, **tuples, **document)


class PreparedScene:
    """One scene; arrays are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            BadInput: it is missing, damaged or of another version.
        """
        self.path = path
        try:
            self._file = safe_open(path, framework="numpy")
            meta = json.loads((self._file.metadata() or {}).get(FORMAT, "{}"))
            if meta.get("version") != VERSION:
                raise BadInput(
                    f"{path} is not a scene prepared by this version; prepare it anew with: proxy3d data prepare"
                )
            self.about = About.read(meta["about"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path} is damaged or not there ({error}); run proxy3d data prepare again") from None

    def __reduce__(self) -> tuple[type[PreparedScene], tuple[Path]]:
        """Another process opens the file itself."""
        return PreparedScene, (self.path,)

    def array(self, name: str) -> NDArray[Any]:
        """``features`` (F, h, w, C) float16, ``points`` (F, h, w, 3) float32, ``valid`` (F, h, w) bool, ``groups``
        (F, h, w) int32 ids, negative = no object, ``stamps`` (F,) int64 nanoseconds, ``poses`` (F, 4, 4) float32
        scene_from_camera, or ``proxies.positions``, ``.features``, ``.weights``, ``.extents``, ``.groups``, ``.order``.
        """
        found: NDArray[Any] = self._file.get_tensor(name)
        return found

    def proxies(self) -> ProxySet:
        """The proxies as the live map had them, in the order of reading (Proxy3D, Eq. 5); features in float16."""
        order = self.array("proxies.order")
        names = ("positions", "features", "weights", "extents", "groups")
        return ProxySet(**{name: self.array(f"proxies.{name}")[order] for name in names})

    def triplets(self, grouped: bool = True) -> Triplets:
        """All patches with depth: their features, points and groups; without ``grouped`` they are all one group."""
        valid = self.array("valid")
        points = self.array("points")[valid]
        groups = self.array("groups")[valid].astype(np.int64)
        ones = np.ones(len(points), np.float32)
        return Triplets(
            self.array("features")[valid], points, groups if grouped else np.full_like(groups, BACKGROUND), ones
        )

    def clustered(self, budget: int, per_group: int = 5, grouped: bool = True) -> ProxySet:
        """Proxies from the patches of all frames at once, for other budgets and for the paper's ablations."""
        t = self.triplets(grouped)
        return cluster_proxies(t.points, t.features, t.weights, t.groups, budget, per_group)

    @cached_property
    def marker_of_true(self) -> Mapping[int, int]:
        """Marker by true object id, of those that the map has and that have one."""
        return {o.true_id: o.marker for o in self.about.objects if o.true_id is not None and o.marker is not None}

    @cached_property
    def seen_of_true(self) -> Mapping[int, int]:
        """Id in the map by true object id."""
        return {o.true_id: o.id for o in self.about.objects if o.true_id is not None}

    def markers_of(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """(K,) marker of each group, -1 where there is none."""
        table = {o.id: o.marker for o in self.about.objects if o.marker is not None}
        names, rank = np.unique(groups, return_inverse=True)
        found = np.array([table.get(int(name), -1) for name in names], np.int64)
        return found[rank] if len(names) else np.zeros(0, np.int64)


class PreparedScenes(Mapping[str, PreparedScene]):
    """A folder of prepared scenes by name. Nothing is kept open; ask for a scene and drop it."""

    def __init__(self, folder: Path) -> None:
        """Read the index.

        Raises:
            BadInput: there is none, or it is of another version.
        """
        self.folder = folder
        self.index = read_index(folder)

    def __reduce__(self) -> tuple[type[PreparedScenes], tuple[Path]]:
        """Another process reads the index itself."""
        return PreparedScenes, (self.folder,)

    def __getitem__(self, name: str) -> PreparedScene:
        return PreparedScene(self.folder / self._entries[name]["file"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def _entries(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.index["scenes"]
        return found

    @property
    def channels(self) -> int:
        """Channels of the features."""
        return int(self.index["maker"]["channels"])

    def marked_true_ids(self, name: str) -> list[int]:
        """True ids of the objects of a scene that its map has and that have a marker there."""
        found: list[int] = self._entries[name]["true_ids"]
        return found

    def damaged(self) -> list[str]:
        """Scenes whose file is missing or not what was written; reads every byte."""
        bad = []
        for name, entry in self._entries.items():
            path = self.folder / entry["file"]
            if not path.is_file() or digest(path.read_bytes()) != entry["sha256"]:
                bad.append(name)
        return bad


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_scene(path: Path, about: About, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a scene, all of it or nothing; returns its entry in the index."""
    # One entry only: safetensors writes several in any order, and the same scene is to give the same bytes.
    meta = {FORMAT: json.dumps({"version": VERSION, "about": about.document()}, separators=(",", ":"))}
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, meta)
    write_whole(path, data)
    return _entry(path, about, data, len(arrays["stamps"]), len(arrays["proxies.positions"]))


def index_entry(path: Path) -> dict[str, Any]:
    """The index entry of a finished scene. Raises BadInput."""
    scene = PreparedScene(path)
    counts = (len(scene.array(name)) for name in ("stamps", "proxies.positions"))
    return _entry(path, scene.about, path.read_bytes(), *counts)


def _entry(path: Path, about: About, data: bytes, frames: int, proxies: int) -> dict[str, Any]:
    return {
        "file": f"{path.parent.name}/{path.name}",
        "sha256": digest(data),
        "bytes": len(data),
        "frames": frames,
        "proxies": proxies,
        "objects": len(about.objects),
        "true_ids": sorted(o.true_id for o in about.objects if o.true_id is not None and o.marker is not None),
    }


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is complete or not there.

    Raises:
        BadInput: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from None


def read_index(folder: Path) -> dict[str, Any]:
    """``index.json`` of a folder of prepared scenes.

    Raises:
        BadInput: there is none, or it is of another version.
    """
    path = folder / INDEX
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; make it with: proxy3d data prepare") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from None
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise BadInput(f"{path} is not of {FORMAT} version {VERSION}; prepare the scenes anew")
    found: dict[str, Any] = document
    return found

"""Writing and reading maps. The format is described in docs/map_format.md.

A map is complete or it is not there: a new one is made in a folder beside it and renamed, an old one changes in the
moment in which its ``map.json`` is replaced. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from proxy3d_core import __version__
from proxy3d_core.errors import MapError
from proxy3d_core.scene.snapshot import Snapshot

FORMAT = "proxy3d_map"
VERSION = 2
INDEX = "map.json"


class Scene(Protocol):
    """What is stored: ``SceneState``, seen from here."""

    def snapshot(self) -> Snapshot:
        """The scene now."""
        ...

    def state_dict(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What JSON can hold, and arrays."""
        ...

    def load_state_dict(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take over a stored state; raises MapError and stays as it is if that does not fit."""
        ...


@dataclass(frozen=True)
class SavedMap:
    """What was saved or loaded.

    Attributes:
        path: folder of the map, absolute.
        objects: how many objects it holds, gone ones included.
        proxies: how many proxies.
    """

    path: Path
    objects: int
    proxies: int


def inside(root: str | Path, path: str | Path) -> Path:
    """``path`` as an absolute path inside the folder ``root``; relative paths start there.

    Raises:
        MapError: it is empty or leads out of ``root``, be it by ``..``, as an absolute path or through a symbolic link.
    """
    base = _absolute(Path(root).expanduser())
    target = _absolute(base / path)
    if target == base:
        raise MapError("the map has no name; give the name of a folder, such as 'kitchen'")
    if not target.is_relative_to(base):
        raise MapError(f"{str(path)[:200]!r} leads out of the map folder {base}; give a name such as 'kitchen'")
    return target


def save_map(scene: Scene, folder: str | Path, overwrite: bool = False) -> SavedMap:
    """Write a scene to a folder, all or nothing.

    Args:
        folder: must not exist, be empty, or be a map and ``overwrite`` be set. Parents are made.

    Raises:
        MapError: the folder is taken or cannot be written; what was there before is unchanged.
    """
    target = _absolute(Path(folder).expanduser())
    old = check_target(target, overwrite)
    snapshot = scene.snapshot()
    meta, arrays = scene.state_dict()
    try:
        meta = json.loads(json.dumps(meta, allow_nan=False))  # as it will be read
    except (TypeError, ValueError) as error:
        raise MapError(f"the scene holds what a map cannot ({error}); nothing was written; report this") from None
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    digest = hashlib.sha256(data).hexdigest()
    name = f"arrays-{digest[:16]}.safetensors"
    index = {
        "format": FORMAT,
        "version": VERSION,
        "written_by": f"proxy3d_ros {__version__}",
        "frame_id": snapshot.frame_id,
        "stamp_ns": snapshot.stamp_ns,
        "objects": len(snapshot.objects),
        "proxies": len(snapshot.proxies),
        "arrays": name,
        "arrays_sha256": digest,
        "scene_sha256": _digest(meta),
        "scene": meta,
    }
    text = json.dumps(index, indent=1, allow_nan=False).encode()
    try:
        if old is None:
            _write_new(target, name, data, text)
        else:
            _write_over(target, name, data, text, old)
    except OSError as error:
        raise MapError(f"cannot write the map to {target}: {error.strerror or error}") from None
    return SavedMap(target, len(snapshot.objects), len(snapshot.proxies))


def load_map(scene: Scene, folder: str | Path) -> SavedMap:
    """Read a map into a scene, which begins a new epoch.

    Raises:
        MapError: there is no map, it is half written, damaged, or of another format or version; the scene is unchanged.
    """
    target = _absolute(Path(folder).expanduser())
    index = _read_index(target)
    name = index["arrays"]
    if not isinstance(name, str) or Path(name).name != name:
        raise MapError(f"the map {target} is damaged: {INDEX} names no file of arrays")
    try:
        data = inside(target, name).read_bytes()
    except OSError as error:
        raise MapError(f"the map {target} is incomplete: {name}: {error.strerror}; restore it or map anew") from None
    if hashlib.sha256(data).hexdigest() != index["arrays_sha256"] or _digest(index["scene"]) != index["scene_sha256"]:
        raise MapError(f"the map {target} is damaged: its checksum does not fit; restore it from a copy or map anew")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise MapError(f"the map {target} is damaged: {error}") from None
    scene.load_state_dict(index["scene"], arrays)
    snapshot = scene.snapshot()
    return SavedMap(target, len(snapshot.objects), len(snapshot.proxies))


def _absolute(path: Path) -> Path:
    """The path with symbolic links followed. Raises MapError if there can be no such path."""
    try:
        target = path.resolve()
        if any(len(os.fsencode(part)) > 255 for part in target.parts):
            raise OSError("a name is longer than 255 bytes")
    except (OSError, ValueError, RuntimeError) as error:
        raise MapError(f"{str(path)[:200]!r} is not a usable path: {error}") from None
    return target


def _digest(meta: Mapping[str, Any]) -> str:
    """sha256 of a mapping as canonical JSON."""
    return hashlib.sha256(json.dumps(meta, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_index(folder: Path) -> dict[str, Any]:
    """The checked content of ``map.json``. Raises MapError."""
    if not folder.is_dir():
        raise MapError(f"there is no map at {folder}: no such folder")
    try:
        text = inside(folder, INDEX).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MapError(f"{folder} is not a map, or was never finished: it has no {INDEX}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"cannot read {folder / INDEX}: {error}") from None
    try:
        index = json.loads(text)
    except ValueError:
        raise MapError(f"the map {folder} is damaged: {INDEX} is not valid JSON") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise MapError(f"{folder} is not a map of proxy3d: {INDEX} is of another format")
    if index.get("version") != VERSION:
        raise MapError(
            f"the map {folder} has version {index.get('version')!r}, this program reads version {VERSION}; "
            f"use the program that wrote it ({index.get('written_by', 'unknown')}) or map anew"
        )
    if missing := {"arrays", "arrays_sha256", "scene", "scene_sha256"} - index.keys():
        raise MapError(f"the map {folder} is damaged: {INDEX} lacks {', '.join(sorted(missing))}")
    if not isinstance(index["scene"], dict):
        raise MapError(f"the map {folder} is damaged: {INDEX} holds no scene")
    return index


def check_target(folder: str | Path, overwrite: bool) -> dict[str, Any] | None:
    """Whether a map may be saved to a folder.

    Returns:
        The index of the map that will be overwritten, or None.

    Raises:
        MapError: the folder is taken, or holds something that is not a map.
    """
    target = _absolute(Path(folder).expanduser())
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return None
    if not target.is_dir():
        raise MapError(f"{target} exists and is not a folder; choose another name")
    try:
        index = _read_index(target)
    except MapError as error:
        raise MapError(f"{error}; it is left as it is: choose another name or remove it") from None
    if not overwrite:
        raise MapError(f"the map {target} exists; choose another name or set overwrite")
    return index


def _write_new(target: Path, name: str, data: bytes, text: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name[:200]}.partial-{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        _write(partial / name, data)
        _write(partial / INDEX, text)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync(target.parent)


def _write_over(target: Path, name: str, data: bytes, text: bytes, old: dict[str, Any]) -> None:
    partial = target / f".{INDEX}.partial-{secrets.token_hex(4)}"
    fresh = target / f"{partial.name}.arrays"
    try:
        _write(fresh, data)
        _write(partial, text)
        fresh.replace(target / name)
        partial.replace(target / INDEX)  # from here on it is the new map
    finally:
        fresh.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
    _sync(target)
    previous = str(old["arrays"])
    if previous != name and Path(previous).name == previous:
        (target / previous).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """Write a file that did not exist, down to the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Bring the names in a folder down to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

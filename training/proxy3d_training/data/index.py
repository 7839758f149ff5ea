"""An index of a file of samples: where each line is and what can be filtered by, as arrays on disk.

Built once, kept beside the file (``FILE.index``), and mapped into memory: 318,000 samples take as much memory in many
processes as in one, and no Python object each.
"""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from proxy3d_core.errors import BadInput
from proxy3d_training.data.schema import MARKER
from proxy3d_training.data.schema import VERSION as SAMPLES_VERSION

VERSION = 1

SPLITS = ("train", "val", "test")
TYPES = ("text", "id", "number", "choice")
VIEWS = ("proxies", "symbols")

ROW = np.dtype(
    [
        ("offset", "<i8"),
        ("length", "<i4"),
        ("scene", "<i4"),
        ("first_object", "<i4"),
        ("objects", "<u2"),
        ("source", "<u2"),
        ("family", "<u2"),
        ("kind", "<u2"),
        ("split", "u1"),
        ("type", "u1"),
        ("view", "u1"),
        ("stages", "u1"),
    ]
)
"""A sample: its bytes in the file, its scene (-1 = none), its objects, names by number, stage s as bit 1 << s."""

OBJECT = np.dtype([("id", "<i4"), ("named", "u1")])
"""An object of a sample: its true id, and whether the texts name it by its marker."""

_NAMES = ("source", "family", "kind", "scene")


class SampleIndex:
    """The index of one file; opened when first used, in each process anew."""

    def __init__(self, file: Path, folder: Path, names: dict[str, list[str]]) -> None:
        """Use ``open_index``."""
        self.file, self.folder, self.names = file, folder, names

    def __getstate__(self) -> dict[str, Any]:
        """Without what is mapped: a process that gets it maps it itself."""
        return {"file": self.file, "folder": self.folder, "names": self.names}

    @cached_property
    def rows(self) -> NDArray[Any]:
        """(N,) of ``ROW``, mapped."""
        return _mapped(self.folder / "rows.npy")

    @cached_property
    def objects(self) -> NDArray[Any]:
        """(M,) of ``OBJECT``, mapped: the objects of all samples one after the other."""
        return _mapped(self.folder / "objects.npy")

    def __len__(self) -> int:
        return len(self.rows)

    def number(self, name: str, value: str) -> int:
        """The number of a source, family, kind or scene; -1 if the file has none of that name."""
        return self.names[name].index(value) if value in self.names[name] else -1

    def numbers(self, name: str, values: Iterable[str]) -> list[int]:
        """The numbers of those that the file has."""
        return [n for n in (self.number(name, value) for value in values) if n >= 0]


def _mapped(path: Path) -> NDArray[Any]:
    # numpy cannot map an empty array
    found: NDArray[Any] = np.load(path, mmap_mode="r" if path.stat().st_size > 128 else None)
    return found


def open_index(file: Path, cache: Path | None = None) -> SampleIndex:
    """The index of a file of samples; made if there is none, or if the file has changed.

    Args:
        cache: folder for indices; None = beside the file.

    Raises:
        BadInput: the file or the index cannot be read or written, or a line is not JSON or of another version.
    """
    try:
        found = file.stat()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None
    state = {"version": VERSION, "samples": SAMPLES_VERSION, "bytes": found.st_size, "mtime_ns": found.st_mtime_ns}
    folder = (file.parent if cache is None else cache) / f"{file.name}.index"
    try:
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if {key: about.get(key) for key in state} == state:
            return SampleIndex(file, folder, about["names"])
    except (OSError, ValueError, KeyError):
        pass  # there is none, or half of one
    names = _build(file, folder, state)
    return SampleIndex(file, folder, names)


def _build(file: Path, folder: Path, state: dict[str, int]) -> dict[str, list[str]]:
    numbers: dict[str, dict[str, int]] = {name: {} for name in _NAMES}
    columns = {name: array("q") for name in ROW.names or ()}
    ids, named = array("q"), array("B")

    def number(name: str, value: str) -> int:
        return numbers[name].setdefault(value, len(numbers[name]))

    offset = 0
    with file.open("rb") as lines:
        for at, line in enumerate(lines, 1):
            if line.strip():
                try:
                    _add(from_json(line), offset, len(line), columns, ids, named, number)
                except (ValueError, KeyError, TypeError) as error:
                    raise BadInput(f"{file}:{at}: {error!r}; see: proxy3d data validate {file}") from None
            offset += len(line)
    rows = np.empty(len(columns["offset"]), ROW)
    for name, values in columns.items():
        rows[name] = np.frombuffer(values, np.int64) if len(values) else 0
    objects = np.empty(len(ids), OBJECT)
    if len(ids):
        objects["id"], objects["named"] = np.frombuffer(ids, np.int64), np.frombuffer(named, np.uint8)
    names = {name: list(found) for name, found in numbers.items()}
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        np.save(part / "rows.npy", rows)
        np.save(part / "objects.npy", objects)
        (part / "index.json").write_text(json.dumps(state | {"names": names}) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror or error}; give another folder (cache)") from None
    return names


def _add(
    sample: dict[str, Any],
    offset: int,
    length: int,
    columns: dict[str, array[int]],
    ids: array[int],
    named: array[int],
    number: Any,
) -> None:
    if sample.get("version") != SAMPLES_VERSION:
        raise ValueError(f"version {sample.get('version')}, expected {SAMPLES_VERSION}")
    scene, answer, objects = sample.get("scene"), sample["answer"], sample.get("objects", ())
    texts = [sample["question"], answer["text"], *answer.get("references", ())]
    markers = {int(m) for text in texts for m in MARKER.findall(text)}
    row = {
        "offset": offset,
        "length": length,
        "scene": -1 if scene is None else number("scene", scene["name"]),
        "first_object": len(ids),
        "objects": len(objects),
        "source": number("source", sample["source"]),
        "family": number("family", sample["family"]),
        "kind": number("kind", sample["kind"]),
        "split": SPLITS.index(sample["split"]),
        "type": TYPES.index(answer["type"]),
        "view": VIEWS.index(sample.get("view", "proxies")),
        "stages": sum(1 << stage for stage in sample.get("stages", (4,))),
    }
    for name, value in row.items():
        columns[name].append(value)
    for thing in objects:
        ids.append(thing["id"])
        named.append(thing.get("marker") in markers)

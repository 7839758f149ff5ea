"""What the converters share: reading files, naming what is wrong with them, provenance."""

from __future__ import annotations

import json
import os.path
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy3d_core.errors import BadInput
from proxy3d_training import __version__
from proxy3d_training.data.schema import Provenance, Sample, Scene, Split
from proxy3d_training.evaluation.items import Row, read_rows

LICENCES = {
    "ScanQA": "CC BY-NC-SA 3.0",
    "SQA3D": "CC BY 4.0",
    "ScanRefer": "CC BY-NC-SA 4.0",
    "Scan2Cap": "CC BY-NC-SA 4.0",
    "Multi3DRefer": "MIT",
    "MMScan": "see the dataset's form",
    "SR-91K": "see the dataset's page",
    "VSI-590K": "see the dataset's page",
}
"""Of the annotations; the terms of the scans apply as well."""

_SPACE = re.compile(r"^(scene\d{4})_\d{2}$")


def read_lines(path: Path) -> Iterator[Row]:
    """The rows of a JSON-lines file, one by one, however large; of a JSON file its list.

    Raises:
        BadInput: it cannot be read, or a line is not an object; names the line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            first = file.read(1)
            if first == "[":
                yield from read_rows(path)
                return
            file.seek(0)
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, Mapping):
                        raise BadInput(f"{path}:{number} is not an object")
                    yield row
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{number} is not JSON: {error}") from error


def convert_rows(path: Path, rows: Iterable[Row], make: Callable[[Row, int], Iterable[Sample]]) -> Iterator[Sample]:
    """The samples that each row makes.

    Raises:
        BadInput: a row lacks a field or has a wrong one; names file, row and field.
    """
    for number, row in enumerate(rows):
        try:
            yield from make(row, number)
        except KeyError as error:
            raise BadInput(f"{path}: row {number} has no {error.args[0]!r}; is it this dataset's file?") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BadInput(f"{path}: row {number} makes no sample: {where}: {first['msg']}") from error
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadInput(f"{path}: row {number} is not in the dataset's format: {error}") from error


def scene(name: str, folders: Path | None, out: Path, dataset: str = "") -> Scene:
    """The scene of a scan by its name; scans of one space share it (``scene0011_00`` and ``scene0011_01``).

    Args:
        folders: where the scans lie, each in a folder of its name, or None.
        out: the file of samples, to which folders are relative.
        dataset: whose scan it is; empty = as the name tells.
    """
    match = _SPACE.match(name)
    folder = None if folders is None else Path(os.path.relpath((folders / name).resolve(), out.parent.resolve()))
    return Scene(
        dataset=dataset or dataset_of(name),
        name=name,
        space=match[1] if match else name,
        folder=None if folder is None else folder.as_posix(),
    )


def dataset_of(name: str) -> str:
    """Whose scan has such a name."""
    if _SPACE.match(name):
        return "scannet"
    if name.isdigit():
        return "arkitscenes"
    if re.fullmatch(r"[0-9a-f]{10}", name):
        return "scannetpp"
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
        return "3rscan"
    return "unknown"


def split_in(path: Path, given: Split | None) -> Split:
    """The split that a file's name tells, if none is given.

    Raises:
        BadInput: the name tells none, or more than one.
    """
    if given is not None:
        return given
    words = set(re.split(r"[^a-z]+", path.stem.lower()))
    found = [split for split, names in _SPLITS.items() if words & names]
    if len(found) != 1:
        raise BadInput(f"the name of {path} does not tell the split; give --split train, val or test")
    return found[0]


_SPLITS: Mapping[Split, set[str]] = {"train": {"train", "training"}, "val": {"val", "validation"}, "test": {"test"}}


def sentence(text: str) -> str:
    """An answer in the published form: first letter capital, a full stop at the end."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def provenance(source: str, path: Path, key: str) -> Provenance:
    """Where a converted sample comes from."""
    return Provenance(file=path.name, key=key, licence=LICENCES[source], generator=f"proxy3d-training {__version__}")


def chooser(seed: int, key: str) -> random.Random:
    """Chance that depends on the sample alone, so that no other row changes it."""
    return random.Random(f"{seed} {key}")


def pick(texts: Sequence[str], seed: int, key: str) -> tuple[int, str]:
    """One of some wordings, with its number."""
    number = chooser(seed, key).randrange(len(texts))
    return number, texts[number]


def strings(value: Any, what: str) -> list[str]:
    """A list of texts.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v.strip() for v in value):
        raise ValueError(f"{what} is not a list of texts")
    return [str(v) for v in value]

"""Reading, writing and checking files of samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from proxy3d_core.errors import BadInput
from proxy3d_training.data.schema import VERSION, Sample


def line_of(sample: Sample) -> str:
    """The JSON line of a sample, without fields that have their default value."""
    data = sample.model_dump(mode="json", exclude_defaults=True)
    data["answer"] = {"type": sample.answer.type, **data["answer"]}  # the type tells the kinds of answers apart
    return json.dumps({"version": VERSION, **data}, ensure_ascii=False, separators=(",", ":"))


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write a file (all of it or nothing) and return how many lines it has.

    Raises:
        BadInput: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            for sample in samples:
                file.write(line_of(sample) + "\n")
                count += 1
        part.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    finally:
        if part.exists():
            part.unlink()
    return count


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    found = []
    for entry in error.errors(include_url=False, include_context=False):
        # pydantic puts the answer's type into the path of what is wrong in it; the file has no such level.
        parts = [str(part) for i, part in enumerate(entry["loc"]) if i != 1 or entry["loc"][0] != "answer"]
        where, message = ".".join(parts), entry["msg"].removeprefix("Value error, ")
        if not where and entry["type"] == "value_error":
            where, _, message = message.partition(": ")
        found.append((where or "line", message))
    return found


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a file, one by one.

    Raises:
        BadInput: the file cannot be read, or a line is not a sample; names file, line and field.
    """
    for number, line in _lines(path):
        try:
            yield Sample.model_validate_json(line)
        except ValidationError as error:
            where, message = _problems(error)[0]
            raise BadInput(f"{path}:{number}: {where}: {message}") from None


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file: its line and field, and what."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.message}"


@dataclass
class Validation:
    """What ``validate`` found."""

    samples: int = 0
    problems: list[Problem] = field(default_factory=list)
    left_out: int = 0
    """Further problems beyond the limit."""

    def add(self, problem: Problem, limit: int) -> None:
        """Keep a problem, or count it beyond ``limit``."""
        if len(self.problems) < limit:
            self.problems.append(problem)
        else:
            self.left_out += 1


def validate(paths: Sequence[Path], limit: int = 100, folders: bool = False) -> Validation:
    """Check every line of the files, and across them: ids are unique, and no space is both trained on and held out.

    Public datasets split the same held-out scans in several ways, so one space may be in ``val`` and ``test``.

    Args:
        limit: at most so many problems are kept.
        folders: also check that the scenes' folders exist.

    Raises:
        BadInput: a file cannot be read.
    """
    result = Validation()
    ids: dict[str, str] = {}
    splits: dict[tuple[str, str], tuple[str, str]] = {}
    folders_seen: dict[Path, bool] = {}
    for path in paths:
        for number, line in _lines(path):
            result.samples += 1
            here = f"{path}:{number}"
            try:
                sample = Sample.model_validate_json(line)
            except ValidationError as error:
                for where, message in _problems(error):
                    result.add(Problem(str(path), number, where, message), limit)
                continue
            first = ids.setdefault(sample.id, here)
            if first != here:
                result.add(Problem(str(path), number, "id", f"{sample.id!r} was already used at {first}"), limit)
            if sample.scene is None:
                continue
            space = (sample.scene.dataset, sample.scene.space)
            split, where = splits.setdefault(space, (sample.split, here))
            if "train" in (split, sample.split) and split != sample.split:
                message = f"space {sample.scene.space!r} is in {sample.split!r} here, but in {split!r} at {where}"
                result.add(Problem(str(path), number, "split", message), limit)
            if folders and sample.scene.folder is not None:
                folder = scene_folder(path, sample)
                if not folders_seen.setdefault(folder, folder.is_dir()):
                    result.add(Problem(str(path), number, "scene.folder", f"{folder} is not there"), limit)
    return result


def scene_folder(file: Path, sample: Sample) -> Path:
    """The folder of a sample's recording; relative ones count from the file of samples.

    Raises:
        BadInput: the sample has none.
    """
    if sample.scene is None or sample.scene.folder is None:
        raise BadInput(f"sample {sample.id} of {file} names no scene folder")
    return (file.parent / sample.scene.folder).resolve()

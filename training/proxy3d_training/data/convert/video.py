"""SR-91K (SpaceR) and VSI-590K (Cambrian-S): questions about videos of scans, numbers and choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from proxy3d_training.data.convert.rows import convert_rows, provenance, read_lines, scene, split_in
from proxy3d_training.data.questions.candidates import NUMBER, OPTION
from proxy3d_training.data.schema import LETTERS, Answer, ChoiceAnswer, NumberAnswer, Sample, Split, TextAnswer
from proxy3d_training.evaluation.items import Row

_TAGGED = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.DOTALL)
_OPTION = re.compile(r"^\s*\(?([A-J])[.):]\s*(.*?)\s*$")
_NOISE = ("<image>", "<video>", "These are frames of a video.", NUMBER, OPTION)
_UNITS = (
    (r"square met(er|re)s", "m^2"),
    (r"centimet(er|re)s", "cm"),
    (r"met(er|re)s", "m"),
    (r"\bhow many\b", "count"),
)


def sr91k(path: Path, out: Path, split: Split | None = "train", scans: Path | None = None) -> Iterator[Sample]:
    """SR-91K's lines: problem_id, problem, problem_type (multiple choice, numerical, regression), options, solution
    (``<answer>...</answer>`` or plain), path or video.

    The early release calls the task ``question_type``; then the options tell choices from numbers. Other problem types
    (free-form, OCR) are answered in words.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)

    def make(row: Row, number: int) -> Iterable[Sample]:
        key = str(row["problem_id"])
        tagged = _TAGGED.search(str(row["solution"]))
        given = tagged[1] if tagged else str(row["solution"]).strip()
        media = str(row["path"] if "path" in row else row["video"])
        question, options = str(row["problem"]).removeprefix("Question:").strip(), row.get("options") or []
        if not options:
            question, options = split_options(question)
        kind = str(row.get("question_type") or row.get("problem_type") or "unknown")
        yield _sample("SR-91K", f"SR-91K/{key}", key, kind, belongs, question, options, given, media, path, out, scans)

    return convert_rows(path, read_lines(path), make)


def vsi590k(
    path: Path, out: Path, split: Split | None = "train", scans: Path | None = None, images: bool = False
) -> Iterator[Sample]:
    """VSI-590K's lines: conversations (human, gpt), question_type, video or image, id.

    Args:
        images: also those about single images, which belong to no scan that can be mapped.

    Raises:
        BadInput: the file is not in this layout.
    """
    belongs = split_in(path, split)

    def make(row: Row, number: int) -> Iterable[Sample]:
        if "video" not in row and not images:
            return
        media = str(row["video"] if "video" in row else row["image"])
        human, answer = (str(turn["value"]) for turn in row["conversations"][:2])
        question, options = split_options(human)
        key = str(row.get("id", number))
        kind = str(row.get("question_type", "unknown"))
        yield _sample(
            "VSI-590K",
            f"VSI-590K/{number}",
            key,
            kind,
            belongs,
            question,
            options,
            answer.strip(),
            media,
            path,
            out,
            scans,
        )

    return convert_rows(path, read_lines(path), make)


def split_options(text: str) -> tuple[str, list[str]]:
    """A question without what is always said around it, and its options, if it has any."""
    for noise in _NOISE:
        text = text.replace(noise, "")
    question, _, listed = text.partition("Options:")
    options = [line for line in listed.splitlines() if _OPTION.match(line)]
    return " ".join(question.split()), options


def _answer(question: str, options: Sequence[str], given: str) -> tuple[tuple[str, ...], Answer]:
    if options:
        texts = [match[2] if (match := _OPTION.match(option)) else option.strip() for option in options]
        named = _OPTION.match(given)
        letter = named[1] if named else given.strip().rstrip(".").upper()
        if letter not in LETTERS[: len(texts)]:
            # Some answers repeat the option's text.
            letter = LETTERS[[text.lower() for text in texts].index(given.strip().lower())]
        lettered = tuple(f"{name}. {text}" for name, text in zip(LETTERS, texts, strict=False))
        return lettered, ChoiceAnswer(text=letter, letter=letter)
    try:
        value = float(given)
    except ValueError:
        return (), TextAnswer(text=given, references=(given,))
    unit = next((unit for words, unit in _UNITS if re.search(words, question, re.IGNORECASE)), "")
    return (), NumberAnswer(text=given, value=value, unit=unit)


def _sample(
    source: str,
    name: str,
    key: str,
    kind: str,
    split: Split,
    question: str,
    options: Sequence[str],
    given: str,
    media: str,
    path: Path,
    out: Path,
    scans: Path | None,
) -> Sample:
    lettered, answer = _answer(question, options, given)
    media_path = PurePosixPath(media)
    where = scene(media_path.stem, scans, out)
    if where.dataset == "unknown" and len(media_path.parts) > 1:
        where = scene(media_path.stem, scans, out, media_path.parts[0].strip("/").lower() or "unknown")
    return Sample(
        id=name,
        source=source,
        family=source,
        kind=kind,
        split=split,
        scene=where,
        question=question,
        options=lettered,
        instruction=OPTION if lettered else NUMBER,
        answer=answer,
        provenance=provenance(source, path, key),
    )

"""Writes the tables of README.md that the code itself knows: ``python docs/tables.py``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from proxy3d_core.assembly import DROP_REASONS
from proxy3d_core.config import Config

README = Path(__file__).resolve().parent.parent / "README.md"


def parameters() -> list[tuple[str, ...]]:
    """All settings: name, default, unit, range, meaning."""
    rows = [("parameter", "default", "unit", "range", "meaning")]
    for section, holder in Config.model_fields.items():
        for name, field in holder.annotation.model_fields.items():  # type: ignore[union-attr]
            text = field.description or ""
            found = re.search(r" ?\[([^\]]+)\]", text)
            meaning = text.replace(found.group(0), "") if found else text
            unit = found.group(1) if found else ""
            rows.append((f"`{section}.{name}`", _value(field.default), unit, _range(field), meaning))
    return rows


def drops() -> list[tuple[str, ...]]:
    """Why frames are dropped, and what to do."""
    return [("dropped frames in `/diagnostics` and the log", "cause and cure")] + [
        (f"`{reason}`", text) for reason, text in DROP_REASONS.items()
    ]


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "(empty)" if value == "" else str(value)


def _range(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return ", ".join(
        f"{sign} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, sign in signs.items()
        if getattr(bound, name, None) is not None
    )


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows, the first of which are the headings, as a Markdown table."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def updated(readme: str) -> str:
    """The text of README.md with fresh tables."""
    for name, rows in (("parameters", parameters()), ("drops", drops())):
        begin, end = f"<!-- {name}: written by docs/tables.py -->", f"<!-- /{name} -->"
        before, rest = readme.split(begin)
        readme = f"{before}{begin}\n\n{markdown(rows)}\n\n{end}{rest.split(end)[1]}"
    return readme


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")

"""What a program yields, before options are matched and the words are chosen."""

from __future__ import annotations

from dataclasses import dataclass

from proxy3d_core.reasoning.index import Thing


@dataclass
class Result:
    """What a program yields: words, a number, or things; options are matched afterwards."""

    text: str
    things: tuple[Thing, ...] = ()
    value: float | None = None
    unit: str = ""
    sigma: float | None = None
    names: tuple[str, ...] = ()
    message: str = ""

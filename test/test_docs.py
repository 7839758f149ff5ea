"""The documents say what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from proxy3d_core.config import Config
from proxy3d_ros.port import Input, Output, Service

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_are_what_the_code_says() -> None:
    assert runpy.run_path(str(ROOT / "docs" / "tables.py"))["updated"](README) == README, (
        "settings or drop reasons changed: run `python docs/tables.py`"
    )
    for name in Config().flat():
        assert f"| `{name}` |" in README


def test_interfaces_are_documented() -> None:
    for interface in (*Input, *Output, *Service):
        assert f"`{interface.topic}`" in README, interface
        assert interface.type_name.split("/")[-1] in README, interface


def test_warnings_are_quoted_as_they_are() -> None:
    """Every message in the troubleshooting table is one that the code says (placeholders left out)."""
    sources = [*(ROOT / "proxy3d_ros").rglob("*.py"), *(ROOT / "proxy3d_core").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # literals that go on in the next line
    table = README.split("| message | cause and cure |")[1].split("\n\n")[0]
    quoted = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(quoted) > 8
    for message in quoted:
        for part in re.split(r"\.\.\.|\bN\b|TOPIC|'[^']*'|/ask_spatial|\[|\]|0 publisher", message):
            if len(part.strip()) > 8:
                assert part.strip(" :;") in code, f"nothing says {part!r}"


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"

"""The files that colcon, launch and RViz read agree with the code."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from proxy3d_core.config import Config
from proxy3d_ros.port import Output

ROOT = Path(__file__).resolve().parents[2]


def test_the_default_preset_names_every_parameter_with_its_default() -> None:
    path = ROOT / "config" / "proxy3d.yaml"
    tree = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    assert {f"{s}.{k}" for s, section in tree.items() for k in section} == set(Config().flat())
    assert Config.load(path) == Config()


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_hold_valid_settings(path: Path) -> None:
    Config.load(path)


def test_every_interface_is_built() -> None:
    listed = set(re.findall(r"(?:msg|srv)/\w+\.(?:msg|srv)", (ROOT / "CMakeLists.txt").read_text()))
    assert listed == {f"{kind}/{p.name}" for kind in ("msg", "srv") for p in (ROOT / kind).iterdir()}


def test_every_message_package_is_declared() -> None:
    declared = {e.text for e in ElementTree.parse(ROOT / "package.xml").getroot() if e.tag.endswith("depend")}
    used = {output.type_name.split("/")[0] for output in Output}
    for path in [*(ROOT / "msg").iterdir(), *(ROOT / "srv").iterdir()]:
        used |= set(re.findall(r"^(\w+)/\w+", path.read_text(), re.MULTILINE))
    assert used - {"proxy3d_ros"} <= declared


def test_the_view_shows_what_the_node_publishes() -> None:
    view = yaml.safe_load((ROOT / "rviz" / "proxy3d.rviz").read_text())
    displays = {d["Name"]: d for d in view["Visualization Manager"]["Displays"]}
    for name, output in (("Objects and answer", Output.MARKERS), ("Proxies", Output.PROXIES)):
        topic = displays[name]["Topic"]
        assert topic["Value"] == output.topic.replace("~", "/proxy3d")
        assert topic["Durability Policy"] == "Transient Local" and output.latched

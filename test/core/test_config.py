"""Settings: one tree, three ways to write it, and errors that name what is wrong."""

from pathlib import Path

import pytest

from proxy3d_core.config import Config, MapConfig, ProxyConfig
from proxy3d_core.errors import BadInput

CHANGED = Config(map=MapConfig(voxel_size=0.05), proxies=ProxyConfig(budget=700))


def test_flat_names_and_back() -> None:
    flat = CHANGED.flat()
    assert flat["map.voxel_size"] == 0.05
    assert flat["proxies.budget"] == 700
    assert Config.from_flat(flat) == CHANGED


def test_what_is_not_named_keeps_its_default() -> None:
    assert Config.from_flat({}) == Config()
    assert Config.from_flat({"map.voxel_size": 0.05, "proxies.budget": 700}) == CHANGED


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("voxel_size", 0.05, "unknown parameter 'voxel_size'"),
        ("map.voxel_sise", 0.05, "map.voxel_sise"),
        ("mapp.voxel_size", 0.05, "mapp"),
        ("map.voxel_size", 3.0, r"map.voxel_size: .*0\.2.*given: 3\.0"),
        ("map.voxel_size", "big", "map.voxel_size: .*given: 'big'"),
        ("answer.answerer", "oracle", "answer.answerer: .*'geometric'.*given: 'oracle'"),
    ],
)
def test_errors_name_the_parameter_and_the_value(name: str, value: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Config.from_flat({name: value})


@pytest.mark.parametrize(
    "text",
    [
        "map: {voxel_size: 0.05}\nproxies: {budget: 700}\n",
        "map.voxel_size: 0.05\nproxies.budget: 700\n",
        "map.voxel_size: 0.05\nproxies: {budget: 700}\n",
        "/**:\n  ros__parameters:\n    use_sim_time: true\n    map: {voxel_size: 0.05}\n    proxies.budget: 700\n",
        "proxy3d:\n  ros__parameters:\n    map:\n      voxel_size: 0.05\n    proxies:\n      budget: 700\n",
    ],
)
def test_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proxy3d.yaml"
    path.write_text(text)
    assert Config.load(path) == CHANGED


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("/**:\n  ros__parameters:\n")
    assert Config.load(path) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("map: [", "not valid YAML"),
        ("- 1\n- 2\n", "no mapping"),
        ("map: {voxel_size: 7}\n", "map.voxel_size"),
        ("map: 3\nmap.voxel_size: 0.05\n", "unknown parameter 'map'"),
        ("1: 2\n", "unknown parameter '1'"),
        ("/**: {ros__parameters: [1]}\n", "no mapping"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        Config.load(path)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read the parameter file .*No such file"):
        Config.load(tmp_path / "missing.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BadInput, match=r"binary\.yaml is not text"):
        Config.load(path)

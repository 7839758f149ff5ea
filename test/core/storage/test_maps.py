"""A map comes back as it was saved; whatever is not a whole map of ours is refused and left alone."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy3d_core.errors import MapError
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.scene.snapshot import ProxySet, SceneObject, Snapshot
from proxy3d_core.storage import inside, load_map, save_map


class Room:
    """The least that can be stored: it keeps what it is given."""

    def __init__(self, objects: int = 0, proxies: int = 0, **arrays: Any) -> None:
        self.meta: dict[str, Any] = {"objects": [{"id": i, "label": f"Stühle {i}"} for i in range(objects)], "epoch": 7}
        self.arrays = {"proxies": np.arange(proxies * 3, dtype=np.float32).reshape(proxies, 3), **arrays}

    def snapshot(self) -> Snapshot:
        box = OrientedBox.from_yaw((0, 0, 0), (1, 1, 1))
        k = len(self.arrays["proxies"])
        zero = np.zeros(k, np.float32)
        return Snapshot(
            stamp_ns=5,
            objects=tuple(SceneObject(o["id"], o["label"], 1.0, box) for o in self.meta["objects"]),
            proxies=ProxySet(self.arrays["proxies"], np.zeros((k, 2), np.float32), zero, zero, np.zeros(k, np.int64)),
        )

    def state_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self.meta, self.arrays

    def load_state_dict(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.meta, self.arrays = meta, arrays


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_map(Room(2, 4), tmp_path / "kitchen")
    return tmp_path / "kitchen"


def edit(folder: Path, **changes: Any) -> None:
    index = json.loads((folder / "map.json").read_text())
    index.update(changes)
    (folder / "map.json").write_text(json.dumps(index))


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    room = Room(
        3,
        5,
        keys=rng.integers(-(2**60), 2**60, 1000),
        mean=rng.normal(size=(1000, 9)).astype(np.float32),
        free=rng.random((7, 9)) > 0.5,
        none=np.zeros((0, 4), np.int16),
        turned=rng.normal(size=(4, 3)).T,  # not contiguous
    )
    saved = save_map(room, tmp_path / "a" / "kitchen")
    assert (saved.path, saved.objects, saved.proxies) == (tmp_path / "a" / "kitchen", 3, 5)
    back = Room()
    loaded = load_map(back, tmp_path / "a" / "kitchen")
    assert (loaded.objects, loaded.proxies) == (3, 5)
    assert back.meta == room.meta
    assert back.arrays.keys() == room.arrays.keys()
    for name, array in room.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert np.array_equal(back.arrays[name], array)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["kitchen"]  # nothing half written beside it


def test_never_overwrites_unasked(saved: Path) -> None:
    before = contents(saved)
    with pytest.raises(MapError, match="exists; choose another name or set overwrite"):
        save_map(Room(1, 1), saved)
    assert contents(saved) == before
    save_map(Room(1, 1), saved, overwrite=True)
    room = Room()
    assert load_map(room, saved).objects == 1
    assert len(contents(saved)) == 2  # the old arrays are gone


def test_overwriting_with_the_same_content(saved: Path) -> None:
    before = contents(saved)
    save_map(Room(2, 4), saved, overwrite=True)
    assert contents(saved) == before


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(MapError, match="left as it is"):
        save_map(Room(1), tmp_path / "photos", overwrite=True)
    assert contents(tmp_path) == {"photos/cat.jpg": b"meow"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(MapError, match="not a folder"):
        save_map(Room(1), tmp_path / "file", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "map.json").write_text('{"format": "another"}')
    with pytest.raises(MapError, match="another format"):
        load_map(Room(), tmp_path / "other")
    with pytest.raises(MapError, match="another format"):
        save_map(Room(1), tmp_path / "other", overwrite=True)


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save_map(Room(1, 1), tmp_path / "empty")
    assert load_map(Room(), tmp_path / "empty").objects == 1


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="no such folder"):
        load_map(Room(), tmp_path / "nowhere")


def test_half_written(saved: Path) -> None:
    (saved / "map.json").unlink()
    with pytest.raises(MapError, match=r"never finished: it has no map\.json"):
        load_map(Room(), saved)


def test_arrays_missing(saved: Path) -> None:
    next(saved.glob("*.safetensors")).unlink()
    with pytest.raises(MapError, match="incomplete"):
        load_map(Room(), saved)


@pytest.mark.parametrize("where", [0.0, 0.5, 0.99])
def test_a_flipped_bit_anywhere_is_noticed(saved: Path, where: float) -> None:
    path = next(saved.glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(MapError, match="checksum"):
        load_map(Room(), saved)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated(saved: Path, share: float) -> None:
    for path in saved.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(MapError):
            load_map(Room(), saved)
        path.write_bytes(data)
    load_map(Room(), saved)


def test_changed_scene_is_noticed(saved: Path) -> None:
    edit(saved, scene={"objects": [], "epoch": 1})
    with pytest.raises(MapError, match="checksum"):
        load_map(Room(), saved)


@pytest.mark.parametrize("version", [0, 1, "2", None])
def test_other_versions_say_which(saved: Path, version: Any) -> None:
    edit(saved, version=version)
    with pytest.raises(MapError, match=r"reads version 2; use the program that wrote it \(proxy3d_ros"):
        load_map(Room(), saved)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "..", "", 5, "missing/x"])
def test_arrays_outside_the_map_are_not_read(saved: Path, name: Any) -> None:
    (saved.parent / "secret.safetensors").write_bytes(next(saved.glob("*.safetensors")).read_bytes())
    edit(saved, arrays=name)
    with pytest.raises(MapError):
        load_map(Room(), saved)


def test_a_link_out_of_the_map_is_not_followed(saved: Path) -> None:
    path = next(saved.glob("*.safetensors"))
    path.rename(saved.parent / "elsewhere")
    path.symlink_to(saved.parent / "elsewhere")
    with pytest.raises(MapError, match="leads out"):
        load_map(Room(), saved)


def test_a_state_that_is_refused_leaves_the_scene(saved: Path) -> None:
    class Picky(Room):
        def load_state_dict(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
            raise MapError("the map was made with another encoder")

    with pytest.raises(MapError, match="another encoder"):
        load_map(Picky(), saved)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(saved: Path, value: Any) -> None:
    before = contents(saved)
    room = Room(1, 1)
    room.meta["score"] = value
    with pytest.raises(MapError, match="nothing was written"):
        save_map(room, saved, overwrite=True)
    assert contents(saved) == before


def test_a_failing_disk_leaves_the_old_map(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(saved)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MapError, match="No space left on device"):
        save_map(Room(5, 5), saved, overwrite=True)
    with pytest.raises(MapError, match="No space left on device"):
        save_map(Room(5, 5), saved.parent / "new")
    assert contents(saved.parent) == {f"kitchen/{name}": data for name, data in before.items()}


def test_readers_see_the_old_or_the_new_map(saved: Path) -> None:
    """While one thread overwrites, loading gives one of the two maps; a reader that lost a race is told, not misled."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for n in (1, 2):
                save_map(Room(n, n * 2), saved, overwrite=True)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        for _ in range(100):
            room = Room()
            try:
                loaded = load_map(room, saved)
            except MapError as error:
                assert "incomplete" in str(error)
                continue
            assert len(room.meta["objects"]) == loaded.objects
            seen.add((loaded.objects, loaded.proxies))
    finally:
        stop.set()
        writer.join()
    assert seen <= {(1, 2), (2, 4)}
    assert seen


@pytest.mark.parametrize("path", ["kitchen", "a/b", "./kitchen", "a/../kitchen"])
def test_inside(tmp_path: Path, path: str) -> None:
    assert inside(tmp_path, path) == Path(os.path.normpath(tmp_path.resolve() / path))


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "/etc", "", ".", "a/..", "x\0y", "x" * 5000])
def test_not_inside(tmp_path: Path, path: str) -> None:
    with pytest.raises(MapError):
        inside(tmp_path, path)


@pytest.mark.parametrize("name", ["x\0y", "x" * 300])
def test_impossible_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(MapError, match="not a usable path"):
        save_map(Room(1), tmp_path / name)
    with pytest.raises(MapError, match="not a usable path"):
        load_map(Room(), tmp_path / name)


def test_links_out_are_not_inside(tmp_path: Path) -> None:
    root = tmp_path / "maps"
    root.mkdir()
    (tmp_path / "private").mkdir()
    (root / "link").symlink_to(tmp_path / "private")
    (root / "loop").symlink_to(root / "loop")
    (root / "good").symlink_to(root / "kitchen")
    for path in ("link", "link/x", str(root / "link" / "x")):
        with pytest.raises(MapError, match="leads out"):
            inside(root, path)
    assert inside(root, "good/x") == root / "kitchen" / "x"
    assert inside(root, root / "kitchen") == root / "kitchen"
    assert inside(str(root), "kitchen") == root / "kitchen"

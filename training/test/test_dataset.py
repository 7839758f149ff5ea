"""The dataset over samples and prepared scenes: what it chooses, in which order, and that processes share it."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="the dataset is torch's: pip install 'proxy3d-training[train]'")
from torch.utils.data import DataLoader

from proxy3d_core.errors import BadInput
from proxy3d_training.data.commands import data
from proxy3d_training.data.dataset import EpochSampler, Item, PackSampler, SpaceSpan, epoch_order, packs
from proxy3d_training.data.files import write_samples
from proxy3d_training.data.index import open_index
from proxy3d_training.data.loading_bench import synthetic_samples, synthetic_scenes
from proxy3d_training.data.prepared import PreparedScenes
from proxy3d_training.data.schema import Sample, Scene, TextAnswer, Thing

COUNT, SCENES = 400, 5


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(synthetic_samples(COUNT, SCENES))


@pytest.fixture(scope="module")
def file(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "samples.jsonl"
    write_samples(path, samples)
    return path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> PreparedScenes:
    folder = tmp_path_factory.mktemp("prepared")
    synthetic_scenes(folder, SCENES, channels=8, budget=60)
    return PreparedScenes(folder)


def test_reads_what_was_written(file: Path, samples: list[Sample], scenes: PreparedScenes) -> None:
    dataset = SpaceSpan([file], scenes)
    assert len(dataset) == COUNT and dataset.left_out == 0
    for i in (0, 17, COUNT - 1):
        item = dataset[i]
        # The synthetic maps give every object the marker that it has in the samples.
        assert item.sample == samples[i]
        assert item.scene is not None and item.scene.about.name == samples[i].scene.name  # type: ignore[union-attr]
        assert item.proxies is not None and item.markers is not None
        assert item.proxies.features.shape == (60, 8)
        assert item.markers.tolist() == [g - 1 for g in item.proxies.groups]


def test_filters(file: Path, samples: list[Sample]) -> None:
    def ids(**chosen: object) -> list[str]:
        dataset = SpaceSpan([file], **chosen)  # type: ignore[arg-type]
        return [dataset[i].sample.id for i in range(len(dataset))]

    assert ids(sources=["ScanRefer", "SR-91K"]) == [s.id for s in samples if s.source in ("ScanRefer", "SR-91K")]
    assert ids(types=["number"]) == [s.id for s in samples if s.answer.type == "number"]
    assert ids(split="train", stage=4) == [s.id for s in samples]
    with pytest.raises(BadInput, match="no sample is left"):
        ids(stage=1)
    with pytest.raises(BadInput, match="no sample is left"):
        ids(sources=["nobody's"])


def test_what_the_map_does_not_have_is_not_asked(tmp_path: Path, scenes: PreparedScenes) -> None:
    def ask(number: int, scene: str, named: int, other: int) -> Sample:
        things = (Thing(id=named, marker=named), Thing(id=other, marker=other))
        answer = TextAnswer(text="red", references=("red",))
        where = Scene(dataset="synthetic", name=scene, space=scene)
        question = f"What colour has <OBJ{named:03d}>?"
        return Sample(
            id=str(number), source="s", family="f", kind="k", split="val", scene=where,
            question=question, answer=answer, objects=things,
        )  # fmt: skip

    path = tmp_path / "s.jsonl"
    symbols = ask(3, "nowhere", 90, 91).model_copy(update={"view": "symbols"})
    # The maps have the objects 0 to 39 of five scenes.
    asked = [ask(0, "scene-00000", 3, 90), ask(1, "scene-00000", 90, 3), ask(2, "scene-00009", 3, 4), symbols]
    write_samples(path, asked)
    dataset = SpaceSpan([path], scenes)
    assert [dataset[i].sample.id for i in range(len(dataset))] == ["0", "3"]
    assert dataset.left_out == 2
    assert dataset[1].proxies is None and dataset[1].sample == symbols
    whole = SpaceSpan([path], scenes, need="all")
    assert [whole[i].sample.id for i in range(len(whole))] == ["3"]
    with pytest.raises(BadInput, match="3 ask for scenes or objects that were not prepared"):
        SpaceSpan([path], scenes, kinds=["k"], views=["proxies"], split="val", stage=4, types=["text"], need="all")


def test_markers_are_those_of_the_map(file: Path, tmp_path: Path, samples: list[Sample]) -> None:
    synthetic_scenes(tmp_path, SCENES, channels=4, budget=50)
    scenes = PreparedScenes(tmp_path)
    dataset = SpaceSpan([file], scenes)
    item = dataset[0]
    assert item.scene is not None
    # Another map of the room, in which the objects got other markers.
    other = [dataclasses.replace(o, marker=99 - o.id) for o in item.scene.about.objects]
    object.__setattr__(item.scene.about, "objects", tuple(other))
    item.scene.__dict__.pop("marker_of_true", None)
    moved = dataset[0].sample
    for thing, before in zip(moved.objects, samples[0].objects, strict=True):
        assert thing.marker == 99 - (before.id + 1)
        assert (f"<OBJ{before.marker:03d}>" in samples[0].question) == (f"<OBJ{thing.marker:03d}>" in moved.question)


def test_order_is_a_function_of_seed_and_epoch(file: Path) -> None:
    dataset = SpaceSpan([file])
    first = epoch_order(dataset, seed=3, epoch=0)
    assert sorted(first.tolist()) == list(range(COUNT))
    assert np.array_equal(first, epoch_order(SpaceSpan([file]), seed=3, epoch=0))
    assert not np.array_equal(first, epoch_order(dataset, seed=3, epoch=1))
    assert not np.array_equal(first, epoch_order(dataset, seed=4, epoch=0))


def test_weights_say_how_often_a_sample_is_read(file: Path, samples: list[Sample]) -> None:
    dataset = SpaceSpan([file])
    order = epoch_order(dataset, 0, 0, {"ScanRefer": 2.5, "ScanQA": 0, "SQA3D": 0.25})
    reads = Counter(order.tolist())
    of = {
        name: [reads[i] for i, s in enumerate(samples) if s.source == name]
        for name in ("ScanRefer", "ScanQA", "SQA3D", "MMScan")
    }
    assert set(of["ScanRefer"]) == {2, 3}
    assert sum(of["ScanRefer"]) == round(2.5 * len(of["ScanRefer"]))
    assert set(of["ScanQA"]) == {0} and set(of["MMScan"]) == {1}
    assert sum(of["SQA3D"]) == round(0.25 * len(of["SQA3D"]))
    with pytest.raises(BadInput, match="there is no source 'ScanRefr'; there are ScanQA"):
        epoch_order(dataset, 0, 0, {"ScanRefr": 1})
    with pytest.raises(BadInput, match="not negative"):
        epoch_order(dataset, 0, 0, {"ScanQA": -1})


def test_weights_over_several_files(file: Path, tmp_path: Path, samples: list[Sample]) -> None:
    again = [s.model_copy(update={"id": f"b/{s.id}"}) for s in samples if s.source in ("MMScan", "ScanQA")]
    write_samples(tmp_path / "b.jsonl", again)
    dataset = SpaceSpan([tmp_path / "b.jsonl", file], sources=["MMScan", "ScanQA", "SQA3D"])
    names = [dataset.names("source")[n] for n in dataset.column("source")]
    assert names == [dataset[i].sample.source for i in range(len(dataset))]
    order = epoch_order(dataset, 0, 0, {"MMScan": 0})
    assert {names[i] for i in order} == {"ScanQA", "SQA3D"}


def test_ranks_share_an_epoch_and_go_on_where_they_were(file: Path) -> None:
    dataset = SpaceSpan([file])
    whole = list(EpochSampler(dataset, seed=5))
    parts = [EpochSampler(dataset, seed=5, rank=rank, world=3) for rank in range(3)]
    assert [len(part) for part in parts] == [COUNT // 3] * 3
    assert [i for step in zip(*parts, strict=True) for i in step] == whole[: COUNT // 3 * 3]
    resumed = EpochSampler(dataset, seed=5)
    resumed.set_epoch(0, start=123)
    assert list(resumed) == whole[123:] and len(resumed) == COUNT - 123


def test_packs_share_a_scene(file: Path, samples: list[Sample]) -> None:
    dataset = SpaceSpan([file])
    order = epoch_order(dataset, 1, 0)
    found = packs(dataset, order, 16)
    assert sorted(i for pack in found for i in pack) == list(range(COUNT))
    scene = [s.scene.name for s in samples if s.scene]
    assert all(len({scene[i] for i in pack}) == 1 for pack in found)
    # No more groups than must be.
    assert len(found) == sum(-(-n // 16) for n in Counter(scene).values())
    sampler = PackSampler(dataset, 16, seed=1)
    assert list(sampler) == [pack.tolist() for pack in found]


def test_an_index_follows_its_file(tmp_path: Path, samples: list[Sample]) -> None:
    path = tmp_path / "s.jsonl"
    write_samples(path, samples[:3])
    assert len(open_index(path)) == 3
    made = (tmp_path / "s.jsonl.index" / "rows.npy").stat().st_mtime_ns
    assert len(open_index(path)) == 3
    assert (tmp_path / "s.jsonl.index" / "rows.npy").stat().st_mtime_ns == made
    write_samples(path, samples[:5])
    assert len(open_index(path)) == 5
    path.write_text('{"version": 1}\n')
    with pytest.raises(BadInput, match=r"s\.jsonl:1: .*data validate"):
        open_index(path)
    path.write_text("")
    assert len(open_index(path)) == 0


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_read_the_same(file: Path, scenes: PreparedScenes, start: str) -> None:
    dataset = SpaceSpan([file], scenes, sources=["ScanRefer"])
    dataset[0]  # what is open here is not handed on
    loader = DataLoader(
        dataset,
        batch_sampler=PackSampler(dataset, 20),
        num_workers=2,
        collate_fn=_texts,
        multiprocessing_context=start,
    )
    alone = DataLoader(dataset, batch_sampler=PackSampler(dataset, 20), collate_fn=_texts)
    assert list(loader) == list(alone)


def _texts(items: list[Item]) -> list[str]:
    return [f"{item.sample.prompt()} {item.sample.answer.text} {float(item.proxies.features.sum())}" for item in items]  # type: ignore[union-attr]


def test_a_dataset_travels_light(file: Path, scenes: PreparedScenes) -> None:
    dataset = SpaceSpan([file], scenes)
    dataset[0]
    for index in dataset._indices:
        assert len(pickle.dumps(index)) < 2000
    assert len(pickle.dumps(scenes)) < 500
    item = pickle.loads(pickle.dumps(dataset[1]))
    assert np.array_equal(item.scene.proxies().positions, dataset[1].proxies.positions)  # type: ignore[union-attr]


def test_bench_measures(tmp_path: Path) -> None:
    arguments = ["bench", "--samples", "300", "--scenes", "3", "--channels", "4", "--workers", "0", "--workers", "1"]
    result = CliRunner().invoke(data, [*arguments, "--batches", "3", "--folder", str(tmp_path), "--json"])
    document = json.loads(result.stdout)
    assert document["samples"] == 300
    assert document["loading"]["1"]["samples_per_s"] > 0
    assert len(document["loading"]["1"]["worker_own_mb"]) == 1
    assert list(tmp_path.iterdir()) == []

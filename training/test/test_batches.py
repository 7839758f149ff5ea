"""What the model is shown: scenes drawn from their truth, ablations of prepared scenes, markers dealt anew."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

pytest.importorskip("torch", reason="training needs torch: pip install 'proxy3d-training[train]'")

from proxy3d_core.proxies.references import PICTURE, ReferenceCodes, find_markers
from proxy3d_core.scene.snapshot import CEILING, FLOOR, WALL
from proxy3d_core.vlm.inputs import SceneTokens
from proxy3d_core.vlm.prompt import PromptFormat, split_evidence, with_evidence
from proxy3d_core.vlm.tokenizer import train_tokenizer
from proxy3d_training.data.dataset import Item, SpaceSpan
from proxy3d_training.data.drawn import DrawnScene, DrawnScenes
from proxy3d_training.data.files import write_samples
from proxy3d_training.data.loading_bench import synthetic_samples, synthetic_scenes
from proxy3d_training.data.prepared import PreparedScenes
from proxy3d_training.data.questions.generate import as_sample, candidates
from proxy3d_training.data.questions.rooms import read_room
from proxy3d_training.data.schema import Box as SeenBox
from proxy3d_training.data.schema import Thing as SeenThing
from proxy3d_training.simulation.truth import Box, Room, Thing, Truth
from proxy3d_training.train.batches import Collator, Variant, drawn_tokens, scene_tokens
from proxy3d_training.train.drills import DRILLS, Drilled, drills

DEMO = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"
BUDGET, CHANNELS = 60, 48


def pixels(pictures: Any) -> Any:
    """An encoder that keeps what it sees: 7 x 7 pixels of each picture as one feature, about the mean."""
    stack = np.stack(pictures)[..., 0].reshape(-1, 7, PICTURE // 7, 7, PICTURE // 7).mean(axis=(2, 4)).reshape(-1, 49)
    return (stack[:, None, None] / 128 - 1).astype(np.float32)[..., :CHANNELS]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SpaceSpan:
    folder = tmp_path_factory.mktemp("data")
    write_samples(folder / "samples.jsonl", synthetic_samples(40, 3))
    synthetic_scenes(folder / "scenes", 3, channels=CHANNELS, budget=BUDGET)
    return SpaceSpan([folder / "samples.jsonl"], PreparedScenes(folder / "scenes"))


@pytest.fixture(scope="module")
def prompts(data: SpaceSpan) -> PromptFormat:
    return PromptFormat(train_tokenizer([data[i].sample.prompt() for i in range(len(data))] * 4, 800))


def an_l() -> DrawnScene:
    """An L of 4 x 2 and 2 x 2 metres, with a table turned by 30 degrees and a small ball on its floor."""
    corners = ((0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0), (2.0, 4.0), (0.0, 4.0))
    table = Thing(7, "table", Box((1.0, 1.0, 0.4), (1.2, 0.6, 0.8), np.pi / 6))
    ball = Thing(9, "ball", Box((3.0, 1.0, 0.1), (0.2, 0.2, 0.2), 0.0))
    return DrawnScene("l", (table, ball), (Room(1, "", corners, 12.0, 2.5),))


def test_drawn_proxies_lie_on_the_things() -> None:
    """On the faces of the turned box but its bottom, on the floor inside the L, on its walls, under its ceiling."""
    proxies = an_l().draw(400, 3, np.random.default_rng(0))
    assert len(proxies) == 400 and not proxies.features.any()
    near = 0.09  # places are off by 2 cm, normally
    places = {g: proxies.positions[proxies.groups == g].astype(float) for g in (7, 9, FLOOR, WALL, CEILING)}
    assert sum(map(len, places.values())) == 400 and len(places[7]) > 4 * len(places[9]) > 0
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    along = (places[7] - [1.0, 1.0, 0.4]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) / [0.6, 0.3, 0.4]
    assert np.abs(along).max() < 1 + near / 0.3
    assert np.abs(np.abs(along).max(axis=1) - 1).max() < near / 0.3
    assert np.median(along[:, 2]) > 0 and (along[:, 2] > 0.8).any()
    for kind, height in ((FLOOR, 0.0), (CEILING, 2.5)):
        x, y, z = places[kind].T
        assert np.abs(z - height).max() < near
        assert ((x < 2 + near) | (y < 2 + near)).all() and ((x > 2.2) & (y < 2)).any() and ((x < 2) & (y > 2.2)).any()
    x, y, _ = places[WALL].T
    edges = [np.hypot(x - np.clip(x, *a), y - np.clip(y, *b)) for a, b in (
        ((0, 4), (0, 0)), ((4, 4), (0, 2)), ((2, 4), (2, 2)), ((2, 2), (2, 4)), ((0, 2), (4, 4)), ((0, 0), (0, 4))
    )]  # fmt: skip
    assert np.min(edges, axis=0).max() < near


def test_drawn_proxies_carry_their_codes() -> None:
    codes = ReferenceCodes(pixels)
    deal = np.roll(np.arange(100), 1)  # marker 0 -> 99, 1 -> 0
    tokens = drawn_tokens(an_l(), codes, deal, 100, np.random.default_rng(1))
    named = {7: ("table", 99), 9: ("ball", 0), FLOOR: ("floor", None)}
    for group, (name, number) in named.items():
        expected = codes.categories([name])[0] + (0 if number is None else codes.identifiers([number])[0])
        rows = tokens.features[tokens.groups == group]
        assert len(rows)
        np.testing.assert_allclose(rows, np.tile(expected, (len(rows), 1)), atol=1e-6)


def test_drills_ask_in_an_order_of_their_own() -> None:
    """By hand: the table's proxies lie about (1, 2, 3.5), there are two balls, and the lamp has no proxy."""
    groups = np.array([9, FLOOR, 7, 9, 7, 4])
    places = np.array([[0, 0, 1], [5, 5, 0], [1, 2, 3], [1, 0, 1], [1, 2, 4], [-3, 0, 2]], np.float32)
    tokens = SceneTokens(np.zeros((6, CHANNELS), np.float32), places, groups)
    things = {
        group: SeenThing(id=group, marker=index, label=label, box=SeenBox(center=center, size=(0.1, 0.1, 0.1)))
        for group, index, label, center in (
            (7, 41, "dining table", (1, 2, 3.5)), (9, 3, "ball", (0.5, 0, 1)), (4, 12, "ball", (-3, 0, 2)),
            (8, 5, "lamp", (0, 0, 0)),
        )
    }  # fmt: skip
    table, ball, other = (f"<OBJ{number:03d}>" for number in (41, 3, 12))
    right = {
        f"{table} dining table", f"{ball} ball", f"{other} ball", f"dining table {table}",
        f"{table} (1.0, 2.0, 3.5)", f"{ball} (0.5, 0.0, 1.0)", f"{other} (-3.0, 0.0, 2.0)",
    }  # fmt: skip
    for (a, b), gap, there, back in (
        ((table, ball), "3.2", "@255", "@075"), ((table, other), "4.7", "@210", "@030"),
        ((ball, other), "3.6", "@180", "@000"),
    ):  # fmt: skip
        right |= {f"{a}{b}{gap}", f"{b}{a}{gap}", f"{a}{b}{there}", f"{b}{a}{back}"}
    turned_by = {  # the way to what is asked about, less that to what is faced
        (41, 3, 12): "@210@315", (41, 12, 3): "@255@045", (3, 41, 12): "@180@105", (3, 12, 41): "@075@255",
        (12, 41, 3): "@000@330", (12, 3, 41): "@030@030",
    }  # fmt: skip
    names, apart = {41: "dining table", 3: "ball", 12: "ball"}, {(3, 41): 3.2, (12, 41): 4.7, (3, 12): 3.6}
    said: set[str] = set()
    chosen: set[str] = set()

    def drilled(scene: SceneTokens, symbolic: bool, yaw: float, seeds: int) -> list[tuple[str, str]]:
        about = Drilled(scene, things, {}, symbolic, yaw)
        each = [drills(about, np.random.default_rng(seed)) for seed in range(seeds)]
        assert all(1 < len(set(pairs)) == len(pairs) <= DRILLS for pairs in each)
        return [pair for pairs in each for pair in pairs]

    for question, answer in drilled(tokens, True, 0.0, 80):
        asked = find_markers(question) or [41]
        if question.startswith("Which is"):
            anchor, *others = asked
            gaps = [apart[min(anchor, other), max(anchor, other)] for other in others]
            best = (min if "nearest" in question else max)(gaps)
            so_far = [(gaps[0], others[0]), (best, others[gaps.index(best)])]
            steps = [
                f"{names[other]}<OBJ{other:03d}><OBJ{anchor:03d}>{gap}>{value}<OBJ{index:03d}>"
                for other, gap, (value, index) in zip(others, gaps, so_far, strict=True)
            ]
            assert answer == " ".join(steps)
            chosen.add(question[:13])
            continue
        assert list(dict.fromkeys(find_markers(answer))) == asked
        parts = answer.split("; ") if "; " in answer or len(asked) == 1 else re.findall(r"<.*?[^>](?=<|$)", answer)
        said |= {re.sub(r"(@\d+)@\d+", r"\1", part) for part in parts}
        if question.startswith("Standing"):
            assert turned_by[tuple(asked)] in answer
    assert said == right and chosen == {"Which is near", "Which is fart"}
    longest = [answer for question, answer in drilled(tokens, False, 0.0, 30) if question.startswith("How long")]
    assert longest and {part for answer in longest for part in re.findall(r"<OBJ\d+>[\d.]+", answer)} == {
        f"{table}0.1",
        f"{ball}0.1",
        f"{other}0.1",
    }
    assert any(f"{table}{ball}@345" in answer for _, answer in drilled(tokens, True, np.pi / 2, 60))  # 255 + 90
    assert drills(Drilled(tokens, {8: things[8]}, {}, True), np.random.default_rng(0)) == []
    unplaced = drilled(replace(tokens, positions=None), True, 0.0, 20)
    assert not any(re.search(r"\(|@|\d\.\d", answer) for _, answer in unplaced)


def test_drills_of_colors_and_floors() -> None:
    """Of three chairs and a table only the table is asked for by name; the one red thing is always among the first."""
    groups = np.arange(1, 5)
    tokens = SceneTokens(np.zeros((4, CHANNELS), np.float32), None, groups, 23.14)
    box = SeenBox(center=(0, 0, 0), size=(1, 1, 1))
    labels = {1: "chair", 2: "chair", 3: "chair", 4: "table"}
    things = {group: SeenThing(id=group, marker=group, label=label, box=box) for group, label in labels.items()}
    colors = {1: "white", 2: "white", 3: "red"}
    said = {
        pair
        for seed in range(60)
        for pair in drills(Drilled(tokens, things, colors, True), np.random.default_rng(seed))
    }
    assert ("How large is the floor?", "[4.8] 23.0") in said  # 4.8 m x 4.8 m = 23.04 m^2
    asked = [answer for question, answer in said if question.startswith("What colors")]
    assert asked and all(answer.split("; ").index("<OBJ003> red") < 2 for answer in asked)
    assert all(sorted(answer.split("; ")) == ["<OBJ001> white", "<OBJ002> white", "<OBJ003> red"] for answer in asked)
    of_table = {
        pair
        for seed in range(60)
        for pair in drills(Drilled(tokens, things, {4: "blue"}, True), np.random.default_rng(seed))
    }
    assert {
        ("What colors have these: table?", "table<OBJ004> blue"),
        ("What colors have <OBJ004>?", "<OBJ004> blue"),
    } <= of_table


def test_drills_of_the_order_of_first_sight() -> None:
    """It is that of the markers, whatever the groups: the chairs came second and last. Symbols have no such order."""
    groups = np.arange(1, 5)
    tokens = SceneTokens(np.zeros((4, CHANNELS), np.float32), None, groups)
    box = SeenBox(center=(0, 0, 0), size=(1, 1, 1))
    marked = {1: ("chair", 80), 2: ("table", 4), 3: ("lamp", 31), 4: ("chair", 9)}
    things = {group: SeenThing(id=group, marker=m, label=label, box=box) for group, (label, m) in marked.items()}
    said = [
        pair
        for seed in range(40)
        for symbolic in (False, True)
        for pair in drills(Drilled(tokens, things, {}, symbolic), np.random.default_rng(seed))
        if pair[0].startswith("In which order")
    ]
    assert 10 < len(said) <= 40
    answers = {"<OBJ004> <OBJ009> <OBJ031> <OBJ080>", "table <OBJ004>; chair <OBJ009>; lamp <OBJ031>"}
    assert {answer for _, answer in said} == answers
    assert len({question for question, _ in said}) > 5


def test_drills_come_with_every_row(data: SpaceSpan, prompts: PromptFormat) -> None:
    items, codes = [data[i] for i in range(4)], ReferenceCodes(pixels)
    plain, drilled = (Collator(prompts, codes, augment=5, drills=d)(items) for d in (False, True))
    assert (drilled["segments"].max(dim=1).values == plain["segments"].max(dim=1).values + DRILLS).all()


def test_questions_of_a_room_without_pictures(tmp_path: Path) -> None:
    """The demo's room by its truth: the marker that an answer names is on proxies of the very category asked for."""
    room, codes = read_room(DEMO), ReferenceCodes(pixels)
    samples = [
        as_sample(room, candidate, "train", 5, number, tmp_path / "q.jsonl")
        for number, candidate in enumerate(candidates(room, 5, 20, ["grounding"]))
        if candidate.kind == "grounding_unique"
    ]
    write_samples(tmp_path / "q.jsonl", samples)
    scenes = DrawnScenes(DEMO)
    dataset = SpaceSpan([tmp_path / "q.jsonl"], scenes)
    labels = {thing.id: thing.label for thing in Truth.load(DEMO).objects}
    assert len(dataset) > 2
    prompts = PromptFormat(train_tokenizer([s.prompt() + s.answer.text for s in samples] * 4, 800))
    for i in range(len(dataset)):
        item = dataset[i]
        batch = Collator(prompts, codes, augment=i)([item])
        assert 150 <= batch["features"].shape[1] <= 300
        read = prompts.tokenizer.decode(batch["input_ids"][0])
        assert "Floor: as large as a square of 6.1 m, 37.4 square meters." in read  # room.json: 37.44
        learned = batch["labels"][0][batch["labels"][0] >= 0]
        (named,) = find_markers(prompts.tokenizer.decode(learned))
        code = codes.identifiers([named])[0] + codes.categories([labels[item.sample.answer.objects[0]]])[0]  # type: ignore[union-attr]
        assert (np.abs(batch["features"][0].numpy() - code).max(axis=1) < 1e-5).any()


@pytest.mark.parametrize("seed", [1, 2])
def test_dealt_markers_and_turned_scenes_are_the_same_scene(data: SpaceSpan, prompts: PromptFormat, seed: int) -> None:
    """Every proxy carries the code of the marker that texts now use for its object; distances and heights stay."""
    codes = ReferenceCodes(pixels)
    items = [item for i in range(len(data)) if (item := data[i]).scene is data[0].scene]
    plain, other = Collator(prompts, codes)(items), Collator(prompts, codes, augment=seed)(items)
    again = Collator(prompts, codes, augment=seed)(items)
    assert all((other[name] == again[name]).all() for name in other)
    assert not (plain["positions"] == other["positions"]).all()
    np.testing.assert_allclose(pdist(plain["positions"][0]), pdist(other["positions"][0]), atol=1e-4)
    np.testing.assert_allclose(plain["positions"][0, :, 2], other["positions"][0, :, 2], atol=1e-6)
    before, after = (find_markers(prompts.tokenizer.decode(b["input_ids"][0])) for b in (plain, other))
    assert len(before) == len(after) and before != after
    assert np.array_equal(rankdata(before, "dense"), rankdata(after, "dense"))  # the order of first sight
    scene = items[0].scene
    assert scene is not None and not isinstance(scene, DrawnScene)
    groups, checked = scene_tokens(scene, codes).groups, 0
    difference = other["features"][0].numpy() - plain["features"][0].numpy()
    for old in {m for item in items for m in find_markers(item.sample.question)}:
        rows = groups == next(o.id for o in scene.about.objects if o.marker == old)
        if rows.any():
            code = difference[rows][0] + codes.identifiers([old])[0]
            fits = [n for n in range(100) if np.abs(codes.identifiers([n])[0] - code).max() < 2e-3]
            assert len(fits) == 1 and fits[0] in after
            checked += 1
    assert checked


def test_variants_show_what_they_say(data: SpaceSpan) -> None:
    codes, rng = ReferenceCodes(pixels), np.random.default_rng(0)
    scene = data[0].scene
    assert scene is not None and not isinstance(scene, DrawnScene)
    live = scene_tokens(scene, codes)
    shuffled = scene_tokens(scene, codes, Variant(shuffled=True), rng=rng)
    assert len(live) == BUDGET and live.positions is not None and shuffled.positions is not None
    assert not (shuffled.groups == live.groups).all()
    key = np.lexsort(live.positions.T), np.lexsort(shuffled.positions.T)
    np.testing.assert_array_equal(live.features[key[0]], shuffled.features[key[1]])
    assert scene_tokens(scene, codes, Variant(placed=False)).positions is None
    assert len(scene_tokens(scene, codes, Variant(scene="none"))) == 0
    named = scene_tokens(scene, codes, Variant(named=True))
    for thing in scene.about.objects:
        rows = live.groups == thing.id
        expected = live.features[rows] + codes.categories([thing.label])
        np.testing.assert_allclose(named.features[rows], expected, atol=1e-5)
    assert not (named.features == live.features).all()
    few = scene_tokens(scene, codes, Variant(budget=20))
    loose = scene_tokens(scene, codes, Variant(budget=20, grouped=False))
    assert len(few) == len(loose) == 20
    assert set(loose.groups.tolist()) <= set(scene.triplets().groups.tolist())


def test_merged_cells_are_means_of_four(data: SpaceSpan) -> None:
    """Each token is the mean of 2 x 2 cells, frame by frame, with the marker of the object that most of them show."""
    codes = ReferenceCodes(pixels)
    scene = data[0].scene
    assert scene is not None and not isinstance(scene, DrawnScene)
    tokens = scene_tokens(scene, codes, Variant(scene="pixels"))
    features, groups = scene.array("features").astype(np.float32), scene.array("groups")
    frames, height, width, _ = features.shape
    assert len(tokens) == frames * (height // 2) * (width // 2) and tokens.positions is None
    markers = {o.id: o.marker for o in scene.about.objects}
    for frame, i, j in ((0, 0, 0), (frames - 1, 1, 2), (frames // 2, height // 2 - 1, width // 2 - 1)):
        index = (frame * (height // 2) + i) * (width // 2) + j
        four = groups[frame, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel().tolist()
        group = int(tokens.groups[index])
        assert four.count(group) == max(map(four.count, four))
        expected = features[frame, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(axis=(0, 1))
        if markers.get(group) is not None:
            expected = expected + codes.identifiers([markers[group]])[0]  # type: ignore[list-item]
        np.testing.assert_allclose(tokens.features[index], expected, atol=2e-3)


def test_drawn_things_are_marked_in_the_order_of_first_sight() -> None:
    scene = DrawnScenes(DEMO)[read_room(DEMO).name]
    times = [thing.first_seen for thing in scene.things]
    assert len(times) > 10 and times == sorted(times, key=lambda time: time or 0.0)
    assert scene.marker_of_true == {thing.id: place for place, thing in enumerate(scene.things)}


def test_an_item_of_a_drawn_scene_has_no_proxies() -> None:
    """They are drawn anew for every row."""
    sample: Any = None
    assert Item(sample, an_l()).proxies is None and Item(sample, an_l()).markers is None


def test_evidence_is_told_from_the_answer() -> None:
    assert with_evidence("<OBJ090><OBJ005>2.6", "2.6") == "[<OBJ090><OBJ005>2.6] 2.6" and with_evidence("", "2") == "2"
    assert split_evidence(" [<OBJ090><OBJ005>2.6 lamp] C") == ("<OBJ090><OBJ005>2.6 lamp", "C")
    assert split_evidence("[<OBJ090>@045 left]") == ("<OBJ090>@045 left", "")
    assert split_evidence("[1.2, 0.5]") == ("", "[1.2, 0.5]") and split_evidence("[lamp] C") == ("lamp", "C")
    assert split_evidence("<OBJ090>.") == ("", "<OBJ090>.") and split_evidence("[] no") == ("", "[] no")

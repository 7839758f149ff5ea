"""Questions from simulated rooms: right by hand-made geometry, unambiguous, balanced, without leaks."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from proxy3d_training.data.blind import Asked, baselines, chance, guesses, relative_accuracy
from proxy3d_training.data.check import check
from proxy3d_training.data.commands import data
from proxy3d_training.data.files import read_samples, validate, write_samples
from proxy3d_training.data.questions import regions, vsi
from proxy3d_training.data.questions.candidates import Asker, Candidate, plural
from proxy3d_training.data.questions.expressions import expressions
from proxy3d_training.data.questions.generate import FAMILIES, as_sample, candidates, generate
from proxy3d_training.data.questions.geometry import bearing, crosses, off
from proxy3d_training.data.questions.rooms import Item, Room, read_room, split_of
from proxy3d_training.data.schema import IdAnswer, Sample
from proxy3d_training.data.show import show
from proxy3d_training.evaluation.scorers import vsibench_official
from proxy3d_training.evaluation.vsi_questions import closest_distance
from proxy3d_training.simulation.truth import Box, Camera, Change, Thing, Truth, View
from proxy3d_training.simulation.truth import Room as TrueRoom

ROOMS = 24
DEMO = Path(__file__).resolve().parents[2] / "proxy3d_ros" / "demo" / "room"


def thing(number: int, label: str, x: float, y: float, z: float = 0.25, edge: float = 0.5, **more: object) -> Thing:
    """A cube of half a metre unless said otherwise, seen at once."""
    return Thing(number, label, Box((x, y, z), (edge, edge, 2 * z if z == 0.25 else edge), 0.0), 1, **more)  # type: ignore[arg-type]


def room_of(*things: Thing, tmp_path: Path, vocabulary: tuple[str, ...] = ()) -> Room:
    plan = TrueRoom(1, "office", ((0.0, 0.0), (8.0, 0.0), (8.0, 6.0), (0.0, 6.0)), 48.0, 2.5)
    Truth("hand", 0, 0, "test", (plan,), (), things, vocabulary=vocabulary).save(tmp_path)
    return read_room(tmp_path)


@pytest.fixture(scope="module")
def demo() -> Room:
    """The demo's room."""
    return read_room(DEMO)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rooms: the demo's things shuffled about, some left out, sizes and colours by chance."""
    folder = tmp_path_factory.mktemp("rooms")
    source = Truth.load(DEMO)
    for number in range(ROOMS):
        rng = random.Random(number)
        places = [t.box for t in source.objects]
        rng.shuffle(places)
        things = []
        for t, place in zip(source.objects, places, strict=True):
            if rng.random() < 0.25:
                continue
            size = tuple(round(v * rng.uniform(0.5, 2.0), 3) for v in t.box.size)
            box = Box((place.center[0], place.center[1], size[2] / 2), size, rng.uniform(-3, 3))  # type: ignore[arg-type]
            color = rng.choice(("red", "blue", "white"))
            things.append(replace(t, box=box, color=color, first_seen=rng.uniform(0, 40)))
        own = folder / f"room{number:03d}"
        own.mkdir()
        vocabulary = tuple({t.label for t in source.objects} | {"piano", "bathtub"})
        plan = replace(source.rooms[0], area=rng.uniform(12, 60))
        replace(source, name=own.name, objects=tuple(things), changes=(), rooms=(plan,), vocabulary=vocabulary).save(
            own
        )
    return folder


@pytest.fixture(scope="module")
def made(many: Path) -> tuple[Path, list[Sample]]:
    """Questions about them."""
    out = many / "q.jsonl"
    folders = sorted(p for p in many.iterdir() if p.is_dir())
    samples = list(generate(folders, out, seed=3, per_room=100))
    write_samples(out, samples)
    return out, samples


def test_distances_are_those_of_solid_boxes(demo: Room) -> None:
    boxes = [o.box for o in demo.snapshot().objects]
    for i, a in enumerate(boxes):
        for j, b in enumerate(boxes):
            assert demo.gaps[i, j] == pytest.approx(closest_distance(a, b), abs=1e-6)


def test_bearings_are_counter_clockwise_from_ahead() -> None:
    here, ahead = np.zeros(2), np.array([0.0, 1.0])
    assert bearing(here, ahead, np.array([0.0, 3.0])) == pytest.approx(0)
    assert bearing(here, ahead, np.array([-1.0, 0.0])) == pytest.approx(90)  # left
    assert bearing(here, ahead, np.array([1.0, 0.0])) == pytest.approx(270)  # right
    assert off(355, 0) == pytest.approx(5) and off(100, 0, 90) == pytest.approx(10)


def test_a_way_meets_what_stands_in_it() -> None:
    square = np.array([[[2, -1], [3, -1], [3, 1], [2, 1]]], dtype=float)
    assert crosses(np.zeros(2), np.array([5.0, 0.0]), square)[0]
    assert not crosses(np.zeros(2), np.array([5.0, 5.0]), square)[0]
    assert crosses(np.array([0.0, 1.1]), np.array([5.0, 1.1]), square, margin=0.2)[0]


def test_vsi_answers_by_hand(tmp_path: Path) -> None:
    # From the desk one looks along +x at the bed; the lamp is to the left (+y), the sofa behind on the right.
    room = room_of(
        thing(1, "desk", 3, 3, first_seen=0.0),
        thing(2, "bed", 6, 3, first_seen=2.0),
        thing(3, "lamp", 3.4, 5, first_seen=4.0),
        thing(4, "sofa", 1.5, 1.5, first_seen=6.0),
        thing(5, "chair", 7, 1),
        thing(6, "chair", 7, 2),
        thing(7, "plant", 3, 0.8),
        tmp_path=tmp_path,
    )
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in vsi.ask(Asker(room, random.Random(0), 200)):
        found[candidate.kind].append(candidate)

    def answer(kind: str, *words: str) -> str:
        hit = next(c for c in found[kind] if all(w in c.question for w in words))
        return next((o[3:] for o in hit.options if o[0] == hit.answer.text), hit.answer.text)

    assert {c.answer.text for c in found["object_counting"]} == {"2"}
    assert {c.answer.text for c in found["object_abs_distance"] if {i.id for i in c.named} == {1, 2}} == {"2.5"}
    assert {c.answer.text for c in found["object_size_estimation"]} == {"50"}
    assert {c.answer.text for c in found["room_size_estimation"]} == {"48.0"}
    words = ("standing by the desk", "facing the bed")
    assert answer("object_rel_direction_easy", *words, "is the lamp") == "left"
    assert answer("object_rel_direction_hard", *words, "is the lamp") == "front-left"
    assert answer("object_rel_direction_hard", *words, "is the sofa") == "back-right"
    # Straight to the side is too close to call between front and back, though not between left and right.
    assert not [c for c in found["object_rel_direction_hard"] if "desk and facing the bed, is the plant" in c.question]
    assert answer("object_rel_direction_easy", *words, "is the plant") == "right"
    assert answer("obj_appearance_order", "desk") == "desk, bed, lamp, sofa"


def test_routes_turn_where_the_way_turns(tmp_path: Path) -> None:
    room = room_of(thing(1, "desk", 1, 1), thing(2, "bed", 4, 1), thing(3, "lamp", 4, 4), tmp_path=tmp_path)
    routes = [c for c in vsi.ask(Asker(room, random.Random(0), 50)) if c.kind == "route_planning"]
    left = next(c for c in routes if "beginning at the desk and facing the bed" in c.question)
    assert next(o for o in left.options if o[0] == left.answer.text)[3:] == "Turn Left"
    assert "Go forward until the lamp" in left.question
    # A wardrobe on the way: no such route.
    room = room_of(
        *(thing(1, "desk", 1, 1), thing(2, "bed", 4, 1), thing(3, "lamp", 4, 4), thing(4, "wardrobe", 2.5, 1, 0.9)),
        tmp_path=tmp_path,
    )
    routes = [c for c in vsi.ask(Asker(room, random.Random(0), 50)) if c.kind == "route_planning"]
    assert not [c for c in routes if "beginning at the desk and facing the bed" in c.question]


def test_expressions_fit_exactly_what_they_say(tmp_path: Path) -> None:
    room = room_of(
        thing(1, "chair", 1, 1, color="red"),
        thing(2, "chair", 5, 1, color="blue"),
        thing(3, "desk", 1.6, 1),
        thing(4, "mug", 1.6, 1, 0.6, 0.1, on="object", support=3, color="white"),
        tmp_path=tmp_path,
        vocabulary=("chair", "desk", "mug", "piano"),
    )
    found = {e.one: [item.id for item in e.fits] for e in expressions(Asker(room, random.Random(1), 20))}
    assert found["chair"] == [1, 2] and found["red chair"] == [1] and found["piano"] == []
    assert found["chair closest to the desk"] == [1] and found["chair farthest from the desk"] == [2]
    assert found["mug on the desk"] == [4]
    assert found.get("chair near the desk", [1]) == [1]


def test_what_is_unclear_is_not_asked(tmp_path: Path) -> None:
    room = room_of(
        thing(1, "chair", 1, 1),
        thing(2, "office chair", 3, 1),
        thing(3, "sink", 5, 1),
        thing(4, "washbasin", 5, 3),
        thing(5, "shoes", 2, 2),
        thing(6, "desk", 1, 4),
        tmp_path=tmp_path,
        vocabulary=("armchair", "piano", "round table", "desk"),
    )
    assert set(room.by_label) == {"office chair", "desk"}
    assert "piano" in room.absent and "armchair" not in room.absent  # it might be called a chair


def test_unseen_things_are_not_counted(tmp_path: Path) -> None:
    truth = Truth.load(DEMO)
    plan = truth.rooms[0]
    things = (thing(1, "chair", 1, 1, first_seen=0.5), thing(2, "chair", 3, 1), thing(3, "bed", 5, 1, first_seen=1.0))
    view = View(0, 0.0, (0.0, 0.0, 1.0), 0.0, 0.0, 1)
    replace(truth, rooms=(plan,), objects=things, changes=(), openings=(), frames=(view,)).save(tmp_path)
    room = read_room(tmp_path)
    assert [item.id for item in room.items] == [1, 3] and set(room.by_label) == {"bed"}


def test_split_depends_on_the_name_alone() -> None:
    names = [f"sim-1-{i:06d}" for i in range(4000)]
    shares = Counter(split_of(name) for name in names)
    assert shares["train"] / 4000 == pytest.approx(0.8, abs=0.03)
    assert split_of("sim-1-000007") == split_of("sim-1-000007")
    assert {split_of(name, val=0, test=1) for name in names} == {"test"}


def test_markers_do_not_tell_the_label(many: Path) -> None:
    numbers = [read_room(p).markers for p in sorted(many.iterdir()) if p.is_dir()]
    assert len({m.get(1) for m in numbers}) > 10
    assert all(sorted(m.values()) == list(range(len(m))) for m in numbers)


def test_every_family_makes_valid_questions(made: tuple[Path, list[Sample]]) -> None:
    out, samples = made
    assert not validate([out]).problems
    assert {s.family for s in samples} == {
        *("VSI-Bench", "SQA3D", "ScanQA", "ScanRefer", "Multi3DRefer", "Scan2Cap", "MMScan", "SR-3D"),
        *("Symbols", "Coordinates"),
    }
    assert {s.answer.type for s in samples} == {"text", "id", "number", "choice"}
    assert {stage for s in samples for stage in s.stages} == {1, 2, 3, 4}
    assert {s.kind for s in samples if s.family == "VSI-Bench"} >= {
        *("object_counting", "object_abs_distance", "object_rel_distance", "route_planning", "obj_appearance_order"),
        *("object_rel_direction_easy", "object_rel_direction_medium", "object_rel_direction_hard"),
    }
    several = [len(s.answer.objects) for s in samples if s.family == "Multi3DRefer" and isinstance(s.answer, IdAnswer)]
    assert {min(n, 2) for n in several} == {0, 1, 2}


def test_no_room_is_in_two_splits_and_no_question_twice(made: tuple[Path, list[Sample]]) -> None:
    _, samples = made
    splits: dict[str, set[str]] = defaultdict(set)
    for s in samples:
        if s.scene:
            splits[s.scene.space].add(s.split)
    assert all(len(found) == 1 for found in splits.values()) and len(splits) == ROOMS
    assert len({s.id for s in samples}) == len(samples)


def test_the_same_seed_gives_the_same_bytes(many: Path, tmp_path: Path) -> None:
    folders = sorted(p for p in many.iterdir() if p.is_dir())[:6]
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.jsonl"
        write_samples(out, generate(folders, out, seed, per_room=40))
        files.append(out.read_bytes())
    assert files[0] == files[1] != files[2]


def test_without_balance_nothing_is_left_out_but_for_the_number(many: Path, tmp_path: Path) -> None:
    folders = sorted(p for p in many.iterdir() if p.is_dir())[:3]
    pool = Counter(c.question for folder in folders for c in candidates(read_room(folder), 1, 5, ["vsi"]))
    made = list(generate(folders, tmp_path / "q.jsonl", 1, 50, families=["vsi"], balanced=False))
    assert len(made) == min(pool.total(), 150) and not Counter(s.question for s in made) - pool
    assert len(list(generate(folders, tmp_path / "q.jsonl", 1, 50, families=["vsi"]))) < len(made)


def test_who_knows_only_the_words_knows_the_side(made: tuple[Path, list[Sample]]) -> None:
    """The words say at what one stands, not where beside it: as seen from its middle, things are on the same side."""
    forward = {"forward": "front", "backward": "behind"}
    asked = {"situated_side": 0, "situated_way": 0, "situated_left_right": 0}
    for sample in made[1]:
        if sample.kind not in asked:
            continue
        asked[sample.kind] += 1
        answer = sample.answer.text.lower().strip(".")
        thing, at, faced = (np.array(o.box.center[:2]) for o in sample.objects if o.box)
        ahead, there = faced - at, thing - at
        left, front = ahead[0] * there[1] - ahead[1] * there[0], ahead @ there
        plain = (
            ("left" if left > 0 else "right") if sample.kind == "situated_left_right" or abs(left) > abs(front) else ""
        )
        assert forward.get(answer, answer) == (plain or ("front" if front > 0 else "behind"))
    assert all(count >= 8 for count in asked.values()), asked


def test_wordings_vary(made: tuple[Path, list[Sample]]) -> None:
    _, samples = made
    wordings: dict[str, set[str | None]] = defaultdict(set)
    for s in samples:
        wordings[s.kind].add(s.provenance.template)
    for kind in ("object_abs_distance", "grounding_multiple", "caption", "attribute_color", "region_width"):
        assert len(wordings[kind]) >= 3, kind


@pytest.mark.slow
def test_one_who_never_looks_gains_nothing(made: tuple[Path, list[Sample]]) -> None:
    rows = baselines(made[1])
    large = {kind: row for kind, row in rows.items() if row["n"] >= 30}
    assert len(large) > 25
    # Four standard deviations of a share over the questions of a kind (there are some fifty kinds), and 3 points.
    for kind, row in large.items():
        allowed = 3 + 400 * (0.25 / float(row["n"])) ** 0.5
        assert row["gain"] <= allowed, (kind, row)
    mean = np.average([row["gain"] for row in large.values()], weights=[row["n"] for row in large.values()])
    assert mean < 2


def test_blind_guessers_find_what_words_give_away() -> None:
    # Every sofa is red, every chair blue: a guesser that reads the words is always right, on rooms it never saw.
    asked = [
        Asked(f"room {i}", f"What color is the {label}?", color)
        for i in range(40)
        for label, color in (("sofa", "red"), ("chair", "blue"))
    ]
    assert guesses(asked).right.all() and chance(asked) == 0.5
    choices = [
        Asked(f"room {i}", "Which is closest to the bed?", "lamp", tuple(random.Random(i).sample(["lamp", "oven"], 2)))
        for i in range(40)
    ]
    assert guesses(choices).right.all() and chance(choices) == 0.5


def test_relative_accuracy_is_the_benchmarks_own() -> None:
    truth, guess = [1.0, 2.0, 3.7, 0.5], [1.1, 2.4, 3.7, 1.2]
    official = [
        vsibench_official(["object_abs_distance"], [str(g)], [str(t)], partial=True).overall
        for g, t in zip(guess, truth, strict=True)
    ]
    assert (100 * relative_accuracy(np.array(guess), np.array(truth))).tolist() == pytest.approx(official)


def test_answerer_and_questions_agree_on_the_demo_room(demo: Room) -> None:
    """Made by different code; every kind that asks for geometry."""
    out = DEMO.parent / "q.jsonl"  # never written; scene folders count from it

    def samples() -> Iterator[Sample]:
        for number, candidate in enumerate(candidates(demo, 5, 12, tuple(FAMILIES))):
            yield as_sample(demo, candidate, "train", 5, number, out)

    found = check(samples(), out)
    assert sum(row.n for row in found.rows.values()) > 100
    assert len(found.rows) >= 35
    assert found.share >= 0.99, found.disagreements[:5]


def test_regions_are_drawn_where_the_frame_shows_the_thing(tmp_path: Path) -> None:
    """Five things side by side in one picture of 100 x 60 pixels, each a block of 20 x 40 in its instance image."""
    views = ((0, 0.1), (1, 0.1))
    things = [thing(i, f"thing {i}", 1 + i, 3, first_seen=0.0, views=views) for i in range(1, 6)]
    truth = Truth.load(DEMO)
    both = tuple(View(n, n / 30, (4.0, 0.0, 1.0), np.pi / 2, 0.0, 1) for n in (0, 1))  # a thing is shown from two on
    camera = Camera(100, 60, 50.0, 50.0, 50.0, 30.0)
    replace(truth, objects=tuple(things), changes=(), openings=(), frames=both, camera=camera).save(tmp_path)
    picture = np.zeros((60, 100), np.uint16)
    for i in range(1, 6):
        picture[10:50, 20 * (i - 1) : 20 * i] = i
    stems = [str(tmp_path / f"frame-{view.number:06d}") for view in both]
    for stem in stems:
        cv2.imwrite(f"{stem}.instance.png", picture)
        cv2.imwrite(f"{stem}.color.jpg", np.full((60, 100, 3), 90, np.uint8))
        cv2.imwrite(f"{stem}.depth.png", np.full((60, 100), 3000, np.uint16))
    np.savetxt(tmp_path / "camera-intrinsics.txt", [[50, 0, 50], [0, 50, 30], [0, 0, 1]])
    room = read_room(tmp_path)
    for stem in stems:
        np.savetxt(f"{stem}.pose.txt", room.views[0].pose)

    made = list(regions.ask(Asker(room, random.Random(2), 10)))
    drawn = [region for c in made for region in c.regions]
    assert {"box2d", "mask", "box3d"} <= {k for r in drawn for k in ("box2d", "mask", "box3d") if getattr(r, k)}
    for region in drawn:
        left = 20.0 * ((region.object or 0) - 1)
        if region.box2d is not None:
            assert region.frame in ("frame-000000", "frame-000001") and region.box2d == (left, 10, left + 20, 50)
        if region.mask is not None:
            assert (region.mask.decode() == (picture == region.object)).all()

    shown = next(c for c in made if any(r.mask for r in c.regions))
    sample = as_sample(room, shown, "train", 0, 0, tmp_path / "q.jsonl")
    write_samples(tmp_path / "q.jsonl", [sample])
    show(sample, tmp_path / "q.jsonl", tmp_path / "shown.png")
    # The mask's outline is drawn in red over the grey picture.
    pixels = cv2.imread(str(tmp_path / "shown.png")).astype(int)
    assert ((pixels[..., 2] > 200) & (pixels[..., 1] < 60) & (pixels[..., 0] < 60)).sum() > 50


def test_poses_of_views_look_where_they_say(tmp_path: Path) -> None:
    truth = Truth.load(DEMO)
    view = View(3, 0.1, (1.0, 2.0, 1.5), np.pi / 2, 0.0, 1)
    things = (thing(1, "bed", 1, 5, first_seen=0.0),)
    replace(truth, objects=things, changes=(), openings=(), frames=(view,)).save(tmp_path)
    (found,) = read_room(tmp_path).views
    assert found.name == "frame-000003"
    assert found.pose[:3, 2] == pytest.approx([0, 1, 0])  # ahead: +y
    assert found.pose[:3, 0] == pytest.approx([1, 0, 0])  # right
    assert found.pose[:3, 1] == pytest.approx([0, 0, -1])  # down
    assert found.pose[:3, 3] == pytest.approx([1, 2, 1.5])


def test_plurals() -> None:
    assert [plural(w) for w in ("bookshelf", "box", "couch", "trash can", "battery", "tray")] == [
        *("bookshelves", "boxes", "couches", "trash cans", "batteries", "trays")
    ]


def test_commands(many: Path, tmp_path: Path) -> None:
    run = CliRunner()
    out = tmp_path / "q.jsonl"
    rooms = tmp_path / "rooms"
    for number in range(6):
        shutil.copytree(many / f"room{number:03d}", rooms / f"room{number:03d}")
    made = run.invoke(data, ["generate", str(rooms), "--out", str(out), "--seed", "1", "--per-room", "30", "--json"])
    assert made.exit_code == 0 and json.loads(made.stdout)["samples"] == len(list(read_samples(out)))
    assert run.invoke(data, ["validate", str(out), "--folders"]).exit_code == 0
    stats = run.invoke(data, ["stats", str(out), "--json", "--plot", str(tmp_path / "counts.png")])
    assert json.loads(stats.stdout)["total"] == json.loads(made.stdout)["samples"]
    assert (tmp_path / "counts.png").stat().st_size > 1000
    shown = run.invoke(data, ["show", str(out), "--index", "5", "--out", str(tmp_path / "s.png")])
    assert shown.exit_code == 0 and (tmp_path / "s.png").stat().st_size > 1000
    with out.open("a") as file:
        file.write('{"version": 1}\n')
    bad = run.invoke(data, ["validate", str(out)])
    assert bad.exit_code == 1 and re.search(r"q\.jsonl:\d+: question: Field required", bad.stdout)
    none = run.invoke(data, ["generate", str(tmp_path / "nothing"), "--out", str(out)])
    assert none.exit_code == 1 and "no simulated rooms" in none.stderr


def test_items_of_the_demo_have_boxes(demo: Room) -> None:
    assert all(isinstance(item, Item) and (item.size > 0).all() for item in demo.items)


def test_things_that_frames_hardly_show_are_not_asked_about(tmp_path: Path) -> None:
    truth = Truth.load(DEMO)
    views = tuple(View(i, float(i), (0.0, 0.0, 1.0), 0.0, 0.0, 1) for i in range(4))
    things = (
        thing(1, "chair", 1, 1, first_seen=0.0, views=((0, 0.01), (2, 0.002))),
        thing(2, "bed", 3, 1, first_seen=0.0, views=((0, 0.05), (1, 0.0019))),  # in one frame only
        thing(3, "sofa", 5, 1, first_seen=0.0, views=((0, 0.1), (1, 0.1), (3, 0.1))),  # once since it was moved
    )
    moved = Change("moved", 3, 2.0, things[2].box, things[2].box, 1, 1)
    replace(truth, objects=things, changes=(moved,), openings=(), frames=views).save(tmp_path)
    room = read_room(tmp_path)
    assert [item.id for item in room.items] == [1]
    assert room.unclear >= {"bed", "sofa"} and "bed" not in room.absent

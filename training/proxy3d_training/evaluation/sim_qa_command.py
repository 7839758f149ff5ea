"""``proxy3d eval sim-qa``: questions about simulated rooms that were seen through the camera."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from proxy3d_core.errors import BadInput, Proxy3DError

if TYPE_CHECKING:
    from proxy3d_training.data.schema import Sample
    from proxy3d_training.evaluation.sim_qa import Row
    from proxy3d_training.evaluation.sim_qa_answers import RoomAnswerer
    from proxy3d_training.train.batches import Variant


class Who(str, Enum):
    """Who answers."""

    vlm = "vlm"
    geometric = "geometric"


class Shown(str, Enum):
    """What the model is shown of a scene."""

    proxies = "proxies"
    pixels = "pixels"
    none = "none"


def sim_qa(
    questions: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Questions (proxy3d data generate).", show_default=False),
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The rooms as the camera saw them (proxy3d data prepare).")
    ] = None,
    answerer: Annotated[Who, typer.Option(help="Who answers; geometric plays the recordings.")] = Who.vlm,
    model: Annotated[str, typer.Option(metavar="MODEL", help="nano, a folder or hub id.")] = "nano",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Where the model runs.")] = "auto",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Questions at once.")] = 32,
    scene: Annotated[Shown, typer.Option(help="What the model is shown, as in its training.")] = Shown.proxies,
    budget: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Proxies clustered anew; default: as prepared.")
    ] = None,
    ungrouped: Annotated[bool, typer.Option("--ungrouped", help="Clusters do not stop at objects.")] = False,
    unplaced: Annotated[bool, typer.Option("--unplaced", help="Without positions.")] = False,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="Proxies in random order.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="geometric: a setting that differs.")
    ] = None,
    most: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most so many questions of a kind, from all rooms alike.")
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Fit the confidence on every other room, measure it on the rest."),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write every question with its answer and score.")
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.json", help="Show the result of another run (--json) beside; may be given often."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What this run is called in tables.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Accuracy by kind of question on rooms seen through the camera, beside guessers that never look.

    Without FILE, only the results given with --compare are shown.
    """
    if not questions and not compare:
        raise typer.BadParameter("give FILE with questions, or --compare FILE.json")
    if questions and scenes is None:
        raise typer.BadParameter("give --scenes DIR with the prepared rooms")
    try:
        documents = [_read(path) for path in compare or ()]
        if questions and scenes:
            from proxy3d_training.train.batches import Variant

            variant = Variant(scene.value, budget, not ungrouped, not unplaced, shuffled)
            chosen = _chosen(questions, most)
            who = _answerer(answerer, scenes, model, device, batch, variant, settings or [])
            title = name or (answerer.value if answerer is Who.geometric else _title(model, variant))
            document, found = _document(chosen, scenes, who, title)
            if answerer is Who.vlm:
                document |= {"model": model, "variant": vars(variant)}
            if rows is not None:
                _write_rows(rows, found)
            if calibrate is not None:
                document["calibration"] = _calibrate(found, calibrate)
            documents.insert(0, document)
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    if as_json:
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else documents, ensure_ascii=False))
        return
    console = Console()
    if len(documents) > 1:
        _print_beside(console, documents)
    else:
        _print(console, documents[0])


def _title(model: str, variant: Variant) -> str:
    parts = [Path(model).name if model != "nano" else model]
    if variant.scene != "proxies":
        parts.append("blind" if variant.scene == "none" else "pixel tokens")
    if variant.budget is not None:
        parts.append(f"{variant.budget}")
    named = {"ungrouped": not variant.grouped, "without positions": not variant.placed, "shuffled": variant.shuffled}
    return ", ".join([*parts, *(text for text, given in named.items() if given)])


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}; make it with: proxy3d eval sim-qa --json") from None
    if not isinstance(document, dict) or document.get("benchmark") != "sim-qa":
        raise BadInput(f"{path} is no result of: proxy3d eval sim-qa --json")
    return document


def _chosen(files: Sequence[Path], most: int | None) -> list[tuple[Sample, Path]]:
    from proxy3d_training.data.files import read_samples, scene_folder
    from proxy3d_training.evaluation.sim_qa import kind_of

    found = [
        (sample, scene_folder(file, sample) if sample.scene and sample.scene.folder else file.parent)
        for file in files
        for sample in read_samples(file)
    ]
    if most is None:
        return found
    # the order of the names mixes rooms and is the same for all runs
    counts: Counter[str] = Counter()
    kept = []
    for sample, folder in sorted(found, key=lambda entry: entry[0].id.rpartition("/")[::-1]):
        counts[kind_of(sample)] += 1
        if counts[kind_of(sample)] <= most:
            kept.append((sample, folder))
    return kept


def _answerer(
    who: Who, folder: Path, source: str, device: str, batch: int, variant: Variant, settings: Sequence[str]
) -> RoomAnswerer:
    from proxy3d_core.vlm.loading import load_vlm
    from proxy3d_training.data.prepared import PreparedScenes
    from proxy3d_training.evaluation.sim_qa_answers import GeometricInRooms, VlmInRooms, codes_of
    from proxy3d_training.live import config_of

    scenes = PreparedScenes(folder)
    if who is Who.geometric:
        made = [f"{key}={json.dumps(value)}" for key, value in scenes.index["maker"]["settings"].items()]
        return GeometricInRooms(config_of([*made, *settings]))
    loaded, prompts = load_vlm(source, device=device)
    if loaded.scene.channels != scenes.channels:
        raise BadInput(
            f"the model reads features of {loaded.scene.channels} channels, {folder} has {scenes.channels}; prepare "
            "the rooms with the encoder that it was trained on"
        )
    return VlmInRooms(loaded, prompts, codes_of(scenes), variant, batch)


def _document(
    samples: Sequence[tuple[Sample, Path]], folder: Path, answerer: RoomAnswerer, title: str
) -> tuple[dict[str, Any], list[Row]]:
    import numpy as np

    from proxy3d_training import __version__
    from proxy3d_training.data.blind import baselines
    from proxy3d_training.data.prepared import PreparedScenes
    from proxy3d_training.evaluation.sim_qa import GROUPS, cell, group_of, kind_of, tasks
    from proxy3d_training.evaluation.sim_qa_answers import ask

    begun = time.perf_counter()
    rows, possible, skipped = ask(samples, PreparedScenes(folder), answerer, _tracked)
    seconds = time.perf_counter() - begun
    asked = [row.sample for row in rows]
    groups = {kind_of(sample): group_of(sample) for sample in asked}
    by_kind, by_group = tasks(rows, kind_of), tasks(rows, group_of)
    blind = baselines(asked)
    document: dict[str, Any] = {
        "benchmark": "sim-qa",
        "answerer": title,
        "version": __version__,
        "n": len(rows),
        "rooms": len({sample.scene.name for sample in asked if sample.scene}),
        "skipped": skipped,
        "not_put": sum(row.said is None for row in rows),
        "seconds": round(seconds, 1),
        "scorer": "sim-qa",
        "overall": round(cell(rows).score, 2),
        "groups": {name: {"metric": GROUPS[name]} | by_group[name].document() for name in GROUPS if name in by_group},
        "tasks": {name: {"group": groups[name]} | entry.document() for name, entry in by_kind.items()},
        "baselines": {key: _baseline(blind, groups, key) for key in ("chance", "wording", "words")},
    }
    if "grounding" in document["groups"]:
        document["groups"]["grounding"]["reachable"] = round(
            100 * float(np.mean([value for value in possible if value is not None])), 2
        )
    return document, rows


def _baseline(blind: dict[str, dict[str, float | int]], groups: dict[str, Any], key: str) -> dict[str, Any]:
    """A guesser's scores by kind, and their means over questions."""

    def mean(kinds: Iterable[str]) -> float:
        own = list(kinds)
        return round(sum(blind[k][key] * blind[k]["n"] for k in own) / sum(blind[k]["n"] for k in own), 2)

    return {
        "overall": mean(blind),
        "groups": {
            name: {"score": mean(k for k in blind if groups[k] == name)} for name in sorted(set(groups.values()))
        },
        "tasks": {kind: {"score": row[key], "n": row["n"]} for kind, row in blind.items()},
    }


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                said = row.said
                entry = {
                    "id": row.sample.id,
                    "kind": row.kind,
                    "question": row.sample.prompt(),
                    "truth": row.sample.answer.text,
                    "answer": None if said is None else said.text,
                    "confidence": None if said is None else said.confidence,
                    "score": row.score,
                    **row.more,
                }
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def _calibrate(rows: Sequence[Row], path: Path) -> dict[str, Any]:
    from proxy3d_training.evaluation.calibrate import calibrate, write

    content, report = calibrate(rows)
    write(path, content)
    return report


def _tracked(names: Sequence[str]) -> Iterable[str]:
    console = Console(stderr=True)
    return track(names, "Answering", console=console, transient=True, disable=not console.is_terminal)


def _span(entry: dict[str, Any] | None) -> str:
    return "" if entry is None else f"{entry['score']:.1f} ({entry['low']:.0f}-{entry['high']:.0f})"


def _print(console: Console, document: dict[str, Any]) -> None:
    table = Table(
        title=f"sim-qa: {document['n']} questions on {document['rooms']} rooms, answered by {document['answerer']}"
    )
    table.add_column("")
    for heading in ("n", "score (95 %)", "of those put", "n put", *document["baselines"]):
        table.add_column(heading, justify="right")
    for part in ("groups", "tasks"):
        for name, entry in document[part].items():
            guessed = [baseline[part][name]["score"] for baseline in document["baselines"].values()]
            label = f"{name}, {entry['metric']}" if part == "groups" else name
            asked = entry["asked"]
            alone = "-" if asked["score"] is None else f"{asked['score']:.1f}"
            cells = (str(entry["n"]), _span(entry), alone, str(asked["n"]))
            table.add_row(label, *cells, *(f"{score:.1f}" for score in guessed))
        table.add_section()
    guessed = [baseline["overall"] for baseline in document["baselines"].values()]
    table.add_row("all", str(document["n"]), f"{document['overall']:.1f}", "", "", *(f"{s:.1f}" for s in guessed))
    console.print(table)
    grounding = document["groups"].get("grounding")
    if grounding:
        console.print(
            f"grounding: Acc@0.25 {grounding['acc@0.25']:.1f}; Acc@0.5 with thin edges taken as 10 cm "
            f"{grounding['acc@0.5 thick']:.1f}; the map has a box that counts for {grounding['reachable']:.1f} %"
        )
    console.print(
        f"{document['not_put']} questions name an object by its marker that the map does not have: counted as wrong. "
        f"{document['skipped']} were passed over (other rooms, symbols, regions, captions)."
    )
    for kind, entry in document.get("calibration", {}).items():
        console.print(
            f"confidence of answers of type {kind} (n {entry['n']}): expected calibration error "
            f"{entry['raw']:.3f}, calibrated {entry['calibrated']:.3f}"
        )


def _print_beside(console: Console, documents: Sequence[dict[str, Any]]) -> None:
    table = Table(title="sim-qa")
    table.add_column("")
    table.add_column("n", justify="right")
    for document in documents:
        table.add_column(document["answerer"], justify="right")
    table.add_column("chance", justify="right")
    for part in ("groups", "tasks"):
        for name in dict.fromkeys(name for document in documents for name in document[part]):
            entries = [document[part].get(name) for document in documents]
            first = next(i for i, entry in enumerate(entries) if entry is not None)
            entry = entries[first]
            label = f"{name}, {entry['metric']}" if part == "groups" else name
            guessed = documents[first]["baselines"]["chance"][part][name]["score"]
            table.add_row(label, str(entry["n"]), *(_span(e) for e in entries), f"{guessed:.1f}")
        table.add_section()
    chance = documents[0]["baselines"]["chance"]["overall"]
    table.add_row("all", str(documents[0]["n"]), *(f"{d['overall']:.1f}" for d in documents), f"{chance:.1f}")
    console.print(table)

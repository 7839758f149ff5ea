"""``proxy3d eval sim``: the perception benchmark."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from proxy3d_core.errors import BadInput, Proxy3DError

if TYPE_CHECKING:
    from proxy3d_training.evaluation.perception import RoomResult


class Given(str, Enum):
    """What the pipeline is given besides colour and depth."""

    labels = "labels"
    """Label images with the errors of a segmenter."""
    instances = "instances"
    """The true instance images: what is one thing, but not which."""
    none = "none"
    """Nothing: the vision model says what things are, unless ``--set input.semantics=none``."""


ROWS = {
    "objects": "objects shown",
    "map_objects": "objects in the map",
    **{
        f"{kind}{name}@{iou}": f"{name} @{iou}{', any label' * bool(kind)}, %"
        for kind in ("", "any_label_")
        for iou in (0.25, 0.5)
        for name in ("recall", "precision", "f1")
    },
    **{f"recall_{n}": f"recall @0.25 of what {n}{' or more' * (n == 5)} frames show, %" for n in (2, 3, 4, 5)},
    "reachable@0.25": "reachable @0.25, %",
    "reachable@0.5": "reachable @0.5, %",
    "label_right": "label right, %",
    "box_iou": "box IoU of the found, mean",
    "seen_box_iou": "IoU of what was shown of them, mean",
    "center_error_p50": "box centre error, median, m",
    "center_error_p90": "90 %",
    "size_error_p50": "box edge error, median, m",
    "size_error_p90": "90 %",
    "missed": "missed",
    "merged": "merged into another one",
    "duplicates": "duplicates",
    "duplicates_per_object": "per object",
    "ghosts": "ghosts",
    "id_switches": "id switches",
    "tracked": "objects tracked",
    "counts_right": "classes counted right, %",
    "count_error": "count error, mean",
    "distance_error_p50": "distance error of pairs, median, m",
    "distance_error_p90": "90 %",
    "moved": "moved, recognised",
    "moved_as_two": "seen as one gone, one new",
    "added": "added, recognised",
    "removed": "removed, recognised",
    "false_changes": "false changes",
    "answers": "answers right on the map, %",
    "answers_true_boxes": "on true boxes, %",
    "frames_per_second": "frames a second",
}


def sim(
    rooms: Annotated[
        list[Path], typer.Argument(metavar="SIMDIR...", help="Folders of simulated rooms.", show_default=False)
    ],
    semantics: Annotated[
        list[Given] | None,
        typer.Option(help="What the pipeline is given besides colour and depth; may be given often."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, such as map.voxel_size=0.05.", metavar="NAME=VALUE")
    ] = None,
    questions: Annotated[
        int, typer.Option(help="Also ask the geometric answerer about this many a room.", metavar="N", min=0)
    ] = 0,
    each: Annotated[bool, typer.Option("--each", help="Also every room by itself.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Play simulated rooms through the live pipeline and compare its map with what is true."""
    try:
        document = _document(rooms, semantics or [Given.labels], settings or [], questions, each)
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        _print(document)


def _document(
    rooms: list[Path], semantics: list[Given], settings: list[str], questions: int, each: bool
) -> dict[str, Any]:
    from proxy3d_training.data.questions.rooms import room_folders
    from proxy3d_training.evaluation.perception import Scores, evaluate
    from proxy3d_training.live import Change, ReusedScene, config_of, with_instances, without_labels

    folders = [folder for path in rooms for folder in room_folders(path)]
    unfilmed = [folder for folder in folders if not any(folder.glob("frame-*"))]
    if unfilmed:
        raise BadInput(f"{unfilmed[0]} has no frames; make it without --truth-only")
    scene = ReusedScene(config_of(settings))
    changes: dict[Given, Callable[[Path], Change | None]] = {
        Given.labels: lambda folder: None,
        Given.instances: with_instances,
        Given.none: lambda folder: without_labels,
    }
    console = Console(stderr=True)
    document: dict[str, Any] = {"rooms": len(folders), "settings": settings, "semantics": {}}
    for given in dict.fromkeys(semantics):
        total, results = Scores(), []
        ordered = track(folders, f"Playing ({given.value})", console=console, disable=not console.is_terminal)
        for result in evaluate(ordered, scene, changes[given]):
            total.add(result.scores)
            results.append(result)
        entry = total.figures() | {"missed_labels": dict(total.missed.most_common())}
        entry["ghost_labels"] = dict(total.ghosts.most_common())
        if questions:
            entry |= _answers(results, questions)
        if each:
            entry["each"] = {result.name: result.scores.figures() for result in results}
        document["semantics"][given.value] = entry
    return document


def _answers(results: list[RoomResult], questions: int) -> dict[str, Any]:
    """Generated questions, answered on the true boxes and on the maps."""
    from proxy3d_training.data.check import check
    from proxy3d_training.data.questions.generate import generate

    file = Path.cwd() / "questions.jsonl"  # scene folders are relative to it; it is not written
    samples = list(generate([result.folder for result in results], file, seed=0, per_room=questions))
    maps = {result.folder.resolve(): result.scene for result in results}
    on_boxes, on_maps = check(samples, file), check(samples, file, scenes=maps.__getitem__)
    kinds = {
        name: {"n": row.n, "true_boxes": row.right, "map": on_maps.rows[name].right}
        for name, row in sorted(on_boxes.rows.items())
    }
    return {
        "questions": sum(row.n for row in on_boxes.rows.values()),
        "answers": round(100 * on_maps.share, 1),
        "answers_true_boxes": round(100 * on_boxes.share, 1),
        "kinds": kinds,
    }


def _print(document: dict[str, Any]) -> None:
    console = Console()
    columns = document["semantics"]
    table = Table(title=f"The live map against the truth of {document['rooms']} simulated rooms")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for key, text in ROWS.items():
        cells = [column.get(key) for column in columns.values()]
        if any(cell is not None for cell in cells):
            table.add_row(text, *("-" if cell is None else str(cell) for cell in cells))
    console.print(table)
    for name, column in columns.items():
        for key, text in (("missed_labels", "missed"), ("ghost_labels", "ghosts")):
            if column[key]:
                listed = ", ".join(f"{label} {n}" for label, n in column[key].items())
                console.print(f"{text} ({name}): {listed}")
        for room, row in column.get("each", {}).items():
            figures = ("recall@0.25", "f1@0.5", "missed", "duplicates", "ghosts", "id_switches")
            console.print(f"{room} ({name}): " + ", ".join(f"{key} {row[key]}" for key in figures))

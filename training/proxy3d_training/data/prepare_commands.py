"""``proxy3d data prepare`` and ``proxy3d data bench``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from proxy3d_core.errors import MissingExtra, Proxy3DError
from proxy3d_training.progress import progress_bar

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


def prepare(
    scenes: Annotated[
        list[Path],
        typer.Argument(metavar="SCENES...", help="Recorded sequences, or folders of them.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the set; what is ready in it is kept.")],
    encoder: Annotated[
        str, typer.Option(metavar="MODEL", help="nano, appearance, or the folder or hub id of an encoder.")
    ] = "",
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="True boxes by scan (proxy3d data convert scannet), for real recordings."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, such as proxies.budget=700.", metavar="NAME=VALUE")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes; default: one for each core.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the live perception over recordings and store what training needs: features, points, groups, proxies.

    Stopped, the same command goes on where it was. Recordings that cannot be used are named and left out (exit code 1).
    """
    try:
        document = _prepare(scenes, out, encoder, boxes, settings or [], workers, as_json)
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        sys.exit(1)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        _print_report(document, out)
    if document["failed"]:
        sys.exit(1)


def _prepare(
    scenes: list[Path],
    out: Path,
    encoder: str,
    boxes: Path | None,
    settings: list[str],
    workers: int | None,
    quiet: bool,
) -> dict[str, Any]:
    from proxy3d_training.data.prepare import jobs
    from proxy3d_training.data.prepare import prepare as run
    from proxy3d_training.live import config_of

    config = config_of([*settings, *([f"encoder.source={json.dumps(encoder)}"] if encoder else [])])
    todo = jobs(scenes, boxes)
    with progress_bar(quiet) as bar:
        task = bar.add_task("Scenes", total=len(todo), rate="")
        frames = 0

        def show(done: int, more: int) -> None:
            nonlocal frames
            frames += more
            rate = frames / (bar.tasks[0].elapsed or 1e-9)
            bar.update(task, completed=done, rate=f"{rate:.1f} frames/s")

        report = run(todo, out, config, workers or os.cpu_count() or 1, show)
    return report.as_dict()


def _print_report(document: dict[str, Any], out: Path) -> None:
    console = Console()
    kept = f", {document['kept']} were there" if document["kept"] else ""
    rate = (
        f": {document['frames']} frames, {document['frames_per_second']} a second, {document['cpu_seconds']} CPU s"
        if document["frames"]
        else ""
    )
    console.print(f"{document['made']} scenes prepared in {document['seconds']} s{kept}{rate}. They are in {out}")
    if document["frames"]:
        table = Table("stage", "s, all processes", "ms a frame")
        for name, seconds in document["stages"].items():
            table.add_row(name, f"{seconds:.1f}", f"{1000 * seconds / document['frames']:.1f}")
        console.print(table)
    for name, reason in document["failed"].items():
        console.print(f"left out: {name}: {reason}")


def bench(
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="Samples; the paper's set has 318 000.")] = 318_000,
    scenes: Annotated[int, typer.Option(metavar="N", min=1, help="Prepared scenes.")] = 200,
    channels: Annotated[int, typer.Option(metavar="C", min=1, help="Channels of the features.")] = 128,
    workers: Annotated[list[int] | None, typer.Option(metavar="N", min=0, help="Reading processes; often.")] = None,
    questions: Annotated[int, typer.Option(metavar="N", min=1, help="Samples of a scene read together.")] = 16,
    batches: Annotated[int, typer.Option(metavar="N", min=1, help="Batches read.")] = 500,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the set is written for the while; default: temporary.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure loading on a synthetic set of the paper's size: time, samples a second, memory of each process."""
    try:
        try:
            from proxy3d_training.data.loading_bench import bench as run
        except ImportError as error:
            raise MissingExtra(f"loading samples needs {error.name}: pip install 'proxy3d-training[train]'") from None
        with tempfile.TemporaryDirectory(dir=folder) as place:
            document = run(Path(place), samples, scenes, channels, workers or [0, 1, 2], questions, batches)
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    if as_json:
        typer.echo(json.dumps(document))
        return
    console = Console()
    console.print(
        f"{document['samples']:,} samples ({document['megabytes']} MB): index {document['index_s']} s, "
        f"open {document['open_s']} s, order of an epoch {document['epoch_order_s']} s; "
        f"memory grown by {document['grown_mb']} MB"
    )
    table = Table("workers", "samples/s", "own MB of each", "shared MB of each", "main, own MB")
    for count, row in document["loading"].items():
        each = (", ".join(f"{v:.0f}" for v in row[key]) for key in ("worker_own_mb", "worker_shared_mb"))
        table.add_row(count, f"{row['samples_per_s']:,.0f}", *each, f"{row['main_own_mb']:.0f}")
    console.print(table)

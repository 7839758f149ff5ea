"""``proxy3d simulate``: furnished rooms, recorded by a robot, with everything known about them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy3d_core.errors import MissingExtra, Proxy3DError
from proxy3d_training.progress import progress_bar

simulate = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@simulate.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: proxy3d simulate --rooms 100 --seed 7 --out rooms --changes",
)
def _simulate(
    rooms: Annotated[int, typer.Option(help="Number of recordings.", metavar="N", min=1)],
    out: Annotated[Path, typer.Option(help="Folder of the set; what is finished in it is kept.", metavar="DIR")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.", metavar="S", min=0)] = 0,
    frames: Annotated[int, typer.Option(help="Frames of each recording.", metavar="F", min=2)] = 24,
    size: Annotated[str, typer.Option(help="Of the pictures, pixels.", metavar="WxH")] = "320x240",
    workers: Annotated[
        int | None, typer.Option(help="Processes; default: one for each core.", metavar="W", min=1)
    ] = None,
    flats: Annotated[
        float, typer.Option(help="Share of recordings in flats of two to four rooms.", metavar="0..1", min=0, max=1)
    ] = 0.25,
    changes: Annotated[
        bool, typer.Option("--changes", help="Things are moved, added, removed half-way; the robot drives two rounds.")
    ] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Exact depth and labels; no blur, no noise.")] = False,
    truth_only: Annotated[bool, typer.Option("--truth-only", help="Only the truth.json files, no pictures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Make furnished rooms and small flats and record a robot's drive through each, with the truth beside it."""
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if not match:
        raise typer.BadParameter(f"--size is WIDTHxHEIGHT, such as 320x240, not {size!r}")
    try:
        _run(
            rooms,
            out,
            seed,
            frames,
            (int(match[1]), int(match[2])),
            workers,
            flats,
            changes,
            clean,
            truth_only,
            as_json,
        )
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        sys.exit(1)


def _run(
    rooms: int,
    out: Path,
    seed: int,
    frames: int,
    size: tuple[int, int],
    workers: int | None,
    flats: float,
    changes: bool,
    clean: bool,
    truth_only: bool,
    as_json: bool,
) -> None:
    try:
        from proxy3d_training.simulation import simulate as simulation
    except ImportError as error:
        raise MissingExtra(f"simulated rooms need {error.name}: pip install 'proxy3d-training[sim]'") from None
    settings = simulation.Settings(seed, frames, *size, flats, changes, clean)
    with progress_bar(as_json) as bar:
        todo = sum(not simulation.is_made(n, out, truth_only) for n in range(rooms))
        task = bar.add_task("Recordings", total=todo, rate="")

        def show(made: int, done: int) -> None:
            elapsed = bar.tasks[0].elapsed or 1e-9
            rate = f"{made / elapsed:.1f} rooms/s" if truth_only else f"{done / elapsed:.1f} frames/s"
            bar.update(task, completed=made, rate=rate)

        report = simulation.simulate(rooms, settings, out, workers, truth_only, show)
    if as_json:
        typer.echo(json.dumps(simulation.summary(rooms, settings, out, report)))
        return
    kept = f", {report.kept} were there" if report.kept else ""
    speed = f": {report.frames} frames, {report.rate:.1f} a second" if report.frames else ""
    typer.echo(f"{report.made} recordings made in {report.seconds:.1f} s{kept}{speed}. They are in {out}")

"""``proxy3d data``: questions about scenes in one format, made, converted, checked, counted and shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from proxy3d_core.errors import BadInput, Proxy3DError
from proxy3d_training.data import prepare_commands

if TYPE_CHECKING:
    from proxy3d_training.data.schema import Split

data = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Questions about scenes in one format (SpaceSpan): make, convert, check, count, show.",
)
T = TypeVar("T")
_out = Console()

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files of samples (JSON lines).", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


class Family(str, Enum):
    """Families of questions, by their makers in ``questions``."""

    vsi = "vsi"
    situated = "situated"
    everyday = "everyday"
    grounding = "grounding"
    attributes = "attributes"
    regions = "regions"
    alignment = "alignment"


def _guarded(action: Callable[[], T]) -> T:
    """Errors that a user can act on, as one line and exit code 1."""
    try:
        return action()
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)


def _tracked(items: Sequence[T], text: str) -> Iterable[T]:
    console = Console(stderr=True)
    return track(items, text, console=console, transient=True, disable=not console.is_terminal)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))


@data.command(epilog="Example: proxy3d data generate rooms/ --out questions.jsonl --seed 1 --per-room 200")
def generate(
    rooms: Annotated[
        list[Path], typer.Argument(metavar="SIMDIR...", help="Folders of simulated rooms (proxy3d simulate).")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")],
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed makes the same questions.")] = 0,
    per_room: Annotated[int, typer.Option(metavar="N", min=1, help="Questions a room, on average.")] = 200,
    val: Annotated[float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of rooms for validation.")] = 0.1,
    test: Annotated[float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of rooms for testing.")] = 0.1,
    only: Annotated[list[Family] | None, typer.Option(help="Only these families; may be given often.")] = None,
    unbalanced: Annotated[
        bool, typer.Option("--unbalanced", help="Also what the words give away: to learn from, not to measure by.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make questions about simulated rooms, balanced so that one who never looks gains nothing.

    The split of a room follows from its name. Balance needs many rooms: with a few, most kinds give little.
    """
    from proxy3d_training.data.files import write_samples
    from proxy3d_training.data.questions.generate import FAMILIES
    from proxy3d_training.data.questions.generate import generate as make
    from proxy3d_training.data.questions.rooms import room_folders

    if val + test > 1:
        raise typer.BadParameter("--val and --test together are more than all rooms")
    families = tuple(family.value for family in only) if only else tuple(FAMILIES)

    def run() -> dict[str, Any]:
        folders = [folder for directory in rooms for folder in room_folders(directory)]
        samples = make(
            folders,
            out,
            seed,
            per_room,
            val,
            test,
            families,
            not unbalanced,
            lambda found: _tracked(list(found), "Asking"),
        )
        return {"rooms": len(folders), "samples": write_samples(out, samples), "file": str(out)}

    document = _guarded(run)
    if as_json:
        _print_json(document)
    else:
        _out.print(f"{document['samples']} samples of {document['rooms']} rooms in {out}")


@data.command(epilog="Example: proxy3d data validate questions.jsonl scanqa.jsonl")
def validate(
    files: Files,
    most: Annotated[int, typer.Option(metavar="N", min=1, help="Print at most so many problems.")] = 100,
    folders: Annotated[bool, typer.Option("--folders", help="Also check that the scenes' folders are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every line, ids and splits across all files; problems name file, line and field. Exit code 1 if any."""
    from proxy3d_training.data.files import validate as check_files

    found = _guarded(lambda: check_files(files, most, folders))
    if as_json:
        problems = [vars(problem) for problem in found.problems]
        _print_json({"samples": found.samples, "problems": problems, "left_out": found.left_out})
    else:
        for problem in found.problems:
            typer.echo(str(problem))
        more = f" (and {found.left_out} more)" if found.left_out else ""
        _out.print(f"{found.samples} samples, {len(found.problems)} problems{more}")
    if found.problems:
        sys.exit(1)


@data.command(epilog="Example: proxy3d data stats questions.jsonl --plot counts.png")
def stats(
    files: Files,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the table as bars.")] = None,
    kinds: Annotated[bool, typer.Option("--kinds", help="Also count by kind of question.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count samples by source and type of answer, as the paper's Table 2 does."""
    from proxy3d_training.data import stats as counting

    found = _guarded(lambda: counting.count(_all(files)))
    if plot is not None:
        _guarded(lambda: counting.plot(found, plot))
    document = found.as_dict()
    if as_json:
        _print_json(document)
        return
    table = Table("source", *counting.TYPES.values(), "all", title=f"{found.total:,} samples")
    for column in table.columns[1:]:
        column.justify = "right"
    for source, counts in document["table"].items():
        table.add_row(source, *(f"{n:,}" if n else "" for n in counts.values()), f"{sum(counts.values()):,}")
    table.add_section()
    table.add_row("all", *(f"{n:,}" for n in document["types"].values()), f"{found.total:,}")
    _out.print(table)
    for title, counts in (("splits", found.splits), ("rooms", found.spaces), ("stages", document["stages"])):
        _out.print(f"{title}: " + ", ".join(f"{name} {n:,}" for name, n in counts.items()))
    if kinds:
        for name, n in document["kinds"].items():
            _out.print(f"  {name} {n:,}")


@data.command(epilog="Example: proxy3d data show questions.jsonl --index 12 --out sample.png")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of samples.")],
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="Picture to write.")],
    index: Annotated[int, typer.Option(metavar="N", min=0, help="Which sample, counted from 0.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw a sample: its frame and floor plan with boxes and regions, the question and the answer."""
    from proxy3d_training.data.files import line_of, read_samples
    from proxy3d_training.data.show import show as draw

    def run() -> str:
        sample = next(islice(read_samples(file), index, None), None)
        if sample is None:
            raise BadInput(f"{file} has no sample {index}")
        draw(sample, file, out)
        return line_of(sample)

    line = _guarded(run)
    typer.echo(line if as_json else f"sample {index} of {file} in {out}")


@data.command(epilog="Example: proxy3d data blind questions.jsonl --json")
def blind(files: Files, as_json: AsJson = False) -> None:
    """What guessers gain that never look, by kind of question, beside chance."""
    from proxy3d_training.data.blind import baselines

    rows = _guarded(lambda: baselines(list(_all(files))))
    if as_json:
        _print_json(rows)
        return
    table = Table("kind", "n", "chance", "wording", "words", "gain")
    for name, row in rows.items():
        table.add_row(name, *(str(row[key]) for key in ("n", "chance", "wording", "words", "gain")))
    _out.print(table)


@data.command(epilog="Example: proxy3d data check questions.jsonl")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of samples of simulated rooms.")],
    least: Annotated[float, typer.Option(metavar="PERCENT", help="Exit code 1 below this share of right answers.")] = 0,
    most: Annotated[int, typer.Option(metavar="N", min=0, help="Show at most so many disagreements.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Ask the geometric answerer every question of its kinds, on the true boxes of the simulated rooms."""
    from proxy3d_training.data.check import check as ask_all
    from proxy3d_training.data.files import read_samples

    found = _guarded(lambda: ask_all(_tracked(list(read_samples(file)), "Answering"), file, most))
    percent = round(100 * found.share, 2)
    if as_json:
        rows = {
            name: {
                "n": row.n,
                "right": row.right,
                "answered": row.answered,
                "percent": round(100 * row.right / row.n, 2),
            }
            for name, row in sorted(found.rows.items())
        }
        document = {"percent": percent, "kinds": rows, "not_asked": found.not_asked}
        _print_json(document | {"disagreements": found.disagreements})
    else:
        table = Table("kind", "n", "right", "%", "otherwise")
        for name, row in sorted(found.rows.items()):
            statuses = ", ".join(f"{status} {n}" for status, n in row.statuses.most_common())
            table.add_row(name, str(row.n), str(row.right), f"{100 * row.right / row.n:.1f}", statuses)
        _out.print(table)
        for entry in found.disagreements:
            _out.print_json(data=entry)
        _out.print(f"{percent} % right; {found.not_asked} samples are not of the answerer's kinds")
    if percent < least:
        sys.exit(1)


@data.command(epilog="Example: proxy3d data schema > spacespan.schema.json")
def schema() -> None:
    """Print the JSON Schema of a line."""
    from proxy3d_training.data.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=1))


def _all(files: Sequence[Path]) -> Iterable[Any]:
    from proxy3d_training.data.files import read_samples

    for file in files:
        yield from read_samples(file)


class Source(str, Enum):
    """What can be converted."""

    scanqa = "scanqa"
    sqa3d = "sqa3d"
    scanrefer = "scanrefer"
    multi3drefer = "multi3drefer"
    scan2cap = "scan2cap"
    mmscan = "mmscan"
    sr91k = "sr91k"
    vsi590k = "vsi590k"
    scannet = "scannet"
    scannetpp = "scannetpp"
    arkitscenes = "arkitscenes"
    rscan = "3rscan"


class SplitName(str, Enum):
    """Splits."""

    train = "train"
    val = "val"
    test = "test"


@data.command(
    epilog="Examples: proxy3d data convert scannet scans/ --out boxes.json; "
    "proxy3d data convert scanrefer ScanRefer_filtered_train.json --boxes boxes.json --out scanrefer.jsonl"
)
def convert(
    source: Annotated[Source, typer.Argument(show_default=False, help="Dataset.")],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Its questions; of scans their folder.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Samples (JSON lines); of scans their boxes (JSON).")],
    answers: Annotated[Path | None, typer.Option(metavar="FILE", help="sqa3d: its annotations.")] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="True boxes by scan (of convert; or attributes, .pt or JSON)."),
    ] = None,
    proposals: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Proposed boxes by scan, to whose numbers objects are mapped.")
    ] = None,
    least_iou: Annotated[float, typer.Option(metavar="IOU", help="A proposal is an object from this IoU on.")] = 0.75,
    scans: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the scans lie, each in its folder.")] = None,
    split: Annotated[SplitName | None, typer.Option(help="Where the file's name does not tell it.")] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of the choice among wordings.")] = 0,
    images: Annotated[bool, typer.Option("--images", help="vsi590k: also questions about single images.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read a public dataset from its published layout. Nothing is downloaded; its terms are yours to keep."""
    from proxy3d_training.data.convert import mmscan, qa, referring, scenes, video
    from proxy3d_training.data.convert.proposals import Matcher, read_boxes
    from proxy3d_training.data.files import write_samples

    needs_boxes = source in (Source.scanrefer, Source.multi3drefer, Source.scan2cap)
    if source is Source.sqa3d and answers is None:
        raise typer.BadParameter("sqa3d keeps its answers in a file of their own: give --answers")
    if needs_boxes and boxes is None:
        raise typer.BadParameter(f"{source.value} names objects: give --boxes (from: proxy3d data convert scannet)")

    def run() -> dict[str, Any]:
        name = source.value
        if name in scenes.READERS:
            document = scenes.annotated(name, path, lambda found: _tracked(list(found), "Reading"))
            try:
                out.write_text(json.dumps(document) + "\n", encoding="utf-8")
            except OSError as error:
                raise BadInput(f"cannot write {out}: {error.strerror}") from error
            objects = sum(len(scene["objects"]) for scene in document["scenes"])
            return {"scenes": len(document["scenes"]), "objects": objects, "file": str(out)}
        matcher = None
        if boxes is not None:
            matcher = Matcher(read_boxes(boxes), read_boxes(proposals) if proposals else None, least_iou)
        given = cast("Split | None", split.value if split else None)
        if name == "scanqa":
            samples = qa.scanqa(path, out, given, scans, matcher)
        elif name == "sqa3d":
            assert answers is not None
            samples = qa.sqa3d(path, answers, out, given, scans, seed)
        elif name == "mmscan":
            samples = mmscan.mmscan(path, out, matcher, given, scans, seed)
        elif name == "sr91k":
            samples = video.sr91k(path, out, given or "train", scans)
        elif name == "vsi590k":
            samples = video.vsi590k(path, out, given or "train", scans, images)
        else:
            assert matcher is not None
            make = {"scanrefer": referring.scanrefer, "multi3drefer": referring.multi3drefer}
            samples = make.get(name, referring.scan2cap)(path, out, matcher, given, scans, seed)
        return {"samples": write_samples(out, samples), "file": str(out)}

    document = _guarded(run)
    if as_json:
        _print_json(document)
    else:
        _out.print(", ".join(f"{key} {value}" for key, value in document.items()))


data.command(epilog="Example: proxy3d data prepare rooms/ --out prepared --set proxies.budget=450")(
    prepare_commands.prepare
)
data.command(epilog="Example: proxy3d data bench --workers 0 --workers 2")(prepare_commands.bench)

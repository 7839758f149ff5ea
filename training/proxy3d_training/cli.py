"""Commands that this distribution adds to ``proxy3d`` (entry-point group ``proxy3d.commands``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from typer.core import TyperGroup

from proxy3d_core.errors import Proxy3DError
from proxy3d_training.evaluation.sim_command import sim
from proxy3d_training.evaluation.sim_qa_command import sim_qa

if TYPE_CHECKING:
    from proxy3d_training.evaluation.items import Item


class BenchmarkName(str, Enum):
    """The benchmarks."""

    vsibench = "vsibench"
    sqa3d = "sqa3d"
    scanqa = "scanqa"
    scan2cap = "scan2cap"
    scanrefer = "scanrefer"
    multi3drefer = "multi3drefer"
    locate3d = "locate3d"


class AnswererName(str, Enum):
    """Who answers."""

    geometric = "geometric"


class _Benchmarks(TyperGroup):
    """``eval NAME ...`` is one command for all question benchmarks; ``eval sim`` and ``eval sim-qa`` are their own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What does not name a command is for the question benchmarks."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["questions", *args])


evaluate = typer.Typer(cls=_Benchmarks, add_completion=False, pretty_exceptions_enable=False)


@evaluate.command(
    "questions",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: proxy3d eval vsibench --scenes scannet_meta_info.json --generate 2000 --seed 1. "
    "On simulated rooms: proxy3d eval sim --help (the live map), proxy3d eval sim-qa --help (questions)",
)
def _evaluate(
    benchmark: Annotated[BenchmarkName, typer.Argument(show_default=False)],
    scenes: Annotated[
        list[Path] | None,
        typer.Option(help="Annotated scenes: VSI-Bench meta file or our JSON; may be given often.", metavar="FILE..."),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
    questions: Annotated[Path | None, typer.Option(help="The benchmark's questions.", metavar="FILE")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Its answers, where they are in a file of their own.", metavar="FILE")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score these predictions instead of asking an answerer.", metavar="FILE")
    ] = None,
    answerer: Annotated[AnswererName, typer.Option(help="Who answers.")] = AnswererName.geometric,
    generate: Annotated[
        int | None, typer.Option(help="vsibench: make this many questions from the boxes.", metavar="N", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the made questions.", metavar="S")] = 0,
    save_questions: Annotated[
        Path | None, typer.Option(help="vsibench: write the made questions to a file.", metavar="FILE")
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(help="scanrefer: scannetv2-labels.combined.tsv, to tell unique from multiple.", metavar="FILE"),
    ] = None,
    captions: Annotated[
        bool, typer.Option("--captions", help="sqa3d, scanqa: BLEU, METEOR, ROUGE-L, CIDEr too (needs Java).")
    ] = False,
    rows: Annotated[bool, typer.Option("--rows", help="Every question with its prediction and score.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Score answers on a benchmark, by its authors' own rules, beside answers that never looked."""
    if generate is not None and (benchmark is not BenchmarkName.vsibench or questions or predictions):
        raise typer.BadParameter("--generate is for vsibench, without --questions and --predictions")
    if generate is None and questions is None:
        raise typer.BadParameter("give --questions FILE" + (" or --generate N" * (benchmark.value == "vsibench")))
    files = [*(scenes or []), *(more or [])]
    if not files and predictions is None:
        raise typer.BadParameter("give --scenes FILE with the annotated boxes (or --predictions FILE)")
    try:
        document = _document(
            benchmark.value,
            files,
            questions,
            answers,
            predictions,
            generate,
            seed,
            save_questions,
            label_map,
            captions,
            rows,
        )
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        _print(document)


evaluate.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: proxy3d eval sim rooms/ --semantics labels --semantics none --questions 20",
)(sim)


evaluate.command(
    "sim-qa",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: proxy3d eval sim-qa questions.jsonl --scenes prepared/ --model runs/nano --json > nano.json; "
    "proxy3d eval sim-qa --compare nano.json --compare blind.json",
)(sim_qa)


def _document(
    name: str,
    files: list[Path],
    questions: Path | None,
    answers: Path | None,
    predictions: Path | None,
    generate: int | None,
    seed: int,
    save_questions: Path | None,
    label_map: Path | None,
    captions: bool,
    rows: bool,
) -> dict[str, Any]:
    from proxy3d_core.reasoning.geometric import GeometricAnswerer
    from proxy3d_training.evaluation import run as running
    from proxy3d_training.evaluation.captions import require
    from proxy3d_training.evaluation.grounding import ScanRefer
    from proxy3d_training.evaluation.qa import VsiBench
    from proxy3d_training.evaluation.vsi_questions import generate as make_questions

    if captions or name == "scan2cap":
        require()
    annotated = running.read_scenes(files)
    scenes = {key: scene.snapshot for key, scene in annotated.items()}
    benchmark = ScanRefer(label_map) if name == "scanrefer" else running.BENCHMARKS[name]()
    if generate is not None:
        made = make_questions(scenes, generate, seed)
        if save_questions:
            save_questions.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        items = VsiBench().items(made, save_questions or Path("generated"))
    else:
        assert questions is not None
        items = benchmark.load(questions, answers, scenes)
    if predictions is not None:
        run = running.from_file(benchmark, items, scenes, predictions)
    else:
        # Where people's answers are compared word by word, an unsure one counts as no answer.
        answerer = GeometricAnswerer(min_confidence=0.5 if name in ("sqa3d", "scanqa") else 0.0)
        run = running.ask(benchmark, items, annotated, answerer, _track)
    source = str(predictions) if predictions else "geometric"
    return running.report(benchmark, run, scenes, source, seed, captions, rows)


def _track(items: list[Item]) -> Iterable[Item]:
    console = Console(stderr=True)
    return track(items, "Answering", console=console, transient=True, disable=not console.is_terminal)


def _print(document: dict[str, Any]) -> None:
    console = Console()

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    columns = {
        document["scorer"]: document,
        **{k: v for k, v in document["scorers"].items() if k != document["scorer"]},
    }
    columns |= document["baselines"]
    if document.get("answered", {}).get("tasks"):
        columns["answered only"] = document["answered"]
    table = Table(title=f"{document['benchmark']}: {document['n']} questions, answered by {document['answerer']}")
    for heading in ("task", "n", *columns):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    tasks = dict.fromkeys(task for column in columns.values() for task in column["tasks"])
    for task in tasks:
        cells = [column["tasks"].get(task) for column in columns.values()]
        n = next(cell["n"] for cell in cells if cell)
        table.add_row(task, str(n), *(number(cell["score"]) if cell else "" for cell in cells))
    table.add_section()
    table.add_row("overall", "", *(number(column["overall"]) for column in columns.values()))
    console.print(table)
    if document["skipped"]:
        console.print(f"{document['skipped']} questions are in scenes that were not given.")
    for row in document.get("rows", ()):
        console.print_json(data=row)

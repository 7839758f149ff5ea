"""``proxy3d train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy3d_core.errors import MissingExtra, Proxy3DError

train = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@train.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: proxy3d train training/configs/nano.yaml. On several processes or machines: "
    "accelerate launch --config_file training/configs/accelerate/fsdp.yaml -m proxy3d_training.train CONFIG",
)
def _train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file; see training/configs.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One key, such as stages.0.rate=1e-3.", metavar="NAME=VALUE")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run instead of that in CONFIG.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No bar and no lines.")] = False,
) -> None:
    """Train a model. Stopped or killed, the same command goes on from the last checkpoint."""
    try:
        code = _run(config, settings or [], out, quiet)
    except Proxy3DError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    sys.exit(code)


def _run(path: Path, settings: list[str], out: Path | None, quiet: bool) -> int:
    try:
        from proxy3d_training.train.boxes import BoxTraining, train_boxes
        from proxy3d_training.train.config import TrainConfig, checked, read_config
        from proxy3d_training.train.run import Run, Stopped
        from proxy3d_training.train.vision import VisionTraining, train_vision
    except ImportError as error:
        raise MissingExtra(f"training needs {error.name}: pip install 'proxy3d-training[train]'") from None

    tree = read_config(path, settings) | ({} if out is None else {"out": str(out)})
    if tree.get("kind") == "vision":
        train_vision(checked(VisionTraining, tree), quiet)
        return 0
    if tree.get("kind") == "boxes":
        train_boxes(checked(BoxTraining, tree), quiet)
        return 0
    try:
        Run(checked(TrainConfig, tree), quiet)()
    except Stopped as error:
        typer.echo(str(error), err=True)
        return 1
    return 0

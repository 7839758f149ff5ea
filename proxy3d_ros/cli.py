"""The command ``proxy3d``.

Commands import what they need when they run, so that ``--help`` is quick and a missing extra is named only where it is
needed. The training distribution adds commands through the entry-point group ``proxy3d.commands``; such an entry is a
``typer.Typer`` or a function.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from proxy3d_core.config import Config
from proxy3d_core.errors import MissingExtra, Proxy3DError

if TYPE_CHECKING:
    from proxy3d_core.frame import Frame
    from proxy3d_core.reasoning.answer import Viewpoint
    from proxy3d_core.sequences import Sequence
    from proxy3d_ros.client import FoundObject

TRAINING = {
    "eval": "Score answers on a benchmark.",
    "simulate": "Render a simulated room as a sequence.",
    "data": "Prepare training data.",
    "train": "Train a model.",
}
"""Commands of the training distribution."""

app = typer.Typer(
    name="proxy3d",
    help="Ask a robot about the space it has seen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
Params = Annotated[
    Path | None, typer.Option("--params", help="YAML file of settings (ROS 2 parameter file or plain).", metavar="FILE")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="One setting, such as map.voxel_size=0.05.", metavar="NAME=VALUE")
]
View = Annotated[
    str | None,
    typer.Option(help="Where the asker stands and looks: metres, metres, radians in the map.", metavar="X,Y,YAW"),
]
Answerer = Annotated[
    Literal["auto", "geometric", "vlm"],
    typer.Option(help="Who answers: auto = by geometry, else the vision-language model where that is sure enough."),
]
Timeout = Annotated[
    float, typer.Option(help="How long to wait for the node and its answer in seconds.", min=0.1, max=600)
]
Namespace = Annotated[str, typer.Option(help="Namespace of the node.")]
SequencePath = Annotated[Path, typer.Argument(help="Folder or file of a recorded sequence.", show_default=False)]


def main() -> None:
    """Entry point: exit code 0 done, 1 failed, 2 wrong usage."""
    try:
        app()
    except Proxy3DError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        fail(f"{error.filename or 'file'}: {error.strerror or error}")


def fail(message: str) -> NoReturn:
    """End with exit code 1 and one line that says what to do."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(1)


@app.command(epilog="Example: proxy3d run --params config/robot.yaml --remap rgb/image:=/camera/color/image_raw")
def run(
    params: Params = None,
    settings: Settings = None,
    middleware: Annotated[
        Literal["auto", "rclpy", "dds"], typer.Option(help="auto = rclpy where ROS 2 is sourced, else DDS.")
    ] = "auto",
    namespace: Namespace = "/",
    remap: Annotated[
        list[str] | None, typer.Option(help="Remap a name; may be given often.", metavar="FROM:=TO")
    ] = None,
    use_sim_time: Annotated[bool, typer.Option("--use-sim-time", help="Take the time from /clock.")] = False,
) -> None:
    """Run the live node until Ctrl-C."""
    config = load_config(params, settings)
    if middleware == "rclpy" or (middleware == "auto" and _has_rclpy()):
        _run_rclpy(config, namespace, remap or [], use_sim_time)
        return
    with extra("dds"):
        from proxy3d_ros.dds.adapter import run_dds
    run_dds(config, namespace, remap or [], use_sim_time)


def _has_rclpy() -> bool:
    """Whether ROS 2 and our own generated messages can be imported."""
    try:
        import rclpy  # noqa: F401

        import proxy3d_ros.srv
    except ImportError:
        return False
    return hasattr(proxy3d_ros.srv, "AskSpatial")


def _run_rclpy(config: Config, namespace: str, remaps: list[str], use_sim_time: bool) -> None:
    """Hand the settings over as ROS arguments, as ``ros2 run`` would."""
    from proxy3d_ros.rclpy_node import main as run_node

    default = Config().flat()
    changed = {name: value for name, value in config.flat().items() if value != default[name]}
    arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
    for rule in remaps:
        arguments += ["-r", rule]
    for name, value in {**changed, "use_sim_time": use_sim_time}.items():
        arguments += ["-p", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
    sys.exit(run_node(arguments))


def load_config(params: Path | None, settings: list[str] | None) -> Config:
    """Settings of a file, changed by ``NAME=VALUE`` texts. Raises BadInput."""
    import yaml

    values = (Config.load(params) if params else Config()).flat()
    for text in settings or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE, such as map.voxel_size=0.05")
        if name not in values:
            raise typer.BadParameter(f"there is no setting {name!r}; the README lists them")
        try:
            values[name] = yaml.safe_load(value) if value else ""
        except yaml.YAMLError:
            raise typer.BadParameter(f"the value of {name} cannot be read: {value!r}") from None
    return Config.from_flat(values)


def parse_viewpoint(text: str | None, height: float = 0.0) -> Viewpoint | None:
    """``X,Y,YAW`` (m, m, rad), at ``height`` metres. Wrong usage ends with exit code 2."""
    if text is None:
        return None
    import numpy as np

    from proxy3d_core.reasoning.answer import Viewpoint

    x, y, yaw = parse_pose(text)
    return Viewpoint(np.array([x, y, height]), np.array([math.cos(yaw), math.sin(yaw), 0.0]))


def parse_pose(text: str) -> tuple[float, float, float]:
    """``X,Y,YAW`` as numbers. Wrong usage ends with exit code 2."""
    try:
        x, y, yaw = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not X,Y,YAW, such as 1.5,0,3.14") from None
    if not all(map(math.isfinite, (x, y, yaw))):
        raise typer.BadParameter(f"{text!r} holds numbers that are not finite")
    return x, y, yaw


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a failed import into the name of the extra that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("proxy3d_core", "proxy3d_ros")):
            raise
        raise MissingExtra(f"this needs {error.name}; install it: pip install 'proxy3d_ros[{name}]'") from None


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Any]:
    """A progress bar on stderr, silent where that is no terminal; yields a function to call after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda *_: bar.advance(task)


def print_json(document: Any) -> None:
    """JSON on stdout."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_objects(objects: list[dict[str, Any]]) -> None:
    """A table of objects."""
    table = Table(title=f"{len(objects)} objects", box=SIMPLE)
    for heading in ("id", "label", "score", "centre [m]", "size [m]", "seen"):
        table.add_column(escape(heading), no_wrap=heading != "label")  # numbers stay whole in a narrow terminal
    for item in sorted(objects, key=lambda o: (o["label"], o["id"])):
        center, size = (" ".join(f"{v:5.2f}" for v in item[key]) for key in ("center", "size"))
        table.add_row(
            str(item["id"]), escape(item["label"]), f"{item['score']:.2f}", center, size, str(item["observations"])
        )
    out.print(table)


def print_answers(answers: list[dict[str, Any]]) -> None:
    """Questions and answers."""
    for answer in answers:
        out.print(f"[bold]{escape(answer['question'])}[/bold]")
        if answer["status"] == "OK":
            who = ", by the vision-language model" if answer["answerer"] == "vlm" else ""
            sure = f"confidence {answer['confidence']:.2f}, objects {answer['object_ids']}{who}"
            out.print(f"  {escape(answer['answer'])}   ({sure})")
        else:
            out.print(f"  {answer['status']}: {escape(answer['message'])}")


@app.command(epilog="Example: proxy3d play recordings/kitchen --rate 1.0 --loop")
def play(
    sequence: SequencePath,
    rate: Annotated[float, typer.Option(help="Speed: 2 = twice as fast as recorded.", min=0.01, max=100)] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    wait: Annotated[float, typer.Option(help="How long to wait for a listener first in seconds.", min=0)] = 10.0,
    compressed: Annotated[bool, typer.Option("--compressed", help="Publish compressed images.")] = False,
    namespace: Namespace = "/",
    remap: Annotated[
        list[str] | None, typer.Option(help="Remap a name; may be given often.", metavar="FROM:=TO")
    ] = None,
) -> None:
    """Play a recorded sequence as camera topics and TF, like a robot, until its end or Ctrl-C."""
    from proxy3d_core.sequences import open_sequence

    with extra("dds"):
        from proxy3d_ros.dds.player import play as publish
    source = open_sequence(sequence)
    with progress(f"playing {source.name}", None if loop else len(source)) as step:
        try:
            played = publish(
                source,
                rate,
                loop,
                namespace=namespace,
                remaps=remap or [],
                compressed=compressed,
                wait=wait,
                on_frame=step,
                on_message=err.print,
            )
        except KeyboardInterrupt:
            return
    err.print(f"{played.frames} frames in {played.seconds:.1f} s, {played.dropped} dropped, {played.late} late")


@app.command(epilog="Example: proxy3d ask 'How far is the sofa from the door?' --viewpoint 1.5,0,3.14")
def ask(
    question: Annotated[str, typer.Argument(help="The question.", show_default=False)],
    viewpoint: View = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An answer to choose from; may be given often.", metavar="TEXT")
    ] = None,
    answerer: Answerer = "auto",
    frame: Annotated[str, typer.Option(help="Frame of the viewpoint.")] = "map",
    timeout: Timeout = 10.0,
    namespace: Namespace = "/",
    json_: Json = False,
) -> None:
    """Ask a running node. Exit code 1 if there is no answer."""
    from proxy3d_ros.client import SpatialClient

    asker = None if viewpoint is None else parse_pose(viewpoint)
    with SpatialClient(namespace=namespace, timeout=timeout) as client:
        reply = client.ask(question, asker, option or [], timeout, frame, answerer)
    answer = {
        "question": question,
        "status": reply.status.name,
        "answer": reply.answer,
        "value": reply.value,
        "unit": reply.unit,
        "uncertainty": reply.uncertainty,
        "confidence": round(reply.confidence, 4),
        "object_ids": [found.id for found in reply.objects],
        "objects": [_found(found) for found in reply.objects],
        "message": reply.message,
        "program": reply.program,
        "frame_id": reply.frame_id,
        "scene_stamp": reply.scene_stamp,
        "map_epoch": reply.map_epoch,
        "answerer": reply.answerer,
        "latency_ms": round(reply.latency_ms, 3),
    }
    if json_:
        print_json(answer)
    else:
        print_answers([answer])
    if not reply.ok:
        raise typer.Exit(1)


@app.command(epilog="Example: proxy3d objects --json")
def objects(
    gone: Annotated[bool, typer.Option("--gone", help="Also those that are gone.")] = False,
    timeout: Timeout = 10.0,
    namespace: Namespace = "/",
    json_: Json = False,
) -> None:
    """List the objects that a running node knows."""
    from proxy3d_ros.client import SpatialClient

    with SpatialClient(namespace=namespace, timeout=timeout) as client:
        found = [_found(item) for item in client.objects(gone)]
    if json_:
        print_json(found)
    else:
        print_objects(found)


def _found(item: FoundObject) -> dict[str, Any]:
    """An object of a running node for JSON; named as in ``replay --json``."""
    return {
        "id": item.id,
        "label": item.label,
        "score": round(item.score, 4),
        "center": [round(float(v), 4) for v in item.center],
        "size": [round(float(v), 4) for v in item.size],
        "yaw": round(item.yaw, 4),
        "state": item.state.value,
        "first_seen": item.first_seen,
        "last_seen": item.last_seen,
        "observations": item.observations,
    }


@app.command(
    epilog="Example: proxy3d replay kitchen --ask 'How many chairs are there?' --plot room.png --save-map kitchen_map"
)
def replay(
    sequence: SequencePath,
    ask: Annotated[list[str] | None, typer.Option(help="A question; may be given often.", metavar="QUESTION")] = None,
    viewpoint: View = None,
    answerer: Answerer = "auto",
    save_map: Annotated[Path | None, typer.Option(help="Save the map to this folder.", metavar="DIR")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="An existing map may be replaced.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the room from above.", metavar="FILE.png")] = None,
    plot_attention: Annotated[
        Path | None,
        typer.Option(help="Draw where the vision-language model looked for its answers.", metavar="FILE.png"),
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Write a Rerun recording.", metavar="FILE.rrd")] = None,
    max_frames: Annotated[int | None, typer.Option(help="Stop after so many frames.", min=1)] = None,
    params: Params = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Build the scene from a recorded sequence, offline and deterministic, and ask about it."""
    from proxy3d_core.sequences import open_sequence
    from proxy3d_core.storage import check_target
    from proxy3d_core.storage import save_map as save
    from proxy3d_ros import replay as offline

    config = load_config(params, settings)
    asker = parse_viewpoint(viewpoint)
    if save_map is not None:
        check_target(save_map, overwrite)  # now, not after minutes of work
    source = open_sequence(sequence)
    total = min(len(source), max_frames or len(source))
    with ExitStack() as stack:
        if plot is not None or plot_attention is not None:
            with extra("viz"):
                import matplotlib  # noqa: F401  (now, not after minutes of work)
        recording = None
        if record is not None:
            from proxy3d_ros.record import Recording

            recording = stack.enter_context(Recording(record, name=source.name))
        step = stack.enter_context(progress(f"frames of {source.name}", total))

        def on_frame(run: offline.Replay, frame: Frame) -> None:
            step()
            if recording is not None:
                recording.frame(frame)
                recording.scene(run.scene.snapshot())

        played = offline.replay(source, config, on_frame, max_frames)
        stack.callback(played.answering.close)
        snapshot = played.scene.snapshot()
        for question in ask or []:
            answer = played.ask(question, asker, answerer, explain=plot_attention is not None)
            if recording is not None:
                recording.answer(question, answer.text or answer.message, snapshot.stamp_ns)
        if recording is not None:
            recording.objects(snapshot.objects, snapshot.stamp_ns)
    if plot is not None:
        from proxy3d_ros.plot import draw_snapshot

        err.print(f"picture: {draw_snapshot(snapshot, plot, played.path, title=source.name)}")
    if plot_attention is not None and played.looked:
        from proxy3d_ros.attention_plot import draw_attention

        err.print(f"attention: {draw_attention(snapshot, played.looked, plot_attention)}")
    if record is not None:
        err.print(f"recording: {record} (open it: rerun {record})")
    document = offline.document(played)
    if save_map is not None:
        saved = save(played.scene, save_map, overwrite)
        err.print(f"map: {saved.path} ({saved.objects} objects, {saved.proxies} proxies)")
    if json_:
        print_json(document)
    else:
        _print_replay(document, source, snapshot.scale_uncertainty)
    if plot_attention is not None and not played.looked:
        fail("the vision-language model gave no answer to draw; ask it: --ask QUESTION --answerer vlm")


def _print_replay(document: dict[str, Any], source: Sequence, scale_uncertainty: float) -> None:
    dropped = sum(document["dropped"].values())
    out.print(f"{escape(source.name)} ({source.format}): {document['frames']} frames, {dropped} dropped")
    if scale_uncertainty:
        out.print(f"  lengths are uncertain by {100 * scale_uncertainty:.0f} %: no depth sensor measured them")
    for reason, count in document["dropped"].items():
        out.print(f"  {count}x {escape(reason)}")
    print_objects(document["objects"])
    print_answers(document["answers"])


@app.command(name="ask-map", epilog="Example: proxy3d ask-map maps/kitchen 'How far is the table from the sink?'")
def ask_map(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a saved map.", show_default=False)],
    question: Annotated[list[str], typer.Argument(help="One or more questions.", show_default=False)],
    viewpoint: View = None,
    answerer: Answerer = "auto",
    params: Params = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Question a saved map. Exit code 1 if a question has no answer."""
    from proxy3d_core.answering import Answering
    from proxy3d_core.reasoning.answer import Question
    from proxy3d_core.scene.state import SceneState
    from proxy3d_core.storage import load_map
    from proxy3d_ros.replay import answer_entry

    asker = parse_viewpoint(viewpoint)
    config = load_config(params, settings)
    scene = SceneState(config, read_only=True)
    load_map(scene, folder)
    with closing(Answering(config.answer, config.encoder, scene.encoder_name)) as answering:
        snapshot = scene.snapshot()
        answers = [answer_entry(text, answering.answer(Question(text, asker), snapshot, answerer)) for text in question]
    if json_:
        print_json(answers[0] if len(answers) == 1 else answers)
    else:
        print_answers(answers)
    if any(answer["status"] != "OK" for answer in answers):
        raise typer.Exit(1)


@app.command(epilog="Example: proxy3d convert recordings/kitchen kitchen_bag --compressed")
def convert(
    sequence: SequencePath,
    bag: Annotated[Path, typer.Argument(help="Folder to write; must not exist.", show_default=False)],
    compressed: Annotated[bool, typer.Option("--compressed", help="Write compressed images.")] = False,
    json_: Json = False,
) -> None:
    """Write a sequence of any format as a rosbag2, with the topics and TF that the node listens to."""
    from proxy3d_core.sequences import open_sequence
    from proxy3d_core.sequences.rosbag_writer import write_rosbag2

    source = open_sequence(sequence)
    with progress(f"frames of {source.name}", len(source)) as step:
        written = write_rosbag2(source, bag, compressed, step)
    if json_:
        print_json({"path": str(written.path), "frames": written.frames, "dropped": dict(written.dropped)})
    else:
        out.print(f"{written.path}: {written.frames} frames, {sum(written.dropped.values())} dropped")


@app.command(epilog="Example: proxy3d bench proxies --json > proxies.json; proxy3d bench proxies --quality DIR")
def bench(
    what: Annotated[
        Literal["node", "proxies", "vlm"],
        typer.Argument(help="The live node, the making of proxies, or answers on proxies and on pixel tokens."),
    ] = "node",
    sequence: Annotated[
        list[Path] | None,
        typer.Option(help="A recorded sequence; default: the demo's and, where it is, redkitchen.", metavar="SEQUENCE"),
    ] = None,
    frames: Annotated[int, typer.Option(help="Length of the long run; 0 = leave it out.", min=0)] = 10_000,
    live: Annotated[
        float, typer.Option(help="node, vlm: seconds for which the live node is measured; 0 = leave it out.", min=0)
    ] = 20.0,
    quality: Annotated[
        list[Path] | None,
        typer.Option(help="proxies: what they keep of this sequence, instead of speed.", metavar="SEQUENCE"),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="proxies --quality: folder or hub id of a visual encoder; empty = built-in features.")
    ] = "",
    size: Annotated[
        Literal["nano", "3b", "7b"] | None,
        typer.Option(help="vlm: random weights of this size; default: the model that answer.vlm names."),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(help="vlm --size: time only so many layers, and take the others to cost as much.", min=2),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="vlm: questions at once; may be given often [default: 1, 8, 16].", min=1)
    ] = None,
    processor_time: Annotated[
        bool, typer.Option("--processor-time", help="vlm: seconds of the processor, for a machine that is busy.")
    ] = False,
    params: Params = None,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Measure speed and memory on this machine, beside other programs and what the hardware allows."""
    from proxy3d_core.sequences import open_sequence
    from proxy3d_ros.bench import measure

    config = load_config(params, settings)
    if what == "proxies":
        if quality:
            figures = _quality_figures(quality, encoder, config)
        else:
            figures = _proxy_figures((sequence or measure.default_sequences())[-1:], config, frames)
    elif what == "vlm":
        paths = (sequence or measure.default_sequences())[:1]
        figures = _vlm_figures(paths, config, size, layers, batch or [1, 8, 16], live, processor_time)
    else:
        sources = [open_sequence(path) for path in sequence or measure.default_sequences()]
        if not sources:
            fail("there is no sequence to measure with; name one: proxy3d bench --sequence DIR")
        figures = _node_figures(sources, config, frames, live)
    figures = {"machine": measure.machine(), **figures}
    if json_:
        print_json(figures)
    elif quality or what == "vlm":
        print_tables(figures)
    else:
        print_figures(figures)


def _node_figures(sources: list[Sequence], config: Config, frames: int, live: float) -> dict[str, dict[str, Any]]:
    from proxy3d_ros.bench import node

    figures: dict[str, dict[str, Any]] = {}
    for source in sources:
        err.print(f"{source.name}: {len(source)} frames")
        figures |= node.bench_sequence(source, source.name, config)
    if live:
        err.print(f"live node for {live:g} s")
        with extra("dds"):
            figures |= node.bench_live(sources[0], config, live)
    if frames:
        with progress("long run", frames) as step:
            figures |= node.bench_long(sources[0], frames, config, step)
    return figures


def _proxy_figures(paths: list[Path], config: Config, frames: int) -> dict[str, dict[str, Any]]:
    from proxy3d_core.encoders import PAPER_CELLS
    from proxy3d_core.sequences import open_sequence
    from proxy3d_ros.bench.scenes import sample_scene

    with extra("models"):
        from proxy3d_ros.bench import proxies

    if not paths:
        fail("there is no sequence to measure with; name one: proxy3d bench proxies --sequence DIR")
    if missing := proxies.missing_peers():
        err.print(f"without {' and '.join(missing)} to compare with; install: pip install 'proxy3d_ros[bench]'")
    source = open_sequence(paths[0])
    scene = sample_scene(source)
    per_group = config.proxies.per_object
    figures: dict[str, dict[str, Any]] = {}
    for setting in (proxies.CHEAP, proxies.FULL):
        err.print(f"{setting.name}, points of {source.name}")
        figures |= proxies.bench_offline(scene, setting, per_group)
    figures |= proxies.bench_sequence_steps(scene, 1000, per_group)
    if frames:
        with progress("streaming", frames) as step:
            figures |= proxies.bench_streaming(sample_scene(source, cells=PAPER_CELLS), config, frames, step)
    return figures


def _quality_figures(paths: list[Path], encoder: str, config: Config) -> dict[str, dict[str, Any]]:
    from proxy3d_core.encoders import load_encoder
    from proxy3d_core.sequences import open_sequence
    from proxy3d_ros.bench import quality
    from proxy3d_ros.bench.scenes import CELLS, sample_scene

    eyes = load_encoder(encoder, cells=CELLS)
    figures: dict[str, dict[str, Any]] = {}
    for path in paths:
        source = open_sequence(path)
        err.print(f"{source.name}: features: {eyes.name}")
        scene = sample_scene(source, eyes)
        for budget in quality.BUDGETS:
            found = quality.quality(scene, budget, config.proxies.per_object)
            figures |= {f"{source.name}/{budget}/{way}": values for way, values in found.items()}
            figures[f"{source.name}/{budget}/order"] = quality.order_of_reading(
                scene, budget, config.proxies.per_object
            )
            figures[f"{source.name}/{budget}/tokens"] = quality.tokens(scene, budget)
    return figures


def _vlm_figures(
    paths: list[Path],
    config: Config,
    size: Any,
    layers: int | None,
    batches: list[int],
    live: float,
    busy: bool,
) -> dict[str, dict[str, Any]]:
    from proxy3d_core.encoders import load_encoder
    from proxy3d_core.sequences import open_sequence

    with extra("models"):
        from proxy3d_core.vlm.loading import load_vlm
        from proxy3d_ros.bench import scenes, vlm

    if not paths:
        fail("there is no sequence to measure with; name one: proxy3d bench vlm --sequence DIR")
    whole = None if size is None or layers is None else vlm.layers_of(size)
    if layers is not None and (whole is None or layers >= whole):
        fail("--layers times some of the layers of a size: name one that has more, --size 3b --layers 2")
    source = open_sequence(paths[0])
    encoder = load_encoder(**config.encoder.model_dump())
    named = size is None
    model, prompts = load_vlm(config.answer.vlm) if named else vlm.random_vlm(size, encoder.channels, layers)
    err.print(
        f"{config.answer.vlm if named else size}, {scenes.FRAMES} frames of {source.name}, features: {encoder.name}"
    )
    material = vlm.Material.of(source, encoder, scenes.FRAMES)
    clock = time.process_time if busy else time.perf_counter
    figures = vlm.bench_batches(model, prompts, encoder, material, config, batches, err.print, clock, whole)
    if whole is None:
        figures |= vlm.bench_scene(model, prompts, encoder, material, config)
    if live and named:
        err.print(f"live node for {live:g} s")
        with extra("dds"):
            figures |= vlm.bench_live(source, config, live, figures)
    return figures


def print_tables(figures: dict[str, dict[str, Any]]) -> None:
    """One table for each kind of figures."""
    kinds: dict[tuple[str, ...], Table] = {}
    for name, values in figures.items():
        if name != "machine":
            table = kinds.setdefault(tuple(values), Table("what", *values, box=SIMPLE))
            table.add_row(name, *map(str, values.values()))
    wide = Console(width=max(out.width, 140))  # nine columns, also where the output is a file
    for table in kinds.values():
        wide.print(table)


def print_figures(figures: dict[str, dict[str, Any]]) -> None:
    """A table of measurements."""
    out.print(", ".join(f"{key} {value}" for key, value in figures["machine"].items()))
    table = Table("what", escape("p50 [ms]"), escape("p95 [ms]"), "more", box=SIMPLE)
    for name, values in figures.items():
        if name != "machine":
            more = ", ".join(f"{key} {value}" for key, value in values.items() if key not in ("p50_ms", "p95_ms"))
            table.add_row(name, *(str(values.get(key, "")) for key in ("p50_ms", "p95_ms")), more)
    out.print(table)


def _forward(name: str, about: str) -> None:
    """Register a command of the training distribution; it is loaded when it is called."""

    @app.command(
        name,
        help=about + " (training package)",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    )
    def command(context: typer.Context) -> None:
        found = [entry for entry in entry_points(group="proxy3d.commands") if entry.name == name]
        if not found:
            fail(f"proxy3d {name} needs the training package; in the repository: pip install -e training")
        loaded = found[0].load()
        if not isinstance(loaded, typer.Typer):
            single = typer.Typer(add_completion=False)
            single.command(context_settings={"help_option_names": ["-h", "--help"]})(loaded)
            loaded = single
        typer.main.get_command(loaded).main(context.args, prog_name=f"proxy3d {name}", standalone_mode=True)


for _name, _about in TRAINING.items():
    _forward(_name, _about)

"""Who answers questions about simulated rooms: the proxy VLM on prepared scenes, or geometry on the live map."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from proxy3d_core.config import Config
from proxy3d_core.encoders import load_encoder
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry import OrientedBox
from proxy3d_core.proxies.references import ReferenceCodes, References
from proxy3d_core.reasoning.answer import Answer, Question, Status
from proxy3d_core.reasoning.choices import split_options
from proxy3d_core.reasoning.geometric import GeometricAnswerer
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, ObjectState, SceneObject, Snapshot
from proxy3d_core.sequences import open_sequence
from proxy3d_core.vlm.answerer import LONGEST
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prefix import Reply, ScenePrefix
from proxy3d_core.vlm.prompt import PromptFormat, split_evidence
from proxy3d_core.vlm.replies import heard
from proxy3d_core.vlm.wording import Wording
from proxy3d_training.data.check import REGION, as_question, same_words
from proxy3d_training.data.prepared import PreparedScene, PreparedScenes, Seen
from proxy3d_training.data.schema import MARKER, IdAnswer, NumberAnswer, Sample, TextAnswer, marker
from proxy3d_training.evaluation.perception import in_world
from proxy3d_training.evaluation.sim_qa import LEFT_OUT, Row, Said, put, reachable, scored
from proxy3d_training.live import Drive, ReusedScene
from proxy3d_training.train.batches import Variant, scene_tokens


class RoomAnswerer(Protocol):
    """Answers all questions about a room at once."""

    def answer(self, scene: PreparedScene, folder: Path, samples: Sequence[Sample], texts: Sequence[str]) -> list[Said]:
        """Answers in the order of the questions.

        Args:
            scene: what the camera saw, prepared.
            folder: the recording.
            samples: with the objects' true ids and boxes.
            texts: of the questions, with the map's markers.
        """
        ...


class VlmInRooms:
    """The proxy VLM: each room is one prefix, behind which its questions are answered in batches."""

    def __init__(
        self,
        model: ProxyVLM,
        prompts: PromptFormat,
        codes: ReferenceCodes,
        variant: Variant | None = None,
        batch: int = 32,
    ) -> None:
        """
        Args:
            model: in evaluation mode.
            prompts: of the same model.
            codes: of the encoder that the scenes were prepared with.
            variant: what the model is shown, as it was in its training.
            batch: most questions at once.
        """
        self._model, self._prompts, self._codes = model, prompts, codes
        self._variant, self._batch = replace(variant or Variant(), named=model.config.category_codes), batch

    def answer(self, scene: PreparedScene, folder: Path, samples: Sequence[Sample], texts: Sequence[str]) -> list[Said]:
        """See ``RoomAnswerer``; ``folder`` is not read."""
        tokens = scene_tokens(scene, self._codes, self._variant, rng=np.random.default_rng(0))
        references = References({o.marker: o.id for o in scene.about.objects if o.marker is not None})
        called = {
            o.marker: _called(o) if self._variant.named else "" for o in scene.about.objects if o.marker is not None
        }
        prefix = ScenePrefix(self._model, self._prompts, tokens, markers=called)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # alike long together: little padding
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), self._batch):
            some = order[start : start + self._batch]
            found = prefix.answer([texts[i] for i in some], max_new_tokens=LONGEST)
            replies |= dict(zip(some, found, strict=True))
        objects = _objects(scene)
        return [_said(replies[i], sample, objects, references) for i, sample in enumerate(samples)]


def _called(thing: Seen) -> str:
    """What a model that is told names is told of an object; nothing of what is gone or has no name."""
    return "" if thing.state == ObjectState.GONE.value or thing.label == UNKNOWN_LABEL else thing.label


def _objects(scene: PreparedScene) -> Snapshot:
    """The objects of the map alone, their boxes in the recording's world."""
    return Snapshot(
        objects=tuple(
            SceneObject(o.id, o.label, o.score, o.box.oriented(), state=ObjectState(o.state))
            for o in scene.about.objects
        )
    )


def _said(reply: Reply, sample: Sample, objects: Snapshot, references: References) -> Said:
    question, options = split_options(sample.question, sample.options)
    understood = heard(reply.text, Wording(sample.prompt(), question, options), objects, references)
    chosen = understood.kind == "choice" and understood.status is Status.OK
    answer = understood.text if chosen else split_evidence(reply.text)[1]
    boxes = tuple(objects.by_id[i].box for i in references.objects_in(answer))
    return Said(answer, boxes, math.exp(min(reply.log_probability, 0.0)), understood.kind)


class GeometricInRooms:
    """The geometric answerer on the map that the live pipeline makes of the recording.

    Where a question tells a situation, it is given as a pose, as with ``proxy3d data check``: the words are for people.
    """

    def __init__(self, config: Config) -> None:
        """``config``: of the map. Raises MissingExtra, ModelError, BadInput as ``SceneState``."""
        self._scene = ReusedScene(config)
        self._answerer = GeometricAnswerer()

    def answer(self, scene: PreparedScene, folder: Path, samples: Sequence[Sample], texts: Sequence[str]) -> list[Said]:
        """See ``RoomAnswerer``; plays the recording.

        Raises:
            SequenceError: it cannot be read.
        """
        self._scene.begin()
        drive = Drive(self._scene, open_sequence(folder))
        for _ in drive:
            pass
        snapshot = in_world(self._scene.snapshot(), drive)
        named = {o.true_id: o for o in scene.about.objects if o.true_id is not None and o.marker is not None}
        found = []
        for sample in samples:
            things = tuple(
                thing.model_copy(update={"box": named[thing.id].box}) if thing.id in named else thing
                for thing in sample.objects
            )
            question = as_question(sample.model_copy(update={"objects": things}))
            answer = self._answerer.answer(question, snapshot)
            found.append(_in_words(answer, question, sample, snapshot, scene.marker_of_true))
        return found


def _in_words(
    answer: Answer, question: Question, sample: Sample, snapshot: Snapshot, markers: Mapping[int, int]
) -> Said:
    """An answer of the geometric answerer in the form of the samples."""
    truth = sample.answer
    if isinstance(truth, IdAnswer):
        if answer.status is not Status.OK:
            return Said("No." if answer.status is Status.NOT_FOUND else "", (), answer.confidence, truth.type)
        named = list(dict.fromkeys(int(number) for number in MARKER.findall(sample.question)))
        id_of = {thing.marker: thing.id for thing in sample.objects}
        said = [named[int(i)] for i in REGION.findall(answer.text) if int(i) < len(named)]
        text = " ".join(marker(markers[id_of[number]]) for number in said)
        boxes = tuple(snapshot.by_id[i].box for i in answer.object_ids if i in snapshot.by_id)
        # "On the desk" comes with the mug that was asked about, and then the desk, which is the answer.
        others = tuple(box for box in boxes if all(box.iou(asked) < 0.5 for asked in question.regions))
        return Said(text or ("Yes." if boxes else "No."), others or boxes, answer.confidence, truth.type)
    if answer.status is not Status.OK:
        return Said("", (), answer.confidence, truth.type)
    text = answer.text
    if isinstance(truth, NumberAnswer) and answer.value is not None:
        text = f"{answer.value * (100 if (answer.unit, truth.unit) == ('m', 'cm') else 1):g}"
    elif isinstance(truth, TextAnswer) and same_words(answer, truth, snapshot):
        text = truth.references[0]  # said in other words
    return Said(text, (), answer.confidence, truth.type)


def codes_of(scenes: PreparedScenes) -> ReferenceCodes:
    """Reference codes by the encoder that the scenes were prepared with.

    Raises:
        BadInput: that encoder gives other channels now.
        MissingExtra, ModelError: it cannot be loaded.
    """
    settings = scenes.index["maker"]["settings"]
    encoder = load_encoder(settings["encoder.source"], stage=settings["encoder.stage"])
    if encoder.channels != scenes.channels:
        raise BadInput(
            f"the encoder {encoder.name} has {encoder.channels} channels, the scenes in {scenes.folder} have "
            f"{scenes.channels}; prepare them anew"
        )
    return ReferenceCodes(encoder.encode)


def ask(
    samples: Sequence[tuple[Sample, Path]],
    scenes: PreparedScenes,
    answerer: RoomAnswerer,
    track: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> tuple[list[Row], list[float | None], int]:
    """Put questions about rooms and score the answers.

    Args:
        samples: each with the folder of its recording.
        scenes: prepared ones; questions about others are passed over.
        answerer: who answers.
        track: wraps the names of the rooms to show progress.

    Returns:
        Rows in the order of the rooms; of each whether the map has a box that would count (``reachable``); how many
        questions were passed over: of other rooms, of symbols, about regions, captions.

    Raises:
        BadInput: none of them is about one of the scenes.
    """
    rooms: dict[str, list[tuple[Sample, Path]]] = {}
    for sample, folder in samples:
        about = sample.scene
        seen = sample.view == "proxies" and about is not None and about.name in scenes
        if about is not None and seen and not sample.regions and sample.kind not in LEFT_OUT:
            rooms.setdefault(about.name, []).append((sample, folder))
    if not rooms:
        raise BadInput(f"none of the {len(samples)} questions can be asked of the scenes in {scenes.folder}")
    rows: list[Row] = []
    possible: list[float | None] = []
    for name in track(sorted(rooms)):
        scene = scenes[name]
        markers = scene.marker_of_true
        own = [sample for sample, _ in rooms[name]]
        texts = [put(sample, markers) for sample in own]
        asked = [(sample, text) for sample, text in zip(own, texts, strict=True) if text is not None]
        answers = iter(answerer.answer(scene, rooms[name][0][1], [s for s, _ in asked], [t for _, t in asked]))
        boxes: list[OrientedBox] = [o.box.oriented() for o in scene.about.objects if o.marker is not None]
        for sample, text in zip(own, texts, strict=True):
            rows.append(scored(sample, None if text is None else next(answers), markers))
            possible.append(reachable(sample, boxes))
    return rows, possible, len(samples) - len(rows)

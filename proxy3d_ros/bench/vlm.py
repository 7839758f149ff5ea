"""``proxy3d bench vlm``: what an answer costs on pixel tokens and on proxies of the same frames, with the same weights.

As the paper's Table 3 (supplement): encoder, clustering, language model, for batches of so many questions, each on a
scene of its own. Every answer has ``ANSWER`` tokens, whatever the weights say, so that only what is read differs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from proxy3d_core.config import Config
from proxy3d_core.encoders import SemanticEncoder, to_numpy
from proxy3d_core.errors import BadInput
from proxy3d_core.models.loading import choose_device, choose_dtype
from proxy3d_core.proxies.cluster import cluster_proxies
from proxy3d_core.proxies.references import ReferenceCodes
from proxy3d_core.reasoning.answer import Question
from proxy3d_core.scene.snapshot import ProxySet, Snapshot
from proxy3d_core.sequences import Sequence as Recording
from proxy3d_core.vlm.answerer import VlmAnswerer
from proxy3d_core.vlm.config import Size, configuration
from proxy3d_core.vlm.inputs import SceneTokens, collate
from proxy3d_core.vlm.model import ProxyVLM
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_core.vlm.tokenizer import train_tokenizer
from proxy3d_ros.bench.measure import Figures, percentiles
from proxy3d_ros.bench.node import live_node
from proxy3d_ros.bench.scenes import Scene, sample_scene

QUESTION = "How many chairs are there?"
ANSWER = 8
"""Tokens of each answer."""
PART = 8192
"""Tokens that go through an MLP at once: of all pixel tokens of 16 questions its 11,008 channels would be 23 GB."""
REPEATS = 5
"""How often a question to one scene is timed."""

_PATIENCE = 300.0  # s, for a model that is being loaded
_PAUSE = 0.5  # s between questions while the node maps


@dataclass(frozen=True, eq=False)
class Material:
    """Frames of a recording and what the encoder made of them.

    Attributes:
        images: (F, H, W, 3) uint8.
        scene: patches that have a 3D point, in groups.
        pixels: (F h w, C) float32 features of all patches: the pixel tokens.
    """

    images: NDArray[np.uint8]
    scene: Scene
    pixels: NDArray[np.float32]

    @classmethod
    def of(cls, recording: Recording, encoder: SemanticEncoder, frames: int) -> Material:
        """Frames spread evenly over a recording. Raises BadInput: it has no colour images, or none that can be used."""
        colors = [record.rgb for record in recording.sample(frames)]
        images = [rgb for rgb in colors if rgb is not None]
        if not images:
            raise BadInput(f"{recording.name} has no colour images to encode")
        features = np.concatenate([to_numpy(encoder.encode([rgb])) for rgb in images])
        scene = sample_scene(recording, encoder, frames)
        return cls(np.stack(images), scene, features.reshape(-1, encoder.channels))

    def proxies(self, config: Config) -> ProxySet:
        """Eqs 1-3, as many proxies as the settings say."""
        found = self.scene
        weights = np.ones(len(found.points), np.float32)
        wanted = config.proxies
        return cluster_proxies(found.points, found.features, weights, found.groups, wanted.budget, wanted.per_object)


def random_vlm(size: Size, channels: int | None, layers: int | None = None) -> tuple[ProxyVLM, PromptFormat]:
    """A model of a size with random weights, where and as ``load_vlm`` puts one: its speed does not depend on them.

    Args:
        size: which.
        channels: C of the proxies' features.
        layers: it has only so many; None = all.
    """
    prompts = PromptFormat(train_tokenizer([QUESTION]))
    special = {"proxy_token_id": prompts.proxy, "region_token_id": prompts.region}
    text = {} if layers is None else {"num_hidden_layers": layers}
    config = configuration(size, feature_channels=channels, text_config=text, **special)
    device = choose_device("auto")
    before = torch.get_default_dtype()
    torch.set_default_dtype(choose_dtype("auto", device))
    try:
        with device:
            return ProxyVLM(config).eval(), prompts
    finally:
        torch.set_default_dtype(before)


def layers_of(size: Size) -> int:
    """How many layers a size has."""
    count: int = configuration(size).get_text_config().num_hidden_layers
    return count


def bench_batches(
    model: ProxyVLM,
    prompts: PromptFormat,
    encoder: SemanticEncoder,
    material: Material,
    config: Config,
    batches: Sequence[int],
    on_step: Callable[[str], Any],
    clock: Callable[[], float] = time.perf_counter,
    of_layers: int | None = None,
) -> dict[str, Figures]:
    """The paper's Table 3: seconds of encoder, clustering and language model for batches of questions.

    Each question of a batch has its own copy of the scene; nothing is shared. ``whole_question_live`` is for a node
    that encodes and clusters frames as they come, against pixel tokens that are encoded when the question comes.
    ``clock`` may be ``time.process_time`` where the machine is busy with other work. ``of_layers``: how many layers the
    whole model would have, if ``model`` has only some of them: each further one is taken to cost what each of those
    behind the first one does.
    """

    def seconds(call: Callable[[], Any]) -> float:
        start = clock()
        call()
        return clock() - start

    def language_model_s(scenes: Sequence[SceneTokens]) -> float:
        layers = model.model.layers
        spent = seconds(lambda: _answer(model, prompts, scenes))
        if of_layers is None:
            return spent
        model.model.layers = layers[:1]
        try:
            first = seconds(lambda: _answer(model, prompts, scenes))
        finally:
            model.model.layers = layers
        return first + (spent - first) / (len(layers) - 1) * (of_layers - 1)

    pixels = SceneTokens(material.pixels, None, np.zeros(len(material.pixels), np.int64))
    _answer(model, prompts, [SceneTokens.of(material.proxies(config))])  # the first time of everything does not count
    out: dict[str, Figures] = {}
    for batch in batches:
        on_step(f"batch {batch}: encoder")
        encoder_s = seconds(lambda n=batch: [encoder.encode([rgb]) for _ in range(n) for rgb in material.images])
        on_step(f"batch {batch}: clustering")
        scenes: list[SceneTokens] = []
        clustering_s = seconds(
            lambda n=batch, s=scenes: s.extend(SceneTokens.of(material.proxies(config)) for _ in range(n))
        )
        on_step(f"batch {batch}: language model on proxies")
        proxies_s = language_model_s(scenes)
        on_step(f"batch {batch}: language model on pixel tokens")
        pixels_s = language_model_s([pixels] * batch)

        def row(tokens: int, clustering: float, language: float, n: int = batch, encoder: float = encoder_s) -> Figures:
            return {
                "tokens": tokens,
                "encoder_s": round(encoder, 3),
                "clustering_s": round(clustering, 3),
                "language_model_s": round(language, 3),
                "per_question_s": round((encoder + clustering + language) / n, 3),
            }

        out[f"pixel tokens, batch {batch}"] = row(len(pixels), 0.0, pixels_s)
        out[f"proxies, batch {batch}"] = row(len(scenes[0]), clustering_s, proxies_s)
        out[f"times faster, batch {batch}"] = {
            "language_model": round(pixels_s / proxies_s, 1),
            "whole_question_offline": round((encoder_s + pixels_s) / (encoder_s + clustering_s + proxies_s), 2),
            "whole_question_live": round((encoder_s + pixels_s) / proxies_s, 1),
        }
    return out


def bench_scene(
    model: ProxyVLM, prompts: PromptFormat, encoder: SemanticEncoder, material: Material, config: Config
) -> dict[str, Figures]:
    """Questions to one snapshot through the node's answerer: the first one reads the scene, further ones do not.

    Tokens are counted where they go into the language model: those of system and scene, and all others.
    """
    read: list[int] = []
    hook = model.model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["inputs_embeds"].shape[1]), with_kwargs=True
    )
    snapshot = Snapshot(proxies=material.proxies(config), frames=len(material.images))
    spent: dict[str, list[float]] = {"first": [], "further": []}
    tokens: dict[str, list[int]] = {}
    for _ in range(REPEATS):
        with closing(VlmAnswerer(model, prompts, ReferenceCodes(encoder.encode))) as vlm:
            for kind in ("first", "further"):
                read.clear()
                start = time.perf_counter()
                vlm.answer(Question(QUESTION), snapshot)
                spent[kind].append(time.perf_counter() - start)
                tokens[kind] = list(read)
    hook.remove()
    prefix = len(prompts.prefix(len(snapshot.proxies)))
    return {
        f"one scene, {kind} question": {
            "p50_ms": percentiles(times)["p50_ms"],
            "p95_ms": percentiles(times)["p95_ms"],
            "scene_tokens_read": prefix * tokens[kind].count(prefix),
            "other_tokens_read": sum(count for count in tokens[kind] if count != prefix),
        }
        for kind, times in spent.items()
    }


def bench_live(recording: Recording, config: Config, seconds: float, offline: dict[str, Figures]) -> dict[str, Figures]:
    """Questions to the live node, a process of its own over DDS, as the asker sees them: while it maps, and after.

    Args:
        recording: played in real time.
        config: with the model to ask.
        seconds: for so long at most.
        offline: figures of ``bench_batches``: with one question on pixel tokens that are encoded when it comes, each
            is compared, if that was measured.
    """
    from proxy3d_ros.client import SpatialClient
    from proxy3d_ros.dds import player

    spent: dict[str, list[float]] = {"while mapping": [], "after the last frame": []}

    def ask(client: SpatialClient, when: str) -> None:
        start = time.perf_counter()
        reply = client.ask(QUESTION, answerer="vlm", timeout=_PATIENCE)
        if reply.ok:
            spent[when].append(time.perf_counter() - start)

    with live_node(config) as (_, domain), SpatialClient(middleware="dds", timeout=_PATIENCE) as client:
        client.ask(QUESTION)  # it is there
        with ThreadPoolExecutor(1) as robot:
            stop = threading.Event()
            late = time.monotonic() + _PATIENCE
            playing = robot.submit(player.play, recording, loop=True, stop=stop, domain=domain, wait=10.0)
            while not client.ask(QUESTION, answerer="vlm").ok and time.monotonic() < late:
                time.sleep(_PAUSE)  # no scene yet, or the model is still being loaded
            end = time.monotonic() + seconds
            while not playing.done() and time.monotonic() < end:
                ask(client, "while mapping")
                time.sleep(_PAUSE)
            stop.set()
        time.sleep(1.0)  # the objects are brought up to the last frame
        for _ in range(10):
            ask(client, "after the last frame")
    pixels = offline.get("pixel tokens, batch 1")
    return {
        f"live node, {when}": percentiles(times)
        | ({} if pixels is None else {"times_faster": round(pixels["per_question_s"] / float(np.median(times)), 1)})
        for when, times in spent.items()
        if times
    }


@torch.no_grad()
def _answer(model: ProxyVLM, prompts: PromptFormat, scenes: Sequence[SceneTokens]) -> None:
    """One question to each scene, all at once, each answered by ``ANSWER`` tokens."""
    ids = prompts.prefix(len(scenes[0])) + prompts.question(QUESTION)
    given: Any = model  # its own stubs do not let generate be called on it
    with _in_parts(model):
        given.generate(
            input_ids=torch.tensor([ids] * len(scenes), device=model.device),
            **collate(scenes, model.device),
            do_sample=False,
            min_new_tokens=ANSWER,
            max_new_tokens=ANSWER,
            pad_token_id=prompts.pad,
        )


@contextmanager
def _in_parts(model: ProxyVLM) -> Iterator[None]:
    """MLPs, which look at each token by itself, take ``PART`` tokens after the other."""
    layers = list(model.model.layers)
    whole = [layer.mlp for layer in layers]
    for layer, mlp in zip(layers, whole, strict=True):
        layer.mlp = _InParts(mlp)
    try:
        yield
    finally:
        for layer, mlp in zip(layers, whole, strict=True):
            layer.mlp = mlp


class _InParts(nn.Module):
    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, states: Tensor) -> Tensor:
        """(B, L, H) as the MLP itself."""
        parts = states.flatten(0, 1).split(PART)
        return torch.cat([self.mlp(part) for part in parts]).view_as(states)

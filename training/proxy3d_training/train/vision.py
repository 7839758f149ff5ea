"""Training of the vision network on simulated rooms: ``train_vision``.

In every step the network sees a batch of views and, beside them, pictures of categories and of numbers, which become
the codes of object references (``proxy3d_core.proxies.references``). A category's picture answers to the same linear
classifier as the thing itself, so code and feature agree. A numeral answers to a classifier of its own, also when it is
added to the feature of what it marks, and is taught to say nothing about the category.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import avg_pool2d, cross_entropy, smooth_l1_loss
from torch.optim.swa_utils import AveragedModel

from proxy3d_core.models.checkpoint import WEIGHTS, Checkpoint
from proxy3d_core.perception.vision_input import working_size
from proxy3d_core.perception.vision_network import NUMERALS, Seen, VisionNetwork, VisionSettings
from proxy3d_core.proxies.references import PICTURE, category_picture, numeral_picture
from proxy3d_training.progress import progress_bar
from proxy3d_training.train.muon import Muon
from proxy3d_training.train.precision import Precision, in_bfloat16
from proxy3d_training.train.vision_data import COLORS, MATERIALS, NAMES, UNKNOWN, Examples, load_examples, recordings
from proxy3d_training.train.vision_score import score

_CELLS = 1200  # of a view's 4800 that are learned from in a step
_MARKED = 64  # features of a batch that numerals are added to
_PICTURES = 8  # of categories, and as many of numerals, in a step
_CLIP = 5.0  # largest norm of a step's gradient


class VisionTraining(BaseModel):
    """A training run of the vision network, as its YAML file says it; ``proxy3d train`` runs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["vision"]
    rooms: list[Path] = Field(min_length=1, description="Folders of simulated recordings to learn from.")
    held: list[Path] = Field([], description="Folders of others, only to measure on.")
    out: Path = Field(description="Folder for weights, config.json and figures.json.")
    start: Path | None = Field(None, description="Folder of weights to go on from; none = random ones.")
    closer: int = Field(1, ge=0, le=4, description="How many random parts of each frame are views of their own.")
    coarse: float = Field(6.0, ge=0, description="How often every view is seen at half resolution, to begin with.")
    epochs: float = Field(2.0, gt=0, description="How often every view is seen after that.")
    batch: int = Field(16, ge=2, description="Views in a step.")
    rate: float = Field(2e-3, gt=0, description="Highest learning rate.")
    muon: float = Field(0.0, ge=0, description="Kernels of the body learn by Muon, at so many times the rate.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps on the way up to it.")
    decay: float = Field(0.02, ge=0, description="Weight decay.")
    average: float = Field(
        0.998, ge=0, lt=1, description="What is saved is a running mean of the weights; share kept in a step."
    )
    no_geometry: float = Field(0.2, ge=0, le=1, description="Share of the views without depth.")
    no_color: float = Field(0.04, ge=0, le=1, description="Share of the views without colours.")
    precision: Precision = Field("auto", description="Of products; weights are float32.")
    seed: int = 0
    threads: int = Field(2, ge=1, description="CPU threads.")


def train_vision(config: VisionTraining, quiet: bool = False) -> Path:
    """Train and save the network; returns ``config.out``, which ``load_vision`` reads.

    Raises:
        BadInput: no recordings, or incomplete ones.
        ModelError: the weights to start from are not usable.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    examples = load_examples(recordings(config.rooms), config.closer, config.seed, config.threads, quiet)
    network = _start(config).to(memory_format=torch.channels_last)
    task = _Task(network, examples, config, rng)
    coarse, fine = (round(epochs * len(examples) / config.batch) for epochs in (config.coarse, config.epochs))
    steps = max(1, coarse + fine)
    average = AveragedModel(network, avg_fn=partial(_running_mean, keep=config.average), use_buffers=True)
    trained = cast(VisionNetwork, average.module)
    optimizer = _Optimizer(network, config)
    config.out.mkdir(parents=True, exist_ok=True)
    order = np.zeros(0, np.int64)
    begin = time.perf_counter()
    with (config.out / "log.jsonl").open("w", encoding="utf-8") as log, progress_bar(quiet) as bar:
        shown = bar.add_task("vision", total=steps, rate="")
        for step in range(steps):
            if len(order) < config.batch:
                order = np.concatenate([order, rng.permutation(len(examples))])
            chosen, order = np.sort(order[: config.batch]), order[config.batch :]
            losses = task.losses(chosen, stride=2 if step < coarse else 1)
            total = torch.stack(list(losses.values())).sum()
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
            optimizer.step(_rate(step, steps, config.warmup))
            average.update_parameters(network)
            if step % 20 == 0 or step == steps - 1:
                seconds = time.perf_counter() - begin
                rate = (step + 1) * config.batch / seconds
                entry = {"step": step, "of": steps, "seconds": round(seconds, 1), "loss": round(total.item(), 4)}
                log.write(json.dumps(entry | {name: round(loss.item(), 4) for name, loss in losses.items()}) + "\n")
                log.flush()
                bar.update(shown, completed=step + 1, rate=f"{rate:.0f} views/s, loss {total.item():.2f}")
            if step % 400 == 399:
                save(trained, config.out)
    save(trained, config.out)
    if config.held:
        figures = score(trained, load_examples(recordings(config.held), 0, config.seed, config.threads, quiet))
        (config.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return config.out


def save(network: VisionNetwork, folder: Path) -> None:
    """Write config.json and the weights, in half precision; the statistics of normalisation are too large for it."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {"model_type": "proxy3d_vision"} | asdict(network.settings)
    (folder / "config.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    tensors = {
        name: value.half() if value.is_floating_point() and ".running_" not in name else value
        for name, value in network.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / WEIGHTS)


class _Optimizer:
    """AdamW and, for the kernels of convolutions with a normalisation behind them, Muon where it is wanted.

    To Muon (Jordan et al. 2024) a kernel is a matrix from all it looks at to its outputs; its rate is scaled to steps
    as long as AdamW's (arXiv 2502.16982).
    """

    def __init__(self, network: VisionNetwork, config: VisionTraining) -> None:
        self._config = config
        inner = [p for name, p in network.named_parameters() if not name.startswith(("features", "votes"))]
        self._kernels = [parameter for parameter in inner if parameter.ndim == 4 and config.muon]
        # the same memory, seen as matrices
        self._matrices = [torch.nn.Parameter(_as_matrix(kernel.detach())) for kernel in self._kernels]
        taken = {id(kernel) for kernel in self._kernels}
        others = [parameter for parameter in network.parameters() if id(parameter) not in taken]
        self._parts: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.AdamW(others, lr=config.rate, weight_decay=config.decay), 1.0)
        ]
        if self._matrices:
            self._parts.append((Muon(self._matrices, config.rate, weight_decay=config.decay), config.muon))

    def step(self, share: float) -> None:
        """One step at this share of the rates; then gradients are none."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            assert kernel.grad is not None
            matrix.grad, kernel.grad = _as_matrix(kernel.grad), None
        for optimizer, times in self._parts:
            for group in optimizer.param_groups:
                group["lr"] = self._config.rate * share * times
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


def _as_matrix(kernel: Tensor) -> Tensor:
    """(outputs, h * w * inputs), of kernels whose channels lie last in memory."""
    return kernel.permute(0, 2, 3, 1).flatten(1)


class _Task:
    """What is asked of the network in a step."""

    def __init__(
        self, network: VisionNetwork, examples: Examples, config: VisionTraining, rng: np.random.Generator
    ) -> None:
        self._network, self._examples, self._config, self._rng = network, examples, config, rng
        count = np.bincount(examples.category.reshape(-1), minlength=UNKNOWN + 1).astype(np.float64)
        # Cells are drawn by the root of how rare their category is: between the picture's shares and equal shares.
        self._draw = torch.from_numpy((1 / np.sqrt(np.maximum(count, 1e-4 * count.sum()))).astype(np.float32))
        self._draw[UNKNOWN] = self._draw.min() * 0.1
        h, w = examples.rgb.shape[1:3]
        self._noise = torch.randn(config.batch, 3, 2 * h, 2 * w)  # parts of it serve every step
        self._categories = _pictures([category_picture(name) for name in NAMES[1:]])
        self._numerals = _pictures([numeral_picture(index) for index in range(NUMERALS)])
        self._kept: Tensor | None = None  # codes that stay, since models were trained on them
        if config.start is not None:
            network.eval()
            with torch.no_grad():
                pictures = network(torch.cat([self._categories, self._numerals]))
            self._kept = pictures.features.float().mean(dim=(2, 3))

    def losses(self, chosen: NDArray[np.int64], stride: int) -> dict[str, Tensor]:
        """Named losses, weighted, of the views ``chosen``, with every ``stride``th pixel, and of some pictures."""
        examples, network = self._examples, self._network

        top, left = self._rng.integers(stride, size=2)  # of a larger cell any of the small ones may tell what it is

        def cells_of(image: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(image[chosen, top::stride, left::stride]).flatten(1, 2)

        category, color, material = (cells_of(a).long() for a in (examples.category, examples.color, examples.material))
        vote = cells_of(examples.vote).float()
        image, lab, measured, flipped = self._views(chosen, stride)
        width = examples.category.shape[2] // stride
        cells = torch.multinomial(self._draw[category], _CELLS // stride)
        where = torch.where(flipped[:, None], cells // width * width + (width - 1 - cells % width), cells)
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16(self._config.precision)):
            embedding = network.embed(image)
            picked = embedding.flatten(2).gather(2, where[:, None].expand(-1, embedding.shape[1], -1))
            seen = network.read(picked[..., None])
            features = seen.features.squeeze(3).transpose(1, 2)
            answers = [head(features).float() for head in (network.category, network.color, network.material)]
            lab_seen = network.lab(features).float()
        truth = category.gather(1, cells)
        truth = torch.where(truth == UNKNOWN, -100, truth - 1)
        voted = vote.gather(1, cells[..., None].expand(-1, -1, 3))
        voted = voted * torch.where(flipped, -1.0, 1.0)[:, None, None] ** torch.tensor([1.0, 0, 0])
        told = torch.isfinite(voted).all(dim=2) & measured[:, None]
        votes = seen.votes.squeeze(3).transpose(1, 2).float()
        losses = {
            "category": cross_entropy(answers[0].flatten(0, 1), truth.flatten()),
            "vote": 1.5 * smooth_l1_loss(votes[told], voted[told], beta=0.1),
            "lab": 0.3 * (lab_seen - lab.flatten(1, 2).gather(1, where[..., None].expand(-1, -1, 3))).abs().mean(),
        }
        for name, answer, labels in (("color", answers[1], color), ("material", answers[2], material)):
            picked_labels = labels.gather(1, cells)
            known = picked_labels != UNKNOWN
            losses[name] = 0.3 * cross_entropy(answer[known], picked_labels[known])
        marked = torch.randint(truth.numel(), (_MARKED,))
        return losses | self._codes(features.flatten(0, 1)[marked].float(), truth.flatten()[marked])

    def _views(self, chosen: NDArray[np.int64], stride: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input (N, C, h, w), Lab of the cells (N, h/2, w/2, 3), which have depth (N,), which are mirrored (N,).

        Mirroring is of the input and Lab alone.
        """
        examples, config = self._examples, self._config
        count = len(chosen)
        rgb = torch.from_numpy(examples.rgb[chosen]).permute(0, 3, 1, 2).float() / 255
        rgb = avg_pool2d(rgb, stride) if stride > 1 else rgb
        geometry = torch.from_numpy(examples.geometry[chosen, ::stride, ::stride]).permute(0, 3, 1, 2).float()
        measured, colored = torch.rand(count) >= config.no_geometry, torch.rand(count) >= config.no_color
        measured |= ~colored
        flipped = torch.rand(count) < 0.5
        geometry *= measured[:, None, None, None]
        small = avg_pool2d(rgb, 2).permute(0, 2, 3, 1).contiguous().numpy()
        lab = torch.from_numpy(np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2LAB) for image in small]))
        lab = (lab - torch.tensor([50.0, 0, 0])) / torch.tensor([25.0, 12.0, 12.0])
        rgb = self._jittered(rgb)
        rgb = torch.where(colored[:, None, None, None], rgb, 128 / 255)
        image = torch.cat([rgb * 2 - 1, geometry], dim=1)
        image = torch.where(flipped[:, None, None, None], image.flip(3), image)
        lab = torch.where(flipped[:, None, None, None], lab.flip(2), lab)
        return image.contiguous(memory_format=torch.channels_last), lab, measured, flipped

    def _jittered(self, rgb: Tensor) -> Tensor:
        """As another camera: exposure, white balance, contrast, saturation, blur, noise, all within everyday bounds."""
        count = len(rgb)

        def spread(low: float, high: float, channels: int = 1) -> Tensor:
            return torch.empty(count, channels, 1, 1).uniform_(low, high)

        rgb = rgb.clamp(min=1e-3) ** torch.exp(spread(-0.25, 0.25)) * torch.exp(
            spread(-0.2, 0.2) + spread(-0.06, 0.06, 3)
        )
        grey = rgb.mean(dim=1, keepdim=True)
        rgb = grey + (rgb - grey) * spread(0.75, 1.25)
        middle = rgb.mean(dim=(1, 2, 3), keepdim=True)
        rgb = middle + (rgb - middle) * spread(0.85, 1.15)
        some = torch.rand(count) < 0.25
        soft = avg_pool2d(rgb[some], 3, 1, 1, count_include_pad=False)
        rgb[some] = torch.lerp(rgb[some], soft, spread(0, 1)[some])
        h, w = rgb.shape[2:]
        top, left = (int(torch.randint(0, side, ())) for side in (h, w))
        return (rgb + self._noise[:, :, top : top + h, left : left + w] * spread(0, 0.03)).clamp(0, 1)

    def _codes(self, features: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Losses of pictures; ``features`` (M, C) of things with categories ``truth`` (M,) are marked by numerals."""
        network = self._network
        network.eval()  # pictures are not like rooms: they must not shift the statistics that normalise both
        names = torch.from_numpy(self._rng.integers(len(NAMES) - 1, size=_PICTURES))
        numbers = torch.from_numpy(self._rng.integers(NUMERALS, size=_PICTURES))
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16(self._config.precision)):
            seen: Seen = network(torch.cat([self._categories[names], self._numerals[numbers]]))
        pooled = seen.features.float().mean(dim=(2, 3))
        codes, numerals = pooled[:_PICTURES], pooled[_PICTURES:]
        owner = torch.arange(len(features)) % _PICTURES
        marked = features + numerals[owner]
        silent = network.category(numerals) - network.category.bias
        losses = {
            "code": 0.3 * cross_entropy(network.category(codes), names),
            "numeral": 0.2 * cross_entropy(network.numeral(numerals), numbers)
            + 0.3 * cross_entropy(network.numeral(marked), numbers[owner]),
            "marked": 0.1 * cross_entropy(network.category(marked), truth),
            "silent": 0.02 * (silent - silent.mean(dim=1, keepdim=True)).square().mean(),
        }
        if self._kept is not None:
            kept = torch.cat([self._kept[names], self._kept[len(NAMES) - 1 + numbers]])
            losses["kept"] = 0.5 * (pooled - kept).square().mean()
        return losses


def _pictures(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """(N, C, h, w) pictures as the network takes them when they are encoded by themselves."""
    h, w = working_size(PICTURE, PICTURE)
    rgb = np.stack([cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR) for picture in pictures])
    pixels = torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 127.5 - 1
    return torch.cat([pixels, torch.zeros(len(rgb), 4, h, w)], dim=1).contiguous(memory_format=torch.channels_last)


def _running_mean(mean: Tensor, value: Tensor, count: Tensor, keep: float) -> Tensor:
    """The mean with one value more; of the first few all count alike."""
    return torch.lerp(mean.float(), value.float(), max(1 - keep, 9 / (int(count) + 10)))


def _rate(step: int, steps: int, warmup: float) -> float:
    """Share of the highest rate: up in a line, down along a cosine."""
    up = max(1.0, warmup * steps)
    if step < up:
        return (step + 1) / up
    return 0.5 + 0.5 * math.cos(math.pi * (step - up) / max(1.0, steps - up))


def _start(config: VisionTraining) -> VisionNetwork:
    """The network before training."""
    if config.start is None:
        return VisionNetwork(VisionSettings(NAMES, COLORS, MATERIALS))
    checkpoint = Checkpoint(config.start)
    network = VisionNetwork(VisionSettings.from_config(checkpoint.config, checkpoint.name))
    network.load_state_dict(checkpoint.tensors(("",)))
    return network

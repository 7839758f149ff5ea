"""Samples to batches: a row for each scene, with all questions on it packed behind."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.transforms import yaw_matrix
from proxy3d_core.proxies.references import MARKERS, ReferenceCodes, References, marker
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, ProxySet
from proxy3d_core.vlm.inputs import SceneTokens, collate, names_of
from proxy3d_core.vlm.packing import pack
from proxy3d_core.vlm.prompt import PromptFormat
from proxy3d_training.data.dataset import Item
from proxy3d_training.data.drawn import DrawnScene
from proxy3d_training.data.prepared import PreparedScene
from proxy3d_training.data.schema import MARKER, Box, IdAnswer, Sample, Thing, id_text
from proxy3d_training.train.drills import Drilled, drills
from proxy3d_training.train.working import as_seen, workable, worked_out

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Variant:
    """What the model is shown of a prepared scene: the live map's proxies, or what an ablation puts in their place.

    Attributes:
        scene: ``proxies``; ``pixels`` = the features of all frames, 2 x 2 cells merged, frame by frame, without places
            in space, as a model on images reads them; ``none`` = nothing (the blind model).
        budget: cluster the stored patches anew into so many proxies; None = those of the live map.
        grouped: False = cluster them regardless of objects; a proxy then belongs to the object at its place.
        placed: False = the model is not told where proxies are.
        shuffled: in random order instead of Eq. 5.
        named: what the map takes an object for is told by its code (``ProxyVLMConfig.category_codes``).
    """

    scene: Literal["proxies", "pixels", "none"] = "proxies"
    budget: int | None = None
    grouped: bool = True
    placed: bool = True
    shuffled: bool = False
    named: bool = False


@dataclass(frozen=True)
class Collator:
    """For ``DataLoader(collate_fn=...)``: items to the arguments of ``ProxyVLM.forward``.

    Attributes:
        prompts: of the model.
        codes: of the encoder whose features the proxies have.
        placed: False = positions are left out (stage I).
        variant: what is shown of prepared scenes.
        augment: a seed: markers are dealt anew for every row, those of rooms in the same order, which is that of first
            sight, and scenes are turned about the vertical; both leave the right answers right. What comes out depends
            on the seed and the samples alone. None = as recorded.
        budgets: how many proxies a drawn scene has, at least and at most.
        evidence: answers begin with what they are worked out from (``working``); what cannot be worked out from what is
            seen is left out.
        drills: every row also asks four times of many objects at once what they are, which they are, where they are...:
            each is one more thing to look up, for a fraction of the tokens of a question.
    """

    prompts: PromptFormat
    codes: ReferenceCodes
    placed: bool = True
    variant: Variant = field(default_factory=Variant)
    augment: int | None = None
    budgets: tuple[int, int] = (150, 300)
    evidence: bool = False
    drills: bool = False

    def __call__(self, items: Sequence[Item]) -> dict[str, Any]:
        """One row for each thing that is seen, in the order in which it first comes up.

        Raises:
            BadInput: a sample shows a scene that did not come with it, or symbols without a place.
        """
        shown: dict[Any, list[Item]] = {}
        for item in items:
            shown.setdefault(_what_is_seen(item), []).append(item)
        scenes, questions = [], []
        for rows in shown.values():
            rng = self._random(rows)
            symbolic = rows[0].sample.view == "symbols"  # asked where they are, so they stay there
            deal = np.arange(MARKERS) if self.augment is None else _deal(_markers(rows[0]), rng)
            yaw = 0.0 if symbolic or self.augment is None else float(rng.uniform(0, 2 * np.pi))
            scene = turned(self._scene(rows[0], deal, rng), yaw)
            scenes.append(scene)
            asked = [dealt(sample, deal) for sample in self._asked(rows)]
            pairs = [self._pair(sample, yaw) for sample in asked]
            if self.drills:
                about = Drilled(scene, things_seen(rows, deal), _colors(rows[0].scene), symbolic, yaw)
                pairs += [
                    (self.prompts.question(asked), self.prompts.answer(said)) for asked, said in drills(about, rng)
                ]
            questions.append(sorted(pairs, key=lambda pair: sum(map(len, pair))))  # alike long together: fewer grids
        prefixes = [self.prompts.prefix(len(scene), scene.area) for scene in scenes]
        packed = pack(prefixes, questions, self.prompts.pad)
        return vars(packed) | (collate(scenes) if any(map(len, scenes)) else {})

    def _asked(self, rows: Sequence[Item]) -> list[Sample]:
        """Of samples on one scene those that can be worked out from it; one at least."""
        samples = [item.sample for item in rows]
        if not self.evidence:
            return samples
        scene = rows[0].scene
        if isinstance(scene, PreparedScene):
            samples = [s for s in (as_seen(s, scene.about.objects, scene.about.area) for s in samples) if s]
        return [sample for sample in samples if workable(sample)] or [rows[0].sample]

    def _random(self, rows: Sequence[Item]) -> np.random.Generator:
        """The same for the same samples, so that a run that was stopped goes on as it would have."""
        names = "\n".join(item.sample.id for item in rows)
        return np.random.default_rng((self.augment or 0, zlib.crc32(names.encode())))

    def _pair(self, sample: Sample, yaw: float) -> tuple[list[int], list[int]]:
        answer = worked_out(sample, yaw) if self.evidence else sample.answer.text
        return self.prompts.question(sample.prompt()), self.prompts.answer(answer)

    def _scene(self, item: Item, deal: Ints, rng: np.random.Generator) -> SceneTokens:
        if item.sample.view == "symbols":
            return symbols(dealt(item.sample, deal).objects, self.codes, self.placed)
        if item.scene is None:
            raise BadInput(f"sample {item.sample.id} asks of a scene; give SpaceSpan the prepared scenes")
        if isinstance(item.scene, DrawnScene):
            tokens = drawn_tokens(item.scene, self.codes, deal, int(rng.integers(*self.budgets, endpoint=True)), rng)
        else:
            tokens = scene_tokens(item.scene, self.codes, self.variant, deal, rng)
        return tokens if self.placed else replace(tokens, positions=None)


def _markers(item: Item) -> list[int]:
    """Those that are in the order of first sight: all of a room, none of symbols."""
    if item.sample.view == "symbols" or item.scene is None:
        return []
    if isinstance(item.scene, DrawnScene):
        return sorted(item.scene.marker_of_true.values())
    return sorted(o.marker for o in item.scene.about.objects if o.marker is not None)


def _deal(ordered: Sequence[int], rng: np.random.Generator) -> Ints:
    """(MARKERS,) which marker stands in place of each one: any, but ``ordered`` ones stay in their order."""
    deal = rng.permutation(MARKERS)
    deal[ordered] = np.sort(deal[ordered])
    return deal


def _colors(scene: PreparedScene | DrawnScene | None) -> dict[int, str]:
    """Of the objects of the map whose colour is known, by group; of drawn ones nobody sees it."""
    if not isinstance(scene, PreparedScene):
        return {}
    return {o.id: o.color for o in scene.about.objects if o.color}


def things_seen(rows: Sequence[Item], deal: Ints) -> dict[int, Thing]:
    """What some items see that has a marker, a name and a box, by its group there, with its new marker."""
    sample, scene = rows[0].sample, rows[0].scene
    if sample.view == "symbols":
        seen = {thing.id: thing for thing in sample.objects}
    elif isinstance(scene, DrawnScene):
        seen = {
            thing.id: Thing(id=thing.id, marker=index, label=thing.label, box=Box.of(thing.box.oriented()))
            for index, thing in enumerate(scene.things)
        }
    elif scene is not None:
        told = {thing.marker: thing.label for item in rows for thing in item.sample.objects if thing.label}
        seen = {
            o.id: Thing(id=o.id, marker=o.marker, label=told.get(o.marker, o.label), box=o.box)
            for o in scene.about.objects
            if o.marker in told or o.label != UNKNOWN_LABEL
        }
    else:
        seen = {}
    return {
        group: _remarked(thing, deal)
        for group, thing in seen.items()
        if thing.marker is not None and thing.label and thing.box is not None
    }


def dealt(sample: Sample, deal: Ints) -> Sample:
    """The sample with marker ``deal[m]`` in place of each marker m; ids in an answer are in ascending order."""

    def renamed(text: str) -> str:
        return re.sub(MARKER, lambda m: marker(int(deal[int(m[1])])), text)

    answer = renamed(sample.answer.text)
    if isinstance(sample.answer, IdAnswer):
        answer = id_text([int(m[1]) for m in MARKER.finditer(answer)], answer)
    changes = {
        "question": renamed(sample.question),
        "options": tuple(map(renamed, sample.options)),
        "answer": sample.answer.model_copy(update={"text": answer}),
        "objects": tuple(_remarked(thing, deal) for thing in sample.objects),
    }
    return sample.model_copy(update=changes)


def _remarked(thing: Thing, deal: Ints) -> Thing:
    return thing if thing.marker is None else thing.model_copy(update={"marker": int(deal[thing.marker])})


def turned(tokens: SceneTokens, yaw: float) -> SceneTokens:
    """The scene turned about the vertical by ``yaw`` radians."""
    if tokens.positions is None:
        return tokens
    return replace(tokens, positions=(tokens.positions @ yaw_matrix(yaw).T).astype(np.float32))


def drawn_tokens(
    scene: DrawnScene, codes: ReferenceCodes, deal: Ints, budget: int, rng: np.random.Generator
) -> SceneTokens:
    """A room by its truth: proxies on its true boxes, which are nothing but the codes of marker and category."""
    proxies = scene.draw(budget, codes.identifiers([0]).shape[1], rng)
    references = References({int(deal[m]): thing for thing, m in scene.marker_of_true.items()})
    return SceneTokens.of(proxies, references, codes, scene.labels, 0.0, sum(room.area for room in scene.rooms))


def scene_tokens(
    scene: PreparedScene,
    codes: ReferenceCodes,
    variant: Variant | None = None,
    deal: Ints | None = None,
    rng: np.random.Generator | None = None,
) -> SceneTokens:
    """A prepared scene as the model reads it: of the two codes real scenes keep the identifier (stage IV), or both.

    Args:
        scene: lies on its floor.
        codes: of the encoder of its features.
        variant: what is shown of it.
        deal: (MARKERS,) which marker stands in place of each one of the map; None = the map's own.
        rng: for a shuffled order.
    """
    variant = variant or Variant()
    deal = np.arange(MARKERS) if deal is None else deal
    references = References({int(deal[o.marker]): o.id for o in scene.about.objects if o.marker is not None})
    labels = names_of(scene.about.objects) if variant.named else None
    proxies = _shown(scene, variant)
    if variant.scene != "proxies":  # in the order of the frames, without places
        return SceneTokens(codes.add(proxies, references, labels), None, proxies.groups)
    tokens = SceneTokens.of(proxies, references, codes, labels, scene.about.floor, scene.about.area)
    if variant.shuffled:
        order = (rng or np.random.default_rng(0)).permutation(len(tokens))
        places = None if tokens.positions is None else tokens.positions[order]
        tokens = replace(tokens, features=tokens.features[order], positions=places, groups=tokens.groups[order])
    return tokens if variant.placed else replace(tokens, positions=None)


def _shown(scene: PreparedScene, variant: Variant) -> ProxySet:
    if variant.scene == "none":
        return ProxySet.empty()
    if variant.scene == "pixels":
        return _merged_cells(scene)
    if variant.budget is None and variant.grouped:
        return scene.proxies()
    budget = len(scene.proxies()) if variant.budget is None else variant.budget
    proxies = scene.clustered(budget, grouped=variant.grouped)
    if variant.grouped:
        return proxies
    patches = scene.triplets()
    nearest = cKDTree(patches.points).query(proxies.positions)[1]
    return replace(proxies, groups=patches.groups[nearest])


def _merged_cells(scene: PreparedScene) -> ProxySet:
    """All cells of all frames, 2 x 2 to one as in Qwen2.5-VL's merger, of the object that most of the four show."""
    features, groups = scene.array("features"), scene.array("groups")
    frames, height, width, channels = features.shape
    h, w = height // 2, width // 2
    blocks = features[:, : 2 * h, : 2 * w].reshape(frames, h, 2, w, 2, channels)
    merged = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(-1, channels)
    four = groups[:, : 2 * h, : 2 * w].reshape(frames, h, 2, w, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 4)
    votes = (four[:, :, None] == four[:, None, :]).sum(axis=2)
    group = four[np.arange(len(four)), votes.argmax(axis=1)].astype(np.int64)
    ones = np.ones(len(merged), np.float32)
    return ProxySet(np.zeros((len(merged), 3), np.float32), merged, ones, ones, group)


def symbols(things: Sequence[Thing], codes: ReferenceCodes, placed: bool = True) -> SceneTokens:
    """One proxy for each thing that is nothing but its codes, at the centre of its box (stages I and II).

    Positions count from the floor (z = 0) under the mean of the centres, as stage II's questions do.

    Args:
        things: with different ids.
        codes: of markers and categories.
        placed: False = without positions; things need no boxes then.

    Raises:
        BadInput: nothing is shown, or a thing has no box though places are told.
    """
    if not things or (placed and any(thing.box is None for thing in things)):
        raise BadInput("symbols need things, and boxes to be told where they are")
    centers = np.array([(0, 0, 0) if thing.box is None else thing.box.center for thing in things], np.float32)
    channels = codes.identifiers([0]).shape[1]
    ones = np.ones(len(things), np.float32)
    proxies = ProxySet(
        centers, np.zeros((len(things), channels), np.float32), ones, ones, np.array([thing.id for thing in things])
    )
    references = References({thing.marker: thing.id for thing in things if thing.marker is not None})
    labels = {thing.id: thing.label for thing in things if thing.label is not None}
    tokens = SceneTokens.of(proxies, references, codes, labels, floor=0.0)
    return tokens if placed else replace(tokens, positions=None)


def _what_is_seen(item: Item) -> Any:
    """Equal for items that can share a prefix."""
    if item.sample.view == "symbols":
        return tuple((thing.id, thing.marker, thing.label, thing.box) for thing in item.sample.objects)
    return item.sample.scene.name if item.sample.scene else None

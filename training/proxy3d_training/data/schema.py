"""The SpaceSpan format: one JSON object a line, the same for all sources (``training/docs/spacespan.md``).

Lengths are metres, angles radians, the frame is the scene's own with z up. After Proxy3D (arXiv 2605.08064,
supplement, Table 2): a sample is a question about a scene whose answer is a text, object ids, a number or an option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from proxy3d_core.geometry import OrientedBox

VERSION: Final = 1
"""Version of the format. A reader refuses others."""

MARKERS = 100
"""Objects of a scene that a text can name: ``<OBJ000>`` ... ``<OBJ099>`` (Proxy3D, section 3)."""

MARKER = re.compile(r"<OBJ(\d{3})>")
REGION = re.compile(r"Region \[(\d+)\]")
LETTERS = "ABCDEFGHIJ"

Split = Literal["train", "val", "test"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Point = tuple[Number, Number, Number]


def marker(number: int) -> str:
    """How a text names the object with this marker."""
    return f"<OBJ{number:03d}>"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Box(_Record):
    """A box in the scene: ``size`` along its own axes, turned by ``yaw`` about z, or by ``axes`` where it is tilted.

    Attributes:
        axes: rows are the directions of the three edges.
    """

    center: Point
    size: Point
    yaw: Number = 0.0
    axes: tuple[Point, Point, Point] | None = None

    @model_validator(mode="after")
    def _check(self) -> Box:
        if min(self.size) < 0:
            raise ValueError("size has a negative edge")
        if self.axes is not None:
            rows = np.array(self.axes)
            if not np.allclose(rows @ rows.T, np.eye(3), atol=1e-3):
                raise ValueError("axes are not perpendicular directions of length 1")
        return self

    def oriented(self) -> OrientedBox:
        """The same as an ``OrientedBox``."""
        if self.axes is None:
            return OrientedBox.from_yaw(self.center, self.size, self.yaw)
        return OrientedBox(np.array(self.center), np.array(self.size), np.array(self.axes).T)

    @classmethod
    def of(cls, box: OrientedBox, digits: int = 4) -> Box:
        """From an ``OrientedBox``, rounded."""
        numbers = {name: tuple(round(float(v), digits) for v in getattr(box, name)) for name in ("center", "size")}
        if abs(box.rotation[2, 2]) > 1 - 1e-6:
            return cls(**numbers, yaw=round(box.yaw, digits))
        return cls(**numbers, axes=tuple(tuple(float(v) for v in row) for row in box.rotation.T))


class Scene(_Record):
    """Where the question is asked.

    Attributes:
        dataset: whose scene it is: ``simulated``, ``scannet``, ``arkitscenes``...
        name: of the scan.
        space: the physical room; all scans of one space belong to the same split.
        folder: its recording (any sequence that the readers open), absolute or relative to the file of samples.
        frames: names of the frames to use; None = the loader chooses.
    """

    dataset: str = Field(min_length=1)
    name: str = Field(min_length=1)
    space: str = Field(min_length=1)
    folder: str | None = None
    frames: tuple[str, ...] | None = None


class Thing(_Record):
    """An object that the sample names or rests on.

    Attributes:
        id: in its scene.
        marker: 0..99, if texts may name it as ``<OBJ...>``.
        label: its class, lower case.
        box: where it is.
    """

    id: int
    marker: int | None = Field(default=None, ge=0, lt=MARKERS)
    label: str | None = None
    box: Box | None = None


class Situation(_Record):
    """Where the asker stands and looks (SQA3D).

    Attributes:
        text: in words.
        position: metres.
        facing: unit direction.
    """

    text: str = ""
    position: Point | None = None
    facing: Point | None = None

    @field_validator("facing")
    @classmethod
    def _unit(cls, value: Point | None) -> Point | None:
        if value is not None and abs(float(np.linalg.norm(value)) - 1) > 1e-2:
            raise ValueError("facing is not a direction of length 1")
        return value


class Mask(_Record):
    """A binary image, run-length coded as COCO does it uncompressed: columns first, lengths of 0s and 1s in turn.

    Attributes:
        size: height, width in pixels.
        counts: lengths; the first run is of zeros.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _check(self) -> Mask:
        if min((*self.size, *self.counts), default=-1) < 0 or sum(self.counts) != self.size[0] * self.size[1]:
            raise ValueError(f"counts do not add up to {self.size[0]} x {self.size[1]} pixels")
        return self

    @classmethod
    def encode(cls, mask: np.ndarray) -> Mask:
        """From a boolean (H, W) image."""
        flat = np.concatenate([[False], np.asarray(mask, bool).ravel(order="F"), [False]])
        turns = np.flatnonzero(flat[1:] != flat[:-1])
        ends = turns if len(turns) and turns[-1] == mask.size else np.append(turns, mask.size)
        counts = np.diff(np.concatenate([[0], ends]))
        return cls(size=(mask.shape[0], mask.shape[1]), counts=tuple(int(c) for c in counts))

    def decode(self) -> np.ndarray:
        """The boolean (H, W) image."""
        values = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(values, self.counts).reshape(self.size, order="F")


class Region(_Record):
    """What ``Region [id]`` in the question points at (SR-3D): a 3D box, or a box or mask on one frame.

    Attributes:
        id: number in the text.
        object: the object it shows, if that is known.
        box3d: box in the scene.
        frame: name of the frame that ``box2d`` or ``mask`` is drawn on.
        box2d: left, top, right, bottom in pixels.
        mask: pixels.
    """

    id: int = Field(ge=0)
    object: int | None = None
    box3d: Box | None = None
    frame: str | None = None
    box2d: tuple[Number, Number, Number, Number] | None = None
    mask: Mask | None = None

    @model_validator(mode="after")
    def _check(self) -> Region:
        if sum(form is not None for form in (self.box3d, self.box2d, self.mask)) != 1:
            raise ValueError("a region is exactly one of box3d, box2d, mask")
        if self.box3d is None and self.frame is None:
            raise ValueError("box2d and mask need the frame they are drawn on")
        if self.box2d is not None and not (self.box2d[0] < self.box2d[2] and self.box2d[1] < self.box2d[3]):
            raise ValueError("box2d is empty; it is left, top, right, bottom")
        return self


class TextAnswer(_Record):
    """Words; ``text`` is the training target, ``references`` are all that count as right."""

    type: Literal["text"] = "text"
    text: str = Field(min_length=1)
    references: tuple[str, ...] = Field(min_length=1)


class IdAnswer(_Record):
    """Objects by id, none to many; ``text`` names them by their markers."""

    type: Literal["id"] = "id"
    text: str = Field(min_length=1)
    objects: tuple[int, ...]


class NumberAnswer(_Record):
    """A number with its unit (``m``, ``cm``, ``m^2``, ``count`` or nothing)."""

    type: Literal["number"] = "number"
    text: str = Field(min_length=1)
    value: Number
    unit: str = ""


class ChoiceAnswer(_Record):
    """One of the sample's options, by its letter."""

    type: Literal["choice"] = "choice"
    text: str = Field(min_length=1)
    letter: str = Field(pattern="^[A-J]$")


Answer = Annotated[TextAnswer | IdAnswer | NumberAnswer | ChoiceAnswer, Field(discriminator="type")]


class Provenance(_Record):
    """Where the sample comes from.

    Attributes:
        file: the dataset's file, without its folder.
        key: the sample's own id there.
        licence: of the dataset.
        generator: program and version that made it.
        seed: of the generator.
        template: which wording was used.
    """

    file: str | None = None
    key: str | None = None
    licence: str | None = None
    generator: str | None = None
    seed: int | None = None
    template: str | None = None


class Sample(_Record):
    """One question with its answer.

    Attributes:
        version: of the format.
        id: unique in all files that are used together.
        source: ``ScanQA``, ``SQA3D``, ... or ``Simulated``.
        family: the dataset whose form it has; the same as ``source`` for the public ones.
        kind: what is asked, such as ``object_counting``.
        split: train, val or test.
        stages: stages of the curriculum that it belongs to (Proxy3D: 1 identifiers and semantics, 2 coordinates,
            3 attributes and relations, 4 real scenes).
        view: ``proxies``: the scene as seen; ``symbols``: one symbol for each of ``objects`` instead of the scene.
        scene: None for symbols that belong to no scene.
        situation: where the asker is; None = not said.
        question: without situation, options and instruction.
        description: the referring expression that the question quotes.
        options: of a choice, such as ``A. left``.
        instruction: how to answer.
        regions: region prompts.
        answer: what is right.
        objects: those that the texts name or the answer rests on.
    """

    version: Literal[1] = VERSION
    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    family: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    split: Split
    stages: tuple[Literal[1, 2, 3, 4], ...] = (4,)
    view: Literal["proxies", "symbols"] = "proxies"
    scene: Scene | None = None
    situation: Situation | None = None
    question: str = Field(min_length=1)
    description: str | None = None
    options: tuple[str, ...] = ()
    instruction: str = ""
    regions: tuple[Region, ...] = ()
    answer: Answer
    objects: tuple[Thing, ...] = ()
    provenance: Provenance = Provenance()

    @model_validator(mode="after")
    def _check(self) -> Sample:
        _check_scene(self)
        _check_choice(self)
        _check_references(self)
        return self

    def prompt(self) -> str:
        """All that the model reads besides the scene: situation, question, options, instruction."""
        situation = self.situation.text if self.situation else ""
        text = " ".join(part for part in (situation, self.question) if part)
        if self.options:
            text = "\n".join([text, "Options:", *self.options])
            return f"{text}\n{self.instruction}" if self.instruction else text
        return f"{text} {self.instruction}" if self.instruction else text

    def marked(self, markers: Mapping[int, int]) -> Sample | None:
        """The same with other markers, such as those that a live map gave its objects.

        Args:
            markers: object id -> marker.

        Returns:
            None if a named object has no marker there: the sample cannot be asked of that map.
        """
        old = {t.marker: t.id for t in self.objects if t.marker is not None}
        named = {int(m) for text in self._texts() for m in MARKER.findall(text)}
        if any(old.get(m) not in markers for m in named):
            return None

        def renamed(text: str) -> str:
            return MARKER.sub(lambda m: marker(markers[old[int(m[1])]]), text)

        data = self.model_dump()
        data["question"] = renamed(self.question)
        data["answer"]["text"] = (
            id_text([markers[i] for i in self.answer.objects], self.answer.text)
            if isinstance(self.answer, IdAnswer)
            else renamed(self.answer.text)
        )
        if "references" in data["answer"]:
            data["answer"]["references"] = [renamed(t) for t in data["answer"]["references"]]
        for thing in data["objects"]:
            thing["marker"] = markers.get(thing["id"])
        return Sample.model_validate(data)

    def _texts(self) -> list[str]:
        more = self.answer.references if isinstance(self.answer, TextAnswer) else ()
        return [self.question, self.answer.text, *more]


def id_text(markers: list[int], form: str = "") -> str:
    """An answer that names objects, in ascending order, in the form of ``form``: "Yes. A, B, and C." or plain "A."."""
    names = [marker(m) for m in sorted(markers)]
    if not names:
        return "No."
    listed = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else ""
    listed = listed or f"{', '.join(names[:-1])}, and {names[-1]}"
    return f"Yes. {listed}." if form.startswith("Yes.") else f"{listed}."


def _check_scene(sample: Sample) -> None:
    if sample.view == "proxies" and sample.scene is None:
        raise _field("scene", "is missing; only view 'symbols' does without")
    if sample.view == "symbols" and not sample.objects:
        raise _field("objects", "are missing: with view 'symbols' they are what is seen")


def _check_choice(sample: Sample) -> None:
    answer = sample.answer
    if not isinstance(answer, ChoiceAnswer):
        if sample.options:
            raise _field("options", f"are given, but the answer's type is {answer.type}")
        return
    letters = [option[:1] for option in sample.options]
    if len(letters) < 2 or letters != list(LETTERS[: len(letters)]) or any(o[1:3] != ". " for o in sample.options):
        raise _field("options", "must be at least two, written 'A. ...', 'B. ...' in order")
    if answer.letter not in letters:
        raise _field("answer.letter", f"{answer.letter} is none of the {len(letters)} options")


def _check_references(sample: Sample) -> None:
    ids = [t.id for t in sample.objects]
    if len(set(ids)) != len(ids):
        raise _field("objects", "two have the same id")
    markers = [t.marker for t in sample.objects if t.marker is not None]
    if len(set(markers)) != len(markers):
        raise _field("objects", "two have the same marker")
    for name, text in (("question", sample.question), ("answer.text", sample.answer.text)):
        for found in MARKER.findall(text):
            if int(found) not in markers:
                raise _field(name, f"names <OBJ{found}>, which none of the objects has as its marker")
    if isinstance(sample.answer, IdAnswer):
        missing = [i for i in sample.answer.objects if i not in ids]
        if missing:
            raise _field("answer.objects", f"{missing[0]} is none of the objects")
        by_id = {t.id: t.marker for t in sample.objects}
        said = {int(m) for m in MARKER.findall(sample.answer.text)}
        if said != {by_id[i] for i in sample.answer.objects}:
            raise _field("answer.text", "does not name the objects of answer.objects by their markers")
    regions = [region.id for region in sample.regions]
    if len(set(regions)) != len(regions):
        raise _field("regions", "two have the same id")
    for found in REGION.findall(sample.question):
        if int(found) not in regions:
            raise _field("question", f"names Region [{found}], which is not among the regions")


def _field(name: str, message: str) -> ValueError:
    # The validator prints "field: message"; checks across fields name theirs here.
    return ValueError(f"{name}: {message}")


def json_schema() -> dict[str, Any]:
    """JSON Schema of a line."""
    return Sample.model_json_schema()

"""All settings, once: names, defaults, units, ranges.

ROS parameters, YAML presets and the command line mirror this tree. A parameter's ROS name is its path with dots, for
example ``map.voxel_size``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proxy3d_core.errors import BadInput


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class FramesConfig(_Section):
    """Coordinate frames (REP-105)."""

    fixed: str = Field("map", description="Fixed frame of the map, z up.")
    fallback: str = Field(
        "odom", description="Used, with a warning, while the fixed frame is not in TF; empty = never."
    )
    robot: str = Field("base_link", description="Robot frame (x forward): the viewpoint of questions without one.")


class InputConfig(_Section):
    """How camera topics become frames."""

    sync_slop: float = Field(0.02, ge=0, le=1, description="Largest stamp difference of images of one frame [s].")
    sync_timeout: float = Field(
        1.0, gt=0, le=60, description="A frame that is still incomplete after this time is dropped [s]."
    )
    tf_timeout: float = Field(
        1.0, gt=0, le=60, description="A frame whose pose is still unknown after this time is dropped [s]."
    )
    semantics: Literal["auto", "labels", "detections", "model", "none"] = Field(
        "auto",
        description="Which semantics belong to a frame: auto = whatever is published, else the vision model's.",
    )
    semantics_wait: float = Field(0.25, ge=0, le=10, description="How long a frame waits for its semantics [s].")
    label_names: str = Field(
        "", description='JSON file or JSON text with the names of label ids, such as {"9": "chair"}.'
    )
    ignore_labels: tuple[str, ...] = Field(
        ("background", "unlabeled", "unlabelled", "void", "unknown"), description="Label names that mean: no class."
    )
    compressed: bool = Field(
        False, description="Subscribe to the compressed topics (<topic>/compressed, <topic>/compressedDepth)."
    )
    silent_after: float = Field(
        5.0, gt=0, le=600, description="A topic without messages for this time is reported [s]."
    )
    clock_jump: float = Field(
        1.0, gt=0, le=3600, description="A stamp further back than this resets the input buffers [s]."
    )


class PerceptionConfig(_Section):
    """What is taken from one frame."""

    width: int = Field(160, ge=40, le=1920, description="Depth is worked on at about this width [px].")
    min_depth: float = Field(0.25, ge=0, le=5, description="Nearer measurements are ignored [m].")
    max_depth: float = Field(5.0, gt=0.5, le=50, description="Farther measurements are ignored [m].")
    min_score: float = Field(0.3, ge=0, le=1, description="2D detections with a lower score are ignored.")
    depth_model: str = Field(
        "",
        description="Metric depth model (folder or hub id) that gives the depth; empty = depth images do.",
    )
    point_maps: str = Field(
        "", description="Multi-view predictor module:function that gives a replay its depth and poses; empty = none."
    )
    depth_device: str = Field("auto", description="Where the depth model runs: auto, cpu, cuda, cuda:1 ...")
    depth_scale: float = Field(
        1.0, ge=0, le=100, description="The model's depth is multiplied by this; 0 = by what a depth sensor says."
    )
    segmenter: str = Field(
        "",
        description="SAM 2 (folder or hub id), which tells single things apart; empty = labels, boxes and geometry do.",
    )
    segmenter_device: str = Field("auto", description="Where the segmenter runs: auto, cpu, cuda, cuda:1 ...")


class EncoderConfig(_Section):
    """Features of the images; the fields are the arguments of ``proxy3d_core.encoders.load_encoder``."""

    source: str = Field(
        "nano",
        description="Gives the features of the proxies: nano = the package's vision model, which also names things; "
        "appearance = colour and texture; else a model (folder or hub id).",
    )
    stage: Literal["auto", "patches", "merged"] = Field(
        "auto", description="Before or after the model's merger; auto = after it, where there is one."
    )
    device: str = Field("auto", description="Where the model runs: auto, cpu, cuda, cuda:1 ...")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number type of the model; auto = half precision on CUDA, float32 on the CPU."
    )
    cells: int = Field(
        336,
        ge=4,
        le=16384,
        description="Most feature cells per image (the paper: 336 or 1344, 16x21 or 32x42 for 4:3).",
    )


class MapConfig(_Section):
    """The scene state."""

    voxel_size: float = Field(0.025, ge=0.005, le=0.2, description="Edge of a map voxel [m].")
    max_voxels: int = Field(
        600_000, ge=1000, le=20_000_000, description="Memory bound: the oldest unseen voxels go first."
    )
    max_objects: int = Field(500, ge=1, le=100_000, description="Memory bound: known objects, gone ones included.")
    min_size: float = Field(0.05, ge=0.01, le=2, description="Smaller things are not objects: longest edge [m].")
    min_seen: float = Field(
        0.3, ge=0, le=60, description="An object must have been seen for this long, half of it with a sure name [s]."
    )
    gone_after: float = Field(
        0.5, ge=0.05, le=600, description="A place must be seen empty for this long before its object is gone [s]."
    )
    update_period: float = Field(
        0.5, ge=0.02, le=60, description="Objects are extracted anew this often [s of input time]."
    )
    complete: bool = Field(
        True, description="Boxes reach as far as things of their kind do; false = as far as they were seen."
    )
    robot_height: float = Field(1.0, ge=0.1, le=3, description="Free floor needs this much room above it [m].")


class ProxyConfig(_Section):
    """The 3D proxies."""

    budget: int = Field(450, ge=1, le=100_000, description="Number of proxies (the paper: 450, 700 or 1000).")
    per_object: int = Field(
        5, ge=1, le=100, description="Start count per object, before the rest is shared out by size."
    )


class AnswerConfig(_Section):
    """Questions."""

    answerer: Literal["auto", "geometric", "vlm"] = Field("auto", description="Who answers when a request says auto.")
    vlm: str = Field(
        "nano", description="Vision-language model that answers (folder or hub id); nano = ours; empty = none."
    )
    vlm_device: str = Field("auto", description="Where the vision-language model runs: auto, cpu, cuda, cuda:1 ...")
    timeout: float = Field(5.0, gt=0, le=600, description="Default time for an answer [s].")
    max_length: int = Field(2000, ge=10, le=100_000, description="Longer questions are refused [characters].")


class OutputConfig(_Section):
    """What is published."""

    rate: float = Field(15.0, gt=0, le=60, description="Most updates of objects and markers a second [Hz].")
    proxies_rate: float = Field(2.0, gt=0, le=60, description="Most updates of the proxy cloud a second [Hz].")
    map_folder: str = Field("~/.ros/proxy3d_maps", description="save_map and load_map stay inside this folder.")


class Config(_Section):
    """All settings of the node."""

    frames: FramesConfig = FramesConfig()
    input: InputConfig = InputConfig()
    perception: PerceptionConfig = PerceptionConfig()
    encoder: EncoderConfig = EncoderConfig()
    map: MapConfig = MapConfig()
    proxies: ProxyConfig = ProxyConfig()
    answer: AnswerConfig = AnswerConfig()
    output: OutputConfig = OutputConfig()

    def flat(self) -> dict[str, Any]:
        """Settings by dotted name."""
        return {f"{s}.{k}": v for s, section in self.model_dump().items() for k, v in section.items()}

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Config:
        """From dotted names; what is not named keeps its default.

        Raises:
            BadInput: an unknown name or a value out of range; the message names both.
        """
        tree: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            section, dot, key = name.partition(".")
            if not dot:
                raise BadInput(f"unknown parameter {name!r}; names look like map.voxel_size")
            tree.setdefault(section, {})[key] = value
        return cls.from_tree(tree)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Config:
        """From nested mappings. Raises BadInput as ``from_flat`` does."""
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(x) for x in first["loc"])
            raise BadInput(f"parameter {where}: {first['msg']} (given: {first.get('input')!r})") from None

    @classmethod
    def load(cls, path: str | Path) -> Config:
        """From a YAML file: either this tree, or a ROS 2 parameter file (``/**: ros__parameters:``).

        Raises:
            BadInput: not readable, not YAML, or a setting is unknown or out of range.
        """
        try:
            tree = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise BadInput(f"cannot read the parameter file {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadInput(f"{path} is not text; a parameter file is YAML in UTF-8") from None
        except yaml.YAMLError as error:
            raise BadInput(f"{path} is not valid YAML: {error}") from None
        ignored: str | None = None
        if isinstance(tree, dict):
            for name in ("/**", "proxy3d", "/proxy3d"):
                if isinstance(tree.get(name), dict) and "ros__parameters" in tree[name]:
                    tree, ignored = tree[name]["ros__parameters"] or {}, "use_sim_time"
                    break
        if not isinstance(tree, dict):
            raise BadInput(f"{path} holds no mapping of settings")
        flat: dict[str, Any] = {}
        for name, value in tree.items():
            if isinstance(value, dict):
                flat.update({f"{name}.{key}": inner for key, inner in value.items()})
            elif name != ignored:
                flat[str(name)] = value
        return cls.from_flat(flat)

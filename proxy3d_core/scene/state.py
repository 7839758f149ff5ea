"""The live scene: frames in, immutable snapshots out."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import Config, EncoderConfig
from proxy3d_core.encoders import AppearanceEncoder, SemanticEncoder, load_encoder, to_numpy
from proxy3d_core.errors import BadInput, MapError, MissingExtra
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.boxes import motion_between
from proxy3d_core.perception.masks import load_mask_model
from proxy3d_core.perception.observation import NO_CLASS, NO_VOTE, Named, Observer
from proxy3d_core.perception.patch_points import patch_points
from proxy3d_core.perception.vision import Sight, VisionModel, load_vision
from proxy3d_core.proxies.streaming import Atoms, Occupied, ProxyMap
from proxy3d_core.proxies.triplets import Triplets
from proxy3d_core.scene.completion import Completion, as_seen, shipped
from proxy3d_core.scene.floorplan import floor_plan
from proxy3d_core.scene.instances import InstanceMap
from proxy3d_core.scene.labels import GROUND_COVERS, STRUCTURE, least_surface, normalise
from proxy3d_core.scene.regions import RecentViews, View
from proxy3d_core.scene.segmentation import segment
from proxy3d_core.scene.serialise import track_from_json, track_to_json
from proxy3d_core.scene.sighting import describe
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, FloorPlan, ObjectState, ProxySet, SceneObject, Snapshot
from proxy3d_core.scene.surface import Surface
from proxy3d_core.scene.tracking import Tracker
from proxy3d_core.scene.voxels import VoxelMap, unpack
from proxy3d_core.timing import StageTimes

_EVIDENCE_LIMIT = 0.25  # s; a long pause between two frames is not a long look
# Sparse keyframes are worth more than their spacing in time: this much motion counts as this much looking.
_STEP = 0.1  # m
_TURN = 0.1  # rad
_STEP_EVIDENCE = 0.1  # s
_LOOKS = 2000  # frames whose worth is remembered: longer ago than any object waits to be admitted
_GOING = 0.1  # share of an object's voxels seen empty: its proxies wait for whether it is gone
_VIEW = 0.2  # s of looking; frames that follow each other sooner show the same instances once more
_LEAST_SEEN = 0.25  # s; voxels seen for less are noise
_AGREED = 0.5  # of an object's proxies look like one class: without a sure pixel it has its name
_GUESS = 0.5  # and that is sure by half at most
_MOST_LABELS = 10_000  # an open-vocabulary detector must not fill the memory with names; later ones are ignored


class SceneState:
    """Keeps the map of what was seen, and the objects in it.

    A frame changes the voxels at once. Objects, proxies and floor are extracted from them every ``map.update_period``
    seconds of input: within ``update``, so that the same frames give the same scene, or, with ``background``, beside it
    in a thread of their own, so that no frame waits for them. Likewise a large model (``encoder.source``): it
    sees a frame whenever it is free, and the frames in between give geometry only. The small vision model sees every
    frame; its labels count where ``input.semantics`` lets them: what the robot says of its frames goes first.

    With ``read_only`` it takes no frames, only saved maps, and needs no encoder for them. With ``map.complete`` the
    network of the package completes boxes, unless another ``completion`` is given.

    Changes take a lock; ``snapshot`` may be called from any thread at any time and costs nothing.

    Attributes:
        times: of the stages.
        warning: what the installation lacks, empty = nothing.
        last_features: (rows, columns, C) of the last frame that was encoded.
    """

    def __init__(
        self,
        config: Config | None = None,
        frame_id: str = "map",
        background: bool = False,
        read_only: bool = False,
        completion: Completion | None = None,
    ) -> None:
        self._config = config or Config()
        self._frame_id = frame_id
        self._completion = completion or (shipped() if self._config.map.complete else as_seen)
        self._lock = threading.RLock()  # voxels and tracks
        self._extracting = threading.Lock()  # one extraction at a time; taken before _lock
        self._background = ThreadPoolExecutor(1, thread_name_prefix="extract") if background else None
        self._pending: Future[None] | None = None
        self._encoded: Future[None] | None = None
        self._observer = Observer(self._config.perception)
        self._encoder: SemanticEncoder | None = None
        self.warning = ""
        if not read_only:
            self._encoder, self.warning = _load_encoder(self._config.encoder)
        self._vision = self._encoder if isinstance(self._encoder, VisionModel) else None
        if self._config.input.semantics == "model" and self._vision is None and not read_only:
            self._vision = load_vision(device=self._config.encoder.device)
        self.last_features: NDArray[np.float32] = np.zeros((0, 0, 0), np.float32)
        beside = background and not (self._vision is self._encoder or isinstance(self._encoder, AppearanceEncoder))
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="encode") if beside else None
        seen = self._config.perception
        masked = bool(seen.segmenter) and not read_only
        self._mask_model = load_mask_model(seen.segmenter, seen.segmenter_device) if masked else None
        self.times = StageTimes()
        self._epoch = 0
        self._next_id = 1
        self._clear()
        self._snapshot = Snapshot(frame_id=frame_id)

    def _clear(self) -> None:
        self._voxels = VoxelMap(self._config.map.voxel_size, self._config.map.max_voxels)
        self._tracker = Tracker(self._config.map.max_objects, self._next_id)
        self._features = self._encoder.name if self._encoder is not None else ""
        channels = self._encoder.channels if self._encoder is not None else 0
        self._atoms = self._no_atoms(channels, self._config.map.voxel_size)
        self._instances = self._no_instances(self._config.map.voxel_size)
        self._since_view = _VIEW
        self._told = False  # the robot says what things are
        self._vocabulary: list[str] = []
        self._label_index: dict[str, int] = {}
        self._frames = 0
        self._scale_uncertainty = 0.0
        self._objects: tuple[SceneObject, ...] = ()
        self._proxies = ProxySet.empty()
        self._floor = FloorPlan()
        self._robot_pose: NDArray[np.float64] | None = None
        self.clear_buffers()

    def _no_atoms(self, channels: int, voxel_size: float) -> ProxyMap:
        return ProxyMap(channels, self._config.proxies.budget, self._config.proxies.per_object, voxel_size)

    def _no_instances(self, voxel_size: float) -> InstanceMap:
        return InstanceMap(voxel_size, max_voxels=self._config.map.max_voxels)

    def clear_buffers(self) -> None:
        """Forget what is timed (the clock jumped back); the map stays."""
        with self._lock:
            self._views = RecentViews()
            self._last: tuple[int, NDArray[np.float64]] | None = None
            self._looks: deque[tuple[int, float]] = deque(maxlen=_LOOKS)  # stamp, evidence
            self._extracted_ns: int | None = None

    def close(self) -> None:
        """End the background threads, if there are any."""
        for threads in (self._background, self._encoding):
            if threads is not None:
                threads.shutdown(wait=True, cancel_futures=True)

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        return self._snapshot

    def view(self, stamp_ns: int = 0) -> View:
        """The kept view at a stamp (0 = the newest), to lift a region with. Raises BadInput if there is none."""
        with self._lock:
            return self._views.find(stamp_ns)

    @property
    def frame_id(self) -> str:
        """The fixed frame of the map (z up)."""
        return self._frame_id

    @property
    def encoder(self) -> SemanticEncoder | None:
        """What features come from; None for a read-only scene."""
        return self._encoder

    @property
    def encoder_name(self) -> str:
        """The encoder whose features the proxies hold; empty while a read-only scene has no map."""
        return self._features

    @property
    def voxel_count(self) -> int:
        """Voxels in the map."""
        return len(self._voxels)

    def update(self, frame: Frame, robot_pose: NDArray[np.float64] | None = None) -> None:
        """Add a frame.

        Args:
            frame: in the fixed frame of this scene (z up).
            robot_pose: 4x4 ``fixed_from_robot`` (x forward, z up, origin on the floor), if known.

        Raises:
            BadInput: nothing in the frame can be mapped; the scene is unchanged.
        """
        frame = self._with_semantics(frame)
        sight = self._see(frame)
        patches = None
        if sight is not None and self._vision is self._encoder:
            patches = self._on_surface(frame, sight.features)
        elif self._encoding is None:
            patches = self._encode(frame)
        evidence = self._evidence(frame)
        new_view = self._since_view + evidence >= _VIEW
        masks = None
        if self._mask_model is not None and frame.rgb is not None and new_view:
            with self.times.measure("segmenter"):
                masks = self._mask_model.segment(frame.rgb, self._observer.grid(frame))
        with self._lock:
            with self.times.measure("observe"):
                names = {d.label for d in frame.detections}
                if frame.labels is not None:
                    names |= set(frame.label_names.values())
                named = self._named(frame, sight) if sight is not None and self._model_names else None
                observation = self._observer.observe(frame, self._index_of(names), masks, named)
            if not len(observation.points):
                limits = self._config.perception
                raise BadInput(
                    f"no depth between {limits.min_depth} m and {limits.max_depth} m in the frame; "
                    "check the depth unit (16UC1 = mm, 32FC1 = m) and whether the camera is covered"
                )
            reach = min(self._voxels.reach, self._atoms.reach)
            if not np.abs(observation.points).max() < reach:
                raise BadInput(
                    f"the camera is at {np.round(frame.camera_center, 1).tolist()} m in {self._frame_id!r}, but the "
                    f"map ends {reach:.0f} m from the origin; fix the transform, or use a local fixed "
                    "frame (REP-105)"
                )
            if self._frames == 1 and evidence > _STEP_EVIDENCE:  # what is known now of the pace holds for the first one
                self._voxels.weigh(evidence / _STEP_EVIDENCE)
                self._looks[0] = (self._looks[0][0], evidence)
            self._last = (frame.stamp_ns, frame.pose)
            self._looks.append((frame.stamp_ns, evidence))
            with self.times.measure("fuse"):
                self._tracker.observe(self._voxels.fuse(observation, evidence))
            with self.times.measure("carve"):
                self._tracker.carve(self._voxels.carve(observation, evidence, self._config.map.gone_after))
                self._voxels.evict()
            self._since_view += evidence
            if observation.instances is not None and new_view:
                self._since_view = 0.0
                with self.times.measure("instances"):
                    self._instances.update(observation.instances[::2], observation.points[::2])
            if patches is not None:
                self._add(*patches)
            atoms = self._atoms
            self._views.add(observation, frame.intrinsics.width, frame.intrinsics.height)
            self._frames += 1
            self._scale_uncertainty = frame.scale_uncertainty
            self._robot_pose = robot_pose
            since = np.inf if self._extracted_ns is None else (frame.stamp_ns - self._extracted_ns) / 1e9
            due = not 0 <= since < self._config.map.update_period
            self._publish(frame.stamp_ns)
        if due:
            self._extract_or_submit(frame.stamp_ns)
        if self._encoding is not None and (self._encoded is None or self._encoded.done()):
            done, self._encoded = self._encoded, self._encoding.submit(self._encode_into, atoms, frame)
            if done is not None:
                done.result()  # raises what went wrong in the last one

    def refresh(self) -> None:
        """Bring objects and proxies up to the last frame now."""
        pending, self._encoded = self._encoded, None
        if pending is not None:
            pending.result()
        if self._last is not None:
            self._extract(self._last[0])

    def reset(self, frame_id: str | None = None) -> None:
        """Forget the map and begin a new epoch, in another fixed frame if one is given; ids go on."""
        with self._lock:
            self._next_id = self._tracker.next_id
            self._clear()
            self._frame_id = frame_id or self._frame_id
            self._epoch += 1
            self._publish(0)

    def label_object(self, object_id: int, label: str) -> SceneObject:
        """Name an object; the name stays, whatever the segmenter says. An empty label takes the name back.

        Raises:
            BadInput: there is no such object.
        """
        with self._lock:
            track = self._tracker.tracks.get(object_id)
            if track is None:
                known = ", ".join(str(i) for i in sorted(self._tracker.tracks)[:20]) or "none"
                raise BadInput(f"there is no object {object_id}; known ids: {known}")
            track.named_by = normalise(label)
            self._objects = self._tracker.freeze()
            self._publish(self._snapshot.stamp_ns)
            return track.freeze()

    def _with_semantics(self, frame: Frame) -> Frame:
        """The frame with the semantics that ``input.semantics`` wants."""
        if self._config.input.semantics in ("model", "none"):
            return dataclasses.replace(frame, labels=None, label_names={}, detections=())
        self._told = self._told or frame.labels is not None or bool(frame.detections)
        return frame

    def _see(self, frame: Frame) -> Sight | None:
        """What the vision model sees, if there is one and anybody wants it."""
        if self._vision is None:
            return None
        with self.times.measure("vision"):
            return self._vision.see(frame.rgb, frame.depth, frame.intrinsics, frame.pose[2, :3])

    def _named(self, frame: Frame, sight: Sight) -> Named:
        """The model's labels on the observer's grid; where it is unsure it abstains."""
        assert self._vision is not None
        index = self._index_of(self._vision.names)
        table = np.array([NO_VOTE, *(index[name] for name in self._vision.names[1:])], np.int32)
        rows, columns = self._observer.grid(frame)

        def on_grid(image: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_NEAREST))

        masks = None if sight.masks is None else on_grid(sight.masks)
        return Named(table[on_grid(sight.labels)], on_grid(sight.scores), masks)

    def _index_of(self, names: Iterable[str]) -> dict[str, int]:
        """Vocabulary indices of label names; new names are added."""
        for name in sorted(set(names) - self._label_index.keys()):
            clean = normalise(name)
            if not clean or clean in self._config.input.ignore_labels or len(self._vocabulary) >= _MOST_LABELS:
                self._label_index[name] = NO_CLASS
            elif clean in self._vocabulary:
                self._label_index[name] = self._vocabulary.index(clean)
            else:
                self._label_index[name] = len(self._vocabulary)
                self._vocabulary.append(clean)
        return self._label_index

    def _encode(self, frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features (L, C) and points (L, 3) of the patches that lie on a surface."""
        if self._encoder is None:
            raise BadInput("this scene is read only: it takes saved maps, not frames")
        height, width = frame.depth.shape
        rgb = np.zeros((height, width, 3), np.uint8) if frame.rgb is None else frame.rgb
        with self.times.measure("encode"):
            features = to_numpy(self._encoder.encode(rgb[None]))[0]
        return self._on_surface(frame, features)

    def _on_surface(
        self, frame: Frame, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of features (rows, columns, C) those (L, C) that lie on a surface, and where (L, 3)."""
        self.last_features = features
        limits = self._config.perception
        rows, columns = features.shape[:2]
        patches = patch_points(frame, (rows, columns), limits.min_depth, limits.max_depth)
        good = patches.valid & np.isfinite(features).all(axis=-1)  # one that is not would spoil its proxy for good
        return features[good], patches.points[good]

    def _add(self, features: NDArray[np.float32], points: NDArray[np.float32]) -> None:
        """Add {f_j, p_j, m_j} to the atoms: the mask of a patch is the object that its place belongs to."""
        with self.times.measure("proxies.update"):
            weights = np.ones(len(points), np.float32)
            self._atoms.update(Triplets(features, points, self._voxels.owner_at(points), weights))

    def _encode_into(self, atoms: ProxyMap, frame: Frame) -> None:
        """Add a frame's features, unless the map has been reset or replaced meanwhile."""
        patches = self._encode(frame)
        with self._lock:
            if atoms is self._atoms:
                self._add(*patches)

    def _evidence(self, frame: Frame) -> float:
        """Seconds of looking that a frame stands for: the time since the last one, or more if the camera moved on."""
        if self._last is None:
            return _STEP_EVIDENCE
        stamp, pose = self._last
        elapsed = (frame.stamp_ns - stamp) / 1e9
        moved = np.linalg.norm(frame.pose[:3, 3] - pose[:3, 3]) / _STEP
        cosine = (np.trace(frame.pose[:3, :3].T @ pose[:3, :3]) - 1) / 2
        turned = np.arccos(np.clip(cosine, -1, 1)) / _TURN
        return float(np.clip(max(elapsed, (moved + turned) * _STEP_EVIDENCE), 1e-3, _EVIDENCE_LIMIT))

    def _extract_or_submit(self, stamp_ns: int) -> None:
        if self._background is None:
            self._extract(stamp_ns)
        elif self._pending is None or self._pending.done():
            done, self._pending = self._pending, self._background.submit(self._extract, stamp_ns)
            if done is not None:
                done.result()  # raises what went wrong in the last one

    def _extract(self, stamp_ns: int) -> None:
        """Objects, proxies and floor anew from the voxels. Only its ends hold up the frames."""
        settings = self._config.map
        with self._extracting:
            with self._lock, self.times.measure("segment.copy"):
                voxels, vocabulary = self._voxels, list(self._vocabulary)
                surface = Surface.of(voxels, min(settings.min_seen, _LEAST_SEEN))
                instances = self._instances.evidence_at(surface.position) if len(self._instances) else None
                height = None if self._robot_pose is None else float(self._robot_pose[2, 3])
                self._extracted_ns = stamp_ns
                looks = dict(self._looks)
            with self.times.measure("segment"):
                segmentation = segment(surface, vocabulary, settings.min_size, height, instances)
                sightings = [
                    describe(surface, c, segmentation, vocabulary, looks, self._completion)
                    for c in segmentation.candidates
                ]
            with self._lock, self.times.measure("track"):
                if voxels is not self._voxels:
                    return  # the map was reset or replaced meanwhile
                found = self._tracker.assign(sightings, settings.min_seen)
                for i, last_ns in found.gone.items():
                    voxels.forget(i, last_ns)
                surface.owner[:] = segmentation.structure.groups()
                for candidate, i in zip(segmentation.candidates, found.ids, strict=True):
                    surface.owner[candidate.members] = i
                voxels.assign(surface.keys, surface.rows, surface.owner)
                keys, owners, update = voxels.keys, voxels.owner[voxels.rows], self._atoms.updates
            with self.times.measure("proxies.regroup"):
                occupied = Occupied(unpack(keys), owners, update)
                with self._lock:
                    if voxels is not self._voxels:
                        return
                    atoms = self._regroup(occupied, found.moved)
            with self.times.measure("proxies.cluster"):
                proxies = atoms.cluster(self._config.proxies.budget, self._config.proxies.per_object)
            with self.times.measure("floor"):
                plan = floor_plan(surface, segmentation.structure, settings.robot_height)
            with self._lock:
                if voxels is self._voxels:
                    self._name_by_features(proxies)
                    self._objects, self._proxies, self._floor = self._tracker.freeze(), proxies, plan
                    self._publish(max(stamp_ns, self._snapshot.stamp_ns) if self._last is not None else stamp_ns)

    def _regroup(self, occupied: Occupied, moved: list[int]) -> Atoms:
        """Bring the atoms to the objects as they are now; returns those of what is there."""
        for i in moved:
            track = self._tracker.tracks[i]
            self._atoms.move(i, motion_between(track.previous_boxes[-1], track.box))
        tracks = self._tracker.tracks
        gone = {i for i, track in tracks.items() if track.state is ObjectState.GONE}
        going = {i for i, track in tracks.items() if track.carved > _GOING * track.voxels}
        self._atoms.regroup(occupied, gone | going)
        return self._atoms.atoms(without=gone)

    def _name_by_features(self, proxies: ProxySet) -> None:
        """Names for objects of whose pixels the model was never sure: their features, pooled over all views, may be."""
        if self._vision is None or self._vision is not self._encoder or not self._model_names:
            return
        for track in self._tracker.tracks.values():
            own = proxies.groups == track.id
            if track.label != UNKNOWN_LABEL or not own.any():
                continue
            shares = np.bincount(
                self._vision.categories(proxies.features[own]),
                weights=proxies.weights[own],
                minlength=len(self._vision.names),
            )
            best, share = int(shares.argmax()), float(shares.max() / shares.sum())
            name = normalise(self._vision.names[best])
            large_enough = track.voxels * self._voxels.size**2 >= least_surface(name)
            if share > _AGREED and name not in STRUCTURE | GROUND_COVERS and large_enough:
                track.label, track.score = name, _GUESS * share

    @property
    def _model_names(self) -> bool:
        """Whether the vision model's names count."""
        semantics = self._config.input.semantics
        return semantics == "model" or (semantics == "auto" and not self._told)

    def _publish(self, stamp_ns: int) -> None:
        self._snapshot = Snapshot(
            stamp_ns=stamp_ns,
            epoch=self._epoch,
            frame_id=self._frame_id,
            objects=self._objects,
            proxies=self._proxies,
            floor=self._floor,
            robot_pose=self._robot_pose,
            frames=self._frames,
            scale_uncertainty=self._scale_uncertainty,
            vocabulary=frozenset(self._vocabulary),
        )

    def state_dict(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """All that a saved map holds: a JSON-able part and arrays."""
        with self._lock:
            meta = {
                "frame_id": self._frame_id,
                "stamp_ns": self._snapshot.stamp_ns,
                "frames": self._frames,
                "scale_uncertainty": self._scale_uncertainty,
                "voxel_size": self._voxels.size,
                "encoder": {"name": self._features, "channels": self._atoms.channels},
                "vocabulary": list(self._vocabulary),
                "next_id": self._tracker.next_id,
                "objects": [track_to_json(t) for _, t in sorted(self._tracker.tracks.items())],
            }
            parts = {
                "voxels": self._voxels.state_dict(),
                "atoms": self._atoms.state_dict(),
                "instances": self._instances.state_dict(),
            }
            return meta, {
                f"{part}.{name}": column for part, columns in parts.items() for name, column in columns.items()
            }

    def load_state_dict(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Replace the scene by a saved one; begins a new epoch, ids go on.

        Raises:
            MapError: something is missing or misshapen; the scene is unchanged.
        """
        with self._lock:
            try:
                tracks = [track_from_json(t) for t in meta["objects"]]
                vocabulary = [str(name) for name in meta["vocabulary"]]
                voxels = VoxelMap(float(meta["voxel_size"]), self._config.map.max_voxels)
                voxels.load_state_dict(_part(arrays, "voxels"))
                features, channels = str(meta["encoder"]["name"]), int(meta["encoder"]["channels"])
                atoms = self._no_atoms(channels, voxels.size)
                atoms.load_state_dict(_part(arrays, "atoms"))
                instances = self._no_instances(voxels.size)
                instances.load_state_dict(_part(arrays, "instances"))
                stamp_ns, frames, next_id = int(meta["stamp_ns"]), int(meta["frames"]), int(meta["next_id"])
                frame_id = str(meta["frame_id"])
                scale_uncertainty = float(meta.get("scale_uncertainty", 0.0))
            except (KeyError, ValueError, TypeError, BadInput) as error:
                raise MapError(f"the map's content is damaged ({error!r}); save it anew") from None
            if self._encoder is not None and features != self._encoder.name:
                raise MapError(
                    f"the map's proxies hold features of {features!r}, those of this node come from "
                    f"{self._encoder.name!r} and do not compare; set encoder.source to the map's, or map anew"
                )
            self._next_id = max(next_id, self._tracker.next_id)
            self._clear()
            self._epoch += 1
            self._frame_id = frame_id
            self._voxels, self._atoms, self._features, self._instances = voxels, atoms, features, instances
            self._vocabulary = vocabulary
            self._label_index = {name: i for i, name in enumerate(vocabulary)}
            self._tracker.tracks = {t.id: t for t in tracks}
            self._frames = frames
            self._scale_uncertainty = scale_uncertainty
        self._extract(stamp_ns)


def _load_encoder(config: EncoderConfig) -> tuple[SemanticEncoder, str]:
    """The encoder, and what is lacking: without torch the package's own model gives way to colour and texture."""
    try:
        return load_encoder(**config.model_dump()), ""
    except MissingExtra as error:
        if config.source != EncoderConfig().source:
            raise
        return AppearanceEncoder(config.cells), f"{error}; until then proxies hold colour and texture, without names"


def _part(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """The arrays called ``name.*``, without that prefix."""
    return {k.removeprefix(f"{name}."): v for k, v in arrays.items() if k.startswith(f"{name}.")}

"""The live scene: frames in, immutable snapshots out."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy3d_core.config import Config
from proxy3d_core.errors import BadInput, MapError
from proxy3d_core.frame import Frame
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.perception.observation import NO_CLASS, Observation, Observer
from proxy3d_core.proxies.cluster import cluster_proxies
from proxy3d_core.scene.floorplan import floor_plan
from proxy3d_core.scene.labels import STRUCTURE, least_surface, normalise, stands_on_floor
from proxy3d_core.scene.segmentation import Candidate, Segmentation, segment
from proxy3d_core.scene.snapshot import UNKNOWN_LABEL, FloorPlan, ObjectState, ProxySet, SceneObject, Snapshot
from proxy3d_core.scene.surface import BACKGROUND_WEIGHT, Surface
from proxy3d_core.scene.tracking import Sighting, Track, Tracker
from proxy3d_core.scene.voxels import VoxelMap
from proxy3d_core.timing import StageTimes

_EVIDENCE_LIMIT = 0.25  # s; a long pause between two frames is not a long look
_STEP = 0.1  # m of camera motion or ...
_TURN = (
    0.1  # rad of turning that count as _STEP_EVIDENCE of looking: sparse keyframes are worth more than their spacing
)
_STEP_EVIDENCE = 0.1  # s
_HAND = 0.15  # m
_FEET = 0.8  # m
_FACE_VOXELS = 40
_FACE_AGREEMENT = 0.6
_NAMED_SHARE_POWER = 0.25
_TRIM = 0.01  # share of stray points outside a box at each end


class SceneState:
    """Keeps the map of what was seen, and the objects in it.

    ``update`` and all other changes come from one thread at a time (they take a lock); ``snapshot`` may be called from any
    thread at any time and costs nothing.
    """

    def __init__(self, config: Config | None = None, frame_id: str = "map") -> None:
        self._config = config or Config()
        self._frame_id = frame_id
        self._lock = threading.RLock()
        self._observer = Observer(self._config.perception)
        self.times = StageTimes()
        self._epoch = 0
        self._clear()
        self._snapshot = Snapshot(frame_id=frame_id)

    def _clear(self) -> None:
        self._voxels = VoxelMap(self._config.map.voxel_size, self._config.map.max_voxels)
        next_id = self._tracker.next_id if hasattr(self, "_tracker") else 1
        self._tracker = Tracker(self._config.map.max_objects)
        self._tracker.next_id = next_id
        self._vocabulary: list[str] = []
        self._label_index: dict[str, int] = {}
        self._frames = 0
        self._proxies = ProxySet.empty()
        self._floor = FloorPlan()
        self._robot_pose: NDArray[np.float64] | None = None
        self.clear_buffers()

    def clear_buffers(self) -> None:
        """Forget what is timed (the clock jumped back); the map stays."""
        self._last: tuple[int, NDArray[np.float64]] | None = None
        self._extracted_ns: int | None = None

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        return self._snapshot

    @property
    def frame_id(self) -> str:
        """The fixed frame of the map (z up)."""
        return self._frame_id

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
        with self._lock:
            with self.times.measure("observe"):
                observation = self._observer.observe(frame, self._index_of(frame))
            if not len(observation.points):
                raise BadInput(
                    f"no depth between {self._config.perception.min_depth} m and {self._config.perception.max_depth} m in "
                    "the frame; check the depth unit (16UC1 = mm, 32FC1 = m) and whether the camera is covered"
                )
            evidence = self._evidence(observation)
            with self.times.measure("fuse"):
                self._tracker.observe(self._voxels.fuse(observation, evidence))
            with self.times.measure("carve"):
                self._tracker.carve(self._voxels.carve(observation, evidence, self._config.map.gone_after))
                self._voxels.evict()
            self._frames += 1
            self._robot_pose = robot_pose
            period = int(self._config.map.update_period * 1e9)
            if self._extracted_ns is None or not 0 <= frame.stamp_ns - self._extracted_ns < period:
                self._extract(frame.stamp_ns)
            else:
                self._publish(frame.stamp_ns)

    def refresh(self) -> None:
        """Bring objects and proxies up to the last frame now."""
        with self._lock:
            if self._last is not None:
                self._extract(self._last[0])

    def reset(self, frame_id: str | None = None) -> None:
        """Forget the map and begin a new epoch, in another fixed frame if one is given; ids go on."""
        with self._lock:
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
            self._publish(self._snapshot.stamp_ns)
            return track.freeze()

    def _index_of(self, frame: Frame) -> dict[str, int]:
        """Vocabulary indices of the frame's label names; new names are added."""
        names = set(frame.label_names.values()) | {d.label for d in frame.detections}
        for name in sorted(names - self._label_index.keys()):
            clean = normalise(name)
            if not clean or clean in self._config.input.ignore_labels:
                self._label_index[name] = NO_CLASS
            elif clean in self._vocabulary:
                self._label_index[name] = self._vocabulary.index(clean)
            else:
                self._label_index[name] = len(self._vocabulary)
                self._vocabulary.append(clean)
        return self._label_index

    def _evidence(self, observation: Observation) -> float:
        """Seconds of looking that a frame stands for: the time since the last one, or more if the camera moved on."""
        stamp, pose = observation.stamp_ns, observation.pose
        if self._last is None:
            evidence = _STEP_EVIDENCE
        else:
            elapsed = (stamp - self._last[0]) / 1e9
            moved = np.linalg.norm(pose[:3, 3] - self._last[1][:3, 3]) / _STEP
            cosine = (np.trace(pose[:3, :3].T @ self._last[1][:3, :3]) - 1) / 2
            turned = np.arccos(np.clip(cosine, -1, 1)) / _TURN
            evidence = max(elapsed, float(moved + turned) * _STEP_EVIDENCE)
        self._last = (stamp, pose)
        return min(max(evidence, 1e-3), _EVIDENCE_LIMIT)

    def _extract(self, stamp_ns: int) -> None:
        """Objects, proxies and floor anew from the voxels."""
        settings = self._config.map
        height = None if self._robot_pose is None else float(self._robot_pose[2, 3])
        with self.times.measure("segment"):
            surface = Surface.of(self._voxels, min(settings.min_seen, 0.25))
            segmentation = segment(surface, self._vocabulary, settings.min_size, height)
        with self.times.measure("track"):
            self._track(surface, segmentation)
        with self.times.measure("proxies"):
            self._proxies = self._cluster(surface)
            self._floor = floor_plan(surface, segmentation.structure, settings.robot_height)
        self._extracted_ns = stamp_ns
        self._publish(stamp_ns)

    def _track(self, surface: Surface, segmentation: Segmentation) -> None:
        sightings = [self._describe(surface, c, segmentation) for c in segmentation.candidates]
        ids, gone = self._tracker.assign(sightings, self._config.map.min_seen)
        for i, last_ns in gone.items():
            self._voxels.forget(i, last_ns)
        self._voxels.owner[surface.rows] = -1
        surface.owner[:] = -1
        for candidate, i in zip(segmentation.candidates, ids, strict=True):
            self._voxels.owner[surface.rows[candidate.members]] = i
            surface.owner[candidate.members] = i

    def _describe(self, surface: Surface, candidate: Candidate, segmentation: Segmentation) -> Sighting:
        members = candidate.members
        # Parts that no mask covered (legs, a shaded seat) joined by touch; they say little against the class.
        voters = members[segmentation.label[members] == candidate.label] if candidate.label >= 0 else members
        seconds, background = surface.votes(voters, len(self._vocabulary))
        if candidate.on >= 0:
            seconds[candidate.on] = 0
        for i, name in enumerate(self._vocabulary):
            if name in STRUCTURE:
                seconds[i] = 0
        total = float(seconds.sum()) + BACKGROUND_WEIGHT * background
        best = candidate.label
        if best < 0 and len(seconds) and seconds.max() > 0.5 * total:
            named = int(seconds.argmax())
            if len(members) * surface.size**2 >= least_surface(self._vocabulary[named]):
                best = named
        score = 0.0
        if best >= 0:
            # A share of the votes, less sure while they are few: one second per voxel settles it.
            per_voxel = float(seconds[best]) / len(voters)
            named = (len(voters) / len(members)) ** _NAMED_SHARE_POWER
            score = float(seconds[best] / max(total, 1e-6) * (1 - np.exp(-per_voxel / 0.15)) * named)
        label = self._vocabulary[best] if best >= 0 else UNKNOWN_LABEL
        owners, counts = np.unique(surface.owner[members], return_counts=True)
        rows = surface.rows[members]
        color = surface.color[members].mean(axis=0)
        return Sighting(
            owner_counts={int(o): int(n) for o, n in zip(owners, counts, strict=True) if o >= 0},
            voxels=len(members),
            seen_s=float(surface.seen[members].mean()),
            box=_tight_box(surface.position[members], surface.normal[members], segmentation.structure.floor, label),
            label=label,
            score=score,
            votes={
                self._vocabulary[i]: round(float(seconds[i]) / max(total, 1e-6), 4) for i in np.flatnonzero(seconds)
            },
            color=(float(color[0]), float(color[1]), float(color[2])) if color.any() else None,
            first_ns=int(self._voxels.first_ns[rows].min()),
            last_ns=int(self._voxels.last_ns[rows].max()),
        )

    def _cluster(self, surface: Surface) -> ProxySet:
        """First version of the features: colour and normal. The learned ones replace them."""
        features = np.concatenate([surface.color / 255, surface.normal], axis=1)
        return cluster_proxies(
            surface.position,
            features,
            surface.seen,
            surface.owner,
            self._config.proxies.budget,
            self._config.proxies.per_object,
        )

    def _publish(self, stamp_ns: int) -> None:
        self._snapshot = Snapshot(
            stamp_ns=stamp_ns,
            epoch=self._epoch,
            frame_id=self._frame_id,
            objects=tuple(t.freeze() for _, t in sorted(self._tracker.tracks.items())),
            proxies=self._proxies,
            floor=self._floor,
            robot_pose=self._robot_pose,
            frames=self._frames,
        )

    def state_dict(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """All that a saved map holds: a JSON-able part and arrays."""
        with self._lock:
            meta = {
                "frame_id": self._frame_id,
                "stamp_ns": self._snapshot.stamp_ns,
                "frames": self._frames,
                "voxel_size": self._voxels.size,
                "vocabulary": list(self._vocabulary),
                "next_id": self._tracker.next_id,
                "objects": [_track_to_json(t) for _, t in sorted(self._tracker.tracks.items())],
            }
            return meta, {f"voxels.{name}": column for name, column in self._voxels.state_dict().items()}

    def load_state_dict(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Replace the scene by a saved one; begins a new epoch, ids go on.

        Raises:
            MapError: something is missing or misshapen; the scene is unchanged.
        """
        with self._lock:
            try:
                tracks = [_track_from_json(t) for t in meta["objects"]]
                vocabulary = [str(name) for name in meta["vocabulary"]]
                voxels = VoxelMap(float(meta["voxel_size"]), self._config.map.max_voxels)
                voxels.load_state_dict({k.removeprefix("voxels."): v for k, v in arrays.items()})
                stamp_ns, frames, next_id = int(meta["stamp_ns"]), int(meta["frames"]), int(meta["next_id"])
                frame_id = str(meta["frame_id"])
            except (KeyError, ValueError, TypeError, BadInput) as error:
                raise MapError(f"the map's content is damaged ({error!r}); save it anew") from None
            next_id = max(next_id, self._tracker.next_id)
            self._clear()
            self._epoch += 1
            self._frame_id = frame_id
            self._voxels = voxels
            self._vocabulary = vocabulary
            self._label_index = {name: i for i, name in enumerate(vocabulary)}
            self._tracker.tracks = {t.id: t for t in tracks}
            self._tracker.next_id = next_id
            self._frames = frames
            self._extract(stamp_ns)


def _face_direction(normals: NDArray[np.float32]) -> float | None:
    """Yaw (mod 90 degrees) that the upright faces among voxels with these normals (N, 3) agree on, or None.

    The circular mean of four times the azimuth: faces at right angles to each other count as one direction.
    """
    upright = normals[np.abs(normals[:, 2]) < 0.4]
    if len(upright) < _FACE_VOXELS:
        return None
    phase = np.exp(4j * np.arctan2(upright[:, 1], upright[:, 0])).mean()
    return float(np.angle(phase)) / 4 if abs(phase) > _FACE_AGREEMENT else None


def _tight_box(
    points: NDArray[np.float32], normals: NDArray[np.float32], floor: float | None, label: str
) -> OrientedBox:
    """Gravity-aligned box around an object's voxels; it reaches the floor if the object stands there.

    The lowest centimetres of a leg are taken for floor, and what stands before a chair hides its feet: anything that ends
    less than a hand above the floor stands on it, and so does furniture whose kind does.
    """
    # Faces tell the direction better than the outline, of which mostly one side was seen.
    box = OrientedBox.around(points, _TRIM if len(points) >= 100 else 0.0, _face_direction(normals))
    reach = _FEET if stands_on_floor(label) else _HAND
    if floor is None or not floor < box.bottom < floor + reach:
        return box
    rise = np.array([0.0, 0.0, box.bottom - floor])
    return OrientedBox(box.center - rise / 2, box.size + rise, box.rotation)


def _track_to_json(track: Track) -> dict[str, Any]:
    return {
        **{k: getattr(track, k) for k in _PLAIN},
        "box": _box_to_json(track.box),
        "previous_boxes": [_box_to_json(b) for b in track.previous_boxes],
        "state": track.state.value,
        "color": None if track.color is None else list(track.color),
    }


def _track_from_json(data: dict[str, Any]) -> Track:
    return Track(
        **{k: data[k] for k in _PLAIN},
        box=_box_from_json(data["box"]),
        previous_boxes=tuple(_box_from_json(b) for b in data["previous_boxes"]),
        state=ObjectState(data["state"]),
        color=None if data["color"] is None else (data["color"][0], data["color"][1], data["color"][2]),
    )


_PLAIN = (
    "id",
    "label",
    "score",
    "votes",
    "first_seen_ns",
    "last_seen_ns",
    "observations",
    "named_by",
    "voxels",
    "carved",
)


def _box_to_json(box: OrientedBox) -> dict[str, Any]:
    return {"center": box.center.tolist(), "size": box.size.tolist(), "rotation": box.rotation.reshape(-1).tolist()}


def _box_from_json(data: dict[str, Any]) -> OrientedBox:
    return OrientedBox(np.array(data["center"]), np.array(data["size"]), np.array(data["rotation"]))

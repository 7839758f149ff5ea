"""Where to stand in front of an object: a pose that a navigation goal can use."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.geometry.transforms import yaw_matrix
from proxy3d_core.reasoning.index import planar_distances
from proxy3d_core.reasoning.relations import Boxes
from proxy3d_core.reasoning.routes import centers_of, plan
from proxy3d_core.scene.snapshot import Snapshot

Array = NDArray[np.float64]


def approach_pose(
    snapshot: Snapshot, object_id: int, distance: float = 0.8, clearance: float = 0.25
) -> tuple[Array, bool]:
    """A standing place on free floor in front of an object, facing it.

    Among the free places it prefers those about ``distance`` from the object's box, before a long side, near to the
    robot, and reachable.

    Args:
        object_id: an object that the snapshot knows.
        distance: from the box to the standing place, metres.
        clearance: radius of floor that must be free around the place, metres.

    Returns:
        4x4 ``fixed_from_robot`` (x towards the object, z up, on the floor), and whether the place is known to be free.
        Where no free floor is known near the object, a place before its longer side with False.

    Raises:
        BadInput: the snapshot has no such object.
    """
    target = snapshot.by_id.get(object_id)
    if target is None:
        raise BadInput(f"there is no object {object_id}; the objects are {sorted(snapshot.by_id)[:30]}")
    box, floor = target.box, snapshot.floor
    ground = floor.height if floor.height is not None else min(o.box.bottom for o in snapshot.objects)
    robot = None if snapshot.robot_pose is None else snapshot.robot_pose[:2, 3]
    cells = np.argwhere(_shrunk(floor.free, clearance / floor.cell))
    if len(cells):
        places = centers_of(floor, cells)
        local = (np.column_stack([places, np.full(len(places), box.center[2])]) - box.center) @ box.rotation
        apart = np.linalg.norm(
            places - box.closest_point(np.column_stack([places, np.full(len(places), box.center[2])]))[:, :2], axis=1
        )
        near = (apart <= 2.5 * distance) & (apart >= 0.3 * distance)
        if near.any():
            places, apart, local = places[near], apart[near], local[near]
            vertical = int(np.argmax(np.abs(box.rotation[2])))
            long, short = sorted((k for k in range(3) if k != vertical), key=lambda k: -box.size[k])
            # Before a long side: off centre along the long edge costs, standing at the short side costs more.
            aside = np.abs(local[:, long]) / max(float(box.size[long]), 0.2)
            cost = np.abs(apart - distance) + 0.3 * aside + 0.2 * (np.abs(local[:, short]) < box.size[short] / 2)
            if robot is not None:
                cost = cost + 0.15 * np.linalg.norm(places - robot, axis=1)
            for k in np.argsort(cost, kind="stable")[:20]:
                if robot is None or plan(floor, robot, _standing_box(places[k])) is not None:
                    return _facing(places[k], box.center, ground), True
            return _facing(places[int(np.argmin(cost))], box.center, ground), True
    return _facing(_before_long_side(snapshot, object_id, distance), box.center, ground), False


def _before_long_side(snapshot: Snapshot, object_id: int, distance: float) -> Array:
    """The one of the four places before the sides of the box that is farthest from other objects, long sides first."""
    box = snapshot.by_id[object_id].box
    vertical = int(np.argmax(np.abs(box.rotation[2])))
    long, short = sorted((k for k in range(3) if k != vertical), key=lambda k: -box.size[k])
    others = Boxes.of([o.box for o in snapshot.present if o.id != object_id])
    best, best_room = box.center[:2], -np.inf
    for axis, malus in ((short, 0.0), (long, 0.5)):
        for sign in (1.0, -1.0):
            direction = box.rotation[:2, axis] / max(float(np.linalg.norm(box.rotation[:2, axis])), 1e-9)
            place = box.center[:2] + sign * direction * (box.size[axis] / 2 + distance)
            room = (
                float(planar_distances(Boxes.of([_standing_box(place)]), others).min()) if len(others.volume) else 1.0
            )
            if min(room, 1.0) - malus > best_room:
                best, best_room = place, min(room, 1.0) - malus
    return best


def _standing_box(place: Array) -> OrientedBox:
    return OrientedBox.from_yaw([*place, 0.0], [0.1, 0.1, 1.0])


def _facing(place: Array, target: Array, ground: float) -> Array:
    pose = np.eye(4)
    pose[:3, :3] = yaw_matrix(float(np.arctan2(target[1] - place[1], target[0] - place[0])))
    pose[:3, 3] = (place[0], place[1], ground)
    return pose


def _shrunk(free: NDArray[np.bool_], cells: float) -> NDArray[np.bool_]:
    """Free cells all of whose neighbours within a radius are free."""
    if not free.any():
        return free
    size = 2 * int(np.ceil(cells)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.erode(free.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)

"""Render the demo room again: ``python -m proxy3d_training.simulation proxy3d_ros/demo/room``.

The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import Progress

from proxy3d_core.geometry import Intrinsics
from proxy3d_training.simulation.recording import record
from proxy3d_training.simulation.studio import CLASSES, MOVED_AT, PATH, studio
from proxy3d_training.simulation.trajectory import drive

RATE = 10
CAMERA = Intrinsics(320, 240, 230.0, 230.0, 159.5, 119.5)
CAMERA_HEIGHT = 1.25


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Render the demo room as a recorded sequence with its truth.")
    parser.add_argument("folder", type=Path, help="where to write it; a sequence that is already there is replaced")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sensor noise")
    arguments = parser.parse_args()
    poses = drive(PATH, RATE, CAMERA_HEIGHT)
    with Progress() as bar:
        task = bar.add_task("frames", total=len(poses))
        record(
            arguments.folder,
            studio(),
            studio(moved=True),
            MOVED_AT,
            poses,
            CAMERA,
            CLASSES,
            rate=RATE,
            seed=arguments.seed,
            progress=lambda done: bar.update(task, completed=done),
        )


if __name__ == "__main__":
    main()

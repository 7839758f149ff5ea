"""What a real camera makes of a view: a stereo depth sensor, a colour camera, a segmenter with its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from proxy3d_core.geometry import Intrinsics
from proxy3d_training.simulation.renderer import Picture, develop

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StereoDepth:
    """An active stereo camera: noise and steps of depth grow with its square, edges cast shadows without data.

    The error model is that of a disparity sensor (Nguyen et al. 2012, "Modeling Kinect Sensor Noise"): z = f b / d.

    Attributes:
        baseline: metres.
        noise: standard deviation of the disparity, pixels of the image.
        step: the disparity is known in steps of this, pixels.
        near, far: range, metres.
    """

    baseline: float = 0.075
    noise: float = 0.02
    step: float = 1 / 20
    near: float = 0.25
    far: float = 8.0

    def measure(self, picture: Picture, k: Intrinsics, rng: Generator) -> NDArray[np.uint16]:
        """(H, W) depth in millimetres, 0 where the sensor finds none."""
        depth = picture.depth
        solid = depth > 0
        disparity = np.where(solid, k.fx * self.baseline / np.maximum(depth, 1e-6), 0)

        # A pixel has no partner where, in the other image, something nearer stands in front of it.
        partner = np.arange(k.width) - disparity
        ahead = np.minimum.accumulate(partner[:, ::-1], axis=1)[:, ::-1]
        hidden = np.zeros_like(solid)
        hidden[:, :-1] = partner[:, :-1] > ahead[:, 1:] + 0.5

        blurred = ndimage.gaussian_filter(rng.standard_normal(depth.shape, np.float32), 1.6)
        rough = blurred / blurred.std() * self.noise * (1 + 1.5 * (1 - picture.cosine) ** 2)
        # Beside an edge the matching window holds both surfaces, so the border of the nearer one frays.
        fray = rng.integers(-1, 2, (2, *depth.shape)) * (rng.random(depth.shape) < 0.35)
        rows, columns = np.indices(depth.shape)
        disparity = disparity[np.clip(rows + fray[0], 0, k.height - 1), np.clip(columns + fray[1], 0, k.width - 1)]
        seen = np.round((disparity + rough) / self.step) * self.step
        measured = np.where(seen > 0, k.fx * self.baseline / np.maximum(seen, 1e-6), 0)

        slanted = rng.random(depth.shape) > np.clip(picture.cosine / 0.12, 0, 1)
        patches = ndimage.gaussian_filter(rng.standard_normal(depth.shape, np.float32), 3)
        shiny = (picture.gloss > 2) & (patches / patches.std() > 0.6)
        lost = ~solid | hidden | slanted | shiny | (measured < self.near) | (measured > self.far)
        lost |= rng.random(depth.shape) < 0.002
        return np.where(lost, 0, np.round(measured * 1000)).astype(np.uint16)


def photograph(
    picture: Picture, gain: float, rng: Generator, smear: float = 0.0, noise: float = 0.006
) -> NDArray[np.uint8]:
    """(H, W, 3) display RGB with a little vignetting, motion blur, shot noise and read noise.

    Args:
        smear: how far the picture moves sideways while the shutter is open, pixels.
        noise: deviation of the read noise, and factor of the shot noise, of the display's range.
    """
    height, width = picture.depth.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - 0.10 * (x**2 + y**2)
    radiance = picture.radiance * vignette[..., None]
    if smear > 0.5:
        radiance = ndimage.convolve1d(radiance, _shutter(smear), axis=1, mode="nearest")
    image = develop(radiance, gain)
    image = image + rng.standard_normal(image.shape, np.float32) * (noise + noise * np.sqrt(image))
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _shutter(smear: float) -> Array:
    """Weights of a line of pixels that are passed during the exposure; they sum to 1."""
    half = int(np.ceil(smear / 2))
    weights = np.clip(smear / 2 + 0.5 - np.abs(np.arange(-half, half + 1)), 0, 1)
    return weights / weights.sum()


@dataclass(frozen=True)
class Segmenter:
    """A semantic segmenter: right about most pixels, vague about borders, blind to an object now and then.

    Attributes:
        classes: class id of each label; labels that are not listed become 0.
        wobble: how far its borders stray, standard deviation in pixels.
        miss: share of the frames in which it overlooks an object.
        smallest: objects with fewer pixels are not found.
    """

    classes: Mapping[str, int]
    wobble: float = 0.8
    miss: float = 0.03
    smallest: int = 25

    def segment(self, instance: NDArray[np.int32], labels: Mapping[int, str], rng: Generator) -> NDArray[np.uint8]:
        """(H, W) class ids, 0 = background; ``labels`` names the instances."""
        table = np.zeros(max([int(instance.max()), *labels]) + 1, np.uint8)
        count = np.bincount(instance.ravel(), minlength=len(table))
        for number, label in sorted(labels.items()):
            found = rng.random() >= self.miss and count[number] >= self.smallest
            table[number] = self.classes.get(label, 0) if found else 0
        strays = ndimage.gaussian_filter(rng.standard_normal((2, *instance.shape), np.float32), (0, 3, 3))
        strays = np.round(strays / strays.std() * self.wobble).astype(int)
        rows, columns = np.indices(instance.shape)
        rows = np.clip(rows + strays[0], 0, instance.shape[0] - 1)
        columns = np.clip(columns + strays[1], 0, instance.shape[1] - 1)
        return table[instance[rows, columns]]

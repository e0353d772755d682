"""Patches of real images, prepared once, each with its yardstick: how well it matches other real images."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import concurrency
from fingerprint._base.population import population
from fingerprint._patches.windows import Cut, Layout, Windows, boxes, in_groups

if TYPE_CHECKING:
    from fingerprint._base.types import Array

FLOOR = np.float32(2.0**-13)  # added to 1 - correlation: what rounding to 8 bits leaves of a perfect match
_CONTRAST = 1  # least standard deviation of an informative patch, in 255ths of the range of its image
_YARDSTICK = 20  # one in so many other real images matches a patch better than its yardstick
_AT_ONCE = 256  # real images whose matches in the population are in memory


@dataclass(frozen=True)
class PatchReals:
    """The patches of real images, prepared once for the comparison with any number of synthetic images.

    Parameters
    ----------
    layout : Layout
        How the images were cut.
    patches : Cut
        The patches as they are; then, where synthetic images are also searched turned, turned left to right.
    yardsticks : ndarray
        (1 or 2, n, rows, columns) int32: 1 - correlation to the yardstick, plus the floor, as the bits of a float32; 0
        where a patch is not informative, which nothing falls below.
    """

    layout: Layout
    patches: Cut
    yardsticks: Array

    @property
    def count(self) -> int:
        """Return the number of real images, n."""
        return int(self.yardsticks.shape[1])

    @property
    def mirror(self) -> bool:
        """Return whether synthetic images are also searched turned left to right."""
        return len(self.yardsticks) > 1

    def only(self, index: int) -> PatchReals:
        """Return what is known of one real image."""
        part = slice(index, index + 1)
        return PatchReals(self.layout, self.patches.of(part), self.yardsticks[:, part])

    @cached_property
    def packed(self) -> Array:  # pragma: no cover  (with the compiler only)
        """Return the yardsticks of 16 images a group, see `Cut.packed`."""
        return in_groups(self.yardsticks)

    @property
    def informative(self) -> Array:
        """Return (n,) int64: how many patches of each image are informative."""
        return np.asarray((self.patches.norms[0] > 0).sum(axis=(1, 2)))


def prepare_real(pixels: Array, *, mirror: bool = True, threads: int = 1) -> PatchReals:
    """Cut real images into patches and find how well each patch matches other real images.

    The images are reduced to boxes of pixels. A patch is 8 x 8 boxes, about an eighth of the image across; it is
    searched within two boxes of its place, half a box at a time, and compared by normalised correlation, which ignores
    brightness and contrast. A patch whose standard deviation is below 1 / 255 of the range of its image is flat and
    never counts.

    The yardstick of a patch is the match that 5 % of all other real images exceed: a few duplicates or slices of the
    same patient do not silence it. The patient's own are not left out even where they are known, because they measure
    the difficulty of what this patient alone shows. A share, not a count, means the same in small and large
    collections; of large ones 1,024 images stand for all.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16. Images of less than 8 x 8 have no patches.
    mirror : bool
        Also search synthetic images turned left to right.
    threads : int
        Threads to use.

    Returns
    -------
    PatchReals
        Can be pickled.
    """
    layout = Layout.of(*pixels.shape[1:])
    images = np.stack([boxes(image, layout) for image in pixels])
    standing = population(len(pixels))
    windows = Windows.of(images[standing], layout)
    cut = Cut.from_images(images, layout, _CONTRAST)
    rows, columns = layout.shape
    itself = standing[:, None] == np.arange(len(pixels))
    others = len(standing) - itself.sum(axis=0)

    yardsticks = np.zeros(cut.norms.shape, np.float32)
    parts = [slice(first, first + _AT_ONCE) for first in range(0, len(pixels), _AT_ONCE)]
    some_of = [cut.of(part) for part in parts]  # each packed once for all rows

    def measure(place: tuple[int, int]) -> None:
        """Find the yardsticks of a row of patches of some images."""
        row, number = place
        part, some = parts[number], some_of[number]
        best = windows.best(some, np.array([[row, 0]]), (1, columns)) * some.norms[0, :, row]
        rests = np.sort(np.where(itself[:, part, None], np.inf, rest_of(best)), axis=0)
        chosen = np.take_along_axis(rests, (others[part] // _YARDSTICK)[None, :, None], axis=0)[0]
        yardsticks[0, part, row] = np.where(others[part, None] > 0, chosen, np.float32(1) + FLOOR)

    concurrency.run(measure, itertools.product(range(rows), range(len(parts))), threads=threads)
    yardsticks[cut.norms == 0] = 0
    if mirror:
        cut, yardsticks = cut.and_turned, np.concatenate([yardsticks, yardsticks[..., ::-1]])
    return PatchReals(layout, cut, yardsticks.view(np.int32))


def rest_of(correlation: Array) -> Array:
    """Return what a correlation leaves of 1, at least 0, plus the floor, float32."""
    return np.maximum(np.float32(1) - correlation, np.float32(0)) + FLOOR

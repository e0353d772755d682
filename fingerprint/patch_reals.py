"""Patches of real images, prepared once, each with its yardstick: how well it matches other real images."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint import _threads
from fingerprint._patch_evidence_search import Layout, Stretched, box_grid, pack
from fingerprint._population import population

if TYPE_CHECKING:
    from fingerprint._types import Array

FLOOR = np.float32(2.0**-13)  # added to 1 - correlation: what rounding to 8 bits leaves of a perfect match
_CONTRAST = Fraction(1, 255)  # least standard deviation of an informative patch, in parts of the range of its image
_YARDSTICK = 20  # one in so many other real images matches a patch better than its yardstick


@dataclass(frozen=True)
class PatchReals:
    """The patches of real images, prepared once for the comparison with any number of synthetic images.

    Parameters
    ----------
    layout : Layout
        How the images were cut.
    count : int
        Number of real images, n.
    starts : ndarray
        (n_sites + 1,) int64: which patches belong to a site.
    members : ndarray
        (n_patches,) int64: image of each patch.
    patterns : ndarray
        (1 or 2, n_patches, 64) int8: the patches about their mean; then what the image turned left to right shows at
        their sites. Where a patch is not informative, zeros.
    norms : ndarray
        (1 or 2, n_patches) float32: 8 / norm of the pattern, 0 of zeros.
    yardsticks : ndarray
        (1 or 2, n_patches) int32: 1 - correlation to the yardstick, plus the floor, as the bits of a float32.
    """

    layout: Layout
    count: int
    starts: Array
    members: Array
    patterns: Array
    norms: Array
    yardsticks: Array

    @property
    def mirror(self) -> bool:
        """Return whether synthetic images are also searched turned left to right."""
        return len(self.patterns) > 1

    @property
    def informative(self) -> Array:
        """Return (n,) int64: how many patches of each image are informative."""
        return np.bincount(self.members[self.norms[0] > 0], minlength=self.count)

    def at(self, site: int) -> slice:
        """Return which patches belong to a site."""
        return slice(self.starts[site], self.starts[site + 1])

    @cached_property
    def packed(self) -> list[list[Array]]:  # pragma: no cover  (with the compiler and the tile registers only)
        """Return the patterns, as they are and turned, of each site as `best_amx` takes them."""
        return [[pack(side[self.at(site)]) for site in range(len(self.starts) - 1)] for side in self.patterns]


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
    grids = np.stack([box_grid(image, layout) for image in pixels])
    standing = population(len(pixels))
    stretched = Stretched.of(grids[standing], layout)
    ranges = np.ptp(grids, axis=(1, 2)).astype(np.int64)
    least = 64**3 * ranges**2 * _CONTRAST**2  # Fractions, compared exactly

    def at(site: Array) -> tuple[Array, Array, Array]:
        cut = grids[:, site[0] :: layout.spread, site[1] :: layout.spread][:, :8, :8].reshape(-1, 64).astype(np.int64)
        deviations = 64 * cut - cut.sum(axis=1, keepdims=True)
        spread = (deviations**2).sum(axis=1)  # 64**3 times the variance
        members = np.flatnonzero((spread > 0) & (spread >= least))
        patterns = _patterns(deviations[members])
        best = stretched.best(site, patterns) * _norms(patterns)
        rests = np.maximum(np.float32(1) - best, np.float32(0)) + FLOOR
        rests[standing[:, None] == members] = np.inf
        others = len(standing) - np.isin(members, standing)
        chosen = np.sort(rests, axis=0)[others // _YARDSTICK, np.arange(len(members))]
        return members, patterns, np.where(others > 0, chosen, np.float32(1) + FLOOR)

    found = list(_threads.map_ordered(at, layout.sites, threads=threads))
    sides = [found]
    if mirror:
        opposite = [found[site] for site in layout.opposite]
        sides.append([(who, own.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64), bars) for who, own, bars in opposite])
    together = [np.unique(np.concatenate([side[site][0] for side in sides])) for site in range(len(layout.sites))]
    starts = np.cumsum([0, *(len(members) for members in together)])
    patterns = np.zeros((len(sides), starts[-1], 64), np.int8)
    norms, yardsticks = (np.zeros(patterns.shape[:2], np.float32) for _ in range(2))
    for turn, side in enumerate(sides):
        for start, everyone, (members, own, bars) in zip(starts, together, side, strict=False):
            rows = start + np.searchsorted(everyone, members)
            patterns[turn, rows], norms[turn, rows], yardsticks[turn, rows] = own, _norms(own), bars
    members = np.concatenate([np.zeros(0, np.int64), *together])
    return PatchReals(layout, len(pixels), starts, members, patterns, norms, yardsticks.view(np.int32))


def _patterns(deviations: Array) -> Array:
    """Stretch patches about their mean, (n, 64) int64, to int8 numbers that sum up to exactly 0.

    The products with a window then need no correction for its mean.
    """
    largest = np.abs(deviations).max(axis=1, keepdims=True, initial=1)
    rounded = (2 * 127 * deviations + largest) // (2 * largest)
    # what rounding added is taken from the numbers that it raised most
    excess = rounded.sum(axis=1, keepdims=True)
    raised = (rounded * largest - 127 * deviations) * np.where(excess > 0, -1, 1)
    order = np.argsort(np.argsort(raised, axis=1, kind="stable"), axis=1)
    return np.asarray(rounded - np.sign(excess) * (order < np.abs(excess)), np.int8)


def _norms(patterns: Array) -> Array:
    return np.asarray(8 / np.sqrt((patterns.astype(np.float64) ** 2).sum(axis=1)), np.float32)

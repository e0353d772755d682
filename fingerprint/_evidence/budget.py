"""Budget: what one pass allocates, and how to work so that it stays within a stated number of bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import bounds, histogram
from fingerprint._base.representatives import representatives
from fingerprint._evidence.scales import at_once, prepare_scales
from fingerprint._images.checkpoint import HELD
from fingerprint._images.loading import block_of
from fingerprint._patches.gain_reals import CUT_AT_ONCE
from fingerprint._patches.gain_search import GainPatches, GainWindows, PatchGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array
    from fingerprint._evidence.scales import Scale

_FLOAT = 8  # bytes
_OTHERS = 100  # nearest other real images of each, and those of a representative that is looked at


def plan(
    pixels: Array,
    scales: Sequence[Scale],
    *,
    patches: bool,
    k: int,
    block: int,
    threads: int,
    memory: int | None,
    forms: int = 1,
) -> bounds.Plan:
    """Choose how to work on real images: as fast as the memory allows. Results do not depend on it.

    Parameters
    ----------
    pixels : ndarray
        (n_real, h, w) uint8 or uint16: all real images.
    scales : sequence of Scale
        What is compared.
    patches : bool
        Whether patches are compared too.
    k : int
        Nearest synthetic images that are kept.
    block, threads : int
        The most of each.
    memory : int, optional
        What the process may take, in bytes. Without it, half of what is available is aimed at.
    forms : int
        In how many forms each synthetic image comes; a block holds all of an image.

    Returns
    -------
    Plan
        With as many threads as go, and real images kept packed if they can be.

    Raises
    ------
    InputError
        If `memory` is not enough for any way to work; it says how much would be.
    """
    found = ways(pixels, scales, patches=patches, k=k, block=block, threads=threads, forms=forms)
    return bounds.fitting(found, pixels, memory)


def ways(
    pixels: Array, scales: Sequence[Scale], *, patches: bool, k: int, block: int, threads: int, forms: int = 1
) -> list[bounds.Plan]:
    """Return all ways to work on real images, the fastest first; arguments as for `plan`.

    Images that are kept packed come before large blocks, and threads before both.
    """
    needs = _Needs.of(pixels, scales, patches=patches, k=k, forms=forms)
    largest = bounds.uncut(block_of(block, pixels.nbytes // len(pixels)), forms)
    return bounds.ways(needs.most, block=largest, threads=threads, packed=(True, False), forms=forms)


@dataclass(frozen=True)
class _Needs:
    """What is allocated, in bytes, by what it grows with; what the code makes of 16 blank images is measured.

    Parameters
    ----------
    count : int
        Real images.
    chosen : int
        How many of them are representatives.
    image, side : int
        Pixels of an image, and the image packed for comparison at all scales.
    cut, window : int
        Patches of a real image, as they are and packed; windows of an image that is searched.
    match : int
        What a representative matches in one row of patches of a real image.
    whole, windows, whitened : int
        Scales of whole images, those of windows, and how many of all are whitened.
    shared : int
        Matrices of distances that are worked out together.
    some : int
        Real images that are packed at a time.
    k : int
        Nearest synthetic images that are kept.
    forms : int
        In how many forms each synthetic image comes.
    """

    count: int
    chosen: int
    some: int
    image: int
    side: int
    cut: int
    window: int
    match: int
    whole: int
    windows: int
    whitened: int
    shared: int
    k: int
    forms: int

    @classmethod
    def of(cls, pixels: Array, scales: Sequence[Scale], *, patches: bool, k: int, forms: int) -> _Needs:
        blank = np.zeros((bounds.GROUP, *pixels.shape[1:]), pixels.dtype)
        sides = {id(side): side for side in prepare_scales(blank, scales).values()}
        packed = sum(array.nbytes for side in sides.values() for array in side.arrays.values())
        cut = window = columns = 0
        if patches:
            grid = PatchGrid.of(*pixels.shape[1:])
            cells, columns = np.zeros((1, *grid.cell_shape), np.uint8), grid.shape[1]
            one, other = GainPatches.of(cells, grid, 1), GainWindows.of(cells, grid)
            cut = 4 * one.quarters.nbytes + 8 * one.means.nbytes + 4 * one.norms.nbytes
            window = other.words.nbytes + other.sums.nbytes + other.scales.nbytes
        return cls(
            count=len(pixels),
            chosen=len(representatives(len(pixels))),
            some=max(bounds.GROUP, min(len(pixels), at_once(pixels))),
            image=pixels.nbytes // len(pixels),
            side=2 * packed // bounds.GROUP,  # as the second side of dot products, too
            cut=cut,
            window=window,
            match=6 * 4 * columns,
            whole=sum(not scale.windowed for scale in scales),
            windows=sum(scale.windowed for scale in scales),
            whitened=sum(scale.whitened for scale in scales),
            shared=1 + max(Counter(scale.factor for scale in scales).values()),
            k=k,
            forms=forms,
        )

    def most(self, *, packed: bool, block: int, threads: int) -> int:
        """Return what a process takes at most that works in this way."""
        scales = self.whole + self.windows
        padded = -(-self.count // bounds.GROUP) * bounds.GROUP
        kept = bounds.PROCESS + self.count * (self.image + scales * _OTHERS * _FLOAT) + padded * self.side * packed
        matrix = self.count * self.chosen * _FLOAT  # of all and the representatives
        learnt = self.whitened * matrix
        working = min(threads, self.shared) * (5 * matrix + 3 * self.chosen**2 * _FLOAT)
        learning = self.shared * matrix + max(working, self.some * (self.image + 2 * self.side))
        cutting = self.count * self.cut + self.chosen * (self.window + threads * CUT_AT_ONCE * self.match)
        return kept + learnt + max(learning, cutting, self.count * self.cut + self._comparing(packed, block, threads))

    def _comparing(self, packed: bool, block: int, threads: int) -> int:
        """Return what the pass takes beyond the real images: each thread, the results that wait, and the sum of all."""
        matrices = self.whole + self.windows + 4 + 2 * self.whole
        counted = self.whole * min(self.forms, 2) + 1  # as they are, and in the nearest form
        counts = self.count * counted * len(histogram.edges())
        nearest = self.count * ((self.whole + 1) * min(self.k, block) * 3 + 2 * self.windows) * _FLOAT
        one = max(block, bounds.GROUP) * (self.image + self.side) + self.some * self.side * (not packed)
        one += self.count * block * (matrices + 2) * _FLOAT
        part = counts * np.min_scalar_type(block).itemsize + nearest
        return threads * one + 2 * threads * part + max(2 * part, min(HELD, 16 * part)) + 3 * counts * 4

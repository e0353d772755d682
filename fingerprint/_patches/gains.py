"""Evidence of patches: by how much better one synthetic image matches parts of a real image than others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import histogram, naming
from fingerprint._kernels.memory import aligned
from fingerprint._patches.real_side import FLOOR, rest_of
from fingerprint._patches.windows import Windows, boxes, sites_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array
    from fingerprint._patches.real_side import PatchReals

_OCTAVE = 2.0**-15  # unit of the sums
_RIVALRY = 2  # see `summarise_patches`
_BY_CHANCE = int(2 / _OCTAVE)  # what a patch may gain where a structure happens to match: two octaves
_NOTHING = -(2**62)  # evidence of no image: below any, and can be negated
_AT_ONCE = 16  # synthetic images whose parts around a place stay in the second-level cache


@dataclass(frozen=True)
class PatchSummary:
    """The strongest patch evidence for every real image, from the synthetic images seen so far.

    Summaries of disjoint parts of a collection merge into the summary of the whole, exactly and in any order.

    Parameters
    ----------
    n_fake : int
        Number of synthetic images seen.
    fakes : tuple of str
        Names of the synthetic images that `indices` refers to, in natural order.
    evidence : ndarray
        (n_real, k) int64, descending: see `summarise_patches`, in units of 2**-15 octaves; -(2**62) where fewer
        were seen. Of equally strong ones the lower name comes first.
    indices : ndarray
        (n_real, k) int64: positions in `fakes`; -1 where fewer were seen.
    mirrored : ndarray
        (n_real, k) bool: True where the synthetic image matches better turned left to right.
    counts : ndarray
        (n_real, n_bins) int64: how many sums of gains, before rivals take from them, lie in each bin of octaves, see
        `fingerprint._base.histogram`.
    """

    n_fake: int
    fakes: tuple[str, ...]
    evidence: Array
    indices: Array
    mirrored: Array
    counts: Array

    @property
    def k(self) -> int:
        """Return how many synthetic images are kept for each real one."""
        return int(self.evidence.shape[1])

    @property
    def gains(self) -> Array:
        """Return (n_real, k) float64: the evidence in octaves, without meaning where fewer than k were seen."""
        return np.asarray(self.evidence * _OCTAVE)

    @property
    def usual(self) -> int:
        """Return how many synthetic images reach the usual sum of gains of a real image, see `scores`."""
        return 10 + self.n_fake // 100

    @property
    def scores(self) -> Array:
        """Return (n_real,) float64: the strongest evidence in octaves beyond the usual; higher = more likely used.

        What is rare in the real images, or smooth as synthetic ones are, matches many synthetic images better than real
        ones. Usual for an image is what it reaches in 1 % and ten of the synthetic images: few enough to be exceeded by
        chance, and more than are likely to be copies of one and the same image.
        """
        return np.asarray(self.gains[:, 0] - histogram.largest(self.counts, self.usual))

    def first(self, count: int) -> PatchSummary:
        """Return the evidence about the first `count` real images alone."""
        fakes, indices = naming.referenced(self.fakes, self.indices[:count])
        return PatchSummary(
            self.n_fake, fakes, self.evidence[:count], indices, self.mirrored[:count], self.counts[:count]
        )


@dataclass(frozen=True)
class PatchEvidence:
    """Where one synthetic image matches one real image.

    Parameters
    ----------
    rows, columns : ndarray
        (n_rows,) and (n_columns,) int64: upper and left edges of the patches of the real image, in pixels.
    size : int
        Side of a patch in pixels.
    gains : ndarray
        (n_rows, n_columns) float64: by how many octaves the patch matches better than other real images do; 0 = not
        better, or flat.
    offsets : ndarray
        (n_rows, n_columns, 2) int64: how many pixels further down and right the match lies, in the synthetic image as
        `mirrored` says.
    mirrored : bool
        Whether the synthetic image is to be turned left to right first.
    """

    rows: Array
    columns: Array
    size: int
    gains: Array
    offsets: Array
    mirrored: bool

    @property
    def total(self) -> float:
        """Return the sum of the gains in octaves."""
        return float(self.gains.sum())


def summarise_patches(real: PatchReals, pixels: Array, names: Sequence[str], *, k: int = 1) -> PatchSummary:
    """Compare prepared real images with one block of synthetic ones.

    The sum of a pair is by how many octaves (halvings of 1 - correlation) the patches of the real image match in the
    synthetic one better than in other real images, over all patches that do: the log of how much likelier they are as a
    copy. All are sought in one and the same synthetic image: turned, where every fourth patch down and across gains
    more so, by over two octaves, which one structure that happens to match may gain; else as it is.

    What another real image explains better counts against: a copy of a slice matches its neighbours of the same
    patient too. The evidence is the sum, less twice what it lacks to that of the real image which the synthetic one
    matches best.

    Parameters
    ----------
    real : PatchReals
        The real images.
    pixels : ndarray
        (m, h, w) synthetic images of the same size, possibly none.
    names : sequence of str
        Their m names.
    k : int
        How many synthetic images to keep for each real one.

    Returns
    -------
    PatchSummary
        Of this block alone. Of one pair it depends on that synthetic image and the real ones only.
    """
    in_order = naming.in_order(names)
    total = np.zeros((len(names), real.count), np.int64)
    mirrored = np.zeros(total.shape, bool)
    for first in range(0, len(names), _AT_ONCE):
        part = pixels[in_order[first : first + _AT_ONCE]]
        total[first : first + _AT_ONCE], mirrored[first : first + _AT_ONCE] = _sums(real, part)
    counts = histogram.count(total.T * _OCTAVE)
    if real.count > 1 and len(names):
        rivals = np.sort(total, axis=1)[:, -2:]
        best_other = np.where(total == rivals[:, 1:], rivals[:, :1], rivals[:, 1:])
        total -= _RIVALRY * np.maximum(best_other - total, 0)
    evidence = np.full((real.count, k), _NOTHING)
    indices = np.full((real.count, k), -1)
    turned_best = np.zeros((real.count, k), bool)
    kept = min(k, len(names))
    order = np.argsort(-total, axis=0, kind="stable")[:kept].T
    evidence[:, :kept] = np.take_along_axis(total.T, order, axis=1)
    indices[:, :kept] = order
    turned_best[:, :kept] = np.take_along_axis(mirrored.T, order, axis=1)
    fakes, indices = naming.referenced([names[i] for i in in_order], indices)
    return PatchSummary(len(names), fakes, evidence, indices, turned_best, counts)


def merge(summaries: Sequence[PatchSummary]) -> PatchSummary:
    """Merge the summaries of disjoint parts of a collection.

    The result is the same, bit for bit, however the collection was cut and in whatever order its parts are merged.

    Parameters
    ----------
    summaries : sequence of PatchSummary
        At least one; about the same real images and k.

    Returns
    -------
    PatchSummary
        Of all synthetic images together.
    """
    names, placed = naming.united([(part.fakes, part.indices) for part in summaries])
    evidence = np.concatenate([part.evidence for part in summaries], axis=1)
    indices = np.concatenate(placed, axis=1)
    mirrored = np.concatenate([part.mirrored for part in summaries], axis=1)
    order = np.lexsort((indices, -evidence), axis=1)[:, : summaries[0].k]
    fakes, indices = naming.referenced(names, np.take_along_axis(indices, order, axis=1))
    return PatchSummary(
        sum(part.n_fake for part in summaries),
        fakes,
        np.take_along_axis(evidence, order, axis=1),
        indices,
        np.take_along_axis(mirrored, order, axis=1),
        np.sum([part.counts for part in summaries], axis=0),
    )


def explain(real: PatchReals, index: int, fake: Array) -> PatchEvidence:
    """Show where one synthetic image matches one real image.

    Parameters
    ----------
    real : PatchReals
        The real images.
    index : int
        Which of them.
    fake : ndarray
        (h, w) synthetic image.

    Returns
    -------
    PatchEvidence
        As the image is or turned left to right, whichever matches better. The gains are those that
        `summarise_patches` adds up.
    """
    from fingerprint._kernels.patch_gains import scaled_products

    layout, alone = real.layout, real.only(index)
    windows = Windows.of(boxes(fake, layout)[None], layout)
    turn = int(_turned(alone, windows)[0, 0])
    gains = np.zeros(layout.shape, np.int64)
    where = np.full(layout.shape, len(layout.offsets) // 2)
    for r, c in np.ndindex(*layout.shape):
        (window,), (scale,) = windows.at(r, c)
        found = scaled_products(window, scale, *alone.patches.patterns(turn, r, c))[:, 0]
        best = np.maximum(found.max(), np.float32(0))
        gains[r, c] = octaves(best, alone.patches.norms[turn, 0, r, c], alone.yardsticks[turn, 0, r, c])
        where[r, c] = found.argmax() if gains[r, c] else where[r, c]
    shifts = layout.offsets[where]
    if turn:  # the grid of patches is turned about its own middle, which may lie aside of that of the image
        aside = layout.width - layout.size - layout.columns[0] - layout.columns[-1]
        gains, shifts = gains[:, ::-1], shifts[:, ::-1] * (1, -1) + (0, aside)
    return PatchEvidence(
        rows=layout.rows,
        columns=layout.columns,
        size=layout.size,
        gains=gains * _OCTAVE,
        offsets=shifts,
        mirrored=bool(turn),
    )


def _sums(real: PatchReals, pixels: Array) -> tuple[Array, Array]:
    """Return the sums of the gains, (m, n) int32, and whether they are those of the image turned left to right."""
    layout = real.layout
    windows = Windows.of(np.stack([boxes(image, layout) for image in pixels]), layout)
    turned = _turned(real, windows)
    return _sums_at(real, windows, np.zeros((1, 2), np.int64), layout.shape, turned), turned


def _turned(real: PatchReals, windows: Windows) -> Array:
    """Return which images are searched turned left to right, (m, n) bool: where the deciding patches gain more so."""
    as_is = np.zeros((len(windows.words), real.count), bool)
    if not real.mirror:
        return as_is
    one, other = (_sums_at(real, windows, real.layout.deciding, (1, 1), side) for side in (as_is, ~as_is))
    return np.asarray(other > one + _BY_CHANCE)


def _sums_at(real: PatchReals, windows: Windows, firsts: Array, shape: tuple[int, int], turned: Array) -> Array:
    """Return the sums (m, n) of the gains of `shape` patches, down and across, from each of the `firsts`, (k, 2), on.

    Of the patches as they are or turned, as `turned` says.
    """
    from fingerprint._kernels import patch_gains as kernels

    total = np.zeros(turned.shape, np.int32)
    sites = sites_of(firsts, shape)
    if not sites:
        return total
    numbers = np.ravel_multi_index(np.transpose(sites), real.layout.shape)
    if windows.kernel == "vectors":  # pragma: no cover  (with the compiler only)
        blocks, means, norms = real.patches.packed
        norms, yardsticks = (
            side.reshape(*side.shape[:2], -1, 16).take(numbers, axis=2) for side in (norms, real.packed)
        )
        spare = -real.count % 16
        padded = np.pad(turned, ((0, 0), (0, spare)), mode="edge")
        total = np.pad(total, ((0, 0), (0, spare)))
        best = aligned((len(firsts), *shape, 16), np.float32)
        about = blocks, means, norms, yardsticks, FLOOR, padded, windows.above(shape), best
        kernels.sum_vectors(*windows.arguments(firsts), *about, total)
        return total[:, : real.count]
    norms, yardsticks = (
        side.reshape(*side.shape[:2], -1)[:, :, numbers] for side in (real.patches.norms, real.yardsticks)
    )
    for n, site in enumerate(sites):
        at = windows.at(*site)
        for turn in range(len(yardsticks)):
            best = kernels.best_numpy(*at, *real.patches.patterns(turn, *site))
            total += np.where(turned == turn, octaves(best, norms[turn, :, n], yardsticks[turn, :, n]), 0)
    return total


def octaves(best: Array, norms: Array, yardsticks: Array) -> Array:
    """Return by how many octaves each best match beats its yardstick, at least 0, in steps of 2**-15, int32.

    A match times its norm is a correlation, and a yardstick the bits of a float32. Between powers of two the logarithm
    is taken as linear, so that it is the difference of the bits, and a sum of logarithms one of whole numbers.
    """
    rests = np.asarray(rest_of(best * norms))
    return np.asarray(np.maximum(yardsticks - rests.view(np.int32), 0) >> 8)

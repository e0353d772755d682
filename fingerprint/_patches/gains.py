"""Gains: by how much better one synthetic image matches the patches of a real image than other real images do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import display, histogram
from fingerprint._base.best import Best
from fingerprint._base.frozen import Frozen
from fingerprint._base.public import public
from fingerprint._kernels.memory import Workspace, aligned
from fingerprint._patches.gain_reals import FLOOR, unexplained
from fingerprint._patches.gain_search import GainWindows, cells_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fingerprint._base.types import Array
    from fingerprint._patches.gain_reals import GainReals, Sites

_UNIT = 2.0**-15  # log2 units in which gains are counted as whole numbers
_BY_CHANCE = int(2 / _UNIT)  # what a patch may gain where a structure happens to match
STRUCTURE = 20.0  # what the patches may gain in which such a structure lies: up to nine, which overlap
_STRUCTURE = int(STRUCTURE / _UNIT)
_SOME = 2 * _BY_CHANCE  # a pair that gains more, by whole cells, is searched by every other half cell
_MUCH = 3 * _STRUCTURE  # a pair that then gains more is searched by every one
_RIVALRY = 2  # leads that a rival takes at least, see `summarise_gains`
_AT_ONCE = 16  # synthetic images whose windows stay in the second-level cache
_ROOM = Workspace()  # for these windows


@dataclass(frozen=True)
class GainSummary:
    """The largest net gains of every real image, from the synthetic images seen so far.

    Summaries of disjoint parts of a stream merge into the summary of the whole, exactly and in any order.

    Parameters
    ----------
    best : Best
        Rows are the n_real real images; values are minus the net gains, int64 in units of 2**-15, see
        `summarise_gains`.
    counts : ndarray
        (n_real, n_bins) of the smallest unsigned integers that hold n_fake: log histogram of the sums of gains before
        rivals take from them, see `fingerprint._base.histogram`.
    """

    best: Best
    counts: Array

    @property
    def n_fake(self) -> int:
        """Return the number of synthetic images seen."""
        return self.best.n_seen

    @property
    def gains(self) -> Array:
        """Return (n_real, k) float64 net gains as log2 ratios, descending; fewer columns where fewer were seen."""
        return np.asarray(-self.best.values * _UNIT)

    @property
    def sound(self) -> bool:
        """Whether the parts go together, as those of a file need not."""
        return histogram.sound(self.counts, self.n_fake)

    @property
    def usual(self) -> int:
        """Return how many synthetic images reach the usual sum of gains of a real image, see `scores`."""
        return 10 + self.n_fake // 100

    @property
    def scores(self) -> Array:
        """Return (n_real,) float64: the largest net gain beyond the usual, a log2 ratio; higher = more likely used.

        A real image that shows something rare, or is as smooth as synthetic ones, matches many synthetic images better
        than real ones do. So what is usual for an image is taken off: the sum of gains that 1 % and ten of the
        synthetic images reach. Those are few enough that chance exceeds them, and more than there are copies of one
        image. By how much rivals take more than there is says nothing of an image: the net gain counts from 0 on.
        """
        return np.asarray(np.maximum(self.gains[:, 0], 0.0) - histogram.largest(self.counts, self.usual))

    def first(self, count: int) -> GainSummary:
        """Return the summary of the first `count` real images alone."""
        return GainSummary(self.best.some(np.s_[:count]), self.counts[:count])

    def placed(self, place: Callable[[Array], Array]) -> GainSummary:
        """Return the same for synthetic images that stand elsewhere in the stream, see `Best.placed`."""
        return replace(self, best=self.best.placed(place))


@public
@dataclass(frozen=True, eq=False, repr=False)
class GainMap(Frozen):
    """Where one synthetic image matches one real image.

    Parameters
    ----------
    rows, columns : ndarray
        (n_rows,) and (n_columns,) int64: upper and left edges of the patches of the real image, in pixels.
    patch_size : int
        Side of a patch in pixels.
    gains : ndarray
        (n_rows, n_columns) float64: gain of each patch, a log2 ratio; 0 = no better than other real images, or flat.
    offsets : ndarray
        (n_rows, n_columns, 2) int64: how many pixels further down and right the match lies, in the synthetic image as
        `mirrored` says.
    mirrored : bool
        Whether the synthetic image matches mirrored.
    """

    rows: Array
    columns: Array
    patch_size: int
    gains: Array
    offsets: Array
    mirrored: bool

    def __repr__(self) -> str:
        return f"<GainMap: {' x '.join(map(str, self.gains.shape))} patches, {(self.gains > 0).sum()} of them gain>"

    def _repr_html_(self) -> str:
        largest = np.argsort(-self.gains, axis=None, kind="stable")[: display.SHOWN + 1]
        places = [divmod(int(i), self.gains.shape[1]) for i in largest]
        rows = [(self.rows[r], self.columns[c], *self.offsets[r, c], float(self.gains[r, c])) for r, c in places]
        return display.table(repr(self)[1:-1], ("row", "column", "down", "right", "gain"), rows)

    @property
    def total(self) -> float:
        """Return the sum of the gains."""
        return float(self.gains.sum())


def summarise_gains(real: GainReals, pixels: Array, names: Sequence[str], *, k: int = 1, forms: int = 1) -> GainSummary:
    """Compare prepared real images with one block of synthetic ones.

    The gain of a patch is log2 of what it leaves unexplained in other real images (1 - correlation, at the reference
    quantile) over what it leaves unexplained in the synthetic image, or 0 where that is negative. The sum of the gains
    of all patches says how much likelier the patches are as copies from this one synthetic image.

    A patch is searched by every other cell, as the white squares of a chessboard. A pair that gains more than 4 so,
    which two structures that happen to match may, is searched by every other half cell; and one that then gains more
    than 60, by every half cell. Where a cell is a pixel, every shift is searched at once.

    The synthetic image is searched as it is. If some of its patches, every fourth down and across, gain more by 2 if
    mirrored, it is searched both ways, by half cells, and is mirrored if that raises the sum of all patches by more
    than 2: one structure that happens to match gains as much.

    A copy of one slice also matches other slices of the same patient. So another real image that the synthetic one
    matches better counts against, the more, the surer it is that this one was copied: the net gain is the sum less the
    lead of the best other real image, once for every 20 that this one gains, as a structure may, and at least twice.

    Parameters
    ----------
    real : GainReals
        The real images.
    pixels : ndarray
        (m, h, w) synthetic images of the same size, possibly none.
    names : sequence of str
        Their m names.
    k : int
        How many synthetic images to keep for each real one.
    forms : int
        How many of these images, which follow one another, are forms of one and count once.

    Returns
    -------
    GainSummary
        Of this block alone. What it says of a pair depends on that synthetic image and the real ones only.
    """
    parts = [_sums(real, pixels[first : first + _AT_ONCE])[0] for first in range(0, len(pixels), _AT_ONCE)]
    total = np.concatenate([np.zeros((0, real.count), np.int64), *parts])
    counts = histogram.count(total.reshape(len(total) // forms, forms, real.count).max(axis=1).T * _UNIT)
    if real.count > 1 and len(total):
        leaders = np.sort(total, axis=1)[:, -2:]
        best_other = np.where(total == leaders[:, 1:], leaders[:, :1], leaders[:, 1:]).astype(np.int64)
        lead = np.maximum(best_other - total, 0)
        total = total - lead * np.maximum(best_other, _RIVALRY * _STRUCTURE) // _STRUCTURE
    return GainSummary(Best.of(-total.T, names, k, forms), counts)


def least_compared(real: GainReals) -> float:
    """Return from which sum on pairs can be compared with others; 0 where all pairs are searched alike.

    Where pairs that gain more are searched by more shifts, the sums of others are smaller than they would be, and what
    one structure gains by chance stands out from them.
    """
    return STRUCTURE if real.grid.spread > 1 else 0.0


def merge(summaries: Sequence[GainSummary]) -> GainSummary:
    """Return the summary of all synthetic images together, from those of different ones, at least one.

    The result is the same, bit for bit, however the stream was cut and in whatever order its parts are merged.
    """
    best = Best.merge([part.best for part in summaries])
    return GainSummary(best, histogram.add([part.counts for part in summaries], best.n_seen))


def explain(real: GainReals, index: int, fake: Array) -> GainMap:
    """Show where one synthetic image matches one real image.

    Parameters
    ----------
    real : GainReals
        The real images.
    index : int
        Which of them.
    fake : ndarray
        (h, w) synthetic image.

    Returns
    -------
    GainMap
        As the synthetic image is or mirrored, whichever matches better. The gains are those that `summarise_gains`
        adds up.
    """
    from fingerprint._kernels.patch_gains import scaled_products

    grid, alone = real.grid, real.only(index)
    windows = GainWindows.of(cells_of(fake[None], grid), grid)
    _, mirrored, passes = _sums(alone, fake[None])
    side, searched = int(mirrored[0, 0]), (grid.first, grid.second, np.ones(len(grid.offsets), bool))[passes[0, 0]]
    gains = np.zeros(grid.shape, np.int64)
    where = np.full(grid.shape, len(grid.offsets) // 2)
    for r, c in np.ndindex(*grid.shape):
        (window,), (scale,) = windows.at(r, c)
        found = scaled_products(window, scale, *alone.patches.at(r, c, mirrored=side))[:, 0]
        found[~searched] = 0
        best = np.maximum(found.max(), np.float32(0))
        gains[r, c] = log2_gains(best, alone.patches.norms[side, 0, r, c], alone.quantiles[side, 0, r, c])
        where[r, c] = found.argmax() if gains[r, c] else where[r, c]
    shifts = grid.offsets[where]
    if side:  # the grid of patches is mirrored about its own middle, which may lie aside of that of the image
        aside = grid.width - grid.size - grid.columns[0] - grid.columns[-1]
        gains, shifts = gains[:, ::-1], shifts[:, ::-1] * (1, -1) + (0, aside)
    return GainMap(
        rows=grid.rows,
        columns=grid.columns,
        patch_size=grid.size,
        gains=gains * _UNIT,
        offsets=shifts,
        mirrored=bool(side),
    )


def _sums(real: GainReals, pixels: Array) -> tuple[Array, Array, Array]:
    """Return the sums of the gains, (m, n) int32, whether they are those of the mirrored image, and how far it went.

    That is 0 where only some shifts were searched, 1 at every other one, 2 at every one.
    """
    grid, cells = real.grid, cells_of(pixels, real.grid)
    halves = grid.spread > 1
    windows = GainWindows.of_whole_cells(cells, grid, _ROOM)
    total, deciding = _sums_at(real, windows, real.everywhere, side=0)
    maybe = _maybe_mirrored(real, windows, deciding)
    mirrored, searched = np.zeros_like(maybe), np.full(total.shape, 0 if halves else 2)
    some = maybe | (total > _SOME)
    if halves and some.any():
        windows = GainWindows.of(cells, grid, _ROOM)
        searched[some] = 1
        total[some] = _sums_of(real, windows, some, mirrored, every=False)
    if maybe.any():
        found = _sums_of(real, windows, maybe, maybe, every=not halves)
        mirrored[maybe] = found > total[maybe] + _BY_CHANCE
        total[maybe] = np.where(mirrored[maybe], found, total[maybe])
    much = total > _MUCH
    if halves and much.any():
        searched[much] = 2
        total[much] = _sums_of(real, windows, much, mirrored, every=True)
    return total, mirrored, searched


def _maybe_mirrored(real: GainReals, windows: GainWindows, as_is: Array) -> Array:
    """Return which pairs are searched both ways, (m, n) bool: where the deciding patches gain more mirrored."""
    if not real.mirror:
        return np.zeros(as_is.shape, bool)
    return np.asarray(_sums_at(real, windows, real.deciding, side=1)[0] > as_is + _BY_CHANCE)


def _sums_at(real: GainReals, windows: GainWindows, sites: Sites, *, side: int) -> Array:
    """Return the sums (2, m, n) of the gains of the patches at some places, and of the deciding ones among them.

    Of the patches as they are (0) or mirrored (1), at the shifts that are searched first; `windows` are those of whole
    cells.
    """
    from fingerprint._kernels import patch_gains as kernels

    quarters, means, norms, quantiles = (
        packed[side] for packed in (*real.patches.packed[:2], sites.norms, sites.quantiles)
    )
    total = np.zeros((len(windows.words), len(quarters), 2, 16), np.int32)
    if len(sites.decide):
        best = aligned((len(sites.firsts), *sites.shape, 16), np.float32)
        where = windows.places(sites.firsts), windows.radius, real.grid.spread == 1
        about = quarters, means, norms, quantiles, FLOOR, sites.decide
        kernels.sum_gains(*windows.maps, *where, *about, windows.above(sites.shape), best, total)
    return total.transpose(2, 0, 1, 3).reshape(2, len(total), -1)[..., : real.count]


def _sums_of(real: GainReals, windows: GainWindows, pairs: Array, mirrored: Array, *, every: bool) -> Array:
    """Return the sums of the gains of some pairs, (m, n) bool, one after the other, at every or every other shift."""
    from fingerprint._kernels import patch_gains as kernels

    fakes, reals = pairs.nonzero()
    counts = pairs.sum(axis=1)
    number = np.arange(len(fakes)) - (counts.cumsum() - counts)[fakes]  # among the pairs of a synthetic image
    chosen = np.full((len(pairs), -(-int(counts.max()) // 16), 16), -1)
    lanes = fakes, number // 16, number % 16
    chosen[lanes] = reals + real.count * mirrored[pairs]
    total = np.zeros((*chosen.shape[:2], 2, 16), np.int32)
    rows, columns = real.grid.shape
    spaces = aligned((rows + 1, columns + 1, 4, 16), np.uint32), aligned((4, rows, columns, 16), np.float32)
    where = (*windows.place(0, 0), 0, 0), windows.radius, windows.spread, every
    about = chosen, *real.rows, FLOOR, windows.above(real.grid.shape)
    kernels.sum_gains_of(*windows.maps, *where, *about, *spaces, total)
    return np.asarray(total[:, :, 0][lanes])


def log2_gains(best: Array, norms: Array, quantiles: Array) -> Array:
    """Return the gain of each best match over its reference quantile, at least 0, int32 in units of 2**-15.

    A match times its norm is a correlation, and a quantile the bits of a float32. Between powers of two the logarithm
    is taken as linear. So it is a difference of bits, and sums of gains are sums of whole numbers.
    """
    rests = np.asarray(unexplained(best * norms))
    return np.asarray(np.maximum(quantiles - rests.view(np.int32), 0) >> 8)

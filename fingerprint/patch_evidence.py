"""Evidence of patches: by how much better one synthetic image matches parts of a real image than others do."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint import _names, _threads, bins
from fingerprint._memory import TILE_REGISTERS, aligned
from fingerprint._population import population

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._types import Array

_FINEST = 64  # boxes along the shorter side of an image, at least, where it has as many pixels
_FLOOR = np.float32(2.0**-13)  # added to 1 - correlation: what rounding to 8 bits leaves of a perfect match
_CONTRAST = Fraction(1, 255)  # least standard deviation of an informative patch, in parts of the range of its image
_YARDSTICK = 20  # one in so many other real images matches a patch better than its yardstick
_OCTAVE = 2.0**-15  # unit of the sums
_RIVALRY = 2  # see `summarise_patches`
_NOTHING = -(2**62)  # evidence of no image: below any, and can be negated
_AT_ONCE = 32  # synthetic images whose parts around a place stay in the second-level cache


@dataclass(frozen=True)
class Layout:
    """How images are reduced and cut for the patch evidence.

    Parameters
    ----------
    height, width : int
        Of the images, in pixels.
    box : int
        Side of the squares of pixels that are averaged, so that about 64 to 127 lie along the shorter side.
    step : int
        Pixels from one window that is searched to the next, half a box.
    """

    height: int
    width: int
    box: int
    step: int

    @classmethod
    def of(cls, height: int, width: int) -> Layout:
        """Return the layout for images of this size."""
        box = 1
        while min(height, width) // (2 * box) >= _FINEST:
            box *= 2
        return cls(height, width, box, max(1, box // 2))

    @property
    def spread(self) -> int:
        """Return the steps to a box."""
        return self.box // self.step

    @property
    def radius(self) -> int:
        """Return the farthest shift that is searched, in steps: two boxes."""
        return 2 * self.spread

    @property
    def size(self) -> int:
        """Return the side of a patch in pixels: eight boxes."""
        return 8 * self.box

    @property
    def rows(self) -> Array:
        """Return the upper edges of the patches in pixels, int64."""
        return self._edges(self.height)

    @property
    def columns(self) -> Array:
        """Return the left edges of the patches in pixels, int64."""
        return self._edges(self.width)

    def _edges(self, length: int) -> Array:
        stride = 4 * self.box
        rest = (length - self.size) % stride
        return np.arange(rest // 2 // self.step * self.step, length - self.size + 1, stride)

    @property
    def sites(self) -> Array:
        """Return (n_sites, 2) int64: the patches, row by row, in steps."""
        rows, columns = np.meshgrid(self.rows, self.columns, indexing="ij")
        return np.stack([rows.ravel(), columns.ravel()], axis=1) // self.step

    @property
    def opposite(self) -> Array:
        """Return (n_sites,) int64: the site at which a patch lies when the sites are turned left to right."""
        numbers = np.arange(len(self.rows) * len(self.columns)).reshape(len(self.rows), len(self.columns))
        return numbers[:, ::-1].ravel()

    @property
    def deciding(self) -> Array:
        """Return (n_sites,) bool: one site in nine, by which is decided whether an image is turned left to right."""
        rows, columns = (np.arange(count) % 3 == count // 2 % 3 for count in (len(self.rows), len(self.columns)))
        return np.asarray(np.logical_and.outer(rows, columns).ravel())

    @property
    def offsets(self) -> Array:
        """Return (n, 2) int64: the shifts that are searched, row by row, in pixels."""
        steps = np.arange(-self.radius, self.radius + 1) * self.step
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def grid(self) -> tuple[int, int]:
        """Return how many boxes lie at every step, down and across."""
        return tuple(length // self.step - self.spread + 1 for length in (self.height, self.width))  # type: ignore[return-value]


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
        return [[_pack(side[self.at(site)]) for site in range(len(self.starts) - 1)] for side in self.patterns]


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
        `fingerprint.bins`.
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
        return np.asarray(self.gains[:, 0] - bins.largest(self.counts, self.usual))


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
    grids = np.stack([_grid(image, layout) for image in pixels])
    standing = population(len(pixels))
    stretched = _Stretched.of(grids[standing], layout)
    ranges = np.ptp(grids, axis=(1, 2)).astype(np.int64)
    least = 64**3 * ranges**2 * _CONTRAST**2  # Fractions, compared exactly

    def at(site: Array) -> tuple[Array, Array, Array]:
        cut = grids[:, site[0] :: layout.spread, site[1] :: layout.spread][:, :8, :8].reshape(-1, 64).astype(np.int64)
        deviations = 64 * cut - cut.sum(axis=1, keepdims=True)
        spread = (deviations**2).sum(axis=1)  # 64**3 times the variance
        members = np.flatnonzero((spread > 0) & (spread >= least))
        patterns = _patterns(deviations[members])
        best = stretched.best(site, patterns) * _norms(patterns)
        rests = np.maximum(np.float32(1) - best, np.float32(0)) + _FLOOR
        rests[standing[:, None] == members] = np.inf
        others = len(standing) - np.isin(members, standing)
        chosen = np.sort(rests, axis=0)[others // _YARDSTICK, np.arange(len(members))]
        return members, patterns, np.where(others > 0, chosen, np.float32(1) + _FLOOR)

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


def summarise_patches(real: PatchReals, pixels: Array, names: Sequence[str], *, k: int = 1) -> PatchSummary:
    """Compare prepared real images with one block of synthetic ones.

    The sum of a pair is by how many octaves (halvings of 1 - correlation) the patches of the real image match in the
    synthetic one better than in other real images, over all patches that do: the log of how much likelier they are as a
    copy. All are sought in one and the same synthetic image, as it is or turned: as one patch in nine sums up higher.

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
    in_order = _names.in_order(names)
    total = np.zeros((len(names), real.count), np.int64)
    mirrored = np.zeros(total.shape, bool)
    for first in range(0, len(names), _AT_ONCE):
        part = pixels[in_order[first : first + _AT_ONCE]]
        total[first : first + _AT_ONCE], mirrored[first : first + _AT_ONCE] = _sums(real, part)
    counts = bins.count(total.T * _OCTAVE)
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
    fakes, indices = _names.referenced([names[i] for i in in_order], indices)
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
    names, placed = _names.united([(part.fakes, part.indices) for part in summaries])
    evidence = np.concatenate([part.evidence for part in summaries], axis=1)
    indices = np.concatenate(placed, axis=1)
    mirrored = np.concatenate([part.mirrored for part in summaries], axis=1)
    order = np.lexsort((indices, -evidence), axis=1)[:, : summaries[0].k]
    fakes, indices = _names.referenced(names, np.take_along_axis(indices, order, axis=1))
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
    layout = real.layout
    stretched = _Stretched.of(_grid(fake, layout)[None], layout)
    gains, where = np.zeros((2, 2, len(layout.sites)), np.int64)
    where += len(layout.offsets) // 2
    deciding = np.zeros(2, np.int64)
    for patch in np.flatnonzero(real.members == index):
        site = int(np.searchsorted(real.starts, patch, side="right")) - 1
        windows, scales = stretched.windows(layout.sites[site])
        for turn, pattern in enumerate(real.patterns[:, patch].astype(np.int64)):
            products = (windows[0].view(np.uint8) @ pattern).astype(np.float32) * scales[0]
            best = np.maximum(products.max(), np.float32(0))
            gain = octaves(best, real.norms[turn, patch], real.yardsticks[turn, patch])
            place = layout.opposite[site] if turn else site
            deciding[turn] += gain * layout.deciding[site]
            gains[turn, place] = gain
            where[turn, place] = products.argmax() if gain else where[turn, place]
    turn = int(deciding[1] > deciding[0])
    shifts = layout.offsets[where[turn]]
    if turn:  # the grid of patches is turned about its own middle, which may lie aside of that of the image
        aside = layout.width - layout.size - layout.columns[0] - layout.columns[-1]
        shifts = np.stack([shifts[:, 0], aside - shifts[:, 1]], axis=1)
    shape = len(layout.rows), len(layout.columns)
    return PatchEvidence(
        rows=layout.rows,
        columns=layout.columns,
        size=layout.size,
        gains=gains[turn].reshape(shape) * _OCTAVE,
        offsets=shifts.reshape(*shape, 2),
        mirrored=bool(turn),
    )


@dataclass(frozen=True)
class _Stretched:
    """Images reduced to 8-bit boxes, laid out for the search by the kernels named `kernel`."""

    layout: Layout
    kernel: str
    quads: Array
    scales: Array

    @classmethod
    def of(cls, grids: Array, layout: Layout) -> _Stretched:
        """Lay out grids of boxes."""
        from fingerprint import _compiler
        from fingerprint import _patch_evidence_kernels as kernels

        s, margin = layout.spread, 2 * layout.radius
        rows, columns = (max(0, length - 7 * s) for length in layout.grid)
        pitch = columns + 4 * s + margin + 16  # rows are copied 16 numbers at a time
        quads = np.zeros((len(grids), rows + 7 * s + margin, pitch), np.uint32)
        scales = np.zeros((len(grids), rows + margin, pitch), np.float32)
        for grid, quad, scale in zip(grids if rows and columns else (), quads, scales, strict=False):
            low = grid.min()
            factor = np.float32(255 / max(int(grid.max()) - int(low), 1))
            kernels.stretch(grid, low, factor, s, layout.radius, quad, scale)
        return cls(layout, next(name for name in ("amx", "vectors", "numpy") if _compiler.runs(name)), quads, scales)

    def windows(self, site: Array) -> tuple[Array, Array]:
        """Return the windows that are searched around a site, (m, n, 16) uint32, and their scales (m, n) float32."""
        from fingerprint import _compiler
        from fingerprint import _patch_evidence_kernels as kernels

        count = -(-len(self.layout.offsets) // 48) * 48  # as `best_amx` takes them; a scale of 0 never wins
        shape = len(self.quads), count
        windows, scales = aligned((*shape, 16), np.uint32), aligned(shape, np.float32)
        gather = kernels.GATHER[next(name for name in kernels.GATHER if _compiler.runs(name))]
        gather(self.quads, self.scales, *site, self.layout.radius, self.layout.spread, windows, scales)
        return windows, scales

    def best(self, site: Array, patterns: Array, packed: Array | None = None) -> Array:
        """Return the largest scaled product of each image with each pattern, (m, n) float32."""
        from fingerprint import _patch_evidence_kernels as kernels

        count = len(patterns)
        best = aligned((len(self.quads), 16 * -(-count // 16)), np.float32)
        if self.kernel == "vectors":  # pragma: no cover  (with the compiler only)
            reach = self.layout.radius, self.layout.spread
            kernels.best_vectors(self.quads, self.scales, *site, *reach, patterns, *self.space(), best)
        elif self.kernel == "amx":  # pragma: no cover  (with the compiler only)
            packed = _pack(patterns) if packed is None else packed
            work = aligned((48, 16), np.int32)
            kernels.best_amx(*self.windows(site), packed, TILE_REGISTERS, work, best)
        else:
            kernels.best_numpy(*self.windows(site), patterns, best[:, :count])
        return best[:, :count]

    def space(self) -> tuple[Array, Array]:  # pragma: no cover  (with the compiler only)
        """Return work space of `best_vectors`: the windows around a site, four pixels at a time, and their scales."""
        lanes = 16 * (-(-len(self.layout.offsets) // 16) + 1)
        return aligned((16, lanes), np.uint32), aligned((lanes,), np.float32)


def _sums(real: PatchReals, pixels: Array) -> tuple[Array, Array]:
    """Return the sums of the gains, (m, n) int32, and whether they are those of the image turned left to right.

    Which way it is searched is decided by one patch in nine.
    """
    layout = real.layout
    stretched = _Stretched.of(np.stack([_grid(image, layout) for image in pixels]), layout)
    shape = len(pixels), real.count
    turned = np.zeros(shape, bool)
    chosen = layout.deciding
    total = _sums_at(real, stretched, np.flatnonzero(chosen), turned)
    if real.mirror:
        opposite = _sums_at(real, stretched, np.flatnonzero(chosen), ~turned)
        turned = opposite > total
        total = np.maximum(total, opposite)
    return total + _sums_at(real, stretched, np.flatnonzero(~chosen), turned), turned


def _sums_at(real: PatchReals, stretched: _Stretched, sites: Array, turned: Array) -> Array:
    """Return the sums (m, n) of the gains at some sites, of the patches as they are or turned, as `turned` says."""
    from fingerprint import _patch_evidence_kernels

    layout = real.layout
    total = np.zeros(turned.shape, np.int32)
    if stretched.kernel == "vectors" and len(sites):  # pragma: no cover  (with the compiler only)
        _patch_evidence_kernels.sum_vectors(
            stretched.quads,
            stretched.scales,
            layout.sites[sites],
            layout.radius,
            layout.spread,
            np.stack([real.starts[sites], real.starts[sites + 1]], axis=1),
            real.members,
            real.patterns,
            real.norms,
            real.yardsticks,
            _FLOOR,
            turned,
            *stretched.space(),
            total,
        )
        return total
    for site in sites:
        here = real.at(site)
        who = real.members[here]
        for turn, patterns in enumerate(real.patterns[:, here]):
            wanted = turned[:, who] == turn
            if not wanted.any():
                continue
            packed = real.packed[turn][site] if stretched.kernel == "amx" else None
            best = stretched.best(layout.sites[site], patterns, packed)
            gains = octaves(best, real.norms[turn, here], real.yardsticks[turn, here])
            total[:, who] += np.where(wanted, gains, 0)
    return total


def octaves(best: Array, norms: Array, yardsticks: Array) -> Array:
    """Return by how many octaves each best match beats its yardstick, at least 0, in steps of 2**-15, int32.

    A match times its norm is a correlation, and a yardstick the bits of a float32. Between powers of two the logarithm
    is taken as linear, so that it is the difference of the bits, and a sum of logarithms one of whole numbers.
    """
    rests = np.maximum(np.float32(1) - best * norms, np.float32(0)) + _FLOOR
    return np.asarray(np.maximum(yardsticks - rests.view(np.int32), 0) >> 8)


def _grid(image: Array, layout: Layout) -> Array:
    """Return the sums of the boxes at every step, int32."""
    from fingerprint import _patch_evidence_kernels

    out = np.empty(layout.grid, np.int32)
    _patch_evidence_kernels.box_grid(image, layout.step, layout.spread, out)
    return out


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


def _pack(patterns: Array) -> Array:
    """Return patterns (n, 64) as (groups, 16, 16, 4): four pixels of 16 images at a time, the last ones zeros."""
    padded = np.zeros((-(-len(patterns) // 16) * 16, 64), np.int8)
    padded[: len(patterns)] = patterns
    packed = aligned((len(padded) // 16, 16, 16, 4), np.int8)
    packed[:] = padded.reshape(-1, 16, 16, 4).transpose(0, 2, 1, 3)
    return packed


def _norms(patterns: Array) -> Array:
    return np.asarray(8 / np.sqrt((patterns.astype(np.float64) ** 2).sum(axis=1)), np.float32)

"""Processing: whether images were enlarged, smoothed or compressed differently, and scores follow that.

What an image shows falls off evenly towards fine detail. Enlarging, smoothing and compression take away fine detail
alone, and leave a mark in this fall-off. Images that were processed like the synthetic ones look near to them.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base.importing import whole
from fingerprint._base.representatives import representatives
from fingerprint._statistics import roc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fingerprint._base.types import Array

LEAST_SIDE = 16  # of an image in pixels, for every band to have frequencies
_EDGES = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 1.0)  # of the bands, in cycles a pixel
_ROUNDING = 1 / 12  # variance of what rounding to whole grey levels adds
_UNITS = 20  # images, or patients, on which a rule can be seen
_SMALLEST = 5  # group that is looked for
_DRAWS, _CHANCE = 999, 0.01  # permutations, and how often they may say that there is something where there is nothing
_HALF_WAY = 0.75  # AUC: half of what lies between no order (0.5) and a complete one (1)
_APART = 6.0  # standard deviations between two ways of processing: three on either side do not touch
_LEAST_SPREAD = 1e-3  # of a step within a way of processing, log2


class Told(NamedTuple):
    """Two groups of images that a trace of processing tells apart.

    Parameters
    ----------
    auc : float
        Share of the pairs of a first and a second image in which the first one has more of the trace.
    n_first, n_total : int
        Images, or patients, of the first group; of both.
    trace : str
        What the first ones have, in words.
    """

    auc: float
    n_first: int
    n_total: int
    trace: str


_DETAIL = ("less fine detail", "more fine detail")
_TRACES = (  # of each column of `traces`, what low and what high values say
    *[_DETAIL] * (len(_EDGES) - 2),
    ("weaker edges every 8 pixels", "stronger edges every 8 pixels, as JPEG leaves them"),
    ("more gaps between their grey levels", "fewer gaps between their grey levels"),
    ("fewer pixels of the darkest or brightest grey level", "more pixels of the darkest or brightest grey level"),
)


def fall_off(pixels: Array) -> Array:
    """Return by how much the spectrum of each image falls from band to band, towards fine detail.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16, at least 16x16.

    Returns
    -------
    ndarray
        (n, 4) float64: log2 of the mean power of a band over that of the one before; lower = less fine detail. The same
        for any brightness, and nearly so for any contrast.
    """
    rfft2 = whole("scipy.fft").rfft2

    height, width = pixels.shape[1:]
    taper = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    bands = np.digitize(frequencies, _EDGES)
    sizes = np.bincount(bands.ravel(), minlength=len(_EDGES) + 1)[1:-1]
    floor = _ROUNDING * float((taper.astype(np.float64) ** 2).sum())
    found = np.empty((len(pixels), len(sizes)))
    for image, row in zip(pixels, found, strict=True):
        spectrum = rfft2((image - np.float32(image.mean())) * taper)
        power = spectrum.real**2 + spectrum.imag**2
        row[:] = np.bincount(bands.ravel(), power.ravel(), minlength=len(_EDGES) + 1)[1:-1] / sizes
    return np.diff(np.log2(found + floor), axis=1)


def traces(pixels: Array) -> Array:
    """Return what processing leaves behind in each image.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16, at least 16x16.

    Returns
    -------
    ndarray
        (n, 7) float64: the four steps of `fall_off`; log2 of the mean difference of pixels across the lines where JPEG
        has its blocks of 8x8, over that elsewhere; the share of the grey levels between the darkest and the brightest
        one that occur; and the share of pixels that have the darkest or the brightest.
    """
    found = np.empty((len(pixels), 3))
    for image, row in zip(pixels, found, strict=True):
        grey = image.astype(np.int32)
        across, down = np.abs(np.diff(grey, axis=1)).sum(axis=0), np.abs(np.diff(grey, axis=0)).sum(axis=1)
        levels, counts = np.unique(grey, return_counts=True)
        row[0] = (_at_lines(across) + _at_lines(down)) / 2
        row[1] = len(levels) / (levels[-1] - levels[0] + 1)
        row[2] = (counts[0] + counts[-1]) / grey.size
    return np.column_stack([fall_off(pixels), found])


def _at_lines(differences: Array) -> float:
    """Return log2 of the mean of every eighth difference over the mean of the others."""
    lines = np.arange(1, len(differences) + 1) % 8 == 0
    return float(np.log2((differences[lines].mean() + 1) / (differences[~lines].mean() + 1)))


def followed(
    pixels: Array,
    scores: Array,
    *,
    fake: Array | None = None,
    shown: Array | None = None,
    groups: Sequence[str] | None = None,
) -> Told | None:
    """Return the images with the least, or most, fine detail if they have higher scores than the others.

    The cut is the one that parts the scores best: a maximally selected rank statistic (Lausen & Schumacher 1992) over
    the four steps of the fall-off, with its p-value by permutation. Where patients are known, each counts once, by the
    means of its images.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16. Of more than 1,024 images as many are looked at, evenly spread.
    scores : ndarray
        (n,) float64, higher = more likely used.
    fake : ndarray, optional
        (m, h, w) synthetic images; the images then also have to be nearer to these than the others are, in the median.
    shown : ndarray, optional
        (n,) bool: which images to look at; all by default.
    groups : sequence of str, optional
        Patient of each.

    Returns
    -------
    Told or None
        Where the p-value is at most 0.01, and they score higher in at least three of four pairs with others.
    """
    rankdata = whole("scipy.stats").rankdata

    chosen = some_of(np.ones(len(pixels), bool) if shown is None else shown)
    if min(pixels.shape[1:]) < LEAST_SIDE or len(chosen) < _UNITS:
        return None
    patients = None if groups is None else [groups[i] for i in chosen]
    values, _ = _by_patient(np.column_stack([fall_off(pixels[chosen]), scores[chosen]]), patients)
    total = len(values)
    if total < _UNITS:
        return None
    steps = values[:, :-1]
    order = np.argsort(steps, axis=0, kind="stable")
    rising = np.take_along_axis(steps, order, axis=0)
    sizes = np.arange(1, total)[:, None]
    cuts = (rising[1:] > rising[:-1]) & (np.minimum(sizes, total - sizes) >= _SMALLEST)
    spread = np.sqrt(sizes * (total - sizes) * (total + 1) / 12)

    def leads(ranks: Array) -> Array:
        """Return by how much those below each cut lead, in ranks."""
        return np.where(cuts, np.cumsum(ranks[order], axis=0)[:-1], 0.0)

    ranks = rankdata(values[:, -1]) - (total + 1) / 2
    below = leads(ranks)
    best = np.abs(below / spread)
    cut, step = np.unravel_index(int(best.argmax()), best.shape)
    lead, below_cut = float(below[cut, step]), int(cut) + 1
    auc = 0.5 + abs(lead) / (below_cut * (total - below_cut))
    if auc < _HALF_WAY or not _rare(best.max(), lambda rng: np.abs(leads(rng.permutation(ranks)) / spread).max()):
        return None
    first = below_cut if lead > 0 else total - below_cut  # those with the higher scores
    if fake is not None:
        parts = np.split(rising[:, step], [below_cut])
        gaps = [abs(float(np.median(part) - np.median(fall_off(fake)[:, step]))) for part in parts]
        if gaps[int(lead < 0)] >= gaps[int(lead > 0)]:
            return None
    return Told(auc, first, total, _DETAIL[int(lead < 0)])


def alike(
    pixels: Array, scores: Array, *, shown: Array | None = None, groups: Sequence[str] | None = None
) -> Array | None:
    """Return which images were processed alike, where they were processed in ways that lie far apart.

    Images are parted in two where a step of the fall-off leaves a gap: the means of both parts lie at least six
    standard deviations of a part from each other, so that three on either side do not touch, and each part has at least
    20 images, or patients. Then either part may be parted again. It counts if those of one part score higher than those
    of another in three of four pairs.

    Parameters
    ----------
    pixels, scores, shown, groups
        As for `followed`; all images are looked at.

    Returns
    -------
    ndarray or None
        (n,) int64: a number for each way of processing; images that are not shown have 0. None where there is one way.
    """
    chosen = np.flatnonzero(np.ones(len(pixels), bool) if shown is None else shown)
    if min(pixels.shape[1:]) < LEAST_SIDE or len(chosen) < 2 * _UNITS:
        return None
    patients = None if groups is None else [groups[i] for i in chosen.tolist()]
    every = np.column_stack([fall_off(pixels), scores])  # of all images: choosing some would copy their pixels
    values, of = _by_patient(every[chosen], patients)
    ways, waiting = np.zeros(len(values), np.int64), [np.arange(len(values))]
    while waiting:
        part = waiting.pop()
        less = _in_two(values[part, :-1])
        if less is not None:
            ways[part[less]] = ways.max() + 1
            waiting += [part[less], part[~less]]
    scores_of = [values[ways == way, -1] for way in range(ways.max() + 1)]
    if all(_auc(*pair) < _HALF_WAY for pair in combinations(scores_of, 2)):
        return None
    found = np.zeros(len(pixels), np.int64)
    found[chosen] = ways[of]
    return found


def _in_two(steps: Array) -> Array | None:
    """Return which images have the less of a step, (n,) bool, where two parts lie far apart."""
    total = len(steps)
    sizes = np.arange(_UNITS, total - _UNITS + 1)  # of the part that has less
    if not len(sizes):
        return None
    order = np.argsort(steps, axis=0, kind="stable")
    rising = np.take_along_axis(steps - steps.mean(axis=0), order, axis=0)
    shares = sizes[:, None] / total
    gaps = -np.cumsum(rising, axis=0)[sizes - 1] / (total * shares * (1 - shares))  # between the means of both parts
    within = rising.var(axis=0) - gaps**2 * shares * (1 - shares)
    apart = gaps / np.sqrt(np.maximum(within, _LEAST_SPREAD**2))
    apart[rising[sizes] == rising[sizes - 1]] = 0.0  # equal images are never parted
    place, step = np.unravel_index(int(apart.argmax()), apart.shape)
    if apart[place, step] < _APART:
        return None
    less = np.zeros(total, bool)
    less[order[: sizes[place], step]] = True
    return less


def _auc(first: Array, second: Array) -> float:
    """Return the AUC by which scores tell two parts, whichever is higher: at least 0.5."""
    ranks, _ = roc.midranks(np.concatenate([first, second]))
    auc = float(roc.of_ranks(ranks[: len(first)].sum(), len(first), len(second)))
    return max(auc, 1 - auc)


def parted(
    pixels: Array, n_first: int, *, shown: Array | None = None, groups: Sequence[str] | None = None
) -> Told | None:
    """Return whether one of `traces` tells the first images from the others.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16. Of more than 1,024 images on a side as many are looked at, evenly spread.
    n_first : int
        How many are the first.
    shown : ndarray, optional
        (n,) bool: which images to look at; all by default.
    groups : sequence of str, optional
        Patient of each; none stands on both sides.

    Returns
    -------
    Told or None
        Where the p-value by permutation, of patients if they are known, is at most 0.01, and the first image has more
        of a trace in at least three of four pairs.
    """
    rankdata = whole("scipy.stats").rankdata

    seen = np.ones(len(pixels), bool) if shown is None else shown
    first = np.arange(len(pixels)) < n_first
    chosen = [some_of(seen & side) for side in (first, ~first)]
    if min(pixels.shape[1:]) < LEAST_SIDE or min(map(len, chosen)) < _SMALLEST:
        return None
    sides = [_by_patient(traces(pixels[i]), None if groups is None else [groups[j] for j in i])[0] for i in chosen]
    m, total = len(sides[0]), len(sides[0]) + len(sides[1])
    if min(m, total - m) < _SMALLEST or total < _UNITS:
        return None
    ranks = rankdata(np.concatenate(sides), axis=0) - (total + 1) / 2
    leads = ranks[:m].sum(axis=0)
    trace = int(np.abs(leads).argmax())
    auc = 0.5 + abs(float(leads[trace])) / (m * (total - m))

    def drawn(rng: np.random.Generator) -> float:
        return float(np.abs(ranks[rng.permutation(total)[:m]].sum(axis=0)).max())

    if auc < _HALF_WAY or not _rare(abs(float(leads[trace])), drawn):
        return None
    return Told(auc, m, total, _TRACES[trace][int(leads[trace] > 0)])


def some_of(shown: Array) -> Array:
    """Return the positions of what is true, 1,024 at most, evenly spread."""
    found = np.flatnonzero(shown)
    return np.asarray(found[representatives(len(found))]) if len(found) else found


def _by_patient(values: Array, groups: Sequence[str] | None) -> tuple[Array, Array]:
    """Return the means of each patient, and which of them each image is of."""
    if groups is None:
        return values, np.arange(len(values))
    names, of = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, of, values)
    return sums / np.bincount(of)[:, None], of


def _rare(observed: float, draw: Callable[[np.random.Generator], float]) -> bool:
    """Whether what permutations give is as large as what was observed at most so often as chance may."""
    rng = np.random.default_rng(0)
    allowed = int(_CHANCE * (1 + _DRAWS)) - 1
    reached = 0
    for _ in range(_DRAWS):
        reached += bool(draw(rng) >= observed - 1e-9)
        if reached > allowed:
            return False
    return True

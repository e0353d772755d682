"""The default score: the nearness of whole images, the gains of patches, and the scale on which the two add."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._patches.gains import STRUCTURE
from fingerprint._statistics.neighbourhood import log2

if TYPE_CHECKING:
    from fingerprint._base.types import Array
    from fingerprint._statistics.neighbourhood import Neighbourhood


_LOW, _MIDDLE = 0.05, 0.25  # quantiles of what images without much evidence have
_FROM_LOW, _FROM_MIDDLE = (float(-np.log(-np.log(share))) for share in (_LOW, _MIDDLE))  # of the standard Gumbel law


# least scale of a statistic where nothing leaks, as log2 ratios. Whole images: a tenth nearer than usual is no
# evidence. Patches: nor is one structure that happens to match
CHANCE = np.array([np.log2(10 / 9), STRUCTURE])
# highest mode of a statistic where nothing leaks: beyond it, all images or the only one have evidence. Whole images: a
# quarter of the distance to similar real images. Patches: three such structures
HIGHEST = np.array([2.0, 3 * STRUCTURE])
_DEPENDENT = 3  # images that count as one independent one, as in `_evidence.whitening`


_LEFT_OUT, _SIMILAR, _SIMILAR_GROUPED = 10, 40, 10  # other real images, see `nearness`


def nearness(seen: Neighbourhood) -> Array:
    """Return log2 of the distance to similar real images over the distance to the nearest synthetic image.

    Every image is compared with real images like it: a smooth slice lies near to everything, so its nearest synthetic
    image must be nearer still. Similar real images are the 10 nearest of other patients. If patients are not known,
    they are the 40 after the nearest 10, because the very nearest may be slices of one patient. Of small collections
    at most a fifth is left out. The median counts, which one duplicate does not move. An image without any other is
    compared with its next nearest synthetic images.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64 log2 ratio: 0 = as near as similar real images are, 1 = half as far; higher = more likely used.
    """
    rank = np.arange(seen.others.shape[1])
    known = np.isfinite(seen.others).sum(axis=1, keepdims=True)
    left_out = 0 if seen.grouped else np.minimum(_LEFT_OUT, known // 5)
    taken = _SIMILAR_GROUPED if seen.grouped else _SIMILAR
    similar = (rank >= left_out) & (rank < np.minimum(left_out + taken, known))
    expected = _median_of(log2(seen.others), similar)
    alone = ~similar.any(axis=1)
    next_nearest = np.isfinite(seen.nearest)
    next_nearest[:, 0] = next_nearest.sum(axis=1) == 1
    expected[alone] = _median_of(log2(seen.nearest), next_nearest)[alone]
    return np.asarray(expected - log2(seen.nearest[:, 0]))


def tail_scores(statistics: Array, least: Array | float, highest: Array | float = np.inf) -> Array:
    """Return -log10 of the probability of at least each statistic where nothing leaks; independent kinds add.

    Both statistics are the largest of many numbers: minus the logarithm of the smallest distance, and the largest sum
    of gains. If synthetic images thin out towards a real one as a power of the distance, the first has a Gumbel
    distribution, and so has the largest of many numbers with an exponential tail (Gumbel, Statistics of Extremes,
    1958). The probability is that of a Gumbel distribution through the 5 % and the 25 % quantile of all images. Images
    with much evidence move neither, even if they are half of all, and a lack of evidence of one kind hardly counts
    against another. Sums of such logarithms: Fisher, Statistical Methods for Research Workers, 1925. The distribution
    is a scale here and makes no p-value; those come from a reference.

    Parameters
    ----------
    statistics : ndarray
        (n_kinds, n) float64, higher = more likely used; -inf, where there is nothing to see, has the tail score 0.
    least : ndarray or float
        (n_kinds,) smallest scale of the distribution, above 0: what lies within it is no evidence, however rare. It
        counts where statistics have no spread (a single image, identical images).
    highest : ndarray or float
        (n_kinds,) highest mode of the distribution, which counts where most images have evidence.

    Returns
    -------
    ndarray
        (n_kinds, n) float64, at least 0; higher = more likely used.

    Examples
    --------
    >>> tail_scores(np.array([[0.0, 1.0, 2.0, 3.0, 30.0]]), 0.5).round(1)
    array([[ 0. ,  0.1,  0.4,  0.7, 12. ]])
    """
    seen = statistics[:, np.isfinite(statistics).all(axis=0)]
    if not seen.shape[1]:
        return np.zeros(statistics.shape)
    middle = np.quantile(seen, _MIDDLE, axis=1)
    scale = np.maximum(_spread(seen) / (_FROM_MIDDLE - _FROM_LOW), least)
    mode = np.minimum(middle - scale * _FROM_MIDDLE, highest)
    deviations = (statistics - mode[:, None]) / scale[:, None]
    # far out, -log(1 - exp(-exp(-z))) is z to the last bit, and exp(z) too large below
    near = np.clip(deviations, -30.0, 40.0)
    return np.asarray(np.where(deviations > 40.0, deviations, -np.log(-np.expm1(-np.exp(-near)))) / np.log(10))


def add_kinds(tails: Array) -> Array:
    """Return the sum of the tail scores of all kinds, each weighted by how much it tells.

    Where nothing leaks, a tail score in natural logarithms is 1 on average. By how much the average of all images
    exceeds 1 is the evidence that a kind has shown, without any label: it is the divergence of the p-values from
    uniform ones, to first order (of a beta distribution, as in Sellke, Bayarri & Berger, Calibration of p Values, The
    American Statistician 2001). A kind that has shown none is noise and must not drown another. The standard error of
    the average is added, so that kinds are alike in a collection too small to tell. The kind that tells most has the
    weight 1.

    Parameters
    ----------
    tails : ndarray
        (n_kinds, n) float64, as `tail_scores` returns them.

    Returns
    -------
    ndarray
        (n,) float64, at least 0; higher = more likely used.

    Examples
    --------
    >>> add_kinds(np.array([[0.1, 0.4, 0.7], [0.0, 3.0, 6.0]])).round(1)  # the first has shown nothing beyond chance
    array([0. , 3.1, 6.1])
    """
    shown = np.maximum(tails.mean(axis=1) * np.log(10) - 1.0, 0.0) + np.sqrt(_DEPENDENT / tails.shape[1])
    total = np.zeros(tails.shape[1])
    for weight, row in zip(shown / shown.max(), tails, strict=True):
        total += weight * row
    return total


def _spread(statistics: Array) -> Array:
    """Return the distance between two low quantiles; where they are equal, the mean distance from them."""
    low, middle = np.quantile(statistics, (_LOW, _MIDDLE), axis=1)
    return np.asarray(np.where(middle > low, middle - low, np.abs(statistics - middle[:, None]).mean(axis=1)))


def _median_of(values: Array, chosen: Array) -> Array:
    """Return the median of each row's chosen values, which are consecutive and ascending; 0 where none is chosen."""
    if not values.shape[1]:
        return np.zeros(len(values))
    rows, count = np.arange(len(values)), chosen.sum(axis=1)
    lower = chosen.argmax(axis=1) + np.maximum(count - 1, 0) // 2
    upper = lower + (count > 0) * (1 - count % 2)
    return np.where(count > 0, (values[rows, lower] + values[rows, upper]) / 2, 0.0)

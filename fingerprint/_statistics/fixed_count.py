"""Statistics for a fixed number of synthetic images, however many there are.

The nearest of 10,000 synthetic images is nearer than the nearest of 500. So these statistics are expected values over
all subsets of a given number of synthetic images, worked out exactly from the order of the distances.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import histogram
from fingerprint._base.importing import whole
from fingerprint._statistics import default
from fingerprint._statistics.neighbourhood import log2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array
    from fingerprint._evidence.scales import Scale
    from fingerprint._statistics.neighbourhood import Neighbourhood

KEPT = 100  # nearest synthetic images known exactly; further ones to a log2 ratio of 1/32
FEWER = 10  # prominence: how much nearer the nearest comes when there are ten times as many synthetic images
_NEAREST = 8.0  # largest log2 ratio to similar real images that counts: an identical copy is finite evidence


def input_names(scales: Sequence[Scale]) -> tuple[str, ...]:
    """Return the names of the columns of `inputs`."""
    return (*(f"nearness ({scale.name})" for scale in scales), "prominence")


def inputs(seen: Sequence[Neighbourhood], n_fake: int) -> Array:
    """Return the statistics of a detector, as if there were `n_fake` synthetic images.

    Parameters
    ----------
    seen : sequence of Neighbourhood
        One for each scale, of n real images.
    n_fake : int
        At most as many as there are.

    Returns
    -------
    ndarray
        (n, n_scales + 1) float64; higher = more likely used.
    """
    columns, prominence = [], np.zeros(len(seen[0].nearest))
    for scale in seen:
        similar = default.nearness(scale) + log2(scale.nearest[:, 0])
        nearest = expected_nearest(scale, n_fake, least=similar - _NEAREST)
        columns.append(similar - nearest)
        prominence += expected_nearest(scale, max(1, n_fake // FEWER), least=similar - _NEAREST) - nearest
    return np.stack([*columns, prominence / len(seen)], axis=1)


def side_by_side(every: Sequence[Sequence[Neighbourhood]]) -> tuple[int, Array]:
    """Return scores of the same real images in several collections of synthetic ones, on one scale.

    Parameters
    ----------
    every : sequence of sequence of Neighbourhood
        One for each collection, of the same n real images.

    Returns
    -------
    count : int
        Synthetic images of the smallest collection; larger ones count as averages over all subsets of this number.
    scores : ndarray
        (n_collections, n) float64 log2 ratios; higher = nearer.
    """
    count = min(seen[0].n_fake for seen in every)
    nearness = [inputs(seen, count)[:, :-1].T for seen in every]
    return count, np.mean(nearness, axis=1)


def expected_nearest(seen: Neighbourhood, count: int, *, least: Array | float = -math.inf) -> Array:
    """Return the expected logarithm of the distance to the nearest of `count` random synthetic images.

    Of all subsets of `count` out of N images the share in which the r-th nearest is the nearest is
    ``comb(N - r, count - 1) / comb(N, count)``. The nearest distances are known exactly, further ones by the bin of
    `fingerprint._base.histogram`, to a log2 ratio of 1/32.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.
    count : int
        1 to the number of synthetic images.
    least : ndarray or float
        (n,) smallest value to count, for any distance.

    Returns
    -------
    ndarray
        (n,) float64, to base 2.

    Examples
    --------
    >>> import numpy as np
    >>> from fingerprint._statistics.neighbourhood import Neighbourhood
    >>> distances = np.array([[1.0, 2.0, 4.0]])
    >>> seen = Neighbourhood(distances, *4 * (np.zeros((1, 0)),), n_fake=3)
    >>> expected_nearest(seen, 2).round(6)  # 0 in two of three pairs, 1 in the third
    array([0.333333])
    """
    total = seen.n_fake
    known = min(seen.nearest.shape[1], total)
    floor = np.broadcast_to(least, len(seen.nearest))[:, None]
    beyond = _none_of(np.arange(known + 1), total, count)
    exact = np.maximum(log2(seen.nearest[:, :known]), floor)
    # sums over rows in fixed order, which a matrix product does not promise
    result = (exact * (beyond[:-1] - beyond[1:])).sum(axis=1)
    if known < total and beyond[-1] > 0:
        edges = histogram.edges()
        middles = np.log2(np.append(edges[:-1], edges[-2])) - 1 / 32
        ranks = np.maximum(np.cumsum(seen.counts, axis=1), known)
        beyond = _none_of(np.concatenate([np.full((len(ranks), 1), known), ranks], axis=1), total, count)
        result += (np.maximum(middles, floor) * (beyond[:, :-1] - beyond[:, 1:])).sum(axis=1)
    return np.asarray(result)


def _none_of(nearest: Array, total: int, count: int) -> Array:
    """Return the share of the subsets of `count` out of `total` images that hold none of the `nearest` ones."""
    gammaln = whole("scipy.special").gammaln

    rest = total - nearest
    possible = rest >= count
    logs = (
        gammaln(rest + 1) - gammaln(np.maximum(rest - count, 0) + 1) - gammaln(total + 1) + gammaln(total - count + 1)
    )
    return np.where(possible, np.exp(np.minimum(logs, 0.0)), 0.0)

"""The share of used images that is flagged at a false positive rate, with its interval, and how large it could be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base.importing import whole
from fingerprint._statistics import roc
from fingerprint._statistics.intervals import Estimate

if TYPE_CHECKING:
    from fingerprint._base.types import Array, Floats, Ints


def allowed(n_unused: int, rate: float) -> int:
    """Return how many of the unused images, the threshold included, a false positive rate allows above it."""
    return math.floor(rate * (1 + n_unused) + 1e-9)


def flag(used: Floats, unused: Floats, rate: float) -> tuple[float, Array | None]:
    """Return the threshold at the rate and which used images lie above it, or None where the unused are too few."""
    above = allowed(len(unused), rate)
    if above < 1:
        return math.nan, None
    threshold = float(np.sort(unused)[len(unused) - above])
    return threshold, used > threshold


def share(flagged: Array | None, unit: Ints, confidence: float) -> Estimate:
    """Return the share that is flagged with its interval by Clopper and Pearson; units stay whole."""
    if flagged is None:
        return Estimate(math.nan, math.nan, math.nan)
    tail = (1 - confidence) / 2
    return Estimate(float(flagged.mean()), 1 - _highest(~flagged, unit, tail), _highest(flagged, unit, tail))


def upper_bound(used: Floats, unused: Floats, first: Ints, second: Ints, rate: float, confidence: float) -> float:
    """Return the largest share of used images that this score could tell at a true false positive rate of `rate`.

    Half of the error goes to the threshold: it is so low that its true rate is at least `rate` with the probability
    ``(1 + confidence) / 2``, by the distribution of order statistics. Half goes to the share above it, whose upper end
    is that of Clopper and Pearson. A higher threshold flags fewer. With units both count at the effective sample size.

    Parameters
    ----------
    used, unused : ndarray
        (m,) and (n,) scores.
    first, second : ndarray
        (m,) and (n,) int64: unit of each.
    rate : float
        False positive rate.
    confidence : float
        Probability with which the bound holds.

    Returns
    -------
    float
        0 to 1; 1 where there are too few unused images to say anything.
    """
    brentq = whole("scipy.optimize").brentq
    betainc = whole("scipy.special").betainc

    tail, n, descending = (1 - confidence) / 2, len(unused), np.sort(unused)[::-1]
    nominal = unused >= descending[min(math.floor(rate * n), n - 1)]
    size = n / roc.design_effect(nominal.astype(np.float64), second)

    def doubt(count: float) -> float:
        return float(betainc(count, size + 1 - count, rate)) - tail

    if doubt(size) > 0:
        return 1.0
    count = brentq(doubt, 1e-9, size) * n / size
    return _highest(used >= descending[min(math.ceil(count - 1e-9), n) - 1], first, tail)


def _highest(flagged: Array, unit: Ints, tail: float) -> float:
    """Return the largest share that flags so few with a probability of `tail`."""
    betaincinv = whole("scipy.special").betaincinv

    found = float(flagged.mean())
    if found == 1:
        return 1.0
    size = len(flagged) / roc.design_effect(flagged.astype(np.float64), unit)
    return float(betaincinv(found * size + 1, size * (1 - found), 1 - tail))

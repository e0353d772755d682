"""The area under the ROC curve: from ranks and from weights, what chance makes of it, its interval, its power."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base.importing import whole
from fingerprint._statistics import intervals
from fingerprint._statistics.intervals import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from fingerprint._base.types import Array, Floats, Ints


def midranks(values: Floats) -> tuple[Floats, Floats]:
    """Return the ranks from 1, equal values sharing their mean rank, and how many there are of each value."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)], counts.astype(np.float64)


def of_ranks(rank_sum: Any, m: Any, n: Any) -> Any:
    """Return the AUC of m values, whose ranks add up to `rank_sum`, against n others."""
    return (rank_sum - m * (m + 1) / 2) / (m * n)


def permuted(ranks: Floats, unit: Ints, n_used: int, draws: int, seed: int) -> Floats:
    """Return the AUC under `draws` random choices of which `n_used` units are the used ones."""
    rng = np.random.default_rng(seed)
    size, rank_sum = np.bincount(unit), np.bincount(unit, weights=ranks)
    result = []
    for block in intervals.chunks(draws, len(size)):
        chosen = np.argpartition(rng.random((block, len(size))), n_used - 1, axis=1)[:, :n_used]
        m = size[chosen].sum(axis=1)
        result.append(of_ranks(rank_sum[chosen].sum(axis=1), m, len(ranks) - m))
    return np.concatenate(result)


def split_control(scores: Floats, unit: Ints, draws: int, seed: int, confidence: float) -> Estimate:
    """Return the mean AUC of a random half of the units against the other half, and where most of such AUCs lie.

    What an attack reaches between two halves of one side it does not reach by recognising training images: the control
    of "Membership Inference or Data Split Bias?". nan with fewer than four units.
    """
    count = int(unit.max()) + 1
    if count < 4:
        return Estimate(math.nan, math.nan, math.nan)
    found = permuted(midranks(scores)[0], unit, count // 2, draws, seed)
    return intervals.of(float(found.mean()), found, confidence)


def interval(used: Floats, unused: Floats, ranks: Floats, first: Ints, second: Ints, confidence: float) -> Estimate:
    """Return the AUC of used against unused scores, of these `ranks` among all, with its interval; units stay whole."""
    stdtrit = whole("scipy.special").stdtrit

    m, n = len(used), len(unused)
    above = (ranks[:m] - midranks(used)[0]) / n  # of each used image: share of unused ones below it
    below = 1 - (ranks[m:] - midranks(unused)[0]) / m
    value = float(above.mean())
    plain = above.var(ddof=1) / m + below.var(ddof=1) / n
    spread = clustered(above, first) + clustered(below, second)
    most = max(m / (first.max() + 1), n / (second.max() + 1))
    effect = max(1.0, spread / plain) if plain > 0 else most
    z = float(stdtrit(first.max() + second.max(), (1 + confidence) / 2))
    low = _newcombe(value, m / effect, n / effect, z)
    return Estimate(value, low, 1 - _newcombe(1 - value, m / effect, n / effect, z))


def clustered(values: Floats, unit: Ints) -> float:
    """Return the variance of the mean of values that come in clusters."""
    sums = np.bincount(unit, weights=values - values.mean())
    return float((sums**2).sum() * len(sums) / (len(sums) - 1) / len(values) ** 2)


def design_effect(values: Floats, unit: Ints, more: float = 0.0) -> float:
    """Return how much larger the variance of a mean is because values come in clusters, at least 1.

    `more` is variance that comes from elsewhere, in which nothing is clustered. Where the values do not vary, nothing
    can be said of clusters, and each counts as one value.
    """
    plain = float(values.var(ddof=1)) / len(values) + more
    return max(1.0, (clustered(values, unit) + more) / plain) if plain > 0 else len(values) / (int(unit.max()) + 1)


def _newcombe(auc: float, m: float, n: float, z: float) -> float:
    """Return the lowest AUC that lies within z standard errors, its own, of the one seen."""
    spread = (m + n) / 2 - 1

    def excess(a: float) -> float:
        variance = a * (1 - a) * (1 + spread * ((1 - a) / (2 - a) + a / (1 + a))) / (m * n)
        return auc - a - z * math.sqrt(variance)

    # at 1 the variance is 0 and nothing is in excess, so that 1 would be a root too
    return _root(lambda a: -excess(a), 0.0, min(auc, 1 - 1e-15))


def detectable(by_chance: Floats, m: int, n: int, level: float, power: float) -> tuple[float, float]:
    """Return the smallest AUC, and the smallest share of recognised images, found with the probability `power`.

    `by_chance` are the permuted AUCs of m used and n unused images. What nothing reaches is nan.
    """
    ndtri = whole("scipy.special").ndtri

    variance = float(by_chance.var())
    if variance == 0:  # all scores are the same
        return math.nan, math.nan
    allowed = math.floor(level * (1 + len(by_chance)) + 1e-9)
    critical = float(np.sort(by_chance)[len(by_chance) - allowed])
    effect = max(1.0, variance * 12 * m * n / (m + n + 1))
    z = float(ndtri(power))

    def reach(auc: float, two_used: float, two_unused: float) -> float:
        spread = auc * (1 - auc) + (m - 1) * (two_used - auc**2) + (n - 1) * (two_unused - auc**2)
        return auc - critical - z * math.sqrt(effect * max(spread, 0.0) / (m * n))

    def shifted(auc: float) -> float:
        return reach(auc, auc / (2 - auc), 2 * auc**2 / (1 + auc))

    def mixed(share: float) -> float:
        rest = 1 - share
        return reach(0.5 + share / 2, share**2 + share * rest + rest**2 / 3, share + rest / 3)

    if critical >= 1:
        return math.nan, math.nan
    return _root(shifted, 0.5, 1.0), _root(mixed, 0.0, 1.0)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function rises through 0 between `low` and `high`; `low` where it is not below 0 there."""
    brentq = whole("scipy.optimize").brentq

    return low if function(low) >= 0 else float(brentq(function, low, high, xtol=1e-15))


def weighted(weights: Array, values: Array, n_first: int) -> Array:
    """Return the AUC of the first `n_first` against the others, under each row of weights."""
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
    used = weights * (np.arange(len(values)) < n_first)
    hits, misses = (np.cumsum(side[:, order], axis=1)[:, ends] for side in (used, weights - used))
    below = np.concatenate([np.zeros((len(weights), 1), np.int64), misses[:, :-1]], axis=1)
    pairs = (np.diff(hits, axis=1, prepend=0) * (below + misses)).sum(axis=1)
    return np.asarray(pairs / (2 * hits[:, -1] * misses[:, -1]))

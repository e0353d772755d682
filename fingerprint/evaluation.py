"""Evaluation against the truth: measures with intervals, and the test whether a generator leaks at all."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fingerprint import _check, _output
from fingerprint._check import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike

    from fingerprint.images import Failure

Array = NDArray[Any]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 2**21  # resamples times images held in memory at a time
_RATES = {"tpr_at_1_percent_fpr": 0.01, "tpr_at_01_percent_fpr": 0.001}


class Estimate(NamedTuple):
    """A value with its interval; each is nan where it is not defined.

    Parameters
    ----------
    value : float
        The estimate.
    low, high : float
        The ends of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the three numbers for reading."""
        return "-" if math.isnan(self.value) else f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Measures:
    """Agreement between truth and prediction; in every measure higher is better.

    Parameters
    ----------
    accuracy : Estimate
        Share of right decisions, 0 to 1.
    precision : Estimate
        Share of the images called used that were used, 0 to 1. Not defined where none is called used.
    recall : Estimate
        Share of the used images that are called used, 0 to 1.
    specificity : Estimate
        Share of the unused images that are called unused, 0 to 1.
    f1 : Estimate
        Harmonic mean of precision and recall, 0 to 1.
    kappa : Estimate
        Cohen's kappa, -1 to 1; 0 is what guessing with the same number of ones reaches.
    matthews : Estimate
        Matthews correlation coefficient, -1 to 1. Not defined where all decisions are the same.
    roc_auc : Estimate
        Probability that a used image scores higher than an unused one, a tie counting one half; 0.5 is chance.
    average_precision : Estimate
        Mean of the precision at each used image, in the order of the scores; the share of used images is chance.
    tpr_at_1_percent_fpr, tpr_at_01_percent_fpr : Estimate
        Largest recall of any threshold that calls at most 1 %, or 0.1 %, of the unused images used.
    """

    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    specificity: Estimate
    f1: Estimate
    kappa: Estimate
    matthews: Estimate
    roc_auc: Estimate
    average_precision: Estimate
    tpr_at_1_percent_fpr: Estimate
    tpr_at_01_percent_fpr: Estimate


MEASURES = tuple(field.name for field in fields(Measures))
_N_DECISION = MEASURES.index("roc_auc")


@dataclass(frozen=True)
class Evaluation(Measures):
    """Result of `evaluate`: the measures, each with its interval, and what trivial answers reach on the same truth.

    The measures are attributes, `evaluation.f1.value`, `evaluation.f1.low`; see `Measures` for their meaning.

    Parameters
    ----------
    all_ones : Measures
        The same measures for the answer "every image was used".
    coin : Measures
        The same for tossing a fair coin (scores: drawing random numbers), once per image, or per patient where there
        are groups. The value is the mean over many tosses; the interval holds the central share `confidence` of them,
        so a measure inside it is chance.
    n, n_used : int
        Number of images, and of used ones among them.
    n_groups : int or None
        Number of patients, where groups were given.
    threshold : float or None
        Scores from here upwards count as "used".
    confidence : float
        Confidence of the intervals.
    n_bootstrap : int
        Number of bootstrap samples behind them.
    seed : int
        Seed of the random numbers.
    """

    all_ones: Measures
    coin: Measures
    n: int
    n_used: int
    n_groups: int | None
    threshold: float | None
    confidence: float
    n_bootstrap: int
    seed: int

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return one line a measure as CSV with a header, and write it to `path` where given."""
        header = ["measure", "value", "low", "high", "all_ones", "coin", "coin_low", "coin_high"]
        rows = (
            [name, *getattr(self, name), getattr(self.all_ones, name).value, *getattr(self.coin, name)]
            for name in MEASURES
        )
        return _output.write_csv(header, rows, path)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return all of it as JSON, what is not defined as null, and write it to `path` where given."""
        return _output.write_measures_json(self, path)

    def __str__(self) -> str:
        """Return a table for reading."""
        unit = "images" if self.n_groups is None else f"{self.n_groups} patients"
        share = f"{100 * self.confidence:g} %"
        lines = [
            f"{self.n} images, {self.n_used} used; {share} intervals from {self.n_bootstrap} resamples of {unit}",
            f"{'':<20} {'value':<24} {'all ones':<10}coin",
        ]
        for name in MEASURES:
            ones = getattr(self.all_ones, name).value
            label, trivial = _LABELS.get(name, name.replace("_", " ")), "-" if math.isnan(ones) else f"{ones:.3f}"
            lines.append(f"{label:<20} {getattr(self, name)!s:<24} {trivial:<10}{getattr(self.coin, name)}")
        return "\n".join(lines)


_LABELS = {
    "f1": "F1",
    "kappa": "Cohen's kappa",
    "matthews": "Matthews",
    "roc_auc": "ROC AUC",
    "tpr_at_1_percent_fpr": "TPR at 1 % FPR",
    "tpr_at_01_percent_fpr": "TPR at 0.1 % FPR",
}


def evaluate(
    truth: ArrayLike,
    predicted_or_scores: ArrayLike,
    *,
    threshold: float | None = None,
    groups: Sequence[Hashable] | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Evaluation:
    """Measure decisions, or scores, against the truth.

    The type says which of the two is given: booleans and the integers 0 and 1 are decisions, floating-point numbers are
    scores. Decisions have no order, so their ROC AUC, average precision and TPR at a given FPR are nan. Scores become
    decisions with `threshold` alone; without it accuracy to Matthews are nan. A value that is not defined (precision
    when nothing is called used, recall when nothing was used) is nan too, where other libraries put 0.

    Parameters
    ----------
    truth : array_like
        (n,) bool, or integers 0 and 1: 1 = the image was used to train the generator.
    predicted_or_scores : array_like
        (n,) decisions, bool or integers 0 and 1; or scores, float, higher = more likely used, infinite ones allowed.
    threshold : float, optional
        Scores of at least `threshold` count as "used". For scores only.
    groups : sequence, optional
        (n,) patient of each image. The bootstrap then draws whole patients: slices of one patient are no independent
        witnesses, and intervals that ignore it are too narrow.
    n_bootstrap : int
        Number of bootstrap samples.
    seed : int
        Seed of the random numbers. The same seed gives the same intervals.
    confidence : float
        Confidence of the intervals, 0.5 to 0.999.

    Returns
    -------
    Evaluation
        The measures with intervals, and the same for calling everything used and for a coin.

    Raises
    ------
    InputError
        If the lengths differ, the truth is not 0 and 1, a score is nan, or the type does not say decisions or scores.

    Notes
    -----
    Intervals are percentiles over bootstrap samples of images (or patients); samples in which a measure is not defined
    are left out. Where all of the sample agrees, say an accuracy of 1, the interval shrinks to a point: that comes from
    the method, not from certainty.

    With fewer than 1,000 unused images no threshold has an FPR of 0.1 % but 0: the TPR is then the share of used images
    above all unused ones.

    Examples
    --------
    >>> from fingerprint.evaluation import evaluate
    >>> truth = [1, 1, 1, 1, 0, 0, 0, 0]
    >>> evaluation = evaluate(truth, [1, 1, 1, 0, 0, 0, 0, 1])
    >>> evaluation.f1.value, evaluation.kappa.value, evaluation.all_ones.accuracy.value
    (0.75, 0.5, 0.5)
    >>> evaluate(truth, [0.9, 0.8, 0.7, 0.3, 0.4, 0.2, 0.2, 0.1]).roc_auc.value
    0.9375
    """
    labels = _labels("truth", truth)
    decisions, scores = _decisions_or_scores(predicted_or_scores, threshold)
    found = np.size(predicted_or_scores)
    if found != len(labels):
        raise InputError(
            f"predicted_or_scores: expected one value for each of the {len(labels)} images of truth, got {found}"
        )
    unit = np.arange(len(labels)) if groups is None else _units("groups", groups, len(labels))
    draws = _check.integer("n_bootstrap", n_bootstrap, minimum=100)
    start = _check.integer("seed", seed, minimum=0)
    level = _check.number("confidence", confidence, minimum=0.5, maximum=0.999)

    def measured(called: Array | None, ranked: Array | None) -> dict[str, Estimate]:
        single, many = np.ones((1, unit.max() + 1), np.int64), _resampled(unit.max() + 1, draws, start)
        values = _weighted(labels, called, ranked, unit, iter([single]))[:, 0]
        resampled = _weighted(labels, called, ranked, unit, many)
        return {
            name: _estimate(value, row, level) for name, value, row in zip(MEASURES, values, resampled, strict=True)
        }

    ones = np.ones_like(labels)
    tossed = _tossed(labels, unit, draws, start, decisions is not None, scores is not None)
    return Evaluation(
        **measured(decisions, scores),
        all_ones=Measures(**measured(None if decisions is None else ones, None if scores is None else ones)),
        coin=Measures(*(_estimate(_mean(row), row, level) for row in tossed)),
        n=len(labels),
        n_used=int(labels.sum()),
        n_groups=None if groups is None else int(unit.max()) + 1,
        threshold=None if threshold is None else float(threshold),
        confidence=level,
        n_bootstrap=draws,
        seed=start,
    )


def _weighted(
    labels: Ints, decisions: Array | None, scores: Array | None, unit: Ints, weights: Iterator[Ints]
) -> Floats:
    """Return the (11, draws) measures under (draws, units) integer weights, which come in blocks."""
    if decisions is not None:
        kind = 2 * labels + decisions  # 0 TN, 1 FP, 2 FN, 3 TP
        table = np.stack([np.bincount(unit[kind == k], minlength=unit.max() + 1) for k in range(4)], axis=1)
    if scores is not None:
        order = np.argsort(-scores, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        ranked, used = unit[order], labels[order]
    blocks = []
    for block in weights:
        measures = np.full((len(MEASURES), len(block)), np.nan)
        if decisions is not None:
            measures[:_N_DECISION] = _decision_measures(block @ table)
        if scores is not None:
            images = block[:, ranked]
            seen = np.cumsum(images, axis=1)[:, ends]
            hits = np.cumsum(images * used, axis=1)[:, ends]
            measures[_N_DECISION:] = _ranking_measures(hits, seen - hits)
        blocks.append(measures)
    return np.concatenate(blocks, axis=1)


def _tossed(labels: Ints, unit: Ints, draws: int, seed: int, decide: bool, score: bool) -> Floats:
    """Return the (11, draws) measures of tossing coins, and of random scores, one for each unit."""
    coins, order = np.random.default_rng((seed, 1)), np.random.default_rng((seed, 2))
    used = np.bincount(unit, weights=labels).astype(np.int64)
    unused = np.bincount(unit).astype(np.int64) - used
    blocks = []
    for size in _chunks(draws, len(used)):
        measures = np.full((len(MEASURES), size), np.nan)
        if decide:
            heads = coins.integers(0, 2, (size, len(used)))
            tp, fp = heads @ used, heads @ unused
            measures[:_N_DECISION] = _decision_measures(np.stack([unused.sum() - fp, fp, used.sum() - tp, tp], axis=1))
        if score:
            drawn = np.argsort(order.random((size, len(used))), axis=1)
            measures[_N_DECISION:] = _ranking_measures(np.cumsum(used[drawn], 1), np.cumsum(unused[drawn], 1))
        blocks.append(measures)
    return np.concatenate(blocks, axis=1)


def _decision_measures(table: Ints) -> Floats:
    """Return accuracy to Matthews, (7, draws), of (draws, 4) counts TN, FP, FN, TP."""
    tn, fp, fn, tp = table.T
    margins = (tp + fp, tp + fn, tn + fp, tn + fn)
    # each root separately: the product of the four would overflow an integer
    root = np.prod([np.sqrt(margin) for margin in margins], axis=0)
    return np.stack(
        [
            _ratio(tp + tn, table.sum(axis=1)),
            _ratio(tp, tp + fp),
            _ratio(tp, tp + fn),
            _ratio(tn, tn + fp),
            _ratio(2 * tp, 2 * tp + fp + fn),
            _ratio(2 * (tp * tn - fn * fp), margins[0] * margins[2] + margins[1] * margins[3]),
            _ratio(tp * tn - fp * fn, root),
        ]
    )


def _ranking_measures(hits: Ints, misses: Ints) -> Floats:
    """Return ROC AUC to TPR, (4, draws), of used and unused images above each threshold, (draws, thresholds)."""
    n_hits, n_misses = hits[:, -1], misses[:, -1]
    new_hits, new_misses = np.diff(hits, axis=1, prepend=0), np.diff(misses, axis=1, prepend=0)
    area = (new_misses * (2 * hits - new_hits)).sum(axis=1)  # twice the trapezoids
    precision = np.divide(hits, hits + misses, out=np.zeros(hits.shape), where=hits > 0)
    result = [_ratio(area, 2 * n_hits * n_misses), _ratio((new_hits * precision).sum(axis=1), n_hits)]
    rates = np.divide(misses, n_misses[:, None], out=np.full(misses.shape, np.nan), where=n_misses[:, None] > 0)
    for rate in _RATES.values():
        best = np.where(rates <= rate, hits, 0).max(axis=1)
        result.append(np.where(n_misses > 0, _ratio(best, n_hits), np.nan))
    return np.stack(result)


def _ratio(numerator: Array, denominator: Array) -> Floats:
    result: Floats = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=result, where=denominator != 0)


def _mean(row: Floats) -> float:
    defined = row[~np.isnan(row)]
    return float(defined.mean()) if len(defined) else math.nan


def _estimate(value: float, resampled: Floats, confidence: float) -> Estimate:
    """Return the value with the central percentiles of the resamples in which it is defined."""
    defined = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not len(defined):
        return Estimate(float(value), math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(value), float(low), float(high))


def _chunks(draws: int, width: int) -> Iterator[int]:
    """Yield the sizes of blocks that together make `draws`."""
    size = max(1, _CHUNK // width)
    for first in range(0, draws, size):
        yield min(size, draws - first)


def _resampled(units: int, draws: int, seed: int) -> Iterator[Ints]:
    """Yield blocks of (draws, units) counts: how often each unit is drawn, with replacement."""
    rng = np.random.default_rng(seed)
    for size in _chunks(draws, units):
        drawn = rng.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)


def _vector(argument: str, values: ArrayLike) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty((0, 0))
    if array.ndim != 1 or not array.size:
        raise InputError(f"{argument}: expected one value per image, shape (n,), got {_check.describe(values)}")
    return array


def _labels(argument: str, values: ArrayLike) -> Ints:
    array = _vector(argument, values)
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise InputError(
            f"{argument}: expected booleans or the integers 0 (not used) and 1 (used), got {_check.describe(values)}"
        )
    return array.astype(np.int64)


def _decisions_or_scores(values: ArrayLike, threshold: float | None) -> tuple[Ints | None, Floats | None]:
    array = _vector("predicted_or_scores", values)
    if array.dtype.kind == "f":
        scores = _finite_order("predicted_or_scores", array)
        if threshold is None:
            return None, scores
        return (scores >= _check.number("threshold", threshold, minimum=-math.inf)).astype(np.int64), scores
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise InputError(
            "predicted_or_scores: expected decisions (booleans or the integers 0 and 1) or scores (floating point; "
            f"convert whole-number scores by float), got {_check.describe(values)}"
        )
    if threshold is not None:
        raise InputError(
            "threshold: expected none, since predicted_or_scores holds decisions already; give scores as floating point"
        )
    return array.astype(np.int64), None


def _finite_order(argument: str, scores: Array) -> Floats:
    """Return float64 scores, which may be infinite but not nan."""
    missing = int(np.isnan(scores).sum())
    if missing:
        raise InputError(f"{argument}: expected scores without nan, got {missing} nan; leave those images out")
    return scores.astype(np.float64)


def _units(argument: str, groups: Sequence[Hashable], n: int) -> Ints:
    """Return the number of the group of each image, groups numbered in the order of their first image."""
    members = _members(argument, groups)
    if len(members) != n:
        raise InputError(f"{argument}: expected one patient for each of the {n} images, got {len(members)}")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(member, len(numbers)) for member in members])


def _members(argument: str, names: Any) -> list[Hashable]:
    """Return the names of groups or cells as a list, each of them given and hashable."""
    sequence: Any = None if isinstance(names, (str, bytes)) else names
    try:
        members: list[Hashable] = list(sequence)
        hash(tuple(members))
    except TypeError:
        raise InputError(
            f"{argument}: expected a sequence of names, one per image, got {_check.describe(names)}"
        ) from None
    for position, member in enumerate(members, 1):
        if member in (None, "") or member != member:  # nan alone differs from itself
            raise InputError(f"{argument}: expected a name for every image, got {member!r} for image number {position}")
    return members


@dataclass(frozen=True)
class CopyingCell:
    """One cell of the data-copying statistic.

    Parameters
    ----------
    name : hashable
        Name of the cell.
    z : float
        Mann-Whitney z of the cell; negative = generated images lie nearer to training images than held-out ones do.
    n_generated, n_held_out : int
        Images in the cell.
    counted : bool
        Whether the cell has enough generated and any held-out images to count.
    """

    name: Hashable
    z: float
    n_generated: int
    n_held_out: int
    counted: bool


@dataclass(frozen=True)
class Copying:
    """Result of `data_copying`.

    Parameters
    ----------
    z : float
        The statistic C_T, sign as in the paper: far below 0 = data-copying, about 0 = neither, far above 0 =
        underfitting (the generated images lie further from the training images than real ones do).
    p_value : float
        Probability of a statistic this low or lower when generated and held-out images are independent and equally far.
    closer : float
        Probability that a generated image lies nearer to the training images than a held-out one of the same cell;
        0.5 = no copying, 1 = every generated image is nearer.
    cells : tuple of CopyingCell
        The cells it is made of.
    """

    z: float
    p_value: float
    closer: float
    cells: tuple[CopyingCell, ...]


def data_copying(
    generated: ArrayLike,
    held_out: ArrayLike,
    *,
    cells: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    minimum: int = 20,
) -> Copying:
    """Return the data-copying statistic C_T: do generated images hug the training images more than held-out ones do.

    Of each cell, Z_U is the Mann-Whitney U of the distances (pairs in which the generated image is the further one, a
    tie counting one half), less its mean and over its standard deviation when nothing differs. C_T is the mean of Z_U
    over the cells with at least `minimum` generated images, weighted by their numbers of held-out images.

    Parameters
    ----------
    generated : array_like
        (m,) distance of every generated image to its nearest training image (in its cell).
    held_out : array_like
        (n,) distance of every held-out real image to its nearest training image (in its cell).
    cells : pair of sequences, optional
        Cell of every generated image (m,) and of every held-out image (n,), say the nearest of k means of the training
        images. Without, all images lie in one cell, and C_T is Z_U.
    minimum : int
        Generated images that a cell needs to count (tau times m in the paper).

    Returns
    -------
    Copying
        The statistic; nan where no cell counts.

    Raises
    ------
    InputError
        If distances are negative or nan, or the cells do not fit.

    Notes
    -----
    Against the paper: the standard deviation allows for ties (without ties it is the paper's), there is no continuity
    correction, and the p-value takes the cells as independent, so that the variance of C_T is the sum of the squared
    weights. Images of one patient are not independent, and a generator whose images are smoother than real ones lies
    nearer to everything without copying anything: read the value beside the audit's, not instead of it.

    References
    ----------
    C. Meehan, K. Chaudhuri, S. Dasgupta: A non-parametric test to detect data-copying in generative models.
    AISTATS 2020.

    Examples
    --------
    >>> from fingerprint.evaluation import data_copying
    >>> result = data_copying([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], minimum=1)
    >>> round(result.z, 3), result.closer
    (-1.964, 1.0)
    """
    from scipy.special import ndtr

    near, far = _distances("generated", generated), _distances("held_out", held_out)
    least = _check.integer("minimum", minimum, minimum=1)
    if cells is None:
        names: list[Hashable] = ["all"]
        cell = np.zeros(len(near) + len(far), np.int64)
    else:
        first, second = _pair("cells", cells, len(near), len(far))
        names = list(dict.fromkeys([*first, *second]))
        cell = _units("cells", [*first, *second], len(near) + len(far))
    found, shares = [], []
    for number, name in enumerate(names):
        a, b = near[cell[: len(near)] == number], far[cell[len(near) :] == number]
        z, share = _mann_whitney(a, b) if len(a) and len(b) else (math.nan, math.nan)
        found.append(CopyingCell(name, z, len(a), len(b), len(a) >= least and len(b) > 0))
        shares.append(share)
    weights = np.array([one.n_held_out if one.counted else 0 for one in found], dtype=np.float64)
    if not weights.any():
        return Copying(math.nan, math.nan, math.nan, tuple(found))
    weights /= weights.sum()
    counted = weights > 0
    z = float(weights[counted] @ np.array([one.z for one in found])[counted])
    p_value = float(ndtr(z / math.sqrt(float(weights @ weights))))
    return Copying(z, p_value, float(weights[counted] @ np.array(shares)[counted]), tuple(found))


def _mann_whitney(near: Floats, far: Floats) -> tuple[float, float]:
    """Return the z of "near exceeds far" with ties, and the probability that near is below far."""
    m, n = len(near), len(far)
    ranks, ties = _midranks(np.concatenate([near, far]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    variance = m * n / 12 * (m + n + 1 - float((ties**3 - ties).sum()) / max((m + n) * (m + n - 1), 1))
    z = (u - m * n / 2) / math.sqrt(variance) if variance > 0 else 0.0
    return float(z), float(1 - u / (m * n))


def _midranks(values: Floats) -> tuple[Floats, Floats]:
    """Return the ranks from 1, equal values sharing their mean rank, and how many there are of each value."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)], counts.astype(np.float64)


def _distances(argument: str, values: ArrayLike) -> Floats:
    array = _vector(argument, values)
    if array.dtype.kind not in "iuf" or not (array >= 0).all():
        raise InputError(f"{argument}: expected distances of at least 0, got {_check.describe(values)}")
    return array.astype(np.float64)


def _pair(argument: str, pair: Any, m: int, n: int) -> tuple[list[Hashable], list[Hashable]]:
    """Return the two lists of a pair of sequences of lengths m and n."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"{argument}: expected a pair of sequences, one for each side, got {_check.describe(pair)}")
    first, second = _members(argument, pair[0]), _members(argument, pair[1])
    if len(first) != m or len(second) != n:
        raise InputError(f"{argument}: expected {m} and {n} values, one per image, got {len(first)} and {len(second)}")
    return first, second


@dataclass(frozen=True)
class Audit:
    """Result of `audit_scores`: whether the generator leaks which images it was trained on.

    Parameters
    ----------
    auc : Estimate
        Effect size: probability that a used image scores higher than an unused one, with its interval; 0.5 = no leak
        seen, 1 = every used image stands out.
    p_value : float
        One-sided permutation p-value of the AUC under `null`.
    leak_rate : Estimate
        Share of the used images that are flagged, with its interval. Compare it with `false_positive_rate`, which is
        what it is without a leak. nan where there are too few unused images for that rate.
    leak_threshold : float
        Scores above it are flagged.
    detectable_auc : float
        Smallest AUC that these images show with the probability `power`; nan where they show none.
    detectable_share : float
        The same as a share of used images that score above all unused ones while the rest score like unused ones.
    n_used, n_unused : int
        Number of images.
    n_used_groups, n_unused_groups : int or None
        Number of patients, where groups were given.
    level : float
        A leak is reported at a p-value of at most `level`.
    false_positive_rate : float
        Share of unused images that are flagged on average (with groups about: a little more where patients are few).
    power, confidence : float
        Probability behind the detectable leak; confidence of the intervals.
    n_permutations, seed : int
        Number of permutations, seed of the random numbers.
    copying : Copying or None
        The data-copying statistic, where it was worked out.
    failed : mapping of str to tuple of Failure
        Files that could not be used, where images were read.
    """

    auc: Estimate
    p_value: float
    leak_rate: Estimate
    leak_threshold: float
    detectable_auc: float
    detectable_share: float
    n_used: int
    n_unused: int
    n_used_groups: int | None
    n_unused_groups: int | None
    level: float
    false_positive_rate: float
    power: float
    confidence: float
    n_permutations: int
    seed: int
    copying: Copying | None = None
    failed: Mapping[str, tuple[Failure, ...]] = field(default_factory=dict)

    @property
    def leaks(self) -> bool:
        """Whether a leak is shown at `level`. False does not mean that there is none."""
        return self.p_value <= self.level

    @property
    def null(self) -> str:
        """The hypothesis that the p-value speaks about, in words."""
        units = "images" if self.n_used_groups is None else "patients, each with all of its images,"
        return (
            f"Null: which {units} were used is random, so used and unused ones are exchangeable. "
            "A difference in anything else (scanner, hospital, processing, kind of patient) breaks it as a leak does."
        )

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        size = f"AUC {self.auc.value:.3f}, {100 * self.confidence:g} % interval {self.auc.low:.3f} to "
        size += f"{self.auc.high:.3f}; p = {self.p_value:.2g}"
        if self.leaks:
            return f"Leak shown: used images score higher than unused ones ({size})."
        text = f"No leak shown ({size}). This does not prove that there is none: "
        units = f"{self.n_used} used and {self.n_unused} unused images"
        if self.n_used_groups is not None:
            units += f" of {self.n_used_groups} and {self.n_unused_groups} patients"
        if math.isnan(self.detectable_auc):
            text += f"with {units} no leak could have been shown; use more."
        else:
            text += (
                f"{units} show, in {100 * self.power:g} % of cases, a leak from an AUC of {self.detectable_auc:.3f} "
                f"or from {100 * self.detectable_share:.0f} % plainly recognised used images upwards."
            )
        if self.auc.high < 0.5:
            text += (
                " Used images score lower than unused ones: something else tells the sets apart; check their origin."
            )
        return text

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return name, value and interval of every number as CSV, and write it to `path` where given."""
        rows: list[Sequence[object]] = []
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Estimate):
                rows.append([one.name, *value])
            elif isinstance(value, (int, float)):
                rows.append([one.name, value, "", ""])
        if self.copying is not None:
            rows.extend([f"copying_{name}", getattr(self.copying, name), "", ""] for name in _COPYING)
        return _output.write_csv(["quantity", "value", "low", "high"], rows, path)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return all of it as JSON, what is not defined as null, and write it to `path` where given."""
        return _output.write_measures_json(self, path, leaks=self.leaks, verdict=self.verdict, null=self.null)

    def __str__(self) -> str:
        """Return the verdict, the numbers and the null for reading."""
        lines = [self.verdict]
        if not math.isnan(self.leak_rate.value):
            lines.append(
                f"Flagged at a false positive rate of {100 * self.false_positive_rate:g} %: "
                f"{100 * self.leak_rate.value:.1f} % of the used images "
                f"({100 * self.leak_rate.low:.1f} to {100 * self.leak_rate.high:.1f} %)."
            )
        if self.copying is not None:
            z, p_value = self.copying.z, self.copying.p_value
            lines.append(f"Data-copying statistic C_T = {z:.2f} (far below 0: copying), p = {p_value:.2g}.")
        lines.append(self.null)
        return "\n".join([*lines, *_output.failed_lines(self.failed)])


_COPYING = ("z", "p_value", "closer")


def audit_scores(
    used_scores: ArrayLike,
    unused_scores: ArrayLike,
    *,
    groups: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    level: float = 0.05,
    false_positive_rate: float = 0.05,
    power: float = 0.8,
    confidence: float = 0.95,
    n_permutations: int = 9999,
    seed: int = 0,
) -> Audit:
    """Test whether used images score higher than unused ones, and by how much.

    Parameters
    ----------
    used_scores, unused_scores : array_like
        (m,) and (n,) scores of images known to be used and known to be unused, higher = more likely used. At least two
        each. They must come from one method that has not seen which image is which.
    groups : pair of sequences, optional
        Patient of each used image (m,) and of each unused image (n,). Patients then stay whole, in the permutations,
        the intervals and the power. A patient may stand on one side only, and each side needs at least two.
    level : float
        A leak is reported at a p-value of at most `level`, 0.0001 to 0.5.
    false_positive_rate : float
        Share of unused images that may be flagged in the leak rate, 0.0001 to 0.5.
    power : float
        Probability with which the smallest detectable leak is to be found, 0.5 to 0.99.
    confidence : float
        Confidence of the intervals, 0.5 to 0.999.
    n_permutations : int
        Number of permutations; at least enough for a p-value of `level`.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    Audit
        Effect size, p-value, leak rate, detectable leak, and a verdict in words.

    Raises
    ------
    InputError
        If scores are nan or too few, a patient stands on both sides, or a number lies outside its range.

    Notes
    -----
    The p-value is (1 + permutations with an AUC as high) / (1 + permutations), valid in samples of any size (Phipson &
    Smyth 2010). The interval of the AUC is the score interval of Newcombe (2006, method 5), which keeps its width at an
    AUC of 1; with groups its sample sizes are divided by the design effect, the ratio of the clustered variance
    (Obuchowski 1997) to the plain one. A used image is flagged where its p-value among the unused ones, (1 + unused
    with at least its score) / (1 + n), is at most `false_positive_rate`; the interval of their share is that of Clopper
    and Pearson for this threshold, with groups at the effective sample size (Korn & Graubard 1998). The detectable
    leak follows from the spread of the permuted AUCs and the variance of an AUC by Hanley and McNeil (1982).

    Examples
    --------
    >>> from fingerprint.evaluation import audit_scores
    >>> audit = audit_scores([5.1, 6.0, 7.2, 4.4, 6.6, 5.8], [3.9, 4.1, 5.0, 2.2, 3.0, 4.6], n_permutations=999)
    >>> audit.leaks, round(audit.auc.value, 3)
    (True, 0.944)
    >>> print(audit.verdict)
    Leak shown: used images score higher than unused ones (AUC 0.944, 95 % interval 0.561 to 0.995; p = 0.008).
    """
    used, unused = _audited("used_scores", used_scores), _audited("unused_scores", unused_scores)
    m, n = len(used), len(unused)
    alpha = _check.number("level", level, minimum=1e-4, maximum=0.5)
    rate = _check.number("false_positive_rate", false_positive_rate, minimum=1e-4, maximum=0.5)
    chance = _check.number("power", power, minimum=0.5, maximum=0.99)
    sure = _check.number("confidence", confidence, minimum=0.5, maximum=0.999)
    draws = _check.integer("n_permutations", n_permutations, minimum=math.ceil(1 / alpha) - 1)
    start = _check.integer("seed", seed, minimum=0)
    first, second = (np.arange(m), np.arange(n)) if groups is None else _sides(groups, m, n)
    k, j = int(first.max()) + 1, int(second.max()) + 1

    ranks = _midranks(np.concatenate([used, unused]))[0]
    permuted = _permuted(ranks, np.concatenate([first, second + k]), k, draws, start)
    observed = _auc(ranks[:m].sum(), m, n)
    p_value = (1 + int((permuted >= observed - 1e-12).sum())) / (1 + draws)

    threshold, flagged = _flagged(used, unused, rate)
    detectable = (math.nan, math.nan)
    if math.log(alpha) + _log_choose(k + j, k) >= 0:  # else even the most extreme labels reach no such p-value
        detectable = _detectable(permuted, m, n, alpha, chance)
    return Audit(
        auc=_auc_interval(used, unused, ranks, first, second, sure),
        p_value=p_value,
        leak_rate=_share_interval(flagged, first, sure),
        leak_threshold=threshold,
        detectable_auc=detectable[0],
        detectable_share=detectable[1],
        n_used=m,
        n_unused=n,
        n_used_groups=None if groups is None else k,
        n_unused_groups=None if groups is None else j,
        level=alpha,
        false_positive_rate=rate,
        power=chance,
        confidence=sure,
        n_permutations=draws,
        seed=start,
    )


def _audited(argument: str, values: ArrayLike) -> Floats:
    array = _vector(argument, values)
    if array.dtype.kind not in "iuf" or len(array) < 2:
        raise InputError(f"{argument}: expected at least two scores, got {_check.describe(values)}")
    return _finite_order(argument, array)


def _sides(groups: Any, m: int, n: int) -> tuple[Ints, Ints]:
    """Return the numbers of the patients on either side."""
    used, unused = _pair("groups", groups, m, n)
    units = (_units("groups", used, m), _units("groups", unused, n))
    both = list(dict.fromkeys(member for member in used if member in set(unused)))
    if both:
        raise InputError(
            f"groups: expected every patient on one side, got {len(both)} both used and unused (first: {both[0]!r}); "
            "leave those patients out"
        )
    if min(unit.max() for unit in units) < 1:
        raise InputError("groups: expected at least two patients on each side, got one; add patients")
    return units


def _auc(rank_sum: Any, m: Any, n: Any) -> Any:
    return (rank_sum - m * (m + 1) / 2) / (m * n)


def _permuted(ranks: Floats, unit: Ints, n_used: int, draws: int, seed: int) -> Floats:
    """Return the AUC under `draws` random choices of which `n_used` units are the used ones."""
    rng = np.random.default_rng(seed)
    size, rank_sum = np.bincount(unit), np.bincount(unit, weights=ranks)
    result = []
    for block in _chunks(draws, len(size)):
        chosen = np.argpartition(rng.random((block, len(size))), n_used - 1, axis=1)[:, :n_used]
        m = size[chosen].sum(axis=1)
        result.append(_auc(rank_sum[chosen].sum(axis=1), m, len(ranks) - m))
    return np.concatenate(result)


def _auc_interval(
    used: Floats, unused: Floats, ranks: Floats, first: Ints, second: Ints, confidence: float
) -> Estimate:
    from scipy.special import stdtrit

    m, n = len(used), len(unused)
    above = (ranks[:m] - _midranks(used)[0]) / n  # of each used image: share of unused ones below it
    below = 1 - (ranks[m:] - _midranks(unused)[0]) / m
    value = float(above.mean())
    plain = above.var(ddof=1) / m + below.var(ddof=1) / n
    clustered = _clustered(above, first) + _clustered(below, second)
    most = max(m / (first.max() + 1), n / (second.max() + 1))
    effect = max(1.0, clustered / plain) if plain > 0 else most
    z = float(stdtrit(first.max() + second.max(), (1 + confidence) / 2))
    low = _newcombe(value, m / effect, n / effect, z)
    return Estimate(value, low, 1 - _newcombe(1 - value, m / effect, n / effect, z))


def _clustered(values: Floats, unit: Ints) -> float:
    """Return the variance of the mean of values that come in clusters."""
    sums = np.bincount(unit, weights=values - values.mean())
    return float((sums**2).sum() * len(sums) / (len(sums) - 1) / len(values) ** 2)


def _newcombe(auc: float, m: float, n: float, z: float) -> float:
    """Return the lowest AUC that lies within z standard errors, its own, of the one seen."""
    spread = (m + n) / 2 - 1

    def excess(a: float) -> float:
        variance = a * (1 - a) * (1 + spread * ((1 - a) / (2 - a) + a / (1 + a))) / (m * n)
        return auc - a - z * math.sqrt(variance)

    return _bisect(lambda a: -excess(a), 0.0, auc)


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function rises through 0 between `low` and `high`."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) >= 0 else (middle, high)
    return high


def _flagged(used: Floats, unused: Floats, rate: float) -> tuple[float, Array | None]:
    """Return the threshold at the rate and which used images lie above it, or None where the unused are too few."""
    allowed = math.floor(rate * (1 + len(unused)) + 1e-9)
    if allowed < 1:
        return math.nan, None
    threshold = float(np.sort(unused)[len(unused) - allowed])
    return threshold, used > threshold


def _share_interval(flagged: Array | None, unit: Ints, confidence: float) -> Estimate:
    from scipy.special import betaincinv

    if flagged is None:
        return Estimate(math.nan, math.nan, math.nan)
    m, share = len(flagged), float(flagged.mean())
    plain = share * (1 - share) / (m - 1)
    most = m / (int(unit.max()) + 1)
    effect = max(1.0, _clustered(flagged.astype(np.float64), unit) / plain) if plain > 0 else most
    size = m / effect
    hits, tail = share * size, (1 - confidence) / 2
    low = float(betaincinv(hits, size - hits + 1, tail)) if share > 0 else 0.0
    high = float(betaincinv(hits + 1, size - hits, 1 - tail)) if share < 1 else 1.0
    return Estimate(share, low, high)


def _detectable(permuted: Floats, m: int, n: int, level: float, power: float) -> tuple[float, float]:
    """Return the smallest AUC, and the smallest share of recognised images, found with the probability `power`."""
    from scipy.special import ndtri

    variance = float(permuted.var())
    if variance == 0:  # all scores are the same
        return math.nan, math.nan
    allowed = math.floor(level * (1 + len(permuted)) + 1e-9)
    critical = float(np.sort(permuted)[len(permuted) - allowed])
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
    return _bisect(shifted, 0.5, 1.0), _bisect(mixed, 0.0, 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

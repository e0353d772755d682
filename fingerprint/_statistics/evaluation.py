"""Evaluation of decisions or scores against the truth: measures with intervals, beside those of trivial answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fingerprint._base import checks
from fingerprint._base.axes import BLUE, axes_of
from fingerprint._base.checks import InputError
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import Result, Table
from fingerprint._statistics import intervals

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from numpy.typing import ArrayLike

    from fingerprint._base.types import Array, Floats, Ints
    from fingerprint._statistics.intervals import Estimate

_RATES = {"tpr_at_1_percent_fpr": 0.01, "tpr_at_01_percent_fpr": 0.001}


@public
@dataclass(frozen=True, eq=False, repr=False)
class Measures(Result):
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

    def __str__(self) -> str:
        """Return one line a measure, for reading."""
        return "\n".join(f"{_label(name):<20} {getattr(self, name)}" for name in MEASURES)


MEASURES = tuple(field.name for field in fields(Measures) if field.compare)
_N_DECISION = MEASURES.index("roc_auc")


@public
@dataclass(frozen=True, eq=False, repr=False)
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
    by_group : Measures or None
        The same measures with one value for each patient, where groups were given and each patient is used with all
        images or with none: the mean of its scores; called used where that reaches `threshold`, or where at least half
        of its images are called used.
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
    by_group: Measures | None = None

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        header = ["measure", "value", "low", "high", "all_ones", "coin", "coin_low", "coin_high"]
        patients = self.by_group
        rows = (
            [name, *getattr(self, name), getattr(self.all_ones, name).value, *getattr(self.coin, name)]
            + ([] if patients is None else [*getattr(patients, name)])
            for name in MEASURES
        )
        return header + ([] if patients is None else ["by_group", "by_group_low", "by_group_high"]), rows

    def __str__(self) -> str:
        """Return a table for reading."""
        unit = "images" if self.n_groups is None else f"{self.n_groups} patients"
        share = f"{100 * self.confidence:g} %"
        lines = [
            f"{self.n} images, {self.n_used} used; {share} intervals from {self.n_bootstrap} resamples of {unit}",
            f"{'':<20} {'value':<24} {'all ones':<10}{'coin':<24}" + " by patient" * (self.by_group is not None),
        ]
        for name in MEASURES:
            ones = getattr(self.all_ones, name).value
            trivial = "-" if math.isnan(ones) else f"{ones:.3f}"
            grouped = "" if self.by_group is None else f" {getattr(self.by_group, name)}"
            lines.append(
                f"{_label(name):<20} {getattr(self, name)!s:<24} {trivial:<10}{getattr(self.coin, name)!s:<24}{grouped}"
            )
        if math.isnan(self.accuracy.value):
            lines.append("- = not defined: scores decide only with a threshold")
        elif math.isnan(self.roc_auc.value):
            lines.append("- = not defined: decisions have no order, as scores and probabilities have")
        return "\n".join(line.rstrip() for line in lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw the measures that are defined, each with its interval, over that of a coin.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure of its own by default.

        Returns
        -------
        matplotlib.axes.Axes
            To be changed or saved. The scores are not kept, so that there is no ROC curve: `Ranking.plot_roc` draws it.

        Raises
        ------
        InputError
            If matplotlib is missing; it comes with the extra ``report``.

        Examples
        --------
        >>> import fingerprint
        >>> ax = fingerprint.evaluate([1, 1, 0, 0], [0.9, 0.4, 0.5, 0.1]).plot()
        >>> [label.get_text() for label in ax.get_yticklabels()][0]
        'ROC AUC'
        """
        ax = axes_of(ax)
        shown = [name for name in MEASURES if not math.isnan(getattr(self, name).value)]
        rows = np.arange(len(shown))
        (value, low, high), (_, *coin) = (
            np.array([getattr(measures, name) for name in shown]).reshape(-1, 3).T for measures in (self, self.coin)
        )
        ax.hlines(rows, *coin, color="0.85", linewidth=9, label="coin")
        ax.hlines(rows, low, high, color=BLUE, label=f"{100 * self.confidence:g} % interval")
        ax.plot(value, rows, "o", color=BLUE)
        ax.set_yticks(rows, [_label(name) for name in shown])
        ax.invert_yaxis()
        ax.set(xlabel=f"value on {self.n} images (higher = better)")
        ax.legend(frameon=False, fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
        return ax


_LABELS = {
    "f1": "F1",
    "kappa": "Cohen's kappa",
    "matthews": "Matthews",
    "roc_auc": "ROC AUC",
    "tpr_at_1_percent_fpr": "TPR at 1 % FPR",
    "tpr_at_01_percent_fpr": "TPR at 0.1 % FPR",
}


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


@public
@recorded
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
    >>> import fingerprint
    >>> truth = [1, 1, 1, 1, 0, 0, 0, 0]
    >>> evaluation = fingerprint.evaluate(truth, [1, 1, 1, 0, 0, 0, 0, 1])
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
    unit = np.arange(len(labels)) if groups is None else checks.units("groups", groups, len(labels))
    draws = checks.integer("n_bootstrap", n_bootstrap, minimum=100)
    start = checks.integer("seed", seed, minimum=0)
    level = checks.number("confidence", confidence, minimum=0.5, maximum=0.999)

    resampling, ones = _Resampling(draws, start, level), np.ones_like(labels)
    patients = None if groups is None else _patients(labels, decisions, scores, threshold, unit)
    tossed = _tossed(labels, unit, draws, start, decisions is not None, scores is not None)
    return Evaluation(
        **resampling.estimates(labels, decisions, scores, unit),
        all_ones=Measures(
            **resampling.estimates(labels, None if decisions is None else ones, None if scores is None else ones, unit)
        ),
        coin=Measures(*(intervals.of(_mean(row), row, level) for row in tossed)),
        n=len(labels),
        n_used=int(labels.sum()),
        n_groups=None if groups is None else int(unit.max()) + 1,
        threshold=None if threshold is None else float(threshold),
        confidence=level,
        n_bootstrap=draws,
        seed=start,
        by_group=None if patients is None else Measures(**resampling.estimates(*patients)),
    )


class _Resampling(NamedTuple):
    """How intervals are found."""

    draws: int
    seed: int
    confidence: float

    def estimates(self, labels: Ints, decisions: Array | None, scores: Array | None, unit: Ints) -> dict[str, Any]:
        """Return all measures by name, each with its interval over bootstrap samples of units."""
        count = unit.max() + 1
        values = _weighted(labels, decisions, scores, unit, iter([np.ones((1, count), np.int64)]))[:, 0]
        many = _weighted(labels, decisions, scores, unit, intervals.resampled(count, self.draws, self.seed))
        found = zip(MEASURES, values, many, strict=True)
        return {name: intervals.of(value, row, self.confidence) for name, value, row in found}


def _patients(
    labels: Ints, decisions: Ints | None, scores: Floats | None, threshold: float | None, unit: Ints
) -> tuple[Ints, Ints | None, Floats | None, Ints] | None:
    """Return truth, decision, score and unit of each patient; None where one of them is used with some images alone."""
    size = np.bincount(unit)

    def mean(values: Array) -> Floats:
        with np.errstate(invalid="ignore"):  # of infinite scores of both signs
            return np.bincount(unit, weights=values) / size

    used = mean(labels)
    average = None if scores is None else mean(scores)
    if not np.isin(used, (0, 1)).all() or (average is not None and np.isnan(average).any()):
        return None
    called = None
    if decisions is not None:
        reached = mean(decisions) >= 0.5 if average is None or threshold is None else average >= threshold
        called = reached.astype(np.int64)
    return used.astype(np.int64), called, average, np.arange(len(size))


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
    for size in intervals.chunks(draws, len(used)):
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


def _labels(argument: str, values: ArrayLike) -> Ints:
    array = checks.vector(argument, values)
    if not checks.binary(array):
        raise InputError(
            f"{argument}: expected booleans or the integers 0 (not used) and 1 (used), got {checks.describe(values)}"
        )
    return array.astype(np.int64)


def _decisions_or_scores(values: ArrayLike, threshold: float | None) -> tuple[Ints | None, Floats | None]:
    array = checks.vector("predicted_or_scores", values)
    if array.dtype.kind == "f":
        scores = checks.ordered("predicted_or_scores", array)
        if threshold is None:
            return None, scores
        return (scores >= checks.number("threshold", threshold, minimum=-math.inf)).astype(np.int64), scores
    if not checks.binary(array):
        raise InputError(
            "predicted_or_scores: expected decisions (booleans or the integers 0 and 1) or scores (floating point; "
            f"convert whole-number scores by float), got {checks.describe(values)}"
        )
    if threshold is not None:
        raise InputError(
            "threshold: expected none, since predicted_or_scores holds decisions already; give scores as floating point"
        )
    return array.astype(np.int64), None

"""Decisions without labels: which images to call used, at a stated error, or that there is no evidence."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fingerprint import _output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

Array = NDArray[Any]

_SEPARATION = 2.0  # standard deviations; two equal normal distributions that are nearer have one peak, not two
_STRONG = 10.0  # difference of BIC that counts as very strong evidence, Kass & Raftery 1995
_FEWEST = 20  # images from which a mixture is fitted
_STEPS, _TOLERANCE = 500, 1e-10


class Mixture(NamedTuple):
    """Two normal distributions of one width.

    Parameters
    ----------
    share : float
        Of the upper one.
    low, high : float
        Their means.
    spread : float
        Their standard deviation.
    evidence : float
        BIC of the best distribution with one peak (normal or Laplace, unequal flanks, or flat) minus that of the two;
        above 10 = very strong evidence for two.
    """

    share: float
    low: float
    high: float
    spread: float
    evidence: float

    @property
    def separated(self) -> bool:
        """Whether the two stand apart: strong evidence for two, and two peaks."""
        return self.evidence > _STRONG and self.high - self.low > _SEPARATION * self.spread

    def unused(self, scores: Array) -> Array:
        """Return the probability of each image to belong to the lower one."""
        middle, slope = (self.low + self.high) / 2, (self.high - self.low) / self.spread**2
        logit = np.log(self.share / (1 - self.share)) + slope * (scores - middle)
        return np.asarray(0.5 - np.tanh(logit / 2) / 2)


@dataclass(frozen=True)
class Decisions:
    """Which images are called used, and what that rests on.

    Parameters
    ----------
    names : tuple of str
        (n,) images, most likely used first.
    used : ndarray
        (n,) bool.
    error : ndarray
        (n,) float64: false discovery rate of calling this image, and all before it, used.
    false_discovery_rate : float
        Largest share of wrong calls, on average, that was allowed.
    threshold : float or None
        Scores from here upwards are called used; None = there is no evidence and none is.
    rule : str
        How it was decided, and under which assumption the error holds.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=6, n_unused=6, n_fake=40, size=64)
    >>> decisions = fingerprint.rank(demo.real, demo.fake).decide()
    >>> decisions.threshold is None, int(decisions.used.sum())
    (True, 0)
    """

    names: tuple[str, ...]
    used: Array
    error: Array
    false_discovery_rate: float
    threshold: float | None
    rule: str

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        if self.threshold is None:
            return f"No evidence: none of {len(self.names)} images is called used. That proves of none that it was not."
        rate = 100 * self.false_discovery_rate
        return (
            f"{int(self.used.sum())} of {len(self.names)} images are called used, at most {rate:g} % of them wrongly "
            "on average. The others may have been used as well."
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[str, bool, float]:
        """Return name, decision and error of the image at a position, from 0."""
        return self.names[index], bool(self.used[index]), float(self.error[index])

    def __iter__(self) -> Iterator[tuple[str, bool, float]]:
        """Iterate over name, decision and error, most likely used first."""
        return (self[i] for i in range(len(self)))

    def __str__(self) -> str:
        """Return the verdict and the rule."""
        return f"{self.verdict}\n{self.rule}"

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Return the columns name, used (0 or 1) and error as CSV, and write it to `path` where given."""
        rows = ([name, int(used), error] for name, used, error in self)
        return _output.write_csv(["name", "used", "error"], rows, path)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return all of it as JSON, and write it to `path` where given."""
        columns = {"names": list(self.names), "used": self.used.tolist(), "error": self.error.tolist()}
        content = asdict(self) | columns | {"verdict": self.verdict}
        return _output.write_json(content, path)


def by_reference(names: tuple[str, ...], scores: Array, q_values: Array, rate: float) -> Decisions:
    """Call used what the q-values allow.

    Parameters
    ----------
    names : tuple of str
        (n,) images, most likely used first.
    scores, q_values : ndarray
        (n,) float64.
    rate : float
        False discovery rate.

    Returns
    -------
    Decisions
        With the q-values as `error`.
    """
    used = q_values <= rate
    rule = (
        f"Rule: q-value of at most {rate:g} (Benjamini & Hochberg) against the reference of unused images. It holds "
        "as far as unused images among the ranked ones could be exchanged for those of the reference."
    )
    return Decisions(names, used, q_values, rate, float(scores[used].min()) if used.any() else None, rule)


def by_mixture(names: tuple[str, ...], scores: Array, rate: float) -> Decisions:
    """Call used what belongs to the upper of two groups of scores, if there are two.

    Parameters
    ----------
    names : tuple of str
        (n,) images, most likely used first.
    scores : ndarray
        (n,) float64, descending.
    rate : float
        False discovery rate.

    Returns
    -------
    Decisions
        With the mean probability to be unused, over this image and all before it, as `error`; 1 where there are no two
        groups.
    """
    rule = (
        "Rule: the scores are taken for two normal distributions of one width, the upper one of the used images. No "
        "reference has tested this assumption; anything else that splits the images in two looks the same. "
    )
    found = fit_mixture(scores) if len(scores) >= _FEWEST else None
    if found is None or not found.separated:
        if len(scores) < _FEWEST:
            why = f"{len(scores)} images are too few to see two groups (at least {_FEWEST})."
        elif found is None:
            why = "There are no two groups: all scores are the same."
        else:
            why = (
                f"The scores do not show two groups: {(found.high - found.low) / found.spread:.1f} standard deviations "
                f"apart (more than {_SEPARATION:g} needed), evidence {found.evidence:.1f} (more than {_STRONG:g})."
            )
        return Decisions(names, np.zeros(len(names), bool), np.ones(len(names)), rate, None, rule + why)
    error = np.cumsum(found.unused(scores)) / np.arange(1, len(scores) + 1)
    used = error <= rate
    rule += (
        f"The two are {(found.high - found.low) / found.spread:.1f} standard deviations apart, with "
        f"{100 * found.share:.0f} % of the images in the upper one."
    )
    return Decisions(names, used, error, rate, float(scores[used].min()) if used.any() else None, rule)


def fit_mixture(scores: Array) -> Mixture | None:
    """Fit two normal distributions of one width by expectation maximisation.

    Parameters
    ----------
    scores : ndarray
        (n,) float64.

    Returns
    -------
    Mixture or None
        The likeliest over several starts; None where all scores are the same.
    """
    count, total = len(scores), float(scores.std())
    if total <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        return None
    best = max(
        (_climb(scores, float(np.quantile(scores, start)), total) for start in (0.1, 0.3, 0.5, 0.7, 0.9)),
        key=lambda found: found[0],
    )
    return Mixture(*best[1:], 2 * best[0] - 4 * math.log(count) - _one_group(scores))


def _one_group(scores: Array) -> float:
    """Return minus the BIC of the best distribution with one peak: normal or Laplace, both with two widths, or flat."""
    ordered = np.sort(scores - scores.mean())
    count, number = len(ordered), np.arange(len(ordered))
    # every score in turn is the peak; what lies left of it adds up from below, what lies right of it from above
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    left = number * ordered - (sums - ordered)
    right = (sums[-1] - sums) - (count - 1 - number) * ordered
    left_squares = number * ordered**2 - 2 * ordered * (sums - ordered) + (squares - ordered**2)
    right_squares = (squares[-1] - squares) - 2 * ordered * (sums[-1] - sums) + (count - 1 - number) * ordered**2
    flanks = np.maximum(np.stack([left, right, left_squares, right_squares]) / count, 0.0)  # 0 but for rounding
    laplace = np.sqrt(flanks[:2]).sum(axis=0).min() ** 2
    normal = np.cbrt(flanks[2:]).sum(axis=0).min() ** 1.5
    likelihoods = (
        -count * (math.log(laplace) + 1),
        -count * (math.log(normal) + 0.5 * math.log(math.pi / 2) + 0.5),
    )
    flat = -count * math.log(np.ptp(scores))
    return max(2 * max(likelihoods) - 3 * math.log(count), 2 * flat - 2 * math.log(count))


def _climb(scores: Array, start: float, total: float) -> tuple[float, float, float, float, float]:
    """Return log likelihood, share, low, high and spread, from a first cut at `start`."""
    upper = np.where(scores > start, 0.9, 0.1)
    likelihood = -math.inf
    for _ in range(_STEPS):
        share = float(upper.mean())
        low = float(((1 - upper) * scores).mean() / (1 - share))
        high = float((upper * scores).mean() / share)
        variance = float((upper * (scores - high) ** 2 + (1 - upper) * (scores - low) ** 2).mean())
        spread = math.sqrt(max(variance, (1e-3 * total) ** 2))  # a point mass would be infinitely likely
        logs = np.stack(
            [
                math.log(1 - share) - 0.5 * ((scores - low) / spread) ** 2,
                math.log(share) - 0.5 * ((scores - high) / spread) ** 2,
            ]
        )
        either = np.logaddexp(*logs)
        upper = np.clip(np.exp(logs[1] - either), 1e-9, 1 - 1e-9)
        before, likelihood = likelihood, float(either.sum()) - len(scores) * math.log(spread * math.sqrt(2 * math.pi))
        if likelihood - before < _TOLERANCE * len(scores):
            break
    return likelihood, share, low, high, spread

"""Decisions without labels: which images to call used, at a stated error, or that there is no evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base import histogram
from fingerprint._base.importing import whole
from fingerprint._base.naming import natural_key
from fingerprint._base.public import public
from fingerprint._base.results import ListResult
from fingerprint._statistics.copies import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._patches.gains import GainSummary
    from fingerprint._statistics.copies import Copy
    from fingerprint._statistics.neighbourhood import Neighbourhood

_PATIENT = 20  # one in so many synthetic images may show one and the same patient
_ALIKE = 2  # one in so many is still as far away as its number leads one to expect
_WIDER, _TAIL = 8, 4  # sums of gains: that many times the usual rank, but no more than one in four, are their tail


@public
class Decision(NamedTuple):
    """The decision on one image, or on one patient.

    Parameters
    ----------
    name : str
        Of the real image, or of the patient.
    used : bool
        Whether it is called used. False is no proof that it was not.
    error : float
        Smallest false discovery rate at which it is called used.
    """

    name: str
    used: bool
    error: float


@public
@dataclass(frozen=True, eq=False, repr=False)
class Decisions(ListResult[Decision]):
    """Which images are called used, and what that rests on: a list of `Decision`.

    Parameters
    ----------
    names : tuple of str
        (n,) images, most likely used first.
    used : ndarray
        (n,) bool.
    error : ndarray
        (n,) float64: smallest false discovery rate at which this image is called used.
    false_discovery_rate : float
        Largest share of wrong calls, on average, that was allowed.
    threshold : float or None
        Scores from here upwards are called used; None = none is, or not by the score.
    rule : str
        How it was decided, and under which assumption the error holds.
    by_group : tuple of Decision or None
        The decision on each patient, that of the smallest error first, where groups were given: a patient is used with
        all of its images or with none. The false discovery rate is then one of patients.
    copies : tuple of Copy
        Images that have a copy among the synthetic ones. They, and their patients, are called used with an error of 0.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=6, n_unused=6, n_fake=40, size=64)
    >>> decisions = fingerprint.rank(demo.real, demo.fake).decide()
    >>> decisions.threshold is None, int(decisions.used.sum())
    (True, 0)
    """

    _row_type = Decision
    _by_row = ("names", "used", "error")
    _derived = ("verdict",)

    names: tuple[str, ...]
    used: Array
    error: Array
    false_discovery_rate: float
    threshold: float | None
    rule: str
    by_group: tuple[Decision, ...] | None = None
    copies: tuple[Copy, ...] = ()

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        return f"{sentence(self.copies, 'real')} {self._counts}" if self.copies else self._counts

    @property
    def _counts(self) -> str:
        patients = self.by_group or ()
        images, people = int(self.used.sum()), sum(patient.used for patient in patients)
        counts = [(images, len(self.names), "images")] + [(people, len(patients), "patients")] * bool(patients)
        if not images and not people:
            none = " and ".join(f"none of {total} {unit}" for _, total, unit in counts)
            return f"No evidence: {none} is called used. That does not prove that none was."
        called = " and ".join(f"{count} of {total} {unit}" for count, total, unit in counts)
        rate = 100 * self.false_discovery_rate
        return (
            f"{called} are called used, at most {rate:g} % of {'either' if patients else 'them'} wrongly on average. "
            "The others may have been used as well."
        )

    def _row(self, i: int) -> Decision:
        return Decision(self.names[i], bool(self.used[i]), float(self.error[i]))

    def __str__(self) -> str:
        """Return the verdict and the rule."""
        return f"{self.verdict}\n{self.rule}"


def by_reference(
    names: tuple[str, ...],
    scores: Array,
    q_values: Array,
    rate: float,
    group_q_values: Mapping[str, float] | None = None,
) -> Decisions:
    """Call used what the q-values allow.

    Parameters
    ----------
    names : tuple of str
        (n,) images, most likely used first.
    scores, q_values : ndarray
        (n,) float64.
    rate : float
        False discovery rate.
    group_q_values : mapping, optional
        From patient to q-value.

    Returns
    -------
    Decisions
        With the q-values as `error`.
    """
    used = q_values <= rate
    patients = None if group_q_values is None else _patients(group_q_values, rate)
    unit, how = ("images", "") if patients is None else ("patients", ", of whom each counts once")
    rule = (
        f"Rule: q-value of at most {rate:g} (Benjamini & Hochberg) against the reference of unused {unit}{how}. It "
        f"holds as far as unused {unit} among the ranked ones could be exchanged for those of the reference."
    )
    return Decisions(names, used, q_values, rate, float(scores[used].min()) if used.any() else None, rule, patients)


def by_extrapolation(names: tuple[str, ...], chances: Array, groups: tuple[str, ...] | None, rate: float) -> Decisions:
    """Call used what lies nearer than chance brings it, with room for one coincidence.

    The procedure of Benjamini & Hochberg (1995), whose p-values have to hold far out in the tail, where a coincidence
    is most likely to break their assumption. So one call more counts as wrong than they say, as in the filter of Barber
    & Candès, Controlling the False Discovery Rate via Knockoffs, Annals of Statistics 2015: at 10 % fewer than ten
    calls are never made. Slices of one patient share a coincidence; where patients are known, one patient counts.

    The p-value of a patient is that of its nearest image, times the number of its images: the rule of Bonferroni, which
    holds whatever they have to do with each other.

    Parameters
    ----------
    names : tuple of str
        (n,) images, most likely used first.
    chances : ndarray
        (n,) float64 p-values, see `chance`.
    groups : tuple of str or None
        (n,) patients.
    rate : float
        False discovery rate.

    Returns
    -------
    Decisions
        With the expected share of wrong calls, over this image and all with a smaller p-value, as `error`.
    """
    of_image = np.arange(len(names)) if groups is None else np.array(groups)
    people, codes, sizes = np.unique(of_image, return_inverse=True, return_counts=True)
    error = _errors(chances, codes)
    patients = None
    if groups is not None:
        nearest = np.ones(len(people))
        np.minimum.at(nearest, codes, chances)
        errors = _errors(np.minimum(nearest * sizes, 1.0), np.arange(len(people)))
        patients = _patients(dict(zip(people.tolist(), errors.tolist(), strict=True)), rate)
    rule = (
        f"Rule: false discovery rate of at most {rate:g} (Benjamini & Hochberg, with one coincidence more, as Barber & "
        "Candès), of p-values that each image has from its own distances. Assumed of an unused image: towards it, "
        "synthetic images thin out at least as fast as they do farther away. Nothing tests this, and an image all "
        "but the same as a used one, such as the next slice of its patient, looks used."
    )
    return Decisions(names, error <= rate, error, rate, None, rule, patients)


def with_copies(decided: Decisions, copies: tuple[Copy, ...], groups: Sequence[str] | None) -> Decisions:
    """Call used, too, what has a copy among the synthetic images, and its patients; nothing in it is chance.

    Parameters
    ----------
    decided : Decisions
        By statistics.
    copies : tuple of Copy
        Their positions are those among the decisions.
    groups : sequence of str or None
        (n,) patients.

    Returns
    -------
    Decisions
        The same where there are no copies.
    """
    if not copies:
        return decided
    error, patients = decided.error.copy(), decided.by_group
    error[[copy.position for copy in copies]] = 0.0
    if patients is not None and groups is not None:
        known = dict.fromkeys((groups[copy.position] for copy in copies), 0.0)
        patients = _patients({one.name: one.error for one in patients} | known, decided.false_discovery_rate)
    return replace(
        decided,
        used=decided.used | (error == 0.0),
        error=error,
        by_group=patients,
        copies=copies,
        rule=f"{decided.rule} Copies are called used without it.",
    )


def _errors(chances: Array, codes: Array) -> Array:
    """Return the expected share of wrong calls, with one coincidence, which all of one code share."""
    count = len(chances)
    order = np.argsort(chances, kind="stable")
    first = np.zeros(count, bool)
    first[np.unique(codes[order], return_index=True)[1]] = True
    stepped = chances[order] * count / np.arange(1, count + 1) + 1 / np.cumsum(first)
    error = np.empty(count)
    error[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return error


def _patients(errors: Mapping[str, float], rate: float) -> tuple[Decision, ...]:
    """Return the decision on each patient, that of the smallest error first; ties in natural order of the names."""
    order = sorted(errors, key=lambda name: (errors[name], natural_key(name)))
    return tuple(Decision(name, errors[name] <= rate, errors[name]) for name in order)


def chance(seen: Sequence[Neighbourhood], patches: GainSummary | None = None, least: float = 0.0) -> Array:
    """Return how likely chance brings a synthetic image so near, extrapolated from those farther away.

    The p-values of the kinds of evidence are combined by the rule of Bonferroni, which holds whatever they have to do
    with each other.

    Parameters
    ----------
    seen : sequence of Neighbourhood
        Of n real images, one for each scale; possibly none.
    patches : GainSummary, optional
        Of the same images. One of both has to be there.
    least : float
        As for `parts`.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; lower = more likely used. 1 where there are too few synthetic images to tell.
    """
    kinds = [whole_images(seen)] if seen else []
    kinds += [parts(patches, least)] if patches is not None else []
    return np.asarray(np.minimum(len(kinds) * np.min(kinds, axis=0), 1.0))


def whole_images(seen: Sequence[Neighbourhood]) -> Array:
    """Return p-values of the distance to the nearest synthetic image.

    Around any point, the number of independent images within a small distance r grows as a power of r, the local
    dimension: Levina & Bickel, Maximum Likelihood Estimation of Intrinsic Dimension, NIPS 2004. It is known from the
    distances up to which a twentieth and a half of the synthetic images lie: even those that copy one patient are
    hardly more than a twentieth. Twice the mean over the scales, which is a p-value whatever they have to do with each
    other: Vovk & Wang, Combining P-values via Averaging, Biometrika 2020. All scales have to agree.

    Where synthetic images were compared in other forms too, the distances are those of images as they are, and the
    p-value counts once for each form: none is assumed to come nearer by chance than images as they are.

    Parameters
    ----------
    seen : sequence of Neighbourhood
        Of n real images, one for each scale.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; lower = more likely used.
    """
    count = seen[0].n_fake
    first, last = max(2, -(-count // _PATIENT)), count // _ALIKE
    if last <= first:
        return np.ones(len(seen[0].nearest))
    found, least = [], histogram.edges()[0]  # what lies in the first bin is equally near
    for scale in seen:
        counts = scale.counts if scale.as_is is None else scale.as_is
        nearest, inner, outer = (
            np.log(np.maximum(distances, least))
            for distances in (
                scale.nearest[:, 0],
                histogram.smallest(counts, first),
                histogram.smallest(counts, last),
            )
        )
        found.append(exceeded(inner - nearest, outer - inner, first, last))
    return np.asarray(np.minimum(seen[0].forms * min(len(found), 2) * np.mean(found, axis=0), 1.0))


def parts(patches: GainSummary, least: float = 0.0) -> Array:
    """Return p-values of the strongest patch evidence.

    A gain is the logarithm of a distance, and what was said of distances makes the tail of their sums exponential. It
    is known from the sums that are usual for an image, see `fingerprint._patches.gains.GainSummary.scores`, and from
    those that eight times as many synthetic images reach, at most a quarter: the rest is no tail.

    Parameters
    ----------
    patches : GainSummary
        Of n real images.
    least : float
        Where the tail begins at least, see `fingerprint._patches.gains.least_compared`.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; lower = more likely used.
    """
    first = patches.usual
    last = min(_WIDER * first, patches.n_fake // _TAIL)
    if last <= first:
        return np.ones(len(patches.counts))
    inner, outer = (histogram.smallest(patches.counts, patches.n_fake + 1 - rank) for rank in (first, last))
    inner = np.maximum(inner, least)
    return exceeded(patches.gains[:, 0] - inner, inner - outer, first, last)


def exceeded(lead: Array, step: Array, first: int, last: int) -> Array:
    """Return how likely the largest of many numbers leads so far, if their tail is exponential.

    By how much the j-th largest exceeds the next is then exponential with mean 1 / j, times the scale of the tail
    (Rényi, On the Theory of Order Statistics, 1953). The scale is known from the step between two order statistics, and
    its error counts. An upper bound: the probability for one of the ``first - 1`` larger numbers, times their number.

    Parameters
    ----------
    lead : ndarray
        (n,) float64: largest number minus the `first`-th largest.
    step : ndarray
        (n,) float64: `first`-th largest number minus the `last`-th largest.
    first, last : int
        From 2, and larger.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; 1 where there is no lead or no step.

    Examples
    --------
    >>> exceeded(np.array([0.0, 2.0, 4.0]), np.ones(3), 20, 200).round(4)
    array([1.    , 0.1985, 0.0024])
    """
    gammaln = whole("scipy.special").gammaln

    ratio = np.divide(lead, step, out=np.zeros_like(lead), where=(lead > 0) & (step > 0))
    # product of j / (j + ratio) from `first` to `last` - 1: the mean of exp(-ratio * step / scale)
    logs = gammaln(first + ratio) - gammaln(first) - gammaln(last + ratio) + gammaln(last)
    return np.asarray(np.minimum((first - 1) * np.exp(logs), 1.0))

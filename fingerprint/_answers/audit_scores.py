"""`Audit`: whether a generator leaks which images it was trained on; and `audit_scores`, by scores that you have."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import Result, Table
from fingerprint._statistics import flagged, roc
from fingerprint._statistics.copies import Copy, sentence
from fingerprint._statistics.intervals import Estimate

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike

    from fingerprint._answers.planted import Planted
    from fingerprint._answers.ranking import Ranking
    from fingerprint._answers.withheld import Withheld
    from fingerprint._base.types import Floats, Ints
    from fingerprint._statistics.data_copying import Copying

_COPYING = ("z", "p_value", "closer")


@public
@dataclass(frozen=True, eq=False, repr=False)
class Audit(Result):
    """Result of `audit` and `audit_scores`: whether the generator leaks which images it was trained on.

    Parameters
    ----------
    auc : Estimate
        Effect size: probability that a used image scores higher than an unused one, with its interval; 0.5 = no leak
        seen, 1 = every used image stands out.
    p_value : float
        One-sided permutation p-value of the AUC under `null`.
    auc_by_group : Estimate or None
        The same of patients by their mean scores, where groups were given.
    leak_rate : Estimate
        Share of the used images that are flagged, with its interval. Compare it with `false_positive_rate`, which is
        what it is without a leak. nan where there are too few unused images for that rate.
    leak_threshold : float
        Scores above it are flagged.
    most_told : float
        Upper bound, which holds with the probability `confidence`: at a true false positive rate of
        `false_positive_rate` this score tells no larger share of the used images.
    split_used, split_unused : Estimate
        Split control: mean AUC of one random half of the used, or unused, images against the other half, and the ends
        of the central share `confidence` of such splits; patients stay whole. An AUC within them is no more than what
        splitting does. nan with fewer than four images or patients.
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
    control : Estimate or None
        The AUC by the synthetic images of the control generator, where there were any; away from 0.5, used and unused
        images differ in something other than use.
    planted : tuple of Planted
        How many copies of unused images, planted among the synthetic ones, would have been found at each strength.
    copying : Copying or None
        The data-copying statistic, where it was worked out.
    copies, unused_copies : tuple of Copy
        Used, and unused, images that have a copy among the synthetic ones. A copy of a used image is a leak whatever
        the scores say; one of an unused image says that it was used, or that the synthetic images hold real ones.
    notes : tuple of str
        What to know about these images before believing the verdict; often none.
    failed : mapping of str to tuple of Failure
        Files of ``"used"``, ``"unused"``, ``"fake"`` and ``"control"`` that could not be used; empty where scores were
        given.
    ignored : mapping of str to int
        The same in numbers for files that are no images; without those of synthetic images.
    ranking : Ranking or None
        The used images, most surely so first, with the unused ones as reference. Not written to files, and None where
        scores were given.
    """

    _derived = ("leaks", "verdict", "null")

    auc: Estimate
    p_value: float
    auc_by_group: Estimate | None
    leak_rate: Estimate
    leak_threshold: float
    most_told: float
    split_used: Estimate
    split_unused: Estimate
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
    control: Estimate | None = None
    planted: tuple[Planted, ...] = ()
    copying: Copying | None = None
    copies: tuple[Copy, ...] = ()
    unused_copies: tuple[Copy, ...] = ()
    notes: tuple[str, ...] = ()
    failed: Failures = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    ranking: Ranking | None = field(default=None, compare=False)

    @property
    def leaks(self) -> bool:
        """Whether a leak is shown, at `level` or by copies. False does not mean that there is none."""
        return self.p_value <= self.level or bool(self.copies)

    @property
    def null(self) -> str:
        """The hypothesis that the p-value speaks about, in words."""
        units = "images" if self.n_used_groups is None else "patients, each with all of its images,"
        return (
            f"Null: it is random which {units} were used, so that used and unused ones are exchangeable. "
            "A difference in anything else (scanner, hospital, processing, kind of patient) breaks it as a leak does."
        )

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        copied = ""
        if self.unused_copies:
            copied = (
                f"{sentence(self.unused_copies, 'unused')} So it was used, or the synthetic images hold real ones. "
            )
        if self.copies:
            shown = self.p_value <= self.level
            scores = "used images score higher than unused ones" if shown else "the scores alone show none"
            return f"Leak shown: {sentence(self.copies, 'used')} {copied}Beside that, {scores} ({self._size})."
        text = f"{copied}{self.scores_verdict}"
        if self.p_value > self.level:
            text += f" This does not prove that there is none: {self.sensitivity}"
        return text + self._reversed

    @property
    def scores_verdict(self) -> str:
        """What the scores say, without copies, in plain words."""
        if self.p_value <= self.level:
            return f"Leak shown: used images score higher than unused ones ({self._size})."
        return f"No leak shown ({self._size})."

    @property
    def sensitivity(self) -> str:
        """How large a leak could have been seen, in plain words."""
        units = f"{self.n_used} used and {self.n_unused} unused images"
        if self.n_used_groups is not None:
            units += f" of {self.n_used_groups} and {self.n_unused_groups} patients"
        if math.isnan(self.detectable_auc):
            return f"with {units} no leak could have been shown; use more."
        return (
            f"{units} show, in {100 * self.power:g} % of cases, a leak with an AUC of {self.detectable_auc:.3f} "
            f"or more, or one that makes {100 * self.detectable_share:.0f} % or more of the used images stand out."
        )

    @property
    def control_verdict(self) -> str:
        """What the control generator says, in plain words; empty without one."""
        if self.control is None:
            return ""
        size = f"AUC {self.control.value:.3f}, {100 * self.confidence:g} % interval {self.control.low:.3f} to "
        size += f"{self.control.high:.3f}"
        if self.control.low <= 0.5 <= self.control.high:
            return f"Used and unused images look alike to a generator that saw none of them ({size})."
        return (
            f"Used and unused images differ to a generator that saw none of them ({size}). So they differ in something "
            "other than use: compare the AUC with this one, not with 0.5."
        )

    @property
    def planted_verdict(self) -> str:
        """How many planted copies would have been found, in plain words; empty where none were planted."""
        if not self.planted:
            return ""
        found = ", ".join(f"{one.found} at {100 * one.opacity:g} %" for one in self.planted)
        return (
            f"Of {self.planted[0].planted} unused images mixed into synthetic ones, this score would find, "
            f"by the opacity of the copy: {found}."
        )

    @property
    def _size(self) -> str:
        size = f"AUC {self.auc.value:.3f}, {100 * self.confidence:g} % interval {self.auc.low:.3f} to "
        return f"{size}{self.auc.high:.3f}; p = {self.p_value:.2g}"

    @property
    def _reversed(self) -> str:
        if self.auc.high >= 0.5:
            return ""
        return " Used images score lower than unused ones: something else tells the sets apart; check their origin."

    def withhold(self, *, false_discovery_rate: float = 0.1) -> Withheld:
        """List the synthetic images that give used images away, to withhold them from a release.

        Parameters
        ----------
        false_discovery_rate : float
            As for `Ranking.withhold`; the unused images are the reference.

        Returns
        -------
        Withheld
            For each synthetic image the used ones that it gives away.

        Raises
        ------
        InputError
            If the rate is out of range, or the audit had scores alone.
        """
        if self.ranking is None:
            raise InputError("withhold: this audit has scores alone; make it by audit")
        made = self.provenance and self.provenance.also(false_discovery_rate=float(false_discovery_rate))
        return replace(self.ranking.withhold(false_discovery_rate=false_discovery_rate), provenance=made)

    def report(
        self,
        path: str | PathLike[str],
        *,
        top: int = 20,
        title: str | None = None,
        notes: str = "",
        false_discovery_rate: float = 0.1,
        images: bool = True,
        salt: str | None = None,
        check: Sequence[tuple[str, str, str, str]] = (),
    ) -> str | None:
        """Write one HTML page by which a release is decided: the verdict, what to withhold, control and power, limits.

        The used images stand in it as in `Ranking.report`, with the unused ones as reference.

        Parameters
        ----------
        path, top, title, notes, false_discovery_rate, images, salt, check
            As for `Ranking.report`.

        Returns
        -------
        str or None
            The salt of the hashed names; None with images.

        Raises
        ------
        InputError
            As `Ranking.report`.
        """
        report = import_module("fingerprint._answers.report")  # which imports this file for its types
        wanted = report.Wanted(title, notes, false_discovery_rate, top, images, salt, check)
        origin = None if self.ranking is None else self.ranking.origin
        used: str | None = report.write(path, self.ranking, self, self.provenance, wanted, lambda: origin)
        return used

    @staticmethod
    def _ends(split: Estimate) -> str:
        return "an unknown size" if math.isnan(split.value) else f"{split.low:.3f} to {split.high:.3f}"

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        columns, rows = super().table()
        rows = [*rows, *([f"found_at_{one.opacity:g}", one.found / one.planted, None, None] for one in self.planted)]
        if self.copying is not None:
            rows = [*rows, *([f"copying_{name}", getattr(self.copying, name), None, None] for name in _COPYING)]
        return columns, rows

    def __str__(self) -> str:
        """Return the verdict, the numbers and the null for reading."""
        lines = [self.verdict]
        if not math.isnan(self.leak_rate.value):
            lines.append(
                f"Flagged at a false positive rate of {100 * self.false_positive_rate:g} %: "
                f"{100 * self.leak_rate.value:.1f} % of the used images "
                f"({100 * self.leak_rate.low:.1f} to {100 * self.leak_rate.high:.1f} %)."
            )
        lines.append(
            f"Upper bound: at a false positive rate of {100 * self.false_positive_rate:g} %, this score tells no more "
            f"than {100 * self.most_told:.0f} % of the used images ({100 * self.confidence:g} % confidence)."
        )
        if self.auc_by_group is not None:
            lines.append(f"By patient, from mean scores: AUC {self.auc_by_group}.")
        lines.append(
            f"Split control: two random halves of the used images have an AUC of {self._ends(self.split_used)}, of the "
            f"unused images of {self._ends(self.split_unused)} ({100 * self.confidence:g} % of splits)."
        )
        if self.control is not None:
            lines.append(f"Control generator: {self.control_verdict}")
        if self.planted:
            lines.append(self.planted_verdict)
        if self.copying is not None:
            lines.append(str(self.copying))
        lines.append(self.null)
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join([*lines, *failed_lines(self.failed)])


@public
@recorded
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
    >>> import fingerprint
    >>> used, unused = [5.1, 6.0, 7.2, 4.4, 6.6, 5.8], [3.9, 4.1, 5.0, 2.2, 3.0, 4.6]
    >>> audit = fingerprint.audit_scores(used, unused, n_permutations=999)
    >>> audit.leaks, round(audit.auc.value, 3)
    (True, 0.944)
    >>> print(audit.verdict)
    Leak shown: used images score higher than unused ones (AUC 0.944, 95 % interval 0.561 to 0.995; p = 0.008).
    """
    used, unused = _audited("used_scores", used_scores), _audited("unused_scores", unused_scores)
    m, n = len(used), len(unused)
    alpha = checks.number("level", level, minimum=1e-4, maximum=0.5)
    rate = checks.number("false_positive_rate", false_positive_rate, minimum=1e-4, maximum=0.5)
    chance = checks.number("power", power, minimum=0.5, maximum=0.99)
    sure = checks.number("confidence", confidence, minimum=0.5, maximum=0.999)
    draws = checks.integer("n_permutations", n_permutations, minimum=math.ceil(1 / alpha) - 1)
    start = checks.integer("seed", seed, minimum=0)
    first, second = (np.arange(m), np.arange(n)) if groups is None else _sides(groups, m, n)
    k, j = int(first.max()) + 1, int(second.max()) + 1

    ranks = roc.midranks(np.concatenate([used, unused]))[0]
    permuted = roc.permuted(ranks, np.concatenate([first, second + k]), k, draws, start)
    observed = roc.of_ranks(ranks[:m].sum(), m, n)
    p_value = (1 + int((permuted >= observed - 1e-12).sum())) / (1 + draws)

    threshold, told = flagged.flag(used, unused, rate)
    detectable = (math.nan, math.nan)
    if math.log(alpha) + _log_choose(k + j, k) >= 0:  # else even the most extreme labels reach no such p-value
        detectable = roc.detectable(permuted, m, n, alpha, chance)
    return Audit(
        auc=roc.interval(used, unused, ranks, first, second, sure),
        p_value=p_value,
        auc_by_group=None if groups is None else _auc_of_means(used, unused, first, second, sure),
        leak_rate=flagged.share(told, first, sure),
        leak_threshold=threshold,
        most_told=flagged.upper_bound(used, unused, first, second, rate, sure),
        split_used=roc.split_control(used, first, draws, start, sure),
        split_unused=roc.split_control(unused, second, draws, start, sure),
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
    array = checks.vector(argument, values)
    if array.dtype.kind not in "iuf" or len(array) < 2:
        raise InputError(f"{argument}: expected at least two scores, got {checks.describe(values)}")
    return checks.ordered(argument, array)


def _sides(groups: Any, m: int, n: int) -> tuple[Ints, Ints]:
    """Return the numbers of the patients on either side."""
    used, unused = checks.pair("groups", groups, m, n)
    units = (checks.units("groups", used, m), checks.units("groups", unused, n))
    both = list(dict.fromkeys(member for member in used if member in set(unused)))
    if both:
        raise InputError(
            f"groups: expected every patient on one side, got {len(both)} both used and unused (first: {both[0]!r}); "
            "leave those patients out"
        )
    if min(unit.max() for unit in units) < 1:
        raise InputError("groups: expected at least two patients on each side, got one; add patients")
    return units


def _auc_of_means(used: Floats, unused: Floats, first: Ints, second: Ints, confidence: float) -> Estimate:
    """Return the AUC of patients by their mean scores."""
    a, b = (np.bincount(unit, weights=scores) / np.bincount(unit) for scores, unit in ((used, first), (unused, second)))
    both = np.concatenate([a, b])
    if not np.isfinite(both).all():
        return Estimate(math.nan, math.nan, math.nan)
    return roc.interval(a, b, roc.midranks(both)[0], np.arange(len(a)), np.arange(len(b)), confidence)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

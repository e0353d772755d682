"""Detector: learn from a few labelled real images how to weigh the evidence and where to cut."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._base import checks, results
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import ListResult, Result, Table
from fingerprint._images.loading import BLOCK
from fingerprint._statistics import fixed_count, logistic
from fingerprint._statistics.evaluation import MEASURES, Measures, evaluate
from fingerprint._statistics.intervals import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._answers.one_pass import MaskLike
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries

_SHOWN = ("accuracy", "f1", "kappa", "roc_auc")  # measures in the text of a detector
_LEAST = 2 * logistic.FOLDS  # images on a side
_MEASURE = 1 + 1e-9  # the largest, as rounding leaves it
_MOST = 1e6  # a weight or a centre in a file; statistics are log2 ratios, far below


@public
class Prediction(NamedTuple):
    """The answer for one real image.

    Parameters
    ----------
    name : str
        Of the real image.
    probability : float
        That it was used, 0 to 1.
    used : bool
        The decision.
    """

    name: str
    probability: float
    used: bool


@public
@dataclass(frozen=True, eq=False, repr=False)
class Predictions(ListResult[Prediction]):
    """Result of `Detector.predict`: a list of `Prediction`, in the order of the real images.

    Parameters
    ----------
    names : tuple of str
        (n,) real images.
    probabilities : ndarray
        (n,) float64 from 0 to 1; higher = more likely used. They mean what they say as far as images, generator and
        share of used images are like those of the development set. A low one is no proof that an image was not used.
    used : ndarray
        (n,) bool: probability of at least one half.
    n_fake : int
        Number of synthetic images compared.
    share : float or None
        Share of used images that was given.
    caution : str
        Why the probabilities mean little; empty where nothing is known to be wrong.
    failed : mapping of str to tuple of Failure
        Files of ``"real"``, ``"fake"`` and, where it was given, ``"population"`` that could not be used.
    """

    _row_type = Prediction
    _by_row = ("names", "probabilities", "used")

    names: tuple[str, ...]
    probabilities: Array
    used: Array
    n_fake: int
    share: float | None
    caution: str
    failed: Failures

    def _row(self, i: int) -> Prediction:
        return Prediction(self.names[i], float(self.probabilities[i]), bool(self.used[i]))

    def __str__(self) -> str:
        """Return the numbers in one line, and what failed."""
        lines = [f"{int(self.used.sum())} of {len(self)} real images are called used, by {self.n_fake} synthetic ones"]
        caution = [f"Caution: {self.caution}"] * bool(self.caution)
        return "\n".join([*lines, *caution, *failed_lines(self.failed)])


@public
@dataclass(frozen=True, eq=False, repr=False)
class Detector(Result):
    """A logistic regression on a few statistics, learnt by `fit`.

    The log odds that an image was used are ``intercept + sum(weights * (statistics - centres) / spreads)``. No weight
    is negative: nearer never speaks for unused.

    Parameters
    ----------
    inputs : tuple of str
        Names of the statistics, all log2 ratios of distances. ``nearness``, one for each scale: of the distance to
        similar real images over that to the nearest synthetic image. ``prominence``: of the distance to the nearest of
        a tenth of the synthetic images over that to the nearest of all, a mean over the scales.
    weights, centres, spreads : tuple of float
        One for each input.
    intercept : float
        Log odds of an image with average statistics.
    n_fake : int
        Number of synthetic images that the statistics refer to: those of the development set. Against more, they are
        averages over all subsets of this number.
    n_used, n_unused, n_population : int
        Real images it was learnt from, and further ones that they were compared with.
    penalty : float
        Strength of the regularisation, chosen by cross-validation.
    expected : mapping of str to Estimate
        Measures of `fingerprint.evaluate`, each with its 95 % interval, on images that were left out (nested
        cross-validation, patients kept together): what to expect of images like these.
    expected_by_group : mapping of str to Estimate, optional
        The same with one probability for each patient, the mean of its images; where groups were given.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> used, unused = demo.real.pixels[demo.used], demo.real.pixels[~demo.used]
    >>> detector = fingerprint.fit(used[:10], unused[:10], demo.fake)
    >>> len(detector.predict(demo.real, demo.fake))
    24
    """

    schema = 4

    inputs: tuple[str, ...]
    weights: tuple[float, ...]
    centres: tuple[float, ...]
    spreads: tuple[float, ...]
    intercept: float
    n_fake: int
    n_used: int
    n_unused: int
    n_population: int
    penalty: float
    expected: Mapping[str, Estimate]
    expected_by_group: Mapping[str, Estimate] | None = None

    @recorded
    def predict(
        self,
        real: Source,
        fake: Source,
        *,
        share: float | None = None,
        population: Source | None = None,
        groups: Groups | None = None,
        mask: MaskLike | None = None,
        symmetries: Symmetries = (),
        size: int | tuple[int, int] | None = None,
        window: tuple[float, float] | None = None,
        grey: Grey = "exact",
        recursive: bool = False,
        on_error: OnError = "collect",
        block: int = BLOCK,
        memory: str | int | None = None,
        threads: int | None = None,
        executor: Executor | None = None,
        checkpoint: str | PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> Predictions:
        """Tell for real images whether the generator of the synthetic ones was trained on them.

        Parameters
        ----------
        real, fake
            As for `fingerprint.rank`; of `fake` at least `n_fake`.
        share : float, optional
            Share of used images among `real`, where it is known, 0.01 to 0.99. All log odds are then moved alike until
            the probabilities agree with it, which also takes out what another generator, contrast or number of real
            images does to all of them. Without it nothing is assumed about the share, but those things have to be as
            they were in the development set.
        population : as `real`, optional
            Further real images of the same kind, see `fingerprint.rank`; best the development set. Without them `real`
            has to tell alone what images of this kind share, as well as the real images of `fit` did: where all
            together are less than half as many, the answer carries a caution, and the logger ``fingerprint`` a warning.
        groups, mask, symmetries, size, window, grey, recursive, on_error, block, memory, threads, executor, checkpoint,
        progress
            As for `fingerprint.rank`. Give groups if, and only if, `fit` had them, and the mask and the symmetries
            that it had.

        Returns
        -------
        Predictions
            In the order of `real`.

        Raises
        ------
        InputError
            As `fingerprint.rank`; if there are too few synthetic images, or images of another size than `fit` had.
        """
        if share is not None:
            share = checks.number("share", share, minimum=0.01, maximum=0.99)
        options = ReadingOptions(
            mask=mask,
            symmetries=symmetries,
            size=size,
            window=window,
            grey=grey,
            recursive=recursive,
            on_error=on_error,
            block=block,
            memory=memory,
            threads=threads,
            executor=executor,
            checkpoint=checkpoint,
            progress=progress,
        )
        seen = RealSide.of(real, options, population=population, groups=groups).compare(fake, k=fixed_count.KEPT)
        names = fixed_count.input_names(seen.summary.scales)
        if names != self.inputs:
            raise InputError(
                f"real: expected images with the statistics {', '.join(self.inputs)}, as the detector was fitted on, "
                f"got {', '.join(names)}; use images of the same size, or size="
            )
        if seen.summary.n_fake < self.n_fake:
            raise InputError(
                f"fake: expected at least {self.n_fake} synthetic images, as the detector was fitted with, got "
                f"{seen.summary.n_fake}; fit with n_fake={seen.summary.n_fake}"
            )
        values = (fixed_count.inputs(seen.neighbours, self.n_fake) - np.array(self.centres)) / np.array(self.spreads)
        logits = logistic.logits_of(values, np.array([self.intercept, *self.weights]))
        if share is not None:
            logits = logistic.moved(logits, share)
        caution, compared = "", len(seen.real.groups)
        fitted = self.n_used + self.n_unused + self.n_population
        if 2 * compared < fitted:
            caution = (
                f"{compared} real images, population included, are few beside the {fitted} of the fit and tell less of "
                "what all share, so that decisions can be wrong; give the images of the fit as population="
            )
            logging.getLogger("fingerprint").warning(caution)
        return Predictions(
            names=seen.known.names,
            probabilities=logistic.sigmoid(logits),
            used=logits >= 0,
            n_fake=seen.summary.n_fake,
            share=share,
            caution=caution,
            failed=seen.failed,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the detector as JSON, to be read by `fingerprint.load_detector`.

        Parameters
        ----------
        path : path
            File to write.
        """
        self.to_json(path)

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        rows = zip(self.inputs, self.weights, self.centres, self.spreads, strict=True)
        return ["input", "weight", "centre", "spread"], rows

    def __str__(self) -> str:
        """Return the weights and what to expect, for reading."""
        lines = [
            f"Fitted on {self.n_used} used and {self.n_unused} unused real images, {self.n_fake} synthetic ones",
            *(f"  {weight:6.3f} x {name}" for name, weight in zip(self.inputs, self.weights, strict=True)),
            "Expected of images like these (cross-validated, 95 % intervals):",
            *(f"  {name}: {self.expected[name]}{self._by_patient(name)}" for name in _SHOWN),
        ]
        if self.expected["roc_auc"].low <= 0.5:
            lines.append("That may be chance: do not rely on its decisions.")
        return "\n".join(lines)

    def _by_patient(self, name: str) -> str:
        return "" if self.expected_by_group is None else f"; by patient {self.expected_by_group[name]}"


@public
@recorded
def fit(
    used: Source,
    unused: Source,
    fake: Source,
    *,
    population: Source | None = None,
    groups: Groups | None = None,
    n_fake: int | None = None,
    seed: int = 0,
    mask: MaskLike | None = None,
    symmetries: Symmetries = (),
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    block: int = BLOCK,
    memory: str | int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool | None = None,
) -> Detector:
    """Learn from labelled real images how to tell used from unused ones.

    Parameters
    ----------
    used, unused, fake
        Real images that the generator was trained on, real images that it was not, and its synthetic ones; each as for
        `fingerprint.rank`. At least ten real images on each side.
    population : as `used`, optional
        Further real images of the same kind whose label need not be known, see `fingerprint.rank`; best those that are
        to be decided on, with the development set as the population of `Detector.predict`. No label is learnt of them.
    groups : mapping, callable or sequence, optional
        Patient of every real image, see `fingerprint.rank`; a sequence names first the used ones, then the unused ones,
        then the population.
        Patients are then kept together in every fold. Without, slices of one patient may stand on both sides of a fold,
        and `Detector.expected` is too good.
    n_fake : int, optional
        Number of synthetic images that the statistics refer to, at least 10 and at most as many as in `fake`; all of
        them by default. A detector can be used with as many or more.
    seed : int
        Seed of the folds.
    mask, symmetries, size, window, grey, recursive, on_error, block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Detector
        With its weights and what to expect of it.

    Raises
    ------
    InputError
        As `fingerprint.rank`; if there are fewer than ten images, or two patients, on a side.

    Notes
    -----
    The nearest of 10,000 synthetic images is nearer than the nearest of 500. So the statistics are expected values over
    all subsets of `n_fake` images, worked out exactly from the order of the distances, and do not change with how many
    there are. The penalty draws the weights towards equal, positive ones: with few patients a development set can show
    the opposite of what holds, by chance.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> detector = fingerprint.fit(demo.real.pixels[demo.used], demo.real.pixels[~demo.used], demo.fake)
    >>> detector.n_used, all(weight >= 0 for weight in detector.weights)
    (12, True)
    """
    start = checks.integer("seed", seed, minimum=0)
    side = RealSide.of(
        used,
        ReadingOptions(
            mask=mask,
            symmetries=symmetries,
            size=size,
            window=window,
            grey=grey,
            recursive=recursive,
            on_error=on_error,
            block=block,
            memory=memory,
            threads=threads,
            executor=executor,
            checkpoint=checkpoint,
            progress=progress,
        ),
        reference=unused,
        population=population,
        groups=groups,
        called=("used", "unused"),
    )
    seen = side.compare(fake, k=fixed_count.KEPT)
    total, n_used = len(seen.known), seen.n_real
    if min(n_used, total - n_used) < _LEAST:
        raise InputError(
            f"used, unused: expected at least {_LEAST} images each, got {n_used} and {total - n_used}; add some"
        )
    available = seen.summary.n_fake
    compared = available
    if n_fake is not None:
        compared = checks.integer("n_fake", n_fake, minimum=fixed_count.FEWER, maximum=available)
    labels = (np.arange(total) < n_used).astype(np.int64)
    units = seen.real.groups[:total]
    if min(len(np.unique(units[labels == label])) for label in (0, 1)) < 2:
        raise InputError("groups: expected at least two patients among used and among unused images, got one; add some")
    values = fixed_count.inputs(seen.neighbours, compared)
    left_out = np.full(total, n_used / total)
    for inside, outside in logistic.folds(labels, units, start):
        left_out[outside] = logistic.sigmoid(
            logistic.learn(values[inside], labels[inside], units[inside], start).logits(values[outside])
        )
    measured = evaluate(labels, left_out, threshold=0.5, groups=None if seen.groups is None else units.tolist())
    model = logistic.learn(values, labels, units, start)
    return Detector(
        inputs=fixed_count.input_names(seen.summary.scales),
        weights=tuple(model.coefficients[1:].tolist()),
        centres=tuple(model.centres.tolist()),
        spreads=tuple(model.spreads.tolist()),
        intercept=float(model.coefficients[0]),
        n_fake=compared,
        n_used=n_used,
        n_unused=total - n_used,
        n_population=len(seen.real.groups) - total,
        penalty=model.penalty,
        expected=_measures(measured),
        expected_by_group=None if measured.by_group is None else _measures(measured.by_group),
    )


@public
def load_detector(path: str | PathLike[str]) -> Detector:
    """Read a detector that `Detector.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Detector
        As it was.

    Raises
    ------
    InputError
        If the file does not exist, or is no detector of this version.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> detector = fingerprint.fit(demo.real.pixels[demo.used], demo.real.pixels[~demo.used], demo.fake)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "detector.json"
    >>> detector.save(path)
    >>> fingerprint.load_detector(path) == detector
    True
    """
    return results.read(Detector, path, _restored)


def _restored(content: dict[str, Any]) -> Detector:
    inputs = tuple(map(str, content["inputs"]))
    weights = _numbers(content, "weights", minimum=0)
    centres = _numbers(content, "centres", minimum=-_MOST)
    spreads = _numbers(content, "spreads", minimum=logistic.LEAST_SPREAD)
    if not len(inputs) == len(weights) == len(centres) == len(spreads) > 0:
        raise ValueError("inputs, weights, centres and spreads differ in number, or there are none")
    by_group = content["expected_by_group"]
    return Detector(
        inputs=inputs,
        weights=weights,
        centres=centres,
        spreads=spreads,
        intercept=checks.number("intercept", content["intercept"], minimum=-_MOST, maximum=_MOST),
        n_fake=checks.integer("n_fake", content["n_fake"], minimum=fixed_count.FEWER),
        n_used=checks.integer("n_used", content["n_used"], minimum=_LEAST),
        n_unused=checks.integer("n_unused", content["n_unused"], minimum=_LEAST),
        n_population=checks.integer("n_population", content["n_population"], minimum=0),
        penalty=checks.number("penalty", content["penalty"], minimum=0),
        expected=_estimates("expected", content["expected"]),
        expected_by_group=None if by_group is None else _estimates("expected_by_group", by_group),
    )


def _numbers(content: dict[str, Any], name: str, *, minimum: float) -> tuple[float, ...]:
    return tuple(checks.number(name, number, minimum=minimum, maximum=_MOST) for number in content[name])


def _measures(measured: Measures) -> dict[str, Estimate]:
    return {name: getattr(measured, name) for name in MEASURES}


def _estimates(argument: str, content: dict[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(f"{argument}: {name}", **content[name]) for name in MEASURES}


def _estimate(argument: str, value: float | None, low: float | None, high: float | None) -> Estimate:
    numbers = [
        math.nan if number is None else checks.number(argument, number, minimum=-_MEASURE, maximum=_MEASURE)
        for number in (value, low, high)
    ]
    if numbers[1] > numbers[2]:
        raise ValueError(f"{argument}: an interval from {low} to {high}")
    return Estimate(*numbers)

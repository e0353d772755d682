"""Comparison: which of two generators leaks more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._base import checks
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import Result
from fingerprint._images.loading import BLOCK
from fingerprint._statistics import fixed_count, intervals, roc

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._answers.one_pass import MaskLike
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.intervals import Estimate


@public
@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Result of `compare`: which of two generators leaks more.

    Parameters
    ----------
    difference : Estimate
        Mean log2 ratio of the distance to the nearest image of the second generator over that of the first, with its
        interval; less the same for the unused images, where there are any. Above 0 = the first one leaks more.
    auc_a, auc_b : Estimate or None
        Probability that a used image scores higher than an unused one, under either generator.
    auc_difference : Estimate or None
        The first less the second, with its interval.
    n_used, n_unused : int
        Images compared.
    n_fake : int
        Synthetic images that both sides were brought down to.
    confidence : float
        Of the intervals.
    n_bootstrap, seed : int
        Bootstrap samples behind them, and the seed.
    failed : mapping of str to tuple of Failure
        Files of ``"used"``, ``"fake_a"``, ``"fake_b"`` and, where it was given, ``"unused"`` that could not be used.
    """

    _derived = ("verdict",)

    difference: Estimate
    auc_a: Estimate | None
    auc_b: Estimate | None
    auc_difference: Estimate | None
    n_used: int
    n_unused: int
    n_fake: int
    confidence: float
    n_bootstrap: int
    seed: int
    failed: Failures

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        which = "first" if self.difference.low > 0 else "second" if self.difference.high < 0 else ""
        size = f"log2 ratio {self.difference}, {100 * self.confidence:g} % interval"
        if self.n_unused:
            return f"The {which} generator leaks more ({size})." if which else f"No difference shown ({size})."
        text = f"The {which} generator comes nearer" if which else "Neither generator is shown to come nearer"
        return f"{text} ({size}). A better generator comes nearer as well: unused= takes that out."

    def __str__(self) -> str:
        """Return the verdict, and what failed."""
        lines = [self.verdict]
        return "\n".join([*lines, *failed_lines(self.failed)])


@public
@recorded
def compare(
    used: Source,
    fake_a: Source,
    fake_b: Source,
    *,
    unused: Source | None = None,
    groups: Groups | None = None,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
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
) -> Comparison:
    """Tell which of two generators, trained on the same real images, leaks more of them.

    Parameters
    ----------
    used
        Real images that both generators were trained on, as for `fingerprint.rank`.
    fake_a, fake_b
        Synthetic images of the two generators, each as for `fingerprint.rank`. Their numbers may differ: the larger
        side counts as an average over all its subsets of the size of the smaller.
    unused : optional
        Images of the same kind that neither was trained on. Without them the comparison cannot tell a leak from a
        generator that is merely better.
    groups : mapping, callable or sequence, optional
        Patient of every real image, see `fingerprint.rank`; a sequence names first `used`, then `unused`. The bootstrap
        then draws whole patients.
    confidence : float
        Of the intervals, 0.5 to 0.999.
    n_bootstrap, seed : int
        Bootstrap samples, at least 100, and their seed.
    mask, symmetries, size, window, grey, recursive, on_error, block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Comparison
        The difference with its interval, and a verdict in words. The interval speaks about other real images (patients)
        and takes the synthetic ones as they are: give many.

    Raises
    ------
    InputError
        As `fingerprint.rank`, or if a number is out of range.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> used, unused = demo.real.pixels[demo.used], demo.real.pixels[~demo.used]
    >>> tight = fingerprint.phantoms.generate(used, 60, leak=0)[0]
    >>> fingerprint.compare(used, demo.fake, tight, unused=unused).difference.value > 0
    True
    """
    level = checks.number("confidence", confidence, minimum=0.5, maximum=0.999)
    draws = checks.integer("n_bootstrap", n_bootstrap, minimum=100)
    start = checks.integer("seed", seed, minimum=0)
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
    side = RealSide.of(used, options, reference=unused, groups=groups, called=("used", "unused"))
    both = [
        side.compare(fake, k=fixed_count.KEPT, argument=name) for name, fake in (("fake_a", fake_a), ("fake_b", fake_b))
    ]
    n_used, total = side.n_real, len(side.known)
    count, found = fixed_count.side_by_side([seen.neighbours for seen in both])
    weights = _weights(side.real.groups, n_used, draws, start)
    nearer = found[0] - found[1]
    difference = _means(weights[:, :n_used], nearer[:n_used])
    aucs = None
    if unused is not None:
        difference = difference - _means(weights[:, n_used:], nearer[n_used:])
        aucs = [roc.weighted(weights, row, n_used) for row in found]
    return Comparison(
        difference=_estimate(difference, level),
        auc_a=None if aucs is None else _estimate(aucs[0], level),
        auc_b=None if aucs is None else _estimate(aucs[1], level),
        auc_difference=None if aucs is None else _estimate(aucs[0] - aucs[1], level),
        n_used=n_used,
        n_unused=total - n_used,
        n_fake=count,
        confidence=level,
        n_bootstrap=draws,
        seed=start,
        failed=both[0].failed | both[1].failed,
    )


def _estimate(values: Array, confidence: float) -> Estimate:
    """Return the first value with the central share of the others."""
    return intervals.of(float(values[0]), values[1:], confidence)


def _weights(units: Array, n_used: int, draws: int, seed: int) -> Array:
    """Return how often each image is drawn, (1 + draws, n): once each, then units with replacement on each side."""
    rng = np.random.default_rng(seed)
    sides = []
    for side in (units[:n_used], units[n_used:]):
        members, code = np.unique(side, return_inverse=True)
        if len(members):
            drawn = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
            sides.append(np.concatenate([np.ones((1, len(side)), np.int64), drawn[:, code]]))
    return np.concatenate(sides, axis=1)


def _means(weights: Array, values: Array) -> Array:
    return np.asarray((weights * values).sum(axis=1) / weights.sum(axis=1))

"""Values with their intervals, and the resampling behind these."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base.public import public

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint._base.types import Floats, Ints

_CHUNK = 2**21  # resamples times images held in memory at a time


@public
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


def of(value: float, resampled: Floats, confidence: float) -> Estimate:
    """Return the value with the central percentiles of the resamples in which it is defined."""
    defined = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not len(defined):
        return Estimate(float(value), math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(value), float(low), float(high))


def chunks(draws: int, width: int) -> Iterator[int]:
    """Yield the sizes of blocks that together make `draws`."""
    size = max(1, _CHUNK // width)
    for first in range(0, draws, size):
        yield min(size, draws - first)


def resampled(units: int, draws: int, seed: int) -> Iterator[Ints]:
    """Yield blocks of (draws, units) counts: how often each unit is drawn, with replacement."""
    rng = np.random.default_rng(seed)
    for size in chunks(draws, units):
        drawn = rng.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)

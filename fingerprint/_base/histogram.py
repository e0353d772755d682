"""Log histogram: how many numbers of a stream lie in each bin, in memory that does not grow with the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array

# the exponent and the first four bits of the mantissa of a number are its bin: 16 bins from each power of 2 to the next
_SHIFT = 48
_FIRST = int(np.float64(2.0**-24).view(np.int64) >> _SHIFT)
_ROWS = 1024  # that are counted at a time
_COUNT = int(np.float64(2.0**17).view(np.int64) >> _SHIFT) - _FIRST + 1


def edges() -> Array:
    """Return the upper (open) edges of the bins, 16 from each power of 2 to the next.

    Returns
    -------
    ndarray
        (n_bins,) float64, ascending. The first bin holds everything below, the last everything above.

    Examples
    --------
    >>> float(edges()[16] / edges()[0])
    2.0
    """
    bits = (np.arange(_COUNT, dtype=np.int64) + _FIRST + 1) << _SHIFT
    upper = bits.view(np.float64)
    upper[-1] = np.inf
    return upper


def count(numbers: Array) -> Array:
    """Count the numbers of every row by bin.

    Parameters
    ----------
    numbers : ndarray
        (n, m) float64, at least 0.

    Returns
    -------
    ndarray
        (n, n_bins) of the smallest unsigned integers that hold m.
    """
    out = np.empty((len(numbers), _COUNT), np.min_scalar_type(numbers.shape[1]))
    for first in range(0, len(numbers), _ROWS):
        part = np.ascontiguousarray(numbers[first : first + _ROWS])
        bins = np.clip((part.view(np.int64) >> _SHIFT) - _FIRST, 0, _COUNT - 1)
        bins += np.arange(len(part))[:, None] * _COUNT
        found = np.bincount(bins.ravel(), minlength=len(part) * _COUNT)
        out[first : first + _ROWS] = found.reshape(len(part), _COUNT)
    return out


def add(parts: Sequence[Array], total: int) -> Array:
    """Add counts of parts of a stream.

    Parameters
    ----------
    parts : sequence of ndarray
        Counts of one shape, at least one.
    total : int
        Numbers of a row that were counted in all parts together.

    Returns
    -------
    ndarray
        Of that shape, of the smallest unsigned integers that hold the total.
    """
    out = np.zeros(parts[0].shape, np.min_scalar_type(total))
    for part in parts:
        np.add(out, part, out=out, casting="unsafe")
    return out


def sound(counts: Array, total: int) -> bool:
    """Whether these can be the counts of `total` numbers in every row, as those of a file need not be."""
    axes = counts.dtype.kind == "u" and counts.shape[-1:] == (_COUNT,)
    return axes and bool((counts.sum(axis=-1, dtype=np.int64) == total).all())


def smallest(counts: Array, rank: int) -> Array:
    """Return about the rank-th smallest number of every row, as if the numbers of a bin were spread evenly over it.

    Parameters
    ----------
    counts : ndarray
        (n, n_bins) integers, as `count` returns them.
    rank : int
        From 1 to how many numbers were counted.

    Returns
    -------
    ndarray
        (n,) float64; the lower edge of the last bin, which has no upper one, where it lies there.

    Examples
    --------
    >>> float(smallest(count(np.array([[4.0, 1.0, 2.0]])), 2)[0])  # in a bin from 2 to 2.125
    2.125
    """
    upper = edges()
    lower, rows = np.append(0.0, upper[:-1]), np.arange(len(counts))
    upper[-1] = lower[-1]
    below = np.cumsum(counts, axis=1, dtype=np.int64)
    place = (below < rank).sum(axis=1)
    inside = counts[rows, place].astype(np.int64)
    share = (rank - below[rows, place] + inside) / inside
    return np.asarray(lower[place] + share * (upper - lower)[place])


def largest(counts: Array, rank: int) -> Array:
    """Return the lower edge of the bin in which the rank-th largest number of every row lies.

    Parameters
    ----------
    counts : ndarray
        (n, n_bins) integers, as `count` returns them.
    rank : int
        From 1.

    Returns
    -------
    ndarray
        (n,) float64; 0 in the first bin, and where there are fewer numbers.

    Examples
    --------
    >>> largest(count(np.array([[4.0, 1.0, 2.0]])), 2)
    array([2.])
    """
    at_least = np.cumsum(counts[:, ::-1], axis=1, dtype=np.int64)[:, ::-1]
    lower = np.append(0.0, edges()[:-1])
    return np.asarray(lower[np.maximum((at_least >= rank).sum(axis=1) - 1, 0)])

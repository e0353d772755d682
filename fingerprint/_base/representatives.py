"""Representatives: real images that stand for all, so that time and memory grow with their number, not its square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fingerprint._base.types import Array

_MOST = 1024  # what images have in common, and how near other patients come, needs no more


def representatives(count: int) -> Array:
    """Return which of `count` images stand for all.

    Parameters
    ----------
    count : int
        Number of real images, at least 1.

    Returns
    -------
    ndarray
        (min(count, 1024),) int64, ascending and evenly spread.

    Examples
    --------
    >>> representatives(3), len(representatives(5000))
    (array([0, 1, 2]), 1024)
    """
    return np.linspace(0, count - 1, min(count, _MOST)).round().astype(np.int64)

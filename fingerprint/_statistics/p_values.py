"""p-values against a reference of unused images, and q-values of many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fingerprint._base.types import Array


def p_values(scores: Array, null: Array) -> Array:
    """Return the share of unused reference images with at least such a score.

    ``(1 + number of null scores >= score) / (1 + number of null scores)``: valid, that is at most `p` with probability
    at most `p` for an unused image, if it is exchangeable with the reference.

    Parameters
    ----------
    scores : ndarray
        (n,) float64; higher = more likely used.
    null : ndarray
        (m,) float64: scores of images that are known to be unused.

    Returns
    -------
    ndarray
        (n,) float64 from ``1 / (1 + m)`` to 1; lower = more likely used.

    Examples
    --------
    >>> p_values(np.array([0.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    array([1.  , 0.25])
    """
    ascending = np.sort(null)
    at_least = len(null) - np.searchsorted(ascending, scores, side="left")
    return np.asarray((1 + at_least) / (1 + len(null)))


def q_values(p: Array) -> Array:
    """Return the smallest false discovery rate at which each hypothesis is rejected.

    Benjamini & Hochberg, Controlling the False Discovery Rate, JRSS B 1995.

    Parameters
    ----------
    p : ndarray
        (n,) float64 p-values.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; lower = more likely used.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.5, 0.02]))
    array([0.03, 0.5 , 0.03])
    """
    order = np.argsort(p, kind="stable")
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return np.minimum(q, 1.0)

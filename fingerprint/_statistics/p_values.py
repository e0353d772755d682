"""p-values against a reference of unused images, and q-values of many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array


def p_values(scores: Array, null: Array, groups: Sequence[str] | None = None) -> Array:
    """Return the share of unused reference images with at least such a score; with groups, of reference patients.

    Without groups ``(1 + number of null scores >= score) / (1 + number of null scores)``: valid, that is at most `p`
    with probability at most `p` for an unused image, if it is exchangeable with the reference.

    With groups ``(1 + sum over patients of their share of null scores >= score) / (1 + number of patients)``: sixty
    images of six patients are six witnesses, and no p-value is below 1 / 7. It is valid for an image drawn at random
    from an unused patient who is exchangeable with those of the reference, whatever images of one patient have to do
    with each other: a random image of a random patient, the patient itself among them, has a weighted rank of at most
    `p` with probability at most `p`, and the patient's own share is at most 1 (hierarchical conformal prediction: Lee,
    Barber & Willett, Distribution-free inference with hierarchical data, JRSS B 2025).

    Parameters
    ----------
    scores : ndarray
        (n,) float64; higher = more likely used.
    null : ndarray
        (m,) float64: scores of images that are known to be unused.
    groups : sequence, optional
        (m,) patient of each of these.

    Returns
    -------
    ndarray
        (n,) float64 to 1, from 1 over 1 + the number of images, or patients; lower = more likely used.

    Examples
    --------
    >>> p_values(np.array([0.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    array([1.  , 0.25])
    >>> p_values(np.array([1.0, 5.0]), np.array([0.0, 1.0, 2.0]), ["a", "a", "b"])
    array([0.83333333, 0.33333333])
    """
    unit = np.arange(len(null)) if groups is None else checks.units("groups", groups, len(null))
    size = np.bincount(unit)
    order = np.argsort(null, kind="stable")
    # rounded, so that all of a patient's images count as one patient and not as a little less
    above = np.round(np.append(np.cumsum((1 / size[unit[order]])[::-1])[::-1], 0.0), 12)
    return np.asarray((1 + above[np.searchsorted(null[order], scores, side="left")]) / (1 + len(size)))


def group_p_values(scores: Array, groups: Sequence[str], null: Array, null_groups: Sequence[str]) -> dict[str, float]:
    """Return the p-value of each patient, by the mean score of its images.

    A patient is used with all of its images or with none. The p-value is that of `p_values` for the means of patients,
    valid if an unused patient, with its number of images, is exchangeable with those of the reference.

    Parameters
    ----------
    scores, null : ndarray
        (n,) and (m,) float64, see `p_values`.
    groups, null_groups : sequence
        (n,) and (m,) patients.

    Returns
    -------
    dict
        From patient to p-value, in the order of their first images.

    Examples
    --------
    >>> group_p_values(np.array([4.0, 0.0]), ["a", "b"], np.array([0.0, 2.0, 3.0]), ["c", "c", "d"])
    {'a': 0.3333333333333333, 'b': 1.0}
    """
    means, expected = group_means(scores, groups), group_means(null, null_groups)
    found = p_values(np.array(list(means.values())), np.array(list(expected.values())))
    return dict(zip(means, found.tolist(), strict=True))


def group_means(scores: Array, groups: Sequence[str]) -> dict[str, float]:
    """Return the mean score of each patient, in the order of their first images."""
    members: dict[str, list[float]] = {}
    for score, name in zip(scores.tolist(), groups, strict=True):
        members.setdefault(name, []).append(score)
    # in one order, so that the same scores have the same mean to the last bit
    return {name: float(np.mean(sorted(found, reverse=True))) for name, found in members.items()}


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

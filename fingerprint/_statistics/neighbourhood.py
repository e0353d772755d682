"""Neighbourhood: what one scale shows about real images, which every statistic of whole images sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fingerprint._base.types import Array
    from fingerprint._evidence.reals import Reals
    from fingerprint._evidence.summary import Findings


# below every distance that pixels can produce, above 0: an identical copy gets a finite, largest score
SMALLEST_DISTANCE = 1e-12


@dataclass(frozen=True)
class Neighbourhood:
    """What one scale shows about n real images.

    Parameters
    ----------
    nearest : ndarray
        (n, k) float64: ascending distances to the nearest synthetic images; infinite where there are fewer than k.
    others : ndarray
        (n, m) float64: ascending distances to the nearest other real images, of other groups where groups are known;
        infinite where there are fewer than m.
    counts : ndarray
        (n, n_bins) int64: synthetic images by bin of distance, see `fingerprint._base.histogram`.
    votes : ndarray
        (n,) int64: synthetic images whose nearest real image this is.
    copies : ndarray
        (n,) int64: those votes that come from nearer than the nearest other real image.
    n_fake : int
        Number of synthetic images.
    grouped : bool
        Whether `others` leaves out the images of the same group.
    forms : int
        In how many forms synthetic images were compared; each counts in the nearest.
    as_is : ndarray, optional
        Like `counts`, of synthetic images as they are, where there are other forms.
    """

    nearest: Array
    others: Array
    counts: Array
    votes: Array
    copies: Array
    n_fake: int
    grouped: bool = False
    forms: int = 1
    as_is: Array | None = None


def neighbourhoods(real: Reals, summary: Findings) -> list[Neighbourhood]:
    """Return what the statistics see of whole images, one entry for each scale.

    Parameters
    ----------
    real : Reals
        The real images.
    summary : Findings
        Of the synthetic images, compared with these real ones; of the first of them, if `Findings.first` cut it.

    Returns
    -------
    list of Neighbourhood
        In the order of ``summary.scales``.
    """
    others = real.others[: len(summary.scales), : summary.distances.shape[1]]
    counts = summary.counts.astype(np.int64)  # logarithms of narrower integers are less precise
    columns = zip(summary.distances, others, counts, summary.votes, summary.copies, strict=True)
    as_is = [None] * len(counts) if summary.as_is is None else list(summary.as_is.astype(np.int64))
    about = summary.n_fake, real.grouped, summary.forms
    return [Neighbourhood(*column, *about, alone) for column, alone in zip(columns, as_is, strict=True)]


def scales(real: Reals, summary: Findings) -> list[list[list[Neighbourhood]]]:
    """Return what the statistics see at each scale: of the whole image, and of its windows where there are any.

    Arguments as for `neighbourhoods`. Of windows, only the two nearest synthetic images are known.
    """
    whole = neighbourhoods(real, summary)
    others = real.others[len(whole) :, : summary.distances.shape[1]]
    none, counts = np.zeros(others.shape[1], np.int64), np.zeros((others.shape[1], 0), np.int64)
    parts = [
        Neighbourhood(nearest, near, counts, none, none, summary.n_fake, real.grouped)
        for nearest, near in zip(summary.windows, others, strict=True)
    ]
    return [[part for part in ([seen], parts[9 * s : 9 * s + 9]) if part] for s, seen in enumerate(whole)]


def log2(distances: Array) -> Array:
    """Return the logarithms of distances to base 2, of an identical copy the smallest that counts."""
    return np.log2(np.maximum(distances, SMALLEST_DISTANCE))

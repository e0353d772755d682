"""Views: the reductions of an image that are compared, each with its metric.

At which scale a generator remembers is not known beforehand: weak ones keep the shape of a body, strong ones single
vessels. So images are compared as a pyramid, and no level is preferred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._distances import distance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._distances.sides import Prepared

_STEP = 4  # from one level of the pyramid to the next
_COARSEST = 16  # shorter side of the last level, in pixels


@dataclass(frozen=True, order=True)
class View:
    """A reduction of an image and the way to compare it.

    Parameters
    ----------
    factor : int
        Pixels of the image along each side of one pixel of the view.
    metric : str
        A metric of `fingerprint.distances`.
    whitened : bool
        Compare by what sets the images apart, see `_evidence.whitening.Whitening`; for the metric ``"correlation"``.
    """

    factor: int
    metric: str
    whitened: bool = False

    @property
    def name(self) -> str:
        """Return a short name, such as ``whitened correlation, 4x4 pixels``."""
        kind = "whitened " if self.whitened else ""
        return f"{kind}{self.metric}, {self.factor}x{self.factor} pixels"


def pyramid(height: int, width: int) -> tuple[View, ...]:
    """Return the views that the default score uses for images of this size.

    Full resolution and then every fourth of it, down to 16 pixels along the shorter side, compared by correlation,
    which ignores brightness and contrast, after whitening, which takes away what all slices have in common.

    Parameters
    ----------
    height, width : int
        Size of the images in pixels.

    Returns
    -------
    tuple of View
        At least one, finest first.

    Examples
    --------
    >>> [view.factor for view in pyramid(256, 300)]
    [1, 4, 16]
    """
    factors = [1]
    while min(height, width) // (_STEP * factors[-1]) >= _COARSEST:
        factors.append(_STEP * factors[-1])
    return tuple(View(factor, "correlation", whitened=True) for factor in factors)


def reduce(pixels: Array, factor: int) -> Array:
    """Sum the pixels of squares of `factor` by `factor`.

    Rows and columns at the lower and right border that fill no square are left out. Sums that could exceed 16 bits are
    shifted right by the number of bits that the largest possible one has too many, for every image alike.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16.
    factor : int
        Side of a square, at most the shorter side of the images.

    Returns
    -------
    ndarray
        (n, h // factor, w // factor) uint16, or `pixels` itself when `factor` is 1.
    """
    if factor == 1:
        return pixels
    count, height, width = (size // step for size, step in zip(pixels.shape, (1, factor, factor), strict=True))
    largest = int(np.iinfo(pixels.dtype).max) * factor * factor
    shift = max(0, largest.bit_length() - 16)
    dtype = np.uint32 if shift else np.uint16
    used = pixels[:, : height * factor, : width * factor]
    rows = used.reshape(count, height, factor, width * factor).sum(axis=2, dtype=dtype)
    sums = rows[..., ::factor].copy()
    for column in range(1, factor):
        sums += rows[..., column::factor]
    reduced: Array = (sums >> shift).astype(np.uint16)
    return reduced


def prepare(pixels: Array, views: Sequence[View]) -> dict[View, Prepared]:
    """Reduce images to every view and work out once what its metric needs.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16.
    views : sequence of View
        Views of one factor share the work.

    Returns
    -------
    dict
        From view to `Prepared`, in the order of `views`.
    """
    by_factor: dict[int, Prepared] = {}
    for factor in {view.factor for view in views}:
        metrics = tuple(dict.fromkeys(view.metric for view in views if view.factor == factor))
        by_factor[factor] = distance.prepare(reduce(pixels, factor), metrics)
    return {view: by_factor[view.factor] for view in views}


def compare(real: Mapping[View, Prepared], fake: Mapping[View, Prepared], *, threads: int = 1) -> dict[View, Array]:
    """Return the distances between two sides for every view, not yet whitened.

    Parameters
    ----------
    real, fake : mapping
        What `prepare` returned for the same views.
    threads : int
        Threads to use.

    Returns
    -------
    dict
        From view to (n_real, n_fake) float64 distances.
    """
    by_factor: dict[int, dict[str, Array]] = {}
    for factor in {view.factor for view in real}:
        chosen = next(view for view in real if view.factor == factor)
        metrics = real[chosen].metrics
        by_factor[factor] = distance.blocks_of(real[chosen], fake[chosen], metrics, threads=threads)
    return {view: by_factor[view.factor][view.metric] for view in real}

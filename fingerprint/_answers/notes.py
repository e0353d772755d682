"""Notes: what a reader of a ranking has to know about these images before believing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._evidence.scales import reduce

if TYPE_CHECKING:
    from fingerprint._base.types import Array

_FEW = 20  # real images: with fewer, the lowest quarter is less than five
_ALIKE = 0.6  # rank correlation: more than a third of the order is then the order of sharpness


def notes(pixels: Array, scores: Array, flat: Array, only_patient: str | None = None) -> tuple[str, ...]:
    """Return what limits the scores of these real images, in sentences.

    Images that were enlarged, smoothed or compressed in the same way as the synthetic ones look near to them without a
    leak. Then the order follows the sharpness of the images. It does not where evidence comes from what they show: on
    five sets with a leak the rank correlation was 0.35 at most, and it was 0.8 where half of the images were enlarged.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16 real images, the ranked ones and the reference.
    scores : ndarray
        (n,) float64.
    flat : ndarray
        (n,) bool: which images are flat.
    only_patient : str, optional
        The patient whom all real images are of, the population too, if there is one.

    Returns
    -------
    tuple of str
        Possibly none.
    """
    found = []
    if len(scores) < _FEW:
        found.append(
            f"There are only {len(scores)} real images. A score says how far an image stands out from others, which so "
            "few do not show. Give more of this kind by population=, used or not."
        )
    if only_patient is not None:
        found.append(
            f"All real images are of one patient, {only_patient!r}, so that there is none of another patient to "
            "compare them with. Check groups=."
        )
    if flat.any():
        found.append(f"Of the real images, {int(flat.sum())} are flat: they show nothing, and are no evidence.")
    seen = ~flat
    if seen.sum() >= _FEW and min(pixels.shape[1:]) > 1:
        follows = rank_correlation(sharpness(pixels[seen]), scores[seen])
        if abs(follows) > _ALIKE:
            blurred = "blurred" if follows < 0 else "sharp"
            found.append(
                f"The more {blurred} a real image is, the higher is its score (rank correlation {abs(follows):.2f}). "
                "Images that were enlarged, smoothed or compressed as the synthetic ones were look used. Process all "
                "real images alike before you believe the order."
            )
    return tuple(found)


def sharpness(pixels: Array) -> Array:
    """Return (n,) float64: the share of the variance of each image that half the resolution does not have."""
    shares = []
    for image in pixels:
        whole, half = float(image.std()), reduce(image[None], 2).astype(np.float64)
        shift = max(0, (int(np.iinfo(image.dtype).max) * 4).bit_length() - 16)  # of the sums, see `reduce`
        shares.append(1 - (half.std() * 2**shift / 4 / whole) ** 2 if whole else 0.0)
    return np.array(shares)


def rank_correlation(one: Array, other: Array) -> float:
    """Return Spearman's rank correlation, 0 where one side does not vary."""
    from scipy.stats import rankdata

    a, b = (rankdata(side) - (len(side) + 1) / 2 for side in (one, other))
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / norm) if norm else 0.0

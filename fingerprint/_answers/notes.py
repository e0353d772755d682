"""Notes: what a reader of a ranking has to know about these images before believing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fingerprint._statistics.processing import followed, parted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array
    from fingerprint._statistics.processing import Told

_FEW = 20  # real images: with fewer, the lowest quarter is less than five


def notes(
    pixels: Array,
    scores: Array,
    flat: Array,
    n_first: int,
    *,
    groups: Sequence[str] | None = None,
    only_patient: str | None = None,
) -> tuple[str, ...]:
    """Return what limits the scores of these real images, in sentences.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16 real images, the ranked ones and the reference.
    scores : ndarray
        (n,) float64.
    flat : ndarray
        (n,) bool: which images are flat.
    n_first : int
        How many of them are no reference.
    groups : sequence of str, optional
        (n,) patients.
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
    return (*found, *processing(pixels, scores, flat, n_first, groups=groups, called=("real", "reference")))


def processing(
    pixels: Array,
    scores: Array,
    flat: Array,
    n_first: int,
    *,
    groups: Sequence[str] | None,
    called: tuple[str, str],
) -> list[str]:
    """Return what the processing of real images does to their scores, in sentences.

    Arguments are those of `notes`; the sentences call the first ones, and the others, as `called` says.
    """
    sides = parted(pixels, n_first, shown=~flat, groups=groups)
    scored = followed(pixels, scores, shown=~flat, groups=groups)
    found = [" ".join(parts_by_processing(sides, *called))] if sides else []
    return [*found, " ".join(follows_processing(scored, by_patient=groups is not None))] if scored else found


def follows_processing(told: Told, *, by_patient: bool) -> tuple[str, str]:
    """Return in words which images have high scores by the way they were processed, and what to do."""
    units = "patients by the means of their images" if by_patient else "real images"
    found = (
        f"Scores follow the processing: {told.n_first} of {told.n_total} {units} have {told.trace} than the others, "
        f"and higher scores in {100 * told.auc:.0f} % of pairs. Images that were enlarged, smoothed or compressed as "
        "the synthetic ones were look used."
    )
    return found, "Process all real images alike before you believe the scores."


def parts_by_processing(told: Told, first: str, second: str) -> tuple[str, str]:
    """Return in words how two collections were processed differently, and what to do."""
    found = (
        f"The images of {first} and {second} were processed differently: the former have {told.trace} in "
        f"{100 * told.auc:.0f} % of pairs. That looks like a leak, or hides one."
    )
    return found, "Process both alike, and take both from the same source."

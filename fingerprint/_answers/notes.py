"""Notes: what a reader of a ranking has to know about these images before believing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._statistics.processing import parted

if TYPE_CHECKING:
    from fingerprint._answers.one_pass import Compared, Scored
    from fingerprint._statistics.processing import Told

_FEW = 20  # real images: with fewer, the lowest quarter is less than five


def notes(seen: Compared, scored: Scored) -> tuple[str, ...]:
    """Return what limits the scores of real images, in sentences; possibly none."""
    count, flat, patients = len(seen.known), seen.flat, seen.groups
    found = []
    if count < _FEW:
        found.append(
            f"There are only {count} real images. A score says how far an image stands out from others, which so "
            "few do not show. Give more of this kind by population=, used or not."
        )
    if patients is not None and len(np.unique(seen.real.groups)) == 1:
        found.append(
            f"All real images are of one patient, {patients[0]!r}, so that there is none of another patient to "
            "compare them with. Check groups=."
        )
    if flat.any():
        found.append(f"Of the real images, {int(flat.sum())} are flat: they show nothing, and are no evidence.")
    return (*found, *processing(seen, scored, called=("real", "reference")))


def processing(seen: Compared, scored: Scored, *, called: tuple[str, str]) -> list[str]:
    """Return what the processing of real images does to their scores, in sentences.

    The sentences call the real images, and those of the reference, as `called` says.
    """
    sides = parted(seen.known.pixels, seen.n_real, shown=~seen.flat, groups=seen.groups)
    found = [" ".join(parts_by_processing(sides, *called))] if sides else []
    if scored.followed is None:
        return found
    said, remedy = follows_processing(scored.followed, by_patient=seen.groups is not None)
    if scored.alike is not None:
        parts = " and ".join(map(str, np.bincount(scored.alike[~seen.flat])))
        said += (
            f" By their fine detail, the real images fall into parts that lie far apart ({parts} images), so each is "
            "scored among those of its part. If all images of a part were used, that hides it."
        )
    return [*found, f"{said} {remedy}"]


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

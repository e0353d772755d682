"""Overlap: an image, or a patient, cannot be known to be unused and be used, or in question, as well."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fingerprint._base.checks import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fingerprint._base.types import Array
    from fingerprint._images.loading import Slices


def digest(image: Array) -> bytes:
    """Return what tells the pixels of one image from those of any other."""
    return hashlib.blake2b(image.tobytes()).digest()


def content_hash(digests: Iterable[bytes]) -> str:
    """Return what tells a collection of images from any other, in whatever order: SHA-256 of their sorted digests."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def refuse_overlap(known: Slices, n_first: int, patients: Sequence[str] | None, called: tuple[str, str]) -> None:
    """Raise where the first `n_first` images and the others share an image or a patient.

    Images of one grey level have no content, so they may stand on both sides.

    Parameters
    ----------
    known : Slices
        The images of both sides.
    n_first : int
        How many of them are on the first side.
    patients : sequence of str or None
        Patient of each.
    called : (str, str)
        Arguments that the two sides come from.

    Raises
    ------
    InputError
        It says how many there are, names the first, and what to do.
    """
    sides = ", ".join(called)
    first = {digest(image): i for i, image in enumerate(known.pixels[:n_first]) if image.min() < image.max()}
    others = range(n_first, len(known))
    same = [(i, j) for j in others if (i := first.get(digest(known.pixels[j]))) is not None]
    if same:
        i, j = same[0]
        raise InputError(
            f"{sides}: expected different images, got {len(same)} of {called[1]} that are the same image as one of "
            f"{called[0]} (first: {known.names[j]!r} is {known.names[i]!r}); leave them out on one side"
        )
    both = sorted(set(patients[:n_first]) & set(patients[n_first:])) if patients is not None else []
    if both:
        raise InputError(
            f"groups: expected every patient on one side, got {len(both)} on both, {called[0]} and {called[1]} (first: "
            f"{both[0]!r}); leave those patients out on one side. Where two people have files of one name, give "
            "groups as a sequence or by path"
        )

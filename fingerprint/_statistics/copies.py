"""Copies: synthetic images that are a real one, pixel for pixel or nearly. They need no statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fingerprint._base.output import printable
from fingerprint._base.public import public
from fingerprint._evidence.reals import NEAR_COPY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array
    from fingerprint._evidence.summary import Findings


@public
class Copy(NamedTuple):
    """A real image that stands among the synthetic ones.

    Parameters
    ----------
    name : str
        Of the real image.
    fake : str
        Of the synthetic image, the first of the nearest, with the form in which it is this, see `fingerprint.rank`.
    difference : float
        Root mean square difference of their pixels, in grey levels of the images. 0 = identical in each pixel.
    position : int
        Of the real image in the result that holds this, from 0.
    fake_position : int or None
        Of the synthetic image among the usable ones, see `fingerprint.Match`.
    """

    name: str
    fake: str
    difference: float
    position: int
    fake_position: int | None = None


def copies_of(names: Sequence[str], near: Array, summary: Findings, order: Sequence[int]) -> tuple[Copy, ...]:
    """Return the real images that have a copy among the synthetic ones.

    Parameters
    ----------
    names : sequence of str
        (n,) real images.
    near : ndarray
        (n,) largest difference of a copy from each, see `fingerprint._evidence.reals.Reals.near`.
    summary : Findings
        Of the synthetic images.
    order : sequence of int
        Images to look at, in the order of the result.

    Returns
    -------
    tuple of Copy
        In this order.
    """
    gaps, images = summary.closest.values[:, 0].tolist(), summary.closest.images[:, 0].tolist()
    return tuple(
        Copy(names[i], summary.closest.names[images[i]], gaps[i], position, images[i] // summary.forms)
        for position, i in enumerate(order)
        if gaps[i] <= near[i]
    )


def sentence(copies: Sequence[Copy], kind: str) -> str:
    """Return in words which images of a kind, such as ``"real"``, have copies; at least one has."""
    same = sum(copy.difference == 0 for copy in copies)
    near = len(copies) - same
    first = min(copies, key=lambda copy: copy.difference)
    number = same or near
    parts = [f"1 {kind} image is" if number == 1 else f"{number} {kind} images are"]
    parts += ["identical to a synthetic one"] if same else ["nearly identical to a synthetic one"]
    parts += [f"and {near} more nearly so"] * bool(same and near)
    apart = f", at most {NEAR_COPY:g} of 255 grey levels apart" if near else ""
    return printable(f"{' '.join(parts)}{apart} (first: {first.name} and {first.fake}). That needs no statistics.")

"""Masks: where the patient is; what lies outside is 0 in every image, real or synthetic."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError

if TYPE_CHECKING:
    from fingerprint._base.types import Array

_FINEST = 64  # cells along the shorter side, at least, in which a body is looked for
_ROUNDS = 10  # in which a body is found
_ROUNDING = 1e-9  # cells


@dataclass(frozen=True, eq=False)
class Mask:
    """What part of an image counts.

    Parameters
    ----------
    inside : ndarray, optional
        (h, w) bool, of every image; None = the body of each image.
    """

    inside: Array | None = None

    @classmethod
    def of(cls, given: Any) -> Mask:
        """Return the mask that a user gave: ``"body"``, or what is not 0 in an (h, w) array."""
        if isinstance(given, str) and given == "body":
            return cls()
        try:
            inside = np.asarray(given)
        except ValueError:
            inside = np.empty(0)
        if inside.ndim != 2 or inside.dtype.kind not in "biuf" or not inside.any():
            raise InputError(
                f'mask: expected "body", a file of one image, or an (h, w) array that is not 0 all over, got '
                f"{checks.describe(given)}"
            )
        return cls(np.ascontiguousarray(inside != 0))

    def __call__(self, image: Array, name: str) -> Array:
        """Return an image, (h, w), with 0 outside."""
        inside = body(image) if self.inside is None else self.inside
        if inside.shape != image.shape:
            raise InputError(
                "mask: expected the size of the images, {}x{} as {}, got {}x{}; resample one of both".format(
                    *image.shape, name, *inside.shape
                )
            )
        return np.where(inside, image, image.dtype.type(0))

    def in_words(self) -> str:
        """Return what tells this mask from others."""
        if self.inside is None:
            return "body"
        return hashlib.sha256(f"{self.inside.shape}".encode() + np.packbits(self.inside).tobytes()).hexdigest()


def file_of(given: object) -> str | None:
    """Return the path if a mask is given as that of an image."""
    return os.fspath(given) if isinstance(given, str | os.PathLike) and given != "body" else None


def body(image: Array) -> Array:
    """Return where the body is: the convex hull of the largest connected part that is bright.

    It is looked for in 64 to 127 cells along the shorter side. A part is bright above a third of the way from
    the darkest cell to the median of the body, or, to begin with, to the brightest 1 %. What is thinner
    than three cells, as the scanner's table is, connects nothing. So a mark beside the body
    changes nothing.

    Parameters
    ----------
    image : ndarray
        (h, w) uint8 or uint16.

    Returns
    -------
    ndarray
        (h, w) bool; nowhere if no part is bright and three cells wide.
    """
    from scipy import ndimage
    from scipy.spatial import ConvexHull

    side = 1
    while min(image.shape) // (2 * side) >= _FINEST:
        side *= 2
    rows, columns = (length // side for length in image.shape)
    cells = image[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3))
    dark, bright = float(cells.min()), float(np.percentile(cells, 99))
    for _ in range(_ROUNDS):
        thick = ndimage.binary_opening(cells > dark + (bright - dark) / 3, np.ones((3, 3), bool))
        parts, count = ndimage.label(thick)
        if not count:
            return np.zeros(image.shape, bool)
        largest = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
        if bright == (bright := float(np.median(cells[largest]))):
            break
    edges = ConvexHull(np.argwhere(largest)).equations
    filled = np.ones(largest.shape, bool)
    for down, right, offset in edges:
        filled &= down * np.arange(rows)[:, None] + right * np.arange(columns) + offset <= _ROUNDING
    filled = filled.repeat(side, axis=0).repeat(side, axis=1)
    rest = [(0, length - found) for length, found in zip(image.shape, filled.shape, strict=True)]
    return np.pad(filled, rest, mode="edge")

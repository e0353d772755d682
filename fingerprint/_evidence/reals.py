"""Real images, prepared once for the comparison with any number of synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base.representatives import representatives
from fingerprint._evidence.scales import compare_scales, prepare_scales
from fingerprint._evidence.whitening import Whitening
from fingerprint._patches.gain_reals import prepare_patches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side
    from fingerprint._evidence.scales import Scale
    from fingerprint._patches.gain_reals import GainReals

_OTHERS = 50  # nearest other real images that are kept for the statistics


@dataclass(frozen=True)
class Reals:
    """Real images, prepared once for the comparison with any number of synthetic ones.

    Parameters
    ----------
    sides : mapping
        The images at each scale, as `fingerprint._evidence.scales.prepare_scales` returns them.
    whitenings : tuple of Whitening or None
        For each scale what its images have in common; None where they are compared as they are.
    others : ndarray
        (n_scales, n_real, m) float64: distances to the nearest real images of other groups, ascending, infinite where
        there are fewer than m; whitened at whitened scales.
    groups : ndarray
        (n_real,) int64 from 0: the group of each image; each its own where groups are not known.
    grouped : bool
        Whether groups are known.
    patches : GainReals, optional
        Where patches are compared too.
    """

    sides: Mapping[Scale, Side]
    whitenings: tuple[Whitening | None, ...]
    others: Array
    groups: Array
    grouped: bool = False
    patches: GainReals | None = None

    def distances(self, pixels: Array) -> list[Array]:
        """Return the distances of every real image to every image of `pixels` (m, h, w), whitened where scales are.

        One (n_real, m) float64 for each scale.
        """
        compared = compare_scales(self.sides, prepare_scales(pixels, tuple(self.sides)))
        return [
            found if whitening is None else whitening.distances(found)
            for found, whitening in zip(compared.values(), self.whitenings, strict=True)
        ]


def prepare_reals(
    pixels: Array, scales: Sequence[Scale], *, groups: Array | None = None, patches: bool = False, threads: int = 1
) -> Reals:
    """Prepare real images and compare them with each other.

    Parameters
    ----------
    pixels : ndarray
        (n_real, h, w) uint8 or uint16.
    scales : sequence of Scale
        What to compare.
    groups : ndarray, optional
        (n_real,) int: images of the same group are not compared with each other.
    patches : bool
        Also prepare the comparison of patches.
    threads : int
        Threads to use.

    Returns
    -------
    Reals
        With the 50 nearest others of every image.
    """
    count = len(pixels)
    sides = prepare_scales(pixels, scales)
    own = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    kept = min(_OTHERS, count - 1)
    chosen = representatives(count)
    others = np.full((len(scales), count, kept), np.inf)
    whitenings: list[Whitening | None] = [None] * len(scales)
    rest = np.delete(np.arange(count), chosen)
    for columns in (chosen, *(rest[start : start + len(chosen)] for start in range(0, len(rest), len(chosen)))):
        some = sides if len(columns) == count else prepare_scales(pixels[columns], scales)
        for s, (scale, found) in enumerate(compare_scales(sides, some, threads=threads).items()):
            if scale.whitened and columns is chosen:
                whitenings[s] = Whitening.of(found, chosen)
            whitened = whitening.distances(found) if (whitening := whitenings[s]) else found
            of_others = np.where(own[:, None] == own[columns], np.inf, whitened)
            others[s] = np.sort(np.concatenate([others[s], of_others], axis=1), axis=1)[:, :kept]
    parts = prepare_patches(pixels, threads=threads) if patches else None
    return Reals(sides, tuple(whitenings), others, own, groups is not None, parts)

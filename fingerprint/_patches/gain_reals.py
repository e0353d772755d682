"""Patches of real images, prepared once, each with its reference quantile: how well it matches other real images."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base import concurrency
from fingerprint._base.representatives import representatives
from fingerprint._patches.gain_search import (
    GainPatches,
    GainWindows,
    PatchGrid,
    cells_of,
    image_by_image,
    in_groups,
    sites_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fingerprint._base.types import Array

FLOOR = np.float32(2.0**-13)  # added to 1 - correlation: what rounding to 8 bits leaves of a perfect match
CUT_AT_ONCE = 64  # real images that are cut, and whose matches in all others are in memory
_CONTRAST = 1  # standard deviation below which a patch is flat, in 255ths of the range of its image


class Sites(NamedTuple):
    """Places at which the patches of real images are sought, and what the kernels take of these patches.

    Parameters
    ----------
    firsts : ndarray
        (k, 2) int64: row and column of the first patch of each part of the grid.
    shape : tuple of int
        How many patches each part has, down and across.
    norms, quantiles : ndarray
        (1 or 2, groups, patches, 16): those of `GainReals`, 16 images a group.
    decide : ndarray
        (patches,) int32: -1 for the patches that decide whether an image is mirrored, 0 for others.
    """

    firsts: Array
    shape: tuple[int, int]
    norms: Array
    quantiles: Array
    decide: Array


@dataclass(frozen=True)
class GainReals:
    """The patches of real images, prepared once for the comparison with any number of synthetic images.

    Parameters
    ----------
    grid : PatchGrid
        Where the patches lie.
    patches : GainPatches
        The patches as they are; then, where synthetic images are also searched mirrored, the mirrored patches.
    quantiles : ndarray
        (1 or 2, n, rows, columns) int32: the reference quantile of 1 - correlation, plus `FLOOR`, as the bits of a
        float32; 0 where a patch is flat, so that nothing is better.
    """

    grid: PatchGrid
    patches: GainPatches
    quantiles: Array

    @property
    def count(self) -> int:
        """Return the number of real images, n."""
        return int(self.quantiles.shape[1])

    @property
    def mirror(self) -> bool:
        """Return whether synthetic images are also searched mirrored."""
        return len(self.quantiles) > 1

    def only(self, index: int) -> GainReals:
        """Return what is known of one real image."""
        part = slice(index, index + 1)
        return GainReals(self.grid, self.patches.some(part), self.quantiles[:, part])

    @cached_property
    def everywhere(self) -> Sites:
        """Return the places of all patches."""
        return self.sites(np.zeros((1, 2), np.int64), self.grid.shape)

    @cached_property
    def deciding(self) -> Sites:
        """Return the places of the patches that decide whether an image is mirrored."""
        return self.sites(self.grid.deciding, (1, 1))

    @cached_property
    def rows(self) -> tuple[Array, ...]:
        """Return quarters, means, norms and quantiles image by image, see `GainPatches.rows`."""
        return *self.patches.rows, image_by_image(self.quantiles)

    def sites(self, firsts: Array, shape: tuple[int, int]) -> Sites:
        """Return the places of `shape` patches, down and across, from each of the `firsts` on."""
        sites = np.array(sites_of(firsts, shape), np.int64).reshape(-1, 2)
        places, deciding = (np.ravel_multi_index(some.T, self.grid.shape) for some in (sites, self.grid.deciding))
        packed = (self.patches.packed[2], in_groups(self.quantiles))
        norms, quantiles = (side.reshape(*side.shape[:2], -1, 16).take(places, axis=2) for side in packed)
        return Sites(firsts, shape, norms, quantiles, -np.isin(places, deciding).astype(np.int32))

    @property
    def informative(self) -> Array:
        """Return (n,) int64: how many patches of each image are not flat."""
        return np.asarray((self.patches.norms[0] > 0).sum(axis=(1, 2)))


def prepare_patches(
    pixels: Array,
    *,
    flat: Array | None = None,
    mirror: bool = True,
    one_in: int = 20,
    at_once: int = CUT_AT_ONCE,
    threads: int = 1,
) -> GainReals:
    """Cut real images into patches and find how well each patch matches other real images.

    Images are reduced to cells. A patch is 8 x 8 cells, about an eighth of the image across. It is searched for within
    two cells of its place, half a cell at a time, and compared by normalised correlation, which ignores brightness and
    contrast. A patch is flat, and never counts, if its standard deviation is below 1 / 255 of the range of its image.

    The reference quantile of a patch is the match that one in 20 of all other real images exceeds. So a few duplicates,
    or slices of the same patient, do not silence a patch. Images of the same patient count among the others even where
    groups are known: they show how hard it is to match what this patient alone has. A share means the same in small and
    in large collections. Of more than 1,024 real images, 1,024 stand for all.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16. Images of less than 8 x 8 have no patches.
    flat : ndarray, optional
        (n,) bool: images that are flat, so that none of their patches counts.
    mirror : bool
        Also search synthetic images mirrored.
    one_in : int
        One in so many other real images matches a patch better than its reference quantile.
    at_once : int
        Real images that are cut, and whose matches in all others are in memory. Never changes the result.
    threads : int
        Threads to use.

    Returns
    -------
    GainReals
        Can be pickled.
    """
    grid = PatchGrid.of(*pixels.shape[1:])

    def cells(images: Array) -> Iterator[Array]:
        for first in range(0, len(images), at_once):
            some = images[first : first + at_once]
            yield cells_of(pixels[some] if flat is None else without_flat(pixels[some], flat[some]), grid)

    chosen = representatives(len(pixels))
    windows = GainWindows.of(np.concatenate(list(cells(chosen))), grid)
    some_of = [GainPatches.of(part, grid, _CONTRAST) for part in cells(np.arange(len(pixels)))]
    quantiles = _reference_quantiles(windows, some_of, chosen, one_in, threads)
    del windows
    patches = GainPatches.joined(some_of)
    del some_of
    quantiles[patches.norms == 0] = 0
    if mirror:
        patches, quantiles = patches.with_mirrored, np.concatenate([quantiles, quantiles[..., ::-1]])
    return GainReals(grid, patches, quantiles.view(np.int32))


def _reference_quantiles(
    windows: GainWindows, some_of: Sequence[GainPatches], chosen: Array, one_in: int, threads: int
) -> Array:
    """Return the reference quantiles of the patches of all parts, (1, n, rows, columns) float32.

    `windows` are those of the `chosen` images.
    """
    counts = [part.norms.shape[1] for part in some_of]
    ends = np.cumsum(counts)
    parts = [slice(end - count, end) for end, count in zip(ends.tolist(), counts, strict=True)]
    rows, columns = some_of[0].norms.shape[2:]
    itself = chosen[:, None] == np.arange(ends[-1])
    others = len(chosen) - itself.sum(axis=0)
    quantiles = np.zeros((1, ends[-1], rows, columns), np.float32)

    def measure(place: tuple[int, int]) -> None:
        """Find the reference quantiles of a row of patches of some images."""
        row, number = place
        part, some = parts[number], some_of[number]
        best = windows.best(some, (row, 0), (1, columns)) * some.norms[0, :, row]
        rests = np.sort(np.where(itself[:, part, None], np.inf, unexplained(best)), axis=0)
        found = np.take_along_axis(rests, (others[part] // one_in)[None, :, None], axis=0)[0]
        quantiles[0, part, row] = np.where(others[part, None] > 0, found, np.float32(1) + FLOOR)

    concurrency.run(measure, itertools.product(range(rows), range(len(parts))), threads=threads)
    return quantiles


def without_flat(pixels: Array, flat: Array) -> Array:
    """Return images, (n, h, w), of which flat ones are 0 all over, so that none of their patches counts."""
    return np.where(flat[:, None, None], pixels.dtype.type(0), pixels) if flat.any() else pixels


def unexplained(correlation: Array) -> Array:
    """Return what a match leaves unexplained: 1 - correlation, at least 0, plus `FLOOR`, float32."""
    return np.maximum(np.float32(1) - correlation, np.float32(0)) + FLOOR

"""How images are laid out for the integer metrics.

The pixels of an image lie tile after tile, each tile padded with zeros to a multiple of 64, and 16 images interleaved
in steps of 64 bytes: (groups, steps, 16, 64) bytes, or (groups, steps, 16, 32) words of 16 bits. A register tile then
reads whole cache lines in order, on either side.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fingerprint._base.types import Array

GROUP, STEP = 16, 64  # images interleaved, bytes of each in a step
_TILES = 4  # along each side of an image
_WINDOWS = 3  # along each side: two tiles wide, one tile apart


def rows_of(side: Any, first: int, last: int, kind: type) -> Any:
    """Return the numbers of each image in the steps first to last of a plane, as rows of another type."""
    return side[:, first:last].swapaxes(1, 2).reshape(16 * len(side), (last - first) * side.shape[3]).astype(kind)


@cache  # arrays that nobody writes to
def tile_edges(length: int) -> Array:
    """Return the rows or columns at which the tiles begin, and the end."""
    return np.arange(_TILES + 1) * length // _TILES


@cache  # arrays that nobody writes to
def tile_areas(shape: tuple[int, ...]) -> Array:
    """Return the number of pixels of each tile."""
    return np.outer(np.diff(tile_edges(shape[0])), np.diff(tile_edges(shape[1]))).ravel()


def window_tiles(window: int) -> Array:
    """Return the four tiles of one of the nine windows of half the height and width of an image."""
    row, column = divmod(window, _WINDOWS)
    return np.array([_TILES * y + x for y in (row, row + 1) for x in (column, column + 1)])


def shifts_of(radius: int, *, every: bool) -> list[tuple[int, int]]:
    """Return the shifts by which a patch is searched for, row by row: every one, or a chessboard's white squares."""
    steps = range(-radius, radius + 1)
    return [(down, right) for down in steps for right in steps if every or (down + right) % 2 == 0]


@cache  # arrays that nobody writes to
def tile_starts(shape: tuple[int, ...]) -> Array:
    """Return the step of 64 pixels at which each tile begins, and the end."""
    return np.concatenate([[0], np.cumsum(-(-tile_areas(shape) // 64))])

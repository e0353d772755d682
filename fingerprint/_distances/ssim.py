"""The metric `ssim`: structural similarity of images, 16 of them interleaved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import checks, concurrency
from fingerprint._distances.side import groups_of, parts_of
from fingerprint._kernels.memory import aligned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side


_WINDOW = 7  # side of the windows, in pixels
_PANEL = 64  # rows and columns of a panel, whole groups


def prepare(pixels: Array, metrics: tuple[str, ...], threads: int) -> dict[str, Array]:  # noqa: ARG001
    """Return the images in the layout of the kernels."""
    from fingerprint._kernels import ssim

    n, h, w = pixels.shape
    if min(h, w) < _WINDOW:
        raise checks.InputError(
            f"metric: 'ssim' needs images of at least {_WINDOW}x{_WINDOW} pixels, got {checks.describe(pixels)}"
        )
    groups, strips = -(-n // ssim.GROUP), -(-(w - 6) // ssim.STRIP)
    out = np.empty((groups, strips, 7 + h, ssim.COLUMNS * ssim.GROUP), pixels.dtype)
    parts = parts_of(groups, -(-groups // threads))
    concurrency.run(lambda part: ssim.interleave(pixels, part.start, part.stop, out), parts, threads=threads)
    return {"interleaved": out}


def panels(a: Side, b: Side, out: dict[str, Array]) -> Iterator[Callable[[], None]]:
    """Yield the tasks that fill the matrix in `out`, each some rows and columns."""
    matrix = out["ssim"]
    if b.count < a.count:  # the measure is symmetric, to the bit, and the second side is taken in whole groups
        a, b, matrix = b, a, matrix.T
    for rows in parts_of(a.count, _PANEL):
        for columns in parts_of(b.count, _PANEL):
            yield partial(_fill, a, b, rows, columns, matrix)


def _fill(a: Side, b: Side, rows: slice, columns: slice, out: Array) -> None:
    from fingerprint._kernels import ssim

    n, m = rows.stop - rows.start, columns.stop - columns.start
    exact, fields = (np.int32, 2) if a.dtype == "uint8" else (np.float64, 3)
    limit = np.iinfo(a.dtype).max
    constants = np.array([(0.01 * limit) ** 2 * 49 * 49, (0.03 * limit) ** 2 * 49 * 48], np.float32)
    sides = [side.arrays["interleaved"][groups_of(part)] for side, part in ((a, rows), (b, columns))]
    arrays = (2, exact), (fields, exact), (3, np.float32)  # columns, exact, floats
    room = [tuple(aligned((len(side), count, 16 * ssim.COLUMNS), kind) for count, kind in arrays) for side in sides]
    shape = ssim.ALONE * -(-n // ssim.ALONE), len(sides[1])
    work, totals = aligned((*shape, ssim.COLUMNS, 16), exact), aligned((*shape, 16), np.int64)
    ssim.ssim(*sides, a.shape[1], constants, *room, work, totals)
    windows = (a.shape[0] - 6) * (a.shape[1] - 6)
    similarities = totals.reshape(shape[0], -1)[:n, :m] / (ssim.UNIT * windows)
    out[rows, columns] = np.maximum(1 - similarities, 0)  # rounded, that of near copies can exceed 1

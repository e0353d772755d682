"""The structural similarity of interleaved images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint import _threads
from fingerprint._memory import aligned
from fingerprint._prepared import fastest, groups_of, parts_of

if TYPE_CHECKING:
    from fingerprint._prepared import Prepared
    from fingerprint._types import Array


def interleaved(pixels: Array, threads: int) -> Array:
    """Return the images in the layout of the kernels."""
    from fingerprint import _ssim_kernels

    n, h, w = pixels.shape
    groups, strips = -(-n // _ssim_kernels.GROUP), -(-(w - 6) // _ssim_kernels.STRIP)
    out = np.empty((groups, strips, 7 + h, _ssim_kernels.COLUMNS * _ssim_kernels.GROUP), pixels.dtype)
    kernel = fastest(_ssim_kernels.KERNELS["interleave"])
    parts = parts_of(groups, -(-groups // threads))
    _threads.run(lambda part: kernel(pixels, part.start, part.stop, out), parts, threads=threads)
    return out


def ssim_block(a: Prepared, b: Prepared, rows: slice, columns: slice, out: Array) -> None:
    """Fill the corner `rows`, `columns`."""
    from fingerprint import _compiler, _ssim_kernels

    n, m = rows.stop - rows.start, columns.stop - columns.start
    kernels = _ssim_kernels.KERNELS["ssim8" if a.dtype == "uint8" else "ssim16"]
    name = _compiler.available(kernels)[0]
    exact, fields = (np.int32, 2) if name == "vectors" else (np.float64, 3)
    limit = np.iinfo(a.dtype).max
    constants = np.array([(0.01 * limit) ** 2 * 49 * 49, (0.03 * limit) ** 2 * 49 * 48], np.float32)
    sides = [side.arrays["interleaved"][groups_of(part)] for side, part in ((a, rows), (b, columns))]
    arrays = (2, exact), (fields, exact), (3, np.float32)  # columns, exact, floats
    room = [
        tuple(aligned((len(side), count, 16 * _ssim_kernels.COLUMNS), kind) for count, kind in arrays) for side in sides
    ]
    shape = _ssim_kernels.ALONE * -(-n // _ssim_kernels.ALONE), len(sides[1])
    work, totals = aligned((*shape, _ssim_kernels.COLUMNS, 16), exact), aligned((*shape, 16), np.int64)
    kernels[name](*sides, a.shape[1], constants, *room, work, totals)
    windows = (a.shape[0] - 6) * (a.shape[1] - 6)
    similarities = totals.reshape(shape[0], -1)[:n, :m] / (_ssim_kernels.UNIT * windows)
    out[rows, columns] = np.maximum(1 - similarities, 0)  # rounded, that of near copies can exceed 1

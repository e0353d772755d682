"""The metrics that compare packed pixels as integers: Euclidean, L2, Manhattan, tiles, correlation, also of windows."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import concurrency
from fingerprint._distances.side import groups_of, parts_of
from fingerprint._kernels.layout import tile_areas, tile_edges, tile_starts, window_tiles
from fingerprint._kernels.memory import unset, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side

WINDOWS = {f"correlation of window {n + 1}": window_tiles(n) for n in range(9)}
"""From the metric that compares one of nine overlapping windows of half the height and width to its tiles."""

_CORRELATIONS = frozenset({"correlation", *WINDOWS})
_FROM_DOT_PRODUCTS = frozenset({"euclidean", "l2", "tiles"}) | _CORRELATIONS  # all from the same ones
_ALL = np.arange(16)  # tiles
_PANEL = 128  # columns of a panel: both sides of a tile fit the second-level cache


def prepare(pixels: Array, metrics: tuple[str, ...], threads: int) -> dict[str, Array]:
    """Pack 8-bit images as bytes and 16-bit ones as words, and sum their tiles.

    ``sums`` and ``squares``, (n, 16) int64, are those of the pixels of each tile. ``bytes``, ``words`` and ``signed``
    are laid out as `_kernels.layout` says. ``centres``, (n,) int64, is taken off the pixels of each image, and
    ``reach`` is the largest that is left. For each correlation, by its name, (4, n) int64 is what `_about_means` says.
    n counts whole groups of 16 images.
    """
    from fingerprint._kernels import packing

    wide, dots = pixels.dtype == np.uint16, not _FROM_DOT_PRODUCTS.isdisjoint(metrics)
    groups, rows, columns = -(-len(pixels) // 16), tile_edges(pixels.shape[1]), tile_edges(pixels.shape[2])
    starts, pixels = tile_starts(pixels.shape[1:]), unwritable(pixels)
    arrays = {name: np.zeros((16 * groups, 16), np.int64) for name in ("sums", "squares")}
    lowest, highest, centres = np.zeros((3, 16 * groups), np.int64)
    packed = {}  # the centres of the images in each layout
    if not wide:
        packed["bytes"] = np.zeros_like(centres)
    elif dots:
        packed["words"] = centres
    if wide and "manhattan" in metrics:
        packed["signed"] = np.full_like(centres, 32768)
    for name in packed:
        shape, dtype = ((2 * int(starts[-1]), 16, 32), np.int16) if wide else ((int(starts[-1]), 16, 64), np.uint8)
        arrays[name] = unset((groups, *shape), dtype)

    def step(part: slice) -> None:
        for group in range(part.start, part.stop):  # pixels read for their sums are then at hand to be packed
            first, last = 16 * group, min(16 * group + 16, len(pixels))
            if wide:
                packing.moments(pixels, rows, columns, first, last, arrays["sums"], arrays["squares"], lowest, highest)
                centres[first:last] = (lowest[first:last] + highest[first:last] + 1) // 2
            for name, middles in packed.items():
                packing.pack(pixels, rows, columns, starts, middles, group, group + 1, arrays[name])
            if dots and not wide:
                packing.byte_moments(arrays["bytes"], starts, group, group + 1, arrays["sums"], arrays["squares"])

    concurrency.run(step, parts_of(groups, -(-groups // threads)), threads=threads)
    about = {name: _about_means(arrays, pixels.shape[1:], name) for name in metrics if name in _CORRELATIONS}
    return arrays | about | {"centres": centres, "reach": centres - lowest}


def panels(a: Side, b: Side, out: dict[str, Array]) -> Iterator[Callable[[], None]]:
    """Yield the tasks that fill `out`, each some columns of the matrices of metrics that share their work."""
    from_dot_products = {metric: matrix for metric, matrix in out.items() if metric in _FROM_DOT_PRODUCTS}
    for columns in parts_of(b.count, _PANEL):
        if from_dot_products:
            yield partial(_fill_from_dot_products, a, b, columns, from_dot_products)
        if "manhattan" in out:
            yield partial(_fill_manhattan, a, b, columns, out["manhattan"])


def _put_dot_products(a: Side, b: Side, columns: slice, tiles: slice, work: Array, total: Array) -> None:
    """Put into `total` the dot products (images of b, images of a) of the pixels of some tiles, for whole groups.

    `work` are zeros of that shape, int32, and are so afterwards.
    """
    from fingerprint._kernels import dot_products, gaps

    groups = groups_of(columns)
    images = slice(16 * groups.start, 16 * groups.stop)
    first, last = tile_starts(a.shape)[[tiles.start, tiles.stop]]
    sums, others = b.arrays["sums"][images, tiles].sum(axis=1), a.arrays["sums"][:, tiles].sum(axis=1)
    if a.dtype == "uint8":
        gaps.outer(128 * sums, np.ones_like(others), sums, np.zeros_like(others), total)  # which lanes take off
        dot_products.dot(b.arrays["bytes"][groups], a.lanes, first, last, work, total)
        return
    centres, middles = b.arrays["centres"][images], a.arrays["centres"]
    gaps.outer(centres, others - tile_areas(a.shape)[tiles].sum() * middles, sums, middles, total)
    fit = (2**31 - 1) // max(int(b.arrays["reach"][images].max()) * int(a.arrays["reach"].max()), 1)
    dot_products.dot16(b.arrays["words"][groups], a.lanes, 2 * first, 2 * last, fit, work, total)


def _fill_from_dot_products(a: Side, b: Side, columns: slice, out: dict[str, Array]) -> None:
    """Fill the columns of the metrics that come from dot products."""
    from fingerprint._kernels import gaps

    areas = tile_areas(a.shape)
    rows = slice(16 * groups_of(columns).start, 16 * groups_of(columns).stop)
    left, right = b.arrays["squares"][rows], a.arrays["squares"]
    shape = len(left), len(right)
    work, c = np.zeros(shape, np.int32), np.empty(shape, np.int64)
    windows = [window for window in WINDOWS if window in out]
    if windows or "tiles" in out:
        parts = [*(WINDOWS[window] for window in windows), _ALL]
        member = np.array([np.bincount(tiles, minlength=len(_ALL)) for tiles in parts])
        products, worst = np.zeros((len(parts), *shape), np.int64), np.zeros(shape)
        for t in np.flatnonzero(areas):
            _put_dot_products(a, b, columns, slice(t, t + 1), work, c)
            gaps.share(c, member[:, t].nonzero()[0], products)
            if "tiles" in out:
                gaps.fold(c, left[:, t].copy(), right[:, t].copy(), areas[t], worst)
        for window, found in zip(windows, products[:-1], strict=True):
            _correlate(found, b, a, rows, window, out[window], columns)
        if "tiles" in out:
            out["tiles"][:, columns] = np.sqrt(worst[: columns.stop - columns.start, : a.count].T)
        total = products[-1]
    else:
        _put_dot_products(a, b, columns, slice(0, 16), work, c)
        total = c
    area = int(areas.sum())
    for metric, divisor in (("euclidean", area), ("l2", 1)):
        if metric in out:
            squares = left.sum(axis=1), right.sum(axis=1)
            gaps.euclidean(total, *squares, divisor, out[metric], columns.start, columns.stop)
    if "correlation" in out:
        _correlate(total, b, a, rows, "correlation", out["correlation"], columns)


def _correlate(products: Array, b: Side, a: Side, rows: slice, metric: str, out: Array, columns: slice) -> None:
    """Fill columns of `out` with correlation distances, from the dot products of what they compare."""
    from fingerprint._kernels import gaps

    left, right, area = b.arrays[metric][:, rows].copy(), a.arrays[metric], _area(a.shape, metric)
    gaps.correlation(products, left, right, area, out, columns.start, columns.stop)


def _area(shape: tuple[int, ...], metric: str) -> int:
    """Return how many pixels a correlation compares."""
    return int(tile_areas(shape)[WINDOWS.get(metric, _ALL)].sum())


def contrasts(side: Side, metric: str) -> Array:
    """Return (n,) float64: the standard deviation of what a correlation compares of each image of a side."""
    area = _area(side.shape, metric)
    rests, squares = side.arrays[metric][2:, : side.count]
    return np.asarray(np.sqrt(np.maximum(squares - rests * (rests / area), 0) / area))


def _about_means(arrays: dict[str, Array], shape: tuple[int, ...], metric: str) -> Array:
    """Return what a correlation needs of what it compares of each image, (4, n) int64.

    That is their sum, the mean rounded down, the rest, and the squares about it.
    """
    tiles, area = WINDOWS.get(metric, _ALL), _area(shape, metric)
    sums = arrays["sums"][:, tiles].sum(axis=1)
    means = sums // area
    rests = sums - area * means
    return np.stack([sums, means, rests, arrays["squares"][:, tiles].sum(axis=1) - means * (sums + rests)])


def _fill_manhattan(a: Side, b: Side, columns: slice, out: Array) -> None:
    from fingerprint._kernels import gaps

    groups, pixels = groups_of(columns), math.prod(a.shape)
    if a.dtype == "uint8":
        kernel, left, right = gaps.gap, b.arrays["bytes"][groups], a.arrays["bytes"]
    else:
        kernel, left, right = gaps.larger, b.arrays["signed"][groups], a.arrays["signed"]
    c = np.zeros((16 * len(left), 16 * len(right)), np.int64)
    kernel(left, right, 0, right.shape[1], c)
    total = c[: columns.stop - columns.start, : a.count].T
    if a.dtype == "uint16":  # |x - y| = 2 max(x, y) - x - y, and the packed ones are less 32768
        sums = a.arrays["sums"][: a.count].sum(axis=1)[:, None] + b.arrays["sums"][columns].sum(axis=1)
        total = 2 * (total + 32768 * pixels) - sums
    out[:, columns] = total / pixels

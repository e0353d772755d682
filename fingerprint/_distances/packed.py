"""The metrics that compare packed pixels as integers: Euclidean, L2, Manhattan, correlation and tile distances."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import concurrency
from fingerprint._distances.side import fastest, groups_of, parts_of
from fingerprint._kernels.layout import tile_areas, tile_edges, tile_starts
from fingerprint._kernels.memory import TILE_REGISTERS, unset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side

_FROM_DOT_PRODUCTS = frozenset({"euclidean", "l2", "correlation", "tiles"})  # all from the same ones
_PANEL = 128  # columns of a panel: both sides of a tile fit the second-level cache


def prepare(pixels: Array, metrics: tuple[str, ...], threads: int) -> dict[str, Array]:
    """Pack 8-bit images as bytes; 16-bit ones as words, or as bytes where there are tile registers. Sum their tiles."""
    from fingerprint._kernels import compiler, dot_products, packing

    pack, moments = (fastest(packing.KERNELS[operation]) for operation in ("pack", "moments"))
    wide, dots = pixels.dtype == np.uint16, not _FROM_DOT_PRODUCTS.isdisjoint(metrics)
    quick = not wide and compiler.runs("vectors")
    groups, rows, columns = -(-len(pixels) // 16), tile_edges(pixels.shape[1]), tile_edges(pixels.shape[2])
    starts = tile_starts(pixels.shape[1:])
    arrays = {name: np.zeros((16 * groups, 16), np.int64) for name in ("sums", "squares")}
    lowest, highest, centres = np.zeros((3, 16 * groups), np.int64)
    packed = {}  # the centres of the images in each layout
    if not wide or (dots and compiler.available(dot_products.KERNELS["dot"])[0] == "amx"):
        arrays["planes"] = unset((1 + int(wide), groups, int(starts[-1]), 16, 64), np.uint8)
        packed["planes"] = np.zeros_like(centres)
    elif dots:
        arrays["words"] = unset((1, groups, 2 * int(starts[-1]), 16, 32), np.int16)
        packed["words"] = centres
    if wide and "manhattan" in metrics:
        arrays["signed"] = unset((1, groups, 2 * int(starts[-1]), 16, 32), np.int16)
        packed["signed"] = np.full_like(centres, 32768)

    def step(part: slice) -> None:
        for group in range(part.start, part.stop):  # pixels read for their sums are then at hand to be packed
            first, last = 16 * group, min(16 * group + 16, len(pixels))
            if wide or (dots and not quick):
                moments(pixels, rows, columns, first, last, arrays["sums"], arrays["squares"], lowest, highest)
                centres[first:last] = (lowest[first:last] + highest[first:last] + 1) // 2
            for name, middles in packed.items():
                pack(pixels, rows, columns, starts, middles, group, group + 1, arrays[name])
            if dots and quick:  # pragma: no cover  (with the compiler only)
                both = arrays["sums"], arrays["squares"]
                packing.byte_moments(arrays["planes"][0], starts, group, group + 1, *both)

    concurrency.run(step, parts_of(groups, -(-groups // threads)), threads=threads)
    arrays |= {name: arrays[name][0] for name in ("words", "signed") if name in arrays}
    return arrays | {"centres": centres, "reach": centres - lowest}


def panels(a: Side, b: Side, out: dict[str, Array]) -> Iterator[Callable[[], None]]:
    """Yield the tasks that fill `out`, each some columns of the matrices of metrics that share their work."""
    from_dot_products = {metric: matrix for metric, matrix in out.items() if metric in _FROM_DOT_PRODUCTS}
    for columns in parts_of(b.count, _PANEL):
        if from_dot_products:
            yield partial(_fill_from_dot_products, a, b, columns, from_dot_products)
        if "manhattan" in out:
            yield partial(_fill_manhattan, a, b, columns, out["manhattan"])


def _dot_products(a: Side, b: Side, columns: slice, tiles: slice) -> Array:
    """Return the dot products (images of b, images of a) of the pixels of some tiles, for whole groups of images."""
    from fingerprint._kernels import compiler
    from fingerprint._kernels.dot_products import KERNELS

    groups = groups_of(columns)
    images = slice(16 * groups.start, 16 * groups.stop)
    first, last = tile_starts(a.shape)[[tiles.start, tiles.stop]]
    sums, others = b.arrays["sums"][images, tiles].sum(axis=1), a.arrays["sums"][:, tiles].sum(axis=1)
    shape = len(sums), len(others)
    name = compiler.available(KERNELS["dot"])[0]
    total = np.zeros(shape, np.int64)
    if a.dtype == "uint16" and (name == "vectors" or "words" in a.arrays or "words" in b.arrays):
        centres, middles = b.arrays["centres"][images], a.arrays["centres"]
        largest = int(b.arrays["reach"][images].max()) * int(a.arrays["reach"].max())
        area = tile_areas(a.shape)[tiles].sum()
        total += np.outer(centres, others - area * middles) + np.outer(sums, middles)
        left, steps = b.words[groups], (2 * first, 2 * last)
        if compiler.available(KERNELS["dot16"])[0] == "vectors":  # pragma: no cover  (with the compiler only)
            fit = (2**31 - 1) // max(largest, 1)
            KERNELS["dot16"]["vectors"](left, a.lanes, *steps, fit, np.zeros(shape, np.int32), total)
        else:
            KERNELS["dot16"]["numpy"](left, a.words, *steps, total)
        return total
    kernel, left = KERNELS["dot"][name], b.arrays["planes"][:, groups]
    if name == "vectors":  # pragma: no cover  (with the compiler only)
        total += 128 * sums[:, None]  # which these take off the bytes of a
        kernel(left[0], a.lanes, first, last, np.zeros(shape, np.int32), total)
        return total
    right = a.transposed if name == "amx" else a.arrays["planes"]
    work = np.empty((shape[0] // 16, shape[1] // 16, 16, 16), np.uint32) if name == "amx" else None
    for shift in range(2 * len(left) - 1):  # the products of planes of 8 bits each that weigh the same
        c = np.zeros_like(total) if shift else total
        for x in range(max(0, shift + 1 - len(left)), min(shift + 1, len(left))):
            if name == "amx":  # pragma: no cover  (with the compiler only)
                kernel(left[x], right[shift - x], first, last, TILE_REGISTERS, work, c)
            else:
                kernel(left[x], right[shift - x], first, last, c)
        if shift:
            total += c << 8 * shift
    return total


def _fill_from_dot_products(a: Side, b: Side, columns: slice, out: dict[str, Array]) -> None:
    """Fill the columns of the metrics that come from dot products."""
    from fingerprint._kernels import gaps

    areas = tile_areas(a.shape)
    rows = slice(16 * groups_of(columns).start, 16 * groups_of(columns).stop)
    left, right = b.arrays["squares"][rows], a.arrays["squares"]
    if "tiles" in out:
        total = np.zeros((len(left), len(right)), np.int64)
        worst = np.zeros(total.shape)
        for t in np.flatnonzero(areas):
            c = _dot_products(a, b, columns, slice(t, t + 1))
            gaps.fold(c, left[:, t].copy(), right[:, t].copy(), areas[t], worst, total)
        out["tiles"][:, columns] = np.sqrt(worst[: columns.stop - columns.start, : a.count].T)
    else:
        total = _dot_products(a, b, columns, slice(0, 16))
    area = int(areas.sum())
    for metric, divisor in (("euclidean", area), ("l2", 1)):
        if metric in out:
            gaps.euclidean(total, left.sum(axis=1), right.sum(axis=1), divisor, out[metric][:, columns])
    if "correlation" in out:
        sides = _about_means(b, rows, area), _about_means(a, slice(None), area)
        gaps.correlation(total, *sides, area, out["correlation"][:, columns])


def _about_means(side: Side, rows: slice, area: int) -> Array:
    """Return what the correlation needs of each image: sum, mean rounded down, the rest, and the squares about it."""
    sums = side.arrays["sums"][rows].sum(axis=1)
    means = sums // area
    rests = sums - area * means
    return np.stack([sums, means, rests, side.arrays["squares"][rows].sum(axis=1) - means * (sums + rests)])


def _fill_manhattan(a: Side, b: Side, columns: slice, out: Array) -> None:
    from fingerprint._kernels import gaps

    groups, pixels = groups_of(columns), math.prod(a.shape)
    if a.dtype == "uint8":
        operation, left, right = "gap", b.arrays["planes"][0, groups], a.arrays["planes"][0]
    else:
        operation, left, right = "larger", b.arrays["signed"][groups], a.arrays["signed"]
    kernel = fastest(gaps.KERNELS[operation])
    c = np.zeros((16 * len(left), 16 * len(right)), np.int64)
    kernel(left, right, 0, right.shape[1], c)
    total = c[: columns.stop - columns.start, : a.count].T
    if a.dtype == "uint16":  # |x - y| = 2 max(x, y) - x - y, and the packed ones are less 32768
        sums = a.arrays["sums"][: a.count].sum(axis=1)[:, None] + b.arrays["sums"][columns].sum(axis=1)
        total = 2 * (total + 32768 * pixels) - sums
    out[:, columns] = total / pixels

# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Every compiled function of the evidence of patches. They check nothing, raise nothing and own the rows they write.

A patch is 2 x 2 blocks of 4 x 4 numbers, and neighbouring patches share blocks: of each pair of a block of a real image
and of one that lies aside by one shift in a synthetic image the product is worked out once, for four patches. A row of
a block is a word of four numbers, uint8 in synthetic images and int8 in real ones, which vector instructions multiply
and add up at once; the lanes of a vector are 16 shifts.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._compiler import call, kernel, runs
from fingerprint._instructions import (
    F32,
    I32,
    I64,
    REALS,
    SUMS,
    add_products_of_bytes,
    const,
    lanes,
    lay_windows,
    read,
    splat,
    write,
)

AT_ONCE = 4  # real images that share what is read of a synthetic one


@kernel
def box_grid(image, step, spread, out):  # type: ignore[no-untyped-def]
    """Sum boxes of `spread` x `spread` squares of `step` x `step` pixels, one at every square, into out int32."""
    h, w = out.shape
    squares = np.zeros((h + spread - 1, w + spread - 1), np.int32)
    down = np.empty(squares.shape[1] * step, np.int32)  # sums of pixels below each other
    for y in range(squares.shape[0]):
        target = squares[y]
        down[:] = 0
        for dy in range(step):
            row = image[y * step + dy]
            for x in range(down.shape[0]):
                down[x] = np.int32(down[x] + np.int32(row[x]))
        if step == 2:  # of images of 256 x 256; the compiler has vector instructions for two side by side
            for x in range(target.shape[0]):
                target[x] = np.int32(down[2 * x] + down[2 * x + 1])
        else:
            for x in range(target.shape[0]):
                for dx in range(step):
                    target[x] = np.int32(target[x] + down[step * x + dx])
    out[:] = 0
    for y in range(h):
        target = out[y]
        for dy in range(spread):
            for dx in range(spread):
                row = squares[y + dy, dx:]
                for x in range(w):
                    target[x] = np.int32(target[x] + row[x])


@kernel
def stretch(grid, low, factor, out):  # type: ignore[no-untyped-def]
    """Stretch a grid of sums, int32, to 8 bits: each less `low`, times `factor`, rounded, into out uint8."""
    for y in range(grid.shape[0]):
        source, target = grid[y], out[y]
        for x in range(grid.shape[1]):
            target[x] = np.int32(np.float32(np.int32(source[x] - low)) * factor + np.float32(0.5))


@kernel
def lay_out(image, spread, radius, words, sums, scales):  # type: ignore[no-untyped-def]
    """Lay out and weigh the windows of 8 x 8 numbers, `spread` apart, of an image (h, w) uint8.

    At [radius + y, radius + x] words uint32 gets the number at (y, x) and the three to its right; and, for the window
    whose first number it is, sums float32 the sum and scales float32 64 / (8 * norm of the window about its mean), or 0
    where it is flat. What lies outside is left alone.
    """
    h, w = image.shape
    for y in range(h):
        source = image[y]
        row = words[radius + y, radius : radius + w - 3 * spread]
        a, b, c, d = source, source[spread:], source[2 * spread :], source[3 * spread :]
        for x in range(row.shape[0]):
            left = np.uint32(np.uint32(a[x]) | np.uint32(np.uint32(b[x]) << np.uint32(8)))
            right = np.uint32(np.uint32(c[x]) | np.uint32(np.uint32(d[x]) << np.uint32(8)))
            row[x] = np.uint32(left | np.uint32(right << np.uint32(16)))
    column = np.zeros((spread, w), np.int32)  # of the rows that are a multiple of `spread` apart
    squares = np.zeros((spread, w), np.int32)
    pairs = np.empty((2, w), np.int32)
    for y in range(h):
        c, q = column[y % spread], squares[y % spread]
        added = image[y]
        for x in range(w):
            v = np.int32(added[x])
            c[x] = np.int32(c[x] + v)
            q[x] = np.int32(q[x] + np.int32(v * v))
        if y >= 8 * spread:
            gone = image[y - 8 * spread]
            for x in range(w):
                v = np.int32(gone[x])
                c[x] = np.int32(c[x] - v)
                q[x] = np.int32(q[x] - np.int32(v * v))
        if y >= 7 * spread:
            for x in range(w - spread):
                pairs[0, x] = np.int32(c[x] + c[x + spread])
                pairs[1, x] = np.int32(q[x] + q[x + spread])
            total, scale = sums[radius + y - 7 * spread, radius:], scales[radius + y - 7 * spread, radius:]
            a, b, d = 2 * spread, 4 * spread, 6 * spread
            for x in range(w - 7 * spread):
                s = np.int32(np.int32(pairs[0, x] + pairs[0, x + a]) + np.int32(pairs[0, x + b] + pairs[0, x + d]))
                t = np.int32(np.int32(pairs[1, x] + pairs[1, x + a]) + np.int32(pairs[1, x + b] + pairs[1, x + d]))
                varied = np.float32(np.int32(np.int32(64 * t) - np.int32(s * s)))
                total[x] = np.float32(s)
                scale[x] = np.float32(64.0) / np.sqrt(varied) if varied > 0 else np.float32(0.0)


def scaled_products(windows: Any, scales: Any, patterns: Any, means: Any) -> Any:
    """Return the product of each window (n_windows, 64) uint8 with each pattern (n, 64) int8 times its scale, float32.

    Of the product comes off the mean of the pattern times the sum of the window, and only then is it rounded.
    """
    # exact: 64 products of 8-bit numbers stay below 2**24, and what is taken off has 6 bits behind the point
    products = (windows.astype(np.float32) @ patterns.T.astype(np.float32)).astype(np.float64)
    products -= windows.sum(axis=1, dtype=np.float64)[:, None] * means
    return products.astype(np.float32) * scales[:, None]


def best_numpy(windows: Any, scales: Any, patterns: Any, means: Any) -> Any:
    """Return the largest scaled product of each image's windows (m, n_windows, 64) with each pattern, at least 0."""
    found = [scaled_products(*image, patterns, means).max(axis=0) for image in zip(windows, scales, strict=True)]
    return np.maximum(np.reshape(found, (len(windows), len(patterns))), np.float32(0))


def _larger(builder: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def _largest_of_four(builder: Any, vectors: list[Any]) -> Any:  # pragma: no cover  (emits LLVM)
    """Return the largest lane of each of four vectors."""

    def halve(x: Any, y: Any, width: int) -> Any:
        """Return the larger of the halves of every run of `width` lanes, those of x first."""
        left = [at + lane for at in range(0, 32, width) for lane in range(width // 2)]
        halves = (lanes(lane + aside for lane in left) for aside in (0, width // 2))
        return _larger(builder, *(builder.shuffle_vector(x, y, half) for half in halves))

    found = halve(halve(vectors[0], vectors[1], 16), halve(vectors[2], vectors[3], 16), 8)
    for distance in (2, 1):
        turned = builder.shuffle_vector(found, found, lanes(lane ^ distance for lane in range(16)))
        found = _larger(builder, found, turned)
    return builder.shuffle_vector(found, found, lanes(range(0, 16, 4)))


def _row_of_blocks(vectors: int) -> Any:
    """Return an intrinsic f(windows, sums, scales, images, block, mean, columns, above, best).

    It multiplies a row of blocks, `columns` of them, with what lies 16 * `vectors` shifts aside. The products of two
    side by side and of the two above them are those of a patch: best (columns - 1, AT_ONCE) float32 is raised to its
    largest scaled product. Sums of two side by side are left at `above`, (columns - 1, vectors, AT_ONCE) vectors.

    All arguments but three are addresses. `windows`, `sums` and `scales` are of rows of what `_lay` made, the latter of
    the patches that end in this row of blocks, or 0 in the first. `images` is of (2, AT_ONCE) addresses, of the blocks
    and the means of real images; the first of those of this row lie `block` and `mean` bytes behind.
    """
    size = 64 * vectors  # bytes of a word of all windows

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        windows, sums, scales, start, block, mean, columns, above, best = arguments
        images = range(AT_ONCE)
        addresses = [read(builder, builder.add(start, const(8 * k)), I64) for k in range(2 * AT_ONCE)]
        patches = [builder.add(address, block) for address in addresses[:AT_ONCE]]
        means = [builder.add(address, mean) for address in addresses[AT_ONCE:]]

        def words(column: Any, part: range) -> list[list[Any]]:
            """Read the words of a block, row by row."""
            start = builder.add(windows, builder.mul(column, const(4 * size)))
            rows = range(4)
            return [[read(builder, builder.add(start, const(size * row + 64 * v)), SUMS) for v in part] for row in rows]

        def products(column: Any, pixels: list[list[Any]], k: int) -> list[Any]:
            """Multiply the block of one image."""
            found = [ir.Constant(SUMS, [0] * 16) for _ in pixels[0]]
            for row in range(4):
                at = builder.add(builder.mul(column, const(16)), const(4 * row))
                number = splat(builder, read(builder, builder.add(patches[k], at), I32), SUMS)
                found = [add_products_of_bytes(builder, *pair, number) for pair in zip(found, pixels[row], strict=True)]
            return found

        def largest(site: Any, part: range, k: int, sides: list[Any]) -> Any:
            """Return the larger of the scaled products of the patches of one image, lane by lane."""
            scaled = []
            average = read(builder, builder.add(means[k], builder.mul(site, const(4))), F32)
            off = builder.fneg(splat(builder, average, REALS))
            for v, side in zip(part, sides, strict=True):
                at = builder.add(builder.mul(site, const(size)), const(64 * v))
                total, scale = (read(builder, builder.add(start, at), REALS) for start in (sums, scales))
                found = call(builder, "llvm.fma.v16f32", [off, total, builder.sitofp(side, REALS)], REALS)
                scaled.append(builder.fmul(found, scale))
            return functools.reduce(functools.partial(_larger, builder), scaled)

        def walk(part: range, left: Any, complete: bool) -> None:
            with cgutils.for_range(builder, builder.sub(columns, const(1))) as loop:
                start = builder.add(above, builder.mul(loop.index, const(AT_ONCE * size)))
                found = []
                column = builder.add(loop.index, const(1))
                pixels = words(column, part)
                for k in images:
                    right = products(column, pixels, k)
                    below = [builder.add(value, builder.load(old)) for value, old in zip(right, left[k], strict=True)]
                    place = [builder.add(start, const(64 * (vectors * k + v))) for v in part]
                    if complete:
                        sides = [
                            builder.add(value, read(builder, at, SUMS)) for value, at in zip(below, place, strict=True)
                        ]
                        found.append(largest(loop.index, part, k, sides))
                    for value, at, new, old in zip(below, place, right, left[k], strict=True):
                        write(builder, value, at)
                        builder.store(new, old)
                if complete:
                    at = builder.add(best, builder.mul(loop.index, const(4 * AT_ONCE)))
                    four = _largest_of_four(builder, found)
                    write(builder, _larger(builder, four, read(builder, at, four.type)), at)

        at_once = vectors if runs("avx512") else 1  # as many as there are registers for
        for first in range(0, vectors, at_once):
            part = range(first, first + at_once)
            left = [[cgutils.alloca_once(builder, SUMS) for _ in part] for _ in images]
            pixels = words(const(0), part)
            for k in images:
                for value, old in zip(products(const(0), pixels, k), left[k], strict=True):
                    builder.store(value, old)
            with builder.if_else(builder.icmp_signed("!=", sums, const(0))) as (later, earliest):
                with later:
                    walk(part, left, True)
                with earliest:
                    walk(part, left, False)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def row(
        typing: Any,
        windows: Any,
        sums: Any,
        scales: Any,
        images: Any,
        block: Any,
        mean: Any,
        columns: Any,
        above: Any,
        best: Any,
    ) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 9), generate

    return row


_row2, _row3 = _row_of_blocks(2), _row_of_blocks(3)


@kernel
def _lay(words, sums, scales, places, radius, spread, windows, totals, weights):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Copy what `lay_out` made of an image so that shifts lie side by side, for the patches from each of the places on.

    `windows` (places, parts, rows + 1, columns + 1, 4, lanes) get the words of the blocks; `totals` and `weights`
    (places, parts, rows, columns, lanes) the sums and the scales of the patches, 0 where there is no shift. A part has
    some rows of shifts.
    """
    side, parts = 2 * radius + 1, windows.shape[1]
    for place in range(places.shape[0]):
        for part in range(parts):
            first, count = part * side // parts, (part + 1) * side // parts - part * side // parts
            for r in range(windows.shape[2]):
                for c in range(windows.shape[3]):
                    top, left = places[place, 0] + first + 4 * spread * r, places[place, 1] + 4 * spread * c
                    source, target = words[top, left:].ctypes.data, windows[place, part, r, c]
                    start = target.ctypes.data
                    lay_windows(source, words.strides[0], spread, 0, 4, 1, count, side, start, target.strides[0])
            for r in range(totals.shape[2]):
                for c in range(totals.shape[3]):
                    top, left = places[place, 0] + first + 4 * spread * r, places[place, 1] + 4 * spread * c
                    total, weight = totals[place, part, r, c], weights[place, part, r, c]
                    start = total.ctypes.data
                    lay_windows(sums[top, left:].ctypes.data, sums.strides[0], 0, 0, 1, 1, count, side, start, 0)
                    start = weight.ctypes.data
                    lay_windows(scales[top, left:].ctypes.data, scales.strides[0], 0, 0, 1, 1, count, side, start, 0)
                    weight[count * side :] = np.float32(0.0)


@kernel
def _search(windows, totals, weights, places, blocks, means, images, above, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Find the best matches in what `_lay` made, best (places, rows, columns, AT_ONCE), of patches of `AT_ONCE` images.

    `images` (2, AT_ONCE) int64 are the addresses of their blocks and means, which lie as those of `blocks` and `means`.
    """
    best[:] = np.float32(0.0)
    columns, a, z = windows.shape[3], images.ctypes.data, above.ctypes.data
    for place in range(windows.shape[0]):
        r0, c0 = places[place, 2], places[place, 3]
        for part in range(windows.shape[1]):
            w, s = windows[place, part].ctypes.data, totals[place, part].ctypes.data
            q = weights[place, part].ctypes.data
            for r in range(windows.shape[2]):
                block = (r0 + r) * blocks.strides[2] + c0 * blocks.strides[3]
                mean = (r0 + r - 1) * means.strides[2] + c0 * means.strides[3]
                out = best.ctypes.data + place * best.strides[0] + (r - 1) * best.strides[1]
                sums, scales = (s + (r - 1) * totals.strides[2], q + (r - 1) * weights.strides[2]) if r else (0, 0)
                if windows.shape[5] == 48:
                    _row3(w + r * windows.strides[2], sums, scales, a, block, mean, columns, z, out)
                else:
                    _row2(w + r * windows.strides[2], sums, scales, a, block, mean, columns, z, out)


@kernel
def best_vectors(words, sums, scales, places, radius, spread, blocks, means, windows, totals, weights, above, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write what `best_numpy` finds into best (m, n, patches), of the patches from each of the places (y, x, r, c) on.

    They are as many, across and down, as `totals` has: (y, x) in the maps of the images that are searched, (r, c) in
    those of the real ones. The arrays between are work space for one image, see `_lay` and `_row_of_blocks`.
    """
    count = blocks.shape[1]
    images = np.empty((2, AT_ONCE), np.int64)
    found = np.empty((len(places), totals.shape[2], totals.shape[3], AT_ONCE), np.float32)
    for f in range(words.shape[0]):
        _lay(words[f], sums[f], scales[f], places, radius, spread, windows, totals, weights)
        for first in range(0, count, AT_ONCE):
            for k in range(AT_ONCE):
                i = min(first + k, count - 1)
                images[0, k], images[1, k] = blocks[0, i].ctypes.data, means[0, i].ctypes.data
            _search(windows, totals, weights, places, blocks, means, images, above, found)
            for k in range(min(AT_ONCE, count - first)):
                best[f, first + k] = found[:, :, :, k].copy().ravel()


@kernel
def sum_vectors(  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    words,
    sums,
    scales,
    places,
    radius,
    spread,
    blocks,
    means,
    norms,
    yardsticks,
    floor,
    turned,
    windows,
    totals,
    weights,
    above,
    total,
):
    """Add to total (m, n) int32 the gains of the patches of `best_vectors`, as `patch_evidence.octaves` counts them.

    `norms` and `yardsticks` are (turns, n, patches) of these patches; turned (m, n) says which turn is sought.
    """
    count = blocks.shape[1]
    one, zero = np.float32(1.0), np.float32(0.0)
    images = np.empty((2, AT_ONCE), np.int64)
    best = np.empty((len(places), totals.shape[2], totals.shape[3], AT_ONCE), np.float32)
    found = best.reshape((-1, AT_ONCE))
    rests = np.empty(len(found), np.float32)
    bits = rests.view(np.int32)
    for f in range(words.shape[0]):
        _lay(words[f], sums[f], scales[f], places, radius, spread, windows, totals, weights)
        for first in range(0, count, AT_ONCE):
            for k in range(AT_ONCE):
                i = min(first + k, count - 1)
                t = np.int64(turned[f, i])
                images[0, k], images[1, k] = blocks[t, i].ctypes.data, means[t, i].ctypes.data
            _search(windows, totals, weights, places, blocks, means, images, above, best)
            for k in range(min(AT_ONCE, count - first)):
                i = first + k
                norm, yardstick = norms[np.int64(turned[f, i]), i], yardsticks[np.int64(turned[f, i]), i]
                for p in range(len(rests)):
                    rests[p] = found[p, k]
                for p in range(len(rests)):
                    rests[p] = max(one - rests[p] * norm[p], zero) + floor
                gained = np.int32(0)
                for p in range(len(rests)):
                    gained = np.int32(gained + (max(np.int32(yardstick[p] - bits[p]), np.int32(0)) >> 8))
                total[f, i] += gained

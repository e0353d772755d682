# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled functions that lay images out as `fingerprint._kernels.layout` says, and sum them."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, cgutils, chosen, kernel
from fingerprint._kernels.layout import GROUP, STEP
from fingerprint._kernels.llvm import I8, I16, I64, SUMS, add_products_of_bytes, const, constant, read, splat, write

_BYTES, _WORDS = ir.VectorType(I8, 64), ir.VectorType(I16, 32)


def _copy(kind: Any) -> Any:
    """Return an intrinsic f(source, stride, out, centres, n) that packs one step of n images.

    `source` is the address of a vector of type `kind` of the first image, `stride` the bytes to the next image; each
    less its int64 centre goes to `out` and every 64 bytes on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        source, stride, out, centres, n = arguments

        with cgutils.for_range(builder, n) as image:
            pixels = read(builder, builder.add(source, builder.mul(image.index, stride)), kind)
            centre = read(builder, builder.add(centres, builder.mul(image.index, const(8))), I64)
            values = builder.sub(pixels, splat(builder, builder.trunc(centre, kind.element), kind))
            write(builder, values, builder.add(out, builder.mul(image.index, const(STEP))))
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def copy(typing: Any, source: Any, stride: Any, out: Any, centres: Any, n: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 5), generate

    return copy


_copy_bytes, _copy_words = _copy(_BYTES), _copy(_WORDS)


@kernel
def pack_compiled(pixels, rows, columns, starts, centres, first, last, packed):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write images 16 * group, ... less their centres into packed[group], for the groups first to last.

    8-bit pixels are packed as uint8, 16-bit ones as int16. `starts` counts 64 pixels a step. Absent images are zeros.
    """
    width = packed.shape[3]
    for group in range(first, last):
        images = min(16, pixels.shape[0] - 16 * group)
        for t in range(16):
            packed[group, (starts[t + 1] - 1) * (64 // width) : starts[t + 1] * (64 // width)] = 0
        packed[group, :, images:] = 0
        for r in range(4):
            for y in range(rows[r], rows[r + 1]):  # whole rows, in the order in which they lie in memory
                for c in range(4):
                    x = columns[c]
                    at = 64 * starts[4 * r + c] + (y - rows[r]) * (columns[c + 1] - x)
                    while x < columns[c + 1]:
                        step, lane = at // width, at % width
                        run = min(width - lane, columns[c + 1] - x)
                        if run == width:
                            source, stride = pixels[16 * group, y, x:].ctypes.data, pixels.strides[0]
                            out, centre = packed[group, step].ctypes.data, centres[16 * group :].ctypes.data
                            if width == 32:
                                _copy_words(source, stride, out, centre, images)
                            else:
                                _copy_bytes(source, stride, out, centre, images)
                        else:
                            for i in range(images):
                                part = pixels[16 * group + i, y, x : x + run]
                                target = packed[group, step, i, lane : lane + run]
                                for p in range(run):
                                    target[p] = np.int64(part[p]) - centres[16 * group + i]
                        x += run
                        at += run


def pack_numpy(
    pixels: Any, rows: Any, columns: Any, starts: Any, centres: Any, first: int, last: int, packed: Any
) -> None:
    """Like `pack_compiled`, without the compiler."""
    width, groups = packed.shape[3], last - first
    images = slice(16 * first, min(16 * last, len(pixels)))
    for t in range(16):
        r, c = divmod(t, 4)
        tile = pixels[images, rows[r] : rows[r + 1], columns[c] : columns[c + 1]].astype(np.int64)
        values = np.zeros((16 * groups, 64 * (starts[t + 1] - starts[t])), np.int64)
        values[: len(tile), : tile[0].size] = tile.reshape(len(tile), -1) - centres[images, None]
        steps = slice(64 // width * starts[t], 64 // width * starts[t + 1])
        packed[first:last, steps] = values.reshape(groups, 16, -1, width).swapaxes(1, 2)


@kernel
def sum_squares(pixels, factor, shift, out):  # type: ignore[no-untyped-def]
    """Sum the pixels (n, h, w) of squares of `factor` by `factor`, shifted right by so many bits, into out uint16."""
    width = out.shape[2] * factor
    sums, half = np.empty(width, np.uint32), np.empty(width, np.uint32)
    for i in range(out.shape[0]):
        for y in range(out.shape[1]):
            sums[:] = 0
            for dy in range(factor):
                row = pixels[i, factor * y + dy]
                for x in range(width):
                    sums[x] = np.uint32(sums[x] + np.uint32(row[x]))
            step = factor
            while step % 2 == 0:  # two by two, for which there are vector instructions
                step //= 2
                for x in range(out.shape[2] * step):
                    half[x] = np.uint32(sums[2 * x] + sums[2 * x + 1])
                sums, half = half, sums
            if step > 1:
                for x in range(out.shape[2]):
                    half[x] = 0
                    for dx in range(step):
                        half[x] = np.uint32(half[x] + sums[step * x + dx])
                sums, half = half, sums
            target = out[i, y]
            for x in range(target.shape[0]):
                target[x] = sums[x] >> np.uint32(shift)


@kernel
def moments_compiled(pixels, rows, columns, first, last, sums, squares, lowest, highest):  # type: ignore[no-untyped-def]
    """Sum the pixels and their squares in each of the 16 tiles of the images first to last, into (n, 16) int64.

    And find the lowest and the highest pixel of each image, into (n,) int64.
    """
    for i in range(first, last):
        sums[i] = 0
        squares[i] = 0
        low, high = pixels[i, 0, 0], pixels[i, 0, 0]
        for r in range(4):
            for y in range(rows[r], rows[r + 1]):  # whole rows, in the order in which they lie in memory
                for c in range(4):
                    part = pixels[i, y, columns[c] : columns[c + 1]]
                    total, square = np.int64(0), np.int64(0)
                    for p in range(part.shape[0]):
                        v = np.int64(part[p])
                        total += v
                        square += v * v
                    sums[i, 4 * r + c] += total
                    squares[i, 4 * r + c] += square
                row = pixels[i, y]
                for p in range(row.shape[0]):
                    low, high = min(low, row[p]), max(high, row[p])
        lowest[i], highest[i] = low, high


def moments_numpy(
    pixels: Any, rows: Any, columns: Any, first: int, last: int, sums: Any, squares: Any, lowest: Any, highest: Any
) -> None:
    """Like `moments_compiled`, without the compiler."""
    images = pixels[first:last].astype(np.int64)
    for t in range(16):
        r, c = divmod(t, 4)
        tile = images[:, rows[r] : rows[r + 1], columns[c] : columns[c + 1]]
        sums[first:last, t], squares[first:last, t] = tile.sum(axis=(1, 2)), (tile * tile).sum(axis=(1, 2))
    lowest[first:last], highest[first:last] = images.min(axis=(1, 2)), images.max(axis=(1, 2))


@intrinsic  # type: ignore[untyped-decorator]
def _moments_of_8(typing: Any, steps: Any, count: Any, sums: Any, squares: Any, stride: Any) -> Any:
    """Add the sums of eight packed images side by side, and of their squares, to int64, `stride` bytes apart.

    `steps` is the address of their bytes in the first of `count` steps; `sums` and `squares` are those of the first.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        steps, count, sums, squares, stride = arguments
        ones, half = constant(SUMS, 0x01010101), constant(SUMS, 0x80808080)
        totals = [[cgutils.alloca_once_value(builder, constant(SUMS, 0)) for _ in range(2)] for _ in range(8)]
        with cgutils.for_range(builder, count) as step:
            at = builder.add(steps, builder.mul(step.index, const(STEP * GROUP)))
            for image, both in enumerate(totals):
                x = read(builder, builder.add(at, const(STEP * image)), SUMS)
                for total, y in zip(both, (ones, builder.xor(x, half)), strict=True):  # x * x = x * (x - 128) + 128 * x
                    builder.store(add_products_of_bytes(builder, builder.load(total), x, y), total)
        for image, both in enumerate(totals):
            wide = [builder.sext(builder.load(total), ir.VectorType(I64, 16)) for total in both]
            total, rest = (call(builder, "llvm.vector.reduce.add.v16i64", [value], I64) for value in wide)
            for base, value in ((sums, total), (squares, builder.add(rest, builder.mul(total, const(128))))):
                place = builder.add(base, builder.mul(stride, const(image)))
                write(builder, builder.add(read(builder, place, I64), value), place)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@kernel
def byte_moments_compiled(packed, starts, first, last, sums, squares):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Add to (images, 16) int64 what `moments` sums, from the packed bytes of the groups first to last."""
    for group in range(first, last):
        for t in range(16):
            for start in range(starts[t], starts[t + 1], 16384):  # whose sums fit 32 bits
                steps = min(16384, starts[t + 1] - start)
                for image in range(0, 16, 8):
                    x = packed[group, start, image:].ctypes.data
                    y, z = sums[16 * group + image :, t:].ctypes.data, squares[16 * group + image :, t:].ctypes.data
                    _moments_of_8(x, steps, y, z, sums.strides[0])


def byte_moments_numpy(packed: Any, starts: Any, first: int, last: int, sums: Any, squares: Any) -> None:
    """Like `byte_moments_compiled`, without the compiler."""
    images = slice(16 * first, 16 * last)
    for t in range(16):
        tile = packed[first:last, starts[t] : starts[t + 1]].astype(np.int64)
        sums[images, t] += tile.sum(axis=(1, 3)).ravel()
        squares[images, t] += (tile * tile).sum(axis=(1, 3)).ravel()


@kernel
def transpose(a, less, out):  # type: ignore[no-untyped-def]
    """Transpose the 16 x 16 words of every step, as products take their second side, and flip their bits `less`."""
    for group in range(a.shape[0]):
        for step in range(a.shape[1]):
            for p in range(16):
                for q in range(16):
                    out[group, step, q, p] = a[group, step, p, q] ^ less


pack = chosen(pack_compiled, pack_numpy)
moments = chosen(moments_compiled, moments_numpy)
byte_moments = chosen(byte_moments_compiled, byte_moments_numpy)

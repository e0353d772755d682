# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Compiled sums of differences, and the metrics from all such sums. They check nothing and own the rows they write.

Images are compared 16 with 16 others, in the layout of `fingerprint._kernels.layout`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, cgutils, chosen, kernel
from fingerprint._kernels.layout import GROUP, STEP, rows_of
from fingerprint._kernels.llvm import (
    AVX2,
    AVX512,
    I8,
    I16,
    I32,
    I64,
    X86,
    add_products_of_words,
    const,
    constant,
    lanes,
    read,
    write,
)

CHUNK = 32  # steps after which 32-bit sums go to 64 bits; those of a register tile stay in the first-level cache

_BITS = 512 if AVX512 else 256 if AVX2 else 128  # of a vector register
_SHAPE = (4, 4) if AVX512 else (4, 2)  # of a register tile: with its lines it fills the registers
_BYTES, _WORDS, _SUMS, _LONG_SUMS = (ir.VectorType(kind, _BITS // kind.width) for kind in (I8, I16, I32, I64))


def _rows_of_totals(builder: Any, sums: Any, columns: int) -> Any:  # pragma: no cover
    """Yield the totals of the lanes of each sum, `columns` of them at a time, as vectors of int64."""
    count, element = sums[0].type.count, sums[0].type.element
    # halved as often as a sum has lanes, that many sums are one vector of totals
    for _ in range(count.bit_length() - 1):
        sums = [
            builder.add(*(builder.shuffle_vector(x, y, lanes(range(odd, 2 * count, 2))) for odd in (0, 1)))
            for x, y in zip(sums[::2], sums[1::2], strict=True)
        ]
    for totals in sums:
        for first in range(0, count, columns):
            row = builder.shuffle_vector(totals, totals, lanes(range(first, first + columns)))
            yield row if element == I64 else builder.sext(row, ir.VectorType(I64, columns))


def _tile(emit: Any, kind: Any, sums: Any) -> Any:
    """Return an intrinsic f(a, b, steps, c, stride) that adds the 16 x 16 sums of `steps` steps to int64 c.

    `a`, `b` and `c` are addresses, of groups of packed images and of c[0, 0]; `stride` is the bytes of a row of c.
    `emit(builder, sum, x, y)` adds vectors x and y of type `kind` to a sum of type `sums`; a register tile is `_SHAPE`
    such sums.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        a, b, steps, c, stride = arguments
        rows, columns = _SHAPE
        size = kind.count * kind.element.width // 8

        def line(base: Any, row: int, offset: Any) -> Any:
            return read(builder, builder.add(builder.add(base, const(STEP * row)), offset), kind)

        accumulators = [cgutils.alloca_once(builder, sums) for _ in range(rows * columns)]
        with (
            cgutils.for_range(builder, const(GROUP // rows)) as i,
            cgutils.for_range(builder, const(GROUP // columns)) as j,
        ):
            for accumulator in accumulators:
                builder.store(ir.Constant(sums, None), accumulator)
            left = builder.add(a, builder.mul(i.index, const(STEP * rows)))
            right = builder.add(b, builder.mul(j.index, const(STEP * columns)))
            with cgutils.for_range(builder, steps) as step:
                for part in range(0, STEP, size):
                    offset = builder.add(builder.mul(step.index, const(STEP * GROUP)), const(part))
                    ys = [line(right, column, offset) for column in range(columns)]
                    for row in range(rows):
                        x = line(left, row, offset)
                        for y, accumulator in zip(ys, accumulators[row * columns :], strict=False):
                            builder.store(emit(builder, builder.load(accumulator), x, y), accumulator)
            loaded = [builder.load(accumulator) for accumulator in accumulators]
            for n, row in enumerate(_rows_of_totals(builder, loaded, columns)):
                offset = builder.mul(builder.add(builder.mul(i.index, const(rows)), const(n)), stride)
                target = builder.add(builder.add(c, offset), builder.mul(j.index, const(8 * columns)))
                write(builder, builder.add(read(builder, target, row.type), row), target)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, b: Any, steps: Any, c: Any, stride: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 5), generate

    return tile


def _add_differences(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
    """Add eight absolute differences of 8-bit x and y to an int64 at a time."""
    if X86:
        family = {512: "avx512", 256: "avx2", 128: "sse2"}[_BITS]
        name = f"llvm.x86.{family}.psad.bw" + ".512" * (_BITS == 512)
        return builder.add(total, call(builder, name, [x, y], total.type))
    gap = builder.select(builder.icmp_unsigned(">", x, y), builder.sub(x, y), builder.sub(y, x))
    for bits in (8, 16, 32):  # halves of each number are added until it has 64 bits
        wide = ir.VectorType(ir.IntType(2 * bits), _BITS // (2 * bits))
        gap = builder.bitcast(gap, wide)
        gap = builder.add(builder.and_(gap, constant(wide, 2**bits - 1)), builder.lshr(gap, constant(wide, bits)))
    return builder.add(total, gap)


def _add_larger(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
    """Take the larger of signed 16-bit x and y and add two to an int32 at a time."""
    larger = builder.select(builder.icmp_signed(">", x, y), x, y)
    return add_products_of_words(builder, total, builder.bitcast(larger, total.type), constant(total.type, 0x10001))


_gaps = _tile(_add_differences, _BYTES, _LONG_SUMS)
_larger = _tile(_add_larger, _WORDS, _SUMS)


def gap_numpy(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Like `gap_compiled`, without the compiler."""
    others = rows_of(b, first, last, np.int64)
    for row, image in zip(c, rows_of(a, first, last, np.int64), strict=True):
        row += np.abs(image - others).sum(axis=1)


def larger_numpy(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Like `larger_compiled`, without the compiler."""
    others = rows_of(b, first, last, np.int64)
    for row, image in zip(c, rows_of(a, first, last, np.int64), strict=True):
        row += np.maximum(image, others).sum(axis=1)


@kernel
def gap_compiled(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Add to c the sums of the absolute differences of the bytes in the steps first to last."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _gaps(x, y, steps, z, c.strides[0])


@kernel
def larger_compiled(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Add to c the sums of the larger of two int16 numbers in the steps first to last."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _larger(x, y, steps, z, c.strides[0])


@kernel
def outer(a, b, d, e, out):  # type: ignore[no-untyped-def]
    """Put the sum of two outer products, of a with b and of d with e, into out, int64."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i] * b[j] + d[i] * e[j]


@kernel
def share(c, members, out):  # type: ignore[no-untyped-def]
    """Add c (n, m) to some of the matrices out (k, n, m)."""
    for i in range(c.shape[0]):
        for k in members:
            for j in range(c.shape[1]):
                out[k, i, j] += c[i, j]


@kernel
def fold(c, left, right, area, worst):  # type: ignore[no-untyped-def]
    """Take the dot products of one tile into the largest mean squared difference."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            worst[i, j] = max(worst[i, j], (left[i] + right[j] - 2 * c[i, j]) / area)


@kernel
def euclidean(c, left, right, area, out, first, last):  # type: ignore[no-untyped-def]
    """Root mean squared differences, from dot products c (left, right) and sums of squares.

    They are the columns first to last of out, which has a row for each image of the right side.
    """
    for j in range(out.shape[0]):
        for i in range(last - first):
            out[j, first + i] = np.sqrt((left[i] + right[j] - 2 * c[i, j]) / area)


@kernel
def correlation(c, left, right, area, out, first, last):  # type: ignore[no-untyped-def]
    """1 - Pearson, from dot products c (left, right) and, of each side, (4, n) int64, as `euclidean` writes it.

    These are the sum, the mean rounded down, the sum less `area` times that, and the sum of the squares about it.
    Pixels less their means keep every integer small enough for 64 bits, and for float64 as far as images go.
    """
    varied, found = np.empty(last - first), np.empty(last - first)
    for i in range(found.shape[0]):
        varied[i] = left[3, i] - left[2, i] * left[2, i] / area
    turned = np.empty((8, found.shape[0]), np.int64)  # columns of c, which vectors then read in order
    for start in range(0, out.shape[0], turned.shape[0]):
        count = min(turned.shape[0], out.shape[0] - start)
        for i in range(found.shape[0]):
            for j in range(count):
                turned[j, i] = c[i, start + j]
        for j in range(start, start + count):
            products, total, mean, rest = turned[j - start], right[0, j], right[1, j], right[2, j]
            y = right[3, j] - rest * rest / area
            for i in range(found.shape[0]):
                x = varied[i]
                about = products[i] - left[1, i] * total - mean * left[2, i]
                covariance = about - left[2, i] * rest / area
                distance = min(max(1 - covariance / np.sqrt(x * y if x * y > 0 else 1.0), 0.0), 2.0)
                found[i] = distance if x > 0 and y > 0 else 1.0 if x > 0 or y > 0 else 0.0
            for i in range(found.shape[0]):
                out[j, first + i] = found[i]


@kernel
def squared_gaps(a, b, out):  # type: ignore[no-untyped-def]
    """Squared L2 distances of the rows of a (n, d) to the columns of b (d, m); each sums its terms in their order."""
    out[:] = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                d = a[i, k] - b[k, j]
                out[i, j] += d * d


gap, larger = chosen(gap_compiled, gap_numpy), chosen(larger_compiled, larger_numpy)

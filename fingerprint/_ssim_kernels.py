# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled functions of the structural similarity. They check nothing, raise nothing, own the rows they write."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._compiler import call, kernel

_I16, _I32, _I64 = (ir.IntType(bits) for bits in (16, 32, 64))
_STEP = 64  # bytes of a vector
_H32, _W16 = ir.VectorType(_I16, 32), ir.VectorType(_I32, 16)


def _splat(kind: Any, value: int) -> Any:  # pragma: no cover
    return ir.Constant(kind, [value] * kind.count)


# The structural similarity of a window of 49 pixels, with s the sum over it, S the sum of the products and C the
# constants times 49 * 49 and 49 * 48, is
#     (s(a) s(b) + C1 / 2) (spread(a, b) + C2 / 2)
#     --------------------------------------------------------------------------  with spread(a, b) = 49 S - s(a) s(b).
#     (s(a)^2 + s(b)^2 + C1) / 2 * (spread(a, a) + spread(b, b) + C2) / 2
# The integers are exact in 32 bits for 8-bit pixels, in float64 for 16-bit ones. The two sums below are prepared for
# each image as halves, so that of equal images the factors above and below are the same floats, and the ratio is 1.
# Images are taken a few rows of windows at a time: what is prepared for 64 images stays in the second-level cache.


@kernel
def windows8(pixels, first, rows, constants, columns, sums, squares, spreads):  # type: ignore[no-untyped-def]
    """Prepare rows of windows of 8-bit images from row `first` on, which follows on the rows prepared last.

    `columns` (n, 2, w) int32 keeps the sums down six rows of the pixels and of their squares. `sums` int32, `squares`
    and `spreads` float32, (n, rows, at least w - 6), receive s, (s * s + C1 / 2) / 2 and (spread + C2 / 2) / 2.
    """
    n = pixels.shape[2] - 6
    half = np.float32(0.5)
    c1 = half * constants[0]
    c2 = half * constants[1]
    for i in range(pixels.shape[0]):
        x = columns[i, 0]
        y = columns[i, 1]
        if first == 0:
            columns[i] = 0
            for r in range(6):
                new = pixels[i, r]
                for c in range(new.shape[0]):
                    v = np.int32(new[c])
                    x[c] = np.int32(x[c] + v)
                    y[c] = np.int32(y[c] + np.int32(v * v))
        x1, x2, x3, x4, x5, x6 = x[1:], x[2:], x[3:], x[4:], x[5:], x[6:]
        y1, y2, y3, y4, y5, y6 = y[1:], y[2:], y[3:], y[4:], y[5:], y[6:]
        for k in range(rows):
            new = pixels[i, first + k + 6]
            old = pixels[i, first + k]
            total, square, spread = sums[i, k], squares[i, k], spreads[i, k]
            for c in range(new.shape[0]):
                v = np.int32(new[c])
                x[c] = np.int32(x[c] + v)
                y[c] = np.int32(y[c] + np.int32(v * v))
            for c in range(n):
                s = np.int32(np.int32(x[c] + x1[c]) + np.int32(x2[c] + x3[c]))
                total[c] = np.int32(s + np.int32(np.int32(x4[c] + x5[c]) + x6[c]))
            for c in range(n):
                s = np.int32(np.int32(y[c] + y1[c]) + np.int32(y2[c] + y3[c]))
                s = np.int32(s + np.int32(np.int32(y4[c] + y5[c]) + y6[c]))
                p = np.int32(total[c] * total[c])
                square[c] = half * (np.float32(p) + c1)
                spread[c] = half * (np.float32(np.int32(np.int32(49 * s) - p)) + c2)
            for c in range(old.shape[0]):
                v = np.int32(old[c])
                x[c] = np.int32(x[c] - v)
                y[c] = np.int32(y[c] - np.int32(v * v))


@kernel
def windows16(pixels, first, rows, constants, columns, sums, squares, spreads):  # type: ignore[no-untyped-def]
    """Like `windows8` for 16-bit images, with `columns` and `sums` in float64."""
    n = pixels.shape[2] - 6
    half = np.float32(0.5)
    c1 = half * constants[0]
    c2 = half * constants[1]
    for i in range(pixels.shape[0]):
        x = columns[i, 0]
        y = columns[i, 1]
        if first == 0:
            columns[i] = 0.0
            for r in range(6):
                new = pixels[i, r]
                for c in range(new.shape[0]):
                    v = np.float64(new[c])
                    x[c] += v
                    y[c] += v * v
        x1, x2, x3, x4, x5, x6 = x[1:], x[2:], x[3:], x[4:], x[5:], x[6:]
        y1, y2, y3, y4, y5, y6 = y[1:], y[2:], y[3:], y[4:], y[5:], y[6:]
        for k in range(rows):
            new = pixels[i, first + k + 6]
            old = pixels[i, first + k]
            total, square, spread = sums[i, k], squares[i, k], spreads[i, k]
            for c in range(new.shape[0]):
                v = np.float64(new[c])
                x[c] += v
                y[c] += v * v
            for c in range(n):
                total[c] = (x[c] + x1[c]) + (x2[c] + x3[c]) + ((x4[c] + x5[c]) + x6[c])
            for c in range(n):
                s = (y[c] + y1[c]) + (y2[c] + y3[c]) + ((y4[c] + y5[c]) + y6[c])
                p = total[c] * total[c]
                square[c] = half * (np.float32(p) + c1)
                spread[c] = half * (np.float32(49.0 * s - p) + c2)
            for c in range(old.shape[0]):
                v = np.float64(old[c])
                x[c] -= v
                y[c] -= v * v


@kernel
def quadruples(pixels, first, rows, flip, out):  # type: ignore[no-untyped-def]
    """Write pixels down the column as uint32, with the bits `flip` inverted, for up to four rows of windows.

    Out of each window's seven pixels, four go to out[:, k] and the other three to out[:, k + 4].
    """
    for i in range(pixels.shape[0]):
        for k in range(rows):
            for half in range(2):
                top = first + k + 4 * half
                p, q, r = pixels[i, top], pixels[i, top + 1], pixels[i, top + 2]
                t = pixels[i, top + 3 - half]
                keep = np.uint32(0xFFFFFFFF) if half == 0 else np.uint32(0x00FFFFFF)
                four = out[i, k + 4 * half]
                for c in range(p.shape[0]):
                    low = np.uint32(np.uint32(p[c]) | np.uint32(np.uint32(q[c]) << np.uint32(8)))
                    high = np.uint32(np.uint32(r[c]) | np.uint32(np.uint32(t[c]) << np.uint32(8)))
                    both = np.uint32(low | np.uint32(high << np.uint32(16)))
                    four[c] = np.uint32(np.uint32(both ^ flip) & keep)


@kernel
def lessen(sums, out):  # type: ignore[no-untyped-def]
    """Take 49 * 128 off the sums of windows, as `_row` takes them of its second side."""
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            for c in range(sums.shape[2]):
                out[i, k, c] = np.int32(sums[i, k, c] - 49 * 128)


@kernel
def similarity(lanes, count, out):  # type: ignore[no-untyped-def]
    """Add up the lanes of each pair in their order and divide by the number of windows."""
    for i in range(lanes.shape[0]):
        for j in range(lanes.shape[1]):
            total = 0.0
            for lane in range(16):
                total += lanes[i, j, lane]
            out[i, j] = total / count


@kernel
def ratios(p, q, left, right, tall, high, spread, c1, c2, row, lanes):  # type: ignore[no-untyped-def]
    """Add the similarities of a row of windows to the 16 lanes, in the order of the vector kernel.

    `p` are the products of the sums, `spread` as above; `row` (w - 6) and the first 16 of `q` are work space.
    """
    n = row.shape[0]
    for c in range(n):
        above = (np.float32(p[c]) + c1) * (np.float32(spread[c]) + c2)
        row[c] = above / ((left[c] + right[c]) * (tall[c] + high[c]))
    q[:] = 0
    whole = n - n % 16
    for start in range(0, whole, 16):
        part = row[start:]
        for lane in range(16):
            q[lane] += part[lane]
    part = row[whole:]
    for lane in range(n - whole):
        q[lane] += part[lane]
    for lane in range(16):
        lanes[lane] += np.float64(q[lane])


@kernel
def ssim8_portable(a, b, constants, left, right, work, lanes, out):  # type: ignore[no-untyped-def]
    """Mean structural similarity of every image of a and of b, 8-bit, into out (n_a, n_b).

    `left` and `right` hold the arrays that `windows8` fills for each side, and `quadruples` for the vector kernel;
    `work` (n_a, n_b, w) int32 the sums of the products down a window, `lanes` (n_a, n_b, 16) float64 the sums so far.
    """
    h, w = a.shape[1:]
    n = w - 6
    c1 = np.float32(0.5) * constants[0]
    c2 = np.float32(0.5) * constants[1]
    pairs, products, spread = np.empty(w, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    row, sixteen = np.empty(n, np.float32), np.empty(16, np.float32)
    lanes[:] = 0.0
    work[:] = 0
    rows = left[1].shape[1]
    for first in range(0, h - 6, rows):
        count = min(rows, h - 6 - first)
        windows8(a, first, count, constants, left[0], left[1], left[2], left[3])
        windows8(b, first, count, constants, right[0], right[1], right[2], right[3])
        for i in range(a.shape[0]):
            for j in range(b.shape[0]):
                column = work[i, j]
                if first == 0:
                    for r in range(6):
                        x, y = a[i, r], b[j, r]
                        for c in range(w):
                            column[c] = np.int32(column[c] + np.int32(np.int32(x[c]) * np.int32(y[c])))
                for k in range(count):
                    r = first + k
                    x, y = a[i, r + 6], b[j, r + 6]
                    if r == 0:
                        for c in range(w):
                            column[c] = np.int32(column[c] + np.int32(np.int32(x[c]) * np.int32(y[c])))
                    else:
                        u, v = a[i, r - 1], b[j, r - 1]
                        for c in range(w):
                            less = np.int32(np.int32(u[c]) * np.int32(v[c]))
                            more = np.int32(np.int32(x[c]) * np.int32(y[c]))
                            column[c] = np.int32(column[c] + np.int32(more - less))
                    for c in range(w - 1):
                        pairs[c] = np.int32(column[c] + column[c + 1])
                    third, fifth, last = pairs[2:], pairs[4:], column[6:]
                    s, t = left[1][i, k], right[1][j, k]
                    for c in range(n):
                        total = np.int32(np.int32(pairs[c] + third[c]) + np.int32(fifth[c] + last[c]))
                        products[c] = np.int32(s[c] * t[c])
                        spread[c] = np.int32(np.int32(49 * total) - products[c])
                    ratios(
                        products,
                        sixteen,
                        left[2][i, k],
                        right[2][j, k],
                        left[3][i, k],
                        right[3][j, k],
                        spread,
                        c1,
                        c2,
                        row,
                        lanes[i, j],
                    )
    similarity(lanes, n * (h - 6), out)


@kernel
def ssim16(a, b, constants, left, right, work, lanes, out):  # type: ignore[no-untyped-def]
    """Like `ssim8_portable` for 16-bit images, with `windows16` and `work` in float64."""
    h, w = a.shape[1:]
    n = w - 6
    c1 = np.float32(0.5) * constants[0]
    c2 = np.float32(0.5) * constants[1]
    pairs, products, spread = np.empty(w, np.float64), np.empty(n, np.float32), np.empty(n, np.float32)
    row, sixteen = np.empty(n, np.float32), np.empty(16, np.float32)
    lanes[:] = 0.0
    work[:] = 0.0
    rows = left[1].shape[1]
    for first in range(0, h - 6, rows):
        count = min(rows, h - 6 - first)
        windows16(a, first, count, constants, left[0], left[1], left[2], left[3])
        windows16(b, first, count, constants, right[0], right[1], right[2], right[3])
        for i in range(a.shape[0]):
            for j in range(b.shape[0]):
                column = work[i, j]
                if first == 0:
                    for r in range(6):
                        x, y = a[i, r], b[j, r]
                        for c in range(w):
                            column[c] += np.float64(x[c]) * np.float64(y[c])
                for k in range(count):
                    r = first + k
                    x, y = a[i, r + 6], b[j, r + 6]
                    if r == 0:
                        for c in range(w):
                            column[c] += np.float64(x[c]) * np.float64(y[c])
                    else:
                        u, v = a[i, r - 1], b[j, r - 1]
                        for c in range(w):
                            less = np.float64(u[c]) * np.float64(v[c])
                            column[c] += np.float64(x[c]) * np.float64(y[c]) - less
                    for c in range(w - 1):
                        pairs[c] = column[c] + column[c + 1]
                    third, fifth, last = pairs[2:], pairs[4:], column[6:]
                    s, t = left[1][i, k], right[1][j, k]
                    for c in range(n):
                        p = s[c] * t[c]
                        products[c] = p
                        spread[c] = 49.0 * ((pairs[c] + third[c]) + (fifth[c] + last[c])) - p
                    ratios(
                        products,
                        sixteen,
                        left[2][i, k],
                        right[2][j, k],
                        left[3][i, k],
                        right[3][j, k],
                        spread,
                        c1,
                        c2,
                        row,
                        lanes[i, j],
                    )
    similarity(lanes, n * (h - 6), out)


def _ssim_row() -> Any:
    """Return an intrinsic that adds the similarities of one row of windows of a pair, 16 at a time, to 16 lanes.

    f(quadruples, of b, bytes to the fourth row after, sums, of b, these lessened, squares, of b, spreads, of b,
    vectors, C1 / 2, C2 / 2, lanes), of addresses. Beyond the last window the spreads are infinite, and add nothing.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        x, y, below, p, q, less, left, right, tall, high, vectors, c1, c2, lanes = arguments
        floats, doubles = ir.VectorType(ir.FloatType(), 16), ir.VectorType(ir.DoubleType(), 16)

        def const(value: int) -> Any:
            return ir.Constant(_I64, value)

        def read(kind: Any, *terms: Any) -> Any:
            address = functools.reduce(builder.add, terms)
            value = builder.load(builder.inttoptr(address, kind.as_pointer()))
            value.align = 4
            return value

        def spread_out(value: Any) -> Any:
            nothing = ir.Constant(floats, ir.Undefined)
            first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
            return builder.shuffle_vector(first, nothing, ir.Constant(_W16, [0] * 16))

        def column(offset: Any) -> Any:
            """Add up a (b - 128) down seven pixels: four, and three."""
            total = ir.Constant(_W16, None)
            for place in ([offset], [below, offset]):
                pixels = read(_W16, x, *place), read(_W16, y, *place)
                total = call(builder, "llvm.x86.avx512.vpdpbusd.512", [total, *pixels], _W16)
            return total

        def shift(low: Any, up: Any, n: int) -> Any:
            return builder.shuffle_vector(low, up, ir.Constant(_W16, list(range(n, n + 16))))

        c1, c2 = spread_out(c1), spread_out(c2)
        here, after = column(const(0)), column(const(_STEP))
        here_at, after_at = cgutils.alloca_once_value(builder, here), cgutils.alloca_once_value(builder, after)
        pairs_at = cgutils.alloca_once_value(builder, builder.add(here, shift(here, after, 1)))
        total_at = cgutils.alloca_once_value(builder, ir.Constant(floats, None))
        with cgutils.for_range(builder, vectors) as loop:
            offset = builder.mul(loop.index, const(_STEP))
            here, after, pairs = builder.load(here_at), builder.load(after_at), builder.load(pairs_at)
            new = column(builder.add(offset, const(2 * _STEP)))
            later = builder.add(after, shift(after, new, 1))
            four = builder.add(pairs, shift(pairs, later, 2))
            seven = builder.add(four, builder.add(shift(pairs, later, 4), shift(here, after, 6)))
            sums, others = read(_W16, p, offset), read(_W16, q, offset)

            def multiply(v: Any, w: Any) -> Any:
                """Multiply numbers of 16 bits, the low _H32 of 32."""
                v, w = builder.bitcast(v, _H32), builder.bitcast(w, _H32)
                return call(builder, "llvm.x86.avx512.pmaddw.d.512", [v, w], _W16)

            product = multiply(sums, others)
            # 49 S - s(a) s(b), where S is short of 128 s(a)
            short = multiply(sums, read(_W16, less, offset))
            spread = builder.sub(builder.mul(seven, _splat(_W16, 49)), short)
            above = builder.fmul(
                builder.fadd(builder.sitofp(product, floats), c1), builder.fadd(builder.sitofp(spread, floats), c2)
            )
            below_it = builder.fmul(
                builder.fadd(read(floats, left, offset), read(floats, right, offset)),
                builder.fadd(read(floats, tall, offset), read(floats, high, offset)),
            )
            builder.store(builder.fadd(builder.load(total_at), builder.fdiv(above, below_it)), total_at)
            builder.store(after, here_at)
            builder.store(new, after_at)
            builder.store(later, pairs_at)
        target = builder.inttoptr(lanes, doubles.as_pointer())
        before = builder.load(target)
        before.align = 8
        builder.store(builder.fadd(before, builder.fpext(builder.load(total_at), doubles)), target).align = 8
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def row(  # pragma: no cover
        typing: Any,
        x: Any,
        y: Any,
        below: Any,
        p: Any,
        q: Any,
        less: Any,
        left: Any,
        right: Any,
        tall: Any,
        high: Any,
        vectors: Any,
        c1: Any,
        c2: Any,
        lanes: Any,
    ) -> Any:
        return types.void(*[types.int64] * 11, types.float32, types.float32, types.int64), generate

    return row


_row = _ssim_row()


@kernel
def ssim8_avx512(a, b, constants, left, right, work, lanes, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `ssim8_portable`, bit for bit; needs no `work`."""
    h, w = a.shape[1:]
    c1 = np.float32(0.5) * constants[0]
    c2 = np.float32(0.5) * constants[1]
    lanes[:] = 0.0
    rows = left[1].shape[1]
    vectors = left[1].shape[2] // 16 - 2
    below = 4 * left[4].strides[1]
    for first in range(0, h - 6, rows):
        count = min(rows, h - 6 - first)
        windows8(a, first, count, constants, left[0], left[1], left[2], left[3])
        windows8(b, first, count, constants, right[0], right[1], right[2], right[3])
        quadruples(a, first, count, np.uint32(0), left[4])
        quadruples(b, first, count, np.uint32(0x80808080), right[4])
        lessen(right[1], right[5])
        for i0 in range(0, a.shape[0], 4):
            for j0 in range(0, b.shape[0], 4):
                for k in range(count):
                    for i in range(i0, min(i0 + 4, a.shape[0])):
                        x, p = left[4][i, k].ctypes.data, left[1][i, k].ctypes.data
                        u, s = left[2][i, k].ctypes.data, left[3][i, k].ctypes.data
                        for j in range(j0, min(j0 + 4, b.shape[0])):
                            y, q = right[4][j, k].ctypes.data, right[1][j, k].ctypes.data
                            v, t = right[2][j, k].ctypes.data, right[3][j, k].ctypes.data
                            less = right[5][j, k].ctypes.data
                            z = lanes[i, j].ctypes.data
                            _row(x, y, below, p, q, less, u, v, s, t, vectors, c1, c2, z)
    similarity(lanes, (w - 6) * (h - 6), out)


# The fastest first; the plain one also runs interpreted.
KERNELS: dict[str, dict[str, Any]] = {"ssim8": {"avx512": ssim8_avx512, "portable": ssim8_portable}}

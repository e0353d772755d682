# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled dot products of images. They check nothing, raise nothing and own the rows they write.

Images are compared 16 with 16 others, in the layout of `_kernels.layout`, the second side transposed: the lanes of
a vector are 16 of its images, four bytes of each, and are multiplied by four bytes of one image of the first side. So
no sum is ever added up across a vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import cgutils, chosen, kernel, part
from fingerprint._kernels.layout import GROUP, STEP, rows_of
from fingerprint._kernels.llvm import (
    AVX512,
    I16,
    I32,
    SUMS,
    add_products_of_bytes,
    add_products_of_words,
    const,
    constant,
    prefetch,
    read,
    splat,
    write,
)

CHUNK = 32  # steps that are float64 at a time, for a BLAS
SHORT = 8  # steps of the groups in a register tile that stay in the first-level cache
WRAP = 1024  # steps whose sums of products of bytes fit 32 bits
# of both sides in a register tile, which with its lines fills all registers, and words of a step between two branches:
# 16 of a tile of 512 bits take twice as long to compile and as long to run
_IMAGES, _GROUPS, _UNROLLED = (8, 3, 2) if AVX512 else (4, 1, 16)


def _add_tile(
    builder: Any, emit: Any, x: Any, groups: list[Any], steps: Any, later: Any, out: list[list[Any]]
) -> None:  # pragma: no cover  (emits LLVM)
    """Add to the vectors at `out`, (`_IMAGES`, groups), the products of images from x on with groups in lanes.

    Of the groups, lines that lie `later` are asked for, one each a step.
    """
    sums = [[cgutils.alloca_once(builder, SUMS) for _ in groups] for _ in range(_IMAGES)]
    pairs = [pair for both in zip(sums, out, strict=True) for pair in zip(*both, strict=True)]
    for total, place in pairs:
        builder.store(read(builder, place, SUMS), total)
    with cgutils.for_range(builder, steps) as step:
        at = builder.mul(step.index, const(STEP * GROUP))
        image, lines_of = builder.add(x, at), [builder.add(group, at) for group in groups]
        ahead = builder.add(later, builder.mul(step.index, const(STEP)))
        for group in groups:
            prefetch(builder, builder.add(group, ahead))
        with cgutils.for_range(builder, const(STEP // 4 // _UNROLLED)) as part:
            for word in range(_UNROLLED):
                number = builder.add(builder.mul(part.index, const(_UNROLLED)), const(word))
                along, across = builder.mul(number, const(4)), builder.mul(number, const(STEP))
                lines = [read(builder, builder.add(group, across), SUMS) for group in lines_of]
                for n, totals in enumerate(sums):
                    four = read(builder, builder.add(image, builder.add(along, const(STEP * n))), I32)
                    for total, line in zip(totals, lines, strict=True):
                        builder.store(emit(builder, builder.load(total), splat(builder, four, SUMS), line), total)
    for total, place in pairs:
        write(builder, builder.load(total), place)


def _tiles(emit: Any) -> Any:
    """Return an intrinsic f(a, from_a, groups_a, b, from_b, groups_b, steps, c, stride): products of `steps` steps.

    `a` and `b` are addresses of groups, the next of which lies `from_a` or `from_b` bytes further on; those of b are
    transposed. The sums, int32, are added to those at `c`, a row for each image of a, `stride` bytes apart.
    `emit(builder, sum, x, y)` adds the products of four bytes in each lane of x and y.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        a, from_a, groups_a, b, from_b, groups_b, steps, c, stride = arguments
        tiles = const(GROUP // _IMAGES)  # of a group of a

        def multiply(first: Any, count: int, tile: Any) -> None:
            """Multiply the images of a tile by `count` groups from the `first` on."""
            group, part = builder.udiv(tile, tiles), builder.urem(tile, tiles)
            x = builder.add(builder.mul(group, from_a), builder.mul(part, const(STEP * _IMAGES)))
            groups = [builder.add(b, builder.mul(from_b, builder.add(first, const(n)))) for n in range(count)]
            corner = builder.add(
                builder.mul(tile, builder.mul(stride, const(_IMAGES))), builder.mul(first, const(STEP))
            )
            rows = [builder.add(builder.add(c, corner), builder.mul(stride, const(image))) for image in range(_IMAGES)]
            out = [[builder.add(row, const(STEP * n)) for n in range(count)] for row in rows]
            # every tile asks for its share of what the steps after these will take
            later = builder.mul(steps, builder.add(const(STEP * GROUP), builder.mul(tile, const(STEP))))
            _add_tile(builder, emit, builder.add(a, x), groups, steps, later, out)

        parts = builder.udiv(builder.add(groups_b, const(_GROUPS - 1)), const(_GROUPS))
        with cgutils.for_range(builder, parts) as part:
            first, last = (
                builder.udiv(builder.mul(builder.add(part.index, const(n)), groups_b), parts) for n in range(2)
            )
            for count in range(1, _GROUPS + 1):
                with (
                    builder.if_then(builder.icmp_signed("==", builder.sub(last, first), const(count))),
                    cgutils.for_range(builder, builder.mul(groups_a, tiles)) as tile,
                ):
                    multiply(first, count, tile.index)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tiles(
        typing: Any,
        a: Any,
        from_a: Any,
        groups_a: Any,
        b: Any,
        from_b: Any,
        groups_b: Any,
        steps: Any,
        c: Any,
        stride: Any,
    ) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 9), generate

    return tiles


def _add_products_with_low_bytes(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Multiply words x by the lowest 8 bits of words y."""
    return add_products_of_words(builder, total, x, builder.and_(y, constant(SUMS, 0xFF00FF)))


def _add_products_with_high_bytes(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Multiply words x by what the lowest 8 bits leave of words y."""
    words = ir.VectorType(I16, 32)
    high = builder.ashr(builder.bitcast(y, words), constant(words, 8))
    return add_products_of_words(builder, total, x, builder.bitcast(high, SUMS))


_bytes, _words = _tiles(add_products_of_bytes), _tiles(add_products_of_words)
_low, _high = _tiles(_add_products_with_low_bytes), _tiles(_add_products_with_high_bytes)


def dot_numpy(a: Any, b: Any, first: int, last: int, sums: Any, c: Any) -> None:
    """Like `dot_compiled`, without the compiler."""
    _multiply(a, b, first, last, c)


def dot16_numpy(a: Any, b: Any, first: int, last: int, fit: int, sums: Any, c: Any) -> None:
    """Like `dot16_compiled`, without the compiler."""
    _multiply(a, b, first, last, c)


def _multiply(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Add products by float64, which holds these integers exactly, in whatever order it adds; any BLAS will do."""
    groups, steps = b.shape[:2]
    words = b.view(np.uint32).reshape(groups, steps, 16, 16).swapaxes(2, 3)  # as they were before they were transposed
    other = np.ascontiguousarray(words).view(b.dtype)
    for start in range(first, last, CHUNK):
        x, y = (rows_of(side, start, min(start + CHUNK, last), np.float64) for side in (a, other))
        c += (x @ y.T).astype(np.int64)


@part
def _collect(sums, shift, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Add sums, int32, times 2**shift to c, int64, and set them to 0."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] += np.int64(sums[i, j]) << shift
            sums[i, j] = 0


@kernel
def dot_compiled(a, b, first, last, sums, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Add to c, (images of a, images of b) int64, the products of their bytes in the steps first to last.

    The bytes of a are unsigned, those of b signed and transposed; `sums` are zeros, int32, like c.
    """
    for begin in range(first, last, WRAP):
        end = min(begin + WRAP, last)
        for at in range(begin, end, SHORT):
            x, y = a[:, at], b[:, at]
            out = sums.ctypes.data, sums.strides[0]
            steps = min(SHORT, end - at)
            _bytes(x.ctypes.data, x.strides[0], x.shape[0], y.ctypes.data, y.strides[0], y.shape[0], steps, *out)
        _collect(sums, 0, c)


@kernel
def dot16_compiled(a, b, first, last, fit, sums, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Like `dot_compiled` of int16 numbers; sums of `fit` of their products fit 32 bits."""
    run = fit // 32  # steps
    whole = run > 1  # sums of one step would go to 64 bits so often that halves take no longer
    run = run if whole else SHORT  # products with half words, of so few steps, fit 32 bits
    out = sums.ctypes.data, sums.strides[0]
    for begin in range(first, last, run):
        end = min(begin + run, last)
        for half in range(1 if whole else 2):
            for at in range(begin, end, SHORT):
                x, y = a[:, at], b[:, at]
                sides = x.ctypes.data, x.strides[0], x.shape[0], y.ctypes.data, y.strides[0], y.shape[0]
                steps = min(SHORT, end - at)
                if whole:
                    _words(*sides, steps, *out)
                elif half == 0:
                    _low(*sides, steps, *out)
                else:
                    _high(*sides, steps, *out)
            _collect(sums, 8 * half, c)


dot, dot16 = chosen(dot_compiled, dot_numpy), chosen(dot16_compiled, dot16_numpy)

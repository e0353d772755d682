# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled dot products of images. They check nothing, raise nothing and own the rows they write.

Images are compared 16 with 16 others, in the layout of `_kernels.layout`, the second side transposed: the lanes of
a vector are 16 of its images, four bytes of each, and are multiplied by four bytes of one image of the first side. So
no sum is ever added up across a vector. The kernels called "vectors" are one text for all processors that have any
vector instructions: which of them LLVM is given is chosen here and in `fingerprint._kernels.llvm`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, kernel, runs
from fingerprint._kernels.layout import GROUP, STEP, rows_of
from fingerprint._kernels.llvm import (
    I8,
    I16,
    I32,
    SUMS,
    add_products_of_bytes,
    add_products_of_words,
    amx_begin,
    amx_end,
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
_IMAGES, _GROUPS = (8, 3) if runs("avx512") else (4, 1)  # of both sides in a register tile: with its lines it fills all


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
        for word in range(STEP // 4):
            lines = [read(builder, builder.add(group, const(STEP * word)), SUMS) for group in lines_of]
            for n, totals in enumerate(sums):
                four = read(builder, builder.add(image, const(STEP * n + 4 * word)), I32)
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


def _amx(rows: int, columns: int) -> Any:
    """Return an intrinsic f(a, b, block, steps, c, band): 16 * rows by 16 * columns sums in the tile registers.

    `a`, `b` are addresses of groups in the layout above, the words of b transposed, and `block` the bytes from one
    group to the next. `c` is the address of uint32 (groups of a, groups of b, 16, 16), to which the sums are added
    modulo 2**32, and `band` the bytes from one group of a to the next.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        a, b, block, steps, c, band = arguments

        def move(name: str, register: int, *terms: Any) -> None:
            address = functools.reduce(builder.add, terms)
            pointer = builder.inttoptr(address, I8.as_pointer())
            call(builder, name, [ir.Constant(I8, register), pointer, const(STEP)])

        corners = [
            (n, c, const(STEP * GROUP * (n % columns)), builder.mul(band, const(n // columns)))
            for n in range(rows * columns)
        ]
        for corner in corners:
            move("llvm.x86.tileloadd64", *corner)
        with cgutils.for_range(builder, steps) as step:
            offset = builder.mul(step.index, const(STEP * GROUP))
            for first, base, count in ((4, a, rows), (6, b, columns)):
                for n in range(count):
                    move("llvm.x86.tileloadd64", first + n, base, offset, builder.mul(block, const(n)))
            for n in range(rows * columns):
                registers = n, 4 + n // columns, 6 + n % columns
                call(builder, "llvm.x86.tdpbuud", [ir.Constant(I8, register) for register in registers])
        for corner in corners:
            move("llvm.x86.tilestored64", *corner)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, b: Any, block: Any, steps: Any, c: Any, band: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 6), generate

    return tile


_dot_amx11, _dot_amx12, _dot_amx21, _dot_amx22 = _amx(1, 1), _amx(1, 2), _amx(2, 1), _amx(2, 2)


def dot_numpy(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Add to c, (images of a, images of b) int64, the dot products of their numbers in the steps first to last.

    A float64 matrix product holds these integers exactly, whatever the order in which it adds; any BLAS will do.
    """
    for start in range(first, last, CHUNK):
        x, y = (rows_of(side, start, min(start + CHUNK, last), np.float64) for side in (a, b))
        c += (x @ y.T).astype(np.int64)


@kernel
def _collect(sums, shift, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Add sums, int32, times 2**shift to c, int64, and set them to 0."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] += np.int64(sums[i, j]) << shift
            sums[i, j] = 0


@kernel
def dot_vectors(a, b, first, last, sums, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Like `dot_numpy` of bytes of a, unsigned, and of b, signed and transposed; `sums` are zeros, int32, like c."""
    for begin in range(first, last, WRAP):
        end = min(begin + WRAP, last)
        for at in range(begin, end, SHORT):
            x, y = a[:, at], b[:, at]
            out = sums.ctypes.data, sums.strides[0]
            steps = min(SHORT, end - at)
            _bytes(x.ctypes.data, x.strides[0], x.shape[0], y.ctypes.data, y.strides[0], y.shape[0], steps, *out)
        _collect(sums, 0, c)


@kernel
def dot16_vectors(a, b, first, last, fit, sums, c):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Like `dot_vectors` of int16 numbers; sums of `fit` of their products fit 32 bits."""
    run = fit // 32  # steps
    out = sums.ctypes.data, sums.strides[0]
    if run > 1:  # sums of one step would go to 64 bits so often that halves take no longer
        for begin in range(first, last, run):
            end = min(begin + run, last)
            for at in range(begin, end, SHORT):
                x, y = a[:, at], b[:, at]
                steps = min(SHORT, end - at)
                _words(x.ctypes.data, x.strides[0], x.shape[0], y.ctypes.data, y.strides[0], y.shape[0], steps, *out)
            _collect(sums, 0, c)
        return
    for at in range(first, last, SHORT):  # products with half words, of so few steps, fit 32 bits
        x, y = a[:, at], b[:, at]
        steps = min(SHORT, last - at)
        _low(x.ctypes.data, x.strides[0], x.shape[0], y.ctypes.data, y.strides[0], y.shape[0], steps, *out)
        _collect(sums, 0, c)
        _high(x.ctypes.data, x.strides[0], x.shape[0], y.ctypes.data, y.strides[0], y.shape[0], steps, *out)
        _collect(sums, 8, c)


@kernel
def dot_amx(a, b, first, last, layout, work, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_numpy`, with b transposed; `layout` shapes the tile registers and `work` is the c of `_amx`."""
    amx_begin(layout.ctypes.data)
    block, band = a.strides[0], work.strides[0]
    for begin in range(first, last, WRAP):
        end = min(begin + WRAP, last)
        work[:] = 0
        for start in range(begin, end, SHORT):
            steps = min(SHORT, end - start)
            for i in range(0, a.shape[0], 2):
                x = a[i, start].ctypes.data
                for j in range(0, b.shape[0], 2):
                    y, z = b[j, start].ctypes.data, work[i, j].ctypes.data
                    if i + 1 < a.shape[0]:
                        if j + 1 < b.shape[0]:
                            _dot_amx22(x, y, block, steps, z, band)
                        else:
                            _dot_amx21(x, y, block, steps, z, band)
                    elif j + 1 < b.shape[0]:
                        _dot_amx12(x, y, block, steps, z, band)
                    else:
                        _dot_amx11(x, y, block, steps, z, band)
        for i in range(a.shape[0]):
            for j in range(b.shape[0]):
                for p in range(16):
                    for q in range(16):
                        c[16 * i + p, 16 * j + q] += np.int64(work[i, j, p, q])
    amx_end()


# The fastest first.
KERNELS: dict[str, dict[str, Any]] = {
    "dot": {"amx": dot_amx, "vectors": dot_vectors, "numpy": dot_numpy},
    "dot16": {"vectors": dot16_vectors, "numpy": dot_numpy},
}

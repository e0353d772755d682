# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Every compiled function of the package. They check nothing, raise nothing and own the rows they write.

Images are compared in the layout that `pack` writes: the pixels of an image tile after tile, each tile padded with
zeros to whole steps of 64 bytes, and 16 images interleaved step by step: (groups, steps, 16, 64) bytes. A register
tile then reads whole cache lines in order, on either side of a product.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = 16  # images interleaved
STEP = 64  # bytes a step
CHUNK = 64  # steps after which 32-bit sums go to 64 bits, and whose lines stay in the second-level cache
SHORT = 8  # steps of two groups that stay in the first-level cache
WRAP = 1024  # steps whose sums of 8-bit products stay below 2**32


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL and with a cache; where no folder for the cache can be written, without one."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


# --- Dot products, sums of absolute differences and sums of maxima of 16 x 16 images ---------------------------------


def _call(builder: Any, name: str, arguments: list[Any], result: Any = None) -> Any:  # pragma: no cover
    """Emit a call of an LLVM intrinsic."""
    kind = ir.FunctionType(result or ir.VoidType(), [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_NUMBERS = {1: _I8, 2: _I16, 4: _I32, 8: _I64}


def _vector(bits: int, size: int) -> Any:
    return ir.VectorType(_NUMBERS[size], bits // 8 // size)


# Runs while numba compiles, never under the interpreter
def _tile(emit: Any, bits: int, rows: int, columns: int, load: int, total: int, piece: int, span: int = GROUP) -> Any:
    """Return an intrinsic f(a, b, steps, c, stride) that adds the 16 x 16 sums of `steps` steps to int64 c.

    `a`, `b` and `c` are addresses, of groups in the layout above and of c[0, 0]; `stride` is the bytes of a row of c.
    `emit(builder, sum, x, y)` adds one vector of x and one of y to a sum. A register tile is `rows` by `columns` sums.
    With a `span` of 1 the intrinsic adds the sum of one image of a and one of b alone.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        a, b, steps, c, stride = arguments
        kind, sums = _vector(bits, load), _vector(bits, total)

        def const(value: int) -> Any:
            return ir.Constant(_I64, value)

        def read(base: Any, row: int, offset: Any) -> Any:
            address = builder.add(builder.add(base, const(STEP * row)), offset)
            value = builder.load(builder.inttoptr(address, kind.as_pointer()))
            value.align = 1  # an unpickled array may lie anywhere
            return value

        accumulators = [cgutils.alloca_once(builder, sums) for _ in range(rows * columns)]
        with (
            cgutils.for_range(builder, const(span // rows)) as i,
            cgutils.for_range(builder, const(span // columns)) as j,
        ):
            for accumulator in accumulators:
                builder.store(ir.Constant(sums, None), accumulator)
            left = builder.add(a, builder.mul(i.index, const(STEP * rows)))
            right = builder.add(b, builder.mul(j.index, const(STEP * columns)))
            with cgutils.for_range(builder, steps) as step:
                for part in range(0, STEP, piece):
                    offset = builder.add(builder.mul(step.index, const(STEP * GROUP)), const(part))
                    ys = [read(right, column, offset) for column in range(columns)]
                    for row in range(rows):
                        x = read(left, row, offset)
                        for y, accumulator in zip(ys, accumulators[row * columns :], strict=False):
                            builder.store(emit(builder, builder.load(accumulator), x, y), accumulator)
            for n, accumulator in enumerate(accumulators):
                value = _call(
                    builder,
                    f"llvm.vector.reduce.add.v{sums.count}i{8 * total}",
                    [builder.load(accumulator)],
                    sums.element,
                )
                row = builder.add(builder.mul(i.index, const(rows)), const(n // columns))
                column = builder.add(builder.mul(j.index, const(columns)), const(n % columns))
                address = builder.add(builder.add(c, builder.mul(row, stride)), builder.mul(column, const(8)))
                target = builder.inttoptr(address, _I64.as_pointer())
                value = value if total == 8 else builder.sext(value, _I64)
                builder.store(builder.add(builder.load(target), value), target)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, b: Any, steps: Any, c: Any, stride: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 5), generate

    return tile


def _splat(kind: Any, value: int) -> Any:  # pragma: no cover
    return ir.Constant(kind, [value] * kind.count)


def _vnni(bits: int) -> Any:
    """Multiply 8-bit a by 8-bit b less 128 and add four products to an int32 at a time."""

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        recentred = builder.xor(y, _splat(y.type, -0x7F7F7F80))
        return _call(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", [total, x, recentred], total.type)

    return emit


def _madd(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
    """Multiply 8-bit a by 8-bit b in 16 bits and add two products to an int32 at a time."""
    wide = _vector(256, 2)
    products = _call(builder, "llvm.x86.avx2.pmadd.wd", [builder.zext(x, wide), builder.zext(y, wide)], total.type)
    return builder.add(total, products)


def _sad(name: str) -> Any:
    """Add eight absolute differences of 8-bit a and b to an int64 at a time."""

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        return builder.add(total, _call(builder, name, [x, y], total.type))

    return emit


def _larger(name: str) -> Any:
    """Take the larger of signed 16-bit a and b, add two to an int32 at a time."""

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        larger = builder.select(builder.icmp_signed(">", x, y), x, y)
        return builder.add(total, _call(builder, name, [larger, _splat(larger.type, 1)], total.type))

    return emit


def _amx(rows: int, columns: int) -> Any:
    """Return an intrinsic f(a, b, block, steps, c, band): 16 * rows by 16 * columns sums in the tile registers.

    `a`, `b` are addresses of groups in the layout above, the words of b transposed, and `block` the bytes from one
    group to the next. `c` is the address of uint32 (groups of a, groups of b, 16, 16), to which the sums are added
    modulo 2**32, and `band` the bytes from one group of a to the next.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        a, b, block, steps, c, band = arguments

        def const(value: int) -> Any:
            return ir.Constant(_I64, value)

        def move(name: str, register: int, *terms: Any) -> None:
            address = functools.reduce(builder.add, terms)
            pointer = builder.inttoptr(address, _I8.as_pointer())
            _call(builder, name, [ir.Constant(_I8, register), pointer, const(STEP)])

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
                _call(builder, "llvm.x86.tdpbuud", [ir.Constant(_I8, register) for register in registers])
        for corner in corners:
            move("llvm.x86.tilestored64", *corner)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, b: Any, block: Any, steps: Any, c: Any, band: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 6), generate

    return tile


@intrinsic  # type: ignore[untyped-decorator]
def _amx_begin(typing: Any, layout: Any) -> Any:  # pragma: no cover
    """Shape the tile registers as the 64 bytes at the address `layout` say."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _call(builder, "llvm.x86.ldtilecfg", [builder.inttoptr(arguments[0], _I8.as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _amx_end(typing: Any) -> Any:  # pragma: no cover
    """Give the tile registers back."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _call(builder, "llvm.x86.tilerelease", [])
        return context.get_dummy_value()

    return types.void(), generate


_dot_amx11, _dot_amx12, _dot_amx21, _dot_amx22 = _amx(1, 1), _amx(1, 2), _amx(2, 1), _amx(2, 2)
_dot_avx512 = _tile(_vnni(512), 512, 4, 4, 4, 4, 64)
_dot_avxvnni = _tile(_vnni(256), 256, 4, 2, 4, 4, 32)
_dot_avx2 = _tile(_madd, 128, 4, 2, 1, 4, 16)
_gap_avx512 = _tile(_sad("llvm.x86.avx512.psad.bw.512"), 512, 4, 4, 1, 8, 64)
_gap_avx2 = _tile(_sad("llvm.x86.avx2.psad.bw"), 256, 4, 2, 1, 8, 32)
_larger_avx512 = _tile(_larger("llvm.x86.avx512.pmaddw.d.512"), 512, 4, 4, 2, 4, 64)
_larger_avx2 = _tile(_larger("llvm.x86.avx2.pmadd.wd"), 256, 4, 2, 2, 4, 32)

_line_avx512 = _tile(_vnni(512), 512, 1, 1, 4, 4, 64, 1)
_line_avx2 = _tile(_madd, 128, 1, 1, 1, 4, 16, 1)
_sum_avx512 = _tile(_sad("llvm.x86.avx512.psad.bw.512"), 512, 1, 1, 1, 8, 64, 1)
_sum_avx2 = _tile(_sad("llvm.x86.avx2.psad.bw"), 256, 1, 1, 1, 8, 32, 1)


@kernel
def pack(pixels, rows, columns, flip, mask, group, planes):  # type: ignore[no-untyped-def]
    """Write images 16 * group, ... into planes[:, group], in the layout above.

    A plane holds the bits `mask` of the pixels with their bits `flip` inverted; the second plane those 8 bits up. The
    64-byte steps are shaped (16, 64) for bytes and (16, 32) for 16-bit numbers. An absent image and the padding are as
    pixels of 0.
    """
    width = planes.shape[4]
    images = min(16, pixels.shape[0] - 16 * group)
    step = 0
    for r in range(4):
        for c in range(4):
            lane = 0
            for y in range(rows[r], rows[r + 1]):
                x = columns[c]
                while x < columns[c + 1]:
                    run = min(width - lane, columns[c + 1] - x)
                    for i in range(images):
                        source = pixels[16 * group + i, y, x : x + run]
                        for plane in range(planes.shape[0]):
                            target = planes[plane, group, step, i, lane : lane + run]
                            if run == 64:  # of fixed length, a loop compiles to vector moves
                                for p in range(64):
                                    target[p] = ((source[p] ^ flip) >> (8 * plane)) & mask
                            elif run == 32:
                                for p in range(32):
                                    target[p] = ((source[p] ^ flip) >> (8 * plane)) & mask
                            else:
                                for p in range(run):
                                    target[p] = ((source[p] ^ flip) >> (8 * plane)) & mask
                    x += run
                    lane += run
                    if lane == width:
                        lane = 0
                        step += 1
            if lane:
                planes[:, group, step, :, lane:] = flip
                step += 1
    planes[:, group, :, images:, :] = flip


@kernel
def totals(pixels, out):  # type: ignore[no-untyped-def]
    """Sum each image, (n, h, w) to (n,) int64."""
    for i in range(pixels.shape[0]):
        total = np.int64(0)
        for y in range(pixels.shape[1]):
            for x in range(0, pixels.shape[2], 32768):
                part = pixels[i, y, x : x + 32768]
                row = np.int32(0)  # holds the sum of 32,768 numbers of 16 bits
                for p in range(part.shape[0]):
                    row = np.int32(row + np.int32(part[p]))
                total += row
        out[i] = total


@kernel
def moments_portable(planes, zeros, starts, group, sums, products):  # type: ignore[no-untyped-def]
    """Sum each of the 16 tiles of the images of a group, and the products of their planes.

    Into `sums` (planes, images, 16) and, for each plane and those after it, `products` (planes, planes, images, 16),
    int64. `zeros` is a chunk of steps of zeros.
    """
    for i in range(16):
        for t in range(16):
            for p in range(planes.shape[0]):
                for q in range(p, planes.shape[0]):
                    total = np.int64(0)
                    product = np.int64(0)
                    for step in range(starts[t], starts[t + 1]):
                        x = np.int32(0)
                        y = np.int32(0)
                        for n in range(64):
                            v = np.int32(planes[p, group, step, i, n])
                            x = np.int32(x + v)
                            y = np.int32(y + np.int32(v * np.int32(planes[q, group, step, i, n])))
                        total += x
                        product += y
                    sums[p, 16 * group + i, t] = total
                    products[p, q, 16 * group + i, t] = product


@kernel
def moments_avx2(planes, zeros, starts, group, sums, products):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `moments_portable`."""
    for i in range(16):
        image = 16 * group + i
        for t in range(16):
            sums[:, image, t] = 0
            products[:, :, image, t] = 0
            for start in range(starts[t], starts[t + 1], CHUNK):
                steps = min(CHUNK, starts[t + 1] - start)
                for p in range(planes.shape[0]):
                    x = planes[p, group, start, i].ctypes.data
                    _sum_avx2(x, zeros.ctypes.data, steps, sums[p, image, t:].ctypes.data, 0)
                    for q in range(p, planes.shape[0]):
                        y = planes[q, group, start, i].ctypes.data
                        _line_avx2(x, y, steps, products[p, q, image, t:].ctypes.data, 0)


@kernel
def moments_avx512(planes, zeros, starts, group, sums, products):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `moments_portable`."""
    for i in range(16):
        image = 16 * group + i
        for t in range(16):
            sums[:, image, t] = 0
            products[:, :, image, t] = 0
            for start in range(starts[t], starts[t + 1], CHUNK):
                steps = min(CHUNK, starts[t + 1] - start)
                for p in range(planes.shape[0]):
                    x = planes[p, group, start, i].ctypes.data
                    _sum_avx512(x, zeros.ctypes.data, steps, sums[p, image, t:].ctypes.data, 0)
                    for q in range(p, planes.shape[0]):
                        y = planes[q, group, start, i].ctypes.data
                        _line_avx512(x, y, steps, products[p, q, image, t:].ctypes.data, 0)
            for p in range(planes.shape[0]):
                for q in range(p, planes.shape[0]):
                    products[p, q, image, t] += 128 * sums[p, image, t]  # `_vnni` took 128 off


@kernel
def transpose(a, out):  # type: ignore[no-untyped-def]
    """Transpose the 16 x 16 words of 32 bits of every step, as `dot_amx` takes its second side."""
    for group in range(a.shape[0]):
        for step in range(a.shape[1]):
            for p in range(16):
                for q in range(16):
                    out[group, step, q, p] = a[group, step, p, q]


@kernel
def dot_portable(a, b, first, last, c):  # type: ignore[no-untyped-def]
    """Add to c, (images of a, images of b) int64, the dot products of their bytes in the steps first to last."""
    for j in range(b.shape[0]):
        for i in range(a.shape[0]):
            for p in range(16):
                for q in range(16):
                    total = np.int64(0)
                    for step in range(first, last):
                        x = np.int32(0)
                        for n in range(64):
                            x = np.int32(x + np.int32(np.int32(a[i, step, p, n]) * np.int32(b[j, step, q, n])))
                        total += x
                    c[16 * i + p, 16 * j + q] += total


@kernel
def gap_portable(a, b, first, last, c):  # type: ignore[no-untyped-def]
    """Add to c the sums of the absolute differences of the bytes in the steps first to last."""
    for j in range(b.shape[0]):
        for i in range(a.shape[0]):
            for p in range(16):
                for q in range(16):
                    total = np.int64(0)
                    for step in range(first, last):
                        x = np.int32(0)
                        for n in range(64):
                            d = np.int32(np.int32(a[i, step, p, n]) - np.int32(b[j, step, q, n]))
                            x = np.int32(x + (d if d >= 0 else np.int32(-d)))
                        total += x
                    c[16 * i + p, 16 * j + q] += total


@kernel
def larger_portable(a, b, first, last, c):  # type: ignore[no-untyped-def]
    """Add to c the sums of the larger of two int16 numbers in the steps first to last."""
    for j in range(b.shape[0]):
        for i in range(a.shape[0]):
            for p in range(16):
                for q in range(16):
                    total = np.int64(0)
                    for step in range(first, last):
                        x = np.int32(0)
                        for n in range(32):
                            x = np.int32(x + np.int32(max(a[i, step, p, n], b[j, step, q, n])))
                        total += x
                    c[16 * i + p, 16 * j + q] += total


@kernel
def dot_avx512(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_portable`, with 128 taken off the bytes of b."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _dot_avx512(x, y, steps, z, c.strides[0])


@kernel
def dot_avxvnni(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_portable`, with 128 taken off the bytes of b."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _dot_avxvnni(x, y, steps, z, c.strides[0])


@kernel
def dot_avx2(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_portable`."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _dot_avx2(x, y, steps, z, c.strides[0])


@kernel
def gap_avx512(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `gap_portable`."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _gap_avx512(x, y, steps, z, c.strides[0])


@kernel
def gap_avx2(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `gap_portable`."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _gap_avx2(x, y, steps, z, c.strides[0])


@kernel
def larger_avx512(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `larger_portable`."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _larger_avx512(x, y, steps, z, c.strides[0])


@kernel
def larger_avx2(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `larger_portable`."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _larger_avx2(x, y, steps, z, c.strides[0])


@kernel
def dot_amx(a, b, first, last, layout, work, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_portable`, with b transposed; `layout` shapes the tile registers and `work` is the c of `_amx`."""
    _amx_begin(layout.ctypes.data)
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
    _amx_end()


@kernel
def fold(c, left, right, area, worst, total):  # type: ignore[no-untyped-def]
    """Take the dot products of one tile into the largest mean squared difference and the sum over the tiles."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            worst[i, j] = max(worst[i, j], (left[i] + right[j] - 2 * c[i, j]) / area)
            total[i, j] += c[i, j]


@kernel
def squared_gaps(a, b, out):  # type: ignore[no-untyped-def]
    """Squared L2 distances of the rows of a (n, d) to the columns of b (d, m); each sums its terms in their order."""
    out[:] = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                d = a[i, k] - b[k, j]
                out[i, j] += d * d


# --- Structural similarity --------------------------------------------------------------------------------------------


@kernel
def windows8(image, constant, sums, spreads):  # type: ignore[no-untyped-def]
    """Fill in the sums s of the 7x7 windows, int32, and 49 * sum of squares - s * s + constant, float32."""
    h, w = image.shape
    n = w - 6
    x = np.zeros(w, np.int32)
    y = np.zeros(w, np.int32)
    for r in range(h):
        new = image[r]
        for c in range(w):
            x[c] = np.int32(x[c] + np.int32(new[c]))
            y[c] = np.int32(y[c] + np.int32(np.int32(new[c]) * np.int32(new[c])))
        if r > 6:
            old = image[r - 7]
            for c in range(w):
                x[c] = np.int32(x[c] - np.int32(old[c]))
                y[c] = np.int32(y[c] - np.int32(np.int32(old[c]) * np.int32(old[c])))
        if r > 5:
            for c in range(n):
                s = np.int32(0)
                q = np.int32(0)
                for k in range(7):
                    s = np.int32(s + x[c + k])
                    q = np.int32(q + y[c + k])
                sums[r - 6, c] = s
                spreads[r - 6, c] = np.float32(np.int32(np.int32(49 * q) - np.int32(s * s))) + constant


@kernel
def windows16(image, constant, sums, spreads):  # type: ignore[no-untyped-def]
    """Like `windows8` for 16-bit pixels, in float64, which holds these integers exactly."""
    h, w = image.shape
    n = w - 6
    x = np.zeros(w, np.float64)
    y = np.zeros(w, np.float64)
    for r in range(h):
        new = image[r]
        for c in range(w):
            v = np.float64(new[c])
            x[c] += v
            y[c] += v * v
        if r > 6:
            old = image[r - 7]
            for c in range(w):
                v = np.float64(old[c])
                x[c] -= v
                y[c] -= v * v
        if r > 5:
            for c in range(n):
                s = 0.0
                q = 0.0
                for k in range(7):
                    s += x[c + k]
                    q += y[c + k]
                sums[r - 6, c] = s
                spreads[r - 6, c] = 49.0 * q - s * s + constant


@kernel
def ssim8(a, b, p, q, u, v, constants, columns, ratios, out):  # type: ignore[no-untyped-def]
    """Mean structural similarity of every image of a and of b, 8-bit, into out (n_a, n_b).

    `p`, `q` are the sums of `windows8`, `u`, `v` its spreads with half the second of `constants`; (2,) float32.
    `columns` (n_a, n_b, w) int32 and `ratios` (n_a, n_b, w - 6) float64 are work space.

    With s the sum over a window of 49 pixels, S that of the products, and C the constants times 49 * 49 and 49 * 48:
    (2 s(a) s(b) + C1) (2 (49 S - s(a) s(b)) + C2) / ((s(a)^2 + s(b)^2 + C1) (spread(a) + spread(b) + C2)).
    All the integers are exact in 32 bits. Of equal images both factors are the same floats above and below.
    """
    h, w = a.shape[1:]
    n = w - 6
    half1 = np.float32(0.5) * constants[0]
    half2 = np.float32(0.5) * constants[1]
    pairs = np.empty(w, np.int32)
    columns[:] = 0
    ratios[:] = 0.0
    for r in range(h):
        for i in range(a.shape[0]):
            for j in range(b.shape[0]):
                column = columns[i, j]
                x = a[i, r]
                y = b[j, r]
                if r < 7:
                    for c in range(w):
                        column[c] = np.int32(column[c] + np.int32(np.int32(x[c]) * np.int32(y[c])))
                else:
                    old = a[i, r - 7]
                    past = b[j, r - 7]
                    for c in range(w):
                        new = np.int32(np.int32(x[c]) * np.int32(y[c]))
                        column[c] = np.int32(column[c] + np.int32(new - np.int32(np.int32(old[c]) * np.int32(past[c]))))
                if r < 6:
                    continue
                for c in range(w - 1):
                    pairs[c] = np.int32(column[c] + column[c + 1])
                third, fifth, last = pairs[2:], pairs[4:], column[6:]
                sa, sb, ua, vb, ratio = p[i, r - 6], q[j, r - 6], u[i, r - 6], v[j, r - 6], ratios[i, j]
                for c in range(n):
                    s = np.int32(np.int32(pairs[c] + third[c]) + np.int32(fifth[c] + last[c]))
                    ab = np.int32(sa[c] * sb[c])
                    left = np.float32(sa[c])
                    right = np.float32(sb[c])
                    mean = np.float32(ab) + half1
                    spread = np.float32(np.int32(np.int32(49 * s) - ab)) + half2
                    above = (mean + mean) * (spread + spread)
                    below = ((left * left + half1) + (right * right + half1)) * (ua[c] + vb[c])
                    ratio[c] += np.float64(above / below)
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = 0.0
            for c in range(n):
                total += ratios[i, j, c]
            out[i, j] = total / (n * (h - 6))


@kernel
def ssim16(a, b, p, q, u, v, constants, columns, ratios, out):  # type: ignore[no-untyped-def]
    """Like `ssim8` for 16-bit pixels, in float64, which holds the integers exactly."""
    h, w = a.shape[1:]
    n = w - 6
    half1 = 0.5 * constants[0]
    half2 = 0.5 * constants[1]
    pairs = np.empty(w, np.float64)
    columns[:] = 0.0
    ratios[:] = 0.0
    for r in range(h):
        for i in range(a.shape[0]):
            for j in range(b.shape[0]):
                column = columns[i, j]
                x = a[i, r]
                y = b[j, r]
                if r < 7:
                    for c in range(w):
                        column[c] += np.float64(x[c]) * np.float64(y[c])
                else:
                    old = a[i, r - 7]
                    past = b[j, r - 7]
                    for c in range(w):
                        new = np.float64(x[c]) * np.float64(y[c])
                        column[c] += new - np.float64(old[c]) * np.float64(past[c])
                if r < 6:
                    continue
                for c in range(w - 1):
                    pairs[c] = column[c] + column[c + 1]
                third, fifth, last = pairs[2:], pairs[4:], column[6:]
                sa, sb, ua, vb, ratio = p[i, r - 6], q[j, r - 6], u[i, r - 6], v[j, r - 6], ratios[i, j]
                for c in range(n):
                    s = (pairs[c] + third[c]) + (fifth[c] + last[c])
                    ab = sa[c] * sb[c]
                    mean = ab + half1
                    spread = (49.0 * s - ab) + half2
                    above = (mean + mean) * (spread + spread)
                    below = ((sa[c] * sa[c] + half1) + (sb[c] * sb[c] + half1)) * (ua[c] + vb[c])
                    ratio[c] += above / below
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = 0.0
            for c in range(n):
                total += ratios[i, j, c]
            out[i, j] = total / (n * (h - 6))


# --- Which of them this machine runs ----------------------------------------------------------------------------------

KERNELS: dict[str, dict[str, Any]] = {
    "dot": {"amx": dot_amx, "avx512": dot_avx512, "avxvnni": dot_avxvnni, "avx2": dot_avx2, "portable": dot_portable},
    "moments": {"avx512": moments_avx512, "avx2": moments_avx2, "portable": moments_portable},
    "gap": {"avx512": gap_avx512, "avx2": gap_avx2, "portable": gap_portable},
    "larger": {"avx512": larger_avx512, "avx2": larger_avx2, "portable": larger_portable},
}
_NEEDS = {
    "amx": {"amx-tile", "amx-int8"},
    "avx512": {"avx512f", "avx512bw", "avx512vnni"},
    "avxvnni": {"avx2", "avxvnni"},
    "avx2": {"avx2"},
    "portable": set(),
}


def available(operation: str) -> list[str]:
    """Return the names of the kernels for an operation that run here, the fastest first; the last is ``portable``."""
    features = _features()
    return [name for name in KERNELS[operation] if features >= _NEEDS[name] and (name != "amx" or _permits_amx())]


@functools.cache
def _features() -> frozenset[str]:
    """Return what numba compiles for: the features of this processor, or those that the user restricts it to."""
    if numba.config.DISABLE_JIT:
        return frozenset()
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return frozenset(name[1:] for name in features if name.startswith("+"))


@functools.cache
def _permits_amx() -> bool:
    """Ask Linux for the tile registers, which a process may use only after it has asked; children inherit the leave."""
    if sys.platform != "linux":
        return False
    arch_prctl, request, tile_data = 158, 0x1023, 18
    return int(ctypes.CDLL(None).syscall(arch_prctl, request, tile_data)) == 0

# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled functions of the integer metrics. They check nothing, raise nothing and own the rows they write.

Images are compared in the layout that `pack` writes: the pixels of an image tile after tile, each tile padded with
zeros to whole steps of 64 bytes, and 16 images interleaved step by step: (groups, steps, 16, 64) bytes. A register
tile then reads whole cache lines in order, on either side of a product.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._compiler import call, kernel
from fingerprint._instructions import amx_begin, amx_end

GROUP = 16  # images interleaved
STEP = 64  # bytes a step
CHUNK = 64  # steps after which 32-bit sums go to 64 bits, and whose lines stay in the second-level cache
SHORT = 8  # steps of two groups that stay in the first-level cache
WRAP = 1024  # steps whose sums of 8-bit products stay below 2**32

# --- Dot products, sums of absolute differences and sums of maxima of 16 x 16 images ---------------------------------


_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_B16, _B32, _B64 = (ir.VectorType(_I8, n) for n in (16, 32, 64))
_H16, _H32 = (ir.VectorType(_I16, n) for n in (16, 32))
_W8, _W16 = (ir.VectorType(_I32, n) for n in (8, 16))
_D4, _D8 = (ir.VectorType(_I64, n) for n in (4, 8))


def _tile(emit: Any, kind: Any, sums: Any, rows: int, columns: int, span: int = GROUP) -> Any:
    """Return an intrinsic f(a, b, steps, c, stride) that adds the 16 x 16 sums of `steps` steps to int64 c.

    `a`, `b` and `c` are addresses, of groups in the layout above and of c[0, 0]; `stride` is the bytes of a row of c.
    `emit(builder, sum, x, y)` adds vectors x and y of type `kind` to a sum of type `sums`; a register tile is `rows` by
    `columns` such sums.
    With a `span` of 1 the intrinsic adds the sum of one image of a and one of b alone.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        a, b, steps, c, stride = arguments
        size = kind.count * kind.element.width // 8

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
                for part in range(0, STEP, size):
                    offset = builder.add(builder.mul(step.index, const(STEP * GROUP)), const(part))
                    ys = [read(right, column, offset) for column in range(columns)]
                    for row in range(rows):
                        x = read(left, row, offset)
                        for y, accumulator in zip(ys, accumulators[row * columns :], strict=False):
                            builder.store(emit(builder, builder.load(accumulator), x, y), accumulator)
            for n, accumulator in enumerate(accumulators):
                value = call(
                    builder,
                    f"llvm.vector.reduce.add.v{sums.count}i{sums.element.width}",
                    [builder.load(accumulator)],
                    sums.element,
                )
                row = builder.add(builder.mul(i.index, const(rows)), const(n // columns))
                column = builder.add(builder.mul(j.index, const(columns)), const(n % columns))
                address = builder.add(builder.add(c, builder.mul(row, stride)), builder.mul(column, const(8)))
                target = builder.inttoptr(address, _I64.as_pointer())
                value = value if sums.element == _I64 else builder.sext(value, _I64)
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
        return call(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", [total, x, recentred], total.type)

    return emit


def _madd(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
    """Multiply 8-bit a by 8-bit b in 16 bits and add two products to an int32 at a time."""
    products = call(builder, "llvm.x86.avx2.pmadd.wd", [builder.zext(x, _H16), builder.zext(y, _H16)], total.type)
    return builder.add(total, products)


def _sad(name: str) -> Any:
    """Add eight absolute differences of 8-bit a and b to an int64 at a time."""

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        return builder.add(total, call(builder, name, [x, y], total.type))

    return emit


def _larger(name: str) -> Any:
    """Take the larger of signed 16-bit a and b, add two to an int32 at a time."""

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        larger = builder.select(builder.icmp_signed(">", x, y), x, y)
        return builder.add(total, call(builder, name, [larger, _splat(larger.type, 1)], total.type))

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
            call(builder, name, [ir.Constant(_I8, register), pointer, const(STEP)])

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
                call(builder, "llvm.x86.tdpbuud", [ir.Constant(_I8, register) for register in registers])
        for corner in corners:
            move("llvm.x86.tilestored64", *corner)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, b: Any, block: Any, steps: Any, c: Any, band: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 6), generate

    return tile


_dot_amx11, _dot_amx12, _dot_amx21, _dot_amx22 = _amx(1, 1), _amx(1, 2), _amx(2, 1), _amx(2, 2)
_dot_avx512 = _tile(_vnni(512), _W16, _W16, 4, 4)
_dot_avxvnni = _tile(_vnni(256), _W8, _W8, 4, 2)
_dot_avx2 = _tile(_madd, _B16, _W8, 4, 2)
_gap_avx512 = _tile(_sad("llvm.x86.avx512.psad.bw.512"), _B64, _D8, 4, 4)
_gap_avx2 = _tile(_sad("llvm.x86.avx2.psad.bw"), _B32, _D4, 4, 2)
_larger_avx512 = _tile(_larger("llvm.x86.avx512.pmaddw.d.512"), _H32, _W16, 4, 4)
_larger_avx2 = _tile(_larger("llvm.x86.avx2.pmadd.wd"), _H16, _W8, 4, 2)
_line_avx512 = _tile(_vnni(512), _W16, _W16, 1, 1, 1)
_line_avx2 = _tile(_madd, _B16, _W8, 1, 1, 1)
_sum_avx512 = _tile(_sad("llvm.x86.avx512.psad.bw.512"), _B64, _D8, 1, 1, 1)
_sum_avx2 = _tile(_sad("llvm.x86.avx2.psad.bw"), _B32, _D4, 1, 1, 1)


@kernel
def pack(pixels, rows, columns, flip, first, last, planes):  # type: ignore[no-untyped-def]
    """Write images 16 * group, ... into planes[:, group], in the layout above, for the groups first to last.

    The first plane holds the pixels with their bits `flip` inverted, as many bits as fit; a second the bits above the
    lowest 8. The 64-byte steps are shaped (16, 64) for bytes and (16, 32) for 16-bit numbers. An absent image and the
    padding are as pixels of 0.
    """
    width = planes.shape[4]
    for group in range(first, last):
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
                                    if plane == 0:
                                        for p in range(64):
                                            target[p] = source[p] ^ flip
                                    else:
                                        for p in range(64):
                                            target[p] = source[p] >> 8
                                elif run == 32:
                                    if plane == 0:
                                        for p in range(32):
                                            target[p] = source[p] ^ flip
                                    else:
                                        for p in range(32):
                                            target[p] = source[p] >> 8
                                else:
                                    if plane == 0:
                                        for p in range(run):
                                            target[p] = source[p] ^ flip
                                    else:
                                        for p in range(run):
                                            target[p] = source[p] >> 8
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
def moments_portable(planes, zeros, starts, first, last, sums, products):  # type: ignore[no-untyped-def]
    """Sum each of the 16 tiles of the images of the groups first to last, and the products of their planes.

    Into `sums` (planes, images, 16) and, for each plane and those after it, `products` (planes, planes, images, 16),
    int64. `zeros` is a chunk of steps of zeros.
    """
    for image in range(16 * first, 16 * last):
        group, i = image // 16, image % 16
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
                    sums[p, image, t] = total
                    products[p, q, image, t] = product


@kernel
def moments_avx2(planes, zeros, starts, first, last, sums, products):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `moments_portable`."""
    for image in range(16 * first, 16 * last):
        group, i = image // 16, image % 16
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
def moments_avx512(planes, zeros, starts, first, last, sums, products):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `moments_portable`."""
    for image in range(16 * first, 16 * last):
        group, i = image // 16, image % 16
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


def _rows(side: Any, first: int, last: int, kind: type) -> Any:
    """Return the numbers of each image in the steps first to last, as rows of another type."""
    return side[:, first:last].swapaxes(1, 2).reshape(16 * len(side), (last - first) * side.shape[3]).astype(kind)


def dot_numpy(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Add to c, (images of a, images of b) int64, the dot products of their bytes in the steps first to last.

    A float64 matrix product holds these integers exactly, whatever the order in which it adds; any BLAS will do.
    """
    for start in range(first, last, CHUNK):
        x, y = (_rows(side, start, min(start + CHUNK, last), np.float64) for side in (a, b))
        c += (x @ y.T).astype(np.int64)


def gap_numpy(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Like `gap_portable`, without the compiler."""
    others = _rows(b, first, last, np.int64)
    for row, image in zip(c, _rows(a, first, last, np.int64), strict=True):
        row += np.abs(image - others).sum(axis=1)


def larger_numpy(a: Any, b: Any, first: int, last: int, c: Any) -> None:
    """Like `larger_portable`, without the compiler."""
    others = _rows(b, first, last, np.int64)
    for row, image in zip(c, _rows(a, first, last, np.int64), strict=True):
        row += np.maximum(image, others).sum(axis=1)


def moments_numpy(planes: Any, zeros: Any, starts: Any, first: int, last: int, sums: Any, products: Any) -> None:
    """Like `moments_portable`, without the compiler."""
    images = slice(16 * first, 16 * last)
    for t in range(16):
        values = [_rows(plane[first:last], starts[t], starts[t + 1], np.int64) for plane in planes]
        for p, plane in enumerate(values):
            sums[p, images, t] = plane.sum(axis=1)
            for q in range(p, len(values)):
                products[p, q, images, t] = (plane * values[q]).sum(axis=1)


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
    """Like `dot_numpy`, with 128 taken off the bytes of b."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _dot_avx512(x, y, steps, z, c.strides[0])


@kernel
def dot_avxvnni(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_numpy`, with 128 taken off the bytes of b."""
    for start in range(first, last, CHUNK):
        steps = min(CHUNK, last - start)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                x, y, z = a[i, start].ctypes.data, b[j, start].ctypes.data, c[16 * i :, 16 * j :].ctypes.data
                _dot_avxvnni(x, y, steps, z, c.strides[0])


@kernel
def dot_avx2(a, b, first, last, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `dot_numpy`."""
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


@kernel
def fold(c, left, right, area, worst, total):  # type: ignore[no-untyped-def]
    """Take the dot products of one tile into the largest mean squared difference and the sum over the tiles."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            worst[i, j] = max(worst[i, j], (left[i] + right[j] - 2 * c[i, j]) / area)
            total[i, j] += c[i, j]


@kernel
def euclidean(c, left, right, area, out):  # type: ignore[no-untyped-def]
    """Root mean squared differences out (n_right, n_left) from dot products c (left, right) and sums of squares."""
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] = np.sqrt((left[i] + right[j] - 2 * c[i, j]) / area)


@kernel
def correlation(c, left, right, area, out):  # type: ignore[no-untyped-def]
    """1 - Pearson out (n_right, n_left) from dot products c (left, right) and, of each side, (4, n) int64.

    These are the sum, the mean rounded down, the sum less `area` times that, and the sum of the squares about it.
    Pixels less their means keep every integer small enough for 64 bits, and for float64 as far as images go.
    """
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            about = c[i, j] - left[1, i] * right[0, j] - right[1, j] * left[2, i]
            covariance = about - left[2, i] * right[2, j] / area
            x = left[3, i] - left[2, i] * left[2, i] / area
            y = right[3, j] - right[2, j] * right[2, j] / area
            if x > 0 and y > 0:
                out[j, i] = min(max(1 - covariance / np.sqrt(x * y), 0.0), 2.0)
            else:
                out[j, i] = 1.0 if x > 0 or y > 0 else 0.0


@kernel
def squared_gaps(a, b, out):  # type: ignore[no-untyped-def]
    """Squared L2 distances of the rows of a (n, d) to the columns of b (d, m); each sums its terms in their order."""
    out[:] = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                d = a[i, k] - b[k, j]
                out[i, j] += d * d


# The fastest first.
KERNELS: dict[str, dict[str, Any]] = {
    "dot": {"amx": dot_amx, "avx512": dot_avx512, "avxvnni": dot_avxvnni, "avx2": dot_avx2, "numpy": dot_numpy},
    "moments": {"avx512": moments_avx512, "avx2": moments_avx2, "portable": moments_portable, "numpy": moments_numpy},
    "gap": {"avx512": gap_avx512, "avx2": gap_avx2, "portable": gap_portable, "numpy": gap_numpy},
    "larger": {"avx512": larger_avx512, "avx2": larger_avx2, "portable": larger_portable, "numpy": larger_numpy},
}

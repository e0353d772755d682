# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled functions of the integer metrics. They check nothing, raise nothing and own the rows they write.

Images are compared in the layout that `pack` writes: the pixels of an image tile after tile, each tile padded with
zeros to a multiple of 64, and 16 images interleaved in steps of 64 bytes: (groups, steps, 16, 64) bytes, or
(groups, steps, 16, 32) words of 16 bits. A register tile then reads whole cache lines in order, on either side of a
product.
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
CHUNK = 32  # steps after which 32-bit sums go to 64 bits; those of a register tile stay in the first-level cache
SHORT = 8  # steps of two groups that stay in the first-level cache
SPLIT = 4  # of fewer steps than this between two additions in 64 bits, products of half words take less time
WRAP = 1024  # steps whose sums of 8-bit products stay below 2**32

# --- Dot products, sums of absolute differences and sums of maxima of 16 x 16 images ---------------------------------


_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_B16, _B32, _B64 = (ir.VectorType(_I8, n) for n in (16, 32, 64))
_H16, _H32, _H64 = (ir.VectorType(_I16, n) for n in (16, 32, 64))
_W8, _W16 = (ir.VectorType(_I32, n) for n in (8, 16))
_D4, _D8 = (ir.VectorType(_I64, n) for n in (4, 8))


def _lanes(numbers: Any) -> Any:  # pragma: no cover
    return ir.Constant(ir.VectorType(_I32, len(numbers)), list(numbers))


def _rows_of_totals(builder: Any, sums: Any, columns: int) -> Any:  # pragma: no cover
    """Yield the totals of the lanes of each sum, `columns` of them at a time, as vectors of int64."""
    count, element = sums[0].type.count, sums[0].type.element
    # halved as often as a sum has lanes, that many sums are one vector of totals
    for _ in range(count.bit_length() - 1):
        sums = [
            builder.add(*(builder.shuffle_vector(x, y, _lanes(range(odd, 2 * count, 2))) for odd in (0, 1)))
            for x, y in zip(sums[::2], sums[1::2], strict=True)
        ]
    for totals in sums:
        for first in range(0, count, columns):
            row = builder.shuffle_vector(totals, totals, _lanes(range(first, first + columns)))
            yield row if element == _I64 else builder.sext(row, ir.VectorType(_I64, columns))


def _widened(builder: Any, value: Any) -> Any:  # pragma: no cover
    """Return half as many int64 lanes of the same total."""
    count = value.type.count // 2
    halves = [builder.shuffle_vector(value, value, _lanes(range(at, at + count))) for at in (0, count)]
    return builder.add(*(builder.sext(half, ir.VectorType(_I64, count)) for half in halves))


def _tile(emit: Any, kind: Any, sums: Any, rows: int, columns: int, shift: int | None = None) -> Any:
    """Return an intrinsic f(a, b, steps, c, stride) that adds the 16 x 16 sums of `steps` steps to int64 c.

    `a`, `b` and `c` are addresses, of groups in the layout above and of c[0, 0]; `stride` is the bytes of a row of c.
    `emit(builder, sum, x, y)` adds vectors x and y of type `kind` to a sum of type `sums`; a register tile is `rows` by
    `columns` such sums. With a `shift` a sum alone must fit 32 bits, not their total, which counts 2**shift times.
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
                    ys = [read(right, column, offset) for column in range(columns)]
                    for row in range(rows):
                        x = read(left, row, offset)
                        for y, accumulator in zip(ys, accumulators[row * columns :], strict=False):
                            builder.store(emit(builder, builder.load(accumulator), x, y), accumulator)
            loaded = [builder.load(accumulator) for accumulator in accumulators]
            if shift is not None:
                loaded = [_widened(builder, value) for value in loaded]
            for n, row in enumerate(_rows_of_totals(builder, loaded, columns)):
                offset = builder.mul(builder.add(builder.mul(i.index, const(rows)), const(n)), stride)
                address = builder.add(builder.add(c, offset), builder.mul(j.index, const(8 * columns)))
                target = builder.inttoptr(address, row.type.as_pointer())
                present = builder.load(target)
                present.align = 8
                row = builder.shl(row, _splat(row.type, shift or 0))
                builder.store(builder.add(present, row), target).align = 8
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
    add = _pairs(name)

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        larger = builder.select(builder.icmp_signed(">", x, y), x, y)
        return add(builder, total, larger, _splat(larger.type, 1))

    return emit


def _pairs(name: str, part: Any = lambda _, x: x) -> Any:
    """Multiply a part of signed 16-bit a by signed 16-bit b and add two products to an int32 at a time."""

    def emit(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover
        x = part(builder, x)
        if "vpdp" in name:
            words = total.type  # LLVM takes the 16-bit numbers of this instruction as vectors of 32 bits
            return call(builder, name, [total, builder.bitcast(x, words), builder.bitcast(y, words)], words)
        return builder.add(total, call(builder, name, [x, y], total.type))

    return emit


def _low(builder: Any, x: Any) -> Any:  # pragma: no cover
    """Return the lowest 8 bits."""
    return builder.and_(x, _splat(x.type, 255))


def _high(builder: Any, x: Any) -> Any:  # pragma: no cover
    """Return what the lowest 8 bits leave, signed."""
    return builder.ashr(x, _splat(x.type, 8))


def _copy(kind: Any, target: Any, shift: int = 0) -> Any:
    """Return an intrinsic f(source, stride, out, centres, n) that packs one step of n images.

    `source` is the address of a vector of type `kind` of the first image, `stride` the bytes to the next image; each
    less its int64 centre, shifted down by `shift` bits and cut to type `target`, goes to `out` and every 64 bytes on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        source, stride, out, centres, n = arguments

        def at(base: Any, index: Any, step: Any, kind: Any) -> Any:
            return builder.inttoptr(builder.add(base, builder.mul(index, step)), kind.as_pointer())

        with cgutils.for_range(builder, n) as image:
            pixels = builder.load(at(source, image.index, stride, kind))
            pixels.align = 1
            centre = builder.load(at(centres, image.index, ir.Constant(_I64, 8), _I64))
            none = ir.Constant(kind, ir.Undefined)
            first = builder.insert_element(none, builder.trunc(centre, kind.element), ir.Constant(_I32, 0))
            values = builder.sub(pixels, builder.shuffle_vector(first, none, _lanes([0] * kind.count)))
            values = builder.lshr(values, _splat(kind, shift))
            values = values if kind == target else builder.trunc(values, target)
            builder.store(values, at(out, image.index, ir.Constant(_I64, STEP), target)).align = 1
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def copy(typing: Any, source: Any, stride: Any, out: Any, centres: Any, n: Any) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 5), generate

    return copy


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
_dot16_avx512 = _tile(_pairs("llvm.x86.avx512.vpdpwssd.512"), _H32, _W16, 4, 4, 0)
_low_avx512 = _tile(_pairs("llvm.x86.avx512.vpdpwssd.512", _low), _H32, _W16, 4, 4, 0)
_high_avx512 = _tile(_pairs("llvm.x86.avx512.vpdpwssd.512", _high), _H32, _W16, 4, 4, 8)
_dot16_avx2 = _tile(_pairs("llvm.x86.avx2.pmadd.wd"), _H16, _W8, 4, 2, 0)
_low_avx2 = _tile(_pairs("llvm.x86.avx2.pmadd.wd", _low), _H16, _W8, 4, 2, 0)
_high_avx2 = _tile(_pairs("llvm.x86.avx2.pmadd.wd", _high), _H16, _W8, 4, 2, 8)
_larger_avx512 = _tile(_larger("llvm.x86.avx512.vpdpwssd.512"), _H32, _W16, 4, 4)
_larger_avx2 = _tile(_larger("llvm.x86.avx2.pmadd.wd"), _H16, _W8, 4, 2)
_copy_bytes, _copy_words = _copy(_B64, _B64), _copy(_H32, _H32)
_copy_low, _copy_high = _copy(_H64, _B64), _copy(_H64, _B64, 8)


@kernel
def pack(pixels, rows, columns, starts, centres, first, last, planes):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write images 16 * group, ... into planes[:, group], in the layout above, for the groups first to last.

    `planes` takes the pixels less the centres of their images, as int16 or uint8; or two planes of uint8 take the low
    and the high bytes of 16-bit pixels, with centres of 0. `starts` counts 64 pixels a step. Absent images are zeros.
    """
    width = planes.shape[4]
    for group in range(first, last):
        images = min(16, pixels.shape[0] - 16 * group)
        for t in range(16):
            planes[:, group, (starts[t + 1] - 1) * (64 // width) : starts[t + 1] * (64 // width)] = 0
        planes[:, group, :, images:] = 0
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
                            out, centre = planes[0, group, step].ctypes.data, centres[16 * group :].ctypes.data
                            if width == 32:
                                _copy_words(source, stride, out, centre, images)
                            elif planes.shape[0] == 1:
                                _copy_bytes(source, stride, out, centre, images)
                            else:
                                _copy_low(source, stride, out, centre, images)
                                _copy_high(source, stride, planes[1, group, step].ctypes.data, centre, images)
                        else:
                            for i in range(images):
                                part = pixels[16 * group + i, y, x : x + run]
                                for plane in range(planes.shape[0]):
                                    target = planes[plane, group, step, i, lane : lane + run]
                                    for p in range(run):
                                        target[p] = (np.int64(part[p]) - centres[16 * group + i]) >> 8 * plane
                        x += run
                        at += run


def pack_numpy(
    pixels: Any, rows: Any, columns: Any, starts: Any, centres: Any, first: int, last: int, planes: Any
) -> None:
    """Like `pack`, without the compiler."""
    width, groups = planes.shape[4], last - first
    images = slice(16 * first, min(16 * last, len(pixels)))
    for t in range(16):
        r, c = divmod(t, 4)
        tile = pixels[images, rows[r] : rows[r + 1], columns[c] : columns[c + 1]].astype(np.int64)
        values = np.zeros((16 * groups, 64 * (starts[t + 1] - starts[t])), np.int64)
        values[: len(tile), : tile[0].size] = tile.reshape(len(tile), -1) - centres[images, None]
        steps = slice(64 // width * starts[t], 64 // width * starts[t + 1])
        for plane, target in enumerate(planes[:, first:last, steps]):
            target[:] = (values >> 8 * plane).reshape(groups, 16, -1, width).swapaxes(1, 2)


@kernel
def moments(pixels, rows, columns, first, last, sums, squares, lowest, highest):  # type: ignore[no-untyped-def]
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
    """Like `moments`, without the compiler."""
    images = pixels[first:last].astype(np.int64)
    for t in range(16):
        r, c = divmod(t, 4)
        tile = images[:, rows[r] : rows[r + 1], columns[c] : columns[c + 1]]
        sums[first:last, t], squares[first:last, t] = tile.sum(axis=(1, 2)), (tile * tile).sum(axis=(1, 2))
    lowest[first:last], highest[first:last] = images.min(axis=(1, 2)), images.max(axis=(1, 2))


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
    """Add to c, (images of a, images of b) int64, the dot products of their numbers in the steps first to last.

    A float64 matrix product holds these integers exactly, whatever the order in which it adds; any BLAS will do.
    """
    for start in range(first, last, CHUNK):
        x, y = (_rows(side, start, min(start + CHUNK, last), np.float64) for side in (a, b))
        c += (x @ y.T).astype(np.int64)


def dot16_numpy(a: Any, b: Any, first: int, last: int, fit: int, c: Any) -> None:
    """Like `dot_numpy` of int16 numbers: float64 holds their sums too, whatever `fit`."""
    dot_numpy(a, b, first, last, c)


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
def dot16_avx512(a, b, first, last, fit, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to c the dot products of the int16 numbers in the steps first to last; sums of `fit` fit 32 bits."""
    run = fit // 2  # a step adds 2 products to each lane
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                z = c[16 * i :, 16 * j :].ctypes.data
                if run < SPLIT:  # half words in turn: their products fit 32 bits for longer than a chunk
                    x, y = a[i, start].ctypes.data, b[j, start].ctypes.data
                    _low_avx512(x, y, end - start, z, c.strides[0])
                    _high_avx512(x, y, end - start, z, c.strides[0])
                else:
                    for at in range(start, end, run):
                        x, y = a[i, at].ctypes.data, b[j, at].ctypes.data
                        _dot16_avx512(x, y, min(run, end - at), z, c.strides[0])


@kernel
def dot16_avx2(a, b, first, last, fit, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to c the dot products of the int16 numbers in the steps first to last; sums of `fit` fit 32 bits."""
    run = fit // 4  # a step adds 4 products to each lane
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        for j in range(b.shape[0]):
            for i in range(a.shape[0]):
                z = c[16 * i :, 16 * j :].ctypes.data
                if run < SPLIT:  # half words in turn: their products fit 32 bits for longer than a chunk
                    x, y = a[i, start].ctypes.data, b[j, start].ctypes.data
                    _low_avx2(x, y, end - start, z, c.strides[0])
                    _high_avx2(x, y, end - start, z, c.strides[0])
                else:
                    for at in range(start, end, run):
                        x, y = a[i, at].ctypes.data, b[j, at].ctypes.data
                        _dot16_avx2(x, y, min(run, end - at), z, c.strides[0])


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
    "dot16": {"avx512": dot16_avx512, "avx2": dot16_avx2, "numpy": dot16_numpy},
    "pack": {"portable": pack, "numpy": pack_numpy},
    "moments": {"portable": moments, "numpy": moments_numpy},
    "gap": {"avx512": gap_avx512, "avx2": gap_avx2, "portable": gap_portable, "numpy": gap_numpy},
    "larger": {"avx512": larger_avx512, "avx2": larger_avx2, "portable": larger_portable, "numpy": larger_numpy},
}

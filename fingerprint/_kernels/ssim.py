# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The compiled functions of the structural similarity. They check nothing, raise nothing, own the rows they write.

With s the sum over a window of 49 pixels, S the sum of the products, spread(a, b) = 49 S - s(a) s(b), and C1 and C2 the
constants of the definition times 49 * 49 and 49 * 48, the similarity of two windows is

    (s(a) s(b) + C1 / 2) (spread(a, b) + C2 / 2)
    -----------------------------------------------------------------------------
    ((s(a)^2 + s(b)^2 + C1) / 2) ((spread(a, a) + spread(b, b) + C2) / 2)

The integers are exact: in 32 bits for 8-bit pixels, in float64 for any. The ratio is float32, times 2**25, cut to an
integer, so that sums over windows are exact, in whatever order. The two sums below are prepared for each image, so that
of equal images the factors above and below are the same floats but for a power of two, and the ratio is 1.

Images are compared in the layout that `interleave` writes: in strips, row after row, pixel after pixel, each of 16
images. A vector holds one window of 16 images, and the same window of another image is put beside it; no sum runs
across a vector.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, cgutils, chosen, kernel
from fingerprint._kernels.llvm import (
    AVX2,
    AVX512,
    F32,
    F64,
    I32,
    I64,
    add_products_of_words,
    const,
    constant,
    lanes,
    read,
    splat,
    write,
)

GROUP = 16  # images interleaved
STRIP = 32  # windows along a row of a strip: what 64 x 64 pairs need of it stays in the second-level cache
COLUMNS = STRIP + 6
ALONE = 4  # images that are compared with a group at a time
UNIT = 2**25  # of the similarities: a row of a strip adds up to less than 2**31
SCALES = 2.0**-13, 2.0**-14  # of the factors below: halves, and one over the unit


# --- Vectors in LLVM's language ---------------------------------------------------------------------------------------


def _read(builder: Any, kind: Any, *terms: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Read from an address that is a sum."""
    return read(builder, functools.reduce(builder.add, terms), kind)


def _write(builder: Any, value: Any, *terms: Any) -> None:  # pragma: no cover  (emits LLVM)
    """Write to an address that is a sum."""
    write(builder, value, functools.reduce(builder.add, terms))


def _size(kind: Any) -> int:  # pragma: no cover  (emits LLVM)
    """Return the bytes of a number of a vector."""
    return {F32: 4, F64: 8}.get(kind.element) or kind.element.width // 8


def _along(builder: Any, kind: Any, column: Any, field: int = 0) -> Any:  # pragma: no cover  (emits LLVM)
    """Return the offset of a column of a field of a group."""
    step = GROUP * _size(kind)
    return builder.add(builder.mul(column, const(step)), const(field * COLUMNS * step))


def _operations(integer: bool) -> tuple[str, str, str]:  # pragma: no cover  (emits LLVM)
    """Return the names of addition, subtraction and multiplication."""
    return ("add", "sub", "mul") if integer else ("fadd", "fsub", "fmul")


# --- What each image needs --------------------------------------------------------------------------------------------


@intrinsic  # type: ignore[untyped-decorator]
def _transpose(typing: Any, pixels: Any, source: Any, stride: Any, target: Any) -> Any:  # pragma: no cover
    """Write 16 numbers of each of 16 rows, `stride` bytes apart, column after column; `pixels` says of what type."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, source, stride, target = arguments
        kind = ir.VectorType(ir.IntType(pixels.dtype.bitwidth), 16)
        rows = [_read(builder, kind, source, builder.mul(stride, const(i))) for i in range(16)]
        halves = [lanes(lane // 2 + first + 16 * (lane % 2) for lane in range(16)) for first in (0, 8)]
        for _ in range(4):
            rows = [builder.shuffle_vector(rows[i], rows[i + 8], half) for i in range(8) for half in halves]
        for i, row in enumerate(rows):
            _write(builder, row, target, const(16 * _size(kind) * i))
        return context.get_dummy_value()

    return types.void(pixels, types.int64, types.int64, types.int64), generate


@kernel
def interleave_compiled(pixels, first, last, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write images 16 * group, ... into out[group], (strips, 7 + h, COLUMNS * 16), for the groups first to last.

    Seven rows of zeros come first, as the pixels that leave the first seven windows. An absent image is zero.
    """
    width = pixels.shape[2]
    rows = np.zeros(
        (16, width + 64), pixels.dtype
    )  # closer together than the images, and never on the same cache lines
    for group in range(first, last):
        images = min(16, pixels.shape[0] - 16 * group)
        rows[images:] = 0
        out[group, :, :7] = 0
        for y in range(pixels.shape[1]):
            for i in range(images):
                source, target = pixels[16 * group + i, y], rows[i]
                for x in range(width):
                    target[x] = source[x]
            for strip in range(out.shape[1]):
                row = out[group, strip, 7 + y]
                for c in (0, 16, COLUMNS - 16):
                    _transpose(
                        row, rows[0, STRIP * strip + c :].ctypes.data, rows.strides[0], row[16 * c :].ctypes.data
                    )


def interleave_numpy(pixels: Any, first: int, last: int, out: Any) -> None:
    """Like `interleave_compiled`, without the compiler."""
    _, h, w = pixels.shape
    for group in range(first, last):
        part = pixels[16 * group : 16 * group + 16]
        rows = np.zeros((7 + h, STRIP * out.shape[1] + 6, 16), pixels.dtype)
        rows[7:, :w, : len(part)] = part.transpose(1, 2, 0)
        for strip, target in enumerate(out[group]):
            target[:] = rows[:, STRIP * strip : STRIP * strip + COLUMNS].reshape(target.shape)


@intrinsic  # type: ignore[untyped-decorator]
def _prepare(  # pragma: no cover  (emits LLVM)
    typing: Any,
    pixels: Any,
    exact: Any,
    enter: Any,
    leave: Any,
    lead: Any,
    windows: Any,
    weight: Any,
    sign: Any,
    c1: Any,
    c2: Any,
    room: Any,
) -> Any:
    """Prepare the windows of a row of 16 images, in the types of `pixels` and `exact`.

    `enter` and `leave` are the addresses of the pixels that enter and leave the windows, and `room` those of three
    arrays, each field of which has `COLUMNS` columns. The first keeps the sums down seven rows of the pixels and of
    their squares. Into the second go the pixels that enter times `weight`, those that leave times `weight` and `sign`,
    and the sums s of the windows times `sign`; two pixels share an int32. Into the third, float32, go s and, times
    `SCALES`, s * s + C1 / 2 and spread + C2 / 2. The first `lead` columns end no window; each that follows does.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, enter, leave, lead, windows, weight, sign, c1, c2, room = arguments
        columns, kept, real = (builder.extract_value(room, i) for i in range(3))
        integer = exact.dtype == types.int32
        pixel, floats = ir.VectorType(ir.IntType(pixels.dtype.bitwidth), GROUP), ir.VectorType(F32, GROUP)
        sums = ir.VectorType(I32 if integer else F64, GROUP)
        plus, minus, times = (getattr(builder, name) for name in _operations(integer))
        convert = builder.trunc if integer else builder.sitofp
        weight, sign = (splat(builder, convert(value, sums.element), sums) for value in (weight, sign))
        c1, c2 = splat(builder, c1, floats), splat(builder, c2, floats)
        inside = [cgutils.alloca_once_value(builder, ir.Constant(sums, None)) for _ in range(2)]

        def widen(address: Any, column: Any) -> Any:
            value = _read(builder, pixel, address, _along(builder, pixel, column))
            return builder.zext(value, sums) if integer else builder.uitofp(value, sums)

        def to_float(value: Any) -> Any:
            return builder.sitofp(value, floats) if integer else builder.fptrunc(value, floats)

        def low(value: Any) -> Any:
            return builder.and_(value, constant(sums, 0xFFFF)) if integer else value

        def take_in(column: Any) -> None:
            new, old = widen(enter, column), widen(leave, column)
            for field, change in enumerate((minus(new, old), minus(times(new, new), times(old, old)))):
                place = columns, _along(builder, sums, column, field)
                total = plus(_read(builder, sums, *place), change)
                _write(builder, total, *place)
                builder.store(plus(builder.load(inside[field]), total), inside[field])
            weighed = [times(new, weight), times(old, times(weight, sign))]
            if integer:
                weighed = [builder.or_(low(weighed[0]), builder.shl(weighed[1], constant(sums, 16)))]
            for field, value in enumerate(weighed):
                _write(builder, value, kept, _along(builder, sums, column, field))

        with cgutils.for_range(builder, lead) as column:
            take_in(column.index)
        with cgutils.for_range(builder, windows) as window:
            take_in(builder.add(window.index, const(6)))
            s, squares = (builder.load(place) for place in inside)
            f = to_float(s)
            spread = minus(times(squares, constant(sums, 49)), times(s, s))
            _write(builder, low(times(s, sign)), kept, _along(builder, sums, window.index, 1 if integer else 2))
            _write(builder, f, real, _along(builder, floats, window.index))
            factors = builder.fadd(builder.fmul(f, f), c1), builder.fadd(to_float(spread), c2)
            for field, (factor, scale) in enumerate(zip(factors, SCALES, strict=True), start=1):
                value = builder.fmul(factor, constant(floats, scale))
                _write(builder, value, real, _along(builder, floats, window.index, field))
            for field, total in enumerate((s, squares)):
                leaving = _read(builder, sums, columns, _along(builder, sums, window.index, field))
                builder.store(minus(total, leaving), inside[field])
        return context.get_dummy_value()

    numbers = [*[types.int64] * 6, *[types.float32] * 2]
    return types.void(pixels, exact, *numbers, types.containers.UniTuple(types.int64, 3)), generate


@kernel
def prepare(pixels, strip, y, lead, windows, weight, sign, c1, c2, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Prepare row y of the windows of the images of a strip; `room` are the columns, exact and floats of a side."""
    for group in range(pixels.shape[0]):
        new, old = pixels[group, strip, y + 7].ctypes.data, pixels[group, strip, y].ctypes.data
        here = room[0][group].ctypes.data, room[1][group].ctypes.data, room[2][group].ctypes.data
        _prepare(pixels, room[1], new, old, lead, windows, weight, sign, c1, c2, here)


# --- A row of windows of a few images and 16 others -------------------------------------------------------------------


def _add_products(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Add to each sum the products of two pairs of 16-bit numbers, or of two float64, exact whether fused or not."""
    if total.type.element == F64:
        return call(builder, f"llvm.fmuladd.v{total.type.count}f64", [x, y, total], total.type)
    return add_products_of_words(builder, total, x, y)


@intrinsic  # type: ignore[untyped-decorator]
def _row(  # pragma: no cover  (emits LLVM)
    typing: Any,
    kept: Any,
    exact: Any,
    real: Any,
    exacts: Any,
    reals: Any,
    work: Any,
    next_work: Any,
    lead: Any,
    windows: Any,
    c1: Any,
    c2: Any,
    totals: Any,
    next_total: Any,
) -> Any:
    """Add the similarities of a row of windows of `ALONE` images and 16 others, in the type of `kept`.

    `exact` and `real` are the addresses of what is prepared of each image, `exacts` and `reals` of the others; `work`
    holds the sums of the products down each column, `next_work` bytes to the next image, and so do `totals` the
    similarities. The first `lead` columns complete no window; each of those that follow does.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, exact, real, exacts, reals, work, next_work, lead, windows, c1, c2, totals, next_total = arguments
        integer = kept.dtype == types.int32
        width = GROUP if AVX512 or not integer else 8 if AVX2 else 4  # lanes of a vector
        sums = ir.VectorType(I32 if integer else F64, width)
        floats, ints, longs = (ir.VectorType(kind, width) for kind in (F32, I32, I64))
        entering_and_leaving, sum_of_window = ((0,), 1) if integer else ((0, 1), 2)
        plus, minus, _ = (getattr(builder, name) for name in _operations(integer))
        to_float = builder.sitofp if integer else builder.fptrunc
        c1, c2 = splat(builder, c1, floats), splat(builder, c2, floats)
        inside, row = ([cgutils.alloca_once(builder, kind) for _ in range(ALONE)] for kind in (sums, ints))
        with cgutils.for_range(builder, const(GROUP // width)) as part:

            def shift(kind: Any) -> Any:
                return builder.mul(part.index, const(width * _size(kind)))

            def factors(kind: Any, field: int, column: Any) -> tuple[list[Any], Any]:
                """Read one field of a column: of each image, in all lanes, and of the others."""
                one, others = (exact, exacts) if kind == sums else (real, reals)
                at = _along(builder, kind, column, field)
                each = [_read(builder, kind.element, one, at, const(_size(kind) * n)) for n in range(ALONE)]
                return [splat(builder, value, kind) for value in each], _read(builder, kind, others, at, shift(kind))

            def take_in(column: Any) -> None:
                pixels = [factors(sums, field, column) for field in entering_and_leaving]
                for n in range(ALONE):
                    place = columns[n], _along(builder, sums, column)
                    total = _read(builder, sums, *place)
                    for x, y in pixels:
                        total = _add_products(builder, total, x[n], y)
                    _write(builder, total, *place)
                    builder.store(plus(builder.load(inside[n]), total), inside[n])

            columns = [
                builder.add(work, builder.add(builder.mul(next_work, const(n)), shift(sums))) for n in range(ALONE)
            ]
            for place in (*inside, *row):
                builder.store(ir.Constant(place.type.pointee, None), place)
            with cgutils.for_range(builder, lead) as column:
                take_in(column.index)
            with cgutils.for_range(builder, windows) as window:
                take_in(builder.add(window.index, const(6)))
                x, y = factors(sums, sum_of_window, window.index)
                (s, t), (u, v), (p, q) = (factors(floats, field, window.index) for field in range(3))
                for n in range(ALONE):
                    total = builder.load(inside[n])
                    spread = to_float(_add_products(builder, total, x[n], y), floats)
                    above = builder.fmul(builder.fadd(builder.fmul(s[n], t), c1), builder.fadd(spread, c2))
                    below = builder.fmul(builder.fadd(u[n], v), builder.fadd(p[n], q))
                    similarity = builder.fptosi(builder.fdiv(above, below), ints)
                    builder.store(builder.add(builder.load(row[n]), similarity), row[n])
                    leaving = _read(builder, sums, columns[n], _along(builder, sums, window.index))
                    builder.store(minus(total, leaving), inside[n])
            for n in range(ALONE):
                place = totals, builder.mul(next_total, const(n)), shift(longs)
                value = builder.sext(builder.load(row[n]), longs)
                _write(builder, builder.add(_read(builder, longs, *place), value), *place)
        return context.get_dummy_value()

    arguments = [*[types.int64] * 8, types.float32, types.float32, types.int64, types.int64]
    return types.void(kept, *arguments), generate


# --- All pairs of two sides -------------------------------------------------------------------------------------------


@kernel
def ssim_compiled(a, b, width, constants, left, right, work, totals):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add up the similarities of all windows of images, in `UNIT`, into totals (n_a, groups of b, 16) int64.

    `a` and `b` are what `interleave` writes of images of this `width`. `left` and `right` are the columns, exact and
    floats of each side, (groups, fields, COLUMNS * 16), and `work` is (n_a, groups of b, COLUMNS, 16), of the type of
    exact: int32 for 8-bit images, else float64. n_a may leave out images of the
    last group, but is a multiple of `ALONE`.
    """
    c1 = np.float32(0.5) * constants[0]
    c2 = np.float32(0.5) * constants[1]
    totals[:] = 0
    for strip in range(a.shape[1]):
        across = min(STRIP, width - 6 - STRIP * strip)
        work[:] = 0
        left[0][:] = 0
        right[0][:] = 0
        for y in range(a.shape[2] - 7):
            lead, windows = (6, across) if y >= 6 else (across + 6, 0)
            prepare(a, strip, y, lead, windows, 1, 1, c1, c2, left)
            prepare(b, strip, y, lead, windows, 49, -1, c1, c2, right)
            for j in range(b.shape[0]):
                e, f = right[1][j].ctypes.data, right[2][j].ctypes.data
                for i in range(0, work.shape[0], ALONE):
                    x, u = left[1][i // 16, 0, i % 16 :].ctypes.data, left[2][i // 16, 0, i % 16 :].ctypes.data
                    down, sums = work[i, j].ctypes.data, totals[i, j].ctypes.data
                    _row(work, x, u, e, f, down, work.strides[0], lead, windows, c1, c2, sums, totals.strides[0])


def ssim_numpy(a: Any, b: Any, width: int, constants: Any, left: Any, right: Any, work: Any, totals: Any) -> None:
    """Like `ssim_compiled`, bit for bit, without the compiler."""
    c1, c2 = np.float32(0.5) * constants
    first, second = (np.float32(scale) for scale in SCALES)
    n, h = len(totals), a.shape[2] - 7

    def box(values: Any) -> Any:
        down = sum(values[:, k : h - 6 + k] for k in range(7))
        return sum(down[:, :, k : width - 6 + k] for k in range(7))

    def prepared(side: Any) -> tuple[Any, ...]:
        columns = side[:, :, 7:].reshape(*side.shape[:2], h, COLUMNS, 16)
        strips = [*columns[:, :-1, :, :STRIP].swapaxes(0, 1), columns[:, -1]]
        images = np.concatenate(strips, axis=2)[:, :, :width].astype(np.float64)
        images = images.transpose(0, 3, 1, 2).reshape(-1, h, width)
        s = box(images)
        f, spread = s.astype(np.float32), (49 * box(images * images) - s * s).astype(np.float32)
        return images, s, f, first * (f * f + c1), second * (spread + c2)

    others, t, g, v, q = prepared(b)
    for row, image, s, f, u, p in zip(totals, *(field[:n] for field in prepared(a)), strict=True):
        spread = (49 * box(image * others) - s * t).astype(np.float32)
        ratios = (f * g + c1) * (spread + c2) / ((u + v) * (p + q))
        row[:] = ratios.astype(np.int32).sum(axis=(1, 2), dtype=np.int64).reshape(row.shape)


interleave, ssim = chosen(interleave_compiled, interleave_numpy), chosen(ssim_compiled, ssim_numpy)

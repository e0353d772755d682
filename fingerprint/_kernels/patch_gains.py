# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The search behind the evidence of patches. Kernels check nothing, raise nothing and own the rows they write.

A patch has four quarters of 4 x 4 numbers, and neighbouring patches share quarters. So the product of a quarter of a
real image with a quarter of a synthetic one is worked out once for four patches. A row of a quarter is a word of four
numbers, uint8 in synthetic images and int8 in real ones, which vector instructions multiply and add up at once. The
lanes of a vector are 16 real images. Where no instruction multiplies bytes, a word of four numbers is made two words of
two numbers of 16 bits each, once for all shifts: 68 instructions for a quarter and a shift on AVX2, where 87 made them
anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import cgutils, chosen, kernel, part
from fingerprint._kernels.layout import shifts_of
from fingerprint._kernels.llvm import (
    AVX512,
    BYTES,
    F32,
    I8,
    I16,
    I32,
    I64,
    REALS,
    SUMS,
    add_products_of_bytes,
    add_products_of_words,
    const,
    constant,
    multiply_add,
    read,
    splat,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def scaled_products(windows: Any, scales: Any, patches: Any, means: Any) -> Any:
    """Return the product of each window (n_windows, 64) uint8 with each patch (n, 64) int8, times its scale, float32.

    The mean of the patch times the sum of the window is taken off the product before it is rounded.
    """
    # exact: 64 products of 8-bit numbers stay below 2**24, and what is taken off has 6 bits behind the point
    products = (windows.astype(np.float32) @ patches.T.astype(np.float32)).astype(np.float64)
    products -= windows.sum(axis=1, dtype=np.float64)[:, None] * means
    return products.astype(np.float32) * scales[:, None]


_PARTS = 1 if BYTES else 2  # words that hold a row of a quarter


@part
def _halve_windows(words, out):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write words (h, w) of four uint8 to out (h, w, 2), the numbers 0 and 2 and the numbers 1 and 3, as 16 bits."""
    for y in range(words.shape[0]):
        for x in range(words.shape[1]):
            out[y, x, 0] = words[y, x] & np.uint32(0xFF00FF)
            out[y, x, 1] = (words[y, x] >> np.uint32(8)) & np.uint32(0xFF00FF)


@intrinsic  # type: ignore[untyped-decorator]
def _halve_quarters(typing: Any, quarters: Any, count: Any, out: Any) -> Any:
    """Write quarters (count, 4, 16), words of four int8, to (count, 4, 2, 16), like `_halve_windows`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        quarters, count, out = arguments
        kind = ir.VectorType(I16, 32)
        byte = ir.Constant(kind, [8] * 32)
        with cgutils.for_range(builder, builder.mul(count, const(4))) as loop:
            at = builder.mul(loop.index, const(64))
            words = builder.bitcast(read(builder, builder.add(quarters, at), SUMS), kind)
            place = builder.add(builder.add(out, at), at)
            write(builder, builder.ashr(builder.shl(words, byte), byte), place)
            write(builder, builder.ashr(words, byte), builder.add(place, const(64)))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


def _larger(builder: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Take the larger of two floats, of which the second is at least 0: then they are in the order of their bits."""
    bits, others = (builder.bitcast(value, SUMS) for value in (x, y))
    return builder.bitcast(builder.select(builder.icmp_signed(">", bits, others), bits, others), REALS)


def _row_of_quarters(shifts: Sequence[tuple[int, int]], spread: int) -> Any:
    """Return an intrinsic for a row of `columns` quarters of 16 real images, and some shifts, (down, right) in steps.

    The products of two quarters side by side and of the two above them are those of a patch: the vector of 16 images at
    `best` is raised to the largest scaled one. Sums of two side by side are left at `above`, (columns - 1, shifts)
    vectors, for the next row. In the first row, where `complete` is 0, nothing is above and nothing done to `best`.

    All others are addresses or bytes. `words`, `sums` and `scales` are of what `patch_windows.lay_out` made, at the
    first quarter or at the first patch that ends in this row; to the next step down is `down` bytes, and in `words`
    _PARTS times as much. `quarters`, (columns, 4, _PARTS, 16), `means` and `best`, (columns - 1, 16), are of this row.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        down, columns, complete = (arguments[n] for n in (3, 6, 7))
        # pointers, as the compiler gives each integer that is made an address a register of its own
        words, sums, scales, quarters, means, above, best = (
            builder.inttoptr(arguments[n], I8.as_pointer()) for n in (0, 1, 2, 4, 5, 8, 9)
        )
        add = add_products_of_bytes if BYTES else add_products_of_words
        right = 16 * spread  # bytes to the next quarter

        def below(base: Any, parts: int) -> dict[int, Any]:
            steps = {dy + spread * row for dy, _ in shifts for row in range(4)}
            return {step: builder.gep(base, [builder.mul(down, const(parts * step))]) for step in steps}

        rows = below(words, _PARTS), below(sums, 1), below(scales, 1)

        def at(base: Any, index: Any, pitch: int, more: int = 0) -> Any:
            return builder.gep(builder.gep(base, [builder.mul(index, const(pitch))]), [const(more)])

        def products(column: Any, part: range) -> dict[int, Any]:
            found = {shift: ir.Constant(SUMS, [0] * 16) for shift in part}
            for row, half in np.ndindex(4, _PARTS):
                numbers = read(builder, at(quarters, column, 256 * _PARTS, 64 * (_PARTS * row + half)), SUMS)
                for shift in part:
                    dy, dx = shifts[shift]
                    place = at(rows[0][dy + spread * row], column, _PARTS * right, 4 * (_PARTS * dx + half))
                    word = read(builder, place, I32)
                    found[shift] = add(builder, found[shift], splat(builder, word, SUMS), numbers)
            return found

        def scaled(site: Any, total: Any, mean: Any, shift: int) -> Any:
            dy, dx = shifts[shift]
            weights = (read(builder, at(side[dy], site, right, 4 * dx), F32) for side in rows[1:])
            window, scale = (splat(builder, weight, REALS) for weight in weights)
            return builder.fmul(multiply_add(builder, mean, window, builder.sitofp(total, REALS)), scale)

        def walk(part: range, left: dict[int, Any], finish: bool) -> None:
            with cgutils.for_range(builder, builder.sub(columns, const(1))) as loop:
                site, column = loop.index, builder.add(loop.index, const(1))
                products_right = products(column, part)
                if finish:
                    mean = builder.fneg(read(builder, at(means, site, 64), REALS))
                    largest = read(builder, at(best, site, 64), REALS)
                for shift in part:
                    below = builder.add(products_right[shift], builder.load(left[shift]))
                    builder.store(products_right[shift], left[shift])
                    place = at(above, site, 64 * len(shifts), 64 * shift)
                    if finish:
                        total = builder.add(below, read(builder, place, SUMS))
                        largest = _larger(builder, scaled(site, total, mean, shift), largest)
                    write(builder, below, place)
                if finish:
                    write(builder, largest, at(best, site, 64))

        parts = -(-len(shifts) // (9 if AVX512 else 3))  # about as many at once as there are registers for
        for n in range(parts):
            part = range(n * len(shifts) // parts, (n + 1) * len(shifts) // parts)
            left = {shift: cgutils.alloca_once(builder, SUMS) for shift in part}
            for shift, found in products(const(0), part).items():
                builder.store(found, left[shift])
            with builder.if_else(builder.icmp_signed("!=", complete, const(0))) as (later, earliest):
                with later:
                    walk(part, left, True)
                with earliest:
                    walk(part, left, False)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def row(
        typing: Any,
        words: Any,
        sums: Any,
        scales: Any,
        down: Any,
        quarters: Any,
        means: Any,
        columns: Any,
        complete: Any,
        above: Any,
        best: Any,
    ) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 10), generate

    return row


_row5, _row9 = _row_of_quarters([(0, dx) for dx in range(5)], 1), _row_of_quarters([(0, dx) for dx in range(9)], 2)
_even, _odd = (_row_of_quarters([(0, dx) for dx in range(first, 9, 2)], 2) for first in (0, 1))
_row13 = _row_of_quarters([(dy + 2, dx + 2) for dy, dx in shifts_of(2, every=False)], 1)


@part
def _search(words, sums, scales, place, radius, spread, every, quarters, means, halves, above, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Raise best (rows, columns, 16) to the largest scaled products of patches of 16 images with the windows of one.

    The patches are those of quarters (rows of the image, columns of the image, 4, 16) from `place` on: (y, x) in the
    maps of the image that is searched, (r, c) in quarters and means (rows, columns, 16). At every shift or, if not
    `every`, at every other one, as `layout.shifts_of` says. `halves` and `above` are work space.
    """
    y, x, r0, c0 = place
    columns, z = best.shape[1] + 1, above.ctypes.data
    down = sums.strides[0]
    numbers, pitch = quarters[r0, c0].ctypes.data, quarters.strides[0]
    if _PARTS > 1:
        for r in range(best.shape[0] + 1):
            _halve_quarters(quarters[r0 + r, c0].ctypes.data, columns, halves[r].ctypes.data)
        numbers, pitch = halves.ctypes.data, halves.strides[0]
    for dy in range(2 * radius + 1 if every or spread > 1 else 1):
        for r in range(best.shape[0] + 1):
            here = (y + dy + 4 * spread * r) * down + 4 * x
            last = here - 4 * spread * down
            w, s, q = words.ctypes.data + _PARTS * here, sums.ctypes.data + last, scales.ctypes.data + last
            b = numbers + r * pitch
            m = means.ctypes.data + (r0 + r - 1) * means.strides[0] + c0 * means.strides[1]
            out = best.ctypes.data + (r - 1) * best.strides[0]
            if spread == 1 and every:
                _row5(w, s, q, down, b, m, columns, r, z, out)
            elif spread == 1:
                _row13(w, s, q, down, b, m, columns, r, z, out)
            elif every:
                _row9(w, s, q, down, b, m, columns, r, z, out)
            elif dy % 2 == 0:
                _even(w, s, q, down, b, m, columns, r, z, out)
            else:
                _odd(w, s, q, down, b, m, columns, r, z, out)


@part
def _spaces(words, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Return work space for the words of an image (h, w) and the quarters of best (rows, columns, 16)."""
    rows, columns = best.shape[0] + 1, best.shape[1] + 1
    h, w = words.shape if _PARTS > 1 else (0, 0)
    return np.empty((h, w, 2), np.uint32), np.empty((rows, columns, 4, 2, 16), np.uint32)


@part
def _laid(words, halved):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Return the words of an image as `_search` takes them, maybe in the work space."""
    laid = words.reshape(words.shape[0], words.shape[1], 1)
    if _PARTS > 1:
        laid = halved
        _halve_windows(words, laid)
    return laid


@kernel
def best_compiled(words, sums, scales, place, radius, spread, quarters, means, above, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Raise best (m, groups, rows, columns, 16) to the largest scaled products, of 16 real images a group.

    At every shift. The patches are as many, down and across, as best has, from a place on: see `_search`, also for
    `quarters` and `means`, here of all groups.
    """
    halved, halves = _spaces(words[0], best[0, 0])
    for f in range(words.shape[0]):
        laid = _laid(words[f], halved)
        for g in range(quarters.shape[0]):
            found = best[f, g]
            _search(laid, sums[f], scales[f], place, radius, spread, True, quarters[g], means[g], halves, above, found)


@intrinsic  # type: ignore[untyped-decorator]
def _add_gains(
    typing: Any, found: Any, norms: Any, quantiles: Any, deciding: Any, count: Any, floor: Any, total: Any
) -> Any:
    """Add the gains of `count` patches of 16 images to 16 sums at `total`, and of the `deciding` ones to 16 more.

    All but `count` and `floor` are addresses: of vectors of 16 best matches, norms and quantiles, and of -1 or 0.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        found, norms, quantiles, deciding, count, floor, total = arguments
        places = total, builder.add(total, const(64))
        kept = [cgutils.alloca_once(builder, SUMS) for _ in places]
        for place, start in zip(kept, places, strict=True):
            builder.store(read(builder, start, SUMS), place)
        one, nothing, eight = constant(REALS, 1.0), constant(REALS, 0.0), constant(SUMS, 8)
        with cgutils.for_range(builder, count) as loop:
            at = builder.mul(loop.index, const(64))
            match, norm = (read(builder, builder.add(side, at), REALS) for side in (found, norms))
            left = builder.fsub(one, builder.fmul(match, norm))
            left = builder.select(builder.fcmp_ordered(">", left, nothing), left, nothing)
            bits = builder.bitcast(builder.fadd(left, splat(builder, floor, REALS)), SUMS)
            gain = builder.sub(read(builder, builder.add(quantiles, at), SUMS), bits)
            gain = builder.select(builder.icmp_signed(">", gain, constant(SUMS, 0)), gain, constant(SUMS, 0))
            gain = builder.ashr(gain, eight)
            decides = read(builder, builder.add(deciding, builder.mul(loop.index, const(4))), I32)
            for place, some in zip(kept, (gain, builder.and_(gain, splat(builder, decides, SUMS))), strict=True):
                builder.store(builder.add(builder.load(place), some), place)
        for place, end in zip(kept, places, strict=True):
            write(builder, builder.load(place), end)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.float32, types.int64), generate


@kernel
def sum_gains_compiled(  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    words, sums, scales, places, radius, every, quarters, means, norms, quantiles, floor, deciding, above, best, total
):
    """Add to total (m, groups, 2, 16) int32 the gains of the patches from some places on, and of the `deciding` ones.

    Gains are those of `_patches.gains.log2_gains`, of images of one step a cell: at every shift or, if not `every`, at
    every other one. `norms` and `quantiles` are (groups, patches, 16) of these patches alone; deciding (patches,) int32
    is -1 or 0. Of 16 images, best (places, rows, columns, 16) is work space.
    """
    halved = np.empty((*words.shape, 2) if _PARTS > 1 else (0, 0, 0, 2), np.uint32)
    laid = words.reshape((*words.shape, 1))
    if _PARTS > 1:
        laid = halved
        for f in range(words.shape[0]):
            _halve_windows(words[f], halved[f])
    halves = np.empty((best.shape[1] + 1, best.shape[2] + 1, 4, 2, 16), np.uint32)
    for g in range(quarters.shape[0]):  # whose patches stay in the second-level cache
        side, mean = quarters[g], means[g]
        for f in range(words.shape[0]):
            best[:] = np.float32(0.0)
            for p in range(places.shape[0]):
                place = places[p, 0], places[p, 1], places[p, 2], places[p, 3]
                _search(laid[f], sums[f], scales[f], place, radius, 1, every, side, mean, halves, above, best[p])
            n, q, t = norms[g].ctypes.data, quantiles[g].ctypes.data, total[f, g].ctypes.data
            _add_gains(best.ctypes.data, n, q, deciding.ctypes.data, norms.shape[1], floor, t)


@intrinsic  # type: ignore[untyped-decorator]
def _gather(typing: Any, sources: Any, count: Any, out: Any) -> Any:
    """Write `count` vectors of 16 words to an address, each of whose lanes comes from one of 16 addresses on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        sources, count, out = arguments
        starts = [read(builder, builder.add(sources, const(8 * lane)), I64) for lane in range(16)]
        with cgutils.for_range(builder, count) as loop:
            at, found = builder.mul(loop.index, const(4)), ir.Constant(SUMS, [0] * 16)
            for lane, start in enumerate(starts):
                word = read(builder, builder.add(start, at), I32)
                found = builder.insert_element(found, word, ir.Constant(I32, lane))
            write(builder, found, builder.add(out, builder.mul(loop.index, const(64))))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@part
def _gathered(rows, chosen, sources, out):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write of 16 chosen rows (n, ...) of words to out (..., 16); that of the first where none is chosen."""
    for lane in range(16):
        sources[lane] = rows.ctypes.data + max(chosen[lane], 0) * rows.strides[0]
    _gather(sources.ctypes.data, out.size // 16, out.ctypes.data)


@kernel
def sum_gains_of_compiled(  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    words,
    sums,
    scales,
    place,
    radius,
    spread,
    every,
    chosen,
    quarters,
    means,
    norms,
    quantiles,
    floor,
    above,
    side,
    room,
    total,
):
    """Add to total (m, groups, 2, 16) int32 the gains of all patches of chosen real images, of each image its own.

    Which ones says chosen (m, groups, 16), of which the last are -1 = none, for quarters (n, rows + 1, columns + 1, 4)
    and means, norms and quantiles (n, rows, columns). At every shift or, if not `every`, at every other one. Work
    space: side (rows + 1, columns + 1, 4, 16) uint32 and room (4, rows, columns, 16) float32.
    """
    best, mean, norm, quantile = room[0], room[1], room[2], room[3]
    deciding, sources = np.zeros(means.shape[1] * means.shape[2], np.int32), np.empty(16, np.int64)
    halved, halves = _spaces(words[0], best)
    for f in range(words.shape[0]):
        if chosen[f, 0, 0] < 0:
            continue
        laid = _laid(words[f], halved)
        for g in range(chosen.shape[1]):
            some = chosen[f, g]
            if some[0] < 0:
                break
            _gathered(quarters, some, sources, side)
            _gathered(means, some, sources, mean)
            _gathered(norms, some, sources, norm)
            _gathered(quantiles, some, sources, quantile)
            best[:] = np.float32(0.0)
            _search(laid, sums[f], scales[f], place, radius, spread, every, side, mean, halves, above, best)
            b, w, q, t = best.ctypes.data, norm.ctypes.data, quantile.ctypes.data, total[f, g].ctypes.data
            _add_gains(b, w, q, deciding.ctypes.data, deciding.shape[0], floor, t)


def best_numpy(
    words: Any,
    sums: Any,
    scales: Any,
    place: Any,
    radius: int,
    spread: int,
    quarters: Any,
    means: Any,
    above: Any,
    best: Any,
    every: bool = True,
) -> None:
    """Like `best_compiled`, without the compiler; also at every other shift."""
    del sums, above  # sums of windows are those of their words; nothing is kept from row to row
    y, x, r0, c0 = place
    shifts = [(radius + dy, radius + dx) for dy, dx in shifts_of(radius, every=every)]
    for r, c in np.ndindex(*best.shape[2:4]):
        corners = [(y + 4 * spread * r + dy, x + 4 * spread * c + dx) for dy, dx in shifts]
        found = [words[:, v : v + 8 * spread : spread, u : u + 8 * spread : 4 * spread] for v, u in corners]
        windows = np.ascontiguousarray(np.stack(found, axis=1)).view(np.uint8).reshape(len(words), -1, 64)
        weights = np.stack([scales[:, v, u] for v, u in corners], axis=1)
        part = quarters[:, r0 + r : r0 + r + 2, c0 + c : c0 + c + 2]
        patches = np.moveaxis(part, -1, 1).swapaxes(3, 4)  # groups, images, 2, 4, 2: rows of a patch
        patches = np.ascontiguousarray(patches).view(np.int8).reshape(-1, 64)
        mean = means[:, r0 + r, c0 + c].ravel()
        for f in range(len(words)):
            largest = scaled_products(windows[f], weights[f], patches, mean).max(axis=0)
            np.maximum(best[f, :, r, c], largest.reshape(len(quarters), -1), out=best[f, :, r, c])


def _gains_numpy(found: Any, norms: Any, quantiles: Any, floor: Any) -> Any:
    """Return the gains of best matches found (..., patches, 16), see `_add_gains`."""
    rests = np.maximum(np.float32(1) - found * norms, np.float32(0)) + floor
    return np.maximum(quantiles - rests.view(np.int32), 0) >> 8


def sum_gains_numpy(
    words: Any,
    sums: Any,
    scales: Any,
    places: Any,
    radius: int,
    every: bool,
    quarters: Any,
    means: Any,
    norms: Any,
    quantiles: Any,
    floor: Any,
    deciding: Any,
    above: Any,
    best: Any,
    total: Any,
) -> None:
    """Like `sum_gains_compiled`, without the compiler."""
    found = np.zeros((len(places), len(words), len(quarters), *best.shape[1:]), np.float32)
    for place, one in zip(places, found, strict=True):
        best_numpy(words, sums, scales, place, radius, 1, quarters, means, above, one, every)
    found = np.moveaxis(found, 0, 2).reshape(len(words), len(quarters), -1, 16)
    gains = _gains_numpy(found, norms, quantiles, floor)
    total[:, :, 0] += gains.sum(axis=2, dtype=np.int32)
    total[:, :, 1] += (gains & deciding[:, None]).sum(axis=2, dtype=np.int32)


def sum_gains_of_numpy(
    words: Any,
    sums: Any,
    scales: Any,
    place: Any,
    radius: int,
    spread: int,
    every: bool,
    chosen: Any,
    quarters: Any,
    means: Any,
    norms: Any,
    quantiles: Any,
    floor: Any,
    above: Any,
    side: Any,
    room: Any,
    total: Any,
) -> None:
    """Like `sum_gains_of_compiled`, without the compiler."""
    del side
    for f, g in np.ndindex(*chosen.shape[:2]):
        lanes = np.flatnonzero(chosen[f, g] >= 0)
        q, m, n, k = (
            np.moveaxis(side[chosen[f, g, lanes]], 0, -1)[None] for side in (quarters, means, norms, quantiles)
        )
        found = np.zeros((1, 1, *room.shape[1:3], len(lanes)), np.float32)
        one = slice(f, f + 1)
        best_numpy(words[one], sums[one], scales[one], place, radius, spread, q, m, above, found, every)
        total[f, g, 0, lanes] += _gains_numpy(found[0], n, k, floor).sum(axis=(0, 1, 2), dtype=np.int32)


best_products = chosen(best_compiled, best_numpy)
sum_gains = chosen(sum_gains_compiled, sum_gains_numpy)
sum_gains_of = chosen(sum_gains_of_compiled, sum_gains_of_numpy)

# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Every compiled function of the evidence of patches. They check nothing, raise nothing and own the rows they write.

A patch of 8 x 8 numbers is one cache line. A window is 16 words of four numbers, uint8, each of which the vector and
the tile instructions multiply with four numbers, int8, of a pattern: vector instructions 16 windows with one pattern,
tile instructions with 16 patterns, which lie as (16, 16, 4), four numbers of each at a time.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._compiler import call, kernel, runs
from fingerprint._instructions import (
    F32,
    I8,
    I32,
    I64,
    REALS,
    SUMS,
    add_products_of_bytes,
    amx_begin,
    amx_end,
    const,
    lay_windows,
    pair_of,
    read,
    splat,
    write,
)


@kernel
def box_grid(image, step, spread, out):  # type: ignore[no-untyped-def]
    """Sum boxes of `spread` x `spread` squares of `step` x `step` pixels, one at every square, into out int32."""
    h, w = out.shape
    rows = np.empty(((h + spread - 1) * step, w), np.int32)
    line = np.empty(image.shape[1] + 1, np.int32)
    line[0] = 0
    side = step * spread
    for y in range(rows.shape[0]):
        for x in range(image.shape[1]):
            line[x + 1] = np.int32(line[x] + np.int32(image[y, x]))
        row = rows[y]
        for x in range(w):
            row[x] = np.int32(line[x * step + side] - line[x * step])
    for y in range(h):
        target = out[y]
        target[:] = 0
        for dy in range(side):
            row = rows[y * step + dy]
            for x in range(w):
                target[x] = np.int32(target[x] + row[x])


@kernel
def stretch(grid, low, factor, spread, radius, quads, scales):  # type: ignore[no-untyped-def]
    """Stretch a grid of sums to 8 bits, and lay out and weigh its windows of 8 x 8 numbers, `spread` apart.

    At [radius + y, radius + x] quads uint32 gets the number at (y, x) of the grid (h, w) int32, less `low`, times
    `factor`, and the three to its right; and scales float32, for the window whose first number it is, 1 / (8 * norm of
    the window about its mean), or 0 where it is flat. What lies outside is left alone.
    """
    h, w = grid.shape
    image = np.empty((h, w), np.uint8)
    for y in range(h):
        source, target = grid[y], image[y]
        for x in range(w):
            target[x] = np.int32(np.float32(np.int32(source[x] - low)) * factor + np.float32(0.5))
        row = quads[radius + y, radius : radius + w - 3 * spread]
        a, b, c, d = target, target[spread:], target[2 * spread :], target[3 * spread :]
        for x in range(row.shape[0]):
            left = np.uint32(np.uint32(a[x]) | np.uint32(np.uint32(b[x]) << np.uint32(8)))
            right = np.uint32(np.uint32(c[x]) | np.uint32(np.uint32(d[x]) << np.uint32(8)))
            row[x] = np.uint32(left | np.uint32(right << np.uint32(16)))
    column = np.zeros((spread, w), np.int32)  # of the rows that are a multiple of `spread` apart
    squares = np.zeros((spread, w), np.int32)
    pairs = np.empty((2, w), np.int32)
    for y in range(h):
        c, q = column[y % spread], squares[y % spread]
        added = image[y]
        for x in range(w):
            v = np.int32(added[x])
            c[x] = np.int32(c[x] + v)
            q[x] = np.int32(q[x] + np.int32(v * v))
        if y >= 8 * spread:
            gone = image[y - 8 * spread]
            for x in range(w):
                v = np.int32(gone[x])
                c[x] = np.int32(c[x] - v)
                q[x] = np.int32(q[x] - np.int32(v * v))
        if y >= 7 * spread:
            for x in range(w - spread):
                pairs[0, x] = np.int32(c[x] + c[x + spread])
                pairs[1, x] = np.int32(q[x] + q[x + spread])
            scale = scales[radius + y - 7 * spread, radius:]
            a, b, d = 2 * spread, 4 * spread, 6 * spread
            for x in range(w - 7 * spread):
                s = np.int32(np.int32(pairs[0, x] + pairs[0, x + a]) + np.int32(pairs[0, x + b] + pairs[0, x + d]))
                t = np.int32(np.int32(pairs[1, x] + pairs[1, x + a]) + np.int32(pairs[1, x + b] + pairs[1, x + d]))
                varied = np.float32(np.int32(np.int32(64 * t) - np.int32(s * s)))
                scale[x] = np.float32(1.0) / np.sqrt(varied) if varied > 0 else np.float32(0.0)


@kernel
def gather_windows(quads, maps, y, x, radius, spread, windows, scales):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write the 8 x 8 windows around grid position (y, x), and their scales, into (m, n, 16) uint32 and (m, n)."""
    for f in range(quads.shape[0]):
        n = 0
        for top in range(y, y + 2 * radius + 1):
            for left in range(x, x + 2 * radius + 1):
                scales[f, n] = maps[f, top, left]
                target = windows[f, n]
                for r in range(8):
                    target[2 * r] = quads[f, top + spread * r, left]
                    target[2 * r + 1] = quads[f, top + spread * r, left + 4 * spread]
                n += 1


def gather_numpy(quads, maps, y, x, radius, spread, windows, scales):  # type: ignore[no-untyped-def]
    """Like `gather_windows`, where there is no compiler."""
    side, reach = 2 * radius + 1, 8 * spread
    for n in range(side * side):
        top, left = y + n // side, x + n % side
        scales[:, n] = maps[:, top, left]
        found = quads[:, top : top + reach : spread, left : left + reach : 4 * spread]
        windows[:, n] = found.reshape(len(quads), 16)


GATHER: dict[str, Any] = {"portable": gather_windows, "numpy": gather_numpy}


def _keep_largest(builder: Any, best: Any, sums: list[Any], scales: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Take the largest of `best` and all vectors of sums, each times its number at the address `scales`."""
    chains = [best] * 4  # that need not wait for each other
    for n, total in enumerate(sums):
        scale = read(builder, builder.add(scales, const(4 * n)), F32)
        found = builder.fmul(builder.sitofp(total, REALS), splat(builder, scale, REALS))
        chains[n % 4] = _larger(builder, found, chains[n % 4])
    return _larger(builder, _larger(builder, *chains[:2]), _larger(builder, *chains[2:]))


def _larger(builder: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


@intrinsic  # type: ignore[untyped-decorator]
def _best_amx(typing: Any, windows: Any, scales: Any, count: Any, patterns: Any, best: Any, work: Any) -> Any:
    """Raise 16 floats at `best` to the largest scaled products of 16 patterns with `count` windows, a multiple of 48.

    `work` is the address of 3072 bytes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        windows, scales, count, patterns, best, work = arguments
        tile = functools.partial(ir.Constant, I8)

        def move(name: str, register: int, address: Any) -> None:
            pointer = builder.inttoptr(address, I8.as_pointer())
            call(builder, name, [tile(register), pointer, const(64)])

        kept = cgutils.alloca_once(builder, REALS)
        builder.store(read(builder, best, REALS), kept)
        move("llvm.x86.tileloadd64", 7, patterns)
        with cgutils.for_range(builder, builder.udiv(count, const(48))) as block:
            start = builder.add(windows, builder.mul(block.index, const(48 * 64)))
            for n in range(3):
                move("llvm.x86.tileloadd64", 3 + n, builder.add(start, const(1024 * n)))
                call(builder, "llvm.x86.tilezero", [tile(n)])
                call(builder, "llvm.x86.tdpbusd", [tile(n), tile(3 + n), tile(7)])
            for n in range(3):
                move("llvm.x86.tilestored64", n, builder.add(work, const(1024 * n)))
            scale = builder.add(scales, builder.mul(block.index, const(192)))
            sums = [read(builder, builder.add(work, const(64 * n)), SUMS) for n in range(48)]
            builder.store(_keep_largest(builder, builder.load(kept), sums, scale), kept)
        store = builder.store(builder.load(kept), builder.inttoptr(best, REALS.as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@kernel
def best_amx(windows, scales, patterns, layout, work, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Like `best_numpy`; `layout` shapes the tile registers, `work` is (48, 16) int32."""
    amx_begin(layout.ctypes.data)
    z = work.ctypes.data
    for g in range(patterns.shape[0]):
        p = patterns[g].ctypes.data
        for f in range(windows.shape[0]):
            target = best[f, 16 * g :].ctypes.data
            _best_amx(windows[f].ctypes.data, scales[f].ctypes.data, windows.shape[1], p, target, z)
    amx_end()


def best_numpy(windows: Any, scales: Any, patterns: Any, best: Any) -> None:
    """Raise best (m, n) float32 to the largest scaled product of each pattern (n, 64) int8 with each image's windows.

    `windows` (m, n_windows, 16) uint32 hold four numbers each, `scales` (m, n_windows) float32.
    """
    columns = patterns.T.astype(np.float32)
    for f in range(windows.shape[0]):  # exact: 64 products of 8-bit numbers stay below 2**24
        found = (windows[f].view(np.uint8).astype(np.float32) @ columns) * scales[f, :, None]
        np.maximum(best[f], found.max(axis=0), out=best[f])


def _search(vectors: int) -> Any:
    """Return an intrinsic f(windows, scales, patterns, chosen, count, best): the best match of some patterns.

    `windows` is the address of (16, 16 * vectors + 16) words: at a time, four pixels of each window; `chosen` of the
    numbers of the patterns, int32. Two patterns at a time share what is read of the windows. Into `best`, float32, goes
    the largest scaled product of each with a window, at least 0.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        windows, scales, patterns, chosen, count, best = arguments
        at_once = vectors if runs("avx512") else 2  # as many as there are registers for
        with cgutils.for_range(builder, builder.lshr(builder.add(count, const(1)), const(1))) as pair:
            places = pair_of(builder, pair.index, count)[:2]
            starts = []
            for place in places:
                number = read(builder, builder.add(chosen, builder.mul(place, const(4))), I32)
                starts.append(builder.add(patterns, builder.mul(builder.zext(number, I64), const(64))))
            largest = [ir.Constant(REALS, [0.0] * 16)] * 2
            for block in range(0, vectors, at_once):
                columns = range(block, min(block + at_once, vectors))
                sums = {(side, v): ir.Constant(SUMS, [0] * 16) for side in range(2) for v in columns}
                for quad in range(16):
                    numbers = [read(builder, builder.add(start, const(4 * quad)), I32) for start in starts]
                    numbers = [splat(builder, number, SUMS) for number in numbers]
                    for v in columns:
                        pixels = read(builder, builder.add(windows, const(64 * ((vectors + 1) * quad + v))), SUMS)
                        for side, number in enumerate(numbers):
                            sums[side, v] = add_products_of_bytes(builder, sums[side, v], pixels, number)
                for (side, v), total in sums.items():
                    scale = read(builder, builder.add(scales, const(64 * v)), REALS)
                    found = builder.fmul(builder.sitofp(total, REALS), scale)
                    largest[side] = _larger(builder, found, largest[side])
            for place, most in zip(places, largest, strict=True):
                # numbers of at least 0 are in the order of their bits
                bits = call(builder, "llvm.vector.reduce.smax.v16i32", [builder.bitcast(most, SUMS)], I32)
                write(builder, bits, builder.add(best, builder.mul(place, const(4))))
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def search(
        typing: Any, windows: Any, scales: Any, patterns: Any, chosen: Any, count: Any, best: Any
    ) -> Any:  # pragma: no cover
        return types.void(*[types.int64] * 6), generate

    return search


_search2, _search6 = _search(2), _search(6)


@kernel
def _best_vectors(quads, maps, y, x, radius, spread, patterns, chosen, windows, scales, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Find the best matches of the patterns whose numbers are `chosen` in one image, as laid out, around (y, x)."""
    side = 2 * radius + 1
    s, p, c, count, b = scales.ctypes.data, patterns.ctypes.data, chosen.ctypes.data, chosen.shape[0], best.ctypes.data
    lay_windows(maps[y, x:].ctypes.data, maps.strides[0], 0, 0, 1, 1, side, s, 0)
    scales[side * side :] = np.float32(0.0)
    w, row = windows.ctypes.data, windows.strides[0]
    lay_windows(quads[y, x:].ctypes.data, quads.strides[0], spread, 4 * spread, 8, 2, side, w, row)
    if scales.shape[0] == 7 * 16:
        _search6(w, s, p, c, count, b)
    else:
        _search2(w, s, p, c, count, b)


@kernel
def best_vectors(quads, maps, y, x, radius, spread, patterns, windows, scales, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Do what `gather_windows` and `best_numpy` do; `windows` and `scales` are work space for one image."""
    chosen = np.arange(patterns.shape[0]).astype(np.int32)
    for f in range(quads.shape[0]):
        _best_vectors(quads[f], maps[f], y, x, radius, spread, patterns, chosen, windows, scales, best[f])


@kernel
def sum_vectors(  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    quads,
    maps,
    sites,
    radius,
    spread,
    starts,
    members,
    patterns,
    norms,
    yardsticks,
    floor,
    turned,
    windows,
    scales,
    total,
):
    """Add to total (m, n) int32 the gains at some sites, as `patch_evidence.octaves` counts them.

    Site k, (y, x) = sites[k], has the patches starts[k, 0] to starts[k, 1], of which p is of image members[p]. Of the
    two patterns of a patch, its norms and its yardsticks, turned (m, n) says which is sought: the first or the second.
    """
    count = members.shape[0]
    rows, norms, yardsticks = patterns.reshape((-1, 64)), norms.ravel(), yardsticks.ravel()
    one, zero = np.float32(1.0), np.float32(0.0)
    widest = np.max(starts[:, 1] - starts[:, 0])
    chosen, best = np.empty(widest, np.int32), np.empty(widest, np.float32)
    bits = best.view(np.int32)
    for site in range(sites.shape[0]):
        y, x = sites[site]
        first, last = starts[site]
        who = members[first:last]
        rows_here = chosen[: last - first]
        for f in range(quads.shape[0]):
            for i in range(who.shape[0]):
                rows_here[i] = first + i + count * turned[f, who[i]]
            _best_vectors(quads[f], maps[f], y, x, radius, spread, rows, rows_here, windows, scales, best)
            for i in range(who.shape[0]):
                best[i] = max(one - best[i] * norms[rows_here[i]], zero) + floor
            for i in range(who.shape[0]):
                total[f, who[i]] += max(np.int32(yardsticks[rows_here[i]] - bits[i]), np.int32(0)) >> 8

# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Every compiled function of the evidence of patches. They check nothing, raise nothing and own the rows they write.

A patch of 8 x 8 numbers is one cache line. The patterns of 16 real images, int8, lie as (16, 16, 4): four pixels of
16 images at a time, which both the vector and the tile instructions multiply with four pixels, uint8, of a window.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._compiler import call, kernel
from fingerprint._instructions import F32, I8, I32, I64, REALS, SUMS, amx_begin, amx_end, const, read, splat


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
def phases(grid, low, factor, out, scales):  # type: ignore[no-untyped-def]
    """Stretch a grid of sums to 8 bits and sort it by phase, and weigh the 8 x 8 windows of each phase.

    The grid (h, w) int32, less `low`, times `factor` goes to out (s, s, h', w') uint8: position (y, x) to
    out[y % s, x % s, y // s, x // s]. Into scales (s, s, h' - 7, w' - 7) float32 goes 1 / (8 * norm of the window about
    its mean), 0 where it is flat or does not lie within the grid.
    """
    step = out.shape[0]
    line = np.empty(grid.shape[1], np.int32)
    column = np.empty(out.shape[3], np.int32)
    squares = np.empty(out.shape[3], np.int32)
    sums = np.empty((2, out.shape[3]), np.int32)
    for y in range(grid.shape[0]):
        source = grid[y]
        for x in range(grid.shape[1]):
            line[x] = np.int32(np.float32(np.int32(source[x] - low)) * factor + np.float32(0.5))
        for b in range(step):
            target = out[y % step, b, y // step]
            for x in range((grid.shape[1] - b + step - 1) // step):
                target[x] = line[x * step + b]
    scales[:] = np.float32(0.0)
    for a in range(step):
        for b in range(step):
            h = (grid.shape[0] - a + step - 1) // step
            w = (grid.shape[1] - b + step - 1) // step
            image = out[a, b]
            column[:] = 0
            squares[:] = 0
            for y in range(h):
                new = image[y]
                for x in range(w):
                    v = np.int32(new[x])
                    column[x] = np.int32(column[x] + v)
                    squares[x] = np.int32(squares[x] + np.int32(v * v))
                if y >= 8:
                    old = image[y - 8]
                    for x in range(w):
                        v = np.int32(old[x])
                        column[x] = np.int32(column[x] - v)
                        squares[x] = np.int32(squares[x] - np.int32(v * v))
                if y >= 7:
                    for x in range(w - 1):
                        sums[0, x] = np.int32(column[x] + column[x + 1])
                        sums[1, x] = np.int32(squares[x] + squares[x + 1])
                    target = scales[a, b, y - 7]
                    for x in range(w - 7):
                        s = np.int32(np.int32(sums[0, x] + sums[0, x + 2]) + np.int32(sums[0, x + 4] + sums[0, x + 6]))
                        q = np.int32(np.int32(sums[1, x] + sums[1, x + 2]) + np.int32(sums[1, x + 4] + sums[1, x + 6]))
                        spread = np.float32(np.int32(np.int32(64 * q) - np.int32(s * s)))
                        target[x] = np.float32(1.0) / np.sqrt(spread) if spread > 0 else np.float32(0.0)


@intrinsic  # type: ignore[untyped-decorator]
def _copy_window(typing: Any, source: Any, stride: Any, target: Any) -> Any:
    """Copy 8 rows of 8 bytes, `stride` bytes apart, to 64 bytes in a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, stride, target = arguments
        for row in range(8):
            value = read(builder, builder.add(source, builder.mul(stride, const(row))), I64)
            place = builder.inttoptr(builder.add(target, const(8 * row)), I64.as_pointer())
            builder.store(value, place).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@kernel
def gather_windows(images, maps, y, x, radius, windows, scales):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write the 8 x 8 windows around grid position (y, x) of images (m, s, s, h', w') into windows (m, n, 64).

    The scales of windows that lie outside become 0.
    """
    shift = images.shape[1] - 1  # of 1 or 2 phases
    stride = images.strides[3]
    for f in range(images.shape[0]):
        n = 0
        for top in range(y - radius, y + radius + 1):
            for left in range(x - radius, x + radius + 1):
                a, b = top & shift, left & shift
                i, j = top >> shift, left >> shift
                scales[f, n] = np.float32(0.0)
                if top >= 0 and left >= 0 and i < maps.shape[3] and j < maps.shape[4]:
                    scales[f, n] = maps[f, a, b, i, j]
                    _copy_window(images[f, a, b, i, j:].ctypes.data, stride, windows[f, n].ctypes.data)
                n += 1


def gather_numpy(images, maps, y, x, radius, windows, scales):  # type: ignore[no-untyped-def]
    """Like `gather_windows`, where there is no compiler."""
    spread = images.shape[1]
    steps = range(-radius, radius + 1)
    for n, (top, left) in enumerate((y + dy, x + dx) for dy in steps for dx in steps):
        i, j = top // spread, left // spread
        scales[:, n] = 0
        if min(top, left) >= 0 and i < maps.shape[3] and j < maps.shape[4]:
            scales[:, n] = maps[:, top % spread, left % spread, i, j]
            found = images[:, top % spread, left % spread, i : i + 8, j : j + 8]
            windows[:, n] = found.reshape(len(images), 64)


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
def _best_vnni(typing: Any, windows: Any, scales: Any, count: Any, patterns: Any, best: Any) -> Any:
    """Raise 16 floats at `best` to the largest scaled sum of products among `count` windows, a multiple of 16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        windows, scales, count, patterns, best = arguments
        kept = cgutils.alloca_once(builder, REALS)
        builder.store(read(builder, best, REALS), kept)
        with cgutils.for_range(builder, builder.lshr(count, const(4))) as block:
            start = builder.add(windows, builder.mul(block.index, const(16 * 64)))
            sums = [ir.Constant(SUMS, [0] * 16) for _ in range(16)]
            for quad in range(16):
                pattern = read(builder, builder.add(patterns, const(64 * quad)), SUMS)
                for n in range(16):
                    pixels = read(builder, builder.add(start, const(64 * n + 4 * quad)), I32)
                    operands = [sums[n], splat(builder, pixels, SUMS), pattern]
                    sums[n] = call(builder, "llvm.x86.avx512.vpdpbusd.512", operands, SUMS)
            scale = builder.add(scales, builder.mul(block.index, const(64)))
            builder.store(_keep_largest(builder, builder.load(kept), sums, scale), kept)
        store = builder.store(builder.load(kept), builder.inttoptr(best, REALS.as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic  # type: ignore[untyped-decorator]
def _best_amx(typing: Any, windows: Any, scales: Any, count: Any, patterns: Any, best: Any, work: Any) -> Any:
    """Like `_best_vnni` in the tile registers, 48 windows at a time; `work` is the address of 3072 bytes."""

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


@kernel
def best_avx512(windows, scales, patterns, layout, work, best):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Like `best_numpy`."""
    for f in range(windows.shape[0]):
        for g in range(patterns.shape[0]):
            target = best[f, 16 * g :].ctypes.data
            p = patterns[g].ctypes.data
            _best_vnni(windows[f].ctypes.data, scales[f].ctypes.data, windows.shape[1], p, target)


def best_numpy(windows, scales, patterns, layout, work, best):  # type: ignore[no-untyped-def]
    """Find the window of each synthetic image that has the largest scaled product with each pattern.

    `windows` (m, n_windows, 64) uint8 and their `scales` (m, n_windows) float32; `patterns` (n_groups, 16, 16, 4) int8,
    four pixels of 16 images at a time. `best` (m, 16 * n_groups) float32 is raised to what was found.
    """
    columns = patterns.transpose(1, 3, 0, 2).reshape(64, -1).astype(np.float32)
    for f in range(windows.shape[0]):  # exact: 64 products of 8-bit numbers stay below 2**24
        found = (windows[f].astype(np.float32) @ columns) * scales[f, :, None]
        np.maximum(best[f], found.max(axis=0), out=best[f])


BEST: dict[str, Any] = {"amx": best_amx, "avx512": best_avx512, "numpy": best_numpy}  # the fastest first


@kernel
def add_gains(best, members, norms, yardsticks, floor, total):  # type: ignore[no-untyped-def]
    """Add to total (m, n) int32 by how many octaves each best match beats its yardstick, in steps of 2**-15.

    `members` are the columns of total that best (m, ...) is about, -1 for none. A yardstick is the bits of a float32.
    Between powers of two the logarithm is taken as linear, so that it is the difference of the bits, and the sum one of
    whole numbers.
    """
    rest = np.empty(best.shape[1], np.float32)
    bits = rest.view(np.int32)
    one, zero = np.float32(1.0), np.float32(0.0)
    for f in range(best.shape[0]):
        for i in range(best.shape[1]):
            rest[i] = max(one - best[f, i] * norms[i], zero) + floor
        for i in range(best.shape[1]):
            bits[i] = max(np.int32(yardsticks[i] - bits[i]), np.int32(0)) >> 8
        for i in range(best.shape[1]):
            if members[i] >= 0:
                total[f, members[i]] += bits[i]

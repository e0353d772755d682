# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Every compiled function of the local patches. They check nothing, raise nothing and own the rows they write.

The patches at one place of all real images lie in columns, (pixels, images), so that a vector holds one pixel of many
images and no sum runs across a vector. Pixels are float32 or float64 numbers that hold whole numbers, chosen so that
every sum of products is exact, in whatever order it is formed.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._compiler import call, kernel


@kernel
def box_sums(image, size, middle, out):  # type: ignore[no-untyped-def]
    """Sum the pixels less `middle`, and their squares, of all windows of size x size: into (2, h - size + 1, ...)."""
    h, w = image.shape
    column = np.zeros(w, np.int64)
    column_squares = np.zeros(w, np.int64)
    for y in range(h):
        for x in range(w):
            v = np.int64(image[y, x]) - middle
            column[x] += v
            column_squares[x] += v * v
        if y >= size:
            for x in range(w):
                v = np.int64(image[y - size, x]) - middle
                column[x] -= v
                column_squares[x] -= v * v
        if y >= size - 1:
            s = np.int64(0)
            q = np.int64(0)
            for x in range(w):
                s += column[x]
                q += column_squares[x]
                if x >= size:
                    s -= column[x - size]
                    q -= column_squares[x - size]
                if x >= size - 1:
                    out[0, y - size + 1, x - size + 1] = s
                    out[1, y - size + 1, x - size + 1] = q


@kernel
def gather(pixels, members, y, x, size, middle, patches, moments):  # type: ignore[no-untyped-def]
    """Write the patches at (y, x) of some images, less `middle`, as columns, their sums into moments (2, n)."""
    for i in range(members.shape[0]):
        image = pixels[members[i]]
        s = np.int64(0)
        q = np.int64(0)
        k = 0
        for dy in range(size):
            for dx in range(size):
                v = np.int64(image[y + dy, x + dx]) - middle
                s += v
                q += v * v
                patches[k, i] = v
                k += 1
        moments[0, i] = s
        moments[1, i] = q


@kernel
def window(image, y, x, size, middle, out):  # type: ignore[no-untyped-def]
    """Write the window at (y, x), less `middle`, into out (size * size,)."""
    k = 0
    for dy in range(size):
        for dx in range(size):
            out[k] = np.int64(image[y + dy, x + dx]) - middle
            k += 1


@kernel
def dots(patches, vector, out):  # type: ignore[no-untyped-def]
    """Dot products of the columns of patches (pixels, n) with one vector (pixels,), pixels a multiple of 4."""
    out[:] = 0
    for k in range(0, vector.shape[0], 4):
        p, q, r, s = patches[k], patches[k + 1], patches[k + 2], patches[k + 3]
        a, b, c, d = vector[k], vector[k + 1], vector[k + 2], vector[k + 3]
        for i in range(out.shape[0]):
            out[i] += (p[i] * a + q[i] * b) + (r[i] * c + s[i] * d)


@kernel
def search(patches, moments, y, x, size, image, box, offsets, middle, correlate, vector, dot, best, where):  # type: ignore[no-untyped-def]
    """Find the best window of one image for the patches at (y, x) of the real images, in columns.

    `moments` are the sums and sums of squares of these patches, `box` of all windows of the image, both less `middle`.
    The `offsets` (m, 2) are tried in their order. Into `best` go minus the least sum of squared differences or, to
    `correlate`, the largest correlation, float64, and into `where` the number of the offset, -1 if there was no window.
    """
    area = np.float64(size * size)
    best[:] = -np.inf
    where[:] = -1
    for o in range(offsets.shape[0]):
        top = y + offsets[o, 0]
        left = x + offsets[o, 1]
        if top < 0 or left < 0 or top >= box.shape[1] or left >= box.shape[2]:
            continue
        s = np.float64(box[0, top, left])
        q = np.float64(box[1, top, left])
        spread = area * q - s * s
        if correlate and spread == 0.0:
            continue
        window(image, top, left, size, middle, vector)
        dots(patches, vector, dot)
        for i in range(best.shape[0]):
            t = moments[0, i]
            if correlate:
                own = area * moments[1, i] - t * t
                found = (area * np.float64(dot[i]) - t * s) / np.sqrt(own * spread)
            else:
                found = 2.0 * np.float64(dot[i]) - (moments[1, i] + q)
            better = found > best[i]
            best[i] = found if better else best[i]
            where[i] = o if better else where[i]


@kernel
def search_all(  # type: ignore[no-untyped-def]
    pixels, members, sites, size, images, boxes, offsets, middle, correlate, patches, work, best, which, where
):
    """Find the best window of some synthetic images for every informative patch of the real ones.

    At site l, (y, x) = sites[l], the patches of the real images members[l], ended by -1, are informative. `images` are
    (n_fake, 1 or 2, h, w), as they are and mirrored, `boxes` (n_fake, 1 or 2, 2, ...) what `box_sums` says of them.
    Into best, which, where (n_real, n_sites) go the best value of `search`, the synthetic image, and the number of the
    offset, those of a mirrored image after all others; of equally good ones the first. `patches` and `work` are work
    space.
    """
    n_offsets = offsets.shape[0]
    value = np.empty(members.shape[1], np.float64)
    offset = np.empty(members.shape[1], np.int64)
    moments = np.empty((2, members.shape[1]), np.float64)
    for site in range(sites.shape[0]):
        n = np.sum(members[site] >= 0)
        y, x = sites[site]
        gather(pixels, members[site, :n], y, x, size, middle, patches, moments)
        for f in range(images.shape[0]):
            for turn in range(images.shape[1]):
                search(
                    patches[:, :n],
                    moments[:, :n],
                    y,
                    x,
                    size,
                    images[f, turn],
                    boxes[f, turn],
                    offsets,
                    middle,
                    correlate,
                    work[0, : patches.shape[0]],
                    work[1, :n],
                    value[:n],
                    offset[:n],
                )
                for i in range(n):
                    r = members[site, i]
                    if value[i] > best[r, site]:
                        best[r, site] = value[i]
                        which[r, site] = f
                        where[r, site] = offset[i] + turn * n_offsets


@kernel
def count(best, limit, out):  # type: ignore[no-untyped-def]
    """Add to out (n_real,) the sites whose best value reaches the limit."""
    for r in range(best.shape[0]):
        for site in range(best.shape[1]):
            out[r] += best[r, site] >= limit


# --- The best of many windows, for the score --------------------------------------------------------------------------
#
# A patch of 8 x 8 numbers is one cache line. The patterns of 16 real images, int8, lie as (16, 16, 4): four pixels of
# 16 images at a time, which both the vector and the tile instructions multiply with four pixels, uint8, of a window.

_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
_SUMS, _REALS = ir.VectorType(_I32, 16), ir.VectorType(_F32, 16)


def _const(value: int) -> Any:  # pragma: no cover
    return ir.Constant(_I64, value)


def _read(builder: Any, address: Any, kind: Any) -> Any:  # pragma: no cover
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def _splat(builder: Any, value: Any, kind: Any) -> Any:  # pragma: no cover
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), ir.Constant(_SUMS, [0] * 16))


def _keep_largest(builder: Any, best: Any, sums: list[Any], scales: Any) -> Any:  # pragma: no cover
    """Take the largest of `best` and all vectors of sums, each times its number at the address `scales`."""
    chains = [best] * 4  # that need not wait for each other
    for n, total in enumerate(sums):
        scale = _read(builder, builder.add(scales, _const(4 * n)), _F32)
        found = builder.fmul(builder.sitofp(total, _REALS), _splat(builder, scale, _REALS))
        chains[n % 4] = _larger(builder, found, chains[n % 4])
    return _larger(builder, _larger(builder, *chains[:2]), _larger(builder, *chains[2:]))


def _larger(builder: Any, x: Any, y: Any) -> Any:  # pragma: no cover
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


@intrinsic  # type: ignore[untyped-decorator]
def _best_vnni(typing: Any, windows: Any, scales: Any, count: Any, patterns: Any, best: Any) -> Any:  # pragma: no cover
    """Raise 16 floats at `best` to the largest scaled sum of products among `count` windows, a multiple of 16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        windows, scales, count, patterns, best = arguments
        kept = cgutils.alloca_once(builder, _REALS)
        builder.store(_read(builder, best, _REALS), kept)
        with cgutils.for_range(builder, builder.lshr(count, _const(4))) as block:
            start = builder.add(windows, builder.mul(block.index, _const(16 * 64)))
            sums = [ir.Constant(_SUMS, [0] * 16) for _ in range(16)]
            for quad in range(16):
                pattern = _read(builder, builder.add(patterns, _const(64 * quad)), _SUMS)
                for n in range(16):
                    pixels = _read(builder, builder.add(start, _const(64 * n + 4 * quad)), _I32)
                    operands = [sums[n], _splat(builder, pixels, _SUMS), pattern]
                    sums[n] = call(builder, "llvm.x86.avx512.vpdpbusd.512", operands, _SUMS)
            scale = builder.add(scales, builder.mul(block.index, _const(64)))
            builder.store(_keep_largest(builder, builder.load(kept), sums, scale), kept)
        store = builder.store(builder.load(kept), builder.inttoptr(best, _REALS.as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic  # type: ignore[untyped-decorator]
def _best_amx(typing: Any, windows: Any, scales: Any, count: Any, patterns: Any, best: Any, work: Any) -> Any:
    """Like `_best_vnni` in the tile registers, 48 windows at a time; `work` is the address of 3072 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover
        windows, scales, count, patterns, best, work = arguments
        tile = functools.partial(ir.Constant, _I8)

        def move(name: str, register: int, address: Any) -> None:
            pointer = builder.inttoptr(address, _I8.as_pointer())
            call(builder, name, [tile(register), pointer, _const(64)])

        kept = cgutils.alloca_once(builder, _REALS)
        builder.store(_read(builder, best, _REALS), kept)
        move("llvm.x86.tileloadd64", 7, patterns)
        with cgutils.for_range(builder, builder.udiv(count, _const(48))) as block:
            start = builder.add(windows, builder.mul(block.index, _const(48 * 64)))
            for n in range(3):
                move("llvm.x86.tileloadd64", 3 + n, builder.add(start, _const(1024 * n)))
                call(builder, "llvm.x86.tilezero", [tile(n)])
                call(builder, "llvm.x86.tdpbusd", [tile(n), tile(3 + n), tile(7)])
            for n in range(3):
                move("llvm.x86.tilestored64", n, builder.add(work, _const(1024 * n)))
            scale = builder.add(scales, builder.mul(block.index, _const(192)))
            sums = [_read(builder, builder.add(work, _const(64 * n)), _SUMS) for n in range(48)]
            builder.store(_keep_largest(builder, builder.load(kept), sums, scale), kept)
        store = builder.store(builder.load(kept), builder.inttoptr(best, _REALS.as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@intrinsic  # type: ignore[untyped-decorator]
def _dots_vnni(typing: Any, windows: Any, steps: Any, count: Any, patches: Any, out: Any) -> Any:  # pragma: no cover
    """Multiply `count` windows, a multiple of 16, of `steps` times 64 bytes, with 16 patches: (count, 16) int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        windows, steps, count, patches, out = arguments
        row = builder.mul(steps, _const(64))
        with cgutils.for_range(builder, builder.lshr(count, _const(4))) as block:
            start = builder.add(windows, builder.mul(builder.mul(block.index, _const(16)), row))
            kept = [cgutils.alloca_once(builder, _SUMS) for _ in range(16)]
            for place in kept:
                builder.store(ir.Constant(_SUMS, [0] * 16), place)
            with cgutils.for_range(builder, builder.mul(steps, _const(16))) as quad:
                pattern = _read(builder, builder.add(patches, builder.mul(quad.index, _const(64))), _SUMS)
                for n, place in enumerate(kept):
                    at = builder.add(builder.mul(row, _const(n)), builder.mul(quad.index, _const(4)))
                    pixels = _splat(builder, _read(builder, builder.add(start, at), _I32), _SUMS)
                    operands = [builder.load(place), pixels, pattern]
                    builder.store(call(builder, "llvm.x86.avx512.vpdpbusd.512", operands, _SUMS), place)
            for n, place in enumerate(kept):
                at = builder.add(out, builder.add(builder.mul(block.index, _const(1024)), _const(64 * n)))
                builder.store(builder.load(place), builder.inttoptr(at, _SUMS.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic  # type: ignore[untyped-decorator]
def _dots_amx(typing: Any, windows: Any, steps: Any, count: Any, patches: Any, out: Any) -> Any:  # pragma: no cover
    """Like `_dots_vnni` in the tile registers; `count` is a multiple of 48."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        windows, steps, count, patches, out = arguments
        tile = functools.partial(ir.Constant, _I8)
        row = builder.mul(steps, _const(64))

        def move(name: str, register: int, address: Any, stride: Any) -> None:
            call(builder, name, [tile(register), builder.inttoptr(address, _I8.as_pointer()), stride])

        with cgutils.for_range(builder, builder.udiv(count, _const(48))) as block:
            start = builder.add(windows, builder.mul(builder.mul(block.index, _const(48)), row))
            for n in range(3):
                call(builder, "llvm.x86.tilezero", [tile(n)])
            with cgutils.for_range(builder, steps) as step:
                move("llvm.x86.tileloadd64", 7, builder.add(patches, builder.mul(step.index, _const(1024))), _const(64))
                for n in range(3):
                    at = builder.add(builder.mul(row, _const(16 * n)), builder.mul(step.index, _const(64)))
                    move("llvm.x86.tileloadd64", 3 + n, builder.add(start, at), row)
                    call(builder, "llvm.x86.tdpbusd", [tile(n), tile(3 + n), tile(7)])
            for n in range(3):
                at = builder.add(builder.mul(block.index, _const(3072)), _const(1024 * n))
                move("llvm.x86.tilestored64", n, builder.add(out, at), _const(64))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic  # type: ignore[untyped-decorator]
def _amx_begin(typing: Any, layout: Any) -> Any:  # pragma: no cover
    """Shape the tile registers as the 64 bytes at the address `layout` say."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call(builder, "llvm.x86.ldtilecfg", [builder.inttoptr(arguments[0], _I8.as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _amx_end(typing: Any) -> Any:  # pragma: no cover
    """Give the tile registers back."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call(builder, "llvm.x86.tilerelease", [])
        return context.get_dummy_value()

    return types.void(), generate


@kernel
def best_amx(windows, scales, patterns, layout, work, best):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `best_numpy`; `layout` shapes the tile registers, `work` is (48, 16) int32."""
    _amx_begin(layout.ctypes.data)
    z = work.ctypes.data
    for g in range(patterns.shape[0]):
        p = patterns[g].ctypes.data
        for f in range(windows.shape[0]):
            target = best[f, 16 * g :].ctypes.data
            _best_amx(windows[f].ctypes.data, scales[f].ctypes.data, windows.shape[1], p, target, z)
    _amx_end()


@kernel
def best_avx512(windows, scales, patterns, layout, work, best):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `best_numpy`."""
    for f in range(windows.shape[0]):
        for g in range(patterns.shape[0]):
            target = best[f, 16 * g :].ctypes.data
            p = patterns[g].ctypes.data
            _best_vnni(windows[f].ctypes.data, scales[f].ctypes.data, windows.shape[1], p, target)


@kernel
def products_amx(windows, patches, layout, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Multiply windows (count, steps * 64) uint8 with patches (n_groups, steps * 16, 16, 4) int8."""
    _amx_begin(layout.ctypes.data)
    for g in range(patches.shape[0]):
        x, y = windows.ctypes.data, patches[g].ctypes.data
        _dots_amx(x, windows.shape[1] // 64, windows.shape[0], y, out[g].ctypes.data)
    _amx_end()


@kernel
def products_avx512(windows, patches, layout, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Like `products_amx`."""
    for g in range(patches.shape[0]):
        x, y = windows.ctypes.data, patches[g].ctypes.data
        _dots_vnni(x, windows.shape[1] // 64, windows.shape[0], y, out[g].ctypes.data)


OUTSIDE = 2**30  # beyond twice every product and every sum of squares
PRODUCTS: dict[str, Any] = {"amx": products_amx, "avx512": products_avx512}  # the fastest first


@intrinsic  # type: ignore[untyped-decorator]
def _copy16(typing: Any, source: Any, stride: Any, target: Any) -> Any:  # pragma: no cover
    """Copy 16 rows of 16 bytes, `stride` bytes apart, to 256 bytes in a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, stride, target = arguments
        kind = ir.VectorType(_I8, 16)
        for row in range(16):
            value = _read(builder, builder.add(source, builder.mul(stride, _const(row))), kind)
            place = builder.inttoptr(builder.add(target, _const(16 * row)), kind.as_pointer())
            builder.store(value, place).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@kernel
def pack(pixels, members, y, x, size, patches, moments):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lay out the 8-bit patches at (y, x) less 128 as `products_amx` takes them, and sum them up as `gather` does."""
    for i in range(members.shape[0]):
        image = pixels[members[i]]
        target = patches[i // 16, :, i % 16]
        s = np.int64(0)
        q = np.int64(0)
        k = 0
        for dy in range(size):
            for dx in range(size):
                v = np.int64(image[y + dy, x + dx]) - 128
                s += v
                q += v * v
                target[k >> 2, k & 3] = v
                k += 1
        moments[0, i] = s
        moments[1, i] = q


@kernel
def cut(y, x, size, images, boxes, offsets, windows, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lay out the windows around (y, x) of all images (n, h, w) as `products_amx` takes them.

    They go to windows (n * span, steps * 64) uint8, `span` for each image, and their sums and sums of squares less 128
    to `sums` (2, n * span) int32, where squares of `OUTSIDE` mark a window that does not lie within the image.
    """
    span = windows.shape[0] // images.shape[0]
    for f in range(images.shape[0]):
        image = images[f]
        box = boxes[f]
        for o in range(offsets.shape[0]):
            row = f * span + o
            top = y + offsets[o, 0]
            left = x + offsets[o, 1]
            sums[1, row] = OUTSIDE
            if top >= 0 and left >= 0 and top < box.shape[1] and left < box.shape[2]:
                sums[0, row] = box[0, top, left]
                sums[1, row] = box[1, top, left]
                if size == 16:
                    _copy16(image[top, left:].ctypes.data, image.strides[0], windows[row].ctypes.data)
                else:
                    for dy in range(size):
                        for dx in range(size):
                            windows[row, dy * size + dx] = image[top + dy, left + dx]


@intrinsic  # type: ignore[untyped-decorator]
def _nearest(typing: Any, products: Any, squares: Any, count: Any, keys: Any, numbers: Any) -> Any:  # pragma: no cover
    """Find the first largest of 2 * products - squares among `count` rows of 16: into 16 `keys` and 16 `numbers`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        products, squares, count, keys, numbers = arguments
        key, number = (cgutils.alloca_once(builder, _SUMS) for _ in range(2))
        builder.store(ir.Constant(_SUMS, [-(OUTSIDE // 2)] * 16), key)
        builder.store(ir.Constant(_SUMS, [-1] * 16), number)
        with cgutils.for_range(builder, count) as row:
            found = _read(builder, builder.add(products, builder.mul(row.index, _const(64))), _SUMS)
            square = _read(builder, builder.add(squares, builder.mul(row.index, _const(4))), _I32)
            found = builder.sub(builder.add(found, found), _splat(builder, square, _SUMS))
            better = builder.icmp_signed(">", found, builder.load(key))
            at = _splat(builder, builder.trunc(row.index, _I32), _SUMS)
            builder.store(builder.select(better, found, builder.load(key)), key)
            builder.store(builder.select(better, at, builder.load(number)), number)
        for place, target in ((key, keys), (number, numbers)):
            builder.store(builder.load(place), builder.inttoptr(target, _SUMS.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@kernel
def choose(products, members, moments, sums, turns, area, correlate, site, best, which, where, n_offsets):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do to `best`, `which`, `where` at one site what `search_all` does, given all products of 8-bit patches."""
    values = np.empty(16, np.float64)
    numbers = np.empty(16, np.int32)
    keys = np.empty(16, np.int32)
    span = -(-n_offsets // 48) * 48
    for g in range(products.shape[0]):
        lanes = min(16, members.shape[0] - 16 * g)
        for f in range(products.shape[1] // span):
            first = f * span
            if correlate:
                numbers[:] = -1
                values[:] = -np.inf
                for o in range(n_offsets):
                    q = np.float64(sums[1, first + o])
                    s = np.float64(sums[0, first + o])
                    spread = area * q - s * s
                    if sums[1, first + o] == OUTSIDE or spread == 0.0:
                        continue
                    row = products[g, first + o]
                    for i in range(lanes):
                        t = moments[0, 16 * g + i]
                        own = area * moments[1, 16 * g + i] - t * t
                        found = (area * (np.float64(row[i]) - 128.0 * t) - t * s) / np.sqrt(own * spread)
                        better = found > values[i]
                        values[i] = found if better else values[i]
                        numbers[i] = o if better else numbers[i]
            else:
                row, squares = products[g, first:].ctypes.data, sums[1, first:].ctypes.data
                _nearest(row, squares, n_offsets, keys.ctypes.data, numbers.ctypes.data)
                for i in range(lanes):
                    rest = 256.0 * moments[0, 16 * g + i] + moments[1, 16 * g + i]
                    values[i] = np.float64(keys[i]) - rest if numbers[i] >= 0 else -np.inf
            for i in range(lanes):
                r = members[16 * g + i]
                if values[i] > best[r, site]:
                    best[r, site] = values[i]
                    which[r, site] = f // turns
                    where[r, site] = numbers[i] + f % turns * n_offsets


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
def _copy_window(typing: Any, source: Any, stride: Any, target: Any) -> Any:  # pragma: no cover
    """Copy 8 rows of 8 bytes, `stride` bytes apart, to 64 bytes in a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, stride, target = arguments
        for row in range(8):
            value = _read(builder, builder.add(source, builder.mul(stride, _const(row))), _I64)
            place = builder.inttoptr(builder.add(target, _const(8 * row)), _I64.as_pointer())
            builder.store(value, place).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@kernel
def gather_windows(images, maps, y, x, radius, windows, scales):  # type: ignore[no-untyped-def]  # pragma: no cover
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

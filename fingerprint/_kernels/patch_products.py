# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Every compiled function of the search for patches. They check nothing, raise nothing and own the rows they write.

The patches at one place of all real images lie in columns, (pixels, images), so that a vector holds one pixel of many
images and no sum runs across a vector. Pixels are float32 or float64 numbers that hold whole numbers, chosen so that
every sum of products is exact, in whatever order it is formed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import cgutils, kernel
from fingerprint._kernels.llvm import I8, I32, SUMS, add_products_of_bytes, const, read, splat


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


# --- 8-bit images, in vectors -----------------------------------------------------------------------------------------
#
# The patches of 16 real images, int8, lie as (pixels / 4, 16, 4): four pixels of 16 images at a time, which are
# multiplied with four pixels, uint8, of a window.


@intrinsic  # type: ignore[untyped-decorator]
def _dots(typing: Any, windows: Any, steps: Any, count: Any, patches: Any, out: Any) -> Any:
    """Multiply `count` windows, a multiple of 16, of `steps` times 64 bytes, with 16 patches: (count, 16) int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        windows, steps, count, patches, out = arguments
        row = builder.mul(steps, const(64))
        with cgutils.for_range(builder, builder.lshr(count, const(4))) as block:
            start = builder.add(windows, builder.mul(builder.mul(block.index, const(16)), row))
            kept = [cgutils.alloca_once(builder, SUMS) for _ in range(16)]
            for place in kept:
                builder.store(ir.Constant(SUMS, [0] * 16), place)
            with cgutils.for_range(builder, builder.mul(steps, const(16))) as quad:
                pattern = read(builder, builder.add(patches, builder.mul(quad.index, const(64))), SUMS)
                for n, place in enumerate(kept):
                    at = builder.add(builder.mul(row, const(n)), builder.mul(quad.index, const(4)))
                    pixels = splat(builder, read(builder, builder.add(start, at), I32), SUMS)
                    operands = [builder.load(place), pixels, pattern]
                    builder.store(add_products_of_bytes(builder, *operands), place)
            for n, place in enumerate(kept):
                at = builder.add(out, builder.add(builder.mul(block.index, const(1024)), const(64 * n)))
                builder.store(builder.load(place), builder.inttoptr(at, SUMS.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@kernel
def products(windows, patches, out):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Multiply windows (count, steps * 64) uint8 with patches (n_groups, steps * 16, 16, 4) int8."""
    for g in range(patches.shape[0]):
        x, y = windows.ctypes.data, patches[g].ctypes.data
        _dots(x, windows.shape[1] // 64, windows.shape[0], y, out[g].ctypes.data)


OUTSIDE = 2**30  # beyond twice every product and every sum of squares


@intrinsic  # type: ignore[untyped-decorator]
def _copy16(typing: Any, source: Any, stride: Any, target: Any) -> Any:
    """Copy 16 rows of 16 bytes, `stride` bytes apart, to 256 bytes in a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, stride, target = arguments
        kind = ir.VectorType(I8, 16)
        for row in range(16):
            value = read(builder, builder.add(source, builder.mul(stride, const(row))), kind)
            place = builder.inttoptr(builder.add(target, const(16 * row)), kind.as_pointer())
            builder.store(value, place).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@kernel
def pack(pixels, members, y, x, size, patches, moments):  # type: ignore[no-untyped-def]
    """Lay out the 8-bit patches at (y, x) less 128 as `products` takes them, and sum them up as `gather` does."""
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
def cut(y, x, size, images, boxes, offsets, windows, sums):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Lay out the windows around (y, x) of all images (n, h, w) as `products` takes them.

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
def _nearest(typing: Any, products: Any, squares: Any, count: Any, keys: Any, numbers: Any) -> Any:
    """Find the first largest of 2 * products - squares among `count` rows of 16: into 16 `keys` and 16 `numbers`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        products, squares, count, keys, numbers = arguments
        key, number = (cgutils.alloca_once(builder, SUMS) for _ in range(2))
        builder.store(ir.Constant(SUMS, [-(OUTSIDE // 2)] * 16), key)
        builder.store(ir.Constant(SUMS, [-1] * 16), number)
        with cgutils.for_range(builder, count) as row:
            found = read(builder, builder.add(products, builder.mul(row.index, const(64))), SUMS)
            square = read(builder, builder.add(squares, builder.mul(row.index, const(4))), I32)
            found = builder.sub(builder.add(found, found), splat(builder, square, SUMS))
            better = builder.icmp_signed(">", found, builder.load(key))
            at = splat(builder, builder.trunc(row.index, I32), SUMS)
            builder.store(builder.select(better, found, builder.load(key)), key)
            builder.store(builder.select(better, at, builder.load(number)), number)
        for place, target in ((key, keys), (number, numbers)):
            builder.store(builder.load(place), builder.inttoptr(target, SUMS.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@kernel
def choose(products, members, moments, sums, turns, area, correlate, site, best, which, where, n_offsets):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Do to `best`, `which`, `where` at one site what `search_all` does, given all products of 8-bit patches."""
    values = np.empty(16, np.float64)
    numbers = np.empty(16, np.int32)
    keys = np.empty(16, np.int32)
    span = -(-n_offsets // 16) * 16
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

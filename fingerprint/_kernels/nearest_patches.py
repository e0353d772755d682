# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""The nearest patches by squared difference, of 8-bit images, with vector instructions.

The lanes are windows. The four pixels from a place on are a word, and the words of an image lie in a map, so that those
of all windows around a place are rows of it; they are multiplied with four pixels of one patch at a time. Which patches
can match at all is asked first, of block sums, which bound every squared difference from below.

These functions check nothing, raise nothing and own the rows they write.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, cgutils, kernel
from fingerprint._kernels.llvm import (
    AVX512,
    I32,
    I64,
    SUMS,
    add_products_of_bytes,
    add_products_of_words,
    const,
    lay_windows,
    pair_of,
    read,
    splat,
    write,
)

NOWHERE = 2**30  # beyond every sum of squares, and twice every product of bytes


@kernel
def lay_out(image, squares, radius, words, sums):  # type: ignore[no-untyped-def]
    """Write the map of an 8-bit image, that of its windows' sums of squares, and `NOWHERE` where no window lies.

    At [radius + y, radius + x] for the pixel at (y, x), and the window whose first pixel it is. Four pixels to a word;
    what lies beyond the edge is 0.
    """
    h, w = image.shape
    words[:] = 0
    sums[:] = NOWHERE
    line = np.zeros(w + 3, np.uint8)
    a, b, c, d = line[:w], line[1 : 1 + w], line[2 : 2 + w], line[3 : 3 + w]
    for y in range(h):
        source, target = image[y], words[radius + y, radius : radius + w]
        for x in range(w):
            a[x] = source[x]
        for x in range(w):
            left = np.uint32(np.uint32(a[x]) | np.uint32(np.uint32(b[x]) << np.uint32(8)))
            right = np.uint32(np.uint32(c[x]) | np.uint32(np.uint32(d[x]) << np.uint32(8)))
            target[x] = np.uint32(left | np.uint32(right << np.uint32(16)))
    for y in range(squares.shape[0]):
        row, place = squares[y], sums[radius + y, radius : radius + squares.shape[1]]
        for x in range(row.shape[0]):
            place[x] = row[x]


@kernel
def sketch(image, squares, block, radius, pairs, lengths, halves):  # type: ignore[no-untyped-def]
    """Write three maps that bound the distances of the windows of 4 x 4 blocks of an image, 8 bits, from below.

    The sums of the 16 blocks, less 128 a pixel, and `block` times the length of what the window has beside their means,
    rounded, make a vector. Times `block`, two windows or patches lie no nearer than their vectors, but for 1 that was
    rounded. At [radius + y, radius + x], for the block or window whose first pixel is (y, x), int32:

    - pairs: the sum of the block and, in the upper 16 bits, that of the next to the right;
    - lengths: that of the rest. `squares` are the sums of squares of the windows, less 128 a pixel;
    - halves: minus half the sum of the squares of the vector, rounded up; minus `NOWHERE` where no window lies.
    """
    h, w = image.shape[0] - block + 1, image.shape[1] - block + 1
    sums = np.empty((h, w), np.int32)
    across = np.zeros((h, w), np.int32)  # squares of four blocks in a row
    column = np.zeros(image.shape[1], np.int32)
    pairs[:] = 0
    lengths[:] = 0
    halves[:] = -NOWHERE
    for y in range(image.shape[0]):
        added = image[y]
        for x in range(column.shape[0]):
            column[x] = np.int32(column[x] + np.int32(np.int32(added[x]) - np.int32(128)))
        if y >= block:
            gone = image[y - block]
            for x in range(column.shape[0]):
                column[x] = np.int32(column[x] - np.int32(np.int32(gone[x]) - np.int32(128)))
        if y >= block - 1:
            row = sums[y - block + 1]
            row[:] = 0
            for n in range(block):
                part = column[n : n + w]
                for x in range(w):
                    row[x] = np.int32(row[x] + part[x])
    last = w - 3 * block
    for y in range(h):
        row, total, target = sums[y], across[y], pairs[radius + y, radius : radius + w - block]
        right = row[block:]
        for x in range(target.shape[0]):
            target[x] = np.int32(np.int32(row[x] & np.int32(65535)) | np.int32(right[x] << np.int32(16)))
        for n in range(4):
            part = row[n * block :]
            for x in range(last):
                total[x] = np.int32(total[x] + np.int32(part[x] * part[x]))
    for y in range(h - 3 * block):
        a, b, c, d = across[y], across[y + block], across[y + 2 * block], across[y + 3 * block]
        whole, length, half = squares[y], lengths[radius + y, radius:], halves[radius + y, radius:]
        for x in range(last):
            total = np.int32(np.int32(a[x] + b[x]) + np.int32(c[x] + d[x]))
            rest = np.int32(np.sqrt(np.float64(block * block * whole[x] - total)) + 0.5)
            length[x] = rest
            half[x] = -(np.int32(total + np.int32(rest * rest)) >> np.int32(1))


@kernel
def lay_patches(pixels, members, y, x, patches, rests, sketches):  # type: ignore[no-untyped-def]
    """Lay out the 8-bit patches at (y, x) of some images as `nearest_vectors` takes them.

    Into patches (n, size, 4 * across) int8 go their pixels less 128; into rests (n,) what is to be taken off a key, for
    minus the squared difference; and into sketches (n, 10) int32, unless these are none, what `sketch` makes of them:
    eight pairs of sums, the length of the rest, and the sum of all their squares.
    """
    size = patches.shape[1]
    block = size // 4
    sums = np.empty(16, np.int32)
    for i in range(members.shape[0]):
        image = pixels[members[i]]
        sums[:] = 0
        total = np.int64(0)
        squares = np.int64(0)
        for dy in range(size):
            row, target = image[y + dy, x : x + size], patches[i, dy]
            for dx in range(size):
                v = np.int32(np.int32(row[dx]) - np.int32(128))
                target[dx] = v
                total += v
                squares += np.int32(v * v)
        rests[i] = 256.0 * total + squares
        if sketches.shape[0] == 0:
            continue
        for dy in range(size):
            for c in range(4):
                s = np.int32(0)
                for dx in range(block * c, block * c + block):
                    s = np.int32(s + np.int32(patches[i, dy, dx]))
                sums[dy // block * 4 + c] += s
        own = np.int64(0)
        for n in range(16):
            own += np.int64(sums[n]) * np.int64(sums[n])
        for n in range(8):
            low, high = np.int32(sums[2 * n] & np.int32(65535)), np.int32(sums[2 * n + 1] << np.int32(16))
            sketches[i, n] = np.int32(low | high)
        rest = np.int64(np.sqrt(np.float64(block * block * squares - own)) + 0.5)
        sketches[i, 8] = rest
        sketches[i, 9] = own + rest * rest


@kernel
def _least(squares, block, value):  # type: ignore[no-untyped-def]
    """Return what the product of two sketches, less half the squares of one, reaches at least in a match of this value.

    `squares` are those of the other one, and `value` minus the squared distance of the match.
    """
    if value == -np.inf:
        return np.int32(-2147483647)
    reach = block * np.sqrt(-value) + 1.0
    return np.int32(max((squares - reach * reach) / 2.0 - 1.0, -2147483647.0))


@intrinsic  # type: ignore[untyped-decorator]
def _sift(typing: Any, marks: Any, row: Any, vectors: Any, sketches: Any, limits: Any, count: Any, chosen: Any) -> Any:
    """Return how many of `count` patches may match some of 16 * vectors windows; their numbers go to `chosen`, int32.

    `marks` are ten rows of `row` bytes, what `sketch` makes of the windows, and `sketches` ten words of each patch.
    What the product of nine of these, less half the squares of the window, must reach, `limits` int32 says.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        marks, row, vectors, sketches, limits, count, chosen = arguments
        found = cgutils.alloca_once_value(builder, const(0))
        largest = [cgutils.alloca_once(builder, SUMS) for _ in range(2)]
        with cgutils.for_range(builder, builder.lshr(builder.add(count, const(1)), const(1))) as pair:
            *places, alone = pair_of(builder, pair.index, count)
            words = []
            for place, most in zip(places, largest, strict=True):
                start = builder.add(sketches, builder.mul(place, const(40)))
                words.append(
                    [splat(builder, read(builder, builder.add(start, const(4 * n)), I32), SUMS) for n in range(9)]
                )
                builder.store(ir.Constant(SUMS, [-(2**31)] * 16), most)
            with cgutils.for_range(builder, vectors) as v:
                column = builder.add(marks, builder.mul(v.index, const(64)))
                *sums, start = (read(builder, builder.add(column, builder.mul(row, const(n))), SUMS) for n in range(10))
                for own, most in zip(words, largest, strict=True):
                    total = start
                    for two, word in zip(sums, own, strict=True):
                        total = add_products_of_words(builder, total, two, word)
                    before = builder.load(most)
                    builder.store(builder.select(builder.icmp_signed(">", total, before), total, before), most)
            for place, most, twice in zip(places, largest, (ir.Constant(ir.IntType(1), 0), alone), strict=True):
                limit = read(builder, builder.add(limits, builder.mul(place, const(4))), I32)
                reached = builder.icmp_signed(">=", builder.load(most), splat(builder, limit, SUMS))
                mask = builder.bitcast(reached, ir.IntType(16))
                hit = builder.icmp_unsigned("!=", mask, ir.Constant(mask.type, 0))
                so_far = builder.load(found)
                write(builder, builder.trunc(place, I32), builder.add(chosen, builder.mul(so_far, const(4))))
                builder.store(builder.add(so_far, builder.zext(builder.and_(hit, builder.not_(twice)), I64)), found)
        return builder.load(found)

    return types.int64(*[types.int64] * 7), generate


def _nearest_of(vectors: int) -> Any:
    """Return an intrinsic f(windows, row, steps, sums, ranks, patches, chosen, count, keys, numbers).

    It raises `count` keys to the largest of 2 * product - sum of 16 * vectors windows with each chosen patch, of equal
    ones that of the lowest rank, which goes to `numbers`. `windows` are rows of `row` bytes, one for each of `steps`
    words of a patch. Two patches at a time share what is read of the windows.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        windows, row, steps, sums, ranks, patches, chosen, count, keys, numbers = arguments
        length = builder.mul(steps, const(4))
        kept = [[cgutils.alloca_once(builder, SUMS) for _ in range(vectors)] for _ in range(2)]
        with cgutils.for_range(builder, builder.lshr(builder.add(count, const(1)), const(1))) as pair:
            places = pair_of(builder, pair.index, count)[:2]
            starts = []
            for place in places:
                number = read(builder, builder.add(chosen, builder.mul(place, const(4))), I32)
                starts.append(builder.add(patches, builder.mul(builder.zext(number, I64), length)))
            for accumulator in (*kept[0], *kept[1]):
                builder.store(ir.Constant(SUMS, [0] * 16), accumulator)
            with cgutils.for_range(builder, steps) as step:
                offset = builder.mul(step.index, const(4))
                pixels = [splat(builder, read(builder, builder.add(start, offset), I32), SUMS) for start in starts]
                line = builder.add(windows, builder.mul(step.index, row))
                for v in range(vectors):
                    words = read(builder, builder.add(line, const(64 * v)), SUMS)
                    for own, four in zip(kept, pixels, strict=True):
                        total = add_products_of_bytes(builder, builder.load(own[v]), words, four)
                        builder.store(total, own[v])
            for place, own in zip(places, kept, strict=True):
                found = []
                for v, accumulator in enumerate(own):
                    product = builder.load(accumulator)
                    square = read(builder, builder.add(sums, const(64 * v)), SUMS)
                    found.append(builder.sub(builder.add(product, product), square))
                largest = found[0]
                for other in found[1:]:
                    largest = builder.select(builder.icmp_signed(">", other, largest), other, largest)
                key = call(builder, "llvm.vector.reduce.smax.v16i32", [largest], I32)
                lowest = ir.Constant(SUMS, [2**31 - 1] * 16)
                for v, other in enumerate(found):
                    rank = read(builder, builder.add(ranks, const(64 * v)), SUMS)
                    take = builder.and_(
                        builder.icmp_signed("==", other, splat(builder, key, SUMS)),
                        builder.icmp_signed("<", rank, lowest),
                    )
                    lowest = builder.select(take, rank, lowest)
                number = call(builder, "llvm.vector.reduce.smin.v16i32", [lowest], I32)
                at_key, at_number = (builder.add(base, builder.mul(place, const(4))) for base in (keys, numbers))
                before, number_before = read(builder, at_key, I32), read(builder, at_number, I32)
                better = builder.or_(
                    builder.icmp_signed(">", key, before),
                    builder.and_(
                        builder.icmp_signed("==", key, before), builder.icmp_signed("<", number, number_before)
                    ),
                )
                write(builder, builder.select(better, key, before), at_key)
                write(builder, builder.select(better, number, number_before), at_number)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def nearest(  # pragma: no cover  (not without a compiler)
        typing: Any,
        windows: Any,
        row: Any,
        steps: Any,
        sums: Any,
        ranks: Any,
        patches: Any,
        chosen: Any,
        count: Any,
        keys: Any,
        numbers: Any,
    ) -> Any:
        return types.void(*[types.int64] * 10), generate

    return nearest


_nearest2, _nearest6 = _nearest_of(2), _nearest_of(6)


@kernel
def nearest_vectors(  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    maps, place, laid_out, members, first, turns, site, space, limits, found
):
    """Do to best, which, where at one site what `search_all` does to squared differences of 8-bit images.

    But for matches that are worse than `limits` (n_real, n_sites) says. `maps` are those of `lay_out` and `sketch`, of
    the images from number `first` on; `laid_out` what `lay_patches` makes of the `members`. Without sketches, every
    window is searched. `place` are the radius, the size, the ranks of the offsets, row by row, in the order in which
    they are tried, and (y, x); `space` is work space.
    """
    words, sums, pairs, lengths, halves = maps
    radius, size, ranks, y, x = place
    patches, rests, sketches = laid_out
    windows, squares, marks = space
    best, which, where = found
    side, across, block, row = 2 * radius + 1, -(-size // 4), size // 4, 4 * squares.shape[0]
    n, vectors = patches.shape[0], -(-side * side // 16)
    chosen, bars = np.arange(n).astype(np.uint32), np.empty(n, np.int32)
    keys, numbers = np.empty(n, np.int32), np.empty(n, np.int32)
    known, image, at = np.empty(n, np.float64), np.full(n, -1), np.empty(n, np.int64)
    for i in range(n):
        known[i] = best[members[i], site]
        if sketches.shape[0]:
            bars[i] = _least(sketches[i, 9], block, max(known[i], limits[members[i], site]))
    w, s, m = windows.ctypes.data, squares.ctypes.data, marks.ctypes.data
    r, p, k, q, c = ranks.ctypes.data, patches.ctypes.data, keys.ctypes.data, numbers.ctypes.data, chosen.ctypes.data
    for f in range(words.shape[0]):
        count = n
        if sketches.shape[0]:
            for left in range((side - 1) // 16 * 16, -1, -16):
                source = pairs[f, y:, x + left :].ctypes.data
                lay_windows(source, pairs.strides[1], block, 2 * block, 4, 2, side, m + 4 * left, row)
                for line, plane in ((8, lengths), (9, halves)):
                    source = plane[f, y:, x + left :].ctypes.data
                    lay_windows(source, plane.strides[1], 0, 0, 1, 1, side, m + line * row + 4 * left, 0)
            marks[9, side * side :] = -NOWHERE
            count = _sift(m, row, vectors, sketches.ctypes.data, bars.ctypes.data, n, c)
            if count == 0:
                continue
        for left in range((side - 1) // 16 * 16, -1, -16):
            source = words[f, y:, x + left :].ctypes.data
            lay_windows(source, words.strides[1], 1, 4, size, across, side, w + 4 * left, row)
            lay_windows(sums[f, y:, x + left :].ctypes.data, sums.strides[1], 0, 0, 1, 1, side, s + 4 * left, 0)
        squares[side * side :] = NOWHERE
        keys[:] = -NOWHERE // 2
        numbers[:] = -1
        vector = 0
        while vector < vectors:
            o = 64 * vector
            if AVX512 and vectors - vector > 4:
                _nearest6(w + o, row, windows.shape[0], s + o, r + o, p, c, count, k, q)
                vector += 6
            else:
                _nearest2(w + o, row, windows.shape[0], s + o, r + o, p, c, count, k, q)
                vector += 2
        for i in range(count):
            j = chosen[i]
            value = np.float64(keys[i]) - rests[j]
            if numbers[i] >= 0 and value > known[j]:
                known[j] = value
                image[j] = (first + f) // turns
                at[j] = numbers[i] + (first + f) % turns * (side * side)
                if sketches.shape[0]:
                    bars[j] = max(bars[j], _least(sketches[j, 9], block, value))
    for i in range(n):
        if image[i] >= 0:
            best[members[i], site] = known[i]
            which[members[i], site] = image[i]
            where[members[i], site] = at[i]

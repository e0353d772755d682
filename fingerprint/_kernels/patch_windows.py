"""Images reduced to cells, and these laid out as the windows in which `patch_gains` searches for patches."""

from __future__ import annotations

import numpy as np

from fingerprint._kernels.compiler import kernel, part


@part
def _cell_grid(image, step, spread, out):  # type: ignore[no-untyped-def]
    """Sum cells of 1 or 2 x 2 squares (`spread`) of `step` x `step` pixels, one at every square, into out int32."""
    h, w = out.shape
    squares = np.zeros((h + spread - 1, w + spread - 1), np.int32)
    down = np.empty(squares.shape[1] * step, np.int32)  # sums of pixels below each other
    for y in range(squares.shape[0]):
        target = squares[y]
        down[:] = 0
        for dy in range(step):
            row = image[y * step + dy]
            for x in range(down.shape[0]):
                down[x] = np.int32(down[x] + np.int32(row[x]))
        if step == 2:  # of images of 256 x 256; the compiler has vector instructions for two side by side
            for x in range(target.shape[0]):
                target[x] = np.int32(down[2 * x] + down[2 * x + 1])
        else:
            for x in range(target.shape[0]):
                for dx in range(step):
                    target[x] = np.int32(target[x] + down[step * x + dx])
    for y in range(h):
        upper, lower, target = squares[y], squares[y + spread - 1], out[y]
        for x in range(w):
            if spread == 1:
                target[x] = upper[x]
            else:
                target[x] = np.int32(np.int32(upper[x] + upper[x + 1]) + np.int32(lower[x] + lower[x + 1]))


@part
def _stretch(grid, out):  # type: ignore[no-untyped-def]
    """Stretch a grid of sums, int32, to the range of out uint8."""
    low = high = grid[0, 0]
    for y in range(grid.shape[0]):
        source = grid[y]
        for x in range(grid.shape[1]):
            low, high = min(low, source[x]), max(high, source[x])
    spread = np.int64(high) - np.int64(low)
    factor = np.float32(255.0 / spread if spread > 0 else 255.0)
    for y in range(grid.shape[0]):
        source, target = grid[y], out[y]
        for x in range(grid.shape[1]):
            target[x] = np.int32(np.float32(np.int32(source[x] - low)) * factor + np.float32(0.5))


@kernel
def reduce(images, step, spread, out):  # type: ignore[no-untyped-def]
    """Reduce images (m, h, w) to cells, each stretched to the range of out uint8, see `_cell_grid`."""
    sums = np.empty(out.shape[1:], np.int32)
    for i in range(images.shape[0]):
        _cell_grid(images[i], step, spread, sums)
        _stretch(sums, out[i])


@kernel
def lay_out(images, spread, radius, words, sums, scales):  # type: ignore[no-untyped-def]
    """Lay out and weigh the windows of images (m, h, w) uint8, each as `_lay_out` does."""
    for i in range(images.shape[0]):
        _lay_out(images[i], spread, radius, words[i], sums[i], scales[i])


@part
def _lay_out(image, spread, radius, words, sums, scales):  # type: ignore[no-untyped-def]
    """Lay out and weigh the windows of 8 x 8 numbers, `spread` apart, of an image (h, w) uint8.

    At [radius + y, radius + x] words uint32 gets the number at (y, x) and the three to its right; and, for the window
    whose first number it is, sums float32 the sum and scales float32 64 / (8 * norm of the window about its mean), or 0
    where it is flat. What lies outside is left alone.
    """
    h, w = image.shape
    for y in range(h):
        source = image[y]
        row = words[radius + y, radius : radius + w - 3 * spread]
        a, b, c, d = source, source[spread:], source[2 * spread :], source[3 * spread :]
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
            total, scale = sums[radius + y - 7 * spread, radius:], scales[radius + y - 7 * spread, radius:]
            a, b, d = 2 * spread, 4 * spread, 6 * spread
            for x in range(w - 7 * spread):
                s = np.int32(np.int32(pairs[0, x] + pairs[0, x + a]) + np.int32(pairs[0, x + b] + pairs[0, x + d]))
                t = np.int32(np.int32(pairs[1, x] + pairs[1, x + a]) + np.int32(pairs[1, x + b] + pairs[1, x + d]))
                varied = np.float32(np.int32(np.int32(64 * t) - np.int32(s * s)))
                total[x] = np.float32(s)
                scale[x] = np.float32(64.0) / np.sqrt(varied) if varied > 0 else np.float32(0.0)

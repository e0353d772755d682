"""Every compiled function of the local patches. They check nothing, raise nothing and own the rows they write.

The patches at one place of all real images lie in columns, (pixels, images), so that a vector holds one pixel of many
images and no sum runs across a vector. Pixels are float32 or float64 numbers that hold whole numbers, chosen so that
every sum of products is exact, in whatever order it is formed.
"""

from __future__ import annotations

import numpy as np

from fingerprint._kernels import kernel


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

"""Gains by the book: plain loops, definitions, no cleverness."""

import itertools
import math

import numpy as np


def cells(image, cell, step):
    """Return {(y, x): sum} of the cells at every step."""
    height, width = image.shape
    return {
        (y, x): int(image[y : y + cell, x : x + cell].astype(int).sum())
        for y in range(0, height - cell + 1, step)
        for x in range(0, width - cell + 1, step)
    }


def eight_by_eight(sums, y, x, cell):
    cut = [[sums.get((y + cell * r, x + cell * c)) for c in range(8)] for r in range(8)]
    return None if any(v is None for row in cut for v in row) else np.array(cut, float)


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt((a**2).sum() * (b**2).sum())
    return (a * b).sum() / norm if norm else 0.0


def best_correlation(sums, y, x, patch, cell, step):
    """Return the best correlation of a patch with the windows of an image around (y, x)."""
    reach = range(-2 * cell, 2 * cell + 1, step)
    windows = (eight_by_eight(sums, y + dy, x + dx, cell) for dy in reach for dx in reach)
    return max(0.0, *(correlation(patch, window) for window in windows if window is not None))


def gains(real, fake, cell, step, edges, one_in):
    """Return {(i, y, x): gain} of every informative patch of the real images in one synthetic one."""
    floor, out = 2**-13, {}
    sums = [cells(image, cell, step) for image in real]
    fake = cells(fake, cell, step)
    for i, (y, x) in itertools.product(range(len(real)), edges):
        patch = eight_by_eight(sums[i], y, x, cell)
        values = sums[i].values()
        if patch.std() < 1 / 255 * (max(values) - min(values)) or patch.std() == 0:
            continue
        others = sorted(1 - best_correlation(sums[j], y, x, patch, cell, step) for j in range(len(real)) if j != i)
        reference = others[len(others) // one_in] if others else 1.0
        rest = 1 - best_correlation(fake, y, x, patch, cell, step)
        out[i, y, x] = max(0.0, math.log2((reference + floor) / (rest + floor)))
    return out

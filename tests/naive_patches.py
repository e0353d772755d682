"""Local patches by the book: plain loops, whole numbers, no cleverness."""

import itertools
import math
from fractions import Fraction

import numpy as np


def positions(length, size, stride):
    return range(0, length - size + 1, stride)


def shifts(radius):
    """Shifts in the order in which they are preferred."""
    steps = range(-radius, radius + 1)
    return sorted(itertools.product(steps, steps), key=lambda o: (o[0] ** 2 + o[1] ** 2, o))


def cut(image, y, x, size):
    return [int(v) for v in image[y : y + size, x : x + size].ravel()]


def is_informative(patch, flat):
    """Whether the standard deviation is at least `flat`, and not 0."""
    n = len(patch)
    spread = n * sum(v * v for v in patch) - sum(patch) ** 2
    return spread > 0 and spread >= (Fraction(flat) * n) ** 2


def rmse(a, b):
    """Return the sum of squared differences: whole numbers, so that ties are ties."""
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def ncc(a, b):
    """Return the correlation as the nearest float to exact sums, None for a window without contrast."""
    n = len(a)
    spread = [n * sum(v * v for v in p) - sum(p) ** 2 for p in (a, b)]
    if spread[1] == 0:
        return None
    return (n * sum(p * q for p, q in zip(a, b, strict=True)) - sum(a) * sum(b)) / math.sqrt(
        float(spread[0]) * float(spread[1])
    )


def best_window(real, y, x, fake, *, size, radius, measure):
    """Return (distance, shift) of the best window, None if there is none."""
    patch, best = cut(real, y, x, size), None
    for dy, dx in shifts(radius):
        top, left = y + dy, x + dx
        if min(top, left) < 0 or top + size > fake.shape[0] or left + size > fake.shape[1]:
            continue
        window = cut(fake, top, left, size)
        found = rmse(patch, window) if measure == "rmse" else ncc(patch, window)
        if found is None:
            continue
        distance = found if measure == "rmse" else -found
        if best is None or distance < best[0]:
            best = distance, (dy, dx)
    return best


def turns(fake, mirror):
    return [fake, fake[:, ::-1]] if mirror else [fake]


def patch_matches(real, fake, *, size, stride, radius, measure, tolerance, flat, mirror=False):
    out = np.zeros((len(real), len(fake)), np.int32)
    for (i, x), (j, g) in itertools.product(enumerate(real), enumerate(fake)):
        for top, left in itertools.product(positions(x.shape[0], size, stride), positions(x.shape[1], size, stride)):
            if not is_informative(cut(x, top, left, size), flat):
                continue
            best = [
                found[0]
                for turned in turns(g, mirror)
                if (found := best_window(x, top, left, turned, size=size, radius=radius, measure=measure))
            ]
            if measure == "rmse":
                out[i, j] += bool(best) and min(best) <= Fraction(tolerance) ** 2 * size**2
            else:
                out[i, j] += bool(best) and -min(best) >= 1 - tolerance
    return out


def nearest_patches(real, fake, *, size, stride, radius, measure, flat, mirror=False):
    """Return {(i, row, column): (distance, j, mirrored, shift)} of the informative patches that have a window."""
    out = {}
    for i, x in enumerate(real):
        for (r, top), (c, left) in itertools.product(
            enumerate(positions(x.shape[0], size, stride)), enumerate(positions(x.shape[1], size, stride))
        ):
            if not is_informative(cut(x, top, left, size), flat):
                continue
            for j, g in enumerate(fake):
                for mirrored, turned in enumerate(turns(g, mirror)):
                    found = best_window(x, top, left, turned, size=size, radius=radius, measure=measure)
                    if found and ((i, r, c) not in out or found[0] < out[i, r, c][0]):
                        out[i, r, c] = found[0], j, bool(mirrored), found[1]
    return out


# --- Evidence -------------------------------------------------------------------------------------------------------


def boxes(image, box, step):
    """Return {(y, x): sum} of the boxes at every step."""
    height, width = image.shape
    return {
        (y, x): int(image[y : y + box, x : x + box].astype(int).sum())
        for y in range(0, height - box + 1, step)
        for x in range(0, width - box + 1, step)
    }


def eight_by_eight(sums, y, x, box):
    cut = [[sums.get((y + box * r, x + box * c)) for c in range(8)] for r in range(8)]
    return None if any(v is None for row in cut for v in row) else np.array(cut, float)


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt((a**2).sum() * (b**2).sum())
    return (a * b).sum() / norm if norm else 0.0


def best_correlation(sums, y, x, patch, box, step):
    """Return the best correlation of a patch with the windows of an image around (y, x)."""
    reach = range(-2 * box, 2 * box + 1, step)
    windows = (eight_by_eight(sums, y + dy, x + dx, box) for dy in reach for dx in reach)
    return max(0.0, *(correlation(patch, window) for window in windows if window is not None))


def gains(real, fake, box, step, edges, groups, passed):
    """Return {(i, y, x): gain in octaves} of every informative patch of the real images in one synthetic one."""
    floor, out = 2**-13, {}
    sums = [boxes(image, box, step) for image in real]
    fake = boxes(fake, box, step)
    for i, (y, x) in itertools.product(range(len(real)), edges):
        patch = eight_by_eight(sums[i], y, x, box)
        values = sums[i].values()
        if patch.std() < 1 / 255 * (max(values) - min(values)) or patch.std() == 0:
            continue
        others = sorted(
            1 - best_correlation(sums[j], y, x, patch, box, step) for j in range(len(real)) if groups[j] != groups[i]
        )
        yardstick = others[min(passed, len(others) // 5)] if others else 1.0
        rest = 1 - best_correlation(fake, y, x, patch, box, step)
        out[i, y, x] = max(0.0, math.log2((yardstick + floor) / (rest + floor)))
    return out

"""Matches of patches by the book: plain loops, whole numbers, no cleverness."""

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


def sides(fake, mirror):
    return [fake, fake[:, ::-1]] if mirror else [fake]


def patch_matches(real, fake, *, patch_size, stride, radius, measure, tolerance, flat, mirror=False):
    out = np.zeros((len(real), len(fake)), np.int32)
    for (i, x), (j, g) in itertools.product(enumerate(real), enumerate(fake)):
        tops, lefts = (positions(length, patch_size, stride) for length in x.shape)
        for top, left in itertools.product(tops, lefts):
            if not is_informative(cut(x, top, left, patch_size), flat):
                continue
            best = [
                found[0]
                for side in sides(g, mirror)
                if (found := best_window(x, top, left, side, size=patch_size, radius=radius, measure=measure))
            ]
            if measure == "rmse":
                out[i, j] += bool(best) and min(best) <= Fraction(tolerance) ** 2 * patch_size**2
            else:
                out[i, j] += bool(best) and -min(best) >= 1 - tolerance
    return out


def nearest_patches(real, fake, *, patch_size, stride, radius, measure, flat, mirror=False):
    """Return {(i, row, column): (distance, j, mirrored, shift)} of the informative patches that have a window."""
    out = {}
    for i, x in enumerate(real):
        for (r, top), (c, left) in itertools.product(
            enumerate(positions(x.shape[0], patch_size, stride)), enumerate(positions(x.shape[1], patch_size, stride))
        ):
            if not is_informative(cut(x, top, left, patch_size), flat):
                continue
            for j, g in enumerate(fake):
                for mirrored, side in enumerate(sides(g, mirror)):
                    found = best_window(x, top, left, side, size=patch_size, radius=radius, measure=measure)
                    if found and ((i, r, c) not in out or found[0] < out[i, r, c][0]):
                        out[i, r, c] = found[0], j, bool(mirrored), found[1]
    return out

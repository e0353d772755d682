"""Slow oracles, written to be believed at a glance: Python integers, loops, definitions."""

import math

import numpy as np


def integers(image):
    """Pixels as a list of rows of Python integers, which neither overflow nor round."""
    return [[int(v) for v in row] for row in np.asarray(image)]


def flat(image):
    return [v for row in integers(image) for v in row]


def euclidean(a, b):
    a, b = flat(a), flat(b)
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))


def l2(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(flat(a), flat(b), strict=True)))


def manhattan(a, b):
    a, b = flat(a), flat(b)
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)


def correlation(a, b):
    a, b = flat(a), flat(b)
    n = len(a)

    def covariance(x, y):  # times n * n
        return n * sum(p * q for p, q in zip(x, y, strict=True)) - sum(x) * sum(y)

    flat_a, flat_b = covariance(a, a) == 0, covariance(b, b) == 0
    if flat_a or flat_b:
        return 0.0 if flat_a and flat_b else 1.0
    return 1 - covariance(a, b) / math.sqrt(covariance(a, a) * covariance(b, b))


def window(image, n):
    """The n-th of nine windows of half the height and width."""
    (h, w), (row, column) = np.shape(image), divmod(n, 3)
    return image[row * h // 4 : (row + 2) * h // 4, column * w // 4 : (column + 2) * w // 4]


def tiles(a, b):
    (h, w), worst = np.shape(a), 0.0
    for r in range(4):
        for c in range(4):
            part = np.s_[r * h // 4 : (r + 1) * h // 4, c * w // 4 : (c + 1) * w // 4]
            if a[part].size:
                worst = max(worst, euclidean(a[part], b[part]))
    return worst


def ssim(a, b):
    limit = np.iinfo(a.dtype).max
    c1, c2 = (0.01 * limit) ** 2, (0.03 * limit) ** 2
    h, w = a.shape
    values = []
    for r in range(h - 6):
        for c in range(w - 6):
            x = a[r : r + 7, c : c + 7].astype(float).ravel()
            y = b[r : r + 7, c : c + 7].astype(float).ravel()
            (vx, vxy), (_, vy) = np.cov(x, y)
            top = (2 * x.mean() * y.mean() + c1) * (2 * vxy + c2)
            values.append(top / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (vx + vy + c2)))
    return 1 - sum(values) / len(values)


def feature_l2(a, b):
    return math.sqrt(math.fsum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def feature_euclidean(a, b):
    return feature_l2(a, b) / math.sqrt(len(a))


def cosine(a, b):
    a, b = [float(x) for x in a], [float(x) for x in b]
    lengths = math.hypot(*a), math.hypot(*b)
    if 0 in lengths:
        return 0.0 if lengths == (0, 0) else 1.0
    return 1 - math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths[0] / lengths[1]


def matrix(measure, a, b):
    return np.array([[measure(x, y) for y in b] for x in a]).reshape(len(a), len(b))


def nearest(distances, names, key, k):
    """Positions of the k smallest of each row; ties to the lower name, then to the first."""
    return [sorted(range(len(names)), key=lambda j: (row[j], key(names[j]), j))[:k] for row in distances.tolist()]


def unfilter(kinds, packed):
    """Undo the filters of PNG, as its specification writes them, byte by byte."""
    out = np.zeros((len(packed) + 1, packed.shape[1] + 1), int)  # with zeros above and on the left
    for y, x in np.ndindex(packed.shape):
        a, b, c = out[y + 1, x], out[y, x + 1], out[y, x]
        nearest = sorted([a, b, c], key=lambda value: abs(a + b - c - value))[0]
        guess = (0, a, b, (a + b) // 2, nearest)[kinds[y]]
        out[y + 1, x + 1] = (int(packed[y, x]) + guess) % 256
    return out[1:, 1:]

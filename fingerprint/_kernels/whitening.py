"""Compiled functions that compare images by what sets them apart from a population."""

from __future__ import annotations

import numpy as np

from fingerprint._kernels.compiler import kernel


@kernel
def centre(distances, members, means, overall, out, squares):  # type: ignore[no-untyped-def]
    """Inner products out (n, m) of unit vectors less the population mean, from their correlation distances (n, m).

    The population are the rows `members`; `means` (n,) are the mean correlations with it, and `overall` its own.
    `squares` (m,) receives the squared lengths of the vectors of the columns.
    """
    squares[:] = 0.0
    for i in members:
        for j in range(distances.shape[1]):
            squares[j] += 1.0 - distances[i, j]
    for j in range(distances.shape[1]):
        squares[j] /= members.shape[0]
    for i in range(distances.shape[0]):
        for j in range(distances.shape[1]):
            out[i, j] = ((1.0 - distances[i, j]) - squares[j]) - (means[i] - overall)
    for j in range(distances.shape[1]):
        squares[j] = (1.0 + overall) - 2.0 * squares[j]


@kernel
def multiply(a, b, out):  # type: ignore[no-untyped-def]
    """Matrix product a (n, k) b (k, m); each number sums its terms in their order, whatever the shapes."""
    out[:] = 0.0
    rows, whole = a.shape[0] - a.shape[0] % 2, a.shape[1] - a.shape[1] % 4
    for i in range(0, rows, 2):  # two rows share what is read of b
        upper, lower = out[i], out[i + 1]
        for k in range(0, whole, 4):
            p, q, r, s = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            t, u, v, w = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
            for j in range(b.shape[1]):
                x, y, z, last = b[k, j], b[k + 1, j], b[k + 2, j], b[k + 3, j]
                upper[j] = (((upper[j] + p * x) + q * y) + r * z) + s * last
                lower[j] = (((lower[j] + t * x) + u * y) + v * z) + w * last
        for k in range(whole, a.shape[1]):
            for j in range(b.shape[1]):
                upper[j] += a[i, k] * b[k, j]
                lower[j] += a[i + 1, k] * b[k, j]
    for i in range(rows, a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


@kernel
def invert(a):  # type: ignore[no-untyped-def]
    """Put the inverse of a small symmetric positive definite matrix (n, n) in its place, by Gauss and Jordan."""
    for k in range(a.shape[0]):
        pivot = 1.0 / a[k, k]
        a[k, k] = 1.0
        for j in range(a.shape[1]):
            a[k, j] *= pivot
        for i in range(a.shape[0]):
            if i != k:
                factor = a[i, k]
                a[i, k] = 0.0
                for j in range(a.shape[1]):
                    a[i, j] -= factor * a[k, j]


@kernel
def project(known, solved, squares):  # type: ignore[no-untyped-def]
    """Take from the squared lengths (m,) what the population explains, the products known (p, m) times solved."""
    for i in range(known.shape[0]):
        for j in range(known.shape[1]):
            squares[j] -= known[i, j] * solved[i, j]


@kernel
def cosines(distances, products, lengths, squares, least, out):  # type: ignore[no-untyped-def]
    """1 - cosine out (n, m) from whitened products and squared lengths; 0 where the distance is 0.

    Products of squared lengths count as `least` at least: rounding may leave less of images that are nearly alike.
    """
    for i in range(distances.shape[0]):
        for j in range(distances.shape[1]):
            length = np.sqrt(max(lengths[i] * squares[j], least))
            out[i, j] = min(max(1.0 - products[i, j] / length, 0.0), 2.0) if distances[i, j] > 0.0 else 0.0

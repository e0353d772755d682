"""Compiled functions that compare images by what sets them apart from a population."""

from __future__ import annotations

import numpy as np

from fingerprint._kernels import kernel


@kernel
def centre(distances, means, overall, out, squares):  # type: ignore[no-untyped-def]
    """Inner products out (n, m) of unit vectors with correlation distances (n, m), both sides less the population mean.

    `means` (n,) are the mean correlations of the population, `overall` is their mean; `squares` (m,) receives the
    squared lengths of the vectors of the columns.
    """
    n, m = distances.shape
    squares[:] = 0.0
    for i in range(n):
        for j in range(m):
            squares[j] += 1.0 - distances[i, j]
    for i in range(n):
        for j in range(m):
            out[i, j] = ((1.0 - distances[i, j]) - squares[j] / n) - (means[i] - overall)
    for j in range(m):
        squares[j] = (1.0 + overall) - 2.0 * (squares[j] / n)


@kernel
def multiply(a, b, out):  # type: ignore[no-untyped-def]
    """Matrix product a (n, k) b (k, m); each number sums its terms in their order, whatever the shape of b."""
    out[:] = 0.0
    whole = a.shape[1] - a.shape[1] % 4
    for i in range(a.shape[0]):
        row = out[i]
        for k in range(0, whole, 4):
            p, q, r, s = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(b.shape[1]):
                row[j] = (((row[j] + p * b[k, j]) + q * b[k + 1, j]) + r * b[k + 2, j]) + s * b[k + 3, j]
        for k in range(whole, a.shape[1]):
            p = a[i, k]
            for j in range(b.shape[1]):
                row[j] += p * b[k, j]


@kernel
def cosines(distances, products, solved, squares, lengths, ridge, least, out):  # type: ignore[no-untyped-def]
    """1 - cosine out (n, m) in the whitened space; 0 where the images are equal, 1 where one of them is the mean.

    `solved` is the inverse of `Whitening` times `products`, which `centre` made of `distances` along with `squares`;
    `lengths` (n,) are the squared whitened lengths of the population, and `least` what counts as none.
    """
    n, m = distances.shape
    for i in range(n):
        for j in range(m):
            squares[j] -= products[i, j] * solved[i, j]
    for i in range(n):
        for j in range(m):
            length = lengths[i] * (squares[j] / ridge)
            if distances[i, j] <= 0.0:
                out[i, j] = 0.0
            elif length <= least:
                out[i, j] = 1.0
            else:
                out[i, j] = min(max(1.0 - solved[i, j] / np.sqrt(length), 0.0), 2.0)

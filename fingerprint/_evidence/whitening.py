"""Whitening: compare images by what sets them apart, not by what all images of their kind share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from fingerprint._base.types import Array

_SMALL = 48  # rows of a matrix that fits the first-level cache
_DEPENDENT = 3  # representatives that count as one independent image
_LEAST = 1e-9  # mean squared length of the representatives below which they are alike but for rounding
_ROUNDING = 1e-6  # squared length, in parts of the mean one, that rounding may leave


@dataclass(frozen=True, eq=False)
class Whitening:
    """What all images of a kind share, learnt from the correlations of representatives, and how to take it away.

    All slices at heart level show a body, lungs and a spine, so they correlate strongly whoever they show. The
    whitened distance is 1 - cosine of the angle between two images, after the mean of the representatives is taken off
    and their covariance is made that of white noise. This is the adaptive coherence estimator of radar (Kraut, Scharf &
    McWhorter, Adaptive Subspace Detectors, IEEE Transactions on Signal Processing 2001). It finds a signal in an
    observation whose other content looks like the representatives.

    The covariance of n independent images says nothing about directions that hold less than 1 / n of the variance:
    white noise of the same total variance leaves as much in each. So 1 / n of the variance is added in every direction
    (diagonal loading: Carlson, Covariance Matrix Estimation Errors and Diagonal Loading in Adaptive Arrays, IEEE
    Transactions on Aerospace and Electronic Systems 1988). Slices of one patient are not independent, so three images
    count as one. Any number from one to ten works about as well.

    Images are unit vectors about their own mean, so that inner products are Pearson correlations. By the matrix
    inversion lemma, the correlations of an image with the representatives are all that is needed of it. What a
    representative shares with an image is its coefficient in a ridge regression of the image on all of them.

    Parameters
    ----------
    representatives : ndarray
        (p,) int64: which of n images they are.
    means : ndarray
        (n,) float64: mean correlation of each image with the representatives.
    inverse : ndarray
        (p, p) float64: inverse of the Gram matrix about the mean plus `ridge` times the identity.
    rest : ndarray
        (n - p, p) float64: products of the other images with the representatives, about the mean.
    lengths : ndarray
        (n,) float64: squared whitened length of each image.
    ridge : float
        What is added to the Gram matrix: three times the mean squared length about the mean.
    """

    representatives: Array
    means: Array
    inverse: Array
    rest: Array
    lengths: Array
    ridge: float

    @classmethod
    def of(cls, distances: Array, representatives: Array) -> Self | None:
        """Learn from correlation distances to representatives.

        Parameters
        ----------
        distances : ndarray
            (n, p) float64: 1 - correlation of n images with p representatives.
        representatives : ndarray
            (p,) int64: which of the n images they are, in the order of the columns.

        Returns
        -------
        Whitening or None
            None where all representatives are alike: then nothing is known of what sets images apart.
        """
        means = (1.0 - distances).mean(axis=1)
        overall = means[representatives].mean()
        products = (1.0 - distances) - means[representatives] - (means[:, None] - overall)
        gram, rest = products[representatives], np.delete(products, representatives, axis=0)
        ridge = _DEPENDENT * float(gram.trace()) / len(gram)
        if ridge < _LEAST:
            return None
        inverse = _inverse(gram + ridge * np.eye(len(gram)))
        lengths = (1.0 + overall) - 2.0 * means
        lengths[_others(representatives, len(means))] -= (rest * _product(rest, inverse)).sum(axis=1)
        lengths[representatives] = ridge * (1.0 - ridge * inverse.diagonal())
        return cls(representatives, means, inverse, rest, lengths, ridge)

    def distances(self, found: Array) -> Array:
        """Return how far images are from others in the whitened space.

        Parameters
        ----------
        found : ndarray
            (n, m) float64: correlation distances of the n images to m others.

        Returns
        -------
        ndarray
            (n, m) float64: 1 - cosine. 0 where the correlation distance is 0; 1 = nothing in common beyond what all
            share, up to 2. The same bits for an image whatever others come with it.
        """
        from fingerprint._kernels import whitening as kernels

        found = np.ascontiguousarray(found)
        products, out, squares = np.empty(found.shape), np.empty(found.shape), np.empty(found.shape[1])
        kernels.centre(
            found, self.representatives, self.means, self.means[self.representatives].mean(), products, squares
        )
        known = products[self.representatives]
        solved = _product(self.inverse, known)
        kernels.project(known, solved, squares)
        if len(self.rest):
            products[_others(self.representatives, len(products))] -= _product(self.rest, solved)
        products[self.representatives] = self.ridge * solved
        kernels.cosines(found, products, self.lengths, squares, (_ROUNDING * self.ridge) ** 2, out)
        return out


def _product(a: Array, b: Array) -> Array:
    """Return the matrix product, the same bits on every machine, which a BLAS does not promise."""
    from fingerprint._kernels import whitening as kernels

    out = np.empty((len(a), b.shape[1]))
    kernels.multiply(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out


def _inverse(matrix: Array) -> Array:
    """Return the inverse of a symmetric positive definite matrix, by that of one half and of its Schur complement."""
    if len(matrix) <= _SMALL:
        from fingerprint._kernels import whitening as kernels

        small = np.array(matrix, order="C")
        kernels.invert(small)
        return small
    half = len(matrix) // 2
    first = _inverse(matrix[:half, :half])
    shared = _product(first, matrix[:half, half:])
    last = _inverse(matrix[half:, half:] - _product(matrix[half:, :half], shared))
    corner = -_product(shared, last)
    return np.block([[first - _product(corner, shared.T), corner], [corner.T, last]])


def _others(representatives: Array, count: int) -> Array:
    return np.delete(np.arange(count), representatives)

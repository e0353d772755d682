"""Whitening: compare images by what sets them apart, not by what all images of their kind share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from fingerprint._base.types import Array

_DEPENDENT = 3  # images of a population that count as one independent one
_LEAST = 1e-9  # mean squared length of a population below which its images are alike but for rounding
_ROUNDING = 1e-6  # squared length, in parts of the mean one, that rounding may leave


@dataclass(frozen=True, eq=False)
class Whitening:
    """What a population of images has in common, known from their correlations alone.

    All slices at heart level share a body, lungs and a spine, and correlate strongly whoever they show. The adaptive
    coherence estimator of radar (Kraut, Scharf & McWhorter, Adaptive Subspace Detectors, IEEE Transactions on Signal
    Processing 2001) asks how much of a given signal an observation holds whose other content looks like the population:
    it is the cosine of the angle between the two after the mean of the population is taken off and its covariance
    is made that of white noise.

    From n independent images no direction can be told from noise in which less than 1 / n of the variance lies, for so
    much would white noise of the same total leave in each. It is added to the covariance in every direction (diagonal
    loading: Carlson, Covariance Matrix Estimation Errors and Diagonal Loading in Adaptive Arrays, IEEE Transactions on
    Aerospace and Electronic Systems 1988). Slices of one patient are not independent: three images count as one, in
    the middle of a plateau that reaches from one to ten.

    Images count as unit vectors about their own mean, whose inner products are Pearson correlations. By the matrix
    inversion lemma all that is needed of any other image are its correlations with the population; what an image of the
    population is found to have in common with it is then its coefficient in a ridge regression on all of them.

    Parameters
    ----------
    members : ndarray
        (p,) int64: which of n images are the population.
    means : ndarray
        (n,) float64: mean correlation of each image with the population.
    inverse : ndarray
        (p, p) float64: inverse of the Gram matrix about the mean plus `ridge` times the identity.
    rest : ndarray
        (n - p, p) float64: products of the other images with the population, about the mean.
    lengths : ndarray
        (n,) float64: squared whitened length of each image.
    ridge : float
        What is added to the Gram matrix: three times the mean squared length about the mean.
    """

    members: Array
    means: Array
    inverse: Array
    rest: Array
    lengths: Array
    ridge: float

    @classmethod
    def of(cls, distances: Array, members: Array) -> Self | None:
        """Learn from correlation distances to a population.

        Parameters
        ----------
        distances : ndarray
            (n, p) float64: 1 - correlation of images with those of the population.
        members : ndarray
            (p,) int64: which of the n images are the population, in the order of the columns.

        Returns
        -------
        Whitening or None
            None where all images of the population are alike: then nothing can be said about what sets them apart.
        """
        from scipy.linalg import cho_factor, cho_solve

        means = (1.0 - distances).mean(axis=1)
        overall = means[members].mean()
        products = (1.0 - distances) - means[members] - (means[:, None] - overall)
        gram, rest = products[members], np.delete(products, members, axis=0)
        ridge = _DEPENDENT * float(gram.trace()) / len(gram)
        if ridge < _LEAST:
            return None
        factor = cho_factor(gram + ridge * np.eye(len(gram)), lower=True)
        inverse = cho_solve(factor, np.eye(len(gram)))
        lengths = (1.0 + overall) - 2.0 * means
        lengths[_others(members, len(means))] -= (rest * cho_solve(factor, rest.T).T).sum(axis=1)
        lengths[members] = ridge * (1.0 - ridge * inverse.diagonal())
        return cls(members, means, inverse, rest, lengths, ridge)

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
        kernels.centre(found, self.members, self.means, self.means[self.members].mean(), products, squares)
        known = products[self.members]
        solved = np.empty(known.shape)
        kernels.multiply(self.inverse, known, solved)
        kernels.project(known, solved, squares)
        if len(self.rest):
            explained = np.empty((len(self.rest), found.shape[1]))
            kernels.multiply(self.rest, solved, explained)
            products[_others(self.members, len(products))] -= explained
        products[self.members] = self.ridge * solved
        kernels.cosines(found, products, self.lengths, squares, (_ROUNDING * self.ridge) ** 2, out)
        return out


def _others(members: Array, count: int) -> Array:
    return np.delete(np.arange(count), members)

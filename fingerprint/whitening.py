"""Whitening: compare images by what sets them apart, not by what all images of their kind share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Self

Array = NDArray[Any]

_LEAST = 1e-9  # mean squared length, or squared whitened length, below which rounding is all there is


@dataclass(frozen=True, eq=False)
class Whitening:
    """What a population of images has in common, known from their correlations alone.

    All slices at heart level share a body, lungs and a spine, and correlate strongly whoever they show. The adaptive
    coherence estimator of radar (Kraut, Scharf & McWhorter, Adaptive Subspace Detectors, IEEE Transactions on Signal
    Processing 2001) asks how much of a given signal an observation holds whose other content looks like the population:
    it is the cosine of the angle between the two after the mean of the population is taken off and its covariance
    is made that of white noise.

    From n images no direction can be told from noise in which less than 1 / n of the variance lies, for so much would
    white noise of the same total leave in each. It is added to the covariance in every direction (diagonal loading:
    Carlson, Covariance Matrix Estimation Errors and Diagonal Loading in Adaptive Arrays, IEEE Transactions on Aerospace
    and Electronic Systems 1988), which leaves no parameter to choose.

    Images count as unit vectors about their own mean, whose inner products are Pearson correlations. By the matrix
    inversion lemma all that is needed of any other image are its correlations with the population; the numerator is its
    coefficient for each image of the population in a ridge regression on all of them.

    Parameters
    ----------
    means : ndarray
        (n,) float64: mean correlation of each image of the population with all of them.
    inverse : ndarray
        (n, n) float64: inverse of the Gram matrix about the mean plus `ridge` times the identity.
    ridge : float
        Mean squared length of the vectors about their mean.
    """

    means: Array
    inverse: Array
    ridge: float

    @classmethod
    def of(cls, distances: Array) -> Self | None:
        """Learn from correlation distances within a population.

        Parameters
        ----------
        distances : ndarray
            (n, n) float64: 1 - correlation.

        Returns
        -------
        Whitening or None
            None where all images of the population are alike: then nothing can be said about what sets them apart.
        """
        from scipy.linalg import cho_factor, cho_solve

        products = 1.0 - distances
        means = products.mean(axis=1)
        gram = products - means - (means[:, None] - means.mean())
        ridge = float(gram.trace()) / len(gram)
        if ridge < _LEAST:
            return None
        factor = cho_factor(gram + ridge * np.eye(len(gram)), lower=True)
        return cls(means, cho_solve(factor, np.eye(len(gram))), ridge)

    def distances(self, found: Array) -> Array:
        """Return how far images are from those of the population in the whitened space.

        Parameters
        ----------
        found : ndarray
            (n, m) float64: correlation distances of the population to m other images.

        Returns
        -------
        ndarray
            (n, m) float64: 1 - cosine. 0 where the correlation distance is 0; 1 = nothing in common beyond what all
            share, up to 2. The same bits for an image whatever others come with it.
        """
        from fingerprint import _whitening_kernels

        found = np.ascontiguousarray(found)
        products, solved, out = (np.empty(found.shape) for _ in range(3))
        squares = np.empty(found.shape[1])
        _whitening_kernels.centre(found, self.means, self.means.mean(), products, squares)
        _whitening_kernels.multiply(self.inverse, products, solved)
        lengths = 1.0 - self.ridge * self.inverse.diagonal()
        _whitening_kernels.cosines(found, products, solved, squares, lengths, self.ridge, _LEAST, out)
        return out

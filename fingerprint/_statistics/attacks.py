"""Attacks of the literature: each takes what one scale shows and returns one number for each real image.

Higher = more likely used. A low number is no proof that an image was not used: the generator may have learnt it and not
shown it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import histogram
from fingerprint._base.importing import whole
from fingerprint._statistics.neighbourhood import SMALLEST_DISTANCE

if TYPE_CHECKING:
    from fingerprint._base.types import Array
    from fingerprint._statistics.neighbourhood import Neighbourhood


def gan_leaks(seen: Neighbourhood) -> Array:
    """Return minus the distance to the nearest synthetic image, at most 0.

    The full black-box attack of Chen et al., GAN-Leaks, CCS 2020. It ranks smooth, easy images first.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64; higher = more likely used.
    """
    return -seen.nearest[:, 0]


def gan_leaks_calibrated(seen: Neighbourhood) -> Array:
    """Return how much nearer the nearest synthetic image is than the nearest other real one.

    Chen et al., GAN-Leaks, CCS 2020, calibrated by real images instead of a second generator.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, in the units of the distance; higher = more likely used. Without other real images, `gan_leaks`.
    """
    other = seen.others[:, 0] if seen.others.shape[1] else np.zeros(len(seen.nearest))
    return np.where(np.isfinite(other), other, 0.0) - seen.nearest[:, 0]


def monte_carlo(seen: Neighbourhood) -> Array:
    """Return the share of synthetic images within a radius: the median over all images of the smallest distance.

    Hilprecht et al., Monte Carlo and Reconstruction Membership Inference Attacks, PoPETs 2019. The radius is rounded up
    to the next edge of the log histogram, so that counting needs one pass over the synthetic images.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; higher = more likely used.
    """
    radius = np.median(seen.nearest[:, 0])
    within = np.searchsorted(histogram.edges(), radius, side="right") + 1
    share: Array = seen.counts[:, :within].sum(axis=1) / seen.n_fake
    return share


def domias(seen: Neighbourhood) -> Array:
    """Return the log ratio of the densities of synthetic and of other real images at each image.

    van Breugel et al., Membership Inference Attacks against Synthetic Data through Overfitting Detection, AISTATS 2023,
    with a Gaussian kernel on the distance whose width is the median distance to the nearest other real image. The
    common normalisation is left out, and sums stay on the log scale, because the kernel of whole images underflows.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64; higher = more likely used. Without other real images, the log density of synthetic ones.
    """
    logsumexp = whole("scipy.special").logsumexp

    finite = np.isfinite(seen.others)
    nearest_other = seen.others[:, 0][finite[:, 0]] if seen.others.shape[1] else np.empty(0)
    width = np.median(nearest_other) if nearest_other.size else np.median(seen.nearest[:, 0])
    width = max(float(width), SMALLEST_DISTANCE)
    edges = histogram.edges()
    # the geometric middle of a bin; the last one has no upper edge
    middles = np.append(edges[:-1], edges[-2]) * 2.0 ** (-1 / 32)
    with np.errstate(divide="ignore"):
        weights = np.log(seen.counts) - np.log(seen.n_fake)
    fake = logsumexp(weights - middles**2 / (2 * width**2), axis=1)
    if not nearest_other.size:
        return np.asarray(fake)
    kernel = np.where(finite, -(np.where(finite, seen.others, 0.0) ** 2) / (2 * width**2), -np.inf)
    known = finite.sum(axis=1)
    real = logsumexp(kernel, axis=1) - np.log(np.maximum(known, 1))
    return np.asarray(fake - np.where(known > 0, real, 0.0))


def adaptive(seen: Neighbourhood) -> Array:
    """Return minus the ratio of the smallest distance to the mean of the 50 smallest, from -1 to 0.

    Carlini et al., Extracting Training Data from Diffusion Models, USENIX Security 2023.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images, with k of at least 50 or all synthetic images.

    Returns
    -------
    ndarray
        (n,) float64; higher = more likely used.
    """
    known = np.isfinite(seen.nearest)
    known[:, 50:] = False
    mean = np.where(known, seen.nearest, 0.0).sum(axis=1) / known.sum(axis=1)
    ratio: Array = np.divide(seen.nearest[:, 0], mean, out=np.zeros_like(mean), where=mean > 0)
    return -ratio


def retrieval_votes(seen: Neighbourhood) -> Array:
    """Return how many synthetic images have this real image as their nearest.

    The retrieval rule of the VCMI team, ImageCLEFmedical GANs 2023.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, from 0 to the number of synthetic images; higher = more likely used.
    """
    return np.asarray(seen.votes, dtype=np.float64)


def authenticity(seen: Neighbourhood) -> Array:
    """Return how many synthetic images are copies of this real image.

    A synthetic image counts as a copy of its nearest real image when it is nearer to it than any other real image is:
    Alaa et al., How Faithful is your Synthetic Data?, ICML 2022.

    Parameters
    ----------
    seen : Neighbourhood
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, from 0 to the number of synthetic images; higher = more likely used.
    """
    return np.asarray(seen.copies, dtype=np.float64)

"""Membership statistics: how strong the evidence is that a real image was used for training.

Every statistic takes what is known of the real images and returns one number for each; higher = more likely used. A low
number is no proof that an image was not used: the generator may have learnt it and not shown it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fingerprint._base import histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._evidence.summary import Reals, Summary


# below every distance that pixels can produce, above 0: an identical copy gets a finite, largest score
_SMALLEST_DISTANCE = 1e-12
_LOW, _MIDDLE = 0.05, 0.25  # quantiles of what images without much evidence have
# least spread of whole images, in doublings: a tenth nearer than usual is no evidence; and of patches, in octaves: a
# structure that happens to match lies in up to nine patches, which overlap, and may gain two octaves in each
CHANCE = np.array([np.log2(10 / 9), 20.0])
_PASSED_OVER, _SIMILAR, _SIMILAR_GROUPED = 10, 40, 10  # other real images, see `nearness`


@dataclass(frozen=True)
class Neighbours:
    """What one view shows of n real images.

    Parameters
    ----------
    nearest : ndarray
        (n, k) float64: ascending distances to the nearest synthetic images; infinite where there are fewer than k.
    others : ndarray
        (n, m) float64: ascending distances to the nearest other real images, of other groups where groups are known;
        infinite where there are fewer than m.
    counts : ndarray
        (n, n_bins) int64: synthetic images by bin of distance, see `fingerprint._base.histogram`.
    votes : ndarray
        (n,) int64: synthetic images whose nearest real image this is.
    copies : ndarray
        (n,) int64: those votes that come from nearer than the nearest other real image.
    n_fake : int
        Number of synthetic images.
    grouped : bool
        Whether `others` leaves out the images of the same group.
    """

    nearest: Array
    others: Array
    counts: Array
    votes: Array
    copies: Array
    n_fake: int
    grouped: bool = False


def neighbours(real: Reals, summary: Summary) -> list[Neighbours]:
    """Return what the statistics see, one entry for each view.

    Parameters
    ----------
    real : Reals
        The real images.
    summary : Summary
        Of the synthetic images, compared with these real ones; of the first of them, if `Summary.first` cut it.

    Returns
    -------
    list of Neighbours
        In the order of ``summary.views``.
    """
    others = real.others[:, : summary.distances.shape[1]]
    columns = zip(summary.distances, others, summary.counts, summary.votes, summary.copies, strict=True)
    return [Neighbours(*column, summary.n_fake, real.grouped) for column in columns]


def gan_leaks(seen: Neighbours) -> Array:
    """Return minus the distance to the nearest synthetic image, at most 0.

    The full black-box attack of Chen et al., GAN-Leaks, CCS 2020. It ranks smooth, easy images first.

    Parameters
    ----------
    seen : Neighbours
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64; higher = more likely used.
    """
    return -seen.nearest[:, 0]


def gan_leaks_calibrated(seen: Neighbours) -> Array:
    """Return how much nearer the nearest synthetic image is than the nearest other real one.

    Chen et al., GAN-Leaks, CCS 2020, calibrated by real images instead of a second generator.

    Parameters
    ----------
    seen : Neighbours
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, in the units of the distance; higher = more likely used. Without other real images, `gan_leaks`.
    """
    other = seen.others[:, 0] if seen.others.shape[1] else np.zeros(len(seen.nearest))
    return np.where(np.isfinite(other), other, 0.0) - seen.nearest[:, 0]


def monte_carlo(seen: Neighbours) -> Array:
    """Return the share of synthetic images within a radius: the median over all images of the smallest distance.

    Hilprecht et al., Monte Carlo and Reconstruction Membership Inference Attacks, PoPETs 2019. The radius is rounded up
    to the next of 16 steps to a doubling, so that counting needs one pass over the synthetic images.

    Parameters
    ----------
    seen : Neighbours
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


def domias(seen: Neighbours) -> Array:
    """Return the log ratio of the densities of synthetic and of other real images at each image.

    van Breugel et al., Membership Inference Attacks against Synthetic Data through Overfitting Detection, AISTATS 2023,
    with a Gaussian kernel on the distance whose width is the median distance to the nearest other real image. The
    common normalisation is left out, and sums stay on the log scale, because the kernel of whole images underflows.

    Parameters
    ----------
    seen : Neighbours
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64; higher = more likely used. Without other real images, the log density of synthetic ones.
    """
    from scipy.special import logsumexp

    finite = np.isfinite(seen.others)
    nearest_other = seen.others[:, 0][finite[:, 0]] if seen.others.shape[1] else np.empty(0)
    width = np.median(nearest_other) if nearest_other.size else np.median(seen.nearest[:, 0])
    width = max(float(width), _SMALLEST_DISTANCE)
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


def adaptive(seen: Neighbours) -> Array:
    """Return minus the ratio of the smallest distance to the mean of the 50 smallest, from -1 to 0.

    Carlini et al., Extracting Training Data from Diffusion Models, USENIX Security 2023.

    Parameters
    ----------
    seen : Neighbours
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


def retrieval_votes(seen: Neighbours) -> Array:
    """Return how many synthetic images have this real image as their nearest.

    The retrieval rule of the VCMI team, ImageCLEFmedical GANs 2023.

    Parameters
    ----------
    seen : Neighbours
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, from 0 to the number of synthetic images; higher = more likely used.
    """
    return np.asarray(seen.votes, dtype=np.float64)


def authenticity(seen: Neighbours) -> Array:
    """Return how many synthetic images are copies of this real image.

    A synthetic image counts as a copy of its nearest real image when it is nearer to it than any other real image is:
    Alaa et al., How Faithful is your Synthetic Data?, ICML 2022.

    Parameters
    ----------
    seen : Neighbours
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, from 0 to the number of synthetic images; higher = more likely used.
    """
    return np.asarray(seen.copies, dtype=np.float64)


def nearness(seen: Neighbours) -> Array:
    """Return how often the distance to the nearest synthetic image must be doubled to reach similar real images.

    Every image is calibrated by its own difficulty: a smooth slice lies near to everything, so its nearest synthetic
    image must be nearer still. Similar real images are the 10 nearest of other groups. Where groups are not known, they
    are the 40 after the nearest 10, since the very nearest may be slices of the same patient, near whoever trained on
    whom; of small collections at most a fifth is passed over. Their median counts, which one duplicate does not move.
    An image without others is calibrated by its next nearest synthetic images.

    Parameters
    ----------
    seen : Neighbours
        Of n real images.

    Returns
    -------
    ndarray
        (n,) float64, in doublings: 0 = as near as similar real images are to it, 1 = half as far; higher = more likely
        used.
    """
    rank = np.arange(seen.others.shape[1])
    known = np.isfinite(seen.others).sum(axis=1, keepdims=True)
    passed = 0 if seen.grouped else np.minimum(_PASSED_OVER, known // 5)
    taken = _SIMILAR_GROUPED if seen.grouped else _SIMILAR
    similar = (rank >= passed) & (rank < np.minimum(passed + taken, known))
    expected = _median_of(_log2(seen.others), similar)
    alone = ~similar.any(axis=1)
    next_nearest = np.isfinite(seen.nearest)
    next_nearest[:, 0] = next_nearest.sum(axis=1) == 1
    expected[alone] = _median_of(_log2(seen.nearest), next_nearest)[alone]
    return np.asarray(expected - _log2(seen.nearest[:, 0]))


def surprises(evidence: Array, least: Array | float = 0.0) -> Array:
    """Return how surprising each kind of evidence is, on a scale on which independent kinds add.

    Minus the decimal logarithm of the probability of at least as much evidence under a normal distribution with the
    25 % quantile of all images as its middle and the distance from there to the 5 % quantile as its standard deviation.
    Strong evidence moves neither, even where half of the images have it, and a lack of evidence of one kind hardly
    counts against another. Sums of such logarithms: Fisher, Statistical Methods for Research Workers, 1925.
    The normal distribution is a scale here and makes no p-value; those come from a reference.

    Parameters
    ----------
    evidence : ndarray
        (n_kinds, n) float64, higher = more likely used.
    least : ndarray or float
        (n_kinds,) smallest standard deviation to use: what is within it is no evidence, however rare.

    Returns
    -------
    ndarray
        (n_kinds, n) float64, at least 0; higher = more likely used. 0 for a kind without any spread (a single image,
        identical images).

    Examples
    --------
    >>> surprises(np.array([[0.0, 1.0, 2.0, 3.0, 30.0]])).round(1)
    array([[  0. ,   0.3,   1. ,   2.2, 287.3]])
    """
    from scipy.special import log_ndtr

    spread = _spread(evidence)
    spread = np.where(spread > 0, np.maximum(spread, least), 0.0)[:, None]
    middle = np.quantile(evidence, _MIDDLE, axis=1)[:, None]
    deviations = np.divide(evidence - middle, spread, out=np.zeros_like(evidence), where=spread > 0)
    return np.where(spread > 0, -log_ndtr(-deviations) / np.log(10), 0.0)


def combine(evidence: Array) -> Array:
    """Average the evidence of several views, each weighted by the inverse of its spread over images with little of it.

    The spread is the distance between the 5 % and the 25 % quantile, which strong evidence does not widen even where
    half of the images have it. No weight is learnt from labels. Where one view has no spread at all (a single image,
    identical images) all weigh alike.

    Parameters
    ----------
    evidence : ndarray
        (n_views, n) float64, higher = more likely used.

    Returns
    -------
    ndarray
        (n,) float64 in the units of the evidence; higher = more likely used.

    Examples
    --------
    >>> combine(np.array([[0.0, 1.0, 2.0], [0.0, 10.0, 20.0]])).round(2)
    array([0.  , 1.82, 3.64])
    """
    spread = _spread(evidence)
    weights = 1 / spread if spread.all() else np.ones(len(spread))
    # a sum over rows in fixed order: the same bits on every machine, which a matrix product does not promise
    total = np.zeros(evidence.shape[1])
    for weight, row in zip(weights / weights.sum(), evidence, strict=True):
        total += weight * row
    return total


def p_values(scores: Array, null: Array) -> Array:
    """Return the share of unused reference images with at least such a score.

    ``(1 + number of null scores >= score) / (1 + number of null scores)``: valid, that is at most `p` with probability
    at most `p` for an unused image, if it is exchangeable with the reference.

    Parameters
    ----------
    scores : ndarray
        (n,) float64; higher = more likely used.
    null : ndarray
        (m,) float64: scores of images that are known to be unused.

    Returns
    -------
    ndarray
        (n,) float64 from ``1 / (1 + m)`` to 1; lower = more likely used.

    Examples
    --------
    >>> p_values(np.array([0.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    array([1.  , 0.25])
    """
    ascending = np.sort(null)
    at_least = len(null) - np.searchsorted(ascending, scores, side="left")
    return np.asarray((1 + at_least) / (1 + len(null)))


def q_values(p: Array) -> Array:
    """Return the smallest false discovery rate at which each hypothesis is rejected.

    Benjamini & Hochberg, Controlling the False Discovery Rate, JRSS B 1995.

    Parameters
    ----------
    p : ndarray
        (n,) float64 p-values.

    Returns
    -------
    ndarray
        (n,) float64 from 0 to 1; lower = more likely used.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.5, 0.02]))
    array([0.03, 0.5 , 0.03])
    """
    order = np.argsort(p, kind="stable")
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return np.minimum(q, 1.0)


@dataclass(frozen=True)
class Method:
    """A way to score real images.

    Parameters
    ----------
    description : str
        What it looks at and whose it is, in a few words.
    statistic : callable, optional
        From `Neighbours` to one number an image; None = whole images do not count.
    metrics : tuple of str
        Metrics of full-resolution images to compute it on; empty = the views of `fingerprint._evidence.scales.pyramid`.
    k : int
        Nearest synthetic images that it needs.
    patches : bool
        Whether local patches count, see `fingerprint._patches.gains.summarise_patches`.
    """

    description: str
    statistic: Callable[[Neighbours], Array] | None
    metrics: tuple[str, ...] = ("euclidean",)
    k: int = 1
    patches: bool = False


MethodName: TypeAlias = Literal[
    "default",
    "nearness",
    "patches",
    "gan-leaks",
    "gan-leaks-calibrated",
    "monte-carlo",
    "domias",
    "adaptive",
    "tiles",
    "tiles-adaptive",
    "correlation",
    "ssim",
    "authenticity",
    "votes",
    "votes-ssim",
]
METHODS: Mapping[str, Method] = {
    "default": Method("whole images and patches", nearness, metrics=(), k=2, patches=True),
    "nearness": Method("whole images alone", nearness, metrics=(), k=2),
    "patches": Method("patches alone", None, metrics=(), patches=True),
    "gan-leaks": Method("smallest distance (GAN-Leaks)", gan_leaks),
    "gan-leaks-calibrated": Method("smallest distance, calibrated (GAN-Leaks)", gan_leaks_calibrated),
    "monte-carlo": Method("Monte Carlo (Hilprecht)", monte_carlo),
    "domias": Method("density ratio (DOMIAS)", domias),
    "adaptive": Method("distance / mean of 50 nearest (Carlini)", adaptive, k=50),
    "tiles": Method("largest tile distance (Carlini)", gan_leaks, metrics=("tiles",)),
    "tiles-adaptive": Method(
        "largest tile distance / mean of 50 nearest (Carlini)", adaptive, metrics=("tiles",), k=50
    ),
    "correlation": Method("correlation to the nearest (Dar)", gan_leaks, metrics=("correlation",)),
    "ssim": Method("largest SSIM (VCMI)", gan_leaks, metrics=("ssim",)),
    "authenticity": Method("authenticity (Alaa)", authenticity),
    "votes": Method("retrieval votes", retrieval_votes),
    "votes-ssim": Method("retrieval votes by SSIM (VCMI)", retrieval_votes, metrics=("ssim",)),
}


def kinds(method: Method, seen: Sequence[Neighbours], patches: Array | None = None) -> Array:
    """Return the kinds of evidence that a method combines, whole images first, then patches.

    Parameters
    ----------
    method : Method
        What to compute.
    seen : sequence of Neighbours
        One for each view.
    patches : ndarray, optional
        (n,) float64 evidence of patches; without it, whole images alone count.

    Returns
    -------
    ndarray
        (1 or 2, n) float64; higher = more likely used.
    """
    rows = []
    if method.statistic is not None:
        by_view = [method.statistic(view) for view in seen]
        rows.append(combine(np.stack(by_view)) if len(by_view) > 1 else by_view[0])
    if method.patches and patches is not None:
        rows.append(patches)
    return np.stack(rows)


def score(method: Method, seen: Sequence[Neighbours], patches: Array | None = None) -> Array:
    """Return one score for each real image: the only kind of evidence, or the sum of the surprises of both.

    Where nothing can be surprising, for want of images to compare with, it is the sum of the evidence itself.

    Parameters
    ----------
    method, seen, patches
        As for `kinds`.

    Returns
    -------
    ndarray
        (n,) float64; higher = more likely used.
    """
    found = kinds(method, seen, patches)
    if len(found) == 1:
        return np.asarray(found[0])
    surprising = surprises(found, CHANCE)
    whole, parts = surprising if surprising.any() else found
    return np.asarray(whole + parts)


def _spread(evidence: Array) -> Array:
    """Return the distance between two low quantiles; where they are equal, the mean distance from them."""
    low, middle = np.quantile(evidence, (_LOW, _MIDDLE), axis=1)
    return np.asarray(np.where(middle > low, middle - low, np.abs(evidence - middle[:, None]).mean(axis=1)))


def _log2(distances: Array) -> Array:
    return np.log2(np.maximum(distances, _SMALLEST_DISTANCE))


def _median_of(values: Array, chosen: Array) -> Array:
    """Return the median of each row's chosen values, which are consecutive and ascending; 0 where none is chosen."""
    if not values.shape[1]:
        return np.zeros(len(values))
    rows, count = np.arange(len(values)), chosen.sum(axis=1)
    lower = chosen.argmax(axis=1) + np.maximum(count - 1, 0) // 2
    upper = lower + (count > 0) * (1 - count % 2)
    return np.where(count > 0, (values[rows, lower] + values[rows, upper]) / 2, 0.0)

"""The methods of `rank`: each names its statistic, its metrics and whether patches count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fingerprint._statistics import attacks
from fingerprint._statistics.default import CHANCE, HIGHEST, add_kinds, nearness, tail_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._statistics.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Method:
    """A way to score real images.

    Parameters
    ----------
    description : str
        What it looks at and whose it is, in a few words.
    statistic : callable, optional
        From `Neighbourhood` to one number an image; None = whole images do not count.
    metrics : tuple of str
        Metrics of full-resolution images to compute it on; empty = the scales of `_evidence.scales.pyramid`.
    k : int
        Nearest synthetic images that it needs.
    patches : bool
        Whether patches count, see `fingerprint._patches.gains.summarise_gains`.
    """

    description: str
    statistic: Callable[[Neighbourhood], Array] | None
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
    "gan-leaks": Method("smallest distance (GAN-Leaks)", attacks.gan_leaks),
    "gan-leaks-calibrated": Method("smallest distance, calibrated (GAN-Leaks)", attacks.gan_leaks_calibrated),
    "monte-carlo": Method("Monte Carlo (Hilprecht)", attacks.monte_carlo),
    "domias": Method("density ratio (DOMIAS)", attacks.domias),
    "adaptive": Method("distance / mean of 50 nearest (Carlini)", attacks.adaptive, k=50),
    "tiles": Method("largest tile distance (Carlini)", attacks.gan_leaks, metrics=("tiles",)),
    "tiles-adaptive": Method(
        "largest tile distance / mean of 50 nearest (Carlini)", attacks.adaptive, metrics=("tiles",), k=50
    ),
    "correlation": Method("correlation to the nearest (Dar)", attacks.gan_leaks, metrics=("correlation",)),
    "ssim": Method("largest SSIM (VCMI)", attacks.gan_leaks, metrics=("ssim",)),
    "authenticity": Method("authenticity (Alaa)", attacks.authenticity),
    "votes": Method("retrieval votes", attacks.retrieval_votes),
    "votes-ssim": Method("retrieval votes by SSIM (VCMI)", attacks.retrieval_votes, metrics=("ssim",)),
}


def kinds(method: Method, seen: Sequence[Sequence[Sequence[Neighbourhood]]], patches: Array | None = None) -> Array:
    """Return the statistic of each kind of evidence that a method uses, whole images first, then patches.

    Parameters
    ----------
    method : Method
        What to compute.
    seen : sequence of sequence of sequence of Neighbourhood
        For each scale the whole image, alone or beside its windows, which together weigh as much. Statistics are
        averaged: log2 ratios where there are several.
    patches : ndarray, optional
        (n,) float64 statistic of patches; without it, whole images alone count.

    Returns
    -------
    ndarray
        (1 or 2, n) float64; higher = more likely used.
    """
    rows = []
    if method.statistic is not None:
        found = [[np.mean([method.statistic(one) for one in part], axis=0) for part in scale] for scale in seen]
        rows.append(np.mean([np.mean(parts, axis=0) for parts in found], axis=0))
    if method.patches and patches is not None:
        rows.append(patches)
    return np.stack(rows)


def score(statistics: Array, alike: Array | None = None) -> tuple[Array, Array]:
    """Return one score for each real image: the only statistic, or the weighted sum of the tail scores of both.

    Parameters
    ----------
    statistics : ndarray
        (1 or 2, n) float64, as `kinds` returns them; both are -inf where an image is flat, which has the score 0.
    alike : ndarray, optional
        (n,) int64, see `processing.alike`: tail scores are those among images that were processed alike.

    Returns
    -------
    scores : ndarray
        (n,) float64; higher = more likely used.
    patches_lead : ndarray
        (n,) bool: True where patches have the higher tail score.
    """
    if len(statistics) == 1:
        return statistics[0], np.zeros(statistics.shape[1], bool)
    tails = np.empty(statistics.shape)
    ways = np.zeros(len(tails.T), np.int64) if alike is None else alike
    for way in np.unique(ways):
        tails[:, ways == way] = tail_scores(statistics[:, ways == way], CHANCE, HIGHEST)
    return add_kinds(tails), tails[1] > tails[0]

"""Every metric: which there are, how one side of a comparison is prepared, and the matrix of distances of two sides.

A new metric is one more `Family`, in a file of its own like `ssim.py`, its line in `IMAGE_FAMILIES` and its name in
`ImageMetric`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from fingerprint._base import checks, concurrency
from fingerprint._distances import features, packed, ssim
from fingerprint._distances.side import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fingerprint._base.types import Array

ImageMetric: TypeAlias = Literal["euclidean", "l2", "manhattan", "correlation", "tiles", "ssim"]
Metric: TypeAlias = Literal[ImageMetric, "cosine"]


@dataclass(frozen=True)
class Family:
    """Metrics that share their work.

    Parameters
    ----------
    metrics : tuple of str
        Their names.
    prepare : callable
        Takes images (n, h, w) or features (n, d), the names of the metrics that are wanted, and a number of threads.
        Returns the arrays that the metrics need, by name; images or features come first in each.
    panels : callable
        Takes two sides and the matrices to fill, by metric. Yields tasks, each of which fills a panel of its own.
    """

    metrics: tuple[str, ...]
    prepare: Callable[[Array, tuple[str, ...], int], dict[str, Array]]
    panels: Callable[[Side, Side, dict[str, Array]], Iterator[Callable[[], None]]]

    def among(self, metrics: Sequence[str]) -> tuple[str, ...]:
        """Return those of the metrics that belong to this family."""
        return tuple(name for name in metrics if name in self.metrics)


IMAGE_FAMILIES = (
    Family(("euclidean", "l2", "manhattan", "correlation", "tiles", *packed.WINDOWS), packed.prepare, packed.panels),
    Family(("ssim",), ssim.prepare, ssim.panels),
)
FEATURE_FAMILIES = (Family(("euclidean", "l2", "cosine"), features.prepare, features.panels),)
IMAGE_METRICS: tuple[str, ...] = get_args(ImageMetric)
FEATURE_METRICS = tuple(chain.from_iterable(family.metrics for family in FEATURE_FAMILIES))
METRICS = tuple(dict.fromkeys((*IMAGE_METRICS, *FEATURE_METRICS)))


def prepare_side(values: Array, metrics: str | Sequence[str], *, threads: int = 1) -> Side:
    """Work out once what the metrics need of every image of one side.

    Parameters
    ----------
    values : ndarray
        Images, (n, h, w) uint8 or uint16; or features, (n, d) float.
    metrics : str or sequence of str
        Names out of `METRICS`. Several metrics of one side share their work.
    threads : int
        Threads to use.

    Returns
    -------
    Side
        For `matrix` and `matrices`. Can be pickled.

    Raises
    ------
    InputError
        If a metric is unknown, does not apply to such an array, or the images are too small for it.
    """
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    families, allowed = (
        (FEATURE_FAMILIES, FEATURE_METRICS) if values.ndim == 2 else (IMAGE_FAMILIES, (*IMAGE_METRICS, *packed.WINDOWS))
    )
    for name in names:
        checks.choice("metric", name, (*METRICS, *packed.WINDOWS))
        if name not in allowed:
            kind = "images" if families is FEATURE_FAMILIES else "(n, d) feature arrays"
            raise checks.InputError(f"metric: {name!r} is for {kind}, got {checks.describe(values)}")
    dtype = "float64" if families is FEATURE_FAMILIES else values.dtype.name
    arrays: dict[str, Array] = {}
    for family in families:
        if wanted := family.among(names):
            arrays |= family.prepare(np.ascontiguousarray(values, dtype=dtype), wanted, threads)
    return Side(names, len(values), values.shape[1:], dtype, arrays)


def matrix(a: Side, b: Side, *, threads: int = 1) -> Array:
    """Return all distances between two sides that were prepared for one metric.

    Parameters
    ----------
    a, b : Side
        Both for the same metric, image shape and pixel type. Where one side serves again and again, it is `a`.
    threads : int
        Threads to use.

    Returns
    -------
    ndarray
        (n_a, n_b) float64; the same bits whatever the panels and the number of threads. The distance of an image
        to itself is exactly 0.

    Raises
    ------
    InputError
        If the two sides do not go together.
    """
    (metric,) = a.metrics
    return matrices(a, b, (metric,), threads=threads)[metric]


def matrices(a: Side, b: Side, metrics: Sequence[str], *, threads: int = 1) -> dict[str, Array]:
    """Return all distances between two sides, for several metrics that share their work.

    Parameters
    ----------
    a, b : Side
        Both prepared for these metrics, of the same image shape and pixel type.
    metrics : sequence of str
        Names out of `METRICS`.
    threads : int
        Threads to use.

    Returns
    -------
    dict of str to ndarray
        For each metric, (n_a, n_b) float64, as `matrix` returns it.

    Raises
    ------
    InputError
        If the two sides do not go together.
    """
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        raise checks.InputError(
            f"fake: expected the real side's shape and type, {a.shape} {a.dtype}, got {b.shape} {b.dtype}"
        )
    for metric in metrics:
        if metric not in a.metrics or metric not in b.metrics:
            raise checks.InputError(f"metric: {metric!r} has not been prepared, only {a.metrics} and {b.metrics}")
    out = {metric: np.empty((a.count, b.count)) for metric in metrics}
    families = FEATURE_FAMILIES if a.dtype == "float64" else IMAGE_FAMILIES
    wanted = ((family, {name: out[name] for name in family.among(metrics)}) for family in families)
    tasks = chain.from_iterable(family.panels(a, b, some) for family, some in wanted if some)
    concurrency.run(lambda task: task(), tasks, threads=threads)
    return out

"""Distances between whole images: prepare each side once, then compute blocks of the distance matrix."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import checks, concurrency
from fingerprint._base.public import public
from fingerprint._distances.integers import DOTS, dots_block, manhattan_block, prepare_pixels
from fingerprint._distances.sides import Prepared, parts_of
from fingerprint._distances.ssim import interleaved, ssim_block
from fingerprint._images import loading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fingerprint._base.types import Array
    from fingerprint._images.loading import Source

IMAGE_METRICS = ("euclidean", "manhattan", "correlation", "ssim", "tiles")
FEATURE_METRICS = ("euclidean", "cosine")
METRICS = (*IMAGE_METRICS, "cosine")

_WINDOW = 7  # side of the window of ssim
BLOCK = 128  # synthetic images decoded and compared at a time
_PART = 128  # columns of one task: both sides of a tile fit the second-level cache
_SSIM_PART = 64  # a task's images a side, whole groups


def prepare(pixels: Array, metrics: str | Sequence[str], *, threads: int = 1) -> Prepared:
    """Work out once what the metrics need of every image of one side.

    Parameters
    ----------
    pixels : ndarray
        Images, (n, h, w) uint8 or uint16; or features, (n, d) float.
    metrics : str or sequence of str
        Names out of `METRICS`. Several metrics of one preparation share their work.
    threads : int
        Threads to use.

    Returns
    -------
    Prepared
        For `block` and `blocks_of`. Can be pickled.

    Raises
    ------
    InputError
        If a metric is unknown, does not apply to such an array, or the images are too small for it.
    """
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    features = pixels.ndim == 2
    for name in names:
        checks.choice("metric", name, METRICS)
        if name not in (FEATURE_METRICS if features else IMAGE_METRICS):
            raise checks.InputError(
                f"metric: {name!r} is for {'images' if features else '(n, d) feature arrays'}, "
                f"got {checks.describe(pixels)}"
            )
    if "ssim" in names and min(pixels.shape[1:]) < _WINDOW:
        raise checks.InputError(
            f"metric: 'ssim' needs images of at least {_WINDOW}x{_WINDOW} pixels, got {checks.describe(pixels)}"
        )
    arrays: dict[str, Array] = {}
    if features:
        arrays |= _prepare_features(np.asarray(pixels, dtype=np.float64), names)
        return Prepared(names, len(pixels), pixels.shape[1:], "float64", arrays)
    pixels = np.ascontiguousarray(pixels)
    if not DOTS.isdisjoint(names) or "manhattan" in names:
        arrays |= prepare_pixels(pixels, names, threads)
    if "ssim" in names:
        arrays["interleaved"] = interleaved(pixels, threads)
    return Prepared(names, len(pixels), pixels.shape[1:], pixels.dtype.name, arrays)


def block(a: Prepared, b: Prepared, *, threads: int = 1) -> Array:
    """Return all distances between two sides that were prepared for one metric.

    Parameters
    ----------
    a, b : Prepared
        Both for the same metric, image shape and pixel type. Where one side serves again and again, it is `a`.
    threads : int
        Threads to use.

    Returns
    -------
    ndarray
        (n_a, n_b) float64; the same bits whatever the blocking and the number of threads. The distance of an image
        to itself is exactly 0.

    Raises
    ------
    InputError
        If the two sides do not go together.
    """
    (metric,) = a.metrics
    return blocks_of(a, b, (metric,), threads=threads)[metric]


def blocks_of(a: Prepared, b: Prepared, metrics: Sequence[str], *, threads: int = 1) -> dict[str, Array]:
    """Return all distances between two prepared sides, for several metrics that share their work.

    `euclidean`, `correlation` and `tiles` of images come from one set of integer dot products.

    Parameters
    ----------
    a, b : Prepared
        Both prepared for these metrics, of the same image shape and pixel type.
    metrics : sequence of str
        Names out of `METRICS`.
    threads : int
        Threads to use.

    Returns
    -------
    dict of str to ndarray
        For each metric, (n_a, n_b) float64, as `block` returns it.

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
    concurrency.run(lambda task: task(), _tasks(a, b, out), threads=threads)
    return out


def _tasks(a: Prepared, b: Prepared, out: dict[str, Array]) -> Iterator[Callable[[], None]]:
    """Give the pieces of work that fill `out`, each its own columns or corner of it."""
    if a.dtype == "float64":
        for metric, matrix in out.items():
            yield from (partial(_features_block, a, b, metric, rows, matrix) for rows in parts_of(a.count, _PART))
        return
    dots = {metric: matrix for metric, matrix in out.items() if metric in DOTS}
    for columns in parts_of(b.count, _PART):
        if dots:
            yield partial(dots_block, a, b, columns, dots)
        if "manhattan" in out:
            yield partial(manhattan_block, a, b, columns, out["manhattan"])
    if "ssim" in out:
        matrix = out["ssim"]
        if b.count < a.count:  # the measure is symmetric, to the bit, and the second side is taken in whole groups
            a, b, matrix = b, a, matrix.T
        for rows in parts_of(a.count, _SSIM_PART):
            for columns in parts_of(b.count, _SSIM_PART):
                yield partial(ssim_block, a, b, rows, columns, matrix)


# --- Features -------------------------------------------------------------------------------------------------------


def _prepare_features(values: Array, names: tuple[str, ...]) -> dict[str, Array]:
    from fingerprint._kernels import gaps

    arrays = {}
    if "euclidean" in names:
        arrays["euclidean"] = np.ascontiguousarray(values)
    if "cosine" in names:
        # scaled by the largest first: squares neither overflow nor vanish
        values = values / np.where(values.any(axis=1), np.abs(values).max(axis=1, initial=0), 1)[:, None]
        squared = np.empty((len(values), 1))
        gaps.squared_gaps(values, np.zeros((values.shape[1], 1)), squared)
        arrays["cosine"] = values / np.where(squared > 0, np.sqrt(squared), 1)
    return arrays


def _features_block(a: Prepared, b: Prepared, metric: str, rows: slice, out: Array) -> None:
    """Fill the rows `rows`."""
    from fingerprint._kernels import gaps

    left, right = a.arrays[metric][rows], b.arrays[metric]
    squared = np.empty((len(left), len(right)))
    gaps.squared_gaps(left, np.ascontiguousarray(right.T), squared)
    if metric == "euclidean":
        out[rows] = np.sqrt(squared)
        return
    out[rows] = squared / 2  # of unit vectors; exact for near ones, where 1 - cosine cancels
    out[rows][np.logical_xor.outer(left.any(axis=1), right.any(axis=1))] = 1


@public
def distances(
    real: Source, fake: Source, *, metric: str = "euclidean", threads: int | None = None, progress: bool = False
) -> Array:
    """Return the distance of every real to every synthetic image.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images, or for `metric` ``"euclidean"`` and ``"cosine"`` also features, (n, d) float. A file that cannot be
        read is an error here; `load` lists such files and returns the others.
    metric : str
        ``"euclidean"``: root mean squared difference, in grey levels.
        ``"manhattan"``: mean absolute difference, in grey levels.
        ``"correlation"``: 1 - Pearson's r, from 0 to 2. Flat images have no shape: 0 between two, 1 to any other.
        ``"ssim"``: 1 - mean structural similarity, from 0 to 2, by scikit-image's definition: uniform 7x7 windows that
        lie inside the image, sample covariance, data range 255 or 65535 after the pixel type [1]_.
        ``"tiles"``: largest root mean squared difference among 4x4 tiles, in grey levels [2]_. Tile t of 4 spans the
        rows from ``t * h // 4`` up to ``(t + 1) * h // 4``, and the columns alike.
        On features: ``"euclidean"`` is the L2 norm of the difference, ``"cosine"`` 1 - cosine, with 0 between two
        zero vectors and 1 from a zero vector to any other.
    threads : int, optional
        One per available core by default. Never changes the result.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    ndarray
        (n_real, n_fake) float64; smaller = more alike, exactly 0 for equal images.

    Raises
    ------
    InputError
        If an argument is out of range, a file cannot be read, or the two sides differ in size or pixel type.

    References
    ----------
    .. [1] Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity",
       IEEE Transactions on Image Processing 13 (2004).
    .. [2] Carlini et al., "Extracting training data from diffusion models", USENIX Security (2023).

    Examples
    --------
    >>> import numpy as np
    >>> real = np.zeros((1, 8, 8), np.uint8)
    >>> fake = np.stack([real[0], real[0] + 3])
    >>> distances(real, fake)
    array([[0., 3.]])
    """
    checks.choice("metric", metric, METRICS)
    workers = concurrency.resolve(threads)
    if _is_features(real) or _is_features(fake):
        a, b = _features("real", real), _features("fake", fake)
    else:
        slices = loading.read(real, on_error="raise", threads=workers, argument="real")
        others = loading.read(fake, on_error="raise", threads=workers, argument="fake")
        loading.agree(slices.layout, others, argument="fake")
        a, b = slices.pixels, others.pixels
    left = prepare(a, metric, threads=workers)

    count = -(-len(b) // (workers * BLOCK)) * workers  # as many blocks for every thread, as large as groups allow
    edges = 16 * (np.arange(count + 1) * -(-len(b) // 16) // max(count, 1))
    parts = [slice(start, stop) for start, stop in pairwise(edges.tolist()) if start < stop]

    def step(part: slice) -> tuple[slice, Array]:
        return part, block(left, prepare(b[part], metric))

    out = np.empty((len(a), len(b)))
    with concurrency.bar(progress, total=len(b), unit="image") as advance:
        for part, found in concurrency.map_ordered(step, parts, threads=workers):
            out[:, part] = found
            advance(found.shape[1])
    return out


def _is_features(source: object) -> bool:
    return isinstance(source, np.ndarray) and source.ndim == 2 and source.dtype.kind == "f"


def _features(argument: str, source: object) -> Array:
    if not _is_features(source) or not np.isfinite(source).all():  # type: ignore[call-overload]
        raise checks.InputError(
            f"{argument}: expected (n, d) finite float features like the other side, got {checks.describe(source)}"
        )
    return np.asarray(source)

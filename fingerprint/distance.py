"""Distances between whole images: prepare each side once, then compute blocks of the distance matrix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fingerprint import _check, _threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fingerprint.images import Failure, Slices, Source

Array = NDArray[Any]

IMAGE_METRICS = ("euclidean", "manhattan", "correlation", "ssim", "tiles")
FEATURE_METRICS = ("euclidean", "cosine")
METRICS = (*IMAGE_METRICS, "cosine")

_TILES = 4  # tiles along each side
_WINDOW = 7  # side of the window of ssim
_BLOCK = 256  # synthetic images decoded and compared at a time


@dataclass(frozen=True)
class Prepared:
    """One side of a comparison, with all that its metrics need of each image worked out once.

    Parameters
    ----------
    metrics : tuple of str
        What this side has been prepared for.
    count : int
        Number of images.
    shape : tuple of int
        Height and width of the images, or the number of features.
    dtype : str
        ``uint8``, ``uint16`` or ``float64``.
    arrays : mapping
        The working arrays, by name. Theirs is a private format.
    """

    metrics: tuple[str, ...]
    count: int
    shape: tuple[int, ...]
    dtype: str
    arrays: Mapping[str, Array] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count


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
        _check.choice("metric", name, METRICS)
        if name not in (FEATURE_METRICS if features else IMAGE_METRICS):
            raise _check.InputError(
                f"metric: {name!r} is for {'images' if features else '(n, d) feature arrays'}, "
                f"got {_check.describe(pixels)}"
            )
    if "ssim" in names and min(pixels.shape[1:]) < _WINDOW:
        raise _check.InputError(
            f"metric: 'ssim' needs images of at least {_WINDOW}x{_WINDOW} pixels, got {_check.describe(pixels)}"
        )
    values = np.ascontiguousarray(pixels, dtype=np.float64 if features else None)
    return Prepared(names, len(values), values.shape[1:], str(values.dtype), {"values": values})


def block(a: Prepared, b: Prepared, *, threads: int = 1) -> Array:
    """Return all distances between two sides that were prepared for one metric.

    Parameters
    ----------
    a, b : Prepared
        Both for the same metric, image shape and pixel type.
    threads : int
        Threads to use.

    Returns
    -------
    ndarray
        (n_a, n_b) float64; the same bits whatever the blocking and the number of threads. The distance of an image
        to itself is exactly 0.
    """
    (metric,) = a.metrics
    return blocks_of(a, b, (metric,), threads=threads)[metric]


def blocks_of(a: Prepared, b: Prepared, metrics: Sequence[str], *, threads: int = 1) -> dict[str, Array]:
    """Return all distances between two prepared sides, for several metrics that share their work.

    `euclidean`, `correlation` and `tiles` come from one set of integer dot products.

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
        raise _check.InputError(
            f"fake: expected images of the real images' shape and dtype, {a.shape} {a.dtype}, got {b.shape} {b.dtype}"
        )
    for metric in metrics:
        if metric not in a.metrics or metric not in b.metrics:
            raise _check.InputError(f"metric: {metric!r} has not been prepared, only {a.metrics} and {b.metrics}")
    return {metric: _ORACLES[metric](a.arrays["values"], b.arrays["values"]) for metric in metrics}


@dataclass(frozen=True)
class Nearest:
    """The nearest synthetic images of every real image.

    Parameters
    ----------
    metric : str
        Metric of the distances.
    real : tuple of str
        Names of the n real images.
    names : tuple of tuple of str
        For each real image, the names of its k nearest synthetic images, nearest first.
    indices : ndarray
        (n, k) int64, positions of these among all usable synthetic images in the order they came.
    distances : ndarray
        (n, k) float64, ascending along each row; smaller = more alike.
    failed : tuple of Failure
        Files of either side that could not be used.
    """

    metric: str
    real: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    indices: Array
    distances: Array
    failed: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        """Return the number of real images."""
        return len(self.real)

    def __getitem__(self, i: int) -> list[tuple[str, float]]:
        """Return the (name, distance) pairs of real image i, nearest first."""
        return list(zip(self.names[i], self.distances[i].tolist(), strict=True))


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
    _check.choice("metric", metric, METRICS)
    workers = _threads.resolve(threads)
    if _is_features(real) or _is_features(fake):
        a, b = _features("real", real), _features("fake", fake)
    else:
        a, b = _pixels("real", real, workers), _pixels("fake", fake, workers)
    left = prepare(a, metric, threads=workers)

    def step(start: int) -> tuple[int, Array]:
        return start, block(left, prepare(b[start : start + _BLOCK], metric))

    out = np.empty((len(a), len(b)))
    with _threads.bar(progress, total=len(b), unit="image") as advance:
        for start, part in _threads.map_ordered(step, range(0, len(b), _BLOCK), threads=workers):
            out[:, start : start + _BLOCK] = part
            advance(part.shape[1])
    return out


def nearest(
    real: Source,
    fake: Source,
    *,
    metric: str = "euclidean",
    k: int = 10,
    threads: int | None = None,
    progress: bool = False,
) -> Nearest:
    """Return the k nearest synthetic images of every real image, without holding all distances or all images.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images. The synthetic ones are read block by block, so that the memory needed does not depend on their number.
    metric : str
        One of `distances` for images.
    k : int
        Number of neighbours. There are fewer where there are fewer synthetic images.
    threads : int, optional
        One per available core by default. Never changes the result.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Nearest
        Of equally near ones the lower name in natural order comes first, then the one that came first.

    Raises
    ------
    InputError
        If an argument is out of range, no image is left on a side, or the two sides differ in size or pixel type.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.zeros((1, 8, 8), np.uint8)
    >>> fake = np.stack([real[0] + 5, real[0] + 3])
    >>> nearest(real, fake, k=1).indices
    array([[1]])
    """
    from fingerprint import images

    _check.choice("metric", metric, IMAGE_METRICS)
    _check.integer("k", k, minimum=1)
    workers = _threads.resolve(threads)
    slices = images.load(real, threads=workers)
    if not len(slices):
        raise _check.InputError("real: expected at least one usable image, got none")
    left = prepare(slices.pixels, metric, threads=workers)

    def step(task: Callable[[], Slices]) -> tuple[Slices, Array | None]:
        part = task()
        return part, block(left, prepare(part.pixels, metric)) if len(part) else None

    best = _Best(len(slices), k)
    failed = list(slices.failed)
    with _threads.bar(progress, unit="image") as advance:
        for part, matrix in _threads.map_ordered(step, images.plan(fake, block=_BLOCK), threads=workers):
            failed += part.failed
            if matrix is not None:
                best.add(matrix, part.names)
            advance(len(part))
    if not best.seen:
        raise _check.InputError("fake: expected at least one usable image, got none")
    return Nearest(metric, slices.names, best.names(), best.indices, best.distances, tuple(failed))


class _Best:
    """The k smallest distances of every row so far, ties to the lower name in natural order, then to the first."""

    def __init__(self, n: int, k: int) -> None:
        self.k, self.seen = k, 0
        self.distances = np.empty((n, 0))
        self.indices = np.empty((n, 0), np.int64)
        self._keys: dict[int, tuple[Any, int, str]] = {}  # of the indices that are among the best of some row

    def add(self, matrix: Array, names: Sequence[str]) -> None:
        from fingerprint.images import natural_key

        new = np.arange(self.seen, self.seen + len(names))
        self._keys.update((i, (natural_key(name), i, name)) for i, name in zip(new.tolist(), names, strict=True))
        ids = np.concatenate([np.unique(self.indices), new])
        order = np.array(sorted(range(len(ids)), key=lambda p: self._keys[int(ids[p])][:2]))
        rank = np.empty(len(ids), np.int64)
        rank[order] = np.arange(len(ids))
        values = np.concatenate([self.distances, matrix], axis=1)
        indices = np.concatenate([self.indices, np.broadcast_to(new, matrix.shape)], axis=1)
        chosen = np.lexsort((rank[np.searchsorted(ids, indices)], values), axis=1)[:, : self.k]
        self.distances = np.take_along_axis(values, chosen, axis=1)
        self.indices = np.take_along_axis(indices, chosen, axis=1)
        self.seen += len(names)
        self._keys = {i: self._keys[i] for i in np.unique(self.indices).tolist()}

    def names(self) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self._keys[i][2] for i in row) for row in self.indices.tolist())


def _is_features(source: object) -> bool:
    return isinstance(source, np.ndarray) and source.ndim == 2 and source.dtype.kind == "f"


def _features(argument: str, source: object) -> Array:
    if not _is_features(source) or not np.isfinite(source).all():  # type: ignore[call-overload]
        raise _check.InputError(
            f"{argument}: expected (n, d) finite float features like the other side, got {_check.describe(source)}"
        )
    return np.asarray(source)


def _pixels(argument: str, source: Source, threads: int) -> Array:
    from fingerprint import images

    slices = images.load(source, on_error="raise", threads=threads)
    if not len(slices):
        raise _check.InputError(f"{argument}: expected at least one image, got none")
    return slices.pixels


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1).astype(np.float64)


def _v1_euclidean(x: Array, y: Array) -> Array:
    u, v = _flat(x), _flat(y)
    if x.ndim == 2:
        return np.array([[np.sqrt(((p - q) ** 2).sum()) for q in v] for p in u])
    d = (u * u).sum(1)[:, None] + (v * v).sum(1)[None] - 2 * (u @ v.T)
    return np.sqrt(d / u.shape[1])


def _v1_manhattan(x: Array, y: Array) -> Array:
    u, v = x.reshape(len(x), -1), y.reshape(len(y), -1)
    out = np.empty((len(u), len(v)))
    for i in range(len(u)):
        for j in range(len(v)):
            out[i, j] = (np.maximum(u[i], v[j]) - np.minimum(u[i], v[j])).mean()
    return out


def _v1_correlation(x: Array, y: Array) -> Array:
    u, v = _flat(x), _flat(y)
    n = u.shape[1]
    cov = n * (u @ v.T) - u.sum(1)[:, None] * v.sum(1)[None]
    a, b = n * (u * u).sum(1) - u.sum(1) ** 2, n * (v * v).sum(1) - v.sum(1) ** 2
    norm = np.sqrt(a[:, None] * b[None])
    r = np.divide(cov, norm, out=np.zeros_like(cov), where=norm > 0)
    r[(a[:, None] == 0) & (b[None] == 0)] = 1
    return np.clip(1 - r, 0, 2)


def _v1_tiles(x: Array, y: Array) -> Array:
    h, w = x.shape[1:]
    out = np.zeros((len(x), len(y)))
    for r in range(4):
        for c in range(4):
            s = np.s_[:, r * h // 4 : (r + 1) * h // 4, c * w // 4 : (c + 1) * w // 4]
            if x[s][0].size:
                out = np.maximum(out, _v1_euclidean(x[s], y[s]))
    return out


def _v1_ssim(x: Array, y: Array) -> Array:
    limit = np.iinfo(x.dtype).max
    c1, c2 = (0.01 * limit) ** 2, (0.03 * limit) ** 2

    def window(z: Array) -> Array:
        view = np.lib.stride_tricks.sliding_window_view(z, (7, 7))
        return view.mean(axis=(-1, -2))

    p, q = x.astype(np.float64), y.astype(np.float64)
    mp, mq, pp, qq = (
        [window(i) for i in p],
        [window(j) for j in q],
        [window(i * i) for i in p],
        [window(j * j) for j in q],
    )
    out = np.empty((len(x), len(y)))
    for i in range(len(x)):
        for j in range(len(y)):
            va, vb = (pp[i] - mp[i] ** 2) * 49 / 48, (qq[j] - mq[j] ** 2) * 49 / 48
            cov = (window(p[i] * q[j]) - mp[i] * mq[j]) * 49 / 48
            top = (2 * mp[i] * mq[j] + c1) * (2 * cov + c2)
            out[i, j] = 1 - (top / ((mp[i] ** 2 + mq[j] ** 2 + c1) * (va + vb + c2))).mean()
    return out


def _v1_cosine(x: Array, y: Array) -> Array:
    u, v = ([p / (np.linalg.norm(p) or 1) for p in z] for z in (x, y))
    return np.array(
        [[0.5 * ((p - q) ** 2).sum() if p.any() and q.any() else float(p.any() or q.any()) for q in v] for p in u]
    )


_ORACLES = {
    "euclidean": _v1_euclidean,
    "manhattan": _v1_manhattan,
    "correlation": _v1_correlation,
    "tiles": _v1_tiles,
    "ssim": _v1_ssim,
    "cosine": _v1_cosine,
}

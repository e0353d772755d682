"""Distances between whole images: prepare each side once, then compute blocks of the distance matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fingerprint import _check, _threads, images
from fingerprint._memory import TILE_REGISTERS, aligned, unset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fingerprint._types import Array
    from fingerprint.images import Source

IMAGE_METRICS = ("euclidean", "manhattan", "correlation", "ssim", "tiles")
FEATURE_METRICS = ("euclidean", "cosine")
METRICS = (*IMAGE_METRICS, "cosine")

_TILES = 4  # tiles along each side
_WINDOW = 7  # side of the window of ssim
BLOCK = 128  # synthetic images decoded and compared at a time
_PART = 128  # columns of one task: both sides of a tile fit the second-level cache
_SSIM_PART = 64  # a task's images a side, whole groups
_DOTS = {"euclidean", "correlation", "tiles"}


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
        The working arrays by name, in the formats of the kernels.
    """

    metrics: tuple[str, ...]
    count: int
    shape: tuple[int, ...]
    dtype: str
    arrays: Mapping[str, Array] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    @cached_property
    def transposed(self) -> Array:  # pragma: no cover  (with the compiler and the tile registers only)
        """Return the byte planes as `dot_amx` takes its second side."""
        from fingerprint import _packing_kernels

        planes = self.arrays["planes"].view(np.uint32)
        result = aligned(planes.shape, np.uint32)
        for plane, out in zip(planes, result, strict=True):
            _packing_kernels.transpose(plane, out)
        return result.view(np.uint8)

    @cached_property
    def words(self) -> Array:
        """Return 16-bit pixels less the centres of their images, also where another machine packed them as bytes."""
        if "words" in self.arrays:
            return self.arrays["words"]
        low, high = self.arrays["planes"].astype(np.int32)
        values = low + (high << 8) - self.arrays["centres"].reshape(-1, 1, 16, 1)
        steps = np.diff(_starts(self.shape))
        pixels = [np.arange(64 * n) < area for n, area in zip(steps, _areas(self.shape), strict=True)]
        values *= np.concatenate(pixels).reshape(-1, 1, 64)
        halves = values.reshape(*values.shape[:3], 2, 32).swapaxes(2, 3)
        return np.ascontiguousarray(halves.reshape(len(values), -1, 16, 32), np.int16)


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
    arrays: dict[str, Array] = {}
    if features:
        arrays |= _prepare_features(np.asarray(pixels, dtype=np.float64), names)
        return Prepared(names, len(pixels), pixels.shape[1:], "float64", arrays)
    pixels = np.ascontiguousarray(pixels)
    if _DOTS & {*names} or "manhattan" in names:
        arrays |= _prepare_pixels(pixels, names, threads)
    if "ssim" in names:
        arrays["interleaved"] = _interleaved(pixels, threads)
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
        raise _check.InputError(
            f"fake: expected the real side's shape and type, {a.shape} {a.dtype}, got {b.shape} {b.dtype}"
        )
    for metric in metrics:
        if metric not in a.metrics or metric not in b.metrics:
            raise _check.InputError(f"metric: {metric!r} has not been prepared, only {a.metrics} and {b.metrics}")
    out = {metric: np.empty((a.count, b.count)) for metric in metrics}
    _threads.run(lambda task: task(), _tasks(a, b, out), threads=threads)
    return out


def _tasks(a: Prepared, b: Prepared, out: dict[str, Array]) -> Iterator[Callable[[], None]]:
    """Give the pieces of work that fill `out`, each its own columns or corner of it."""
    if a.dtype == "float64":
        for metric, matrix in out.items():
            yield from (partial(_features_block, a, b, metric, rows, matrix) for rows in _slices(a.count, _PART))
        return
    dots = {metric: matrix for metric, matrix in out.items() if metric in _DOTS}
    for columns in _slices(b.count, _PART):
        if dots:
            yield partial(_dots_block, a, b, columns, dots)
        if "manhattan" in out:
            yield partial(_manhattan_block, a, b, columns, out["manhattan"])
    if "ssim" in out:
        matrix = out["ssim"]
        if b.count < a.count:  # the measure is symmetric, to the bit, and the second side is taken in whole groups
            a, b, matrix = b, a, matrix.T
        for rows in _slices(a.count, _SSIM_PART):
            for columns in _slices(b.count, _SSIM_PART):
                yield partial(_ssim_block, a, b, rows, columns, matrix)


def _slices(count: int, part: int) -> list[slice]:
    return [slice(start, min(start + part, count)) for start in range(0, count, part)]


# --- Euclidean, correlation, tiles, manhattan: integers ---------------------------------------------------------------


def _edges(length: int) -> Array:
    return np.arange(_TILES + 1) * length // _TILES


def _areas(shape: tuple[int, ...]) -> Array:
    """Return the number of pixels of each tile."""
    return np.outer(np.diff(_edges(shape[0])), np.diff(_edges(shape[1]))).ravel()


def _starts(shape: tuple[int, ...]) -> Array:
    """Return the step of 64 pixels at which each tile begins, and the end."""
    return np.concatenate([[0], np.cumsum(-(-_areas(shape) // 64))])


def _prepare_pixels(pixels: Array, names: tuple[str, ...], threads: int) -> dict[str, Array]:
    """Pack 8-bit images as bytes; 16-bit ones as words, or as bytes where there are tile registers. Sum their tiles."""
    from fingerprint import _compiler, _kernels, _packing_kernels

    pack, moments = (_fastest(_packing_kernels.KERNELS[operation]) for operation in ("pack", "moments"))
    wide, dots = pixels.dtype == np.uint16, not _DOTS.isdisjoint(names)
    groups, rows, columns = -(-len(pixels) // 16), _edges(pixels.shape[1]), _edges(pixels.shape[2])
    starts = _starts(pixels.shape[1:])
    arrays = {name: np.zeros((16 * groups, 16), np.int64) for name in ("sums", "squares")}
    lowest, highest, centres = np.zeros((3, 16 * groups), np.int64)
    packed = {}  # the centres of the images in each layout
    if not wide or (dots and _compiler.available(_kernels.KERNELS["dot"])[0] == "amx"):
        arrays["planes"] = unset((1 + int(wide), groups, int(starts[-1]), 16, 64), np.uint8)
        packed["planes"] = np.zeros_like(centres)
    elif dots:
        arrays["words"] = unset((1, groups, 2 * int(starts[-1]), 16, 32), np.int16)
        packed["words"] = centres
    if wide and "manhattan" in names:
        arrays["signed"] = unset((1, groups, 2 * int(starts[-1]), 16, 32), np.int16)
        packed["signed"] = np.full_like(centres, 32768)

    def step(part: slice) -> None:
        for group in range(part.start, part.stop):  # pixels read for their sums are then at hand to be packed
            first, last = 16 * group, min(16 * group + 16, len(pixels))
            if dots or wide:
                moments(pixels, rows, columns, first, last, arrays["sums"], arrays["squares"], lowest, highest)
                centres[first:last] = (lowest[first:last] + highest[first:last] + 1) // 2
            for name, middles in packed.items():
                pack(pixels, rows, columns, starts, middles, group, group + 1, arrays[name])

    _threads.run(step, _slices(groups, -(-groups // threads)), threads=threads)
    arrays |= {name: arrays[name][0] for name in ("words", "signed") if name in arrays}
    return arrays | {"centres": centres, "reach": centres - lowest}


def _fastest(kernels: Mapping[str, Callable[..., None]]) -> Callable[..., None]:
    from fingerprint import _compiler

    return kernels[_compiler.available(kernels)[0]]


def _groups(part: slice) -> slice:
    return slice(part.start // 16, -(-part.stop // 16))


def _dot(a: Prepared, b: Prepared, part: slice, tiles: slice) -> Array:
    """Return the dot products (images of b, images of a) of the pixels of some tiles, for whole groups of images."""
    from fingerprint import _compiler, _kernels

    groups = _groups(part)
    images = slice(16 * groups.start, 16 * groups.stop)
    first, last = _starts(a.shape)[[tiles.start, tiles.stop]]
    sums, others = b.arrays["sums"][images, tiles].sum(axis=1), a.arrays["sums"][:, tiles].sum(axis=1)
    name = _compiler.available(_kernels.KERNELS["dot"])[0]
    less = name == "vectors"  # these take 128 off the bytes of a
    if a.dtype == "uint16" and (less or "words" in a.arrays or "words" in b.arrays):
        centres, middles = b.arrays["centres"][images], a.arrays["centres"]
        largest = int(b.arrays["reach"][images].max()) * int(a.arrays["reach"].max())
        total = np.outer(centres, others - _areas(a.shape)[tiles].sum() * middles) + np.outer(sums, middles)
        fit = (2**31 - 1) // max(largest, 1)
        _fastest(_kernels.KERNELS["dot16"])(b.words[groups], a.words, 2 * first, 2 * last, fit, total)
        return np.asarray(total)
    kernel = _kernels.KERNELS["dot"][name]
    left = b.arrays["planes"][:, groups]
    right = a.transposed if name == "amx" else a.arrays["planes"]
    shape = left.shape[1], right.shape[1], 16, 16
    work = np.empty(shape, np.uint32) if name == "amx" else None
    total = np.zeros((16 * shape[0], 16 * shape[1]), np.int64)
    for shift in range(2 * len(left) - 1):  # the products of planes of 8 bits each that weigh the same
        c = np.zeros_like(total) if shift else total
        for x in range(max(0, shift + 1 - len(left)), min(shift + 1, len(left))):
            if name == "amx":  # pragma: no cover  (with the compiler only)
                kernel(left[x], right[shift - x], first, last, TILE_REGISTERS, work, c)
            else:
                kernel(left[x], right[shift - x], first, last, c)
        if shift:
            total += c << 8 * shift
    return total + 128 * sums[:, None] if less else total


def _dots_block(a: Prepared, b: Prepared, part: slice, out: dict[str, Array]) -> None:
    """Fill the columns `part` of the metrics that come from dot products."""
    from fingerprint import _kernels

    areas = _areas(a.shape)
    rows = slice(16 * _groups(part).start, 16 * _groups(part).stop)
    left, right = b.arrays["squares"][rows], a.arrays["squares"]
    if "tiles" in out:
        total = np.zeros((len(left), len(right)), np.int64)
        worst = np.zeros(total.shape)
        for t in np.flatnonzero(areas):
            c = _dot(a, b, part, slice(t, t + 1))
            _kernels.fold(c, left[:, t].copy(), right[:, t].copy(), areas[t], worst, total)
        out["tiles"][:, part] = np.sqrt(worst[: part.stop - part.start, : a.count].T)
    else:
        total = _dot(a, b, part, slice(0, 16))
    area = int(areas.sum())
    if "euclidean" in out:
        _kernels.euclidean(total, left.sum(axis=1), right.sum(axis=1), area, out["euclidean"][:, part])
    if "correlation" in out:
        sides = _about_means(b, rows, area), _about_means(a, slice(None), area)
        _kernels.correlation(total, *sides, area, out["correlation"][:, part])


def _about_means(side: Prepared, rows: slice, area: int) -> Array:
    """Return what the correlation needs of each image: sum, mean rounded down, the rest, and the squares about it."""
    sums = side.arrays["sums"][rows].sum(axis=1)
    means = sums // area
    rests = sums - area * means
    return np.stack([sums, means, rests, side.arrays["squares"][rows].sum(axis=1) - means * (sums + rests)])


def _manhattan_block(a: Prepared, b: Prepared, part: slice, out: Array) -> None:
    """Fill the columns `part`."""
    from fingerprint import _kernels

    groups, pixels = _groups(part), math.prod(a.shape)
    if a.dtype == "uint8":
        operation, left, right = "gap", b.arrays["planes"][0, groups], a.arrays["planes"][0]
    else:
        operation, left, right = "larger", b.arrays["signed"][groups], a.arrays["signed"]
    kernel = _fastest(_kernels.KERNELS[operation])
    c = np.zeros((16 * len(left), 16 * len(right)), np.int64)
    kernel(left, right, 0, right.shape[1], c)
    total = c[: part.stop - part.start, : a.count].T
    if a.dtype == "uint16":  # |x - y| = 2 max(x, y) - x - y, and the packed ones are less 32768
        sums = a.arrays["sums"][: a.count].sum(axis=1)[:, None] + b.arrays["sums"][part].sum(axis=1)
        total = 2 * (total + 32768 * pixels) - sums
    out[:, part] = total / pixels


# --- Structural similarity ------------------------------------------------------------------------------------------


def _interleaved(pixels: Array, threads: int) -> Array:
    """Return the images in the layout of the kernels."""
    from fingerprint import _ssim_kernels

    n, h, w = pixels.shape
    groups, strips = -(-n // _ssim_kernels.GROUP), -(-(w - 6) // _ssim_kernels.STRIP)
    out = np.empty((groups, strips, 7 + h, _ssim_kernels.COLUMNS * _ssim_kernels.GROUP), pixels.dtype)
    kernel = _fastest(_ssim_kernels.KERNELS["interleave"])
    parts = _slices(groups, -(-groups // threads))
    _threads.run(lambda part: kernel(pixels, part.start, part.stop, out), parts, threads=threads)
    return out


def _ssim_block(a: Prepared, b: Prepared, rows: slice, columns: slice, out: Array) -> None:
    """Fill the corner `rows`, `columns`."""
    from fingerprint import _compiler, _ssim_kernels

    n, m = rows.stop - rows.start, columns.stop - columns.start
    kernels = _ssim_kernels.KERNELS["ssim8" if a.dtype == "uint8" else "ssim16"]
    name = _compiler.available(kernels)[0]
    exact, fields = (np.int32, 2) if name == "vectors" else (np.float64, 3)
    limit = np.iinfo(a.dtype).max
    constants = np.array([(0.01 * limit) ** 2 * 49 * 49, (0.03 * limit) ** 2 * 49 * 48], np.float32)
    sides = [side.arrays["interleaved"][_groups(part)] for side, part in ((a, rows), (b, columns))]
    arrays = (2, exact), (fields, exact), (3, np.float32)  # columns, exact, floats
    room = [
        tuple(aligned((len(side), count, 16 * _ssim_kernels.COLUMNS), kind) for count, kind in arrays) for side in sides
    ]
    shape = _ssim_kernels.ALONE * -(-n // _ssim_kernels.ALONE), len(sides[1])
    work, totals = aligned((*shape, _ssim_kernels.COLUMNS, 16), exact), aligned((*shape, 16), np.int64)
    kernels[name](*sides, a.shape[1], constants, *room, work, totals)
    windows = (a.shape[0] - 6) * (a.shape[1] - 6)
    similarities = totals.reshape(shape[0], -1)[:n, :m] / (_ssim_kernels.UNIT * windows)
    out[rows, columns] = np.maximum(1 - similarities, 0)  # rounded, that of near copies can exceed 1


# --- Features -------------------------------------------------------------------------------------------------------


def _prepare_features(values: Array, names: tuple[str, ...]) -> dict[str, Array]:
    from fingerprint import _kernels

    arrays = {}
    if "euclidean" in names:
        arrays["euclidean"] = np.ascontiguousarray(values)
    if "cosine" in names:
        # scaled by the largest first: squares neither overflow nor vanish
        values = values / np.where(values.any(axis=1), np.abs(values).max(axis=1, initial=0), 1)[:, None]
        squared = np.empty((len(values), 1))
        _kernels.squared_gaps(values, np.zeros((values.shape[1], 1)), squared)
        arrays["cosine"] = values / np.where(squared > 0, np.sqrt(squared), 1)
    return arrays


def _features_block(a: Prepared, b: Prepared, metric: str, rows: slice, out: Array) -> None:
    """Fill the rows `rows`."""
    from fingerprint import _kernels

    left, right = a.arrays[metric][rows], b.arrays[metric]
    squared = np.empty((len(left), len(right)))
    _kernels.squared_gaps(left, np.ascontiguousarray(right.T), squared)
    if metric == "euclidean":
        out[rows] = np.sqrt(squared)
        return
    out[rows] = squared / 2  # of unit vectors; exact for near ones, where 1 - cosine cancels
    out[rows][np.logical_xor.outer(left.any(axis=1), right.any(axis=1))] = 1


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
        slices = images.load(real, on_error="raise", threads=workers, argument="real")
        others = images.load(fake, on_error="raise", threads=workers, argument="fake")
        images.agree(slices.layout, others, argument="fake")
        a, b = slices.pixels, others.pixels
    left = prepare(a, metric, threads=workers)

    count = -(-len(b) // (workers * BLOCK)) * workers  # as many blocks for every thread, as large as groups allow
    edges = 16 * (np.arange(count + 1) * -(-len(b) // 16) // max(count, 1))
    parts = [slice(start, stop) for start, stop in pairwise(edges.tolist()) if start < stop]

    def step(part: slice) -> tuple[slice, Array]:
        return part, block(left, prepare(b[part], metric))

    out = np.empty((len(a), len(b)))
    with _threads.bar(progress, total=len(b), unit="image") as advance:
        for part, found in _threads.map_ordered(step, parts, threads=workers):
            out[:, part] = found
            advance(found.shape[1])
    return out


def _is_features(source: object) -> bool:
    return isinstance(source, np.ndarray) and source.ndim == 2 and source.dtype.kind == "f"


def _features(argument: str, source: object) -> Array:
    if not _is_features(source) or not np.isfinite(source).all():  # type: ignore[call-overload]
        raise _check.InputError(
            f"{argument}: expected (n, d) finite float features like the other side, got {_check.describe(source)}"
        )
    return np.asarray(source)

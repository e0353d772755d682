"""The matrix of distances between all real and all synthetic images."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import checks, concurrency
from fingerprint._base.progress import bar
from fingerprint._base.public import public
from fingerprint._distances.metrics import METRICS, matrix, prepare_side
from fingerprint._images import loading
from fingerprint._images.loading import BLOCK

if TYPE_CHECKING:
    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._distances.metrics import Metric
    from fingerprint._images.loading import Source


@public
def distances(
    real: Source,
    fake: Source,
    *,
    metric: Metric = "euclidean",
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "raise",
    block: int = BLOCK,
    threads: int | None = None,
    progress: bool | None = None,
) -> Array:
    """Return the distance of every real to every synthetic image.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images, or for `metric` ``"euclidean"``, ``"l2"`` and ``"cosine"`` also features, (n, d) float. Features are
        compared as they are.
    metric : {"euclidean", "l2", "manhattan", "correlation", "tiles", "ssim", "cosine"}
        ``"euclidean"``: root mean squared difference of the pixels, in grey levels; or of the features.
        ``"l2"``: L2 norm of the difference: ``"euclidean"`` times the root of the number of pixels, or of features.
        ``"manhattan"``: mean absolute difference, in grey levels.
        ``"correlation"``: 1 - Pearson's r, from 0 to 2. Flat images have no shape: 0 between two, 1 to any other.
        ``"ssim"``: 1 - mean structural similarity, from 0 to 2, by scikit-image's definition: uniform 7x7 windows that
        lie inside the image, sample covariance, data range 255 or 65535 after the pixel type [1]_.
        ``"tiles"``: largest root mean squared difference among 4x4 tiles, in grey levels [2]_. Tile t of 4 spans the
        rows from ``t * h // 4`` up to ``(t + 1) * h // 4``, and the columns alike.
        ``"cosine"``, of features: 1 - cosine, with 0 between two zero vectors and 1 from a zero vector to any other.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    window, grey
        As for `fingerprint.load`: see 16 bits through a window, take the luminance of colour.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"raise", "collect"}
        What to do about a file that cannot be used: raise, or leave it out; `load` lists it then.
    block : int
        Synthetic images to compare at a time. Never changes the result.
    threads : int, optional
        One per available core by default. Never changes the result.
    progress : bool, optional
        Show a bar on stderr: always or never; None = in a terminal or a notebook, after two seconds.

    Returns
    -------
    ndarray
        (n_real, n_fake) float64; smaller = more alike, exactly 0 for equal images. It is held whole, 8 bytes a pair,
        and so are the images. `fingerprint.nearest` reads them block by block and takes `memory`.

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
    most = checks.integer("block", block, minimum=1)
    workers = concurrency.resolve(threads)
    if _is_features(real) or _is_features(fake):
        a, b = _features("real", real), _features("fake", fake)
    else:
        slices, others = (
            loading.read(
                source,
                size=size,
                window=window,
                grey=grey,
                recursive=recursive,
                on_error=on_error,
                threads=workers,
                argument=argument,
            )
            for source, argument in ((real, "real"), (fake, "fake"))
        )
        loading.agree(slices.format, others, argument="fake")
        a, b = slices.pixels, others.pixels
    left = prepare_side(a, metric, threads=workers)

    count = -(-len(b) // (workers * most)) * workers  # as many blocks for every thread, as large as groups allow
    edges = 16 * (np.arange(count + 1) * -(-len(b) // 16) // max(count, 1))
    parts = [slice(start, stop) for start, stop in pairwise(edges.tolist()) if start < stop]

    def step(part: slice) -> tuple[slice, Array]:
        return part, matrix(left, prepare_side(b[part], metric))

    out = np.empty((len(a), len(b)))
    with bar(progress, total=len(b), unit="image", phase="comparing") as advance:
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

"""The nearest synthetic images of every real image, from a stream, without the whole matrix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fingerprint._base import bounds, checks, concurrency, failures
from fingerprint._base.best import Best
from fingerprint._base.display import SHOWN
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.progress import bar
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import ListResult, Table
from fingerprint._distances.metrics import IMAGE_METRICS, matrix, prepare_side
from fingerprint._images import loading
from fingerprint._images.blocks import places_of
from fingerprint._images.checkpoint import HELD, Pass
from fingerprint._images.loading import BLOCK
from fingerprint._images.record import positions
from fingerprint._images.slices import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._distances.metrics import ImageMetric
    from fingerprint._images.loading import Failure, Source, Task

_PAIR = 56  # bytes of the numbers that a pair of images takes while it is compared and sorted
_KEPT = 16  # bytes of a distance and of what it is of


@public
class Neighbour(NamedTuple):
    """One of the synthetic images that are nearest to a real one.

    Parameters
    ----------
    name : str
        Of the synthetic image.
    distance : float
        By the metric of the search; smaller = more alike.
    """

    name: str
    distance: float


@public
class NearestImages(NamedTuple):
    """The nearest synthetic images of one real image.

    Parameters
    ----------
    name : str
        Of the real image.
    neighbours : tuple of Neighbour
        Nearest first.
    """

    name: str
    neighbours: tuple[Neighbour, ...]


@public
@dataclass(frozen=True, eq=False, repr=False)
class Nearest(ListResult[NearestImages]):
    """The nearest synthetic images of every real image: a list of `NearestImages`.

    Parameters
    ----------
    names : tuple of str
        (n,) real images.
    metric : str
        Metric of the distances.
    fakes : tuple of tuple of str
        (n, k) names of the nearest synthetic images of each, nearest first.
    indices : ndarray
        (n, k) int64, positions of these among all usable synthetic images in the order they came.
    distances : ndarray
        (n, k) float64, ascending along each row; smaller = more alike.
    failed : mapping of str to tuple of Failure
        Files of ``"real"`` and ``"fake"`` that could not be used.
    """

    _row_type = NearestImages
    _by_row = ("names", "fakes", "distances")

    names: tuple[str, ...]
    metric: str
    fakes: tuple[tuple[str, ...], ...]
    indices: Array
    distances: Array
    failed: Failures = field(default_factory=dict)

    def _row(self, i: int) -> NearestImages:
        return NearestImages(self.names[i], tuple(map(Neighbour, self.fakes[i], self.distances[i].tolist())))

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        rows = ([one.name, place, *found] for one in self for place, found in enumerate(one.neighbours, 1))
        return ["name", "place", "nearest", "distance"], rows

    def __str__(self) -> str:
        """Return the nearest synthetic image of the first real ones, and what failed."""
        shown = [f"  {one.name}: {one.neighbours[0].name} ({one.neighbours[0].distance:.4g})" for one in self[:SHOWN]]
        lines = [f"{len(self)} real images, each with its {self.indices.shape[1]} nearest by {self.metric}", *shown]
        lines += [f"  … {len(self) - SHOWN} more"] * (len(self) > SHOWN)
        return "\n".join([*lines, *failed_lines(self.failed)])


@public
@recorded
def nearest(
    real: Source,
    fake: Source,
    *,
    metric: ImageMetric = "euclidean",
    k: int = 10,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    block: int = BLOCK,
    memory: str | int | None = None,
    threads: int | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool | None = None,
) -> Nearest:
    """Return the k nearest synthetic images of every real image, without holding all distances or all images.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images. The synthetic ones are read block by block, so that the memory needed does not depend on their number.
    metric : {"euclidean", "l2", "manhattan", "correlation", "tiles", "ssim"}
        See `fingerprint.distances`.
    k : int
        Number of neighbours. There are fewer where there are fewer synthetic images.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    window, grey
        As for `fingerprint.load`: see 16 bits through a window, take the luminance of colour.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Nearest.failed`, or raise.
    block : int
        Synthetic images to read at a time, at most. Never changes the result.
    memory : str or int, optional
        What the process may take, as for `fingerprint.rank`. Never changes the result.
    threads : int, optional
        One per available core by default. Never changes the result.
    checkpoint : path, optional
        File to go on from where it stopped, as for `fingerprint.rank`.
    progress : bool, optional
        Show a bar on stderr: always or never; None = in a terminal or a notebook, after two seconds.

    Returns
    -------
    Nearest
        Of equally near ones the lower name in natural order comes first, then the one that came first.

    Raises
    ------
    InputError
        If an argument is out of range, no image is left on a side, the two sides differ in size or pixel type, or
        `memory` is too little; the message says how much would do.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.zeros((1, 8, 8), np.uint8)
    >>> fake = np.stack([real[0] + 5, real[0] + 3])
    >>> nearest(real, fake, k=1).indices
    array([[1]])
    """
    checks.choice("metric", metric, IMAGE_METRICS)
    checks.integer("k", k, minimum=1)
    checks.integer("block", block, minimum=1)
    budget, workers = bounds.in_bytes(memory), concurrency.resolve(threads)
    files: dict[str, Any] = {
        "size": size,
        "window": window,
        "grey": grey,
        "recursive": recursive,
        "on_error": on_error,
    }
    slices = loading.read(real, threads=workers, argument="real", **files)
    listed = loading.listing(fake, expect=slices, argument="fake", **files)
    needs = _Needs.of(slices.pixels, metric, k if listed.total is None else min(k, listed.total))
    largest = loading.block_of(block, needs.image)
    way = bounds.fitting(bounds.ways(needs.most, block=largest, threads=workers), slices.pixels, budget)
    left = prepare_side(slices.pixels, metric, threads=way.threads)

    def step(task: Task) -> _Found:
        part = task()
        found = matrix(left, prepare_side(part.pixels, metric)) if len(part) else np.zeros((len(slices), 0))
        places, lost = places_of(part)
        return _Found(Best.of(found, part.names, k).placed(places.__getitem__), part.failed, lost)

    about = {
        "the real images": digest_of(slices),
        "number of real images": len(slices),
        "metric": metric,
        "k": k,
        "size": [slices.height, slices.width],
        "window": window and list(window),
        "grey": grey,
    }
    none = _Found(Best.of(np.zeros((len(slices), 0)), (), k), (), np.zeros(0, np.int64))
    onto = Pass(none, _merged, about, checkpoint, (_Found, Best))
    tasks = listed.plan(way.block, None if checkpoint is None else onto.reading)
    with bar(progress, unit="image", total=tasks.total, phase="comparing") as advance:
        found = onto.over(concurrency.map_ordered(step, tasks, threads=way.threads), advance).kept
    best = found.best.placed(positions(found.lost))
    if not best.n_seen:
        raise loading.none_usable(fake, found.failed, argument="fake")
    names = tuple(tuple(best.names[image] for image in row) for row in best.images.tolist())
    lost = {"real": slices.failed, "fake": found.failed}
    return Nearest(slices.names, metric, names, best.images, best.values, lost)


@dataclass(frozen=True)
class _Found:
    """What is kept of some synthetic images, see `fingerprint._base.failures.Kept`."""

    best: Best
    failed: tuple[Failure, ...]
    lost: Array

    @property
    def n_places(self) -> int:
        return self.best.n_seen + len(self.failed)

    @property
    def nbytes(self) -> int:
        return self.best.values.nbytes + self.best.images.nbytes

    @property
    def sound(self) -> bool:
        """Whether the parts go together, as those of a file need not."""
        within = all(0 <= place < self.n_places for place in self.best.names)
        return within and failures.placed(self.failed, self.lost, self.n_places)

    def placed(self, place: Callable[[Array], Array]) -> _Found:
        return _Found(self.best.placed(place), self.failed, place(self.lost))


def _merged(parts: Sequence[_Found]) -> _Found:
    return _Found(Best.merge([part.best for part in parts]), *failures.merged(parts))


@dataclass(frozen=True)
class _Needs:
    """What is allocated, in bytes, by what it grows with; what the metric makes of 16 blank images is measured.

    Parameters
    ----------
    count : int
        Real images.
    image, side : int
        Pixels of an image, and the image as the metric needs it.
    k : int
        Nearest synthetic images that are kept.
    """

    count: int
    image: int
    side: int
    k: int

    @classmethod
    def of(cls, pixels: Array, metric: ImageMetric, k: int) -> _Needs:
        blank = prepare_side(np.zeros((bounds.GROUP, *pixels.shape[1:]), pixels.dtype), metric)
        packed = sum(array.nbytes for array in blank.arrays.values()) // bounds.GROUP
        return cls(len(pixels), pixels.nbytes // len(pixels), 2 * packed, k)  # as the second side of products, too

    def most(self, *, packed: bool, block: int, threads: int) -> int:  # noqa: ARG002 - the real images always are
        """Return what a process takes at most that works in this way."""
        padded = -(-self.count // bounds.GROUP) * bounds.GROUP
        kept = bounds.PROCESS + self.count * self.image + padded * self.side
        reading = max(block, bounds.GROUP)
        one = reading * (self.image + self.side) + padded * reading * _PAIR
        part = self.count * min(self.k, block) * _KEPT
        joined = self.count * self.k * _KEPT
        return kept + threads * one + 2 * threads * part + min(HELD, 16 * part) + 6 * (joined + 2 * part)

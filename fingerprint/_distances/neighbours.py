"""Neighbourhood: the nearest synthetic images of every real image, from a stream, without the whole matrix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base import checks, concurrency
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import SHOWN, ListResult, Table
from fingerprint._distances import distance
from fingerprint._images import loading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array
    from fingerprint._images.loading import Failure, Slices, Source, Task

_MERGED = 1024  # synthetic images whose distances wait until they are merged into the nearest ones


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

    def _table(self) -> Table:
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
        One of `fingerprint.distances` for images.
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
    checks.choice("metric", metric, distance.IMAGE_METRICS)
    checks.integer("k", k, minimum=1)
    workers = concurrency.resolve(threads)
    slices = loading.read(real, threads=workers, argument="real")
    left = distance.prepare(slices.pixels, metric, threads=workers)

    def step(task: Task) -> tuple[Slices, Array | None]:
        part = task()
        return part, distance.block(left, distance.prepare(part.pixels, metric)) if len(part) else None

    best = _Best(len(slices), k)
    failed: list[Failure] = []
    tasks = loading.plan(fake, block=distance.BLOCK, expect=slices, argument="fake")
    total = loading.count(fake, argument="fake") if progress else None
    with concurrency.bar(progress, unit="image", total=total) as advance:
        for part, matrix in concurrency.map_ordered(step, tasks, threads=workers):
            failed += part.failed
            if matrix is not None:
                best.add(matrix, part.names)
            advance(len(part) + len(part.failed))
    best.merge()
    if not best.seen:
        raise loading.none_usable(fake, failed, argument="fake")
    lost = {"real": slices.failed, "fake": tuple(failed)}
    return Nearest(slices.names, metric, best.names(), best.indices, best.distances, lost)


class _Best:
    """The k smallest distances of every row so far, ties to the lower name in natural order, then to the first."""

    def __init__(self, n: int, k: int) -> None:
        self.k, self.seen = k, 0
        self.distances = np.empty((n, 0))
        self.indices = np.empty((n, 0), np.int64)
        self._names: dict[int, str] = {}  # of these indices, and of some that were among them
        self._waiting: list[tuple[Array, Sequence[str]]] = []

    def add(self, matrix: Array, names: Sequence[str]) -> None:
        """Take in the distances to the next images, by the next `merge` at the latest."""
        self._waiting.append((matrix, names))
        if sum(len(names) for _, names in self._waiting) >= _MERGED:
            self.merge()

    def merge(self) -> None:
        """Take in what waits."""
        if not self._waiting:
            return
        old, start = self.indices.shape[1], self.seen
        names = [name for _, own in self._waiting for name in own]
        values = np.concatenate([self.distances, *(matrix for matrix, _ in self._waiting)], axis=1)
        self._waiting, self.seen = [], start + len(names)
        k = min(self.k, values.shape[1])
        bound = self.distances[:, -1:] if old == k else np.partition(values, k - 1, axis=1)[:, k - 1 : k]
        at = np.flatnonzero(values <= bound)
        rows, columns = np.divmod(at, values.shape[1])
        near = values.ravel()[at]
        kept = columns < old
        which = start + columns - old
        self._names.update((index, names[index - start]) for index in set(which[~kept].tolist()))
        which[kept] = self.indices[rows[kept], columns[kept]]
        order = np.lexsort((near, rows))
        same = (np.diff(near[order]) == 0) & (np.diff(rows[order]) == 0)
        if same.any():
            tied = order[np.append(same, False) | np.append(False, same)]
            indices, places = np.unique(which[tied], return_inverse=True)
            keys = [(loading.natural_key(self._names[index]), index) for index in indices.tolist()]
            rank = np.zeros(len(at), np.int64)
            rank[tied] = np.argsort(sorted(range(len(keys)), key=keys.__getitem__))[places]
            order = np.lexsort((rank, near, rows))
        first = np.searchsorted(rows, np.arange(len(values)))
        best = order[first[:, None] + np.arange(k)]
        self.distances, self.indices = near[best], which[best]
        if len(self._names) > 4 * self.indices.size:
            self._names = {index: self._names[index] for index in np.unique(self.indices).tolist()}

    def names(self) -> tuple[tuple[str, ...], ...]:
        """Return the names, (n, k)."""
        return tuple(tuple(self._names[index] for index in row) for row in self.indices.tolist())

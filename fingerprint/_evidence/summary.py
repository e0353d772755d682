"""Summary: what one pass over synthetic images leaves behind, of a size that does not depend on how many there were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import histogram, naming
from fingerprint._base.population import population
from fingerprint._evidence import scales as _views
from fingerprint._evidence.whitening import Whitening
from fingerprint._images.loading import Failure, natural_key
from fingerprint._patches import gains, real_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._distances.sides import Prepared
    from fingerprint._evidence.scales import View
    from fingerprint._images.loading import Slices
    from fingerprint._patches.gains import PatchSummary
    from fingerprint._patches.real_side import PatchReals

_OTHERS = 50  # nearest other real images that are kept for the statistics


@dataclass(frozen=True)
class Reals:
    """Real images, prepared once for the comparison with any number of synthetic ones.

    Parameters
    ----------
    prepared : mapping
        The images by view, as `fingerprint._evidence.scales.prepare` returns them.
    whitenings : tuple of Whitening or None
        For each view what its images have in common; None where they are compared as they are.
    others : ndarray
        (n_views, n_real, m) float64: distances to the nearest other real images, ascending, infinite where there are
        fewer than m; whitened in whitened views.
    groups : ndarray
        (n_real,) int64 from 0: images of the same group are not compared with each other.
    grouped : bool
        Whether groups are known.
    patches : PatchReals, optional
        Where local patches are compared too.
    """

    prepared: Mapping[View, Prepared]
    whitenings: tuple[Whitening | None, ...]
    others: Array
    groups: Array
    grouped: bool = False
    patches: PatchReals | None = None


@dataclass(frozen=True)
class Summary:
    """Evidence about every real image from the synthetic images seen so far.

    Summaries of disjoint parts of a collection merge into the summary of the whole, exactly and in any order.

    Parameters
    ----------
    views : tuple of View
        What was compared; the first axis of the arrays.
    n_fake : int
        Number of synthetic images seen.
    fakes : tuple of str
        Names of the synthetic images that `indices` refers to, in natural order.
    distances : ndarray
        (n_views, n_real, k) float64: distances to the k nearest synthetic images, ascending; infinite where fewer were
        seen. Of equally distant ones the lower name comes first.
    indices : ndarray
        (n_views, n_real, k) int64: positions in `fakes` of the nearest synthetic images; -1 where fewer were seen.
    counts : ndarray
        (n_views, n_real, n_bins) int64: how many synthetic images lie in each bin of distances, see `_base.histogram`.
    votes : ndarray
        (n_views, n_real) int64: how many synthetic images have this real image as their nearest; of equally near ones
        the first has the vote.
    copies : ndarray
        (n_views, n_real) int64: those votes that come from nearer than the nearest other real image.
    failed : tuple of Failure
        Files that could not be used.
    ignored : int
        Files that are no images.
    patches : PatchSummary, optional
        Where local patches were compared too.
    """

    views: tuple[View, ...]
    n_fake: int
    fakes: tuple[str, ...]
    distances: Array
    indices: Array
    counts: Array
    votes: Array
    copies: Array
    failed: tuple[Failure, ...] = ()
    ignored: int = 0
    patches: PatchSummary | None = None

    @property
    def k(self) -> int:
        """Return how many nearest synthetic images are kept for each real one."""
        return int(self.distances.shape[2])

    def first(self, count: int) -> Summary:
        """Return the evidence about the first real images alone.

        Parameters
        ----------
        count : int
            How many.

        Returns
        -------
        Summary
            Of the same synthetic images.
        """
        fakes, indices = naming.referenced(self.fakes, self.indices[:, :count])
        return replace(
            self,
            fakes=fakes,
            indices=indices,
            distances=self.distances[:, :count],
            counts=self.counts[:, :count],
            votes=self.votes[:, :count],
            copies=self.copies[:, :count],
            patches=None if self.patches is None else self.patches.first(count),
        )


def summarise(real: Reals, block: Slices, *, k: int) -> Summary:
    """Compare prepared real images with one block of synthetic ones.

    Parameters
    ----------
    real : Reals
        The real images.
    block : Slices
        Synthetic images, possibly none.
    k : int
        How many nearest synthetic images to keep.

    Returns
    -------
    Summary
        Of this block alone.
    """
    views = tuple(real.prepared)
    n_real = len(real.groups)
    in_order = naming.in_order(block.names)
    names = [block.names[i] for i in in_order]
    distances = np.full((len(views), n_real, k), np.inf)
    indices = np.full((len(views), n_real, k), -1, dtype=np.int64)
    counts = np.zeros((len(views), n_real, len(histogram.edges())), dtype=np.int64)
    votes = np.zeros((len(views), n_real), dtype=np.int64)
    copies = np.zeros_like(votes)
    if names:
        compared = _views.compare(real.prepared, _views.prepare(block.pixels[in_order], views))
        kept = min(k, len(names))
        for v, (found, whitening) in enumerate(zip(compared.values(), real.whitenings, strict=True)):
            if whitening is not None:
                found = whitening.distances(found)
            nearest = _smallest(found, kept)
            indices[v, :, :kept] = nearest
            distances[v, :, :kept] = np.take_along_axis(found, nearest, axis=1)
            counts[v] = histogram.count(found)
            voted = found.argmin(axis=0)
            votes[v] = np.bincount(voted, minlength=n_real)
            if real.others.shape[2]:
                is_copy = found[voted, np.arange(len(names))] < real.others[v, voted, 0]
                copies[v] = np.bincount(voted[is_copy], minlength=n_real)
    fakes, indices = naming.referenced(names, indices)
    matched = None
    if real.patches is not None:
        matched = gains.summarise_patches(real.patches, block.pixels, block.names, k=k)
    return Summary(
        views, len(names), fakes, distances, indices, counts, votes, copies, block.failed, block.ignored, matched
    )


def prepare(
    pixels: Array, views: Sequence[View], *, groups: Array | None = None, patches: bool = False, threads: int = 1
) -> Reals:
    """Prepare real images and compare them with each other.

    Parameters
    ----------
    pixels : ndarray
        (n_real, h, w) uint8 or uint16.
    views : sequence of View
        What to compare.
    groups : ndarray, optional
        (n_real,) int: images of the same group are not compared with each other.
    patches : bool
        Also prepare the comparison of local patches.
    threads : int
        Threads to use.

    Returns
    -------
    Reals
        With the 50 nearest others of every image.
    """
    count = len(pixels)
    prepared = _views.prepare(pixels, views)
    own = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    kept = min(_OTHERS, count - 1)
    members = population(count)
    others = np.full((len(views), count, kept), np.inf)
    whitenings: list[Whitening | None] = [None] * len(views)
    rest = np.delete(np.arange(count), members)
    for columns in (members, *(rest[start : start + len(members)] for start in range(0, len(rest), len(members)))):
        side = prepared if len(columns) == count else _views.prepare(pixels[columns], views)
        for v, (view, found) in enumerate(_views.compare(prepared, side, threads=threads).items()):
            if view.whitened and columns is members:
                whitenings[v] = Whitening.of(found, members)
            whitened = whitening.distances(found) if (whitening := whitenings[v]) else found
            strangers = np.where(own[:, None] == own[columns], np.inf, whitened)
            others[v] = np.sort(np.concatenate([others[v], strangers], axis=1), axis=1)[:, :kept]
    parts = real_side.prepare_real(pixels, threads=threads) if patches else None
    return Reals(prepared, tuple(whitenings), others, own, groups is not None, parts)


def merge(summaries: Sequence[Summary]) -> Summary:
    """Merge the summaries of disjoint parts of a collection.

    The result is the same, bit for bit, however the collection was cut and in whatever order its parts are merged.

    Parameters
    ----------
    summaries : sequence of Summary
        At least one; about the same real images, views and k.

    Returns
    -------
    Summary
        Of all synthetic images together.
    """
    first = summaries[0]
    names, placed = naming.united([(summary.fakes, summary.indices) for summary in summaries])
    distances = np.concatenate([summary.distances for summary in summaries], axis=2)
    indices = np.concatenate(placed, axis=2)
    nearest = np.lexsort((indices, distances), axis=2)[..., : first.k]
    fakes, indices = naming.referenced(names, np.take_along_axis(indices, nearest, axis=2))
    patches = [summary.patches for summary in summaries if summary.patches is not None]
    failed = sorted(
        (failure for summary in summaries for failure in summary.failed),
        key=lambda failure: (natural_key(failure.name), failure.reason),
    )
    return Summary(
        first.views,
        sum(summary.n_fake for summary in summaries),
        fakes,
        np.take_along_axis(distances, nearest, axis=2),
        indices,
        np.sum([summary.counts for summary in summaries], axis=0),
        np.sum([summary.votes for summary in summaries], axis=0),
        np.sum([summary.copies for summary in summaries], axis=0),
        tuple(failed),
        sum(summary.ignored for summary in summaries),
        gains.merge(patches) if patches else None,
    )


def _smallest(distances: Array, k: int) -> Array:
    """Return the columns of the k smallest values of every row, ascending; of equal ones the lower column first."""
    bound = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    rows, columns = np.nonzero(distances <= bound)
    order = np.lexsort((columns, distances[rows, columns], rows))
    first = np.searchsorted(rows, np.arange(len(distances)))
    return np.asarray(columns[order][first[:, None] + np.arange(k)])

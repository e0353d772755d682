"""Findings: what one pass over synthetic images leaves behind; its size does not depend on how many there were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import failures, histogram
from fingerprint._base.best import Best
from fingerprint._base.naming import natural_key
from fingerprint._images.blocks import places_of
from fingerprint._images.record import positions
from fingerprint._patches import gains
from fingerprint._patches.gain_reals import without_flat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fingerprint._base.failures import Failure
    from fingerprint._base.types import Array
    from fingerprint._evidence.reals import Reals
    from fingerprint._evidence.scales import Scale
    from fingerprint._images.slices import Slices
    from fingerprint._patches.gains import GainSummary


@dataclass(frozen=True)
class Findings:
    """Evidence about every real image from the synthetic images seen so far.

    Summaries of disjoint parts of a stream merge into the summary of the whole, exactly and in any order.

    Parameters
    ----------
    scales : tuple of Scale
        Where whole images were compared; the first axis of the arrays.
    nearest : Best
        Rows are (n_scales, n_real); values are the distances to the nearest synthetic images, float64.
    counts : ndarray
        (n_scales, n_real, n_bins) of the smallest unsigned integers that hold n_fake: log histogram of the distances,
        see `fingerprint._base.histogram`.
    votes : ndarray
        (n_scales, n_real) int64: how many synthetic images have this real image as their nearest; of equally near ones
        the first has the vote.
    copies : ndarray
        (n_scales, n_real) int64: those votes that come from nearer than the nearest other real image.
    closest : Best
        Rows are (n_real,); the value is the distance at `fingerprint._evidence.reals.COPIED` to the nearest synthetic
        image there; exactly 0 = identical.
    windows : ndarray
        (n_windows, n_real, 2) float64, ascending: distances of windows to those of the two nearest synthetic images,
        infinite where there are fewer.
    failed : tuple of Failure
        Files that could not be used, in the order of the stream.
    lost : ndarray
        (n_failed,) int64, ascending: where they stand in the stream. Until `settled`, images are known by their place
        among images and failures, which depends on nothing that is read.
    patches : GainSummary, optional
        Where patches were compared too.
    fake_to_used : ndarray, optional
        (n_fake,) float64, ascending: distance of every synthetic image, as it is, to the nearest used one, where
        `Reals.n_used` says which these are. The only part that grows with the number of synthetic images.
    forms : int
        In how many forms each synthetic image, and each failure, came. They are numbered each, but an image counts
        once, in the form that is nearest.
    as_is : ndarray, optional
        The same as `counts` for synthetic images as they are, where they came in other forms too.
    """

    scales: tuple[Scale, ...]
    nearest: Best
    counts: Array
    votes: Array
    copies: Array
    closest: Best
    windows: Array
    failed: tuple[Failure, ...]
    lost: Array
    patches: GainSummary | None = None
    fake_to_used: Array | None = None
    forms: int = 1
    as_is: Array | None = None

    @property
    def n_fake(self) -> int:
        """Return the number of synthetic images seen."""
        return self.nearest.n_seen

    @property
    def distances(self) -> Array:
        """Return (n_scales, n_real, k) float64 distances to the nearest synthetic images, ascending.

        There are fewer columns than k where fewer synthetic images were seen.
        """
        return self.nearest.values

    @property
    def sound(self) -> bool:
        """Whether the parts go together, as those of a file need not."""
        seen = {best.n_seen for best in self._bests}
        if type(self.forms) is not int or self.forms < 1:
            return False
        within = all(0 <= place < self.n_places for best in self._bests for place in best.names)
        counted = all(histogram.sound(each, self.n_fake) for each in (self.counts, self.as_is) if each is not None)
        return counted and seen == {self.n_fake} and within and failures.placed(self.failed, self.lost, self.n_places)

    @property
    def _bests(self) -> list[Best]:
        return [self.nearest, self.closest, *([] if self.patches is None else [self.patches.best])]

    @property
    def nbytes(self) -> int:
        """Return the bytes of all arrays."""
        arrays = [self.counts, self.votes, self.copies, self.windows, *([] if self.as_is is None else [self.as_is])]
        arrays += [array for best in self._bests for array in (best.values, best.images)]
        return sum(array.nbytes for array in arrays) + (0 if self.patches is None else self.patches.counts.nbytes)

    def first(self, count: int) -> Findings:
        """Return the evidence about the first `count` real images alone."""
        return replace(
            self,
            nearest=self.nearest.some(np.s_[:, :count]),
            counts=self.counts[:, :count],
            votes=self.votes[:, :count],
            copies=self.copies[:, :count],
            closest=self.closest.some(np.s_[:count]),
            windows=self.windows[:, :count],
            patches=None if self.patches is None else self.patches.first(count),
            as_is=None if self.as_is is None else self.as_is[:, :count],
        )

    @property
    def n_places(self) -> int:
        """Return the number of images and failures seen, of each in all forms."""
        return self.n_fake * self.forms + len(self.failed)

    def moved(self, start: int) -> Findings:
        """Return the same for synthetic images that come `start` places later in the stream."""
        return self.placed(lambda places: places + start)

    def placed(self, place: Callable[[Array], Array]) -> Findings:
        """Return the same for images and failures that stand elsewhere in the stream: `place` keeps their order."""
        return replace(
            self,
            nearest=self.nearest.placed(place),
            closest=self.closest.placed(place),
            patches=None if self.patches is None else self.patches.placed(place),
            lost=place(self.lost),
        )

    def settled(self) -> Findings:
        """Return the same of a whole stream: images by their position among usable ones, failures in natural order."""
        found = self.placed(positions(self.lost))
        failed = sorted(self.failed, key=lambda failure: (natural_key(failure.name), failure.reason))
        return replace(found, failed=tuple(failed[:: self.forms]), lost=found.lost[:: self.forms])


def summarise(real: Reals, block: Slices, *, k: int, forms: int = 1) -> Findings:
    """Compare prepared real images with one block of synthetic ones.

    Parameters
    ----------
    real : Reals
        The real images.
    block : Slices
        Synthetic images, possibly none.
    k : int
        How many nearest synthetic images to keep.
    forms : int
        How many images of the block, which follow one another, are forms of one.

    Returns
    -------
    Findings
        Of this block alone, as if the stream began with it.
    """
    scales, n_real = real.scales[: real.n_whole], len(real.groups)
    distances = np.empty((len(scales), n_real, len(block)))
    votes = np.zeros((len(scales), n_real), dtype=np.int64)
    copies = np.zeros_like(votes)
    gaps = np.empty((n_real, len(block)))
    windows = np.full((len(real.scales) - len(scales), n_real, 2), np.inf)
    pixels = block.pixels
    if len(block):
        by_scale, gaps, flat = real.distances(block.pixels)
        pixels = without_flat(pixels, flat)
        for s, found in enumerate(by_scale[len(scales) :]):
            windows[s] = _two_smallest(_nearest_form(found, forms))
        for s, found in enumerate(by_scale[: len(scales)]):
            distances[s] = found
            found = _nearest_form(found, forms)
            voted = found.argmin(axis=0)
            votes[s] = np.bincount(voted, minlength=n_real)
            if real.others.shape[2]:
                is_copy = found[voted, np.arange(len(voted))] < real.others[s, voted, 0]
                copies[s] = np.bincount(voted[is_copy], minlength=n_real)
    counts = _counts(_nearest_form(distances, forms))
    as_is = None if forms == 1 else _counts(distances[..., ::forms])
    nearest = Best.of(distances, block.names, k, forms)
    patches = None
    if real.patches is not None:
        patches = gains.summarise_gains(real.patches, pixels, block.names, k=k, forms=forms)
    to_used = None if real.n_used is None else np.sort(gaps[: real.n_used, ::forms].min(axis=0))
    closest = Best.of(gaps, block.names, 1, forms)
    places, lost = places_of(block)
    none = np.zeros(0, np.int64)
    kinds = scales, nearest, counts, votes, copies, closest, windows, block.failed, none, patches, to_used
    summary = Findings(*kinds, forms=forms, as_is=as_is)
    return replace(summary.placed(places.__getitem__), lost=lost) if len(lost) else summary


def _counts(distances: Array) -> Array:
    """Return the log histograms (n_scales, n_real, n_bins) of distances (n_scales, n_real, n)."""
    scales, n_real, count = distances.shape
    return histogram.count(distances.reshape(scales * n_real, count)).reshape(scales, n_real, -1)


def _nearest_form(distances: Array, forms: int) -> Array:
    """Return the distances (..., n) of n images, each in the form in which it is nearest, from those of all forms."""
    if forms == 1:
        return distances
    return np.asarray(distances.reshape(*distances.shape[:-1], distances.shape[-1] // forms, forms).min(axis=-1))


def _two_smallest(found: Array) -> Array:
    """Return the two smallest numbers of each row, ascending, the second infinite where there is only one.

    The least is out of the way while the second is found, and put back: that takes a third of `np.partition`.
    """
    rows = np.arange(len(found)), found.argmin(axis=1)
    least = found[rows]
    found[rows] = np.inf
    second = found.min(axis=1)
    found[rows] = least
    return np.stack([least, second], axis=1)


def _nearest_two(*parts: Array) -> Array:
    """Return the two smallest numbers, ascending, along the last axis of all parts together."""
    return np.sort(np.partition(np.concatenate(parts, axis=-1), 1, axis=-1)[..., :2], axis=-1)


def join(parts: Sequence[Findings]) -> Findings:
    """Merge the summaries of parts that follow one another in the stream, at least one.

    Each part counts its images and failures from 0; in the result they count from the beginning of the first part.
    """
    starts = accumulate((part.n_places for part in parts[:-1]), initial=0)
    return merge([part.moved(start) for part, start in zip(parts, starts, strict=True)])


def merge(summaries: Sequence[Findings]) -> Findings:
    """Merge the summaries of disjoint parts of a stream.

    The result is the same, bit for bit, however the stream was cut and in whatever order its parts are merged.

    Parameters
    ----------
    summaries : sequence of Findings
        At least one; about the same real images, scales and k. Positions of synthetic images are those in the stream,
        see `Findings.moved`.

    Returns
    -------
    Findings
        Of all synthetic images together.
    """
    patches = [summary.patches for summary in summaries if summary.patches is not None]
    to_used = [summary.fake_to_used for summary in summaries if summary.fake_to_used is not None]
    failed, lost = failures.merged(summaries)
    as_is = [summary.as_is for summary in summaries if summary.as_is is not None]
    nearest = Best.merge([summary.nearest for summary in summaries])
    return Findings(
        summaries[0].scales,
        nearest,
        histogram.add([summary.counts for summary in summaries], nearest.n_seen),
        np.sum([summary.votes for summary in summaries], axis=0),
        np.sum([summary.copies for summary in summaries], axis=0),
        Best.merge([summary.closest for summary in summaries]),
        _nearest_two(*(summary.windows for summary in summaries)),
        failed,
        lost,
        gains.merge(patches) if patches else None,
        np.sort(np.concatenate(to_used)) if to_used else None,
        summaries[0].forms,
        histogram.add(as_is, nearest.n_seen) if as_is else None,
    )

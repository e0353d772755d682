"""Real images, prepared once for the comparison with any number of synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import bounds, concurrency, limits
from fingerprint._base.progress import bar
from fingerprint._base.representatives import representatives
from fingerprint._distances.packed import contrasts
from fingerprint._distances.side import parts_of
from fingerprint._evidence.scales import Scale, Unpacked, at_once, compare_scales, prepare_scales
from fingerprint._evidence.whitening import Whitening
from fingerprint._patches.gain_reals import prepare_patches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side
    from fingerprint._patches.gain_reals import GainReals

COPIED = Scale(1, "euclidean")  # where images are looked at for copies
NEAR_COPY = 2.0  # grey levels of 255 (RMS): a synthetic image that differs by no more is a near copy
_FLAT = 64  # an image varies that many times less than the median real image, and is flat
_SAME, _APART = 10, 2  # a near copy differs that many times less than the image varies, and than other images differ
_OTHERS = 50  # nearest other real images that are kept for the statistics


@dataclass(frozen=True)
class Reals:
    """Real images, prepared once for the comparison with any number of synthetic ones.

    Parameters
    ----------
    sides : mapping or Unpacked
        The images at each scale, as `fingerprint._evidence.scales.prepare_scales` returns them, and at `COPIED`.
    whitenings : tuple of Whitening or None
        For each scale what its images have in common; None where they are compared as they are.
    others : ndarray
        (n_scales, n_real, m) float64, of whole images and then of windows: distances to the nearest real images of
        other groups, ascending, infinite where there are fewer than m; whitened at whitened scales.
    groups : ndarray
        (n_real,) int64 from 0: the group of each image; each its own where groups are not known.
    grouped : bool
        Whether groups are known.
    least : ndarray
        (n_scales,) float64: standard deviation at or below which an image is flat; -1 at scales that are not whitened.
    flat : ndarray
        (n_scales, n_real) bool: which images are.
    near : ndarray
        (n_real,) float64: distance at `COPIED` from which down a synthetic image is a near copy, see `_near`; -1 where
        the image is flat, so that nothing is.
    patches : GainReals, optional
        Where patches are compared too.
    n_used : int, optional
        How many images, from the first on, the data-copying statistic takes for those that may be copied.
    unused_to_used : ndarray, optional
        (n_real - n_used,) float64: distance of every other image to the nearest of those, at that scale.
    """

    sides: Mapping[Scale, Side] | Unpacked
    whitenings: tuple[Whitening | None, ...]
    others: Array
    groups: Array
    grouped: bool
    least: Array
    flat: Array
    near: Array
    patches: GainReals | None = None
    n_used: int | None = None
    unused_to_used: Array | None = None

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Return what is compared, the first axis of `others`: whole images, then windows."""
        return tuple(self.sides)[: len(self.whitenings)]

    @property
    def n_whole(self) -> int:
        """Return at how many scales whole images are compared."""
        return sum(not scale.windowed for scale in self.scales)

    def distances(self, pixels: Array) -> tuple[list[Array], Array, Array]:
        """Return the distances of every real image to every image of `pixels` (m, h, w), whitened where scales are.

        One (n_real, m) float64 for each scale; those at `COPIED`; and which images are flat at the first scale, (m,)
        bool. Flat images have nothing in common with any: their whitened distance is 1.
        """
        prepared = prepare_scales(pixels, tuple(self.sides))
        compared = compare_scales(self.sides, prepared)
        flat = [_flat(prepared[scale], scale, least) for scale, least in zip(self.scales, self.least, strict=True)]
        flat = [one | flat[0] for one in flat]
        copied = compared[COPIED]
        found = [
            _whitened(compared.pop(scale), *about)
            for scale, *about in zip(self.scales, self.whitenings, self.flat, flat, strict=True)
        ]
        return found, copied, flat[0]


def _flat(side: Side, scale: Scale, least: float) -> Array:
    """Return which images of a side are flat at a scale, (n,) bool."""
    return np.zeros(len(side), bool) if least < 0 else contrasts(side, scale.metric) <= least


def _learned(found: Array, chosen: Array, flat: Array) -> Whitening | None:
    """Return what the representatives that are not flat have in common."""
    if not flat.any():
        return Whitening.of(found, chosen)
    return None if flat.all() else Whitening.of(found[:, ~flat], chosen[~flat])


def _whitened(found: Array, whitening: Whitening | None, *flat: Array) -> Array:
    """Return distances, whitened where the scale is; 1 for rows and columns that are flat."""
    whitened = found if whitening is None else whitening.distances(found)
    rows, columns = flat
    return np.where(rows[:, None] | columns, 1.0, whitened) if rows.any() or columns.any() else whitened


def compile_kernels(
    pixels: Array, scales: Sequence[Scale], *, patches: bool, threads: int, memory: int | None, progress: bool | None
) -> None:
    """Compile what preparing such images and comparing them will need, where most of it is missing, and show a bar.

    There are as many processes as threads, if they have cores and fit into `memory`, bytes, or what there is.
    """
    if scales[0].whitened:
        from fingerprint._kernels import ahead

        room = (memory or limits.available_memory() or 2**60) // (2 * bounds.PROCESS)
        ahead.compile_ahead(
            pixels.dtype == np.uint16,
            patches,
            processes=min(threads, limits.cores(), room),
            bar=partial(bar, progress, unit="kernel", phase="compiling"),
        )


def prepare_reals(
    pixels: Array,
    scales: Sequence[Scale],
    *,
    groups: Array | None = None,
    patches: bool = False,
    n_used: int | None = None,
    packed: bool = True,
    threads: int = 1,
) -> Reals:
    """Prepare real images and compare them with each other.

    Parameters
    ----------
    pixels : ndarray
        (n_real, h, w) uint8 or uint16.
    scales : sequence of Scale
        What to compare: whole images, then windows.
    groups : ndarray, optional
        (n_real,) int: images of the same group are not compared with each other.
    patches : bool
        Also prepare the comparison of patches.
    n_used : int, optional
        How many images, from the first on, synthetic ones may copy.
    packed : bool
        Keep the images packed for the comparison, not their pixels alone. Never changes the result.
    threads : int
        Threads to use.

    Returns
    -------
    Reals
        With the 50 nearest others of every image.
    """
    count = len(pixels)
    every = tuple(scales) if COPIED in scales else (*scales, COPIED)
    sides = prepare_scales(pixels, every) if packed else Unpacked(pixels, every)
    own = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    kept = min(_OTHERS, count - 1)
    chosen = representatives(count)
    others = np.full((len(scales), count, kept), np.inf)
    to_used = None if n_used is None else np.full(count - n_used, np.inf)
    apart = np.full(count, np.inf)
    whitenings: list[Whitening | None] = [None] * len(scales)
    varied = _varied(sides, scales)
    least = np.array(
        [np.median(each) / _FLAT if scale.whitened else -1.0 for scale, each in zip(scales, varied, strict=True)]
    )
    if scales[0].whitened:  # of whole images at full resolution
        least[0] = least_contrast(varied[0], _grey_level(pixels))
    flat = varied <= least[:, None]
    flat |= flat[0]
    rest = np.delete(np.arange(count), chosen)
    for columns in (chosen, *(rest[start : start + len(chosen)] for start in range(0, len(rest), len(chosen)))):
        for compared in _compared(sides, pixels, every, columns, threads):
            if COPIED in compared:
                apart = np.minimum(apart, np.where(own[:, None] == own[columns], np.inf, compared[COPIED]).min(axis=1))
                if to_used is not None:
                    to_these = compared[COPIED][n_used:, columns < n_used]
                    to_used = np.minimum(to_used, to_these.min(axis=1, initial=np.inf))

            def keep_nearest(s: int, columns: Array = columns, compared: Mapping[Scale, Array] = compared) -> None:
                found = compared[scales[s]]
                if scales[s].whitened and columns is chosen:
                    whitenings[s] = _learned(found, chosen, flat[s, chosen])
                whitened = _whitened(found, whitenings[s], flat[s], flat[s, columns])
                for rows in parts_of(count, len(chosen)):
                    of_others = np.where(own[rows, None] == own[columns], np.inf, whitened[rows])
                    known = np.concatenate([others[s, rows], of_others], axis=1)
                    others[s, rows] = np.sort(known, axis=1)[:, :kept]

            concurrency.run(keep_nearest, [s for s, scale in enumerate(scales) if scale in compared], threads=threads)
    parts = prepare_patches(pixels, flat=flat[0], threads=threads) if patches else None
    near = _near(pixels, apart)
    return Reals(sides, tuple(whitenings), others, own, groups is not None, least, flat, near, parts, n_used, to_used)


def _varied(sides: Mapping[Scale, Side] | Unpacked, scales: Sequence[Scale]) -> Array:
    """Return the standard deviations of all images, (n_scales, n) float64; 0 at scales that are not whitened."""
    if isinstance(sides, Unpacked):
        return np.concatenate([_varied(part, scales) for _, part in sides.parts(scales)], axis=1)
    known = (sides[scale] for scale in scales)
    return np.stack(
        [
            contrasts(side, scale.metric) if scale.whitened else np.zeros(len(side))
            for scale, side in zip(scales, known, strict=True)
        ]
    )


def _compared(
    sides: Mapping[Scale, Side] | Unpacked, pixels: Array, scales: Sequence[Scale], columns: Array, threads: int
) -> Iterator[dict[Scale, Array]]:
    """Yield the distances of all images to some of them, (n, len(columns)), factor by factor: all would be large."""
    for factor in dict.fromkeys(scale.factor for scale in scales):
        these = [scale for scale in scales if scale.factor == factor]
        if not isinstance(sides, Unpacked) and len(columns) == len(pixels):
            found = compare_scales(sides, {scale: sides[scale] for scale in these}, threads=threads)
        else:
            found = {scale: np.empty((len(pixels), len(columns))) for scale in these}
            for part in parts_of(len(columns), at_once(pixels)):
                some = prepare_scales(pixels[columns[part]], these)
                for scale, matrix in compare_scales(sides, some, threads=threads).items():
                    found[scale][:, part] = matrix
        yield found


def _near(pixels: Array, apart: Array) -> Array:
    """Return how far a synthetic image may be from each real one, (n,) float64 RMS, to be a near copy.

    At most 2 grey levels of 255 (of images with more than 8 bits, of 255 steps between their darkest and brightest
    pixel), a tenth of the standard deviation of the image, and half the distance to the nearest image of another
    patient, `apart`. -1 for flat images, whose copies say nothing.
    """
    level = _grey_level(pixels)
    deviations = np.array([image.std() for image in pixels])
    near = np.minimum(np.minimum(NEAR_COPY * level, deviations / _SAME), apart / _APART)
    return np.where(deviations > least_contrast(deviations, level), near, -1.0)


def _grey_level(pixels: Array) -> float:
    """Return what counts as one of 255 grey levels."""
    return 1.0 if pixels.dtype == np.uint8 else (int(pixels.max()) - int(pixels.min())) / 255


def least_contrast(deviations: Array, level: float) -> float:
    """Return the standard deviation at or below which an image is flat.

    Such an image varies 64 times less than the median one, or is a near copy of a single grey: it differs from that by
    at most 2 grey levels of 255, and by at most a tenth of what the median image varies.

    Parameters
    ----------
    deviations : ndarray
        (n,) float64 standard deviations of the real images.
    level : float
        One of 255 grey levels.

    Returns
    -------
    float
        In the units of the pixels.
    """
    median = float(np.median(deviations))
    return max(median / _FLAT, min(NEAR_COPY * level, median / _SAME))

"""Scales: images are compared at several reductions, each with its metric, whole and in windows.

Nobody knows beforehand at which scale a generator remembers. A weak one keeps the shape of a body, a strong one single
vessels. So images are compared at every level of a pyramid, and no level is preferred. Nor does a generator remember an
image as a whole: one that sees a part at a time puts together parts of several (Kamb & Ganguli, An Analytic Theory of
Creativity in Convolutional Diffusion Models, ICML 2025). So windows of half the height and width are compared, each on
its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._distances import metrics
from fingerprint._distances.packed import WINDOWS
from fingerprint._distances.side import parts_of
from fingerprint._kernels.memory import unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side

_STEP = 4  # from one level of the pyramid to the next
_LEAST_SIDE = 16  # shorter side of the last level, and of a window, in pixels
_AT_ONCE = 16, 128  # real images that are packed at a time where not all are kept packed, least and most
_PACKED = 2**25  # bytes of these, unless the least are more


@dataclass(frozen=True, order=True)
class Scale:
    """A reduction of whole images, and the metric that compares them there.

    Parameters
    ----------
    factor : int
        Pixels of the image along each side of one pixel at this scale.
    metric : str
        A metric of `fingerprint.distances`, or the correlation of a window, see `_distances.packed.WINDOWS`.
    whitened : bool
        Compare what sets the images apart, see `_evidence.whitening.Whitening`; for correlations.
    """

    factor: int
    metric: str
    whitened: bool = False

    @property
    def windowed(self) -> bool:
        """Say whether a window is compared rather than the whole image."""
        return self.metric in WINDOWS

    @property
    def name(self) -> str:
        """Return a short name, such as ``whitened correlation, 4x4 pixels``."""
        kind = "whitened " if self.whitened else ""
        return f"{kind}{self.metric}, {self.factor}x{self.factor} pixels"


def pyramid(height: int, width: int) -> tuple[Scale, ...]:
    """Return the scales of the default score for images of this size.

    The first is full resolution. Each further one has a quarter of the side of the one before, as long as the shorter
    side has 16 pixels. All are compared by whitened correlation: correlation ignores brightness and contrast, and
    whitening takes away what all images of a kind share.

    Parameters
    ----------
    height, width : int
        Size of the images in pixels.

    Returns
    -------
    tuple of Scale
        At least one, finest first.

    Examples
    --------
    >>> [scale.factor for scale in pyramid(256, 300)]
    [1, 4, 16]
    """
    factors = [1]
    while min(height, width) // (_STEP * factors[-1]) >= _LEAST_SIDE:
        factors.append(_STEP * factors[-1])
    return tuple(Scale(factor, "correlation", whitened=True) for factor in factors)


def windows(scales: Sequence[Scale], height: int, width: int) -> tuple[Scale, ...]:
    """Return the nine windows at each of these scales, of images of this size, where a window has 16 pixels.

    Examples
    --------
    >>> [scale.name for scale in windows(pyramid(256, 300), 256, 300)][::9]
    ['whitened correlation of window 1, 1x1 pixels', 'whitened correlation of window 1, 4x4 pixels']
    """
    wide = [scale for scale in scales if min(height, width) // scale.factor >= 2 * _LEAST_SIDE]
    return tuple(Scale(scale.factor, window, scale.whitened) for scale in wide for window in WINDOWS)


def reduce(pixels: Array, factor: int) -> Array:
    """Sum the pixels of squares of `factor` by `factor`.

    Rows and columns at the lower and right border that fill no square are left out. Sums that could exceed 16 bits are
    shifted right by the number of bits that the largest possible one has too many, for every image alike.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16.
    factor : int
        Side of a square, at most the shorter side of the images.

    Returns
    -------
    ndarray
        (n, h // factor, w // factor) uint16, or `pixels` itself when `factor` is 1.
    """
    if factor == 1:
        return pixels
    from fingerprint._kernels.packing import sum_squares

    largest = int(np.iinfo(pixels.dtype).max) * factor * factor
    reduced = np.empty((len(pixels), *(side // factor for side in pixels.shape[1:])), np.uint16)
    sum_squares(unwritable(pixels), factor, max(0, largest.bit_length() - 16), reduced)
    return reduced


def prepare_scales(pixels: Array, scales: Sequence[Scale]) -> dict[Scale, Side]:
    """Reduce images to every scale and work out once what its metric needs.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16.
    scales : sequence of Scale
        Scales of one factor share the work.

    Returns
    -------
    dict
        From scale to `Side`, in the order of `scales`.
    """
    by_factor: dict[int, Side] = {}
    for factor in {scale.factor for scale in scales}:
        names = tuple(dict.fromkeys(scale.metric for scale in scales if scale.factor == factor))
        by_factor[factor] = metrics.prepare_side(reduce(pixels, factor), names)
    return {scale: by_factor[scale.factor] for scale in scales}


def at_once(pixels: Array) -> int:
    """Return how many of some images, (n, h, w), to pack at a time where not all are kept packed: whole groups."""
    least, most = _AT_ONCE
    return max(least, min(most, _PACKED // max(1, pixels[:1].nbytes)))


@dataclass(frozen=True)
class Unpacked:
    """The real side where memory is short: some images at a time are packed anew for each comparison.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16.
    scales : tuple of Scale
        What is compared.
    """

    pixels: Array
    scales: tuple[Scale, ...]

    def __iter__(self) -> Iterator[Scale]:
        """Yield the scales, as a mapping from them does."""
        return iter(self.scales)

    def parts(self, scales: Sequence[Scale]) -> Iterator[tuple[slice, dict[Scale, Side]]]:
        """Yield some images after the other, packed for some of the scales."""
        for part in parts_of(len(self.pixels), at_once(self.pixels)):
            yield part, prepare_scales(self.pixels[part], scales)


def compare_scales(
    real: Mapping[Scale, Side] | Unpacked, fake: Mapping[Scale, Side], *, threads: int = 1
) -> dict[Scale, Array]:
    """Return the distances between two sides at every scale of the second one, not yet whitened.

    Parameters
    ----------
    real, fake : mapping
        What `prepare_scales` returned, of `real` for the same scales or more; or a real side that is not packed.
    threads : int
        Threads to use.

    Returns
    -------
    dict
        From scale to (n_real, n_fake) float64 distances.
    """
    if isinstance(real, Unpacked):
        out = {scale: np.empty((len(real.pixels), len(side))) for scale, side in fake.items()}
        for part, packed in real.parts(tuple(fake)):
            for scale, found in compare_scales(packed, fake, threads=threads).items():
                out[scale][part] = found
        return out
    by_factor: dict[int, dict[str, Array]] = {}
    for factor, scale in {scale.factor: scale for scale in fake}.items():
        names = fake[scale].metrics
        by_factor[factor] = metrics.matrices(real[scale], fake[scale], names, threads=threads)
    return {scale: by_factor[scale.factor][scale.metric] for scale in fake}

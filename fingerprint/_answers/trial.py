"""Trial: a sample of the collections is compared, to see whether processing alone makes evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.notes import follows_processing, parts_by_processing
from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._images.slices import Slices
from fingerprint._statistics import methods
from fingerprint._statistics.processing import followed, parted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fingerprint._answers.census import Census
    from fingerprint._base.types import Array
    from fingerprint._images.slices import PixelFormat

_LEAST_REAL = 20  # images, for whitening and a rule to be seen


def processed(
    sides: Mapping[str, Census], patients: Sequence[str] | None, least: float, *, threads: int
) -> Iterator[tuple[str, str, str]]:
    """Yield what the processing of a sample of the images does, as name, finding and remedy.

    Parameters
    ----------
    sides : mapping
        From the name of each collection to its census: of the real images, the synthetic ones (``"fake"``) and,
        possibly, the reference.
    patients : sequence of str or None
        Patient of each real image, then of the reference.
    least : float
        Standard deviation of the pixels at or below which an image is flat, and left out.
    threads : int
        Threads to use.
    """
    real, *reference = (name for name in sides if name != "fake")
    wanted = sides[real].formats.most_common(1)[0][0]
    held = {name: _sampled(one, wanted, least) for name, one in sides.items()}
    places = np.concatenate([held[real][0], *(held[name][0] + len(sides[real]) for name in reference)])
    pixels = np.concatenate([held[name][1] for name in (real, *reference)])
    of = None if patients is None else [patients[i] for i in places]
    sides_told = parted(pixels, len(held[real][0]), groups=of)
    if sides_told:
        yield f"processing_{reference[0]}", *parts_by_processing(sides_told, real, reference[0])
    fake = held["fake"][1]
    if len(pixels) < _LEAST_REAL or not len(fake):
        return
    real_slices, fake_slices = (Slices(each, tuple(map(str, range(len(each))))) for each in (pixels, fake))
    side = RealSide.of(real_slices, ReadingOptions(threads=threads), groups=of, method="default")
    default = methods.METHODS["default"]
    scores = methods.score(side.compare(fake_slices, k=default.k).kinds(default))[0]
    told = followed(pixels, scores, fake=fake, groups=of)
    if told:
        yield "processing", *follows_processing(told, by_patient=of is not None)


def _sampled(census: Census, wanted: PixelFormat, least: float) -> tuple[Array, Array]:
    """Return positions and pixels of the images of a sample that have a size and depth and are not flat."""
    shape, dtype = (wanted.height, wanted.width), np.dtype(wanted.dtype)
    fit = [
        i
        for i, image in census.sample.items()
        if image.shape == shape and image.dtype == dtype and census.contrasts[i] > least
    ]
    pixels = np.stack([census.sample[i] for i in fit]) if fit else np.empty((0, *shape), dtype)
    return np.array(fit, np.int64), pixels

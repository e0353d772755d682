"""Planted copies: how weak a copy of an image among the synthetic ones an audit would have found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._answers.summary import Summary
from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.public import public
from fingerprint._evidence.summary import join
from fingerprint._images import loading
from fingerprint._statistics import flagged, methods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._answers.one_pass import Compared, RealSide
    from fingerprint._base.types import Array, Ints
    from fingerprint._images.loading import Source
    from fingerprint._statistics.methods import Method

_MOST = 100  # planted at a time, which costs no more than as many synthetic images


@public
class Planted(NamedTuple):
    """How many copies of one strength would have been found among the synthetic images.

    Parameters
    ----------
    opacity : float
        Share of the copied image in each pixel; the rest is a synthetic image. 1 = an exact copy.
    found : int
        How many were flagged, as used images are for the leak rate.
    planted : int
        Of how many.
    """

    opacity: float
    found: int
    planted: int


def plant(
    side: RealSide,
    seen: Compared,
    fake: Source | Summary,
    method: Method,
    opacities: Sequence[float],
    *,
    alike: Array | None,
    rate: float,
    seed: int,
) -> tuple[Planted, ...]:
    """Hide copies of unused images among the synthetic ones, and count how many are found.

    Half of the unused patients are copied, at most 100 of their images, fewer of large ones. Each is mixed with the
    synthetic image that is the nearest one of another of them. The other half gives the threshold.

    Parameters
    ----------
    side, seen
        The real images, before and after the comparison with the synthetic ones.
    fake : Source
        These; read again for those that copies are mixed with.
    method : Method
        How images are scored.
    opacities : sequence of float
        Strengths of the copies.
    alike : ndarray or None
        Which real images were processed alike, where scores are those among these.
    rate : float
        Share of unused images that may be flagged.
    seed : int
        Of the choice of patients.

    Returns
    -------
    tuple of Planted
        One for each strength. None where the synthetic images cannot be read again, or the images are too few.
    """
    n_used, rng = seen.n_real, np.random.default_rng(seed)
    n_unused = len(seen.known) - n_used
    unit = np.arange(n_unused) if seen.groups is None else checks.units("groups", seen.groups[n_used:], n_unused)
    copied, rest = _halves(unit, rng, loading.block_of(_MOST, seen.known.pixels[0].nbytes))
    if not opacities or isinstance(fake, Summary) or flagged.allowed(len(rest), rate) < 1:
        return ()
    try:
        hosts = _hosts(side, seen, fake, n_used + rng.permutation(copied))
    except InputError:  # an iterator, or files that are gone: the audit stands without it
        return ()
    quiet = replace(side, options=replace(side.options, window=None, checkpoint=None, executor=None, progress=False))
    result = []
    for opacity in opacities:
        mixed = (_mixed(seen.known[n_used + i], host, opacity) for i, host in zip(copied, hosts, strict=True))
        planted = quiet.held(mixed, k=seen.summary.nearest.k, first=seen.summary.n_fake).kept
        scores = methods.score(side.compared(join([seen.summary, planted])).kinds(method), alike)[0][n_used:]
        told = flagged.flag(scores[copied], scores[rest], rate)[1]
        assert told is not None
        result.append(Planted(float(opacity), int(told.sum()), len(copied)))
    return tuple(result)


def _halves(unit: Ints, rng: np.random.Generator, most: int) -> tuple[Array, Array]:
    """Return the images to copy, no more than `most`, and those of the other half of the units."""
    order = rng.permutation(unit.max() + 1)
    chosen = np.isin(unit, order[: len(order) // 2])
    return np.sort(rng.permutation(np.flatnonzero(chosen))[:most]), np.flatnonzero(~chosen)


def _mixed(image: Array, host: Array, opacity: float) -> Array:
    """Return a stack of one image, a copy over a synthetic one."""
    return np.rint(opacity * image + (1 - opacity) * host).astype(image.dtype)[None]


def _hosts(side: RealSide, seen: Compared, fake: Source, images: Array) -> Array:
    """Return the synthetic images nearest to some real ones."""
    closest = seen.summary.closest
    at = closest.images[images, 0].tolist()
    names = [closest.names[i] for i in at]
    positions = [i // len(side.forms) for i in at]
    reading = side.options.of_pixels
    return loading.pick(fake, names, positions=positions, forms=side.forms, argument="fake", **reading).pixels

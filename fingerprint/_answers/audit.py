"""The function `audit`: from three collections of images to an `Audit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.audit_scores import audit_scores
from fingerprint._answers.notes import processing
from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._answers.origin import Origin
from fingerprint._answers.planted import plant
from fingerprint._answers.rank import ranked
from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._images.loading import BLOCK
from fingerprint._statistics import methods
from fingerprint._statistics.copies import copies_of
from fingerprint._statistics.data_copying import data_copying

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._answers.audit_scores import Audit
    from fingerprint._answers.one_pass import MaskLike
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.methods import MethodName

_SHOWN = 5  # synthetic images kept for each real one, as by `fingerprint.rank`


@public
@recorded
def audit(
    used: Source,
    unused: Source,
    fake: Source,
    *,
    control: Source | None = None,
    groups: Groups | None = None,
    method: MethodName = "default",
    opacities: Sequence[float] = (0.8, 0.6, 0.4, 0.2),
    level: float = 0.05,
    false_positive_rate: float = 0.05,
    power: float = 0.8,
    confidence: float = 0.95,
    n_permutations: int = 9999,
    seed: int = 0,
    mask: MaskLike | None = None,
    symmetries: Symmetries = (),
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    block: int = BLOCK,
    memory: str | int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool | None = None,
) -> Audit:
    """Test whether a generator leaks which real images it was trained on, and how much.

    All real images are scored together, as `fingerprint.rank` does without knowing which is which. Then the scores of
    used and of unused ones are compared.

    Parameters
    ----------
    used, unused, fake
        Real images that the generator was trained on, real images of the same kind that it was not, and its synthetic
        ones; each as for `fingerprint.rank`. Best is a random split, made before training.
    control : as `fake`, optional
        Synthetic images of another generator, which saw none of these real ones, best of the same kind and as many. It
        cannot leak them: where it tells used from unused images, they differ in something else.
    groups : mapping, callable or sequence, optional
        Patient of every real image, see `fingerprint.rank`; a sequence names first the used ones, then the unused ones.
        Patients stay whole in permutations and intervals; nobody may stand on both sides.
    method : str
        Score to use, see `fingerprint.rank`.
    opacities : sequence of float
        Strengths, from 0.01 to 1, of copies of unused images that are planted among the synthetic ones to see how many
        are found, see `Planted`. Each costs as much as 100 synthetic images at most; none, to leave it out.
    level, false_positive_rate, power, confidence, n_permutations, seed
        As for `fingerprint.audit_scores`.
    mask, symmetries, size, window, grey, recursive, on_error, block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Audit
        Effect size, p-value, leak rate, smallest detectable leak, data-copying statistic (one cell, Euclidean
        distances), verdict in words.

    Raises
    ------
    InputError
        As `fingerprint.rank` and `fingerprint.audit_scores`; if `control` holds the images of `fake`.

    Notes
    -----
    The p-value is valid if it was random which patients were used. It is no proof of a leak if used and unused images
    differ in something else, such as the scanner; and no leak shown is no proof that there is none.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> found = fingerprint.audit(demo.real.pixels[demo.used], demo.real.pixels[~demo.used], demo.fake)
    >>> found.leaks, found.auc.value > 0.5
    (True, True)
    """
    if not isinstance(opacities, Sequence):
        raise InputError(f"opacities: expected a sequence of numbers from 0.01 to 1, got {checks.describe(opacities)}")
    strengths = [checks.number("opacities", opacity, minimum=0.01, maximum=1) for opacity in opacities]
    side = RealSide.of(
        used,
        ReadingOptions(
            mask=mask,
            symmetries=symmetries,
            size=size,
            window=window,
            grey=grey,
            recursive=recursive,
            on_error=on_error,
            block=block,
            memory=memory,
            threads=threads,
            executor=executor,
            checkpoint=checkpoint,
            progress=progress,
        ),
        reference=unused,
        groups=groups,
        method=method,
        copying=True,
        called=("used", "unused"),
    )
    chosen = methods.METHODS[method]
    seen = side.compare(fake, k=max(_SHOWN, chosen.k))
    n_used = seen.n_real
    auditing = partial(
        audit_scores,
        groups=None if seen.groups is None else (seen.groups[:n_used], seen.groups[n_used:]),
        level=level,
        false_positive_rate=false_positive_rate,
        power=power,
        confidence=confidence,
        n_permutations=n_permutations,
        seed=seed,
    )
    scored = seen.scored(chosen)
    found = scored.scores
    result = auditing(found[:n_used], found[n_used:])
    by_control, failed = None, seen.failed
    if control is not None:
        other = side.compare(control, k=max(_SHOWN, chosen.k), argument="control")
        if np.array_equal(other.summary.distances, seen.summary.distances):
            raise InputError("control: expected synthetic images of another generator, got those of fake; leave it out")
        told = methods.score(other.kinds(chosen), scored.alike)[0]
        by_control, failed = auditing(told[:n_used], told[n_used:]).auc, failed | other.failed
    near, far = seen.summary.fake_to_used, seen.real.unused_to_used
    assert near is not None
    assert far is not None
    patients = None if seen.groups is None else seen.groups[n_used:]
    limits, total = seen.real.near, len(found)
    return replace(
        result,
        control=by_control,
        planted=plant(
            side, seen, fake, chosen, strengths, alike=scored.alike, rate=result.false_positive_rate, seed=result.seed
        ),
        copying=data_copying(far, near, groups=patients),
        copies=copies_of(seen.known.names, limits, seen.summary, range(n_used)),
        unused_copies=copies_of(seen.known.names, limits, seen.summary, range(n_used, total)),
        notes=tuple(processing(seen, scored, called=("used", "unused"))),
        failed=failed,
        ignored=seen.ignored,
        ranking=ranked(
            seen,
            scored,
            method=method,
            k=_SHOWN,
            notes=(),
            origin=Origin(seen.known, seen.real.patches, fake, side.options.of_pixels, forms=side.forms),
        ),
    )

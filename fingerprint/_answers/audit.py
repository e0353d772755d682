"""The function `audit`: from three collections of images to an `Audit`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fingerprint._answers.audit_scores import audit_scores
from fingerprint._answers.notes import processing
from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._answers.origin import Origin
from fingerprint._answers.rank import ranked
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
    from fingerprint._answers.one_pass import Groups, MaskLike
    from fingerprint._base.types import Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._statistics.methods import MethodName

_SHOWN = 5  # synthetic images kept for each real one, as by `fingerprint.rank`
_COPYING = ("z", "p_value", "closer")


@public
@recorded
def audit(
    used: Source,
    unused: Source,
    fake: Source,
    *,
    groups: Groups | None = None,
    method: MethodName = "default",
    level: float = 0.05,
    false_positive_rate: float = 0.05,
    power: float = 0.8,
    confidence: float = 0.95,
    n_permutations: int = 9999,
    seed: int = 0,
    mask: MaskLike | None = None,
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
    groups : mapping, callable or sequence, optional
        Patient of every real image, see `fingerprint.rank`; a sequence names first the used ones, then the unused ones.
        Patients stay whole in permutations and intervals; nobody may stand on both sides.
    method : str
        Score to use, see `fingerprint.rank`.
    level, false_positive_rate, power, confidence, n_permutations, seed
        As for `fingerprint.audit_scores`.
    mask, size, window, grey, recursive, on_error, block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Audit
        Effect size, p-value, leak rate, smallest detectable leak, data-copying statistic (one cell, Euclidean
        distances), verdict in words.

    Raises
    ------
    InputError
        As `fingerprint.rank` and `fingerprint.audit_scores`.

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
    side = RealSide.of(
        used,
        ReadingOptions(
            mask=mask,
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
    scored, n_used = methods.score(seen.kinds(chosen)), seen.n_real
    found = scored[0]
    result = audit_scores(
        found[:n_used],
        found[n_used:],
        groups=None if seen.groups is None else (seen.groups[:n_used], seen.groups[n_used:]),
        level=level,
        false_positive_rate=false_positive_rate,
        power=power,
        confidence=confidence,
        n_permutations=n_permutations,
        seed=seed,
    )
    near, far = seen.summary.fake_to_used, seen.real.unused_to_used
    assert near is not None
    assert far is not None
    patients = None if seen.groups is None else seen.groups[n_used:]
    limits, total = seen.real.near, len(found)
    return replace(
        result,
        copying=data_copying(far, near, groups=patients),
        copies=copies_of(seen.known.names, limits, seen.summary, range(n_used)),
        unused_copies=copies_of(seen.known.names, limits, seen.summary, range(n_used, total)),
        notes=tuple(
            processing(
                seen.known.pixels,
                found,
                seen.real.flat[0, :total],
                n_used,
                groups=seen.groups,
                called=("used", "unused"),
            )
        ),
        failed=seen.failed,
        ignored=seen.ignored,
        ranking=ranked(
            seen,
            scored,
            method=method,
            k=_SHOWN,
            notes=(),
            origin=Origin(seen.known, seen.real.patches, fake, side.options.of_pixels),
        ),
    )

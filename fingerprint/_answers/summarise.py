"""The function `summarise`: one pass over some synthetic images, for `rank` to finish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._answers.summary import Summary
from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._images.loading import BLOCK
from fingerprint._statistics import methods

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._answers.one_pass import MaskLike
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.methods import MethodName


@public
@recorded
def summarise(
    real: Source,
    fake: Source,
    *,
    part: tuple[int, int] | None = None,
    reference: Source | None = None,
    population: Source | None = None,
    groups: Groups | None = None,
    method: MethodName = "default",
    k: int = 5,
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
) -> Summary:
    """Compare real images with some synthetic ones, and keep what `rank` needs to know of them.

    Each machine of a cluster summarises a part of the synthetic images, with all real images. `fingerprint.merge` makes
    the Summary of the whole, and `fingerprint.rank` takes it in place of the synthetic images.

    Parameters
    ----------
    real
        As for `fingerprint.rank`.
    fake
        As for `fingerprint.rank`: all synthetic images, of which `part` is taken, or those of this machine alone.
    part : (int, int), optional
        Number of the part, from 1, and how many there are, such as (3, 10): every machine lists the same files and
        takes a tenth of them. So images have the names and positions that they have in one pass over all.
    reference, population, groups, method, k, mask, symmetries, size
        As for `fingerprint.rank`, which has to be given the same.
    window, grey, recursive, on_error, block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Summary
        To be saved, merged and ranked by. It may be of no usable image.

    Raises
    ------
    InputError
        As `fingerprint.rank`; if there are fewer files than parts.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> fingerprint.summarise(demo.real, demo.fake)
    <Summary: 8 real images, 40 synthetic ones>
    """
    checks.integer("k", k, minimum=1)
    if part is not None:
        both: Any = part  # whatever was given
        if not isinstance(both, tuple | list) or len(both) != 2:
            raise InputError(f"part: expected a number and how many there are, such as (3, 10), got {both!r}")
        count = checks.integer("part", both[1], minimum=1)
        part = checks.integer("part", both[0], minimum=1, maximum=count), count
    side = RealSide.of(
        real,
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
        reference=reference,
        population=population,
        groups=groups,
        method=method,
    )
    held = side.held(fake, k=max(k, methods.METHODS[method].k), path=checkpoint, part=part, recorded=True)
    return Summary(held, side.patients)

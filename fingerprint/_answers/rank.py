"""The function `rank`: from two collections of images to a `Ranking`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.notes import notes
from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._answers.origin import Origin
from fingerprint._answers.ranking import Ranking
from fingerprint._answers.rows import Match
from fingerprint._answers.summary import Summary, source_of
from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._images import loading
from fingerprint._images.loading import BLOCK
from fingerprint._patches.gains import least_compared
from fingerprint._statistics import decisions, methods, p_values
from fingerprint._statistics.copies import copies_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._answers.one_pass import Compared, MaskLike, Scored
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.methods import Method, MethodName

METHODS: Mapping[str, str] = MappingProxyType({name: method.description for name, method in methods.METHODS.items()})
"""From each `method` of `rank` to what it looks at; all but the first three are statistics of the literature."""


@public
@recorded
def rank(
    real: Source,
    fake: Source | Summary,
    *,
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
) -> Ranking:
    """Rank real images by the evidence that the generator of the synthetic ones was trained on them.

    Parameters
    ----------
    real, fake : folder, path, list of paths, ndarray, Slices, or iterator of any of these
        Real and synthetic images of the same size and bit depth, see `fingerprint.load`. The synthetic ones are read as
        a stream: there may be more than fit into memory. Or a `Summary` of them, which `fingerprint.summarise` or
        `fingerprint.merge` made with the same arguments.
    reference : as `real`, optional
        Real images known to be unused, of the same kind as the unused ones among `real`. They give every score a
        p-value and a q-value, and help to tell near from far.
    population : as `real`, optional
        Further real images of the same kind, other than those of `real` and `reference`, used or not: it need not be
        known. They are not ranked, but show what images of this kind have in common and how near other patients come.
        Give all there are, in particular where there are few real images. An image that is also in `real` or
        `reference` counts once.
    groups : mapping, callable, sequence or "PatientID", optional
        Patient of every real image: a mapping from file name, a function of the name, or one entry for each real (then
        each reference, then each population) image. Whole images of one patient are never compared with each other.
        ``"PatientID"``: what the files say (PatientID of DICOM, the file of NIfTI); all have to. Without, the same
        where all do and there are two patients, else nobody is known.
    method : str
        ``"default"``: whole images at all scales and patches together, see `Ranking`; one of them alone,
        ``"nearness"`` or ``"patches"``; or a statistic of the literature, a key of `fingerprint.METHODS`.
    k : int
        How many synthetic images to show for every real one.
    mask : str, path or array, optional
        What part of the images counts; the rest becomes 0 in all of them, real and synthetic, before they are compared.
        ``"body"``: the largest connected part that is bright, of each image, and its convex hull. An (h, w) array, or
        a file of one image, of the size of the images: what is not 0, in every image. Copies are then those of what
        counts.
    symmetries : sequence of str, optional
        In which other forms each synthetic image is compared too: ``"turned"`` by 90, 180 and 270 degrees, by 180 alone
        where images are not square; ``"negative"``, its pixels taken from the highest value of their type, 255 or
        65535; ``"half"``, nine overlapping windows of half its height and width, each enlarged, since it may show a
        whole real image at half the size. ``"all"`` for all of them. A synthetic image counts once, in the form that
        comes nearest, and is named by it, as in ``"g7.png (negative)"``; real images are compared as they are. Each
        form takes as long to compare as a further synthetic image: three for turned, one for negative, nine for half.
    size : int or (int, int), optional
        Resample everything to this height and width. Without it, images of different sizes are an error.
    window, grey
        As for `fingerprint.load`: see 16 bits through a window, take the luminance of colour.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Ranking.failed`, or raise.
    block : int
        Synthetic images to read at a time, at most: there are fewer where they are large. Results do not depend on it.
    memory : str or int, optional
        What the process may take, such as ``"512MB"`` or ``"2GiB"``, or a number of bytes. Blocks, threads and what is
        kept of the real images are chosen so that it suffices; the error says how much would where it cannot. Without
        it, they are chosen by what is available. Results do not depend on it.
    threads : int, optional
        Threads to read and compute on; one for each available core by default. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        Where to read and compare the synthetic images instead, for instance on several machines.
    checkpoint : path, optional
        File to go on from where it stopped: what is known so far is written there every half minute and at the end. The
        same call then gives the same result, bit for bit, whatever ended the one before. Synthetic images that have
        come since are all that is read. See the page on large collections.
    progress : bool, optional
        Show a bar on stderr: always or never; None = in a terminal or a notebook, after two seconds.

    Returns
    -------
    Ranking
        Of the real images, most likely used first; equal scores in natural order of the names.

    Raises
    ------
    InputError
        If an argument breaks its rule, a collection holds no usable image, or sizes or bit depths differ.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> ranking = fingerprint.rank(demo.real, demo.fake, groups=demo.groups)
    >>> print(ranking.to_csv().splitlines()[0])
    rank,name,score,group,nearest,distance,matched,gain
    """
    checks.integer("k", k, minimum=1)
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
    seen = side.compare(fake, k=max(k, methods.METHODS[method].k))
    source = source_of(fake) if isinstance(fake, Summary) else fake
    return ranking_of(side, seen, method=method, k=k, source=source, population=population)


def ranking_of(
    side: RealSide, seen: Compared, *, method: MethodName, k: int, source: Source, population: Source | None
) -> Ranking:
    """Return the ranking of real images that were compared with those of a source; arguments as for `rank`."""
    if method == "patches" and seen.patches is None:
        raise InputError(f"method: 'patches' needs images of at least 8x8 pixels, got {seen.known.format}")
    scored = seen.scored(methods.METHODS[method])
    origin = Origin(seen.known, seen.real.patches, source, side.options.of_pixels, population, side.forms)
    return ranked(seen, scored, method=method, k=k, notes=notes(seen, scored), origin=origin)


def ranked(
    seen: Compared, scored: Scored, *, method: MethodName, k: int, notes: tuple[str, ...], origin: Origin
) -> Ranking:
    """Return the ranking of real images that were compared.

    Parameters
    ----------
    seen : Compared
        With at least `k` nearest synthetic images; what is no real image is the reference.
    scored : Scored
        All of them.
    method, k
        As for `rank`.
    notes, origin
        As in `Ranking`.
    """
    found, chosen = scored.scores, methods.METHODS[method]
    names, patients, n_real = seen.known.names, seen.groups, seen.n_real
    mine, null = found[:n_real], found[n_real:]
    order = sorted(range(n_real), key=lambda i: (-mine[i], loading.natural_key(names[i]), i))
    null_patients = None if not len(null) or patients is None else patients[n_real:]
    tested = p_values.p_values(mine, null, null_patients) if len(null) else None
    params = {
        "method": method,
        "scales": [scale.name for scale in seen.summary.scales],
        "distance": seen.summary.scales[0].name,
        "k": k,
        "size": [seen.known.height, seen.known.width],
        "reference": len(null) or None,
        "population": len(seen.real.groups) - len(seen.known),
        "grouped": patients is not None,
    } | ({"forms": list(origin.forms)} if len(origin.forms) > 1 else {})
    return Ranking(
        names=tuple(names[i] for i in order),
        scores=mine[order],
        matches=tuple(_matches(seen, i, k, patches_first=bool(scored.patches_lead[i])) for i in order),
        p_values=None if tested is None else tested[order],
        q_values=None if tested is None else p_values.q_values(tested)[order],
        groups=None if patients is None else tuple(patients[i] for i in order),
        n_fake=seen.summary.n_fake,
        failed=seen.failed,
        params=params,
        null=null if len(null) else None,
        null_groups=null_patients,
        extrapolated=None if len(null) else _extrapolated(chosen, seen)[order],
        order=np.array(order),
        notes=notes,
        copies=copies_of(names, seen.real.near, seen.summary, order),
        ignored=seen.ignored,
        origin=origin,
    )


def _extrapolated(method: Method, seen: Compared) -> Array:
    """Return the p-value that each real image has from its own distances."""
    whole = seen.neighbours if method.statistic is not None else ()
    cut = seen.real.patches if method.patches else None
    if cut is None:
        return decisions.chance(whole)
    return decisions.chance(whole, seen.summary.patches, least_compared(cut))


def _matches(seen: Compared, real: int, k: int, *, patches_first: bool) -> tuple[Match, ...]:
    """Return the synthetic images that give one real image away: the nearest, and those with the best patches."""
    nearest, parts = seen.summary.nearest, seen.summary.patches
    names = dict(nearest.names)
    distances = dict(zip(nearest.images[0, real, :k].tolist(), nearest.values[0, real, :k].tolist(), strict=True))
    gains = {}
    if parts is not None:
        names |= parts.best.names
        gains = dict(zip(parts.best.images[real, :k].tolist(), parts.gains[real, :k].tolist(), strict=True))
    kinds = [list(gains), list(distances)] if patches_first else [list(distances), list(gains)]
    images = dict.fromkeys(kinds[0][:1] + kinds[1][:1] + kinds[0][1:] + kinds[1][1:])
    forms = seen.summary.forms
    return tuple(
        Match(names[image], distances.get(image), gains.get(image), image // forms) for image in list(images)[:k]
    )

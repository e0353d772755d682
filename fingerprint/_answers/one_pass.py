"""One pass, which every question shares: real images are prepared once and compared with a stream of synthetic ones."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, fields, replace
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from fingerprint._answers.overlap import digest, refuse_overlap
from fingerprint._answers.patients import patients_of
from fingerprint._answers.summary import Summary, findings_of
from fingerprint._base import bounds, checks, concurrency, output
from fingerprint._base.checks import InputError
from fingerprint._base.progress import bar
from fingerprint._evidence import budget, engine
from fingerprint._evidence.reals import compile_kernels, prepare_reals
from fingerprint._evidence.scales import Scale, pyramid, windows
from fingerprint._images import loading, masks, symmetries
from fingerprint._images.loading import Slices
from fingerprint._images.masks import Mask
from fingerprint._images.slices import digest_of
from fingerprint._statistics import methods, neighbourhood, processing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._evidence.reals import Reals
    from fingerprint._evidence.summary import Findings
    from fingerprint._images.checkpoint import Held
    from fingerprint._images.loading import Failure, Listing, Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.methods import Method, MethodName
    from fingerprint._statistics.neighbourhood import Neighbourhood
    from fingerprint._statistics.processing import Told

MaskLike: TypeAlias = "str | PathLike[str] | Array"
_log = logging.getLogger("fingerprint")

# options that change neither pixels nor what is made of them; which files there are is recorded file by file
_WITHOUT_EFFECT = {"recursive", "on_error", "block", "memory", "threads", "executor", "checkpoint", "progress"}

LEAST_SIDE = 8  # of an image in pixels, for patches to be cut


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How collections are read and worked through.

    Parameters
    ----------
    mask, symmetries, size, window, grey, recursive, on_error, block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.
    """

    mask: MaskLike | None = None
    symmetries: Symmetries = ()
    size: int | tuple[int, int] | None = None
    window: tuple[float, float] | None = None
    grey: Grey = "exact"
    recursive: bool = False
    on_error: OnError = "collect"
    block: int = loading.BLOCK
    memory: str | int | None = None
    threads: int | None = None
    executor: Executor | None = None
    checkpoint: str | PathLike[str] | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        checks.integer("block", self.block, minimum=1)
        checks.executor(self.executor)
        symmetries.chosen(self.symmetries)

    def load(self, source: Source, *, argument: str) -> Slices:
        """Read a collection into memory."""
        return loading.read(source, threads=self.threads, progress=self.progress, argument=argument, **self._files)

    def listing(self, source: Source, *, expect: Slices, argument: str) -> Listing:
        """Return what a collection of synthetic images consists of, which are like those of `expect`."""
        return loading.listing(source, expect=expect, forms=self.forms(expect), argument=argument, **self._files)

    def forms(self, real: Slices) -> tuple[str, ...]:
        """Return the forms in which synthetic images are compared with real ones."""
        return symmetries.forms_of(self.symmetries, real.height, real.width)

    def with_effect(self) -> dict[str, Any]:
        """Return the options that change what is compared, in the types of JSON."""
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _WITHOUT_EFFECT}
        found["mask"] = None if self.read_mask is None else self.read_mask.in_words()
        found["symmetries"] = symmetries.chosen(self.symmetries)
        if found["size"] is not None:
            found["size"] = np.broadcast_to(found["size"], 2)
        plain: dict[str, Any] = output.plain(found)
        return plain

    @cached_property
    def read_mask(self) -> Mask | None:
        """Return the mask, read where it is a file."""
        path = masks.file_of(self.mask)
        if path is None:
            return None if self.mask is None else Mask.of(self.mask)
        found = loading.read([path], argument="mask")
        return Mask.of(found[0] if len(found) == 1 else found.pixels)

    def compile(self, real: Slices, scales: Sequence[Scale], *, patches: bool) -> None:
        """Compile what comparing real images with synthetic ones will need."""
        compile_kernels(
            real.pixels,
            scales,
            patches=patches,
            threads=concurrency.resolve(self.threads),
            memory=bounds.in_bytes(self.memory),
            progress=self.progress,
        )

    def way(self, real: Slices, scales: Sequence[Scale], *, patches: bool, k: int = 16) -> bounds.Plan:
        """Choose how to compare real images with blocks of synthetic ones, so that it fits into `memory`."""
        return budget.plan(
            real.pixels,
            scales,
            patches=patches,
            k=k,
            block=self.block,
            threads=concurrency.resolve(self.threads),
            memory=bounds.in_bytes(self.memory),
            forms=len(self.forms(real)),
        )

    @property
    def of_pixels(self) -> dict[str, Any]:
        """Return the options that say which pixels are read."""
        return {
            "mask": self.read_mask,
            "size": self.size,
            "window": self.window,
            "grey": self.grey,
            "recursive": self.recursive,
        }

    @property
    def _files(self) -> dict[str, Any]:
        return self.of_pixels | {"on_error": self.on_error}


class RealImages(NamedTuple):
    """Real images as they were read.

    Parameters
    ----------
    images : Slices
        The real ones, those of the reference, then those of the population.
    n_real, n_known : int
        How many are no reference, and how many are no population.
    groups : list of str or None
        Patient of each.
    failed : dict
        From the name of a collection to its `Failure`s.
    ignored : dict
        From the name of a collection to the number of its files that are no images.
    """

    images: Slices
    n_real: int
    n_known: int
    groups: list[str] | None
    failed: dict[str, tuple[Failure, ...]]
    ignored: dict[str, int]


@dataclass(frozen=True)
class RealSide:
    """Real images, read and prepared once for any number of passes over synthetic ones.

    Parameters
    ----------
    known : Slices
        The real images, then those of the reference.
    n_real : int
        How many of them are no reference.
    groups : tuple of str or None
        Patient of each.
    real : Reals
        All of them, prepared for the comparison, and then the population.
    failed, ignored : dict
        As for `RealImages`.
    options : ReadingOptions
        How they were read, and the synthetic images will be.
    digest : str
        What tells the pixels and names of all of them from those of others.
    patients : mapping of str to str or None
        Patient of each of them, by its name.
    """

    known: Slices
    n_real: int
    groups: tuple[str, ...] | None
    real: Reals
    failed: dict[str, tuple[Failure, ...]]
    ignored: dict[str, int]
    options: ReadingOptions
    digest: str
    patients: Mapping[str, str] | None

    @classmethod
    def of(
        cls,
        real: Source,
        options: ReadingOptions,
        *,
        reference: Source | None = None,
        population: Source | None = None,
        groups: Groups | None = None,
        method: MethodName | None = None,
        copying: bool = False,
        called: tuple[str, str] = ("real", "reference"),
    ) -> RealSide:
        """Read and prepare real images; arguments as for `fingerprint.rank`.

        Images of the `population` have no result. Without a `method`, whole images are compared alone, for the
        statistics of `fixed_count`. With `copying`, the distances of the data-copying statistic are kept. `called` is
        what the messages call the other two collections.
        """
        chosen = None if method is None else methods.METHODS[checks.choice("method", method, methods.METHODS)]
        began = perf_counter()
        found = read_reals(real, options, reference=reference, population=population, groups=groups, called=called)
        images, patients, known = found.images, found.groups, found.images[: found.n_known]
        _log.info("read %d real images in %.1f s", len(images), perf_counter() - began)
        scales = pyramid(images.height, images.width)
        if chosen is not None:
            named = tuple(Scale(1, metric) for metric in chosen.metrics)
            scales = named or (*scales, *windows(scales, images.height, images.width))
        cut = chosen is not None and chosen.patches and min(images.height, images.width) >= LEAST_SIDE
        options.compile(images, scales, patches=cut)
        began = perf_counter()
        way = options.way(images, scales, patches=cut)
        prepared = prepare_reals(
            images.pixels,
            scales,
            groups=None if patients is None else np.unique(patients, return_inverse=True)[1],
            patches=cut,
            n_used=found.n_real if copying else None,
            packed=way.packed,
            threads=way.threads,
        )
        _log.info("prepared them in %.1f s", perf_counter() - began)
        return cls(
            known=known,
            n_real=found.n_real,
            groups=None if patients is None else tuple(patients[: found.n_known]),
            real=prepared,
            failed=found.failed,
            ignored=found.ignored,
            options=replace(options, block=way.block, threads=way.threads),
            digest=digest_of(images),
            patients=None if patients is None else dict(zip(images.names, patients, strict=True)),
        )

    @property
    def forms(self) -> tuple[str, ...]:
        """Return the forms in which synthetic images are compared."""
        return self.options.forms(self.known)

    def summariser(self, k: int) -> engine.Summariser:
        """Return what compares blocks of synthetic images, and keeps the `k` nearest."""
        return engine.Summariser(self.real, k, len(self.forms))

    def compare(self, fake: Source | Summary, *, k: int, argument: str = "fake") -> Compared:
        """Compare every real image with every synthetic one, in one pass; `k` nearest ones are kept."""
        path = self.options.checkpoint
        if path is not None and argument != "fake":  # there are two collections
            path = f"{os.fspath(path)}.{argument}"
        began = perf_counter()
        if isinstance(fake, Summary):
            if path is not None:
                raise InputError(
                    "checkpoint: expected none with a Summary, which has nothing left to read; leave it out"
                )
            model = engine.begin(self.summariser(k)).model
            summary = findings_of(fake, self.about(k), model, argument).settled()
        else:
            summary = self.held(fake, k=k, argument=argument, path=path).kept.settled()
        if not summary.n_fake:
            raise loading.none_usable(() if isinstance(fake, Summary) else fake, summary.failed, argument=argument)
        _log.info("compared them with %d synthetic images in %.1f s", summary.n_fake, perf_counter() - began)
        return self.compared(summary, argument=argument)

    def compared(self, summary: Findings, *, argument: str = "fake") -> Compared:
        """Return the real images with what a pass found of them."""
        if len(self.known) < len(self.real.groups):  # the population has no result
            summary = summary.first(len(self.known))
        return Compared(
            known=self.known,
            n_real=self.n_real,
            groups=self.groups,
            real=self.real,
            summary=summary,
            neighbours=neighbourhood.neighbourhoods(self.real, summary),
            scales=neighbourhood.scales(self.real, summary),
            failed=self.failed | {argument: summary.failed},
            ignored=self.ignored,
        )

    def held(
        self,
        fake: Source,
        *,
        k: int,
        argument: str = "fake",
        path: str | PathLike[str] | None = None,
        part: tuple[int, int] | None = None,
        recorded: bool = False,
        first: int = 0,
    ) -> Held[Findings]:
        """Summarise synthetic images onto what is at `path`; what was read is `recorded` there, or on request.

        Images that are named by their position have the numbers from `first` on.
        """
        summariser = self.summariser(k)
        listing = self.options.listing(fake, expect=self.known, argument=argument)
        about = self.about(k) if path is not None or recorded else {}
        if part is not None:
            about |= {"part": part[0], "of how many": part[1], "the list of synthetic images": listing.digest()}
            listing = listing.part(*part)
        onto = engine.begin(summariser, about, path)
        blocks = listing.plan(self.options.block, onto.reading if about else None, first=first)
        with bar(self.options.progress, unit="image", total=blocks.total, phase="comparing") as advance:
            return engine.summarise(
                summariser,
                blocks,
                threads=concurrency.resolve(self.options.threads),
                executor=self.options.executor,
                advance=advance,
                onto=onto,
            )

    def about(self, k: int) -> dict[str, Any]:
        """Return in words what is compared, with what tells it from others; all that `Findings` depend on."""
        real = self.real
        patients = hashlib.sha256(checks.units("groups", real.groups.tolist(), len(real.groups)).tobytes())
        return {
            "the real images": self.digest,
            "number of real images": len(real.groups),
            "of them no reference": self.n_real,
            "of them no population": len(self.known),
            "the patients": patients.hexdigest() if real.grouped else None,
            "scales": [scale.name for scale in real.scales],
            "patches": real.patches is not None,
            "distances for the data-copying statistic": real.n_used is not None,
            "k": k,
            **self.options.with_effect(),
        }


class Scored(NamedTuple):
    """Scores of real images, and what the processing of these images does to them.

    Parameters
    ----------
    scores : ndarray
        (n,) float64, higher = more likely used.
    patches_lead : ndarray
        (n,) bool: where patches have the higher tail score.
    followed : Told or None
        Which images had the higher scores by the way they were processed, see `processing.followed`.
    alike : ndarray or None
        (n,) int64: the way of processing of each image, where scores are those among images that were processed alike.
    """

    scores: Array
    patches_lead: Array
    followed: Told | None = None
    alike: Array | None = None


@dataclass(frozen=True)
class Compared:
    """Real images after one pass over the synthetic ones.

    Parameters
    ----------
    known, n_real, groups, real
        As for `RealSide`.
    summary : Findings
        What the pass left behind about those that are known.
    neighbours : list of Neighbourhood
        What the statistics see of whole images, one entry for each scale.
    scales : list of list of list of Neighbourhood
        What they see at each scale of the whole image and of its windows, see `neighbourhood.scales`.
    failed, ignored : dict
        As for `RealImages`, with the failures of the synthetic images.
    """

    known: Slices
    n_real: int
    groups: tuple[str, ...] | None
    real: Reals
    summary: Findings
    neighbours: list[Neighbourhood]
    scales: list[list[list[Neighbourhood]]]
    failed: dict[str, tuple[Failure, ...]]
    ignored: dict[str, int]

    @property
    def patches(self) -> Array | None:
        """Return (n,) float64 evidence of patches, None where they were not compared."""
        return None if self.summary.patches is None else self.summary.patches.scores

    def kinds(self, method: Method) -> Array:
        """Return (1 or 2, n) float64 statistics of all real images, see `methods.score`; higher = more likely used."""
        found = methods.kinds(method, self.scales, self.patches)
        if len(found) > 1:
            found[:, self.flat] = -np.inf
        return found

    @property
    def flat(self) -> Array:
        """Return which of the known images are flat, (n,) bool."""
        return self.real.flat[0, : len(self.known)]

    def scored(self, method: Method) -> Scored:
        """Return the scores of all real images.

        Where they follow the processing of images that were processed in ways far apart, they tell no more than that.
        So images are then scored among those that were processed alike.
        """
        statistics = self.kinds(method)
        pixels, shown = self.known.pixels, ~self.flat
        scores, patches_lead = methods.score(statistics)
        told = processing.followed(pixels, scores, shown=shown, groups=self.groups)
        if told is None or len(statistics) == 1:
            return Scored(scores, patches_lead, told)
        alike = processing.alike(pixels, scores, shown=shown, groups=self.groups)
        return Scored(*methods.score(statistics, alike), told, alike)


def read_reals(
    real: Source,
    options: ReadingOptions,
    *,
    reference: Source | None = None,
    population: Source | None = None,
    groups: Groups | None = None,
    called: tuple[str, str] = ("real", "reference"),
) -> RealImages:
    """Read real images, each of the population once and none that is known; arguments as for `RealSide.of`."""
    slices = known = options.load(real, argument=called[0])
    failed, ignored = {called[0]: slices.failed}, {called[0]: slices.ignored}
    if reference is not None:
        unused = options.load(reference, argument=called[1])
        known = loading.concatenate(slices, unused, argument=called[1])
        failed[called[1]], ignored[called[1]] = unused.failed, unused.ignored
    count = len(known)
    if population is not None:
        more = options.load(population, argument="population")
        known = loading.concatenate(known, more, argument="population")
        failed["population"], ignored["population"] = more.failed, more.ignored
    patients = patients_of(groups, known)
    if reference is not None:
        refuse_overlap(known[:count], len(slices), None if patients is None else patients[:count], called)
    if population is not None:
        once = [*range(count), *_others_than(known[:count], known[count:], start=count)]
        if len(once) < len(known):
            known = Slices(known.pixels[once], tuple(known.names[i] for i in once), known.failed, known.ignored)
            patients = None if patients is None else [patients[i] for i in once]
    return RealImages(known, len(slices), count, patients, failed, ignored)


def _others_than(known: Slices, more: Slices, *, start: int) -> Iterator[int]:
    """Yield the positions, from `start` on, of images that are none of the known ones and not there before."""
    seen = set(map(digest, known.pixels))
    for i, found in enumerate(map(digest, more.pixels), start):
        if found not in seen:
            yield i
        seen.add(found)

"""Census: what one pass over a collection shows about it, whatever the sizes and depths of its images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.overlap import digest
from fingerprint._base import concurrency
from fingerprint._images import loading
from fingerprint._images.loading import PixelFormat, Slices, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from fingerprint._base.failures import Failure
    from fingerprint._base.types import Array
    from fingerprint._images.loading import Plan, Source

_SAMPLE = 512  # images whose pixels are kept at most


@dataclass
class Census:
    """What a collection consists of.

    Parameters
    ----------
    names : list of str
        Of the n usable images.
    digests : list of bytes
        (n,) equal for equal pixels.
    contrasts : list of float
        (n,) standard deviation of the pixels.
    lowest, highest : int
        Pixels of all images.
    formats : Counter
        How many images there are of each size and depth.
    patients : list of str or None
        What the files say; None where one does not.
    failed : list of Failure
        Files that could not be used.
    ignored : int
        Files that are no images.
    sample : dict
        From position to pixels, of at most 512 images, evenly spread.
    """

    names: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    contrasts: list[float] = field(default_factory=list)
    lowest: int = 65535
    highest: int = 0
    formats: Counter[PixelFormat] = field(default_factory=Counter)
    patients: list[str] | None = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    ignored: int = 0
    sample: dict[int, Array] = field(default_factory=dict)
    _every: int = 1

    @classmethod
    def of(cls, plan: Plan, source: Source, *, threads: int, advance: Callable[[int], object], argument: str) -> Census:
        """Read all images of a collection, each once."""
        found = cls()
        for parts in concurrency.map_ordered(Task.apart, plan, threads=threads):
            for part in parts:
                found._add(part)
                advance(len(part) + len(part.failed))
        if not found.names:
            raise loading.none_usable(source, found.failed, argument=argument)
        return found

    def __len__(self) -> int:
        """Return the number of usable images."""
        return len(self.names)

    def _add(self, part: Slices) -> None:
        start = len(self.names)
        self.names += part.names
        self.failed += part.failed
        self.ignored += part.ignored
        if len(part):
            self.formats[part.format] += len(part)  # type: ignore[index]  # None where there is no image
            self.patients = None if self.patients is None or part.groups is None else [*self.patients, *part.groups]
        for position, image in enumerate(part.pixels, start):
            self.digests.append(digest(image))
            self.contrasts.append(float(image.std()))
            self.lowest, self.highest = min(self.lowest, int(image.min())), max(self.highest, int(image.max()))
            if position % self._every == 0:
                self.sample[position] = image.copy()
            if len(self.sample) > _SAMPLE:
                self._every *= 2
                self.sample = {i: kept for i, kept in self.sample.items() if i % self._every == 0}

    @property
    def patients_only(self) -> Slices:
        """Return the names and patients as `Slices` without pixels to speak of."""
        groups = tuple(self.patients) if self.patients else None
        return Slices(np.zeros((len(self), 1, 1), np.uint8), tuple(self.names), tuple(self.failed), groups=groups)

    def repeated(self, least: float) -> list[tuple[int, int]]:
        """Return pairs of an image that varies by more than `least` and the first one with the same pixels."""
        first: dict[bytes, int] = {}
        pairs = ((i, first.setdefault(one, i)) for i, one in enumerate(self.digests))
        return [(i, j) for i, j in pairs if i != j and self.contrasts[i] > least]

    def also_in(self, other: Census, least: float) -> list[tuple[int, int]]:
        """Return pairs of an image that varies by more than `least` and the first one of `other` that equals it."""
        first: dict[bytes, int] = {}
        for i, one in enumerate(other.digests):
            first.setdefault(one, i)
        return [(i, first[one]) for i, one in enumerate(self.digests) if one in first and self.contrasts[i] > least]

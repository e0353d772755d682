"""Origin: where the images of a ranking are, from which its evidence is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fingerprint._answers import one_pass
from fingerprint._answers.evidence import Evidence
from fingerprint._base.checks import InputError
from fingerprint._images import loading
from fingerprint._patches import gain_reals, gains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._answers.rows import Match
    from fingerprint._images.loading import Slices, Source
    from fingerprint._patches.gain_reals import GainReals


@dataclass(frozen=True, eq=False, repr=False)
class Origin:
    """Where the images of a ranking are.

    Parameters
    ----------
    known : Slices
        The real images, then those of the reference.
    order : tuple of int
        Position of each row of the ranking among them.
    patches : GainReals or None
        Their patches, where the method looked at patches.
    fake : Source
        The synthetic images.
    size, recursive
        How they are read.
    """

    known: Slices
    order: tuple[int, ...]
    patches: GainReals | None
    fake: Source
    size: int | tuple[int, int] | None
    recursive: bool

    def __reduce__(self) -> tuple[object, ...]:
        # an iterator cannot be pickled, nor read a second time; an empty one says the same
        fake = iter(()) if isinstance(self.fake, Iterator) else self.fake
        return Origin, (self.known, self.order, self.patches, fake, self.size, self.recursive)

    def evidence(self, pairs: Sequence[tuple[int, Match]]) -> list[Evidence]:
        """Return the evidence of some rows, each by its position and a match, reading the synthetic images once."""
        reals = self.prepared()
        fakes = loading.pick(
            self.fake,
            [match.name for _, match in pairs],
            positions=[-1 if match.position is None else match.position for _, match in pairs],
            size=self.size,
            recursive=self.recursive,
            argument="fake",
        )
        places = [self.order[row] for row, _ in pairs]
        return [
            Evidence(self.known.names[place], match, self.known[place], fake, gains.explain(reals, place, fake))
            for (_, match), place, fake in zip(pairs, places, fakes.pixels, strict=True)
        ]

    def prepared(self) -> GainReals:
        """Return the patches of the real images."""
        if self.patches is not None:
            return self.patches
        if min(self.known.height, self.known.width) < one_pass.LEAST_SIDE:
            raise InputError(f"real: expected images of at least 8x8 pixels for patches, got {self.known.layout}")
        return gain_reals.prepare_patches(self.known.pixels)

"""Origin: where the images of a ranking are, from which its evidence is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fingerprint._answers import one_pass
from fingerprint._answers.evidence import Evidence
from fingerprint._answers.one_pass import ReadingOptions
from fingerprint._answers.overlap import content_hash, digest
from fingerprint._base.checks import InputError
from fingerprint._base.provenance import names_url
from fingerprint._images import loading, symmetries
from fingerprint._patches import gain_reals, gains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._answers.rows import Match
    from fingerprint._base.provenance import Provenance
    from fingerprint._images.loading import Slices, Source
    from fingerprint._patches.gain_reals import GainReals


class Content(NamedTuple):
    """What a collection holds.

    Parameters
    ----------
    sha256 : str
        See `fingerprint._answers.overlap.content_hash`.
    ignored : int or None
        Files that are no images, where they were counted.
    """

    sha256: str
    ignored: int | None


@dataclass(frozen=True, eq=False, repr=False)
class Origin:
    """Where the images of a ranking are.

    Parameters
    ----------
    known : Slices
        The real images, then those of the reference.
    patches : GainReals or None
        Their patches, where the method looked at patches.
    fake : Source
        The synthetic images.
    files : dict
        How they are read: `mask`, `size`, `window`, `grey` and `recursive`.
    population : Source, optional
        Further real images.
    forms : tuple of str
        In which synthetic images were compared, see `fingerprint._images.symmetries.forms_of`.
    """

    known: Slices
    patches: GainReals | None
    fake: Source
    files: dict[str, Any]
    population: Source | None = None
    forms: tuple[str, ...] = (symmetries.AS_IS,)

    def __reduce__(self) -> tuple[object, ...]:
        # an iterator cannot be pickled, nor read a second time; an empty one says the same
        fake, population = (iter(()) if isinstance(one, Iterator) else one for one in (self.fake, self.population))
        return Origin, (self.known, self.patches, fake, self.files, population, self.forms)

    @classmethod
    def again(cls, made: Provenance | None, *, patches: bool) -> Origin:
        """Read the real images of a ranking again; `patches` says whether its method looked at patches."""
        if made is None:
            raise InputError("evidence: this ranking has no images; make it by rank")
        sources, settings = made.sources, made.settings
        if not all(_on_disk(source) for source in sources.values()):
            raise InputError(
                "evidence: this ranking has no images, nor were they given as paths from which to read them again; "
                "make it by rank"
            )
        if any(map(names_url, sources.values())):
            raise InputError(
                "evidence: this ranking has no images, and URLs that a file names are never opened; make it by rank"
            )
        options = ReadingOptions(
            mask=settings["mask"],
            symmetries=settings.get("symmetries", ()),
            size=settings["size"],
            window=settings["window"],
            grey=settings["grey"],
            recursive=settings["recursive"],
            on_error=settings["on_error"],
        )
        found = one_pass.read_reals(
            sources["real"], options, reference=sources["reference"], population=sources["population"]
        )
        known = found.images[: found.n_known]
        cut = (
            gain_reals.prepare_patches(found.images.pixels)
            if patches and min(known.height, known.width) >= one_pass.LEAST_SIDE
            else None
        )
        return cls(known, cut, sources["fake"], options.of_pixels, sources["population"], options.forms(known))

    def evidence(self, pairs: Sequence[tuple[int, Match]]) -> list[Evidence]:
        """Return the evidence of real images, each by its position and a match, reading the synthetic ones once."""
        reals = self.prepared()
        fakes = loading.pick(
            self.fake,
            [match.name for _, match in pairs],
            positions=[-1 if match.position is None else match.position for _, match in pairs],
            forms=self.forms,
            argument="fake",
            **self.files,
        )
        return [
            Evidence(self.known.names[place], match, self.known[place], fake, gains.explain(reals, place, fake))
            for (place, match), fake in zip(pairs, fakes.pixels, strict=True)
        ]

    def contents(self, n_real: int) -> dict[str, Content]:
        """Return what each collection holds, the synthetic images read again.

        Without those that came from an iterator, or are gone; the first `n_real` known images are no reference.
        """
        pixels = self.known.pixels
        found = {"real": Content(content_hash(map(digest, pixels[:n_real])), None)}
        if n_real < len(pixels):
            found["reference"] = Content(content_hash(map(digest, pixels[n_real:])), None)
        again = {"fake": self.fake} | ({} if self.population is None else {"population": self.population})
        for name, source in again.items():
            digests: list[bytes] = []
            ignored = 0
            with suppress(InputError):
                for block in loading.blocks_again(source, argument=name, **self.files):
                    digests += map(digest, block.pixels)
                    ignored += block.ignored
                found[name] = Content(content_hash(digests), ignored)
        return found

    def prepared(self) -> GainReals:
        """Return the patches of the real images."""
        if self.patches is not None:
            return self.patches
        if min(self.known.height, self.known.width) < one_pass.LEAST_SIDE:
            raise InputError(f"real: expected images of at least 8x8 pixels for patches, got {self.known.format}")
        return gain_reals.prepare_patches(self.known.pixels)


def _on_disk(source: object) -> bool:
    """Whether a source of a provenance can be read again."""
    return all(map(_on_disk, source)) if isinstance(source, tuple) else source is None or isinstance(source, str)

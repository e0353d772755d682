"""Found: the best matches of patches in some synthetic images, which merge to those in all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fingerprint._base import failures, naming
from fingerprint._images.blocks import places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fingerprint._base.types import Array
    from fingerprint._images.loading import Failure, Slices
    from fingerprint._patches.match_search import MatchPatches


@dataclass(frozen=True)
class Found:
    """What is kept of some synthetic images, see `fingerprint._base.failures.Kept`; arrays as of `NearestPatches`."""

    fakes: Mapping[int, str]
    distances: Array
    indices: Array
    offsets: Array
    mirrored: Array
    n_fake: int
    failed: tuple[Failure, ...]
    lost: Array

    @property
    def n_places(self) -> int:
        return self.n_fake + len(self.failed)

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for each in (self.distances, self.indices, self.offsets, self.mirrored))

    @property
    def sound(self) -> bool:
        """Whether the parts go together, as those of a file need not."""
        known = [-1, *(place for place in self.fakes if 0 <= place < self.n_places)]
        numbers = not np.isnan(self.distances).any() and type(self.n_fake) is int
        texts = all(isinstance(name, str) for name in self.fakes.values())
        within = bool(np.isin(self.indices, known).all())
        return numbers and texts and within and failures.placed(self.failed, self.lost, self.n_places)

    def placed(self, place: Callable[[Array], Array]) -> Found:
        return replace(placed(self, place), lost=place(self.lost))


T = TypeVar("T")  # `Found`, or a result that has its arrays


def found_in(patches: MatchPatches, part: Slices, limits: Array) -> tuple[Found, Array]:
    """Return the best matches in one block of synthetic images, possibly none, unless worse than `limits`.

    And the values of all patches in the units of `limits`.
    """
    search, offsets = patches.search, patches.search.offsets
    order = naming.in_order(part.names)  # of equally good matches the search keeps the first
    in_order = order == list(range(len(part)))
    best, which, where = patches.best(part.pixels if in_order else part.pixels[order], limits)
    found = which >= 0
    if search.measure == "ncc":
        distances = np.where(found, 1 - np.minimum(best, 1.0), np.inf)
    else:
        distances = np.sqrt(np.where(found, np.abs(best), np.inf) / search.patch_size**2)
    shape = patches.informative.shape
    places, lost = places_of(part)
    indices = np.where(found, np.array([*places[order], -1])[which], -1).reshape(shape)
    kept = Found(
        fakes=_referenced(dict(zip(places.tolist(), part.names, strict=True)), indices),
        distances=distances.reshape(shape),
        indices=indices,
        offsets=np.where(found[..., None], offsets[where % len(offsets)], 0).reshape(*shape, 2),
        mirrored=(found & (where >= len(offsets))).reshape(shape),
        n_fake=len(part),
        failed=part.failed,
        lost=lost,
    )
    return kept, best


def merged(parts: Sequence[Found]) -> Found:
    best = parts[0]
    for part in parts[1:]:
        best = replace(best, **better(best, part))
    failed, lost = failures.merged(parts)
    return replace(best, n_fake=sum(part.n_fake for part in parts), failed=failed, lost=lost)


def better(one: Any, other: Any) -> dict[str, Any]:
    """Return the better of two matches of every patch, and of equally good ones that in the image of the lower name."""
    mine, theirs, names = one.indices, other.indices, {**one.fakes, **other.fakes}
    take = other.distances < one.distances
    tied = (other.distances == one.distances) & (mine >= 0) & (theirs >= 0)
    left, right = np.split(naming.ranks(np.concatenate([mine[tied], theirs[tied]]), names), 2)
    take[tied] = right < left
    indices = np.where(take, theirs, mine)
    return {
        "fakes": _referenced(names, indices),
        "indices": indices,
        "distances": np.where(take, other.distances, one.distances),
        "offsets": np.where(take[..., None], other.offsets, one.offsets),
        "mirrored": np.where(take, other.mirrored, one.mirrored),
    }


def placed(found: T, place: Callable[[Array], Array]) -> T:
    """Return the same matches with images that stand elsewhere in the stream: `place` keeps their order."""
    matches: Any = found
    numbers = place(np.fromiter(matches.fakes, np.int64, len(matches.fakes))).tolist()
    indices = np.where(matches.indices >= 0, place(matches.indices), -1)
    moved: T = replace(matches, indices=indices, fakes=dict(zip(numbers, matches.fakes.values(), strict=True)))
    return moved


def _referenced(names: Mapping[int, str], indices: Array) -> dict[int, str]:
    """Return the names of the images that are referred to."""
    return {image: names[image] for image in np.unique(indices[indices >= 0]).tolist()}

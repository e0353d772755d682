"""Matches of patches: in which synthetic image, and where, each patch of a real image has its best match."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from fingerprint._base import bounds, checks, concurrency, output
from fingerprint._base.checks import InputError
from fingerprint._base.display import SHOWN
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.progress import bar
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import ListResult, Table
from fingerprint._images import loading
from fingerprint._images.checkpoint import HELD, Pass
from fingerprint._images.record import positions
from fingerprint._images.slices import digest_of
from fingerprint._patches.found import Found, better, found_in, merged, placed
from fingerprint._patches.match_search import MatchPatches, PatchSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from os import PathLike

    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._images.loading import Slices, Source, Task

Measure: TypeAlias = Literal["rmse", "ncc"]
_LARGEST = 32  # side of a patch up to which float32 holds every sum of products of 8-bit pixels
_BLOCK = 32  # synthetic images read at a time
_PATCH, _SEARCHED, _KEPT = 96, 112, 41  # bytes beside a patch, of its matches in a block, and of what is kept of these
_MAPS = 20  # bytes for a pixel of an image that is searched


@public
class PatchMatch(NamedTuple):
    """The best match of one patch.

    Parameters
    ----------
    row, column : int
        Upper and left edge of the patch in the real image, in pixels.
    fake : str or None
        The synthetic image; None where the patch is flat or found no window at all.
    distance : float
        As in `NearestPatches`; infinite where there is no match.
    down, right : int
        How many pixels further the match lies.
    mirrored : bool
        Whether the match is in the mirrored synthetic image.
    """

    row: int
    column: int
    fake: str | None
    distance: float
    down: int
    right: int
    mirrored: bool


@public
class MatchedPatches(NamedTuple):
    """The patches of one real image with their best matches.

    Parameters
    ----------
    name : str
        Of the real image.
    patches : tuple of PatchMatch
        Row by row.
    """

    name: str
    patches: tuple[PatchMatch, ...]


@public
@dataclass(frozen=True, eq=False, repr=False)
class NearestPatches(ListResult[MatchedPatches]):
    """For every patch of every real image, the best match among all synthetic images: a list of `MatchedPatches`.

    The patches of an image form a grid, (n_rows, n_columns). A patch that is flat, or found no window at all, has the
    distance infinity.

    Parameters
    ----------
    names : tuple of str
        (n,) real images.
    search : PatchSearch
        How the patches were cut and compared.
    fakes : mapping of int to str
        Names of the synthetic images that `indices` refers to, by their position.
    rows, columns : ndarray
        (n_rows,) and (n_columns,) int64: upper and left edges of the patches.
    informative : ndarray
        (n, n_rows, n_columns) bool: False where a patch is flat.
    distances : ndarray
        (n, n_rows, n_columns) float64: root mean squared difference in grey levels, or 1 - normalised correlation;
        smaller = more alike.
    indices : ndarray
        (n, n_rows, n_columns) int64: position of the match among all usable synthetic images in the order they came;
        -1 = none.
    offsets : ndarray
        (n, n_rows, n_columns, 2) int64: how many pixels further down and right the match lies, in the mirrored image
        where `mirrored` says so.
    mirrored : ndarray
        (n, n_rows, n_columns) bool: True where the match is in the mirrored synthetic image.
    n_fake : int
        Number of synthetic images searched.
    failed : mapping of str to tuple of Failure
        Files of ``"real"`` and ``"fake"`` that could not be used.
    """

    _row_type = MatchedPatches
    _by_row = ("names", "fakes", "rows", "columns", "informative", "distances", "indices", "offsets", "mirrored")

    names: tuple[str, ...]
    search: PatchSearch
    fakes: Mapping[int, str]
    rows: Array
    columns: Array
    informative: Array
    distances: Array
    indices: Array
    offsets: Array
    mirrored: Array
    n_fake: int
    failed: Failures = field(default_factory=dict)

    def _row(self, i: int) -> MatchedPatches:
        found = []
        for r, c in np.ndindex(self.indices.shape[1:]):
            index, (down, right) = int(self.indices[i, r, c]), self.offsets[i, r, c].tolist()
            name = self.fakes[index] if index >= 0 else None
            place = int(self.rows[r]), int(self.columns[c])
            distance, mirrored = float(self.distances[i, r, c]), bool(self.mirrored[i, r, c])
            found.append(PatchMatch(*place, name, distance, down, right, mirrored))
        return MatchedPatches(self.names[i], tuple(found))

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        return ["name", *PatchMatch._fields], ([one.name, *patch] for one in self for patch in one.patches)

    def __str__(self) -> str:
        """Return how many patches of the first real images have a match, and what failed."""
        found = (self.indices >= 0).reshape(len(self), -1).sum(axis=1).tolist()
        patches = self.indices[0].size if len(self) else 0
        lines = [f"{len(self)} real images of {patches} patches each, searched for in {self.n_fake} synthetic ones"]
        lines += [f"  {self.names[i]}: {count} patches with a match" for i, count in enumerate(found[:SHOWN])]
        lines += [f"  … {len(self) - SHOWN} more"] * (len(self) > SHOWN)
        return "\n".join([*lines, *failed_lines(self.failed)])

    def merge(self, other: NearestPatches) -> NearestPatches:
        """Return the best matches among the synthetic images of both, which are about the same real images.

        Of equally good matches that in the image of the lower name counts, then that in the earlier image, then one
        that is not mirrored, then the smaller shift.

        Parameters
        ----------
        other : NearestPatches
            Of other synthetic images. Their positions follow those of the images here.

        Returns
        -------
        NearestPatches
            Of all of them.

        Raises
        ------
        InputError
            If the real images or the search differ.
        """
        if (self.search, self.names) != (other.search, other.names):
            raise InputError("other: expected the same real images and the same search, got different ones")
        best = better(self, placed(other, lambda positions: positions + self.n_fake))
        return replace(
            self,
            **best,
            n_fake=self.n_fake + other.n_fake,
            provenance=None,  # it has none that says how to make the whole
            failed={side: (*self.failed[side], *other.failed[side]) for side in self.failed},
        )


@public
def patch_matches(
    real: Source,
    fake: Source,
    *,
    patch_size: int = 16,
    stride: int = 8,
    radius: int = 2,
    measure: Measure = "rmse",
    tolerance: float | None = None,
    flat: float | None = None,
    mirror: bool = False,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "raise",
    threads: int | None = None,
    progress: bool | None = None,
) -> Array:
    """Count the patches of every real image that match in every synthetic one, moved by a few pixels at most.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images of one size and bit depth.
    patch_size : int
        Side of a patch in pixels, from 2 to 32.
    stride : int
        Step from one patch to the next in pixels.
    radius : int
        How far a patch is searched for around its own place, in pixels, in either direction.
    measure : {"rmse", "ncc"}
        ``"rmse"``: root mean squared difference in grey levels. ``"ncc"``: normalised cross-correlation, which ignores
        brightness and contrast; a window without any contrast never matches.
    tolerance : float, optional
        Largest distance of a match: in grey levels for ``"rmse"`` (6), 1 - correlation for ``"ncc"`` (0.1). Must be
        given for ``"rmse"`` of 16-bit images, whose levels have no common meaning.
    flat : float, optional
        A patch of the real image with a standard deviation below this many grey levels (6) never counts: it would match
        any table, air or padding. Must be given for 16-bit images.
    mirror : bool
        Also look for the patches in the mirrored synthetic images.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    window, grey
        As for `fingerprint.load`: see 16 bits through a window, take the luminance of colour.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"raise", "collect"}
        What to do about a file that cannot be used: raise, or leave it out; `load` lists it then.
    threads : int, optional
        One per available core by default. Never changes the result.
    progress : bool, optional
        Show a bar on stderr: always or never; None = in a terminal or a notebook, after two seconds.

    Returns
    -------
    ndarray
        (n_real, n_fake) int32 from 0 to the number of patches; higher = more of the real image is found. It is held
        whole, 4 bytes a pair, and so are the real images. `fingerprint.nearest_patches` takes `memory`.

    Raises
    ------
    InputError
        If an argument is out of range, a file cannot be read, or the two sides differ in size or pixel type.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    >>> patch_matches(real, [np.roll(real, 2, axis=2), 255 - real])
    array([[6, 0]], dtype=int32)
    """
    workers = concurrency.resolve(threads)
    files: dict[str, Any] = {
        "size": size,
        "window": window,
        "grey": grey,
        "recursive": recursive,
        "on_error": on_error,
    }
    slices = loading.read(real, threads=workers, argument="real", **files)
    search = _search(slices, patch_size, stride, radius, measure, flat, mirror)
    limit = _limit(slices, search, tolerance)
    patches = MatchPatches.of(slices.pixels, search)
    limits = np.full(patches.shape, limit)

    def step(task: Callable[[], Slices]) -> Array:
        from fingerprint._kernels import patch_products

        part = task()
        out = np.zeros((len(slices), len(part)), np.int32)
        for j in range(len(part)):
            column = np.zeros(len(slices), np.int32)
            patch_products.count(patches.best(part.pixels[j : j + 1], limits)[0], limit, column)
            out[:, j] = column
        return out

    columns = [np.empty((len(slices), 0), np.int32)]
    tasks = loading.listing(fake, expect=slices, argument="fake", **files).plan(_BLOCK)
    with bar(progress, unit="image", total=tasks.total, phase="comparing") as advance:
        for part in concurrency.map_ordered(step, tasks, threads=workers):
            columns.append(part)
            advance(part.shape[1])
    return np.concatenate(columns, axis=1)


@public
@recorded
def nearest_patches(
    real: Source,
    fake: Source,
    *,
    patch_size: int = 16,
    stride: int = 8,
    radius: int = 4,
    measure: Measure = "rmse",
    flat: float | None = None,
    mirror: bool = False,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    memory: str | int | None = None,
    threads: int | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool | None = None,
) -> NearestPatches:
    """Find the best match of every patch of every real image among all synthetic images.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images of one size and bit depth. The synthetic ones are read block by block, so that the memory needed does not
        depend on their number.
    patch_size, stride, radius, measure, flat, mirror
        As for `patch_matches`.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    window, grey
        As for `fingerprint.load`: see 16 bits through a window, take the luminance of colour.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `NearestPatches.failed`, or raise.
    memory : str or int, optional
        What the process may take, as for `fingerprint.rank`. Never changes the result.
    threads : int, optional
        One per available core by default. Never changes the result.
    checkpoint : path, optional
        File to go on from where it stopped, as for `fingerprint.rank`.
    progress : bool, optional
        Show a bar on stderr: always or never; None = in a terminal or a notebook, after two seconds.

    Returns
    -------
    NearestPatches
        Exact: no window is left out. Of equally good matches that in the image of the lower name counts, then that in
        the earlier image, then one that is not mirrored, then the smaller shift.

    Raises
    ------
    InputError
        If an argument is out of range, no image is left on a side, the two sides differ in size or pixel type, or
        `memory` is too little; the message says how much would do.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    >>> found = nearest_patches(real, [255 - real, np.roll(real, 2, axis=2)])
    >>> found.distances[0, 1, 1], found.offsets[0, 1, 1]
    (np.float64(0.0), array([0, 2]))
    """
    budget, workers = bounds.in_bytes(memory), concurrency.resolve(threads)
    files: dict[str, Any] = {
        "size": size,
        "window": window,
        "grey": grey,
        "recursive": recursive,
        "on_error": on_error,
    }
    slices = loading.read(real, threads=workers, argument="real", **files)
    search = _search(slices, patch_size, stride, radius, measure, flat, mirror)
    needs = _Needs.of(slices.pixels, search)
    largest = loading.block_of(_BLOCK, needs.image)
    way = bounds.fitting(bounds.ways(needs.most, block=largest, threads=workers), slices.pixels, budget)
    patches = MatchPatches.of(slices.pixels, search)
    limits = np.full(patches.shape, -np.inf)  # the best so far, which spares the search for worse ones
    about = {
        "the real images": digest_of(slices),
        "number of real images": len(slices),
        "search": output.plain(search),
        "size": [slices.height, slices.width],
        "window": window and list(window),
        "grey": grey,
    }
    onto = Pass(found_in(patches, slices[:0], limits)[0], merged, about, checkpoint, (Found,))
    listed = loading.listing(fake, expect=slices, argument="fake", **files)
    tasks = listed.plan(way.block, None if checkpoint is None else onto.reading)

    def step(task: Task) -> tuple[Found, Array]:
        return found_in(patches, task(), limits)

    def parts() -> Iterator[Found]:
        for part, best in concurrency.map_ordered(step, tasks, threads=way.threads):
            np.maximum(limits, best, out=limits)  # of what is kept alone: a checkpoint may end here
            yield part

    with bar(progress, unit="image", total=tasks.total, phase="comparing") as advance:
        found = onto.over(parts(), advance).kept
    if not found.n_fake:
        raise loading.none_usable(fake, found.failed, argument="fake")
    found = found.placed(positions(found.lost))
    return NearestPatches(
        names=slices.names,
        search=search,
        fakes=found.fakes,
        rows=patches.rows,
        columns=patches.columns,
        informative=patches.informative,
        distances=found.distances,
        indices=found.indices,
        offsets=found.offsets,
        mirrored=found.mirrored,
        n_fake=found.n_fake,
        failed={"real": slices.failed, "fake": found.failed},
    )


@dataclass(frozen=True)
class _Needs:
    """What is allocated, in bytes, by what it grows with.

    Parameters
    ----------
    search : PatchSearch
        Where the patches lie, and how they are searched for.
    count, sites : int
        Real images, and patches of each.
    image, maps : int
        Pixels of an image, and what is made of one that is searched.
    """

    search: PatchSearch
    count: int
    sites: int
    image: int
    maps: int

    @classmethod
    def of(cls, pixels: Array, search: PatchSearch) -> _Needs:
        count, height, width = pixels.shape
        rows, columns = search.grid(height, width)
        maps = _MAPS * (height + 2 * search.radius) * (width + 2 * search.radius + 16)
        return cls(search, count, len(rows) * len(columns), pixels.nbytes // count, maps)

    def most(self, *, packed: bool, block: int, threads: int) -> int:  # noqa: ARG002 - the real images always are
        """Return what a process takes at most that works in this way."""
        patches, searched = self.count * self.sites, block * (1 + self.search.mirror)
        rows = 16 * -(-len(self.search.offsets) // 16) * searched
        size = 64 * -(-(self.search.patch_size**2) // 64)
        one = searched * (2 * self.image + self.maps) + rows * (size + 4 * self.count) + patches * _SEARCHED
        waiting = 2 * threads * patches * _KEPT + max(2 * patches * _KEPT, min(HELD, 16 * patches * _KEPT))
        real = self.count * self.image + patches * (size + _PATCH)
        return bounds.PROCESS + real + threads * one + waiting + 3 * patches * _KEPT


# --- Arguments --------------------------------------------------------------------------------------------------------


def _search(
    slices: Slices, patch_size: object, stride: object, radius: object, measure: object, flat: object, mirror: object
) -> PatchSearch:
    """Check how patches are to be searched for."""
    side, shorter = checks.integer("patch_size", patch_size, minimum=2, maximum=_LARGEST), min(slices.pixels.shape[1:])
    if side > shorter:
        raise InputError(f"patch_size: expected at most the shorter side of the images, {shorter}, got {side}")
    return PatchSearch(
        patch_size=side,
        stride=checks.integer("stride", stride, minimum=1),
        radius=checks.integer("radius", radius, minimum=0),
        measure=checks.choice("measure", measure, get_args(Measure)),
        flat=_levels("flat", flat, slices),
        mirror=bool(mirror),
    )


def _levels(argument: str, value: object, slices: Slices) -> float:
    """Return a number of grey levels, 6 of 8-bit images by default."""
    if value is not None:
        return checks.number(argument, value, minimum=0)
    if slices.pixels.dtype != np.uint8:
        raise InputError(
            f"{argument}: expected a number of grey levels for 16-bit images, got None; give one that is small "
            "beside the contrast of your images"
        )
    return 6.0


def _limit(slices: Slices, search: PatchSearch, tolerance: object) -> float:
    """Return the least value of a match, in the units of the kernels."""
    if search.measure == "ncc":
        return 1 - (0.1 if tolerance is None else checks.number("tolerance", tolerance, minimum=0, maximum=2))
    levels = Fraction(_levels("tolerance", tolerance, slices))
    return -float(math.floor(levels**2 * search.patch_size**2))

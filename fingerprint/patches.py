"""Local patches: where a part of a synthetic image matches a part of a real one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint import _check, _names, _threads, images
from fingerprint._check import InputError
from fingerprint._memory import TILE_REGISTERS, Workspace, aligned

if TYPE_CHECKING:
    from collections.abc import Callable

    from fingerprint._types import Array
    from fingerprint.images import Failure, Slices, Source

MEASURES = ("rmse", "ncc")
_LARGEST = 32  # side of a patch up to which float32 holds every sum of products of 8-bit pixels
_BLOCK = 32  # synthetic images read at a time
_AT_ONCE = 16  # of which the parts around a place stay in the second-level cache


@dataclass(frozen=True)
class Search:
    """Where the patches of an image lie, and how they are searched for in another.

    Parameters
    ----------
    size, stride, radius : int
        Side of a patch, step from one patch to the next, and farthest shift in either direction, in pixels.
    measure : str
        ``"rmse"`` or ``"ncc"``.
    flat : float
        Least standard deviation, in grey levels, of a patch that says something.
    mirror : bool
        Search mirrored synthetic images too.
    """

    size: int
    stride: int
    radius: int
    measure: str
    flat: float
    mirror: bool = False

    @property
    def offsets(self) -> Array:
        """Return the (m, 2) int64 shifts in the order in which they are tried, the smallest first."""
        steps = range(-self.radius, self.radius + 1)
        return np.array(sorted(((dy, dx) for dy in steps for dx in steps), key=lambda o: (o[0] ** 2 + o[1] ** 2, o)))

    def grid(self, height: int, width: int) -> tuple[Array, Array]:
        """Return the upper edges and the left edges of the patches of an image, (n_rows,) and (n_columns,) int64."""
        return np.arange(0, height - self.size + 1, self.stride), np.arange(0, width - self.size + 1, self.stride)


@dataclass(frozen=True)
class NearestPatches:
    """For every patch of every real image, the best match among all synthetic images.

    The patches of an image form a grid, (n_rows, n_columns). A patch that is flat, or found no window at all, has the
    distance infinity.

    Parameters
    ----------
    search : Search
        How the patches were cut and compared.
    real : tuple of str
        Names of the n real images.
    fakes : tuple of str
        Names of the synthetic images that `indices` refers to, in natural order.
    rows, columns : ndarray
        (n_rows,) and (n_columns,) int64: upper and left edges of the patches.
    informative : ndarray
        (n, n_rows, n_columns) bool: False where a patch is flat.
    distances : ndarray
        (n, n_rows, n_columns) float64: root mean squared difference in grey levels, or 1 - normalised correlation;
        smaller = more alike.
    indices : ndarray
        (n, n_rows, n_columns) int64: positions in `fakes`; -1 = none.
    offsets : ndarray
        (n, n_rows, n_columns, 2) int64: how many pixels further down and right the match lies, in the mirrored image
        where `mirrored` says so.
    mirrored : ndarray
        (n, n_rows, n_columns) bool: True where the match is in the synthetic image turned left to right.
    n_fake : int
        Number of synthetic images searched.
    failed : tuple of Failure
        Files of either side that could not be used.
    """

    search: Search
    real: tuple[str, ...]
    fakes: tuple[str, ...]
    rows: Array
    columns: Array
    informative: Array
    distances: Array
    indices: Array
    offsets: Array
    mirrored: Array
    n_fake: int
    failed: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        """Return the number of real images."""
        return len(self.real)

    def merge(self, other: NearestPatches) -> NearestPatches:
        """Return the best matches among the synthetic images of both, which are about the same real images.

        The result is the same, bit for bit, in whatever order parts of a collection are merged. Of equally good matches
        that in the image of the lower name counts, then one that is not mirrored, then the smaller shift.

        Parameters
        ----------
        other : NearestPatches
            Of other synthetic images.

        Returns
        -------
        NearestPatches
            Of all of them.

        Raises
        ------
        InputError
            If the real images or the search differ.
        """
        if (self.search, self.real) != (other.search, other.real):
            raise InputError("other: expected the same real images and the same search, got different ones")
        names, (mine, theirs) = _names.united([(part.fakes, part.indices) for part in (self, other)])
        rank = {tuple(offset): i for i, offset in enumerate(self.search.offsets.tolist())}
        tied = (self.distances == other.distances) & (mine == theirs) & (mine >= 0)
        take = (other.distances < self.distances) | ((other.distances == self.distances) & (theirs < mine))
        for at in zip(*np.nonzero(tied), strict=True):
            keys = [(part.mirrored[at], rank[tuple(part.offsets[at].tolist())]) for part in (other, self)]
            take[at] = keys[0] < keys[1]
        indices = np.where(take, theirs, mine)
        fakes, indices = _names.referenced(names, indices)
        return replace(
            self,
            fakes=fakes,
            indices=indices,
            distances=np.where(take, other.distances, self.distances),
            offsets=np.where(take[..., None], other.offsets, self.offsets),
            mirrored=np.where(take, other.mirrored, self.mirrored),
            n_fake=self.n_fake + other.n_fake,
            failed=(*self.failed, *other.failed),
        )


def patch_matches(
    real: Source,
    fake: Source,
    *,
    size: int = 16,
    stride: int = 8,
    radius: int = 2,
    measure: str = "rmse",
    tolerance: float | None = None,
    flat: float | None = None,
    mirror: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> Array:
    """Count the patches of every real image that match in every synthetic one, moved by a few pixels at most.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images of one size and bit depth. A file that cannot be read is an error here; `load` lists such files and
        returns the others.
    size : int
        Side of a patch in pixels, from 2 to 32.
    stride : int
        Step from one patch to the next in pixels.
    radius : int
        How far a patch is searched for around its own place, in pixels, in either direction.
    measure : str
        ``"rmse"``: root mean squared difference in grey levels. ``"ncc"``: normalised cross-correlation, which ignores
        brightness and contrast; a window without any contrast never matches.
    tolerance : float, optional
        Largest distance of a match: in grey levels for ``"rmse"`` (6), 1 - correlation for ``"ncc"`` (0.1). Must be
        given for ``"rmse"`` of 16-bit images, whose levels have no common meaning.
    flat : float, optional
        A patch of the real image with a standard deviation below this many grey levels (6) never counts: it would match
        any table, air or padding. Must be given for 16-bit images.
    mirror : bool
        Also look for the patches in the synthetic images turned left to right.
    threads : int, optional
        One per available core by default. Never changes the result.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    ndarray
        (n_real, n_fake) int32 from 0 to the number of patches; higher = more of the real image is found.

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
    workers = _threads.resolve(threads)
    slices = images.load(real, on_error="raise", threads=workers, argument="real")
    search = _search(slices, size, stride, radius, measure, flat, mirror)
    limit = _limit(slices, search, tolerance)
    patches = _Patches.of(slices.pixels, search)
    limits = np.full(patches.shape, limit)

    def step(task: Callable[[], Slices]) -> Array:
        from fingerprint import _patch_kernels

        part = task()
        out = np.zeros((len(slices), len(part)), np.int32)
        for j in range(len(part)):
            column = np.zeros(len(slices), np.int32)
            _patch_kernels.count(patches.best(part.pixels[j : j + 1], limits)[0], limit, column)
            out[:, j] = column
        return out

    columns = [np.empty((len(slices), 0), np.int32)]
    tasks = images.plan(fake, block=_BLOCK, on_error="raise", expect=slices, argument="fake")
    with _threads.bar(progress, unit="image") as advance:
        for part in _threads.map_ordered(step, tasks, threads=workers):
            columns.append(part)
            advance(part.shape[1])
    return np.concatenate(columns, axis=1)


def nearest_patches(
    real: Source,
    fake: Source,
    *,
    size: int = 16,
    stride: int = 8,
    radius: int = 4,
    measure: str = "rmse",
    flat: float | None = None,
    mirror: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> NearestPatches:
    """Find the best match of every patch of every real image among all synthetic images.

    Parameters
    ----------
    real, fake : path, list of paths, ndarray, Slices, or iterator of these
        Images of one size and bit depth. The synthetic ones are read block by block, so that the memory needed does not
        depend on their number.
    size, stride, radius : int
        As for `patch_matches`.
    measure : str
        As for `patch_matches`.
    flat : float, optional
        As for `patch_matches`.
    mirror : bool
        As for `patch_matches`.
    threads : int, optional
        One per available core by default. Never changes the result.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    NearestPatches
        Exact: no window is left out. Of equally good matches that in the image of the lower name counts, then one that
        is not mirrored, then the smaller shift.

    Raises
    ------
    InputError
        If an argument is out of range, no image is left on a side, or the two sides differ in size or pixel type.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    >>> found = nearest_patches(real, [255 - real, np.roll(real, 2, axis=2)])
    >>> found.distances[0, 1, 1], found.offsets[0, 1, 1]
    (np.float64(0.0), array([0, 2]))
    """
    workers = _threads.resolve(threads)
    slices = images.load(real, threads=workers, argument="real")
    search = _search(slices, size, stride, radius, measure, flat, mirror)
    patches = _Patches.of(slices.pixels, search)
    limits = np.full(patches.shape, -np.inf)  # the best so far, which spares the search for worse ones

    def step(task: Callable[[], Slices]) -> NearestPatches:
        return patches.nearest(slices.names, task(), limits)

    found = replace(patches.nearest(slices.names, slices[:0], limits), failed=slices.failed)
    tasks = images.plan(fake, block=_BLOCK, expect=slices, argument="fake")
    with _threads.bar(progress, unit="image") as advance:
        for part in _threads.map_ordered(step, tasks, threads=workers):
            found = found.merge(part)
            advance(part.n_fake)
    if not found.n_fake:
        raise InputError(f"fake: expected at least one usable image, got none; {len(found.failed)} files failed")
    return found


@dataclass(frozen=True)
class _Patches:
    """The patches of the real images: who has an informative one where."""

    search: Search
    pixels: Array
    rows: Array
    columns: Array
    informative: Array
    members: Array  # (n_sites, n) int64: images with an informative patch there, then -1
    workspace: Workspace = field(default_factory=Workspace, repr=False)

    @classmethod
    def of(cls, pixels: Array, search: Search) -> _Patches:
        from fingerprint import _patch_kernels

        rows, columns = search.grid(*pixels.shape[1:])
        area = search.size**2
        least = math.ceil((Fraction(search.flat) * area) ** 2)
        informative = np.empty((len(pixels), len(rows), len(columns)), bool)
        for i, image in enumerate(pixels):
            box = np.empty(_box_shape(pixels, search), np.int64)
            _patch_kernels.box_sums(image, search.size, _middle(pixels), box)
            sums, squares = box[:, :: search.stride, :: search.stride]
            informative[i] = area * squares - sums**2 >= max(least, 1)
        sites = informative.reshape(len(pixels), -1).T
        # a stable sort of the absent behind the present keeps both in order
        order = np.argsort(~sites, axis=1, kind="stable")
        members = np.where(np.take_along_axis(sites, order, axis=1), order, -1)
        return cls(search, pixels, rows, columns, informative, members)

    def best(self, fakes: Array, limits: Array) -> tuple[Array, Array, Array]:
        """Return the best value, synthetic image and number of the offset for every patch, (n, n_sites) each.

        What is worse than `limits` (n, n_sites) may be left out.
        """
        from fingerprint import _compiler, _patch_kernels

        turns = (fakes, fakes[:, :, ::-1]) if self.search.mirror else (fakes,)
        stack = np.stack(turns, axis=1)
        best = np.full(self.shape, -np.inf)
        which, where = (np.full(self.shape, -1, np.int64) for _ in range(2))
        fast = [name for name in _patch_kernels.PRODUCTS if _compiler.runs(name) and fakes.dtype == np.uint8]
        if fast[:1] == ["vectors"] and self.search.measure == "rmse":  # pragma: no cover  (not without a compiler)
            self._search(stack, limits, best, which, where)
            return best, which, where
        boxes = np.empty((*stack.shape[:2], *_box_shape(fakes, self.search)), np.int64)
        middle = _middle(fakes)
        for box, image in zip(boxes.reshape(-1, *boxes.shape[2:]), stack.reshape(-1, *fakes.shape[1:]), strict=True):
            _patch_kernels.box_sums(image, self.search.size, middle, box)
        if fast:  # pragma: no cover  (not without a compiler)
            self._multiply(_patch_kernels.PRODUCTS[fast[0]], self.sites, stack, boxes, best, which, where)
            return best, which, where
        exact = np.float32 if fakes.dtype == np.uint8 else np.float64
        padded = -(-(self.search.size**2) // 4) * 4
        _patch_kernels.search_all(
            self.pixels,
            self.members,
            self.sites,
            self.search.size,
            stack,
            boxes,
            self.search.offsets,
            middle,
            self.search.measure == "ncc",
            np.zeros((padded, len(self.pixels)), exact),
            np.zeros((2, max(padded, len(self.pixels))), exact),
            best,
            which,
            where,
        )
        return best, which, where

    def _multiply(
        self, products: Any, sites: Array, stack: Array, boxes: Array, best: Array, which: Array, where: Array
    ) -> None:  # pragma: no cover  (not without a compiler)
        """Do what `search_all` does to 8-bit images, with matrix instructions."""
        from fingerprint import _patch_kernels

        search, offsets = self.search, self.search.offsets
        turned = stack.reshape(-1, *stack.shape[2:])
        boxes = boxes.reshape(-1, *boxes.shape[2:])
        rows = len(turned) * (-(-len(offsets) // 48) * 48)
        windows, sums = aligned((rows, -(-(search.size**2) // 64) * 64), np.uint8), np.zeros((2, rows), np.int32)
        found = aligned((-(-len(self.pixels) // 16), rows, 16), np.int32)
        area, correlate, turns = float(search.size**2), search.measure == "ncc", stack.shape[1]
        for site, ((y, x), members, (patches, moments)) in enumerate(
            zip(sites, self.present, self.packed, strict=True)
        ):
            if not len(members):
                continue
            here = found[: len(patches)]
            _patch_kernels.cut(y, x, search.size, turned, boxes, offsets, windows, sums)
            products(windows, patches, TILE_REGISTERS, here)
            _patch_kernels.choose(
                here, members, moments, sums, turns, area, correlate, site, best, which, where, len(offsets)
            )

    def _search(
        self, stack: Array, limits: Array, best: Array, which: Array, where: Array
    ) -> None:  # pragma: no cover  (not without a compiler)
        """Do what `search_all` does to squared differences of 8-bit images, with vector instructions.

        Matches that are worse than `limits` (n, n_sites) are left out.
        """
        from fingerprint import _nearest_patch_kernels, _patch_kernels

        size, radius, offsets, turns = self.search.size, self.search.radius, self.search.offsets, stack.shape[1]
        images, side = stack.reshape(-1, *stack.shape[2:]), 2 * self.search.radius + 1
        # rows are copied 16 words at a time, and up to six vectors of them compared
        lanes = 16 * (-(-side * side // 16) + 6)
        ranks = np.full(lanes, len(offsets), np.int32)
        ranks[(offsets + radius) @ [side, 1]] = np.arange(len(offsets))
        shapes = {"windows": (size * -(-size // 4), lanes), "squares": (lanes,), "marks": (10, lanes)}
        space = tuple(self.workspace.array(name, shape, np.int32) for name, shape in shapes.items())
        box = self.workspace.array("box", _box_shape(self.pixels, self.search), np.int64)
        places = list(enumerate(zip(self.sites, self.present, self.laid_out, strict=True)))
        for first in range(0, len(images), _AT_ONCE):
            part = images[first : first + _AT_ONCE]
            shape = len(part), part.shape[1] + 2 * radius, part.shape[2] + 2 * radius + 16
            kinds = {"words": np.uint32, "sums": np.int32, "pairs": np.int32, "lengths": np.int32, "halves": np.int32}
            maps = tuple(self.workspace.array(name, shape, kind) for name, kind in kinds.items())
            for image, words, sums, *sketches in zip(part, *maps, strict=True):
                _patch_kernels.box_sums(image, size, _middle(self.pixels), box)
                _nearest_patch_kernels.lay_out(image, box[1], radius, words, sums)
                if self.sketched:
                    _nearest_patch_kernels.sketch(image, box[1], size // 4, radius, *sketches)
            for site, ((y, x), members, patches) in places:
                if len(members):
                    place, found = (radius, size, ranks, y, x), (best, which, where)
                    _nearest_patch_kernels.nearest_vectors(
                        maps, place, patches, members, first, turns, site, space, limits, found
                    )

    @property
    def sketched(self) -> bool:  # pragma: no cover  (not without a compiler)
        """Return whether sums of 4 x 4 blocks of a patch bound its distances."""
        return self.search.size % 4 == 0 and self.search.size > 4

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many images and sites there are."""
        return len(self.pixels), len(self.members)

    @cached_property
    def sites(self) -> Array:
        """Return the upper left corners of all patches, (n_sites, 2) int64."""
        return np.stack(np.meshgrid(self.rows, self.columns, indexing="ij"), axis=-1).reshape(-1, 2)

    @cached_property
    def present(self) -> list[Array]:
        """Return for each site the images that have an informative patch there."""
        return [members[members >= 0] for members in self.members]

    @cached_property
    def packed(self) -> list[tuple[Array, Array]]:
        """Return for each site the patches as `products_amx` takes them, and their sums and sums of squares."""
        from fingerprint import _patch_kernels

        steps = -(-(self.search.size**2) // 64)
        out = []
        for (y, x), members in zip(self.sites, self.present, strict=True):
            patches = aligned((-(-len(members) // 16), 16 * steps, 16, 4), np.int8)
            moments = np.zeros((2, len(members)))
            _patch_kernels.pack(self.pixels, members, y, x, self.search.size, patches, moments)
            out.append((patches, moments))
        return out

    @cached_property
    def laid_out(self) -> list[tuple[Array, Array, Array]]:  # pragma: no cover  (not without a compiler)
        """Return for each site the patches as `nearest_vectors` takes them."""
        from fingerprint import _nearest_patch_kernels

        size = self.search.size
        out = []
        for (y, x), members in zip(self.sites, self.present, strict=True):
            patches = np.zeros((len(members), size, 4 * -(-size // 4)), np.int8)
            rests, sketches = np.empty(len(members)), np.empty((len(members) * self.sketched, 10), np.int32)
            _nearest_patch_kernels.lay_patches(self.pixels, members, y, x, patches, rests, sketches)
            out.append((patches.reshape(len(members), size * patches.shape[2]), rests, sketches))
        return out

    def nearest(self, names: tuple[str, ...], part: Slices, limits: Array) -> NearestPatches:
        """Return the best matches in one block of synthetic images, possibly none, unless worse than `limits`.

        These are raised to what was found. Threads may share them: one that sees an older number searches more.
        """
        in_order = _names.in_order(part.names)
        best, which, where = self.best(part.pixels[in_order], limits)
        np.maximum(limits, best, out=limits)
        found = which >= 0
        if self.search.measure == "ncc":
            distances = np.where(found, 1 - np.minimum(best, 1.0), np.inf)
        else:
            distances = np.sqrt(np.where(found, np.abs(best), np.inf) / self.search.size**2)
        offsets = self.search.offsets
        shape = self.informative.shape
        fakes, indices = _names.referenced([part.names[i] for i in in_order], which.reshape(shape))
        return NearestPatches(
            search=self.search,
            real=names,
            fakes=fakes,
            rows=self.rows,
            columns=self.columns,
            informative=self.informative,
            distances=distances.reshape(shape),
            indices=indices,
            offsets=np.where(found[..., None], offsets[where % len(offsets)], 0).reshape(*shape, 2),
            mirrored=(found & (where >= len(offsets))).reshape(shape),
            n_fake=len(part),
            failed=part.failed,
        )


# --- Arguments --------------------------------------------------------------------------------------------------------


def _search(
    slices: Slices, size: object, stride: object, radius: object, measure: object, flat: object, mirror: object
) -> Search:
    """Check how patches are to be searched for."""
    size = _check.integer("size", size, minimum=2, maximum=_LARGEST)
    if size > min(slices.pixels.shape[1:]):
        raise InputError(f"size: expected at most the side of the images, {min(slices.pixels.shape[1:])}, got {size}")
    measure = _check.choice("measure", measure, MEASURES)
    return Search(
        size=size,
        stride=_check.integer("stride", stride, minimum=1),
        radius=_check.integer("radius", radius, minimum=0),
        measure=measure,
        flat=_levels("flat", flat, slices),
        mirror=bool(mirror),
    )


def _levels(argument: str, value: object, slices: Slices) -> float:
    """Return a number of grey levels, 6 of 8-bit images by default."""
    if value is not None:
        return _check.number(argument, value, minimum=0)
    if slices.pixels.dtype != np.uint8:
        raise InputError(
            f"{argument}: expected a number of grey levels for 16-bit images, got None; give one that is small "
            "beside the contrast of your images"
        )
    return 6.0


def _limit(slices: Slices, search: Search, tolerance: object) -> float:
    """Return the least value of a match, in the units of the kernels."""
    if search.measure == "ncc":
        return 1 - (0.1 if tolerance is None else _check.number("tolerance", tolerance, minimum=0, maximum=2))
    levels = Fraction(_levels("tolerance", tolerance, slices))
    return -float(math.floor(levels**2 * search.size**2))


def _middle(pixels: Array) -> int:
    """Return the middle of the range of pixels, about which sums of products are smallest."""
    return (int(np.iinfo(pixels.dtype).max) + 1) // 2


def _box_shape(pixels: Array, search: Search) -> tuple[int, int, int]:
    return (2, pixels.shape[1] - search.size + 1, pixels.shape[2] - search.size + 1)

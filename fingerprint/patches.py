"""Local patches: where a part of a synthetic image matches a part of a real one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fingerprint import _check, _threads, images
from fingerprint._check import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fingerprint.images import Failure, Slices, Source

Array = NDArray[Any]

MEASURES = ("rmse", "ncc")
_LARGEST = 32  # side of a patch up to which float32 holds every sum of products of 8-bit pixels
_BLOCK = 16  # synthetic images searched at a time


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
        names = sorted({*self.fakes, *other.fakes}, key=images.natural_key)
        position = {name: i for i, name in enumerate(names)}
        mine, theirs = (
            # the appended -1 is what an index of -1 picks
            np.array([*(position[name] for name in part.fakes), -1])[part.indices]
            for part in (self, other)
        )
        rank = {tuple(offset): i for i, offset in enumerate(self.search.offsets.tolist())}
        tied = (self.distances == other.distances) & (mine == theirs) & (mine >= 0)
        take = (other.distances < self.distances) | ((other.distances == self.distances) & (theirs < mine))
        for at in zip(*np.nonzero(tied), strict=True):
            keys = [(part.mirrored[at], rank[tuple(part.offsets[at].tolist())]) for part in (other, self)]
            take[at] = keys[0] < keys[1]
        indices = np.where(take, theirs, mine)
        fakes, indices = _referenced(names, indices)
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

    def step(task: Callable[[], Slices]) -> Array:
        from fingerprint import _patch_kernels

        part = task()
        out = np.zeros((len(slices), len(part)), np.int32)
        for j in range(len(part)):
            column = np.zeros(len(slices), np.int32)
            _patch_kernels.count(patches.best(part.pixels[j : j + 1])[0], limit, column)
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

    def step(task: Callable[[], Slices]) -> NearestPatches:
        return patches.nearest(slices.names, task())

    found = replace(patches.nearest(slices.names, slices[:0]), failed=slices.failed)
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

    def best(self, fakes: Array) -> tuple[Array, Array, Array]:
        """Return the best value, synthetic image and number of the offset for every patch, (n, n_sites) each."""
        from fingerprint import _kernels, _patch_kernels

        turns = (fakes, fakes[:, :, ::-1]) if self.search.mirror else (fakes,)
        stack = np.stack(turns, axis=1)
        boxes = np.empty((*stack.shape[:2], *_box_shape(fakes, self.search)), np.int64)
        middle = _middle(fakes)
        for box, image in zip(boxes.reshape(-1, *boxes.shape[2:]), stack.reshape(-1, *fakes.shape[1:]), strict=True):
            _patch_kernels.box_sums(image, self.search.size, middle, box)
        n, n_sites = len(self.pixels), len(self.members)
        best = np.full((n, n_sites), -np.inf)
        which, where = (np.full((n, n_sites), -1, np.int64) for _ in range(2))
        fast = [name for name in _patch_kernels.PRODUCTS if _kernels.runs(name)]
        if fast and fakes.dtype == np.uint8:
            products = _patch_kernels.PRODUCTS[fast[0]]  # pragma: no cover
            self._multiply(products, self.sites, stack, boxes, best, which, where)  # pragma: no cover
            return best, which, where  # pragma: no cover
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
            np.zeros((padded, n), exact),
            np.zeros((2, max(padded, n)), exact),
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
        windows, sums = _aligned((rows, -(-(search.size**2) // 64) * 64), np.uint8), np.zeros((2, rows), np.int32)
        found = _aligned((-(-len(self.pixels) // 16), rows, 16), np.int32)
        area, correlate, turns = float(search.size**2), search.measure == "ncc", stack.shape[1]
        for site, ((y, x), members, (patches, moments)) in enumerate(
            zip(sites, self.present, self.packed, strict=True)
        ):
            if not len(members):
                continue
            here = found[: len(patches)]
            _patch_kernels.cut(y, x, search.size, turned, boxes, offsets, windows, sums)
            products(windows, patches, _TILE_REGISTERS, here)
            _patch_kernels.choose(
                here, members, moments, sums, turns, area, correlate, site, best, which, where, len(offsets)
            )

    @cached_property
    def sites(self) -> Array:
        """Return the upper left corners of all patches, (n_sites, 2) int64."""
        return np.stack(np.meshgrid(self.rows, self.columns, indexing="ij"), axis=-1).reshape(-1, 2)

    @cached_property
    def present(self) -> list[Array]:  # pragma: no cover  (not without a compiler)
        """Return for each site the images that have an informative patch there."""
        return [members[members >= 0] for members in self.members]

    @cached_property
    def packed(self) -> list[tuple[Array, Array]]:  # pragma: no cover  (not without a compiler)
        """Return for each site the patches as `products_amx` takes them, and their sums and sums of squares."""
        from fingerprint import _patch_kernels

        steps = -(-(self.search.size**2) // 64)
        out = []
        for (y, x), members in zip(self.sites, self.present, strict=True):
            patches = _aligned((-(-len(members) // 16), 16 * steps, 16, 4), np.int8)
            moments = np.zeros((2, len(members)))
            _patch_kernels.pack(self.pixels, members, y, x, self.search.size, patches, moments)
            out.append((patches, moments))
        return out

    def nearest(self, names: tuple[str, ...], part: Slices) -> NearestPatches:
        """Return the best matches in one block of synthetic images, possibly none."""
        in_order = sorted(range(len(part)), key=lambda i: images.natural_key(part.names[i]))
        best, which, where = self.best(part.pixels[in_order])
        found = which >= 0
        if self.search.measure == "ncc":
            distances = np.where(found, 1 - np.minimum(best, 1.0), np.inf)
        else:
            distances = np.sqrt(np.where(found, np.abs(best), np.inf) / self.search.size**2)
        offsets = self.search.offsets
        shape = self.informative.shape
        fakes, indices = _referenced([part.names[i] for i in in_order], which.reshape(shape))
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


# --- Evidence that one synthetic image copies parts of one real image -------------------------------------------------

_FINEST = 64  # boxes along the shorter side of an image, at least, where it has as many pixels
_FLOOR = np.float32(2.0**-13)  # added to 1 - correlation: what rounding to 8 bits leaves of a perfect match
_CONTRAST = Fraction(1, 255)  # least standard deviation of an informative patch, in parts of the range of its image
_YARDSTICK, _YARDSTICK_GROUPED = 11, 3  # which best match among other real images counts, see `prepare_real`
_OCTAVE = 2.0**-15  # unit of the sums
_RIVALRY = 2  # see `summarise_patches`
_NOTHING = -(2**62)  # evidence of no image: below any, and can be negated
_AT_ONCE = 64  # synthetic images whose windows stay in the second-level cache
_TILE_REGISTERS = np.zeros(64, np.uint8)  # palette 1; eight registers of 16 rows of 64 bytes
_TILE_REGISTERS[0] = 1
_TILE_REGISTERS[16:32:2] = 64
_TILE_REGISTERS[48:56] = 16


@dataclass(frozen=True)
class Layout:
    """How images are reduced and cut for the patch evidence.

    Parameters
    ----------
    height, width : int
        Of the images, in pixels.
    box : int
        Side of the squares of pixels that are averaged, so that about 64 to 127 lie along the shorter side.
    step : int
        Pixels from one window that is searched to the next, half a box.
    """

    height: int
    width: int
    box: int
    step: int

    @classmethod
    def of(cls, height: int, width: int) -> Layout:
        """Return the layout for images of this size."""
        box = 1
        while min(height, width) // (2 * box) >= _FINEST:
            box *= 2
        return cls(height, width, box, max(1, box // 2))

    @property
    def spread(self) -> int:
        """Return the steps to a box."""
        return self.box // self.step

    @property
    def radius(self) -> int:
        """Return the farthest shift that is searched, in steps: two boxes."""
        return 2 * self.spread

    @property
    def size(self) -> int:
        """Return the side of a patch in pixels: eight boxes."""
        return 8 * self.box

    @property
    def rows(self) -> Array:
        """Return the upper edges of the patches in pixels, int64."""
        return self._edges(self.height)

    @property
    def columns(self) -> Array:
        """Return the left edges of the patches in pixels, int64."""
        return self._edges(self.width)

    def _edges(self, length: int) -> Array:
        stride = 4 * self.box
        rest = (length - self.size) % stride
        return np.arange(rest // 2 // self.step * self.step, length - self.size + 1, stride)

    @property
    def sites(self) -> Array:
        """Return (n_sites, 2) int64: the patches, row by row, in steps."""
        rows, columns = np.meshgrid(self.rows, self.columns, indexing="ij")
        return np.stack([rows.ravel(), columns.ravel()], axis=1) // self.step

    @property
    def opposite(self) -> Array:
        """Return (n_sites,) int64: the site at which a patch lies when the sites are turned left to right."""
        numbers = np.arange(len(self.rows) * len(self.columns)).reshape(len(self.rows), len(self.columns))
        return numbers[:, ::-1].ravel()

    @property
    def offsets(self) -> Array:
        """Return (n, 2) int64: the shifts that are searched, row by row, in pixels."""
        steps = np.arange(-self.radius, self.radius + 1) * self.step
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def grid(self) -> tuple[int, int]:
        """Return how many boxes lie at every step, down and across."""
        return tuple(length // self.step - self.spread + 1 for length in (self.height, self.width))  # type: ignore[return-value]


@dataclass(frozen=True)
class PatchReals:
    """The patches of real images, prepared once for the comparison with any number of synthetic images.

    Parameters
    ----------
    layout : Layout
        How the images were cut.
    count : int
        Number of real images, n.
    mirror : bool
        Whether synthetic images are also searched turned left to right.
    starts : ndarray
        (n_sites + 1,) int64: which groups of 16 columns belong to a site.
    patterns : ndarray
        (n_groups, 16, 16, 4) int8: informative patches about their mean, four pixels of 16 images at a time.
    members : ndarray
        (16 * n_groups,) int64: image of each column; -1 = none.
    norms : ndarray
        (16 * n_groups,) float32: 8 / norm of the pattern.
    yardsticks : ndarray
        (16 * n_groups,) int32: 1 - correlation to the yardstick, plus the floor, as the bits of a float32.
    """

    layout: Layout
    count: int
    mirror: bool
    starts: Array
    patterns: Array
    members: Array
    norms: Array
    yardsticks: Array

    @property
    def informative(self) -> Array:
        """Return (n,) int64: how many patches of each image are informative."""
        return np.bincount(self.members[self.members >= 0], minlength=self.count)[: self.count]


@dataclass(frozen=True)
class PatchSummary:
    """The strongest patch evidence for every real image, from the synthetic images seen so far.

    Summaries of disjoint parts of a collection merge into the summary of the whole, exactly and in any order.

    Parameters
    ----------
    n_fake : int
        Number of synthetic images seen.
    fakes : tuple of str
        Names of the synthetic images that `indices` refers to, in natural order.
    evidence : ndarray
        (n_real, k) int64, descending: see `summarise_patches`, in units of 2**-15 octaves; -(2**62) where fewer
        were seen. Of equally strong ones the lower name comes first.
    indices : ndarray
        (n_real, k) int64: positions in `fakes`; -1 where fewer were seen.
    mirrored : ndarray
        (n_real, k) bool: True where the synthetic image matches better turned left to right.
    """

    n_fake: int
    fakes: tuple[str, ...]
    evidence: Array
    indices: Array
    mirrored: Array

    @property
    def k(self) -> int:
        """Return how many synthetic images are kept for each real one."""
        return int(self.evidence.shape[1])

    @property
    def gains(self) -> Array:
        """Return (n_real, k) float64: the evidence in octaves, without meaning where fewer than k were seen."""
        return np.asarray(self.evidence * _OCTAVE)

    @property
    def scores(self) -> Array:
        """Return (n_real,) float64: the strongest evidence in octaves; higher = more likely used."""
        return np.asarray(self.gains[:, 0])


@dataclass(frozen=True)
class PatchEvidence:
    """Where one synthetic image matches one real image.

    Parameters
    ----------
    rows, columns : ndarray
        (n_rows,) and (n_columns,) int64: upper and left edges of the patches of the real image, in pixels.
    size : int
        Side of a patch in pixels.
    gains : ndarray
        (n_rows, n_columns) float64: by how many octaves the patch matches better than other real images do; 0 = not
        better, or flat.
    offsets : ndarray
        (n_rows, n_columns, 2) int64: how many pixels further down and right the match lies, in the synthetic image as
        `mirrored` says.
    mirrored : bool
        Whether the synthetic image is to be turned left to right first.
    """

    rows: Array
    columns: Array
    size: int
    gains: Array
    offsets: Array
    mirrored: bool

    @property
    def total(self) -> float:
        """Return the sum of the gains in octaves."""
        return float(self.gains.sum())


def prepare_real(pixels: Array, *, groups: Array | None = None, mirror: bool = True, threads: int = 1) -> PatchReals:
    """Cut real images into patches and find how well each patch matches other real images.

    The images are reduced to boxes of pixels. A patch is 8 x 8 boxes, about an eighth of the image across; it is
    searched within two boxes of its place, half a box at a time, and compared by normalised correlation, which ignores
    brightness and contrast. A patch whose standard deviation is below 1 / 255 of the range of its image is flat and
    never counts.

    The yardstick of a patch is its third best match among the real images of other groups, so that one duplicate under
    another name does not silence it. Without groups it is the eleventh best among all others, as the ten before may be
    slices of the same patient. Of small collections at most a fifth is passed over.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16. Images of less than 8 x 8 have no patches.
    groups : ndarray, optional
        (n,) int: images of one group never serve as each other's yardstick.
    mirror : bool
        Also search synthetic images turned left to right.
    threads : int
        Threads to use.

    Returns
    -------
    PatchReals
        Can be pickled.
    """
    layout = Layout.of(*pixels.shape[1:])
    grids = np.stack([_grid(image, layout) for image in pixels])
    own = np.arange(len(pixels)) if groups is None else groups
    same = own[:, None] == own
    passed = (_YARDSTICK if groups is None else _YARDSTICK_GROUPED) - 1
    stretched = _Stretched.of(grids, layout)
    ranges = np.ptp(grids, axis=(1, 2)).astype(np.int64)
    least = 64**3 * ranges**2 * _CONTRAST**2  # Fractions, compared exactly

    def at(site: Array) -> tuple[Array, Array, Array]:
        cut = grids[:, site[0] :: layout.spread, site[1] :: layout.spread][:, :8, :8].reshape(-1, 64).astype(np.int64)
        deviations = 64 * cut - cut.sum(axis=1, keepdims=True)
        spread = (deviations**2).sum(axis=1)  # 64**3 times the variance
        members = np.flatnonzero((spread > 0) & (spread >= least))
        patterns = _patterns(deviations[members])
        best = stretched.best(site, _pack(patterns), buffers=None)[:, : len(members)] * _norms(patterns)
        rests = np.maximum(np.float32(1) - best, np.float32(0)) + _FLOOR
        rests[same[:, members]] = np.inf
        others = (~same[:, members]).sum(axis=0)
        ranks = np.minimum(passed, others // 5)
        chosen = np.sort(rests, axis=0)[ranks, np.arange(len(members))]
        return members, patterns, np.where(others > 0, chosen, np.float32(1) + _FLOOR)

    found = list(_threads.map_ordered(at, layout.sites, threads=threads))
    nothing = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int32)
    groups_of_16, columns = [_pack(np.zeros((0, 64), np.int8))], [nothing]  # before the first site
    for number, opposite in enumerate(layout.opposite):
        members, patterns, yardsticks = found[number]
        if mirror:
            turned = found[opposite]
            members = np.concatenate([members, turned[0] + len(pixels)])
            patterns = np.concatenate([patterns, turned[1].reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)])
            yardsticks = np.concatenate([yardsticks, turned[2]])
        groups_of_16.append(_pack(patterns))
        empty = np.zeros(16 * len(groups_of_16[-1]) - len(members), np.float32)
        columns.append(
            (
                np.concatenate([members, np.full(len(empty), -1)]),
                np.concatenate([_norms(patterns), empty]),
                np.concatenate([yardsticks, empty]).view(np.int32),
            )
        )
    starts = np.cumsum([len(part) for part in groups_of_16])
    members, norms, bits = (np.concatenate(part) for part in zip(*columns, strict=True))
    return PatchReals(layout, len(pixels), mirror, starts, np.concatenate(groups_of_16), members, norms, bits)


def summarise_patches(real: PatchReals, pixels: Array, names: Sequence[str], *, k: int = 1) -> PatchSummary:
    """Compare prepared real images with one block of synthetic ones.

    The sum of a pair is by how many octaves (halvings of 1 - correlation) the patches of the real image match in the
    synthetic one better than in other real images, over all patches that do: the log of how much likelier they are as a
    copy. All are sought in one and the same synthetic image, as it is or turned.

    What another real image explains better counts against: a copy of a slice matches its neighbours of the same
    patient too. The evidence is the sum, less twice what it lacks to that of the real image which the synthetic one
    matches best.

    Parameters
    ----------
    real : PatchReals
        The real images.
    pixels : ndarray
        (m, h, w) synthetic images of the same size, possibly none.
    names : sequence of str
        Their m names.
    k : int
        How many synthetic images to keep for each real one.

    Returns
    -------
    PatchSummary
        Of this block alone. Of one pair it depends on that synthetic image and the real ones only.
    """
    in_order = sorted(range(len(names)), key=lambda i: images.natural_key(names[i]))
    total = np.zeros((len(names), real.count), np.int64)
    mirrored = np.zeros(total.shape, bool)
    for first in range(0, len(names), _AT_ONCE):
        part = pixels[in_order[first : first + _AT_ONCE]]
        sums, turned = _sums(real, part)
        mirrored[first : first + _AT_ONCE] = turned > sums
        total[first : first + _AT_ONCE] = np.maximum(sums, turned)
    if real.count > 1 and len(names):
        rivals = np.sort(total, axis=1)[:, -2:]
        best_other = np.where(total == rivals[:, 1:], rivals[:, :1], rivals[:, 1:])
        total -= _RIVALRY * np.maximum(best_other - total, 0)
    evidence = np.full((real.count, k), _NOTHING)
    indices = np.full((real.count, k), -1)
    turned_best = np.zeros((real.count, k), bool)
    kept = min(k, len(names))
    order = np.argsort(-total, axis=0, kind="stable")[:kept].T
    evidence[:, :kept] = np.take_along_axis(total.T, order, axis=1)
    indices[:, :kept] = order
    turned_best[:, :kept] = np.take_along_axis(mirrored.T, order, axis=1)
    fakes, indices = _referenced([names[i] for i in in_order], indices)
    return PatchSummary(len(names), fakes, evidence, indices, turned_best)


def merge(summaries: Sequence[PatchSummary]) -> PatchSummary:
    """Merge the summaries of disjoint parts of a collection.

    The result is the same, bit for bit, however the collection was cut and in whatever order its parts are merged.

    Parameters
    ----------
    summaries : sequence of PatchSummary
        At least one; about the same real images and k.

    Returns
    -------
    PatchSummary
        Of all synthetic images together.
    """
    names = sorted({name for part in summaries for name in part.fakes}, key=images.natural_key)
    position = {name: i for i, name in enumerate(names)}
    evidence = np.concatenate([part.evidence for part in summaries], axis=1)
    indices = np.concatenate(
        # the appended -1 is what an index of -1 (fewer than k seen) picks
        [np.array([*(position[name] for name in part.fakes), -1])[part.indices] for part in summaries],
        axis=1,
    )
    mirrored = np.concatenate([part.mirrored for part in summaries], axis=1)
    order = np.lexsort((indices, -evidence), axis=1)[:, : summaries[0].k]
    fakes, indices = _referenced(names, np.take_along_axis(indices, order, axis=1))
    return PatchSummary(
        sum(part.n_fake for part in summaries),
        fakes,
        np.take_along_axis(evidence, order, axis=1),
        indices,
        np.take_along_axis(mirrored, order, axis=1),
    )


def explain(real: PatchReals, index: int, fake: Array) -> PatchEvidence:
    """Show where one synthetic image matches one real image.

    Parameters
    ----------
    real : PatchReals
        The real images.
    index : int
        Which of them.
    fake : ndarray
        (h, w) synthetic image.

    Returns
    -------
    PatchEvidence
        As the image is or turned left to right, whichever matches better. The gains are those that
        `summarise_patches` adds up.
    """
    from fingerprint import _patch_kernels

    layout = real.layout
    stretched = _Stretched.of(_grid(fake, layout)[None], layout)
    buffers = stretched.buffers()
    gains, where = np.zeros((2, 2, len(layout.sites)), np.int64)
    where += len(layout.offsets) // 2
    for number, site in enumerate(layout.sites):
        lanes = np.arange(16 * real.starts[number], 16 * real.starts[number + 1])
        lanes = lanes[(real.members[lanes] >= 0) & (real.members[lanes] % real.count == index)]
        if not lanes.size:
            continue
        windows, scales = stretched.windows(site, buffers)
        for lane in lanes:
            pattern = real.patterns[lane // 16, :, lane % 16].reshape(64).astype(np.int64)
            products = (windows[0].astype(np.int64) @ pattern).astype(np.float32) * scales[0]
            best = np.maximum(products.max(keepdims=True), np.float32(0))[None]
            one, total = slice(lane, lane + 1), np.zeros((1, 1), np.int32)
            first = np.zeros(1, np.int64)
            _patch_kernels.add_gains(best, first, real.norms[one], real.yardsticks[one], _FLOOR, total)
            turn = int(real.members[lane] >= real.count)
            at = layout.opposite[number] if turn else number
            gains[turn, at] = total[0, 0]
            where[turn, at] = products.argmax() if total[0, 0] else where[turn, at]
    turn = int(gains[1].sum() > gains[0].sum())
    shifts = layout.offsets[where[turn]]
    if turn:  # the grid of patches is turned about its own middle, which may lie aside of that of the image
        aside = layout.width - layout.size - layout.columns[0] - layout.columns[-1]
        shifts = np.stack([shifts[:, 0], aside - shifts[:, 1]], axis=1)
    shape = len(layout.rows), len(layout.columns)
    return PatchEvidence(
        rows=layout.rows,
        columns=layout.columns,
        size=layout.size,
        gains=gains[turn].reshape(shape) * _OCTAVE,
        offsets=shifts.reshape(*shape, 2),
        mirrored=bool(turn),
    )


@dataclass(frozen=True)
class _Stretched:
    """Images reduced to 8-bit boxes, sorted by phase, and the scales of their windows."""

    layout: Layout
    images: Array
    scales: Array

    @classmethod
    def of(cls, grids: Array, layout: Layout) -> _Stretched:
        from fingerprint import _patch_kernels

        s = layout.spread
        height, width = (-(-length // s) for length in layout.grid)
        boxes = np.zeros((len(grids), s, s, height, width), np.uint8)
        scales = np.zeros((len(grids), s, s, max(0, height - 7), max(0, width - 7)), np.float32)
        for grid, image, scale in zip(grids, boxes, scales, strict=True):
            low = grid.min()
            factor = np.float32(255 / max(int(grid.max()) - int(low), 1))
            _patch_kernels.phases(grid, low, factor, image, scale)
        return cls(layout, boxes, scales)

    def windows(self, site: Array, buffers: tuple[Array, Array]) -> tuple[Array, Array]:
        """Fill the windows that are searched around a site, (m, n, 64) uint8, and their scales (m, n) float32."""
        from fingerprint import _kernels, _patch_kernels

        name = next(name for name in _patch_kernels.GATHER if _kernels.runs(name))
        _patch_kernels.GATHER[name](self.images, self.scales, *site, self.layout.radius, *buffers)
        return buffers

    def buffers(self) -> tuple[Array, Array]:
        """Return space for the windows, a multiple of 48 as `best_amx` takes them; a scale of 0 never wins."""
        count = -(-len(self.layout.offsets) // 48) * 48
        return _aligned((len(self.images), count, 64), np.uint8), _aligned((len(self.images), count), np.float32)

    def best(self, site: Array, patterns: Array, buffers: tuple[Array, Array] | None) -> Array:
        """Return the largest scaled product of each image with each pattern, (m, 16 * n_groups) float32."""
        from fingerprint import _kernels, _patch_kernels

        name = next(name for name in _patch_kernels.BEST if _kernels.runs(name))
        windows, scales = self.windows(site, buffers or self.buffers())
        best = _aligned((len(windows), 16 * len(patterns)), np.float32)
        work = _aligned((48, 16), np.int32)
        _patch_kernels.BEST[name](windows, scales, patterns, _TILE_REGISTERS, work, best)
        return best


def _sums(real: PatchReals, pixels: Array) -> tuple[Array, Array]:
    """Return the sums of the gains in images as they are and turned, (m, n) int32 each."""
    from fingerprint import _patch_kernels

    layout = real.layout
    stretched = _Stretched.of(np.stack([_grid(image, layout) for image in pixels]), layout)
    buffers = stretched.buffers()
    total = np.zeros((len(pixels), 2 * real.count), np.int32)
    for site, start, stop in zip(layout.sites, real.starts[:-1], real.starts[1:], strict=True):
        if start == stop:
            continue
        lanes = slice(16 * start, 16 * stop)
        best = stretched.best(site, real.patterns[start:stop], buffers)
        _patch_kernels.add_gains(best, real.members[lanes], real.norms[lanes], real.yardsticks[lanes], _FLOOR, total)
    return total[:, : real.count], total[:, real.count :]


def _grid(image: Array, layout: Layout) -> Array:
    """Return the sums of the boxes at every step, int32."""
    from fingerprint import _patch_kernels

    out = np.empty(layout.grid, np.int32)
    _patch_kernels.box_grid(image, layout.step, layout.spread, out)
    return out


def _patterns(deviations: Array) -> Array:
    """Stretch patches about their mean, (n, 64) int64, to int8 numbers that sum up to exactly 0.

    The products with a window then need no correction for its mean.
    """
    largest = np.abs(deviations).max(axis=1, keepdims=True, initial=1)
    rounded = (2 * 127 * deviations + largest) // (2 * largest)
    # what rounding added is taken from the numbers that it raised most
    excess = rounded.sum(axis=1, keepdims=True)
    raised = (rounded * largest - 127 * deviations) * np.where(excess > 0, -1, 1)
    order = np.argsort(np.argsort(raised, axis=1, kind="stable"), axis=1)
    return np.asarray(rounded - np.sign(excess) * (order < np.abs(excess)), np.int8)


def _pack(patterns: Array) -> Array:
    """Return patterns (n, 64) as (groups, 16, 16, 4): four pixels of 16 images at a time, the last ones zeros."""
    padded = np.zeros((-(-len(patterns) // 16) * 16, 64), np.int8)
    padded[: len(patterns)] = patterns
    packed = _aligned((len(padded) // 16, 16, 16, 4), np.int8)
    packed[:] = padded.reshape(-1, 16, 16, 4).transpose(0, 2, 1, 3)
    return packed


def _norms(patterns: Array) -> Array:
    return np.asarray(8 / np.sqrt((patterns.astype(np.float64) ** 2).sum(axis=1)), np.float32)


def _aligned(shape: Sequence[int], dtype: Any) -> Array:
    """Return zeros that begin on a cache line, so that no vector spans two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    result: Array = memory[start : start + size].view(dtype).reshape(shape)
    return result


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


def _referenced(names: Sequence[str], indices: Array) -> tuple[tuple[str, ...], Array]:
    """Return the names that are referred to, and the indices into these alone."""
    used = np.unique(indices[indices >= 0])
    position = np.full(len(names) + 1, -1, dtype=np.int64)
    position[used] = np.arange(len(used))
    return tuple(names[i] for i in used), position[indices]

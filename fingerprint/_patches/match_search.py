"""The exact search behind matches: where patches lie in real images, and where in synthetic ones each matches best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base import display
from fingerprint._base.public import public
from fingerprint._kernels.memory import Workspace, aligned

if TYPE_CHECKING:
    from fingerprint._base.types import Array

_AT_ONCE = 16  # synthetic images whose parts around a place stay in the second-level cache


@public
@dataclass(frozen=True)
class PatchSearch:
    """Where the patches of an image lie, and how they are searched for in another.

    Parameters
    ----------
    patch_size, stride, radius : int
        Side of a patch, step from one patch to the next, and farthest shift in either direction, in pixels.
    measure : str
        ``"rmse"`` or ``"ncc"``.
    flat : float
        Standard deviation, in grey levels, below which a patch is flat.
    mirror : bool
        Search mirrored synthetic images too.
    """

    patch_size: int
    stride: int
    radius: int
    measure: str
    flat: float
    mirror: bool = False

    def _repr_html_(self) -> str:
        return display.facts("PatchSearch", vars(self))

    @property
    def offsets(self) -> Array:
        """Return the (m, 2) int64 shifts in the order in which they are tried, the smallest first."""
        steps = range(-self.radius, self.radius + 1)
        return np.array(sorted(((dy, dx) for dy in steps for dx in steps), key=lambda o: (o[0] ** 2 + o[1] ** 2, o)))

    def grid(self, height: int, width: int) -> tuple[Array, Array]:
        """Return the upper edges and the left edges of the patches of an image, (n_rows,) and (n_columns,) int64."""
        rows, columns = (np.arange(0, length - self.patch_size + 1, self.stride) for length in (height, width))
        return rows, columns


@dataclass(frozen=True)
class MatchPatches:
    """The patches of real images, by site: at each, the images whose patch there is not flat.

    Parameters
    ----------
    search : PatchSearch
        Where the patches lie, and how they are searched for.
    pixels : ndarray
        (n, h, w) real images.
    rows, columns : ndarray
        (n_rows,) and (n_columns,) int64: upper and left edges of the patches. A site is one of each, row by row.
    informative : ndarray
        (n, n_rows, n_columns) bool: False where a patch is flat.
    members : ndarray
        (n_sites, n) int64: the images with an informative patch at the site, ascending, then -1.
    workspace : Workspace
        Arrays that the threads use again and again.
    """

    search: PatchSearch
    pixels: Array
    rows: Array
    columns: Array
    informative: Array
    members: Array
    workspace: Workspace = field(default_factory=Workspace, repr=False)

    @classmethod
    def of(cls, pixels: Array, search: PatchSearch) -> MatchPatches:
        """Cut real images, (n, h, w), and find out which of their patches are flat."""
        from fingerprint._kernels import patch_products

        rows, columns = search.grid(*pixels.shape[1:])
        area = search.patch_size**2
        least = math.ceil((Fraction(search.flat) * area) ** 2)
        informative = np.empty((len(pixels), len(rows), len(columns)), bool)
        for i, image in enumerate(pixels):
            box = np.empty(_box_shape(pixels, search), np.int64)
            patch_products.box_sums(image, search.patch_size, _middle(pixels), box)
            sums, squares = box[:, :: search.stride, :: search.stride]
            informative[i] = area * squares - sums**2 >= max(least, 1)
        sites = informative.reshape(len(pixels), -1).T
        # a stable sort of the absent behind the present keeps both in order
        order = np.argsort(~sites, axis=1, kind="stable")
        members = np.where(np.take_along_axis(sites, order, axis=1), order, -1)
        return cls(search, pixels, rows, columns, informative, members)

    def best(self, fakes: Array, limits: Array) -> tuple[Array, Array, Array]:
        """Search synthetic images (m, h, w) for every patch.

        Parameters
        ----------
        fakes : ndarray
            (m, h, w) synthetic images.
        limits : ndarray
            (n, n_sites) float64: matches with a lower value may be left out.

        Returns
        -------
        best : ndarray
            (n, n_sites) float64: highest value, which is minus the sum of squared differences, or the normalised
            correlation; -inf where there is none.
        which : ndarray
            (n, n_sites) int64: the synthetic image, of equally good ones the first; -1 where there is none.
        where : ndarray
            (n, n_sites) int64: number of the offset, see `PatchSearch.offsets`; the mirrored ones follow all others.
        """
        from fingerprint._kernels import compiler, patch_products

        sides = (fakes, fakes[:, :, ::-1]) if self.search.mirror else (fakes,)
        stack = np.stack(sides, axis=1)
        best = np.full(self.shape, -np.inf)
        which, where = (np.full(self.shape, -1, np.int64) for _ in range(2))
        quick = compiler.compiles() and fakes.dtype == np.uint8
        if quick and self.search.measure == "rmse":  # pragma: no cover  (not without a compiler)
            self._compare(stack, limits, best, which, where)
            return best, which, where
        boxes = np.empty((*stack.shape[:2], *_box_shape(fakes, self.search)), np.int64)
        middle = _middle(fakes)
        for box, image in zip(boxes.reshape(-1, *boxes.shape[2:]), stack.reshape(-1, *fakes.shape[1:]), strict=True):
            patch_products.box_sums(image, self.search.patch_size, middle, box)
        if quick:  # pragma: no cover  (not without a compiler)
            self._multiply(stack, boxes, best, which, where)
            return best, which, where
        exact = np.float32 if fakes.dtype == np.uint8 else np.float64
        padded = -(-(self.search.patch_size**2) // 4) * 4
        patch_products.search_all(
            self.pixels,
            self.members,
            self.sites,
            self.search.patch_size,
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
        self, stack: Array, boxes: Array, best: Array, which: Array, where: Array
    ) -> None:  # pragma: no cover  (not without a compiler)
        """Search 8-bit images as `search_all` does, by products of 16 patches with windows."""
        from fingerprint._kernels import patch_products

        search, offsets = self.search, self.search.offsets
        images = stack.reshape(-1, *stack.shape[2:])
        boxes = boxes.reshape(-1, *boxes.shape[2:])
        rows = len(images) * (-(-len(offsets) // 16) * 16)
        windows, sums = aligned((rows, -(-(search.patch_size**2) // 64) * 64), np.uint8), np.zeros((2, rows), np.int32)
        found = aligned((-(-len(self.pixels) // 16), rows, 16), np.int32)
        area, correlate, sides = float(search.patch_size**2), search.measure == "ncc", stack.shape[1]
        for site, ((y, x), members, (patches, moments)) in enumerate(
            zip(self.sites, self.present, self.packed, strict=True)
        ):
            if not len(members):
                continue
            here = found[: len(patches)]
            patch_products.cut(y, x, search.patch_size, images, boxes, offsets, windows, sums)
            patch_products.products(windows, patches, here)
            patch_products.choose(
                here, members, moments, sums, sides, area, correlate, site, best, which, where, len(offsets)
            )

    def _compare(
        self, stack: Array, limits: Array, best: Array, which: Array, where: Array
    ) -> None:  # pragma: no cover  (not without a compiler)
        """Search 8-bit images for the least squared differences as `search_all` does, patch by patch.

        Matches with a lower value than `limits` (n, n_sites) are left out.
        """
        from fingerprint._kernels import nearest_patches, patch_products

        size, radius, offsets, sides = self.search.patch_size, self.search.radius, self.search.offsets, stack.shape[1]
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
                patch_products.box_sums(image, size, _middle(self.pixels), box)
                nearest_patches.lay_out(image, box[1], radius, words, sums)
                if self.sketched:
                    nearest_patches.sketch(image, box[1], size // 4, radius, *sketches)
            for site, ((y, x), members, patches) in places:
                if len(members):
                    place, found = (radius, size, ranks, y, x), (best, which, where)
                    nearest_patches.nearest_vectors(
                        maps, place, patches, members, first, sides, site, space, limits, found
                    )

    @property
    def sketched(self) -> bool:  # pragma: no cover  (not without a compiler)
        """Return whether sums of 4 x 4 pixels of a patch bound its distances."""
        return self.search.patch_size % 4 == 0 and self.search.patch_size > 4

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
        """Return for each site the patches as `products` takes them, and their sums and sums of squares."""
        from fingerprint._kernels import patch_products

        steps = -(-(self.search.patch_size**2) // 64)
        out = []
        for (y, x), members in zip(self.sites, self.present, strict=True):
            patches = aligned((-(-len(members) // 16), 16 * steps, 16, 4), np.int8)
            moments = np.zeros((2, len(members)))
            patch_products.pack(self.pixels, members, y, x, self.search.patch_size, patches, moments)
            out.append((patches, moments))
        return out

    @cached_property
    def laid_out(self) -> list[tuple[Array, Array, Array]]:  # pragma: no cover  (not without a compiler)
        """Return for each site the patches as `nearest_vectors` takes them."""
        from fingerprint._kernels import nearest_patches

        size = self.search.patch_size
        out = []
        for (y, x), members in zip(self.sites, self.present, strict=True):
            patches = np.zeros((len(members), size, 4 * -(-size // 4)), np.int8)
            rests, sketches = np.empty(len(members)), np.empty((len(members) * self.sketched, 10), np.int32)
            nearest_patches.lay_patches(self.pixels, members, y, x, patches, rests, sketches)
            out.append((patches.reshape(len(members), size * patches.shape[2]), rests, sketches))
        return out


def _middle(pixels: Array) -> int:
    """Return the middle of the range of pixels, about which sums of products are smallest."""
    return (int(np.iinfo(pixels.dtype).max) + 1) // 2


def _box_shape(pixels: Array, search: PatchSearch) -> tuple[int, int, int]:
    return (2, pixels.shape[1] - search.patch_size + 1, pixels.shape[2] - search.patch_size + 1)

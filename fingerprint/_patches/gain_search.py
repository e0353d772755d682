"""The search behind gains: images reduced to cells, real ones cut into patches, others laid out as windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._kernels.layout import shifts_of
from fingerprint._kernels.memory import Workspace, aligned, unwritable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array

_FINEST = 64  # cells along the shorter side of an image, at least, where it has as many pixels


@dataclass(frozen=True)
class PatchGrid:
    """How images of one size are reduced to cells, where their patches lie, and which shifts are searched.

    Parameters
    ----------
    height, width : int
        Of the images, in pixels.
    cell : int
        Side of a cell in pixels: the power of two of which 64 to 127 lie along the shorter side, or 1 if fewer do.
    step : int
        Pixels from one window to the next: half a cell, at least 1.
    """

    height: int
    width: int
    cell: int
    step: int

    @classmethod
    def of(cls, height: int, width: int) -> PatchGrid:
        """Return the grid for images of this size."""
        cell = 1
        while min(height, width) // (2 * cell) >= _FINEST:
            cell *= 2
        return cls(height, width, cell, max(1, cell // 2))

    @property
    def spread(self) -> int:
        """Return the steps in a cell."""
        return self.cell // self.step

    @property
    def radius(self) -> int:
        """Return the farthest shift that is searched, in steps: two cells."""
        return 2 * self.spread

    @property
    def size(self) -> int:
        """Return the side of a patch in pixels: eight cells."""
        return 8 * self.cell

    @cached_property
    def rows(self) -> Array:
        """Return the upper edges of the patches in pixels, int64."""
        return self._edges(self.height)

    @cached_property
    def columns(self) -> Array:
        """Return the left edges of the patches in pixels, int64."""
        return self._edges(self.width)

    def _edges(self, length: int) -> Array:
        stride = 4 * self.cell
        rest = (length - self.size) % stride
        return np.arange(rest // 2 // self.step * self.step, length - self.size + 1, stride)

    @property
    def corner(self) -> tuple[int, int]:
        """Return where the first patch lies, in steps down and right."""
        top, left = (int(edges[0]) // self.step if len(edges) else 0 for edges in (self.rows, self.columns))
        return top, left

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Return how many patches lie in a column and in a row."""
        return len(self.rows), len(self.columns)

    @cached_property
    def deciding(self) -> Array:
        """Return (n, 2) int64: every fourth patch down and across; these decide whether an image is mirrored."""
        rows, columns = (range((count - 1) % 4 // 2, count, 4) for count in self.shape)
        return np.array([(r, c) for r in rows for c in columns], np.int64).reshape(-1, 2)

    @property
    def offsets(self) -> Array:
        """Return (n, 2) int64: the shifts that are searched, row by row, in pixels."""
        return np.array(shifts_of(self.radius, every=True), np.int64) * self.step

    @property
    def first(self) -> Array:
        """Return (n,) bool: which of the shifts are searched first; all, where no half cells are."""
        cells, rest = np.divmod(self.offsets, self.cell)
        white = (self.spread == 1) | (cells.sum(axis=1) % 2 == 0)
        return np.asarray((rest == 0).all(axis=1) & white)

    @property
    def second(self) -> Array:
        """Return (n,) bool: which of the shifts are searched then, every other half cell."""
        return np.asarray(self.offsets.sum(axis=1) // self.step % 2 == 0)

    @property
    def cell_shape(self) -> tuple[int, int]:
        """Return how many cells there are, one at every step, down and across."""
        return tuple(length // self.step - self.spread + 1 for length in (self.height, self.width))  # type: ignore[return-value]


def cells_of(images: Array, grid: PatchGrid) -> Array:
    """Return the cells of images (m, h, w), one at every step, each image stretched to the range of uint8."""
    from fingerprint._kernels import patch_windows as kernels

    out = np.empty((len(images), *grid.cell_shape), np.uint8)
    kernels.reduce(unwritable(images), grid.step, grid.spread, out)
    return out


@dataclass(frozen=True)
class GainPatches:
    """The patches of real images: 8 x 8 cells, kept as quarters of 4 x 4, which neighbouring patches share.

    The first axis has the patches as they are and, after `with_mirrored`, mirrored ones.

    Parameters
    ----------
    quarters : ndarray
        (1 or 2, n, rows + 1, columns + 1, 16) int8: the cells less 128.
    means : ndarray
        (1 or 2, n, rows, columns) float32: mean of each patch.
    norms : ndarray
        (1 or 2, n, rows, columns) float32: 1 / (8 * norm of the patch about its mean), 0 where it is flat.
    """

    quarters: Array
    means: Array
    norms: Array

    @classmethod
    def of(cls, images: Array, grid: PatchGrid, contrast: int) -> GainPatches:
        """Cut images of cells, as they are; a patch whose standard deviation is below `contrast` is flat."""
        (rows, columns), step = grid.shape, grid.spread
        quarters = np.zeros((len(images), rows + 1, columns + 1, 4, 4), np.int32)
        if rows and columns:
            top, left = grid.corner
            cut = images[:, top::step, left::step][:, : 4 * (rows + 1), : 4 * (columns + 1)]
            quarters[:] = cut.reshape(len(images), rows + 1, 4, columns + 1, 4).swapaxes(2, 3)
            quarters -= 128
        sums, squares = (_sums_of_four(values.sum(axis=(3, 4))) for values in (quarters, quarters**2))
        spread = 64 * squares - sums**2  # 64**2 times the variance
        norms = np.zeros(spread.shape, np.float32)
        informative = spread >= (64 * contrast) ** 2
        norms[informative] = 1 / np.sqrt(spread[informative])
        numbers = quarters.astype(np.int8).reshape(1, *quarters.shape[:3], 16)
        return cls(numbers, (sums / 64).astype(np.float32)[None], norms[None])

    @classmethod
    def joined(cls, parts: Sequence[GainPatches]) -> GainPatches:
        """Return the patches of all images of some parts, at least one."""
        sides = zip(*((part.quarters, part.means, part.norms) for part in parts), strict=True)
        return cls(*(np.concatenate(side, axis=1) for side in sides))

    def some(self, images: slice) -> GainPatches:
        """Return the patches of some of the images."""
        return GainPatches(self.quarters[:, images], self.means[:, images], self.norms[:, images])

    @property
    def with_mirrored(self) -> GainPatches:
        """Return also, as a second entry of the first axis, the mirrored patches at the same places."""
        shape = self.quarters.shape
        mirrored = self.quarters.reshape(*shape[:4], 4, 4)[:, :, :, ::-1, :, ::-1].reshape(shape)
        sides = (self.quarters, mirrored), (self.means, self.means[..., ::-1]), (self.norms, self.norms[..., ::-1])
        return GainPatches(*(np.concatenate(side) for side in sides))

    @cached_property
    def rows(self) -> tuple[Array, ...]:
        """Return quarters, (1 or 2 times n, rows + 1, columns + 1, 4) words, means and norms, image by image."""
        words = self.quarters.view(np.uint32)
        return tuple(image_by_image(side) for side in (words, self.means, self.norms))

    @cached_property
    def packed(self) -> tuple[Array, ...]:
        """Return quarters, (1 or 2, groups, rows + 1, columns + 1, 4, 16) words, means and norms, 16 images a group."""
        words = self.quarters.view(np.uint32)
        return tuple(in_groups(side) for side in (words, self.means, self.norms))

    def at(self, row: int, column: int, *, mirrored: int) -> tuple[Array, Array]:
        """Return the patches at a place, as they are (0) or mirrored (1), (n, 64) int8, and their means (n,)."""
        quarters = self.quarters[mirrored, :, row : row + 2, column : column + 2].reshape(-1, 2, 2, 4, 4)
        return quarters.swapaxes(2, 3).reshape(-1, 64), self.means[mirrored, :, row, column]


def image_by_image(values: Array) -> Array:
    """Return (1 or 2, n, ...) as (1 or 2 times n, ...), the mirrored ones last."""
    return np.ascontiguousarray(values).reshape(-1, *values.shape[2:])


def in_groups(values: Array) -> Array:
    """Return (1 or 2, n, ...) as (1 or 2, groups, ..., 16), 16 images a group, the last filled up with zeros."""
    groups = -(-values.shape[1] // 16)
    out = aligned((len(values), groups, *values.shape[2:], 16), values.dtype)
    for group in range(groups):
        part = values[:, 16 * group : 16 * group + 16]
        out[:, group, ..., : part.shape[1]] = np.moveaxis(part, 1, -1)
    return out


def _sums_of_four(quarters: Array) -> Array:
    """Return the sums over the four quarters of each patch of what each quarter has."""
    across = quarters[:, :, :-1] + quarters[:, :, 1:]
    return np.asarray(across[:, :-1] + across[:, 1:])


@dataclass(frozen=True)
class GainWindows:
    """The windows of images in which patches are searched for, as the kernels take them.

    Parameters
    ----------
    top, left : int
        Where the first patch lies, in steps.
    spread : int
        Steps from one number of a window to the next.
    radius : int
        The farthest shift, in steps.
    words, sums, scales : ndarray
        (m, h, w) of all windows, see `_kernels.patch_windows.lay_out`.
    """

    top: int
    left: int
    spread: int
    radius: int
    words: Array
    sums: Array
    scales: Array

    @classmethod
    def of(cls, images: Array, grid: PatchGrid, room: Workspace | None = None) -> GainWindows:
        """Lay out images of cells, in a work space if there is one."""
        top, left = grid.corner
        return cls._laid_out(images, top, left, grid.spread, grid.radius, room)

    @classmethod
    def of_whole_cells(cls, images: Array, grid: PatchGrid, room: Workspace | None = None) -> GainWindows:
        """Lay out images of cells with what lies whole cells aside of the patches, as if a cell were a step."""
        s, (top, left) = grid.spread, grid.corner
        whole = np.ascontiguousarray(images[:, top % s :: s, left % s :: s])
        return cls._laid_out(whole, top // s, left // s, 1, grid.radius // s, room)

    @classmethod
    def _laid_out(
        cls, images: Array, top: int, left: int, spread: int, radius: int, room: Workspace | None
    ) -> GainWindows:
        from fingerprint._kernels import patch_windows as kernels

        rows, columns = (max(0, length - 7 * spread) for length in images.shape[1:])
        shape = len(images), rows + 7 * spread + 2 * radius, columns + 4 * spread + 2 * radius
        kinds = {"words": np.uint32, "sums": np.float32, "scales": np.float32}
        words, sums, scales = (  # zeros, also in the work space, but for what is laid out: the same part of each shape
            np.zeros(shape, kind) if room is None else room.array(f"{name}, {spread}", shape, kind)
            for name, kind in kinds.items()
        )
        if rows and columns:
            kernels.lay_out(images, spread, radius, words, sums, scales)
        return cls(top, left, spread, radius, words, sums, scales)

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Return where a patch lies, in steps."""
        return self.top + 4 * self.spread * row, self.left + 4 * self.spread * column

    def at(self, row: int, column: int) -> tuple[Array, Array]:
        """Return the windows around a patch, (m, n, 64) uint8, and their scales, shift by shift, row by row."""
        (y, x), s = self.place(row, column), self.spread
        shifts = [(y + self.radius + dy, x + self.radius + dx) for dy, dx in shifts_of(self.radius, every=True)]
        found = [self.words[:, v : v + 8 * s : s, u : u + 8 * s : 4 * s].reshape(-1, 16) for v, u in shifts]
        windows = np.ascontiguousarray(np.stack(found, axis=1)).view(np.uint8)
        return windows, np.stack([self.scales[:, v, u] for v, u in shifts], axis=1)

    def best(self, patches: GainPatches, first: tuple[int, int], shape: tuple[int, int]) -> Array:
        """Return the largest scaled product of every image with patches of real ones, (m, n, n_sites) float32.

        At every shift. The patches are those at `sites_of([first], shape)`. A scaled product times the norm of its
        patch is a correlation.
        """
        from fingerprint._kernels import patch_gains as kernels

        count = patches.quarters.shape[1]
        quarters, means = (side[0] for side in patches.packed[:2])
        found = aligned((len(self.words), len(quarters), *shape, 16), np.float32)
        place = (*self.place(*first), *first)
        kernels.best_products(*self.maps, place, self.radius, self.spread, quarters, means, self.above(shape), found)
        sites_last = found.reshape(*found.shape[:2], -1, 16).swapaxes(2, 3)
        return np.ascontiguousarray(sites_last).reshape(len(found), len(quarters) * 16, -1)[:, :count]

    @property
    def maps(self) -> tuple[Array, ...]:
        """Return what the kernels take first."""
        return self.words, self.sums, self.scales

    def places(self, firsts: Array) -> Array:
        """Return (k, 4) int64: where the first patches are, in steps, and their rows and columns."""
        return np.array([(*self.place(*first), *first) for first in firsts.tolist()], np.int64).reshape(-1, 4)

    def above(self, shape: tuple[int, int]) -> Array:
        """Return work space of the kernels for `shape` patches, see `_row_of_quarters`."""
        together = len(shifts_of(2, every=False))  # the first pass has the most shifts that are searched together
        return aligned((shape[1], together, 16), np.int32)


def sites_of(firsts: Array, shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the row and column of `shape` patches, down and across, from each of the `firsts`, (k, 2), on."""
    return [(r + down, c + right) for r, c in firsts.tolist() for down, right in np.ndindex(*shape)]

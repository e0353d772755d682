"""The search behind the evidence of patches: how images are reduced to boxes and cut, and what matches in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._kernels.memory import aligned

if TYPE_CHECKING:
    from fingerprint._base.types import Array

_FINEST = 64  # boxes along the shorter side of an image, at least, where it has as many pixels


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
    def shape(self) -> tuple[int, int]:
        """Return how many patches lie in a column and in a row."""
        return len(self.rows), len(self.columns)

    @property
    def deciding(self) -> Array:
        """Return (n, 2) int64: every fourth patch down and across, which decide whether an image is turned."""
        rows, columns = (range((count - 1) % 4 // 2, count, 4) for count in self.shape)
        return np.array([(r, c) for r in rows for c in columns], np.int64).reshape(-1, 2)

    @property
    def offsets(self) -> Array:
        """Return (n, 2) int64: the shifts that are searched, row by row, in pixels."""
        steps = np.arange(-self.radius, self.radius + 1) * self.step
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def grid(self) -> tuple[int, int]:
        """Return how many boxes lie at every step, down and across."""
        return tuple(length // self.step - self.spread + 1 for length in (self.height, self.width))  # type: ignore[return-value]


def boxes(image: Array, layout: Layout) -> Array:
    """Return the boxes of an image at every step, stretched to the range of uint8."""
    from fingerprint._kernels import patch_gains as kernels

    sums, out = np.empty(layout.grid, np.int32), np.empty(layout.grid, np.uint8)
    kernels.box_grid(image, layout.step, layout.spread, sums)
    low, high = sums.min(), sums.max()
    kernels.stretch(sums, low, np.float32(255 / max(int(high) - int(low), 1)), out)
    return out


@dataclass(frozen=True)
class Cut:
    """Real images cut into blocks of 4 x 4 boxes; a patch is two of them across and down.

    Parameters
    ----------
    blocks : ndarray
        (turns, n, rows + 1, columns + 1, 16) int8: the boxes less 128.
    means : ndarray
        (turns, n, rows, columns) float32: mean of each patch.
    norms : ndarray
        (turns, n, rows, columns) float32: 1 / (8 * norm of the patch about its mean), 0 where it is not informative.
    """

    blocks: Array
    means: Array
    norms: Array

    @classmethod
    def from_images(cls, images: Array, layout: Layout, contrast: int) -> Cut:
        """Cut images of boxes, as they are; informative are patches whose standard deviation is at least `contrast`."""
        (rows, columns), step = layout.shape, layout.spread
        blocks = np.zeros((len(images), rows + 1, columns + 1, 4, 4), np.int32)
        if rows and columns:
            top, left = layout.rows[0] // layout.step, layout.columns[0] // layout.step
            cut = images[:, top::step, left::step][:, : 4 * (rows + 1), : 4 * (columns + 1)]
            blocks[:] = cut.reshape(len(images), rows + 1, 4, columns + 1, 4).swapaxes(2, 3)
            blocks -= 128
        sums, squares = (_of_patches(values.sum(axis=(3, 4))) for values in (blocks, blocks**2))
        spread = 64 * squares - sums**2  # 64**2 times the variance
        norms = np.zeros(spread.shape, np.float32)
        informative = spread >= (64 * contrast) ** 2
        norms[informative] = 1 / np.sqrt(spread[informative])
        numbers = blocks.astype(np.int8).reshape(1, *blocks.shape[:3], 16)
        return cls(numbers, (sums / 64).astype(np.float32)[None], norms[None])

    def of(self, images: slice) -> Cut:
        """Return some of the images."""
        return Cut(self.blocks[:, images], self.means[:, images], self.norms[:, images])

    @property
    def and_turned(self) -> Cut:
        """Return also, as a second turn, what the images turned left to right show at the same places."""
        blocks = self.blocks.reshape(*self.blocks.shape[:4], 4, 4)[:, :, :, ::-1, :, ::-1].reshape(self.blocks.shape)
        sides = (self.blocks, blocks), (self.means, self.means[..., ::-1]), (self.norms, self.norms[..., ::-1])
        return Cut(*(np.concatenate(side) for side in sides))

    @cached_property
    def packed(self) -> tuple[Array, ...]:  # pragma: no cover  (with the compiler only)
        """Return blocks, (turns, groups, rows + 1, columns + 1, 4, 16) words, means and norms of 16 images a group."""
        words = self.blocks.view(np.uint32)
        return tuple(in_groups(side) for side in (words, self.means, self.norms))

    def patterns(self, turn: int, row: int, column: int) -> tuple[Array, Array]:
        """Return the patches at a place, (n, 64) int8, and their means."""
        blocks = self.blocks[turn, :, row : row + 2, column : column + 2].reshape(-1, 2, 2, 4, 4)
        return blocks.swapaxes(2, 3).reshape(-1, 64), self.means[turn, :, row, column]


def in_groups(values: Array) -> Array:
    """Return (turns, n, ...) as (turns, groups, ..., 16), from a cache line on; what lacks in the last group is 0."""
    groups = -(-values.shape[1] // 16)
    out = aligned((len(values), groups, *values.shape[2:], 16), values.dtype)
    for group in range(groups):
        part = values[:, 16 * group : 16 * group + 16]
        out[:, group, ..., : part.shape[1]] = np.moveaxis(part, 1, -1)
    return out


def _of_patches(blocks: Array) -> Array:
    """Sum what blocks have over the four of each patch."""
    across = blocks[:, :, :-1] + blocks[:, :, 1:]
    return np.asarray(across[:, :-1] + across[:, 1:])


@dataclass(frozen=True)
class Windows:
    """The windows of images in which patches are searched, laid out for the kernels named `kernel`.

    Parameters
    ----------
    kernel : str
        "vectors" or "numpy".
    top, left : int
        Where the first patch lies, in steps.
    spread : int
        Steps from one number of a window to the next.
    radius : int
        The farthest shift, in steps.
    words, sums, scales : ndarray
        (m, h, w) of all windows, see `_kernels.patch_gains.lay_out`.
    """

    kernel: str
    top: int
    left: int
    spread: int
    radius: int
    words: Array
    sums: Array
    scales: Array

    @classmethod
    def of(cls, images: Array, layout: Layout) -> Windows:
        """Lay out images of boxes."""
        from fingerprint._kernels import compiler
        from fingerprint._kernels import patch_gains as kernels

        s, margin = layout.spread, 2 * layout.radius
        rows, columns = (max(0, length - 7 * s) for length in layout.grid)
        shape = len(images), rows + 7 * s + margin, columns + 4 * s + margin
        words, sums, scales = np.zeros(shape, np.uint32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for maps in zip(images, words, sums, scales, strict=True) if rows and columns else ():
            kernels.lay_out(maps[0], s, layout.radius, *maps[1:])
        top, left = (int(edges[0]) // layout.step if len(edges) else 0 for edges in (layout.rows, layout.columns))
        kernel = "vectors" if compiler.runs("vectors") else "numpy"
        return cls(kernel, top, left, s, layout.radius, words, sums, scales)

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Return where a patch lies, in steps."""
        return self.top + 4 * self.spread * row, self.left + 4 * self.spread * column

    def at(self, row: int, column: int) -> tuple[Array, Array]:
        """Return the windows around a patch, (m, n, 64) uint8, and their scales, shift by shift, row by row."""
        (y, x), s, side = self.place(row, column), self.spread, 2 * self.radius + 1
        shifts = [(y + dy, x + dx) for dy in range(side) for dx in range(side)]
        found = [self.words[:, v : v + 8 * s : s, u : u + 8 * s : 4 * s].reshape(-1, 16) for v, u in shifts]
        windows = np.ascontiguousarray(np.stack(found, axis=1)).view(np.uint8)
        return windows, np.stack([self.scales[:, v, u] for v, u in shifts], axis=1)

    def best(self, cut: Cut, firsts: Array, shape: tuple[int, int]) -> Array:
        """Return the largest scaled product of every image with patches of real ones, (m, n, patches) float32.

        They are `shape` patches, down and across, from each of the `firsts`, (k, 2), on. Times the norm of its patch
        a product is a correlation.
        """
        from fingerprint._kernels import patch_gains as kernels

        sites, count = sites_of(firsts, shape), cut.blocks.shape[1]
        if self.kernel == "vectors":  # pragma: no cover  (with the compiler only)
            blocks, means = (side[0] for side in cut.packed[:2])
            found = aligned((len(self.words), len(blocks), len(firsts), *shape, 16), np.float32)
            kernels.best_vectors(*self.arguments(firsts), blocks, means, self.above(shape), found)
            patches_last = found.reshape(*found.shape[:2], len(sites), 16).swapaxes(2, 3)
            return np.ascontiguousarray(patches_last).reshape(len(found), -1, len(sites))[:, :count]
        best = np.empty((len(self.words), count, len(sites)), np.float32)
        for n, (r, c) in enumerate(sites):
            best[:, :, n] = kernels.best_numpy(*self.at(r, c), *cut.patterns(0, r, c))
        return best

    def arguments(self, firsts: Array) -> tuple[Any, ...]:  # pragma: no cover  (with the compiler only)
        """Return what the kernels take first, for the patches from each of the `firsts` on."""
        places = np.array([(*self.place(*first), *first) for first in firsts], np.int64)
        return self.words, self.sums, self.scales, places, self.radius, self.spread

    def above(self, shape: tuple[int, int]) -> Array:  # pragma: no cover  (with the compiler only)
        """Return work space of the kernels for `shape` patches, see `_row_of_blocks`."""
        return aligned((shape[1], 2 * self.radius + 1, 16), np.int32)


def sites_of(firsts: Array, shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the rows and columns of `shape` patches, down and across, from each of the `firsts` on."""
    return [(r + down, c + right) for r, c in firsts.tolist() for down, right in np.ndindex(*shape)]

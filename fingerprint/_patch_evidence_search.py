"""The search behind the evidence of patches: how images are reduced to boxes and cut, and what matches in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._memory import TILE_REGISTERS, aligned

if TYPE_CHECKING:
    from fingerprint._types import Array

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
    def deciding(self) -> Array:
        """Return (n_sites,) bool: one site in nine, by which is decided whether an image is turned left to right."""
        rows, columns = (np.arange(count) % 3 == count // 2 % 3 for count in (len(self.rows), len(self.columns)))
        return np.asarray(np.logical_and.outer(rows, columns).ravel())

    @property
    def offsets(self) -> Array:
        """Return (n, 2) int64: the shifts that are searched, row by row, in pixels."""
        steps = np.arange(-self.radius, self.radius + 1) * self.step
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def grid(self) -> tuple[int, int]:
        """Return how many boxes lie at every step, down and across."""
        return tuple(length // self.step - self.spread + 1 for length in (self.height, self.width))  # type: ignore[return-value]


def box_grid(image: Array, layout: Layout) -> Array:
    """Return the sums of the boxes at every step, int32."""
    from fingerprint import _patch_evidence_kernels

    out = np.empty(layout.grid, np.int32)
    _patch_evidence_kernels.box_grid(image, layout.step, layout.spread, out)
    return out


@dataclass(frozen=True)
class Stretched:
    """Images reduced to 8-bit boxes, laid out for the search by the kernels named `kernel`."""

    layout: Layout
    kernel: str
    quads: Array
    scales: Array

    @classmethod
    def of(cls, grids: Array, layout: Layout) -> Stretched:
        """Lay out grids of boxes."""
        from fingerprint import _compiler
        from fingerprint import _patch_evidence_kernels as kernels

        s, margin = layout.spread, 2 * layout.radius
        rows, columns = (max(0, length - 7 * s) for length in layout.grid)
        pitch = columns + 4 * s + margin + 16  # rows are copied 16 numbers at a time
        quads = np.zeros((len(grids), rows + 7 * s + margin, pitch), np.uint32)
        scales = np.zeros((len(grids), rows + margin, pitch), np.float32)
        for grid, quad, scale in zip(grids if rows and columns else (), quads, scales, strict=False):
            low = grid.min()
            factor = np.float32(255 / max(int(grid.max()) - int(low), 1))
            kernels.stretch(grid, low, factor, s, layout.radius, quad, scale)
        return cls(layout, next(name for name in ("amx", "vectors", "numpy") if _compiler.runs(name)), quads, scales)

    def windows(self, site: Array) -> tuple[Array, Array]:
        """Return the windows that are searched around a site, (m, n, 16) uint32, and their scales (m, n) float32."""
        from fingerprint import _compiler
        from fingerprint import _patch_evidence_kernels as kernels

        count = -(-len(self.layout.offsets) // 48) * 48  # as `best_amx` takes them; a scale of 0 never wins
        shape = len(self.quads), count
        windows, scales = aligned((*shape, 16), np.uint32), aligned(shape, np.float32)
        gather = kernels.GATHER[next(name for name in kernels.GATHER if _compiler.runs(name))]
        gather(self.quads, self.scales, *site, self.layout.radius, self.layout.spread, windows, scales)
        return windows, scales

    def best(self, site: Array, patterns: Array, packed: Array | None = None) -> Array:
        """Return the largest scaled product of each image with each pattern, (m, n) float32."""
        from fingerprint import _patch_evidence_kernels as kernels

        count = len(patterns)
        best = aligned((len(self.quads), 16 * -(-count // 16)), np.float32)
        if self.kernel == "vectors":  # pragma: no cover  (with the compiler only)
            reach = self.layout.radius, self.layout.spread
            kernels.best_vectors(self.quads, self.scales, *site, *reach, patterns, *self.space(), best)
        elif self.kernel == "amx":  # pragma: no cover  (with the compiler only)
            packed = pack(patterns) if packed is None else packed
            work = aligned((48, 16), np.int32)
            kernels.best_amx(*self.windows(site), packed, TILE_REGISTERS, work, best)
        else:
            kernels.best_numpy(*self.windows(site), patterns, best[:, :count])
        return best[:, :count]

    def space(self) -> tuple[Array, Array]:  # pragma: no cover  (with the compiler only)
        """Return work space of `best_vectors`: the windows around a site, four pixels at a time, and their scales."""
        lanes = 16 * (-(-len(self.layout.offsets) // 16) + 1)
        return aligned((16, lanes), np.uint32), aligned((lanes,), np.float32)


def pack(patterns: Array) -> Array:
    """Return patterns (n, 64) as (groups, 16, 16, 4): four pixels of 16 images at a time, the last ones zeros."""
    padded = np.zeros((-(-len(patterns) // 16) * 16, 64), np.int8)
    padded[: len(patterns)] = patterns
    packed = aligned((len(padded) // 16, 16, 16, 4), np.int8)
    packed[:] = padded.reshape(-1, 16, 16, 4).transpose(0, 2, 1, 3)
    return packed

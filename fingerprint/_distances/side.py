"""One side of a comparison of whole images, in the layouts that kernels take."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._kernels.layout import tile_areas, tile_starts
from fingerprint._kernels.memory import unset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fingerprint._base.types import Array


@dataclass(frozen=True)
class Side:
    """One side of a comparison, with all that its metrics need of each image worked out once.

    Parameters
    ----------
    metrics : tuple of str
        What this side has been prepared for.
    count : int
        Number of images.
    shape : tuple of int
        Height and width of the images, or the number of features.
    dtype : str
        ``uint8``, ``uint16`` or ``float64``.
    arrays : mapping
        The working arrays by name, in the formats of the kernels.
    """

    metrics: tuple[str, ...]
    count: int
    shape: tuple[int, ...]
    dtype: str
    arrays: Mapping[str, Array] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    @cached_property
    def transposed(self) -> Array:  # pragma: no cover  (with the compiler and the tile registers only)
        """Return the byte planes as `dot_amx` takes its second side."""
        planes = self.arrays["planes"]
        return _transposed(planes.reshape(-1, *planes.shape[2:])).reshape(planes.shape)

    @cached_property
    def lanes(self) -> Array:  # pragma: no cover  (with the compiler only)
        """Return bytes less 128, as int8, or the words, as `dot_vectors` or `dot16_vectors` take their second side."""
        return _transposed(self.words if self.dtype == "uint16" else self.arrays["planes"][0], signed=True)

    @cached_property
    def words(self) -> Array:
        """Return 16-bit pixels less the centres of their images, also where another machine packed them as bytes."""
        if "words" in self.arrays:
            return self.arrays["words"]
        low, high = self.arrays["planes"].astype(np.int32)
        values = low + (high << 8) - self.arrays["centres"].reshape(-1, 1, 16, 1)
        steps = np.diff(tile_starts(self.shape))
        pixels = [np.arange(64 * n) < area for n, area in zip(steps, tile_areas(self.shape), strict=True)]
        values *= np.concatenate(pixels).reshape(-1, 1, 64)
        halves = values.reshape(*values.shape[:3], 2, 32).swapaxes(2, 3)
        return np.ascontiguousarray(halves.reshape(len(values), -1, 16, 32), np.int16)


def _transposed(packed: Array, *, signed: bool = False) -> Array:  # pragma: no cover  (with the compiler only)
    """Return packed numbers with the words of 32 bits of every step transposed; unsigned bytes less 128 if `signed`."""
    from fingerprint._kernels import packing

    out = unset((*packed.shape[:2], 16, 16), np.uint32)
    flipped = signed and packed.dtype == np.uint8
    packing.transpose(packed.view(np.uint32), np.uint32(0x80808080 if flipped else 0), out)
    return out.view(np.int8 if flipped else packed.dtype)


def parts_of(count: int, part: int) -> list[slice]:
    """Cut a number of images into parts."""
    return [slice(start, min(start + part, count)) for start in range(0, count, part)]


def groups_of(part: slice) -> slice:
    """Return the groups of 16 images in which a part lies."""
    return slice(part.start // 16, -(-part.stop // 16))


def fastest(kernels: Mapping[str, Callable[..., None]]) -> Callable[..., None]:
    """Return the first kernel that runs here."""
    from fingerprint._kernels import compiler

    return kernels[compiler.available(kernels)[0]]

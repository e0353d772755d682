"""One side of a comparison of whole images, in the layouts that kernels take."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._kernels.memory import unset

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        What the families of metrics made of the images, by name, see `prepare` of each; images come first.
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
    def lanes(self) -> Array:
        """Return packed images as the second side of dot products: words of 32 bits transposed, bytes less 128."""
        from fingerprint._kernels import packing

        packed = self.arrays["words" if self.dtype == "uint16" else "bytes"]
        out = unset((*packed.shape[:2], 16, 16), np.uint32)
        packing.transpose(packed.view(np.uint32), np.uint32(0 if self.dtype == "uint16" else 0x80808080), out)
        return out.view(np.int16 if self.dtype == "uint16" else np.int8)


def parts_of(count: int, part: int) -> list[slice]:
    """Cut a number of images into parts."""
    return [slice(start, min(start + part, count)) for start in range(0, count, part)]


def groups_of(part: slice) -> slice:
    """Return the groups of 16 images in which a part lies."""
    return slice(part.start // 16, -(-part.stop // 16))

"""Grey images in memory: a stack of one size, the files that failed, and what all images have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.public import public

if TYPE_CHECKING:
    from fingerprint._base.failures import Failure
    from fingerprint._base.types import Array


@dataclass(frozen=True)
class Layout:
    """What all images of a collection have in common.

    Parameters
    ----------
    height, width : int
        Of every image, in pixels.
    dtype : str
        ``"uint8"`` or ``"uint16"``.
    origin : str
        Name of the first image that has it, for messages. Not compared.
    """

    height: int
    width: int
    dtype: str
    origin: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return height, width and depth."""
        return f"{self.height}x{self.width} {8 * np.dtype(self.dtype).itemsize}-bit"


def layout_of(pixels: Array, origin: str = "") -> Layout:
    """Return size and depth of an image, (h, w), or of a stack, (n, h, w)."""
    return Layout(pixels.shape[-2], pixels.shape[-1], pixels.dtype.name, origin)


@public
@dataclass(frozen=True, eq=False, repr=False)
class Slices:
    """A stack of grey images of one size.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16, C-contiguous and read-only. Not copied where it is contiguous already.
    names : tuple of str
        n names.
    failed : tuple of Failure
        Files that could not be used.
    ignored : int
        Files that are no images.

    Raises
    ------
    InputError
        If pixels and names do not go together.
    """

    pixels: Array
    names: tuple[str, ...]
    failed: tuple[Failure, ...] = ()
    ignored: int = 0

    def __post_init__(self) -> None:
        pixels = self.pixels
        if getattr(pixels, "ndim", 0) != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise InputError(f"pixels: expected an (n, h, w) array of uint8 or uint16, got {checks.describe(pixels)}")
        if len(self.names) != len(pixels):
            raise InputError(f"names: expected one for each of the {len(pixels)} images, got {len(self.names)}")
        view = np.ascontiguousarray(pixels).view()
        view.flags.writeable = False
        object.__setattr__(self, "pixels", view)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "failed", tuple(self.failed))

    def __reduce__(self) -> tuple[type[Slices], tuple[Array, tuple[str, ...], tuple[Failure, ...], int]]:
        # through the constructor, as arrays are writeable again after unpickling
        return Slices, (self.pixels, self.names, self.failed, self.ignored)

    def __repr__(self) -> str:
        notes = f", {len(self.failed)} failed" * bool(self.failed) + f", {self.ignored} ignored" * bool(self.ignored)
        return f"<Slices: {len(self)} images of {self.height}x{self.width}, {self.pixels.dtype}{notes}>"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Slices: ...
    def __getitem__(self, index: int | slice) -> Array | Slices:
        """Return the pixels of one image, (h, w); or some images as `Slices`, without what failed or was ignored."""
        if isinstance(index, slice):
            return Slices(self.pixels[index], self.names[index])
        image: Array = self.pixels[index]
        return image

    def __contains__(self, name: object) -> bool:
        """Return whether there is an image of this name."""
        return name in self.names

    @property
    def height(self) -> int:
        """Return the height of every image, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Return the width of every image, in pixels."""
        return int(self.pixels.shape[2])

    @property
    def layout(self) -> Layout | None:
        """Return size and depth; None where there is no image."""
        return layout_of(self.pixels, self.names[0]) if self.names else None

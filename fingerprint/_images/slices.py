"""Grey images in memory: a stack of one size, the files that failed, and what all images have in common."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

import numpy as np

from fingerprint._base import checks, display
from fingerprint._base.checks import InputError
from fingerprint._base.public import public

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fingerprint._base.failures import Failure
    from fingerprint._base.types import Array

_SHOWN = 12  # formats quoted in an error message
_PICTURES, _SIDE = 6, 160  # images that a notebook shows, and their longer side in pixels, at most


@dataclass(frozen=True)
class PixelFormat:
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

    @property
    def nbytes(self) -> int:
        """Return the bytes of an image."""
        return self.height * self.width * np.dtype(self.dtype).itemsize

    def __str__(self) -> str:
        """Return height, width and depth."""
        return f"{self.height}x{self.width} {8 * np.dtype(self.dtype).itemsize}-bit"


def format_of(pixels: Array, origin: str = "") -> PixelFormat:
    """Return size and depth of an image, (h, w), or of a stack, (n, h, w)."""
    return PixelFormat(pixels.shape[-2], pixels.shape[-1], pixels.dtype.name, origin)


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
    groups : tuple of str, optional
        Patient of each image; None unless all are known. The PatientID of DICOM; the file of NIfTI.

    Raises
    ------
    InputError
        If pixels and names do not go together.
    """

    pixels: Array
    names: tuple[str, ...]
    failed: tuple[Failure, ...] = ()
    ignored: int = 0
    groups: tuple[str, ...] | None = None

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
        if self.groups is not None:
            object.__setattr__(self, "groups", tuple(self.groups))
            if len(self.groups) != len(pixels):
                raise InputError(f"groups: expected one for each of the {len(pixels)} images, got {len(self.groups)}")

    def __reduce__(self) -> tuple[type[Slices], tuple[object, ...]]:
        # through the constructor, as arrays are writeable again after unpickling
        return Slices, (self.pixels, self.names, self.failed, self.ignored, self.groups)

    def __repr__(self) -> str:
        notes = f", {len(self.failed)} failed" * bool(self.failed) + f", {self.ignored} ignored" * bool(self.ignored)
        return f"<Slices: {len(self)} images of {self.height}x{self.width}, {self.pixels.dtype}{notes}>"

    def _repr_html_(self) -> str:
        from PIL import Image

        step = max(1, -(-max(self.height, self.width) // _SIDE))
        shown = self.pixels[:_PICTURES, ::step, ::step]
        if shown.dtype != np.uint8 and shown.size:
            low, high = int(shown.min()), int(shown.max())
            shown = ((shown - low) * (255 / max(1, high - low))).astype(np.uint8)
        pictures = [
            display.picture(Image.fromarray(image), name) for image, name in zip(shown, self.names, strict=False)
        ]
        return display.paragraph(repr(self)[1:-1]) + f'<div style="display: flex">{"".join(pictures)}</div>'

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
            return Slices(self.pixels[index], self.names[index], groups=self.groups and self.groups[index])
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
    def format(self) -> PixelFormat | None:
        """Return size and depth; None where there is no image."""
        return format_of(self.pixels, self.names[0]) if self.names else None


def digest_of(images: Slices) -> str:
    """Return what tells the pixels and names of images from those of others."""
    found = hashlib.sha256(json.dumps([images.pixels.shape, images.pixels.dtype.str, images.names]).encode())
    found.update(images.pixels.data)
    return found.hexdigest()


def agree(first: PixelFormat | None, part: Slices, *, argument: str = "source") -> PixelFormat | None:
    """Return the format of the first image of a stream, once the next block of it is known to have it too.

    To be called in the order of the stream with what it returned before, None at first, so that the error is the same
    whoever read the blocks, and when.
    """
    found = part.format
    if first is not None and found is not None and first != found:
        raise mixed(argument, [first, found])
    return first or found


def mixed(argument: str, found: Iterable[PixelFormat], *, expected: bool = False) -> InputError:
    """Return the error that names several formats, of which the first may be what was `expected` of all."""
    formats = list(found)
    shown = [f"{each} ({each.origin})" for each in formats]
    if len(formats) > _SHOWN:
        shown[_SHOWN:] = [f"and {len(formats) - _SHOWN} more"]
    first = formats[0]
    remedies = []
    if any((each.height, each.width) != (first.height, first.width) for each in formats):
        remedies.append(f"pass size=({first.height}, {first.width}) to resample")
    if any(each.dtype != first.dtype for each in formats):
        remedies.append("save all with the same bit depth")
    rule = f"height x width {first} like {first.origin}" if expected else "one height x width and bit depth"
    return InputError(f"{argument}: expected {rule}, got {', '.join(shown[expected:])}; {' and '.join(remedies)}")


def concatenate(first: Slices, *others: Slices, argument: str = "source") -> Slices:
    """Join collections of one size and depth, with all failures and counts, in this order."""
    common: PixelFormat | None = None
    for part in (first, *others):
        common = agree(common, part, argument=argument)
    return joined((first, *others), sum(map(len, (first, *others))))


def joined(parts: Iterable[Slices], known: int | None = None) -> Slices:
    """Join blocks of one format, holding few of them if it is known how many images there are at most."""
    names: list[str] = []
    failed: list[Failure] = []
    ignored = 0
    groups: list[str] | None = []
    out: Array | None = None
    held: list[Array] = []
    for part in parts:
        names += part.names
        failed += part.failed
        ignored += part.ignored
        if len(part):
            groups = None if groups is None or part.groups is None else [*groups, *part.groups]
        if known is None:
            held.append(part.pixels)
        elif len(part):
            if out is None:
                out = np.empty((known, *part.pixels.shape[1:]), part.pixels.dtype)
            out[len(names) - len(part) : len(names)] = part.pixels
    held = [pixels for pixels in held if len(pixels)][::-1]
    if len(held) == 1:
        out = held[0]
    elif held:
        out = np.empty((len(names), *held[0].shape[1:]), held[0].dtype)
        start = 0
        while held:
            pixels = held.pop()  # to let go of it
            out[start : start + len(pixels)] = pixels
            start += len(pixels)
    if out is None:
        out = np.empty((0, 0, 0), np.uint8)
    return Slices(out[: len(names)], tuple(names), tuple(failed), ignored, tuple(groups) if groups else None)

"""Arrays: what programs hold (tensors, batches, PIL images) as (n, h, w) arrays of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._images import grey, pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fingerprint._base.types import Array


def array_of(source: Any, luminance: bool) -> Array | None:
    """Return what NumPy, the array API or Pillow can read; None if it is something else."""
    if isinstance(source, np.ndarray):
        return source
    if hasattr(source, "detach"):  # a tensor of torch, which may be on a GPU or have gradients
        source = source.detach().cpu()
    if hasattr(source, "getexif") and hasattr(source, "__array_interface__"):  # an image of Pillow
        return pictures.grey(source).pixels(luminance=luminance)[None]
    if hasattr(source, "__array__"):
        return np.asarray(source)
    return np.from_dlpack(source) if hasattr(source, "__dlpack__") else None


def images_of(array: Array, argument: str, *, luminance: bool) -> Array:
    """Return an array as (n, h, w), without axes of one channel; the luminance of colours, where it is asked for."""
    what, got = f"{argument}: expected an (n, h, w) array", f"got {checks.describe(array)}"
    if array.ndim == 2:
        raise InputError(f"{what}, {got}; pass a single image as image[None]")
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        array = array[:, 0] if array.shape[1] == 1 else array[..., 0]
    if is_colour(array.shape):
        if not luminance:
            raise InputError(f'{what} of grey images, {got}, which looks like colour; pass grey="luminance"')
        array = _grey_of(array if array.shape[-1] in (3, 4) else np.moveaxis(array, 1, -1), argument)
    if array.ndim != 3:
        raise InputError(f"{what}, {got}")
    if array.dtype.kind not in "buif":
        raise InputError(f"{what} of numbers, {got}")
    if 0 in array.shape:
        raise InputError(f"{what}, none of them 0, {got}")
    return array


def _grey_of(array: Array, argument: str) -> Array:
    """Return the luminance of images (n, h, w, 3 or 4), or of the only one without its axis."""
    if array.shape[-1] == 4:
        raise InputError(f"{argument}: expected three channels of colour, got four, {checks.describe(array)}")
    found = grey.luminance_of(array)
    return found[None] if found.ndim == 2 else found


def is_colour(shape: tuple[int, ...]) -> bool:
    """Say whether the last axis, or the second of four, is one of colour channels: 3 or 4 where others are longer."""
    if len(shape) == 4:
        return shape[3] in (3, 4) or shape[1] in (3, 4)
    return len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) > 4


def parts_of(items: list[Any] | tuple[Any, ...]) -> list[Any]:
    """Return the items of a list; of one that has images in arrays, without numbers that are their labels."""
    if not any(_axes(item) >= 3 for item in items):
        return list(items)
    return [item for item in items if not (_is_number(item) or 0 <= _axes(item) < 2)]


def _is_number(item: Any) -> bool:
    """Say whether an item is a number or a list of them."""
    if isinstance(item, (list, tuple)):
        return len(item) > 0 and all(isinstance(each, (int, float)) for each in item)
    return isinstance(item, (int, float))


def images_in(batch: Mapping[Any, Any], argument: str) -> Any:
    """Return the array of a batch that holds images, the only one of three axes or more."""
    found = [key for key, value in batch.items() if _axes(value) >= 3]
    if len(found) != 1:
        keys = ", ".join(map(repr, batch))[:200]
        raise InputError(f"{argument}: expected a batch with one array of images, got {len(found)} among {keys}")
    return batch[found[0]]


def _axes(value: Any) -> int:
    """Return how many axes an array has; -1 if it is none."""
    shape = getattr(value, "shape", None)
    return len(shape) if isinstance(shape, tuple) else -1


class FloatRange:
    """What range the floating point pixels of a source have, which its first array says."""

    def __init__(self) -> None:
        self._range: tuple[int, int] | None = None

    def pixels(self, array: Array, argument: str) -> Array:
        """Return floating point pixels as 8 bits; whole numbers beyond 255 as 16.

        Pixels from 0 to 1 are multiplied by 255 and rounded; where the first array of the source has negative ones, the
        range is from -1 to 1. Whole numbers beyond 1 are kept.
        """
        low, high = float(array.min()), float(array.max())
        if self._range is None:
            fitting = [(0, 1), (-1, 1), (0, 255), (0, 65535)]
            self._range = next((each for each in fitting if each[0] <= low and high <= each[1]), None)
        expected = "floats from 0 to 1 or from -1 to 1, or whole numbers"
        if self._range is not None:
            least, most = self._range
            if most == 1 and least <= low and high <= 1:
                values = array.astype(np.float32) if array.dtype.itemsize < 4 else array
                scaled: Array = np.rint((values - least) * (255 / (1 - least))).astype(np.uint8)
                return scaled
            if most > 1 and least <= low and high <= most and (array == np.rint(array)).all():
                return array.astype(np.uint8 if most == 255 else np.uint16)
            expected = f"floats from {least} to {most} like the first" if most == 1 else f"whole numbers up to {most}"
        raise InputError(f"{argument}: expected {expected}, got values from {low:g} to {high:g}; scale them")

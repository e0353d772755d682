"""Grey: exact 8-bit or 16-bit pixels from whatever numbers a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fingerprint._images.files import UnusableError

if TYPE_CHECKING:
    from fingerprint._base.types import Array

PIXELS = 2**26  # of one image: 8192 x 8192
AIR = -1024  # the lowest value that is kept where values may be negative: air is -1000 Hounsfield units


class Decoded(NamedTuple):
    """What a file holds: numbers that are not yet pixels, (h, w) or (n, h, w), and what is added to make them so."""

    values: Array
    added: int = 0


def limit(width: int, height: int) -> None:
    """Refuse an image that is too large."""
    if width * height > PIXELS:
        raise UnusableError(f"{height}x{width} pixels, more than the limit of {PIXELS}; crop or resample the image")


def whole(pixels: Array, added: int = 0) -> Array:
    """Return an image of bool, integers or whole numbers as uint8 (of 8 bits) or uint16."""
    if pixels.dtype in (np.uint8, np.uint16) and not added:
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    low, high = pixels.min(), pixels.max()
    if not (-added <= low and high <= 65535 - added):
        raise UnusableError(f"values from {low} to {high}, outside {-added} to {65535 - added}; scale them")
    if pixels.dtype.kind == "f" and (pixels != np.rint(pixels)).any():
        raise UnusableError("values that are not whole numbers; scale and round them")
    if added:
        pixels = pixels.astype(np.int32) + added
    return pixels.astype(np.uint16 if pixels.dtype.itemsize > 1 else np.uint8)


def resampled(pixels: Array, size: tuple[int, int]) -> Array:
    """Return an image at another height and width, by an antialiased bilinear filter."""
    from PIL import Image

    image = Image.fromarray(pixels.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    rounded: Array = np.rint(np.asarray(image)).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return rounded


def scale_remedy(dtype: np.dtype[Any]) -> str:
    """Return the end of a message that refuses a dtype: what to do about floating point pixels."""
    return "; convert, for values from 0 to 1 by np.rint(images * 255).astype(np.uint8)" if dtype.kind == "f" else ""

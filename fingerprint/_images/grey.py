"""Grey: exact 8-bit or 16-bit pixels from whatever numbers a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from fingerprint._images.files import UnusableError

if TYPE_CHECKING:
    from fingerprint._base.types import Array

PIXELS = 2**26  # of one image: 8192 x 8192
AIR = -1024  # the lowest value that is kept where values may be negative: air is -1000 Hounsfield units


class Decoded(NamedTuple):
    """What a file holds: numbers that are not yet pixels.

    Parameters
    ----------
    values : ndarray
        (h, w) or (n, h, w); or what is still compressed, whose `pixels` are these.
    added : int
        What makes values that may be negative, such as Hounsfield units, pixels.
    white : float, optional
        The value that is shown black, where low values are shown white.
    patient : str, optional
        Whose images these are; "" where the file is all that is known of the patient.
    levels : float, optional
        How many whole values the stored numbers reach, where they were rescaled by a fraction and have to be rounded.
    colour : str
        What the file calls its colours, where values have a last axis of three or four channels.
    """

    values: Array | Any
    added: int = 0
    white: float | None = None
    patient: str | None = None
    levels: float | None = None
    colour: str = ""

    def pixels(self, i: int | None = None, window: tuple[float, float] | None = None, luminance: bool = False) -> Array:
        """Return the pixels of image number i, or of the only one, as uint8 or uint16; seen through a window, uint8."""
        values = self.values if isinstance(self.values, np.ndarray) else self.values.pixels()
        values = values if i is None else values[i]
        if self.colour:
            values = single_channel(values, self.colour, luminance)
        if window is not None and (values.dtype.itemsize > 1 or self.added):
            seen = windowed(values, *window)
            return seen if self.white is None else 255 - seen
        values = values if self.white is None else self.white - values
        if self.levels is not None:
            if self.levels < 256:
                raise UnusableError(f"values of which {self.levels:.0f} are whole; pass window=(centre, width)")
            values = np.rint(values)
        return whole(values, self.added)


def windowed(values: Array, centre: float, width: float) -> Array:
    """Return values as 8 bits, by the linear window of DICOM (PS3.3 C.11.2.1.2.1)."""
    if not np.isfinite(values).all():
        raise UnusableError("values that are not finite")
    scaled = (values.astype(np.float64) - (centre - 0.5)) / max(width - 1, 2.0**-20) + 0.5
    seen: Array = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    return seen


def limit(width: int, height: int) -> None:
    """Refuse an image that is too large."""
    if width * height > PIXELS:
        raise UnusableError(f"{height}x{width} pixels, more than the limit of {PIXELS}; crop or resample the image")


def whole(pixels: Array, added: int = 0) -> Array:
    """Return an image of bool, integers or whole numbers as uint8 (of 8 bits) or uint16."""
    kind = pixels.dtype
    if kind.kind == "u" and kind.itemsize < 3 and not added:
        return pixels if kind.isnative else pixels.astype(kind.newbyteorder("="))
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    low, high = pixels.min(), pixels.max()
    if added and low < -added:  # a single value below air is padding, if it reaches a corner
        below = pixels < -added
        if (pixels[below] == low).all() and (pixels[:: len(pixels) - 1 or 1, :: pixels.shape[1] - 1 or 1] == low).any():
            pixels = np.where(below, pixels.dtype.type(-added), pixels)
            low = -added
    if not (-added <= low and high <= 65535 - added):
        raise UnusableError(f"values from {low} to {high}, outside {-added} to {65535 - added}; scale them")
    if pixels.dtype.kind == "f" and (pixels != np.rint(pixels)).any():
        raise UnusableError("values that are not whole numbers; scale and round them")
    if added:
        pixels = pixels.astype(np.int32) + added
    return pixels.astype(np.uint16 if pixels.dtype.itemsize > 1 else np.uint8)


class Range(Protocol):
    """Images of a file that are read some at a time; a single one may have a name without number."""

    @property
    def count(self) -> int: ...
    @property
    def numbered(self) -> bool: ...
    def read(self, path: str, start: int, stop: int) -> Decoded: ...


# A part of a file: the key that is appended to its name, and how its images are read, or what they are where that is
# done, or its bytes, or why there are none (text), or how many things were no images (a number).
Member: TypeAlias = tuple[str, Range | Decoded | bytes | str | int]


def levels(slope: float, intercept: float, bits: int) -> float | None:
    """Return how many whole values numbers of some bits reach; None where all rescaled ones are whole."""
    return None if slope.is_integer() and intercept.is_integer() else abs(slope) * 2**bits


def single_channel(channels: Array, kind: str, luminance: bool) -> Array:
    """Return the grey of (h, w, 3 or 4) opaque channels of colour; these are equal, or their luminance is wanted."""
    remedy = 'pass grey="luminance"'
    if channels.ndim != 3 or channels.shape[2] not in (3, 4):
        raise UnusableError(f"colour ({kind}); {remedy}")
    if channels.shape[2] == 4 and (channels[..., 3] != np.iinfo(channels.dtype).max).any():
        raise UnusableError("transparent pixels; put the image on a background and save without alpha")
    if (channels[..., :1] == channels[..., 1:3]).all():
        grey: Array = channels[..., 0]
        return grey
    if not luminance:
        raise UnusableError(f"colour; {remedy}")
    return luminance_of(channels)


def luminance_of(channels: Array) -> Array:
    """Return the luminance of (..., 3 or more) channels by ITU-R BT.601; of integers rounded, as Pillow does."""
    red, green, blue = np.moveaxis(channels[..., :3], -1, 0)
    if channels.dtype.kind == "f":
        weighed: Array = (19595 * red + 38470 * green + 7471 * blue) / 65536
        return weighed
    red, green, blue = (channel.astype(np.int64) for channel in (red, green, blue))
    rounded: Array = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    return rounded.astype(channels.dtype)


def resampled(pixels: Array, size: tuple[int, int]) -> Array:
    """Return an image at another height and width, by an antialiased bilinear filter."""
    from PIL import Image

    image = Image.fromarray(pixels.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    rounded: Array = np.rint(np.asarray(image)).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return rounded


def scale_remedy(dtype: np.dtype[Any]) -> str:
    """Return the end of a message that refuses a dtype: what to do about floating point pixels."""
    return "; convert, for values from 0 to 1 by np.rint(images * 255).astype(np.uint8)" if dtype.kind == "f" else ""

"""PNG, TIFF, JPEG and BMP, by Pillow: grey pixels exactly, or not at all."""

from __future__ import annotations

import io
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._images.files import UnusableError
from fingerprint._images.grey import Decoded, limit

if TYPE_CHECKING:
    from fingerprint._base.types import Array

filters = threading.Lock()  # filters of warnings are global: one thread at a time may change them

_TRANSPARENT = "transparent pixels; put the image on a background and save without alpha"
_COLOUR = 'convert to grey first, by Image.convert("L")'


# not Image.open: it would warn about large images, and try other formats


def png(data: bytes) -> Decoded:
    """Return the pixels of a PNG file."""
    from PIL.PngImagePlugin import PngImageFile

    return _decoded(PngImageFile(io.BytesIO(data)))


def jpeg(data: bytes) -> Decoded:
    """Return the pixels of a JPEG file."""
    from PIL.JpegImagePlugin import JpegImageFile

    return _decoded(JpegImageFile(io.BytesIO(data)))


def bmp(data: bytes) -> Decoded:
    """Return the pixels of a BMP file."""
    from PIL.BmpImagePlugin import BmpImageFile

    return _decoded(BmpImageFile(io.BytesIO(data)))


def tiff(data: bytes) -> Decoded:
    """Return the pixels of a TIFF file."""
    from PIL.TiffImagePlugin import TiffImageFile

    # a cut directory is only a warning, and makes libtiff write to stderr later
    with filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Corrupt EXIF data|Tag data larger than file")
        image = TiffImageFile(io.BytesIO(data))
        _ = image.n_frames
    return _decoded(image)


def one_page(pages: int) -> None:
    """Refuse a file of several images."""
    if pages != 1:
        raise UnusableError(f"{pages} pages; save each as a file of its own, or pass them as an (n, h, w) array")


def _decoded(image: Any) -> Decoded:
    """Return the pixels of an image as Pillow opens it."""
    limit(*image.size)
    one_page(getattr(image, "n_frames", 1))
    return Decoded(_grey(image))


def _grey(image: Any) -> Array:
    mode, clear = image.mode, image.info.get("transparency")
    if mode == "F":
        raise UnusableError("floating point pixels; scale and save them as 8-bit or 16-bit integers")
    if mode in ("1", "L", "I") or mode.startswith("I;16"):
        pixels = np.asarray(image)
        if clear is not None and (pixels == clear).any():
            raise UnusableError(_TRANSPARENT)
        # Pillow inverts white-is-zero pixels of 8 bits only
        white_is_zero = mode.startswith("I") and getattr(image, "tag_v2", {}).get(262) == 0
        return 65535 - pixels if white_is_zero else pixels
    if mode not in ("P", "PA", "LA", "RGB", "RGBA"):
        raise UnusableError(f"colour ({mode}); {_COLOUR}")
    raw = image.tile[0][3] if image.tile else ""
    if ";16" in str(raw if isinstance(raw, str) else raw[0]):
        raise UnusableError("16-bit colour or alpha, which would be cut to 8 bits; save as 16-bit grey")
    channels = np.asarray(image.convert("RGBA"))
    if (channels[..., 3] != 255).any():
        raise UnusableError(_TRANSPARENT)
    grey: Array = channels[..., 0]
    if (grey != channels[..., 1]).any() or (grey != channels[..., 2]).any():
        raise UnusableError(f"colour; {_COLOUR}")
    return grey

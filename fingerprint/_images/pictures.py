"""PNG, TIFF, JPEG and BMP, by Pillow: grey pixels exactly, or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
from functools import cache
from typing import Any

import numpy as np

from fingerprint._images.files import UnusableError
from fingerprint._images.grey import Decoded, limit
from fingerprint._images.png import plain

_RATIO = 4096  # pixels that a byte of a file may stand for
_TURNS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # where an image may ask to be turned


# not Image.open: it would warn about large images, and try other formats


def png(data: bytes) -> Decoded:
    """Return the pixels of a PNG file."""
    stream = plain(data)
    if stream is not None:
        return Decoded(stream)
    from PIL.PngImagePlugin import PngImageFile

    return _decoded(PngImageFile, data)


def jpeg(data: bytes) -> Decoded:
    """Return the pixels of a JPEG file."""
    from PIL.JpegImagePlugin import JpegImageFile

    return _decoded(JpegImageFile, data)


def bmp(data: bytes) -> Decoded:
    """Return the pixels of a BMP file."""
    from PIL.BmpImagePlugin import BmpImageFile

    return _decoded(BmpImageFile, data)


def tiff(data: bytes) -> Decoded:
    """Return the pixels of a TIFF file."""
    from PIL.TiffImagePlugin import TiffImageFile

    return _decoded(TiffImageFile, data)


@cache
def _silence() -> None:
    """Let Pillow and libtiff write nothing to stderr: their errors reach us as exceptions."""
    from PIL import _imaging

    logging.getLogger("PIL").addHandler(logging.NullHandler())
    library = ctypes.CDLL(_imaging.__file__)
    for handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        with contextlib.suppress(AttributeError):  # where libtiff is hidden in Pillow
            getattr(library, handler)(None)


def one_page(pages: int) -> None:
    """Refuse a file of several images."""
    if pages != 1:
        raise UnusableError(f"{pages} pages; save each as a file of its own, or pass them as an (n, h, w) array")


def _decoded(plugin: Any, data: bytes) -> Decoded:
    """Return the pixels of a file that is opened by a plugin of Pillow."""
    _silence()
    image = plugin(io.BytesIO(data))
    pages = getattr(image, "n_frames", 1)
    width, height = image.size
    limit(width, height)
    if width * height > max(2**20, _RATIO * len(data)):
        raise UnusableError(f"{len(data)} bytes, which cannot hold {height}x{width} pixels")
    one_page(pages)
    return grey(image)


def grey(image: Any) -> Decoded:
    """Return the pixels, or the colours, of an image of Pillow."""
    tags = getattr(image, "tag_v2", {})
    mode, clear = image.mode, image.info.get("transparency")
    codec, _, _, options = image.tile[0] if getattr(image, "tile", None) else ("", None, 0, "")
    raw = str(options if isinstance(options, str) else options[0])  # how pixels lie in the file
    if codec == "libtiff" and raw.endswith("BS"):  # Pillow swaps their bytes once more than libtiff
        raise UnusableError("signed big-endian pixels, compressed; save them unsigned")
    if mode == "F":
        raise UnusableError("floating point pixels; scale and save them as 8-bit or 16-bit integers")
    image.load()  # Pillow turns a TIFF as it asks for; what asks for it may stand behind the pixels
    if any(key in image.info for key in _TURNS):
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    if mode in ("1", "L", "I") or mode.startswith("I;16"):
        pixels = np.asarray(image)
        if clear is not None and (pixels == clear).any():
            raise UnusableError("transparent pixels; put the image on a background and save without alpha")
        # Pillow inverts white-is-zero pixels of 8 bits only
        white_is_zero = mode.startswith("I") and tags.get(262) == 0
        return Decoded(65535 - pixels if white_is_zero else pixels)
    if mode not in ("P", "PA", "LA", "RGB", "RGBA"):
        raise UnusableError(f'colour ({mode}); convert to RGB or grey first, by Image.convert("L")')
    if ";16" in raw:
        raise UnusableError("16-bit colour or alpha, which would be cut to 8 bits; save as 16-bit grey")
    return Decoded(np.asarray(image.convert("RGBA")), colour=mode)

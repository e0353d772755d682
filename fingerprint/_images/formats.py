"""Files: the pixels of one image, or of some of a stack, exactly, or the reason why they cannot be used."""

from __future__ import annotations

import io
import os
import threading
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from fingerprint._base.types import Array

_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
_DICOM = (".dcm", ".dicom")
_NIFTI = (".nii", ".nii.gz")
_ARRAYS = (".npy", ".npz")
STACKS = (".npy", *_NIFTI)  # some images of such a file can be read without the others
SEVERAL = _ARRAYS + _NIFTI  # such a file may hold several images
SUFFIXES = _PICTURES + _DICOM + _NIFTI + _ARRAYS
UNSUPPORTED = (".gif", ".webp", ".jp2", ".j2k", ".avif", ".heic", ".pgm", ".ppm", ".exr", ".mha", ".nrrd")

PIXELS = 2**26  # of one image: 8192 x 8192
_BYTES = 2**30  # of one file that is read as a whole
_OFFSET = 1024  # added to values that may be negative: air is -1000 Hounsfield units


class _UnusableError(Exception):
    """Says why a file cannot be used."""


def attempted(read: Any, *arguments: Any) -> Any:
    """Return what `read` returns, or the reason why it failed, as text."""
    try:
        return read(*arguments)
    except MemoryError:  # says something about the machine, not about the file
        raise
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        return reason(error)


def reason(error: Exception) -> str:
    """Return why a file cannot be used, to be read by people."""
    if isinstance(error, ModuleNotFoundError):
        return f'needs {error.name}; pip install "synthetic-fingerprint[medical]"'
    if isinstance(error, _UnusableError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"cannot be decoded: {str(error) or type(error).__name__}"


def decoded(path: str) -> Array:
    """Return the pixels of a file that holds one image."""
    with io.FileIO(path) as file:
        length = os.fstat(file.fileno()).st_size
        if length > _BYTES:
            raise _UnusableError(f"{length} bytes, more than the limit of {_BYTES}")
        data = file.read()
    if not data:
        raise _UnusableError("empty file (0 bytes)")
    if data[128:132] == b"DICM" or path.lower().endswith(_DICOM):
        return _dicom(data)
    for magic, plugin in _plugins():
        if data.startswith(magic):
            image = plugin(data)
            _limit(*image.size)
            # the fast lane: what nearly every file is
            plain = image.mode == "L" and "transparency" not in image.info and getattr(image, "n_frames", 1) == 1
            return np.asarray(image) if plain else _converted(image)
    if path.lower().endswith(UNSUPPORTED):
        raise _UnusableError("unsupported format; convert to PNG or TIFF")
    raise _UnusableError(f"no PNG, TIFF, JPEG, BMP or DICOM image (begins with {data[:4]!r})")


@cache
def _plugins() -> tuple[tuple[bytes, Callable[[bytes], Any]], ...]:
    # not Image.open: it would warn about large images, and try other formats
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    def tiff(data: bytes) -> TiffImageFile:
        # a cut directory is only a warning, and makes libtiff write to stderr later
        with _filters, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "Corrupt EXIF data|Tag data larger than file")
            image = TiffImageFile(io.BytesIO(data))
            _ = image.n_frames
        return image

    return (
        (b"\x89PNG\r\n\x1a\n", lambda data: PngImageFile(io.BytesIO(data))),
        (b"\xff\xd8\xff", lambda data: JpegImageFile(io.BytesIO(data))),
        (b"BM", lambda data: BmpImageFile(io.BytesIO(data))),
        *((magic, tiff) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    )


_filters = threading.Lock()  # filters of warnings are global: one thread at a time may change them


def _limit(width: int, height: int) -> None:
    if width * height > PIXELS:
        raise _UnusableError(f"{height}x{width} pixels, more than the limit of {PIXELS}; crop or resample the image")


def _one_page(pages: int) -> None:
    if pages != 1:
        raise _UnusableError(f"{pages} pages; save each as a file of its own, or pass them as an (n, h, w) array")


def _converted(image: Any) -> Array:
    """Return the pixels of an image that is not plain 8-bit grey, exactly or not at all."""
    _one_page(getattr(image, "n_frames", 1))
    mode = image.mode
    if mode == "F":
        raise _UnusableError("floating point pixels; scale and save them as 8-bit or 16-bit integers")
    if mode in ("1", "L", "I") or mode.startswith("I;16"):
        clear = image.info.get("transparency")
        pixels = whole(np.asarray(image))
        if clear is not None and (pixels == clear).any():
            raise _UnusableError(_TRANSPARENT)
        # Pillow inverts white-is-zero pixels of 8 bits only
        white_is_zero = mode.startswith("I") and getattr(image, "tag_v2", {}).get(262) == 0
        return 65535 - pixels if white_is_zero else pixels
    if mode not in ("P", "PA", "LA", "RGB", "RGBA"):
        raise _UnusableError(f'colour ({mode}); convert to grey first, by Image.convert("L")')
    raw = image.tile[0][3] if image.tile else ""
    if ";16" in str(raw if isinstance(raw, str) else raw[0]):
        raise _UnusableError("16-bit colour or alpha, which would be cut to 8 bits; save as 16-bit grey")
    channels = np.asarray(image.convert("RGBA"))
    if (channels[..., 3] != 255).any():
        raise _UnusableError(_TRANSPARENT)
    grey: Array = channels[..., 0]
    if (grey != channels[..., 1]).any() or (grey != channels[..., 2]).any():
        raise _UnusableError('colour; convert to grey first, by Image.convert("L")')
    return grey


_TRANSPARENT = "transparent pixels; put the image on a background and save without alpha"


def whole(pixels: Array, offset: int = 0) -> Array:
    """Return an image of bool, integers or whole numbers as uint8 (of 8 bits) or uint16."""
    if pixels.dtype == np.uint8 and not offset:
        return pixels
    if pixels.dtype == np.uint16 and not offset:
        return pixels.astype(np.uint16, copy=False)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    low, high = pixels.min(), pixels.max()
    if not (-offset <= low and high <= 65535 - offset):
        raise _UnusableError(f"values from {low} to {high}, outside {-offset} to {65535 - offset}; scale them")
    if pixels.dtype.kind == "f" and (pixels != np.rint(pixels)).any():
        raise _UnusableError("values that are not whole numbers; scale and round them")
    if offset:
        pixels = pixels.astype(np.int32) + offset
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


def _dicom(data: bytes) -> Array:
    import pydicom

    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what a lenient reader puts right
        header = pydicom.dcmread(io.BytesIO(data))
    if "PixelData" not in header:
        raise _UnusableError("a DICOM file without pixels")
    meaning = header.get("PhotometricInterpretation")
    if meaning not in ("MONOCHROME1", "MONOCHROME2"):
        raise _UnusableError(f"colour ({meaning}); convert to grey first")
    _one_page(int(header.get("NumberOfFrames") or 1))
    if "ModalityLUTSequence" in header:
        raise _UnusableError("a modality lookup table; apply it and save the result")
    _limit(header.Columns, header.Rows)
    stored = header.pixel_array
    signed = stored.dtype.kind == "i"
    if meaning == "MONOCHROME1":
        stored = ~stored if signed else stored ^ stored.dtype.type(2**header.BitsStored - 1)
    if not signed and "RescaleSlope" not in header and "RescaleIntercept" not in header:
        return whole(stored)
    return whole(stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0)), _OFFSET)


# --- Stacks ----------------------------------------------------------------------------------------------------------


def stack_length(path: str) -> int | None:
    """Return how many images a `.npy` or NIfTI file holds; None for a single one, (h, w)."""
    if path.lower().endswith(".npy"):
        array = _npy(path)
        return None if array.ndim == 2 else len(array)
    slices: int = _nifti(path).shape[2]
    return slices


def stack_range(path: str, start: int, stop: int) -> tuple[Array, int]:
    """Return images start to stop of a `.npy` or NIfTI file, and the offset of `whole` that they need."""
    if path.lower().endswith(".npy"):
        array = _npy(path)
        return array[None] if array.ndim == 2 else array[start:stop], 0
    volume = _nifti(path)
    stored, proxy = volume.get_data_dtype(), volume.dataobj
    values = np.asanyarray(proxy[(slice(None), slice(None), slice(start, stop)) + (0,) * (len(volume.shape) - 3)])
    unsigned = stored.kind == "u" and (proxy.slope, proxy.inter) == (1, 0)
    return values.T, 0 if unsigned else _OFFSET


def npz_keys(path: str) -> list[str]:
    """Return the names of the arrays in a `.npz` file."""
    if not Path(path).stat().st_size:
        raise _UnusableError("empty file (0 bytes)")
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def npz_member(path: str, key: str) -> Array | None:
    """Return an image or stack of a `.npz` file; None for an array of fewer than two axes."""
    with np.load(path, allow_pickle=False) as archive:
        array: Array = archive[key]
    return None if array.ndim < 2 else _images(array)


def _npy(path: str) -> Array:
    """Return the image or stack of a `.npy` file, mapped and not yet read."""
    with io.FileIO(path) as file:
        begin = file.read(6)
    if begin != b"\x93NUMPY":
        raise _UnusableError(f"no .npy file (begins with {begin!r})" if begin else "empty file (0 bytes)")
    return _images(np.load(path, mmap_mode="r", allow_pickle=False))


def _images(array: Array) -> Array:
    """Return an array of a file if it can hold images."""
    if array.ndim not in (2, 3) or array.dtype.kind not in "bui" or 0 in array.shape:
        raise _UnusableError(
            f"expected (h, w) or (n, h, w) integers, got shape {array.shape} and dtype {array.dtype}"
            f"{scale_remedy(array.dtype)}"
        )
    _limit(array.shape[-1], array.shape[-2])
    return array


def _nifti(path: str) -> Any:
    """Return the volume of a NIfTI file, not yet read."""
    if not Path(path).stat().st_size:
        raise _UnusableError("empty file (0 bytes)")
    import nibabel

    volume = nibabel.load(path)
    shape, stored = volume.shape, volume.get_data_dtype()
    if len(shape) < 3 or any(length != 1 for length in shape[3:]) or 0 in shape or stored.kind not in "uif":
        raise _UnusableError(
            f"expected (x, y, z) numbers, got shape {shape} and dtype {stored}; save one volume a file"
        )
    _limit(*shape[:2])
    return volume

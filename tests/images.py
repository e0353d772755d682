"""Images for tests of reading: drawn, and written in formats that no library here writes."""

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import loading

Array = np.ndarray[Any, Any]


def stack(n: int = 3, height: int = 8, width: int = 6, dtype: str = "uint8") -> Array:
    high = 256 if dtype == "uint8" else 65536
    return np.random.default_rng(n).integers(0, high, (n, height, width)).astype(dtype)


def one(path: Path) -> Array:
    return loading.load(path)[0]


def reason(path: Path) -> str:
    """Return why a file cannot be used, read among good files."""
    good = path.parent / "a good one.png"
    Image.fromarray(stack(1)[0]).save(good)
    found = loading.load([good, path])
    assert found.names == (good.as_posix(),)
    (failure,) = found.failed
    assert failure.name == path.as_posix()
    return failure.reason


def tiff(path: Path, pixels: Array, *, order: str = "<", photometric: int = 1, kind: int = 1, pages: int = 1) -> None:
    """Write an uncompressed grey TIFF by hand, of either byte order."""
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data)) + data
    for page in range(pages):
        entries = {
            256: pixels.shape[1], 257: pixels.shape[0], 258: 8 * pixels.itemsize, 259: 1, 262: photometric,
            273: 8, 277: 1, 278: pixels.shape[0], 279: len(data), 339: kind,
        }  # fmt: skip
        directory = struct.pack(order + "H", len(entries))
        directory += b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in entries.items())
        following = len(out) + len(directory) + 4 if page < pages - 1 else 0
        out += directory + struct.pack(order + "I", following)
    path.write_bytes(out)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def dicom(path: Path, pixels: Array, *, frames: int = 1, without: tuple[str, ...] = (), **tags: Any) -> None:
    pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(None, {}, b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * pixels.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames > 1:
        data.NumberOfFrames = frames
    raw = pixels.tobytes()
    data.add_new("PixelData", "OB" if pixels.itemsize == 1 else "OW", raw + b"\0" * (len(raw) % 2))
    for tag, value in tags.items():
        setattr(data, tag, value)
    for tag in without:
        delattr(data, tag)
    data.save_as(path)


def nifti(path: Path, values: Array, **scale: float) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(values, np.eye(4))
    if scale:
        image.header.set_slope_inter(**scale)
    nibabel.save(image, path)


def write(folder: Path, pixels: Array, template: str = "{}.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / template.format(i))


def raises(message: str) -> Any:
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")

"""DICOM, by pydicom: as hospitals have it, without suffix, without preamble, of one image or of several."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._images import files
from fingerprint._images.files import UnusableError
from fingerprint._images.grey import AIR, Decoded, levels, limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint._base.types import Array
    from fingerprint._images.grey import Member

_HEAD = 2**16  # bytes in which the number of images is looked for
_FRAMES = b"\x28\x00\x08\x00"  # the tag of that number
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_CT = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
# what a file without preamble begins with: an element of group 2 or 8, explicit or implicit
_BARE = re.compile(
    rb"\x02\x00[\x00\x01\x02\x10]\x00(UL|OB|UI|..\x00\x00)"
    rb"|\x08\x00(\x00\x00(UL\x04|\x04\x00\x00\x00)|[\x01\x05\x08\x12\x14\x16\x18]\x00([A-Z]{2}|..\x00\x00))",
    re.DOTALL,
)


def recognised(head: bytes) -> bool:
    """Say whether a file that begins like this is DICOM."""
    return head[128:132] == b"DICM" or _BARE.match(head) is not None


@dataclass(frozen=True)
class Frames:
    """The images of a DICOM file, of which a single one has a name without number."""

    count: int

    @property
    def numbered(self) -> bool:
        """Say whether the names of the images have numbers."""
        return self.count > 1

    def read(self, path: str, start: int, stop: int) -> Decoded:
        """Return images start to stop of the file."""
        header = _header(files.contents(path, 4 * files.BYTES))
        _check(header, self.count)
        return _decoded(header, start, stop)


def single(data: bytes) -> Decoded:
    """Return the image of a DICOM file of one, as archives and stores have it."""
    header = _header(data)
    if (count := int(header.get("NumberOfFrames") or 1)) != 1:
        raise UnusableError(f"{count} images in a file; copy it to a folder of this machine, or save each alone")
    _check(header, 1)
    found = _decoded(header, 0, 1)
    return found._replace(values=found.values[0])


def dicom(path: str) -> Iterator[Member]:
    """Yield what reads the images of a DICOM file."""
    with files.opened(path) as file:
        several = _FRAMES in file.read(_HEAD)
        size = files.size_of(file)
    count = 1
    if several:
        count = int(_header(files.contents(path, 4 * files.BYTES)).get("NumberOfFrames") or 1)
    if not 1 <= count <= 1 + size // 8:
        raise UnusableError(f"{size} bytes, fewer than {count} images need")
    yield "", Frames(count)


def _header(data: bytes) -> Any:
    """Return the data set of a file."""
    import pydicom
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if _DEFLATED in data[:1024]:
        _limit_deflated(data)
    header = pydicom.dcmread(io.BytesIO(data), force=recognised(data[:256]))
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        little_endian = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        header.file_meta.TransferSyntaxUID = little_endian if little else ExplicitVRBigEndian
    return header


def _limit_deflated(data: bytes) -> None:
    """Refuse a file whose data set unpacks to far more than its own size."""
    at = 132 if data[128:132] == b"DICM" else 0
    while data[at : at + 2] == b"\x02\x00":  # elements of the header, which is not deflated
        long = data[at + 4 : at + 6] in (b"OB", b"UN")
        at += 12 + int.from_bytes(data[at + 8 : at + 12], "little") if long else 8 + data[at + 6] + 256 * data[at + 7]
    unpacker, rest, size = zlib.decompressobj(-15), data[at:], 0
    while rest and not unpacker.eof:
        size += len(unpacker.decompress(rest, 2**20))
        files.limit_unpacked(size, len(data))
        rest = unpacker.unconsumed_tail


def _check(header: Any, count: int) -> None:
    """Refuse what has no image that every reader would show alike."""
    if "PixelData" not in header:
        kind = "floating point" if "FloatPixelData" in header or "DoubleFloatPixelData" in header else "a file without"
        raise UnusableError(f"{kind} pixels, expected integers" if kind[0] == "f" else "a DICOM file without pixels")
    if int(header.get("NumberOfFrames") or 1) != count:
        raise UnusableError("the number of images stands too far from the beginning of the file; save each alone")
    if "ModalityLUTSequence" in header:
        raise UnusableError("a modality lookup table; apply it and save the result")
    limit(header.Columns, header.Rows)
    allocated, bits, high = header.BitsAllocated, header.BitsStored, header.get("HighBit", header.BitsStored - 1)
    if not 1 <= bits <= high + 1 <= allocated:
        raise UnusableError(f"bits that do not fit: {bits} stored, the highest {high}, of {allocated} allocated")
    if bits <= high and header.file_meta.TransferSyntaxUID.is_compressed:
        raise UnusableError(f"compressed pixels whose {bits} bits are not the lowest; save them uncompressed")


def _decoded(header: Any, start: int, stop: int) -> Decoded:
    """Return images start to stop, in the units of the scanner."""
    from pydicom.pixels import apply_color_lut, pixel_array

    meaning = header.get("PhotometricInterpretation")
    allocated, bits = header.BitsAllocated, header.BitsStored
    below = header.get("HighBit", bits - 1) + 1 - bits  # unused bits below the pixel's own
    if below:
        header.BitsStored, header.HighBit = allocated, allocated - 1
    images: list[Array] = []
    white = coarsest = None
    added = 0
    for i in range(start, stop):
        stored = pixel_array(header, index=i)
        if meaning == "PALETTE COLOR":
            stored = apply_color_lut(stored, header)
        if meaning not in ("MONOCHROME1", "MONOCHROME2"):
            images.append(stored)
            continue
        if below:
            stored = stored << (allocated - below - bits) >> (allocated - bits)
        if allocated == 1:
            stored = stored.astype(bool)
        signed = stored.dtype.kind == "i"
        rescale = _rescale(header, i)
        if rescale is None and not signed and meaning != "MONOCHROME1":
            images.append(stored)
            continue
        slope, intercept = rescale or (1.0, 0.0)
        if slope.is_integer() and intercept.is_integer() and abs(slope) < 2**14 and abs(intercept) < 2**30:
            wide = stored.astype(np.int32 if stored.dtype.itemsize < 4 else np.int64)
            values = wide * int(slope) + int(intercept)
        else:
            values = stored * slope + intercept
        coarsest = min(filter(None, (coarsest, levels(slope, intercept, bits))), default=None)
        if meaning == "MONOCHROME1":
            white = (2.0 ** (bits - signed) - 1) * slope + intercept
        else:
            added = -AIR
            values = _padding_as_air(header, stored, values)
        images.append(values)
    patient = str(header.get("PatientID") or "").strip() or None
    colour = "" if meaning in ("MONOCHROME1", "MONOCHROME2") else str(meaning)
    return Decoded(np.stack(images), added, white, patient, coarsest, colour)


def _rescale(header: Any, i: int) -> tuple[float, float] | None:
    """Return slope and intercept of an image; None where it has none."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or ()
    groups = [*frames[i : i + 1], *(header.get("SharedFunctionalGroupsSequence") or ())]
    for place in (*(each.get("PixelValueTransformationSequence", [{}])[0] for each in groups), header):
        if "RescaleSlope" in place or "RescaleIntercept" in place:
            return float(place.get("RescaleSlope", 1)), float(place.get("RescaleIntercept", 0))
    return None


def _padding_as_air(header: Any, stored: Array, values: Array) -> Array:
    """Return the values with air where padding lies below air; in CT, whatever lies below it."""
    if header.get("SOPClassUID") in _CT or header.get("Modality") == "CT":
        return np.maximum(values, AIR)
    padding = header.get("PixelPaddingValue")
    if padding is None:
        return values
    ends = np.array([padding, header.get("PixelPaddingRangeLimit", padding)]).astype(stored.dtype)
    padded = (stored >= ends.min()) & (stored <= ends.max()) & (values < AIR)
    return np.where(padded, AIR, values)

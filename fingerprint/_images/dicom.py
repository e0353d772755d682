"""DICOM, by pydicom."""

from __future__ import annotations

import io
import warnings

from fingerprint._images.files import UnusableError
from fingerprint._images.grey import AIR, Decoded, limit
from fingerprint._images.pictures import filters, one_page


def dicom(data: bytes) -> Decoded:
    """Return the values of a DICOM file of one image."""
    import pydicom

    with filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what a lenient reader puts right
        header = pydicom.dcmread(io.BytesIO(data))
    if "PixelData" not in header:
        raise UnusableError("a DICOM file without pixels")
    meaning = header.get("PhotometricInterpretation")
    if meaning not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnusableError(f"colour ({meaning}); convert to grey first")
    one_page(int(header.get("NumberOfFrames") or 1))
    if "ModalityLUTSequence" in header:
        raise UnusableError("a modality lookup table; apply it and save the result")
    limit(header.Columns, header.Rows)
    stored = header.pixel_array
    signed = stored.dtype.kind == "i"
    if meaning == "MONOCHROME1":
        stored = ~stored if signed else stored ^ stored.dtype.type(2**header.BitsStored - 1)
    if not signed and "RescaleSlope" not in header and "RescaleIntercept" not in header:
        return Decoded(stored)
    return Decoded(stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0)), -AIR)

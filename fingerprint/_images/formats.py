"""Formats of image files. A format is added here: by a row of `FORMATS` with the function that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fingerprint._images import archives, dicom, pictures, stacks
from fingerprint._images.files import UnusableError, attempted, contents, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fingerprint._images.grey import Decoded, Member


class Format(NamedTuple):
    """One format: of one image a file, which is known by its first bytes, or of several, known by its suffix.

    Parameters
    ----------
    suffixes : tuple of str
        In lower case. A file is looked for by them in folders.
    begins : tuple of bytes
        What its files begin with.
    decode : callable, optional
        From the bytes of a file to its one image.
    members : callable, optional
        From the path of a file to its images, which are counted before they are read.
    """

    suffixes: tuple[str, ...]
    begins: tuple[bytes, ...] = ()
    decode: Callable[[bytes], Decoded] | None = None
    members: Callable[[str], Iterator[Member]] | None = None


FORMATS = (
    Format((".png",), (b"\x89PNG\r\n\x1a\n",), pictures.png),
    Format((".tif", ".tiff"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), pictures.tiff),
    Format((".jpg", ".jpeg"), (b"\xff\xd8\xff",), pictures.jpeg),
    Format((".bmp",), (b"BM",), pictures.bmp),
    Format((".dcm", ".dicom"), decode=dicom.single, members=dicom.dicom),
    Format((".nii", ".nii.gz"), members=stacks.nifti),
    Format((".npy",), members=stacks.npy),
    Format((".npz",), members=stacks.npz),
)
ARCHIVES = (  # like a folder where they are named; inside folders they are ignored
    Format((".zip",), members=archives.zipped),
    Format((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), members=archives.tarred),
)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)
_SEVERAL = tuple(suffix for each in FORMATS + ARCHIVES if each.members for suffix in each.suffixes)
ARCHIVED = tuple(suffix for each in ARCHIVES for suffix in each.suffixes)
UNSUPPORTED = (".gif", ".webp", ".jp2", ".j2k", ".avif", ".heic", ".pgm", ".ppm", ".exr", ".mha", ".nrrd")


def of_several(path: str) -> Callable[[str], Iterator[Member]] | None:
    """Return what reads a file that may hold several images; None if it holds one."""
    name = path.lower()
    if name.endswith(_SEVERAL):
        return next(each.members for each in FORMATS + ARCHIVES if each.members and name.endswith(each.suffixes))
    return dicom.dicom if not name.endswith(SUFFIXES + UNSUPPORTED) and is_dicom(path) else None


def is_dicom(path: str) -> bool:
    """Say whether a file is DICOM by its first bytes, as hospitals give it no suffix."""
    try:
        with opened(path) as file:
            return dicom.recognised(file.read(256))
    except (OSError, UnusableError):
        return False


def decoded(path: str, data: bytes | None = None) -> Decoded:
    """Return the values of a file that holds one image, whose bytes may be known."""
    data = contents(path) if data is None else data
    for each in FORMATS:
        if each.decode and data.startswith(each.begins):
            return each.decode(data)
    name = path.lower()
    if dicom.recognised(data[:256]) or name.endswith((".dcm", ".dicom")):
        return dicom.single(data)
    if name.endswith(_SEVERAL):
        raise UnusableError(
            "a format of several images, read from disk alone; copy the file to a folder of this machine"
        )
    if name.endswith(UNSUPPORTED):
        raise UnusableError("unsupported format; convert to PNG or TIFF")
    raise UnusableError(f"no PNG, TIFF, JPEG, BMP or DICOM image (begins with {data[:4]!r})")


def members(path: str) -> Iterator[Member]:
    """Yield the images of a file that may hold several; at its end, why the rest of it cannot be used."""
    found = of_several(path)
    assert found is not None
    images = found(path)
    while (member := attempted(next, images, None)) is not None:
        yield ("", member) if isinstance(member, str) else member
        if isinstance(member, str):
            return

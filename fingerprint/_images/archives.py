"""Archives of images, which are read without unpacking: zip, and tar with any compression."""

from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING

from fingerprint._base.naming import natural_key
from fingerprint._images import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint._images.grey import Member

_BYTES = 2**26  # of one image


def zipped(path: str) -> Iterator[Member]:
    """Yield the files of a zip archive in natural order."""
    with files.opened(path) as file, zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in sorted(members, key=lambda member: natural_key(member.filename)):
            try:
                files.limit_bytes(member.file_size, _BYTES)
                files.limit_unpacked(member.file_size, member.compress_size)
                yield f"/{member.filename}", archive.read(member)
            except Exception as error:
                yield f"/{member.filename}", files.reason(error)


def tarred(path: str) -> Iterator[Member]:
    """Yield the files of a tar archive in their order."""
    with files.opened(path) as file, tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            if not member.isfile():
                continue
            key = f"/{member.name.removeprefix('./')}"
            if member.size > _BYTES:
                yield key, f"{member.size} bytes, more than the limit of {_BYTES}"
                continue
            content = archive.extractfile(member)
            assert content is not None
            yield key, content.read()

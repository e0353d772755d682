"""Archives of images, which are read without unpacking: zip, and tar with any compression."""

from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING, Self

from fingerprint._base.naming import natural_key
from fingerprint._images import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint._images.grey import Member

_BYTES = 2**26  # of one image
_NAMES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_NAME = 2**20  # bytes of what describes a member of a tar archive


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


class _Member(tarfile.TarInfo):
    """A member of a tar archive whose name, which may be written as a file of its own, has a bound."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the member of a header."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _NAMES and member.size > _NAME:
            raise files.UnusableError(f"a name of {member.size} bytes, more than the limit of {_NAME}")
        return member


def tarred(path: str) -> Iterator[Member]:
    """Yield the files of a tar archive in their order."""
    with files.opened(path) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=_Member) as archive:
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

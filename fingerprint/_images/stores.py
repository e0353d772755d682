"""Stores: what a URL such as `s3://bucket/real` names, through fsspec; files are read whole, like those of a zip."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from fingerprint._base.checks import InputError
from fingerprint._base.output import printable
from fingerprint._images import dicom, files, formats
from fingerprint._images.blocks import File

if TYPE_CHECKING:
    from fingerprint._images.grey import Decoded

Info: TypeAlias = "dict[str, Any]"  # what a store says of a file or folder: name, size, type and more

_WHY = {FileNotFoundError: "no such file or folder", PermissionError: "permission denied", TimeoutError: "timed out"}


@dataclass(frozen=True)
class Remote(File):
    """A file of one image in a store of fsspec.

    Its `mark` tells what the store said of it when it was listed: with the size, whether it is still the same.
    """

    store: Any = None
    mark: int = 0

    several = None

    def __getstate__(self) -> dict[str, object]:
        """Say where the file is: a path in a store does not depend on the folder of a worker."""
        return vars(self)

    def state(self) -> tuple[int, int]:
        """Return size and mark."""
        return self.size, self.mark

    def read(self) -> Decoded:
        """Return the values of the only image."""
        try:
            size = self.size if self.size >= 0 else self.store.size(self.path)
            files.limit_bytes(size or 0, files.BYTES)
            data = self.store.cat_file(self.path)
        except (MemoryError, files.UnusableError):
            raise
        except Exception as error:  # stores raise whatever their libraries do
            raise files.UnusableError(f"cannot be read: {_why(error)}") from None
        if not data:
            raise files.UnusableError("empty file (0 bytes)")
        if self.size not in (-1, len(data)):
            raise files.UnusableError("changed after it was listed; read it again once nothing writes to it")
        return formats.decoded(self.name, data)


class Place:
    """What a URL names: a path in a store.

    Parameters
    ----------
    url : str
        As fsspec has it, also chained: ``zip://real::s3://bucket/images.zip``.
    argument : str
        What messages call it.
    listed : bool
        Whether it is to be listed, as it is now: stores remember what they listed before.
    """

    def __init__(self, url: str, argument: str, *, listed: bool) -> None:
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError:
            raise InputError(f'{argument}: {url} needs fsspec; pip install "synthetic-fingerprint[fsspec]"') from None
        self.url, self._argument = url, argument
        self._store, self._path = self._asked(url_to_fs, url, skip_instance_cache=listed)

    @property
    def local(self) -> str | None:
        """The path on this machine; None in a store."""
        protocol = self._store.protocol
        return self._path if "file" in ((protocol,) if isinstance(protocol, str) else protocol) else None

    def file(self, name: str) -> Remote:
        """Return the file that the URL names, of which nothing is asked yet."""
        return Remote(self._path, name, store=self._store)

    def entries(self) -> list[tuple[str, Info]]:
        """Return what is there, with its URL: a file, a folder, or what a pattern matches."""
        try:
            return [(self.url, self._store.info(self._path))]
        except FileNotFoundError:
            matches = self._asked(self._store.glob, self._path, detail=True) if re.search(r"[*?[]", self._path) else {}
        except Exception as error:
            raise self._error(error) from None
        return [(self._store.unstrip_protocol(path), info) for path, info in matches.items()]

    def inside(self, folder: str, *, recursive: bool) -> tuple[list[tuple[str, Info]], int]:
        """Return the files of a folder, each with its path inside it, and how many folders there are in it."""
        return self._asked(lambda: _walked(self._store, folder, recursive=recursive))  # type: ignore[no-any-return]

    def image(self, name: str, info: Info) -> Remote:
        """Return a file that was listed."""
        mark = int.from_bytes(hashlib.blake2b(repr(info).encode(), digest_size=8).digest(), "big", signed=True)
        size = info.get("size")
        return Remote(info["name"], name, size=-1 if size is None else size, store=self._store, mark=mark)

    def is_image(self, info: Info) -> bool:
        """Say whether a file counts as an image: by its name, or as DICOM by its first bytes."""
        name = info["name"].rpartition("/")[2].lower()
        if name.startswith("."):
            return False
        if name.endswith(formats.SUFFIXES + formats.UNSUPPORTED):
            return True
        if name.endswith(formats.ARCHIVED) or name == "dicomdir":
            return False
        head = files.attempted(self._store.cat_file, info["name"], 0, 256)
        return not isinstance(head, str) and dicom.recognised(head)

    def _asked(self, ask: Any, *arguments: Any, **settings: Any) -> Any:
        try:
            return ask(*arguments, **settings)
        except MemoryError:
            raise
        except Exception as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> InputError:
        return InputError(f"{self._argument}: cannot read {self.url}: {_why(error)}")


def _walked(store: Any, folder: str, *, recursive: bool) -> tuple[list[tuple[str, Info]], int]:
    found: list[tuple[str, Info]] = []
    n_folders = 0
    for path, folders, here in store.walk(folder, None if recursive else 1, detail=True, on_error="raise"):
        n_folders += len(folders)
        for name in [name for name in folders if name.startswith(".")]:
            del folders[name]
        inside = path[len(folder) :].strip("/")
        found += [(f"{inside}/{name}" if inside else name, info) for name, info in here.items() if name]
    return found, n_folders


def _why(error: Exception) -> str:
    """Return in one line why a store did not answer."""
    known = next((why for kind, why in _WHY.items() if isinstance(error, kind)), None)
    return known or printable(" ".join(str(error).split())[:300]) or type(error).__name__

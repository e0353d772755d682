"""Compiled kernels on disk: stale, damaged or unwritable files never decide what runs, and never stop it."""

from __future__ import annotations

import functools
import hashlib
import logging
import pickle
import re
import sys
import uuid
from typing import TYPE_CHECKING, Any

import llvmlite
import numba

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SIZE = 32  # bytes of a digest
_said: set[int] = set()


class KernelFiles:  # pragma: no cover  (not without a compiler)
    """The files of one kernel, one for each signature and processor.

    A file begins with a digest of the rest, and the rest with a stamp of the sources that it was compiled from. With
    another digest it is damaged, with another stamp stale: then the kernel is compiled, and the file replaced.

    Parameters
    ----------
    folder : Path
        Where they lie.
    name : str
        How their names begin.
    stamp : bytes
        See `stamp`.
    dumps : callable
        From what is compiled to a pickle.
    """

    def __init__(self, folder: Path, name: str, stamp: bytes, dumps: Callable[[Any], bytes]) -> None:
        self._folder, self._name, self._stamp, self._dumps = folder, name, stamp, dumps

    def holds(self, key: Any) -> bool:
        """Return whether something that is not stale was saved under a key."""
        try:
            with self._path(key).open("rb") as file:
                return file.read(2 * _SIZE)[_SIZE:] == self._stamp
        except OSError:
            return False

    def load(self, key: Any) -> Any:
        """Return what was saved under a key, None if there is nothing that can be used."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            if content[:_SIZE] != _digest(content[_SIZE:]):
                raise OSError("damaged")  # noqa: TRY301
        except FileNotFoundError:
            content = b""
        except OSError as error:
            say(logging.WARNING, f"cannot read compiled kernels, compiling them again: {path} ({error})")
            content = b""
        if content[_SIZE : 2 * _SIZE] == self._stamp:
            return pickle.loads(content[2 * _SIZE :])
        say(logging.INFO, f"compiling kernels for this processor, which takes seconds and is kept in {self._folder}")
        return None

    def save(self, key: Any, data: Any) -> None:
        """Save under a key, whole or not at all."""
        path, content = self._path(key), self._stamp + self._dumps(data)
        part = path.with_name(f"{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(_digest(content) + content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _path(self, key: Any) -> Path:
        # the key holds the signature, the features of the processor and the function's bytecode
        return self._folder / f"{self._name}-{_digest(repr((sys.version, key)).encode()).hex()[:20]}.nbc"


@functools.cache
def stamp(source: Path) -> bytes:  # pragma: no cover  (not without a compiler)
    """Return a digest of a file of kernels, of what it imports from this folder, and of the compiler's versions."""
    text = source.read_bytes()
    shared = re.findall(rb"^from fingerprint\._kernels\.(\w+) import", text, re.MULTILINE)
    stamps = [stamp(source.with_name(f"{name.decode()}.py")) for name in shared]
    return _digest(b"".join([f"{numba.__version__} {llvmlite.__version__}".encode(), text, *stamps]))


def _digest(content: bytes) -> bytes:  # pragma: no cover  (not without a compiler)
    return hashlib.sha256(content).digest()


def say(level: int, message: str) -> None:  # pragma: no cover  (not without a compiler)
    """Log a message, the first of its level alone: there are dozens of files, and one that fails is seldom alone."""
    if level not in _said:
        _said.add(level)
        logging.getLogger("fingerprint").log(level, message)

"""Files: opened within bounds, or the reason why one cannot be used."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import threading
import time
import warnings
from typing import Any, BinaryIO

from fingerprint._base.checks import InputError
from fingerprint._base.output import printable

BYTES = 2**28  # of one file that is read as a whole: the largest image, of four channels

_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_PRESSED = 2**28  # bytes that a compressed file may unpack to, whatever its own size
_RATIO = 200  # times its own size that a larger one may unpack to
_CUT = 300  # characters of a reason that people read
_PATIENCE = 5.0  # seconds to wait for others to close files


class UnusableError(Exception):
    """Says why a file cannot be used."""


class _Quiet(contextlib.ContextDecorator):
    """Within it, libraries warn nobody: what they put right is right, and the rest fails.

    Filters of warnings are global, so all threads that read share one change of them. It costs as much as a tenth of an
    image, so that a block is read within one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        if hasattr(os, "register_at_fork"):  # a child has none of the threads that read
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._forked
            )

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
                # a cut directory of a TIFF is only a warning
                warnings.filterwarnings("error", "Corrupt EXIF data|Tag data larger than file")
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._filters.__exit__(None, None, None)

    def _forked(self) -> None:
        if self._readers:
            self._readers = 0
            self._filters.__exit__(None, None, None)
        self._lock.release()


quiet = _Quiet()


def attempted(read: Any, *arguments: Any) -> Any:
    """Return what `read` returns, or the reason why it failed, as text."""
    wait = 0.01
    while True:
        try:
            with quiet:
                return read(*arguments)
        except MemoryError:  # says something about the machine, not about the file
            raise
        except Exception as error:  # decoders raise whatever a broken file makes them raise
            if type(error).__module__.partition(".")[0] in ("numba", "llvmlite"):  # no property of the file either
                raise
            if getattr(error, "errno", None) not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                return reason(error)
            if wait > _PATIENCE:
                raise InputError(f"files: {reason(error)}; close some, or raise the limit (ulimit -n)") from None
        time.sleep(wait)
        wait *= 2


def reason(error: Exception) -> str:
    """Return in one line why a file cannot be used, to be read by people."""
    if isinstance(error, ModuleNotFoundError):
        return f'needs {error.name}; pip install "synthetic-fingerprint[medical]"'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = printable(" ".join(str(error).split())) or type(error).__name__
    text = text if len(text) <= _CUT else f"{text[: _CUT - 3]}..."
    return text if isinstance(error, UnusableError) else f"cannot be decoded: {text}"


def opened(path: str) -> BinaryIO:
    """Open a file that holds something; not a pipe or a device, of which reading might never end."""
    return os.fdopen(_descriptor(path)[0], "rb")


def _descriptor(path: str) -> tuple[int, int]:
    """Open a file like `opened`; return its descriptor and its bytes."""
    descriptor = os.open(path, _READING)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return descriptor, status.st_size
    os.close(descriptor)
    raise UnusableError("empty file (0 bytes)" if stat.S_ISREG(status.st_mode) else "no regular file")


def size_of(file: BinaryIO) -> int:
    """Return the bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def contents(path: str, most: int = 0, listed: tuple[int, int] | None = None) -> bytes:
    """Return the bytes of a file of at most `most`, unchanged since it was `listed`, see `limit_changes`."""
    descriptor, size = _descriptor(path)
    try:
        limit_bytes(size, most or BYTES)
        data = os.read(descriptor, size)
        while len(data) < size and (more := os.read(descriptor, size - len(data))):
            data += more
        if listed:
            limit_changes(os.fstat(descriptor), *listed)
    finally:
        os.close(descriptor)
    return data


def unpacked(open_stream: Any, size: int, packed: int) -> BinaryIO:
    """Open a compressed stream of `size` bytes that `packed` hold, once its checksum is known to be right."""
    limit_unpacked(size, packed)
    with open_stream() as stream:
        if size <= 2**24:
            return io.BytesIO(stream.read())
        while stream.read(2**20):
            pass
    found: BinaryIO = open_stream()
    return found


def limit_changes(status: os.stat_result, size: int, latest: int) -> None:
    """Refuse a file that has another size than `size`, or that changed after the time `latest`, in nanoseconds."""
    if status.st_size != size or status.st_mtime_ns > latest:
        raise UnusableError("changed after it was listed; read it again once nothing writes to it")


def limit_bytes(size: int, most: int) -> None:
    """Refuse a file that is too large to be read as a whole."""
    if size > most:
        raise UnusableError(f"{size} bytes, more than the limit of {most}")


def limit_unpacked(size: int, packed: int) -> None:
    """Refuse what unpacks to far more than its own size."""
    if size > max(_PRESSED, _RATIO * packed):
        raise UnusableError(f"{packed} bytes that would unpack to {size} or more; save it uncompressed")

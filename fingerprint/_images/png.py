"""Plain PNG, in a quarter of Pillow's time: grey of 8 or 16 bits, not interlaced, with nothing that changes it."""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fingerprint._images.files import UnusableError
from fingerprint._images.grey import PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fingerprint._base.types import Array

_HARMLESS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}  # parts that change no pixel, and their bytes
_KINDS = (b"\x08\0\0\0\0", b"\x10\0\0\0\0")  # bits and colour, then how pixels are packed, filtered and interlaced
_SIDES, _BEGIN, _END = struct.Struct(">II"), struct.Struct(">I4s"), struct.Struct(">I")  # of the image; of a part
_RATIO = 1032  # bytes that a byte of a deflate stream can unpack to


class Stream(NamedTuple):
    """The pixels of a plain PNG file, still compressed."""

    packed: bytes | memoryview
    height: int
    width: int
    step: int  # bytes of a pixel

    @property
    def held(self) -> int:
        """Return the bytes in memory."""
        return len(memoryview(self.packed).obj)  # type: ignore[arg-type]

    def pixels(self) -> Array:
        """Return the pixels."""
        height, width, step = self.height, self.width, self.step
        packed = _library()[1](self.packed, height * (1 + width * step))
        if packed is None:
            raise UnusableError(f"damaged: its pixels do not unpack to {height}x{width} with the right checksum")
        rows = np.empty((height, width), f"u{step}")
        if not _kernels().unfilter(np.frombuffer(packed, np.uint8).reshape(height, -1), rows):
            raise UnusableError("damaged: a row is filtered in an unknown way")
        return rows.view(f">u{step}")


def unpacked(streams: Sequence[Stream], rows: Array) -> bool:
    """Write the pixels of streams to rows (n, h, w) of their format; return whether that is done, and all are whole.

    It is one call without the GIL: threads that stop at every file wait for each other a tenth of their time.
    """
    library = _addresses()
    if library is None:
        return False
    ends = np.cumsum([len(stream.packed) for stream in streams], dtype=np.int64)
    joined = np.frombuffer(b"".join(stream.packed for stream in streams), np.uint8)
    whole = bool(_kernels().unpack(library, joined, ends, rows))
    if rows.itemsize > 1:
        rows[:] = rows.view(f">u{rows.itemsize}")
    return whole


def plain(data: bytes) -> Stream | None:
    """Return the pixels of a PNG file, of which every part is found whole; None if it is not plain."""
    stream = _stream(data)
    if stream is None or _kernels() is None or data[8:16] != b"\0\0\0\rIHDR" or data[24:29] not in _KINDS:
        return None
    width, height = _SIDES.unpack_from(data, 16)
    step = data[24] // 8
    size = height * (1 + width * step)
    if not 0 < width * height <= PIXELS or size > _RATIO * len(stream):
        return None
    return Stream(stream, height, width, step)


@functools.cache
def _kernels() -> Any:
    """Return the kernels if they are compiled; not where too little memory is left for Numba, which blames no file."""
    try:
        from fingerprint._kernels import compiler, unfilter
    except (ImportError, OSError):
        return None
    return unfilter if compiler.compiles() else None


def _stream(data: bytes) -> bytes | memoryview | None:
    """Return the compressed pixels; None if other parts might change what they show. All parts have to be whole."""
    checksum = _library()[0]
    view = memoryview(data)
    at, kind, before, harmless = 8, b"", b"", True
    found = list[memoryview]()
    while kind != b"IEND":
        before = kind
        try:
            size, kind = _BEGIN.unpack_from(data, at)
            end = at + 8 + size
            (expected,) = _END.unpack_from(data, end)
        except struct.error:
            raise UnusableError("cut short") from None
        if checksum(view[at + 4 : end]) != expected:
            raise UnusableError(f"damaged: the checksum of its part {kind.decode('latin-1')} is wrong")
        if kind == b"IDAT" and (before == kind or not found):
            found.append(view[at + 8 : end])
        elif at > 8 and kind != b"IEND" and _HARMLESS.get(kind) != size:
            harmless = False
        at = end + 4
    if not harmless:
        return None
    return found[0] if len(found) == 1 else b"".join(found)


@functools.cache
def _library() -> tuple[Callable[..., int], Callable[..., bytes | bytearray | None]]:
    """Return the checksum of a part, and what unpacks a stream to exactly so many bytes, or to None.

    libdeflate takes half the time of zlib.
    """
    try:
        import deflate
    except ImportError:  # no wheel for this platform
        return zlib.crc32, _by_zlib

    def by_libdeflate(stream: bytes | memoryview, size: int) -> bytearray | None:
        try:
            unpacked: bytearray = deflate.zlib_decompress(stream, size)
        except deflate.DeflateError:
            return None
        # what follows the end of the stream is ignored there, so its last bytes have to be the checksum
        whole = len(unpacked) == size and deflate.adler32(unpacked) == int.from_bytes(stream[-4:], "big")
        return unpacked if whole else None

    return deflate.crc32, by_libdeflate


@functools.cache
def _addresses() -> Array | None:
    """Return where libdeflate begins, inflates and ends; None where `deflate` does not show what is in it."""
    try:
        import ctypes

        from deflate import _deflate

        library = ctypes.CDLL(_deflate.__file__)
        names = ("alloc_decompressor", "zlib_decompress_ex", "free_decompressor")
        found = [ctypes.cast(getattr(library, f"libdeflate_{name}"), ctypes.c_void_p).value for name in names]
    except (ImportError, OSError, AttributeError):
        return None
    return np.array(found, np.int64)


def _by_zlib(stream: bytes | memoryview, size: int) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(stream, size + 1)
    except zlib.error:
        return None
    return unpacked if len(unpacked) == size and unpacker.eof and not unpacker.unused_data else None

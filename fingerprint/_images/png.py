"""Plain PNG, in a quarter of Pillow's time: grey of 8 or 16 bits, not interlaced, with nothing that changes it."""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._images.files import UnusableError
from fingerprint._images.grey import PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fingerprint._base.types import Array

_HARMLESS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}  # parts that change no pixel, and their bytes
_KINDS = (b"\x08\0\0\0\0", b"\x10\0\0\0\0")  # bits and colour, then how pixels are packed, filtered and interlaced
_SIDES, _BEGIN, _END = struct.Struct(">II"), struct.Struct(">I4s"), struct.Struct(">I")  # of the image; of a part
_RATIO = 1032  # bytes that a byte of a deflate stream can unpack to


def plain(data: bytes) -> Array | None:
    """Return the pixels of a PNG file, of which every part is found whole; None if it is not plain."""
    stream, unfilter = _stream(data), _kernel()
    if stream is None or unfilter is None or data[8:16] != b"\0\0\0\rIHDR" or data[24:29] not in _KINDS:
        return None
    width, height = _SIDES.unpack_from(data, 16)
    step = data[24] // 8
    size = height * (1 + width * step)
    if not 0 < width * height <= PIXELS or size > _RATIO * len(stream):
        return None
    packed = _library()[1](stream, size)
    if packed is None:
        raise UnusableError(f"damaged: its pixels do not unpack to {height}x{width} with the right checksum")
    rows = np.empty((height, width), f"u{step}")
    if not unfilter(np.frombuffer(packed, np.uint8).reshape(height, -1), rows):
        raise UnusableError("damaged: a row is filtered in an unknown way")
    return rows.view(f">u{step}")


@functools.cache
def _kernel() -> Callable[[Array, Array], bool] | None:
    """Return the kernel where it is compiled; not where too little memory is left for Numba, which blames no file."""
    try:
        from fingerprint._kernels import compiler
        from fingerprint._kernels.unfilter import unfilter
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


def _by_zlib(stream: bytes | memoryview, size: int) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(stream, size + 1)
    except zlib.error:
        return None
    return unpacked if len(unpacked) == size and unpacker.eof and not unpacker.unused_data else None

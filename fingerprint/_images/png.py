"""Plain PNG, in less than half of Pillow's time: grey of 8 or 16 bits, not interlaced, with nothing that changes it."""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._images.files import UnusableError
from fingerprint._images.grey import PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fingerprint._base.types import Array

_HARMLESS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}  # parts that change no pixel, and their bytes
_RATIO = 1032  # bytes that a byte of a deflate stream can unpack to


def plain(data: bytes) -> Array | None:
    """Return the pixels of a PNG file whose parts are known to be whole; None if it is not plain."""
    from fingerprint._kernels import compiler

    header = data[16:29]
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if data[8:16] != b"\0\0\0\rIHDR" or header[8:] not in (b"\x08\0\0\0\0", b"\x10\0\0\0\0") or not compiler.compiles():
        return None
    stream, step = _stream(data), header[8] // 8
    size = height * (1 + width * step)
    if stream is None or not 0 < width * height <= PIXELS or size > _RATIO * len(stream):
        return None
    from fingerprint._kernels.unfilter import unfilter

    packed = _inflate()(stream, size)
    if packed is None:
        raise UnusableError(f"damaged: its pixels do not unpack to {height}x{width} with the right checksum")
    rows = np.empty((height, width * step), np.uint8)
    lines = np.frombuffer(packed, np.uint8).reshape(height, -1)
    if not all(unfilter(lines[:, 0], lines[:, 1 + first :: step], rows[:, first::step]) for first in range(step)):
        raise UnusableError("damaged: a row is filtered in an unknown way")
    return rows if step == 1 else rows.view(">u2")


def _stream(data: bytes) -> bytes | None:
    """Return the compressed pixels; None if other parts might change what they show."""
    at, found, last = 33, list[bytes](), False
    while (kind := data[at + 4 : at + 8]) != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        if kind == b"IDAT" and (last or not found):
            found.append(data[at + 8 : at + 8 + size])
        elif _HARMLESS.get(kind) != size:
            return None
        last = kind == b"IDAT"
        at += 12 + size
    return found[0] if len(found) == 1 else b"".join(found)


@functools.cache
def _inflate() -> Callable[[bytes, int], bytes | bytearray | None]:
    """Return what unpacks a stream to exactly so many bytes, or to None; libdeflate takes half the time of zlib."""
    try:
        import deflate
    except ImportError:  # no wheel for this platform
        return _by_zlib

    def by_libdeflate(stream: bytes, size: int) -> bytearray | None:
        try:
            unpacked: bytearray = deflate.zlib_decompress(stream, size)
        except deflate.DeflateError:
            return None
        # what follows the end of the stream is ignored there, so its last bytes have to be the checksum
        whole = len(unpacked) == size and deflate.adler32(unpacked) == int.from_bytes(stream[-4:], "big")
        return unpacked if whole else None

    return by_libdeflate


def _by_zlib(stream: bytes, size: int) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(stream, size + 1)
    except zlib.error:
        return None
    return unpacked if len(unpacked) == size and unpacker.eof and not unpacker.unused_data else None

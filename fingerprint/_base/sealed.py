"""Sealed files: a header and raw arrays under one checksum, so that what is torn or changed is never believed.

A file is `_BEGIN`; the SHA-256 of all that follows; the length of the header in 8 bytes; the header, JSON in UTF-8; and
the bytes of the arrays, in the order in which the header lists them. Numbers are little-endian. Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base.checks import InputError
from fingerprint._base.output import replaced

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from fingerprint._base.types import Array

_BEGIN = b"fingerprint sealed file 1\n"
_DIGEST = hashlib.sha256().digest_size
_LENGTH = 8  # bytes that say how long the header is
_DTYPES = ("<f8", "<i8", "|b1", "|u1", "<u2", "<u4", "<u8")


def write(path: str | PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a header, of what JSON has, and arrays of float64, int64, bool or uint8.

    A full disk or a killed process leaves the old file as it was.
    """
    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    listed = [[name, array.dtype.str, array.shape] for name, array in held.items()]
    if wrong := [each for each in listed if each[1] not in _DTYPES]:
        raise TypeError(f"expected arrays of {_DTYPES}, got {wrong}")
    text = json.dumps({"header": header, "arrays": listed}).encode()
    parts = [len(text).to_bytes(_LENGTH, "little"), text, *(array.tobytes() for array in held.values())]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    with replaced(path) as file:
        for part in (_BEGIN, digest.digest(), *parts):
            file.write(part)


def read(path: str | PathLike[str], *, argument: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the header and the arrays of a file that `write` wrote.

    No more memory is taken than the file is long. `argument` is what messages call the file.

    Raises
    ------
    InputError
        If there is no such file, or it is cut, damaged or changed.
    """
    where = f"{argument}: {os.fspath(path)}"
    data = _contents(path, where)
    begin = len(_BEGIN) + _DIGEST
    if not data.startswith(_BEGIN):
        raise InputError(f"{where}: expected a file that this library wrote, it begins with {data[: len(_BEGIN)]!r}")
    body = memoryview(data)[begin:]
    if hashlib.sha256(body).digest() != data[len(_BEGIN) : begin]:
        raise InputError(f"{where}: cut, damaged or changed, its checksum is wrong; delete it and make it again")
    try:
        return _parsed(body)
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{where}: expected a file that this library wrote, got other contents ({error})") from None


def _contents(path: str | PathLike[str], where: str) -> bytes:
    """Return the bytes of a regular file; reading a pipe or a device might never end."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise InputError(f"{where}: expected a file, found a folder, a pipe or a device")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _parsed(body: memoryview) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return header and arrays; raise ValueError or the like where they are none."""
    place = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    if place > len(body):
        raise ValueError("a header longer than the file")
    content = json.loads(bytes(body[_LENGTH:place]))
    arrays = {}
    for name, dtype, shape in content["arrays"]:
        if dtype not in _DTYPES or not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"array {name!r} of dtype {dtype!r} and shape {shape!r}")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > len(body) - place:
            raise ValueError(f"array {name!r} longer than the file")
        arrays[name] = np.frombuffer(body[place : place + size], dtype).reshape(shape)
        place += size
    if place != len(body) or not isinstance(content["header"], dict):
        raise ValueError(f"{len(body) - place} bytes too many" if place != len(body) else "no header")
    return content["header"], arrays

"""Files of several images: NumPy's `.npy` and `.npz`, and NIfTI, whose images are read a few at a time."""

from __future__ import annotations

import gzip
import io
import logging
import math
import zipfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._images import files, grey
from fingerprint._images.arrays import is_colour
from fingerprint._images.files import UnusableError, opened, size_of, unpacked
from fingerprint._images.grey import AIR, Decoded, scale_remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint._base.types import Array
    from fingerprint._images.grey import Member

_HEADER = 10_000  # bytes that say what an array is
_CHUNK = 2**22  # bytes of a compressed stream that are unpacked at a time


@dataclass(frozen=True)
class Stack:
    """Images of one size that lie one after the other in a file, from byte `begin` on.

    Parameters
    ----------
    shape : tuple of int
        (n, h, w); (h, w) of a single image, whose name has no number.
    dtype : str
        Of the numbers in the file.
    begin : int
        Where the first image begins, in bytes.
    scale : (float, float), optional
        Slope and intercept of values that are stored scaled, as NIfTI has them.
    added : int
        See `Decoded`.
    patient, levels
        See `Decoded`.
    """

    shape: tuple[int, ...]
    dtype: str
    begin: int
    scale: tuple[float, float] | None = None
    added: int = 0
    patient: str | None = None
    levels: float | None = None

    @property
    def count(self) -> int:
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def numbered(self) -> bool:
        return len(self.shape) == 3

    @property
    def image_bytes(self) -> int:
        return math.prod(self.shape[-2:]) * np.dtype(self.dtype).itemsize

    def read(self, path: str, start: int, stop: int) -> Decoded:
        """Return images start to stop of the file."""
        with opened(path) as file:
            file.seek(self.begin + start * self.image_bytes)
            return self.next_of(file, stop - start)

    def next_of(self, stream: Any, count: int) -> Decoded:
        """Return the next images of a stream."""
        data = stream.read(count * self.image_bytes)
        if len(data) < count * self.image_bytes:
            raise UnusableError("shorter than its header says")
        values: Array = np.frombuffer(data, self.dtype).reshape(count, *self.shape[-2:])
        if self.scale is not None:
            from nibabel.volumeutils import apply_read_scaling

            values = apply_read_scaling(values, *map(np.asanyarray, self.scale))
        return Decoded(values, self.added, None, self.patient, self.levels)

    def checked(self, size: int) -> Stack:
        """Return the stack if a file of `size` bytes can hold it, and its images can be used."""
        grey.limit(self.shape[-1], self.shape[-2])
        if self.begin + self.count * self.image_bytes > size:
            raise UnusableError(f"{size} bytes, fewer than shape {self.shape} and dtype {self.dtype} need")
        return self

    def parts(self, stream: Any) -> Iterator[tuple[int, Decoded]]:
        """Yield the images of a stream that stands at the first of them, some at a time, with the number of each."""
        step = max(1, _CHUNK // self.image_bytes)
        for start in range(0, self.count, step):
            yield start, self.next_of(stream, min(step, self.count - start))


def npy(path: str) -> Iterator[Member]:
    """Yield the images of a `.npy` file."""
    with opened(path) as file:
        shape, fortran, dtype = _npy_header(file)
        stack = _images_of(shape, dtype, file.tell()).checked(size_of(file))
        if not fortran:
            yield "", stack
            return
        files.limit_bytes(size_of(file), 4 * files.BYTES)
        values = np.frombuffer(file.read(stack.count * stack.image_bytes), dtype).reshape(shape, order="F")
    yield from _numbered("", 0, Decoded(values.reshape(stack.count, *stack.shape[-2:])), single=not stack.numbered)


def npz(path: str) -> Iterator[Member]:
    """Yield the images of a `.npz` file.

    Arrays of fewer than two axes are none, nor are tables of labels: arrays of two axes, of which one is 1, or as many
    rows as a stack in the file has images.
    """
    with opened(path) as file, zipfile.ZipFile(file) as archive:
        headers = [(member, files.attempted(_header_in, archive, member)) for member in archive.infolist()]
        counts = {found[0][0] for _, found in headers if not isinstance(found, str) and len(found[0]) > 2}
        others = 0
        for member, found in headers:
            key = f"[{member.filename.removesuffix('.npy')}]"
            if isinstance(found, str):
                yield key, found
                continue
            shape = found[0]
            if len(shape) < 2 or (len(shape) == 2 and (1 in shape or shape[0] in counts)):
                others += 1
                continue
            try:
                yield from _images_in(archive, member, key, *found)
            except Exception as error:
                yield key, files.reason(error)
        if others == len(headers):
            raise UnusableError("holds no (h, w) or (n, h, w) array")
        if others:
            yield "", others


def _header_in(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    with archive.open(member) as stream:
        return *_npy_header(stream), stream.tell()


def _images_in(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    key: str,
    shape: tuple[int, ...],
    fortran: bool,
    dtype: np.dtype[Any],
    begin: int,
) -> Iterator[Member]:
    """Yield the images of an array in an archive."""
    stack = _images_of(shape, dtype, begin).checked(member.file_size)
    with unpacked(partial(archive.open, member), member.file_size, member.compress_size) as stream:
        stream.seek(begin)
        if fortran:
            files.limit_bytes(member.file_size, 4 * files.BYTES)
            values = np.frombuffer(stream.read(), dtype).reshape(shape, order="F")
            parts = iter([(0, Decoded(values.reshape(stack.count, *stack.shape[-2:])))])
        else:
            parts = stack.parts(stream)
        for start, part in parts:
            yield from _numbered(key, start, part, single=len(stack.shape) == 2)


def nifti(path: str) -> Iterator[Member]:
    """Yield the slices of a NIfTI volume, along its last axis."""
    with opened(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        size = size_of(file)
    open_stream = partial(gzip.open, path) if packed else partial(opened, path)
    with open_stream() as stream:
        stack = _volume_of(stream)
        if not packed:
            stack.checked(size)
        elif np.dtype(stack.dtype).kind == "f":
            files.limit_unpacked(stack.begin + stack.count * stack.image_bytes, size)
        if np.dtype(stack.dtype).kind == "f":
            stream.seek(stack.begin)
            for _, part in stack.parts(stream):
                if (part.values != np.rint(part.values)).any():
                    raise UnusableError("values that are not whole numbers; scale and round the volume")
    if not packed:
        yield "", stack
        return
    with unpacked(open_stream, stack.begin + stack.count * stack.image_bytes, size) as stream:
        stream.seek(stack.begin)
        for start, part in stack.parts(stream):
            yield from _numbered("", start, part)


def _numbered(key: str, start: int, part: Decoded, *, single: bool = False) -> Iterator[Member]:
    for i, image in enumerate(part.values, start):
        yield key if single else f"{key}[{i}]", part._replace(values=image)


def _npy_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    begin = stream.read(8)
    if begin[:6] != b"\x93NUMPY":
        raise UnusableError(f"no .npy file (begins with {begin[:6]!r})")
    readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if begin[6] not in readers:
        raise UnusableError(f"version {begin[6]} of .npy, expected 1 or 2; save it by np.save")
    size = stream.read(2 * begin[6])
    length = int.from_bytes(size, "little")
    if length > _HEADER:
        raise UnusableError(f"a header of {length} bytes, more than the limit of {_HEADER}")
    shape, fortran, dtype = readers[begin[6]](io.BytesIO(size + stream.read(length)))
    if dtype.hasobject:
        raise UnusableError("Python objects, which are never read; save an array of integers")
    return shape, fortran, dtype


def _images_of(shape: tuple[int, ...], dtype: np.dtype[Any], begin: int) -> Stack:
    """Return how an array of a file holds images."""
    flat = shape
    if len(shape) == 4 and 1 in (shape[1], shape[3]):  # one channel
        flat = (shape[0], *shape[2:]) if shape[1] == 1 else shape[:3]
    if is_colour(flat):
        raise UnusableError(f"colour, shape {shape}; convert to grey first")
    if len(flat) not in (2, 3) or dtype.kind not in "bui" or 0 in flat:
        raise UnusableError(
            f"expected (h, w) or (n, h, w) integers, got shape {shape} and dtype {dtype}{scale_remedy(dtype)}"
        )
    if len(flat) == 2 and 1 in flat:
        raise UnusableError(f"shape {shape}, which looks like labels and not like an image")
    return Stack(flat, dtype.str, begin)


def _volume_of(stream: Any) -> Stack:
    """Return how a NIfTI volume holds slices."""
    import nibabel

    first = stream.read(540)
    second = 540 in (int.from_bytes(first[:4], "little"), int.from_bytes(first[:4], "big"))
    kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
    header = kind(first[: kind.template_dtype.itemsize], check=False)
    header.check_fix(logger=_SILENT)
    shape, dtype = tuple(map(int, header.get_data_shape())), header.get_data_dtype()
    if len(shape) < 3 or any(length != 1 for length in shape[3:]) or min(shape) < 1 or dtype.kind not in "uif":
        raise UnusableError(f"expected (x, y, z) numbers, got shape {shape} and dtype {dtype}; save one volume a file")
    slope, inter = header.get_slope_inter()
    scale = (1.0, 0.0) if slope is None else (slope, inter)
    coarse = None if dtype.kind == "f" else grey.levels(scale[0], scale[1], 8 * dtype.itemsize)
    unsigned = dtype.kind == "u" and scale == (1, 0)
    begin = max(header.get_data_offset(), kind.template_dtype.itemsize)
    return Stack(shape[2::-1], dtype.str, begin, scale, 0 if unsigned else -AIR, "", coarse)


_SILENT = logging.Logger("nibabel", logging.CRITICAL + 1)  # nibabel's own writes to stderr

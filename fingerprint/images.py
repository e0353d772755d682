"""Images: folders, files, arrays and streams of them as stacks of 8-bit or 16-bit grey pixels."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
import threading
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from fingerprint import _check, _threads
from fingerprint._check import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

Array = NDArray[Any]
Source: TypeAlias = "str | PathLike[str] | Array | Slices | Iterable[Source]"

_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
_DICOM = (".dcm", ".dicom")
_NIFTI = (".nii", ".nii.gz")
_ARRAYS = (".npy", ".npz")
_SUFFIXES = _PICTURES + _DICOM + _NIFTI + _ARRAYS
_UNSUPPORTED = (".gif", ".webp", ".jp2", ".j2k", ".avif", ".heic", ".pgm", ".ppm", ".exr", ".mha", ".nrrd")

_PIXELS = 2**26  # of one image: 8192 x 8192
_BYTES = 2**30  # of one file that is read as a whole
_OFFSET = 1024  # added to values that may be negative: air is -1000 Hounsfield units
_LOAD_BLOCK = 32  # images one thread decodes at a time in `load`
_SHOWN = 12  # layouts quoted in an error message
_WHAT = "a folder, a path, an (n, h, w) array, Slices, or a list or iterator of these"


@dataclass(frozen=True)
class Failure:
    """A file that could not be used.

    Parameters
    ----------
    name : str
        Of the file or of the image in it, as it would stand in `Slices.names`.
    reason : str
        Why, and what to do about it where that is known.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Layout:
    """What all images of a collection have in common.

    Parameters
    ----------
    height, width : int
        Of every image, in pixels.
    dtype : str
        ``"uint8"`` or ``"uint16"``.
    origin : str
        Name of the first image that has it, for messages. Not compared.
    """

    height: int
    width: int
    dtype: str
    origin: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return height, width and depth."""
        return f"{self.height}x{self.width} {8 * np.dtype(self.dtype).itemsize}-bit"


def _layout(pixels: Array, origin: str = "") -> Layout:
    return Layout(pixels.shape[-2], pixels.shape[-1], pixels.dtype.name, origin)


@dataclass(frozen=True, eq=False, repr=False)
class Slices:
    """A stack of grey images of one size.

    Parameters
    ----------
    pixels : ndarray
        (n, h, w) uint8 or uint16, C-contiguous and read-only. Not copied where it is contiguous already.
    names : tuple of str
        n names.
    failed : tuple of Failure
        Files that could not be used.
    ignored : int
        Files that are no images.

    Raises
    ------
    InputError
        If pixels and names do not go together.
    """

    pixels: Array
    names: tuple[str, ...]
    failed: tuple[Failure, ...] = ()
    ignored: int = 0

    def __post_init__(self) -> None:
        pixels = self.pixels
        if getattr(pixels, "ndim", 0) != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise InputError(f"pixels: expected an (n, h, w) array of uint8 or uint16, got {_check.describe(pixels)}")
        if len(self.names) != len(pixels):
            raise InputError(f"names: expected one for each of the {len(pixels)} images, got {len(self.names)}")
        view = np.ascontiguousarray(pixels).view()
        view.flags.writeable = False
        object.__setattr__(self, "pixels", view)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "failed", tuple(self.failed))

    def __reduce__(self) -> tuple[type[Slices], tuple[Array, tuple[str, ...], tuple[Failure, ...], int]]:
        # through the constructor, as arrays are writeable again after unpickling
        return Slices, (self.pixels, self.names, self.failed, self.ignored)

    def __repr__(self) -> str:
        notes = f", {len(self.failed)} failed" * bool(self.failed) + f", {self.ignored} ignored" * bool(self.ignored)
        return f"<Slices: {len(self)} images of {self.height}x{self.width}, {self.pixels.dtype}{notes}>"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Slices: ...
    def __getitem__(self, index: int | slice) -> Array | Slices:
        """Return the pixels of one image, (h, w); or some images as `Slices`, without what failed or was ignored."""
        if isinstance(index, slice):
            return Slices(self.pixels[index], self.names[index])
        image: Array = self.pixels[index]
        return image

    @property
    def height(self) -> int:
        """Return the height of every image, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Return the width of every image, in pixels."""
        return int(self.pixels.shape[2])

    @property
    def layout(self) -> Layout | None:
        """Return size and depth; None where there is no image."""
        return _layout(self.pixels, self.names[0]) if self.names else None


def natural_key(name: str) -> tuple[object, ...]:
    """Return a sort key that orders the numbers in names by value: ``img2`` before ``img10``.

    Parameters
    ----------
    name : str
        Any text. Different texts have different keys.

    Returns
    -------
    tuple
        To be compared with other such keys only.

    Examples
    --------
    >>> sorted(["img10", "img2", "img02"], key=natural_key)
    ['img02', 'img2', 'img10']
    """
    parts: list[object] = re.split("([0-9]+)", name)
    for i in range(1, len(parts), 2):
        digits = str(parts[i]).lstrip("0")
        parts[i] = (len(digits), digits)
    return (parts, name)


def load(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    on_error: str = "collect",
    recursive: bool = False,
    threads: int | None = None,
    progress: bool = False,
    argument: str = "source",
) -> Slices:
    """Read a collection of grey images into memory.

    Pixels are kept exactly, 8-bit and 16-bit. Palettes, opaque alpha, colour images that are grey and 1-bit images
    (0 and 255) are converted; an image in true colour, with transparency, or of several pages cannot be used.

    Parameters
    ----------
    source : path, list of paths, ndarray, Slices, or iterator of these
        A folder (images in natural order of their names, named by the path inside it); a file; an (n, h, w) array of
        integers or bool, its images named by their position; `Slices`; or a list or iterator of any of these.
        PNG, TIFF, JPEG and BMP; ``.npy`` and ``.npz`` (of 2-d images and 3-d stacks); with the extra ``medical`` also
        DICOM and NIfTI (slices along the last axis, its second axis running down). DICOM and NIfTI values that may be
        negative, such as Hounsfield units, have 1024 added; MONOCHROME1 is inverted.
        Integers of more than 8 bits are kept as uint16 and have to lie within 0 and 65535.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Slices.failed`, or raise.
    recursive : bool
        Also read the folders inside folders.
    threads : int, optional
        Threads to decode on; one for each available core by default. Never changes the result.
    progress : bool
        Show a bar on stderr.
    argument : str
        What error messages call the source.

    Returns
    -------
    Slices
        In the order of the source. Its images and failures together are as many as the images of the source.

    Raises
    ------
    InputError
        If there is no usable image, the images differ in size (without `size`) or depth, or an argument is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> import fingerprint
    >>> fingerprint.load(np.zeros((3, 8, 6), np.uint16))
    <Slices: 3 images of 8x6, uint16>
    """
    how = _How(argument, _size(size), _check.choice("on_error", on_error, ("collect", "raise")), bool(recursive))
    workers = _threads.resolve(threads)
    if isinstance(source, Slices) and size is None and len(source):
        return source
    entries = _entries(source, how)
    whole = len(entries) == 1 and isinstance(entries[0], np.ndarray) and size is None
    tasks = _tasks(entries, how, sys.maxsize if whole else _LOAD_BLOCK)
    known = None if whole else _count(entries)
    with _threads.bar(progress, unit="image", total=known) as advance:
        found = _joined(_uniform(tasks, how, workers, advance), known)
    if not len(found):
        raise none_usable(source, found.failed, argument=argument)
    return found


def _uniform(tasks: Iterator[Task], how: _How, threads: int, advance: Callable[[int], object]) -> Iterator[Slices]:
    """Yield the blocks; if they are of several layouts, raise at the end, when all are known."""
    layouts: dict[Layout, None] = {}
    for found in _threads.map_ordered(Task.read, tasks, threads=threads):
        if not isinstance(found, Slices):
            layouts |= dict.fromkeys(found)
            continue
        if found.layout:
            layouts.setdefault(found.layout)
        if len(layouts) < 2:
            yield found
        advance(len(found) + len(found.failed))
    if len(layouts) > 1:
        raise _mixed(how.argument, layouts)


def blocks(
    source: Source,
    *,
    block: int = 256,
    size: int | tuple[int, int] | None = None,
    on_error: str = "collect",
    recursive: bool = False,
    threads: int | None = None,
) -> Iterator[Slices]:
    """Read a collection of grey images block by block, decoding ahead on threads.

    Parameters
    ----------
    source : path, list of paths, ndarray, Slices, or iterator of these
        As for `load`; an iterator is consumed as slowly as the blocks are.
    block : int
        Images of a block.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Slices.failed`, or raise.
    recursive : bool
        Also read the folders inside folders.
    threads : int, optional
        Threads to decode on; one for each available core by default. Never changes the result.

    Yields
    ------
    Slices
        Up to `block` images, and the failures among them. At most twice as many blocks as threads are held.

    Raises
    ------
    InputError
        As `load`; at the call where the source or an argument is wrong, else where the stream comes to it.

    Examples
    --------
    >>> import numpy as np
    >>> import fingerprint
    >>> [len(part) for part in fingerprint.blocks(np.zeros((5, 8, 8), np.uint8), block=2)]
    [2, 2, 1]
    """
    tasks = plan(source, block=block, size=size, on_error=on_error, recursive=recursive)
    return _read(source, tasks, _threads.resolve(threads))


def _read(source: Source, tasks: Iterator[Task], threads: int) -> Iterator[Slices]:
    layout: Layout | None = None
    failed: list[Failure] = []
    for part in _threads.map_ordered(Task.__call__, tasks, threads=threads):
        layout = agree(layout, part)
        failed += part.failed if layout is None else ()
        yield part
    if layout is None:
        raise none_usable(source, failed)


def plan(
    source: Source,
    *,
    block: int,
    size: int | tuple[int, int] | None = None,
    on_error: str = "collect",
    recursive: bool = False,
    expect: Layout | Slices | None = None,
    argument: str = "source",
) -> Iterator[Task]:
    """Cut a collection into blocks that are read later, by other threads, processes or machines.

    What each task returns is uniform in size and depth. That the tasks agree with each other is certain with `expect`;
    without it their reader calls `agree` on each, in order.

    Parameters
    ----------
    source, size, on_error, recursive
        As for `blocks`.
    block : int
        Most images of a task.
    expect : Layout or Slices, optional
        Size and depth that every image must have, such as those of the real images.
    argument : str
        What error messages call the source.

    Yields
    ------
    Task
        To be called without arguments. Over all tasks, images and failures are as many as the images of the source.

    Raises
    ------
    InputError
        At the call where the source or an argument is wrong; else by the task that comes to it.
    """
    _check.integer("block", block, minimum=1)
    _check.choice("on_error", on_error, ("collect", "raise"))
    layout = expect.layout if isinstance(expect, Slices) else expect
    how = _How(argument, _size(size), on_error, bool(recursive), layout)
    return _tasks(_entries(source, how), how, block)


def count(source: Source, *, recursive: bool = False, argument: str = "source") -> int | None:
    """Return how many images a collection has, failing ones included, without reading them.

    Parameters
    ----------
    source, recursive
        As for `blocks`.
    argument : str
        What error messages call the source.

    Returns
    -------
    int or None
        None where only reading it can tell: iterators, and files that may hold several images.

    Raises
    ------
    InputError
        If the source is wrong.
    """
    return _count(_entries(source, _How(argument, None, "collect", recursive)))


def pick(
    source: Source,
    names: Sequence[str],
    *,
    size: int | tuple[int, int] | None = None,
    recursive: bool = False,
    argument: str = "source",
) -> Slices:
    """Read some images of a collection again.

    Parameters
    ----------
    source, size, recursive
        As for `blocks`.
    names : sequence of str
        Names as `blocks` gives them; of several images of one name the first is meant.
    argument : str
        What error messages call the source.

    Returns
    -------
    Slices
        The images of these names, in this order.

    Raises
    ------
    InputError
        If the source is an iterator, or has no usable image of a name.
    """
    how = _How(argument, _size(size), "collect", recursive)
    entries = _entries(source, how)
    if any(isinstance(entry, _Later) for entry in entries):
        raise InputError(f"{argument}: an iterator cannot be read a second time; pass a folder, a list or an array")
    several = _ARRAYS + _NIFTI
    needed = [
        entry
        for entry in entries
        if not isinstance(entry, _File) or entry.name in names or entry.path.lower().endswith(several)
    ]
    found: dict[str, Array] = {}
    for task in _tasks(needed, how, _LOAD_BLOCK):
        part = task()
        for name, image in zip(part.names, part.pixels, strict=True):
            if name in names:
                found.setdefault(name, image.copy())
    for name in names:
        if name not in found:
            raise InputError(f"{argument}: expected a usable image named {name!r}, found none")
    return Slices(np.stack([found[name] for name in names]), tuple(names))


def agree(layout: Layout | None, part: Slices, *, argument: str = "source") -> Layout | None:
    """Hold the next block of a stream against the first image of the stream.

    To be called in the order of the stream, so that the error is the same whoever read the blocks, and when.

    Parameters
    ----------
    layout : Layout or None
        What this function returned for the block before; None for the first block.
    part : Slices
        The block.
    argument : str
        What error messages call the source.

    Returns
    -------
    Layout or None
        Of the first image; None as long as there was none.

    Raises
    ------
    InputError
        If the images of the block differ from the first one in size or depth.
    """
    found = part.layout
    if layout is not None and found is not None and layout != found:
        raise _mixed(argument, [layout, found])
    return layout or found


def concatenate(first: Slices, *others: Slices, argument: str = "source") -> Slices:
    """Join collections of one size and depth.

    Parameters
    ----------
    first, *others : Slices
        Not changed.
    argument : str
        What error messages call them.

    Returns
    -------
    Slices
        All images, failures and counts, in this order.

    Raises
    ------
    InputError
        If sizes or depths differ.
    """
    layout: Layout | None = None
    for part in (first, *others):
        layout = agree(layout, part, argument=argument)
    return _joined((first, *others), sum(map(len, (first, *others))))


def none_usable(source: Source, failed: Iterable[Failure], *, argument: str = "source") -> InputError:
    """Return the error that says that no image of a source could be used.

    Parameters
    ----------
    source : path, list of paths, ndarray, Slices, or iterator of these
        Named in the message if it is a path.
    failed : iterable of Failure
        Its failures; the first is quoted.
    argument : str
        What the message calls the source.

    Returns
    -------
    InputError
        To be raised.
    """
    failures = list(failed)
    where = f" in {os.fspath(source)}" if isinstance(source, str | os.PathLike) else ""
    found = f"; {len(failures)} failed, first {failures[0].name}: {failures[0].reason}" if failures else ""
    return InputError(f"{argument}: expected at least one usable image{where}, got none{found}")


# --- Blocks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _How:
    """Options of reading."""

    argument: str
    size: tuple[int, int] | None
    on_error: str
    recursive: bool
    expect: Layout | None = None


@dataclass(frozen=True)
class Task:
    """One block of a collection, to be read when it is called; can be pickled.

    Parameters
    ----------
    parts : tuple
        Files, ranges of files, or pixels.
    how
        Options of `plan`.
    ignored : int
        Files that are no images, counted by this block.
    """

    parts: tuple[_Part, ...]
    how: _How
    ignored: int = 0

    def __call__(self) -> Slices:
        """Read the block.

        Returns
        -------
        Slices
            As many images and failures as the block has.

        Raises
        ------
        InputError
            If images differ in size or depth, or on request if a file cannot be used.
        """
        found = self.read()
        if isinstance(found, Slices):
            return found
        raise _mixed(self.how.argument, found, expected=self.how.expect is not None)

    def read(self) -> Slices | tuple[Layout, ...]:
        """Read the block; if images differ in size or depth, return what was found instead."""
        how, expect = self.how, self.how.expect
        match self.parts:
            case (_Held() as held,) if held.fits(how):
                return Slices(held.pixels, tuple(map(str, held.names)), (), self.ignored)
        layouts: dict[Layout, None] = {expect: None} if expect else {}
        out: Array | None = None
        names: list[str] = []
        failed: list[Failure] = []
        for part in self.parts:
            if isinstance(part, _Known):
                failed += part.failed
                continue
            for name, found in part.images(how):
                if isinstance(found, str):
                    if how.on_error == "raise":
                        raise InputError(f"{how.argument}: {name}: {found}")
                    failed.append(Failure(name, found))
                    continue
                pixels = _resampled(found, how.size) if how.size and found.shape != how.size else found
                if out is None or pixels.shape != out.shape[1:] or pixels.dtype != out.dtype:
                    layouts.setdefault(_layout(pixels, name))
                    if len(layouts) > 1:
                        continue
                    out = np.empty((sum(part.count for part in self.parts), *pixels.shape), pixels.dtype)
                out[len(names)] = pixels
                names.append(name)
        if len(layouts) > 1:
            return tuple(layouts)
        if out is None:
            empty = (0, expect.height, expect.width) if expect else (0, 0, 0)
            out = np.empty(empty, expect.dtype if expect else np.uint8)
        return Slices(out[: len(names)], tuple(names), tuple(failed), self.ignored)


def _mixed(argument: str, layouts: Iterable[Layout], *, expected: bool = False) -> InputError:
    found = list(layouts)
    shown = [f"{layout} ({layout.origin})" for layout in found]
    if len(found) > _SHOWN:
        shown[_SHOWN:] = [f"and {len(found) - _SHOWN} more"]
    first = found[0]
    remedies = []
    if any((layout.height, layout.width) != (first.height, first.width) for layout in found):
        remedies.append(f"pass size=({first.height}, {first.width}) to resample")
    if any(layout.dtype != first.dtype for layout in found):
        remedies.append("save all with the same bit depth")
    rule = f"height x width {first} like {first.origin}" if expected else "one height x width and bit depth"
    shown = shown[expected:]
    return InputError(f"{argument}: expected {rule}, got {', '.join(shown)}; {' and '.join(remedies)}")


def _joined(parts: Iterable[Slices], known: int | None = None) -> Slices:
    """Join blocks of one layout, holding few of them if it is known how many images there are at most."""
    names: list[str] = []
    failed: list[Failure] = []
    ignored = 0
    out: Array | None = None
    held: list[Array] = []
    for part in parts:
        names += part.names
        failed += part.failed
        ignored += part.ignored
        if known is None:
            held.append(part.pixels)
        elif len(part):
            if out is None:
                out = np.empty((known, *part.pixels.shape[1:]), part.pixels.dtype)
            out[len(names) - len(part) : len(names)] = part.pixels
    held = [pixels for pixels in held if len(pixels)][::-1]
    if len(held) == 1:
        out = held[0]
    elif held:
        out = np.empty((len(names), *held[0].shape[1:]), held[0].dtype)
        start = 0
        while held:
            pixels = held.pop()  # to let go of it
            out[start : start + len(pixels)] = pixels
            start += len(pixels)
    if out is None:
        out = np.empty((0, 0, 0), np.uint8)
    return Slices(out[: len(names)], tuple(names), tuple(failed), ignored)


def _resampled(pixels: Array, size: tuple[int, int]) -> Array:
    from PIL import Image

    image = Image.fromarray(pixels.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    rounded: Array = np.rint(np.asarray(image)).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return rounded


def _size(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, tuple | list) and len(size) == 2:
        height, width = (_check.integer("size", side, minimum=1) for side in size)
    else:
        height = width = _check.integer("size", size, minimum=1)
    if height * width > _PIXELS:
        raise InputError(f"size: expected at most {_PIXELS} pixels, got {height}x{width}")
    return height, width


# --- What a source consists of ---------------------------------------------------------------------------------------


class _Whole:
    """Base of what cannot be cut."""

    count = 1

    def cut(self, *_: int) -> Self:
        return self


@dataclass(frozen=True)
class _File(_Whole):
    """One image in one file."""

    path: str
    name: str

    def images(self, _: _How) -> Iterator[tuple[str, Array | str]]:
        yield self.name, _attempted(_decoded, self.path)


@dataclass(frozen=True)
class _Stack:
    """Images start to stop of a `.npy` or NIfTI file; of the only image of a file, `single`, the name has no number."""

    path: str
    name: str
    start: int
    stop: int
    single: bool = False

    @property
    def count(self) -> int:
        return self.stop - self.start

    def cut(self, start: int, stop: int) -> _Stack:
        return replace(self, start=self.start + start, stop=self.start + stop)

    def images(self, _: _How) -> Iterator[tuple[str, Array | str]]:
        read = _npy_range if self.path.lower().endswith(".npy") else _nifti_range
        found = _attempted(read, self.path, self.start, self.stop)
        for i in range(self.start, self.stop):
            name = self.name if self.single else f"{self.name}[{i}]"
            if isinstance(found, str):
                yield name, found
            else:
                pixels, offset = found
                yield name, _attempted(_whole, pixels[i - self.start], offset)


@dataclass(frozen=True)
class _Held:
    """Images in memory."""

    pixels: Array
    names: tuple[str, ...] | range
    reused: bool = False  # by an iterator that may write its next item into the same array

    @property
    def count(self) -> int:
        return len(self.pixels)

    def cut(self, start: int, stop: int) -> _Held:
        pixels = self.pixels[start:stop]
        return _Held(pixels.copy() if self.reused else pixels, self.names[start:stop])

    def fits(self, how: _How) -> bool:
        """Say whether the pixels are what is wanted, as they are."""
        right = how.size is None and how.expect in (None, _layout(self.pixels))
        return right and self.pixels.dtype in (np.uint8, np.uint16)

    def images(self, how: _How) -> Iterator[tuple[str, Array | str]]:
        for name, pixels in zip(self.names, self.pixels, strict=True):
            found = _attempted(_whole, pixels)
            if isinstance(found, str) and isinstance(self.names, range):
                raise InputError(f"{how.argument}: image {name}: {found}")
            yield str(name), found


@dataclass(frozen=True)
class _Lost(_Whole):
    """A file of which it is not even known how many images it has."""

    failure: Failure

    def images(self, _: _How) -> Iterator[tuple[str, Array | str]]:
        yield self.failure.name, self.failure.reason


@dataclass(frozen=True)
class _Known:
    """Failures that the caller has seen already, in `Slices`."""

    failed: tuple[Failure, ...]

    @property
    def count(self) -> int:
        return len(self.failed)

    def cut(self, start: int, stop: int) -> _Known:
        return _Known(self.failed[start:stop])


@dataclass(frozen=True)
class _Wrong(_Whole):
    """A wrong item of an iterator, to be raised when the stream comes to it."""

    message: str

    def images(self, _: _How) -> Iterator[tuple[str, Array | str]]:
        raise InputError(self.message)


_Part: TypeAlias = _File | _Stack | _Held | _Lost | _Known | _Wrong


@dataclass(frozen=True)
class _Ignored:
    count: int


@dataclass(frozen=True)
class _Later:
    """An iterator, not yet consumed."""

    items: Iterable[Source]


_Entry: TypeAlias = _File | _Lost | _Ignored | _Later | Slices | Array


def _count(entries: Iterable[_Entry]) -> int | None:
    """Return how many images and failures there are; None if only reading tells."""
    total = 0
    for entry in entries:
        if isinstance(entry, _Later) or (isinstance(entry, _File) and entry.path.lower().endswith(_ARRAYS + _NIFTI)):
            return None
        if isinstance(entry, Slices):
            total += len(entry) + len(entry.failed)
        elif isinstance(entry, np.ndarray):
            total += len(entry)
        elif not isinstance(entry, _Ignored):
            total += entry.count
    return total


def _entries(source: Source, how: _How) -> list[_Entry]:
    """Return what a source consists of, as far as that is known before an iterator is consumed."""
    entries = list(_found(source, how, inside=True))
    if not entries:
        raise InputError(f"{how.argument}: expected {_WHAT}, got an empty {type(source).__name__}")
    return entries


def _found(source: Any, how: _How, *, inside: bool = False) -> Iterator[_Entry]:
    if isinstance(source, str | os.PathLike):
        yield from _at(os.fspath(source), how, inside=inside)
    elif isinstance(source, Slices):
        yield source
    elif isinstance(source, list | tuple):
        for item in source:
            yield from _found(item, how)
    elif hasattr(source, "__array__"):
        yield _stack_of_integers(np.asarray(source), how)
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | Mapping | Set):
        yield _Later(source)
    else:
        raise InputError(f"{how.argument}: expected {_WHAT}, got {_check.describe(source)}")


def _stack_of_integers(array: Array, how: _How) -> Array:
    what = f"{how.argument}: expected an (n, h, w) array of integers"
    got = f"got {_check.describe(array)}"
    if array.ndim == 2:
        raise InputError(f"{what}, {got}; pass a single image as image[None]")
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        axis = 1 if array.shape[1] == 1 else 3
        raise InputError(f"{what}, {got}; remove the channel by images.squeeze({axis})")
    if array.ndim != 3:
        raise InputError(f"{what}, {got}")
    if array.dtype.kind not in "bui":
        raise InputError(f"{what}, {got}{_scale_remedy(array.dtype)}")
    if 0 in array.shape:
        raise InputError(f"{what}, none of them 0, {got}")
    return array


def _scale_remedy(dtype: np.dtype[Any]) -> str:
    return "; convert, for values from 0 to 1 by np.rint(images * 255).astype(np.uint8)" if dtype.kind == "f" else ""


def _at(path: object, how: _How, *, inside: bool) -> Iterator[_Entry]:
    """Yield what is at a path; names of files in a folder are paths inside it, or begin with the folder."""
    if not isinstance(path, str):
        raise InputError(f"{how.argument}: expected paths as text, got {_check.describe(path)}")
    where = Path(path)
    try:
        mode = where.stat().st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISDIR(mode):
        yield from _in_folder(path, "" if inside else f"{where.as_posix()}/", how)
    elif stat.S_ISREG(mode) or (not mode and not inside and path.lower().endswith(_SUFFIXES)):
        yield _File(path, _printable(where.as_posix()))
    else:
        raise InputError(f"{how.argument}: expected an existing folder or file, got {path!r}")


def _in_folder(folder: str, prefix: str, how: _How) -> Iterator[_Entry]:
    files: list[_File | _Lost] = []
    ignored = folders = 0
    seen: set[tuple[int, int]] = set()
    linked: list[tuple[str, str]] = []
    waiting = [(folder, prefix)]
    while waiting or linked:
        # folders before links to them, and each once: links may form a loop
        path, name = waiting.pop() if waiting else linked.pop(0)
        try:
            status = Path(path).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as scan:
                entries = sorted(scan, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if path == folder:
                raise InputError(f"{how.argument}: cannot read the folder {folder}: {_reason(error)}") from None
            files.append(_Lost(Failure(_printable(name.rstrip("/")), _reason(error))))
            continue
        for entry in entries:
            hidden = entry.name.startswith(".")
            if entry.is_dir():
                folders += 1
                if how.recursive and not hidden:
                    (linked if entry.is_symlink() else waiting).append((entry.path, f"{name}{entry.name}/"))
            elif (
                not hidden
                and entry.name.lower().endswith(_SUFFIXES + _UNSUPPORTED)
                and (entry.is_file() or entry.is_symlink())  # reading a pipe would never end; a dead link is a failure
            ):
                files.append(_File(entry.path, _printable(name + entry.name)))
            else:
                ignored += 1
    if not files:
        other = f"{ignored} other files" if ignored else "no file"
        remedy = "; pass recursive=True to read the folders in it" if folders and not how.recursive else ""
        raise InputError(
            f"{how.argument}: expected images ({', '.join(_SUFFIXES)}) in the folder {folder}, got {other}{remedy}"
        )
    if ignored:
        yield _Ignored(ignored)
    yield from sorted(files, key=lambda file: natural_key(file.name if isinstance(file, _File) else file.failure.name))


def _printable(name: str) -> str:
    """Return the name with what is not UTF-8 written as escapes, so that it can be printed and saved."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8") if not name.isascii() else name


def _tasks(entries: Iterable[_Entry], how: _How, block: int) -> Iterator[Task]:
    parts: list[_Part] = []
    room, ignored = block, 0
    for part in _opened(entries, how, [0]):
        if isinstance(part, _Ignored):
            ignored += part.count
            continue
        start = 0
        while start < part.count:
            stop = min(part.count, start + room)
            parts.append(part.cut(start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield Task(tuple(parts), how, ignored)
                parts, room, ignored = [], block, 0
    if parts or ignored:
        yield Task(tuple(parts), how, ignored)


def _opened(
    entries: Iterable[_Entry], how: _How, seen: list[int], *, reused: bool = False
) -> Iterator[_Part | _Ignored]:
    """Yield the parts of entries; `seen` counts the images of arrays, as they are named by their position."""
    for entry in entries:
        if isinstance(entry, _Later):
            for item in entry.items:
                try:
                    found = list(_found(item, how))
                except InputError as error:
                    yield _Wrong(str(error))
                    return
                yield from _opened(found, how, seen, reused=True)
        elif isinstance(entry, Slices):
            yield _Ignored(entry.ignored)
            yield _Known(entry.failed)
            yield _Held(entry.pixels, entry.names)
        elif isinstance(entry, np.ndarray):
            yield _Held(entry, range(seen[0], seen[0] + len(entry)), reused)
            seen[0] += len(entry)
        elif isinstance(entry, _File):
            yield from _parts_of(entry)
        else:
            yield entry


def _parts_of(file: _File) -> Iterator[_Part | _Ignored]:
    """Yield one file, or the images of a file that may have several."""
    path = file.path.lower()
    if path.endswith(".npz"):
        yield from _npz(file)
    elif path.endswith((".npy", *_NIFTI)):
        found = _attempted(_npy if path.endswith(".npy") else _nifti, file)
        yield from [_Lost(Failure(file.name, found))] if isinstance(found, str) else found
    else:
        yield file


# --- Files -----------------------------------------------------------------------------------------------------------


class _UnusableError(Exception):
    """Says why a file cannot be used."""


def _attempted(read: Any, *arguments: Any) -> Any:
    """Return what `read` returns, or the reason why it failed, as text."""
    try:
        return read(*arguments)
    except MemoryError:  # says something about the machine, not about the file
        raise
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        return _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f'needs {error.name}; pip install "fingerprint[medical]"'
    if isinstance(error, _UnusableError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"cannot be decoded: {str(error) or type(error).__name__}"


def _decoded(path: str) -> Array:
    """Return the pixels of a file that holds one image."""
    with io.FileIO(path) as file:
        length = os.fstat(file.fileno()).st_size
        if length > _BYTES:
            raise _UnusableError(f"{length} bytes, more than the limit of {_BYTES}")
        data = file.read()
    if not data:
        raise _UnusableError("empty file (0 bytes)")
    if data[128:132] == b"DICM" or path.lower().endswith(_DICOM):
        return _dicom(data)
    for magic, plugin in _plugins():
        if data.startswith(magic):
            image = plugin(data)
            _limit(*image.size)
            # the fast lane: what nearly every file is
            plain = image.mode == "L" and "transparency" not in image.info and getattr(image, "n_frames", 1) == 1
            return np.asarray(image) if plain else _converted(image)
    if path.lower().endswith(_UNSUPPORTED):
        raise _UnusableError("unsupported format; convert to PNG or TIFF")
    raise _UnusableError(f"no PNG, TIFF, JPEG, BMP or DICOM image (begins with {data[:4]!r})")


@cache
def _plugins() -> tuple[tuple[bytes, Callable[[bytes], Any]], ...]:
    # not Image.open: it would warn about large images, and try other formats
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    def tiff(data: bytes) -> TiffImageFile:
        # a cut directory is only a warning, and makes libtiff write to stderr later
        with _filters, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "Corrupt EXIF data|Tag data larger than file")
            image = TiffImageFile(io.BytesIO(data))
            _ = image.n_frames
        return image

    return (
        (b"\x89PNG\r\n\x1a\n", lambda data: PngImageFile(io.BytesIO(data))),
        (b"\xff\xd8\xff", lambda data: JpegImageFile(io.BytesIO(data))),
        (b"BM", lambda data: BmpImageFile(io.BytesIO(data))),
        *((magic, tiff) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    )


_filters = threading.Lock()  # filters of warnings are global: one thread at a time may change them


def _limit(width: int, height: int) -> None:
    if width * height > _PIXELS:
        raise _UnusableError(f"{height}x{width} pixels, more than the limit of {_PIXELS}; crop or resample the image")


def _one_page(pages: int) -> None:
    if pages != 1:
        raise _UnusableError(f"{pages} pages; save each as a file of its own, or pass them as an (n, h, w) array")


def _converted(image: Any) -> Array:
    """Return the pixels of an image that is not plain 8-bit grey, exactly or not at all."""
    _one_page(getattr(image, "n_frames", 1))
    mode = image.mode
    if mode == "F":
        raise _UnusableError("floating point pixels; scale and save them as 8-bit or 16-bit integers")
    if mode in ("1", "L", "I") or mode.startswith("I;16"):
        clear = image.info.get("transparency")
        pixels = _whole(np.asarray(image))
        if clear is not None and (pixels == clear).any():
            raise _UnusableError(_TRANSPARENT)
        # Pillow inverts white-is-zero pixels of 8 bits only
        white_is_zero = mode.startswith("I") and getattr(image, "tag_v2", {}).get(262) == 0
        return 65535 - pixels if white_is_zero else pixels
    if mode not in ("P", "PA", "LA", "RGB", "RGBA"):
        raise _UnusableError(f'colour ({mode}); convert to grey first, by Image.convert("L")')
    raw = image.tile[0][3] if image.tile else ""
    if ";16" in str(raw if isinstance(raw, str) else raw[0]):
        raise _UnusableError("16-bit colour or alpha, which would be cut to 8 bits; save as 16-bit grey")
    channels = np.asarray(image.convert("RGBA"))
    if (channels[..., 3] != 255).any():
        raise _UnusableError(_TRANSPARENT)
    grey: Array = channels[..., 0]
    if (grey != channels[..., 1]).any() or (grey != channels[..., 2]).any():
        raise _UnusableError('colour; convert to grey first, by Image.convert("L")')
    return grey


_TRANSPARENT = "transparent pixels; put the image on a background and save without alpha"


def _whole(pixels: Array, offset: int = 0) -> Array:
    """Return an image of bool, integers or whole numbers as uint8 (of 8 bits) or uint16."""
    if pixels.dtype == np.uint8 and not offset:
        return pixels
    if pixels.dtype == np.uint16 and not offset:
        return pixels.astype(np.uint16, copy=False)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    low, high = pixels.min(), pixels.max()
    if not (-offset <= low and high <= 65535 - offset):
        raise _UnusableError(f"values from {low} to {high}, outside {-offset} to {65535 - offset}; scale them")
    if pixels.dtype.kind == "f" and (pixels != np.rint(pixels)).any():
        raise _UnusableError("values that are not whole numbers; scale and round them")
    if offset:
        pixels = pixels.astype(np.int32) + offset
    return pixels.astype(np.uint16 if pixels.dtype.itemsize > 1 else np.uint8)


def _npy(file: _File) -> list[_Part]:
    array = _mapped(file.path)
    single = array.ndim == 2
    return [_Stack(file.path, file.name, 0, 1 if single else len(array), single)]


def _npy_range(path: str, start: int, stop: int) -> tuple[Array, int]:
    array = _mapped(path)
    return array[None] if array.ndim == 2 else array[start:stop], 0


def _mapped(path: str) -> Array:
    with io.FileIO(path) as file:
        begin = file.read(6)
    if begin != b"\x93NUMPY":
        raise _UnusableError(f"no .npy file (begins with {begin!r})" if begin else "empty file (0 bytes)")
    return _images(np.load(path, mmap_mode="r", allow_pickle=False))


def _images(array: Array) -> Array:
    """Return an array of a file if it can hold images."""
    if array.ndim not in (2, 3) or array.dtype.kind not in "bui" or 0 in array.shape:
        raise _UnusableError(
            f"expected (h, w) or (n, h, w) integers, got shape {array.shape} and dtype {array.dtype}"
            f"{_scale_remedy(array.dtype)}"
        )
    _limit(array.shape[-1], array.shape[-2])
    return array


def _npz(file: _File) -> Iterator[_Part | _Ignored]:
    """Yield the arrays of an archive, each loaded when it is its turn; those of fewer than two axes are no images."""
    keys = _attempted(_keys, file.path)
    if isinstance(keys, str):
        yield _Lost(Failure(file.name, keys))
        return
    others = 0
    for key in keys:
        name = f"{file.name}[{key}]"
        array = _attempted(_member, file.path, key)
        if isinstance(array, str):
            yield _Lost(Failure(name, array))
        elif array is None:
            others += 1
        else:
            stack = array.ndim == 3
            names = tuple(f"{name}[{i}]" for i in range(len(array))) if stack else (name,)
            yield _Held(array if stack else array[None], names)
    if others == len(keys):
        yield _Lost(Failure(file.name, "holds no (h, w) or (n, h, w) array"))
    if others:
        yield _Ignored(others)


def _keys(path: str) -> list[str]:
    if not Path(path).stat().st_size:
        raise _UnusableError("empty file (0 bytes)")
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _member(path: str, key: str) -> Array | None:
    with np.load(path, allow_pickle=False) as archive:
        array: Array = archive[key]
    return None if array.ndim < 2 else _images(array)


def _nifti(file: _File) -> list[_Part]:
    return [_Stack(file.path, file.name, 0, _volume(file.path).shape[2])]


def _nifti_range(path: str, start: int, stop: int) -> tuple[Array, int]:
    volume = _volume(path)
    stored, proxy = volume.get_data_dtype(), volume.dataobj
    values = np.asanyarray(proxy[(slice(None), slice(None), slice(start, stop)) + (0,) * (len(volume.shape) - 3)])
    unsigned = stored.kind == "u" and (proxy.slope, proxy.inter) == (1, 0)
    return values.T, 0 if unsigned else _OFFSET


def _volume(path: str) -> Any:
    if not Path(path).stat().st_size:
        raise _UnusableError("empty file (0 bytes)")
    import nibabel

    volume = nibabel.load(path)
    shape, stored = volume.shape, volume.get_data_dtype()
    if len(shape) < 3 or any(length != 1 for length in shape[3:]) or 0 in shape or stored.kind not in "uif":
        raise _UnusableError(
            f"expected (x, y, z) numbers, got shape {shape} and dtype {stored}; save one volume a file"
        )
    _limit(*shape[:2])
    return volume


def _dicom(data: bytes) -> Array:
    import pydicom

    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what a lenient reader puts right
        header = pydicom.dcmread(io.BytesIO(data))
    if "PixelData" not in header:
        raise _UnusableError("a DICOM file without pixels")
    meaning = header.get("PhotometricInterpretation")
    if meaning not in ("MONOCHROME1", "MONOCHROME2"):
        raise _UnusableError(f"colour ({meaning}); convert to grey first")
    _one_page(int(header.get("NumberOfFrames") or 1))
    if "ModalityLUTSequence" in header:
        raise _UnusableError("a modality lookup table; apply it and save the result")
    _limit(header.Columns, header.Rows)
    stored = header.pixel_array
    signed = stored.dtype.kind == "i"
    if meaning == "MONOCHROME1":
        stored = ~stored if signed else stored ^ stored.dtype.type(2**header.BitsStored - 1)
    if not signed and "RescaleSlope" not in header and "RescaleIntercept" not in header:
        return _whole(stored)
    return _whole(stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0)), _OFFSET)

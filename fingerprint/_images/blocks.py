"""Blocks: parts of a collection, on disk or in memory, that are read together when it is their turn."""

from __future__ import annotations

import math
import os
import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure
from fingerprint._images import files, formats, grey, png, symmetries
from fingerprint._images.grey import Decoded
from fingerprint._images.slices import PixelFormat, Slices, format_of, mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fingerprint._base.types import Array
    from fingerprint._images.grey import Member, Range
    from fingerprint._images.masks import Mask

_WAITING, _WAITING_BYTES = 16, 2**22  # images that are unpacked at once, and the bytes of their files


class Memory:
    """Memory of blocks, used again once nobody holds the pixels in it: fresh memory costs a tenth of decoding."""

    def __init__(self) -> None:
        self._free: list[Array] = []

    def __reduce__(self) -> tuple[type[Memory], tuple[()]]:
        """Let a worker have its own."""
        return Memory, ()

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array with whatever its memory holds."""
        size = math.prod(shape) * dtype.itemsize
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(0, np.uint8)
        if not size <= memory.size <= 2 * size:
            memory = np.empty(size, np.uint8)
        whole = np.asarray(memory.data)  # of which every view is one, as this is none of another array
        weakref.finalize(whole, self._free.append, memory).atexit = False
        return whole[:size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Options:
    """How a collection is read: what messages call it, and the arguments of `load` and `plan`."""

    argument: str
    size: tuple[int, int] | None
    on_error: str
    recursive: bool
    expect: PixelFormat | None = None
    window: tuple[float, float] | None = None
    mask: Mask | None = None
    luminance: bool = False
    forms: tuple[str, ...] = (symmetries.AS_IS,)  # in which each image is given, one after the other
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)

    def sized(self, image: Array) -> Array:
        """Return an image at the size that is asked for."""
        return grey.resampled(image, self.size) if self.size and image.shape != self.size else image


Image: TypeAlias = "tuple[str, Array | str, str | None]"  # name, pixels or why there are none, patient where known

# --- Parts: each has a `count`, can be `cut`, and gives the `images`: see `Image` ---------


@dataclass(frozen=True)
class File:
    """A file of one image; or images `start` to `stop` of one that holds a stack of them.

    Its `size` when it was listed, and the time after which a change of it came later, tell whether it is still the
    same; a negative size is not known.
    """

    path: str
    name: str
    stack: Range | None = None
    start: int = 0
    stop: int = 1
    data: bytes | None = None  # of a file in an archive
    size: int = -1
    latest: int = 0

    def __getstate__(self) -> dict[str, object]:
        """Say where the file is to a worker whose folder is another."""
        return vars(self) | {"path": os.path.abspath(self.path)}  # noqa: PTH100 - keeps links

    @property
    def count(self) -> int:
        return self.stop - self.start

    @property
    def several(self) -> Callable[[str], Iterator[Member]] | None:
        """What reads a file that may hold several images; None if it holds one."""
        return formats.of_several(self.path)

    def state(self) -> tuple[int, int]:
        """Return what a file is known by: its size, and the time of its last change in nanoseconds."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - half the time of Path
        except OSError:
            return -1, 0
        return status.st_size, status.st_mtime_ns

    @property
    def nbytes(self) -> int:
        return len(self.data or b"")

    def cut(self, start: int, stop: int) -> File:
        whole = stop - start == self.count
        return self if whole else replace(self, start=self.start + start, stop=self.start + stop)

    def images(self, options: Options) -> Iterator[Image]:
        if self.stack is None:
            yield self.image(files.attempted(self.read), options)
            return
        found = files.attempted(self._range, self.stack)
        for i in range(self.count):
            name = f"{self.name}[{self.start + i}]" if self.stack.numbered else self.name
            if isinstance(found, str):
                yield name, found, None
            else:
                yield name, files.attempted(found.pixels, i, options.window, options.luminance), self._patient(found)

    def image(self, found: Decoded | str, options: Options) -> Image:
        """Return the only image, of what was read or why it could not be."""
        if isinstance(found, str):
            return self.name, found, None
        pixels = files.attempted(found.pixels, None, options.window, options.luminance)
        return self.name, pixels, self._patient(found)

    def _patient(self, found: Decoded) -> str | None:
        return self.path if found.patient == "" else found.patient

    def read(self) -> Decoded:
        """Return the values of the only image."""
        if self.data is not None:
            return formats.decoded(self.name, self.data)
        listed = (self.size, self.latest) if self.size >= 0 else None
        return formats.decoded(self.path, files.contents(self.path, listed=listed))

    def _range(self, stack: Range) -> Decoded:
        found = stack.read(self.path, self.start, self.stop)
        if self.size >= 0:
            files.limit_changes(os.stat(self.path), self.size, self.latest)  # noqa: PTH116 - half the time of Path
        return found


@dataclass(frozen=True)
class Arrays:
    """Images in memory."""

    pixels: Array
    names: tuple[str, ...] | range
    patients: tuple[str, ...] | None = None
    reused: bool = False  # by an iterator that may write its next item into the same array

    @property
    def count(self) -> int:
        return len(self.pixels)

    @property
    def nbytes(self) -> int:
        return int(self.pixels.nbytes)

    def cut(self, start: int, stop: int) -> Arrays:
        part = self.pixels[start:stop]
        patients = self.patients and self.patients[start:stop]
        names = self.names[start:stop]
        return replace(self, pixels=part.copy() if self.reused else part, names=names, patients=patients)

    def fits(self, options: Options) -> bool:
        """Say whether the pixels are what is wanted, as they are."""
        right = options.size is None and options.mask is None and options.expect in (None, format_of(self.pixels))
        kept = (np.uint8,) if options.window else (np.uint8, np.uint16)
        return right and self.pixels.dtype in kept

    def images(self, options: Options) -> Iterator[Image]:
        for i, (name, image) in enumerate(zip(self.names, self.pixels, strict=True)):
            found = files.attempted(Decoded(image).pixels, None, options.window)
            if isinstance(found, str) and isinstance(self.names, range):
                raise InputError(f"{options.argument}: image {name}: {found}")
            yield str(name), found, self.patients[i] if self.patients else None


@dataclass(frozen=True)
class Unread:
    """What gives no images: files that fail and files that are none.

    Failures that were `known` before, in `Slices`, are listed even where others are raised; `error` is raised always,
    when the stream comes to it.
    """

    failed: tuple[Failure, ...] = ()
    ignored: int = 0
    known: bool = False
    error: str = ""

    @property
    def count(self) -> int:
        return len(self.failed) or bool(self.error)

    @property
    def nbytes(self) -> int:
        return 0

    def cut(self, start: int, stop: int) -> Unread:
        return replace(self, failed=self.failed[start:stop])

    def images(self, _: Options) -> Iterator[Image]:
        if self.error:
            raise InputError(self.error)
        yield from ((name, why, None) for name, why in self.failed)


Found: TypeAlias = File | Arrays | Unread


@dataclass(frozen=True)
class Formed:
    """Images of a part, each in so many forms, one after the other; all forms of an image are cut off together."""

    part: File | Arrays
    forms: int

    @property
    def count(self) -> int:
        return self.part.count * self.forms

    @property
    def nbytes(self) -> int:
        return self.part.nbytes

    def cut(self, start: int, stop: int) -> Formed:
        return replace(self, part=self.part.cut(start // self.forms, stop // self.forms))

    def images(self, options: Options) -> Iterator[Image]:
        for name, image, patient in self.part.images(options):
            if isinstance(image, str):
                yield from ((name, image, patient),) * self.forms
                continue
            sized = options.sized(image)
            for form in options.forms:
                yield symmetries.named(name, form), symmetries.in_form(sized, form), patient


Part: TypeAlias = Found | Formed


def formed(part: Found, options: Options) -> Part:
    """Return a part whose images, and failures, come in all forms."""
    forms = len(options.forms)
    if forms == 1:
        return part
    if isinstance(part, Unread):
        return replace(part, failed=tuple(failure for failure in part.failed for _ in range(forms)))
    return Formed(part, forms)


@dataclass(frozen=True, eq=False, repr=False)
class Block(Slices):
    """Images of a block, as they were read.

    Parameters
    ----------
    lost : tuple of int
        Where the failures stand among images and failures, in the order in which they came.
    """

    lost: tuple[int, ...] = ()


def places_of(found: Slices) -> tuple[Array, Array]:
    """Return where the images and the failures of a block stand, (n,) and (n_failed,) int64.

    Where that is not known, the failures come last.
    """
    total = len(found) + len(found.failed)
    lost = np.array(found.lost if isinstance(found, Block) else range(len(found), total), np.int64)
    return np.delete(np.arange(total), lost), lost


@dataclass(frozen=True)
class Task:
    """One block of a collection, to be read when it is called; can be pickled.

    Parameters
    ----------
    parts : tuple
        Files, ranges of files, or pixels.
    options
        Of `plan`.
    ignored : int
        Files that are no images, counted by this block.
    """

    parts: tuple[Part, ...]
    options: Options
    ignored: int = 0

    @property
    def nbytes(self) -> int:
        """Return the bytes of images that it carries, rather than only says where they are."""
        return sum(part.nbytes for part in self.parts)

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
        raise mixed(self.options.argument, found, expected=self.options.expect is not None)

    def apart(self) -> list[Slices]:
        """Read the block; if images differ in size or depth, return each as a block of its own."""
        found = self.read()
        if isinstance(found, Slices):
            return [found]
        cut = [part.cut(i, i + 1) for part in self.parts for i in range(part.count)]
        ones = [Task((one,), self.options, self.ignored * (i == 0)) for i, one in enumerate(cut)]
        return [part for one in ones for part in one.apart()]

    @files.quiet
    def read(self) -> Slices | tuple[PixelFormat, ...]:
        """Read the block; if images differ in size or depth, return what was found instead."""
        match self.parts:
            case (Arrays() as held,) if held.fits(self.options):
                return Slices(held.pixels, tuple(map(str, held.names)), (), self.ignored, held.patients)
        found = _Found(self)
        for part in self.parts:
            found.add(part)
        return found.block()


class _Found:
    """What a task has read so far."""

    def __init__(self, task: Task) -> None:
        self._options, self._ignored = task.options, task.ignored
        self._count = sum(part.count for part in task.parts)
        self._formats: dict[PixelFormat, None] = {task.options.expect: None} if task.options.expect else {}
        self._pixels: Array | None = None
        self._names: list[str] = []
        self._patients: list[str | None] = []
        self._failed: list[Failure] = []
        self._places: list[int] = []
        self._waiting: list[tuple[File, png.Stream]] = []

    def add(self, part: Part) -> None:
        """Read a part; an image that is still compressed waits, to be unpacked with others."""
        images: Iterable[Image] = ()
        if isinstance(part, File) and part.stack is None:
            found = files.attempted(part.read)
            if isinstance(found, Decoded) and isinstance(found.values, png.Stream) and self._fits(found.values):
                self._waiting.append((part, found.values))
                if len(self._waiting) >= min(_WAITING, _WAITING_BYTES // (found.values.held + 1)):
                    self._unpack()
                return
            images = [part.image(found, self._options)]
        self._unpack()
        for image in images or part.images(self._options):
            self._take(part, *image)

    def block(self) -> Slices | tuple[PixelFormat, ...]:
        """Return all that was read; or, if images differ in size or depth, what was found instead."""
        self._unpack()
        if len(self._formats) > 1:
            return tuple(self._formats)
        out, expect = self._pixels, self._options.expect
        if out is None:
            out = np.empty((0, expect.height, expect.width) if expect else (0, 0, 0), expect.dtype if expect else "u1")
        pixels, names = out[: len(self._names)], tuple(self._names)
        groups = None if None in self._patients else tuple(map(str, self._patients))
        return Block(pixels, names, tuple(self._failed), self._ignored, groups or None, tuple(self._places))

    def _fits(self, stream: png.Stream) -> bool:
        """Say whether an image can be unpacked to where it belongs."""
        out, options = self._pixels, self._options
        if out is None or options.mask is not None or options.size not in (None, out.shape[1:]):
            return False
        return (stream.height, stream.width, stream.step) == (*out.shape[1:], out.itemsize)

    def _unpack(self) -> None:
        """Unpack the images that wait: at once, or one after the other where one of them is damaged."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        start, stop = len(self._names), len(self._names) + len(waiting)
        if self._pixels is None or not png.unpacked([stream for _, stream in waiting], self._pixels[start:stop]):
            for file, stream in waiting:
                self._take(file, *file.image(Decoded(stream), self._options))
            return
        self._names += [file.name for file, _ in waiting]
        self._patients += [None] * len(waiting)

    def _take(self, part: Part, name: str, image: Array | str, patient: str | None) -> None:
        options = self._options
        if isinstance(image, str):
            if options.on_error == "raise" and not (isinstance(part, Unread) and part.known):
                raise InputError(f"{options.argument}: {name}: {image}")
            self._places.append(len(self._names) + len(self._failed))
            self._failed.append(Failure(name, image))
            return
        image = options.sized(image)
        if options.mask is not None:
            image = options.mask(image, name)
        out = self._pixels
        if out is None or image.shape != out.shape[1:] or image.dtype != out.dtype:
            self._formats.setdefault(format_of(image, name))
            if len(self._formats) > 1:
                return
            out = self._pixels = options.memory.array((self._count, *image.shape), image.dtype)
        out[len(self._names)] = image
        self._names.append(name)
        self._patients.append(patient)

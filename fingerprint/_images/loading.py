"""Images: folders, files, arrays and streams of them as stacks of 8-bit or 16-bit grey pixels."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from fingerprint._base import bounds, checks, concurrency, limits
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure
from fingerprint._base.naming import natural_key
from fingerprint._base.progress import bar
from fingerprint._base.public import public
from fingerprint._base.types import Grey, OnError
from fingerprint._images import sources, symmetries
from fingerprint._images.blocks import File, Options, Task, Unread
from fingerprint._images.grey import PIXELS
from fingerprint._images.slices import PixelFormat, Slices, agree, concatenate, joined, mixed
from fingerprint._images.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fingerprint._base.types import Array
    from fingerprint._images.masks import Mask
    from fingerprint._images.record import Reading

__all__ = [
    "Failure",
    "PixelFormat",
    "Plan",
    "Slices",
    "Source",
    "Task",
    "agree",
    "blocks",
    "concatenate",
    "listing",
    "load",
    "natural_key",
    "none_usable",
    "pick",
    "read",
]


BLOCK = 128  # images that are read and compared at a time
_BLOCK_BYTES, _FEWEST = 2**26, 16  # pixels of a block, unless its fewest images have more: larger ones are no faster
_LOAD_BLOCK = 32  # images one thread decodes at a time in `read`


def block_of(most: int, image: int) -> int:
    """Return how many images of so many bytes to read at a time, at most `most`."""
    return min(most, max(_FEWEST, _BLOCK_BYTES // max(1, image)))


@public
def load(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    threads: int | None = None,
    progress: bool | None = None,
) -> Slices:
    """Read a collection of grey images into memory.

    Pixels are kept exactly, 8-bit and 16-bit. Palettes, opaque alpha, colour images that are grey and 1-bit images
    (0 and 255) are converted; an image with transparency, or of several pages, cannot be used. An image
    with an orientation (EXIF) is turned as it says. A PNG file whose checksums are wrong is damaged.

    DICOM and NIfTI are kept in the units of the scanner. Where values may be negative, as Hounsfield units are, 1024
    is added, and padding below -1024 becomes 0, as air: in CT all that lies below, else the padding value of DICOM, or
    the only value below if a corner has it. Rescaled values are rounded to whole numbers, unless fewer than 256 would
    remain.
    MONOCHROME1 is inverted: what is kept is the distance to the highest value that can be stored.

    Parameters
    ----------
    source : path, list of paths, ndarray, Slices, or iterator of these
        A folder (images in natural order of their names, named by the path inside it); a file; a pattern such as
        ``"real/*.png"``; a zip or tar archive, which is read like a folder; an array, its images named by their
        position; `Slices`; or a list or iterator of any of these. With the extra ``fsspec`` also the URL of a folder,
        a file or a pattern in a store, such as ``"s3://bucket/real"``.

        Files are PNG, TIFF, JPEG and BMP; ``.npy`` and ``.npz`` (2-d images and 3-d stacks, but no tables of labels);
        with the extra ``medical`` also DICOM (also without suffix or preamble, of one image or of several) and NIfTI
        (slices along the last axis, its second axis running down; not of fractions).

        Arrays are (n, h, w), also with an axis of one channel: of NumPy, torch, whatever NumPy can read or DLPack
        exports, or images of Pillow; batches may be dicts, or have labels beside them. Integers of more than 8
        bits are kept as uint16 and have to lie within 0 and 65535. Floating point pixels from 0 to 1 are multiplied
        by 255 and rounded; where the first array has negative ones, the range is from -1 to 1. Whole numbers beyond 1
        are kept. A 1-d array or Series holds paths.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    window : (float, float), optional
        Centre and width, in the units of the scanner or in grey levels: what is seen through it becomes 0 to 255, as
        DICOM defines it (PS3.3 C.11.2.1.2.1), rounded. So real images of 16 bits can be compared with synthetic ones of
        8, which are kept as they are.
    grey : {"exact", "luminance"}
        What to make of colour: nothing, so that an image whose channels differ cannot be used; or its luminance
        (ITU-R BT.601, as Pillow), also of arrays (n, h, w, 3) and (n, 3, h, w).
    recursive : bool
        Also read the folders inside folders.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Slices.failed`, or raise.
    threads : int, optional
        Threads to decode on; one for each available core by default. Never changes the result.
    progress : bool, optional
        Show a bar on stderr: always or never; None = in a terminal or a notebook, after two seconds.

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
    return read(
        source,
        size=size,
        window=window,
        grey=grey,
        on_error=on_error,
        recursive=recursive,
        threads=threads,
        progress=progress,
        argument="source",
    )


def read(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    mask: Mask | None = None,
    recursive: bool = False,
    on_error: OnError = "collect",
    threads: int | None = None,
    progress: bool | None = None,
    argument: str,
) -> Slices:
    """Do what `load` does, through a mask; `argument` is what error messages call the source."""
    options = _options(argument, size, on_error, recursive, window=window, grey=grey, mask=mask)
    workers = concurrency.resolve(threads)
    if isinstance(source, Slices) and size is None and window is None and mask is None and len(source):
        return source
    whole = getattr(source, "ndim", 0) > 2 and size is None
    planned = Listing(sources.entries_of(source, options), options).plan(sys.maxsize if whole else _LOAD_BLOCK)
    with bar(progress, unit="image", total=planned.total, phase=f"reading {argument}") as advance:
        found = joined(_uniform(planned, options, workers, advance), None if whole else planned.total)
    if not len(found):
        raise none_usable(source, found.failed, argument=argument)
    return found


def _uniform(
    tasks: Iterable[Task], options: Options, threads: int, advance: Callable[[int], object]
) -> Iterator[Slices]:
    """Yield the blocks; if they are of several formats, raise at the end, when all are known."""
    formats: dict[PixelFormat, None] = {}
    for found in concurrency.map_ordered(Task.read, tasks, threads=threads):
        if not isinstance(found, Slices):
            formats |= dict.fromkeys(found)
            continue
        if found.format:
            formats.setdefault(found.format)
        if len(formats) < 2:
            yield found
        advance(len(found) + len(found.failed))
    if len(formats) > 1:
        raise mixed(options.argument, formats)


@public
def blocks(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    block: int = BLOCK,
    threads: int | None = None,
) -> Iterator[Slices]:
    """Read a collection of grey images block by block, decoding ahead on threads.

    Parameters
    ----------
    source : path, list of paths, ndarray, Slices, or iterator of these
        As for `load`; an iterator is consumed as slowly as the blocks are.
    size : int or (int, int), optional
        Resample every image to this height and width, by an antialiased bilinear filter.
    window, grey
        As for `load`.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Slices.failed`, or raise.
    block : int
        Images of a block.
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
    checks.integer("block", block, minimum=1)
    listed = listing(source, size=size, window=window, grey=grey, on_error=on_error, recursive=recursive)
    return _read(source, listed.plan(block), concurrency.resolve(threads))


def _read(source: Source, tasks: Iterable[Task], threads: int) -> Iterator[Slices]:
    first: PixelFormat | None = None
    failed: list[Failure] = []
    for part in concurrency.map_ordered(Task.__call__, tasks, threads=threads):
        first = agree(first, part)
        failed += part.failed if first is None else ()
        yield part
    if first is None:
        raise none_usable(source, failed)


@dataclass(frozen=True)
class Plan(Iterator[Task]):
    """A collection cut into blocks.

    Parameters
    ----------
    tasks : iterator of Task
        Each reads one block.
    total : int or None
        Images of the collection, failing ones included; None where only reading it can tell: iterators, and files that
        may hold several images.
    """

    tasks: Iterator[Task]
    total: int | None

    def __next__(self) -> Task:
        """Return the next task."""
        return next(self.tasks)


@dataclass(frozen=True)
class Listing:
    """What a collection consists of, as far as that is known before anything is read.

    Parameters
    ----------
    entries : list
        Files, arrays and iterators.
    options
        How they are to be read.
    """

    entries: list[sources.Entry]
    options: Options

    @property
    def total(self) -> int | None:
        """Return how many images there are, see `Plan`."""
        return sources.count_of(self.entries)

    def digest(self) -> str:
        """Return what tells the names of the files from those of others."""
        names = [entry.name for entry in self.entries if isinstance(entry, File)]
        return hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()

    def part(self, number: int, count: int) -> Listing:
        """Return one of `count` parts, from 1, that follow one another and are equally large, of a list of files."""
        files = [entry for entry in self.entries if not isinstance(entry, Unread) or entry.count]
        argument = self.options.argument
        if not all(isinstance(entry, File | Unread) for entry in files):
            raise InputError(f"{argument}: expected files of which to take a part, got arrays or an iterator; cut them")
        if len(files) < count:
            raise InputError(f"part: expected at most as many parts as files, {len(files)}, got {count}")
        start, stop = ((number - 1) * len(files) // count, number * len(files) // count)
        return Listing(files[start:stop], self.options)

    def plan(self, block: int, reading: Reading | None = None, *, first: int = 0) -> Plan:
        """Cut it into blocks, which are smaller where images are large, without what was read before.

        Arrays have no names: their images are numbered from `first` on. Over all tasks, images and failures are as many
        as the images of the source, times the forms of each, which no block parts.
        """
        if self.options.expect is not None:
            block = block_of(block, self.options.expect.nbytes)
        forms = len(self.options.forms)
        block = bounds.uncut(block, forms)
        if reading is not None:
            reading.begin(self.entries, listed=not any(map(sources.is_stream, self.entries)))
        tasks = sources.tasks_of(self.entries, self.options, block, reading, first=first)
        total = self.total
        return Plan(tasks, None if total is None else total * forms)


def listing(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    mask: Mask | None = None,
    on_error: OnError = "collect",
    recursive: bool = False,
    expect: PixelFormat | Slices | None = None,
    forms: tuple[str, ...] = (symmetries.AS_IS,),
    argument: str = "source",
) -> Listing:
    """Return what a collection consists of, which is read later, by other threads, processes or machines.

    What each task of its `Listing.plan` returns is uniform in size and depth. That the tasks agree with each other is
    certain with `expect`; without it their reader calls `agree` on each, in order.

    Parameters
    ----------
    source, size, window, grey, on_error, recursive
        As for `blocks`.
    mask : Mask, optional
        What part of each image counts; the rest becomes 0.
    expect : PixelFormat or Slices, optional
        Size and depth that every image must have, such as those of the real images.
    forms : tuple of str
        In which each image is given, see `fingerprint._images.symmetries.forms_of`.
    argument : str
        What error messages call the source.

    Raises
    ------
    InputError
        At the call where the source or an argument is wrong; else by the task that comes to it.
    """
    wanted = expect.format if isinstance(expect, Slices) else expect
    options = _options(argument, size, on_error, recursive, wanted, window, grey, mask, forms)
    return Listing(sources.entries_of(source, options), options)


def pick(
    source: Source,
    names: Sequence[str],
    *,
    positions: Sequence[int] | None = None,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    mask: Mask | None = None,
    recursive: bool = False,
    forms: tuple[str, ...] = (symmetries.AS_IS,),
    argument: str = "source",
) -> Slices:
    """Read some images of a collection again, by the names that `listing` gives them.

    `positions` are those of the images among all usable ones of the collection, from 0, and count where names repeat;
    the forms of an image share one. Without them, the first image of a name is meant. Raises InputError where the
    source is an iterator, or has no usable image of a name.
    """
    options = _options(argument, size, "collect", recursive, window=window, grey=grey, mask=mask, forms=forms)
    entries = _entries_again(source, options)
    needed = [
        entry
        for entry in entries
        if not isinstance(entry, File)
        or any(symmetries.named(entry.name, form) in names for form in forms)
        or sources.count_of([entry]) is None
    ]
    found: dict[str, Array] = {}
    repeated = False
    for name, image in _one_by_one(needed, options):
        repeated |= name in found
        if name in names and name not in found:
            found[name] = image.copy()
    for name in names:
        if name not in found:
            raise InputError(f"{argument}: expected a usable image named {name!r}, found none")
    images = [found[name] for name in names]
    if repeated and positions is not None:  # then only the position says which, and nothing can be left out
        wanted = list(zip(positions, names, strict=True))
        every = (((i // len(forms), name), image) for i, (name, image) in enumerate(_one_by_one(entries, options)))
        by_position = {key: image.copy() for key, image in every if key in wanted}
        images = [by_position[key] for key in wanted]
    return Slices(np.stack(images), tuple(names))


def blocks_again(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    mask: Mask | None = None,
    recursive: bool = False,
    argument: str = "source",
) -> Iterator[Slices]:
    """Read a collection again, block by block, through a mask. Raises InputError where it is an iterator."""
    options = _options(argument, size, "collect", recursive, window=window, grey=grey, mask=mask)
    plan = Listing(_entries_again(source, options), options).plan(BLOCK)
    return concurrency.map_ordered(Task.__call__, plan, threads=concurrency.resolve(None))


def _entries_again(source: Source, options: Options) -> list[sources.Entry]:
    """Return what a source consists of, which must not be an iterator."""
    entries = sources.entries_of(source, options)
    if any(sources.is_stream(entry) for entry in entries):
        raise InputError(
            f"{options.argument}: an iterator cannot be read a second time; pass a folder, a list or an array"
        )
    return entries


def _one_by_one(entries: Sequence[sources.Entry], options: Options) -> Iterator[tuple[str, Array]]:
    """Yield name and pixels of every usable image."""
    for task in sources.tasks_of(entries, options, bounds.uncut(_LOAD_BLOCK, len(options.forms))):
        part = task()
        yield from zip(part.names, part.pixels, strict=True)


def none_usable(source: Source, failed: Iterable[Failure], *, argument: str = "source") -> InputError:
    """Return the error that says that no image of a source could be used, and quotes the first of its failures."""
    failures = list(failed)
    where = f" in {os.fspath(source)}" if isinstance(source, str | os.PathLike) else ""
    found = f"; {len(failures)} failed, first {failures[0].name}: {failures[0].reason}" if failures else ""
    return InputError(f"{argument}: expected at least one usable image{where}, got none{found}")


def _options(
    argument: str,
    size: object,
    on_error: object,
    recursive: bool,
    expect: PixelFormat | None = None,
    window: object = None,
    grey: object = "exact",
    mask: Mask | None = None,
    forms: tuple[str, ...] = (symmetries.AS_IS,),
) -> Options:
    """Return the arguments of a public function, checked."""
    limits.check_address_space()
    choice = checks.choice("on_error", on_error, get_args(OnError))
    shape = view = None
    if size is not None:
        sides = size if isinstance(size, tuple | list) and len(size) == 2 else (size, size)
        height, width = (checks.integer("size", side, minimum=1) for side in sides)
        shape = (height, width)
        if height * width > PIXELS:
            raise InputError(f"size: expected at most {PIXELS} pixels, got {height}x{width}")
    if window is not None:
        if not isinstance(window, tuple | list) or len(window) != 2:
            raise InputError(f"window: expected (centre, width), got {checks.describe(window)}")
        centre = checks.number("window", window[0], minimum=-math.inf)
        view = (centre, checks.number("window", window[1], minimum=1))
    luminance = checks.choice("grey", grey, get_args(Grey)) == "luminance"
    return Options(argument, shape, choice, bool(recursive), expect, view, mask, luminance, forms)

"""Images: folders, files, arrays and streams of them as stacks of 8-bit or 16-bit grey pixels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from fingerprint._base import checks, concurrency
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure
from fingerprint._base.naming import natural_key
from fingerprint._base.public import public
from fingerprint._base.types import OnError
from fingerprint._images import block_tasks, formats, sources
from fingerprint._images.block_tasks import How, Task
from fingerprint._images.slices import Layout, Slices
from fingerprint._images.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fingerprint._base.types import Array

__all__ = [
    "Failure",
    "Layout",
    "Plan",
    "Slices",
    "Source",
    "Task",
    "agree",
    "blocks",
    "concatenate",
    "count",
    "load",
    "natural_key",
    "none_usable",
    "pick",
    "plan",
    "read",
]


BLOCK = 128  # images that are read and compared at a time
_LOAD_BLOCK = 32  # images one thread decodes at a time in `read`


@public
def load(
    source: Source,
    *,
    size: int | tuple[int, int] | None = None,
    on_error: OnError = "collect",
    recursive: bool = False,
    threads: int | None = None,
    progress: bool = False,
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
    on_error: OnError = "collect",
    recursive: bool = False,
    threads: int | None = None,
    progress: bool = False,
    argument: str,
) -> Slices:
    """Do what `load` does; `argument` is what error messages call the source."""
    how = How(argument, _size(size), checks.choice("on_error", on_error, get_args(OnError)), bool(recursive))
    workers = concurrency.resolve(threads)
    if isinstance(source, Slices) and size is None and len(source):
        return source
    entries = sources.entries_of(source, how)
    whole = len(entries) == 1 and isinstance(entries[0], np.ndarray) and size is None
    tasks = sources.tasks_of(entries, how, sys.maxsize if whole else _LOAD_BLOCK)
    known = None if whole else sources.count_of(entries)
    with concurrency.bar(progress, unit="image", total=known) as advance:
        found = _joined(_uniform(tasks, how, workers, advance), known)
    if not len(found):
        raise none_usable(source, found.failed, argument=argument)
    return found


def _uniform(tasks: Iterator[Task], how: How, threads: int, advance: Callable[[int], object]) -> Iterator[Slices]:
    """Yield the blocks; if they are of several layouts, raise at the end, when all are known."""
    layouts: dict[Layout, None] = {}
    for found in concurrency.map_ordered(Task.read, tasks, threads=threads):
        if not isinstance(found, Slices):
            layouts |= dict.fromkeys(found)
            continue
        if found.layout:
            layouts.setdefault(found.layout)
        if len(layouts) < 2:
            yield found
        advance(len(found) + len(found.failed))
    if len(layouts) > 1:
        raise block_tasks.mixed(how.argument, layouts)


@public
def blocks(
    source: Source,
    *,
    block: int = BLOCK,
    size: int | tuple[int, int] | None = None,
    on_error: OnError = "collect",
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
    return _read(source, tasks, concurrency.resolve(threads))


def _read(source: Source, tasks: Iterator[Task], threads: int) -> Iterator[Slices]:
    layout: Layout | None = None
    failed: list[Failure] = []
    for part in concurrency.map_ordered(Task.__call__, tasks, threads=threads):
        layout = agree(layout, part)
        failed += part.failed if layout is None else ()
        yield part
    if layout is None:
        raise none_usable(source, failed)


@dataclass(frozen=True)
class Plan(Iterator[Task]):
    """A collection cut into blocks.

    Parameters
    ----------
    tasks : iterator of Task
        Each reads one block.
    total : int or None
        Images of the collection, failing ones included; None where only reading it can tell.
    """

    tasks: Iterator[Task]
    total: int | None

    def __next__(self) -> Task:
        """Return the next task."""
        return next(self.tasks)


def plan(
    source: Source,
    *,
    block: int,
    size: int | tuple[int, int] | None = None,
    on_error: OnError = "collect",
    recursive: bool = False,
    expect: Layout | Slices | None = None,
    argument: str = "source",
) -> Plan:
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

    Returns
    -------
    Plan
        Of tasks to be called without arguments. Over all of them, images and failures are as many as the images of the
        source.

    Raises
    ------
    InputError
        At the call where the source or an argument is wrong; else by the task that comes to it.
    """
    checks.integer("block", block, minimum=1)
    checks.choice("on_error", on_error, get_args(OnError))
    layout = expect.layout if isinstance(expect, Slices) else expect
    how = How(argument, _size(size), on_error, bool(recursive), layout)
    entries = sources.entries_of(source, how)
    return Plan(sources.tasks_of(entries, how, block), sources.count_of(entries))


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
    return sources.count_of(sources.entries_of(source, How(argument, None, "collect", recursive)))


def pick(
    source: Source,
    names: Sequence[str],
    *,
    positions: Sequence[int] | None = None,
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
        Names as `blocks` gives them.
    positions : sequence of int, optional
        Position of each among the usable images of the collection, from 0. Without, the first image of a name is meant.
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
    how = How(argument, _size(size), "collect", recursive)
    entries = sources.entries_of(source, how)
    if any(isinstance(entry, sources.Later) for entry in entries):
        raise InputError(f"{argument}: an iterator cannot be read a second time; pass a folder, a list or an array")
    needed = [
        entry for entry in entries if not isinstance(entry, block_tasks.File) or entry.name in names or entry.several
    ]
    found: dict[str, Array] = {}
    repeated = False
    for name, image in _one_by_one(needed, how):
        repeated |= name in found
        if name in names and name not in found:
            found[name] = image.copy()
    for name in names:
        if name not in found:
            raise InputError(f"{argument}: expected a usable image named {name!r}, found none")
    images = [found[name] for name in names]
    if repeated and positions is not None:  # then only the position says which, and nothing can be left out
        by_position = {i: image.copy() for i, (_, image) in enumerate(_one_by_one(entries, how)) if i in positions}
        images = [by_position[i] for i in positions]
    return Slices(np.stack(images), tuple(names))


def _one_by_one(entries: Sequence[sources.Entry], how: How) -> Iterator[tuple[str, Array]]:
    """Yield name and pixels of every usable image."""
    for task in sources.tasks_of(entries, how, _LOAD_BLOCK):
        part = task()
        yield from zip(part.names, part.pixels, strict=True)


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
        raise block_tasks.mixed(argument, [layout, found])
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


def _size(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, tuple | list) and len(size) == 2:
        height, width = (checks.integer("size", side, minimum=1) for side in size)
    else:
        height = width = checks.integer("size", size, minimum=1)
    if height * width > formats.PIXELS:
        raise InputError(f"size: expected at most {formats.PIXELS} pixels, got {height}x{width}")
    return height, width

"""Sources: what a collection of images consists of, cut into tasks that read one block each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure
from fingerprint._base.naming import natural_key
from fingerprint._base.types import Array
from fingerprint._images import formats
from fingerprint._images.block_tasks import File, Held, Known, Lost, Stack, Task, Wrong
from fingerprint._images.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from fingerprint._images.block_tasks import How, Part

Source: TypeAlias = "str | PathLike[str] | Array | Slices | Iterable[Source]"

_WHAT = "a folder, a path, an (n, h, w) array, Slices, or a list or iterator of these"


@dataclass(frozen=True)
class Ignored:
    """Files that are no images."""

    count: int


@dataclass(frozen=True)
class Later:
    """An iterator, not yet consumed."""

    items: Iterable[Source]


Entry: TypeAlias = File | Lost | Ignored | Later | Slices | Array


def count_of(entries: Iterable[Entry]) -> int | None:
    """Return how many images and failures there are; None if only reading tells."""
    total = 0
    for entry in entries:
        if isinstance(entry, Later) or (isinstance(entry, File) and entry.several):
            return None
        if isinstance(entry, Slices):
            total += len(entry) + len(entry.failed)
        elif isinstance(entry, np.ndarray):
            total += len(entry)
        elif not isinstance(entry, Ignored):
            total += entry.count
    return total


def entries_of(source: Source, how: How) -> list[Entry]:
    """Return what a source consists of, as far as that is known before an iterator is consumed."""
    entries = list(_found(source, how, inside=True))
    if not entries:
        raise InputError(f"{how.argument}: expected {_WHAT}, got an empty {type(source).__name__}")
    return entries


def _found(source: Any, how: How, *, inside: bool = False) -> Iterator[Entry]:
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
        yield Later(source)
    else:
        raise InputError(f"{how.argument}: expected {_WHAT}, got {checks.describe(source)}")


def _stack_of_integers(array: Array, how: How) -> Array:
    what = f"{how.argument}: expected an (n, h, w) array of integers"
    got = f"got {checks.describe(array)}"
    if array.ndim == 2:
        raise InputError(f"{what}, {got}; pass a single image as image[None]")
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        axis = 1 if array.shape[1] == 1 else 3
        raise InputError(f"{what}, {got}; remove the channel by images.squeeze({axis})")
    if array.ndim != 3:
        raise InputError(f"{what}, {got}")
    if array.dtype.kind not in "bui":
        raise InputError(f"{what}, {got}{formats.scale_remedy(array.dtype)}")
    if 0 in array.shape:
        raise InputError(f"{what}, none of them 0, {got}")
    return array


def _at(path: object, how: How, *, inside: bool) -> Iterator[Entry]:
    """Yield what is at a path; names of files in a folder are paths inside it, or begin with the folder."""
    if not isinstance(path, str):
        raise InputError(f"{how.argument}: expected paths as text, got {checks.describe(path)}")
    where = Path(path)
    try:
        mode = where.stat().st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISDIR(mode):
        yield from _in_folder(path, "" if inside else f"{where.as_posix()}/", how)
    elif stat.S_ISREG(mode) or (not mode and not inside and path.lower().endswith(formats.SUFFIXES)):
        yield File(path, _printable(where.as_posix()))
    else:
        raise InputError(f"{how.argument}: expected an existing folder or file, got {path!r}")


def _in_folder(folder: str, prefix: str, how: How) -> Iterator[Entry]:
    files: list[File | Lost] = []
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
                raise InputError(f"{how.argument}: cannot read the folder {folder}: {formats.reason(error)}") from None
            files.append(Lost(Failure(_printable(name.rstrip("/")), formats.reason(error))))
            continue
        for entry in entries:
            hidden = entry.name.startswith(".")
            if entry.is_dir():
                folders += 1
                if how.recursive and not hidden:
                    (linked if entry.is_symlink() else waiting).append((entry.path, f"{name}{entry.name}/"))
            elif (
                not hidden
                and entry.name.lower().endswith(formats.SUFFIXES + formats.UNSUPPORTED)
                and (entry.is_file() or entry.is_symlink())  # reading a pipe would never end; a dead link is a failure
            ):
                files.append(File(entry.path, _printable(name + entry.name)))
            else:
                ignored += 1
    if not files:
        other = f"{ignored} other files" if ignored else "no file"
        remedy = "; pass recursive=True to read the folders in it" if folders and not how.recursive else ""
        known = ", ".join(formats.SUFFIXES)
        raise InputError(f"{how.argument}: expected images ({known}) in the folder {folder}, got {other}{remedy}")
    if ignored:
        yield Ignored(ignored)
    yield from sorted(files, key=lambda file: natural_key(file.name if isinstance(file, File) else file.failure.name))


def _printable(name: str) -> str:
    """Return the name with what is not UTF-8 written as escapes, so that it can be printed and saved."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8") if not name.isascii() else name


def tasks_of(entries: Iterable[Entry], how: How, block: int) -> Iterator[Task]:
    """Yield tasks of a block each, the last one of the rest."""
    parts: list[Part] = []
    room, ignored = block, 0
    for part in _opened(entries, how, [0]):
        if isinstance(part, Ignored):
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


def _opened(entries: Iterable[Entry], how: How, seen: list[int], *, reused: bool = False) -> Iterator[Part | Ignored]:
    """Yield the parts of entries; `seen` counts the images of arrays, as they are named by their position."""
    for entry in entries:
        if isinstance(entry, Later):
            for item in entry.items:
                try:
                    found = list(_found(item, how))
                except InputError as error:
                    yield Wrong(str(error))
                    return
                yield from _opened(found, how, seen, reused=True)
        elif isinstance(entry, Slices):
            yield Ignored(entry.ignored)
            yield Known(entry.failed)
            yield Held(entry.pixels, entry.names)
        elif isinstance(entry, np.ndarray):
            yield Held(entry, range(seen[0], seen[0] + len(entry)), reused)
            seen[0] += len(entry)
        elif isinstance(entry, File):
            yield from _parts_of(entry)
        else:
            yield entry


def _parts_of(file: File) -> Iterator[Part | Ignored]:
    """Yield one file, or the images of a file that may have several."""
    path = file.path.lower()
    if path.endswith(".npz"):
        yield from _npz(file)
    elif path.endswith(formats.STACKS):
        length = formats.attempted(formats.stack_length, file.path)
        if isinstance(length, str):
            yield Lost(Failure(file.name, length))
        else:
            yield Stack(file.path, file.name, 0, 1 if length is None else length, length is None)
    else:
        yield file


def _npz(file: File) -> Iterator[Part | Ignored]:
    """Yield the arrays of an archive, each loaded when it is its turn; those of fewer than two axes are no images."""
    keys = formats.attempted(formats.npz_keys, file.path)
    if isinstance(keys, str):
        yield Lost(Failure(file.name, keys))
        return
    others = 0
    for key in keys:
        name = f"{file.name}[{key}]"
        array = formats.attempted(formats.npz_member, file.path, key)
        if isinstance(array, str):
            yield Lost(Failure(name, array))
        elif array is None:
            others += 1
        else:
            stack = array.ndim == 3
            names = tuple(f"{name}[{i}]" for i in range(len(array))) if stack else (name,)
            yield Held(array if stack else array[None], names)
    if others == len(keys):
        yield Lost(Failure(file.name, "holds no (h, w) or (n, h, w) array"))
    if others:
        yield Ignored(others)

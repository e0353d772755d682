"""Sources: what a collection of images consists of, cut into blocks that are read later."""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure
from fingerprint._base.naming import natural_key
from fingerprint._base.provenance import is_url
from fingerprint._images import arrays, dicom, files, formats, grey, stores
from fingerprint._images.blocks import Arrays, File, Task, Unread, formed
from fingerprint._images.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from fingerprint._base.types import Array
    from fingerprint._images.blocks import Found, Options, Part
    from fingerprint._images.record import Reading

Source: TypeAlias = "str | PathLike[str] | Array | Slices | Iterable[Source]"
Whole: TypeAlias = "File | Unread | Slices | Array"
Entry: TypeAlias = "Whole | Iterable[Source]"  # an iterator is not yet consumed

_FLOATS = 128  # images that are converted to integers at a time
_DEPTH = 20  # of lists in lists
_WHAT = "a folder, a path, a URL, an (n, h, w) array, Slices, or a list or iterator of these"


def is_stream(entry: Entry) -> bool:
    """Say whether an entry is an iterator, which can be read once."""
    return not isinstance(entry, Slices | np.ndarray | Unread | File)


def count_of(entries: Iterable[Entry]) -> int | None:
    """Return how many images and failures there are; None if only reading tells."""
    total = 0
    for entry in entries:
        if isinstance(entry, Slices):
            total += len(entry) + len(entry.failed)
        elif isinstance(entry, np.ndarray):
            total += len(entry)
        elif isinstance(entry, Unread) or (isinstance(entry, File) and not entry.several):
            total += entry.count
        else:
            return None
    return total


def entries_of(source: Source, options: Options) -> list[Entry]:
    """Return what a source consists of, as far as that is known before an iterator is consumed."""
    entries = list(_found(source, options, inside=True))
    if not entries:
        raise InputError(f"{options.argument}: expected {_WHAT}, got an empty {type(source).__name__}")
    return entries


def _found(source: Any, options: Options, *, inside: bool = False, depth: int = 0) -> Iterator[Entry]:
    if depth > _DEPTH:
        raise InputError(f"{options.argument}: expected {_WHAT}, got lists nested more than {_DEPTH} deep")
    if isinstance(source, str | os.PathLike):
        yield from _at(os.fspath(source), options, inside=inside)
    elif isinstance(source, Slices):
        yield source
    elif isinstance(source, list | tuple):
        for item in arrays.parts_of(source):
            yield from _found(item, options, depth=depth + 1)
    elif isinstance(source, Mapping):
        yield from _found(arrays.images_in(source, options.argument), options, depth=depth + 1)
    elif (array := _array(source, options)) is not None:
        if array.ndim == 1 and array.dtype.kind in "OUT":  # of paths
            yield from _found(array.tolist(), options, depth=depth + 1)
        else:
            yield arrays.images_of(array, options.argument, luminance=options.luminance)
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | Set):
        yield source
    else:
        raise InputError(f"{options.argument}: expected {_WHAT}, got {checks.describe(source)}")


def _array(source: Any, options: Options) -> Array | None:
    found: Array | str | None = files.attempted(arrays.array_of, source, options.luminance)
    if isinstance(found, str):
        raise InputError(f"{options.argument}: {type(source).__name__}: {found}")
    return found


def _at(path: object, options: Options, *, inside: bool) -> Iterator[Entry]:
    """Yield what is at a path; names of files in a folder are paths inside it, or begin with the folder."""
    if not isinstance(path, str):
        raise InputError(f"{options.argument}: expected paths as text, got {checks.describe(path)}")
    if is_url(path):
        yield from _at_url(path, options, inside=inside)
        return
    where = Path(path)
    status = _status(where)
    mode = status.st_mode if status else 0
    if stat.S_ISDIR(mode):
        yield from _in_folder(path, "" if inside else f"{where.as_posix()}/", options)
    elif stat.S_ISREG(mode) or (not mode and not inside and path.lower().endswith(formats.SUFFIXES)):
        yield _file(path, _printable(where.as_posix()), time.time_ns(), status)
    elif glob.has_magic(path) and (matches := glob.glob(path, recursive=True)):  # noqa: PTH207 - Path has none for this
        for each in sorted(matches, key=natural_key):
            yield from _at(each, options, inside=False)
    else:
        raise InputError(f"{options.argument}: expected an existing folder or file, got {path!r}")


def _in_folder(folder: str, prefix: str, options: Options) -> Iterator[Entry]:
    """Yield the files of a folder in natural order."""
    found: list[tuple[str, File | Unread]] = []
    ignored = folders = 0
    seen: set[tuple[int, int]] = set()
    linked: list[tuple[str, str]] = []
    waiting = [(folder, prefix)]
    now = time.time_ns()
    while waiting or linked:
        # folders before links to them, and each once: links may form a loop
        path, name = waiting.pop() if waiting else linked.pop(0)
        try:
            status = Path(path).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name) if options.recursive else list(scan)
        except OSError as error:
            why = files.reason(error)
            if path == folder:
                raise InputError(f"{options.argument}: cannot read the folder {folder}: {why}") from None
            found.append((name, Unread((Failure(_printable(name.rstrip("/")), why),))))
            continue
        for entry in entries:
            hidden = entry.name.startswith(".")
            if _is_folder(entry):
                folders += 1
                if options.recursive and not hidden:
                    (linked if entry.is_symlink() else waiting).append((entry.path, f"{name}{entry.name}/"))
            elif not hidden and _is_image(entry):
                shown = _printable(name + entry.name)
                found.append((shown, _file(entry.path, shown, now, _status(entry))))
            else:
                ignored += 1
    yield from _listed(folder, found, ignored, folders, options)


def _at_url(url: str, options: Options, *, inside: bool) -> Iterator[Entry]:
    """Yield what a URL names, likewise."""
    # of a list, which may be long: nothing is asked yet
    one = not inside and url.lower().endswith(formats.SUFFIXES) and not glob.has_magic(url)
    place = stores.Place(url, options.argument, listed=not one)
    if place.local is not None:
        yield from _at(place.local, options, inside=inside)
        return
    if one:
        yield place.file(_printable(url))
        return
    entries = sorted(place.entries(), key=lambda entry: natural_key(entry[0]))
    if not entries:
        raise InputError(f"{options.argument}: expected an existing folder or file, got {url!r}")
    for where, info in entries:
        if info["type"] != "directory":
            yield place.image(_printable(where), info)
            continue
        prefix = "" if inside and where == url else f"{where.rstrip('/')}/"
        files_inside, folders = place.inside(info["name"], recursive=options.recursive)
        found = [
            (name, place.image(name, info))
            for name, info in ((_printable(prefix + name), info) for name, info in files_inside if place.is_image(info))
        ]
        yield from _listed(where, found, len(files_inside) - len(found), folders, options)


def _listed(
    folder: str, found: Sequence[tuple[str, File | Unread]], ignored: int, folders: int, options: Options
) -> Iterator[Entry]:
    """Yield what was found in a folder in natural order of the names; there has to be something."""
    if not found:
        other = f"{ignored} other file{'s' * (ignored > 1)}" if ignored else "no file"
        remedy = "; pass recursive=True to read the folders in it" if folders and not options.recursive else ""
        known = ", ".join(formats.SUFFIXES)
        raise InputError(f"{options.argument}: expected images ({known}) in the folder {folder}, got {other}{remedy}")
    if ignored:
        yield Unread(ignored=ignored)
    yield from (file for _, file in sorted(found, key=lambda each: natural_key(each[0])))


def _file(path: str, name: str, now: int, status: os.stat_result | None) -> File:
    """Return a file as it is now."""
    return File(path, name, size=status.st_size, latest=max(now, status.st_mtime_ns)) if status else File(path, name)


def _status(path: Path | os.DirEntry[str]) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Say whether a file counts as an image, which may fail; a dead link does, a pipe does not."""
    name = entry.name.lower()
    if name.endswith(formats.SUFFIXES + formats.UNSUPPORTED):
        return entry.is_symlink() or entry.is_file()
    try:
        return entry.is_file() and name != "dicomdir" and formats.is_dicom(entry.path)
    except OSError:  # a link to itself
        return False


def _printable(name: str) -> str:
    """Return the name with what is not UTF-8 written as escapes, so that it can be printed and saved."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8") if not name.isascii() else name


def tasks_of(
    entries: Iterable[Entry], options: Options, block: int, reading: Reading | None = None, *, first: int = 0
) -> Iterator[Task]:
    """Yield tasks of a block each, the last one of the rest, without what was read before.

    Images of arrays are named by their position, from `first` on.
    """
    parts: list[Part] = []
    room, ignored = block, 0
    for part in _parts_of(entries, options, _Seen(reading, first)):
        ignored += part.ignored if isinstance(part, Unread) else 0
        start = 0
        while start < part.count:
            stop = min(part.count, start + room)
            parts.append(part.cut(start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield Task(tuple(parts), options, ignored)
                parts, room, ignored = [], block, 0
    if parts or ignored:
        yield Task(tuple(parts), options, ignored)


class _Seen:
    """What is known of the arrays of a source so far: their images, which are named by position, and their range."""

    def __init__(self, reading: Reading | None, first: int) -> None:
        self.reading = reading
        self._count = first
        self._range = arrays.FloatRange()

    def images(self, array: Array, options: Options, *, reused: bool) -> Iterator[Found]:
        step = _FLOATS if array.dtype.kind == "f" else len(array)
        for start in range(0, len(array), step):
            part = array[start : start + step]
            names = range(self._count, self._count + len(part))
            self._count += len(part)
            if array.dtype.kind == "f":
                try:
                    part = self._range.pixels(part, options.argument)
                except InputError as error:
                    yield Unread(error=str(error))
                    return
            yield Arrays(part, names, reused=reused)


def _parts_of(entries: Iterable[Entry], options: Options, seen: _Seen, *, reused: bool = False) -> Iterator[Part]:
    """Yield the parts of entries; `seen` knows the arrays before."""
    for entry in entries:
        if isinstance(entry, Slices | np.ndarray | File | Unread):
            parts = (formed(part, options) for part in _parts(entry, options, seen, reused=reused))
            yield from parts if seen.reading is None else seen.reading.rest(entry, parts)
        else:
            for item in entry:
                try:
                    found = list(_found(item, options))
                except InputError as error:
                    yield Unread(error=str(error))
                    return
                yield from _parts_of(found, options, seen, reused=True)


def _parts(entry: Whole, options: Options, seen: _Seen, *, reused: bool) -> Iterator[Found]:
    """Yield the parts of an entry that is no iterator; a file is opened here."""
    if isinstance(entry, Slices):
        yield Unread(entry.failed, entry.ignored, known=True)
        yield Arrays(entry.pixels, entry.names, entry.groups)
    elif isinstance(entry, np.ndarray):
        yield from seen.images(entry, options, reused=reused)
    elif isinstance(entry, File) and entry.several:
        yield from _members_of(entry, options)
    else:
        yield entry


def _members_of(file: File, options: Options) -> Iterator[Found]:
    """Yield the images of a file that may have several."""
    for key, found in formats.members(file.path):
        name = file.name + key
        if isinstance(found, int):
            yield Unread(ignored=found)
        elif isinstance(found, str):
            yield Unread((Failure(name, found),))
        elif isinstance(found, bytes):
            yield from _archived(File(file.path, name, data=found))
        elif isinstance(found, grey.Decoded):
            image = files.attempted(found.pixels, None, options.window, options.luminance)
            if isinstance(image, str):
                yield Unread((Failure(name, image),))
            else:
                patient = file.path if found.patient == "" else found.patient
                yield Arrays(image[None], (name,), None if patient is None else (patient,))
        else:
            yield replace(file, name=name, stack=found, stop=found.count)


def _archived(file: File) -> Iterator[Found]:
    """Yield a file of an archive if its name is one of an image."""
    name = file.name.lower()
    hidden = "/." in name or "/__macosx/" in name  # as systems add them
    image = name.endswith(formats.SUFFIXES + formats.UNSUPPORTED) or dicom.recognised((file.data or b"")[:256])
    yield file if image and not hidden else Unread(ignored=1)

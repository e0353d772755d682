"""Record: which images of a collection have been read, so that a pass over it can go on where it stopped.

A file is known by its name, its size and the time of its last change, as `make` and `rsync` know files: a digest would
have every byte read again. An array is known by a digest of its pixels, which are in memory anyway.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fingerprint._base.checks import InputError
from fingerprint._images.blocks import File, Unread
from fingerprint._images.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fingerprint._base.types import Array
    from fingerprint._images.blocks import Part

Entry: TypeAlias = "File | Unread | Slices | Array"
State: TypeAlias = "tuple[str, int, int]"  # name of a file, its size and time; or of an array no name, and its digest


@dataclass(frozen=True)
class Record:
    """What has been read of a collection, entry by entry.

    Parameters
    ----------
    names : tuple of str
        (n,) of files; of arrays empty.
    states : ndarray
        (n, 2) int64: size in bytes and time in nanoseconds of a file, or the digest of an array.
    counts : ndarray
        (n,) int64: images and failures that were read of each.
    whole : ndarray
        (n,) bool: whether each was read to its end.
    """

    names: tuple[str, ...]
    states: Array
    counts: Array
    whole: Array

    @classmethod
    def empty(cls) -> Record:
        """Return the record of nothing."""
        return cls((), np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(0, bool))

    @classmethod
    def joined(cls, records: Sequence[Record]) -> Record:
        """Return the record of collections that follow one another."""
        return cls(
            tuple(name for record in records for name in record.names),
            np.concatenate([record.states for record in records]),
            np.concatenate([record.counts for record in records]),
            np.concatenate([record.whole for record in records]),
        )

    @property
    def starts(self) -> Array:
        """Return the place of the first image of each entry, (n,) int64."""
        return np.cumsum(self.counts) - self.counts

    @property
    def digest(self) -> str:
        """Return what tells these images from others; empty where there are none."""
        if not self.counts.sum():
            return ""
        found = hashlib.sha256(json.dumps(self.names).encode())
        for each in (self.states, self.counts):
            found.update(np.ascontiguousarray(each).data)
        return found.hexdigest()

    @property
    def sound(self) -> bool:
        """Whether the parts go together, as those of a file need not."""
        n = len(self.names)
        arrays = [(each.dtype.str, each.shape) for each in (self.states, self.counts, self.whole)]
        right = arrays == [("<i8", (n, 2)), ("<i8", (n,)), ("|b1", (n,))]
        return right and all(isinstance(name, str) for name in self.names) and bool((self.counts >= 0).all())

    def some(self, keep: Array) -> Record:
        """Return the record of the entries that `keep`, (n,) bool, marks."""
        names = tuple(name for name, kept in zip(self.names, keep.tolist(), strict=True) if kept)
        return Record(names, self.states[keep], self.counts[keep], self.whole[keep])


def positions(lost: Array) -> Callable[[Array], Array]:
    """Return a function from places to positions among usable images, by the places of the failures."""
    return lambda places: places - np.searchsorted(lost, places)


def moving(starts: Array, to: Array) -> Callable[[Array], Array]:
    """Return a function that moves places: those of an entry that began at `starts` begin at `to`."""

    def place(places: Array) -> Array:
        if not len(starts):
            return places
        return np.asarray(places + (to - starts)[np.searchsorted(starts, places, side="right") - 1])

    return place


@dataclass
class Reading:
    """A collection while it is read: what of it was `read` before, and what has been met since.

    Entries that were read before keep their order. Others may stand between them where the whole list is known before
    anything is read; what an iterator yields has to begin with what was read before.

    Parameters
    ----------
    read : Record
        What was read before; each of its entries is left out.
    where : str
        What messages call the file that says so.
    """

    read: Record = field(default_factory=Record.empty)
    where: str = "checkpoint"
    _listed: bool = False
    _names: list[str] = field(default_factory=list)
    _states: array[int] = field(default_factory=lambda: array("q"))
    _olds: array[int] = field(default_factory=lambda: array("q"))  # entries of `read`; -1 = new
    _begins: array[int] = field(default_factory=lambda: array("q"))  # places among what is read now
    _ended: bool = True  # whether the last entry that was met has been read to its end
    _next: int = 0  # entry of `read` to come
    _places: int = 0  # images and failures that have been handed out
    _numbers: int = 0  # arrays and their images that have been met

    def begin(self, entries: Iterable[Any], *, listed: bool) -> None:
        """Raise where a list of entries lacks one that was read before; `listed` = no iterator is among them."""
        self._listed = listed
        if not listed or not len(self.read.names):
            return
        counter = Reading()
        found = [counter.state(entry) for entry in entries if not _nothing(entry)]
        place = 0
        for state in found:
            place += place < len(self.read.names) and state == self._expected(place)
        if place < len(self.read.names):
            raise self._missing(place, found)

    def _expected(self, place: int) -> State:
        size, time = self.read.states[place].tolist()
        return self.read.names[place], size, time

    def _missing(self, place: int, found: Sequence[State]) -> InputError:
        name, size, _ = self._expected(place)
        now = [state for state in found if state[0] == name] if name else []
        if not name:
            why = f"found the array or list at place {place + 1} changed, or none"
        elif not now:
            why = f"found no {name!r}"
        elif self._expected(place) in now:
            why = f"found {name!r} in another order"
        else:
            why = f"found {name!r} changed ({size} bytes then, {now[0][1]} now, or a later time)"
        return InputError(
            f"{self.where}: expected the synthetic images it was made of, {why}; delete it to read all again: what was "
            f"read of {len(self.read.names)} files or arrays cannot be used without this one"
        )

    def state(self, entry: Entry) -> State:
        """Return what an entry is known by."""
        if isinstance(entry, File):
            return entry.name, *entry.state()
        digest = hashlib.blake2b(digest_size=16)
        if isinstance(entry, Unread):
            digest.update(json.dumps([entry.failed, entry.error]).encode())
        else:
            pixels = np.ascontiguousarray(entry.pixels if isinstance(entry, Slices) else entry)
            names = list(entry.names) if isinstance(entry, Slices) else self._numbers  # by which its images are named
            failed = entry.failed if isinstance(entry, Slices) else ()
            digest.update(json.dumps([pixels.dtype.str, pixels.shape, names, failed]).encode())
            digest.update(pixels.data)
            self._numbers += len(pixels) * (not isinstance(entry, Slices))
        first, second = np.frombuffer(digest.digest(), np.int64).tolist()
        return "", first, second

    def rest(self, entry: Entry, parts: Iterator[Part]) -> Iterator[Part]:
        """Yield the parts of an entry without what was read of it before."""
        if _nothing(entry):
            yield from parts
            return
        state = self.state(entry)
        old = self._next if self._next < len(self.read.names) and state == self._expected(self._next) else -1
        if old < 0 and not self._listed and self._next < len(self.read.names):
            raise self._missing(self._next, [state])
        self._next += old >= 0
        self._names.append(state[0])
        self._states.extend(state[1:])
        self._olds.append(old)
        self._begins.append(self._places)
        self._ended = old >= 0 and bool(self.read.whole[old])
        if self._ended and isinstance(entry, File):  # it is not even opened
            return
        done = int(self.read.counts[old]) if old >= 0 else 0
        for part in parts:
            begin = min(done, part.count)
            done -= begin
            if begin < part.count or not part.count:
                self._places += part.count - begin
                yield part.cut(begin, part.count)
        self._ended = True

    def end(self) -> None:
        """Raise where entries that were read before did not come."""
        if self._next < len(self.read.names):
            raise self._missing(self._next, [])

    def now(self, places: int) -> tuple[Record, Callable[[Array], Array], Callable[[Array], Array]]:
        """Return what has been read once the first `places` that were handed out are done.

        With two functions: where the places of `read`, and those that were handed out, stand in it.
        """
        olds, begins = np.array(self._olds, np.int64), np.array(self._begins, np.int64)
        met = olds >= 0
        new = np.diff(np.minimum(np.append(begins, self._places), places))
        ends = np.append(begins[1:], self._places)
        whole = (ends <= places) & (np.arange(len(ends)) < len(ends) - (not self._ended))
        whole[met] |= self.read.whole[olds[met]]
        unmet = np.arange(self._next, len(self.read.names))
        before = np.where(met, self.read.counts[olds] if len(self.read.counts) else 0, 0)
        states = np.array(self._states, np.int64).reshape(-1, 2)
        record = Record(
            (*self._names, *self.read.names[self._next :]),
            np.concatenate([states, self.read.states[unmet]]),
            np.concatenate([before + new, self.read.counts[unmet]]),
            np.concatenate([whole, self.read.whole[unmet]]),
        )
        starts = record.starts
        to = np.concatenate([starts[: len(olds)][met], starts[len(olds) :]])
        of_old = moving(self.read.starts, to)
        of_new = moving(begins, starts[: len(olds)] + before)
        return record.some((record.counts > 0) | record.whole), of_old, of_new


def _nothing(entry: Entry) -> bool:
    return isinstance(entry, Unread) and not entry.count

"""Checkpoint: what a pass over a stream of images keeps, on disk every so often, to go on where it stopped."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from fingerprint._base import packing, sealed
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure, Kept
from fingerprint._base.version import __version__
from fingerprint._images.record import Reading, Record, moving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from fingerprint._base.types import Array

_SECONDS = 30.0  # from one writing to the next: what a killed process loses
_SHARE = 20  # times as long as it takes to write, so that writing costs a twentieth at most
_JOINED_AT_ONCE = 16  # parts: each join copies all that is kept
HELD = 2**26  # bytes of parts that wait to be joined, unless two are larger
_SCHEMA = 1  # of the file; counts up when a reader of the last one would fail


K = TypeVar("K", bound=Kept)


@dataclass(frozen=True)
class Held(Generic[K]):
    """What a checkpoint holds.

    Parameters
    ----------
    about : mapping
        What was compared, in words, with what tells it from others.
    record : Record
        Which images were read.
    kept : Kept
        What is kept of them.
    complete : bool
        Whether these are all images of the collection.
    call : mapping, optional
        What else is known of the call, in the types of JSON.
    """

    about: Mapping[str, Any]
    record: Record
    kept: K
    complete: bool
    call: Mapping[str, Any] | None = None

    def save(self, path: str | PathLike[str]) -> None:
        """Write it; a killed process leaves the old file as it was."""
        arrays: dict[str, Array] = {}
        tree = packing.pack((self.record, self.kept), arrays)
        head = {"format": "fingerprint Summary", "schema": _SCHEMA, "version": __version__}
        more = {"about": dict(self.about), "complete": self.complete, "call": self.call, "held": tree}
        sealed.write(path, head | more, arrays)


def load(path: str | PathLike[str], classes: Iterable[type], *, argument: str = "checkpoint") -> Held[Any]:
    """Return what `Held.save` wrote; `classes` are those that may be kept."""
    header, arrays = sealed.read(path, argument=argument)
    where = f"{argument}: {os.fspath(path)}"
    made = [header.get(name) for name in ("format", "schema", "version")]
    if made != ["fingerprint Summary", _SCHEMA, __version__]:
        raise InputError(
            f"{where}: expected a Summary (schema {_SCHEMA}) of version {__version__}, got {made[0]!s:.40} (schema "
            f"{made[1]!s:.20}) of version {made[2]!s:.40}; delete it to read all images again"
        )
    try:
        record, kept = packing.unpack(header["held"], arrays, (Record, Failure, *classes))
        about, complete, call = (header[name] for name in ("about", "complete", "call"))
        sound = isinstance(record, Record) and type(kept) in classes and isinstance(about, dict)
        sound = (
            sound
            and isinstance(complete, bool)
            and isinstance(call, dict | None)
            and kept.n_places == record.counts.sum()
        )
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{where}: expected a Summary, got other contents ({error!r:.100})") from None
    if not sound:
        raise InputError(f"{where}: expected a Summary of these images, got parts that do not go together")
    return Held(about, record, kept, complete, call)


def joined(first: Held[K], rest: Iterable[Held[K]], join: Callable[[Sequence[K]], K]) -> Held[K]:
    """Return what is held of collections that follow one another, holding few of them at a time."""
    records, kept = [first.record], [first.kept]
    for each in rest:
        records.append(each.record)
        kept.append(each.kept)
        if len(kept) == _JOINED_AT_ONCE:
            kept = [join(kept)]
    return replace(first, record=Record.joined(records), kept=join(kept))


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in words what differs."""
    keys = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    told = [
        key if key.startswith("the ") else f"{key} {_shown(then.get(key))}, now {_shown(now.get(key))}" for key in keys
    ]
    return "; ".join(told)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) < 80 else f"{text[:77]}..."


@dataclass
class Pass(Generic[K]):
    """One pass over a stream: joins what is kept of its parts, and writes it every so often.

    Parameters
    ----------
    model : Kept
        What is kept of no image.
    merge : callable
        From what is kept of parts, by their places in one stream, to the whole.
    about : mapping
        What is compared, see `Held`.
    path : path, optional
        Where to go on from, where it exists, and to write to.
    classes : sequence of type
        What is kept, and what that consists of.
    """

    model: K
    merge: Callable[[Sequence[K]], K]
    about: Mapping[str, Any] = field(default_factory=dict)
    path: str | PathLike[str] | None = None
    classes: Sequence[type] = ()
    _before: K | None = None
    _written: float = 0.0
    _took: float = 0.0

    def __post_init__(self) -> None:
        self.reading = Reading()
        self._written = time.monotonic()
        if self.path is None:
            return
        if not Path(self.path).exists():
            if not os.access(Path(self.path).resolve().parent, os.W_OK):
                raise InputError(f"checkpoint: expected a file in a folder to write into, got {os.fspath(self.path)}")
            return
        held = load(self.path, self.classes)
        where = f"checkpoint: {os.fspath(self.path)}"
        if differ := differences(held.about, self.about):
            count = held.kept.n_places // getattr(held.kept, "forms", 1)  # a place for each form of an image
            raise InputError(
                f"{where} was made of something else: {differ}; delete it, or give another path, to read all {count} "
                "synthetic images again"
            )
        if not packing.like(held.kept, self.model):
            raise InputError(f"{where}: expected a Summary of these images, got one of other shape; delete it")
        held = _without_failed(held)
        self.reading, self._before = Reading(held.record, where), held.kept

    @property
    def n_before(self) -> int:
        """Return how many images and failures need not be read again."""
        return 0 if self._before is None else self._before.n_places

    def over(self, parts: Iterable[K], advance: Callable[[int], object]) -> Held[K]:
        """Return what is kept of a whole stream, of whose parts each follows the one before, counted from 0."""
        advance(self.n_before)
        kept, places = [self.model], 0
        for part in parts:
            advance(part.n_places)
            kept.append(part.placed(partial(np.add, places)))
            places += part.n_places
            large = len(kept) > 2 and sum(one.nbytes for one in kept[1:]) > HELD
            if len(kept) == _JOINED_AT_ONCE or large or self._due():
                kept = [self.merge(kept)]
            if self._due():
                self._save(self._held(kept[0], complete=False))
        self.reading.end()
        held = self._held(self.merge(kept), complete=True)
        self._save(held)
        return held

    def _held(self, kept: K, *, complete: bool) -> Held[K]:
        record, of_old, of_new = self.reading.now(kept.n_places)
        before = [] if self._before is None else [self._before.placed(of_old)]
        return Held(self.about, record, self.merge([*before, kept.placed(of_new)]), complete)

    def _due(self) -> bool:
        waited = time.monotonic() - self._written
        return self.path is not None and waited >= max(_SECONDS, _SHARE * self._took)

    def _save(self, held: Held[K]) -> None:
        if self.path is None:
            return
        begin = time.monotonic()
        held.save(self.path)
        self._written = time.monotonic()
        self._took = self._written - begin


def _without_failed(held: Held[K]) -> Held[K]:
    """Return the same without files of which nothing could be used: they are tried again."""
    record, kept = held.record, held.kept
    entry = np.searchsorted(record.starts, kept.lost, side="right") - 1
    again = (np.bincount(entry, minlength=len(record.names)) == record.counts) & (record.counts > 0) & record.whole
    if not again.any():
        return held
    rest = record.some(~again)
    stay = ~again[entry]
    failed = tuple(failure for failure, stays in zip(kept.failed, stay.tolist(), strict=True) if stays)
    fewer: Any = replace(kept, failed=failed, lost=kept.lost[stay])  # type: ignore[type-var]
    return replace(held, record=rest, kept=fewer.placed(moving(record.starts[~again], rest.starts)))

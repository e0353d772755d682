"""Tasks: parts of a collection, on disk or in memory, that are read as one block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failure
from fingerprint._images import formats
from fingerprint._images.slices import Layout, Slices, layout_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fingerprint._base.types import Array

_SHOWN = 12  # layouts quoted in an error message


@dataclass(frozen=True)
class How:
    """Options of reading."""

    argument: str
    size: tuple[int, int] | None
    on_error: str
    recursive: bool
    expect: Layout | None = None


class _Whole:
    """Base of what cannot be cut."""

    count = 1

    def cut(self, *_: int) -> Self:
        return self


@dataclass(frozen=True)
class File(_Whole):
    """A file, of one image unless `several`."""

    path: str
    name: str

    @property
    def several(self) -> bool:
        """Say whether such a file may hold several images."""
        return self.path.lower().endswith(formats.SEVERAL)

    def images(self, _: How) -> Iterator[tuple[str, Array | str]]:
        yield self.name, formats.attempted(formats.decoded, self.path)


@dataclass(frozen=True)
class Stack:
    """Images start to stop of a `.npy` or NIfTI file; of the only image of a file, `single`, the name has no number."""

    path: str
    name: str
    start: int
    stop: int
    single: bool = False

    @property
    def count(self) -> int:
        return self.stop - self.start

    def cut(self, start: int, stop: int) -> Stack:
        return replace(self, start=self.start + start, stop=self.start + stop)

    def images(self, _: How) -> Iterator[tuple[str, Array | str]]:
        found = formats.attempted(formats.stack_range, self.path, self.start, self.stop)
        for i in range(self.start, self.stop):
            name = self.name if self.single else f"{self.name}[{i}]"
            if isinstance(found, str):
                yield name, found
            else:
                pixels, offset = found
                yield name, formats.attempted(formats.whole, pixels[i - self.start], offset)


@dataclass(frozen=True)
class Held:
    """Images in memory."""

    pixels: Array
    names: tuple[str, ...] | range
    reused: bool = False  # by an iterator that may write its next item into the same array

    @property
    def count(self) -> int:
        return len(self.pixels)

    def cut(self, start: int, stop: int) -> Held:
        pixels = self.pixels[start:stop]
        return Held(pixels.copy() if self.reused else pixels, self.names[start:stop])

    def fits(self, how: How) -> bool:
        """Say whether the pixels are what is wanted, as they are."""
        right = how.size is None and how.expect in (None, layout_of(self.pixels))
        return right and self.pixels.dtype in (np.uint8, np.uint16)

    def images(self, how: How) -> Iterator[tuple[str, Array | str]]:
        for name, pixels in zip(self.names, self.pixels, strict=True):
            found = formats.attempted(formats.whole, pixels)
            if isinstance(found, str) and isinstance(self.names, range):
                raise InputError(f"{how.argument}: image {name}: {found}")
            yield str(name), found


@dataclass(frozen=True)
class Lost(_Whole):
    """A file of which it is not even known how many images it has."""

    failure: Failure

    def images(self, _: How) -> Iterator[tuple[str, Array | str]]:
        yield self.failure.name, self.failure.reason


@dataclass(frozen=True)
class Known:
    """Failures that the caller has seen already, in `Slices`."""

    failed: tuple[Failure, ...]

    @property
    def count(self) -> int:
        return len(self.failed)

    def cut(self, start: int, stop: int) -> Known:
        return Known(self.failed[start:stop])


@dataclass(frozen=True)
class Wrong(_Whole):
    """A wrong item of an iterator, to be raised when the stream comes to it."""

    message: str

    def images(self, _: How) -> Iterator[tuple[str, Array | str]]:
        raise InputError(self.message)


# each has a `count`, can be `cut`, and but for `Known` gives `images`: a name, and the pixels or why there are none
Part: TypeAlias = File | Stack | Held | Lost | Known | Wrong


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

    parts: tuple[Part, ...]
    how: How
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
        raise mixed(self.how.argument, found, expected=self.how.expect is not None)

    def read(self) -> Slices | tuple[Layout, ...]:
        """Read the block; if images differ in size or depth, return what was found instead."""
        how, expect = self.how, self.how.expect
        match self.parts:
            case (Held() as held,) if held.fits(how):
                return Slices(held.pixels, tuple(map(str, held.names)), (), self.ignored)
        layouts: dict[Layout, None] = {expect: None} if expect else {}
        out: Array | None = None
        names: list[str] = []
        failed: list[Failure] = []
        for part in self.parts:
            if isinstance(part, Known):
                failed += part.failed
                continue
            for name, found in part.images(how):
                if isinstance(found, str):
                    if how.on_error == "raise":
                        raise InputError(f"{how.argument}: {name}: {found}")
                    failed.append(Failure(name, found))
                    continue
                pixels = formats.resampled(found, how.size) if how.size and found.shape != how.size else found
                if out is None or pixels.shape != out.shape[1:] or pixels.dtype != out.dtype:
                    layouts.setdefault(layout_of(pixels, name))
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


def mixed(argument: str, layouts: Iterable[Layout], *, expected: bool = False) -> InputError:
    """Return the error that names several layouts, of which the first may be what was `expected` of all."""
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
